/*!
What of a lane is sent next: the first that are due, as far as there is room, and as far as an endpoint takes more.

An endpoint that has enough under way, or as many starts in a second as its policy allows, is passed over: what waits for it stays where it
is, and others go first.
*/

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use nightbell_core::time::{SECOND_MS, Timestamp};
use nightbell_store::{Durability, Space, Write};
use tracing::error;

use super::{Addressee, WEB_ENDPOINT_SENDING_MAX};
use crate::app::App;
use crate::catalog::Failure;
use crate::clock;
use crate::manage::topics::{EndpointMark, Lane, Waiting};

/// Entries that are read in one go.
const READ_AT_ONCE: usize = 64;
/// Bytes of entries that are passed over in one look, before what lies behind them has to wait.
const PASSED_OVER_BYTES_MAX: usize = 32 << 20;
/// Endpoints whose starts are remembered; the oldest are forgotten at more.
const PACES_MAX: usize = 20_000;

/// A delivery that is due.
pub(super) struct Due {
    /// Where it stands.
    pub(super) key: Vec<u8>,
    /// How large it is there.
    pub(super) bytes: u64,
    /// The delivery.
    pub(super) waiting: Waiting,
}

/// What of a lane is being sent.
pub(super) struct UnderWay {
    lane: Lane,
    room: usize,
    keys: HashSet<Vec<u8>>,
    by_endpoint: HashMap<EndpointMark, usize>,
    paces: HashMap<EndpointMark, Pace>,
    look_again: Option<Duration>,
}

/// The latest starts to an endpoint that takes so many in a second.
struct Pace {
    per_second_max: usize,
    starts: VecDeque<Timestamp>,
}

impl Pace {
    /// Milliseconds until another one may start.
    fn wait_ms(&mut self, now: Timestamp) -> i64 {
        while self.starts.front().is_some_and(|start| !(0..SECOND_MS).contains(&now.since(*start))) {
            self.starts.pop_front();
        }
        match self.starts.front() {
            Some(first) if self.starts.len() >= self.per_second_max => SECOND_MS - now.since(*first),
            _ => 0,
        }
    }
}

impl UnderWay {
    /// Nothing is under way in `lane`, which has this room.
    pub(super) fn new(lane: Lane, room: usize) -> Self {
        let (keys, by_endpoint, paces) = Default::default();
        Self { lane, room, keys, by_endpoint, paces, look_again: None }
    }

    /// How soon to look again, where an endpoint's pace holds something back.
    pub(super) fn look_again(&self) -> Option<Duration> {
        self.look_again
    }

    /// Notes that the delivery under `key` is not under way any more.
    pub(super) fn done(&mut self, key: &[u8]) {
        if !self.keys.remove(key) {
            return;
        }
        if let Some(endpoint) = Lane::endpoint_mark(key)
            && let Some(count) = self.by_endpoint.get_mut(&endpoint)
        {
            *count -= 1;
            if *count == 0 {
                self.by_endpoint.remove(&endpoint);
            }
        }
    }

    /// What is due and may start, in the order it is due; it is under way from now on.
    pub(super) fn due(&mut self, app: &App) -> Result<Vec<Due>, Failure> {
        self.look_again = None;
        let (now, mut due, mut passed) = (clock::now(), Vec::new(), 0);
        let scan = self.lane.due_before(now.plus_millis(1)).limit(READ_AT_ONCE);
        let mut next = scan.clone();
        while self.keys.len() < self.room && passed < PASSED_OVER_BYTES_MAX {
            let found = app.records.store().scan(Space::Outbox, &next)?;
            let Some((last, _)) = found.last() else { break };
            let is_end = found.len() < READ_AT_ONCE;
            next = scan.clone().after(last.clone());
            for (key, bytes) in found {
                if self.keys.len() >= self.room {
                    break;
                }
                let size = bytes.len();
                match self.take(app, key, &bytes, now)? {
                    Some(one) => due.push(one),
                    None => passed += size,
                }
            }
            if is_end {
                break;
            }
        }
        if due.is_empty() && passed == 0 && self.keys.is_empty() && self.is_drained(app)? {
            app.lanes.is_empty(self.lane);
        }
        Ok(due)
    }

