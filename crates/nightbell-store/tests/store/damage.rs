/*!
Bytes on disk that are not what was written: flipped bits in blocks, lost blocks, writes torn by a loss of power.
*/

#![allow(clippy::disallowed_methods)] // these tests read whole files that they wrote

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use nightbell_store::{Catalog, Durability, Journal, Kind, LocalStore, Options, Position, Space, Write};

use crate::sample::{append, engine, messages, one, open};

fn store_of_four(folder: &tempfile::TempDir) {
    let store = open(folder, Options::default());
    for i in 0..4 {
        append(&store, one("host", &format!("message {i}"))).unwrap();
    }
}

fn change_events(folder: &Path, change: impl FnOnce(&fjall::Keyspace)) {
    let db = engine(folder);
    change(&db.keyspace("events", fjall::KeyspaceCreateOptions::default).unwrap());
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
    store_of_four(&folder);
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
fn a_log_cut_short_anywhere_opens_with_a_beginning_of_its_writes() {
    let folder = tempfile::tempdir().unwrap();
    store_of_four(&folder);
    let whole = std::fs::read(log(folder.path())).unwrap();
    let end = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let mut counts = Vec::new();
    for back in (0..400).step_by(17) {
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
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    assert_eq!(log(folder.path()).metadata().unwrap().len(), before, "nothing is cut");
}
