/*!
What waits for each delivery stream: on disk before anybody is answered, and an account of it in memory.

Records that came together are a parcel: an entry that says how much it is, and one that holds them. The first are read at the start,
the second when they leave. Whoever adds commits; what is not committed is not in the account either.
*/

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nightbell_core::time::Timestamp;
use nightbell_store::{Space, Write};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalog::{Failure, Key, Records, delete, put};

/// Bytes that may wait for one stream; past it records are refused until some have left.
pub(crate) const STREAM_BYTES_WAITING_MAX: u64 = 1 << 30;
/// Parcels that may wait for one stream.
pub(crate) const STREAM_PARCELS_WAITING_MAX: usize = 200_000;

/// Region and name of a stream.
pub(crate) type StreamId = (String, String);

/// Records that came together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parcel {
    /// Names it among those of its stream, in the order of arrival.
    pub(crate) id: String,
    /// Bytes of its records.
    pub(crate) bytes: u64,
    /// How many they are.
    pub(crate) records: usize,
    /// When they came.
    pub(crate) arrived: Timestamp,
}

/// A parcel that is written but not yet committed.
#[must_use]
pub(crate) struct Added(StreamId, Parcel);

impl Added {
    /// Its bytes, where it is for `stream`.
    pub(crate) fn bytes_of(&self, stream: &StreamId) -> u64 {
        if self.0 == *stream { self.1.bytes } else { 0 }
    }
}

/// What waits for one stream.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// In the order of arrival.
    pub(crate) parcels: VecDeque<Parcel>,
    /// Bytes of all of them.
    pub(crate) bytes: u64,
    /// Whether some of them are on their way.
    pub(crate) is_sending: bool,
    /// Not to be tried before.
    pub(crate) not_before: Timestamp,
    /// What of it could not be delivered.
    pub(crate) failing: Option<Failing>,
}

/// A shipment that could not be delivered; kept with what waits, so that its time goes on over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failing {
    /// Since when.
    pub(crate) since: Timestamp,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// How many parcels it is, from the front: the same are tried again, under the same id.
    pub(crate) parcels: usize,
}

/// What waits for all streams.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<BTreeMap<StreamId, Queue>>);

fn key(stream: &StreamId, id: &str) -> Key {
    Key::of(&["parcel", &stream.0, &stream.1, id])
}

fn failing_key(stream: &StreamId) -> Key {
    Key::of(&["parcel-failing", &stream.0, &stream.1])
}

fn content_key(stream: &StreamId, id: &str) -> Key {
    Key::of(&["parcel-content", &stream.0, &stream.1, id])
}

impl Buffers {
    /// The account of what is on disk.
    pub(crate) fn load(&self, records: &Records) -> Result<(), Failure> {
        let mut queues = self.queues();
        queues.clear();
        let found = records.list_with_keys::<Parcel>(&Key::prefix(&["parcel"], ""))?;
        for (key, parcel) in found {
            let mut parts =
                key.split(|byte| *byte == 0).skip(1).map(|part| String::from_utf8_lossy(part).into_owned());
            let (Some(region), Some(name)) = (parts.next(), parts.next()) else { continue };
            let queue = queues.entry((region, name)).or_default();
            queue.bytes += parcel.bytes;
            queue.parcels.push_back(parcel);
        }
        for (stream, queue) in queues.iter_mut() {
            queue.failing = records.get(&failing_key(stream))?;
        }
        Ok(())
    }

    /// Whether `bytes` more may wait for `stream`.
    pub(crate) fn has_room(&self, stream: &StreamId, bytes: u64) -> bool {
        self.queues().get(stream).is_none_or(|queue| {
            queue.bytes + bytes <= STREAM_BYTES_WAITING_MAX
                && queue.parcels.len() < STREAM_PARCELS_WAITING_MAX
        })
    }

    /// Adds `records` to `change`; after the commit the caller hands what it gets to [`Buffers::count`].
    pub(crate) fn add(
        &self,
        stream: &StreamId,
        records: &[Vec<u8>],
        now: Timestamp,
        change: &mut Write,
    ) -> Added {
        let id = format!("{:015}-{}", now.as_millis().max(0), Uuid::new_v4().simple());
        let bytes = records.iter().map(|record| record.len() as u64).sum();
        let parcel = Parcel { id, bytes, records: records.len(), arrived: now };
        put(change, &key(stream, &parcel.id), &parcel);
        change.put(Space::Catalog, content_key(stream, &parcel.id).bytes(), packed(records));
        Added(stream.clone(), parcel)
    }

    /// Counts a parcel that is committed.
    pub(crate) fn count(&self, added: Added) {
        let Added(stream, parcel) = added;
        let mut queues = self.queues();
        let queue = queues.entry(stream).or_default();
        queue.bytes += parcel.bytes;
        // Those that were committed at one time may be counted in another order.
        let place = queue.parcels.iter().rposition(|other| other.id <= parcel.id).map_or(0, |at| at + 1);
        queue.parcels.insert(place, parcel);
    }

