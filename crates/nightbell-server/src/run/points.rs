/*!
Data points as they are stored: one value for each series, second and step of the watcher, summed when read
(`points::reading`). As they age, `tiers` folds them into points that stand for longer; these lie under the same keys, with
a tier in the place of the step.

Nothing is read in order to write, and writing the same step again changes nothing.
*/

use std::collections::{HashMap, HashSet, hash_map};

use nightbell_core::evidence::Evidence;
use nightbell_core::history::TIERS;
use nightbell_core::metric::{Aggregate, Datum, Series};
use nightbell_core::time::{HOUR_MS, Timestamp};
use nightbell_store::{Catalog, Position, Scan, Space, Write};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(crate) use reading::{Point, lesson, read, read_each};

use crate::catalog::{Failure, Key};

mod reading;

/// Stored points, or series, read at once.
const POINTS_AT_ONCE: usize = 10_000;
/// The first byte of a stored point; another form of it gets another.
const POINT_FORM: u8 = 1;
/// Series remembered as known; past it the memory is emptied and filled again.
const KNOWN_SERIES_MAX: usize = 100_000;
/// New series of one hour that are kept; data of more is dropped, counted and told. What a million made-up account
/// names in events can cost is bounded by this.
pub(crate) const NEW_SERIES_PER_HOUR_MAX: u32 = 50_000;
/// The same for series that alarms watch: past it the alarms still count them, but a restart forgets what they had. Of those
/// beyond [`NEW_SERIES_PER_HOUR_MAX`] the first point is kept without evidence.
pub(crate) const NEW_WATCHED_SERIES_PER_HOUR_MAX: u32 = 500_000;
/// Room made for a point with the evidence of one event.
const POINT_BYTES_USUAL: usize = 768;
/// Bytes of a series' short name in keys.
pub(super) const SERIES_BYTES: usize = 16;
/// Stands in the key of a folded point where others have the step that wrote them: no step comes as far.
const FOLDED: [u8; 8] = [u8::MAX; 8];

/// The value of a stored point.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredPoint {
    pub(super) unit: Option<String>,
    pub(super) aggregate: Aggregate,
    pub(super) evidence: Evidence,
}

/// A point as it is written; reads back as a [`StoredPoint`].
#[derive(Serialize)]
struct PointToStore<'a> {
    unit: &'a Option<String>,
    aggregate: &'a Aggregate,
    evidence: &'a Evidence,
}

/// The points of one step on their way into the store, as bytes: an attack brings tens of thousands in a second.
#[derive(Default)]
pub(crate) struct Step {
    points: Vec<Gathered>,
    /// Where in `points` a series, second and unit stand.
    places: HashMap<(ShortName, i64, Option<String>), usize>,
}

/// A point that waits for the end of its step.
struct Gathered {
    short: ShortName,
    series: Series,
    second: i64,
    unit: Option<String>,
    point: Pending,
}

/// A point in its step: most come once, and are bytes at once; one that comes again is unpacked until the end.
enum Pending {
    Once(Vec<u8>),
    Often(Box<StoredPoint>),
}

impl Pending {
    fn merge(&mut self, aggregate: &Aggregate, evidence: &Evidence) {
        let mut whole = match std::mem::replace(self, Self::Once(Vec::new())) {
            Self::Once(bytes) => Box::new(read_point(&bytes).expect("it was written by this step")),
            Self::Often(whole) => whole,
        };
        whole.aggregate.merge(aggregate);
        whole.evidence.merge(evidence);
        *self = Self::Often(whole);
    }

    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Once(bytes) => bytes,
            Self::Often(whole) => write_point(&whole.unit, &whole.aggregate, &whole.evidence),
        }
    }

    /// Without what its events have to say.
    fn into_numbers(self) -> Vec<u8> {
        let whole = match self {
            Self::Once(bytes) => read_point(&bytes).expect("it was written by this step"),
            Self::Often(whole) => *whole,
        };
        write_point(&whole.unit, &whole.aggregate, &Evidence::default())
    }
}

