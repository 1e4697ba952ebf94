/*!
The start of the real program on a year of archive, and the first questions put to it.

The archive is as large as its catalog, chain, folders and summaries say, and takes little room: each file of events is a
hole of the right length, each summary the same real one, and both are linked under all names. The catalog is made of the
chain by the program's own code. The journal holds as many events as an hour brings.

`cargo bench -p nightbell-server --bench start -- [--gigabytes N] [--groups N] [--hours N] [--waiting N] [--starts N]`; see
`docs/benchmarks.md`. `NIGHTBELL_BENCH_FOLDER` names the disk to measure.
*/
#![allow(missing_docs)]
#![allow(clippy::print_stdout, reason = "a benchmark speaks to the terminal")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and /proc")]

#[path = "../end_to_end/client.rs"]
#[allow(dead_code, reason = "each benchmark takes what it needs")]
mod client;
#[path = "../end_to_end/process.rs"]
#[allow(dead_code, reason = "each benchmark takes what it needs")]
mod process;
#[path = "../../../nightbell-store/benches/recorded/mod.rs"]
#[allow(dead_code, reason = "each benchmark takes what it needs")]
mod recorded;
mod sparse;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::time::Timestamp;
use nightbell_store::archive::Archive;
use nightbell_store::{Catalog, Journal, LocalStore, Options};
use serde_json::{Value, json};

use client::{Connection, REGION, Service, signed};
use process::Server;

/// Events of a batch: what an agent sends at once.
const BATCH_EVENTS: u64 = 500;
/// Batches that wait for one sync.
const BATCHES_AT_ONCE: u64 = 32;
/// How long the program is left alone before its memory is looked at again.
const REST: Duration = Duration::from_secs(5);
/// What no event holds.
const ABSENT: &str = "\"no-such-word-anywhere\"";

/// What is measured; each can be given on the command line under its name.
pub(crate) struct Plan {
    /// Size of the archive, in 10^9 bytes.
    gigabytes: u64,
    /// Log groups, which bring the same number of events.
    groups: u64,
    /// Hours that the archive goes back.
    hours: u64,
    /// Events in the journal, of which half are archived.
    waiting: u64,
    /// Starts that are timed.
    starts: u64,
}

