//! Rules about users, roles and policies that need no client.

use nightbell_core::policy::{Policy, PolicyKind};

use super::*;
use crate::manage::iam::identities::NewIdentity;
use crate::run::app_in;
use crate::search::Pool;

#[test]
fn the_policies_of_aws_s_own_are_policies() {
    let mut arns = std::collections::HashSet::new();
    let mut ids = std::collections::HashSet::new();
    for policy in aws_managed::all() {
        Policy::parse(&policy.document(), PolicyKind::Identity)
            .unwrap_or_else(|error| panic!("{policy:?}: {error}"));
        let managed = policy.as_managed();
        assert_eq!(managed.id.len(), 21, "{policy:?}");
        assert!(arns.insert(policy.arn()) && ids.insert(managed.id), "{policy:?} is there twice");
        assert_eq!(policy.arn(), format!("arn:aws:iam::aws:policy{}{}", managed.path, managed.name));
        assert!(aws_managed::find(&policy.arn()).is_some());
    }
}

#[test]
fn names_and_paths_have_a_form() {
    for good in ["a", "a.b@c=d,e+f_g-h", &"x".repeat(64)] {
        check_name(good, "userName", 64).unwrap();
    }
    for bad in ["", "a b", "a/b", "ä", "a\0", &"x".repeat(65)] {
        assert!(matches!(check_name(bad, "userName", 64), Err(IamError::Invalid(_))), "{bad:?}");
    }
    for good in ["/", "/a/", "/a/b/"] {
        check_path(good).unwrap();
    }
    for bad in ["", "a", "/a", "a/", "//", "/a//b/", "/ /", "/ä/", &format!("/{}/", "x".repeat(512))] {
        assert!(matches!(check_path(bad), Err(IamError::Invalid(_))), "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_keeps_keys_and_an_old_name_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let app = app_in(folder.path(), Pool::without_threads());
    let (iam, now) = (Iam::of(&app), Timestamp::from_seconds(1_767_225_600));
    let new = |name: &str| NewIdentity { name: name.to_owned(), ..NewIdentity::default() };
    iam.create(Kind::User, new("Ann"), now).unwrap();
    let key = iam.create_key("Ann", now).unwrap();
    assert!(!format!("{key:?}").contains(&key.secret));
    assert!(matches!(iam.create(Kind::User, new("ann"), now), Err(IamError::Exists(_))));
    assert!(matches!(iam.identity(Kind::User, "ann"), Err(IamError::Missing(_))));
    iam.rename_user("Ann", Some("Anna".to_owned()), Some("/x/".to_owned())).unwrap();
    assert!(matches!(iam.identity(Kind::User, "Ann"), Err(IamError::Missing(_))));
    let found = app.keys.find(&app.key, &key.id, None, now).unwrap();
    let crate::auth::Holder::User(user) = found.holder else { panic!("a user's key was made") };
    assert_eq!(user.arn, "arn:aws:iam::123456789012:user/x/Anna");
    assert!(matches!(iam.delete(Kind::User, "Anna"), Err(IamError::InUse(_))));
    iam.delete_key("Anna", &key.id).unwrap();
    assert!(app.keys.find(&app.key, &key.id, None, now).is_err());
    iam.delete(Kind::User, "Anna").unwrap();
}
