/*!
Anomaly detectors: configured, listed, deleted; and the models that the watcher saves.

A change goes into the catalog and, in the same step, into the `metrics` stream, as with alarms. Rules: CloudWatch API
reference, "PutAnomalyDetector", "DeleteAnomalyDetector".
*/

use nightbell_core::alarm::{ExpressionMeasure, Measure, MetricAlarm};
use nightbell_core::anomaly::models::ModelKey;
use nightbell_core::anomaly::{AnomalyDetector, Model, Watched};
use nightbell_core::distinct::key_of;
use nightbell_core::math::{MetricQuery, Queries};
use nightbell_core::metric::Series;
use nightbell_core::time::Timestamp;
use nightbell_core::watch::Input;
use nightbell_store::{Catalog, Position, Scan, Space, Write};

use super::alarms::{push, pushed};
use super::{Refusal, Resource};
use crate::catalog::{Failure, Key, Records, delete, put as put_record};

/// Detectors of one region. Band alarms beyond it are judged by models without a detector.
pub(crate) const DETECTORS_MAX: usize = 500;
/// The first byte of a saved model; another form of it gets another.
const MODEL_FORM: u8 = 1;
/// What keys of saved models begin with; those of alarms begin with `arn:`.
const MODEL_PREFIX: &[u8] = b"model\0";
/// Saved models read at once.
const MODELS_AT_ONCE: usize = 100;

/// Makes or replaces a detector. Returns the position after which the watcher knows it.
pub(crate) fn put(records: &Records, detector: AnomalyDetector, now: Timestamp) -> Result<Position, Refusal> {
    detector.check().map_err(Refusal::Alarm)?;
    let _turn = records.turn();
    let mut change = Write::new();
    let known = records.get::<AnomalyDetector>(&key(&detector.watched))?.is_some();
    if !known && is_full(records, &detector.watched)? {
        let text = format!("There are {DETECTORS_MAX} anomaly detectors in the region; that is the limit");
        return Err(Refusal::Limit(text));
    }
    write(&mut change, detector, now);
    pushed(records, change)
}

/// Makes the detector that an alarm on a band implies, where there is none; the alarm's turn is held.
pub(super) fn put_implied(
    records: &Records,
    change: &mut Write,
    alarm: &MetricAlarm,
    now: Timestamp,
) -> Result<(), Failure> {
    let (Measure::Expression(measure), Some(band)) = (&alarm.measure, &alarm.band) else { return Ok(()) };
    let Some(watched) = implied(measure, band) else { return Ok(()) };
    if records.get::<AnomalyDetector>(&key(&watched))?.is_none() && !is_full(records, &watched)? {
        let plain = AnomalyDetector { watched, excluded: Vec::new(), timezone: None, periodic_spikes: false };
        write(change, plain, now);
    }
    Ok(())
}

/// What a detector for the band of these entries watches.
fn implied(measure: &ExpressionMeasure, band: &str) -> Option<Watched> {
    let formula = Queries::read(&measure.entries).ok()?.formula(&measure.watched(Some(band))?.id)?;
    Some(ModelKey::of_formula(&formula)?.watched)
}

/// Deletes a detector.
pub(crate) fn remove(records: &Records, watched: Watched, now: Timestamp) -> Result<Position, Refusal> {
    let _turn = records.turn();
    let key = key(&watched);
    if records.get::<AnomalyDetector>(&key)?.is_none() {
        return Err(Refusal::Missing(Resource::Detector));
    }
    let mut change = Write::new();
    delete(&mut change, &key);
    push(&mut change, now, Input::DeleteDetector { watched });
    pushed(records, change)
}

/// The detectors of a region, by namespace and metric, each with the key it is listed under.
pub(crate) fn list(records: &Records, region: &str) -> Result<Vec<(String, AnomalyDetector)>, Failure> {
    let found = records.list_with_keys(&Key::prefix(&["detector", region], ""))?;
    Ok(found.into_iter().map(|(key, one)| (String::from_utf8_lossy(&key).into_owned(), one)).collect())
}

