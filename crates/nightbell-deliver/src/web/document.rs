/*!
The documents that programs get instead of a mail: a notification, the question whether they agree, and the word that it is over.

Members, their order and the string to sign follow "Parsing Amazon SNS message formats" and "Verifying the signatures of Amazon SNS
messages" (Amazon SNS Developer Guide). Pure but for the signature. What a function gets has the same content in other words.
*/

use std::collections::BTreeMap;

use nightbell_core::filter_policy::MessageAttribute;
use nightbell_core::time::Timestamp;
use serde_json::{Value, json};

use super::signing::{SignatureVersion, SigningKey};

/// What a document is about.
#[derive(Clone, Debug)]
pub enum Spoken<'a> {
    /// A message of the topic.
    Notification {
        /// Subject line, if there is one.
        subject: Option<&'a str>,
        /// The text.
        message: &'a str,
        /// What the publisher said about it.
        attributes: &'a BTreeMap<String, MessageAttribute>,
        /// The link that ends the subscription.
        unsubscribe_url: &'a str,
    },
    /// The question whether the endpoint agrees.
    Confirmation {
        /// The secret that says yes.
        token: &'a str,
        /// The link that says yes.
        subscribe_url: &'a str,
    },
    /// The subscription is over.
    Farewell {
        /// The subscription's ARN.
        subscription: &'a str,
        /// The secret that takes it up again.
        token: &'a str,
        /// The link that takes it up again.
        subscribe_url: &'a str,
    },
}

/// Who speaks to whom, when, and by which key.
#[derive(Clone, Copy, Debug)]
pub struct Bearer<'a> {
    /// The message's id, a UUID.
    pub message_id: &'a str,
    /// The topic's ARN.
    pub topic: &'a str,
    /// When the message was published.
    pub at: Timestamp,
    /// What signs.
    pub key: &'a SigningKey,
    /// How it signs.
    pub version: SignatureVersion,
    /// Base of links, without a slash at its end.
    pub public_url: &'a str,
}

/// A document, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its kind, as `x-amz-sns-message-type` names it.
    pub kind: &'static str,
    /// The document as JSON.
    pub body: String,
}

impl Document {
    /// Writes and signs what is said.
    pub fn of(spoken: &Spoken<'_>, bearer: &Bearer<'_>) -> Self {
        let parts = Parts::of(spoken, bearer);
        let signature = bearer.key.sign(bearer.version, &string_to_sign(&parts.members));
        let mut members: Vec<(&str, Value)> = Vec::new();
        for (name, value) in &parts.members {
            members.push((name, Value::from(value.as_str())));
        }
        members.push(("SignatureVersion", bearer.version.name().into()));
        members.push(("Signature", signature.into()));
        members.push(("SigningCertURL", certificate_url(bearer).into()));
        if let Spoken::Notification { unsubscribe_url, attributes, .. } = spoken {
            members.push(("UnsubscribeURL", (*unsubscribe_url).into()));
            if !attributes.is_empty() {
                members.push(("MessageAttributes", shown(attributes)));
            }
        }
        Self { kind: parts.kind, body: written(&members) }
    }
}

/// The event that a subscribed function gets: always one record ("Using Lambda with SNS", AWS Lambda Developer Guide).
pub fn function_event(
    subscription: &str,
    subject: Option<&str>,
    message: &str,
    attributes: &BTreeMap<String, MessageAttribute>,
    unsubscribe_url: &str,
    bearer: &Bearer<'_>,
) -> Value {
    let spoken = Spoken::Notification { subject, message, attributes, unsubscribe_url };
    let parts = Parts::of(&spoken, bearer);
    json!({
        "Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": subscription,
            "Sns": {
                "Type": parts.kind,
                "MessageId": bearer.message_id,
                "TopicArn": bearer.topic,
                "Subject": subject,
                "Message": message,
                "Timestamp": bearer.at.iso(),
                "SignatureVersion": bearer.version.name(),
                "Signature": bearer.key.sign(bearer.version, &string_to_sign(&parts.members)),
                "SigningCertUrl": certificate_url(bearer),
                "UnsubscribeUrl": unsubscribe_url,
                "MessageAttributes": shown(attributes),
            },
        }],
    })
}

