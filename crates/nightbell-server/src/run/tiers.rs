/*!
Folds stored data points as they age, and forgets the oldest (`nightbell_core::history`).

Points of a bucket go and their fold comes in one commit, so that a crash or a reader between finds either. What an alarm
still looks at stays as fine as its windows are: a restart must find them as they were. A pass looks at what came of age
since the last one and, once a day, at everything, for data that came late and alarms that are gone.
*/

use std::collections::{BTreeMap, HashMap};

use nightbell_core::evidence::Evidence;
use nightbell_core::history::{COARSEST_S, POINT_AGE_MAX_MS, TIERS, bucket_start, tier_at};
use nightbell_core::metric::Aggregate;
use nightbell_core::time::{DAY_MS, Timestamp};
use nightbell_core::watch::{Needed, Watch};
use nightbell_store::{Durability, Kind, Scan, Space, Write};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::points::{self, Place, SERIES_BYTES, ShortName};
use crate::catalog::{Failure, Key, Records, put};
use crate::manage::taken;

/// Stored points looked at, and at most folded, in one commit.
const STEP_POINTS_MAX: usize = 1_000;
/// Stored points looked at where nothing has come of age; doubles while something has.
const STEP_POINTS_MIN: usize = 64;
/// Time between two passes over everything, in milliseconds.
const WHOLE_PASS_EVERY_MS: i64 = DAY_MS;
/// How long seconds stay where an alarm looks back for longer, in milliseconds.
pub(crate) const HELD_SECONDS_AGE_MAX_MS: i64 = 15 * DAY_MS;
/// Series that are held one by one; where there are more, all are held.
const HELD_SERIES_MAX: usize = 250_000;
/// The tiers that alarms can hold: their windows are of seconds or of minutes.
const HELD_TIERS: usize = 2;
/// The first tier whose points tell users, folders and the like, but no sample lines.
const CONDENSED_TIER: usize = 2;
/// Values of each kind that these keep in their evidence.
const CONDENSED_VALUES_MAX: usize = 8;

/// What one pass came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// Points that went into a coarser one.
    pub(super) folded: usize,
    /// Points that were forgotten.
    pub(super) forgotten: usize,
}

/// When passes were made.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Passes {
    last: Option<Timestamp>,
    whole: Option<Timestamp>,
}

/// Moves what has come of age at `now`, until `halted`. `now` is not after what the watcher has judged.
///
/// # Errors
/// What the store says; what was moved before stays moved, and the next pass does the rest.
pub(super) fn pass(records: &Records, now: Timestamp, halted: &dyn Fn() -> bool) -> Result<Moved, Failure> {
    let passes: Passes = records.get(&passes_key())?.unwrap_or_default();
    let due = |whole: Timestamp| !(0..WHOLE_PASS_EVERY_MS).contains(&now.since(whole));
    let whole = passes.whole.is_none_or(due);
    let ranges = match passes.last {
        Some(last) if !whole => came_of_age(last, now),
        _ => vec![(0, now.second())],
    };
    let held = Held::by_alarms(records, now)?;
    let mut moved = Moved::default();
    let mut from: Vec<u8> = Vec::new();
    let mut at_once = STEP_POINTS_MIN;
    while !halted() {
        let scan = Scan::range(from, [u8::MAX; SERIES_BYTES + 1]).limit(at_once);
        let found = records.store().scan(Space::Points, &scan)?;
        let Some((last, _)) = found.last() else {
            save_passes(
                records,
                Passes { last: Some(now), whole: if whole { Some(now) } else { passes.whole } },
            )?;
            break;
        };
        from = next_key(last, &ranges);
        let mut step = Step::default();
        for (key, bytes) in &found {
            step.take(key, bytes, &held, now);
        }
        at_once = if step.gone.is_empty() { STEP_POINTS_MIN } else { STEP_POINTS_MAX.min(2 * at_once) };
        if !step.save(records, &mut moved)? {
            break; // the store was emptied meanwhile
        }
    }
    Ok(moved)
}

fn passes_key() -> Key {
    Key::of(&["position", "tiers"])
}

fn save_passes(records: &Records, passes: Passes) -> Result<(), Failure> {
    let mut change = Write::new();
    put(&mut change, &passes_key(), &passes);
    records.store().commit(change, Durability::Process)?;
    Ok(())
}

/// The seconds that came of age between two passes, from inclusive to exclusive, where each tier ends; oldest first.
fn came_of_age(last: Timestamp, now: Timestamp) -> Vec<(i64, i64)> {
    let range = |age_ms: i64| {
        let first = last.min(now).plus_millis(-age_ms).second();
        (bucket_start(first, COARSEST_S) - COARSEST_S, now.plus_millis(-age_ms).second())
    };
    let forgotten = (0, now.plus_millis(-POINT_AGE_MAX_MS).second());
    let aging = TIERS.iter().rev().skip(1).map(|tier| range(tier.age_max_ms));
    std::iter::once(forgotten).chain(aging).collect()
}

/// Where looking goes on behind `last`: at once where its time is in `ranges`, else at the next of these, else at the next
/// series.
fn next_key(last: &[u8], ranges: &[(i64, i64)]) -> Vec<u8> {
    let behind = [last, &[0]].concat();
    let Some(Place { short, second, .. }) = points::place_of(last) else { return behind };
    let ahead = ranges.iter().filter(|(_, end)| *end > second).map(|(start, _)| second.max(*start)).min();
    match ahead {
        Some(next) if next == second => behind,
        Some(next) => points::key_at(short, next),
        None => u128::from_be_bytes(short).checked_add(1).map_or(behind, |next| next.to_be_bytes().to_vec()),
    }
}