impl Step {
    /// Adds data; evidence is kept only where `watched` says that somebody will tell it.
    pub(crate) fn add(&mut self, data: &[Datum], watched: impl Fn(&Series) -> bool) {
        let nothing = Evidence::default();
        for datum in data {
            let short = short_name(&datum.series);
            let evidence = if watched(&datum.series) { &datum.evidence } else { &nothing };
            match self.places.entry((short, datum.second, datum.unit.clone())) {
                hash_map::Entry::Occupied(there) => {
                    self.points[*there.get()].point.merge(&datum.aggregate, evidence);
                }
                hash_map::Entry::Vacant(free) => {
                    free.insert(self.points.len());
                    self.points.push(Gathered {
                        short,
                        series: datum.series.clone(),
                        second: datum.second,
                        unit: datum.unit.clone(),
                        point: Pending::Once(write_point(&datum.unit, &datum.aggregate, evidence)),
                    });
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
        self.places.clear();
        for Gathered { short, series, second, unit, point } in self.points.drain(..) {
            let bytes = match known.admit(store, change, (&series, short), || watched(&series), now)? {
                Kept::Whole => point.into_bytes(),
                Kept::Numbers => point.into_numbers(),
                Kept::Nothing => {
                    dropped += 1;
                    continue;
                }
            };
            let mut key = key_at(short, second);
            key.extend_from_slice(&position.number().to_be_bytes());
            // Two units in one second are two points.
            key.extend_from_slice(unit.as_deref().unwrap_or_default().as_bytes());
            change.put(Space::Points, key, bytes);
        }
        Ok(dropped)
    }
}

pub(super) fn write_point(unit: &Option<String>, aggregate: &Aggregate, evidence: &Evidence) -> Vec<u8> {
    let point = PointToStore { unit, aggregate, evidence };
    let mut bytes = Vec::with_capacity(POINT_BYTES_USUAL);
    bytes.push(POINT_FORM);
    postcard::to_extend(&point, bytes).expect("a point is plain data")
}

/// Series that are known to be in the list of metrics, by their short names, and how many were new in this hour.
#[derive(Default)]
pub(crate) struct Known {
    /// Which emptying of the store this memory is newer than.
    epoch: u64,
    series: HashSet<ShortName>,
    hour: i64,
    new: u32,
}

/// What is kept of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Whole,
    /// All but what its events have to say: that is most of a point, and writing it for each of very many new names would
    /// hold up those who are to be told.
    Numbers,
    Nothing,
}

impl Known {
    /// Forgets everything when the store was emptied since.
    pub(crate) fn renew(&mut self, epoch: u64) {
        if epoch != self.epoch {
            *self = Self { epoch, ..Self::default() };
        }
    }

    /// What of the data of `series` is kept: the more, where an alarm needs it after a restart. A new series is put into
    /// the list of metrics.
    fn admit(
        &mut self,
        store: &dyn Catalog,
        change: &mut Write,
        (series, short): (&Series, ShortName),
        needed: impl Fn() -> bool,
        now: Timestamp,
    ) -> Result<Kept, Failure> {
        if self.series.contains(&short) {
            return Ok(Kept::Whole);
        }
        let mut kept = Kept::Whole;
        let key = series_key(series, short);
        if store.get(Space::Series, &key)?.is_none() {
            let hour = now.as_millis().div_euclid(HOUR_MS);
            if hour != self.hour {
                (self.hour, self.new) = (hour, 0);
            }
            let max = if needed() { NEW_WATCHED_SERIES_PER_HOUR_MAX } else { NEW_SERIES_PER_HOUR_MAX };
            if self.new >= max {
                return Ok(Kept::Nothing);
            }
            if self.new >= NEW_SERIES_PER_HOUR_MAX {
                kept = Kept::Numbers;
            }
            self.new += 1;
            change.put(Space::Series, key, serde_json::to_vec(series).expect("a series is plain strings"));
        }
        if self.series.len() >= KNOWN_SERIES_MAX {
            self.series.clear();
        }
        self.series.insert(short);
        Ok(kept)
    }
}

pub(super) fn read_point(bytes: &[u8]) -> Option<StoredPoint> {
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
    let mut all = Vec::new();
    each_of_metric(store, region, namespace, name, |series| {
        all.push(series.clone());
        Ok(())
    })?;
    Ok(all)
}

/// Hands every series of a metric to `each`; [`POINTS_AT_ONCE`] of them are held at once.
pub(crate) fn each_of_metric(
    store: &dyn Catalog,
    region: &str,
    namespace: &str,
    name: &str,
    mut each: impl FnMut(&Series) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let prefix = Key::prefix(&[region, namespace, name], "");
    let mut scan = Scan::prefix(prefix.bytes()).limit(POINTS_AT_ONCE);
    loop {
        let found = store.scan(Space::Series, &scan)?;
        let Some((last, _)) = found.last() else { return Ok(()) };
        scan = Scan::prefix(prefix.bytes()).limit(POINTS_AT_ONCE).after(last.clone());
        for (_, bytes) in &found {
            if let Ok(series) = serde_json::from_slice(bytes) {
                each(&series)?;
            }
        }
    }
}

/// Namespace and name first, so that each is a range; the rest as a hash, because thirty dimensions would not fit.
fn series_key(series: &Series, short: ShortName) -> Vec<u8> {
    let mut key = Key::prefix(&[&series.region, &series.namespace, &series.name], "").bytes().to_vec();
    key.extend_from_slice(&short);
    key
}

/// Where the points of a second begin.
pub(super) fn key_at(short: ShortName, second: i64) -> Vec<u8> {
    let mut key = short.to_vec();
    key.extend_from_slice(&second.max(0).to_be_bytes());
    key
}

/// The key of a point that stands for the bucket of `tier` from `start` on.
pub(super) fn folded_key(short: ShortName, start: i64, tier: usize, unit: Option<&str>) -> Vec<u8> {
    let mut key = key_at(short, start);
    key.extend_from_slice(&FOLDED);
    key.push(u8::try_from(tier).expect("there are four"));
    key.extend_from_slice(unit.unwrap_or_default().as_bytes());
    key
}

/// Where a stored point lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) short: ShortName,
    /// The first second it stands for.
    pub(super) second: i64,
    /// For how many: an index into [`TIERS`].
    pub(super) tier: usize,
}

/// The place that a key names; `None` for a key that this version does not write.
pub(super) fn place_of(key: &[u8]) -> Option<Place> {
    let (short, rest) = key.split_first_chunk::<SERIES_BYTES>()?;
    let (second, rest) = rest.split_first_chunk::<8>()?;
    let (step, rest) = rest.split_first_chunk::<8>()?;
    let tier = if *step == FOLDED { usize::from(*rest.first()?) } else { 0 };
    let second = i64::from_be_bytes(*second);
    (tier < TIERS.len()).then_some(Place { short: *short, second, tier })
}

/// What tells a series from all others in keys.
pub(super) type ShortName = [u8; SERIES_BYTES];

pub(super) fn short_name(series: &Series) -> ShortName {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nightbell_store::{Durability, MemoryStore};

    use super::*;
    use crate::catalog::Records;

    const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

    fn datum(user: &str, unit: Option<&str>) -> Datum {
        Datum {
            series: Series::new("site", "logons", "Failed", vec![("User".to_owned(), user.to_owned())]),
            second: NOW.second(),
            unit: unit.map(str::to_owned),
            aggregate: Aggregate::one(1.0),
            evidence: Evidence { events: 1, first: Some(NOW), last: Some(NOW), ..Evidence::default() },
        }
    }

    /// Writes one step; gives how many points were dropped.
    fn write(records: &Records, known: &mut Known, position: u64, data: &[Datum], watched: bool) -> u64 {
        let (mut step, mut change) = (Step::default(), Write::new());
        data.iter().for_each(|datum| step.add(std::slice::from_ref(datum), |_| watched));
        let position = Position::new(position);
        let store = records.store();
        let dropped = step.drain_into(&**store, &mut change, position, known, |_| watched, NOW).unwrap();
        store.commit(change, Durability::Process).unwrap();
        dropped
    }

    /// Sum and events of what is read back.
    fn stored(records: &Records, user: &str) -> Vec<(f64, u64)> {
        let read = read(records, &datum(user, None).series, 0, i64::MAX).unwrap();
        read.iter().map(|point| (point.datum.aggregate.sum, point.datum.evidence.events)).collect()
    }

    #[test]
    fn what_comes_of_one_second_in_a_step_is_one_point_for_each_unit() {
        let (store, mut known) = (Records::new(Arc::new(MemoryStore::default())), Known::default());
        let data = [datum("ann", None), datum("ann", None), datum("bob", None), datum("ann", Some("Count"))];
        assert_eq!(write(&store, &mut known, 1, &data, true), 0);
        assert_eq!(store.store().scan(Space::Points, &Scan::all()).unwrap().len(), 3);
        assert_eq!(stored(&store, "ann"), [(2.0, 2), (1.0, 1)]);
        assert_eq!(stored(&store, "bob"), [(1.0, 1)]);
        write(&store, &mut known, 2, &data[..1], false);
        assert_eq!(stored(&store, "ann"), [(3.0, 2), (1.0, 1)], "evidence is for those who are told");
    }

    #[test]
    fn a_key_tells_its_place() {
        let short = short_name(&datum("ann", None).series);
        let mut key = key_at(short, 7);
        key.extend_from_slice(&Position::new(9).number().to_be_bytes());
        assert_eq!(place_of(&key), Some(Place { short, second: 7, tier: 0 }));
        for unit in [None, Some("Count")] {
            let folded = folded_key(short, 60, 1, unit);
            assert_eq!(place_of(&folded), Some(Place { short, second: 60, tier: 1 }));
        }
        assert_eq!(place_of(&folded_key(short, 60, TIERS.len(), None)), None, "of a newer version");
        assert_eq!(place_of(&key[..SERIES_BYTES + 8]), None);
    }

    #[test]
    fn of_very_many_new_series_numbers_are_kept_and_then_nothing() {
        let (store, mut known) = (Records::new(Arc::new(MemoryStore::default())), Known::default());
        write(&store, &mut known, 1, &[datum("ann", None)], true);
        known.new = NEW_SERIES_PER_HOUR_MAX;
        assert_eq!(write(&store, &mut known, 2, &[datum("bob", None), datum("ann", None)], true), 0);
        assert_eq!((stored(&store, "bob"), stored(&store, "ann")), (vec![(1.0, 0)], vec![(2.0, 2)]));
        write(&store, &mut known, 3, &[datum("bob", None)], true);
        assert_eq!(stored(&store, "bob"), [(2.0, 1)], "only the first point is without");
        assert_eq!(write(&store, &mut known, 4, &[datum("eve", None)], false), 1, "nobody watches it");
        known.new = NEW_WATCHED_SERIES_PER_HOUR_MAX;
        assert_eq!(write(&store, &mut known, 5, &[datum("eve", None), datum("bob", None)], true), 1);
        assert_eq!((stored(&store, "eve"), stored(&store, "bob")), (vec![], vec![(3.0, 2)]));
    }
}
