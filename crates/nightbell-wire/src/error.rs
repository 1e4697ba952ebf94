/*!
The error shape of each protocol.

Which error an operation answers with is the caller's choice; here it becomes bytes and headers. A service that was once awsQuery and now
speaks JSON or CBOR as well has two names for an error, and its clients ask for the old one in a header.
*/

use crate::call::Protocol;
use crate::encode::{Encoded, Frame};
use crate::{cbor, json, xml};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value};

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// An error as a client reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorParts<'a> {
    /// The HTTP status; who is to blame follows from it: below 500 the sender.
    pub status: StatusCode,
    /// The name in awsQuery, such as `ResourceNotFound`.
    pub code: &'a str,
    /// The name in JSON and CBOR, such as `ResourceNotFoundException`; often the same.
    pub shape: &'a str,
    /// The text for the client.
    pub message: &'a str,
    /// Further members of the error, beside `__type` and `message`; null where there are none, an object otherwise.
    pub members: &'a Value,
    /// Says `code` in the header `x-amzn-query-error` of JSON and CBOR answers, as services do that were once awsQuery
    /// (awsQueryCompatible).
    pub query_compatible: bool,
}

impl<'a> ErrorParts<'a> {
    /// An error with one name for all protocols and nothing but a message.
    pub fn new(status: StatusCode, code: &'a str, message: &'a str) -> ErrorParts<'a> {
        ErrorParts { status, code, shape: code, message, members: &Value::Null, query_compatible: false }
    }

    /// `Sender` or `Receiver`: whose fault it is.
    fn fault(&self) -> &'static str {
        if self.status.is_server_error() { "Receiver" } else { "Sender" }
    }
}

/// Encodes an error. The frame's operation is not used.
pub fn encode_error(frame: &Frame<'_>, error: &ErrorParts<'_>) -> Encoded {
    let body = match frame.protocol {
        Protocol::Json10 | Protocol::Json11 => json::encode(&Members(error)).unwrap_or_default(),
        Protocol::Cbor => cbor::encode(&Members(error)).unwrap_or_default(),
        Protocol::Query => xml_body(frame, error).into_bytes(),
        Protocol::RestJson => json::encode(&RestMembers(error)).unwrap_or_default(),
    };
    let mut encoded = Encoded::new(frame, error.status, body);
    if frame.protocol != Protocol::Query {
        if let Ok(shape) = HeaderValue::from_str(error.shape) {
            encoded.headers.insert(ERROR_TYPE, shape);
        }
        if error.query_compatible
            && let Ok(code) = HeaderValue::from_str(&format!("{};{}", error.code, error.fault()))
        {
            encoded.headers.insert(QUERY_ERROR, code);
        }
    }
    encoded
}

/// `{"__type": shape, "message": text, …}`, of JSON and CBOR alike.
struct Members<'a>(&'a ErrorParts<'a>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let more = self.0.members.as_object();
        let mut map = serializer.serialize_map(Some(2 + more.map_or(0, Map::len)))?;
        map.serialize_entry("__type", self.0.shape)?;
        map.serialize_entry("message", self.0.message)?;
        for (name, value) in more.into_iter().flatten() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// `{"Type": fault, "message": text, …}`, of REST: the header alone names the error, as AWS Lambda answers.
struct RestMembers<'a>(&'a ErrorParts<'a>);

impl Serialize for RestMembers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let more = self.0.members.as_object();
        let mut map = serializer.serialize_map(Some(2 + more.map_or(0, Map::len)))?;
        map.serialize_entry("Type", if self.0.status.is_server_error() { "Service" } else { "User" })?;
        map.serialize_entry("message", self.0.message)?;
        for (name, value) in more.into_iter().flatten() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn xml_body(frame: &Frame<'_>, error: &ErrorParts<'_>) -> String {
    let mut out = "<ErrorResponse xmlns=\"".to_owned();
    xml::escape_into(&mut out, frame.xmlns);
    out.push_str("\"><Error>");
    xml::element_into(&mut out, "Type", error.fault());
    xml::element_into(&mut out, "Code", error.code);
    xml::element_into(&mut out, "Message", error.message);
    if let Value::Object(more) = error.members {
        for (name, value) in more {
            xml::value_into(&mut out, name, value).expect("a JSON value has only texts as keys and no times");
        }
    }
    out.push_str("</Error>");
    xml::element_into(&mut out, "RequestId", frame.request_id);
    out.push_str("</ErrorResponse>");
    out
}
