/*!
The archiver's work killed between any two of its writes, and object storage or catalog that refuse for a while: files,
summaries, the chain's document, the commit, the journal's trim, merges, removals and sweeps.

Whatever happens, each event is found exactly once, in the archive up to the border or in the journal behind it, and the
archive proves itself.
*/

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use nightbell_store::archive::{Archive, Change, Depth, Removal, mergeable};
use nightbell_store::{
    Block, Catalog, Durability, Entry, Journal, MemoryStore, Position, Scan, Space, StoreError, Stream, Write,
};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
};
use tokio::sync::watch;

use crate::sample::{READER, Read, block, expected, group, read_all, seconds, wait};

/// Rounds of the archiver; each has new events.
const ROUNDS: u64 = 4;
/// Blocks that come in before each round.
const BLOCKS: u64 = 3;
/// The round in which the files of one group are removed.
const REMOVING: u64 = 2;
/// Blocks that one step takes.
const STEP_BLOCKS: usize = 2;
/// How long a refusal lasts, in calls, and whether the first refused call was carried out all the same.
const REFUSALS: [(usize, bool); 3] = [(1, false), (1, true), (5, false)];

/// Lets writes through until one of them, and then refuses some calls.
struct Fuse {
    calls: AtomicUsize,
    first: usize,
    length: usize,
    /// The first refused call is carried out: only its answer is lost.
    lost: bool,
}

#[derive(PartialEq, Eq)]
enum Passing {
    Through,
    Refused,
    Lost,
}

impl Fuse {
    const fn new(first: usize, length: usize, lost: bool) -> Self {
        Self { calls: AtomicUsize::new(0), first, length, lost }
    }

    /// A process that dies before its write numbered `first`.
    const fn kill(first: usize) -> Self {
        Self::new(first, usize::MAX, false)
    }

    fn write(&self) -> Passing {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match call.checked_sub(self.first) {
            Some(0) if self.lost => Passing::Lost,
            Some(behind) if behind < self.length => Passing::Refused,
            _ => Passing::Through,
        }
    }

    /// Reads are refused as long as writes are, and count only then.
    fn read(&self) -> Passing {
        let behind = self.calls.load(Ordering::Relaxed).checked_sub(self.first);
        if behind.is_some_and(|behind| behind > 0 && behind < self.length) {
            return self.write();
        }
        Passing::Through
    }
}

/// Objects behind a fuse.
struct Objects {
    inner: Arc<InMemory>,
    fuse: Arc<Fuse>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects behind a fuse")
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

fn refusal() -> object_store::Error {
    object_store::Error::Generic { store: "fuse", source: "object storage is away".into() }
}

#[async_trait::async_trait]
impl ObjectStore for Objects {
    async fn put_opts(&self, path: &Path, bytes: PutPayload, options: PutOptions) -> StoreResult<PutResult> {
        let passing = self.fuse.write();
        if passing == Passing::Refused {
            return Err(refusal());
        }
        let put = self.inner.put_opts(path, bytes, options).await;
        if passing == Passing::Lost { Err(refusal()) } else { put }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> StoreResult<GetResult> {
        match self.fuse.read() {
            Passing::Through => self.inner.get_opts(path, options).await,
            Passing::Refused | Passing::Lost => Err(refusal()),
        }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        let (inner, fuse) = (Arc::clone(&self.inner), Arc::clone(&self.fuse));
        let delete = move |path: StoreResult<Path>| {
            let (inner, fuse) = (Arc::clone(&inner), Arc::clone(&fuse));
            async move {
                let (path, passing) = (path?, fuse.write());
                if passing == Passing::Refused {
                    return Err(refusal());
                }
                let one = futures::stream::once(std::future::ready(Ok(path.clone()))).boxed();
                inner.delete_stream(one).try_collect::<Vec<_>>().await?;
                if passing == Passing::Lost { Err(refusal()) } else { Ok(path) }
            }
        };
        paths.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        match self.fuse.read() {
            Passing::Through => self.inner.list(prefix),
            Passing::Refused | Passing::Lost => {
                futures::stream::once(std::future::ready(Err(refusal()))).boxed()
            }
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A store behind a fuse.
struct Store {
    inner: Arc<MemoryStore>,
    fuse: Arc<Fuse>,
}

impl Store {
    fn guarded<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let passing = self.fuse.write();
        if passing == Passing::Refused {
            return Err(away());
        }
        let done = write();
        if passing == Passing::Lost { Err(away()) } else { done }
    }
}

/// The error of a disk that refuses.
fn away() -> StoreError {
    let store: Arc<dyn ObjectStore> =
        Arc::new(Objects { inner: Arc::new(InMemory::new()), fuse: Arc::new(Fuse::kill(0)) });
    let catalog = Arc::new(MemoryStore::new());
    let archive = Archive::open(store, catalog);
    let one = [block(0, "a", "s", 0, &["1"])];
    futures::executor::block_on(archive.write(&one, &READER, seconds(0))).unwrap_err()
}

impl Catalog for Store {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(space, key)
    }

    fn scan(&self, space: Space, scan: &Scan) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan(space, scan)
    }

    fn commit(&self, write: Write, durability: Durability) -> Result<Vec<Position>, StoreError> {
        self.guarded(|| self.inner.commit(write, durability))
    }

    fn read_stream(
        &self,
        stream: Stream,
        from: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
        self.inner.read_stream(stream, from, limit)
    }

    fn stream_start(&self, stream: Stream) -> Position {
        self.inner.stream_start(stream)
    }

    fn stream_end(&self, stream: Stream) -> watch::Receiver<Position> {
        self.inner.stream_end(stream)
    }

    fn trim_stream(&self, stream: Stream, before: Position) -> Result<(), StoreError> {
        self.inner.trim_stream(stream, before)
    }
}

/// What outlives a process.
#[derive(Default)]
struct Machine {
    objects: Arc<InMemory>,
    store: Arc<MemoryStore>,
    blocks: Vec<Arc<Block>>,
}

impl Machine {
    /// The events that come in before a round; once, however often it is begun.
    async fn receive(&mut self, round: u64) {
        for at in self.blocks.len() as u64..BLOCKS * (round + 1) {
            // Each block lies in two hours.
            let name = if at.is_multiple_of(3) { "b" } else { "a" };
            let messages = [format!("{at} one"), format!("{at} two"), format!("{at} three")];
            let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
            let block = block(at, name, "s", 3_599, &messages);
            self.store.append(block.batches[0].clone()).await.unwrap();
            self.blocks.push(block);
        }
    }

