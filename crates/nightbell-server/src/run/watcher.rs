/*!
The watcher: reads `metrics`, steps the alarms, and puts what is to be told into the outbox.

All state it changes (alarms, points, history, deliveries, its position) is saved in one atomic step. A step that tells
somebody is on disk before the message leaves, so a message is never sent for a transition that a crash undoes.
*/

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nightbell_core::alarm::{State, Transition};
use nightbell_core::delivery::Content;
use nightbell_core::metric::Series;
use nightbell_core::time::{MINUTE_MS, Timestamp};
use nightbell_core::watch::{Effect, Input, Needed, Watch};
use nightbell_store::{Catalog, Durability, Position, Stream, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{error, info, warn};

use super::budgets::Budgets;
use super::care::Care;
use super::points::{self, Known, Point, Step};
use super::{Stopping, pause, woken};
use crate::app::App;
use crate::catalog::{Failure, Key, Records, put};
use crate::clock;
use crate::functions::queue::Queued;
use crate::health::Loop;
use crate::manage::alarms::{self, Entry, HistoryItem};
use crate::manage::{self, Refusal, detectors, incidents, mutes, record_logs, taken, topics};

mod composites;
mod functions;
mod gaps;
mod models;
mod notes;
mod put_back;
mod recall;

/// Bytes of entries taken in one step: what is judged in one is told at its end.
const STEP_BYTES_MAX: usize = 1 << 20;
/// A clock that is put back by more is believed; by less, time stands still for as long.
const CLOCK_BACK_MAX_MS: i64 = MINUTE_MS;
/// Entries behind the position that are kept before they are trimmed together.
const TRIM_ENTRIES: u64 = 256;
/// Bytes of a contributor in a line of the program's log.
const LOGGED_BYTES_MAX: usize = 200;

/// The watcher's loop.
pub(super) struct Watcher {
    app: Arc<App>,
    watch: Watch,
    position: Position,
    ticked: Option<Timestamp>,
    trimmed: Position,
    known: Known,
    budgets: Budgets,
    care: Care,
}

/// What one step has gathered and not yet saved.
#[derive(Default)]
struct Gathered {
    change: Write,
    points: Step,
    /// Tells history items of one millisecond apart, the same in a replay.
    order: u64,
    tells: bool,
    /// Events for functions in `change`.
    queued: Vec<Queued>,
    /// Ids of the incidents in `change`.
    incidents: BTreeSet<String>,
    /// Ids of the incidents whose end an action has told.
    told_over: BTreeSet<String>,
}

/// The entry that is taken.
struct Moment {
    /// When it was written.
    now: Timestamp,
    position: Position,
    alarm_deleted: bool,
}

/// How far the watcher has come: what it takes next, and the last tick it has taken. What was due at that tick is judged;
/// what came due since is not, even if data has come since.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Reached {
    position: Position,
    ticked: Option<Timestamp>,
}

/// The last tick that the watcher has taken; `None` before the first.
pub(super) fn ticked(records: &Records) -> Result<Option<Timestamp>, Failure> {
    Ok(records.get::<Reached>(&position_key())?.unwrap_or_default().ticked)
}

fn position_key() -> Key {
    Key::of(&["position", "watcher"])
}

