/*!
Copies a store, as it stands at one moment, into a folder of its own, while it goes on.

A snapshot of fjall shows all keyspaces as of one commit. It is read a piece at a time, each under the disk's lock, so that
a disk that refused can be opened anew in between: that ends the copy. The copy is written as finished tables, without a
log. Knows nothing of what keys and values mean, but unpacks each block to see that it is whole.
*/

use std::ops::Bound;
use std::path::Path;

use fjall::{Keyspace, Readable, Snapshot, UserKey, UserValue};

use super::engine::{self, EVENTS_START_KEY, Engine, start_key};
use super::{Inner, upgrade};
use crate::catalog::{Durability, Space, Stream};
use crate::codec;
use crate::error::Cause;
use crate::journal::Summary;
use crate::{Position, StoreError};

/// Bytes that are read under one hold of the disk's lock, about.
const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// What a copy holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Blocks of the journal.
    pub blocks: u64,
    /// Events in them.
    pub events: u64,
    /// Entries of maps and small streams.
    pub entries: u64,
}

/// Copies what `store` holds now.
pub(super) fn copy(
    store: &Inner,
    folder: &Path,
    reach: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Copied, StoreError> {
    let view = View::of(store)?;
    let target = Target { engine: Engine::open(folder, store.disk.options())?, folder };
    let mut course = Course { done: 0, total: store.usage.bytes(), reach };
    let mut copied = Copied::default();
    view.copy_events(&target, &mut course, &mut copied)?;
    for space in Space::ALL {
        let of = |engine: &'_ Engine| engine.space(space).clone();
        copied.entries += view.copy_entries(&target, of, space.name(), &mut course)?;
    }
    for stream in Stream::ALL {
        let of = |engine: &'_ Engine| engine.stream(stream).clone();
        copied.entries += view.copy_entries(&target, of, stream.name(), &mut course)?;
    }
    view.copy_meta(&target)?;
    target.finish()?;
    Ok(copied)
}

/// How far a copy is.
struct Course<'a> {
    done: u64,
    total: u64,
    reach: &'a mut dyn FnMut(u64, u64) -> bool,
}

impl Course<'_> {
    fn add(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.done += bytes as u64;
        // Files are smaller or larger than what they hold.
        if (self.reach)(self.done, self.total.max(self.done)) { Ok(()) } else { Err(Cause::Halted.into()) }
    }
}

/// A store at one moment.
struct View<'a> {
    store: &'a Inner,
    snapshot: Snapshot,
    openings: u64,
}

impl<'a> View<'a> {
    fn of(store: &'a Inner) -> Result<Self, StoreError> {
        store.disk.with(|engine| {
            Ok(Self { store, snapshot: engine.db.snapshot(), openings: store.disk.openings() })
        })
    }

    /// Reads of the moment, with the engine that it was a moment of.
    fn read<T>(
        &self,
        place: &'static str,
        read: impl FnOnce(&Engine, &Snapshot) -> fjall::Result<T>,
    ) -> Result<T, StoreError> {
        let disk = &self.store.disk;
        disk.with(|engine| {
            if disk.openings() != self.openings {
                return Err(Cause::Reopened { folder: disk.folder().display().to_string() }.into());
            }
            read(engine, &self.snapshot).map_err(|error| disk.read_error(place, &error))
        })
    }

    /// Copies the blocks, each unpacked on the way, and writes their summaries anew.
    fn copy_events(
        &self,
        target: &Target,
        course: &mut Course,
        copied: &mut Copied,
    ) -> Result<(), StoreError> {
        let (start, end) = self.read("ends", |engine, snapshot| {
            let start = snapshot.get(&engine.meta, EVENTS_START_KEY)?;
            let start = start.and_then(|value| Position::from_key(&value)).unwrap_or_default();
            let last = snapshot.last_key_value(&engine.events).map(fjall::Guard::key).transpose()?;
            let last = last.and_then(|key| Position::from_key(&key));
            Ok((start, last.map_or(start, Position::next)))
        })?;
        if start >= end {
            return Ok(());
        }
        let mut events = target.engine.events.start_ingestion().map_err(|error| target.refused(&error))?;
        let mut summaries =
            target.engine.summaries.start_ingestion().map_err(|error| target.refused(&error))?;
        for number in start.number()..end.number() {
            let position = Position::new(number);
            let value = self.block(position)?;
            let block = codec::decode_block(position, &value)?;
            let summary = Summary::of(&block);
            copied.blocks += 1;
            copied.events += summary.events();
            let summary = codec::encode_summary(&summary).map_err(|error| target.refused(&error))?;
            course.add(value.len() + summary.len())?;
            events.write(position.key(), value).map_err(|error| target.refused(&error))?;
            summaries.write(position.key(), summary).map_err(|error| target.refused(&error))?;
        }
        events.finish().and_then(|()| summaries.finish()).map_err(|error| target.refused(&error))
    }

