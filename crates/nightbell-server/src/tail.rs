/*!
Live tails: what comes in, shown as it comes.

A tail follows the journal's head from the moment it is made and holds nothing but its position: what a slow reader has not
asked for yet waits in the journal, and a reader that is too far behind is taken to the head. Knows no protocol; AWS's form
of it is `aws::livetail`.
*/

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::event::{Batch, Group};
use nightbell_core::fields::Subject;
use nightbell_core::pattern::Pattern;
use nightbell_core::time::Timestamp;
use nightbell_store::{Block, Position};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::catalog::{Failure, GroupRecord, Key, StreamRecord};
use crate::clock::Stopwatch;
use sample::Sample;

mod sample;

/// Live tails at one time ("CloudWatch Logs quotas").
pub(crate) const LIVE_TAILS_MAX: usize = 15;
/// Live tails that read and match at one time: what they do must leave room for what comes in.
const LIVE_TAIL_READS_MAX: usize = 1;
/// Most events of an update ("StartLiveTail", CloudWatch Logs API Reference).
pub(crate) const UPDATE_EVENTS_MAX: usize = 500;
/// Most bytes of an update's messages and stream names; a longer event is not shown.
pub(crate) const UPDATE_BYTES_MAX: usize = 1 << 20;
/// How long a tail reads for one update; what is left comes with the next one.
const UPDATE_READ_TIME_MAX: Duration = Duration::from_millis(400);
/// How far behind a tail may be; from then on it goes on at the head.
const BEHIND_MS_MAX: i64 = 10_000;
/// Bytes of events read at once.
const STEP_BYTES_MAX: usize = 4 << 20;

/// Room for live tails: how many there may be, and how many of them work at one time.
pub(crate) struct TailRoom {
    /// A place for each tail.
    pub(crate) places: Arc<Semaphore>,
    /// A turn for each tail that reads and matches; more wait.
    pub(crate) turns: Semaphore,
}

impl Default for TailRoom {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(LIVE_TAILS_MAX));
        Self { places, turns: Semaphore::new(LIVE_TAIL_READS_MAX) }
    }
}

/// What a tail shows.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The groups.
    pub(crate) groups: Vec<Group>,
    /// The streams of each group.
    pub(crate) streams: Streams,
    /// What the events look like.
    pub(crate) pattern: Pattern,
}

/// Which streams of a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Streams {
    /// All there are and will be.
    All,
    /// Those of these names.
    Named(BTreeSet<String>),
    /// Those whose name begins with one of these.
    Prefixed(Vec<String>),
}

impl Streams {
    fn hold(&self, stream: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(stream),
            Self::Prefixed(prefixes) => prefixes.iter().any(|prefix| stream.starts_with(prefix)),
        }
    }
}

/// What came since the last look.
#[derive(Debug, Default)]
pub(crate) struct Update {
    /// The events, in the order of their acceptance.
    pub(crate) events: Vec<Seen>,
    /// Whether more events came than are told.
    pub(crate) sampled: bool,
}

/// An event that a tail shows.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Its group, as its place among those wanted.
    pub(crate) group: usize,
    /// Its stream.
    pub(crate) stream: String,
    /// When it happened.
    pub(crate) time: Timestamp,
    /// When it was accepted.
    pub(crate) arrival: Timestamp,
    /// The message.
    pub(crate) message: String,
}

/// A place in the journal that moves with its head.
pub(crate) struct Tail {
    app: Arc<App>,
    wanted: Wanted,
    position: Position,
}

impl Tail {
    /// A tail that shows what is accepted from now on.
    pub(crate) fn new(app: Arc<App>, wanted: Wanted) -> Self {
        let position = *app.journal.end().borrow();
        Self { app, wanted, position }
    }

    /// What came since the last look, at most for [`UPDATE_READ_TIME_MAX`]. Reads and matches: not for a thread that others
    /// wait for.
    pub(crate) fn look(&mut self, now: Timestamp) -> Result<Update, Failure> {
        let reading = Stopwatch::start();
        let end = *self.app.journal.end().borrow();
        let mut sample = Sample::new(UPDATE_EVENTS_MAX, UPDATE_BYTES_MAX);
        let mut known = Known::default();
        while self.position < end && reading.elapsed() < UPDATE_READ_TIME_MAX {
            let blocks = match self.app.journal.read(self.position, STEP_BYTES_MAX) {
                Ok(blocks) => blocks,
                Err(error) => {
                    // What follows a damaged block is worth showing; the matcher tells of the damage.
                    let damaged = error.position().ok_or(error)?;
                    self.position = damaged.next();
                    continue;
                }
            };
            let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { break };
            if is_behind(first, now) {
                sample.miss();
                self.position = end;
                break;
            }
            for block in &blocks {
                self.gather(block, &mut known, &mut sample)?;
            }
            self.position = last.position.next();
        }
        Ok(sample.into_update())
    }

    fn gather(&self, block: &Block, known: &mut Known, sample: &mut Sample) -> Result<(), Failure> {
        for batch in &block.batches {
            let Some(group) = self.group_of(batch, block.position, known)? else { continue };
            for event in &batch.events {
                let subject = Subject::new(&event.message, &batch.stream, &self.app.reader);
                if self.wanted.pattern.matches(&subject) {
                    sample.offer(event.message.len() + batch.stream.len(), || Seen {
                        group,
                        stream: batch.stream.clone(),
                        time: event.time,
                        arrival: batch.arrival,
                        message: event.message.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The place of a batch's group among those wanted; nothing where its stream is not wanted, or where group or stream were
    /// deleted after it was accepted.
    fn group_of(&self, batch: &Batch, at: Position, known: &mut Known) -> Result<Option<usize>, Failure> {
        let Some(place) = self.wanted.groups.iter().position(|group| *group == batch.group) else {
            return Ok(None);
        };
        if !self.wanted.streams.hold(&batch.stream) {
            return Ok(None);
        }
        let since = known.since(&self.app, place, batch)?;
        Ok(since.is_some_and(|since| at >= since).then_some(place))
    }
}

/// Whether a reader that has this block before it is too far behind.
fn is_behind(block: &Block, now: Timestamp) -> bool {
    block.batches.first().is_some_and(|batch| now.since(batch.arrival) > BEHIND_MS_MAX)
}

/// Since when groups and streams have been there, asked once in a look.
#[derive(Default)]
struct Known {
    since: HashMap<(usize, String), Option<Position>>,
}

impl Known {
    fn since(&mut self, app: &App, group: usize, batch: &Batch) -> Result<Option<Position>, Failure> {
        let key = (group, batch.stream.clone());
        if let Some(since) = self.since.get(&key) {
            return Ok(*since);
        }
        let group = app.records.get::<GroupRecord>(&Key::group(&batch.group))?;
        let stream = app.records.get::<StreamRecord>(&Key::stream(&batch.group, &batch.stream))?;
        let since = group.zip(stream).map(|(group, stream)| group.since.max(stream.since));
        self.since.insert(key, since);
        Ok(since)
    }
}
