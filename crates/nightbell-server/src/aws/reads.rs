/*!
GetLogEvents and FilterLogEvents: stored events in order of time, a page at a time ("CloudWatch Logs API Reference").

Read through [`crate::search`]: only a page's worth of events is held. A page's token is a place in the order (time,
block, number), so it outlives restarts, and the way of events from the journal into the archive.
*/

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::pattern::{Caller, Pattern};
use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, refused, stored};
use super::logs::{group_name, need};
use super::service::Service;
use crate::catalog::{Failure, GroupRecord};
use crate::manage::groups;
use crate::search::page::{self, Page, Wanted};
use crate::search::{Area, Order, Place, Progress, Search, Streams, place_text, read_place};

/// Most events of a page.
const PAGE_EVENTS_MAX: usize = 10_000;
/// Most bytes of a page's messages.
pub(super) const PAGE_BYTES_MAX: usize = 1 << 20;
/// How long a page is searched for: then what was found is answered with a token that goes on from there, before clients
/// give up waiting (botocore does after 60 seconds).
const PAGE_PATIENCE: Duration = Duration::from_secs(20);
/// Most stream names of one FilterLogEvents.
const STREAM_NAMES_MAX: usize = 100;

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidParameterException", text)
}

fn limit(asked: Option<i64>) -> Result<usize, ApiError> {
    match asked {
        None => Ok(PAGE_EVENTS_MAX),
        Some(asked) => usize::try_from(asked).ok().filter(|n| (1..=PAGE_EVENTS_MAX).contains(n)).ok_or_else(|| {
            invalid(format!(
                "1 validation error detected: Value '{asked}' at 'limit' failed to satisfy constraint: Member must have value between 1 and {PAGE_EVENTS_MAX}"
            ))
        }),
    }
}

/// A page as it was found.
pub(super) struct Found {
    /// The events, each with its place.
    pub(super) events: Vec<(Place, page::Found)>,
    /// Whether nothing is left behind it.
    is_last: bool,
    /// The place the next page lies beyond.
    reached: Option<Place>,
    /// Damaged files and blocks that were left out.
    left_out: u64,
}

/// The events of one page of an area in their order; fewer than there are when [`PAGE_PATIENCE`] is over.
pub(super) async fn search(cx: &Cx, area: Area, wanted: Wanted) -> Result<Found, ApiError> {
    let Ok(_turn) = cx.app.pages.acquire().await else {
        return Err(unavailable("The server is stopping"));
    };
    let backwards = wanted.backwards;
    let order = if backwards { Order::Newest } else { Order::Oldest };
    let app = Arc::clone(&cx.app);
    let progress: Arc<Progress> = Arc::default();
    let seen = Arc::clone(&progress);
    let planned =
        tokio::task::spawn_blocking(move || Search::plan(&app, vec![area], order, Page::new(wanted), seen));
    let no = |failure: Failure| stored(Service::Logs, &failure);
    let search = planned.await.map_err(|_| unavailable("The search ended badly"))?.map_err(no)?;
    let ended = search.run(Some(PAGE_PATIENCE)).await.map_err(no)?;
    if let Some(limit) = ended.limit {
        return Err(unavailable(&limit));
    }
    if *cx.app.stopping.borrow() && ended.halted_at.is_some() {
        return Err(unavailable("The server is stopping"));
    }
    let mut gathered = search.taker().take_gathered();
    let halted = ended.halted_at.and_then(|time| gathered.end_at(time, backwards));
    let is_last = gathered.bound.is_none();
    let events: Vec<_> = gathered.events.into_iter().collect();
    let farthest = if backwards { events.first() } else { events.last() };
    let reached = halted.or(farthest.map(|(place, _)| *place));
    Ok(Found { events, is_last, reached, left_out: progress.left_out.count() })
}

