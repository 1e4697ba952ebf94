/*!
The archiver: moves events from the journal into the archive, and keeps the archive in order.

One round: events that have waited long enough, or are many, become files, and the border between journal and archive moves
in the commit that lists them; then the journal behind it is let go. Now and then expired and orphaned files are taken out,
small files of closed hours are merged, and what was taken out a while ago is deleted. The matcher has taken whatever is
archived. A round that fails is tried again; what it had done stays done.
*/

use std::sync::Arc;
use std::time::Duration;

use nightbell_core::event::Group;
use nightbell_core::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use nightbell_store::archive::{Archive, Change, FileEntry, Removal, mergeable};
use nightbell_store::{Block, Durability, Kind, Position, StoreError, Stream, Summary, Write};
use tracing::{debug, error, info, warn};

use super::Stopping;
use crate::adoption;
use crate::app::App;
use crate::catalog::{Failure, GroupRecord, Key};
use crate::clock;
use crate::search::give_way;

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(10);
/// Bytes of events that one step takes into memory.
const STEP_BYTES_MAX: usize = 64 << 20;
/// Bytes of messages that wait at most, about, however young they are.
const WAITING_BYTES_MAX: u64 = 256 << 20;
/// How long events stay in the journal once they are archived: messages quote them from there.
const KEPT_AFTER_MS: i64 = 10 * MINUTE_MS;
/// How long an hour may still receive events before its files are merged.
const HOUR_CLOSED_AFTER_MS: i64 = 2 * HOUR_MS;
/// Files of one hour that are worth merging.
const MERGE_FILES_MIN: usize = 4;
/// Merges of one round.
const MERGES_PER_ROUND: usize = 64;
/// Time between two looks for files that are expired, to be merged, or to be deleted, at most.
const TIDY_EVERY_MS: i64 = 10 * MINUTE_MS;
/// How long files stay that were taken out, after the oldest search under way began: as long as events wait to be archived,
/// within these bounds; longer than reading single events for a mail takes.
const GONE_KEPT_MS_MIN: i64 = 15 * SECOND_MS;
const GONE_KEPT_MS_MAX: i64 = HOUR_MS;
/// Heads that stay noted in the store, at least; up to twice as many do. The chain's documents have all of them.
const HEADS_NOTED: u64 = 5_000;
/// Summaries read at once.
const SUMMARIES_AT_ONCE: usize = 10_000;

/// Works until the server stops; blocks its thread meanwhile.
pub(super) async fn run(app: Arc<App>, mut stopping: Stopping) {
    give_way();
    let mut archiver = Archiver {
        app: &app,
        halt: &stopping.clone(),
        runtime: &tokio::runtime::Handle::current(),
        tidied_at: None,
        unsure: true,
    };
    let mut interval = tokio::time::interval(ROUND);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            _ = stopping.changed() => return,
        }
        match tokio::task::block_in_place(|| archiver.round(clock::now())) {
            Ok(()) | Err(Failure::Stopping) => {}
            Err(failure) => error!(error = %failure, "archiving is interrupted; it is tried again"),
        }
    }
}

struct Archiver<'a> {
    app: &'a App,
    halt: &'a Stopping,
    runtime: &'a tokio::runtime::Handle,
    tidied_at: Option<Timestamp>,
    /// A step may have been left undone: it failed, or a server before this one was killed.
    unsure: bool,
}

