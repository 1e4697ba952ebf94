/*!
[`StoreError`]: what went wrong, said so that a caller can act ([`Kind`]) and an operator can find it (the message).

Messages carry facts as `key=value` at the end. They name folders and positions, never the content of events.
*/

use std::path::Path;
use std::sync::Arc;

use crate::{Position, Space, Stream};

/// What the caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The call itself is wrong; repeating it changes nothing.
    Invalid,
    /// Something else came first: an expectation of a write does not hold, or another process has the folder.
    Conflict,
    /// Too much is waiting to be written, or the folder is as large as it may be; nothing was stored. Try again after a
    /// pause.
    Throttled,
    /// The disk refuses or the store is closed; what was asked may or may not have been stored. Try again later.
    Unavailable,
    /// Stored bytes are not what was written; repeating changes nothing, a person has to look.
    Broken,
}

/// A failed call to the store.
///
/// Cheap to clone: one failed write answers every caller that shared it.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(Arc<Cause>);

impl StoreError {
    /// What the caller can do.
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// The position whose entry cannot be read, when that is the trouble: a reader that can live without the entry
    /// goes on at [`Position::next`].
    pub fn position(&self) -> Option<Position> {
        match *self.0 {
            Cause::Block { position, .. } | Cause::Missing { position } => Some(position),
            _ => None,
        }
    }
}

impl StoreError {
    /// Bytes used and bytes allowed, when the limit of the disk is the trouble.
    pub fn disk_limit(&self) -> Option<(u64, u64)> {
        match *self.0 {
            Cause::DiskLimit { bytes, bytes_max } => Some((bytes, bytes_max)),
            _ => None,
        }
    }
}

impl From<Cause> for StoreError {
    fn from(cause: Cause) -> Self {
        Self(Arc::new(cause))
    }
}

/// Every mishap with its facts; callers see [`Kind`] and the message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("batch has no events. group={group}, stream={stream}")]
    EmptyBatch { group: String, stream: String },
    #[error("batch is too large. bytes={bytes}, bytes_max={bytes_max}")]
    LargeBatch { bytes: usize, bytes_max: usize },
    #[error("key must have 1 to {bytes_max} bytes. space={space}, bytes={bytes}")]
    KeyLength { space: &'static str, bytes: usize, bytes_max: usize },
    #[error("value is too large. target={target}, bytes={bytes}, bytes_max={bytes_max}")]
    LargeValue { target: &'static str, bytes: usize, bytes_max: usize },
    #[error(
        "scan found more than it may return without a limit; set one and page. space={space}, entries_max={entries_max}"
    )]
    LargeScan { space: &'static str, entries_max: usize },
    #[error(
        "folder was written by a newer version; start that version, or restore a backup that was made before the upgrade. folder={folder}, format={format}, format_max={format_max}"
    )]
    NewerFormat { folder: String, format: u32, format_max: u32 },
    #[error("folder is in use by another process. folder={folder}")]
    Locked { folder: String },
    #[error("entry is not as the write expects it. space={space}")]
    Expectation { space: &'static str },
    #[error("too much waits to be written. bytes={bytes}, bytes_max={bytes_max}")]
    Pending { bytes: usize, bytes_max: usize },
    #[error(
        "folder is as large as it may be; it takes batches again when old ones are trimmed. bytes={bytes}, bytes_max={bytes_max}"
    )]
    DiskLimit { bytes: u64, bytes_max: u64 },
    #[error("copying was ended before it was done")]
    Halted,
    #[error("store was opened anew while it was copied; try again. folder={folder}")]
    Reopened { folder: String },
    #[error("backup is refused: {reason}. folder={folder}")]
    Backup { folder: String, reason: String },
    #[error("file of the backup {reason}. file={file}")]
    BackupFile { file: String, reason: String },
    #[error("backup cannot be written or read: {error}. path={path}")]
    BackupPath { path: String, error: String },
    #[error("store is closed. folder={folder}")]
    Closed { folder: String },
    #[error(
        "disk refuses writes and is tried again every second; is it full? folder={folder}, error={error}"
    )]
    Refused { folder: String, error: String },
    #[error("store cannot be opened. folder={folder}, error={error}")]
    Open { folder: String, error: String },
    #[error("read failed. folder={folder}, error={error}")]
    Read { folder: String, error: String },
    #[error("stored block is damaged: {reason}. position={position}")]
    Block { position: Position, reason: String },
    #[error("stored block is missing. position={position}")]
    Missing { position: Position },
    #[error("file of the archive {reason}. path={path}")]
    Archive { path: String, reason: String },
    #[error("blocks were archived before or are out of order. position={position}, archived={archived}")]
    ArchivedBefore { position: Position, archived: Position },
    #[error("archive has a step that the catalog does not know; recover first. path={path}")]
    Ahead { path: String },
    #[error("files of different groups or hours are not merged. path={path}")]
    Unlike { path: String },
    #[error("archive cannot be reached: {error}. path={path}")]
    Object { path: String, error: String },
    #[error("export cannot be written: {error}")]
    Export { error: String },
    #[error("blob cannot be written or read: {error}. path={path}")]
    Blob { path: String, error: String },
    #[error("blob is missing. path={path}")]
    BlobMissing { path: String },
    #[error("archive's bucket cannot be opened: {error}. bucket={bucket}")]
    Bucket { bucket: String, error: String },
    #[error("chain of the archive is broken: {reason}. number={number}")]
    Chain { number: u64, reason: String },
    #[error("stored entry is damaged: {reason}. place={place}")]
    Entry { place: &'static str, reason: String },
    #[error("stored file is damaged: {reason}; restore a copy of the folder. file={file}")]
    File { file: String, reason: String },
    #[error(
        "write log is damaged, and this is no torn write; restore a copy of the folder. log={log}, offset={offset}, bytes={bytes}"
    )]
    Damage { log: String, offset: u64, bytes: u64 },
}

