/*!
Hours as people in a time zone count them.

The zones' rules are compiled in: nothing is read from the machine, so every node sees the same hours.
*/

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::time::{DAY_MS, HOUR_MS, SECOND_MS};

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Seconds in an hour.
pub(super) const HOUR_S: i64 = HOUR_MS / SECOND_MS;
/// Hours in a day.
pub(super) const DAY_H: i64 = DAY_MS / HOUR_MS;
/// Hours in a week.
pub(super) const WEEK_H: i64 = 7 * DAY_H;
/// Seconds before or after 1970 that are placed in a calendar: 8,000 years.
const CALENDAR_S_MAX: i64 = 8_000 * 365 * 86_400;

/// Whether `name` is a time zone of the IANA database, or `UTC`.
pub(super) fn is_known(name: &str) -> bool {
    ZONES.get(name).is_ok()
}

/// The hour of `second` on the clocks of `zone`, counted from 1970-01-01T00 on those clocks; UTC for an unknown zone.
/// When clocks go back, an hour comes twice and both are one. `None` beyond the calendar.
pub(super) fn local_hour(zone: &str, second: i64) -> Option<i32> {
    if !(-CALENDAR_S_MAX..=CALENDAR_S_MAX).contains(&second) {
        return None;
    }
    let instant = jiff::Timestamp::from_second(second).ok()?;
    let offset_s = match zone {
        "UTC" => 0,
        _ => ZONES.get(zone).unwrap_or(TimeZone::UTC).to_offset(instant).seconds(),
    };
    i32::try_from((second + i64::from(offset_s)).div_euclid(HOUR_S)).ok()
}

/// The hour of the week, 0 to 167: Monday's first is 0.
pub(super) fn hour_of_week(hour: i32) -> i64 {
    (i64::from(hour) + EPOCH_WEEKDAY * DAY_H).rem_euclid(WEEK_H)
}

/// The hour of the day, 0 to 23.
pub(super) fn hour_of_day(hour: i32) -> i64 {
    i64::from(hour).rem_euclid(DAY_H)
}

/// The day of the week, 0 to 6: Monday is 0.
pub(super) fn weekday(hour: i32) -> i64 {
    hour_of_week(hour) / DAY_H
}

/// Whether it is Saturday or Sunday.
pub(super) fn is_weekend(hour: i32) -> bool {
    weekday(hour) >= SATURDAY
}

/// 1970-01-01 was a Thursday.
const EPOCH_WEEKDAY: i64 = 3;
const SATURDAY: i64 = 5;
