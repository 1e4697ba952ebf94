/*!
Signatures: the input is a request's method, address and headers, a line each, then a blank line and the body.

Hostile ones are refused without harm; what we sign ourselves is right, and wrong with another body or secret.
*/
#![no_main]

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use nightbell_wire::sigv4::{self, Key};

const NOW_MS: i64 = 1_800_000_000_000;
const KEY: Key<'static> =
    Key { access_key: "AKIAFUZZ000000000000", secret: "fuzz-only", session_token: None };

/// The request head in `text`; `None` where it is none that HTTP allows.
fn head(text: &str) -> Option<Parts> {
    let mut lines = text.lines();
    let (method, address) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(address);
    for line in lines.take(64) {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request = request.header(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (before, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let Some(mut parts) = head(before) else { return };
    if let Ok(signed) = sigv4::parse(&parts) {
        let _ = sigv4::verify(&signed, &parts, body.as_bytes(), KEY.secret, NOW_MS);
    }
    // A payload hash that the request names itself is taken at its word, so it is left out here.
    parts.headers.remove("x-amz-content-sha256");
    parts.headers.remove("x-amz-security-token");
    if parts.uri.query().is_none()
        && sigv4::sign(&mut parts, body.as_bytes(), &KEY, "eu-central-1", "logs", NOW_MS).is_ok()
        && let Ok(signed) = sigv4::parse(&parts)
    {
        assert!(sigv4::verify(&signed, &parts, body.as_bytes(), KEY.secret, NOW_MS).is_ok());
        assert!(sigv4::verify(&signed, &parts, format!("{body}x").as_bytes(), KEY.secret, NOW_MS).is_err());
        assert!(sigv4::verify(&signed, &parts, body.as_bytes(), "another", NOW_MS).is_err());
    }
});
