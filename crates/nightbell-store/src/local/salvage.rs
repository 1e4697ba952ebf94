/*!
Looks through fjall's write logs before a folder is opened: cuts a torn write off the end, and refuses damage.

A loss of power in the middle of a write can leave its last page on disk and an earlier one not. Nothing from such a
batch on was acknowledged as being on disk, so the log is cut before it; what is cut is kept beside it. fjall itself cuts
too, but at *any* batch that it cannot parse, and says nothing: a damaged byte would take all that follows along. So a
batch that the [`mark`](super::mark)s behind it prove to have been synced is damage, and the folder is not opened.

Works on bytes as fjall 3 writes them: batches of a start (tag 1, count, sequence number), items (2) or clears (4), and
an end (3) with the XXH3-64 of what lies between. Sequence numbers are not in that sum: they must rise.
*/

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::mark::{MARK_BYTES, MARK_KEY, Mark, Sync};
use crate::StoreError;
use crate::error::Cause;

/// Bytes from the torn batch to the end of the log: one block in flight and commits that asked for no sync.
///
/// More means that a sync came after it, so that a disk has failed rather than the power.
const CUT_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Bytes that are read or written at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Sequence numbers from here on are damage: fjall keeps the highest bit for itself, and none comes near.
const SEQNO_MAX: u64 = 1 << 62;

/// What ends a batch, behind its checksum.
const TRAILER: [u8; 4] = [b'F', b'J', b'L', 3];

const ITEM_HEAD_BYTES: usize = 2 + 8 + 2 + 4 + 4;

/// Where a mark lies in its batch: behind the start and the head of the first item.
const MARK_KEY_AT: usize = 1 + 4 + 8 + 1 + ITEM_HEAD_BYTES;

/// Where the last byte of a mark lies in its batch.
const SYNC_BYTE_AT: usize = MARK_KEY_AT + MARK_KEY.len() + MARK_BYTES - 1;

/// Cuts a torn write off the last log in use.
///
/// # Errors
///
/// `Broken`, with log and offset, for damage that is no torn write; `Unavailable` when a log cannot be read or cut.
pub(super) fn check_logs(folder: &Path) -> Result<(), StoreError> {
    let open_error = |error: io::Error| Cause::open(folder, &error);
    let logs = logs(folder).map_err(open_error)?;
    let mut last_seqno = None;
    let mut checked: Vec<Checked> = Vec::with_capacity(logs.len());
    for path in logs {
        checked.push(Checked::of(path, &mut last_seqno).map_err(open_error)?);
    }
    // A disk that refused may have left logs behind that were begun and never used.
    let last = checked.iter().rposition(|log| log.whole > 0).unwrap_or_default();
    for (i, log) in checked.iter().enumerate().filter(|(_, log)| log.rest > 0) {
        let torn = i >= last && log.rest <= CUT_BYTES_MAX && !log.was_synced().map_err(open_error)?;
        if !torn {
            let path = log.path.display().to_string();
            return Err(Cause::Damage { log: path, offset: log.whole, bytes: log.rest }.into());
        }
        log.cut().map_err(open_error)?;
        let (path, whole, bytes) = (log.path.display(), log.whole, log.rest);
        tracing::warn!(log = %path, whole, bytes, "cut a torn write off the log; what was cut is kept beside it");
    }
    Ok(())
}

/// Writes the last log once more and syncs it.
///
/// After a failed sync the system holds pages as written that are not on disk, and no later sync writes them.
pub(super) fn write_last_log_again(folder: &Path) -> io::Result<()> {
    let Some(log) = logs(folder)?.pop() else { return Ok(()) };
    let mut left = written_bytes(&log, 0)?;
    let mut file = File::options().read(true).write(true).open(&log)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut offset = 0;
    while left > 0 {
        let piece = &mut piece[..left.min(PIECE_BYTES as u64) as usize];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(piece)?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(piece)?;
        offset += piece.len() as u64;
        left -= piece.len() as u64;
    }
    file.sync_all()
}

/// The logs of a folder, oldest first.
fn logs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".jnl")?.parse::<u64>().ok());
        logs.extend(number.map(|number| (number, path)));
    }
    logs.sort_unstable();
    Ok(logs.into_iter().map(|(_, path)| path).collect())
}

/// A log that was read through.
struct Checked {
    path: PathBuf,
    /// Bytes of whole batches at its beginning.
    whole: u64,
    /// Bytes behind them, up to the last one that is not zero.
    rest: u64,
}

