/*!
Logs Insights: StartQuery, what has become of it, and GetLogRecord ("CloudWatch Logs API Reference").

Reading and results are in [`crate::search::queries`]; query definitions in `definitions`.
*/

use std::collections::BTreeMap;
use std::sync::Arc;

use nightbell_core::logsql::{DISCOVERED_FIELDS_MAX, Limits, Query, QueryError, ROWS_MAX, discover};
use nightbell_core::time::SECOND_MS;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use super::Cx;
use super::error::{ApiError, Told, refused, stored};
use super::logs::need;
use super::page::{Page, page};
use super::service::Service;
use crate::catalog::Failure;
use crate::manage::{Refusal, Resource, groups, violates};
use crate::search::page::Found;
use crate::search::queries::{self, Asked, Asking, Pointer, ResultRow, Rows};
use crate::search::record::Record;
use crate::search::{Area, Order, Place, Search, Streams};

/// Most log groups of one query ("StartQuery").
pub(crate) const QUERY_GROUPS_MAX: usize = 50;
/// Most queries of one page of a listing.
const PAGE_MAX: usize = 1_000;
/// Times from here on are milliseconds, those before are seconds: the year 5138 of the one, 1973 of the other.
const MILLIS_FROM: i64 = 100_000_000_000;

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Logs, refusal)
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidParameterException", text)
}

