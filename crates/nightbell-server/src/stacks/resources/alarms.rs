/*!
`AWS::CloudWatch::…`: alarms, dashboards and anomaly detectors.
*/

use async_trait::async_trait;
use serde_json::{Value, json};

use super::shape::{Property, Shape, TAGS, text};
use super::{Handler, Made, Naming, Old, Site, Type, Wanted, items, listed, members};
use crate::aws::error::Told;
use crate::aws::service::Service::CloudWatch;

const ALARM_NAME_CHARS_MAX: usize = 255;

const DIMENSIONS: Property =
    Property::new("Dimensions", Shape::List(&[text("Name").required(), text("Value").required()]));

const METRICS: &[Property] = &[
    text("Id").required(),
    text("Expression"),
    text("Label"),
    Property::new("ReturnData", Shape::Bool),
    Property::new("Period", Shape::Whole),
    text("AccountId"),
    Property::new("MetricStat", Shape::Object(METRIC_STAT)),
];

const METRIC_STAT: &[Property] = &[
    Property::new("Metric", Shape::Object(&[text("Namespace"), text("MetricName"), DIMENSIONS])).required(),
    Property::new("Period", Shape::Whole).required(),
    text("Stat").required(),
    text("Unit"),
];

const ACTIONS: [Property; 4] = [
    Property::new("ActionsEnabled", Shape::Bool),
    Property::new("AlarmActions", Shape::Texts),
    Property::new("InsufficientDataActions", Shape::Texts),
    Property::new("OKActions", Shape::Texts),
];

pub(super) static TYPES: [Type; 4] = [
    Type {
        name: "AWS::CloudWatch::Alarm",
        properties: &[
            text("AlarmName").replacing(),
            text("AlarmDescription"),
            ACTIONS[0],
            ACTIONS[1],
            ACTIONS[2],
            ACTIONS[3],
            text("ComparisonOperator").required(),
            Property::new("DatapointsToAlarm", Shape::Whole),
            DIMENSIONS,
            text("EvaluateLowSampleCountPercentile"),
            Property::new("EvaluationPeriods", Shape::Whole).required(),
            text("ExtendedStatistic"),
            text("MetricName"),
            Property::new("Metrics", Shape::List(METRICS)),
            text("Namespace"),
            Property::new("Period", Shape::Whole),
            text("Statistic"),
            Property::new("Threshold", Shape::Number),
            text("ThresholdMetricId"),
            text("TreatMissingData"),
            text("Unit"),
            TAGS,
        ],
        attributes: &["Arn"],
        naming: Naming::Property("AlarmName", ALARM_NAME_CHARS_MAX),
        gives_rights: false,
        handler: &Alarm { put: "PutMetricAlarm" },
    },
    Type {
        name: "AWS::CloudWatch::CompositeAlarm",
        properties: &[
            text("AlarmName").replacing(),
            text("AlarmDescription"),
            ACTIONS[0],
            ACTIONS[1],
            ACTIONS[2],
            ACTIONS[3],
            text("AlarmRule").required(),
            text("ActionsSuppressor"),
            Property::new("ActionsSuppressorWaitPeriod", Shape::Whole),
            Property::new("ActionsSuppressorExtensionPeriod", Shape::Whole),
            TAGS,
        ],
        attributes: &["Arn"],
        naming: Naming::Property("AlarmName", ALARM_NAME_CHARS_MAX),
        gives_rights: false,
        handler: &Alarm { put: "PutCompositeAlarm" },
    },
    Type {
        name: "AWS::CloudWatch::Dashboard",
        properties: &[
            text("DashboardName").replacing(),
            Property::new("DashboardBody", Shape::Document).required(),
            TAGS,
        ],
        attributes: &[],
        naming: Naming::Property("DashboardName", 255),
        gives_rights: false,
        handler: &Dashboard,
    },
    Type {
        name: "AWS::CloudWatch::AnomalyDetector",
        properties: &[
            text("Namespace").replacing(),
            text("MetricName").replacing(),
            Property { replaces: true, ..DIMENSIONS },
            text("Stat").replacing(),
            Property::new("SingleMetricAnomalyDetector", Shape::Object(SINGLE)).replacing(),
            Property::new(
                "MetricMathAnomalyDetector",
                Shape::Object(&[Property::new("MetricDataQueries", Shape::List(METRICS))]),
            )
            .replacing(),
            Property::new("Configuration", Shape::Object(CONFIGURATION)),
            Property::new(
                "MetricCharacteristics",
                Shape::Object(&[Property::new("PeriodicSpikes", Shape::Bool)]),
            ),
        ],
        attributes: &[],
        naming: Naming::Made(255),
        gives_rights: false,
        handler: &AnomalyDetector,
    },
];

