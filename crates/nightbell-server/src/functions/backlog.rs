/*!
How many events wait for each function, and their bytes: an account in memory of what [`super::queue`] keeps on disk.

Counted at the start, before anybody is served, and kept with every event that comes and goes. One function's events leave room for
those of the others.
*/

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Events that may wait for one function before more are refused.
pub(crate) const EVENTS_WAITING_MAX: usize = 10_000;
/// Bytes of the events that may wait for one function.
pub(crate) const EVENT_BYTES_WAITING_MAX: u64 = 256 << 20;
/// Events that may wait for all functions together.
pub(crate) const ALL_EVENTS_WAITING_MAX: usize = 100_000;
/// Bytes of the events that may wait for all functions together.
pub(crate) const ALL_EVENT_BYTES_WAITING_MAX: u64 = 2 << 30;

const _: () =
    assert!(EVENTS_WAITING_MAX * 4 <= ALL_EVENTS_WAITING_MAX, "one function leaves room for others");
const _: () = assert!(EVENT_BYTES_WAITING_MAX * 4 <= ALL_EVENT_BYTES_WAITING_MAX, "so it does in bytes");

/// What is said where there is no room.
pub(crate) const FULL: &str = "as many events wait for functions as may";

/// A number of events and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    /// How many.
    pub(crate) events: usize,
    /// Bytes of what they say.
    pub(crate) bytes: u64,
}

#[derive(Debug, Default)]
struct Account {
    all: Amount,
    by_function: HashMap<String, Amount>,
}

/// The account.
#[derive(Debug, Default)]
pub(crate) struct Backlog(Mutex<Account>);

impl Backlog {
    /// Whether `more` may wait for the function `arn`. Where nothing waits, whatever comes at once may.
    pub(crate) fn has_room(&self, arn: &str, more: Amount) -> bool {
        let account = self.account();
        let fits = |held: Amount, events_max: usize, bytes_max: u64| {
            let is_within = held.events + more.events <= events_max && held.bytes + more.bytes <= bytes_max;
            is_within || held.events == 0
        };
        let of_function = account.by_function.get(arn).copied().unwrap_or_default();
        fits(of_function, EVENTS_WAITING_MAX, EVENT_BYTES_WAITING_MAX)
            && fits(account.all, ALL_EVENTS_WAITING_MAX, ALL_EVENT_BYTES_WAITING_MAX)
    }

    /// Counts an event of so many bytes for the function `arn`.
    pub(super) fn came(&self, arn: &str, bytes: u64) {
        let mut account = self.account();
        let of_function = match account.by_function.get_mut(arn) {
            Some(of_function) => of_function,
            None => account.by_function.entry(arn.to_owned()).or_default(),
        };
        of_function.events += 1;
        of_function.bytes += bytes;
        account.all.events += 1;
        account.all.bytes += bytes;
    }

    /// Takes an event out of the account.
    pub(super) fn left(&self, arn: &str, bytes: u64) {
        let mut account = self.account();
        // What was emptied meanwhile is not counted any more.
        let Some(of_function) = account.by_function.get_mut(arn) else { return };
        of_function.events = of_function.events.saturating_sub(1);
        of_function.bytes = of_function.bytes.saturating_sub(bytes);
        if of_function.events == 0 {
            account.by_function.remove(arn);
        }
        account.all.events = account.all.events.saturating_sub(1);
        account.all.bytes = account.all.bytes.saturating_sub(bytes);
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        *self.account() = Account::default();
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_function_leaves_room_for_the_others() {
        let backlog = Backlog::default();
        let one = Amount { events: 1, bytes: 9 };
        for _ in 0..EVENTS_WAITING_MAX {
            assert!(backlog.has_room("f", one));
            backlog.came("f", 9);
        }
        assert!(!backlog.has_room("f", one) && backlog.has_room("g", one));
        backlog.left("f", 9);
        assert!(backlog.has_room("f", one));
        backlog.left("g", 9);
        let all = backlog.account().all;
        assert_eq!(
            all,
            Amount { events: EVENTS_WAITING_MAX - 1, bytes: 9 * (EVENTS_WAITING_MAX as u64 - 1) }
        );
    }

    #[test]
    fn bytes_are_bounded_too() {
        let backlog = Backlog::default();
        backlog.came("f", EVENT_BYTES_WAITING_MAX - 5);
        assert!(backlog.has_room("f", Amount { events: 1, bytes: 5 }));
        assert!(!backlog.has_room("f", Amount { events: 1, bytes: 6 }));
        for function in ["g", "h", "i", "j", "k", "l"] {
            backlog.came(function, EVENT_BYTES_WAITING_MAX);
        }
        assert!(
            backlog.has_room("m", Amount { events: EVENTS_WAITING_MAX + 1, bytes: 6 }),
            "it has nothing yet"
        );
        backlog.came("m", EVENT_BYTES_WAITING_MAX);
        assert!(!backlog.has_room("n", Amount { events: 1, bytes: 6 }), "of all functions together");
        backlog.clear();
        assert!(backlog.has_room("f", Amount { events: EVENTS_WAITING_MAX, bytes: EVENT_BYTES_WAITING_MAX }));
    }
}
