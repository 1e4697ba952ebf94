/*!
What operations of Lambda demand. A function is named by its name, its ARN or a part of that, each with a version or not.
*/

use crate::functions::SERVICE;
use serde::Deserialize;

use super::{Cx, Demand, Demands};

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Names {
    function_name: Option<String>,
    #[serde(alias = "ResourceArn", alias = "ARN")]
    resource: Option<String>,
    qualifier: Option<String>,
    role: Option<String>,
}

pub(super) fn demands(cx: &Cx, operation: &str, names: &Names) -> Option<Demands> {
    // Two operations have an action of another name.
    let action = match operation {
        "Invoke" | "InvokeAsync" => "lambda:InvokeFunction".to_owned(),
        _ => format!("lambda:{operation}"),
    };
    let of = |name: &Option<String>| match name {
        Some(name) => function(cx, name, names.qualifier.as_deref())
            .into_iter()
            .map(|arns| Demand::of(action.clone(), arns))
            .collect(),
        None => vec![Demand::anywhere(action.clone())],
    };
    Some(match operation {
        "CreateFunction" | "UpdateFunctionConfiguration" => {
            let mut demands: Demands = of(&names.function_name);
            let role = names.role.as_deref();
            demands.extend(role.map(|role| Demand::pass_role(role, SERVICE)));
            demands
        }
        "GetFunction"
        | "DeleteFunction"
        | "UpdateFunctionCode"
        | "GetFunctionConfiguration"
        | "Invoke"
        | "InvokeAsync"
        | "ListVersionsByFunction"
        | "PublishVersion"
        | "GetFunctionCodeSigningConfig"
        | "AddPermission"
        | "RemovePermission"
        | "GetPolicy"
        | "PutFunctionConcurrency"
        | "GetFunctionConcurrency"
        | "DeleteFunctionConcurrency"
        | "PutFunctionEventInvokeConfig"
        | "GetFunctionEventInvokeConfig"
        | "UpdateFunctionEventInvokeConfig"
        | "DeleteFunctionEventInvokeConfig"
        | "GetRuntimeManagementConfig"
        | "ListAliases"
        | "GetFunctionUrlConfig"
        | "GetFunctionRecursionConfig" => of(&names.function_name),
        "TagResource" | "UntagResource" | "ListTags" => of(&names.resource),
        "ListFunctions" | "ListEventSourceMappings" | "GetAccountSettings" | "ListLayers" => {
            vec![Demand::anywhere(action)]
        }
        _ => return None,
    })
}

/// The names of a function: of the one that is meant here, and of the one that an ARN itself says where that differs. Each
/// is the function alone and, where a version or alias is named, with that.
fn function(cx: &Cx, given: &str, qualifier: Option<&str>) -> Vec<Vec<String>> {
    let (base, rest) = match given.split_once(":function:") {
        Some((base, rest)) => (Some(base), rest),
        None => (None, given.strip_prefix("function:").unwrap_or(given)),
    };
    let (name, said) = rest.split_once(':').map_or((rest, None), |(name, said)| (name, Some(said)));
    let named = |base: &str| {
        let plain = format!("{base}:function:{name}");
        let qualified: Vec<String> =
            [said, qualifier].into_iter().flatten().map(|end| format!("{plain}:{end}")).collect();
        [vec![plain], qualified].concat()
    };
    let here = format!("arn:aws:lambda:{}:{}", cx.region, cx.app.account);
    let elsewhere = base.filter(|base| base.starts_with("arn:") && *base != here);
    std::iter::once(named(&here)).chain(elsewhere.map(named)).collect()
}
