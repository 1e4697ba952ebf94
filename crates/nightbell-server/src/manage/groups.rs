/*!
Log groups and streams: made, listed, kept for a time, deleted.

Names and limits: CloudWatch Logs API reference, "CreateLogGroup", "CreateLogStream", "PutRetentionPolicy".
*/

use nightbell_core::event::Group;
use nightbell_core::time::Timestamp;
use nightbell_store::{Position, Write};

use super::tags::{self, Tags};
use super::{Refusal, Resource, violates};
use crate::catalog::{Activity, GroupRecord, Key, Records, StreamRecord, delete, put};

/// Longest name of a group or stream, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 512;
/// Retention periods that are accepted, in days.
pub(crate) const RETENTION_DAYS: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// What CreateLogGroup says besides the name.
#[derive(Default)]
pub(crate) struct GroupOptions {
    /// STANDARD, INFREQUENT_ACCESS or DELIVERY; STANDARD when absent.
    pub(crate) class: Option<String>,
    /// Tags.
    pub(crate) tags: Tags,
    /// Whether deletion is refused.
    pub(crate) deletion_protected: bool,
}

/// Makes a group.
pub(crate) fn create(
    records: &Records,
    group: &Group,
    options: GroupOptions,
    now: Timestamp,
    since: Position,
) -> Result<(), Refusal> {
    check_group_name(&group.name)?;
    tags::check(&options.tags)?;
    let class = options.class.unwrap_or_else(|| "STANDARD".to_owned());
    if !["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"].contains(&class.as_str()) {
        let allowed = "Member must satisfy enum value set: [STANDARD, INFREQUENT_ACCESS, DELIVERY]";
        return Err(violates(&class, "logGroupClass", allowed));
    }
    let _turn = records.turn();
    let key = Key::group(group);
    if records.get::<GroupRecord>(&key)?.is_some() {
        return Err(Refusal::Exists(Resource::Group));
    }
    let record = GroupRecord {
        group: group.clone(),
        created: now,
        since,
        retention_days: None,
        class,
        tags: options.tags,
        deletion_protected: options.deletion_protected,
    };
    let mut change = Write::new();
    put(&mut change, &key, &record);
    Ok(records.commit(change)?)
}

/// The group, or a refusal that it is missing.
pub(crate) fn find(records: &Records, group: &Group) -> Result<GroupRecord, Refusal> {
    records.get(&Key::group(group))?.ok_or(Refusal::Missing(Resource::Group))
}

/// Deletes a group with its streams, metric filters and subscription filters.
pub(crate) fn remove(records: &Records, group: &Group) -> Result<(), Refusal> {
    let _turn = records.turn();
    let record = find(records, group)?;
    if record.deletion_protected {
        return Err(Refusal::Invalid(format!(
            "The log group {} has deletion protection enabled; turn it off first",
            group.name
        )));
    }
    let mut change = Write::new();
    delete(&mut change, &Key::group(group));
    for kind in ["stream", "activity", "filter", "filter-counts", "import", "subscription-filter"] {
        for key in records.keys(&Key::prefix(&[kind, &group.region, &group.name], ""))? {
            delete(&mut change, &key);
        }
    }
    Ok(records.commit(change)?)
}

/// Groups of a region whose name starts with `prefix`, by name.
pub(crate) fn list(records: &Records, region: &str, prefix: &str) -> Result<Vec<GroupRecord>, Refusal> {
    Ok(records.list(&Key::prefix(&["group", region], prefix))?)
}

/// Sets or removes how long events are kept.
pub(crate) fn retain(records: &Records, group: &Group, days: Option<i64>) -> Result<(), Refusal> {
    if let Some(days) = days
        && !RETENTION_DAYS.contains(&days)
    {
        let allowed = format!("Member must satisfy enum value set: {RETENTION_DAYS:?}");
        return Err(violates(&days.to_string(), "retentionInDays", &allowed));
    }
    let _turn = records.turn();
    let mut record = find(records, group)?;
    record.retention_days = days;
    write(records, &Key::group(group), &record)
}

/// Sets whether a group may be deleted.
pub(crate) fn protect(records: &Records, group: &Group, protected: bool) -> Result<(), Refusal> {
    let _turn = records.turn();
    let mut record = find(records, group)?;
    record.deletion_protected = protected;
    write(records, &Key::group(group), &record)
}