impl Watcher {
    /// The watcher where it was left: alarms with their states, and the data their windows look at.
    pub(super) fn open(app: Arc<App>) -> Result<Self, Failure> {
        let Reached { position, ticked } = app.records.get(&position_key())?.unwrap_or_default();
        let mut watch = Watch::new(&app.account).with_contributors_max(app.contributors_max);
        if let Some(ticked) = ticked {
            watch.restore_clock(ticked);
        }
        // Each series once: its data goes to every alarm on it.
        let store = &**app.records.store();
        let mut needed: BTreeMap<Needed, i64> = BTreeMap::new();
        for (alarm, runtime) in taken::alarms(store)? {
            let from = Watch::needed_from(&alarm, ticked.unwrap_or_default());
            for need in Watch::needs(&alarm) {
                let oldest = needed.entry(need).or_insert(from);
                *oldest = from.min(*oldest);
            }
            let arn = alarm.arn.clone();
            watch.restore_alarm(alarm, runtime);
            for (group, runtime) in alarms::saved_contributors(store, &arn)? {
                watch.restore_contributor(&arn, group, runtime);
            }
        }
        models::restore(store, &mut watch, &mut needed)?;
        let now = ticked.unwrap_or_else(clock::now);
        for (series, from) in one_by_one(store, needed)? {
            let restore = |point: &Point| watch.restore_folded(&point.datum, point.resolution_s);
            recall::each_point(&app.records, &series, from, now, restore)?;
        }
        for incident in incidents::held(store)? {
            let count = incidents::count(store, &incident.id)?;
            watch.restore_incident(incident);
            if let Some(count) = count {
                watch.restore_incident_count(&count);
            }
        }
        record_logs::restore(store, &mut watch)?;
        app.records_followed.send_replace(watch.follows_records());
        app.judged.send_replace(position);
        composites::restore(&mut watch, &app)?;
        let budgets = Budgets::open(&app.records, app.emptied.load(Ordering::Acquire))?;
        Ok(Self {
            app,
            watch,
            budgets,
            position,
            ticked,
            trimmed: position,
            known: Known::default(),
            care: Care::default(),
        })
    }

    /// Runs until the server stops.
    pub(super) async fn run(mut self, mut stopping: Stopping) {
        let mut end = self.app.records.store().stream_end(Stream::Metrics);
        loop {
            end.mark_unchanged();
            let done = self.step();
            if done.is_ok() {
                self.care.succeeded();
                self.app.health.well(Loop::Watcher);
            }
            match done {
                Ok(true) if !*stopping.borrow() => {}
                Ok(true) => return,
                Ok(false) => {
                    if !woken(&mut end, &mut stopping).await {
                        return;
                    }
                }
                Err(failure) => {
                    error!(error = %failure, position = %self.position, "judging is interrupted");
                    self.app.health.failed(Loop::Watcher, &failure, clock::now());
                    // What the step had done in memory is dropped: nothing goes on before it is rebuilt from what is saved.
                    let mut care = self.care;
                    let pass_over = care.failed(failure.kind());
                    loop {
                        if !pause(&mut stopping).await {
                            return;
                        }
                        match Self::resume(&self.app, pass_over) {
                            Ok(again) => break self = Self { care, ..again },
                            Err(failure) => error!(error = %failure, "the watcher cannot resume yet"),
                        }
                    }
                }
            }
        }
    }

    /// The watcher after a failure, behind the entry that cannot be judged if it is to be passed over: one bad entry must
    /// not end all watching.
    fn resume(app: &Arc<App>, pass_over: bool) -> Result<Self, Failure> {
        let mut again = Self::open(Arc::clone(app))?;
        if pass_over {
            error!(position = %again.position, "an entry that cannot be judged is passed over");
            app.telemetry.broken_entries.inc();
            let position = again.position;
            let mut gathered = Gathered::default();
            let store = Arc::clone(app.records.store());
            // What is configured is known all the same, as if it had been put without a past.
            for (_, bytes) in store.read_stream(Stream::Metrics, position, 1)?.into_iter().take(1) {
                if let Ok(entry) = Entry::read(&bytes) {
                    taken::keep(&mut gathered.change, &entry.input);
                }
            }
            again.save(gathered, position)?;
            return Self::open(Arc::clone(app));
        }
        Ok(again)
    }

