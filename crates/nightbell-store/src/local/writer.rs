/*!
The way of batches to disk: a [`Queue`] that callers fill, and the thread that empties it.

The thread makes one block of all that waits, commits it with one sync, and answers everyone. While it syncs, the next
block gathers: the busier the store, the larger its blocks. When the disk has refused a write it tries it, at once and
then every second, and opens the engine anew when it can; the callers are refused until that succeeds.
*/

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightbell_core::event::Batch;
use tokio::sync::oneshot;

use super::Inner;
use crate::catalog::Durability;
use crate::codec::{self, BlockEncoder};
use crate::error::Cause;
use crate::journal::{Block, Summary};
use crate::{Position, StoreError};

/// Bytes at which a block is full; a single larger batch makes a block of its own.
const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// The pause between attempts to write after a refusal, and between looks at a folder at its limit.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What becomes of an append.
pub(super) type Answer = Result<Position, StoreError>;

/// Batches that wait for the writer.
pub(super) struct Queue {
    bytes_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Bytes that wait or are being written.
    bytes: usize,
    /// Set while the engine takes no writes.
    refused: Option<StoreError>,
    closed: bool,
}

struct Waiting {
    batch: Batch,
    bytes: usize,
    answer: oneshot::Sender<Answer>,
}

/// What the thread is to do next.
enum Work {
    Store(Vec<Waiting>),
    Reopen,
    /// The folder is at its limit: files may have gone meanwhile.
    Measure,
    End,
}

impl Queue {
    /// An empty queue that holds up to `bytes_max` bytes, or one batch.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Queues a batch of `bytes` bytes; the receiver hears when it is on disk.
    ///
    /// # Errors
    ///
    /// `Throttled` when the queue is full; `Unavailable` while the disk refuses. Nothing is queued then. `None` when the
    /// queue is closed.
    pub(super) fn push(
        &self,
        batch: Batch,
        bytes: usize,
    ) -> Result<Option<oneshot::Receiver<Answer>>, StoreError> {
        let mut state = self.state();
        if state.closed {
            return Ok(None);
        }
        if let Some(refused) = &state.refused {
            return Err(refused.clone());
        }
        if state.bytes > 0 && state.bytes + bytes > self.bytes_max {
            return Err(Cause::Pending { bytes: state.bytes, bytes_max: self.bytes_max }.into());
        }
        let (answer, answered) = oneshot::channel();
        state.bytes += bytes;
        state.waiting.push_back(Waiting { batch, bytes, answer });
        drop(state);
        self.changed.notify_one();
        Ok(Some(answered))
    }

    /// Tells the thread that the engine takes no more writes.
    pub(super) fn refuse(&self, error: StoreError) {
        self.state().refused = Some(error);
        self.changed.notify_one();
    }

    /// Takes no more batches; the thread ends when those that wait are stored.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Waits for work; not for long when the folder is full.
    fn next(&self, is_full: bool) -> Work {
        let mut state = self.state();
        loop {
            if state.refused.is_some() {
                state.answer_refused();
                return if state.closed { Work::End } else { Work::Reopen };
            }
            if !state.waiting.is_empty() {
                return Work::Store(state.take_block());
            }
            if state.closed {
                return Work::End;
            }
            if is_full {
                let waited =
                    self.changed.wait_timeout(state, RETRY_PAUSE).unwrap_or_else(PoisonError::into_inner);
                state = waited.0;
                if waited.1.timed_out() {
                    return Work::Measure;
                }
                continue;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Why the engine takes no writes now.
    pub(super) fn refused(&self) -> Option<StoreError> {
        self.state().refused.clone()
    }

    /// Lets others take the place of bytes that are written or failed.
    fn release(&self, bytes: usize) {
        self.state().bytes -= bytes;
    }

    /// Takes batches again.
    fn accept(&self) {
        self.state().refused = None;
    }

    /// Waits a while before the next attempt, or until the queue is closed.
    fn pause(&self) {
        let state = self.state();
        let waited = self.changed.wait_timeout_while(state, RETRY_PAUSE, |state| !state.closed);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// A panic cannot leave the state half changed: nothing between its changes panics.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes what fits into a block, at least one batch.
    fn take_block(&mut self) -> Vec<Waiting> {
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            bytes += waiting.bytes;
            bytes <= BLOCK_BYTES
        };
        let count = self.waiting.iter().take_while(fits).count().max(1);
        self.waiting.drain(..count).collect()
    }

    fn answer_refused(&mut self) {
        let Some(refused) = self.refused.clone() else { return };
        for waiting in self.waiting.drain(..) {
            self.bytes -= waiting.bytes;
            let _ = waiting.answer.send(Err(refused.clone()));
        }
    }
}

/// Stores batches until the queue is closed.
pub(super) fn run(store: &Inner, mut encoder: BlockEncoder) {
    let _ended = CloseOnExit(&store.queue);
    loop {
        match store.queue.next(store.usage.is_full()) {
            Work::Store(waiting) => store_block(store, &mut encoder, waiting),
            Work::Reopen => reopen(store),
            Work::Measure => store.usage.measure(),
            Work::End => return,
        }
    }
}

/// Whatever ends the thread, nobody waits for it any more.
struct CloseOnExit<'a>(&'a Queue);

impl Drop for CloseOnExit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        state.waiting.clear();
    }
}