fn unavailable(message: &str) -> ApiError {
    ApiError { status: 503, code: "ServiceUnavailableException", message: message.to_owned() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogEventsRequest {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    limit: Option<i64>,
    next_token: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    start_from_head: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogEventsResponse {
    events: Vec<OutputLogEvent>,
    next_forward_token: String,
    next_backward_token: String,
    #[serde(skip_serializing_if = "is_none")]
    left_out: u64,
}

/// An answer of stored events.
pub(super) trait MayLeaveOut {
    /// Damaged files and blocks that were left out.
    fn left_out(&self) -> u64;
}

impl MayLeaveOut for GetLogEventsResponse {
    fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl MayLeaveOut for FilterLogEventsResponse {
    fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// Nightbell's own member `leftOut` is there only where something is damaged.
fn is_none(left_out: &u64) -> bool {
    *left_out == 0
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputLogEvent {
    timestamp: i64,
    message: String,
    ingestion_time: i64,
}

pub(super) async fn get_log_events(
    cx: Cx,
    request: GetLogEventsRequest,
) -> Result<GetLogEventsResponse, ApiError> {
    let group = cx.group(&group_name(&cx, request.log_group_name, request.log_group_identifier)?);
    let stream = need(request.log_stream_name, "logStreamName")?;
    let no = |refusal| refused(Service::Logs, refusal);
    let (owner, record) = groups::find_stream(&cx.app.records, &group, &stream).map_err(no)?;
    let token = request.next_token.as_deref().map(read_token).transpose()?;
    let backwards = token.map_or(!request.start_from_head, |(backwards, _)| backwards);
    let streams = Streams::Named(BTreeMap::from([(stream, record.since)]));
    let wanted = Wanted {
        pattern: None,
        from: request.start_time.unwrap_or(0),
        to: request.end_time.map_or(i64::MAX, |end| end.saturating_sub(1)),
        beyond: token.and_then(|(_, place)| place),
        backwards,
        events_max: limit(request.limit)?,
        bytes_max: PAGE_BYTES_MAX,
    };
    let Found { events, reached, left_out, .. } =
        search(&cx, Area::of(&owner, streams, cx.now), wanted).await?;
    // At an end the same token comes back, which is how a client knows that it is one.
    let here = token.and_then(|(_, place)| place);
    let ends = if backwards {
        (reached, events.last().map(|(place, _)| *place))
    } else {
        (events.first().map(|(place, _)| *place), reached)
    };
    let forward = ends.1.or(here).map_or_else(|| START.to_owned(), place_text);
    let backward = ends.0.or(here).map_or_else(|| START.to_owned(), place_text);
    let event = |(place, found): (Place, page::Found)| OutputLogEvent {
        timestamp: place.0,
        message: found.message,
        ingestion_time: found.arrival.as_millis(),
    };
    Ok(GetLogEventsResponse {
        events: events.into_iter().map(event).collect(),
        next_forward_token: format!("f/{forward}/s"),
        next_backward_token: format!("b/{backward}/s"),
        left_out,
    })
}

/// The place of a token made before there was any event.
const START: &str = "0";

/// Which way a token goes, and from where.
fn read_token(token: &str) -> Result<(bool, Option<Place>), ApiError> {
    let wrong = || invalid("The specified nextToken is invalid.");
    let (way, rest) = token.split_once('/').ok_or_else(wrong)?;
    let text = rest.strip_suffix("/s").ok_or_else(wrong)?;
    let place = if text == START { None } else { Some(read_place(text).ok_or_else(wrong)?) };
    match way {
        "f" => Ok((false, place)),
        "b" => Ok((true, place)),
        _ => Err(wrong()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterLogEventsRequest {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    limit: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterLogEventsResponse {
    events: Vec<FilteredLogEvent>,
    searched_log_streams: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    #[serde(skip_serializing_if = "is_none")]
    left_out: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FilteredLogEvent {
    log_stream_name: String,
    timestamp: i64,
    message: String,
    ingestion_time: i64,
    event_id: String,
}

pub(super) async fn filter_log_events(
    cx: Cx,
    request: FilterLogEventsRequest,
) -> Result<FilterLogEventsResponse, ApiError> {
    let group = cx.group(&group_name(&cx, request.log_group_name, request.log_group_identifier)?);
    let pattern = request.filter_pattern.as_deref().map(Pattern::parse).transpose();
    let pattern = pattern.map_err(|error| invalid(error.message(Caller::LogEvents)))?;
    let owner = groups::find(&cx.app.records, &group).map_err(|refusal| refused(Service::Logs, refusal))?;
    let streams = wanted_streams(&cx, &owner, request.log_stream_names, request.log_stream_name_prefix)?;
    let beyond = request.next_token.as_deref().map(read_place);
    if beyond == Some(None) {
        return Err(invalid("The specified nextToken is invalid."));
    }
    let wanted = Wanted {
        pattern,
        from: request.start_time.unwrap_or(0),
        to: request.end_time.unwrap_or(i64::MAX),
        beyond: beyond.flatten(),
        backwards: false,
        events_max: limit(request.limit)?,
        bytes_max: PAGE_BYTES_MAX,
    };
    let Found { events, is_last, reached, left_out } =
        search(&cx, Area::of(&owner, streams, cx.now), wanted).await?;
    let next_token = reached.filter(|_| !is_last).map(place_text);
    let event = |(place, found): (Place, page::Found)| FilteredLogEvent {
        log_stream_name: found.stream,
        timestamp: place.0,
        message: found.message,
        ingestion_time: found.arrival.as_millis(),
        event_id: place_text(place),
    };
    Ok(FilterLogEventsResponse {
        events: events.into_iter().map(event).collect(),
        searched_log_streams: [],
        next_token,
        left_out,
    })
}

fn wanted_streams(
    cx: &Cx,
    owner: &GroupRecord,
    names: Option<Vec<String>>,
    prefix: Option<String>,
) -> Result<Streams, ApiError> {
    let no = |refusal| refused(Service::Logs, refusal);
    let group = &owner.group;
    match (names, prefix) {
        (Some(_), Some(_)) => {
            Err(invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters."))
        }
        (Some(names), None) if names.is_empty() || names.len() > STREAM_NAMES_MAX => Err(invalid(format!(
            "1 validation error detected: Value at 'logStreamNames' failed to satisfy constraint: Member must have length between 1 and {STREAM_NAMES_MAX}"
        ))),
        (Some(names), None) => {
            let names: BTreeSet<String> = names.into_iter().collect();
            let since = |name: String| {
                let (_, stream) = groups::find_stream(&cx.app.records, group, &name).map_err(no)?;
                Ok((name, stream.since))
            };
            Ok(Streams::Named(names.into_iter().map(since).collect::<Result<_, ApiError>>()?))
        }
        (None, Some(prefix)) => {
            let found = groups::list_streams(&cx.app.records, group, &prefix).map_err(no)?;
            Ok(Streams::Named(found.into_iter().map(|(stream, _)| (stream.name, stream.since)).collect()))
        }
        (None, None) => Ok(Streams::All(owner.since)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_its_place() {
        let place = (1_790_000_000_123, 42, 7);
        assert_eq!(read_place(&place_text(place)), Some(place));
        for bad in ["", "garbage", "1", &"9".repeat(49), &"é".repeat(49)] {
            assert_eq!(read_place(bad), None, "{bad}");
        }
        for bad in ["f/", "f/x/s", "g/0/s", "f/0", ""] {
            assert!(read_token(bad).is_err(), "{bad}");
        }
        assert_eq!(read_token("f/0/s").unwrap(), (false, None));
    }
}
