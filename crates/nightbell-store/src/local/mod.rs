/*!
[`LocalStore`]: journal and catalog in one folder of one machine, on fjall.

Events, maps and streams share fjall's one write log, so that a crash leaves a consistent beginning of all commits. Blocks
go through a queue and a thread of their own ([`writer`]); the newest stay unpacked in memory ([`tail`]).

When the disk refuses a write (it is full, or worse), the callers hear `Unavailable`, fjall takes no more writes, and the
thread tries the disk at once and then every second, and opens the database anew when it takes a write; reads go on
meanwhile. What was being written may be found afterwards. Files that are not what was written are named when the folder
is opened or when they are read ([`salvage`], [`manifest`]), and not repaired.
*/

mod copy;
mod engine;
mod manifest;
mod mark;
mod salvage;
mod tail;
mod upgrade;
mod usage;
mod writer;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use nightbell_core::event::Batch;
use tokio::sync::watch;

pub use self::copy::Copied;
use self::engine::{Disk, Engine};
use self::tail::Tail;
use self::usage::Usage;
use self::writer::Queue;
use crate::catalog::{Catalog, Durability, Entry, KEY_BYTES_MAX, Scan, Space, Stream, Write};
use crate::codec::{self, BlockEncoder};
use crate::error::Cause;
use crate::journal::{self, Appending, Block, Journal, SUMMARIES_MAX, Summary};
use crate::{Kind, Position, StoreError};

/// Bytes of blocks that are read at once to make their summaries anew.
const SUMMARIZED_BYTES: usize = 8 << 20;

/// Entries that one commit of a trim deletes.
const TRIM_ENTRIES: u64 = 1_000;

/// How much memory and disk the store may use.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of events that may wait for the disk before appends are throttled; one batch always may.
    pub pending_bytes_max: usize,
    /// Bytes of the newest events that are kept unpacked for readers at the head.
    pub tail_bytes_max: usize,
    /// Bytes of what was read from disk that are kept.
    pub cache_bytes: u64,
    /// Bytes of stored blocks that are kept in memory before they are flushed to a file, and the most of each map and
    /// small stream; fixed when a folder is created.
    pub memtable_bytes: u64,
    /// Bytes of disk from which on batches are refused until old ones are trimmed; 0 for no limit. Changes of the catalog
    /// are small and go on. Some 200 MB are the log's: a limit below a gigabyte makes no sense.
    pub disk_bytes_max: u64,
    /// Folders beside the store whose files count towards the limit, too: those of the archive and of the blobs.
    pub counted_beside: Vec<PathBuf>,
}

impl Default for Options {
    /// Sizes for a server that idles below 100 MB.
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            pending_bytes_max: 64 * MIB,
            tail_bytes_max: 32 * MIB,
            cache_bytes: 16 * MIB as u64,
            memtable_bytes: 16 * MIB as u64,
            disk_bytes_max: 0,
            counted_beside: Vec::new(),
        }
    }
}

