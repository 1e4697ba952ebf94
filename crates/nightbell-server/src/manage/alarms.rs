/*!
Alarms: configured, listed, forced into a state, deleted; and their history.

A change goes into the catalog and, in the same step, into the `metrics` stream, where the watcher takes it in order
with the data. Rules: CloudWatch API reference, "PutMetricAlarm", "SetAlarmState", "DescribeAlarmHistory".
*/

use std::collections::BTreeSet;

use nightbell_core::alarm::contributors::Group;
use nightbell_core::alarm::{Contributor, Measure, MetricAlarm, State};
use nightbell_core::distinct::key_of;
use nightbell_core::math::{MetricQuery, Queried};
use nightbell_core::metric::Datum;
use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_core::watch::{Input, Runtime};
use nightbell_store::{Catalog, Durability, Position, Scan, Space, Stream, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::composites::{self, Either};
use super::tags::{self, Tags};
use super::{Refusal, Resource, detectors};
use crate::catalog::{Failure, Key, Records, delete, put};

/// How long history is kept.
pub(crate) const HISTORY_AGE_MAX_MS: i64 = 30 * DAY_MS;
/// Most history items one request reads.
pub(crate) const HISTORY_SCAN_MAX: usize = 100_000;

/// An entry of the `metrics` stream: an input of the watcher and when it was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The watcher's "now" when it takes this entry.
    pub(crate) now: Timestamp,
    /// What it takes.
    pub(crate) input: Input,
}

/// The first byte of a stored entry; another form of [`Entry`] gets another.
const ENTRY_FORM: u8 = 1;

impl Entry {
    fn write(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![ENTRY_FORM]).expect("an entry is plain data")
    }

    /// The entry in the bytes of the stream.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        match bytes.split_first() {
            Some((&ENTRY_FORM, rest)) => {
                postcard::from_bytes(rest).map_err(|error| Failure::damaged(b"metrics", &error))
            }
            _ => Err(Failure::damaged(b"metrics", &"its form is not known to this version")),
        }
    }
}

/// Adds an entry to the `metrics` stream.
pub(crate) fn push(change: &mut Write, now: Timestamp, input: Input) {
    change.push(Stream::Metrics, Entry { now, input }.write());
}

/// Largest entry of data that is written as one; more is written as several, in the same step.
const ENTRY_BYTES_MAX: usize = 8 << 20;

/// Adds data to the `metrics` stream.
pub(crate) fn push_data(change: &mut Write, now: Timestamp, mut data: Vec<Datum>) {
    if data.is_empty() {
        return;
    }
    let entry = Entry { now, input: Input::Data(data) };
    let bytes = entry.write();
    let Input::Data(all) = entry.input else { return };
    if bytes.len() <= ENTRY_BYTES_MAX || all.len() == 1 {
        change.push(Stream::Metrics, bytes);
        return;
    }
    data = all;
    let rest = data.split_off(data.len() / 2);
    push_data(change, now, data);
    push_data(change, now, rest);
}

/// An item of an alarm's history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HistoryItem {
    /// The alarm's name.
    pub(crate) alarm: String,
    /// When it happened.
    pub(crate) at: Timestamp,
    /// ConfigurationUpdate, StateUpdate, Action, AlarmContributorStateUpdate or AlarmContributorAction.
    pub(crate) kind: String,
    /// Whether it is a composite alarm's.
    #[serde(default)]
    pub(crate) composite: bool,
    /// Whom of the alarm's contributors it is about.
    #[serde(default)]
    pub(crate) contributor: Option<Contributor>,
    /// One line.
    pub(crate) summary: String,
    /// A JSON document.
    pub(crate) data: String,
}

/// Adds a history item; `order` tells items of one millisecond apart and is the same in a replay.
pub(crate) fn record_history(change: &mut Write, region: &str, item: &HistoryItem, order: u64) {
    let mut key = history_prefix(region, &item.alarm);
    key.extend_from_slice(&item.at.as_millis().max(0).to_be_bytes());
    key.extend_from_slice(&order.to_be_bytes());
    let bytes = serde_json::to_vec(item).expect("an item is plain strings");
    change.put(Space::History, key, bytes);
}

