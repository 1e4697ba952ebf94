/*!
Topics, subscriptions, and publishing: from one message to one delivery for each subscriber.

Rules and texts: Amazon SNS API reference, "CreateTopic", "Subscribe", "ConfirmSubscription", "Publish".
*/

use std::collections::BTreeMap;

use nightbell_core::delivery::{Content, Delivery};
use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_core::topic::{Consent, Endpoint, Subscription, Topic};
use nightbell_store::{Space, Write};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::tags::{self, Tags};
use super::{Refusal, Resource};
use crate::catalog::{Failure, Key, Records, delete, put};

pub(crate) use attributes::{allowance, display_name, shown, template, wants_first_only};

mod attributes;

/// Longest name of a topic.
pub(crate) const TOPIC_NAME_MAX: usize = 256;
/// Largest message of Publish, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 262_144;
/// Longest subject of Publish, in characters.
pub(crate) const SUBJECT_CHARS_MAX: usize = 100;
/// Most subscriptions of one topic; what a mail server can take at once is the bound, not the catalog.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 10_000;
/// How long the link of a confirmation is good.
pub(crate) const TOKEN_AGE_MAX_MS: i64 = 3 * DAY_MS;
/// Longest mail address (RFC 5321, "Path": 256 with its brackets).
pub(crate) const ADDRESS_BYTES_MAX: usize = 254;

/// A delivery in the outbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// What is to be sent.
    pub(crate) delivery: Delivery,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// What the last try said.
    pub(crate) last_error: Option<String>,
    /// The subscription it is for: where that is gone, so is the delivery. `None` on what asks for confirmation.
    #[serde(default)]
    pub(crate) subscription: Option<String>,
}

/// Adds `delivery` to the outbox, due at `due`.
pub(crate) fn enqueue(change: &mut Write, due: Timestamp, waiting: &Waiting) {
    let bytes = serde_json::to_vec(waiting).expect("a delivery is plain structs with string keys");
    change.put(Space::Outbox, outbox_key(due, &waiting.delivery.id), bytes);
}

/// The outbox is in order of when deliveries are due.
pub(crate) fn outbox_key(due: Timestamp, id: &str) -> Vec<u8> {
    let mut key = due.as_millis().max(0).to_be_bytes().to_vec();
    key.extend_from_slice(id.as_bytes());
    key
}

/// A delivery's id: the same cause and endpoint give the same id, so a repeat is known as such.
pub(crate) fn delivery_id(cause: &[&str], endpoint: &str) -> String {
    let mut hash = Sha256::new();
    for part in cause.iter().chain([&endpoint]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The ARN of a topic.
pub(crate) fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:sns:{region}:{account}:{name}")
}

/// Makes a topic, or finds the one of this name.
pub(crate) fn create(
    records: &Records,
    arn: &str,
    name: &str,
    attributes: BTreeMap<String, String>,
    tags: &Tags,
    now: Timestamp,
) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > TOPIC_NAME_MAX || !name.chars().all(allowed) {
        return Err(Refusal::Invalid("Invalid parameter: Topic Name".into()));
    }
    attributes::check_all(&attributes)?;
    tags::check(tags)?;
    let _turn = records.turn();
    let key = Key::arn("topic", arn);
    if let Some(found) = records.get::<Topic>(&key)? {
        let same = attributes.iter().all(|(name, value)| found.attributes.get(name) == Some(value));
        let text = "Invalid parameter: Attributes Reason: Topic already exists with different attributes";
        if !same {
            return Err(Refusal::Invalid(text.into()));
        }
        let there = tags::of(records, arn)?;
        let same = tags.iter().all(|(key, value)| there.get(key) == Some(value));
        let text = "Invalid parameter: Tags Reason: Topic already exists with different tags";
        return if same { Ok(()) } else { Err(Refusal::Invalid(text.into())) };
    }
    let mut change = Write::new();
    put(&mut change, &key, &Topic { arn: arn.to_owned(), created: now, attributes });
    tags::put(&mut change, arn, tags);
    Ok(records.commit(change)?)
}

/// The topic, or a refusal that it is missing.
pub(crate) fn find(records: &Records, arn: &str) -> Result<Topic, Refusal> {
    if arn.contains('\0') {
        return Err(Refusal::Missing(Resource::Topic));
    }
    records.get(&Key::arn("topic", arn))?.ok_or(Refusal::Missing(Resource::Topic))
}