impl Cause {
    fn kind(&self) -> Kind {
        match self {
            Self::EmptyBatch { .. }
            | Self::LargeBatch { .. }
            | Self::KeyLength { .. }
            | Self::LargeValue { .. }
            | Self::LargeScan { .. }
            | Self::ArchivedBefore { .. }
            | Self::Unlike { .. }
            | Self::NewerFormat { .. } => Kind::Invalid,
            Self::Locked { .. } | Self::Expectation { .. } | Self::Ahead { .. } | Self::Backup { .. } => {
                Kind::Conflict
            }
            Self::Pending { .. } | Self::DiskLimit { .. } => Kind::Throttled,
            Self::Halted
            | Self::Reopened { .. }
            | Self::BackupPath { .. }
            | Self::Closed { .. }
            | Self::Refused { .. }
            | Self::Open { .. }
            | Self::Read { .. }
            | Self::Bucket { .. }
            | Self::Export { .. }
            | Self::Blob { .. }
            | Self::Object { .. } => Kind::Unavailable,
            Self::Archive { .. }
            | Self::Chain { .. }
            | Self::BackupFile { .. }
            | Self::BlobMissing { .. }
            | Self::Block { .. }
            | Self::Missing { .. }
            | Self::Entry { .. }
            | Self::File { .. }
            | Self::Damage { .. } => Kind::Broken,
        }
    }

    pub(crate) fn closed(folder: &Path) -> StoreError {
        Self::Closed { folder: folder.display().to_string() }.into()
    }

    pub(crate) fn refused(folder: &Path, error: &dyn std::fmt::Display) -> StoreError {
        Self::Refused { folder: folder.display().to_string(), error: error.to_string() }.into()
    }

    pub(crate) fn open(folder: &Path, error: &dyn std::fmt::Display) -> StoreError {
        Self::Open { folder: folder.display().to_string(), error: error.to_string() }.into()
    }

    pub(crate) fn backup(folder: &Path, reason: impl Into<String>) -> StoreError {
        Self::Backup { folder: folder.display().to_string(), reason: reason.into() }.into()
    }

    pub(crate) fn backup_file(file: &Path, reason: impl Into<String>) -> StoreError {
        Self::BackupFile { file: file.display().to_string(), reason: reason.into() }.into()
    }

    pub(crate) fn backup_path(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
        Self::BackupPath { path: path.display().to_string(), error: error.to_string() }.into()
    }

    pub(crate) fn blob(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
        Self::Blob { path: path.display().to_string(), error: error.to_string() }.into()
    }

    pub(crate) fn blob_missing(path: &Path) -> StoreError {
        Self::BlobMissing { path: path.display().to_string() }.into()
    }

    pub(crate) fn read(folder: &Path, error: &dyn std::fmt::Display) -> StoreError {
        Self::Read { folder: folder.display().to_string(), error: error.to_string() }.into()
    }

    pub(crate) fn expectation(space: Space) -> StoreError {
        Self::Expectation { space: space.name() }.into()
    }

    pub(crate) fn missing_entry(stream: Stream, position: Position) -> StoreError {
        Self::Entry { place: stream.name(), reason: format!("entry {position} is missing") }.into()
    }

    pub(crate) fn stream_key(stream: Stream) -> StoreError {
        Self::Entry { place: stream.name(), reason: "key is not a position".to_owned() }.into()
    }
}