/// When the item under a key of the store happened: the key ends with time and order, eight bytes each.
pub(crate) fn history_time(key: &[u8]) -> Option<Timestamp> {
    let at = key.len().checked_sub(16)?;
    Some(Timestamp::from_millis(i64::from_be_bytes(key[at..at + 8].try_into().ok()?)))
}

fn history_prefix(region: &str, alarm: &str) -> Vec<u8> {
    let mut key = Key::of(&[region, alarm]).bytes().to_vec();
    key.push(0);
    key
}

/// The history of one alarm, or of all of a region, oldest first.
pub(crate) fn history(
    records: &Records,
    region: &str,
    alarm: Option<&str>,
) -> Result<Vec<HistoryItem>, Refusal> {
    let prefix = match alarm {
        Some(name) if name.contains('\0') => return Ok(Vec::new()),
        Some(name) => history_prefix(region, name),
        None => Key::prefix(&[region], "").bytes().to_vec(),
    };
    let found =
        records.store().scan(Space::History, &Scan::prefix(prefix).reverse().limit(HISTORY_SCAN_MAX))?;
    let mut items: Vec<HistoryItem> =
        found.iter().filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()).collect();
    items.reverse();
    items.sort_by_key(|item| item.at);
    Ok(items)
}

/// The ARN of an alarm.
pub(crate) fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:cloudwatch:{region}:{account}:alarm:{name}")
}

/// Creates or replaces an alarm; one that is there keeps its tags. Returns the position after which the watcher knows it.
pub(crate) fn put_alarm(
    records: &Records,
    alarm: &MetricAlarm,
    tags: &Tags,
    now: Timestamp,
) -> Result<Position, Refusal> {
    alarm.check().map_err(Refusal::Alarm)?;
    tags::check(tags)?;
    let _turn = records.turn();
    if composites::find(records, &alarm.region, &alarm.name).is_ok() {
        return Err(Refusal::Conflict(format!("{} is the name of a composite alarm", alarm.name)));
    }
    write_alarm(records, alarm, tags, now)
}

/// Writes an alarm whose turn it is.
fn write_alarm(
    records: &Records,
    alarm: &MetricAlarm,
    tags: &Tags,
    now: Timestamp,
) -> Result<Position, Refusal> {
    let region = &alarm.region;
    let key = Key::alarm(region, &alarm.name);
    let known = records.get::<MetricAlarm>(&key)?.is_some();
    let (word, kind, field) =
        if known { ("updated", "Update", "updatedAlarm") } else { ("created", "Create", "createdAlarm") };
    let data = json!({"version": "1.0", "type": kind, field: configuration(alarm)});
    let mut change = Write::new();
    put(&mut change, &key, alarm);
    if !known {
        tags::put(&mut change, &alarm.arn, tags);
    }
    configured(&mut change, region, (&alarm.name, false), word, &data, now);
    detectors::put_implied(records, &mut change, alarm, now)?;
    push(&mut change, now, Input::PutAlarm { alarm: alarm.clone(), history: Vec::new() });
    pushed(records, change)
}

