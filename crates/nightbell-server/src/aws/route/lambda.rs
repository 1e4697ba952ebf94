/*!
The operations of Lambda: where each is asked for, and one line for each.
*/

use nightbell_wire::rest::Route;

use super::{Answer, Asked};
use crate::aws::error::Told;
use crate::aws::lambda;

/// Where the operations are asked for.
pub(in crate::aws) static PATHS: [Route; 1] = [Route::new("GET", "/2015-03-31/functions/", "ListFunctions")];

/// Serves a call of Lambda.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "ListFunctions" => asked.by(lambda::list_functions).await,
        _ => asked.unknown(),
    }
}
