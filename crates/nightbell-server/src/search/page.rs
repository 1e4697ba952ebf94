/*!
[`Page`]: the events of one page of an answer, the nearest to its beginning, within limits of number and bytes.

Of what is stored only a page's worth is held, so memory does not grow with it. What did not fit becomes a bound, and
nothing beyond the bound is read any more.
*/

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nightbell_core::pattern::Pattern;
use nightbell_core::pattern::facts::Facts;
use nightbell_core::time::Timestamp;

use super::{Over, Place, Stored, Taker};
use crate::admission::EVENT_OVERHEAD_BYTES;

/// What a page is to hold.
pub(crate) struct Wanted {
    /// What events must match; all do without.
    pub(crate) pattern: Option<Pattern>,
    /// First event time, inclusive, in milliseconds.
    pub(crate) from: i64,
    /// Last event time, inclusive, in milliseconds.
    pub(crate) to: i64,
    /// Only places after this one (or before it, going backwards).
    pub(crate) beyond: Option<Place>,
    /// From the newest to the oldest.
    pub(crate) backwards: bool,
    /// Most events.
    pub(crate) events_max: usize,
    /// Most bytes of messages; one event always fits.
    pub(crate) bytes_max: usize,
}

/// An event found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its log stream.
    pub(crate) stream: String,
    /// Its message.
    pub(crate) message: String,
    /// When it arrived.
    pub(crate) arrival: Timestamp,
}

/// A page while it is gathered.
pub(crate) struct Page {
    wanted: Wanted,
    gathered: Mutex<Gathered>,
}

/// The nearest events so far.
#[derive(Default)]
pub(crate) struct Gathered {
    /// By place.
    pub(crate) events: BTreeMap<Place, Found>,
    bytes: usize,
    /// The nearest place that did not fit: nothing from there on belongs to this page.
    pub(crate) bound: Option<Place>,
}

impl Page {
    /// An empty page.
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self { wanted, gathered: Mutex::default() }
    }

    /// What was gathered; the page is empty afterwards.
    pub(crate) fn take_gathered(&self) -> Gathered {
        std::mem::take(&mut *self.gathered())
    }

    /// A panic cannot leave it half changed in a way that matters: its search ends.
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taker for Page {
    type Part = Gathered;

    fn may_match(&self, facts: &dyn Facts) -> bool {
        self.wanted.pattern.as_ref().is_none_or(|pattern| pattern.may_match(facts))
    }

    fn times(&self) -> (i64, i64) {
        let Wanted { from, to, beyond, backwards, .. } = self.wanted;
        let (beyond, bound) = (beyond.map(|place| place.0), self.gathered().bound.map(|place| place.0));
        let (after, before) = if backwards { (bound, beyond) } else { (beyond, bound) };
        (after.map_or(from, |time| from.max(time)), before.map_or(to, |time| to.min(time)))
    }

    fn part(&self) -> Gathered {
        Gathered { bound: self.gathered().bound, ..Gathered::default() }
    }

    fn take(&self, part: &mut Gathered, event: &Stored<'_>) -> Result<(), Over> {
        if !part.takes(event.place, &self.wanted) {
            return Ok(());
        }
        let subject = event.subject();
        if self.wanted.pattern.as_ref().is_none_or(|pattern| pattern.matches(&subject)) {
            let found = Found {
                stream: event.stream.to_owned(),
                message: event.message.to_owned(),
                arrival: event.arrival,
            };
            part.add(event.place, found, &self.wanted);
        }
        Ok(())
    }

    fn join(&self, part: Gathered) -> Result<(), Over> {
        let mut gathered = self.gathered();
        if let Some(bound) = part.bound {
            gathered.bind(bound, &self.wanted);
        }
        for (place, found) in part.events {
            if gathered.takes(place, &self.wanted) {
                gathered.add(place, found, &self.wanted);
            }
        }
        Ok(())
    }
}

impl Gathered {
    /// Ends the page before an event time from which on not everything was read; returns the place that the next page
    /// lies beyond, or `None` where the page was full before.
    pub(crate) fn end_at(&mut self, time: i64, backwards: bool) -> Option<Place> {
        let reached = if backwards { (time.saturating_add(1), 0, 0) } else { (time - 1, u64::MAX, u32::MAX) };
        let is_within = |place: Place| if backwards { place >= reached } else { place <= reached };
        if self.bound.is_some_and(is_within) {
            return None;
        }
        self.events.retain(|place, _| is_within(*place));
        self.bound = Some(reached);
        Some(reached)
    }

    fn add(&mut self, place: Place, found: Found, wanted: &Wanted) {
        self.bytes += bytes_of(&found);
        self.events.insert(place, found);
        while self.events.len() > wanted.events_max
            || (self.bytes > wanted.bytes_max && self.events.len() > 1)
        {
            let Some(place) = self.pop_farthest(wanted) else { break };
            self.bound = Some(place);
        }
    }

