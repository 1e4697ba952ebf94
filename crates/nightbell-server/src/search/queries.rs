/*!
[`Queries`]: Logs Insights queries that run and have run, by id. Results are kept in memory, so they end with the process.

A query reads through the same pool as all searches, may take [`QUERY_TIME_MAX`], and shows what it has so far at any time.
One reading may serve several queries, as the facets of a console do. What threads gather is handed over in parts of
[`PART_BYTES`], so memory is that of the results: [`RUNNING_BYTES_MAX`] for all that run, [`RESULT_BYTES_KEPT_MAX`] for all
that have ended.
*/

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nightbell_core::fields::Subject;
use nightbell_core::logsql::{Limits, Query, Row, Run, Statistics};
use nightbell_core::pattern::Pattern;
use nightbell_core::pattern::facts::Facts;
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{Field, WantedCodes};
use tokio::sync::Notify;
use tracing::error;

use super::tally::{Counted, Looks, Tally};
use super::{Area, Order, Over, Place, Progress, Search, Stored, Taker, place_text, read_place};
use crate::app::App;
use crate::catalog::Failure;
use crate::clock::{self, Stopwatch};

#[cfg(test)]
mod tests;

/// How long a query may run.
pub(crate) const QUERY_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// Queries that run at once; CloudWatch allows 30 ("CloudWatch Logs quotas").
pub(crate) const QUERIES_RUNNING_MAX: usize = 30;
/// Queries whose results are kept, those that run among them.
pub(crate) const QUERIES_KEPT_MAX: usize = 200;
/// Bytes of the results that are kept, about; those of the newest query always are.
pub(crate) const RESULT_BYTES_KEPT_MAX: usize = 64 << 20;
/// Bytes that all running queries hold together.
pub(crate) const RUNNING_BYTES_MAX: usize = 256 << 20;
/// Bytes that one thread gathers before it hands them over, beyond one event.
const PART_BYTES: usize = 1 << 20;
/// How long events alike are counted together before a query sees them: what is shown meanwhile lags by it.
const COUNTED_FOR_MAX: Duration = Duration::from_millis(250);
/// How old the rows that are shown of a running query may be.
const SHOWN_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Bytes that a value of a result is counted with beyond its text and its column's name.
const VALUE_BYTES: usize = 48;

/// One row of a result: columns that hold something, with what they hold.
pub(crate) type ResultRow = Vec<(String, String)>;

/// How a query is ("QueryStatus", CloudWatch Logs API Reference).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It reads.
    Running,
    /// It has read everything.
    Complete,
    /// It met a limit, or could not read all there is; the text says which.
    Failed(String),
    /// It was stopped.
    Cancelled,
    /// It took too long.
    Timeout,
}

impl Status {
    /// AWS's word.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Complete => "Complete",
            Self::Failed(_) => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Timeout => "Timeout",
        }
    }

    /// Why it is so, where there is more to say than the word.
    pub(crate) fn reason(&self) -> Option<String> {
        match self {
            Self::Failed(reason) => Some(reason.clone()),
            Self::Timeout => {
                let minutes = QUERY_TIME_MAX.as_secs() / 60;
                Some(format!("the query took more than {minutes} minutes; ask for less time or filter more"))
            }
            Self::Running | Self::Complete | Self::Cancelled => None,
        }
    }
}

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Where it was asked.
    pub(crate) region: String,
    /// The queries that one reading serves.
    pub(crate) queries: Vec<Query>,
    /// What events must match beside.
    pub(crate) pattern: Option<Pattern>,
    /// The groups that are read, with the label (`account:group`) of each.
    pub(crate) areas: Vec<(Area, String)>,
    /// First and last event time, in milliseconds.
    pub(crate) times: (i64, i64),
    /// When it was asked.
    pub(crate) at: Timestamp,
    /// What each query may hold and show.
    pub(crate) limits: Limits,
    /// Whether it is one of a console: not listed, and a query that meets a limit ends alone, with what it has.
    pub(crate) is_console: bool,
}

impl Asked {
    fn runs(&self) -> Vec<Answer> {
        let run = |query| Answer { run: Run::new(query, self.at, self.limits), cut: None };
        self.queries.iter().map(run).collect()
    }

