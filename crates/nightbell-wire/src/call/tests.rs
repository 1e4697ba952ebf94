use super::*;
use http::{HeaderName, HeaderValue};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
}

fn try_read(
    method: &str,
    uri: &str,
    pairs: &[(&'static str, &'static str)],
    body: &str,
) -> Result<Call, CallError> {
    read(&method.parse().unwrap(), &uri.parse().unwrap(), &headers(pairs), body.as_bytes())
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
const SMITHY: (&str, &str) = ("smithy-protocol", "rpc-v2-cbor");
const CBOR: (&str, &str) = ("content-type", "application/cbor");

#[test]
fn protocol_and_operation_are_read() {
    type Row = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
        Protocol,
        &'static str,
        &'static str,
    );
    const LOGS: (&str, &str) = ("x-amz-target", "Logs_20140328.PutLogEvents");
    const PATH: &str = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
    const SERVICE: &str = "GraniteServiceVersion20100801";
    let table: &[Row] = &[
        ("POST", "/", &[LOGS], "{}", Protocol::Json11, "Logs_20140328", "PutLogEvents"),
        (
            "POST",
            "/",
            &[LOGS, ("content-type", "application/x-amz-json-1.0")],
            "",
            Protocol::Json10,
            "Logs_20140328",
            "PutLogEvents",
        ),
        (
            "POST",
            "/",
            &[("x-amz-target", "com.example.Svc.Op"), ("content-type", "Application/X-Amz-Json-1.0; x=y")],
            "",
            Protocol::Json10,
            "com.example.Svc",
            "Op",
        ),
        ("POST", PATH, &[SMITHY], "", Protocol::Cbor, SERVICE, "PutMetricData"),
        ("POST", PATH, &[CBOR], "", Protocol::Cbor, SERVICE, "PutMetricData"),
        ("POST", "/a/b/service/S/operation/O", &[SMITHY, CBOR], "", Protocol::Cbor, "S", "O"),
        ("POST", "/", &[FORM], "Version=2010-03-31&Action=Publish", Protocol::Query, "2010-03-31", "Publish"),
        ("POST", "/", &[], "Action=Publish", Protocol::Query, "", "Publish"),
        ("GET", "/?Action=Publish&Version=1", &[], "", Protocol::Query, "1", "Publish"),
        ("POST", "/?Action=Publish&Version=1", &[], "", Protocol::Query, "1", "Publish"),
        ("POST", "/", &[FORM], "Action=A&Action=B", Protocol::Query, "", "A"),
    ];
    for &(method, uri, pairs, body, protocol, target, operation) in table {
        let call = try_read(method, uri, pairs, body).unwrap();
        assert_eq!(
            (call.protocol, &*call.target, &*call.operation),
            (protocol, target, operation),
            "{method} {uri} {body}"
        );
    }
}

#[test]
fn what_names_no_operation_is_refused() {
    use CallErrorKind::*;
    let long: &'static str = Box::leak(format!("A.{}", "x".repeat(NAME_BYTES_MAX + 1)).into_boxed_str());
    type Row = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
        CallErrorKind,
        &'static str,
    );
    let table: &[Row] = &[
        ("POST", "/", &[], "", MissingAction, "MissingAction"),
        ("POST", "/", &[FORM], "Action=", MissingAction, "MissingAction"),
        ("GET", "/", &[], "Action=Publish", MissingAction, "MissingAction"),
        ("POST", "/", &[FORM], "Action=a%0ab", BadName, "InvalidAction"),
        ("POST", "/", &[FORM], "Action=A&Version=%00", BadName, "InvalidAction"),
        ("POST", "/", &[FORM], "Action=%zz", BadForm, "MalformedQueryString"),
        ("POST", "/", &[FORM], "Action=%ff", BadForm, "MalformedQueryString"),
        ("PUT", "/", &[FORM], "Action=A", NoOperation, "InvalidAction"),
        ("POST", "/", &[("x-amz-target", "NoDot")], "", NoOperation, "UnknownOperationException"),
        ("GET", "/", &[("x-amz-target", "A.B")], "", NoOperation, "UnknownOperationException"),
        ("POST", "/", &[("x-amz-target", "A.")], "", BadName, "UnknownOperationException"),
        ("POST", "/", &[("x-amz-target", ".B")], "", BadName, "UnknownOperationException"),
        ("POST", "/", &[("x-amz-target", "A.<B>")], "", BadName, "UnknownOperationException"),
        (
            "POST",
            "/",
            &[("content-type", "application/x-amz-json-1.1")],
            "{}",
            NoOperation,
            "UnknownOperationException",
        ),
        ("POST", "/", &[SMITHY], "", NoOperation, "UnknownOperationException"),
        ("GET", "/service/S/operation/O", &[SMITHY], "", NoOperation, "UnknownOperationException"),
        ("POST", "/service/S/operation/O/", &[SMITHY], "", NoOperation, "UnknownOperationException"),
        ("POST", "/service//operation/O", &[SMITHY], "", BadName, "UnknownOperationException"),
        ("POST", "/service/S/operation/%4f", &[SMITHY], "", BadName, "UnknownOperationException"),
        (
            "POST",
            "/service/S/operation/O",
            &[("smithy-protocol", "rpc-v2-json")],
            "",
            NoOperation,
            "UnknownOperationException",
        ),
    ];
    for &(method, uri, pairs, body, kind, code) in table {
        let error = try_read(method, uri, pairs, body).unwrap_err();
        assert_eq!((error.kind, error.code().0), (kind, code), "{method} {uri} {body}");
    }
    assert_eq!(try_read("POST", "/", &[("x-amz-target", long)], "").unwrap_err().kind, BadName);
}
