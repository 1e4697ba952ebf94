/*!
Users and roles: one record each, told apart by [`Kind`]; a role has a [`Trust`] beside what both have.
*/

use std::sync::Arc;

use nightbell_core::policy::{Policy, PolicyKind, TRUST_POLICY_CHARS_MAX, counted_chars};
use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::{
    IDENTITY_NAME_CHARS_MAX, Iam, IamError, MAX_SESSION_SECONDS, ROLES_MAX, Tags, USERS_MAX, access_keys,
    check_description, check_name, check_path, check_policy, path_and_name, seconds, set_tags, unique_id,
    violates,
};
use crate::auth::{Session, User};
use crate::catalog::{Failure, Key, Records, delete, put};
use crate::keys::compile;

/// What an identity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A user.
    User,
    /// A role.
    Role,
}

impl Kind {
    /// The word for it in ARNs and texts.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
        }
    }

    /// The same with a capital.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Role => "Role",
        }
    }

    const fn record(self) -> &'static str {
        match self {
            Self::User => "iam-user",
            Self::Role => "iam-role",
        }
    }

    /// The parameter that names it.
    const fn field(self) -> &'static str {
        match self {
            Self::User => "userName",
            Self::Role => "roleName",
        }
    }
}

/// A user or a role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Which of both.
    pub(crate) kind: Kind,
    /// Its name, in the letters it was made with.
    pub(crate) name: String,
    /// `/`, or a path of names.
    pub(crate) path: String,
    /// `AIDA…` or `AROA…`; never given out twice.
    pub(crate) id: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its tags.
    #[serde(default)]
    pub(crate) tags: Tags,
    /// Policies of its own, by name, as they were written.
    #[serde(default)]
    pub(crate) inline: Tags,
    /// ARNs of managed policies, in the order in which they were attached.
    #[serde(default)]
    pub(crate) attached: Vec<String>,
    /// ARN of the managed policy that limits it.
    #[serde(default)]
    pub(crate) boundary: Option<String>,
    /// Of a role: who may act in it.
    #[serde(default)]
    pub(crate) trust: Option<Trust>,
}

/// Who may act in a role, and for how long.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trust {
    /// The trust policy, as it was written.
    pub(crate) document: String,
    /// The longest session, in seconds.
    pub(crate) max_session_seconds: i64,
    /// What people say of the role.
    pub(crate) description: Option<String>,
}

/// What a new user or role is to be.
#[derive(Debug, Default)]
pub(crate) struct NewIdentity {
    /// Its name.
    pub(crate) name: String,
    /// Its path; `/` where it says none.
    pub(crate) path: Option<String>,
    /// Its tags.
    pub(crate) tags: Tags,
    /// ARN of the managed policy that limits it.
    pub(crate) boundary: Option<String>,
    /// Of a role: who may act in it.
    pub(crate) trust: Option<Trust>,
}

impl Identity {
    /// Names differ in more than case: a record is kept under its name in small letters.
    fn key(kind: Kind, name: &str) -> Key {
        Key::of(&[kind.record(), &name.to_ascii_lowercase()])
    }

    /// The identity of this name, if it is there.
    pub(crate) fn find(records: &Records, kind: Kind, name: &str) -> Result<Option<Self>, Failure> {
        let found: Option<Self> = records.get(&Self::key(kind, name))?;
        Ok(found.filter(|identity| identity.name == name))
    }

    /// All of a kind, by name.
    pub(crate) fn all(records: &Records, kind: Kind) -> Result<Vec<Self>, Failure> {
        records.list(&Key::prefix(&[kind.record()], ""))
    }

    /// Its ARN.
    pub(crate) fn arn(&self, account: &str) -> String {
        format!("arn:aws:iam::{account}:{}{}{}", self.kind.word(), self.path, self.name)
    }

    /// The user as its keys name it.
    pub(crate) fn as_user(&self, account: &str) -> User {
        User { arn: self.arn(account), id: self.id.clone(), name: self.name.clone() }
    }

