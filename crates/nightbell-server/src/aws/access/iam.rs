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
    let asked = Asked { cx, action: format!("iam:{operation}"), names };
    asked.of_all(operation).or_else(|| asked.of_one(operation)).map(|demand| match operation {
        "UpdateUser" => vec![demand, asked.renamed()],
        _ => vec![demand],
    })
}

struct Asked<'a> {
    cx: &'a Cx,
    action: String,
    names: &'a Names,
}

impl Asked<'_> {
    /// Operations that make something new, or list what there is.
    fn of_all(&self, operation: &str) -> Option<Demand> {
        let Names { user_name, role_name, policy_name, .. } = self.names;
        Some(match operation {
            "CreateUser" => self.made("user", user_name.as_deref()),
            "CreateRole" => self.made("role", role_name.as_deref()),
            "CreatePolicy" => self.made("policy", policy_name.as_deref()),
            "ListUsers" => self.listed("user"),
            "ListRoles" => self.listed("role"),
            "ListPolicies" => self.listed("policy"),
            "GetAccessKeyLastUsed" | "ListVirtualMFADevices" => self.on(None),
            _ => return None,
        })
    }

    /// Operations on one user, role or policy.
    fn of_one(&self, operation: &str) -> Option<Demand> {
        Some(match operation {
            "GetUser"
            | "UpdateUser"
            | "DeleteUser"
            | "TagUser"
            | "UntagUser"
            | "ListUserTags"
            | "ListGroupsForUser"
            | "ListSigningCertificates"
            | "ListMFADevices"
            | "ListSSHPublicKeys"
            | "ListServiceSpecificCredentials"
            | "GetLoginProfile"
            | "DeleteLoginProfile"
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
            | "DeleteUserPermissionsBoundary" => self.user(),
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
                let role = self.names.role_name.as_deref();
                self.on(role.map(|name| identity_arn(self.cx, Kind::Role, name)))
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
            | "ListPolicyTags" => self.on(self.names.policy_arn.clone()),
            _ => return None,
        })
    }

    /// The action on a resource; on everything where the request names none.
    fn on(&self, arn: Option<String>) -> Demand {
        let demand = match arn {
            Some(arn) => Demand::of(self.action.clone(), vec![arn]),
            None => Demand::anywhere(self.action.clone()),
        };
        demand
            .with("iam:PolicyARN", self.names.policy_arn.as_deref())
            .with("iam:PermissionsBoundary", self.names.permissions_boundary.as_deref())
    }

    /// On what is to be made.
    fn made(&self, kind: &str, name: Option<&str>) -> Demand {
        let path = self.names.path.as_deref().unwrap_or("/");
        self.on(name.map(|name| format!("arn:aws:iam::{}:{kind}{path}{name}", self.cx.app.account)))
    }

    /// On all below a path.
    fn listed(&self, kind: &str) -> Demand {
        let prefix = self.names.path_prefix.as_deref().unwrap_or("/");
        self.on(Some(format!("arn:aws:iam::{}:{kind}{prefix}", self.cx.app.account)))
    }

    /// On the user that is named, or else on the one that asks.
    fn user(&self) -> Demand {
        match self.names.user_name.as_deref() {
            Some(name) => self.on(Some(identity_arn(self.cx, Kind::User, name))),
            None => self.on(of_caller(self.cx)),
        }
    }

    /// On what a user becomes.
    fn renamed(&self) -> Demand {
        let Names { user_name, new_user_name, new_path, .. } = self.names;
        let name = new_user_name.as_deref().or(user_name.as_deref()).unwrap_or_default();
        let user = Identity::find(&self.cx.app.records, Kind::User, user_name.as_deref().unwrap_or_default());
        let path = user.ok().flatten().map(|user| user.path);
        let path = new_path.as_deref().or(path.as_deref()).unwrap_or("/");
        self.on(Some(format!("arn:aws:iam::{}:user{path}{name}", self.cx.app.account)))
    }
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
