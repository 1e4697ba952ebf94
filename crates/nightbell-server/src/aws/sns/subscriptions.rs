/*!
Subscriptions: made, confirmed, listed, changed, ended.
*/

use std::collections::BTreeMap;

use nightbell_core::topic::{Consent, Endpoint, Subscription};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ApiError, Attributes, Cx, PAGE_MAX, TopicRequest, invalid, is_signed, need, no};
use crate::aws::page::{Page, page};
use crate::credentials::random;
use crate::manage::topics::{self, Asking, Confirming};
use crate::manage::{Refusal, Resource};

/// Letters of a confirmation's token.
const TOKEN_LETTERS: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SubscribeRequest {
    topic_arn: Option<String>,
    protocol: Option<String>,
    endpoint: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    attributes: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    return_subscription_arn: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SubscriptionArn {
    subscription_arn: String,
}

pub(crate) async fn subscribe(cx: Cx, request: SubscribeRequest) -> Result<SubscriptionArn, ApiError> {
    let topic = need(request.topic_arn, "TopicArn")?;
    let protocol = need(request.protocol, "Protocol")?;
    let address = |endpoint: Option<String>| need(endpoint, "Endpoint");
    let endpoint = match protocol.as_str() {
        "email" => Endpoint::Email(address(request.endpoint)?),
        "email-json" => Endpoint::EmailJson(address(request.endpoint)?),
        "http" => Endpoint::Http(address(request.endpoint)?),
        "https" => Endpoint::Https(address(request.endpoint)?),
        "lambda" => Endpoint::Lambda(address(request.endpoint)?),
        other @ ("sms" | "sqs" | "application" | "firehose") => {
            return Err(invalid(format!(
                "Invalid parameter: Protocol: {other} is not served by this version; use email, email-json, http or https"
            )));
        }
        _ => return Err(invalid("Invalid parameter: Protocol")),
    };
    let asking = asking(&cx);
    let subscription =
        topics::subscribe(&cx.app.records, &topic, endpoint, &request.attributes, &asking).map_err(no)?;
    cx.app.outbox_bell.notify_one();
    let shown = request.return_subscription_arn || subscription.consent == Consent::Confirmed;
    let subscription_arn = if shown { subscription.arn } else { "pending confirmation".to_owned() };
    Ok(SubscriptionArn { subscription_arn })
}

/// What asks an endpoint for consent, or tells it that it is over.
fn asking(cx: &Cx) -> Asking<'_> {
    Asking {
        links: cx.app.links(),
        lanes: &cx.app.lanes,
        id: Uuid::new_v4().to_string(),
        token: random(TOKEN_LETTERS, b"0123456789abcdef"),
        principal: cx.caller.arn(&cx.app.account),
        now: cx.now,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConfirmSubscriptionRequest {
    topic_arn: Option<String>,
    token: Option<String>,
    authenticate_on_unsubscribe: Option<String>,
}

pub(crate) async fn confirm_subscription(
    cx: Cx,
    request: ConfirmSubscriptionRequest,
) -> Result<SubscriptionArn, ApiError> {
    let topic = need(request.topic_arn, "TopicArn")?;
    let token = need(request.token, "Token")?;
    let keep_strangers_out = match request.authenticate_on_unsubscribe.as_deref() {
        None | Some("" | "false") => false,
        Some("true") => true,
        Some(_) => return Err(invalid("Invalid parameter: AuthenticateOnUnsubscribe")),
    };
    let is_signed = is_signed(&cx);
    if keep_strangers_out && !is_signed {
        return Err(denied("To disallow anonymous unsubscription, subscriber and confirmer IDs must match"));
    }
    let answer = Confirming { token: &token, is_signed, keep_strangers_out, now: cx.now };
    let subscription = topics::confirm(&cx.app.records, &topic, &answer).map_err(no)?;
    Ok(SubscriptionArn { subscription_arn: subscription.arn })
}

fn denied(text: &str) -> ApiError {
    ApiError { status: 403, code: "AuthorizationError", message: text.to_owned() }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SubscriptionRequest {
    subscription_arn: Option<String>,
}

pub(crate) async fn unsubscribe(cx: Cx, request: SubscriptionRequest) -> Result<(), ApiError> {
    let arn = checked(request.subscription_arn)?;
    match topics::subscription(&cx.app.records, &arn) {
        Ok(there) if there.keeps_strangers_out && !is_signed(&cx) => {
            return Err(denied("This subscription may only be deleted by an authorized user."));
        }
        Ok(_) | Err(Refusal::Missing(Resource::Subscription)) => {}
        Err(other) => return Err(no(other)),
    }
    topics::unsubscribe(&cx.app.records, &arn, &asking(&cx)).map_err(no)?;
    cx.app.outbox_bell.notify_one();
    Ok(())
}

/// A subscription's ARN, or a refusal of what can be none.
fn checked(arn: Option<String>) -> Result<String, ApiError> {
    let arn = need(arn, "SubscriptionArn")?;
    if arn.split(':').count() < 7 {
        return Err(invalid(
            "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 7 elements",
        ));
    }
    Ok(arn)
}

pub(crate) async fn get_subscription_attributes(
    cx: Cx,
    request: SubscriptionRequest,
) -> Result<Attributes, ApiError> {
    let arn = checked(request.subscription_arn)?;
    let subscription = topics::subscription(&cx.app.records, &arn).map_err(no)?;
    let topic = topics::find(&cx.app.records, &subscription.topic).map_err(no)?;
    let attributes = topics::shown_subscription(&subscription, Some(&topic), &cx.app.account);
    Ok(Attributes { attributes })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SetSubscriptionAttributesRequest {
    subscription_arn: Option<String>,
    attribute_name: Option<String>,
    attribute_value: Option<String>,
}

pub(crate) async fn set_subscription_attributes(
    cx: Cx,
    request: SetSubscriptionAttributesRequest,
) -> Result<(), ApiError> {
    let arn = checked(request.subscription_arn)?;
    let name = need(request.attribute_name, "AttributeName")?;
    let value = request.attribute_value.unwrap_or_default();
    topics::set_subscription_attribute(&cx.app.records, &arn, &name, &value).map_err(no)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListSubscriptionsResponse {
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

pub(crate) async fn list_subscriptions(
    cx: Cx,
    request: TopicRequest,
) -> Result<ListSubscriptionsResponse, ApiError> {
    let found = topics::all_subscriptions(&cx.app.records, &cx.region, &cx.app.account).map_err(no)?;
    listed(&cx, found, request.next_token)
}

pub(crate) async fn list_subscriptions_by_topic(
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
        let confirmed = subscription.consent == Consent::Confirmed;
        SubscriptionEntry {
            subscription_arn: if confirmed { subscription.arn } else { "PendingConfirmation".into() },
            owner: cx.app.account.clone(),
            protocol: subscription.endpoint.protocol(),
            endpoint: subscription.endpoint.shown(),
            topic_arn: subscription.topic,
        }
    };
    Ok(ListSubscriptionsResponse { subscriptions: shown.into_iter().map(entry).collect(), next_token })
}
