/*!
The operations of STS: one line for each.
*/

use axum::response::Response;

use super::Asked;
use crate::aws::sts;

/// Serves a call of STS.
pub(super) async fn route(asked: Asked<'_>) -> Response {
    match asked.call.operation.as_str() {
        "GetCallerIdentity" => asked.by(sts::get_caller_identity).await,
        _ => asked.unknown(),
    }
}
