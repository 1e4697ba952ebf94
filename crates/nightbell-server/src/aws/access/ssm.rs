/*!
What operations of Systems Manager on parameters demand.
*/

use serde::Deserialize;

use super::{Cx, Demand, Demands, texts};

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Names {
    name: Option<String>,
    #[serde(deserialize_with = "texts")]
    names: Vec<String>,
    path: Option<String>,
    resource_id: Option<String>,
}

pub(super) fn demands(cx: &Cx, operation: &str, names: &Names) -> Option<Demands> {
    let action = format!("ssm:{operation}");
    let of = |name: Option<&str>| -> Demands {
        match name {
            Some(name) => parameters(cx, name).map(|arn| Demand::of(action.clone(), vec![arn])).collect(),
            None => vec![Demand::anywhere(action.clone())],
        }
    };
    Some(match operation {
        "PutParameter"
        | "GetParameter"
        | "DeleteParameter"
        | "GetParameterHistory"
        | "LabelParameterVersion"
        | "UnlabelParameterVersion" => of(names.name.as_deref()),
        "GetParameters" | "DeleteParameters" if !names.names.is_empty() => {
            names.names.iter().flat_map(|name| of(Some(name))).collect()
        }
        "GetParameters" | "DeleteParameters" => of(None),
        "GetParametersByPath" => of(names.path.as_deref()),
        "AddTagsToResource" | "RemoveTagsFromResource" | "ListTagsForResource" => {
            of(names.resource_id.as_deref())
        }
        "DescribeParameters" => of(None),
        _ => return None,
    })
}

/// The ARNs of a parameter, or of what stands below a path: of the one that is meant here, and of the one that an ARN itself
/// says where that differs. Names with and without a slash at the start are one.
fn parameters(cx: &Cx, given: &str) -> impl Iterator<Item = String> {
    let (base, name) = match given.split_once(":parameter/") {
        Some((base, name)) if base.starts_with("arn:") => (Some(base), name),
        _ => (None, given),
    };
    // A version or label may follow the name.
    let name = name.split(':').next().unwrap_or(name).trim_matches('/');
    let here = format!("arn:aws:ssm:{}:{}", cx.region, cx.app.account);
    let elsewhere = base.filter(|base| *base != here).map(|base| format!("{base}:parameter/{name}"));
    std::iter::once(format!("{here}:parameter/{name}")).chain(elsewhere)
}
