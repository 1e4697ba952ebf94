/*!
CloudWatch alarms: PutMetricAlarm and what goes with it ("Amazon CloudWatch API Reference").
*/

use std::collections::BTreeMap;

use nightbell_core::alarm::{Measure, MetricAlarm, SeriesMeasure, State};
use nightbell_core::metric::Series;
use nightbell_core::time::Timestamp;
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::entry::{self, AlarmEntry};
use super::error::{ApiError, refused};
use super::page::{Page, page};
use super::queries::{self, MetricDataQuery};
use super::service::Service;
use super::tags::{self, Tag};
use super::{Cx, alarmlist};
use crate::manage::Refusal;
use crate::manage::alarms::{self, HistoryItem};

/// Most alarms one request names.
pub(super) const NAMES_MAX: usize = 100;

pub(super) fn no(refusal: Refusal) -> ApiError {
    refused(Service::CloudWatch, refusal)
}

pub(super) fn missing(field: &str) -> ApiError {
    ApiError::sender("MissingParameter", format!("The parameter {field} is required."))
}

pub(super) fn validation(text: impl Into<String>) -> ApiError {
    ApiError::sender("ValidationError", text)
}

/// A dimension as the API writes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Dimension {
    pub(super) name: String,
    #[serde(default, deserialize_with = "super::nullable")]
    pub(super) value: Option<String>,
}

/// The series that a request names.
pub(super) fn series(cx: &Cx, namespace: &str, name: &str, dimensions: Vec<Dimension>) -> Series {
    let dimensions = dimensions.into_iter().map(|d| (d.name, d.value.unwrap_or_default())).collect();
    Series::new(&cx.region, namespace, name, dimensions)
}

