/*!
Buckets: what is set for each, and the objects in them.

An object is a record in the catalog that names blobs (`nightbell_store::blobs`): a key never touches the file system, and an object is
there, whole, once its record is committed. What a record names no more is removed after the commit; what a crash leaves between the two
is found by [`Buckets::sweep`]. Rules: "Amazon S3 API Reference" and "General purpose bucket naming rules" (Amazon S3 User Guide).
*/

use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use nightbell_core::time::Timestamp;
use nightbell_store::{Blobs, Entry, Scan, Space, StoreError, Write};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::tags::Tags;
use crate::catalog::{Failure, Key, Records, delete, put};
pub(crate) use listing::{Listed, Listing, list};
pub(crate) use names::{KEY_BYTES_MAX, check_key, check_name};
pub(crate) use objects::{Condition, Content, ObjectRecord, Piece};

mod listing;
mod names;
pub(crate) mod objects;
pub(crate) mod uploads;

/// Buckets of an installation ("Amazon S3 endpoints and quotas", the default of an account).
pub(crate) const BUCKETS_MAX: usize = 10_000;
/// Bytes of a bucket's policy.
pub(crate) const BUCKET_POLICY_BYTES_MAX: usize = 20 * 1_024;
/// Locks by which changes of one object wait for each other.
const TURNS: usize = 64;
/// Records that are read at once.
const STEP: usize = 1_000;

/// A bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BucketRecord {
    /// Its name, one for all regions.
    pub(crate) name: String,
    /// Where it was made.
    pub(crate) region: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its tags.
    #[serde(default)]
    pub(crate) tags: Tags,
    /// Its policy, as it was written.
    #[serde(default)]
    pub(crate) policy: Option<String>,
    /// Who may not be let in by policies; kept and shown, since nobody is let in without a signature.
    #[serde(default)]
    pub(crate) public_access: Option<PublicAccess>,
}

/// The four switches against public access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "they are four switches")]
pub(crate) struct PublicAccess {
    /// Refuse lists that let everybody in.
    pub(crate) block_public_acls: bool,
    /// Read over such lists.
    pub(crate) ignore_public_acls: bool,
    /// Refuse policies that let everybody in.
    pub(crate) block_public_policy: bool,
    /// Let only the account in where a policy lets everybody in.
    pub(crate) restrict_public_buckets: bool,
}

impl PublicAccess {
    /// As new buckets have it.
    pub(crate) const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
}

/// Why something about buckets was not done.
#[derive(Debug)]
pub(crate) enum BucketRefusal {
    /// There is no such bucket.
    NoBucket,
    /// There is no such object.
    NoKey,
    /// There is no such upload in parts, or it is over.
    NoUpload,
    /// The bucket is there already.
    Exists,
    /// The bucket holds objects.
    NotEmpty,
    /// What the object must be, or must not be, does not hold.
    Precondition,
    /// A part is not there, or is another one.
    InvalidPart,
    /// The parts are not in the order of their numbers.
    PartOrder,
    /// A part other than the last one is too small.
    SmallPart,
    /// The parts together are too large.
    Large,
    /// The checksum of the whole is another one.
    Checksum,
    /// A quota is used up; the text names it.
    Limit(String),
    /// The store could not.
    Store(Failure),
}

impl From<Failure> for BucketRefusal {
    fn from(failure: Failure) -> Self {
        Self::Store(failure)
    }
}

impl From<StoreError> for BucketRefusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

/// What holds the contents of objects, and the turns to change them.
pub(crate) struct Buckets {
    /// The contents.
    pub(crate) blobs: Arc<Blobs>,
    /// Held for writing by whoever makes or removes a bucket or changes many objects at once.
    all: RwLock<()>,
    turns: [Mutex<()>; TURNS],
    hasher: foldhash::fast::FixedState,
}

/// The turn to change one object.
pub(crate) struct Turn<'a> {
    _all: RwLockReadGuard<'a, ()>,
    _one: MutexGuard<'a, ()>,
}

