/*!
One composite alarm as it is watched: its rule, its state, and whether the actions of a change run.

A change of a child weighs the rule again. A change enters ALARM or leaves it; its actions run at once unless a
suppressor holds them ("Suppressing composite alarm actions", Amazon CloudWatch User Guide): while the suppressor is in
ALARM; after entering ALARM, for the wait period, in case the suppressor follows; after the suppressor left ALARM, for
the extension period, in case the composite follows. Held actions run when that is over and the state still stands. What
happened and was over while actions were held is not told at all.

Knows no other alarm: their states are asked through a function, which already gives those after the change at hand.
*/

use serde::Serialize;

use super::{
    AlarmRule, Change, CompositeAlarm, CompositeRuntime, Held, RuleError, Standing, SuppressedBy, Trigger,
};
use crate::alarm::State;
use crate::time::{SECOND_MS, Timestamp};

/// Bytes of the `StateReasonData` of a composite; children that would go beyond are left out of it.
const REASON_DATA_BYTES_MAX: usize = 4_000;

/// The states of other alarms by ARN; nothing for one that does not exist.
type States<'a> = &'a dyn Fn(&str) -> Option<Standing>;

/// What a step of a composite brings. The runtime may change without any; keep it whenever it does.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The state changed.
    Changed {
        /// From what, to what, and why.
        change: Change,
        /// What becomes of its actions.
        actions: Actions,
    },
    /// Held actions stay held for another reason, which the runtime gives.
    HeldOn(SuppressedBy),
    /// The actions of a change that were held run now.
    Released(Change),
}

/// What becomes of the actions of a change. Whether the alarm's actions are enabled is asked elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actions {
    /// They run now.
    Run,
    /// They wait; [`Decision::Released`] says when they run.
    Held(SuppressedBy),
    /// Neither they nor those that were held run: outside, nothing was told of that this change would end.
    Dropped,
}

/// One composite alarm, its rule and its state.
#[derive(Clone, Debug)]
pub struct CompositeWatch {
    alarm: CompositeAlarm,
    rule: AlarmRule,
    runtime: CompositeRuntime,
}

impl CompositeWatch {
    /// The alarm in the state of `runtime`. Call [`CompositeWatch::on_configured`] when it was just made or replaced.
    ///
    /// # Errors
    /// A rule that cannot be read.
    pub fn new(alarm: CompositeAlarm, runtime: CompositeRuntime) -> Result<Self, RuleError> {
        let rule = AlarmRule::parse(&alarm.rule, &alarm.site())?;
        Ok(Self { alarm, rule, runtime })
    }

    /// Its configuration.
    pub fn alarm(&self) -> &CompositeAlarm {
        &self.alarm
    }

    /// Its rule.
    pub fn rule(&self) -> &AlarmRule {
        &self.rule
    }

    /// What must survive a restart.
    pub fn runtime(&self) -> &CompositeRuntime {
        &self.runtime
    }

    /// When [`CompositeWatch::on_tick`] has something to do, unless something changes before.
    pub fn due(&self) -> Option<Timestamp> {
        self.runtime.held.as_ref().and_then(|held| held.until)
    }

    /// Whether a change of this alarm concerns it: as a child, as the suppressor or as both.
    pub fn depends_on(&self, arn: &str) -> bool {
        self.rule.children().contains(arn) || self.is_suppressor(arn)
    }

    /// The alarm was made or replaced: its rule is weighed at once, also over a state set by hand.
    pub fn on_configured(&mut self, now: Timestamp, created: bool, states: States<'_>) -> Vec<Decision> {
        let mut decisions: Vec<Decision> = self.review(now, states).into_iter().collect();
        let arn = self.alarm.arn.clone();
        let word = if created { "created" } else { "updated" };
        let reason = |to: State| format!("{arn} was {word} and its alarm rule evaluates to {}", to.name());
        decisions.extend(self.weigh(now, None, &reason, states));
        decisions
    }

