/*!
How finely data points are remembered: the older, the coarser.

Points of one second become points of a minute, of five minutes, of an hour, and are then forgotten ("GetMetricData",
Amazon CloudWatch API Reference, on the retention of data points). A fold loses nothing but the time inside its bucket, so
a period made of whole buckets reads the same before and after. Knows nothing of where points are kept.
*/

use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};

/// One fineness and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Seconds that one point stands for.
    pub resolution_s: i64,
    /// Points older than this, in milliseconds, belong to the next tier; those of the last are forgotten.
    pub age_max_ms: i64,
}

/// The tiers, finest first: 1 s for 3 hours, 1 min for 15 days, 5 min for 63 days, 1 h for 455 days.
pub const TIERS: [Tier; 4] = [
    Tier { resolution_s: 1, age_max_ms: 3 * HOUR_MS },
    Tier { resolution_s: MINUTE_MS / SECOND_MS, age_max_ms: 15 * DAY_MS },
    Tier { resolution_s: 5 * MINUTE_MS / SECOND_MS, age_max_ms: 63 * DAY_MS },
    Tier { resolution_s: HOUR_MS / SECOND_MS, age_max_ms: 455 * DAY_MS },
];

/// The age at which nothing of a data point is left, in milliseconds.
pub const POINT_AGE_MAX_MS: i64 = TIERS[TIERS.len() - 1].age_max_ms;

/// Seconds of the coarsest bucket: every other lies inside one of these.
pub const COARSEST_S: i64 = TIERS[TIERS.len() - 1].resolution_s;

const _: () = {
    let mut tier = 1;
    while tier < TIERS.len() {
        assert!(TIERS[tier].resolution_s % TIERS[tier - 1].resolution_s == 0, "buckets nest");
        assert!(TIERS[tier].age_max_ms > TIERS[tier - 1].age_max_ms, "the coarser, the longer");
        tier += 1;
    }
};

/// The tier that a point of `second` belongs to at `now`, as an index into [`TIERS`]; `None` when it is forgotten.
///
/// A bucket moves on as a whole, once all of it is old enough, so a tier never holds half of one.
pub fn tier_at(second: i64, now: Timestamp) -> Option<usize> {
    let is_past = |resolution_s: i64, age_max_ms: i64| {
        let end = bucket_start(second, resolution_s).saturating_add(resolution_s);
        now.since(Timestamp::from_seconds(end)) > age_max_ms
    };
    for (tier, next) in (1..TIERS.len()).enumerate() {
        if !is_past(TIERS[next].resolution_s, TIERS[tier].age_max_ms) {
            return Some(tier);
        }
    }
    (!is_past(COARSEST_S, POINT_AGE_MAX_MS)).then_some(TIERS.len() - 1)
}

/// The first second of the bucket of `resolution_s` seconds that holds `second`.
pub fn bucket_start(second: i64, resolution_s: i64) -> i64 {
    second.saturating_sub(second.rem_euclid(resolution_s.max(1)))
}

/// Whether periods of `period_s` seconds can be read from points that stand for `resolution_s` seconds each.
pub fn serves(resolution_s: i64, period_s: i64) -> bool {
    period_s >= resolution_s && period_s.rem_euclid(resolution_s.max(1)) == 0
}

/// Whether the period of `period_s` seconds from `start` on is answered at `now`: not when it is finer than what is kept of
/// its time, or no multiple of that ("GetMetricStatistics", Amazon CloudWatch API Reference, on `Period`).
pub fn answers(start: i64, period_s: i64, now: Timestamp) -> bool {
    tier_at(start, now).is_some_and(|tier| serves(TIERS[tier].resolution_s, period_s))
}

/// The oldest second that a period of `period_s` seconds which is answered at `now` can begin at.
pub fn answered_from(period_s: i64, now: Timestamp) -> i64 {
    let serving = TIERS.iter().rev().find(|tier| serves(tier.resolution_s, period_s));
    let age_max_ms = serving.map_or(0, |tier| tier.age_max_ms);
    bucket_start(now.plus_millis(-age_max_ms).second(), COARSEST_S).saturating_sub(COARSEST_S)
}

