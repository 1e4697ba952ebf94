/*!
Signatures of requests whose body has not come yet, as S3 has them: the headers say what the body will be, and are checked first.

What they say is a [`Payload`]; whoever reads the body holds it to that. Rules: "Signature calculations for the authorization header"
(Amazon S3 API Reference), for one chunk and for several.
*/

use super::{
    AMZ_DATE, CONTENT_SHA256, Canonical, SigError, SigErrorKind, Signed, UNSIGNED_PAYLOAD, check_time, hex,
    hmac, scope_text, signature, signing_key,
};
use http::request::Parts;
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::ConstantTimeEq as _;

const CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const CHUNKS_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_CHUNKS_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// What a signature says of a body that is yet to come.
#[derive(Debug)]
pub enum Payload {
    /// The body has this SHA-256.
    Hashed([u8; 32]),
    /// Nothing: whoever accepts it relies on something else.
    Unsigned,
    /// It comes in chunks, each of which is signed.
    SignedChunks {
        /// Checks them.
        signer: ChunkSigner,
        /// Whether headers, signed as well, come after the last one.
        trailer: bool,
    },
    /// It comes in chunks with headers after the last one, and nothing of them is signed.
    UnsignedChunks,
}

impl Payload {
    /// Whether somebody on the way could have written another body.
    pub fn is_unsigned(&self) -> bool {
        matches!(self, Payload::Unsigned | Payload::UnsignedChunks)
    }
}

/// Checks a request's signature by its headers alone.
///
/// # Errors
/// Those of [`super::verify`]; [`SigErrorKind::Incomplete`] also where the headers say nothing of the body, or where a header that
/// begins with `x-amz-` is not signed.
pub fn verify_ahead(signed: &Signed, parts: &Parts, secret: &str, now: i64) -> Result<Payload, SigError> {
    check_time(signed, now)?;
    check_amz_headers(signed, parts)?;
    let stated = parts.headers.get(CONTENT_SHA256).map(|stated| stated.to_str().unwrap_or_default());
    let payload_hash = match stated {
        Some(stated) => stated,
        None if signed.unsigned_payload => UNSIGNED_PAYLOAD,
        None => {
            return Err(SigError::incomplete(
                "Missing required header for this request: x-amz-content-sha256",
            ));
        }
    };
    let request = Canonical { parts, scope: &signed.scope, signed_headers: &signed.signed_headers };
    let computed = signature(&request.digest(payload_hash), &signed.scope, &signed.time_text, secret);
    if !bool::from(computed.ct_eq(&signed.signature)) {
        return Err(SigError::mismatch());
    }
    let signer = || ChunkSigner {
        key: signing_key(&signed.scope, secret),
        time_text: signed.time_text.clone(),
        scope_text: scope_text(&signed.scope),
        previous: signed.signature,
    };
    match payload_hash {
        UNSIGNED_PAYLOAD => Ok(Payload::Unsigned),
        UNSIGNED_CHUNKS_TRAILER => Ok(Payload::UnsignedChunks),
        CHUNKS => Ok(Payload::SignedChunks { signer: signer(), trailer: false }),
        CHUNKS_TRAILER => Ok(Payload::SignedChunks { signer: signer(), trailer: true }),
        hash => super::parse::unhex(hash).map(Payload::Hashed).ok_or_else(|| {
            let text = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, \
                        STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a \
                        valid sha256 value.";
            SigError::incomplete(text)
        }),
    }
}

/// Headers of AWS decide what a request does: none may be added on the way.
fn check_amz_headers(signed: &Signed, parts: &Parts) -> Result<(), SigError> {
    let added = parts.headers.keys().find(|name| {
        name.as_str().starts_with("x-amz-")
            // These two stand in what is signed in any case.
            && *name != CONTENT_SHA256
            && *name != AMZ_DATE
            && !signed.signed_headers.iter().any(|signed| signed == name.as_str())
    });
    match added {
        None => Ok(()),
        Some(name) => {
            let text = format!("There were headers present in the request which were not signed: {name}");
            Err(SigError::new(SigErrorKind::Mismatch, text))
        }
    }
}

/// Checks the signatures of chunks, each of which covers the one before.
pub struct ChunkSigner {
    key: [u8; 32],
    time_text: String,
    scope_text: String,
    previous: [u8; 32],
}

impl ChunkSigner {
    /// Whether `given` is the signature of the next chunk, whose content has this SHA-256.
    pub(crate) fn is_next(&mut self, content: &[u8; 32], given: &[u8; 32]) -> bool {
        let empty = hex(&Sha256::digest(b""));
        let text = format!("{}\n{empty}\n{}", self.head("AWS4-HMAC-SHA256-PAYLOAD"), hex(content));
        self.advance(&text, given)
    }

    /// Whether `given` is the signature of the headers after the last chunk, which have this SHA-256.
    pub(crate) fn is_trailer(&mut self, headers: &[u8; 32], given: &[u8; 32]) -> bool {
        let text = format!("{}\n{}", self.head("AWS4-HMAC-SHA256-TRAILER"), hex(headers));
        self.advance(&text, given)
    }

    fn head(&self, algorithm: &str) -> String {
        format!("{algorithm}\n{}\n{}\n{}", self.time_text, self.scope_text, hex(&self.previous))
    }

    fn advance(&mut self, text: &str, given: &[u8; 32]) -> bool {
        self.previous = hmac(&self.key, text.as_bytes());
        self.previous.ct_eq(given).into()
    }
}

impl fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSigner").field("scope", &self.scope_text).finish_non_exhaustive()
    }
}
