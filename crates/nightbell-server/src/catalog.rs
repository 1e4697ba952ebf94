/*!
Typed records in the store's catalog, and the keys they are kept under.

A key is its parts joined by NUL, so that a prefix of parts is a prefix of bytes.
Records are JSON: they outlive versions of this program, and an unknown field of a newer one is skipped.
*/

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use nightbell_core::event::Group;
use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_store::catalog::KEY_BYTES_MAX;
use nightbell_store::{Catalog, Durability, Kind, Position, Scan, Space, StoreError, Write};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A log group as it was configured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    /// Region and name.
    pub(crate) group: Group,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Events before this position belong to an earlier group of the same name.
    pub(crate) since: Position,
    /// Days that events are kept; `None` is for ever.
    pub(crate) retention_days: Option<i64>,
    /// STANDARD, INFREQUENT_ACCESS or DELIVERY.
    pub(crate) class: String,
    /// Tags as they were set.
    pub(crate) tags: BTreeMap<String, String>,
    /// Whether DeleteLogGroup is refused.
    #[serde(default)]
    pub(crate) deletion_protected: bool,
}

impl GroupRecord {
    /// The event time before which events are expired at `now`: they are not shown, whether they are stored or not.
    pub(crate) fn kept_from(&self, now: Timestamp) -> Option<Timestamp> {
        self.retention_days.map(|days| now.plus_millis(-days * DAY_MS))
    }
}

/// A log stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StreamRecord {
    /// Its name.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Events before this position belong to an earlier stream of the same name.
    pub(crate) since: Position,
}

/// What has come in by a stream so far; written by the matcher, so it may lag behind by moments.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Activity {
    /// Earliest event time.
    pub(crate) first_event: Option<Timestamp>,
    /// Latest event time.
    pub(crate) last_event: Option<Timestamp>,
    /// Latest arrival.
    pub(crate) last_arrival: Option<Timestamp>,
    /// Bytes of message text.
    pub(crate) bytes: u64,
}

/// A key of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// The key made of `parts`.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut bytes = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                bytes.push(0);
            }
            append(&mut bytes, part);
        }
        Self(bytes)
    }

    /// The prefix of every key whose first parts are `parts` and whose next part starts with `start`.
    pub(crate) fn prefix(parts: &[&str], start: &str) -> Self {
        let mut bytes = Self::of(parts).0;
        bytes.push(0);
        append(&mut bytes, start);
        Self(bytes)
    }

    /// The key of a log group.
    pub(crate) fn group(group: &Group) -> Self {
        Self::of(&["group", &group.region, &group.name])
    }

    /// The key of a log stream.
    pub(crate) fn stream(group: &Group, stream: &str) -> Self {
        Self::of(&["stream", &group.region, &group.name, stream])
    }

    /// The key of a stream's activity.
    pub(crate) fn activity(group: &Group, stream: &str) -> Self {
        Self::of(&["activity", &group.region, &group.name, stream])
    }

    /// The key of a metric filter.
    pub(crate) fn filter(group: &Group, filter: &str) -> Self {
        Self::of(&["filter", &group.region, &group.name, filter])
    }

    /// The key of an alarm.
    pub(crate) fn alarm(region: &str, name: &str) -> Self {
        Self::of(&["alarm", region, name])
    }

    /// The key of a topic or a subscription, which carry their region in their ARN.
    pub(crate) fn arn(kind: &str, arn: &str) -> Self {
        Self::of(&[kind, arn])
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why something kept could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The store's own word.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server stops before the work is done.
    #[error("the server is stopping")]
    Stopping,
    /// A record is not what was written.
    #[error("a stored record is damaged. key={key}, error={error}")]
    Damaged {
        /// Where it stands.
        key: String,
        /// What the decoder said.
        error: String,
    },
}

impl Failure {
    /// What the caller can do.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Stopping => Kind::Unavailable,
            Self::Damaged { .. } => Kind::Broken,
        }
    }

    /// Bytes used and bytes allowed, when the limit of the disk is the trouble.
    pub(crate) fn disk_limit(&self) -> Option<(u64, u64)> {
        match self {
            Self::Store(error) => error.disk_limit(),
            Self::Stopping | Self::Damaged { .. } => None,
        }
    }

    /// A record under `key` that `error` tells is damaged.
    pub(crate) fn damaged(key: &[u8], error: &dyn std::fmt::Display) -> Self {
        Self::Damaged { key: String::from_utf8_lossy(key).into_owned(), error: error.to_string() }
    }
}

