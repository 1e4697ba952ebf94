/*!
DescribeAlarmContributors ("Amazon CloudWatch API Reference"): who or what an alarm is about.
*/

use std::collections::BTreeMap;

use nightbell_core::alarm::{Contributor, State};
use nightbell_core::watch::Runtime;
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::cloudwatch::{invalid_token, missing, no, time};
use super::error::ApiError;
use super::route::{Page, page};
use crate::manage::alarms;

/// Contributors of one page.
const PAGE_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmContributorsRequest {
    alarm_name: Option<String>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmContributorsResponse {
    alarm_contributors: Vec<AlarmContributor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AlarmContributor {
    contributor_id: String,
    contributor_attributes: BTreeMap<String, String>,
    state_reason: String,
    state_transitioned_timestamp: Time,
}

pub(super) async fn describe_alarm_contributors(
    cx: Cx,
    request: DescribeAlarmContributorsRequest,
) -> Result<DescribeAlarmContributorsResponse, ApiError> {
    let name = request.alarm_name.ok_or_else(|| missing("AlarmName"))?;
    let alarm = alarms::find(&cx.app.records, &cx.region, &name).map_err(no)?;
    let mut found = alarms::contributors(&cx.app.records, &alarm).map_err(no)?;
    found.retain(|(_, runtime)| runtime.state == State::Alarm);
    found.sort_by(|a, b| a.0.id.cmp(&b.0.id));
    let bounds =
        Page { limit: None, token: request.next_token, default: PAGE_MAX, max: PAGE_MAX, descending: false };
    let (shown, next_token) = page(found, &bounds, |(one, _)| &one.id).map_err(invalid_token)?;
    let entry = |(one, runtime): (Contributor, Runtime)| AlarmContributor {
        contributor_id: one.id,
        contributor_attributes: one.attributes.into_iter().collect(),
        state_reason: runtime.reason,
        state_transitioned_timestamp: time(runtime.state_transitioned),
    };
    Ok(DescribeAlarmContributorsResponse {
        alarm_contributors: shown.into_iter().map(entry).collect(),
        next_token,
    })
}
