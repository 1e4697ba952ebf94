/*!
The subscriber: reads `events`, and hands those that subscription filters match to their delivery streams.

It holds no state but its position, which is saved in the same step as what it hands over: after a crash it resumes there. Where a
stream takes no more it waits, and the journal is kept for it; what is older than a day by then is dropped and told.
*/

use std::sync::Arc;

use nightbell_core::event::Batch;
use nightbell_core::fields::Subject;
use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_store::{Block, Durability, Position, Write};
use nightbell_wire::deflate::gzip;
use serde::Serialize;
use tracing::{error, warn};

use super::{Stopping, pause, woken};
use crate::app::App;
use crate::catalog::{Failure, Key, put};
use crate::clock;
use crate::manage::streams;
use crate::manage::subscriptions::{Armed, SubscriptionFilter};
use crate::search::place_text;
use crate::streams::buffers::{Added, StreamId};

/// Bytes of events taken in one step.
const STEP_BYTES_MAX: usize = 4 << 20;
/// Bytes of the events of one payload before it is compressed; one event always fits.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1_000_000;
/// How long events wait for a stream that takes no more ("Log group-level subscription filters": up to 24 hours).
pub(crate) const SUBSCRIBED_AGE_MAX_MS: i64 = DAY_MS;

/// The subscriber's loop.
pub(super) struct Subscriber {
    app: Arc<App>,
    position: Position,
}

fn position_key() -> Key {
    Key::of(&["position", "subscriber"])
}

/// What a step came to.
enum Step {
    /// There was nothing.
    Idle,
    /// More may wait.
    More,
    /// A stream takes no more.
    Full,
}

impl Subscriber {
    /// The subscriber where it was left.
    pub(super) fn open(app: Arc<App>) -> Result<Self, Failure> {
        app.subscriptions.load(&app.records)?;
        app.buffers.load(&app.records)?;
        let end = *app.journal.end().borrow();
        // Without a position none was needed yet; who subscribed since is served from there.
        let first = app.subscriptions.all().values().flatten().map(|armed| armed.filter.since).min();
        let saved: Position = app.records.get(&position_key())?.or(first).unwrap_or(end);
        let position = saved.max(app.journal.start()).min(end);
        app.subscribed.send_replace(position);
        Ok(Self { app, position })
    }

