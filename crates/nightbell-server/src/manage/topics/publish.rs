/*!
Publishing: from one message to one delivery for each subscriber who wants it.

What alarms say goes the same way through [`addressed`], so filter policies hold for both. Rules and texts: Amazon SNS API reference,
"Publish"; Amazon SNS Developer Guide, "Amazon SNS message filtering".
*/

use std::borrow::Cow;
use std::collections::BTreeMap;

use nightbell_core::delivery::{Content, Delivery};
use nightbell_core::filter_policy::MessageAttribute;
use nightbell_core::time::Timestamp;
use nightbell_core::topic::{Consent, Subscription};
use nightbell_deliver::message::{alarm_json, composite_json};
use nightbell_store::Write;

use super::outbox::{LANE_BYTES_MAX, Lane, Lanes, Waiting, delivery_id};
use super::subscription_attributes::filter_policy;
use super::{Links, Refusal, find, subscriptions};
use crate::catalog::Records;

/// Largest message of Publish with its attributes, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 262_144;
/// Longest subject of Publish, in characters.
pub(crate) const SUBJECT_CHARS_MAX: usize = 100;

/// A message as Publish takes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// Its id, a UUID.
    pub(crate) id: String,
    /// Subject line.
    pub(crate) subject: Option<String>,
    /// The text, or with `by_protocol` a JSON object with one text for each protocol.
    pub(crate) text: String,
    /// `MessageStructure=json`.
    pub(crate) by_protocol: bool,
    /// What the publisher says about it, by name.
    pub(crate) attributes: BTreeMap<String, MessageAttribute>,
}

impl Message {
    /// Bytes of text and attributes together.
    pub(crate) fn bytes(&self) -> usize {
        let attribute = |(name, attribute): (&String, &MessageAttribute)| {
            name.len() + attribute.data_type.len() + attribute.value.len()
        };
        self.text.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }
}

/// Publishes messages to every subscriber of `topic` who wants them: all of them, or none where this fails.
pub(crate) fn publish(
    records: &Records,
    lanes: &Lanes,
    topic: &str,
    messages: &[Message],
    links: &Links<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    find(records, topic)?;
    let mut texts = Vec::with_capacity(messages.len());
    for message in messages {
        check_message(message)?;
        texts.push(protocol_texts(message)?);
    }
    let mut going = Going { lanes, change: Write::new(), bytes: [0; Lane::ALL.len()] };
    let done = fan_out(records, topic, messages.iter().zip(&texts), links, now, &mut going);
    match done.and_then(|()| Ok(records.commit(std::mem::take(&mut going.change))?)) {
        Ok(()) => Ok(()),
        Err(refusal) => {
            Lane::ALL.into_iter().for_each(|lane| lanes.left(lane, going.bytes[lane as usize]));
            Err(refusal)
        }
    }
}

/// What is being enqueued, and its bytes in each lane.
struct Going<'a> {
    lanes: &'a Lanes,
    change: Write,
    bytes: [u64; Lane::ALL.len()],
}

fn fan_out<'a>(
    records: &Records,
    topic: &str,
    messages: impl Iterator<Item = (&'a Message, &'a BTreeMap<String, String>)>,
    links: &Links<'_>,
    now: Timestamp,
    going: &mut Going<'_>,
) -> Result<(), Refusal> {
    let subscribers = subscriptions(records, topic)?;
    for (message, texts) in messages {
        for subscription in &subscribers {
            let text = texts.get(subscription.endpoint.protocol()).or_else(|| texts.get("default"));
            let content = Content::Published {
                subject: message.subject.clone(),
                message: text.cloned().unwrap_or_default(),
                attributes: message.attributes.clone(),
            };
            let cause = ["publish", message.id.as_str()];
            let Some(waiting) = addressed(subscription, content, &cause, links, now) else { continue };
            let lane = Lane::of(&subscription.endpoint);
            if going.lanes.waiting(lane) >= LANE_BYTES_MAX {
                return Err(Refusal::Busy(format!(
                    "Rate exceeded: {LANE_BYTES_MAX} bytes wait to be delivered by {}; nothing was published, try again later",
                    lane.name()
                )));
            }
            going.bytes[lane as usize] += going.lanes.enqueue(&mut going.change, now, &waiting);
        }
    }
    Ok(())
}

