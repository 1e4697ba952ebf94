/*!
The archive at the start: opened and brought to agree with the store, and adopted where the store came back older.

The archive is the later truth: what its chain lists beyond a restored store is taken into the catalog, with the groups and
streams that it is of, and the journal goes on behind it. Only a chain that holds the store's own head is adopted: another
one is refused, and so is one that the store knows nothing of. Runs before the loops; the archiver asks
[`refuse_other`] when it comes to an archive that was out of reach at the start.
*/

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures::stream::{self, StreamExt};
use nightbell_core::event::Group;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{Apart, Archive, FileEntry, Head, Reader, Wanted};
use nightbell_store::{Catalog, Journal, Kind, LocalStore, Position, StoreError};
use tracing::{error, info, warn};

use crate::catalog::Records;
use crate::config::{self, ArchivePlace, Config};
use crate::manage::groups::{self, GroupOptions};
use crate::manage::{Refusal, Resource};

/// How long the start waits for the archive's bucket, unless the store came back from a backup.
const BUCKET_TIMEOUT: Duration = Duration::from_secs(5);
/// Positions that are left out behind the archive: the lost journal may have used them for events that never got there.
const POSITIONS_LEFT_OUT: u64 = 1 << 20;
/// Files whose summaries are read at one time.
const FILES_AT_ONCE: usize = 16;

/// Opens the archive, takes into the catalog what a crash left undone, and adopts what a restored store does not know.
pub(crate) async fn open_archive(config: &Config, store: &Arc<LocalStore>) -> Result<Archive> {
    let archive = config::open_archive(config, Arc::clone(store) as Arc<dyn Catalog>)?;
    let apart = archive.apart().context("the archive's note cannot be read")?;
    let door = Door { config, is_restored: apart.is_some_and(|apart| apart.restored) };
    let end = *store.end().borrow();
    let Some(reached) = door.reached(archive.reach()).await? else {
        return out_of_reach(archive, config, end);
    };
    let apart = apart.unwrap_or(Apart { since: end, restored: false });
    let known = archive.head().context("the archive's head cannot be read")?;
    match course(&known, &reached, apart.since, (store.start(), end)) {
        Course::Together => {
            // The archiver's first round clears up the rest: it looks at every file, and listening must not wait for that.
            if door.reached(archive.catch_up()).await?.is_none() {
                return out_of_reach(archive, config, end);
            }
        }
        Course::Older => adopt(&archive, store, &reached, apart.since)
            .await
            .with_context(|| format!("the archive in {} cannot be adopted; start again", config.archive))?,
        // Alarms and what comes in go on; the archiver says it again and archives nothing.
        Course::Late => {
            error!(archive = %config.archive, why = LATE, "the archive is not used for what comes in");
            return Ok(archive);
        }
        Course::Unknown => bail!("the archive in {}: {UNKNOWN}", config.archive),
    }
    archive.set_together()?;
    Ok(archive)
}

/// What comes in goes into the journal, and the archiver recovers later what is to be recovered.
fn out_of_reach(archive: Archive, config: &Config, end: Position) -> Result<Archive> {
    warn!(archive = %config.archive, "the archive cannot be reached; events stay in the journal until it can");
    archive.set_apart(end)?;
    Ok(archive)
}

/// How the start comes to the archive.
struct Door<'a> {
    config: &'a Config,
    is_restored: bool,
}

impl Door<'_> {
    /// Does work on the archive; `None` when that is out of reach and the server may start without it.
    async fn reached<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<Option<T>> {
        let place = &self.config.archive;
        let done = match place {
            ArchivePlace::Bucket(_) if !self.is_restored => tokio::time::timeout(BUCKET_TIMEOUT, work).await,
            _ => Ok(work.await),
        };
        match done {
            Ok(Ok(done)) => Ok(Some(done)),
            Ok(Err(error)) if error.kind() != Kind::Unavailable => {
                Err(error).context("the archive cannot be recovered; `nightbell verify` tells more")
            }
            Ok(Err(error)) if self.is_restored => Err(error).with_context(|| {
                format!("the archive in {place} must be reached once after a restore: it may have gone on since the backup; start again when it can be")
            }),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }
}

/// Refuses, while the server runs, an archive that goes on beyond what the store can have written.
///
/// # Errors
/// In words, what is wrong; or that the archive cannot be reached.
pub(crate) async fn refuse_other(
    archive: &Archive,
    (start, end): (Position, Position),
) -> Result<Option<String>, StoreError> {
    let apart = archive.apart()?;
    let since = apart.map_or(end, |apart| apart.since);
    let why = match course(&archive.head()?, &archive.reach().await?, since, (start, end)) {
        Course::Together => return Ok(None),
        Course::Unknown => UNKNOWN,
        Course::Older if apart.is_none() => WRITTEN_BY_ANOTHER,
        Course::Older | Course::Late => LATE,
    };
    Ok(Some(why.to_owned()))
}

/// How store and archive stand to each other.
#[derive(Debug, PartialEq, Eq)]
enum Course {
    /// The archive holds what the store has written, or a step more.
    Together,
    /// The archive went on with events that the store, as it is now, never had.
    Older,
    /// It did, and the store has taken events where the archive has others: too late to adopt.
    Late,
    /// The store knows nothing of the archive.
    Unknown,
}

const UNKNOWN: &str = "it belongs to another store: this one has archived nothing yet and the archive is not empty; \
     restore a backup of the store that wrote it, or name an empty place";
const LATE: &str = "it went on beyond this store, which came back older and has taken events since without \
     reaching it; export those (nightbell export --from), restore the backup again, and start when the archive can be reached";
const WRITTEN_BY_ANOTHER: &str = "another server writes to it; stop one of the two";

