/*!
Signatures that clients made are accepted, our own are the same, and no altered request is.
*/

use crate::recorded::{REQUESTS_NOW, Recorded, SECRET, SIGNATURES_NOW, clients, requests, signatures};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Uri};
use nightbell_wire::sigv4::{self, Key, SigErrorKind};

/// Every recorded request, with the time it was signed at.
fn all() -> Vec<(Recorded, i64)> {
    let requests = requests().into_iter().map(|one| (one, REQUESTS_NOW));
    let clients = clients().into_iter().map(|one| {
        let now = sigv4::parse(&one.parts()).unwrap().time;
        (one, now)
    });
    requests.chain(clients).chain(signatures().into_iter().map(|one| (one, SIGNATURES_NOW))).collect()
}

fn check(parts: &Parts, body: &[u8], secret: &str, now: i64) -> Result<(), SigErrorKind> {
    let signed = sigv4::parse(parts).map_err(|error| error.kind)?;
    sigv4::verify(&signed, parts, body, secret, now).map_err(|error| error.kind)
}

#[test]
fn all_recorded_signatures_are_accepted() {
    for (recorded, now) in all() {
        let parts = recorded.parts();
        let signed = sigv4::parse(&parts).unwrap_or_else(|error| panic!("{}: {error}", recorded.name));
        assert_eq!((&*signed.access_key, signed.time), ("AKIDEXAMPLE", now), "{}", recorded.name);
        assert_eq!(check(&parts, &recorded.body(), SECRET, now), Ok(()), "{}", recorded.name);
        assert_eq!(
            check(&parts, &recorded.body(), "another secret", now),
            Err(SigErrorKind::Mismatch),
            "{}",
            recorded.name
        );
    }
}

/// The two signatures of the published example suite that are widely printed, so that the recording itself is held by something.
#[test]
fn the_recording_agrees_with_the_published_suite() {
    for (name, signature) in [
        ("get-vanilla", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("post-vanilla", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ] {
        let recorded = signatures().into_iter().find(|one| one.name == name).unwrap();
        assert!(recorded.parts().headers[AUTHORIZATION].to_str().unwrap().ends_with(signature), "{name}");
    }
}

#[test]
fn scopes_and_tokens_are_read() {
    let find = |name: &str| requests().into_iter().find(|one| one.name == name).unwrap();
    let service = |name: &str| sigv4::parse(&find(name).parts()).unwrap().scope.service;
    assert_eq!(service("logs.PutLogEvents"), "logs");
    assert_eq!(service("cloudwatch.query.PutMetricData"), "monitoring");
    assert_eq!(service("sns.presigned.ConfirmSubscription"), "sns");
    for name in ["logs.DescribeLogGroups", "sts.presigned.GetCallerIdentity"] {
        let token = sigv4::parse(&find(name).parts()).unwrap().session_token;
        assert_eq!(token.as_deref(), Some("FwoGZXIvYXdzEXAMPLE//session+token=="), "{name}");
    }
}

#[test]
fn a_presigned_address_ends() {
    let recorded =
        requests().into_iter().find(|one| one.name == "sns.presigned.ConfirmSubscription").unwrap();
    let parts = recorded.parts();
    assert_eq!(sigv4::parse(&parts).unwrap().expires, Some(600));
    assert_eq!(check(&parts, b"", SECRET, REQUESTS_NOW + 600_000), Ok(()));
    assert_eq!(check(&parts, b"", SECRET, REQUESTS_NOW + 600_001), Err(SigErrorKind::Expired));
    assert_eq!(check(&parts, b"", SECRET, REQUESTS_NOW - 16 * 60_000), Err(SigErrorKind::NotYetValid));
    assert_eq!(check(&parts, b"a body", SECRET, REQUESTS_NOW), Err(SigErrorKind::Mismatch));
    for (from, to) in
        [("X-Amz-Expires=600", "X-Amz-Expires=604801"), ("X-Amz-Expires=600", "X-Amz-Expires=0")]
    {
        let altered = Recorded { uri: recorded.uri.replace(from, to), ..recorded.clone() };
        assert_eq!(check(&altered.parts(), b"", SECRET, REQUESTS_NOW), Err(SigErrorKind::Incomplete), "{to}");
    }
    let longer =
        Recorded { uri: recorded.uri.replace("X-Amz-Expires=600", "X-Amz-Expires=900"), ..recorded.clone() };
    assert_eq!(check(&longer.parts(), b"", SECRET, REQUESTS_NOW), Err(SigErrorKind::Mismatch));
}

/// Signing the recorded requests anew gives the signature that their clients gave.
#[test]
fn our_signatures_are_those_of_the_clients() {
    let mut compared = 0;
    for (recorded, now) in all() {
        let mut parts = recorded.parts();
        let Some(theirs) = parts.headers.remove(AUTHORIZATION) else { continue };
        if parts.headers.contains_key("date") {
            continue; // botocore signs by `Date` there, we by `X-Amz-Date`.
        }
        let signed = sigv4::parse(&recorded.parts()).unwrap();
        if signed.signed_headers.iter().any(|name| name == "content-length") {
            continue; // JavaScript's version 3 and Go sign the length, we leave it to the digest of the body.
        }
        let unsigned: Vec<HeaderName> = parts.headers.keys().cloned().collect();
        for name in unsigned {
            if !signed.signed_headers.iter().any(|one| one == name.as_str()) {
                parts.headers.remove(&name);
            }
        }
        let key =
            Key { access_key: "AKIDEXAMPLE", secret: SECRET, session_token: signed.session_token.as_deref() };
        sigv4::sign(&mut parts, &recorded.body(), &key, &signed.scope.region, &signed.scope.service, now)
            .unwrap();
        assert_eq!(parts.headers[AUTHORIZATION], theirs, "{}", recorded.name);
        compared += 1;
    }
    assert!(compared > 45, "compared {compared}");
}

/// What a receiver sees of a request: equal for two requests only if they mean the same.
fn meaning(parts: &Parts, signed_headers: &[String], body: &[u8]) -> Option<impl PartialEq + use<>> {
    let unescape = |text: &str| -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'+' => out.push(b' '),
                b'%' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                }
                other => out.push(other),
            }
        }
        Some(out)
    };
    let mut query = Vec::new();
    for pair in parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        query.push((unescape(name)?, unescape(value)?));
    }
    query.sort();
    let mut segments: Vec<String> = Vec::new();
    for segment in parts.uri.path().split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment.to_owned()),
        }
    }
    let mut headers = Vec::new();
    for name in signed_headers {
        let values: Vec<&str> =
            parts.headers.get_all(name).iter().map(|v| v.to_str().unwrap_or("\u{0}")).collect();
        headers.push(values.join(",").split_whitespace().collect::<Vec<_>>().join(" "));
    }
    Some((parts.method.clone(), segments, query, headers, body.to_vec()))
}

