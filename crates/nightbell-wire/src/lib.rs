/*!
AWS wire protocols as codecs over serde, and signature version 4.

This crate turns bytes into a plain serde struct and back, and no more: it knows awsJson 1.0 and 1.1, smithy RPC v2 CBOR, awsQuery
(form in, XML out) and restJson1, but no operation, no service and no key. A request goes through [`call::read`] or, by a service's
table of paths, [`rest::read`] (which protocol, which operation),
[`sigv4`] (who signed it) and [`decode`]; the answer through [`encode`] or [`encode_error`]. The server answers with it, the agent asks
with it. Nothing here reads a clock or a socket; time is an argument.
*/

pub mod call;
mod cbor;
pub mod chunked;
mod decode;
pub mod deflate;
mod encode;
pub mod error;
pub mod eventstream;
pub mod http_date;
pub mod inflate;
mod json;
pub mod percent;
mod query;
pub mod rest;
mod scalar;
pub mod sigv4;
pub mod value;
mod xml;

pub use call::{Call, Protocol};
pub use cbor::CBOR_DEPTH_MAX;
pub use decode::{DecodeError, decode};
pub use encode::{EncodeError, Encoded, Frame, encode};
pub use error::{ErrorParts, encode_error};
pub use json::JSON_DEPTH_MAX;
pub use query::{FORM_DEPTH_MAX, FORM_PAIRS_MAX};
pub use rest::REST_PARAMETERS_MAX;
pub use xml::escape_into as escape_xml;
