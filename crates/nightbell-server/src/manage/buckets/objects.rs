/*!
Objects: their records, and the one step by which each appears, is replaced or goes.
*/

use std::collections::BTreeMap;

use nightbell_core::time::Timestamp;
use nightbell_store::{Kind, Write};
use serde::{Deserialize, Serialize};

use super::{BucketRefusal, Buckets, find};
use crate::catalog::{Failure, Key, Records, delete, put};
use crate::manage::tags::Tags;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    /// Its key.
    pub(crate) key: String,
    /// How long it is.
    pub(crate) bytes: u64,
    /// MD5 of the content in hexadecimal digits; of the MD5s of its parts and their number, where it came in parts.
    pub(crate) etag: String,
    /// When it was put.
    pub(crate) modified: Timestamp,
    /// Where the content is.
    pub(crate) content: Content,
    /// What was said of it.
    #[serde(flatten)]
    pub(crate) described: Described,
    /// A checksum of the content that was checked when it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Checksum>,
}

/// What whoever put an object said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Described {
    /// Headers that go with each answer, by their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    /// `x-amz-meta-…`, by what comes after.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: Tags,
}

/// A checksum in the words of S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    /// `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1` or `SHA256`.
    pub(crate) algorithm: String,
    /// In base64.
    pub(crate) value: String,
}

/// Where a content is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Content {
    /// There is none.
    Empty,
    /// A blob of this id.
    Blob(String),
    /// Several blobs in a row, in the list of this name.
    Pieces(String),
}

/// One of several blobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    /// Its id.
    pub(crate) blob: String,
    /// How long it is.
    pub(crate) bytes: u64,
}

/// What must hold of the object that is there, for a change to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// It must have one of these ETags; `*` is any.
    pub(crate) is: Option<Vec<String>>,
    /// It must have none of these; `*` is any.
    pub(crate) is_not: Option<Vec<String>>,
}

impl Content {
    /// The one blob it is.
    pub(crate) fn blob(&self) -> Option<&str> {
        match self {
            Self::Blob(id) => Some(id),
            Self::Empty | Self::Pieces(_) => None,
        }
    }

    /// The blobs that it is made of, in order.
    ///
    /// # Errors
    /// Where the catalog cannot be read, or has no such list.
    pub(crate) fn pieces(&self, records: &Records, bytes: u64) -> Result<Vec<Piece>, Failure> {
        match self {
            Self::Empty => Ok(Vec::new()),
            Self::Blob(id) => Ok(vec![Piece { blob: id.clone(), bytes }]),
            Self::Pieces(list) => {
                let key = pieces_key(list);
                records.get(&key)?.ok_or_else(|| Failure::damaged(key.bytes(), &"the list is not there"))
            }
        }
    }
}

impl Condition {
    /// Whether it holds of what is there.
    pub(crate) fn holds(&self, there: Option<&ObjectRecord>) -> bool {
        let has = |etags: &Vec<String>| {
            there.is_some_and(|object| etags.iter().any(|etag| etag == "*" || *etag == object.etag))
        };
        self.is.as_ref().is_none_or(has) && !self.is_not.as_ref().is_some_and(has)
    }
}

pub(super) fn object_key(bucket: &str, key: &str) -> Key {
    Key::of(&["object", bucket, key])
}

fn pieces_key(list: &str) -> Key {
    Key::of(&["object-pieces", list])
}

/// The object of this key.
///
/// # Errors
/// [`BucketRefusal::NoBucket`] and [`BucketRefusal::NoKey`].
pub(crate) fn get(records: &Records, bucket: &str, key: &str) -> Result<ObjectRecord, BucketRefusal> {
    match records.get(&object_key(bucket, key))? {
        Some(object) => Ok(object),
        None => find(records, bucket).and(Err(BucketRefusal::NoKey)),
    }
}

