/*!
An alarm on what an expression over metrics comes to, or on a metric beside the band of what is usual for it.

One question, and a window for each series that an entry names. It is judged on ticks only: an expression may fall as well
as rise with more data, so nothing is known before its periods are complete. The entries are worked out by `crate::math`,
bands come from `crate::anomaly`, and the decision is `judge`'s.
*/

use std::collections::BTreeSet;
use std::ops::Range;

use super::judge::{self, Point, Rule, Slot, Verdict};
use super::reason::{self, Bands};
use super::runtime::Runtime;
use super::standing::{CADENCE_S, Judging, Question, range_s, span, transition};
use super::{CurvePoint, ExpressionMeasure, Measure, MetricAlarm, State, Transition};
use crate::anomaly::models::{self, ModelKey, Models};
use crate::anomaly::{Band, crosses_band};
use crate::evidence::Evidence;
use crate::math::{
    self, Grid, Inputs, Labelled, MetricQuery, MetricStat, Outcome, Queried, Queries, Timeline,
};
use crate::metric::{Datum, Series};
use crate::statistic::Statistic;
use crate::time::Timestamp;
use crate::window::Window;

/// Slots of a transition's curve.
const CURVE_SLOTS_MAX: i64 = 120;
/// Periods that an incident counts at once, the newest: after a long pause those before are not looked at.
const JUDGED_PERIODS_MAX: i64 = 120;

/// One alarm on an expression, its recent data and its state.
#[derive(Clone, Debug)]
pub(crate) struct ExpressionWatch {
    question: Question,
    /// The entries; `None` where they cannot be read, which watches nothing. Such an alarm does not pass
    /// [`MetricAlarm::check`].
    queries: Option<Queries>,
    /// The entry whose values are judged.
    watched: String,
    /// Whether the watched values are the sums of one metric.
    sums: bool,
    sources: Vec<Source>,
    runtime: Runtime,
    evaluated: Option<i64>,
}

/// A complete period as it was judged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JudgedPeriod {
    pub(crate) start: i64,
    pub(crate) period_s: i64,
    /// The watched value; `None` where it is missing.
    pub(crate) value: Option<f64>,
    /// What an incident counts of it: the value, where that is the sum of a metric's samples, else 1 where it is across
    /// the line.
    pub(crate) count: f64,
    /// What the events in it have to say, where it counts.
    pub(crate) evidence: Evidence,
}

impl JudgedPeriod {
    /// The last second in it.
    pub(crate) fn last_second(&self) -> i64 {
        self.start.saturating_add(self.period_s).saturating_sub(1)
    }

    /// Its end.
    pub(crate) fn end(&self) -> Timestamp {
        Timestamp::from_seconds(self.start.saturating_add(self.period_s))
    }
}

/// What one or more entries read.
#[derive(Clone, Debug)]
struct Source {
    series: Series,
    unit: Option<String>,
    window: Window,
}

/// The values of some slots, newest first, and what was usual in them.
struct Measured {
    slots: Vec<Slot>,
    bands: Bands,
}

/// The models that an alarm looks at, by the entries that say what they are of.
pub(crate) fn models_of(alarm: &MetricAlarm) -> Option<ModelKey> {
    let Measure::Expression(measure) = &alarm.measure else { return None };
    let watched = measure.watched(alarm.band.as_deref()).filter(|_| alarm.band.is_some())?;
    if let Some(stat) = watched.stat() {
        return Some(ModelKey::of_stat(stat));
    }
    ModelKey::of_formula(&Queries::read(&measure.entries).ok()?.formula(&watched.id)?)
}

impl ExpressionWatch {
    /// An alarm in the state of `runtime`, without data.
    pub(crate) fn new(alarm: MetricAlarm, measure: &ExpressionMeasure, runtime: Runtime) -> Self {
        let mut sources: Vec<Source> = Vec::new();
        for stat in measure.entries.iter().filter_map(MetricQuery::stat) {
            if !sources.iter().any(|source| source.is_of(stat)) {
                let window = Window::new(range_s(&alarm), alarm.period_s);
                sources.push(Source { series: stat.series.clone(), unit: stat.unit.clone(), window });
            }
        }
        let watched =
            measure.watched(alarm.band.as_deref()).map(|entry| entry.id.clone()).unwrap_or_default();
        let queries = Queries::read(&measure.entries).ok();
        let sums = is_sum(measure, &watched);
        let question = Question::of_expression(alarm);
        Self { question, queries, watched, sums, sources, runtime, evaluated: None }
    }

