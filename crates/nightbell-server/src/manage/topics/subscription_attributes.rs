/*!
The attributes of a subscription: which there are, what each may say, and what a subscription without them shows.

Rules and texts: Amazon SNS API reference, "SetSubscriptionAttributes", "GetSubscriptionAttributes", "Subscribe". The texts about their
values are *assumed* to follow those of topics.
*/

use std::collections::BTreeMap;

use nightbell_core::delivery_policy::DeliveryPolicy;
use nightbell_core::filter_policy::{FILTER_POLICIES_MAX, FilterPolicy, FilterScope};
use nightbell_core::topic::{Consent, Subscription, Topic};
use nightbell_store::Write;
use serde_json::Value;

use super::attributes::{POLICY_BYTES_MAX, delivery_policy};
use super::subscriptions::key;
use super::{Refusal, Resource, subscription, subscriptions};
use crate::catalog::{Records, put};

/// Which messages the subscriber gets.
const FILTER_POLICY: &str = "FilterPolicy";
/// What the filter policy looks at.
const FILTER_POLICY_SCOPE: &str = "FilterPolicyScope";
/// Whether a web endpoint gets the bare message.
const RAW: &str = "RawMessageDelivery";
/// How a web endpoint is tried again.
const DELIVERY_POLICY: &str = "DeliveryPolicy";
/// Where messages go that are given up; kept and shown, since queues are not served.
const REDRIVE_POLICY: &str = "RedrivePolicy";

/// Sets an attribute of a subscription; an empty value takes it away.
pub(crate) fn set_subscription_attribute(
    records: &Records,
    arn: &str,
    name: &str,
    value: &str,
) -> Result<(), Refusal> {
    let _turn = records.turn();
    let mut subscription = subscription(records, arn)?;
    set(&mut subscription, name, value)?;
    if name == FILTER_POLICY {
        check_room(records, &subscription)?;
    }
    let key = key(arn).ok_or(Refusal::Missing(Resource::Subscription))?;
    let mut change = Write::new();
    put(&mut change, &key, &subscription);
    Ok(records.commit(change)?)
}

/// Sets all `attributes` of a new subscription.
pub(super) fn set_all(
    subscription: &mut Subscription,
    attributes: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    // The scope first: it says what the policy may hold.
    let scope = attributes.get_key_value(FILTER_POLICY_SCOPE);
    let others = attributes.iter().filter(|(name, _)| *name != FILTER_POLICY_SCOPE);
    for (name, value) in scope.into_iter().chain(others) {
        set(subscription, name, value).map_err(|refusal| match refusal {
            Refusal::Invalid(text) if text == UNKNOWN => {
                let shown: String = name.chars().take(100).collect();
                Refusal::Invalid(format!("Invalid parameter: Attributes Reason: Unknown attribute {shown}"))
            }
            other => other,
        })?;
    }
    Ok(())
}

/// Refuses more filter policies than a topic may have.
pub(super) fn check_room(records: &Records, subscription: &Subscription) -> Result<(), Refusal> {
    if !subscription.attributes.contains_key(FILTER_POLICY) {
        return Ok(());
    }
    let there = subscriptions(records, &subscription.topic)?;
    let others = there
        .iter()
        .filter(|other| other.arn != subscription.arn && other.attributes.contains_key(FILTER_POLICY));
    if others.count() < FILTER_POLICIES_MAX {
        return Ok(());
    }
    let text = format!("Filter policy limit exceeded: a topic has at most {FILTER_POLICIES_MAX} of them");
    Err(Refusal::FilterPolicies(text))
}

/// The attributes as they are shown; `topic` is the one subscribed to.
pub(crate) fn shown(
    subscription: &Subscription,
    topic: Option<&Topic>,
    account: &str,
) -> BTreeMap<String, String> {
    let mut shown = subscription.attributes.clone();
    let is_confirmed = subscription.consent == Consent::Confirmed;
    let root = || format!("arn:aws:iam::{account}:root");
    if shown.contains_key(FILTER_POLICY) {
        shown
            .entry(FILTER_POLICY_SCOPE.to_owned())
            .or_insert_with(|| FilterScope::default().name().to_owned());
    } else {
        shown.remove(FILTER_POLICY_SCOPE);
    }
    shown.entry(RAW.to_owned()).or_insert_with(|| "false".to_owned());
    if subscription.endpoint.is_web() {
        let effective = effective_delivery_policy(topic, Some(subscription)).shown().to_string();
        shown.insert("EffectiveDeliveryPolicy".to_owned(), effective);
    }
    let fixed = [
        ("SubscriptionArn", subscription.arn.clone()),
        ("TopicArn", subscription.topic.clone()),
        ("Owner", account.to_owned()),
        ("Protocol", subscription.endpoint.protocol().to_owned()),
        ("Endpoint", subscription.endpoint.shown()),
        ("ConfirmationWasAuthenticated", subscription.authenticated.to_string()),
        ("PendingConfirmation", (!is_confirmed).to_string()),
        ("SubscriptionPrincipal", subscription.principal.clone().unwrap_or_else(root)),
    ];
    shown.extend(fixed.map(|(name, value)| (name.to_owned(), value)));
    shown
}

