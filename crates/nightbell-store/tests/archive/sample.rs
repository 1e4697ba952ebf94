/*!
Archives, blocks and readings that the tests share.
*/

use std::path::PathBuf;
use std::sync::Arc;

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::pattern::facts::Facts;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{Archive, Change, Field, FileEntry, Wanted};
use nightbell_store::{Block, Catalog, Durability, MemoryStore, Position, Write};
use nightbell_winevt::DialectReader;
use nightbell_winevt::evtx::Reader as Evtx;
use object_store::ObjectStore;
use object_store::memory::InMemory;

pub(crate) const READER: DialectReader = DialectReader;

/// An archive in memory, and what it lies on.
pub(crate) struct World {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) catalog: Arc<MemoryStore>,
    pub(crate) archive: Archive,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(InMemory::new()))
    }

    /// A new catalog over these objects.
    pub(crate) fn on(objects: Arc<dyn ObjectStore>) -> Self {
        let catalog = Arc::new(MemoryStore::new());
        let archive = Archive::open(Arc::clone(&objects), Arc::clone(&catalog) as Arc<dyn Catalog>);
        Self { objects, catalog, archive }
    }

    /// Writes blocks and commits.
    pub(crate) async fn write(&self, blocks: &[Arc<Block>], at: i64) -> Change {
        let change = self.archive.write(blocks, &READER, seconds(at)).await.unwrap().expect("blocks");
        self.commit(&change);
        change
    }

    pub(crate) fn commit(&self, change: &Change) {
        let mut write = Write::new();
        change.commit(&mut write);
        self.catalog.commit(write, Durability::Disk).unwrap();
    }

    pub(crate) async fn is_sound(&self) -> bool {
        use nightbell_store::archive::Depth;

        let found = self.archive.verify(None, Depth::Events, &mut |_| ()).await.unwrap();
        found.findings.iter().for_each(|finding| println!("{finding:?}"));
        found.is_sound()
    }
}

/// An event as it was read back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Read {
    pub(crate) time: Timestamp,
    pub(crate) block: u64,
    pub(crate) number: u32,
    pub(crate) arrival: Timestamp,
    pub(crate) group: String,
    pub(crate) stream: String,
    pub(crate) message: String,
}

/// What the blocks hold, in order of time and place.
pub(crate) fn expected(blocks: &[Arc<Block>]) -> Vec<Read> {
    let mut all = Vec::new();
    for block in blocks {
        let mut number = 0;
        for batch in &block.batches {
            for event in &batch.events {
                all.push(Read {
                    time: event.time,
                    block: block.position.number(),
                    number,
                    arrival: batch.arrival,
                    group: batch.group.name.clone(),
                    stream: batch.stream.clone(),
                    message: event.message.clone(),
                });
                number += 1;
            }
        }
    }
    all.sort();
    all
}

/// What a file holds.
pub(crate) async fn read(archive: &Archive, entry: &FileEntry, wanted: &Wanted) -> Vec<Read> {
    read_if(archive, entry, wanted, &|_| true).await
}

/// What a file holds of rows that `may` does not rule out.
pub(crate) async fn read_if(
    archive: &Archive,
    entry: &FileEntry,
    wanted: &Wanted,
    may: &(dyn Fn(&dyn Facts) -> bool + Sync),
) -> Vec<Read> {
    let reader = archive.open_file(entry).await.unwrap();
    let mut all = Vec::new();
    for at in 0..reader.row_groups() {
        let mut rows = reader.read(at, wanted).await.unwrap();
        while let Some(batch) = rows.next(&|facts| may(facts)).await.unwrap() {
            all.extend(batch.rows().map(|row| Read {
                time: row.time(),
                block: row.block().number(),
                number: row.number(),
                arrival: row.arrival(),
                group: batch.group().name.clone(),
                stream: row.stream().to_owned(),
                message: row.message().to_owned(),
            }));
        }
    }
    all
}

/// All events of all files, in order of time and place.
pub(crate) async fn read_all(archive: &Archive) -> Vec<Read> {
    let mut all = Vec::new();
    for entry in archive.all_files().unwrap() {
        all.extend(read(archive, &entry, &everything()).await);
    }
    all.sort();
    all
}

pub(crate) fn everything() -> Wanted {
    Wanted { messages: true, fields: Field::ALL.to_vec(), ..Wanted::default() }
}

pub(crate) fn group(name: &str) -> Group {
    Group { region: "site".to_owned(), name: name.to_owned() }
}

/// The place of an object as the archive writes it.
pub(crate) fn place(path: &str) -> object_store::path::Path {
    object_store::path::Path::parse(path).unwrap()
}

pub(crate) fn seconds(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

/// A block with one batch of events a second apart.
pub(crate) fn block(position: u64, name: &str, stream: &str, start: i64, messages: &[&str]) -> Arc<Block> {
    let event = |(at, message): (usize, &&str)| Event {
        time: seconds(start + at as i64),
        message: (*message).to_owned(),
    };
    Arc::new(Block {
        position: Position::new(position),
        batches: vec![Batch {
            group: group(name),
            stream: stream.to_owned(),
            arrival: seconds(start + 100),
            events: messages.iter().enumerate().map(event).collect(),
        }],
    })
}

/// The recorded events, a batch for each file, in two groups and a few blocks.
pub(crate) fn recorded() -> Vec<Arc<Block>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/evtx");
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "evtx"));
    names.sort();
    let batch = |(at, path): (usize, &PathBuf)| Batch {
        group: group(["files", "logons"][at % 2]),
        stream: path.file_stem().unwrap().to_string_lossy().into_owned(),
        arrival: seconds(1_789_364_521 + at as i64),
        events: Evtx::open(path)
            .unwrap()
            .map(|record| Event { time: record.time, message: record.xml })
            .collect(),
    };
    let batches: Vec<Batch> = names.iter().enumerate().map(batch).collect();
    let block = |(at, batches): (usize, &[Batch])| {
        Arc::new(Block { position: Position::new(at as u64), batches: batches.to_vec() })
    };
    batches.chunks(3).enumerate().map(block).collect()
}

/// Runs a future on a runtime of its own.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
