/*!
Access keys of users. The secret is shown when a key is made and never again; it is kept, because a signature can be checked
by nothing less.
*/

use std::collections::HashMap;
use std::fmt;

use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::{ACCESS_KEYS_MAX, Iam, IamError, Identity, Kind, seconds};
use crate::auth::User;
use crate::catalog::{Failure, Key, Records, delete, put};
use crate::credentials::{ID_LETTERS, SECRET_LETTERS, random};

/// Letters of a secret.
const SECRET_CHARS: usize = 40;

/// An access key of a user. Its secret never appears in `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    /// `AKIA…`.
    pub(crate) id: String,
    /// What requests are signed with.
    pub(crate) secret: String,
    /// The unique id of the user.
    pub(crate) user_id: String,
    /// Whether it is taken.
    pub(crate) active: bool,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it was used, to the hour.
    #[serde(default)]
    pub(crate) last_use: Option<LastUse>,
}

/// When and for what a key was used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LastUse {
    /// When.
    pub(crate) at: Timestamp,
    /// The service that was asked, by its signing name.
    pub(crate) service: String,
    /// The region of the signature.
    pub(crate) region: String,
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRecord({}, secret withheld)", self.id)
    }
}

fn key(user_id: &str, id: &str) -> Key {
    Key::of(&["iam-key", user_id, id])
}

/// The keys of a user, by id.
pub(super) fn of_user(records: &Records, user_id: &str) -> Result<Vec<KeyRecord>, Failure> {
    records.list(&Key::prefix(&["iam-key", user_id], ""))
}

/// All keys, each with its user.
pub(crate) fn all(records: &Records, account: &str) -> Result<Vec<(KeyRecord, User)>, Failure> {
    let users: HashMap<String, Identity> =
        Identity::all(records, Kind::User)?.into_iter().map(|user| (user.id.clone(), user)).collect();
    let keys: Vec<KeyRecord> = records.list(&Key::prefix(&["iam-key"], ""))?;
    let with_user = |key: KeyRecord| {
        let user = users.get(&key.user_id)?.as_user(account);
        Some((key, user))
    };
    Ok(keys.into_iter().filter_map(with_user).collect())
}

/// Notes when a key was used; one that is gone meanwhile stays so.
pub(crate) fn note_use(records: &Records, user_id: &str, id: &str, used: LastUse) -> Result<(), Failure> {
    let _turn = records.turn();
    let key = key(user_id, id);
    let Some(mut record) = records.get::<KeyRecord>(&key)? else { return Ok(()) };
    record.last_use = Some(used);
    let mut change = Write::new();
    put(&mut change, &key, &record);
    records.commit(change)
}

impl Iam<'_> {
    /// Makes a key for a user.
    pub(crate) fn create_key(&self, user: &str, now: Timestamp) -> Result<KeyRecord, IamError> {
        let _turn = self.records.turn();
        let user = self.identity(Kind::User, user)?;
        if of_user(self.records, &user.id)?.len() >= ACCESS_KEYS_MAX {
            return Err(IamError::Limit(format!(
                "Cannot exceed quota for AccessKeysPerUser: {ACCESS_KEYS_MAX}"
            )));
        }
        let record = KeyRecord {
            id: format!("AKIA{}", random(16, ID_LETTERS)),
            secret: random(SECRET_CHARS, SECRET_LETTERS),
            user_id: user.id.clone(),
            active: true,
            created: seconds(now),
            last_use: None,
        };
        let mut change = Write::new();
        put(&mut change, &key(&user.id, &record.id), &record);
        self.commit(change)?;
        self.keys.hold(record.clone(), user.as_user(self.account));
        Ok(record)
    }

    /// The keys of a user, by id.
    pub(crate) fn keys_of(&self, user: &str) -> Result<Vec<KeyRecord>, IamError> {
        Ok(of_user(self.records, &self.identity(Kind::User, user)?.id)?)
    }

    /// A key by its id, and whose it is.
    pub(crate) fn key(&self, id: &str) -> Result<(KeyRecord, User), IamError> {
        let found = all(self.records, self.account)?.into_iter().find(|(key, _)| key.id == id);
        found.ok_or_else(|| no_key(id))
    }

    /// Has a key taken or not, from now on.
    pub(crate) fn set_key_active(&self, user: &str, id: &str, active: bool) -> Result<(), IamError> {
        let _turn = self.records.turn();
        let user = self.identity(Kind::User, user)?;
        let place = key(&user.id, id);
        let mut record: KeyRecord = self.records.get(&place)?.ok_or_else(|| no_key(id))?;
        record.active = active;
        let mut change = Write::new();
        put(&mut change, &place, &record);
        self.commit(change)?;
        self.keys.hold(record, user.as_user(self.account));
        Ok(())
    }

    /// Deletes a key.
    pub(crate) fn delete_key(&self, user: &str, id: &str) -> Result<(), IamError> {
        let _turn = self.records.turn();
        let user = self.identity(Kind::User, user)?;
        let place = key(&user.id, id);
        if self.records.get::<KeyRecord>(&place)?.is_none() {
            return Err(no_key(id));
        }
        let mut change = Write::new();
        delete(&mut change, &place);
        self.commit(change)?;
        self.keys.drop_key(id);
        Ok(())
    }
}

fn no_key(id: &str) -> IamError {
    IamError::Missing(format!("The Access Key with id {id} cannot be found."))
}
