/*!
Single events found by their place, in the journal or in the archive: the ones that mails enclose.

Blocks; within limits of bytes, files and time, so that storage that is slow or gone holds no mail up. What is not there
any more, or cannot be read, is left out.
*/

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nightbell_core::event::{Event, Group};
use nightbell_core::evidence::Place;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{FileEntry, Reader, Wanted as Rows};
use nightbell_store::{Block, Journal, Position, StoreError};
use tracing::debug;

use super::shelves::Shelves;
use crate::app::App;
use crate::catalog::{Failure, GroupRecord, Key, Records};

/// Bytes of the journal's blocks that one call unpacks; events in later blocks are left out.
const JOURNAL_BYTES_MAX: usize = 32 << 20;
/// Files of the archive that one call opens.
const FILES_MAX: usize = 20;
/// The longest that one call reads in the archive.
const ARCHIVE_TIME_MAX: Duration = Duration::from_secs(5);

/// Digests whose groups are remembered.
const OWNERS_KEPT_MAX: usize = 1_000;

/// Where an event is stored and when it happened: after the store was emptied another one may stand there.
pub(crate) type Wanted = (Place, Timestamp);

/// The messages of the events that are still there and have at most `message_bytes_max` bytes, by their number in `wanted`.
pub(crate) fn messages(
    app: &App,
    wanted: &[Wanted],
    message_bytes_max: usize,
    now: Timestamp,
) -> BTreeMap<usize, String> {
    let mut lookup = Lookup { wanted, message_bytes_max, found: BTreeMap::new() };
    lookup.read_journal(&*app.journal);
    let archived = app.shelves.archive().head().map(|head| head.archived).unwrap_or_default();
    if lookup.missing().any(|(_, (place, _))| Position::new(place.block) < archived) {
        let reading = lookup.read_archive(&app.shelves, &app.records, &app.owners, now);
        let limited = async { tokio::time::timeout(ARCHIVE_TIME_MAX, reading).await };
        match tokio::runtime::Handle::current().block_on(limited) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "archived events are not found"),
            Err(_) => debug!("the archive is too slow; the rest of its events is left out"),
        }
    }
    lookup.found
}

/// The groups that events were asked of before, by digest: a place names its group no better.
#[derive(Default)]
pub(crate) struct Owners(Mutex<HashMap<u32, Vec<Group>>>);

impl Owners {
    /// The groups of these digests that are there. All groups are listed only for a digest that no known one has.
    fn of(&self, records: &Records, digests: &BTreeSet<u32>) -> Result<Vec<GroupRecord>, Failure> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut owners, mut unknown) = (Vec::new(), BTreeSet::new());
        for digest in digests {
            let before = owners.len();
            for group in held.get(digest).into_iter().flatten() {
                owners.extend(records.get::<GroupRecord>(&Key::group(group))?);
            }
            if owners.len() == before {
                unknown.insert(*digest);
            }
        }
        if unknown.is_empty() {
            return Ok(owners);
        }
        if held.len() + unknown.len() > OWNERS_KEPT_MAX {
            held.clear();
        }
        held.retain(|digest, _| !unknown.contains(digest));
        let mut all: Vec<GroupRecord> = records.list(&Key::prefix(&["group"], ""))?;
        all.retain(|owner| unknown.contains(&owner.group.digest()));
        for owner in &all {
            held.entry(owner.group.digest()).or_default().push(owner.group.clone());
        }
        owners.extend(all);
        Ok(owners)
    }
}

struct Lookup<'w> {
    wanted: &'w [Wanted],
    message_bytes_max: usize,
    found: BTreeMap<usize, String>,
}

impl<'w> Lookup<'w> {
    /// What was not found yet.
    fn missing(&self) -> impl Iterator<Item = (usize, Wanted)> + use<'_, 'w> {
        let all = self.wanted.iter().copied().enumerate();
        all.filter(|(n, _)| !self.found.contains_key(n))
    }