    /// The fields that are all the queries look at; `None` when messages are needed.
    fn columns(&self) -> Option<Vec<Field>> {
        if self.pattern.is_some() {
            return None;
        }
        let mut columns = Vec::new();
        for query in &self.queries {
            for ways in query.fields()? {
                columns.push(Field::asked_for(ways)?);
            }
        }
        columns.sort_unstable();
        columns.dedup();
        Some(columns)
    }
}

/// What one query has come to.
#[derive(Debug)]
pub(crate) struct Answer {
    run: Run,
    /// The limit at which it stopped.
    cut: Option<String>,
}

/// The rows of one query.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The rows.
    pub(crate) rows: Vec<ResultRow>,
    /// The limit at which it stopped; what it has is not the whole.
    pub(crate) cut: Option<String>,
}

/// A query as it is now.
pub(crate) struct Shown {
    /// How it is.
    pub(crate) status: Status,
    /// The rows so far, of each query.
    pub(crate) results: Arc<Vec<Rows>>,
    /// Events that got through the filters, events and bytes read; of the first query.
    pub(crate) statistics: Statistics,
    /// Pieces read, of how many.
    pub(crate) pieces: (u64, u64),
}

impl Shown {
    /// How much of what there is to read was read, from 0 to 1.
    pub(crate) fn progress(&self) -> f64 {
        match (&self.status, self.pieces) {
            (Status::Complete, _) => 1.0,
            (_, (_, 0)) => 0.0,
            (_, (read, all)) => read as f64 / all as f64,
        }
    }
}

/// All queries.
#[derive(Default)]
pub(crate) struct Queries {
    held: Mutex<Held>,
    /// Bytes that running queries hold.
    bytes: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Held {
    by_id: BTreeMap<String, Arc<Asking>>,
    /// Ids from the oldest to the newest.
    order: VecDeque<String>,
    /// How many there ever were.
    count: u64,
}

/// A query under way, or what is left of it.
pub(crate) struct Asking {
    /// What was asked.
    pub(crate) asked: Asked,
    /// Its number among all, as text that sorts as numbers do.
    pub(crate) number: String,
    /// The columns that are all the queries look at.
    columns: Option<Vec<Field>>,
    /// What each query looks at, where none tells all events apart.
    looks: Option<Vec<Looks>>,
    /// Counts that no thread is at.
    idle: Mutex<Vec<Counts>>,
    state: Mutex<State>,
    progress: Arc<Progress>,
    stop: Notify,
    /// Bytes that all running queries hold.
    all_bytes: Arc<AtomicUsize>,
}

struct State {
    status: Status,
    answers: Vec<Answer>,
    /// Bytes that are counted for it.
    bytes: usize,
    /// What is left once it has ended.
    results: Option<Arc<Vec<Rows>>>,
    /// The rows that were made last while it ran, and since when.
    so_far: Option<(Stopwatch, Arc<Vec<Rows>>)>,
    statistics: Statistics,
    ended: Option<Timestamp>,
}

impl State {
    /// The rows of what is held. Making them may take moments, so those made a moment ago do.
    fn rows_so_far(&mut self) -> Arc<Vec<Rows>> {
        if let Some((since, rows)) = &self.so_far
            && since.elapsed() < SHOWN_AGAIN_AFTER
        {
            return Arc::clone(rows);
        }
        // What is computed behind `stats` may take more than it may; then there is nothing to show yet.
        let rows =
            |answer: &Answer| Rows { rows: answer.run.rows().unwrap_or_default(), cut: answer.cut.clone() };
        let rows = Arc::new(self.answers.iter().map(rows).collect());
        self.so_far = Some((Stopwatch::start(), Arc::clone(&rows)));
        rows
    }
}

/// A query is not taken: too many run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Busy;

impl Queries {
    /// Takes a query and begins to read for it; its id.
    pub(crate) fn start(&self, app: &Arc<App>, asked: Asked) -> Result<String, Busy> {
        let (id, asking) = self.add(asked)?;
        tokio::spawn(answer(Arc::clone(app), asking));
        Ok(id)
    }

