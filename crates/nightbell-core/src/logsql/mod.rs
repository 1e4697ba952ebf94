/*!
CloudWatch Logs Insights queries: `filter EventID = 4625 | stats count(*) as n by user | sort n desc`.

A [`Query`] is read once; a [`Run`] of it is fed rows in any order, can be split among threads and merged, and shows its
result at any time. The language is that of "CloudWatch Logs Insights language query syntax" (CloudWatch Logs User
Guide); places where it says nothing and a choice was made are marked *assumed*. Fields are seen through
[`Subject`](crate::fields::Subject) alone, so JSON messages and Windows events are queried alike. Which events there are
and what is read of them is the caller's business; [`Query::may_match`] and [`Query::times`] say what can be left out.
*/

mod aggregate;
mod alike;
mod discover;
mod evaluate;
mod expression;
mod extract;
mod function;
mod groups;
mod lex;
mod need;
mod parse;
mod period;
mod plan;
mod regex;
mod rows;
mod run;
mod value;

use std::sync::Arc;

pub use alike::{Alike, MustBe};
pub use discover::discover;
pub use need::TimeRange;
pub use run::{Feed, Limits, Row, Run, RunError, Statistics};

use crate::fields::Selector;
use crate::pattern::facts::{self, Facts};
use expression::{Expr, System};
use lex::Span;
use plan::Plan;

/// Characters of a query ("StartQuery", CloudWatch Logs API Reference).
pub const QUERY_CHARS_MAX: usize = 10_000;
/// Commands of a query.
pub const COMMANDS_MAX: usize = 64;
/// Expressions inside each other.
pub const DEPTH_MAX: usize = 32;
/// Computed columns, groupings and aggregations that a row has at a time.
pub const COLUMNS_MAX: usize = 100;
/// `stats` commands of a query ("stats").
pub const STATS_MAX: usize = 2;
/// Regular expressions of a query.
pub const REGEXES_MAX: usize = 20;
/// Bytes of one compiled regular expression, and of what is kept while searching with it.
pub const REGEX_BYTES_MAX: usize = 256 * 1024;
/// Values of an `in [ … ]`.
pub const IN_VALUES_MAX: usize = 1_000;
/// Rows of a result, and the largest `limit` ("StartQuery").
pub const ROWS_MAX: usize = 10_000;
/// Bytes of a text that a function computes; longer ones are cut.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Groups of a run, unless its [`Limits`] say something else.
pub const GROUPS_MAX: usize = 100_000;
/// Bytes that a run holds, unless its [`Limits`] say something else.
pub const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Fields that are discovered in a message ("Supported logs and discovered fields").
pub const DISCOVERED_FIELDS_MAX: usize = 200;

/// A query, read from its text. Clones share it.
#[derive(Clone, Debug)]
pub struct Query {
    source: Arc<str>,
    plan: Arc<Plan>,
}

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at characters {start} to {end}")]
pub struct QueryError {
    /// The first character it is about, counted from 0 (`startCharOffset` of a QueryCompileError).
    pub start: usize,
    /// The character behind the last one it is about (`endCharOffset`).
    pub end: usize,
    /// What is wrong, ready to show.
    pub message: String,
}

impl QueryError {
    fn at(source: &str, span: Span, message: impl Into<String>) -> Self {
        let start = source[..span.start].chars().count();
        let end = start + source[span.start..span.end.max(span.start)].chars().count();
        Self { start, end, message: message.into() }
    }
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// The first place that is not of the language, asks for something that is not served, or goes past a limit.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Ok(Self { source: text.into(), plan: Arc::new(Plan::read(text)?) })
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether rows of its result are groups, which have no `@ptr`.
    pub fn is_grouped(&self) -> bool {
        !self.plan.folds.is_empty()
    }

    /// Names of the result's columns in their order, without `@ptr`; a row has only those that hold something.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.plan.shown.iter().map(|(name, _)| name.as_str())
    }

    /// Rows of its result at most.
    pub fn limit(&self) -> usize {
        self.plan.limit
    }

    /// Whether some of the events that the facts are about may get through the filters; false only when none can.
    pub fn may_match(&self, facts: &dyn Facts) -> bool {
        facts::may_meet(&self.hints(), facts)
    }

    /// The fields that it looks at, each as the ways to it in the order in which they are tried; `None` when it looks at
    /// whole messages.
    pub fn fields(&self) -> Option<Vec<&[Selector]>> {
        let mut fields = Vec::new();
        let mut open: Vec<&Expr> = self.plan.expressions().collect();
        while let Some(expr) = open.pop() {
            match expr {
                Expr::System(System::Message) => return None,
                Expr::Field(ways) => fields.push(ways.as_slice()),
                other => open.extend(other.parts()),
            }
        }
        Some(fields)
    }

    /// The event times outside of which nothing gets through the filters of a run started at `now`.
    pub fn times(&self, now: crate::time::Timestamp) -> TimeRange {
        need::times(&self.plan, now)
    }
}
