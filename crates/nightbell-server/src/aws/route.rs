/*!
From a call to the function that serves it: one line for each operation.
*/

use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use nightbell_wire::{Call, ErrorParts, Frame, Protocol, decode, encode, encode_error, eventstream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::error;

use super::error::{ApiError, Service, Told};
use super::{
    Cx, alarmlist, anomaly, cloudwatch, composite, contributors, definitions, filters, insights, livetail,
    logs, metricdata, metrics, mute, reads, sns, sts,
};

/// A service for the credential scope's name or, where a request is unsigned, for what the call names.
pub(crate) fn service_of(scope: Option<&str>, call: &Call) -> Option<Service> {
    let by_scope = match scope {
        Some("logs") => Some(Service::Logs),
        Some("monitoring") => Some(Service::CloudWatch),
        Some("sns") => Some(Service::Sns),
        Some("sts") => Some(Service::Sts),
        _ => None,
    };
    let by_target = match call.target.as_str() {
        "Logs_20140328" => Some(Service::Logs),
        "GraniteServiceVersion20100801" | "2010-08-01" => Some(Service::CloudWatch),
        "2010-03-31" => Some(Service::Sns),
        "2011-06-15" => Some(Service::Sts),
        _ => None,
    };
    match scope {
        Some(_) => by_scope.filter(|service| by_target.is_none_or(|target| target == *service)),
        // Links in mails name the operation only.
        None => by_target
            .or(matches!(call.operation.as_str(), "ConfirmSubscription" | "Unsubscribe")
                .then_some(Service::Sns)),
    }
}

/// The XML namespace of a service's answers.
pub(crate) fn namespace(service: Option<Service>) -> &'static str {
    match service {
        Some(Service::CloudWatch) => "http://monitoring.amazonaws.com/doc/2010-08-01/",
        Some(Service::Sns) => "http://sns.amazonaws.com/doc/2010-03-31/",
        Some(Service::Sts) => "https://sts.amazonaws.com/doc/2011-06-15/",
        Some(Service::Logs) | None => "http://logs.amazonaws.com/doc/2014-03-28/",
    }
}

/// Serves a call whose signature was checked.
pub(crate) async fn route(cx: Cx, service: Service, call: &Call, body: &[u8], frame: &Frame<'_>) -> Response {
    let asked = Asked { cx, service, call, body, frame };
    match service {
        Service::Logs => route_logs(asked).await,
        Service::CloudWatch => route_cloudwatch(asked).await,
        Service::Sns => route_sns(asked).await,
        Service::Sts => route_sts(asked).await,
    }
}

async fn route_logs(asked: Asked<'_>) -> Response {
    match asked.call.operation.as_str() {
        "CreateLogGroup" => asked.by(logs::create_log_group).await,
        "DeleteLogGroup" => asked.by(logs::delete_log_group).await,
        "DescribeLogGroups" => asked.by(logs::describe_log_groups).await,
        "PutRetentionPolicy" => asked.by(logs::put_retention_policy).await,
        "DeleteRetentionPolicy" => asked.by(logs::delete_retention_policy).await,
        "CreateLogStream" => asked.by(logs::create_log_stream).await,
        "DeleteLogStream" => asked.by(logs::delete_log_stream).await,
        "DescribeLogStreams" => asked.by(logs::describe_log_streams).await,
        "PutLogEvents" => asked.by(logs::put_log_events).await,
        "GetLogEvents" => asked.reading(reads::get_log_events).await,
        "FilterLogEvents" => asked.reading(reads::filter_log_events).await,
        "StartLiveTail" => asked.going_on(livetail::start_live_tail).await,
        "StartQuery" => asked.by(insights::start_query).await,
        "StopQuery" => asked.by(insights::stop_query).await,
        "GetQueryResults" => asked.by(insights::get_query_results).await,
        "DescribeQueries" => asked.by(insights::describe_queries).await,
        "GetLogRecord" => asked.by(insights::get_log_record).await,
        "PutQueryDefinition" => asked.by(definitions::put_query_definition).await,
        "DescribeQueryDefinitions" => asked.by(definitions::describe_query_definitions).await,
        "DeleteQueryDefinition" => asked.by(definitions::delete_query_definition).await,
        "PutMetricFilter" => asked.by(filters::put_metric_filter).await,
        "DescribeMetricFilters" => asked.by(filters::describe_metric_filters).await,
        "DeleteMetricFilter" => asked.by(filters::delete_metric_filter).await,
        "TestMetricFilter" => asked.by(filters::test_metric_filter).await,
        _ => asked.unknown(),
    }
}

