/*!
Small files of one group and hour become one: [`mergeable`] chooses them, [`Archive::merge`] joins them.

Reads its sources side by side in order of time and place, so memory is a batch and a row group's packed columns of each.
*/

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use nightbell_core::event::Group;
use nightbell_core::fields::FieldReader;
use nightbell_core::time::Timestamp;

use super::chain::{ChainBlock, Step, Stub};
use super::encoder::Encoder;
use super::entry::{FileEntry, merged_name};
use super::reader::{Batch, Reader, Row, Rows, Wanted};
use super::{Archive, Change, Part};
use crate::StoreError;
use crate::error::Cause;

/// Files that are merged at once.
pub const MERGE_FILES_MAX: usize = 64;

/// Events of a merged file.
pub const MERGE_ROWS_MAX: u64 = 2_000_000;

/// Bytes of the files that are merged into one.
pub const MERGE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Sets of files worth merging: each of one group and hour, of at least `files_min` files and within the limits of a merge,
/// the smallest files first.
pub fn mergeable(files: Vec<FileEntry>, files_min: usize) -> Vec<Vec<FileEntry>> {
    let mut hours: BTreeMap<(Group, i64), Vec<FileEntry>> = BTreeMap::new();
    for file in files {
        hours.entry((file.group.clone(), file.hour)).or_default().push(file);
    }
    let mut sets = Vec::new();
    for mut files in hours.into_values() {
        files.sort_by(|one, other| (one.rows, &one.path).cmp(&(other.rows, &other.path)));
        let (mut rows, mut bytes) = (0, 0);
        let fits = |file: &FileEntry| {
            rows += file.rows;
            bytes += file.bytes;
            rows <= MERGE_ROWS_MAX && bytes <= MERGE_BYTES_MAX
        };
        let set: Vec<FileEntry> = files.into_iter().take(MERGE_FILES_MAX).take_while(fits).collect();
        if set.len() >= files_min.max(2) {
            sets.push(set);
        }
    }
    sets
}

impl Archive {
    /// Joins files of one group and hour; the chain records what they replace. `None` for fewer than two files.
    ///
    /// The old files are deleted by [`Archive::sweep`].
    ///
    /// # Errors
    ///
    /// `Invalid` for files of different groups or hours; `Conflict` as [`Archive::write`]; `Broken` when a file does
    /// not hold what its entry says; `Unavailable` when object storage refuses.
    pub async fn merge(
        &self,
        files: Vec<FileEntry>,
        reader: &dyn FieldReader,
        now: Timestamp,
    ) -> Result<Option<Change>, StoreError> {
        let Some((first, others)) = files.split_first().filter(|(_, others)| !others.is_empty()) else {
            return Ok(None);
        };
        if let Some(other) =
            others.iter().find(|other| (&other.group, other.hour) != (&first.group, first.hour))
        {
            return Err(Cause::Unlike { path: other.path.clone() }.into());
        }
        let (head, before) = self.stored_head()?;
        self.check_head(&head).await?;
        let mut parts: Vec<Part> = files.iter().flat_map(|file| file.parts.clone()).collect();
        parts.sort();
        let name = merged_name(parts.first().map(|part| part.from).unwrap_or_default(), head.next);
        let ranges = parts.iter().map(|part| (part.from, part.to));
        let mut encoder = Encoder::new(&first.group, first.hour, &name, ranges, reader)?;
        self.pour(&files, &mut encoder).await?;
        let Some(encoded) = encoder.finish()? else { return Ok(None) };
        if encoded.entry.parts != parts {
            let reason = "does not hold the events that it is made of".to_owned();
            return Err(Cause::Archive { path: encoded.entry.path, reason }.into());
        }
        let merged = vec![self.put(encoded).await?];
        let step = Step::Merged { replaced: files.iter().map(Stub::of).collect(), files: merged };
        let block = ChainBlock::after(&head, now, step);
        self.change(&head, before, block, files).await.map(Some)
    }

    /// Hands the events of all files to the encoder in order of time and place.
    async fn pour(&self, files: &[FileEntry], encoder: &mut Encoder<'_>) -> Result<(), StoreError> {
        let mut sources = Vec::with_capacity(files.len());
        let mut next = BinaryHeap::new();
        for (at, file) in files.iter().enumerate() {
            let mut source = Source::new(self.open_anew(file).await?);
            if let Some(order) = source.fill().await? {
                next.push(Reverse((order, at)));
            }
            sources.push(source);
        }
        while let Some(Reverse((_, at))) = next.pop() {
            let source = &mut sources[at];
            if let Some(row) = source.row() {
                encoder.push(&row.placed())?;
            }
            source.at += 1;
            if let Some(order) = source.fill().await? {
                next.push(Reverse((order, at)));
            }
        }
        Ok(())
    }
}

/// Time, block and number of a row.
type Order = (Timestamp, u64, u32);

/// A file being read from its first row to its last.
pub(super) struct Source {
    reader: Reader,
    row_group: usize,
    rows: Option<Rows>,
    batch: Option<Batch>,
    at: usize,
}

impl Source {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader, row_group: 0, rows: None, batch: None, at: 0 }
    }

    pub(super) fn row(&self) -> Option<Row<'_>> {
        self.batch.as_ref().and_then(|batch| batch.row(self.at))
    }

    /// Makes sure that the row asked for is there; its order, or `None` after the last.
    async fn fill(&mut self) -> Result<Option<Order>, StoreError> {
        while self.row().is_none() {
            if !self.next_batch().await? {
                return Ok(None);
            }
        }
        Ok(self.row().map(|row| (row.time(), row.block().number(), row.number())))
    }

    /// Reads the next batch; `false` after the last.
    pub(super) async fn next_batch(&mut self) -> Result<bool, StoreError> {
        (self.batch, self.at) = (None, 0);
        loop {
            if self.rows.is_none() {
                if self.row_group == self.reader.row_groups() {
                    return Ok(false);
                }
                let wanted = Wanted { messages: true, ..Wanted::default() };
                self.rows = Some(self.reader.read(self.row_group, &wanted).await?);
                self.row_group += 1;
            }
            let Some(rows) = &mut self.rows else { continue };
            self.batch = rows.next(&|_| true).await?;
            if self.batch.is_some() {
                return Ok(true);
            }
            self.rows = None;
        }
    }

    pub(super) fn batch(&self) -> Option<&Batch> {
        self.batch.as_ref()
    }
}
