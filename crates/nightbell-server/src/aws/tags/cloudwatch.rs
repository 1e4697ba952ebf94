/*!
Tags of alarms, mute rules and dashboards ("Amazon CloudWatch API Reference").
*/

use serde::{Deserialize, Serialize};

use super::{Tag, parts};
use crate::aws::Cx;
use crate::aws::cloudwatch::{missing, no};
use crate::aws::error::ApiError;
use crate::manage::{Refusal, composites, dashboards, mutes, tags};

/// Whether the resource is there.
fn there(cx: &Cx, arn: &str) -> Result<(), Refusal> {
    let records = &cx.app.records;
    let Some(["arn", "aws", "cloudwatch", region, account, resource]) = parts(arn) else {
        return Err(Refusal::Invalid("The parameter ResourceARN is not an ARN of CloudWatch.".into()));
    };
    if let Some(name) =
        resource.strip_prefix("dashboard/").filter(|_| region.is_empty() && account == cx.app.account)
    {
        return dashboards::find(records, name).map(|_| ());
    }
    if account != cx.app.account || region != cx.region {
        let (region, account) = (&cx.region, &cx.app.account);
        let text = format!("The parameter ResourceARN is not of region {region} and account {account}.");
        return Err(Refusal::Invalid(text));
    }
    match resource.split_once(':') {
        Some(("alarm", name)) => composites::find_either(records, region, name).map(|_| ()),
        Some(("alarm-mute-rule", name)) => mutes::find(records, region, name).map(|_| ()),
        _ => Err(Refusal::Invalid(
            "The parameter ResourceARN must name an alarm, an alarm mute rule or a dashboard.".into(),
        )),
    }
}

/// The refusal of an operation on tags: what is missing has a code of its own here.
fn refuse(arn: &str) -> impl FnOnce(Refusal) -> ApiError {
    move |refusal| match refusal {
        Refusal::Missing(_) => ApiError {
            status: 404,
            code: "ResourceNotFoundException",
            message: format!("There is no resource {arn}"),
        },
        other => no(other),
    }
}

#[derive(Deserialize)]
pub(in crate::aws) struct TagResourceRequest {
    #[serde(rename = "ResourceARN")]
    arn: Option<String>,
    #[serde(rename = "Tags")]
    tags: Option<Vec<Tag>>,
}

/// The answer of operations that have nothing to say.
#[derive(Serialize)]
pub(in crate::aws) struct Done {}

pub(in crate::aws) async fn tag_resource(cx: Cx, request: TagResourceRequest) -> Result<Done, ApiError> {
    let arn = request.arn.ok_or_else(|| missing("ResourceARN"))?;
    let given = super::read(request.tags.ok_or_else(|| missing("Tags"))?).map_err(no)?;
    tags::set(&cx.app.records, &arn, given, || there(&cx, &arn)).map_err(refuse(&arn))?;
    Ok(Done {})
}

#[derive(Deserialize)]
pub(in crate::aws) struct UntagResourceRequest {
    #[serde(rename = "ResourceARN")]
    arn: Option<String>,
    #[serde(rename = "TagKeys")]
    keys: Option<Vec<String>>,
}

pub(in crate::aws) async fn untag_resource(cx: Cx, request: UntagResourceRequest) -> Result<Done, ApiError> {
    let arn = request.arn.ok_or_else(|| missing("ResourceARN"))?;
    let keys = request.keys.ok_or_else(|| missing("TagKeys"))?;
    tags::unset(&cx.app.records, &arn, &keys, || there(&cx, &arn)).map_err(refuse(&arn))?;
    Ok(Done {})
}

#[derive(Deserialize)]
pub(in crate::aws) struct ListTagsForResourceRequest {
    #[serde(rename = "ResourceARN")]
    arn: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct TagsResponse {
    tags: Vec<Tag>,
}

pub(in crate::aws) async fn list_tags_for_resource(
    cx: Cx,
    request: ListTagsForResourceRequest,
) -> Result<TagsResponse, ApiError> {
    let arn = request.arn.ok_or_else(|| missing("ResourceARN"))?;
    there(&cx, &arn).map_err(refuse(&arn))?;
    let found = tags::of(&cx.app.records, &arn).map_err(|failure| no(failure.into()))?;
    Ok(TagsResponse { tags: super::shown(found) })
}
