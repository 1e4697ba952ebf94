/*!
The models of one installation: which there are, what they learn from, and which are to be saved.

Data comes in as it arrives and is held until its period is complete; a value that changes later, because data came late,
is learned anew. Each band alarm has a model at its own period; each detector has one at [`PERIOD_MIN_S`], that of an
expression at the period it states. What a value is made of is `formula`'s. Knows neither
alarms nor streams: `crate::watch` says what is needed and hands over what was stored before.
*/

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::detector::{AnomalyDetector, Watched};
use super::formula::{self, Formula};
use super::model::{Model, PERIOD_MIN_S};
use crate::alarm::standing::{COMPLETE_AFTER_S, LATENESS_MAX_S};
use crate::evidence::Evidence;
use crate::history::serves;
use crate::math::{self, Grid, MetricQuery, MetricStat, Timeline};
use crate::metric::{Aggregate, Datum, Series};
use crate::statistic::Statistic;
use crate::time::{DAY_MS, SECOND_MS, Timestamp};
use crate::window::Window;

/// Models of one installation. What would need one more has no band, which is missing data.
pub const MODELS_MAX: usize = 1_000;
/// How far back a new model is taught from stored points: fifteen days.
pub const TAUGHT_MAX_S: i64 = 15 * DAY_MS / SECOND_MS;
/// Seconds between two times that one model is saved.
pub const SAVE_EVERY_S: i64 = 60;
/// How far ahead of the clock data may lie.
const AHEAD_MAX_S: i64 = DAY_MS / SECOND_MS;
/// Seconds for which one expectation holds: whole hours of every time zone are made of them.
const EXPECTATION_S: i64 = 15 * 60;

/// What a model is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModelKey {
    /// The metric or the expression.
    pub watched: Watched,
    /// Only data of the metric that is stored with this unit is seen; `None` sees all. Expressions name units inside.
    pub unit: Option<String>,
    /// Seconds of a period.
    pub period_s: i64,
}

impl ModelKey {
    /// The model that a detector has by itself.
    pub fn of_detector(watched: &Watched) -> Self {
        let period_s = watched.period_s().unwrap_or_default().max(PERIOD_MIN_S);
        Self { watched: watched.clone(), unit: None, period_s }
    }

    /// The model behind the band of a metric.
    pub fn of_stat(stat: &MetricStat) -> Self {
        let watched = Watched::Metric { series: stat.series.clone(), statistic: stat.statistic.clone() };
        Self { watched, unit: stat.unit.clone(), period_s: stat.period_s }
    }

    /// The model behind the band of a [`crate::math::Queries::formula`]; `None` for one that returns nothing.
    pub fn of_formula(entries: &[MetricQuery]) -> Option<Self> {
        let returned = entries.iter().find(|entry| entry.return_data)?;
        if let Some(stat) = returned.stat() {
            return Some(Self::of_stat(stat));
        }
        let watched = Watched::Expression(entries.to_vec());
        let period_s = watched.period_s()?;
        Some(Self { watched, unit: None, period_s })
    }

    /// What a detector for this model watches.
    pub fn watched(&self) -> Watched {
        self.watched.clone()
    }
}

/// What a model is to learn of the past: the first second of each period and its value, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// The model.
    pub key: ModelKey,
    /// Periods and their values.
    pub values: Vec<(i64, f64)>,
}

/// Makes a [`Lesson`] of stored points, which come in order of time, one series after the other.
#[derive(Debug)]
pub struct Lecture {
    key: ModelKey,
    formula: Formula,
    /// What was read of each column of the formula.
    read: Vec<Column>,
}

/// What was read of one metric.
#[derive(Debug, Default)]
struct Column {
    /// The period that is being read.
    open: Option<(i64, Aggregate)>,
    /// The periods before it.
    values: BTreeMap<i64, f64>,
}

impl Lecture {
    /// A lecture for the model of `key`.
    pub fn new(key: ModelKey) -> Self {
        let formula = Formula::of(&key);
        let read = formula.columns.iter().map(|_| Column::default()).collect();
        Self { key, formula, read }
    }

    /// The series that it is to be given, each once.
    pub fn series(&self) -> BTreeSet<Series> {
        self.formula.columns.iter().map(|column| column.stat.series.clone()).collect()
    }

    /// Adds a stored point that stands for `resolution_s` seconds; nothing where the model's periods are not made of such.
    pub fn take(&mut self, datum: &Datum, resolution_s: i64) {
        if !serves(resolution_s, self.key.period_s) {
            return;
        }
        let start = period_of(datum.second, self.key.period_s);
        for (column, read) in self.formula.columns.iter().zip(&mut self.read) {
            if !column.sees(datum) {
                continue;
            }
            if read.open.as_ref().is_some_and(|(open, _)| *open != start) {
                read.close(column.statistic);
            }
            read.open.get_or_insert_with(|| (start, Aggregate::default())).1.merge(&datum.aggregate);
        }
    }

