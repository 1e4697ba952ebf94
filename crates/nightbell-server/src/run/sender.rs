/*!
The sender: takes what is due from the outbox, sends it once, and says by the answer what becomes of it.

`Ok` removes it; `Later` puts it back at the time that its lane's or subscription's policy names; `Never` removes it and is told in the
log. Each lane has room of its own (`sender::due`), so web endpoints that do not answer hold no mail up. `sender::attempt` makes the try.
*/

use std::sync::Arc;
use std::time::Duration;

use nightbell_core::delivery::{Content, next_attempt};
use nightbell_core::delivery_policy::DeliveryPolicy;
use nightbell_core::time::Timestamp;
use nightbell_core::topic::{Subscription, Topic};
use nightbell_deliver::SendError;
use nightbell_store::{Durability, Space, Write};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::Stopping;
use super::writing::Writing;
use crate::app::App;
use crate::clock;
use crate::manage::Refusal;
use crate::manage::topics::{self, Lane, Waiting};
use due::{Due, UnderWay};

mod attempt;
mod due;

/// Mails under way at one time.
const SENDING_MAX: usize = 8;
/// Deliveries to web endpoints and functions under way at one time.
const WEB_SENDING_MAX: usize = 32;
/// Deliveries to one web endpoint under way at one time: one that does not answer leaves room for the others.
const WEB_ENDPOINT_SENDING_MAX: usize = 4;
/// Longest wait between two looks into the outbox.
const LOOK: Duration = Duration::from_secs(1);

const _: () = assert!(WEB_ENDPOINT_SENDING_MAX * 2 <= WEB_SENDING_MAX, "one endpoint leaves room for others");

/// Sends until the server stops; then waits for what is under way.
pub(super) async fn run(app: Arc<App>, mut stopping: Stopping) {
    let counted = Arc::clone(&app);
    let counted = tokio::task::spawn_blocking(move || counted.lanes.count(&**counted.records.store())).await;
    if !matches!(counted, Ok(Ok(()))) {
        error!("the outbox cannot be counted");
    }
    let writing = Arc::new(Writing::default());
    let mut sending: JoinSet<Vec<u8>> = JoinSet::new();
    let mut lanes = [UnderWay::new(Lane::Mail, SENDING_MAX), UnderWay::new(Lane::Web, WEB_SENDING_MAX)];
    while !*stopping.borrow() {
        for lane in &mut lanes {
            match lane.due(&app) {
                Ok(found) => {
                    for due in found {
                        let (app, writing) = (Arc::clone(&app), Arc::clone(&writing));
                        sending.spawn(send(app, writing, due, stopping.clone()));
                    }
                }
                Err(failure) => error!(error = %failure, "the outbox cannot be read"),
            }
        }
        let look = lanes.iter().filter_map(UnderWay::look_again).min().unwrap_or(LOOK).min(LOOK);
        tokio::select! {
            () = app.outbox_bell.notified() => {}
            Some(done) = sending.join_next() => match done {
                Ok(key) => lanes.iter_mut().for_each(|lane| lane.done(&key)),
                // It stays under way, so that this run does not try it again and again.
                Err(failure) => error!(error = %failure, "a delivery ended badly; it is tried at the next start"),
            },
            () = tokio::time::sleep(look) => {}
            _ = stopping.changed() => {}
        }
    }
    while sending.join_next().await.is_some() {}
}

/// Whom a delivery is for, as configured now.
struct Addressee {
    topic: Option<Topic>,
    subscription: Option<Subscription>,
}

impl Addressee {
    /// Looks topic and subscription up; `None` where the subscriber has left since.
    fn of(app: &App, waiting: &Waiting) -> Option<Self> {
        let subscription = match &waiting.subscription {
            None => None,
            Some(arn) => match topics::subscription(&app.records, arn) {
                Ok(subscription) => Some(subscription),
                Err(Refusal::Missing(_)) => return None,
                // It is sent once too often rather than not at all.
                Err(_) => None,
            },
        };
        Some(Self { topic: topics::find(&app.records, &waiting.delivery.topic).ok(), subscription })
    }

    /// How deliveries to a web endpoint go.
    fn policy(&self) -> DeliveryPolicy {
        topics::effective_delivery_policy(self.topic.as_ref(), self.subscription.as_ref())
    }
}

/// One attempt at one delivery, and its record.
async fn send(app: Arc<App>, writing: Arc<Writing>, due: Due, stopping: Stopping) -> Vec<u8> {
    let Due { key, bytes, mut waiting } = due;
    let lane = Lane::of_key(&key);
    let mut change = Write::new();
    change.delete(Space::Outbox, key.clone());
    let Some(addressee) = Addressee::of(&app, &waiting) else {
        app.lanes.left(lane, bytes);
        return forget(&app, change, key);
    };
    let answer = attempt::attempt(&app, writing, &waiting, &addressee, &mut change).await;
    let now = clock::now();
    let id = waiting.delivery.id.clone();
    let to = waiting.delivery.endpoint.shown();
    let outcome = match answer {
        Ok(receipt) => {
            info!(id, to, detail = receipt.detail, "delivered");
            measure(&app, &waiting, now);
            "sent"
        }
        Err(SendError::Never { reason }) => {
            warn!(id, to, reason, "delivery refused for good");
            "never"
        }
        Err(SendError::Later { reason, not_before }) => {
            waiting.tries += 1;
            waiting.last_error = Some(reason.clone());
            match next(&addressee, &waiting, now) {
                Some(next) => {
                    let next = not_before.map_or(next, |held: Timestamp| held.max(next));
                    warn!(id, to, reason, tries = waiting.tries, next = %next, "delivery is tried again");
                    app.lanes.enqueue(&mut change, next, &waiting);
                    "later"
                }
                None => {
                    error!(id, to, reason, tries = waiting.tries, "delivery is given up");
                    "given_up"
                }
            }
        }
    };
    app.lanes.left(lane, bytes);
    app.telemetry.deliveries.with_label_values(&[outcome]).inc();
    // Until this is written, a crash sends again, under the same Message-ID. A disk that refuses must not: the delivery
    // stays under way until it is written.
    while let Err(error) = app.records.store().commit(change.clone(), Durability::Process) {
        error!(%error, id, "what became of a delivery could not be noted; tried again");
        if *stopping.borrow() {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    key
}

/// When a delivery that failed is tried again.
fn next(addressee: &Addressee, waiting: &Waiting, now: Timestamp) -> Option<Timestamp> {
    if waiting.delivery.endpoint.is_web() {
        return addressee.policy().retry.wait_ms(waiting.tries).map(|wait_ms| now.plus_millis(wait_ms));
    }
    next_attempt(waiting.delivery.created, now, waiting.tries)
}

fn forget(app: &App, change: Write, key: Vec<u8>) -> Vec<u8> {
    app.telemetry.deliveries.with_label_values(&["unsubscribed"]).inc();
    if let Err(error) = app.records.store().commit(change, Durability::Process) {
        error!(%error, "a delivery that nobody wants could not be removed");
    }
    key
}

fn measure(app: &App, waiting: &Waiting, now: Timestamp) {
    if let Content::Alarm(transition) = &waiting.delivery.content
        && let Some(arrival) = transition.evidence.last_arrival
        && waiting.tries == 0
        && !transition.after_mute
    {
        app.telemetry.event_to_accepted.observe(now.since(arrival).max(0) as f64 / 1_000.0);
    }
}
