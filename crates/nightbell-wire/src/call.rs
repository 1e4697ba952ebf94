/*!
Which protocol a request speaks and which operation it asks for.

Looks at method, address, headers and, for a form, at the two parameters `Action` and `Version`; the rest of the body belongs to
[`crate::decode`]. Services that speak REST are read by [`crate::rest`] instead. Knows no operation: names are checked for their form only, so that they are safe in logs and metrics.
*/

use crate::decode::DecodeError;
use crate::query;
use crate::rest::Outside;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode, Uri};

/// Longest name of a service or an operation, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// A wire protocol of AWS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// AWS JSON 1.0: the operation in the header `X-Amz-Target`.
    Json10,
    /// AWS JSON 1.1: the same but for its content type.
    Json11,
    /// smithy RPC v2 CBOR: the operation in the path.
    Cbor,
    /// AWS Query: a form with the parameter `Action` in, XML out.
    Query,
    /// AWS REST JSON: the operation in method and path, see [`crate::rest`].
    RestJson,
}

/// A request's protocol and operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The protocol it speaks, and wants to be answered in.
    pub protocol: Protocol,
    /// What the protocol calls the service by: the part of `X-Amz-Target` before the operation (`Logs_20140328`), the service in an
    /// RPC path (`GraniteServiceVersion20100801`), a form's `Version` (`2010-03-31`; empty if it has none).
    pub target: String,
    /// The operation's name, such as `PutLogEvents`.
    pub operation: String,
    /// The client asks for the header `x-amzn-query-error` on errors (`x-amzn-query-mode: true`).
    pub query_mode: bool,
    /// The HTTP status of an answer that is no error.
    pub status: StatusCode,
    /// Members that stand neither in the body nor in a form.
    pub(crate) outside: Outside,
    /// The form, where it stands in the address.
    address_form: Option<String>,
}

/// Why a request names no operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallErrorKind {
    /// Nothing in it says which protocol it speaks, or which operation it wants.
    NoOperation,
    /// A form without `Action`.
    MissingAction,
    /// The name of service or operation is too long or holds characters that no name has.
    BadName,
    /// A form that is not percent-encoded UTF-8.
    BadForm,
}

/// A request that names no operation.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// Why.
    pub kind: CallErrorKind,
    /// The protocol to answer in, as far as it can be told.
    pub protocol: Protocol,
    /// What the client is told.
    pub message: &'static str,
}

impl CallError {
    /// The error code and HTTP status to answer with.
    pub fn code(&self) -> (&'static str, StatusCode) {
        let code = match self.kind {
            CallErrorKind::NoOperation | CallErrorKind::BadName if self.protocol == Protocol::Query => {
                "InvalidAction"
            }
            CallErrorKind::NoOperation | CallErrorKind::BadName => "UnknownOperationException",
            CallErrorKind::MissingAction => "MissingAction",
            CallErrorKind::BadForm => "MalformedQueryString",
        };
        // A path of REST that leads nowhere is not found, as "Smithy AWS restJson1" has it.
        let nowhere = self.protocol == Protocol::RestJson && self.kind == CallErrorKind::NoOperation;
        (code, if nowhere { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST })
    }
}

/// Reads protocol and operation off a request. `body` is the body as inflated.
///
/// # Errors
/// Where the request is of no known protocol or names no operation.
pub fn read(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Call, CallError> {
    let content_type = content_type(headers);
    let smithy = header(headers, "smithy-protocol");
    if smithy.is_some() || content_type == "application/cbor" {
        return read_rpc(method, uri, headers, smithy);
    }
    if let Some(target) = header(headers, "x-amz-target") {
        return read_json(method, headers, target, &content_type);
    }
    if content_type.starts_with("application/x-amz-json") {
        return Err(CallError {
            kind: CallErrorKind::NoOperation,
            protocol: json_version(&content_type),
            message: "The request has no X-Amz-Target header.",
        });
    }
    read_form(method, uri, body)
}

impl Protocol {
    /// The content type of a body in this protocol, as an answer carries it.
    pub fn content_type(self) -> &'static str {
        match self {
            Protocol::Json10 => "application/x-amz-json-1.0",
            Protocol::Json11 => "application/x-amz-json-1.1",
            Protocol::Cbor => "application/cbor",
            Protocol::Query => "text/xml",
            Protocol::RestJson => "application/json",
        }
    }
}

impl Call {
    /// A call that no request carried, whose input is JSON: from one part of a server to another.
    pub fn inside(operation: &str) -> Call {
        Call::new(Protocol::Json11, String::new(), operation.to_owned())
    }

