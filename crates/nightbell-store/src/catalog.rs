/*!
Ordered maps and small streams: the [`Catalog`] trait, [`Space`]s, [`Stream`]s, [`Write`]s and [`Scan`]s.

Keys and values are bytes; what they mean is their writers' matter. Knows nothing of how they are kept.
*/

use std::collections::BTreeMap;
use std::ops::Bound;

use tokio::sync::watch;

use crate::error::Cause;
use crate::{Position, StoreError};

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 4 * 1024;

/// The largest value and stream entry, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most entries that a scan returns; one without a limit fails beyond it rather than leave some out.
pub const SCAN_ENTRIES_MAX: usize = 1_000_000;

/// An ordered map of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Resources (groups, streams, filters, alarms, topics, subscriptions) and the positions that the loops have reached.
    Catalog,
    /// Metric series by namespace.
    Series,
    /// Data points by series, second and the step that wrote them, or the time that they stand for.
    Points,
    /// The state of each alarm.
    Watch,
    /// What alarms did, for people to read.
    History,
    /// Deliveries that wait, in the order they are due.
    Outbox,
    /// Incidents, by id and by when they started.
    Incidents,
    /// Files of the archive by group and hour, and the heads of its chain.
    Archive,
    /// Code of functions, as it was uploaded.
    Code,
    /// Events that wait for functions, in the order they are due, and what they say.
    Invocations,
}

impl Space {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Catalog,
        Self::Series,
        Self::Points,
        Self::Watch,
        Self::History,
        Self::Outbox,
        Self::Incidents,
        Self::Archive,
        Self::Code,
        Self::Invocations,
    ];

    /// Its name in messages and on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Series => "series",
            Self::Points => "points",
            Self::Watch => "watch",
            Self::History => "history",
            Self::Outbox => "outbox",
            Self::Incidents => "incidents",
            Self::Archive => "archive",
            Self::Code => "code",
            Self::Invocations => "invocations",
        }
    }
}

/// A small stream of the catalog, written in the same atomic step as the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Folded data points, ticks, changes of alarms: what the watcher reads.
    Metrics,
    /// For deliveries once the sender is a reader of its own; today they wait in [`Space::Outbox`].
    Outbox,
    /// For what administrators did; nothing is written yet.
    Audit,
}

impl Stream {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Outbox, Self::Audit];

    /// Its name in messages and on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "stream-metrics",
            Self::Outbox => "stream-outbox",
            Self::Audit => "stream-audit",
        }
    }
}

/// What a commit outlives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The end of the process, `kill -9` too: the bytes are with the operating system.
    Process,
    /// The loss of power: the bytes are on disk (`fdatasync`), and all commits before them.
    Disk,
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Ordered maps and small streams, written together atomically.
///
/// Commits and journal blocks share one write log: after a crash the store stands as it stood after some commit, without
/// holes. All calls work on the caller's thread and may wait for the disk; a commit with [`Durability::Disk`] waits for a
/// sync, so a task calls it where blocking is allowed.
pub trait Catalog: Send + Sync {
    /// The value under a key.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the disk cannot be read.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The entries a scan asks for, all as of one moment.
    ///
    /// # Errors
    ///
    /// `Invalid` when a scan without limit finds more than [`SCAN_ENTRIES_MAX`]; `Unavailable` when the disk cannot be
    /// read.
    fn scan(&self, space: Space, scan: &Scan) -> Result<Vec<Entry>, StoreError>;

    /// Applies a write, wholly or not at all; returns the positions of its pushes in their order.
    ///
    /// # Errors
    ///
    /// `Conflict` when an expectation does not hold; `Invalid` for a key or value beyond its limit; `Unavailable` when the
    /// disk refuses, in which case the write may or may not be found after a restart.
    fn commit(&self, write: Write, durability: Durability) -> Result<Vec<Position>, StoreError>;

    /// The entries of a stream from `from` on, up to about `bytes_max` bytes but at least one when there is one.
    ///
    /// Starts at [`stream_start`](Self::stream_start) when `from` is older.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the disk cannot be read.
    fn read_stream(
        &self,
        stream: Stream,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<(Position, Vec<u8>)>, StoreError>;

    /// The oldest position that a stream keeps.
    fn stream_start(&self, stream: Stream) -> Position;

    /// The next position of a stream; changes after each commit that pushed to it.
    fn stream_end(&self, stream: Stream) -> watch::Receiver<Position>;

    /// Forgets the entries of a stream before `before`, or before its end if that is earlier.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the disk refuses.
    fn trim_stream(&self, stream: Stream, before: Position) -> Result<(), StoreError>;
}

/// One atomic change: entries put, deleted and pushed, and what must hold for it.
#[derive(Clone, Debug, Default)]
pub struct Write {
    /// New values, or none to delete. A map, because a store cannot order two changes of a key in one commit.
    pub(crate) changes: BTreeMap<(Space, Vec<u8>), Option<Vec<u8>>>,
    pub(crate) pushes: Vec<(Stream, Vec<u8>)>,
    pub(crate) expectations: Vec<Expectation>,
}

/// A key with the value it must have before the write, or without if it must be absent.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    pub(crate) space: Space,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Write {
    /// A write that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key; the last change of a key in a write is the one that stays.
    pub fn put(&mut self, space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.changes.insert((space, key.into()), Some(value.into()));
        self
    }

