/*!
DescribeAlarmContributors ("Amazon CloudWatch API Reference"): who or what an alarm is about.

A page goes on after the key that the last one ended with, so that a page costs the same wherever it is.
*/

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nightbell_core::alarm::Contributor;
use nightbell_core::watch::Runtime;
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::cloudwatch::{missing, no, time};
use super::error::ApiError;
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
    let after = request.next_token.map(|token| read_token(&token).ok_or_else(invalid_token)).transpose()?;
    let alarm = alarms::find(&cx.app.records, &cx.region, &name).map_err(no)?;
    let page = alarms::contributors_in_alarm(&cx.app.records, &alarm, after, PAGE_MAX).map_err(no)?;
    let entry = |(one, runtime): (Contributor, Runtime)| AlarmContributor {
        contributor_id: one.id,
        contributor_attributes: one.attributes.into_iter().collect(),
        state_reason: runtime.reason,
        state_transitioned_timestamp: time(runtime.state_transitioned),
    };
    Ok(DescribeAlarmContributorsResponse {
        alarm_contributors: page.found.into_iter().map(entry).collect(),
        next_token: page.next.map(write_token),
    })
}

fn invalid_token() -> ApiError {
    ApiError::sender("InvalidNextToken", "The specified nextToken is invalid.")
}

fn write_token(last: u64) -> String {
    URL_SAFE_NO_PAD.encode(last.to_be_bytes())
}

fn read_token(token: &str) -> Option<u64> {
    URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_and_others_are_refused() {
        for last in [0, 1, u64::MAX] {
            assert_eq!(read_token(&write_token(last)), Some(last));
        }
        for wrong in ["", "%%", "AAAA", &"A".repeat(1_000)] {
            assert_eq!(read_token(wrong), None, "{wrong}");
        }
    }
}
