/*!
When a mute rule mutes: windows of one length that begin where its expression says so, in its time zone.

The zones come from the database that is built in, never from the machine, so that every node agrees. A beginning that
the clock on the wall skips is taken when the clock jumps over it; one that the clock shows twice is taken the first
time (both assumed: the documentation says nothing). A rule's start and expiry cut windows off.
*/

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Span, Timestamp as Instant};

use super::cron::Cron;
use super::{MuteRule, MuteStatus, MuteType};
use crate::alarm::{AlarmError, AlarmErrorKind};
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};

/// Milliseconds of the shortest window, `PT1M`.
pub const DURATION_MIN_MS: i64 = MINUTE_MS;
/// Milliseconds of the longest window, `P15D`.
pub const DURATION_MAX_MS: i64 = 15 * DAY_MS;
/// Days that are looked ahead for the next window: 29 February comes within eight years.
pub const SEARCH_DAYS_MAX: usize = 9 * 366;

/// Milliseconds after 1970 UTC of the last instant that is looked at, two days before the calendar ends in the year
/// 9999; nothing begins after it.
const LAST_MS: i64 = 253_402_000_000_000;

/// The windows of one mute rule.
#[derive(Clone, Debug)]
pub struct MuteSchedule {
    when: When,
    zone: TimeZone,
    duration: SignedDuration,
    start: Option<Timestamp>,
    expire: Option<Timestamp>,
}

#[derive(Clone, Debug)]
enum When {
    At(DateTime),
    Cron(Box<Cron>),
}

