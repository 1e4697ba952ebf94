/*!
The configuration as the watcher has taken it from the stream: what it is restored from.

The catalog is ahead of the watcher by what waits in the stream. Were alarms restored from there, one that was changed or
deleted just before a crash would judge what came before the change by what came after it. Each copy is saved in the step
that took it. Mute rules keep theirs in `mutes`.
*/

use nightbell_core::alarm::MetricAlarm;
use nightbell_core::alarm::composite::{CompositeAlarm, CompositeRuntime};
use nightbell_core::anomaly::{AnomalyDetector, Watched};
use nightbell_core::watch::{Input, Runtime};
use nightbell_store::{Catalog, Scan, Space, Write};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use super::{alarms, composites, detectors};
use crate::catalog::Failure;

const ALARM: &[u8] = b"taken\0alarm\0";
const COMPOSITE: &[u8] = b"taken\0composite\0";
const DETECTOR: &[u8] = b"taken\0detector\0";
/// What is read at once.
const AT_ONCE: usize = 1_000;

/// Keeps what an input says of alarms and detectors.
pub(crate) fn keep(change: &mut Write, input: &Input) {
    match input {
        Input::PutAlarm { alarm, .. } => save_alarm(change, alarm),
        Input::PutComposite { alarm } => save(change, key(COMPOSITE, alarm.arn.as_bytes()), alarm),
        Input::DeleteAlarm { arn } => {
            change.delete(Space::Watch, key(ALARM, arn.as_bytes()));
            change.delete(Space::Watch, key(COMPOSITE, arn.as_bytes()));
        }
        Input::PutDetector { detector, .. } => save(change, detector_key(&detector.watched), detector),
        Input::DeleteDetector { watched } => {
            change.delete(Space::Watch, detector_key(watched));
        }
        _ => {}
    }
}

/// Adds an alarm as it was taken.
pub(crate) fn save_alarm(change: &mut Write, alarm: &MetricAlarm) {
    save(change, key(ALARM, alarm.arn.as_bytes()), alarm);
}

/// The metric alarms that were taken, with their states.
pub(crate) fn alarms(store: &dyn Catalog) -> Result<Vec<(MetricAlarm, Runtime)>, Failure> {
    let taken: Vec<MetricAlarm> = read_all(store, ALARM)?;
    let with_state = |alarm: MetricAlarm| {
        let runtime = alarms::saved_runtime(store, &alarm)?;
        Ok((alarm, runtime))
    };
    taken.into_iter().map(with_state).collect()
}

/// The composite alarms that were taken, with their states.
pub(crate) fn composites(store: &dyn Catalog) -> Result<Vec<(CompositeAlarm, CompositeRuntime)>, Failure> {
    let taken: Vec<CompositeAlarm> = read_all(store, COMPOSITE)?;
    let with_state = |alarm: CompositeAlarm| {
        let runtime = composites::saved_runtime(store, &alarm)?;
        Ok((alarm, runtime))
    };
    taken.into_iter().map(with_state).collect()
}

/// The anomaly detectors that were taken.
pub(crate) fn detectors(store: &dyn Catalog) -> Result<Vec<AnomalyDetector>, Failure> {
    read_all(store, DETECTOR)
}

fn key(kind: &[u8], rest: &[u8]) -> Vec<u8> {
    [kind, rest].concat()
}

fn detector_key(watched: &Watched) -> Vec<u8> {
    key(DETECTOR, detectors::key(watched).bytes())
}

fn save<T: Serialize>(change: &mut Write, key: Vec<u8>, value: &T) {
    let bytes = serde_json::to_vec(value).expect("a configuration is plain data with string keys");
    change.put(Space::Watch, key, bytes);
}

fn read_all<T: DeserializeOwned>(store: &dyn Catalog, prefix: &[u8]) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    let mut scan = Scan::prefix(prefix).limit(AT_ONCE);
    loop {
        let found = store.scan(Space::Watch, &scan)?;
        let Some((last, _)) = found.last() else { return Ok(all) };
        scan = Scan::prefix(prefix).limit(AT_ONCE).after(last.clone());
        for (key, bytes) in &found {
            match serde_json::from_slice(bytes) {
                Ok(one) => all.push(one),
                // One that cannot be read must keep nobody from the others.
                Err(error) => {
                    warn!(key = %String::from_utf8_lossy(key), %error, "what was taken of it is damaged");
                }
            }
        }
    }
}
