/*!
The operations of STS: one line for each.
*/

use super::{Answer, Asked};
use crate::aws::error::Told;
use crate::aws::sts;

/// Serves a call of STS.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "GetCallerIdentity" => asked.by(sts::get_caller_identity).await,
        "AssumeRole" => asked.by(sts::assume_role).await,
        _ => asked.unknown(),
    }
}
