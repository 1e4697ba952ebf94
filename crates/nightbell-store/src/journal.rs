/*!
The events stream: the [`Journal`] trait, its [`Block`]s and their [`Summary`]s.

Knows nothing of how blocks are kept. Batches come from the intake, which answers its source once
[`Journal::append`] has resolved; the matcher and queries read.
*/

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use nightbell_core::event::{Batch, Group};
use nightbell_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::error::Cause;
use crate::{Position, StoreError};

/// The largest batch that is accepted, in bytes as [`batch_bytes`] counts them.
///
/// The AWS limit of a request is 1 MiB; forwarded events and imported files may come in larger pieces.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most summaries that one call returns.
pub const SUMMARIES_MAX: usize = 10_000;

/// Memory of an event beside its message, in bytes.
const EVENT_OVERHEAD_BYTES: usize = 48;

/// Memory of a batch beside its events and names, in bytes.
const BATCH_OVERHEAD_BYTES: usize = 128;

/// An append under way.
///
/// The batch is queued when [`Journal::append`] is called, not when this is polled: dropping it does not take the batch
/// back.
pub type Appending = Pin<Box<dyn Future<Output = Result<Position, StoreError>> + Send>>;

/// The events stream: blocks of batches at consecutive positions.
///
/// [`append`](Self::append) never blocks. The other calls read memory or disk on the caller's thread: short, but not
/// free; a task that reads much does so where blocking is allowed.
pub trait Journal: Send + Sync {
    /// Stores a batch; resolves with the position of its block once that is on disk (`fdatasync`).
    ///
    /// Batches of concurrent callers share a block and a sync. One caller's batches keep their order if each waits for
    /// the one before it.
    ///
    /// # Errors
    ///
    /// `Invalid` for an empty batch or one over [`BATCH_BYTES_MAX`]; `Throttled` when too much is waiting; `Unavailable`
    /// when the disk refuses or the store is closed. After `Unavailable` the batch may or may not have been stored, so a
    /// source that sends it again may store it twice.
    fn append(&self, batch: Batch) -> Appending;

    /// The blocks from `from` on, up to about `bytes_max` bytes of memory but at least one when there is one.
    ///
    /// Starts at [`start`](Self::start) when `from` is older; empty when `from` has not been written yet. A damaged
    /// block ends the answer before it, and is reported when it is the first one asked for.
    ///
    /// # Errors
    ///
    /// `Broken`, with [`StoreError::position`], for a block that is not what was written; `Unavailable` when the disk
    /// cannot be read.
    fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Block>>, StoreError>;

    /// What the blocks from `from` up to but without `to` hold, oldest first, at most `limit` (and [`SUMMARIES_MAX`]).
    ///
    /// # Errors
    ///
    /// `Broken` for a damaged summary; `Unavailable` when the disk cannot be read.
    fn summaries(&self, from: Position, to: Position, limit: usize) -> Result<Vec<Summary>, StoreError>;

    /// The oldest position that is kept.
    fn start(&self) -> Position;

    /// The next position to be written; changes after each commit, when the block can be read.
    fn end(&self) -> watch::Receiver<Position>;

    /// Forgets the blocks before `before`, or before the end if that is earlier.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the disk refuses.
    fn trim(&self, before: Position) -> Result<(), StoreError>;
}

/// Batches that were stored together.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it stands.
    pub position: Position,
    /// The batches in order of acceptance; never empty.
    pub batches: Vec<Batch>,
}

impl Block {
    /// Bytes of memory, as [`batch_bytes`] counts them.
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(batch_bytes).sum()
    }
}

/// Bytes of memory that a batch takes: texts, names and an allowance for each event and for the batch.
///
/// The measure of every limit of the journal, so that a flood of tiny events is limited too.
pub fn batch_bytes(batch: &Batch) -> usize {
    let names = batch.group.region.len() + batch.group.name.len() + batch.stream.len();
    batch.message_bytes() + batch.events.len() * EVENT_OVERHEAD_BYTES + names + BATCH_OVERHEAD_BYTES
}

/// Refuses what no backend stores.
pub(crate) fn check(batch: &Batch) -> Result<usize, StoreError> {
    if batch.events.is_empty() {
        let (group, stream) = (batch.group.name.clone(), batch.stream.clone());
        return Err(Cause::EmptyBatch { group, stream }.into());
    }
    let bytes = batch_bytes(batch);
    if bytes > BATCH_BYTES_MAX {
        return Err(Cause::LargeBatch { bytes, bytes_max: BATCH_BYTES_MAX }.into());
    }
    Ok(bytes)
}

/// What a block holds, so that a reader can pass it over without unpacking it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The block's position.
    pub position: Position,
    /// The earliest event time.
    pub first: Timestamp,
    /// The latest event time.
    pub last: Timestamp,
    /// The latest arrival.
    pub arrival: Timestamp,
    /// Bytes of message text.
    pub message_bytes: u64,
    /// What each log stream has in the block, in order of group and stream.
    pub streams: Vec<StreamSummary>,
}

/// One log stream's share of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSummary {
    /// The log group.
    pub group: Group,
    /// The log stream inside the group.
    pub stream: String,
    /// How many events.
    pub events: u64,
    /// Their earliest event time.
    pub first: Timestamp,
    /// Their latest event time.
    pub last: Timestamp,
}

impl Summary {
    /// The summary of a block.
    pub fn of(block: &Block) -> Self {
        let mut streams = BTreeMap::new();
        let mut times = TimeRange::default();
        for batch in &block.batches {
            let range: &mut TimeRange = streams.entry((&batch.group, &batch.stream)).or_default();
            for event in &batch.events {
                range.widen(event.time);
                times.widen(event.time);
            }
        }
        Self {
            position: block.position,
            first: times.first,
            last: times.last,
            arrival: block.batches.iter().map(|batch| batch.arrival).max().unwrap_or_default(),
            message_bytes: block.batches.iter().map(|batch| batch.message_bytes() as u64).sum(),
            streams: streams
                .into_iter()
                .map(|((group, stream), range)| range.of_stream(group, stream))
                .collect(),
        }
    }

    /// How many events the block holds.
    pub fn events(&self) -> u64 {
        self.streams.iter().map(|stream| stream.events).sum()
    }
}

/// Event times seen so far.
#[derive(Default)]
struct TimeRange {
    events: u64,
    first: Timestamp,
    last: Timestamp,
}

impl TimeRange {
    fn widen(&mut self, time: Timestamp) {
        let empty = self.events == 0;
        self.first = if empty { time } else { self.first.min(time) };
        self.last = if empty { time } else { self.last.max(time) };
        self.events += 1;
    }

    fn of_stream(&self, group: &Group, stream: &str) -> StreamSummary {
        let (group, stream) = (group.clone(), stream.to_owned());
        StreamSummary { group, stream, events: self.events, first: self.first, last: self.last }
    }
}
