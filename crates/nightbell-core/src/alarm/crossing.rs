/*!
The search for a window that has crossed the line, wherever it lies.

Windows slide over event time: a burst that straddles a minute is one burst. A window that crosses can be moved back
until it ends with its last data and still crosses, so only windows that end right after data are looked at. With more
than one period the slots of the clock are looked at too, as a tick would see them. Sums by prefix keep a step cheap.
*/

use std::collections::BTreeSet;

use super::judge::{self, Basis, Point, Rule, Slot};
use super::{MetricAlarm, State};
use crate::metric::Aggregate;
use crate::statistic::Statistic;
use crate::window::Window;

/// How far ahead of the clock data may lie; beyond it is no data. Sources are held to less when they send.
pub(super) const AHEAD_MAX_S: i64 = 24 * 60 * 60;

/// Relative doubt about a difference of prefix sums; whatever is this close to the line is summed up anew.
const SUM_DOUBT: f64 = 1e-9;

/// Where a crossing may be found.
pub(super) enum Where<'a> {
    /// In windows that hold one of these buckets: what just arrived.
    Holding(&'a BTreeSet<i64>),
    /// In windows that end after this second: what is recent.
    EndingAfter(i64),
}

/// The windows that crossed the line, newest first.
pub(super) struct Crossing {
    /// N sliding windows, or the slots of the clock.
    pub slots: Vec<Slot>,
    /// The first second of the breaching windows as they slid, even where the slots of the clock are told: more data
    /// can only move it back.
    pub from: i64,
}

/// The line and the periods it is held against.
pub(super) struct Line<'a> {
    alarm: &'a MetricAlarm,
    statistic: Statistic,
    rule: Rule,
    cadence_s: i64,
}

impl<'a> Line<'a> {
    /// The line of `alarm`, whose slots end on multiples of `cadence_s`.
    pub(super) fn new(alarm: &'a MetricAlarm, statistic: Statistic, cadence_s: i64) -> Self {
        Self { alarm, statistic, rule: Rule::of(alarm), cadence_s }
    }

    /// The earliest crossing, by its end.
    pub(super) fn find(&self, window: &Window, place: &Where<'_>) -> Option<Crossing> {
        let period_s = self.alarm.period_s;
        let span_s = self.rule.slots() * period_s;
        let (from, to) = match place {
            Where::Holding(touched) => (*touched.first()?, touched.last()?.saturating_add(span_s)),
            Where::EndingAfter(second) => (
                second.saturating_sub(window.bucket_s()),
                second.saturating_add(AHEAD_MAX_S).saturating_add(span_s),
            ),
        };
        let measures = self.measure(window, from.saturating_sub(span_s), to);
        let sliding = measures.starts.iter().map(|start| start + window.bucket_s());
        let sliding_span_s = i64::from(self.rule.evaluation_periods) * period_s;
        for end in sliding.filter(|end| place.admits(*end, sliding_span_s)) {
            if self.may_breach(&measures, end)
                && let Some(crossing) = self.crossing_sliding(window, &measures, end)
            {
                return Some(crossing);
            }
        }
        if self.rule.evaluation_periods == 1 {
            return None; // a slot of the clock that crosses has a sliding window that does
        }
        let last = measures.starts.last()?.saturating_add(period_s);
        let mut end = from.div_euclid(self.cadence_s).saturating_add(1).saturating_mul(self.cadence_s);
        while end <= last {
            if place.admits(end, span_s)
                && self.may_breach(&measures, end)
                && let Some(crossing) = self.crossing_slots(window, end)
            {
                return Some(crossing);
            }
            end = end.saturating_add(self.cadence_s);
        }
        None
    }

    /// The slots of the clock that end at `end`, newest first; `count` of them.
    pub(super) fn slots(&self, window: &Window, end: i64, count: i64) -> Vec<Slot> {
        let period_s = self.alarm.period_s;
        let with_values = !self.statistic.reads_totals();
        (0..count)
            .map(|i| {
                let start = end.saturating_sub((i + 1).saturating_mul(period_s));
                let samples = window.fold(start..start.saturating_add(period_s), with_values);
                Slot { start, point: self.point(&samples) }
            })
            .collect()
    }

    fn point(&self, samples: &Aggregate) -> Option<Point> {
        let value = self.statistic.value(samples)?;
        let breaching = judge::crosses(value, self.alarm.comparison, self.alarm.threshold);
        Some(Point { value, samples: samples.count, breaching })
    }

