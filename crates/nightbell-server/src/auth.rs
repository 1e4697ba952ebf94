/*!
Who asks: the signature of a request, checked against the key it names, and whose key that is.

Keys are looked up in [`crate::keys`]; what their principals may do is judged where an operation and its resources are known
(`aws::access`).
*/

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use nightbell_core::time::Timestamp;
use nightbell_wire::sigv4::{self, Payload, Scope, SigError, SigErrorKind};

use crate::app::App;
use crate::aws::service::Service;
use crate::keys::Found;

pub(crate) use origin::Origin;

mod origin;

/// Longest name of a region.
const REGION_BYTES_MAX: usize = 64;

/// The address that a request's connection comes from; an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Who a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// The account itself, by the root key.
    Root,
    /// Nobody who said a name: a link of a mail was followed, and the secret in it is what counts.
    Link,
    /// A user, by one of its keys.
    User {
        /// Who it is.
        user: Arc<User>,
        /// Where the request came from; nothing for requests from inside.
        from: Option<Origin>,
    },
    /// A session of a role, by a temporary key.
    AssumedRole {
        /// What the key says of it.
        session: Arc<Session>,
        /// Where the request came from; nothing for requests from inside.
        from: Option<Origin>,
    },
}

/// A user as its keys name it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// `arn:aws:iam::<account>:user/<path><name>`.
    pub(crate) arn: String,
    /// `AIDA…`.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
}

/// A session of a role as its temporary key names it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// `arn:aws:sts::<account>:assumed-role/<role>/<session>`.
    pub(crate) arn: String,
    /// `arn:aws:iam::<account>:role/<path><role>`.
    pub(crate) role_arn: String,
    /// `AROA…`.
    pub(crate) role_id: String,
    /// The role's name.
    pub(crate) role: String,
    /// The session's name.
    pub(crate) name: String,
    /// The policy that was passed when the session was made, as it was written.
    pub(crate) policy: Option<String>,
    /// The managed policies that were passed when the session was made.
    pub(crate) policy_arns: Vec<String>,
}

impl Session {
    /// A session that may do nothing, of a role that is not there.
    pub(crate) fn of_nobody(account: &str, role_arn: &str, name: &str) -> Self {
        let role = role_arn.rsplit('/').next().unwrap_or_default().to_owned();
        Self {
            arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{name}"),
            role_arn: role_arn.to_owned(),
            role_id: String::new(),
            role,
            name: name.to_owned(),
            policy: None,
            policy_arns: Vec::new(),
        }
    }
}

impl Principal {
    /// The principal's ARN; nothing for one that has no name.
    pub(crate) fn arn(&self, account: &str) -> Option<String> {
        match self {
            Self::Root => Some(format!("arn:aws:iam::{account}:root")),
            Self::Link => None,
            Self::User { user, .. } => Some(user.arn.clone()),
            Self::AssumedRole { session, .. } => Some(session.arn.clone()),
        }
    }

    /// The id that GetCallerIdentity names.
    pub(crate) fn user_id(&self, account: &str) -> Option<String> {
        match self {
            Self::Root => Some(account.to_owned()),
            Self::Link => None,
            Self::User { user, .. } => Some(user.id.clone()),
            Self::AssumedRole { session, .. } => Some(format!("{}:{}", session.role_id, session.name)),
        }
    }

