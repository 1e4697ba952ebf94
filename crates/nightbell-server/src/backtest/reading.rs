/*!
Reads what a rule would have seen into a [`Past`]: stored events through the rule's filters, record numbers where an alarm
asks for gaps, and stored data points of metrics that no filter makes.

Events are found by [`crate::search`], in the archive as in the journal, and taken by [`Gathering`]. What was not found is
told in sentences.
*/

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nightbell_core::anomaly::models::TAUGHT_MAX_S;
use nightbell_core::event::Group;
use nightbell_core::filter::FilterSet;
use nightbell_core::history::{COARSEST_S, POINT_AGE_MAX_MS, bucket_start, serves};
use nightbell_core::metric::{Datum, Series};
use nightbell_core::records::{self, LOG_IDLE_MS_MAX};
use nightbell_core::time::{DAY_MS, SECOND_MS, Timestamp};
use nightbell_core::watch::{Needed, Watch};

use super::gathering::{Asked, Gathering, Times};
use super::past::Past;
use super::rules::{Recorded, Trial, metric_of};
use super::{BACKTEST_BYTES_MAX, BACKTEST_DATA_MAX, BacktestRequest, Course, Ended, Phase, Span};
use crate::aws::Cx;
use crate::catalog::{Failure, GroupRecord};
use crate::manage::{Refusal, groups};
use crate::run::points::{self, Point};
use crate::search::{self, Area, Order, Progress, Search, Streams};

/// Time between two looks at how far a search is.
const LOOK: Duration = Duration::from_millis(50);
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
    past: Past,
    events: u64,
    notes: Vec<String>,
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
            past: Past::default(),
            events: 0,
            notes: Vec::new(),
        }
    }

    /// Reads everything. Belongs where blocking is allowed.
    pub(super) fn read(mut self, course: &Course) -> Result<Read, Ended> {
        if !self.trial.filters.is_empty() || self.trial.recorded.is_some() {
            self.read_events(course)?;
        }
        self.read_points(course)?;
        self.past.settle();
        Ok(Read { past: self.past, events: self.events, notes: self.notes })
    }

    /// Runs the filters over the stored events.
    fn read_events(&mut self, course: &Course) -> Result<(), Ended> {
        let app = &self.cx.app;
        let (owners, asked) = self.asked()?;
        let area = |owner: &GroupRecord| Area::of(owner, Streams::All(owner.since), self.cx.now);
        let areas: Vec<Area> = owners.iter().map(area).collect();
        let times = Times {
            span: self.span,
            as_arrived: self.as_arrived,
            data_from: self.data_from,
            records_from: self.records_from,
        };
        let gathering = Gathering::new(Arc::clone(app), times, asked);
        let progress = Arc::<Progress>::default();
        let search = Search::plan(app, areas.clone(), Order::Oldest, gathering, Arc::clone(&progress))?;
        let ended = tokio::runtime::Handle::current().block_on(follow(&search, &progress, course))?;
        if let Some(limit) = ended.limit {
            return Err(Refusal::Limit(limit).into());
        }
        if ended.halted_at.is_some() {
            return Err(Ended::Halted);
        }
        let left_out = progress.left_out.count();
        if left_out > 0 {
            self.notes.push(format!(
                "not all events were read: damaged files of the archive or blocks of the journal were left out: {left_out}"
            ));
        }
        let gathered = search.taker().take_gathered();
        self.events = gathered.events.values().sum();
        self.past = gathered.past;
        self.note_groups(&areas, &gathered.events)
    }

    /// The groups whose events are read, and what for.
    fn asked(&self) -> Result<(Vec<GroupRecord>, Vec<Asked>), Refusal> {
        let records = &self.cx.app.records;
        let mut sets = sets(self.cx, self.trial);
        let owners = match &self.trial.recorded {
            Some(Recorded::All) => groups::list(records, &self.cx.region, "")?,
            recorded => {
                let mut names: BTreeSet<String> = sets.keys().cloned().collect();
                if let Some(Recorded::Of(followed)) = recorded {
                    names.extend(followed.iter().cloned());
                }
                let find = |name: String| groups::find(records, &self.cx.group(&name));
                names.into_iter().map(find).collect::<Result<_, _>>()?
            }
        };
        let asked = owners.iter().map(|owner| {
            let name = &owner.group.name;
            let records = is_recorded(self.trial, name);
            Asked { group: owner.group.clone(), filters: sets.remove(name), records }
        });
        let asked = asked.collect();
        Ok((owners, asked))
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
    fn note_groups(&mut self, areas: &[Area], events: &BTreeMap<Group, u64>) -> Result<(), Ended> {
        let Span { start, end } = self.span;
        let any_group = self.trial.recorded == Some(Recorded::All);
        let mut notes = Vec::new();
        for area in areas.iter().filter(|area| !events.contains_key(&area.group)) {
            let is_named = !any_group || self.trial.filters.iter().any(|(group, _)| *group == area.group);
            if !is_named && self.events > 0 {
                continue;
            }
            let name = &area.group.name;
            match search::range_of(&self.cx.app, area)? {
                None if is_named => notes.push(format!("the log group {name} holds no events")),
                None => {}
                Some((first, last)) => notes.push(format!(
                    "no event of the log group {name} is of {}: those stored are of {} to {}",
                    times(start, end),
                    first.iso(),
                    last.iso()
                )),
            }
        }
        let is_empty = any_group && self.events == 0 && notes.is_empty();
        self.notes.extend(notes);
        if is_empty {
            self.notes.push(format!("no events are stored in {}", self.cx.region));
        } else if self.events > 0 && self.past.first().is_none() {
            self.notes.push("no event matched".to_owned());
        }
        Ok(())
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

/// Tells how far a search is until it is over; ends it where the course does.
async fn follow(
    search: &Arc<Search<Gathering>>,
    progress: &Progress,
    course: &Course,
) -> Result<search::Ended, Ended> {
    let mut looks = tokio::time::interval(LOOK);
    let mut halted = None;
    let mut running = std::pin::pin!(search.run(None));
    loop {
        tokio::select! {
            ended = &mut running => return match halted {
                Some(halted) => Err(halted),
                None => Ok(ended?),
            },
            _ = looks.tick() => {
                let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
                let total = of(&progress.events_total);
                let done = of(&progress.events_done).max(of(&progress.events)).min(total);
                if let Err(ended) = course.reach(Phase::Reading, done, total) {
                    halted = Some(ended);
                    search.halt();
                }
            }
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

/// Refuses a past that takes too much.
pub(super) fn check_room(past: &Past) -> Result<(), Refusal> {
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
