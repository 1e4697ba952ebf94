/*!
AWS Query: a form from outside to a plain struct, by way of the body and of the address.
*/
#![no_main]

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use nightbell_wire::{call, decode};
use serde::Deserialize;

/// One of every kind of member that an operation has.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(dead_code, reason = "read by Debug alone")]
struct Request {
    name: String,
    count: Option<i64>,
    value: Option<f64>,
    enabled: Option<bool>,
    names: Vec<String>,
    timestamp: Option<nightbell_wire::value::Time>,
    blob: Option<nightbell_wire::value::Blob>,
    attributes: BTreeMap<String, String>,
    metric_data: Vec<Request>,
}

fuzz_target!(|body: &[u8]| {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    if let Ok(call) = call::read(&Method::POST, &Uri::from_static("/"), &headers, body) {
        let _ = decode::<Request>(&call, body).map(|request| format!("{request:?}"));
    }
    let address = std::str::from_utf8(body).ok().and_then(|text| format!("/?{text}").parse::<Uri>().ok());
    if let Some(address) = address
        && let Ok(call) = call::read(&Method::GET, &address, &HeaderMap::new(), b"")
    {
        let _ = decode::<Request>(&call, b"").map(|request| format!("{request:?}"));
    }
});