const SINGLE: &[Property] =
    &[text("AccountId"), text("Namespace"), text("MetricName"), DIMENSIONS, text("Stat")];

const CONFIGURATION: &[Property] = &[
    text("MetricTimeZone"),
    Property::new(
        "ExcludedTimeRanges",
        Shape::List(&[text("StartTime").required(), text("EndTime").required()]),
    ),
];

/// Alarms of both kinds: they share their names.
struct Alarm {
    put: &'static str,
}

impl Alarm {
    async fn put(&self, site: &Site, name: &str, wanted: &Wanted<'_>, tagged: bool) -> Result<Made, Told> {
        let mut input = wanted.properties.as_object().cloned().unwrap_or_default();
        input.remove("Tags");
        input.insert("AlarmName".into(), name.into());
        if tagged {
            input.insert("Tags".into(), listed(wanted.tags));
        }
        site.ask(CloudWatch, self.put, input.into()).await?;
        Ok(Made::of(name).with("Arn", arn(site, name)))
    }
}

fn arn(site: &Site, name: &str) -> String {
    site.arn("cloudwatch", &format!("alarm:{name}"))
}

/// Sets and takes away the tags that differ.
async fn retag(site: &Site, arn: &str, old: &Old<'_>, wanted: &Wanted<'_>) -> Result<(), Told> {
    let (set, unset) = old.tag_changes(wanted);
    if !unset.is_empty() {
        site.ask(CloudWatch, "UntagResource", json!({"ResourceARN": arn, "TagKeys": unset})).await?;
    }
    if !set.is_empty() {
        site.ask(CloudWatch, "TagResource", json!({"ResourceARN": arn, "Tags": listed(&set)})).await?;
    }
    Ok(())
}

#[async_trait]
impl Handler for Alarm {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let input = json!({"AlarmNames": [wanted.name], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]});
        let found = site.ask(CloudWatch, "DescribeAlarms", input).await?;
        Ok(["MetricAlarms", "CompositeAlarms"].iter().any(|kind| !items(&found, kind).is_empty()))
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        self.put(site, wanted.name, wanted, true).await
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        let made = self.put(site, physical, wanted, false).await?;
        retag(site, &arn(site, physical), old, wanted).await?;
        Ok(made)
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        let input = json!({"AlarmNames": [physical]});
        site.ask_unless(&["ResourceNotFound"], CloudWatch, "DeleteAlarms", input).await.map(|_| ())
    }
}

struct Dashboard;

impl Dashboard {
    async fn put(&self, site: &Site, name: &str, wanted: &Wanted<'_>, tagged: bool) -> Result<Made, Told> {
        let mut input = members(wanted.properties, &["DashboardBody"]);
        input.insert("DashboardName".into(), name.into());
        if tagged {
            input.insert("Tags".into(), listed(wanted.tags));
        }
        site.ask(CloudWatch, "PutDashboard", input.into()).await?;
        Ok(Made::of(name))
    }
}

const NO_DASHBOARD: &[&str] = &["DashboardNotFoundError"];

#[async_trait]
impl Handler for Dashboard {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let input = json!({"DashboardName": wanted.name});
        Ok(site.ask_unless(NO_DASHBOARD, CloudWatch, "GetDashboard", input).await?.is_some())
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        self.put(site, wanted.name, wanted, true).await
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        let made = self.put(site, physical, wanted, false).await?;
        let arn = site.global_arn("cloudwatch", &format!("dashboard/{physical}"));
        retag(site, &arn, old, wanted).await?;
        Ok(made)
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        let input = json!({"DashboardNames": [physical]});
        site.ask_unless(NO_DASHBOARD, CloudWatch, "DeleteDashboards", input).await.map(|_| ())
    }
}

struct AnomalyDetector;

impl AnomalyDetector {
    async fn put(&self, site: &Site, name: &str, properties: &Value) -> Result<Made, Told> {
        let mut input = properties.clone();
        let configuration = input.get_mut("Configuration").and_then(Value::as_object_mut);
        if let Some(configuration) = configuration
            && let Some(zone) = configuration.remove("MetricTimeZone")
        {
            configuration.insert("MetricTimezone".into(), zone);
        }
        site.ask(CloudWatch, "PutAnomalyDetector", input).await?;
        Ok(Made::of(name))
    }
}

#[async_trait]
impl Handler for AnomalyDetector {
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

    async fn delete(&self, site: &Site, _physical: &str, properties: &Value) -> Result<(), Told> {
        let named = [
            "Namespace",
            "MetricName",
            "Dimensions",
            "Stat",
            "SingleMetricAnomalyDetector",
            "MetricMathAnomalyDetector",
        ];
        let input = members(properties, &named).into();
        let missing = &["ResourceNotFoundException"];
        site.ask_unless(missing, CloudWatch, "DeleteAnomalyDetector", input).await.map(|_| ())
    }
}
