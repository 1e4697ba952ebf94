/*!
What was learned about one series at one length of period: a summary of each hour of the last four weeks.

Values of completed periods come in by [`Model::learn`]. The last three hours are kept value by value, so that order
and corrections within them do not matter; an hour that is older is summed up once. What follows from the summaries is
`expectation`'s business. Whoever feeds the model decides what a period without data is: passing 0 for a count that was
not counted because nothing happened is right, passing nothing while the source was cut off is right as well.
*/

use serde::{Deserialize, Serialize};

use super::detector::{AnomalyDetector, EXCLUDED_RANGES_MAX, ExcludedRange};
use super::expectation::{self, Expectation};
use super::scale::Scale;
use super::summary::{Placed, Summary};
use super::usual::{self, Usual};
use super::zone::{self, HOUR_S, WEEK_H};
use super::{BAND_WIDTH_DEFAULT, Band};
use crate::time::{DAY_MS, Timestamp};

/// Shortest period of a model, in seconds (anomaly alarms, Amazon CloudWatch User Guide).
pub const PERIOD_MIN_S: i64 = 60;
/// Hours kept value by value. What comes later than this teaches nothing.
pub const OPEN_HOURS_MAX: usize = 3;
/// Weeks that each hour of the week is remembered for.
pub const WEEKS_MAX: usize = 4;
/// Hours with data before the hour asked for, from which on there is a band.
pub const BAND_HOURS_MIN: usize = 3;
/// Hours with data from which on a model is trained: three days.
pub const TRAINED_HOURS_MIN: usize = 72;
/// Age of the newest value beyond which a model is no longer trained: two weeks.
pub const TRAINED_AGE_MAX_MS: i64 = 14 * DAY_MS;
/// Magnitude at which values are held while learning; a single float holds it, and its square fits a double.
const VALUE_MAGNITUDE_MAX: f64 = 1e30;
/// Hours with data from which on the level follows the newest hours.
const LEVEL_HOURS_MIN: usize = WEEK_H as usize;
/// Share of an hour's deviation that moves the level: a step is followed in days, an hour hardly moves it.
const LEVEL_SHARE: f64 = 1.0 / 48.0;
/// The level stays between these factors on its scale; beyond, the weeks have to pass.
const LEVEL_RANGE: [f64; 2] = [0.5, 2.0];
/// One summary in so many may be of another kind without changing what the series is taken for.
const STRAY_ONE_IN: usize = 20;

/// How far a model is (`StateValue` of DescribeAnomalyDetectors).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Training {
    /// There is no band yet.
    #[serde(rename = "PENDING_TRAINING")]
    Pending,
    /// There is a band from little or from old data.
    #[serde(rename = "TRAINED_INSUFFICIENT_DATA")]
    Insufficient,
    /// Trained.
    #[serde(rename = "TRAINED")]
    Trained,
}

impl Training {
    /// The API's name of the state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING_TRAINING",
            Self::Insufficient => "TRAINED_INSUFFICIENT_DATA",
            Self::Trained => "TRAINED",
        }
    }
}

/// What was learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    period_s: i64,
    zone: String,
    excluded: Vec<ExcludedRange>,
    periodic_spikes: bool,
    /// By hour; of each hour of the week at most [`WEEKS_MAX`].
    closed: Vec<Summary>,
    /// By hour, at most [`OPEN_HOURS_MAX`].
    open: Vec<OpenHour>,
    /// First second of the newest period learned.
    newest: Option<i64>,
    /// What the newest hours are of the expected, as a factor on the scale.
    level: f64,
}

/// An hour that may still change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OpenHour {
    hour: i32,
    /// (first second of the period, value), by second.
    values: Vec<(i64, f64)>,
}

impl Model {
    /// An empty model of `detector` for periods of `period_s` seconds, at least [`PERIOD_MIN_S`].
    pub fn new(detector: &AnomalyDetector, period_s: i64) -> Self {
        Self {
            period_s: period_s.max(PERIOD_MIN_S),
            zone: detector.zone().to_owned(),
            excluded: detector.excluded.iter().copied().take(EXCLUDED_RANGES_MAX).collect(),
            periodic_spikes: detector.periodic_spikes,
            closed: Vec::new(),
            open: Vec::new(),
            newest: None,
            level: 1.0,
        }
    }

