/*!
The receiver: takes what delivery streams send to an HTTP endpoint, and stores it as events.

`POST /_nightbell/firehose/REGION/GROUP`, where GROUP is the log group's name as it is. Format: "HTTP endpoint delivery request and response
specifications" (Amazon Data Firehose Developer Guide). Payloads of subscriptions keep their streams and times; of all else each line is
an event of now. Events are stored before the sender is answered; a request that is sent twice is stored twice.
*/

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{Method, StatusCode};
use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::time::Timestamp;
use nightbell_store::Kind;
use nightbell_wire::inflate::{InflateError, gunzip};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tracing::{error, warn};

use crate::app::App;
use crate::auth::is_region;
use crate::catalog::Failure;
use crate::listen::{BODY_BYTES_MAX, INFLATED_BYTES_MAX, inflate, read_known_body};
use crate::manage::Refusal;
use crate::manage::groups::{self, GroupOptions};
use crate::{clock, intake};

/// What the paths of these requests begin with.
pub(crate) const PATH: &str = "/_nightbell/firehose/";
/// Bytes of one record when inflated.
const RECORD_INFLATED_BYTES_MAX: usize = INFLATED_BYTES_MAX;
/// Bytes that a request's records may come to, inflated.
const REQUEST_EVENTS_BYTES_MAX: usize = 64 << 20;
/// Bytes of messages that are stored at one time.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What is wrong with a request.
type Wrong = (StatusCode, String);

/// Answers a request.
pub(crate) async fn answer(app: &Arc<App>, parts: &Parts, body: Body) -> Response {
    let id = header(parts, "x-amz-firehose-request-id").unwrap_or_default().to_owned();
    let (status, error) = match receive(app, parts, body, &id).await {
        Ok(()) => (StatusCode::OK, None),
        Err((status, text)) => {
            warn!(status = status.as_u16(), reason = text, "a delivery stream's request is refused");
            (status, Some(text))
        }
    };
    let mut told = json!({ "requestId": id, "timestamp": clock::now().as_millis() });
    if let Some(error) = error {
        told["errorMessage"] = error.into();
    }
    (status, [("content-type", "application/json")], told.to_string()).into_response()
}

async fn receive(app: &Arc<App>, parts: &Parts, body: Body, id: &str) -> Result<(), Wrong> {
    let wrong = |text: &str| (StatusCode::BAD_REQUEST, text.to_owned());
    if parts.method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "use POST".to_owned()));
    }
    check_key(app, parts)?;
    let group = group(parts)?;
    let received = read_known_body(&parts.headers, body, BODY_BYTES_MAX).await.map_err(|error| {
        (StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST), error.message)
    })?;
    let inflated = inflate(&parts.headers, &received).map_err(|error| {
        (StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST), error.message)
    })?;
    let request: Request = serde_json::from_slice(inflated.as_deref().unwrap_or(&received))
        .map_err(|error| wrong(&format!("the body is not a request of a delivery stream: {error}")))?;
    if request.request_id != id {
        return Err(wrong("the body's requestId is not that of the header X-Amz-Firehose-Request-Id"));
    }
    let source = header(parts, "x-amz-firehose-source-arn").and_then(|arn| arn.rsplit_once('/'));
    let stream = source.map_or("firehose", |(_, name)| name).to_owned();
    let now = clock::now();
    let mut events: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    let mut bytes = 0;
    for record in request.records {
        let data = STANDARD.decode(record.data).map_err(|_| wrong("a record's data is not base64"))?;
        bytes += read_record(&data, &stream, now, &mut events)?;
        if bytes > REQUEST_EVENTS_BYTES_MAX {
            let text = format!("the records come to more than {REQUEST_EVENTS_BYTES_MAX} bytes");
            return Err((StatusCode::PAYLOAD_TOO_LARGE, text));
        }
    }
    store(app, &group, events, now).await.map_err(refused)
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Compared by their hashes, so that the time it takes tells nothing of the key.
fn check_key(app: &App, parts: &Parts) -> Result<(), Wrong> {
    let kept = app.installation.as_ref().and_then(|here| here.config.receiver_key.as_ref());
    let Some(kept) = kept else {
        return Err((
            StatusCode::UNAUTHORIZED,
            "nothing is received here: receiver_key_file is not set".to_owned(),
        ));
    };
    let given = header(parts, "x-amz-firehose-access-key").unwrap_or_default();
    if Sha256::digest(given) == Sha256::digest(kept.reveal()) {
        return Ok(());
    }
    Err((StatusCode::UNAUTHORIZED, "the access key is not that of this receiver".to_owned()))
}

/// The group that the path names.
fn group(parts: &Parts) -> Result<Group, Wrong> {
    let path = parts.uri.path().strip_prefix(PATH).unwrap_or_default();
    let (region, name) = path.split_once('/').unwrap_or((path, ""));
    if !is_region(region) || groups::check_group_name(name).is_err() {
        let text = format!("the path is not {PATH}REGION/GROUP with the name of a log group");
        return Err((StatusCode::NOT_FOUND, text));
    }
    Ok(Group { region: region.to_owned(), name: name.to_owned() })
}

