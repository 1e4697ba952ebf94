/*!
What every backend does alike. A case takes any store; `over_all_backends!` runs it over each.
*/

use std::collections::BTreeMap;

use nightbell_core::time::Timestamp;
use nightbell_store::catalog::KEY_BYTES_MAX;
use nightbell_store::journal::BATCH_BYTES_MAX;
use nightbell_store::{Durability, Kind, MemoryStore, Options, Position, Scan, Space, Store, Stream, Write};
use proptest::prelude::*;

use crate::sample::{self, append, batch, one};

macro_rules! over_all_backends {
    ($($case:ident)*) => {
        mod memory {
            use super::*;
            $(#[test] fn $case() { super::$case(&MemoryStore::new()); })*
        }
        mod local {
            use super::*;
            $(#[test] fn $case() {
                let folder = tempfile::tempdir().expect("a folder");
                super::$case(&sample::open(&folder, Options::default()));
            })*
        }
        mod local_without_tail {
            use super::*;
            $(#[test] fn $case() {
                let folder = tempfile::tempdir().expect("a folder");
                super::$case(&sample::open(&folder, sample::no_tail()));
            })*
        }
    };
}

over_all_backends! {
    an_empty_store_has_nothing
    blocks_have_consecutive_positions
    reads_stop_at_their_bytes_but_give_one_block
    concurrent_appends_are_all_stored_once_in_callers_order
    the_end_follows_appends
    summaries_say_what_blocks_hold
    trimmed_blocks_are_gone_and_positions_go_on
    bad_batches_are_refused
    the_last_change_of_a_key_stays
    scans_take_what_they_ask_for
    scans_agree_with_a_sorted_map
    a_write_is_whole_or_not_at_all
    spaces_and_streams_are_apart
    pushes_get_consecutive_positions
    streams_are_read_in_pieces
    trimmed_entries_are_gone_and_positions_go_on
    a_stream_end_tells_of_pushes_only
    bad_keys_are_refused
}

fn an_empty_store_has_nothing(store: &dyn Store) {
    assert_eq!(store.start(), Position::FIRST);
    assert_eq!(*store.end().borrow(), Position::FIRST);
    assert!(store.read(Position::FIRST, 1_000).expect("readable").is_empty());
    assert!(store.read(Position::new(u64::MAX), 1_000).expect("readable").is_empty());
    assert!(store.summaries(Position::FIRST, Position::new(9), 9).expect("readable").is_empty());
    for space in Space::ALL {
        assert_eq!(store.get(space, b"key").expect("readable"), None);
        assert!(store.scan(space, &Scan::all()).expect("readable").is_empty());
    }
    for stream in Stream::ALL {
        assert!(store.read_stream(stream, Position::FIRST, 1_000).expect("readable").is_empty());
        assert_eq!(*store.stream_end(stream).borrow(), Position::FIRST);
    }
    store.trim(Position::new(5)).expect("nothing to trim");
    store.trim_stream(Stream::Metrics, Position::new(5)).expect("nothing to trim");
    assert_eq!(store.start(), Position::FIRST);
    assert_eq!(store.stream_start(Stream::Metrics), Position::FIRST);
}

fn blocks_have_consecutive_positions(store: &dyn Store) {
    for i in 0..5 {
        let position = append(store, one("host", &i.to_string())).expect("stored");
        assert_eq!(position, Position::new(i), "one caller at a time gets a block for each batch");
    }
    let blocks = store.read(Position::new(2), usize::MAX).expect("readable");
    let texts: Vec<_> = blocks.iter().map(|block| block.batches[0].events[0].message.as_str()).collect();
    assert_eq!(texts, ["2", "3", "4"]);
    assert_eq!(blocks[0].position, Position::new(2));
    assert_eq!(blocks[0].batches, [one("host", "2")]);
    assert!(store.read(Position::new(5), usize::MAX).expect("readable").is_empty());
}

fn reads_stop_at_their_bytes_but_give_one_block(store: &dyn Store) {
    for _ in 0..4 {
        append(store, one("host", &"x".repeat(10_000))).expect("stored");
    }
    for (bytes_max, blocks) in [(0, 1), (10_000, 1), (25_000, 2), (usize::MAX, 4)] {
        assert_eq!(
            store.read(Position::FIRST, bytes_max).expect("readable").len(),
            blocks,
            "bytes_max {bytes_max}"
        );
    }
}

