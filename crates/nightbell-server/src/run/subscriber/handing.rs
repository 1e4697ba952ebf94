/*!
One step's handing over: what each filter matches in a block, whether its destination takes it, and the change that gives it.

What is handed over is part of the change that moves the filters' places; [`Handing::finish`] commits it, counts it and tells of losses.
*/

use std::collections::BTreeMap;

use nightbell_core::event::Batch;
use nightbell_core::time::Timestamp;
use nightbell_store::{Block, Durability, Write};
use tracing::error;

use super::payload::{self, Payload};
use super::{FilterId, SUBSCRIBED_AGE_MAX_MS, SUBSCRIBED_BYTES_MAX, arrival, id_of};
use crate::app::App;
use crate::catalog::Failure;
use crate::functions::backlog::Amount;
use crate::functions::queue::{self, LONE_EVENT_BYTES_MAX, Queued};
use crate::manage::subscriptions::{Armed, ByGroup, Closed, Destination, check_destination};
use crate::streams::buffers::Added;

/// What a destination did not take.
#[derive(Clone, Debug)]
pub(super) struct Held {
    amount: Amount,
    arrival: Timestamp,
    /// Why, for people.
    pub(super) why: &'static str,
}

/// A filter, and of each log stream the batches that are its to look at, each with the number of its first event.
type Theirs<'f, 'b> = (&'f Armed, BTreeMap<&'b str, Vec<(u32, &'b Batch)>>);

/// What one step hands over.
pub(super) struct Handing<'a> {
    app: &'a App,
    now: Timestamp,
    /// The change that hands it over.
    pub(super) change: Write,
    added: Vec<Added>,
    queued: Vec<Queued>,
    closed: BTreeMap<FilterId, Option<&'static str>>,
    lost: BTreeMap<FilterId, u64>,
}

/// What filters match in a block, those for which `goes` holds.
pub(super) fn matches<'f>(
    app: &App,
    block: &Block,
    filters: &'f ByGroup,
    goes: impl Fn(&FilterId) -> bool,
) -> Vec<(&'f Armed, Vec<Payload>)> {
    let mut theirs: BTreeMap<FilterId, Theirs<'_, '_>> = BTreeMap::new();
    let mut number = 0_u32;
    for batch in &block.batches {
        let first = number;
        number = number.saturating_add(u32::try_from(batch.events.len()).unwrap_or(u32::MAX));
        for armed in filters.get(&batch.group).into_iter().flatten() {
            let id = id_of(armed);
            if block.position >= armed.filter.since && goes(&id) {
                let (_, streams) = theirs.entry(id).or_insert_with(|| (armed, BTreeMap::new()));
                streams.entry(&batch.stream).or_default().push((first, batch));
            }
        }
    }
    let payloads = |(armed, streams): Theirs<'f, '_>| {
        let of_stream = |batches: &Vec<_>| payload::of_stream(app, batches, armed, block.position.number());
        let payloads: Vec<Payload> = streams.values().flat_map(of_stream).collect();
        (!payloads.is_empty()).then_some((armed, payloads))
    };
    theirs.into_values().filter_map(payloads).collect()
}

impl<'a> Handing<'a> {
    /// Nothing yet.
    pub(super) fn new(app: &'a App, now: Timestamp) -> Self {
        let (change, added, queued, closed, lost) = Default::default();
        Self { app, now, change, added, queued, closed, lost }
    }

    /// Hands what a filter matches in a block to its destination. Where that takes no more, and the filter is so many bytes behind, it
    /// is given up when it has waited too long, and otherwise held.
    pub(super) fn hand(
        &mut self,
        armed: &Armed,
        mut payloads: Vec<Payload>,
        block: &Block,
        lag: u64,
    ) -> Result<Option<Held>, Failure> {
        if matches!(armed.destination, Destination::Function(_)) {
            let too_large = |payload: &Payload| payload.body.len() > LONE_EVENT_BYTES_MAX;
            let lost =
                payloads.iter().filter(|payload| too_large(payload)).map(|payload| payload.events).sum();
            self.lose(armed, lost);
            payloads.retain(|payload| !too_large(payload));
        }
        let bytes = payloads.iter().map(|payload| payload.body.len() as u64).sum();
        let amount = Amount { events: payloads.len(), bytes };
        if let Some(why) = self.refusal(armed, amount)? {
            let held = Held { amount, arrival: arrival(block), why };
            if !self.gives_up(&held, lag) {
                return Ok(Some(held));
            }
            self.lose(armed, payloads.iter().map(|payload| payload.events).sum());
            return Ok(None);
        }
        let bodies: Vec<Vec<u8>> = payloads.into_iter().map(|payload| payload.body).collect();
        match &armed.destination {
            Destination::Stream(stream) => {
                self.added.push(self.app.buffers.add(stream, &bodies, self.now, &mut self.change));
            }
            Destination::Function(arn) => {
                let backlog = &self.app.functions.backlog;
                for body in bodies {
                    self.queued.push(queue::put(backlog, &mut self.change, arn, body, self.now));
                }
            }
        }
        Ok(None)
    }

    /// Whether a filter goes on: its destination takes what it did not take, or it is given up.
    pub(super) fn goes_on(&mut self, armed: &Armed, held: &Held, lag: u64) -> Result<bool, Failure> {
        Ok(self.gives_up(held, lag) || self.refusal(armed, held.amount)?.is_none())
    }

    fn gives_up(&self, held: &Held, lag: u64) -> bool {
        self.now.since(held.arrival) > SUBSCRIBED_AGE_MAX_MS || lag > SUBSCRIBED_BYTES_MAX
    }

    /// Why a destination does not take so much now; nothing where it does.
    fn refusal(&mut self, armed: &Armed, amount: Amount) -> Result<Option<&'static str>, Failure> {
        let id = id_of(armed);
        let closed = match self.closed.get(&id) {
            Some(closed) => *closed,
            None => {
                let open = check_destination(self.app, &armed.filter.group, &armed.destination, self.now)?;
                let closed = open.err().map(why);
                self.closed.insert(id, closed);
                closed
            }
        };
        if closed.is_some() {
            return Ok(closed);
        }
        let has_room = match &armed.destination {
            Destination::Stream(stream) => {
                let before: u64 = self.added.iter().map(|added| added.bytes_of(stream)).sum();
                self.app.buffers.has_room(stream, before + amount.bytes)
            }
            Destination::Function(arn) => self.app.functions.backlog.has_room(arn, amount),
        };
        Ok((!has_room).then_some("as much waits for it as may"))
    }

    fn lose(&mut self, armed: &Armed, events: u64) {
        if events > 0 {
            *self.lost.entry(id_of(armed)).or_default() += events;
        }
    }

    /// Commits the change; what is handed over is counted, and what is lost is told.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.app.records.store().commit(self.change, Durability::Process)?;
        for added in self.added {
            self.app.buffers.count(added);
        }
        if !self.queued.is_empty() {
            self.queued.into_iter().for_each(Queued::stays);
            self.app.functions.ring();
        }
        for ((group, filter), events) in self.lost {
            error!(
                group = group.name,
                filter, events, "events are dropped: a subscription's destination did not take them in time"
            );
            self.app.telemetry.subscription_losses.inc_by(events);
        }
        Ok(())
    }
}

fn why(closed: Closed) -> &'static str {
    match closed {
        Closed::Missing => "it is not there",
        Closed::Unpermitted => "the function's policy does not let logs.amazonaws.com in for the group",
        Closed::OwnLog => "the group is the function's own log",
    }
}
