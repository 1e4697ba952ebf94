/*!
Access keys in memory: which secret and which principal an id stands for.

Users' keys are read from the catalog at start ([`Keys::load`]) and follow each commit (`manage::iam`). Temporary keys are
kept nowhere: their session token says, under our seal (`seal`), whose they are and until when. What principals may do is
compiled once and kept until something changes (`compiled`).
*/

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use nightbell_core::policy::{Facts, Policies, Policy, PolicyKind, Principal as Asks, Request, evaluate};
use nightbell_core::time::{SECOND_MS, Timestamp};
use nightbell_wire::sigv4::{Scope, SigError};

use crate::app::App;
use crate::auth::{Holder, Session, User};
use crate::catalog::{Failure, Records};
use crate::credentials::AccessKey;
use crate::manage::iam::access_keys::{KeyRecord, LastUse};
use crate::manage::iam::{self, Iam, IamError};
pub(crate) use compiled::Compiled;
use seal::Seal;
pub(crate) use seal::{Credentials, TOKEN_BYTES_MAX};

mod compiled;
mod seal;

/// How long after the use that was last noted the next one is noted.
const USE_NOTED_EVERY_MS: i64 = 3_600 * SECOND_MS;

/// The keys of an installation.
pub(crate) struct Keys {
    held: RwLock<HashMap<String, Held>>,
    seal: RwLock<Seal>,
    policies: compiled::Policies,
}

/// A user's key.
struct Held {
    secret: String,
    active: bool,
    user: Arc<User>,
    used: Option<Timestamp>,
}

/// A key that is known.
pub(crate) struct Found {
    /// What it signs with.
    pub(crate) secret: String,
    /// Whose it is.
    pub(crate) holder: Holder,
}

impl Keys {
    /// No keys of users; temporary keys end with the process until [`Keys::load`] has found the seal.
    pub(crate) fn new() -> Self {
        Self {
            held: RwLock::default(),
            seal: RwLock::new(Seal::made()),
            policies: compiled::Policies::default(),
        }
    }

    /// Takes over what the catalog holds, in place of what was held before.
    ///
    /// # Errors
    /// Where the catalog cannot be read or, at first start, written.
    pub(crate) fn load(&self, records: &Records, account: &str) -> Result<(), Failure> {
        let seal = Seal::find_or_make(records)?;
        let mut held = HashMap::new();
        for (key, user) in iam::access_keys::all(records, account)? {
            held.insert(key.id.clone(), Held::of(key, Arc::new(user)));
        }
        *self.seal.write().unwrap_or_else(PoisonError::into_inner) = seal;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        self.policies.forget();
        Ok(())
    }

    /// The key of an id. With a session token, it must be the one that was given out with the token.
    ///
    /// # Errors
    /// Unknown keys, those that are not active, tokens that are not ours, and those whose time is over.
    pub(crate) fn find(
        &self,
        root: &AccessKey,
        id: &str,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<Found, SigError> {
        if let Some(token) = token {
            let seal = self.seal.read().unwrap_or_else(PoisonError::into_inner);
            let opened = seal.open(id, token).ok_or_else(SigError::unknown_key)?;
            if now >= opened.expires {
                return Err(SigError::expired_token());
            }
            return Ok(Found { secret: opened.secret, holder: Holder::Session(Arc::new(opened.session)) });
        }
        if id == root.access_key_id {
            return Ok(Found { secret: root.secret_access_key.clone(), holder: Holder::Root });
        }
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let key = held.get(id).filter(|key| key.active).ok_or_else(SigError::unknown_key)?;
        Ok(Found { secret: key.secret.clone(), holder: Holder::User(Arc::clone(&key.user)) })
    }

    /// Holds a user's key from now on, in place of an earlier one of the same id.
    pub(crate) fn hold(&self, key: KeyRecord, user: User) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.insert(key.id.clone(), Held::of(key, Arc::new(user)));
    }

    /// Knows a user's key no more.
    pub(crate) fn drop_key(&self, id: &str) {
        self.held.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Compiles policies anew from now on.
    pub(crate) fn forget_policies(&self) {
        self.policies.forget();
    }

    /// What the policies of a user or role say.
    ///
    /// # Errors
    /// Where the catalog cannot be read, or a policy in it is damaged.
    pub(crate) fn policies(
        &self,
        records: &Records,
        account: &str,
        kind: iam::Kind,
        name: &str,
        id: &str,
    ) -> Result<Arc<Compiled>, Failure> {
        self.policies.of(records, account, kind, name, id)
    }

    /// Makes a temporary key for a session; whether it may be made was asked before.
    pub(crate) fn issue(&self, session: &Session, expires: Timestamp) -> Credentials {
        self.seal.read().unwrap_or_else(PoisonError::into_inner).issue(session, expires)
    }

    /// Notes that a user's key was used, once an hour; a note that cannot be written is left out.
    pub(crate) fn used(&self, records: &Records, id: &str, scope: &Scope, now: Timestamp) {
        let is_due = |held: &Held| {
            held.used.is_none_or(|used| now.as_millis() - used.as_millis() >= USE_NOTED_EVERY_MS)
        };
        if !self.held.read().unwrap_or_else(PoisonError::into_inner).get(id).is_some_and(is_due) {
            return;
        }
        let user_id = {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            let Some(key) = held.get_mut(id).filter(|key| is_due(key)) else { return };
            key.used = Some(now);
            key.user.id.clone()
        };
        let used = LastUse { at: now, service: scope.service.clone(), region: scope.region.clone() };
        if let Err(error) = iam::access_keys::note_use(records, &user_id, id, used) {
            tracing::warn!(%error, "the use of an access key could not be noted");
        }
    }
}

impl Held {
    fn of(key: KeyRecord, user: Arc<User>) -> Self {
        let used = key.last_use.map(|last| last.at);
        Self { secret: key.secret, active: key.active, user, used }
    }
}

/// A session of a role for a service that acts in it, as Lambda does for functions: the role's trust policy must let the
/// service in.
///
/// # Errors
/// [`IamError::Missing`] where the role is not there, [`IamError::Denied`] where it does not trust the service.
pub(crate) fn role_session(
    app: &App,
    service: &str,
    role_arn: &str,
    session: &str,
    now: Timestamp,
) -> Result<Session, IamError> {
    let role = Iam::of(app).role(role_arn)?;
    let trust = role.trust_policy()?;
    let names = [service];
    let principal = Asks::Service { names: &names };
    let facts = Facts::of(&principal, now);
    let request =
        Request { principal: &principal, action: "sts:AssumeRole", resource: role_arn, facts: &facts };
    let policies = Policies {
        resource: &[trust],
        resource_account: &app.account,
        resource_must_allow: true,
        ..Policies::default()
    };
    if !evaluate(&policies, &request).is_allowed() {
        let text =
            format!("The role {role_arn} cannot be assumed by {service}: its trust policy does not allow it");
        return Err(IamError::Denied(text));
    }
    Ok(role.session(&app.account, session, None, Vec::new()))
}

/// A document, compiled; one that is stored and cannot be read is damaged.
pub(crate) fn compile(text: &str, kind: PolicyKind) -> Result<Arc<Policy>, Failure> {
    Policy::parse(text, kind).map(Arc::new).map_err(|error| Failure::damaged(b"policy", &error))
}

#[cfg(test)]
mod tests;
