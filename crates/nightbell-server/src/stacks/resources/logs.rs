/*!
`AWS::Logs::…`: log groups and what belongs to them.
*/

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::shape::{Property, Shape, TAGS, text};
use super::{Handler, Made, Naming, Old, Site, Type, Wanted, items, said, small, small_members};
use crate::aws::error::Told;
use crate::aws::service::Service::Logs;

const GROUP_NAME_CHARS_MAX: usize = 512;
const FILTER_NAME_CHARS_MAX: usize = 512;

/// What is answered where something is there already.
const EXISTS: &[&str] = &["ResourceAlreadyExistsException"];
/// What is answered where something is not there.
const MISSING: &[&str] = &["ResourceNotFoundException"];

pub(super) static TYPES: [Type; 6] = [
    Type {
        name: "AWS::Logs::LogGroup",
        properties: &[
            text("LogGroupName").replacing(),
            text("LogGroupClass").replacing(),
            Property::new("RetentionInDays", Shape::Whole),
            TAGS,
        ],
        attributes: &["Arn"],
        naming: Naming::Property("LogGroupName", GROUP_NAME_CHARS_MAX),
        gives_rights: false,
        handler: &LogGroup,
    },
    Type {
        name: "AWS::Logs::LogStream",
        properties: &[text("LogGroupName").required().replacing(), text("LogStreamName").replacing()],
        attributes: &[],
        naming: Naming::Property("LogStreamName", GROUP_NAME_CHARS_MAX),
        gives_rights: false,
        handler: &LogStream,
    },
    Type {
        name: "AWS::Logs::MetricFilter",
        properties: &[
            text("LogGroupName").required().replacing(),
            text("FilterName").replacing(),
            text("FilterPattern").required(),
            Property::new("MetricTransformations", Shape::List(TRANSFORMATION)).required(),
            text("FieldSelectionCriteria"),
            Property::new("EmitSystemFieldDimensions", Shape::Texts),
        ],
        attributes: &[],
        naming: Naming::Property("FilterName", FILTER_NAME_CHARS_MAX),
        gives_rights: false,
        handler: &MetricFilter,
    },
    Type {
        name: "AWS::Logs::SubscriptionFilter",
        properties: &[
            text("LogGroupName").required().replacing(),
            text("FilterName").replacing(),
            text("FilterPattern").required(),
            text("DestinationArn").required(),
            text("RoleArn"),
            text("Distribution"),
        ],
        attributes: &[],
        naming: Naming::Property("FilterName", FILTER_NAME_CHARS_MAX),
        gives_rights: false,
        handler: &SubscriptionFilter,
    },
    Type {
        name: "AWS::Logs::ResourcePolicy",
        properties: &[
            text("PolicyName").required().replacing(),
            Property::new("PolicyDocument", Shape::Document).required(),
        ],
        attributes: &[],
        naming: Naming::Property("PolicyName", 255),
        gives_rights: false,
        handler: &ResourcePolicy,
    },
    Type {
        name: "AWS::Logs::QueryDefinition",
        properties: &[
            text("Name").required(),
            text("QueryString").required(),
            Property::new("LogGroupNames", Shape::Texts),
        ],
        attributes: &["QueryDefinitionId"],
        naming: Naming::Service,
        gives_rights: false,
        handler: &QueryDefinition,
    },
];

const TRANSFORMATION: &[Property] = &[
    text("MetricName").required(),
    text("MetricNamespace").required(),
    text("MetricValue").required(),
    Property::new("DefaultValue", Shape::Number),
    text("Unit"),
    Property::new("Dimensions", Shape::List(&[text("Key").required(), text("Value").required()])),
];

struct LogGroup;

impl LogGroup {
    async fn retain(&self, site: &Site, name: &str, days: Option<&Value>) -> Result<(), Told> {
        let (operation, input) = match days {
            Some(days) => ("PutRetentionPolicy", json!({"logGroupName": name, "retentionInDays": days})),
            None => ("DeleteRetentionPolicy", json!({"logGroupName": name})),
        };
        site.ask(Logs, operation, input).await.map(|_| ())
    }

    fn made(&self, site: &Site, name: &str) -> Made {
        Made::of(name).with("Arn", format!("{}:*", self.arn(site, name)))
    }

    fn arn(&self, site: &Site, name: &str) -> String {
        site.arn("logs", &format!("log-group:{name}"))
    }
}

