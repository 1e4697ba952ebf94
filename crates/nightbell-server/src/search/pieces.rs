/*!
What a search has to read, cut into [`Piece`]s: files of the archive, and runs of the journal's blocks.

Files and blocks whose times, groups or streams rule them out become no piece; what files hold beside is seen when they
are opened, in [`super::read`].
*/

use std::collections::BTreeMap;
use std::sync::Arc;

use nightbell_core::event::Group;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{FileEntry, ROW_GROUP_ROWS_MAX};
use nightbell_store::{Position, StreamSummary, Summary};

use super::shelves::Hold;
use super::{Order, Taker, is_of, since};
use crate::app::App;
use crate::catalog::{Failure, GroupRecord};
use crate::clock;

/// Summaries read at once.
const SUMMARIES_AT_ONCE: usize = 1_000;
/// Bytes of messages in the blocks of one piece, about; one block always fits.
const PIECE_BYTES: u64 = 8 << 20;
/// Blocks of one piece.
const PIECE_BLOCKS_MAX: usize = 256;
/// Rows of the part of a file that is one piece, about: several threads read a large file.
const PIECE_ROWS: u64 = 8 * ROW_GROUP_ROWS_MAX as u64;

/// The events of one group that a search may look at.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    /// The log group.
    pub(crate) group: Group,
    /// Which of its streams.
    pub(crate) streams: Streams,
    /// Event times before this, in milliseconds, are expired.
    pub(crate) kept_from: i64,
}

impl Area {
    /// What a group keeps at `now` of these streams.
    pub(crate) fn of(owner: &GroupRecord, streams: Streams, now: Timestamp) -> Self {
        Self {
            group: owner.group.clone(),
            streams,
            kept_from: owner.kept_from(now).map_or(0, Timestamp::as_millis),
        }
    }
}

/// Streams of a group, each with the position from which its events count.
#[derive(Clone, Debug)]
pub(crate) enum Streams {
    /// All of them.
    All(Position),
    /// These.
    Named(BTreeMap<String, Position>),
}

impl Streams {
    /// The position from which events of `stream` count; `None` where the stream is not wanted.
    pub(crate) fn since(&self, stream: &str) -> Option<Position> {
        match self {
            Self::All(since) => Some(*since),
            Self::Named(names) => names.get(stream).copied(),
        }
    }

    /// The position before which nothing counts.
    pub(super) fn first(&self) -> Position {
        match self {
            Self::All(since) => *since,
            Self::Named(names) => names.values().min().copied().unwrap_or(Position::new(u64::MAX)),
        }
    }
}

/// A part of what is to be read, with the first and last event time in it, in milliseconds.
pub(super) struct Piece {
    pub(super) first: i64,
    pub(super) last: i64,
    /// Events in it, of those that are asked for; about, where a file is shared.
    pub(super) events: u64,
    pub(super) from: From,
}

impl Piece {
    /// The event time that comes first in this order.
    pub(super) fn nearest(&self, order: Order) -> i64 {
        match order {
            Order::Oldest => self.first,
            Order::Newest => self.last,
        }
    }
}

/// Where a piece lies.
pub(super) enum From {
    /// In a share of a file of the archive, of the area with this number.
    File { area: usize, entry: Arc<FileEntry>, share: Share },
    /// In these blocks of the journal.
    Blocks(Vec<Position>),
}

/// One of `of` shares of a file's row groups, which follow each other in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    number: usize,
    of: usize,
}

impl Share {
    /// The row groups of the share, of `count`.
    pub(super) fn row_groups(self, count: usize) -> std::ops::Range<usize> {
        count * self.number / self.of..count * (self.number + 1) / self.of
    }

    /// About how many of `rows` rows are in the share; exactly all in all shares.
    fn rows(self, rows: u64) -> u64 {
        let end = |number: usize| rows.saturating_mul(number as u64) / self.of as u64;
        end(self.number + 1) - end(self.number)
    }
}

/// The pieces of a search in the order in which they are wanted, and the hold that keeps them there.
pub(super) fn plan<T: Taker>(
    app: &Arc<App>,
    areas: &[Area],
    order: Order,
    taker: &T,
) -> Result<(Hold, Vec<Piece>), Failure> {
    let (first, last) = taker.times();
    let shelves = &app.shelves;
    let still = shelves.still();
    let archived = shelves.archive().head()?.archived.max(app.journal.start());
    let hold = shelves.hold(archived, clock::now());
    let end = *app.journal.end().borrow();
    let mut pieces = Vec::new();
    for (number, area) in areas.iter().enumerate() {
        let from = Timestamp::from_millis(first.max(area.kept_from));
        let to = Timestamp::from_millis(last.saturating_add(1));
        let files = shelves.archive().files(&area.group, from, to)?;
        let counts = |entry: &FileEntry| {
            entry.last_arrival >= taker.arrived_from()
                && entry.parts.iter().any(|part| part.to > area.streams.first())
        };
        for entry in files.into_iter().filter(counts).map(Arc::new) {
            let of = usize::try_from(entry.rows.div_ceil(PIECE_ROWS)).unwrap_or(1).max(1);
            pieces.extend((0..of).map(|share| Share { number: share, of }).map(|share| Piece {
                first: entry.first.as_millis(),
                last: entry.last.as_millis(),
                events: share.rows(entry.rows),
                from: From::File { area: number, entry: Arc::clone(&entry), share },
            }));
        }
    }
    drop(still);
    let asked = Asked { areas, times: (first, last), arrived_from: taker.arrived_from() };
    plan_blocks(app, &asked, (archived, end), &mut pieces)?;
    match order {
        Order::Oldest => pieces.sort_by_key(|piece| piece.nearest(order)),
        Order::Newest => pieces.sort_by_key(|piece| std::cmp::Reverse(piece.nearest(order))),
    }
    Ok((hold, pieces))
}

