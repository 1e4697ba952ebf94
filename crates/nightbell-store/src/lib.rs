/*!
What Nightbell keeps: the journal of events, ordered maps and small streams. The only crate that touches disk and
object storage.

- [`Journal`]: the events stream. [`Journal::append`] resolves when the batch is on disk, and concurrent callers share one
  sync; [`Journal::read`] follows the head from memory and older positions from disk.
- [`Catalog`]: ordered maps ([`Space`]) and small streams ([`Stream`]), changed by atomic [`Write`]s.
- [`archive`]: events in Parquet files on object storage, with summaries and a chain of hashes that proves them.
- [`backup`]: a copy of store and archive in a folder of its own, and the way back.
- [`blobs`]: contents of any size in files that are written once.
- [`LocalStore`]: journal and catalog in one folder of one machine. [`MemoryStore`]: both for tests.

Nothing here knows what keys, values and events mean, reads a clock, or starts a task of an async runtime.

```
use nightbell_core::{event::{Batch, Event, Group}, time::Timestamp};
use nightbell_store::{Catalog, Durability, Journal, LocalStore, Options, Position, Scan, Space, Stream, Write};

# fn main() -> Result<(), Box<dyn std::error::Error>> {
# tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
# let folder = tempfile::tempdir()?;
let store = LocalStore::open(folder.path(), Options::default())?;

let batch = Batch {
    group: Group { region: "site".into(), name: "files".into() },
    stream: "srv1".into(),
    arrival: Timestamp::from_seconds(2),
    events: vec![Event { time: Timestamp::from_seconds(1), message: "<Event/>".into() }],
};
let position = store.append(batch).await?; // on disk now
assert_eq!(store.read(position, 1_000_000)?[0].batches.len(), 1);

let mut write = Write::new();
write.put(Space::Watch, "matcher", position.next().number().to_be_bytes()).push(Stream::Metrics, "one datum");
assert_eq!(store.commit(write, Durability::Process)?, [Position::FIRST]);
assert_eq!(store.scan(Space::Watch, &Scan::prefix("match"))?.len(), 1);
store.close();
# Ok(()) }) }
```
*/

pub mod archive;
pub mod backup;
pub mod blobs;
pub mod catalog;
mod codec;
mod error;
mod files;
pub mod journal;
mod local;
mod memory;
mod position;

pub use blobs::{Blob, BlobWriter, Blobs};
pub use catalog::{Catalog, Durability, Entry, Scan, Space, Stream, Write};
pub use error::{Kind, StoreError};
pub use journal::{Appending, Block, Journal, StreamSummary, Summary};
pub use local::{Copied, LocalStore, Options};
pub use memory::MemoryStore;
pub use position::Position;

/// A journal and a catalog in one.
///
/// An `Arc<dyn Store>` coerces to `Arc<dyn Journal>` and `Arc<dyn Catalog>`.
pub trait Store: Journal + Catalog {}

impl<T: Journal + Catalog> Store for T {}
