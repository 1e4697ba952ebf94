/*!
Topics: made, listed, deleted; their attributes and who may do what with them.
*/

use std::collections::BTreeMap;

use nightbell_core::topic::Consent;
use serde::{Deserialize, Serialize};

use super::{ApiError, Attributes, Cx, PAGE_MAX, TopicRequest, invalid, need, no};
use crate::aws::page::{Page, page};
use crate::manage::topics::{self, Permission};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateTopicRequest {
    name: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    attributes: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TopicArn {
    topic_arn: String,
}

pub(crate) async fn create_topic(cx: Cx, request: CreateTopicRequest) -> Result<TopicArn, ApiError> {
    let name = need(request.name, "Topic Name")?;
    if name.ends_with(".fifo") {
        return Err(invalid("Invalid parameter: Topic Name: FIFO topics are not served; leave out .fifo"));
    }
    let topic_arn = topics::arn(&cx.region, &cx.app.account, &name);
    topics::create(&cx.app.records, &topic_arn, &name, request.attributes, cx.now).map_err(no)?;
    Ok(TopicArn { topic_arn })
}

pub(crate) async fn delete_topic(cx: Cx, request: TopicRequest) -> Result<(), ApiError> {
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
pub(crate) struct ListTopicsResponse {
    topics: Vec<TopicArn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) async fn list_topics(cx: Cx, request: TopicRequest) -> Result<ListTopicsResponse, ApiError> {
    let found = topics::list(&cx.app.records, &cx.region, &cx.app.account).map_err(no)?;
    let bounds =
        Page { limit: None, token: request.next_token, default: PAGE_MAX, max: PAGE_MAX, descending: false };
    let (shown, next_token) = page(found, &bounds, |topic| &topic.arn).map_err(invalid)?;
    let topics = shown.into_iter().map(|topic| TopicArn { topic_arn: topic.arn }).collect();
    Ok(ListTopicsResponse { topics, next_token })
}

pub(crate) async fn get_topic_attributes(cx: Cx, request: TopicRequest) -> Result<Attributes, ApiError> {
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
pub(crate) struct SetTopicAttributesRequest {
    topic_arn: Option<String>,
    attribute_name: Option<String>,
    attribute_value: Option<String>,
}

pub(crate) async fn set_topic_attributes(cx: Cx, request: SetTopicAttributesRequest) -> Result<(), ApiError> {
    let arn = need(request.topic_arn, "TopicArn")?;
    let name = need(request.attribute_name, "AttributeName")?;
    let value = request.attribute_value.unwrap_or_default();
    topics::set_attribute(&cx.app.records, &arn, &name, &value).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AddPermissionRequest {
    topic_arn: Option<String>,
    label: Option<String>,
    #[serde(default, rename = "AWSAccountId", deserialize_with = "crate::aws::nullable")]
    accounts: Vec<String>,
    #[serde(default, rename = "ActionName", deserialize_with = "crate::aws::nullable")]
    actions: Vec<String>,
}

pub(crate) async fn add_permission(cx: Cx, request: AddPermissionRequest) -> Result<(), ApiError> {
    let arn = need(request.topic_arn, "TopicArn")?;
    let permission = Permission {
        label: need(request.label, "Label")?,
        accounts: request.accounts,
        actions: request.actions,
    };
    topics::add_permission(&cx.app.records, &arn, &cx.app.account, &permission).map_err(no)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RemovePermissionRequest {
    topic_arn: Option<String>,
    label: Option<String>,
}

pub(crate) async fn remove_permission(cx: Cx, request: RemovePermissionRequest) -> Result<(), ApiError> {
    let arn = need(request.topic_arn, "TopicArn")?;
    let label = need(request.label, "Label")?;
    topics::remove_permission(&cx.app.records, &arn, &cx.app.account, &label).map_err(no)
}
