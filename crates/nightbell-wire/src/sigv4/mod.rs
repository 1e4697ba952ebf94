/*!
AWS signature version 4: who signed a request, and did they?

[`parse`] reads the signature off the `Authorization` header or off a presigned address and says which key it claims; the caller looks up
that key's secret, and [`verify`] recomputes the signature over the request as it was received, body not inflated. Knows no keys and no
clock: secret and `now` are arguments. [`verify_ahead`] does so before the body has come. [`sign`] is the other side, for the agent and for tests. The rules are those of the
"AWS Signature Version 4 for API requests" guide.
*/

mod ahead;
mod canonical;
mod error;
mod parse;

pub use ahead::{ChunkSigner, Payload, verify_ahead};
pub use error::{SigError, SigErrorKind};
pub use parse::parse;
pub(crate) use parse::unhex;

use canonical::Canonical;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// How far a request's time may be from ours, either way, in milliseconds.
pub const CLOCK_SKEW_MILLIS_MAX: i64 = 15 * 60 * 1000;
/// Longest validity of a presigned address, in seconds: seven days.
pub const PRESIGN_SECONDS_MAX: u64 = 7 * 24 * 60 * 60;
/// How many headers a signature may cover.
pub const SIGNED_HEADERS_MAX: usize = 64;
/// Longest `Authorization` header that is looked at, in bytes.
pub const AUTHORIZATION_BYTES_MAX: usize = 16 * 1024;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// Headers that proxies and clients change on the way, so that [`sign`] leaves them out.
const NEVER_SIGNED: [&str; 10] = [
    "authorization",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
];

/// What a key may sign for: a day, a region, a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// The day, as `20150830`.
    pub date: String,
    /// The region, as `eu-central-1`.
    pub region: String,
    /// The service's signing name, as `logs`, `monitoring`, `sns`.
    pub service: String,
}

/// A signature as it stands on a request. Nothing in it is proven before [`verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The id of the key that the request claims to be signed with.
    pub access_key: String,
    /// What the signing key is derived for.
    pub scope: Scope,
    /// The names of the headers that are signed, in lower case, in the order given.
    pub signed_headers: Vec<String>,
    /// The token of temporary credentials, if one came along.
    pub session_token: Option<String>,
    /// The request's time, in milliseconds since 1970.
    pub time: i64,
    /// Of a presigned address: for how many seconds after `time` it holds.
    pub expires: Option<u64>,
    /// The signature doesn't cover the body (`UNSIGNED-PAYLOAD`). Whoever accepts such a request relies on TLS for the body.
    pub unsigned_payload: bool,
    signature: [u8; 32],
    /// The time as it stands in what is signed.
    time_text: String,
}

/// A key to sign with. Its secret is not shown by `Debug`.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// The key's id.
    pub access_key: &'a str,
    /// The key's secret.
    pub secret: &'a str,
    /// The token of temporary credentials.
    pub session_token: Option<&'a str>,
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Checks a signature against the secret of the key it claims.
///
/// `body` is the body as received, before inflating; `now` is in milliseconds since 1970. The body is hashed once, and the signatures are
/// compared in constant time.
///
/// # Errors
/// [`SigErrorKind::Expired`] and [`SigErrorKind::NotYetValid`] by the time, [`SigErrorKind::PayloadDiffers`] where the body is not
/// the one that `x-amz-content-sha256` names, [`SigErrorKind::Incomplete`] where that header is of a kind not served,
/// [`SigErrorKind::Mismatch`] for everything else.
pub fn verify(signed: &Signed, parts: &Parts, body: &[u8], secret: &str, now: i64) -> Result<(), SigError> {
    check_time(signed, now)?;
    let payload_hash = payload_hash(signed, parts, body)?;
    let request = Canonical { parts, scope: &signed.scope, signed_headers: &signed.signed_headers };
    let computed = signature(&request.digest(&payload_hash), &signed.scope, &signed.time_text, secret);
    if bool::from(computed.ct_eq(&signed.signature)) { Ok(()) } else { Err(SigError::mismatch()) }
}

impl Signed {
    /// Checks that the signature is for one of the services' signing names.
    ///
    /// # Errors
    /// [`SigErrorKind::WrongScope`] if it is for another.
    pub fn check_service(&self, services: &[&str]) -> Result<(), SigError> {
        if services.contains(&&*self.scope.service) {
            return Ok(());
        }
        Err(SigError::new(
            SigErrorKind::WrongScope,
            format!("Credential should be scoped to correct service: '{}'.", services.join("' or '")),
        ))
    }

    /// Checks that the signature is for the region.
    ///
    /// # Errors
    /// [`SigErrorKind::WrongScope`] if it is for another.
    pub fn check_region(&self, region: &str) -> Result<(), SigError> {
        if self.scope.region == region {
            return Ok(());
        }
        let message = format!("Credential should be scoped to a valid region. The region is '{region}'.");
        Err(SigError::new(SigErrorKind::WrongScope, message))
    }
}

