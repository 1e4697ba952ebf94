/*!
Tells the archive's head to a topic once a day, so that it is noted where nobody who can change the archive can change it.

The message is one of Publish: it leaves by the outbox like every other. The day is noted in the same commit.
*/

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::delivery::Content;
use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_store::Write;
use nightbell_store::archive::Head;
use tracing::{error, info, warn};

use super::Stopping;
use crate::app::App;
use crate::catalog::{Failure, Key, put};
use crate::clock;
use crate::manage::Refusal;
use crate::manage::topics::{addressed, find, subscriptions};

/// How often it is looked whether a new day has begun.
const LOOK: Duration = Duration::from_secs(60);

/// Tells heads until the server stops; does nothing where no topic is named.
pub(super) async fn run(app: Arc<App>, mut stopping: Stopping) {
    let Some(topic) = app.archive_head_topic.clone() else { return };
    let mut interval = tokio::time::interval(LOOK);
    let mut complained = None;
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            _ = stopping.changed() => return,
        }
        let now = clock::now();
        match tell(&app, &topic, now) {
            Ok(()) => {}
            Err(Refusal::Missing(_)) if complained != Some(day(now)) => {
                complained = Some(day(now));
                warn!(
                    topic,
                    "there is no topic to tell the archive's head; create it, or change archive_head_topic"
                );
            }
            Err(Refusal::Missing(_)) => {}
            Err(error) => error!(?error, "the archive's head could not be told; it is tried again"),
        }
    }
}

/// Days since 1970, UTC.
fn day(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(DAY_MS)
}

/// Tells the head, unless it was told today or nothing is archived.
fn tell(app: &App, topic: &str, now: Timestamp) -> Result<(), Refusal> {
    let told = Key::of(&["archive-head", "told"]);
    if app.records.get::<i64>(&told)? == Some(day(now)) {
        return Ok(());
    }
    let head = app.shelves.archive().head().map_err(Failure::from)?;
    if head.next == 0 {
        return Ok(());
    }
    find(&app.records, topic)?;
    let (subject, message) = words(&head, now);
    let mut change = Write::new();
    put(&mut change, &told, &day(now));
    let hash = head.hash.to_string();
    let cause = ["archive-head", hash.as_str(), &now.iso()];
    for subscription in subscriptions(&app.records, topic)? {
        let content = Content::Published {
            subject: Some(subject.clone()),
            message: message.clone(),
            attributes: BTreeMap::new(),
        };
        if let Some(waiting) = addressed(&subscription, content, &cause, &app.links(), now) {
            app.lanes.enqueue(&mut change, now, &waiting);
        }
    }
    app.records.commit(change)?;
    app.outbox_bell.notify_one();
    info!(topic, block = head.next - 1, "the archive's head is told");
    Ok(())
}

/// Subject and text of the message.
fn words(head: &Head, now: Timestamp) -> (String, String) {
    let block = head.next.saturating_sub(1);
    let date = now.iso().chars().take(10).collect::<String>();
    let text = format!(
        "The archive's chain ends with block {block}, made at {time}:\n\n  {hash}\n\n\
         The journal is archived up to position {archived}.\n\n\
         Keep this message where nobody who can change the archive can change it. It proves later that no event up to \
         this block was changed, removed or inserted:\n\n  nightbell verify --head {hash}\n",
        time = head.time.iso(),
        hash = head.hash,
        archived = head.archived,
    );
    (format!("Archive head of {date}: block {block}"), text)
}

#[cfg(test)]
mod tests {
    use nightbell_store::Position;
    use nightbell_store::archive::Fingerprint;

    use super::*;

    #[test]
    fn the_message_says_the_head_and_what_it_is_good_for() {
        let now = Timestamp::from_millis(1_789_364_521_123);
        let head = Head { next: 18, hash: Fingerprint::of(b""), time: now, archived: Position::new(901) };
        let (subject, text) = words(&head, now);
        assert_eq!(subject, "Archive head of 2026-09-14: block 17");
        for part in ["block 17", "2026-09-14T", "position 901", &format!("verify --head {}", head.hash)] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight() {
        assert_eq!(day(Timestamp::from_millis(DAY_MS - 1)), 0);
        assert_eq!(day(Timestamp::from_millis(DAY_MS)), 1);
        assert_eq!(day(Timestamp::from_millis(-1)), -1);
    }
}