    fn add(&self, asked: Asked) -> Result<(String, Arc<Asking>), Busy> {
        let mut held = self.held();
        let running = held.by_id.values().filter(|one| one.status() == Status::Running).count();
        if running >= QUERIES_RUNNING_MAX {
            return Err(Busy);
        }
        held.count += 1;
        let state = State {
            status: Status::Running,
            answers: asked.runs(),
            bytes: 0,
            results: None,
            so_far: None,
            statistics: Statistics::default(),
            ended: None,
        };
        let columns = asked.columns();
        let looks =
            |columns: &Vec<Field>| asked.queries.iter().map(|query| Looks::of(query, columns)).collect();
        let asking = Arc::new(Asking {
            number: format!("{:020}", held.count),
            looks: columns.as_ref().and_then(looks),
            columns,
            asked,
            idle: Mutex::default(),
            state: Mutex::new(state),
            progress: Arc::default(),
            stop: Notify::new(),
            all_bytes: Arc::clone(&self.bytes),
        });
        let id = uuid::Uuid::new_v4().to_string();
        held.by_id.insert(id.clone(), Arc::clone(&asking));
        held.order.push_back(id.clone());
        held.forget_oldest();
        Ok((id, asking))
    }

    /// The query with this id.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Asking>> {
        self.held().by_id.get(id).cloned()
    }

    /// All queries of a region from the newest to the oldest, with their ids.
    pub(crate) fn list(&self, region: &str) -> Vec<(String, Arc<Asking>)> {
        let held = self.held();
        let all = held.order.iter().rev().filter_map(|id| Some((id.clone(), held.by_id.get(id)?.clone())));
        all.filter(|(_, one)| one.asked.region == region && !one.asked.is_console).collect()
    }

    /// Stops all and forgets them.
    pub(crate) fn clear(&self) {
        let held = {
            let mut held = self.held();
            let count = held.count;
            std::mem::replace(&mut *held, Held { count, ..Held::default() })
        };
        for asking in held.by_id.values() {
            asking.stop();
        }
    }

    /// A panic elsewhere leaves whole queries.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Forgets the oldest that have ended, past the limits.
    fn forget_oldest(&mut self) {
        let kept = |one: &Arc<Asking>| if one.status() == Status::Running { 0 } else { one.state().bytes };
        let mut bytes: usize = self.by_id.values().map(kept).sum();
        let mut at = 0;
        while (self.order.len() > QUERIES_KEPT_MAX || bytes > RESULT_BYTES_KEPT_MAX)
            && at + 1 < self.order.len()
        {
            let asking = self.order.get(at).and_then(|id| self.by_id.get(id));
            if asking.is_some_and(|one| one.status() == Status::Running) {
                at += 1;
                continue;
            }
            bytes -= asking.map_or(0, kept);
            if let Some(id) = self.order.remove(at) {
                self.by_id.remove(&id);
            }
        }
    }
}

impl Asking {
    /// The query as it is now, with or without rows. While it runs, rows of what is held are made a few times a second,
    /// which may take moments.
    pub(crate) fn shown(&self, with_rows: bool) -> Shown {
        let mut state = self.state();
        let pieces = [&self.progress.pieces, &self.progress.pieces_total];
        let pieces = pieces.map(|count| count.load(Ordering::Relaxed));
        let results = match &state.results {
            _ if !with_rows => Arc::default(),
            Some(results) => Arc::clone(results),
            None => state.rows_so_far(),
        };
        Shown {
            status: state.status.clone(),
            results,
            statistics: self.statistics(&state),
            pieces: (pieces[0], pieces[1]),
        }
    }

    fn statistics(&self, state: &State) -> Statistics {
        state.answers.first().map_or(state.statistics, |answer| answer.run.statistics())
    }

    /// How it is.
    pub(crate) fn status(&self) -> Status {
        self.state().status.clone()
    }

    /// Events and bytes read, and when it ended.
    pub(crate) fn tally(&self) -> (Statistics, Option<Timestamp>) {
        let state = self.state();
        (self.statistics(&state), state.ended)
    }

