/*!
What is written is read: every event, every column, by time, by group, from a folder as from memory.
*/

use std::collections::BTreeMap;
use std::sync::Arc;

use nightbell_core::fields::Subject;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{Archive, Coded, Codes, Depth, Field, FileEntry, Reader, Wanted, WantedCodes};
use nightbell_store::{Catalog, Durability, MemoryStore, Write};
use object_store::ObjectStoreExt;

use crate::sample::{
    READER, World, block, everything, expected, group, place, read, read_all, recorded, seconds, wait,
};

#[test]
fn every_recorded_event_comes_back_from_a_folder() {
    wait(async {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(MemoryStore::new());
        let archive = Archive::open_folder(folder.path(), Arc::clone(&catalog) as Arc<dyn Catalog>).unwrap();
        let blocks = recorded();
        let change = archive.write(&blocks, &READER, seconds(1)).await.unwrap().unwrap();
        assert!(archive.all_files().unwrap().is_empty(), "nothing counts before the commit");
        let mut write = Write::new();
        change.commit(&mut write);
        catalog.commit(write, Durability::Disk).unwrap();
        let expected = expected(&blocks);
        assert_eq!(expected.len(), 988);
        assert_eq!(read_all(&archive).await, expected);
        assert_eq!(archive.head().unwrap().archived, blocks.last().unwrap().position.next());
        assert_eq!(archive.head().unwrap().next, 1);
        let rows: u64 = archive.all_files().unwrap().iter().map(|entry| entry.rows).sum();
        assert_eq!(rows, 988);
        let name = archive.all_files().unwrap()[0].path.clone();
        assert!(folder.path().join(&name).is_file(), "{name}");
    });
}

#[test]
fn columns_hold_what_the_selectors_reach() {
    wait(async {
        let world = World::new();
        world.write(&recorded(), 1).await;
        let (mut rows, mut users, mut numbers) = (0, 0, 0);
        for entry in world.archive.all_files().unwrap() {
            let reader = world.archive.open_file(&entry).await.unwrap();
            for at in 0..reader.row_groups() {
                let mut read = reader.read(at, &everything()).await.unwrap();
                while let Some(batch) = read.next(&|_| true).await.unwrap() {
                    for row in batch.rows() {
                        let subject = Subject::new(row.message(), row.stream(), &READER);
                        for field in Field::ALL {
                            assert_eq!(row.field(field), subject.text(field.selector()), "{field:?}");
                        }
                        rows += 1;
                        users += usize::from(row.field(Field::User).is_some());
                        numbers += usize::from(row.field(Field::RecordId).is_some());
                    }
                }
            }
        }
        assert_eq!(rows, 988);
        assert_eq!((users, numbers), (934, 987), "users, record ids");
    });
}

/// Holds the codes of a file's columns against its rows; how many values the column has that has most of them.
async fn check_codes(archive: &Archive, entry: &FileEntry) -> usize {
    let reader = archive.open_file(entry).await.unwrap();
    let wanted = WantedCodes { times: true, streams: true, fields: Field::ALL.to_vec() };
    let mut kinds = 0;
    for at in 0..reader.row_groups() {
        let coded = reader.codes(at, &wanted).await.unwrap();
        let shown = |codes: &Codes, row: usize| {
            let mut shown = None;
            codes.show(codes.codes()[row], &mut |text| shown = Some(text.to_owned()));
            shown
        };
        let (mut read, mut number) = (reader.read(at, &everything()).await.unwrap(), 0);
        while let Some(batch) = read.next(&|_| true).await.unwrap() {
            for row in batch.rows() {
                assert_eq!(coded.times[number], row.time().as_millis());
                assert_eq!(shown(coded.streams.as_ref().unwrap(), number).as_deref(), Some(row.stream()));
                for (field, codes) in Field::ALL.iter().zip(&coded.fields) {
                    assert_eq!(shown(codes, number), row.field(*field), "{field:?}");
                }
                number += 1;
            }
        }
        assert_eq!((coded.rows, coded.times.len()), (number, number));
        for codes in &coded.fields {
            assert!(codes.codes().iter().all(|code| (*code as usize) < codes.kinds()));
            assert!(codes.codes().len() == number);
            kinds = kinds.max(codes.kinds() - 1);
        }
        check_counts(&reader, at, &coded).await;
        let (first, last) = (row_time(&coded, 0), row_time(&coded, number - 1));
        assert_eq!(coded.between(first, last.plus_millis(1)), 0..number);
        assert_eq!(coded.between(first, first), 0..0);
    }
    kinds
}