/// Deletes alarms: all of them, or none where one is missing.
pub(crate) fn remove(
    records: &Records,
    region: &str,
    names: &[String],
    now: Timestamp,
) -> Result<Position, Refusal> {
    let _turn = records.turn();
    let mut change = Write::new();
    let names: BTreeSet<&String> = names.iter().collect();
    let gone = names.into_iter().map(|name| composites::find_either(records, region, name));
    let mut gone = gone.collect::<Result<Vec<Either>, Refusal>>()?;
    if gone.iter().filter(|alarm| matches!(alarm, Either::Composite(_))).count() > 1 {
        return Err(Refusal::Conflict("A request can delete at most one composite alarm".into()));
    }
    composites::check_parents(records, region, &gone)?;
    gone.sort_by_key(|alarm| matches!(alarm, Either::Metric(_))); // parents before their children
    for alarm in gone {
        let (composite, configuration, name, arn) = match alarm {
            Either::Metric(alarm) => {
                delete(&mut change, &Key::alarm(region, &alarm.name));
                (false, configuration(&alarm), alarm.name, alarm.arn)
            }
            Either::Composite(alarm) => {
                composites::remove(&mut change, &alarm);
                (true, composites::configuration(&alarm), alarm.name, alarm.arn)
            }
        };
        tags::forget(&mut change, &arn);
        let data = json!({"version": "1.0", "type": "Delete", "deletedAlarm": configuration});
        configured(&mut change, region, (&name, composite), "deleted", &data, now);
        push(&mut change, now, Input::DeleteAlarm { arn });
    }
    pushed(records, change)
}

