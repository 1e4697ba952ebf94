/*!
Metrics Insights queries: `SELECT SUM(Denied) FROM "files" WHERE … GROUP BY Folder`.

A [`Query`] says which series are counted together and by which statistic. Its language is that of "Query components
and syntax in CloudWatch Metrics Insights" (Amazon CloudWatch User Guide), with OR, IN and brackets in conditions, and
two additions of Nightbell: the function `COUNT_DISTINCT`, and the clause `AFTER SUM(Other) >= n` behind GROUP BY.
`parse` reads the text, `write` gives it back. Knows no samples, no periods and no alarm.
*/

mod parse;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};

use crate::metric::Series;

/// Characters of a query, also once it is written out with all its blanks; twice what the API allows an `Expression`,
/// so that whatever came through it can be written out.
pub const QUERY_CHARS_MAX: usize = 4_096;
/// Brackets inside each other in a WHERE clause.
pub const CONDITION_DEPTH_MAX: usize = 16;
/// Values of an `IN (…)`.
pub const IN_VALUES_MAX: usize = 100;
/// Largest LIMIT, and the groups that a query without LIMIT may have ("Query components and syntax").
pub const GROUPS_MAX: u32 = 500;
/// The value of a group name for series without that dimension ("Query components and syntax", GROUP BY).
pub const OTHER: &str = "Other";

/// A query, read from its text. It is stored as text, so that the stored form is the language itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Query {
    /// What is computed of the samples of a group in a period.
    pub function: Function,
    /// The metric whose samples are counted.
    pub metric: String,
    /// Its namespace.
    pub namespace: String,
    /// With SCHEMA the dimensions that a series must have, no more and no fewer; sorted. `None` admits any.
    pub schema: Option<Vec<String>>,
    /// What WHERE asks of the dimensions.
    pub conditions: Option<Condition>,
    /// The dimensions whose values make a group, in the order written; none puts everything into one group.
    pub group_by: Vec<String>,
    /// What must have happened in a group for its samples to count.
    pub after: Option<After>,
    /// By what of their values groups are put into order, and in which direction.
    pub order_by: Option<(Function, Direction)>,
    /// Groups at most, 1 to [`GROUPS_MAX`].
    pub limit: Option<u32>,
}

/// A function over samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Function {
    /// `AVG`.
    Avg,
    /// `COUNT`, of samples.
    Count,
    /// `MAX`.
    Max,
    /// `MIN`.
    Min,
    /// `SUM`.
    Sum,
    /// `COUNT_DISTINCT`, of the different values that the samples stand for.
    CountDistinct,
}

/// Direction of an ORDER BY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// `ASC`, smallest first; the default.
    Ascending,
    /// `DESC`, largest first.
    Descending,
}

/// `AFTER SUM(Other) >= n`: samples count only where another metric, read by the same FROM, WHERE and GROUP BY, has
/// reached a number in the same group.
#[derive(Clone, Debug, PartialEq)]
pub struct After {
    /// [`Function::Sum`] or [`Function::Count`].
    pub function: Function,
    /// The other metric.
    pub metric: String,
    /// What it must have reached; finite and above zero.
    pub at_least: f64,
}

/// What WHERE asks of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `name = 'value'`; a series without the dimension does not match.
    Equals(String, String),
    /// `name != 'value'`; a series without the dimension matches.
    Differs(String, String),
    /// `name IN ('value', …)`; a series without the dimension does not match.
    OneOf(String, Vec<String>),
    /// AND: two or more, none of them `All`.
    All(Vec<Condition>),
    /// OR: two or more, none of them `Any`.
    Any(Vec<Condition>),
}

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {message}")]
pub struct QueryError {
    /// The character it is about, counted from 1; one past the last when the text ends too early.
    pub at: usize,
    /// What was expected and what was found, ready to show.
    pub message: String,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// The first place that is not of the language, says something Nightbell does not have (tags, accounts), or goes
    /// past a limit.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parse::query(text)
    }

    /// Whether the samples of `series` are counted. Does not look at the region. Allocates nothing.
    pub fn admits(&self, series: &Series) -> bool {
        series.name == self.metric && self.reaches(series)
    }

    /// Whether the samples of `series` are those that the AFTER clause waits for. A query may wait for and count the
    /// same series. Allocates nothing.
    pub fn admits_after(&self, series: &Series) -> bool {
        self.after.as_ref().is_some_and(|after| series.name == after.metric) && self.reaches(series)
    }

    /// The group of `series`: its values of the GROUP BY dimensions in the order written, [`OTHER`] for one that it
    /// has not (SCHEMA keeps such series out). `None` when the query neither counts it nor waits for it.
    pub fn group_of<'s>(&self, series: &'s Series) -> Option<Vec<&'s str>> {
        let concerned = self.admits(series) || self.admits_after(series);
        concerned.then(|| self.group_by.iter().map(|name| value_of(series, name).unwrap_or(OTHER)).collect())
    }

    fn reaches(&self, series: &Series) -> bool {
        let of_schema = |names: &Vec<String>| {
            names.len() == series.dimensions.len()
                && names.iter().zip(&series.dimensions).all(|(name, (dimension, _))| name == dimension)
        };
        series.namespace == self.namespace
            && self.schema.as_ref().is_none_or(of_schema)
            && self.conditions.as_ref().is_none_or(|condition| condition.holds(series))
    }
}

impl Function {
    /// All of them, in the order of their names.
    const ALL: [Self; 6] = [Self::Avg, Self::Count, Self::CountDistinct, Self::Max, Self::Min, Self::Sum];

    /// The name of the statistic that it reads, as alarms write it.
    pub fn statistic(self) -> &'static str {
        match self {
            Self::Avg => "Average",
            Self::Count => "SampleCount",
            Self::Max => "Maximum",
            Self::Min => "Minimum",
            Self::Sum => "Sum",
            Self::CountDistinct => "Distinct",
        }
    }

    /// Its name in a query.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avg => "AVG",
            Self::Count => "COUNT",
            Self::Max => "MAX",
            Self::Min => "MIN",
            Self::Sum => "SUM",
            Self::CountDistinct => "COUNT_DISTINCT",
        }
    }
}

impl Condition {
    fn holds(&self, series: &Series) -> bool {
        match self {
            Self::Equals(name, value) => value_of(series, name) == Some(value),
            Self::Differs(name, value) => value_of(series, name) != Some(value),
            Self::OneOf(name, values) => {
                value_of(series, name).is_some_and(|found| values.iter().any(|value| value == found))
            }
            Self::All(parts) => parts.iter().all(|part| part.holds(series)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(series)),
        }
    }
}

fn value_of<'s>(series: &'s Series, name: &str) -> Option<&'s str> {
    series.dimensions.iter().find(|(dimension, _)| dimension == name).map(|(_, value)| value.as_str())
}
