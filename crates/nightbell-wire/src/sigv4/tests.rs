use super::*;
use http::Request;

const KEY: Key<'static> = Key {
    access_key: "AKIDEXAMPLE",
    secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    session_token: None,
};
/// 2015-08-30T12:36:00Z.
const NOW: i64 = 1_440_938_160_000;
const MINUTE: i64 = 60_000;

fn request() -> Parts {
    let request =
        Request::post("/").header("Host", "example.amazonaws.com").header("X-Amz-Target", "Logs.Put");
    request.body(()).unwrap().into_parts().0
}

fn signed_request() -> Parts {
    let mut parts = request();
    sign(&mut parts, b"{}", &KEY, "us-east-1", "logs", NOW).unwrap();
    parts
}

fn set(parts: &mut Parts, name: &'static str, value: &str) {
    parts.headers.insert(name, HeaderValue::from_str(value).unwrap());
}

fn authorization(parts: &Parts) -> String {
    parts.headers[AUTHORIZATION].to_str().unwrap().to_owned()
}

#[test]
fn what_is_signed_is_verified() {
    let parts = signed_request();
    let signed = parse(&parts).unwrap();
    assert_eq!(signed.access_key, "AKIDEXAMPLE");
    assert_eq!(
        signed.scope,
        Scope { date: "20150830".into(), region: "us-east-1".into(), service: "logs".into() }
    );
    assert_eq!(signed.signed_headers, ["host", "x-amz-date", "x-amz-target"]);
    assert_eq!((signed.time, signed.expires, signed.unsigned_payload), (NOW, None, false));
    verify(&signed, &parts, b"{}", KEY.secret, NOW).unwrap();
    assert_eq!(verify(&signed, &parts, b"{} ", KEY.secret, NOW).unwrap_err().kind, SigErrorKind::Mismatch);
    assert_eq!(verify(&signed, &parts, b"{}", "other", NOW).unwrap_err().kind, SigErrorKind::Mismatch);
    signed.check_service(&["logs", "sns"]).unwrap();
    assert_eq!(signed.check_service(&["sns"]).unwrap_err().kind, SigErrorKind::WrongScope);
    signed.check_region("us-east-1").unwrap();
    assert_eq!(signed.check_region("eu-central-1").unwrap_err().kind, SigErrorKind::WrongScope);
}

#[test]
fn the_session_token_is_signed() {
    let mut parts = request();
    sign(&mut parts, b"", &Key { session_token: Some("T1"), ..KEY }, "us-east-1", "logs", NOW).unwrap();
    let signed = parse(&parts).unwrap();
    assert_eq!(signed.session_token.as_deref(), Some("T1"));
    verify(&signed, &parts, b"", KEY.secret, NOW).unwrap();
    set(&mut parts, "x-amz-security-token", "T2");
    assert!(verify(&parse(&parts).unwrap(), &parts, b"", KEY.secret, NOW).is_err());
}

#[test]
fn the_clock_may_be_off_by_fifteen_minutes() {
    let parts = signed_request();
    let signed = parse(&parts).unwrap();
    let check = |now| verify(&signed, &parts, b"{}", KEY.secret, now);
    check(NOW + 15 * MINUTE).unwrap();
    check(NOW - 15 * MINUTE).unwrap();
    let late = check(NOW + 15 * MINUTE + 1).unwrap_err();
    assert_eq!(late.kind, SigErrorKind::Expired);
    let early = check(NOW - 16 * MINUTE).unwrap_err();
    assert_eq!(early.kind, SigErrorKind::NotYetValid);
    assert_eq!(
        early.message,
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z (20150830T122000Z + 15 min.)"
    );
    assert_eq!(
        check(NOW + 20 * MINUTE).unwrap_err().message,
        "Signature expired: 20150830T123600Z is now earlier than 20150830T124100Z (20150830T125600Z - 15 min.)"
    );
    for extreme in [i64::MIN, i64::MAX] {
        assert!(check(extreme).is_err());
    }
}

