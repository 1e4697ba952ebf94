/*!
The local backend and its folder: opening again, locks, versions, limits, and a disk that refuses.
*/

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nightbell_store::{
    Catalog, Durability, Journal, Kind, LocalStore, Options, Position, Space, StoreError, Stream, Write,
};

use crate::sample::{append, engine, messages, no_tail, one, open, scratch, wait};
use crate::trace::Chance;

fn open_error(folder: &Path) -> StoreError {
    match LocalStore::open(folder, Options::default()) {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}

#[test]
fn everything_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..4_u64 {
        let store = open(&folder, Options::default());
        assert_eq!(*store.end().borrow(), Position::new(2 * round));
        assert_eq!(*store.stream_end(Stream::Metrics).borrow(), Position::new(round));
        assert_eq!(messages(&store).len() as u64, 2 * round);
        append(&store, one("host", &format!("{round}a"))).unwrap();
        append(&store, one("host", &format!("{round}b"))).unwrap();
        let mut write = Write::new();
        write.put(Space::Watch, "round", round.to_string()).push(Stream::Metrics, round.to_string());
        store.commit(write, Durability::Process).unwrap();
        if round % 2 == 0 {
            store.close();
        }
    }
    let store = open(&folder, Options::default());
    let texts: Vec<_> = messages(&store).into_iter().map(|(_, message)| message).collect();
    assert_eq!(texts, ["0a", "0b", "1a", "1b", "2a", "2b", "3a", "3b"]);
    assert_eq!(store.get(Space::Watch, b"round").unwrap(), Some(b"3".to_vec()));
}

#[test]
fn a_journal_that_goes_on_further_on_has_let_go_of_what_was_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Options::default());
    for text in ["a", "b", "c"] {
        append(&store, one("host", text)).unwrap();
    }
    store.go_on_at(Position::new(2)).unwrap();
    assert_eq!(messages(&store).len(), 3, "it does not go back");
    let far = Position::new(1 << 40);
    store.go_on_at(far).unwrap();
    assert_eq!((store.start(), *store.end().borrow()), (far, far));
    assert_eq!(store.read(Position::FIRST, 1).unwrap(), []);
    drop(store);
    let store = open(&folder, Options::default());
    assert_eq!((store.start(), *store.end().borrow()), (far, far));
    assert_eq!(append(&store, one("host", "d")).unwrap(), far);
    assert_eq!(store.read(Position::FIRST, 1).unwrap()[0].position, far);
    assert_eq!(store.summaries(Position::FIRST, far.next(), 10).unwrap().len(), 1);
    store.trim(far.next()).unwrap();
    assert_eq!(*store.end().borrow(), far.next());
}

#[test]
fn positions_are_not_used_again_after_a_trim_and_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Options::default());
    for _ in 0..3 {
        append(&store, one("host", "x")).unwrap();
    }
    let mut write = Write::new();
    write.push(Stream::Audit, "x").push(Stream::Audit, "y");
    store.commit(write, Durability::Process).unwrap();
    store.trim(Position::new(3)).unwrap();
    store.trim_stream(Stream::Audit, Position::new(2)).unwrap();
    drop(store);
    let store = open(&folder, Options::default());
    assert_eq!((store.start(), *store.end().borrow()), (Position::new(3), Position::new(3)));
    assert_eq!(store.stream_start(Stream::Audit), Position::new(2));
    assert_eq!(append(&store, one("host", "x")).unwrap(), Position::new(3));
    let mut write = Write::new();
    write.push(Stream::Audit, "z");
    assert_eq!(store.commit(write, Durability::Process).unwrap(), [Position::new(2)]);
}

#[test]
fn blocks_stay_readable_through_flushes_and_trims() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memtable_bytes: 32 * 1024, ..no_tail() };
    let noise = |i: u64| {
        (0..2_000).map(|n| format!("{:x}", (i + 1).wrapping_mul(n * n * 7_919 + 13))).collect::<String>()
    };
    let store = open(&folder, options.clone());
    for i in 0..60 {
        append(&store, one(&i.to_string(), &noise(i))).unwrap();
        if i % 20 == 19 {
            store.trim(Position::new(i - 9)).unwrap();
        }
    }
    drop(store);
    let store = open(&folder, options);
    let expected: Vec<_> = (50..60).map(|i| (i.to_string(), noise(i))).collect();
    assert_eq!(messages(&store), expected);
}