    /// Takes over a changed configuration: hours touched by a range that is now excluded are forgotten; with another
    /// time zone all is, for hours are those of its clocks.
    pub fn configure(&mut self, detector: &AnomalyDetector) {
        let fresh = Self::new(detector, self.period_s);
        if self.zone != fresh.zone {
            *self = fresh;
            return;
        }
        self.excluded = fresh.excluded;
        self.periodic_spikes = fresh.periodic_spikes;
        for range in self.excluded.clone() {
            self.forget(range);
        }
    }

    fn forget(&mut self, range: ExcludedRange) {
        for open in &mut self.open {
            open.values.retain(|(second, _)| !range.touches(*second, self.period_s));
        }
        self.open.retain(|open| !open.values.is_empty());
        let last_ms = range.end.as_millis().saturating_sub(1);
        let first = zone::local_hour(&self.zone, range.start.second()).unwrap_or(i32::MIN);
        let last = zone::local_hour(&self.zone, Timestamp::from_millis(last_ms).second()).unwrap_or(i32::MAX);
        self.closed.retain(|summary| !(first..=last).contains(&summary.hour));
    }

    /// Learns the value of the completed period that holds `second`; a value for the same period replaces it.
    ///
    /// False when it teaches nothing: not a finite number, inside an excluded range, beyond the calendar, or more than
    /// [`OPEN_HOURS_MAX`] hours late. Time only goes on: after a value from the future nothing is learned until then.
    pub fn learn(&mut self, second: i64, value: f64) -> bool {
        let second = second.div_euclid(self.period_s).saturating_mul(self.period_s);
        let Some(hour) = zone::local_hour(&self.zone, second).filter(|_| value.is_finite()) else {
            return false;
        };
        let late =
            self.open.last().is_some_and(|open| hour <= open.hour.saturating_sub(OPEN_HOURS_MAX as i32));
        let summed_up = self.closed.last().is_some_and(|summary| hour <= summary.hour);
        if late || summed_up || self.excluded.iter().any(|range| range.touches(second, self.period_s)) {
            return false;
        }
        let at = self.open.partition_point(|open| open.hour < hour);
        if self.open.get(at).is_none_or(|open| open.hour != hour) {
            self.open.insert(at, OpenHour { hour, values: Vec::new() });
        }
        let values = &mut self.open[at].values;
        let value = value.clamp(-VALUE_MAGNITUDE_MAX, VALUE_MAGNITUDE_MAX);
        match values.binary_search_by_key(&second, |(held, _)| *held) {
            Ok(at) => values[at].1 = value,
            Err(at) => values.insert(at, (second, value)),
        }
        self.newest = self.newest.max(Some(second));
        self.sum_up();
        true
    }

    /// Sums up the hours that can no longer change, oldest first.
    fn sum_up(&mut self) {
        let newest = self.open.last().map_or(i32::MIN, |open| open.hour);
        let oldest_open = newest.saturating_sub(OPEN_HOURS_MAX as i32 - 1);
        while self.open.first().is_some_and(|open| open.hour < oldest_open) {
            let open = self.open.remove(0);
            let scale = self.scale();
            let Some(summary) = Summary::of(open.hour, open.values.iter().map(|(_, value)| *value), scale)
            else {
                continue;
            };
            self.follow_level(&summary.placed(scale), scale);
            self.closed.push(summary);
            self.drop_oldest_like(open.hour);
        }
    }

    /// Moves the level a little towards what `hour` says about it.
    fn follow_level(&mut self, hour: &Placed, scale: Scale) {
        if self.closed.len() < LEVEL_HOURS_MIN {
            return;
        }
        let past = self.closed.iter().map(|summary| summary.placed(scale)).collect();
        let Some(expected) = expectation::of(past, hour.hour, scale) else { return };
        let (place, spread) = (expected.place(), expected.spread());
        let off = (hour.place - self.level * place).clamp(-spread, spread);
        let weight = place / (place * place + spread * spread).max(f64::MIN_POSITIVE);
        let [least, most] = LEVEL_RANGE;
        self.level = (self.level + LEVEL_SHARE * off * weight).clamp(least, most);
    }