fn concurrent_appends_are_all_stored_once_in_callers_order(store: &dyn Store) {
    const CALLERS: usize = 64;
    const BATCHES: usize = 20;
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            scope.spawn(move || {
                let mut last = None;
                for i in 0..BATCHES {
                    let position = append(store, one(&caller.to_string(), &i.to_string())).expect("stored");
                    assert!(Some(position) > last, "a later batch is in a later block");
                    last = Some(position);
                }
            });
        }
    });
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (stream, message) in sample::messages(store) {
        seen.entry(stream).or_default().push(message);
    }
    let whole: Vec<_> = (0..BATCHES).map(|i| i.to_string()).collect();
    assert_eq!(seen.len(), CALLERS);
    assert!(seen.values().all(|messages| *messages == whole), "{seen:?}");
    let blocks = sample::read_all(store, Position::FIRST);
    for (i, block) in blocks.iter().enumerate() {
        assert_eq!(block.position, Position::new(i as u64));
    }
    assert_eq!(store.end().borrow().number(), blocks.len() as u64);
}

fn the_end_follows_appends(store: &dyn Store) {
    let mut end = store.end();
    end.mark_unchanged();
    append(store, one("host", "a")).expect("stored");
    assert!(end.has_changed().expect("store lives"));
    assert_eq!(*end.borrow_and_update(), Position::new(1));
    assert_eq!(store.read(Position::FIRST, 1).expect("readable").len(), 1);
    assert!(!end.has_changed().expect("store lives"));
}

fn summaries_say_what_blocks_hold(store: &dyn Store) {
    append(store, one("other", "first")).expect("stored");
    append(store, batch("host", -50, &["eins".to_owned(), "zwei".to_owned()])).expect("stored");
    append(store, one("other", "last")).expect("stored");
    let summaries = store.summaries(Position::new(1), Position::new(9), 9).expect("readable");
    assert_eq!(summaries.len(), 2);
    let summary = &summaries[0];
    assert_eq!((summary.position, summary.events(), summary.message_bytes), (Position::new(1), 2, 8));
    assert_eq!((summary.first, summary.last), (Timestamp::from_millis(-50), Timestamp::from_millis(-49)));
    assert_eq!(summary.arrival, Timestamp::from_millis(950));
    assert_eq!((summary.streams.len(), summary.streams[0].stream.as_str()), (1, "host"));
    assert_eq!(summary.streams[0].group.name, "files");
    let limited = store.summaries(Position::FIRST, Position::new(9), 1).expect("readable");
    assert_eq!(limited.iter().map(|summary| summary.position.number()).collect::<Vec<_>>(), [0]);
    assert!(store.summaries(Position::new(2), Position::new(1), 9).expect("readable").is_empty());
}

fn trimmed_blocks_are_gone_and_positions_go_on(store: &dyn Store) {
    for i in 0..6 {
        append(store, one("host", &i.to_string())).expect("stored");
    }
    store.trim(Position::new(4)).expect("trims");
    store.trim(Position::new(2)).expect("an older trim changes nothing");
    assert_eq!(store.start(), Position::new(4));
    let blocks = store.read(Position::FIRST, usize::MAX).expect("readable");
    assert_eq!(blocks[0].position, Position::new(4), "a read from before the start begins at the start");
    assert_eq!(store.summaries(Position::FIRST, Position::new(9), 9).expect("readable").len(), 2);
    store.trim(Position::new(1_000)).expect("trims all there is");
    assert_eq!(store.start(), Position::new(6));
    assert!(store.read(Position::FIRST, usize::MAX).expect("readable").is_empty());
    assert_eq!(append(store, one("host", "6")).expect("stored"), Position::new(6));
}

fn bad_batches_are_refused(store: &dyn Store) {
    let empty = batch("host", 0, &[]);
    let large = one("host", &"x".repeat(BATCH_BYTES_MAX));
    for bad in [empty, large] {
        assert_eq!(append(store, bad).expect_err("refused").kind(), Kind::Invalid);
    }
    assert_eq!(*store.end().borrow(), Position::FIRST);
}

fn commit(store: &dyn Store, fill: impl FnOnce(&mut Write)) -> Vec<Position> {
    let mut write = Write::new();
    fill(&mut write);
    store.commit(write, Durability::Process).expect("commits")
}

fn the_last_change_of_a_key_stays(store: &dyn Store) {
    commit(store, |write| {
        write.put(Space::Catalog, "a", "1").put(Space::Catalog, "a", "2").put(Space::Catalog, "b", "1");
        write.delete(Space::Catalog, "b").delete(Space::Catalog, "c").put(Space::Catalog, "c", "3");
    });
    let value = |key: &str| store.get(Space::Catalog, key.as_bytes()).expect("readable");
    assert_eq!(value("a"), Some(b"2".to_vec()));
    assert_eq!(value("b"), None);
    assert_eq!(value("c"), Some(b"3".to_vec()));
    commit(store, |write| _ = write.delete(Space::Catalog, "a").delete(Space::Catalog, "never"));
    assert_eq!(value("a"), None);
    commit(store, |write| _ = write.put(Space::Catalog, "empty", ""));
    assert_eq!(value("empty"), Some(Vec::new()), "an empty value is a value");
}

