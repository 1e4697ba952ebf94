/*!
The operations of IAM: one line for each.
*/

use super::{Answer, Asked};
use crate::aws::error::Told;
use crate::aws::iam::{grants, policies, roles, users};
use crate::manage::iam::Kind::{Role, User};

/// Serves a call of IAM.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "CreateUser" => asked.by(users::create_user).await,
        "GetUser" => asked.by(users::get_user).await,
        "ListUsers" => asked.by(users::list_users).await,
        "UpdateUser" => asked.by(users::update_user).await,
        "DeleteUser" => asked.by(users::delete_user).await,
        "TagUser" => asked.by(users::tag_user).await,
        "UntagUser" => asked.by(users::untag_user).await,
        "ListUserTags" => asked.by(users::list_user_tags).await,
        "ListGroupsForUser" => asked.by(users::list_groups_for_user).await,
        "ListSigningCertificates" => asked.by(users::list_signing_certificates).await,
        "ListMFADevices" => asked.by(users::list_mfa_devices).await,
        "ListVirtualMFADevices" => asked.by(users::list_virtual_mfa_devices).await,
        "ListSSHPublicKeys" => asked.by(users::list_ssh_public_keys).await,
        "ListServiceSpecificCredentials" => asked.by(users::list_service_specific_credentials).await,
        "GetLoginProfile" => asked.by(users::login_profile).await,
        "DeleteLoginProfile" => asked.by(users::login_profile).await,
        "CreateAccessKey" => asked.by(users::create_access_key).await,
        "ListAccessKeys" => asked.by(users::list_access_keys).await,
        "UpdateAccessKey" => asked.by(users::update_access_key).await,
        "DeleteAccessKey" => asked.by(users::delete_access_key).await,
        "GetAccessKeyLastUsed" => asked.by(users::get_access_key_last_used).await,
        "CreateRole" => asked.by(roles::create_role).await,
        "GetRole" => asked.by(roles::get_role).await,
        "ListRoles" => asked.by(roles::list_roles).await,
        "UpdateRole" => asked.by(roles::update_role).await,
        "UpdateRoleDescription" => asked.by(roles::update_role_description).await,
        "UpdateAssumeRolePolicy" => asked.by(roles::update_assume_role_policy).await,
        "DeleteRole" => asked.by(roles::delete_role).await,
        "TagRole" => asked.by(roles::tag_role).await,
        "UntagRole" => asked.by(roles::untag_role).await,
        "ListRoleTags" => asked.by(roles::list_role_tags).await,
        "ListInstanceProfilesForRole" => asked.by(roles::list_instance_profiles_for_role).await,
        _ => granting(asked).await,
    }
}

/// The operations on policies.
async fn granting(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "PutUserPolicy" => asked.by(|cx, request| grants::put(cx, User, request)).await,
        "GetUserPolicy" => asked.by(|cx, request| grants::get(cx, User, request)).await,
        "DeleteUserPolicy" => asked.by(|cx, request| grants::delete(cx, User, request)).await,
        "ListUserPolicies" => asked.by(|cx, request| grants::list(cx, User, request)).await,
        "AttachUserPolicy" => asked.by(|cx, request| grants::attach(cx, User, request)).await,
        "DetachUserPolicy" => asked.by(|cx, request| grants::detach(cx, User, request)).await,
        "ListAttachedUserPolicies" => asked.by(|cx, request| grants::list_attached(cx, User, request)).await,
        "PutUserPermissionsBoundary" => asked.by(|cx, request| grants::bound(cx, User, request)).await,
        "DeleteUserPermissionsBoundary" => asked.by(|cx, request| grants::unbound(cx, User, request)).await,
        "PutRolePolicy" => asked.by(|cx, request| grants::put(cx, Role, request)).await,
        "GetRolePolicy" => asked.by(|cx, request| grants::get(cx, Role, request)).await,
        "DeleteRolePolicy" => asked.by(|cx, request| grants::delete(cx, Role, request)).await,
        "ListRolePolicies" => asked.by(|cx, request| grants::list(cx, Role, request)).await,
        "AttachRolePolicy" => asked.by(|cx, request| grants::attach(cx, Role, request)).await,
        "DetachRolePolicy" => asked.by(|cx, request| grants::detach(cx, Role, request)).await,
        "ListAttachedRolePolicies" => asked.by(|cx, request| grants::list_attached(cx, Role, request)).await,
        "PutRolePermissionsBoundary" => asked.by(|cx, request| grants::bound(cx, Role, request)).await,
        "DeleteRolePermissionsBoundary" => asked.by(|cx, request| grants::unbound(cx, Role, request)).await,
        "CreatePolicy" => asked.by(policies::create_policy).await,
        "GetPolicy" => asked.by(policies::get_policy).await,
        "ListPolicies" => asked.by(policies::list_policies).await,
        "DeletePolicy" => asked.by(policies::delete_policy).await,
        "CreatePolicyVersion" => asked.by(policies::create_policy_version).await,
        "GetPolicyVersion" => asked.by(policies::get_policy_version).await,
        "ListPolicyVersions" => asked.by(policies::list_policy_versions).await,
        "DeletePolicyVersion" => asked.by(policies::delete_policy_version).await,
        "SetDefaultPolicyVersion" => asked.by(policies::set_default_policy_version).await,
        "ListEntitiesForPolicy" => asked.by(policies::list_entities_for_policy).await,
        "TagPolicy" => asked.by(policies::tag_policy).await,
        "UntagPolicy" => asked.by(policies::untag_policy).await,
        "ListPolicyTags" => asked.by(policies::list_policy_tags).await,
        _ => asked.unknown(),
    }
}