#[test]
fn the_stated_payload_hash_counts() {
    let mut parts = request();
    set(&mut parts, "x-amz-content-sha256", &hex(&Sha256::digest(b"body")));
    sign(&mut parts, b"body", &KEY, "us-east-1", "logs", NOW).unwrap();
    let signed = parse(&parts).unwrap();
    verify(&signed, &parts, b"body", KEY.secret, NOW).unwrap();
    assert_eq!(
        verify(&signed, &parts, b"bodi", KEY.secret, NOW).unwrap_err().kind,
        SigErrorKind::PayloadDiffers
    );

    set(&mut parts, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    sign(&mut parts, b"body", &KEY, "us-east-1", "logs", NOW).unwrap();
    let signed = parse(&parts).unwrap();
    assert!(signed.unsigned_payload);
    verify(&signed, &parts, b"any body", KEY.secret, NOW).unwrap();

    set(&mut parts, "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    sign(&mut parts, b"body", &KEY, "us-east-1", "logs", NOW).unwrap();
    let signed = parse(&parts).unwrap();
    assert_eq!(verify(&signed, &parts, b"body", KEY.secret, NOW).unwrap_err().kind, SigErrorKind::Incomplete);
}

#[test]
fn the_host_may_stand_in_the_address() {
    let mut parts = signed_request();
    let host = parts.headers.remove(HOST).unwrap();
    assert_eq!(parse(&parts).unwrap_err().kind, SigErrorKind::Incomplete);
    parts.uri = format!("http://{}/", host.to_str().unwrap()).parse().unwrap();
    verify(&parse(&parts).unwrap(), &parts, b"{}", KEY.secret, NOW).unwrap();
    parts.uri = "http://example.org/".parse().unwrap();
    assert!(verify(&parse(&parts).unwrap(), &parts, b"{}", KEY.secret, NOW).is_err());
}

#[test]
fn spelling_of_the_header_does_not_matter() {
    let mut parts = signed_request();
    let tight = authorization(&parts).replace(", ", ",");
    set(&mut parts, "authorization", &tight);
    verify(&parse(&parts).unwrap(), &parts, b"{}", KEY.secret, NOW).unwrap();
    set(&mut parts, "x-amz-target", "  Logs.Put ");
    verify(&parse(&parts).unwrap(), &parts, b"{}", KEY.secret, NOW).unwrap();
}

#[test]
fn malformed_signatures_are_refused() {
    use SigErrorKind::{Incomplete, Mismatch};
    let good = authorization(&signed_request());
    let table: [(&str, &str, SigErrorKind); 17] = [
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", Incomplete),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256", Incomplete),
        ("Credential=", "Credentials=", Incomplete),
        ("Credential=AKIDEXAMPLE/", "Credential=", Incomplete),
        ("Credential=AKIDEXAMPLE/", "Credential=/", Incomplete),
        ("/us-east-1/", "//", Incomplete),
        ("aws4_request", "aws5_request", Incomplete),
        ("20150830/", "20150829/", Mismatch),
        (", SignedHeaders=host;x-amz-date;x-amz-target", "", Incomplete),
        ("host;x-amz-date;x-amz-target", "", Incomplete),
        ("host;", "", Incomplete),
        (";x-amz-target", "", Incomplete),
        ("host;", "Host;", Incomplete),
        ("host;", "host;;", Incomplete),
        ("host;", "host;x-absent;", Incomplete),
        ("Signature=", "Signature=0", Incomplete),
        ("Signature=", "Signature=, Signature=", Incomplete),
    ];
    for (from, to, kind) in table {
        let mut parts = signed_request();
        assert!(good.contains(from), "{from}");
        set(&mut parts, "authorization", &good.replacen(from, to, 1));
        assert_eq!(parse(&parts).unwrap_err().kind, kind, "{from} -> {to}");
    }
}

#[test]
fn other_requests_are_refused() {
    assert_eq!(parse(&request()).unwrap_err().kind, SigErrorKind::Missing);
    for date in
        ["", "20150830", "2015-08-30T12:36:00Z", "20150230T123600Z", "20150830T253600Z", "20150830T123600z"]
    {
        let mut parts = signed_request();
        set(&mut parts, "x-amz-date", date);
        assert_eq!(parse(&parts).unwrap_err().kind, SigErrorKind::Incomplete, "{date}");
    }
    let mut dateless = signed_request();
    dateless.headers.remove("x-amz-date");
    assert_eq!(parse(&dateless).unwrap_err().kind, SigErrorKind::Incomplete);
    let mut twice = signed_request();
    twice.headers.append(AUTHORIZATION, twice.headers[AUTHORIZATION].clone());
    assert_eq!(parse(&twice).unwrap_err().kind, SigErrorKind::Incomplete);
    let mut both = signed_request();
    both.uri = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256".parse().unwrap();
    assert_eq!(parse(&both).unwrap_err().kind, SigErrorKind::Incomplete);
    let mut many = signed_request();
    let names = format!("host;x-amz-date;x-amz-target{}", ";host".repeat(SIGNED_HEADERS_MAX));
    let text = authorization(&many).replace("host;x-amz-date;x-amz-target", &names);
    set(&mut many, "authorization", &text);
    assert_eq!(parse(&many).unwrap_err().kind, SigErrorKind::Incomplete);
}

#[test]
fn codes_per_protocol() {
    use SigErrorKind::*;
    let table = [
        (Missing, "MissingAuthenticationToken", 403, "MissingAuthenticationTokenException"),
        (Incomplete, "IncompleteSignature", 400, "IncompleteSignatureException"),
        (Mismatch, "SignatureDoesNotMatch", 403, "InvalidSignatureException"),
        (Expired, "SignatureDoesNotMatch", 403, "InvalidSignatureException"),
        (UnknownKey, "InvalidClientTokenId", 403, "UnrecognizedClientException"),
        (ExpiredToken, "ExpiredToken", 403, "ExpiredTokenException"),
    ];
    use crate::Protocol;
    for (kind, query, status, json) in table {
        let error = SigError::new(kind, "");
        let (code, found) = error.code(Protocol::Query);
        assert_eq!((code, found.as_u16()), (query, status));
        assert_eq!(error.code(Protocol::Json11), (json, http::StatusCode::BAD_REQUEST));
        assert_eq!(error.code(Protocol::Cbor).0, json);
    }
    assert!(!format!("{KEY:?}").contains("wJalr"));
}
