/*!
Incidents as they are kept: saved by the watcher, listed for people, taken on and muted by them, removed when they are old.

Each is a JSON record under its id, with an entry under the time it started, and one more as long as the watcher holds it.
What it counts between two times that it is saved is a small entry of its own, written with every step.
What somebody does to an incident goes into the `metrics` stream, where the watcher takes it in order with the data.
*/

use nightbell_core::incident::{INCIDENT_AGE_MAX_MS, Incident};
use nightbell_core::time::Timestamp;
use nightbell_core::watch::{IncidentCount, Input};
use nightbell_store::{Catalog, Durability, Position, Scan, Space, Write};
use tracing::warn;

use super::alarms;
use crate::catalog::{Failure, Records};

/// Most incidents that one listing shows.
pub(crate) const INCIDENTS_LISTED_MAX: usize = 1_000;
/// Incidents that one listing looks at, the newest first.
const LOOKED_AT_MAX: usize = 100_000;
/// Entries read at once.
const STEP_ENTRIES: usize = 1_000;
/// Digits of an id.
const ID_DIGITS: usize = 16;

/// By id.
const RECORD: u8 = b'i';
/// By the time it started, then the id; the value is the alarm's ARN.
const STARTED: u8 = b't';
/// By id, as long as the watcher holds it.
const HELD: u8 = b'o';
/// By id: what it has counted since the record was written.
const COUNT: u8 = b'c';
/// The first byte of a saved count; another form of it gets another.
const COUNT_FORM: u8 = 1;

fn key(kind: u8, id: &str) -> Vec<u8> {
    [&[kind], id.as_bytes()].concat()
}

fn started_key(started: Timestamp, id: &str) -> Vec<u8> {
    [&[STARTED], &started.as_millis().max(0).to_be_bytes()[..], id.as_bytes()].concat()
}

/// Adds an incident as it stands, to be restored at the next start.
pub(crate) fn save(change: &mut Write, incident: &Incident) {
    let bytes = serde_json::to_vec(incident).expect("an incident is plain data with finite numbers");
    change.put(Space::Incidents, key(RECORD, &incident.id), bytes);
    change.put(Space::Incidents, started_key(incident.started, &incident.id), incident.alarm_arn.as_bytes());
    change.put(Space::Incidents, key(HELD, &incident.id), []);
    change.delete(Space::Incidents, key(COUNT, &incident.id));
}

/// Adds what an incident has counted since it was saved.
pub(crate) fn save_count(change: &mut Write, count: &IncidentCount) {
    let bytes = postcard::to_extend(count, vec![COUNT_FORM]).expect("a count is plain data");
    change.put(Space::Incidents, key(COUNT, &count.id), bytes);
}

/// What an incident has counted since it was saved, where that is anything.
pub(crate) fn count(store: &dyn Catalog, id: &str) -> Result<Option<IncidentCount>, Failure> {
    let found = store.get(Space::Incidents, &key(COUNT, id))?;
    Ok(found.and_then(|bytes| match bytes.split_first() {
        Some((&COUNT_FORM, rest)) => postcard::from_bytes(rest).ok(),
        _ => None,
    }))
}

/// Notes that nothing more comes of an incident. Its last count stays, for it is read with it.
pub(crate) fn let_go(change: &mut Write, id: &str) {
    change.delete(Space::Incidents, key(HELD, id));
}

/// Whether an incident is kept.
pub(crate) fn is_kept(store: &dyn Catalog, id: &str) -> Result<bool, Failure> {
    Ok(store.get(Space::Incidents, &key(RECORD, id))?.is_some())
}

/// The incidents that the watcher held when it was stopped, as they were saved; [`count`] has what came since.
pub(crate) fn held(store: &dyn Catalog) -> Result<Vec<Incident>, Failure> {
    let mut all = Vec::new();
    let mut scan = Scan::prefix([HELD]).limit(STEP_ENTRIES);
    loop {
        let found = store.scan(Space::Incidents, &scan)?;
        let Some((last, _)) = found.last() else { return Ok(all) };
        scan = Scan::prefix([HELD]).limit(STEP_ENTRIES).after(last.clone());
        for (entry, _) in &found {
            all.extend(saved(store, &String::from_utf8_lossy(&entry[1..]))?);
        }
    }
}

/// The incident with this id.
pub(crate) fn find(records: &Records, id: &str) -> Result<Option<Incident>, Failure> {
    if is_id(id) { read(&**records.store(), id) } else { Ok(None) }
}