    /// Judges what has come in; `false` when there was nothing.
    fn step(&mut self) -> Result<bool, Failure> {
        let store = Arc::clone(self.app.records.store());
        let entries = store.read_stream(Stream::Metrics, self.position, self.care.bytes(STEP_BYTES_MAX))?;
        let start = self.position;
        let mut gathered = Gathered::default();
        let mut reached = None;
        for (position, bytes) in entries {
            let mut entry = Entry::read(&bytes)?;
            if self.is_clock_put_back(&entry) {
                if let Some(before) = reached {
                    self.save(std::mem::take(&mut gathered), before)?;
                }
                self.put_clock_back(entry.now, position)?;
                reached = None;
                continue;
            }
            let looks_back = matches!(
                entry.input,
                Input::PutAlarm { .. } | Input::PutDetector { .. } | Input::DeleteAlarm { .. }
            );
            if looks_back && let Some(before) = reached {
                // They look at what is stored, so all before this entry must be there.
                self.save(std::mem::take(&mut gathered), before)?;
            }
            self.teach(&mut entry, &mut gathered)?;
            if let Input::PutAlarm { alarm, .. } = &entry.input {
                self.begin(alarm, entry.now)?;
            }
            self.take(entry, position, &mut gathered)?;
            reached = Some(position);
        }
        if let Some(last) = reached {
            self.save(gathered, last)?;
        }
        Ok(self.position > start)
    }

    fn take(&mut self, entry: Entry, position: Position, gathered: &mut Gathered) -> Result<(), Failure> {
        if let Input::Data(data) = &entry.input {
            gathered.points.add(data, |series| self.watch.is_watched(series));
        }
        if let Input::DeleteAlarm { arn } = &entry.input {
            alarms::forget(&**self.app.records.store(), &mut gathered.change, arn)?;
        }
        composites::keep(&entry.input, gathered);
        taken::keep(&mut gathered.change, &entry.input);
        if matches!(entry.input, Input::Tick) {
            self.ticked = self.ticked.max(Some(entry.now));
        }
        let alarm_deleted = matches!(entry.input, Input::DeleteAlarm { .. });
        let moment = Moment { now: entry.now, position, alarm_deleted };
        for effect in self.watch.step(entry.now, entry.input) {
            self.carry_out(effect, &moment, gathered)?;
        }
        self.send_digests(entry.now, gathered)
    }

    /// Gathers what an effect asks for.
    fn carry_out(&mut self, effect: Effect, moment: &Moment, gathered: &mut Gathered) -> Result<(), Failure> {
        let position = moment.position;
        match effect {
            Effect::Incident(incident) => self.keep_incident(&incident, moment.alarm_deleted, gathered)?,
            Effect::IncidentCounted(count) => incidents::save_count(&mut gathered.change, &count),
            Effect::IncidentOver { id } => incidents::let_go(&mut gathered.change, &id),
            Effect::Found(finding) => self.tell_finding(&finding),
            Effect::Data(data) => gathered.points.add(&data, |series| self.watch.is_watched(series)),
            Effect::RecordsSince(since) => record_logs::save_since(&mut gathered.change, since),
            Effect::SavedRecords { log, channel } => {
                record_logs::save(&mut gathered.change, &log, channel.as_deref());
            }
            Effect::Note(message) => self.tell_note(&message, gathered)?,
            Effect::Saved { arn, runtime } => alarms::save_runtime(&mut gathered.change, &arn, &runtime),
            Effect::SavedContributor { arn, group, runtime } => {
                alarms::save_contributor(&mut gathered.change, &arn, &group, runtime.as_ref());
            }
            Effect::SavedModel { key, model } => {
                detectors::save_model(&mut gathered.change, &key, model.as_deref());
            }
            Effect::Transition(transition) => self.tell(&transition, position, gathered)?,
            Effect::CompositeTransition(transition) => {
                self.tell_composite(&transition, position, gathered)?
            }
            Effect::Act(act) => self.act_again(&act, moment.now, position, gathered)?,
            Effect::SavedComposite { arn, runtime } => {
                manage::composites::save_runtime(&mut gathered.change, &arn, &runtime);
            }
            Effect::SavedMuted { arn, contributor, muted } => {
                mutes::save_held(&mut gathered.change, &arn, &contributor, muted.as_deref());
            }
        }
        Ok(())
    }

