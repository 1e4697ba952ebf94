/*!
[`MemoryStore`]: the store without a disk, for tests and trials.

Keeps the order, the atomicity and the errors of the other backends; what is durable elsewhere lasts as long as the
value here. Never throttles.
*/

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nightbell_core::event::Batch;
use tokio::sync::watch;

use crate::catalog::{Catalog, Durability, Entry, Scan, Space, Stream, Write};
use crate::error::Cause;
use crate::journal::{self, Appending, Block, Journal, SUMMARIES_MAX, Summary};
use crate::{Position, StoreError};

/// A store that lives as long as the value.
pub struct MemoryStore {
    state: Mutex<State>,
    events_end: watch::Sender<Position>,
    stream_ends: [watch::Sender<Position>; Stream::ALL.len()],
}

#[derive(Default)]
struct State {
    blocks: BTreeMap<Position, Arc<Block>>,
    spaces: [BTreeMap<Vec<u8>, Vec<u8>>; Space::ALL.len()],
    streams: [BTreeMap<Position, Vec<u8>>; Stream::ALL.len()],
    events_start: Position,
    stream_starts: [Position; Stream::ALL.len()],
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            events_end: watch::Sender::new(Position::FIRST),
            stream_ends: std::array::from_fn(|_| watch::Sender::new(Position::FIRST)),
        }
    }

    /// The state; a caller that panicked cannot have left it half changed, because changes happen after all checks.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, batch: Batch) -> Result<Position, StoreError> {
        journal::check(&batch)?;
        let mut state = self.state();
        let position = *self.events_end.borrow();
        state.blocks.insert(position, Arc::new(Block { position, batches: vec![batch] }));
        self.events_end.send_replace(position.next());
        Ok(position)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Journal for MemoryStore {
    fn append(&self, batch: Batch) -> Appending {
        let stored = self.store(batch);
        Box::pin(std::future::ready(stored))
    }

    fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Block>>, StoreError> {
        let mut bytes = 0;
        let mut blocks = Vec::new();
        for block in self.state().blocks.range(from..).map(|(_, block)| block) {
            bytes += block.bytes();
            if bytes > bytes_max && !blocks.is_empty() {
                break;
            }
            blocks.push(Arc::clone(block));
        }
        Ok(blocks)
    }

    fn summaries(&self, from: Position, to: Position, limit: usize) -> Result<Vec<Summary>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let state = self.state();
        let blocks = state.blocks.range(from..to).take(limit.min(SUMMARIES_MAX));
        Ok(blocks.map(|(_, block)| Summary::of(block)).collect())
    }

    fn start(&self) -> Position {
        self.state().events_start
    }

    fn end(&self) -> watch::Receiver<Position> {
        self.events_end.subscribe()
    }

    fn trim(&self, before: Position) -> Result<(), StoreError> {
        let mut state = self.state();
        let before = before.min(*self.events_end.borrow());
        state.blocks = state.blocks.split_off(&before);
        state.events_start = state.events_start.max(before);
        Ok(())
    }
}

impl Catalog for MemoryStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().spaces[space as usize].get(key).cloned())
    }

    fn scan(&self, space: Space, scan: &Scan) -> Result<Vec<Entry>, StoreError> {
        scan.check(space)?;
        let Some(bounds) = scan.bounds() else { return Ok(Vec::new()) };
        let state = self.state();
        let entries = state.spaces[space as usize].range::<[u8], _>(bounds);
        scan.collect(space, entries.map(|(key, value)| Ok((key.clone(), value.clone()))))
    }

    fn commit(&self, write: Write, _durability: Durability) -> Result<Vec<Position>, StoreError> {
        write.check()?;
        let mut state = self.state();
        for held in &write.expectations {
            if state.spaces[held.space as usize].get(&held.key) != held.value.as_ref() {
                return Err(Cause::expectation(held.space));
            }
        }
        for ((space, key), value) in write.changes {
            let space = &mut state.spaces[space as usize];
            match value {
                Some(value) => space.insert(key, value),
                None => space.remove(&key),
            };
        }
        let mut ends = self.stream_ends.each_ref().map(|end| *end.borrow());
        let mut positions = Vec::with_capacity(write.pushes.len());
        for (stream, entry) in write.pushes {
            let end = &mut ends[stream as usize];
            state.streams[stream as usize].insert(*end, entry);
            positions.push(*end);
            *end = end.next();
        }
        for (sender, end) in self.stream_ends.iter().zip(ends) {
            sender.send_if_modified(|old| std::mem::replace(old, end) != end);
        }
        Ok(positions)
    }

    fn read_stream(
        &self,
        stream: Stream,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
        let mut bytes = 0;
        let mut entries = Vec::new();
        for (position, entry) in self.state().streams[stream as usize].range(from..) {
            bytes += entry.len();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push((*position, entry.clone()));
        }
        Ok(entries)
    }

    fn stream_start(&self, stream: Stream) -> Position {
        self.state().stream_starts[stream as usize]
    }

    fn stream_end(&self, stream: Stream) -> watch::Receiver<Position> {
        self.stream_ends[stream as usize].subscribe()
    }

    fn trim_stream(&self, stream: Stream, before: Position) -> Result<(), StoreError> {
        let mut state = self.state();
        let before = before.min(*self.stream_ends[stream as usize].borrow());
        let entries = &mut state.streams[stream as usize];
        *entries = entries.split_off(&before);
        let start = &mut state.stream_starts[stream as usize];
        *start = before.max(*start);
        Ok(())
    }
}
