/*!
The watcher's pure state machine: data, ticks and changes to alarms go in, transitions come out.

`step` is all there is: the same inputs in the same order give the same effects on every node. Time is part of the input.
Data of a series without an alarm costs one look-up and is not kept.

Semantics worth knowing: windows have a resolution of one second. Data ahead of the clock counts in its own window at
once. Data that came late counts in its own window and can fire as long as it is not older than
the allowed lateness of fifteen minutes or the alarm's evaluation range, whichever is longer.
*/

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::alarm::metric::{self, Arrived, MetricWatch};
pub use crate::alarm::runtime::Runtime;
use crate::alarm::{MetricAlarm, State, Transition};
use crate::metric::{Datum, Series};
use crate::time::Timestamp;

/// What the watcher is told.
#[expect(
    clippy::large_enum_variant,
    reason = "an input lives for one step; a box would cost each caller a word"
)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// Data points arrived.
    Data(Vec<Datum>),
    /// Time passed.
    Tick,
    /// An alarm was made or replaced.
    PutAlarm {
        /// Its configuration; it passes [`MetricAlarm::check`].
        alarm: MetricAlarm,
        /// What its series holds from [`Watch::needed_from`] up to this input. When it is empty and the alarm replaces
        /// one on the same series and unit, the data of that one is kept.
        history: Vec<Datum>,
    },
    /// An alarm was deleted.
    DeleteAlarm {
        /// Its ARN; unknown ones are ignored.
        arn: String,
    },
    /// A state was set by hand; it holds until the next evaluation.
    SetState {
        /// The alarm's ARN; unknown ones are ignored.
        arn: String,
        /// The state.
        state: State,
        /// `StateReason`.
        reason: String,
        /// `StateReasonData`, a JSON document.
        reason_data: Option<String>,
    },
}

/// What is to happen outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// An alarm changed its state.
    Transition(Box<Transition>),
    /// An alarm's runtime changed: keep it, so that a restart goes on from it.
    Saved {
        /// The alarm's ARN.
        arn: String,
        /// Its runtime from now on.
        runtime: Runtime,
    },
}

/// All alarms of one installation.
#[derive(Clone, Debug)]
pub struct Watch {
    account: String,
    /// The latest time seen; `None` before the first.
    now: Option<Timestamp>,
    /// The latest tick: what is complete. It may be behind `now` while events wait to be matched.
    ticked: Option<Timestamp>,
    alarms: BTreeMap<String, MetricWatch>,
    /// ARNs of the alarms on each series.
    by_series: HashMap<Series, Vec<String>>,
}