/// One delivery of `content` to `subscription`; `None` where the subscriber has not agreed or filters it out. What is published has its
/// id as the last of `cause`; the id of anything else is made of the whole cause.
pub(crate) fn addressed(
    subscription: &Subscription,
    content: Content,
    cause: &[&str],
    links: &Links<'_>,
    now: Timestamp,
) -> Option<Waiting> {
    if subscription.consent != Consent::Confirmed || !wants(subscription, &content) {
        return None;
    }
    let message_id = match cause {
        ["publish", id] => (*id).to_owned(),
        _ => as_uuid(&delivery_id(cause, "")),
    };
    let delivery = Delivery {
        id: delivery_id(cause, &subscription.arn),
        created: now,
        topic: subscription.topic.clone(),
        endpoint: subscription.endpoint.clone(),
        unsubscribe_url: Some(links.unsubscribe(&subscription.arn)),
        content,
    };
    let subscription = Some(subscription.arn.clone());
    Some(Waiting { delivery, tries: 0, last_error: None, subscription, message_id })
}

/// 32 hexadecimal digits in the form of a UUID.
pub(crate) fn as_uuid(digits: &str) -> String {
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// Whether the subscription's filter policy takes the message.
fn wants(subscription: &Subscription, content: &Content) -> bool {
    let Some(policy) = filter_policy(subscription) else { return true };
    let none = BTreeMap::new();
    let (attributes, body): (_, Cow<'_, str>) = match content {
        Content::Published { message, attributes, .. } => (attributes, message.into()),
        Content::Alarm(transition) => (&none, alarm_json(transition).into()),
        Content::Composite(transition) => (&none, composite_json(transition).into()),
        // No JSON for programs goes with these.
        Content::Confirmation { .. }
        | Content::Farewell { .. }
        | Content::Incident(_)
        | Content::Digest(_) => (&none, "".into()),
    };
    policy.matches(attributes, &body)
}

/// Refuses a message that is empty or breaks a limit.
pub(crate) fn check_message(message: &Message) -> Result<(), Refusal> {
    if message.text.is_empty() {
        return Err(Refusal::Invalid("Invalid parameter: Empty message".into()));
    }
    let bytes = message.bytes();
    if bytes > MESSAGE_BYTES_MAX {
        return Err(Refusal::Invalid(format!(
            "Invalid parameter: Message too long: {bytes} bytes with attributes exceed the limit of {MESSAGE_BYTES_MAX}"
        )));
    }
    if let Some(subject) = &message.subject {
        let starts =
            subject.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c.is_ascii_punctuation());
        let plain = subject.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
        if !starts || !plain || subject.len() > SUBJECT_CHARS_MAX {
            return Err(Refusal::Invalid("Invalid parameter: Subject".into()));
        }
    }
    protocol_texts(message).map(|_| ())
}

fn protocol_texts(message: &Message) -> Result<BTreeMap<String, String>, Refusal> {
    if !message.by_protocol {
        return Ok(BTreeMap::from([("default".to_owned(), message.text.clone())]));
    }
    let invalid = |text: &str| Refusal::Invalid(format!("Invalid parameter: Message Structure - {text}"));
    let parsed: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&message.text).map_err(|_| invalid("JSON message body failed to parse"))?;
    let texts: BTreeMap<String, String> = parsed
        .into_iter()
        .filter_map(|(protocol, value)| value.as_str().map(|text| (protocol, text.to_owned())))
        .collect();
    if texts.contains_key("default") {
        Ok(texts)
    } else {
        Err(invalid("No default entry in JSON message body"))
    }
}

#[cfg(test)]
mod tests {
    use nightbell_core::topic::Endpoint;

    use super::*;

    fn message(subject: Option<&str>, text: &str, by_protocol: bool) -> Message {
        let subject = subject.map(str::to_owned);
        Message { id: "m".into(), subject, text: text.into(), by_protocol, ..Message::default() }
    }

    fn refused(message: &Message) -> String {
        match check_message(message) {
            Err(Refusal::Invalid(text)) => text,
            other => panic!("{message:?}: {other:?}"),
        }
    }

