/*!
The subscriber: reads `events`, and hands those that subscription filters match to delivery streams and functions.

All filters stand at one place, the head, but those whose destination takes no more: each of these is behind, at a place of its own, so
that it holds nobody else up, and catches up later. Places are saved in the same step as what is handed over: after a crash it resumes
there. The journal is kept for the last of them, within bounds: what is a day old, or too far behind the head, is dropped, counted and told.
*/

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nightbell_core::event::Group;
use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_store::{Block, Durability, Position, Write};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::{Stopping, pause, woken};
use crate::app::App;
use crate::catalog::{Failure, Key, delete, put};
use crate::clock;
use crate::manage::subscriptions::{Armed, ByGroup};
use handing::{Handing, Held};

mod handing;
pub(crate) mod payload;

/// Bytes of events taken in one step.
const STEP_BYTES_MAX: usize = 4 << 20;
/// How long events wait for a destination that takes no more ("Log group-level subscription filters": up to 24 hours).
pub(crate) const SUBSCRIBED_AGE_MAX_MS: i64 = DAY_MS;
/// Bytes of messages that the journal keeps at most for a destination that takes no more.
pub(crate) const SUBSCRIBED_BYTES_MAX: u64 = 4 << 30;
/// How often those that are behind are looked at while nothing comes in.
const LOOK: Duration = Duration::from_millis(500);

/// The subscriber's loop.
pub(super) struct Subscriber {
    app: Arc<App>,
    head: Head,
    behind: BTreeMap<FilterId, Behind>,
    epoch: u64,
}

/// Which filter: its group and name.
type FilterId = (Group, String);

fn id_of(armed: &Armed) -> FilterId {
    (armed.filter.group.clone(), armed.filter.name.clone())
}

/// Where all filters are that are not behind.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    position: Position,
    /// Bytes of messages that it has passed, to tell how far others are behind.
    bytes: u64,
}

/// Where a filter is whose destination took no more.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Behind {
    group: Group,
    filter: String,
    /// The block that it takes next.
    position: Position,
    /// The head's count of bytes at that place.
    bytes: u64,
    /// What its destination did not take; `None` where that is to be tried.
    #[serde(skip)]
    held: Option<Held>,
}

fn position_key() -> Key {
    Key::of(&["position", "subscriber"])
}

fn bytes_key() -> Key {
    Key::of(&["position", "subscriber-bytes"])
}

fn behind_key((group, filter): &FilterId) -> Key {
    Key::of(&["position", "subscription", &group.region, &group.name, filter])
}

/// Bytes of a block's messages.
fn message_bytes(block: &Block) -> u64 {
    block.batches.iter().map(|batch| batch.message_bytes() as u64).sum()
}

impl Subscriber {
    /// The subscriber where it was left.
    pub(super) fn open(app: Arc<App>) -> Result<Self, Failure> {
        app.subscriptions.load(&app.records)?;
        app.buffers.load(&app.records)?;
        let (start, end) = (app.journal.start(), *app.journal.end().borrow());
        // Without a position none was needed yet; who subscribed since is served from there.
        let first = app.subscriptions.all().values().flatten().map(|armed| armed.filter.since).min();
        let saved: Position = app.records.get(&position_key())?.or(first).unwrap_or(end);
        let bytes = app.records.get(&bytes_key())?.unwrap_or_default();
        let head = Head { position: saved.max(start).min(end), bytes };
        let mut behind = BTreeMap::new();
        for mut one in app.records.list::<Behind>(&Key::prefix(&["position", "subscription"], ""))? {
            one.position = one.position.max(start);
            behind.insert((one.group.clone(), one.filter.clone()), one);
        }
        let epoch = app.emptied.load(Ordering::Acquire);
        let subscriber = Self { app, head, behind, epoch };
        subscriber.tell_place();
        Ok(subscriber)
    }