/// A store in one folder, which belongs to this process while the value lives.
pub struct LocalStore {
    inner: Arc<Inner>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl LocalStore {
    /// Opens the store in `folder`, which is created when it is missing.
    ///
    /// # Errors
    ///
    /// `Conflict` when another process has the folder; `Invalid` when a newer version has written it; `Broken` when what
    /// it holds is damaged; `Unavailable` when the disk refuses.
    pub fn open(folder: &Path, options: Options) -> Result<Self, StoreError> {
        let inner = Arc::new(Inner::open(folder, options)?);
        let open_error = |error: &dyn std::fmt::Display| Cause::open(folder, error);
        let encoder = BlockEncoder::new().map_err(|error| open_error(&error))?;
        let writer = std::thread::Builder::new().name("journal-writer".to_owned()).spawn({
            let inner = Arc::clone(&inner);
            move || writer::run(&inner, encoder)
        });
        let writer = writer.map_err(|error| open_error(&error))?;
        Ok(Self { inner, writer: Mutex::new(Some(writer)) })
    }

    /// Reads every file of a folder that nobody has open, and compares it with what was written.
    ///
    /// Logs are read when the folder is opened, blocks when they are asked for; this finds damage before it is met.
    ///
    /// # Errors
    ///
    /// `Broken` with the name of the first damaged file; `Unavailable` when one cannot be read.
    pub fn verify(folder: &Path) -> Result<(), StoreError> {
        manifest::check_all(folder)
    }

    /// Bytes that the folder takes of the disk, as measured a little while ago and written since.
    pub fn disk_bytes(&self) -> u64 {
        self.inner.usage.bytes()
    }

    /// Counts bytes that were written into one of the folders beside the store.
    pub fn count_beside(&self, bytes: u64) {
        self.inner.usage.add(bytes);
    }

    /// Counts anew where the limit is reached, because something in one of these folders was removed.
    pub fn freed_beside(&self) {
        if self.inner.usage.is_full() {
            self.inner.usage.measure();
        }
    }

    /// Why batches are refused now: the limit of the disk is reached, or the disk takes no writes.
    pub fn refusal(&self) -> Option<StoreError> {
        self.inner.usage.check().err().or_else(|| self.inner.queue.refused())
    }

    /// What tells this store and its copies from others, as 32 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// `Unavailable` when it cannot be read.
    pub fn id(&self) -> Result<String, StoreError> {
        self.inner.disk.with(|engine| upgrade::id(engine, self.inner.disk.folder()))
    }

    /// Writes all that the store holds at this moment into a new folder, while it goes on; a [`LocalStore`] opens there.
    ///
    /// The copy is of one moment across events, maps and streams. Every block is unpacked on the way. Memory: a few
    /// megabytes, or the largest entry. `reach` hears how many bytes have been copied, and of about how many; `false` from it ends the
    /// copy.
    ///
    /// # Errors
    ///
    /// `Broken` with the position for a damaged block; `Unavailable` when a disk refuses, when `reach` has ended it, or
    /// when the store was opened anew meanwhile. What was written stays and is no store.
    pub fn copy_to(
        &self,
        folder: &Path,
        reach: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Copied, StoreError> {
        copy::copy(&self.inner, folder, reach)
    }

    /// Forgets all blocks and goes on at `position`, if the journal ends before it. For a store that nobody else uses yet.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the disk refuses; then it may be called again.
    pub fn go_on_at(&self, position: Position) -> Result<(), StoreError> {
        self.inner.go_on_at(position)
    }

    /// Stores what waits, syncs, and gives the folder back; every call after it is `Unavailable`.
    ///
    /// Dropping the store does the same. Blocks until done.
    pub fn close(&self) {
        self.inner.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("journal writer has panicked");
        }
        self.inner.disk.close();
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// What callers and the writer thread share.
struct Inner {
    disk: Disk,
    usage: Usage,
    queue: Queue,
    tail: Tail,
    /// The oldest position of the events; readers need no lock.
    start: AtomicU64,
    streams: [StreamEnds; Stream::ALL.len()],
    /// Held by commits, which number the entries of streams.
    commits: Mutex<()>,
    /// Held by trims, which may take long.
    trims: Mutex<()>,
}

/// Where a small stream starts and ends.
struct StreamEnds {
    start: AtomicU64,
    end: watch::Sender<Position>,
}

impl Inner {
    fn open(folder: &Path, options: Options) -> Result<Self, StoreError> {
        let queue = Queue::new(options.pending_bytes_max);
        let tail = Tail::new(options.tail_bytes_max, Position::FIRST);
        let streams = Stream::ALL
            .map(|_| StreamEnds { start: AtomicU64::default(), end: watch::Sender::new(Position::FIRST) });
        let (disk_bytes_max, beside) = (options.disk_bytes_max, options.counted_beside.clone());
        let disk = Disk::open(folder, options)?;
        let usage = Usage::new(folder, beside, disk_bytes_max);
        let inner = Self {
            disk,
            usage,
            queue,
            tail,
            start: AtomicU64::default(),
            streams,
            commits: Mutex::default(),
            trims: Mutex::default(),
        };
        inner.load_ends()?;
        Ok(inner)
    }

    /// Opens the engine anew after it has refused a write.
    fn reopen(&self) -> Result<(), StoreError> {
        let _commits = self.commits();
        self.disk.reopen()?;
        self.load_ends()
    }

    /// Takes starts and ends from disk: a write that failed may have arrived there.
    fn load_ends(&self) -> Result<(), StoreError> {
        self.disk.with(|engine| {
            let read_error = |error: fjall::Error| self.disk.read_error("ends", &error);
            let (start, end) = engine.events_range().map_err(read_error)?;
            self.start.fetch_max(start.number(), Ordering::AcqRel);
            self.tail.reset(end);
            for (stream, ends) in Stream::ALL.into_iter().zip(&self.streams) {
                let (start, end) = engine.stream_range(stream).map_err(read_error)?;
                ends.start.fetch_max(start.number(), Ordering::AcqRel);
                ends.end.send_if_modified(|old| std::mem::replace(old, end) != end);
            }
            Ok(())
        })
    }

    fn start(&self) -> Position {
        Position::new(self.start.load(Ordering::Acquire))
    }

    /// Reads blocks that have left the tail.
    fn read_disk(
        &self,
        from: Position,
        to: Position,
        bytes_max: usize,
    ) -> Result<Vec<Arc<Block>>, StoreError> {
        self.disk.with(|engine| {
            let mut bytes = 0;
            let mut blocks: Vec<Arc<Block>> = Vec::new();
            let mut expected = from;
            for entry in engine.events.range(from.key()..to.key()) {
                let block = self.decode_entry(entry, expected);
                if block.is_err() && !blocks.is_empty() {
                    break; // whoever asks for this one first is told
                }
                let block = block?;
                bytes += block.bytes();
                if bytes > bytes_max && !blocks.is_empty() {
                    break;
                }
                expected = expected.next();
                blocks.push(Arc::new(block));
            }
            if blocks.is_empty() { Err(Cause::Missing { position: from }.into()) } else { Ok(blocks) }
        })
    }

    fn decode_entry(&self, entry: fjall::Guard, expected: Position) -> Result<Block, StoreError> {
        let (key, value) = engine::unpack(entry).map_err(|error| self.disk.block_error(expected, &error))?;
        if *key != expected.key() {
            return Err(Cause::Missing { position: expected }.into());
        }
        codec::decode_block(expected, &value)
    }

    /// Reads entries of a small stream; the first must be there.
    fn read_entries(
        &self,
        stream: Stream,
        from: Position,
        to: Position,
        bytes_max: usize,
    ) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
        let read_error = |error: fjall::Error| self.disk.read_error(stream.name(), &error);
        self.disk.with(|engine| {
            let (mut bytes, mut expected) = (0, from);
            let mut entries = Vec::new();
            for entry in engine.stream(stream).range(from.key()..to.key()) {
                let (key, value) = engine::unpack(entry).map_err(read_error)?;
                bytes += value.len();
                if bytes > bytes_max && !entries.is_empty() {
                    break;
                }
                let position = Position::from_key(&key).ok_or_else(|| Cause::stream_key(stream))?;
                if position != expected {
                    return Err(Cause::missing_entry(stream, expected));
                }
                expected = position.next();
                entries.push((position, value.to_vec()));
            }
            if entries.is_empty() { Err(Cause::missing_entry(stream, from)) } else { Ok(entries) }
        })
    }

    fn trim(&self, before: Position) -> Result<(), StoreError> {
        let _trims = self.trims();
        let before = before.min(self.tail.end());
        self.start.fetch_max(before.number(), Ordering::AcqRel); // first, so that no reader meets a hole
        self.tail.trim(before);
        self.trim_pieces(before, Engine::events_range, |engine, batch, piece| {
            engine.set_events_start(batch, Position::new(piece.end));
            for position in piece.map(Position::new) {
                batch.remove(&engine.events, position.key());
                batch.remove(&engine.summaries, position.key());
            }
        })?;
        if self.usage.is_full() { self.reclaim() } else { Ok(()) }
    }

    fn go_on_at(&self, position: Position) -> Result<(), StoreError> {
        let end = self.tail.end();
        if position <= end {
            return Ok(());
        }
        self.trim(end)?;
        self.disk.with(|engine| {
            let mut batch = engine.batch(Durability::Disk);
            engine.set_events_start(&mut batch, position);
            self.commit_batch(engine, batch)
        })?;
        self.start.fetch_max(position.number(), Ordering::AcqRel);
        self.tail.reset(position);
        Ok(())
    }

    /// Gives the disk back what was trimmed, at once: at its limit the store takes no batches that would lead to it.
    fn reclaim(&self) -> Result<(), StoreError> {
        let reclaimed = self
            .disk
            .with(|engine| engine.reclaim().map_err(|error| Cause::refused(self.disk.folder(), &error)));
        self.usage.measure();
        reclaimed.inspect_err(|error: &StoreError| self.queue.refuse(error.clone()))
    }

    fn trim_stream(&self, stream: Stream, before: Position) -> Result<(), StoreError> {
        let _trims = self.trims();
        let ends = &self.streams[stream as usize];
        let before = before.min(*ends.end.borrow());
        ends.start.fetch_max(before.number(), Ordering::AcqRel);
        self.trim_pieces(
            before,
            |engine| engine.stream_range(stream),
            |engine, batch, piece| {
                engine.set_stream_start(batch, stream, Position::new(piece.end));
                for position in piece.map(Position::new) {
                    batch.remove(engine.stream(stream), position.key());
                }
            },
        )
    }

    /// Deletes from the start on disk in commits of bounded size; each moves the start, so that a crash leaves no orphans.
    fn trim_pieces(
        &self,
        before: Position,
        range: impl Fn(&Engine) -> fjall::Result<(Position, Position)>,
        remove: impl Fn(&Engine, &mut fjall::OwnedWriteBatch, Range<u64>),
    ) -> Result<(), StoreError> {
        let start = |engine: &Engine| range(engine).map_err(|error| self.disk.read_error("ends", &error));
        let mut from = self.disk.with(start)?.0.number();
        while from < before.number() {
            let piece = from..before.number().min(from + TRIM_ENTRIES);
            from = piece.end;
            self.disk.with(|engine| {
                let mut batch = engine.batch(Durability::Process);
                remove(engine, &mut batch, piece);
                self.commit_batch(engine, batch)
            })?;
        }
        Ok(())
    }

    /// Commits, and calls the thread that opens the engine anew when it must be.
    fn commit_batch(&self, engine: &Engine, batch: fjall::OwnedWriteBatch) -> Result<(), StoreError> {
        self.disk.commit(engine, batch).inspect_err(|error| self.queue.refuse(error.clone()))
    }

    /// A panic elsewhere leaves no trace here: numbers change only after a commit.
    fn commits(&self) -> MutexGuard<'_, ()> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic elsewhere leaves a start that the next trim reads from disk.
    fn trims(&self) -> MutexGuard<'_, ()> {
        self.trims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(
        &self,
        engine: &Engine,
        write: Write,
        durability: Durability,
    ) -> Result<Vec<Position>, StoreError> {
        for held in &write.expectations {
            let value = engine.space(held.space).get(&held.key);
            let value = value.map_err(|error| self.disk.read_error(held.space.name(), &error))?;
            if value.as_deref() != held.value.as_deref() {
                return Err(Cause::expectation(held.space));
            }
        }
        let mut batch = engine.batch(durability);
        let mut bytes = 0;
        for ((space, key), value) in write.changes {
            bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            match value {
                Some(value) => batch.insert(engine.space(space), key, value),
                None => batch.remove(engine.space(space), key),
            }
        }
        let mut ends = self.streams.each_ref().map(|ends| *ends.end.borrow());
        let mut positions = Vec::with_capacity(write.pushes.len());
        for (stream, entry) in write.pushes {
            let end = &mut ends[stream as usize];
            bytes += entry.len();
            batch.insert(engine.stream(stream), end.key(), entry);
            positions.push(*end);
            *end = end.next();
        }
        self.commit_batch(engine, batch)?;
        self.usage.add(bytes as u64);
        for (stream, end) in self.streams.iter().zip(ends) {
            stream.end.send_if_modified(|old| std::mem::replace(old, end) != end);
        }
        Ok(positions)
    }
}

impl StreamEnds {
    fn start(&self) -> Position {
        Position::new(self.start.load(Ordering::Acquire))
    }
}

impl Journal for LocalStore {
    fn append(&self, batch: Batch) -> Appending {
        let closed = Cause::closed(self.inner.disk.folder());
        let checked = self.inner.usage.check().and_then(|()| journal::check(&batch));
        let queued = checked.and_then(|bytes| self.inner.queue.push(batch, bytes));
        Box::pin(async move {
            let Some(answered) = queued? else { return Err(closed) };
            answered.await.unwrap_or(Err(closed))
        })
    }

    fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Block>>, StoreError> {
        loop {
            let from = from.max(self.inner.start());
            let end = self.inner.tail.end();
            if from >= end {
                return Ok(Vec::new());
            }
            if let Some(blocks) = self.inner.tail.read(from, bytes_max) {
                return Ok(blocks);
            }
            match self.inner.read_disk(from, end, bytes_max) {
                Err(_) if self.inner.start() > from => {} // a trim went by
                read => return read,
            }
        }
    }

    fn summaries(&self, from: Position, to: Position, limit: usize) -> Result<Vec<Summary>, StoreError> {
        let from = from.max(self.inner.start());
        let to = to.min(self.inner.tail.end());
        if from >= to {
            return Ok(Vec::new());
        }
        let limit = limit.min(SUMMARIES_MAX);
        match self.stored_summaries(from, to, limit) {
            // Nobody can say which of them are damaged; the blocks tell themselves what they hold.
            Err(error) if error.kind() == Kind::Broken && error.position().is_none() => {
                tracing::warn!(%error, "damaged summaries are made anew out of blocks for as long as they are needed");
                self.summaries_of_blocks(from, to, limit)
            }
            found => found,
        }
    }

    fn start(&self) -> Position {
        self.inner.start()
    }

    fn end(&self) -> watch::Receiver<Position> {
        self.inner.tail.subscribe()
    }

    fn trim(&self, before: Position) -> Result<(), StoreError> {
        self.inner.trim(before)
    }
}

impl LocalStore {
    fn stored_summaries(
        &self,
        from: Position,
        to: Position,
        limit: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        self.inner.disk.with(|engine| {
            let entries = engine.summaries.range(from.key()..to.key());
            let summary = |entry: fjall::Guard| {
                let read_error = |error: fjall::Error| self.inner.disk.read_error("summaries", &error);
                let (key, value) = engine::unpack(entry).map_err(read_error)?;
                let position = Position::from_key(&key).unwrap_or(from);
                codec::decode_summary(position, &value)
                    .or_else(|error| self.summary_of_block(position, &error))
            };
            entries.take(limit).map(summary).collect()
        })
    }

    /// Makes the summary of one block anew, where the stored one is damaged.
    fn summary_of_block(&self, position: Position, error: &StoreError) -> Result<Summary, StoreError> {
        tracing::warn!(%error, "a damaged summary is made anew out of its block for as long as it is needed");
        let blocks = self.inner.read_disk(position, position.next(), 1)?;
        blocks.first().map(|block| Summary::of(block)).ok_or_else(|| error.clone())
    }

    /// Makes summaries out of blocks; a damaged block is an error, for nobody would look for what it held.
    fn summaries_of_blocks(
        &self,
        from: Position,
        to: Position,
        limit: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        let (mut at, mut found) = (from, Vec::new());
        while at < to && found.len() < limit {
            let blocks = self.read(at, SUMMARIZED_BYTES)?;
            let Some(last) = blocks.last() else { break };
            at = last.position.next();
            let blocks = blocks.iter().filter(|block| block.position < to);
            found.extend(blocks.map(|block| Summary::of(block)).take(limit - found.len()));
        }
        Ok(found)
    }
}

impl Catalog for LocalStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if key.len() > KEY_BYTES_MAX {
            return Ok(None); // nothing was ever put there, and fjall panics when asked
        }
        self.inner.disk.with(|engine| {
            let read_error = |error: fjall::Error| self.inner.disk.read_error(space.name(), &error);
            let value = engine.space(space).get(key).map_err(read_error)?;
            Ok(value.map(|value| value.to_vec()))
        })
    }

