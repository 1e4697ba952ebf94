/*!
Managed policies: documents by ARN, in up to five versions, attached to any number of users and roles.
*/

use nightbell_core::policy::{MANAGED_POLICY_CHARS_MAX, PolicyKind, counted_chars};
use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::{
    Iam, IamError, Identity, Kind, POLICIES_MAX, POLICY_NAME_CHARS_MAX, POLICY_VERSIONS_MAX, Tags,
    aws_managed, check_description, check_name, check_path, check_policy, path_and_name, seconds, set_tags,
    unique_id,
};
use crate::catalog::{Failure, Key, Records, delete, put};

/// A managed policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ManagedPolicy {
    /// Its name, in the letters it was made with.
    pub(crate) name: String,
    /// `/`, or a path of names.
    pub(crate) path: String,
    /// `ANPA…`; never given out twice.
    pub(crate) id: String,
    /// What people say of it.
    pub(crate) description: Option<String>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it got its last version.
    pub(crate) updated: Timestamp,
    /// The versions that are kept, oldest first.
    pub(crate) versions: Vec<Version>,
    /// The version that counts.
    pub(crate) default_version: u32,
    /// The number of the next version.
    pub(crate) next_version: u32,
    /// Its tags.
    #[serde(default)]
    pub(crate) tags: Tags,
}

/// A version of a managed policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Its number; never given out twice.
    pub(crate) number: u32,
    /// The policy, as it was written.
    pub(crate) document: String,
    /// When it was made.
    pub(crate) created: Timestamp,
}

/// What a new policy is to be.
pub(crate) struct NewPolicy {
    /// Its name.
    pub(crate) name: String,
    /// Its path; `/` where it says none.
    pub(crate) path: Option<String>,
    /// What people say of it.
    pub(crate) description: Option<String>,
    /// The policy.
    pub(crate) document: String,
    /// Its tags.
    pub(crate) tags: Tags,
}

impl ManagedPolicy {
    fn key(name: &str) -> Key {
        Key::of(&["iam-policy", &name.to_ascii_lowercase()])
    }

    /// Its ARN.
    pub(crate) fn arn(&self, account: &str) -> String {
        format!("arn:aws:iam::{account}:policy{}{}", self.path, self.name)
    }

    /// The version of a number.
    pub(crate) fn version(&self, number: u32) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }
}

/// The policy of an ARN of the account, if it is there.
fn find(records: &Records, account: &str, arn: &str) -> Result<Option<ManagedPolicy>, Failure> {
    let Some(rest) = arn.strip_prefix(&format!("arn:aws:iam::{account}:policy/")) else { return Ok(None) };
    let (_, name) = path_and_name(rest);
    let found: Option<ManagedPolicy> = records.get(&ManagedPolicy::key(name))?;
    Ok(found.filter(|policy| policy.arn(account) == arn))
}

/// The document that counts under an ARN, one of AWS's own among them.
pub(crate) fn document(records: &Records, account: &str, arn: &str) -> Result<Option<String>, Failure> {
    if let Some(policy) = aws_managed::find(arn) {
        return Ok(Some(policy.document()));
    }
    let policy = find(records, account, arn)?;
    Ok(policy
        .and_then(|policy| policy.version(policy.default_version).map(|version| version.document.clone())))
}

/// `v1`, `v2` …
pub(crate) fn version_id(number: u32) -> String {
    format!("v{number}")
}

fn check_document(document: &str) -> Result<(), IamError> {
    check_policy(document, PolicyKind::Identity)?;
    if counted_chars(document) > MANAGED_POLICY_CHARS_MAX {
        return Err(IamError::Limit(format!(
            "Cannot exceed quota for PolicySize: {MANAGED_POLICY_CHARS_MAX}"
        )));
    }
    Ok(())
}

