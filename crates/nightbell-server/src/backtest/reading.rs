/*!
Reads what a rule would have seen into a [`Past`]: stored events through the rule's filters, record numbers where an alarm
asks for gaps, and stored data points of metrics that no filter makes.

The summaries of all blocks are looked at first, so that it is known how much there is to read. What was not found is told
in sentences.
*/

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use nightbell_core::anomaly::models::TAUGHT_MAX_S;
use nightbell_core::event::{Batch, Event};
use nightbell_core::fields::Subject;
use nightbell_core::filter::FilterSet;
use nightbell_core::history::{COARSEST_S, POINT_AGE_MAX_MS, bucket_start, serves};
use nightbell_core::metric::{Datum, Series};
use nightbell_core::records::{self, LOG_IDLE_MS_MAX, RecordReader};
use nightbell_core::ruleset::Scratch;
use nightbell_core::time::{DAY_MS, SECOND_MS, Timestamp};
use nightbell_core::watch::{Needed, Watch};
use nightbell_store::{Position, Summary};

use super::past::Past;
use super::rules::{Recorded, Trial, metric_of};
use super::{BACKTEST_BYTES_MAX, BACKTEST_DATA_MAX, BacktestRequest, Course, Ended, Phase, Span};
use crate::aws::Cx;
use crate::catalog::Failure;
use crate::manage::Refusal;
use crate::run::points::{self, Point};

/// Summaries of blocks read at once.
const SUMMARIES_AT_ONCE: usize = 1_000;
/// Stored points of one series are read in pieces of this many seconds.
const POINTS_AT_ONCE_S: i64 = DAY_MS / SECOND_MS;
/// The MiB in a byte count.
const MIB: usize = 1 << 20;

/// What was read.
pub(super) struct Read {
    /// What came, to be played.
    pub(super) past: Past,
    /// Events of the times asked about.
    pub(super) events: u64,
    /// What was not found.
    pub(super) notes: Vec<String>,
}

/// Reading, on its way.
pub(super) struct Reading<'a> {
    cx: &'a Cx,
    trial: &'a Trial,
    span: Span,
    as_arrived: bool,
    /// The first second of data that counts: what the first windows look back at, and what bands learn from.
    data_from: i64,
    /// Since when record numbers are read: a log that was silent for longer is followed anew.
    records_from: Timestamp,
    /// Filters, by group.
    sets: BTreeMap<String, FilterSet>,
    marks: RecordReader,
    scratch: Scratch,
    groups: BTreeMap<String, Stored>,
    past: Past,
    events: u64,
    notes: Vec<String>,
}

/// What is stored of a group.
#[derive(Default)]
struct Stored {
    /// The oldest and the newest event of all.
    range: Option<(Timestamp, Timestamp)>,
    /// Events of the times asked about.
    events: u64,
}

/// Which stored points of a metric are taken.
struct Kept {
    /// The periods of the alarms that look at it, in seconds.
    periods_s: Vec<i64>,
    /// Points of more than a second that were taken.
    coarse: usize,
    /// Points of more than a second that were not.
    left_out: usize,
}

/// What is to be read.
#[derive(Default)]
struct Plan {
    blocks: Vec<Position>,
    events: u64,
}

impl<'a> Reading<'a> {
    pub(super) fn new(cx: &'a Cx, request: &BacktestRequest, trial: &'a Trial, span: Span) -> Self {
        let learns_s = |banded: bool| if banded { TAUGHT_MAX_S } else { 0 };
        let needed = trial.alarms().map(|alarm| {
            Watch::needed_from(alarm, span.start).saturating_sub(learns_s(alarm.band.is_some()))
        });
        let data_from = needed.min().unwrap_or(span.start.second()).max(0);
        Self {
            cx,
            trial,
            span,
            as_arrived: request.as_arrived,
            data_from,
            records_from: span.start.plus_millis(-LOG_IDLE_MS_MAX),
            sets: sets(cx, trial),
            marks: RecordReader::default(),
            scratch: Scratch::new(),
            groups: BTreeMap::new(),
            past: Past::default(),
            events: 0,
            notes: Vec::new(),
        }
    }

