/*!
Tags of resources: what is written on them, by ARN.

Whoever has a resource that can carry tags puts them here, in the step that makes the resource, and takes them away in the one that
deletes it. Log groups keep theirs in their own record and use the rules here. Which error code a refusal is, each service says itself.
Rules: "Tag naming limits and requirements" (Tagging AWS Resources).
*/

use std::collections::BTreeMap;

use nightbell_store::Write;

use super::Refusal;
use crate::catalog::{Failure, Key, Records, delete, put as put_record};

/// Tags of one resource.
pub(crate) const TAGS_MAX: usize = 50;
/// Characters of a tag's key.
pub(crate) const TAG_KEY_CHARS_MAX: usize = 128;
/// Characters of a tag's value.
pub(crate) const TAG_VALUE_CHARS_MAX: usize = 256;
/// What keys begin with that only AWS's own services set.
const RESERVED: &str = "aws:";

/// Tags: keys and their values.
pub(crate) type Tags = BTreeMap<String, String>;

/// The tags of the resource.
pub(crate) fn of(records: &Records, arn: &str) -> Result<Tags, Failure> {
    Ok(records.get(&key(arn))?.unwrap_or_default())
}

/// Adds tags to those of the resource; a key that is there gets the new value. `there` says, while nobody else changes anything, whether
/// the resource is.
pub(crate) fn set(
    records: &Records,
    arn: &str,
    tags: Tags,
    there: impl FnOnce() -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let _turn = records.turn();
    there()?;
    let merged = merge(of(records, arn)?, tags)?;
    let mut change = Write::new();
    put(&mut change, arn, &merged);
    Ok(records.commit(change)?)
}

/// Takes tags away; keys that are not there are fine. `there` as for [`set`].
pub(crate) fn unset(
    records: &Records,
    arn: &str,
    keys: &[String],
    there: impl FnOnce() -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let _turn = records.turn();
    there()?;
    let mut tags = of(records, arn)?;
    tags.retain(|key, _| !keys.contains(key));
    let mut change = Write::new();
    put(&mut change, arn, &tags);
    Ok(records.commit(change)?)
}

/// Adds to `change` that these are the resource's tags. They were checked.
pub(crate) fn put(change: &mut Write, arn: &str, tags: &Tags) {
    if tags.is_empty() {
        forget(change, arn);
    } else {
        put_record(change, &key(arn), tags);
    }
}

/// Adds to `change` that the resource has no tags, as when it is deleted.
pub(crate) fn forget(change: &mut Write, arn: &str) {
    delete(change, &key(arn));
}

/// The tags of a resource after `tags` were added.
pub(crate) fn merge(mut old: Tags, tags: Tags) -> Result<Tags, Refusal> {
    check(&tags)?;
    old.extend(tags);
    check_count(&old)?;
    Ok(old)
}

/// Refuses tags that no resource may have.
pub(crate) fn check(tags: &Tags) -> Result<(), Refusal> {
    check_count(tags)?;
    tags.iter().try_for_each(|(key, value)| check_one(key, value))
}

fn key(arn: &str) -> Key {
    Key::arn("tags", arn)
}

fn check_count(tags: &Tags) -> Result<(), Refusal> {
    if tags.len() > TAGS_MAX {
        return Err(Refusal::TooManyTags(format!(
            "tags: {} are more than the limit of {TAGS_MAX} a resource",
            tags.len()
        )));
    }
    Ok(())
}

fn check_one(key: &str, value: &str) -> Result<(), Refusal> {
    let shown: String = key.chars().take(TAG_KEY_CHARS_MAX).collect();
    let refuse = |text: String| Err(Refusal::Invalid(text));
    if !(1..=TAG_KEY_CHARS_MAX).contains(&key.chars().count()) {
        return refuse(format!("tags: the key '{shown}' must have 1 to {TAG_KEY_CHARS_MAX} characters"));
    }
    if value.chars().count() > TAG_VALUE_CHARS_MAX {
        return refuse(format!(
            "tags: the value of '{shown}' must have at most {TAG_VALUE_CHARS_MAX} characters"
        ));
    }
    if key.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED)) {
        return refuse(format!("tags: the key '{shown}' starts with {RESERVED}, which is reserved"));
    }
    if !key.chars().chain(value.chars()).all(is_allowed) {
        return refuse(format!(
            "tags: the key '{shown}' or its value has characters other than letters, digits, spaces and _.:/=+-@"
        ));
    }
    Ok(())
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Tags {
        Tags::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_may_stand_on_a_tag() {
        let long = "k".repeat(TAG_KEY_CHARS_MAX);
        for (key, value) in [("a", ""), ("Käse und Brot", "é 1"), (&*long, "v"), ("a.b:c/d=e+f-g@h_i", "x")]
        {
            assert!(check(&one(key, value)).is_ok(), "{key}");
        }
        let (key_over, value_over) = (format!("{long}k"), "v".repeat(TAG_VALUE_CHARS_MAX + 1));
        let wrong = [
            ("", ""),
            (&*key_over, ""),
            ("a", &*value_over),
            ("aws:x", ""),
            ("AWS:x", ""),
            ("a\tb", ""),
            ("a", "{}"),
        ];
        for (key, value) in wrong {
            assert!(matches!(check(&one(key, value)), Err(Refusal::Invalid(_))), "{key} {value}");
        }
    }

    #[test]
    fn fifty_are_the_most_and_a_known_key_is_none_more() {
        let full: Tags = (0..TAGS_MAX).map(|n| (n.to_string(), String::new())).collect();
        let merged = merge(full.clone(), one("7", "new")).unwrap();
        assert_eq!((merged.len(), &*merged["7"]), (TAGS_MAX, "new"));
        assert!(matches!(merge(full, one("more", "")), Err(Refusal::TooManyTags(_))));
    }
}
