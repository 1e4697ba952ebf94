/*!
What alarms hand to functions: the event of a transition, for an action that names a function ("Invoke a Lambda function from an alarm",
Amazon CloudWatch User Guide).

The event becomes one of those that wait for functions in the commit of the step, so it is there once for each transition, whatever crashes.
*/

use nightbell_core::alarm::composite::CompositeTransition;
use nightbell_core::alarm::{State, Transition};
use nightbell_core::time::Timestamp;
use nightbell_core::watch::Runtime;
use nightbell_deliver::message::{Before, alarm_event, composite_event};

use super::{Done, Gathered, Watcher};
use crate::catalog::Failure;
use crate::functions::backlog::FULL;
use crate::functions::queue;
use crate::manage::functions;
use crate::manage::{Refusal, alarms, composites};

/// What CloudWatch is to the policies of functions.
const SERVICE: &str = "lambda.alarms.cloudwatch.amazonaws.com";

/// Whether an action is one for a function.
pub(super) fn is_for_function(action: &str) -> bool {
    action.starts_with("arn:aws:lambda:")
}

impl Watcher {
    /// Hands a metric alarm's transition to the function `arn`; gives what the function is told, too.
    pub(super) fn hand_alarm(
        &self,
        arn: &str,
        transition: &Transition,
        now: Timestamp,
        gathered: &mut Gathered,
    ) -> Result<(Done, String), Failure> {
        let store = &**self.app.records.store();
        let saved = match &transition.contributor {
            None => Some(alarms::saved_runtime(store, &transition.alarm)?),
            Some(_) => None,
        };
        let before = saved.map(|Runtime { state, reason, reason_data, state_transitioned, .. }| {
            (state, reason, reason_data, state_transitioned)
        });
        let event = alarm_event(transition, &known(before, transition.from, &transition.old_reason));
        let done = self.hand(arn, &transition.alarm.arn, &event, now, gathered)?;
        Ok((done, event))
    }

    /// Hands a composite alarm's transition to the function `arn`; gives what the function is told, too.
    pub(super) fn hand_composite(
        &self,
        arn: &str,
        transition: &CompositeTransition,
        now: Timestamp,
        gathered: &mut Gathered,
    ) -> Result<(Done, String), Failure> {
        let saved = composites::saved_runtime(&**self.app.records.store(), &transition.alarm)?;
        let before = (saved.state, saved.reason, saved.reason_data, saved.state_transitioned);
        let change = &transition.change;
        let event = composite_event(transition, &known(Some(before), change.from, &change.old_reason));
        let done = self.hand(arn, &transition.alarm.arn, &event, now, gathered)?;
        Ok((done, event))
    }

    fn hand(
        &self,
        arn: &str,
        alarm: &str,
        event: &str,
        now: Timestamp,
        gathered: &mut Gathered,
    ) -> Result<Done, Failure> {
        let failed = |why: &str| Ok(Done::Failed(why.to_owned()));
        let Some((region, name, version)) = functions::of_arn(arn) else {
            return failed("it is no ARN of a function");
        };
        let function = match functions::find(&self.app.records, region, name, version) {
            Ok(function) => function,
            Err(Refusal::Store(failure)) => return Err(failure),
            Err(_) => return failed("Function does not exist"),
        };
        if !functions::lets_in(&function, &self.app.account, arn, &[SERVICE], alarm, now) {
            return Ok(Done::Failed(format!(
                "the policy of the function lets {SERVICE} not in for this alarm: add a permission"
            )));
        }
        if !queue::has_room(&self.app, arn, event.len()) {
            return failed(FULL);
        }
        let backlog = &self.app.functions.backlog;
        gathered.queued.push(queue::put(backlog, &mut gathered.change, arn, event, now));
        gathered.tells = true;
        Ok(Done::Sent)
    }
}

/// What an alarm was in before, where what is saved is still that: several changes may be in one step.
fn known(saved: Option<(State, String, Option<String>, Timestamp)>, from: State, old_reason: &str) -> Before {
    match saved {
        Some((state, reason, reason_data, since)) if state == from && reason == old_reason => {
            Before { since: Some(since), reason_data }
        }
        _ => Before::default(),
    }
}
