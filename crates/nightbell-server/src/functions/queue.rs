/*!
Events for functions that nobody waits for: kept durably, tried again, given up in the end ("How Lambda handles errors and
retries with asynchronous invocation", AWS Lambda developer guide).

An event is two entries of [`Space::Invocations`]: a small one, in the order of when it is due, and what it says. [`put`] adds
both to a change of the caller's, so that cause and event are one commit. How much waits is counted in [`Backlog`].
*/

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use nightbell_store::{Durability, Scan, Space, Write};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tracing::{error, info};
use uuid::Uuid;

use super::backlog::{Amount, Backlog};
use super::{Invocation, NotInvoked, invoke};
use crate::app::App;
use crate::catalog::Failure;
use crate::clock;
use crate::manage::Refusal;
use crate::manage::functions::{self, Function};
use crate::run::Stopping;

/// Largest event ("Lambda quotas"), in bytes.
pub(crate) const EVENT_BYTES_MAX: usize = 1 << 20;
/// Largest event that holds a single log event, which cannot be made smaller: what a function can be asked with ("Lambda quotas").
pub(crate) const LONE_EVENT_BYTES_MAX: usize = 6 << 20;
/// Age at which an event is given up, where nothing else is set.
pub(crate) const EVENT_AGE_MAX_MS: i64 = 6 * HOUR_MS;
/// More attempts after a failed one, where nothing else is set.
pub(crate) const RETRIES_MAX: u32 = 2;

/// Events under way at one time; the pool's own limit is what counts.
const UNDER_WAY_MAX: usize = 64;
/// Longest wait between two looks into the queue.
const LOOK: Duration = Duration::from_secs(1);
/// How long an event waits for a function that is not there: one that is made anew by a tool is back before.
pub(crate) const GONE_FUNCTION_MS_MAX: i64 = 15 * MINUTE_MS;
/// Events that are counted in one go at the start.
const COUNTED_AT_ONCE: usize = 1_000;
/// First and longest wait of an event that finds no room.
const HELD_MS: i64 = SECOND_MS;
const HELD_MS_MAX: i64 = 5 * MINUTE_MS;
/// What the keys of contents begin with. The others begin with a time, whose first byte is 0.
const CONTENT: u8 = b'p';

/// An event that waits.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Waiting {
    /// Its id, the same for every attempt.
    id: String,
    /// The function, by its ARN, with a version where one is meant.
    arn: String,
    /// When it came.
    created: Timestamp,
    /// Failed attempts.
    tries: u32,
    /// How often there was no room for it.
    held: u32,
    /// Bytes of what it says; 0 on events of earlier versions.
    #[serde(default)]
    bytes: u64,
}

/// An event that is in a change, and counted: dropped, it is counted no more.
#[must_use]
pub(crate) struct Queued {
    backlog: Arc<Backlog>,
    arn: String,
    bytes: u64,
    stays: bool,
}

impl Queued {
    /// Its change is committed, or will be without fail.
    pub(crate) fn stays(mut self) {
        self.stays = true;
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if !self.stays {
            self.backlog.left(&self.arn, self.bytes);
        }
    }
}

/// Adds an event for the function `arn` to `change`, and counts it at once. Rings nobody: after the commit
/// [`super::Functions::ring`] saves up to a second. An ARN that leads nowhere is told in the log when the event is due.
pub(crate) fn put(
    backlog: &Arc<Backlog>,
    change: &mut Write,
    arn: &str,
    payload: impl Into<Vec<u8>>,
    now: Timestamp,
) -> Queued {
    let (id, payload) = (Uuid::new_v4().to_string(), payload.into());
    let bytes = payload.len() as u64;
    let waiting = Waiting { id, arn: arn.to_owned(), created: now, tries: 0, held: 0, bytes };
    change.put(Space::Invocations, content_key(&waiting.id), payload);
    enqueue(change, now, &waiting);
    backlog.came(arn, bytes);
    Queued { backlog: Arc::clone(backlog), arn: waiting.arn, bytes, stays: false }
}

