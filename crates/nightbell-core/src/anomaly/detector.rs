/*!
Anomaly detectors as they are configured (PutAnomalyDetector, Amazon CloudWatch API Reference).

Says what is watched and which times teach nothing. What was learned is [`super::Model`]'s.
*/

use serde::{Deserialize, Serialize};

use super::model::PERIOD_MIN_S;
use super::zone;
use crate::alarm::{AlarmError, AlarmErrorKind};
use crate::math::{MetricQuery, Purpose, Queries};
use crate::metric::Series;
use crate::statistic::{STATISTIC_BYTES_MAX, Statistic};
use crate::time::{SECOND_MS, Timestamp};

/// Time ranges that a detector leaves out.
pub const EXCLUDED_RANGES_MAX: usize = 10;
/// Characters of a time zone's name.
pub const TIMEZONE_CHARS_MAX: usize = 50;
/// The zone of a detector that names none.
pub const TIMEZONE_DEFAULT: &str = "UTC";

/// What a detector watches; it is identified by this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Watched {
    /// `SingleMetricAnomalyDetector`: one statistic of one series.
    Metric {
        /// The series.
        series: Series,
        /// The statistic exactly as it was given.
        statistic: String,
    },
    /// `MetricMathAnomalyDetector`: what an expression over metrics comes to, as a [`Queries::formula`].
    Expression(Vec<MetricQuery>),
}

impl Watched {
    /// The metrics that are read.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        let (one, many) = match self {
            Self::Metric { series, .. } => (Some(series), &[][..]),
            Self::Expression(entries) => (None, entries.as_slice()),
        };
        one.into_iter().chain(many.iter().filter_map(MetricQuery::stat).map(|stat| &stat.series))
    }

    /// The region it is in, which its metrics share; empty where it reads none.
    pub fn region(&self) -> &str {
        self.series().next().map_or("", |series| series.region.as_str())
    }

    /// The period in seconds that it states, the longest of several; a metric alone states none.
    pub fn period_s(&self) -> Option<i64> {
        match self {
            Self::Metric { .. } => None,
            Self::Expression(entries) => entries
                .iter()
                .filter_map(|entry| entry.stat().map(|stat| stat.period_s).or(entry.period_s))
                .max(),
        }
    }

    fn check(&self) -> Result<(), AlarmError> {
        match self {
            Self::Metric { series, statistic } => {
                series.check().map_err(|broken| error(AlarmErrorKind::Form, broken.field, broken.rule))?;
                if statistic.len() > STATISTIC_BYTES_MAX || Statistic::parse(statistic).is_none() {
                    return Err(error(AlarmErrorKind::Value, "Stat", "must be a statistic".to_owned()));
                }
                Ok(())
            }
            Self::Expression(entries) => check_expression(entries),
        }
    }
}

/// The rules of an alarm on the same entries, and those of models.
fn check_expression(entries: &[MetricQuery]) -> Result<(), AlarmError> {
    let field = "MetricDataQueries";
    let wrong = |message: String| error(AlarmErrorKind::Value, field, message);
    let queries = Queries::check(entries, Purpose::Alarm)
        .map_err(|broken| error(AlarmErrorKind::Form, field, format!("must be in order: {broken}")))?;
    let learned = |entry: &MetricQuery| entry.stat().is_none() && queries.can_be_learned(&entry.id);
    if !entries.iter().any(|entry| entry.return_data && learned(entry))
        || !entries.iter().any(|entry| entry.stat().is_some())
    {
        let message = "must return an expression over metrics, without queries and bands; a metric alone has a \
                       SingleMetricAnomalyDetector";
        return Err(wrong(message.to_owned()));
    }
    let watched = Watched::Expression(entries.to_vec());
    if watched.period_s().is_none_or(|period_s| period_s < PERIOD_MIN_S) {
        return Err(wrong(format!("must have a period of at least {PERIOD_MIN_S} seconds")));
    }
    Ok(())
}

/// Times that teach nothing: a holiday, a release, an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedRange {
    /// The first instant of the range.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl ExcludedRange {
    /// Whether the range holds a part of the period of `period_s` seconds from `second` on.
    pub fn touches(self, second: i64, period_s: i64) -> bool {
        let start = second.saturating_mul(SECOND_MS);
        let end = second.saturating_add(period_s).saturating_mul(SECOND_MS);
        start < self.end.as_millis() && self.start.as_millis() < end
    }
}

/// An anomaly detector as it was configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnomalyDetector {
    /// What it watches.
    pub watched: Watched,
    /// Times that teach nothing, at most [`EXCLUDED_RANGES_MAX`].
    pub excluded: Vec<ExcludedRange>,
    /// The zone whose clocks and weekdays the series follows, an IANA name; `None` is UTC.
    pub timezone: Option<String>,
    /// Whether spikes that come at the same hours are usual.
    pub periodic_spikes: bool,
}

impl AnomalyDetector {
    /// The zone in force.
    pub fn zone(&self) -> &str {
        self.timezone.as_deref().unwrap_or(TIMEZONE_DEFAULT)
    }

    /// Whether the detector is inside the limits of the API.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), AlarmError> {
        self.watched.check()?;
        if self.excluded.len() > EXCLUDED_RANGES_MAX {
            let message = format!("must be at most {EXCLUDED_RANGES_MAX}");
            return Err(error(AlarmErrorKind::Form, "ExcludedTimeRanges", message));
        }
        if self.excluded.iter().any(|range| range.end <= range.start) {
            let message = "must each end after their start".to_owned();
            return Err(error(AlarmErrorKind::Value, "ExcludedTimeRanges", message));
        }
        if self.zone().chars().nth(TIMEZONE_CHARS_MAX).is_some() {
            let message = format!("must have at most {TIMEZONE_CHARS_MAX} characters");
            return Err(error(AlarmErrorKind::Form, "MetricTimezone", message));
        }
        if !zone::is_known(self.zone()) {
            let message = "must be a name of the IANA time zone database".to_owned();
            return Err(error(AlarmErrorKind::Value, "MetricTimezone", message));
        }
        Ok(())
    }
}

fn error(kind: AlarmErrorKind, field: &'static str, message: String) -> AlarmError {
    AlarmError { kind, field, message }
}