/// Sets an attribute of a topic; an empty value takes it away.
pub(crate) fn set_attribute(records: &Records, arn: &str, name: &str, value: &str) -> Result<(), Refusal> {
    let _turn = records.turn();
    let mut topic = find(records, arn)?;
    attributes::set(&mut topic, name, value)?;
    let mut change = Write::new();
    put(&mut change, &Key::arn("topic", arn), &topic);
    Ok(records.commit(change)?)
}

/// Deletes a topic and its subscriptions; a missing one is fine.
pub(crate) fn remove(records: &Records, arn: &str) -> Result<(), Refusal> {
    let _turn = records.turn();
    let mut change = Write::new();
    delete(&mut change, &Key::arn("topic", arn));
    tags::forget(&mut change, arn);
    for kind in ["subscription", "token"] {
        for key in records.keys(&Key::prefix(&[kind, arn], ""))? {
            delete(&mut change, &key);
        }
    }
    Ok(records.commit(change)?)
}

/// The topics of a region, by ARN.
pub(crate) fn list(records: &Records, region: &str, account: &str) -> Result<Vec<Topic>, Refusal> {
    Ok(records.list(&Key::prefix(&["topic"], &arn(region, account, "")))?)
}

/// The subscriptions of one topic.
pub(crate) fn subscriptions(records: &Records, topic: &str) -> Result<Vec<Subscription>, Failure> {
    records.list(&Key::prefix(&["subscription", topic], ""))
}

/// The subscriptions of a region, by topic.
pub(crate) fn all_subscriptions(
    records: &Records,
    region: &str,
    account: &str,
) -> Result<Vec<Subscription>, Refusal> {
    Ok(records.list(&Key::prefix(&["subscription"], &arn(region, account, "")))?)
}

/// A subscription by its ARN.
pub(crate) fn subscription(records: &Records, arn: &str) -> Result<Subscription, Refusal> {
    let missing = Refusal::Missing(Resource::Subscription);
    match subscription_key(arn) {
        Some(key) => records.get(&key)?.ok_or(missing),
        None => Err(missing),
    }
}

fn subscription_key(arn: &str) -> Option<Key> {
    let (topic, id) = arn.rsplit_once(':')?;
    (!arn.contains('\0')).then(|| Key::of(&["subscription", topic, id]))
}

/// Where a server's links point to and who it is, for what goes into a message.
pub(crate) struct Links<'a> {
    /// Base of links, without a slash at its end.
    pub(crate) public_url: &'a str,
}

impl Links<'_> {
    /// The link that confirms a subscription.
    pub(crate) fn confirm(&self, topic: &str, token: &str) -> String {
        format!("{}/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}", self.public_url)
    }

    /// The link that ends a subscription.
    pub(crate) fn unsubscribe(&self, arn: &str) -> String {
        format!("{}/?Action=Unsubscribe&SubscriptionArn={arn}", self.public_url)
    }
}

/// What a new subscription needs besides the catalog.
pub(crate) struct Asking<'a> {
    /// Where links point to.
    pub(crate) links: Links<'a>,
    /// A fresh random id.
    pub(crate) id: String,
    /// A fresh random token.
    pub(crate) token: String,
    /// When it is asked.
    pub(crate) now: Timestamp,
}

