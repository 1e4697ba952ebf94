/*!
Instants as milliseconds since 1970 UTC, and the ways AWS and people write them.

Knows no clock: whoever needs "now" is handed it.
*/

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00 UTC; may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// Milliseconds in a second.
pub const SECOND_MS: i64 = 1_000;
/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds in a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

impl Timestamp {
    /// The instant `ms` milliseconds after 1970 UTC.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// The instant `second` seconds after 1970 UTC.
    pub const fn from_seconds(second: i64) -> Self {
        Self(second.saturating_mul(SECOND_MS))
    }

    /// Milliseconds since 1970 UTC.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The second that holds this instant; rounds down also before 1970.
    pub const fn second(self) -> i64 {
        self.0.div_euclid(SECOND_MS)
    }

    /// This instant moved by `ms` milliseconds, held at the ends of the range.
    pub const fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `2026-09-14T05:42:01.123+0000`: how alarms write an instant.
    pub fn alarm_text(self) -> String {
        self.zoned("%Y-%m-%dT%H:%M:%S%.3f+0000")
    }

    /// Reads `2026-11-22T08:00:00Z`, with or without fractions, also with an offset; `None` when it is none.
    pub fn parse_iso(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self::from_millis(at.as_millisecond()))
    }

    /// `2026-09-14T05:42:01.123Z`: ISO 8601, how SNS and awsQuery write an instant.
    pub fn iso(self) -> String {
        self.zoned("%Y-%m-%dT%H:%M:%S%.3fZ")
    }

    /// `14/09/26 05:42:40`: how a state reason writes a data point's instant.
    pub fn reason_text(self) -> String {
        self.zoned("%d/%m/%y %H:%M:%S")
    }

    /// `Monday 14 September, 2026 11:18:52 UTC`: how composite reasons and the classic mail write an instant.
    pub fn long_text(self) -> String {
        self.zoned("%A %d %B, %Y %H:%M:%S UTC")
    }

    /// `2026-09-14 05:42:01 UTC`: for people.
    pub fn plain(self) -> String {
        self.zoned("%Y-%m-%d %H:%M:%S UTC")
    }

    fn zoned(self, format: &str) -> String {
        let held = self.0.clamp(Self::MIN_MS, Self::MAX_MS);
        let instant = jiff::Timestamp::from_millisecond(held).expect("held inside jiff's range");
        instant.to_zoned(jiff::tz::TimeZone::UTC).strftime(format).to_string()
    }

    /// Year -9000 and 9000: what a calendar can write; comparisons and sums work beyond.
    const MIN_MS: i64 = -346_000_000_000_000;
    const MAX_MS: i64 = 221_000_000_000_000;
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_forms_of_the_field() {
        let t = Timestamp::from_millis(1_789_364_521_123);
        assert_eq!(t.alarm_text(), "2026-09-14T05:42:01.123+0000");
        assert_eq!(t.iso(), "2026-09-14T05:42:01.123Z");
        assert_eq!(t.reason_text(), "14/09/26 05:42:01");
        assert_eq!(t.long_text(), "Monday 14 September, 2026 05:42:01 UTC");
    }

    #[test]
    fn rounds_down_before_1970_and_never_panics() {
        assert_eq!(Timestamp::from_millis(-1).second(), -1);
        assert!(!Timestamp::from_millis(i64::MAX).iso().is_empty());
        assert!(!Timestamp::from_millis(i64::MIN).iso().is_empty());
    }
}
