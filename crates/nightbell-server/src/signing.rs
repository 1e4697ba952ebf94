/*!
The key that signs notifications: made when the first one needs it, kept in the data folder, readable by its owner only.

An installation that sends to no program never has one. `nightbell_deliver::web` knows what the key is; here stands where it lies.
*/

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nightbell_core::time::Timestamp;
use nightbell_deliver::web::SigningKey;

use crate::bounded::read_text;

/// Where the key of an installation is kept.
pub(crate) fn key_file(data: &Path) -> PathBuf {
    data.join("signing-key.pem")
}

/// The installation's key, read or made when it is first asked for.
#[derive(Debug)]
pub(crate) struct Signing {
    file: Option<PathBuf>,
    key: Mutex<Option<Arc<SigningKey>>>,
}

impl Signing {
    /// The key of the data folder; without one it is kept in memory.
    pub(crate) fn new(data: Option<&Path>) -> Self {
        Self { file: data.map(key_file), key: Mutex::default() }
    }

    /// The key, made where there is none. Blocks and may compute for a moment.
    pub(crate) fn key(&self, now: Timestamp) -> Result<Arc<SigningKey>> {
        // Held meanwhile, so that only one is ever made.
        let mut held = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*held {
            return Ok(Arc::clone(key));
        }
        let key = match self.read()? {
            Some(key) => key,
            None => {
                let key = SigningKey::generate(now)?;
                if let Some(file) = &self.file {
                    write(file, &key).with_context(|| format!("cannot write {}", file.display()))?;
                }
                key
            }
        };
        let key = Arc::new(key);
        *held = Some(Arc::clone(&key));
        Ok(key)
    }

    /// The certificate that lies at `path`, where that is ours. Makes nothing.
    pub(crate) fn certificate(&self, path: &str) -> Result<Option<String>> {
        let mut held = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = self.read()?.map(Arc::new);
        }
        let key = held.as_ref().filter(|key| key.certificate_path() == path);
        Ok(key.map(|key| key.certificate_pem().to_owned()))
    }

    fn read(&self) -> Result<Option<SigningKey>> {
        let Some(file) = self.file.as_ref().filter(|file| file.exists()) else { return Ok(None) };
        let text = read_text(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Some(SigningKey::from_pem(&text).with_context(|| format!("{}", file.display()))?))
    }
}

/// Writes the key wholly or not at all.
fn write(file: &Path, key: &SigningKey) -> Result<()> {
    let beside = file.with_extension("pem.new");
    // One that a killed server has left is half written.
    let _ = std::fs::remove_file(&beside);
    let mut new = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    new.write_all(key.to_pem().as_bytes())?;
    new.sync_all()?;
    std::fs::rename(&beside, file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(1_789_364_521_123);
        let signing = Signing::new(Some(folder.path()));
        assert!(signing.certificate("/SimpleNotificationService-00.pem").unwrap().is_none());
        assert!(!key_file(folder.path()).exists(), "asking for a certificate makes none");
        let first = signing.key(now).unwrap();
        let again = Signing::new(Some(folder.path()));
        let shown = again.certificate(first.certificate_path()).unwrap();
        assert_eq!(shown.as_deref(), Some(first.certificate_pem()));
        assert_eq!(again.key(now).unwrap().certificate_path(), first.certificate_path());
        let mode = std::fs::metadata(key_file(folder.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