    fn read_journal(&mut self, journal: &dyn Journal) {
        let mut by_block: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (n, (place, _)) in self.wanted.iter().enumerate() {
            by_block.entry(place.block).or_default().push(n);
        }
        let mut room = JOURNAL_BYTES_MAX;
        for (number, wanted) in by_block {
            let position = Position::new(number);
            if position < journal.start() {
                continue;
            }
            let block = match journal.read(position, 1) {
                Ok(blocks) => blocks.into_iter().next().filter(|block| block.position == position),
                Err(error) => {
                    debug!(%error, %position, "events of a block are not found");
                    None
                }
            };
            let Some(block) = block else { continue };
            for n in wanted {
                let (place, time) = self.wanted[n];
                if let Some(event) = event_of(&block, place).filter(|event| event.time == time) {
                    self.take(n, &event.message);
                }
            }
            match room.checked_sub(block.bytes()) {
                Some(left) => room = left,
                None => break,
            }
        }
    }

    async fn read_archive(
        &mut self,
        shelves: &Shelves,
        records: &Records,
        owners: &Owners,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let digests = self.missing().map(|(_, (place, _))| place.group).collect();
        let owners = owners.of(records, &digests)?;
        let mut readers: HashMap<String, Reader> = HashMap::new();
        for (n, wanted) in self.missing().collect::<Vec<_>>() {
            for entry in files(shelves, &owners, wanted, now)? {
                if !readers.contains_key(&entry.path) {
                    if readers.len() >= FILES_MAX {
                        return Ok(());
                    }
                    readers.insert(entry.path.clone(), shelves.archive().open_file(&entry).await?);
                }
                let Some(reader) = readers.get(&entry.path) else { continue };
                if let Some(message) = message_in(reader, wanted).await? {
                    self.take(n, &message);
                    break;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, n: usize, message: &str) {
        if message.len() <= self.message_bytes_max {
            self.found.insert(n, message.to_owned());
        }
    }
}

/// The event at a place of a block of the journal.
fn event_of(block: &Block, place: Place) -> Option<&Event> {
    let mut number = place.number as usize;
    for batch in &block.batches {
        match batch.events.get(number) {
            Some(event) => return Some(event).filter(|_| batch.group.digest() == place.group),
            None => number -= batch.events.len(),
        }
    }
    None
}

/// The files that may hold an event, of groups that still keep it.
fn files(
    shelves: &Shelves,
    owners: &[GroupRecord],
    (place, time): Wanted,
    now: Timestamp,
) -> Result<Vec<FileEntry>, StoreError> {
    let block = Position::new(place.block);
    let keeps = |owner: &&GroupRecord| {
        owner.group.digest() == place.group
            && block >= owner.since
            && owner.kept_from(now).is_none_or(|from| time >= from)
    };
    let mut files = Vec::new();
    for owner in owners.iter().filter(keeps) {
        files.extend(shelves.archive().files(&owner.group, time, time.plus_millis(1))?);
    }
    files.retain(|entry| entry.parts.iter().any(|part| (part.from..part.to).contains(&block)));
    Ok(files)
}

/// The message of the event at this place, if the file holds it.
async fn message_in(reader: &Reader, (place, time): Wanted) -> Result<Option<String>, StoreError> {
    let to = time.plus_millis(1);
    let wanted = Rows { from: Some(time), to: Some(to), messages: true, fields: Vec::new() };
    for at in 0..reader.row_groups() {
        if !reader.summary(at).is_some_and(|summary| summary.overlaps(time, to)) {
            continue;
        }
        let mut rows = reader.read(at, &wanted).await?;
        while let Some(batch) = rows.next(&|_| true).await? {
            let is_it = |row: &nightbell_store::archive::Row<'_>| {
                (row.block().number(), row.number()) == (place.block, place.number)
            };
            if let Some(row) = batch.rows().find(is_it) {
                return Ok(Some(row.message().to_owned()));
            }
            tokio::task::yield_now().await; // where the time is looked at
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
