/*!
The archive: events in Parquet files on object storage, bound by a chain of hashes.

- [`Archive::write`] puts events of the journal into files, one for each group and hour of event time; the caller commits
  the [`Change`] it gets together with whatever else belongs to the step. Files come first, then the step's document in the
  chain, then the commit: [`Archive::recover`] brings the catalog up to the chain when a crash came between.
- [`Archive::files`] finds files by group and time in the catalog; a [`Reader`] passes over row groups by their summaries
  and reads the rest column by column.
- [`Archive::pass_over`] leaves a damaged block of the journal out, and the chain says so.
- [`Export`] writes events into a Parquet file of the same columns that belongs to no archive.
- [`Archive::merge`] joins small files, [`Archive::remove`] takes files away; both leave what [`Archive::verify`] needs to
  prove that nothing else changed.

Functions are async where they reach object storage. What they compute (compression, decoding, fingerprints) runs on the
caller's thread and takes long: call them where blocking is allowed, inside a tokio runtime. Knows no clock, no dialect
and no retention. Lower modules never use higher ones: fingerprint, entry, grams, decoded; columns, summary; encoder, reader;
chain, plan; the steps.
*/

mod apart;
mod bucket;
mod chain;
mod codes;
mod columns;
mod copy;
mod counts;
mod decoded;
mod encoder;
mod entry;
mod export;
mod fingerprint;
mod grams;
mod kept;
mod kinds;
mod merge;
mod objects;
mod plan;
mod reader;
mod recover;
mod summary;
mod verify;

use std::path::Path;
use std::sync::Arc;

use nightbell_core::event::Group;
use nightbell_core::fields::FieldReader;
use nightbell_core::time::Timestamp;
use object_store::ObjectStore;
use tokio::sync::RwLock;

pub use apart::Apart;
pub use bucket::{Bucket, BucketKey, BucketWriter};
pub use chain::{ChainBlock, Head, Link, Removal, Step, Stub};
pub use codes::{Coded, Codes, WantedCodes};
pub use columns::{Field, ROW_GROUP_MESSAGE_BYTES_MAX, ROW_GROUP_ROWS_MAX};
pub(crate) use copy::Witness;
pub use copy::{ArchiveCopy, SweepHold};
pub use counts::COUNTED_VALUES_MAX;
use encoder::{Encoded, Encoder};
use entry::{FILES, fresh_name, group_key, hour_key, hour_of};
pub use entry::{FileEntry, Part};
pub use export::Export;
pub(crate) use fingerprint::Hashing;
pub use fingerprint::{Fingerprint, Placed};
pub use kept::{DICTIONARIES_BYTES_MAX, KEPT_BYTES_MAX};
use kept::{Kept, Opened};
pub use kinds::Kinds;
pub use merge::{MERGE_BYTES_MAX, MERGE_FILES_MAX, MERGE_ROWS_MAX, mergeable};
use objects::Objects;
use plan::Plan;
pub use plan::STEP_FILES_MAX;
pub use reader::{BATCH_ROWS_MAX, Batch, Reader, Row, RowFacts, Rows, Wanted};
pub use summary::{GroupSummary, SUMMARY_STREAMS_MAX, SUMMARY_VALUES_MAX};
pub use verify::{Depth, FINDINGS_MAX, Finding, Findings, Progress, Trouble};

use crate::error::Cause;
use crate::{Block, Catalog, Durability, Position, Scan, Space, StoreError, Write};

/// Files that one page of a scan over the catalog holds.
const PAGE_FILES: usize = 10_000;

const HEAD_KEY: &[u8] = b"head";
const LINKS: &[u8] = b"chain/";
const GONE: &[u8] = b"gone/";

/// Events in Parquet files on object storage. Cheap to clone.
///
/// One process writes at a time: of two that take the same step, the second one's fails as `Conflict`.
#[derive(Clone)]
pub struct Archive {
    objects: Objects,
    catalog: Arc<dyn Catalog>,
    /// Read by who relies on objects that were taken out, written by [`Archive::sweep`].
    sweeps: Arc<RwLock<()>>,
    kept: Arc<Kept>,
}

/// What a step will change in the catalog once the caller commits it.
#[derive(Debug)]
pub struct Change {
    /// The step, as the chain records it.
    pub block: ChainBlock,
    /// How far the chain goes with it.
    pub head: Head,
    before: Option<Vec<u8>>,
    gone: Vec<(String, Timestamp)>,
    replaced: Vec<FileEntry>,
}

