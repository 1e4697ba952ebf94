use http::HeaderValue;
use serde::Deserialize;

use super::*;
use crate::value::Blob;

static TABLE: [Route; 5] = [
    Route::new("GET", "/2015-03-31/functions/", "ListFunctions"),
    Route {
        status: StatusCode::ACCEPTED,
        headers: &[("x-amz-invocation-type", "InvocationType")],
        payload: Some("Payload"),
        ..Route::new("POST", "/2015-03-31/functions/{FunctionName}/invocations", "Invoke")
    },
    Route::new("PUT", "/2015-03-31/functions/{FunctionName}", "PutFunction"),
    Route { query: &[("tagKeys", "TagKeys")], ..Route::new("DELETE", "/tags/{Resource}", "UntagResource") },
    Route::new("GET", "/a/{B}/c/{D}", "TwoLabels"),
];

fn ask(method: &str, uri: &str) -> Result<Call, CallError> {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-invocation-type", HeaderValue::from_static("Event"));
    read(&TABLE, &method.parse().unwrap(), &uri.parse().unwrap(), &headers)
}

#[test]
fn method_and_path_name_the_operation() {
    for (method, uri, operation) in [
        ("GET", "/2015-03-31/functions/", "ListFunctions"),
        ("GET", "/2015-03-31/functions?MaxItems=1", "ListFunctions"),
        ("POST", "/2015-03-31/functions/f/invocations", "Invoke"),
        ("PUT", "/2015-03-31/functions/f/", "PutFunction"),
        ("GET", "/a/%2e%2e/c/%2F", "TwoLabels"),
    ] {
        let call = ask(method, uri).unwrap();
        assert_eq!((call.protocol, &*call.operation), (Protocol::RestJson, operation), "{method} {uri}");
    }
    assert_eq!(ask("POST", "/2015-03-31/functions/f/invocations").unwrap().status, StatusCode::ACCEPTED);
}

#[test]
fn other_paths_lead_nowhere() {
    for (method, uri) in [
        ("POST", "/2015-03-31/functions/"),
        ("GET", "/"),
        ("GET", "/2015-03-31/functions//"),
        ("GET", "/2015-03-31//functions"),
        ("GET", "/x/../2015-03-31/functions"),
        ("GET", "/2015-03-31/functions/f"),
        ("PUT", "/2015-03-31/functions//"),
        ("GET", "/a/../c/d"),
        ("GET", "/a/./c/d"),
        ("GET", "/a//c/d"),
        ("GET", "/a/b/c/d/e"),
        ("GET", "/a/%zz/c/d"),
        ("GET", "/a/%ff/c/d"),
        ("get", "/2015-03-31/functions/"),
    ] {
        let error = ask(method, uri).unwrap_err();
        assert_eq!(error.kind, CallErrorKind::NoOperation, "{method} {uri}");
        assert_eq!(error.code(), ("UnknownOperationException", StatusCode::NOT_FOUND));
    }
    let bad = ask("GET", "/2015-03-31/functions?a=%zz").unwrap_err();
    assert_eq!(bad.code(), ("MalformedQueryString", StatusCode::BAD_REQUEST));
    let many = |n| format!("/2015-03-31/functions?{}", vec!["a=1"; n].join("&"));
    assert!(ask("GET", &many(REST_PARAMETERS_MAX)).is_ok());
    assert!(ask("GET", &many(REST_PARAMETERS_MAX + 1)).unwrap_err().message.contains("1000"));
}

#[derive(Deserialize, Debug, PartialEq, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    function_name: String,
    invocation_type: Option<String>,
    payload: Option<Blob>,
    qualifier: Option<String>,
    max_items: Option<u32>,
    dry_run: Option<bool>,
    ratio: Option<f64>,
    timeout: Option<i64>,
    tag_keys: Vec<String>,
    resource: Option<String>,
}

fn request(method: &str, uri: &str, body: &str) -> Result<Request, DecodeError> {
    crate::decode(&ask(method, uri).unwrap(), body.as_bytes())
}

use crate::DecodeError;

#[test]
fn members_come_from_everywhere() {
    let put = request(
        "PUT",
        "/2015-03-31/functions/a%20b%2Fc+d?Qualifier=%242+x&MaxItems=50&DryRun=true&Ratio=0.5&unknown=1",
        r#"{"Timeout": 3, "Unknown": {"a": []}}"#,
    );
    let expected = Request {
        function_name: "a b/c+d".into(),
        qualifier: Some("$2 x".into()),
        max_items: Some(50),
        dry_run: Some(true),
        ratio: Some(0.5),
        timeout: Some(3),
        ..Request::default()
    };
    assert_eq!(put.unwrap(), expected);
    let list = request("GET", "/2015-03-31/functions", "").unwrap();
    assert_eq!(list, Request::default());
    let untag = request("DELETE", "/tags/arn%3Aaws%3Alambda?tagKeys=a&tagKeys=b%26", "").unwrap();
    assert_eq!(untag.tag_keys, ["a", "b&"]);
    assert_eq!(untag.resource.as_deref(), Some("arn:aws:lambda"));
    assert_eq!(request("DELETE", "/tags/x?tagKeys=a", "").unwrap().tag_keys, ["a"]);
}

#[test]
fn a_payload_is_the_body_as_it_stands() {
    let uri = "/2015-03-31/functions/f/invocations";
    let invoke = request("POST", uri, " not json").unwrap();
    assert_eq!(invoke.payload, Some(Blob(b" not json".to_vec())));
    assert_eq!((&*invoke.function_name, invoke.invocation_type.as_deref()), ("f", Some("Event")));
    assert_eq!(request("POST", uri, "").unwrap().payload, None);
}

#[test]
fn what_does_not_fit_is_told_by_its_member() {
    for (uri, body, told) in [
        ("/2015-03-31/functions/f?MaxItems=x", "", "MaxItems: invalid value: string \"x\", expected u32"),
        ("/2015-03-31/functions/f?MaxItems=1&MaxItems=2", "", "MaxItems: invalid type: a repeated parameter"),
        ("/2015-03-31/functions/f?FunctionName=g", "", "duplicate field `FunctionName`"),
        ("/2015-03-31/functions/f", r#"{"FunctionName":"g"}"#, "duplicate field `FunctionName`"),
        ("/2015-03-31/functions/f", r#"{"Timeout":"3"}"#, "Timeout: invalid type: string \"3\""),
        ("/2015-03-31/functions/f", "[]", "invalid type: sequence"),
        ("/2015-03-31/functions/f", "{} {}", "trailing characters"),
        ("/2015-03-31/functions/f", "{", "EOF while parsing"),
    ] {
        let error = request("PUT", uri, body).unwrap_err();
        assert!(error.to_string().contains(told), "{uri} {body}: {error}");
    }
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(request("PUT", "/2015-03-31/functions/f", &deep).is_ok(), "what nobody asks for is passed over");
}
