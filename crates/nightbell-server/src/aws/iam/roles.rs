/*!
Roles.
*/

use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::super::Cx;
use super::{Boundary, Tag, TagsResponse, all_tags, encoded, iam, need, paged, shown_tags, tags, time};
use crate::manage::iam::identities::NewIdentity;
use crate::manage::iam::{IamError, Identity, Kind, MAX_SESSION_SECONDS, Trust};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct Role {
    path: String,
    role_name: String,
    role_id: String,
    arn: String,
    create_date: Time,
    assume_role_policy_document: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    max_session_duration: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<Boundary>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
}

impl Role {
    fn of(cx: &Cx, role: Identity) -> Self {
        let arn = role.arn(&cx.app.account);
        let boundary = Boundary::of(role.boundary.as_ref());
        let tags = shown_tags(&role.tags);
        let (document, seconds, description) = match role.trust {
            Some(trust) => (trust.document, trust.max_session_seconds, trust.description),
            None => (String::new(), MAX_SESSION_SECONDS.0, None),
        };
        Self {
            path: role.path,
            role_name: role.name,
            role_id: role.id,
            arn,
            create_date: time(role.created),
            assume_role_policy_document: encoded(&document),
            description,
            max_session_duration: seconds,
            permissions_boundary: boundary,
            tags,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct RoleResponse {
    role: Role,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct CreateRoleRequest {
    role_name: Option<String>,
    path: Option<String>,
    assume_role_policy_document: Option<String>,
    description: Option<String>,
    max_session_duration: Option<i64>,
    permissions_boundary: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tags: Vec<Tag>,
}

pub(in crate::aws) async fn create_role(
    cx: Cx,
    request: CreateRoleRequest,
) -> Result<RoleResponse, IamError> {
    let trust = Trust {
        document: need(request.assume_role_policy_document, "assumeRolePolicyDocument")?,
        max_session_seconds: request.max_session_duration.unwrap_or(MAX_SESSION_SECONDS.0),
        description: request.description,
    };
    let new = NewIdentity {
        name: need(request.role_name, "roleName")?,
        path: request.path,
        tags: tags(request.tags),
        boundary: request.permissions_boundary,
        trust: Some(trust),
    };
    let role = iam(&cx).create(Kind::Role, new, cx.now)?;
    Ok(RoleResponse { role: Role::of(&cx, role) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct RoleRequest {
    role_name: Option<String>,
}

impl RoleRequest {
    fn name(self) -> Result<String, IamError> {
        need(self.role_name, "roleName")
    }
}

pub(in crate::aws) async fn get_role(cx: Cx, request: RoleRequest) -> Result<RoleResponse, IamError> {
    let role = iam(&cx).identity(Kind::Role, &request.name()?)?;
    Ok(RoleResponse { role: Role::of(&cx, role) })
}

pub(in crate::aws) async fn delete_role(cx: Cx, request: RoleRequest) -> Result<(), IamError> {
    iam(&cx).delete(Kind::Role, &request.name()?)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListRolesRequest {
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListRolesResponse {
    roles: Vec<Role>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

pub(in crate::aws) async fn list_roles(
    cx: Cx,
    request: ListRolesRequest,
) -> Result<ListRolesResponse, IamError> {
    let all = iam(&cx).identities(Kind::Role, request.path_prefix.as_deref().unwrap_or("/"))?;
    let (page, marker) = paged(all, request.marker, request.max_items, |role| &role.name)?;
    let roles = page.into_iter().map(|role| Role { tags: Vec::new(), ..Role::of(&cx, role) }).collect();
    Ok(ListRolesResponse { roles, is_truncated: marker.is_some(), marker })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct UpdateRoleRequest {
    role_name: Option<String>,
    description: Option<String>,
    max_session_duration: Option<i64>,
}

#[derive(Serialize)]
pub(in crate::aws) struct UpdateRoleResponse {}

pub(in crate::aws) async fn update_role(
    cx: Cx,
    request: UpdateRoleRequest,
) -> Result<UpdateRoleResponse, IamError> {
    let UpdateRoleRequest { role_name, description, max_session_duration } = request;
    iam(&cx).change_trust(&need(role_name, "roleName")?, |trust| {
        trust.description = description.or(trust.description.take());
        trust.max_session_seconds = max_session_duration.unwrap_or(MAX_SESSION_SECONDS.0);
    })?;
    Ok(UpdateRoleResponse {})
}

pub(in crate::aws) async fn update_role_description(
    cx: Cx,
    request: UpdateRoleRequest,
) -> Result<RoleResponse, IamError> {
    let name = need(request.role_name, "roleName")?;
    let description = need(request.description, "description")?;
    iam(&cx).change_trust(&name, |trust| trust.description = Some(description))?;
    let role = iam(&cx).identity(Kind::Role, &name)?;
    Ok(RoleResponse { role: Role::of(&cx, role) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct UpdateAssumeRolePolicyRequest {
    role_name: Option<String>,
    policy_document: Option<String>,
}

pub(in crate::aws) async fn update_assume_role_policy(
    cx: Cx,
    request: UpdateAssumeRolePolicyRequest,
) -> Result<(), IamError> {
    let document = need(request.policy_document, "policyDocument")?;
    iam(&cx).change_trust(&need(request.role_name, "roleName")?, |trust| trust.document = document)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct TagRoleRequest {
    role_name: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tags: Vec<Tag>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tag_keys: Vec<String>,
}

pub(in crate::aws) async fn tag_role(cx: Cx, request: TagRoleRequest) -> Result<(), IamError> {
    iam(&cx).tag(Kind::Role, &need(request.role_name, "roleName")?, tags(request.tags))
}

pub(in crate::aws) async fn untag_role(cx: Cx, request: TagRoleRequest) -> Result<(), IamError> {
    iam(&cx).untag(Kind::Role, &need(request.role_name, "roleName")?, &request.tag_keys)
}

pub(in crate::aws) async fn list_role_tags(cx: Cx, request: RoleRequest) -> Result<TagsResponse, IamError> {
    Ok(all_tags(&iam(&cx).identity(Kind::Role, &request.name()?)?.tags))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListInstanceProfilesForRoleResponse {
    instance_profiles: [(); 0],
    is_truncated: bool,
}

pub(in crate::aws) async fn list_instance_profiles_for_role(
    cx: Cx,
    request: RoleRequest,
) -> Result<ListInstanceProfilesForRoleResponse, IamError> {
    iam(&cx).identity(Kind::Role, &request.name()?)?;
    Ok(ListInstanceProfilesForRoleResponse { instance_profiles: [], is_truncated: false })
}
