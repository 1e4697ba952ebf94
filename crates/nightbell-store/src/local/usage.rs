/*!
[`Usage`]: how much disk the folder takes, and the limit at which no more batches are accepted.

The files are added up when a share of what is there has been written since, not at every write; what was written since
counts as it is. Where there is a limit, the figure is exact when it is asked for; where there is none, nobody waits for a
look at all files of a large archive: a thread takes it. Knows nothing of what the files hold.
*/

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::StoreError;
use crate::error::Cause;

/// Bytes that are written between two measurements, at least.
const MEASURE_BYTES: u64 = 4 * 1024 * 1024;

/// The share of what is there that is written between two measurements: one part in so many.
const MEASURE_SHARE: u64 = 1_024;

/// Folders below the store's own.
const DEPTH_MAX: usize = 4;

/// The disk use of a folder.
pub(super) struct Usage {
    files: Arc<Files>,
    /// 0 for no limit.
    bytes_max: u64,
}

/// What is measured.
struct Files {
    folder: PathBuf,
    /// More folders that count.
    beside: Vec<PathBuf>,
    measured: AtomicU64,
    since: AtomicU64,
    /// A thread is at it.
    is_measuring: AtomicBool,
}

impl Usage {
    /// Measures a folder and those beside it; the latter a little later where there is no limit.
    pub(super) fn new(folder: &Path, beside: Vec<PathBuf>, bytes_max: u64) -> Self {
        let measured = AtomicU64::new(bytes_below(folder, DEPTH_MAX));
        let (folder, since, is_measuring) = (folder.to_owned(), 0.into(), false.into());
        let files = Files { folder, beside, measured, since, is_measuring };
        let usage = Self { files: Arc::new(files), bytes_max };
        if !usage.files.beside.is_empty() {
            usage.measure_soon();
        }
        usage
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.files.measured.load(Ordering::Relaxed) + self.files.since.load(Ordering::Relaxed)
    }

    /// Whether the limit is reached.
    pub(super) fn is_full(&self) -> bool {
        self.bytes_max > 0 && self.bytes() >= self.bytes_max
    }

    /// Refuses more while the limit is reached.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.is_full() {
            return Err(Cause::DiskLimit { bytes: self.bytes(), bytes_max: self.bytes_max }.into());
        }
        Ok(())
    }

    /// Counts bytes that were written.
    pub(super) fn add(&self, bytes: u64) {
        let since = self.files.since.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if since >= MEASURE_BYTES.max(self.files.measured.load(Ordering::Relaxed) / MEASURE_SHARE) {
            self.measure_soon();
        }
    }

    /// Adds the files up.
    pub(super) fn measure(&self) {
        self.files.measure();
    }

    /// Adds the files up: now, or by a thread where there is no limit.
    fn measure_soon(&self) {
        if self.bytes_max > 0 {
            return self.measure();
        }
        if self.files.is_measuring.swap(true, Ordering::AcqRel) {
            return;
        }
        let files = Arc::clone(&self.files);
        let started = std::thread::Builder::new().name("disk-usage".to_owned()).spawn(move || {
            files.measure();
            files.is_measuring.store(false, Ordering::Release);
        });
        if started.is_err() {
            self.files.is_measuring.store(false, Ordering::Release); // the next write tries again
        }
    }
}

impl Files {
    fn measure(&self) {
        self.since.store(0, Ordering::Relaxed);
        let beside: u64 = self.beside.iter().map(|folder| bytes_below(folder, DEPTH_MAX)).sum();
        self.measured.store(bytes_below(&self.folder, DEPTH_MAX) + beside, Ordering::Relaxed);
    }
}

/// Files that go or cannot be read meanwhile count nothing.
fn bytes_below(folder: &Path, depth_max: usize) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() && depth_max > 0 => bytes_below(&entry.path(), depth_max - 1),
        Ok(metadata) => allocated_bytes(&metadata),
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}

/// What a file takes of the disk: logs are longer than what is written of them.
#[cfg(unix)]
fn allocated_bytes(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn allocated_bytes(metadata: &Metadata) -> u64 {
    metadata.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn the_limit_is_told_with_the_use_and_ends_when_files_go() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("inner")).expect("a folder");
        let file = folder.path().join("inner/file");
        std::fs::write(&file, vec![1; 100_000]).expect("written");
        let inner = || folder.path().join("inner");
        let usage = Usage::new(folder.path(), Vec::new(), 100_000);
        let error = usage.check().expect_err("full");
        assert_eq!(error.kind(), Kind::Throttled);
        assert!(error.to_string().contains("bytes_max=100000"), "{error}");
        std::fs::remove_file(file).expect("removed");
        usage.measure();
        usage.check().expect("room");
        usage.add(100_000);
        assert!(usage.is_full(), "what was written since counts");
        usage.add(MEASURE_BYTES);
        usage.check().expect("measured again");
        Usage::new(folder.path(), Vec::new(), 0).check().expect("no limit");
        std::fs::write(inner().join("file"), vec![1; 60_000]).expect("written");
        let beside = Usage::new(&inner(), vec![inner()], 100_000);
        assert!(beside.is_full(), "the folder beside counts: {}", beside.bytes());
        let unlimited = Usage::new(&inner(), vec![inner()], 0);
        while unlimited.bytes() < beside.bytes() {
            std::thread::yield_now(); // the thread that looks comes to it
        }
        assert_eq!(unlimited.bytes(), beside.bytes());
    }
}