    /// A session of the role.
    pub(crate) fn session(
        &self,
        account: &str,
        name: &str,
        policy: Option<String>,
        policy_arns: Vec<String>,
    ) -> Session {
        Session {
            arn: format!("arn:aws:sts::{account}:assumed-role/{}/{name}", self.name),
            role_arn: self.arn(account),
            role_id: self.id.clone(),
            role: self.name.clone(),
            name: name.to_owned(),
            policy,
            policy_arns,
        }
    }

    /// The trust policy, compiled.
    ///
    /// # Errors
    /// Where it is damaged, or this is no role.
    pub(crate) fn trust_policy(&self) -> Result<Arc<Policy>, IamError> {
        let document = self.trust.as_ref().map(|trust| trust.document.as_str()).unwrap_or_default();
        Ok(compile(document, PolicyKind::Trust)?)
    }
}

/// Refuses what cannot be a trust policy.
pub(super) fn check_trust(trust: &Trust) -> Result<(), IamError> {
    check_policy(&trust.document, PolicyKind::Trust)?;
    if counted_chars(&trust.document) > TRUST_POLICY_CHARS_MAX {
        let text = format!("Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_CHARS_MAX}");
        return Err(IamError::Limit(text));
    }
    let (least, most) = MAX_SESSION_SECONDS;
    if !(least..=most).contains(&trust.max_session_seconds) {
        let allowed = format!("Member must have value between {least} and {most}");
        return Err(violates(&trust.max_session_seconds.to_string(), "maxSessionDuration", &allowed));
    }
    check_description(trust.description.as_deref())
}

fn missing(kind: Kind, name: &str) -> IamError {
    IamError::Missing(format!("The {} with name {name} cannot be found.", kind.word()))
}

