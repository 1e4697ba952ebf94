/*!
One hour of one series, once it is over: what is kept of its values.

Kept as values, not as places on a scale, for a series may turn out to be of another kind later on. An hour is the unit
of trust: whatever happens within one, it has one voice.
*/

use serde::{Deserialize, Serialize};

use super::scale::{self, Scale};

/// The summary of one hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Summary {
    /// The hour on the clocks of the detector's zone, counted from 1970.
    pub hour: i32,
    /// How many periods it summarises, held at 255.
    pub periods: u8,
    /// Whether some value was not whole.
    pub broken: bool,
    /// Robust centre.
    centre: f32,
    /// The value one spread above the centre.
    above: f32,
    /// Smallest value.
    pub low: f32,
    /// Largest value.
    pub high: f32,
}

/// A summary as numbers on a scale.
pub(super) struct Placed {
    /// The hour.
    pub hour: i32,
    /// The centre.
    pub place: f64,
    /// The square of the spread of the values around it.
    pub variance: f64,
    /// How many values the spread is known from, less one.
    pub freedom: f64,
}

impl Summary {
    /// The summary of `values`, which are all finite and fit a single float; `None` of no values.
    pub(super) fn of(hour: i32, values: impl Iterator<Item = f64>, scale: Scale) -> Option<Self> {
        let values: Vec<f64> = values.collect();
        let places: Vec<f64> = values.iter().map(|value| scale.place(*value)).collect();
        let start = scale::median(&mut places.clone());
        let step = scale::median_spread(&places, start).max(scale.least_spread(start, 0.0));
        let centre = scale::centre(&places, start, step);
        let freedom = places.len().checked_sub(1)?;
        let variance = scale::cut_squares(&places, centre, step) / freedom.max(1) as f64;
        Some(Self {
            hour,
            periods: u8::try_from(values.len()).unwrap_or(u8::MAX),
            broken: values.iter().any(|value| value.fract() != 0.0),
            centre: scale.value(centre) as f32,
            above: scale.value(centre + variance.sqrt()) as f32,
            low: values.iter().copied().fold(f64::INFINITY, f64::min) as f32,
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max) as f32,
        })
    }

    /// The summary on `scale`.
    pub(super) fn placed(&self, scale: Scale) -> Placed {
        let place = scale.place(f64::from(self.centre));
        let spread = scale.place(f64::from(self.above)) - place;
        Placed {
            hour: self.hour,
            place,
            variance: spread * spread,
            freedom: f64::from(self.periods.saturating_sub(1)),
        }
    }
}