    /// Another alarm entered the state of `standing`. Others than those it depends on change nothing.
    pub fn on_change(
        &mut self,
        now: Timestamp,
        arn: &str,
        standing: Standing,
        states: States<'_>,
    ) -> Vec<Decision> {
        let states = |other: &str| if other == arn { Some(standing) } else { states(other) };
        // The suppressor comes first: an alarm that is child and suppressor suppresses what it causes.
        let mut decisions: Vec<Decision> = self.review(now, &states).into_iter().collect();
        if self.rule.children().contains(arn) {
            let Standing { state, since } = standing;
            let reason = |_| format!("{arn} transitioned to {} at {}", state.name(), since.long_text());
            decisions.extend(self.weigh(now, Some(arn), &reason, &states));
        }
        decisions
    }

    /// Time passed: a wait or an extension may be over.
    pub fn on_tick(&mut self, now: Timestamp, states: States<'_>) -> Vec<Decision> {
        self.review(now, states).into_iter().collect()
    }

    /// Sets the state by hand; it stands until a child changes. The same state again changes the reason alone.
    pub fn force(
        &mut self,
        now: Timestamp,
        to: State,
        reason: String,
        reason_data: Option<String>,
        states: States<'_>,
    ) -> Vec<Decision> {
        let mut decisions: Vec<Decision> = self.review(now, states).into_iter().collect();
        self.runtime.forced = true;
        if self.runtime.state == to {
            self.runtime.reason = reason;
            self.runtime.reason_data = reason_data;
            self.runtime.state_updated = now;
        } else {
            decisions.push(self.enter(now, to, reason, reason_data, Vec::new(), states));
        }
        decisions
    }

    /// Weighs the rule; `cause` is the child that changed.
    fn weigh(
        &mut self,
        now: Timestamp,
        cause: Option<&str>,
        reason: &dyn Fn(State) -> String,
        states: States<'_>,
    ) -> Option<Decision> {
        self.runtime.forced = false;
        let weighed = self.rule.weigh(&|arn| states(arn).map(|standing| standing.state));
        let to = if weighed.holds { State::Alarm } else { State::Ok };
        if to == self.runtime.state {
            return None;
        }
        let mut triggers: Vec<Trigger> = weighed
            .deciding
            .into_iter()
            .filter_map(|arn| Some(Trigger { arn: arn.to_owned(), standing: states(arn)? }))
            .collect();
        triggers.sort_by_key(|trigger| Some(trigger.arn.as_str()) != cause); // stable: the others keep their order
        let reason_data = reason_data(&triggers);
        Some(self.enter(now, to, reason(to), Some(reason_data), triggers, states))
    }

    fn enter(
        &mut self,
        now: Timestamp,
        to: State,
        reason: String,
        reason_data: Option<String>,
        triggers: Vec<Trigger>,
        states: States<'_>,
    ) -> Decision {
        let runtime = &mut self.runtime;
        let from = std::mem::replace(&mut runtime.state, to);
        let old_reason = std::mem::replace(&mut runtime.reason, reason.clone());
        runtime.reason_data.clone_from(&reason_data);
        runtime.state_updated = now;
        runtime.state_transitioned = now;
        let change = Change { from, to, at: now, old_reason, reason, reason_data, triggers };
        let actions = self.settle(&change, states);
        Decision::Changed { change, actions }
    }

    /// What becomes of the actions of `change`. Those of an earlier change that still wait never run.
    fn settle(&mut self, change: &Change, states: States<'_>) -> Actions {
        let pending = self.runtime.held.take().is_some();
        let never_alarmed = pending && change.to == State::Ok && self.runtime.told != State::Alarm;
        if change.to == self.runtime.told || never_alarmed {
            self.runtime.told = change.to;
            return Actions::Dropped;
        }
        self.runtime.held = self.obstacle(change, states);
        match &self.runtime.held {
            Some(held) => Actions::Held(held.by),
            None => {
                self.runtime.told = change.to;
                Actions::Run
            }
        }
    }

