/*!
The driver of the crash tests: a child process that writes numbered batches and commits and notes down what was
acknowledged, and the check that a folder holds what it must after whatever has happened to the child.

What is noted is one line for each call, in one `writev`, so that faults can be given to all other writes:
`e WRITER NUMBER POSITION` an append is acknowledged, `x WRITER NUMBER` it may or may not have been stored,
`c NUMBER` and `C NUMBER` a commit is acknowledged (for the process, for the disk), `t POSITION` events and `m POSITION`
entries before a position may be gone from now on.
*/

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{IoSlice, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nightbell_core::event::Batch;
use nightbell_store::{
    Catalog, Durability, Journal, Kind, LocalStore, Options, Position, Scan, Space, StoreError, Stream,
    Summary, Write,
};

use crate::sample::{append, batch, read_all};

const WORK: &str = "NIGHTBELL_STORE_WORK";
const BATCH_EVENTS: u64 = 8;
const COMMITS_PER_BATCH: u64 = 2;
/// How long the child tries again when it is refused.
const PATIENCE: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// What a child is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) writers: u64,
    /// Batches of each writer.
    pub(crate) batches: u64,
    /// Makes the texts, and with them where files end.
    pub(crate) seed: u64,
    /// Bytes of noise in each event; half of what its text has.
    pub(crate) event_bytes: usize,
}

impl Work {
    /// The child as a command, and the file of what it notes down.
    pub(crate) fn command(self, folder: &Path) -> (Command, PathBuf) {
        let notes = folder.with_extension("notes");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "workload::child", "--nocapture"]);
        let Self { writers, batches, seed, event_bytes } = self;
        let (folder, notes_path) = (folder.display(), notes.display());
        command.env(WORK, format!("{folder}\n{notes_path}\n{writers}\n{batches}\n{seed}\n{event_bytes}"));
        (command, notes)
    }
}

/// Small memtables, so that flushes, merges and new lists of files come often.
pub(crate) fn options() -> Options {
    Options { memtable_bytes: 8 * 1024, tail_bytes_max: 16 * 1024, ..Options::default() }
}

/// What a child has noted down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// Position of each acknowledged batch by writer and number.
    events: BTreeMap<(u64, u64), u64>,
    /// Batches that may have been stored.
    maybe: BTreeSet<(u64, u64)>,
    /// How many commits were acknowledged, and up to which for the disk.
    commits: u64,
    commits_on_disk: u64,
    events_start: u64,
    entries_start: u64,
}

impl Notes {
    pub(crate) fn read(text: &str) -> Self {
        let mut notes = Self::default();
        text.lines().for_each(|line| notes.take(line));
        notes
    }

    pub(crate) fn take(&mut self, line: &str) {
        let mut words = line.split(' ');
        let kind = words.next().unwrap();
        let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
        match (kind, &numbers[..]) {
            ("e", &[writer, number, position]) => _ = self.events.insert((writer, number), position),
            ("x", &[writer, number]) => _ = self.maybe.insert((writer, number)),
            ("c", &[number]) => self.commits = number,
            ("C", &[number]) => (self.commits, self.commits_on_disk) = (number, number),
            ("t", &[position]) => self.events_start = position,
            ("m", &[position]) => self.entries_start = position,
            _ => panic!("not a note: {line}"),
        }
    }

    pub(crate) fn appends(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits
    }

    pub(crate) fn refused(&self) -> usize {
        self.maybe.len()
    }

    /// The first number that a writer has not tried to store, if it was stopped before it noted the one before.
    fn in_flight(&self, writer: u64) -> u64 {
        let last = |numbers: &mut dyn Iterator<Item = (u64, u64)>| {
            numbers.filter(|found| found.0 == writer).map(|found| found.1 + 1).max().unwrap_or_default()
        };
        last(&mut self.events.keys().copied()).max(last(&mut self.maybe.iter().copied()))
    }
}

/// What a folder has gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The process ended: all it wrote is there.
    Process,
    /// The power went: what was not synced may be gone.
    Power,
}

/// Checks that a store holds what was acknowledged, once, and nothing that was never sent, and that it takes more.
pub(crate) fn check(store: &LocalStore, notes: &Notes, loss: Loss) -> Result<(), String> {
    check_events(store, notes)?;
    check_commits(store, notes, loss)?;
    let told = |what: &'static str| move |error: StoreError| format!("{what} after: {error}");
    let before = count(store);
    let position = append(store, batch("after", 0, &["after".to_owned()])).map_err(told("append"))?;
    let mut write = Write::new();
    write.put(Space::Catalog, "after", "1").push(Stream::Audit, "after");
    store.commit(write, Durability::Disk).map_err(told("commit"))?;
    let blocks = store.read(position, usize::MAX).map_err(told("read"))?;
    require(blocks.len() == 1 && count(store) == before + 1, || {
        "what was stored after is not there".to_owned()
    })
}

