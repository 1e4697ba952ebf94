/*!
GetLogGroupFields: which fields the events of a log group have, by a sample of them ("CloudWatch Logs API Reference").
*/

use std::collections::{BTreeMap, BTreeSet};

use nightbell_core::time::MINUTE_MS;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, refused};
use super::insights::shown_fields;
use super::logs::group_name;
use super::reads::{PAGE_BYTES_MAX, search};
use super::service::Service;
use crate::manage::groups;
use crate::search::page::Wanted;
use crate::search::{Area, Streams};

/// Events of the sample.
pub(super) const FIELDS_SAMPLE_EVENTS: usize = 1_000;
/// How far before now events are taken where no time is named.
const RECENT_MS: i64 = 15 * MINUTE_MS;
/// How far around a time that is named.
const AROUND_MS: i64 = 8 * MINUTE_MS;
/// The fields that every event has.
const OWN: [&str; 5] = ["@ingestionTime", "@log", "@logStream", "@message", "@timestamp"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogGroupFieldsRequest {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    time: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogGroupFieldsResponse {
    log_group_fields: Vec<LogGroupField>,
}

#[derive(Serialize)]
struct LogGroupField {
    name: String,
    percent: usize,
}

pub(super) async fn get_log_group_fields(
    cx: Cx,
    request: GetLogGroupFieldsRequest,
) -> Result<GetLogGroupFieldsResponse, ApiError> {
    let group = cx.group(&group_name(&cx, request.log_group_name, request.log_group_identifier)?);
    let owner = groups::find(&cx.app.records, &group).map_err(|refusal| refused(Service::Logs, refusal))?;
    let now = cx.now.as_millis();
    // Clients give seconds, as with queries, or milliseconds.
    let time =
        request.time.map(|time| if time < 100_000_000_000 { time.saturating_mul(1_000) } else { time });
    let (from, to) = match time {
        None => (now - RECENT_MS, i64::MAX),
        Some(time) => (time.saturating_sub(AROUND_MS), time.saturating_add(AROUND_MS)),
    };
    let wanted = Wanted {
        pattern: None,
        from,
        to,
        beyond: None,
        backwards: true,
        events_max: FIELDS_SAMPLE_EVENTS,
        bytes_max: PAGE_BYTES_MAX,
    };
    let found = search(&cx, Area::of(&owner, Streams::All(owner.since), cx.now), wanted).await?;
    let events = found.events.len();
    let counted = tokio::task::spawn_blocking(move || {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (_, event) in &found.events {
            let names: BTreeSet<String> = shown_fields(event).into_iter().map(|(name, _)| name).collect();
            for name in names.into_iter().chain(OWN.map(str::to_owned)) {
                *counts.entry(name).or_default() += 1;
            }
        }
        counts
    });
    let counts = counted.await.map_err(|_| ApiError::inside())?;
    let field = |(name, count): (String, usize)| LogGroupField { name, percent: count * 100 / events.max(1) };
    let mut log_group_fields: Vec<LogGroupField> = counts.into_iter().map(field).collect();
    log_group_fields.sort_by_key(|field| std::cmp::Reverse(field.percent)); // those of one share stay by name
    Ok(GetLogGroupFieldsResponse { log_group_fields })
}