fn main() {
    let plan = Plan::read();
    let root = std::env::var_os("NIGHTBELL_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(root).expect("the folder can be written");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("the folder can be written");
    make_groups(&data, plan.groups);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(fill(&plan, folder.path(), &data));
    println!("start  listens after s  memory MiB  after {} s", REST.as_secs());
    for start in 1..=plan.starts {
        let begin = Instant::now();
        let server = Server::start_with(&data, 1, &[]);
        let seconds = begin.elapsed().as_secs_f64();
        let memory_mib = server.memory_mib();
        std::thread::sleep(REST);
        println!("{start:>5}  {seconds:>15.3}  {memory_mib:>10}  {:>9}", server.memory_mib());
    }
    ask(&data, &plan);
}

/// The first questions after a start: nothing is in the program's memory yet.
fn ask(data: &Path, plan: &Plan) {
    let server = Server::start_with(data, 1, &[]);
    let now = now_ms();
    println!("a word that is nowhere, in one group:  first, s  again, s  memory at most, MiB");
    for (name, hours) in
        [("last hour", 1), ("last day", 24), ("last 30 days", 720), ("everything", plan.hours)]
    {
        let from = now - hours as i64 * 3_600_000;
        let seconds = [(); 2].map(|()| {
            let begin = Instant::now();
            assert_eq!(filter_events(&server, from, now), 0, "nothing holds it");
            begin.elapsed().as_secs_f64()
        });
        let (first, again) = (seconds[0], seconds[1]);
        println!("{name:>37}  {first:>8.3}  {again:>8.3}  {:>20}", server.memory_mib_max());
    }
}

/// How many events FilterLogEvents finds, all pages together.
fn filter_events(server: &Server, from_ms: i64, to_ms: i64) -> usize {
    let mut open = Connection::open(&server.address);
    let mut body = json!({"logGroupName": group(0).name, "filterPattern": ABSENT, "startTime": from_ms, "endTime": to_ms});
    let mut found = 0;
    loop {
        let text = body.to_string();
        let request = signed(&server.address, Service::Logs, "FilterLogEvents", text.as_bytes(), now_ms());
        let answer: Value = serde_json::from_slice(&open.succeed(&request)).expect("JSON");
        found += answer["events"].as_array().map_or(0, Vec::len);
        let Some(token) = answer["nextToken"].as_str() else { return found };
        body["nextToken"] = json!(token);
    }
}

/// Lets the program make its groups, so that what is stored belongs to them.
fn make_groups(data: &Path, groups: u64) {
    let server = Server::start_with(data, 1, &[]);
    let mut open = Connection::open(&server.address);
    for n in 0..groups {
        let body = json!({"logGroupName": group(n).name}).to_string();
        open.succeed(&signed(&server.address, Service::Logs, "CreateLogGroup", body.as_bytes(), now_ms()));
    }
}

/// Fills journal, archive and catalog.
async fn fill(plan: &Plan, folder: &Path, data: &Path) {
    let templates = recorded::templates();
    let store =
        Arc::new(LocalStore::open(&data.join("store"), Options::default()).expect("it can be opened"));
    let mut appending = Vec::new();
    for at in (0..plan.waiting).step_by(BATCH_EVENTS as usize) {
        let batch = batch(&templates, group(at / BATCH_EVENTS % plan.groups), at, now_ms());
        appending.push(store.append(batch));
        if appending.len() as u64 == BATCHES_AT_ONCE {
            for appended in appending.drain(..) {
                appended.await.expect("the disk takes it");
            }
        }
    }
    for appended in appending {
        appended.await.expect("the disk takes it");
    }
    let positions = store.end().borrow().number();
    let begin = Instant::now();
    let made = sparse::make(plan, &templates, folder, &data.join("archive"), positions / 2).await;
    let made_s = begin.elapsed().as_secs_f64();
    println!(
        "made       {} files of {} events, {:.1} GB with their summaries, and as many documents, in {made_s:.0} s",
        made.files,
        made.rows,
        made.bytes as f64 / 1e9,
    );
    let begin = Instant::now();
    let catalog = Arc::clone(&store) as Arc<dyn Catalog>;
    let archive = Archive::open_folder(&data.join("archive"), catalog).expect("it can be opened");
    let head = archive.rebuild().await.expect("the chain is whole");
    println!(
        "catalog    {} steps and files made of the chain in {:.1} s",
        head.next,
        begin.elapsed().as_secs_f64()
    );
    println!("journal    {} events in {positions} blocks", plan.waiting);
    store.close();
    println!("on disk    {:.0} MiB in the store's folder", store_mib(&data.join("store")));
}

/// What the folder takes of the disk.
fn store_mib(path: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt;

    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::metadata(path).map_or(0.0, |found| found.blocks() as f64 / 2_048.0);
    };
    entries.map_while(Result::ok).map(|entry| store_mib(&entry.path())).sum()
}

pub(crate) fn group(n: u64) -> Group {
    Group { region: REGION.to_owned(), name: format!("group-{n}") }
}

pub(crate) fn batch(templates: &[String], group: Group, first: u64, now_ms: i64) -> Batch {
    let event = |number| Event {
        time: Timestamp::from_millis(now_ms),
        message: recorded::event(templates, number).message,
    };
    Batch {
        group,
        stream: format!("srv{:02}", first / BATCH_EVENTS % recorded::HOSTS as u64),
        arrival: Timestamp::from_millis(now_ms),
        events: (first..first + BATCH_EVENTS).map(event).collect(),
    }
}

impl Plan {
    fn read() -> Self {
        let option = |name: &str, default: u64| {
            let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
            arguments.next().map_or(default, |value| value.parse().expect("a number"))
        };
        Self {
            gigabytes: option("--gigabytes", 100),
            groups: option("--groups", 10),
            hours: option("--hours", 8_760),
            waiting: option("--waiting", 250_000),
            starts: option("--starts", 5),
        }
    }
}

/// Now, in milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    since.as_millis() as i64
}