async fn route_cloudwatch(asked: Asked<'_>) -> Response {
    match asked.call.operation.as_str() {
        "PutMetricAlarm" => asked.by(cloudwatch::put_metric_alarm).await,
        "PutCompositeAlarm" => asked.by(composite::put_composite_alarm).await,
        "PutAlarmMuteRule" => asked.by(mute::put_alarm_mute_rule).await,
        "GetAlarmMuteRule" => asked.by(mute::get_alarm_mute_rule).await,
        "ListAlarmMuteRules" => asked.by(mute::list_alarm_mute_rules).await,
        "DeleteAlarmMuteRule" => asked.by(mute::delete_alarm_mute_rule).await,
        "DescribeAlarms" => asked.by(alarmlist::describe_alarms).await,
        "DescribeAlarmsForMetric" => asked.by(cloudwatch::describe_alarms_for_metric).await,
        "DescribeAlarmContributors" => asked.by(contributors::describe_alarm_contributors).await,
        "DescribeAlarmHistory" => asked.by(cloudwatch::describe_alarm_history).await,
        "DeleteAlarms" => asked.by(cloudwatch::delete_alarms).await,
        "SetAlarmState" => asked.by(cloudwatch::set_alarm_state).await,
        "EnableAlarmActions" => asked.by(cloudwatch::enable_alarm_actions).await,
        "DisableAlarmActions" => asked.by(cloudwatch::disable_alarm_actions).await,
        "PutMetricData" => asked.by(metrics::put_metric_data).await,
        "GetMetricStatistics" => asked.by(metrics::get_metric_statistics).await,
        "GetMetricData" => asked.by(metricdata::get_metric_data).await,
        "PutAnomalyDetector" => asked.by(anomaly::put_anomaly_detector).await,
        "DescribeAnomalyDetectors" => asked.by(anomaly::describe_anomaly_detectors).await,
        "DeleteAnomalyDetector" => asked.by(anomaly::delete_anomaly_detector).await,
        "ListMetrics" => asked.by(metrics::list_metrics).await,
        _ => asked.unknown(),
    }
}

async fn route_sns(asked: Asked<'_>) -> Response {
    match asked.call.operation.as_str() {
        "CreateTopic" => asked.by(sns::create_topic).await,
        "DeleteTopic" => asked.by(sns::delete_topic).await,
        "ListTopics" => asked.by(sns::list_topics).await,
        "GetTopicAttributes" => asked.by(sns::get_topic_attributes).await,
        "SetTopicAttributes" => asked.by(sns::set_topic_attributes).await,
        "Subscribe" => asked.by(sns::subscribe).await,
        "ConfirmSubscription" => asked.by(sns::confirm_subscription).await,
        "Unsubscribe" => asked.by(sns::unsubscribe).await,
        "ListSubscriptions" => asked.by(sns::list_subscriptions).await,
        "ListSubscriptionsByTopic" => asked.by(sns::list_subscriptions_by_topic).await,
        "Publish" => asked.by(sns::publish).await,
        _ => asked.unknown(),
    }
}

async fn route_sts(asked: Asked<'_>) -> Response {
    match asked.call.operation.as_str() {
        "GetCallerIdentity" => asked.by(sts::get_caller_identity).await,
        _ => asked.unknown(),
    }
}

/// Operations that a link in a mail may ask for without a signature: the secret is in the link.
pub(crate) fn may_be_unsigned(service: Service, operation: &str) -> bool {
    service == Service::Sns && matches!(operation, "ConfirmSubscription" | "Unsubscribe")
}

/// How many damaged files and blocks an answer has left out.
const LEFT_OUT_HEADER: &str = "x-nightbell-left-out";