    /// Deletes a key, whether or not it is there.
    pub fn delete(&mut self, space: Space, key: impl Into<Vec<u8>>) -> &mut Self {
        self.changes.insert((space, key.into()), None);
        self
    }

    /// Appends an entry to a stream.
    pub fn push(&mut self, stream: Stream, entry: impl Into<Vec<u8>>) -> &mut Self {
        self.pushes.push((stream, entry.into()));
        self
    }

    /// Requires that a key has this value before the write, or none; otherwise the commit is a `Conflict`.
    pub fn expect(&mut self, space: Space, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) -> &mut Self {
        self.expectations.push(Expectation { space, key: key.into(), value });
        self
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.pushes.is_empty()
    }

    /// Refuses what no backend stores.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let keys = self.changes.keys().map(|(space, key)| (*space, key));
        for (space, key) in keys.chain(self.expectations.iter().map(|held| (held.space, &held.key))) {
            check_key(space, key)?;
        }
        for ((space, _), value) in &self.changes {
            check_value(space.name(), value.as_deref().unwrap_or_default())?;
        }
        self.pushes.iter().try_for_each(|(stream, entry)| check_value(stream.name(), entry))
    }
}

fn check_key(space: Space, key: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let (space, bytes, bytes_max) = (space.name(), key.len(), KEY_BYTES_MAX);
        return Err(Cause::KeyLength { space, bytes, bytes_max }.into());
    }
    Ok(())
}

fn check_value(target: &'static str, value: &[u8]) -> Result<(), StoreError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(Cause::LargeValue { target, bytes: value.len(), bytes_max: VALUE_BYTES_MAX }.into());
    }
    Ok(())
}

/// First and last key of a scan.
pub(crate) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Which entries of a space to read, in which direction, and how many.
#[derive(Clone, Debug)]
pub struct Scan {
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    reverse: bool,
    limit: Option<usize>,
}

impl Scan {
    /// Every entry.
    pub fn all() -> Self {
        Self { from: Bound::Unbounded, to: Bound::Unbounded, reverse: false, limit: None }
    }

    /// The entries whose keys begin with `prefix`.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let prefix = prefix.into();
        let to = after_prefix(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self { from: Bound::Included(prefix), to, ..Self::all() }
    }

    /// The entries from one key up to but without another.
    pub fn range(from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) -> Self {
        Self { from: Bound::Included(from.into()), to: Bound::Excluded(to.into()), ..Self::all() }
    }

    /// From the last key to the first.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most `limit` entries, and at most [`SCAN_ENTRIES_MAX`].
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Goes on behind `key`, the last one of the page before, in the direction of the scan; call after
    /// [`Scan::reverse`].
    #[must_use]
    pub fn after(mut self, key: impl Into<Vec<u8>>) -> Self {
        let end = if self.reverse { &mut self.to } else { &mut self.from };
        *end = Bound::Excluded(key.into());
        self
    }

    /// Refuses bounds that no key can have.
    pub(crate) fn check(&self, space: Space) -> Result<(), StoreError> {
        for bound in [&self.from, &self.to] {
            if let Bound::Included(key) | Bound::Excluded(key) = bound
                && key.len() > KEY_BYTES_MAX
            {
                let (space, bytes, bytes_max) = (space.name(), key.len(), KEY_BYTES_MAX);
                return Err(Cause::KeyLength { space, bytes, bytes_max }.into());
            }
        }
        Ok(())
    }

    /// The bounds, unless no key can lie between them: ordered maps panic when asked for those.
    pub(crate) fn bounds(&self) -> Option<Bounds<'_>> {
        let bounds = (self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice));
        let empty = match bounds {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
                from >= to
            }
        };
        (!empty).then_some(bounds)
    }

    /// Takes from an iterator over the bounds what the scan asks for.
    pub(crate) fn collect<I>(&self, space: Space, entries: I) -> Result<Vec<Entry>, StoreError>
    where
        I: DoubleEndedIterator<Item = Result<Entry, StoreError>>,
    {
        let limit = self.limit.map_or(SCAN_ENTRIES_MAX + 1, |limit| limit.min(SCAN_ENTRIES_MAX));
        let found: Vec<Entry> = if self.reverse {
            entries.rev().take(limit).collect::<Result<_, _>>()?
        } else {
            entries.take(limit).collect::<Result<_, _>>()?
        };
        if found.len() > SCAN_ENTRIES_MAX {
            return Err(Cause::LargeScan { space: space.name(), entries_max: SCAN_ENTRIES_MAX }.into());
        }
        Ok(found)
    }
}

/// The first key after all keys that begin with `prefix`; none when there is no such key.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut after = prefix[..=kept].to_vec();
    after[kept] += 1;
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_key_of_its_length() {
        for (prefix, after) in [
            (&b"a"[..], Some(&b"b"[..])),
            (b"a\xff", Some(b"b")),
            (b"a\xff\x01", Some(b"a\xff\x02")),
            (b"\xff\xff", None),
            (b"", None),
        ] {
            assert_eq!(after_prefix(prefix).as_deref(), after, "prefix {prefix:?}");
        }
    }

    #[test]
    fn bounds_that_hold_nothing_are_seen() {
        assert!(Scan::range("b", "a").bounds().is_none());
        assert!(Scan::range("a", "a").bounds().is_none());
        assert!(Scan::prefix("a").reverse().after("a").bounds().is_none());
        assert!(Scan::range("a", "b").bounds().is_some());
    }
}
