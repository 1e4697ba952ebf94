/*!
The attributes of a topic: which there are, what each may say, and what a topic without them shows.

Rules and texts: Amazon SNS API reference, "SetTopicAttributes", "GetTopicAttributes", "CreateTopic". Five are Nightbell's
own: `MessageTemplate`, `IncidentMessages`, `MessageBudget`, `MessageBurst` and `DigestEvery`. The texts about their values are *assumed* to follow the others.
*/

use std::collections::BTreeMap;

use nightbell_core::budget::{Allowance, DIGEST_EVERY_MAX_MS, DIGEST_EVERY_MIN_MS, MESSAGES_MAX};
use nightbell_core::delivery_policy::DeliveryPolicy;
use nightbell_core::policy::{Policy, PolicyKind};
use nightbell_core::time::SECOND_MS;
use nightbell_core::topic::Topic;
use nightbell_deliver::Template;
use nightbell_deliver::web::SignatureVersion;
use serde_json::{Value, json};

use crate::manage::Refusal;

/// Longest policy, in bytes ("Amazon SNS endpoints and quotas").
pub(crate) const POLICY_BYTES_MAX: usize = 30_720;
/// Longest display name, in characters.
pub(crate) const DISPLAY_NAME_CHARS_MAX: usize = 100;
/// Longest value of an attribute that changes nothing here, in characters.
const KEPT_CHARS_MAX: usize = 2_048;

/// What the sender of mails is called.
const DISPLAY_NAME: &str = "DisplayName";
/// Who may do what with the topic.
pub(super) const POLICY: &str = "Policy";
/// How web endpoints are tried again.
const DELIVERY_POLICY: &str = "DeliveryPolicy";
/// How notifications are signed.
const SIGNATURE_VERSION: &str = "SignatureVersion";
/// The template of the HTML part of mails about alarms.
const MESSAGE_TEMPLATE: &str = "MessageTemplate";
/// Which messages about incidents a topic takes.
const INCIDENT_MESSAGES: &str = "IncidentMessages";
/// All of them: the first, updates and the end.
const INCIDENT_MESSAGES_ALL: &str = "all";
/// Only the first, which is the alarm's action.
const INCIDENT_MESSAGES_START_ONLY: &str = "start-only";
/// Messages of incidents that go out by themselves in `core::budget::BUDGET_WINDOW_MS`.
const MESSAGE_BUDGET: &str = "MessageBudget";
/// Messages of incidents that go out by themselves in one moment.
const MESSAGE_BURST: &str = "MessageBurst";
/// How many seconds updates and ends past the budget wait for a digest at most.
const DIGEST_EVERY: &str = "DigestEvery";
/// Seconds that a topic may say there.
const DIGEST_EVERY_S: (i64, i64) = (DIGEST_EVERY_MIN_MS / SECOND_MS, DIGEST_EVERY_MAX_MS / SECOND_MS);

/// Attributes of the service that change nothing here, so that what sets them need not be changed.
const KEPT: [&str; 2] = ["KmsMasterKeyId", "TracingConfig"];
/// Starts and ends of the names of further ones: `HTTPSuccessFeedbackRoleArn` …
const FEEDBACK_OF: [&str; 5] = ["Application", "Firehose", "HTTP", "Lambda", "SQS"];
const FEEDBACKS: [&str; 3] =
    ["SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"];

/// Whether a topic takes no messages about an incident after the first.
pub(crate) fn wants_first_only(topic: &Topic) -> bool {
    topic.attributes.get(INCIDENT_MESSAGES).is_some_and(|wanted| wanted == INCIDENT_MESSAGES_START_ONLY)
}

/// The topic's own template, where it has one.
pub(crate) fn template(topic: &Topic) -> Option<&str> {
    topic.attributes.get(MESSAGE_TEMPLATE).map(String::as_str)
}

/// What the sender of the topic's mails is called, where it says so.
pub(crate) fn display_name(topic: &Topic) -> Option<&str> {
    topic.attributes.get(DISPLAY_NAME).map(String::as_str).filter(|name| !name.trim().is_empty())
}

/// How web endpoints are tried again, where the topic says so.
pub(crate) fn delivery_policy(topic: &Topic) -> Option<&str> {
    topic.attributes.get(DELIVERY_POLICY).map(String::as_str)
}

/// How the topic's notifications are signed.
pub(crate) fn signature_version(topic: &Topic) -> SignatureVersion {
    match topic.attributes.get(SIGNATURE_VERSION).map(String::as_str) {
        Some("2") => SignatureVersion::Two,
        _ => SignatureVersion::One,
    }
}

