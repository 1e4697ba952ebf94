/*!
What the AWS SDKs for JavaScript (versions 2 and 3) and Terraform's provider send decodes to what was asked, whatever protocol each of
them chose. Their signatures are held in `signatures.rs`.
*/

use crate::recorded::clients;
use http::StatusCode;
use nightbell_wire::rest::{self, Route};
use nightbell_wire::value::{Blob, Time};
use nightbell_wire::{Call, Protocol, call, decode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

const JAVASCRIPT: [&str; 2] = ["js2", "js3"];
const TOPIC: &str = "arn:aws:sns:eu-central-1:000000000000:security";
/// Where Lambda's operations are asked for that were recorded.
static FUNCTIONS: [Route; 7] = [
    Route {
        status: StatusCode::ACCEPTED,
        headers: &[("x-amz-invocation-type", "InvocationType")],
        payload: Some("Payload"),
        ..Route::new("POST", "/2015-03-31/functions/{FunctionName}/invocations", "Invoke")
    },
    Route::new("GET", "/2015-03-31/functions/{FunctionName}", "GetFunction"),
    Route::new("POST", "/2015-03-31/functions", "CreateFunction"),
    Route::new("DELETE", "/2015-03-31/functions/{FunctionName}", "DeleteFunction"),
    Route::new("POST", "/2015-03-31/functions/{FunctionName}/policy", "AddPermission"),
    Route::new("GET", "/2015-03-31/functions/{FunctionName}/policy", "GetPolicy"),
    Route {
        query: &[("MaxItems", "MaxItems")],
        ..Route::new("GET", "/2015-03-31/functions/{FunctionName}/versions", "ListVersionsByFunction")
    },
];

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: String,
    value: String,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

fn take(name: &str) -> (Call, Vec<u8>) {
    let recorded = clients().into_iter().find(|one| one.name == name).expect(name);
    let (parts, body) = (recorded.parts(), recorded.body());
    let call = if name.contains(".lambda.") {
        rest::read(&FUNCTIONS, &parts.method, &parts.uri, &parts.headers)
    } else {
        call::read(&parts.method, &parts.uri, &parts.headers, &body)
    };
    (call.expect(name), body)
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let (call, body) = take(name);
    decode(&call, &body).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn dimensions() -> Vec<Dimension> {
    [("Instance", "fs-01"), ("Folder", "\\secret\\Größe & Co")]
        .map(|(name, value)| Dimension { name: name.into(), value: value.into() })
        .into()
}

fn tags() -> Vec<Tag> {
    vec![Tag { key: "team".into(), value: "sec=ops".into() }]
}

#[test]
fn every_request_names_its_operation_in_the_protocol_of_its_client() {
    let all = clients();
    assert!(all.len() >= 41, "{}", all.len());
    for recorded in &all {
        let (call, _) = take(&recorded.name);
        let [client, service, operation] = recorded.name.split('.').collect::<Vec<_>>()[..] else {
            panic!("{}", recorded.name)
        };
        let protocol = match (client, service) {
            (_, "logs" | "ssm" | "firehose") => Protocol::Json11,
            (_, "lambda") => Protocol::RestJson,
            ("js3", "monitoring") => Protocol::Json10,
            _ => Protocol::Query,
        };
        assert_eq!((&*call.operation, call.protocol), (operation, protocol), "{}", recorded.name);
    }
}

#[test]
fn events_are_what_was_put() {
    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "camelCase")]
    struct PutLogEvents {
        log_group_name: String,
        log_events: Vec<LogEvent>,
    }
    #[derive(Deserialize, Debug, PartialEq)]
    struct LogEvent {
        timestamp: i64,
        message: String,
    }
    for client in JAVASCRIPT {
        let found: PutLogEvents = read(&format!("{client}.logs.PutLogEvents"));
        assert_eq!(found.log_group_name, "/audit/files", "{client}");
        let expected =
            LogEvent { timestamp: 1_767_608_430_123, message: "<Event>denied \\secret\\ü</Event>".into() };
        assert_eq!(found.log_events, [expected], "{client}");
    }
}

