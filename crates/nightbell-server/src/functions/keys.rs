/*!
The keys that functions sign with: made for one process, known to the server in memory only, gone with the process.
*/

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::auth::Session;
use crate::credentials::{AccessKey, random};

/// Letters of a session token.
const TOKEN_LETTERS: usize = 64;
const ID_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The key of one process. Its secrets never appear in `Debug`, for there is none.
#[derive(Clone)]
pub(crate) struct SessionKey {
    /// Id and secret.
    pub(crate) key: AccessKey,
    /// What must come with every request that it signs.
    pub(crate) token: String,
    /// The session of the role that the process works as.
    pub(crate) session: Arc<Session>,
}

type Known = Arc<RwLock<HashMap<String, SessionKey>>>;

/// All keys that are good now.
#[derive(Clone, Default)]
pub(crate) struct SessionKeys(Known);

/// A key that is good until this is dropped.
pub(crate) struct Lent {
    /// The key.
    pub(crate) key: SessionKey,
    known: Known,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let id = &self.key.key.access_key_id;
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl SessionKeys {
    /// Makes a key for a session of a role.
    pub(crate) fn lend(&self, session: Session) -> Lent {
        let key = SessionKey {
            key: AccessKey {
                access_key_id: format!("ASIA{}", random(16, ID_LETTERS)),
                secret_access_key: random(40, LETTERS),
            },
            token: random(TOKEN_LETTERS, LETTERS),
            session: Arc::new(session),
        };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(key.key.access_key_id.clone(), key.clone());
        Lent { key, known: Arc::clone(&self.0) }
    }

    /// The key of this id.
    pub(crate) fn find(&self, id: &str) -> Option<SessionKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_as_long_as_it_is_lent() {
        let keys = SessionKeys::default();
        let lent = keys.lend(Session::of_nobody("123456789012", "arn:aws:iam::123456789012:role/r", "f"));
        let id = lent.key.key.access_key_id.clone();
        assert!(keys.find(&id).is_some_and(|found| found.token == lent.key.token));
        drop(lent);
        assert!(keys.find(&id).is_none());
    }
}