/// Whether another event, of so many bytes, may wait for the function `arn`.
pub(crate) fn has_room(app: &App, arn: &str, bytes: usize) -> bool {
    app.functions.backlog.has_room(arn, Amount { events: 1, bytes: bytes as u64 })
}

/// Counts what waits since before the start.
pub(crate) fn load(app: &App) -> Result<(), Failure> {
    let backlog = &app.functions.backlog;
    backlog.clear();
    let mut scan = Scan::range([0], [1]).limit(COUNTED_AT_ONCE);
    loop {
        let found = app.records.store().scan(Space::Invocations, &scan)?;
        let Some((last, _)) = found.last() else { return Ok(()) };
        scan = Scan::range([0], [1]).limit(COUNTED_AT_ONCE).after(last.clone());
        for (_, bytes) in &found {
            // A damaged one is dropped when it is due.
            let Ok(waiting) = serde_json::from_slice::<Waiting>(bytes) else { continue };
            backlog.came(&waiting.arn, waiting.bytes);
        }
    }
}

fn enqueue(change: &mut Write, due: Timestamp, waiting: &Waiting) {
    let bytes = serde_json::to_vec(waiting).expect("an event's note is plain texts and numbers");
    change.put(Space::Invocations, due_key(due, &waiting.id), bytes);
}

fn due_key(due: Timestamp, id: &str) -> Vec<u8> {
    let mut key = due.as_millis().max(0).to_be_bytes().to_vec();
    key.extend_from_slice(id.as_bytes());
    key
}

fn content_key(id: &str) -> Vec<u8> {
    let mut key = vec![CONTENT];
    key.extend_from_slice(id.as_bytes());
    key
}

/// Works off the queue until the server stops; what is under way then is done again after the next start.
pub(super) async fn run(app: Arc<App>, mut stopping: Stopping) {
    let mut at_work: JoinSet<Vec<u8>> = JoinSet::new();
    let mut under_way: HashSet<Vec<u8>> = HashSet::new();
    while !*stopping.borrow() {
        match due(&app, &under_way, UNDER_WAY_MAX - at_work.len()) {
            Ok(found) => {
                for (key, waiting) in found {
                    under_way.insert(key.clone());
                    at_work.spawn(attempt(Arc::clone(&app), key, waiting));
                }
            }
            Err(failure) => error!(error = %failure, "the queue of functions cannot be read"),
        }
        tokio::select! {
            () = app.functions.bell.notified(), if at_work.len() < UNDER_WAY_MAX => {}
            Some(done) = at_work.join_next() => match done {
                Ok(key) => { under_way.remove(&key); }
                Err(failure) => error!(error = %failure, "an event ended badly; it is tried at the next start"),
            },
            () = tokio::time::sleep(LOOK) => {}
            _ = stopping.changed() => {}
        }
    }
}

/// What is due and not under way, in the order it is due.
fn due(app: &App, under_way: &HashSet<Vec<u8>>, room: usize) -> Result<Vec<(Vec<u8>, Waiting)>, Failure> {
    if room == 0 {
        return Ok(Vec::new());
    }
    let soon = clock::now().plus_millis(1).as_millis().max(0).to_be_bytes();
    let scan = Scan::range([0], soon).limit(room + under_way.len());
    let found = app.records.store().scan(Space::Invocations, &scan)?;
    let mut due = Vec::new();
    for (key, bytes) in found.into_iter().filter(|(key, _)| !under_way.contains(key)).take(room) {
        match serde_json::from_slice(&bytes) {
            Ok(waiting) => due.push((key, waiting)),
            Err(error) => {
                error!(%error, "a damaged event of a function is dropped");
                let mut change = Write::new();
                change.delete(Space::Invocations, key);
                app.records.store().commit(change, Durability::Process)?;
            }
        }
    }
    Ok(due)
}

/// What becomes of an event after an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It is done with; the word for the counter.
    Over(&'static str),
    /// It is tried again then.
    Again(Timestamp),
}

