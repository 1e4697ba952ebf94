/*!
Search over millions of stored events by the real program, beside `zstdcat | rg` over the same messages and DuckDB over the
same Parquet files.

Makes the events, archives them as the program would, starts the program on them and lets `ask.py` put the same questions to
all three; answers that differ end the measurement.

`cargo bench -p nightbell-server --bench search -- [--events N] [--repeat N]`; see `docs/benchmarks.md`.
`NIGHTBELL_BENCH_FOLDER` names the disk to measure, `NIGHTBELL_BENCH_PROGRAM` another program than the one just built.
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

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::time::Timestamp;
use nightbell_store::archive::Archive;
use nightbell_store::{Catalog, Durability, Journal, LocalStore, Options, Write};
use nightbell_winevt::DialectReader;

use client::{Connection, KEY_ID, REGION, SECRET, Service, signed};
use process::Server;

/// The log group of all events.
const GROUP: &str = "security";
/// Events of a batch: what an agent sends at once.
const BATCH_EVENTS: u64 = 500;
/// Events that are archived in one step, about an hour's.
const STEP_EVENTS: u64 = 250_000;
/// Batches that wait for one sync.
const BATCHES_AT_ONCE: usize = 32;
/// Bytes of blocks read at once.
const READ_BYTES: usize = 64 << 20;

fn main() {
    let option = |name: &str, default: u64| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
        arguments.next().map_or(default, |value| value.parse().expect("a number"))
    };
    let (events, repeat) = (option("--events", 10_000_000), option("--repeat", 3));
    let root = std::env::var_os("NIGHTBELL_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(root).expect("the folder can be written");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("the folder can be written");
    make_group(&data);
    let text = folder.path().join("messages.zst");
    let begin = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let text_bytes = runtime.block_on(fill(&data, &text, events));
    println!(
        "made       {events} events, {:.0} bytes each, in {:.0} s",
        text_bytes as f64 / events as f64,
        begin.elapsed().as_secs_f64()
    );
    let on_disk = |path: &Path| bytes_below(path) as f64 / events as f64;
    println!(
        "on disk    {:.1} bytes an event in the archive, {:.1} as zstd -1 text",
        on_disk(&data.join("archive")),
        on_disk(&text)
    );
    let begin = Instant::now();
    let server = Server::start_with(&data, 1, &[]);
    println!("start      {:.2} s until it listens", begin.elapsed().as_secs_f64());
    let idle_mib = server.memory_mib();
    ask(&server, &data, &text, events, repeat);
    println!("memory     {idle_mib} MiB before, {} MiB at most", server.memory_mib_max());
}

/// Lets the program make its group, so that what is stored belongs to it.
fn make_group(data: &Path) {
    let server = Server::start_with(data, 1, &[]);
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis();
    let mut connection = Connection::open(&server.address);
    let body = format!("{{\"logGroupName\":\"{GROUP}\"}}");
    let request = signed(&server.address, Service::Logs, "CreateLogGroup", body.as_bytes(), now_ms as i64);
    connection.succeed(&request);
}

/// Stores and archives the events, and writes their messages as lines of compressed text; returns their bytes.
async fn fill(data: &Path, text: &Path, events: u64) -> u64 {
    let store =
        Arc::new(LocalStore::open(&data.join("store"), Options::default()).expect("it can be opened"));
    let catalog = Arc::clone(&store) as Arc<dyn Catalog>;
    let archive =
        Archive::open_folder(&data.join("archive"), Arc::clone(&catalog)).expect("it can be opened");
    archive.recover().await.expect("it is new");
    let (mut compress, mut lines) = compressor(text);
    let templates = recorded::templates();
    let (mut at, mut bytes) = (0, 0);
    while at < events {
        let end = events.min(at + STEP_EVENTS);
        let mut batches: Vec<Batch> = Vec::new();
        while at < end {
            let batch = batch(&templates, at, end.min(at + BATCH_EVENTS));
            at += batch.events.len() as u64;
            bytes += write_lines(&mut lines, &batch.events);
            batches.push(batch);
            if batches.len() == BATCHES_AT_ONCE || at == end {
                let appending: Vec<_> = batches.drain(..).map(|batch| store.append(batch)).collect();
                for appended in appending {
                    appended.await.expect("the disk takes it");
                }
            }
        }
        archive_all(&store, &archive, &*catalog).await;
    }
    drop(lines);
    assert!(compress.wait().expect("zstd ends").success());
    store.close();
    bytes
}

async fn archive_all(store: &LocalStore, archive: &Archive, catalog: &dyn Catalog) {
    let now = Timestamp::from_millis(recorded::START_MS);
    loop {
        let from = archive.head().expect("it can be read").archived.max(store.start());
        let mut blocks = Vec::new();
        while let Ok(more) = store.read(blocks.last().map_or(from, next), READ_BYTES)
            && !more.is_empty()
        {
            blocks.extend(more);
        }
        let Some(change) = archive.write(&blocks, &DialectReader, now).await.expect("it can be written")
        else {
            break;
        };
        let mut write = Write::new();
        change.commit(&mut write);
        catalog.commit(write, Durability::Disk).expect("the disk takes it");
        store.trim(change.head.archived).expect("the disk takes it");
    }
}

fn next(block: &Arc<nightbell_store::Block>) -> nightbell_store::Position {
    block.position.next()
}

fn batch(templates: &[String], from: u64, to: u64) -> Batch {
    let events: Vec<Event> = (from..to).map(|number| recorded::event(templates, number)).collect();
    Batch {
        group: Group { region: REGION.to_owned(), name: GROUP.to_owned() },
        stream: format!("srv{:02}", from / BATCH_EVENTS % recorded::HOSTS as u64),
        arrival: events.last().map(|event| event.time.plus_millis(500)).unwrap_or_default(),
        events,
    }
}

fn compressor(text: &Path) -> (std::process::Child, ChildStdin) {
    let mut zstd = Command::new("zstd")
        .args(["-1", "-q", "-o"])
        .arg(text)
        .stdin(Stdio::piped())
        .spawn()
        .expect("zstd is installed");
    let lines = zstd.stdin.take().expect("it is piped");
    (zstd, lines)
}

/// One line for each message; returns the bytes of the messages.
fn write_lines(lines: &mut ChildStdin, events: &[Event]) -> u64 {
    let mut text = String::new();
    for event in events {
        text.extend(event.message.chars().map(|c| if c == '\n' { ' ' } else { c }));
        text.push('\n');
    }
    lines.write_all(text.as_bytes()).expect("zstd takes it");
    events.iter().map(|event| event.message.len() as u64).sum()
}

fn ask(server: &Server, data: &Path, text: &Path, events: u64, repeat: u64) {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("NIGHTBELL_BENCH_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| here.join("../../.venv/bin/python"));
    let last_ms = recorded::START_MS + ((events - 1) * 3_600_000 / recorded::HOUR_EVENTS) as i64;
    let status = Command::new(&python)
        .arg(here.join("benches/search/ask.py"))
        .args([&format!("http://{}", server.address), GROUP, REGION])
        .arg(data.join("archive"))
        .arg(text)
        .args([last_ms.to_string(), repeat.to_string(), recorded::RARE_WORD.to_owned()])
        .env("AWS_ACCESS_KEY_ID", KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .status()
        .unwrap_or_else(|error| panic!("{} does not start ({error}); run make setup", python.display()));
    assert!(status.success(), "the questions were not answered alike");
}

fn bytes_below(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::metadata(path).map_or(0, |found| found.len());
    };
    entries.map_while(Result::ok).map(|entry| bytes_below(&entry.path())).sum()
}
