/*!
What operations of IAM demand. Without a name, operations on users speak of the caller.
*/

use serde::Deserialize;

use super::{Cx, Demand, Demands};
use crate::auth::Principal;
use crate::manage::iam::{Identity, Kind};

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Names {
    user_name: Option<String>,
    role_name: Option<String>,
    policy_name: Option<String>,
    policy_arn: Option<String>,
    path: Option<String>,
    path_prefix: Option<String>,
    permissions_boundary: Option<String>,
    new_user_name: Option<String>,
    new_path: Option<String>,
}

pub(super) fn demands(cx: &Cx, operation: &str, names: &Names) -> Option<Demands> {
    let action = format!("iam:{operation}");
    let of = |arn: String| {
        Demand::of(action.clone(), vec![arn])
            .with("iam:PolicyARN", names.policy_arn.as_deref())
            .with("iam:PermissionsBoundary", names.permissions_boundary.as_deref())
    };
    let identity = |kind: Kind, name: Option<&str>| match name {
        Some(name) => of(identity_arn(cx, kind, name)),
        None => Demand::anywhere(action.clone()),
    };
    let listed = |kind: &str| {
        let prefix = names.path_prefix.as_deref().unwrap_or("/");
        of(format!("arn:aws:iam::{}:{kind}{prefix}", cx.app.account))
    };
    let made = |kind: &str, name: Option<&str>| match name {
        Some(name) => {
            let path = names.path.as_deref().unwrap_or("/");
            of(format!("arn:aws:iam::{}:{kind}{path}{name}", cx.app.account))
        }
        None => Demand::anywhere(action.clone()),
    };
    let user = || match names.user_name.as_deref() {
        None => of_caller(cx).map_or_else(|| Demand::anywhere(action.clone()), of),
        name => identity(Kind::User, name),
    };
    Some(match operation {
        "CreateUser" => vec![made("user", names.user_name.as_deref())],
        "CreateRole" => vec![made("role", names.role_name.as_deref())],
        "CreatePolicy" => vec![made("policy", names.policy_name.as_deref())],
        "UpdateUser" => {
            // Both what it was and what it becomes.
            let path = names.new_path.as_deref().unwrap_or("/");
            let name = names.new_user_name.as_deref().or(names.user_name.as_deref()).unwrap_or_default();
            vec![user(), of(format!("arn:aws:iam::{}:user{path}{name}", cx.app.account))]
        }
        "GetUser"
        | "DeleteUser"
        | "TagUser"
        | "UntagUser"
        | "ListUserTags"
        | "ListGroupsForUser"
        | "CreateAccessKey"
        | "ListAccessKeys"
        | "UpdateAccessKey"
        | "DeleteAccessKey"
        | "PutUserPolicy"
        | "GetUserPolicy"
        | "DeleteUserPolicy"
        | "ListUserPolicies"
        | "AttachUserPolicy"
        | "DetachUserPolicy"
        | "ListAttachedUserPolicies"
        | "PutUserPermissionsBoundary"
        | "DeleteUserPermissionsBoundary"
        | "ListMFADevices"
        | "ListSSHPublicKeys"
        | "ListServiceSpecificCredentials"
        | "ListSigningCertificates"
        | "GetLoginProfile"
        | "DeleteLoginProfile" => vec![user()],
        "GetRole"
        | "UpdateRole"
        | "UpdateRoleDescription"
        | "DeleteRole"
        | "UpdateAssumeRolePolicy"
        | "TagRole"
        | "UntagRole"
        | "ListRoleTags"
        | "PutRolePolicy"
        | "GetRolePolicy"
        | "DeleteRolePolicy"
        | "ListRolePolicies"
        | "AttachRolePolicy"
        | "DetachRolePolicy"
        | "ListAttachedRolePolicies"
        | "PutRolePermissionsBoundary"
        | "DeleteRolePermissionsBoundary"
        | "ListInstanceProfilesForRole" => {
            vec![identity(Kind::Role, names.role_name.as_deref())]
        }
        "GetPolicy"
        | "DeletePolicy"
        | "CreatePolicyVersion"
        | "GetPolicyVersion"
        | "ListPolicyVersions"
        | "DeletePolicyVersion"
        | "SetDefaultPolicyVersion"
        | "ListEntitiesForPolicy"
        | "TagPolicy"
        | "UntagPolicy"
        | "ListPolicyTags" => match &names.policy_arn {
            Some(arn) => vec![of(arn.clone())],
            None => vec![Demand::anywhere(action)],
        },
        "ListUsers" => vec![listed("user")],
        "ListRoles" => vec![listed("role")],
        "ListPolicies" => vec![listed("policy")],
        "GetAccessKeyLastUsed" => vec![Demand::anywhere(action)],
        _ => return None,
    })
}

/// The ARN of a user or role by its name; as if its path were `/` where it is not there.
fn identity_arn(cx: &Cx, kind: Kind, name: &str) -> String {
    let account = &cx.app.account;
    match Identity::find(&cx.app.records, kind, name) {
        Ok(Some(identity)) => identity.arn(account),
        _ => format!("arn:aws:iam::{account}:{}/{name}", kind.word()),
    }
}

/// The ARN of the user that asks.
fn of_caller(cx: &Cx) -> Option<String> {
    match &cx.caller {
        Principal::User { user, .. } => Some(user.arn.clone()),
        _ => None,
    }
}
