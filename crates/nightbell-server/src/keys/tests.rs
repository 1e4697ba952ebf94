//! Keys are found by their ids; temporary ones by nothing but the token that was given out with them.

use nightbell_store::MemoryStore;
use nightbell_wire::sigv4::{self, Key, SigErrorKind};

use super::*;
use crate::manage::iam::identities::NewIdentity;
use crate::manage::iam::{Kind, Trust};
use crate::run::app_in;
use crate::search::Pool;

const ACCOUNT: &str = "123456789012";

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_767_225_600 + second)
}

fn root() -> AccessKey {
    AccessKey { access_key_id: "ROOT".to_owned(), secret_access_key: "root-secret".to_owned() }
}

fn session() -> Session {
    Session {
        arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s"),
        role_arn: format!("arn:aws:iam::{ACCOUNT}:role/r"),
        role_id: "AROA".to_owned(),
        role: "r".to_owned(),
        name: "s".to_owned(),
        policy: Some("{}".to_owned()),
        policy_arns: vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()],
    }
}

#[test]
fn a_token_says_whose_it_is_until_its_time_is_over() {
    let keys = Keys::new();
    let given = keys.issue(&session(), at(900));
    let found = keys.find(&root(), &given.access_key_id, Some(&given.session_token), at(899)).unwrap();
    assert_eq!(found.secret, given.secret_access_key);
    assert!(matches!(found.holder, Holder::Session(opened) if *opened == session()));
    let late = keys.find(&root(), &given.access_key_id, Some(&given.session_token), at(900));
    assert_eq!(late.err(), Some(SigError::expired_token()));
    assert!(!format!("{given:?}").contains(&given.secret_access_key));
}

#[test]
fn no_other_token_is_taken() {
    let keys = Keys::new();
    let given = keys.issue(&session(), at(900));
    let (id, token) = (given.access_key_id.as_str(), given.session_token.as_str());
    let unknown = |id: &str, token: Option<&str>| {
        let refused = keys.find(&root(), id, token, at(0)).err();
        assert_eq!(refused, Some(SigError::unknown_key()), "{id} {token:?}");
    };
    for place in 0..token.len() {
        let mut bytes = token.as_bytes().to_vec();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        unknown(id, Some(std::str::from_utf8(&bytes).unwrap()));
        unknown(id, Some(&token[..place]));
    }
    unknown(id, None);
    unknown(&keys.issue(&session(), at(900)).access_key_id, Some(token));
    unknown("ROOT", Some(token));
    unknown(id, Some(&format!("{token}A")));
    unknown(id, Some(&"A".repeat(1 << 20)));
    // That of another installation.
    let others = Keys::new().issue(&session(), at(900));
    unknown(&others.access_key_id, Some(&others.session_token));
}

#[test]
fn temporary_keys_outlive_a_restart() {
    let records = Records::new(Arc::new(MemoryStore::default()));
    let keys = Keys::new();
    keys.load(&records, ACCOUNT).unwrap();
    let given = keys.issue(&session(), at(900));
    let again = Keys::new();
    again.load(&records, ACCOUNT).unwrap();
    let found = again.find(&root(), &given.access_key_id, Some(&given.session_token), at(0)).unwrap();
    assert_eq!(found.secret, given.secret_access_key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_acts_in_roles_that_trust_it() {
    let folder = tempfile::tempdir().unwrap();
    let app = app_in(folder.path(), Pool::without_threads());
    let trust = |service: &str| {
        let statement = serde_json::json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"});
        let document = serde_json::json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        Some(Trust { document, max_session_seconds: 3_600, description: None })
    };
    for (name, service) in [("mine", "lambda.amazonaws.com"), ("other", "firehose.amazonaws.com")] {
        let new = NewIdentity { name: name.to_owned(), trust: trust(service), ..NewIdentity::default() };
        Iam::of(&app).create(Kind::Role, new, at(0)).unwrap();
    }
    let ask = |role: &str| {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
        role_session(&app, "lambda.amazonaws.com", &arn, "f", at(0))
    };
    let session = ask("mine").unwrap();
    assert_eq!(session.arn, format!("arn:aws:sts::{ACCOUNT}:assumed-role/mine/f"));
    assert!(matches!(ask("other"), Err(IamError::Denied(_))));
    assert!(matches!(ask("none"), Err(IamError::Missing(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_signs_until_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let app = app_in(folder.path(), Pool::without_threads());
    let given = app.keys.issue(&session(), at(900));
    let check = |second: i64, unsigned: bool, peer: Option<[u8; 4]>| {
        let (mut parts, ()) = http::Request::post("http://localhost/").body(()).unwrap().into_parts();
        if unsigned {
            parts.headers.insert("x-amz-content-sha256", http::HeaderValue::from_static("UNSIGNED-PAYLOAD"));
        }
        let key = Key {
            access_key: &given.access_key_id,
            secret: &given.secret_access_key,
            session_token: Some(&given.session_token),
        };
        let now = at(second);
        sigv4::sign(&mut parts, b"body", &key, "site", "sns", now.as_millis()).unwrap();
        parts.extensions.extend(
            peer.map(|peer| {
                let mut extensions = http::Extensions::new();
                extensions.insert(crate::auth::Peer(peer.into()));
                extensions
            })
            .unwrap_or_default(),
        );
        let found = crate::auth::check(&app, &parts, b"body", now);
        found.map(|caller| caller.principal.arn(ACCOUNT)).map_err(|error| error.kind)
    };
    let arn = Some(session().arn);
    assert_eq!(check(899, false, None), Ok(arn.clone()));
    assert_eq!(check(900, false, None), Err(SigErrorKind::ExpiredToken));
    // A body that is not signed is taken from this machine only.
    assert_eq!(check(1, true, Some([127, 0, 0, 1])), Ok(arn));
    assert_eq!(check(1, true, Some([192, 0, 2, 1])), Err(SigErrorKind::PayloadDiffers));
    assert_eq!(check(1, true, None), Err(SigErrorKind::PayloadDiffers));
}
