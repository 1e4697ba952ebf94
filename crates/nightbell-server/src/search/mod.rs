/*!
Search through stored events: the newest are in the journal, the rest in the archive; the matcher is the one of the live
rules.

A [`Taker`] says what may match and takes what was read; a [`Search`] cuts what there is to read into pieces and leaves them
to the [`Pool`], whose few threads of low priority serve all searches in turn: many searches cannot starve what comes in,
and a long one cannot starve a short one. Memory is that of the pieces under way and of what takers keep.
*/

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightbell_core::event::Group;
use nightbell_core::fields::{Fields, Selector, Subject, Value};
use nightbell_core::pattern::facts::Facts;
use nightbell_core::time::Timestamp;
use nightbell_store::Position;
use nightbell_store::archive::{Field, Row, WantedCodes};
use nightbell_winevt::DialectReader;
use tokio::sync::Notify;

use crate::app::App;
use crate::catalog::Failure;

pub(crate) mod lookup;
pub(crate) mod page;
mod pieces;
mod pool;
pub(crate) mod queries;
mod read;
pub(crate) mod record;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod shelves;
mod tally;

pub(crate) use pieces::{Area, Streams, range_of};
pub(crate) use pool::{Pool, give_way};

use pieces::Piece;
use shelves::Hold;
use tally::Counted;

/// A place in the order of events: time, block, number inside the block.
pub(crate) type Place = (i64, u64, u32);

/// A place as text, 49 digits that sort as places do.
pub(crate) fn place_text((time, block, number): Place) -> String {
    format!("{time:019}{block:020}{number:010}")
}

/// Reads what [`place_text`] wrote.
pub(crate) fn read_place(text: &str) -> Option<Place> {
    let sound = text.len() == 49 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !sound {
        return None;
    }
    Some((text[..19].parse().ok()?, text[19..39].parse().ok()?, text[39..].parse().ok()?))
}

/// A stored event, as long as it is looked at.
pub(crate) struct Stored<'e> {
    /// The number of the search's area that it belongs to.
    pub(crate) area: usize,
    /// Where it stands.
    pub(crate) place: Place,
    /// When it arrived.
    pub(crate) arrival: Timestamp,
    /// Its log stream.
    pub(crate) stream: &'e str,
    /// Its message; empty where the taker does with columns.
    pub(crate) message: &'e str,
    /// The columns that stand for its message.
    pub(crate) columns: Option<Row<'e>>,
}

impl<'e> Stored<'e> {
    /// The event as rules and queries see it.
    pub(crate) fn subject(&self) -> Subject<'e> {
        match self.columns {
            Some(row) => Subject::of_fields(Box::new(Columns(row)), self.stream),
            None => Subject::new(self.message, self.stream, &DialectReader),
        }
    }
}

/// Fields that are answered from the archive's columns.
struct Columns<'e>(Row<'e>);

impl Fields for Columns<'_> {
    fn visit(&self, selector: &Selector, visit: &mut dyn FnMut(Value<'_>)) {
        if let Some(field) = Field::of(selector) {
            self.0.show(field, &mut |text| visit(Value::Text(text)));
        }
    }
}

/// The way a search goes through time; pieces that are wanted first are read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// From the oldest.
    Oldest,
    /// From the newest.
    Newest,
}

/// Why a search need not go on: it has enough, or it met a limit that the text names.
pub(crate) struct Over(pub(crate) Option<String>);

/// What is looked for, and what becomes of what is found. Pieces are taken apart, so a part is made for each of them.
pub(crate) trait Taker: Send + Sync + 'static {
    /// What one piece comes to.
    type Part: Send;

    /// Whether some event with these facts may be wanted; false only when none is.
    fn may_match(&self, facts: &dyn Facts) -> bool;

    /// The event times (first and last, in milliseconds) that are still wanted; they may grow narrower meanwhile.
    fn times(&self) -> (i64, i64);

    /// The fields that are all it looks at beside time, stream and place; `None` when it wants messages. Fields are then
    /// answered from columns wherever these say exactly what the message says.
    fn columns(&self) -> Option<&[Field]> {
        None
    }

    /// What it asks of row groups whose columns say everything, in place of their events; `None` when it wants events.
    fn codes(&self) -> Option<WantedCodes> {
        None
    }

    /// Whether these two times and all between them are one to it, where it counts by columns.
    fn is_one_time(&self, first: Timestamp, last: Timestamp) -> bool {
        first == last
    }

    /// Looks at rows of a row group by the columns it asked for.
    fn count(&self, part: &mut Self::Part, area: usize, rows: &Counted<'_>) -> Result<(), Over> {
        let _ = (part, area, rows);
        Ok(())
    }

    /// The arrival time from which on events are wanted.
    fn arrived_from(&self) -> Timestamp {
        Timestamp::from_millis(i64::MIN)
    }

    /// An empty part.
    fn part(&self) -> Self::Part;

    /// Looks at an event.
    fn take(&self, part: &mut Self::Part, event: &Stored<'_>) -> Result<(), Over>;

    /// Takes over what a piece came to.
    fn join(&self, part: Self::Part) -> Result<(), Over>;
}