    fn process(&self, fuse: Fuse) -> Process {
        let fuse = Arc::new(fuse);
        let store = Arc::new(Store { inner: Arc::clone(&self.store), fuse: Arc::clone(&fuse) });
        let objects = Arc::new(Objects { inner: Arc::clone(&self.objects), fuse: Arc::clone(&fuse) });
        Process { archive: Archive::open(objects, Arc::clone(&store) as Arc<dyn Catalog>), store, fuse }
    }

    /// What is wrong for somebody who looks now, with calls that nothing refuses.
    async fn check(&self) -> Result<(), String> {
        let archive = self.process(Fuse::kill(usize::MAX)).archive;
        let found = archive.verify(None, Depth::Events, &mut |_| ()).await.unwrap();
        if !found.is_sound() {
            return Err(format!("not sound: {:?}", found.findings));
        }
        let border = archive.head().unwrap().archived;
        if self.store.start() > border {
            return Err(format!("trimmed to {} and archived to {border}", self.store.start()));
        }
        let mut seen = read_all(&archive).await;
        seen.extend(expected(&self.store.read(border, usize::MAX).unwrap()));
        seen.sort();
        let of = |events: &[Read], name: &str| -> Vec<Read> {
            events.iter().filter(|event| event.group == name).cloned().collect()
        };
        let all = expected(&self.blocks);
        if of(&seen, "a") != of(&all, "a") {
            return Err(format!("not each event once: {seen:?}"));
        }
        // Of the other group some were removed, files as a whole; nothing of it comes twice or from nowhere.
        let (removed, known) = (of(&seen, "b"), of(&all, "b").into_iter().collect::<BTreeSet<_>>());
        let distinct: BTreeSet<Read> = removed.iter().cloned().collect();
        if distinct.len() != removed.len() || !distinct.is_subset(&known) {
            return Err(format!("removed events come back: {removed:?}"));
        }
        Ok(())
    }

