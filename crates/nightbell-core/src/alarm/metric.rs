/*!
One metric alarm as it is watched: its window, its state, and when the state moves.

Two things move it. **Arrival**: where a crossing window stays crossed (`can_fire_early`), data is held against the line
the moment it comes. **Ticks**: on the grid of the clock the newest complete slots are judged. A window that crossed
counts as the newest point for one period after its end; after that the slots of the clock decide, and what was already
told cannot be told again. What that means outside is `crate::watch`'s to say.
*/

use std::collections::BTreeSet;

use super::crossing::{AHEAD_MAX_S, Crossing, Line, Where};
use super::judge::{self, Basis, Rule, Slot, Verdict};
use super::runtime::Runtime;
use super::{MetricAlarm, State, Transition, reason};
use crate::evidence::Evidence;
use crate::metric::Datum;
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

/// One alarm, its recent data and its state.
#[derive(Clone, Debug)]
pub(crate) struct MetricWatch {
    alarm: MetricAlarm,
    statistic: Statistic,
    fires_early: bool,
    window: Window,
    runtime: Runtime,
    /// The grid point of the last evaluation; `None` before the first.
    evaluated: Option<i64>,
}

/// Data of one step that is new to an alarm.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    buckets: BTreeSet<i64>,
    /// What came more than a period after it happened: (milliseconds late, bucket).
    late: Vec<(i64, i64)>,
}

/// A verdict together with what a message needs.
struct Change {
    verdict: Verdict,
    window: Option<(i64, i64)>,
    late_by_ms: Option<i64>,
}

/// Seconds from the start of the evaluation range to its end.
fn range_s(alarm: &MetricAlarm) -> i64 {
    Rule::of(alarm).slots().saturating_mul(alarm.period_s)
}

/// The oldest second whose data can still fire at `now_s`.
fn accepted_from(alarm: &MetricAlarm, now_s: i64) -> i64 {
    now_s.saturating_sub(range_s(alarm).max(LATENESS_MAX_S))
}

/// The oldest second that judging the oldest accepted data can need.
pub(crate) fn needed_from(alarm: &MetricAlarm, now_s: i64) -> i64 {
    accepted_from(alarm, now_s).saturating_sub(range_s(alarm))
}

impl MetricWatch {
    /// An alarm in the state of `runtime`, without data. A statistic that cannot be read counts samples; such an alarm
    /// does not pass [`MetricAlarm::check`].
    pub(crate) fn new(alarm: MetricAlarm, runtime: Runtime) -> Self {
        let statistic = Statistic::parse(&alarm.statistic).unwrap_or(Statistic::SampleCount);
        let fires_early = statistic::can_fire_early(statistic, alarm.comparison);
        let window = Window::new(range_s(&alarm), alarm.period_s);
        Self { alarm, statistic, fires_early, window, runtime, evaluated: None }
    }

