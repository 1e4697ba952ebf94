/*!
Whatever is changed, taken away or put in is found, with the block that it belongs to; and no damage makes a reader panic.
*/

use std::sync::Arc;

use futures::TryStreamExt;
use nightbell_core::pattern::facts::Facts;
use nightbell_store::Kind;
use nightbell_store::archive::{Archive, Depth, Field, Findings, Fingerprint, Removal, Trouble, WantedCodes};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::sample::{READER, World, block, everything, group, place, recorded, seconds, wait};

/// Bytes between two flips of a long file.
const STRIDE: usize = 61;

/// Five blocks of the chain: three steps of events, a merge, a removal.
async fn world() -> World {
    let world = World::new();
    for at in 0..3 {
        let one = block(at, "a", "s", at as i64, &["first message", "second message"]);
        let two = block(at, "b", "s", 50_000 * at as i64, &["other message"]);
        let mut both = one.batches.clone();
        both.extend(two.batches.clone());
        let both = nightbell_store::Block { position: one.position, batches: both };
        world.write(&[Arc::new(both)], at as i64).await;
    }
    let files = world.archive.files_of(&group("a")).unwrap();
    let merged = world.archive.merge(files[..2].to_vec(), &READER, seconds(8)).await.unwrap().unwrap();
    world.commit(&merged);
    let files = world.archive.files_of(&group("b")).unwrap();
    let removed =
        world.archive.remove(files[..1].to_vec(), Removal::Operator, seconds(9)).await.unwrap().unwrap();
    world.commit(&removed);
    world.archive.sweep(seconds(9)).await.unwrap();
    assert!(world.is_sound().await);
    world
}

async fn paths(world: &World) -> Vec<Path> {
    let mut paths: Vec<Path> =
        world.objects.list(None).map_ok(|object| object.location).try_collect().await.unwrap();
    paths.sort();
    paths
}

async fn bytes(world: &World, path: &Path) -> Vec<u8> {
    world.objects.get(path).await.unwrap().bytes().await.unwrap().to_vec()
}

async fn put(world: &World, path: &Path, bytes: &[u8]) {
    world.objects.put(path, bytes.to_vec().into()).await.unwrap();
}

async fn verify(archive: &Archive) -> Findings {
    archive.verify(None, Depth::Events, &mut |_| ()).await.unwrap()
}

#[test]
fn any_flipped_byte_is_found_and_named() {
    wait(async {
        let world = world().await;
        let paths = paths(&world).await;
        assert_eq!(paths.len(), 5 + 2 * 4);
        let mut flips = 0;
        for path in paths {
            let original = bytes(&world, &path).await;
            for at in (0..original.len()).step_by(STRIDE) {
                let mut changed = original.clone();
                changed[at] ^= 1 << (at % 8);
                put(&world, &path, &changed).await;
                let found = verify(&world.archive).await;
                let named = found.findings.iter().find(|finding| finding.path == path.as_ref());
                let named = named.unwrap_or_else(|| panic!("byte {at} of {path}: {:?}", found.findings));
                assert_eq!(named.trouble, Trouble::Changed, "byte {at} of {path}");
                let block = named.block.expect("a block vouches for it");
                assert_eq!(found.first_bad_block(), Some(block), "byte {at} of {path}: {:?}", found.findings);
                flips += 1;
            }
            put(&world, &path, &original).await;
        }
        println!("{flips} flips");
        assert!(verify(&world.archive).await.is_sound());
    });
}

#[test]
fn whatever_is_taken_away_is_found() {
    wait(async {
        let world = world().await;
        for path in paths(&world).await {
            let original = bytes(&world, &path).await;
            world.objects.delete(&path).await.unwrap();
            let found = verify(&world.archive).await;
            let named = found.findings.iter().find(|finding| finding.path == path.as_ref()).unwrap();
            assert_eq!(named.trouble, Trouble::Removed, "{path}");
            assert_eq!(found.first_bad_block(), named.block, "{path}");
            put(&world, &path, &original).await;
        }
        assert!(verify(&world.archive).await.is_sound());
    });
}

