/*!
Where one series, or one contributor of an alarm, stands: its window, its state, and when the state moves.

Two things move it. **Arrival**: where a crossing window stays crossed (`can_fire_early`), data is held against the line
the moment it comes. **Ticks**: on the grid of the clock the newest complete slots are judged. A window that crossed
counts as the newest point for one period after its end; after that the slots of the clock decide, and what was already
told cannot be told again. Whose standing it is, and what that means outside, is for `metric`, `contributors` and
`crate::watch` to say.
*/

use std::collections::BTreeSet;

use super::crossing::{AHEAD_MAX_S, Crossing, Line, Where};
use super::judge::{self, Basis, Rule, Slot, Verdict};
use super::runtime::Runtime;
use super::{CurvePoint, Measure, MetricAlarm, MissingData, SeriesMeasure, State, Transition, reason};
use crate::evidence::Evidence;
use crate::history::bucket_start;
use crate::insights::Query;
use crate::metric::{Aggregate, Datum};
use crate::statistic::{self, Statistic};
use crate::time::Timestamp;
use crate::window::Window;

/// How far behind the clock a slot must have ended to count as complete.
pub const COMPLETE_AFTER_S: i64 = 5;
/// How late data may arrive and still count, where the evaluation range is not longer.
pub const LATENESS_MAX_S: i64 = 15 * 60;
/// Seconds between evaluations of periods under a minute.
pub const HIGH_RESOLUTION_CADENCE_S: i64 = 10;
/// Seconds between evaluations.
pub const CADENCE_S: i64 = 60;
/// Seconds between evaluations when periods × N exceed a day.
pub const LONG_RANGE_CADENCE_S: i64 = 3_600;
/// Periods that a transition's curve spans.
pub const CURVE_PERIODS: i64 = 5;
/// Points of a transition's curve.
pub const CURVE_POINTS_MAX: i64 = 120;

/// What an alarm asks of each of its standings, worked out once.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) alarm: MetricAlarm,
    pub(crate) statistic: Statistic,
    /// Only data stored with this unit is seen.
    unit: Option<String>,
    fires_early: bool,
    /// Seconds that a sample depends on what lies before it.
    behind_s: i64,
}

/// Recent data and the state it has come to.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) window: Window,
    pub(crate) runtime: Runtime,
    /// The grid point of the last evaluation; `None` before the first.
    evaluated: Option<i64>,
    /// Where the sliding windows began that put it into ALARM; `None` where others did.
    fired_from: Option<i64>,
}

/// When something is judged, and in whose account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judging<'a> {
    /// The watch's time.
    pub(crate) now: Timestamp,
    /// 12 digits.
    pub(crate) account: &'a str,
}

/// Data of one step that is new to an alarm.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    buckets: BTreeSet<i64>,
    /// What came more than a period after it happened: (milliseconds late, bucket).
    late: Vec<(i64, i64)>,
    /// What an incident may count.
    fed: Vec<Fed>,
}

/// Samples that an incident may count.
#[derive(Clone, Debug)]
pub(crate) struct Fed {
    /// When they happened.
    pub(crate) second: i64,
    /// The bucket of the window that took them.
    pub(crate) bucket: i64,
    /// What they add up to.
    pub(crate) count: f64,
    /// What their events have to say.
    pub(crate) evidence: Evidence,
}

/// A verdict together with what a message needs.
struct Change {
    verdict: Verdict,
    window: Option<(i64, i64)>,
    late_by_ms: Option<i64>,
    fired_from: Option<i64>,
}

/// Seconds from the start of the evaluation range to its end.
pub(crate) fn range_s(alarm: &MetricAlarm) -> i64 {
    Rule::of(alarm).slots().saturating_mul(alarm.period_s)
}

/// The oldest second whose data can still fire at `now_s`.
pub(crate) fn accepted_from(alarm: &MetricAlarm, now_s: i64) -> i64 {
    now_s.saturating_sub(range_s(alarm).max(LATENESS_MAX_S))
}

/// The oldest second that judging the oldest accepted data can need at `now_s`, conditions included.
pub(crate) fn needed_from(alarm: &MetricAlarm, now_s: i64) -> i64 {
    judged_from(alarm, grid(alarm, now_s)).saturating_sub(behind_s(alarm))
}