#[async_trait]
impl Handler for LogGroup {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        // The name itself is the first of those that begin with it.
        let input = json!({"logGroupNamePrefix": wanted.name, "limit": 1});
        let found = site.ask(Logs, "DescribeLogGroups", input).await?;
        Ok(items(&found, "logGroups").iter().any(|group| said(group, "logGroupName") == wanted.name))
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let mut input = small_members(wanted.properties, &["LogGroupClass"]);
        input.insert("logGroupName".into(), wanted.name.into());
        input.insert("tags".into(), json!(wanted.tags));
        let codes = if wanted.resumed { EXISTS } else { &[] };
        site.ask_unless(codes, Logs, "CreateLogGroup", input.into()).await?;
        if let Some(days) = wanted.properties.get("RetentionInDays") {
            self.retain(site, wanted.name, Some(days)).await?;
        }
        Ok(self.made(site, wanted.name))
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        if old.differs(wanted, "RetentionInDays") {
            self.retain(site, physical, wanted.properties.get("RetentionInDays")).await?;
        }
        let (set, unset) = old.tag_changes(wanted);
        let arn = self.arn(site, physical);
        if !unset.is_empty() {
            site.ask(Logs, "UntagResource", json!({"resourceArn": arn, "tagKeys": unset})).await?;
        }
        if !set.is_empty() {
            site.ask(Logs, "TagResource", json!({"resourceArn": arn, "tags": set})).await?;
        }
        Ok(self.made(site, physical))
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        site.ask_unless(MISSING, Logs, "DeleteLogGroup", json!({"logGroupName": physical})).await.map(|_| ())
    }
}

struct LogStream;

#[async_trait]
impl Handler for LogStream {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let group = said(wanted.properties, "LogGroupName");
        let input = json!({"logGroupName": group, "logStreamNamePrefix": wanted.name, "limit": 1});
        let found = site.ask_unless(MISSING, Logs, "DescribeLogStreams", input).await?.unwrap_or_default();
        Ok(items(&found, "logStreams").iter().any(|stream| said(stream, "logStreamName") == wanted.name))
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let input =
            json!({"logGroupName": said(wanted.properties, "LogGroupName"), "logStreamName": wanted.name});
        let codes = if wanted.resumed { EXISTS } else { &[] };
        site.ask_unless(codes, Logs, "CreateLogStream", input).await?;
        Ok(Made::of(wanted.name))
    }

    async fn update(
        &self,
        _site: &Site,
        physical: &str,
        _old: &Old<'_>,
        _wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        Ok(Made::of(physical))
    }

    async fn delete(&self, site: &Site, physical: &str, properties: &Value) -> Result<(), Told> {
        let input = json!({"logGroupName": said(properties, "LogGroupName"), "logStreamName": physical});
        site.ask_unless(MISSING, Logs, "DeleteLogStream", input).await.map(|_| ())
    }
}

struct MetricFilter;

impl MetricFilter {
    async fn put(&self, site: &Site, name: &str, properties: &Value) -> Result<Made, Told> {
        let members =
            ["LogGroupName", "FilterPattern", "FieldSelectionCriteria", "EmitSystemFieldDimensions"];
        let mut input = small_members(properties, &members);
        input.insert("filterName".into(), name.into());
        let transformations = items(properties, "MetricTransformations").iter().map(transformation);
        input.insert("metricTransformations".into(), transformations.collect());
        site.ask(Logs, "PutMetricFilter", input.into()).await?;
        Ok(Made::of(name))
    }
}

/// A transformation as the operation takes it: dimensions by name.
fn transformation(given: &Value) -> Value {
    let mut input = Map::new();
    for (name, value) in given.as_object().into_iter().flatten() {
        let value = match value {
            Value::Array(dimensions) => {
                let pair = |one: &Value| (said(one, "Key").to_owned(), Value::from(said(one, "Value")));
                Value::Object(dimensions.iter().map(pair).collect())
            }
            other => other.clone(),
        };
        input.insert(small(name), value);
    }
    Value::Object(input)
}

#[async_trait]
impl Handler for MetricFilter {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let input = json!({
            "logGroupName": said(wanted.properties, "LogGroupName"), "filterNamePrefix": wanted.name, "limit": 1,
        });
        let found = site.ask_unless(MISSING, Logs, "DescribeMetricFilters", input).await?.unwrap_or_default();
        Ok(items(&found, "metricFilters").iter().any(|filter| said(filter, "filterName") == wanted.name))
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        self.put(site, wanted.name, wanted.properties).await
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        _old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        self.put(site, physical, wanted.properties).await
    }

    async fn delete(&self, site: &Site, physical: &str, properties: &Value) -> Result<(), Told> {
        let input = json!({"logGroupName": said(properties, "LogGroupName"), "filterName": physical});
        site.ask_unless(MISSING, Logs, "DeleteMetricFilter", input).await.map(|_| ())
    }
}

