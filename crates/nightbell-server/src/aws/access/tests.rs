//! Every operation says what it demands, and demands are judged as policies say.

use std::path::Path;

use nightbell_core::time::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::aws::route::call;
use crate::bounded::read_text;
use crate::manage::iam::Iam;
use crate::manage::iam::identities::NewIdentity;
use crate::run::app_in;
use crate::search::Pool;

const ACCOUNT: &str = "123456789012";

fn root(folder: &Path) -> Cx {
    Cx {
        app: app_in(folder, Pool::without_threads()),
        region: "site".to_owned(),
        now: Timestamp::from_seconds(1_767_225_600),
        caller: Principal::Root,
    }
}

/// The operations that a file of the router has a line for.
fn operations(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let (name, _) = line.trim_start().strip_prefix('"')?.split_once("\" => asked.")?;
        Some(name.to_owned())
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn every_operation_that_is_served_says_what_it_demands() {
    let folder = tempfile::tempdir().unwrap();
    let cx = root(folder.path());
    let mut seen = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/aws/route")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let signing = if stem == "cloudwatch" { "monitoring" } else { &stem };
        for operation in operations(&read_text(&path).unwrap()) {
            seen += 1;
            let found = demands(&cx, signing, &Call::inside(&operation), b"{}").unwrap();
            assert!(found.is_some(), "aws/access/{stem}.rs has no line for {operation}");
        }
    }
    assert!(seen > 100, "{seen} operations were found");
}

/// Service, operation and input; below, a line for each demand with the names of its resource. `HERE` is region and account.
const ARNS: &str = r#"
logs DeleteLogGroup {"logGroupName": "/a/b"}
  arn:aws:logs:HERE:log-group:/a/b arn:aws:logs:HERE:log-group:/a/b:*
logs PutLogEvents {"logGroupName": "g", "logStreamName": "s", "logEvents": [{"message": "x"}]}
  arn:aws:logs:HERE:log-group:g:log-stream:s
logs StartQuery {"logGroupIdentifiers": ["arn:aws:logs:HERE:log-group:g", "h"]}
  arn:aws:logs:HERE:log-group:g arn:aws:logs:HERE:log-group:g:*
  arn:aws:logs:HERE:log-group:h arn:aws:logs:HERE:log-group:h:*
logs TagResource {"resourceArn": "arn:aws:logs:HERE:log-group:g:*"}
  arn:aws:logs:HERE:log-group:g arn:aws:logs:HERE:log-group:g:*
logs DescribeLogGroups {}
  arn:aws:logs:HERE:log-group::log-stream:
logs PutSubscriptionFilter {"logGroupName": "g", "roleArn": "arn:r"}
  arn:aws:logs:HERE:log-group:g arn:aws:logs:HERE:log-group:g:*
  arn:r
monitoring DeleteAlarms {"AlarmNames": ["a", "b"]}
  arn:aws:cloudwatch:HERE:alarm:a
  arn:aws:cloudwatch:HERE:alarm:b
monitoring DescribeAlarms {"AlarmNames": ["a"], "AlarmNamePrefix": "b"}
  arn:aws:cloudwatch:HERE:alarm:*
monitoring GetDashboard {"DashboardName": "d"}
  arn:aws:cloudwatch::123456789012:dashboard/d
sns CreateTopic {"Name": "t"}
  arn:aws:sns:HERE:t
sns Publish {"TopicArn": "arn:a", "TargetArn": "arn:b"}
  arn:a
  arn:b
sns Unsubscribe {"SubscriptionArn": "arn:aws:sns:r:1:t:id"}
  arn:aws:sns:r:1:t arn:aws:sns:r:1:t:id
lambda Invoke {"FunctionName": "f:live"}
  arn:aws:lambda:HERE:function:f arn:aws:lambda:HERE:function:f:live
lambda GetFunction {"FunctionName": "arn:aws:lambda:far:999999999999:function:f"}
  arn:aws:lambda:HERE:function:f
  arn:aws:lambda:far:999999999999:function:f
ssm GetParameters {"Names": ["/a/b:3", "c", "arn:aws:ssm:HERE:parameter/d:1"]}
  arn:aws:ssm:HERE:parameter/a/b
  arn:aws:ssm:HERE:parameter/c
  arn:aws:ssm:HERE:parameter/d