/// The oldest second that is held from the evaluation at `grid` on. It moves with evaluations, not with the clock: they drop
/// what is older, and what is there in between must be what a restart brings back.
///
/// The first second of a bucket of the window: where points were folded into such, all of it is there or nothing.
fn judged_from(alarm: &MetricAlarm, grid: i64) -> i64 {
    let oldest = accepted_from(alarm, grid).saturating_sub(range_s(alarm));
    bucket_start(oldest, window(alarm).bucket_s())
}

fn cadence_s(alarm: &MetricAlarm) -> i64 {
    let range_s = alarm.period_s.saturating_mul(i64::from(alarm.evaluation_periods));
    if alarm.period_s < CADENCE_S {
        HIGH_RESOLUTION_CADENCE_S
    } else if range_s > 86_400 {
        LONG_RANGE_CADENCE_S
    } else {
        CADENCE_S
    }
}

fn grid(alarm: &MetricAlarm, now_s: i64) -> i64 {
    let cadence_s = cadence_s(alarm);
    now_s.saturating_sub(COMPLETE_AFTER_S).div_euclid(cadence_s).saturating_mul(cadence_s)
}

fn window(alarm: &MetricAlarm) -> Window {
    Window::new(range_s(alarm), alarm.period_s)
}

/// Seconds that one stored point may stand for so that judging loses nothing: those of a bucket of the window, and one
/// where it counts what came before what.
pub(crate) fn resolution_s(alarm: &MetricAlarm) -> i64 {
    if behind_s(alarm) > 0 { 1 } else { window(alarm).bucket_s() }
}

/// Seconds before a sample that say whether it counts: a period, where it must follow something else.
fn behind_s(alarm: &MetricAlarm) -> i64 {
    let Measure::Query(measure) = &alarm.measure else { return 0 };
    let follows = Query::parse(&measure.text).is_ok_and(|query| query.after.is_some());
    if follows { alarm.period_s } else { 0 }
}

impl Question {
    /// The question of an alarm on one series. A statistic that cannot be read counts samples; such an alarm does not pass
    /// [`MetricAlarm::check`].
    pub(crate) fn of_series(alarm: MetricAlarm, measure: &SeriesMeasure) -> Self {
        let statistic = Statistic::parse(&measure.statistic).unwrap_or(Statistic::SampleCount);
        Self::new(alarm, statistic, measure.unit.clone())
    }

    /// The question of an alarm that reads `statistic` off the data stored with `unit`, or off all of it.
    pub(crate) fn new(alarm: MetricAlarm, statistic: Statistic, unit: Option<String>) -> Self {
        let fires_early = statistic::can_fire_early(statistic, alarm.comparison);
        let behind_s = behind_s(&alarm);
        Self { alarm, statistic, unit, fires_early, behind_s }
    }

    /// The question of an alarm on an expression, which is judged on the slots of the clock only.
    pub(crate) fn of_expression(alarm: MetricAlarm) -> Self {
        Self { alarm, statistic: Statistic::SampleCount, unit: None, fires_early: false, behind_s: 0 }
    }

    /// Whether data on its way out of the window can change nothing: then a standing that is OK needs no tick.
    pub(crate) fn only_arrivals_alarm(&self) -> bool {
        self.fires_early
            && self.alarm.evaluation_periods == 1
            && self.alarm.missing_data != MissingData::Breaching
    }

    /// The oldest second whose samples a judgement can need from the evaluation at `grid` on. What is older says at most
    /// whether younger ones count, so that it is not known of it whether it counts itself.
    pub(crate) fn judged_from(&self, grid: i64) -> i64 {
        judged_from(&self.alarm, grid)
    }

    /// The oldest second that says whether one of those samples counts.
    pub(crate) fn needed_from(&self, grid: i64) -> i64 {
        self.judged_from(grid).saturating_sub(self.behind_s)
    }

    /// The evaluation that says at `now` what is in reach: the latest there was, if it is not one to come, as for an alarm
    /// that was written by a clock that was ahead. Without a clock, as after a restart, nothing is out of reach.
    pub(crate) fn reached(&self, now: Option<Timestamp>, evaluated: Option<i64>) -> Option<i64> {
        let grid = self.grid(now?.second());
        Some(evaluated.map_or(grid, |evaluated| evaluated.min(grid)))
    }