/// One attempt at one event, and its record.
async fn attempt(app: Arc<App>, key: Vec<u8>, mut waiting: Waiting) -> Vec<u8> {
    let fate = match target(&app, &waiting) {
        Ok(Target::Ready(function, payload)) => {
            let id = waiting.id.clone();
            let invocation = Invocation { id, payload: payload.into(), client_context: None };
            let rules = Rules::of(&function);
            let done = invoke(&app, *function, invocation).await;
            let failed = done.map(|outcome| outcome.failed);
            fate(&mut waiting, &rules, failed, clock::now())
        }
        Ok(Target::NoFunction) => fate_of_gone(&mut waiting, clock::now()),
        Ok(Target::NoContent) => Fate::Over("gone"),
        Err(refusal) => {
            error!(?refusal, id = waiting.id, "an event of a function cannot be read; tried again");
            Fate::Again(clock::now().plus_millis(HELD_MS_MAX))
        }
    };
    let mut change = Write::new();
    change.delete(Space::Invocations, key.clone());
    let (id, function) = (&waiting.id, &waiting.arn);
    let is_over = matches!(fate, Fate::Over(_));
    let told = match fate {
        Fate::Over(told) => {
            change.delete(Space::Invocations, content_key(id));
            match told {
                "done" => info!(id, function, "an event was taken"),
                "gone" => error!(id, function, "an event has no function; it is dropped"),
                _ => error!(id, function, tries = waiting.tries, "an event is given up"),
            }
            told
        }
        Fate::Again(at) => {
            enqueue(&mut change, at, &waiting);
            "later"
        }
    };
    app.telemetry.function_events.with_label_values(&[told]).inc();
    // Until this is written a crash does it again, with the same id. A disk that refuses must not.
    while let Err(error) = app.records.store().commit(change.clone(), Durability::Process) {
        error!(%error, id, "what became of an event could not be noted; tried again");
        if *app.stopping.borrow() {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    if is_over {
        app.functions.backlog.left(&waiting.arn, waiting.bytes);
    }
    key
}

/// What an event leads to.
enum Target {
    /// The function, and what the event says.
    Ready(Box<Function>, Vec<u8>),
    /// There is no such function.
    NoFunction,
    /// What it says is gone.
    NoContent,
}

fn target(app: &App, waiting: &Waiting) -> Result<Target, Refusal> {
    let Some((region, name, version)) = functions::of_arn(&waiting.arn) else {
        return Ok(Target::NoFunction);
    };
    let function = match functions::find(&app.records, region, name, version) {
        Ok(function) => function,
        Err(Refusal::Missing(_)) => return Ok(Target::NoFunction),
        Err(refusal) => return Err(refusal),
    };
    let payload = app.records.store().get(Space::Invocations, &content_key(&waiting.id))?;
    Ok(payload.map_or(Target::NoContent, |payload| Target::Ready(Box::new(function), payload)))
}

/// The rules for a function's events.
struct Rules {
    retries: u32,
    age_ms_max: i64,
}

impl Rules {
    fn of(function: &Function) -> Self {
        let set = function.events.as_ref();
        Self {
            retries: set.and_then(|rules| rules.retries).unwrap_or(RETRIES_MAX),
            age_ms_max: set
                .and_then(|rules| rules.age_s_max)
                .map_or(EVENT_AGE_MAX_MS, |seconds| i64::from(seconds) * SECOND_MS),
        }
    }
}

/// What becomes of an event after `done`: whether the function failed, or why it was not invoked.
fn fate(waiting: &mut Waiting, rules: &Rules, done: Result<bool, NotInvoked>, now: Timestamp) -> Fate {
    let next = match done {
        Ok(false) => return Fate::Over("done"),
        Ok(true) => {
            waiting.tries += 1;
            if waiting.tries > rules.retries {
                return Fate::Over("given_up");
            }
            // After one minute, then after two.
            now.plus_millis(i64::from(waiting.tries) * MINUTE_MS)
        }
        Err(NotInvoked::Stopping) => now,
        Err(NotInvoked::Off | NotInvoked::Busy(_)) => hold(waiting, now),
    };
    if next.since(waiting.created) > rules.age_ms_max { Fate::Over("given_up") } else { Fate::Again(next) }
}

/// What becomes of an event whose function is not there.
fn fate_of_gone(waiting: &mut Waiting, now: Timestamp) -> Fate {
    let next = hold(waiting, now);
    if next.since(waiting.created) > GONE_FUNCTION_MS_MAX { Fate::Over("gone") } else { Fate::Again(next) }
}

/// When an event that finds no room comes back: later each time.
fn hold(waiting: &mut Waiting, now: Timestamp) -> Timestamp {
    let wait = HELD_MS << waiting.held.min(16);
    waiting.held = waiting.held.saturating_add(1);
    now.plus_millis(wait.min(HELD_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::Busy;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
    const RULES: Rules = Rules { retries: RETRIES_MAX, age_ms_max: EVENT_AGE_MAX_MS };

    fn waiting() -> Waiting {
        Waiting {
            id: "r1".into(),
            arn: "arn:aws:lambda:s:1:function:f".into(),
            created: NOW,
            tries: 0,
            held: 0,
            bytes: 2,
        }
    }

    #[test]
    fn a03_a_failed_event_is_tried_twice_more() {
        let mut event = waiting();
        let mut at = |failed| fate(&mut event, &RULES, Ok(failed), NOW);
        assert_eq!(at(true), Fate::Again(NOW.plus_millis(60_000)));
        assert_eq!(at(true), Fate::Again(NOW.plus_millis(120_000)));
        assert_eq!(at(true), Fate::Over("given_up"));
        assert_eq!(at(false), Fate::Over("done"));
        assert_eq!(event.id, "r1");
    }

    #[test]
    fn an_event_that_finds_no_room_waits_longer_each_time_but_not_for_ever() {
        let mut event = waiting();
        let busy = || Err(NotInvoked::Busy(Busy::All));
        let mut waits = Vec::new();
        let mut now = NOW;
        while let Fate::Again(next) = fate(&mut event, &RULES, busy(), now) {
            waits.push(next.since(now) / 1_000);
            now = next;
        }
        assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(now.since(NOW) <= EVENT_AGE_MAX_MS && now.since(NOW) > EVENT_AGE_MAX_MS - 600_000);
        assert_eq!(event.tries, 0, "no attempt was made");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_event_for_nobody_waits_a_while_and_is_dropped_with_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let app = crate::run::app_in(folder.path(), crate::search::Pool::without_threads());
        let arn = "arn:aws:lambda:s:123456789012:function:gone";
        let mut change = Write::new();
        let now = clock::now();
        for created in [now, now.plus_millis(-GONE_FUNCTION_MS_MAX)] {
            put(&app.functions.backlog, &mut change, arn, "{}", created).stays();
        }
        drop(put(&app.functions.backlog, &mut Write::new(), arn, "{}", now));
        app.records.commit(change).unwrap();
        let found = due(&app, &HashSet::new(), 9).unwrap();
        assert_eq!(found.len(), 2);
        for (key, event) in &found {
            attempt(Arc::clone(&app), key.clone(), event.clone()).await;
        }
        let left = app.records.store().scan(Space::Invocations, &Scan::all()).unwrap();
        assert_eq!(left.len(), 2, "the note and the content of the young one");
        let kept: Waiting = serde_json::from_slice(&left[0].1).unwrap();
        assert_eq!((kept.created, kept.held), (now, 1));
        let one = |app: &App| {
            let room = |events| app.functions.backlog.has_room(arn, Amount { events, bytes: 0 });
            let most = crate::functions::backlog::EVENTS_WAITING_MAX;
            room(most - 1) && !room(most)
        };
        assert!(one(&app));
        load(&app).unwrap();
        assert!(one(&app), "counted anew it is the same");
    }

    #[test]
    fn an_event_whose_function_is_made_anew_is_still_there() {
        let (mut event, mut now, mut waits) = (waiting(), NOW, 0);
        while let Fate::Again(next) = fate_of_gone(&mut event, now) {
            (now, waits) = (next, waits + 1);
        }
        assert!(waits > 5 && now.since(NOW) > GONE_FUNCTION_MS_MAX / 2, "{waits} waits");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_functions_are_off_events_wait() {
        let mut event = waiting();
        event.created = clock::now();
        let fate = fate(&mut event, &RULES, Err(NotInvoked::Off), clock::now());
        assert!(matches!(fate, Fate::Again(_)));
    }
}