    /// What is wrong with what lies there when all is done.
    async fn check_end(&self) -> Result<(), String> {
        self.check().await?;
        let archive = self.process(Fuse::kill(usize::MAX)).archive;
        let objects = self.objects.list(None).try_collect::<Vec<_>>().await.unwrap().len() as u64;
        let (head, files) = (archive.head().unwrap(), archive.all_files().unwrap());
        let wanted = head.next + 2 * files.len() as u64;
        let removed = files.iter().filter(|file| file.group == group("b")).count();
        let rest = (self.store.start(), objects, removed);
        let right = (Position::new(BLOCKS * ROUNDS), wanted, 2);
        if rest == right { Ok(()) } else { Err(format!("journal, objects, files: {rest:?}, not {right:?}")) }
    }
}

/// A process that does the archiver's work.
struct Process {
    archive: Archive,
    store: Arc<Store>,
    fuse: Arc<Fuse>,
}

impl Process {
    /// A round of the archiver; begun again it does what is left.
    async fn round(&self, round: u64) -> Result<(), StoreError> {
        let now = seconds(10_000 * (round as i64 + 1));
        loop {
            let from = self.archive.head()?.archived;
            let mut blocks = self.store.inner.read(from, usize::MAX)?;
            blocks.truncate(STEP_BLOCKS);
            let Some(change) = self.archive.write(&blocks, &READER, now).await? else { break };
            self.commit(&change)?;
        }
        let archived = self.archive.head()?.archived;
        self.store.guarded(|| self.store.inner.trim(archived))?;
        if round == REMOVING {
            let files = self.archive.files_of(&group("b"))?;
            if let Some(change) = self.archive.remove(files, Removal::Retention, now).await? {
                self.commit(&change)?;
            }
        }
        for set in mergeable(self.archive.all_files()?, 2) {
            if let Some(change) = self.archive.merge(set, &READER, now).await? {
                self.commit(&change)?;
            }
        }
        self.archive.sweep(now).await?;
        Ok(())
    }

    fn commit(&self, change: &Change) -> Result<(), StoreError> {
        let mut write = Write::new();
        change.commit(&mut write);
        self.store.commit(write, Durability::Disk).map(drop)
    }
}

/// Does all rounds without trouble; how many writes they are.
async fn writes() -> usize {
    let mut machine = Machine::default();
    let process = machine.process(Fuse::kill(usize::MAX));
    for round in 0..ROUNDS {
        machine.receive(round).await;
        process.round(round).await.unwrap();
    }
    machine.check_end().await.unwrap();
    process.fuse.calls.load(Ordering::Relaxed)
}

/// Tries each of `all`, on all cores.
fn each<T: fmt::Debug + Send + Sync>(all: &[T], run: impl Fn(&T) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(one).unwrap_or_else(|told| panic!("{one:?}: {told}"));
                }
            });
        }
    });
}

#[test]
fn a_kill_between_any_two_writes_loses_and_doubles_nothing() {
    let writes = wait(writes());
    println!("{writes} writes");
    assert!(writes > 60, "{writes}");
    let points: Vec<usize> = (0..writes).collect();
    each(&points, |&point| wait(killed(point)));
}

/// Kills a process before a write, then the one that recovers after each of its writes, and lets the next one end the work.
async fn killed(point: usize) -> Result<(), String> {
    let mut machine = Machine::default();
    let process = machine.process(Fuse::kill(point));
    let mut round = 0;
    loop {
        machine.receive(round).await;
        if process.round(round).await.is_err() {
            break;
        }
        round += 1;
    }
    machine.check().await.map_err(|told| format!("after the kill: {told}"))?;
    while machine.process(Fuse::kill(1)).archive.recover().await.is_err() {
        machine.check().await.map_err(|told| format!("while recovering: {told}"))?;
    }
    machine.check().await.map_err(|told| format!("recovered: {told}"))?;
    let next = machine.process(Fuse::kill(usize::MAX));
    for round in round..ROUNDS {
        machine.receive(round).await;
        next.round(round).await.map_err(|error| error.to_string())?;
    }
    machine.check_end().await
}

#[test]
fn storage_that_refuses_for_a_while_loses_and_doubles_nothing() {
    let writes = wait(writes());
    let faults: Vec<(usize, usize, bool)> =
        (0..writes).flat_map(|first| REFUSALS.map(|(length, lost)| (first, length, lost))).collect();
    each(&faults, |&(first, length, lost)| wait(refused(Fuse::new(first, length, lost))));
}

/// Lets the process go on: after each failure it recovers, as soon as it is let, and begins the round again.
async fn refused(fuse: Fuse) -> Result<(), String> {
    let mut machine = Machine::default();
    let process = machine.process(fuse);
    for round in 0..ROUNDS {
        machine.receive(round).await;
        while process.round(round).await.is_err() {
            machine.check().await.map_err(|told| format!("refused: {told}"))?;
            while process.archive.recover().await.is_err() {}
            machine.check().await.map_err(|told| format!("recovered: {told}"))?;
        }
    }
    machine.check_end().await
}

/// What the checks above are worth: a process that goes on without recovering is found out.
#[test]
fn what_is_not_recovered_is_seen() {
    let unsound = wait(async {
        let writes = writes().await;
        for first in 0..writes {
            let mut machine = Machine::default();
            let process = machine.process(Fuse::new(first, 1, false));
            for round in 0..ROUNDS {
                machine.receive(round).await;
                let _ = process.round(round).await;
            }
            if machine.check_end().await.is_err() {
                return true;
            }
        }
        false
    });
    assert!(unsound);
}