    /// What samples come to for an incident: their sum where the alarm is on `Sum`, else their number.
    pub(crate) fn counted(&self, samples: &Aggregate) -> f64 {
        if self.statistic == Statistic::Sum { samples.sum } else { samples.count }
    }

    /// What an incident may count of these samples; the bucket is told once they are folded in.
    pub(crate) fn fed(&self, second: i64, samples: &Aggregate, evidence: &Evidence) -> Fed {
        Fed { second, bucket: second, count: self.counted(samples), evidence: evidence.clone() }
    }

    /// The newest second that complete slots may end at.
    pub(crate) fn grid(&self, now_s: i64) -> i64 {
        grid(&self.alarm, now_s)
    }

    /// Slots of periods under a minute end on multiples of the period, others on every point of the grid.
    pub(crate) fn slot_step_s(&self) -> i64 {
        if self.alarm.period_s < CADENCE_S { self.alarm.period_s } else { cadence_s(&self.alarm) }
    }

    /// Where the newest slot ends that is judged at a point of the grid.
    pub(crate) fn slots_end(&self, grid: i64) -> i64 {
        grid.div_euclid(self.slot_step_s()).saturating_mul(self.slot_step_s())
    }

    fn line(&self) -> Line<'_> {
        Line::new(&self.alarm, self.statistic, self.slot_step_s())
    }

    /// Whether `datum` is for this question at all, and inside the reach of every judgement after the one at `evaluated`.
    pub(crate) fn admits(&self, now: Option<Timestamp>, evaluated: Option<i64>, datum: &Datum) -> bool {
        let reach = self.reached(now, evaluated).map_or(i64::MIN, |grid| self.needed_from(grid));
        let ahead = now.map_or(i64::MAX, |now| now.second().saturating_add(AHEAD_MAX_S));
        let unit = datum.unit.as_deref().unwrap_or("None");
        let seen = self.unit.as_deref().is_none_or(|wanted| wanted == unit);
        seen && (reach..=ahead).contains(&datum.second) && !datum.aggregate.is_empty()
    }

    /// Whether `datum` came too late to fire.
    pub(crate) fn is_too_late(&self, now: Timestamp, second: i64) -> bool {
        second < accepted_from(&self.alarm, now.second())
    }

    /// Whether `other` asks another question: then old data may be judged anew.
    pub(crate) fn differs_from(&self, other: &MetricAlarm) -> bool {
        let this = &self.alarm;
        this.measure != other.measure
            || this.period_s != other.period_s
            || Rule::of(this) != Rule::of(other)
            || this.threshold != other.threshold
            || this.comparison != other.comparison
            || this.band != other.band
            || this.evaluate_low_sample_count_percentile != other.evaluate_low_sample_count_percentile
    }
}

impl Standing {
    /// A standing in the state of `runtime`, without data.
    pub(crate) fn new(question: &Question, runtime: Runtime) -> Self {
        let window = window(&question.alarm);
        Self { window, runtime, evaluated: None, fired_from: None }
    }

    /// Takes the evaluations up to `now` as done.
    pub(crate) fn skip_to(&mut self, question: &Question, now: Timestamp) {
        self.evaluated = Some(question.grid(now.second()));
    }

    /// Folds a datum in without judging it, unless the question does not admit it; gives the bucket that took it.
    pub(crate) fn restore(
        &mut self,
        question: &Question,
        now: Option<Timestamp>,
        datum: Datum,
    ) -> Option<i64> {
        let admitted = question.admits(now, self.evaluated, &datum);
        admitted.then(|| self.window.take(datum.second, datum.aggregate, datum.evidence))
    }

    /// Folds a datum that just arrived in and notes it in `arrived`, unless it came too late to fire. `followed`: an
    /// incident may count it.
    pub(crate) fn take(
        &mut self,
        question: &Question,
        now: Timestamp,
        datum: Datum,
        followed: bool,
        arrived: &mut Arrived,
    ) {
        let too_late = question.is_too_late(now, datum.second);
        let late = Late::of(now, &datum, question);
        let fed = followed.then(|| question.fed(datum.second, &datum.aggregate, &datum.evidence));
        let Some(bucket) = self.restore(question, Some(now), datum).filter(|_| !too_late) else { return };
        arrived.note(bucket, late);
        arrived.feed(fed.map(|fed| Fed { bucket, ..fed }));
    }

