/*!
SNS: topics, subscriptions and Publish ("Amazon SNS API Reference").
*/

use std::collections::BTreeMap;

use nightbell_core::topic::{Consent, Endpoint, Subscription};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Cx;
use super::error::{ApiError, refused};
use super::page::{Page, page};
use super::service::Service;
use super::tags::{self, Tag};
use crate::credentials::random;
use crate::manage::topics::{self, Asking, Message};
use crate::manage::{Refusal, Resource};

/// Objects of one page of a listing.
const PAGE_MAX: usize = 100;
/// Letters of a confirmation's token.
const TOKEN_LETTERS: usize = 64;

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Sns, refusal)
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidParameter", text)
}

fn need<T>(value: Option<T>, field: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| invalid(format!("Invalid parameter: {field}")))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateTopicRequest {
    name: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    attributes: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "super::nullable")]
    tags: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TopicArn {
    topic_arn: String,
}

pub(super) async fn create_topic(cx: Cx, request: CreateTopicRequest) -> Result<TopicArn, ApiError> {
    let name = need(request.name, "Topic Name")?;
    if name.ends_with(".fifo") {
        return Err(invalid("Invalid parameter: Topic Name: FIFO topics are not served; leave out .fifo"));
    }
    let topic_arn = topics::arn(&cx.region, &cx.app.account, &name);
    let tags = tags::sns::read(request.tags)?;
    topics::create(&cx.app.records, &topic_arn, &name, request.attributes, &tags, cx.now).map_err(no)?;
    Ok(TopicArn { topic_arn })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TopicRequest {
    topic_arn: Option<String>,
    next_token: Option<String>,
}

pub(super) async fn delete_topic(cx: Cx, request: TopicRequest) -> Result<(), ApiError> {
    let arn = need(request.topic_arn, "TopicArn")?;
    check_arn(&cx, &arn)?;
    topics::remove(&cx.app.records, &arn).map_err(no)
}

/// Refuses what is no ARN of a topic of this account.
fn check_arn(cx: &Cx, arn: &str) -> Result<(), ApiError> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let ours = matches!(parts.as_slice(), ["arn", "aws", "sns", _, account, name] if *account == cx.app.account && !name.is_empty());
    if ours && !arn.contains('\0') { Ok(()) } else { Err(invalid("Invalid parameter: TopicArn")) }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTopicsResponse {
    topics: Vec<TopicArn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) async fn list_topics(cx: Cx, request: TopicRequest) -> Result<ListTopicsResponse, ApiError> {
    let found = topics::list(&cx.app.records, &cx.region, &cx.app.account).map_err(no)?;
    let bounds =
        Page { limit: None, token: request.next_token, default: PAGE_MAX, max: PAGE_MAX, descending: false };
    let (shown, next_token) = page(found, &bounds, |topic| &topic.arn).map_err(invalid)?;
    let topics = shown.into_iter().map(|topic| TopicArn { topic_arn: topic.arn }).collect();
    Ok(ListTopicsResponse { topics, next_token })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attributes {
    attributes: BTreeMap<String, String>,
}

pub(super) async fn get_topic_attributes(cx: Cx, request: TopicRequest) -> Result<Attributes, ApiError> {
    let topic = topics::find(&cx.app.records, &need(request.topic_arn, "TopicArn")?).map_err(no)?;
    let there = topics::subscriptions(&cx.app.records, &topic.arn).map_err(|failure| no(failure.into()))?;
    let confirmed = there.iter().filter(|subscription| subscription.consent == Consent::Confirmed).count();
    let mut attributes = topics::shown(topic, &cx.app.account);
    attributes.insert("SubscriptionsConfirmed".into(), confirmed.to_string());
    attributes.insert("SubscriptionsPending".into(), (there.len() - confirmed).to_string());
    attributes.insert("SubscriptionsDeleted".into(), "0".into());
    Ok(Attributes { attributes })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetTopicAttributesRequest {
    topic_arn: Option<String>,
    attribute_name: Option<String>,
    attribute_value: Option<String>,
}

pub(super) async fn set_topic_attributes(cx: Cx, request: SetTopicAttributesRequest) -> Result<(), ApiError> {
    let arn = need(request.topic_arn, "TopicArn")?;
    let name = need(request.attribute_name, "AttributeName")?;
    let value = request.attribute_value.unwrap_or_default();
    topics::set_attribute(&cx.app.records, &arn, &name, &value).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SubscribeRequest {
    topic_arn: Option<String>,
    protocol: Option<String>,
    endpoint: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    return_subscription_arn: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SubscriptionArn {
    subscription_arn: String,
}

pub(super) async fn subscribe(cx: Cx, request: SubscribeRequest) -> Result<SubscriptionArn, ApiError> {
    let topic = need(request.topic_arn, "TopicArn")?;
    let endpoint = match need(request.protocol, "Protocol")?.as_str() {
        "email" => Endpoint::Email(need(request.endpoint, "Endpoint")?),
        other @ ("http" | "https" | "email-json" | "sms" | "sqs" | "application" | "lambda" | "firehose") => {
            return Err(invalid(format!(
                "Invalid parameter: Protocol: {other} is not served by this version; use email"
            )));
        }
        _ => return Err(invalid("Invalid parameter: Protocol")),
    };
    let asking = Asking {
        links: cx.app.links(),
        id: Uuid::new_v4().to_string(),
        token: random(TOKEN_LETTERS, b"0123456789abcdef"),
        now: cx.now,
    };
    let subscription = topics::subscribe(&cx.app.records, &topic, endpoint, &asking).map_err(no)?;
    cx.app.outbox_bell.notify_one();
    let shown = request.return_subscription_arn || subscription.consent == Consent::Confirmed;
    let subscription_arn = if shown { subscription.arn } else { "pending confirmation".to_owned() };
    Ok(SubscriptionArn { subscription_arn })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConfirmSubscriptionRequest {
    topic_arn: Option<String>,
    token: Option<String>,
}

pub(super) async fn confirm_subscription(
    cx: Cx,
    request: ConfirmSubscriptionRequest,
) -> Result<SubscriptionArn, ApiError> {
    let topic = need(request.topic_arn, "TopicArn")?;
    let token = need(request.token, "Token")?;
    let subscription = topics::confirm(&cx.app.records, &topic, &token, cx.now).map_err(no)?;
    Ok(SubscriptionArn { subscription_arn: subscription.arn })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UnsubscribeRequest {
    subscription_arn: Option<String>,
}

pub(super) async fn unsubscribe(cx: Cx, request: UnsubscribeRequest) -> Result<(), ApiError> {
    let arn = need(request.subscription_arn, "SubscriptionArn")?;
    if arn.split(':').count() < 7 {
        return Err(invalid(
            "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 7 elements",
        ));
    }
    match topics::subscription(&cx.app.records, &arn) {
        Ok(_) | Err(Refusal::Missing(Resource::Subscription)) => {}
        Err(other) => return Err(no(other)),
    }
    topics::unsubscribe(&cx.app.records, &arn).map_err(no)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSubscriptionsResponse {
    subscriptions: Vec<SubscriptionEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SubscriptionEntry {
    subscription_arn: String,
    owner: String,
    protocol: &'static str,
    endpoint: String,
    topic_arn: String,
}

pub(super) async fn list_subscriptions(
    cx: Cx,
    request: TopicRequest,
) -> Result<ListSubscriptionsResponse, ApiError> {
    let found = topics::all_subscriptions(&cx.app.records, &cx.region, &cx.app.account).map_err(no)?;
    listed(&cx, found, request.next_token)
}

pub(super) async fn list_subscriptions_by_topic(
    cx: Cx,
    request: TopicRequest,
) -> Result<ListSubscriptionsResponse, ApiError> {
    let topic = topics::find(&cx.app.records, &need(request.topic_arn, "TopicArn")?).map_err(no)?;
    let found = topics::subscriptions(&cx.app.records, &topic.arn).map_err(|failure| no(failure.into()))?;
    listed(&cx, found, request.next_token)
}

fn listed(
    cx: &Cx,
    mut found: Vec<Subscription>,
    token: Option<String>,
) -> Result<ListSubscriptionsResponse, ApiError> {
    found.sort_by(|a, b| a.arn.cmp(&b.arn));
    let bounds = Page { limit: None, token, default: PAGE_MAX, max: PAGE_MAX, descending: false };
    let (shown, next_token) = page(found, &bounds, |subscription| &subscription.arn).map_err(invalid)?;
    let entry = |subscription: Subscription| {
        let (protocol, endpoint) = match subscription.endpoint {
            Endpoint::Email(address) => ("email", address),
        };
        let confirmed = subscription.consent == Consent::Confirmed;
        SubscriptionEntry {
            subscription_arn: if confirmed { subscription.arn } else { "PendingConfirmation".into() },
            owner: cx.app.account.clone(),
            protocol,
            endpoint,
            topic_arn: subscription.topic,
        }
    };
    Ok(ListSubscriptionsResponse { subscriptions: shown.into_iter().map(entry).collect(), next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PublishRequest {
    topic_arn: Option<String>,
    target_arn: Option<String>,
    subject: Option<String>,
    message: Option<String>,
    message_structure: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PublishResponse {
    message_id: String,
}

pub(super) async fn publish(cx: Cx, request: PublishRequest) -> Result<PublishResponse, ApiError> {
    let topic = need(request.topic_arn.or(request.target_arn), "TopicArn")?;
    let by_protocol = match request.message_structure.as_deref() {
        None => false,
        Some("json") => true,
        Some(_) => return Err(invalid("Invalid parameter: MessageStructure")),
    };
    let message =
        Message { subject: request.subject, text: request.message.unwrap_or_default(), by_protocol };
    let message_id = Uuid::new_v4().to_string();
    topics::publish(&cx.app.records, &topic, &message, &message_id, &cx.app.links(), cx.now).map_err(no)?;
    cx.app.outbox_bell.notify_one();
    Ok(PublishResponse { message_id })
}
