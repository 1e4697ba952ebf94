/*!
Writing mails: what stands in a delivery, the topic's own template, and the sample events as they came.

Blocks and draws, so it belongs where blocking is allowed. What many subscribers of one message share, its picture and
its events, is kept for a moment. A template that is damaged or an event that is gone costs the mail nothing but that.
*/

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use nightbell_core::delivery::{Content, Delivery};
use nightbell_core::evidence::Sample;
use nightbell_core::time::Timestamp;
use nightbell_core::topic::Topic;
use nightbell_deliver::message::{ENCLOSED_BYTES_MAX, ENCLOSED_EVENTS_MAX};
use nightbell_deliver::{Enclosure, Mail, Pictures, RawEvent, Template, render};
use tracing::warn;

use crate::app::App;
use crate::manage::topics;
use crate::search::lookup::{self, Wanted};

/// Messages whose events are kept for the next subscriber, each at most `ENCLOSED_BYTES_MAX` large.
const RECENT_MAX: usize = 8;

/// Where the samples of a message are stored, and what was found there.
type Enclosed = (Vec<Wanted>, Arc<[RawEvent]>);

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
        let events = self.events(samples(&delivery.content), |stored| read(app, stored, now));
        let enclosure = Enclosure {
            template: template.as_ref(),
            events: &events,
            pictures: Some(&self.pictures),
            sender_name: topic.as_ref().and_then(topics::display_name),
            trial: false,
        };
        render(delivery, &app.origin, enclosure, now)
    }

    fn events(&self, samples: &[Sample], read: impl FnOnce(&[Wanted]) -> Vec<RawEvent>) -> Arc<[RawEvent]> {
        let stored: Vec<Wanted> = samples
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
        let events: Arc<[RawEvent]> = read(&stored).into();
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
        | Content::Farewell { .. }
        | Content::Digest(_)
        | Content::Composite(_) => &[],
    }
}

/// The events that are still there, in the order of `stored`.
fn read(app: &App, stored: &[Wanted], now: Timestamp) -> Vec<RawEvent> {
    let found = lookup::messages(app, stored, ENCLOSED_BYTES_MAX, now);
    found.into_iter().map(|(n, message)| RawEvent { time: stored[n].1, message }).collect()
}

/// The topic's own template, for what is written by templates.
fn template(topic: &Topic, content: &Content) -> Option<Template> {
    if matches!(content, Content::Published { .. } | Content::Confirmation { .. } | Content::Farewell { .. })
    {
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
    use std::cell::Cell;

    use nightbell_core::evidence::{Evidence, Place};
    use nightbell_core::metric::{Aggregate, Datum, Series};
    use nightbell_core::topic::Endpoint;
    use nightbell_core::watch::{Effect, Input, Watch};

    use super::super::watcher::tests::by;
    use super::*;
    use crate::search::sample::{REGION, World, at, group};

    #[test]
    fn events_of_one_message_are_read_once() {
        let sample = |block| Sample {
            time: Timestamp::from_seconds(1_622_570_885),
            line: String::new(),
            place: Some(Place { block, number: 0, group: 7 }),
        };
        let readings = Cell::new(0);
        let read = |stored: &[Wanted]| {
            readings.set(readings.get() + 1);
            stored.iter().map(|(_, time)| RawEvent { time: *time, message: "m".to_owned() }).collect()
        };
        let writing = Writing::default();
        let first = writing.events(&[sample(0)], read);
        assert!(Arc::ptr_eq(&first, &writing.events(&[sample(0)], read)));
        assert_eq!((first.len(), readings.get()), (1, 1));
        for n in 0..RECENT_MAX as u64 {
            writing.events(&[sample(1), sample(100 + n)], read);
        }
        writing.events(&[sample(0)], read);
        assert_eq!(readings.get(), RECENT_MAX + 2, "it gave way to the others");
        assert!(writing.events(&[Sample { place: None, ..sample(0) }], read).is_empty());
        assert_eq!(readings.get(), RECENT_MAX + 2, "what has no place is not looked for");
    }

    /// Six events of ann, as the matcher counts them, from the one numbered `first` in the block on.
    fn counted(block: u64, first: u32) -> Input {
        let numbers = first..first + 6;
        let sample = |number: u32| Sample {
            time: at(number.into()),
            line: format!("event {number}"),
            place: Some(Place { block, number, group: group("files").digest() }),
        };
        let (start, end) = (Some(at(first.into())), Some(at((first + 5).into())));
        let samples = numbers.map(sample).collect();
        let evidence = Evidence {
            events: 6,
            first: start,
            last: end,
            last_arrival: end,
            samples,
            ..Evidence::default()
        };
        let mut aggregate = Aggregate::default();
        aggregate.add(1.0, 6.0);
        let series = Series::new(REGION, "files", "Denied", vec![("User".to_owned(), "ann".to_owned())]);
        Input::Data(vec![Datum {
            series,
            second: at(first.into()).second(),
            unit: None,
            aggregate,
            evidence,
        }])
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn mails_enclose_events_that_only_the_archive_has() {
        let world = World::with_groups(&["files"]);
        let events = (0..12).map(|n| (n * 1_000, format!("message {n} as it came"))).collect();
        let position = world.append("files", "s", 12, events).await;
        world.archive_to(position.next()).await;

        let mut watch = Watch::new("123456789012");
        watch.step(at(0), Input::PutAlarm { alarm: by("User"), history: Vec::new() });
        let mut effects = watch.step(at(6), counted(position.number(), 0));
        effects.extend(watch.step(at(12), counted(position.number(), 6)));
        effects.extend((13..4_000).flat_map(|second| watch.step(at(second), Input::Tick)));
        let mut enclosed = Vec::new();
        for effect in effects {
            let content = match effect {
                Effect::Transition(told) => Content::Alarm(told),
                Effect::Note(told) => Content::Incident(told),
                _ => continue,
            };
            let kind = if matches!(content, Content::Alarm(_)) { "alarm" } else { "incident" };
            let delivery = Delivery {
                id: "d".to_owned(),
                created: at(6),
                topic: String::new(),
                endpoint: Endpoint::Email("ann@example.org".to_owned()),
                unsubscribe_url: None,
                content,
            };
            let app = Arc::clone(&world.app);
            let written =
                tokio::task::spawn_blocking(move || Writing::default().write(&app, &delivery, at(3_600)));
            for file in written.await.unwrap().attachments {
                let text = String::from_utf8_lossy(&file.content).into_owned();
                enclosed
                    .extend((0..12).filter(|n| text.contains(&format!("message {n} as"))).map(|n| (kind, n)));
            }
        }
        assert!(enclosed.contains(&("alarm", 0)) && enclosed.contains(&("incident", 6)), "{enclosed:?}");
    }
}
