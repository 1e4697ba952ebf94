/*!
Durable events a second: the journal against a bare compressed file with the same batches in the same blocks and as many
`fdatasync`s, its length set before as the log's is. Ratios within a run hold between machines; absolutes do not. Both
take turns, and the turn with the middle ratio is shown: syncs of one disk differ much.

Run with `cargo bench -p nightbell-store`; `NIGHTBELL_BENCH_FOLDER` names the disk to measure (default: the temporary
folder).
*/

#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::time::Timestamp;
use nightbell_store::{Journal, LocalStore, Options, Position};

const BATCH_EVENTS: usize = 500;
const BATCHES: usize = 256;
const WRITERS: [usize; 3] = [1, 8, 64];
const TURNS: usize = 15;

/// The length that the log is given before it is written.
const LOG_BYTES: u64 = 64 * 1024 * 1024;

fn main() {
    let root = std::env::var_os("NIGHTBELL_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let (writers_asked, turns_asked) = asked(std::env::args().skip(1));
    let events = BATCHES * BATCH_EVENTS;
    let text_bytes: usize = (0..BATCHES).map(|i| batch(i).message_bytes()).sum();
    println!(
        "{events} events of {} bytes, {BATCH_EVENTS} a batch, in {}",
        text_bytes / events,
        root.display()
    );
    println!(
        "writers  blocks  journal ev/s  bare ev/s  ratio  (least to most)  folder B/ev  bare B/ev  read ev/s"
    );
    for writers in writers_asked {
        let mut turns: Vec<Turn> = (0..turns_asked).map(|_| Turn::of(&root, writers)).collect();
        turns.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        let (least, most) = (turns[0].ratio(), turns[turns_asked - 1].ratio());
        let Turn { journal, blocks, folder_bytes, bare } = &turns[turns_asked / 2];
        let rate = |seconds: f64| events as f64 / seconds;
        println!(
            "{writers:>7}  {:>6}  {:>12.0}  {:>9.0}  {:>5.2}  ({least:.2} to {most:.2})  {:>13.1}  {:>9.1}  {:>9.0}",
            blocks.sizes.len(),
            rate(*journal),
            rate(bare.seconds),
            bare.seconds / *journal,
            *folder_bytes as f64 / events as f64,
            bare.bytes as f64 / events as f64,
            rate(blocks.seconds),
        );
    }
}

/// The numbers of writers, and the turns of each: those on the command line (`--writers LIST --turns N`), or all.
fn asked(arguments: impl Iterator<Item = String>) -> (Vec<usize>, usize) {
    let (mut writers, mut turns) = (WRITERS.to_vec(), TURNS);
    let mut arguments = arguments.filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match name.as_str() {
            "--writers" => writers = value.split(',').map(|n| n.parse().expect("a number")).collect(),
            "--turns" => turns = value.parse::<usize>().expect("a number").max(1),
            other => panic!("no option {other}; there are --writers, --turns"),
        }
    }
    (writers, turns)
}

/// What one turn of both came to.
struct Turn {
    /// Seconds of the journal.
    journal: f64,
    blocks: Blocks,
    folder_bytes: u64,
    bare: Bare,
}

impl Turn {
    fn of(root: &Path, writers: usize) -> Self {
        let folder = tempfile::tempdir_in(root).unwrap();
        let journal = measure_journal(folder.path(), writers);
        let blocks = block_sizes(folder.path());
        let folder_bytes = allocated_bytes(folder.path());
        let bare = measure_bare(folder.path(), &blocks.sizes);
        Self { journal, blocks, folder_bytes, bare }
    }

    fn ratio(&self) -> f64 {
        self.bare.seconds / self.journal
    }
}