    /// The lesson.
    pub fn finish(mut self) -> Lesson {
        for (column, read) in self.formula.columns.iter().zip(&mut self.read) {
            read.close(column.statistic);
        }
        let period_s = self.key.period_s.max(1);
        let first = self.read.iter().filter_map(|read| read.values.keys().next()).min();
        let last = self.read.iter().filter_map(|read| read.values.keys().next_back()).max();
        let value = |place: usize, start: i64| self.read.get(place)?.values.get(&start).copied();
        let mut values = Vec::new();
        if let (Some(first), Some(last)) = (first.copied(), last.copied()) {
            let mut start = first.max(last.saturating_sub(TAUGHT_MAX_S));
            while start <= last {
                values.extend(self.formula.value(start, period_s, &value).map(|value| (start, value)));
                start = start.saturating_add(period_s);
            }
        }
        Lesson { key: self.key, values }
    }
}

impl Column {
    fn close(&mut self, statistic: Option<Statistic>) {
        let Some((start, aggregate)) = self.open.take() else { return };
        let value = statistic.and_then(|statistic| statistic.value(&aggregate));
        self.values.extend(value.map(|value| (start, value)));
    }
}

/// The band of `model` over the periods of `grid`; `None` while there is none in any of them.
pub fn band(model: &Model, width: f64, grid: Grid) -> Option<math::Band> {
    let mut known: Option<(i64, Option<super::Band>)> = None;
    let (mut lower, mut upper) = (Vec::with_capacity(grid.points), Vec::with_capacity(grid.points));
    let mut second = grid.start;
    for _ in 0..grid.points {
        let quarter = second.div_euclid(EXPECTATION_S);
        let band = match known {
            Some((of, band)) if of == quarter => band,
            _ => model.band(second, width),
        };
        known = Some((quarter, band));
        lower.push(band.map(|band| band.lower));
        upper.push(band.map(|band| band.upper));
        second = second.saturating_add(grid.period_s);
    }
    let timeline = |values| Timeline { start: grid.start, period_s: grid.period_s, values };
    let any = lower.iter().any(Option::is_some);
    any.then(|| math::Band { lower: timeline(lower), upper: timeline(upper) })
}

/// The detectors and models of one installation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Models {
    detectors: HashMap<Watched, AnomalyDetector>,
    learning: BTreeMap<ModelKey, Learning>,
    by_series: HashMap<Series, Vec<ModelKey>>,
    /// Models that are no more and still saved.
    gone: Vec<ModelKey>,
}

/// A model and the data that it has not learned yet or may learn anew.
#[derive(Clone, Debug)]
struct Learning {
    model: Model,
    formula: Formula,
    /// The data of each column of the formula.
    windows: Vec<Window>,
    /// The windows hold all data from this second on.
    from: i64,
    /// Periods that start before this are learned.
    learned_until: i64,
    /// Of these, the ones that data came for since.
    again: BTreeSet<i64>,
    changed: bool,
    saved_s: Option<i64>,
}

impl Models {
    /// Makes a detector or replaces one, and teaches its models what was stored before.
    pub(crate) fn put_detector(&mut self, now: Timestamp, detector: AnomalyDetector, past: Vec<Lesson>) {
        let key = ModelKey::of_detector(&detector.watched);
        for (_, learning) in self.learning.iter_mut().filter(|(key, _)| key.watched() == detector.watched) {
            learning.model.configure(&detector);
            learning.changed = true;
        }
        self.detectors.insert(detector.watched.clone(), detector);
        self.require(now, &key);
        for lesson in past {
            self.teach(now, &lesson);
        }
    }

    /// Deletes a detector. Models that `used` by alarms go on learning as those of a detector without settings do.
    pub(crate) fn delete_detector(&mut self, watched: &Watched, used: impl Fn(&ModelKey) -> bool) {
        self.detectors.remove(watched);
        let plain = plain(watched.clone());
        for (_, learning) in self.learning.iter_mut().filter(|(key, _)| key.watched() == *watched) {
            learning.model.configure(&plain);
            learning.changed = true;
        }
        let keys: Vec<ModelKey> =
            self.learning.keys().filter(|key| key.watched() == *watched).cloned().collect();
        for key in keys.into_iter().filter(|key| !used(key)) {
            self.remove(&key);
        }
    }

    /// Makes the model of `key` unless there is one, or too many.
    pub(crate) fn require(&mut self, now: Timestamp, key: &ModelKey) {
        if self.learning.contains_key(key) || self.learning.len() >= MODELS_MAX {
            return;
        }
        let model = Model::new(&self.detector(key), key.period_s);
        // The period that is under way is not wholly seen.
        let from = period_of(now.second(), key.period_s).saturating_add(key.period_s);
        self.insert(key, model, from, from);
    }

