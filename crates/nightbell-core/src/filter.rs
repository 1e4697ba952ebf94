/*!
Metric filters: what is looked for in a group, and what is counted when it is found.

A [`MetricFilter`] is what somebody asked for, kept and shown as it was written; a [`CheckedFilter`] is what it means. A
[`FilterSet`] runs the filters of one group over a batch and gives data points. Names of groups, limits of how many
filters a group may have, and where filters are stored are the server's business.

Rules and messages are those of "Creating metric filters" (CloudWatch Logs User Guide) and of the live service.
*/

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::time::Timestamp;

pub use check::CheckedFilter;
pub use fold::FilterSet;

mod check;
mod criteria;
mod fold;

/// Characters of a filter's name.
pub const FILTER_NAME_CHARS_MAX: usize = 512;
/// Characters of a metric's name, and of a namespace.
pub const METRIC_NAME_CHARS_MAX: usize = 255;
/// Characters of a metric value as written.
pub const METRIC_VALUE_CHARS_MAX: usize = 100;
/// Dimensions of one filter, system fields included.
pub const DIMENSIONS_MAX: usize = 3;
/// Characters of a dimension's name, and of its value as written.
pub const DIMENSION_CHARS_MAX: usize = 255;
/// Bytes of a dimension's value as read from an event; longer values are cut, so that nobody hides behind a long path.
pub const DIMENSION_VALUE_BYTES_MAX: usize = 1_024;
/// Fields of a `DISTINCT(…)`.
pub const DISTINCT_KEYS_MAX: usize = 3;
/// Characters of field selection criteria.
pub const CRITERIA_CHARS_MAX: usize = 2_000;
/// The dimension value that stands for the name of the event's stream; Nightbell's own.
pub const STREAM_SELECTOR: &str = "@logStream";
/// What `emitSystemFieldDimensions` may name.
pub const SYSTEM_FIELDS: [&str; 3] = ["@aws.region", "@aws.account", "@source.log"];

/// A metric filter with its one metric transformation, as it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricFilter {
    /// Its name, unique in the group: 1 to 512 characters, no `:` and no `*`.
    pub name: String,
    /// The pattern's text.
    pub pattern: String,
    /// Namespace of the metric.
    pub namespace: String,
    /// Name of the metric.
    pub metric: String,
    /// What a matching event adds: a number, `$.a.b`, or `$name` of a column; or `DISTINCT($.a, …)`, a sample of 1 with
    /// the fields' texts as its key, Nightbell's own.
    pub value: String,
    /// What an event that does not match adds, if anything.
    pub default: Option<f64>,
    /// Dimensions: name to `$.a.b`, `$name` or `@logStream`.
    pub dimensions: BTreeMap<String, String>,
    /// The unit data points are stored with; `None` is CloudWatch's `None`.
    pub unit: Option<String>,
    /// When it was first made. Events that arrived before are not counted.
    pub created: Timestamp,
    /// Which of [`SYSTEM_FIELDS`] become dimensions too.
    pub emit_system_field_dimensions: Vec<String>,
    /// Which accounts, regions and groups it is for, as it was written.
    pub field_selection_criteria: Option<String>,
}

impl MetricFilter {
    /// What the filter means.
    ///
    /// # Errors
    /// The first rule it breaks, with the service's message; the caller answers `InvalidParameterException`.
    pub fn check(&self) -> Result<CheckedFilter, FilterError> {
        check::check(self)
    }
}

/// A metric filter that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct FilterError {
    /// What the client reads.
    pub message: String,
    /// What is wrong.
    pub kind: FilterErrorKind,
}

/// What is wrong with a filter. All kinds are `InvalidParameterException` to an AWS client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterErrorKind {
    /// A field breaks a length, a character set or a list of allowed values.
    Field,
    /// The pattern is none.
    Pattern,
    /// The metric transformation makes no sense.
    Transformation,
    /// The field selection criteria cannot be read.
    Criteria,
}

impl FilterError {
    fn new(kind: FilterErrorKind, message: impl Into<String>) -> Self {
        Self { message: message.into(), kind }
    }
}
