/*!
[`Engine`]: the fjall database of one folder, its keyspaces and the version of what they hold. [`Disk`]: the engine
while it works, and the way to a new one when it does not.

Knows nothing of queues, tails and watches. How fjall behaves, as its source has it (3.1):

- A commit with a persist mode writes its log, flushes or syncs it, and only then shows the entries to readers. So what
  can be read is as durable as its commit asked for.
- A commit's log entry is checked when it is replayed, a table's block and a blob when they are read. What is left
  unchecked, [`salvage`] and [`manifest`] check before opening.
- A failed write, flush or sync (a full disk) *poisons* the database: nothing is accepted any more until it is opened
  anew. So does a failed background flush. [`Disk::reopen`] does that; reads go on working meanwhile.
- A commit waits without end for background flushes, even those that a full disk has ended. [`Disk::commit`] therefore
  waits itself before, and gives up when the database is poisoned.
*/

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions,
    OwnedWriteBatch, PersistMode, UserKey, UserValue,
};

use super::mark::{MARK_KEY, Mark, Sync};
use super::{Options, manifest, salvage, upgrade};
use crate::catalog::{Durability, Space, Stream};
use crate::error::Cause;
use crate::{Position, StoreError};

/// Bytes of write log that are kept until every keyspace has flushed what they hold; more is replayed when opening.
const LOG_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Memory of the newest entries of an ordered map or a small stream, in bytes, at most.
const SMALL_MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;

/// Threads that flush and compact.
const WORKERS: usize = 2;

/// Unflushed memtables and unmerged runs at which a commit waits; fjall itself would wait at 4 and 30.
const SEALED_MAX: usize = 2;
const RUNS_MAX: usize = 24;

/// How long a commit sleeps before it looks again whether flushes have caught up.
const FLUSH_PAUSE: Duration = Duration::from_millis(5);

/// How often the folder's lock is tried: a child process may hold it for the moment of its birth.
const LOCK_ATTEMPTS: u32 = 3;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Bytes that a disk must take before the engine is opened anew on it: opening writes some of its files again.
const PROBE_BYTES: usize = 1024 * 1024;

/// The file that is written to try a disk, and removed.
const PROBE_FILE: &str = "probe";

/// What fjall's version marker holds.
const MARKER: [u8; 4] = [b'F', b'J', b'L', 3];

pub(super) const EVENTS_START_KEY: &[u8] = b"events.start";

/// The engine of a folder while it works.
pub(super) struct Disk {
    folder: PathBuf,
    options: Options,
    state: RwLock<State>,
    /// How often the engine was opened: snapshots end with the engine they were taken of.
    openings: AtomicU64,
}

enum State {
    Open(Engine),
    /// The engine did not open again.
    Failed(StoreError),
    Closed,
}

