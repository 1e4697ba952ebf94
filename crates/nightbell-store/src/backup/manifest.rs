/*!
[`Manifest`]: what makes a folder a backup. [`FileList`]: the SHA-256 of every file in it.

Both come from outside when they are read: sizes are limited, and no path leads out of the folder.
*/

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::{UNFINISHED_FILE, write_file};
use crate::StoreError;
use crate::archive::{Fingerprint, Hashing};
use crate::error::Cause;
use crate::files::NewFile;

/// The manifest's file.
pub const MANIFEST_FILE: &str = "backup.json";

/// The version of how a backup is laid out.
pub(super) const FORMAT: u32 = 1;

/// Bytes of a manifest.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024;

/// Files in a list.
pub(super) const LIST_FILES_MAX: u64 = 10_000_000;

/// Bytes of a line of a list: digits and a path.
const LIST_LINE_BYTES_MAX: u64 = 8 * 1024;

/// What makes a folder a backup; written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of how a backup is laid out.
    pub format: u32,
    /// The identity of the store.
    pub store: String,
    /// Counted from 1 in each folder.
    pub number: u64,
    /// When it was begun.
    pub made: String,
    /// The version of the program that made it.
    pub program: String,
    /// The folder of the store.
    pub store_folder: String,
    /// The file of the list.
    pub list: String,
    /// SHA-256 of the list.
    pub list_sha256: Fingerprint,
    /// Files in the list.
    pub files: u64,
    /// Events in the journal; those in the archive are not among them.
    pub events_in_journal: u64,
    /// Files of the archive, documents of its chain among them.
    pub archive_files: u64,
}

/// A backup that was begun and is not complete.
#[derive(Debug, Deserialize)]
pub(super) struct Begun {
    /// The identity of the store.
    pub(super) store: String,
    /// Its number.
    pub(super) number: u64,
}

impl Manifest {
    /// The manifest in a folder; `None` where there is none.
    ///
    /// # Errors
    ///
    /// `Broken` for a file that is no manifest; `Conflict` for one of a newer version; `Unavailable` when it cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, StoreError> {
        let path = folder.join(MANIFEST_FILE);
        let Some(text) = read_small(&path)? else { return Ok(None) };
        let damaged = |reason: String| Cause::backup_file(&path, reason);
        let value: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|error| damaged(format!("is not what was written: {error}")))?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format > u64::from(FORMAT) => {
                let reason = format!(
                    "it was made by a newer version; use that one. format={format}, format_max={FORMAT}"
                );
                return Err(Cause::backup(folder, reason));
            }
            _ => {}
        }
        let manifest: Self = serde_json::from_value(value)
            .map_err(|error| damaged(format!("is not what was written: {error}")))?;
        if !is_inner(&manifest.store_folder) || !is_inner(&manifest.list) {
            return Err(damaged("names a file outside of the backup".to_owned()));
        }
        Ok(Some(manifest))
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        let mut text = serde_json::to_vec_pretty(self).expect("plain values in growing memory");
        text.push(b'\n');
        write_file(&folder.join(MANIFEST_FILE), &text)
    }
}

/// The backup that was begun in a folder and is not complete.
pub(super) fn begun(folder: &Path) -> Result<Option<Begun>, StoreError> {
    let path = folder.join(UNFINISHED_FILE);
    let Some(text) = read_small(&path)? else { return Ok(None) };
    let begun = serde_json::from_slice(&text);
    begun.map(Some).map_err(|error| Cause::backup_file(&path, format!("is not what was written: {error}")))
}

fn read_small(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = |error: io::Error| Cause::backup_path(path, &error);
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut text = Vec::new();
    #[allow(clippy::disallowed_methods)] // limited
    file.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MANIFEST_BYTES_MAX {
        let reason = format!("has more bytes than one has. bytes_max={MANIFEST_BYTES_MAX}");
        return Err(Cause::backup_file(path, reason));
    }
    Ok(Some(text))
}

