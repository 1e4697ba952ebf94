/*!
Uploads in parts: what has come so far of an object, and the step by which its parts become one ("Uploading and copying objects using
multipart upload", Amazon S3 User Guide). Parts are not copied: the object is the list of their blobs.
*/

use std::collections::HashSet;

use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::objects::{Checksum, Condition, Content, Described, ObjectRecord, Piece, put_in_turn, put_pieces};
use super::{BucketRefusal, Buckets, find};
use crate::catalog::{Failure, Key, Records, delete, put};

/// Uploads of one bucket that are not complete.
pub(crate) const UPLOADS_MAX: usize = 10_000;
/// Parts of an upload ("Amazon S3 multipart upload limits").
pub(crate) const PARTS_MAX: u32 = 10_000;
/// Bytes that a part has at least, unless it is the last one.
pub(crate) const PART_BYTES_MIN: u64 = 5 << 20;
/// Bytes of an object of several parts.
pub(crate) const PARTS_BYTES_MAX: u64 = 5 << 40;

/// An upload that is not complete.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    /// Names it.
    pub(crate) id: String,
    /// The key of the object to be.
    pub(crate) key: String,
    /// When it was begun.
    pub(crate) started: Timestamp,
    /// What is said of the object.
    pub(crate) described: Described,
    /// The checksum that was announced.
    pub(crate) algorithm: Option<String>,
    /// Whether the checksum is to be that of the whole content, rather than of those of the parts.
    #[serde(default)]
    pub(crate) is_full: bool,
}

/// A part that is on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    /// From 1.
    pub(crate) number: u32,
    /// How long it is.
    pub(crate) bytes: u64,
    /// MD5 in hexadecimal digits.
    pub(crate) etag: String,
    /// When it came.
    pub(crate) modified: Timestamp,
    /// Where its content is.
    pub(crate) content: Content,
    /// A checksum of it that was checked.
    pub(crate) checksum: Option<Checksum>,
}

/// A part as whoever completes an upload names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPart {
    /// From 1.
    pub(crate) number: u32,
    /// The ETag that was answered.
    pub(crate) etag: String,
    /// A checksum that it must have.
    pub(crate) checksum: Option<Checksum>,
}

/// Parts that make an object, as they were found.
pub(crate) struct Completing {
    /// The upload.
    pub(crate) upload: UploadRecord,
    /// The parts named, in order.
    pub(crate) parts: Vec<PartRecord>,
}

fn upload_key(bucket: &str, key: &str, id: &str) -> Key {
    Key::of(&["bucket-upload", bucket, key, id])
}

fn part_key(bucket: &str, upload: &str, number: u32) -> Key {
    Key::of(&["bucket-part", bucket, upload, &format!("{number:05}")])
}

/// Begins an upload.
///
/// # Errors
/// [`BucketRefusal::NoBucket`]; [`BucketRefusal::Limit`] where too many are begun.
pub(crate) fn begin(
    buckets: &Buckets,
    records: &Records,
    bucket: &str,
    upload: &UploadRecord,
) -> Result<(), BucketRefusal> {
    let _turn = buckets.turn(bucket, &upload.key);
    find(records, bucket)?;
    if records.keys(&Key::prefix(&["bucket-upload", bucket], ""))?.len() >= UPLOADS_MAX {
        return Err(BucketRefusal::Limit(format!(
            "The bucket has {UPLOADS_MAX} uploads that are not complete; complete or abort some"
        )));
    }
    let mut change = Write::new();
    put(&mut change, &upload_key(bucket, &upload.key, &upload.id), upload);
    Ok(records.commit(change)?)
}

/// An upload of this key.
///
/// # Errors
/// [`BucketRefusal::NoBucket`] and [`BucketRefusal::NoUpload`].
pub(crate) fn get(
    records: &Records,
    bucket: &str,
    key: &str,
    id: &str,
) -> Result<UploadRecord, BucketRefusal> {
    match records.get(&upload_key(bucket, key, id))? {
        Some(upload) => Ok(upload),
        None => find(records, bucket).and(Err(BucketRefusal::NoUpload)),
    }
}

