/*!
The archive over a million events made from recorded ones with other values in them: events written and read in a second of
CPU time, bytes an event on disk, and how much of the archive each question passes over.

Run with `cargo bench -p nightbell-store --bench archive`; `NIGHTBELL_BENCH_FOLDER` names the disk to measure (default: the
temporary folder), `NIGHTBELL_BENCH_EVENTS` the number of events.
*/

#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;
use std::sync::Arc;

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::fields::Subject;
use nightbell_core::pattern::Pattern;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{Archive, Depth, Field, FileEntry, Wanted};
use nightbell_store::{Block, Catalog, Durability, MemoryStore, Position, Write};
use nightbell_winevt::DialectReader;
use nightbell_winevt::evtx::Reader as Evtx;

const BATCH_EVENTS: usize = 500;
const STEP_BLOCKS: usize = 256;
const HOSTS: usize = 50;
const USERS: u64 = 2_000;
const HOUR_EVENTS: u64 = 250_000;
const START_MS: i64 = 1_789_362_000_000;

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

fn templates() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/evtx");
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "evtx"));
    names.sort();
    names.iter().flat_map(|path| Evtx::open(path).unwrap()).map(|record| record.xml).collect()
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

/// A recorded event with other values in it.
fn event(templates: &[String], number: u64) -> Event {
    let noise = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let time = Timestamp::from_millis(START_MS + (number * 3_600_000 / HOUR_EVENTS) as i64);
    let mut message = templates[(noise >> 32) as usize % templates.len()].clone();
    let skewed = (noise >> 8 & 0xFFFF) * (noise >> 24 & 0xFFFF) / (1 << 16); // few users do most
    let user = format!("user{}", (skewed * USERS) >> 16);
    replace(&mut message, "<EventRecordID>", "<", &number.to_string());
    replace(&mut message, "SystemTime=\"", "\"", &time.iso());
    replace(&mut message, "<Computer>", "<", &format!("srv{:02}.corp.example.com", noise % HOSTS as u64));
    let word = if number % 400_000 == 399_999 { "quarterly-zebra" } else { "report" };
    let object = format!(
        "\\Device\\HarddiskVolume16\\share\\dept{}\\project{}\\{word}-{:x}.docx",
        user.len() as u64 + noise % 9,
        noise >> 40 & 0x7F,
        noise
    );
    let values = [
        ("SubjectUserName", user.clone()),
        ("TargetUserName", user),
        ("SubjectDomainName", "CORP".to_owned()),
        ("TargetDomainName", "CORP".to_owned()),
        ("IpAddress", format!("10.{}.{}.{}", noise >> 3 & 3, noise >> 16 & 0xFF, noise >> 48 & 0xFF)),
        ("IpPort", (noise >> 48).to_string()),
        ("SubjectLogonId", format!("0x{:x}", noise >> 36)),
        ("TargetLogonId", format!("0x{:x}", noise >> 35)),
        ("HandleId", format!("0x{:x}", noise >> 44)),
        ("ObjectName", object),
    ];
    for (name, value) in values {
        replace(&mut message, &format!("Name=\"{name}\">"), "<", &value);
    }
    Event { time, message }
}

/// Puts `value` between the first `before` and the next `after`.
fn replace(message: &mut String, before: &str, after: &str, value: &str) {
    let Some(start) = message.find(before).map(|at| at + before.len()) else { return };
    let Some(length) = message[start..].find(after) else { return };
    message.replace_range(start..start + length, value);
}