/// `known` is the head that the store knows, `reached` that of the documents; up to `since` the store's journal is that of
/// the archive; what it holds now goes from `start` to `end`.
fn course(known: &Head, reached: &Head, since: Position, (start, end): (Position, Position)) -> Course {
    // A crash leaves one step that the store does not know.
    let is_unknown = known.next == 0 && (reached.next > 1 || reached.archived > since);
    if is_unknown {
        Course::Unknown
    } else if reached.archived <= since.max(start) {
        // Also where an adoption was cut short after the journal had moved.
        Course::Together
    } else if end > since {
        Course::Late
    } else {
        Course::Older
    }
}

/// Takes over what the archive holds beyond the store. Begun again after a crash, it comes to the same.
async fn adopt(archive: &Archive, store: &LocalStore, reached: &Head, since: Position) -> Result<()> {
    warn!(
        steps = reached.next - archive.head()?.next,
        archived = %reached.archived,
        journal_end = %since,
        "the store is older than its archive: what the archive holds is taken over"
    );
    archive.recover().await?;
    let records = Records::new(archive.catalog());
    let mut files = archive.all_files()?;
    files.retain(|file| file.parts.iter().any(|part| part.to > since));
    let (count, events) = (files.len(), files.iter().map(|file| file.rows).sum::<u64>());
    let (groups, streams) = make_places(archive, &records, files, since).await?;
    // All that the journal holds is archived.
    store.go_on_at(Position::new(reached.archived.number().saturating_add(POSITIONS_LEFT_OUT)))?;
    info!(
        files = count,
        events,
        groups,
        streams,
        "the archive is adopted; groups made anew keep events for ever until told otherwise"
    );
    Ok(())
}

/// Makes the groups and streams that the store does not know; returns how many of each.
async fn make_places(
    archive: &Archive,
    records: &Records,
    files: Vec<FileEntry>,
    since: Position,
) -> Result<(usize, usize)> {
    let mut first: BTreeMap<Group, Timestamp> = BTreeMap::new();
    for file in &files {
        let earliest = first.entry(file.group.clone()).or_insert(file.first_arrival);
        *earliest = file.first_arrival.min(*earliest);
    }
    let mut made = (0, 0);
    for (group, created) in &first {
        let options = GroupOptions::default();
        made.0 += usize::from(is_new(groups::create(records, group, options, *created, since))?);
    }
    let mut names = BTreeSet::new();
    let mut reading = stream::iter(files)
        .map(|file| async move { (streams_of(archive, &file).await, file) })
        .buffer_unordered(FILES_AT_ONCE);
    while let Some((streams, file)) = reading.next().await {
        match streams {
            Ok(streams) => names.extend(streams.into_iter().map(|stream| (file.group.clone(), stream))),
            Err(error) if error.kind() == Kind::Broken => {
                warn!(file = file.path, %error, "streams of a damaged file are not known");
            }
            Err(error) => return Err(error.into()),
        }
    }
    for (group, stream) in names {
        let created = first.get(&group).copied().unwrap_or_default();
        made.1 += usize::from(is_new(groups::create_stream(records, &group, &stream, created, since))?);
    }
    Ok(made)
}

fn is_new(made: Result<(), Refusal>) -> Result<bool> {
    match made {
        Ok(()) => Ok(true),
        Err(Refusal::Exists(Resource::Group | Resource::Stream)) => Ok(false),
        Err(refusal) => Err(anyhow!("a group or stream of the archive cannot be made: {refusal:?}")),
    }
}

/// The names of the streams whose events a file holds.
async fn streams_of(archive: &Archive, file: &FileEntry) -> Result<BTreeSet<String>, StoreError> {
    let reader: Reader = archive.open_anew(file).await?;
    let mut names = BTreeSet::new();
    for at in 0..reader.row_groups() {
        if let Some(streams) = reader.summary(at).and_then(|summary| summary.streams()) {
            names.extend(streams.iter().cloned());
            continue;
        }
        let wanted = Wanted { from: None, to: None, messages: false, fields: Vec::new() };
        let mut rows = reader.read(at, &wanted).await?;
        while let Some(batch) = rows.next(&|_| true).await? {
            for row in batch.rows().filter(|row| !names.contains(row.stream())).collect::<Vec<_>>() {
                names.insert(row.stream().to_owned());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_chain_that_the_store_knows_is_adopted() {
        let head = |next, archived| Head { next, archived: Position::new(archived), ..Head::default() };
        let told = |known: Head, reached: Head, since, end| {
            course(&known, &reached, Position::new(since), (Position::FIRST, Position::new(end)))
        };
        assert_eq!(told(head(0, 0), head(0, 0), 0, 0), Course::Together, "both are new");
        assert_eq!(told(head(0, 0), head(1, 5), 5, 9), Course::Together, "a step before a crash");
        assert_eq!(told(head(0, 0), head(1, 6), 5, 5), Course::Unknown);
        assert_eq!(told(head(0, 0), head(2, 3), 5, 5), Course::Unknown);
        assert_eq!(told(head(2, 4), head(9, 6), 6, 6), Course::Together, "of what was in the journal");
        assert_eq!(told(head(2, 4), head(3, 7), 6, 6), Course::Older);
        assert_eq!(told(head(3, 7), head(3, 7), 6, 6), Course::Older, "ended by a crash in between");
        assert_eq!(told(head(2, 4), head(3, 7), 6, 8), Course::Late);
        let moved = (Position::new(9), Position::new(9));
        let told = course(&head(3, 7), &head(3, 7), Position::new(6), moved);
        assert_eq!(told, Course::Together, "ended by a crash after the journal had moved");
    }
}
