/*!
Stored points as they are read: what several steps wrote of one second is one point. Seconds that came late stand beside
the folded point of their time until they are folded into it.

How long a time a point stands for is told with it; whether that is fine enough is for the reader to say. While points are
read, none is folded into another, so each sample is met once.
*/

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use nightbell_core::anomaly::models::{Lecture, Lesson, ModelKey, TAUGHT_MAX_S};
use nightbell_core::evidence::Evidence;
use nightbell_core::history::{COARSEST_S, TIERS, bucket_start};
use nightbell_core::metric::{Aggregate, Datum, Series};
use nightbell_core::time::{DAY_MS, SECOND_MS, Timestamp};
use nightbell_store::{Scan, Space};
use tracing::warn;

use super::{POINTS_AT_ONCE, key_at, place_of, read_point, short_name};
use crate::catalog::{Failure, Records};

/// A stored point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    /// The samples of `resolution_s` seconds; its second is the first of them.
    pub(crate) datum: Datum,
    /// Seconds that it stands for.
    pub(crate) resolution_s: i64,
}

impl Point {
    /// Whether it lies wholly inside the period of `period_s` seconds from `start` on.
    pub(crate) fn lies_in(&self, start: i64, period_s: i64) -> bool {
        let end = self.datum.second.saturating_add(self.resolution_s);
        self.datum.second >= start && end <= start.saturating_add(period_s)
    }

    /// The last second that it stands for.
    pub(crate) fn last_second(&self) -> i64 {
        self.datum.second.saturating_add(self.resolution_s - 1)
    }
}

/// The points of `series` whose first second lies between `from` (inclusive) and `to` (exclusive), in order of time.
pub(crate) fn read(records: &Records, series: &Series, from: i64, to: i64) -> Result<Vec<Point>, Failure> {
    let short = short_name(series);
    let end = key_at(short, to);
    let mut scan = Scan::range(key_at(short, from), end.clone()).limit(POINTS_AT_ONCE);
    let mut merged: BTreeMap<(i64, usize, Option<String>), (Aggregate, Evidence)> = BTreeMap::new();
    let stay = records.points_stay();
    loop {
        let found = records.store().scan(Space::Points, &scan)?;
        let Some((last, _)) = found.last() else { break };
        scan = Scan::range(last.clone(), end.clone()).after(last.clone()).limit(POINTS_AT_ONCE);
        for (key, bytes) in found {
            let Some(place) = place_of(&key) else { continue };
            let Some(stored) = read_point(&bytes) else {
                warn!(series = series.name, second = place.second, "a damaged data point is left out");
                continue;
            };
            match merged.entry((place.second, place.tier, stored.unit)) {
                Entry::Occupied(mut there) => {
                    there.get_mut().0.merge(&stored.aggregate);
                    there.get_mut().1.merge(&stored.evidence);
                }
                Entry::Vacant(free) => {
                    free.insert((stored.aggregate, stored.evidence));
                }
            }
        }
    }
    drop(stay);
    let point = |((second, tier, unit), (aggregate, evidence)): ((i64, usize, _), _)| Point {
        datum: Datum { series: series.clone(), second, unit, aggregate, evidence },
        resolution_s: TIERS[tier].resolution_s,
    };
    Ok(merged.into_iter().map(point).collect())
}

/// Hands what [`read`] gives to `each`; about a day of points is held at once.
pub(crate) fn read_each(
    records: &Records,
    series: &Series,
    mut from: i64,
    to: i64,
    mut each: impl FnMut(&Point),
) -> Result<(), Failure> {
    while from < to {
        // Points are folded inside an hour, never across its end.
        let next = bucket_start(from.saturating_add(DAY_MS / SECOND_MS), COARSEST_S).clamp(from + 1, to);
        read(records, series, from, next)?.iter().for_each(&mut each);
        from = next;
    }
    Ok(())
}

/// What is stored about the past of a model, up to `now`.
pub(crate) fn lesson(records: &Records, key: ModelKey, now: Timestamp) -> Result<Lesson, Failure> {
    let mut lecture = Lecture::new(key);
    let from = now.second().saturating_sub(TAUGHT_MAX_S);
    let to = now.second().saturating_add(1);
    for series in lecture.series() {
        read_each(records, &series, from, to, |point| lecture.take(&point.datum, point.resolution_s))?;
    }
    Ok(lecture.finish())
}