    fn scan(&self, space: Space, scan: &Scan) -> Result<Vec<Entry>, StoreError> {
        scan.check(space)?;
        let Some(bounds) = scan.bounds() else { return Ok(Vec::new()) };
        self.inner.disk.with(|engine| {
            let snapshot = engine.db.snapshot();
            let entries = fjall::Readable::range::<&[u8], _>(&snapshot, engine.space(space), bounds);
            let read_error = |error: fjall::Error| self.inner.disk.read_error(space.name(), &error);
            let entry = |entry: fjall::Guard| {
                let (key, value) = engine::unpack(entry).map_err(read_error)?;
                Ok((key.to_vec(), value.to_vec()))
            };
            scan.collect(space, entries.map(entry))
        })
    }

    fn commit(&self, write: Write, durability: Durability) -> Result<Vec<Position>, StoreError> {
        write.check()?;
        let _commits = self.inner.commits();
        self.inner.disk.with(|engine| self.inner.commit(engine, write, durability))
    }

    fn read_stream(
        &self,
        stream: Stream,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
        let ends = &self.inner.streams[stream as usize];
        loop {
            let from = from.max(ends.start());
            let to = *ends.end.borrow();
            if from >= to {
                return Ok(Vec::new());
            }
            match self.inner.read_entries(stream, from, to, bytes_max) {
                Err(_) if ends.start() > from => {} // a trim went by
                read => return read,
            }
        }
    }

    fn stream_start(&self, stream: Stream) -> Position {
        self.inner.streams[stream as usize].start()
    }

    fn stream_end(&self, stream: Stream) -> watch::Receiver<Position> {
        self.inner.streams[stream as usize].end.subscribe()
    }

    fn trim_stream(&self, stream: Stream, before: Position) -> Result<(), StoreError> {
        self.inner.trim_stream(stream, before)
    }
}