    /// Lets go of the model of `key`, which no alarm uses any more, unless a detector has it.
    pub(crate) fn release(&mut self, key: &ModelKey) {
        let own =
            self.detectors.contains_key(&key.watched()) && *key == ModelKey::of_detector(&key.watched());
        if !own {
            self.remove(key);
        }
    }

    /// Teaches a model what was stored before `now`; makes it where there is none.
    pub(crate) fn teach(&mut self, now: Timestamp, lesson: &Lesson) {
        self.require(now, &lesson.key);
        let Some(learning) = self.learning.get_mut(&lesson.key) else { return };
        for (start, value) in &lesson.values {
            if start.saturating_add(lesson.key.period_s) <= now.second() {
                learning.changed |= learning.model.learn(*start, *value);
            }
        }
    }

    /// Whether there is a model of `key`, or no room for one.
    pub(crate) fn has(&self, key: &ModelKey) -> bool {
        self.learning.contains_key(key) || self.learning.len() >= MODELS_MAX
    }

    /// The models of a detector that its new configuration makes forget everything.
    pub(crate) fn forgetting(&self, detector: &AnomalyDetector) -> Vec<ModelKey> {
        let same = self.detectors.get(&detector.watched).map_or_else(
            || plain(detector.watched.clone()).zone() == detector.zone(),
            |old| old.zone() == detector.zone(),
        );
        let concerned = self.learning.keys().filter(|key| !same && key.watched() == detector.watched);
        concerned.cloned().collect()
    }

    /// Puts a detector back as it was configured.
    pub(crate) fn restore_detector(&mut self, now: Timestamp, detector: AnomalyDetector) {
        let key = ModelKey::of_detector(&detector.watched);
        self.detectors.insert(detector.watched.clone(), detector);
        self.require(now, &key);
    }

    /// Puts a model back as it was saved; [`Models::needs`] then says what it has missed.
    pub(crate) fn restore(&mut self, now: Timestamp, key: &ModelKey, model: Model) {
        let oldest = now.second().saturating_sub(TAUGHT_MAX_S);
        let fresh = period_of(now.second(), key.period_s).saturating_add(key.period_s);
        let newest = model.newest().map(|newest| newest.max(period_of(oldest, key.period_s)));
        let learned_until = newest.map_or(fresh, |newest| newest.saturating_add(key.period_s));
        self.remove(key);
        self.gone.retain(|gone| gone != key);
        self.insert(key, model, newest.unwrap_or(fresh), learned_until);
        if let Some(learning) = self.learning.get_mut(key) {
            learning.from = learning.from.saturating_sub(learning.formula.before_s(key.period_s));
            (learning.changed, learning.saved_s) = (false, Some(now.second()));
        }
    }

    /// What models learn from, and from which second on they need it.
    pub(crate) fn needs(&self) -> impl Iterator<Item = (&Series, i64)> {
        self.learning.values().flat_map(|learning| {
            learning.formula.columns.iter().map(|column| (&column.stat.series, learning.from))
        })
    }

    /// Whether some model learns from `series`.
    pub(crate) fn is_watched(&self, series: &Series) -> bool {
        self.by_series.contains_key(series)
    }

    /// Takes a datum in that is new, so that what was learned of its period is learned again.
    pub(crate) fn take(&mut self, now: Timestamp, datum: &Datum) {
        self.take_in(Some(now), datum, 1, true);
    }

    /// Takes a datum in that was there before and stands for `resolution_s` seconds.
    pub(crate) fn put_back(&mut self, now: Option<Timestamp>, datum: &Datum, resolution_s: i64) {
        self.take_in(now, datum, resolution_s, false);
    }

    fn take_in(&mut self, now: Option<Timestamp>, datum: &Datum, resolution_s: i64, arrived: bool) {
        let Some(keys) = self.by_series.get(&datum.series) else { return };
        let ahead = now.map_or(i64::MAX, |now| now.second().saturating_add(AHEAD_MAX_S));
        for key in keys.iter().filter(|key| serves(resolution_s, key.period_s)) {
            let Some(learning) = self.learning.get_mut(key) else { continue };
            if datum.second >= learning.from && datum.second <= ahead {
                learning.take(datum, key.period_s, arrived);
            }
        }
    }

    /// Learns the periods that are complete by now.
    pub(crate) fn tick(&mut self, complete: Timestamp) {
        for (key, learning) in &mut self.learning {
            learning.tick(complete.second(), key.period_s);
        }
    }

