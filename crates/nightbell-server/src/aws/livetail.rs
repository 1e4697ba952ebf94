/*!
StartLiveTail: an answer that goes on, with an update each second ("CloudWatch Logs API Reference").

The body is made as the client takes it: while a client reads nothing, nothing is read for it. The listener ends a
connection that takes nothing for long, and with it the session.
*/

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use nightbell_core::event::Group;
use nightbell_core::pattern::{Caller, Pattern};
use nightbell_wire::eventstream::{Message, PAYLOAD_BYTES_MAX};
use prometheus::IntGauge;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, Sleep};
use tracing::error;
use uuid::Uuid;

use super::Cx;
use super::error::{ApiError, refused};
use super::logs::need;
use super::service::Service;
use crate::app::App;
use crate::clock;
use crate::manage::{Refusal, Resource, groups, violates};
use crate::run::Stopping;
use crate::tail::{LIVE_TAILS_MAX, Seen, Streams, Tail, UPDATE_BYTES_MAX, UPDATE_EVENTS_MAX, Update, Wanted};

/// Most groups of a session.
const TAILED_GROUPS_MAX: usize = 10;
/// Most stream names, or prefixes of them, of a session.
const TAILED_STREAMS_MAX: usize = 100;
/// Longest identifier of a group, in characters.
const IDENTIFIER_CHARS_MAX: usize = 2_048;
/// Time from one update to the next.
const UPDATE_EVERY: Duration = Duration::from_secs(1);
/// How long a session lasts.
const SESSION_TIME_MAX: Duration = Duration::from_secs(3 * 60 * 60);

/// Bytes of an event in an update beside message and stream name: identifier of the group, times, names of the members.
const EVENT_JSON_BYTES_MAX: usize = IDENTIFIER_CHARS_MAX + 200;
// A byte takes at most six in JSON, and an update must have room in a message.
const _: () = assert!(6 * UPDATE_BYTES_MAX + UPDATE_EVENTS_MAX * EVENT_JSON_BYTES_MAX < PAYLOAD_BYTES_MAX);

const JSON: &str = "application/json";
/// The content type of the operation's answer, in its place in the stream.
const ANSWER_TYPE: &str = "application/x-amz-json-1.1";

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Logs, refusal)
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidParameterException", text)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartLiveTailRequest {
    log_group_identifiers: Option<Vec<String>>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefixes: Option<Vec<String>>,
    log_event_filter_pattern: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionStart<'a> {
    request_id: &'a str,
    session_id: String,
    log_group_identifiers: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    log_stream_names: &'a Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_stream_name_prefixes: &'a Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_event_filter_pattern: &'a Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionUpdate<'a> {
    session_metadata: SessionMetadata,
    session_results: Vec<SessionResult<'a>>,
}

#[derive(Serialize)]
struct SessionMetadata {
    sampled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionResult<'a> {
    log_stream_name: &'a str,
    log_group_identifier: &'a str,
    message: &'a str,
    timestamp: i64,
    ingestion_time: i64,
}

/// Begins a session; its body begins with `initial-response` and `sessionStart`.
pub(super) async fn start_live_tail(
    cx: Cx,
    request: StartLiveTailRequest,
    request_id: String,
) -> Result<Body, ApiError> {
    let identifiers = need(request.log_group_identifiers, "logGroupIdentifiers")?;
    count(&identifiers, "logGroupIdentifiers", TAILED_GROUPS_MAX)?;
    let (names, prefixes) = (request.log_stream_names, request.log_stream_name_prefixes);
    let streams = wanted_streams(identifiers.len(), names.as_ref(), prefixes.as_ref())?;
    let pattern = Pattern::parse(request.log_event_filter_pattern.as_deref().unwrap_or_default())
        .map_err(|error| invalid(error.message(Caller::LogEvents)))?;
    let groups = identifiers.iter().map(|arn| wanted_group(&cx, arn)).collect::<Result<_, _>>()?;
    let place = Place::take(&cx.app)?;
    let start = SessionStart {
        request_id: &request_id,
        session_id: Uuid::new_v4().to_string(),
        log_group_identifiers: &identifiers,
        log_stream_names: &names,
        log_stream_name_prefixes: &prefixes,
        log_event_filter_pattern: &request.log_event_filter_pattern,
    };
    let mut first = Vec::new();
    write(&mut first, &Message::event("initial-response", ANSWER_TYPE, "{}"));
    write(&mut first, &Message::event("sessionStart", JSON, json(&start)));
    let tail = Tail::new(Arc::clone(&cx.app), Wanted { groups, streams, pattern });
    let session = Session::begin(cx.app, tail, identifiers, place).await;
    let later = stream::unfold(Some(session), next);
    Ok(Body::from_stream(stream::once(async { Ok(Bytes::from(first)) }).chain(later)))
}

