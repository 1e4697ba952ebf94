/*!
Reading one piece of a search: everything that can be passed over unread is.
*/

use std::sync::atomic::Ordering;

use nightbell_core::time::Timestamp;
use nightbell_store::archive::{Coded, Field, FileEntry, GroupSummary, Reader, Wanted, WantedCodes};
use nightbell_store::{Block, Position, StoreError};
use tracing::warn;

use super::pieces::{Area, From, Piece, Share, Streams};
use super::tally::Counted;
use super::{EndedBy, Search, Stored, Taker, is_of, since};

/// The fields of both lists, each once.
fn with(fields: &[Field], more: &[Field]) -> Vec<Field> {
    let mut all = [fields, more].concat();
    all.sort_unstable();
    all.dedup();
    all
}

impl<T: Taker> Search<T> {
    /// Reads a piece into a part, and hands it over.
    pub(super) fn read(&self, piece: &Piece) -> Result<(), EndedBy> {
        let (first, last) = self.taker.times();
        if piece.last < first || piece.first > last {
            return Ok(());
        }
        let mut part = self.taker.part();
        let done = match &piece.from {
            From::File { area, entry, share } => self.read_file(*area, entry, *share, &mut part),
            From::Blocks(positions) => self.read_blocks(positions, &mut part),
        };
        // What was found before a limit or a failure is found.
        self.taker.join(part)?;
        done
    }

    fn read_file(
        &self,
        area: usize,
        entry: &FileEntry,
        share: Share,
        part: &mut T::Part,
    ) -> Result<(), EndedBy> {
        let done = tokio::runtime::Handle::current().block_on(self.read_rows(area, entry, share, part));
        match done {
            Err(EndedBy::Failure(failure)) if failure.kind() == nightbell_store::Kind::Broken => {
                // The rest is worth reading; `nightbell verify` tells what is wrong with the file.
                self.app.telemetry.broken_files.inc();
                self.progress.left_out.note(&entry.path);
                warn!(file = entry.path, error = %failure, "a damaged file is left out of a search");
                Ok(())
            }
            done => done,
        }
    }

    async fn read_rows(
        &self,
        number: usize,
        entry: &FileEntry,
        share: Share,
        part: &mut T::Part,
    ) -> Result<(), EndedBy> {
        let Some(area) = self.areas.get(number) else { return Ok(()) };
        let reader = self.app.shelves.archive().open_file(entry).await?;
        let fields = Field::asked_by(|facts| self.taker.may_match(facts));
        for at in share.row_groups(reader.row_groups()) {
            let Some(summary) = reader.summary(at) else { break };
            let (first, last) = self.times(area);
            let exact = |columns: &&[Field]| columns.iter().all(|field| summary.is_exact(*field));
            let columns = self.taker.columns().filter(exact);
            let wanted = Wanted {
                from: Some(Timestamp::from_millis(first)),
                to: Some(Timestamp::from_millis(last.saturating_add(1))),
                messages: columns.is_none(),
                fields: with(&fields, columns.unwrap_or_default()),
            };
            let (Some(from), Some(to)) = (wanted.from, wanted.to) else { break };
            let has_stream = match &area.streams {
                Streams::All(_) => true,
                Streams::Named(names) => names.keys().any(|name| summary.may_hold_stream(name)),
            };
            if first > last || !summary.overlaps(from, to) || !has_stream || !self.taker.may_match(summary) {
                continue;
            }
            if self.over.load(Ordering::Acquire) {
                return Ok(());
            }
            if columns.is_some()
                && let Some(codes) = self.taker.codes()
                && streams_are_whole(area, entry, summary)
            {
                self.count_rows((number, area), &reader, at, codes, part).await?;
                continue;
            }
            let mut rows = reader.read(at, &wanted).await?;
            let keep = |facts: &nightbell_store::archive::RowFacts<'_>| self.taker.may_match(facts);
            while let Some(batch) = rows.next(&keep).await? {
                if self.over.load(Ordering::Acquire) {
                    return Ok(());
                }
                let mut bytes = 0;
                for row in batch.rows() {
                    bytes += row.message().len() as u64;
                    if since(area, row.stream()).is_none_or(|since| row.block() < since) {
                        continue;
                    }
                    self.taker.take(
                        part,
                        &Stored {
                            area: number,
                            columns: columns.map(|_| row),
                            place: (row.time().as_millis(), row.block().number(), row.number()),
                            arrival: row.arrival(),
                            stream: row.stream(),
                            message: row.message(),
                        },
                    )?;
                }
                self.count(batch.len() as u64, bytes);
            }
        }
        Ok(())
    }