    /// What is to be saved (`Some`) or forgotten now: each model at most once in [`SAVE_EVERY_S`].
    pub(crate) fn changes(&mut self, now: Timestamp) -> Vec<(ModelKey, Option<Model>)> {
        let mut changes: Vec<(ModelKey, Option<Model>)> =
            self.gone.drain(..).map(|key| (key, None)).collect();
        for (key, learning) in &mut self.learning {
            let second = now.second();
            let due = learning.saved_s.is_none_or(|saved| second >= saved.saturating_add(SAVE_EVERY_S));
            if learning.changed && due {
                (learning.changed, learning.saved_s) = (false, Some(second));
                changes.push((key.clone(), Some(learning.model.clone())));
            }
        }
        changes
    }

    /// The model of `key`.
    pub(crate) fn model(&self, key: &ModelKey) -> Option<&Model> {
        self.learning.get(key).map(|learning| &learning.model)
    }

    /// The detector of a model: the one that was put, or one without settings.
    fn detector(&self, key: &ModelKey) -> AnomalyDetector {
        let watched = key.watched();
        self.detectors.get(&watched).cloned().unwrap_or_else(|| plain(watched))
    }

    fn insert(&mut self, key: &ModelKey, model: Model, from: i64, learned_until: i64) {
        let formula = Formula::of(key);
        for column in &formula.columns {
            let keys = self.by_series.entry(column.stat.series.clone()).or_default();
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        let window = |_: &formula::Column| Window::new(i64::MAX, key.period_s); // in minutes
        let windows = formula.columns.iter().map(window).collect();
        let again = BTreeSet::new();
        let learning =
            Learning { model, formula, windows, from, learned_until, again, changed: true, saved_s: None };
        self.learning.insert(key.clone(), learning);
    }

    fn remove(&mut self, key: &ModelKey) {
        let Some(learning) = self.learning.remove(key) else { return };
        self.gone.push(key.clone());
        for column in &learning.formula.columns {
            let series = &column.stat.series;
            if let Some(keys) = self.by_series.get_mut(series) {
                keys.retain(|other| other != key);
                if keys.is_empty() {
                    self.by_series.remove(series);
                }
            }
        }
    }
}

impl Learning {
    fn take(&mut self, datum: &Datum, period_s: i64, arrived: bool) {
        let start = period_of(datum.second, period_s);
        for (column, window) in self.formula.columns.iter().zip(&mut self.windows) {
            if !column.sees(datum) {
                continue;
            }
            window.take(datum.second, datum.aggregate.clone(), Evidence::default());
            // The period that an expression sees this one from is learned again, too, and none that sees what is gone.
            let before = self.formula.before_s(period_s);
            let can_be = self.from.saturating_add(before)..self.learned_until;
            let seen_from = [start, start.saturating_add(before)];
            self.again.extend(seen_from.into_iter().filter(|start| arrived && can_be.contains(start)));
        }
    }

    fn tick(&mut self, complete_s: i64, period_s: i64) {
        let end = period_of(complete_s.saturating_sub(COMPLETE_AFTER_S), period_s);
        let mut starts = std::mem::take(&mut self.again);
        if end > self.learned_until {
            starts.extend(self.new_periods(end, period_s));
            self.learned_until = end;
        }
        for start in starts {
            let (formula, windows) = (&self.formula, &self.windows);
            let read = |place: usize, start: i64| {
                let statistic = formula.columns.get(place)?.statistic?;
                let seconds = start..start.saturating_add(period_s);
                statistic.value(&windows.get(place)?.fold(seconds, !statistic.reads_totals()))
            };
            if let Some(value) = formula.value(start, period_s, &read) {
                self.changed |= self.model.learn(start, value);
            }
        }
        let late = period_of(end.saturating_sub(LATENESS_MAX_S), period_s);
        let kept = late.saturating_sub(self.formula.before_s(period_s));
        self.windows.iter_mut().for_each(|window| window.expire_before(kept));
        self.from = self.from.max(kept);
    }

    /// The periods up to `end` that were not learned yet: those with data and, of an expression, all of them.
    fn new_periods(&self, end: i64, period_s: i64) -> BTreeSet<i64> {
        if !self.formula.is_expression() {
            let new = self.windows.iter().flat_map(|window| window.range(self.learned_until..end));
            return new.map(|(second, _)| period_of(second, period_s)).collect();
        }
        let oldest = period_of(end.saturating_sub(TAUGHT_MAX_S), period_s);
        let first = self.learned_until.max(oldest);
        let count = end.saturating_sub(first).div_euclid(period_s.max(1));
        (0..count).map(|i| first.saturating_add(i.saturating_mul(period_s))).collect()
    }
}

/// A detector without settings.
fn plain(watched: Watched) -> AnomalyDetector {
    AnomalyDetector { watched, excluded: Vec::new(), timezone: None, periodic_spikes: false }
}

/// The first second of the period that holds `second`.
fn period_of(second: i64, period_s: i64) -> i64 {
    let period_s = period_s.max(1);
    second.div_euclid(period_s).saturating_mul(period_s)
}
