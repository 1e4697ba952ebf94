/*!
What operations of CloudFormation demand. What a stack does inside is asked for its caller, and judged there.
*/

use serde::Deserialize;

use super::{Cx, Demand, Demands};

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Names {
    stack_name: Option<String>,
    change_set_name: Option<String>,
}

pub(super) fn demands(cx: &Cx, operation: &str, names: &Names) -> Option<Demands> {
    let action = format!("cloudformation:{operation}");
    Some(match operation {
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
    })
}
