/*!
A flood of made-up account names against an alarm per account, with the real program, real sockets and a real disk.

Every event is a failed logon of an account never seen before. First so many come that the alarm is past its cap of
contributors; then, while the flood goes on, one account after the other fails six times at once and is to be told. Measured
is the time from just before the request that holds such a burst is written until its mail is accepted; and the memory of
the program before, during and after.

`cargo bench -p nightbell-server --bench flood -- [--rate N] [--fill N] [--seconds N] [--bursts N] [--rest N]
[--contributors-max N]`; see `docs/benchmarks.md`. `NIGHTBELL_BENCH_FOLDER` names the disk to measure,
`NIGHTBELL_BENCH_PROGRAM` another program than the one just built.
*/
#![allow(missing_docs)]
#![allow(clippy::print_stdout, reason = "a benchmark speaks to the terminal")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and /proc")]

#[path = "../end_to_end/client.rs"]
mod client;
mod names;
#[path = "../end_to_end/process.rs"]
mod process;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use client::{Connection, Service, signed};
use names::{Body, GROUP, STREAM};
use process::{MailServer, Server};

/// Connections that bring the flood.
const CONNECTIONS: usize = 2;
/// Events of a request of the flood.
const FLOOD_EVENTS: usize = 100;
/// Failures of an account that is to be told; the alarm's threshold is one less.
const BURST_EVENTS: usize = 6;
/// How long the last mails are waited for.
const MAILS_WAIT: Duration = Duration::from_secs(60);
/// How often the program is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// What is measured; each can be given on the command line under its name.
struct Plan {
    /// Events a second, each of another account.
    rate: usize,
    /// Seconds of flood before the first burst: past the cap with the defaults.
    fill: u64,
    /// Seconds that are measured.
    seconds: u64,
    /// Bursts a second.
    bursts: usize,
    /// Seconds of quiet after the flood, before memory is looked at again.
    rest: u64,
    /// Cap of the alarm.
    contributors_max: usize,
}

