/*!
What is usual at this hour of this day of the week, and how far from it is strange.

[`AnomalyDetector`] says what is watched, as PutAnomalyDetector does; [`Model`] is what was learned from it for one
length of period; [`crosses_band`] holds a value against a [`Band`]. Knows no alarm, no clock and no stream: values of
completed periods come in one by one, and whoever asks for a band names the second. The statistics stand in `scale`,
`summary` and `expectation`, the words for people in `usual`.
*/

use serde::{Deserialize, Serialize};

pub use detector::{AnomalyDetector, ExcludedRange, Watched};
pub use expectation::Expectation;
pub use model::{Model, Training};
pub use usual::Usual;

pub mod detector;
mod expectation;
mod formula;
pub mod model;
pub mod models;
mod scale;
mod summary;
#[cfg(test)]
mod tests;
mod usual;
mod zone;

/// Deviations between the expected value and the ends of a band when none are given (ANOMALY_DETECTION_BAND).
pub const BAND_WIDTH_DEFAULT: f64 = 2.0;
/// Deviations beyond which a band is made no wider.
pub const BAND_WIDTH_MAX: f64 = 1_000.0;

/// The values that are no surprise, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The smallest of them.
    pub lower: f64,
    /// The largest of them; never below `lower`.
    pub upper: f64,
}

/// How a value is held against a band (PutMetricAlarm, the three operators of anomaly alarms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BandComparison {
    /// Outside, on either side.
    LessThanLowerOrGreaterThanUpperThreshold,
    /// Below.
    LessThanLowerThreshold,
    /// Above.
    GreaterThanUpperThreshold,
}

/// The three comparisons.
pub const BAND_COMPARISONS: [BandComparison; 3] = [
    BandComparison::LessThanLowerOrGreaterThanUpperThreshold,
    BandComparison::LessThanLowerThreshold,
    BandComparison::GreaterThanUpperThreshold,
];

impl BandComparison {
    /// The API's name of the operator.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LessThanLowerOrGreaterThanUpperThreshold => "LessThanLowerOrGreaterThanUpperThreshold",
            Self::LessThanLowerThreshold => "LessThanLowerThreshold",
            Self::GreaterThanUpperThreshold => "GreaterThanUpperThreshold",
        }
    }

    /// Reads the API's name; `None` when it is no operator of a band.
    pub fn parse(name: &str) -> Option<Self> {
        BAND_COMPARISONS.into_iter().find(|comparison| comparison.name() == name)
    }

    /// Whether the upper end is looked at.
    pub const fn looks_up(self) -> bool {
        !matches!(self, Self::LessThanLowerThreshold)
    }

    /// Whether the lower end is looked at.
    pub const fn looks_down(self) -> bool {
        !matches!(self, Self::GreaterThanUpperThreshold)
    }
}

/// Whether `value` is beyond the band; the ends themselves are not beyond. `None`, which is missing data, without a band.
pub fn crosses_band(value: f64, band: Option<Band>, comparison: BandComparison) -> Option<bool> {
    let band = band?;
    Some((comparison.looks_up() && value > band.upper) || (comparison.looks_down() && value < band.lower))
}
