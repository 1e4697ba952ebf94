/*!
No bytes from outside make the codecs panic, and where another codec is at hand it agrees.
*/

use crate::recorded::{clients, requests, signatures};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use nightbell_wire::value::{Blob, Time};
use nightbell_wire::{Call, Protocol, call, decode, inflate, sigv4};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
#[allow(dead_code)]
struct Target {
    namespace: Option<String>,
    metric_data: Vec<Target>,
    value: Option<f64>,
    values: Vec<f64>,
    timestamp: Option<Time>,
    blob: Option<Blob>,
    period: Option<i32>,
    attributes: BTreeMap<String, String>,
}

fn read(protocol: Protocol) -> Call {
    let (uri, name, value) = match protocol {
        Protocol::Cbor => ("/service/S/operation/O", "smithy-protocol", "rpc-v2-cbor"),
        Protocol::Query => ("/", "content-type", "application/x-www-form-urlencoded"),
        _ => ("/", "x-amz-target", "S.O"),
    };
    let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
    call::read(&Method::POST, &Uri::from_static(uri), &headers, b"Action=O").unwrap()
}

fn decode_all_ways(body: &[u8]) {
    for protocol in [Protocol::Json10, Protocol::Json11, Protocol::Cbor, Protocol::Query] {
        let call = read(protocol);
        let _ = decode::<Target>(&call, body);
        let _ = decode::<serde_json::Value>(&call, body);
        let _ = decode::<IgnoredAny>(&call, body);
        let _ = decode::<BTreeMap<String, Vec<i64>>>(&call, body);
    }
}

/// Bytes that look like forms, so that the reader gets past its first lines.
fn forms() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "MetricData|Values|Value|Attributes|Timestamp|Namespace|Action|Version|member|entry|key|value|Name",
        "[0-9]{1,12}",
        "[a-z%+.]{0,3}"
    ];
    let key = vec(part, 1..8).prop_map(|parts| parts.join("."));
    vec((key, "[0-9a-zA-Z%+=.:-]{0,8}").prop_map(|(key, value)| format!("{key}={value}")), 0..12)
        .prop_map(|pairs| pairs.join("&"))
}

fn in_depth_and_plain(value: &ciborium::Value) -> bool {
    use ciborium::Value::{Array, Bytes, Float, Integer, Map, Tag, Text};
    match value {
        Array(items) => items.iter().all(in_depth_and_plain),
        Map(pairs) => pairs.iter().all(|(key, value)| matches!(key, Text(_)) && in_depth_and_plain(value)),
        Tag(..) | Bytes(_) => false,
        Float(value) => value.is_finite(),
        Integer(value) => i64::try_from(*value).is_ok(),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_decode_or_not(body in vec(any::<u8>(), 0..200)) {
        decode_all_ways(&body);
    }

    #[test]
    fn any_form_decodes_or_not(form in forms()) {
        decode_all_ways(form.as_bytes());
        let uri = format!("/?{form}").parse::<Uri>();
        if let Ok(uri) = uri {
            let _ = call::read(&Method::GET, &uri, &HeaderMap::new(), b"");
        }
    }

    #[test]
    fn any_request_is_a_call_or_not(
        method in prop_oneof![Just("GET"), Just("POST"), Just("PUT")],
        path in "/[a-zA-Z/?&=%+._-]{0,60}",
        headers in vec((prop_oneof![
            Just("x-amz-target"), Just("smithy-protocol"), Just("content-type"), Just("x-amzn-query-mode"),
        ], vec(any::<u8>(), 0..40)), 0..4),
        body in vec(any::<u8>(), 0..100),
    ) {
        let Ok(uri) = path.parse::<Uri>() else { return Ok(()) };
        let headers: HeaderMap = headers.iter()
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?)))
            .collect();
        if let Ok(call) = call::read(&method.parse().unwrap(), &uri, &headers, &body) {
            prop_assert!(!call.operation.is_empty() && call.operation.len() <= call::NAME_BYTES_MAX);
            let _ = decode::<Target>(&call, &body);
        }
    }

    #[test]
    fn any_authorization_is_parsed_or_not(
        authorization in prop_oneof![
            vec(any::<u8>(), 0..200),
            "AWS4-HMAC-SHA256 (Credential=[A-Z/0-9a-z_]{0,40}|SignedHeaders=[a-z;-]{0,30}|Signature=[0-9a-f]{60,66}|[, =]{1,2}){0,6}"
                .prop_map(String::into_bytes),
        ],
        date in prop_oneof!["[0-9TZ]{0,16}", "[0-9]{8}T[0-9]{6}Z", "\\PC{0,20}"],
        query in "(X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)=[A-Za-z0-9%/-]{0,30}&){0,7}",
        now in any::<i64>(),
    ) {
        let (Ok(authorization), Ok(date)) = (HeaderValue::from_bytes(&authorization), HeaderValue::from_str(&date))
        else { return Ok(()) };
        let Ok(uri) = format!("/?{query}").parse::<Uri>() else { return Ok(()) };
        for header in [Some(authorization), None] {
            let mut request = http::Request::post(uri.clone()).header("host", "h").header("x-amz-date", &date);
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            if let Ok(signed) = sigv4::parse(&parts) {
                prop_assert!(sigv4::verify(&signed, &parts, b"", "secret", now).is_err());
            }
        }
    }

    #[test]
    fn any_bytes_inflate_or_not(body in vec(any::<u8>(), 0..300), header in any::<bool>()) {
        let body = if header { [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff][..], &body].concat() } else { body };
        if let Ok(plain) = inflate::gunzip(&body, 1_000) {
            prop_assert!(plain.len() <= 1_000);
        }
    }

    /// Whatever ciborium reads as a plain value we read as the same, and the other way round.
    #[test]
    fn cbor_agrees_with_ciborium(body in vec(prop_oneof![any::<u8>(), 0x60..0x68_u8, 0x80..0x84_u8, 0xa0..0xa3_u8], 1..40)) {
        let mut rest = &body[..];
        let theirs: Result<ciborium::Value, _> = ciborium::from_reader(&mut rest);
        let ours = decode::<serde_json::Value>(&read(Protocol::Cbor), &body);
        if let Ok(theirs) = theirs && rest.is_empty() && in_depth_and_plain(&theirs) {
            let ours = ours.map_err(|error| TestCaseError::fail(format!("{error}: {theirs:?}")))?;
            let theirs: serde_json::Value = theirs.deserialized().unwrap();
            prop_assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn recorded_requests_with_a_bit_flipped_or_cut_short_decode_or_not() {
    for recorded in requests().into_iter().chain(clients()) {
        let body = recorded.body();
        let parts = recorded.parts();
        for at in 0..body.len() {
            let mut bent = body.clone();
            bent[at] ^= 1 << (at % 8);
            for body in [&bent[..], &body[..at]] {
                if let Ok(call) = call::read(&parts.method, &parts.uri, &parts.headers, body) {
                    let _ = decode::<Target>(&call, body);
                }
            }
        }
    }
}

#[test]
fn recorded_signatures_cut_short_are_refused() {
    for recorded in signatures() {
        let parts = recorded.parts();
        let Some(authorization) = parts.headers.get("authorization") else { continue };
        for cut in 0..authorization.len() {
            let mut parts = parts.clone();
            let short = HeaderValue::from_bytes(&authorization.as_bytes()[..cut]).unwrap();
            parts.headers.insert("authorization", short);
            assert!(sigv4::parse(&parts).is_err(), "{} cut at {cut}", recorded.name);
        }
    }
}