/// Whether the endpoint gets the bare message.
pub(crate) fn is_raw(subscription: &Subscription) -> bool {
    subscription.attributes.get(RAW).is_some_and(|value| value == "true")
}

/// How deliveries to a subscription's web endpoint go.
pub(crate) fn effective_delivery_policy(
    topic: Option<&Topic>,
    subscription: Option<&Subscription>,
) -> DeliveryPolicy {
    let own = subscription.and_then(|subscription| subscription.attributes.get(DELIVERY_POLICY));
    DeliveryPolicy::effective(topic.and_then(delivery_policy), own.map(String::as_str))
}

/// The subscription's filter policy, compiled. One that cannot be read, though it was checked when it was set, counts as none: a message
/// too many is better than an alarm that nobody hears.
pub(super) fn filter_policy(subscription: &Subscription) -> Option<FilterPolicy> {
    let text = subscription.attributes.get(FILTER_POLICY)?;
    FilterPolicy::parse(text, scope(subscription)).ok()
}

fn scope(subscription: &Subscription) -> FilterScope {
    let named = subscription.attributes.get(FILTER_POLICY_SCOPE);
    named.and_then(|name| FilterScope::named(name)).unwrap_or_default()
}

const UNKNOWN: &str = "Invalid parameter: AttributeName";

