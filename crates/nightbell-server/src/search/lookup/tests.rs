use std::sync::Arc;

use nightbell_store::archive::mergeable;
use nightbell_store::{Durability, Write};
use nightbell_winevt::DialectReader;

use super::*;
use crate::manage::groups;
use crate::search::sample::{World, at, group};

const BYTES_MAX: usize = 100;

fn wanted(name: &str, block: u64, number: u32, ms: i64) -> Wanted {
    (Place { block, number, group: group(name).digest() }, at(0).plus_millis(ms))
}

/// What is found, in the order asked for.
async fn found(world: &World, all: &[Wanted]) -> Vec<String> {
    let (app, all) = (Arc::clone(&world.app), all.to_vec());
    let found = tokio::task::spawn_blocking(move || messages(&app, &all, BYTES_MAX, at(3_600)));
    found.await.unwrap().into_values().collect()
}

/// Two groups with five events in three blocks.
async fn world() -> World {
    let world = World::with_groups(&["one", "two"]);
    let text = |text: &str| text.to_owned();
    world.append("one", "s", 10, vec![(1_000, text("a")), (1_000, text("b"))]).await;
    world.append("two", "s", 11, vec![(1_000, text("c"))]).await;
    world.append("one", "t", 12, vec![(2_000, text("d")), (2_000, "x".repeat(BYTES_MAX + 1))]).await;
    world
}

fn all() -> [Wanted; 4] {
    [
        wanted("one", 2, 0, 2_000),
        wanted("one", 0, 1, 1_000),
        wanted("two", 1, 0, 1_000),
        wanted("one", 0, 0, 1_000),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_by_their_place_wherever_they_have_gone() {
    let world = world().await;
    let nowhere = [
        wanted("one", 3, 0, 1_000),
        wanted("one", u64::MAX, 0, 1_000),
        wanted("one", 0, 2, 1_000),
        wanted("one", 0, u32::MAX, 1_000),
        wanted("one", 1, 0, 1_000), // of another group
        wanted("one", 0, 0, 1_001), // of another time
        wanted("one", 2, 1, 2_000), // too large
        wanted("three", 0, 0, 1_000),
    ];
    for archived in 0..4 {
        if archived > 0 {
            world.archive_to(Position::new(archived)).await;
        }
        assert_eq!(found(&world, &all()).await, ["d", "b", "c", "a"], "{archived} blocks archived");
        assert_eq!(found(&world, &nowhere).await, [""; 0], "{archived} blocks archived");
    }
    let archive = world.app.shelves.archive();
    for set in mergeable(archive.all_files().unwrap(), 2) {
        let change = archive.merge(set, &DialectReader, at(9)).await.unwrap().unwrap();
        let mut write = Write::new();
        change.commit(&mut write);
        world.app.records.store().commit(write, Durability::Disk).unwrap();
    }
    assert_eq!(found(&world, &all()).await, ["d", "b", "c", "a"], "merged");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_group_keeps_no_more_is_not_found() {
    let world = world().await;
    world.archive_to(Position::new(3)).await;
    groups::retain(&world.app.records, &group("one"), Some(1)).unwrap();
    let (app, day) = (Arc::clone(&world.app), 86_400);
    let later = tokio::task::spawn_blocking(move || messages(&app, &all(), BYTES_MAX, at(day + 2)));
    assert_eq!(later.await.unwrap().into_values().collect::<Vec<_>>(), ["d", "c"]);
    world.make("one");
    assert_eq!(found(&world, &all()).await, ["c"], "its successor's events are others");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_once_and_followed_when_they_go_and_come() {
    let world = world().await;
    world.archive_to(Position::new(3)).await;
    let (records, owners) = (&world.app.records, Owners::default());
    let digests = |names: &[&str]| names.iter().map(|name| group(name).digest()).collect();
    let names = |digests: &BTreeSet<u32>| {
        let found = owners.of(records, digests).unwrap();
        found.into_iter().map(|owner| owner.group.name).collect::<Vec<_>>()
    };
    let both = digests(&["one", "two"]);
    assert_eq!(names(&digests(&["one", "nowhere"])), ["one"]);
    assert_eq!(owners.0.lock().unwrap().len(), 1, "only what was asked for is remembered");
    let found = names(&both);
    assert!(found.len() == 2 && found.contains(&"one".to_owned()) && found.contains(&"two".to_owned()));
    groups::remove(records, &group("one")).unwrap();
    assert_eq!(names(&both), ["two"]);
    world.make("one");
    assert_eq!(names(&both).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_is_away_costs_the_events_alone() {
    let world = world().await;
    world.archive_to(Position::new(2)).await;
    let folder = world.archive_folder();
    std::fs::rename(&folder, folder.with_extension("away")).unwrap();
    assert_eq!(found(&world, &all()).await, ["d"]);
}