fn main() {
    let plan = Plan::read(std::env::args().skip(1));
    let root = std::env::var_os("NIGHTBELL_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(root).expect("the folder can be written");
    let mail = MailServer::start();
    let cap = plan.contributors_max.to_string();
    let server = Server::start_with(folder.path(), mail.port, &["--contributors-max", &cap]);
    make_ready(&server, &mail);
    let before_mib = server.memory_mib();
    let cpu = server.cpu_seconds();
    let begin = Instant::now();
    let tokens: Vec<String> =
        (0..plan.seconds as usize * plan.bursts).map(|n| format!("probe-x-{n:04}")).collect();
    let (sent, probed, worst_behind) = flood(&server, &plan, &tokens, begin);
    let took = begin.elapsed().as_secs_f64();
    let cpu_share = (server.cpu_seconds() - cpu) / took;
    let waited = Instant::now();
    server.wait_matched(sent);
    let behind = waited.elapsed();
    while !tokens.iter().all(|token| mail.accepted_ns(token).is_some()) && waited.elapsed() < MAILS_WAIT {
        std::thread::sleep(Duration::from_millis(20));
    }
    let missing: Vec<&String> = tokens.iter().filter(|token| mail.accepted_ns(token).is_none()).collect();
    if !missing.is_empty() {
        let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
        println!("no mail for {missing:?}; the program's log:\n{log}");
    }
    let delays = probed
        .iter()
        .zip(&tokens)
        .filter_map(|(left_ns, token)| Some((mail.accepted_ns(token)? as f64 - *left_ns as f64) / 1e6));
    let in_order: Vec<f64> = delays.collect();
    let peak_mib = server.memory_mib_max();
    let flooded_mib = server.memory_mib();
    std::thread::sleep(Duration::from_secs(plan.rest));
    let after_mib = server.memory_mib();
    let mut ms = in_order.clone();
    ms.sort_by(f64::total_cmp);
    let at = |share: f64| {
        ms.get(((ms.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied().unwrap_or(f64::NAN)
    };
    println!("accounts   {sent} events in {took:.1} s, {:.0} a second", sent as f64 / took);
    println!("mails      {} of {}", ms.len(), tokens.len());
    println!(
        "ms         median {:.0}, p90 {:.0}, p99 {:.0}, worst {:.0}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    println!("matching   {worst_behind} events behind at most, {:.2} s at the end", behind.as_secs_f64());
    println!("server CPU {:.0} % of one core", cpu_share * 100.0);
    println!(
        "memory MiB {before_mib} before, {peak_mib} at most, {flooded_mib} after the flood, {after_mib} after {} s of quiet",
        plan.rest
    );
    let by_ten: Vec<String> = in_order
        .chunks(plan.bursts * 10)
        .map(|part| format!("{:.0}", part.iter().copied().fold(0.0, f64::max)))
        .collect();
    println!("worst ms of each ten seconds: {}", by_ten.join(" "));
}

/// A topic with a confirmed subscriber, a group whose failed logons are counted by account, and an alarm over all accounts.
fn make_ready(server: &Server, mail: &MailServer) {
    let mut open = Connection::open(&server.address);
    let mut sns = |operation: &str, parameters: &str| {
        let form = format!("Action={operation}&Version=2010-03-31{parameters}");
        let request = signed(&server.address, Service::Sns, operation, form.as_bytes(), now_ms());
        String::from_utf8(open.succeed(&request)).expect("XML is text")
    };
    let made = sns("CreateTopic", "&Name=bench");
    let (_, rest) = made.split_once("<TopicArn>").expect("an ARN");
    let topic = rest.split('<').next().unwrap_or_default().to_owned();
    sns("Subscribe", &format!("&TopicArn={topic}&Protocol=email&Endpoint=security%40example.org"));
    open.get(&server.address, &mail.confirm_path());
    let mut call = |service, operation, body: Value| {
        let request = signed(&server.address, service, operation, body.to_string().as_bytes(), now_ms());
        open.succeed(&request);
    };
    call(Service::Logs, "CreateLogGroup", json!({"logGroupName": GROUP}));
    call(Service::Logs, "CreateLogStream", json!({"logGroupName": GROUP, "logStreamName": STREAM}));
    let transformation = json!({
        "metricName": "Failed", "metricNamespace": "bench", "metricValue": "1", "dimensions": {"User": "$.Audit.User"},
    });
    let pattern = r#"{ $.Audit.Action = "logon" && $.Audit.Outcome = "failure" }"#;
    let filter = json!({
        "logGroupName": GROUP, "filterName": "failed", "filterPattern": pattern,
        "metricTransformations": [transformation],
    });
    call(Service::Logs, "PutMetricFilter", filter);
    let query = "SELECT SUM(Failed) FROM bench GROUP BY User";
    let alarm = json!({
        "AlarmName": "accounts", "Metrics": [{"Id": "q1", "Expression": query, "Period": 60, "ReturnData": true}],
        "EvaluationPeriods": 1, "Threshold": BURST_EVENTS as f64 - 1.0, "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching", "AlarmActions": [topic],
    });
    call(Service::CloudWatch, "PutMetricAlarm", alarm);
}

/// Sends the flood and the bursts. Gives how many events were sent, when each burst left in nanoseconds since 1970, and by how
/// many events matching was behind at most.
fn flood(server: &Server, plan: &Plan, tokens: &[String], begin: Instant) -> (u64, Vec<u64>, u64) {
    let end = begin + Duration::from_secs(plan.fill + plan.seconds);
    let sent = AtomicU64::new(0);
    let (probed, worst) = std::thread::scope(|scope| {
        for n in 0..CONNECTIONS {
            let sent = &sent;
            scope.spawn(move || pace(server, plan.rate, n, (begin, end), sent));
        }
        let bursts = scope.spawn(|| plant(server, plan, tokens, begin, &sent));
        let mut worst = 0;
        let mut open = Connection::open(&server.address);
        while Instant::now() < end {
            let come = sent.load(Ordering::Relaxed);
            let matched = server.counter(&mut open, "nightbell_events_matched_total");
            worst = worst.max(come.saturating_sub(matched));
            std::thread::sleep(LOOK);
        }
        let probed = bursts.join().expect("no panic");
        (probed, worst)
    });
    (sent.into_inner(), probed, worst)
}

/// Brings new accounts over one of the connections until the end.
fn pace(server: &Server, rate: usize, connection: usize, (begin, end): (Instant, Instant), sent: &AtomicU64) {
    let interval = Duration::from_secs_f64((CONNECTIONS * FLOOD_EVENTS) as f64 / rate as f64);
    let mut body = Body::new(FLOOD_EVENTS);
    let mut open = Connection::open(&server.address);
    let mut due = begin + interval.mul_f64(connection as f64 / CONNECTIONS as f64);
    let mut account = (connection as u64) << 40;
    while due < end {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = now_ms();
        body.set(now, |_| {
            account += 1;
            names::account(account)
        });
        open.succeed(&signed(&server.address, Service::Logs, "PutLogEvents", body.bytes(), now));
        sent.fetch_add(FLOOD_EVENTS as u64, Ordering::Relaxed);
        due += interval;
    }
}

/// Sends the bursts, one account each; gives when each left, in nanoseconds since 1970.
fn plant(server: &Server, plan: &Plan, tokens: &[String], begin: Instant, sent: &AtomicU64) -> Vec<u64> {
    let mut open = Connection::open(&server.address);
    let mut body = Body::new(BURST_EVENTS);
    let mut left = Vec::with_capacity(tokens.len());
    for (n, token) in tokens.iter().enumerate() {
        // Not in step with the ticks of a second.
        let at = plan.fill as f64 + (n as f64 + 0.618 * (n % 7) as f64 / 7.0) / plan.bursts as f64;
        let due = begin + Duration::from_secs_f64(at);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = now_ms();
        body.set(now, |_| names::padded(token));
        let request = signed(&server.address, Service::Logs, "PutLogEvents", body.bytes(), now);
        left.push(now_ns());
        open.succeed(&request);
        sent.fetch_add(BURST_EVENTS as u64, Ordering::Relaxed);
    }
    left
}

impl Plan {
    fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut plan =
            Self { rate: 20_000, fill: 7, seconds: 60, bursts: 1, rest: 60, contributors_max: 100_000 };
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            let number: usize = value.parse().unwrap_or_else(|_| panic!("{name} {value:?}: no number"));
            match name.as_str() {
                "--rate" => plan.rate = number,
                "--fill" => plan.fill = number as u64,
                "--seconds" => plan.seconds = number as u64,
                "--bursts" => plan.bursts = number,
                "--rest" => plan.rest = number as u64,
                "--contributors-max" => plan.contributors_max = number,
                other => panic!(
                    "no option {other}; there are --rate, --fill, --seconds, --bursts, --rest, --contributors-max"
                ),
            }
        }
        plan
    }
}

/// Now, in milliseconds since 1970.
fn now_ms() -> i64 {
    (now_ns() / 1_000_000) as i64
}

/// Now, in nanoseconds since 1970: the clock that the mail server reads too.
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    since.as_nanos() as u64
}