    /// Writes a transition into the history, and a delivery for each subscriber of its actions into the outbox.
    fn tell(
        &mut self,
        transition: &Transition,
        position: Position,
        gathered: &mut Gathered,
    ) -> Result<(), Failure> {
        let (from, to) = (transition.from.name(), transition.to.name());
        let contributor = transition.contributor.as_ref().map(|one| one.text(LOGGED_BYTES_MAX));
        info!(
            alarm = transition.alarm.name,
            contributor,
            from,
            to,
            reason = transition.reason,
            "alarm changed"
        );
        self.app.telemetry.transitions.with_label_values(&[to]).inc();
        let of_contributor = transition.contributor.is_some();
        let item = HistoryItem {
            alarm: transition.alarm.name.clone(),
            at: transition.at,
            kind: if of_contributor { "AlarmContributorStateUpdate" } else { "StateUpdate" }.into(),
            contributor: transition.contributor.clone(),
            composite: false,
            summary: format!("Alarm updated from {from} to {to}"),
            data: state_update(transition).to_string(),
        };
        self.record(gathered, transition, &item, position);
        if !transition.acts {
            return Ok(());
        }
        if transition.to != State::Alarm && !transition.alarm.actions(transition.to).is_empty() {
            gathered.told_over.extend(transition.incident.clone());
        }
        self.run_actions(transition, transition.at, position, gathered)
    }

    /// Carries out the actions of a transition at `now`.
    fn run_actions(
        &mut self,
        transition: &Transition,
        now: Timestamp,
        position: Position,
        gathered: &mut Gathered,
    ) -> Result<(), Failure> {
        for action in transition.alarm.actions(transition.to) {
            let (done, published) = if functions::is_for_function(action) {
                self.hand_alarm(action, transition, now, gathered)?
            } else {
                let done = self.act(action, transition, now, position, gathered)?;
                (done, nightbell_deliver::message::alarm_json(transition))
            };
            let item = action_item(transition, now, action, &done, &published);
            self.record(gathered, transition, &item, position);
        }
        Ok(())
    }

    /// Carries out one action that is no function's.
    fn act(
        &mut self,
        action: &str,
        transition: &Transition,
        now: Timestamp,
        position: Position,
        gathered: &mut Gathered,
    ) -> Result<Done, Failure> {
        if let Some(error) = self.why_not(action)? {
            return Ok(Done::Failed(error));
        }
        if self.gathers(action, transition, now)? {
            return Ok(Done::Gathered);
        }
        let cause = position.to_string();
        let whose = transition.contributor.as_ref().map_or("", |one| one.id.as_str());
        let cause = ["alarm", transition.alarm.arn.as_str(), whose, transition.to.name(), &cause];
        let content = Content::Alarm(Box::new(transition.clone()));
        self.send_to_all(action, &content, &cause, now, gathered)?;
        Ok(Done::Sent)
    }

    /// Why an action cannot be carried out.
    fn why_not(&self, action: &str) -> Result<Option<String>, Failure> {
        if !action.starts_with("arn:aws:sns:") {
            return Ok(Some(
                "this kind of action is not carried out; use the ARN of an SNS topic or of a function".into(),
            ));
        }
        match topics::find(&self.app.records, action) {
            Ok(_) => Ok(None),
            Err(Refusal::Store(failure)) => Err(failure),
            Err(_) => Ok(Some("Topic does not exist".into())),
        }
    }

    fn record(
        &self,
        gathered: &mut Gathered,
        transition: &Transition,
        item: &HistoryItem,
        position: Position,
    ) {
        self.note(gathered, &transition.alarm.region, item, position);
    }