impl Watch {
    /// A watch without alarms for the account of this id (12 digits).
    pub fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            now: None,
            ticked: None,
            alarms: BTreeMap::new(),
            by_series: HashMap::new(),
        }
    }

    /// Applies one input at `now`. Pure: same state, same `now`, same input, same effects. A `now` before the last one
    /// counts as the last one; of a tick, `now` says how far data is complete, whatever later data was stamped with.
    pub fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        let complete = self.ticked.map_or(now, |last| last.max(now));
        let now = self.now.map_or(now, |last| last.max(now));
        self.now = Some(now);
        let mut effects = Vec::new();
        match input {
            Input::Data(data) => self.take(now, data, &mut effects),
            Input::Tick => {
                self.ticked = Some(complete);
                for (arn, watched) in &mut self.alarms {
                    let forced = watched.runtime().forced;
                    let transition = watched.tick(complete, now, &self.account);
                    let saved = transition.is_some() || watched.runtime().forced != forced;
                    report(arn, watched, transition, saved, &mut effects);
                }
            }
            Input::PutAlarm { alarm, history } => self.put(now, alarm, history, &mut effects),
            Input::DeleteAlarm { arn } => {
                if let Some(watched) = self.alarms.remove(&arn) {
                    self.unlist(&watched.alarm().series, &arn);
                }
            }
            Input::SetState { arn, state, reason, reason_data } => {
                if let Some(watched) = self.alarms.get_mut(&arn) {
                    let transition = watched.force(now, &self.account, state, reason, reason_data);
                    report(&arn, watched, transition, true, &mut effects);
                }
            }
        }
        effects
    }

    /// Puts an alarm back as it was saved, without effects. Call [`Watch::restore_clock`] before and
    /// [`Watch::restore_data`] after.
    pub fn restore_alarm(&mut self, alarm: MetricAlarm, runtime: Runtime) {
        let arn = alarm.arn.clone();
        let series = alarm.series.clone();
        let written = alarm.updated;
        let mut watched = MetricWatch::new(alarm, runtime);
        if let Some(now) = self.now {
            watched.skip_to(now.max(written)); // writing an alarm evaluates it, too
        }
        self.list(series, &arn, watched);
    }

    /// Puts data back that was stepped before, without judging it. Data that was not stepped yet belongs into
    /// [`Input::Data`].
    pub fn restore_data(&mut self, data: &[Datum]) {
        for datum in data {
            for arn in self.by_series.get(&datum.series).into_iter().flatten() {
                if let Some(watched) = self.alarms.get_mut(arn) {
                    watched.restore(self.now, datum.clone());
                }
            }
        }
    }

    /// Sets the time of the last tick that was stepped before a restart, so that what was evaluated then is not
    /// evaluated again with data that came after. Without it, alarms are evaluated at the first tick.
    pub fn restore_clock(&mut self, last_tick: Timestamp) {
        self.now = Some(self.now.map_or(last_tick, |now| now.max(last_tick)));
        self.ticked = Some(self.ticked.map_or(last_tick, |ticked| ticked.max(last_tick)));
    }

    /// The oldest second of event time that judging `alarm` from `now` on can need.
    pub fn needed_from(alarm: &MetricAlarm, now: Timestamp) -> i64 {
        metric::needed_from(alarm, now.second())
    }

    /// All alarms, by ARN.
    pub fn alarms(&self) -> impl Iterator<Item = (&MetricAlarm, &Runtime)> {
        self.alarms.values().map(|watched| (watched.alarm(), watched.runtime()))
    }

    /// The alarm with this ARN.
    pub fn alarm(&self, arn: &str) -> Option<(&MetricAlarm, &Runtime)> {
        self.alarms.get(arn).map(|watched| (watched.alarm(), watched.runtime()))
    }

    /// Whether some alarm watches `series`.
    pub fn is_watched(&self, series: &Series) -> bool {
        self.by_series.contains_key(series)
    }

    /// Folds all data in first, then judges each alarm once: a batch is one step, however many seconds it spans.
    fn take(&mut self, now: Timestamp, data: Vec<Datum>, effects: &mut Vec<Effect>) {
        let mut touched: BTreeMap<&str, Arrived> = BTreeMap::new();
        for datum in data {
            let Some(arns) = self.by_series.get(&datum.series) else { continue };
            let Some((last, others)) = arns.split_last() else { continue };
            for arn in others {
                if let Some(watched) = self.alarms.get_mut(arn) {
                    watched.take(now, datum.clone(), touched.entry(arn).or_default());
                }
            }
            if let Some(watched) = self.alarms.get_mut(last) {
                watched.take(now, datum, touched.entry(last).or_default());
            }
        }
        for (arn, arrived) in touched {
            if let Some(watched) = self.alarms.get_mut(arn) {
                let transition = watched.arrive(now, &self.account, &arrived);
                let saved = transition.is_some();
                report(arn, watched, transition, saved, effects);
            }
        }
    }

    fn put(&mut self, now: Timestamp, alarm: MetricAlarm, history: Vec<Datum>, effects: &mut Vec<Effect>) {
        let arn = alarm.arn.clone();
        let series = alarm.series.clone();
        let mut watched = MetricWatch::new(alarm, Runtime::created(now));
        let mut anew = true;
        if let Some(old) = self.alarms.remove(&arn) {
            self.unlist(&old.alarm().series, &arn);
            anew = watched.judges_differently(old.alarm());
            watched.succeed(old, history.is_empty());
        }
        for datum in history.into_iter().filter(|datum| datum.series == series) {
            watched.restore(Some(now), datum);
        }
        let anew = anew || watched.runtime().forced;
        let transition = watched.evaluate(now, &self.account, anew);
        report(&arn, &watched, transition, true, effects);
        self.list(series, &arn, watched);
    }

    fn list(&mut self, series: Series, arn: &str, watched: MetricWatch) {
        match self.alarms.entry(arn.to_owned()) {
            Entry::Occupied(mut held) => {
                let before = held.insert(watched);
                if before.alarm().series != series {
                    self.unlist(&before.alarm().series.clone(), arn);
                }
            }
            Entry::Vacant(free) => {
                free.insert(watched);
            }
        }
        let arns = self.by_series.entry(series).or_default();
        if !arns.iter().any(|listed| listed == arn) {
            arns.push(arn.to_owned());
            arns.sort();
        }
    }

    fn unlist(&mut self, series: &Series, arn: &str) {
        if let Some(arns) = self.by_series.get_mut(series) {
            arns.retain(|listed| listed != arn);
            if arns.is_empty() {
                self.by_series.remove(series);
            }
        }
    }
}

/// A transition first, then what is to be kept.
fn report(
    arn: &str,
    watched: &MetricWatch,
    transition: Option<Transition>,
    saved: bool,
    effects: &mut Vec<Effect>,
) {
    effects.extend(transition.map(|transition| Effect::Transition(Box::new(transition))));
    if saved {
        effects.push(Effect::Saved { arn: arn.to_owned(), runtime: watched.runtime().clone() });
    }
}

#[cfg(test)]
mod tests;
