/*!
Steps of the archive: repeated after a crash, refused when another came first, merged, removed, made again.
*/

use std::sync::Arc;

use futures::TryStreamExt;
use nightbell_store::archive::{Depth, Removal, Step, mergeable};
use nightbell_store::{Catalog, Durability, Kind, Position, Write};
use object_store::{ObjectStore, ObjectStoreExt};

use crate::sample::{READER, World, block, expected, group, place, read_all, recorded, seconds, wait};

#[test]
fn a_step_whose_commit_never_came_stands() {
    wait(async {
        let world = World::new();
        let blocks = [
            block(0, "a", "s", 0, &["1", "2"]),
            block(1, "a", "s", 5, &["3"]),
            block(2, "b", "s", 9, &["4"]),
        ];
        world.write(&blocks[..1], 1).await;
        let lost = world.archive.write(&blocks[1..], &READER, seconds(2)).await.unwrap().unwrap();
        assert!(world.is_sound().await, "a step between document and commit is no damage");
        assert_eq!(read_all(&world.archive).await, expected(&blocks[..1]));
        let error = world.archive.write(&blocks[1..2], &READER, seconds(3)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{error}");
        assert_eq!(world.archive.recover().await.unwrap(), lost.head);
        assert_eq!(world.archive.head().unwrap().archived, Position::new(3));
        assert_eq!(read_all(&world.archive).await, expected(&blocks));
        assert!(world.is_sound().await);
        // So do merges and removals.
        let merged =
            world.archive.merge(world.archive.files_of(&group("a")).unwrap(), &READER, seconds(4)).await;
        assert_eq!(world.archive.recover().await.unwrap(), merged.unwrap().unwrap().head);
        let removed = world
            .archive
            .remove(world.archive.files_of(&group("b")).unwrap(), Removal::Operator, seconds(5))
            .await;
        assert_eq!(world.archive.recover().await.unwrap(), removed.unwrap().unwrap().head);
        assert_eq!(world.archive.all_files().unwrap().len(), 1);
        assert_eq!(read_all(&world.archive).await, expected(&blocks[..2]));
        assert_eq!(world.archive.sweep(seconds(5)).await.unwrap(), 6);
        assert!(world.is_sound().await);
        assert_eq!(world.archive.recover().await.unwrap(), world.archive.head().unwrap());
    });
}

#[test]
fn files_without_a_document_are_deleted_or_written_again() {
    wait(async {
        let world = World::new();
        world.write(&[block(0, "a", "s", 0, &["1"])], 1).await;
        // Files are put, the crash comes before the document.
        world.archive.write(&[block(1, "b", "s", 0, &["2"])], &READER, seconds(2)).await.unwrap();
        world.objects.delete(&place("chain/00000000000000000001.json")).await.unwrap();
        assert!(world.is_sound().await, "an unfinished step is no damage");
        world.archive.recover().await.unwrap();
        let objects: Vec<_> = world.objects.list(None).try_collect().await.unwrap();
        assert_eq!(objects.len(), 3, "file, summary and document");
        let blocks = [block(1, "a", "s", 5, &["3"])];
        world.write(&blocks, 3).await;
        assert_eq!(world.archive.head().unwrap().next, 2);
        assert!(world.is_sound().await);
    });
}

#[test]
fn files_of_many_steps_without_documents_are_left_for_people() {
    wait(async {
        let world = World::new();
        for at in 0..4 {
            world.write(&[block(at, "a", "s", 0, &["1"])], 1).await;
        }
        let objects = || world.objects.list(None).try_collect::<Vec<_>>();
        for number in 1..4 {
            world.objects.delete(&place(&format!("chain/{number:020}.json"))).await.unwrap();
        }
        let before = objects().await.unwrap();
        let fresh = World::on(Arc::clone(&world.objects));
        assert_eq!(fresh.archive.recover().await.unwrap().next, 1, "what documents say");
        fresh.archive.recover().await.unwrap();
        assert_eq!(
            objects().await.unwrap().len(),
            before.len(),
            "events are not deleted with a part of the chain"
        );
    });
}

#[test]
fn of_two_writers_one_is_refused() {
    wait(async {
        let world = World::new();
        let blocks = [block(0, "a", "s", 0, &["1"])];
        let change = world.archive.write(&blocks, &READER, seconds(1)).await.unwrap().unwrap();
        let second = world.archive.write(&blocks, &READER, seconds(2)).await.unwrap_err();
        assert_eq!(second.kind(), Kind::Conflict, "{second}");
        world.commit(&change);
        let mut write = Write::new();
        change.commit(&mut write);
        assert_eq!(world.catalog.commit(write, Durability::Disk).unwrap_err().kind(), Kind::Conflict);
        let again = world.archive.write(&blocks, &READER, seconds(1)).await.unwrap_err();
        assert_eq!(again.kind(), Kind::Invalid, "{again}");
        assert!(world.archive.write(&[], &READER, seconds(1)).await.unwrap().is_none());
    });
}

#[test]
fn small_files_become_one_and_prove_what_they_hold() {
    wait(async {
        let world = World::new();
        assert!(place("group=site%2Fa/x").as_ref().contains("site%2Fa"));
        let blocks: Vec<_> =
            (0..6).map(|at| block(at, "a", "s", 10 - at as i64, &["one", "two", "three"])).collect();
        for (at, pair) in blocks.chunks(2).enumerate() {
            world.write(pair, at as i64).await;
        }
        let sets = mergeable(world.archive.all_files().unwrap(), 3);
        assert_eq!(sets.iter().map(Vec::len).collect::<Vec<_>>(), [3]);
        assert!(mergeable(world.archive.all_files().unwrap(), 4).is_empty());
        let old: Vec<String> = sets[0].iter().map(|entry| entry.path.clone()).collect();
        let change = world.archive.merge(sets[0].clone(), &READER, seconds(9)).await.unwrap().unwrap();
        assert!(world.is_sound().await, "before the commit");
        world.commit(&change);
        assert!(world.is_sound().await, "before the sweep");
        let files = world.archive.all_files().unwrap();
        assert_eq!((files.len(), files[0].parts.len(), files[0].rows), (1, 3, 18));
        assert_eq!(read_all(&world.archive).await, expected(&blocks));
        assert_eq!(world.archive.sweep(seconds(8)).await.unwrap(), 0);
        assert_eq!(world.archive.sweep(seconds(9)).await.unwrap(), 6);
        assert!(world.objects.get(&place(&old[0])).await.is_err());
        assert!(world.is_sound().await, "after the sweep");
        // Merged files are merged again.
        world.write(&[block(6, "a", "s", 0, &["four"])], 10).await;
        let again = world
            .archive
            .merge(world.archive.all_files().unwrap(), &READER, seconds(11))
            .await
            .unwrap()
            .unwrap();
        world.commit(&again);
        assert_eq!(world.archive.all_files().unwrap()[0].parts.len(), 4);
        assert!(world.is_sound().await);
    });
}

#[test]
fn recorded_events_survive_a_merge() {
    wait(async {
        let world = World::new();
        let blocks = recorded();
        for (at, one) in blocks.chunks(1).enumerate() {
            world.write(one, at as i64).await;
        }
        for set in mergeable(world.archive.all_files().unwrap(), 2) {
            let change = world.archive.merge(set, &READER, seconds(9)).await.unwrap().unwrap();
            world.commit(&change);
        }
        assert_eq!(read_all(&world.archive).await, expected(&blocks));
        assert!(world.is_sound().await);
    });
}

#[test]
fn files_of_several_hours_are_not_merged() {
    wait(async {
        let world = World::new();
        world.write(&[block(0, "a", "s", 0, &["1"]), block(1, "a", "s", 7_200, &["1"])], 1).await;
        let files = world.archive.all_files().unwrap();
        let error = world.archive.merge(files.clone(), &READER, seconds(2)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(world.archive.merge(files[..1].to_vec(), &READER, seconds(2)).await.unwrap().is_none());
    });
}

#[test]
fn removed_files_leave_a_stub_and_nothing_else() {
    wait(async {
        let world = World::new();
        let blocks = [block(0, "a", "s", 0, &["secret"]), block(1, "b", "s", 0, &["kept"])];
        world.write(&blocks, 1).await;
        let noted = world.archive.head().unwrap().hash;
        let files = world.archive.files_of(&group("a")).unwrap();
        let change =
            world.archive.remove(files.clone(), Removal::Retention, seconds(2)).await.unwrap().unwrap();
        world.commit(&change);
        assert_eq!(world.archive.sweep(seconds(2)).await.unwrap(), 2);
        assert!(world.objects.get(&place(&files[0].path)).await.is_err());
        assert_eq!(read_all(&world.archive).await, expected(&blocks[1..]));
        assert!(world.is_sound().await);
        let block = world.archive.chain_block(1).await.unwrap().unwrap();
        assert!(
            matches!(&block.step, Step::Removed { reason: Removal::Retention, files } if files[0].rows == 1)
        );
        let found = world.archive.verify(Some(noted), Depth::Events, &mut |_| ()).await.unwrap();
        assert!(found.is_sound(), "an older head still proves the chain");
        assert!(world.archive.remove(Vec::new(), Removal::Operator, seconds(3)).await.unwrap().is_none());
    });
}

#[test]
fn a_damaged_block_is_left_out_and_the_chain_says_so() {
    wait(async {
        let world = World::new();
        let blocks = [block(0, "a", "s", 0, &["1"]), block(2, "a", "s", 5, &["3"])];
        world.write(&blocks[..1], 1).await;
        let change = world.archive.pass_over(Position::new(1), seconds(2)).await.unwrap();
        assert_eq!(change.head.archived, Position::new(2));
        assert!(world.is_sound().await, "before the commit");
        assert_eq!(
            world.archive.recover().await.unwrap(),
            change.head,
            "a commit that never came is made up for"
        );
        for before in [0, 1] {
            let again = world.archive.pass_over(Position::new(before), seconds(3)).await.unwrap_err();
            assert_eq!(again.kind(), Kind::Invalid, "{again}");
        }
        world.write(&blocks[1..], 3).await;
        assert_eq!(read_all(&world.archive).await, expected(&blocks));
        let left_out = world.archive.chain_block(1).await.unwrap().unwrap();
        assert_eq!(left_out.step, Step::LeftOut { position: Position::new(1) });
        let found = world.archive.verify(Some(change.head.hash), Depth::Events, &mut |_| ()).await.unwrap();
        assert!(found.is_sound(), "{:?}", found.findings);
        assert_eq!((found.left_out, found.events), (1, 2));
        let fresh = World::on(Arc::clone(&world.objects));
        assert_eq!(fresh.archive.rebuild().await.unwrap(), world.archive.head().unwrap());
        assert!(fresh.is_sound().await);
    });
}

#[test]
fn of_two_that_pass_over_one_is_refused() {
    wait(async {
        let world = World::new();
        let change = world.archive.pass_over(Position::FIRST, seconds(1)).await.unwrap();
        let second = world.archive.pass_over(Position::FIRST, seconds(2)).await.unwrap_err();
        assert_eq!(second.kind(), Kind::Conflict, "{second}");
        world.commit(&change);
        let late = world.archive.write(&[block(0, "a", "s", 0, &["1"])], &READER, seconds(3)).await;
        assert_eq!(late.unwrap_err().kind(), Kind::Invalid, "what was left out stays left out");
    });
}

#[test]
fn the_catalog_is_made_again_from_the_chain() {
    wait(async {
        let world = World::new();
        let blocks: Vec<_> =
            (0..4).map(|at| block(at, ["a", "b"][at as usize % 2], "s", 0, &["1", "2"])).collect();
        for (at, one) in blocks.chunks(1).enumerate() {
            world.write(one, at as i64).await;
        }
        let files = world.archive.files_of(&group("a")).unwrap();
        let merged = world.archive.merge(files, &READER, seconds(8)).await.unwrap().unwrap();
        world.commit(&merged);
        let files = world.archive.files_of(&group("b")).unwrap();
        let removed =
            world.archive.remove(files[..1].to_vec(), Removal::Operator, seconds(9)).await.unwrap().unwrap();
        world.commit(&removed);
        let fresh = World::on(Arc::clone(&world.objects));
        assert!(fresh.is_sound().await, "the chain proves itself without a catalog");
        assert_eq!(fresh.archive.rebuild().await.unwrap(), world.archive.head().unwrap());
        assert_eq!(fresh.archive.all_files().unwrap(), world.archive.all_files().unwrap());
        assert!(fresh.is_sound().await);
        assert_eq!(fresh.archive.sweep(seconds(9)).await.unwrap(), 6);
        assert!(fresh.is_sound().await);
        assert_eq!(fresh.archive.rebuild().await.unwrap(), world.archive.head().unwrap());
    });
}
