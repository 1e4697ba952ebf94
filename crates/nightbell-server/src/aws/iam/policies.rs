/*!
Managed policies and their versions.
*/

use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::super::Cx;
use super::{Tag, TagsResponse, all_tags, encoded, iam, invalid, need, paged, shown_tags, tags, time};
use crate::manage::iam::policies::{ManagedPolicy, NewPolicy, Version, version_id};
use crate::manage::iam::{IamError, Identity, Kind, aws_managed};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct Policy {
    policy_name: String,
    policy_id: String,
    arn: String,
    path: String,
    default_version_id: String,
    attachment_count: usize,
    permissions_boundary_usage_count: usize,
    is_attachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    create_date: Time,
    update_date: Time,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
}

impl Policy {
    /// `uses` are the attachments, and the users and roles that it limits.
    fn of(arn: String, policy: ManagedPolicy, uses: (usize, usize)) -> Self {
        Self {
            arn,
            policy_name: policy.name,
            policy_id: policy.id,
            path: policy.path,
            default_version_id: version_id(policy.default_version),
            attachment_count: uses.0,
            permissions_boundary_usage_count: uses.1,
            is_attachable: true,
            description: policy.description,
            create_date: time(policy.created),
            update_date: time(policy.updated),
            tags: shown_tags(&policy.tags),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct PolicyResponse {
    policy: Policy,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct CreatePolicyRequest {
    policy_name: Option<String>,
    path: Option<String>,
    policy_document: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tags: Vec<Tag>,
}

pub(in crate::aws) async fn create_policy(
    cx: Cx,
    request: CreatePolicyRequest,
) -> Result<PolicyResponse, IamError> {
    let new = NewPolicy {
        name: need(request.policy_name, "policyName")?,
        path: request.path,
        description: request.description,
        document: need(request.policy_document, "policyDocument")?,
        tags: tags(request.tags),
    };
    let policy = iam(&cx).create_policy(new, cx.now)?;
    Ok(PolicyResponse { policy: Policy::of(policy.arn(&cx.app.account), policy, (0, 0)) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct PolicyRequest {
    policy_arn: Option<String>,
    version_id: Option<String>,
    policy_document: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    set_as_default: bool,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tags: Vec<Tag>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tag_keys: Vec<String>,
    entity_filter: Option<String>,
    policy_usage_filter: Option<String>,
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

impl PolicyRequest {
    fn arn(&self) -> Result<String, IamError> {
        need(self.policy_arn.clone(), "policyArn")
    }

    fn version(&self) -> Result<String, IamError> {
        need(self.version_id.clone(), "versionId")
    }
}

pub(in crate::aws) async fn get_policy(cx: Cx, request: PolicyRequest) -> Result<PolicyResponse, IamError> {
    let arn = request.arn()?;
    let policy = iam(&cx).policy(&arn)?;
    let (attached, limited) = iam(&cx).entities(&arn)?;
    Ok(PolicyResponse { policy: Policy::of(arn, policy, (attached.len(), limited.len())) })
}

pub(in crate::aws) async fn delete_policy(cx: Cx, request: PolicyRequest) -> Result<(), IamError> {
    iam(&cx).delete_policy(&request.arn()?)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListPoliciesRequest {
    scope: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    only_attached: bool,
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListPoliciesResponse {
    policies: Vec<Policy>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

pub(in crate::aws) async fn list_policies(
    cx: Cx,
    request: ListPoliciesRequest,
) -> Result<ListPoliciesResponse, IamError> {
    let (local, aws) = match request.scope.as_deref() {
        None | Some("All") => (true, true),
        Some("Local") => (true, false),
        Some("AWS") => (false, true),
        Some(_) => return Err(invalid("Scope must be one of All, AWS and Local")),
    };
    let iam = iam(&cx);
    let mut uses = std::collections::HashMap::<String, (usize, usize)>::new();
    for identity in [iam.identities(Kind::User, "/")?, iam.identities(Kind::Role, "/")?].concat() {
        identity.attached.into_iter().for_each(|arn| uses.entry(arn).or_default().0 += 1);
        identity.boundary.into_iter().for_each(|arn| uses.entry(arn).or_default().1 += 1);
    }
    let mut all: Vec<(String, ManagedPolicy)> = Vec::new();
    if local {
        all.extend(iam.policies()?.into_iter().map(|policy| (policy.arn(iam.account()), policy)));
    }
    if aws {
        all.extend(aws_managed::all().map(|policy| (policy.arn(), policy.as_managed())));
    }
    let prefix = request.path_prefix.as_deref().unwrap_or("/");
    let used = |arn: &String| uses.get(arn).copied().unwrap_or_default();
    all.retain(|(arn, policy)| {
        policy.path.starts_with(prefix) && (!request.only_attached || used(arn).0 > 0)
    });
    all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let (page, marker) = paged(all, request.marker, request.max_items, |(arn, _)| arn)?;
    let shown = |(arn, policy): (String, ManagedPolicy)| {
        let uses = used(&arn);
        Policy { tags: Vec::new(), description: None, ..Policy::of(arn, policy, uses) }
    };
    let policies = page.into_iter().map(shown).collect();
    Ok(ListPoliciesResponse { policies, is_truncated: marker.is_some(), marker })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct PolicyVersion {
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    version_id: String,
    is_default_version: bool,
    create_date: Time,
    /// Orders the listing; not part of the answer.
    #[serde(skip)]
    order: String,
}

impl PolicyVersion {
    fn of(version: &Version, is_default_version: bool, with_document: bool) -> Self {
        Self {
            document: with_document.then(|| encoded(&version.document)),
            version_id: version_id(version.number),
            is_default_version,
            create_date: time(version.created),
            // The newest first.
            order: format!("{:010}", u32::MAX - version.number),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct PolicyVersionResponse {
    policy_version: PolicyVersion,
}

pub(in crate::aws) async fn create_policy_version(
    cx: Cx,
    request: PolicyRequest,
) -> Result<PolicyVersionResponse, IamError> {
    let arn = request.arn()?;
    let document = need(request.policy_document, "policyDocument")?;
    let (version, is_default) = iam(&cx).add_version(&arn, document, request.set_as_default, cx.now)?;
    Ok(PolicyVersionResponse { policy_version: PolicyVersion::of(&version, is_default, false) })
}

pub(in crate::aws) async fn get_policy_version(
    cx: Cx,
    request: PolicyRequest,
) -> Result<PolicyVersionResponse, IamError> {
    let (policy, version) = iam(&cx).policy_version(&request.arn()?, &request.version()?)?;
    let is_default = version.number == policy.default_version;
    Ok(PolicyVersionResponse { policy_version: PolicyVersion::of(&version, is_default, true) })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListPolicyVersionsResponse {
    versions: Vec<PolicyVersion>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

pub(in crate::aws) async fn list_policy_versions(
    cx: Cx,
    request: PolicyRequest,
) -> Result<ListPolicyVersionsResponse, IamError> {
    let policy = iam(&cx).policy(&request.arn()?)?;
    let shown =
        |version: &Version| PolicyVersion::of(version, version.number == policy.default_version, false);
    let all = policy.versions.iter().rev().map(shown).collect();
    let (versions, marker) =
        paged(all, request.marker, request.max_items, |version: &PolicyVersion| &version.order)?;
    Ok(ListPolicyVersionsResponse { versions, is_truncated: marker.is_some(), marker })
}

pub(in crate::aws) async fn delete_policy_version(cx: Cx, request: PolicyRequest) -> Result<(), IamError> {
    iam(&cx).delete_version(&request.arn()?, &request.version()?)
}

pub(in crate::aws) async fn set_default_policy_version(
    cx: Cx,
    request: PolicyRequest,
) -> Result<(), IamError> {
    iam(&cx).set_default_version(&request.arn()?, &request.version()?)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListEntitiesForPolicyResponse {
    policy_groups: [(); 0],
    policy_users: Vec<PolicyUser>,
    policy_roles: Vec<PolicyRole>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyUser {
    user_name: String,
    user_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyRole {
    role_name: String,
    role_id: String,
}

pub(in crate::aws) async fn list_entities_for_policy(
    cx: Cx,
    request: PolicyRequest,
) -> Result<ListEntitiesForPolicyResponse, IamError> {
    let arn = request.arn()?;
    iam(&cx).policy(&arn)?;
    let (attached, limited) = iam(&cx).entities(&arn)?;
    let mut all = match request.policy_usage_filter.as_deref() {
        None | Some("PermissionsPolicy") => attached,
        Some("PermissionsBoundary") => limited,
        Some(_) => {
            return Err(invalid(
                "PolicyUsageFilter must be one of PermissionsPolicy and PermissionsBoundary",
            ));
        }
    };
    let kinds: &[Kind] = match request.entity_filter.as_deref() {
        None => &[Kind::User, Kind::Role],
        Some("User") => &[Kind::User],
        Some("Role") => &[Kind::Role],
        Some(_) => &[],
    };
    let prefix = request.path_prefix.as_deref().unwrap_or("/");
    all.retain(|identity| kinds.contains(&identity.kind) && identity.path.starts_with(prefix));
    all.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    let (page, marker) = paged(all, request.marker, request.max_items, |identity: &Identity| &identity.id)?;
    let (users, roles): (Vec<_>, Vec<_>) = page.into_iter().partition(|identity| identity.kind == Kind::User);
    let user = |user: Identity| PolicyUser { user_name: user.name, user_id: user.id };
    let role = |role: Identity| PolicyRole { role_name: role.name, role_id: role.id };
    Ok(ListEntitiesForPolicyResponse {
        policy_groups: [],
        policy_users: users.into_iter().map(user).collect(),
        policy_roles: roles.into_iter().map(role).collect(),
        is_truncated: marker.is_some(),
        marker,
    })
}

pub(in crate::aws) async fn tag_policy(cx: Cx, request: PolicyRequest) -> Result<(), IamError> {
    iam(&cx).tag_policy(&request.arn()?, tags(request.tags))
}

pub(in crate::aws) async fn untag_policy(cx: Cx, request: PolicyRequest) -> Result<(), IamError> {
    iam(&cx).untag_policy(&request.arn()?, &request.tag_keys)
}

pub(in crate::aws) async fn list_policy_tags(
    cx: Cx,
    request: PolicyRequest,
) -> Result<TagsResponse, IamError> {
    Ok(all_tags(&iam(&cx).policy(&request.arn()?)?.tags))
}