/// Adds what a record holds, by stream; returns its bytes.
fn read_record(
    data: &[u8],
    stream: &str,
    now: Timestamp,
    events: &mut BTreeMap<String, Vec<Event>>,
) -> Result<usize, Wrong> {
    let inflated = match data.starts_with(&[0x1f, 0x8b]) {
        false => None,
        true => Some(gunzip(data, RECORD_INFLATED_BYTES_MAX).map_err(|error| match error {
            InflateError::TooLarge { limit } => {
                (StatusCode::PAYLOAD_TOO_LARGE, format!("a record inflates to more than {limit} bytes"))
            }
            _ => (StatusCode::BAD_REQUEST, "a record is not the gzip it begins as".to_owned()),
        })?),
    };
    let data = inflated.as_deref().unwrap_or(data);
    if let Ok(payload) = serde_json::from_slice::<Payload>(data) {
        // What only asks whether somebody is here says nothing else.
        if payload.message_type == "DATA_MESSAGE" {
            let found = payload.log_events.into_iter().filter(|event| !event.message.is_empty());
            let found = found.map(|event| Event {
                time: Timestamp::from_millis(event.timestamp.max(0)),
                message: event.message,
            });
            events.entry(payload.log_stream).or_default().extend(found);
        }
        return Ok(data.len());
    }
    let text = String::from_utf8_lossy(data);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let found = lines.map(|line| Event { time: now, message: line.to_owned() });
    events.entry(stream.to_owned()).or_default().extend(found);
    Ok(data.len())
}

async fn store(
    app: &App,
    group: &Group,
    events: BTreeMap<String, Vec<Event>>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let since = *app.journal.end().borrow();
    there(groups::create(&app.records, group, GroupOptions::default(), now, since))?;
    for (stream, mut events) in events {
        if events.is_empty() {
            continue;
        }
        there(groups::create_stream(&app.records, group, &stream, now, since))?;
        events.sort_by_key(|event| event.time);
        for events in batches(events) {
            let batch = Batch { group: group.clone(), stream: stream.clone(), arrival: now, events };
            intake::accept(app, batch).await.map_err(Failure::from)?;
        }
    }
    Ok(())
}

/// Events in pieces of about [`BATCH_BYTES_MAX`] bytes.
fn batches(events: Vec<Event>) -> Vec<Vec<Event>> {
    let (mut all, mut piece, mut bytes) = (Vec::new(), Vec::new(), 0);
    for event in events {
        if bytes + event.message.len() > BATCH_BYTES_MAX && !piece.is_empty() {
            all.push(std::mem::take(&mut piece));
            bytes = 0;
        }
        bytes += event.message.len();
        piece.push(event);
    }
    if !piece.is_empty() {
        all.push(piece);
    }
    all
}

fn there(done: Result<(), Refusal>) -> Result<(), Refusal> {
    match done {
        Err(Refusal::Exists(_)) => Ok(()),
        other => other,
    }
}

/// Whoever sends tries again whatever is said, so what is said is for people.
fn refused(refusal: Refusal) -> Wrong {
    match refusal {
        Refusal::Invalid(text) | Refusal::Limit(text) => (StatusCode::BAD_REQUEST, text),
        Refusal::Store(failure) if failure.kind() == Kind::Throttled => {
            (StatusCode::TOO_MANY_REQUESTS, "too much is waiting to be written".to_owned())
        }
        other => {
            error!(error = ?other, "what a delivery stream sent could not be stored");
            (StatusCode::SERVICE_UNAVAILABLE, "the store cannot take events now".to_owned())
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    request_id: String,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    message_type: String,
    log_stream: String,
    log_events: Vec<LogEvent>,
}

#[derive(Deserialize)]
struct LogEvent {
    timestamp: i64,
    message: String,
}

#[cfg(test)]
mod tests {
    use nightbell_wire::deflate::gzip;

    use super::*;

    fn read(data: &[u8]) -> Result<Vec<(String, i64, String)>, Wrong> {
        let mut events = BTreeMap::new();
        read_record(data, "s", Timestamp::from_millis(7), &mut events)?;
        let flat = events.into_iter().flat_map(|(stream, events): (String, Vec<Event>)| {
            events.into_iter().map(move |event| (stream.clone(), event.time.as_millis(), event.message))
        });
        Ok(flat.collect())
    }

    #[test]
    fn records_are_payloads_or_lines() {
        let payload = json!({
            "messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "fs-1", "subscriptionFilters": ["f"],
            "logEvents": [{"id": "1", "timestamp": 3, "message": "m"}],
        });
        let expected = vec![("fs-1".to_owned(), 3, "m".to_owned())];
        assert_eq!(read(&gzip(payload.to_string().as_bytes())).unwrap(), expected, "F04");
        assert_eq!(read(payload.to_string().as_bytes()).unwrap(), expected);
        let control = payload.to_string().replace("DATA_MESSAGE", "CONTROL_MESSAGE");
        assert!(read(&gzip(control.as_bytes())).unwrap().is_empty(), "F08");
        let line = |text: &str| ("s".to_owned(), 7, text.to_owned());
        assert_eq!(read(b"one\n\ntwo\n").unwrap(), [line("one"), line("two")]);
        assert_eq!(read(&[0x1f, 0x8b, 1]).unwrap_err().0, StatusCode::BAD_REQUEST);
        let bomb = gzip(&vec![b'x'; RECORD_INFLATED_BYTES_MAX + 1]);
        assert_eq!(read(&bomb).unwrap_err().0, StatusCode::PAYLOAD_TOO_LARGE, "F06");
    }

    #[test]
    fn what_is_much_is_stored_in_pieces() {
        let event = |length| Event { time: Timestamp::from_millis(1), message: "x".repeat(length) };
        let sizes: Vec<usize> =
            batches(vec![event(BATCH_BYTES_MAX), event(10), event(10)]).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 2]);
    }
}