/// How far a search has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Events that were looked at.
    pub(crate) events: AtomicU64,
    /// Bytes of their messages.
    pub(crate) bytes: AtomicU64,
    /// Events in the pieces that are done, looked at or passed over.
    pub(crate) events_done: AtomicU64,
    /// Events in all pieces.
    pub(crate) events_total: AtomicU64,
    /// Pieces that are done.
    pub(crate) pieces: AtomicU64,
    /// All pieces.
    pub(crate) pieces_total: AtomicU64,
    /// What is damaged and was left out.
    pub(crate) left_out: LeftOut,
}

/// What a search has left out because it is damaged: files of the archive and blocks of the journal, each once.
#[derive(Debug, Default)]
pub(crate) struct LeftOut(Mutex<BTreeSet<String>>);

/// Damaged files and blocks that a search counts; more are as bad as these.
const LEFT_OUT_MAX: usize = 10_000;

impl LeftOut {
    /// Notes a file's path or a block's position.
    pub(crate) fn note(&self, what: &impl ToString) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < LEFT_OUT_MAX {
            names.insert(what.to_string());
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Takes over what another search has left out.
    pub(crate) fn add(&self, other: &Self) {
        let others = other.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        others.into_iter().for_each(|what| self.note(&what));
    }
}

/// A search under way.
pub(crate) struct Search<T: Taker> {
    app: Arc<App>,
    areas: Vec<Area>,
    order: Order,
    /// The first event time in this order that can be found, in milliseconds.
    begins_at: i64,
    taker: T,
    pieces: Vec<Piece>,
    /// What the pieces lie in stays there until the search is over.
    _hold: Hold,
    state: Mutex<State>,
    over: AtomicBool,
    done: Notify,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct State {
    /// The next piece to be read.
    next: usize,
    /// Pieces being read, by number.
    active: BTreeSet<usize>,
    failure: Option<Failure>,
    limit: Option<String>,
    /// The taker had all it wanted.
    enough: bool,
}

/// How a search ended.
pub(crate) struct Ended {
    /// The limit it met, in words.
    pub(crate) limit: Option<String>,
    /// The event time, in milliseconds, from which on (in the order of the search) something may be unread because the
    /// search was halted; `None` when it was not.
    pub(crate) halted_at: Option<i64>,
}

impl<T: Taker> Search<T> {
    /// Plans a search; reads the catalog and summaries, so call it where blocking is allowed.
    pub(crate) fn plan(
        app: &Arc<App>,
        areas: Vec<Area>,
        order: Order,
        taker: T,
        progress: Arc<Progress>,
    ) -> Result<Arc<Self>, Failure> {
        let (hold, pieces) = pieces::plan(app, &areas, order, &taker)?;
        let nearest = pieces.first().map_or(0, |piece| piece.nearest(order));
        let (first, last) = taker.times();
        let begins_at = if order == Order::Oldest { nearest.max(first) } else { nearest.min(last) };
        progress.pieces_total.store(pieces.len() as u64, Ordering::Relaxed);
        progress.events_total.store(pieces.iter().map(|piece| piece.events).sum(), Ordering::Relaxed);
        Ok(Arc::new(Self {
            app: Arc::clone(app),
            areas,
            order,
            begins_at,
            taker,
            pieces,
            _hold: hold,
            state: Mutex::default(),
            over: AtomicBool::new(false),
            done: Notify::new(),
            progress,
        }))
    }

    /// Reads, until all is read, the taker has enough, the server stops, or [`Search::halt`] is called; with `patience`,
    /// until that is over and something was read.
    ///
    /// # Errors
    /// What could not be read; damage is passed over and told in the log.
    pub(crate) async fn run(self: &Arc<Self>, patience: Option<Duration>) -> Result<Ended, Failure> {
        let _halting = Halting(self);
        self.app.search_pool.add(Arc::clone(self) as Arc<dyn pool::Job>);
        let mut stopping = self.app.stopping.clone();
        let mut timer = std::pin::pin!(tokio::time::sleep(patience.unwrap_or(Duration::MAX)));
        loop {
            let done = self.done.notified();
            let mut done = std::pin::pin!(done);
            done.as_mut().enable();
            if let Some(ended) = self.ended() {
                return ended;
            }
            tokio::select! {
                () = done => {}
                // A server whose signal is gone is stopping, too.
                _ = stopping.wait_for(|stops| *stops), if !self.over.load(Ordering::Acquire) => self.halt(),
                () = &mut timer, if !timer.is_elapsed() => {}
            }
            if timer.is_elapsed() && self.has_come_on() {
                self.halt();
            }
        }
    }

