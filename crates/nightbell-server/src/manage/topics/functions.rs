/*!
Functions as subscribers: whether there is one, and handing it an event of SNS.

Both ask the part of the server that runs functions. This version serves none, so a subscription is refused in words and nothing is
ever handed over.
*/

use nightbell_core::time::Timestamp;
use nightbell_store::Write;

use super::Refusal;

/// Whether `arn` is a function that a topic may be subscribed with.
pub(crate) fn check_function(arn: &str) -> Result<(), Refusal> {
    let shown: String = arn.chars().take(200).collect();
    Err(Refusal::Invalid(format!(
        "Invalid parameter: Protocol: functions are not served by this version, so {shown} cannot be subscribed; use email, \
         email-json, http or https"
    )))
}

/// Hands `event` to the function `arn`, as part of `change`: when that is committed, the function has it.
pub(crate) fn hand_to_function(
    _change: &mut Write,
    arn: &str,
    _event: &[u8],
    _now: Timestamp,
) -> Result<(), Refusal> {
    check_function(arn)
}