ses SendEmail {"Source": "Guard <guard@example.org>"}
  arn:aws:ses:HERE:identity/guard@example.org arn:aws:ses:HERE:identity/example.org
ses SendEmail {"Source": "\"a@b\" <c@d>"}
  *
ses SendEmail {"FromEmailAddress": "a@b", "Content": {"Raw": {"Data": ""}}}
  *
firehose CreateDeliveryStream {"DeliveryStreamName": "d", "ExtendedS3DestinationConfiguration": {"RoleARN": "arn:r"}}
  arn:aws:firehose:HERE:deliverystream/d
  arn:r
s3 ListObjectsV2 {"Bucket": "b", "Key": "", "Prefix": "p/"}
  arn:aws:s3:::b
s3 GetObject {"Bucket": "b", "Key": "../a//b"}
  arn:aws:s3:::b/../a//b
s3 PutObject {"Bucket": "b", "Key": "k", "Tagging": "a=1"}
  arn:aws:s3:::b/k
  arn:aws:s3:::b/k
iam GetRole {"RoleName": "r"}
  arn:aws:iam::123456789012:role/r
iam CreateUser {"UserName": "u", "Path": "/x/"}
  arn:aws:iam::123456789012:user/x/u
iam UpdateUser {"UserName": "u", "NewUserName": "v"}
  arn:aws:iam::123456789012:user/u
  arn:aws:iam::123456789012:user/v
"#;

#[test]
fn names_become_arns() {
    let folder = tempfile::tempdir().unwrap();
    let cx = root(folder.path());
    let text = ARNS.replace("HERE", &format!("site:{ACCOUNT}"));
    let mut lines = text.lines().skip(1).peekable();
    while let Some(line) = lines.next() {
        let mut parts = line.splitn(3, ' ');
        let [signing, operation, input] = std::array::from_fn(|_| parts.next().unwrap());
        let found = demands(&cx, signing, &Call::inside(operation), input.as_bytes()).unwrap().unwrap();
        let found: Vec<String> = found.into_iter().map(|demand| demand.names.join(" ")).collect();
        let mut wanted = Vec::new();
        while let Some(names) = lines.next_if(|line| line.starts_with("  ")) {
            wanted.push(names.trim().to_owned());
        }
        assert_eq!(found, wanted, "{line}");
    }
}

/// A caller that is a user with this policy, written with single quotes.
fn user(root: &Cx, name: &str, statements: &str) -> Cx {
    let iam = Iam::of(&root.app);
    let made =
        iam.create(Kind::User, NewIdentity { name: name.to_owned(), ..NewIdentity::default() }, root.now);
    let document = format!("{{'Version': '2012-10-17', 'Statement': [{statements}]}}").replace('\'', "\"");
    iam.put_inline(Kind::User, name, "p", document).unwrap();
    let user = Arc::new(made.unwrap().as_user(ACCOUNT));
    let from = crate::auth::Origin { address: [192, 0, 2, 7].into(), is_secure: false };
    Cx { caller: Principal::User { user, from: Some(from) }, ..root.clone() }
}

