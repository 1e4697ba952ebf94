/*!
Functions as subscribers: whether there is one, and handing it an event of SNS.

An event becomes one of those that wait for functions (`functions::queue`), in the commit that takes the delivery out of the outbox. The
function's own policy must let SNS in, as `aws lambda add-permission` writes it.
*/

use nightbell_core::time::Timestamp;
use nightbell_store::Write;

use super::Refusal;
use crate::app::App;
use crate::catalog::Records;
use crate::functions::backlog::FULL;
use crate::functions::queue;
use crate::manage::functions::{self, Function};

/// What SNS is to the policies of functions.
const SERVICE: &str = "sns.amazonaws.com";

/// Refuses what is no function that a topic may be subscribed with.
pub(crate) fn check_function(records: &Records, arn: &str) -> Result<(), Refusal> {
    function(records, arn).map(|_| ())
}

/// Hands `event` of `topic` to the function `arn`, as part of `change`: when that is committed, the function has it.
///
/// # Errors
/// [`Refusal::Busy`] and [`Refusal::Store`] are worth another try.
pub(crate) fn hand_to_function(
    app: &App,
    change: &mut Write,
    topic: &str,
    arn: &str,
    event: &[u8],
    now: Timestamp,
) -> Result<(), Refusal> {
    let function = function(&app.records, arn)?;
    if !functions::lets_in(&function, &app.account, arn, &[SERVICE], topic, now) {
        let text = format!("the policy of the function lets {SERVICE} not in for {topic}: add a permission");
        return Err(Refusal::Invalid(text));
    }
    if !queue::has_room(app, arn, event.len()) {
        return Err(Refusal::Busy(FULL.to_owned()));
    }
    // The sender commits until it is done, so it stays.
    queue::put(&app.functions.backlog, change, arn, event, now).stays();
    Ok(())
}

fn function(records: &Records, arn: &str) -> Result<Function, Refusal> {
    let missing = || {
        let shown: String = arn.chars().take(200).collect();
        Refusal::Invalid(format!("Invalid parameter: Endpoint Reason: there is no function {shown}"))
    };
    let (region, name, version) = functions::of_arn(arn).ok_or_else(missing)?;
    functions::find(records, region, name, version).map_err(|refusal| match refusal {
        Refusal::Missing(_) => missing(),
        other => other,
    })
}
