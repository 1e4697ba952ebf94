/*!
What stands in the server before a measurement: one group with its filters, one confirmed subscriber, alarms to cross.

All of it is made through the API, as a user would.
*/

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::client::{Connection, Service, signed};
use crate::events::{NAMES, STREAM};
use crate::process::{MailServer, Server};

/// The group all events come to.
pub(crate) const GROUP: &str = "/bench/files";
/// Namespace of all metrics.
const NAMESPACE: &str = "bench";
/// Of how many names one has a rule when there are ten thousand rules.
const NAMES_PER_RULE: usize = 10;
/// Connections that make filters at the same time.
const MAKERS: usize = 8;

/// A server made ready.
pub(crate) struct Setting<'a> {
    pub(crate) server: &'a Server,
    pub(crate) mail: &'a MailServer,
    topic: String,
    /// Events sent so far.
    pub(crate) events: u64,
}

impl<'a> Setting<'a> {
    /// A group, a stream, and a topic with one confirmed subscriber.
    pub(crate) fn new(server: &'a Server, mail: &'a MailServer) -> Self {
        let mut connection = Connection::open(&server.address);
        let address = &server.address;
        let mut sns = |operation: &str, parameters: &str| {
            let form = format!("Action={operation}&Version=2010-03-31{parameters}");
            let answer =
                connection.succeed(&signed(address, Service::Sns, operation, form.as_bytes(), now_ms()));
            String::from_utf8(answer).expect("XML is text")
        };
        let made = sns("CreateTopic", "&Name=bench");
        let (_, rest) = made.split_once("<TopicArn>").expect("an ARN");
        let topic = rest.split('<').next().unwrap_or_default().to_owned();
        sns("Subscribe", &format!("&TopicArn={topic}&Protocol=email&Endpoint=security%40example.org"));
        connection.get(address, &mail.confirm_path());
        let group = json!({"logGroupName": GROUP});
        call(&mut connection, address, Service::Logs, "CreateLogGroup", &group);
        let stream = json!({"logGroupName": GROUP, "logStreamName": STREAM});
        call(&mut connection, address, Service::Logs, "CreateLogStream", &stream);
        Self { server, mail, topic, events: 0 }
    }

    /// The rule of the probes, and `count - 1` others; these add a zero for every other event, if `default` says so.
    pub(crate) fn put_filters(&self, count: usize, default: bool) {
        let address = &self.server.address;
        let mark = r#"{ $.EventID = 4656 && $.ObjectName = "*\\secret\\*" }"#;
        let mut mark = filter("mark", mark);
        mark["metricTransformations"][0]["dimensions"] = json!({"Probe": "$.HandleId"});
        call(&mut Connection::open(address), address, Service::Logs, "PutMetricFilter", &mark);
        std::thread::scope(|scope| {
            for maker in 0..MAKERS {
                scope.spawn(move || {
                    let mut connection = Connection::open(address);
                    for n in (1..count).skip(maker).step_by(MAKERS) {
                        let mut rule = filter(&format!("rule-{n:05}"), &pattern(n, count));
                        if default {
                            rule["metricTransformations"][0]["defaultValue"] = json!(0);
                        }
                        call(&mut connection, address, Service::Logs, "PutMetricFilter", &rule);
                    }
                });
            }
        });
    }

    /// Alarms that one event each brings; gives the tokens of those events, which are the alarms' names too.
    pub(crate) fn put_alarms(&self, name: &str, count: usize) -> Vec<String> {
        let address = &self.server.address;
        // A connection that has been idle is one the server may have closed.
        let mut connection = Connection::open(address);
        let tokens: Vec<String> = (0..count).map(|n| format!("probe-{name}-{n:04}")).collect();
        for token in &tokens {
            let alarm = json!({
                "AlarmName": token, "Namespace": NAMESPACE, "MetricName": "mark", "Statistic": "Sum",
                "Dimensions": [{"Name": "Probe", "Value": token}],
                "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching",
                "AlarmActions": [self.topic],
            });
            call(&mut connection, address, Service::CloudWatch, "PutMetricAlarm", &alarm);
        }
        tokens
    }
}

fn call(connection: &mut Connection, address: &str, service: Service, operation: &str, body: &Value) {
    let body = body.to_string();
    connection.succeed(&signed(address, service, operation, body.as_bytes(), now_ms()));
}

fn filter(name: &str, pattern: &str) -> Value {
    json!({
        "logGroupName": GROUP, "filterName": name, "filterPattern": pattern,
        "metricTransformations": [{"metricName": name, "metricNamespace": NAMESPACE, "metricValue": "1"}],
    })
}

/// The pattern of a rule: words of the message, a field's value, or part of a field's value, in turn.
fn pattern(n: usize, count: usize) -> String {
    let name = n * (NAMES / NAMES_PER_RULE) / count;
    match n % 3 {
        0 => format!("\"4656\" \"folder-{name:05}\""),
        1 => format!("{{ $.EventID = 4656 && $.SubjectUserName = \"user-{name:05}\" }}"),
        _ => format!("{{ $.EventID = 4656 && $.ObjectName = \"*\\\\folder-{name:05}\\\\*\" }}"),
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    (now_ns() / 1_000_000) as i64
}

/// Now, in nanoseconds since 1970: the clock that the mail server reads too.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    since.as_nanos() as u64
}
