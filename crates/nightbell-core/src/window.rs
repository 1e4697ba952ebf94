/*!
The recent seconds of one alarm's series: what is folded together when a period is looked at.

Bounded in width: seconds that no judgement can need are dropped, and alarms that look far back keep minutes instead of
seconds. Knows neither thresholds nor states.
*/

use std::collections::VecDeque;
use std::ops::Range;

use crate::evidence::Evidence;
use crate::metric::Aggregate;

/// Longest evaluation range whose seconds are kept one by one; longer ones keep minutes.
pub const SECONDS_RANGE_MAX_S: i64 = 3 * 60 * 60;
/// Width of a bucket for longer ranges.
pub const COARSE_BUCKET_S: i64 = 60;

/// What one bucket holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bucket {
    /// The samples.
    pub aggregate: Aggregate,
    /// What the events behind them say, where there are any.
    pub evidence: Option<Box<Evidence>>,
}

impl Bucket {
    /// Folds more samples in.
    pub fn merge(&mut self, aggregate: &Aggregate, evidence: Option<Box<Evidence>>) {
        self.aggregate.merge(aggregate);
        match (&mut self.evidence, evidence) {
            (Some(held), Some(more)) => held.merge(&more),
            (held @ None, more) => *held = more,
            (Some(_), None) => {}
        }
    }
}

/// Buckets by their first second. Most windows hold a handful, and there may be a million windows: hence a plain list.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    bucket_s: i64,
    /// Sorted by second.
    buckets: VecDeque<(i64, Bucket)>,
}

impl Window {
    /// An empty window for evaluation ranges of `range_s` seconds made of periods of `period_s`.
    pub fn new(range_s: i64, period_s: i64) -> Self {
        let coarse = range_s > SECONDS_RANGE_MAX_S && period_s % COARSE_BUCKET_S == 0;
        Self { bucket_s: if coarse { COARSE_BUCKET_S } else { 1 }, buckets: VecDeque::new() }
    }

    /// Seconds a bucket holds: 1, or [`COARSE_BUCKET_S`].
    pub const fn bucket_s(&self) -> i64 {
        self.bucket_s
    }

    /// Folds samples of `second` in and returns the first second of the bucket that took them.
    pub fn take(&mut self, second: i64, aggregate: Aggregate, evidence: Evidence) -> i64 {
        let start = second.div_euclid(self.bucket_s).saturating_mul(self.bucket_s);
        let at = self.first_from(start);
        let evidence = (!evidence.is_empty()).then(|| Box::new(evidence));
        match self.buckets.get_mut(at).filter(|(held, _)| *held == start) {
            Some((_, bucket)) => bucket.merge(&aggregate, evidence),
            None => {
                if self.buckets.is_empty() {
                    self.buckets.reserve_exact(1);
                }
                self.buckets.insert(at, (start, Bucket { aggregate, evidence }));
            }
        }
        start
    }

    /// Drops what lies wholly before `second`.
    pub fn expire_before(&mut self, second: i64) {
        let first_kept = second.saturating_sub(self.bucket_s - 1);
        while self.buckets.front().is_some_and(|(start, _)| *start < first_kept) {
            self.buckets.pop_front();
        }
    }

    /// The buckets that start inside `seconds`, oldest first.
    pub fn range(&self, seconds: Range<i64>) -> impl DoubleEndedIterator<Item = (i64, &Bucket)> {
        let from = self.first_from(seconds.start);
        let to = self.first_from(seconds.end).max(from);
        self.buckets.range(from..to).map(|(start, bucket)| (*start, bucket))
    }

    /// Takes the buckets that start inside `seconds` out, oldest first.
    pub fn take_out(&mut self, seconds: Range<i64>) -> Vec<(i64, Bucket)> {
        let from = self.first_from(seconds.start);
        let to = self.first_from(seconds.end).max(from);
        self.buckets.drain(from..to).collect()
    }

    fn first_from(&self, second: i64) -> usize {
        // What comes in is nearly always newer than what is there.
        if self.buckets.back().is_none_or(|(start, _)| *start < second) {
            return self.buckets.len();
        }
        self.buckets.partition_point(|(start, _)| *start < second)
    }

    /// The samples inside `seconds`, folded. Without `with_values` the fold knows no percentiles and costs little.
    pub fn fold(&self, seconds: Range<i64>, with_values: bool) -> Aggregate {
        let mut whole = Aggregate::default();
        for (_, bucket) in self.range(seconds) {
            if with_values {
                whole.merge(&bucket.aggregate);
            } else {
                whole.merge_totals(&bucket.aggregate);
            }
        }
        whole
    }

    /// What the events inside `seconds` say.
    pub fn evidence(&self, seconds: Range<i64>) -> Evidence {
        Evidence::merged(self.range(seconds).filter_map(|(_, bucket)| bucket.evidence.as_deref()))
    }

    /// The end (exclusive) of the newest bucket; `None` when there is none.
    pub fn end(&self) -> Option<i64> {
        self.buckets.back().map(|(start, _)| start.saturating_add(self.bucket_s))
    }

    /// The first second of the oldest bucket; `None` when there is none.
    pub fn start(&self) -> Option<i64> {
        self.buckets.front().map(|(start, _)| *start)
    }

    /// The buckets, oldest first.
    pub fn into_buckets(self) -> impl Iterator<Item = (i64, Bucket)> {
        self.buckets.into_iter()
    }

    /// The bucket, where there is just one.
    pub fn only(&self) -> Option<(i64, &Bucket)> {
        let mut buckets = self.buckets.iter().map(|(start, bucket)| (*start, bucket));
        buckets.next().filter(|_| self.buckets.len() == 1)
    }

    /// How many buckets are held.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(range_s: i64, seconds: impl IntoIterator<Item = i64>) -> Window {
        let mut window = Window::new(range_s, 60);
        for second in seconds {
            window.take(second, Aggregate::one(1.0), Evidence::default());
        }
        window
    }

    #[test]
    fn folds_from_inclusive_to_exclusive() {
        let window = filled(180, [0, 59, 60, 60, 61]);
        assert_eq!(window.fold(0..60, true).count, 2.0);
        assert_eq!(window.fold(60..61, false).sum, 2.0);
        assert_eq!(window.fold(Range { start: 61, end: 60 }, true).count, 0.0);
        assert_eq!(window.end(), Some(62));
    }

    #[test]
    fn long_ranges_keep_minutes() {
        let mut window = filled(SECONDS_RANGE_MAX_S + 60, [0, 59, 60, 3_600]);
        assert_eq!(window.len(), 3);
        assert_eq!(window.fold(0..60, true).count, 2.0);
        window.expire_before(59);
        assert_eq!(window.len(), 3);
        window.expire_before(60);
        assert_eq!(window.len(), 2);
    }

    #[test]
    fn buckets_before_1970_round_down() {
        let window = filled(SECONDS_RANGE_MAX_S + 60, [-1]);
        assert_eq!(window.range(-60..0).count(), 1);
    }
}
