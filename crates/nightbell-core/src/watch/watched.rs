/*!
One alarm of any kind as it is watched, and what came for it: what is the same for all kinds stands here.
*/

use super::{Effect, Runtime, report, report_moved};
use crate::alarm::contributors::{self, ContributorsWatch, Group};
use crate::alarm::expression::ExpressionWatch;
use crate::alarm::metric::MetricWatch;
use crate::alarm::standing::{Arrived, Judging, Question};
use crate::alarm::{Measure, MetricAlarm};
use crate::anomaly::models::Models;
use crate::insights::{Function, Query};
use crate::metric::Datum;
use crate::time::Timestamp;

/// One alarm of any kind. A query that cannot be read watches nothing; such an alarm does not pass
/// [`MetricAlarm::check`].
#[derive(Clone, Debug)]
pub(super) enum Watched {
    Series(Box<MetricWatch>),
    Contributors(Box<ContributorsWatch>),
    Expression(Box<ExpressionWatch>),
}

/// What came for one alarm in one step.
#[derive(Debug)]
pub(super) enum Came {
    Series(Arrived),
    Contributors(contributors::Came),
}

impl Watched {
    pub(super) fn new(alarm: MetricAlarm, runtime: Runtime, contributors_max: usize) -> Self {
        match alarm.measure.clone() {
            Measure::Series(single) => Self::Series(Box::new(MetricWatch::new(alarm, &single, runtime))),
            Measure::Query(measure) => {
                let query = Query::parse(&measure.text).unwrap_or_else(|_| of_nothing());
                Self::Contributors(Box::new(ContributorsWatch::new(alarm, query, runtime, contributors_max)))
            }
            Measure::Expression(measure) => {
                Self::Expression(Box::new(ExpressionWatch::new(alarm, &measure, runtime)))
            }
        }
    }

    pub(super) fn question(&self) -> &Question {
        match self {
            Self::Series(one) => one.question(),
            Self::Contributors(many) => many.question(),
            Self::Expression(one) => one.question(),
        }
    }

    pub(super) fn runtime(&self) -> &Runtime {
        match self {
            Self::Series(one) => one.runtime(),
            Self::Contributors(many) => many.runtime(),
            Self::Expression(one) => one.runtime(),
        }
    }

    /// Contributors whose runtimes were ever saved.
    pub(super) fn saved(&self) -> Vec<Group> {
        match self {
            Self::Series(_) | Self::Expression(_) => Vec::new(),
            Self::Contributors(many) => many.saved(),
        }
    }

    pub(super) fn nothing_yet(&self) -> Came {
        match self {
            Self::Series(_) | Self::Expression(_) => Came::Series(Arrived::default()),
            Self::Contributors(_) => Came::Contributors(contributors::Came::default()),
        }
    }

    pub(super) fn skip_to(&mut self, now: Timestamp) {
        match self {
            Self::Series(one) => one.skip_to(now),
            Self::Contributors(many) => many.skip_to(now),
            Self::Expression(one) => one.skip_to(now),
        }
    }

    pub(super) fn restore(&mut self, now: Option<Timestamp>, datum: Datum) {
        match self {
            Self::Series(one) => one.restore(now, datum),
            Self::Contributors(many) => many.restore(now, datum),
            Self::Expression(one) => one.take(now, &datum),
        }
    }

    pub(super) fn tick(
        &mut self,
        arn: &str,
        complete: Timestamp,
        judging: Judging<'_>,
        models: &Models,
        effects: &mut Vec<Effect>,
    ) {
        match self {
            Self::Series(one) => {
                let forced = one.runtime().forced;
                let transition = one.tick(complete, judging);
                let saved = transition.is_some() || one.runtime().forced != forced;
                report(arn, one.runtime(), transition, saved, effects);
            }
            Self::Contributors(many) => {
                let moved = many.tick(complete, judging);
                report_moved(arn, many.runtime(), moved, effects);
            }
            Self::Expression(one) => {
                let forced = one.runtime().forced;
                let transition = one.tick(complete, judging, models);
                let saved = transition.is_some() || one.runtime().forced != forced;
                report(arn, one.runtime(), transition, saved, effects);
            }
        }
    }

    pub(super) fn succeed(&mut self, old: Self, keep_data: bool) {
        match (self, old) {
            (Self::Series(one), Self::Series(old)) => one.succeed(*old, keep_data),
            (Self::Contributors(many), Self::Contributors(old)) => many.succeed(*old, keep_data),
            (Self::Expression(one), Self::Expression(old)) => one.succeed(*old, keep_data),
            (Self::Expression(one), old @ Self::Series(_)) => one.inherit(old.runtime().clone()),
            (Self::Series(one), old @ Self::Expression(_)) => one.inherit(old.runtime().clone()),
            _ => {}
        }
    }
}

/// A query that admits no series: every metric has a name.
fn of_nothing() -> Query {
    Query {
        function: Function::Count,
        metric: String::new(),
        namespace: String::new(),
        schema: None,
        conditions: None,
        group_by: Vec::new(),
        after: None,
        order_by: None,
        limit: None,
    }
}
