/*!
Metric math: expressions over series of points, as "Using math expressions with CloudWatch metrics" (Amazon CloudWatch
User Guide) has them.

Here stand the entries as the API writes them and what goes in and out. `expression` reads a text, `queries` holds a
list of entries against the API's rules, `evaluate` works them out, `points` knows what a function does to one series.
Where points come from (windows, queries with SELECT, anomaly bands) is behind [`Inputs`]: nothing here knows a clock,
a store or an alarm. Marks *assumed* in comments name choices that the guide leaves open.
*/

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::metric::Series;

pub use error::{Fault, MathError};
pub use expression::Expression;
pub use queries::{Kind, Purpose, Queries};

mod error;
mod evaluate;
mod expression;
mod function;
mod lex;
mod points;
mod queries;

/// Entries of one list ("GetMetricData", CloudWatch API Reference).
pub const ENTRIES_MAX: usize = 500;
/// Entries of an alarm that name a metric ("MetricDataQuery", CloudWatch API Reference).
pub const ALARM_METRICS_MAX: usize = 10;
/// Entries of an alarm that hold an expression ("MetricDataQuery", CloudWatch API Reference).
pub const ALARM_EXPRESSIONS_MAX: usize = 10;
/// Entries that one with a band needs, itself counted: as many as an alarm has.
pub const FORMULA_ENTRIES_MAX: usize = ALARM_METRICS_MAX + ALARM_EXPRESSIONS_MAX;
/// Characters of an expression ("MetricDataQuery", CloudWatch API Reference).
pub const EXPRESSION_CHARS_MAX: usize = 2_048;
/// Characters of an entry's id ("MetricDataQuery", CloudWatch API Reference).
pub const ID_CHARS_MAX: usize = 255;
/// How deep parentheses, arrays, calls, signs and powers nest in an expression.
pub const EXPRESSION_DEPTH_MAX: usize = 32;
/// Points that one evaluation reads and makes, all series and steps together: 64 MiB of them.
pub const EVALUATION_POINTS_MAX: usize = 4_194_304;

/// One entry of `Metrics` or `MetricDataQueries`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetricQuery {
    /// Its name within the list: a lower-case letter, then letters, digits and `_`.
    pub id: String,
    /// What its result is called; `None` calls it by the id.
    pub label: Option<String>,
    /// Whether the result is asked for, rather than only used by other entries.
    pub return_data: bool,
    /// Period in seconds of an expression that has no metric to take it from.
    pub period_s: Option<i64>,
    /// The account that has the metric.
    pub account_id: Option<String>,
    /// Where its points come from.
    pub what: Queried,
}

/// Where the points of a [`MetricQuery`] come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Queried {
    /// One metric.
    Stat(MetricStat),
    /// An expression, or a query that begins with SELECT.
    Expression(String),
}

/// A statistic of a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetricStat {
    /// The metric.
    pub series: Series,
    /// Seconds of a period.
    pub period_s: i64,
    /// The statistic as it was given, `Sum` or `p99.9`.
    pub statistic: String,
    /// Only data stored with this unit is seen; `None` sees all.
    pub unit: Option<String>,
}

impl MetricQuery {
    /// The text of a Metrics Insights query, where the entry is one: an expression that begins with SELECT.
    pub fn select(&self) -> Option<&str> {
        let Queried::Expression(text) = &self.what else { return None };
        let text = text.trim();
        let (word, rest) = text.split_at_checked("SELECT".len())?;
        let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        (word.eq_ignore_ascii_case("SELECT") && ends).then_some(text)
    }

    /// The metric, where the entry names one.
    pub fn stat(&self) -> Option<&MetricStat> {
        match &self.what {
            Queried::Stat(stat) => Some(stat),
            Queried::Expression(_) => None,
        }
    }
}

/// The periods that all points of one evaluation lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// Second at which the first period starts, since 1970 UTC.
    pub start: i64,
    /// Seconds of a period.
    pub period_s: i64,
    /// How many periods there are.
    pub points: usize,
}

/// A point for each period, oldest first; `None` where there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Second at which the first period starts, since 1970 UTC.
    pub start: i64,
    /// Seconds of a period.
    pub period_s: i64,
    /// The points.
    pub values: Vec<Option<f64>>,
}

impl Timeline {
    /// The periods it covers.
    pub fn grid(&self) -> Grid {
        Grid { start: self.start, period_s: self.period_s, points: self.values.len() }
    }
}

/// A timeline and what it is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Labelled {
    /// What a legend says.
    pub label: String,
    /// The points.
    pub timeline: Timeline,
}

/// Between which values a metric is as usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The lower bounds.
    pub lower: Timeline,
    /// The upper bounds.
    pub upper: Timeline,
}

/// What an entry comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// A number that belongs to no period, such as `AVG(m1)`; `None` when there were no points to take it from. The
    /// service takes it for no final result; `TIME_SERIES` makes a series of it.
    Scalar(Option<f64>),
    /// One series, or the several of an array.
    Series(Vec<Labelled>),
    /// `ANOMALY_DETECTION_BAND`.
    Band(Band),
}

/// Where points come from. All timelines must lie on [`Inputs::grid`].
pub trait Inputs {
    /// The periods of this evaluation. Points that are longer are resampled before.
    fn grid(&self) -> Grid;

    /// The series of an entry that is a metric (one) or a SELECT (any number), in the order they are to be shown.
    fn timelines(&self, id: &str, entry: &MetricQuery) -> Vec<Labelled>;

    /// The band of what `of` comes to, `width` deviations to each side, over the periods of `grid`, which holds its own
    /// points; `None` while there is no model. `of` is a [`Queries::formula`].
    fn band(&self, of: &[MetricQuery], width: f64, grid: &Timeline) -> Option<Band>;
}

/// What the entry `id` comes to. Each entry is worked out once, however often it is referred to.
///
/// # Errors
/// A [`MathError`] when the entries break a rule that every list keeps, or need more than [`EVALUATION_POINTS_MAX`].
pub fn evaluate(entries: &[MetricQuery], id: &str, inputs: &dyn Inputs) -> Result<Outcome, MathError> {
    Queries::read(entries)?.evaluate(id, inputs)
}

/// A point, or that there is none.
type Point = Option<f64>;

/// The points of one series on the grid of an evaluation, shared between the entries that use them.
#[derive(Clone)]
struct Line {
    label: Rc<str>,
    points: Rc<[Point]>,
}
