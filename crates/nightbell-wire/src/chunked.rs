/*!
`aws-chunked`: a body in chunks, each with its length and perhaps its signature, and perhaps headers after the last one.

[`Chunked`] is fed bytes as they come and hands the content on as it goes; nothing is gathered, so content is proven only once
[`Chunked::is_done`]. Whoever keeps it must let it count only then. Format: "Transferring payload in multiple chunks" and "… with
trailing headers" (Amazon S3 API Reference).
*/

use crate::sigv4::{ChunkSigner, unhex};
use bytes::{Buf as _, Bytes};
use sha2::{Digest as _, Sha256};

/// Longest line of a chunked body, in bytes: a length and a signature, or a header after the last chunk.
pub const CHUNK_LINE_BYTES_MAX: usize = 1_024;
/// Headers after the last chunk.
pub const TRAILERS_MAX: usize = 16;

const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Why a chunked body is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChunkError {
    /// A chunk, or the headers after the last one, are not what was signed.
    #[error("The signature of a chunk does not match.")]
    Mismatch,
    /// It is no chunked body.
    #[error("The chunked body is not well formed: {0}.")]
    Form(&'static str),
}

/// Reads a chunked body.
pub struct Chunked {
    state: State,
    signer: Option<ChunkSigner>,
    /// Whether headers may come after the last chunk.
    trailer: bool,
    /// A line of which the end has not come.
    line: Vec<u8>,
    hash: Sha256,
    given: [u8; 32],
    trailers: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the line of a chunk.
    Size,
    /// In its content, of which so many bytes are to come.
    Content(u64),
    /// Before the end of line after the content.
    After,
    /// Behind the last chunk.
    Trailer,
    Done,
}

impl Chunked {
    /// A body whose chunks are signed; with `trailer`, so are headers after the last one.
    pub fn signed(signer: ChunkSigner, trailer: bool) -> Chunked {
        Chunked::new(Some(signer), trailer)
    }

    /// A body whose chunks are not signed, with headers after the last one.
    pub fn unsigned() -> Chunked {
        Chunked::new(None, true)
    }

    fn new(signer: Option<ChunkSigner>, trailer: bool) -> Chunked {
        Chunked {
            state: State::Size,
            signer,
            trailer,
            line: Vec::new(),
            hash: Sha256::new(),
            given: [0; 32],
            trailers: Vec::new(),
        }
    }

    /// Whether the body has come to its end, and all of it is what was signed.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The headers after the last chunk, names in lower case.
    pub fn trailers(&self) -> &[(String, String)] {
        &self.trailers
    }

    /// Takes the next piece of content off `input`; nothing where more input is needed, or the body is done.
    ///
    /// # Errors
    /// Where it is not well formed, or not what was signed.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, ChunkError> {
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = self.take_line(input)? else { return Ok(None) };
                    self.begin(&line)?;
                }
                State::Content(0) => {
                    self.check_content()?;
                    self.state = State::After;
                }
                State::Content(left) => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let piece = input.split_to(count);
                    if self.signer.is_some() {
                        self.hash.update(&piece);
                    }
                    self.state = State::Content(left - count as u64);
                    return Ok(Some(piece));
                }
                State::After => {
                    let Some(line) = self.take_line(input)? else { return Ok(None) };
                    if !line.is_empty() {
                        return Err(ChunkError::Form("a chunk is longer than it says"));
                    }
                    self.state = State::Size;
                }
                State::Trailer => {
                    let Some(line) = self.take_line(input)? else { return Ok(None) };
                    if line.is_empty() { self.end()? } else { self.keep_trailer(&line)? }
                }
                State::Done if input.is_empty() => return Ok(None),
                State::Done => return Err(ChunkError::Form("something comes after its end")),
            }
        }
    }

    /// A line without its end; nothing where the end has not come.
    fn take_line(&mut self, input: &mut Bytes) -> Result<Option<String>, ChunkError> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let count = end.unwrap_or(input.len());
        if self.line.len() + count > CHUNK_LINE_BYTES_MAX {
            return Err(ChunkError::Form("a line is too long"));
        }
        self.line.extend_from_slice(&input[..count]);
        input.advance(end.map_or(count, |end| end + 1));
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        if line.pop() != Some(b'\r') {
            return Err(ChunkError::Form("a line does not end with CR LF"));
        }
        String::from_utf8(line).map(Some).map_err(|_| ChunkError::Form("a line is not UTF-8"))
    }

    /// The line of a chunk: `<hexadecimal length>[;chunk-signature=<signature>]`.
    fn begin(&mut self, line: &str) -> Result<(), ChunkError> {
        let (length, extension) = line.split_once(';').map_or((line, None), |(a, b)| (a, Some(b)));
        let is_hex = (1..=15).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_hexdigit());
        let length = u64::from_str_radix(length, 16).ok().filter(|_| is_hex);
        let length = length.ok_or(ChunkError::Form("a chunk's length is no hexadecimal number"))?;
        if self.signer.is_some() {
            let signature = extension.and_then(|text| text.strip_prefix("chunk-signature="));
            let signature = signature.and_then(unhex);
            self.given = signature.ok_or(ChunkError::Form("a chunk has no signature"))?;
        }
        if length > 0 {
            self.state = State::Content(length);
            return Ok(());
        }
        self.check_content()?;
        self.state = State::Trailer;
        Ok(())
    }

    fn check_content(&mut self) -> Result<(), ChunkError> {
        let Some(signer) = &mut self.signer else { return Ok(()) };
        let content: [u8; 32] = self.hash.finalize_reset().into();
        if signer.is_next(&content, &self.given) { Ok(()) } else { Err(ChunkError::Mismatch) }
    }

    fn keep_trailer(&mut self, line: &str) -> Result<(), ChunkError> {
        let (name, value) = line.split_once(':').ok_or(ChunkError::Form("a trailing header has no value"))?;
        if !self.trailer || self.trailers.len() >= TRAILERS_MAX {
            return Err(ChunkError::Form("it has more trailing headers than it may"));
        }
        self.trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        Ok(())
    }

    fn end(&mut self) -> Result<(), ChunkError> {
        let signature = self.trailers.iter().position(|(name, _)| name == TRAILER_SIGNATURE);
        let signature = signature.map(|at| self.trailers.remove(at).1);
        if let Some(signer) = self.signer.as_mut().filter(|_| self.trailer) {
            let given = signature.as_deref().and_then(unhex);
            let given = given.ok_or(ChunkError::Form("the trailing headers have no signature"))?;
            let mut lines: Vec<String> =
                self.trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
            lines.sort();
            if !signer.is_trailer(&Sha256::digest(lines.concat()).into(), &given) {
                return Err(ChunkError::Mismatch);
            }
        }
        self.state = State::Done;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
