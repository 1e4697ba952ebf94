/*!
Composite alarms: configured, listed, and what they and the alarms they name may not do to each other.

Names are those of all alarms of a region. A change goes into the catalog and the `metrics` stream as in `alarms`. Rules:
CloudWatch API reference, "PutCompositeAlarm", "DeleteAlarms"; texts of refusals that no record of the service shows are
our own.
*/

use std::collections::{BTreeMap, BTreeSet};

use nightbell_core::alarm::MetricAlarm;
use nightbell_core::alarm::composite::{AlarmRule, CompositeAlarm, CompositeRuntime, find_cycle};
use nightbell_core::time::Timestamp;
use nightbell_core::watch::Input;
use nightbell_store::{Catalog, Position, Space, Write};
use serde_json::{Value, json};

use super::alarms::{self, configured, push, pushed};
use super::tags::{self, Tags};
use super::{Refusal, Resource};
use crate::catalog::{Failure, Key, Records, delete, put as put_record};

/// Composite alarms that one alarm may be a child of.
pub(crate) const PARENTS_MAX: usize = 150;

/// An alarm of either kind.
pub(crate) enum Either {
    /// On a metric.
    Metric(MetricAlarm),
    /// On other alarms.
    Composite(CompositeAlarm),
}

/// The alarm of this name, of either kind, or a refusal that it is missing.
pub(crate) fn find_either(records: &Records, region: &str, name: &str) -> Result<Either, Refusal> {
    match alarms::find(records, region, name) {
        Ok(alarm) => Ok(Either::Metric(alarm)),
        Err(Refusal::Missing(_)) => find(records, region, name).map(Either::Composite),
        Err(other) => Err(other),
    }
}

/// The composite alarm, or a refusal that it is missing.
pub(crate) fn find(records: &Records, region: &str, name: &str) -> Result<CompositeAlarm, Refusal> {
    if name.contains('\0') {
        return Err(Refusal::Missing(Resource::Alarm));
    }
    records.get(&key(region, name))?.ok_or(Refusal::Missing(Resource::Alarm))
}

pub(super) fn key(region: &str, name: &str) -> Key {
    Key::of(&["composite", region, name])
}

fn suppressor_key(region: &str, name: &str) -> Key {
    Key::of(&["composite-suppressor", region, name])
}

/// The suppressor of a composite alarm as it was given: by its name, or else by its ARN.
pub(crate) fn suppressor_given(records: &Records, alarm: &CompositeAlarm) -> Result<Option<String>, Failure> {
    let Some(suppressor) = &alarm.suppressor else { return Ok(None) };
    let name = records.get(&suppressor_key(&alarm.region, &alarm.name))?;
    Ok(Some(name.unwrap_or_else(|| suppressor.alarm_arn.clone())))
}

/// Adds to `change` that a composite alarm's suppressor is shown by this name.
fn put_suppressor(change: &mut Write, alarm: &CompositeAlarm, given: Option<&str>) {
    let key = suppressor_key(&alarm.region, &alarm.name);
    match given.filter(|given| !given.starts_with("arn:")) {
        Some(name) => put_record(change, &key, &name),
        None => delete(change, &key),
    }
}

/// Adds to `change` that a composite alarm is gone.
pub(super) fn remove(change: &mut Write, alarm: &CompositeAlarm) {
    delete(change, &key(&alarm.region, &alarm.name));
    put_suppressor(change, alarm, None);
}

/// Creates or replaces a composite alarm, whose suppressor was given so; one that is there keeps its tags. Returns the position after
/// which the watcher knows it.
pub(crate) fn put(
    records: &Records,
    alarm: &CompositeAlarm,
    suppressor_given: Option<&str>,
    tags: &Tags,
    now: Timestamp,
) -> Result<Position, Refusal> {
    alarm.check().map_err(Refusal::Alarm)?;
    tags::check(tags)?;
    let rule = read_rule(alarm)?;
    let _turn = records.turn();
    if alarms::find(records, &alarm.region, &alarm.name).is_ok() {
        return Err(Refusal::Conflict(format!("{} is the name of a metric alarm", alarm.name)));
    }
    check_references(records, alarm, &rule)?;
    check_others(records, alarm, &rule)?;
    let mut change = Write::new();
    put_suppressor(&mut change, alarm, suppressor_given);
    write(records, change, alarm, tags, now)
}

