/*!
[`Objects`]: the object store behind the archive, with the store's errors and with limits on what is read.

Knows paths and bytes, not what they mean.
*/

use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::fingerprint::{Fingerprint, Hashing};
use crate::StoreError;
use crate::error::Cause;

/// Bytes of the largest object that is read as a whole.
pub(super) const OBJECT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Where the files of the archive lie.
#[derive(Clone)]
pub(super) struct Objects(Arc<dyn ObjectStore>);

impl Objects {
    pub(super) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self(store)
    }

    /// A folder of this machine; what is written there is synced before it counts as written.
    pub(super) fn folder(folder: &FilePath) -> Result<Self, StoreError> {
        let opened = create_folder(folder)
            .map_err(|error| error.to_string())
            .and_then(|()| LocalFileSystem::new_with_prefix(folder).map_err(|error| error.to_string()));
        let store = opened.map_err(|error| Cause::open(folder, &error))?;
        Ok(Self(Arc::new(store.with_fsync(true).with_automatic_cleanup(true))))
    }

    pub(super) async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let put = self.0.put(&place(path)?, PutPayload::from_bytes(bytes)).await;
        put.map(|_| ()).map_err(|error| refused(path, &error))
    }

    /// Puts an object where none is, or the same: a put whose answer was lost is tried again.
    pub(super) async fn create(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let options = PutOptions::from(PutMode::Create);
        match self.0.put_opts(&place(path)?, PutPayload::from_bytes(bytes.clone()), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) if self.get(path).await? == Some(bytes) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                Err(Cause::Ahead { path: path.to_owned() }.into())
            }
            Err(error) => Err(refused(path, &error)),
        }
    }

    /// Whether there is such an object.
    pub(super) async fn holds(&self, path: &str) -> Result<bool, StoreError> {
        match self.0.head(&place(path)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(refused(path, &error)),
        }
    }

    /// A whole object, or `None` where there is none.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        let got = match self.0.get(&place(path)?).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(refused(path, &error)),
        };
        if got.meta.size > OBJECT_BYTES_MAX {
            let reason = format!(
                "has more bytes than are read. bytes={}, bytes_max={OBJECT_BYTES_MAX}",
                got.meta.size
            );
            return Err(Cause::Archive { path: path.to_owned(), reason }.into());
        }
        got.bytes().await.map(Some).map_err(|error| refused(path, &error))
    }

    /// Some bytes of an object; fewer where it ends before.
    pub(super) async fn range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let got = self.0.get_range(&place(path)?, range).await;
        got.map_err(|error| not_got(path, error))
    }

    /// Some runs of bytes of an object, opened once; an error where it ends before one.
    pub(super) async fn ranges(&self, path: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, StoreError> {
        let got = self.0.get_ranges(&place(path)?, ranges).await;
        got.map_err(|error| not_got(path, error))
    }

    /// The SHA-256 of an object, or `None` where there is none; read as a stream.
    pub(super) async fn sha256(&self, path: &str) -> Result<Option<Fingerprint>, StoreError> {
        self.pour(path, &mut |_| Ok(())).await
    }

    /// Hands an object over piece by piece; returns its SHA-256, or `None` where there is none.
    pub(super) async fn pour(
        &self,
        path: &str,
        take: &mut (dyn FnMut(&[u8]) -> Result<(), StoreError> + Send),
    ) -> Result<Option<Fingerprint>, StoreError> {
        let got = match self.0.get(&place(path)?).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(refused(path, &error)),
        };
        let mut hashing = Hashing::default();
        let mut chunks = got.into_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| refused(path, &error))?;
            hashing.update(&chunk);
            take(&chunk)?;
        }
        Ok(Some(hashing.finish()))
    }

    /// Deletes an object; one that is not there counts as deleted.
    pub(super) async fn delete(&self, path: &str) -> Result<(), StoreError> {
        match self.0.delete(&place(path)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(refused(path, &error)),
        }
    }

    /// Calls `visit` with the path and size of each object below a folder, in no certain order.
    pub(super) async fn list(
        &self,
        folder: Option<&str>,
        mut visit: impl FnMut(&str, u64),
    ) -> Result<(), StoreError> {
        let prefix = folder.map(place).transpose()?;
        let mut listed = self.0.list(prefix.as_ref()).map_err(|error| refused(folder.unwrap_or("/"), &error));
        while let Some(object) = listed.next().await {
            let ObjectMeta { location, size, .. } = object?;
            visit(location.as_ref(), size);
        }
        Ok(())
    }
}

fn place(path: &str) -> Result<Path, StoreError> {
    Path::parse(path).map_err(|error| refused(path, &error))
}

fn not_got(path: &str, error: object_store::Error) -> StoreError {
    match error {
        object_store::Error::NotFound { .. } => missing(path),
        error => refused(path, &error),
    }
}

fn refused(path: &str, error: &dyn std::fmt::Display) -> StoreError {
    Cause::Object { path: path.to_owned(), error: error.to_string() }.into()
}

/// An object that should be there and is not.
pub(super) fn missing(path: &str) -> StoreError {
    Cause::Archive { path: path.to_owned(), reason: "is missing".to_owned() }.into()
}

/// Creates the folder, for its owner alone: what it holds is confidential.
fn create_folder(folder: &FilePath) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