/// Seconds until all batches are acknowledged to `writers` callers that each wait for one before the next.
fn measure_journal(folder: &Path, writers: usize) -> f64 {
    let store = Arc::new(LocalStore::open(folder, Options::default()).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let mut shares: Vec<Vec<Batch>> = (0..writers).map(|_| Vec::new()).collect();
    for i in 0..BATCHES {
        shares[i % writers].push(batch(i));
    }
    let begin = Instant::now();
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let store = Arc::clone(&store);
            runtime.spawn(async move {
                for batch in share {
                    store.append(batch).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    begin.elapsed().as_secs_f64()
}

struct Blocks {
    /// How many batches each block of the journal holds.
    sizes: Vec<usize>,
    /// How long it took to read them all from disk.
    seconds: f64,
}

fn block_sizes(folder: &Path) -> Blocks {
    let store = LocalStore::open(folder, Options::default()).unwrap();
    let begin = Instant::now();
    let (mut sizes, mut from) = (Vec::new(), Position::FIRST);
    loop {
        let blocks = store.read(from, 16 * 1024 * 1024).unwrap();
        let Some(last) = blocks.last() else { break };
        from = last.position.next();
        sizes.extend(blocks.iter().map(|block| block.batches.len()));
    }
    Blocks { sizes, seconds: begin.elapsed().as_secs_f64() }
}

struct Bare {
    seconds: f64,
    bytes: u64,
}

fn measure_bare(folder: &Path, blocks: &[usize]) -> Bare {
    let mut batches: Vec<Batch> = (0..BATCHES).map(batch).collect();
    let mut file = File::create(folder.join("bare")).unwrap();
    file.set_len(LOG_BYTES).unwrap();
    file.sync_all().unwrap();
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    let (mut plain, mut packed, mut bytes) = (Vec::new(), Vec::new(), 0);
    let begin = Instant::now();
    for &size in blocks {
        let block: Vec<Batch> = batches.drain(..size).collect();
        plain.clear();
        plain = postcard::to_extend(&block, plain).unwrap();
        packed.clear();
        packed.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        compressor.compress_to_buffer(&plain, &mut packed).unwrap();
        file.write_all(&packed).unwrap();
        file.sync_data().unwrap();
        bytes += packed.len() as u64;
    }
    Bare { seconds: begin.elapsed().as_secs_f64(), bytes }
}

/// What the folder takes on disk: log, flushed files and catalog together.
fn allocated_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;

    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let bytes = |entry: std::fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() { allocated_bytes(&entry.path()) } else { metadata.blocks() * 512 }
    };
    entries.map(bytes).sum()
}

fn batch(number: usize) -> Batch {
    Batch {
        group: Group { region: "site".to_owned(), name: "files".to_owned() },
        stream: format!("srv{}", number % 20),
        arrival: Timestamp::from_seconds(1_789_364_521),
        events: (0..BATCH_EVENTS).map(|i| event((number * BATCH_EVENTS + i) as u64)).collect(),
    }
}

/// A file-access event as Windows renders it, with the fields that differ from event to event.
fn event(record: u64) -> Event {
    let noise = (record + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (user, host, handle) = (noise % 400, noise >> 8 & 15, noise >> 40);
    let mut message = format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider \
         Name='Microsoft-Windows-Security-Auditing' Guid='{{54849625-5478-4994-a5ba-3e3b0328c30d}}'/>\
         <EventID>4663</EventID><Version>1</Version><Level>0</Level><Task>12800</Task><Opcode>0</Opcode>\
         <Keywords>0x8020000000000000</Keywords><TimeCreated SystemTime='2026-09-14T05:{:02}:{:02}.{:07}00Z'/>\
         <EventRecordID>{record}</EventRecordID><Correlation/><Execution ProcessID='4' ThreadID='{}'/>\
         <Channel>Security</Channel><Computer>srv{host:02}.corp.example.com</Computer><Security/></System><EventData>",
        record / 60_000 % 60,
        record / 1_000 % 60,
        noise % 10_000_000,
        noise >> 20 & 0xFFFF,
    );
    let fields = [
        ("SubjectUserSid", format!("S-1-5-21-3623811015-3361044348-30300820-{}", 1_000 + user)),
        ("SubjectUserName", format!("user{user:03}")),
        ("SubjectDomainName", "CORP".to_owned()),
        ("SubjectLogonId", format!("0x{:x}", noise >> 36)),
        ("ObjectServer", "Security".to_owned()),
        ("ObjectType", "File".to_owned()),
        (
            "ObjectName",
            format!(
                "\\Device\\HarddiskVolume16\\share\\dept{}\\project{}\\report-{:x}.docx",
                user % 12,
                handle % 97,
                noise
            ),
        ),
        ("HandleId", format!("0x{:x}", handle & 0xFFFF)),
        ("AccessList", "%%4416\n\t\t\t\t%%4423".to_owned()),
        ("AccessMask", "0x81".to_owned()),
        ("ProcessId", "0x4".to_owned()),
        ("ProcessName", String::new()),
        ("ResourceAttributes", "S:AI".to_owned()),
    ];
    for (name, value) in fields {
        write!(message, "<Data Name='{name}'>{value}</Data>").unwrap();
    }
    message.push_str("</EventData></Event>");
    Event { time: Timestamp::from_millis(1_789_364_521_000 + record as i64), message }
}