fn read_rule(alarm: &CompositeAlarm) -> Result<AlarmRule, Refusal> {
    AlarmRule::parse(&alarm.rule, &alarm.site()).map_err(|error| Refusal::Conflict(error.to_string()))
}

/// Whether all that the alarm names is there.
fn check_references(records: &Records, alarm: &CompositeAlarm, rule: &AlarmRule) -> Result<(), Refusal> {
    let mut missing = BTreeSet::new();
    let suppressor = alarm.suppressor.as_ref().map(|suppressor| &suppressor.alarm_arn);
    for arn in rule.children().iter().chain(suppressor) {
        match find_either(records, &alarm.region, name_in(arn)) {
            Ok(_) => {}
            Err(Refusal::Missing(_)) => {
                missing.insert(arn.as_str());
            }
            Err(other) => return Err(other),
        }
    }
    rule.check_children(&|arn| !missing.contains(arn))
        .map_err(|error| Refusal::Conflict(error.to_string()))?;
    if let Some(suppressor) = suppressor.filter(|arn| missing.contains(arn.as_str())) {
        return Err(Refusal::Conflict(format!(
            "Could not save the composite alarm as its actions suppressor {suppressor} does not exist"
        )));
    }
    Ok(())
}

/// Whether the alarm goes together with the other composites: no circle, no child of too many.
fn check_others(records: &Records, alarm: &CompositeAlarm, rule: &AlarmRule) -> Result<(), Refusal> {
    let mut others = rules(records, &alarm.region)?;
    others.remove(&alarm.arn);
    if let Some(circle) = find_cycle((&alarm.arn, rule), &|arn| others.get(arn)) {
        let names: Vec<&str> = circle.iter().map(|arn| name_in(arn)).collect();
        return Err(Refusal::Conflict(format!(
            "The alarm rule leads back to the alarm itself: {}",
            names.join(" -> ")
        )));
    }
    for child in rule.children() {
        let parents = others.values().filter(|other| other.children().contains(child)).count();
        if parents >= PARENTS_MAX {
            return Err(Refusal::Limit(format!(
                "{child} is already in the rules of {parents} composite alarms, the limit is {PARENTS_MAX}"
            )));
        }
    }
    Ok(())
}

/// Writes a composite alarm whose turn it is, as part of `change`.
pub(super) fn write(
    records: &Records,
    mut change: Write,
    alarm: &CompositeAlarm,
    tags: &Tags,
    now: Timestamp,
) -> Result<Position, Refusal> {
    let region = &alarm.region;
    let known = find(records, region, &alarm.name).is_ok();
    let (word, kind, field) =
        if known { ("updated", "Update", "updatedAlarm") } else { ("created", "Create", "createdAlarm") };
    let data = json!({"version": "1.0", "type": kind, field: configuration(alarm)});
    put_record(&mut change, &key(region, &alarm.name), alarm);
    if !known {
        tags::put(&mut change, &alarm.arn, tags);
    }
    configured(&mut change, region, (&alarm.name, true), word, &data, now);
    push(&mut change, now, Input::PutComposite { alarm: alarm.clone() });
    pushed(records, change)
}

/// Refuses where an alarm is to go that a composite, which is to stay, names in its rule.
pub(super) fn check_parents(records: &Records, region: &str, gone: &[Either]) -> Result<(), Refusal> {
    let arns: BTreeSet<&str> = gone.iter().map(Either::arn).collect();
    for (parent, rule) in rules(records, region)? {
        if arns.contains(parent.as_str()) {
            continue;
        }
        if let Some(child) = rule.children().iter().find(|child| arns.contains(child.as_str())) {
            let child = name_in(child);
            return Err(Refusal::Conflict(format!(
                "Cannot delete {child} as there are composite alarm(s) depending on it."
            )));
        }
    }
    Ok(())
}