/// An answer as the protocol writes it.
fn encoded(service: Service, frame: &Frame<'_>, answer: &impl Serialize) -> Response {
    match encode(frame, answer) {
        Ok(encoded) => encoded.into_response::<Body>(),
        Err(error) => {
            error!(%error, operation = frame.operation, "an answer could not be written");
            let inside = ApiError {
                status: 500,
                code: "InternalFailure",
                message: "The answer could not be written".into(),
            };
            refuse(frame, Some(service), &inside)
        }
    }
}

struct Asked<'a> {
    cx: Cx,
    service: Service,
    call: &'a Call,
    body: &'a [u8],
    frame: &'a Frame<'a>,
}

impl Asked<'_> {
    /// Decodes the request, calls `serve`, encodes what it gives.
    async fn by<Q, A, E, W>(self, serve: impl FnOnce(Cx, Q) -> W) -> Response
    where
        Q: DeserializeOwned,
        A: Serialize,
        E: Into<Told>,
        W: Future<Output = Result<A, E>>,
    {
        let (service, frame) = (self.service, self.frame);
        match self.answer(serve).await {
            Ok(answer) => encoded(service, frame, &answer),
            Err(told) => refuse_with(frame, Some(service), &told),
        }
    }

    /// The same for an answer of stored events; a header says what damage has left out of it, for clients that see no
    /// members but AWS's.
    async fn reading<Q, A, W>(self, serve: impl FnOnce(Cx, Q) -> W) -> Response
    where
        Q: DeserializeOwned,
        A: Serialize + reads::MayLeaveOut,
        W: Future<Output = Result<A, ApiError>>,
    {
        let (service, frame) = (self.service, self.frame);
        match self.answer(serve).await {
            Ok(answer) if answer.left_out() == 0 => encoded(service, frame, &answer),
            Ok(answer) => {
                let left_out = answer.left_out().to_string();
                ([(LEFT_OUT_HEADER, left_out)], encoded(service, frame, &answer)).into_response()
            }
            Err(told) => refuse_with(frame, Some(service), &told),
        }
    }

    /// The same for an operation whose answer goes on: `serve` gives the messages of its event stream.
    async fn going_on<Q, W>(self, serve: impl FnOnce(Cx, Q, String) -> W) -> Response
    where
        Q: DeserializeOwned,
        W: Future<Output = Result<Body, ApiError>>,
    {
        if !matches!(self.call.protocol, Protocol::Json10 | Protocol::Json11) {
            return self.unknown();
        }
        let (service, frame) = (self.service, self.frame);
        let request_id = frame.request_id.to_owned();
        match self.answer(|cx, request| serve(cx, request, request_id)).await {
            Ok(body) => {
                let headers =
                    [("content-type", eventstream::CONTENT_TYPE), ("x-amzn-requestid", frame.request_id)];
                (headers, body).into_response()
            }
            Err(told) => refuse_with(frame, Some(service), &told),
        }
    }

    /// Decodes the request and calls `serve`; counts what it comes to.
    async fn answer<Q, A, E, W>(self, serve: impl FnOnce(Cx, Q) -> W) -> Result<A, Told>
    where
        Q: DeserializeOwned,
        E: Into<Told>,
        W: Future<Output = Result<A, E>>,
    {
        let app = Arc::clone(&self.cx.app);
        let answer = match decode(self.call, self.body) {
            Ok(request) => serve(self.cx, request).await.map_err(Into::into),
            Err(error) => Err(ApiError::sender(error.code(self.call.protocol).0, error.to_string()).into()),
        };
        let told = answer.as_ref().map_or_else(|told: &Told| told.error.code, |_| "ok");
        app.telemetry.requests.with_label_values(&[self.call.operation.as_str(), told]).inc();
        answer
    }

    fn unknown(self) -> Response {
        let (service, operation) = (self.service, &self.call.operation);
        let code = match self.call.protocol {
            Protocol::Query => "InvalidAction",
            Protocol::Json10 | Protocol::Json11 | Protocol::Cbor => "UnknownOperationException",
        };
        self.cx.app.telemetry.requests.with_label_values(&["unknown", code]).inc();
        let text = format!("The operation {operation} of {service:?} is not served by this version");
        refuse(self.frame, Some(service), &ApiError::sender(code, text))
    }
}

/// An error in the shape of the call's protocol.
pub(crate) fn refuse(frame: &Frame<'_>, service: Option<Service>, error: &ApiError) -> Response {
    refuse_with(frame, service, &error.clone().into())
}