/// Turns the actions of alarms on or off; unknown names are ignored.
pub(crate) fn enable_actions(
    records: &Records,
    region: &str,
    names: &[String],
    enabled: bool,
    now: Timestamp,
) -> Result<(), Refusal> {
    let _turn = records.turn();
    for name in names {
        match composites::find_either(records, region, name) {
            Ok(Either::Metric(mut alarm)) if alarm.actions_enabled != enabled => {
                alarm.actions_enabled = enabled;
                alarm.updated = now;
                write_alarm(records, &alarm, &Tags::new(), now)?;
            }
            Ok(Either::Composite(mut alarm)) if alarm.actions_enabled != enabled => {
                alarm.actions_enabled = enabled;
                alarm.updated = now;
                composites::write(records, Write::new(), &alarm, &Tags::new(), now)?;
            }
            Ok(_) | Err(Refusal::Missing(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// Forces an alarm into a state; the next evaluation judges it again.
pub(crate) fn set_state(
    records: &Records,
    region: &str,
    name: &str,
    state: State,
    reason: String,
    reason_data: Option<String>,
    now: Timestamp,
) -> Result<Position, Refusal> {
    let _turn = records.turn();
    let arn = composites::find_either(records, region, name)?.arn().to_owned();
    let mut change = Write::new();
    push(&mut change, now, Input::SetState { arn, state, reason, reason_data });
    pushed(records, change)
}

/// The alarm, or a refusal that it is missing.
pub(crate) fn find(records: &Records, region: &str, name: &str) -> Result<MetricAlarm, Refusal> {
    if name.contains('\0') {
        return Err(Refusal::Missing(Resource::Alarm));
    }
    records.get(&Key::alarm(region, name))?.ok_or(Refusal::Missing(Resource::Alarm))
}

/// The alarms of a region whose name starts with `prefix`, by name, each with its state.
pub(crate) fn list(
    records: &Records,
    region: &str,
    prefix: &str,
) -> Result<Vec<(MetricAlarm, Runtime)>, Refusal> {
    let alarms: Vec<MetricAlarm> = records.list(&Key::prefix(&["alarm", region], prefix))?;
    alarms
        .into_iter()
        .map(|alarm| {
            let runtime = runtime(records, &alarm)?;
            Ok((alarm, runtime))
        })
        .collect()
}

/// Every alarm of every region with its state.
pub(crate) fn list_all(records: &Records) -> Result<Vec<(MetricAlarm, Runtime)>, Failure> {
    let alarms: Vec<MetricAlarm> = records.list(&Key::prefix(&["alarm"], ""))?;
    alarms.into_iter().map(|alarm| runtime(records, &alarm).map(|runtime| (alarm, runtime))).collect()
}

fn runtime(records: &Records, alarm: &MetricAlarm) -> Result<Runtime, Failure> {
    saved_runtime(&**records.store(), alarm)
}

/// The state of an alarm as the watcher saved it; that of a new one before.
pub(crate) fn saved_runtime(store: &dyn Catalog, alarm: &MetricAlarm) -> Result<Runtime, Failure> {
    let found = store.get(Space::Watch, alarm.arn.as_bytes())?;
    let known = found.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(known.unwrap_or_else(|| Runtime::created(alarm.updated)))
}

/// Adds the state of an alarm.
pub(crate) fn save_runtime(change: &mut Write, arn: &str, runtime: &Runtime) {
    let bytes = serde_json::to_vec(runtime).expect("a runtime is plain data");
    change.put(Space::Watch, arn.as_bytes(), bytes);
}

/// Some of an alarm's contributors.
pub(crate) struct ContributorPage {
    /// Those that were found, with their states, in the order of their keys.
    pub(crate) found: Vec<(Contributor, Runtime)>,
    /// The key to go on after, where there may be more.
    pub(crate) next: Option<u64>,
}

/// Up to `count` contributors of `alarm` in ALARM whose keys come after `after`. Reads one page: it may hold fewer, or
/// none, and still have a `next`.
pub(crate) fn contributors_in_alarm(
    records: &Records,
    alarm: &MetricAlarm,
    after: Option<u64>,
    count: usize,
) -> Result<ContributorPage, Refusal> {
    let prefix = contributor_prefix(&alarm.arn);
    let mut scan = Scan::prefix(prefix.clone()).limit(CONTRIBUTORS_A_PAGE_MAX);
    if let Some(after) = after {
        scan = scan.after([prefix.as_slice(), &after.to_be_bytes()].concat());
    }
    let read = records.store().scan(Space::Watch, &scan)?;
    let mut found = Vec::new();
    let mut last = None;
    for (key, bytes) in &read {
        let saved: Option<(Group, Runtime)> = serde_json::from_slice(bytes).ok();
        let fits = saved.filter(|(_, runtime)| runtime.state == State::Alarm);
        if let Some((one, runtime)) =
            fits.and_then(|(group, runtime)| Some((alarm.contributor(&group)?, runtime)))
        {
            if found.len() == count {
                return Ok(ContributorPage { found, next: last });
            }
            found.push((one, runtime));
        }
        last = key.get(prefix.len()..).and_then(|rest| rest.try_into().ok()).map(u64::from_be_bytes);
    }
    let more = read.len() == CONTRIBUTORS_A_PAGE_MAX;
    Ok(ContributorPage { found, next: last.filter(|_| more) })
}

/// Most contributors that one page of [`contributors_in_alarm`] looks at, in whatever state they are.
const CONTRIBUTORS_A_PAGE_MAX: usize = 10_000;

/// The saved contributors of an alarm by the values they are grouped by.
pub(crate) fn saved_contributors(store: &dyn Catalog, arn: &str) -> Result<Vec<(Group, Runtime)>, Failure> {
    let mut all = Vec::new();
    let mut scan = Scan::prefix(contributor_prefix(arn)).limit(CONTRIBUTORS_AT_ONCE);
    loop {
        let found = store.scan(Space::Watch, &scan)?;
        let Some((last, _)) = found.last() else { return Ok(all) };
        scan = Scan::prefix(contributor_prefix(arn)).limit(CONTRIBUTORS_AT_ONCE).after(last.clone());
        all.extend(found.iter().filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()));
    }
}

/// Contributors read at once.
const CONTRIBUTORS_AT_ONCE: usize = 10_000;

fn contributor_prefix(arn: &str) -> Vec<u8> {
    [arn.as_bytes(), &[0]].concat()
}

fn contributor_key(arn: &str, group: &[String]) -> Vec<u8> {
    let parts: Vec<&str> = group.iter().map(String::as_str).collect();
    // Values may be long; their hash is short and tells them apart.
    [contributor_prefix(arn), key_of(&parts).to_be_bytes().to_vec()].concat()
}

/// Adds or removes the state of a contributor.
pub(crate) fn save_contributor(change: &mut Write, arn: &str, group: &Group, runtime: Option<&Runtime>) {
    let key = contributor_key(arn, group);
    match runtime {
        None => {
            change.delete(Space::Watch, key);
        }
        Some(runtime) => {
            let bytes = serde_json::to_vec(&(group, runtime)).expect("a contributor is plain data");
            change.put(Space::Watch, key, bytes);
        }
    }
}

/// Removes all that is kept of a deleted alarm.
pub(crate) fn forget(store: &dyn Catalog, change: &mut Write, arn: &str) -> Result<(), Failure> {
    change.delete(Space::Watch, arn.as_bytes());
    for (group, _) in saved_contributors(store, arn)? {
        save_contributor(change, arn, &group, None);
    }
    Ok(())
}

/// Adds a change of an alarm's configuration to its history; `of` is its name and whether it is composite.
pub(super) fn configured(
    change: &mut Write,
    region: &str,
    of: (&str, bool),
    word: &str,
    data: &Value,
    now: Timestamp,
) {
    let (alarm, composite) = of;
    let item = HistoryItem {
        alarm: alarm.to_owned(),
        at: now,
        kind: "ConfigurationUpdate".into(),
        contributor: None,
        composite,
        summary: format!("Alarm \"{alarm}\" {word}"),
        data: data.to_string(),
    };
    // Before what follows from it in the same millisecond; a deletion comes last.
    let order = if word == "deleted" { u64::MAX } else { 0 };
    record_history(change, region, &item, order);
}

fn configuration(alarm: &MetricAlarm) -> Value {
    let mut all = json!({
        "alarmName": alarm.name,
        "alarmArn": alarm.arn,
        "alarmDescription": alarm.description,
        "actionsEnabled": alarm.actions_enabled,
        "okActions": alarm.ok_actions,
        "alarmActions": alarm.alarm_actions,
        "insufficientDataActions": alarm.insufficient_data_actions,
        "period": alarm.period_s,
        "evaluationPeriods": alarm.evaluation_periods,
        "datapointsToAlarm": alarm.datapoints_to_alarm,
        "comparisonOperator": alarm.comparison,
        "treatMissingData": alarm.missing_data,
    });
    let held = match &alarm.band {
        Some(band) => json!({"thresholdMetricId": band}),
        None => json!({"threshold": alarm.threshold}),
    };
    let measured = match &alarm.measure {
        Measure::Series(single) => {
            let dimension = |(name, value): &(String, String)| json!({"name": name, "value": value});
            json!({
                "metricName": single.series.name,
                "namespace": single.series.namespace,
                "statistic": single.statistic,
                "dimensions": single.series.dimensions.iter().map(dimension).collect::<Vec<_>>(),
            })
        }
        Measure::Query(query) => json!({
            "metrics": [{"id": query.id, "label": query.label, "expression": query.text, "returnData": true}],
        }),
        Measure::Expression(measure) => {
            json!({"metrics": measure.entries.iter().map(entry_configuration).collect::<Vec<_>>()})
        }
    };
    if let (Value::Object(all), Value::Object(held), Value::Object(measured)) = (&mut all, held, measured) {
        all.extend(held);
        all.extend(measured);
    }
    all
}

fn entry_configuration(entry: &MetricQuery) -> Value {
    let mut all = json!({"id": entry.id, "label": entry.label, "returnData": entry.return_data});
    let what = match &entry.what {
        Queried::Expression(text) => json!({"expression": text, "period": entry.period_s}),
        Queried::Stat(stat) => {
            let dimension = |(name, value): &(String, String)| json!({"name": name, "value": value});
            json!({"metricStat": {
                "metric": {
                    "namespace": stat.series.namespace,
                    "metricName": stat.series.name,
                    "dimensions": stat.series.dimensions.iter().map(dimension).collect::<Vec<_>>(),
                },
                "period": stat.period_s,
                "stat": stat.statistic,
                "unit": stat.unit,
            }})
        }
    };
    if let (Value::Object(all), Value::Object(what)) = (&mut all, what) {
        all.extend(what);
    }
    all
}

pub(super) fn pushed(records: &Records, change: Write) -> Result<Position, Refusal> {
    let pushed = tokio::task::block_in_place(|| records.store().commit(change, Durability::Disk))?;
    Ok(pushed.last().copied().unwrap_or_default())
}