fn count(store: &LocalStore) -> u64 {
    store.end().borrow().number()
}

fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

fn check_events(store: &LocalStore, notes: &Notes) -> Result<(), String> {
    let start = store.start().number();
    require(start <= notes.events_start, || {
        format!("starts at {start} without a trim: {}", notes.events_start)
    })?;
    let blocks = read_all(store, Position::FIRST);
    let mut found = BTreeMap::new();
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for (i, block) in blocks.iter().enumerate() {
        require(block.position.number() == start + i as u64, || format!("hole before {}", block.position))?;
        for batch in &block.batches {
            let (writer, number) = named(batch)?;
            require(last.insert(writer, number).is_none_or(|last| last < number), || {
                format!("writer {writer}: {number} is doubled or out of order")
            })?;
            let sent = (writer, number);
            let known = notes.events.contains_key(&sent) || notes.maybe.contains(&sent);
            require(known || number == notes.in_flight(writer), || format!("{sent:?} was never sent"))?;
            found.insert(sent, block.position.number());
        }
    }
    let summaries = store.summaries(Position::FIRST, Position::new(u64::MAX), usize::MAX);
    let wanted: Vec<_> = blocks.iter().map(|block| Summary::of(block)).collect();
    require(summaries.map_err(|error| error.to_string())? == wanted, || "summaries differ".to_owned())?;
    for (sent, position) in notes.events.iter().filter(|&(_, &position)| position >= start) {
        require(found.get(sent) == Some(position), || {
            format!("{sent:?} was acknowledged at {position}, found at {:?}", found.get(sent))
        })?;
    }
    Ok(())
}

/// Writer and number of a batch whose texts are whole.
fn named(found: &Batch) -> Result<(u64, u64), String> {
    let mut words = found.events[0].message.split(' ').map(|word| word.parse().unwrap());
    let [seed, event_bytes, writer, number] = [(); 4].map(|()| words.next().unwrap());
    let whole = *found == numbered(seed, event_bytes as usize, writer, number);
    require(whole, || format!("batch {number} of {writer} is not what was sent")).map(|()| (writer, number))
}

fn check_commits(store: &LocalStore, notes: &Notes, loss: Loss) -> Result<(), String> {
    let number = |key: &str| {
        let value = store.get(Space::Watch, key.as_bytes()).map_err(|error| error.to_string())?;
        Ok::<_, String>(value.map_or(0, |value| u64::from_be_bytes(value[..8].try_into().unwrap())))
    };
    let (last, position) = (number("last")?, number("position")?);
    let wanted = if loss == Loss::Process { notes.commits } else { notes.commits_on_disk };
    require((wanted..=notes.commits + 1).contains(&last), || {
        format!("commit {last} is the last, {wanted} to {} were acknowledged", notes.commits)
    })?;
    require(position <= count(store), || format!("position {position} is behind the end {}", count(store)))?;
    let points = store.scan(Space::Points, &Scan::all()).map_err(|error| error.to_string())?;
    let wanted: Vec<_> =
        (1..=last).map(|number| (number.to_be_bytes().to_vec(), noise(number, 300))).collect();
    require(points == wanted, || format!("{} points, last is {last}", points.len()))?;
    let (start, end) = (store.stream_start(Stream::Metrics), *store.stream_end(Stream::Metrics).borrow());
    require(end.number() == last && start.number() <= notes.entries_start, || {
        format!("stream is {start} to {end}, last is {last}")
    })?;
    let entries = store.read_stream(Stream::Metrics, start, usize::MAX).map_err(|error| error.to_string())?;
    let wanted: Vec<_> =
        (start.number()..last).map(|at| (Position::new(at), (at + 1).to_string().into_bytes())).collect();
    require(entries == wanted, || format!("{} entries, {start} to {end}", entries.len()))
}

/// A batch that names itself, with texts that do not get much smaller.
fn numbered(seed: u64, event_bytes: usize, writer: u64, number: u64) -> Batch {
    let name = std::iter::once(format!("{seed} {event_bytes} {writer} {number}"));
    let texts = (1..BATCH_EVENTS).map(|i| {
        let bytes = noise(seed ^ (writer << 48) ^ (number << 8) ^ i, event_bytes);
        let digits = bytes.iter().flat_map(|byte| [byte & 15, byte >> 4]);
        digits.map(|digit| (b'a' + digit) as char).collect::<String>()
    });
    batch(&format!("w{writer}"), number as i64, &name.chain(texts).collect::<Vec<_>>())
}

/// Bytes that look random.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let word = |i: u64| {
        let mixed =
            (seed ^ (i << 32)).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB).to_le_bytes()
    };
    (0..bytes.div_ceil(8) as u64).flat_map(word).take(bytes).collect()
}