/// The uploads of a bucket whose keys begin with `prefix`, by key.
///
/// # Errors
/// [`BucketRefusal::NoBucket`].
pub(crate) fn list(
    records: &Records,
    bucket: &str,
    prefix: &str,
) -> Result<Vec<UploadRecord>, BucketRefusal> {
    find(records, bucket)?;
    Ok(records.list(&Key::prefix(&["bucket-upload", bucket], prefix))?)
}

/// The parts of an upload that are on disk, by number.
///
/// # Errors
/// Where the catalog cannot be read.
pub(crate) fn parts(records: &Records, bucket: &str, id: &str) -> Result<Vec<PartRecord>, Failure> {
    records.list(&Key::prefix(&["bucket-part", bucket, id], ""))
}

/// Puts a part whose content is on disk in place of an earlier one of its number. Unless the store fails, a refused part's blob is
/// removed.
///
/// # Errors
/// [`BucketRefusal::NoUpload`] where it was completed or aborted meanwhile.
pub(crate) fn put_part(
    buckets: &Buckets,
    records: &Records,
    (bucket, key, id): (&str, &str, &str),
    part: &PartRecord,
) -> Result<(), BucketRefusal> {
    let _turn = buckets.turn(bucket, key);
    if let Err(refusal) = get(records, bucket, key, id) {
        if !matches!(refusal, BucketRefusal::Store(_)) {
            buckets.blobs.remove(part.content.blob().map(str::to_owned));
        }
        return Err(refusal);
    }
    let place = part_key(bucket, id, part.number);
    let replaced: Option<PartRecord> = records.get(&place)?;
    let mut change = Write::new();
    put(&mut change, &place, part);
    records.commit(change)?;
    buckets.blobs.remove(replaced.and_then(|part| part.content.blob().map(str::to_owned)));
    Ok(())
}

/// Forgets an upload and its parts.
///
/// # Errors
/// [`BucketRefusal::NoUpload`] where there is none.
pub(crate) fn abort(
    buckets: &Buckets,
    records: &Records,
    bucket: &str,
    key: &str,
    id: &str,
) -> Result<(), BucketRefusal> {
    let _turn = buckets.turn(bucket, key);
    get(records, bucket, key, id)?;
    let mut change = Write::new();
    let blobs = forget(records, bucket, (key, id), &HashSet::new(), &mut change)?;
    records.commit(change)?;
    buckets.blobs.remove(blobs);
    Ok(())
}

/// Makes an object of the parts named, in one step; parts that are not named go. `made` says what the object is.
///
/// # Errors
/// [`BucketRefusal::NoUpload`], [`BucketRefusal::InvalidPart`], [`BucketRefusal::PartOrder`], [`BucketRefusal::SmallPart`],
/// [`BucketRefusal::Large`], [`BucketRefusal::Precondition`], and those of `made`.
pub(crate) fn complete(
    buckets: &Buckets,
    records: &Records,
    (bucket, key, id): (&str, &str, &str),
    named: &[NamedPart],
    condition: &Condition,
    made: impl FnOnce(&Completing, Content) -> Result<ObjectRecord, BucketRefusal>,
) -> Result<ObjectRecord, BucketRefusal> {
    let _turn = buckets.turn(bucket, key);
    let upload = get(records, bucket, key, id)?;
    let parts = check_parts(parts(records, bucket, id)?, named)?;
    let pieces: Vec<Piece> = parts
        .iter()
        .filter_map(|part| Some(Piece { blob: part.content.blob()?.to_owned(), bytes: part.bytes }))
        .collect();
    let mut change = Write::new();
    let content = put_pieces(&pieces, &mut change);
    let object = made(&Completing { upload, parts }, content)?;
    let kept = pieces.into_iter().map(|piece| piece.blob).collect();
    let blobs = forget(records, bucket, (key, id), &kept, &mut change)?;
    put_in_turn(buckets, records, bucket, &object, condition, change)?;
    buckets.blobs.remove(blobs);
    Ok(object)
}

