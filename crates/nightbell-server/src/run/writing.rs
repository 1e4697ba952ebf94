/*!
Writing mails: what stands in a delivery, the topic's own template, and the sample events as they came.

Blocks and draws, so it belongs where blocking is allowed. What many subscribers of one message share, its picture and
its events, is kept for a moment. A template that is damaged or a block that is gone costs the mail nothing but that.
*/

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use nightbell_core::delivery::{Content, Delivery};
use nightbell_core::event::Event;
use nightbell_core::evidence::{Place, Sample};
use nightbell_core::time::Timestamp;
use nightbell_core::topic::Topic;
use nightbell_deliver::message::{ENCLOSED_BYTES_MAX, ENCLOSED_EVENTS_MAX};
use nightbell_deliver::{Enclosure, Mail, Pictures, RawEvent, Template, render};
use nightbell_store::{Journal, Position};
use tracing::{debug, warn};

use crate::app::App;
use crate::manage::topics;

/// Bytes of blocks unpacked for the events of one mail; events in later blocks are left out.
const ENCLOSED_READ_BYTES_MAX: usize = 32 << 20;
/// Messages whose events are kept for the next subscriber, each at most `ENCLOSED_BYTES_MAX` large.
const RECENT_MAX: usize = 8;

/// Where a sample is stored and when it happened.
type Stored = (Place, Timestamp);

/// Where the samples of a message are stored, and what was found there.
type Enclosed = (Vec<Stored>, Arc<[RawEvent]>);

/// Writes mails.
#[derive(Default)]
pub(super) struct Writing {
    pictures: Pictures,
    recent: Mutex<VecDeque<Enclosed>>,
}

impl Writing {
    /// The mail that `delivery` stands for, at `now`.
    pub(super) fn write(&self, app: &App, delivery: &Delivery, now: Timestamp) -> Mail {
        let topic = topics::find(&app.records, &delivery.topic).ok();
        let template = topic.as_ref().and_then(|topic| template(topic, &delivery.content));
        let events = self.events(&*app.journal, samples(&delivery.content));
        let enclosure = Enclosure {
            template: template.as_ref(),
            events: &events,
            pictures: Some(&self.pictures),
            sender_name: topic.as_ref().and_then(topics::display_name),
            trial: false,
        };
        render(delivery, &app.origin, enclosure, now)
    }

    fn events(&self, journal: &dyn Journal, samples: &[Sample]) -> Arc<[RawEvent]> {
        let stored: Vec<Stored> = samples
            .iter()
            .filter_map(|sample| Some((sample.place?, sample.time)))
            .take(ENCLOSED_EVENTS_MAX)
            .collect();
        if stored.is_empty() {
            return Arc::default();
        }
        // Held while reading, so that subscribers who are written to at once wait for one reading.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, events)) = recent.iter().find(|(kept, _)| *kept == stored) {
            return Arc::clone(events);
        }
        let events: Arc<[RawEvent]> = read(journal, &stored).into();
        recent.truncate(RECENT_MAX - 1);
        recent.push_front((stored, Arc::clone(&events)));
        events
    }
}

/// The events that a message shows as examples.
fn samples(content: &Content) -> &[Sample] {
    match content {
        Content::Alarm(transition) => &transition.evidence.samples,
        Content::Incident(message) => &message.note.news.evidence.samples,
        Content::Published { .. }
        | Content::Confirmation { .. }
        | Content::Digest(_)
        | Content::Composite(_) => &[],
    }
}

