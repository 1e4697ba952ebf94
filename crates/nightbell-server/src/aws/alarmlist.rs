/*!
DescribeAlarms ("Amazon CloudWatch API Reference"): metric and composite alarms, by name, and how they hang together.
*/

use std::collections::BTreeSet;

use nightbell_core::alarm::composite::{CompositeAlarm, CompositeRuntime};
use nightbell_core::alarm::{MetricAlarm, State};
use nightbell_core::watch::Runtime;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::cloudwatch::{NAMES_MAX, invalid_token, named, no, validation};
use super::entry::{self, AlarmEntry};
use super::error::ApiError;
use super::page::{Page, page};
use crate::manage::{Refusal, alarms, composites};

/// Alarms of one page where the request does not say.
const PAGE_DEFAULT: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmsRequest {
    #[serde(default, deserialize_with = "super::nullable")]
    alarm_names: Vec<String>,
    alarm_name_prefix: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    alarm_types: Vec<String>,
    children_of_alarm_name: Option<String>,
    parents_of_alarm_name: Option<String>,
    state_value: Option<String>,
    action_prefix: Option<String>,
    max_records: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmsResponse {
    composite_alarms: Vec<AlarmEntry>,
    metric_alarms: Vec<AlarmEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Whether a request that names these types, or none, asks for alarms of `wanted`. Without any, it asks for metric alarms.
pub(super) fn asks_for(types: &[String], wanted: &str) -> bool {
    if types.is_empty() { wanted == METRIC } else { types.iter().any(|name| name == wanted) }
}

pub(super) const METRIC: &str = "MetricAlarm";
pub(super) const COMPOSITE: &str = "CompositeAlarm";

/// An alarm of either kind that was found.
enum Found {
    Metric(MetricAlarm, Runtime),
    Composite(CompositeAlarm, CompositeRuntime),
}

impl Found {
    fn name(&self) -> &String {
        match self {
            Self::Metric(alarm, _) => &alarm.name,
            Self::Composite(alarm, _) => &alarm.name,
        }
    }

    fn arn(&self) -> &str {
        match self {
            Self::Metric(alarm, _) => &alarm.arn,
            Self::Composite(alarm, _) => &alarm.arn,
        }
    }

    fn state(&self) -> State {
        match self {
            Self::Metric(_, runtime) => runtime.state,
            Self::Composite(_, runtime) => runtime.state,
        }
    }

    fn acts(&self, prefix: &str) -> bool {
        let actions = match self {
            Self::Metric(alarm, _) => {
                [&alarm.ok_actions, &alarm.alarm_actions, &alarm.insufficient_data_actions]
            }
            Self::Composite(alarm, _) => {
                [&alarm.ok_actions, &alarm.alarm_actions, &alarm.insufficient_data_actions]
            }
        };
        actions.into_iter().flatten().any(|action| action.starts_with(prefix))
    }
}

pub(super) async fn describe_alarms(
    cx: Cx,
    request: DescribeAlarmsRequest,
) -> Result<DescribeAlarmsResponse, ApiError> {
    check(&request)?;
    let related = related(&cx, &request).map_err(no)?;
    let state: Option<State> = named(request.state_value, "StateValue")?;
    let prefix = request.alarm_name_prefix.as_deref().unwrap_or_default();
    let asked = |kind: &str| related.is_some() || asks_for(&request.alarm_types, kind);
    let mut found: Vec<Found> = Vec::new();
    if asked(METRIC) {
        let all = alarms::list(&cx.app.records, &cx.region, prefix).map_err(no)?;
        found.extend(all.into_iter().map(|(alarm, runtime)| Found::Metric(alarm, runtime)));
    }
    if asked(COMPOSITE) {
        let all = composites::list(&cx.app.records, &cx.region, prefix).map_err(no)?;
        found.extend(all.into_iter().map(|(alarm, runtime)| Found::Composite(alarm, runtime)));
    }
    found.retain(|one| {
        (request.alarm_names.is_empty() || request.alarm_names.contains(one.name()))
            && related.as_ref().is_none_or(|arns| arns.contains(one.arn()))
            && state.is_none_or(|state| one.state() == state)
            && request.action_prefix.as_ref().is_none_or(|prefix| one.acts(prefix))
    });
    found.sort_by(|a, b| a.name().cmp(b.name()));
    let bounds = Page {
        limit: request.max_records,
        token: request.next_token,
        default: PAGE_DEFAULT,
        max: NAMES_MAX,
        descending: false,
    };
    let (shown, next_token) = page(found, &bounds, Found::name).map_err(invalid_token)?;
    let (mut composite_alarms, mut metric_alarms) = (Vec::new(), Vec::new());
    for one in shown {
        match one {
            Found::Metric(alarm, runtime) => metric_alarms.push(entry::of_metric(alarm, runtime)),
            Found::Composite(alarm, runtime) => {
                let suppressor = composites::suppressor_given(&cx.app.records, &alarm);
                let suppressor = suppressor.map_err(|failure| no(failure.into()))?;
                composite_alarms.push(entry::of_composite(alarm, runtime, suppressor));
            }
        }
    }
    Ok(DescribeAlarmsResponse { composite_alarms, metric_alarms, next_token })
}

fn check(request: &DescribeAlarmsRequest) -> Result<(), ApiError> {
    if !request.alarm_names.is_empty() && request.alarm_name_prefix.is_some() {
        let text = "AlarmNames and AlarmNamePrefix are mutually exclusive.";
        return Err(ApiError::sender("InvalidParameterCombination", text));
    }
    let related = [&request.children_of_alarm_name, &request.parents_of_alarm_name];
    let others = [
        !request.alarm_names.is_empty(),
        request.alarm_name_prefix.is_some(),
        !request.alarm_types.is_empty(),
        request.state_value.is_some(),
        request.action_prefix.is_some(),
    ];
    let given = related.into_iter().flatten().count();
    if given > 1 || given == 1 && others.contains(&true) {
        return Err(validation(
            "ChildrenOfAlarmName and ParentsOfAlarmName go with no other parameter but MaxRecords and NextToken",
        ));
    }
    Ok(())
}

/// ARNs of the children or of the parents that were asked for; nothing where neither was. What is not there has neither.
fn related(cx: &Cx, request: &DescribeAlarmsRequest) -> Result<Option<BTreeSet<String>>, Refusal> {
    let records = &cx.app.records;
    if let Some(name) = &request.children_of_alarm_name {
        return match composites::find(records, &cx.region, name) {
            Ok(alarm) => Ok(Some(composites::children(&alarm))),
            Err(Refusal::Missing(_)) => Ok(Some(BTreeSet::new())),
            Err(other) => Err(other),
        };
    }
    let Some(name) = &request.parents_of_alarm_name else { return Ok(None) };
    let child = alarms::arn(&cx.region, &cx.app.account, name);
    let all = composites::list(records, &cx.region, "")?;
    let parents = all.into_iter().filter(|(alarm, _)| composites::children(alarm).contains(&child));
    Ok(Some(parents.map(|(alarm, _)| alarm.arn).collect()))
}
