/*!
REST: an address and a body from outside to a plain struct.
*/
#![no_main]

use http::{HeaderMap, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use nightbell_wire::rest::{self, Route};
use nightbell_wire::{decode, value::Blob};
use serde::Deserialize;

static PATHS: [Route; 3] = [
    Route {
        query: &[("names", "Names")],
        headers: &[("x-value", "Value")],
        ..Route::new("POST", "/a/{Name}/b", "Members")
    },
    Route { payload: Some("Blob"), ..Route::new("POST", "/a/{Name}/payload/", "Payload") },
    Route::new("POST", "/{Name}", "Name"),
];

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
    blob: Option<Blob>,
}

// The address is what stands before the first line's end, the body what stands behind it.
fuzz_target!(|bytes: &[u8]| {
    let mut halves = bytes.splitn(2, |byte| *byte == b'\n');
    let (address, body) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let Ok(address) = Uri::try_from(address) else { return };
    let mut headers = HeaderMap::new();
    headers.insert("x-value", HeaderValue::from_static("0.5"));
    if let Ok(call) = rest::read(&PATHS, &Method::POST, &address, &headers) {
        let _ = decode::<Request>(&call, body).map(|request| format!("{request:?}"));
    }
});