    pub(crate) fn alarm(&self) -> &MetricAlarm {
        &self.alarm
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Takes the evaluations up to `now` as done.
    pub(crate) fn skip_to(&mut self, now: Timestamp) {
        self.evaluated = Some(self.grid(now.second()));
    }

    /// Folds a datum in without judging it, unless it is not for this alarm or out of reach of every judgement; gives
    /// the bucket that took it. Without a clock, as after a restart, nothing is out of reach.
    pub(crate) fn restore(&mut self, now: Option<Timestamp>, datum: Datum) -> Option<i64> {
        let reach = now.map_or(i64::MIN, |now| needed_from(&self.alarm, now.second()));
        let ahead = now.map_or(i64::MAX, |now| now.second().saturating_add(AHEAD_MAX_S));
        let unit = datum.unit.as_deref().unwrap_or("None");
        let seen = self.alarm.unit.as_deref().is_none_or(|wanted| wanted == unit);
        if !seen || datum.second < reach || datum.second > ahead || datum.aggregate.is_empty() {
            return None;
        }
        Some(self.window.take(datum.second, datum.aggregate, datum.evidence))
    }

    /// Folds a datum that just arrived in and notes it in `arrived`, unless it came too late to fire.
    pub(crate) fn take(&mut self, now: Timestamp, datum: Datum, arrived: &mut Arrived) {
        let too_late = datum.second < accepted_from(&self.alarm, now.second());
        let happened = datum.evidence.last.unwrap_or(Timestamp::from_seconds(datum.second));
        let late_ms = datum.evidence.last_arrival.unwrap_or(now).since(happened);
        let Some(bucket) = self.restore(Some(now), datum).filter(|_| !too_late) else { return };
        arrived.buckets.insert(bucket);
        if late_ms > self.alarm.period_s.saturating_mul(1_000) {
            arrived.late.push((late_ms, bucket));
        }
    }

    /// Judges what just arrived: the alarm fires if a window that holds some of it crosses the line.
    pub(crate) fn arrive(&mut self, now: Timestamp, account: &str, arrived: &Arrived) -> Option<Transition> {
        if !self.fires_early || self.runtime.state == State::Alarm || arrived.buckets.is_empty() {
            return None;
        }
        let crossing = self.line().find(&self.window, &Where::Holding(&arrived.buckets))?;
        let mut change = self.crossed(crossing);
        change.late_by_ms = change.window.and_then(|(from, to)| arrived.late_by(from, to));
        Some(self.apply(now, account, &change))
    }

    /// Judges the complete slots, once for each point of the grid; drops what is no longer needed.
    ///
    /// Data is complete up to `complete`; `now` is when this is judged.
    pub(crate) fn tick(&mut self, complete: Timestamp, now: Timestamp, account: &str) -> Option<Transition> {
        let grid = self.grid(complete.second());
        if self.evaluated.is_some_and(|evaluated| grid <= evaluated) {
            return None;
        }
        self.window.expire_before(needed_from(&self.alarm, complete.second()));
        self.evaluate_at(grid, now, account, self.runtime.forced)
    }

    /// Judges at once. `anew`: data that was judged before may bring an alarm again, because the configuration changed
    /// or the state was set by hand.
    pub(crate) fn evaluate(&mut self, now: Timestamp, account: &str, anew: bool) -> Option<Transition> {
        self.evaluate_at(self.grid(now.second()), now, account, anew)
    }

    fn evaluate_at(&mut self, grid: i64, now: Timestamp, account: &str, anew: bool) -> Option<Transition> {
        self.evaluated = Some(grid);
        self.runtime.forced = false;
        let change = self.assess(grid, anew)?;
        Some(self.apply(now, account, &change))
    }

    /// Sets the state by hand; a transition when it differs.
    pub(crate) fn force(
        &mut self,
        now: Timestamp,
        account: &str,
        state: State,
        reason: String,
        reason_data: Option<String>,
    ) -> Option<Transition> {
        self.runtime.forced = true;
        let before = self.enter(now, state, reason, reason_data);
        (before.0 != state).then(|| self.transition(now, account, before, None, Evidence::default()))
    }

    /// Takes over what is known about the alarm that this one replaces: the state and, where it watches the same data,
    /// the data.
    pub(crate) fn succeed(&mut self, old: Self, keep_data: bool) {
        if keep_data && self.alarm.series == old.alarm.series && self.alarm.unit == old.alarm.unit {
            for (second, bucket) in old.window.into_buckets() {
                self.window.take(second, bucket.aggregate, bucket.evidence);
            }
        }
        self.runtime = old.runtime;
    }

    /// Whether `other` asks another question: then old data may be judged anew.
    pub(crate) fn judges_differently(&self, other: &MetricAlarm) -> bool {
        let this = &self.alarm;
        this.series != other.series
            || this.unit != other.unit
            || this.statistic != other.statistic
            || this.period_s != other.period_s
            || Rule::of(this) != Rule::of(other)
            || this.threshold != other.threshold
            || this.comparison != other.comparison
            || this.evaluate_low_sample_count_percentile != other.evaluate_low_sample_count_percentile
    }

    fn cadence_s(&self) -> i64 {
        let range_s = self.alarm.period_s.saturating_mul(i64::from(self.alarm.evaluation_periods));
        if self.alarm.period_s < CADENCE_S {
            HIGH_RESOLUTION_CADENCE_S
        } else if range_s > 86_400 {
            LONG_RANGE_CADENCE_S
        } else {
            CADENCE_S
        }
    }

    /// The newest second that complete slots may end at.
    fn grid(&self, now_s: i64) -> i64 {
        let cadence_s = self.cadence_s();
        now_s.saturating_sub(COMPLETE_AFTER_S).div_euclid(cadence_s).saturating_mul(cadence_s)
    }

    /// Slots of periods under a minute end on multiples of the period, others on every point of the grid.
    fn slot_step_s(&self) -> i64 {
        if self.alarm.period_s < CADENCE_S { self.alarm.period_s } else { self.cadence_s() }
    }

    fn line(&self) -> Line<'_> {
        Line::new(&self.alarm, self.statistic, self.slot_step_s())
    }

    /// What the data up to `grid` asks for; `None` keeps the state.
    fn assess(&self, grid: i64, anew: bool) -> Option<Change> {
        let state = self.runtime.state;
        if self.fires_early && (state == State::Alarm || anew) {
            let recent = Where::EndingAfter(grid.saturating_sub(self.alarm.period_s));
            if let Some(crossing) = self.line().find(&self.window, &recent) {
                return (state != State::Alarm).then(|| self.crossed(crossing));
            }
        }
        let end = grid.div_euclid(self.slot_step_s()).saturating_mul(self.slot_step_s());
        let rule = Rule::of(&self.alarm);
        let slots = self.line().slots(&self.window, end, rule.slots());
        if self.too_few_samples(&slots) {
            return None;
        }
        let verdict = judge::judge(&slots, rule)?;
        if verdict.state == state || (verdict.state == State::Alarm && !anew && self.was_told(&verdict)) {
            return None;
        }
        let window = span(&verdict.decisive, self.alarm.period_s);
        Some(Change { verdict, window, late_by_ms: None })
    }