    /// Stops it; `false` when it had ended.
    pub(crate) fn stop(&self) -> bool {
        let stopped = self.end(Status::Cancelled);
        if stopped {
            self.stop.notify_one();
        }
        stopped
    }

    /// Keeps the rows and lets go of what made them; `false` when it had ended.
    fn end(&self, mut status: Status) -> bool {
        let finished = self.finish();
        if let Err(Over(Some(limit))) = finished
            && status == Status::Complete
        {
            status = Status::Failed(limit);
        }
        let mut state = self.state();
        if state.status != Status::Running {
            return false;
        }
        state.statistics = self.statistics(&state);
        state.status = status;
        let mut results = Vec::new();
        for answer in std::mem::take(&mut state.answers) {
            let mut result = Rows { rows: Vec::new(), cut: answer.cut };
            match answer.run.rows() {
                Ok(rows) => result.rows = rows,
                Err(limit) if self.asked.is_console => result.cut = Some(limit.to_string()),
                Err(limit) if state.status == Status::Complete => {
                    state.status = Status::Failed(limit.to_string());
                }
                Err(_) => {}
            }
            results.push(result);
        }
        self.all_bytes.fetch_sub(state.bytes, Ordering::AcqRel);
        let texts = results.iter().flat_map(|result| result.rows.iter().flatten());
        state.bytes = texts.map(|(name, value)| name.len() + value.len() + VALUE_BYTES).sum();
        state.results = Some(Arc::new(results));
        state.ended = Some(clock::now());
        true
    }

    /// Takes over what a thread has gathered.
    fn join(&self, parts: Vec<Answer>) -> Result<(), Over> {
        let mut state = self.state();
        if state.status != Status::Running {
            return Err(Over(None));
        }
        for (answer, part) in state.answers.iter_mut().zip(parts) {
            // What there was before a limit is shown.
            if answer.cut.is_none() {
                let merged = answer.run.merge(part.run);
                answer.cut = part.cut.or(merged.err().map(|limit| limit.to_string()));
            }
        }
        let bytes = state.answers.iter().map(|answer| answer.run.held_bytes()).sum();
        let before = std::mem::replace(&mut state.bytes, bytes);
        self.all_bytes.fetch_add(bytes, Ordering::AcqRel);
        let all = self.all_bytes.fetch_sub(before, Ordering::AcqRel).saturating_sub(before);
        if all > RUNNING_BYTES_MAX && bytes > before {
            return Err(Over(Some(format!(
                "all running queries hold {all} bytes and may hold {RUNNING_BYTES_MAX}; show less, filter more, or run fewer at a time"
            ))));
        }
        self.go_on(&state.answers)
    }

    /// Whether it is worth reading on.
    fn go_on(&self, answers: &[Answer]) -> Result<(), Over> {
        let mut cut = answers.iter().filter_map(|answer| answer.cut.as_ref());
        match cut.next() {
            Some(limit) if !self.asked.is_console => Err(Over(Some(limit.clone()))),
            Some(_) if cut.count() + 1 == answers.len() => Err(Over(None)),
            _ => Ok(()),
        }
    }

    /// A panic elsewhere leaves rows that were whole before it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asking {
    /// Counts that go on: those of another piece of the area, or new ones.
    fn counts(&self, area: usize) -> Counts {
        let mut idle = self.idle();
        let found = idle.iter().position(|counts| counts.area == area);
        found.map(|at| idle.swap_remove(at)).unwrap_or_else(|| Counts {
            area,
            tallies: self.asked.queries.iter().map(|_| Tally::default()).collect(),
            since: Stopwatch::start(),
        })
    }

    /// Feeds what was counted to the queries.
    fn pour(&self, counts: &mut Counts, answers: &mut [Answer]) -> Result<(), Over> {
        let Some(looks) = &self.looks else { return Ok(()) };
        let group = self.asked.areas.get(counts.area).map_or("", |(_, label)| label.as_str());
        for ((tally, looks), answer) in counts.tallies.iter_mut().zip(looks).zip(&mut *answers) {
            if answer.cut.is_none()
                && let Err(limit) = tally.pour(looks, group, &mut answer.run)
            {
                answer.cut = Some(limit.to_string());
            }
        }
        counts.since = Stopwatch::start();
        self.go_on(answers)
    }

