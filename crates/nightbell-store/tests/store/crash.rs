/*!
`kill -9` at any moment: a child process writes and says what was acknowledged, the test kills it, opens the store and
looks for every word of it.
*/

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nightbell_store::{Catalog, Durability, LocalStore, Options, Position, Space, Stream, Write};

use crate::sample::{append, batch, open, read_all};

const FOLDER: &str = "NIGHTBELL_STORE_CRASH_FOLDER";
const ROUNDS: u64 = 20;
const WRITERS: usize = 4;

/// Small memtables, so that flushes and compactions are under way when the kill comes.
fn options() -> Options {
    Options { memtable_bytes: 32 * 1024, tail_bytes_max: 64 * 1024, ..Options::default() }
}

#[test]
fn no_acknowledged_batch_is_lost_or_doubled_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Acknowledged::default();
    for round in 0..ROUNDS {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        seen.read_until_killed(child, Duration::from_millis(round * 37 % 150 + 5 * (round % 3)));
        check(&open(&folder, options()), &seen, round);
    }
    assert!(seen.events.len() == WRITERS && seen.commits.is_some(), "the children have written: {seen:?}");
}

/// The highest number that was acknowledged to each writer of the child.
#[derive(Debug, Default)]
struct Acknowledged {
    events: BTreeMap<String, u64>,
    commits: Option<u64>,
}

impl Acknowledged {
    fn read_until_killed(&mut self, mut child: Child, delay: Duration) {
        let stdout = child.stdout.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for line in BufReader::new(stdout).lines() {
                    self.take(&line.unwrap());
                }
            });
            std::thread::sleep(delay);
            child.kill().unwrap();
            child.wait().unwrap();
        });
    }

    fn take(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["event", writer, number, "."] => {
                _ = self.events.insert(writer.to_owned(), number.parse().unwrap())
            }
            ["commit", number, "."] => self.commits = Some(number.parse().unwrap()),
            _ => assert!(!line.contains("panicked"), "{line}"),
        }
    }
}

fn check(store: &LocalStore, seen: &Acknowledged, round: u64) {
    let stored = numbers(store);
    for (writer, numbers) in &stored {
        let whole: Vec<_> = (0..numbers.len() as u64).collect();
        assert_eq!(*numbers, whole, "round {round}, writer {writer}: once each, in order");
    }
    for (writer, &last) in &seen.events {
        let count = stored.get(writer).map_or(0, Vec::len) as u64;
        assert!(count > last, "round {round}, writer {writer}: {last} was acknowledged, {count} are stored");
    }
    let commits = store.read_stream(Stream::Metrics, Position::FIRST, usize::MAX).unwrap();
    for (i, (position, entry)) in commits.iter().enumerate() {
        assert_eq!((position.number(), entry), (i as u64, &i.to_string().into_bytes()), "round {round}");
    }
    assert!(seen.commits.is_none_or(|last| commits.len() as u64 > last), "round {round}: {seen:?}");
    let watched = store.get(Space::Watch, b"last").unwrap();
    assert_eq!(watched, commits.last().map(|(_, entry)| entry.clone()), "round {round}: a write is whole");
}

/// The numbers that each writer has stored, in the journal's order.
fn numbers(store: &LocalStore) -> BTreeMap<String, Vec<u64>> {
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for block in read_all(store, Position::FIRST) {
        for batch in &block.batches {
            let number = batch.events[0].message.parse().unwrap();
            assert_eq!(batch.events.len(), 20, "a batch is whole");
            numbers.entry(batch.stream.clone()).or_default().push(number);
        }
    }
    numbers
}

/// Writes until it is killed; begins where the child before it was stopped.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    println!();
    let store = LocalStore::open(Path::new(&folder), options()).unwrap();
    let stored = numbers(&store);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, writer) = (&store, writer.to_string());
            let first = stored.get(&writer).map_or(0, Vec::len) as u64;
            scope.spawn(move || {
                for number in first.. {
                    append(store, numbered(&writer, number)).unwrap();
                    say(&format!("event {writer} {number} ."));
                }
            });
        }
        let first = store.stream_end(Stream::Metrics).borrow().number();
        for number in first.. {
            let mut write = Write::new();
            write.push(Stream::Metrics, number.to_string()).put(Space::Watch, "last", number.to_string());
            let durability = if number % 10 == 0 { Durability::Disk } else { Durability::Process };
            store.commit(write, durability).unwrap();
            say(&format!("commit {number} ."));
        }
    });
}

/// A batch whose first event is its number; the others are hard to compress, so that files fill.
fn numbered(writer: &str, number: u64) -> nightbell_core::event::Batch {
    let noise = |i: u64| {
        format!("{:x}", (number + 1).wrapping_mul(i + 7).wrapping_mul(0x9E37_79B9_7F4A_7C15)).repeat(3)
    };
    let messages: Vec<_> = std::iter::once(number.to_string()).chain((1..20).map(noise)).collect();
    batch(writer, number as i64, &messages)
}

/// One write to the pipe, so that a kill leaves no half line that looks whole.
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}
