/*!
A copy of store and archive in a folder of its own, made while the server runs, and the way back ([`restore`]).

A backup is complete once its [`Manifest`] stands; a later one into the same folder leaves the earlier one whole until its
own manifest takes the place. What is kept:

| path | content |
|---|---|
| `backup.json` | the manifest: which store, when, and the SHA-256 of the list |
| `files-N.sha256` | the list: SHA-256 and path of every file, as `sha256sum --check` reads it |
| `store-N/` | the store as it stood at one moment |
| `archive/` | the files and documents of the archive that the store names; those that are there are not copied again |
| `buckets/` | the blobs that are there when the store was copied, likewise |
| others | single files that were asked for, such as the key |

Runs on the caller's thread and takes long: call it where blocking is allowed, inside a tokio runtime. Knows no clock.
*/

mod manifest;
mod restore;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightbell_core::time::Timestamp;

use self::manifest::{FileList, LIST_FILES_MAX, ListWriter};
pub use self::manifest::{MANIFEST_FILE, Manifest};
pub use self::restore::{RESTORING_FOLDER, Restored, restore};
use crate::archive::{Archive, ArchiveCopy, Fingerprint, Witness};
use crate::error::Cause;
use crate::files::{self, NewFile};
use crate::{Blobs, Catalog, LocalStore, Options, StoreError};

/// Written before anything else, and removed when the backup is complete.
const UNFINISHED_FILE: &str = "unfinished.json";
/// What a crash may leave of it.
const UNFINISHED_PART: &str = "unfinished.json.part";
/// Held while a backup is written.
const LOCK_FILE: &str = "lock";
/// What a file system puts there by itself.
const LOST_AND_FOUND: &str = "lost+found";
const ARCHIVE_FOLDER: &str = "archive";
const STORE_FOLDER: &str = "store";
const BLOBS_FOLDER: &str = "buckets";

/// How far a backup or a restore is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Progress {
    /// What is done.
    pub phase: Phase,
    /// Bytes, files or blocks that are behind.
    pub done: u64,
    /// Of about how many.
    pub total: u64,
}

/// A part of a backup or a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The store is copied.
    #[default]
    Store,
    /// Files of the archive are copied.
    Archive,
    /// Files are compared with the list.
    Checking,
    /// Files are put back.
    Restoring,
    /// What was put back is read.
    Verifying,
}

/// Hears how far it is; `false` ends it.
pub type Reach<'a> = &'a mut (dyn FnMut(Progress) -> bool + Send);

/// What is backed up.
pub struct Source<'a> {
    /// The data folder: a backup must not lie in it.
    pub data: &'a Path,
    /// The store.
    pub store: &'a LocalStore,
    /// The archive, where its files are to be in the backup.
    pub archive: Option<&'a Archive>,
    /// The blobs, where there are some.
    pub blobs: Option<&'a Blobs>,
    /// Files of the data folder, by name, that are copied where they are there.
    pub single_files: &'a [&'a str],
    /// The version of the program, for people.
    pub program: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// What a backup came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Made {
    /// What stands in the folder.
    pub manifest: Manifest,
    /// Bytes of the archive and of blobs that were not there from an earlier backup.
    pub archive_bytes_new: u64,
}

