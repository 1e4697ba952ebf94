/*!
Stored events before the live ones: pages of FilterLogEvents of each group, put together in order of time, and what was
shown of them, so that no event is shown twice.
*/

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Event, Group, Tail, clock};
use crate::client::Client;

/// Events handed over at once.
const EVENTS_AT_ONCE: usize = 1_000;
/// How far the clocks of this machine and the server's may differ.
const SKEW_MS: i64 = 60_000;
/// Events shown that are remembered; past it one that comes again is shown again.
const TOLD_MAX: usize = 100_000;

/// The stored events of some groups, in order of time.
pub(super) struct History {
    client: Client,
    sources: Vec<Source>,
    prefixes: Vec<String>,
    begun: i64,
}

/// The stored events of one group.
struct Source {
    group: String,
    request: Value,
    held: VecDeque<Event>,
    finished: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    events: Vec<PageEvent>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageEvent {
    log_stream_name: String,
    timestamp: i64,
    message: String,
    ingestion_time: i64,
}

impl History {
    /// What `tail` asks for, from `since` until now.
    pub(super) fn new(client: Client, groups: &[Group], tail: &Tail, since: i64) -> Self {
        let begun = clock::now().as_millis();
        let source = |group: &Group| {
            // What comes later comes as it comes.
            let end = begun.saturating_add(SKEW_MS);
            let mut request = json!({ "logGroupName": group.name, "startTime": since, "endTime": end });
            if !tail.stream.is_empty() {
                request["logStreamNames"] = json!(tail.stream);
            }
            if let [prefix] = &tail.prefix[..] {
                request["logStreamNamePrefix"] = json!(prefix);
            }
            if let Some(pattern) = &tail.filter {
                request["filterPattern"] = json!(pattern);
            }
            Source { group: group.name.clone(), request, held: VecDeque::new(), finished: false }
        };
        Self { client, sources: groups.iter().map(source).collect(), prefixes: tail.prefix.clone(), begun }
    }

    /// When it began to be read, in milliseconds since 1970.
    pub(super) fn begun(&self) -> i64 {
        self.begun
    }

    /// The next events; nothing when there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Event>>> {
        let mut events = Vec::new();
        while events.len() < EVENTS_AT_ONCE {
            for source in &mut self.sources {
                source.fill(&self.client, &self.prefixes).await?;
            }
            let time = |source: &&mut Source| source.held.front().map_or(i64::MAX, |event| event.time);
            let first = self.sources.iter_mut().min_by_key(time);
            let Some(event) = first.and_then(|source| source.held.pop_front()) else { break };
            events.push(event);
        }
        Ok((!events.is_empty()).then_some(events))
    }
}

impl Source {
    /// Reads on until an event is held, or there are no more.
    async fn fill(&mut self, client: &Client, prefixes: &[String]) -> Result<()> {
        while self.held.is_empty() && !self.finished {
            let answer = client.logs("FilterLogEvents", &self.request).await?;
            let page: Page =
                serde_json::from_value(answer).context("the server's answer is no page of events")?;
            self.finished = page.next_token.is_none();
            self.request["nextToken"] = json!(page.next_token);
            let wanted = |event: &PageEvent| {
                prefixes.is_empty() || prefixes.iter().any(|prefix| event.log_stream_name.starts_with(prefix))
            };
            let named = |event: PageEvent| Event {
                group: self.group.clone(),
                stream: event.log_stream_name,
                time: event.timestamp,
                arrival: event.ingestion_time,
                message: event.message,
            };
            self.held.extend(page.events.into_iter().filter(wanted).map(named));
        }
        Ok(())
    }
}

/// What was shown of the stored events and may come again as a live one.
#[derive(Default)]
pub(super) struct Told {
    counts: HashMap<u64, u32>,
}

impl Told {
    /// Notes a stored event that was shown, if it came after the live ones began.
    pub(super) fn note(&mut self, event: &Event, begun: i64) {
        if event.arrival >= begun.saturating_sub(SKEW_MS) && self.counts.len() < TOLD_MAX {
            *self.counts.entry(digest(event)).or_default() += 1;
        }
    }

    /// Whether an event was shown already; each that was shown is known once.
    pub(super) fn knows(&mut self, event: &Event) -> bool {
        if self.counts.is_empty() {
            return false;
        }
        let digest = digest(event);
        let Some(count) = self.counts.get_mut(&digest) else { return false };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&digest);
        }
        true
    }
}

/// What tells an event from others.
pub(super) fn digest(event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    event.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_was_shown_is_known_as_often_as_it_was_shown() {
        let event = |message: &str, arrival| Event {
            group: "g".into(),
            stream: "s".into(),
            time: 5,
            arrival,
            message: message.into(),
        };
        let mut told = Told::default();
        let begun = 1_000_000;
        told.note(&event("twice", begun), begun);
        told.note(&event("twice", begun), begun);
        told.note(&event("long ago", begun - SKEW_MS - 1), begun);
        assert!(told.knows(&event("twice", begun)));
        assert!(told.knows(&event("twice", begun)));
        assert!(!told.knows(&event("twice", begun)));
        assert!(!told.knows(&event("twice", begun + 1)));
        assert!(!told.knows(&event("long ago", begun - SKEW_MS - 1)));
    }
}
