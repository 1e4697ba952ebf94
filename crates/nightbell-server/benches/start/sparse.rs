/*!
A sparse archive: one real summary and one hole in place of a file of events, linked under the names of all files, and the
chain of the steps that wrote them.
*/

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightbell_core::time::{HOUR_MS, Timestamp};
use nightbell_store::archive::{Archive, ChainBlock, FileEntry, Fingerprint, Part, Step};
use nightbell_store::{Block, MemoryStore, Position};
use nightbell_winevt::DialectReader;

use super::{BATCH_EVENTS, Plan, batch, group, now_ms, recorded};

/// Bytes that an event takes in the archive: see the part `search`.
const EVENT_BYTES: u64 = 54;
/// Ranges of the journal whose events one merged file holds.
const PARTS: u64 = 5;
/// Names of one file; file systems allow 65,000.
const LINKS: u64 = 50_000;

/// What was made.
pub(crate) struct Made {
    pub(crate) files: u64,
    /// Events of a file.
    pub(crate) rows: u64,
    /// Bytes of all files and summaries.
    pub(crate) bytes: u64,
}

/// Makes the archive in `folder`; its events come from the first `positions` blocks of the journal.
pub(crate) async fn make(
    plan: &Plan,
    templates: &[String],
    work: &Path,
    folder: &Path,
    positions: u64,
) -> Made {
    let files = plan.groups * plan.hours;
    let rows = (plan.gigabytes * 1_000_000_000 / EVENT_BYTES / files).max(BATCH_EVENTS);
    let (model, summary) = model(templates, rows, work).await;
    let hole = work.join("hole");
    std::fs::create_dir_all(folder.join("chain")).expect("the folder can be written");
    let last_hour = now_ms() / HOUR_MS;
    let mut previous = Fingerprint::ZERO;
    let mut sources = (PathBuf::new(), PathBuf::new());
    for number in 0..files {
        if number % LINKS == 0 {
            let n = number / LINKS;
            sources = (hole.with_extension(format!("{n}")), summary.with_extension(format!("{n}")));
            let made = File::create(&sources.0).and_then(|file| file.set_len(model.bytes));
            made.expect("the folder can be written");
            std::fs::copy(&summary, &sources.1).expect("the folder can be written");
        }
        let hour = last_hour - plan.hours as i64 + 1 + (number / plan.groups) as i64;
        let entry = entry(&model, number, number % plan.groups, hour, number * positions / files);
        link(&sources.0, &folder.join(&entry.path));
        link(&sources.1, &folder.join(entry.summary_path()));
        let block = step(number, previous, entry);
        previous = block.hash;
        let mut document = serde_json::to_vec_pretty(&block).expect("plain values");
        document.push(b'\n');
        std::fs::write(folder.join(format!("chain/{number:020}.json")), document)
            .expect("the folder can be written");
    }
    let rows = model.rows;
    Made { files, rows, bytes: files * (model.bytes + model.summary_bytes) }
}

/// A file as the archive writes it: its entry, and where its summary lies.
async fn model(templates: &[String], rows: u64, work: &Path) -> (FileEntry, PathBuf) {
    let folder = work.join("model");
    let archive = Archive::open_folder(&folder, Arc::new(MemoryStore::new())).expect("it can be opened");
    let time_ms = now_ms();
    let batches =
        (0..rows).step_by(BATCH_EVENTS as usize).map(|at| batch(templates, group(0), at, time_ms)).collect();
    let block = Arc::new(Block { position: Position::FIRST, batches });
    let now = Timestamp::from_millis(recorded::START_MS);
    let written = archive.write(&[block], &DialectReader, now).await.expect("it can be written");
    let entry = written.expect("there are events").block.files()[0].clone();
    let summary = folder.join(entry.summary_path());
    (entry, summary)
}

fn entry(model: &FileEntry, number: u64, of_group: u64, hour: i64, position: u64) -> FileEntry {
    let group = group(of_group);
    let start = Timestamp::from_millis(hour * HOUR_MS);
    let (from, to) = (Position::new(position), Position::new(position + 1));
    let rows = |part| model.rows / PARTS + u64::from(part < model.rows % PARTS);
    let content = model.parts[0].content;
    let folder = format!("group={}%2F{}", group.region, group.name);
    let iso = start.iso();
    FileEntry {
        path: format!(
            "{folder}/date={}/hour={}/{position:020}-{number:020}.parquet",
            &iso[..10],
            &iso[11..13]
        ),
        group,
        hour,
        first: start,
        last: start.plus_millis(HOUR_MS - 1),
        first_arrival: start,
        last_arrival: start.plus_millis(HOUR_MS),
        parts: (0..PARTS).map(|part| Part { from, to, rows: rows(part), content }).collect(),
        ..model.clone()
    }
}

fn step(number: u64, previous: Fingerprint, entry: FileEntry) -> ChainBlock {
    let (from, to, time) = (entry.from(), entry.from().next(), entry.last_arrival);
    let step = Step::Archived { from, to, files: vec![entry] };
    let mut block = ChainBlock { number, previous, time, step, hash: Fingerprint::ZERO };
    block.hash = block.expected_hash();
    block
}

fn link(source: &Path, place: &Path) {
    if std::fs::hard_link(source, place).is_err() {
        std::fs::create_dir_all(place.parent().expect("a folder of its hour")).expect("it can be written");
        std::fs::hard_link(source, place).expect("the folder can be written");
    }
}