    /// Judges what just arrived: the alarm fires if a window that holds some of it crosses the line.
    pub(crate) fn arrive(
        &mut self,
        question: &Question,
        judging: Judging<'_>,
        arrived: &Arrived,
    ) -> Option<Transition> {
        if !question.fires_early || self.runtime.state == State::Alarm || arrived.buckets.is_empty() {
            return None;
        }
        let crossing = question.line().find(&self.window, &Where::Holding(&arrived.buckets))?;
        let mut change = crossed(question, crossing);
        change.late_by_ms = change.window.and_then(|(from, to)| arrived.late_by(from, to));
        Some(self.apply(question, judging, &change))
    }

    /// Judges the complete slots, once for each point of the grid; drops what is no longer needed.
    ///
    /// Data is complete up to `complete`; `judging.now` is when this is judged.
    pub(crate) fn tick(
        &mut self,
        question: &Question,
        complete: Timestamp,
        judging: Judging<'_>,
    ) -> Option<Transition> {
        let grid = question.grid(complete.second());
        if self.evaluated.is_some_and(|evaluated| grid <= evaluated) {
            return None;
        }
        self.window.expire_before(question.judged_from(grid));
        self.evaluate_at(question, grid, judging, self.runtime.forced)
    }

    /// Judges at once. `anew`: data that was judged before may bring an alarm again, because the configuration changed
    /// or the state was set by hand.
    pub(crate) fn evaluate(
        &mut self,
        question: &Question,
        judging: Judging<'_>,
        anew: bool,
    ) -> Option<Transition> {
        self.evaluate_at(question, question.grid(judging.now.second()), judging, anew)
    }

    fn evaluate_at(
        &mut self,
        question: &Question,
        grid: i64,
        judging: Judging<'_>,
        anew: bool,
    ) -> Option<Transition> {
        self.evaluated = Some(grid);
        self.runtime.forced = false;
        let change = self.assess(question, grid, anew)?;
        Some(self.apply(question, judging, &change))
    }

    /// Sets the state by hand; a transition when it differs.
    pub(crate) fn force(
        &mut self,
        question: &Question,
        judging: Judging<'_>,
        state: State,
        reason: String,
        reason_data: Option<String>,
    ) -> Option<Transition> {
        self.runtime.forced = true;
        self.fired_from = None;
        let before = self.runtime.enter(judging.now, state, reason, reason_data);
        (before.0 != state).then(|| transition(question, judging, &self.runtime, before))
    }

    /// Folds all of another window in.
    pub(crate) fn take_over(&mut self, window: Window) {
        for (second, bucket) in window.into_buckets() {
            let evidence = bucket.evidence.map(|evidence| *evidence).unwrap_or_default();
            self.window.take(second, bucket.aggregate, evidence);
        }
    }

    /// Whether all data is newer than the slots that `now` judges: they are from before it was known.
    pub(crate) fn begins_after(&self, question: &Question, now: Timestamp) -> bool {
        let end = question.slots_end(question.grid(now.second()));
        self.window.start().is_some_and(|start| start >= end)
    }

    /// What the data up to `grid` asks for; `None` keeps the state.
    fn assess(&self, question: &Question, grid: i64, anew: bool) -> Option<Change> {
        let state = self.runtime.state;
        let alarm = &question.alarm;
        if question.fires_early && (state == State::Alarm || anew) {
            let recent = Where::EndingAfter(grid.saturating_sub(alarm.period_s));
            if let Some(crossing) = question.line().find(&self.window, &recent) {
                return (state != State::Alarm).then(|| crossed(question, crossing));
            }
        }
        let end = question.slots_end(grid);
        let rule = Rule::of(alarm);
        let slots = question.line().slots(&self.window, end, rule.slots());
        if too_few_samples(question, &slots) {
            return None;
        }
        let verdict = judge::judge(&slots, rule)?;
        let told = verdict.state == State::Alarm && !anew && self.was_told(question, &verdict);
        if verdict.state == state || told {
            return None;
        }
        let window = span(&verdict.decisive, alarm.period_s);
        Some(Change { verdict, window, late_by_ms: None, fired_from: None })
    }

    /// Where the windows began that put it into ALARM, where those were windows that slide.
    pub(crate) fn fired_from(&self) -> Option<i64> {
        self.fired_from
    }