    /// Reads everything.
    pub(super) fn read(mut self, course: &Course) -> Result<Read, Ended> {
        let asked = self.sets.keys().cloned();
        self.groups = asked.map(|name| (name, Stored::default())).collect();
        if let Some(Recorded::Of(names)) = &self.trial.recorded {
            self.groups.extend(names.iter().map(|name| (name.clone(), Stored::default())));
        }
        if !self.groups.is_empty() || self.trial.recorded.is_some() {
            let plan = self.plan(course)?;
            self.read_events(&plan, course)?;
            self.note_groups();
        }
        self.read_points(course)?;
        Ok(Read { past: self.past, events: self.events, notes: self.notes })
    }

    /// Looks at the summaries of all blocks.
    fn plan(&mut self, course: &Course) -> Result<Plan, Ended> {
        let journal = Arc::clone(&self.cx.app.journal);
        let mut plan = Plan::default();
        let mut at = journal.start();
        let end = *journal.end().borrow();
        while at < end {
            let summaries = journal.summaries(at, end, SUMMARIES_AT_ONCE).map_err(Refusal::from)?;
            let Some(last) = summaries.last() else { break };
            at = last.position.next();
            for summary in &summaries {
                let events = self.concerned(summary);
                if events > 0 {
                    plan.blocks.push(summary.position);
                    plan.events += events;
                }
            }
            course.reach(Phase::Reading, 0, plan.events)?;
        }
        Ok(plan)
    }

    /// Events of a block that are worth reading it.
    fn concerned(&mut self, summary: &Summary) -> u64 {
        let mut events = 0;
        for stream in summary.streams.iter().filter(|stream| stream.group.region == self.cx.region) {
            let counts = self.sets.contains_key(&stream.group.name);
            let records = is_recorded(self.trial, &stream.group.name);
            if !counts && !records {
                continue;
            }
            let stored = self.groups.entry(stream.group.name.clone()).or_default();
            let (first, last) = stored.range.unwrap_or((stream.first, stream.last));
            stored.range = Some((first.min(stream.first), last.max(stream.last)));
            let heard = if self.as_arrived { summary.arrival } else { stream.last };
            let is_over = !self.as_arrived && stream.first > self.span.end;
            let looks =
                (counts && stream.last.second() >= self.data_from) || (records && heard >= self.records_from);
            if looks && !is_over {
                events += stream.events;
            }
        }
        events
    }

    /// Runs the filters over the stored events.
    fn read_events(&mut self, plan: &Plan, course: &Course) -> Result<(), Ended> {
        let journal = Arc::clone(&self.cx.app.journal);
        let mut done = 0;
        for position in &plan.blocks {
            match journal.read(*position, 1) {
                Ok(blocks) => {
                    for batch in blocks.iter().flat_map(|block| &block.batches) {
                        done += self.take(batch)?;
                    }
                }
                // The rest of the log is worth reading; the matcher has told of the damage.
                Err(error) if error.position().is_some() => {}
                Err(error) => return Err(Refusal::from(error).into()),
            }
            course.reach(Phase::Reading, done.min(plan.events), plan.events)?;
        }
        Ok(())
    }

    /// Takes the events of one batch; says how many there were for us.
    fn take(&mut self, batch: &Batch) -> Result<u64, Refusal> {
        let name = &batch.group.name;
        let records = is_recorded(self.trial, name);
        let counts = self.sets.contains_key(name);
        if batch.group.region != self.cx.region || !(counts || records) {
            return Ok(0);
        }
        self.count(batch);
        if records {
            self.take_marks(batch)?;
        }
        if counts {
            self.take_data(batch)?;
        }
        Ok(batch.events.len() as u64)
    }

    /// Counts the events of the times that are asked about.
    fn count(&mut self, batch: &Batch) {
        let Span { start, end } = self.span;
        let is_asked = |event: &&Event| {
            let at = if self.as_arrived { batch.arrival } else { event.time };
            (start..=end).contains(&at)
        };
        let events = batch.events.iter().filter(is_asked).count() as u64;
        self.events += events;
        if let Some(stored) = self.groups.get_mut(&batch.group.name) {
            stored.events += events;
        }
    }