/// The events that are still where they were stored, in the order of `stored`.
fn read(journal: &dyn Journal, stored: &[Stored]) -> Vec<RawEvent> {
    let mut by_block: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (n, (place, _)) in stored.iter().enumerate() {
        by_block.entry(place.block).or_default().push(n);
    }
    let mut found: BTreeMap<usize, RawEvent> = BTreeMap::new();
    let mut room = ENCLOSED_READ_BYTES_MAX;
    for (number, wanted) in by_block {
        let position = Position::new(number);
        if position < journal.start() {
            continue;
        }
        let block = match journal.read(position, 1) {
            Ok(blocks) => blocks.into_iter().next().filter(|block| block.position == position),
            Err(error) => {
                debug!(%error, %position, "events are not enclosed");
                None
            }
        };
        let Some(block) = block else { continue };
        for n in wanted {
            let (place, time) = stored[n];
            let batch = block.batches.get(place.batch as usize);
            let event = batch.and_then(|batch| batch.events.get(place.event as usize));
            // After the store was emptied another event may stand there.
            let fits = |event: &&Event| event.time == time && event.message.len() <= ENCLOSED_BYTES_MAX;
            if let Some(event) = event.filter(fits) {
                found.insert(n, RawEvent { time, message: event.message.clone() });
            }
        }
        match room.checked_sub(block.bytes()) {
            Some(left) => room = left,
            None => break,
        }
    }
    found.into_values().collect()
}

/// The topic's own template, for what is written by templates.
fn template(topic: &Topic, content: &Content) -> Option<Template> {
    if matches!(content, Content::Published { .. } | Content::Confirmation { .. }) {
        return None;
    }
    match Template::parse(topics::template(topic)?) {
        Ok(template) => Some(template),
        Err(error) => {
            // It was checked when it was set, by this version or an earlier one.
            warn!(topic = topic.arn, %error, "a topic's template cannot be used");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use nightbell_core::event::{Batch, Group};
    use nightbell_store::MemoryStore;

    use super::*;

    const AT: Timestamp = Timestamp::from_seconds(1_622_570_885);

    async fn store(messages: &[&str]) -> MemoryStore {
        let store = MemoryStore::default();
        for message in messages {
            let event = Event { time: AT, message: (*message).to_owned() };
            let group = Group { region: "us-east-2".to_owned(), name: "g".to_owned() };
            let batch = Batch { group, stream: "s".to_owned(), arrival: AT, events: vec![event] };
            store.append(batch).await.unwrap();
        }
        store
    }

    fn place(block: u64, batch: u32, event: u32) -> Stored {
        (Place { block, batch, event }, AT)
    }

    fn messages(journal: &dyn Journal, stored: &[Stored]) -> Vec<String> {
        read(journal, stored).into_iter().map(|event| event.message).collect()
    }

    #[tokio::test]
    async fn events_are_found_by_their_place_and_only_there() {
        let store = store(&["a", "b", "c"]).await;
        assert_eq!(messages(&store, &[place(2, 0, 0), place(0, 0, 0)]), ["c", "a"], "in the order asked for");
        let nowhere =
            [place(3, 0, 0), place(u64::MAX, 0, 0), place(0, 1, 0), place(0, 0, 1), place(0, u32::MAX, 9)];
        assert_eq!(messages(&store, &nowhere), [""; 0]);
        let another = (Place { block: 1, batch: 0, event: 0 }, AT.plus_millis(1));
        assert_eq!(messages(&store, &[another, place(1, 0, 0)]), ["b"], "the time tells events apart");
        store.trim(Position::new(2)).unwrap();
        assert_eq!(messages(&store, &[place(0, 0, 0), place(1, 0, 0), place(2, 0, 0)]), ["c"]);
    }

    #[tokio::test]
    async fn what_is_too_large_is_left_out() {
        let large = "x".repeat(ENCLOSED_BYTES_MAX + 1);
        let store = store(&[&large, "b"]).await;
        assert_eq!(messages(&store, &[place(0, 0, 0), place(1, 0, 0)]), ["b"]);
    }

    #[tokio::test]
    async fn events_of_one_message_are_read_once() {
        let store = store(&["a", "b"]).await;
        let sample = |block| Sample {
            time: AT,
            line: String::new(),
            place: Some(Place { block, batch: 0, event: 0 }),
        };
        let writing = Writing::default();
        let first = writing.events(&store, &[sample(0)]);
        store.trim(Position::new(1)).unwrap();
        assert!(Arc::ptr_eq(&first, &writing.events(&store, &[sample(0)])));
        for n in 0..RECENT_MAX as u64 {
            writing.events(&store, &[sample(1), sample(100 + n)]);
        }
        assert!(writing.events(&store, &[sample(0)]).is_empty(), "it gave way, and its block is gone");
        assert!(writing.events(&store, &[Sample { place: None, ..sample(0) }]).is_empty());
    }
}