#[test]
fn whatever_is_put_in_is_found() {
    wait(async {
        let world = world().await;
        let file = world.archive.all_files().unwrap()[0].clone();
        let content = bytes(&world, &place(&file.path)).await;
        let folder = file.path.rsplit_once('/').unwrap().0.to_owned();
        let inserted = [
            format!("{folder}/00000000000000000001.parquet"),
            format!("{folder}/00000000000000000001-00000000000000000002.summary"),
            format!("{folder}/note.txt"),
            "stranger".to_owned(),
            "chain/00000000000000000009.json".to_owned(),
            "chain/note.json".to_owned(),
        ];
        for path in inserted {
            let path = place(&path);
            put(&world, &path, &content).await;
            let found = verify(&world.archive).await;
            assert_eq!(found.findings.len(), 1, "{path}: {:?}", found.findings);
            assert_eq!(
                (found.findings[0].trouble, found.findings[0].path.as_str()),
                (Trouble::Inserted, path.as_ref())
            );
            world.objects.delete(&path).await.unwrap();
        }
        assert!(verify(&world.archive).await.is_sound());
    });
}

#[test]
fn reordered_blocks_are_found() {
    wait(async {
        let world = world().await;
        let document = |number: u64| place(&format!("chain/{number:020}.json"));
        for (one, other) in [(0, 1), (1, 2), (0, 4), (3, 4)] {
            let (first, second) =
                (bytes(&world, &document(one)).await, bytes(&world, &document(other)).await);
            put(&world, &document(one), &second).await;
            put(&world, &document(other), &first).await;
            assert_eq!(verify(&world.archive).await.first_bad_block(), Some(one));
            put(&world, &document(one), &first).await;
            put(&world, &document(other), &second).await;
        }
    });
}

#[test]
fn a_chain_made_anew_is_not_the_one_that_was_noted() {
    wait(async {
        let world = world().await;
        let noted = world.archive.head().unwrap().hash;
        let sound = world.archive.verify(Some(noted), Depth::Files, &mut |_| ()).await.unwrap();
        assert!(sound.is_sound());
        // The same files and a chain without the removal, as someone with the program could make it.
        let forged = World::new();
        forged.write(&[block(0, "a", "s", 0, &["nothing happened"])], 0).await;
        assert!(verify(&forged.archive).await.is_sound());
        let found = forged.archive.verify(Some(noted), Depth::Files, &mut |_| ()).await.unwrap();
        assert_eq!(found.findings.len(), 1);
        assert!(found.findings[0].detail.contains(&noted.to_string()));
        // Someone who replaces the files and leaves the catalog is found without a note.
        let moved = World::on(Arc::clone(&forged.objects));
        moved.objects.delete(&place("chain/00000000000000000000.json")).await.unwrap();
        moved.write(&[block(0, "a", "s", 0, &["something else"])], 0).await;
        assert!(verify(&moved.archive).await.is_sound());
        assert!(!verify(&forged.archive).await.is_sound());
    });
}

#[test]
fn the_end_of_the_chain_cannot_be_cut() {
    wait(async {
        let world = world().await;
        world.objects.delete(&place("chain/00000000000000000004.json")).await.unwrap();
        let found = verify(&world.archive).await;
        assert_eq!((found.first_bad_block(), found.findings[0].trouble), (Some(4), Trouble::Removed));
    });
}

