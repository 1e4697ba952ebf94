/*!
The operations of Lambda: where each is asked for, and one line for each.
*/

use http::StatusCode;
use nightbell_wire::rest::Route;

use super::{Answer, Asked};
use crate::aws::error::Told;
use crate::aws::lambda::{self, annotations, invoke, permissions};

/// An operation on one function, at the date its path was given.
const fn at(method: &'static str, path: &'static str, operation: &'static str, status: StatusCode) -> Route {
    Route { status, ..Route::new(method, path, operation) }
}

/// Where the operations are asked for.
pub(in crate::aws) static PATHS: [Route; 24] = [
    at("POST", "/2015-03-31/functions", "CreateFunction", StatusCode::CREATED),
    Route::new("GET", "/2015-03-31/functions/", "ListFunctions"),
    Route::new("GET", "/2015-03-31/functions/{FunctionName}", "GetFunction"),
    at("DELETE", "/2015-03-31/functions/{FunctionName}", "DeleteFunction", StatusCode::NO_CONTENT),
    Route::new("GET", "/2015-03-31/functions/{FunctionName}/configuration", "GetFunctionConfiguration"),
    Route::new("PUT", "/2015-03-31/functions/{FunctionName}/configuration", "UpdateFunctionConfiguration"),
    Route::new("PUT", "/2015-03-31/functions/{FunctionName}/code", "UpdateFunctionCode"),
    Route {
        headers: &[
            ("x-amz-invocation-type", "InvocationType"),
            ("x-amz-log-type", "LogType"),
            ("x-amz-client-context", "ClientContext"),
        ],
        payload: Some("Payload"),
        ..Route::new("POST", "/2015-03-31/functions/{FunctionName}/invocations", "Invoke")
    },
    Route::new("GET", "/2015-03-31/functions/{FunctionName}/versions", "ListVersionsByFunction"),
    at("POST", "/2015-03-31/functions/{FunctionName}/versions", "PublishVersion", StatusCode::CREATED),
    Route::new(
        "GET",
        "/2020-06-30/functions/{FunctionName}/code-signing-config",
        "GetFunctionCodeSigningConfig",
    ),
    at("POST", "/2015-03-31/functions/{FunctionName}/policy", "AddPermission", StatusCode::CREATED),
    Route::new("GET", "/2015-03-31/functions/{FunctionName}/policy", "GetPolicy"),
    at(
        "DELETE",
        "/2015-03-31/functions/{FunctionName}/policy/{StatementId}",
        "RemovePermission",
        StatusCode::NO_CONTENT,
    ),
    at("POST", "/2017-03-31/tags/{Resource}", "TagResource", StatusCode::NO_CONTENT),
    Route {
        query: &[("tagKeys", "TagKeys")],
        ..at("DELETE", "/2017-03-31/tags/{Resource}", "UntagResource", StatusCode::NO_CONTENT)
    },
    Route::new("GET", "/2017-03-31/tags/{Resource}", "ListTags"),
    Route::new("PUT", "/2017-10-31/functions/{FunctionName}/concurrency", "PutFunctionConcurrency"),
    at(
        "DELETE",
        "/2017-10-31/functions/{FunctionName}/concurrency",
        "DeleteFunctionConcurrency",
        StatusCode::NO_CONTENT,
    ),
    Route::new("GET", "/2019-09-30/functions/{FunctionName}/concurrency", "GetFunctionConcurrency"),
    Route::new("PUT", EVENT_RULES, "PutFunctionEventInvokeConfig"),
    Route::new("POST", EVENT_RULES, "UpdateFunctionEventInvokeConfig"),
    Route::new("GET", EVENT_RULES, "GetFunctionEventInvokeConfig"),
    at("DELETE", EVENT_RULES, "DeleteFunctionEventInvokeConfig", StatusCode::NO_CONTENT),
];

const EVENT_RULES: &str = "/2019-09-25/functions/{FunctionName}/event-invoke-config";

/// Serves a call of Lambda.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "CreateFunction" => asked.by(lambda::create_function).await,
        "ListFunctions" => asked.by(lambda::list_functions).await,
        "GetFunction" => asked.by(lambda::get_function).await,
        "DeleteFunction" => asked.by(lambda::delete_function).await,
        "GetFunctionConfiguration" => asked.by(lambda::get_function_configuration).await,
        "UpdateFunctionConfiguration" => asked.by(lambda::update_function_configuration).await,
        "UpdateFunctionCode" => asked.by(lambda::update_function_code).await,
        "Invoke" => asked.invoking(invoke::invoke).await,
        "ListVersionsByFunction" => asked.by(lambda::list_versions_by_function).await,
        "PublishVersion" => asked.by(lambda::publish_version).await,
        "GetFunctionCodeSigningConfig" => asked.by(lambda::get_function_code_signing_config).await,
        "AddPermission" => asked.by(permissions::add_permission).await,
        "GetPolicy" => asked.by(permissions::get_policy).await,
        "RemovePermission" => asked.by(permissions::remove_permission).await,
        "TagResource" => asked.by(annotations::tag_resource).await,
        "UntagResource" => asked.by(annotations::untag_resource).await,
        "ListTags" => asked.by(annotations::list_tags).await,
        "PutFunctionConcurrency" => asked.by(annotations::put_function_concurrency).await,
        "DeleteFunctionConcurrency" => asked.by(annotations::delete_function_concurrency).await,
        "GetFunctionConcurrency" => asked.by(annotations::get_function_concurrency).await,
        "PutFunctionEventInvokeConfig" => asked.by(annotations::put_function_event_invoke_config).await,
        "UpdateFunctionEventInvokeConfig" => asked.by(annotations::update_function_event_invoke_config).await,
        "GetFunctionEventInvokeConfig" => asked.by(annotations::get_function_event_invoke_config).await,
        "DeleteFunctionEventInvokeConfig" => asked.by(annotations::delete_function_event_invoke_config).await,
        _ => asked.unknown(),
    }
}