#[test]
fn groups_carry_tags() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct CreateLogGroup {
        log_group_name: String,
        tags: BTreeMap<String, String>,
    }
    for (client, group, tag) in [
        ("js2", "/audit/files", ("team", "sec=ops")),
        ("js3", "/audit/files", ("team", "sec=ops")),
        ("terraform", "/aws/fsx/windows", ("purpose", "file audit")),
    ] {
        let found: CreateLogGroup = read(&format!("{client}.logs.CreateLogGroup"));
        assert_eq!(found.log_group_name, group);
        assert_eq!(found.tags.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>(), [tag], "{client}");
    }
}

#[test]
fn data_points_are_the_same_in_a_form_and_in_json() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
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
    }
    let expected = [
        Datum {
            metric_name: "Denied".into(),
            dimensions: dimensions(),
            timestamp: Some(Time(1_767_608_340_000)),
            value: Some(3.0),
            ..Datum::default()
        },
        Datum {
            metric_name: "Latency".into(),
            values: vec![0.5, 1e-7, 123_456.75],
            counts: vec![1.0, 2.0, 3.0],
            ..Datum::default()
        },
    ];
    for client in JAVASCRIPT {
        let found: PutMetricData = read(&format!("{client}.monitoring.PutMetricData"));
        assert_eq!((&*found.namespace, &found.metric_data[..]), ("Audit/Files", &expected[..]), "{client}");
    }
}

#[derive(Deserialize, Debug, PartialEq, Default)]
#[serde(rename_all = "PascalCase", default)]
struct PutMetricAlarm {
    alarm_name: String,
    actions_enabled: Option<bool>,
    alarm_actions: Vec<String>,
    dimensions: Vec<Dimension>,
    period: Option<u32>,
    threshold: Option<f64>,
    tags: Vec<Tag>,
}

#[test]
fn alarms_are_the_same_in_a_form_and_in_json() {
    for client in JAVASCRIPT {
        let found: PutMetricAlarm = read(&format!("{client}.monitoring.PutMetricAlarm"));
        let expected = PutMetricAlarm {
            alarm_name: "denied-access".into(),
            actions_enabled: Some(false),
            alarm_actions: vec![TOPIC.into()],
            dimensions: dimensions(),
            period: Some(60),
            threshold: Some(5.5),
            tags: tags(),
        };
        assert_eq!(found, expected, "{client}");
    }
    let found: PutMetricAlarm = read("terraform.monitoring.PutMetricAlarm");
    assert!(found.alarm_name.starts_with("files-"), "{found:?}");
    assert_eq!(found.actions_enabled, Some(true));
    assert_eq!(found.tags, [Tag { key: "purpose".into(), value: "file audit".into() }]);
}

