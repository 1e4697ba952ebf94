/*!
[`Tail`]: the newest blocks, unpacked, so that readers at the head of the stream touch no disk.

Filled by the writer in order of positions; knows nothing of the disk.
*/

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use crate::Position;
use crate::journal::Block;

/// The newest blocks at consecutive positions up to the end of the stream.
pub(super) struct Tail {
    bytes_max: usize,
    state: RwLock<State>,
    end: watch::Sender<Position>,
}

#[derive(Default)]
struct State {
    blocks: VecDeque<(Arc<Block>, usize)>,
    bytes: usize,
}

impl Tail {
    /// An empty tail of a stream that ends at `end`.
    pub(super) fn new(bytes_max: usize, end: Position) -> Self {
        Self { bytes_max, state: RwLock::default(), end: watch::Sender::new(end) }
    }

    /// The end of the stream.
    pub(super) fn end(&self) -> Position {
        *self.end.borrow()
    }

    /// Follows the end of the stream.
    pub(super) fn subscribe(&self) -> watch::Receiver<Position> {
        self.end.subscribe()
    }

    /// Adds the block at the end, then tells who follows; returns the old ones that leave, for letting go when nobody waits.
    #[must_use = "freeing the events of a block takes a while"]
    pub(super) fn push(&self, block: Arc<Block>, bytes: usize) -> Vec<Arc<Block>> {
        let end = block.position.next();
        let mut left = Vec::new();
        {
            let mut state = self.write();
            state.blocks.push_back((block, bytes));
            state.bytes += bytes;
            while state.bytes > self.bytes_max
                && let Some(old) = state.pop()
            {
                left.push(old);
            }
        }
        self.end.send_replace(end);
        left
    }

    /// Lets the blocks before `before` go.
    pub(super) fn trim(&self, before: Position) {
        let mut state = self.write();
        while state.blocks.front().is_some_and(|(block, _)| block.position < before) && state.pop().is_some()
        {
        }
    }

    /// Forgets everything; the stream ends at `end`.
    pub(super) fn reset(&self, end: Position) {
        *self.write() = State::default();
        self.end.send_if_modified(|old| std::mem::replace(old, end) != end);
    }

    /// The blocks from `from` on, up to about `bytes_max` bytes but at least one; nothing when `from` is older than the
    /// tail.
    pub(super) fn read(&self, from: Position, bytes_max: usize) -> Option<Vec<Arc<Block>>> {
        let state = self.read_state();
        let first = state.blocks.front()?.0.position;
        let skip = usize::try_from(from.number().checked_sub(first.number())?).ok()?;
        let mut bytes = 0;
        let mut blocks = Vec::new();
        for (block, block_bytes) in state.blocks.iter().skip(skip) {
            bytes += block_bytes;
            if bytes > bytes_max && !blocks.is_empty() {
                break;
            }
            blocks.push(Arc::clone(block));
        }
        Some(blocks)
    }

    /// A panic cannot leave the state half changed: nothing between its changes panics.
    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pop(&mut self) -> Option<Arc<Block>> {
        let (block, bytes) = self.blocks.pop_front()?;
        self.bytes -= bytes;
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(tail: &Tail, position: u64, bytes: usize) {
        let position = Position::new(position);
        drop(tail.push(Arc::new(Block { position, batches: Vec::new() }), bytes));
    }

    fn numbers(tail: &Tail, from: u64, bytes_max: usize) -> Option<Vec<u64>> {
        let blocks = tail.read(Position::new(from), bytes_max)?;
        Some(blocks.iter().map(|block| block.position.number()).collect())
    }

    #[test]
    fn holds_the_newest_blocks_within_its_bytes() {
        let tail = Tail::new(100, Position::new(5));
        assert_eq!(numbers(&tail, 5, 100), None);
        for position in 5..10 {
            push(&tail, position, 30);
        }
        assert_eq!(tail.end(), Position::new(10));
        assert_eq!(numbers(&tail, 6, 1_000), None);
        assert_eq!(numbers(&tail, 7, 1_000), Some(vec![7, 8, 9]));
        assert_eq!(numbers(&tail, 8, 60), Some(vec![8, 9]));
        assert_eq!(numbers(&tail, 7, 59), Some(vec![7]));
        assert_eq!(numbers(&tail, 8, 0), Some(vec![8]));
        assert_eq!(numbers(&tail, 10, 60), Some(vec![]));
        push(&tail, 10, 1_000);
        assert_eq!(numbers(&tail, 10, 1_000), None, "one block over the limit is not held");
    }

    #[test]
    fn trims_and_resets() {
        let tail = Tail::new(100, Position::FIRST);
        for position in 0..3 {
            push(&tail, position, 10);
        }
        tail.trim(Position::new(2));
        assert_eq!(numbers(&tail, 1, 100), None);
        assert_eq!(numbers(&tail, 2, 100), Some(vec![2]));
        tail.reset(Position::new(9));
        assert_eq!((tail.end(), numbers(&tail, 9, 100)), (Position::new(9), None));
    }
}
