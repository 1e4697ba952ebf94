/*!
[`Shown`]: what was shown last, so that after a session was lost what came meanwhile is shown, and nothing twice.

Goes by the server's arrival times. Arrivals are in order but for moments, hence [`OVERLAP_MS`].
*/

use std::collections::{HashMap, VecDeque};

use super::Event;
use super::history::digest;

/// How much older than its arrival an event may be to be found after a gap.
pub(super) const LATE_MS: i64 = 300_000;
/// How far arrivals may be out of order.
const OVERLAP_MS: i64 = 10_000;
/// Events that are remembered; past it one that was shown just before a gap may be shown again.
const SHOWN_MAX: usize = 100_000;

/// What was shown last.
pub(super) struct Shown {
    /// What arrived before was shown, or need not be.
    from: i64,
    recent: VecDeque<(i64, u64)>,
    /// A gap that is not closed yet begins at `from`.
    is_open: bool,
}

/// What is left to be shown of a gap.
pub(super) struct Gap {
    from: i64,
    shown: HashMap<u64, u32>,
}

impl Shown {
    /// Nothing was shown; what arrived before `begun` need not be.
    pub(super) fn since(begun: i64) -> Self {
        Self { from: begun, recent: VecDeque::new(), is_open: false }
    }

    /// Notes an event that is shown.
    pub(super) fn note(&mut self, event: &Event) {
        if event.arrival < self.from {
            return;
        }
        self.recent.push_back((event.arrival, digest(event)));
        if !self.is_open {
            self.from = self.from.max(event.arrival.saturating_sub(OVERLAP_MS));
        }
        let is_old = |(arrival, _): &(i64, u64)| *arrival < self.from;
        while self.recent.len() > SHOWN_MAX || self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
    }

    /// The gap behind what was shown; it stays one until [`Shown::closed`].
    pub(super) fn gap(&mut self) -> Gap {
        self.is_open = true;
        let mut shown = HashMap::new();
        for (_, digest) in self.recent.iter().filter(|(arrival, _)| *arrival >= self.from) {
            *shown.entry(*digest).or_default() += 1;
        }
        Gap { from: self.from, shown }
    }

    /// All of the gap was shown.
    pub(super) fn closed(&mut self) {
        self.is_open = false;
    }
}

impl Gap {
    /// The event time from which on it is looked for.
    pub(super) fn since(&self) -> i64 {
        self.from.saturating_sub(LATE_MS)
    }

    /// Whether a stored event came in the gap and was not shown.
    pub(super) fn holds(&mut self, event: &Event) -> bool {
        if event.arrival < self.from {
            return false;
        }
        match self.shown.get_mut(&digest(event)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str, arrival: i64) -> Event {
        Event { group: "g".into(), stream: "s".into(), time: 5, arrival, message: message.into() }
    }

    #[test]
    fn a_gap_holds_what_was_not_shown_each_once() {
        let mut shown = Shown::since(1_000_000);
        for (message, arrival) in [("a", 1_000_001), ("b", 1_030_000), ("b", 1_030_000), ("c", 1_029_000)] {
            shown.note(&event(message, arrival));
        }
        let mut gap = shown.gap();
        assert_eq!(gap.since(), 1_020_000 - LATE_MS);
        let stored = [
            ("a", 1_000_001, false),
            ("b", 1_030_000, false),
            ("b", 1_030_000, false),
            ("b", 1_030_000, true),
            ("c", 1_029_000, false),
            ("out of order", 1_029_500, true),
            ("late", 1_040_000, true),
            ("long before", 1_019_000, false),
        ];
        for (message, arrival, expected) in stored {
            assert_eq!(gap.holds(&event(message, arrival)), expected, "{message}");
        }
    }

    #[test]
    fn a_gap_that_was_shown_in_part_begins_where_it_began() {
        let mut shown = Shown::since(0);
        shown.note(&event("a", 20_000));
        let _ = shown.gap();
        shown.note(&event("b", 90_000)); // stored events come by event time, not by arrival
        let mut gap = shown.gap();
        assert!(gap.holds(&event("c", 30_000)));
        assert!(!gap.holds(&event("b", 90_000)));
        shown.closed();
        shown.note(&event("d", 95_000));
        assert!(!shown.gap().holds(&event("c", 30_000)));
    }

    #[test]
    fn before_anything_was_shown_the_gap_begins_with_the_first_session() {
        let mut gap = Shown::since(1_000).gap();
        assert!(!gap.holds(&event("before", 999)));
        assert!(gap.holds(&event("after", 1_000)));
    }
}
