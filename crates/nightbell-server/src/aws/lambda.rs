/*!
Lambda: functions. None can be created yet, and the list says so.
*/

use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::ApiError;

#[derive(Deserialize)]
pub(super) struct ListFunctionsRequest {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListFunctionsResponse {
    functions: [(); 0],
}

pub(super) async fn list_functions(
    _cx: Cx,
    _request: ListFunctionsRequest,
) -> Result<ListFunctionsResponse, ApiError> {
    Ok(ListFunctionsResponse { functions: [] })
}
