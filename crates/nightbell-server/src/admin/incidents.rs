/*!
What `nightbell incidents` asks for: `/_nightbell/incidents`, `…/show`, `…/ack` and `…/mute`.

The region of the signature is the one whose alarms are listed. Incidents are answered as they are kept, in JSON.
*/

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use nightbell_core::incident::{ACKNOWLEDGED_BY_BYTES_MAX, INCIDENT_MUTE_MAX_MS, Incident};
use nightbell_core::time::DAY_MS;
use nightbell_store::Position;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{answer_json, text};
use crate::app::App;
use crate::auth::Principal;
use crate::aws::Cx;
use crate::catalog::Failure;
use crate::clock;
use crate::manage::incidents::{self, INCIDENTS_LISTED_MAX, Listing};

/// Which incidents are asked for.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListRequest {
    /// Only those that are not over.
    #[serde(default)]
    pub(crate) open: bool,
    /// Only those of the alarm with this name.
    pub(crate) alarm: Option<String>,
    /// At most so many; [`INCIDENTS_LISTED_MAX`] is the most.
    pub(crate) limit: Option<usize>,
}

/// The incidents, newest first.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ListAnswer {
    /// As they are kept.
    pub(crate) incidents: Vec<Incident>,
    /// Whether there are more.
    pub(crate) more: bool,
}

/// One incident.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowRequest {
    /// Its id.
    pub(crate) id: String,
}

/// Somebody takes care of an incident.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AckRequest {
    /// Its id.
    pub(crate) id: String,
    /// Who.
    pub(crate) who: String,
}

/// An incident is to send nothing for a while.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MuteRequest {
    /// Its id.
    pub(crate) id: String,
    /// For how long from now, in milliseconds; 0 ends the mute.
    pub(crate) for_ms: i64,
}

/// Answers a signed request under `/_nightbell/incidents`; `None` for a path that is none of these.
pub(super) async fn answer(app: &Arc<App>, region: &str, path: &str, body: &[u8]) -> Option<Response> {
    Some(match path {
        "/_nightbell/incidents" => done(list(app, region, body)),
        "/_nightbell/incidents/show" => done(show(app, body)),
        "/_nightbell/incidents/ack" => done(acknowledge(app, region, body).await),
        "/_nightbell/incidents/mute" => done(mute(app, region, body).await),
        _ => return None,
    })
}

/// Why something was not done.
enum Refused {
    Wrong(String),
    Missing,
    Store(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Store(failure)
    }
}

fn list(app: &App, region: &str, body: &[u8]) -> Result<ListAnswer, Refused> {
    let request: ListRequest = read(body)?;
    let limit = request.limit.unwrap_or(INCIDENTS_LISTED_MAX);
    let listing = Listing { region, open: request.open, alarm: request.alarm.as_deref(), limit };
    let (incidents, more) = tokio::task::block_in_place(|| incidents::list(&app.records, &listing))?;
    Ok(ListAnswer { incidents, more })
}

fn show(app: &App, body: &[u8]) -> Result<Incident, Refused> {
    let request: ShowRequest = read(body)?;
    find(app, &request.id)
}

async fn acknowledge(app: &Arc<App>, region: &str, body: &[u8]) -> Result<Incident, Refused> {
    let request: AckRequest = read(body)?;
    let who = request.who.trim();
    if who.is_empty() || who.len() > ACKNOWLEDGED_BY_BYTES_MAX || who.chars().any(char::is_control) {
        return Err(Refused::Wrong(format!(
            "who: a name of 1 to {ACKNOWLEDGED_BY_BYTES_MAX} bytes without control characters"
        )));
    }
    let incident = find(app, &request.id)?;
    if incident.ended.is_some() {
        return Err(Refused::Wrong("the incident is over; nothing more is sent about it".to_owned()));
    }
    let position = incidents::acknowledge(&app.records, &incident.id, who, clock::now())?;
    after(app, region, position, &incident.id).await
}

async fn mute(app: &Arc<App>, region: &str, body: &[u8]) -> Result<Incident, Refused> {
    let request: MuteRequest = read(body)?;
    if !(0..=INCIDENT_MUTE_MAX_MS).contains(&request.for_ms) {
        let days = INCIDENT_MUTE_MAX_MS / DAY_MS;
        return Err(Refused::Wrong(format!("an incident is muted for at most {days} days at a time")));
    }
    let incident = find(app, &request.id)?;
    if incident.ended.is_some() && !incident.end_owed {
        return Err(Refused::Wrong("the incident is over; nothing more is sent about it".to_owned()));
    }
    let now = clock::now();
    let position = incidents::mute(&app.records, &incident.id, now.plus_millis(request.for_ms), now)?;
    after(app, region, position, &incident.id).await
}

/// The incident once the watcher has taken what was asked.
async fn after(app: &Arc<App>, region: &str, position: Position, id: &str) -> Result<Incident, Refused> {
    let cx =
        Cx { app: Arc::clone(app), region: region.to_owned(), now: clock::now(), caller: Principal::Root };
    cx.judged(position).await;
    find(app, id)
}

fn find(app: &App, id: &str) -> Result<Incident, Refused> {
    incidents::find(&app.records, id)?.ok_or(Refused::Missing)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::Wrong(format!("the request is not right: {error}")))
}

fn done<T: Serialize>(result: Result<T, Refused>) -> Response {
    match result {
        Ok(answer) => answer_json(&answer),
        Err(Refused::Wrong(reason)) => text(StatusCode::BAD_REQUEST, &reason),
        Err(Refused::Missing) => text(
            StatusCode::NOT_FOUND,
            "there is no incident with this id; `nightbell incidents list` shows those there are",
        ),
        Err(Refused::Store(failure)) => {
            warn!(error = %failure, "incidents cannot be read or changed");
            text(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be used now")
        }
    }
}
