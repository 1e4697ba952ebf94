/*!
Publish and PublishBatch.
*/

use std::collections::{BTreeMap, HashSet};

use nightbell_core::filter_policy::MessageAttribute;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ApiError, Cx, invalid, need, no};
use crate::manage::topics::{self, MESSAGE_BYTES_MAX, Message};

/// Messages of one batch.
pub(crate) const BATCH_ENTRIES_MAX: usize = 10;
/// Characters of an entry's id.
pub(crate) const BATCH_ID_CHARS_MAX: usize = 80;
/// Attributes of one message.
pub(crate) const MESSAGE_ATTRIBUTES_MAX: usize = 100;
/// Characters of an attribute's name, and of its type.
pub(crate) const ATTRIBUTE_NAME_CHARS_MAX: usize = 256;

/// What is published, to one topic or as an entry of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Published {
    subject: Option<String>,
    message: Option<String>,
    message_structure: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    message_attributes: BTreeMap<String, AttributeValue>,
    message_deduplication_id: Option<String>,
}

/// An attribute as clients write it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeValue {
    data_type: Option<String>,
    string_value: Option<String>,
    binary_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublishRequest {
    topic_arn: Option<String>,
    target_arn: Option<String>,
    phone_number: Option<String>,
    #[serde(flatten)]
    published: Published,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublishResponse {
    message_id: String,
}

pub(crate) async fn publish(cx: Cx, request: PublishRequest) -> Result<PublishResponse, ApiError> {
    if request.phone_number.is_some() {
        return Err(invalid(
            "Invalid parameter: PhoneNumber: text messages are not served; publish to a topic",
        ));
    }
    let topic = match (request.topic_arn, request.target_arn) {
        (Some(_), Some(_)) => {
            return Err(invalid(
                "Invalid parameter: TopicArn or TargetArn Reason: only one of them may be said",
            ));
        }
        (Some(arn), None) | (None, Some(arn)) => arn,
        (None, None) => {
            return Err(invalid(
                "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter",
            ));
        }
    };
    let message = message(request.published)?;
    send(&cx, &topic, std::slice::from_ref(&message))?;
    Ok(PublishResponse { message_id: message.id })
}

fn send(cx: &Cx, topic: &str, messages: &[Message]) -> Result<(), ApiError> {
    let app = &cx.app;
    topics::publish(&app.records, &app.lanes, topic, messages, &app.links(), cx.now).map_err(no)?;
    app.outbox_bell.notify_one();
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublishBatchRequest {
    topic_arn: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    publish_batch_request_entries: Vec<BatchEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchEntry {
    id: Option<String>,
    #[serde(flatten)]
    published: Published,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PublishBatchResponse {
    successful: Vec<Taken>,
    failed: Vec<Refused>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    id: String,
    message_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Refused {
    id: String,
    code: &'static str,
    message: String,
    sender_fault: bool,
}

pub(crate) async fn publish_batch(
    cx: Cx,
    request: PublishBatchRequest,
) -> Result<PublishBatchResponse, ApiError> {
    let topic = need(request.topic_arn, "TopicArn")?;
    topics::find(&cx.app.records, &topic).map_err(no)?;
    check_batch(&request.publish_batch_request_entries)?;
    let (mut successful, mut failed, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    for entry in request.publish_batch_request_entries {
        let id = entry.id.unwrap_or_default();
        let read = message(entry.published);
        match read.and_then(|message| topics::check_message(&message).map(|()| message).map_err(no)) {
            Ok(message) => {
                successful.push(Taken { id, message_id: message.id.clone() });
                messages.push(message);
            }
            Err(error) => {
                failed.push(Refused { id, code: error.code, message: error.message, sender_fault: true });
            }
        }
    }
    send(&cx, &topic, &messages)?;
    Ok(PublishBatchResponse { successful, failed })
}

/// Refuses a batch as a whole.
fn check_batch(entries: &[BatchEntry]) -> Result<(), ApiError> {
    if entries.is_empty() {
        return Err(ApiError::sender("EmptyBatchRequest", "The batch request doesn't contain any entries."));
    }
    if entries.len() > BATCH_ENTRIES_MAX {
        let text = format!("The batch request contains more entries than permissible: {BATCH_ENTRIES_MAX}");
        return Err(ApiError::sender("TooManyEntriesInBatchRequest", text));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut ids = HashSet::new();
    for entry in entries {
        let id = entry.id.as_deref().unwrap_or_default();
        if id.is_empty() || id.len() > BATCH_ID_CHARS_MAX || !id.chars().all(plain) {
            let text = format!(
                "The Id of a batch entry in a batch request doesn't abide by the specification: 1 to {BATCH_ID_CHARS_MAX} \
                 letters, digits, '-' or '_'"
            );
            return Err(ApiError::sender("InvalidBatchEntryId", text));
        }
        if !ids.insert(id) {
            let text = "Two or more batch entries in the request have the same Id.";
            return Err(ApiError::sender("BatchEntryIdsNotDistinct", text));
        }
    }
    let bytes: usize = entries.iter().map(|entry| entry.published.bytes()).sum();
    if bytes > MESSAGE_BYTES_MAX {
        let text = format!(
            "The length of all the batch messages put together is more than the limit: {bytes} of {MESSAGE_BYTES_MAX} bytes"
        );
        return Err(ApiError::sender("BatchRequestTooLong", text));
    }
    Ok(())
}

impl Published {
    fn bytes(&self) -> usize {
        let attribute = |(name, value): (&String, &AttributeValue)| {
            let text = |part: &Option<String>| part.as_ref().map_or(0, String::len);
            name.len() + text(&value.data_type) + text(&value.string_value) + text(&value.binary_value)
        };
        self.message.as_ref().map_or(0, String::len)
            + self.message_attributes.iter().map(attribute).sum::<usize>()
    }
}

/// What is published, with a fresh id; limits are checked by whoever sends it.
fn message(published: Published) -> Result<Message, ApiError> {
    let by_protocol = match published.message_structure.as_deref() {
        None => false,
        Some("json") => true,
        Some(_) => return Err(invalid("Invalid parameter: MessageStructure")),
    };
    if published.message_deduplication_id.is_some() {
        return Err(invalid(
            "Invalid parameter: MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is \
             not valid for this topic type",
        ));
    }
    if published.message_attributes.len() > MESSAGE_ATTRIBUTES_MAX {
        return Err(wrong(format!("A message has at most {MESSAGE_ATTRIBUTES_MAX} attributes")));
    }
    let attributes = published.message_attributes.into_iter().map(attribute).collect::<Result<_, _>>()?;
    Ok(Message {
        id: Uuid::new_v4().to_string(),
        subject: published.subject,
        text: published.message.unwrap_or_default(),
        by_protocol,
        attributes,
    })
}

fn wrong(text: String) -> ApiError {
    ApiError::sender("ParameterValueInvalid", text)
}

/// A message's attribute, checked ("Amazon SNS message attributes", Amazon SNS Developer Guide).
fn attribute((name, given): (String, AttributeValue)) -> Result<(String, MessageAttribute), ApiError> {
    let shown: String = name.chars().take(100).collect();
    let lower = name.to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty()
        || name.len() > ATTRIBUTE_NAME_CHARS_MAX
        || !name.chars().all(plain)
        || name.starts_with('.')
        || name.ends_with('.')
        || name.contains("..")
        || lower.starts_with("aws.")
        || lower.starts_with("amazon.")
    {
        return Err(wrong(format!(
            "The message attribute name '{shown}' is not 1 to {ATTRIBUTE_NAME_CHARS_MAX} letters, digits, '_', '-' or single \
             '.', or begins with AWS. or Amazon."
        )));
    }
    let data_type = given.data_type.unwrap_or_default();
    let kind = data_type.split('.').next().unwrap_or_default();
    let value = match kind {
        "Binary" => given.binary_value.filter(|_| given.string_value.is_none()),
        "String" | "Number" => given.string_value.filter(|_| given.binary_value.is_none()),
        _ => {
            return Err(wrong(format!(
                "The message attribute '{shown}' has an invalid message attribute type, the set of supported type prefixes is \
                 Binary, Number, and String."
            )));
        }
    };
    let printable = data_type.chars().all(|c| c.is_ascii_graphic());
    if data_type.len() > ATTRIBUTE_NAME_CHARS_MAX || !printable || data_type.ends_with('.') {
        return Err(wrong(format!("The message attribute '{shown}' has an invalid message attribute type")));
    }
    let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
        wrong(format!(
            "The message attribute '{shown}' must contain non-empty message attribute value for message attribute type \
             '{kind}'."
        ))
    })?;
    check_value(kind, &data_type, &value)
        .map_err(|what| wrong(format!("The message attribute '{shown}' {what}")))?;
    Ok((name, MessageAttribute { data_type, value }))
}

/// What is wrong with the value of an attribute of this kind.
fn check_value(kind: &str, data_type: &str, value: &str) -> Result<(), String> {
    use base64::Engine;
    let sound = match kind {
        "Number" => value.trim().parse::<f64>().is_ok_and(f64::is_finite),
        "Binary" => base64::engine::general_purpose::STANDARD.decode(value).is_ok(),
        _ if data_type == "String.Array" => {
            matches!(serde_json::from_str(value), Ok(serde_json::Value::Array(_)))
        }
        _ => !value.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')),
    };
    if sound { Ok(()) } else { Err(format!("has a value that is no {data_type}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, data_type: &str, text: Option<&str>, binary: Option<&str>) -> Result<String, String> {
        let given = AttributeValue {
            data_type: Some(data_type.to_owned()),
            string_value: text.map(str::to_owned),
            binary_value: binary.map(str::to_owned),
        };
        attribute((name.to_owned(), given)).map(|(_, taken)| taken.value).map_err(|error| error.message)
    }

    #[test]
    fn attributes_are_checked() {
        let long = "n".repeat(257);
        let rows = [
            ("state", "String", Some("ALARM"), None, ""),
            ("state", "String.color", Some("red"), None, ""),
            ("n", "Number", Some("3.015e2"), None, ""),
            ("a", "String.Array", Some(r#"["a","b"]"#), None, ""),
            ("b", "Binary", None, Some("AAEC"), ""),
            ("a.b-c_1", "String", Some("x"), None, ""),
            ("", "String", Some("x"), None, "name ''"),
            (&long, "String", Some("x"), None, "name"),
            ("a b", "String", Some("x"), None, "name 'a b'"),
            (".a", "String", Some("x"), None, "name"),
            ("a..b", "String", Some("x"), None, "name"),
            ("AWS.x", "String", Some("x"), None, "name"),
            ("amazon.x", "String", Some("x"), None, "name"),
            ("a", "Text", Some("x"), None, "invalid message attribute type"),
            ("a", "", Some("x"), None, "invalid message attribute type"),
            ("a", "String.", Some("x"), None, "invalid message attribute type"),
            ("a", "String", Some(""), None, "non-empty"),
            ("a", "String", None, Some("AAEC"), "non-empty"),
            ("a", "Binary", Some("x"), None, "non-empty"),
            ("a", "Number", Some("many"), None, "no Number"),
            ("a", "Number", Some("inf"), None, "no Number"),
            ("a", "String.Array", Some("[1"), None, "no String.Array"),
            ("a", "Binary", None, Some("?"), "no Binary"),
        ];
        for (name, data_type, text, binary, expected) in rows {
            match told(name, data_type, text, binary) {
                Ok(_) => assert_eq!(expected, "", "{name} {data_type}"),
                Err(error) => {
                    assert!(!expected.is_empty() && error.contains(expected), "{name} {data_type}: {error}")
                }
            }
        }
    }
}
