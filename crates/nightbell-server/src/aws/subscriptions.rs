/*!
Subscription filters ("CloudWatch Logs API Reference").
*/

use nightbell_core::event::Group;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, refused};
use super::logs::need;
use super::page::{Page, page};
use super::service::Service;
use crate::functions::queue;
use crate::manage::subscriptions::{self, Closed, Destination, SubscriptionFilter};
use crate::manage::{Refusal, functions, groups, streams};
use crate::run::subscriber::payload::control_message;

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
    let leads_to = destination_of(&cx, &group, &destination)?;
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
    put(&cx, filter, &leads_to).map_err(no)?;
    cx.app.subscriptions.load(&cx.app.records).map_err(|failure| no(failure.into()))
}

/// Puts a filter, and a message for its destination in the same commit.
fn put(cx: &Cx, filter: SubscriptionFilter, leads_to: &Destination) -> Result<(), Refusal> {
    let message = control_message(leads_to, cx.now);
    let backlog = &cx.app.functions.backlog;
    let (mut added, mut queued) = (None, None);
    subscriptions::put_filter(&cx.app.records, filter, |change| match leads_to {
        Destination::Stream(stream) => {
            added = Some(cx.app.buffers.add(stream, &[message], cx.now, change));
        }
        Destination::Function(arn) => queued = Some(queue::put(backlog, change, arn, message, cx.now)),
    })?;
    if let Some(added) = added {
        cx.app.buffers.count(added);
    }
    if let Some(queued) = queued {
        queued.stays();
        cx.app.functions.ring();
    }
    Ok(())
}

/// What a destination's ARN leads to, once it is there and lets us in.
fn destination_of(cx: &Cx, group: &Group, arn: &str) -> Result<Destination, ApiError> {
    let shown: String = arn.chars().take(200).collect();
    let found = Destination::of(arn).ok_or_else(|| {
        invalid(format!(
            "destinationArn {shown} is not served by this version; give that of a delivery stream, \
             arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME, or of a function, \
             arn:aws:lambda:REGION:ACCOUNT:function:NAME"
        ))
    })?;
    let is_ours = match &found {
        Destination::Stream((_, name)) => arn == streams::arn(&cx.region, &cx.app.account, name),
        Destination::Function(_) => {
            let ours = functions::arn(&cx.region, &cx.app.account, "");
            arn.starts_with(&ours)
        }
    };
    let open = subscriptions::check_destination(&cx.app, group, &found, cx.now);
    let open = open.map_err(|failure| no(failure.into()))?;
    match (is_ours.then_some(()).ok_or(Closed::Missing).and(open), &found) {
        (Ok(()), _) => Ok(found),
        (Err(Closed::OwnLog), _) => Err(invalid(
            "The log group provided is reserved for the function logs of the destination function.",
        )),
        (Err(_), Destination::Stream(_)) => Err(invalid(format!(
            "Could not deliver test message to specified Firehose stream. Check if the given Firehose stream is in ACTIVE state: {shown}"
        ))),
        (Err(_), Destination::Function(_)) => Err(invalid(
            "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your function.",
        )),
    }
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