impl MuteSchedule {
    pub(super) fn new(rule: &MuteRule) -> Result<Self, AlarmError> {
        let wrong = |field: &'static str| {
            move |message: String| AlarmError { kind: AlarmErrorKind::Value, field, message }
        };
        let when = parse_expression(&rule.expression).map_err(wrong("Expression"))?;
        let duration = parse_duration(&rule.duration).map_err(wrong("Duration"))?;
        let zone = TimeZoneDatabase::bundled().get(&rule.timezone).map_err(|_| {
            wrong("Timezone")(format!(
                "must be a name of the IANA time zone database. timezone={}",
                rule.timezone
            ))
        })?;
        Ok(Self { when, zone, duration, start: rule.start, expire: rule.expire })
    }

    /// How often it mutes.
    pub fn mute_type(&self) -> MuteType {
        match self.when {
            When::At(_) => MuteType::OneTime,
            When::Cron(_) => MuteType::Recurring,
        }
    }

    /// Where the rule stands.
    pub fn status(&self, now: Timestamp) -> MuteStatus {
        if self.window_at(now).is_some() {
            MuteStatus::Active
        } else if self.next_window(now).is_some() {
            MuteStatus::Scheduled
        } else {
            MuteStatus::Expired
        }
    }

    /// The window that holds `now`: from (inclusive) and to (exclusive). Where windows overlap it is the last that began.
    pub fn window_at(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let began = self.last_begin(asked(now))?;
        self.cut(began).filter(|(from, to)| (*from..*to).contains(&now))
    }

    /// The first window that begins after `now`.
    pub fn next_window(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let from = match self.start {
            Some(start) if start > now => {
                if let Some(cut_off) = self.window_at(start) {
                    return Some(cut_off);
                }
                start
            }
            _ => now,
        };
        self.next_begin(asked(from)).and_then(|begin| self.cut(begin))
    }

    /// The window that begins at `begin`, inside start and expiry.
    fn cut(&self, begin: Instant) -> Option<(Timestamp, Timestamp)> {
        let begin = Timestamp::from_millis(begin.as_millisecond());
        let end = begin.plus_millis(i64::try_from(self.duration.as_millis()).ok()?);
        let from = self.start.map_or(begin, |start| start.max(begin));
        let to = self.expire.map_or(end, |expire| expire.min(end));
        (from < to).then_some((from, to))
    }

    /// The last beginning at or before `now` whose window still lasts.
    fn last_begin(&self, now: Instant) -> Option<Instant> {
        let lasts = |begin: &Instant| now.duration_since(*begin) < self.duration;
        let cron = match &self.when {
            When::At(time) => return self.begin(*time).filter(|begin| *begin <= now).filter(lasts),
            When::Cron(cron) => cron,
        };
        // In the hours after the clock went back it has already shown later times than it shows now.
        let day_before = self.zone.to_offset(now - SignedDuration::from_hours(24));
        let latest = self.zone.to_offset(now).max(day_before).to_datetime(now);
        let mut date = latest.date();
        loop {
            if cron.matches_date(date) {
                let times = cron.times(date).rev().skip_while(|time| *time > latest);
                let begun = times.filter_map(|time| self.begin(time)).find(|begin| *begin <= now);
                if let Some(begin) = begun {
                    return Some(begin).filter(lasts);
                }
            }
            let midnight = self.begin(date.at(0, 0, 0, 0))?;
            if !lasts(&midnight) {
                return None;
            }
            date = date.yesterday().ok()?;
        }
    }

    /// The first beginning after `now`.
    fn next_begin(&self, now: Instant) -> Option<Instant> {
        let cron = match &self.when {
            When::At(time) => return self.begin(*time).filter(|begin| *begin > now),
            When::Cron(cron) => cron,
        };
        let shown = self.zone.to_datetime(now);
        let mut date = shown.date();
        for _ in 0..SEARCH_DAYS_MAX {
            if cron.matches_date(date) {
                let times = cron.times(date).skip_while(|time| *time <= shown);
                if let Some(begin) = times.filter_map(|time| self.begin(time)).find(|begin| *begin > now) {
                    return Some(begin);
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// When the clock on the wall first shows `time` or jumps over it. Later times never give earlier instants.
    fn begin(&self, time: DateTime) -> Option<Instant> {
        let at = |offset: Offset| offset.to_timestamp(time).ok();
        let begin = match self.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            AmbiguousOffset::Fold { before, .. } => at(before),
            AmbiguousOffset::Gap { after, .. } => {
                self.zone.following(at(after)?).next().map(|jump| jump.timestamp())
            }
        };
        begin.filter(|begin| begin.as_millisecond() <= LAST_MS)
    }
}

fn asked(now: Timestamp) -> Instant {
    Instant::from_millisecond(now.as_millis().clamp(0, LAST_MS)).expect("held inside the calendar")
}

fn parse_expression(text: &str) -> Result<When, String> {
    let inner = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
    if let Some(fields) = inner("cron") {
        return Cron::parse(fields).map(|cron| When::Cron(Box::new(cron)));
    }
    let time = inner("at").and_then(parse_minute);
    time.map(When::At).ok_or_else(|| {
        format!(
            "must be cron(minutes hours day-of-month month day-of-week) or at(yyyy-MM-ddThh:mm). found={text}"
        )
    })
}

/// `2026-09-05T02:00`, every digit in its place.
fn parse_minute(text: &str) -> Option<DateTime> {
    let is_shaped = text.len() == "yyyy-MM-ddThh:mm".len()
        && text.bytes().zip("0000-00-00T00:00".bytes()).all(|(found, shape)| match shape {
            b'0' => found.is_ascii_digit(),
            _ => found == shape,
        });
    if is_shaped { DateTime::strptime("%Y-%m-%dT%H:%M", text).ok() } else { None }
}

/// Days and parts of them in ISO 8601: `P2DT12H`. A day is 24 hours; years and months have no fixed length.
fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("must be an ISO 8601 duration from PT1M to P15D. duration={text}");
    let is_shaped = text.starts_with('P') && !text.contains(['.', ',']);
    let span: Span = text.parse().ok().filter(|_| is_shaped).ok_or_else(wrong)?;
    let parts = [
        (i64::from(span.get_weeks()), 7 * DAY_MS),
        (i64::from(span.get_days()), DAY_MS),
        (i64::from(span.get_hours()), HOUR_MS),
        (span.get_minutes(), MINUTE_MS),
        (span.get_seconds(), SECOND_MS),
    ];
    let ms = parts.iter().fold(0_i64, |sum, (count, ms)| sum.saturating_add(count.saturating_mul(*ms)));
    let is_fixed = span.get_years() == 0 && span.get_months() == 0;
    if !is_fixed || !(DURATION_MIN_MS..=DURATION_MAX_MS).contains(&ms) {
        return Err(wrong());
    }
    Ok(SignedDuration::from_millis(ms))
}

#[cfg(test)]
mod tests;