impl Archiver<'_> {
    fn round(&mut self, now: Timestamp) -> Result<(), Failure> {
        if std::mem::replace(&mut self.unsure, true) {
            let _turn = self.app.shelves.turn();
            self.recover()?;
        }
        self.steps(now)?;
        self.unsure = false;
        Ok(())
    }

    fn steps(&mut self, now: Timestamp) -> Result<(), Failure> {
        while !self.halted() && self.archive_step(now)? {}
        self.trim(now)?;
        let tidy_every_ms = TIDY_EVERY_MS.min(self.app.archive_after_ms);
        if !self.halted() && self.tidied_at.is_none_or(|at| now < at || now.since(at) >= tidy_every_ms) {
            self.tidied_at = Some(now);
            // Before merging, so that events of an earlier group never come to lie beside those of its successor.
            self.expire(now)?;
            self.merge(now)?;
            let _turn = self.app.shelves.turn();
            // A search lists files of this round that are noted as taken out at its begin: then the longer time counts.
            let (read_since, kept_ms) = match self.app.shelves.held_since() {
                Some(since) => (since.min(now), GONE_KEPT_MS_MAX),
                None => (now, self.app.archive_after_ms.clamp(GONE_KEPT_MS_MIN, GONE_KEPT_MS_MAX)),
            };
            let swept = self.wait(self.archive().sweep(read_since.plus_millis(-kept_ms)))?;
            if swept > 0 {
                info!(objects = swept, "what was taken out of the archive is deleted");
            }
        }
        Ok(())
    }

    fn halted(&self) -> bool {
        *self.halt.borrow()
    }

    fn archive(&self) -> &Archive {
        self.app.shelves.archive()
    }

    /// Does a step's work, which may wait for object storage; a stop of the server leaves it as a crash would.
    fn wait<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, Failure> {
        let mut stopping = self.halt.clone();
        self.runtime.block_on(async {
            tokio::select! {
                done = work => Ok(done?),
                _ = stopping.wait_for(|stops| *stops) => Err(Failure::Stopping),
            }
        })
    }

    /// Archives what waits, if it is old or much enough; `true` when more may wait.
    fn archive_step(&self, now: Timestamp) -> Result<bool, Failure> {
        let _turn = self.app.shelves.turn();
        let archived = self.archive().head()?.archived;
        let from = archived.max(self.app.journal.start());
        let matched = *self.app.matched.borrow();
        if from >= matched {
            self.app.telemetry.unarchived.set(0);
            return Ok(false);
        }
        // Reads every group, so only where something waits.
        let to = self.step_end(from, matched)?;
        if !self.is_due(from, to, now)? {
            return Ok(false);
        }
        let mut blocks = match self.app.journal.read(from, STEP_BYTES_MAX) {
            Ok(blocks) => blocks,
            // The matcher has told of it, and a search passes it over, too: the rest must not wait for it.
            Err(error) if error.position() == Some(from) => {
                warn!(position = %from, %error, "a damaged block stays out of the archive");
                self.app.telemetry.broken_blocks.inc();
                let change = self.wait(self.archive().pass_over(from, now))?;
                return self.commit(&change).map(|()| true);
            }
            Err(error) => return Err(error.into()),
        };
        blocks.retain(|block: &Arc<Block>| block.position < to);
        let written = self.wait(self.archive().write(&blocks, &self.app.reader, now))?;
        let Some(change) = written else { return Ok(false) };
        let events: u64 = change.block.files().iter().map(|file| file.rows).sum();
        let (files, archived) = (change.block.files().len(), change.head.archived);
        self.commit(&change)?;
        self.app.telemetry.archived.inc_by(events);
        debug!(events, files, %from, to = %archived, "events are archived");
        Ok(archived > from)
    }

    /// Where a step that begins at `from` ends at the latest: events before a group was made anew do not share a file
    /// with those after it, so that they can be taken out.
    fn step_end(&self, from: Position, matched: Position) -> Result<Position, Failure> {
        let groups = self.groups()?;
        let made = groups.iter().map(|group| group.since).filter(|since| *since > from);
        Ok(made.min().map_or(matched, |since| since.min(matched)))
    }

    fn groups(&self) -> Result<Vec<GroupRecord>, Failure> {
        self.app.records.list(&Key::prefix(&["group"], ""))
    }

    /// Brings archive and catalog to agree. The border is held only where it will move: storage may be slow to answer.
    fn recover(&self) -> Result<(), Failure> {
        let held = (self.app.journal.start(), *self.app.journal.end().borrow());
        if let Some(why) = self.wait(adoption::refuse_other(self.archive(), held))? {
            return Err(Failure::damaged(b"archive", &why));
        }
        let next = self.archive().head()?.next;
        let is_behind = self.wait(self.archive().chain_block(next))?.is_some();
        let _moving = is_behind.then(|| self.app.shelves.moving());
        self.wait(self.archive().recover())?;
        Ok(self.archive().set_together()?)
    }

    /// Whether the events from `from` on have waited long enough, or are many.
    fn is_due(&self, from: Position, to: Position, now: Timestamp) -> Result<bool, Failure> {
        let summaries = match self.app.journal.summaries(from, to, SUMMARIES_AT_ONCE) {
            // Blocks may be whole whose summaries are not, and reading them tells.
            Err(error) if error.kind() == Kind::Broken => return Ok(true),
            summaries => summaries?,
        };
        let waiting = summaries.iter().map(Summary::events).sum::<u64>();
        self.app.telemetry.unarchived.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        let waited =
            summaries.first().is_some_and(|first| now.since(first.arrival) >= self.app.archive_after_ms);
        let bytes: u64 = summaries.iter().map(|summary| summary.message_bytes).sum();
        Ok(waited || bytes >= WAITING_BYTES_MAX || summaries.len() >= SUMMARIES_AT_ONCE)
    }

    /// Makes a change of the archive count, and notes the chain's head where administrators' deeds are noted.
    fn commit(&self, change: &Change) -> Result<(), Failure> {
        let mut write = Write::new();
        let head = serde_json::json!({
            "archiveHead": change.block.hash.to_string(),
            "block": change.block.number,
            "at": change.block.time.iso(),
        });
        write.push(Stream::Audit, head.to_string());
        change.commit(&mut write);
        let _moving = self.app.shelves.moving();
        let store = self.app.records.store();
        store.commit(write, Durability::Disk)?;
        let (start, end) = (store.stream_start(Stream::Audit), *store.stream_end(Stream::Audit).borrow());
        // Some at a time: each step would have to delete one otherwise.
        if end.number().saturating_sub(start.number()) >= 2 * HEADS_NOTED {
            store.trim_stream(Stream::Audit, Position::new(end.number() - HEADS_NOTED))?;
        }
        Ok(())
    }

    /// Lets go of the journal that is archived, once messages have had time to quote it and no search reads it.
    fn trim(&self, now: Timestamp) -> Result<(), Failure> {
        let mut to = self.archive().head()?.archived;
        if let Some(held) = self.app.shelves.held_from() {
            to = to.min(held);
        }
        // What subscriptions have not read yet; the subscriber gives up what is older than a day.
        to = to.min(*self.app.subscribed.borrow());
        let journal = &self.app.journal;
        let (mut at, mut end) = (journal.start(), to);
        while at < to && !self.halted() {
            let summaries = match journal.summaries(at, end, SUMMARIES_AT_ONCE) {
                Err(error) if error.kind() == Kind::Broken => {
                    // Those before it first, then it goes with them.
                    let Some(broken) = error.position() else { return Err(error.into()) };
                    (at, end) = if broken > at { (at, broken) } else { (broken.next(), to) };
                    continue;
                }
                summaries => summaries?,
            };
            let last = match summaries.last() {
                Some(last) => last,
                None if end < to => {
                    (at, end) = (end, to);
                    continue;
                }
                None => break,
            };
            end = to;
            let kept = |arrival: Timestamp| now.since(arrival) < KEPT_AFTER_MS;
            let young = summaries.iter().find(|summary| kept(summary.arrival));
            at = young.map_or(last.position.next(), |summary| summary.position);
            if young.is_some() {
                break;
            }
        }
        if at > journal.start() {
            journal.trim(at.min(to))?;
        }
        Ok(())
    }

    /// Takes out the files of groups that keep events for fewer days, and of groups that are not there any more.
    fn expire(&self, now: Timestamp) -> Result<(), Failure> {
        let (mut expired, mut orphaned) = (Vec::new(), Vec::new());
        let mut known: Option<(Group, Option<GroupRecord>)> = None;
        for file in self.archive().all_files()? {
            // Asked for one by one: a list of groups may be cut, and what is not in it would be deleted.
            if known.as_ref().is_none_or(|(group, _)| *group != file.group) {
                known = Some((file.group.clone(), self.app.records.get(&Key::group(&file.group))?));
            }
            let owner = known.as_ref().and_then(|(_, owner)| owner.as_ref());
            let is_earlier = |owner: &GroupRecord| file.parts.iter().all(|part| part.to <= owner.since);
            match owner {
                Some(owner) if !is_earlier(owner) => {
                    if owner.kept_from(now).is_some_and(|from| file.last < from) {
                        expired.push(file);
                    }
                }
                _ => orphaned.push(file),
            }
        }
        self.remove(expired, Removal::Retention, now)?;
        self.remove(orphaned, Removal::DeletedGroup, now)
    }

    fn remove(&self, files: Vec<FileEntry>, reason: Removal, now: Timestamp) -> Result<(), Failure> {
        let _turn = self.app.shelves.turn();
        let count = files.len();
        let removed = self.wait(self.archive().remove(files, reason, now))?;
        if let Some(change) = removed {
            self.commit(&change)?;
            info!(files = count, reason = reason.name(), "files were taken out of the archive");
        }
        Ok(())
    }

    /// Merges the small files of hours that are over.
    fn merge(&self, now: Timestamp) -> Result<(), Failure> {
        let closed = |file: &FileEntry| now.since(file.last_arrival) >= HOUR_CLOSED_AFTER_MS;
        let files: Vec<FileEntry> = self.archive().all_files()?.into_iter().filter(closed).collect();
        for set in mergeable(files, MERGE_FILES_MIN).into_iter().take(MERGES_PER_ROUND) {
            if self.halted() {
                break;
            }
            let _turn = self.app.shelves.turn();
            let files = set.len();
            match self.wait(self.archive().merge(set, &self.app.reader, now)) {
                Ok(Some(change)) => {
                    self.commit(&change)?;
                    debug!(files, "small files of the archive were merged");
                }
                Ok(None) => {}
                Err(error) if error.kind() == Kind::Broken => warn!(%error, "damaged files are not merged"),
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
