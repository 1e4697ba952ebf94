/*!
Delivery streams: made, changed, deleted, and records put into them ("Amazon Data Firehose API Reference").
*/

use std::collections::BTreeMap;

use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Refusal;
use crate::app::App;
use crate::catalog::{Failure, Key, Records, delete, put};
use crate::streams::plan::{Kind, Plan};

/// Streams of a region ("Amazon Data Firehose Quota").
pub(crate) const STREAMS_MAX: usize = 5_000;
/// Letters of a stream's name.
pub(crate) const STREAM_NAME_CHARS_MAX: usize = 64;
/// Tags of a stream.
pub(crate) const STREAM_TAGS_MAX: usize = 50;
/// Bytes of a record.
pub(crate) const RECORD_BYTES_MAX: usize = 1_024_000;
/// Records of one PutRecordBatch; bytes of all of them.
pub(crate) const BATCH_RECORDS_MAX: usize = 500;
/// Bytes of one PutRecordBatch.
pub(crate) const RECORDS_BYTES_MAX: usize = 4 << 20;

/// A delivery stream.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeliveryStream {
    /// Its name.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it was last changed.
    pub(crate) updated: Option<Timestamp>,
    /// 1, and one more with each change.
    pub(crate) version: u64,
    /// Where it leads.
    pub(crate) kind: Kind,
    /// The destination as it was given, without secrets.
    pub(crate) destination: Map<String, Value>,
    /// What the endpoint knows it by; never shown.
    pub(crate) secret: Option<String>,
    /// Tags.
    pub(crate) tags: BTreeMap<String, String>,
}

impl DeliveryStream {
    /// Its destination, read.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        Plan::read(self.kind, &self.destination, self.secret.as_deref())
    }
}

/// What came of an attempt to change a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Done,
    /// There is no such stream.
    Missing,
    /// There is one of this name.
    Exists,
    /// It was changed meanwhile.
    Changed,
}

fn key(region: &str, name: &str) -> Key {
    Key::of(&["delivery-stream", region, name])
}

/// The ARN of a stream.
pub(crate) fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:firehose:{region}:{account}:deliverystream/{name}")
}

/// The stream of this name.
pub(crate) fn find(records: &Records, region: &str, name: &str) -> Result<Option<DeliveryStream>, Failure> {
    records.get(&key(region, name))
}

/// The names of a region's streams.
pub(crate) fn list(records: &Records, region: &str) -> Result<Vec<DeliveryStream>, Failure> {
    records.list(&Key::prefix(&["delivery-stream", region], ""))
}

/// Makes a stream.
pub(crate) fn create(records: &Records, region: &str, stream: &DeliveryStream) -> Result<Outcome, Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !(1..=STREAM_NAME_CHARS_MAX).contains(&stream.name.len()) || !stream.name.chars().all(plain) {
        let name: String = stream.name.chars().take(100).collect();
        let text = format!(
            "DeliveryStreamName '{name}' is not 1 to {STREAM_NAME_CHARS_MAX} letters, digits, '_', '.' or '-'"
        );
        return Err(Refusal::Invalid(text));
    }
    stream.plan().map_err(Refusal::Invalid)?;
    check_tags(&stream.tags)?;
    let _turn = records.turn();
    if find(records, region, &stream.name)?.is_some() {
        return Ok(Outcome::Exists);
    }
    if records.keys(&Key::prefix(&["delivery-stream", region], ""))?.len() >= STREAMS_MAX {
        return Err(Refusal::Limit(format!(
            "There are {STREAMS_MAX} delivery streams in the region; that is the limit"
        )));
    }
    let mut change = Write::new();
    put(&mut change, &key(region, &stream.name), stream);
    records.commit(change)?;
    Ok(Outcome::Done)
}

/// Deletes a stream, with what waits for it.
pub(crate) fn remove(app: &App, region: &str, name: &str) -> Result<Outcome, Refusal> {
    let _turn = app.records.turn();
    if find(&app.records, region, name)?.is_none() {
        return Ok(Outcome::Missing);
    }
    let mut change = Write::new();
    delete(&mut change, &key(region, name));
    app.buffers.drop_stream(&app.records, &(region.to_owned(), name.to_owned()), &mut change)?;
    app.records.commit(change)?;
    Ok(Outcome::Done)
}

/// Changes a stream by `edit`; with `version`, only if that is its version.
pub(crate) fn change(
    records: &Records,
    region: &str,
    name: &str,
    version: Option<&str>,
    edit: impl FnOnce(&mut DeliveryStream) -> Result<(), String>,
) -> Result<Outcome, Refusal> {
    let _turn = records.turn();
    let Some(mut stream) = find(records, region, name)? else { return Ok(Outcome::Missing) };
    if version.is_some_and(|version| version != stream.version.to_string()) {
        return Ok(Outcome::Changed);
    }
    edit(&mut stream).map_err(Refusal::Invalid)?;
    stream.plan().map_err(Refusal::Invalid)?;
    check_tags(&stream.tags)?;
    let mut write = Write::new();
    put(&mut write, &key(region, name), &stream);
    records.commit(write)?;
    Ok(Outcome::Done)
}

/// Stores records for a stream: on disk when this returns. `false` where too much waits for it.
pub(crate) fn accept(
    app: &App,
    region: &str,
    name: &str,
    given: &[Vec<u8>],
    now: Timestamp,
) -> Result<bool, Refusal> {
    let stream = (region.to_owned(), name.to_owned());
    if !app.buffers.has_room(&stream, given.iter().map(|record| record.len() as u64).sum()) {
        return Ok(false);
    }
    let mut change = Write::new();
    let added = app.buffers.add(&stream, given, now, &mut change);
    app.records.commit(change)?;
    app.buffers.count(added);
    Ok(true)
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let sound = |(key, value): (&String, &String)| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256
    };
    if tags.len() > STREAM_TAGS_MAX || !tags.iter().all(sound) {
        let text = format!(
            "A delivery stream has at most {STREAM_TAGS_MAX} tags, of 1 to 128 and at most 256 characters"
        );
        return Err(Refusal::Invalid(text));
    }
    Ok(())
}