    /// Feeds the rest of what was counted: what was read counts, however the query ends.
    fn finish(&self) -> Result<(), Over> {
        let idle = std::mem::take(&mut *self.idle());
        for mut counts in idle {
            let mut answers = self.asked.runs();
            let poured = self.pour(&mut counts, &mut answers);
            self.join(answers)?;
            poured?;
        }
        Ok(())
    }

    /// Hands over what queries hold, once it is much.
    fn hand_over(&self, answers: &mut Vec<Answer>) -> Result<(), Over> {
        if answers.iter().map(|answer| answer.run.held_bytes()).sum::<usize>() > PART_BYTES {
            self.join(std::mem::replace(answers, self.asked.runs()))?;
        }
        Ok(())
    }

    /// A panic elsewhere leaves whole counts.
    fn idle(&self) -> MutexGuard<'_, Vec<Counts>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads for a query, and says how it ended.
async fn answer(app: Arc<App>, asking: Arc<Asking>) {
    let status = tokio::select! {
        status = read(&app, &asking) => status,
        () = asking.stop.notified() => Status::Cancelled,
        () = tokio::time::sleep(QUERY_TIME_MAX) => Status::Timeout,
        () = stopping(&app) => Status::Cancelled,
    };
    // Making rows of what is held computes; the worker's other tasks go elsewhere meanwhile.
    tokio::task::block_in_place(|| asking.end(status));
}

async fn stopping(app: &App) {
    let mut stopping = app.stopping.clone();
    // A server whose signal is gone is stopping, too.
    let _ = stopping.wait_for(|stops| *stops).await;
}

async fn read(app: &Arc<App>, asking: &Arc<Asking>) -> Status {
    let (worker, asked) = (Arc::clone(app), Arc::clone(asking));
    let planned = tokio::task::spawn_blocking(move || {
        let areas = asked.asked.areas.iter().map(|(area, _)| area.clone()).collect();
        let progress = Arc::clone(&asked.progress);
        Search::plan(&worker, areas, Order::Newest, Reading { asking: asked }, progress)
    });
    let search = match planned.await {
        Ok(Ok(search)) => search,
        Ok(Err(failure)) => return failed(&failure),
        Err(failure) => return Status::Failed(failure.to_string()),
    };
    match search.run(None).await {
        Ok(ended) => match ended.limit {
            Some(limit) => Status::Failed(limit),
            None if ended.halted_at.is_some() => {
                Status::Failed("the search ended before everything was read".to_owned())
            }
            None => whole(asking.progress.left_out.count()),
        },
        Err(failure) => failed(&failure),
    }
}

/// How a query ends that has read everything but `left_out` damaged files and blocks: rows that are not of all events must
/// not be taken for whole, and clients look at nothing but the status.
fn whole(left_out: u64) -> Status {
    match left_out {
        0 => Status::Complete,
        left_out => Status::Failed(format!(
            "damaged files of the archive or blocks of the journal were left out: {left_out}; the rows are of all other events, and `nightbell verify` names what is damaged"
        )),
    }
}

fn failed(failure: &Failure) -> Status {
    error!(error = %failure, "a query could not read");
    Status::Failed("the store could not be read; see the server's log".to_owned())
}

/// Reads events into the runs of a query.
struct Reading {
    asking: Arc<Asking>,
}

/// What one piece comes to.
struct Gathered {
    answers: Vec<Answer>,
    counted: Option<Counts>,
}

/// Events alike of one area, counted for each query, and since when.
struct Counts {
    area: usize,
    tallies: Vec<Tally>,
    since: Stopwatch,
}

impl Counts {
    fn bytes(&self) -> usize {
        self.tallies.iter().map(Tally::bytes).sum()
    }
}

impl Taker for Reading {
    type Part = Gathered;

    fn may_match(&self, facts: &dyn Facts) -> bool {
        let asked = &self.asking.asked;
        asked.pattern.as_ref().is_none_or(|pattern| pattern.may_match(facts))
            && asked.queries.iter().any(|query| query.may_match(facts))
    }

