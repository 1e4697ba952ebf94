/*!
The seal of temporary keys: session tokens that say themselves whose they are, so that none has to be kept.

A token is a claim and its HMAC-SHA256 under a secret of the installation; the key's own secret is another HMAC over the
token. A token that was changed by one bit opens nothing. The secret of the installation lies in the catalog, so that
temporary keys outlive a restart and come with a backup.
*/

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use nightbell_core::time::Timestamp;
use nightbell_store::{Durability, Write};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::auth::Session;
use crate::catalog::{Failure, Key, Records, put};
use crate::credentials::{ID_LETTERS, random};

/// Longest session token, in bytes: two policies at their limits, written as base64, and some room.
pub(crate) const TOKEN_BYTES_MAX: usize = 12 << 10;
/// Bytes of an HMAC.
const TAG_BYTES: usize = 32;
/// What is mixed in, so that no tag is a secret and no secret a tag.
const TAG_OF: &[u8] = b"nightbell session token 1\0";
const SECRET_OF: &[u8] = b"nightbell session secret 1\0";

/// The secret of an installation. Not shown by `Debug`.
pub(super) struct Seal([u8; 32]);

/// Temporary credentials. The secret is not shown by `Debug`.
pub(crate) struct Credentials {
    /// `ASIA…`.
    pub(crate) access_key_id: String,
    /// What requests are signed with.
    pub(crate) secret_access_key: String,
    /// What goes with each request.
    pub(crate) session_token: String,
    /// From when on they are worth nothing.
    pub(crate) expires: Timestamp,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, secret withheld)", self.access_key_id)
    }
}

/// What a token says.
#[derive(Serialize, Deserialize)]
struct Claim {
    key: String,
    expires: Timestamp,
    arn: String,
    role_arn: String,
    role_id: String,
    role: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    policy_arns: Vec<String>,
}

/// A token that is ours.
pub(super) struct Opened {
    pub(super) secret: String,
    pub(super) session: Session,
    pub(super) expires: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct SealRecord {
    secret: String,
}

impl Seal {
    /// A new one.
    pub(super) fn made() -> Self {
        Self(rand::rng().random())
    }

    /// The installation's own, made where there is none.
    pub(super) fn find_or_make(records: &Records) -> Result<Self, Failure> {
        let key = Key::of(&["iam-seal"]);
        let damaged = || Failure::damaged(key.bytes(), &"the secret has not 32 bytes");
        if let Some(record) = records.get::<SealRecord>(&key)? {
            let bytes = STANDARD.decode(record.secret).map_err(|_| damaged())?;
            return Ok(Self(bytes.try_into().map_err(|_| damaged())?));
        }
        let seal = Self::made();
        let mut change = Write::new();
        put(&mut change, &key, &SealRecord { secret: STANDARD.encode(seal.0) });
        records.store().commit(change, Durability::Disk)?;
        Ok(seal)
    }

    /// A temporary key of a session.
    pub(super) fn issue(&self, session: &Session, expires: Timestamp) -> Credentials {
        let access_key_id = format!("ASIA{}", random(16, ID_LETTERS));
        let claim = Claim {
            key: access_key_id.clone(),
            expires,
            arn: session.arn.clone(),
            role_arn: session.role_arn.clone(),
            role_id: session.role_id.clone(),
            role: session.role.clone(),
            name: session.name.clone(),
            policy: session.policy.clone(),
            policy_arns: session.policy_arns.clone(),
        };
        let mut bytes = serde_json::to_vec(&claim).expect("a claim is plain data");
        let tag = self.mac(TAG_OF, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        let session_token = URL_SAFE_NO_PAD.encode(bytes);
        let secret_access_key = self.secret(&session_token);
        Credentials { access_key_id, secret_access_key, session_token, expires }
    }

    /// What a token says; nothing where it is not ours, or not that of the key.
    pub(super) fn open(&self, id: &str, token: &str) -> Option<Opened> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (claim, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        self.mac(TAG_OF, claim).verify_slice(tag).ok()?;
        let claim: Claim = serde_json::from_slice(claim).ok()?;
        if claim.key != id {
            return None;
        }
        let Claim { expires, arn, role_arn, role_id, role, name, policy, policy_arns, .. } = claim;
        let session = Session { arn, role_arn, role_id, role, name, policy, policy_arns };
        Some(Opened { secret: self.secret(token), session, expires })
    }

    fn secret(&self, token: &str) -> String {
        STANDARD.encode(&self.mac(SECRET_OF, token.as_bytes()).finalize().into_bytes()[..30])
    }

    fn mac(&self, of: &[u8], text: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(of);
        mac.update(text);
        mac
    }
}