/// Holds what the summary of a row group counts against its columns.
async fn check_counts(reader: &Reader, at: usize, coded: &Coded) {
    let none = reader.counted(at, None).await.unwrap().unwrap();
    assert_eq!((none.rows, none.counts), (1, Some(vec![coded.rows as u32])));
    for (field, codes) in Field::ALL.into_iter().zip(&coded.fields) {
        let counted = |codes: &Codes, counts: Option<&[u32]>| {
            let mut found: BTreeMap<Option<String>, u32> = BTreeMap::new();
            for (row, code) in codes.codes().iter().enumerate() {
                let mut text = None;
                codes.show(*code, &mut |shown| text = Some(shown.to_owned()));
                *found.entry(text).or_default() += counts.map_or(1, |counts| counts[row]);
            }
            found.retain(|_, count| *count > 0);
            found
        };
        let kinds = reader.counted(at, Some(field)).await.unwrap();
        // Values that hardly repeat are not counted, and record ids have no dictionary.
        let is_left_out = field == Field::RecordId || codes.kinds() * 2 > coded.rows;
        assert!(kinds.is_some() || is_left_out, "{field:?}");
        let Some(kinds) = kinds else { continue };
        assert_eq!(counted(&kinds.fields[0], kinds.counts.as_deref()), counted(codes, None), "{field:?}");
    }
}

fn row_time(coded: &Coded, row: usize) -> Timestamp {
    Timestamp::from_millis(coded.times[row])
}

#[test]
fn codes_stand_for_what_the_columns_hold() {
    wait(async {
        let world = World::new();
        world.write(&recorded(), 1).await;
        for entry in world.archive.all_files().unwrap() {
            assert!(check_codes(&world.archive, &entry).await > 0);
        }
        // So many long names that the column's dictionary is given up on the way.
        let long = "x".repeat(300);
        let messages: Vec<String> = (0..20_000)
            .map(|n| match n % 7 {
                0 => "nothing".to_owned(),
                _ => {
                    format!(r#"{{"EventID":{},"Audit":{{"File":"{long}{n}","User":"u{}"}}}}"#, n % 5, n % 11)
                }
            })
            .collect();
        let texts: Vec<&str> = messages.iter().map(String::as_str).collect();
        world.write(&[block(9, "many", "s", 0, &texts)], 10).await;
        let mut names = 0;
        for entry in world.archive.files_of(&group("many")).unwrap() {
            names += check_codes(&world.archive, &entry).await;
        }
        assert!(names > 17_000, "{names}");
    });
}

#[test]
fn files_are_found_by_group_and_time() {
    wait(async {
        let world = World::new();
        let hour = 3_600;
        world
            .write(
                &[block(0, "a", "s", 10 * hour - 2, &["1", "2", "3", "4"]), block(1, "b", "s", 0, &["5"])],
                1,
            )
            .await;
        world.write(&[block(2, "a", "s", 10 * hour, &["6"])], 2).await;
        let starts = |name: &str, from, to| {
            let files = world.archive.files(&group(name), from, to).unwrap();
            files.into_iter().map(|entry| (entry.hour, entry.from().number(), entry.rows)).collect::<Vec<_>>()
        };
        let (early, late) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        assert_eq!(starts("a", early, late), [(9, 0, 2), (10, 0, 2), (10, 2, 1)]);
        assert_eq!(starts("b", early, late), [(0, 0, 1)]);
        assert_eq!(starts("a", seconds(10 * hour), seconds(10 * hour + 1)), [(10, 0, 2), (10, 2, 1)]);
        assert_eq!(starts("a", seconds(10 * hour + 1), seconds(11 * hour)), [(10, 0, 2)]);
        assert_eq!(starts("a", early, seconds(10 * hour)), [(9, 0, 2)]);
        assert_eq!(starts("c", early, late), []);
        assert_eq!(starts("a", late, early), []);
        assert_eq!(world.archive.files_of(&group("a")).unwrap().len(), 3);
    });
}

#[test]
fn a_time_range_reads_its_rows_alone() {
    wait(async {
        let world = World::new();
        let messages: Vec<String> = (0..3_000).map(|n| format!("message {n}")).collect();
        let texts: Vec<&str> = messages.iter().map(String::as_str).collect();
        let blocks = [block(0, "a", "s", 0, &texts)];
        world.write(&blocks, 1).await;
        let entry = &world.archive.all_files().unwrap()[0];
        for (from, to) in [(0, 1), (1_000, 1_100), (1_023, 1_025), (2_999, 9_000), (500, 500)] {
            let wanted = Wanted { from: Some(seconds(from)), to: Some(seconds(to)), ..everything() };
            let read = read(&world.archive, entry, &wanted).await;
            let kept = |time: Timestamp| time >= seconds(from) && time < seconds(to);
            let expected: Vec<_> = expected(&blocks).into_iter().filter(|event| kept(event.time)).collect();
            assert_eq!(read, expected, "{from} {to}");
        }
        let quiet = read(&world.archive, entry, &Wanted::default()).await;
        assert!(quiet.len() == 3_000 && quiet.iter().all(|event| event.message.is_empty()));
    });
}

#[test]
fn row_groups_end_at_their_limit() {
    wait(async {
        let world = World::new();
        let messages = vec!["x"; 70_000];
        let mut blocks = vec![block(0, "a", "s", 0, &messages)];
        Arc::get_mut(&mut blocks[0]).unwrap().batches[0]
            .events
            .iter_mut()
            .for_each(|event| event.time = seconds(5));
        world.write(&blocks, 1).await;
        let entry = &world.archive.all_files().unwrap()[0];
        let reader = world.archive.open_file(entry).await.unwrap();
        let rows: Vec<u64> = (0..reader.row_groups()).map(|at| reader.summary(at).unwrap().rows()).collect();
        assert_eq!(rows, [65_536, 4_464]);
        assert!(reader.summary(2).is_none() && reader.read(2, &Wanted::default()).await.is_err());
        assert_eq!(
            read(&world.archive, entry, &everything()).await,
            expected(&blocks),
            "numbers keep their order"
        );
    });
}

#[test]
fn odd_names_and_times_have_a_place() {
    wait(async {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(MemoryStore::new());
        let archive = Archive::open_folder(folder.path(), Arc::clone(&catalog) as Arc<dyn Catalog>).unwrap();
        let long = "/#".repeat(256);
        let names = ["..", ".", "a=b/c d", "%2F", "ä", &long];
        let times = [i64::MIN / 1_000, -1, 0, i64::MAX / 1_000];
        let blocks: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(at, name)| block(at as u64, name, "s", times[at % times.len()], &["m"]))
            .collect();
        let change = archive.write(&blocks, &READER, seconds(1)).await.unwrap().unwrap();
        let mut write = Write::new();
        change.commit(&mut write);
        catalog.commit(write, Durability::Disk).unwrap();
        assert_eq!(read_all(&archive).await, expected(&blocks));
    });
}