    /// How it ended, once it has.
    fn ended(&self) -> Option<Result<Ended, Failure>> {
        let mut state = self.state();
        let is_over = self.over.load(Ordering::Acquire);
        if !state.active.is_empty() || (state.next < self.pieces.len() && !is_over) {
            return None;
        }
        if let Some(failure) = state.failure.take() {
            return Some(Err(failure));
        }
        let is_complete = state.enough || state.limit.is_some();
        let halted_at = if is_complete { None } else { self.frontier(&state) };
        Some(Ok(Ended { limit: state.limit.take(), halted_at }))
    }

    /// The event time from which on something may be unread.
    fn frontier(&self, state: &State) -> Option<i64> {
        // Pieces are in order, and claimed in order.
        let number = state.active.first().copied().unwrap_or(state.next);
        self.pieces.get(number).map(|piece| piece.nearest(self.order))
    }

    /// Whether so much was read that a search from the frontier on comes further than this one.
    fn has_come_on(&self) -> bool {
        let frontier = self.frontier(&self.state());
        frontier.is_none_or(|frontier| match self.order {
            Order::Oldest => frontier > self.begins_at.saturating_add(1),
            Order::Newest => frontier < self.begins_at.saturating_sub(1),
        })
    }

    /// Ends the search after the pieces under way.
    pub(crate) fn halt(&self) {
        self.over.store(true, Ordering::Release);
        self.done.notify_waiters();
    }

    /// What is looked for.
    pub(crate) fn taker(&self) -> &T {
        &self.taker
    }

    /// A panic cannot leave the state half changed: nothing between its changes panics.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, over: Result<(), EndedBy>) {
        if let Err(by) = over {
            let mut state = self.state();
            match by {
                EndedBy::Taker(Over(None)) => state.enough = true,
                EndedBy::Taker(Over(limit)) => state.limit = state.limit.take().or(limit),
                EndedBy::Failure(failure) => state.failure = state.failure.take().or(Some(failure)),
            }
            self.over.store(true, Ordering::Release);
        }
    }
}

/// What ends a search early.
enum EndedBy {
    Taker(Over),
    Failure(Failure),
}

impl From<Over> for EndedBy {
    fn from(over: Over) -> Self {
        Self::Taker(over)
    }
}

impl<F: Into<Failure>> From<F> for EndedBy {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

/// Whoever stops waiting for a search (a client that went away) ends it.
struct Halting<'s, T: Taker>(&'s Arc<Search<T>>);

impl<T: Taker> Drop for Halting<'_, T> {
    fn drop(&mut self) {
        self.0.halt();
    }
}

impl<T: Taker> pool::Job for Search<T> {
    fn claim(&self) -> Option<usize> {
        let mut state = self.state();
        if self.over.load(Ordering::Acquire) || state.next >= self.pieces.len() {
            drop(state);
            self.done.notify_waiters();
            return None;
        }
        let claimed = state.next;
        state.next += 1;
        state.active.insert(claimed);
        Some(claimed)
    }

    fn work(&self, claimed: usize) {
        let _left = Left(self, claimed);
        if let Some(piece) = self.pieces.get(claimed) {
            self.end(self.read(piece));
            self.progress.events_done.fetch_add(piece.events, Ordering::Relaxed);
        }
        self.progress.pieces.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts a piece as done, also when reading it panics.
struct Left<'s, T: Taker>(&'s Search<T>, usize);

impl<T: Taker> Drop for Left<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if std::thread::panicking() {
            state.limit = state.limit.take().or_else(|| Some("a part of the search ended badly".to_owned()));
            self.0.over.store(true, Ordering::Release);
        }
        state.active.remove(&self.1);
        drop(state);
        self.0.done.notify_waiters();
    }
}

/// The position from which an event counts that came by `stream` of an area's group.
fn since(area: &Area, stream: &str) -> Option<Position> {
    area.streams.since(stream)
}

/// Whether two groups are one.
fn is_of(area: &Area, group: &Group) -> bool {
    area.group == *group
}