/// Does the work it is told; ends well only when all of it was acknowledged.
#[test]
fn child() {
    let Ok(work) = std::env::var(WORK) else { return };
    let lines: Vec<_> = work.lines().collect();
    let [folder, notes, numbers @ ..] = &lines[..] else { panic!("{work}") };
    let numbers: Vec<u64> = numbers.iter().map(|number| number.parse().unwrap()).collect();
    let [writers, batches, seed, event_bytes] = numbers[..] else { panic!("{work}") };
    let work = Work { writers, batches, seed, event_bytes: event_bytes as usize };
    let notes = File::options().create(true).append(true).open(notes).unwrap();
    let store = until_taken(|| LocalStore::open(Path::new(folder), options()));
    let child = Child { store, notes: Mutex::new(notes), work };
    child.run();
    child.store.close();
}

/// Says so at its end, also where that is a panic.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Child {
    store: LocalStore,
    notes: Mutex<File>,
    work: Work,
}

impl Child {
    fn run(&self) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // A writer that gives up ends the reader too.
            let done_at_last = Done(&done);
            let reader = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    self.read();
                    std::thread::sleep(PAUSE);
                }
            });
            let writers: Vec<_> =
                (0..self.work.writers).map(|writer| scope.spawn(move || self.append_all(writer))).collect();
            self.commit_all();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            drop(done_at_last);
            reader.join().unwrap();
        });
    }

    fn note(&self, line: &str) {
        let mut notes = self.notes.lock().unwrap();
        let parts = [IoSlice::new(line.as_bytes()), IoSlice::new(b"\n")];
        assert_eq!(notes.write_vectored(&parts).unwrap(), line.len() + 1);
    }

    fn append_all(&self, writer: u64) {
        let mut next = 0;
        for _ in 0..self.work.batches {
            let (number, position) = until_taken(|| {
                let number = next;
                next += 1; // a number that was refused is not used again: it may have been stored
                let stored =
                    append(&self.store, numbered(self.work.seed, self.work.event_bytes, writer, number));
                stored
                    .map(|position| (number, position))
                    .inspect_err(|_| self.note(&format!("x {writer} {number}")))
            });
            self.note(&format!("e {writer} {number} {position}"));
        }
    }

    /// Commits as a loop of the server does: a state, what came of it, and how far it read, all at once.
    fn commit_all(&self) {
        let mut number = 0;
        while number < COMMITS_PER_BATCH * self.work.batches {
            number += 1;
            let durability = if number % 8 == 0 { Durability::Disk } else { Durability::Process };
            until_taken(|| self.commit(number, durability));
            self.note(&format!("{} {number}", if durability == Durability::Disk { "C" } else { "c" }));
            if number % 32 == 0 {
                self.trim(number);
            }
        }
    }

    fn commit(&self, number: u64, durability: Durability) -> Result<(), StoreError> {
        let last = self.store.get(Space::Watch, b"last")?;
        if last.is_some_and(|last| last[..8] == number.to_be_bytes()) {
            return Ok(()); // a refused one was stored
        }
        let mut write = Write::new();
        write.put(Space::Watch, "last", [&number.to_be_bytes()[..], &noise(number, 200)].concat());
        write.put(Space::Watch, "position", count(&self.store).to_be_bytes());
        write.put(Space::Points, number.to_be_bytes(), noise(number, 300));
        write.push(Stream::Metrics, number.to_string());
        let positions = self.store.commit(write, durability)?;
        assert_eq!(positions, [Position::new(number - 1)]);
        Ok(())
    }

    fn trim(&self, number: u64) {
        let (events, entries) = (count(&self.store) / 2, number / 2);
        self.note(&format!("t {events}"));
        self.note(&format!("m {entries}"));
        until_taken(|| self.store.trim(Position::new(events)));
        until_taken(|| self.store.trim_stream(Stream::Metrics, Position::new(entries)));
    }

    /// Reads everything; the engine may be away for a moment when it is opened anew.
    fn read(&self) {
        let read = self.store.read(Position::FIRST, usize::MAX).map(|_| ());
        let read = read.and_then(|()| self.store.scan(Space::Points, &Scan::all()).map(|_| ()));
        if let Err(error) = read {
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        }
    }
}

/// Tries until the store takes it.
fn until_taken<T>(mut attempt: impl FnMut() -> Result<T, StoreError>) -> T {
    for tries in 1.. {
        match attempt() {
            Ok(taken) => return taken,
            Err(error) => {
                assert!(matches!(error.kind(), Kind::Unavailable | Kind::Throttled), "{error}");
                assert!(tries < PATIENCE, "gives up: {error}");
            }
        }
        std::thread::sleep(PAUSE);
    }
    unreachable!("patience ends before numbers do")
}