    fn times(&self) -> (i64, i64) {
        self.asking.asked.times
    }

    fn columns(&self) -> Option<&[Field]> {
        self.asking.columns.as_deref()
    }

    fn codes(&self) -> Option<WantedCodes> {
        let looks = self.asking.looks.as_ref()?;
        Some(WantedCodes {
            times: looks.iter().any(|looks| looks.timed),
            streams: looks.iter().any(|looks| looks.stream),
            fields: self.asking.columns.clone()?,
        })
    }

    fn is_one_time(&self, first: Timestamp, last: Timestamp) -> bool {
        let mut queries = self.asking.asked.queries.iter();
        queries.all(|query| query.alike().is_some_and(|alike| alike.is_same_time(first, last)))
    }

    fn part(&self) -> Gathered {
        Gathered { answers: self.asking.asked.runs(), counted: None }
    }

    fn count(&self, part: &mut Gathered, area: usize, rows: &Counted<'_>) -> Result<(), Over> {
        let Some(looks) = &self.asking.looks else { return Ok(()) };
        let counts = part.counted.get_or_insert_with(|| self.asking.counts(area));
        for ((tally, looks), query) in counts.tallies.iter_mut().zip(looks).zip(&self.asking.asked.queries) {
            tally.count(query, looks, rows);
        }
        if counts.bytes() > PART_BYTES {
            self.asking.pour(counts, &mut part.answers)?;
            self.asking.hand_over(&mut part.answers)?;
        }
        Ok(())
    }

    fn take(&self, part: &mut Gathered, event: &Stored<'_>) -> Result<(), Over> {
        let asked = &self.asking.asked;
        let subject = event.subject();
        if asked.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&subject)) {
            return Ok(());
        }
        feed(asked, &mut part.answers, event, &subject);
        self.asking.go_on(&part.answers)?;
        self.asking.hand_over(&mut part.answers)
    }

    fn join(&self, mut part: Gathered) -> Result<(), Over> {
        let mut poured = Ok(());
        if let Some(counts) = &mut part.counted {
            // Those of all log groups together hold about as much as one part.
            let bytes_max = PART_BYTES / self.asking.asked.areas.len().max(1);
            if counts.since.elapsed() > COUNTED_FOR_MAX || counts.bytes() > bytes_max {
                poured = self.asking.pour(counts, &mut part.answers);
            }
        }
        let joined = self.asking.join(part.answers);
        // A query that has ended keeps nothing.
        if self.asking.status() == Status::Running {
            self.asking.idle().extend(part.counted);
        }
        joined.and(poured)
    }
}

fn feed(asked: &Asked, answers: &mut [Answer], event: &Stored<'_>, subject: &Subject<'_>) {
    let group = asked.areas.get(event.area).map_or("", |(_, label)| label.as_str());
    let ptr = Pointer { group, place: event.place };
    let time = Timestamp::from_millis(event.place.0);
    let row = Row { time, arrival: event.arrival, stream: event.stream, group, ptr: &ptr, subject };
    for answer in answers.iter_mut().filter(|answer| answer.cut.is_none()) {
        if let Err(limit) = answer.run.feed(&row) {
            answer.cut = Some(limit.to_string());
        }
    }
}

/// What finds an event again (`@ptr`): its place and its group's label, as text that needs no escaping and sorts by place.
pub(crate) struct Pointer<'a> {
    /// `account:group`.
    pub(crate) group: &'a str,
    /// Its place in the group.
    pub(crate) place: Place,
}

impl std::fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&place_text(self.place))?;
        f.write_str(&URL_SAFE_NO_PAD.encode(self.group))
    }
}

/// The label and the place that a pointer holds.
pub(crate) fn read_pointer(text: &str) -> Option<(String, Place)> {
    let (place, label) = text.split_at_checked(PLACE_CHARS)?;
    let label = String::from_utf8(URL_SAFE_NO_PAD.decode(label).ok()?).ok()?;
    Some((label, read_place(place)?))
}

/// Characters of a place as text.
const PLACE_CHARS: usize = 49;