impl Iam<'_> {
    /// Refuses an ARN that is no policy's.
    pub(super) fn attachable(&self, arn: &str) -> Result<(), IamError> {
        match document(self.records, self.account, arn)? {
            Some(_) => Ok(()),
            None => Err(IamError::Missing(format!("Policy {arn} does not exist or is not attachable."))),
        }
    }

    /// The managed policy of an ARN, one of AWS's own among them.
    ///
    /// # Errors
    /// [`IamError::Missing`] where it is not there.
    pub(crate) fn policy(&self, arn: &str) -> Result<ManagedPolicy, IamError> {
        if let Some(policy) = aws_managed::find(arn) {
            return Ok(policy.as_managed());
        }
        find(self.records, self.account, arn)?
            .ok_or_else(|| IamError::Missing(format!("Policy {arn} was not found.")))
    }

    /// A version of a policy.
    ///
    /// # Errors
    /// [`IamError::Missing`] where policy or version are not there.
    pub(crate) fn policy_version(
        &self,
        arn: &str,
        version: &str,
    ) -> Result<(ManagedPolicy, Version), IamError> {
        let policy = self.policy(arn)?;
        let number = number(version);
        let found = number.and_then(|number| policy.version(number)).cloned();
        Ok((policy, found.ok_or_else(|| no_version(arn, version))?))
    }

    /// The policies of the account, by name.
    pub(crate) fn policies(&self) -> Result<Vec<ManagedPolicy>, IamError> {
        Ok(self.records.list(&Key::prefix(&["iam-policy"], ""))?)
    }

    /// The users and roles that a policy is attached to; those that it limits apart from them.
    pub(crate) fn entities(&self, arn: &str) -> Result<(Vec<Identity>, Vec<Identity>), IamError> {
        let mut attached = Vec::new();
        let mut limited = Vec::new();
        for kind in [Kind::User, Kind::Role] {
            for identity in Identity::all(self.records, kind)? {
                if identity.boundary.as_deref() == Some(arn) {
                    limited.push(identity.clone());
                }
                if identity.attached.iter().any(|attached| attached == arn) {
                    attached.push(identity);
                }
            }
        }
        Ok((attached, limited))
    }

    /// Makes a policy, in its first version.
    pub(crate) fn create_policy(&self, new: NewPolicy, now: Timestamp) -> Result<ManagedPolicy, IamError> {
        let path = new.path.unwrap_or_else(|| "/".to_owned());
        check_name(&new.name, "policyName", POLICY_NAME_CHARS_MAX)?;
        check_path(&path)?;
        check_description(new.description.as_deref())?;
        check_document(&new.document)?;
        let mut tags = Tags::new();
        set_tags(&mut tags, new.tags)?;
        let _turn = self.records.turn();
        let key = ManagedPolicy::key(&new.name);
        if self.records.get::<ManagedPolicy>(&key)?.is_some() {
            let text =
                format!("A policy called {} already exists. Duplicate names are not allowed.", new.name);
            return Err(IamError::Exists(text));
        }
        if self.policies()?.len() >= POLICIES_MAX {
            return Err(IamError::Limit(format!(
                "Cannot exceed quota for PoliciesPerAccount: {POLICIES_MAX}"
            )));
        }
        let now = seconds(now);
        let policy = ManagedPolicy {
            name: new.name,
            path,
            id: unique_id("ANPA"),
            description: new.description,
            created: now,
            updated: now,
            versions: vec![Version { number: 1, document: new.document, created: now }],
            default_version: 1,
            next_version: 2,
            tags,
        };
        let mut change = Write::new();
        put(&mut change, &key, &policy);
        self.commit(change)?;
        Ok(policy)
    }

    /// Changes a policy of the account by `edit`, whose result this is; nothing is written where it refuses.
    fn change_policy<T>(
        &self,
        arn: &str,
        edit: impl FnOnce(&mut ManagedPolicy) -> Result<T, IamError>,
    ) -> Result<T, IamError> {
        let _turn = self.records.turn();
        let mut policy = self.policy(arn)?;
        refuse_fixed(arn)?;
        let done = edit(&mut policy)?;
        let mut change = Write::new();
        put(&mut change, &ManagedPolicy::key(&policy.name), &policy);
        self.commit(change)?;
        Ok(done)
    }

    /// Adds a version to a policy.
    pub(crate) fn add_version(
        &self,
        arn: &str,
        document: String,
        as_default: bool,
        now: Timestamp,
    ) -> Result<(Version, bool), IamError> {
        check_document(&document)?;
        self.change_policy(arn, |policy| {
            if policy.versions.len() >= POLICY_VERSIONS_MAX {
                let text = format!(
                    "A managed policy can have up to {POLICY_VERSIONS_MAX} versions. Before you create a new version, \
                     you must delete an existing version."
                );
                return Err(IamError::Limit(text));
            }
            let version = Version { number: policy.next_version, document, created: seconds(now) };
            policy.next_version = policy.next_version.saturating_add(1);
            policy.updated = seconds(now);
            if as_default {
                policy.default_version = version.number;
            }
            policy.versions.push(version.clone());
            Ok((version, as_default))
        })
    }

    /// Has another version of a policy count.
    pub(crate) fn set_default_version(&self, arn: &str, version: &str) -> Result<(), IamError> {
        self.change_policy(arn, |policy| {
            let number = number(version).filter(|number| policy.version(*number).is_some());
            policy.default_version = number.ok_or_else(|| no_version(arn, version))?;
            Ok(())
        })
    }

    /// Deletes a version that does not count.
    pub(crate) fn delete_version(&self, arn: &str, version: &str) -> Result<(), IamError> {
        self.change_policy(arn, |policy| {
            let number = number(version).filter(|number| policy.version(*number).is_some());
            let number = number.ok_or_else(|| no_version(arn, version))?;
            if number == policy.default_version {
                return Err(IamError::InUse("Cannot delete the default version of a policy.".to_owned()));
            }
            policy.versions.retain(|version| version.number != number);
            Ok(())
        })
    }

    /// Adds tags to a policy.
    pub(crate) fn tag_policy(&self, arn: &str, tags: Tags) -> Result<(), IamError> {
        self.change_policy(arn, |policy| set_tags(&mut policy.tags, tags))
    }

    /// Takes tags of a policy away.
    pub(crate) fn untag_policy(&self, arn: &str, keys: &[String]) -> Result<(), IamError> {
        self.change_policy(arn, |policy| {
            policy.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    /// Deletes a policy that is attached to nobody and has one version.
    pub(crate) fn delete_policy(&self, arn: &str) -> Result<(), IamError> {
        let _turn = self.records.turn();
        let policy = self.policy(arn)?;
        refuse_fixed(arn)?;
        let (attached, limited) = self.entities(arn)?;
        if !attached.is_empty() || !limited.is_empty() {
            return Err(IamError::InUse("Cannot delete a policy attached to entities.".to_owned()));
        }
        if policy.versions.len() > 1 {
            let text = "This policy has more than one version. Before you delete a policy, you must delete the \
                        policy's versions. The default version is deleted with the policy.";
            return Err(IamError::InUse(text.to_owned()));
        }
        let mut change = Write::new();
        delete(&mut change, &ManagedPolicy::key(&policy.name));
        self.commit(change)
    }
}

/// The number of `v1`, `v2` …
fn number(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.parse().ok()
}

fn no_version(arn: &str, version: &str) -> IamError {
    IamError::Missing(format!("Policy {arn} version {version} does not exist or is not attachable."))
}

fn refuse_fixed(arn: &str) -> Result<(), IamError> {
    match aws_managed::find(arn) {
        Some(_) => Err(IamError::Fixed(format!("Policy {arn} is one of AWS's own and cannot be changed."))),
        None => Ok(()),
    }
}
