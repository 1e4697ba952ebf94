/*!
Tags of parameters ("AddTagsToResource", "AWS Systems Manager API Reference").
*/

use serde::{Deserialize, Serialize};

use super::{Done, named, need, no};
use crate::aws::Cx;
use crate::aws::error::ApiError;
use crate::aws::tags::{self as wire_tags, Tag};
use crate::manage::parameters::{self, ParameterRefusal};
use crate::manage::{Refusal, Resource, tags};

/// Name and ARN of the parameter that a request is about.
fn resource(cx: &Cx, kind: Option<String>, id: Option<String>) -> Result<(String, String), ApiError> {
    let kind = need(kind, "resourceType")?;
    if kind != "Parameter" {
        let shown: String = kind.chars().take(100).collect();
        let text = format!("{shown} is not a valid resource type here. Valid resource types are: Parameter.");
        return Err(ApiError::sender("InvalidResourceType", text));
    }
    let (name, _) = named(cx, &need(id, "resourceId")?).map_err(|_| unknown())?;
    let arn = parameters::arn(&cx.region, &cx.app.account, &name);
    Ok((name, arn))
}

fn unknown() -> ApiError {
    let text = "The resource ID is not valid. Verify that you entered the correct ID and try again.";
    ApiError::sender("InvalidResourceId", text)
}

/// Whether the parameter is there.
fn there(cx: &Cx, name: &str) -> Result<(), Refusal> {
    match parameters::find(&cx.app.records, &cx.region, name) {
        Ok(_) => Ok(()),
        Err(ParameterRefusal::Other(refusal)) => Err(refusal),
        Err(_) => Err(Refusal::Missing(Resource::Parameter)),
    }
}

fn refuse(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Missing(_) => unknown(),
        other => no(other.into()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct AddTagsToResourceRequest {
    resource_type: Option<String>,
    resource_id: Option<String>,
    tags: Option<Vec<Tag>>,
}

pub(in crate::aws) async fn add_tags_to_resource(
    cx: Cx,
    request: AddTagsToResourceRequest,
) -> Result<Done, ApiError> {
    let (name, arn) = resource(&cx, request.resource_type, request.resource_id)?;
    let given = wire_tags::read(need(request.tags, "tags")?).map_err(refuse)?;
    tags::set(&cx.app.records, &arn, given, || there(&cx, &name)).map_err(refuse)?;
    Ok(Done {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct RemoveTagsFromResourceRequest {
    resource_type: Option<String>,
    resource_id: Option<String>,
    tag_keys: Option<Vec<String>>,
}

pub(in crate::aws) async fn remove_tags_from_resource(
    cx: Cx,
    request: RemoveTagsFromResourceRequest,
) -> Result<Done, ApiError> {
    let (name, arn) = resource(&cx, request.resource_type, request.resource_id)?;
    let keys = need(request.tag_keys, "tagKeys")?;
    tags::unset(&cx.app.records, &arn, &keys, || there(&cx, &name)).map_err(refuse)?;
    Ok(Done {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListTagsForResourceRequest {
    resource_type: Option<String>,
    resource_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct TagListResponse {
    tag_list: Vec<Tag>,
}

pub(in crate::aws) async fn list_tags_for_resource(
    cx: Cx,
    request: ListTagsForResourceRequest,
) -> Result<TagListResponse, ApiError> {
    let (name, arn) = resource(&cx, request.resource_type, request.resource_id)?;
    there(&cx, &name).map_err(refuse)?;
    let found = tags::of(&cx.app.records, &arn).map_err(|failure| no(failure.into()))?;
    Ok(TagListResponse { tag_list: wire_tags::shown(found) })
}
