/*!
Backups of store and archive: made while both go on, again into the same folder, restored, and damaged.
*/

#![allow(clippy::disallowed_methods)] // these tests read whole files that they wrote

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nightbell_core::event::Batch;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{Apart, Archive, Depth, Removal};
use nightbell_store::backup::{Made, Phase, Source, make, restore};
use nightbell_store::{
    Catalog, Durability, Journal, Kind, LocalStore, Options, Position, Space, StoreError, Stream, Write,
};

use crate::sample::{READER, seconds};

/// A data folder with store and archive.
struct Installation {
    folder: tempfile::TempDir,
    store: Arc<LocalStore>,
    archive: Archive,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, archive) = open(folder.path());
        Self { folder, store, archive }
    }

    async fn append(&self, numbers: std::ops::Range<i64>) {
        for number in numbers {
            self.store.append(batch(number)).await.unwrap();
        }
    }

    /// Moves what is in the journal into the archive.
    async fn archive_all(&self, now: i64) {
        let from = self.archive.head().unwrap().archived.max(self.store.start());
        let blocks = self.store.read(from, usize::MAX).unwrap();
        let change = self.archive.write(&blocks, &READER, seconds(now)).await.unwrap().expect("blocks");
        self.commit(&change);
        self.store.trim(change.head.archived).unwrap();
    }

    fn commit(&self, change: &nightbell_store::archive::Change) {
        let mut write = Write::new();
        change.commit(&mut write);
        self.store.commit(write, Durability::Disk).unwrap();
    }

    async fn back_up(&self, to: &Path) -> Result<Made, StoreError> {
        self.back_up_while(to, &mut |_| true).await
    }

    async fn back_up_while(
        &self,
        to: &Path,
        goes_on: &mut (dyn FnMut(Phase) -> bool + Send),
    ) -> Result<Made, StoreError> {
        let data = self.folder.path();
        let archive = Some(&self.archive);
        let source = Source {
            data,
            store: &self.store,
            archive,
            blobs: None,
            single_files: &["key", "not there"],
            program: "test",
            now: seconds(7),
        };
        make(source, to, &mut |progress| goes_on(progress.phase)).await
    }
}

fn open(data: &Path) -> (Arc<LocalStore>, Archive) {
    let options = Options { memtable_bytes: 64 * 1024, tail_bytes_max: 0, ..Options::default() };
    let store = Arc::new(LocalStore::open(&data.join("store"), options).unwrap());
    let archive = Archive::open_folder(&data.join("archive"), Arc::clone(&store) as Arc<dyn Catalog>);
    (store, archive.unwrap())
}

/// One event an hour, so that each is a file of its own in the archive.
fn batch(number: i64) -> Batch {
    let event =
        nightbell_core::event::Event { time: seconds(number * 3_600), message: format!("event {number}") };
    Batch {
        group: nightbell_core::event::Group { region: "site".to_owned(), name: "files".to_owned() },
        stream: "host".to_owned(),
        arrival: Timestamp::from_seconds(number * 3_600 + 1),
        events: vec![event],
    }
}