    fn block(&self, position: Position) -> Result<UserValue, StoreError> {
        let value = self.read("events", |engine, snapshot| {
            Ok(snapshot
                .get(&engine.events, position.key())
                .map_err(|error| self.store.disk.block_error(position, &error)))
        })??;
        value.ok_or_else(|| Cause::Missing { position }.into())
    }

    /// Copies the entries of a map or a small stream; returns how many.
    fn copy_entries(
        &self,
        target: &Target,
        of: impl Fn(&Engine) -> Keyspace,
        place: &'static str,
        course: &mut Course,
    ) -> Result<u64, StoreError> {
        let keyspace = of(&target.engine);
        let mut piece = self.piece(&of, place, None)?;
        if piece.is_empty() {
            return Ok(0);
        }
        let mut ingestion = keyspace.start_ingestion().map_err(|error| target.refused(&error))?;
        let mut entries = 0;
        while let Some((last, _)) = piece.last().cloned() {
            for (key, value) in piece {
                entries += 1;
                course.add(key.len() + value.len())?;
                ingestion.write(key, value).map_err(|error| target.refused(&error))?;
            }
            piece = self.piece(&of, place, Some(&last))?;
        }
        ingestion.finish().map_err(|error| target.refused(&error))?;
        Ok(entries)
    }

    /// Some entries behind `after`; none at the end.
    fn piece(
        &self,
        of: impl Fn(&Engine) -> Keyspace,
        place: &'static str,
        after: Option<&UserKey>,
    ) -> Result<Vec<(UserKey, UserValue)>, StoreError> {
        self.read(place, |engine, snapshot| {
            let after = after.map_or(Bound::Unbounded, |key| Bound::Excluded(&**key));
            let (mut entries, mut bytes) = (Vec::new(), 0);
            for entry in snapshot.range::<&[u8], _>(&of(engine), (after, Bound::Unbounded)) {
                let (key, value) = engine::unpack(entry)?;
                bytes += key.len() + value.len();
                entries.push((key, value));
                if bytes >= PIECE_BYTES {
                    break;
                }
            }
            Ok(entries)
        })
    }

    /// Copies the identity and the starts of the streams.
    fn copy_meta(&self, target: &Target) -> Result<(), StoreError> {
        let id = self.store.disk.with(|engine| upgrade::id_bytes(engine, self.store.disk.folder()))?;
        let mut keys: Vec<Vec<u8>> = Stream::ALL.map(start_key).to_vec();
        keys.push(EVENTS_START_KEY.to_vec());
        let mut batch = target.engine.batch(Durability::Disk);
        upgrade::set_id(&target.engine, &mut batch, &id);
        for key in keys {
            let start = self.read("ends", |engine, snapshot| snapshot.get(&engine.meta, &key))?;
            if let Some(start) = start {
                batch.insert(&target.engine.meta, key, start);
            }
        }
        batch.commit().map_err(|error| target.refused(&error))
    }
}

/// The folder that is written.
struct Target<'a> {
    engine: Engine,
    folder: &'a Path,
}

impl Target<'_> {
    fn refused(&self, error: &dyn std::fmt::Display) -> StoreError {
        Cause::backup_path(self.folder, error)
    }

    fn finish(self) -> Result<(), StoreError> {
        let finished = self.engine.flush_all().and_then(|()| self.engine.mark_synced());
        finished.map_err(|error| self.refused(&error))
    }
}
