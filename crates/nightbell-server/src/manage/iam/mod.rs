/*!
Users, roles and managed policies: what is configured about who may do what ("Identity and Access Management API Reference").

[`Iam`] is the way in. Users and roles are one record, [`Identity`] (`identities`, `grants`); `access_keys` holds users' keys,
`policies` managed policies, of which AWS's own stand in `aws_managed`. What is written is told to [`Keys`] before the call
ends, so that nothing that was taken away works a moment longer. IAM has no regions.
*/

use nightbell_core::policy::{Policy, PolicyError, PolicyKind};
use nightbell_core::time::Timestamp;
use nightbell_store::Write;

use crate::app::App;
use crate::catalog::{Failure, Records};
use crate::credentials::{ID_LETTERS, random};
use crate::keys::Keys;
pub(crate) use identities::{Identity, Kind, Trust};

pub(crate) mod access_keys;
pub(crate) mod aws_managed;
pub(crate) mod grants;
pub(crate) mod identities;
pub(crate) mod policies;

/// Characters of a path ("IAM and AWS STS quotas", IAM User Guide).
pub(crate) const IAM_PATH_CHARS_MAX: usize = 512;
/// Characters of the name of a user or role.
pub(crate) const IDENTITY_NAME_CHARS_MAX: usize = 64;
/// Characters of the name of a policy.
pub(crate) const POLICY_NAME_CHARS_MAX: usize = 128;
/// Users of an account.
pub(crate) const USERS_MAX: usize = 5_000;
/// Roles of an account.
pub(crate) const ROLES_MAX: usize = 1_000;
/// Managed policies of an account.
pub(crate) const POLICIES_MAX: usize = 1_500;
/// Versions of a managed policy.
pub(crate) const POLICY_VERSIONS_MAX: usize = 5;
/// Managed policies attached to one user or role.
pub(crate) const ATTACHED_POLICIES_MAX: usize = 10;
/// Access keys of a user.
pub(crate) const ACCESS_KEYS_MAX: usize = 2;
/// Tags of a user, role or policy.
pub(crate) const IAM_TAGS_MAX: usize = 50;
/// Characters of a tag's key; of its value.
pub(crate) const IAM_TAG_CHARS_MAX: (usize, usize) = (128, 256);
/// Characters of a description.
pub(crate) const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// Shortest and longest `MaxSessionDuration` of a role, in seconds.
pub(crate) const MAX_SESSION_SECONDS: (i64, i64) = (3_600, 43_200);
/// The shortest session, in seconds.
pub(crate) const SESSION_SECONDS_MIN: i64 = 900;

/// Why something about users, roles or policies was not done; the texts are AWS's where these are known.
#[derive(Debug)]
pub(crate) enum IamError {
    /// It is not there.
    Missing(String),
    /// It is there already.
    Exists(String),
    /// Others need it.
    InUse(String),
    /// A policy cannot be read.
    Malformed(PolicyError),
    /// A quota is used up.
    Limit(String),
    /// A parameter is wrong.
    Invalid(String),
    /// It is one of AWS's own and cannot be changed.
    Fixed(String),
    /// The caller may not.
    Denied(String),
    /// The store could not; the operator's text.
    Store(Failure),
}

impl From<Failure> for IamError {
    fn from(failure: Failure) -> Self {
        Self::Store(failure)
    }
}

/// Users, roles and policies of an installation.
#[derive(Clone, Copy)]
pub(crate) struct Iam<'a> {
    records: &'a Records,
    keys: &'a Keys,
    account: &'a str,
}

impl<'a> Iam<'a> {
    /// Those of the server.
    pub(crate) fn of(app: &'a App) -> Self {
        Self { records: &app.records, keys: &app.keys, account: &app.account }
    }