fn set(subscription: &mut Subscription, name: &str, value: &str) -> Result<(), Refusal> {
    if ![FILTER_POLICY, FILTER_POLICY_SCOPE, RAW, DELIVERY_POLICY, REDRIVE_POLICY].contains(&name) {
        return Err(Refusal::Invalid(UNKNOWN.into()));
    }
    let is_nothing = value.is_empty() || (name == FILTER_POLICY && value.trim() == "{}");
    if !is_nothing {
        check(subscription, name, value)?;
    }
    if is_nothing {
        subscription.attributes.remove(name);
    } else {
        subscription.attributes.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

fn check(subscription: &Subscription, name: &str, value: &str) -> Result<(), Refusal> {
    let refused = |text: String| Err(Refusal::Invalid(format!("Invalid parameter: {text}")));
    let protocol = subscription.endpoint.protocol();
    match name {
        FILTER_POLICY => match FilterPolicy::parse(value, scope(subscription)) {
            Ok(_) => Ok(()),
            Err(error) => refused(error.to_string()),
        },
        FILTER_POLICY_SCOPE => {
            let Some(scope) = FilterScope::named(value) else {
                let shown: String = value.chars().take(40).collect();
                return refused(format!(
                    "FilterPolicyScope: Invalid value [{shown}]. Please use either MessageBody or MessageAttributes"
                ));
            };
            let policy = subscription.attributes.get(FILTER_POLICY);
            match policy.map(|text| FilterPolicy::parse(text, scope)) {
                Some(Err(error)) => refused(error.to_string()),
                _ => Ok(()),
            }
        }
        RAW if !["true", "false"].contains(&value) => {
            refused("RawMessageDelivery Reason: say true or false".into())
        }
        RAW if value == "true" && !subscription.endpoint.is_web() => {
            refused(format!("Delivery protocol [{protocol}] does not support raw message delivery."))
        }
        DELIVERY_POLICY if !subscription.endpoint.is_web() => {
            refused(format!("Delivery protocol [{protocol}] does not support a delivery policy."))
        }
        DELIVERY_POLICY | REDRIVE_POLICY if value.len() > POLICY_BYTES_MAX => {
            refused(format!("{name} Reason: it has more than {POLICY_BYTES_MAX} bytes"))
        }
        DELIVERY_POLICY => match DeliveryPolicy::check_subscription(value) {
            Ok(()) => Ok(()),
            Err(error) => refused(error.to_string()),
        },
        REDRIVE_POLICY => check_redrive(value).or_else(|text| refused(format!("RedrivePolicy: {text}"))),
        _ => Ok(()),
    }
}

fn check_redrive(value: &str) -> Result<(), String> {
    let policy: Value = serde_json::from_str(value).map_err(|_| "failed to parse JSON.".to_owned())?;
    let target = policy.get("deadLetterTargetArn").and_then(Value::as_str);
    match target {
        Some(arn) if arn.starts_with("arn:aws:sqs:") && arn.split(':').count() == 6 => Ok(()),
        Some(_) => Err("deadLetterTargetArn must be the ARN of a queue".to_owned()),
        None => Err("deadLetterTargetArn must be specified".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use nightbell_core::topic::Endpoint;

    use super::*;

    fn subscription(endpoint: Endpoint) -> Subscription {
        Subscription {
            arn: "arn:aws:sns:r:1:t:s".to_owned(),
            topic: "arn:aws:sns:r:1:t".to_owned(),
            endpoint,
            consent: Consent::Confirmed,
            attributes: BTreeMap::new(),
            principal: None,
            authenticated: false,
            keeps_strangers_out: false,
        }
    }

    fn mail() -> Subscription {
        subscription(Endpoint::Email("a@example.org".to_owned()))
    }

    fn web() -> Subscription {
        subscription(Endpoint::Https("https://u:secret@example.org/".to_owned()))
    }

    #[test]
    fn a_new_subscription_shows_what_clients_read() {
        let mail = shown(&mail(), None, "123456789012");
        let rows = [
            ("SubscriptionArn", "arn:aws:sns:r:1:t:s"),
            ("TopicArn", "arn:aws:sns:r:1:t"),
            ("Owner", "123456789012"),
            ("Protocol", "email"),
            ("Endpoint", "a@example.org"),
            ("ConfirmationWasAuthenticated", "false"),
            ("PendingConfirmation", "false"),
            ("RawMessageDelivery", "false"),
            ("SubscriptionPrincipal", "arn:aws:iam::123456789012:root"),
        ];
        assert_eq!(mail.len(), rows.len(), "{mail:?}");
        for (name, value) in rows {
            assert_eq!(mail[name], value, "{name}");
        }
        let web = shown(&web(), None, "123456789012");
        assert_eq!(web["Endpoint"], "https://u:****@example.org/");
        let effective: Value = serde_json::from_str(&web["EffectiveDeliveryPolicy"]).unwrap();
        assert_eq!(effective["healthyRetryPolicy"]["numRetries"], 3);
    }

    #[test]
    fn what_is_set_is_shown_and_what_is_emptied_is_gone() {
        let rows = [
            (FILTER_POLICY, r#"{"state":["ALARM"]}"#),
            (FILTER_POLICY_SCOPE, "MessageBody"),
            (RAW, "true"),
            (DELIVERY_POLICY, r#"{"throttlePolicy":{"maxReceivesPerSecond":5}}"#),
            (REDRIVE_POLICY, r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-2:123456789012:dead"}"#),
        ];
        let mut web = web();
        for (name, value) in rows {
            set(&mut web, name, value).unwrap();
            assert_eq!(shown(&web, None, "1")[name], value);
        }
        assert!(is_raw(&web));
        assert_eq!(effective_delivery_policy(None, Some(&web)).per_second_max, Some(5));
        set(&mut web, FILTER_POLICY, "{}").unwrap();
        let left = shown(&web, None, "1");
        assert!(!left.contains_key(FILTER_POLICY) && !left.contains_key(FILTER_POLICY_SCOPE));
    }

    #[test]
    fn what_is_refused_is_named() {
        let nested = r#"{"a":{"b":["c"]}}"#;
        let rows = [
            (mail(), "Colour", "red", "AttributeName"),
            (mail(), "SubscriptionRoleArn", "arn:aws:iam::1:role/r", "AttributeName"),
            (mail(), FILTER_POLICY, "{", "FilterPolicy: failed to parse JSON."),
            (mail(), FILTER_POLICY, nested, "Filter policy scope MessageAttributes does not support nested"),
            (mail(), FILTER_POLICY_SCOPE, "Body", "FilterPolicyScope: Invalid value [Body]."),
            (mail(), RAW, "true", "Delivery protocol [email] does not support raw message delivery."),
            (web(), RAW, "yes", "RawMessageDelivery Reason: say true or false"),
            (mail(), DELIVERY_POLICY, "{}", "Delivery protocol [email] does not support a delivery policy."),
            (
                web(),
                DELIVERY_POLICY,
                r#"{"healthyRetryPolicy":{}}"#,
                "DeliveryPolicy: healthyRetryPolicy.minDelayTarget must be specified",
            ),
            (web(), REDRIVE_POLICY, "{}", "RedrivePolicy: deadLetterTargetArn must be specified"),
        ];
        for (mut subscription, name, value, start) in rows {
            let Err(Refusal::Invalid(text)) = set(&mut subscription, name, value) else {
                panic!("{name} {value}")
            };
            assert!(text.starts_with(&format!("Invalid parameter: {start}")), "{text}");
            assert!(subscription.attributes.is_empty());
        }
        let mut body = mail();
        set(&mut body, FILTER_POLICY_SCOPE, "MessageBody").unwrap();
        set(&mut body, FILTER_POLICY, nested).unwrap();
        assert!(set(&mut body, FILTER_POLICY_SCOPE, "MessageAttributes").is_err(), "the policy is nested");
    }
}
