/*!
CloudWatch Logs: groups, streams and PutLogEvents ("CloudWatch Logs API Reference"). Reading is in `reads`, metric
filters in `filters`.
*/

use std::collections::BTreeMap;

use nightbell_core::event::{Batch, Event};
use nightbell_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, refused, stored};
use super::page::{Page, page};
use super::service::Service;
use crate::admission::admit;
use crate::catalog::{Activity, GroupRecord, Key, StreamRecord};
use crate::intake;
use crate::manage::groups::{self, GroupOptions};
use crate::manage::{Refusal, filters as manage_filters};

/// Most objects of one page of a listing.
const PAGE_MAX: usize = 50;

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Logs, refusal)
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidParameterException", text)
}

/// A field that must be there.
pub(super) fn need<T>(value: Option<T>, field: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateLogGroupRequest {
    log_group_name: Option<String>,
    log_group_class: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    tags: BTreeMap<String, String>,
    deletion_protection_enabled: Option<bool>,
}

pub(super) async fn create_log_group(cx: Cx, request: CreateLogGroupRequest) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    let options = GroupOptions {
        class: request.log_group_class,
        tags: request.tags,
        deletion_protected: request.deletion_protection_enabled.unwrap_or(false),
    };
    let since = *cx.app.journal.end().borrow();
    groups::create(&cx.app.records, &group, options, cx.now, since).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupRequest {
    log_group_name: Option<String>,
}

pub(super) async fn delete_log_group(cx: Cx, request: GroupRequest) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    cx.matched().await;
    groups::remove(&cx.app.records, &group).map_err(no)?;
    cx.app.compiled.forget(&group);
    cx.app.subscriptions.load(&cx.app.records).map_err(|failure| no(failure.into()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutLogGroupDeletionProtectionRequest {
    log_group_identifier: Option<String>,
    deletion_protection_enabled: Option<bool>,
}

pub(super) async fn put_log_group_deletion_protection(
    cx: Cx,
    request: PutLogGroupDeletionProtectionRequest,
) -> Result<(), ApiError> {
    let identifier = need(request.log_group_identifier, "logGroupIdentifier")?;
    let group = cx.group(&group_name(&cx, None, Some(identifier))?);
    let protected = need(request.deletion_protection_enabled, "deletionProtectionEnabled")?;
    groups::protect(&cx.app.records, &group, protected).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutRetentionPolicyRequest {
    log_group_name: Option<String>,
    retention_in_days: Option<i64>,
}

pub(super) async fn put_retention_policy(cx: Cx, request: PutRetentionPolicyRequest) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    let days = need(request.retention_in_days, "retentionInDays")?;
    groups::retain(&cx.app.records, &group, Some(days)).map_err(no)
}

pub(super) async fn delete_retention_policy(cx: Cx, request: GroupRequest) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    groups::retain(&cx.app.records, &group, None).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogGroupsRequest {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    limit: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogGroupsResponse {
    log_groups: Vec<LogGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogGroup {
    log_group_name: String,
    creation_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_in_days: Option<i64>,
    metric_filter_count: usize,
    arn: String,
    stored_bytes: u64,
    log_group_class: String,
    log_group_arn: String,
    deletion_protection_enabled: bool,
    bearer_token_authentication_enabled: bool,
}

pub(super) async fn describe_log_groups(
    cx: Cx,
    request: DescribeLogGroupsRequest,
) -> Result<DescribeLogGroupsResponse, ApiError> {
    if request.log_group_name_prefix.is_some() && request.log_group_name_pattern.is_some() {
        return Err(invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    let prefix = request.log_group_name_prefix.unwrap_or_default();
    let mut found = groups::list(&cx.app.records, &cx.region, &prefix).map_err(no)?;
    if let Some(pattern) = &request.log_group_name_pattern {
        found.retain(|record| record.group.name.contains(pattern));
    }
    let bounds = Page {
        limit: request.limit,
        token: request.next_token,
        default: PAGE_MAX,
        max: PAGE_MAX,
        descending: false,
    };
    let (shown, next_token) = page(found, &bounds, |record| &record.group.name).map_err(invalid)?;
    let log_groups =
        shown.iter().map(|record| describe_group(&cx, record)).collect::<Result<_, _>>().map_err(no)?;
    Ok(DescribeLogGroupsResponse { log_groups, next_token })
}

fn describe_group(cx: &Cx, record: &GroupRecord) -> Result<LogGroup, Refusal> {
    let group = &record.group;
    let arn = format!("arn:aws:logs:{}:{}:log-group:{}", group.region, cx.app.account, group.name);
    let activity: Vec<Activity> =
        cx.app.records.list(&Key::prefix(&["activity", &group.region, &group.name], ""))?;
    Ok(LogGroup {
        log_group_name: group.name.clone(),
        creation_time: record.created.as_millis(),
        retention_in_days: record.retention_days,
        metric_filter_count: manage_filters::list(&cx.app.records, group, "")?.len(),
        arn: format!("{arn}:*"),
        stored_bytes: activity.iter().map(|stream| stream.bytes).sum(),
        log_group_class: record.class.clone(),
        log_group_arn: arn,
        deletion_protection_enabled: record.deletion_protected,
        bearer_token_authentication_enabled: false,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamRequest {
    log_group_name: Option<String>,
    log_stream_name: Option<String>,
}

pub(super) async fn create_log_stream(cx: Cx, request: StreamRequest) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    let name = need(request.log_stream_name, "logStreamName")?;
    let since = *cx.app.journal.end().borrow();
    groups::create_stream(&cx.app.records, &group, &name, cx.now, since).map_err(no)
}

pub(super) async fn delete_log_stream(cx: Cx, request: StreamRequest) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    let name = need(request.log_stream_name, "logStreamName")?;
    cx.matched().await;
    groups::remove_stream(&cx.app.records, &group, &name).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogStreamsRequest {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    descending: Option<bool>,
    limit: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogStreamsResponse {
    log_streams: Vec<LogStream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogStream {
    log_stream_name: String,
    creation_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_ingestion_time: Option<i64>,
    upload_sequence_token: String,
    arn: String,
    stored_bytes: i64,
    /// Orders a listing by time of last event; not part of the answer.
    #[serde(skip)]
    order: String,
}

pub(super) async fn describe_log_streams(
    cx: Cx,
    request: DescribeLogStreamsRequest,
) -> Result<DescribeLogStreamsResponse, ApiError> {
    let name = group_name(&cx, request.log_group_name, request.log_group_identifier)?;
    let group = cx.group(&name);
    let by_time = match request.order_by.as_deref() {
        None | Some("LogStreamName") => false,
        Some("LastEventTime") => true,
        Some(other) => {
            let allowed = "Member must satisfy enum value set: [LogStreamName, LastEventTime]";
            return Err(no(crate::manage::violates(other, "orderBy", allowed)));
        }
    };
    if by_time && request.log_stream_name_prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let prefix = request.log_stream_name_prefix.unwrap_or_default();
    let found = groups::list_streams(&cx.app.records, &group, &prefix).map_err(no)?;
    let arn = format!("arn:aws:logs:{}:{}:log-group:{name}:log-stream", cx.region, cx.app.account);
    let mut streams: Vec<LogStream> = found
        .into_iter()
        .map(|(stream, activity)| describe_stream(&arn, stream, &activity, by_time))
        .collect();
    streams.sort_by(|a, b| a.order.cmp(&b.order));
    let descending = request.descending.unwrap_or(false);
    if descending {
        streams.reverse();
    }
    let bounds = Page {
        limit: request.limit,
        token: request.next_token,
        default: PAGE_MAX,
        max: PAGE_MAX,
        descending,
    };
    let (log_streams, next_token) = page(streams, &bounds, |stream| &stream.order).map_err(invalid)?;
    Ok(DescribeLogStreamsResponse { log_streams, next_token })
}

fn describe_stream(arn: &str, stream: StreamRecord, activity: &Activity, by_time: bool) -> LogStream {
    let millis = |time: Option<Timestamp>| time.map(Timestamp::as_millis);
    let last = millis(activity.last_event);
    let order =
        if by_time { format!("{:020}/{}", last.unwrap_or(0), stream.name) } else { stream.name.clone() };
    LogStream {
        arn: format!("{arn}:{}", stream.name),
        log_stream_name: stream.name,
        creation_time: stream.created.as_millis(),
        first_event_timestamp: millis(activity.first_event),
        last_event_timestamp: last,
        last_ingestion_time: millis(activity.last_arrival),
        upload_sequence_token: SEQUENCE_TOKEN.to_owned(),
        stored_bytes: 0,
        order,
    }
}

/// A group's name from either of the two parameters that may carry it.
pub(super) fn group_name(
    cx: &Cx,
    name: Option<String>,
    identifier: Option<String>,
) -> Result<String, ApiError> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => {
            let arn = format!("arn:aws:logs:{}:{}:log-group:", cx.region, cx.app.account);
            Ok(identifier.strip_prefix(&arn).unwrap_or(&identifier).to_owned())
        }
        (Some(_), Some(_)) => {
            Err(invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters."))
        }
        (None, None) => need(None, "logGroupName"),
    }
}

/// What PutLogEvents gives as `nextSequenceToken`; it has no meaning any more and any value is taken back.
const SEQUENCE_TOKEN: &str = "49039859647650528012345678901234567890123456789012345678";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutLogEventsRequest {
    log_group_name: Option<String>,
    log_stream_name: Option<String>,
    log_events: Option<Vec<InputLogEvent>>,
}

#[derive(Deserialize)]
struct InputLogEvent {
    timestamp: Option<i64>,
    message: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutLogEventsResponse {
    next_sequence_token: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_log_events_info: Option<RejectedLogEventsInfo>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RejectedLogEventsInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    too_new_log_event_start_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    too_old_log_event_end_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_log_event_end_index: Option<usize>,
}

pub(super) async fn put_log_events(
    cx: Cx,
    request: PutLogEventsRequest,
) -> Result<PutLogEventsResponse, ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    let stream = need(request.log_stream_name, "logStreamName")?;
    groups::check_group_name(&group.name).map_err(no)?;
    groups::check_stream_name(&stream).map_err(no)?;
    let (record, _) = groups::find_stream(&cx.app.records, &group, &stream).map_err(no)?;
    let events: Vec<Event> =
        need(request.log_events, "logEvents")?.into_iter().map(read_event).collect::<Result<_, _>>()?;
    let offered = events.len();
    let admitted = admit(events, cx.now, record.retention_days).map_err(invalid)?;
    let rejected = admitted.rejected;
    let stored_events = admitted.events.len();
    if !admitted.events.is_empty() {
        let batch = Batch { group, stream, arrival: cx.now, events: admitted.events };
        intake::accept(&cx.app, batch).await.map_err(|error| stored(Service::Logs, &error.into()))?;
    }
    let any =
        rejected.too_new_start.is_some() || rejected.too_old_end.is_some() || rejected.expired_end.is_some();
    cx.app.telemetry.rejected.inc_by((offered - stored_events) as u64);
    Ok(PutLogEventsResponse {
        next_sequence_token: SEQUENCE_TOKEN,
        rejected_log_events_info: any.then_some(RejectedLogEventsInfo {
            too_new_log_event_start_index: rejected.too_new_start,
            too_old_log_event_end_index: rejected.too_old_end,
            expired_log_event_end_index: rejected.expired_end,
        }),
    })
}

fn read_event(event: InputLogEvent) -> Result<Event, ApiError> {
    let time = Timestamp::from_millis(need(event.timestamp, "logEvents.timestamp")?);
    Ok(Event { time, message: need(event.message, "logEvents.message")? })
}
