/*!
Reads a signature off a request, header or presigned address, and checks its form.

Whether it covers what decides the request (host, operation, session token) is checked here too, since that needs no secret. An address
may not be presigned and carry an `Authorization` header as well.
*/

use super::{
    ALGORITHM, AMZ_DATE, AUTHORIZATION_BYTES_MAX, CONTENT_SHA256, PRESIGN_SECONDS_MAX, SECURITY_TOKEN,
    SIGNED_HEADERS_MAX, Scope, SigError, SigErrorKind, Signed, TERMINATOR, UNSIGNED_PAYLOAD, canonical,
};
use crate::percent;
use http::HeaderName;
use http::header::{AUTHORIZATION, DATE};
use http::request::Parts;
use jiff::fmt::rfc2822;

/// Headers that decide what a request does: signed, wherever they are present.
const SIGNED_IF_PRESENT: [&str; 2] = ["x-amz-target", "x-amz-security-token"];

/// Reads the signature that stands on a request.
///
/// # Errors
/// [`SigErrorKind::Missing`] where there is none, [`SigErrorKind::Incomplete`] where its form is wrong or it leaves out a header
/// that it must cover, [`SigErrorKind::Mismatch`] where its scope is of another day than the request.
pub fn parse(parts: &Parts) -> Result<Signed, SigError> {
    let presigned = Presigned::read(parts)?;
    let mut authorizations = parts.headers.get_all(AUTHORIZATION).iter();
    let signed = match (authorizations.next(), presigned) {
        (Some(header), None) => {
            let header = header.to_str().ok().filter(|header| header.len() <= AUTHORIZATION_BYTES_MAX);
            from_header(
                parts,
                header.ok_or_else(|| SigError::incomplete("The Authorization header is not valid."))?,
            )?
        }
        (None, Some(presigned)) => from_address(parts, &presigned)?,
        (Some(_), Some(_)) => return Err(SigError::incomplete("The request is signed in two ways.")),
        (None, None) => {
            return Err(SigError::new(
                SigErrorKind::Missing,
                "The request is missing an authentication token.",
            ));
        }
    };
    if authorizations.next().is_some() {
        return Err(SigError::incomplete("The request has two Authorization headers."));
    }
    if signed.scope.date != signed.time_text[..8] {
        let message = format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from '{}'.",
            signed.scope.date,
            &signed.time_text[..8],
            signed.time_text
        );
        return Err(SigError::new(SigErrorKind::Mismatch, message));
    }
    check_signed_headers(parts, &signed)?;
    Ok(signed)
}

fn from_header(parts: &Parts, header: &str) -> Result<Signed, SigError> {
    let fields = header
        .strip_prefix(ALGORITHM)
        .filter(|fields| fields.starts_with(' '))
        .ok_or_else(|| SigError::incomplete("Unsupported AWS 'algorithm': AWS4-HMAC-SHA256 is supported."))?;
    let [mut credential, mut signed_headers, mut signature] = [None; 3];
    for field in fields.split(',') {
        let (name, value) = field.trim().split_once('=').unwrap_or_default();
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return Err(SigError::incomplete("The Authorization header is not valid.")),
        };
        if slot.replace(value).is_some() {
            return Err(SigError::incomplete("The Authorization header names a parameter twice."));
        }
    }
    let required = |value: Option<&'_ str>, name| {
        value
            .map(str::to_owned)
            .ok_or_else(|| SigError::incomplete(format!("Authorization header requires '{name}' parameter.")))
    };
    let (credential, signed_headers, signature) = (
        required(credential, "Credential")?,
        required(signed_headers, "SignedHeaders")?,
        required(signature, "Signature")?,
    );
    let time_text = header_time(parts)?;
    let session_token = header_text(parts, &SECURITY_TOKEN)?.map(str::to_owned);
    let unsigned_payload = header_text(parts, &CONTENT_SHA256)? == Some(UNSIGNED_PAYLOAD);
    assemble(&credential, &signed_headers, &signature, time_text, |signed| Signed {
        session_token,
        unsigned_payload,
        ..signed
    })
}

fn from_address(parts: &Parts, presigned: &Presigned) -> Result<Signed, SigError> {
    let required = |value: &Option<String>, name| {
        value.clone().ok_or_else(|| {
            SigError::incomplete(format!("AWS query-string parameters must include '{name}'."))
        })
    };
    if presigned.algorithm.as_deref() != Some(ALGORITHM) {
        return Err(SigError::incomplete("Unsupported AWS 'algorithm': AWS4-HMAC-SHA256 is supported."));
    }
    let expires: u64 = required(&presigned.expires, "X-Amz-Expires")?
        .parse()
        .ok()
        .filter(|seconds| (1..=PRESIGN_SECONDS_MAX).contains(seconds))
        .ok_or_else(|| {
            SigError::incomplete(format!("X-Amz-Expires must be from 1 to {PRESIGN_SECONDS_MAX} seconds."))
        })?;
    let stated = header_text(parts, &CONTENT_SHA256)?;
    let credential = required(&presigned.credential, "X-Amz-Credential")?;
    let signed_headers = required(&presigned.signed_headers, "X-Amz-SignedHeaders")?;
    let signature = required(&presigned.signature, "X-Amz-Signature")?;
    let time_text = required(&presigned.date, "X-Amz-Date")?;
    assemble(&credential, &signed_headers, &signature, time_text, |signed| {
        // S3 alone signs addresses without their body.
        let unsigned_payload =
            stated.map_or(signed.scope.service == "s3", |stated| stated == UNSIGNED_PAYLOAD);
        Signed { session_token: presigned.token.clone(), expires: Some(expires), unsigned_payload, ..signed }
    })
}