impl Archive {
    /// An archive in a folder of this machine, which is created. What is written there is synced before it counts.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the folder cannot be created.
    pub fn open_folder(folder: &Path, catalog: Arc<dyn Catalog>) -> Result<Self, StoreError> {
        Ok(Self::over(Objects::folder(folder)?, catalog))
    }

    /// An archive on an object store.
    pub fn open(store: Arc<dyn ObjectStore>, catalog: Arc<dyn Catalog>) -> Self {
        Self::over(Objects::new(store), catalog)
    }

    fn over(objects: Objects, catalog: Arc<dyn Catalog>) -> Self {
        Self { objects, catalog, sweeps: Arc::default(), kept: Arc::default() }
    }

    /// The catalog that lists its files.
    pub fn catalog(&self) -> Arc<dyn Catalog> {
        Arc::clone(&self.catalog)
    }

    /// How far the chain and the archived part of the journal go.
    ///
    /// # Errors
    ///
    /// `Broken` when the catalog holds no head; `Unavailable` when it cannot be read.
    pub fn head(&self) -> Result<Head, StoreError> {
        self.stored_head().map(|(head, _)| head)
    }

    /// Whether a catalog lists anything of an archive.
    pub(crate) fn is_begun(catalog: &dyn Catalog) -> Result<bool, StoreError> {
        let has_head = catalog.get(Space::Archive, HEAD_KEY)?.is_some();
        Ok(has_head || !catalog.scan(Space::Archive, &Scan::prefix(FILES).limit(1))?.is_empty())
    }

    fn stored_head(&self) -> Result<(Head, Option<Vec<u8>>), StoreError> {
        let Some(value) = self.catalog.get(Space::Archive, HEAD_KEY)? else {
            return Ok((Head::default(), None));
        };
        let head = postcard::from_bytes(&value).map_err(|_| Cause::Entry {
            place: Space::Archive.name(),
            reason: "is no head of the chain".to_owned(),
        })?;
        Ok((head, Some(value)))
    }

