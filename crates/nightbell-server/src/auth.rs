/*!
Who asks: the signature of a request, checked against the key it names, and whose key that is.
*/

use http::request::Parts;
use nightbell_core::time::Timestamp;
use nightbell_wire::sigv4::{self, Scope, SigError, SigErrorKind};

use crate::app::App;
use crate::aws::service::Service;

/// Longest name of a region.
const REGION_BYTES_MAX: usize = 64;

/// Who a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// The account itself, by the root key.
    Root,
    /// Nobody who said a name: a link of a mail was followed, and the secret in it is what counts.
    Link,
}

impl Principal {
    /// The principal's ARN; nothing for one that has no name.
    pub(crate) fn arn(&self, account: &str) -> Option<String> {
        match self {
            Self::Root => Some(format!("arn:aws:iam::{account}:root")),
            Self::Link => None,
        }
    }

    /// The id that GetCallerIdentity names.
    pub(crate) fn user_id(&self, account: &str) -> Option<String> {
        match self {
            Self::Root => Some(account.to_owned()),
            Self::Link => None,
        }
    }
}

/// A caller whose signature is right.
#[derive(Debug)]
pub(crate) struct Caller {
    /// What was signed for: day, region, service.
    pub(crate) scope: Scope,
    /// Whose key it is.
    pub(crate) principal: Principal,
}

/// Checks the signature over the request as it was received.
pub(crate) fn check(app: &App, parts: &Parts, body: &[u8], now: Timestamp) -> Result<Caller, SigError> {
    let signed = sigv4::parse(parts)?;
    // A temporary key would carry a session token; none is given out, so one that comes is from elsewhere.
    if signed.access_key != app.key.access_key_id || signed.session_token.is_some() {
        return Err(SigError::unknown_key());
    }
    if !is_region(&signed.scope.region) {
        let text = "Credential should be scoped to a region of 1 to 64 letters, digits, '-' or '_'.";
        return Err(SigError::new(SigErrorKind::WrongScope, text));
    }
    if signed.unsigned_payload {
        // Without TLS below us, a body that nobody signed is a body that anybody wrote.
        let text = "The body must be signed: UNSIGNED-PAYLOAD is not accepted.";
        return Err(SigError::new(SigErrorKind::PayloadDiffers, text));
    }
    sigv4::verify(&signed, parts, body, &app.key.secret_access_key, now.as_millis())?;
    Ok(Caller { scope: signed.scope, principal: Principal::Root })
}

/// Whether `text` can be the name of a region: a site of the operator's own choice.
pub(crate) fn is_region(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (1..=REGION_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// The service that a request is signed for by a key of ours, before anything is worked out.
pub(crate) fn claimed_service(app: &App, parts: &Parts) -> Option<String> {
    let signed = sigv4::parse(parts).ok().filter(|signed| signed.access_key == app.key.access_key_id);
    signed.map(|signed| signed.scope.service)
}

/// Whether a request asks by a path of REST, going by the scope it claims to be signed for; nothing of that is proven.
pub(crate) fn claims_rest(parts: &Parts) -> bool {
    let path = parts.uri.path();
    path != "/"
        && sigv4::parse(parts).is_ok_and(|signed| Service::paths(&signed.scope.service, path).is_some())
}

/// Whether the header of a request is a signature of version 4, rather than a password that a proxy passes on.
pub(crate) fn has_signature_header(parts: &Parts) -> bool {
    let header = parts.headers.get(http::header::AUTHORIZATION);
    header.is_some_and(|header| header.as_bytes().starts_with(b"AWS4-"))
}

/// Whether a request carries a signature at all.
pub(crate) fn is_signed(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default();
    parts.headers.contains_key(http::header::AUTHORIZATION) || query.contains("X-Amz-Signature=")
}
