/*!
Users and their access keys.
*/

use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::super::Cx;
use super::{
    Boundary, Tag, TagsResponse, all_tags, iam, invalid, need, paged, shown_tags, tags, time, user_or_caller,
};
use crate::auth::Principal;
use crate::manage::iam::access_keys::KeyRecord;
use crate::manage::iam::identities::NewIdentity;
use crate::manage::iam::{IamError, Identity, Kind};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct User {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    user_id: String,
    arn: String,
    create_date: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<Boundary>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
}

impl User {
    fn of(cx: &Cx, user: &Identity) -> Self {
        Self {
            path: user.path.clone(),
            user_name: Some(user.name.clone()),
            user_id: user.id.clone(),
            arn: user.arn(&cx.app.account),
            create_date: time(user.created),
            permissions_boundary: Boundary::of(user.boundary.as_ref()),
            tags: shown_tags(&user.tags),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct UserResponse {
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct CreateUserRequest {
    user_name: Option<String>,
    path: Option<String>,
    permissions_boundary: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tags: Vec<Tag>,
}

pub(in crate::aws) async fn create_user(
    cx: Cx,
    request: CreateUserRequest,
) -> Result<UserResponse, IamError> {
    let new = NewIdentity {
        name: need(request.user_name, "userName")?,
        path: request.path,
        tags: tags(request.tags),
        boundary: request.permissions_boundary,
        trust: None,
    };
    let user = iam(&cx).create(Kind::User, new, cx.now)?;
    Ok(UserResponse { user: User::of(&cx, &user) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct UserRequest {
    user_name: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

pub(in crate::aws) async fn get_user(cx: Cx, request: UserRequest) -> Result<UserResponse, IamError> {
    if request.user_name.is_none() && cx.caller == Principal::Root {
        let account = &cx.app.account;
        let user = User {
            path: "/".to_owned(),
            user_name: None,
            user_id: account.clone(),
            arn: format!("arn:aws:iam::{account}:root"),
            // The account is as old as its first second.
            create_date: Time(0),
            permissions_boundary: None,
            tags: Vec::new(),
        };
        return Ok(UserResponse { user });
    }
    let user = iam(&cx).identity(Kind::User, &user_or_caller(&cx, request.user_name)?)?;
    Ok(UserResponse { user: User::of(&cx, &user) })
}

pub(in crate::aws) async fn delete_user(cx: Cx, request: UserRequest) -> Result<(), IamError> {
    iam(&cx).delete(Kind::User, &need(request.user_name, "userName")?)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListUsersRequest {
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListUsersResponse {
    users: Vec<User>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

pub(in crate::aws) async fn list_users(
    cx: Cx,
    request: ListUsersRequest,
) -> Result<ListUsersResponse, IamError> {
    let all = iam(&cx).identities(Kind::User, request.path_prefix.as_deref().unwrap_or("/"))?;
    let (page, marker) = paged(all, request.marker, request.max_items, |user| &user.name)?;
    let users = page.iter().map(|user| User { tags: Vec::new(), ..User::of(&cx, user) }).collect();
    Ok(ListUsersResponse { users, is_truncated: marker.is_some(), marker })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct UpdateUserRequest {
    user_name: Option<String>,
    new_user_name: Option<String>,
    new_path: Option<String>,
}

pub(in crate::aws) async fn update_user(cx: Cx, request: UpdateUserRequest) -> Result<(), IamError> {
    let name = need(request.user_name, "userName")?;
    iam(&cx).rename_user(&name, request.new_user_name, request.new_path)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct TagUserRequest {
    user_name: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tags: Vec<Tag>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tag_keys: Vec<String>,
}

pub(in crate::aws) async fn tag_user(cx: Cx, request: TagUserRequest) -> Result<(), IamError> {
    iam(&cx).tag(Kind::User, &need(request.user_name, "userName")?, tags(request.tags))
}

pub(in crate::aws) async fn untag_user(cx: Cx, request: TagUserRequest) -> Result<(), IamError> {
    iam(&cx).untag(Kind::User, &need(request.user_name, "userName")?, &request.tag_keys)
}

pub(in crate::aws) async fn list_user_tags(cx: Cx, request: UserRequest) -> Result<TagsResponse, IamError> {
    Ok(all_tags(&iam(&cx).identity(Kind::User, &need(request.user_name, "userName")?)?.tags))
}

/// Lists that are empty because there is nothing of the kind, by the names of their members. Some are not of one user.
macro_rules! nothing {
    ($($name:ident $response:ident $member:literal),+) => {$(
        #[derive(Serialize)]
        pub(in crate::aws) struct $response {
            #[serde(rename = $member)]
            members: [(); 0],
            #[serde(rename = "IsTruncated")]
            is_truncated: bool,
        }

        pub(in crate::aws) async fn $name(cx: Cx, request: UserRequest) -> Result<$response, IamError> {
            if let Some(name) = request.user_name {
                iam(&cx).identity(Kind::User, &name)?;
            }
            Ok($response { members: [], is_truncated: false })
        }
    )+};
}

nothing!(
    list_groups_for_user ListGroupsForUserResponse "Groups",
    list_signing_certificates ListSigningCertificatesResponse "Certificates",
    list_mfa_devices ListMfaDevicesResponse "MFADevices",
    list_virtual_mfa_devices ListVirtualMfaDevicesResponse "VirtualMFADevices",
    list_ssh_public_keys ListSshPublicKeysResponse "SSHPublicKeys",
    list_service_specific_credentials ListServiceSpecificCredentialsResponse "ServiceSpecificCredentials"
);

/// A user's password, which nobody has.
pub(in crate::aws) async fn login_profile(cx: Cx, request: UserRequest) -> Result<(), IamError> {
    let user = iam(&cx).identity(Kind::User, &user_or_caller(&cx, request.user_name)?)?;
    Err(IamError::Missing(format!("Login Profile for User {} cannot be found.", user.name)))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct CreateAccessKeyResponse {
    access_key: NewAccessKey,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NewAccessKey {
    user_name: String,
    access_key_id: String,
    status: &'static str,
    secret_access_key: String,
    create_date: Time,
}

const ACTIVE: &str = "Active";
const INACTIVE: &str = "Inactive";

fn status(key: &KeyRecord) -> &'static str {
    if key.active { ACTIVE } else { INACTIVE }
}

pub(in crate::aws) async fn create_access_key(
    cx: Cx,
    request: UserRequest,
) -> Result<CreateAccessKeyResponse, IamError> {
    let user_name = user_or_caller(&cx, request.user_name)?;
    let key = iam(&cx).create_key(&user_name, cx.now)?;
    let access_key = NewAccessKey {
        user_name,
        status: status(&key),
        access_key_id: key.id,
        secret_access_key: key.secret,
        create_date: time(key.created),
    };
    Ok(CreateAccessKeyResponse { access_key })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListAccessKeysResponse {
    access_key_metadata: Vec<AccessKey>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccessKey {
    user_name: String,
    access_key_id: String,
    status: &'static str,
    create_date: Time,
}

pub(in crate::aws) async fn list_access_keys(
    cx: Cx,
    request: UserRequest,
) -> Result<ListAccessKeysResponse, IamError> {
    let user_name = user_or_caller(&cx, request.user_name)?;
    let all = iam(&cx).keys_of(&user_name)?;
    let (page, marker) = paged(all, request.marker, request.max_items, |key| &key.id)?;
    let shown = |key: KeyRecord| AccessKey {
        user_name: user_name.clone(),
        status: status(&key),
        access_key_id: key.id,
        create_date: time(key.created),
    };
    let access_key_metadata = page.into_iter().map(shown).collect();
    Ok(ListAccessKeysResponse { access_key_metadata, is_truncated: marker.is_some(), marker })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct AccessKeyRequest {
    user_name: Option<String>,
    access_key_id: Option<String>,
    status: Option<String>,
}

pub(in crate::aws) async fn update_access_key(cx: Cx, request: AccessKeyRequest) -> Result<(), IamError> {
    let user = user_or_caller(&cx, request.user_name)?;
    let id = need(request.access_key_id, "accessKeyId")?;
    let active = match need(request.status, "status")?.as_str() {
        ACTIVE => true,
        INACTIVE => false,
        other => {
            let shown: String = other.chars().take(100).collect();
            return Err(invalid(format!(
                "1 validation error detected: Value '{shown}' at 'status' failed to satisfy constraint: Member must \
                 satisfy enum value set: [{ACTIVE}, {INACTIVE}]"
            )));
        }
    };
    iam(&cx).set_key_active(&user, &id, active)
}

pub(in crate::aws) async fn delete_access_key(cx: Cx, request: AccessKeyRequest) -> Result<(), IamError> {
    let user = user_or_caller(&cx, request.user_name)?;
    iam(&cx).delete_key(&user, &need(request.access_key_id, "accessKeyId")?)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GetAccessKeyLastUsedResponse {
    user_name: String,
    access_key_last_used: LastUsed,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LastUsed {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_date: Option<Time>,
    service_name: String,
    region: String,
}

pub(in crate::aws) async fn get_access_key_last_used(
    cx: Cx,
    request: AccessKeyRequest,
) -> Result<GetAccessKeyLastUsedResponse, IamError> {
    let (key, user) = iam(&cx).key(&need(request.access_key_id, "accessKeyId")?)?;
    let never = || "N/A".to_owned();
    let last = key.last_use.as_ref();
    let access_key_last_used = LastUsed {
        last_used_date: last.map(|last| time(last.at)),
        service_name: last.map_or_else(never, |last| last.service.clone()),
        region: last.map_or_else(never, |last| last.region.clone()),
    };
    Ok(GetAccessKeyLastUsedResponse { user_name: user.name, access_key_last_used })
}
