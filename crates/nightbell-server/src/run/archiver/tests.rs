/*!
Rounds of the archiver over a store in memory and an archive in a folder.
*/

use tokio::sync::watch;

use super::*;
use crate::manage::groups;
use crate::search::sample::{World, at, group};

/// So long after the first events that all is due and nothing is young.
const LATER_S: i64 = 10_000;

fn archiver<'a>(app: &'a App, halt: &'a Stopping, runtime: &'a tokio::runtime::Handle) -> Archiver<'a> {
    Archiver { app, halt, runtime, tidied_at: None, unsure: true }
}

fn round(archiver: &mut Archiver<'_>, second: i64) -> Result<(), Failure> {
    tokio::task::block_in_place(|| archiver.round(at(second)))
}

async fn append(world: &World, name: &str, numbers: std::ops::Range<i64>) {
    for n in numbers {
        // Out of two hours.
        world.append(name, "s", n, vec![(n, format!("{n}")), (3_600_000 + n, format!("{n} later"))]).await;
    }
}

fn expected(numbers: std::ops::Range<i64>) -> Vec<String> {
    let earlier = numbers.clone().map(|n| format!("{n}"));
    earlier.chain(numbers.map(|n| format!("{n} later"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_is_away_stops_nothing_but_the_archiver() {
    let world = World::with_groups(&["g"]);
    let (_stop, halt) = watch::channel(false);
    let runtime = tokio::runtime::Handle::current();
    let mut archiver = archiver(&world.app, &halt, &runtime);
    append(&world, "g", 0..3).await;
    round(&mut archiver, 100).unwrap();
    assert_eq!(world.app.shelves.archive().head().unwrap().archived, Position::new(3));

    let folder = world.archive_folder();
    let away = folder.with_extension("away");
    std::fs::rename(&folder, &away).unwrap();
    std::fs::write(&folder, "no folder").unwrap();
    for n in 3..6 {
        append(&world, "g", n..n + 1).await;
        assert!(round(&mut archiver, LATER_S).is_err(), "round {n}");
        let archived = world.app.shelves.archive().head().unwrap().archived;
        assert!(world.app.journal.start() <= archived && archived == Position::new(3), "round {n}");
    }
    let unarchived = world.app.journal.read(Position::new(3), usize::MAX).unwrap();
    assert_eq!(unarchived.len(), 3, "what is not archived stays in the journal");

    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    assert_eq!(world.found("g").await, expected(0..6));
    round(&mut archiver, LATER_S).unwrap();
    let archived = world.app.shelves.archive().head().unwrap().archived;
    assert_eq!((archived, world.app.journal.start()), (Position::new(6), Position::new(6)));
    assert_eq!(world.found("g").await, expected(0..6));
    assert!(world.is_sound().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_failed_leaves_nothing_behind() {
    let world = World::with_groups(&["g"]);
    let (_stop, halt) = watch::channel(false);
    let runtime = tokio::runtime::Handle::current();
    let mut archiver = archiver(&world.app, &halt, &runtime);
    for n in 0..MERGE_FILES_MIN as i64 {
        append(&world, "g", n..n + 1).await;
        round(&mut archiver, 100).unwrap();
    }
    // The step's document cannot be put: files of the merge are there and count for nothing.
    let chain = world.archive_folder().join("chain");
    let away = chain.with_extension("away");
    let next = world.app.shelves.archive().head().unwrap().next;
    std::fs::rename(&chain, &away).unwrap();
    std::fs::write(&chain, "no folder").unwrap();
    assert!(round(&mut archiver, LATER_S).is_err());
    std::fs::remove_file(&chain).unwrap();
    std::fs::rename(&away, &chain).unwrap();
    assert_eq!(world.app.shelves.archive().head().unwrap().next, next);
    // Another step takes the number of the one that failed.
    append(&world, "g", 4..5).await;
    round(&mut archiver, 100 + LATER_S).unwrap();
    assert!(world.is_sound().await);
    assert_eq!(world.found("g").await, expected(0..5));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_stay_as_long_as_they_are_held_and_go_with_their_group() {
    let world = World::with_groups(&["g", "h"]);
    let (_stop, halt) = watch::channel(false);
    let runtime = tokio::runtime::Handle::current();
    let mut archiver = archiver(&world.app, &halt, &runtime);
    append(&world, "g", 0..2).await;
    append(&world, "h", 2..4).await;
    round(&mut archiver, 100).unwrap();
    let files = |world: &World| world.app.shelves.archive().all_files().unwrap();
    let paths: Vec<_> = files(&world).iter().map(|file| world.archive_folder().join(&file.path)).collect();
    assert_eq!(paths.len(), 4);
    groups::remove(&world.app.records, &group("h")).unwrap();
    let there = || paths.iter().filter(|path| path.exists()).count();
    let held = world.app.shelves.hold(Position::FIRST, at(50));
    round(&mut archiver, 100).unwrap();
    assert_eq!((files(&world).len(), there()), (2, 4), "a reader may be in them");
    round(&mut archiver, 100 + 2 * LATER_S).unwrap();
    assert_eq!(there(), 4, "and still is");
    drop(held);
    round(&mut archiver, 100 + 3 * LATER_S).unwrap();
    assert_eq!(there(), 2);
    assert_eq!(world.found("g").await, expected(0..2));
    assert!(world.is_sound().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_heads_that_were_noted_the_newest_stay() {
    let world = World::with_groups(&["g"]);
    let store = world.app.records.store();
    let mut write = Write::new();
    (0..2 * HEADS_NOTED).for_each(|n| _ = write.push(Stream::Audit, n.to_string()));
    store.commit(write, Durability::Process).unwrap();
    let (_stop, halt) = watch::channel(false);
    let runtime = tokio::runtime::Handle::current();
    let mut archiver = archiver(&world.app, &halt, &runtime);
    append(&world, "g", 0..1).await;
    round(&mut archiver, LATER_S).unwrap();
    let end = store.stream_end(Stream::Audit).borrow().number();
    assert_eq!(end, 2 * HEADS_NOTED + 1);
    assert_eq!(store.stream_start(Stream::Audit).number(), end - HEADS_NOTED);
    let last = store.read_stream(Stream::Audit, Position::new(end - 1), 1_000).unwrap();
    assert!(String::from_utf8_lossy(&last[0].1).contains("archiveHead"));
}
