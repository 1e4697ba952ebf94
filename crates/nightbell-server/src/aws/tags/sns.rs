/*!
Tags of topics ("Amazon SNS API Reference").
*/

use serde::{Deserialize, Serialize};

use super::{Tag, parts};
use crate::aws::Cx;
use crate::aws::error::{ApiError, refused};
use crate::aws::service::Service;
use crate::manage::tags::{self, Tags};
use crate::manage::{Refusal, topics};

/// The refusal of an operation on tags: what is missing has a code of its own here.
fn no(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Missing(_) => {
            ApiError { status: 404, code: "ResourceNotFound", message: "Resource does not exist".into() }
        }
        Refusal::Invalid(text) => invalid(&format!("Tags Reason: {text}")),
        other => refused(Service::Sns, other),
    }
}

fn invalid(text: &str) -> ApiError {
    ApiError::sender("InvalidParameter", format!("Invalid parameter: {text}"))
}

/// The tags of a request.
pub(in crate::aws) fn read(given: Vec<Tag>) -> Result<Tags, ApiError> {
    let tags = super::read(given).map_err(no)?;
    tags::check(&tags).map_err(no)?;
    Ok(tags)
}

/// The topic that a request names.
fn topic(cx: &Cx, arn: Option<String>) -> Result<String, ApiError> {
    let ours = |arn: &String| matches!(parts(arn), Some(["arn", "aws", "sns", _, account, name]) if account == cx.app.account && !name.is_empty());
    arn.filter(ours).ok_or_else(|| invalid("ResourceArn"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct TagResourceRequest {
    resource_arn: Option<String>,
    tags: Option<Vec<Tag>>,
}

/// The answer of operations that have nothing to say.
#[derive(Serialize)]
pub(in crate::aws) struct Done {}

pub(in crate::aws) async fn tag_resource(cx: Cx, request: TagResourceRequest) -> Result<Done, ApiError> {
    let arn = topic(&cx, request.resource_arn)?;
    let given = read(request.tags.ok_or_else(|| invalid("Tags"))?)?;
    let there = || topics::find(&cx.app.records, &arn).map(|_| ());
    tags::set(&cx.app.records, &arn, given, there).map_err(no)?;
    Ok(Done {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct UntagResourceRequest {
    resource_arn: Option<String>,
    tag_keys: Option<Vec<String>>,
}

pub(in crate::aws) async fn untag_resource(cx: Cx, request: UntagResourceRequest) -> Result<Done, ApiError> {
    let arn = topic(&cx, request.resource_arn)?;
    let keys = request.tag_keys.ok_or_else(|| invalid("TagKeys"))?;
    let there = || topics::find(&cx.app.records, &arn).map(|_| ());
    tags::unset(&cx.app.records, &arn, &keys, there).map_err(no)?;
    Ok(Done {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListTagsForResourceRequest {
    resource_arn: Option<String>,
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
    let arn = topic(&cx, request.resource_arn)?;
    topics::find(&cx.app.records, &arn).map_err(no)?;
    let found = tags::of(&cx.app.records, &arn).map_err(|failure| no(failure.into()))?;
    Ok(TagsResponse { tags: super::shown(found) })
}