/// The dimensions of a series as the API writes them.
pub(super) fn dimensions(series: &Series) -> Vec<Dimension> {
    let one = |(name, value): &(String, String)| Dimension { name: name.clone(), value: Some(value.clone()) };
    series.dimensions.iter().map(one).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutMetricAlarmRequest {
    alarm_name: Option<String>,
    alarm_description: Option<String>,
    actions_enabled: Option<bool>,
    #[serde(default, rename = "OKActions", deserialize_with = "super::nullable")]
    ok_actions: Vec<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    alarm_actions: Vec<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    insufficient_data_actions: Vec<String>,
    metric_name: Option<String>,
    namespace: Option<String>,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    dimensions: Vec<Dimension>,
    period: Option<i64>,
    unit: Option<String>,
    evaluation_periods: Option<i64>,
    datapoints_to_alarm: Option<i64>,
    threshold: Option<f64>,
    comparison_operator: Option<String>,
    treat_missing_data: Option<String>,
    evaluate_low_sample_count_percentile: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    metrics: Vec<MetricDataQuery>,
    threshold_metric_id: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    tags: Vec<Tag>,
}

pub(super) async fn put_metric_alarm(cx: Cx, mut request: PutMetricAlarmRequest) -> Result<(), ApiError> {
    let tags = tags::read(std::mem::take(&mut request.tags)).map_err(no)?;
    let alarm = read_alarm(&cx, request)?;
    let position = alarms::put_alarm(&cx.app.records, &alarm, &tags, cx.now).map_err(no)?;
    cx.judged(position).await;
    Ok(())
}

/// The alarm in the form of PutMetricAlarm: for a backtest.
pub(crate) fn given(cx: &Cx, request: &serde_json::Value) -> Result<MetricAlarm, Refusal> {
    let wrong = |error: serde_json::Error| Refusal::Invalid(format!("alarms: {error}"));
    let request = PutMetricAlarmRequest::deserialize(request).map_err(wrong)?;
    let alarm = read_alarm(cx, request).map_err(|error| Refusal::Invalid(error.message))?;
    alarm.check().map_err(Refusal::Alarm)?;
    Ok(alarm)
}

fn read_alarm(cx: &Cx, request: PutMetricAlarmRequest) -> Result<MetricAlarm, ApiError> {
    let name = request.alarm_name.clone().ok_or_else(|| missing("AlarmName"))?;
    let (measure, period) = read_measure(cx, &request)?;
    let count = |value: i64, field: &str| {
        u32::try_from(value).map_err(|_| validation(format!("{field} {value} is outside 1 to {}", u32::MAX)))
    };
    let evaluation = request.evaluation_periods.ok_or_else(|| missing("EvaluationPeriods"))?;
    Ok(MetricAlarm {
        arn: alarms::arn(&cx.region, &cx.app.account, &name),
        name,
        description: request.alarm_description,
        actions_enabled: request.actions_enabled.unwrap_or(true),
        ok_actions: request.ok_actions,
        alarm_actions: request.alarm_actions,
        insufficient_data_actions: request.insufficient_data_actions,
        region: cx.region.clone(),
        measure,
        period_s: period,
        evaluation_periods: count(evaluation, "EvaluationPeriods")?,
        datapoints_to_alarm: request
            .datapoints_to_alarm
            .map(|m| count(m, "DatapointsToAlarm"))
            .transpose()?,
        threshold: read_threshold(request.threshold, request.threshold_metric_id.as_deref())?,
        band: request.threshold_metric_id,
        comparison: named(request.comparison_operator, "ComparisonOperator")?
            .ok_or_else(|| missing("ComparisonOperator"))?,
        missing_data: named(request.treat_missing_data, "TreatMissingData")?.unwrap_or_default(),
        evaluate_low_sample_count_percentile: request
            .evaluate_low_sample_count_percentile
            .unwrap_or_default(),
        updated: cx.now,
    })
}

/// The number that values are held against; 0 where that is a band.
fn read_threshold(threshold: Option<f64>, band: Option<&str>) -> Result<f64, ApiError> {
    match (threshold, band) {
        (Some(threshold), None) => Ok(threshold),
        (None, Some(_)) => Ok(0.0),
        (None, None) => Err(missing("Threshold")),
        (Some(_), Some(_)) => {
            let text = "The parameters Threshold and ThresholdMetricId are mutually exclusive.";
            Err(ApiError::sender("InvalidParameterCombination", text))
        }
    }
}

/// What is measured, and the length of a period.
fn read_measure(cx: &Cx, request: &PutMetricAlarmRequest) -> Result<(Measure, i64), ApiError> {
    if !request.metrics.is_empty() {
        let single = [
            ("MetricName", request.metric_name.is_some()),
            ("Namespace", request.namespace.is_some()),
            ("Dimensions", !request.dimensions.is_empty()),
            ("Period", request.period.is_some()),
            ("Unit", request.unit.is_some()),
            ("Statistic", request.statistic.is_some()),
            ("ExtendedStatistic", request.extended_statistic.is_some()),
        ];
        if let Some((field, _)) = single.iter().find(|(_, given)| *given) {
            let text = format!("The parameters Metrics and {field} are mutually exclusive.");
            return Err(ApiError::sender("InvalidParameterCombination", text));
        }
        let band = request.threshold_metric_id.as_deref();
        let (measure, period) = queries::read_measure(cx, &request.metrics, band)?;
        return Ok((measure, period.ok_or_else(|| missing("Metrics.member.Period"))?));
    }
    let statistic = read_statistic(request)?;
    let metric = request.metric_name.as_deref().ok_or_else(|| missing("MetricName"))?;
    let namespace = request.namespace.as_deref().ok_or_else(|| missing("Namespace"))?;
    let single = SeriesMeasure {
        series: series(cx, namespace, metric, request.dimensions.clone()),
        unit: request.unit.clone(),
        statistic,
    };
    Ok((Measure::Series(single), request.period.ok_or_else(|| missing("Period"))?))
}

fn read_statistic(request: &PutMetricAlarmRequest) -> Result<String, ApiError> {
    match (&request.statistic, &request.extended_statistic) {
        (Some(_), Some(_)) => {
            let text = "Statistic and ExtendedStatistic are mutually exclusive.";
            Err(ApiError::sender("InvalidParameterCombination", text))
        }
        (Some(statistic), None) if !SIMPLE_STATISTICS.contains(&statistic.as_str()) => {
            Err(validation(format!(
                "1 validation error detected: Value '{statistic}' at 'statistic' failed to satisfy constraint: Member must satisfy enum value set: {SIMPLE_STATISTICS:?}"
            )))
        }
        (Some(statistic), None) | (None, Some(statistic)) => Ok(statistic.clone()),
        (None, None) => Err(missing("Statistic or ExtendedStatistic")),
    }
}

/// The statistics that are no `ExtendedStatistic`.
pub(super) const SIMPLE_STATISTICS: [&str; 5] = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"];

/// A value out of a fixed list, by its name in the API.
pub(super) fn named<T: for<'de> Deserialize<'de>>(
    text: Option<String>,
    field: &str,
) -> Result<Option<T>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let value = serde_json::Value::String(text.clone());
    let known = serde_json::from_value(value).map_err(|_| {
        validation(format!(
            "1 validation error detected: Value '{text}' at '{field}' failed to satisfy constraint: Member must satisfy enum value set"
        ))
    });
    known.map(Some)
}

