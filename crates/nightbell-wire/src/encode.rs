/*!
From a plain serde struct to an answer's headers and bytes, whichever the protocol.

Members that are absent should say `#[serde(skip_serializing_if = "Option::is_none")]`: XML leaves them out by itself, JSON and CBOR would
write null, which clients read as absent. `()` is the answer of an operation without output: no body in JSON and CBOR, no result element in
XML. An operation whose output has no members yet answers with an empty struct.
*/

use crate::call::Protocol;
use crate::{cbor, json, xml};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");

/// What surrounds an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// The protocol of the call.
    pub protocol: Protocol,
    /// The call's operation; names the XML elements.
    pub operation: &'a str,
    /// The service's XML namespace, such as `http://sns.amazonaws.com/doc/2010-03-31/`; unused by other protocols.
    pub xmlns: &'a str,
    /// The id under which this request is logged.
    pub request_id: &'a str,
}

/// An answer, ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoded {
    /// The HTTP status.
    pub status: StatusCode,
    /// Content type, request id, and what the protocol asks for.
    pub headers: HeaderMap,
    /// The body, not compressed.
    pub body: Bytes,
}

/// A value that a protocol cannot write: a map whose keys are no texts, or a time outside years 1 to 9999.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("answer cannot be written: {0}")]
pub struct EncodeError(pub(crate) String);

/// Encodes an operation's output.
///
/// # Errors
/// Where the protocol has no form for the value; see [`EncodeError`].
pub fn encode<T: Serialize>(frame: &Frame<'_>, value: &T) -> Result<Encoded, EncodeError> {
    let body = match frame.protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
            json::encode(value).map_err(|error| EncodeError(error.to_string()))?
        }
        Protocol::Cbor => cbor::encode(value)?,
        Protocol::Query => xml::encode(frame, value)?.into_bytes(),
    };
    Ok(Encoded::new(frame, StatusCode::OK, body))
}

impl Encoded {
    pub(crate) fn new(frame: &Frame<'_>, status: StatusCode, body: Vec<u8>) -> Encoded {
        let mut headers = HeaderMap::new();
        if let Ok(id) = HeaderValue::from_str(frame.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        if frame.protocol == Protocol::Cbor {
            headers.insert(SMITHY_PROTOCOL, HeaderValue::from_static("rpc-v2-cbor"));
        }
        // Smithy RPC v2 CBOR: an operation without output answers without body and content type. REST may answer with 204.
        if !(matches!(frame.protocol, Protocol::Cbor | Protocol::RestJson) && body.is_empty()) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(frame.protocol.content_type()));
        }
        Encoded { status, headers, body: body.into() }
    }

    /// The answer as an HTTP response.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
