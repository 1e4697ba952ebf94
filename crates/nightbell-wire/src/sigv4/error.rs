/*!
Why a signature is refused, and under which AWS code.

Few kinds, since a client acts alike on most: it looks at its key, at its clock, or at what lies between. The text says the rest and holds
no secret and no signature.
*/

use crate::call::Protocol;
use http::StatusCode;

/// Kinds of refusal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SigErrorKind {
    /// The request is not signed at all.
    Missing,
    /// The signature's form is not the one of version 4, or something it needs is not there.
    Incomplete,
    /// The signature is not that of this request under this secret.
    Mismatch,
    /// The request's time, or a presigned address's end, is past.
    Expired,
    /// The request's time lies in the future.
    NotYetValid,
    /// The body is not the one that was signed.
    PayloadDiffers,
    /// The signature is for another service or region.
    WrongScope,
    /// The key is not known, or its session token is not valid. Told by whoever looks keys up.
    UnknownKey,
    /// The temporary key has ended. Told by whoever looks keys up.
    ExpiredToken,
}

/// A signature that is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SigError {
    /// Why.
    pub kind: SigErrorKind,
    /// What the client is told.
    pub message: String,
}

impl SigError {
    /// A refusal with its text.
    pub fn new(kind: SigErrorKind, message: impl Into<String>) -> SigError {
        SigError { kind, message: message.into() }
    }

    /// The refusal of a key that is not known.
    pub fn unknown_key() -> SigError {
        SigError::new(SigErrorKind::UnknownKey, "The security token included in the request is invalid.")
    }

    /// The refusal of a temporary key whose time is over.
    pub fn expired_token() -> SigError {
        let text = "The security token included in the request is expired";
        SigError::new(SigErrorKind::ExpiredToken, text)
    }

    pub(super) fn incomplete(message: impl Into<String>) -> SigError {
        SigError::new(SigErrorKind::Incomplete, message)
    }

    pub(super) fn mismatch() -> SigError {
        SigError::new(
            SigErrorKind::Mismatch,
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        )
    }

    /// The error code and HTTP status in a protocol: awsQuery has names of its own and answers 403 ("Common Errors" of the SNS and the
    /// CloudWatch Logs API references). REST has the names of JSON and the status of awsQuery ("Common Errors" of the Lambda API reference).
    pub fn code(&self, protocol: Protocol) -> (&'static str, StatusCode) {
        use SigErrorKind::{ExpiredToken, Incomplete, Missing, UnknownKey};
        let (query, other) = match self.kind {
            Missing => ("MissingAuthenticationToken", "MissingAuthenticationTokenException"),
            Incomplete => ("IncompleteSignature", "IncompleteSignatureException"),
            UnknownKey => ("InvalidClientTokenId", "UnrecognizedClientException"),
            ExpiredToken => ("ExpiredToken", "ExpiredTokenException"),
            _ => ("SignatureDoesNotMatch", "InvalidSignatureException"),
        };
        match (protocol, self.kind) {
            (Protocol::Query, Incomplete) => (query, StatusCode::BAD_REQUEST),
            (Protocol::Query, _) => (query, StatusCode::FORBIDDEN),
            (Protocol::RestJson, Incomplete) => (other, StatusCode::BAD_REQUEST),
            (Protocol::RestJson, _) => (other, StatusCode::FORBIDDEN),
            _ => (other, StatusCode::BAD_REQUEST),
        }
    }
}