/// Whether `id` can be one of an incident.
fn is_id(id: &str) -> bool {
    id.len() == ID_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

/// An incident with what it has counted so far.
fn read(store: &dyn Catalog, id: &str) -> Result<Option<Incident>, Failure> {
    let Some(mut incident) = saved(store, id)? else { return Ok(None) };
    if let Some(count) = count(store, id)? {
        count.restore(&mut incident);
    }
    Ok(Some(incident))
}

fn saved(store: &dyn Catalog, id: &str) -> Result<Option<Incident>, Failure> {
    let Some(bytes) = store.get(Space::Incidents, &key(RECORD, id))? else { return Ok(None) };
    match serde_json::from_slice(&bytes) {
        Ok(incident) => Ok(Some(incident)),
        Err(error) => {
            // One that cannot be read must keep nobody from the others.
            warn!(id, %error, "a stored incident is damaged");
            Ok(None)
        }
    }
}

/// Which incidents are asked for.
pub(crate) struct Listing<'a> {
    /// Whose alarms are in this region.
    pub(crate) region: &'a str,
    /// Only those that are not over.
    pub(crate) open: bool,
    /// Only those of the alarm with this name.
    pub(crate) alarm: Option<&'a str>,
    /// At most so many.
    pub(crate) limit: usize,
}

impl Listing<'_> {
    fn admits(&self, alarm_arn: &str) -> bool {
        let mut parts = alarm_arn.splitn(7, ':').skip(3);
        let (region, name) = (parts.next(), parts.nth(2));
        region == Some(self.region) && self.alarm.is_none_or(|wanted| name == Some(wanted))
    }
}

/// The incidents asked for, newest first, and whether there are more.
pub(crate) fn list(records: &Records, listing: &Listing<'_>) -> Result<(Vec<Incident>, bool), Failure> {
    let store = &**records.store();
    let limit = listing.limit.min(INCIDENTS_LISTED_MAX);
    let mut found = Vec::new();
    let mut looked_at = 0;
    let mut scan = Scan::prefix([STARTED]).reverse().limit(STEP_ENTRIES);
    loop {
        let entries = store.scan(Space::Incidents, &scan)?;
        let Some((last, _)) = entries.last() else { return Ok((found, false)) };
        scan = Scan::prefix([STARTED]).reverse().limit(STEP_ENTRIES).after(last.clone());
        for (entry, arn) in entries {
            looked_at += 1;
            if looked_at > LOOKED_AT_MAX {
                return Ok((found, true));
            }
            let id = String::from_utf8_lossy(entry.get(9..).unwrap_or_default()).into_owned();
            let held = || store.get(Space::Incidents, &key(HELD, &id));
            if !listing.admits(&String::from_utf8_lossy(&arn)) || (listing.open && held()?.is_none()) {
                continue;
            }
            let Some(incident) = read(store, &id)? else { continue };
            if listing.open && incident.ended.is_some() {
                continue;
            }
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push(incident);
        }
    }
}

/// Tells the watcher that `who` takes care of an incident.
pub(crate) fn acknowledge(
    records: &Records,
    id: &str,
    who: &str,
    now: Timestamp,
) -> Result<Position, Failure> {
    push(records, now, Input::AckIncident { id: id.to_owned(), who: who.to_owned() })
}

