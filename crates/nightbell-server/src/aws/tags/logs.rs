/*!
Tags of log groups, by ARN and, as older clients ask, by name ("CloudWatch Logs API Reference").
*/

use nightbell_core::event::Group;
use serde::{Deserialize, Serialize};

use crate::aws::Cx;
use crate::aws::error::{ApiError, refused};
use crate::aws::logs::need;
use crate::aws::service::Service;
use crate::manage::tags::Tags;
use crate::manage::{Refusal, groups};

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Logs, refusal)
}

/// The log group of an ARN, which may end with `:*`.
fn group_of(cx: &Cx, arn: Option<String>) -> Result<Group, ApiError> {
    let arn = need(arn, "resourceArn")?;
    let name = match super::parts(&arn) {
        Some(["arn", "aws", "logs", region, account, resource]) => {
            let ours = region == cx.region && account == cx.app.account;
            resource
                .strip_prefix("log-group:")
                .filter(|_| ours)
                .map(|name| name.strip_suffix(":*").unwrap_or(name))
        }
        _ => None,
    };
    let wanted = format!("arn:aws:logs:{}:{}:log-group:NAME", cx.region, cx.app.account);
    let text =
        format!("The specified resourceArn is not that of a log group of this account and region: {wanted}");
    name.filter(|name| !name.is_empty())
        .map(|name| cx.group(name))
        .ok_or_else(|| ApiError::sender("InvalidParameterException", text))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::aws) struct TagResourceRequest {
    resource_arn: Option<String>,
    tags: Option<Tags>,
}

pub(in crate::aws) async fn tag_resource(cx: Cx, request: TagResourceRequest) -> Result<(), ApiError> {
    let group = group_of(&cx, request.resource_arn)?;
    groups::tag(&cx.app.records, &group, need(request.tags, "tags")?).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::aws) struct UntagResourceRequest {
    resource_arn: Option<String>,
    tag_keys: Option<Vec<String>>,
}

pub(in crate::aws) async fn untag_resource(cx: Cx, request: UntagResourceRequest) -> Result<(), ApiError> {
    let group = group_of(&cx, request.resource_arn)?;
    groups::untag(&cx.app.records, &group, &need(request.tag_keys, "tagKeys")?).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::aws) struct ListTagsForResourceRequest {
    resource_arn: Option<String>,
}

#[derive(Serialize)]
pub(in crate::aws) struct TagsResponse {
    tags: Tags,
}

pub(in crate::aws) async fn list_tags_for_resource(
    cx: Cx,
    request: ListTagsForResourceRequest,
) -> Result<TagsResponse, ApiError> {
    let group = group_of(&cx, request.resource_arn)?;
    let record = groups::find(&cx.app.records, &group).map_err(no)?;
    Ok(TagsResponse { tags: record.tags })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::aws) struct TagLogGroupRequest {
    log_group_name: Option<String>,
    tags: Option<Tags>,
}

pub(in crate::aws) async fn tag_log_group(cx: Cx, request: TagLogGroupRequest) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    groups::tag(&cx.app.records, &group, need(request.tags, "tags")?).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::aws) struct UntagLogGroupRequest {
    log_group_name: Option<String>,
    tags: Option<Vec<String>>,
}

pub(in crate::aws) async fn untag_log_group(cx: Cx, request: UntagLogGroupRequest) -> Result<(), ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    groups::untag(&cx.app.records, &group, &need(request.tags, "tags")?).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::aws) struct ListTagsLogGroupRequest {
    log_group_name: Option<String>,
}

pub(in crate::aws) async fn list_tags_log_group(
    cx: Cx,
    request: ListTagsLogGroupRequest,
) -> Result<TagsResponse, ApiError> {
    let group = cx.group(&need(request.log_group_name, "logGroupName")?);
    let record = groups::find(&cx.app.records, &group).map_err(no)?;
    Ok(TagsResponse { tags: record.tags })
}
