/*!
Events for functions that nobody waits for: kept durably, tried again, given up in the end ("How Lambda handles errors and
retries with asynchronous invocation", AWS Lambda developer guide).

An event is two entries of [`Space::Invocations`]: a small one, in the order of when it is due, and what it says. [`put`] adds
both to a change of the caller's, so that cause and event are one commit.
*/

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use nightbell_store::{Durability, Scan, Space, Write};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::{Invocation, NotInvoked, invoke};
use crate::app::App;
use crate::catalog::Failure;
use crate::clock;
use crate::manage::Refusal;
use crate::manage::functions::{self, Function};
use crate::run::Stopping;

/// Largest event ("Lambda quotas"), in bytes.
pub(crate) const EVENT_BYTES_MAX: usize = 1 << 20;
/// Events that may wait before Invoke refuses more.
pub(crate) const EVENTS_WAITING_MAX: usize = 10_000;
/// Age at which an event is given up, where nothing else is set.
pub(crate) const EVENT_AGE_MAX_MS: i64 = 6 * HOUR_MS;
/// More attempts after a failed one, where nothing else is set.
pub(crate) const RETRIES_MAX: u32 = 2;

/// Events under way at one time; the pool's own limit is what counts.
const UNDER_WAY_MAX: usize = 64;
/// Longest wait between two looks into the queue.
const LOOK: Duration = Duration::from_secs(1);
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
}

/// Adds an event for the function `arn` to `change` and gives its id. Rings nobody: after the commit [`super::Functions::ring`]
/// saves up to a second. An ARN that leads nowhere is told in the log when the event is due.
pub(crate) fn put(change: &mut Write, arn: &str, payload: impl Into<Vec<u8>>, now: Timestamp) -> String {
    let id = Uuid::new_v4().to_string();
    let waiting = Waiting { id: id.clone(), arn: arn.to_owned(), created: now, tries: 0, held: 0 };
    change.put(Space::Invocations, content_key(&id), payload);
    enqueue(change, now, &waiting);
    id
}

/// Whether another event may wait.
pub(crate) fn has_room(app: &App) -> Result<bool, Failure> {
    let scan = Scan::range([0], [1]).limit(EVENTS_WAITING_MAX);
    Ok(app.records.store().scan(Space::Invocations, &scan)?.len() < EVENTS_WAITING_MAX)
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
        Ok(Some((function, payload))) => {
            let id = waiting.id.clone();
            let invocation = Invocation { id, payload: payload.into(), client_context: None };
            let rules = Rules::of(&function);
            let done = invoke(&app, function, invocation).await;
            let failed = done.map(|outcome| outcome.failed);
            fate(&mut waiting, &rules, failed, clock::now())
        }
        Ok(None) => Fate::Over("gone"),
        Err(refusal) => {
            error!(?refusal, id = waiting.id, "an event of a function cannot be read; tried again");
            Fate::Again(clock::now().plus_millis(HELD_MS_MAX))
        }
    };
    let mut change = Write::new();
    change.delete(Space::Invocations, key.clone());
    let (id, function) = (&waiting.id, &waiting.arn);
    let told = match fate {
        Fate::Over(told) => {
            change.delete(Space::Invocations, content_key(id));
            match told {
                "done" => info!(id, function, "an event was taken"),
                "gone" => warn!(id, function, "an event has no function; it is dropped"),
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
    key
}

/// The function that an event is for, and what the event says; nothing where either is gone.
fn target(app: &App, waiting: &Waiting) -> Result<Option<(Function, Vec<u8>)>, Refusal> {
    let Some((region, name, version)) = functions::of_arn(&waiting.arn) else { return Ok(None) };
    let function = match functions::find(&app.records, region, name, version) {
        Ok(function) => function,
        Err(Refusal::Missing(_)) => return Ok(None),
        Err(refusal) => return Err(refusal),
    };
    let payload = app.records.store().get(Space::Invocations, &content_key(&waiting.id))?;
    Ok(payload.map(|payload| (function, payload)))
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
        Err(NotInvoked::Off | NotInvoked::Busy(_)) => {
            let wait = HELD_MS << waiting.held.min(16);
            waiting.held = waiting.held.saturating_add(1);
            now.plus_millis(wait.min(HELD_MS_MAX))
        }
    };
    if next.since(waiting.created) > rules.age_ms_max { Fate::Over("given_up") } else { Fate::Again(next) }
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
    async fn an_event_for_nobody_is_dropped_with_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let app = crate::run::app_in(folder.path(), crate::search::Pool::without_threads());
        let mut change = Write::new();
        put(&mut change, "arn:aws:lambda:s:123456789012:function:gone", "{}", NOW);
        app.records.commit(change).unwrap();
        let found = due(&app, &HashSet::new(), 9).unwrap();
        let [(key, event)] = &found[..] else { panic!("{} are due", found.len()) };
        attempt(Arc::clone(&app), key.clone(), event.clone()).await;
        assert!(app.records.store().scan(Space::Invocations, &Scan::all()).unwrap().is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_functions_are_off_events_wait() {
        let folder = tempfile::tempdir().unwrap();
        let app = crate::run::app_in(folder.path(), crate::search::Pool::without_threads());
        let mut event = waiting();
        event.created = clock::now();
        let fate = fate(&mut event, &RULES, Err(NotInvoked::Off), clock::now());
        assert!(matches!(fate, Fate::Again(_)) && has_room(&app).unwrap());
    }
}