/// Every event of journal and archive, by number.
async fn events(store: &LocalStore, archive: &Archive) -> Vec<i64> {
    let mut found = Vec::new();
    let mut from = store.start().max(archive.head().unwrap().archived);
    loop {
        let blocks = store.read(from, 1_000_000).unwrap();
        let Some(last) = blocks.last() else { break };
        from = last.position.next();
        let events = blocks.iter().flat_map(|block| &block.batches).flat_map(|batch| &batch.events);
        found.extend(events.map(|event| event.message.trim_start_matches("event ").parse::<i64>().unwrap()));
    }
    found.extend(archive.all_files().unwrap().iter().map(|file| file.hour));
    found.sort_unstable();
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

async fn restored(backup: &Path) -> Result<tempfile::TempDir, StoreError> {
    let folder = tempfile::tempdir().unwrap();
    restore(backup, &folder.path().join("data"), &mut |_| true).await?;
    Ok(folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_of_one_moment_while_everything_goes_on() {
    let installation = Arc::new(Installation::new());
    installation.append(0..30).await;
    installation.archive_all(100).await;
    installation.append(30..60).await;
    std::fs::write(installation.folder.path().join("key"), "secret").unwrap();

    // Beside the copy: events, commits of map and stream together, trims by way of the archive.
    let ending = Arc::new(AtomicBool::new(false));
    let (busy, halt) = (Arc::clone(&installation), Arc::clone(&ending));
    let writer = tokio::spawn(async move {
        let mut number = 60;
        while !halt.load(Ordering::Relaxed) {
            busy.append(number..number + 1).await;
            let mut write = Write::new();
            write.put(Space::Watch, "number", number.to_string()).push(Stream::Metrics, number.to_string());
            busy.store.commit(write, Durability::Process).unwrap();
            number += 1;
            if number % 20 == 0 {
                busy.archive_all(200 + number).await;
            }
        }
        number
    });
    let to = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let made = installation.back_up(to.path()).await.unwrap();
        assert_eq!(made.manifest.number, round);
        let data = restored(to.path()).await.unwrap();
        let data = data.path().join("data");
        let (store, archive) = open(&data);
        let held = events(&store, &archive).await;
        let expected: Vec<i64> = (0..held.len() as i64).collect();
        assert_eq!(held, expected, "a beginning of the events, each once");
        assert!(held.len() >= 60);
        let pushed = *store.stream_end(Stream::Metrics).borrow();
        if let Some(last) = pushed.number().checked_sub(1) {
            let entries = store.read_stream(Stream::Metrics, Position::new(last), 100).unwrap();
            let watch = store.get(Space::Watch, b"number").unwrap().unwrap();
            assert_eq!(entries[0].1, watch, "map and stream are of the same commit");
        }
        assert!(archive.verify(None, Depth::Events, &mut |_| ()).await.unwrap().is_sound());
        assert_eq!(std::fs::read_to_string(data.join("key")).unwrap(), "secret");
        assert_eq!(store.id().unwrap(), installation.store.id().unwrap());
        let next = store.append(batch(held.len() as i64)).await.unwrap();
        assert!(next.number() >= held.len() as u64, "positions go on");
    }
    ending.store(true, Ordering::Relaxed);
    let written = writer.await.unwrap();
    let all: Vec<i64> = (0..written).collect();
    assert_eq!(events(&installation.store, &installation.archive).await, all, "nothing was lost meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_store_says_that_its_archive_may_have_gone_on() {
    let installation = Installation::new();
    installation.append(0..5).await;
    installation.archive_all(100).await;
    installation.append(5..6).await;
    let to = tempfile::tempdir().unwrap();
    installation.back_up(to.path()).await.unwrap();
    installation.archive_all(200).await;
    let reached = installation.archive.head().unwrap();
    assert_eq!(installation.archive.apart().unwrap(), None);

    let data = restored(to.path()).await.unwrap();
    let (store, archive) = open(&data.path().join("data"));
    let end = *store.end().borrow();
    assert_eq!(archive.apart().unwrap(), Some(Apart { since: end, restored: true }));
    archive.set_apart(Position::new(99)).unwrap();
    assert_eq!(archive.apart().unwrap().map(|apart| apart.since), Some(end), "the first note stands");
    archive.set_together().unwrap();
    assert_eq!(archive.apart().unwrap(), None);
    // Beside the archive that has gone on, it learns how far that goes, and takes it in.
    let elsewhere = installation.folder.path().join("archive");
    let outlived = Archive::open_folder(&elsewhere, Arc::clone(&store) as Arc<dyn Catalog>).unwrap();
    assert_eq!(outlived.reach().await.unwrap(), reached);
    assert!(outlived.head().unwrap().archived <= end, "nothing is taken in by looking");
    assert_eq!(outlived.recover().await.unwrap(), reached);
    assert_eq!(events(&store, &outlived).await, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_there_are_not_copied_again_and_those_that_went_are_removed() {
    let installation = Installation::new();
    installation.append(0..5).await;
    installation.archive_all(100).await;
    let to = tempfile::tempdir().unwrap();
    let first = installation.back_up(to.path()).await.unwrap();
    assert!(first.archive_bytes_new > 0);
    assert_eq!(installation.back_up(to.path()).await.unwrap().archive_bytes_new, 0);

    let gone = installation.archive.all_files().unwrap().remove(0);
    let change =
        installation.archive.remove(vec![gone.clone()], Removal::Retention, seconds(200)).await.unwrap();
    installation.commit(&change.unwrap());
    installation.append(5..6).await;
    installation.archive_all(300).await;
    let kept = to.path().join("archive").join(&gone.path);
    assert!(kept.is_file());
    let third = installation.back_up(to.path()).await.unwrap();
    assert!(third.archive_bytes_new > 0 && third.archive_bytes_new < first.archive_bytes_new);
    assert!(!kept.exists(), "what retention has removed leaves the backup, too");
    let names: Vec<_> =
        std::fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let mut names: Vec<_> = names.iter().map(|name| name.to_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["archive", "backup.json", "files-3.sha256", "lock", "store-3"]);
    let data = restored(to.path()).await.unwrap();
    let (store, archive) = open(&data.path().join("data"));
    assert_eq!(events(&store, &archive).await, [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_copy_relies_on_is_not_swept() {
    let installation = Installation::new();
    installation.append(0..3).await;
    installation.archive_all(100).await;
    let hold = installation.archive.hold_sweeps().await;
    let files = installation.archive.all_files().unwrap();
    let change = installation.archive.remove(files, Removal::Retention, seconds(200)).await.unwrap();
    installation.commit(&change.unwrap());
    assert_eq!(installation.archive.clone().sweep(seconds(900)).await.unwrap(), 0);
    drop(hold);
    assert_eq!(installation.archive.sweep(seconds(900)).await.unwrap(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_cut_short_is_told_and_leaves_the_earlier_one() {
    let installation = Installation::new();
    installation.append(0..3).await;
    installation.archive_all(100).await;
    let to = tempfile::tempdir().unwrap();
    for phase in [Phase::Store, Phase::Archive, Phase::Checking] {
        let ended = installation.back_up_while(to.path(), &mut |reached| reached != phase).await.unwrap_err();
        assert_eq!(ended.kind(), Kind::Unavailable);
        let error = restored(to.path()).await.unwrap_err();
        assert!(error.to_string().contains("never finished"), "{error}");
    }
    assert_eq!(installation.back_up(to.path()).await.unwrap().manifest.number, 1);
    installation.append(3..4).await;
    installation.back_up_while(to.path(), &mut |phase| phase != Phase::Checking).await.unwrap_err();
    let data = tempfile::tempdir().unwrap();
    let back = restore(to.path(), &data.path().join("data"), &mut |_| true).await.unwrap();
    assert_eq!((back.manifest.number, back.unfinished), (1, Some(2)));
    let (store, archive) = open(&data.path().join("data"));
    assert_eq!(events(&store, &archive).await, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_anything_else_is_refused() {
    let (one, other) = (Installation::new(), Installation::new());
    let to = tempfile::tempdir().unwrap();
    one.back_up(to.path()).await.unwrap();
    let error = other.back_up(to.path()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("another store"), "{error}");
    let full = tempfile::tempdir().unwrap();
    std::fs::write(full.path().join("letter"), "dear").unwrap();
    assert!(one.back_up(full.path()).await.unwrap_err().to_string().contains("not empty"));
    assert_eq!(files(full.path()).len(), 1, "nothing was written");
    for inside in [one.folder.path().join("backup"), one.folder.path().to_owned()] {
        assert_eq!(one.back_up(&inside).await.unwrap_err().kind(), Kind::Conflict);
    }
    assert_eq!(one.back_up(Path::new("relative")).await.unwrap_err().kind(), Kind::Conflict);

    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("letter"), "dear").unwrap();
    let error = restore(to.path(), data.path(), &mut |_| true).await.unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    let error = restore(full.path(), &data.path().join("new"), &mut |_| true).await.unwrap_err();
    assert!(error.to_string().contains("backup.json"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_damaged_byte_of_a_backup_is_named_by_its_file_before_anything_is_written() {
    let installation = Installation::new();
    installation.append(0..4).await;
    installation.archive_all(100).await;
    installation.append(4..6).await;
    std::fs::write(installation.folder.path().join("key"), "secret").unwrap();
    let to = tempfile::tempdir().unwrap();
    installation.back_up(to.path()).await.unwrap();
    for file in files(to.path()).into_iter().filter(|file| !file.ends_with("lock")) {
        let whole = std::fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        // Of a manifest every byte counts but those of its texts for people, hence its first one.
        for at in [0, whole.len() / 2, whole.len().saturating_sub(1)] {
            if whole.is_empty() || (name == "backup.json" && at > 0) {
                continue;
            }
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            std::fs::write(&file, &damaged).unwrap();
            let data = tempfile::tempdir().unwrap();
            let error = restore(to.path(), &data.path().join("data"), &mut |_| true).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Broken, "{name}, byte {at}: {error}");
            assert!(error.to_string().contains(&name), "{name}, byte {at}: {error}");
            assert!(!data.path().join("data").exists());
        }
        std::fs::remove_file(&file).unwrap();
        let error = restored(to.path()).await.unwrap_err();
        assert!(error.to_string().contains(&name), "{error}");
        std::fs::write(&file, &whole).unwrap();
    }
    restored(to.path()).await.expect("whole again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_cut_short_is_begun_anew() {
    let installation = Installation::new();
    installation.append(0..3).await;
    installation.archive_all(100).await;
    let to = tempfile::tempdir().unwrap();
    installation.back_up(to.path()).await.unwrap();
    let data = tempfile::tempdir().unwrap();
    for phase in [Phase::Restoring, Phase::Verifying] {
        let ended = restore(to.path(), data.path(), &mut |progress| progress.phase != phase).await;
        assert_eq!(ended.unwrap_err().kind(), Kind::Unavailable);
        assert!(data.path().join("restoring").is_dir() && !data.path().join("store").exists());
    }
    restore(to.path(), data.path(), &mut |_| true).await.unwrap();
    let (store, archive) = open(data.path());
    assert_eq!(events(&store, &archive).await, [0, 1, 2]);
    assert!(!data.path().join("restoring").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_in_which_a_file_was_changed_is_not_backed_up() {
    let installation = Installation::new();
    installation.append(0..3).await;
    installation.archive_all(100).await;
    let file = installation.archive.all_files().unwrap().remove(1);
    let place = installation.folder.path().join("archive").join(&file.path);
    let mut bytes = std::fs::read(&place).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&place, bytes).unwrap();
    let to = tempfile::tempdir().unwrap();
    let error = installation.back_up(to.path()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Broken);
    assert!(error.to_string().contains(&file.path), "{error}");
    let source = Source {
        data: installation.folder.path(),
        store: &installation.store,
        archive: None,
        blobs: None,
        single_files: &[],
        program: "test",
        now: seconds(7),
    };
    let error = make(source, to.path(), &mut |_| true).await.unwrap_err();
    assert!(error.to_string().contains("while the server runs"), "nor is it left out: {error}");
}
