/*!
[`Kept`]: the summaries and footers of the files that were opened last, so that a question asked again, or the next one
about the same hours, does not read and decode them anew.

Files never change: one is known by its path and the fingerprint of its summary. What reads files to see whether they are
sound opens them past this.
*/

use std::sync::Arc;

use parquet::file::metadata::ParquetMetaData;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::OnceCell;

use super::entry::FileEntry;
use super::fingerprint::Fingerprint;
use super::objects::{Objects, missing};
use super::summary::{FileSummary, GroupSummary};
use crate::StoreError;
use crate::error::Cause;

/// Bytes of summaries and footers that are kept: those of about fifteen million events.
pub const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// About how many files that is.
const KEPT_FILES: usize = 256;

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

/// Files that were opened; no more than [`KEPT_BYTES_MAX`] of them.
pub(super) struct Kept(Cache<Name, Arc<Opened>, Weight>);

impl Default for Kept {
    fn default() -> Self {
        // One shard: of several, each would keep its part alone, and files are few and large.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(KEPT_FILES)
            .weight_capacity(KEPT_BYTES_MAX)
            .shards(1)
            .build()
            .expect("capacities are given");
        let (hashing, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self(Cache::with_options(options, Weight, hashing, lifecycle))
    }
}

impl Kept {
    /// A file that was opened before, or that is opened now; several that ask at once wait for one of them.
    ///
    /// # Errors
    ///
    /// Those of [`Opened::read`].
    pub(super) async fn open(&self, objects: &Objects, entry: &FileEntry) -> Result<Arc<Opened>, StoreError> {
        let name = (entry.path.clone(), entry.summary_sha256);
        self.0.get_or_insert_async(&name, Opened::read(objects, entry)).await
    }
}
