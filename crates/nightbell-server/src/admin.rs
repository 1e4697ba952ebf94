/*!
What only Nightbell's own commands ask for: `/_nightbell/import`, `/_nightbell/reset` and others under `/_nightbell/`.

Import takes recorded events of any age, which PutLogEvents must not; it is signed like every other request.
*/

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::mute::MuteRule;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::Removal;
use nightbell_store::{Durability, Kind, Scan, Space, Write};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tracing::warn;

use crate::app::App;
use crate::auth::Principal;
use crate::aws::error::disk_limit_text;
use crate::backtest;
use crate::catalog::{Failure, Key, put};
use crate::manage::groups::{self, GroupOptions};
use crate::manage::{Refusal, alarms, composites, detectors, mutes};
use crate::{auth, backup, clock, doctor, export, intake, proof};

mod facets;
pub(crate) mod incidents;

/// Most events of one import request.
pub(crate) const IMPORT_EVENTS_MAX: usize = 10_000;
/// Entries read at once when everything is emptied.
const RESET_STEP: usize = 10_000;
/// The service in the credential scope of these requests.
pub(crate) const SERVICE: &str = "nightbell";

/// A place in a recorded log: chunk and record.
pub(crate) type Place = (u64, u64);

/// A piece of a recorded log; without events it only asks how far the import has come.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportRequest {
    /// The log group; made where it is missing.
    pub(crate) group: String,
    /// The log stream; made where it is missing.
    pub(crate) stream: String,
    /// What tells this log from others: the hash of its file.
    pub(crate) source: String,
    /// The events, each with its time in milliseconds since 1970.
    pub(crate) events: Vec<(i64, String)>,
    /// Where the next piece begins; `None` only asks.
    pub(crate) next: Option<Place>,
}

/// How far an import has come.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct ImportProgress {
    /// Where the next piece begins.
    pub(crate) next: Place,
    /// Events stored so far.
    pub(crate) events: u64,
}

/// Answers a request under `/_nightbell/`.
pub(crate) async fn answer(app: &Arc<App>, parts: &Parts, body: Bytes) -> Response {
    if parts.method != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "use POST");
    }
    if parts.uri.path() == "/_nightbell/reset" {
        return reset(app, &parts.headers).await;
    }
    let caller = match auth::check(app, parts, &body, clock::now()) {
        // These are the account's own: no policy says who else may ask for them.
        Ok(caller) if caller.principal != Principal::Root => {
            return text(StatusCode::FORBIDDEN, "only the root key may ask for this");
        }
        Ok(caller) if caller.scope.service == SERVICE => caller,
        Ok(_) => return text(StatusCode::FORBIDDEN, "the request is signed for another service"),
        Err(error) => return text(StatusCode::FORBIDDEN, &error.message),
    };
    match parts.uri.path() {
        "/_nightbell/backtest" => backtest::desk::answer(app, caller.scope.region, &body, clock::now()).await,
        "/_nightbell/export" => export::answer(app, &caller.scope.region, &body, clock::now()),
        "/_nightbell/verify" => proof::answer(app, &body),
        "/_nightbell/backup" => backup::answer(app, &body, clock::now()).await,
        "/_nightbell/doctor" => doctor::answer(app, &body).await,
        "/_nightbell/import" => import(app, &caller.scope.region, &body).await,
        path => {
            let region = &caller.scope.region;
            let answer = match incidents::answer(app, region, path, &body).await {
                Some(answer) => Some(answer),
                None => facets::answer(app, region, path, &body).await,
            };
            answer.unwrap_or_else(|| text(StatusCode::NOT_FOUND, "there is nothing here"))
        }
    }
}

async fn import(app: &App, region: &str, body: &[u8]) -> Response {
    let request: ImportRequest = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => {
            return text(StatusCode::BAD_REQUEST, &format!("the import request is not right: {error}"));
        }
    };
    let parts = [&request.group, &request.stream, &request.source];
    if parts.iter().any(|part| part.contains('\0') || part.len() > 512) {
        return text(StatusCode::BAD_REQUEST, "group, stream and source take at most 512 bytes and no NUL");
    }
    if request.events.len() > IMPORT_EVENTS_MAX {
        let limit =
            format!("events: {} are more than the limit of {IMPORT_EVENTS_MAX}", request.events.len());
        return text(StatusCode::BAD_REQUEST, &limit);
    }
    match take(app, region, request).await {
        Ok(progress) => answer_json(&progress),
        Err(Refusal::Invalid(reason) | Refusal::Limit(reason)) => text(StatusCode::BAD_REQUEST, &reason),
        Err(Refusal::Store(failure)) if failure.kind() == Kind::Throttled => {
            let why = failure.disk_limit().map(|(bytes, bytes_max)| disk_limit_text(bytes, bytes_max));
            text(StatusCode::TOO_MANY_REQUESTS, why.as_deref().unwrap_or("too much is waiting to be written"))
        }
        Err(other) => {
            warn!(error = ?other, "an import was interrupted");
            text(StatusCode::SERVICE_UNAVAILABLE, "the store cannot take events now")
        }
    }
}

