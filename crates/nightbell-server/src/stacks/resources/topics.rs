/*!
`AWS::SNS::…`: topics, subscriptions and topic policies.
*/

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::shape::{Property, Shape, TAGS, text};
use super::{Handler, Made, Naming, Old, Site, Type, Wanted, items, listed, said};
use crate::aws::error::Told;
use crate::aws::service::Service::Sns;

const TOPIC_NAME_CHARS_MAX: usize = 256;
/// What is answered where something is not there.
const MISSING: &[&str] = &["NotFound"];

pub(super) static TYPES: [Type; 3] = [
    Type {
        name: "AWS::SNS::Topic",
        properties: &[
            text("TopicName").replacing(),
            text("DisplayName"),
            text("KmsMasterKeyId"),
            text("SignatureVersion"),
            text("TracingConfig"),
            Property::new(
                "Subscription",
                Shape::List(&[text("Endpoint").required(), text("Protocol").required()]),
            ),
            TAGS,
        ],
        attributes: &["TopicArn", "TopicName"],
        naming: Naming::Property("TopicName", TOPIC_NAME_CHARS_MAX),
        gives_rights: false,
        handler: &Topic,
    },
    Type {
        name: "AWS::SNS::Subscription",
        properties: &[
            text("TopicArn").required().replacing(),
            text("Protocol").required().replacing(),
            text("Endpoint").required().replacing(),
            Property::new("FilterPolicy", Shape::Document),
            text("FilterPolicyScope"),
            Property::new("RawMessageDelivery", Shape::Text),
            Property::new("DeliveryPolicy", Shape::Document),
            Property::new("RedrivePolicy", Shape::Document),
        ],
        attributes: &["Arn"],
        naming: Naming::Service,
        gives_rights: false,
        handler: &Subscription,
    },
    Type {
        name: "AWS::SNS::TopicPolicy",
        properties: &[
            Property::new("Topics", Shape::Texts).required(),
            Property::new("PolicyDocument", Shape::Document).required(),
        ],
        attributes: &[],
        naming: Naming::Made(TOPIC_NAME_CHARS_MAX),
        gives_rights: false,
        handler: &TopicPolicy,
    },
];

struct Topic;

/// The properties that are attributes of the topic.
const TOPIC_ATTRIBUTES: [&str; 4] = ["DisplayName", "KmsMasterKeyId", "SignatureVersion", "TracingConfig"];

impl Topic {
    fn arn(&self, site: &Site, name: &str) -> String {
        site.arn("sns", name)
    }

    fn made(&self, arn: &str) -> Made {
        let name = arn.rsplit(':').next().unwrap_or_default();
        Made::of(arn).with("TopicArn", arn).with("TopicName", name)
    }
}

async fn subscribe(
    site: &Site,
    topic: &str,
    one: &Value,
    attributes: Map<String, Value>,
) -> Result<String, Told> {
    let input = json!({
        "TopicArn": topic, "Protocol": said(one, "Protocol"), "Endpoint": said(one, "Endpoint"),
        "Attributes": attributes, "ReturnSubscriptionArn": true,
    });
    let answer = site.ask(Sns, "Subscribe", input).await?;
    Ok(said(&answer, "SubscriptionArn").to_owned())
}

/// Ends the subscription of a topic that has this protocol and endpoint, where it is confirmed; others end by themselves.
async fn unsubscribe(site: &Site, topic: &str, one: &Value) -> Result<(), Told> {
    let mut token = Value::Null;
    loop {
        let input = json!({"TopicArn": topic, "NextToken": token});
        let found =
            site.ask_unless(MISSING, Sns, "ListSubscriptionsByTopic", input).await?.unwrap_or_default();
        let same =
            |there: &&Value| ["Protocol", "Endpoint"].iter().all(|name| said(there, name) == said(one, name));
        if let Some(there) = items(&found, "Subscriptions").iter().find(same) {
            let arn = said(there, "SubscriptionArn");
            if arn.starts_with("arn:") {
                site.ask(Sns, "Unsubscribe", json!({"SubscriptionArn": arn})).await?;
            }
            return Ok(());
        }
        token = found["NextToken"].clone();
        if token.is_null() {
            return Ok(());
        }
    }
}