/// An instant as the protocols write it.
pub(super) fn time(at: Timestamp) -> Time {
    Time(at.as_millis())
}

pub(super) fn invalid_token(text: String) -> ApiError {
    if text.contains("nextToken") { ApiError::sender("InvalidNextToken", text) } else { validation(text) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmsForMetricRequest {
    metric_name: Option<String>,
    namespace: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    dimensions: Vec<Dimension>,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    period: Option<i64>,
    unit: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmsForMetricResponse {
    metric_alarms: Vec<AlarmEntry>,
}

pub(super) async fn describe_alarms_for_metric(
    cx: Cx,
    request: DescribeAlarmsForMetricRequest,
) -> Result<DescribeAlarmsForMetricResponse, ApiError> {
    let name = request.metric_name.ok_or_else(|| missing("MetricName"))?;
    let namespace = request.namespace.ok_or_else(|| missing("Namespace"))?;
    let wanted = series(&cx, &namespace, &name, request.dimensions);
    let statistic = request.statistic.or(request.extended_statistic);
    let found = alarms::list(&cx.app.records, &cx.region, "").map_err(no)?;
    let fits = |alarm: &MetricAlarm| {
        alarm.single().is_some_and(|single| {
            single.series == wanted
                && statistic.as_ref().is_none_or(|statistic| *statistic == single.statistic)
                && (request.unit.is_none() || request.unit == single.unit)
        }) && request.period.is_none_or(|period| period == alarm.period_s)
    };
    let metric_alarms = found
        .into_iter()
        .filter(|(alarm, _)| fits(alarm))
        .map(|(alarm, runtime)| entry::of_metric(alarm, runtime))
        .collect();
    Ok(DescribeAlarmsForMetricResponse { metric_alarms })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NamesRequest {
    alarm_names: Option<Vec<String>>,
}

fn names(request: NamesRequest) -> Result<Vec<String>, ApiError> {
    let names = request.alarm_names.ok_or_else(|| missing("AlarmNames"))?;
    if names.len() > NAMES_MAX {
        return Err(validation(format!(
            "AlarmNames: {} are more than the limit of {NAMES_MAX}",
            names.len()
        )));
    }
    Ok(names)
}

pub(super) async fn delete_alarms(cx: Cx, request: NamesRequest) -> Result<(), ApiError> {
    let names = names(request)?;
    if names.is_empty() {
        return Ok(());
    }
    let position = alarms::remove(&cx.app.records, &cx.region, &names, cx.now).map_err(no)?;
    cx.judged(position).await;
    Ok(())
}

pub(super) async fn enable_alarm_actions(cx: Cx, request: NamesRequest) -> Result<(), ApiError> {
    alarms::enable_actions(&cx.app.records, &cx.region, &names(request)?, true, cx.now).map_err(no)
}

pub(super) async fn disable_alarm_actions(cx: Cx, request: NamesRequest) -> Result<(), ApiError> {
    alarms::enable_actions(&cx.app.records, &cx.region, &names(request)?, false, cx.now).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAlarmStateRequest {
    alarm_name: Option<String>,
    state_value: Option<String>,
    state_reason: Option<String>,
    state_reason_data: Option<String>,
}

/// Longest reason of SetAlarmState, in characters.
const REASON_CHARS_MAX: usize = 1_023;
/// Longest reason data of SetAlarmState, in characters.
const REASON_DATA_CHARS_MAX: usize = 4_000;

pub(super) async fn set_alarm_state(cx: Cx, request: SetAlarmStateRequest) -> Result<(), ApiError> {
    let name = request.alarm_name.ok_or_else(|| missing("AlarmName"))?;
    let state: State = named(request.state_value, "StateValue")?.ok_or_else(|| missing("StateValue"))?;
    let reason = request.state_reason.ok_or_else(|| missing("StateReason"))?;
    if reason.chars().count() > REASON_CHARS_MAX {
        return Err(validation(format!(
            "StateReason is longer than the limit of {REASON_CHARS_MAX} characters"
        )));
    }
    if let Some(data) = &request.state_reason_data {
        if data.chars().count() > REASON_DATA_CHARS_MAX {
            let limit = REASON_DATA_CHARS_MAX;
            return Err(validation(format!(
                "StateReasonData is longer than the limit of {limit} characters"
            )));
        }
        if serde_json::from_str::<serde::de::IgnoredAny>(data).is_err() {
            return Err(ApiError::sender("InvalidFormat", "StateReasonData is not a JSON document"));
        }
    }
    let data = request.state_reason_data;
    let position =
        alarms::set_state(&cx.app.records, &cx.region, &name, state, reason, data, cx.now).map_err(no)?;
    cx.judged(position).await;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmHistoryRequest {
    alarm_name: Option<String>,
    alarm_contributor_id: Option<String>,
    alarm_types: Option<Vec<String>>,
    history_item_type: Option<String>,
    start_date: Option<Time>,
    end_date: Option<Time>,
    max_records: Option<i64>,
    next_token: Option<String>,
    scan_by: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmHistoryResponse {
    alarm_history_items: Vec<AlarmHistoryItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AlarmHistoryItem {
    alarm_name: String,
    alarm_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_contributor_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_contributor_attributes: Option<BTreeMap<String, String>>,
    timestamp: Time,
    history_item_type: String,
    history_summary: String,
    history_data: String,
}

pub(super) async fn describe_alarm_history(
    cx: Cx,
    request: DescribeAlarmHistoryRequest,
) -> Result<DescribeAlarmHistoryResponse, ApiError> {
    let types = request.alarm_types.unwrap_or_default();
    let mut items =
        alarms::history(&cx.app.records, &cx.region, request.alarm_name.as_deref()).map_err(no)?;
    let from =
        request.start_date.map_or(i64::MIN, |at| at.0).max(cx.now.as_millis() - alarms::HISTORY_AGE_MAX_MS);
    let to = request.end_date.map_or(i64::MAX, |at| at.0);
    let inside = |item: &HistoryItem| (from..=to).contains(&item.at.as_millis());
    items.retain(|item| {
        let id = item.contributor.as_ref().map(|one| &one.id);
        inside(item)
            && alarmlist::asks_for(&types, kind(item))
            && request.history_item_type.as_ref().is_none_or(|kind| *kind == item.kind)
            && request.alarm_contributor_id.as_ref().is_none_or(|wanted| id == Some(wanted))
    });
    if request.scan_by.as_deref() != Some("TimestampAscending") {
        items.reverse();
    }
    let numbered = items.into_iter().enumerate().map(|(n, item)| (format!("{n:09}"), item)).collect();
    let bounds = Page {
        limit: request.max_records,
        token: request.next_token,
        default: 50,
        max: NAMES_MAX,
        descending: false,
    };
    let (shown, next_token) = page(numbered, &bounds, |(number, _)| number).map_err(invalid_token)?;
    let alarm_history_items = shown.into_iter().map(|(_, item)| history_item(item)).collect();
    Ok(DescribeAlarmHistoryResponse { alarm_history_items, next_token })
}

/// What `AlarmType` is.
fn kind(item: &HistoryItem) -> &'static str {
    if item.composite { alarmlist::COMPOSITE } else { alarmlist::METRIC }
}

fn history_item(item: HistoryItem) -> AlarmHistoryItem {
    AlarmHistoryItem {
        alarm_type: kind(&item),
        alarm_name: item.alarm,
        alarm_contributor_id: item.contributor.as_ref().map(|one| one.id.clone()),
        alarm_contributor_attributes: item.contributor.map(|one| one.attributes.into_iter().collect()),
        timestamp: time(item.at),
        history_item_type: item.kind,
        history_summary: item.summary,
        history_data: item.data,
    }
}
