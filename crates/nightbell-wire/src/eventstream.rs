/*!
Messages of an event stream (`application/vnd.amazon.eventstream`): the body of an answer that goes on.

A message is headers and a payload between two checksums; what the payload means is the caller's. [`Message::encode`] writes one,
[`Decoder`] reads them back from pieces of any size. The form is that of "Amazon Event Stream Specification" (Smithy 2.0).
*/

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// The content type of such a body.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";
/// Largest payload of a message, in bytes ("Amazon Event Stream Specification").
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// Most bytes of a message's headers (the same).
pub const HEADERS_BYTES_MAX: usize = 128 << 10;

/// Total length, length of the headers, and the checksum of both.
const PRELUDE_BYTES: usize = 12;
/// What a message has beside headers and payload: the prelude and the checksum over everything before.
const FRAME_BYTES: usize = PRELUDE_BYTES + 4;
/// Longest name of a header, in bytes: its length is one byte.
const NAME_BYTES_MAX: usize = 255;
/// The type of a header that is a text.
const TEXT: u8 = 7;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The headers that are texts, as (name, value), in their order. Headers of other types are read over.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub payload: Bytes,
}

/// What is no message; nothing after it can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// A checksum is not that of the bytes before it.
    #[error("checksum of the {part} is wrong: expected {expected:08x}, found {found:08x}")]
    Checksum {
        /// What the checksum covers: `prelude` or `message`.
        part: &'static str,
        /// The checksum that stands there.
        expected: u32,
        /// That of the bytes.
        found: u32,
    },
    /// Headers or payload are longer than may be.
    #[error("{part}: {bytes} bytes are more than the limit of {limit}")]
    TooLong {
        /// `headers`, `payload`, or the name or value of a header.
        part: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The lengths contradict each other, or a header is none.
    #[error("{0}")]
    Malformed(&'static str),
}

impl Message {
    /// An event of `kind`, with its content type.
    pub fn event(kind: &str, content_type: &str, payload: impl Into<Bytes>) -> Self {
        Self::of("event", ":event-type", kind, content_type, payload.into())
    }

    /// An error that the operation's model names; the last message of its stream.
    pub fn exception(kind: &str, content_type: &str, payload: impl Into<Bytes>) -> Self {
        Self::of("exception", ":exception-type", kind, content_type, payload.into())
    }

    fn of(what: &str, kind_header: &str, kind: &str, content_type: &str, payload: Bytes) -> Self {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![
            header(":message-type", what),
            header(kind_header, kind),
            header(":content-type", content_type),
        ];
        Self { headers, payload }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// Appends the message's bytes to `out`.
    ///
    /// # Errors
    /// `TooLong` where a header or the payload has no room in a message; `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), MessageError> {
        let headers_bytes = self.headers.iter().try_fold(0, |sum: usize, (name, value)| {
            fits("name of a header", name.len(), NAME_BYTES_MAX)?;
            fits("value of a header", value.len(), usize::from(u16::MAX))?;
            Ok(sum + 4 + name.len() + value.len())
        })?;
        fits("headers", headers_bytes, HEADERS_BYTES_MAX)?;
        fits("payload", self.payload.len(), PAYLOAD_BYTES_MAX)?;
        let (start, total) = (out.len(), FRAME_BYTES + headers_bytes + self.payload.len());
        out.reserve(total);
        out.extend_from_slice(&(total as u32).to_be_bytes());
        out.extend_from_slice(&(headers_bytes as u32).to_be_bytes());
        let checksum = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&checksum.to_be_bytes());
        for (name, value) in &self.headers {
            out.push(name.len() as u8);
            out.extend_from_slice(name.as_bytes());
            out.push(TEXT);
            out.extend_from_slice(&(value.len() as u16).to_be_bytes());
            out.extend_from_slice(value.as_bytes());
        }
        out.extend_from_slice(&self.payload);
        let checksum = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&checksum.to_be_bytes());
        Ok(())
    }
}

fn fits(part: &'static str, bytes: usize, limit: usize) -> Result<(), MessageError> {
    if bytes > limit { Err(MessageError::TooLong { part, bytes, limit }) } else { Ok(()) }
}

/// Reads messages from a body that comes in pieces. Holds at most one message and one piece.
#[derive(Debug, Default)]
pub struct Decoder {
    held: BytesMut,
}

impl Decoder {
    /// Takes the next piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    /// The next message; `None` until all of it has come.
    ///
    /// # Errors
    /// [`MessageError`] for bytes that are no message; a limit is checked before its bytes have come.
    pub fn message(&mut self) -> Result<Option<Message>, MessageError> {
        let Some(prelude) = self.held.first_chunk::<PRELUDE_BYTES>() else { return Ok(None) };
        check("prelude", prelude)?;
        let (total, headers_bytes) = (length(&prelude[..4]), length(&prelude[4..8]));
        fits("headers", headers_bytes, HEADERS_BYTES_MAX)?;
        let Some(payload_bytes) = total.checked_sub(FRAME_BYTES + headers_bytes) else {
            return Err(MessageError::Malformed("a message is shorter than its headers"));
        };
        fits("payload", payload_bytes, PAYLOAD_BYTES_MAX)?;
        if self.held.len() < total {
            return Ok(None);
        }
        let mut whole = self.held.split_to(total).freeze();
        check("message", &whole)?;
        whole.truncate(total - 4);
        whole.advance(PRELUDE_BYTES);
        let headers = read_headers(&whole.split_to(headers_bytes))?;
        Ok(Some(Message { headers, payload: whole }))
    }

    /// Whether no part of a message is held: a body that ends now ends where it may.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

/// Whether the last four bytes are the checksum of those before.
fn check(part: &'static str, bytes: &[u8]) -> Result<(), MessageError> {
    let (covered, checksum) = bytes.split_at(bytes.len() - 4);
    let (expected, found) = (length(checksum) as u32, crc32fast::hash(covered));
    if expected == found { Ok(()) } else { Err(MessageError::Checksum { part, expected, found }) }
}

/// A number of up to four bytes, the highest first.
fn length(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn read_headers(mut bytes: &[u8]) -> Result<Vec<(String, String)>, MessageError> {
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        let name_bytes = length(take(&mut bytes, 1)?);
        let name = text(take(&mut bytes, name_bytes)?)?;
        let value_bytes = match take(&mut bytes, 1)? {
            // True and false, which have no bytes of their own.
            [0 | 1] => 0,
            [2] => 1,
            [3] => 2,
            [4] => 4,
            // An integer or a time.
            [5 | 8] => 8,
            // Bytes.
            [6] => length(take(&mut bytes, 2)?),
            [TEXT] => {
                let value_bytes = length(take(&mut bytes, 2)?);
                headers.push((name, text(take(&mut bytes, value_bytes)?)?));
                continue;
            }
            // A UUID.
            [9] => 16,
            _ => return Err(MessageError::Malformed("a header has an unknown type")),
        };
        take(&mut bytes, value_bytes)?;
    }
    Ok(headers)
}

/// The next `count` bytes.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], MessageError> {
    let (taken, rest) = bytes
        .split_at_checked(count)
        .ok_or(MessageError::Malformed("a header is longer than the headers"))?;
    *bytes = rest;
    Ok(taken)
}

fn text(bytes: &[u8]) -> Result<String, MessageError> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| MessageError::Malformed("a header is not UTF-8"))
}
