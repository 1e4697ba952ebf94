/*!
Batches and calls that the tests share.
*/

use std::path::Path;
use std::sync::Arc;

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::time::Timestamp;
use nightbell_store::{Block, Journal, Kind, LocalStore, Options, Position, StoreError};

/// A batch of `stream` with one event for each message; event times follow the messages' order from `time_ms`.
pub(crate) fn batch(stream: &str, time_ms: i64, messages: &[String]) -> Batch {
    let event = |(i, message): (usize, &String)| Event {
        time: Timestamp::from_millis(time_ms + i as i64),
        message: message.clone(),
    };
    Batch {
        group: Group { region: "site".to_owned(), name: "files".to_owned() },
        stream: stream.to_owned(),
        arrival: Timestamp::from_millis(time_ms + 1_000),
        events: messages.iter().enumerate().map(event).collect(),
    }
}

/// A batch with one event.
pub(crate) fn one(stream: &str, message: &str) -> Batch {
    batch(stream, 0, &[message.to_owned()])
}

/// Runs a future on a runtime of its own.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}

/// Appends and waits until it is on disk.
pub(crate) fn append(journal: &dyn Journal, batch: Batch) -> Result<Position, StoreError> {
    wait(journal.append(batch))
}

/// All blocks from `from` on, in small reads.
pub(crate) fn read_all(journal: &dyn Journal, mut from: Position) -> Vec<Arc<Block>> {
    let mut all = Vec::new();
    loop {
        let blocks = journal.read(from, 4_096).expect("readable");
        let Some(last) = blocks.last() else { return all };
        from = last.position.next();
        all.extend(blocks);
    }
}

/// Streams and messages in the order of the journal.
pub(crate) fn messages(journal: &dyn Journal) -> Vec<(String, String)> {
    let blocks = read_all(journal, journal.start());
    let batches = blocks.iter().flat_map(|block| &block.batches);
    batches
        .flat_map(|batch| batch.events.iter().map(|event| (batch.stream.clone(), event.message.clone())))
        .collect()
}

/// Options under which nearly every read comes from disk.
pub(crate) fn no_tail() -> Options {
    Options { tail_bytes_max: 0, ..Options::default() }
}

/// Opens a store that must open.
#[allow(clippy::needless_pass_by_value)] // most callers make their options on the spot
pub(crate) fn open(folder: &tempfile::TempDir, options: Options) -> LocalStore {
    once_unlocked(
        || LocalStore::open(folder.path(), options.clone()),
        |error| {
            error.kind() == Kind::Conflict // a locked folder
        },
    )
}

/// Opens with the engine itself what a store has just let go of.
pub(crate) fn engine(folder: &Path) -> fjall::Database {
    once_unlocked(|| fjall::Database::builder(folder).open(), |error| matches!(error, fjall::Error::Locked))
}

/// Opens as soon as nobody holds the lock any more. A test beside this one may just be starting a process: until that
/// process runs its own program it holds every file of this one, also a lock that was given back.
fn once_unlocked<S, E: std::fmt::Debug>(
    open: impl Fn() -> Result<S, E>,
    is_locked: impl Fn(&E) -> bool,
) -> S {
    for _ in 0..500 {
        match open() {
            Err(error) if is_locked(&error) => std::thread::sleep(std::time::Duration::from_millis(20)),
            opened => return opened.expect("opens"),
        }
    }
    open().expect("is unlocked within ten seconds")
}

/// A number from the environment.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A folder for what is written and thrown away: in memory where there is room for it.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}