/// Signs a request: sets `x-amz-date`, with temporary credentials `x-amz-security-token`, and `authorization`; also `host`, from the
/// address, where it is missing. All headers present are signed but those that change on the way. `now` is in milliseconds since 1970.
///
/// # Errors
/// [`SigErrorKind::Incomplete`] where there is no host, or where token, key or time cannot stand in a header.
pub fn sign(
    parts: &mut Parts,
    body: &[u8],
    key: &Key<'_>,
    region: &str,
    service: &str,
    now: i64,
) -> Result<(), SigError> {
    let time_text = time_text(now).ok_or_else(|| SigError::incomplete("The time is out of range."))?;
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| SigError::incomplete("The key or its token is not valid in a header."))
    };
    parts.headers.remove(AUTHORIZATION);
    parts.headers.insert(AMZ_DATE, value(&time_text)?);
    if let Some(token) = key.session_token {
        parts.headers.insert(SECURITY_TOKEN, value(token)?);
    }
    if !parts.headers.contains_key(HOST) {
        let host = parts.uri.authority().ok_or_else(|| SigError::incomplete("The request has no host."))?;
        parts.headers.insert(HOST, value(host.as_str())?);
    }
    let scope =
        Scope { date: time_text[..8].to_owned(), region: region.to_owned(), service: service.to_owned() };
    let mut signed_headers: Vec<String> = parts.headers.keys().map(|name| name.as_str().to_owned()).collect();
    signed_headers.retain(|name| !NEVER_SIGNED.contains(&name.as_str()));
    signed_headers.sort();
    let stated = parts.headers.get(CONTENT_SHA256).and_then(|stated| stated.to_str().ok());
    let payload_hash = stated.map_or_else(|| hex(&Sha256::digest(body)), str::to_owned);
    let request = Canonical { parts, scope: &scope, signed_headers: &signed_headers };
    let signature = hex(&signature(&request.digest(&payload_hash), &scope, &time_text, key.secret));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        key.access_key,
        scope_text(&scope),
        signed_headers.join(";"),
    );
    parts.headers.insert(AUTHORIZATION, value(&authorization)?);
    Ok(())
}

fn check_time(signed: &Signed, now: i64) -> Result<(), SigError> {
    let text = |millis| time_text(millis).unwrap_or_default();
    let earliest = now.saturating_sub(CLOCK_SKEW_MILLIS_MAX);
    let latest = now.saturating_add(CLOCK_SKEW_MILLIS_MAX);
    let stated = &signed.time_text;
    if signed.time > latest {
        let message = format!(
            "Signature not yet current: {stated} is still later than {} ({} + 15 min.)",
            text(latest),
            text(now)
        );
        return Err(SigError::new(SigErrorKind::NotYetValid, message));
    }
    if let Some(seconds) = signed.expires {
        let end = signed.time.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000));
        if now > end {
            let message = format!("Signature expired: {} is now earlier than {}", text(end), text(now));
            return Err(SigError::new(SigErrorKind::Expired, message));
        }
    } else if signed.time < earliest {
        let message = format!(
            "Signature expired: {stated} is now earlier than {} ({} - 15 min.)",
            text(earliest),
            text(now)
        );
        return Err(SigError::new(SigErrorKind::Expired, message));
    }
    Ok(())
}

/// What stands for the body in the canonical request.
fn payload_hash(signed: &Signed, parts: &Parts, body: &[u8]) -> Result<String, SigError> {
    let stated = match parts.headers.get(CONTENT_SHA256) {
        _ if signed.unsigned_payload => return Ok(UNSIGNED_PAYLOAD.to_owned()),
        Some(stated) => Some(stated.as_bytes()),
        None => None,
    };
    let computed = hex(&Sha256::digest(body));
    match stated {
        None => Ok(computed),
        Some(stated) if stated == computed.as_bytes() => Ok(computed),
        Some(stated) if stated.starts_with(b"STREAMING-") => {
            Err(SigError::incomplete("A body signed in chunks is not supported."))
        }
        Some(_) => Err(SigError::new(
            SigErrorKind::PayloadDiffers,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )),
    }
}

fn signature(request_digest: &[u8; 32], scope: &Scope, time_text: &str, secret: &str) -> [u8; 32] {
    let text = format!("{ALGORITHM}\n{time_text}\n{}\n{}", scope_text(scope), hex(request_digest));
    hmac(&signing_key(scope, secret), text.as_bytes())
}

fn signing_key(scope: &Scope, secret: &str) -> [u8; 32] {
    let mut key = hmac(format!("AWS4{secret}").as_bytes(), scope.date.as_bytes());
    for part in [&*scope.region, &*scope.service, TERMINATOR] {
        key = hmac(&key, part.as_bytes());
    }
    key
}

fn scope_text(scope: &Scope) -> String {
    format!("{}/{}/{}/{TERMINATOR}", scope.date, scope.region, scope.service)
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

/// `20150830T123600Z`. Nothing outside years 0 to 9999.
fn time_text(millis: i64) -> Option<String> {
    let text = Timestamp::from_millisecond(millis).ok()?.strftime("%Y%m%dT%H%M%SZ").to_string();
    (text.len() == 16).then_some(text)
}

#[cfg(test)]
mod tests;