fn keys(store: &dyn Store, scan: &Scan) -> Vec<String> {
    let entries = store.scan(Space::Points, scan).expect("readable");
    entries.into_iter().map(|(key, _)| String::from_utf8(key).expect("text")).collect()
}

fn scans_take_what_they_ask_for(store: &dyn Store) {
    commit(store, |write| {
        for key in ["a", "a/1", "a/2", "a/3", "b", "c"] {
            write.put(Space::Points, key, format!("value of {key}"));
        }
    });
    assert_eq!(keys(store, &Scan::all()), ["a", "a/1", "a/2", "a/3", "b", "c"]);
    assert_eq!(keys(store, &Scan::prefix("a/")), ["a/1", "a/2", "a/3"]);
    assert_eq!(keys(store, &Scan::prefix("a/").reverse().limit(2)), ["a/3", "a/2"]);
    assert_eq!(keys(store, &Scan::prefix("a/").after("a/1")), ["a/2", "a/3"]);
    assert_eq!(keys(store, &Scan::prefix("a/").reverse().after("a/2")), ["a/1"]);
    assert_eq!(keys(store, &Scan::range("a/2", "c")), ["a/2", "a/3", "b"]);
    assert_eq!(keys(store, &Scan::range("c", "a")), [""; 0]);
    assert_eq!(keys(store, &Scan::all().limit(0)), [""; 0]);
    let entries = store.scan(Space::Points, &Scan::prefix("b")).expect("readable");
    assert_eq!(entries, [(b"b".to_vec(), b"value of b".to_vec())]);
}

fn scans_agree_with_a_sorted_map(store: &dyn Store) {
    let key = || proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(254), Just(255)], 1..4);
    let change = (key(), proptest::option::of(any::<u8>()));
    let scan = (key(), key(), any::<bool>(), 0..6_usize);
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (proptest::collection::vec(change, 1..8), scan);
    for _ in 0..100 {
        let tree = strategy.new_tree(&mut runner).expect("generates");
        let (changes, (from, to, reverse, limit)) = proptest::strategy::ValueTree::current(&tree);
        let mut write = Write::new();
        for (key, value) in changes {
            match value {
                Some(value) => {
                    write.put(Space::Points, key.clone(), [value]);
                    model.insert(key, vec![value]);
                }
                None => {
                    write.delete(Space::Points, key.clone());
                    model.remove(&key);
                }
            }
        }
        store.commit(write, Durability::Process).expect("commits");
        let inside = |found: &(&Vec<u8>, &Vec<u8>)| *found.0 >= from && *found.0 < to;
        let mut ranged: Vec<_> = model.iter().filter(inside).map(|(k, v)| (k.clone(), v.clone())).collect();
        let mut prefixed: Vec<_> =
            model.iter().filter(|(k, _)| k.starts_with(&from)).map(|(k, v)| (k.clone(), v.clone())).collect();
        let (mut range, mut prefix) = (Scan::range(from.clone(), to.clone()), Scan::prefix(from.clone()));
        if reverse {
            (range, prefix) = (range.reverse(), prefix.reverse());
            ranged.reverse();
            prefixed.reverse();
        }
        ranged.truncate(limit);
        prefixed.truncate(limit);
        assert_eq!(store.scan(Space::Points, &range.limit(limit)).expect("readable"), ranged);
        assert_eq!(store.scan(Space::Points, &prefix.limit(limit)).expect("readable"), prefixed);
    }
}

fn a_write_is_whole_or_not_at_all(store: &dyn Store) {
    commit(store, |write| _ = write.put(Space::Catalog, "version", "1"));
    let mut stale = Write::new();
    stale.expect(Space::Catalog, "version", Some(b"0".to_vec()));
    stale.put(Space::Catalog, "version", "2").push(Stream::Metrics, "never");
    let error = store.commit(stale, Durability::Disk).expect_err("expectation fails");
    assert_eq!(error.kind(), Kind::Conflict);
    let mut taken = Write::new();
    taken.expect(Space::Catalog, "version", None).put(Space::Watch, "never", "");
    assert_eq!(store.commit(taken, Durability::Disk).expect_err("key is there").kind(), Kind::Conflict);
    assert_eq!(store.get(Space::Catalog, b"version").expect("readable"), Some(b"1".to_vec()));
    assert_eq!(store.get(Space::Watch, b"never").expect("readable"), None);
    assert!(store.read_stream(Stream::Metrics, Position::FIRST, 9).expect("readable").is_empty());
    let mut fresh = Write::new();
    fresh.expect(Space::Catalog, "version", Some(b"1".to_vec())).expect(Space::Catalog, "new", None);
    fresh.put(Space::Catalog, "version", "2");
    assert_eq!(store.commit(fresh, Durability::Disk).expect("holds"), []);
    assert_eq!(store.get(Space::Catalog, b"version").expect("readable"), Some(b"2".to_vec()));
}

