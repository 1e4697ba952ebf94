/*!
Subscription filters ("CloudWatch Logs API Reference").
*/

use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, refused};
use super::logs::need;
use super::page::{Page, page};
use super::service::Service;
use crate::manage::subscriptions::{self, SubscriptionFilter};
use crate::manage::{Refusal, groups, streams};
use crate::run::subscriber::{control_message, stream_of};

/// Most filters of one page.
const PAGE_MAX: usize = 50;

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Logs, refusal)
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidParameterException", text)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutSubscriptionFilterRequest {
    log_group_name: Option<String>,
    filter_name: Option<String>,
    filter_pattern: Option<String>,
    destination_arn: Option<String>,
    role_arn: Option<String>,
    distribution: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    apply_on_transformed_logs: bool,
    field_selection_criteria: Option<String>,
    emit_system_fields: Option<Vec<String>>,
}

pub(super) async fn put_subscription_filter(
    cx: Cx,
    request: PutSubscriptionFilterRequest,
) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    let destination = need(request.destination_arn, "destinationArn")?;
    let distribution = request.distribution.unwrap_or_else(|| "ByLogStream".to_owned());
    if !matches!(distribution.as_str(), "ByLogStream" | "Random") {
        return Err(invalid("distribution is neither Random nor ByLogStream"));
    }
    let asks = |member: &str| invalid(format!("{member} is not served by this version; leave it out"));
    if request.apply_on_transformed_logs {
        return Err(asks("applyOnTransformedLogs"));
    }
    if request.field_selection_criteria.is_some_and(|criteria| !criteria.is_empty()) {
        return Err(asks("fieldSelectionCriteria"));
    }
    if request.emit_system_fields.is_some_and(|fields| !fields.is_empty()) {
        return Err(asks("emitSystemFields"));
    }
    let stream = destination_stream(&cx, &destination)?;
    let filter = SubscriptionFilter {
        group,
        name: need(request.filter_name, "filterName")?,
        pattern: need(request.filter_pattern, "filterPattern")?,
        destination,
        role: request.role_arn,
        distribution,
        created: cx.now,
        // It sees only events that come after it.
        since: *cx.app.journal.end().borrow(),
    };
    let message = control_message(cx.now);
    let mut added = None;
    subscriptions::put_filter(&cx.app.records, filter, |change| {
        added = Some(cx.app.buffers.add(&stream, &[message], cx.now, change));
    })
    .map_err(no)?;
    if let Some(added) = added {
        cx.app.buffers.count(added);
    }
    cx.app.subscriptions.load(&cx.app.records).map_err(|failure| no(failure.into()))
}

/// The delivery stream that a destination names.
fn destination_stream(cx: &Cx, destination: &str) -> Result<(String, String), ApiError> {
    let shown: String = destination.chars().take(200).collect();
    let Some((region, name)) = stream_of(destination) else {
        return Err(invalid(format!(
            "destinationArn {shown} is not served by this version; give that of a delivery stream, \
             arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME"
        )));
    };
    let is_ours = destination == streams::arn(&cx.region, &cx.app.account, &name);
    let there = is_ours
        && streams::find(&cx.app.records, &region, &name).map_err(|failure| no(failure.into()))?.is_some();
    if there {
        return Ok((region, name));
    }
    Err(invalid(format!(
        "Could not deliver test message to specified Firehose stream. Check if the given Firehose stream is in ACTIVE state: {shown}"
    )))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSubscriptionFiltersRequest {
    log_group_name: Option<String>,
    filter_name_prefix: Option<String>,
    limit: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSubscriptionFiltersResponse {
    subscription_filters: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    filter_name: String,
    log_group_name: String,
    filter_pattern: String,
    destination_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<String>,
    distribution: String,
    apply_on_transformed_logs: bool,
    creation_time: i64,
}

pub(super) async fn describe_subscription_filters(
    cx: Cx,
    request: DescribeSubscriptionFiltersRequest,
) -> Result<DescribeSubscriptionFiltersResponse, ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    groups::find(&cx.app.records, &group).map_err(no)?;
    let prefix = request.filter_name_prefix.unwrap_or_default();
    let found =
        subscriptions::list(&cx.app.records, &group, &prefix).map_err(|failure| no(failure.into()))?;
    let entry = |filter: SubscriptionFilter| Entry {
        filter_name: filter.name,
        log_group_name: filter.group.name,
        filter_pattern: filter.pattern,
        destination_arn: filter.destination,
        role_arn: filter.role,
        distribution: filter.distribution,
        apply_on_transformed_logs: false,
        creation_time: filter.created.as_millis(),
    };
    let bounds = Page {
        limit: request.limit,
        token: request.next_token,
        default: PAGE_MAX,
        max: PAGE_MAX,
        descending: false,
    };
    let all = found.into_iter().map(entry).collect();
    let (subscription_filters, next_token) =
        page(all, &bounds, |entry: &Entry| &entry.filter_name).map_err(invalid)?;
    Ok(DescribeSubscriptionFiltersResponse { subscription_filters, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteSubscriptionFilterRequest {
    log_group_name: Option<String>,
    filter_name: Option<String>,
}

pub(super) async fn delete_subscription_filter(
    cx: Cx,
    request: DeleteSubscriptionFilterRequest,
) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    let name = need(request.filter_name, "filterName")?;
    if !subscriptions::remove(&cx.app.records, &group, &name).map_err(no)? {
        let text = "The specified subscription filter does not exist.";
        return Err(ApiError::sender("ResourceNotFoundException", text));
    }
    cx.app.subscriptions.load(&cx.app.records).map_err(|failure| no(failure.into()))
}
