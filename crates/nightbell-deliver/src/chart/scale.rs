/*!
Where the ticks of an axis stand: round numbers for values, round times in UTC for instants.

Plain arithmetic; draws nothing.
*/

use nightbell_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};

/// Ticks of the time axis: more would run into each other on a telephone.
const TIME_TICKS_MAX: i64 = 5;
/// Steps between ticks of values.
const VALUE_STEPS_MAX: f64 = 4.0;

/// Distances of ticks in time.
const TIME_STEPS_MS: [i64; 20] = [
    SECOND_MS,
    2 * SECOND_MS,
    5 * SECOND_MS,
    10 * SECOND_MS,
    15 * SECOND_MS,
    30 * SECOND_MS,
    MINUTE_MS,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    15 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
    7 * DAY_MS,
];

/// The ticks between `from_ms` and `to_ms` with their words: `18:08:30`, `18:10`, `06-01`.
pub(super) fn times(from_ms: i64, to_ms: i64) -> Vec<(i64, String)> {
    let span_ms = (to_ms - from_ms).max(1);
    let step_ms = TIME_STEPS_MS.into_iter().find(|step| span_ms / step < TIME_TICKS_MAX);
    // Years of data are no chart of an alarm, but must not become endless ticks.
    let step_ms = step_ms.unwrap_or_else(|| (span_ms / TIME_TICKS_MAX / DAY_MS + 1) * DAY_MS);
    let first_ms =
        from_ms.div_euclid(step_ms) * step_ms + if from_ms.rem_euclid(step_ms) == 0 { 0 } else { step_ms };
    (0..=TIME_TICKS_MAX)
        .map(|n| first_ms + n * step_ms)
        .take_while(|at_ms| *at_ms <= to_ms)
        .map(|at_ms| (at_ms, words(at_ms, step_ms)))
        .collect()
}

fn words(at_ms: i64, step_ms: i64) -> String {
    let iso = Timestamp::from_millis(at_ms).iso();
    let (day, time) = iso.split_once('T').unwrap_or((&iso, ""));
    match step_ms {
        step if step >= DAY_MS => day.chars().skip(day.chars().count().saturating_sub(5)).collect(),
        step if step >= MINUTE_MS => time.chars().take(5).collect(),
        _ => time.chars().take(8).collect(),
    }
}

/// Round values from `low` to `high`: the ticks, the first at or below `low`, the last at or above `high`.
pub(super) fn values(low: f64, high: f64, whole: bool) -> Vec<f64> {
    let span = (high - low).max(f64::MIN_POSITIVE);
    let rough = span / VALUE_STEPS_MAX;
    let power = 10_f64.powf(rough.log10().floor());
    let factor =
        [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    let mut step = factor * power;
    if whole {
        step = step.max(1.0);
    }
    let first = (low / step).floor();
    // At most one step more at each end than fit in between; the bound holds also where numbers are too coarse.
    let count = (((high / step).ceil() - first) as i64).clamp(1, 8);
    (0..=count).map(|n| (first + n as f64) * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_round_and_few() {
        let at = 1_622_570_885_000; // 2021-06-01 18:08:05
        let rows: [(i64, &[&str]); 5] = [
            (10_000, &["18:08:05", "18:08:10", "18:08:15"]),
            (HOUR_MS / 2, &["18:10", "18:20", "18:30"]),
            (3 * HOUR_MS, &["19:00", "20:00", "21:00"]),
            (5 * DAY_MS, &["06-02", "06-04", "06-06"]),
            (0, &["18:08:05"]),
        ];
        for (span_ms, expected) in rows {
            let words: Vec<String> = times(at, at + span_ms).into_iter().map(|(_, words)| words).collect();
            assert_eq!(words, expected, "{span_ms}");
        }
        assert!(times(-200_000_000_000_000, 200_000_000_000_000).len() <= 6);
    }

    #[test]
    fn values_are_round_and_hold_the_range() {
        assert_eq!(values(0.0, 6.9, true), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(values(0.0, 1.0, true), [0.0, 1.0]);
        assert_eq!(values(0.0, 41.0, true), [0.0, 20.0, 40.0, 60.0]);
        assert_eq!(values(-3.0, 3.0, false), [-4.0, -2.0, 0.0, 2.0, 4.0]);
        for (low, high) in [(0.0, 1e15), (-1e15, 1e15), (1e15 - 1.0, 1e15), (0.0, 1e-300)] {
            let ticks = values(low, high, false);
            assert!((2..=9).contains(&ticks.len()), "{low} {high}: {ticks:?}");
        }
    }
}
