/*!
The root key: given by the environment, or made at first start and kept readable by its owner only.
*/

use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::bounded::read_text;

const ID_VARIABLE: &str = "NIGHTBELL_ROOT_ACCESS_KEY_ID";
const SECRET_VARIABLE: &str = "NIGHTBELL_ROOT_SECRET_ACCESS_KEY";

/// An access key. Its secret never appears in `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKey {
    /// The public part, 16 to 128 letters and digits.
    pub(crate) access_key_id: String,
    /// The secret part.
    pub(crate) secret_access_key: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKey({}, secret withheld)", self.access_key_id)
    }
}

/// Where the key of an installation is kept.
pub(crate) fn key_file(data: &Path) -> PathBuf {
    data.join("root-key.toml")
}

/// The root key: from the environment, else from the data folder; `None` where there is none yet.
pub(crate) fn find(data: &Path) -> Result<Option<AccessKey>> {
    let given = (std::env::var(ID_VARIABLE).ok(), std::env::var(SECRET_VARIABLE).ok());
    match given {
        (Some(access_key_id), Some(secret_access_key)) => {
            let key = AccessKey { access_key_id, secret_access_key };
            check(&key)?;
            return Ok(Some(key));
        }
        (None, None) => {}
        _ => bail!("{ID_VARIABLE} and {SECRET_VARIABLE} go together; only one is set"),
    }
    let path = key_file(data);
    if !path.exists() {
        return Ok(None);
    }
    let text = read_text(&path).with_context(|| format!("cannot read the root key {}", path.display()))?;
    // The parser's message would quote the line, and with it the secret.
    let key: AccessKey = toml::from_str(&text).map_err(|_| {
        anyhow::anyhow!("the root key file {} is damaged; restore or remove it", path.display())
    })?;
    check(&key).with_context(|| format!("the root key in {}", path.display()))?;
    Ok(Some(key))
}

/// The root key, made and written where there is none. Tells whether it was made now.
pub(crate) fn find_or_make(data: &Path) -> Result<(AccessKey, bool)> {
    if let Some(key) = find(data)? {
        return Ok((key, false));
    }
    let key = AccessKey {
        access_key_id: format!("AKIA{}", random(16, ID_LETTERS)),
        secret_access_key: random(40, SECRET_LETTERS),
    };
    let path = key_file(data);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write the root key {}", path.display()))?;
    file.write_all(toml::to_string(&key).context("a key is plain text")?.as_bytes())?;
    file.sync_all()?;
    Ok((key, true))
}

/// Letters of ids.
pub(crate) const ID_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Letters of secrets.
pub(crate) const SECRET_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// `length` letters drawn by the system's random source.
pub(crate) fn random(length: usize, letters: &[u8]) -> String {
    let mut source = rand::rng();
    (0..length).map(|_| char::from(letters[source.random_range(0..letters.len())])).collect()
}

fn check(key: &AccessKey) -> Result<()> {
    let id = &key.access_key_id;
    if !(3..=128).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        bail!("access_key_id ({ID_VARIABLE}) is not 3 to 128 letters and digits");
    }
    if key.secret_access_key.len() < 8 {
        bail!("secret_access_key ({SECRET_VARIABLE}) is shorter than 8 characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let (first, made) = find_or_make(folder.path()).unwrap();
        let (second, again) = find_or_make(folder.path()).unwrap();
        assert!(made && !again);
        assert_eq!(first.access_key_id, second.access_key_id);
        assert_eq!(first.secret_access_key, second.secret_access_key);
        let mode = std::fs::metadata(key_file(folder.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(&first.secret_access_key));
    }
}
