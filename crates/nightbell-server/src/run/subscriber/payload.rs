/*!
What a subscription's destination is handed: the events that a filter matches in a log stream, in payloads of bounded size.

A stream gets gzip, a function the JSON of an event that holds it ("Log group-level subscription filters", CloudWatch Logs User Guide).
Where it goes and when is the subscriber's matter.
*/

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightbell_core::event::Batch;
use nightbell_core::fields::Subject;
use nightbell_core::time::Timestamp;
use nightbell_wire::deflate::gzip;
use serde::Serialize;

use crate::app::App;
use crate::functions::queue::EVENT_BYTES_MAX;
use crate::manage::subscriptions::{Armed, Destination};
use crate::search::place_text;

/// Bytes of the events of one payload before it is compressed; one event always fits.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1_000_000;

/// What is handed over at once.
#[derive(Debug)]
pub(super) struct Payload {
    /// As the destination takes it.
    pub(super) body: Vec<u8>,
    /// How many log events it holds.
    pub(super) events: u64,
}

/// What a filter matches in batches of one log stream. Each comes with the number of its first event in the block at `position`.
pub(super) fn of_stream(app: &App, batches: &[(u32, &Batch)], armed: &Armed, position: u64) -> Vec<Payload> {
    let (mut payloads, mut events, mut bytes) = (Vec::new(), Vec::new(), 0);
    let Some((_, batch)) = batches.first() else { return payloads };
    let packing = Packing { app, batch, armed };
    for (first, batch) in batches {
        for (number, event) in (*first..).zip(&batch.events) {
            let subject = Subject::new(&event.message, &batch.stream, &app.reader);
            if !armed.pattern.matches(&subject) {
                continue;
            }
            if bytes + event.message.len() > PAYLOAD_BYTES_MAX && !events.is_empty() {
                packing.pack(std::mem::take(&mut events), &mut payloads);
                bytes = 0;
            }
            bytes += event.message.len();
            let extracted = armed.pattern.extract(&subject);
            events.push(LogEvent {
                id: place_text((event.time.as_millis(), position, number)),
                timestamp: event.time.as_millis(),
                message: &event.message,
                extracted_fields: (!extracted.is_empty())
                    .then(|| extracted.into_iter().map(|(name, value)| (plain_name(&name), value)).collect()),
            });
        }
    }
    if !events.is_empty() {
        packing.pack(events, &mut payloads);
    }
    payloads
}

/// What a destination is handed when a subscription is made, to see whether it takes it.
pub(crate) fn control_message(destination: &Destination, now: Timestamp) -> Vec<u8> {
    let name = match destination {
        Destination::Stream(_) => "Firehose",
        Destination::Function(_) => "Lambda",
    };
    let event = LogEvent {
        id: String::new(),
        timestamp: now.as_millis(),
        message: &format!("CWL CONTROL MESSAGE: Checking health of destination {name}."),
        extracted_fields: None,
    };
    let document = Document {
        message_type: "CONTROL_MESSAGE",
        owner: "CloudwatchLogs",
        log_group: "",
        log_stream: "",
        subscription_filters: &[],
        log_events: &[event],
    };
    document.packed(destination)
}

/// Whose events are packed.
struct Packing<'a> {
    app: &'a App,
    /// One of theirs, which all have its group and stream.
    batch: &'a Batch,
    armed: &'a Armed,
}

impl Packing<'_> {
    /// Packs events, in halves where they are too large for a function: what does not compress well grows on its way there.
    fn pack(&self, mut events: Vec<LogEvent<'_>>, out: &mut Vec<Payload>) {
        let document = Document {
            message_type: "DATA_MESSAGE",
            owner: &self.app.account,
            log_group: &self.batch.group.name,
            log_stream: &self.batch.stream,
            subscription_filters: &[&self.armed.filter.name],
            log_events: &events,
        };
        let body = document.packed(&self.armed.destination);
        let is_large =
            matches!(self.armed.destination, Destination::Function(_)) && body.len() > EVENT_BYTES_MAX;
        if is_large && events.len() > 1 {
            let rest = events.split_off(events.len() / 2);
            self.pack(events, out);
            self.pack(rest, out);
            return;
        }
        out.push(Payload { body, events: events.len() as u64 });
    }
}

/// `$.a` and `$a` are `a`.
fn plain_name(name: &str) -> String {
    name.trim_start_matches('$').trim_start_matches('.').to_owned()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    message_type: &'static str,
    owner: &'a str,
    log_group: &'a str,
    log_stream: &'a str,
    subscription_filters: &'a [&'a str],
    log_events: &'a [LogEvent<'a>],
}

impl Document<'_> {
    fn packed(&self, destination: &Destination) -> Vec<u8> {
        let zipped = gzip(&serde_json::to_vec(self).expect("a payload is plain structs with string keys"));
        match destination {
            Destination::Stream(_) => zipped,
            // Base64 needs no escapes.
            Destination::Function(_) => {
                format!(r#"{{"awslogs":{{"data":"{}"}}}}"#, STANDARD.encode(zipped)).into_bytes()
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogEvent<'a> {
    id: String,
    timestamp: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    extracted_fields: Option<BTreeMap<String, String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_plain() {
        assert_eq!((plain_name("$.a.b"), plain_name("$w1")), ("a.b".to_owned(), "w1".to_owned()));
    }

    #[test]
    fn a_function_is_handed_base64_of_gzip() {
        let function = Destination::Function("arn".into());
        let event = control_message(&function, Timestamp::from_millis(7));
        let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
        let zipped = STANDARD.decode(event["awslogs"]["data"].as_str().unwrap()).unwrap();
        let text = nightbell_wire::inflate::gunzip(&zipped, 10_000).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(read["messageType"], "CONTROL_MESSAGE");
        assert_eq!(
            read["logEvents"][0]["message"],
            "CWL CONTROL MESSAGE: Checking health of destination Lambda."
        );
    }
}
