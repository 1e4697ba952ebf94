/*!
[`Blobs`]: contents of any size, each a file under a name of our own that is written once and never changed.

A blob is there once [`BlobWriter::finish`] has returned: on disk, with its name. Which of them are wanted stands elsewhere, in the
catalog: who writes one names it there afterwards, and who takes its name out removes it afterwards. What a crash leaves between
the two belongs to nobody and is found by [`Blobs::sweep`]. Knows no names from outside, so none can lead out of the folder.
*/

use std::collections::HashSet;
use std::fs::{DirEntry, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::StoreError;
use crate::error::Cause;
use crate::files;

/// Where blobs are until all of them is written.
const INCOMING_FOLDER: &str = "incoming";
/// Letters of an id that name its shelf, a folder.
const SHELF_LETTERS: usize = 2;
/// Longest id, in bytes.
const ID_BYTES_MAX: usize = 64;

/// Blobs in a folder, which belongs to this process while the value lives. Nothing is made before the first blob.
pub struct Blobs {
    folder: PathBuf,
    /// In the names of all blobs of this process, so that a sweep leaves them alone.
    run: String,
    next: AtomicU64,
    held: Mutex<Held>,
}

/// Removals that wait while somebody needs all blobs to stay.
#[derive(Default)]
struct Held {
    holds: usize,
    waiting: Vec<String>,
}

/// While this lives, no blob is removed.
pub struct Hold<'a>(&'a Blobs);

impl Blobs {
    /// The blobs in `folder`; what an earlier process did not finish is removed.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the folder cannot be read or written.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let incoming = folder.join(INCOMING_FOLDER);
        for entry in entries(&incoming)? {
            std::fs::remove_file(entry.path()).map_err(|error| Cause::blob(&entry.path(), &error))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            run: Uuid::new_v4().simple().to_string()[..16].to_owned(),
            next: AtomicU64::default(),
            held: Mutex::default(),
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins a blob. Blocks, as do the other calls.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the disk refuses.
    pub fn begin(self: &Arc<Self>) -> Result<BlobWriter, StoreError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:02x}-{}-{number:x}", number & 0xff, self.run);
        let place = self.folder.join(INCOMING_FOLDER).join(&id);
        let create = || files::owners_alone(File::options().write(true).create_new(true)).open(&place);
        let file = create().or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                files::make_folder(&self.folder.join(INCOMING_FOLDER)).and_then(|()| create())
            }
            _ => Err(error),
        });
        let file = file.map_err(|error| Cause::blob(&place, &error))?;
        Ok(BlobWriter { blobs: Arc::clone(self), file: Some(file), place, id, bytes: 0 })
    }

    /// Opens a blob to read it; it can be read to its end even when it is removed meanwhile.
    ///
    /// # Errors
    ///
    /// `Broken` when there is no such blob; `Unavailable` when it cannot be read.
    pub fn open_blob(&self, id: &str) -> Result<File, StoreError> {
        let place = self.place(id)?;
        File::open(&place).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Cause::blob_missing(&place),
            _ => Cause::blob(&place, &error),
        })
    }

    /// Removes blobs that nobody names any more; one that cannot be removed now is found by the next sweep.
    pub fn remove(&self, ids: impl IntoIterator<Item = String>) {
        let mut held = self.held();
        if held.holds > 0 {
            held.waiting.extend(ids);
            return;
        }
        drop(held);
        for id in ids {
            self.unlink(&id);
        }
    }

    /// Keeps all blobs where they are, for whoever copies them.
    pub fn hold(&self) -> Hold<'_> {
        self.held().holds += 1;
        Hold(self)
    }

    /// Removes blobs of earlier processes that are not among `named`; returns how many.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the folder cannot be read.
    pub fn sweep(&self, named: &HashSet<String>) -> Result<u64, StoreError> {
        let mut removed = 0;
        for id in self.ids()? {
            if !id.contains(&self.run) && !named.contains(&id) {
                self.remove([id]);
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes all blobs.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the folder cannot be read.
    pub fn clear(&self) -> Result<(), StoreError> {
        let ids = self.ids()?;
        self.remove(ids);
        Ok(())
    }

    /// The ids of all blobs.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the folder cannot be read.
    pub fn ids(&self) -> Result<Vec<String>, StoreError> {
        let mut ids = Vec::new();
        for shelf in entries(&self.folder)? {
            if shelf.file_name().len() != SHELF_LETTERS {
                continue;
            }
            for entry in entries(&shelf.path())? {
                ids.extend(entry.file_name().into_string().ok().filter(|id| is_id(id)));
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Where a blob lies below the folder.
    pub(crate) fn inner(id: &str) -> PathBuf {
        Path::new(&id[..SHELF_LETTERS]).join(id)
    }

    fn place(&self, id: &str) -> Result<PathBuf, StoreError> {
        if is_id(id) { Ok(self.folder.join(Self::inner(id))) } else { Err(Cause::blob_missing(&self.folder)) }
    }

    fn unlink(&self, id: &str) {
        let Ok(place) = self.place(id) else { return };
        if let Err(error) = std::fs::remove_file(&place)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(place = %place.display(), %error, "a blob that nobody names could not be removed");
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.holds -= 1;
        if held.holds == 0 {
            let waiting = std::mem::take(&mut held.waiting);
            drop(held);
            self.0.remove(waiting);
        }
    }
}

/// A blob that is written; dropped before its end, it was never there.
pub struct BlobWriter {
    blobs: Arc<Blobs>,
    /// `None` once it is finished.
    file: Option<File>,
    place: PathBuf,
    id: String,
    bytes: u64,
}

/// A blob that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub id: String,
    /// How long it is.
    pub bytes: u64,
}

impl BlobWriter {
    /// Adds bytes.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the disk refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let Some(file) = &mut self.file else { return Err(Cause::blob_missing(&self.place)) };
        file.write_all(bytes).map_err(|error| Cause::blob(&self.place, &error))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes all of it to disk, and gives it its name.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the disk refuses; then the blob is not there.
    pub fn finish(mut self) -> Result<Blob, StoreError> {
        let Some(file) = &self.file else { return Err(Cause::blob_missing(&self.place)) };
        let place = self.blobs.place(&self.id)?;
        let shelf = place.parent().unwrap_or(&self.blobs.folder);
        let named = file.sync_all().and_then(|()| {
            std::fs::rename(&self.place, &place).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    files::make_folder(shelf).and_then(|()| std::fs::rename(&self.place, &place))
                }
                _ => Err(error),
            })
        });
        named.and_then(|()| files::sync_folder(shelf)).map_err(|error| Cause::blob(&place, &error))?;
        self.file = None;
        Ok(Blob { id: std::mem::take(&mut self.id), bytes: self.bytes })
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What stays is removed at the next start.
            let _ = std::fs::remove_file(&self.place);
        }
    }
}