async fn take(app: &App, region: &str, request: ImportRequest) -> Result<ImportProgress, Refusal> {
    let now = clock::now();
    let group = Group { region: region.to_owned(), name: request.group };
    let since = *app.journal.end().borrow();
    allow_existing(groups::create(&app.records, &group, GroupOptions::default(), now, since))?;
    allow_existing(groups::create_stream(&app.records, &group, &request.stream, now, since))?;
    let key = Key::of(&["import", &group.region, &group.name, &request.stream, &request.source]);
    let mut progress: ImportProgress = app.records.get(&key)?.unwrap_or_default();
    let Some(next) = request.next else { return Ok(progress) };
    if next <= progress.next {
        return Ok(progress);
    }
    let event = |(time, message): (i64, String)| Event { time: Timestamp::from_millis(time.max(0)), message };
    let events: Vec<Event> =
        request.events.into_iter().filter(|(_, message)| !message.is_empty()).map(event).collect();
    progress.events += events.len() as u64;
    progress.next = next;
    if !events.is_empty() {
        let batch = Batch { group, stream: request.stream, arrival: now, events };
        intake::accept(app, batch).await.map_err(Failure::from)?;
    }
    // A crash between the two lines above and below stores this piece again when the import is resumed.
    let mut change = Write::new();
    put(&mut change, &key, &progress);
    app.records.commit(change)?;
    Ok(progress)
}

fn answer_json<T: Serialize>(answer: &T) -> Response {
    let body = serde_json::to_vec(answer).expect("answers are plain data");
    ([(http::header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn allow_existing(done: Result<(), Refusal>) -> Result<(), Refusal> {
    match done {
        Err(Refusal::Exists(_)) => Ok(()),
        other => other,
    }
}

async fn reset(app: &Arc<App>, headers: &HeaderMap) -> Response {
    if !app.allow_reset {
        return text(StatusCode::FORBIDDEN, "start the server with --allow-reset to allow this");
    }
    if headers.contains_key(http::header::ORIGIN) {
        return text(StatusCode::FORBIDDEN, "a web page may not ask for this");
    }
    let (worker, runtime) = (Arc::clone(app), Handle::current());
    let emptied = tokio::task::spawn_blocking(move || empty(&worker, &runtime)).await;
    let emptied = emptied.unwrap_or_else(|error| Err(Failure::damaged(b"reset", &error)));
    match emptied {
        Ok(()) => {
            warn!("everything was emptied by request");
            text(StatusCode::OK, "emptied")
        }
        Err(failure) => text(StatusCode::SERVICE_UNAVAILABLE, &failure.to_string()),
    }
}

/// Empties everything but the loops' positions and the archive's chain; what is under way in the loops finds its alarms
/// gone.
fn empty(app: &App, runtime: &Handle) -> Result<(), Failure> {
    let store = app.records.store();
    let mut change = Write::new();
    for (alarm, _) in alarms::list_all(&app.records)? {
        alarms::push(&mut change, clock::now(), nightbell_core::watch::Input::DeleteAlarm { arn: alarm.arn });
    }
    for alarm in composites::list_all(&app.records)? {
        alarms::push(&mut change, clock::now(), nightbell_core::watch::Input::DeleteAlarm { arn: alarm.arn });
    }
    for detector in detectors::list_all(&app.records)? {
        let gone = nightbell_core::watch::Input::DeleteDetector { watched: detector.watched };
        alarms::push(&mut change, clock::now(), gone);
    }
    for rule in mutes::list_all(&app.records)? {
        let MuteRule { region, name, .. } = rule;
        alarms::push(
            &mut change,
            clock::now(),
            nightbell_core::watch::Input::DeleteMuteRule { region, name },
        );
    }
    let positions = Key::prefix(&["position"], "");
    for space in Space::ALL {
        let mut scan = Scan::all().limit(RESET_STEP);
        loop {
            let found = store.scan(space, &scan)?;
            let Some((last, _)) = found.last() else { break };
            scan = Scan::all().limit(RESET_STEP).after(last.clone());
            for (key, _) in found {
                let stays = match space {
                    Space::Catalog => key.starts_with(positions.bytes()),
                    Space::Archive => true,
                    _ => false,
                };
                if !stays {
                    change.delete(space, key);
                }
            }
        }
    }
    // The archiver must not add files meanwhile that nobody takes out.
    let _turn = app.shelves.turn();
    store.commit(change, Durability::Disk)?;
    empty_archive(app, runtime)?;
    let end = *app.journal.end().borrow();
    app.journal.trim(end)?;
    app.keys.load(&app.records, &app.account)?;
    app.compiled.clear();
    app.subscriptions.load(&app.records)?;
    app.buffers.clear();
    app.buckets.blobs.clear()?;
    app.functions.backlog.clear();
    app.queries.clear();
    app.emptied.fetch_add(1, Ordering::Release);
    Ok(())
}

/// Takes all files out of the archive, and deletes them.
fn empty_archive(app: &App, runtime: &Handle) -> Result<(), Failure> {
    let (archive, now) = (app.shelves.archive(), clock::now());
    let files = archive.all_files()?;
    if let Some(change) = runtime.block_on(archive.remove(files, Removal::DeletedGroup, now))? {
        let mut write = Write::new();
        change.commit(&mut write);
        app.records.store().commit(write, Durability::Disk)?;
    }
    runtime.block_on(archive.sweep(now))?;
    Ok(())
}

fn text(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}