    /// Runs until the server stops.
    pub(super) async fn run(mut self, mut stopping: Stopping) {
        let mut end = self.app.journal.end();
        while !*stopping.borrow() {
            end.mark_unchanged();
            let goes_on = match self.step() {
                Ok(true) => true,
                Ok(false) if self.behind.is_empty() => woken(&mut end, &mut stopping).await,
                Ok(false) => {
                    let waited = tokio::time::timeout(LOOK, woken(&mut end, &mut stopping)).await;
                    waited.unwrap_or(true)
                }
                Err(failure) => {
                    let position = self.head.position;
                    error!(error = %failure, %position, "subscriptions are interrupted");
                    pause(&mut stopping).await
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    /// A step of the head, and one of those that are behind; `false` where both had nothing to do.
    fn step(&mut self) -> Result<bool, Failure> {
        let filters = self.app.subscriptions.all();
        self.forget(&filters)?;
        let head_moved = self.step_head(&filters)?;
        Ok(self.step_behind(&filters)? || head_moved)
    }

    /// Lets go of places whose filter is gone; of all of them where everything was emptied.
    fn forget(&mut self, filters: &ByGroup) -> Result<(), Failure> {
        let epoch = self.app.emptied.load(Ordering::Acquire);
        let is_emptied = std::mem::replace(&mut self.epoch, epoch) != epoch;
        let is_there = |(group, name): &FilterId| {
            filters.get(group).is_some_and(|all| all.iter().any(|armed| armed.filter.name == *name))
        };
        let gone: Vec<FilterId> =
            self.behind.keys().filter(|id| is_emptied || !is_there(id)).cloned().collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut change = Write::new();
        for id in &gone {
            delete(&mut change, &behind_key(id));
        }
        self.app.records.store().commit(change, Durability::Process)?;
        self.behind.retain(|id, _| !gone.contains(id));
        self.tell_place();
        Ok(())
    }

    fn step_head(&mut self, filters: &ByGroup) -> Result<bool, Failure> {
        let end = *self.app.journal.end().borrow();
        if self.head.position >= end {
            // After everything was emptied the journal may end before.
            return Ok(false);
        }
        if filters.is_empty() {
            // Nobody reads, so nothing has to be kept: the place is not worth a write.
            self.head.position = end;
            self.tell_place();
            return Ok(false);
        }
        let mut head = self.head;
        let mut handing = Handing::new(&self.app, clock::now());
        let mut left_behind: BTreeMap<FilterId, Behind> = BTreeMap::new();
        for block in self.read(self.head.position, &mut head.position)? {
            let goes = |id: &FilterId| !self.behind.contains_key(id) && !left_behind.contains_key(id);
            let found = handing::matches(&self.app, &block, filters, goes);
            for (armed, payloads) in found {
                if let Some(held) = handing.hand(armed, payloads, &block, 0)? {
                    warn!(
                        group = armed.filter.group.name,
                        filter = armed.filter.name,
                        destination = armed.filter.destination,
                        why = held.why,
                        "a subscription waits for its destination; its events are kept for a day"
                    );
                    let (group, filter) = id_of(armed);
                    let place = Behind {
                        group: group.clone(),
                        filter: filter.clone(),
                        position: block.position,
                        bytes: head.bytes,
                        held: Some(held),
                    };
                    left_behind.insert((group, filter), place);
                }
            }
            head.position = block.position.next();
            head.bytes += message_bytes(&block);
        }
        for (id, place) in &left_behind {
            put(&mut handing.change, &behind_key(id), place);
        }
        put(&mut handing.change, &position_key(), &head.position);
        put(&mut handing.change, &bytes_key(), &head.bytes);
        let has_moved = head.position > self.head.position;
        handing.finish()?;
        self.head = head;
        self.behind.extend(left_behind);
        self.tell_place();
        Ok(has_moved)
    }

    /// Lets those that are behind take what their destinations have room for again, or what they must give up.
    fn step_behind(&mut self, filters: &ByGroup) -> Result<bool, Failure> {
        let mut handing = Handing::new(&self.app, clock::now());
        let mut going = self.going(filters, &mut handing)?;
        let Some(start) = going.values().map(|place| place.position).min() else { return Ok(false) };
        let mut passed = start;
        for block in self.read(start, &mut passed)? {
            if block.position >= self.head.position {
                break;
            }
            let goes = |id: &FilterId| going.get(id).is_some_and(|place| place.takes(&block));
            for (armed, payloads) in handing::matches(&self.app, &block, filters, goes) {
                let Some(place) = going.get_mut(&id_of(armed)) else { continue };
                let lag = self.head.bytes.saturating_sub(place.bytes);
                place.held = handing.hand(armed, payloads, &block, lag)?;
                place.position = place.position.max(block.position);
            }
            for place in going.values_mut().filter(|place| place.takes(&block)) {
                place.position = block.position.next();
                place.bytes = place.bytes.saturating_add(message_bytes(&block));
            }
        }
        // What could not be read is passed over.
        for place in going.values_mut().filter(|place| place.held.is_none()) {
            place.position = place.position.max(passed);
        }
        let has_moved = going.iter().any(|(id, place)| self.behind[id].position < place.position);
        for (id, place) in &going {
            if place.position >= self.head.position {
                delete(&mut handing.change, &behind_key(id));
            } else {
                put(&mut handing.change, &behind_key(id), place);
            }
        }
        handing.finish()?;
        for (id, place) in going {
            if place.position >= self.head.position {
                info!(group = id.0.name, filter = id.1, "a subscription has caught up");
                self.behind.remove(&id);
            } else {
                self.behind.insert(id, place);
            }
        }
        self.tell_place();
        Ok(has_moved)
    }

    /// Those that are behind and can go on.
    fn going(
        &self,
        filters: &ByGroup,
        handing: &mut Handing<'_>,
    ) -> Result<BTreeMap<FilterId, Behind>, Failure> {
        let mut going = BTreeMap::new();
        for (id, place) in &self.behind {
            let armed = filters.get(&id.0).and_then(|all| all.iter().find(|armed| armed.filter.name == id.1));
            let Some(armed) = armed else { continue };
            let lag = self.head.bytes.saturating_sub(place.bytes);
            let goes = match &place.held {
                None => true,
                Some(held) => handing.goes_on(armed, held, lag)?,
            };
            if goes {
                going.insert(id.clone(), Behind { held: None, ..place.clone() });
            }
        }
        Ok(going)
    }

    /// The blocks from `from` on. A damaged one is passed over: `to` is set behind it.
    fn read(&self, from: Position, to: &mut Position) -> Result<Vec<Arc<Block>>, Failure> {
        match self.app.journal.read(from, STEP_BYTES_MAX) {
            Ok(blocks) => Ok(blocks),
            Err(error) => {
                let Some(damaged) = error.position() else { return Err(error.into()) };
                warn!(%error, "a damaged block is passed over");
                *to = damaged.next();
                Ok(Vec::new())
            }
        }
    }

    /// Says up to where nobody needs the journal any more.
    fn tell_place(&self) {
        let last = self.behind.values().map(|place| place.position).min();
        self.app
            .subscribed
            .send_replace(last.map_or(self.head.position, |last| last.min(self.head.position)));
        self.app.telemetry.subscriptions_behind.set(self.behind.len() as i64);
    }
}

impl Behind {
    /// Whether a block is one that it takes now.
    fn takes(&self, block: &Block) -> bool {
        self.held.is_none() && self.position <= block.position
    }
}

/// When the events of a block arrived.
fn arrival(block: &Block) -> Timestamp {
    block.batches.iter().map(|batch| batch.arrival).max().unwrap_or_default()
}

#[cfg(test)]
mod tests;