/// Tells the watcher to say nothing of an incident until `until`.
pub(crate) fn mute(
    records: &Records,
    id: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<Position, Failure> {
    push(records, now, Input::MuteIncident { id: id.to_owned(), until })
}

fn push(records: &Records, now: Timestamp, input: Input) -> Result<Position, Failure> {
    let mut change = Write::new();
    alarms::push(&mut change, now, input);
    let pushed = tokio::task::block_in_place(|| records.store().commit(change, Durability::Disk))?;
    Ok(pushed.last().copied().unwrap_or_default())
}

/// Removes the incidents that are over for longer than they are kept; returns how many.
pub(crate) fn sweep(store: &dyn Catalog, now: Timestamp, halt: impl Fn() -> bool) -> Result<usize, Failure> {
    let before = now.plus_millis(-INCIDENT_AGE_MAX_MS).as_millis().max(0).to_be_bytes();
    let to = [&[STARTED], &before[..]].concat();
    let mut scan = Scan::range([STARTED], to.clone()).limit(STEP_ENTRIES);
    let mut removed = 0;
    while !halt() {
        let found = store.scan(Space::Incidents, &scan)?;
        let Some((last, _)) = found.last() else { break };
        scan = Scan::range([STARTED], to.clone()).limit(STEP_ENTRIES).after(last.clone());
        let mut change = Write::new();
        for (entry, _) in found {
            let id = String::from_utf8_lossy(entry.get(9..).unwrap_or_default()).into_owned();
            if read(store, &id)?.is_none_or(|incident| incident.is_outlived(now)) {
                change.delete(Space::Incidents, key(RECORD, &id));
                change.delete(Space::Incidents, key(HELD, &id));
                change.delete(Space::Incidents, key(COUNT, &id));
                change.delete(Space::Incidents, entry);
                removed += 1;
            }
        }
        if !change.is_empty() {
            store.commit(change, Durability::Process)?;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nightbell_core::evidence::Evidence;
    use nightbell_core::incident::{Extreme, Opening};
    use nightbell_core::time::{DAY_MS, SECOND_MS};
    use nightbell_store::MemoryStore;

    use super::*;

    fn incident(alarm: &str, second: i64) -> Incident {
        let opening = Opening {
            alarm_arn: alarms::arn("site", "123456789012", alarm),
            alarm_name: alarm.to_owned(),
            contributor: None,
            window: None,
            value: Some(6.0),
            count: 6.0,
            evidence: Evidence::default(),
            extreme: Extreme::Highest,
            muted_until: None,
        };
        Incident::open(Timestamp::from_millis(second * SECOND_MS), opening)
    }

    fn keeping(incidents: &[&Incident]) -> Records {
        let records = Records::new(Arc::new(MemoryStore::default()));
        let mut change = Write::new();
        incidents.iter().for_each(|incident| save(&mut change, incident));
        records.store().commit(change, Durability::Process).unwrap();
        records
    }

    fn listed(
        records: &Records,
        region: &str,
        open: bool,
        alarm: Option<&str>,
        limit: usize,
    ) -> (Vec<i64>, bool) {
        let (found, more) = list(records, &Listing { region, open, alarm, limit }).unwrap();
        (found.iter().map(|one| one.started.second()).collect(), more)
    }

    #[test]
    fn lists_the_newest_first_by_region_alarm_and_state() {
        let mut over = incident("a:b", 3);
        drop(over.close(Timestamp::from_millis(9_000)));
        let records = keeping(&[&incident("a", 1), &incident("a:b", 2), &over]);
        assert_eq!(listed(&records, "site", false, None, 9), (vec![3, 2, 1], false));
        assert_eq!(listed(&records, "site", false, None, 2), (vec![3, 2], true));
        assert_eq!(listed(&records, "site", true, None, 9), (vec![2, 1], false));
        assert_eq!(listed(&records, "site", false, Some("a:b"), 9), (vec![3, 2], false));
        assert_eq!(listed(&records, "site", false, Some("b"), 9), (vec![], false));
        assert_eq!(listed(&records, "elsewhere", false, None, 9), (vec![], false));
    }

    #[test]
    fn what_is_let_go_is_read_but_not_restored() {
        let (first, second) = (incident("a", 1), incident("a", 2));
        let records = keeping(&[&first, &second]);
        let mut change = Write::new();
        let_go(&mut change, &first.id);
        records.store().commit(change, Durability::Process).unwrap();
        assert_eq!(held(&**records.store()).unwrap(), [second]);
        assert_eq!(find(&records, &first.id).unwrap(), Some(first));
        for id in ["", "0123456789abcdeg", "../../../etc/pas", &"0".repeat(5_000)] {
            assert_eq!(find(&records, id).unwrap(), None, "{id}");
        }
    }

    #[test]
    fn only_what_is_over_for_long_enough_is_removed() {
        let mut over = incident("a", 1);
        drop(over.close(Timestamp::from_millis(2 * SECOND_MS)));
        let open = incident("b", 1);
        let records = keeping(&[&over, &open]);
        let store = &**records.store();
        let late = Timestamp::from_millis(INCIDENT_AGE_MAX_MS + 2 * SECOND_MS);
        assert_eq!(sweep(store, late, || false).unwrap(), 0);
        assert_eq!(sweep(store, late.plus_millis(DAY_MS), || true).unwrap(), 0, "halted");
        assert_eq!(sweep(store, late.plus_millis(DAY_MS), || false).unwrap(), 1);
        assert_eq!(store.scan(Space::Incidents, &Scan::all()).unwrap().len(), 3, "the open one is whole");
        assert_eq!(find(&records, &over.id).unwrap(), None);
    }
}
