/*!
Operations asked for from inside the server.
*/

use nightbell_core::time::Timestamp;
use serde_json::json;

use super::*;
use crate::auth::Principal;
use crate::run::app_in;
use crate::search::Pool;

fn cx(folder: &std::path::Path) -> Cx {
    Cx {
        app: app_in(folder, Pool::without_threads()),
        region: "site".to_owned(),
        now: Timestamp::from_seconds(1_767_225_600),
        caller: Principal::Root,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_from_inside_is_the_operation_itself() {
    let folder = tempfile::tempdir().unwrap();
    let cx = cx(folder.path());
    let ask = |service, operation, input| {
        let cx = cx.clone();
        async move { call(cx, service, operation, &input).await }
    };
    let arn = "arn:aws:sns:site:123456789012:security";
    let made = ask(Service::Sns, "CreateTopic", json!({"Name": "security"})).await.unwrap();
    assert_eq!(made, json!({"TopicArn": arn}));
    let shown = ask(Service::Sns, "ListTopics", json!({})).await.unwrap();
    assert_eq!(shown["Topics"], json!([{"TopicArn": arn}]));
    let group = json!({"logGroupName": "files"});
    assert_eq!(ask(Service::Logs, "CreateLogGroup", group.clone()).await.unwrap(), Value::Null);

    let again = ask(Service::Logs, "CreateLogGroup", group).await.unwrap_err().error;
    assert_eq!((again.status, again.code), (400, "ResourceAlreadyExistsException"));
    let unknown = ask(Service::Sns, "CreateTopics", json!({})).await.unwrap_err().error;
    assert_eq!(unknown.message, "unknown operation CreateTopics of SNS");
    let known = ask(Service::Logs, "CreateExportTask", json!({})).await.unwrap_err().error;
    assert_eq!(
        known.message,
        "The operation CreateExportTask of CloudWatch Logs is not served by this version"
    );
    let wrong = ask(Service::Sns, "CreateTopic", json!({"Name": []})).await.unwrap_err().error;
    assert_eq!(wrong.code, "SerializationException");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_is_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let root = cx(folder.path());
    let who = call(root.clone(), Service::Sts, "GetCallerIdentity", &json!({})).await.unwrap();
    assert_eq!(
        who,
        json!({"Arn": "arn:aws:iam::123456789012:root", "UserId": "123456789012", "Account": "123456789012"})
    );
    let nobody = Cx { caller: Principal::Link, ..root };
    let refused = call(nobody, Service::Sts, "GetCallerIdentity", &json!({})).await.unwrap_err();
    assert_eq!(refused.error.status, 403);
}