/// Seconds that the start of a reading is rounded down to: a minute up to an age of 15 days, five minutes up to 63, an hour
/// beyond ("GetMetricStatistics", Amazon CloudWatch API Reference, on `StartTime`).
pub fn start_grain_s(start: Timestamp, now: Timestamp) -> i64 {
    let age_ms = now.since(start);
    let [_, minutes, five_minutes, hours] = TIERS;
    if age_ms < minutes.age_max_ms {
        minutes.resolution_s
    } else if age_ms <= five_minutes.age_max_ms {
        five_minutes.resolution_s
    } else {
        hours.resolution_s
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const HOUR_S: i64 = HOUR_MS / SECOND_MS;
    const DAY_S: i64 = DAY_MS / SECOND_MS;
    const NOW: Timestamp = Timestamp::from_seconds(600 * DAY_S);

    #[test]
    fn points_grow_coarser_with_age() {
        for (age_s, tier) in [
            (-60, Some(0)),
            (0, Some(0)),
            (3 * HOUR_S, Some(0)),
            (3 * HOUR_S + 60, Some(0)),
            (3 * HOUR_S + 61, Some(1)),
            (15 * DAY_S + 300, Some(1)),
            (15 * DAY_S + 301, Some(2)),
            (63 * DAY_S + 3_600, Some(2)),
            (63 * DAY_S + 3_601, Some(3)),
            (455 * DAY_S + 3_600, Some(3)),
            (455 * DAY_S + 3_601, None),
        ] {
            assert_eq!(tier_at(NOW.second() - age_s, NOW), tier, "age of {age_s} s");
        }
        assert_eq!(tier_at(i64::MIN, NOW), None);
        assert_eq!(tier_at(i64::MAX, NOW), Some(0));
    }

    #[test]
    fn a_bucket_moves_on_as_a_whole() {
        for now_ms in (0..8_000_000).step_by(99_991) {
            let now = NOW.plus_millis(now_ms);
            for (tier, held) in TIERS.iter().enumerate() {
                let bucket_s = TIERS.get(tier + 1).map_or(COARSEST_S, |next| next.resolution_s);
                let oldest = now.plus_millis(-held.age_max_ms).second();
                let start = bucket_start(oldest, bucket_s) - 2 * bucket_s;
                for first in (0..4).map(|bucket| start + bucket * bucket_s) {
                    let tiers: BTreeSet<_> =
                        (first..first + bucket_s).map(|second| tier_at(second, now)).collect();
                    assert_eq!(tiers.len(), 1, "tier {tier}, bucket from {first} at {now_ms}");
                }
            }
        }
    }

    #[test]
    fn only_whole_buckets_serve() {
        for (resolution_s, period_s, serving) in [
            (1, 1, true),
            (1, 10, true),
            (60, 60, true),
            (60, 300, true),
            (300, 3_600, true),
            (60, 30, false),
            (60, 90, false),
            (300, 60, false),
            (3_600, 300, false),
            (3_600, 5_400, false),
        ] {
            assert_eq!(serves(resolution_s, period_s), serving, "{period_s} of {resolution_s}");
        }
    }

    /// By age: the periods that are answered.
    #[test]
    fn a_period_finer_than_what_is_kept_is_not_answered() {
        let periods = [1, 10, 30, 60, 120, 300, 600, 3_600, 86_400];
        for (age_s, answered) in [
            (HOUR_S, &periods[..]),
            (4 * HOUR_S, &periods[3..]),
            (14 * DAY_S, &periods[3..]),
            (16 * DAY_S, &periods[5..]),
            (62 * DAY_S, &periods[5..]),
            (64 * DAY_S, &periods[7..]),
            (454 * DAY_S, &periods[7..]),
            (456 * DAY_S, &[]),
        ] {
            let start = NOW.second() - age_s;
            let all: Vec<i64> =
                periods.into_iter().filter(|period_s| answers(start, *period_s, NOW)).collect();
            assert_eq!(all, answered, "age of {age_s} s");
        }
    }

    #[test]
    fn nothing_older_than_said_is_answered() {
        for period_s in [1, 30, 60, 120, 300, 900, 3_600, 86_400] {
            let from = answered_from(period_s, NOW);
            let before = (1..500 * 24).map(|hours| from - hours * HOUR_S);
            assert!(before.chain([from - 1]).all(|start| !answers(start, period_s, NOW)), "{period_s}");
            assert!(answers(from + 3 * HOUR_S, period_s, NOW), "{period_s}");
        }
    }

    #[test]
    fn a_start_is_rounded_by_its_age() {
        for (age_ms, grain_s) in [
            (-5, 60),
            (0, 60),
            (15 * DAY_MS - 1, 60),
            (15 * DAY_MS, 300),
            (63 * DAY_MS, 300),
            (63 * DAY_MS + 1, 3_600),
        ] {
            assert_eq!(start_grain_s(NOW.plus_millis(-age_ms), NOW), grain_s, "age of {age_ms} ms");
        }
    }

    /// Whoever reads from a rounded start on meets no bucket that is cut in two.
    #[test]
    fn a_rounded_start_cuts_no_bucket() {
        for age_s in (0..460 * DAY_S).step_by(4_001) {
            let asked = NOW.plus_millis(-age_s * SECOND_MS);
            let start = bucket_start(asked.second(), start_grain_s(asked, NOW));
            if let Some(tier) = tier_at(start, NOW) {
                assert_eq!(start % TIERS[tier].resolution_s, 0, "age of {age_s} s");
            }
        }
    }
}