    fn take_data(&mut self, batch: &Batch) -> Result<(), Refusal> {
        let app = Arc::clone(&self.cx.app);
        let Some(set) = self.sets.get(&batch.group.name) else { return Ok(()) };
        if self.as_arrived {
            let data = set.fold(batch, None, &app.reader, &mut self.scratch);
            return self.arrive(batch.arrival, data);
        }
        let mut folded = Vec::new();
        let mut by_second: BTreeMap<i64, Vec<Event>> = BTreeMap::new();
        for event in &batch.events {
            if event.time.second() >= self.data_from && event.time <= self.span.end {
                by_second.entry(event.time.second()).or_default().push(event.clone());
            }
        }
        for (second, events) in by_second {
            let newest = events.iter().map(|event| event.time).max();
            let arrival = newest.unwrap_or(Timestamp::from_seconds(second));
            let then = Batch { group: batch.group.clone(), stream: batch.stream.clone(), arrival, events };
            let data = set.fold(&then, None, &app.reader, &mut self.scratch);
            folded.push((Timestamp::from_seconds(second), data));
        }
        folded.into_iter().try_for_each(|(at, data)| self.arrive(at, data))
    }

    fn take_marks(&mut self, batch: &Batch) -> Result<(), Refusal> {
        for event in &batch.events {
            let second = Timestamp::from_seconds(event.time.second());
            let at = if self.as_arrived { batch.arrival } else { second };
            if at < self.records_from || at > self.span.end {
                continue;
            }
            let subject = Subject::new(&event.message, &batch.stream, &self.cx.app.reader);
            if let Some(mark) = self.marks.read(&subject) {
                self.past.note(at, &batch.group, mark, event.time);
            }
        }
        check_room(&self.past)
    }

    fn arrive(&mut self, at: Timestamp, data: Vec<Datum>) -> Result<(), Refusal> {
        if at > self.span.end {
            return Ok(());
        }
        for datum in data {
            self.past.arrive(at, datum);
            check_room(&self.past)?;
        }
        Ok(())
    }

    /// Says of which groups there is nothing to try the rule on.
    fn note_groups(&mut self) {
        let Span { start, end } = self.span;
        for (name, stored) in &self.groups {
            let note = match stored.range {
                None => format!("the log group {name} holds no events"),
                Some((first, last)) if stored.events == 0 => format!(
                    "no event of the log group {name} is of {}: those stored are of {} to {}",
                    times(start, end),
                    first.iso(),
                    last.iso()
                ),
                Some(_) => continue,
            };
            self.notes.push(note);
        }
        if self.groups.is_empty() {
            self.notes.push(format!("no events are stored in {}", self.cx.region));
        } else if self.events > 0 && self.past.first().is_none() {
            self.notes.push("no event matched".to_owned());
        }
    }

    /// Adds stored data points of metrics that no filter makes.
    fn read_points(&mut self, course: &Course) -> Result<(), Ended> {
        let of_filter = |(_, filter): &(_, nightbell_core::filter::MetricFilter)| {
            (filter.namespace.clone(), filter.metric.clone())
        };
        let made: HashSet<(String, String)> = self.trial.filters.iter().map(of_filter).collect();
        for need in self.trial.needs() {
            let (namespace, name) = metric_of(&need);
            let (namespace, name) = (namespace.to_owned(), name.to_owned());
            // Gaps are found anew.
            if namespace == records::NAMESPACE || made.contains(&(namespace.clone(), name.clone())) {
                continue;
            }
            let before = self.past.data();
            let mut kept = Kept { periods_s: self.trial.periods_of(&need), coarse: 0, left_out: 0 };
            for series in self.series_of(need)? {
                self.read_series(&series, &mut kept, course)?;
            }
            self.notes.extend(kept.note(&name));
            if self.past.data() == before {
                let times = times(self.span.start, self.span.end);
                self.notes.push(format!(
                    "no metric filter makes {name} in {namespace}, and no data points of {times} are stored"
                ));
            }
        }
        Ok(())
    }

    fn series_of(&self, need: Needed) -> Result<Vec<Series>, Failure> {
        let store = &**self.cx.app.records.store();
        match need {
            Needed::Series(series) => Ok(vec![series]),
            Needed::Metric { region, namespace, name } => {
                points::list_metric(store, &region, &namespace, &name)
            }
        }
    }

    fn read_series(&mut self, series: &Series, kept: &mut Kept, course: &Course) -> Result<(), Ended> {
        let records = self.cx.app.records.clone();
        let end = self.span.end.second().saturating_add(1);
        let mut from = self.data_from;
        // Older ones are there only until they are swept.
        let mut next = self.cx.now.plus_millis(-POINT_AGE_MAX_MS).second().max(from);
        while from < end {
            next = bucket_start(next.saturating_add(POINTS_AT_ONCE_S), COARSEST_S).clamp(from + 1, end);
            for point in points::read(&records, series, from, next)? {
                if kept.takes(&point) {
                    self.arrive(Timestamp::from_seconds(point.last_second()), vec![point.datum])?;
                }
            }
            let data = self.past.data() as u64;
            course.reach(Phase::Reading, data, data)?;
            from = next;
        }
        Ok(())
    }
}

