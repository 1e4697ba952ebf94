/*!
The postman: sends a mail that somebody else wrote, to each of its recipients until each has it or never will.

Recipients are told apart by what the mail server says to each: who was refused keeps no other from getting it, and who is to be tried
again is not sent it twice by those who have it.
*/

use std::sync::Arc;

use nightbell_core::delivery::{Content, RawMail, next_attempt};
use nightbell_core::time::Timestamp;
use nightbell_deliver::{Post, Posted, SendError};
use nightbell_store::{Durability, Space, Write};
use tracing::{error, info, warn};

use super::Stopping;
use super::sender::note;
use crate::app::App;
use crate::catalog::Failure;
use crate::clock;
use crate::manage::posts;
use crate::manage::topics::Waiting;

/// One attempt at one mail, and its record.
pub(super) async fn send(app: Arc<App>, key: Vec<u8>, mut waiting: Waiting, stopping: Stopping) -> Vec<u8> {
    let Content::Raw(envelope) = waiting.delivery.content.clone() else { return key };
    let id = waiting.delivery.id.clone();
    let mut change = Write::new();
    change.delete(Space::Outbox, key.clone());
    let (posted, not_before) = outcome(&envelope, attempt(&app, &waiting, &envelope).await);
    let now = clock::now();
    tell(&app, &id, &envelope, &posted);
    let mut lost = posted.refused.len() as u64;
    let next = match posted.later.first() {
        None => None,
        Some((_, reason)) => {
            waiting.tries += 1;
            waiting.last_error = Some(reason.clone());
            let (recipients, tries) = (posted.later.len(), waiting.tries);
            let next = next_attempt(waiting.delivery.created, now, tries);
            match next {
                Some(next) => warn!(id, recipients, reason, tries, next = %next, "delivery is tried again"),
                None => {
                    error!(id, recipients, reason, tries, "delivery is given up");
                    lost += recipients as u64;
                }
            }
            app.telemetry
                .deliveries
                .with_label_values(&[if next.is_some() { "later" } else { "given_up" }])
                .inc();
            next
        }
    };
    match next {
        Some(next) => {
            let recipients = posted.later.into_iter().map(|(to, _)| to).collect();
            waiting.delivery.content = Content::Raw(RawMail { recipients, ..envelope.clone() });
            app.lanes.enqueue(&mut change, not_before.map_or(next, |held| held.max(next)), &waiting);
        }
        None => posts::forget(&id, &mut change),
    }
    note(&app, change, &id, &stopping).await;
    if let (Some(region), 1..) = (&envelope.region, lost)
        && let Err(failure) = count_lost(&app, region, lost, now)
    {
        error!(id, error = %failure, "a refused mail could not be counted");
    }
    key
}

async fn attempt(app: &App, waiting: &Waiting, envelope: &RawMail) -> Result<Posted, SendError> {
    let id = waiting.delivery.id.clone();
    let content = match posts::content(&app.records, &id) {
        Ok(Some(content)) => content,
        Ok(None) => return Err(SendError::Never { reason: "its text is gone".to_owned() }),
        Err(failure) => return Err(SendError::Later { reason: failure.to_string(), not_before: None }),
    };
    let (sender, recipients) = (envelope.sender.clone(), envelope.recipients.clone());
    let post = Post { id, date: waiting.delivery.created, sender, recipients, content };
    app.channel.post(&post, clock::now()).await
}

/// What the answer means for each recipient, and the time before which the server is not to be asked again.
fn outcome(envelope: &RawMail, answer: Result<Posted, SendError>) -> (Posted, Option<Timestamp>) {
    let all = |reason: String| envelope.recipients.iter().map(|to| (to.clone(), reason.clone())).collect();
    match answer {
        Ok(posted) => (posted, None),
        Err(SendError::Never { reason }) => (Posted { refused: all(reason), ..Posted::default() }, None),
        Err(SendError::Later { reason, not_before }) => {
            (Posted { later: all(reason), ..Posted::default() }, not_before)
        }
    }
}

/// Tells who got the mail and who never will.
fn tell(app: &App, id: &str, envelope: &RawMail, posted: &Posted) {
    if let Some(receipt) = &posted.receipt {
        let recipients = envelope.recipients.len() - posted.refused.len() - posted.later.len();
        info!(id, recipients, detail = receipt.detail, "delivered");
        app.telemetry.deliveries.with_label_values(&["sent"]).inc();
    }
    for (to, reason) in &posted.refused {
        warn!(id, to, reason, "delivery refused for good");
        app.telemetry.deliveries.with_label_values(&["never"]).inc();
    }
}

fn count_lost(app: &App, region: &str, lost: u64, now: Timestamp) -> Result<(), Failure> {
    let _turn = app.records.turn();
    let mut change = Write::new();
    posts::count(&app.records, region, now, &mut change, |sent| sent.bounces += lost)?;
    app.records.store().commit(change, Durability::Process)?;
    Ok(())
}