/// The topic's policy, or the one it has by default.
pub(super) fn policy(topic: &Topic, account: &str) -> Value {
    let own = topic.attributes.get(POLICY).and_then(|text| serde_json::from_str(text).ok());
    own.unwrap_or_else(|| default_policy(&topic.arn, account))
}

/// How many messages of incidents the topic sends by themselves; what it does not say is the default.
pub(crate) fn allowance(topic: &Topic) -> Allowance {
    let said = |name: &str| topic.attributes.get(name);
    let mut allowance = Allowance::default();
    if let Some(messages) = said(MESSAGE_BUDGET).and_then(|value| value.parse().ok()) {
        allowance.per_window = messages;
    }
    if let Some(messages) = said(MESSAGE_BURST).and_then(|value| value.parse().ok()) {
        allowance.per_moment = messages;
    }
    if let Some(seconds) = said(DIGEST_EVERY).and_then(|value| value.parse::<i64>().ok()) {
        allowance.digest_every_ms = seconds.saturating_mul(SECOND_MS);
    }
    allowance
}

/// Refuses names that are no attributes, and values that are none of theirs.
pub(super) fn check_all(attributes: &BTreeMap<String, String>) -> Result<(), Refusal> {
    for (name, value) in attributes {
        if !is_known(name) {
            let shown: String = name.chars().take(100).collect();
            let text = format!("Invalid parameter: Attributes Reason: Unknown attribute {shown}");
            return Err(Refusal::Invalid(text));
        }
        check(name, value)?;
    }
    Ok(())
}

/// Sets an attribute; an empty value takes it away, so that the default is shown.
pub(super) fn set(topic: &mut Topic, name: &str, value: &str) -> Result<(), Refusal> {
    if !is_known(name) {
        return Err(Refusal::Invalid("Invalid parameter: AttributeName".into()));
    }
    if value.is_empty() && name != POLICY {
        topic.attributes.remove(name);
        return Ok(());
    }
    check(name, value)?;
    topic.attributes.insert(name.to_owned(), value.to_owned());
    Ok(())
}

/// The attributes as they are shown, beside those that count subscriptions.
pub(crate) fn shown(topic: Topic, account: &str) -> BTreeMap<String, String> {
    let Topic { arn, mut attributes, .. } = topic;
    attributes.entry(DISPLAY_NAME.to_owned()).or_default();
    attributes.entry(POLICY.to_owned()).or_insert_with(|| default_policy(&arn, account).to_string());
    let delivery = attributes.get(DELIVERY_POLICY).and_then(|text| serde_json::from_str(text).ok());
    let effective = delivery.unwrap_or_else(default_delivery_policy).to_string();
    attributes.insert("EffectiveDeliveryPolicy".to_owned(), effective);
    attributes.insert("TopicArn".to_owned(), arn);
    attributes.insert("Owner".to_owned(), account.to_owned());
    attributes
}

fn is_known(name: &str) -> bool {
    let service = [DISPLAY_NAME, POLICY, DELIVERY_POLICY, SIGNATURE_VERSION];
    let own = [MESSAGE_TEMPLATE, INCIDENT_MESSAGES, MESSAGE_BUDGET, MESSAGE_BURST, DIGEST_EVERY];
    let feedback =
        |of: &&'static str| name.strip_prefix(*of).is_some_and(|feedback| FEEDBACKS.contains(&feedback));
    service.contains(&name) || own.contains(&name) || KEPT.contains(&name) || FEEDBACK_OF.iter().any(feedback)
}

fn check(name: &str, value: &str) -> Result<(), Refusal> {
    let refused =
        |reason: String| Err(Refusal::Invalid(format!("Invalid parameter: {name} Reason: {reason}")));
    match name {
        DISPLAY_NAME if value.chars().count() > DISPLAY_NAME_CHARS_MAX => {
            refused(format!("it has more than {DISPLAY_NAME_CHARS_MAX} characters"))
        }
        DISPLAY_NAME if value.chars().any(char::is_control) => refused("it has control characters".into()),
        POLICY | DELIVERY_POLICY if value.len() > POLICY_BYTES_MAX => {
            refused(format!("it has more than {POLICY_BYTES_MAX} bytes"))
        }
        POLICY => match Policy::parse(value, PolicyKind::Resource) {
            Ok(_) => Ok(()),
            Err(error) => refused(error.to_string()),
        },
        DELIVERY_POLICY => match DeliveryPolicy::check_topic(value) {
            Ok(()) => Ok(()),
            Err(error) => Err(Refusal::Invalid(format!("Invalid parameter: {error}"))),
        },
        SIGNATURE_VERSION if !["1", "2"].contains(&value) => refused("say 1 or 2".into()),
        MESSAGE_TEMPLATE => match Template::check(value) {
            Ok(()) => Ok(()),
            Err(error) => refused(error.to_string()),
        },
        INCIDENT_MESSAGES if ![INCIDENT_MESSAGES_ALL, INCIDENT_MESSAGES_START_ONLY].contains(&value) => {
            refused(format!("say {INCIDENT_MESSAGES_ALL} or {INCIDENT_MESSAGES_START_ONLY}"))
        }
        MESSAGE_BUDGET | MESSAGE_BURST => whole(value, (0, i64::from(MESSAGES_MAX))).or_else(refused),
        DIGEST_EVERY => whole(value, DIGEST_EVERY_S).or_else(refused),
        _ if value.chars().count() > KEPT_CHARS_MAX => {
            refused(format!("it has more than {KEPT_CHARS_MAX} characters"))
        }
        _ => Ok(()),
    }
}