    fn save(&mut self, gathered: Gathered, last: Position) -> Result<(), Failure> {
        let Gathered { mut change, mut points, tells, queued, .. } = gathered;
        let store = Arc::clone(self.app.records.store());
        let epoch = self.app.emptied.load(Ordering::Acquire);
        self.known.renew(epoch);
        self.budgets.renew(epoch);
        self.budgets.save(&mut change);
        let watched = |series: &Series| self.watch.is_watched(series);
        let dropped =
            points.drain_into(&*store, &mut change, last, &mut self.known, watched, clock::now())?;
        if dropped > 0 {
            let limit = points::NEW_SERIES_PER_HOUR_MAX;
            warn!(dropped, limit, "data points of too many new series in one hour are dropped");
            self.app.telemetry.dropped_points.inc_by(dropped);
        }
        let next = last.next();
        put(&mut change, &position_key(), &Reached { position: next, ticked: self.ticked });
        let durability = if tells { Durability::Disk } else { Durability::Process };
        self.app.records.store().commit(change, durability)?;
        self.app.telemetry.open_incidents.set(self.watch.open_incidents() as i64);
        self.show_records();
        self.position = next;
        self.app.judged.send_replace(next);
        if tells {
            self.app.outbox_bell.notify_one();
        }
        if !queued.is_empty() {
            queued.into_iter().for_each(Queued::stays);
            self.app.functions.ring();
        }
        if next.number() - self.trimmed.number() >= TRIM_ENTRIES {
            self.app.records.store().trim_stream(Stream::Metrics, next)?;
            self.trimmed = next;
        }
        Ok(())
    }
}

/// The series among what is needed, each once with the oldest second.
fn one_by_one(store: &dyn Catalog, needed: BTreeMap<Needed, i64>) -> Result<BTreeMap<Series, i64>, Failure> {
    let mut all: BTreeMap<Series, i64> = BTreeMap::new();
    for (need, from) in needed {
        let series = match need {
            Needed::Series(series) => vec![series],
            Needed::Metric { region, namespace, name } => {
                points::list_metric(store, &region, &namespace, &name)?
            }
        };
        for series in series {
            let oldest = all.entry(series).or_insert(from);
            *oldest = from.min(*oldest);
        }
    }
    Ok(all)
}

fn state_update(transition: &Transition) -> Value {
    let data: Value = serde_json::from_str(&transition.reason_data).unwrap_or(Value::Null);
    json!({
        "version": "1.0",
        "oldState": {"stateValue": transition.from.name(), "stateReason": transition.old_reason},
        "newState": {
            "stateValue": transition.to.name(),
            "stateReason": transition.reason,
            "stateReasonData": data,
        },
    })
}

/// What became of an action.
enum Done {
    /// Messages are in the outbox.
    Sent,
    /// It is a line of a digest.
    Gathered,
    /// Nothing was done, and why.
    Failed(String),
}

fn action_item(
    transition: &Transition,
    now: Timestamp,
    action: &str,
    done: &Done,
    published: &str,
) -> HistoryItem {
    let published = (!matches!(done, Done::Failed(_))).then_some(published);
    let ended = transition.after_mute.then_some(now);
    let (summary, data) = action_data(action, transition.at, published, done, ended);
    HistoryItem {
        alarm: transition.alarm.name.clone(),
        at: now,
        kind: if transition.contributor.is_some() { "AlarmContributorAction" } else { "Action" }.into(),
        contributor: transition.contributor.clone(),
        composite: false,
        summary,
        data,
    }
}

/// Summary and data of the history item about an action; `muted_until` is when the mute window ended that held it back.
fn action_data(
    action: &str,
    state_updated: Timestamp,
    published: Option<&str>,
    done: &Done,
    muted_until: Option<Timestamp>,
) -> (String, String) {
    let (word, state, tail, error) = match done {
        Done::Sent => ("Successfully executed", "Succeeded", "", None),
        Done::Gathered => ("Successfully executed", "Succeeded", ", gathered into a digest", None),
        Done::Failed(error) => ("Failed to execute", "Failed", "", Some(error)),
    };
    let data = json!({
        "actionState": state,
        "stateUpdateTimestamp": state_updated.as_millis(),
        "notificationResource": action,
        "publishedMessage": published,
        "error": error,
        "muteWindowEndTimestamp": muted_until.map(Timestamp::as_millis),
    });
    (format!("{word} action {action}{tail}"), data.to_string())
}

#[cfg(test)]
pub(super) mod tests;
