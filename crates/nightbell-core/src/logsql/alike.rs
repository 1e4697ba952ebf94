/*!
Which events a query cannot tell apart: those that agree in what it looks at come to the same, so they need to be looked at
once and counted. The ground for answering `stats` from columns of the archive without going through rows.
*/

use super::Query;
use super::aggregate::{Aggregation, Kind};
use super::expression::{Comparison, Expr, System};
use super::period::Period;
use super::plan::Step;
use crate::fields::Selector;
use crate::time::Timestamp;

/// What an event's part in a result hangs on. Two events of one group that agree in it may be fed as one, counted twice:
/// [`Run::feed_many`](super::Run::feed_many).
#[derive(Clone, Debug)]
pub struct Alike<'q> {
    /// Fields of the message, each as the ways to it in the order in which they are tried.
    pub fields: Vec<&'q [Selector]>,
    /// Whether it hangs on the log stream.
    pub stream: bool,
    /// What event times are rounded to.
    rounded: Vec<Rounding>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rounding {
    up: bool,
    period: Period,
}

impl Alike<'_> {
    /// Whether it hangs on the event time.
    pub fn is_timed(&self) -> bool {
        !self.rounded.is_empty()
    }

    /// Whether two event times are one to the query; where they are, so is every time between them.
    pub fn is_same_time(&self, one: Timestamp, other: Timestamp) -> bool {
        self.rounded.iter().all(|rounding| rounding.of(one) == rounding.of(other))
    }
}

impl Rounding {
    fn of(self, at: Timestamp) -> i64 {
        if self.up { self.period.ceil(at.as_millis()) } else { self.period.floor(at.as_millis()) }
    }
}

impl Query {
    /// What an event's part in the result hangs on; `None` where it hangs on the whole event: on its message, its place or
    /// its exact time.
    pub fn alike(&self) -> Option<Alike<'_>> {
        if !self.is_grouped() {
            return None;
        }
        let orders = |aggregation: &Aggregation| {
            matches!(aggregation, Aggregation::Of { kind: Kind::Earliest | Kind::Latest, .. })
        };
        if self.plan.folds.iter().any(|fold| fold.aggregations.iter().any(orders)) {
            return None;
        }
        let mut alike = Alike { fields: Vec::new(), stream: false, rounded: Vec::new() };
        let mut open: Vec<&Expr> = self.plan.expressions().collect();
        while let Some(expr) = open.pop() {
            match expr {
                Expr::Round { up, of, period } if matches!(**of, Expr::System(System::Timestamp)) => {
                    alike.rounded.push(Rounding { up: *up, period: *period });
                }
                Expr::System(System::Stream) => alike.stream = true,
                // A question is put to each log group apart.
                Expr::System(System::Log) => {}
                Expr::System(System::Timestamp | System::Message | System::Ingestion | System::Pointer) => {
                    return None;
                }
                Expr::Field(ways) => alike.fields.push(ways),
                other => open.extend(other.parts()),
            }
        }
        Some(alike)
    }
}

/// A condition that every event must meet to get through a query's filters: that a field, looked for in these ways, is one
/// of these texts.
#[derive(Clone, Debug, PartialEq)]
pub struct MustBe<'q> {
    /// The ways to the field, in the order in which they are tried.
    pub ways: &'q [Selector],
    /// The texts.
    pub texts: Vec<&'q str>,
}

impl Query {
    /// The plainest of what filters ask: fields that must be certain texts. An event whose field is another text, or is
    /// missing, does not get through.
    pub fn must_be(&self) -> Vec<MustBe<'_>> {
        let mut found = Vec::new();
        let filters = self.plan.scan.iter().filter_map(|step| match step {
            Step::Filter(expr) => Some(expr),
            Step::Let(_) | Step::Extract { .. } => None,
        });
        let mut open: Vec<&Expr> = filters.collect();
        while let Some(expr) = open.pop() {
            match expr {
                Expr::All(parts) => open.extend(parts),
                Expr::Compare { comparison: Comparison::Equal, left, right } => {
                    if let (Expr::Field(ways), Expr::Text(text)) | (Expr::Text(text), Expr::Field(ways)) =
                        (left.as_ref(), right.as_ref())
                    {
                        found.push(MustBe { ways, texts: vec![text] });
                    }
                }
                Expr::In { of, list, negated: false } => {
                    if let Expr::Field(ways) = &**of
                        && let Some(texts) = list.iter().map(text).collect()
                    {
                        found.push(MustBe { ways, texts });
                    }
                }
                _ => {}
            }
        }
        found
    }
}

fn text(expr: &Expr) -> Option<&str> {
    if let Expr::Text(text) = expr { Some(text) } else { None }
}