impl Disk {
    /// Opens the folder.
    pub(super) fn open(folder: &Path, options: Options) -> Result<Self, StoreError> {
        let engine = Engine::open(folder, &options)?;
        let state = RwLock::new(State::Open(engine));
        Ok(Self { folder: folder.to_owned(), options, state, openings: AtomicU64::default() })
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Changes whenever the engine is opened anew; inside [`Disk::with`] it stays.
    pub(super) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Acquire)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Calls `body` with the engine.
    ///
    /// # Errors
    ///
    /// Those of `body`; `Unavailable` when the engine is closed or could not be opened anew; `Broken` when it panics,
    /// which some damage makes it do.
    pub(super) fn with<T>(
        &self,
        body: impl FnOnce(&Engine) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(engine) => catch_unwind(AssertUnwindSafe(|| body(engine))).unwrap_or_else(|_| {
                Err(Cause::Entry { place: "engine", reason: "it gave up on what it read".to_owned() }.into())
            }),
            State::Failed(error) => Err(error.clone()),
            State::Closed => Err(Cause::closed(&self.folder)),
        }
    }

    /// Commits a batch that [`Engine::batch`] began.
    ///
    /// # Errors
    ///
    /// `Unavailable`; the engine takes no writes until [`Disk::reopen`].
    pub(super) fn commit(&self, engine: &Engine, batch: OwnedWriteBatch) -> Result<(), StoreError> {
        let committed = engine.wait_for_flushes().and_then(|()| batch.commit());
        committed.map_err(|error| Cause::refused(&self.folder, &error))
    }

    /// A read of `place` that failed: the disk could not, or its bytes are not what was written.
    pub(super) fn read_error(&self, place: &'static str, error: &fjall::Error) -> StoreError {
        if is_damage(error) {
            return Cause::Entry { place, reason: error.to_string() }.into();
        }
        Cause::read(&self.folder, error)
    }

    /// A read of the block at `position` that failed.
    pub(super) fn block_error(&self, position: Position, error: &fjall::Error) -> StoreError {
        if is_damage(error) {
            return Cause::Block { position, reason: error.to_string() }.into();
        }
        Cause::read(&self.folder, error)
    }

    /// Whether the disk takes writes; what it takes is removed again.
    ///
    /// # Errors
    ///
    /// `Unavailable` when it does not.
    pub(super) fn probe(&self) -> Result<(), StoreError> {
        let path = self.folder.join(PROBE_FILE);
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(&vec![0xA5; PROBE_BYTES])?;
            file.sync_all()
        });
        let removed = std::fs::remove_file(&path);
        written.and(removed).map_err(|error| Cause::refused(&self.folder, &error))
    }

    /// Drops the engine and opens it anew, waiting for reads under way.
    ///
    /// The log is written and synced once more before: a failed sync may have left it in memory only.
    ///
    /// # Errors
    ///
    /// `Unavailable` when it does not open; then there is no engine until the next try.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        if matches!(*state, State::Closed) {
            return Err(Cause::closed(&self.folder));
        }
        *state = State::Closed; // drops the engine, which unlocks the folder
        self.openings.fetch_add(1, Ordering::AcqRel);
        let again = salvage::write_last_log_again(&self.folder);
        let again = again.map_err(|error| Cause::open(&self.folder, &error));
        let opened = again.and_then(|()| Engine::open(&self.folder, &self.options));
        let failed = opened.as_ref().err().cloned();
        *state = opened.map_or_else(State::Failed, State::Open);
        failed.map_or(Ok(()), Err)
    }

    /// Syncs and drops the engine, which unlocks the folder.
    pub(super) fn close(&self) {
        if let State::Open(engine) = std::mem::replace(&mut *self.state(), State::Closed)
            && let Err(error) = engine.mark_synced()
        {
            tracing::error!(folder = %self.folder.display(), %error, "last sync failed");
        }
    }

    /// A panic elsewhere leaves the engine as whole as it was: fjall guards itself.
    fn state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open database and its keyspaces.
pub(super) struct Engine {
    pub(super) db: Database,
    /// Format, identity and the starts of streams.
    pub(super) meta: Keyspace,
    /// Blocks by position.
    pub(super) events: Keyspace,
    /// Summaries by position.
    pub(super) summaries: Keyspace,
    spaces: [Keyspace; Space::ALL.len()],
    streams: [Keyspace; Stream::ALL.len()],
}

