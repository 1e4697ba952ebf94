/*!
The two measurements: how long until the mail is accepted, and how many events a second of CPU time takes.
*/

use std::time::{Duration, Instant};

use crate::client::{Connection, Service, signed};
use crate::events::{Body, marked_message, message};
use crate::process::Server;
use crate::setting::{GROUP, Setting, now_ms, now_ns};

/// Connections that bring events at the same time.
const CONNECTIONS: usize = 4;
/// Events of one request at a fixed rate, and of the request that brings a deciding event.
const PACED_EVENTS: usize = 50;
/// Events of one request when all goes as fast as possible: near the limit of 1 MiB.
const BULK_EVENTS: usize = 650;
/// Different requests that each connection sends in turn.
const BODIES: usize = 10;
/// How long the last mails are waited for.
const MAILS_WAIT: Duration = Duration::from_secs(15);

/// What came of the deciding events of one measurement.
pub(crate) struct Latency {
    /// From just before the request is sent until the mail is accepted; sorted.
    pub(crate) ms: Vec<f64>,
    /// How many mails there should be.
    pub(crate) probes: usize,
    /// Ordinary events that came in.
    pub(crate) events_per_second: f64,
    /// CPU seconds of the server a second; 1.0 is one core.
    pub(crate) cpu_share: f64,
}

impl Latency {
    /// The time within which this share of the mails was accepted.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let at = (self.ms.len() as f64 * share).ceil() as usize;
        self.ms.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

/// Sends one deciding event for each token, evenly over the time, while ordinary events come in at `rate` a second.
pub(crate) fn latency(setting: &mut Setting<'_>, rate: usize, seconds: u64, tokens: &[String]) -> Latency {
    let server = setting.server;
    let cpu = server.cpu_seconds();
    let begin = Instant::now();
    let end = begin + Duration::from_secs(seconds);
    let (sent, probed) = std::thread::scope(|scope| {
        let background: Vec<_> =
            (0..CONNECTIONS).map(|n| scope.spawn(move || pace(server, n, rate, begin, end))).collect();
        let probed = scope.spawn(move || probe(server, tokens, begin, seconds)).join().expect("no panic");
        let sent: u64 = background.into_iter().map(|one| one.join().expect("no panic")).sum();
        (sent, probed)
    });
    let took = begin.elapsed().as_secs_f64();
    let events = sent + (tokens.len() * PACED_EVENTS) as u64;
    setting.events += events;
    server.wait_matched(setting.events);
    let cpu_share = (server.cpu_seconds() - cpu) / took;
    let waited = Instant::now();
    let arrived = |token: &String| setting.mail.accepted_ns(token).is_some();
    while !tokens.iter().all(arrived) && waited.elapsed() < MAILS_WAIT {
        std::thread::sleep(Duration::from_millis(20));
    }
    let accepted = probed.iter().zip(tokens).filter_map(|(sent_ns, token)| {
        let accepted_ns = setting.mail.accepted_ns(token)?;
        Some((accepted_ns as f64 - *sent_ns as f64) / 1e6)
    });
    let mut ms: Vec<f64> = accepted.collect();
    ms.sort_by(f64::total_cmp);
    Latency { ms, probes: tokens.len(), events_per_second: events as f64 / took, cpu_share }
}

/// Brings ordinary events over one of the connections, signed as they are sent; gives how many.
fn pace(server: &Server, connection: usize, rate: usize, begin: Instant, end: Instant) -> u64 {
    let interval = Duration::from_secs_f64((CONNECTIONS * PACED_EVENTS) as f64 / rate as f64);
    let mut bodies = bodies(connection, PACED_EVENTS);
    let mut open = Connection::open(&server.address);
    let mut due = begin + interval.mul_f64(connection as f64 / CONNECTIONS as f64);
    let mut sent = 0;
    while due < end {
        sleep_until(due);
        let body = &mut bodies[sent % BODIES];
        let now = now_ms();
        open.succeed(&signed(&server.address, Service::Logs, "PutLogEvents", body.at(now), now));
        sent += 1;
        due += interval;
    }
    (sent * PACED_EVENTS) as u64
}

/// Sends the deciding events; gives when each left, in nanoseconds since 1970.
fn probe(server: &Server, tokens: &[String], begin: Instant, seconds: u64) -> Vec<u64> {
    let mut open = Connection::open(&server.address);
    let mut left = Vec::with_capacity(tokens.len());
    for (n, token) in tokens.iter().enumerate() {
        let mut messages: Vec<String> = (1..PACED_EVENTS).map(|i| message(n * PACED_EVENTS + i)).collect();
        // 4656 and not 4663: the rule asks for it.
        messages.push(marked_message(4 * n + 1, token));
        let mut body = Body::new(GROUP, &messages);
        // Not in step with the ticks of a second.
        sleep_until(begin + Duration::from_secs(seconds).mul_f64((n as f64 + 0.5) / tokens.len() as f64));
        let now = now_ms();
        let request = signed(&server.address, Service::Logs, "PutLogEvents", body.at(now), now);
        left.push(now_ns());
        open.succeed(&request);
    }
    left
}

/// What came of sending as fast as possible.
pub(crate) struct Throughput {
    /// Events a second of time, from the first request until the last event is matched.
    pub(crate) per_second: f64,
    /// How far matching was behind when the last request was answered.
    pub(crate) behind_ms: f64,
    /// Events a second of the server's CPU time, matching included.
    pub(crate) per_cpu_second: f64,
}

/// Sends large requests, signed before the clock starts, each connection its next when the last is answered.
pub(crate) fn throughput(setting: &mut Setting<'_>, seconds: u64) -> Throughput {
    let server = setting.server;
    let now = now_ms();
    let prepared: Vec<Vec<Vec<u8>>> = (0..CONNECTIONS)
        .map(|connection| {
            let sign =
                |mut body: Body| signed(&server.address, Service::Logs, "PutLogEvents", body.at(now), now);
            bodies(connection, BULK_EVENTS).into_iter().map(sign).collect()
        })
        .collect();
    let cpu = server.cpu_seconds();
    let begin = Instant::now();
    let end = begin + Duration::from_secs(seconds);
    let sent: usize = std::thread::scope(|scope| {
        let running: Vec<_> =
            prepared.iter().map(|requests| scope.spawn(move || hurry(server, requests, end))).collect();
        running.into_iter().map(|one| one.join().expect("no panic")).sum()
    });
    let answered = Instant::now();
    let events = (sent * BULK_EVENTS) as u64;
    setting.events += events;
    server.wait_matched(setting.events);
    let behind_ms = answered.elapsed().as_secs_f64() * 1e3;
    let cpu = server.cpu_seconds() - cpu;
    let per_second = events as f64 / begin.elapsed().as_secs_f64();
    Throughput { per_second, behind_ms, per_cpu_second: events as f64 / cpu }
}

/// Sends requests over one connection until the end; gives how many.
fn hurry(server: &Server, requests: &[Vec<u8>], end: Instant) -> usize {
    let mut open = Connection::open(&server.address);
    let mut sent = 0;
    while Instant::now() < end {
        open.succeed(&requests[sent % requests.len()]);
        sent += 1;
    }
    sent
}

/// The requests' bodies of one connection, each of `events` events.
fn bodies(connection: usize, events: usize) -> Vec<Body> {
    let first = (connection + 1) * 1_000_000;
    (0..BODIES)
        .map(|n| {
            let messages: Vec<String> = (0..events).map(|i| message(first + n * events + i)).collect();
            Body::new(GROUP, &messages)
        })
        .collect()
}

fn sleep_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}
