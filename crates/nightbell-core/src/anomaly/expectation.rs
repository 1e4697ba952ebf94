/*!
From summaries of hours to what is expected in one hour of the week.

Four levels, each refining the one before: all hours, the same hour of any day, the same hour of weekdays or of weekends,
the same hour of the same weekday. A level starts from its parent as if that were one week more: a single strange week
cannot convince it, two weeks that agree can. A deviation is made of how values vary within such hours, how such hours
vary from week to week, and a least spread, so that a series that never moved does not alarm at its first event.
*/

use super::scale::{self, Scale};
use super::summary::{Placed, Summary};
use super::{BAND_WIDTH_MAX, Band, zone};

/// Values' worth of trust that a level has in its parent's spread within an hour.
const PARENT_FREEDOM: f64 = 12.0;
/// An hour's variance counts at most so many times that of its parent level.
const VARIANCE_RATIO_MAX: f64 = 4.0;
/// Hours' worth of doubt: a deviation from few hours is this many shares wider.
const DOUBT_HOURS: f64 = 4.0;
/// Deviations above the expected from which on a usual largest value is a spike.
const SPIKE_DEVIATIONS: f64 = 3.0;
/// Weeks, or days, that must agree on a spike.
const SPIKE_HOURS_MIN: usize = 2;

/// What is expected in one hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    scale: Scale,
    place: f64,
    spread: f64,
    /// The place of the usual spike.
    spike: Option<f64>,
}

/// One level of the refinement, on the scale.
#[derive(Clone, Copy)]
struct Level {
    place: f64,
    /// Variance of values within an hour.
    within: f64,
    /// Variance of hours among each other.
    between: f64,
}

impl Expectation {
    /// The expected value.
    pub fn value(&self) -> f64 {
        self.scale.value(self.place)
    }

    /// The band of `width` deviations; `None` when `width` is not a number, and a width below 0 is 0.
    pub fn band(&self, width: f64) -> Option<Band> {
        if width.is_nan() {
            return None;
        }
        let reach = width.clamp(0.0, BAND_WIDTH_MAX) * self.spread;
        let lower = self.scale.value(self.place - reach);
        let mut upper = self.scale.value(self.place + reach);
        if let Some(spike) = self.spike {
            upper = upper.max(self.scale.value(spike + reach));
        }
        Some(Band { lower, upper })
    }

    /// The expected place on the scale.
    pub(super) fn place(&self) -> f64 {
        self.place
    }

    /// One deviation on the scale.
    pub(super) fn spread(&self) -> f64 {
        self.spread
    }

    /// Moves the expected value by a factor on the scale.
    pub(super) fn shift(&mut self, factor: f64) {
        self.place *= factor;
    }

    /// Raises the upper end over a usual spike, where it is one.
    pub(super) fn lift(&mut self, spike: Option<f64>) {
        self.spike = spike.filter(|spike| *spike > self.place + SPIKE_DEVIATIONS * self.spread);
    }
}

/// What `past` makes expect in `hour`; `None` of nothing.
pub(super) fn of(past: Vec<Placed>, hour: i32, scale: Scale) -> Option<Expectation> {
    let hours = past.len();
    let mut level = all_hours(&past, scale)?;
    let overall = level.between.sqrt();
    let mut alike = past;
    for same in LEVELS {
        alike.retain(|placed| same(placed.hour, hour));
        level = refined(level, &alike, scale, overall);
    }
    let doubt = 1.0 + DOUBT_HOURS / hours as f64;
    let spread = (level.within + level.between).sqrt().max(scale.least_spread(level.place, overall));
    Some(Expectation { scale, place: level.place, spread: spread * doubt, spike: None })
}

/// Which hours a level shares; each is narrower than the one before.
const LEVELS: [fn(i32, i32) -> bool; 3] = [
    |a, b| zone::hour_of_day(a) == zone::hour_of_day(b),
    |a, b| zone::is_weekend(a) == zone::is_weekend(b),
    |a, b| zone::weekday(a) == zone::weekday(b),
];

fn all_hours(past: &[Placed], scale: Scale) -> Option<Level> {
    let places: Vec<f64> = past.iter().map(|placed| placed.place).collect();
    let place = scale::median(&mut places.clone());
    let step = scale::median_spread(&places, place).max(scale.least_spread(place, 0.0));
    let between = scale::cut_squares(&places, place, step) / past.len().checked_sub(1)?.max(1) as f64;
    let mut variances: Vec<f64> =
        past.iter().filter(|placed| placed.freedom > 0.0).map(|placed| placed.variance).collect();
    let variance = scale::median(&mut variances).max(scale.least_spread(place, between.sqrt()).powi(2));
    Some(Level { place, within: within(past, variance, 0.0), between })
}

/// The level of the hours `alike`, seen from its parent.
fn refined(parent: Level, alike: &[Placed], scale: Scale, overall: f64) -> Level {
    if alike.is_empty() {
        return parent;
    }
    let mut places: Vec<f64> = alike.iter().map(|placed| placed.place).collect();
    let hours = places.len() as f64;
    let least = scale.least_spread(parent.place, overall);
    places.push(parent.place);
    // One hour against its parent is word against word: the parent is believed.
    let start = if alike.len() == 1 { parent.place } else { scale::median(&mut places.clone()) };
    let own = if alike.len() > 2 { scale::median_spread(&places, start) } else { 0.0 };
    let step = own.max(parent.within.sqrt()).max(least);
    let place = scale::centre(&places, start, step);
    places.pop();
    let between = (scale::cut_squares(&places, place, step) + parent.between) / (hours + 1.0);
    let variance = parent.within.max(least * least);
    Level { place, within: within(alike, variance, parent.within), between }
}

/// Mean variance within hours, each held to [`VARIANCE_RATIO_MAX`] × `typical`, beside `prior`.
fn within(hours: &[Placed], typical: f64, prior: f64) -> f64 {
    let most = VARIANCE_RATIO_MAX * typical;
    let sum: f64 = hours.iter().map(|placed| placed.freedom * placed.variance.min(most)).sum();
    let freedom: f64 = hours.iter().map(|placed| placed.freedom).sum();
    if prior > 0.0 {
        (sum + PARENT_FREEDOM * prior) / (freedom + PARENT_FREEDOM)
    } else if freedom > 0.0 {
        sum / freedom
    } else {
        0.0
    }
}

/// The largest value usual in `hour`, as a place: by the same hour of the same weekday where that was seen twice,
/// else by the same hour of such days.
pub(super) fn spike(past: &[Summary], hour: i32, scale: Scale) -> Option<f64> {
    let mut alike: Vec<&Summary> = past.iter().collect();
    let mut found = None;
    for same in LEVELS {
        alike.retain(|summary| same(summary.hour, hour));
        if alike.len() < SPIKE_HOURS_MIN {
            break;
        }
        let mut highs: Vec<f64> = alike.iter().map(|summary| scale.place(f64::from(summary.high))).collect();
        found = Some(scale::median(&mut highs));
    }
    found
}
