/*!
Bytes on disk that are not what was written: flipped bits in any file, lost blocks, writes torn by a loss of power.
*/

#![allow(clippy::disallowed_methods)] // these tests read whole files that they wrote

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use nightbell_store::{
    Block, Catalog, Durability, Entry, Journal, Kind, LocalStore, Options, Position, Scan, Space, StoreError,
    Stream, Summary, Write,
};

use crate::sample::{append, engine, messages, number_of, one, open, scratch};
use crate::trace::Bytes;
use crate::workload::options;

fn store_of_four(folder: &tempfile::TempDir) {
    let store = open(folder, Options::default());
    for i in 0..4 {
        append(&store, one("host", &format!("message {i}"))).unwrap();
    }
}

fn change_events(folder: &Path, change: impl FnOnce(&fjall::Keyspace)) {
    change_space(folder, "events", change);
}

fn change_space(folder: &Path, name: &str, change: impl FnOnce(&fjall::Keyspace)) {
    let db = engine(folder);
    change(&db.keyspace(name, fjall::KeyspaceCreateOptions::default).unwrap());
}

#[test]
fn a_damaged_block_is_named_and_the_others_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    store_of_four(&folder);
    change_events(folder.path(), |events| {
        let key = 1_u64.to_be_bytes();
        let mut value = events.get(key).unwrap().unwrap().to_vec();
        *value.last_mut().unwrap() ^= 1;
        events.insert(key, value).unwrap();
    });
    assert_second_is_lost(&folder, "damaged");
}

#[test]
fn damaged_summaries_are_made_anew_out_of_blocks() {
    let folder = tempfile::tempdir().unwrap();
    store_of_four(&folder);
    let all = |store: &LocalStore, limit| store.summaries(Position::FIRST, Position::new(3), limit).unwrap();
    let written = all(&open(&folder, Options::default()), usize::MAX);
    assert_eq!(written.len(), 3);
    let flip = |keyspace: &fjall::Keyspace, position: u64| {
        let key = position.to_be_bytes();
        let mut value = keyspace.get(key).unwrap().unwrap().to_vec();
        value[1] ^= 0x40;
        keyspace.insert(key, value).unwrap();
    };
    change_space(folder.path(), "summaries", |summaries| flip(summaries, 1));
    let store = open(&folder, Options::default());
    assert_eq!(all(&store, usize::MAX), written);
    assert_eq!(all(&store, 2), written[..2]);
    drop(store);
    change_events(folder.path(), |events| flip(events, 2));
    let store = open(&folder, Options::default());
    assert_eq!(all(&store, usize::MAX), written, "a damaged block is still looked for");
    drop(store);
    change_events(folder.path(), |events| flip(events, 1));
    let store = open(&folder, Options::default());
    let error = store.summaries(Position::FIRST, Position::new(3), usize::MAX).unwrap_err();
    assert_eq!(
        (error.kind(), error.position()),
        (Kind::Broken, Some(Position::new(1))),
        "nothing tells of it"
    );
}

#[test]
fn a_missing_block_is_named_and_the_others_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    store_of_four(&folder);
    change_events(folder.path(), |events| events.remove(1_u64.to_be_bytes()).unwrap());
    assert_second_is_lost(&folder, "missing");
}

fn assert_second_is_lost(folder: &tempfile::TempDir, word: &str) {
    let store = open(folder, Options::default());
    let before = store.read(Position::FIRST, usize::MAX).unwrap();
    assert_eq!(before.len(), 1, "the answer ends before the damage");
    let error = store.read(Position::new(1), usize::MAX).unwrap_err();
    assert_eq!((error.kind(), error.position()), (Kind::Broken, Some(Position::new(1))));
    assert!(error.to_string().contains(word) && error.to_string().contains("position=1"), "{error}");
    let after = store.read(error.position().unwrap().next(), usize::MAX).unwrap();
    let texts: Vec<_> = after.iter().map(|block| block.batches[0].events[0].message.as_str()).collect();
    assert_eq!(texts, ["message 2", "message 3"]);
    assert_eq!(append(&store, one("host", "message 4")).unwrap(), Position::new(4));
}