impl Buckets {
    /// The buckets whose contents lie in `folder`.
    ///
    /// # Errors
    /// Where the folder cannot be read or written.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            blobs: Arc::new(Blobs::open(folder)?),
            all: RwLock::default(),
            turns: std::array::from_fn(|_| Mutex::default()),
            hasher: foldhash::fast::FixedState::default(),
        })
    }

    /// The turn to change an object; others of other objects go on.
    fn turn(&self, bucket: &str, key: &str) -> Turn<'_> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let at = self.hasher.hash_one((bucket, key)) as usize % TURNS;
        let one = self.turns[at].lock().unwrap_or_else(PoisonError::into_inner);
        Turn { _all: all, _one: one }
    }

    /// The turn to change anything.
    fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes contents that no record names: what earlier processes left when they were killed.
    ///
    /// # Errors
    /// Where records or the folder cannot be read.
    pub(crate) fn sweep(&self, records: &Records) -> Result<u64, Failure> {
        if self.blobs.ids()?.is_empty() {
            return Ok(0);
        }
        let mut named = HashSet::new();
        // In the order in which a content goes from one to the other, so that none is missed on its way.
        each(records, &Key::prefix(&["bucket-part"], ""), &mut |part: uploads::PartRecord| {
            named.extend(part.content.blob().map(str::to_owned));
        })?;
        each(records, &Key::prefix(&["object-pieces"], ""), &mut |pieces: Vec<Piece>| {
            named.extend(pieces.into_iter().map(|piece| piece.blob));
        })?;
        each(records, &Key::prefix(&["object"], ""), &mut |object: ObjectRecord| {
            named.extend(object.content.blob().map(str::to_owned));
        })?;
        Ok(self.blobs.sweep(&named)?)
    }
}

/// Hands over all records under a prefix, some at a time.
fn each<T: DeserializeOwned>(
    records: &Records,
    prefix: &Key,
    take: &mut dyn FnMut(T),
) -> Result<(), Failure> {
    let mut scan = Scan::prefix(prefix.bytes()).limit(STEP);
    loop {
        let found = records.store().scan(Space::Catalog, &scan)?;
        let Some((last, _)) = found.last() else { return Ok(()) };
        scan = Scan::prefix(prefix.bytes()).limit(STEP).after(last.clone());
        for entry in &found {
            take(decode(entry)?);
        }
    }
}

fn decode<T: DeserializeOwned>((key, bytes): &Entry) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| Failure::damaged(key, &error))
}

fn bucket_key(name: &str) -> Key {
    Key::of(&["bucket", name])
}

/// The bucket of this name.
///
/// # Errors
/// [`BucketRefusal::NoBucket`] where there is none.
pub(crate) fn find(records: &Records, name: &str) -> Result<BucketRecord, BucketRefusal> {
    records.get(&bucket_key(name))?.ok_or(BucketRefusal::NoBucket)
}

/// All buckets, by name.
///
/// # Errors
/// Where the catalog cannot be read.
pub(crate) fn all(records: &Records) -> Result<Vec<BucketRecord>, Failure> {
    records.list(&Key::prefix(&["bucket"], ""))
}

/// Makes a bucket.
///
/// # Errors
/// [`BucketRefusal::Exists`] where it is there, [`BucketRefusal::Limit`] where there are too many.
pub(crate) fn create(
    buckets: &Buckets,
    records: &Records,
    bucket: &BucketRecord,
) -> Result<(), BucketRefusal> {
    let _alone = buckets.alone();
    let key = bucket_key(&bucket.name);
    if records.get::<BucketRecord>(&key)?.is_some() {
        return Err(BucketRefusal::Exists);
    }
    if records.keys(&Key::prefix(&["bucket"], ""))?.len() >= BUCKETS_MAX {
        return Err(BucketRefusal::Limit(format!(
            "You have attempted to create more buckets than the limit of {BUCKETS_MAX}"
        )));
    }
    let mut change = Write::new();
    put(&mut change, &key, bucket);
    Ok(records.commit(change)?)
}

/// Removes a bucket that holds no object, with the uploads in it that are not complete.
///
/// # Errors
/// [`BucketRefusal::NotEmpty`] where it holds one.
pub(crate) fn remove(buckets: &Buckets, records: &Records, name: &str) -> Result<(), BucketRefusal> {
    let _alone = buckets.alone();
    find(records, name)?;
    let objects = Key::prefix(&["object", name], "");
    if !records.store().scan(Space::Catalog, &Scan::prefix(objects.bytes()).limit(1))?.is_empty() {
        return Err(BucketRefusal::NotEmpty);
    }
    let mut change = Write::new();
    let blobs = uploads::forget_all(records, name, &mut change)?;
    delete(&mut change, &bucket_key(name));
    records.commit(change)?;
    buckets.blobs.remove(blobs);
    Ok(())
}

/// Changes what is set for a bucket.
///
/// # Errors
/// [`BucketRefusal::NoBucket`] where there is none.
pub(crate) fn set(
    buckets: &Buckets,
    records: &Records,
    name: &str,
    alter: impl FnOnce(&mut BucketRecord),
) -> Result<(), BucketRefusal> {
    let _alone = buckets.alone();
    let mut bucket = find(records, name)?;
    alter(&mut bucket);
    let mut change = Write::new();
    put(&mut change, &bucket_key(name), &bucket);
    Ok(records.commit(change)?)
}

/// `arn:aws:s3:::<name>`.
pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}