    /// Nothing from `bound` on belongs to the page: something nearer did not fit elsewhere.
    fn bind(&mut self, bound: Place, wanted: &Wanted) {
        if self.bound.is_none_or(|held| wanted.is_before(bound, held)) {
            self.bound = Some(bound);
        }
        while self.farthest(wanted).is_some_and(|place| !wanted.is_before(place, bound)) {
            self.pop_farthest(wanted);
        }
    }

    fn farthest(&self, wanted: &Wanted) -> Option<Place> {
        let farthest =
            if wanted.backwards { self.events.first_key_value() } else { self.events.last_key_value() };
        farthest.map(|(place, _)| *place)
    }

    fn pop_farthest(&mut self, wanted: &Wanted) -> Option<Place> {
        let (place, found) = if wanted.backwards { self.events.pop_first() } else { self.events.pop_last() }?;
        self.bytes -= bytes_of(&found);
        Some(place)
    }

    /// Whether an event at `place` would belong to the page.
    fn takes(&self, place: Place, wanted: &Wanted) -> bool {
        (wanted.from..=wanted.to).contains(&place.0)
            && wanted.beyond.is_none_or(|start| wanted.is_before(start, place))
            && self.bound.is_none_or(|bound| wanted.is_before(place, bound))
    }
}

impl Wanted {
    /// Whether `a` comes before `b` in the order of the page.
    fn is_before(&self, a: Place, b: Place) -> bool {
        if self.backwards { a > b } else { a < b }
    }
}

fn bytes_of(found: &Found) -> usize {
    found.message.len() + EVENT_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(place: Place, message: &str) -> Stored<'_> {
        Stored { area: 0, place, arrival: Timestamp::from_millis(0), stream: "s", message, columns: None }
    }

    fn wanted(backwards: bool, events_max: usize, bytes_max: usize, beyond: Option<Place>) -> Wanted {
        Wanted { pattern: None, from: 2, to: 90, beyond, backwards, events_max, bytes_max }
    }

    /// A page that could not be read to its end holds what is complete, and says where the next one goes on.
    #[test]
    fn a_page_ends_before_what_was_not_read() {
        let gather = |backwards: bool, events_max: usize| {
            let page = Page::new(wanted(backwards, events_max, 1 << 20, None));
            let mut part = page.part();
            for time in [10, 20, 30, 40] {
                assert!(page.take(&mut part, &stored((time, 1, 0), "m")).is_ok());
            }
            assert!(page.join(part).is_ok());
            page.take_gathered()
        };
        let times = |gathered: &Gathered| gathered.events.keys().map(|place| place.0).collect::<Vec<_>>();
        let mut forwards = gather(false, 9);
        assert_eq!(forwards.end_at(30, false), Some((29, u64::MAX, u32::MAX)));
        assert_eq!((times(&forwards), forwards.bound.is_some()), (vec![10, 20], true));
        let mut backwards = gather(true, 9);
        assert_eq!(backwards.end_at(20, true), Some((21, 0, 0)));
        assert_eq!(times(&backwards), [30, 40]);
        let mut full = gather(false, 1);
        assert_eq!(full.end_at(30, false), None, "it was full before");
        assert_eq!((times(&full), full.bound), (vec![10], Some((20, 1, 0))));
    }

    proptest! {
        /// However the events are cut into pieces and in whatever order these come, the page is the first of the sorted list.
        #[test]
        fn a_page_is_the_beginning_of_the_list(
            events in proptest::collection::btree_map((0_i64..100, 0_u64..3, 0_u32..3), "[a-z]{0,9}", 0..60),
            pieces in 1_usize..6,
            events_max in 1_usize..20,
            bytes_max in 1_usize..400,
            beyond in proptest::option::of((0_i64..100, 0_u64..3, 0_u32..3)),
            backwards in any::<bool>(),
        ) {
            let page = Page::new(wanted(backwards, events_max, bytes_max, beyond));
            for piece in 0..pieces {
                let mut part = page.part();
                for (place, message) in events.iter().skip(piece).step_by(pieces) {
                    prop_assert!(page.take(&mut part, &stored(*place, message)).is_ok());
                }
                prop_assert!(page.join(part).is_ok());
            }
            let check = wanted(backwards, events_max, bytes_max, beyond);
            let mut listed: Vec<(Place, &String)> = events.iter().map(|(place, message)| (*place, message)).collect();
            if backwards {
                listed.reverse();
            }
            listed.retain(|(place, _)| {
                (2..=90).contains(&place.0) && beyond.is_none_or(|start| check.is_before(start, *place))
            });
            let (mut bytes, mut fits) = (0, 0);
            for (_, message) in &listed {
                bytes += message.len() + EVENT_OVERHEAD_BYTES;
                if fits == events_max || (bytes > bytes_max && fits > 0) {
                    break;
                }
                fits += 1;
            }
            let mut expected: Vec<Place> = listed[..fits].iter().map(|(place, _)| *place).collect();
            expected.sort_unstable();
            let gathered = page.take_gathered();
            prop_assert_eq!(gathered.events.keys().copied().collect::<Vec<_>>(), expected);
            prop_assert_eq!(gathered.bound, listed.get(fits).map(|(place, _)| *place));
        }
    }
}
