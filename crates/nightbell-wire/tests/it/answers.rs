/*!
What we answer is what botocore was found to understand.

`tests/recorded/answers.json` holds each answer's bytes and what botocore's parser made of them (`parsed`, checked by `record.py`). A
change of bytes fails here and asks for a new look through botocore.
*/

use base64::Engine as _;
use http::StatusCode;
use nightbell_wire::value::{Blob, Time};
use nightbell_wire::{Encoded, ErrorParts, Frame, Protocol, encode, encode_error};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CLOUDWATCH: &str = "http://monitoring.amazonaws.com/doc/2010-08-01/";
const SNS: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

fn frame(protocol: Protocol, operation: &'static str, xmlns: &'static str) -> Frame<'static> {
    Frame { protocol, operation, xmlns, request_id: "0f8fad5b-d9cb-469f-a165-70867728950e" }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeAlarms {
    metric_alarms: Vec<Alarm>,
    composite_alarms: Vec<Alarm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Alarm {
    alarm_name: &'static str,
    alarm_description: &'static str,
    actions_enabled: bool,
    alarm_actions: Vec<&'static str>,
    state_updated_timestamp: Time,
    alarm_configuration_updated_timestamp: Time,
    period: i32,
    threshold: f64,
    dimensions: Vec<Dimension>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: &'static str,
    value: &'static str,
}

fn alarms() -> DescribeAlarms {
    DescribeAlarms {
        metric_alarms: vec![Alarm {
            alarm_name: "denied \"access\" <&>",
            alarm_description: "Größe\r\n\tund \u{1F514}",
            actions_enabled: true,
            alarm_actions: vec!["arn:aws:sns:eu-central-1:000000000000:security"],
            state_updated_timestamp: Time(1_767_608_340_250),
            alarm_configuration_updated_timestamp: Time(1_767_608_340_000),
            period: 60,
            threshold: 5.0,
            dimensions: vec![Dimension { name: "Instance", value: "fs-01" }],
        }],
        composite_alarms: vec![],
        next_token: None,
    }
}

#[derive(Serialize)]
struct Empty {}

/// Name, operation as botocore knows it, its parser, and our answer.
fn answers() -> Vec<(String, String, &'static str, Encoded)> {
    let mut out = Vec::new();
    let mut push = |name: &str, service: &str, operation: &str, parser, encoded| {
        out.push((format!("{name}.{operation}.{parser}"), format!("{service}.{operation}"), parser, encoded));
    };
    for (protocol, parser) in
        [(Protocol::Cbor, "smithy-rpc-v2-cbor"), (Protocol::Json10, "json"), (Protocol::Query, "query")]
    {
        let frame = |operation| frame(protocol, operation, CLOUDWATCH);
        let answer = encode(&frame("DescribeAlarms"), &alarms()).unwrap();
        push("output", "cloudwatch", "DescribeAlarms", parser, answer);
        push("unit", "cloudwatch", "DeleteAlarms", parser, encode(&frame("DeleteAlarms"), &()).unwrap());
        push("empty", "cloudwatch", "TagResource", parser, encode(&frame("TagResource"), &Empty {}).unwrap());
        let members = json!({"ResourceId": "denied", "ResourceType": "MetricAlarm"});
        let error = ErrorParts {
            status: StatusCode::NOT_FOUND,
            code: "ResourceNotFound",
            shape: "ResourceNotFoundException",
            message: "No <alarm> \"denied\"",
            members: &members,
            query_compatible: true,
        };
        push("error", "cloudwatch", "TagResource", parser, encode_error(&frame("TagResource"), &error));
        let error = ErrorParts::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceError", "Try again");
        push("failure", "cloudwatch", "PutMetricData", parser, encode_error(&frame("PutMetricData"), &error));
    }
    let attributes = BTreeMap::from([("DisplayName", "Sec & Co"), ("TopicArn", "arn")]);
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Attributes {
        attributes: BTreeMap<&'static str, &'static str>,
    }
    let answer =
        encode(&frame(Protocol::Query, "GetTopicAttributes", SNS), &Attributes { attributes }).unwrap();
    push("map", "sns", "GetTopicAttributes", "query", answer);
    let denied = ErrorParts::new(StatusCode::FORBIDDEN, "AuthorizationError", "no");
    push("error", "sns", "Publish", "query", encode_error(&frame(Protocol::Query, "Publish", SNS), &denied));
    let logs = |operation| frame(Protocol::Json11, operation, "");
    push("unit", "logs", "CreateLogGroup", "json", encode(&logs("CreateLogGroup"), &()).unwrap());
    let missing = ErrorParts::new(
        StatusCode::BAD_REQUEST,
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    );
    push("error", "logs", "PutLogEvents", "json", encode_error(&logs("PutLogEvents"), &missing));
    out
}

fn as_fixture((name, operation, parser, encoded): (String, String, &str, Encoded)) -> Value {
    let headers: BTreeMap<&str, &str> =
        encoded.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let mut fixture = json!({
        "name": name, "operation": operation, "parser": parser, "status": encoded.status.as_u16(), "headers": headers,
    });
    match std::str::from_utf8(&encoded.body) {
        Ok(text) => fixture["text"] = text.into(),
        Err(_) => fixture["base64"] = base64::engine::general_purpose::STANDARD.encode(&encoded.body).into(),
    }
    fixture
}

#[test]
fn answers_are_those_that_botocore_understood() {
    let mut recorded: Vec<Value> = serde_json::from_str(include_str!("../recorded/answers.json")).unwrap();
    let found: Vec<Value> = answers().into_iter().map(as_fixture).collect();
    for one in &mut recorded {
        let parsed = one.as_object_mut().unwrap().remove("parsed");
        assert!(parsed.is_some_and(|parsed| parsed.is_object()), "not checked by record.py: {}", one["name"]);
    }
    if recorded != found {
        // Shown whole, to be put into answers.json and looked at by record.py.
        println!("{}", serde_json::to_string_pretty(&found).unwrap());
    }
    assert_eq!(recorded.len(), found.len());
    for (recorded, found) in recorded.iter().zip(&found) {
        assert_eq!(recorded, found);
    }
}

#[test]
fn an_answer_is_an_http_response() {
    let encoded = encode(&frame(Protocol::Json11, "CreateLogGroup", ""), &()).unwrap();
    let response = encoded.into_response::<bytes::Bytes>();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
    assert_eq!(response.headers()["x-amzn-requestid"], "0f8fad5b-d9cb-469f-a165-70867728950e");
    assert!(response.body().is_empty());
}

#[test]
fn texts_that_no_header_carries_are_left_out() {
    let parts = ErrorParts {
        query_compatible: true,
        ..ErrorParts::new(StatusCode::BAD_REQUEST, "a\nb", "text\u{0}")
    };
    let frame = Frame { request_id: "a\r\nb", ..frame(Protocol::Cbor, "X", "") };
    let encoded = encode_error(&frame, &parts);
    assert_eq!(encoded.headers.len(), 2, "content type and protocol: {:?}", encoded.headers);
    let xml = encode_error(&Frame { protocol: Protocol::Query, ..frame }, &parts);
    assert!(std::str::from_utf8(&xml.body).unwrap().contains("<Message>text\u{fffd}</Message>"));
}

#[test]
fn what_a_protocol_cannot_write_is_an_error() {
    let keys = BTreeMap::from([(vec![1], 1)]);
    assert!(encode(&frame(Protocol::Json11, "X", ""), &keys).is_err());
    assert!(encode(&frame(Protocol::Query, "X", SNS), &Time(i64::MIN)).is_err());
    assert!(encode(&frame(Protocol::Query, "X", SNS), &Blob(vec![0])).is_ok());
}
