/*!
What botocore sends, in each protocol, decodes to the same structs.
*/

use crate::recorded::{Recorded, requests};
use nightbell_wire::value::{Blob, Time};
use nightbell_wire::{Call, Protocol, call, decode, inflate};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

#[derive(Deserialize, Debug, PartialEq, Default)]
#[serde(rename_all = "PascalCase", default)]
struct PutMetricData {
    namespace: String,
    metric_data: Vec<Datum>,
}

#[derive(Deserialize, Debug, PartialEq, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Datum {
    metric_name: String,
    dimensions: Vec<Dimension>,
    timestamp: Option<Time>,
    value: Option<f64>,
    values: Vec<f64>,
    counts: Vec<f64>,
    statistic_values: Option<Statistics>,
    unit: Option<String>,
    storage_resolution: Option<i32>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: String,
    value: String,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Statistics {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct PutMetricAlarm {
    alarm_name: String,
    actions_enabled: bool,
    alarm_actions: Vec<String>,
    #[serde(rename = "OKActions")]
    ok_actions: Vec<String>,
    comparison_operator: String,
    evaluation_periods: i32,
    datapoints_to_alarm: i32,
    threshold: f64,
    metrics: Vec<MetricQuery>,
    tags: Vec<Tag>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct MetricQuery {
    id: String,
    return_data: bool,
    metric_stat: MetricStat,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct MetricStat {
    metric: Metric,
    period: u32,
    stat: String,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    namespace: String,
    metric_name: String,
    dimensions: Vec<Dimension>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

fn take(name: &str) -> (Recorded, Call, Vec<u8>) {
    let recorded = requests().into_iter().find(|one| one.name == name).expect(name);
    let parts = recorded.parts();
    let mut body = recorded.body();
    if parts.headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
        body = inflate::gunzip(&body, 1 << 20).unwrap();
    }
    let call = call::read(&parts.method, &parts.uri, &parts.headers, &body).unwrap();
    (recorded, call, body)
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let (_, call, body) = take(name);
    decode(&call, &body).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const WATCH: [&str; 3] = ["smithy-rpc-v2-cbor", "json", "query"];

#[test]
fn every_request_names_its_operation() {
    for recorded in requests() {
        let (_, call, _) = take(&recorded.name);
        assert_eq!(call.operation, recorded.name.rsplit('.').next().unwrap());
        let (protocol, target) = match recorded.name.split('.').collect::<Vec<_>>()[..] {
            ["logs", _] => (Protocol::Json11, "Logs_20140328"),
            ["cloudwatch", "smithy-rpc-v2-cbor" | "gzip", _] => {
                (Protocol::Cbor, "GraniteServiceVersion20100801")
            }
            ["cloudwatch", "json", _] => (Protocol::Json10, "GraniteServiceVersion20100801"),
            ["cloudwatch", "query", _] => (Protocol::Query, "2010-08-01"),
            ["sns", ..] => (Protocol::Query, "2010-03-31"),
            ["sts", ..] => (Protocol::Query, "2011-06-15"),
            _ => panic!("{}", recorded.name),
        };
        assert_eq!((call.protocol, &*call.target), (protocol, target), "{}", recorded.name);
        let asks = recorded.name.starts_with("cloudwatch") && protocol != Protocol::Query;
        assert_eq!(call.query_mode, asks, "{}", recorded.name);
    }
}

#[test]
fn put_metric_data_is_the_same_in_all_protocols() {
    let dimension = |name: &str, value: &str| Dimension { name: name.into(), value: value.into() };
    let expected = |millis| PutMetricData {
        namespace: "Audit/Files".into(),
        metric_data: vec![
            Datum {
                metric_name: "Denied".into(),
                dimensions: vec![dimension("Instance", "fs-01"), dimension("Folder", "\\secret\\Größe & Co")],
                timestamp: Some(Time(millis)),
                value: Some(3.0),
                unit: Some("Count".into()),
                storage_resolution: Some(1),
                ..Datum::default()
            },
            Datum {
                metric_name: "Latency".into(),
                values: vec![0.5, 1e-7, 123_456.75],
                counts: vec![1.0, 2.0, 3.0],
                ..Datum::default()
            },
            Datum {
                metric_name: "Range".into(),
                timestamp: Some(Time(1_767_608_340_000)),
                statistic_values: Some(Statistics {
                    sample_count: 2.0,
                    sum: -7.25,
                    minimum: -8.0,
                    maximum: 0.75,
                }),
                ..Datum::default()
            },
        ],
    };
    for protocol in WATCH {
        // botocore drops a timestamp's fraction, but not in a form.
        let millis = if protocol == "query" { 1_767_608_340_250 } else { 1_767_608_340_000 };
        let found: PutMetricData = read(&format!("cloudwatch.{protocol}.PutMetricData"));
        assert_eq!(found, expected(millis), "{protocol}");
    }
}

#[test]
fn put_metric_alarm_is_the_same_in_all_protocols() {
    let expected = PutMetricAlarm {
        alarm_name: "denied-access".into(),
        actions_enabled: false,
        alarm_actions: vec!["arn:aws:sns:eu-central-1:000000000000:security".into()],
        ok_actions: vec![],
        comparison_operator: "GreaterThanThreshold".into(),
        evaluation_periods: 3,
        datapoints_to_alarm: 2,
        threshold: 5.0,
        metrics: vec![MetricQuery {
            id: "m1".into(),
            return_data: true,
            metric_stat: MetricStat {
                metric: Metric {
                    namespace: "Audit/Files".into(),
                    metric_name: "Denied".into(),
                    dimensions: vec![Dimension { name: "Instance".into(), value: "fs-01".into() }],
                },
                period: 60,
                stat: "Sum".into(),
            },
        }],
        tags: vec![Tag { key: "team".into(), value: "sec=ops".into() }],
    };
    for protocol in WATCH {
        let found: PutMetricAlarm = read(&format!("cloudwatch.{protocol}.PutMetricAlarm"));
        assert_eq!(found, expected, "{protocol}");
    }
}

#[test]
fn times_and_empty_inputs_are_the_same_in_all_protocols() {
    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct GetMetricStatistics {
        start_time: Time,
        end_time: Time,
        statistics: Vec<String>,
    }
    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct DescribeAlarms {
        alarm_names: Option<Vec<String>>,
        max_records: Option<u32>,
    }
    for protocol in WATCH {
        let found: GetMetricStatistics = read(&format!("cloudwatch.{protocol}.GetMetricStatistics"));
        let expected = GetMetricStatistics {
            start_time: Time(1_767_571_200_000),
            end_time: Time(1_767_657_601_000),
            statistics: vec!["Sum".into(), "Maximum".into()],
        };
        assert_eq!(found, expected, "{protocol}");
        let found: DescribeAlarms = read(&format!("cloudwatch.{protocol}.DescribeAlarms"));
        assert_eq!(found, DescribeAlarms { alarm_names: None, max_records: None }, "{protocol}");
    }
}

#[test]
fn a_compressed_request_is_inflated() {
    let found: PutMetricData = read("cloudwatch.gzip.PutMetricData");
    assert_eq!(found.metric_data.len(), 200);
    assert_eq!(found.metric_data[199].dimensions[0].value, "fs-00199");
    assert_eq!(found.metric_data[199].value, Some(199.0));
}

#[test]
fn put_log_events() {
    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "camelCase")]
    struct PutLogEvents {
        log_group_name: String,
        log_stream_name: String,
        log_events: Vec<LogEvent>,
    }
    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "camelCase")]
    struct LogEvent {
        timestamp: i64,
        message: String,
    }
    let found: PutLogEvents = read("logs.PutLogEvents");
    assert_eq!((&*found.log_group_name, &*found.log_stream_name), ("/audit/files", "fs-01"));
    assert_eq!(
        found.log_events,
        [
            LogEvent { timestamp: 1_767_608_430_123, message: "<Event>denied \\secret\\ü</Event>".into() },
            LogEvent { timestamp: 1_767_608_430_124, message: "{\"EventID\":4625}\n\u{7}".into() },
        ]
    );
}

