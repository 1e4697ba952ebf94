/*!
What operations of CloudFormation demand. What a stack does inside is asked for its caller, and judged there.
*/

use serde::Deserialize;

use super::{Cx, Demand, Demands};
use crate::stacks::actor::SERVICE;

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Names {
    stack_name: Option<String>,
    change_set_name: Option<String>,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
}

pub(super) fn demands(cx: &Cx, operation: &str, names: &Names) -> Option<Demands> {
    let action = format!("cloudformation:{operation}");
    let mut demands = match operation {
        "CreateStack"
        | "UpdateStack"
        | "DeleteStack"
        | "DescribeStacks"
        | "DescribeStackEvents"
        | "DescribeStackResource"
        | "DescribeStackResources"
        | "ListStackResources"
        | "GetTemplate"
        | "GetStackPolicy"
        | "ContinueUpdateRollback"
        | "UpdateTerminationProtection"
        | "CreateChangeSet"
        | "DescribeChangeSet"
        | "ExecuteChangeSet"
        | "DeleteChangeSet"
        | "ListChangeSets" => match (&names.stack_name, &names.change_set_name) {
            (Some(name), _) if name.starts_with("arn:") => vec![Demand::of(action, vec![name.clone()])],
            (Some(name), _) => {
                let arn = format!("arn:aws:cloudformation:{}:{}:stack/{name}/*", cx.region, cx.app.account);
                vec![Demand::of(action, vec![arn])]
            }
            // A change set's own ARN says no stack.
            (None, _) => vec![Demand::anywhere(action)],
        },
        "ListStacks" | "ValidateTemplate" | "GetTemplateSummary" => vec![Demand::anywhere(action)],
        _ => return None,
    };
    // Whoever gives a stack a role acts in that role.
    demands.extend(names.role_arn.as_deref().map(|role| Demand::pass_role(role, SERVICE)));
    Some(demands)
}