/// Whether `value` is a whole number within `limits`, in digits alone; else what is wrong with it.
fn whole(value: &str, limits: (i64, i64)) -> Result<(), String> {
    let digits = value.len() <= 10 && value.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<i64> = value.parse().ok().filter(|_| digits);
    match number.filter(|number| (limits.0..=limits.1).contains(number)) {
        Some(_) => Ok(()),
        None => {
            let shown: String = value.chars().take(20).collect();
            Err(format!("{shown:?} is no whole number from {} to {}", limits.0, limits.1))
        }
    }
}

/// Everything to the account that owns the topic.
fn default_policy(arn: &str, account: &str) -> Value {
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": [
                "SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
                "SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish",
            ],
            "Resource": arn,
            "Condition": { "StringEquals": { "AWS:SourceOwner": account } },
        }],
    })
}

fn default_delivery_policy() -> Value {
    json!({
        "http": {
            "defaultHealthyRetryPolicy": {
                "minDelayTarget": 20, "maxDelayTarget": 20, "numRetries": 3, "numMaxDelayRetries": 0,
                "numNoDelayRetries": 0, "numMinDelayRetries": 0, "backoffFunction": "linear",
            },
            "disableSubscriptionOverrides": false,
            "defaultRequestPolicy": { "headerContentType": "text/plain; charset=UTF-8" },
        },
    })
}

#[cfg(test)]
mod tests {
    use nightbell_core::time::Timestamp;

    use super::*;

    const ARN: &str = "arn:aws:sns:us-east-2:123456789012:t";

    fn topic() -> Topic {
        Topic { arn: ARN.to_owned(), created: Timestamp::from_millis(0), attributes: BTreeMap::new() }
    }