    /// Writes events to files; blocks follow each other and begin at or after [`Head::archived`].
    ///
    /// Takes as many whole blocks as give about [`STEP_FILES_MAX`] files: [`Head::archived`] of the change says how far
    /// it came. `None` without blocks. Memory: the blocks, one row group of events (up to
    /// [`ROW_GROUP_MESSAGE_BYTES_MAX`] of text) and one packed file.
    ///
    /// # Errors
    ///
    /// `Invalid` for blocks that were archived before; `Conflict` when a step was written that the catalog does not know:
    /// call [`Archive::recover`]; `Unavailable` when files cannot be put.
    pub async fn write(
        &self,
        blocks: &[Arc<Block>],
        reader: &dyn FieldReader,
        now: Timestamp,
    ) -> Result<Option<Change>, StoreError> {
        let (head, before) = self.stored_head()?;
        let Some(first) = blocks.first() else { return Ok(None) };
        let plan = Plan::of(blocks);
        let in_order = blocks.windows(2).all(|pair| pair[0].position < pair[1].position);
        if first.position < head.archived || !in_order {
            let (position, archived) = (first.position, head.archived);
            return Err(Cause::ArchivedBefore { position, archived }.into());
        }
        self.check_head(&head).await?;
        let (from, to) = (first.position, blocks[plan.blocks - 1].position.next());
        let mut files = Vec::with_capacity(plan.files.len());
        for ((group, hour), places) in plan.files {
            let mut encoder = Encoder::new(group, hour, &fresh_name(from), [(from, to)], reader)?;
            for place in &places {
                encoder.push(&place.event())?;
            }
            if let Some(encoded) = encoder.finish()? {
                files.push(self.put(encoded).await?);
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let block = ChainBlock::after(&head, now, Step::Archived { from, to, files });
        self.change(&head, before, block, Vec::new()).await.map(Some)
    }

    /// Leaves out a block of the journal that cannot be read; the chain records its position.
    ///
    /// What was readable before it must have been written: positions up to it count as archived.
    ///
    /// # Errors
    ///
    /// `Invalid` for a position that was archived before; `Conflict` as [`Archive::write`]; `Unavailable` when the chain's
    /// document cannot be put.
    pub async fn pass_over(&self, position: Position, now: Timestamp) -> Result<Change, StoreError> {
        let (head, before) = self.stored_head()?;
        if position < head.archived {
            return Err(Cause::ArchivedBefore { position, archived: head.archived }.into());
        }
        let block = ChainBlock::after(&head, now, Step::LeftOut { position });
        self.change(&head, before, block, Vec::new()).await
    }

    /// Puts the summary, then the file.
    async fn put(&self, encoded: Encoded) -> Result<FileEntry, StoreError> {
        let entry = encoded.entry;
        self.objects.put(&entry.summary_path(), encoded.summary).await?;
        self.objects.put(&entry.path, encoded.file).await?;
        Ok(entry)
    }

    /// Refuses a step in the place of one that stands already: its files would be overwritten.
    async fn check_head(&self, head: &Head) -> Result<(), StoreError> {
        let path = chain::document_path(head.next);
        if self.objects.holds(&path).await? { Err(Cause::Ahead { path }.into()) } else { Ok(()) }
    }

    /// Puts the document of a block, with which the step stands; what is left to do is the caller's commit.
    async fn change(
        &self,
        head: &Head,
        before: Option<Vec<u8>>,
        block: ChainBlock,
        replaced: Vec<FileEntry>,
    ) -> Result<Change, StoreError> {
        self.objects.create(&chain::document_path(block.number), block.document().into()).await?;
        Ok(Change::of(head, before, block, replaced))
    }

    /// The files of a group that may hold events at or after `from` and before `to`, in order of hour.
    ///
    /// # Errors
    ///
    /// `Broken` for a damaged entry; `Unavailable` when the catalog cannot be read.
    pub fn files(&self, group: &Group, from: Timestamp, to: Timestamp) -> Result<Vec<FileEntry>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let last = hour_key(group, hour_of(to.plus_millis(-1)));
        let after_last = [&last[..], &[u8::MAX; 9]].concat();
        let mut files = self.scan_files(&Scan::range(hour_key(group, hour_of(from)), after_last))?;
        files.retain(|entry| entry.group == *group && entry.overlaps(from, to));
        Ok(files)
    }

    /// All files of a group, in order of hour.
    ///
    /// # Errors
    ///
    /// As [`Archive::files`].
    pub fn files_of(&self, group: &Group) -> Result<Vec<FileEntry>, StoreError> {
        let mut files = self.scan_files(&Scan::prefix(group_key(group)))?;
        files.retain(|entry| entry.group == *group);
        Ok(files)
    }

    /// All files, group by group.
    ///
    /// # Errors
    ///
    /// As [`Archive::files`].
    pub fn all_files(&self) -> Result<Vec<FileEntry>, StoreError> {
        self.scan_files(&Scan::prefix(FILES))
    }

    fn scan_files(&self, scan: &Scan) -> Result<Vec<FileEntry>, StoreError> {
        let mut files = Vec::new();
        let mut page = scan.clone().limit(PAGE_FILES);
        loop {
            let entries = self.catalog.scan(Space::Archive, &page)?;
            for (_, value) in &entries {
                files.push(FileEntry::decode(value)?);
            }
            match entries.into_iter().last() {
                Some((key, _)) if files.len().is_multiple_of(PAGE_FILES) => {
                    page = scan.clone().after(key).limit(PAGE_FILES);
                }
                _ => return Ok(files),
            }
        }
    }

    /// Opens a file to search in it: reads its summary, or takes the one that was kept.
    ///
    /// # Errors
    ///
    /// `Broken` when the summary is missing or not what was written; `Unavailable` when it cannot be read.
    pub async fn open_file(&self, entry: &FileEntry) -> Result<Reader, StoreError> {
        let opened = self.kept.open(&self.objects, entry).await?;
        Ok(Reader::new(self.objects.clone(), entry.clone(), opened, Some(Arc::clone(&self.kept))))
    }

    /// Opens a file and reads its summary, whatever was kept.
    ///
    /// # Errors
    ///
    /// As [`Archive::open_file`].
    pub async fn open_anew(&self, entry: &FileEntry) -> Result<Reader, StoreError> {
        let opened = Opened::read(&self.objects, entry).await?;
        Ok(Reader::new(self.objects.clone(), entry.clone(), opened, None))
    }

    /// Takes files out of the archive; the chain keeps their stubs. `None` without files.
    ///
    /// The files themselves are deleted by [`Archive::sweep`], so that readers of the moment come to their end.
    ///
    /// # Errors
    ///
    /// `Conflict` as [`Archive::write`]; `Unavailable` when the chain's document cannot be put.
    pub async fn remove(
        &self,
        files: Vec<FileEntry>,
        reason: Removal,
        now: Timestamp,
    ) -> Result<Option<Change>, StoreError> {
        if files.is_empty() {
            return Ok(None);
        }
        let (head, before) = self.stored_head()?;
        let stubs = files.iter().map(Stub::of).collect();
        let block = ChainBlock::after(&head, now, Step::Removed { reason, files: stubs });
        self.change(&head, before, block, files).await.map(Some)
    }

    /// Deletes the objects of files that were taken out at or before `until`; returns how many. None while somebody
    /// holds them by [`Archive::hold_sweeps`]: they are deleted by a later sweep.
    ///
    /// # Errors
    ///
    /// `Unavailable` when object storage or the catalog refuses; what was deleted stays deleted.
    pub async fn sweep(&self, until: Timestamp) -> Result<usize, StoreError> {
        let Ok(_sweeping) = self.sweeps.try_write() else { return Ok(0) };
        let mut deleted = 0;
        let mut scan = Scan::prefix(GONE).limit(PAGE_FILES);
        loop {
            let entries = self.catalog.scan(Space::Archive, &scan)?;
            let Some((last, _)) = entries.last().cloned() else { return Ok(deleted) };
            let mut write = Write::new();
            for (key, value) in entries {
                let time = value.try_into().map(i64::from_be_bytes).unwrap_or(i64::MIN);
                let Some(path) =
                    std::str::from_utf8(&key[GONE.len()..]).ok().filter(|_| time <= until.as_millis())
                else {
                    continue;
                };
                self.objects.delete(path).await?;
                write.delete(Space::Archive, key.clone());
                deleted += 1;
            }
            if !write.is_empty() {
                self.catalog.commit(write, Durability::Process)?;
            }
            scan = Scan::prefix(GONE).after(last).limit(PAGE_FILES);
        }
    }

    /// What the catalog keeps of the block numbered `number`.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the catalog cannot be read.
    pub fn link(&self, number: u64) -> Result<Option<Link>, StoreError> {
        let value = self.catalog.get(Space::Archive, &link_key(number))?;
        Ok(value.and_then(|value| postcard::from_bytes(&value).ok()))
    }

    /// The block numbered `number`, from its document; `None` past the last.
    ///
    /// # Errors
    ///
    /// `Broken` for a document that is not what was written; `Unavailable` when it cannot be read.
    pub async fn chain_block(&self, number: u64) -> Result<Option<ChainBlock>, StoreError> {
        let Some(document) = self.objects.get(&chain::document_path(number)).await? else { return Ok(None) };
        let block = ChainBlock::read(&document).map_err(|reason| Cause::Chain { number, reason })?;
        Ok(Some(block))
    }
}

impl Change {
    fn of(head: &Head, before: Option<Vec<u8>>, block: ChainBlock, replaced: Vec<FileEntry>) -> Self {
        let objects = |entry: &FileEntry| [entry.path.clone(), entry.summary_path()];
        let gone = replaced.iter().flat_map(objects).map(|path| (path, block.time)).collect();
        Self { head: head.after(&block), block, before, gone, replaced }
    }

    /// Adds the change to a write of the caller; the commit is a `Conflict` when another step came first.
    pub fn commit(&self, write: &mut Write) {
        write.expect(Space::Archive, HEAD_KEY, self.before.clone());
        for entry in &self.replaced {
            write.delete(Space::Archive, entry.key());
        }
        for (path, time) in &self.gone {
            let key = [GONE, path.as_bytes()].concat();
            write.put(Space::Archive, key, time.as_millis().to_be_bytes());
        }
        put_block(write, &self.block);
        put_head(write, &self.head);
    }
}

/// Adds a block's link and its files.
fn put_block(write: &mut Write, block: &ChainBlock) {
    for entry in block.files() {
        write.put(Space::Archive, entry.key(), entry.encode());
    }
    let link = Link { hash: block.hash, time: block.time };
    write.put(Space::Archive, link_key(block.number), postcard::to_stdvec(&link).expect("plain values"));
}

fn put_head(write: &mut Write, head: &Head) {
    write.put(Space::Archive, HEAD_KEY, postcard::to_stdvec(head).expect("plain values"));
}

fn link_key(number: u64) -> Vec<u8> {
    [LINKS, &Position::new(number).key()].concat()
}