impl Engine {
    pub(super) fn open(folder: &Path, options: &Options) -> Result<Self, StoreError> {
        create_folder(folder).map_err(|error| Cause::open(folder, &error))?;
        prepare(folder)?;
        // Checked as they are, damaged files may still be more than fjall can bear.
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_checked(folder, options)));
        opened.unwrap_or_else(|_| Err(damage_of(folder, "the engine gave up on it".to_owned())))
    }

    fn open_checked(folder: &Path, options: &Options) -> Result<Self, StoreError> {
        let db = open_database(folder, options)?;
        let engine = Self::keyspaces(db, options).map_err(|error| open_error(folder, &error))?;
        upgrade::bring_up(&engine, folder)?;
        engine.mark_synced().map_err(|error| open_error(folder, &error))?;
        Ok(engine)
    }

    fn keyspaces(db: Database, options: &Options) -> fjall::Result<Self> {
        let small_bytes = SMALL_MEMTABLE_BYTES.min(options.memtable_bytes);
        let small = |name: &str| db.keyspace(name, || base().max_memtable_size(small_bytes));
        let blocks =
            || base().max_memtable_size(options.memtable_bytes).with_kv_separation(Some(blocks_apart()));
        Ok(Self {
            meta: small("meta")?,
            events: db.keyspace("events", blocks)?,
            summaries: small("summaries")?,
            spaces: try_array(Space::ALL.map(|space| small(space.name())))?,
            streams: try_array(Stream::ALL.map(|stream| small(stream.name())))?,
            db,
        })
    }

    /// Begins a batch: its mark, and what its commit is to outlive.
    pub(super) fn batch(&self, durability: Durability) -> OwnedWriteBatch {
        match durability {
            Durability::Process => self.marked(Sync::None, PersistMode::Buffer),
            Durability::Disk => self.marked(Sync::Follows, PersistMode::SyncData),
        }
    }

    fn marked(&self, sync: Sync, mode: PersistMode) -> OwnedWriteBatch {
        let mut batch = self.db.batch().durability(Some(mode));
        batch.insert(&self.meta, *MARK_KEY, Mark { floor: self.db.seqno(), sync }.encode());
        batch
    }

    /// Syncs, then says so in the log.
    pub(super) fn mark_synced(&self) -> fjall::Result<()> {
        self.db.persist(PersistMode::SyncAll)?;
        self.marked(Sync::Precedes, PersistMode::Buffer).commit()
    }

    /// Writes what memory holds to files, so that old logs go, and merges those of the events, so that what was trimmed
    /// leaves the disk.
    ///
    /// The first merge drops the trimmed blocks, the second what still shares files with them, and each flush lets go of
    /// the files that a merge before it has made superfluous.
    ///
    /// # Errors
    ///
    /// Those of the engine, when a file cannot be written.
    pub(super) fn reclaim(&self) -> fjall::Result<()> {
        for _ in 0..2 {
            self.flush_all()?;
            self.events.major_compact()?;
            self.summaries.major_compact()?;
        }
        self.flush_all()
    }

    /// Flushes every keyspace. fjall drops only what is older than the last commit, hence one more before.
    pub(super) fn flush_all(&self) -> fjall::Result<()> {
        self.marked(Sync::None, PersistMode::Buffer).commit()?;
        for keyspace in self.keyspaces_of_writes() {
            keyspace.rotate_memtable()?;
        }
        while self.keyspaces_of_writes().any(|keyspace| keyspace.sealed_memtable_count() > 0) {
            self.db.persist(PersistMode::Buffer)?; // tells when a flush has failed
            std::thread::sleep(FLUSH_PAUSE);
        }
        Ok(())
    }

    pub(super) fn space(&self, space: Space) -> &Keyspace {
        &self.spaces[space as usize]
    }

    pub(super) fn stream(&self, stream: Stream) -> &Keyspace {
        &self.streams[stream as usize]
    }

    /// Start and end of the events.
    pub(super) fn events_range(&self) -> fjall::Result<(Position, Position)> {
        self.range(EVENTS_START_KEY, &self.events)
    }

    /// Start and end of a small stream.
    pub(super) fn stream_range(&self, stream: Stream) -> fjall::Result<(Position, Position)> {
        self.range(&start_key(stream), self.stream(stream))
    }

    /// The end is behind the last entry, or at the start when everything has been trimmed: positions are not used twice.
    fn range(&self, start_key: &[u8], entries: &Keyspace) -> fjall::Result<(Position, Position)> {
        let start =
            self.meta.get(start_key)?.and_then(|value| Position::from_key(&value)).unwrap_or_default();
        let last = entries.last_key_value().map(fjall::Guard::key).transpose()?;
        let end = last.and_then(|key| Position::from_key(&key)).map(Position::next).unwrap_or_default();
        Ok((start, end.max(start)))
    }

    /// Puts a new start of the events into a batch.
    pub(super) fn set_events_start(&self, batch: &mut OwnedWriteBatch, start: Position) {
        batch.insert(&self.meta, EVENTS_START_KEY, start.key());
    }

    /// Puts a new start of a small stream into a batch.
    pub(super) fn set_stream_start(&self, batch: &mut OwnedWriteBatch, stream: Stream, start: Position) {
        batch.insert(&self.meta, start_key(stream), start.key());
    }

    /// Waits until a commit will not wait inside fjall, or finds the database poisoned.
    fn wait_for_flushes(&self) -> fjall::Result<()> {
        while self.keyspaces_of_writes().any(is_behind) {
            self.db.persist(PersistMode::Buffer)?;
            std::thread::sleep(FLUSH_PAUSE);
        }
        Ok(())
    }

    fn keyspaces_of_writes(&self) -> impl Iterator<Item = &Keyspace> {
        [&self.meta, &self.events, &self.summaries].into_iter().chain(&self.spaces).chain(&self.streams)
    }
}

/// Unpacks an entry; at some damage fjall panics.
pub(super) fn unpack(entry: fjall::Guard) -> fjall::Result<(UserKey, UserValue)> {
    catch_unwind(AssertUnwindSafe(|| entry.into_inner())).unwrap_or(Err(fjall::Error::Unrecoverable))
}

