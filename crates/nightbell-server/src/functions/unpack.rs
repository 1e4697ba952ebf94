/*!
Zip archives into folders: names that leave the folder, links, and archives that inflate without end are refused.

Knows no function. A folder appears whole or not at all, by renaming.
*/

use std::fs;
use std::io::{self, Cursor, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

/// Unpacked code of one function, in bytes ("Lambda quotas").
pub(crate) const UNPACKED_BYTES_MAX: u64 = 250 << 20;
/// Files and folders of one archive.
pub(crate) const UNPACKED_FILES_MAX: usize = 50_000;

/// Type bits of a Unix mode, and those of a link.
const TYPE_BITS: u32 = 0o170_000;
const LINK: u32 = 0o120_000;

/// Why an archive was not unpacked; the text says what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// The archive is at fault.
    #[error("{0}")]
    Archive(String),
    /// The disk is.
    #[error("the code cannot be unpacked: {0}")]
    Disk(#[from] io::Error),
}

fn wrong(text: impl Into<String>) -> UnpackError {
    UnpackError::Archive(text.into())
}

/// Whether `bytes` is an archive that [`unpack`] would take, as far as its directory tells.
pub(crate) fn check(bytes: &[u8]) -> Result<(), UnpackError> {
    let mut archive = open(bytes)?;
    let mut unpacked: u64 = 0;
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(|error| damaged(&error))?;
        if file.enclosed_name().is_none() {
            return Err(wrong(format!("the entry {:?} leads out of the archive", shown(&file))));
        }
        unpacked = unpacked.saturating_add(file.size());
    }
    if unpacked > UNPACKED_BYTES_MAX {
        return Err(too_large());
    }
    Ok(())
}

/// Unpacks into `folder`, which must not be there; all may read what is in it.
pub(crate) fn unpack(bytes: &[u8], folder: &Path) -> Result<(), UnpackError> {
    let mut archive = open(bytes)?;
    let parent = folder.parent().ok_or_else(|| io::Error::other("a folder has a parent"))?;
    let making = tempfile::Builder::new().prefix("unpacking-").tempdir_in(parent)?;
    let mut left = UNPACKED_BYTES_MAX;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|error| damaged(&error))?;
        let Some(name) = file.enclosed_name() else {
            return Err(wrong(format!("the entry {:?} leads out of the archive", shown(&file))));
        };
        let mode = file.unix_mode().unwrap_or(0o644);
        if mode & TYPE_BITS == LINK {
            return Err(wrong(format!("the entry {:?} is a link; links are not unpacked", shown(&file))));
        }
        let path = making.path().join(name);
        if file.is_dir() {
            make_folder(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            make_folder(parent)?;
        }
        left = write(&mut file, &path, mode, left)?;
    }
    let making = making.keep();
    open_to_all(&making)?;
    match fs::rename(&making, folder) {
        Ok(()) => Ok(()),
        Err(error) => {
            // Somebody else was faster, or the disk refuses: either way this copy goes.
            fs::remove_dir_all(&making)?;
            if folder.is_dir() { Ok(()) } else { Err(error.into()) }
        }
    }
}

fn open(bytes: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>, UnpackError> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    if archive.len() > UNPACKED_FILES_MAX {
        return Err(wrong(format!(
            "{} entries are more than the limit of {UNPACKED_FILES_MAX}",
            archive.len()
        )));
    }
    Ok(archive)
}

/// Writes one file and gives how many bytes are left for the others.
fn write(file: &mut impl Read, path: &Path, mode: u32, left: u64) -> Result<u64, UnpackError> {
    let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
    // A name that comes twice is the second's; a file where a folder is, is an error of the disk's.
    let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    // What the directory says of a size is not believed: the bytes are counted.
    let mut inside = file.take(left + 1);
    let mut written = 0;
    let mut chunk = [0; 64 << 10];
    loop {
        let read = match inside.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => return Err(wrong(format!("an entry cannot be inflated: {error}"))),
        };
        written += read as u64;
        if written > left {
            return Err(too_large());
        }
        out.write_all(&chunk[..read])?;
    }
    Ok(left - written)
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}

fn open_to_all(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn damaged(error: &ZipError) -> UnpackError {
    wrong(format!("Could not unzip uploaded file. Please check your file, then try to upload again: {error}"))
}

fn too_large() -> UnpackError {
    wrong(format!("Unzipped size must be smaller than {UNPACKED_BYTES_MAX} bytes"))
}

/// An entry's name as far as a text repeats it.
fn shown<R: Read>(file: &zip::read::ZipFile<'_, R>) -> String {
    file.name().map(|name| name.chars().take(100).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            out.start_file(*name, SimpleFileOptions::default()).unwrap();
            out.write_all(content).unwrap();
        }
        out.finish().unwrap().into_inner()
    }

    fn text(done: Result<(), UnpackError>) -> String {
        done.expect_err("refused").to_string()
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("code");
        let zip = archive(&[("h.py", b"x = 1\n"), ("lib/a/b.py", b"")]);
        check(&zip).unwrap();
        unpack(&zip, &to).unwrap();
        assert_eq!(crate::bounded::read_text(&to.join("h.py")).unwrap(), "x = 1\n");
        assert!(to.join("lib/a/b.py").is_file());
        unpack(&zip, &to).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn nothing_leaves_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["../up.py", "a/../../up.py", "/etc/up.py"] {
            let zip = archive(&[("h.py", b"x"), (name, b"x")]);
            let to = folder.path().join("inside/code");
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            // What is absolute may be taken as relative; either way it stays inside.
            if check(&zip).is_ok() {
                unpack(&zip, &to).unwrap();
                assert!(to.join("etc/up.py").is_file(), "{name}");
            } else {
                assert!(text(unpack(&zip, &to)).contains("leads out"), "{name}");
                assert!(!to.exists());
            }
            assert!(!folder.path().join("up.py").exists() && !Path::new("/etc/up.py").exists());
        }
    }

    #[test]
    fn links_and_rubbish_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = ZipWriter::new(Cursor::new(Vec::new()));
        out.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let zip = out.finish().unwrap().into_inner();
        assert!(text(unpack(&zip, &folder.path().join("code"))).contains("link"));
        assert!(text(check(b"PK")).contains("Could not unzip"));
        assert!(text(check(b"")).contains("Could not unzip"));
    }

    #[test]
    fn what_inflates_without_end_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = ZipWriter::new(Cursor::new(Vec::new()));
        let zeros = vec![0; 1 << 20];
        for file in 0..=(UNPACKED_BYTES_MAX >> 20) {
            out.start_file(format!("f{file}"), SimpleFileOptions::default()).unwrap();
            out.write_all(&zeros).unwrap();
        }
        let zip = out.finish().unwrap().into_inner();
        assert!(zip.len() < 4 << 20, "it is a bomb: {} bytes", zip.len());
        assert!(text(check(&zip)).contains("Unzipped size"));
        // Said sizes are not believed either.
        let mut inside = io::repeat(0).take(1_000);
        let path = folder.path().join("f");
        assert!(matches!(write(&mut inside, &path, 0o644, 999), Err(UnpackError::Archive(_))));
    }
}
