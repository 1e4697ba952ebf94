/*!
The archive over a million events made from recorded ones with other values in them: events written and read in a second of
CPU time, bytes an event on disk, and how much of the archive each question passes over.

Run with `cargo bench -p nightbell-store --bench archive`; `NIGHTBELL_BENCH_FOLDER` names the disk to measure (default: the
temporary folder), `NIGHTBELL_BENCH_EVENTS` the number of events.
*/

#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::fields::Subject;
use nightbell_core::pattern::Pattern;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{Archive, Depth, Field, FileEntry, Wanted};
use nightbell_store::{Block, Catalog, Durability, MemoryStore, Position, Write};
use nightbell_winevt::DialectReader;

#[allow(dead_code, reason = "each benchmark takes what it needs")]
mod recorded;

use recorded::{HOSTS, START_MS, event, templates};

const BATCH_EVENTS: usize = 500;
const STEP_BLOCKS: usize = 256;

fn main() {
    let root = std::env::var_os("NIGHTBELL_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let events = std::env::var("NIGHTBELL_BENCH_EVENTS").map_or(1_000_000, |events| events.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let folder = tempfile::tempdir_in(&root).unwrap();
    runtime.block_on(measure(folder.path(), events));
}

async fn measure(folder: &std::path::Path, events: usize) {
    let catalog = Arc::new(MemoryStore::new());
    let archive = Archive::open_folder(folder, Arc::clone(&catalog) as Arc<dyn Catalog>).unwrap();
    let templates = templates();
    let (mut seconds, mut text_bytes, mut at) = (0.0, 0, 0);
    while at < events {
        let blocks = step(&templates, at, events);
        at += blocks.iter().flat_map(|block| &block.batches).map(|batch| batch.events.len()).sum::<usize>();
        text_bytes += blocks.iter().flat_map(|block| &block.batches).map(Batch::message_bytes).sum::<usize>();
        let begin = cpu_seconds();
        let change =
            archive.write(&blocks, &DialectReader, Timestamp::from_millis(START_MS)).await.unwrap().unwrap();
        let mut write = Write::new();
        change.commit(&mut write);
        catalog.commit(write, Durability::Disk).unwrap();
        seconds += cpu_seconds() - begin;
    }
    let files = archive.all_files().unwrap();
    let sum = |of: fn(&FileEntry) -> u64| files.iter().map(of).sum::<u64>() as f64 / events as f64;
    println!("{events} events of {} bytes in {} files", text_bytes / events, files.len());
    println!("written: {:.0} events per CPU-second", events as f64 / seconds);
    println!(
        "on disk: {:.1} B/event of files, {:.1} B/event of summaries",
        sum(|f| f.bytes),
        sum(|f| f.summary_bytes)
    );
    let begin = cpu_seconds();
    let found = archive.verify(None, Depth::Files, &mut |_| ()).await.unwrap();
    println!("verified by files: {:.0} events per CPU-second", found.events as f64 / (cpu_seconds() - begin));
    let begin = cpu_seconds();
    let found = archive.verify(None, Depth::Events, &mut |_| ()).await.unwrap();
    assert!(found.is_sound());
    println!(
        "verified by events: {:.0} events per CPU-second",
        found.events as f64 / (cpu_seconds() - begin)
    );
    println!(
        "{:<52} {:>9} {:>9} {:>8} {:>9} {:>12}",
        "question", "matches", "groups", "read", "decoded", "events/CPU-s"
    );
    for text in QUESTIONS {
        ask(&archive, &files, text).await;
    }
}

const QUESTIONS: [&str; 10] = [
    "\"no-such-word-anywhere\"",
    "\"quarterly-zebra\"",
    "user1234",
    "{ $.SubjectUserName = \"user1234\" }",
    "{ $.Audit.User = \"corp\\\\user1234\" }",
    "{ $.Audit.User = \"corp\\\\nobody\" }",
    "{ $.Audit.Folder = \"\\\\dept7\\\\project77\" }",
    "{ $.EventID = 4771 }",
    "{ $.EventID = 4719 }",
    "{ $.Audit.Outcome = \"failure\" }",
];

/// Searches everything, by summaries, columns and text in turn.
async fn ask(archive: &Archive, files: &[FileEntry], text: &str) {
    let pattern = Pattern::parse(text).unwrap();
    let fields = Field::asked_by(|facts| pattern.may_match(facts));
    let wanted = Wanted { messages: true, fields, ..Wanted::default() };
    let (mut groups, mut read, mut rows, mut decoded, mut matches) = (0, 0, 0, 0, 0);
    let begin = cpu_seconds();
    for entry in files {
        let reader = archive.open_file(entry).await.unwrap();
        for at in 0..reader.row_groups() {
            let summary = reader.summary(at).unwrap();
            groups += 1;
            rows += summary.rows();
            if !pattern.may_match(summary) {
                continue;
            }
            read += 1;
            let mut left = reader.read(at, &wanted).await.unwrap();
            while let Some(batch) = left.next(&|facts| pattern.may_match(facts)).await.unwrap() {
                decoded += batch.len();
                let hits = batch.rows().filter(|row| {
                    pattern.matches(&Subject::new(row.message(), row.stream(), &DialectReader))
                });
                matches += hits.count();
            }
        }
    }
    let rate = rows as f64 / (cpu_seconds() - begin).max(0.01);
    println!("{text:<52} {matches:>9} {groups:>9} {read:>8} {decoded:>9} {rate:>12.0}");
}

/// User and system time of the process, in hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    (ticks.max(1)) as f64 / 100.0
}

/// The blocks of one step, from event `from` on.
fn step(templates: &[String], from: usize, end: usize) -> Vec<Arc<Block>> {
    let block = |at: usize| {
        let first = from + at * BATCH_EVENTS;
        let events: Vec<Event> =
            (first..end.min(first + BATCH_EVENTS)).map(|number| event(templates, number as u64)).collect();
        let number = (first / BATCH_EVENTS) as u64;
        let batch = Batch {
            group: Group { region: "site".to_owned(), name: "security".to_owned() },
            stream: format!("srv{:02}", number as usize % HOSTS),
            arrival: events.last().map(|event| event.time.plus_millis(500)).unwrap_or_default(),
            events,
        };
        Arc::new(Block { position: Position::new(number), batches: vec![batch] })
    };
    (0..STEP_BLOCKS).map(block).filter(|block| !block.batches[0].events.is_empty()).collect()
}
