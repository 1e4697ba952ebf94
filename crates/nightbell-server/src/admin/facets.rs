/*!
What a console asks about stored events: `/_nightbell/histogram` (events by time) and `/_nightbell/facets` (the most
frequent values of the common fields).

Both are Logs Insights queries over one reading, so their counts are exact once the status is Complete; what a limit cut
short says so. The first request starts the reading and gives an id, further ones with the id show how far it is.
*/

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use nightbell_core::logsql::{Limits, Query};
use nightbell_core::pattern::{Caller, Pattern};
use nightbell_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use serde::{Deserialize, Serialize};

use super::{answer_json, text};
use crate::app::App;
use crate::auth::Principal;
use crate::aws::Cx;
use crate::aws::insights::{self, QUERY_GROUPS_MAX};
use crate::clock;
use crate::search::queries::{Asked, Asking, Rows};

/// Buckets of a histogram unless told otherwise.
const BUCKETS_DEFAULT: usize = 60;
/// Buckets that may be asked for.
const BUCKETS_MAX: usize = 1_000;
/// Values of each field that are shown.
const FACET_VALUES: usize = 10;
/// Milliseconds that a request may wait for the end.
const WAIT_MS_MAX: u64 = 10_000;
/// Milliseconds between two looks whether the end is there.
const LOOK_MS: u64 = 20;
/// What each field's counting may hold: a field of more different values is cut short, and says so.
const LIMITS: Limits = Limits { groups_max: 50_000, held_bytes_max: 8 << 20, rows_max: FACET_VALUES + 1 };

/// Periods of a histogram, as `bin` reads them, and their length in milliseconds.
const PERIODS: [(&str, i64); 17] = [
    ("1s", SECOND_MS),
    ("5s", 5 * SECOND_MS),
    ("10s", 10 * SECOND_MS),
    ("30s", 30 * SECOND_MS),
    ("1m", MINUTE_MS),
    ("5m", 5 * MINUTE_MS),
    ("10m", 10 * MINUTE_MS),
    ("30m", 30 * MINUTE_MS),
    ("1h", HOUR_MS),
    ("3h", 3 * HOUR_MS),
    ("6h", 6 * HOUR_MS),
    ("12h", 12 * HOUR_MS),
    ("1d", DAY_MS),
    ("1w", 7 * DAY_MS),
    ("1mo", 28 * DAY_MS),
    ("1q", 90 * DAY_MS),
    ("1y", 365 * DAY_MS),
];

/// Fields whose values are counted.
const FIELDS: [&str; 12] = [
    "@log",
    "@logStream",
    "EventID",
    "Audit.Outcome",
    "Audit.Action",
    "Audit.User",
    "Audit.Instance",
    "Audit.Source",
    "Audit.Share",
    "Audit.Folder",
    "Audit.File",
    "Audit.Reason",
];

/// A question, or the id of one that was asked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Request {
    /// An earlier answer's id; with it nothing else but `wait_ms` counts.
    id: Option<String>,
    /// Names of log groups.
    groups: Vec<String>,
    /// First event time, in milliseconds.
    from: i64,
    /// Last event time, in milliseconds.
    to: i64,
    /// What events match, as metric filters have it.
    pattern: Option<String>,
    /// Buckets at most, of a histogram.
    buckets: Option<usize>,
    /// How long to wait for the end, in milliseconds.
    wait_ms: u64,
}