/// The parts that both forms share; `rest` adds what differs.
fn assemble(
    credential: &str,
    signed_headers: &str,
    signature: &str,
    time_text: String,
    rest: impl FnOnce(Signed) -> Signed,
) -> Result<Signed, SigError> {
    // From the right: an access key's id may hold a slash, the scope may not.
    let elements: Vec<&str> = credential.rsplitn(5, '/').collect();
    let &[terminator, service, region, date, access_key] = elements.as_slice() else {
        return Err(SigError::incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
        ));
    };
    if terminator != TERMINATOR || [service, region, date, access_key].contains(&"") {
        return Err(SigError::incomplete(
            "Credential should be scoped with a valid terminator: 'aws4_request'.",
        ));
    }
    let signature = unhex(signature).ok_or_else(|| SigError::incomplete("The signature is not valid."))?;
    let time = millis(&time_text).ok_or_else(|| {
        SigError::incomplete("Date must be in ISO-8601 'basic format', e.g. 20150830T123600Z.")
    })?;
    Ok(rest(Signed {
        access_key: access_key.to_owned(),
        scope: Scope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() },
        signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
        session_token: None,
        time,
        expires: None,
        unsigned_payload: false,
        signature,
        time_text,
    }))
}

fn check_signed_headers(parts: &Parts, signed: &Signed) -> Result<(), SigError> {
    let names = &signed.signed_headers;
    if names.len() > SIGNED_HEADERS_MAX {
        return Err(SigError::incomplete(format!("More than {SIGNED_HEADERS_MAX} headers are signed.")));
    }
    let well_formed = |name: &String| HeaderName::from_lowercase(name.as_bytes()).is_ok();
    if !names.iter().all(well_formed) {
        return Err(SigError::incomplete(
            "SignedHeaders must be header names in lower case, separated by semicolons.",
        ));
    }
    let is_signed = |name: &str| names.iter().any(|signed| signed == name);
    if !is_signed("host") {
        return Err(SigError::incomplete(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    for name in SIGNED_IF_PRESENT {
        if parts.headers.contains_key(name) && !is_signed(name) {
            return Err(SigError::incomplete(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
    }
    if let Some(absent) = names.iter().find(|name| canonical::header(parts, name).is_none()) {
        return Err(SigError::incomplete(format!("The signed header '{absent}' is not in the request.")));
    }
    Ok(())
}

/// The time to sign with: `X-Amz-Date`, or `Date` in either of its forms.
fn header_time(parts: &Parts) -> Result<String, SigError> {
    if let Some(text) = header_text(parts, &AMZ_DATE)? {
        return Ok(text.to_owned());
    }
    let text = header_text(parts, &DATE)?.ok_or_else(|| {
        SigError::incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        )
    })?;
    let parsed = rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    Ok(parsed.and_then(|at| super::time_text(at.as_millisecond())).unwrap_or_else(|| text.to_owned()))
}

/// The header's one value.
fn header_text<'p>(parts: &'p Parts, name: &HeaderName) -> Result<Option<&'p str>, SigError> {
    let mut values = parts.headers.get_all(name).iter();
    let first = values.next();
    let text = first.map(|value| value.to_str()).transpose().ok().filter(|_| values.next().is_none());
    text.ok_or_else(|| SigError::incomplete(format!("The header '{name}' is not valid.")))
}

/// The parameters of a presigned address.
#[derive(Default)]
struct Presigned {
    algorithm: Option<String>,
    credential: Option<String>,
    date: Option<String>,
    expires: Option<String>,
    signed_headers: Option<String>,
    signature: Option<String>,
    token: Option<String>,
}

impl Presigned {
    /// Nothing where the address has neither algorithm nor signature.
    fn read(parts: &Parts) -> Result<Option<Presigned>, SigError> {
        let mut found = Presigned::default();
        for piece in parts.uri.query().unwrap_or_default().split('&') {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let slot = match percent::decode(name).as_deref() {
                Some(b"X-Amz-Algorithm") => &mut found.algorithm,
                Some(b"X-Amz-Credential") => &mut found.credential,
                Some(b"X-Amz-Date") => &mut found.date,
                Some(b"X-Amz-Expires") => &mut found.expires,
                Some(b"X-Amz-SignedHeaders") => &mut found.signed_headers,
                Some(b"X-Amz-Signature") => &mut found.signature,
                Some(b"X-Amz-Security-Token") => &mut found.token,
                _ => continue,
            };
            let value = percent::decode(value).and_then(|bytes| String::from_utf8(bytes.into_owned()).ok());
            let value =
                value.ok_or_else(|| SigError::incomplete("A query-string parameter is not valid."))?;
            if slot.replace(value).is_some() {
                return Err(SigError::incomplete("A query-string parameter is given twice."));
            }
        }
        Ok((found.algorithm.is_some() || found.signature.is_some()).then_some(found))
    }
}

/// Reads `20150830T123600Z` and nothing else.
fn millis(text: &str) -> Option<i64> {
    let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_i16, |sum, &b| b.is_ascii_digit().then(|| sum * 10 + i16::from(b - b'0')))
    };
    let small = |from: usize| number(from, from + 2).map(|value| value as i8);
    if bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let (hour, minute, second) = (small(9)?, small(11)?, small(13)?);
    let at = jiff::civil::DateTime::new(number(0, 4)?, small(4)?, small(6)?, hour, minute, second, 0).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// 64 hexadecimal digits, in lower case as every signer writes them.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}
