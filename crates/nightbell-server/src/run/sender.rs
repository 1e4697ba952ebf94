/*!
The sender: takes what is due from the outbox, sends it once, and says by the answer what becomes of it.

`Ok` removes it; `Later` puts it back at the time that `core::delivery` names; `Never` removes it and is told in the log.
*/

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::delivery::{Content, next_attempt};
use nightbell_core::time::Timestamp;
use nightbell_deliver::{Receipt, SendError};
use nightbell_store::{Durability, Scan, Space, Write};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::writing::Writing;
use super::{Stopping, postman};
use crate::app::App;
use crate::catalog::Failure;
use crate::clock;
use crate::manage::Refusal;
use crate::manage::topics::{Waiting, address, enqueue, subscription};

/// Deliveries under way at one time.
const SENDING_MAX: usize = 8;
/// Longest wait between two looks into the outbox.
const LOOK: Duration = Duration::from_secs(1);

/// Sends until the server stops; then waits for what is under way.
pub(super) async fn run(app: Arc<App>, mut stopping: Stopping) {
    let writing = Arc::new(Writing::default());
    let mut sending: JoinSet<Vec<u8>> = JoinSet::new();
    let mut under_way: HashSet<Vec<u8>> = HashSet::new();
    while !*stopping.borrow() {
        match due(&app, &under_way, SENDING_MAX - sending.len()) {
            Ok(found) => {
                for (key, waiting) in found {
                    under_way.insert(key.clone());
                    let (app, writing) = (Arc::clone(&app), Arc::clone(&writing));
                    sending.spawn(send(app, writing, key, waiting, stopping.clone()));
                }
            }
            Err(failure) => error!(error = %failure, "the outbox cannot be read"),
        }
        tokio::select! {
            () = app.outbox_bell.notified(), if sending.len() < SENDING_MAX => {}
            Some(done) = sending.join_next() => match done {
                Ok(key) => { under_way.remove(&key); }
                // It stays under way, so that this run does not try it again and again.
                Err(failure) => error!(error = %failure, "a delivery ended badly; it is tried at the next start"),
            },
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.changed() => {}
        }
    }
    while sending.join_next().await.is_some() {}
}

/// What is due and not under way, in the order it is due.
fn due(app: &App, under_way: &HashSet<Vec<u8>>, room: usize) -> Result<Vec<(Vec<u8>, Waiting)>, Failure> {
    if room == 0 {
        return Ok(Vec::new());
    }
    let soon = clock::now().plus_millis(1).as_millis().max(0).to_be_bytes();
    let scan = Scan::range([0], soon).limit(room + under_way.len());
    let found = app.records.store().scan(Space::Outbox, &scan)?;
    let mut due = Vec::new();
    for (key, bytes) in found.into_iter().filter(|(key, _)| !under_way.contains(key)).take(room) {
        match serde_json::from_slice(&bytes) {
            Ok(waiting) => due.push((key, waiting)),
            Err(error) => {
                error!(%error, "a damaged delivery is dropped");
                let mut change = Write::new();
                change.delete(Space::Outbox, key);
                app.records.store().commit(change, Durability::Process)?;
            }
        }
    }
    Ok(due)
}

/// One attempt at one delivery, and its record.
async fn send(
    app: Arc<App>,
    writing: Arc<Writing>,
    key: Vec<u8>,
    mut waiting: Waiting,
    stopping: Stopping,
) -> Vec<u8> {
    if is_unwanted(&app, &waiting) {
        return forget(&app, key);
    }
    if matches!(waiting.delivery.content, Content::Raw(_)) {
        return postman::send(app, key, waiting, stopping).await;
    }
    let answer = attempt(&app, writing, &waiting).await;
    let now = clock::now();
    let mut change = Write::new();
    change.delete(Space::Outbox, key.clone());
    let id = waiting.delivery.id.clone();
    let to = address(&waiting.delivery.endpoint);
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
            match next_attempt(waiting.delivery.created, now, waiting.tries) {
                Some(next) => {
                    let next = not_before.map_or(next, |held: Timestamp| held.max(next));
                    warn!(id, to, reason, tries = waiting.tries, next = %next, "delivery is tried again");
                    enqueue(&mut change, next, &waiting);
                    "later"
                }
                None => {
                    error!(id, to, reason, tries = waiting.tries, "delivery is given up");
                    "given_up"
                }
            }
        }
    };
    app.telemetry.deliveries.with_label_values(&[outcome]).inc();
    note(&app, change, &id, &stopping).await;
    key
}

/// Writes what became of a delivery.
///
/// Until this is written, a crash sends again, under the same Message-ID. A disk that refuses must not: the delivery stays under way
/// until it is written.
pub(super) async fn note(app: &App, change: Write, id: &str, stopping: &Stopping) {
    while let Err(error) = app.records.store().commit(change.clone(), Durability::Process) {
        error!(%error, id, "what became of a delivery could not be noted; tried again");
        if *stopping.borrow() {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Writes the mail, where that may take its time, and sends it once.
async fn attempt(app: &Arc<App>, writing: Arc<Writing>, waiting: &Waiting) -> Result<Receipt, SendError> {
    let (writer, delivery) = (Arc::clone(app), waiting.delivery.clone());
    let written = tokio::task::spawn_blocking(move || writing.write(&writer, &delivery, clock::now())).await;
    let mail = written.map_err(|failure| SendError::Later {
        reason: format!("the mail could not be written: {failure}"),
        not_before: None,
    })?;
    app.channel.send(&mail, clock::now()).await
}

/// Whether the subscriber has left since.
fn is_unwanted(app: &App, waiting: &Waiting) -> bool {
    let gone = |arn: &String| matches!(subscription(&app.records, arn), Err(Refusal::Missing(_)));
    waiting.subscription.as_ref().is_some_and(gone)
}

fn forget(app: &App, key: Vec<u8>) -> Vec<u8> {
    let mut change = Write::new();
    change.delete(Space::Outbox, key.clone());
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