impl Kept {
    /// Whether the periods are made of what the point stands for.
    fn takes(&mut self, point: &Point) -> bool {
        let takes = self.periods_s.iter().all(|period_s| serves(point.resolution_s, *period_s));
        let coarse = usize::from(point.resolution_s > 1);
        if takes {
            self.coarse += coarse
        } else {
            self.left_out += coarse
        }
        takes
    }

    fn note(&self, name: &str) -> Option<String> {
        let Self { coarse, left_out, .. } = self;
        match (coarse, left_out) {
            (0, 0) => None,
            (coarse, 0) => Some(format!(
                "{coarse} data points of {name} are older than they are kept by the second; each counts in the first second of the minutes that it stands for"
            )),
            (_, left_out) => Some(format!(
                "{left_out} data points of {name} are left out: they are kept for longer times than the alarm's period"
            )),
        }
    }
}

/// The filters, compiled, by group.
fn sets(cx: &Cx, trial: &Trial) -> BTreeMap<String, FilterSet> {
    let mut by_group: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (group, filter) in &trial.filters {
        let mut filter = filter.clone();
        filter.created = Timestamp::from_millis(0); // as if it had always been there
        by_group.entry(group.name.clone()).or_default().push(filter);
    }
    let compile = |(name, filters)| (name, FilterSet::new(&cx.region, filters).with_account(&cx.app.account));
    by_group.into_iter().map(compile).collect()
}

fn is_recorded(trial: &Trial, group: &str) -> bool {
    match &trial.recorded {
        None => false,
        Some(Recorded::All) => true,
        Some(Recorded::Of(names)) => names.contains(group),
    }
}

fn check_room(past: &Past) -> Result<(), Refusal> {
    let told = "name a shorter time with --from and --to";
    if past.data() > BACKTEST_DATA_MAX {
        return Err(Refusal::Limit(format!(
            "a backtest takes at most {BACKTEST_DATA_MAX} data points; {told}"
        )));
    }
    if past.bytes() > BACKTEST_BYTES_MAX {
        let (data, limit) = (past.data(), BACKTEST_BYTES_MAX / MIB);
        return Err(Refusal::Limit(format!(
            "{data} data points take more than the {limit} MiB of memory that a backtest may have; {told}"
        )));
    }
    Ok(())
}

/// `2026-11-22T… to 2026-11-22T…`
fn times(start: Timestamp, end: Timestamp) -> String {
    if start.as_millis() == 0 {
        return format!("the time up to {}", end.iso());
    }
    format!("{} to {}", start.iso(), end.iso())
}

#[cfg(test)]
mod tests {
    use nightbell_core::evidence::Evidence;
    use nightbell_core::metric::Aggregate;

    use super::*;

    #[test]
    fn points_that_are_too_coarse_for_a_period_are_left_out_and_told() {
        let point = |resolution_s| Point {
            datum: Datum {
                series: Series::new("site", "files", "Denied", Vec::new()),
                second: 0,
                unit: None,
                aggregate: Aggregate::one(1.0),
                evidence: Evidence::default(),
            },
            resolution_s,
        };
        for (periods_s, taken, told) in [
            (vec![10], vec![1], "3 data points of Denied are left out: they"),
            (vec![60], vec![1, 60], "2 data points of Denied are left out: they"),
            (vec![60, 300], vec![1, 60], "2 data points of Denied are left out: they"),
            (vec![7_200], vec![1, 60, 300, 3_600], "3 data points of Denied are older than"),
        ] {
            let mut kept = Kept { periods_s, coarse: 0, left_out: 0 };
            let all: Vec<i64> = [1, 60, 300, 3_600]
                .into_iter()
                .filter(|resolution_s| kept.takes(&point(*resolution_s)))
                .collect();
            assert_eq!(all, taken);
            assert!(kept.note("Denied").unwrap().starts_with(told));
        }
        assert_eq!(Kept { periods_s: vec![60], coarse: 0, left_out: 0 }.note("Denied"), None);
    }
}