fn is_behind(keyspace: &Keyspace) -> bool {
    keyspace.sealed_memtable_count() > SEALED_MAX || keyspace.tree.l0_run_count() > RUNS_MAX
}

pub(super) fn start_key(stream: Stream) -> Vec<u8> {
    format!("{}.start", stream.name()).into_bytes()
}

fn base() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().manual_journal_persist(true)
}

/// Blocks lie in files of their own, so that compaction moves keys only; they are compressed already.
fn blocks_apart() -> KvSeparationOptions {
    KvSeparationOptions::default().compression(CompressionType::None)
}

fn try_array<T, const N: usize>(results: [fjall::Result<T>; N]) -> fjall::Result<[T; N]> {
    let values = results.into_iter().collect::<fjall::Result<Vec<T>>>()?;
    Ok(values.try_into().unwrap_or_else(|_| unreachable!("as many values as results")))
}

fn open_database(folder: &Path, options: &Options) -> Result<Database, StoreError> {
    let opened = Database::builder(folder)
        .cache_size(options.cache_bytes)
        .journal_compression(CompressionType::None)
        .manual_journal_persist(true)
        .max_journaling_size(LOG_BYTES_MAX)
        .worker_threads(WORKERS)
        .open();
    opened.map_err(|error| match error {
        fjall::Error::Locked => locked(folder),
        error => open_error(folder, &error),
    })
}

pub(super) fn open_error(folder: &Path, error: &fjall::Error) -> StoreError {
    if is_damage(error) { damage_of(folder, error.to_string()) } else { Cause::open(folder, error) }
}

/// Names the damaged file where one is found, and the folder where not.
fn damage_of(folder: &Path, reason: String) -> StoreError {
    let folder_is = || Cause::File { file: folder.display().to_string(), reason };
    manifest::check_all(folder).err().unwrap_or_else(|| folder_is().into())
}

/// Whether an error says that bytes are not what was written, rather than that the disk could not.
fn is_damage(error: &fjall::Error) -> bool {
    let of_io =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData);
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => of_io(error),
        fjall::Error::Poisoned | fjall::Error::KeyspaceDeleted | fjall::Error::Locked => false,
        _ => true,
    }
}

/// Removes what a crash may have left that fjall would not open. Holds fjall's lock meanwhile: nobody else writes.
fn prepare(folder: &Path) -> Result<(), StoreError> {
    let open_error = |error: io::Error| Cause::open(folder, &error);
    let path = folder.join("lock");
    let lock = File::options().create(true).truncate(false).write(true).open(path).map_err(open_error)?;
    for attempt in 1..=LOCK_ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(open_error(error)),
            Err(TryLockError::WouldBlock) if attempt == LOCK_ATTEMPTS => return Err(locked(folder)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
        }
    }
    check_marker(folder)?;
    salvage::check_logs(folder)?;
    manifest::check(folder)
}

fn locked(folder: &Path) -> StoreError {
    Cause::Locked { folder: folder.display().to_string() }.into()
}

/// Creates the folder, for its owner alone: what it holds is confidential.
fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Checks fjall's version marker, and removes the beginnings of a database whose creation was cut short.
///
/// fjall writes the marker before its first keyspace; a folder without the latter has never taken a write.
fn check_marker(folder: &Path) -> Result<(), StoreError> {
    let open_error = |error: io::Error| Cause::open(folder, &error);
    let path = folder.join("version");
    let found = read_marker(&path).map_err(open_error)?;
    if found.as_deref() == Some(&MARKER) {
        return Ok(());
    }
    if folder.join("keyspaces/0/current").try_exists().map_err(open_error)? {
        let reason = if found.is_some() { "is not the version marker" } else { "is missing" };
        let (file, reason) = (path.display().to_string(), reason.to_owned());
        return Err(Cause::File { file, reason }.into());
    }
    for begun in [path, folder.join("0.jnl")] {
        if begun.try_exists().map_err(open_error)? {
            tracing::warn!(file = %begun.display(), "clearing a store whose creation was cut short");
            std::fs::remove_file(&begun).map_err(open_error)?;
        }
    }
    Ok(())
}

/// Reads up to one byte more than a marker has.
fn read_marker(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut marker = Vec::new();
    #[allow(clippy::disallowed_methods)] // five bytes
    file.take(MARKER.len() as u64 + 1).read_to_end(&mut marker)?;
    Ok(Some(marker))
}