/// Refuses a list that is empty or too long.
fn count(list: &[String], field: &str, max: usize) -> Result<(), ApiError> {
    if (1..=max).contains(&list.len()) {
        return Ok(());
    }
    let shown = format!("{} members", list.len());
    Err(no(violates(&shown, field, &format!("Member must have length between 1 and {max}"))))
}

fn wanted_streams(
    groups: usize,
    names: Option<&Vec<String>>,
    prefixes: Option<&Vec<String>>,
) -> Result<Streams, ApiError> {
    let (field, list) = match (names, prefixes) {
        (None, None) => return Ok(Streams::All),
        (Some(_), Some(_)) => {
            return Err(invalid(
                "logStreamNames and logStreamNamePrefixes are mutually exclusive parameters.",
            ));
        }
        (Some(names), None) => ("logStreamNames", names),
        (None, Some(prefixes)) => ("logStreamNamePrefixes", prefixes),
    };
    if groups > 1 {
        return Err(invalid(format!("{field}: they can be given only with a single log group.")));
    }
    count(list, field, TAILED_STREAMS_MAX)?;
    list.iter().try_for_each(|name| groups::check_stream_name(name)).map_err(no)?;
    Ok(match names {
        Some(names) => Streams::Named(names.iter().cloned().collect()),
        None => Streams::Prefixed(list.clone()),
    })
}

/// The group that an ARN names, if it is there.
fn wanted_group(cx: &Cx, arn: &str) -> Result<Group, ApiError> {
    let field = "logGroupIdentifiers";
    if arn.chars().count() > IDENTIFIER_CHARS_MAX {
        let limit = format!("Member must have length less than or equal to {IDENTIFIER_CHARS_MAX}");
        return Err(no(violates(arn, field, &limit)));
    }
    if arn.ends_with('*') {
        return Err(invalid(format!("{field}: the ARN {arn} must not end with an asterisk (*).")));
    }
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let ["arn", "aws", "logs", region, account, "log-group", name] = parts[..] else {
        let form = format!("arn:aws:logs:{}:{}:log-group:NAME", cx.region, cx.app.account);
        return Err(invalid(format!("{field}: {arn} is not the ARN of a log group; it has the form {form}")));
    };
    groups::check_group_name(name).map_err(no)?;
    if region != cx.region || account != cx.app.account {
        return Err(no(Refusal::Missing(Resource::Group)));
    }
    let group = cx.group(name);
    groups::find(&cx.app.records, &group).map_err(no)?;
    Ok(group)
}

/// One of the sessions that there may be; free again when dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    under_way: IntGauge,
}

impl Place {
    fn take(app: &App) -> Result<Self, ApiError> {
        let permit = Arc::clone(&app.tails.places).try_acquire_owned().map_err(|_| {
            let text = format!("{LIVE_TAILS_MAX} live tail sessions are under way already; end one first");
            no(Refusal::Limit(text))
        })?;
        let under_way = app.telemetry.live_tails.clone();
        under_way.inc();
        Ok(Self { _permit: permit, under_way })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.under_way.dec();
    }
}

/// A session under way.
struct Session {
    app: Arc<App>,
    tail: Tail,
    identifiers: Arc<[String]>,
    ticks: Interval,
    end: Pin<Box<Sleep>>,
    stopping: Stopping,
    _place: Place,
}

/// Why a session ends.
enum Ended {
    Timeout,
    Streaming(&'static str),
}

const STOPPING: Ended = Ended::Streaming("The server is stopping; start a new session");

impl Session {
    async fn begin(app: Arc<App>, tail: Tail, identifiers: Vec<String>, place: Place) -> Self {
        let mut ticks = tokio::time::interval(UPDATE_EVERY);
        // A client that was slow gets one update for all it missed.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let stopping = app.stopping.clone();
        let end = Box::pin(tokio::time::sleep(SESSION_TIME_MAX));
        Self { app, tail, identifiers: identifiers.into(), ticks, end, stopping, _place: place }
    }

    /// Waits until the next update is due.
    async fn due(&mut self) -> Result<(), Ended> {
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stops| *stops) => Err(STOPPING),
            () = &mut self.end => Err(Ended::Timeout),
            _ = self.ticks.tick() => Ok(()),
        }
    }

    /// The session, and its next update in the form in which it is sent.
    async fn update(mut self) -> Result<(Self, Vec<u8>), Ended> {
        self.due().await?;
        let app = Arc::clone(&self.app);
        let _turn = tokio::select! {
            turn = app.tails.turns.acquire() => turn.map_err(|_| STOPPING)?,
            _ = self.stopping.wait_for(|stops| *stops) => return Err(STOPPING),
        };
        let work = tokio::task::spawn_blocking(move || {
            let update = self.tail.look(clock::now())?;
            let frame = frame(&update, &self.identifiers);
            Ok::<_, crate::catalog::Failure>((self, frame))
        });
        match work.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(failure)) => {
                error!(error = %failure, "a live tail cannot read on");
                Err(Ended::Streaming("The service is not able to read now; start a new session"))
            }
            Err(failure) => {
                error!(error = %failure, "a live tail ended badly");
                Err(Ended::Streaming("The session ended badly; start a new session"))
            }
        }
    }
}