fn store_block(store: &Inner, encoder: &mut BlockEncoder, waiting: Vec<Waiting>) {
    let bytes = waiting.iter().map(|waiting| waiting.bytes).sum();
    let (batches, answers): (Vec<_>, Vec<_>) =
        waiting.into_iter().map(|waiting| (waiting.batch, waiting.answer)).unzip();
    let block = Arc::new(Block { position: store.tail.end(), batches });
    let stored = write(store, encoder, &block).map(|()| block.position);
    let left = match &stored {
        Ok(_) => store.tail.push(block, bytes),
        Err(error) => {
            tracing::error!(%error, "events could not be stored");
            store.queue.refuse(error.clone());
            Vec::new()
        }
    };
    store.queue.release(bytes);
    for answer in answers {
        let _ = answer.send(stored.clone()); // the caller may have gone
    }
    drop(left); // its events are freed while the callers go on
}

fn write(store: &Inner, encoder: &mut BlockEncoder, block: &Block) -> Result<(), StoreError> {
    let refused = |error: String| Cause::refused(store.disk.folder(), &error);
    let value = encoder.encode(block).map_err(refused)?;
    let summary = codec::encode_summary(&Summary::of(block)).map_err(refused)?;
    let bytes = value.len() + summary.len();
    store.disk.with(|engine| {
        let mut batch = engine.batch(Durability::Disk);
        batch.insert(&engine.events, block.position.key(), value);
        batch.insert(&engine.summaries, block.position.key(), summary);
        store.disk.commit(engine, batch)
    })?;
    store.usage.add(bytes as u64);
    Ok(())
}

fn reopen(store: &Inner) {
    // The engine that refused a write still reads; it is let go only for one that can write.
    match store.disk.probe().and_then(|()| store.reopen()) {
        Ok(()) => {
            tracing::info!(folder = %store.disk.folder().display(), "store takes writes again");
            store.queue.accept();
        }
        Err(error) => {
            tracing::error!(%error, "store cannot be opened again yet");
            store.queue.pause();
        }
    }
}

#[cfg(test)]
mod tests {
    use nightbell_core::event::Group;

    use super::*;
    use crate::Kind;

    fn batch(stream: &str) -> Batch {
        let group = Group { region: String::new(), name: String::new() };
        Batch { group, stream: stream.to_owned(), arrival: Default::default(), events: Vec::new() }
    }

    fn push(queue: &Queue, bytes: usize) -> Result<oneshot::Receiver<Answer>, StoreError> {
        queue.push(batch(""), bytes).map(|answered| answered.expect("open"))
    }

    #[test]
    fn a_full_queue_throttles_until_bytes_are_written() {
        let queue = Queue::new(100);
        let _first = push(&queue, 300).expect("one batch always fits");
        assert_eq!(push(&queue, 1).expect_err("full").kind(), Kind::Throttled);
        let Work::Store(taken) = queue.next(false) else { panic!("work") };
        assert_eq!(taken.len(), 1);
        assert_eq!(push(&queue, 1).expect_err("still being written").kind(), Kind::Throttled);
        queue.release(300);
        let _second = push(&queue, 60).expect("room");
        let _third = push(&queue, 40).expect("room");
        assert_eq!(push(&queue, 1).expect_err("full").kind(), Kind::Throttled);
    }

    #[test]
    fn blocks_are_cut_at_their_size_in_order() {
        let queue = Queue::new(usize::MAX);
        for (stream, bytes) in
            [("a", BLOCK_BYTES / 2), ("b", BLOCK_BYTES / 2), ("c", 2 * BLOCK_BYTES), ("d", 1)]
        {
            drop(queue.push(batch(stream), bytes).expect("room"));
        }
        let mut blocks = Vec::new();
        for _ in 0..3 {
            let Work::Store(taken) = queue.next(false) else { panic!("work") };
            blocks.push(taken.iter().map(|waiting| waiting.batch.stream.clone()).collect::<String>());
        }
        assert_eq!(blocks, ["ab", "c", "d"]);
    }

    #[test]
    fn a_refusal_answers_who_waits_and_who_comes() {
        let queue = Queue::new(100);
        let mut first = push(&queue, 10).expect("room");
        queue.refuse(Cause::refused(std::path::Path::new("/x"), &"full"));
        assert!(matches!(queue.next(false), Work::Reopen));
        assert_eq!(first.try_recv().expect("answered").expect_err("refused").kind(), Kind::Unavailable);
        assert_eq!(push(&queue, 10).expect_err("refused").kind(), Kind::Unavailable);
        queue.accept();
        let _second = push(&queue, 100).expect("bytes of the refused are free");
    }

    #[test]
    fn a_closed_queue_ends_after_its_work() {
        let queue = Queue::new(100);
        let _first = push(&queue, 10).expect("room");
        queue.close();
        assert!(queue.push(batch(""), 1).expect("no error").is_none());
        assert!(matches!(queue.next(false), Work::Store(_)));
        assert!(matches!(queue.next(false), Work::End));
    }
}
