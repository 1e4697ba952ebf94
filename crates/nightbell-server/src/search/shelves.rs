/*!
[`Shelves`]: where stored events are: in the archive up to a position, in the journal from there on.

The archiver moves the border; a search holds what it has planned to read until it is over. The lock is held for
moments: while the border is moved, and while a search looks where it is.
*/

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use nightbell_core::time::Timestamp;
use nightbell_store::Position;
use nightbell_store::archive::Archive;

/// The border between archive and journal, and who relies on it.
pub(crate) struct Shelves {
    archive: Archive,
    turn: Mutex<()>,
    border: RwLock<()>,
    holds: Arc<Mutex<Holds>>,
}

/// Who reads: how many from a position of the journal on, and since when.
type Holds = BTreeMap<(Position, Timestamp), usize>;

/// Keeps the journal from a position on, and the files of the archive, while it lives.
pub(crate) struct Hold {
    from: Position,
    since: Timestamp,
    holds: Arc<Mutex<Holds>>,
}

impl Shelves {
    /// Shelves with this archive.
    pub(crate) fn new(archive: Archive) -> Self {
        Self { archive, turn: Mutex::default(), border: RwLock::default(), holds: Arc::default() }
    }

    /// The archive.
    pub(crate) fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The turn to change the archive: one step at a time.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While this is held, the border does not move.
    pub(super) fn still(&self) -> RwLockReadGuard<'_, ()> {
        self.border.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// While this is held, nobody looks where the border is: it may be moved.
    pub(crate) fn moving(&self) -> RwLockWriteGuard<'_, ()> {
        self.border.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the journal from `from` on, and the files that are there at `now`.
    pub(crate) fn hold(&self, from: Position, now: Timestamp) -> Hold {
        *lock(&self.holds).entry((from, now)).or_default() += 1;
        Hold { from, since: now, holds: Arc::clone(&self.holds) }
    }

    /// The oldest position that somebody still reads.
    pub(crate) fn held_from(&self) -> Option<Position> {
        lock(&self.holds).first_key_value().map(|((from, _), _)| *from)
    }

    /// Since when the one reads who began first.
    pub(crate) fn held_since(&self) -> Option<Timestamp> {
        lock(&self.holds).keys().map(|(_, since)| *since).min()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut holds = lock(&self.holds);
        let key = (self.from, self.since);
        if let Some(count) = holds.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                holds.remove(&key);
            }
        }
    }
}

/// A panic elsewhere leaves whole numbers.
fn lock(holds: &Mutex<Holds>) -> MutexGuard<'_, Holds> {
    holds.lock().unwrap_or_else(PoisonError::into_inner)
}