/// From which second on points of the first tiers stay as they are.
type From = [i64; HELD_TIERS];

const NOTHING_HELD: From = [i64::MAX; HELD_TIERS];

/// What alarms look at.
#[derive(Debug)]
struct Held {
    series: HashMap<ShortName, From>,
    /// What holds for every series, where there are too many to hold one by one.
    all: From,
}

impl Held {
    fn by_alarms(records: &Records, now: Timestamp) -> Result<Self, Failure> {
        let store = &**records.store();
        let mut held = Self { series: HashMap::new(), all: NOTHING_HELD };
        for (alarm, _) in taken::alarms(store)? {
            let needed = bucket_start(Watch::needed_from(&alarm, now), COARSEST_S);
            let held_most = now.plus_millis(-HELD_SECONDS_AGE_MAX_MS).second();
            let seconds =
                if Watch::needed_resolution_s(&alarm) > 1 { i64::MAX } else { needed.max(held_most) };
            let from = [seconds, needed];
            let ages = TIERS.iter().map(|tier| now.plus_millis(-tier.age_max_ms).second());
            if from.iter().zip(ages).all(|(from, aged)| *from > aged) {
                continue; // it looks at nothing that has come of age
            }
            for need in Watch::needs(&alarm) {
                match need {
                    Needed::Series(series) => held.hold(points::short_name(&series), from),
                    Needed::Metric { region, namespace, name } => {
                        points::each_of_metric(store, &region, &namespace, &name, |series| {
                            held.hold(points::short_name(series), from);
                            Ok(())
                        })?;
                    }
                }
            }
        }
        Ok(held)
    }

    fn hold(&mut self, short: ShortName, from: From) {
        let room = self.series.len() < HELD_SERIES_MAX;
        let held = match self.series.get_mut(&short) {
            Some(held) => held,
            None if room => self.series.entry(short).or_insert(NOTHING_HELD),
            None => &mut self.all,
        };
        for (held, from) in held.iter_mut().zip(from) {
            *held = from.min(*held);
        }
    }

    /// The tier that a point of `place` may go to, `wanted` at most.
    fn tier(&self, place: Place, wanted: usize) -> usize {
        let series = self.series.get(&place.short).unwrap_or(&NOTHING_HELD);
        let stays = |tier: &usize| {
            let from = |held: &From| held.get(*tier).is_some_and(|from| *from <= place.second);
            from(series) || from(&self.all)
        };
        (place.tier..wanted).find(stays).unwrap_or(wanted)
    }
}

/// What is folded into one point: series, tier, first second and unit.
type Bucket = (ShortName, usize, i64, Option<String>);

/// The changes of one commit.
#[derive(Default)]
struct Step {
    /// Keys and values that are no more.
    gone: Vec<(Vec<u8>, Vec<u8>)>,
    forgotten: usize,
    buckets: BTreeMap<Bucket, (Aggregate, Evidence)>,
}

impl Step {
    fn take(&mut self, key: &[u8], bytes: &[u8], held: &Held, now: Timestamp) {
        let Some(place) = points::place_of(key) else { return };
        let Some(wanted) = tier_at(place.second, now) else {
            self.gone.push((key.to_vec(), bytes.to_vec()));
            self.forgotten += 1;
            return;
        };
        let tier = held.tier(place, wanted);
        if tier <= place.tier {
            return;
        }
        let Some(stored) = points::read_point(bytes) else {
            warn!(second = place.second, "a damaged data point is left as it is");
            return;
        };
        let start = bucket_start(place.second, TIERS[tier].resolution_s);
        let bucket = self.buckets.entry((place.short, tier, start, stored.unit)).or_default();
        bucket.0.merge(&stored.aggregate);
        bucket.1.merge(&stored.evidence);
        self.gone.push((key.to_vec(), bytes.to_vec()));
    }

    /// Carries the step out; `false` when what it moves is there no more.
    fn save(self, records: &Records, moved: &mut Moved) -> Result<bool, Failure> {
        let store = &**records.store();
        let Some((first, bytes)) = self.gone.first().cloned() else { return Ok(true) };
        let folded = self.gone.len() - self.forgotten;
        let mut change = Write::new();
        // Only a reset takes points away beside this, and it takes all.
        change.expect(Space::Points, first, Some(bytes));
        for (key, _) in self.gone {
            change.delete(Space::Points, key);
        }
        for ((short, tier, start, unit), (mut aggregate, mut evidence)) in self.buckets {
            let key = points::folded_key(short, start, tier, unit.as_deref());
            // What came late, or did not fit into the step before, joins what is there.
            if let Some(there) = store.get(Space::Points, &key)?.as_deref().and_then(points::read_point) {
                aggregate.merge(&there.aggregate);
                evidence.merge(&there.evidence);
            }
            if tier >= CONDENSED_TIER {
                evidence.condense(CONDENSED_VALUES_MAX);
            }
            change.put(Space::Points, key, points::write_point(&unit, &aggregate, &evidence));
        }
        let moving = records.points_move();
        let done = store.commit(change, Durability::Process);
        drop(moving);
        match done {
            Ok(_) => {
                moved.folded += folded;
                moved.forgotten += self.forgotten;
                Ok(true)
            }
            Err(error) if error.kind() == Kind::Conflict => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