    /// Where the request came from, as far as policies may ask.
    pub(crate) fn from(&self) -> Option<Origin> {
        match self {
            Self::Root | Self::Link => None,
            Self::User { from, .. } | Self::AssumedRole { from, .. } => *from,
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
    let found = found(app, &signed.access_key, signed.session_token.as_deref(), now)?;
    check_region(&signed)?;
    if signed.unsigned_payload {
        refuse_unsigned_body(parts)?;
    }
    sigv4::verify(&signed, parts, body, &found.secret, now.as_millis())?;
    let principal = principal(app, parts, found.holder, &signed, now);
    Ok(Caller { scope: signed.scope, principal })
}

/// Checks the signature of a request whose body has not come yet, and says what it has to be.
pub(crate) fn check_ahead(app: &App, parts: &Parts, now: Timestamp) -> Result<(Caller, Payload), SigError> {
    let signed = sigv4::parse(parts)?;
    let found = found(app, &signed.access_key, signed.session_token.as_deref(), now)?;
    check_region(&signed)?;
    let payload = sigv4::verify_ahead(&signed, parts, &found.secret, now.as_millis())?;
    // Where there is no body, nobody can have written it.
    if payload.is_unsigned() && has_body(parts) {
        refuse_unsigned_body(parts)?;
    }
    let principal = principal(app, parts, found.holder, &signed, now);
    Ok((Caller { scope: signed.scope, principal }, payload))
}

/// Whether a body comes with a request.
fn has_body(parts: &Parts) -> bool {
    let length = parts.headers.get(http::header::CONTENT_LENGTH);
    parts.headers.contains_key(http::header::TRANSFER_ENCODING)
        || length.is_some_and(|length| length.as_bytes() != b"0")
}

/// Refuses a region that can be none.
fn check_region(signed: &sigv4::Signed) -> Result<(), SigError> {
    if is_region(&signed.scope.region) {
        return Ok(());
    }
    let text = "Credential should be scoped to a region of 1 to 64 letters, digits, '-' or '_'.";
    Err(SigError::new(SigErrorKind::WrongScope, text))
}

/// Refuses a body that nobody signed, unless it comes from this machine: without TLS below us, anybody on the way may have written it.
fn refuse_unsigned_body(parts: &Parts) -> Result<(), SigError> {
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    if peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
        return Ok(());
    }
    let text = "The body must be signed: UNSIGNED-PAYLOAD is accepted from this machine only.";
    Err(SigError::new(SigErrorKind::PayloadDiffers, text))
}

/// Who the holder of a key is.
fn principal(app: &App, parts: &Parts, holder: Holder, signed: &sigv4::Signed, now: Timestamp) -> Principal {
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let trusted = app.installation.as_ref().map(|here| here.config.trusted_proxies.as_slice());
    let from = peer.map(|peer| Origin::of(peer, &parts.headers, trusted.unwrap_or_default()));
    match holder {
        Holder::Root => Principal::Root,
        Holder::User(user) => {
            app.keys.used(&app.records, &signed.access_key, &signed.scope, now);
            Principal::User { user, from }
        }
        Holder::Session(session) => Principal::AssumedRole { session, from },
    }
}

/// The key of an id: of a function that runs, or one of those that are kept. A function's key is good only with its token.
fn found(app: &App, id: &str, token: Option<&str>, now: Timestamp) -> Result<Found, SigError> {
    match app.functions.keys.find(id) {
        Some(lent) if token == Some(&lent.token) => {
            Ok(Found { secret: lent.key.secret_access_key, holder: Holder::Session(lent.session) })
        }
        Some(_) => Err(SigError::unknown_key()),
        None => app.keys.find(&app.key, id, token, now),
    }
}

/// Whose key it is.
#[derive(Debug)]
pub(crate) enum Holder {
    /// The account's.
    Root,
    /// A user's.
    User(Arc<User>),
    /// A session's of a role.
    Session(Arc<Session>),
}

/// Whether `text` can be the name of a region: a site of the operator's own choice.
pub(crate) fn is_region(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (1..=REGION_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// The service that a request is signed for by a key of ours, before its signature is worked out.
pub(crate) fn claimed_service(app: &App, parts: &Parts, now: Timestamp) -> Option<String> {
    let known = |signed: &sigv4::Signed| {
        let found = found(app, &signed.access_key, signed.session_token.as_deref(), now);
        // One whose time is over is to learn that, whatever it sends.
        found.map_or_else(|error| error.kind == SigErrorKind::ExpiredToken, |_| true)
    };
    sigv4::parse(parts).ok().filter(known).map(|signed| signed.scope.service)
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
