/*!
Recorded Windows logs: the events of an EVTX file as single-line XML, in the order Windows reads them.

Chunk by chunk, so a file of any size needs the memory of one chunk (64 KiB of file). What is damaged is counted and
stepped over: after an attack the damaged log is the interesting one. The crate `evtx` reads a chunk; this file
finds the chunks, keeps the place and gives the XML the form that `xml` reads quickest.
*/

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use ::evtx::{EvtxChunkData, EvtxRecord, ParserSettings};
use nightbell_core::time::Timestamp;

use crate::event::WindowsEvent;

/// Bytes of the file's header block.
const HEADER_BYTES: u64 = 4_096;
/// Bytes of a chunk.
const CHUNK_BYTES: u64 = 65_536;
/// Bytes of a chunk's header that tell its first record number.
const CHUNK_HEAD_BYTES: usize = 128;
/// Chunks looked at in one file: 64 GiB, above the 4 GiB that Windows allows a log.
pub const CHUNKS_MAX: u64 = 1 << 20;
/// Bytes of XML that one record may become; what is larger counts as damaged.
pub const XML_BYTES_MAX: usize = 4 << 20;

/// One record of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// EventRecordID, dense for each machine and channel: the number in the XML, since an exported file numbers its
    /// records anew; the file's own number where the XML has none.
    pub record_id: u64,
    /// When it happened: TimeCreated, or the record's own stamp where the XML has none.
    pub time: Timestamp,
    /// The event, without an XML declaration; values may hold line breaks.
    pub xml: String,
    /// Where reading goes on after this record: keep it to resume.
    pub next: Position,
}

/// A place in a log, good for the unchanged file only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Chunks read before, in reading order.
    pub chunk: u64,
    /// Records, damaged ones too, read before in this chunk.
    pub record: u64,
}

/// What was read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records given.
    pub records: u64,
    /// Records that could not be read.
    pub records_damaged: u64,
    /// Chunks that could not be read at all, or broke off.
    pub chunks_damaged: u64,
    /// Chunks whose checksum is wrong and that were read all the same: a log that was not closed has one.
    pub chunks_unsealed: u64,
}

/// Why a file cannot be read as a log.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened or read.
    #[error("cannot read the log: {0}")]
    Io(#[from] io::Error),
    /// It does not begin as EVTX files do.
    #[error("not an EVTX file: it does not begin with ElfFile")]
    NotEvtx,
}

/// Reads one EVTX file; an iterator over [`Record`]s.
#[derive(Debug)]
pub struct Reader<R = File> {
    source: R,
    bytes: u64,
    chunks: u64,
    /// The chunk with the lowest record number: a full log goes round.
    oldest: u64,
    next_chunk: u64,
    skip_records: u64,
    ready: VecDeque<Record>,
    counts: Counts,
    settings: Arc<ParserSettings>,
}