fn log(folder: &Path) -> PathBuf {
    let mut logs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "jnl"));
    assert_eq!(logs.len(), 1);
    logs.remove(0)
}

/// A copy of the folder as a crash of its process would leave it.
fn crashed_copy(folder: &Path) -> tempfile::TempDir {
    let copy = scratch();
    for (path, bytes) in files_of(folder) {
        let path = copy.path().join(path.strip_prefix(folder).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        bytes.write_out(&path);
    }
    copy
}

/// Flips a bit of the log `back` bytes before the end of what is written.
fn flip_log(folder: &Path, back: u64) {
    let mut file = File::options().read(true).write(true).open(log(folder)).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() as u64 + 1;
    let at = end - back;
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[bytes[at as usize] ^ 1]).unwrap();
}

#[test]
fn a_write_torn_by_a_power_loss_is_cut_off_and_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let before = open(&folder, Options::default());
    for i in 0..4 {
        append(&before, one("host", &format!("message {i}"))).unwrap();
    }
    let folder = crashed_copy(folder.path());
    flip_log(folder.path(), 60);
    let store = open(&folder, Options::default());
    let texts: Vec<_> = messages(&store).into_iter().map(|(_, message)| message).collect();
    assert_eq!(texts, ["message 0", "message 1", "message 2"]);
    assert_eq!(append(&store, one("host", "message 4")).unwrap(), Position::new(3));
    drop(store);
    let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let torn: Vec<_> = names.filter(|name| name.to_string_lossy().contains("torn-at-")).collect();
    assert_eq!(torn.len(), 1);
    assert!(folder.path().join(&torn[0]).metadata().unwrap().len() > 60);
    let again = open(&folder, Options::default());
    assert_eq!(messages(&again).len(), 4);
}

