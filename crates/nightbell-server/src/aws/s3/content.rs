/*!
Contents on their way: from a body or another object onto disk, and from disk into an answer. Held in memory: some pieces.
*/

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use md5::{Digest as _, Md5};
use nightbell_store::{BlobWriter, Blobs, StoreError};

use super::body::Incoming;
use super::checksum::{Algorithm, Sum, hex};
use super::error::S3Error;
use crate::app::App;
use crate::catalog::{Failure, Records};
use crate::manage::buckets::objects::Checksum;
use crate::manage::buckets::{Content, ObjectRecord, Piece};

/// Bytes of one PUT ("Uploading objects", Amazon S3 User Guide).
pub(crate) const PUT_BYTES_MAX: u64 = 5 << 30;
/// Bytes that are written or read at once.
const STEP_BYTES: usize = 256 << 10;
/// Bytes after which it is looked again whether the disk may take more.
const LOOK_BYTES: u64 = 16 << 20;

/// A content that is on disk.
pub(super) struct Stored {
    /// Where.
    pub(super) content: Content,
    /// How long it is.
    pub(super) bytes: u64,
    /// MD5 in hexadecimal digits.
    pub(super) md5: String,
    /// The checksum that was asked for.
    pub(super) checksum: Option<Checksum>,
}

/// What a content must turn out to be.
#[derive(Default)]
pub(super) struct Expected {
    md5: Option<Vec<u8>>,
    algorithm: Option<Algorithm>,
    /// The checksum where it is told before the content.
    told: Option<String>,
    /// Whether it is told after it.
    in_trailer: bool,
}

/// Where a content comes from.
pub(super) enum Source {
    /// A request.
    Incoming(Box<Incoming>),
    /// Another object.
    Own(Reading),
    /// A part of the server that has it in memory.
    Whole(Option<Bytes>),
}

impl Expected {
    /// What the headers of a request say of the content.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, S3Error> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let md5 = match text("content-md5") {
            None => None,
            Some(md5) => match STANDARD.decode(md5) {
                Ok(bytes) if bytes.len() == 16 => Some(bytes),
                _ => {
                    let text = "The Content-MD5 you specified is not valid.";
                    return Err(S3Error::new(400, "InvalidDigest", text));
                }
            },
        };
        let mut told = Algorithm::ALL
            .into_iter()
            .filter_map(|algorithm| Some((algorithm, text(&algorithm.header())?.to_owned())));
        let first = told.next();
        if told.next().is_some() {
            let text = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(S3Error::new(400, "InvalidRequest", text));
        }
        let trailing = text("x-amz-trailer").unwrap_or_default().to_ascii_lowercase();
        let trailing = trailing.split(',').find_map(|name| Algorithm::of_header(name.trim()));
        let announced = text("x-amz-sdk-checksum-algorithm").or_else(|| text("x-amz-checksum-algorithm"));
        let in_trailer = first.is_none() && trailing.is_some();
        let (algorithm, told) = match first {
            Some((algorithm, value)) => (Some(algorithm), Some(value)),
            None => (trailing.or_else(|| announced.and_then(Algorithm::named)), None),
        };
        Ok(Self { md5, algorithm, told, in_trailer })
    }

    /// The same, with a checksum to be worked out where none is told.
    pub(super) fn or_algorithm(mut self, algorithm: Option<Algorithm>) -> Self {
        self.algorithm = self.algorithm.or(algorithm);
        self
    }

    fn check(&self, md5: &[u8], checksum: Option<&Checksum>, source: &Source) -> Result<(), S3Error> {
        if self.md5.as_deref().is_some_and(|told| told != md5) {
            let text = "The Content-MD5 you specified did not match what we received.";
            return Err(S3Error::new(400, "BadDigest", text));
        }
        let Some(checksum) = checksum else { return Ok(()) };
        let header = self.algorithm.map(Algorithm::header).unwrap_or_default();
        let trailing = match source {
            Source::Incoming(incoming) if self.in_trailer => {
                let told = incoming.trailer(&header);
                Some(told.ok_or_else(|| {
                    S3Error::new(400, "InvalidRequest", format!("The trailer {header} did not come"))
                })?)
            }
            _ => None,
        };
        match self.told.as_deref().or(trailing) {
            Some(told) if told != checksum.value => {
                let text = format!(
                    "The {} you specified did not match the calculated checksum.",
                    checksum.algorithm
                );
                Err(S3Error::new(400, "BadDigest", text))
            }
            _ => Ok(()),
        }
    }
}

impl Source {
    async fn next(&mut self) -> Result<Option<Bytes>, S3Error> {
        match self {
            Self::Incoming(incoming) => incoming.next().await,
            Self::Own(reading) => Ok(reading.next().await?),
            Self::Whole(content) => Ok(content.take()),
        }
    }

    fn told(&self) -> Option<u64> {
        match self {
            Self::Incoming(incoming) => incoming.told(),
            Self::Own(reading) => Some(reading.range.end - reading.range.start),
            Self::Whole(content) => content.as_ref().map(|content| content.len() as u64),
        }
    }
}

