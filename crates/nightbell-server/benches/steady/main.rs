/*!
Memory of the real program while events come in at a steady rate, with the archiver at work.

Recorded events with other users, folders and times in them, in requests that are signed as they are sent, over several
connections. Every second the program's memory is looked at, and how far matching and archiving have come.

`cargo bench -p nightbell-server --bench steady -- [--rate N] [--seconds N] [--archive-after TIME] [--chart FILE]`; see
`docs/benchmarks.md`. `NIGHTBELL_BENCH_FOLDER` names the disk to measure.
*/
#![allow(missing_docs)]
#![allow(clippy::print_stdout, reason = "a benchmark speaks to the terminal")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and /proc")]

mod chart;
#[path = "../end_to_end/client.rs"]
#[allow(dead_code, reason = "each benchmark takes what it needs")]
mod client;
#[path = "../end_to_end/events.rs"]
#[allow(dead_code, reason = "each benchmark takes what it needs")]
mod events;
#[path = "../end_to_end/process.rs"]
#[allow(dead_code, reason = "each benchmark takes what it needs")]
mod process;
#[path = "../../../nightbell-store/benches/recorded/mod.rs"]
#[allow(dead_code, reason = "each benchmark takes what it needs")]
mod recorded;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use client::{Connection, Service, signed};
use events::{Body, STREAM};
use process::Server;

/// The group all events come to.
const GROUP: &str = "security";
/// Connections that bring events at the same time.
const CONNECTIONS: usize = 4;
/// Events of one request.
const REQUEST_EVENTS: usize = 500;
/// Different requests that each connection sends in turn.
const BODIES: usize = 20;
/// How long a connection waits after a request that was throttled.
const THROTTLED_PAUSE: Duration = Duration::from_millis(50);
/// How often the program is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What is measured; each can be given on the command line under its name.
struct Plan {
    /// Events a second.
    rate: usize,
    seconds: u64,
    /// How long events wait before they are archived.
    archive_after: String,
    /// Where the chart goes; none without.
    chart: Option<PathBuf>,
}

/// What one look at the program showed.
struct Look {
    second: f64,
    memory_mib: u64,
    /// Events that were answered and are not matched.
    unmatched: u64,
    unarchived: u64,
}

/// What the senders have done.
#[derive(Default)]
struct Sent {
    events: AtomicU64,
    throttled: AtomicU64,
}

fn main() {
    let plan = Plan::read(std::env::args().skip(1));
    let root = std::env::var_os("NIGHTBELL_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(root).expect("the folder can be written");
    let server = Server::start_with(folder.path(), 1, &["--archive-after", &plan.archive_after]);
    make_ready(&server);
    let bodies: Vec<Vec<Body>> = (0..CONNECTIONS).map(bodies).collect();
    let before_mib = server.memory_mib();
    let (cpu, begin, sent) = (server.cpu_seconds(), Instant::now(), Sent::default());
    let end = begin + Duration::from_secs(plan.seconds);
    let looks = std::thread::scope(|scope| {
        for (n, bodies) in bodies.into_iter().enumerate() {
            let (server, sent) = (&server, &sent);
            scope.spawn(move || pace(server, plan.rate, n, bodies, (begin, end), sent));
        }
        watch(&server, &sent, begin, end)
    });
    let took = begin.elapsed().as_secs_f64();
    let cpu_share = (server.cpu_seconds() - cpu) / took;
    let events = sent.events.load(Ordering::Relaxed);
    server.wait_matched(events);
    println!("sent       {events} events in {took:.0} s, {:.0} a second", events as f64 / took);
    println!("throttled  {} requests, each sent again", sent.throttled.load(Ordering::Relaxed));
    println!("server CPU {:.0} % of one core", cpu_share * 100.0);
    tell(&looks, before_mib);
    if let Some(path) = &plan.chart {
        std::fs::write(path, chart::draw(&looks)).expect("the chart's folder can be written");
    }
}

fn tell(looks: &[Look], before_mib: u64) {
    let mut mib: Vec<u64> = looks.iter().map(|look| look.memory_mib).collect();
    mib.sort_unstable();
    let (median, most) = (mib[mib.len() / 2], mib[mib.len() - 1]);
    let slope = slope(&looks[looks.len() / 2..]) * 60.0;
    println!(
        "memory MiB {before_mib} before, {median} at the median, {most} at most, {slope:+.1} a minute in the last half"
    );
    let most = |of: fn(&Look) -> u64| looks.iter().map(of).max().unwrap_or_default();
    let last = looks.last().map_or(0, |look| look.unarchived);
    println!("matching   {} events behind at most", most(|look| look.unmatched));
    println!("archiving  {} events waited at most, {last} at the end", most(|look| look.unarchived));
    println!("seconds    memory MiB  unmatched  unarchived");
    for look in looks.iter().step_by((looks.len() / 20).max(1)) {
        println!(
            "{:>7.0}  {:>12}  {:>9}  {:>10}",
            look.second, look.memory_mib, look.unmatched, look.unarchived
        );
    }
}

/// MiB a second, by least squares.
fn slope(looks: &[Look]) -> f64 {
    let count = looks.len() as f64;
    let mean = |of: fn(&Look) -> f64| looks.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|look| look.second), mean(|look| look.memory_mib as f64));
    let both: f64 = looks.iter().map(|look| (look.second - x) * (look.memory_mib as f64 - y)).sum();
    let square: f64 = looks.iter().map(|look| (look.second - x).powi(2)).sum();
    if square > 0.0 { both / square } else { 0.0 }
}

