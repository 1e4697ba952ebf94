/*!
STS: who the caller is.
*/

use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::ApiError;

#[derive(Deserialize)]
pub(super) struct GetCallerIdentityRequest {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetCallerIdentityResponse {
    arn: String,
    user_id: String,
    account: String,
}

pub(super) async fn get_caller_identity(
    cx: Cx,
    _request: GetCallerIdentityRequest,
) -> Result<GetCallerIdentityResponse, ApiError> {
    let account = cx.app.account.clone();
    match (cx.caller.arn(&account), cx.caller.user_id(&account)) {
        (Some(arn), Some(user_id)) => Ok(GetCallerIdentityResponse { arn, user_id, account }),
        _ => Err(ApiError { status: 403, code: "AccessDenied", message: "The request is not signed".into() }),
    }
}