/// The times of the oldest and of the newest event that an area keeps; about, where a file holds expired events, too.
pub(crate) fn range_of(app: &App, area: &Area) -> Result<Option<(Timestamp, Timestamp)>, Failure> {
    let mut range: Option<(Timestamp, Timestamp)> = None;
    let kept_from = Timestamp::from_millis(area.kept_from);
    let mut widen = |first: Timestamp, last: Timestamp| {
        if last >= kept_from {
            let (from, to) = range.unwrap_or((first, last));
            range = Some((from.min(first).max(kept_from), to.max(last)));
        }
    };
    // In this order: what is moved meanwhile is seen in the journal, in the archive, or in both.
    let mut at = app.shelves.archive().head()?.archived;
    let end = *app.journal.end().borrow();
    for entry in app.shelves.archive().files_of(&area.group)? {
        if entry.parts.iter().any(|part| part.to > area.streams.first()) {
            widen(entry.first, entry.last);
        }
    }
    while at < end {
        let summaries = app.journal.summaries(at, end, SUMMARIES_AT_ONCE)?;
        let Some(last) = summaries.last() else { break };
        at = last.position.next();
        for summary in &summaries {
            let counts = |stream: &&StreamSummary| {
                is_of(area, &stream.group)
                    && since(area, &stream.stream).is_some_and(|since| summary.position >= since)
            };
            summary.streams.iter().filter(counts).for_each(|stream| widen(stream.first, stream.last));
        }
    }
    Ok(range)
}

/// What is asked of the journal.
struct Asked<'a> {
    areas: &'a [Area],
    times: (i64, i64),
    arrived_from: Timestamp,
}

fn plan_blocks(
    app: &App,
    asked: &Asked<'_>,
    (mut at, end): (Position, Position),
    pieces: &mut Vec<Piece>,
) -> Result<(), Failure> {
    let mut open = Open::default();
    while at < end {
        let summaries = app.journal.summaries(at, end, SUMMARIES_AT_ONCE)?;
        let Some(last) = summaries.last() else { break };
        at = last.position.next();
        for summary in &summaries {
            let events = asked.events_of(summary);
            if events == 0 {
                continue;
            }
            open.add(summary, events);
            if open.bytes >= PIECE_BYTES || open.blocks.len() >= PIECE_BLOCKS_MAX {
                pieces.extend(std::mem::take(&mut open).close());
            }
        }
    }
    pieces.extend(open.close());
    Ok(())
}

impl Asked<'_> {
    /// Events of a block that may be asked for.
    fn events_of(&self, summary: &Summary) -> u64 {
        let (first, last) = self.times;
        let overlaps = |area: &Area, from: Timestamp, to: Timestamp| {
            to.as_millis() >= first.max(area.kept_from) && from.as_millis() <= last
        };
        if summary.arrival < self.arrived_from {
            return 0;
        }
        let counts = |stream: &&StreamSummary| {
            self.areas.iter().any(|area| {
                is_of(area, &stream.group)
                    && overlaps(area, stream.first, stream.last)
                    && since(area, &stream.stream).is_some_and(|since| summary.position >= since)
            })
        };
        summary.streams.iter().filter(counts).map(|stream| stream.events).sum()
    }
}

/// A piece that grows.
#[derive(Default)]
struct Open {
    blocks: Vec<Position>,
    events: u64,
    bytes: u64,
    times: Option<(i64, i64)>,
}

impl Open {
    fn add(&mut self, summary: &Summary, events: u64) {
        let (first, last) = (summary.first.as_millis(), summary.last.as_millis());
        self.blocks.push(summary.position);
        self.events += events;
        self.bytes += summary.message_bytes;
        let (from, to) = self.times.unwrap_or((first, last));
        self.times = Some((from.min(first), to.max(last)));
    }

    fn close(self) -> Option<Piece> {
        let (first, last) = self.times?;
        Some(Piece { first, last, events: self.events, from: From::Blocks(self.blocks) })
    }
}