/// Whether a path of a list leads into the backup.
fn is_inner(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Writes a list.
pub(super) struct ListWriter {
    file: NewFile,
    hashing: Hashing,
    files: u64,
}

impl ListWriter {
    pub(super) fn begin(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { file: NewFile::begin(path)?, hashing: Hashing::default(), files: 0 })
    }

    pub(super) fn add(&mut self, path: &str, sha256: Fingerprint) -> Result<(), StoreError> {
        let line = format!("{sha256}  {path}\n");
        self.hashing.update(line.as_bytes());
        self.files += 1;
        self.file.write(line.as_bytes())
    }

    /// How many files the list has, and its SHA-256.
    pub(super) fn finish(self) -> Result<(u64, Fingerprint), StoreError> {
        self.file.finish()?;
        Ok((self.files, self.hashing.finish()))
    }
}

/// A list that was read.
pub(super) struct FileList {
    /// The SHA-256 of the list itself.
    pub(super) sha256: Fingerprint,
    /// How many files it has.
    pub(super) files: u64,
}

impl FileList {
    /// Hands over path and SHA-256 of each file.
    pub(super) fn read(
        path: &Path,
        each: &mut dyn FnMut(&str, Fingerprint) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let failed = |error: io::Error| Cause::backup_path(path, &error);
        let mut lines = BufReader::new(File::open(path).map_err(failed)?);
        let mut list = Self { sha256: Fingerprint::ZERO, files: 0 };
        let (mut hashing, mut line) = (Hashing::default(), Vec::new());
        loop {
            line.clear();
            let read = (&mut lines).take(LIST_LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(failed)?;
            if read == 0 {
                list.sha256 = hashing.finish();
                return Ok(list);
            }
            list.files += 1;
            hashing.update(&line);
            let Some((sha256, file)) = entry(&line).filter(|_| list.files <= LIST_FILES_MAX) else {
                let reason = format!("is not what was written. line={}", list.files);
                return Err(Cause::backup_file(path, reason));
            };
            each(file, sha256)?;
        }
    }
}

/// What a line says.
fn entry(line: &[u8]) -> Option<(Fingerprint, &str)> {
    let (sha256, path) = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.split_once("  ")?;
    is_inner(path).then_some((Fingerprint::parse(sha256)?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_and_lead_nowhere_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list");
        let mut writer = ListWriter::begin(&path).expect("begun");
        for name in ["a", "b/c d"] {
            writer.add(name, Fingerprint::of(name.as_bytes())).expect("written");
        }
        let (files, sha256) = writer.finish().expect("written");
        let mut seen = Vec::new();
        let list = FileList::read(&path, &mut |path, sha256| {
            seen.push((path.to_owned(), sha256));
            Ok(())
        });
        let list = list.expect("read");
        assert_eq!((list.files, list.sha256), (files, sha256));
        assert_eq!(seen[1], ("b/c d".to_owned(), Fingerprint::of(b"b/c d")));

        let digits = Fingerprint::ZERO.to_string();
        let long = "x".repeat(LIST_LINE_BYTES_MAX as usize);
        for bad in ["../a", "/etc/passwd", "a/../../b", "", &long] {
            std::fs::write(&path, format!("{digits}  {bad}\n")).expect("written");
            let read = FileList::read(&path, &mut |_, _| Ok(()));
            assert_eq!(read.err().expect("refused").kind(), crate::Kind::Broken, "{bad}");
        }
        for bad in ["00  a\n".to_owned(), format!("{digits} a\n"), format!("{digits}  a")] {
            std::fs::write(&path, &bad).expect("written");
            assert!(FileList::read(&path, &mut |_, _| Ok(())).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_manifest_of_a_newer_version_is_refused_by_both_versions() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Manifest::read(folder.path()).expect("nothing"), None);
        std::fs::write(folder.path().join(MANIFEST_FILE), r#"{"format": 7, "what": "new"}"#)
            .expect("written");
        let error = Manifest::read(folder.path()).expect_err("newer").to_string();
        assert!(error.contains("format=7, format_max=1"), "{error}");
        std::fs::write(folder.path().join(MANIFEST_FILE), r#"{"format": 1}"#).expect("written");
        assert_eq!(Manifest::read(folder.path()).expect_err("damaged").kind(), crate::Kind::Broken);
    }
}