    /// Where the earliest windows begin that cross the line with some of what arrived, if that is before `from`: in
    /// whatever order data comes, what it comes to is the same.
    pub(crate) fn crossed_before(&self, question: &Question, arrived: &Arrived, from: i64) -> Option<i64> {
        let reach = from.saturating_add(range_s(&question.alarm));
        if !question.fires_early || arrived.buckets.first().is_none_or(|first| *first >= reach) {
            return None;
        }
        let near: BTreeSet<i64> = arrived.buckets.range(..reach).copied().collect();
        let crossing = question.line().find(&self.window, &Where::Holding(&near))?;
        Some(crossing.from).filter(|begin| *begin < from)
    }

    /// Whether a tick's ALARM rests on data that has been held against the line when it came. It fired then, or it did
    /// not cross; that it falls into other slots by now makes it no news.
    fn was_told(&self, question: &Question, verdict: &Verdict) -> bool {
        if !question.fires_early {
            return false;
        }
        match verdict.basis {
            Basis::Points => !(question.statistic == Statistic::Sum && self.holds_negative()),
            Basis::Aging => {
                let newest_end =
                    verdict.decisive.first().map_or(i64::MIN, |slot| slot.start + question.alarm.period_s);
                self.runtime
                    .told_until
                    .is_some_and(|told| self.window.range(told..newest_end.max(told)).next().is_none())
            }
            Basis::Fills | Basis::Nothing => false,
        }
    }

    /// Whether a sum may cross the line by a negative sample leaving its window.
    pub(crate) fn holds_negative(&self) -> bool {
        self.window.range(i64::MIN..i64::MAX).any(|(_, bucket)| bucket.aggregate.min < 0.0)
    }

    fn apply(&mut self, question: &Question, judging: Judging<'_>, change: &Change) -> Transition {
        if self.runtime.state == State::Alarm {
            self.runtime.told_until = self.window.end();
        }
        self.fired_from = change.fired_from;
        let alarm = &question.alarm;
        let reason = reason::text(alarm, &change.verdict);
        let reason_data = reason::data(alarm, &change.verdict, judging.now);
        let before = self.runtime.enter(judging.now, change.verdict.state, reason, Some(reason_data));
        let mut told = transition(question, judging, &self.runtime, before);
        let decisive = change.verdict.decisive.first();
        told.value = decisive.and_then(|slot| slot.point).map(|point| point.value);
        told.late_by_ms = change.late_by_ms;
        if let Some((from, to)) = change.window {
            told.window = Some((Timestamp::from_seconds(from), Timestamp::from_seconds(to)));
            told.evidence = self.window.evidence(from..to);
        }
        let end = change.window.map_or_else(|| question.grid(judging.now.second()), |(_, to)| to);
        let seen = self.window.end().unwrap_or(end).max(judging.now.second().saturating_add(1));
        told.curve = self.curve(question, judging.now, end.min(seen));
        told
    }

    /// The statistic over the one window that ends at `end`; `None` where it holds no data.
    pub(crate) fn measure(&self, question: &Question, end: i64) -> Option<CurvePoint> {
        let from = end.saturating_sub(question.alarm.period_s);
        let samples = self.window.fold(from..end, !question.statistic.reads_totals());
        let value = question.statistic.value(&samples)?;
        Some(CurvePoint { at: Timestamp::from_seconds(end), value })
    }

    /// The statistic over windows that slide up to `end`, for whoever draws it. Where a window without data counts
    /// nothing the curve is zero, otherwise it has a gap.
    fn curve(&self, question: &Question, now: Timestamp, end: i64) -> Vec<CurvePoint> {
        let period_s = question.alarm.period_s;
        let zero =
            matches!(question.statistic, Statistic::Sum | Statistic::SampleCount | Statistic::Distinct);
        let span_s = period_s.saturating_mul(CURVE_PERIODS);
        // A window that reaches back to where nothing is held would show less than there was.
        let held_from = question.judged_from(question.grid(now.second())).saturating_add(period_s);
        let from = end.saturating_sub(span_s).max(held_from);
        let step_s = ((end - from) / CURVE_POINTS_MAX).max(1);
        let with_values = !question.statistic.reads_totals();
        let mut points = Vec::new();
        let mut at = end;
        while at > from && points.len() < CURVE_POINTS_MAX as usize {
            let samples = self.window.fold(at.saturating_sub(period_s)..at, with_values);
            let value = question.statistic.value(&samples).or(zero.then_some(0.0));
            points.extend(value.map(|value| CurvePoint { at: Timestamp::from_seconds(at), value }));
            at -= step_s;
        }
        points.reverse();
        points
    }
}

