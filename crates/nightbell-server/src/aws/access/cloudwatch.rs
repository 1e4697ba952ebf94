/*!
What operations of CloudWatch demand.
*/

use serde::Deserialize;

use super::{Cx, Demand, Demands, texts};

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Names {
    alarm_name: Option<String>,
    #[serde(deserialize_with = "texts")]
    alarm_names: Vec<String>,
    alarm_name_prefix: Option<String>,
    children_of_alarm_name: Option<String>,
    parents_of_alarm_name: Option<String>,
    action_prefix: Option<String>,
    alarm_mute_rule_name: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    dashboard_name: Option<String>,
    #[serde(deserialize_with = "texts")]
    dashboard_names: Vec<String>,
    #[serde(rename = "ResourceARN")]
    resource_arn: Option<String>,
}

pub(super) fn demands(cx: &Cx, operation: &str, names: &Names) -> Option<Demands> {
    let action = format!("cloudwatch:{operation}");
    let of = |resource: Option<String>| match resource {
        Some(resource) => Demand::of(action.clone(), vec![resource]),
        None => Demand::anywhere(action.clone()),
    };
    let alarm = |name: &str| regional(cx, "alarm", name);
    Some(match operation {
        "PutMetricAlarm" | "PutCompositeAlarm" | "SetAlarmState" | "DescribeAlarmContributors" => {
            vec![of(names.alarm_name.as_deref().map(alarm))]
        }
        "DeleteAlarms" | "EnableAlarmActions" | "DisableAlarmActions" if !names.alarm_names.is_empty() => {
            names.alarm_names.iter().map(|name| of(Some(alarm(name)))).collect()
        }
        "DeleteAlarms" | "EnableAlarmActions" | "DisableAlarmActions" => vec![of(None)],
        // By names alone it shows no others.
        "DescribeAlarms" if !names.alarm_names.is_empty() && !names.ask_further() => {
            names.alarm_names.iter().map(|name| of(Some(alarm(name)))).collect()
        }
        "DescribeAlarms" => vec![of(Some(alarm("*")))],
        "DescribeAlarmHistory" => vec![of(Some(alarm(names.alarm_name.as_deref().unwrap_or("*"))))],
        "PutAlarmMuteRule" => vec![of(names.name.as_deref().map(|name| mute_rule(cx, name)))],
        "GetAlarmMuteRule" | "DeleteAlarmMuteRule" => {
            vec![of(names.alarm_mute_rule_name.as_deref().map(|name| mute_rule(cx, name)))]
        }
        "PutMetricData" => vec![of(None).with("cloudwatch:namespace", names.namespace.as_deref())],
        "PutDashboard" | "GetDashboard" => {
            vec![of(names.dashboard_name.as_deref().map(|name| dashboard(cx, name)))]
        }
        "DeleteDashboards" if !names.dashboard_names.is_empty() => {
            names.dashboard_names.iter().map(|name| of(Some(dashboard(cx, name)))).collect()
        }
        "TagResource" | "UntagResource" | "ListTagsForResource" => vec![of(names.resource_arn.clone())],
        "DescribeAlarmsForMetric"
        | "ListAlarmMuteRules"
        | "GetMetricStatistics"
        | "GetMetricData"
        | "GetMetricWidgetImage"
        | "ListMetrics"
        | "PutAnomalyDetector"
        | "DescribeAnomalyDetectors"
        | "DeleteAnomalyDetector"
        | "ListDashboards"
        | "DeleteDashboards" => vec![of(None)],
        _ => return None,
    })
}

impl Names {
    fn ask_further(&self) -> bool {
        let further = [
            &self.alarm_name_prefix,
            &self.children_of_alarm_name,
            &self.parents_of_alarm_name,
            &self.action_prefix,
        ];
        further.into_iter().any(Option::is_some)
    }
}

fn mute_rule(cx: &Cx, name: &str) -> String {
    regional(cx, "alarm-mute-rule", name)
}

fn dashboard(cx: &Cx, name: &str) -> String {
    format!("arn:aws:cloudwatch::{}:dashboard/{name}", cx.app.account)
}

fn regional(cx: &Cx, kind: &str, name: &str) -> String {
    format!("arn:aws:cloudwatch:{}:{}:{kind}:{name}", cx.region, cx.app.account)
}