impl Reader<File> {
    /// Opens the log at `path`.
    ///
    /// # Errors
    /// When it cannot be read or is no EVTX file; damage further in is no error.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::new(File::open(path)?)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Reads a log from any source that can seek.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn new(mut source: R) -> Result<Self, OpenError> {
        let bytes = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        let mut magic = [0; 8];
        if bytes < HEADER_BYTES || source.read_exact(&mut magic).is_err() || &magic != b"ElfFile\0" {
            return Err(OpenError::NotEvtx);
        }
        // A last chunk that is cut short counts too: as damaged.
        let chunks = (bytes - HEADER_BYTES).div_ceil(CHUNK_BYTES).min(CHUNKS_MAX);
        let oldest = oldest_chunk(&mut source, chunks)?;
        let settings = ParserSettings::new().num_threads(1).indent(false);
        Ok(Self {
            source,
            bytes,
            chunks,
            oldest,
            next_chunk: 0,
            skip_records: 0,
            ready: VecDeque::new(),
            counts: Counts::default(),
            settings: Arc::new(settings),
        })
    }

    /// Size of the file in bytes.
    pub fn bytes_total(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the file read so far, for progress; it grows by chunks.
    pub fn bytes_read(&self) -> u64 {
        (HEADER_BYTES + self.next_chunk * CHUNK_BYTES).min(self.bytes)
    }

    /// What was read so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Goes on at `position`, which a record of the same file gave as its `next`.
    pub fn skip_to(&mut self, position: Position) {
        self.ready.clear();
        self.next_chunk = position.chunk.min(self.chunks);
        self.skip_records = position.record;
    }

    /// Reads the next chunk's records into `ready`.
    fn read_chunk(&mut self) {
        let at = self.next_chunk;
        let number = (self.oldest + at) % self.chunks;
        self.next_chunk += 1;
        let skip = std::mem::take(&mut self.skip_records);
        let Some(data) = self.chunk_bytes(number) else {
            self.counts.chunks_damaged += 1;
            return;
        };
        if data.iter().all(|byte| *byte == 0) {
            return;
        }
        let Ok(mut chunk) = EvtxChunkData::new(data, false) else {
            self.counts.chunks_damaged += 1;
            return;
        };
        if !chunk.validate_checksum() {
            self.counts.chunks_unsealed += 1;
        }
        let Ok(mut chunk) = chunk.parse(Arc::clone(&self.settings)) else {
            self.counts.chunks_damaged += 1;
            return;
        };
        for (index, record) in (1_u64..).zip(chunk.iter()) {
            if index <= skip {
                continue;
            }
            let next = Position { chunk: at, record: index };
            match record.ok().and_then(|record| whole_record(record, next)) {
                Some(record) => self.ready.push_back(record),
                None => self.counts.records_damaged += 1,
            }
        }
    }

    /// The chunk with this number in the file; `None` when the file ends in it or cannot be read there.
    fn chunk_bytes(&mut self, number: u64) -> Option<Vec<u8>> {
        self.source.seek(SeekFrom::Start(HEADER_BYTES + number * CHUNK_BYTES)).ok()?;
        let mut data = vec![0; CHUNK_BYTES as usize];
        self.source.read_exact(&mut data).ok()?;
        Some(data)
    }
}

impl<R: Read + Seek> Iterator for Reader<R> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while self.ready.is_empty() && self.next_chunk < self.chunks {
            self.read_chunk();
        }
        let record = self.ready.pop_front()?;
        self.counts.records += 1;
        Some(record)
    }
}

/// The chunk whose header names the lowest record number.
fn oldest_chunk(source: &mut (impl Read + Seek), chunks: u64) -> Result<u64, OpenError> {
    let mut oldest = (u64::MAX, 0);
    for number in 0..chunks {
        source.seek(SeekFrom::Start(HEADER_BYTES + number * CHUNK_BYTES))?;
        let mut head = [0; CHUNK_HEAD_BYTES];
        if source.read_exact(&mut head).is_err() {
            break;
        }
        if let Some(first) = first_record_id(&head)
            && first < oldest.0
        {
            oldest = (first, number);
        }
    }
    Ok(oldest.1)
}

/// The first record number that a chunk's header names, unless its numbers are reversed or it is no chunk.
fn first_record_id(head: &[u8; CHUNK_HEAD_BYTES]) -> Option<u64> {
    let number = |at: usize| head.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let (first, last) = (number(24)?, number(32)?);
    (head.starts_with(b"ElfChnk\0") && first <= last).then_some(first)
}

fn whole_record(record: EvtxRecord<'_>, next: Position) -> Option<Record> {
    let record = record.into_xml().ok()?;
    let mut xml = record.data;
    if xml.len() > XML_BYTES_MAX {
        return None;
    }
    if let Some(end) = xml.strip_prefix("<?xml").and_then(|rest| rest.find("?>")) {
        let start = "<?xml".len() + end + "?>".len();
        let blanks = xml[start..].len() - xml[start..].trim_start().len();
        xml.drain(..start + blanks);
    }
    xml.truncate(xml.trim_end().len());
    let event = WindowsEvent::read(&xml)?;
    let time = event.time().unwrap_or_else(|| Timestamp::from_millis(record.timestamp.as_millisecond()));
    let record_id = event.record_id().unwrap_or(record.event_record_id);
    Some(Record { record_id, time, xml, next })
}
