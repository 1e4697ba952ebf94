/*!
Mute rules: configured, listed, deleted.

A change goes into the catalog and the `metrics` stream, where the watcher takes it in order with what it mutes. Rules:
CloudWatch API reference, "PutAlarmMuteRule", "DeleteAlarmMuteRule".
*/

use nightbell_core::mute::{MuteRule, Muted};
use nightbell_core::time::Timestamp;
use nightbell_core::watch::{Act, Input};
use nightbell_store::{Catalog, Position, Scan, Space, Write};
use serde::de::DeserializeOwned;

use super::alarms::{push, pushed};
use super::composites::find_either;
use super::tags::{self, Tags};
use super::{Refusal, Resource};
use crate::catalog::{Failure, Key, Records, delete as delete_record, put as put_record};

/// Mute rules of one region.
pub(crate) const RULES_MAX: usize = 1_000;

/// The ARN of a mute rule.
pub(crate) fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:cloudwatch:{region}:{account}:alarm-mute-rule:{name}")
}

fn key(region: &str, name: &str) -> Key {
    Key::of(&["mute", region, name])
}

/// Creates or replaces a mute rule; one that is there keeps its tags. Returns the position after which the watcher knows it.
pub(crate) fn put(
    records: &Records,
    rule: &MuteRule,
    tags: &Tags,
    now: Timestamp,
) -> Result<Position, Refusal> {
    rule.check().map_err(Refusal::Alarm)?;
    tags::check(tags)?;
    let _turn = records.turn();
    let mut unknown = Vec::new();
    for name in &rule.alarm_names {
        match find_either(records, &rule.region, name) {
            Ok(_) => {}
            Err(Refusal::Missing(_)) => unknown.push(name.as_str()),
            Err(other) => return Err(other),
        }
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        return Err(Refusal::Conflict(format!(
            "Could not save the alarm mute rule as alarms [{names}] do not exist"
        )));
    }
    let key = key(&rule.region, &rule.name);
    let is_new = records.get::<MuteRule>(&key)?.is_none();
    if is_new && list(records, &rule.region)?.len() >= RULES_MAX {
        return Err(Refusal::Limit(format!("A region has at most {RULES_MAX} alarm mute rules")));
    }
    let mut change = Write::new();
    put_record(&mut change, &key, rule);
    if is_new {
        tags::put(&mut change, &rule.arn, tags);
    }
    push(&mut change, now, Input::PutMuteRule { rule: rule.clone() });
    pushed(records, change)
}

/// Deletes a mute rule; one that is not there is deleted already.
pub(crate) fn delete(
    records: &Records,
    region: &str,
    name: &str,
    now: Timestamp,
) -> Result<Position, Refusal> {
    let _turn = records.turn();
    let mut change = Write::new();
    if let Ok(rule) = find(records, region, name) {
        delete_record(&mut change, &key(region, name));
        tags::forget(&mut change, &rule.arn);
        push(&mut change, now, Input::DeleteMuteRule { region: region.to_owned(), name: name.to_owned() });
    }
    pushed(records, change)
}

/// The mute rule, or a refusal that it is missing.
pub(crate) fn find(records: &Records, region: &str, name: &str) -> Result<MuteRule, Refusal> {
    if name.contains('\0') {
        return Err(Refusal::Missing(Resource::MuteRule));
    }
    records.get(&key(region, name))?.ok_or(Refusal::Missing(Resource::MuteRule))
}

/// The mute rules of a region, by name.
pub(crate) fn list(records: &Records, region: &str) -> Result<Vec<MuteRule>, Refusal> {
    Ok(records.list(&Key::prefix(&["mute", region], ""))?)
}

/// Every mute rule of every region.
pub(crate) fn list_all(records: &Records) -> Result<Vec<MuteRule>, Failure> {
    records.list(&Key::prefix(&["mute"], ""))
}

const TAKEN: &[u8] = b"mute-rule\0";
const HELD: &[u8] = b"muted\0";
/// What is read at once.
const AT_ONCE: usize = 1_000;

/// Adds or removes a mute rule that the watcher has taken: those still on their way must not mute what came before.
pub(crate) fn save_taken(change: &mut Write, region: &str, name: &str, rule: Option<&MuteRule>) {
    let key = [TAKEN, Key::of(&[region, name]).bytes()].concat();
    match rule {
        Some(rule) => {
            let bytes = serde_json::to_vec(rule).expect("a rule is plain data");
            change.put(Space::Watch, key, bytes);
        }
        None => {
            change.delete(Space::Watch, key);
        }
    }
}

/// Adds or removes what mute rules hold back of an alarm or of one of its contributors.
pub(crate) fn save_held(change: &mut Write, arn: &str, contributor: &str, muted: Option<&Muted<Act>>) {
    let key = [HELD, Key::of(&[arn, contributor]).bytes()].concat();
    match muted {
        Some(muted) => {
            let bytes = serde_json::to_vec(muted).expect("a transition is plain data");
            change.put(Space::Watch, key, bytes);
        }
        None => {
            change.delete(Space::Watch, key);
        }
    }
}

/// The mute rules that the watcher has taken.
pub(crate) fn taken(store: &dyn Catalog) -> Result<Vec<MuteRule>, Failure> {
    read_all(store, TAKEN)
}

/// What mute rules hold back.
pub(crate) fn held(store: &dyn Catalog) -> Result<Vec<Muted<Act>>, Failure> {
    read_all(store, HELD)
}

fn read_all<T: DeserializeOwned>(store: &dyn Catalog, prefix: &[u8]) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    let mut scan = Scan::prefix(prefix).limit(AT_ONCE);
    loop {
        let found = store.scan(Space::Watch, &scan)?;
        let Some((last, _)) = found.last() else { return Ok(all) };
        scan = Scan::prefix(prefix).limit(AT_ONCE).after(last.clone());
        all.extend(found.iter().filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()));
    }
}