/// Makes a backup in `folder`, which is made where it is missing.
///
/// The store is of one moment; the archive is what it lists at that moment. Memory: some hundred bytes for each file of
/// the archive.
///
/// # Errors
///
/// `Conflict` when the folder holds anything but earlier backups of this store, or another backup is under way there;
/// `Broken` for damage in the store or the archive; `Unavailable` when something cannot be read or written, or when
/// `reach` has ended it. An earlier backup in the folder stays what it was.
pub async fn make(source: Source<'_>, folder: &Path, reach: Reach<'_>) -> Result<Made, StoreError> {
    let place = Place::enter(&source, folder)?;
    let number = place.earlier.as_ref().map_or(1, |earlier| earlier.number.saturating_add(1));
    place.begin(number)?;
    // Before the moment of the copy, so that nothing the copy lists is deleted.
    let _hold = match source.archive {
        Some(archive) => Some(archive.hold_sweeps().await),
        None => None,
    };
    let _blobs_stay = source.blobs.map(Blobs::hold);
    let store_folder = folder.join(store_name(number));
    remove_folder(&store_folder)?;
    let copied = source
        .store
        .copy_to(&store_folder, &mut |done, total| reach(Progress { phase: Phase::Store, done, total }))?;
    // Opening it shows that it can be opened.
    let copy = Arc::new(LocalStore::open(&store_folder, Options::default())?);
    let mut gathered = Gathered::new(reach);
    let mut archive_bytes_new = match source.archive {
        Some(archive) => copy_archive(archive, &copy, &place, &mut gathered).await?,
        None => refuse_unreached(&copy, folder)?,
    };
    copy.close();
    if let Some(blobs) = source.blobs {
        archive_bytes_new += copy_blobs(blobs, &place, &mut gathered)?;
    }
    let mut list = ListWriter::begin(&folder.join(list_name(number)))?;
    place.copy_single_files(&source, &mut list)?;
    list_store(&store_folder, number, &mut list, &mut gathered)?;
    for (path, sha256) in &gathered.files {
        list.add(&format!("{ARCHIVE_FOLDER}/{path}"), *sha256)?;
    }
    for (path, sha256) in &gathered.blobs {
        list.add(&format!("{BLOBS_FOLDER}/{path}"), *sha256)?;
    }
    let (files, list_sha256) = list.finish()?;
    let manifest = Manifest {
        format: manifest::FORMAT,
        store: place.id.clone(),
        number,
        made: source.now.iso(),
        program: source.program.to_owned(),
        store_folder: store_name(number),
        list: list_name(number),
        list_sha256,
        files,
        events_in_journal: copied.events,
        archive_files: gathered.files.len() as u64,
    };
    manifest.write(folder)?;
    place.end(&manifest, &gathered)?;
    Ok(Made { manifest, archive_bytes_new })
}

fn store_name(number: u64) -> String {
    format!("{STORE_FOLDER}-{number}")
}

fn list_name(number: u64) -> String {
    format!("files-{number}.sha256")
}

/// Refuses to leave out an archive that the store lists.
fn refuse_unreached(copy: &LocalStore, folder: &Path) -> Result<u64, StoreError> {
    if !Archive::is_begun(copy)? {
        return Ok(0);
    }
    let reason = "the archive does not lie in the data folder; make the backup while the server runs";
    Err(Cause::backup(folder, reason))
}

/// Copies what the copy of the store lists.
async fn copy_archive(
    archive: &Archive,
    copy: &Arc<LocalStore>,
    place: &Place<'_>,
    gathered: &mut Gathered<'_>,
) -> Result<u64, StoreError> {
    let folder = place.folder.join(ARCHIVE_FOLDER);
    files::make_folder(&folder).map_err(|error| Cause::backup_path(&folder, &error))?;
    let listed = Archive::open_folder(&folder, Arc::clone(copy) as Arc<dyn Catalog>)?;
    let known = place.known(ARCHIVE_FOLDER)?;
    let known = |path: &str| known.get(path).copied();
    let copying = ArchiveCopy { from: archive, listed: &listed, folder: &folder, known: &known };
    copying.run(gathered).await
}

/// Copies all blobs that an earlier backup does not have; gives the bytes of those. A blob that no object of the copied store names does no
/// harm: where it is restored, a sweep finds it.
fn copy_blobs(blobs: &Blobs, place: &Place<'_>, gathered: &mut Gathered<'_>) -> Result<u64, StoreError> {
    let known = place.known(BLOBS_FOLDER)?;
    let ids = blobs.ids()?;
    let (total, mut bytes_new) = (ids.len() as u64, 0);
    for (done, id) in ids.iter().enumerate() {
        let inner = Blobs::inner(id);
        let name = inner.to_string_lossy().into_owned();
        let (from, to) = (blobs.folder().join(&inner), place.folder.join(BLOBS_FOLDER).join(&inner));
        let length = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.len()).ok();
        let sha256 = match known.get(&name).filter(|_| length(&from) == length(&to)) {
            Some(sha256) => *sha256,
            None => {
                let mut copy = NewFile::begin(&to)?;
                let sha256 = files::read(&from, &mut |piece| {
                    bytes_new += piece.len() as u64;
                    copy.write(piece)
                })?;
                copy.finish()?;
                sha256
            }
        };
        if (gathered.files.len() + gathered.blobs.len()) as u64 >= LIST_FILES_MAX {
            let reason = format!("there are more files than a list holds: {LIST_FILES_MAX}");
            return Err(Cause::backup(place.folder, reason));
        }
        gathered.blobs.insert(name, sha256);
        let done = done as u64 + 1;
        if !(gathered.reach)(Progress { phase: Phase::Archive, done, total }) {
            return Err(Cause::Halted.into());
        }
    }
    Ok(bytes_new)
}