    /// Whether nothing waits in the lane, due or not.
    fn is_drained(&self, app: &App) -> Result<bool, Failure> {
        if app.lanes.waiting(self.lane) == 0 {
            return Ok(true);
        }
        let scan = self.lane.due_from(Timestamp::from_millis(0)).limit(1);
        Ok(app.records.store().scan(Space::Outbox, &scan)?.is_empty())
    }

    /// The delivery under `key`, unless it is under way or its endpoint takes no more now.
    fn take(
        &mut self,
        app: &App,
        key: Vec<u8>,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Option<Due>, Failure> {
        if self.keys.contains(&key) {
            return Ok(None);
        }
        let endpoint = Lane::endpoint_mark(&key);
        if let Some(endpoint) = &endpoint
            && self.is_held(endpoint, now)
        {
            return Ok(None);
        }
        let waiting: Waiting = match serde_json::from_slice(bytes) {
            Ok(waiting) => waiting,
            Err(error) => {
                error!(%error, "a damaged delivery is dropped");
                let mut change = Write::new();
                change.delete(Space::Outbox, key);
                app.records.store().commit(change, Durability::Process)?;
                app.lanes.left(self.lane, bytes.len() as u64);
                return Ok(None);
            }
        };
        if let Some(endpoint) = endpoint {
            if !self.starts(app, endpoint, &waiting, now) {
                return Ok(None);
            }
            *self.by_endpoint.entry(endpoint).or_default() += 1;
        }
        self.keys.insert(key.clone());
        Ok(Some(Due { key, bytes: bytes.len() as u64, waiting }))
    }

    /// Whether the endpoint is known to take no more now.
    fn is_held(&mut self, endpoint: &EndpointMark, now: Timestamp) -> bool {
        if self.by_endpoint.get(endpoint).is_some_and(|count| *count >= WEB_ENDPOINT_SENDING_MAX) {
            return true;
        }
        let wait_ms = self.paces.get_mut(endpoint).map_or(0, |pace| pace.wait_ms(now));
        self.holds(wait_ms)
    }

    fn holds(&mut self, wait_ms: i64) -> bool {
        if wait_ms <= 0 {
            return false;
        }
        let wait = Duration::from_millis(wait_ms.unsigned_abs());
        self.look_again = Some(self.look_again.map_or(wait, |soonest| soonest.min(wait)));
        true
    }

    /// Notes that a delivery starts, unless its subscription's pace, as it is now, forbids that.
    fn starts(&mut self, app: &App, endpoint: EndpointMark, waiting: &Waiting, now: Timestamp) -> bool {
        let policy = Addressee::of(app, waiting).and_then(|addressee| addressee.policy().per_second_max);
        let Some(per_second_max) = policy else {
            self.paces.remove(&endpoint);
            return true;
        };
        if self.paces.len() >= PACES_MAX {
            self.paces.retain(|_, pace| pace.wait_ms(now) > 0);
        }
        let pace =
            self.paces.entry(endpoint).or_insert_with(|| Pace { per_second_max: 0, starts: VecDeque::new() });
        pace.per_second_max = per_second_max as usize;
        let wait_ms = pace.wait_ms(now);
        if wait_ms <= 0 {
            pace.starts.push_back(now);
        }
        !self.holds(wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_start_in_a_second_than_the_policy_allows() {
        let at = Timestamp::from_millis;
        let mut pace = Pace { per_second_max: 10, starts: VecDeque::new() };
        let mut starts = Vec::new();
        for millis in 0..5_000 {
            if pace.wait_ms(at(millis)) <= 0 {
                pace.starts.push_back(at(millis));
                starts.push(millis);
            }
        }
        for (index, first) in starts.iter().enumerate() {
            let within = starts[index..].iter().filter(|start| **start < first + 1_000).count();
            assert!(within <= 10, "H04: {within} from {first} on");
        }
        assert_eq!(starts.len(), 50, "H04");
        assert_eq!(pace.wait_ms(at(-60_000)), 0, "a clock that was put back holds nobody up");
    }
}
