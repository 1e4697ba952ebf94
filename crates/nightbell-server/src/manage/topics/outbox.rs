/*!
The outbox: deliveries that wait, in lanes, so that a slow kind of endpoint holds up its own kind only.

A lane's deliveries stand in the order they are due. The lane's byte begins their keys; that of mail has none, because it was there
before there were lanes, and a due time begins with a zero. Whoever enqueues commits; `run::sender` takes out.
*/

use std::sync::atomic::{AtomicU64, Ordering};

use nightbell_core::delivery::Delivery;
use nightbell_core::time::Timestamp;
use nightbell_core::topic::Endpoint;
use nightbell_store::{Catalog, Scan, Space, Write};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalog::Failure;

/// Bytes of deliveries that may wait in a lane before Publish is refused as throttled. What alarms send is never refused.
pub(crate) const LANE_BYTES_MAX: u64 = 1 << 30;
/// Entries that are counted in one go at the start.
const COUNTED_AT_ONCE: usize = 64;
/// Bytes of a due time in a key.
const DUE_BYTES: usize = 8;
/// Bytes that stand for the endpoint in a key of the web lane.
const ENDPOINT_BYTES: usize = 8;

/// What in a key stands for an endpoint.
pub(crate) type EndpointMark = [u8; ENDPOINT_BYTES];

/// A delivery in the outbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// What is to be sent.
    pub(crate) delivery: Delivery,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// What the last try said.
    pub(crate) last_error: Option<String>,
    /// The subscription it is for: where that is gone, so is the delivery. `None` on what asks for confirmation.
    #[serde(default)]
    pub(crate) subscription: Option<String>,
    /// The message's id, a UUID: the same for all subscribers and tries. Empty on deliveries of earlier versions.
    #[serde(default)]
    pub(crate) message_id: String,
}

/// A queue of its own in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// To mailboxes.
    Mail,
    /// To web endpoints and functions.
    Web,
}

impl Lane {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Mail, Self::Web];

    /// The lane of deliveries to `endpoint`.
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Email(_) | Endpoint::EmailJson(_) => Self::Mail,
            Endpoint::Http(_) | Endpoint::Https(_) | Endpoint::Lambda(_) => Self::Web,
        }
    }

    /// The lane that a key stands in.
    pub(crate) fn of_key(key: &[u8]) -> Self {
        if key.first() == Some(&Self::WEB_BYTE) { Self::Web } else { Self::Mail }
    }

    /// Its name in messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Web => "web",
        }
    }

    const WEB_BYTE: u8 = 1;

    /// What its keys begin with, before the due time.
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Mail => &[],
            Self::Web => &[Self::WEB_BYTE],
        }
    }

    /// The scan of what is due before `end`, from the lane's beginning.
    pub(crate) fn due_before(self, end: Timestamp) -> Scan {
        let first: &[u8] = match self {
            Self::Mail => &[0],
            Self::Web => &[Self::WEB_BYTE],
        };
        Scan::range(first, self.at(end))
    }

    /// The scan of what is due at `start` or later.
    pub(crate) fn due_from(self, start: Timestamp) -> Scan {
        Scan::range(self.at(start), [self.prefix(), &[u8::MAX; DUE_BYTES]].concat())
    }

    /// The first key at a due time.
    fn at(self, due: Timestamp) -> Vec<u8> {
        [self.prefix(), &due.as_millis().max(0).to_be_bytes()].concat()
    }

    /// The due time in a key, in milliseconds, and the key of the same delivery at another time.
    pub(crate) fn moved(self, key: &[u8], to: impl FnOnce(i64) -> Timestamp) -> Option<Vec<u8>> {
        let (due, rest) = key.strip_prefix(self.prefix())?.split_first_chunk::<DUE_BYTES>()?;
        Some([&self.at(to(i64::from_be_bytes(*due))), rest].concat())
    }

    /// The endpoint of a delivery by its key; nothing for mail, whose keys do not tell.
    pub(crate) fn endpoint_mark(key: &[u8]) -> Option<EndpointMark> {
        let rest = key.strip_prefix(&[Self::WEB_BYTE])?.get(DUE_BYTES..)?;
        rest.first_chunk::<ENDPOINT_BYTES>().copied()
    }
}

/// The key of a delivery to `endpoint`.
pub(crate) fn outbox_key(endpoint: &Endpoint, due: Timestamp, id: &str) -> Vec<u8> {
    let lane = Lane::of(endpoint);
    let mut key = lane.at(due);
    if lane == Lane::Web {
        key.extend_from_slice(&Sha256::digest(endpoint.address())[..ENDPOINT_BYTES]);
    }
    key.extend_from_slice(id.as_bytes());
    key
}