impl Iam<'_> {
    /// The user or role of this name.
    ///
    /// # Errors
    /// [`IamError::Missing`] where it is not there.
    pub(crate) fn identity(&self, kind: Kind, name: &str) -> Result<Identity, IamError> {
        Identity::find(self.records, kind, name)?.ok_or_else(|| missing(kind, name))
    }

    /// The role of this ARN.
    ///
    /// # Errors
    /// [`IamError::Missing`] where it is not there.
    pub(crate) fn role(&self, arn: &str) -> Result<Identity, IamError> {
        let absent = || IamError::Missing(format!("The role {arn} cannot be found."));
        let prefix = format!("arn:aws:iam::{}:role/", self.account);
        let (_, name) = path_and_name(arn.strip_prefix(&prefix).ok_or_else(absent)?);
        let role = Identity::find(self.records, Kind::Role, name)?;
        role.filter(|role| role.arn(self.account) == arn).ok_or_else(absent)
    }

    /// All of a kind whose path starts with `path_prefix`, by name.
    pub(crate) fn identities(&self, kind: Kind, path_prefix: &str) -> Result<Vec<Identity>, IamError> {
        let mut all = Identity::all(self.records, kind)?;
        all.retain(|identity| identity.path.starts_with(path_prefix));
        Ok(all)
    }

    /// Makes a user or role.
    pub(crate) fn create(&self, kind: Kind, new: NewIdentity, now: Timestamp) -> Result<Identity, IamError> {
        let path = new.path.unwrap_or_else(|| "/".to_owned());
        check_name(&new.name, kind.field(), IDENTITY_NAME_CHARS_MAX)?;
        check_path(&path)?;
        new.trust.as_ref().map_or(Ok(()), check_trust)?;
        let mut tags = Tags::new();
        set_tags(&mut tags, new.tags)?;
        let _turn = self.records.turn();
        if let Some(arn) = &new.boundary {
            self.attachable(arn)?;
        }
        let (prefix, limit, quota) = match kind {
            Kind::User => ("AIDA", USERS_MAX, "UsersPerAccount"),
            Kind::Role => ("AROA", ROLES_MAX, "RolesPerAccount"),
        };
        let key = Identity::key(kind, &new.name);
        if self.records.get::<Identity>(&key)?.is_some() {
            return Err(exists(kind, &new.name));
        }
        if self.records.keys(&Key::prefix(&[kind.record()], ""))?.len() >= limit {
            return Err(IamError::Limit(format!("Cannot exceed quota for {quota}: {limit}")));
        }
        let identity = Identity {
            kind,
            name: new.name,
            path,
            id: unique_id(prefix),
            created: seconds(now),
            tags,
            inline: Tags::new(),
            attached: Vec::new(),
            boundary: new.boundary,
            trust: new.trust,
        };
        let mut change = Write::new();
        put(&mut change, &key, &identity);
        self.commit(change)?;
        Ok(identity)
    }

    /// Changes a user or role by `edit`, whose result this is; nothing is written where it refuses.
    pub(crate) fn change<T>(
        &self,
        kind: Kind,
        name: &str,
        edit: impl FnOnce(&mut Identity) -> Result<T, IamError>,
    ) -> Result<T, IamError> {
        let _turn = self.records.turn();
        let mut identity = self.identity(kind, name)?;
        let done = edit(&mut identity)?;
        let mut change = Write::new();
        put(&mut change, &Identity::key(kind, name), &identity);
        self.commit(change)?;
        Ok(done)
    }

    /// Gives a user another name or path; its keys go with it.
    pub(crate) fn rename_user(
        &self,
        name: &str,
        new_name: Option<String>,
        new_path: Option<String>,
    ) -> Result<(), IamError> {
        if let Some(new_name) = &new_name {
            check_name(new_name, "newUserName", IDENTITY_NAME_CHARS_MAX)?;
        }
        new_path.as_deref().map_or(Ok(()), check_path)?;
        let _turn = self.records.turn();
        let mut user = self.identity(Kind::User, name)?;
        let (old, new) = (Identity::key(Kind::User, name), new_name.unwrap_or_else(|| name.to_owned()));
        let key = Identity::key(Kind::User, &new);
        if key != old && self.records.get::<Identity>(&key)?.is_some() {
            return Err(exists(Kind::User, &new));
        }
        user.name = new;
        user.path = new_path.unwrap_or(user.path);
        let mut change = Write::new();
        delete(&mut change, &old);
        put(&mut change, &key, &user);
        let keys = access_keys::of_user(self.records, &user.id)?;
        self.commit(change)?;
        for key in keys {
            self.keys.hold(key, user.as_user(self.account));
        }
        Ok(())
    }

    /// Deletes a user or role that has nothing any more.
    pub(crate) fn delete(&self, kind: Kind, name: &str) -> Result<(), IamError> {
        let _turn = self.records.turn();
        let identity = self.identity(kind, name)?;
        let in_use = |what: &str| IamError::InUse(format!("Cannot delete entity, must {what} first."));
        if !access_keys::of_user(self.records, &identity.id)?.is_empty() {
            return Err(in_use("delete access keys"));
        }
        if !identity.attached.is_empty() {
            return Err(in_use("detach all policies"));
        }
        if !identity.inline.is_empty() {
            return Err(in_use("delete policies"));
        }
        let mut change = Write::new();
        delete(&mut change, &Identity::key(kind, name));
        self.commit(change)
    }

    /// Adds tags.
    pub(crate) fn tag(&self, kind: Kind, name: &str, tags: Tags) -> Result<(), IamError> {
        self.change(kind, name, |identity| set_tags(&mut identity.tags, tags))
    }

    /// Takes tags away.
    pub(crate) fn untag(&self, kind: Kind, name: &str, keys: &[String]) -> Result<(), IamError> {
        self.change(kind, name, |identity| {
            identity.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    /// Changes who may act in a role, and for how long.
    pub(crate) fn change_trust(&self, role: &str, edit: impl FnOnce(&mut Trust)) -> Result<(), IamError> {
        self.change(Kind::Role, role, |identity| {
            let trust = identity.trust.as_mut().ok_or_else(|| missing(Kind::Role, role))?;
            edit(trust);
            check_trust(trust)
        })
    }
}

fn exists(kind: Kind, name: &str) -> IamError {
    IamError::Exists(format!("{} with name {name} already exists.", kind.title()))
}
