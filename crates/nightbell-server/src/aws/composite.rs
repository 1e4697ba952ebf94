/*!
PutCompositeAlarm, and composite alarms as DescribeAlarms lists them ("Amazon CloudWatch API Reference").
*/

use nightbell_core::alarm::composite::{CompositeAlarm, CompositeRuntime, Site, Suppressor};
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::cloudwatch::{missing, no, time};
use super::error::ApiError;
use crate::manage::{Refusal, alarms, composites};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutCompositeAlarmRequest {
    alarm_name: Option<String>,
    alarm_description: Option<String>,
    alarm_rule: Option<String>,
    actions_enabled: Option<bool>,
    #[serde(default, rename = "OKActions", deserialize_with = "super::nullable")]
    ok_actions: Vec<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    alarm_actions: Vec<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    insufficient_data_actions: Vec<String>,
    actions_suppressor: Option<String>,
    actions_suppressor_wait_period: Option<i64>,
    actions_suppressor_extension_period: Option<i64>,
}

pub(super) async fn put_composite_alarm(cx: Cx, request: PutCompositeAlarmRequest) -> Result<(), ApiError> {
    let name = request.alarm_name.ok_or_else(|| missing("AlarmName"))?;
    let site = Site { region: &cx.region, account: &cx.app.account };
    let suppressor = Suppressor::read(
        &site,
        request.actions_suppressor.as_deref(),
        request.actions_suppressor_wait_period,
        request.actions_suppressor_extension_period,
    )
    .map_err(|error| no(Refusal::Alarm(error)))?;
    let alarm = CompositeAlarm {
        arn: alarms::arn(&cx.region, &cx.app.account, &name),
        region: cx.region.clone(),
        name,
        description: request.alarm_description,
        actions_enabled: request.actions_enabled.unwrap_or(true),
        ok_actions: request.ok_actions,
        alarm_actions: request.alarm_actions,
        insufficient_data_actions: request.insufficient_data_actions,
        rule: request.alarm_rule.ok_or_else(|| missing("AlarmRule"))?,
        suppressor,
        updated: cx.now,
    };
    let position = composites::put(&cx.app.records, &alarm, cx.now).map_err(no)?;
    cx.judged(position).await;
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CompositeAlarmEntry {
    alarm_name: String,
    alarm_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_description: Option<String>,
    alarm_configuration_updated_timestamp: Time,
    alarm_rule: String,
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

pub(super) fn describe(alarm: CompositeAlarm, runtime: CompositeRuntime) -> CompositeAlarmEntry {
    let (wait, extension) =
        alarm.suppressor.as_ref().map(|suppressor| (suppressor.wait_s, suppressor.extension_s)).unzip();
    CompositeAlarmEntry {
        alarm_name: alarm.name,
        alarm_arn: alarm.arn,
        alarm_description: alarm.description,
        alarm_configuration_updated_timestamp: time(alarm.updated),
        alarm_rule: alarm.rule,
        actions_enabled: alarm.actions_enabled,
        ok_actions: alarm.ok_actions,
        alarm_actions: alarm.alarm_actions,
        insufficient_data_actions: alarm.insufficient_data_actions,
        state_value: runtime.state.name(),
        state_reason: runtime.reason,
        state_reason_data: runtime.reason_data,
        state_updated_timestamp: time(runtime.state_updated),
        state_transitioned_timestamp: time(runtime.state_transitioned),
        actions_suppressed_by: runtime.held.as_ref().map(|held| held.by.name()),
        actions_suppressed_reason: runtime.held.map(|held| held.reason),
        actions_suppressor: alarm.suppressor.map(|suppressor| suppressor.alarm_arn),
        actions_suppressor_wait_period: wait,
        actions_suppressor_extension_period: extension,
    }
}