impl Checked {
    /// Reads a log; `last_seqno` is that of the batch before.
    fn of(path: PathBuf, last_seqno: &mut Option<u64>) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(PIECE_BYTES, File::open(&path)?);
        let mut whole = 0;
        while let Some(batch) = read_batch(&mut reader)? {
            if !batch.follows(*last_seqno) {
                break;
            }
            *last_seqno = Some(batch.seqno);
            whole = reader.stream_position()?;
        }
        let rest = written_bytes(&path, whole)?;
        Ok(Self { path, whole, rest })
    }

    /// Whether batches behind the first that is not whole prove that it had been synced.
    fn was_synced(&self) -> io::Result<bool> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.whole))?;
        let mut rest = Vec::new();
        #[allow(clippy::disallowed_methods)] // at most CUT_BYTES_MAX
        file.take(self.rest).read_to_end(&mut rest)?;
        let mut synced_next = rest.get(SYNC_BYTE_AT).is_some_and(|&byte| Mark::may_follow(byte));
        // Every batch has its mark at the same place, so that one is found whatever the bytes before it are.
        let mut at = MARK_KEY_AT + 1;
        while let Some(found) = rest.get(at..).and_then(|rest| find(rest, *MARK_KEY)) {
            let mut reader = &rest[at + found - MARK_KEY_AT..];
            let Some(batch) = read_batch(&mut reader)? else {
                at += found + 1;
                continue;
            };
            let sync = batch.mark.map_or(Sync::None, |mark| mark.sync);
            if synced_next || sync == Sync::Precedes {
                return Ok(true);
            }
            synced_next = sync == Sync::Follows;
            at = rest.len() - reader.len() + MARK_KEY_AT;
        }
        Ok(false)
    }

    /// Keeps the bytes behind the whole batches in a file of their own, then cuts the log; each step is on disk before
    /// the next.
    fn cut(&self) -> io::Result<()> {
        let mut torn = File::open(&self.path)?;
        torn.seek(SeekFrom::Start(self.whole))?;
        let mut kept = File::create(self.path.with_extension(format!("torn-at-{}", self.whole)))?;
        io::copy(&mut torn.take(self.rest), &mut kept)?;
        kept.sync_all()?;
        let log = File::options().write(true).open(&self.path)?;
        log.set_len(self.whole)?;
        log.sync_all()
    }
}

/// A whole batch.
struct Batch {
    seqno: u64,
    mark: Option<Mark>,
}

impl Batch {
    /// Whether its sequence number can stand behind another.
    fn follows(&self, last: Option<u64>) -> bool {
        let floor = self.mark.map_or(0, |mark| mark.floor);
        self.seqno >= floor && self.seqno < SEQNO_MAX && last.is_none_or(|last| self.seqno > last)
    }
}

/// Reads a batch; none when there is no whole one.
fn read_batch(reader: &mut impl Read) -> io::Result<Option<Batch>> {
    match read_parts(reader) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        batch => batch,
    }
}

fn read_parts(reader: &mut impl Read) -> io::Result<Option<Batch>> {
    if read_array::<1>(reader)? != [1] {
        return Ok(None);
    }
    let count = u32::from_le_bytes(read_array(reader)?);
    let seqno = u64::from_le_bytes(read_array(reader)?);
    let mut hasher = Xxh3::new();
    let (mut parts, mut mark) = (0, None);
    loop {
        let tag = read_array::<1>(reader)?;
        match tag[0] {
            2 => {
                hasher.update(&tag);
                let found = read_item(reader, &mut hasher)?;
                mark = if parts == 0 { found } else { mark };
            }
            3 => {
                let sum = u64::from_le_bytes(read_array(reader)?);
                let whole = read_array(reader)? == TRAILER && sum == hasher.digest() && parts == count;
                return Ok(whole.then_some(Batch { seqno, mark }));
            }
            4 => {
                hasher.update(&tag);
                hasher.update(&read_array::<8>(reader)?);
            }
            _ => return Ok(None),
        }
        parts = parts.saturating_add(1);
    }
}

/// Reads past an item; the mark if it is one.
fn read_item(reader: &mut impl Read, hasher: &mut Xxh3) -> io::Result<Option<Mark>> {
    let head = read_array::<ITEM_HEAD_BYTES>(reader)?;
    hasher.update(&head);
    let key_bytes = u16::from_le_bytes([head[10], head[11]]);
    let value_bytes = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
    if usize::from(key_bytes) == MARK_KEY.len() && value_bytes as usize == MARK_BYTES {
        let key = read_array::<{ MARK_KEY.len() }>(reader)?;
        let value = read_array::<MARK_BYTES>(reader)?;
        hasher.update(&key);
        hasher.update(&value);
        return Ok(Mark::decode(&key, &value));
    }
    skip(reader, u64::from(key_bytes) + u64::from(value_bytes), hasher)?;
    Ok(None)
}

fn read_array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads past bytes in small pieces, so that a damaged length takes no memory.
fn skip(reader: &mut impl Read, mut bytes: u64, hasher: &mut Xxh3) -> io::Result<()> {
    let mut piece = [0; 8 * 1024];
    while bytes > 0 {
        let piece_bytes = bytes.min(piece.len() as u64) as usize;
        reader.read_exact(&mut piece[..piece_bytes])?;
        hasher.update(&piece[..piece_bytes]);
        bytes -= piece_bytes as u64;
    }
    Ok(())
}

/// Bytes from `from` to the last one that is not zero: fjall makes its logs longer than what it has written.
fn written_bytes(log: &Path, from: u64) -> io::Result<u64> {
    static ZEROS: [u8; PIECE_BYTES] = [0; PIECE_BYTES];
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut piece = vec![0; PIECE_BYTES];
    let (mut passed, mut written) = (0, 0);
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(written);
        }
        if piece[..count] != ZEROS[..count]
            && let Some(last) = piece[..count].iter().rposition(|&byte| byte != 0)
        {
            written = passed + last as u64 + 1;
        }
        passed += count as u64;
    }
}

/// Where a pattern begins.
fn find<const N: usize>(bytes: &[u8], pattern: [u8; N]) -> Option<usize> {
    bytes.windows(N).position(|window| window == pattern)
}