/// The next piece of a session's body, and what is left of the session.
async fn next(session: Option<Session>) -> Option<(Result<Bytes, Infallible>, Option<Session>)> {
    match session?.update().await {
        Ok((session, frame)) => Some((Ok(frame.into()), Some(session))),
        Err(ended) => Some((Ok(last_frame(&ended).into()), None)),
    }
}

fn frame(update: &Update, identifiers: &[String]) -> Vec<u8> {
    let update = SessionUpdate {
        session_metadata: SessionMetadata { sampled: update.sampled },
        session_results: update.events.iter().map(|seen| result(seen, identifiers)).collect(),
    };
    let mut out = Vec::new();
    write(&mut out, &Message::event("sessionUpdate", JSON, json(&update)));
    out
}

fn result<'a>(seen: &'a Seen, identifiers: &'a [String]) -> SessionResult<'a> {
    SessionResult {
        log_stream_name: &seen.stream,
        log_group_identifier: &identifiers[seen.group],
        message: &seen.message,
        timestamp: seen.time.as_millis(),
        ingestion_time: seen.arrival.as_millis(),
    }
}

fn last_frame(ended: &Ended) -> Vec<u8> {
    let (kind, text) = match ended {
        Ended::Timeout => ("SessionTimeoutException", "The session has lasted three hours; start a new one"),
        Ended::Streaming(why) => ("SessionStreamingException", *why),
    };
    let mut out = Vec::new();
    write(&mut out, &Message::exception(kind, JSON, json(&serde_json::json!({ "message": text }))));
    out
}

fn write(out: &mut Vec<u8>, message: &Message) {
    message.encode(out).expect("an update is bounded so that it has room in a message");
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("answers are plain data")
}

#[cfg(test)]
mod tests {
    use nightbell_core::time::Timestamp;
    use nightbell_wire::eventstream::Decoder;
    use serde_json::Value;

    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn streams_are_named_or_prefixed_and_of_one_group() {
        let names = strings(&["a", "b"]);
        assert_eq!(wanted_streams(3, None, None).unwrap(), Streams::All);
        assert_eq!(
            wanted_streams(1, Some(&names), None).unwrap(),
            Streams::Named(names.iter().cloned().collect())
        );
        assert_eq!(wanted_streams(1, None, Some(&names)).unwrap(), Streams::Prefixed(names.clone()));
        let many = vec!["s".to_owned(); TAILED_STREAMS_MAX + 1];
        for (groups, names, prefixes, said) in [
            (1, Some(&names), Some(&names), "mutually exclusive"),
            (2, Some(&names), None, "logStreamNames: they can be given only with a single log group"),
            (2, None, Some(&names), "logStreamNamePrefixes: they can be given only"),
            (1, Some(&strings(&[])), None, "between 1 and 100"),
            (1, Some(&many), None, "'101 members' at 'logStreamNames'"),
            (1, Some(&strings(&["a:b"])), None, "[^:*]*"),
            (1, None, Some(&strings(&["*"])), "[^:*]*"),
        ] {
            let error = wanted_streams(groups, names, prefixes).unwrap_err();
            assert_eq!(error.code, "InvalidParameterException");
            assert!(error.message.contains(said), "{said}: {}", error.message);
        }
    }

    #[test]
    fn the_largest_update_has_room_in_a_message() {
        // The worst of all texts: each byte takes six in JSON.
        let message = "\u{1}".repeat(UPDATE_BYTES_MAX / UPDATE_EVENTS_MAX);
        let seen = |_| Seen {
            group: 0,
            stream: String::new(),
            time: Timestamp::from_millis(i64::MIN),
            arrival: Timestamp::from_millis(i64::MIN),
            message: message.clone(),
        };
        let update = Update { events: (0..UPDATE_EVENTS_MAX).map(seen).collect(), sampled: true };
        let mut decoder = Decoder::default();
        decoder.push(&frame(&update, &["x".repeat(IDENTIFIER_CHARS_MAX)]));
        let told = decoder.message().unwrap().unwrap();
        assert_eq!(told.header(":event-type"), Some("sessionUpdate"));
        let told: Value = serde_json::from_slice(&told.payload).unwrap();
        assert_eq!(told["sessionResults"].as_array().unwrap().len(), UPDATE_EVENTS_MAX);
        assert_eq!(told["sessionMetadata"]["sampled"], true);
    }

    #[test]
    fn a_session_that_lasted_long_ends_as_aws_ends_it() {
        let mut decoder = Decoder::default();
        decoder.push(&last_frame(&Ended::Timeout));
        let told = decoder.message().unwrap().unwrap();
        assert_eq!(told.header(":message-type"), Some("exception"));
        assert_eq!(told.header(":exception-type"), Some("SessionTimeoutException"));
    }
}
