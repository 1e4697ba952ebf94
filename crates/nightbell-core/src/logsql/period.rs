/*!
Periods of time, `5m` or `1mo`, and rounding to them.

Periods up to a week have one length and are counted from 1970 UTC, weeks from a Monday; months, quarters and years
follow the calendar in UTC. Units are those of "stats" (CloudWatch Logs Insights language query syntax).
*/

use super::value::{CALENDAR_MS_MAX, CALENDAR_MS_MIN, calendar};
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

/// Largest number before a unit.
pub(super) const PERIOD_COUNT_MAX: i64 = 100_000;

/// Milliseconds from the start of 1970 to its first Monday.
const MONDAY_MS: i64 = 4 * DAY_MS;
const MONTHS_OF_YEAR: i64 = 12;

/// A period of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Period {
    /// Of one length, counted from an instant.
    Fixed { ms: i64, from_ms: i64 },
    /// Of the calendar.
    Months(i64),
}

impl Period {
    /// `count` times the unit of that name; the service's caps on the count (60 for `s`) are not taken over.
    pub(super) fn new(count: i64, unit: &str) -> Option<Self> {
        if !(1..=PERIOD_COUNT_MAX).contains(&count) {
            return None;
        }
        let fixed = |ms| Some(Self::Fixed { ms: count * ms, from_ms: 0 });
        let unit = unit.to_ascii_lowercase();
        let singular = if unit.len() > 2 { unit.strip_suffix('s').unwrap_or(&unit) } else { &unit };
        match singular {
            "ms" | "msec" | "millisecond" => fixed(1),
            "s" | "sec" | "second" => fixed(SECOND_MS),
            "m" | "min" | "minute" => fixed(MINUTE_MS),
            "h" | "hr" | "hour" => fixed(HOUR_MS),
            "d" | "day" => fixed(DAY_MS),
            "w" | "week" => Some(Self::Fixed { ms: count * 7 * DAY_MS, from_ms: MONDAY_MS }),
            "mo" | "mon" | "month" => Some(Self::Months(count)),
            "q" | "qtr" | "quarter" => Some(Self::Months(3 * count)),
            "y" | "yr" | "year" => Some(Self::Months(MONTHS_OF_YEAR * count)),
            _ => None,
        }
    }

    /// The start of the period that holds the instant.
    pub(super) fn floor(self, at: i64) -> i64 {
        let at = at.clamp(CALENDAR_MS_MIN, CALENDAR_MS_MAX);
        match self {
            Self::Fixed { ms, from_ms } => at - (at - from_ms).rem_euclid(ms),
            Self::Months(count) => month_start(months(at).div_euclid(count) * count),
        }
    }

    /// The instant itself where a period starts, else the start of the next.
    pub(super) fn ceil(self, at: i64) -> i64 {
        let at = at.clamp(CALENDAR_MS_MIN, CALENDAR_MS_MAX);
        let floor = self.floor(at);
        match self {
            _ if floor == at => at,
            Self::Fixed { ms, .. } => floor + ms,
            Self::Months(count) => month_start((months(at).div_euclid(count) + 1) * count),
        }
    }
}

/// Months since the start of year 0.
fn months(at: i64) -> i64 {
    let at = calendar(at);
    i64::from(at.year()) * MONTHS_OF_YEAR + i64::from(at.month()) - 1
}

fn month_start(months: i64) -> i64 {
    let months = months.clamp(self::months(CALENDAR_MS_MIN), self::months(CALENDAR_MS_MAX));
    let (year, month) = (months.div_euclid(MONTHS_OF_YEAR), months.rem_euclid(MONTHS_OF_YEAR) + 1);
    let start = jiff::civil::date(year as i16, month as i8, 1).at(0, 0, 0, 0);
    let zoned = start.to_zoned(jiff::tz::TimeZone::UTC).expect("years 9000 around 0 are inside jiff's range");
    zoned.timestamp().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::super::value::write_time;
    use super::*;

    #[test]
    fn rounds_to_every_unit() {
        let at = 1_789_364_521_123; // Monday 14 September 2026, 05:42:01.123 UTC
        let rows = [
            (100, "ms", "2026-09-14 05:42:01.100", "2026-09-14 05:42:01.200"),
            (30, "sec", "2026-09-14 05:42:00.000", "2026-09-14 05:42:30.000"),
            (300, "s", "2026-09-14 05:40:00.000", "2026-09-14 05:45:00.000"),
            (5, "minutes", "2026-09-14 05:40:00.000", "2026-09-14 05:45:00.000"),
            (1, "hrs", "2026-09-14 05:00:00.000", "2026-09-14 06:00:00.000"),
            (1, "d", "2026-09-14 00:00:00.000", "2026-09-15 00:00:00.000"),
            (1, "W", "2026-09-14 00:00:00.000", "2026-09-21 00:00:00.000"),
            (1, "mo", "2026-09-01 00:00:00.000", "2026-10-01 00:00:00.000"),
            (1, "qtrs", "2026-07-01 00:00:00.000", "2026-10-01 00:00:00.000"),
            (1, "years", "2026-01-01 00:00:00.000", "2027-01-01 00:00:00.000"),
            (10, "y", "2020-01-01 00:00:00.000", "2030-01-01 00:00:00.000"),
        ];
        for (count, unit, floor, ceil) in rows {
            let period = Period::new(count, unit).unwrap();
            assert_eq!(write_time(period.floor(at)), floor, "{count}{unit}");
            assert_eq!(write_time(period.ceil(at)), ceil, "{count}{unit}");
            assert_eq!(period.ceil(period.floor(at)), period.floor(at), "{count}{unit}");
            for edge in [i64::MIN, -1, 0, i64::MAX] {
                assert!(period.floor(edge) <= edge.max(CALENDAR_MS_MIN));
                period.ceil(edge);
            }
        }
        assert_eq!(Period::new(1, "fortnight"), None);
        assert_eq!(Period::new(0, "s"), None);
        assert_eq!(Period::new(PERIOD_COUNT_MAX + 1, "s"), None);
    }
}
