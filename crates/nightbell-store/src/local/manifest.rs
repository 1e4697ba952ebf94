/*!
Looks through what fjall keeps about its tables before a folder is opened, and through all of a folder's files on demand.

fjall 3.1 checks each block of a table and each blob when it reads them, but neither the list of its files (`v7`, whose
XXH3-128 stands in `current`) nor, before it allocates by it, the table of contents at each file's end. So this does,
and names the file. [`check_all`] compares whole files with the sums in the list.

Files as sfa 1 and lsm-tree 3 write them: sections, then `TOC!` and their positions, then a trailer of 38 bytes.
*/

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::StoreError;
use crate::error::Cause;

/// The most bytes of a list of files: room for a million.
const LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The most bytes of a table of contents: it has some ten sections with short names.
const CONTENTS_BYTES_MAX: u64 = 64 * 1024;

const TRAILER_BYTES: u64 = 4 + 1 + 1 + 16 + 8 + 8;
const CURRENT_BYTES: usize = 8 + 16 + 1;

/// A file that is not what was written.
struct Damaged {
    path: PathBuf,
    reason: &'static str,
}

/// What stops a look through a folder.
enum Stop {
    Damaged(Damaged),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type Checked<T> = Result<T, Stop>;

fn damaged<T>(path: &Path, reason: &'static str) -> Checked<T> {
    Err(Stop::Damaged(Damaged { path: path.to_owned(), reason }))
}

/// Checks the lists of files and each file's table of contents.
///
/// # Errors
///
/// `Broken` with the file's name; `Unavailable` when a file cannot be read.
pub(super) fn check(folder: &Path) -> Result<(), StoreError> {
    told(folder, look(folder, false))
}

/// Reads every file of a folder that nobody has open.
///
/// # Errors
///
/// `Broken` with the name of the first file that is not what was written; `Unavailable` when one cannot be read.
pub(super) fn check_all(folder: &Path) -> Result<(), StoreError> {
    told(folder, look(folder, true))
}

fn told(folder: &Path, looked: Checked<()>) -> Result<(), StoreError> {
    match looked {
        Ok(()) => Ok(()),
        Err(Stop::Io(error)) => Err(Cause::open(folder, &error)),
        Err(Stop::Damaged(Damaged { path, reason })) => {
            Err(Cause::File { file: path.display().to_string(), reason: reason.to_owned() }.into())
        }
    }
}

fn look(folder: &Path, whole_files: bool) -> Checked<()> {
    let keyspaces = folder.join("keyspaces");
    if !keyspaces.try_exists()? {
        return Ok(());
    }
    for keyspace in std::fs::read_dir(keyspaces)? {
        let keyspace = keyspace?.path();
        if keyspace.is_dir() {
            look_at_keyspace(&keyspace, whole_files)?;
        }
    }
    Ok(())
}

fn look_at_keyspace(keyspace: &Path, whole_files: bool) -> Checked<()> {
    let current = keyspace.join("current");
    if !current.try_exists()? {
        // A creation that was cut short has no tables yet; fjall clears it away.
        let tables = keyspace.join("tables");
        let begun = !tables.try_exists()? || std::fs::read_dir(tables)?.next().is_none();
        return if begun { Ok(()) } else { damaged(&current, "is missing") };
    }
    for listed in listed_files(keyspace, &current)? {
        let Listed { path, sum } = listed;
        if !path.try_exists()? {
            return damaged(&path, "is missing");
        }
        contents(&path)?;
        if whole_files && sum_of_file(&path)? != sum {
            return damaged(&path, "checksum differs");
        }
    }
    Ok(())
}

/// A file of the list.
struct Listed {
    path: PathBuf,
    sum: u128,
}

fn listed_files(keyspace: &Path, current: &Path) -> Checked<Vec<Listed>> {
    let pointer = read_up_to(current, CURRENT_BYTES as u64 + 1)?;
    let Ok(pointer) = <[u8; CURRENT_BYTES]>::try_from(pointer) else {
        return damaged(current, "length differs");
    };
    let mut fields = Fields(&pointer);
    let (Some(version), Some(sum), Some(0)) = (fields.u64(), fields.u128(), fields.u8()) else {
        return damaged(current, "kind of checksum is unknown");
    };
    let path = keyspace.join(format!("v{version}"));
    if !path.try_exists()? {
        return damaged(current, "names a file that is missing");
    }
    let list = read_up_to(&path, LIST_BYTES_MAX)?;
    if xxh3(&list) != sum {
        return damaged(&path, "checksum differs");
    }
    let contents = contents(&path)?;
    let section = |name: &[u8]| {
        let Section { start, bytes, .. } = contents.iter().find(|section| section.name == name)?;
        let start = usize::try_from(*start).ok()?;
        list.get(start..start.checked_add(usize::try_from(*bytes).ok()?)?)
    };
    let files = section(b"tables").zip(section(b"blob_files"));
    let files = files.and_then(|(tables, blobs)| files_of(keyspace, Fields(tables), Fields(blobs)));
    files.map_or_else(|| damaged(&path, "list of files cannot be read"), Ok)
}

fn files_of(keyspace: &Path, mut tables: Fields, mut blobs: Fields) -> Option<Vec<Listed>> {
    let mut files = Vec::new();
    let file = |folder: &str, fields: &mut Fields| {
        let path = keyspace.join(folder).join(fields.u64()?.to_string());
        fields.u8()?; // the kind of checksum
        Some(Listed { path, sum: fields.u128()? })
    };
    for _level in 0..tables.u8()? {
        for _run in 0..tables.u8()? {
            for _table in 0..tables.u32()? {
                files.push(file("tables", &mut tables)?);
                tables.u64()?; // a sequence number
            }
        }
    }
    for _blob_file in 0..blobs.u32()? {
        files.push(file("blobs", &mut blobs)?);
    }
    Some(files)
}

/// A part of a file.
struct Section {
    name: Vec<u8>,
    start: u64,
    bytes: u64,
}

/// Reads a file's table of contents.
fn contents(path: &Path) -> Checked<Vec<Section>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let Some(trailer_at) = length.checked_sub(TRAILER_BYTES) else {
        return damaged(path, "is cut short");
    };
    let trailer = read_at(&mut file, trailer_at, TRAILER_BYTES)?;
    let mut fields = Fields(&trailer);
    let (Some(b"SFA!"), Some(1), Some(0)) = (fields.array(), fields.u8(), fields.u8()) else {
        return damaged(path, "end is not that of a file of sections");
    };
    let (Some(sum), Some(start), Some(_bytes)) = (fields.u128(), fields.u64(), fields.u64()) else {
        return damaged(path, "is cut short");
    };
    let bytes = trailer_at.checked_sub(start).filter(|&bytes| bytes <= CONTENTS_BYTES_MAX);
    let Some(bytes) = bytes else {
        return damaged(path, "table of contents is out of place");
    };
    let toc = read_at(&mut file, start, bytes)?;
    if xxh3(&toc) != sum {
        return damaged(path, "checksum of the table of contents differs");
    }
    sections(Fields(&toc)).map_or_else(|| damaged(path, "table of contents cannot be read"), Ok)
}

fn sections(mut toc: Fields) -> Option<Vec<Section>> {
    let (b"TOC!", count) = (toc.array()?, toc.u32()?) else { return None };
    let mut sections = Vec::new();
    for _ in 0..count {
        let (start, bytes) = (toc.u64()?, toc.u64()?);
        let name_bytes = u16::from_le_bytes(*toc.array()?);
        sections.push(Section { name: toc.take(name_bytes.into())?.to_owned(), start, bytes });
    }
    Some(sections)
}

fn xxh3(bytes: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(bytes)
}

fn sum_of_file(path: &Path) -> io::Result<u128> {
    let mut file = File::open(path)?;
    let mut hasher = Xxh3::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.digest128()),
            count => hasher.update(&piece[..count]),
        }
    }
}

fn read_at(file: &mut File, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut read = vec![0; bytes as usize]; // the callers have limited it
    file.read_exact(&mut read)?;
    Ok(read)
}

#[allow(clippy::disallowed_methods)] // limited by `bytes_max`
fn read_up_to(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Numbers in bytes, little endian.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|&[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().copied().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().copied().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.array().copied().map(u128::from_le_bytes)
    }
}
