/*!
GetLogEvents and FilterLogEvents: stored events in order of time, a page at a time ("CloudWatch Logs API Reference").

Blocks whose summary rules them out are never unpacked; of the rest only the page's worth of events is held, so memory
does not grow with what is stored. A page's token is a place in the order (time, block, number), so it outlives restarts.
*/

use std::collections::{BTreeMap, BTreeSet};

use nightbell_core::event::Group;
use nightbell_core::fields::Subject;
use nightbell_core::pattern::{Caller, Pattern};
use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_store::{Position, Summary};
use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, Service, refused, stored};
use super::logs::{group_name, need};
use crate::catalog::{Failure, GroupRecord};
use crate::manage::groups;

/// Most events of a page.
const PAGE_EVENTS_MAX: usize = 10_000;
/// Most bytes of a page's messages.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// Most stream names of one FilterLogEvents.
const STREAM_NAMES_MAX: usize = 100;
/// Summaries read at once.
const SUMMARIES_AT_ONCE: usize = 1_000;

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidParameterException", text)
}

/// A place in the order of events: time, block, number inside the block.
type Place = (i64, u64, u32);

/// An event found.
struct Found {
    stream: String,
    message: String,
    arrival: Timestamp,
}

/// What is looked for.
struct Wanted {
    group: Group,
    /// The streams, each with the position it begins at; the position of the group where all are wanted.
    streams: Streams,
    pattern: Option<Pattern>,
    /// First event time, inclusive.
    from: i64,
    /// Last event time, inclusive.
    to: i64,
    /// Only places after this one (or before it, going backwards).
    beyond: Option<Place>,
    backwards: bool,
    limit: usize,
}

enum Streams {
    All(Position),
    Named(BTreeMap<String, Position>),
}

impl Streams {
    /// The position from which events of `stream` count; `None` where the stream is not wanted.
    fn since(&self, stream: &str) -> Option<Position> {
        match self {
            Self::All(since) => Some(*since),
            Self::Named(names) => names.get(stream).copied(),
        }
    }
}

/// The events of a page while they are gathered: the nearest to its beginning, within its limits.
#[derive(Default)]
struct Gathered {
    events: BTreeMap<Place, Found>,
    bytes: usize,
    /// The nearest place that did not fit: nothing from there on belongs to this page.
    bound: Option<Place>,
}

impl Gathered {
    fn add(&mut self, place: Place, found: Found, wanted: &Wanted) {
        self.bytes += bytes_of(&found);
        self.events.insert(place, found);
        while self.events.len() > wanted.limit || (self.bytes > PAGE_BYTES_MAX && self.events.len() > 1) {
            let farthest = if wanted.backwards { self.events.pop_first() } else { self.events.pop_last() };
            let Some((place, found)) = farthest else { break };
            self.bytes -= bytes_of(&found);
            self.bound = Some(place);
        }
    }

    /// Whether a block of these event times can have anything for the page: not what was shown before, and not what is
    /// farther than what did not fit.
    fn may_take(&self, summary: &Summary, wanted: &Wanted) -> bool {
        let (first, last) = (summary.first.as_millis(), summary.last.as_millis());
        let shown = wanted
            .beyond
            .is_none_or(|(time, ..)| if wanted.backwards { first <= time } else { last >= time });
        shown
            && self.bound.is_none_or(|(time, ..)| if wanted.backwards { last >= time } else { first <= time })
    }

    /// Whether an event at `place` would belong to the page.
    fn takes(&self, place: Place, wanted: &Wanted) -> bool {
        let before = |a: Place, b: Place| if wanted.backwards { a > b } else { a < b };
        (wanted.from..=wanted.to).contains(&place.0)
            && wanted.beyond.is_none_or(|start| before(start, place))
            && self.bound.is_none_or(|bound| before(place, bound))
    }
}

fn bytes_of(found: &Found) -> usize {
    found.message.len() + crate::admission::EVENT_OVERHEAD_BYTES
}