fn spaces_and_streams_are_apart(store: &dyn Store) {
    commit(store, |write| {
        for space in Space::ALL {
            write.put(space, "key", space.name());
        }
        for stream in Stream::ALL {
            write.push(stream, stream.name());
        }
    });
    for space in Space::ALL {
        assert_eq!(store.get(space, b"key").expect("readable"), Some(space.name().into()));
    }
    for stream in Stream::ALL {
        let entries = store.read_stream(stream, Position::FIRST, 1_000).expect("readable");
        assert_eq!(entries, [(Position::FIRST, stream.name().into())]);
    }
}

fn pushes_get_consecutive_positions(store: &dyn Store) {
    let first = commit(store, |write| {
        write.push(Stream::Metrics, "a").push(Stream::Audit, "x").push(Stream::Metrics, "b");
    });
    assert_eq!(first, [0, 0, 1].map(Position::new));
    let second = commit(store, |write| _ = write.push(Stream::Metrics, "c").put(Space::Watch, "at", "1"));
    assert_eq!(second, [Position::new(2)]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    commit(store, |write| _ = write.push(Stream::Metrics, "d").push(Stream::Metrics, "e"));
                }
            });
        }
    });
    let entries = store.read_stream(Stream::Metrics, Position::FIRST, usize::MAX).expect("readable");
    let numbers: Vec<_> = entries.iter().map(|(position, _)| position.number()).collect();
    assert_eq!(numbers, (0..163).collect::<Vec<_>>());
    let text: Vec<u8> = entries.into_iter().flat_map(|(_, entry)| entry).collect();
    assert_eq!(text, format!("abc{}", "de".repeat(80)).into_bytes(), "pushes of a write stay together");
}

fn streams_are_read_in_pieces(store: &dyn Store) {
    commit(store, |write| {
        for entry in ["1234", "5678", "", "90"] {
            write.push(Stream::Outbox, entry);
        }
    });
    for (from, bytes_max, count) in [(0, 0, 1), (0, 8, 3), (0, 10, 4), (1, 4, 2), (3, 1, 1), (4, 9, 0)] {
        let entries = store.read_stream(Stream::Outbox, Position::new(from), bytes_max).expect("readable");
        assert_eq!(entries.len(), count, "from {from}, bytes_max {bytes_max}");
    }
}

fn trimmed_entries_are_gone_and_positions_go_on(store: &dyn Store) {
    commit(store, |write| {
        for i in 0..2_500 {
            write.push(Stream::Metrics, i.to_string());
        }
    });
    store.trim_stream(Stream::Metrics, Position::new(2_400)).expect("trims");
    store.trim_stream(Stream::Metrics, Position::new(7)).expect("an older trim changes nothing");
    let entries = store.read_stream(Stream::Metrics, Position::FIRST, 1).expect("readable");
    assert_eq!(entries, [(Position::new(2_400), b"2400".to_vec())]);
    store.trim_stream(Stream::Metrics, Position::new(u64::MAX)).expect("trims all there is");
    assert_eq!(store.stream_start(Stream::Metrics), Position::new(2_500));
    assert!(store.read_stream(Stream::Metrics, Position::FIRST, 1).expect("readable").is_empty());
    assert_eq!(commit(store, |write| _ = write.push(Stream::Metrics, "on")), [Position::new(2_500)]);
}

fn a_stream_end_tells_of_pushes_only(store: &dyn Store) {
    let mut end = store.stream_end(Stream::Metrics);
    end.mark_unchanged();
    commit(store, |write| _ = write.push(Stream::Audit, "elsewhere").put(Space::Catalog, "k", "v"));
    assert!(!end.has_changed().expect("store lives"));
    commit(store, |write| _ = write.push(Stream::Metrics, "here"));
    assert!(end.has_changed().expect("store lives"));
    assert_eq!(*end.borrow_and_update(), Position::new(1));
}

fn bad_keys_are_refused(store: &dyn Store) {
    let long = vec![0; KEY_BYTES_MAX + 1];
    for key in [Vec::new(), long] {
        let mut write = Write::new();
        write.put(Space::Catalog, key.clone(), "").push(Stream::Metrics, "never");
        assert_eq!(store.commit(write, Durability::Process).expect_err("refused").kind(), Kind::Invalid);
        assert_eq!(store.get(Space::Catalog, &key).expect("readable"), None);
    }
    assert_eq!(*store.stream_end(Stream::Metrics).borrow(), Position::FIRST);
    commit(store, |write| _ = write.put(Space::Catalog, vec![0; KEY_BYTES_MAX], ""));
}
