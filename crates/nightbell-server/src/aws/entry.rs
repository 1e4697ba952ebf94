/*!
An alarm as DescribeAlarms writes it ("Amazon CloudWatch API Reference"): what both kinds have stands here once.

One struct serves both: members of the other kind are absent. XML knows no structs inside structs without an element of
their own, so the common part cannot be one.
*/

use nightbell_core::alarm::composite::{CompositeAlarm, CompositeRuntime};
use nightbell_core::alarm::{MetricAlarm, MissingData};
use nightbell_core::watch::Runtime;
use nightbell_wire::value::Time;
use serde::Serialize;

use super::cloudwatch::{Dimension, SIMPLE_STATISTICS, dimensions, time};
use super::queries::{self, MetricDataQuery};

/// `MetricAlarm` or `CompositeAlarm`.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AlarmEntry {
    alarm_name: String,
    alarm_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_description: Option<String>,
    alarm_configuration_updated_timestamp: Time,
    actions_enabled: bool,
    #[serde(rename = "OKActions")]
    ok_actions: Vec<String>,
    alarm_actions: Vec<String>,
    insufficient_data_actions: Vec<String>,
    state_value: &'static str,
    state_reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason_data: Option<String>,
    state_updated_timestamp: Time,
    state_transitioned_timestamp: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extended_statistic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<Vec<Dimension>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricDataQuery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation_periods: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datapoints_to_alarm: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold_metric_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison_operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    treat_missing_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluate_low_sample_count_percentile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressed_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressed_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressor_wait_period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressor_extension_period: Option<i64>,
}

/// The entry with what both kinds have; their types share names of fields and no type.
macro_rules! common {
    ($alarm:ident, $runtime:ident) => {
        AlarmEntry {
            alarm_name: $alarm.name,
            alarm_arn: $alarm.arn,
            alarm_description: $alarm.description,
            alarm_configuration_updated_timestamp: time($alarm.updated),
            actions_enabled: $alarm.actions_enabled,
            ok_actions: $alarm.ok_actions,
            alarm_actions: $alarm.alarm_actions,
            insufficient_data_actions: $alarm.insufficient_data_actions,
            state_value: $runtime.state.name(),
            state_reason: $runtime.reason,
            state_reason_data: $runtime.reason_data,
            state_updated_timestamp: time($runtime.state_updated),
            state_transitioned_timestamp: time($runtime.state_transitioned),
            ..AlarmEntry::default()
        }
    };
}

/// A metric alarm in its state.
pub(super) fn of_metric(alarm: MetricAlarm, runtime: Runtime) -> AlarmEntry {
    let single = alarm.single().cloned();
    let simple = |statistic: &String| SIMPLE_STATISTICS.contains(&statistic.as_str());
    let statistic = single.as_ref().map(|single| single.statistic.clone());
    let given = |text: String| (!text.is_empty()).then_some(text);
    AlarmEntry {
        evaluation_state: runtime.partial.then_some("PARTIAL_DATA"),
        dimensions: single.as_ref().map(|single| dimensions(&single.series)),
        statistic: statistic.clone().filter(simple),
        extended_statistic: statistic.filter(|statistic| !simple(statistic)),
        period: single.is_some().then_some(alarm.period_s),
        unit: single.as_ref().and_then(|single| single.unit.clone()),
        metric_name: single.as_ref().map(|single| single.series.name.clone()),
        namespace: single.map(|single| single.series.namespace),
        metrics: queries::written(&alarm.measure, alarm.period_s),
        evaluation_periods: Some(alarm.evaluation_periods),
        datapoints_to_alarm: alarm.datapoints_to_alarm,
        threshold: alarm.band.is_none().then_some(alarm.threshold),
        threshold_metric_id: alarm.band,
        comparison_operator: Some(name_of(&alarm.comparison)),
        treat_missing_data: (alarm.missing_data != MissingData::Missing)
            .then(|| name_of(&alarm.missing_data)),
        evaluate_low_sample_count_percentile: given(alarm.evaluate_low_sample_count_percentile),
        ..common!(alarm, runtime)
    }
}

/// A composite alarm in its state, with its suppressor as it was given.
pub(super) fn of_composite(
    alarm: CompositeAlarm,
    runtime: CompositeRuntime,
    suppressor: Option<String>,
) -> AlarmEntry {
    let (by, reason) = runtime.held.map(|held| (held.by.name(), held.reason)).unzip();
    let (wait, extension) =
        alarm.suppressor.as_ref().map(|suppressor| (suppressor.wait_s, suppressor.extension_s)).unzip();
    AlarmEntry {
        alarm_rule: Some(alarm.rule),
        actions_suppressed_by: by,
        actions_suppressed_reason: reason,
        actions_suppressor: suppressor,
        actions_suppressor_wait_period: wait,
        actions_suppressor_extension_period: extension,
        ..common!(alarm, runtime)
    }
}

/// The name in the API of a value out of a fixed list.
fn name_of<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