#[test]
fn a_closed_store_has_stored_what_was_queued_and_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Options::default());
    let queued: Vec<_> = (0..50).map(|i| store.append(one("host", &i.to_string()))).collect();
    store.close();
    for (i, append) in queued.into_iter().enumerate() {
        wait(append).unwrap_or_else(|error| panic!("append {i}: {error}"));
    }
    let mut write = Write::new();
    write.put(Space::Watch, "k", "v");
    let errors = [
        append(&store, one("host", "late")).unwrap_err(),
        store.commit(write, Durability::Process).unwrap_err(),
        store.get(Space::Watch, b"k").unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.to_string().contains("closed"), "{error}");
    }
    store.close();
    let again = open(&folder, Options::default());
    assert_eq!(messages(&again).len(), 50);
}

#[test]
fn a_folder_belongs_to_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(&folder, Options::default());
    let error = open_error(folder.path());
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
}

#[test]
fn a_folder_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder, Options::default()));
    {
        let db = engine(folder.path());
        let meta = db.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
        assert_eq!(&*meta.get("format").unwrap().unwrap(), 2_u32.to_be_bytes());
        meta.insert("format", 3_u32.to_be_bytes()).unwrap();
    }
    let error = open_error(folder.path());
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("newer version"), "{error}");
    assert!(error.to_string().contains("format=3, format_max=2"), "{error}");
}

/// Makes of a folder what the first version would have written: it knew no identity.
fn write_first_format(folder: &Path) {
    let db = engine(folder);
    let meta = db.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
    meta.insert("format", 1_u32.to_be_bytes()).unwrap();
    meta.remove("id").unwrap();
}

#[test]
fn a_folder_of_an_older_version_is_upgraded_once_and_keeps_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Options::default());
    append(&store, one("host", "old")).unwrap();
    push(&store, "entry").unwrap();
    drop(store);
    write_first_format(folder.path());

    let upgraded = open(&folder, Options::default());
    let id = upgraded.id().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
    assert_eq!(messages(&upgraded), [("host".to_owned(), "old".to_owned())]);
    assert_eq!(upgraded.read_stream(Stream::Metrics, Position::FIRST, 100).unwrap().len(), 1);
    append(&upgraded, one("host", "new")).unwrap();
    drop(upgraded);
    {
        let db = engine(folder.path());
        let meta = db.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
        assert_eq!(&*meta.get("format").unwrap().unwrap(), 2_u32.to_be_bytes());
    }
    let again = open(&folder, Options::default());
    assert_eq!(again.id().unwrap(), id, "the step ran once");
    assert_eq!(messages(&again).len(), 2);
    let other = tempfile::tempdir().unwrap();
    assert_ne!(open(&other, Options::default()).id().unwrap(), id, "a new store is another one");
}

#[test]
fn a_version_that_never_was_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder, Options::default()));
    {
        let db = engine(folder.path());
        let meta = db.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
        meta.insert("format", 0_u32.to_be_bytes()).unwrap();
    }
    assert_eq!(open_error(folder.path()).kind(), Kind::Broken);
}

#[test]
fn a_creation_that_was_cut_short_is_begun_again() {
    for marker in [None, Some("")] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("0.jnl"), [0; 64]).unwrap();
        if let Some(text) = marker {
            std::fs::write(folder.path().join("version"), text).unwrap();
        }
        let store = open(&folder, Options::default());
        append(&store, one("host", "first")).unwrap();
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = open_error(&file.join("store"));
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("file/store"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_new_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a/b");
    drop(LocalStore::open(&inner, Options::default()).unwrap());
    assert_eq!(inner.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_full_queue_throttles_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Options { pending_bytes_max: 10_000, ..Options::default() });
    let appends: Vec<_> =
        (0..2_000).map(|i| (i, store.append(one("host", &format!("{i:0>1000}"))))).collect();
    let mut acknowledged = Vec::new();
    let mut throttled = 0;
    for (i, append) in appends {
        match wait(append) {
            Ok(_) => acknowledged.push(format!("{i:0>1000}")),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Throttled, "{error}");
                throttled += 1;
            }
        }
    }
    assert!(throttled > 0, "2 MB went through a queue of 10 kB at once");
    assert!(!acknowledged.is_empty(), "one batch always fits");
    let stored: Vec<_> = messages(&store).into_iter().map(|(_, message)| message).collect();
    assert_eq!(stored, acknowledged);
    append(&store, one("host", "after")).expect("room again");
}