/// The events of one page.
fn find(cx: &Cx, wanted: &Wanted) -> Result<Gathered, Failure> {
    let mut gathered = Gathered::default();
    let mut at = cx.app.journal.start();
    let end = *cx.app.journal.end().borrow();
    while at < end {
        let summaries = cx.app.journal.summaries(at, end, SUMMARIES_AT_ONCE)?;
        let Some(last) = summaries.last() else { break };
        at = last.position.next();
        for summary in &summaries {
            if !may_hold(summary, wanted) || !gathered.may_take(summary, wanted) {
                continue;
            }
            match cx.app.journal.read(summary.position, 1) {
                Ok(blocks) => blocks.iter().for_each(|block| gather(cx, wanted, block, &mut gathered)),
                // The rest of the log is worth reading; the matcher has told of the damage.
                Err(error) if error.position().is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(gathered)
}

fn may_hold(summary: &Summary, wanted: &Wanted) -> bool {
    let time =
        |first: Timestamp, last: Timestamp| last.as_millis() >= wanted.from && first.as_millis() <= wanted.to;
    time(summary.first, summary.last)
        && summary.streams.iter().any(|stream| {
            stream.group == wanted.group
                && time(stream.first, stream.last)
                && wanted.streams.since(&stream.stream).is_some_and(|since| summary.position >= since)
        })
}

/// Adds a block's events to the page as far as they belong to it.
fn gather(cx: &Cx, wanted: &Wanted, block: &nightbell_store::Block, gathered: &mut Gathered) {
    let mut number = 0;
    for batch in &block.batches {
        let ours = batch.group == wanted.group
            && wanted.streams.since(&batch.stream).is_some_and(|since| block.position >= since);
        for event in &batch.events {
            let place = (event.time.as_millis(), block.position.number(), number);
            number += 1;
            if !ours || !gathered.takes(place, wanted) {
                continue;
            }
            let subject = Subject::new(&event.message, &batch.stream, &cx.app.reader);
            if wanted.pattern.as_ref().is_none_or(|pattern| pattern.matches(&subject)) {
                let found = Found {
                    stream: batch.stream.clone(),
                    message: event.message.clone(),
                    arrival: batch.arrival,
                };
                gathered.add(place, found, wanted);
            }
        }
    }
}

fn place_text((time, block, number): Place) -> String {
    format!("{time:019}{block:020}{number:010}")
}

fn read_place(text: &str) -> Option<Place> {
    let sound = text.len() == 49 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !sound {
        return None;
    }
    Some((text[..19].parse().ok()?, text[19..39].parse().ok()?, text[39..].parse().ok()?))
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

/// Reads where blocking is allowed.
async fn search(cx: &Cx, wanted: Wanted) -> Result<(Vec<(Place, Found)>, bool), ApiError> {
    let Ok(_turn) = cx.app.searches.acquire().await else {
        return Err(ApiError {
            status: 503,
            code: "ServiceUnavailableException",
            message: "The server is stopping".into(),
        });
    };
    let cx = cx.clone();
    let work = tokio::task::spawn_blocking(move || {
        let gathered = find(&cx, &wanted)?;
        Ok::<_, Failure>((gathered.events.into_iter().collect(), gathered.bound.is_none()))
    });
    match work.await {
        Ok(done) => done.map_err(|failure| stored(Service::Logs, &failure)),
        Err(_) => {
            Err(ApiError { status: 500, code: "InternalFailure", message: "The search ended badly".into() })
        }
    }
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
    let wanted = Wanted {
        group,
        streams: Streams::Named(BTreeMap::from([(stream, record.since)])),
        pattern: None,
        from: request.start_time.unwrap_or(0).max(kept_from(&cx, &owner)),
        to: request.end_time.map_or(i64::MAX, |end| end.saturating_sub(1)),
        beyond: token.and_then(|(_, place)| place),
        backwards,
        limit: limit(request.limit)?,
    };
    let (events, _) = search(&cx, wanted).await?;
    // At an end the same token comes back, which is how a client knows that it is one.
    let ends = (events.first().map(|(place, _)| *place), events.last().map(|(place, _)| *place));
    let here = token.and_then(|(_, place)| place);
    let forward = ends.1.or(here).map_or_else(|| START.to_owned(), place_text);
    let backward = ends.0.or(here).map_or_else(|| START.to_owned(), place_text);
    let event = |(place, found): (Place, Found)| OutputLogEvent {
        timestamp: place.0,
        message: found.message,
        ingestion_time: found.arrival.as_millis(),
    };
    Ok(GetLogEventsResponse {
        events: events.into_iter().map(event).collect(),
        next_forward_token: format!("f/{forward}/s"),
        next_backward_token: format!("b/{backward}/s"),
    })
}

/// Expired events are not shown, whether they are still stored or not.
fn kept_from(cx: &Cx, owner: &GroupRecord) -> i64 {
    owner.retention_days.map_or(0, |days| cx.now.plus_millis(-days * DAY_MS).as_millis())
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
        group,
        streams,
        pattern,
        from: request.start_time.unwrap_or(0).max(kept_from(&cx, &owner)),
        to: request.end_time.unwrap_or(i64::MAX),
        beyond: beyond.flatten(),
        backwards: false,
        limit: limit(request.limit)?,
    };
    let (events, finished) = search(&cx, wanted).await?;
    let next_token = events.last().filter(|_| !finished).map(|(place, _)| place_text(*place));
    let event = |(place, found): (Place, Found)| FilteredLogEvent {
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