    /// N windows back to back that end at `end`, when the newest and at least M of them breach.
    fn crossing_sliding(&self, window: &Window, measures: &Measures, end: i64) -> Option<Crossing> {
        let n = i64::from(self.rule.evaluation_periods);
        let to_alarm = self.rule.datapoints_to_alarm as usize;
        let period_s = self.alarm.period_s;
        let likely = (0..n).filter(|i| self.may_breach(measures, end.saturating_sub(i * period_s))).count();
        if likely < to_alarm {
            return None;
        }
        let slots = self.slots(window, end, n);
        let breaching = slots.iter().filter(|slot| breaches(slot)).count();
        if !breaches(slots.first()?) || breaching < to_alarm {
            return None;
        }
        // Where the slots of the clock say the same by data up to `end`, they are what a reader expects to be told.
        let clock_end = end.saturating_add(self.cadence_s - 1).div_euclid(self.cadence_s) * self.cadence_s;
        let so_far = clock_end.saturating_sub(period_s)..end;
        let newest = self.point(&window.fold(so_far, !self.statistic.reads_totals()));
        let on_the_clock = newest.is_some_and(|point| point.breaching);
        let clock = if on_the_clock { self.crossing_slots(window, clock_end) } else { None };
        let from = breaching_from(&slots, self.rule);
        Some(match clock {
            Some(clock) => Crossing { from: from.min(clock.from), ..clock },
            None => Crossing { slots, from },
        })
    }

    /// The slots of the clock up to `end`, when the newest breaches and points alone make an alarm.
    fn crossing_slots(&self, window: &Window, end: i64) -> Option<Crossing> {
        let slots = self.slots(window, end, self.rule.slots());
        let verdict = judge::judge(&slots, self.rule)?;
        let alarm = verdict.state == State::Alarm && verdict.basis == Basis::Points;
        let from = breaching_from(&slots, self.rule);
        (alarm && breaches(slots.first()?)).then_some(Crossing { slots, from })
    }

    /// Whether the window that ends at `end` breaches, or is too close to the line to say.
    fn may_breach(&self, measures: &Measures, end: i64) -> bool {
        let Some(total) = measures.over(end.saturating_sub(self.alarm.period_s), end) else { return false };
        if self.statistic == Statistic::Maximum {
            return total >= 1.0;
        }
        let doubt = SUM_DOUBT * (1.0 + measures.magnitude);
        judge::crosses(total, self.alarm.comparison, self.alarm.threshold)
            || (total - self.alarm.threshold).abs() <= doubt
    }

    fn measure(&self, window: &Window, from: i64, to: i64) -> Measures {
        let mut measures = Measures { starts: Vec::new(), before: vec![0.0], magnitude: 0.0 };
        let mut total = 0.0;
        for (start, bucket) in window.range(from..to) {
            let measure = match self.statistic {
                Statistic::Maximum => {
                    let crosses =
                        judge::crosses(bucket.aggregate.max, self.alarm.comparison, self.alarm.threshold);
                    f64::from(u8::from(crosses))
                }
                Statistic::SampleCount => bucket.aggregate.count,
                // At most: keys may come again in other buckets.
                Statistic::Distinct => bucket.aggregate.distinct.count(),
                _ => bucket.aggregate.sum,
            };
            total += measure;
            measures.magnitude += measure.abs();
            measures.starts.push(start);
            measures.before.push(total);
        }
        measures
    }
}

impl Where<'_> {
    /// Whether windows that end at `end` and reach back `span_s` seconds are looked at.
    fn admits(&self, end: i64, span_s: i64) -> bool {
        match self {
            Self::Holding(touched) => {
                touched.range(..end).next_back().is_some_and(|second| *second >= end.saturating_sub(span_s))
            }
            Self::EndingAfter(second) => end > *second,
        }
    }
}

/// What each bucket adds to a window, as prefix sums.
struct Measures {
    starts: Vec<i64>,
    /// `before[i]`: sum over the first `i` buckets.
    before: Vec<f64>,
    /// Sum of the magnitudes: the scale of rounding errors.
    magnitude: f64,
}

impl Measures {
    /// The sum over the buckets inside `from..to`; `None` when there is none.
    fn over(&self, from: i64, to: i64) -> Option<f64> {
        let first = self.starts.partition_point(|start| *start < from);
        let after = self.starts.partition_point(|start| *start < to);
        (first < after).then(|| self.before[after] - self.before[first])
    }
}

/// Where the oldest breaching one begins of the N newest slots with data.
fn breaching_from(slots: &[Slot], rule: Rule) -> i64 {
    let judged = slots.iter().filter(|slot| slot.point.is_some()).take(rule.evaluation_periods as usize);
    judged.filter(|slot| breaches(slot)).map(|slot| slot.start).min().unwrap_or(i64::MAX)
}

fn breaches(slot: &Slot) -> bool {
    slot.point.is_some_and(|point| point.breaching)
}
