/*!
What is stored for alarms on its way into the watch: read series by series, a stretch at a time, so that neither a metric
of many series nor a week of seconds is in memory at once.
*/

use nightbell_core::alarm::MetricAlarm;
use nightbell_core::history::POINT_AGE_MAX_MS;
use nightbell_core::metric::Series;
use nightbell_core::time::{DAY_MS, SECOND_MS, Timestamp};
use nightbell_core::watch::{Needed, Watch};

use super::Watcher;
use crate::catalog::{Failure, Records};
use crate::run::points::{self, Point};

/// How far ahead of the clock data that alarms look at may lie.
const AHEAD_MAX_MS: i64 = DAY_MS;
/// Stretches up to this length are read in one go.
const AT_ONCE_MAX_S: i64 = 2 * DAY_MS / SECOND_MS;

impl Watcher {
    /// Begins to put an alarm at `now` with what is stored for it.
    pub(super) fn begin(&mut self, alarm: &MetricAlarm, now: Timestamp) -> Result<(), Failure> {
        self.watch.begin_alarm(now, alarm);
        let records = &self.app.records;
        let from = Watch::needed_from(alarm, now);
        let watch = &mut self.watch;
        let mut recall = |point: &Point| watch.recall(&point.datum, point.resolution_s);
        for need in Watch::needs(alarm) {
            match need {
                Needed::Series(series) => {
                    each_point(records, &series, from, now, &mut recall)?;
                }
                Needed::Metric { region, namespace, name } => {
                    points::each_of_metric(&**records.store(), &region, &namespace, &name, |series| {
                        each_point(records, series, from, now, &mut recall)
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// Hands the points of `series` to `each` from the second `from` on, as far as they can matter at `now`.
pub(super) fn each_point(
    records: &Records,
    series: &Series,
    from: i64,
    now: Timestamp,
    mut each: impl FnMut(&Point),
) -> Result<(), Failure> {
    let oldest = now.plus_millis(-POINT_AGE_MAX_MS).second();
    let end = now.plus_millis(AHEAD_MAX_MS).second().saturating_add(1);
    let from = from.max(oldest);
    if end.saturating_sub(from) > AT_ONCE_MAX_S {
        return points::read_each(records, series, from, end, each);
    }
    points::read(records, series, from, end)?.iter().for_each(&mut each);
    Ok(())
}
