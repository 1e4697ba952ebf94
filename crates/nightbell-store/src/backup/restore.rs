/*!
[`restore`]: puts a backup into an empty data folder.

Everything is compared with the list before a byte is written, is written beside its place, is read again there, and is put
in place by renaming. A restore that was cut short leaves [`RESTORING_FOLDER`], in which case nothing else of the data folder
counts: it is begun anew by the next one, and a server does not start there.
*/

use std::fs::File;
use std::io::{Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::{self, FileList, MANIFEST_FILE, Manifest};
use super::{ARCHIVE_FOLDER, LOST_AND_FOUND, Phase, Progress, Reach, STORE_FOLDER, remove_folder};
use crate::archive::{Apart, Archive, Fingerprint, Hashing};
use crate::error::Cause;
use crate::files;
use crate::{Catalog, Journal, LocalStore, Options, StoreError};

/// Where files stand until all of them are there.
pub const RESTORING_FOLDER: &str = "restoring";

/// What a restore came to.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The backup.
    pub manifest: Manifest,
    /// Bytes that were written.
    pub bytes: u64,
    /// The number of a later backup in the same folder that is not complete.
    pub unfinished: Option<u64>,
}

/// Restores the backup in `folder` into the data folder `data`, which must be empty or missing.
///
/// # Errors
///
/// `Conflict` when there is no complete backup or the data folder holds something; `Broken` with the name of the file that
/// is not what was backed up; `Unavailable` when something cannot be read or written, or when `reach` has ended it.
pub async fn restore(folder: &Path, data: &Path, reach: Reach<'_>) -> Result<Restored, StoreError> {
    let begun = manifest::begun(folder)?;
    let Some(manifest) = Manifest::read(folder)? else {
        let reason = match begun {
            Some(_) => "it was never finished: make it again, or restore another one".to_owned(),
            None => format!("there is none: {MANIFEST_FILE} is missing"),
        };
        return Err(Cause::backup(folder, reason));
    };
    refuse_taken(data)?;
    let total = check(folder, &manifest, reach)?;
    let failed = |error: std::io::Error| Cause::backup_path(data, &error);
    files::make_folder(data).map_err(failed)?;
    let inner = clear(data)?;
    let bytes = copy(folder, &manifest, &inner, total, reach)?;
    verify(&inner, reach).await?;
    put_in_place(&inner, data)?;
    let unfinished = begun.map(|begun| begun.number).filter(|number| *number > manifest.number);
    Ok(Restored { manifest, bytes, unfinished })
}

/// Refuses a data folder that holds something, unless it is what a restore has left.
fn refuse_taken(data: &Path) -> Result<(), StoreError> {
    if !data.is_dir() || data.join(RESTORING_FOLDER).is_dir() {
        return Ok(());
    }
    let failed = |error: std::io::Error| Cause::backup_path(data, &error);
    for entry in std::fs::read_dir(data).map_err(failed)? {
        if entry.map_err(failed)?.file_name() != LOST_AND_FOUND {
            let reason = "the data folder is not empty; stop the server if one runs there, move what is there \
                          away, or name another folder";
            return Err(Cause::backup(data, reason));
        }
    }
    Ok(())
}

/// Compares every file with the list; returns how many bytes there are.
fn check(folder: &Path, manifest: &Manifest, reach: Reach<'_>) -> Result<u64, StoreError> {
    let path = folder.join(&manifest.list);
    // Before it is followed: a damaged list would blame files that it misspells.
    let list = FileList::read(&path, &mut |_, _| Ok(()))?;
    if list.sha256 != manifest.list_sha256 || list.files != manifest.files {
        return Err(Cause::backup_file(&path, "is not what was written"));
    }
    let (mut bytes, mut done) = (0, 0);
    FileList::read(&path, &mut |file, sha256| {
        bytes += check_file(&folder.join(file), sha256)?;
        done += 1;
        goes_on(reach(Progress { phase: Phase::Checking, done, total: manifest.files.max(done) }))
    })?;
    Ok(bytes)
}

fn check_file(place: &Path, sha256: Fingerprint) -> Result<u64, StoreError> {
    if !place.is_file() {
        return Err(Cause::backup_file(place, "is missing"));
    }
    let mut bytes = 0;
    let held = files::read(place, &mut |piece| {
        bytes += piece.len() as u64;
        Ok(())
    })?;
    if held == sha256 { Ok(bytes) } else { Err(Cause::backup_file(place, "is not what was backed up")) }
}

/// Makes room, and removes what a restore that was cut short has left.
fn clear(data: &Path) -> Result<PathBuf, StoreError> {
    let failed = |error: std::io::Error| Cause::backup_path(data, &error);
    let inner = data.join(RESTORING_FOLDER);
    if inner.is_dir() {
        for entry in std::fs::read_dir(data).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            match path.file_name() {
                Some(name) if name == RESTORING_FOLDER || name == LOST_AND_FOUND => {}
                _ if path.is_dir() => remove_folder(&path)?,
                _ => std::fs::remove_file(&path).map_err(failed)?,
            }
        }
        remove_folder(&inner)?;
    }
    files::make_folder(&inner).map_err(failed)?;
    Ok(inner)
}