impl Either {
    pub(super) fn arn(&self) -> &str {
        match self {
            Self::Metric(alarm) => &alarm.arn,
            Self::Composite(alarm) => &alarm.arn,
        }
    }
}

/// The rules of all composite alarms of a region, by ARN.
fn rules(records: &Records, region: &str) -> Result<BTreeMap<String, AlarmRule>, Refusal> {
    let alarms: Vec<CompositeAlarm> = records.list(&Key::prefix(&["composite", region], ""))?;
    Ok(alarms.into_iter().filter_map(|alarm| Some((alarm.arn.clone(), read_rule(&alarm).ok()?))).collect())
}

/// ARNs of the alarms that the rule of a composite names.
pub(crate) fn children(alarm: &CompositeAlarm) -> BTreeSet<String> {
    read_rule(alarm).map(|rule| rule.children().clone()).unwrap_or_default()
}

/// The name in an alarm's ARN.
fn name_in(arn: &str) -> &str {
    arn.splitn(7, ':').nth(6).unwrap_or(arn)
}

/// The composite alarms of a region whose name starts with `prefix`, by name, each with its state.
pub(crate) fn list(
    records: &Records,
    region: &str,
    prefix: &str,
) -> Result<Vec<(CompositeAlarm, CompositeRuntime)>, Refusal> {
    let alarms: Vec<CompositeAlarm> = records.list(&Key::prefix(&["composite", region], prefix))?;
    let mut all = Vec::with_capacity(alarms.len());
    for alarm in alarms {
        let runtime = saved_runtime(&**records.store(), &alarm)?;
        all.push((alarm, runtime));
    }
    Ok(all)
}

/// Every composite alarm of every region.
pub(crate) fn list_all(records: &Records) -> Result<Vec<CompositeAlarm>, Failure> {
    records.list(&Key::prefix(&["composite"], ""))
}

/// The state of a composite alarm as the watcher saved it; that of a new one before.
pub(crate) fn saved_runtime(
    store: &dyn Catalog,
    alarm: &CompositeAlarm,
) -> Result<CompositeRuntime, Failure> {
    let found = store.get(Space::Watch, &runtime_key(&alarm.arn))?;
    let known = found.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(known.unwrap_or_else(|| CompositeRuntime::created(alarm.updated)))
}

fn runtime_key(arn: &str) -> Vec<u8> {
    [b"composite\0", arn.as_bytes()].concat()
}

/// Adds the state of a composite alarm.
pub(crate) fn save_runtime(change: &mut Write, arn: &str, runtime: &CompositeRuntime) {
    let bytes = serde_json::to_vec(runtime).expect("a runtime is plain data");
    change.put(Space::Watch, runtime_key(arn), bytes);
}

/// Removes the state of a deleted alarm.
pub(crate) fn forget(change: &mut Write, arn: &str) {
    change.delete(Space::Watch, runtime_key(arn));
}

pub(super) fn configuration(alarm: &CompositeAlarm) -> Value {
    let mut all = json!({
        "alarmName": alarm.name,
        "alarmArn": alarm.arn,
        "alarmDescription": alarm.description,
        "actionsEnabled": alarm.actions_enabled,
        "okActions": alarm.ok_actions,
        "alarmActions": alarm.alarm_actions,
        "insufficientDataActions": alarm.insufficient_data_actions,
        "alarmRule": alarm.rule,
    });
    if let (Some(suppressor), Value::Object(all)) = (&alarm.suppressor, &mut all) {
        all.insert("actionsSuppressor".into(), suppressor.alarm_arn.clone().into());
        all.insert("actionsSuppressorWaitPeriod".into(), suppressor.wait_s.into());
        all.insert("actionsSuppressorExtensionPeriod".into(), suppressor.extension_s.into());
    }
    all
}