fn refuse_with(frame: &Frame<'_>, service: Option<Service>, told: &Told) -> Response {
    let error = &told.error;
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let shape = service.map_or(error.code, |service| error.shape(service));
    let mut parts = ErrorParts::new(status, error.code, &error.message);
    parts.shape = shape;
    parts.members = &told.members;
    parts.query_compatible = service == Some(Service::CloudWatch);
    encode_error(frame, &parts).into_response()
}

/// What a listing's caller asked for.
pub(super) struct Page {
    /// Most objects wanted.
    pub(super) limit: Option<i64>,
    /// Where the last page ended.
    pub(super) token: Option<String>,
    /// Objects of a page when nothing is asked.
    pub(super) default: usize,
    /// Most objects that may be asked.
    pub(super) max: usize,
    /// Whether the listing goes from the last name to the first.
    pub(super) descending: bool,
}

impl Page {
    fn is_behind(&self, name: &String, last: &String) -> bool {
        if self.descending { name < last } else { name > last }
    }
}

/// The page of `all` after the token, and the next token. `all` is in the order of `name`, and the token is the last name
/// shown, so that what comes and goes between two pages disturbs nothing else.
pub(super) fn page<T>(
    all: Vec<T>,
    page: &Page,
    name: impl Fn(&T) -> &String,
) -> Result<(Vec<T>, Option<String>), String> {
    let limit = match page.limit {
        None => page.default,
        Some(asked) => usize::try_from(asked).ok().filter(|n| (1..=page.max).contains(n)).ok_or_else(|| {
            format!(
                "1 validation error detected: Value '{asked}' at 'limit' failed to satisfy constraint: Member must have value between 1 and {}",
                page.max
            )
        })?,
    };
    let start = match &page.token {
        None => 0,
        Some(token) => {
            let last = read_token(token).ok_or_else(|| "The specified nextToken is invalid.".to_owned())?;
            all.iter().position(|item| *name(item) == last).map_or_else(
                || all.iter().position(|item| page.is_behind(name(item), &last)).unwrap_or(all.len()),
                |shown| shown + 1,
            )
        }
    };
    let more = all.len() > start + limit;
    let shown: Vec<T> = all.into_iter().skip(start).take(limit).collect();
    let next = shown.last().filter(|_| more).map(|item| write_token(name(item)));
    Ok((shown, next))
}

fn write_token(name: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(name)
}

fn read_token(token: &str) -> Option<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let all = || ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let at = |token, limit| {
            page(all(), &Page { limit, token, default: 2, max: 3, descending: false }, |name| name)
        };
        let (first, token) = at(None, None).unwrap();
        assert_eq!(first, ["a", "b"]);
        let (second, token) = at(token, Some(3)).unwrap();
        assert_eq!((second.len(), token), (3, None));
        for bad in [0, -1, 4] {
            assert!(at(None, Some(bad)).unwrap_err().contains("between 1 and 3"), "{bad}");
        }
        assert!(at(Some("%%".into()), None).unwrap_err().contains("nextToken"));
    }

    #[test]
    fn a_falling_page_ends_though_its_last_item_is_gone() {
        let at = |all: &[&str], token| {
            let all = all.iter().map(|s| (*s).to_owned()).collect();
            page(all, &Page { limit: Some(1), token, default: 1, max: 9, descending: true }, |name| name)
        };
        let (_, token) = at(&["c", "b", "a"], None).unwrap();
        let (second, token) = at(&["d", "b", "a"], token).unwrap();
        assert_eq!(second, ["b"]);
        assert_eq!(at(&["d", "b", "a"], token).unwrap(), (vec!["a".to_owned()], None));
    }

    #[test]
    fn a_page_goes_on_though_its_last_item_is_gone() {
        let at = |all: &[&str], token| {
            page(
                all.iter().map(|s| (*s).to_owned()).collect(),
                &Page { limit: Some(1), token, default: 1, max: 9, descending: false },
                |name| name,
            )
        };
        let (_, token) = at(&["a", "b", "c"], None).unwrap();
        assert_eq!(at(&["b", "c"], token).unwrap().0, ["b"]);
    }
}
