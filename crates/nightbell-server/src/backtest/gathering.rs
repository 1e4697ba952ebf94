/*!
Stored events on their way into a [`Past`]: what a search hands over, through the rule's filters.

Pieces are read in any order and on several threads, from archive and journal alike; what they come to does not depend on
it: the past is keyed by time and settled at the end. Events wait in small lots, so that what is of one stream and second
becomes one number. Knows no request and no place of events.
*/

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::fields::Subject;
use nightbell_core::filter::FilterSet;
use nightbell_core::metric::Datum;
use nightbell_core::pattern::facts::Facts;
use nightbell_core::records::{RecordMark, RecordReader};
use nightbell_core::ruleset::Scratch;
use nightbell_core::time::Timestamp;

use super::Span;
use super::past::Past;
use super::reading::check_room;
use crate::app::App;
use crate::manage::Refusal;
use crate::search::{Over, Stored, Taker};

/// Bytes of events that wait in one lot.
const LOT_BYTES: usize = 1 << 20;
/// Memory of a waiting event or record number beside its text.
const WAITING_BYTES: usize = 256;

/// What is asked of one group.
pub(super) struct Asked {
    /// The group.
    pub(super) group: Group,
    /// Filters that make data points of its events.
    pub(super) filters: Option<FilterSet>,
    /// Whether the numbers of its records are followed.
    pub(super) records: bool,
}

/// The times that count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// What is asked about.
    pub(super) span: Span,
    /// Whether events come when they arrived, instead of when they happened.
    pub(super) as_arrived: bool,
    /// The first second of data.
    pub(super) data_from: i64,
    /// When the first record comes whose number counts.
    pub(super) records_from: Timestamp,
}

/// What was gathered.
#[derive(Default)]
pub(super) struct Gathered {
    /// What came.
    pub(super) past: Past,
    /// Events of the times asked about, by group.
    pub(super) events: BTreeMap<Group, u64>,
}

/// Gathers.
pub(super) struct Gathering {
    app: Arc<App>,
    times: Times,
    asked: Vec<Asked>,
    marks: RecordReader,
    gathered: Mutex<Gathered>,
}

/// The events of a piece that wait to be folded, and what was seen beside.
#[derive(Default)]
pub(super) struct Lot {
    /// By number of the group, stream and the time at which they come.
    events: BTreeMap<(usize, String, Timestamp), Vec<Event>>,
    marks: Vec<(Timestamp, usize, RecordMark, Timestamp)>,
    bytes: usize,
    counts: BTreeMap<usize, u64>,
    scratch: Scratch,
}

impl Gathering {
    /// Gathers what is asked of these groups, for a search whose areas are theirs in this order.
    pub(super) fn new(app: Arc<App>, times: Times, asked: Vec<Asked>) -> Self {
        Self { app, times, asked, marks: RecordReader::default(), gathered: Mutex::default() }
    }

    /// All of it; nothing is left.
    pub(super) fn take_gathered(&self) -> Gathered {
        std::mem::take(&mut *self.gathered())
    }

    /// A panic elsewhere ends the search, and what was gathered is not looked at.
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds what waits, and adds it to what was gathered.
    fn empty(&self, lot: &mut Lot) -> Result<(), Over> {
        let mut came: Vec<(Timestamp, Vec<Datum>)> = Vec::new();
        for ((number, stream, at), events) in std::mem::take(&mut lot.events) {
            let Asked { group, filters: Some(filters), .. } = &self.asked[number] else { continue };
            let newest = events.iter().map(|event| event.time).max().unwrap_or(at);
            let arrival = if self.times.as_arrived { at } else { newest };
            let batch = Batch { group: group.clone(), stream, arrival, events };
            came.push((at, filters.fold(&batch, None, &self.app.reader, &mut lot.scratch)));
        }
        lot.bytes = 0;
        let mut gathered = self.gathered();
        let told = |refusal: Refusal| match refusal {
            Refusal::Limit(told) => Over(Some(told)),
            other => Over(Some(format!("{other:?}"))),
        };
        for (at, number, mark, time) in lot.marks.drain(..) {
            gathered.past.note(at, &self.asked[number].group, mark, time);
        }
        check_room(&gathered.past).map_err(told)?;
        for (at, data) in came {
            for datum in data {
                gathered.past.arrive(at, datum);
                check_room(&gathered.past).map_err(told)?;
            }
        }
        Ok(())
    }
}

impl Taker for Gathering {
    type Part = Lot;

    fn may_match(&self, _: &dyn Facts) -> bool {
        true // all events of the times asked about are counted
    }

    fn times(&self) -> (i64, i64) {
        let Times { span, as_arrived, data_from, records_from } = self.times;
        let follows = self.asked.iter().any(|asked| asked.records);
        let data_from = Timestamp::from_seconds(data_from);
        match (as_arrived, follows) {
            (true, true) => (i64::MIN, i64::MAX),
            (true, false) => (data_from.as_millis(), i64::MAX),
            (false, true) => (data_from.min(records_from).as_millis(), span.end.as_millis()),
            (false, false) => (data_from.as_millis(), span.end.as_millis()),
        }
    }

    fn arrived_from(&self) -> Timestamp {
        let counts = self.asked.iter().any(|asked| asked.filters.is_some());
        let nothing_before = self.times.as_arrived && !counts;
        if nothing_before { self.times.records_from } else { Timestamp::from_millis(i64::MIN) }
    }

    fn part(&self) -> Lot {
        Lot::default()
    }

    fn take(&self, lot: &mut Lot, event: &Stored<'_>) -> Result<(), Over> {
        let number = event.area;
        let Some(Asked { filters, records, .. }) = self.asked.get(number) else { return Ok(()) };
        let Times { span, as_arrived, data_from, records_from } = self.times;
        let time = Timestamp::from_millis(event.place.0);
        let heard = if as_arrived { event.arrival } else { time };
        if heard > span.end {
            return Ok(());
        }
        if heard >= span.start {
            *lot.counts.entry(number).or_default() += 1;
        }
        let at = if as_arrived { heard } else { Timestamp::from_seconds(time.second()) };
        if *records && at >= records_from {
            let subject = Subject::new(event.message, event.stream, &self.app.reader);
            if let Some(mark) = self.marks.read(&subject) {
                lot.marks.push((at, number, mark, time));
                lot.bytes += WAITING_BYTES;
            }
        }
        if filters.is_some() && time.second() >= data_from {
            let waiting = lot.events.entry((number, event.stream.to_owned(), at)).or_default();
            waiting.push(Event { time, message: event.message.to_owned() });
            lot.bytes += event.message.len() + WAITING_BYTES;
        }
        if lot.bytes >= LOT_BYTES { self.empty(lot) } else { Ok(()) }
    }

    fn join(&self, mut lot: Lot) -> Result<(), Over> {
        self.empty(&mut lot)?;
        let mut gathered = self.gathered();
        for (number, count) in lot.counts {
            *gathered.events.entry(self.asked[number].group.clone()).or_default() += count;
        }
        Ok(())
    }
}
