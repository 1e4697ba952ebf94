/*!
Query definitions: Logs Insights queries kept by name ("CloudWatch Logs API Reference").
*/

use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, refused};
use super::insights::check_language;
use super::logs::need;
use super::page::{Page, page};
use super::service::Service;
use crate::manage::Refusal;
use crate::manage::definitions::{self, Definition};

/// Most definitions of one page of a listing.
const PAGE_MAX: usize = 1_000;

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Logs, refusal)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutQueryDefinitionRequest {
    query_definition_id: Option<String>,
    name: Option<String>,
    query_string: Option<String>,
    query_language: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    log_group_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutQueryDefinitionResponse {
    query_definition_id: String,
}

pub(super) async fn put_query_definition(
    cx: Cx,
    request: PutQueryDefinitionRequest,
) -> Result<PutQueryDefinitionResponse, ApiError> {
    check_language(request.query_language.as_deref())?;
    let is_new = request.query_definition_id.is_none();
    let definition = Definition {
        id: request.query_definition_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        name: need(request.name, "name")?,
        query: need(request.query_string, "queryString")?,
        groups: request.log_group_names,
        modified: cx.now,
    };
    definitions::put(&cx.app.records, &cx.region, &definition, is_new).map_err(no)?;
    Ok(PutQueryDefinitionResponse { query_definition_id: definition.id })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeQueryDefinitionsRequest {
    query_definition_name_prefix: Option<String>,
    query_language: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeQueryDefinitionsResponse {
    query_definitions: Vec<QueryDefinition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryDefinition {
    query_language: &'static str,
    query_definition_id: String,
    name: String,
    query_string: String,
    last_modified: i64,
    log_group_names: Vec<String>,
    /// Orders the listing; not part of the answer.
    #[serde(skip)]
    order: String,
}

pub(super) async fn describe_query_definitions(
    cx: Cx,
    request: DescribeQueryDefinitionsRequest,
) -> Result<DescribeQueryDefinitionsResponse, ApiError> {
    check_language(request.query_language.as_deref())?;
    let prefix = request.query_definition_name_prefix.unwrap_or_default();
    let found = definitions::list(&cx.app.records, &cx.region, &prefix).map_err(no)?;
    let shown = |definition: Definition| QueryDefinition {
        query_language: "CWLI",
        order: format!("{}\0{}", definition.name, definition.id),
        query_definition_id: definition.id,
        name: definition.name,
        query_string: definition.query,
        last_modified: definition.modified.as_millis(),
        log_group_names: definition.groups,
    };
    let bounds = Page {
        limit: request.max_results,
        token: request.next_token,
        default: PAGE_MAX,
        max: PAGE_MAX,
        descending: false,
    };
    let found = found.into_iter().map(shown).collect();
    let (query_definitions, next_token) =
        page(found, &bounds, |definition: &QueryDefinition| &definition.order)
            .map_err(|text| ApiError::sender("InvalidParameterException", text))?;
    Ok(DescribeQueryDefinitionsResponse { query_definitions, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteQueryDefinitionRequest {
    query_definition_id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct DeleteQueryDefinitionResponse {
    success: bool,
}

pub(super) async fn delete_query_definition(
    cx: Cx,
    request: DeleteQueryDefinitionRequest,
) -> Result<DeleteQueryDefinitionResponse, ApiError> {
    let id = need(request.query_definition_id, "queryDefinitionId")?;
    definitions::remove(&cx.app.records, &cx.region, &id).map_err(no)?;
    Ok(DeleteQueryDefinitionResponse { success: true })
}