#[test]
fn damage_that_was_synced_before_is_no_torn_write() {
    let folder = scratch();
    store_of_four(&folder);
    let bytes = Bytes::of(&log(folder.path())).written().len() as u64;
    let mut refused = 0;
    for back in (1..120).chain((120..bytes - 4).step_by(31)) {
        let copy = crashed_copy(folder.path());
        flip_log(copy.path(), back);
        match LocalStore::open(copy.path(), Options::default()) {
            // Only the note that the log was closed was hit; nothing is lost with it.
            Ok(store) => assert_eq!((messages(&store).len(), back <= 60), (4, true), "{back}"),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Broken, "{back}: {error}");
                let name = log(copy.path()).display().to_string();
                assert!(error.to_string().contains(&format!("log={name}, offset=")), "{back}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 80, "{refused}");
}

#[test]
fn a_log_cut_short_anywhere_opens_with_a_beginning_of_its_writes() {
    let folder = scratch();
    store_of_four(&folder);
    let whole = std::fs::read(log(folder.path())).unwrap();
    let end = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let mut counts = Vec::new();
    for back in (0..900).step_by(17) {
        let mut cut = whole.clone();
        cut[end - back..].fill(0);
        std::fs::write(log(folder.path()), cut).unwrap();
        let store = open(&folder, Options::default());
        let found = messages(&store);
        for (i, (_, message)) in found.iter().enumerate() {
            assert_eq!(*message, format!("message {i}"));
        }
        counts.push(found.len());
    }
    assert_eq!((counts[0], counts.is_sorted_by(|a, b| a >= b)), (4, true), "{counts:?}");
    assert!(*counts.last().unwrap() < 4, "{counts:?}");
}

#[test]
fn damage_with_more_behind_it_than_a_torn_write_is_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    store_of_four(&folder);
    let store = open(&folder, Options::default());
    for _ in 0..3 {
        let mut write = Write::new();
        write.put(Space::Watch, "snapshot", vec![1; 12 * 1024 * 1024]);
        store.commit(write, Durability::Process).unwrap();
    }
    drop(store);
    let before = log(folder.path()).metadata().unwrap().len();
    flip_log(folder.path(), 36 * 1024 * 1024 - 10);
    let Err(error) = LocalStore::open(folder.path(), Options::default()) else { panic!("the store opened") };
    assert_eq!(error.kind(), Kind::Broken, "{error}");
    assert!(error.to_string().contains(&log(folder.path()).display().to_string()), "{error}");
    assert_eq!(log(folder.path()).metadata().unwrap().len(), before, "nothing is cut");
}

/// Flips in all files together; a soak has twenty times as many.
const FLIPS: usize = 600;

/// Files up to this size are damaged at each byte.
const SMALL_BYTES: usize = 64;

#[test]
fn a_damaged_byte_in_any_file_is_seen_and_named() {
    let folder = scratch();
    let written = store_of_all_files(folder.path());
    let files = files_of(folder.path());
    let paths: Vec<PathBuf> = files.iter().map(|(path, _)| path.clone()).collect();
    assert!(has_all_kinds(&paths), "{paths:?}");
    let flips = if number_of("NIGHTBELL_SOAK_SECONDS").is_some() { 20 * FLIPS } else { FLIPS };
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.written().len()).sum();
    let stride = |length: usize| if length <= SMALL_BYTES { 1 } else { bytes.div_ceil(flips) };
    let flips: Vec<(usize, usize)> = (0..files.len())
        .flat_map(|file| {
            let length = files[file].1.written().len();
            (0..length).step_by(stride(length)).map(move |at| (file, at))
        })
        .collect();
    let (next, seen) = (AtomicUsize::new(0), [(); 3].map(|()| AtomicUsize::new(0)));
    let unseen = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 * std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(&(file, at)) = flips.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match after_flip(folder.path(), &files, file, at, &written) {
                        Ok(found) => _ = seen[found as usize].fetch_add(1, Ordering::Relaxed),
                        Err(told) => {
                            unseen
                                .lock()
                                .unwrap()
                                .push(format!("{}, byte {at}: {told}", files[file].0.display()));
                        }
                    }
                }
            });
        }
    });
    let unseen = unseen.into_inner().unwrap();
    assert!(unseen.is_empty(), "{} of {}:\n{}", unseen.len(), flips.len(), unseen.join("\n"));
    let [harmless, isolated, refused] = seen.map(AtomicUsize::into_inner);
    println!(
        "{harmless} of {} damaged bytes changed nothing, {isolated} were met by reads, {refused} when opening",
        flips.len()
    );
    assert!(isolated > 20 && refused > 20);
}

/// How a damaged byte came out.
#[derive(Clone, Copy)]
enum Found {
    /// Everything is as it was written.
    Harmless,
    /// The folder opens, some reads name the damage, and all others are as written.
    Isolated,
    /// The folder does not open.
    Refused,
}