/// Files of the archive and blobs that are in the backup.
struct Gathered<'a> {
    files: BTreeMap<String, Fingerprint>,
    blobs: BTreeMap<String, Fingerprint>,
    reach: Reach<'a>,
}

impl<'a> Gathered<'a> {
    fn new(reach: Reach<'a>) -> Self {
        Self { files: BTreeMap::new(), blobs: BTreeMap::new(), reach }
    }
}

impl Witness for Gathered<'_> {
    fn reach(&mut self, done: u64, total: u64) -> bool {
        (self.reach)(Progress { phase: Phase::Archive, done, total })
    }

    fn file(&mut self, path: &str, sha256: Fingerprint) -> Result<(), StoreError> {
        if self.files.len() as u64 >= LIST_FILES_MAX {
            let reason = format!("the archive has more files than a list holds: {LIST_FILES_MAX}");
            return Err(Cause::backup(Path::new(path), reason));
        }
        self.files.insert(path.to_owned(), sha256);
        Ok(())
    }
}

/// Reads the files of the copied store, writes them to disk for good, and lists them.
fn list_store(
    store_folder: &Path,
    number: u64,
    list: &mut ListWriter,
    gathered: &mut Gathered<'_>,
) -> Result<(), StoreError> {
    let inner = files::below(store_folder)?;
    let total = inner.len() as u64;
    for (done, path) in inner.iter().enumerate() {
        let place = store_folder.join(path);
        let sha256 = files::sha256(&place)?;
        let synced = File::open(&place).and_then(|file| file.sync_all());
        let synced = synced.and_then(|()| place.parent().map_or(Ok(()), files::sync_folder));
        synced.map_err(|error| Cause::backup_path(&place, &error))?;
        list.add(&format!("{}/{}", store_name(number), path.display()), sha256)?;
        let done = done as u64 + 1;
        if !(gathered.reach)(Progress { phase: Phase::Checking, done, total }) {
            return Err(Cause::Halted.into());
        }
    }
    Ok(())
}

/// The folder of a backup, which is ours while this lives.
struct Place<'a> {
    folder: &'a Path,
    /// The identity of the store.
    id: String,
    /// The complete backup that stands there.
    earlier: Option<Manifest>,
    _lock: File,
}