/// Flips one bit of a text, where the result still is one.
fn flips(text: &str) -> impl Iterator<Item = String> {
    (0..text.len() * 8).filter_map(|bit| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        String::from_utf8(bytes).ok()
    })
}

/// All requests that differ from this one in one bit of its method, address, signed headers or signature, as far as HTTP can carry them.
fn mutants(original: &Parts, signed_headers: &[String]) -> Vec<Parts> {
    let mut out = Vec::new();
    let mut push = |change: &mut dyn FnMut(&mut Parts)| {
        let mut parts = original.clone();
        change(&mut parts);
        out.push(parts);
    };
    for method in flips(original.method.as_str()).filter_map(|text| Method::from_bytes(text.as_bytes()).ok())
    {
        push(&mut |parts| parts.method = method.clone());
    }
    for uri in flips(&original.uri.to_string()).filter_map(|text| text.parse::<Uri>().ok()) {
        push(&mut |parts| parts.uri = uri.clone());
    }
    for name in signed_headers {
        let name: HeaderName = name.parse().unwrap();
        let Some(value) = original.headers.get(&name) else { continue };
        for value in flips(value.to_str().unwrap()).filter_map(|text| HeaderValue::from_str(&text).ok()) {
            push(&mut |parts| _ = parts.headers.insert(&name, value.clone()));
        }
        push(&mut |parts| _ = parts.headers.remove(&name));
        push(&mut |parts| _ = parts.headers.append(&name, value.clone()));
    }
    if let Some(value) = original.headers.get(AUTHORIZATION) {
        // The key's id is not signed: it says which secret to look up.
        let (head, tail) = value.to_str().unwrap().split_once("AKIDEXAMPLE").unwrap();
        for tail in flips(tail) {
            if let Ok(value) = HeaderValue::from_str(&format!("{head}AKIDEXAMPLE{tail}")) {
                push(&mut |parts| _ = parts.headers.insert(AUTHORIZATION, value.clone()));
            }
        }
    }
    out
}

#[test]
fn no_altered_request_is_accepted() {
    let (mut refused, mut same) = (0, 0);
    for (recorded, now) in all() {
        let (original, body) = (recorded.parts(), recorded.body());
        let signed = sigv4::parse(&original).unwrap();
        let meant = meaning(&original, &signed.signed_headers, &body);
        for parts in mutants(&original, &signed.signed_headers) {
            let meant_now = meaning(&parts, &signed.signed_headers, &body);
            let authorization = parts.headers.get(AUTHORIZATION) == original.headers.get(AUTHORIZATION);
            if meant_now.is_some() && meant_now == meant && authorization {
                same += 1; // For instance `%2f` for `%2F`.
                continue;
            }
            let found = check(&parts, &body, SECRET, now);
            assert!(found.is_err(), "{}: {} {} {:?}", recorded.name, parts.method, parts.uri, parts.headers);
            refused += 1;
        }
        if signed.unsigned_payload {
            continue;
        }
        // A client that names the body's digest is told which of the two is wrong.
        let named = original.headers.contains_key("x-amz-content-sha256");
        let refusal = if named { SigErrorKind::PayloadDiffers } else { SigErrorKind::Mismatch };
        for bit in 0..(body.len() * 8).min(4_000) {
            let mut body = body.clone();
            body[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check(&original, &body, SECRET, now), Err(refusal), "{}", recorded.name);
            refused += 1;
        }
        let longer = [&body[..], b"\0"].concat();
        assert!(check(&original, &longer, SECRET, now).is_err(), "{}", recorded.name);
    }
    assert!(refused > 50_000, "only {refused} mutants were tried");
    assert!(same < refused / 100, "{same} of the mutants mean the same");
}