fn too_few_samples(question: &Question, slots: &[Slot]) -> bool {
    question.alarm.evaluate_low_sample_count_percentile == "ignore"
        && slots
            .iter()
            .find_map(|slot| slot.point)
            .is_some_and(|point| point.samples < question.statistic.samples_needed())
}

fn crossed(question: &Question, crossing: Crossing) -> Change {
    let needed = question.alarm.evaluation_periods as usize;
    let judged: Vec<Slot> =
        crossing.slots.into_iter().filter(|slot| slot.point.is_some()).take(needed).collect();
    let breaching = |slot: &&Slot| slot.point.is_some_and(|point| point.breaching);
    let decisive: Vec<Slot> = judged.iter().filter(breaching).copied().collect();
    let window = span(&decisive, question.alarm.period_s);
    let verdict =
        Verdict { state: State::Alarm, basis: Basis::Points, decisive, judged, missing: Vec::new() };
    Change { verdict, window, late_by_ms: None, fired_from: Some(crossing.from) }
}

/// A transition into the state of `runtime`, without numbers and evidence.
pub(crate) fn transition(
    question: &Question,
    judging: Judging<'_>,
    runtime: &Runtime,
    (from, old_reason): (State, String),
) -> Transition {
    Transition {
        alarm: question.alarm.clone(),
        account: judging.account.to_owned(),
        contributor: None,
        from,
        to: runtime.state,
        at: judging.now,
        old_reason,
        reason: runtime.reason.clone(),
        reason_data: runtime.reason_data.clone().unwrap_or_default(),
        value: None,
        window: None,
        late_by_ms: None,
        evidence: Evidence::default(),
        curve: Vec::new(),
        band: None,
        usual: None,
        acts: question.alarm.actions_enabled,
        after_mute: false,
        incident: None,
    }
}

impl Arrived {
    /// Notes data that is new in `bucket`.
    pub(crate) fn note(&mut self, bucket: i64, late: Option<Late>) {
        self.buckets.insert(bucket);
        self.late.extend(late.map(|Late(late_ms)| (late_ms, bucket)));
    }

    /// Notes what an incident may count.
    pub(crate) fn feed(&mut self, fed: impl IntoIterator<Item = Fed>) {
        self.fed.extend(fed);
    }

    /// What an incident may count, in the order it came.
    pub(crate) fn take_fed(&mut self) -> Vec<Fed> {
        std::mem::take(&mut self.fed)
    }

    /// Forgets that anything came but into `buckets`: the rest belongs to an incident that is over.
    pub(crate) fn keep(&mut self, buckets: &BTreeSet<i64>) {
        self.buckets.retain(|bucket| buckets.contains(bucket));
    }

    /// The first and the last bucket that something came into, if anything did.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        Some((*self.buckets.first()?, *self.buckets.last()?))
    }

    /// How late the latest of the data between `from` and `to` came, if any was late.
    fn late_by(&self, from: i64, to: i64) -> Option<i64> {
        self.late.iter().filter(|(_, bucket)| (from..to).contains(bucket)).map(|(late_ms, _)| *late_ms).max()
    }
}

/// By how many milliseconds data came later than a period after it happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late(i64);

impl Late {
    pub(crate) fn of(now: Timestamp, datum: &Datum, question: &Question) -> Option<Self> {
        // What the watch finds by itself may tell of events that are older than the finding.
        let second = Timestamp::from_seconds(datum.second);
        let happened = datum.evidence.last.map_or(second, |last| last.max(second));
        let late_ms = datum.evidence.last_arrival.unwrap_or(now).since(happened);
        (late_ms > question.alarm.period_s.saturating_mul(1_000)).then_some(Self(late_ms))
    }
}

/// From the start of the oldest slot to the end of the newest.
pub(crate) fn span(slots: &[Slot], period_s: i64) -> Option<(i64, i64)> {
    Some((slots.last()?.start, slots.first()?.start.saturating_add(period_s)))
}