    /// Whether a tick's ALARM rests on data that has been held against the line when it came. It fired then, or it did
    /// not cross; that it falls into other slots by now makes it no news.
    fn was_told(&self, verdict: &Verdict) -> bool {
        if !self.fires_early {
            return false;
        }
        match verdict.basis {
            Basis::Points => !(self.statistic == Statistic::Sum && self.holds_negative()),
            Basis::Aging => {
                let newest_end =
                    verdict.decisive.first().map_or(i64::MIN, |slot| slot.start + self.alarm.period_s);
                self.runtime
                    .told_until
                    .is_some_and(|told| self.window.range(told..newest_end.max(told)).next().is_none())
            }
            Basis::Fills | Basis::Nothing => false,
        }
    }

    /// Whether a sum may cross the line by a negative sample leaving its window.
    fn holds_negative(&self) -> bool {
        self.window.range(i64::MIN..i64::MAX).any(|(_, bucket)| bucket.aggregate.min < 0.0)
    }

    fn too_few_samples(&self, slots: &[Slot]) -> bool {
        self.alarm.evaluate_low_sample_count_percentile == "ignore"
            && slots
                .iter()
                .find_map(|slot| slot.point)
                .is_some_and(|point| point.samples < self.statistic.samples_needed())
    }

    fn crossed(&self, crossing: Crossing) -> Change {
        let needed = self.alarm.evaluation_periods as usize;
        let judged: Vec<Slot> =
            crossing.slots.into_iter().filter(|slot| slot.point.is_some()).take(needed).collect();
        let breaching = |slot: &&Slot| slot.point.is_some_and(|point| point.breaching);
        let decisive: Vec<Slot> = judged.iter().filter(breaching).copied().collect();
        let window = span(&decisive, self.alarm.period_s);
        let verdict =
            Verdict { state: State::Alarm, basis: Basis::Points, decisive, judged, missing: Vec::new() };
        Change { verdict, window, late_by_ms: None }
    }

    fn apply(&mut self, now: Timestamp, account: &str, change: &Change) -> Transition {
        if self.runtime.state == State::Alarm {
            self.runtime.told_until = self.window.end();
        }
        let reason = reason::text(&self.alarm, &change.verdict);
        let reason_data = reason::data(&self.alarm, &change.verdict, now);
        let before = self.enter(now, change.verdict.state, reason, Some(reason_data));
        let evidence = change.window.map(|(from, to)| self.window.evidence(from..to)).unwrap_or_default();
        self.transition(now, account, before, Some(change), evidence)
    }

    /// Writes state and reason; gives those before.
    fn enter(
        &mut self,
        now: Timestamp,
        state: State,
        reason: String,
        reason_data: Option<String>,
    ) -> (State, String) {
        if self.runtime.state != state {
            self.runtime.state_transitioned = now;
        }
        self.runtime.reason_data = reason_data;
        self.runtime.state_updated = now;
        (
            std::mem::replace(&mut self.runtime.state, state),
            std::mem::replace(&mut self.runtime.reason, reason),
        )
    }

    fn transition(
        &self,
        now: Timestamp,
        account: &str,
        (from, old_reason): (State, String),
        change: Option<&Change>,
        evidence: Evidence,
    ) -> Transition {
        let decisive = change.and_then(|change| change.verdict.decisive.first());
        let window = change.and_then(|change| change.window);
        Transition {
            alarm: self.alarm.clone(),
            account: account.to_owned(),
            from,
            to: self.runtime.state,
            at: now,
            old_reason,
            reason: self.runtime.reason.clone(),
            reason_data: self.runtime.reason_data.clone().unwrap_or_default(),
            value: decisive.and_then(|slot| slot.point).map(|point| point.value),
            window: window.map(|(from, to)| (Timestamp::from_seconds(from), Timestamp::from_seconds(to))),
            late_by_ms: change.and_then(|change| change.late_by_ms),
            evidence,
        }
    }
}

impl Arrived {
    /// How late the latest of the data between `from` and `to` came, if any was late.
    fn late_by(&self, from: i64, to: i64) -> Option<i64> {
        self.late.iter().filter(|(_, bucket)| (from..to).contains(bucket)).map(|(late_ms, _)| *late_ms).max()
    }
}

/// From the start of the oldest slot to the end of the newest.
fn span(slots: &[Slot], period_s: i64) -> Option<(i64, i64)> {
    Some((slots.last()?.start, slots.first()?.start.saturating_add(period_s)))
}