    pub(crate) fn new(protocol: Protocol, target: String, operation: String) -> Call {
        Call {
            protocol,
            target,
            operation,
            query_mode: false,
            status: StatusCode::OK,
            outside: Outside::default(),
            address_form: None,
        }
    }

    /// The form that holds a query call's parameters.
    pub(crate) fn form<'a>(&'a self, body: &'a [u8]) -> Result<&'a str, DecodeError> {
        match &self.address_form {
            Some(form) => Ok(form),
            None => std::str::from_utf8(body).map_err(|_| DecodeError::whole("the form is not UTF-8")),
        }
    }
}

/// `POST [prefix]/service/<Service>/operation/<Operation>` with `smithy-protocol: rpc-v2-cbor`.
fn read_rpc(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    smithy: Option<&str>,
) -> Result<Call, CallError> {
    let error = |kind, message| CallError { kind, protocol: Protocol::Cbor, message };
    if smithy.is_some_and(|name| name != "rpc-v2-cbor") {
        return Err(error(CallErrorKind::NoOperation, "The smithy-protocol is not supported."));
    }
    let mut segments = uri.path().rsplit('/');
    let (operation, keyword) = (segments.next(), segments.next());
    let (service, root) = (segments.next(), segments.next());
    let (Some(operation), Some(service), Some("operation"), Some("service"), &Method::POST) =
        (operation, service, keyword, root, method)
    else {
        return Err(error(CallErrorKind::NoOperation, "The request's path names no operation."));
    };
    if !is_name(operation) || !is_name(service) {
        return Err(error(CallErrorKind::BadName, "The operation's name is not valid."));
    }
    let call = Call::new(Protocol::Cbor, service.to_owned(), operation.to_owned());
    Ok(Call { query_mode: query_mode(headers), ..call })
}

/// `POST` with `X-Amz-Target: <prefix>.<Operation>`.
fn read_json(
    method: &Method,
    headers: &HeaderMap,
    target: &str,
    content_type: &str,
) -> Result<Call, CallError> {
    let protocol = json_version(content_type);
    let error = |kind, message| CallError { kind, protocol, message };
    let (Some((prefix, operation)), &Method::POST) = (target.rsplit_once('.'), method) else {
        return Err(error(CallErrorKind::NoOperation, "The X-Amz-Target header names no operation."));
    };
    // A prefix may be qualified, as in `com.example.Logs_20140328`.
    if !is_name(operation) || prefix.len() > NAME_BYTES_MAX || !prefix.split('.').all(is_name) {
        return Err(error(CallErrorKind::BadName, "The operation's name is not valid."));
    }
    let call = Call::new(protocol, prefix.to_owned(), operation.to_owned());
    Ok(Call { query_mode: query_mode(headers), ..call })
}

/// A form: in the body of a `POST`, in the address of a `GET` or of a `POST` whose body is empty.
fn read_form(method: &Method, uri: &Uri, body: &[u8]) -> Result<Call, CallError> {
    let error = |kind, message| CallError { kind, protocol: Protocol::Query, message };
    let in_address = method == Method::GET || body.is_empty();
    let form = if in_address { uri.query().unwrap_or_default().as_bytes() } else { body };
    if method != Method::GET && method != Method::POST {
        return Err(error(CallErrorKind::NoOperation, "The request's method is not supported."));
    }
    let form = std::str::from_utf8(form).ok();
    let Some((form, [action, version])) =
        form.and_then(|form| Some((form, query::find(form, ["Action", "Version"])?)))
    else {
        return Err(error(CallErrorKind::BadForm, "The form is not percent-encoded UTF-8."));
    };
    let Some(action) = action.filter(|action| !action.is_empty()) else {
        return Err(error(CallErrorKind::MissingAction, "The request is missing the parameter Action."));
    };
    let version = version.unwrap_or_default();
    if !is_name(&action) || !version.is_empty() && !is_name(&version) {
        return Err(error(CallErrorKind::BadName, "The operation's name is not valid."));
    }
    let call = Call::new(Protocol::Query, version.into_owned(), action.into_owned());
    Ok(Call { address_form: in_address.then(|| form.to_owned()), ..call })
}

fn json_version(content_type: &str) -> Protocol {
    if content_type == "application/x-amz-json-1.0" { Protocol::Json10 } else { Protocol::Json11 }
}

fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(allowed)
}

fn query_mode(headers: &HeaderMap) -> bool {
    header(headers, "x-amzn-query-mode").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The media type in lower case, without its parameters; empty where there is none.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