/// Subscribes `endpoint` and sends it a confirmation; an endpoint that is there already keeps its subscription.
pub(crate) fn subscribe(
    records: &Records,
    topic: &str,
    endpoint: Endpoint,
    asking: &Asking<'_>,
) -> Result<Subscription, Refusal> {
    check_endpoint(&endpoint)?;
    let _turn = records.turn();
    find(records, topic)?;
    let there = subscriptions(records, topic)?;
    let known = there.iter().find(|subscription| subscription.endpoint == endpoint);
    if let Some(known) = known
        && known.consent == Consent::Confirmed
    {
        return Ok(known.clone());
    }
    if there.len() >= SUBSCRIPTIONS_MAX {
        return Err(Refusal::Limit(format!(
            "Subscription limit exceeded: a topic has at most {SUBSCRIPTIONS_MAX}"
        )));
    }
    let arn = known.map_or_else(|| format!("{topic}:{}", asking.id), |known| known.arn.clone());
    // Asking again sends the same link again: the one in an earlier mail stays good.
    let token = match known.map(|known| &known.consent) {
        Some(Consent::Pending { token, since }) if asking.now.since(*since) <= TOKEN_AGE_MAX_MS => {
            token.clone()
        }
        _ => asking.token.clone(),
    };
    let subscription = Subscription {
        arn,
        topic: topic.to_owned(),
        endpoint: endpoint.clone(),
        consent: Consent::Pending { token: token.clone(), since: asking.now },
    };
    let delivery = Delivery {
        id: delivery_id(&["confirmation", &subscription.arn, &asking.id], &address(&endpoint)),
        created: asking.now,
        topic: topic.to_owned(),
        endpoint,
        unsubscribe_url: None,
        content: Content::Confirmation { confirm_url: asking.links.confirm(topic, &token) },
    };
    let key = subscription_key(&subscription.arn).ok_or(Refusal::Missing(Resource::Topic))?;
    let mut change = Write::new();
    put(&mut change, &key, &subscription);
    enqueue(&mut change, asking.now, &Waiting { delivery, tries: 0, last_error: None, subscription: None });
    records.commit(change)?;
    Ok(subscription)
}

/// Confirms the subscription of `topic` that was sent `token`; repeatable.
pub(crate) fn confirm(
    records: &Records,
    topic: &str,
    token: &str,
    now: Timestamp,
) -> Result<Subscription, Refusal> {
    let _turn = records.turn();
    find(records, topic)?;
    if token.is_empty() || token.len() > 256 || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Refusal::Invalid("Invalid parameter: Token".into()));
    }
    let confirmed_key = Key::of(&["token", topic, token]);
    if let Some(arn) = records.get::<String>(&confirmed_key)? {
        return subscription(records, &arn);
    }
    let fits = |subscription: &Subscription| match &subscription.consent {
        Consent::Pending { token: sent, since } => sent == token && now.since(*since) <= TOKEN_AGE_MAX_MS,
        Consent::Confirmed => false,
    };
    let found = subscriptions(records, topic)?.into_iter().find(fits);
    let mut subscription = found.ok_or_else(|| Refusal::Invalid("Invalid token".into()))?;
    subscription.consent = Consent::Confirmed;
    let key = subscription_key(&subscription.arn).ok_or(Refusal::Missing(Resource::Subscription))?;
    let mut change = Write::new();
    put(&mut change, &key, &subscription);
    put(&mut change, &confirmed_key, &subscription.arn);
    records.commit(change)?;
    Ok(subscription)
}

/// Ends a subscription; a missing one is fine, and costs no write: the link needs no signature.
pub(crate) fn unsubscribe(records: &Records, arn: &str) -> Result<(), Refusal> {
    let Some(key) = subscription_key(arn) else { return Ok(()) };
    let _turn = records.turn();
    if records.get::<Subscription>(&key)?.is_none() {
        return Ok(());
    }
    let mut change = Write::new();
    delete(&mut change, &key);
    Ok(records.commit(change)?)
}

/// A message as Publish takes it.
pub(crate) struct Message {
    /// Subject line.
    pub(crate) subject: Option<String>,
    /// The text, or with `by_protocol` a JSON object with one text for each protocol.
    pub(crate) text: String,
    /// `MessageStructure=json`.
    pub(crate) by_protocol: bool,
}

/// Publishes a message to every confirmed subscriber of `topic`. `id` names the message.
pub(crate) fn publish(
    records: &Records,
    topic: &str,
    message: &Message,
    id: &str,
    links: &Links<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    find(records, topic)?;
    check_message(message)?;
    let texts = protocol_texts(message)?;
    let mut change = Write::new();
    for subscription in subscriptions(records, topic)? {
        let protocol = match &subscription.endpoint {
            Endpoint::Email(_) => "email",
        };
        let text = texts.get(protocol).or_else(|| texts.get("default")).cloned().unwrap_or_default();
        let content = Content::Published { subject: message.subject.clone(), message: text };
        if let Some(waiting) = addressed(&subscription, content, &["publish", id], links, now) {
            enqueue(&mut change, now, &waiting);
        }
    }
    Ok(records.commit(change)?)
}