impl<'a> Place<'a> {
    /// Looks whether backups of this store may lie here, and takes the lock.
    fn enter(source: &Source<'_>, folder: &'a Path) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| Cause::backup_path(folder, &error);
        let id = source.store.id()?;
        if !folder.is_absolute() {
            return Err(Cause::backup(folder, "the path does not begin with /"));
        }
        refuse_overlap(source.data, folder)?;
        let earlier = if folder.try_exists().map_err(failed)? { earlier(folder, &id)? } else { None };
        files::make_folder(folder).map_err(failed)?;
        let mut options = File::options();
        let options = files::owners_alone(options.create(true).truncate(false).write(true));
        let lock = options.open(folder.join(LOCK_FILE)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, id, earlier, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(Cause::backup(folder, "another backup is written there at this moment"))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Says that a backup is begun.
    fn begin(&self, number: u64) -> Result<(), StoreError> {
        let begun = serde_json::json!({ "store": self.id, "number": number });
        write_file(&self.folder.join(UNFINISHED_FILE), begun.to_string().as_bytes())
    }

    /// What the earlier backup has in one of its folders.
    fn known(&self, folder: &str) -> Result<HashMap<String, Fingerprint>, StoreError> {
        let mut known = HashMap::new();
        let Some(earlier) = &self.earlier else { return Ok(known) };
        let list = FileList::read(&self.folder.join(&earlier.list), &mut |path, sha256| {
            if let Some(path) = path.strip_prefix(folder).and_then(|path| path.strip_prefix('/')) {
                known.insert(path.to_owned(), sha256);
            }
            Ok(())
        })?;
        // A list that is not what was written vouches for nothing: every file is looked at.
        if list.sha256 != earlier.list_sha256 {
            known.clear();
        }
        Ok(known)
    }

    fn copy_single_files(&self, source: &Source<'_>, list: &mut ListWriter) -> Result<(), StoreError> {
        for name in source.single_files {
            let from = source.data.join(name);
            if !from.is_file() {
                continue;
            }
            let mut copy = NewFile::begin(&self.folder.join(name))?;
            let sha256 = files::read(&from, &mut |piece| copy.write(piece))?;
            copy.finish()?;
            list.add(name, sha256)?;
        }
        Ok(())
    }

    /// Removes what only earlier backups had.
    fn end(&self, manifest: &Manifest, gathered: &Gathered<'_>) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| Cause::backup_path(self.folder, &error);
        let kept: HashSet<&str> = [&*manifest.store_folder, &*manifest.list].into();
        for entry in std::fs::read_dir(self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if kept.contains(&*name) {
                continue;
            }
            if is_numbered(&name, "store-", "") {
                remove_folder(&entry.path())?;
            } else if is_numbered(&name, "files-", ".sha256") || is_numbered(&name, "files-", ".sha256.part")
            {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        for (folder, kept) in [(ARCHIVE_FOLDER, &gathered.files), (BLOBS_FOLDER, &gathered.blobs)] {
            let folder = self.folder.join(folder);
            for path in files::below(&folder)? {
                if !path.to_str().is_some_and(|path| kept.contains_key(path)) {
                    std::fs::remove_file(folder.join(path)).map_err(failed)?;
                }
            }
        }
        std::fs::remove_file(self.folder.join(UNFINISHED_FILE)).map_err(failed)?;
        files::sync_folder(self.folder).map_err(failed)
    }
}

/// The complete backup in a folder, if the folder holds backups of this store and nothing else.
fn earlier(folder: &Path, id: &str) -> Result<Option<Manifest>, StoreError> {
    let other = || Cause::backup(folder, "the folder holds backups of another store; name another one");
    if let Some(manifest) = Manifest::read(folder)? {
        return if manifest.store == id { Ok(Some(manifest)) } else { Err(other()) };
    }
    if let Some(begun) = manifest::begun(folder)? {
        return if begun.store == id { Ok(None) } else { Err(other()) };
    }
    let failed = |error: std::io::Error| Cause::backup_path(folder, &error);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != LOCK_FILE && name != LOST_AND_FOUND && name != UNFINISHED_PART {
            let reason = "the folder is not empty, and holds no backup of this store; name an empty one";
            return Err(Cause::backup(folder, reason));
        }
    }
    Ok(None)
}

/// Refuses a backup inside of what it is a copy of, and the other way round.
fn refuse_overlap(data: &Path, folder: &Path) -> Result<(), StoreError> {
    let (data, folder_) = (real(data), real(folder));
    if folder_.starts_with(&data) || data.starts_with(&folder_) {
        return Err(Cause::backup(folder, "the folder and the data folder must not lie in each other"));
    }
    Ok(())
}

/// The path without links and dots, as far as it is there.
fn real(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), path.strip_prefix(above)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}

fn is_numbered(name: &str, before: &str, after: &str) -> bool {
    let number = name.strip_prefix(before).and_then(|name| name.strip_suffix(after));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = NewFile::begin(path)?;
    file.write(bytes)?;
    file.finish()
}

fn remove_folder(folder: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Cause::backup_path(folder, &error)),
        _ => Ok(()),
    }
}