#[async_trait]
impl Handler for Topic {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let input = json!({"TopicArn": self.arn(site, wanted.name)});
        Ok(site.ask_unless(MISSING, Sns, "GetTopicAttributes", input).await?.is_some())
    }

    fn physical(&self, site: &Site, wanted: &Wanted<'_>) -> Option<String> {
        Some(self.arn(site, wanted.name))
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let attributes = super::members(wanted.properties, &TOPIC_ATTRIBUTES);
        let input = json!({"Name": wanted.name, "Attributes": attributes, "Tags": listed(wanted.tags)});
        let answer = site.ask(Sns, "CreateTopic", input).await?;
        let arn = said(&answer, "TopicArn");
        for one in items(wanted.properties, "Subscription") {
            subscribe(site, arn, one, Map::new()).await?;
        }
        Ok(self.made(arn))
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        for name in TOPIC_ATTRIBUTES.iter().filter(|name| old.differs(wanted, name)) {
            let value = said(wanted.properties, name);
            let input = json!({"TopicArn": physical, "AttributeName": name, "AttributeValue": value});
            site.ask(Sns, "SetTopicAttributes", input).await?;
        }
        let (there, asked) =
            (items(old.properties, "Subscription"), items(wanted.properties, "Subscription"));
        for one in asked.iter().filter(|one| !there.contains(one)) {
            subscribe(site, physical, one, Map::new()).await?;
        }
        for one in there.iter().filter(|one| !asked.contains(one)) {
            unsubscribe(site, physical, one).await?;
        }
        let (set, unset) = old.tag_changes(wanted);
        if !unset.is_empty() {
            site.ask(Sns, "UntagResource", json!({"ResourceArn": physical, "TagKeys": unset})).await?;
        }
        if !set.is_empty() {
            site.ask(Sns, "TagResource", json!({"ResourceArn": physical, "Tags": listed(&set)})).await?;
        }
        Ok(self.made(physical))
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        site.ask_unless(MISSING, Sns, "DeleteTopic", json!({"TopicArn": physical})).await.map(|_| ())
    }
}

struct Subscription;

/// The properties that are attributes of the subscription.
const SUBSCRIPTION_ATTRIBUTES: [&str; 5] =
    ["FilterPolicyScope", "FilterPolicy", "RawMessageDelivery", "DeliveryPolicy", "RedrivePolicy"];

#[async_trait]
impl Handler for Subscription {
    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        // Asked again for the same endpoint, the service gives the subscription that is there.
        let attributes = super::members(wanted.properties, &SUBSCRIPTION_ATTRIBUTES);
        let arn = subscribe(site, said(wanted.properties, "TopicArn"), wanted.properties, attributes).await?;
        Ok(Made::of(arn.as_str()).with("Arn", arn))
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        for name in SUBSCRIPTION_ATTRIBUTES.iter().filter(|name| old.differs(wanted, name)) {
            let value = said(wanted.properties, name);
            let input = json!({"SubscriptionArn": physical, "AttributeName": name, "AttributeValue": value});
            site.ask(Sns, "SetSubscriptionAttributes", input).await?;
        }
        Ok(Made::of(physical).with("Arn", physical))
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        site.ask_unless(MISSING, Sns, "Unsubscribe", json!({"SubscriptionArn": physical})).await.map(|_| ())
    }
}

struct TopicPolicy;

impl TopicPolicy {
    async fn set(&self, site: &Site, topic: &str, document: &str) -> Result<(), Told> {
        let input = json!({"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": document});
        site.ask(Sns, "SetTopicAttributes", input).await.map(|_| ())
    }

    /// Gives a topic back the policy that every new one has.
    async fn reset(&self, site: &Site, topic: &str) -> Result<(), Told> {
        let actions = [
            "SNS:GetTopicAttributes",
            "SNS:SetTopicAttributes",
            "SNS:AddPermission",
            "SNS:RemovePermission",
            "SNS:DeleteTopic",
            "SNS:Subscribe",
            "SNS:ListSubscriptionsByTopic",
            "SNS:Publish",
        ];
        let document = json!({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [{
            "Sid": "__default_statement_ID", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": actions,
            "Resource": topic, "Condition": {"StringEquals": {"AWS:SourceOwner": site.account()}},
        }]});
        match self.set(site, topic, &document.to_string()).await {
            Err(told) if MISSING.contains(&told.error.code) => Ok(()),
            other => other,
        }
    }
}

#[async_trait]
impl Handler for TopicPolicy {
    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        for topic in items(wanted.properties, "Topics").iter().filter_map(Value::as_str) {
            self.set(site, topic, said(wanted.properties, "PolicyDocument")).await?;
        }
        Ok(Made::of(wanted.name))
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        let asked = items(wanted.properties, "Topics");
        for topic in items(old.properties, "Topics").iter().filter(|topic| !asked.contains(topic)) {
            self.reset(site, topic.as_str().unwrap_or_default()).await?;
        }
        self.create(site, &Wanted { name: physical, ..*wanted }).await
    }

    async fn delete(&self, site: &Site, _physical: &str, properties: &Value) -> Result<(), Told> {
        for topic in items(properties, "Topics").iter().filter_map(Value::as_str) {
            self.reset(site, topic).await?;
        }
        Ok(())
    }
}