    fn drop_oldest_like(&mut self, hour: i32) {
        let cell = zone::hour_of_week(hour);
        let alike = |summary: &Summary| zone::hour_of_week(summary.hour) == cell;
        if self.closed.iter().filter(|summary| alike(summary)).count() > WEEKS_MAX
            && let Some(at) = self.closed.iter().position(alike)
        {
            self.closed.remove(at);
        }
    }

    /// What is expected in the hour that holds `second`; `None` until [`BAND_HOURS_MIN`] other hours are known.
    ///
    /// It holds for the whole hour, and costs some ten microseconds.
    pub fn expect(&self, second: i64) -> Option<Expectation> {
        let hour = zone::local_hour(&self.zone, second)?;
        let scale = self.scale();
        let past = self.known(hour);
        if past.len() < BAND_HOURS_MIN {
            return None;
        }
        let spikes = self.periodic_spikes.then(|| expectation::spike(&past, hour, scale)).flatten();
        let placed = past.iter().map(|summary| summary.placed(scale)).collect();
        let mut expected = expectation::of(placed, hour, scale)?;
        expected.shift(self.level);
        expected.lift(spikes);
        Some(expected)
    }

    /// The values that are no surprise in the period that holds `second`: the expected one and `width` deviations
    /// around it. `None` while there is no band, and for a width that is no number.
    pub fn band(&self, second: i64, width: f64) -> Option<Band> {
        self.expect(second)?.band(width)
    }

    /// What values were seen at such times, in numbers and words; `None` while there is no band.
    pub fn usual(&self, second: i64) -> Option<Usual> {
        let band = self.band(second, BAND_WIDTH_DEFAULT)?;
        let hour = zone::local_hour(&self.zone, second)?;
        let median = self.expect(second)?.value();
        usual::of(&self.known(hour), hour, self.period_s, band, median)
    }

    /// How far the model is at `now`.
    pub fn state(&self, now: Timestamp) -> Training {
        let hours = self.closed.len() + self.open.len();
        let stale =
            self.newest.is_none_or(|second| now.since(Timestamp::from_seconds(second)) > TRAINED_AGE_MAX_MS);
        match hours {
            0..BAND_HOURS_MIN => Training::Pending,
            BAND_HOURS_MIN..TRAINED_HOURS_MIN => Training::Insufficient,
            _ if stale => Training::Insufficient,
            _ => Training::Trained,
        }
    }

    /// Seconds of its periods.
    pub const fn period_s(&self) -> i64 {
        self.period_s
    }

    /// First second of the newest period learned; whoever catches up goes on after it.
    pub const fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// Whether hours may be told apart: a period is not longer than one.
    pub(super) const fn hour_is_telling(period_s: i64) -> bool {
        period_s <= HOUR_S
    }

    /// Summaries of all hours but `hour`, which is the one being judged, and those after it that are still open.
    fn known(&self, hour: i32) -> Vec<Summary> {
        let scale = self.scale();
        let open = self.open.iter().filter(|open| open.hour < hour);
        let open = open
            .filter_map(|open| Summary::of(open.hour, open.values.iter().map(|(_, value)| *value), scale));
        self.closed.iter().filter(|summary| summary.hour != hour).cloned().chain(open).collect()
    }

    /// The kind of numbers, by nearly all hours; before the first hour is summed up, by the open ones.
    fn scale(&self) -> Scale {
        let open = || self.open.iter().flat_map(|open| &open.values).map(|(_, value)| *value);
        let hours = self.closed.len();
        let (signed, broken) = if hours == 0 {
            (open().any(|value| value < 0.0), open().any(|value| value.fract() != 0.0))
        } else {
            let share = |strays: usize| strays * STRAY_ONE_IN > hours;
            let count =
                |stray: fn(&Summary) -> bool| self.closed.iter().filter(|summary| stray(summary)).count();
            (share(count(|summary| summary.low < 0.0)), share(count(|summary| summary.broken)))
        };
        match (signed, broken) {
            (true, _) => Scale::Signed,
            (false, true) => Scale::Amounts,
            (false, false) => Scale::Counts,
        }
    }
}
