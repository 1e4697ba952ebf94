/*!
Alarm mute rules: PutAlarmMuteRule, GetAlarmMuteRule, ListAlarmMuteRules, DeleteAlarmMuteRule ("Amazon CloudWatch API
Reference").
*/

use nightbell_core::mute::{MuteRule, MuteStatus, TIMEZONE_DEFAULT};
use nightbell_core::time::Timestamp;
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::cloudwatch::{invalid_token, missing, no, time, validation};
use super::error::ApiError;
use super::page::{Page, page};
use super::tags::{self, Tag};
use crate::manage::{Refusal, mutes};

/// Mute rules of one page where the request does not say.
const PAGE_DEFAULT: usize = 50;
/// Mute rules of one page at most.
const PAGE_MAX: usize = 100;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    schedule: Schedule,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Schedule {
    expression: String,
    duration: String,
    timezone: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MuteTargets {
    #[serde(default, deserialize_with = "super::nullable")]
    alarm_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutAlarmMuteRuleRequest {
    name: Option<String>,
    description: Option<String>,
    rule: Option<Rule>,
    #[serde(default, deserialize_with = "super::nullable")]
    mute_targets: MuteTargets,
    start_date: Option<Time>,
    expire_date: Option<Time>,
    #[serde(default, deserialize_with = "super::nullable")]
    tags: Vec<Tag>,
}

pub(super) async fn put_alarm_mute_rule(cx: Cx, request: PutAlarmMuteRuleRequest) -> Result<(), ApiError> {
    let name = request.name.ok_or_else(|| missing("Name"))?;
    let tags = tags::read(request.tags).map_err(no)?;
    let schedule = request.rule.ok_or_else(|| missing("Rule"))?.schedule;
    let rule = MuteRule {
        region: cx.region.clone(),
        arn: mutes::arn(&cx.region, &cx.app.account, &name),
        name,
        description: request.description,
        expression: schedule.expression,
        duration: schedule.duration,
        timezone: schedule.timezone.unwrap_or_else(|| TIMEZONE_DEFAULT.to_owned()),
        alarm_names: request.mute_targets.alarm_names,
        start: request.start_date.map(|at| Timestamp::from_millis(at.0)),
        expire: request.expire_date.map(|at| Timestamp::from_millis(at.0)),
        updated: cx.now,
    };
    let position = mutes::put(&cx.app.records, &rule, &tags, cx.now).map_err(no)?;
    cx.judged(position).await;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AlarmMuteRuleRequest {
    alarm_mute_rule_name: Option<String>,
}

pub(super) async fn delete_alarm_mute_rule(cx: Cx, request: AlarmMuteRuleRequest) -> Result<(), ApiError> {
    let name = request.alarm_mute_rule_name.ok_or_else(|| missing("AlarmMuteRuleName"))?;
    let position = mutes::delete(&cx.app.records, &cx.region, &name, cx.now).map_err(no)?;
    cx.judged(position).await;
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetAlarmMuteRuleResponse {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    rule: Rule,
    mute_targets: MuteTargets,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_date: Option<Time>,
    alarm_mute_rule_arn: String,
    status: &'static str,
    mute_type: &'static str,
    last_updated_timestamp: Time,
}

/// What a list says of a rule.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    alarm_mute_rule_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_date: Option<Time>,
    status: &'static str,
    mute_type: &'static str,
    last_updated_timestamp: Time,
}

/// A rule and where it stands now.
fn stands(rule: &MuteRule, now: Timestamp) -> Result<(MuteStatus, Summary), ApiError> {
    let schedule = rule.schedule().map_err(|error| no(Refusal::Alarm(error)))?;
    let status = schedule.status(now);
    let summary = Summary {
        alarm_mute_rule_arn: rule.arn.clone(),
        expire_date: rule.expire.map(time),
        status: status.name(),
        mute_type: schedule.mute_type().name(),
        last_updated_timestamp: time(rule.updated),
    };
    Ok((status, summary))
}

pub(super) async fn get_alarm_mute_rule(
    cx: Cx,
    request: AlarmMuteRuleRequest,
) -> Result<GetAlarmMuteRuleResponse, ApiError> {
    let name = request.alarm_mute_rule_name.ok_or_else(|| missing("AlarmMuteRuleName"))?;
    let rule = mutes::find(&cx.app.records, &cx.region, &name).map_err(no)?;
    let (_, summary) = stands(&rule, cx.now)?;
    let schedule =
        Schedule { expression: rule.expression, duration: rule.duration, timezone: Some(rule.timezone) };
    Ok(GetAlarmMuteRuleResponse {
        name: rule.name,
        description: rule.description,
        rule: Rule { schedule },
        mute_targets: MuteTargets { alarm_names: rule.alarm_names },
        start_date: rule.start.map(time),
        expire_date: summary.expire_date,
        alarm_mute_rule_arn: summary.alarm_mute_rule_arn,
        status: summary.status,
        mute_type: summary.mute_type,
        last_updated_timestamp: summary.last_updated_timestamp,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAlarmMuteRulesRequest {
    alarm_name: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    statuses: Vec<String>,
    max_records: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAlarmMuteRulesResponse {
    alarm_mute_rule_summaries: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) async fn list_alarm_mute_rules(
    cx: Cx,
    request: ListAlarmMuteRulesRequest,
) -> Result<ListAlarmMuteRulesResponse, ApiError> {
    let known = [MuteStatus::Scheduled, MuteStatus::Active, MuteStatus::Expired].map(MuteStatus::name);
    if let Some(other) = request.statuses.iter().find(|status| !known.contains(&status.as_str())) {
        return Err(validation(format!(
            "1 validation error detected: Value '{other}' at 'statuses' failed to satisfy constraint: Member must satisfy enum value set: {known:?}"
        )));
    }
    let rules = mutes::list(&cx.app.records, &cx.region).map_err(no)?;
    let mut found = Vec::new();
    for rule in rules {
        let named = request.alarm_name.as_ref().is_none_or(|name| rule.names(name));
        let (status, summary) = stands(&rule, cx.now)?;
        let asked = request.statuses.is_empty() || request.statuses.iter().any(|name| name == status.name());
        if named && asked {
            found.push((rule.name, summary));
        }
    }
    let bounds = Page {
        limit: request.max_records,
        token: request.next_token,
        default: PAGE_DEFAULT,
        max: PAGE_MAX,
        descending: false,
    };
    let (shown, next_token) = page(found, &bounds, |(name, _)| name).map_err(invalid_token)?;
    let alarm_mute_rule_summaries = shown.into_iter().map(|(_, summary)| summary).collect();
    Ok(ListAlarmMuteRulesResponse { alarm_mute_rule_summaries, next_token })
}