/// The parts that are named, where each is there as it is named.
fn check_parts(there: Vec<PartRecord>, named: &[NamedPart]) -> Result<Vec<PartRecord>, BucketRefusal> {
    if !named.is_sorted_by(|a, b| a.number < b.number) {
        return Err(BucketRefusal::PartOrder);
    }
    let mut there = there.into_iter().peekable();
    let mut found: Vec<PartRecord> = Vec::with_capacity(named.len());
    for one in named {
        while there.next_if(|part| part.number < one.number).is_some() {}
        let is_it = |part: &PartRecord| {
            let same = one.checksum.is_none() || part.checksum.is_none() || one.checksum == part.checksum;
            part.number == one.number && part.etag == one.etag && same
        };
        found.push(there.next_if(is_it).ok_or(BucketRefusal::InvalidPart)?);
    }
    let Some((_, all_but_last)) = found.split_last() else { return Err(BucketRefusal::InvalidPart) };
    if all_but_last.iter().any(|part| part.bytes < PART_BYTES_MIN) {
        return Err(BucketRefusal::SmallPart);
    }
    if found.iter().map(|part| part.bytes).sum::<u64>() > PARTS_BYTES_MAX {
        return Err(BucketRefusal::Large);
    }
    Ok(found)
}

/// Adds to `change` that an upload and its parts are forgotten; the blobs that are to be removed after that, all but those in `kept`.
fn forget(
    records: &Records,
    bucket: &str,
    (key, id): (&str, &str),
    kept: &HashSet<String>,
    change: &mut Write,
) -> Result<Vec<String>, Failure> {
    let mut blobs = Vec::new();
    for part in parts(records, bucket, id)? {
        delete(change, &part_key(bucket, id, part.number));
        blobs.extend(part.content.blob().filter(|blob| !kept.contains(*blob)).map(str::to_owned));
    }
    delete(change, &upload_key(bucket, key, id));
    Ok(blobs)
}

/// The same for all uploads of a bucket.
pub(super) fn forget_all(
    records: &Records,
    bucket: &str,
    change: &mut Write,
) -> Result<Vec<String>, BucketRefusal> {
    let mut blobs = Vec::new();
    for upload in list(records, bucket, "")? {
        blobs.extend(forget(records, bucket, (&upload.key, &upload.id), &HashSet::new(), change)?);
    }
    Ok(blobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u32, bytes: u64) -> PartRecord {
        PartRecord {
            number,
            bytes,
            etag: format!("etag{number}"),
            modified: Timestamp::default(),
            content: Content::Blob(format!("{number}")),
            checksum: Some(Checksum { algorithm: "CRC32".to_owned(), value: format!("sum{number}") }),
        }
    }

    fn named(numbers: &[u32]) -> Vec<NamedPart> {
        let one = |&number: &u32| NamedPart { number, etag: format!("etag{number}"), checksum: None };
        numbers.iter().map(one).collect()
    }

    #[test]
    fn parts_are_taken_as_they_are_named() {
        let there = || vec![part(1, PART_BYTES_MIN), part(2, 1), part(5, PART_BYTES_MIN), part(7, 3)];
        let found = check_parts(there(), &named(&[1, 5, 7])).unwrap();
        assert_eq!(found.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 5, 7]);
        assert!(matches!(check_parts(there(), &named(&[5, 1])), Err(BucketRefusal::PartOrder)));
        assert!(matches!(check_parts(there(), &named(&[1, 1])), Err(BucketRefusal::PartOrder)));
        assert!(matches!(check_parts(there(), &named(&[1, 3])), Err(BucketRefusal::InvalidPart)));
        assert!(matches!(check_parts(there(), &[]), Err(BucketRefusal::InvalidPart)));
        assert!(matches!(check_parts(there(), &named(&[1, 2, 7])), Err(BucketRefusal::SmallPart)));
        assert!(check_parts(there(), &named(&[1, 2])).is_ok());
        let mut other = named(&[2]);
        other[0].etag = "etag1".to_owned();
        assert!(matches!(check_parts(there(), &other), Err(BucketRefusal::InvalidPart)));
        let mut other = named(&[2]);
        other[0].checksum = Some(Checksum { algorithm: "CRC32".to_owned(), value: "sum1".to_owned() });
        assert!(matches!(check_parts(there(), &other), Err(BucketRefusal::InvalidPart)));
    }
}
