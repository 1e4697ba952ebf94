/*!
From a call's bytes to a plain serde struct, whichever the protocol.

Unknown members are passed over, an empty body is an empty struct, and an error names the member it is about. The codecs are `json`,
`cbor`, `query` and `rest`; each reads once, and reads again with the path recorded only after the first read has failed.
*/

use crate::call::{Call, Protocol};
use crate::{cbor, json, query, rest};
use http::StatusCode;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// Longest path or message that an error repeats, in bytes: texts from outside end up in both.
const TEXT_BYTES_MAX: usize = 512;

/// A body that is not what the operation expects.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}{}{message}", path, if path.is_empty() { "" } else { ": " })]
pub struct DecodeError {
    /// The member it is about, such as `MetricData[0].Value`; empty for the body as a whole.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// Decodes a call's input.
///
/// `body` is the body as inflated; on a form in the address (`GET`) it is not looked at. A form and an address say nothing of their values'
/// types, so `T` must: behind `#[serde(flatten)]` or `#[serde(untagged)]` all its values are texts.
///
/// # Errors
/// Where the body is not of the protocol's form, passes one of its limits, or does not fit `T`.
pub fn decode<T: DeserializeOwned>(call: &Call, body: &[u8]) -> Result<T, DecodeError> {
    match call.protocol {
        Protocol::Json10 | Protocol::Json11 => json::decode(body),
        Protocol::Cbor => cbor::decode(body),
        Protocol::Query => query::decode(call.form(body)?),
        Protocol::RestJson => rest::decode(&call.outside, body),
    }
}

impl DecodeError {
    /// The error code and HTTP status under which AWS reports such a body. (The choice per protocol is ours; clients see both as
    /// their own fault and do not retry.)
    pub fn code(&self, protocol: Protocol) -> (&'static str, StatusCode) {
        let code = if protocol == Protocol::Query { "MalformedInput" } else { "SerializationException" };
        (code, StatusCode::BAD_REQUEST)
    }

    pub(crate) fn whole(message: impl Display) -> DecodeError {
        DecodeError { path: String::new(), message: shorten(message.to_string()) }
    }
}

/// Reads once more, to learn at which member `first` came up.
pub(crate) fn locate<'de, T, D>(first: impl Display, deserializer: D) -> DecodeError
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
    D::Error: Display,
{
    match serde_path_to_error::deserialize::<D, T>(deserializer) {
        Ok(_) => DecodeError::whole(first),
        Err(error) => {
            let path = error.path().to_string();
            // `.` stands for the whole, `?` for a place without a name.
            let path = path.trim_end_matches(".?").trim_matches(['.', '?']);
            let path = shorten(path.to_owned());
            DecodeError { path, message: shorten(error.into_inner().to_string()) }
        }
    }
}

fn shorten(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}
