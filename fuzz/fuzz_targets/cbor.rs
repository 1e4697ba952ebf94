/*!
Smithy RPC v2 CBOR, and the same bytes as JSON: from outside to a plain struct.
*/
#![no_main]

use std::collections::BTreeMap;

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
    headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    let address = Uri::from_static("/service/GraniteServiceVersion20100801/operation/PutMetricData");
    let cbor = call::read(&Method::POST, &address, &headers, body).expect("headers and path are right");
    let _ = decode::<Request>(&cbor, body).map(|request| format!("{request:?}"));

    let mut headers = HeaderMap::new();
    headers.insert("x-amz-target", HeaderValue::from_static("Logs_20140328.PutLogEvents"));
    let json = call::read(&Method::POST, &Uri::from_static("/"), &headers, body).expect("headers are right");
    let _ = decode::<Request>(&json, body).map(|request| format!("{request:?}"));
});