/// Copies all files, comparing them once more on the way.
fn copy(
    folder: &Path,
    manifest: &Manifest,
    inner: &Path,
    total: u64,
    reach: Reach<'_>,
) -> Result<u64, StoreError> {
    let mut done = 0;
    FileList::read(&folder.join(&manifest.list), &mut |file, sha256| {
        let store = file.strip_prefix(&*manifest.store_folder).and_then(|path| path.strip_prefix('/'));
        let to = store.map_or_else(|| inner.join(file), |path| inner.join(STORE_FOLDER).join(path));
        let mut written = Written::begin(&to)?;
        let from = folder.join(file);
        files::read(&from, &mut |piece| {
            done += piece.len() as u64;
            written.write(piece)?;
            goes_on(reach(Progress { phase: Phase::Restoring, done, total }))
        })?;
        if written.finish()? == sha256 {
            Ok(())
        } else {
            Err(Cause::backup_file(&from, "changes while it is read"))
        }
    })?;
    Ok(done)
}

/// A file that is written, with holes where there is nothing but zeros: logs are mostly that.
struct Written {
    file: File,
    place: PathBuf,
    hashing: Hashing,
    bytes: u64,
}

impl Written {
    fn begin(place: &Path) -> Result<Self, StoreError> {
        let begun = || {
            place.parent().map_or(Ok(()), files::make_folder)?;
            files::owners_alone(File::options().write(true).create_new(true)).open(place)
        };
        let file = begun().map_err(|error| Cause::backup_path(place, &error))?;
        Ok(Self { file, place: place.to_owned(), hashing: Hashing::default(), bytes: 0 })
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.hashing.update(piece);
        self.bytes += piece.len() as u64;
        let written = if piece.iter().all(|&byte| byte == 0) {
            self.file.seek(SeekFrom::Start(self.bytes)).map(|_| ())
        } else {
            self.file.write_all(piece)
        };
        written.map_err(|error| Cause::backup_path(&self.place, &error))
    }

    fn finish(self) -> Result<Fingerprint, StoreError> {
        let finished = self.file.set_len(self.bytes).and_then(|()| self.file.sync_all());
        let finished = finished.and_then(|()| self.place.parent().map_or(Ok(()), files::sync_folder));
        finished.map_err(|error| Cause::backup_path(&self.place, &error))?;
        Ok(self.hashing.finish())
    }
}

/// Reads what was put back: the store's files, then the journal and the maps, then the archive.
async fn verify(inner: &Path, reach: Reach<'_>) -> Result<(), StoreError> {
    let folder = inner.join(STORE_FOLDER);
    LocalStore::verify(&folder)?;
    let store = Arc::new(LocalStore::open(&folder, Options::default())?);
    let (start, end) = (store.start(), *store.end().borrow());
    let total = end.number() - start.number();
    let mut at = start;
    while at < end {
        let blocks = store.read(at, 1)?;
        at = blocks.last().map_or(end, |block| block.position.next());
        let done = at.number() - start.number();
        goes_on(reach(Progress { phase: Phase::Verifying, done, total }))?;
    }
    let folder = inner.join(ARCHIVE_FOLDER);
    if folder.is_dir() {
        let archive = Archive::open_folder(&folder, Arc::clone(&store) as Arc<dyn Catalog>)?;
        archive
            .check_files(&mut |done, total| reach(Progress { phase: Phase::Verifying, done, total }))
            .await?;
    }
    // The archive may lie elsewhere and have gone on since; where the store had parted from it before, it still has.
    let since = Apart::of(&*store)?.map_or(end, |earlier| earlier.since.min(end));
    Apart { since, restored: true }.set(&*store)?;
    store.close();
    Ok(())
}

/// The store comes last: without it there is nothing that a server would take for data.
fn put_in_place(inner: &Path, data: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| Cause::backup_path(data, &error);
    let entries = std::fs::read_dir(inner).map_err(failed)?.collect::<std::io::Result<Vec<_>>>();
    let mut names: Vec<_> = entries.map_err(failed)?.iter().map(std::fs::DirEntry::file_name).collect();
    names.sort_by_key(|name| name == STORE_FOLDER);
    for name in names {
        std::fs::rename(inner.join(&name), data.join(&name)).map_err(failed)?;
    }
    files::sync_folder(data).map_err(failed)?;
    std::fs::remove_dir(inner).map_err(failed)?;
    files::sync_folder(data).map_err(failed)
}

fn goes_on(goes_on: bool) -> Result<(), StoreError> {
    if goes_on { Ok(()) } else { Err(Cause::Halted.into()) }
}