/// Every detector of every region.
pub(crate) fn list_all(records: &Records) -> Result<Vec<AnomalyDetector>, Failure> {
    records.list(&Key::prefix(&["detector"], ""))
}

/// The detector of a series and statistic, where there is one.
pub(crate) fn find(records: &Records, watched: &Watched) -> Result<Option<AnomalyDetector>, Failure> {
    records.get(&key(watched))
}

/// Adds or removes a saved model.
pub(crate) fn save_model(change: &mut Write, key: &ModelKey, model: Option<&Model>) {
    match model {
        None => {
            change.delete(Space::Watch, model_key(key));
        }
        Some(model) => {
            let bytes = postcard::to_extend(&(key, model), vec![MODEL_FORM]).expect("a model is plain data");
            change.put(Space::Watch, model_key(key), bytes);
        }
    }
}

/// A model as it was last saved: at most a minute ago where it learns.
pub(crate) fn saved_model(store: &dyn Catalog, key: &ModelKey) -> Result<Option<Model>, Failure> {
    let found = store.get(Space::Watch, &model_key(key))?;
    Ok(found.and_then(|bytes| read_model(&bytes)).filter(|(of, _)| of == key).map(|(_, model)| model))
}

/// All models as they were saved.
pub(crate) fn saved_models(store: &dyn Catalog) -> Result<Vec<(ModelKey, Model)>, Failure> {
    let mut all = Vec::new();
    let mut scan = Scan::prefix(MODEL_PREFIX).limit(MODELS_AT_ONCE);
    loop {
        let found = store.scan(Space::Watch, &scan)?;
        let Some((last, _)) = found.last() else { return Ok(all) };
        scan = Scan::prefix(MODEL_PREFIX).limit(MODELS_AT_ONCE).after(last.clone());
        // One that cannot be read is learned anew.
        all.extend(found.iter().filter_map(|(_, bytes)| read_model(bytes)));
    }
}

fn read_model(bytes: &[u8]) -> Option<(ModelKey, Model)> {
    match bytes.split_first() {
        Some((&MODEL_FORM, rest)) => postcard::from_bytes(rest).ok(),
        _ => None,
    }
}

fn write(change: &mut Write, detector: AnomalyDetector, now: Timestamp) {
    put_record(change, &key(&detector.watched), &detector);
    push(change, now, Input::PutDetector { detector, past: Vec::new() });
}

fn is_full(records: &Records, watched: &Watched) -> Result<bool, Failure> {
    let held = records.keys(&Key::prefix(&["detector", watched.region()], ""))?;
    Ok(held.len() >= DETECTORS_MAX)
}

/// Namespace and metric first, so that listings are in their order; dimensions as a hash, for thirty would not fit.
/// Expressions have neither and come before all metrics.
pub(super) fn key(watched: &Watched) -> Key {
    match watched {
        Watched::Metric { series, statistic } => {
            let hash = format!("{:016x}", key_of(&parts(series)));
            Key::of(&["detector", &series.region, &series.namespace, &series.name, &hash, statistic])
        }
        Watched::Expression(entries) => {
            let hash = format!("{:016x}", key_of(&[&text_of(entries)]));
            Key::of(&["detector", watched.region(), "", "", &hash, ""])
        }
    }
}

fn text_of(entries: &[MetricQuery]) -> String {
    serde_json::to_string(entries).expect("entries are plain data")
}

fn model_key(key: &ModelKey) -> Vec<u8> {
    let period = key.period_s.to_string();
    let unit = key.unit.as_deref().unwrap_or_default();
    let hash = match &key.watched {
        Watched::Metric { series, statistic } => {
            let mut all = parts(series);
            all.extend([statistic.as_str(), unit, &period]);
            key_of(&all)
        }
        Watched::Expression(entries) => key_of(&["expression", &text_of(entries), unit, &period]),
    };
    [MODEL_PREFIX, &hash.to_be_bytes()].concat()
}

fn parts(series: &Series) -> Vec<&str> {
    let dimensions = series.dimensions.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    [series.region.as_str(), &series.namespace, &series.name].into_iter().chain(dimensions).collect()
}