    /// The account, 12 digits.
    pub(crate) fn account(&self) -> &'a str {
        self.account
    }

    /// Writes, and has policies compiled anew even where it is not known whether the write came through.
    fn commit(&self, change: Write) -> Result<(), IamError> {
        let done = self.records.commit(change);
        self.keys.forget_policies();
        Ok(done?)
    }
}

/// A unique id, as `AIDA…`.
fn unique_id(prefix: &str) -> String {
    format!("{prefix}{}", random(17, ID_LETTERS))
}

/// Tags, or other members that come in pairs.
pub(crate) type Tags = std::collections::BTreeMap<String, String>;

/// The text of a model validation error, as the service writes it.
fn violates(value: &str, field: &str, constraint: &str) -> IamError {
    let shown: String = value.chars().take(100).collect();
    IamError::Invalid(format!(
        "1 validation error detected: Value '{shown}' at '{field}' failed to satisfy constraint: {constraint}"
    ))
}

/// Refuses what is no name.
fn check_name(name: &str, field: &str, chars_max: usize) -> Result<(), IamError> {
    if !(1..=chars_max).contains(&name.chars().count()) {
        return Err(violates(name, field, &format!("Member must have length between 1 and {chars_max}")));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if !name.bytes().all(allowed) {
        let text = format!(
            "The specified value for {field} is invalid. It must contain only alphanumeric characters and/or the \
             following: +=,.@_-"
        );
        return Err(IamError::Invalid(text));
    }
    Ok(())
}

/// Refuses what is no path: `/`, or names between slashes.
fn check_path(path: &str) -> Result<(), IamError> {
    let plain = path.bytes().all(|b| (0x21..=0x7e).contains(&b));
    let formed = path == "/" || (path.starts_with('/') && path.ends_with('/') && path.len() > 1);
    if !plain || !formed || path.contains("//") || path.len() > IAM_PATH_CHARS_MAX {
        let text = format!(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric \
             characters and/or / characters, at most {IAM_PATH_CHARS_MAX} of them."
        );
        return Err(IamError::Invalid(text));
    }
    Ok(())
}

fn check_description(text: Option<&str>) -> Result<(), IamError> {
    match text {
        Some(text) if text.chars().count() > DESCRIPTION_CHARS_MAX => {
            let allowed = format!("Member must have length less than or equal to {DESCRIPTION_CHARS_MAX}");
            Err(violates(text, "description", &allowed))
        }
        _ => Ok(()),
    }
}

/// Adds `tags` to those that are there.
fn set_tags(tags: &mut Tags, more: Tags) -> Result<(), IamError> {
    for (key, value) in more {
        if !(1..=IAM_TAG_CHARS_MAX.0).contains(&key.chars().count()) {
            let allowed = format!("Member must have length between 1 and {}", IAM_TAG_CHARS_MAX.0);
            return Err(violates(&key, "tags.member.key", &allowed));
        }
        if value.chars().count() > IAM_TAG_CHARS_MAX.1 {
            let allowed = format!("Member must have length less than or equal to {}", IAM_TAG_CHARS_MAX.1);
            return Err(violates(&value, "tags.member.value", &allowed));
        }
        tags.insert(key, value);
    }
    if tags.len() > IAM_TAGS_MAX {
        return Err(IamError::Limit(format!(
            "The number of tags has reached the maximum limit of {IAM_TAGS_MAX}."
        )));
    }
    Ok(())
}

fn check_policy(document: &str, kind: PolicyKind) -> Result<Policy, IamError> {
    Policy::parse(document, kind).map_err(IamError::Malformed)
}

/// The end of an ARN behind `prefix` as path and name.
fn path_and_name(rest: &str) -> (String, &str) {
    match rest.rfind('/') {
        Some(at) => (format!("/{}", &rest[..=at]), &rest[at + 1..]),
        None => ("/".to_owned(), rest),
    }
}

/// When something was made, as it is kept: whole seconds, as the service shows them.
pub(crate) fn seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_seconds(now.second())
}

#[cfg(test)]
mod tests;