/// The members that are signed, in the order in which they are written.
struct Parts {
    kind: &'static str,
    members: Vec<(&'static str, String)>,
}

impl Parts {
    fn of(spoken: &Spoken<'_>, bearer: &Bearer<'_>) -> Self {
        let kind = match spoken {
            Spoken::Notification { .. } => "Notification",
            Spoken::Confirmation { .. } => "SubscriptionConfirmation",
            Spoken::Farewell { .. } => "UnsubscribeConfirmation",
        };
        let mut members = vec![("Type", kind.to_owned()), ("MessageId", bearer.message_id.to_owned())];
        if let Spoken::Confirmation { token, .. } | Spoken::Farewell { token, .. } = spoken {
            members.push(("Token", (*token).to_owned()));
        }
        members.push(("TopicArn", bearer.topic.to_owned()));
        match spoken {
            Spoken::Notification { subject, message, .. } => {
                members.extend(subject.map(|subject| ("Subject", subject.to_owned())));
                members.push(("Message", (*message).to_owned()));
            }
            Spoken::Confirmation { subscribe_url, .. } => {
                let topic = bearer.topic;
                let text = format!(
                    "You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL \
                     included in this message."
                );
                members.push(("Message", text));
                members.push(("SubscribeURL", (*subscribe_url).to_owned()));
            }
            Spoken::Farewell { subscription, subscribe_url, .. } => {
                let text = format!(
                    "You have chosen to deactivate subscription {subscription}.\nTo cancel this operation and restore the \
                     subscription, visit the SubscribeURL included in this message."
                );
                members.push(("Message", text));
                members.push(("SubscribeURL", (*subscribe_url).to_owned()));
            }
        }
        members.push(("Timestamp", bearer.at.iso()));
        Self { kind, members }
    }
}

/// Name and value of each member, a line each, in the order of the names.
fn string_to_sign(members: &[(&'static str, String)]) -> String {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    members.iter().map(|(name, value)| format!("{name}\n{value}\n")).collect()
}

fn certificate_url(bearer: &Bearer<'_>) -> String {
    format!("{}{}", bearer.public_url, bearer.key.certificate_path())
}

fn shown(attributes: &BTreeMap<String, MessageAttribute>) -> Value {
    let one = |(name, attribute): (&String, &MessageAttribute)| {
        (name.clone(), json!({ "Type": attribute.data_type, "Value": attribute.value }))
    };
    Value::Object(attributes.iter().map(one).collect())
}

/// The members in their order, a line each.
fn written(members: &[(&str, Value)]) -> String {
    let lines: Vec<String> = members.iter().map(|(name, value)| format!("  \"{name}\" : {value}")).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const TOPIC: &str = "arn:aws:sns:us-east-2:123456789012:t";
    const ID: &str = "4d4dc071-ddbf-465d-bba8-08f81c89da64";
    static KEY: LazyLock<SigningKey> =
        LazyLock::new(|| SigningKey::generate(Timestamp::from_millis(0)).unwrap());

    fn bearer() -> Bearer<'static> {
        Bearer {
            message_id: ID,
            topic: TOPIC,
            at: Timestamp::from_millis(1_548_909_424_321),
            key: &KEY,
            version: SignatureVersion::One,
            public_url: "https://bell.example.org",
        }
    }

    static NONE: BTreeMap<String, MessageAttribute> = BTreeMap::new();

    fn notification<'a>(subject: Option<&'a str>, message: &'a str) -> Spoken<'a> {
        Spoken::Notification { subject, message, attributes: &NONE, unsubscribe_url: "https://u" }
    }

    #[test]
    fn strings_to_sign_are_those_of_the_vectors() {
        let end = format!("Timestamp\n2019-01-31T04:37:04.321Z\nTopicArn\n{TOPIC}\nType\n");
        let confirmation = Spoken::Confirmation { token: "ab12", subscribe_url: "https://s" };
        let asked = format!(
            "Message\nYou have chosen to subscribe to the topic {TOPIC}.\nTo confirm the subscription, visit the \
             SubscribeURL included in this message.\nMessageId\n{ID}\nSubscribeURL\nhttps://s\nTimestamp\n\
             2019-01-31T04:37:04.321Z\nToken\nab12\nTopicArn\n{TOPIC}\nType\nSubscriptionConfirmation\n"
        );
        let rows = [
            (
                "G01",
                notification(Some("My subject"), "My Test Message"),
                format!(
                    "Message\nMy Test Message\nMessageId\n{ID}\nSubject\nMy subject\n{end}Notification\n"
                ),
            ),
            (
                "G02",
                notification(None, "My Test Message"),
                format!("Message\nMy Test Message\nMessageId\n{ID}\n{end}Notification\n"),
            ),
            (
                "G03",
                notification(None, "a\nb"),
                format!("Message\na\nb\nMessageId\n{ID}\n{end}Notification\n"),
            ),
            ("G04", confirmation, asked),
        ];
        for (id, spoken, expected) in rows {
            assert_eq!(string_to_sign(&Parts::of(&spoken, &bearer()).members), expected, "{id}");
        }
    }

    #[test]
    fn attributes_and_links_are_not_signed() {
        let attribute = MessageAttribute { data_type: "String".to_owned(), value: "v".to_owned() };
        let attributes = BTreeMap::from([("k".to_owned(), attribute)]);
        let other = Spoken::Notification {
            subject: None,
            message: "m",
            attributes: &attributes,
            unsubscribe_url: "https://elsewhere",
        };
        let read = |spoken: &Spoken<'_>| -> Value {
            serde_json::from_str(&Document::of(spoken, &bearer()).body).unwrap()
        };
        let (one, two) = (read(&notification(None, "m")), read(&other));
        assert_eq!(one["Signature"], two["Signature"], "G05");
        assert_ne!(one["UnsubscribeURL"], two["UnsubscribeURL"]);
        assert_eq!(two["MessageAttributes"]["k"], json!({ "Type": "String", "Value": "v" }));
        assert!(one.get("MessageAttributes").is_none() && one.get("Subject").is_none());
    }

    #[test]
    fn members_stand_a_line_each_in_their_order() {
        let document = Document::of(&notification(Some("s"), "say \"m\"\n"), &bearer());
        assert_eq!(document.kind, "Notification");
        let names: Vec<_> = document
            .body
            .lines()
            .filter_map(|line| line.trim().split(" : ").next())
            .filter(|name| name.starts_with('"'))
            .collect();
        let expected = "\"Type\" \"MessageId\" \"TopicArn\" \"Subject\" \"Message\" \"Timestamp\" \"SignatureVersion\" \
             \"Signature\" \"SigningCertURL\" \"UnsubscribeURL\"";
        assert_eq!(names.join(" "), expected);
        let value: Value = serde_json::from_str(&document.body).unwrap();
        assert_eq!(value["Message"], "say \"m\"\n");
        let url = value["SigningCertURL"].as_str().unwrap();
        assert!(url.starts_with("https://bell.example.org/SimpleNotificationService-"), "{url}");
        let over = Spoken::Farewell { subscription: "arn:s", token: "ab", subscribe_url: "https://s" };
        let over: Value = serde_json::from_str(&Document::of(&over, &bearer()).body).unwrap();
        assert_eq!((&over["Type"], &over["Token"]), (&json!("UnsubscribeConfirmation"), &json!("ab")));
    }

    #[test]
    fn a_function_gets_one_record() {
        let attribute = MessageAttribute { data_type: "Number".to_owned(), value: "5".to_owned() };
        let attributes = BTreeMap::from([("n".to_owned(), attribute)]);
        let event = function_event("arn:s", None, "m", &attributes, "https://u", &bearer());
        let record = &event["Records"][0];
        assert_eq!(event["Records"].as_array().unwrap().len(), 1);
        assert_eq!(record["EventSubscriptionArn"], "arn:s");
        assert_eq!((&record["EventSource"], &record["EventVersion"]), (&json!("aws:sns"), &json!("1.0")));
        let sns = &record["Sns"];
        assert!(sns["Subject"].is_null() && sns.get("SigningCertURL").is_none());
        assert_eq!(sns["MessageAttributes"]["n"], json!({ "Type": "Number", "Value": "5" }));
        assert_eq!(
            (&sns["UnsubscribeUrl"], &sns["Timestamp"]),
            (&json!("https://u"), &json!("2019-01-31T04:37:04.321Z"))
        );
        let whole = Document::of(&notification(None, "m"), &bearer());
        let whole: Value = serde_json::from_str(&whole.body).unwrap();
        assert_eq!(sns["Signature"], whole["Signature"], "the same message, the same signature");
    }
}