/// A group with a stream and one filter.
fn make_ready(server: &Server) {
    let mut open = Connection::open(&server.address);
    let mut call = |operation, body: Value| {
        let body = body.to_string();
        open.succeed(&signed(&server.address, Service::Logs, operation, body.as_bytes(), now_ms()));
    };
    call("CreateLogGroup", json!({"logGroupName": GROUP}));
    call("CreateLogStream", json!({"logGroupName": GROUP, "logStreamName": STREAM}));
    let filter = json!({
        "logGroupName": GROUP, "filterName": "denied", "filterPattern": r#"{ $.Audit.Outcome = "failure" }"#,
        "metricTransformations": [{"metricName": "Denied", "metricNamespace": "bench", "metricValue": "1"}],
    });
    call("PutMetricFilter", filter);
}

/// The requests' bodies of one connection.
fn bodies(connection: usize) -> Vec<Body> {
    let templates = recorded::templates();
    let message = |n: usize| recorded::event(&templates, n as u64).message;
    let body = |n: usize| {
        let first = (connection * BODIES + n) * REQUEST_EVENTS;
        let messages: Vec<String> = (first..first + REQUEST_EVENTS).map(message).collect();
        Body::new(GROUP, &messages)
    };
    (0..BODIES).map(body).collect()
}

/// Brings events over one of the connections until the end.
fn pace(
    server: &Server,
    rate: usize,
    connection: usize,
    mut bodies: Vec<Body>,
    (begin, end): (Instant, Instant),
    sent: &Sent,
) {
    let interval = Duration::from_secs_f64((CONNECTIONS * REQUEST_EVENTS) as f64 / rate as f64);
    let mut open = Connection::open(&server.address);
    let mut due = begin + interval.mul_f64(connection as f64 / CONNECTIONS as f64);
    let mut turn = 0;
    while Instant::now() < end {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = now_ms();
        let body = bodies[turn % BODIES].at(now);
        let (status, answer) =
            open.exchange(&signed(&server.address, Service::Logs, "PutLogEvents", body, now));
        if status == 200 {
            sent.events.fetch_add(REQUEST_EVENTS as u64, Ordering::Relaxed);
            (turn, due) = (turn + 1, due + interval);
        } else {
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.contains("Throttling") || status == 503, "{status} {answer}");
            sent.throttled.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(THROTTLED_PAUSE);
        }
    }
}

/// Looks at the program until the end.
fn watch(server: &Server, sent: &Sent, begin: Instant, end: Instant) -> Vec<Look> {
    let mut looks = Vec::new();
    let mut open = Connection::open(&server.address);
    while Instant::now() < end {
        std::thread::sleep(LOOK);
        let come = sent.events.load(Ordering::Relaxed);
        looks.push(Look {
            second: begin.elapsed().as_secs_f64(),
            memory_mib: server.memory_mib(),
            unmatched: come.saturating_sub(server.counter(&mut open, "nightbell_events_matched_total")),
            unarchived: server.counter(&mut open, "nightbell_archive_waiting_events"),
        });
    }
    looks
}

impl Plan {
    fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut plan = Self { rate: 50_000, seconds: 600, archive_after: "10s".to_owned(), chart: None };
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            let number = || value.parse::<usize>().unwrap_or_else(|_| panic!("{name} {value:?}: no number"));
            match name.as_str() {
                "--rate" => plan.rate = number().max(1),
                "--seconds" => plan.seconds = number().max(2) as u64,
                "--archive-after" => plan.archive_after = value,
                "--chart" => plan.chart = Some(value.into()),
                other => panic!("no option {other}; there are --rate, --seconds, --archive-after, --chart"),
            }
        }
        plan
    }
}

/// Now, in milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    since.as_millis() as i64
}