    pub(crate) fn question(&self) -> &Question {
        &self.question
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn skip_to(&mut self, now: Timestamp) {
        self.evaluated = Some(self.question.grid(now.second()));
    }

    /// Folds a datum in. Nothing is judged before a tick.
    pub(crate) fn take(&mut self, now: Option<Timestamp>, datum: &Datum) {
        if !self.question.admits(now, self.evaluated, datum) {
            return;
        }
        let unit = datum.unit.as_deref().unwrap_or("None");
        for source in self.sources.iter_mut().filter(|source| source.series == datum.series) {
            if source.unit.as_deref().is_none_or(|wanted| wanted == unit) {
                source.window.take(datum.second, datum.aggregate.clone(), datum.evidence.clone());
            }
        }
    }

    /// Judges the complete slots, once for each point of the grid; drops what is no longer needed.
    pub(crate) fn tick(
        &mut self,
        complete: Timestamp,
        judging: Judging<'_>,
        models: &Models,
    ) -> Option<Transition> {
        let grid = self.question.grid(complete.second());
        if self.evaluated.is_some_and(|evaluated| grid <= evaluated) {
            return None;
        }
        let needed = self.question.needed_from(grid);
        self.sources.iter_mut().for_each(|source| source.window.expire_before(needed));
        self.evaluate_at(grid, judging, models)
    }

    /// Judges at once, as after the configuration changed.
    pub(crate) fn evaluate(&mut self, judging: Judging<'_>, models: &Models) -> Option<Transition> {
        self.evaluate_at(self.question.grid(judging.now.second()), judging, models)
    }

    /// The complete periods inside `seconds`, laid end to end, as they stand after the last evaluation, oldest first.
    pub(crate) fn judged(&self, seconds: Range<i64>, models: &Models) -> Vec<JudgedPeriod> {
        let Some(grid) = self.evaluated else { return Vec::new() };
        let period_s = self.question.alarm.period_s;
        let newest = self.question.slots_end(grid).min(seconds.end);
        let oldest = newest.saturating_sub(JUDGED_PERIODS_MAX.saturating_mul(period_s));
        let mut start = seconds.start.max(oldest);
        let aligned_s = period_s.clamp(1, CADENCE_S);
        if start.rem_euclid(aligned_s) != 0 {
            start = start.div_euclid(aligned_s).saturating_add(1).saturating_mul(aligned_s);
        }
        let mut periods = Vec::new();
        while start.saturating_add(period_s) <= newest {
            periods.push(self.judged_one(start, models));
            start = start.saturating_add(period_s);
        }
        periods
    }

    fn judged_one(&self, start: i64, models: &Models) -> JudgedPeriod {
        let period_s = self.question.alarm.period_s;
        let end = start.saturating_add(period_s);
        // Some functions look at the periods before, so all are worked out that a judgement works out.
        let measured = self.measure(end, Rule::of(&self.question.alarm).slots(), models);
        let point = measured.slots.first().and_then(|slot| slot.point);
        let counted =
            |point: Point| if self.sums { point.value } else { f64::from(u8::from(point.breaching)) };
        let count = point.map_or(0.0, counted);
        let evidence = if count == 0.0 { Evidence::default() } else { self.evidence(start, end) };
        JudgedPeriod { start, period_s, value: point.map(|point| point.value), count, evidence }
    }

    /// Sets the state by hand; a transition when it differs.
    pub(crate) fn force(
        &mut self,
        judging: Judging<'_>,
        state: State,
        reason: String,
        reason_data: Option<String>,
    ) -> Option<Transition> {
        self.runtime.forced = true;
        let before = self.runtime.enter(judging.now, state, reason, reason_data);
        (before.0 != state).then(|| transition(&self.question, judging, &self.runtime, before))
    }

    /// Takes over what is known about the alarm that this one replaces: the state and, where it reads the same series,
    /// the data.
    pub(crate) fn succeed(&mut self, old: Self, keep_data: bool) {
        for before in old.sources.into_iter().filter(|_| keep_data) {
            let same = |source: &&mut Source| source.series == before.series && source.unit == before.unit;
            let Some(source) = self.sources.iter_mut().find(same) else { continue };
            for (second, bucket) in before.window.into_buckets() {
                let evidence = bucket.evidence.map(|evidence| *evidence).unwrap_or_default();
                source.window.take(second, bucket.aggregate, evidence);
            }
        }
        self.runtime = old.runtime;
    }

    /// Goes on from the state of an alarm of another kind that this one replaces.
    pub(crate) fn inherit(&mut self, runtime: Runtime) {
        self.runtime = runtime;
    }

    fn evaluate_at(&mut self, grid: i64, judging: Judging<'_>, models: &Models) -> Option<Transition> {
        self.evaluated = Some(grid);
        self.runtime.forced = false;
        let step_s = self.question.slot_step_s();
        let end = grid.div_euclid(step_s).saturating_mul(step_s);
        let rule = Rule::of(&self.question.alarm);
        let measured = self.measure(end, rule.slots(), models);
        let verdict = judge::judge(&measured.slots, rule).filter(|it| it.state != self.runtime.state)?;
        Some(self.apply(&verdict, &measured.bands, end, judging, models))
    }

    fn apply(
        &mut self,
        verdict: &Verdict,
        bands: &Bands,
        end: i64,
        judging: Judging<'_>,
        models: &Models,
    ) -> Transition {
        let alarm = &self.question.alarm;
        let reason = reason::text_of(alarm, verdict, bands);
        let reason_data = reason::data_of(alarm, verdict, bands, judging.now);
        let before = self.runtime.enter(judging.now, verdict.state, reason, Some(reason_data));
        let mut told = transition(&self.question, judging, &self.runtime, before);
        let newest = verdict.decisive.first();
        told.value = newest.and_then(|slot| slot.point).map(|point| point.value);
        if let Some((from, to)) = span(&verdict.decisive, alarm.period_s) {
            told.window = Some((Timestamp::from_seconds(from), Timestamp::from_seconds(to)));
            told.evidence = self.evidence(from, to);
        }
        if let (Some(slot), Some(value), Some(key)) = (newest, told.value, models_of(alarm)) {
            let usual = models.model(&key).and_then(|model| model.usual(slot.start));
            told.usual = usual.map(|usual| usual.sentence(value));
        }
        self.draw(&mut told, end, models);
        told
    }

    /// What the events behind the decisive slots say, each series once.
    fn evidence(&self, from: i64, to: i64) -> Evidence {
        let mut seen = BTreeSet::new();
        let parts: Vec<Evidence> = self
            .sources
            .iter()
            .filter(|source| seen.insert(&source.series))
            .map(|source| source.window.evidence(from..to))
            .collect();
        Evidence::merged(&parts)
    }

    /// The values of the slots that the windows hold, and what was usual in them.
    fn draw(&self, told: &mut Transition, end: i64, models: &Models) {
        let period_s = self.question.alarm.period_s;
        let reach = end.saturating_sub(self.question.needed_from(end)).div_euclid(period_s.max(1));
        let measured = self.measure(end, reach.clamp(1, CURVE_SLOTS_MAX), models);
        let mut band = Vec::new();
        for slot in measured.slots.iter().rev() {
            let Some(point) = slot.point else { continue };
            let at = Timestamp::from_seconds(slot.start.saturating_add(period_s));
            told.curve.push(CurvePoint { at, value: point.value });
            band.extend(measured.bands.get(&slot.start).map(|band| (band.lower, band.upper)));
        }
        told.band = (!band.is_empty() && band.len() == told.curve.len()).then_some(band);
    }

    /// The values of `count` slots that end at `end`. A value without the band it is held against is missing.
    fn measure(&self, end: i64, count: i64, models: &Models) -> Measured {
        let alarm = &self.question.alarm;
        let start = end.saturating_sub(count.saturating_mul(alarm.period_s));
        let grid = Grid { start, period_s: alarm.period_s, points: usize::try_from(count).unwrap_or(0) };
        let (values, bands) = self.work_out(grid, models);
        let held = alarm.comparison.of_band();
        let slot = |i: usize| {
            let step = alarm.period_s.saturating_mul(i64::try_from(i).unwrap_or(i64::MAX));
            let start = grid.start.saturating_add(step);
            let value = values.get(i).copied().flatten();
            let breaching = |value: f64| match held {
                Some(comparison) => crosses_band(value, bands.get(&start).copied(), comparison),
                None => Some(judge::crosses(value, alarm.comparison, alarm.threshold)),
            };
            let point = value
                .and_then(|value| breaching(value).map(|breaching| Point { value, samples: 0.0, breaching }));
            Slot { start, point }
        };
        Measured { slots: (0..grid.points).rev().map(slot).collect(), bands }
    }

    /// The watched entry's values on the grid, and the bands.
    fn work_out(&self, grid: Grid, models: &Models) -> (Vec<Option<f64>>, Bands) {
        let inputs = Slots { sources: &self.sources, models, grid };
        let mut values = Vec::new();
        let mut bands = Bands::new();
        // What needs more than a limit allows comes to nothing, as missing data does.
        let returned = self.queries.as_ref().and_then(|queries| queries.evaluate_returned(&inputs).ok());
        for (entry, outcome) in returned.into_iter().flatten() {
            match outcome {
                Outcome::Series(lines) if entry.id == self.watched => {
                    values = lines.into_iter().next().map(|line| line.timeline.values).unwrap_or_default();
                }
                Outcome::Band(band) => bands = by_slot(&band, grid),
                Outcome::Series(_) | Outcome::Scalar(_) => {}
            }
        }
        (values, bands)
    }
}

/// Whether the entry that is watched is a metric's `Sum`, or names an entry that is.
fn is_sum(measure: &ExpressionMeasure, watched: &str) -> bool {
    let entry = |id: &str| measure.entries.iter().find(|entry| entry.id == id);
    let Some(mut found) = entry(watched) else { return false };
    if let Queried::Expression(text) = &found.what
        && let Some(named) = entry(text.trim())
    {
        found = named;
    }
    found.stat().is_some_and(|stat| Statistic::parse(&stat.statistic) == Some(Statistic::Sum))
}

fn by_slot(band: &math::Band, grid: Grid) -> Bands {
    let bounds = band.lower.values.iter().zip(&band.upper.values);
    let starts = (0..).map(|i: i64| grid.start.saturating_add(grid.period_s.saturating_mul(i)));
    let known = starts.zip(bounds).filter_map(|(start, (lower, upper))| {
        let (lower, upper) = (*lower).zip(*upper)?;
        Some((start, Band { lower, upper }))
    });
    known.collect()
}

impl Source {
    fn is_of(&self, stat: &MetricStat) -> bool {
        self.series == stat.series && self.unit == stat.unit
    }
}

/// The windows of an alarm as what its entries read.
struct Slots<'a> {
    sources: &'a [Source],
    models: &'a Models,
    grid: Grid,
}

