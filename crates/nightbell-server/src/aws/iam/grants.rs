/*!
Policies of users and roles: their own, and managed ones attached to them. Each operation is there for both.
*/

use serde::{Deserialize, Serialize};

use super::super::Cx;
use super::{encoded, iam, need, paged};
use crate::manage::iam::{IamError, Kind};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GrantRequest {
    user_name: Option<String>,
    role_name: Option<String>,
    policy_name: Option<String>,
    policy_document: Option<String>,
    policy_arn: Option<String>,
    permissions_boundary: Option<String>,
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

impl GrantRequest {
    fn name(&self, kind: Kind) -> Result<String, IamError> {
        match kind {
            Kind::User => need(self.user_name.clone(), "userName"),
            Kind::Role => need(self.role_name.clone(), "roleName"),
        }
    }
}

pub(in crate::aws) async fn put(cx: Cx, kind: Kind, request: GrantRequest) -> Result<(), IamError> {
    let name = request.name(kind)?;
    let policy = need(request.policy_name, "policyName")?;
    iam(&cx).put_inline(kind, &name, &policy, need(request.policy_document, "policyDocument")?)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GetPolicyResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_name: Option<String>,
    policy_name: String,
    policy_document: String,
}

pub(in crate::aws) async fn get(
    cx: Cx,
    kind: Kind,
    request: GrantRequest,
) -> Result<GetPolicyResponse, IamError> {
    let name = request.name(kind)?;
    let policy_name = need(request.policy_name, "policyName")?;
    let document = iam(&cx).inline(kind, &name, &policy_name)?;
    let [user_name, role_name] = match kind {
        Kind::User => [Some(name), None],
        Kind::Role => [None, Some(name)],
    };
    Ok(GetPolicyResponse { user_name, role_name, policy_name, policy_document: encoded(&document) })
}

pub(in crate::aws) async fn delete(cx: Cx, kind: Kind, request: GrantRequest) -> Result<(), IamError> {
    let name = request.name(kind)?;
    iam(&cx).delete_inline(kind, &name, &need(request.policy_name, "policyName")?)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListPoliciesResponse {
    policy_names: Vec<String>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

pub(in crate::aws) async fn list(
    cx: Cx,
    kind: Kind,
    request: GrantRequest,
) -> Result<ListPoliciesResponse, IamError> {
    let all = iam(&cx).identity(kind, &request.name(kind)?)?.inline.into_keys().collect();
    let (policy_names, marker) = paged(all, request.marker, request.max_items, |name| name)?;
    Ok(ListPoliciesResponse { policy_names, is_truncated: marker.is_some(), marker })
}

pub(in crate::aws) async fn attach(cx: Cx, kind: Kind, request: GrantRequest) -> Result<(), IamError> {
    let name = request.name(kind)?;
    iam(&cx).attach(kind, &name, &need(request.policy_arn, "policyArn")?)
}

pub(in crate::aws) async fn detach(cx: Cx, kind: Kind, request: GrantRequest) -> Result<(), IamError> {
    let name = request.name(kind)?;
    iam(&cx).detach(kind, &name, &need(request.policy_arn, "policyArn")?)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListAttachedResponse {
    attached_policies: Vec<Attached>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attached {
    policy_name: String,
    policy_arn: String,
}

pub(in crate::aws) async fn list_attached(
    cx: Cx,
    kind: Kind,
    request: GrantRequest,
) -> Result<ListAttachedResponse, IamError> {
    let mut all = iam(&cx).identity(kind, &request.name(kind)?)?.attached;
    if let Some(prefix) = request.path_prefix.as_deref().filter(|prefix| *prefix != "/") {
        all.retain(|arn| arn.split_once(":policy").is_some_and(|(_, path)| path.starts_with(prefix)));
    }
    all.sort_unstable();
    let (page, marker) = paged(all, request.marker, request.max_items, |arn| arn)?;
    let shown = |policy_arn: String| Attached {
        policy_name: policy_arn.rsplit('/').next().unwrap_or_default().to_owned(),
        policy_arn,
    };
    let attached_policies = page.into_iter().map(shown).collect();
    Ok(ListAttachedResponse { attached_policies, is_truncated: marker.is_some(), marker })
}

pub(in crate::aws) async fn bound(cx: Cx, kind: Kind, request: GrantRequest) -> Result<(), IamError> {
    let name = request.name(kind)?;
    let boundary = need(request.permissions_boundary, "permissionsBoundary")?;
    iam(&cx).bound(kind, &name, Some(boundary))
}

pub(in crate::aws) async fn unbound(cx: Cx, kind: Kind, request: GrantRequest) -> Result<(), IamError> {
    iam(&cx).bound(kind, &request.name(kind)?, None)
}