#[test]
fn damaged_files_give_right_rows_or_an_error() {
    wait(async {
        let world = World::new();
        world.write(&recorded()[..1], 1).await;
        let entry = world.archive.all_files().unwrap().into_iter().max_by_key(|entry| entry.rows).unwrap();
        let right = crate::sample::read(&world.archive, &entry, &everything()).await;
        let (mut seen, mut unseen) = (0, 0);
        for path in [entry.path.clone(), entry.summary_path()] {
            let path = place(&path);
            let original = bytes(&world, &path).await;
            for at in (0..original.len()).step_by(37) {
                let mut changed = original.clone();
                changed[at] ^= 1 << (at % 8);
                put(&world, &path, &changed).await;
                match try_read(&world.archive, &entry).await {
                    Ok(messages) => {
                        assert!(
                            messages.iter().eq(right.iter().map(|event| &event.message)),
                            "byte {at} of {path}"
                        );
                        unseen += 1;
                    }
                    Err(kind) => {
                        assert_eq!(kind, Kind::Broken, "byte {at} of {path}");
                        seen += 1;
                    }
                }
            }
            put(&world, &path, &original[..original.len() / 2]).await;
            assert!(try_read(&world.archive, &entry).await.is_err(), "half of {path}");
            put(&world, &path, &original).await;
        }
        println!("{seen} damages seen, {unseen} without effect on what is read");
        assert!(seen > unseen);
    });
}

async fn try_read(
    archive: &Archive,
    entry: &nightbell_store::archive::FileEntry,
) -> Result<Vec<String>, Kind> {
    let kind = |error: nightbell_store::StoreError| error.kind();
    let reader = archive.open_anew(entry).await.map_err(kind)?;
    let mut messages = Vec::new();
    for at in 0..reader.row_groups() {
        reader.summary(at).unwrap().may_hold_text("whatever");
        let codes = WantedCodes { times: true, streams: true, fields: Field::ALL.to_vec() };
        reader.codes(at, &codes).await.map_err(kind)?;
        for field in Field::ALL {
            reader.counted(at, Some(field)).await.map_err(kind)?;
        }
        let mut rows = reader.read(at, &everything()).await.map_err(kind)?;
        while let Some(batch) = rows.next(&|_| true).await.map_err(kind)? {
            messages.extend(batch.rows().map(|row| row.message().to_owned()));
        }
    }
    Ok(messages)
}

#[test]
fn fingerprints_of_nothing_are_not_in_a_chain() {
    wait(async {
        let world = World::new();
        let found = verify(&world.archive).await;
        assert!(found.is_sound() && found.head.next == 0);
        let found = world.archive.verify(Some(Fingerprint::ZERO), Depth::Files, &mut |_| ()).await.unwrap();
        assert!(!found.is_sound());
    });
}

#[test]
fn a_column_that_nobody_asks_for_is_not_read() {
    wait(async {
        let world = World::new();
        world.write(&recorded()[..1], 1).await;
        let entry = world.archive.all_files().unwrap().into_iter().max_by_key(|entry| entry.rows).unwrap();
        let path = place(&entry.path);
        let original = bytes(&world, &path).await;
        let asked = |fields: &[Field]| WantedCodes { times: false, streams: false, fields: fields.to_vec() };
        // The columns for which the damage of one byte is seen.
        let mut seen = Vec::new();
        for at in (0..original.len()).step_by(37) {
            let mut changed = original.clone();
            changed[at] ^= 1;
            put(&world, &path, &changed).await;
            let Ok(reader) = world.archive.open_anew(&entry).await else { continue };
            let mut broken = Vec::new();
            for field in Field::ALL {
                if let Err(error) = reader.codes(0, &asked(&[field])).await {
                    assert_eq!(error.kind(), Kind::Broken, "byte {at}");
                    broken.push(field);
                }
            }
            // Only the footer is asked by all.
            assert!(broken.len() <= 1 || broken.len() == Field::ALL.len(), "byte {at}: {broken:?}");
            if let [field] = broken[..] {
                seen.push(field);
                assert!(reader.codes(0, &asked(&Field::ALL)).await.is_err(), "byte {at}");
            }
        }
        seen.dedup();
        assert!(seen.len() >= 5, "{seen:?}");
        assert!(seen.is_sorted(), "columns lie one behind the other: {seen:?}");
    });
}