    /// What keeps the actions of `change` from running at once.
    fn obstacle(&self, change: &Change, states: States<'_>) -> Option<Held> {
        let suppressor = self.alarm.suppressor.as_ref()?;
        let held = |by, reason, until| Some(Held { change: change.clone(), by, reason, until });
        if let Some(since) = in_alarm_since(&suppressor.alarm_arn, states) {
            return held(SuppressedBy::Alarm, alarm_reason(&suppressor.alarm_arn, since), None);
        }
        if change.to == State::Alarm && suppressor.wait_s > 0 {
            let until = change.at.plus_millis(suppressor.wait_s.saturating_mul(SECOND_MS));
            return held(SuppressedBy::WaitPeriod, period_reason(SuppressedBy::WaitPeriod), Some(until));
        }
        None
    }

    /// Holds what waits against the suppressor and the time: it goes on waiting, or its actions run.
    fn review(&mut self, now: Timestamp, states: States<'_>) -> Option<Decision> {
        let held = self.runtime.held.as_mut()?;
        let Some(suppressor) = &self.alarm.suppressor else { return self.release() };
        let since = in_alarm_since(&suppressor.alarm_arn, states);
        match (held.until, since) {
            (None, Some(_)) => None,
            (None, None) => {
                let left = states(&suppressor.alarm_arn).map_or(now, |standing| standing.since.min(now));
                let until = left.plus_millis(suppressor.extension_s.saturating_mul(SECOND_MS));
                if now >= until {
                    return self.release();
                }
                held.by = SuppressedBy::ExtensionPeriod;
                held.reason = period_reason(held.by);
                held.until = Some(until);
                Some(Decision::HeldOn(held.by))
            }
            // A suppressor that came in time counts, however late that is noticed.
            (Some(until), Some(since)) if since <= until => {
                held.by = SuppressedBy::Alarm;
                held.reason = alarm_reason(&suppressor.alarm_arn, since);
                held.until = None;
                Some(Decision::HeldOn(held.by))
            }
            (Some(until), _) if now >= until => self.release(),
            (Some(_), _) => None,
        }
    }

    fn release(&mut self) -> Option<Decision> {
        let held = self.runtime.held.take()?;
        self.runtime.told = held.change.to;
        Some(Decision::Released(held.change))
    }

    fn is_suppressor(&self, arn: &str) -> bool {
        self.alarm.suppressor.as_ref().is_some_and(|suppressor| suppressor.alarm_arn == arn)
    }
}

fn in_alarm_since(arn: &str, states: States<'_>) -> Option<Timestamp> {
    states(arn).filter(|standing| standing.state == State::Alarm).map(|standing| standing.since)
}

fn alarm_reason(arn: &str, since: Timestamp) -> String {
    format!("Actions suppressed by {arn} that transitioned to ALARM at {}", since.long_text())
}

fn period_reason(by: SuppressedBy) -> String {
    format!("Actions suppressed by {}", by.name())
}

/// `StateReasonData`: the children that decided.
fn reason_data(triggers: &[Trigger]) -> String {
    #[derive(Serialize)]
    struct Child<'a> {
        arn: &'a str,
        state: ChildState,
    }
    #[derive(Serialize)]
    struct ChildState {
        value: State,
        timestamp: String,
    }
    let mut text = String::from(r#"{"triggeringAlarms":["#);
    let mut comma = "";
    for Trigger { arn, standing } in triggers {
        let state = ChildState { value: standing.state, timestamp: standing.since.alarm_text() };
        let child = serde_json::to_string(&Child { arn, state }).expect("strings can be written as JSON");
        if text.len() + comma.len() + child.len() + "]}".len() > REASON_DATA_BYTES_MAX {
            break;
        }
        text.push_str(comma);
        text.push_str(&child);
        comma = ",";
    }
    text.push_str("]}");
    text
}

#[cfg(test)]
mod tests;