#[test]
fn calls_may_be_made_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}

    let world = World::new();
    let archive = &world.archive;
    let blocks = [block(0, "a", "s", 0, &["1"])];
    is_send(&archive.write(&blocks, &READER, seconds(1)));
    is_send(&archive.merge(Vec::new(), &READER, seconds(1)));
    is_send(&archive.recover());
    is_send(&archive.rebuild());
    is_send(&archive.sweep(seconds(1)));
    wait(world.write(&blocks, 1));
    let entry = &archive.all_files().unwrap()[0];
    is_send(&archive.open_file(entry));
    let reader = wait(archive.open_file(entry)).unwrap();
    is_send(&reader.read(0, &Wanted::default()));
    let mut rows = wait(reader.read(0, &Wanted::default())).unwrap();
    is_send(&rows.next(&|_| true));
    is_send(&archive.verify(None, Depth::Files, &mut |_| ()));
}

#[test]
fn an_export_has_the_columns_of_the_archive_and_every_event() {
    use nightbell_store::archive::{Export, Placed};

    let events = expected(&recorded());
    let mut export = Export::new(Vec::new(), &group("files"), &READER).unwrap();
    for event in &events {
        let placed = Placed {
            time: event.time,
            arrival: event.arrival,
            stream: &event.stream,
            block: nightbell_store::Position::new(event.block),
            number: event.number,
            message: &event.message,
        };
        export.push(&placed).unwrap();
    }
    let exported = columns_of(export.finish().unwrap().into());
    assert_eq!(exported["message"].len(), events.len());
    wait(async {
        let world = World::new();
        world.write(&recorded(), 1).await;
        let file = world.archive.all_files().unwrap().remove(0);
        let archived =
            columns_of(world.objects.get(&place(&file.path)).await.unwrap().bytes().await.unwrap());
        assert!(exported.keys().eq(archived.keys()));
        for (name, values) in archived {
            assert!(values.iter().all(|value| exported[&name].contains(value)), "{name}");
        }
    });
    assert!(Export::new(Full, &group("files"), &READER).and_then(Export::finish).is_err());
}

/// Takes nothing.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("full"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Err(std::io::Error::other("full"))
    }
}

/// The values of each column of a Parquet file, as text.
fn columns_of(file: bytes::Bytes) -> BTreeMap<String, Vec<String>> {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in SerializedFileReader::new(file).unwrap().get_row_iter(None).unwrap() {
        for (name, value) in row.unwrap().get_column_iter() {
            columns.entry(name.clone()).or_default().push(value.to_string());
        }
    }
    columns
}

#[test]
fn a_file_that_was_opened_is_not_opened_again() {
    wait(async {
        let world = World::new();
        world.write(&recorded()[..1], 1).await;
        let entry = world.archive.all_files().unwrap().remove(0);
        let rows = |reader: &Reader| reader.summary(0).map(|summary| summary.rows());
        let first = rows(&world.archive.open_file(&entry).await.unwrap());
        world.objects.delete(&place(&entry.summary_path())).await.unwrap();
        assert_eq!(rows(&world.archive.clone().open_file(&entry).await.unwrap()), first);
        assert!(world.archive.open_anew(&entry).await.is_err(), "what looks for damage reads anew");
        // Another file under the same path is another file.
        let other = FileEntry { summary_sha256: nightbell_store::archive::Fingerprint::ZERO, ..entry };
        assert!(world.archive.open_file(&other).await.is_err());
    });
}