    /// Runs until the server stops.
    pub(super) async fn run(mut self, mut stopping: Stopping) {
        let mut end = self.app.journal.end();
        while !*stopping.borrow() {
            end.mark_unchanged();
            let goes_on = match self.step() {
                Ok(Step::More) => true,
                Ok(Step::Idle) => woken(&mut end, &mut stopping).await,
                Ok(Step::Full) => pause(&mut stopping).await,
                Err(failure) => {
                    error!(error = %failure, position = %self.position, "subscriptions are interrupted");
                    pause(&mut stopping).await
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    fn step(&mut self) -> Result<Step, Failure> {
        let end = *self.app.journal.end().borrow();
        if self.position >= end {
            // After everything was emptied the journal may end before.
            return Ok(Step::Idle);
        }
        let filters = self.app.subscriptions.all();
        if filters.is_empty() {
            // Nobody reads, so nothing has to be kept: the place is not worth a write.
            self.position = end;
            self.app.subscribed.send_replace(end);
            return Ok(Step::Idle);
        }
        let blocks = match self.app.journal.read(self.position, STEP_BYTES_MAX) {
            Ok(blocks) => blocks,
            Err(error) => {
                let Some(damaged) = error.position() else { return Err(error.into()) };
                warn!(%error, "a damaged block is passed over");
                return self.advance(Write::new(), Vec::new(), damaged.next());
            }
        };
        let Some(last) = blocks.last() else { return Ok(Step::Idle) };
        let next = last.position.next();
        let (mut change, mut added) = (Write::new(), Vec::new());
        for block in &blocks {
            let parcels = self.payloads(block, &filters);
            if let Some((stream, _)) =
                parcels.iter().find(|(stream, payloads)| !self.has_room(stream, payloads, &added))
                && !self.gives_up(stream, block)
            {
                if block.position > self.position {
                    return self.advance(change, added, block.position).map(|_| Step::Full);
                }
                return Ok(Step::Full);
            }
            for (stream, payloads) in parcels {
                if streams::find(&self.app.records, &stream.0, &stream.1)?.is_none() {
                    warn!(
                        stream = stream.1,
                        "a subscription's delivery stream is gone; its events are dropped"
                    );
                } else if self.has_room(&stream, &payloads, &added) {
                    added.push(self.app.buffers.add(&stream, &payloads, clock::now(), &mut change));
                }
            }
        }
        self.advance(change, added, next)
    }

    fn has_room(&self, stream: &StreamId, payloads: &[Vec<u8>], added: &[Added]) -> bool {
        let bytes: u64 = payloads.iter().map(|payload| payload.len() as u64).sum();
        let before: u64 = added.iter().map(|added| added.bytes_of(stream)).sum();
        self.app.buffers.has_room(stream, before + bytes)
    }

    /// Whether a block has waited too long for a stream that takes no more.
    fn gives_up(&self, stream: &StreamId, block: &Block) -> bool {
        let arrival = block.batches.iter().map(|batch| batch.arrival).max().unwrap_or_default();
        let is_old = clock::now().since(arrival) > SUBSCRIBED_AGE_MAX_MS;
        if is_old {
            error!(stream = stream.1, "a delivery stream has taken nothing for a day; events are dropped");
        }
        is_old
    }

    /// The payloads of a block for each stream, in the order of its batches.
    fn payloads(
        &self,
        block: &Block,
        filters: &std::collections::HashMap<nightbell_core::event::Group, Vec<Armed>>,
    ) -> Vec<(StreamId, Vec<Vec<u8>>)> {
        let mut found = Vec::new();
        let mut number = 0_u32;
        for batch in &block.batches {
            let first = number;
            number = number.saturating_add(u32::try_from(batch.events.len()).unwrap_or(u32::MAX));
            for armed in filters.get(&batch.group).into_iter().flatten() {
                if block.position < armed.filter.since {
                    continue;
                }
                let Some(stream) = stream_of(&armed.filter.destination) else { continue };
                let payloads = self.matching(batch, armed, (block.position.number(), first));
                if !payloads.is_empty() {
                    found.push((stream, payloads));
                }
            }
        }
        found
    }

    /// What a filter matches in a batch, as payloads of bounded size.
    fn matching(&self, batch: &Batch, armed: &Armed, place: (u64, u32)) -> Vec<Vec<u8>> {
        let (mut payloads, mut events, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (at, event) in (0_u32..).zip(&batch.events) {
            let subject = Subject::new(&event.message, &batch.stream, &self.app.reader);
            if !armed.pattern.matches(&subject) {
                continue;
            }
            if bytes + event.message.len() > PAYLOAD_BYTES_MAX && !events.is_empty() {
                payloads.push(self.payload(batch, &armed.filter, std::mem::take(&mut events)));
                bytes = 0;
            }
            bytes += event.message.len();
            let extracted = armed.pattern.extract(&subject);
            events.push(LogEvent {
                id: place_text((event.time.as_millis(), place.0, place.1.saturating_add(at))),
                timestamp: event.time.as_millis(),
                message: &event.message,
                extracted_fields: (!extracted.is_empty())
                    .then(|| extracted.into_iter().map(|(name, value)| (plain_name(&name), value)).collect()),
            });
        }
        if !events.is_empty() {
            payloads.push(self.payload(batch, &armed.filter, events));
        }
        payloads
    }

    fn payload(&self, batch: &Batch, filter: &SubscriptionFilter, events: Vec<LogEvent<'_>>) -> Vec<u8> {
        let payload = Payload {
            message_type: "DATA_MESSAGE",
            owner: &self.app.account,
            log_group: &batch.group.name,
            log_stream: &batch.stream,
            subscription_filters: vec![&filter.name],
            log_events: events,
        };
        packed(&payload)
    }

    fn advance(&mut self, mut change: Write, added: Vec<Added>, next: Position) -> Result<Step, Failure> {
        put(&mut change, &position_key(), &next);
        self.app.records.store().commit(change, Durability::Process)?;
        for added in added {
            self.app.buffers.count(added);
        }
        self.position = next;
        self.app.subscribed.send_replace(next);
        Ok(Step::More)
    }
}

/// Region and name of the delivery stream that an ARN names.
pub(crate) fn stream_of(arn: &str) -> Option<StreamId> {
    let mut parts = arn.strip_prefix("arn:aws:firehose:")?.splitn(3, ':');
    let (region, _account, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some((region.to_owned(), name.strip_prefix("deliverystream/")?.to_owned()))
}

/// What is sent when a subscription is made, to see whether its destination takes it.
pub(crate) fn control_message(now: Timestamp) -> Vec<u8> {
    let event = LogEvent {
        id: String::new(),
        timestamp: now.as_millis(),
        message: "CWL CONTROL MESSAGE: Checking health of destination Firehose.",
        extracted_fields: None,
    };
    packed(&Payload {
        message_type: "CONTROL_MESSAGE",
        owner: "CloudwatchLogs",
        log_group: "",
        log_stream: "",
        subscription_filters: Vec::new(),
        log_events: vec![event],
    })
}

/// `$.a` and `$a` are `a`.
fn plain_name(name: &str) -> String {
    name.trim_start_matches('$').trim_start_matches('.').to_owned()
}

fn packed(payload: &Payload<'_>) -> Vec<u8> {
    gzip(&serde_json::to_vec(payload).expect("a payload is plain structs with string keys"))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    message_type: &'static str,
    owner: &'a str,
    log_group: &'a str,
    log_stream: &'a str,
    subscription_filters: Vec<&'a str>,
    log_events: Vec<LogEvent<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogEvent<'a> {
    id: String,
    timestamp: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    extracted_fields: Option<std::collections::BTreeMap<String, String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_a_stream() {
        let stream = |arn| stream_of(arn).map(|(region, name)| format!("{region}/{name}"));
        assert_eq!(stream("arn:aws:firehose:r:1:deliverystream/s").as_deref(), Some("r/s"));
        assert_eq!(stream("arn:aws:lambda:r:1:function:f"), None);
        assert_eq!(stream("arn:aws:firehose:r:1:s"), None);
        assert_eq!((plain_name("$.a.b"), plain_name("$w1")), ("a.b".to_owned(), "w1".to_owned()));
    }
}
