/*!
[`Installation`]: what the server has of its machine, for those who look after it: the data folder, the settings and the
store as it lies on disk. Where things lie in the data folder is told here.
*/

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use nightbell_store::LocalStore;
use nightbell_store::backup::RESTORING_FOLDER;
use tokio::sync::Semaphore;

use crate::config::Config;

/// A data folder in use.
pub(crate) struct Installation {
    /// What the server runs on.
    pub(crate) config: Config,
    /// The store.
    pub(crate) store: Arc<LocalStore>,
    /// Room for one backup at a time.
    pub(crate) backups: Semaphore,
}

impl Installation {
    /// The installation of this store.
    pub(crate) fn new(config: Config, store: Arc<LocalStore>) -> Self {
        Self { config, store, backups: Semaphore::new(1) }
    }

    /// Why no events are taken now, as `/healthz` tells it.
    pub(crate) fn refusal(&self) -> Option<String> {
        let refusal = self.store.refusal()?;
        Some(match refusal.disk_limit() {
            Some((bytes, bytes_max)) => format!(
                "throttled: the disk limit is reached, no events are taken: {bytes} bytes are used and disk_bytes_max \
                 is {bytes_max}"
            ),
            None => format!("no events are taken: {refusal}"),
        })
    }
}

/// Where the store lies.
pub(crate) fn store_folder(data: &Path) -> PathBuf {
    data.join("store")
}

/// Where the archive lies, unless it is configured to lie elsewhere.
pub(crate) fn archive_folder(data: &Path) -> PathBuf {
    data.join("archive")
}

/// Where the contents of objects lie.
pub(crate) fn buckets_folder(data: &Path) -> PathBuf {
    data.join("buckets")
}

/// Refuses a data folder in which a restore was cut short.
pub(crate) fn refuse_half_restored(data: &Path) -> Result<()> {
    if data.join(RESTORING_FOLDER).exists() {
        bail!(
            "a restore into {} did not come to its end; run `nightbell restore` again before anything else",
            data.display()
        );
    }
    Ok(())
}