    #[test]
    fn texts_by_protocol_are_those_of_the_vectors() {
        let both = r#"{"default":"d","email":"e"}"#;
        let rows = [
            ("J01", both, true, "email", "e"),
            ("J02", both, true, "lambda", "d"),
            ("J05", "not json", false, "email", "not json"),
        ];
        for (id, text, by_protocol, protocol, expected) in rows {
            let texts = protocol_texts(&message(None, text, by_protocol)).unwrap();
            assert_eq!(texts.get(protocol).unwrap_or(&texts["default"]), expected, "{id}");
        }
        let start = "Invalid parameter: Message Structure - ";
        let long = "s".repeat(101);
        let rows = [
            (
                "J03",
                message(None, r#"{"email":"e"}"#, true),
                format!("{start}No default entry in JSON message body"),
            ),
            ("J04", message(None, "not json", true), format!("{start}JSON message body failed to parse")),
            ("J06", message(Some(&long), "m", false), "Invalid parameter: Subject".to_owned()),
            ("J07", message(None, "", false), "Invalid parameter: Empty message".to_owned()),
        ];
        for (id, message, expected) in rows {
            assert_eq!(refused(&message), expected, "{id}");
        }
    }

    #[test]
    fn messages_and_subjects_have_limits() {
        assert!(check_message(&message(Some("hello"), "m", false)).is_ok());
        for bad in ["", " starts with a blank", "two\nlines", "Häufung"] {
            refused(&message(Some(bad), "m", false));
        }
        let mut full = message(None, &"m".repeat(MESSAGE_BYTES_MAX - 8), false);
        let attribute = MessageAttribute { data_type: "String".into(), value: "v".into() };
        full.attributes.insert("n".into(), attribute.clone());
        assert!(check_message(&full).is_ok());
        full.attributes.insert("o".into(), attribute);
        assert!(refused(&full).starts_with("Invalid parameter: Message too long: 262152 bytes"));
    }

    #[test]
    fn ids_of_messages_are_uuids() {
        assert_eq!(as_uuid("0123456789abcdef0123456789abcdef"), "01234567-89ab-cdef-0123-456789abcdef");
    }

    /// The vectors of filter policies, at the fan-out.
    #[test]
    fn a_filter_policy_holds_messages_back() {
        let state = r#"{"state":["ALARM"]}"#;
        let rows = [
            ("L01", state, "MessageAttributes", "m", vec![("state", "ALARM")], true),
            ("L02", state, "MessageAttributes", "m", vec![("state", "alarm")], false),
            ("L03", state, "MessageAttributes", "m", vec![], false),
            (
                "L10",
                r#"{"NewStateValue":["ALARM"]}"#,
                "MessageBody",
                r#"{"NewStateValue":"ALARM"}"#,
                vec![],
                true,
            ),
            ("L11", r#"{"NewStateValue":["ALARM"]}"#, "MessageBody", "no JSON", vec![], false),
        ];
        for (id, policy, scope, text, said, expected) in rows {
            let mut subscription = Subscription {
                arn: "arn:aws:sns:r:1:t:s".into(),
                topic: "arn:aws:sns:r:1:t".into(),
                endpoint: Endpoint::Email("a@example.org".into()),
                consent: Consent::Confirmed,
                attributes: BTreeMap::new(),
                principal: None,
                authenticated: false,
                keeps_strangers_out: false,
            };
            subscription.attributes.insert("FilterPolicy".into(), policy.into());
            subscription.attributes.insert("FilterPolicyScope".into(), scope.into());
            let attributes = said
                .into_iter()
                .map(|(name, value)| {
                    (name.to_owned(), MessageAttribute { data_type: "String".into(), value: value.into() })
                })
                .collect();
            let content = Content::Published { subject: None, message: text.into(), attributes };
            let links = Links { public_url: "http://x" };
            let now = Timestamp::from_millis(0);
            let waiting = addressed(&subscription, content, &["publish", "id"], &links, now);
            assert_eq!(waiting.is_some(), expected, "{id}");
            assert!(waiting.is_none_or(|waiting| waiting.message_id == "id"));
        }
    }
}
