/*!
Data points as they are stored: one value for each series, second and step of the watcher, summed when read.

Nothing is read in order to write, and writing the same step again changes nothing.
*/

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use nightbell_core::anomaly::models::{Lecture, Lesson, ModelKey, TAUGHT_MAX_S};
use nightbell_core::evidence::Evidence;
use nightbell_core::metric::{Aggregate, Datum, Series};
use nightbell_core::time::{DAY_MS, HOUR_MS, SECOND_MS, Timestamp};
use nightbell_core::watch::Needed;
use nightbell_store::{Catalog, Position, Scan, Space, Write};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::catalog::{Failure, Key};

/// How long data points are kept.
pub(crate) const POINT_AGE_MAX_MS: i64 = 15 * DAY_MS;
/// Stored points read at once; they are merged before more are read.
const POINTS_AT_ONCE: usize = 10_000;
/// The first byte of a stored point; another form of it gets another.
const POINT_FORM: u8 = 1;
/// Series remembered as known; past it the memory is emptied and filled again.
const KNOWN_SERIES_MAX: usize = 100_000;
/// New series of one hour that are kept; data of more is dropped, counted and told. What a million made-up account
/// names in events can cost is bounded by this.
pub(crate) const NEW_SERIES_PER_HOUR_MAX: u32 = 50_000;
/// The same for series that alarms watch: past it the alarms still count them, but a restart forgets what they had.
pub(crate) const NEW_WATCHED_SERIES_PER_HOUR_MAX: u32 = 500_000;
/// Bytes of a series' short name in keys.
const SERIES_BYTES: usize = 16;

#[derive(Serialize, Deserialize)]
struct StoredPoint {
    unit: Option<String>,
    aggregate: Aggregate,
    evidence: Evidence,
}

/// The points of one step on their way into the store.
#[derive(Default)]
pub(crate) struct Step {
    points: HashMap<(Series, i64, Option<String>), (Aggregate, Evidence)>,
}

impl Step {
    /// Adds data; evidence is kept only where `watched` says that somebody will tell it.
    pub(crate) fn add(&mut self, data: &[Datum], watched: impl Fn(&Series) -> bool) {
        for datum in data {
            let key = (datum.series.clone(), datum.second, datum.unit.clone());
            let evidence = if watched(&datum.series) { datum.evidence.clone() } else { Evidence::default() };
            match self.points.entry(key) {
                std::collections::hash_map::Entry::Occupied(mut there) => {
                    there.get_mut().0.merge(&datum.aggregate);
                    there.get_mut().1.merge(&evidence);
                }
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert((datum.aggregate.clone(), evidence));
                }
            }
        }
    }

    /// Moves the points into `change`, under the step's `position`; returns how many were dropped because their series
    /// are beyond [`NEW_SERIES_PER_HOUR_MAX`].
    pub(crate) fn drain_into(
        &mut self,
        store: &dyn Catalog,
        change: &mut Write,
        position: Position,
        known: &mut Known,
        watched: impl Fn(&Series) -> bool,
        now: Timestamp,
    ) -> Result<u64, Failure> {
        let mut dropped = 0;
        for ((series, second, unit), (aggregate, evidence)) in self.points.drain() {
            let needed = watched(&series);
            if !known.admit(store, change, &series, needed, now)? {
                dropped += 1;
                continue;
            }
            let mut key = point_key(&series, second);
            key.extend_from_slice(&position.number().to_be_bytes());
            // Two units in one second are two points.
            key.extend_from_slice(unit.as_deref().unwrap_or_default().as_bytes());
            let stored = StoredPoint { unit, aggregate, evidence };
            let bytes = postcard::to_extend(&stored, vec![POINT_FORM]).expect("a point is plain data");
            change.put(Space::Points, key, bytes);
        }
        Ok(dropped)
    }
}

/// Series that are known to be in the list of metrics, and how many were new in this hour.
#[derive(Default)]
pub(crate) struct Known {
    /// Which emptying of the store this memory is newer than.
    epoch: u64,
    series: HashSet<Series>,
    hour: i64,
    new: u32,
}

impl Known {
    /// Forgets everything when the store was emptied since.
    pub(crate) fn renew(&mut self, epoch: u64) {
        if epoch != self.epoch {
            *self = Self { epoch, ..Self::default() };
        }
    }

    /// Whether data of `series` is kept: the more, where an alarm needs it after a restart. A new series is put into the list of metrics.
    fn admit(
        &mut self,
        store: &dyn Catalog,
        change: &mut Write,
        series: &Series,
        needed: bool,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        if self.series.contains(series) {
            return Ok(true);
        }
        let key = series_key(series);
        if store.get(Space::Series, &key)?.is_none() {
            let hour = now.as_millis().div_euclid(HOUR_MS);
            if hour != self.hour {
                (self.hour, self.new) = (hour, 0);
            }
            let max = if needed { NEW_WATCHED_SERIES_PER_HOUR_MAX } else { NEW_SERIES_PER_HOUR_MAX };
            if self.new >= max {
                return Ok(false);
            }
            self.new += 1;
            change.put(Space::Series, key, serde_json::to_vec(series).expect("a series is plain strings"));
        }
        if self.series.len() >= KNOWN_SERIES_MAX {
            self.series.clear();
        }
        self.series.insert(series.clone());
        Ok(true)
    }
}

