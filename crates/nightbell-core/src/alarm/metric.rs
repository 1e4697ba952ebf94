/*!
A metric alarm on one series: one question, one standing.
*/

use super::runtime::Runtime;
use super::standing::{Arrived, Judging, Question, Standing};
use super::{MetricAlarm, SeriesMeasure, State, Transition};
use crate::metric::Datum;
use crate::time::Timestamp;

/// One alarm, its recent data and its state.
#[derive(Clone, Debug)]
pub(crate) struct MetricWatch {
    question: Question,
    standing: Standing,
}

impl MetricWatch {
    /// An alarm in the state of `runtime`, without data.
    pub(crate) fn new(alarm: MetricAlarm, measure: &SeriesMeasure, runtime: Runtime) -> Self {
        let question = Question::of_series(alarm, measure);
        let standing = Standing::new(&question, runtime);
        Self { question, standing }
    }

    pub(crate) fn question(&self) -> &Question {
        &self.question
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.standing.runtime
    }

    pub(crate) fn skip_to(&mut self, now: Timestamp) {
        self.standing.skip_to(&self.question, now);
    }

    pub(crate) fn restore(&mut self, now: Option<Timestamp>, datum: Datum) {
        self.standing.restore(&self.question, now, datum);
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(crate) fn take(&mut self, now: Timestamp, datum: Datum, followed: bool, arrived: &mut Arrived) {
        self.standing.take(&self.question, now, datum, followed, arrived);
    }

    pub(crate) fn arrive(&mut self, judging: Judging<'_>, arrived: &Arrived) -> Option<Transition> {
        self.standing.arrive(&self.question, judging, arrived)
    }

    pub(crate) fn tick(&mut self, complete: Timestamp, judging: Judging<'_>) -> Option<Transition> {
        self.standing.tick(&self.question, complete, judging)
    }

    pub(crate) fn evaluate(&mut self, judging: Judging<'_>, anew: bool) -> Option<Transition> {
        self.standing.evaluate(&self.question, judging, anew)
    }

    pub(crate) fn force(
        &mut self,
        judging: Judging<'_>,
        state: State,
        reason: String,
        reason_data: Option<String>,
    ) -> Option<Transition> {
        self.standing.force(&self.question, judging, state, reason, reason_data)
    }

    /// Goes on from the state of an alarm of another kind that this one replaces.
    pub(crate) fn inherit(&mut self, runtime: Runtime) {
        self.standing.runtime = runtime;
    }

    /// Takes over what is known about the alarm that this one replaces: the state and, where it watches the same data,
    /// the data.
    pub(crate) fn succeed(&mut self, old: Self, keep_data: bool) {
        let same = |a: &Question, b: &Question| match (a.alarm.single(), b.alarm.single()) {
            (Some(a), Some(b)) => a.series == b.series && a.unit == b.unit,
            _ => false,
        };
        if keep_data && same(&self.question, &old.question) {
            self.standing.take_over(old.standing.window);
        }
        self.standing.runtime = old.standing.runtime;
    }
}
