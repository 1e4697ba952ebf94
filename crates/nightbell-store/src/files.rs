/*!
Files of our own that are written once and for good: whole under their name or not there, synced, for their owner alone.

Knows nothing of what they hold.
*/

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::StoreError;
use crate::archive::{Fingerprint, Hashing};
use crate::error::Cause;

/// What the name of a file ends in until all of it is there.
pub(crate) const PART: &str = ".part";

/// Bytes that are read or written at once.
const PIECE_BYTES: usize = 256 * 1024;

/// A file that has its name once all of it is on disk.
pub(crate) struct NewFile {
    file: File,
    part: PathBuf,
    place: PathBuf,
}

impl NewFile {
    /// Begins a file, and makes the folders above it, for their owner alone.
    pub(crate) fn begin(place: &Path) -> Result<Self, StoreError> {
        let mut part = place.as_os_str().to_owned();
        part.push(PART);
        let part = PathBuf::from(part);
        let begun = || {
            if let Some(folder) = place.parent() {
                make_folder(folder)?;
            }
            owners_alone(File::options().write(true).create(true).truncate(true)).open(&part)
        };
        let file = begun().map_err(|error| Cause::backup_path(place, &error))?;
        Ok(Self { file, part, place: place.to_owned() })
    }

    /// Adds bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(|error| Cause::backup_path(&self.place, &error))
    }

    /// Syncs the file, gives it its name, and syncs the folder.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        let finished = self.file.sync_all().and_then(|()| std::fs::rename(&self.part, &self.place));
        let finished = finished.and_then(|()| self.place.parent().map_or(Ok(()), sync_folder));
        finished.map_err(|error| Cause::backup_path(&self.place, &error))
    }
}

/// Makes a folder and those above it, for their owner alone, so that they outlive a loss of power.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folder(above)?;
    }
    match builder.create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        Some(above) => sync_folder(above),
        None => Ok(()),
    }
}

/// Writes the names in a folder to disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What is written is confidential.
pub(crate) fn owners_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// The SHA-256 of a file, read as a stream.
pub(crate) fn sha256(path: &Path) -> Result<Fingerprint, StoreError> {
    read(path, &mut |_| Ok(()))
}

/// Hands a file over piece by piece; returns its SHA-256.
pub(crate) fn read(
    path: &Path,
    take: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<Fingerprint, StoreError> {
    let failed = |error: io::Error| Cause::backup_path(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hashing = Hashing::default();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = file.read(&mut piece).map_err(failed)?;
        if count == 0 {
            return Ok(hashing.finish());
        }
        hashing.update(&piece[..count]);
        take(&piece[..count])?;
    }
}

/// Every file below a folder, in order of names, as its path from there; none where there is no such folder.
pub(crate) fn below(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    if folder.is_dir() {
        gather(folder, folder, &mut found).map_err(|error| Cause::backup_path(folder, &error))?;
    }
    Ok(found)
}

fn gather(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            gather(root, &path, found)?;
        } else if let Ok(inner) = path.strip_prefix(root) {
            found.push(inner.to_owned());
        }
    }
    Ok(())
}