/// The points of `series` from `from` (inclusive) to `to` (exclusive) in seconds, in order of time.
pub(crate) fn read(store: &dyn Catalog, series: &Series, from: i64, to: i64) -> Result<Vec<Datum>, Failure> {
    let (start, end) = (point_key(series, from), point_key(series, to));
    let mut scan = Scan::range(start, end.clone()).limit(POINTS_AT_ONCE);
    let mut merged: BTreeMap<(i64, Option<String>), (Aggregate, Evidence)> = BTreeMap::new();
    loop {
        let found = store.scan(Space::Points, &scan)?;
        let Some((last, _)) = found.last() else { break };
        scan = Scan::range(last.clone(), end.clone()).after(last.clone()).limit(POINTS_AT_ONCE);
        for (key, bytes) in found {
            let Some(second) = second_of(&key) else { continue };
            let Some(stored) = read_point(&bytes) else {
                warn!(series = series.name, second, "a damaged data point is left out");
                continue;
            };
            match merged.entry((second, stored.unit)) {
                Entry::Occupied(mut there) => {
                    there.get_mut().0.merge(&stored.aggregate);
                    there.get_mut().1.merge(&stored.evidence);
                }
                Entry::Vacant(free) => {
                    free.insert((stored.aggregate, stored.evidence));
                }
            }
        }
    }
    let datum = |((second, unit), (aggregate, evidence))| Datum {
        series: series.clone(),
        second,
        unit,
        aggregate,
        evidence,
    };
    Ok(merged.into_iter().map(datum).collect())
}

/// Hands the points of `series` from `from` (inclusive) to `to` (exclusive) to `each` in order of time; a day of them is
/// held at once.
pub(crate) fn read_each(
    store: &dyn Catalog,
    series: &Series,
    mut from: i64,
    to: i64,
    mut each: impl FnMut(&Datum),
) -> Result<(), Failure> {
    while from < to {
        let next = from.saturating_add(DAY_MS / SECOND_MS).min(to);
        read(store, series, from, next)?.iter().for_each(&mut each);
        from = next;
    }
    Ok(())
}

/// What is stored about the past of a model, up to `now`.
pub(crate) fn lesson(store: &dyn Catalog, key: ModelKey, now: Timestamp) -> Result<Lesson, Failure> {
    let series = key.series.clone();
    let mut lecture = Lecture::new(key);
    let from = now.second().saturating_sub(TAUGHT_MAX_S);
    read_each(store, &series, from, now.second().saturating_add(1), |datum| lecture.take(datum))?;
    Ok(lecture.finish())
}

fn read_point(bytes: &[u8]) -> Option<StoredPoint> {
    match bytes.split_first() {
        Some((&POINT_FORM, rest)) => postcard::from_bytes(rest).ok(),
        _ => None,
    }
}

/// The series of a region, by namespace, name and dimensions.
pub(crate) fn list_series(store: &dyn Catalog, region: &str, limit: usize) -> Result<Vec<Series>, Failure> {
    let prefix = Key::prefix(&[region], "");
    let found = store.scan(Space::Series, &Scan::prefix(prefix.bytes()).limit(limit))?;
    Ok(found.iter().filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()).collect())
}

/// Every series of a metric.
pub(crate) fn list_metric(
    store: &dyn Catalog,
    region: &str,
    namespace: &str,
    name: &str,
) -> Result<Vec<Series>, Failure> {
    let prefix = Key::prefix(&[region, namespace, name], "");
    let mut scan = Scan::prefix(prefix.bytes()).limit(POINTS_AT_ONCE);
    let mut all = Vec::new();
    loop {
        let found = store.scan(Space::Series, &scan)?;
        let Some((last, _)) = found.last() else { return Ok(all) };
        scan = Scan::prefix(prefix.bytes()).limit(POINTS_AT_ONCE).after(last.clone());
        all.extend(found.iter().filter_map(|(_, bytes)| serde_json::from_slice::<Series>(bytes).ok()));
    }
}

/// What an alarm needs from `from` on.
pub(crate) fn read_needed(store: &dyn Catalog, needed: &Needed, from: i64) -> Result<Vec<Datum>, Failure> {
    match needed {
        Needed::Series(series) => read(store, series, from, i64::MAX),
        Needed::Metric { region, namespace, name } => {
            let mut all = Vec::new();
            for series in list_metric(store, region, namespace, name)? {
                all.extend(read(store, &series, from, i64::MAX)?);
            }
            Ok(all)
        }
    }
}

/// Namespace and name first, so that each is a range; the rest as a hash, because thirty dimensions would not fit.
fn series_key(series: &Series) -> Vec<u8> {
    let mut key = Key::prefix(&[&series.region, &series.namespace, &series.name], "").bytes().to_vec();
    key.extend_from_slice(&series_hash(series));
    key
}

fn point_key(series: &Series, second: i64) -> Vec<u8> {
    let mut key = series_hash(series).to_vec();
    key.extend_from_slice(&second.max(0).to_be_bytes());
    key
}

fn series_hash(series: &Series) -> [u8; SERIES_BYTES] {
    let mut hash = Sha256::new();
    let parts = [&series.region, &series.namespace, &series.name].into_iter();
    let dimensions = series.dimensions.iter().flat_map(|(name, value)| [name, value]);
    for part in parts.chain(dimensions) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut short = [0; SERIES_BYTES];
    short.copy_from_slice(&hash.finalize()[..SERIES_BYTES]);
    short
}

/// When the point under a key of the store happened.
pub(super) fn time_of(key: &[u8]) -> Option<Timestamp> {
    second_of(key).map(Timestamp::from_seconds)
}

fn second_of(key: &[u8]) -> Option<i64> {
    let bytes = key.get(SERIES_BYTES..SERIES_BYTES + 8)?;
    Some(i64::from_be_bytes(bytes.try_into().ok()?))
}
