/*!
PutCompositeAlarm ("Amazon CloudWatch API Reference"): the request, read into the core's own type.
*/

use nightbell_core::alarm::composite::{CompositeAlarm, Site, Suppressor};
use serde::Deserialize;

use super::Cx;
use super::cloudwatch::{missing, no};
use super::error::ApiError;
use super::tags::{self, Tag};
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
    #[serde(default, deserialize_with = "super::nullable")]
    tags: Vec<Tag>,
}

pub(super) async fn put_composite_alarm(cx: Cx, request: PutCompositeAlarmRequest) -> Result<(), ApiError> {
    let name = request.alarm_name.ok_or_else(|| missing("AlarmName"))?;
    let tags = tags::read(request.tags).map_err(no)?;
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
    let given = request.actions_suppressor.as_deref();
    let position = composites::put(&cx.app.records, &alarm, given, &tags, cx.now).map_err(no)?;
    cx.judged(position).await;
    Ok(())
}
