/*!
Lists of objects in the order of their keys, those with a common beginning folded into one line.

Each page reads some records at a time and jumps over what is folded, so that a page costs what it shows ("ListObjectsV2", Amazon S3 API
Reference).
*/

use nightbell_store::{Scan, Space};

use super::objects::object_key;
use super::{BucketRefusal, ObjectRecord, STEP, decode, find};
use crate::catalog::{Key, Records};

/// What to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Keys that begin so.
    pub(crate) prefix: String,
    /// What comes between the prefix and this is folded; empty for nothing.
    pub(crate) delimiter: String,
    /// What stands behind this key or beginning; empty for all.
    pub(crate) after: String,
    /// Lines.
    pub(crate) lines_max: usize,
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// An object.
    Object(Box<ObjectRecord>),
    /// A beginning that several objects may have.
    Prefix(String),
}

impl Listed {
    /// Where the list goes on behind it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Object(object) => &object.key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// A page, and whether there is more.
///
/// # Errors
/// [`BucketRefusal::NoBucket`].
pub(crate) fn list(
    records: &Records,
    bucket: &str,
    listing: &Listing,
) -> Result<(Vec<Listed>, bool), BucketRefusal> {
    find(records, bucket)?;
    let mut lines: Vec<Listed> = Vec::new();
    let all = Key::prefix(&["object", bucket], &listing.prefix);
    let end = next_sibling(all.bytes());
    let mut from = all.bytes().to_vec();
    if !listing.after.is_empty() {
        from = from.max(successor(object_key(bucket, &listing.after).bytes()));
    }
    if listing.lines_max == 0 {
        return Ok((lines, false));
    }
    while from < end {
        let scan = Scan::range(from.clone(), end.clone()).limit(STEP.min(listing.lines_max + 1));
        let found = records.store().scan(Space::Catalog, &scan)?;
        let Some((last, _)) = found.last() else { break };
        from = successor(last);
        let mut folded: Option<Key> = None;
        for entry in &found {
            if folded.as_ref().is_some_and(|folded| entry.0.starts_with(folded.bytes())) {
                continue;
            }
            let object: ObjectRecord = decode(entry)?;
            let prefix = common_prefix(&object.key, listing).map(str::to_owned);
            if let Some(prefix) = &prefix {
                folded = Some(Key::prefix(&["object", bucket], prefix));
                if *prefix <= listing.after {
                    continue;
                }
            }
            if lines.len() == listing.lines_max {
                return Ok((lines, true));
            }
            lines.push(prefix.map_or_else(|| Listed::Object(Box::new(object)), Listed::Prefix));
        }
        // What is folded need not be read to its end.
        if let Some(folded) = folded.filter(|folded| from.starts_with(folded.bytes())) {
            from = next_sibling(folded.bytes());
        }
    }
    Ok((lines, false))
}

/// The beginning of a key that it is folded to.
fn common_prefix<'k>(key: &'k str, listing: &Listing) -> Option<&'k str> {
    if listing.delimiter.is_empty() {
        return None;
    }
    let at = key.get(listing.prefix.len()..)?.find(&listing.delimiter)?;
    key.get(..listing.prefix.len() + at + listing.delimiter.len())
}

/// The first key behind another.
fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The first key behind all that begin with a prefix. Keys are texts, so that no byte of theirs is the largest.
fn next_sibling(prefix: &[u8]) -> Vec<u8> {
    let mut sibling = prefix.to_vec();
    if let Some(last) = sibling.last_mut() {
        *last += 1;
    }
    sibling
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nightbell_core::time::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::manage::buckets::{BucketRecord, Buckets, Condition, Content, create, objects};
    use crate::run::app_in;
    use crate::search::Pool;

    fn object(key: &str) -> ObjectRecord {
        ObjectRecord {
            key: key.to_owned(),
            bytes: 0,
            etag: "e".to_owned(),
            modified: Timestamp::default(),
            content: Content::Empty,
            described: objects::Described::default(),
            checksum: None,
        }
    }

    /// The slow and obvious way.
    fn oracle(keys: &BTreeSet<String>, listing: &Listing) -> Vec<String> {
        let mut lines = Vec::new();
        for key in keys.iter().filter(|key| key.starts_with(&listing.prefix)) {
            let rest = &key[listing.prefix.len()..];
            let folded = (!listing.delimiter.is_empty()).then(|| rest.find(&listing.delimiter)).flatten();
            let line =
                folded.map_or(key.as_str(), |at| &key[..listing.prefix.len() + at + listing.delimiter.len()]);
            if *line > *listing.after && lines.last().is_none_or(|last| last != line) {
                lines.push(line.to_owned());
            }
        }
        lines
    }

    fn pages(records: &Records, mut listing: Listing) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let (page, more) = list(records, "bucket", &listing).unwrap();
            assert!(page.len() <= listing.lines_max);
            lines.extend(page.iter().map(|line| line.name().to_owned()));
            if !more {
                return lines;
            }
            listing.after = page.last().unwrap().name().to_owned();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn pages_hold_what_the_slow_way_finds(
            keys in proptest::collection::btree_set("[ab/\u{0}\u{1}ü]{1,5}", 0..30),
            prefix in "[ab/]{0,2}",
            delimiter in "(/|a|ab|)",
            after in "[ab/ü]{0,3}",
            lines_max in 1_usize..5,
        ) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
            let folder = tempfile::tempdir().unwrap();
            runtime.block_on(async {
                let app = app_in(folder.path(), Pool::without_threads());
                let buckets = Buckets::open(&folder.path().join("b")).unwrap();
                for name in ["bucket", "bucket2"] {
                    let bucket = BucketRecord {
                        name: name.to_owned(),
                        region: "site".to_owned(),
                        created: Timestamp::default(),
                        tags: Default::default(),
                        policy: None,
                        public_access: None,
                    };
                    create(&buckets, &app.records, &bucket).unwrap();
                }
                for key in &keys {
                    objects::put_object(&buckets, &app.records, "bucket", &object(key), &Condition::default()).unwrap();
                }
                objects::put_object(&buckets, &app.records, "bucket2", &object("zz"), &Condition::default()).unwrap();
                let listing = Listing { prefix, delimiter, after, lines_max };
                assert_eq!(pages(&app.records, listing.clone()), oracle(&keys, &listing), "{listing:?}");
            });
        }
    }
}
