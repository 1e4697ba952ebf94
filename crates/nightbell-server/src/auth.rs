/*!
Who asks: the signature of a request, checked against the key it names, and whose key that is.
*/

use http::request::Parts;
use nightbell_core::time::Timestamp;
use nightbell_wire::sigv4::{self, Scope, SigError, SigErrorKind};

use crate::app::App;
use crate::aws::service::Service;
use crate::functions::keys::SessionKey;

/// Longest name of a region.
const REGION_BYTES_MAX: usize = 64;

/// Who a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// The account itself, by the root key.
    Root,
    /// A function at work as its role.
    Function {
        /// The role's ARN.
        role: String,
        /// The function's name, which is the session's.
        name: String,
    },
    /// Nobody who said a name: a link of a mail was followed, and the secret in it is what counts.
    Link,
}

impl Principal {
    /// The principal's ARN; nothing for one that has no name.
    pub(crate) fn arn(&self, account: &str) -> Option<String> {
        match self {
            Self::Root => Some(format!("arn:aws:iam::{account}:root")),
            Self::Function { role, name } => {
                let role = role.rsplit('/').next().unwrap_or_default();
                Some(format!("arn:aws:sts::{account}:assumed-role/{role}/{name}"))
            }
            Self::Link => None,
        }
    }

    /// The id that GetCallerIdentity names.
    pub(crate) fn user_id(&self, account: &str) -> Option<String> {
        match self {
            Self::Root => Some(account.to_owned()),
            Self::Function { role, name } => {
                let role = role.rsplit('/').next().unwrap_or_default();
                Some(format!("{role}:{name}"))
            }
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
    let (secret, principal) =
        known(app, &signed.access_key, signed.session_token.as_deref()).ok_or_else(SigError::unknown_key)?;
    if !is_region(&signed.scope.region) {
        let text = "Credential should be scoped to a region of 1 to 64 letters, digits, '-' or '_'.";
        return Err(SigError::new(SigErrorKind::WrongScope, text));
    }
    if signed.unsigned_payload {
        // Without TLS below us, a body that nobody signed is a body that anybody wrote.
        let text = "The body must be signed: UNSIGNED-PAYLOAD is not accepted.";
        return Err(SigError::new(SigErrorKind::PayloadDiffers, text));
    }
    sigv4::verify(&signed, parts, body, &secret, now.as_millis())?;
    Ok(Caller { scope: signed.scope, principal })
}

/// The secret of a key of ours, and whose it is. A function's key is good only with its token, the root key without any.
fn known(app: &App, id: &str, token: Option<&str>) -> Option<(String, Principal)> {
    if id == app.key.access_key_id {
        return token.is_none().then(|| (app.key.secret_access_key.clone(), Principal::Root));
    }
    let SessionKey { key, token: expected, role, session } = app.functions.keys.find(id)?;
    (token == Some(&expected)).then_some((key.secret_access_key, Principal::Function { role, name: session }))
}

/// Whether `text` can be the name of a region: a site of the operator's own choice.
pub(crate) fn is_region(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (1..=REGION_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a request names a key of ours, before anything is worked out.
pub(crate) fn names_key(app: &App, parts: &Parts) -> bool {
    let is_ours = |id: &str| id == app.key.access_key_id || app.functions.keys.find(id).is_some();
    sigv4::parse(parts).is_ok_and(|signed| is_ours(&signed.access_key))
}

/// Whether a request asks by a path of REST, going by the scope it claims to be signed for; nothing of that is proven.
pub(crate) fn claims_rest(parts: &Parts) -> bool {
    let path = parts.uri.path();
    path != "/"
        && sigv4::parse(parts).is_ok_and(|signed| Service::paths(&signed.scope.service, path).is_some())
}

/// Whether a request claims to be signed for this service; nothing of that is proven.
pub(crate) fn claims_service(parts: &Parts, name: &str) -> bool {
    sigv4::parse(parts).is_ok_and(|signed| signed.scope.service == name)
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
