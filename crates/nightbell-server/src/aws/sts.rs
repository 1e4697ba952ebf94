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
    Ok(GetCallerIdentityResponse {
        arn: format!("arn:aws:iam::{account}:root"),
        user_id: account.clone(),
        account,
    })
}
