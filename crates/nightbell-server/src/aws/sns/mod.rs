/*!
SNS: topics, subscriptions and Publish ("Amazon SNS API Reference"). What the three share stands here.
*/

use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, refused};
use super::service::Service;
use crate::auth::Principal;
use crate::manage::Refusal;

pub(crate) use publish::{publish, publish_batch};
pub(crate) use subscriptions::{
    confirm_subscription, get_subscription_attributes, list_subscriptions, list_subscriptions_by_topic,
    set_subscription_attributes, subscribe, unsubscribe,
};
pub(crate) use topics::{
    add_permission, create_topic, delete_topic, get_topic_attributes, list_topics, remove_permission,
    set_topic_attributes,
};

mod publish;
mod subscriptions;
mod topics;

/// Objects of one page of a listing.
const PAGE_MAX: usize = 100;

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Sns, refusal)
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidParameter", text)
}

fn need<T>(value: Option<T>, field: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| invalid(format!("Invalid parameter: {field}")))
}

/// A topic, or a page of what belongs to it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TopicRequest {
    topic_arn: Option<String>,
    next_token: Option<String>,
}

/// Attributes by name.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Attributes {
    attributes: std::collections::BTreeMap<String, String>,
}

/// Whether a request names who it is from, rather than following a link.
fn is_signed(cx: &Cx) -> bool {
    cx.caller != Principal::Link
}