/// One delivery of `content` to `subscription`; `None` where the subscriber has not agreed.
pub(crate) fn addressed(
    subscription: &Subscription,
    content: Content,
    cause: &[&str],
    links: &Links<'_>,
    now: Timestamp,
) -> Option<Waiting> {
    if subscription.consent != Consent::Confirmed {
        return None;
    }
    let delivery = Delivery {
        id: delivery_id(cause, &subscription.arn),
        created: now,
        topic: subscription.topic.clone(),
        endpoint: subscription.endpoint.clone(),
        unsubscribe_url: Some(links.unsubscribe(&subscription.arn)),
        content,
    };
    Some(Waiting { delivery, tries: 0, last_error: None, subscription: Some(subscription.arn.clone()) })
}

/// The endpoint as clients write it.
pub(crate) fn address(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Email(address) => address.clone(),
    }
}

fn check_endpoint(endpoint: &Endpoint) -> Result<(), Refusal> {
    match endpoint {
        Endpoint::Email(address) => {
            let sound = address.len() <= ADDRESS_BYTES_MAX
                && address
                    .split_once('@')
                    .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
                && !address.chars().any(|c| c.is_control() || c.is_whitespace() || "<>,;".contains(c));
            let text = "Invalid parameter: Email address";
            if sound { Ok(()) } else { Err(Refusal::Invalid(text.into())) }
        }
    }
}

fn check_message(message: &Message) -> Result<(), Refusal> {
    if message.text.is_empty() {
        return Err(Refusal::Invalid("Invalid parameter: Empty message".into()));
    }
    if message.text.len() > MESSAGE_BYTES_MAX {
        return Err(Refusal::Invalid(format!(
            "Invalid parameter: Message too long: {} bytes exceed the limit of {MESSAGE_BYTES_MAX}",
            message.text.len()
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
    Ok(())
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
    use super::*;

    fn texts(text: &str, by_protocol: bool) -> Result<BTreeMap<String, String>, Refusal> {
        protocol_texts(&Message { subject: None, text: text.into(), by_protocol })
    }

    #[test]
    fn a_text_for_each_protocol() {
        let both = texts(r#"{"default":"d","email":"e"}"#, true).unwrap();
        assert_eq!((both["default"].as_str(), both["email"].as_str()), ("d", "e"), "J01, J02");
        let refused = |text| match texts(text, true) {
            Err(Refusal::Invalid(text)) => text,
            other => panic!("{other:?}"),
        };
        let start = "Invalid parameter: Message Structure - ";
        assert_eq!(
            refused(r#"{"email":"e"}"#),
            format!("{start}No default entry in JSON message body"),
            "J03"
        );
        assert_eq!(refused("not json"), format!("{start}JSON message body failed to parse"), "J04");
        assert_eq!(texts("not json", false).unwrap()["default"], "not json", "J05");
    }

    #[test]
    fn messages_and_subjects_have_limits() {
        let check = |subject: Option<&str>, text: &str| {
            check_message(&Message {
                subject: subject.map(str::to_owned),
                text: text.into(),
                by_protocol: false,
            })
        };
        assert!(check(Some("hello"), "m").is_ok());
        assert!(check(None, "").is_err(), "J07");
        assert!(check(None, &"m".repeat(MESSAGE_BYTES_MAX + 1)).is_err());
        for bad in ["", " starts with a blank", "two\nlines", "Häufung", &"s".repeat(101)] {
            assert!(check(Some(bad), "m").is_err(), "J06 {bad:?}");
        }
    }

    #[test]
    fn addresses_that_could_inject_a_header_are_refused() {
        for bad in ["", "@", "a@", "@b", "a@b@c", "a@b\r\nBcc: c@d", "a b@c", "<a@b>", "a@b,c@d"] {
            assert!(check_endpoint(&Endpoint::Email(bad.into())).is_err(), "{bad:?}");
        }
        assert!(check_endpoint(&Endpoint::Email("security@example.org".into())).is_ok());
    }

    #[test]
    fn ids_tell_their_parts_apart() {
        assert_ne!(delivery_id(&["ab", "c"], "e"), delivery_id(&["a", "bc"], "e"));
        assert_eq!(delivery_id(&["a"], "e"), delivery_id(&["a"], "e"));
        assert_eq!(delivery_id(&["a"], "e").len(), 32);
    }
}
