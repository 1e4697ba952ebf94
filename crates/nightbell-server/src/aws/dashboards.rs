/*!
Dashboards: PutDashboard, GetDashboard, ListDashboards, DeleteDashboards ("Amazon CloudWatch API Reference").
*/

use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Cx;
use super::cloudwatch::{NAMES_MAX, invalid_token, missing, no, time};
use super::error::{ApiError, Told};
use super::page::{Page, page};
use super::tags::{self, Tag};
use crate::manage::dashboards::{self, DASHBOARD_BYTES_MAX, DASHBOARD_NAME_CHARS_MAX, Remark};

/// Dashboards of one page of a listing.
const PAGE_MAX: usize = 1_000;

/// What is wrong with a dashboard that is put.
fn invalid_input(text: impl Into<String>) -> ApiError {
    ApiError::sender("DashboardInvalidInputError", text)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutDashboardRequest {
    dashboard_name: Option<String>,
    dashboard_body: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    tags: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutDashboardResponse {
    dashboard_validation_messages: Vec<Remark>,
}

pub(super) async fn put_dashboard(
    cx: Cx,
    request: PutDashboardRequest,
) -> Result<PutDashboardResponse, Told> {
    let name = request.dashboard_name.ok_or_else(|| missing("DashboardName"))?;
    let body = request.dashboard_body.ok_or_else(|| missing("DashboardBody"))?;
    if !dashboards::is_name(&name) {
        let text = format!(
            "The value for field DashboardName contains invalid characters or is too long. It can only contain alphanumerics, dash (-) and underscore (_), 1 to {DASHBOARD_NAME_CHARS_MAX} of them."
        );
        return Err(invalid_input(text).into());
    }
    if body.len() > DASHBOARD_BYTES_MAX {
        let text =
            format!("DashboardBody: {} bytes are more than the limit of {DASHBOARD_BYTES_MAX}", body.len());
        return Err(invalid_input(text).into());
    }
    let (errors, warnings) = dashboards::examine(&body);
    if !errors.is_empty() {
        return Err(refused_body(&errors));
    }
    let tags = tags::read(request.tags).map_err(no)?;
    dashboards::put(&cx.app.records, &cx.app.account, &name, &body, &tags, cx.now).map_err(no)?;
    Ok(PutDashboardResponse { dashboard_validation_messages: warnings })
}

fn refused_body(errors: &[Remark]) -> Told {
    let listed: Vec<String> =
        errors.iter().map(|remark| format!("{} {}", remark.data_path, remark.message)).collect();
    let text = format!(
        "The dashboard body is invalid, there are {} validation errors: {}",
        errors.len(),
        listed.join("; ")
    );
    Told { error: invalid_input(text), members: json!({ "dashboardValidationMessages": errors }) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetDashboardRequest {
    dashboard_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetDashboardResponse {
    dashboard_arn: String,
    dashboard_body: String,
    dashboard_name: String,
}

pub(super) async fn get_dashboard(
    cx: Cx,
    request: GetDashboardRequest,
) -> Result<GetDashboardResponse, ApiError> {
    let name = request.dashboard_name.ok_or_else(|| missing("DashboardName"))?;
    let body = dashboards::body(&cx.app.records, &name).map_err(no)?;
    Ok(GetDashboardResponse {
        dashboard_arn: dashboards::arn(&cx.app.account, &name),
        dashboard_body: body,
        dashboard_name: name,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListDashboardsRequest {
    dashboard_name_prefix: Option<String>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListDashboardsResponse {
    dashboard_entries: Vec<DashboardEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DashboardEntry {
    dashboard_name: String,
    dashboard_arn: String,
    last_modified: Time,
    size: usize,
}

pub(super) async fn list_dashboards(
    cx: Cx,
    request: ListDashboardsRequest,
) -> Result<ListDashboardsResponse, ApiError> {
    let prefix = request.dashboard_name_prefix.unwrap_or_default();
    let found = dashboards::list(&cx.app.records, &prefix).map_err(no)?;
    let bounds =
        Page { limit: None, token: request.next_token, default: PAGE_MAX, max: PAGE_MAX, descending: false };
    let (shown, next_token) = page(found, &bounds, |dashboard| &dashboard.name).map_err(invalid_token)?;
    let entry = |dashboard: dashboards::Dashboard| DashboardEntry {
        dashboard_arn: dashboards::arn(&cx.app.account, &dashboard.name),
        last_modified: time(dashboard.modified),
        size: dashboard.size,
        dashboard_name: dashboard.name,
    };
    Ok(ListDashboardsResponse { dashboard_entries: shown.into_iter().map(entry).collect(), next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteDashboardsRequest {
    dashboard_names: Option<Vec<String>>,
}

#[derive(Serialize)]
pub(super) struct DeleteDashboardsResponse {}

pub(super) async fn delete_dashboards(
    cx: Cx,
    request: DeleteDashboardsRequest,
) -> Result<DeleteDashboardsResponse, ApiError> {
    let names = request.dashboard_names.ok_or_else(|| missing("DashboardNames"))?;
    if names.len() > NAMES_MAX {
        let text = format!("DashboardNames: {} are more than the limit of {NAMES_MAX}", names.len());
        return Err(ApiError::sender("InvalidParameterValue", text));
    }
    dashboards::remove(&cx.app.records, &cx.app.account, &names).map_err(no)?;
    Ok(DeleteDashboardsResponse {})
}