/// Writes a content to disk and holds it to what it must be. Refused, it was never there.
pub(super) async fn store(app: &App, mut source: Source, expected: &Expected) -> Result<Stored, S3Error> {
    let told = source.told().unwrap_or(0);
    check_length(told)?;
    check_room(app)?;
    let mut writing = Writing::default();
    let mut sums = (Md5::new(), expected.algorithm.map(Sum::of));
    let mut gathered = BytesMut::new();
    let mut bytes = 0;
    loop {
        let piece = source.next().await?;
        if let Some(piece) = &piece {
            bytes += piece.len() as u64;
            check_length(bytes)?;
            gathered.extend_from_slice(piece);
        }
        if gathered.len() >= STEP_BYTES || piece.is_none() && !gathered.is_empty() {
            let step = gathered.split();
            tokio::task::block_in_place(|| {
                sums.0.update(&step);
                if let Some(sum) = &mut sums.1 {
                    sum.update(&step);
                }
                writing.add(app, &step)
            })?;
        }
        if piece.is_none() {
            break;
        }
    }
    let md5 = sums.0.finalize();
    let checksum = sums.1.map(Sum::finish);
    expected.check(&md5, checksum.as_ref(), &source)?;
    let content = tokio::task::block_in_place(|| writing.finish())?;
    Ok(Stored { content, bytes, md5: hex(&md5), checksum })
}

fn check_length(bytes: u64) -> Result<(), S3Error> {
    if bytes <= PUT_BYTES_MAX {
        return Ok(());
    }
    let error = S3Error::new(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size");
    Err(error.with("ProposedSize", bytes.to_string()).with("MaxSizeAllowed", PUT_BYTES_MAX.to_string()))
}

/// Refuses more where the disk may take no more.
fn check_room(app: &App) -> Result<(), S3Error> {
    let refusal = app.installation.as_ref().and_then(|installation| installation.store.refusal());
    refusal.map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// Says that contents were removed: where the disk was full, there may be room again.
pub(super) fn freed(app: &App) {
    if let Some(installation) = &app.installation {
        installation.store.freed_beside();
    }
}

/// A content that is written; nothing is made for one that is empty.
#[derive(Default)]
struct Writing {
    writer: Option<BlobWriter>,
    since_look: u64,
}

impl Writing {
    fn add(&mut self, app: &App, bytes: &[u8]) -> Result<(), S3Error> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(app.buckets.blobs.begin()?),
        };
        writer.write(bytes)?;
        if let Some(installation) = &app.installation {
            installation.store.count_beside(bytes.len() as u64);
        }
        self.since_look += bytes.len() as u64;
        if self.since_look >= LOOK_BYTES {
            self.since_look = 0;
            check_room(app)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Content, StoreError> {
        match self.writer {
            Some(writer) => writer.finish().map(|blob| Content::Blob(blob.id)),
            None => Ok(Content::Empty),
        }
    }
}

/// A content, or a range of it, that is read from disk.
pub(super) struct Reading {
    blobs: Arc<Blobs>,
    pieces: std::vec::IntoIter<Piece>,
    range: Range<u64>,
    /// Where the pieces that were opened end.
    opened: u64,
    file: Option<File>,
    /// Where the next byte is.
    at: u64,
}

impl Reading {
    /// Opens a range of an object's content.
    pub(super) fn open(
        blobs: &Arc<Blobs>,
        records: &Records,
        object: &ObjectRecord,
        range: Range<u64>,
    ) -> Result<Self, Failure> {
        let pieces = object.content.pieces(records, object.bytes)?;
        let mut reading = Self {
            blobs: Arc::clone(blobs),
            pieces: pieces.into_iter(),
            at: range.start,
            range,
            opened: 0,
            file: None,
        };
        // The first blob at once: once the answer has begun, nothing can be said of one that is missing.
        reading.turn_over()?;
        Ok(reading)
    }

    /// Opens the blob that holds the next byte.
    fn turn_over(&mut self) -> Result<(), StoreError> {
        while self.at < self.range.end && self.opened <= self.at {
            let Some(piece) = self.pieces.next() else { break };
            let start = self.opened;
            self.opened += piece.bytes;
            if self.opened > self.at {
                let mut file = self.blobs.open_blob(&piece.blob)?;
                if self.at > start && file.seek(SeekFrom::Start(self.at - start)).is_err() {
                    self.file = None;
                    return Ok(());
                }
                self.file = Some(file);
            }
        }
        Ok(())
    }

    /// The next piece; nothing at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        tokio::task::block_in_place(|| self.read())
    }

    fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.at >= self.range.end {
            return Ok(None);
        }
        self.turn_over()?;
        let short = || Failure::damaged(b"object", &"its content is shorter than its record says");
        let file = self.file.as_mut().ok_or_else(short)?;
        let left = (self.range.end.min(self.opened) - self.at).min(STEP_BYTES as u64) as usize;
        let mut step = BytesMut::zeroed(left);
        let count = file.read(&mut step).map_err(|error| Failure::damaged(b"object", &error))?;
        if count == 0 {
            return Err(short());
        }
        step.truncate(count);
        self.at += count as u64;
        Ok(Some(step.freeze()))
    }

    /// The body of an answer.
    pub(super) fn into_body(self) -> Body {
        Body::from_stream(futures::stream::try_unfold(self, |mut reading| async move {
            match reading.next().await {
                Ok(Some(step)) => Ok(Some((step, reading))),
                Ok(None) => Ok(None),
                Err(failure) => {
                    tracing::error!(error = %failure, "the content of an object cannot be read to its end");
                    // The connection ends: what has come of the answer is not all that was promised.
                    Err(io::Error::other(failure.to_string()))
                }
            }
        }))
    }
}