async fn ask(cx: &Cx, service: Service, operation: &str, input: Value) -> Result<Value, ApiError> {
    call(cx.clone(), service, operation, &input).await.map_err(|told| told.error)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_refused_and_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let root = root(folder.path());
    let allow = "{'Effect': 'Allow', 'Action': 'logs:CreateLogGroup', 'Resource': 'arn:aws:logs:site:*:log-group:a*'}";
    let shipper = user(&root, "shipper", allow);
    let group = |name: &str| json!({ "logGroupName": name });
    ask(&shipper, Service::Logs, "CreateLogGroup", group("abc")).await.unwrap();
    let refused = ask(&shipper, Service::Logs, "CreateLogGroup", group("bc")).await.unwrap_err();
    assert_eq!((refused.status, refused.code), (400, "AccessDeniedException"));
    assert_eq!(
        refused.message,
        "User: arn:aws:iam::123456789012:user/shipper is not authorized to perform: logs:CreateLogGroup on resource: \
         arn:aws:logs:site:123456789012:log-group:bc because no identity-based policy allows the logs:CreateLogGroup action"
    );
    let there = ask(&root, Service::Logs, "DescribeLogGroups", json!({})).await.unwrap();
    assert_eq!(there["logGroups"].as_array().unwrap().len(), 1);
    let refused = ask(&shipper, Service::Sns, "CreateTopic", json!({"Name": "t"})).await.unwrap_err();
    assert_eq!((refused.status, refused.code), (403, "AuthorizationError"));
    let refused = ask(&shipper, Service::Iam, "GetUser", json!({})).await.unwrap_err();
    assert!(
        refused.message.contains("iam:GetUser on resource: arn:aws:iam::123456789012:user/shipper because")
    );
    ask(&shipper, Service::Sts, "GetCallerIdentity", json!({})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_name_of_a_group_cannot_be_gone_around() {
    let folder = tempfile::tempdir().unwrap();
    let root = root(folder.path());
    for (at, arn) in
        ["arn:aws:logs:site:*:log-group:secret", "arn:aws:logs:site:*:log-group:secret:*"].iter().enumerate()
    {
        let statements = format!(
            "{{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}}, \
             {{'Effect': 'Deny', 'Action': 'logs:*', 'Resource': '{arn}'}}"
        );
        let caller = user(&root, &format!("u{at}"), &statements);
        let named = |name: &str| format!("arn:aws:logs:site:{ACCOUNT}:log-group:{name}");
        for (operation, input) in [
            ("FilterLogEvents", json!({"logGroupName": "secret"})),
            ("FilterLogEvents", json!({"logGroupIdentifier": named("secret")})),
            ("FilterLogEvents", json!({"logGroupIdentifier": named("secret:*")})),
            ("StartQuery", json!({"logGroupNames": ["open", "secret"]})),
            ("StartQuery", json!({"logGroupIdentifiers": [named("open"), named("secret")]})),
        ] {
            let refused = ask(&caller, Service::Logs, operation, input.clone()).await.unwrap_err();
            assert_eq!(refused.code, "AccessDeniedException", "{operation} {input}");
            assert!(
                refused.message.ends_with("with an explicit deny in an identity-based policy"),
                "{refused:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_passed_only_by_whom_it_is_allowed_to() {
    let folder = tempfile::tempdir().unwrap();
    let root = root(folder.path());
    let body = json!({"FunctionName": "f", "Role": format!("arn:aws:iam::{ACCOUNT}:role/r")}).to_string();
    let create = Call::inside("CreateFunction");
    let caller = user(&root, "u", "{'Effect': 'Allow', 'Action': 'lambda:*', 'Resource': '*'}");
    let refused = judge(&caller, Service::Lambda, &create, body.as_bytes()).unwrap_err().error;
    assert!(
        refused.message.contains("iam:PassRole on resource: arn:aws:iam::123456789012:role/r"),
        "{refused:?}"
    );
    let caller = user(
        &root,
        "v",
        "{'Effect': 'Allow', 'Action': ['lambda:*', 'iam:PassRole'], 'Resource': '*', \
          'Condition': {'StringEqualsIfExists': {'iam:PassedToService': 'lambda.amazonaws.com'}}}",
    );
    judge(&caller, Service::Lambda, &create, body.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_s_own_policy_counts() {
    let folder = tempfile::tempdir().unwrap();
    let root = root(folder.path());
    let arn =
        ask(&root, Service::Sns, "CreateTopic", json!({"Name": "t"})).await.unwrap()["TopicArn"].clone();
    let all = user(&root, "all", "{'Effect': 'Allow', 'Action': 'sns:*', 'Resource': '*'}");
    let none = user(&root, "none", "{'Effect': 'Allow', 'Action': 'logs:*', 'Resource': '*'}");
    let publish = json!({"TopicArn": arn, "Message": "m"});
    ask(&all, Service::Sns, "Publish", publish.clone()).await.unwrap();
    ask(&none, Service::Sns, "Publish", publish.clone()).await.unwrap_err();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/none")}, "Action": "sns:Publish",
         "Resource": arn},
        {"Effect": "Deny", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/all")}, "Action": "sns:Publish",
         "Resource": arn},
    ]});
    let set = json!({"TopicArn": arn, "AttributeName": "Policy", "AttributeValue": policy.to_string()});
    ask(&root, Service::Sns, "SetTopicAttributes", set).await.unwrap();
    ask(&none, Service::Sns, "Publish", publish.clone()).await.unwrap();
    let refused = ask(&all, Service::Sns, "Publish", publish).await.unwrap_err();
    assert!(refused.message.ends_with("with an explicit deny in a resource-based policy"), "{refused:?}");
}