/// The one language that is served is CWLI.
pub(super) fn check_language(language: Option<&str>) -> Result<(), ApiError> {
    match language {
        None | Some("CWLI") => Ok(()),
        Some(other) => {
            Err(no(violates(other, "queryLanguage", "Member must satisfy enum value set: [CWLI]")))
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartQueryRequest {
    query_language: Option<String>,
    log_group_name: Option<String>,
    log_group_names: Option<Vec<String>>,
    log_group_identifiers: Option<Vec<String>>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    query_string: Option<String>,
    limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartQueryResponse {
    query_id: String,
}

pub(super) async fn start_query(cx: Cx, request: StartQueryRequest) -> Result<StartQueryResponse, Told> {
    check_language(request.query_language.as_deref())?;
    let text = need(request.query_string, "queryString")?;
    let from = need(request.start_time, "startTime")?;
    let to = need(request.end_time, "endTime")?;
    let rows_max = rows_max(request.limit)?;
    let names = [request.log_group_name.map(|name| vec![name]), request.log_group_names];
    let names = group_names(&cx, names, request.log_group_identifiers)?;
    let query = Query::parse(&text).map_err(|error| malformed(&error))?;
    let (from, to) = (first_ms(from)?, last_ms(to)?);
    if to < from {
        return Err(invalid("End time should not be less than start time.").into());
    }
    let narrowed = query.times(cx.now);
    let asked = Asked {
        region: cx.region.clone(),
        // The text's own `limit` goes before that of the request.
        limits: Limits {
            rows_max: if query.limit() < ROWS_MAX { ROWS_MAX } else { rows_max },
            ..Limits::default()
        },
        times: (
            narrowed.from.map_or(from, |time| from.max(time.as_millis())),
            narrowed.to.map_or(to, |time| to.min(time.as_millis())),
        ),
        queries: vec![query],
        pattern: None,
        areas: areas(&cx, &names)?,
        at: cx.now,
        is_console: false,
    };
    let started = tokio::task::block_in_place(|| cx.app.queries.start(&cx.app, asked));
    let query_id = started.map_err(|_| busy())?;
    Ok(StartQueryResponse { query_id })
}

/// No more queries may run now.
pub(crate) fn busy() -> ApiError {
    let running = queries::QUERIES_RUNNING_MAX;
    ApiError::sender(
        "LimitExceededException",
        format!("{running} queries are running, which is the limit; stop one, or wait until one ends"),
    )
}

fn malformed(error: &QueryError) -> Told {
    let location = json!({ "startCharOffset": error.start, "endCharOffset": error.end });
    Told {
        error: ApiError::sender("MalformedQueryException", error.to_string()),
        members: json!({ "queryCompileError": { "location": location, "message": error.message } }),
    }
}

fn rows_max(asked: Option<i64>) -> Result<usize, ApiError> {
    match asked {
        None => Ok(ROWS_MAX),
        Some(asked) => {
            let allowed = format!("Member must have value between 1 and {ROWS_MAX}");
            let sound = usize::try_from(asked).ok().filter(|rows| (1..=ROWS_MAX).contains(rows));
            sound.ok_or_else(|| no(violates(&asked.to_string(), "limit", &allowed)))
        }
    }
}

/// A time in seconds or milliseconds as the first millisecond that it means.
fn first_ms(time: i64) -> Result<i64, ApiError> {
    match time {
        ..0 => Err(no(violates(
            &time.to_string(),
            "startTime",
            "Member must have value greater than or equal to 0",
        ))),
        0..MILLIS_FROM => Ok(time * SECOND_MS),
        _ => Ok(time),
    }
}

/// The last millisecond that it means: a second is taken as a whole, *assumed*.
fn last_ms(time: i64) -> Result<i64, ApiError> {
    match time {
        ..0 => Err(no(violates(
            &time.to_string(),
            "endTime",
            "Member must have value greater than or equal to 0",
        ))),
        0..MILLIS_FROM => Ok(time * SECOND_MS + SECOND_MS - 1),
        _ => Ok(time),
    }
}

/// The names of the groups, from whichever one parameter carries them; each once.
fn group_names(
    cx: &Cx,
    names: [Option<Vec<String>>; 2],
    identifiers: Option<Vec<String>>,
) -> Result<Vec<String>, ApiError> {
    let given: Vec<Vec<String>> = names.into_iter().chain([identifiers]).flatten().collect();
    let [names] = <[Vec<String>; 1]>::try_from(given).map_err(|given| match given.len() {
        0 => invalid("Exactly one of logGroupName, logGroupNames and logGroupIdentifiers must be given."),
        _ => {
            invalid("logGroupName, logGroupNames and logGroupIdentifiers are mutually exclusive parameters.")
        }
    })?;
    if !(1..=QUERY_GROUPS_MAX).contains(&names.len()) {
        return Err(invalid(format!(
            "A query reads between 1 and {QUERY_GROUPS_MAX} log groups; {} were given.",
            names.len()
        )));
    }
    let arn = format!("arn:aws:logs:{}:{}:log-group:", cx.region, cx.app.account);
    let mut found: Vec<String> =
        names.into_iter().map(|name| name.strip_prefix(&arn).map_or(name.clone(), str::to_owned)).collect();
    found.sort_unstable();
    found.dedup();
    match found.iter().find(|name| name.contains(':') || name.ends_with('*')) {
        Some(name) => Err(no(violates(
            name,
            "logGroupIdentifiers",
            "Member must be the name of a log group, or its ARN in this account and region without ':*'",
        ))),
        None => Ok(found),
    }
}

/// What the groups hold now.
pub(crate) fn areas(cx: &Cx, names: &[String]) -> Result<Vec<(Area, String)>, ApiError> {
    let area = |name: &String| {
        let owner = groups::find(&cx.app.records, &cx.group(name)).map_err(|refusal| match refusal {
            Refusal::Missing(_) => ApiError::sender(
                "ResourceNotFoundException",
                format!("Log group '{name}' does not exist for account ID '{}'.", cx.app.account),
            ),
            other => no(other),
        })?;
        Ok((Area::of(&owner, Streams::All(owner.since), cx.now), format!("{}:{name}", cx.app.account)))
    };
    names.iter().map(area).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StopQueryRequest {
    query_id: Option<String>,
}

fn find(cx: &Cx, id: Option<String>) -> Result<Arc<Asking>, ApiError> {
    let found = cx.app.queries.find(&need(id, "queryId")?);
    let found = found.filter(|asking| asking.asked.region == cx.region && !asking.asked.is_console);
    found.ok_or_else(|| no(Refusal::Missing(Resource::Query)))
}

#[derive(Serialize)]
pub(super) struct StopQueryResponse {
    success: bool,
}

pub(super) async fn stop_query(cx: Cx, request: StopQueryRequest) -> Result<StopQueryResponse, ApiError> {
    let asking = find(&cx, request.query_id)?;
    if tokio::task::block_in_place(|| asking.stop()) {
        return Ok(StopQueryResponse { success: true });
    }
    Err(invalid(format!("The query is not running; its status is {}.", asking.status().name())))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetQueryResultsRequest {
    query_id: Option<String>,
    /// Nightbell's own: the answer is to have no rows.
    #[serde(default, deserialize_with = "super::nullable")]
    progress_only: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetQueryResultsResponse {
    query_language: &'static str,
    results: Results,
    statistics: QueryStatistics,
    status: &'static str,
    /// Nightbell's own: why a query failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    /// Nightbell's own: how much of what there is to read was read, from 0 to 1.
    progress: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryStatistics {
    records_matched: f64,
    records_scanned: f64,
    bytes_scanned: f64,
    log_groups_scanned: f64,
}

/// Rows, written from where they are held.
struct Results(Arc<Vec<Rows>>);

impl Serialize for Results {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct ResultField<'a> {
            field: &'a str,
            value: &'a str,
        }
        struct Fields<'a>(&'a ResultRow);
        impl Serialize for Fields<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.iter().map(|(field, value)| ResultField { field, value }))
            }
        }
        let rows = self.0.first().map_or(&[][..], |first| &first.rows);
        let mut list = serializer.serialize_seq(Some(rows.len()))?;
        rows.iter().try_for_each(|row| list.serialize_element(&Fields(row)))?;
        list.end()
    }
}

pub(super) async fn get_query_results(
    cx: Cx,
    request: GetQueryResultsRequest,
) -> Result<GetQueryResultsResponse, ApiError> {
    let asking = find(&cx, request.query_id)?;
    let Ok(_turn) = cx.app.results.acquire().await else {
        return Err(stopping());
    };
    let shown = tokio::task::block_in_place(|| asking.shown(!request.progress_only));
    Ok(GetQueryResultsResponse {
        query_language: "CWLI",
        statistics: QueryStatistics {
            records_matched: shown.statistics.records_matched as f64,
            records_scanned: shown.statistics.records_scanned as f64,
            bytes_scanned: shown.statistics.bytes_scanned as f64,
            log_groups_scanned: asking.asked.areas.len() as f64,
        },
        progress: shown.progress(),
        results: Results(shown.results),
        status_reason: shown.status.reason(),
        status: shown.status.name(),
    })
}

fn stopping() -> ApiError {
    ApiError { status: 503, code: "ServiceUnavailableException", message: "The server is stopping".into() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeQueriesRequest {
    log_group_name: Option<String>,
    status: Option<String>,
    query_language: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeQueriesResponse {
    queries: Vec<QueryInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryInfo {
    query_language: &'static str,
    query_id: String,
    query_string: String,
    status: &'static str,
    create_time: i64,
    log_group_name: String,
    query_duration: i64,
    bytes_scanned: f64,
    /// Orders the listing; not part of the answer.
    #[serde(skip)]
    order: String,
}

/// The words for how a query is ("QueryStatus").
const STATUSES: [&str; 7] = ["Scheduled", "Running", "Complete", "Failed", "Cancelled", "Timeout", "Unknown"];

pub(super) async fn describe_queries(
    cx: Cx,
    request: DescribeQueriesRequest,
) -> Result<DescribeQueriesResponse, ApiError> {
    check_language(request.query_language.as_deref())?;
    if let Some(status) = &request.status
        && !STATUSES.contains(&status.as_str())
    {
        let allowed = format!("Member must satisfy enum value set: [{}]", STATUSES.join(", "));
        return Err(no(violates(status, "status", &allowed)));
    }
    let reads = |asking: &Asking| {
        request
            .log_group_name
            .as_ref()
            .is_none_or(|name| asking.asked.areas.iter().any(|(area, _)| area.group.name == *name))
    };
    let found = tokio::task::block_in_place(|| cx.app.queries.list(&cx.region));
    let found = found.into_iter().filter(|(_, asking)| reads(asking));
    let found = found.map(|(id, asking)| info(&cx, id, &asking));
    let found: Vec<QueryInfo> =
        found.filter(|info| request.status.as_deref().is_none_or(|status| status == info.status)).collect();
    let bounds = Page {
        limit: request.max_results,
        token: request.next_token,
        default: PAGE_MAX,
        max: PAGE_MAX,
        descending: true,
    };
    let (queries, next_token) = page(found, &bounds, |info| &info.order).map_err(invalid)?;
    Ok(DescribeQueriesResponse { queries, next_token })
}

fn info(cx: &Cx, query_id: String, asking: &Asking) -> QueryInfo {
    let (statistics, ended) = asking.tally();
    let asked = &asking.asked;
    QueryInfo {
        query_language: "CWLI",
        query_id,
        query_string: asked.queries.first().map_or_else(String::new, |query| query.source().to_owned()),
        status: asking.status().name(),
        create_time: asked.at.as_millis(),
        log_group_name: asked.areas.first().map_or_else(String::new, |(area, _)| area.group.name.clone()),
        query_duration: ended.unwrap_or(cx.now).since(asked.at).max(0),
        bytes_scanned: statistics.bytes_scanned as f64,
        order: asking.number.clone(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogRecordRequest {
    log_record_pointer: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogRecordResponse {
    log_record: BTreeMap<String, String>,
}

pub(super) async fn get_log_record(
    cx: Cx,
    request: GetLogRecordRequest,
) -> Result<GetLogRecordResponse, ApiError> {
    let pointer = need(request.log_record_pointer, "logRecordPointer")?;
    let Some((label, place)) = queries::read_pointer(&pointer) else {
        return Err(invalid("The specified logRecordPointer is invalid; queries give it as @ptr."));
    };
    let missing = || no(Refusal::Missing(Resource::Record));
    let name = label.strip_prefix(&format!("{}:", cx.app.account)).ok_or_else(missing)?;
    let owner = groups::find(&cx.app.records, &cx.group(name)).map_err(no)?;
    let area = Area::of(&owner, Streams::All(owner.since), cx.now);
    let found = find_record(&cx, area, place).await?.ok_or_else(missing)?;
    let mut log_record: BTreeMap<String, String> = shown_fields(&found).into_iter().rev().collect();
    log_record.insert("@timestamp".to_owned(), place.0.to_string());
    log_record.insert("@ingestionTime".to_owned(), found.arrival.as_millis().to_string());
    log_record.insert("@logStream".to_owned(), found.stream);
    log_record.insert("@ptr".to_owned(), Pointer { group: &label, place }.to_string());
    log_record.insert("@log".to_owned(), label);
    log_record.insert("@message".to_owned(), found.message);
    Ok(GetLogRecordResponse { log_record })
}

async fn find_record(cx: &Cx, area: Area, place: Place) -> Result<Option<Found>, ApiError> {
    let Ok(_turn) = cx.app.pages.acquire().await else {
        return Err(stopping());
    };
    let app = Arc::clone(&cx.app);
    let planned = tokio::task::spawn_blocking(move || {
        Search::plan(&app, vec![area], Order::Newest, Record::at(place), Arc::default())
    });
    let failed = |message: &str| ApiError { status: 500, code: "InternalFailure", message: message.into() };
    let no = |failure: Failure| stored(Service::Logs, &failure);
    let search = planned.await.map_err(|_| failed("The search ended badly"))?.map_err(no)?;
    let ended = search.run(None).await.map_err(no)?;
    let found = search.taker().take_found();
    if found.is_none() && ended.halted_at.is_some() {
        return Err(failed("The search ended before everything was read"));
    }
    Ok(found)
}

/// The fields that the message shows, those of a Windows event among them.
pub(super) fn shown_fields(found: &Found) -> Vec<(String, String)> {
    let subject =
        nightbell_core::fields::Subject::new(&found.message, &found.stream, &nightbell_winevt::DialectReader);
    let mut fields = discover(&subject);
    if let Some(event) = nightbell_winevt::WindowsEvent::read(&found.message) {
        fields.extend(event.listed());
        fields.truncate(DISCOVERED_FIELDS_MAX);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_milliseconds() {
        assert_eq!(first_ms(1_790_000_000).unwrap(), 1_790_000_000_000);
        assert_eq!(last_ms(1_790_000_000).unwrap(), 1_790_000_000_999);
        assert_eq!(first_ms(1_790_000_000_123).unwrap(), 1_790_000_000_123);
        assert_eq!(last_ms(1_790_000_000_123).unwrap(), 1_790_000_000_123);
        assert!(first_ms(-1).is_err() && last_ms(-1).is_err());
    }

    #[test]
    fn a_malformed_query_tells_its_place() {
        let told = malformed(&Query::parse("filter (").unwrap_err());
        assert_eq!(told.error.code, "MalformedQueryException");
        let location = &told.members["queryCompileError"]["location"];
        assert!(location["startCharOffset"].as_u64() <= location["endCharOffset"].as_u64());
        assert!(told.members["queryCompileError"]["message"].is_string());
    }
}