#[test]
fn functions_and_streams_arrive_with_what_is_in_them() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct CreateFunction {
        function_name: String,
        code: Code,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Code {
        zip_file: Blob,
    }
    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct AddPermission {
        function_name: String,
        principal: String,
        source_account: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct CreateDeliveryStream {
        splunk_destination_configuration: Splunk,
        tags: Vec<Tag>,
    }
    #[derive(Deserialize)]
    struct Splunk {
        #[serde(rename = "HECEndpoint")]
        endpoint: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct ListVersions {
        function_name: String,
        max_items: u32,
    }
    let function: CreateFunction = read("terraform.lambda.CreateFunction");
    assert_eq!(function.function_name, "notify");
    assert!(function.code.zip_file.0.starts_with(b"PK"), "a zip");
    let permission: AddPermission = read("terraform.lambda.AddPermission");
    let expected = AddPermission {
        function_name: "notify".into(),
        principal: "lambda.alarms.cloudwatch.amazonaws.com".into(),
        source_account: "000000000000".into(),
    };
    assert_eq!(permission, expected);
    let versions: ListVersions = read("terraform.lambda.ListVersionsByFunction");
    assert_eq!((versions.function_name.as_str(), versions.max_items), ("notify", 10_000));
    let stream: CreateDeliveryStream = read("terraform.firehose.CreateDeliveryStream");
    assert_eq!(stream.splunk_destination_configuration.endpoint, "https://splunk.example.org:8088");
    assert_eq!(stream.tags, tags());
}

#[test]
fn messages_carry_attributes() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Publish {
        message: String,
        message_attributes: BTreeMap<String, Attribute>,
    }
    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct Attribute {
        string_value: Option<String>,
        binary_value: Option<Blob>,
    }
    for client in JAVASCRIPT {
        let found: Publish = read(&format!("{client}.sns.Publish"));
        assert_eq!(found.message, "denied: 5 × fs-01\nsee https://example.org/?a=1&b=2", "{client}");
        assert_eq!(found.message_attributes["severity"].string_value.as_deref(), Some("high"), "{client}");
        assert_eq!(found.message_attributes["raw"].binary_value, Some(Blob(vec![0, 255, 16])), "{client}");
    }
}

#[test]
fn documents_and_addresses_arrive_whole() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct PutParameter {
        value: String,
        overwrite: bool,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct PutUserPolicy {
        policy_document: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct SendEmail {
        destination: Destination,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Destination {
        to_addresses: Vec<String>,
    }
    for client in JAVASCRIPT {
        let found: PutParameter = read(&format!("{client}.ssm.PutParameter"));
        assert_eq!((&*found.value, found.overwrite), ("{\"a\": \"ü\"}", true), "{client}");
        let found: PutUserPolicy = read(&format!("{client}.iam.PutUserPolicy"));
        assert_eq!(found.policy_document, "{\"Statement\": []}", "{client}");
        let found: SendEmail = read(&format!("{client}.ses.SendEmail"));
        assert_eq!(found.destination.to_addresses, ["a@example.org", "b@example.org"], "{client}");
    }
}

#[test]
fn what_is_asked_by_path_has_its_members_everywhere() {
    #[derive(Deserialize, Debug, PartialEq, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Invoke {
        function_name: String,
        qualifier: Option<String>,
        invocation_type: Option<String>,
        payload: Option<Blob>,
    }
    for client in JAVASCRIPT {
        let found: Invoke = read(&format!("{client}.lambda.Invoke"));
        let expected = Invoke {
            function_name: "notify".into(),
            qualifier: Some("$LATEST".into()),
            invocation_type: Some("Event".into()),
            payload: Some(Blob("{\"a\": \"ü\"}".into())),
        };
        assert_eq!(found, expected, "{client}");
        let found: Invoke = read(&format!("{client}.lambda.GetFunction"));
        assert_eq!(
            found.function_name, "arn:aws:lambda:eu-central-1:000000000000:function:notify",
            "{client}"
        );
    }
}

#[test]
fn terraform_sends_rules_and_policies_as_they_stand_in_the_stack() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct PutCompositeAlarm {
        alarm_rule: String,
        actions_suppressor_wait_period: u32,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct CreateTopic {
        name: String,
        tags: Vec<Tag>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct PutMetricFilter {
        filter_pattern: String,
    }
    let found: PutCompositeAlarm = read("terraform.monitoring.PutCompositeAlarm");
    assert_eq!(found.actions_suppressor_wait_period, 60);
    assert_eq!(
        found.alarm_rule,
        "(ALARM(\"files-denied\") OR ALARM(\"files-steady\")) AND ALARM(\"files-deletions\")"
    );
    let found: CreateTopic = read("terraform.sns.CreateTopic");
    assert_eq!((&*found.name, found.tags.len()), ("files-security", 1));
    let found: PutMetricFilter = read("terraform.logs.PutMetricFilter");
    assert!(found.filter_pattern.contains("$.Audit."), "{}", found.filter_pattern);
}