    fn refusal(done: Result<(), Refusal>) -> String {
        match done {
            Err(Refusal::Invalid(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_set_is_shown_and_what_is_emptied_is_the_default() {
        let mut topic = topic();
        let rows = [
            ("DisplayName", "Security"),
            (
                "Policy",
                r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"SNS:Publish","Resource":"*"}}"#,
            ),
            ("SignatureVersion", "2"),
            ("DeliveryPolicy", r#"{"http":{"disableSubscriptionOverrides":true}}"#),
            ("IncidentMessages", "start-only"),
            ("MessageTemplate", "<p>{{ headline }}</p>{{ body }}"),
            ("HTTPSuccessFeedbackSampleRate", "7"),
            ("TracingConfig", "PassThrough"),
            ("MessageBudget", "0"),
            ("MessageBurst", "10000"),
            ("DigestEvery", "3600"),
        ];
        for (name, value) in rows {
            set(&mut topic, name, value).unwrap();
            assert_eq!(shown(topic.clone(), "123456789012")[name], value);
        }
        assert_eq!((display_name(&topic), wants_first_only(&topic)), (Some("Security"), true));
        assert_eq!(template(&topic), Some("<p>{{ headline }}</p>{{ body }}"));
        let allowed = Allowance { per_moment: 10_000, per_window: 0, digest_every_ms: 3_600_000 };
        assert_eq!(allowance(&topic), allowed);
        let effective = &shown(topic.clone(), "123456789012")["EffectiveDeliveryPolicy"];
        assert_eq!(effective, r#"{"http":{"disableSubscriptionOverrides":true}}"#);
        for (name, _) in rows {
            if name != "Policy" {
                set(&mut topic, name, "").unwrap();
            }
        }
        assert_eq!(topic.attributes.keys().collect::<Vec<_>>(), ["Policy"]);
        assert_eq!((display_name(&topic), template(&topic), wants_first_only(&topic)), (None, None, false));
        assert_eq!(allowance(&topic), Allowance::default());
    }

    #[test]
    fn a_new_topic_shows_the_defaults() {
        let shown = shown(topic(), "123456789012");
        assert_eq!((shown["TopicArn"].as_str(), shown["Owner"].as_str()), (ARN, "123456789012"));
        assert_eq!(shown["DisplayName"], "");
        let policy: Value = serde_json::from_str(&shown["Policy"]).unwrap();
        assert_eq!(policy["Statement"][0]["Resource"], ARN);
        let delivery: Value = serde_json::from_str(&shown["EffectiveDeliveryPolicy"]).unwrap();
        assert_eq!(delivery["http"]["defaultHealthyRetryPolicy"]["numRetries"], 3);
        assert!(!shown.contains_key("MessageTemplate") && !shown.contains_key("DeliveryPolicy"));
    }

    #[test]
    fn what_is_refused_is_named() {
        let rows = [
            ("Colour", "red".to_owned(), "Invalid parameter: AttributeName"),
            ("TopicArn", ARN.to_owned(), "Invalid parameter: AttributeName"),
            ("FifoTopic", "true".to_owned(), "Invalid parameter: AttributeName"),
            ("SMSSuccessFeedbackRoleArn", String::new(), "Invalid parameter: AttributeName"),
            (
                "DisplayName",
                "x".repeat(101),
                "Invalid parameter: DisplayName Reason: it has more than 100 characters",
            ),
            (
                "DisplayName",
                "a\r\nBcc: b".to_owned(),
                "Invalid parameter: DisplayName Reason: it has control characters",
            ),
            ("Policy", "[]".to_owned(), "Invalid parameter: Policy Reason: Syntax errors in policy."),
            ("Policy", String::new(), "Invalid parameter: Policy Reason: Syntax errors in policy."),
            ("DeliveryPolicy", "{".to_owned(), "Invalid parameter: DeliveryPolicy: it is no JSON object:"),
            ("Policy", " ".repeat(30_721), "Invalid parameter: Policy Reason: it has more than 30720 bytes"),
            ("SignatureVersion", "3".to_owned(), "Invalid parameter: SignatureVersion Reason: say 1 or 2"),
            (
                "IncidentMessages",
                "none".to_owned(),
                "Invalid parameter: IncidentMessages Reason: say all or start-only",
            ),
            (
                "MessageTemplate",
                "<p>\n{{ headlin }}".to_owned(),
                "Invalid parameter: MessageTemplate Reason: line 2: undefined value",
            ),
            (
                "MessageTemplate",
                "{% include '/etc/passwd' %}".to_owned(),
                "Invalid parameter: MessageTemplate Reason: line 1: the statement \"include\" is not offered",
            ),
            (
                "KmsMasterKeyId",
                "k".repeat(2_049),
                "Invalid parameter: KmsMasterKeyId Reason: it has more than 2048",
            ),
        ];
        are_refused(rows);
        let unknown = BTreeMap::from([("Colour".to_owned(), "red".to_owned())]);
        let told = refusal(check_all(&unknown));
        assert_eq!(told, "Invalid parameter: Attributes Reason: Unknown attribute Colour");
    }

    #[test]
    fn budgets_that_are_refused_are_named() {
        are_refused([
            (
                "MessageBudget",
                "10001".to_owned(),
                "Invalid parameter: MessageBudget Reason: \"10001\" is no whole number from 0 to 10000",
            ),
            (
                "MessageBurst",
                "-1".to_owned(),
                "Invalid parameter: MessageBurst Reason: \"-1\" is no whole number from 0 to 10000",
            ),
            (
                "MessageBudget",
                "a\nfew".repeat(999),
                "Invalid parameter: MessageBudget Reason: \"a\\nfewa\\nfew",
            ),
            (
                "DigestEvery",
                "9".to_owned(),
                "Invalid parameter: DigestEvery Reason: \"9\" is no whole number from 10",
            ),
            (
                "DigestEvery",
                "3601".to_owned(),
                "Invalid parameter: DigestEvery Reason: \"3601\" is no whole number",
            ),
            (
                "DigestEvery",
                "+60".to_owned(),
                "Invalid parameter: DigestEvery Reason: \"+60\" is no whole number",
            ),
        ]);
    }

    fn are_refused<const N: usize>(rows: [(&str, String, &str); N]) {
        for (name, value, start) in rows {
            let mut topic = topic();
            let told = refusal(set(&mut topic, name, &value));
            assert!(told.starts_with(start), "{name}: {told}");
            assert_eq!(topic, self::topic(), "nothing was changed");
        }
    }
}
