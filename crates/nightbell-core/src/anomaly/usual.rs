/*!
What is usual, for people: "usually 0–3 on Sunday nights (00–06), now 41".

The numbers were seen: in three of four such hours no value was below the lower one, and in three of four none above
the upper one. They are told for the simplest times that they hold for.
*/

use super::Band;
use super::model::Model;
use super::summary::Summary;
use super::zone::{self, DAY_H, HOUR_S};

/// Days that must have been seen before something is said about such days.
const USUAL_DAYS_MIN: usize = 3;
/// The share of hours that the numbers hold for: three of four.
const SHARE: (usize, usize) = (3, 4);
/// Hours of a part of the day.
const PART_H: i64 = 6;
const PARTS: [&str; 4] = ["nights", "mornings", "afternoons", "evenings"];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// What was seen at such times.
#[derive(Clone, Debug, PartialEq)]
pub struct Usual {
    /// In three of four such hours no value was below.
    pub low: f64,
    /// In three of four such hours no value was above.
    pub high: f64,
    /// The expected value.
    pub median: f64,
    /// Such times in the detector's zone, ready to follow "on": `Sunday nights (00–06)`, `weekdays (09–10)`,
    /// `all days so far`.
    pub label: String,
}

impl Usual {
    /// `usually 0–3 on Sunday nights (00–06), now 41`.
    pub fn sentence(&self, now: f64) -> String {
        let (low, high) = (number(self.low), number(self.high));
        let range = if low == high { low } else { format!("{low}–{high}") };
        format!("usually {range} on {}, now {}", self.label, number(now))
    }
}

/// Which days are alike.
#[derive(Clone, Copy, PartialEq)]
enum Days {
    Same,
    SameKind,
    All,
}

/// Which hours are alike.
#[derive(Clone, Copy, PartialEq)]
enum Hours {
    Part,
    Same,
    All,
}

/// Times that something is said about, the most telling first.
const TIMES: [(Days, Hours); 6] = [
    (Days::Same, Hours::Part),
    (Days::Same, Hours::Same),
    (Days::SameKind, Hours::Part),
    (Days::SameKind, Hours::Same),
    (Days::All, Hours::Same),
    (Days::All, Hours::All),
];

/// What `past` says about the times of `hour`; `None` of nothing.
pub(super) fn of(past: &[Summary], hour: i32, period_s: i64, band: Band, median: f64) -> Option<Usual> {
    TIMES.into_iter().find_map(|(days, hours)| {
        if hours == Hours::Part && !Model::hour_is_telling(period_s) {
            return None;
        }
        let alike: Vec<&Summary> =
            past.iter().filter(|summary| is_alike(days, hours, summary.hour, hour)).collect();
        let everything = (days, hours) == (Days::All, Hours::All);
        if !everything && days_of(&alike) < USUAL_DAYS_MIN {
            return None;
        }
        let (low, high) = range(&alike)?;
        // A part of the day is said only where its hours are of a kind with this one.
        if hours == Hours::Part && !(band.lower <= low && high <= band.upper) {
            return None;
        }
        Some(Usual { low, high, median, label: label(days, hours, hour, period_s) })
    })
}

fn is_alike(days: Days, hours: Hours, a: i32, b: i32) -> bool {
    let day = match days {
        Days::Same => zone::weekday(a) == zone::weekday(b),
        Days::SameKind => zone::is_weekend(a) == zone::is_weekend(b),
        Days::All => true,
    };
    day && match hours {
        Hours::Part => zone::hour_of_day(a) / PART_H == zone::hour_of_day(b) / PART_H,
        Hours::Same => zone::hour_of_day(a) == zone::hour_of_day(b),
        Hours::All => true,
    }
}

/// Different days among the summaries, which come by hour.
fn days_of(alike: &[&Summary]) -> usize {
    let mut days: Vec<i64> = alike.iter().map(|summary| i64::from(summary.hour).div_euclid(DAY_H)).collect();
    days.dedup();
    days.len()
}

/// The quartile of the lowest and that of the highest values, by nearest rank from outside.
fn range(alike: &[&Summary]) -> Option<(f64, f64)> {
    let mut lows: Vec<f32> = alike.iter().map(|summary| summary.low).collect();
    let mut highs: Vec<f32> = alike.iter().map(|summary| summary.high).collect();
    lows.sort_by(|a, b| b.total_cmp(a));
    highs.sort_by(f32::total_cmp);
    let rank = (alike.len() * SHARE.0).div_ceil(SHARE.1).checked_sub(1)?;
    Some((f64::from(*lows.get(rank)?), f64::from(*highs.get(rank)?)))
}

fn label(days: Days, hours: Hours, hour: i32, period_s: i64) -> String {
    let weekday = WEEKDAYS.get(zone::weekday(hour) as usize).copied().unwrap_or_default();
    let kind = if zone::is_weekend(hour) { "weekend" } else { "weekday" };
    let part = zone::hour_of_day(hour) / PART_H;
    let from = zone::hour_of_day(hour);
    let length = (period_s + HOUR_S - 1).div_euclid(HOUR_S).max(1);
    let clock = |from: i64, length: i64| {
        if length >= DAY_H {
            String::new()
        } else {
            format!(" ({from:02}–{:02})", (from + length - 1) % DAY_H + 1)
        }
    };
    let name = match days {
        Days::Same => weekday,
        Days::SameKind => kind,
        Days::All => "all day",
    };
    match hours {
        Hours::Part => {
            let noun = PARTS.get(part as usize).copied().unwrap_or_default();
            format!("{name} {noun}{}", clock(part * PART_H, PART_H))
        }
        Hours::Same => format!("{name}s{}", clock(from, length)),
        Hours::All => format!("{name}s so far"),
    }
}

/// Three digits at least, and no more behind the point than needed: `41`, `0.25`, `12.3`, `1234`.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = value.abs().log10().floor();
    if !(-6.0..15.0).contains(&digits) {
        return format!("{value:.2e}");
    }
    let behind = (2.0 - digits).max(0.0) as usize;
    let text = format!("{value:.behind$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