#[test]
fn put_metric_filter() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct PutMetricFilter {
        filter_pattern: String,
        metric_transformations: Vec<Transformation>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Transformation {
        metric_value: String,
        default_value: f64,
        dimensions: BTreeMap<String, String>,
    }
    let found: PutMetricFilter = read("logs.PutMetricFilter");
    assert_eq!(found.filter_pattern, "{ $.Audit.Outcome = \"failure\" }");
    let transformation = &found.metric_transformations[0];
    assert_eq!((&*transformation.metric_value, transformation.default_value), ("1", 0.5));
    assert_eq!(transformation.dimensions["User"], "$.Audit.User");
}

#[test]
fn sns_publish_and_create_topic() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Publish {
        message: String,
        subject: String,
        message_attributes: BTreeMap<String, Attribute>,
    }
    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct Attribute {
        data_type: String,
        string_value: Option<String>,
        binary_value: Option<Blob>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct CreateTopic {
        name: String,
        attributes: BTreeMap<String, String>,
        tags: Vec<Tag>,
    }
    let publish: Publish = read("sns.Publish");
    assert_eq!(publish.message, "denied: 5 × fs-01\nsee https://example.org/?a=1&b=2");
    assert_eq!(publish.subject, "ALARM: denied");
    let raw = &publish.message_attributes["raw"];
    assert_eq!(raw.binary_value, Some(Blob(b"\x00\xff\x10bytes".to_vec())));
    let severity = &publish.message_attributes["severity"];
    assert_eq!((&*severity.data_type, severity.string_value.as_deref()), ("String", Some("high")));
    let create: CreateTopic = read("sns.CreateTopic");
    assert_eq!(create.name, "security.fifo");
    assert_eq!(create.attributes["FifoTopic"], "true");
    assert_eq!(create.tags, [Tag { key: "team".into(), value: "sec".into() }]);
}

#[test]
fn a_presigned_address_is_a_call() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct ConfirmSubscription {
        token: String,
        topic_arn: String,
    }
    let confirm: ConfirmSubscription = read("sns.presigned.ConfirmSubscription");
    assert_eq!(confirm.token, "a1+b/2");
    assert_eq!(confirm.topic_arn, "arn:aws:sns:eu-central-1:000000000000:security");
}