struct SubscriptionFilter;

impl SubscriptionFilter {
    async fn put(&self, site: &Site, name: &str, properties: &Value) -> Result<Made, Told> {
        let members = ["LogGroupName", "FilterPattern", "DestinationArn", "RoleArn", "Distribution"];
        let mut input = small_members(properties, &members);
        input.insert("filterName".into(), name.into());
        site.ask(Logs, "PutSubscriptionFilter", input.into()).await?;
        Ok(Made::of(name))
    }
}

#[async_trait]
impl Handler for SubscriptionFilter {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let input =
            json!({"logGroupName": said(wanted.properties, "LogGroupName"), "filterNamePrefix": wanted.name});
        let found =
            site.ask_unless(MISSING, Logs, "DescribeSubscriptionFilters", input).await?.unwrap_or_default();
        Ok(items(&found, "subscriptionFilters")
            .iter()
            .any(|filter| said(filter, "filterName") == wanted.name))
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        self.put(site, wanted.name, wanted.properties).await
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        _old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        self.put(site, physical, wanted.properties).await
    }

    async fn delete(&self, site: &Site, physical: &str, properties: &Value) -> Result<(), Told> {
        let input = json!({"logGroupName": said(properties, "LogGroupName"), "filterName": physical});
        site.ask_unless(MISSING, Logs, "DeleteSubscriptionFilter", input).await.map(|_| ())
    }
}

struct ResourcePolicy;

impl ResourcePolicy {
    async fn put(&self, site: &Site, name: &str, properties: &Value) -> Result<Made, Told> {
        let input = json!({"policyName": name, "policyDocument": said(properties, "PolicyDocument")});
        site.ask(Logs, "PutResourcePolicy", input).await?;
        Ok(Made::of(name))
    }
}

#[async_trait]
impl Handler for ResourcePolicy {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let found = site.ask(Logs, "DescribeResourcePolicies", json!({})).await?;
        Ok(items(&found, "resourcePolicies").iter().any(|policy| said(policy, "policyName") == wanted.name))
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        self.put(site, wanted.name, wanted.properties).await
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        _old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        self.put(site, physical, wanted.properties).await
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        site.ask_unless(MISSING, Logs, "DeleteResourcePolicy", json!({"policyName": physical}))
            .await
            .map(|_| ())
    }
}

struct QueryDefinition;

impl QueryDefinition {
    async fn ids(&self, site: &Site, name: &str) -> Result<Vec<String>, Told> {
        let input = json!({"queryDefinitionNamePrefix": name});
        let found = site.ask(Logs, "DescribeQueryDefinitions", input).await?;
        let same = items(&found, "queryDefinitions").iter().filter(|one| said(one, "name") == name);
        Ok(same.map(|one| said(one, "queryDefinitionId").to_owned()).collect())
    }

    async fn put(&self, site: &Site, id: Option<&str>, properties: &Value) -> Result<Made, Told> {
        let mut input = small_members(properties, &["Name", "QueryString", "LogGroupNames"]);
        input.extend(id.map(|id| ("queryDefinitionId".to_owned(), id.into())));
        let answer = site.ask(Logs, "PutQueryDefinition", input.into()).await?;
        let id = said(&answer, "queryDefinitionId");
        Ok(Made::of(id).with("QueryDefinitionId", id))
    }
}

#[async_trait]
impl Handler for QueryDefinition {
    async fn look_around(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Vec<String>, Told> {
        self.ids(site, said(wanted.properties, "Name")).await
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let mut there = None;
        if wanted.resumed {
            let ids = self.ids(site, said(wanted.properties, "Name")).await?;
            there = ids.into_iter().find(|id| !wanted.seen.contains(id));
        }
        self.put(site, there.as_deref(), wanted.properties).await
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        _old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        self.put(site, Some(physical), wanted.properties).await
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        let input = json!({"queryDefinitionId": physical});
        site.ask_unless(MISSING, Logs, "DeleteQueryDefinition", input).await.map(|_| ())
    }
}
