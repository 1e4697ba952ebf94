/*!
Topics: what they are called, what is set on them, and who may do what with them.

Subscriptions, publishing and the outbox stand in files of their own below. Rules and texts: Amazon SNS API reference, "CreateTopic",
"SetTopicAttributes", "AddPermission", "DeleteTopic".
*/

use std::collections::BTreeMap;

use nightbell_core::time::Timestamp;
use nightbell_core::topic::Topic;
use nightbell_store::Write;

use super::{Refusal, Resource};
use crate::catalog::{Key, Records, delete, put};

pub(crate) use attributes::{allowance, display_name, shown, signature_version, template, wants_first_only};
pub(crate) use functions::{check_function, hand_to_function};
#[cfg(test)]
pub(crate) use outbox::outbox_key;
pub(crate) use outbox::{EndpointMark, Lane, Lanes, Waiting};
pub(crate) use permissions::{Permission, add_permission, remove_permission};
pub(crate) use publish::{MESSAGE_BYTES_MAX, Message, SUBJECT_CHARS_MAX, addressed, check_message, publish};
pub(crate) use subscription_attributes::{
    effective_delivery_policy, is_raw, set_subscription_attribute, shown as shown_subscription,
};
pub(crate) use subscriptions::{
    Asking, Confirming, all_subscriptions, confirm, subscribe, subscription, subscriptions, unsubscribe,
};

mod attributes;
mod functions;
mod outbox;
mod permissions;
mod publish;
mod subscription_attributes;
mod subscriptions;

/// Longest name of a topic.
pub(crate) const TOPIC_NAME_MAX: usize = 256;

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
    now: Timestamp,
) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > TOPIC_NAME_MAX || !name.chars().all(allowed) {
        return Err(Refusal::Invalid("Invalid parameter: Topic Name".into()));
    }
    attributes::check_all(&attributes)?;
    let _turn = records.turn();
    let key = Key::arn("topic", arn);
    if let Some(found) = records.get::<Topic>(&key)? {
        let same = attributes.iter().all(|(name, value)| found.attributes.get(name) == Some(value));
        let text = "Invalid parameter: Attributes Reason: Topic already exists with different attributes";
        return if same { Ok(()) } else { Err(Refusal::Invalid(text.into())) };
    }
    let mut change = Write::new();
    put(&mut change, &key, &Topic { arn: arn.to_owned(), created: now, attributes });
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
    for kind in ["subscription", "token", "former-subscription"] {
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
