/*!
The body of a request as it comes: held to what its signature says of it, handed on piece by piece, nothing gathered.

That all of it is what was signed is known at its end only: [`Incoming::next`] gives nothing more once that is proven, and an error
otherwise. Who keeps pieces lets them count only then.
*/

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::HeaderMap;
use nightbell_wire::chunked::{ChunkError, Chunked};
use nightbell_wire::sigv4::Payload;
use sha2::{Digest as _, Sha256};

use super::error::S3Error;

/// How long nothing may come of a body.
pub(crate) const PIECE_TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of a document.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// Bytes that are read over of the body of a request that is refused, so that its sender comes to read why.
const READ_OVER_BYTES_MAX: usize = 8 << 20;
/// How long that may take.
const READ_OVER_TIME_MAX: Duration = Duration::from_secs(5);

/// A body that comes.
pub(crate) struct Incoming {
    /// What is left when this is dropped is read over.
    left: ReadOver,
    form: Form,
    /// What has come and is not handed on.
    input: Bytes,
    /// How long the content says that it is.
    told: Option<u64>,
    /// How much of it was handed on.
    seen: u64,
    is_over: bool,
}

enum Form {
    /// As it is; with the hash it must have.
    Plain(Option<(Sha256, [u8; 32])>),
    Chunks(Box<Chunked>),
}

impl Incoming {
    /// The body of a request with these headers, of which the signature says this.
    pub(super) fn new(headers: &HeaderMap, body: Body, payload: Payload) -> Result<Self, S3Error> {
        let number = |name: &str| headers.get(name).map(|value| value.to_str().ok()?.parse::<u64>().ok());
        let chunked = !matches!(payload, Payload::Hashed(_) | Payload::Unsigned);
        let name = if chunked { "x-amz-decoded-content-length" } else { "content-length" };
        let told = match number(name) {
            None if chunked => {
                let text = "You must provide the x-amz-decoded-content-length HTTP header.";
                return Err(S3Error::new(411, "MissingContentLength", text));
            }
            None => None,
            Some(None) => return Err(S3Error::argument(name, "", "It is no number of bytes")),
            Some(told) => told,
        };
        let form = match payload {
            Payload::Hashed(hash) => Form::Plain(Some((Sha256::new(), hash))),
            Payload::Unsigned => Form::Plain(None),
            Payload::SignedChunks { signer, trailer } => {
                Form::Chunks(Box::new(Chunked::signed(signer, trailer)))
            }
            Payload::UnsignedChunks => Form::Chunks(Box::new(Chunked::unsigned())),
        };
        Ok(Self {
            left: ReadOver::of(headers, body),
            form,
            input: Bytes::new(),
            told,
            seen: 0,
            is_over: false,
        })
    }

    /// How long the content says that it is.
    pub(super) fn told(&self) -> Option<u64> {
        self.told
    }

    /// The next piece; nothing once all has come and is what was signed.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            if let Form::Chunks(chunked) = &mut self.form
                && let Some(piece) = chunked.next(&mut self.input).map_err(chunk_error)?
            {
                self.seen += piece.len() as u64;
                return Ok(Some(piece));
            }
            if self.is_over {
                return Ok(None);
            }
            match tokio::time::timeout(PIECE_TIME_MAX, self.left.next()).await {
                Err(_) => {
                    let text = "Your socket connection to the server was not read from or written to within the timeout period.";
                    return Err(S3Error::new(400, "RequestTimeout", text));
                }
                Ok(Some(Err(_))) => return Err(incomplete()),
                Ok(None) => {
                    self.is_over = true;
                    self.check_end()?;
                }
                Ok(Some(Ok(bytes))) => match &mut self.form {
                    Form::Chunks(_) => self.input = bytes,
                    Form::Plain(hashed) => {
                        if let Some((hash, _)) = hashed {
                            hash.update(&bytes);
                        }
                        self.seen += bytes.len() as u64;
                        return Ok(Some(bytes));
                    }
                },
            }
        }
    }

    fn check_end(&mut self) -> Result<(), S3Error> {
        match &mut self.form {
            Form::Chunks(chunked) if !chunked.is_done() => return Err(incomplete()),
            Form::Plain(Some((hash, stated))) => {
                let computed: [u8; 32] = hash.finalize_reset().into();
                if computed != *stated {
                    let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
                    return Err(S3Error::new(400, "XAmzContentSHA256Mismatch", text));
                }
            }
            _ => {}
        }
        if self.told.is_some_and(|told| told != self.seen) { Err(incomplete()) } else { Ok(()) }
    }

    /// A header after the last chunk, once all has come.
    pub(super) fn trailer(&self, name: &str) -> Option<&str> {
        let Form::Chunks(chunked) = &self.form else { return None };
        chunked.trailers().iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// All of it, for documents.
    pub(super) async fn document(&mut self) -> Result<Bytes, S3Error> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > DOCUMENT_BYTES_MAX {
                let text =
                    format!("Your request was too big: a document has at most {DOCUMENT_BYTES_MAX} bytes");
                return Err(S3Error::new(400, "MaxMessageLengthExceeded", text));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

/// A body of which the rest is read over once nobody wants it: who is refused early still comes to read why.
pub(super) struct ReadOver {
    stream: Option<BodyDataStream>,
    /// The sender waits to be asked for it.
    waits: bool,
}

impl ReadOver {
    /// The rest of a body.
    pub(super) fn of(headers: &HeaderMap, body: Body) -> Self {
        Self { stream: Some(body.into_data_stream()), waits: headers.contains_key(http::header::EXPECT) }
    }

    async fn next(&mut self) -> Option<Result<Bytes, axum::Error>> {
        self.waits = false;
        let next = self.stream.as_mut()?.next().await;
        if !matches!(next, Some(Ok(_))) {
            self.stream = None;
        }
        next
    }
}

impl Drop for ReadOver {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take().filter(|_| !self.waits) else { return };
        let reading = async move {
            let mut bytes = 0;
            while let Some(Ok(piece)) = stream.next().await {
                bytes += piece.len();
                if bytes > READ_OVER_BYTES_MAX {
                    return;
                }
            }
        };
        // Whoever sends more, or more slowly, learns less.
        tokio::spawn(tokio::time::timeout(READ_OVER_TIME_MAX, reading));
    }
}

fn incomplete() -> S3Error {
    let text = "You did not provide the number of bytes specified by the Content-Length HTTP header";
    S3Error::new(400, "IncompleteBody", text)
}

fn chunk_error(error: ChunkError) -> S3Error {
    match error {
        ChunkError::Mismatch => S3Error::new(403, "SignatureDoesNotMatch", error.to_string()),
        ChunkError::Form(_) => S3Error::new(400, "IncompleteBody", error.to_string()),
    }
}