/// The log alone may take up to some 200 MB.
const DISK_BYTES_MAX: u64 = 256 * 1024 * 1024;

#[test]
fn a_folder_at_its_limit_takes_no_batches_until_a_trim() {
    let folder = scratch();
    let mut chance = Chance::of(1);
    let noise: String = (0..4 * 1024 * 1024).map(|_| (b'a' + chance.below(16) as u8) as char).collect();
    let options = Options { disk_bytes_max: DISK_BYTES_MAX, ..no_tail() };
    let store = open(&folder, options.clone());
    // The number of batches when one is refused: opening again may find a little room.
    let fill = |store: &LocalStore| {
        loop {
            let number = store.end().borrow().number();
            assert!(number < 1_000, "the limit comes");
            if let Err(error) = append(store, one("host", &noise[number as usize..])) {
                assert_eq!(error.kind(), Kind::Throttled);
                assert!(error.to_string().contains(&format!("bytes_max={DISK_BYTES_MAX}")), "{error}");
                return number;
            }
        }
    };
    let number = fill(&store);
    assert!(store.disk_bytes() >= DISK_BYTES_MAX && store.disk_bytes() < DISK_BYTES_MAX * 5 / 4);
    push(&store, "the catalog goes on").unwrap();
    let read = store.read(Position::new(number - 1), 1).unwrap();
    assert_eq!(read[0].batches[0].events[0].message, noise[number as usize - 1..], "reads go on");
    drop(store);
    let store = open(&folder, options);
    let last = Position::new(fill(&store) - 1);

    store.trim(last).unwrap();
    let position = until_taken(|| append(&store, one("host", "room again")));
    assert_eq!(position, last.next());
    let files = Command::new("du").args(["-a", "-k"]).arg(folder.path()).output().unwrap().stdout;
    let files = String::from_utf8_lossy(&files).into_owned();
    assert!(store.disk_bytes() < DISK_BYTES_MAX / 2, "{}\n{files}", store.disk_bytes());
    assert_eq!(messages(&store).len(), 2);
}

/// Runs [`refusing_disk_child`] in a process whose files may not grow, because the limit is the process's.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_refused_is_used_again_when_it_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "disk::refusing_disk_child", "--nocapture"])
        .env("NIGHTBELL_STORE_REFUSING_DISK", folder.path())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let store = open(&folder, Options::default());
    let texts: Vec<_> = messages(&store).into_iter().map(|(_, message)| message).collect();
    assert_eq!(
        texts.iter().filter(|text| text.starts_with("kept")).collect::<Vec<_>>(),
        ["kept 1", "kept 2"]
    );
}

#[test]
fn refusing_disk_child() {
    let Some(folder) = std::env::var_os("NIGHTBELL_STORE_REFUSING_DISK") else { return };
    let store = LocalStore::open(Path::new(&folder), no_tail()).unwrap();
    append(&store, one("host", "kept 1")).unwrap();

    limit_file_bytes("16:");
    let error = append(&store, one("host", "refused")).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.to_string().contains("folder="), "{error}");
    limit_file_bytes("unlimited:");
    let position = until_taken(|| append(&store, one("host", "kept 2")));
    assert_eq!(store.read(position, 1).unwrap()[0].batches, [one("host", "kept 2")]);

    limit_file_bytes("16:");
    assert_eq!(push(&store, "refused").unwrap_err().kind(), Kind::Unavailable);
    limit_file_bytes("unlimited:");
    let positions = until_taken(|| push(&store, "kept"));
    assert_eq!(
        store.read_stream(Stream::Metrics, positions[0], 1).unwrap(),
        [(positions[0], b"kept".to_vec())]
    );
}

fn push(store: &LocalStore, entry: &str) -> Result<Vec<Position>, StoreError> {
    let mut write = Write::new();
    write.push(Stream::Metrics, entry);
    store.commit(write, Durability::Disk)
}

/// Tries until the store takes writes again; half a minute is far beyond what it needs.
fn until_taken<T: std::fmt::Debug>(mut attempt: impl FnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..300 {
        match attempt() {
            Ok(taken) => return taken,
            Err(error) => assert!(matches!(error.kind(), Kind::Unavailable | Kind::Throttled), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the store takes no writes again");
}

fn limit_file_bytes(limit: &str) {
    let pid = std::process::id().to_string();
    let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}")]).status().unwrap();
    assert!(status.success(), "{status}");
}
