/*!
[`Kept`]: the summaries and footers of the files that were opened last, and dictionaries of their columns, so that a question asked again, or the next one
about the same hours, does not read and decode them anew.

Files never change: one is known by its path and the fingerprint of its summary. What reads files to see whether they are
sound opens them past this.
*/

use std::hash::Hash;
use std::sync::Arc;

use parquet::file::metadata::ParquetMetaData;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::OnceCell;

use super::codes::Values;
use super::columns::Field;
use super::entry::FileEntry;
use super::fingerprint::Fingerprint;
use super::objects::{Objects, missing};
use super::summary::{FileSummary, GroupSummary};
use crate::StoreError;
use crate::error::Cause;

/// Bytes of summaries and footers that are kept: those of about fifteen million events.
pub const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes of dictionaries that are kept: those of a column of six thousand users for about fifteen million events.
pub const DICTIONARIES_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// About how many files that is.
const KEPT_FILES: usize = 256;
/// About how many dictionaries that is.
const KEPT_DICTIONARIES: usize = 1_024;

/// Bytes of memory that a dictionary takes beyond its values.
const DICTIONARY_BYTES: u64 = 256;

/// Bytes of memory that a file takes beyond its filters and its footer.
const FILE_BYTES: u64 = 4_096;
/// How many times as much memory as bytes on disk a footer takes, about.
const FOOTER_GROWTH: u64 = 8;

/// What is known of a file once it was opened.
pub(super) struct Opened {
    pub(super) summary: FileSummary,
    /// Read when the first column is wanted.
    pub(super) metadata: OnceCell<Arc<ParquetMetaData>>,
}

impl Opened {
    /// Reads the summary of a file.
    ///
    /// # Errors
    ///
    /// `Broken` when the summary is missing or not what was written; `Unavailable` when it cannot be read.
    pub(super) async fn read(objects: &Objects, entry: &FileEntry) -> Result<Arc<Self>, StoreError> {
        let path = entry.summary_path();
        let bytes = objects.get(&path).await?.ok_or_else(|| missing(&path))?;
        let broken =
            |reason: &str| StoreError::from(Cause::Archive { path: path.clone(), reason: reason.to_owned() });
        if Fingerprint::of(&bytes) != entry.summary_sha256 {
            return Err(broken("is not the summary that was written"));
        }
        let summary = FileSummary::decode(&bytes).map_err(broken)?;
        Ok(Arc::new(Self { summary, metadata: OnceCell::new() }))
    }

    /// Bytes that its summaries take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.summary.groups.iter().map(GroupSummary::bytes).sum()
    }
}

/// The path of a file and the fingerprint of its summary.
type Name = (String, Fingerprint);

#[derive(Clone)]
struct Weight;

impl Weighter<Name, Arc<Opened>> for Weight {
    fn weight(&self, _: &Name, opened: &Arc<Opened>) -> u64 {
        opened.bytes() as u64 + opened.summary.footer.bytes * FOOTER_GROWTH + FILE_BYTES
    }
}

/// A dictionary: the fingerprint of its file's summary, the row group and the field.
type DictionaryName = (Fingerprint, usize, Field);

impl Weighter<DictionaryName, Arc<Values>> for Weight {
    fn weight(&self, _: &DictionaryName, values: &Arc<Values>) -> u64 {
        values.bytes() as u64 + DICTIONARY_BYTES
    }
}

/// Files that were opened, no more than [`KEPT_BYTES_MAX`] of them, and dictionaries by which was counted, no more than
/// [`DICTIONARIES_BYTES_MAX`].
pub(super) struct Kept {
    files: Cache<Name, Arc<Opened>, Weight>,
    dictionaries: Cache<DictionaryName, Arc<Values>, Weight>,
}

impl Default for Kept {
    fn default() -> Self {
        let files = cache(KEPT_FILES, KEPT_BYTES_MAX);
        Self { files, dictionaries: cache(KEPT_DICTIONARIES, DICTIONARIES_BYTES_MAX) }
    }
}

/// A cache of one shard: of several, each would keep its part alone, and what is kept is large.
fn cache<K: Eq + Hash, V: Clone>(items: usize, bytes_max: u64) -> Cache<K, V, Weight>
where
    Weight: Weighter<K, V>,
{
    let options = OptionsBuilder::new()
        .estimated_items_capacity(items)
        .weight_capacity(bytes_max)
        .shards(1)
        .build()
        .expect("capacities are given");
    Cache::with_options(options, Weight, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

impl Kept {
    /// A file that was opened before, or that is opened now; several that ask at once wait for one of them.
    ///
    /// # Errors
    ///
    /// Those of [`Opened::read`].
    pub(super) async fn open(&self, objects: &Objects, entry: &FileEntry) -> Result<Arc<Opened>, StoreError> {
        let name = (entry.path.clone(), entry.summary_sha256);
        self.files.get_or_insert_async(&name, Opened::read(objects, entry)).await
    }

    /// A dictionary that was read before, or that `read` reads now.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub(super) async fn dictionary(
        &self,
        entry: &FileEntry,
        (row_group, field): (usize, Field),
        read: impl Future<Output = Result<Arc<Values>, StoreError>>,
    ) -> Result<Arc<Values>, StoreError> {
        self.dictionaries.get_or_insert_async(&(entry.summary_sha256, row_group, field), read).await
    }
}