/// Adds tags to a group's.
pub(crate) fn tag(records: &Records, group: &Group, added: Tags) -> Result<(), Refusal> {
    let _turn = records.turn();
    let mut record = find(records, group)?;
    record.tags = tags::merge(record.tags, added)?;
    write(records, &Key::group(group), &record)
}

/// Takes tags of a group away; keys that are not there are fine.
pub(crate) fn untag(records: &Records, group: &Group, keys: &[String]) -> Result<(), Refusal> {
    let _turn = records.turn();
    let mut record = find(records, group)?;
    record.tags.retain(|key, _| !keys.contains(key));
    write(records, &Key::group(group), &record)
}

/// Makes a stream.
pub(crate) fn create_stream(
    records: &Records,
    group: &Group,
    name: &str,
    now: Timestamp,
    since: Position,
) -> Result<(), Refusal> {
    check_stream_name(name)?;
    let _turn = records.turn();
    find(records, group)?;
    let key = Key::stream(group, name);
    if records.get::<StreamRecord>(&key)?.is_some() {
        return Err(Refusal::Exists(Resource::Stream));
    }
    write(records, &key, &StreamRecord { name: name.to_owned(), created: now, since })
}

/// The stream, or a refusal that it or its group is missing.
pub(crate) fn find_stream(
    records: &Records,
    group: &Group,
    name: &str,
) -> Result<(GroupRecord, StreamRecord), Refusal> {
    let owner = find(records, group)?;
    let stream = records.get(&Key::stream(group, name))?.ok_or(Refusal::Missing(Resource::Stream))?;
    Ok((owner, stream))
}

/// Deletes a stream.
pub(crate) fn remove_stream(records: &Records, group: &Group, name: &str) -> Result<(), Refusal> {
    let _turn = records.turn();
    find_stream(records, group, name)?;
    let mut change = Write::new();
    delete(&mut change, &Key::stream(group, name));
    delete(&mut change, &Key::activity(group, name));
    Ok(records.commit(change)?)
}

/// Streams of a group whose name starts with `prefix`, each with what has come in by it, by name.
pub(crate) fn list_streams(
    records: &Records,
    group: &Group,
    prefix: &str,
) -> Result<Vec<(StreamRecord, Activity)>, Refusal> {
    find(records, group)?;
    let streams: Vec<StreamRecord> =
        records.list(&Key::prefix(&["stream", &group.region, &group.name], prefix))?;
    streams
        .into_iter()
        .map(|stream| {
            let activity = records.get(&Key::activity(group, &stream.name))?.unwrap_or_default();
            Ok((stream, activity))
        })
        .collect()
}

/// Refuses a name that no group may have.
pub(crate) fn check_group_name(name: &str) -> Result<(), Refusal> {
    check_length(name, "logGroupName")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-/.#".contains(c);
    if !name.chars().all(allowed) {
        let pattern = "Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+";
        return Err(violates(name, "logGroupName", pattern));
    }
    if name.starts_with("aws/") {
        return Err(Refusal::Invalid("Log groups starting with aws/ are reserved for AWS.".into()));
    }
    Ok(())
}

/// Refuses a name that no stream may have.
pub(crate) fn check_stream_name(name: &str) -> Result<(), Refusal> {
    check_length(name, "logStreamName")?;
    if name.contains([':', '*', '\0']) {
        return Err(violates(
            name,
            "logStreamName",
            "Member must satisfy regular expression pattern: [^:*]*",
        ));
    }
    Ok(())
}

fn check_length(name: &str, field: &str) -> Result<(), Refusal> {
    match name.chars().count() {
        0 => Err(violates(name, field, "Member must have length greater than or equal to 1")),
        1..=NAME_CHARS_MAX => Ok(()),
        _ => Err(violates(
            name,
            field,
            &format!("Member must have length less than or equal to {NAME_CHARS_MAX}"),
        )),
    }
}

fn write<T: serde::Serialize>(records: &Records, key: &Key, record: &T) -> Result<(), Refusal> {
    let mut change = Write::new();
    put(&mut change, key, record);
    Ok(records.commit(change)?)
}