/// Puts an object whose content is on disk in place of what is there; on disk when this returns. Unless the store fails, a refused
/// object's blob is removed.
///
/// # Errors
/// [`BucketRefusal::NoBucket`]; [`BucketRefusal::Precondition`] where `condition` does not hold.
pub(crate) fn put_object(
    buckets: &Buckets,
    records: &Records,
    bucket: &str,
    object: &ObjectRecord,
    condition: &Condition,
) -> Result<(), BucketRefusal> {
    let _turn = buckets.turn(bucket, &object.key);
    let result = put_in_turn(buckets, records, bucket, object, condition, Write::new());
    if matches!(result, Err(BucketRefusal::NoBucket | BucketRefusal::Precondition)) {
        buckets.blobs.remove(object.content.blob().map(str::to_owned));
    }
    result
}

/// The same with more in the same step, by whoever has the turn.
pub(super) fn put_in_turn(
    buckets: &Buckets,
    records: &Records,
    bucket: &str,
    object: &ObjectRecord,
    condition: &Condition,
    mut change: Write,
) -> Result<(), BucketRefusal> {
    find(records, bucket)?;
    let key = object_key(bucket, &object.key);
    let there: Option<ObjectRecord> = records.get(&key)?;
    if !condition.holds(there.as_ref()) {
        return Err(BucketRefusal::Precondition);
    }
    let replaced = forget_content(records, there.as_ref(), &mut change)?;
    put(&mut change, &key, object);
    // After a commit that failed, a restart may find either: neither content goes.
    records.commit(change)?;
    buckets.blobs.remove(replaced);
    Ok(())
}

/// Changes what is said of an object.
///
/// # Errors
/// [`BucketRefusal::NoBucket`] and [`BucketRefusal::NoKey`].
pub(crate) fn describe(
    buckets: &Buckets,
    records: &Records,
    bucket: &str,
    key: &str,
    alter: impl FnOnce(&mut ObjectRecord),
) -> Result<(), BucketRefusal> {
    let _turn = buckets.turn(bucket, key);
    let mut object = get(records, bucket, key)?;
    alter(&mut object);
    let mut change = Write::new();
    put(&mut change, &object_key(bucket, key), &object);
    Ok(records.commit(change)?)
}

/// Removes objects in one step; those that are not there are fine. With a condition, there is one key, and it must hold.
///
/// # Errors
/// [`BucketRefusal::NoBucket`]; [`BucketRefusal::Precondition`].
pub(crate) fn remove(
    buckets: &Buckets,
    records: &Records,
    bucket: &str,
    keys: &[String],
    condition: &Condition,
) -> Result<(), BucketRefusal> {
    let _alone;
    let _turn;
    match keys {
        [key] => _turn = buckets.turn(bucket, key),
        _ => _alone = buckets.alone(),
    }
    find(records, bucket)?;
    let mut change = Write::new();
    let mut blobs = Vec::new();
    for key in keys {
        let key = object_key(bucket, key);
        let there: Option<ObjectRecord> = records.get(&key)?;
        if there.is_some() && !condition.holds(there.as_ref()) {
            return Err(BucketRefusal::Precondition);
        }
        if there.is_some() {
            blobs.extend(forget_content(records, there.as_ref(), &mut change)?);
            delete(&mut change, &key);
        }
    }
    if !change.is_empty() {
        records.commit(change)?;
        buckets.blobs.remove(blobs);
    }
    Ok(())
}

/// Adds to `change` that a content is not wanted any more; its blobs are to be removed after that.
fn forget_content(
    records: &Records,
    object: Option<&ObjectRecord>,
    change: &mut Write,
) -> Result<Vec<String>, Failure> {
    let Some(object) = object else { return Ok(Vec::new()) };
    if let Content::Pieces(list) = &object.content {
        delete(change, &pieces_key(list));
    }
    match object.content.pieces(records, object.bytes) {
        Ok(pieces) => Ok(pieces.into_iter().map(|piece| piece.blob).collect()),
        // An object whose list is gone can still be replaced and removed.
        Err(failure) if failure.kind() == Kind::Broken => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

/// Adds a list of blobs to `change`; what stands for them in a record.
pub(crate) fn put_pieces(pieces: &[Piece], change: &mut Write) -> Content {
    match pieces {
        [] => Content::Empty,
        [one] => Content::Blob(one.blob.clone()),
        many => {
            let list = uuid::Uuid::new_v4().simple().to_string();
            put(change, &pieces_key(&list), &many);
            Content::Pieces(list)
        }
    }
}
