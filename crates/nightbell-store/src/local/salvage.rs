/*!
Cuts a torn write off the end of fjall's log, so that a folder opens again after a loss of power.

A power loss in the middle of a write can leave its last page on disk and an earlier one not. fjall drops a last batch
that is cut short, but refuses to open when one is whole in length and wrong in content. Nothing from such a batch on
was ever acknowledged as being on disk: a sync of anything behind it would have completed it. So the log is cut before it;
what is cut is kept beside it, because the same sight could come from a failing disk.

Works on bytes as fjall 3 writes them: batches of a start (tag 1), items (2) or clears (4), and an end (3) with the
XXH3-64 of what lies between. Runs before every opening, under the folder's lock; a log is at most some 100 MB.
*/

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::StoreError;
use crate::error::Cause;

/// Bytes from the torn batch to the end of the log: one block in flight and commits that asked for no sync.
///
/// More means that a sync came after it, so that a disk has failed rather than the power.
const CUT_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What ends a batch, behind its checksum.
const TRAILER: [u8; 4] = [b'F', b'J', b'L', 3];

const START_BYTES: u64 = 12;
const ITEM_HEAD_BYTES: usize = 2 + 8 + 2 + 4 + 4;
const CLEAR_BYTES: u64 = 8;

/// Cuts the newest log of the folder before its first damaged batch.
///
/// # Errors
///
/// `Broken` when more than a torn write would be cut; `Unavailable` when the log cannot be read or cut.
pub(super) fn cut_torn_tail(folder: &Path) -> Result<(), StoreError> {
    let cut = |log: &Path| -> io::Result<Cut> {
        let whole = whole_batches(log)?;
        let bytes = written_bytes(log, whole)?;
        if (1..=CUT_BYTES_MAX).contains(&bytes) {
            cut_at(log, whole, bytes)?;
        }
        Ok(Cut { whole, bytes })
    };
    let open_error = |error: io::Error| Cause::open(folder, &error);
    let Some(log) = newest_log(folder).map_err(open_error)? else { return Ok(()) };
    let Cut { whole, bytes } = cut(&log).map_err(open_error)?;
    if bytes == 0 {
        return Ok(());
    }
    if bytes > CUT_BYTES_MAX {
        let folder = folder.display().to_string();
        return Err(Cause::Damage { folder, bytes, bytes_max: CUT_BYTES_MAX }.into());
    }
    tracing::warn!(log = %log.display(), whole, bytes, "cut a torn write off the log; what was cut is kept beside it");
    Ok(())
}

/// Where a log was to be cut, and how much lies behind.
struct Cut {
    whole: u64,
    bytes: u64,
}

/// The log that was written last; older ones were synced before it began.
fn newest_log(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".jnl")?.parse::<u64>().ok());
        if let Some(number) = number {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Length of the whole batches at the beginning of a log.
fn whole_batches(log: &Path) -> io::Result<u64> {
    let mut reader = BufReader::new(File::open(log)?);
    let mut whole = 0;
    while skip_batch(&mut reader)? {
        whole = reader.stream_position()?;
    }
    Ok(whole)
}

/// Reads past one batch; whether it was whole.
fn skip_batch(reader: &mut impl Read) -> io::Result<bool> {
    let mut hasher = Xxh3::new();
    let batch = (|| -> io::Result<bool> {
        if read_array::<1>(reader)? != [1] {
            return Ok(false);
        }
        skip(reader, START_BYTES, None)?;
        loop {
            let tag = read_array::<1>(reader)?;
            match tag[0] {
                2 => skip_item(reader, tag, &mut hasher)?,
                3 => {
                    let sum = u64::from_le_bytes(read_array(reader)?);
                    return Ok(read_array(reader)? == TRAILER && sum == hasher.digest());
                }
                4 => {
                    hasher.update(&tag);
                    skip(reader, CLEAR_BYTES, Some(&mut hasher))?;
                }
                _ => return Ok(false),
            }
        }
    })();
    match batch {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        batch => batch,
    }
}

fn skip_item(reader: &mut impl Read, tag: [u8; 1], hasher: &mut Xxh3) -> io::Result<()> {
    let head = read_array::<ITEM_HEAD_BYTES>(reader)?;
    hasher.update(&tag);
    hasher.update(&head);
    let key_bytes = u16::from_le_bytes([head[10], head[11]]);
    let value_bytes = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
    skip(reader, u64::from(key_bytes) + u64::from(value_bytes), Some(hasher))
}

fn read_array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads past bytes in small pieces, so that a damaged length takes no memory.
fn skip(reader: &mut impl Read, mut bytes: u64, mut hasher: Option<&mut Xxh3>) -> io::Result<()> {
    let mut piece = [0; 8 * 1024];
    while bytes > 0 {
        let piece_bytes = bytes.min(piece.len() as u64) as usize;
        reader.read_exact(&mut piece[..piece_bytes])?;
        if let Some(hasher) = hasher.as_deref_mut() {
            hasher.update(&piece[..piece_bytes]);
        }
        bytes -= piece_bytes as u64;
    }
    Ok(())
}

/// Bytes from `from` to the last one that is not zero: fjall makes its logs longer than what it has written.
fn written_bytes(log: &Path, from: u64) -> io::Result<u64> {
    let mut reader = BufReader::new(File::open(log)?);
    reader.seek(SeekFrom::Start(from))?;
    let mut piece = [0; 8 * 1024];
    let (mut passed, mut written) = (0, 0);
    loop {
        let count = reader.read(&mut piece)?;
        if count == 0 {
            return Ok(written);
        }
        if let Some(last) = piece[..count].iter().rposition(|&byte| byte != 0) {
            written = passed + last as u64 + 1;
        }
        passed += count as u64;
    }
}

/// Keeps the bytes behind `whole` in a file of their own, then cuts the log; each step is on disk before the next.
fn cut_at(log: &Path, whole: u64, bytes: u64) -> io::Result<()> {
    let mut torn = File::open(log)?;
    torn.seek(SeekFrom::Start(whole))?;
    let mut kept = File::create(log.with_extension(format!("torn-at-{whole}")))?;
    io::copy(&mut torn.take(bytes), &mut kept)?;
    kept.sync_all()?;
    let log = File::options().write(true).open(log)?;
    log.set_len(whole)?;
    log.sync_all()
}
