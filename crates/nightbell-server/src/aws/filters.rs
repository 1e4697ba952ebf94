/*!
Metric filters: put, described, deleted, tried ("CloudWatch Logs API Reference").
*/

use std::collections::BTreeMap;

use nightbell_core::event::Group;
use nightbell_core::fields::Subject;
use nightbell_core::filter::MetricFilter;
use nightbell_core::pattern::{Caller, Pattern};
use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, refused};
use super::logs::need;
use super::page::{Page, page};
use super::service::Service;
use crate::manage::{Refusal, filters};

/// Most messages of one TestMetricFilter.
const TEST_MESSAGES_MAX: usize = 50;
/// Most filters of one page.
const PAGE_MAX: usize = 50;

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Logs, refusal)
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidParameterException", text)
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricTransformation {
    metric_name: Option<String>,
    metric_namespace: Option<String>,
    metric_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutMetricFilterRequest {
    log_group_name: Option<String>,
    filter_name: Option<String>,
    filter_pattern: Option<String>,
    metric_transformations: Option<Vec<MetricTransformation>>,
    field_selection_criteria: Option<String>,
    emit_system_field_dimensions: Option<Vec<String>>,
}

pub(super) async fn put_metric_filter(cx: Cx, request: PutMetricFilterRequest) -> Result<(), ApiError> {
    let (group, filter) = read_filter(&cx, request)?;
    // A filter sees only events that come after it.
    cx.matched().await;
    filters::put_filter(&cx.app.records, &group, filter, cx.now).map_err(no)?;
    cx.app.compiled.forget(&group);
    Ok(())
}

/// The filter in the form of PutMetricFilter, and its group: for a backtest.
pub(crate) fn given(cx: &Cx, request: &serde_json::Value) -> Result<(Group, MetricFilter), Refusal> {
    let wrong = |error: serde_json::Error| Refusal::Invalid(format!("filters: {error}"));
    let request = PutMetricFilterRequest::deserialize(request).map_err(wrong)?;
    let (group, filter) = read_filter(cx, request).map_err(|error| Refusal::Invalid(error.message))?;
    filter.check().map_err(|error| Refusal::Invalid(error.message))?;
    Ok((group, filter))
}

fn read_filter(cx: &Cx, request: PutMetricFilterRequest) -> Result<(Group, MetricFilter), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    let mut transformations = need(request.metric_transformations, "metricTransformations")?;
    if transformations.len() != 1 {
        return Err(invalid(format!(
            "1 validation error detected: Value at 'metricTransformations' failed to satisfy constraint: Member must have length 1; it has {}",
            transformations.len()
        )));
    }
    let transformation = transformations.remove(0);
    let filter = MetricFilter {
        name: need(request.filter_name, "filterName")?,
        pattern: need(request.filter_pattern, "filterPattern")?,
        namespace: need(transformation.metric_namespace, "metricTransformations.1.member.metricNamespace")?,
        metric: need(transformation.metric_name, "metricTransformations.1.member.metricName")?,
        value: need(transformation.metric_value, "metricTransformations.1.member.metricValue")?,
        default: transformation.default_value,
        dimensions: transformation.dimensions.unwrap_or_default(),
        unit: transformation.unit,
        created: cx.now,
        emit_system_field_dimensions: request.emit_system_field_dimensions.unwrap_or_default(),
        field_selection_criteria: request.field_selection_criteria,
    };
    Ok((group, filter))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteMetricFilterRequest {
    log_group_name: Option<String>,
    filter_name: Option<String>,
}

pub(super) async fn delete_metric_filter(cx: Cx, request: DeleteMetricFilterRequest) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    let name = need(request.filter_name, "filterName")?;
    cx.matched().await;
    filters::remove(&cx.app.records, &group, &name).map_err(no)?;
    cx.app.compiled.forget(&group);
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeMetricFiltersRequest {
    log_group_name: Option<String>,
    filter_name_prefix: Option<String>,
    metric_name: Option<String>,
    metric_namespace: Option<String>,
    limit: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeMetricFiltersResponse {
    metric_filters: Vec<MetricFilterEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricFilterEntry {
    filter_name: String,
    filter_pattern: String,
    metric_transformations: [MetricTransformation; 1],
    creation_time: i64,
    log_group_name: String,
    apply_on_transformed_logs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    field_selection_criteria: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    emit_system_field_dimensions: Vec<String>,
    /// Orders the listing; not part of the answer.
    #[serde(skip)]
    order: String,
}

pub(super) async fn describe_metric_filters(
    cx: Cx,
    request: DescribeMetricFiltersRequest,
) -> Result<DescribeMetricFiltersResponse, ApiError> {
    let prefix = request.filter_name_prefix.unwrap_or_default();
    let mut found = match (&request.log_group_name, &request.metric_name, &request.metric_namespace) {
        (Some(name), _, _) => {
            let group = cx.group(name);
            crate::manage::groups::find(&cx.app.records, &group).map_err(no)?;
            let found =
                filters::list(&cx.app.records, &group, &prefix).map_err(|failure| no(failure.into()))?;
            found.into_iter().map(|filter| (name.clone(), filter)).collect()
        }
        (None, Some(_), Some(_)) => filters::list_region(&cx.app.records, &cx.region).map_err(no)?,
        _ => {
            return Err(invalid(
                "Describe Metric Filters request must contain either logGroupName or metricName and metricNamespace",
            ));
        }
    };
    found.retain(|(_, filter)| {
        request.metric_name.as_ref().is_none_or(|name| *name == filter.metric)
            && request.metric_namespace.as_ref().is_none_or(|namespace| *namespace == filter.namespace)
            && filter.name.starts_with(&prefix)
    });
    let mut entries: Vec<_> = found.into_iter().map(|(group, filter)| entry(group, filter)).collect();
    entries.sort_by(|a, b| a.order.cmp(&b.order));
    let bounds = Page {
        limit: request.limit,
        token: request.next_token,
        default: PAGE_MAX,
        max: PAGE_MAX,
        descending: false,
    };
    let (metric_filters, next_token) = page(entries, &bounds, |entry| &entry.order).map_err(invalid)?;
    Ok(DescribeMetricFiltersResponse { metric_filters, next_token })
}

fn entry(group: String, filter: MetricFilter) -> MetricFilterEntry {
    MetricFilterEntry {
        order: format!("{}\u{1}{group}", filter.name),
        filter_name: filter.name,
        filter_pattern: filter.pattern,
        metric_transformations: [MetricTransformation {
            metric_name: Some(filter.metric),
            metric_namespace: Some(filter.namespace),
            metric_value: Some(filter.value),
            default_value: filter.default,
            dimensions: (!filter.dimensions.is_empty()).then_some(filter.dimensions),
            unit: filter.unit,
        }],
        creation_time: filter.created.as_millis(),
        log_group_name: group,
        apply_on_transformed_logs: false,
        field_selection_criteria: filter.field_selection_criteria,
        emit_system_field_dimensions: filter.emit_system_field_dimensions,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TestMetricFilterRequest {
    filter_pattern: Option<String>,
    log_event_messages: Option<Vec<String>>,
}

#[derive(Serialize)]
pub(super) struct TestMetricFilterResponse {
    matches: Vec<MetricFilterMatchRecord>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricFilterMatchRecord {
    event_number: usize,
    event_message: String,
    extracted_values: BTreeMap<String, String>,
}

pub(super) async fn test_metric_filter(
    cx: Cx,
    request: TestMetricFilterRequest,
) -> Result<TestMetricFilterResponse, ApiError> {
    let pattern = need(request.filter_pattern, "filterPattern")?;
    let messages = need(request.log_event_messages, "logEventMessages")?;
    if messages.is_empty() || messages.len() > TEST_MESSAGES_MAX || messages.iter().any(String::is_empty) {
        return Err(invalid(format!(
            "1 validation error detected: Value at 'logEventMessages' failed to satisfy constraint: Member must have length between 1 and {TEST_MESSAGES_MAX}, and no message may be empty"
        )));
    }
    let pattern = Pattern::parse(&pattern).map_err(|error| invalid(error.message(Caller::MetricFilter)))?;
    let mut matches = Vec::new();
    for (index, message) in messages.into_iter().enumerate() {
        let subject = Subject::new(&message, "", &cx.app.reader);
        if !pattern.matches(&subject) {
            continue;
        }
        let extracted_values = pattern.extract(&subject).into_iter().collect();
        drop(subject);
        matches.push(MetricFilterMatchRecord {
            event_number: index + 1,
            event_message: message,
            extracted_values,
        });
    }
    Ok(TestMetricFilterResponse { matches })
}