/// Appends a part of a key. NUL ends a part, so one inside is written otherwise; and so is what it is written with.
fn append(bytes: &mut Vec<u8>, part: &str) {
    for byte in part.bytes() {
        match byte {
            0 => bytes.extend_from_slice(&[1, 1]),
            1 => bytes.extend_from_slice(&[1, 2]),
            other => bytes.push(other),
        }
    }
}

/// The catalog with types.
#[derive(Clone)]
pub(crate) struct Records {
    store: Arc<dyn Catalog>,
    turn: Arc<Mutex<()>>,
    points: Arc<RwLock<()>>,
}

/// Most records one listing reads; past it the listing is cut and the caller pages by name.
pub(crate) const LIST_MAX: usize = 100_000;

impl Records {
    /// Records kept in `store`.
    pub(crate) fn new(store: Arc<dyn Catalog>) -> Self {
        Self { store, turn: Arc::default(), points: Arc::default() }
    }

    /// The turn to change what is configured: whoever reads a record in order to write it holds this meanwhile, so that
    /// two requests at once are as one after the other.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While this is held, no stored data point is folded into another: who reads in pages meets each sample once.
    pub(crate) fn points_stay(&self) -> RwLockReadGuard<'_, ()> {
        self.points.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever folds stored data points holds this for the commit.
    pub(crate) fn points_move(&self) -> RwLockWriteGuard<'_, ()> {
        self.points.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store below.
    pub(crate) fn store(&self) -> &Arc<dyn Catalog> {
        &self.store
    }

    /// The record under `key`.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, Failure> {
        if key.bytes().len() > KEY_BYTES_MAX {
            // Nothing was ever written under a key that cannot be.
            return Ok(None);
        }
        self.store.get(Space::Catalog, key.bytes())?.map(|bytes| decode(key.bytes(), &bytes)).transpose()
    }

    /// The records whose key starts with `prefix`, in key order.
    pub(crate) fn list<T: DeserializeOwned>(&self, prefix: &Key) -> Result<Vec<T>, Failure> {
        Ok(self.list_with_keys(prefix)?.into_iter().map(|(_, record)| record).collect())
    }

    /// The records whose key starts with `prefix`, each with its key, in key order.
    pub(crate) fn list_with_keys<T: DeserializeOwned>(
        &self,
        prefix: &Key,
    ) -> Result<Vec<(Vec<u8>, T)>, Failure> {
        if prefix.bytes().len() > KEY_BYTES_MAX {
            return Ok(Vec::new());
        }
        let found = self.store.scan(Space::Catalog, &Scan::prefix(prefix.bytes()).limit(LIST_MAX))?;
        found
            .into_iter()
            .map(|(key, bytes)| decode(&key, &bytes).map(|record| (key.clone(), record)))
            .collect()
    }

    /// The keys that start with `prefix`.
    pub(crate) fn keys(&self, prefix: &Key) -> Result<Vec<Key>, Failure> {
        if prefix.bytes().len() > KEY_BYTES_MAX {
            return Ok(Vec::new());
        }
        let found = self.store.scan(Space::Catalog, &Scan::prefix(prefix.bytes()).limit(LIST_MAX))?;
        Ok(found.into_iter().map(|(key, _)| Key(key)).collect())
    }

    /// Carries out `change`, on disk when this returns.
    pub(crate) fn commit(&self, change: Write) -> Result<(), Failure> {
        // Waits for the disk: the worker's other tasks go elsewhere meanwhile.
        tokio::task::block_in_place(|| self.store.commit(change, Durability::Disk))?;
        Ok(())
    }
}

/// Adds the record under `key` to `change`.
pub(crate) fn put<T: Serialize>(change: &mut Write, key: &Key, record: &T) {
    let bytes = serde_json::to_vec(record).expect("records are plain structs with string keys");
    change.put(Space::Catalog, key.bytes(), bytes);
}

/// Adds the removal of `key` to `change`.
pub(crate) fn delete(change: &mut Write, key: &Key) {
    change.delete(Space::Catalog, key.bytes());
}

fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| Failure::damaged(key, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_whatever_they_hold() {
        let keys = [
            Key::of(&["a", "b"]),
            Key::of(&["a\0b"]),
            Key::of(&["a\u{1}b"]),
            Key::of(&["a\u{1}\u{1}b"]),
            Key::of(&["a", "", "b"]),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{key:?}");
        }
        assert!(Key::of(&["a", "bc"]).bytes().starts_with(Key::prefix(&["a"], "b").bytes()));
    }
}