    /// Looks at every queue that is not empty.
    pub(crate) fn each(&self, mut look: impl FnMut(&StreamId, &mut Queue)) {
        for (stream, queue) in self.queues().iter_mut().filter(|(_, queue)| !queue.parcels.is_empty()) {
            look(stream, queue);
        }
    }

    /// Changes one queue.
    pub(crate) fn with<T>(&self, stream: &StreamId, edit: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        self.queues().get_mut(stream).map(edit)
    }

    /// The records of a parcel.
    pub(crate) fn content(
        &self,
        records: &Records,
        stream: &StreamId,
        id: &str,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let key = content_key(stream, id);
        let Some(bytes) = records.store().get(Space::Catalog, key.bytes())? else { return Ok(Vec::new()) };
        unpacked(&bytes).ok_or_else(|| Failure::damaged(key.bytes(), &"its records are not what was written"))
    }

    /// Adds to `change` that a shipment could not be delivered.
    pub(crate) fn note_failing(stream: &StreamId, failing: &Failing, change: &mut Write) {
        put(change, &failing_key(stream), failing);
    }

    /// Adds to `change` that parcels have left.
    pub(crate) fn remove(stream: &StreamId, ids: &[String], change: &mut Write) {
        delete(change, &failing_key(stream));
        for id in ids {
            delete(change, &key(stream, id));
            delete(change, &content_key(stream, id));
        }
    }

    /// Takes parcels that have left out of the account.
    pub(crate) fn uncount(&self, stream: &StreamId, ids: &[String]) {
        let mut queues = self.queues();
        let Some(queue) = queues.get_mut(stream) else { return };
        let gone: std::collections::HashSet<&String> = ids.iter().collect();
        queue.parcels.retain(|parcel| !gone.contains(&parcel.id));
        queue.bytes = queue.parcels.iter().map(|parcel| parcel.bytes).sum();
        if queue.parcels.is_empty() {
            queues.remove(stream);
        }
    }

    /// Adds to `change` that nothing waits for a stream any more, and forgets its account.
    pub(crate) fn drop_stream(
        &self,
        records: &Records,
        stream: &StreamId,
        change: &mut Write,
    ) -> Result<(), Failure> {
        for kind in ["parcel", "parcel-content"] {
            for key in records.keys(&Key::prefix(&[kind, &stream.0, &stream.1], ""))? {
                delete(change, &key);
            }
        }
        delete(change, &failing_key(stream));
        self.queues().remove(stream);
        Ok(())
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.queues().clear();
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<StreamId, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records one behind the other, each behind its length.
fn packed(records: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(records.iter().map(|record| record.len() + 4).sum());
    for record in records {
        out.extend_from_slice(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(record);
    }
    out
}

fn unpacked(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (record, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        records.push(record.to_vec());
        bytes = rest;
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nightbell_store::{Catalog, Durability, MemoryStore};

    use super::*;

    #[test]
    fn what_is_committed_waits_and_outlives_the_account() {
        let store = Arc::new(MemoryStore::default()) as Arc<dyn Catalog>;
        let records = Records::new(Arc::clone(&store));
        let buffers = Buffers::default();
        let stream = ("r".to_owned(), "s".to_owned());
        let at = Timestamp::from_seconds;
        for (second, text) in [(2, "two"), (1, "one")] {
            let mut change = Write::new();
            let added = buffers.add(&stream, &[text.into(), Vec::new()], at(second), &mut change);
            store.commit(change, Durability::Disk).unwrap();
            buffers.count(added);
        }
        let shown = |buffers: &Buffers| {
            let ids: Vec<String> = buffers
                .with(&stream, |queue| queue.parcels.iter().map(|parcel| parcel.id.clone()).collect())
                .unwrap();
            ids.iter().map(|id| buffers.content(&records, &stream, id).unwrap()).collect::<Vec<_>>()
        };
        let expected = [[b"one".to_vec(), Vec::new()], [b"two".to_vec(), Vec::new()]];
        assert_eq!(shown(&buffers), expected);
        let again = Buffers::default();
        again.load(&records).unwrap();
        assert_eq!(shown(&again), expected);
        assert_eq!(again.with(&stream, |queue| queue.bytes), Some(6));
        let failing = Failing { since: at(3), tries: 2, parcels: 1 };
        let mut change = Write::new();
        Buffers::note_failing(&stream, &failing, &mut change);
        store.commit(change, Durability::Disk).unwrap();
        again.load(&records).unwrap();
        assert_eq!(again.with(&stream, |queue| queue.failing), Some(Some(failing)));
        let mut change = Write::new();
        again.drop_stream(&records, &stream, &mut change).unwrap();
        store.commit(change, Durability::Disk).unwrap();
        assert!(store.scan(Space::Catalog, &nightbell_store::Scan::all()).unwrap().is_empty());
        assert!(again.with(&stream, |_| ()).is_none());
    }

    #[test]
    fn damage_is_seen() {
        assert_eq!(unpacked(&packed(&[vec![1, 2], vec![]])), Some(vec![vec![1, 2], vec![]]));
        assert_eq!(unpacked(&[0, 0, 0, 9, 1]), None);
        assert_eq!(unpacked(&[0, 0]), None);
    }
}
