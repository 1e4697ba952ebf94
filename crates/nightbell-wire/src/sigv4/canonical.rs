/*!
The canonical request: the one text that client and server derive from a request to sign it.

Equal requests have equal texts, however they were escaped or folded on the way; different requests have different ones. `+` in an address
is a space, as it is to whoever reads the form.
*/

use super::Scope;
use crate::percent;
use http::request::Parts;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

pub(super) struct Canonical<'a> {
    pub(super) parts: &'a Parts,
    pub(super) scope: &'a Scope,
    pub(super) signed_headers: &'a [String],
}

impl Canonical<'_> {
    /// SHA-256 of the canonical request.
    pub(super) fn digest(&self, payload_hash: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.parts.method.as_str());
        hash.update(b"\n");
        hash.update(path(self.parts.uri.path(), &self.scope.service));
        hash.update(b"\n");
        hash.update(query(self.parts.uri.query().unwrap_or_default()));
        hash.update(b"\n");
        for name in self.signed_headers {
            hash.update(name);
            hash.update(b":");
            hash.update(header(self.parts, name).unwrap_or_default());
            hash.update(b"\n");
        }
        hash.update(b"\n");
        hash.update(self.signed_headers.join(";"));
        hash.update(b"\n");
        hash.update(payload_hash);
        hash.finalize().into()
    }
}

/// A header's values, each trimmed and its runs of blanks folded into one, joined by commas. HTTP/2 has the host in the address.
pub(super) fn header(parts: &Parts, name: &str) -> Option<Vec<u8>> {
    let mut values = parts.headers.get_all(name).iter().map(|value| value.as_bytes()).peekable();
    if values.peek().is_none() {
        let authority = parts.uri.authority().filter(|_| name == "host")?;
        return Some(authority.as_str().as_bytes().to_vec());
    }
    let mut joined = Vec::new();
    for (index, value) in values.enumerate() {
        if index > 0 {
            joined.push(b',');
        }
        let words = value.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
        joined.extend(words.collect::<Vec<_>>().join(&b' '));
    }
    Some(joined)
}

/// The path, as it was sent, cleaned of `.`, `..` and empty segments, and percent-encoded once more. S3 signs it as it was sent.
fn path(sent: &str, service: &str) -> String {
    let mut out = String::new();
    if service == "s3" {
        return if sent.is_empty() { "/".to_owned() } else { sent.to_owned() };
    }
    let mut segments = Vec::new();
    for segment in sent.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push('/');
        percent::encode_into(&mut out, segment.as_bytes(), false);
    }
    if segments.is_empty() || sent.ends_with('/') {
        out.push('/');
    }
    out
}

/// The parameters, escaped anew and sorted, without the signature itself.
fn query(sent: &str) -> String {
    let mut pairs: Vec<(String, String)> = sent
        .split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
        .map(|(name, value)| (escape_anew(name), escape_anew(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort();
    let joined: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    joined.join("&")
}

fn escape_anew(text: &str) -> String {
    // What is not percent-encoded stands for itself; no reader of forms takes it either.
    let bytes = percent::decode(text).unwrap_or(Cow::Borrowed(text.as_bytes()));
    let mut out = String::with_capacity(text.len());
    percent::encode_into(&mut out, &bytes, false);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_encoded_twice() {
        let table = [
            ("/", "/"),
            ("//", "/"),
            ("/a/..", "/"),
            ("/a/../", "/"),
            ("/a/./b//c/", "/a/b/c/"),
            ("/../../a", "/a"),
            ("/a%20b", "/a%2520b"),
            ("/a~b:c", "/a~b%3Ac"),
        ];
        for (sent, canonical) in table {
            assert_eq!(path(sent, "service"), canonical, "{sent}");
        }
        assert_eq!(path("/a/../b%20c//d", "s3"), "/a/../b%20c//d");
    }

    #[test]
    fn parameters_are_escaped_anew_and_sorted() {
        let table = [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1&A=3", "A=3&a=1&a=2"),
            ("a", "a="),
            ("a=b=c", "a=b%3Dc"),
            ("a=%2f%2F/", "a=%2F%2F%2F"),
            ("a=+%20", "a=%20%20"),
            ("a=%2B", "a=%2B"),
            ("a=%zz", "a=%25zz"),
            ("X-Amz-Signature=1&b=2", "b=2"),
        ];
        for (sent, canonical) in table {
            assert_eq!(query(sent), canonical, "{sent}");
        }
    }
}
