/*!
The recent seconds of one alarm's series: what is folded together when a period is looked at.

Bounded in width: seconds that no judgement can need are dropped, and alarms that look far back keep minutes instead of
seconds. Knows neither thresholds nor states.
*/

use std::collections::BTreeMap;
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
    /// What the events behind them say.
    pub evidence: Evidence,
}

/// Buckets by their first second.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    bucket_s: i64,
    buckets: BTreeMap<i64, Bucket>,
}

impl Window {
    /// An empty window for evaluation ranges of `range_s` seconds made of periods of `period_s`.
    pub fn new(range_s: i64, period_s: i64) -> Self {
        let coarse = range_s > SECONDS_RANGE_MAX_S && period_s % COARSE_BUCKET_S == 0;
        Self { bucket_s: if coarse { COARSE_BUCKET_S } else { 1 }, buckets: BTreeMap::new() }
    }

    /// Seconds a bucket holds: 1, or [`COARSE_BUCKET_S`].
    pub const fn bucket_s(&self) -> i64 {
        self.bucket_s
    }

    /// Folds samples of `second` in and returns the first second of the bucket that took them.
    pub fn take(&mut self, second: i64, aggregate: Aggregate, evidence: Evidence) -> i64 {
        let start = second.div_euclid(self.bucket_s).saturating_mul(self.bucket_s);
        match self.buckets.get_mut(&start) {
            Some(bucket) => {
                bucket.aggregate.merge(&aggregate);
                bucket.evidence.merge(&evidence);
            }
            None => {
                self.buckets.insert(start, Bucket { aggregate, evidence });
            }
        }
        start
    }

    /// Drops what lies wholly before `second`.
    pub fn expire_before(&mut self, second: i64) {
        let first_kept = second.saturating_sub(self.bucket_s - 1);
        if self.buckets.first_key_value().is_some_and(|(start, _)| *start < first_kept) {
            self.buckets = self.buckets.split_off(&first_kept);
        }
    }

    /// The buckets that start inside `seconds`, oldest first.
    pub fn range(&self, seconds: Range<i64>) -> impl DoubleEndedIterator<Item = (i64, &Bucket)> {
        // An empty or reversed range has no buckets; the map would panic on a reversed one.
        let end = seconds.end.max(seconds.start);
        self.buckets.range(seconds.start..end).map(|(start, bucket)| (*start, bucket))
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
        Evidence::merged(self.range(seconds).map(|(_, bucket)| &bucket.evidence))
    }

    /// The end (exclusive) of the newest bucket; `None` when there is none.
    pub fn end(&self) -> Option<i64> {
        self.buckets.last_key_value().map(|(start, _)| start.saturating_add(self.bucket_s))
    }

    /// The buckets, oldest first.
    pub fn into_buckets(self) -> impl Iterator<Item = (i64, Bucket)> {
        self.buckets.into_iter()
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
