/*!
What operations of CloudWatch Logs demand. A group is named with and without `:*`, as policies write both.
*/

use serde::Deserialize;

use super::{Cx, Demand, Demands, texts};

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Names {
    log_group_name: Option<String>,
    #[serde(deserialize_with = "texts")]
    log_group_names: Vec<String>,
    log_group_identifier: Option<String>,
    #[serde(deserialize_with = "texts")]
    log_group_identifiers: Vec<String>,
    log_stream_name: Option<String>,
    resource_arn: Option<String>,
    role_arn: Option<String>,
    destination_arn: Option<String>,
}

pub(super) fn demands(cx: &Cx, operation: &str, names: &Names) -> Option<Demands> {
    let action = format!("logs:{operation}");
    Some(match operation {
        "CreateLogGroup"
        | "DeleteLogGroup"
        | "PutRetentionPolicy"
        | "DeleteRetentionPolicy"
        | "PutLogGroupDeletionProtection"
        | "TagLogGroup"
        | "UntagLogGroup"
        | "ListTagsLogGroup"
        | "TagResource"
        | "UntagResource"
        | "ListTagsForResource"
        | "DescribeLogStreams"
        | "FilterLogEvents"
        | "PutMetricFilter"
        | "DeleteMetricFilter"
        | "StartQuery"
        | "StartLiveTail"
        | "DescribeSubscriptionFilters"
        | "DeleteSubscriptionFilter"
        | "GetLogGroupFields" => of_groups(cx, &action, names),
        "PutSubscriptionFilter" => {
            let mut demands = of_groups(cx, &action, names);
            if let Some(arn) = names.destination_arn.as_deref().filter(|arn| arn.contains(":destination:")) {
                demands.push(Demand::of(action, vec![arn.to_owned()]));
            }
            demands
                .extend(names.role_arn.as_deref().map(|role| Demand::pass_role(role, "logs.amazonaws.com")));
            demands
        }
        // These may leave the group out, and then speak of all.
        "DescribeMetricFilters" | "DescribeQueries" if names.groups().next().is_some() => {
            of_groups(cx, &action, names)
        }
        "DescribeLogGroups" | "DescribeMetricFilters" | "DescribeQueries" => {
            vec![Demand::of(action, vec![arn(cx, "") + ":log-stream:"])]
        }
        "CreateLogStream" | "DeleteLogStream" | "PutLogEvents" | "GetLogEvents" => {
            of_streams(cx, &action, names)
        }
        "StopQuery"
        | "GetQueryResults"
        | "GetLogRecord"
        | "TestMetricFilter"
        | "PutQueryDefinition"
        | "DescribeQueryDefinitions"
        | "DeleteQueryDefinition"
        | "PutResourcePolicy"
        | "DescribeResourcePolicies"
        | "DeleteResourcePolicy" => vec![Demand::anywhere(action)],
        _ => return None,
    })
}

impl Names {
    /// The groups, as they are named.
    fn groups(&self) -> impl Iterator<Item = &str> {
        let single = [&self.log_group_name, &self.log_group_identifier, &self.resource_arn];
        let lists = self.log_group_names.iter().chain(&self.log_group_identifiers);
        single.into_iter().flatten().chain(lists).map(String::as_str)
    }
}

fn of_groups(cx: &Cx, action: &str, names: &Names) -> Demands {
    let of_group = |name: &str| {
        let arn = group(cx, name);
        let all = format!("{arn}:*");
        Demand::of(action, vec![arn, all])
    };
    let demands: Demands = names.groups().map(of_group).collect();
    if demands.is_empty() { vec![Demand::anywhere(action)] } else { demands }
}

fn of_streams(cx: &Cx, action: &str, names: &Names) -> Demands {
    let stream = names.log_stream_name.as_deref().unwrap_or_default();
    let of_group = |name: &str| {
        let group = group(cx, name);
        let mut arns = vec![format!("{group}:log-stream:{stream}")];
        if action == "logs:CreateLogStream" {
            // The reference has it on the group.
            arns.extend([format!("{group}:*"), group]);
        }
        Demand::of(action, arns)
    };
    let demands: Demands = names.groups().map(of_group).collect();
    if demands.is_empty() { vec![Demand::anywhere(action)] } else { demands }
}

/// The ARN of a group by its name or by its ARN, without `:*`. That of another account or region stays as it is.
fn group(cx: &Cx, name: &str) -> String {
    let name = name.strip_suffix(":*").unwrap_or(name);
    if name.starts_with("arn:") { name.to_owned() } else { arn(cx, name) }
}

fn arn(cx: &Cx, name: &str) -> String {
    format!("arn:aws:logs:{}:{}:log-group:{name}", cx.region, cx.app.account)
}