/// A delivery's id: the same cause and endpoint give the same id, so a repeat is known as such.
pub(crate) fn delivery_id(cause: &[&str], endpoint: &str) -> String {
    let mut hash = Sha256::new();
    for part in cause.iter().chain([&endpoint]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// How much waits in each lane.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    bytes: [AtomicU64; Lane::ALL.len()],
}

impl Lanes {
    /// Adds `waiting` to the outbox, due at `due`. Gives its bytes.
    pub(crate) fn enqueue(&self, change: &mut Write, due: Timestamp, waiting: &Waiting) -> u64 {
        let delivery = &waiting.delivery;
        let value = serde_json::to_vec(waiting).expect("a delivery is plain structs with string keys");
        let bytes = value.len() as u64;
        self.bytes[Lane::of(&delivery.endpoint) as usize].fetch_add(bytes, Ordering::Relaxed);
        change.put(Space::Outbox, outbox_key(&delivery.endpoint, due, &delivery.id), value);
        bytes
    }

    /// Notes that `bytes` have left a lane.
    pub(crate) fn left(&self, lane: Lane, bytes: u64) {
        let less = |waiting: u64| Some(waiting.saturating_sub(bytes));
        // It always gives a value, so it is always taken.
        let _ = self.bytes[lane as usize].fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Notes that nothing waits in a lane.
    pub(crate) fn is_empty(&self, lane: Lane) {
        self.bytes[lane as usize].store(0, Ordering::Relaxed);
    }

    /// Bytes that wait in a lane; what is not committed yet counts.
    pub(crate) fn waiting(&self, lane: Lane) -> u64 {
        self.bytes[lane as usize].load(Ordering::Relaxed)
    }

    /// Counts what waits since before the start.
    pub(crate) fn count(&self, store: &dyn Catalog) -> Result<(), Failure> {
        for lane in Lane::ALL {
            let scan = lane.due_from(Timestamp::from_millis(0)).limit(COUNTED_AT_ONCE);
            let (mut next, mut bytes) = (scan.clone(), 0);
            loop {
                let found = store.scan(Space::Outbox, &next)?;
                let Some((last, _)) = found.last() else { break };
                next = scan.clone().after(last.clone());
                bytes += found.iter().map(|(_, value)| value.len() as u64).sum::<u64>();
            }
            self.bytes[lane as usize].fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn ids_tell_their_parts_apart() {
        assert_ne!(delivery_id(&["ab", "c"], "e"), delivery_id(&["a", "bc"], "e"));
        assert_eq!(delivery_id(&["a"], "e"), delivery_id(&["a"], "e"));
        assert_eq!(delivery_id(&["a"], "e").len(), 32);
    }

    #[test]
    fn lanes_lie_apart_and_each_in_the_order_of_time() {
        let mail = Endpoint::Email("a@example.org".to_owned());
        let web = Endpoint::Https("https://example.org/".to_owned());
        let now = at(1_789_364_521_123);
        let keys = [
            outbox_key(&mail, at(0), "b"),
            outbox_key(&mail, now, "a"),
            outbox_key(&mail, at(i64::MAX >> 8), "a"),
            outbox_key(&web, at(0), "b"),
            outbox_key(&web, now, "a"),
        ];
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(keys.clone().map(|key| Lane::of_key(&key) as usize), [0, 0, 0, 1, 1]);
        assert!(Lane::endpoint_mark(&keys[1]).is_none());
        assert_eq!(Lane::endpoint_mark(&keys[3]), Lane::endpoint_mark(&keys[4]));
        for (endpoint, lane) in [(&mail, Lane::Mail), (&web, Lane::Web)] {
            let moved = lane.moved(&outbox_key(endpoint, now, "a"), |due| at(due + 5));
            assert_eq!(moved, Some(outbox_key(endpoint, now.plus_millis(5), "a")));
        }
        assert_eq!(
            outbox_key(&mail, now, "a"),
            [&now.as_millis().to_be_bytes()[..], b"a"].concat(),
            "as ever"
        );
    }

    #[test]
    fn a_delivery_of_an_earlier_version_is_read() {
        let text = r#"{"delivery":{"id":"d","created":1,"topic":"t","endpoint":{"Email":"a@b"},"unsubscribe_url":null,
            "content":{"Published":{"subject":null,"message":"m"}}},"tries":0,"last_error":null}"#;
        let waiting: Waiting = serde_json::from_str(text).unwrap();
        assert_eq!((waiting.message_id.as_str(), waiting.subscription), ("", None));
        let confirmation = text.replace(
            r#"{"Published":{"subject":null,"message":"m"}}"#,
            r#"{"Confirmation":{"confirm_url":"u"}}"#,
        );
        assert!(serde_json::from_str::<Waiting>(&confirmation).is_ok());
    }
}