    /// Has a row group counted by its columns alone.
    async fn count_rows(
        &self,
        (number, area): (usize, &Area),
        reader: &Reader,
        at: usize,
        mut codes: WantedCodes,
        part: &mut T::Part,
    ) -> Result<(), EndedBy> {
        let Some(summary) = reader.summary(at) else { return Ok(()) };
        let (from, to) = self.times(area);
        let (first, last) = summary.times();
        let (from, to) = (Timestamp::from_millis(from), Timestamp::from_millis(to.saturating_add(1)));
        let is_cut = first < from || last >= to;
        codes.times |= is_cut;
        let counts = |stream: &str| since(area, stream).is_some();
        let is_part = matches!(area.streams, Streams::Named(_));
        codes.streams |= is_part;
        let is_one_time = |first, last| self.taker.is_one_time(first, last);
        if !is_cut && let Some(columns) = kinds(reader, at, &codes, &is_one_time).await? {
            let rows = 0..columns.rows;
            self.taker.count(part, number, &Counted { columns: &columns, rows, streams: None })?;
            self.count(summary.rows(), 0);
            return Ok(());
        }
        let columns = reader.codes(at, &codes).await?;
        let rows = columns.between(from, to);
        let read = rows.len() as u64;
        let streams = is_part.then_some(&counts as &dyn Fn(&str) -> bool);
        self.taker.count(part, number, &Counted { columns: &columns, rows, streams })?;
        self.count(read, 0);
        Ok(())
    }

    /// The event times of an area that are still wanted.
    fn times(&self, area: &Area) -> (i64, i64) {
        let (first, last) = self.taker.times();
        (first.max(area.kept_from), last)
    }

    fn read_blocks(&self, positions: &[Position], part: &mut T::Part) -> Result<(), EndedBy> {
        for &position in positions {
            if self.over.load(Ordering::Acquire) {
                return Ok(());
            }
            match self.app.journal.read(position, 1) {
                Ok(blocks) => {
                    // A block that is not there any more is not replaced by the one behind it.
                    for block in blocks.iter().filter(|block| block.position == position) {
                        self.take_block(block, part)?;
                    }
                }
                // The rest of the journal is worth reading.
                Err(error) if error.position().is_some() => {
                    self.app.telemetry.broken_blocks.inc();
                    self.progress.left_out.note(&position);
                    warn!(%error, "a damaged block is left out of a search");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn take_block(&self, block: &Block, part: &mut T::Part) -> Result<(), EndedBy> {
        let (mut number, mut events, mut bytes) = (0_u32, 0, 0);
        for batch in &block.batches {
            let found = self.areas.iter().enumerate().find(|(_, area)| is_of(area, &batch.group));
            let counts =
                |area: &Area| since(area, &batch.stream).is_some_and(|since| block.position >= since);
            let Some((of, area)) = found.filter(|(_, area)| counts(area)) else {
                number = number.saturating_add(u32::try_from(batch.events.len()).unwrap_or(u32::MAX));
                continue;
            };
            let (first, last) = self.times(area);
            for event in &batch.events {
                let place = (event.time.as_millis(), block.position.number(), number);
                number = number.saturating_add(1);
                if !(first..=last).contains(&place.0) {
                    continue;
                }
                events += 1;
                bytes += event.message.len() as u64;
                let (stream, message) = (batch.stream.as_str(), event.message.as_str());
                let arrival = batch.arrival;
                let stored = Stored { area: of, place, arrival, stream, message, columns: None };
                self.taker.take(part, &stored)?;
            }
        }
        self.count(events, bytes);
        Ok(())
    }

    fn count(&self, events: u64, bytes: u64) {
        self.progress.events.fetch_add(events, Ordering::Relaxed);
        self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The kinds of events of a whole row group, where one field at most tells them apart and the summary knows how many there
/// are of each; `is_one_time` says whether two times and all between them are one.
async fn kinds(
    reader: &Reader,
    at: usize,
    codes: &WantedCodes,
    is_one_time: &(dyn Fn(Timestamp, Timestamp) -> bool + Sync),
) -> Result<Option<Coded>, StoreError> {
    let times = reader.summary(at).map(GroupSummary::times);
    let Some((first, last)) = times.filter(|_| !codes.streams && codes.fields.len() <= 1) else {
        return Ok(None);
    };
    if codes.times && !is_one_time(first, last) {
        return Ok(None);
    }
    let mut kinds = reader.counted(at, codes.fields.first().copied()).await?;
    if let Some(kinds) = kinds.as_mut().filter(|_| codes.times) {
        kinds.times = vec![first.as_millis(); kinds.rows];
    }
    Ok(kinds)
}

/// Whether no stream that is wanted began anew within the file, so that it says of a row by its stream alone whether it
/// counts.
fn streams_are_whole(area: &Area, entry: &FileEntry, summary: &GroupSummary) -> bool {
    let is_whole = |since: Position| since <= entry.from();
    match (&area.streams, summary.streams()) {
        (Streams::All(since), _) => is_whole(*since),
        (Streams::Named(names), Some(held)) => {
            held.iter().filter_map(|name| names.get(name)).all(|since| is_whole(*since))
        }
        (Streams::Named(names), None) => names.values().all(|since| is_whole(*since)),
    }
}

#[cfg(test)]
mod tests;
