/*!
AWS's own signing test suite, header and query form, as `tests/recorded/suite.py` wrote it down: each request is accepted, or stands here
with the reason why it is not.
*/

use crate::recorded::{Recorded, SECRET};
use http::Uri;
use nightbell_wire::sigv4::{self, SigErrorKind};

/// Paths signed as they were sent. S3 alone signs so, and the suite's service is another.
const AS_SENT: [&str; 6] = [
    "get-relative-relative-unnormalized",
    "get-relative-unnormalized",
    "get-slash-dot-slash-unnormalized",
    "get-slash-pointless-dot-unnormalized",
    "get-slash-unnormalized",
    "get-slashes-unnormalized",
];
/// A blank in the path: no request of HTTP.
const NO_ADDRESS: [&str; 2] = ["get-space-normalized", "get-space-unnormalized"];
/// A session token that was added after signing, and that anybody could have added: the one form that we refuse and some services take.
const TOKEN_UNSIGNED: &str = "post-sts-header-after";
/// The suite's files contradict each other: what was signed is of another date than the request.
const CONTRADICTORY: &str = "double-encode-path";

#[test]
fn the_published_suite_is_accepted() {
    let suite: Vec<Recorded> = serde_json::from_str(include_str!("../recorded/suite.json")).unwrap();
    let mut accepted = 0;
    for recorded in &suite {
        let (name, form) = recorded.name.split_once('.').unwrap();
        if NO_ADDRESS.contains(&name) {
            assert!(recorded.uri.parse::<Uri>().is_err(), "{name}");
            continue;
        }
        let expected = match name {
            TOKEN_UNSIGNED if form == "header" => Err(SigErrorKind::Incomplete),
            TOKEN_UNSIGNED | CONTRADICTORY => Err(SigErrorKind::Mismatch),
            name if AS_SENT.contains(&name) => Err(SigErrorKind::Mismatch),
            _ => Ok(()),
        };
        assert_eq!(verdict(recorded), expected, "{}", recorded.name);
        accepted += usize::from(expected.is_ok());
    }
    assert_eq!((suite.len(), accepted), (78, 59));
}

/// What the signature is worth at the time it names.
fn verdict(recorded: &Recorded) -> Result<(), SigErrorKind> {
    let parts = recorded.parts();
    let signed = sigv4::parse(&parts).map_err(|error| error.kind)?;
    sigv4::verify(&signed, &parts, &recorded.body(), SECRET, signed.time).map_err(|error| error.kind)
}