/// Whether a text is a name as [`Blobs::begin`] makes them.
fn is_id(id: &str) -> bool {
    let letters = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f' | b'-');
    (SHELF_LETTERS + 1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(letters)
}

/// What a folder holds; nothing where it is not there.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let read = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.and_then(Iterator::collect),
    };
    read.map_err(|error: io::Error| Cause::blob(folder, &error))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::Kind;

    fn write(blobs: &Arc<Blobs>, content: &[u8]) -> Blob {
        let mut writer = blobs.begin().expect("begun");
        writer.write(content).expect("written");
        writer.finish().expect("finished")
    }

    fn content(blobs: &Blobs, id: &str) -> Vec<u8> {
        let mut content = Vec::new();
        #[allow(clippy::disallowed_methods)] // our own few bytes
        blobs.open_blob(id).expect("open").read_to_end(&mut content).expect("read");
        content
    }

    #[test]
    fn a_blob_is_there_when_it_is_finished_and_not_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Arc::new(Blobs::open(&folder.path().join("blobs")).expect("opened"));
        assert!(blobs.ids().expect("listed").is_empty());
        let one = write(&blobs, b"one");
        let mut left = blobs.begin().expect("begun");
        left.write(b"half").expect("written");
        assert_eq!(blobs.ids().expect("listed"), std::slice::from_ref(&one.id));
        drop(left);
        std::mem::forget(blobs.begin().expect("begun")); // as a crash does
        let again = Blobs::open(blobs.folder()).expect("opened");
        assert_eq!(std::fs::read_dir(blobs.folder().join(INCOMING_FOLDER)).expect("listed").count(), 0);
        assert_eq!(content(&again, &one.id), b"one");
        assert_eq!(one.bytes, 3);
    }

    #[test]
    fn what_nobody_names_is_swept_and_what_is_new_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let earlier = Arc::new(Blobs::open(folder.path()).expect("opened"));
        let (kept, orphan) = (write(&earlier, b"kept"), write(&earlier, b"orphan"));
        let blobs = Arc::new(Blobs::open(folder.path()).expect("opened"));
        let new = write(&blobs, b"new");
        assert_eq!(blobs.sweep(&HashSet::from([kept.id.clone()])).expect("swept"), 1);
        assert_eq!(blobs.open_blob(&orphan.id).expect_err("gone").kind(), Kind::Broken);
        assert_eq!(
            (content(&blobs, &kept.id), content(&blobs, &new.id)),
            (b"kept".to_vec(), b"new".to_vec())
        );
    }

    #[test]
    fn removals_wait_while_blobs_are_held() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Arc::new(Blobs::open(folder.path()).expect("opened"));
        let one = write(&blobs, b"one");
        let hold = blobs.hold();
        blobs.remove([one.id.clone()]);
        assert_eq!(content(&blobs, &one.id), b"one");
        drop(hold);
        assert!(blobs.ids().expect("listed").is_empty());
    }

    #[test]
    fn names_from_elsewhere_lead_nowhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Blobs::open(folder.path()).expect("opened");
        for id in ["", "a", "../../etc/passwd", "ab/cd", "ABCDEF", &"a".repeat(65)] {
            assert_eq!(blobs.open_blob(id).expect_err("refused").kind(), Kind::Broken, "{id}");
        }
    }
}