impl Inputs for Slots<'_> {
    fn grid(&self) -> Grid {
        self.grid
    }

    fn timelines(&self, _: &str, entry: &MetricQuery) -> Vec<Labelled> {
        let Some(stat) = entry.stat() else { return Vec::new() };
        let Some(source) = self.sources.iter().find(|source| source.is_of(stat)) else { return Vec::new() };
        let Some(statistic) = Statistic::parse(&stat.statistic) else { return Vec::new() };
        let with_values = !statistic.reads_totals();
        let Grid { start, period_s, points } = self.grid;
        let value = |i: usize| {
            let from = start.saturating_add(period_s.saturating_mul(i64::try_from(i).unwrap_or(i64::MAX)));
            statistic.value(&source.window.fold(from..from.saturating_add(period_s), with_values))
        };
        let timeline = Timeline { start, period_s, values: (0..points).map(value).collect() };
        let label = entry.label.clone().unwrap_or_else(|| stat.series.name.clone());
        vec![Labelled { label, timeline }]
    }

    fn band(&self, of: &[MetricQuery], width: f64, grid: &Timeline) -> Option<math::Band> {
        models::band(self.models.model(&ModelKey::of_formula(of)?)?, width, grid.grid())
    }
}

#[cfg(test)]
mod tests;