/// Opens a copy with one damaged byte and reads all of it.
fn after_flip(
    folder: &Path,
    files: &[(PathBuf, Bytes)],
    file: usize,
    at: usize,
    written: &Written,
) -> Result<Found, String> {
    let copy = scratch();
    for (i, (path, bytes)) in files.iter().enumerate() {
        let path = copy.path().join(path.strip_prefix(folder).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = bytes.clone();
        if i == file {
            bytes.flip(at, at as u32 % 8);
        }
        bytes.write_out(&path);
    }
    let found = catch_unwind(AssertUnwindSafe(|| {
        let store = match LocalStore::open(copy.path(), options()) {
            Ok(store) => store,
            Err(error) => return told(&error).map(|()| Found::Refused),
        };
        written.compare(&store)
    }));
    found.unwrap_or_else(|_| Err("panicked".to_owned()))
}

/// An error must say that bytes are damaged, and where.
fn told(error: &StoreError) -> Result<(), String> {
    let text = error.to_string();
    let named = ["file=", "log=", "place=", "position="].iter().any(|name| text.contains(name));
    if error.kind() == Kind::Broken && named { Ok(()) } else { Err(format!("{:?}: {text}", error.kind())) }
}

/// What a small stream holds.
type Entries = Vec<(Position, Vec<u8>)>;

/// What a store held before it was damaged.
struct Written {
    blocks: Vec<Arc<Block>>,
    summaries: Vec<Summary>,
    spaces: Vec<(Space, Vec<Entry>)>,
    streams: Vec<(Stream, Entries)>,
}

impl Written {
    fn of(store: &LocalStore) -> Self {
        let start = |stream| store.stream_start(stream);
        let stream = |stream| (stream, store.read_stream(stream, start(stream), usize::MAX).unwrap());
        Self {
            blocks: crate::sample::read_all(store, Position::FIRST),
            summaries: store.summaries(Position::FIRST, Position::new(u64::MAX), usize::MAX).unwrap(),
            spaces: Space::ALL.map(|space| (space, store.scan(space, &Scan::all()).unwrap())).into(),
            streams: Stream::ALL.map(stream).into(),
        }
    }

    /// Each read gives what was written, or says what is damaged.
    fn compare(&self, store: &LocalStore) -> Result<Found, String> {
        let mut damaged = 0;
        let mut take = |same: Result<bool, StoreError>, what: &str| match same {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{what} differs unseen")),
            Err(error) => told(&error).map(|()| damaged += 1),
        };
        for block in &self.blocks {
            let read = store.read(block.position, 1);
            if let Err(error) = &read
                && error.position() != Some(block.position)
            {
                return Err(format!("block {} is not named: {error}", block.position));
            }
            take(read.map(|read| read[..] == [Arc::clone(block)]), "a block")?;
        }
        let summaries = store.summaries(Position::FIRST, Position::new(u64::MAX), usize::MAX);
        take(summaries.map(|found| found == self.summaries), "a summary")?;
        for (space, entries) in &self.spaces {
            take(store.scan(*space, &Scan::all()).map(|found| found == *entries), space.name())?;
        }
        for (stream, entries) in &self.streams {
            let from = entries.first().map_or(Position::FIRST, |(position, _)| *position);
            take(store.read_stream(*stream, from, usize::MAX).map(|found| found == *entries), stream.name())?;
        }
        Ok(if damaged == 0 { Found::Harmless } else { Found::Isolated })
    }
}

/// A store that has flushed, merged and trimmed, closed.
fn store_of_all_files(folder: &Path) -> Written {
    let store = LocalStore::open(folder, options()).unwrap();
    for number in 0..600_u64 {
        // Tables are written in the background, on a busy machine later.
        if number >= 60 && number.is_multiple_of(10) && has_all_kinds(&paths_below(folder)) {
            break;
        }
        let noise =
            |i: u64| format!("{:x}", (number + 1).wrapping_mul(i + 7).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let texts: Vec<_> = (0..200).map(noise).collect();
        append(&store, crate::sample::batch("host", number as i64, &texts)).unwrap();
        let mut write = Write::new();
        for space in Space::ALL {
            write.put(space, format!("key {}", number % 40), texts[..24].concat());
        }
        write.push(Stream::Metrics, texts[..24].concat());
        store.commit(write, Durability::Disk).unwrap();
        if number % 25 == 24 {
            store.trim(Position::new(number / 2)).unwrap();
            store.trim_stream(Stream::Metrics, Position::new(number / 2)).unwrap();
        }
    }
    Written::of(&store)
}

/// Whether there is a file of each kind that a store has.
fn has_all_kinds(paths: &[PathBuf]) -> bool {
    ["/tables/", "/blobs/", "/v", "/current", ".jnl", "/version"]
        .iter()
        .all(|kind| paths.iter().any(|path| path.display().to_string().contains(kind)))
}

/// All files below a folder, with what they hold.
fn files_of(folder: &Path) -> Vec<(PathBuf, Bytes)> {
    paths_below(folder).into_iter().map(|path| (path.clone(), Bytes::of(&path))).collect()
}

/// The paths of all files below a folder; a store at work may take some away meanwhile.
fn paths_below(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            paths.extend(paths_below(&path));
        } else {
            paths.push(path);
        }
    }
    paths
}