#[derive(Debug, Serialize)]
struct Answer {
    id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How much was read, from 0 to 1; until 1 counts are those of what was read.
    progress: f64,
    events_scanned: u64,
    #[serde(flatten)]
    found: Found,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Found {
    Histogram { period: String, buckets: Vec<Bucket> },
    Facets(Vec<Facet>),
}

/// Events of one period; periods without events are left out.
#[derive(Debug, Serialize)]
struct Bucket {
    /// Where the period begins, in milliseconds.
    from: i64,
    count: u64,
}

#[derive(Debug, Serialize)]
struct Facet {
    field: &'static str,
    values: Vec<Value>,
    /// Whether there are more values.
    more: bool,
    /// Why counts are too low and values may be missing; absent where they are exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
}

#[derive(Debug, Serialize)]
struct Value {
    value: String,
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Histogram,
    Facets,
}

/// Answers a signed request for a histogram or for facets; `None` for any other path.
pub(super) async fn answer(app: &Arc<App>, region: &str, path: &str, body: &[u8]) -> Option<Response> {
    let kind = match path {
        "/_nightbell/histogram" => Kind::Histogram,
        "/_nightbell/facets" => Kind::Facets,
        _ => return None,
    };
    let cx =
        Cx { app: Arc::clone(app), region: region.to_owned(), now: clock::now(), caller: Principal::Root };
    Some(match serve(&cx, kind, body).await {
        Ok(answer) => answer_json(&answer),
        Err((status, reason)) => text(status, &reason),
    })
}

async fn serve(cx: &Cx, kind: Kind, body: &[u8]) -> Result<Answer, (StatusCode, String)> {
    let wrong = |reason: String| (StatusCode::BAD_REQUEST, reason);
    let request: Request =
        serde_json::from_slice(body).map_err(|error| wrong(format!("the request is not right: {error}")))?;
    if request.wait_ms > WAIT_MS_MAX {
        let reason = format!("wait_ms: {} is more than the limit of {WAIT_MS_MAX}", request.wait_ms);
        return Err(wrong(reason));
    }
    let id = match &request.id {
        Some(id) => id.clone(),
        None => {
            let asked = asked(cx, kind, &request).map_err(wrong)?;
            let started = tokio::task::block_in_place(|| cx.app.queries.start(&cx.app, asked));
            started.map_err(|_| (StatusCode::TOO_MANY_REQUESTS, insights::busy().message))?
        }
    };
    let of_kind = |asking: &Arc<Asking>| {
        let asked = &asking.asked;
        asked.is_console
            && asked.region == cx.region
            && (asked.queries.len() == 1) == (kind == Kind::Histogram)
    };
    let Some(asking) = cx.app.queries.find(&id).filter(of_kind) else {
        let reason = "no question with this id is held; ask it again without the id".to_owned();
        return Err((StatusCode::NOT_FOUND, reason));
    };
    let ended = async {
        while asking.status().name() == "Running" {
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
    };
    // Out of time is no failure: what there is so far is answered.
    let _ = tokio::time::timeout(Duration::from_millis(request.wait_ms), ended).await;
    Ok(tokio::task::block_in_place(|| show(id, &asking, kind)))
}

fn asked(cx: &Cx, kind: Kind, request: &Request) -> Result<Asked, String> {
    let groups = request.groups.len();
    if !(1..=QUERY_GROUPS_MAX).contains(&groups) {
        return Err(format!("groups: {groups} names were given; give 1 to {QUERY_GROUPS_MAX}"));
    }
    let buckets = request.buckets.unwrap_or(BUCKETS_DEFAULT);
    if !(1..=BUCKETS_MAX).contains(&buckets) {
        return Err(format!("buckets: {buckets} is not between 1 and {BUCKETS_MAX}"));
    }
    let (from, to) = (request.from, request.to);
    if from < 0 || to < from {
        return Err(format!("from, to: {from} to {to} is no time; give milliseconds since 1970"));
    }
    let pattern = request.pattern.as_deref().map(Pattern::parse).transpose();
    let pattern = pattern.map_err(|error| format!("pattern: {}", error.message(Caller::LogEvents)))?;
    let texts: Vec<String> = match kind {
        Kind::Histogram => vec![format!("stats count(*) as n by bin({})", period(to - from, buckets))],
        Kind::Facets => FIELDS
            .iter()
            .map(|field| format!("filter ispresent({field}) | stats count(*) as n by {field} | sort n desc"))
            .collect(),
    };
    let queries: Vec<Query> = texts.iter().map(|text| Query::parse(text).expect("is a query")).collect();
    let limits = match kind {
        Kind::Histogram => Limits::default(),
        Kind::Facets => LIMITS,
    };
    let areas = insights::areas(cx, &request.groups).map_err(|error| format!("groups: {}", error.message))?;
    Ok(Asked {
        region: cx.region.clone(),
        queries,
        pattern,
        areas,
        times: (from, to),
        at: cx.now,
        limits,
        is_console: true,
    })
}

/// The shortest period of which a span has at most so many.
fn period(span_ms: i64, buckets: usize) -> &'static str {
    let buckets = i64::try_from(buckets).unwrap_or(i64::MAX);
    let fits = PERIODS.iter().find(|(_, period_ms)| span_ms / period_ms < buckets);
    fits.map_or(PERIODS[PERIODS.len() - 1].0, |(name, _)| name)
}

fn show(id: String, asking: &Asking, kind: Kind) -> Answer {
    let shown = asking.shown(true);
    let found = match kind {
        Kind::Histogram => {
            let source = asking.asked.queries.first().map_or("", |query| query.source());
            let period = source.split(['(', ')']).nth(3).unwrap_or_default().to_owned();
            let rows = shown.results.first().map_or(&[][..], |result| &result.rows);
            let mut buckets: Vec<Bucket> = rows.iter().filter_map(|row| bucket(row)).collect();
            buckets.sort_by_key(|bucket| bucket.from);
            Found::Histogram { period, buckets }
        }
        Kind::Facets => Found::Facets(
            FIELDS.iter().zip(shown.results.iter()).map(|(field, rows)| facet(field, rows)).collect(),
        ),
    };
    Answer {
        id,
        status: shown.status.name(),
        reason: shown.status.reason(),
        progress: shown.progress(),
        events_scanned: shown.statistics.records_scanned,
        found,
    }
}

fn bucket(row: &[(String, String)]) -> Option<Bucket> {
    let [(_, at), (_, count)] = row else { return None };
    let from = Timestamp::parse_iso(&format!("{}Z", at.replacen(' ', "T", 1)))?.as_millis();
    Some(Bucket { from, count: count.parse().ok()? })
}

fn facet(field: &'static str, rows: &Rows) -> Facet {
    let value = |row: &Vec<(String, String)>| match row.as_slice() {
        [(_, value), (_, count)] => Some(Value { value: value.clone(), count: count.parse().ok()? }),
        _ => None,
    };
    Facet {
        field,
        values: rows.rows.iter().take(FACET_VALUES).filter_map(value).collect(),
        more: rows.rows.len() > FACET_VALUES || rows.cut.is_some(),
        incomplete: rows.cut.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_the_shortest_that_fit() {
        assert_eq!(period(HOUR_MS, 60), "5m");
        assert_eq!(period(HOUR_MS - 1, 60), "1m");
        assert_eq!(period(0, 1), "1s");
        assert_eq!(period(DAY_MS, 60), "30m");
        assert_eq!(period(i64::MAX, 1), "1y");
    }

    #[test]
    fn every_question_is_a_query() {
        for field in FIELDS {
            assert!(
                Query::parse(&format!("filter ispresent({field}) | stats count(*) as n by {field}")).is_ok()
            );
        }
        for (name, _) in PERIODS {
            assert!(Query::parse(&format!("stats count(*) as n by bin({name})")).is_ok(), "{name}");
        }
    }
}
