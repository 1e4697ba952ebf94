/*!
The mute rules of a [`Watch`]: whose actions do not run now, and which of them run when the window is over.

States change and are told of as ever; only the actions wait. What was changed while muted is remembered for each alarm
and contributor, as [`Muted`] says, and runs at the first step after the window, marked as run after it.
*/

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Effect, Watch};
use crate::alarm::composite::CompositeTransition;
use crate::alarm::{State, Transition};
use crate::evidence::Evidence;
use crate::mute::{MuteRule, MuteSchedule, Muted, muted_until};
use crate::time::Timestamp;

/// Muted transitions that keep their evidence until their window ends; what is muted beyond keeps state and reason.
pub const MUTED_WHOLE_MAX: usize = 1_000;

/// Actions that run on their own: those of a transition that was told of before.
#[expect(clippy::large_enum_variant, reason = "each is kept in a box or in a map")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Act {
    /// Those of a metric alarm or of one of its contributors.
    Metric(Transition),
    /// Those of a composite alarm.
    Composite(CompositeTransition),
}

/// Whose actions wait: the alarm's ARN, and the contributor's id or nothing.
type Whose = (String, String);

impl Act {
    fn whose(&self) -> Whose {
        match self {
            Self::Metric(transition) => whose(transition),
            Self::Composite(transition) => (transition.alarm.arn.clone(), String::new()),
        }
    }

    /// The region and the name of its alarm.
    fn alarm(&self) -> (&str, &str) {
        match self {
            Self::Metric(transition) => (&transition.alarm.region, &transition.alarm.name),
            Self::Composite(transition) => (&transition.alarm.region, &transition.alarm.name),
        }
    }

    fn states(&self) -> (State, State) {
        match self {
            Self::Metric(transition) => (transition.from, transition.to),
            Self::Composite(transition) => (transition.change.from, transition.change.to),
        }
    }
}

fn whose(transition: &Transition) -> Whose {
    let contributor = transition.contributor.as_ref().map_or_else(String::new, |one| one.id.clone());
    (transition.alarm.arn.clone(), contributor)
}

/// All mute rules of one installation, and what they hold back.
#[derive(Clone, Debug, Default)]
pub(super) struct Mutes {
    /// By region and name.
    rules: BTreeMap<(String, String), (MuteRule, MuteSchedule)>,
    pending: BTreeMap<Whose, Muted<Act>>,
    /// Before this instant no window ends that holds something back; `None` when that is not known.
    due: Option<Timestamp>,
}

impl Mutes {
    /// Until when an alarm is muted at the least.
    pub(super) fn until(&self, region: &str, name: &str, now: Timestamp) -> Option<Timestamp> {
        let naming = self.rules.values().filter(|(rule, _)| rule.region == region && rule.names(name));
        muted_until(naming.map(|(_, schedule)| schedule), now)
    }

    /// Remembers what was muted, or that there is nothing to remember any more.
    fn hold(&mut self, act: Act, effects: &mut Vec<Effect>) {
        let whose = act.whose();
        let (from, to) = act.states();
        let held = self.pending.remove(&whose);
        let had = held.is_some();
        let act = if self.pending.len() < MUTED_WHOLE_MAX { act } else { without_evidence(act) };
        match Muted::after(held, from, to, act) {
            Some(muted) => {
                effects.push(saved(&whose, Some(muted.clone())));
                self.pending.insert(whose, muted);
            }
            None if had => effects.push(saved(&whose, None)),
            None => {}
        }
    }

    fn forget(&mut self, whose: &Whose, effects: &mut Vec<Effect>) {
        if self.pending.remove(whose).is_some() {
            effects.push(saved(whose, None));
        }
    }
}

fn without_evidence(mut act: Act) -> Act {
    if let Act::Metric(transition) = &mut act {
        transition.evidence = Evidence::default();
        transition.curve = Vec::new();
    }
    act
}

fn saved((arn, contributor): &Whose, muted: Option<Muted<Act>>) -> Effect {
    Effect::SavedMuted { arn: arn.clone(), contributor: contributor.clone(), muted: muted.map(Box::new) }
}

impl Watch {
    /// Puts a mute rule back as it was saved, without effects. A schedule that cannot be read is ignored.
    pub fn restore_mute_rule(&mut self, rule: MuteRule) {
        if let Ok(schedule) = rule.schedule() {
            self.mutes.rules.insert((rule.region.clone(), rule.name.clone()), (rule, schedule));
            self.mutes.due = None;
        }
    }

    /// Puts back what a mute rule held back, as it was saved.
    pub fn restore_muted(&mut self, muted: Muted<Act>) {
        self.mutes.pending.insert(muted.newest().whose(), muted);
        self.mutes.due = None;
    }

    /// Whether an active mute rule names this alarm, metric or composite, at the latest time stepped.
    pub fn is_muted(&self, region: &str, name: &str) -> bool {
        self.now.is_some_and(|now| self.mutes.until(region, name, now).is_some())
    }

    pub(super) fn delete_mute_rule(&mut self, region: String, name: String) {
        self.mutes.rules.remove(&(region, name));
        self.mutes.due = None;
    }

    /// Forgets what is held back of a deleted alarm.
    pub(super) fn forget_muted(&mut self, arn: &str, effects: &mut Vec<Effect>) {
        let first = (arn.to_owned(), String::new());
        let of_alarm = self.mutes.pending.range(first..).take_while(|((of, _), _)| of == arn);
        let all: Vec<Whose> = of_alarm.map(|(whose, _)| whose.clone()).collect();
        for whose in all {
            self.mutes.forget(&whose, effects);
        }
    }

    /// Runs the actions whose windows are over at `now`.
    pub(super) fn release_muted(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.mutes.pending.is_empty() || self.mutes.due.is_some_and(|due| now < due) {
            return;
        }
        let mut known: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
        let mut over = Vec::new();
        for (whose, muted) in &self.mutes.pending {
            let (region, name) = muted.newest().alarm();
            let until = *known.entry(&whose.0).or_insert_with(|| self.mutes.until(region, name, now));
            if until.is_none() {
                over.push(whose.clone());
            }
        }
        let due = known.into_values().flatten().min();
        for whose in over {
            let Some(muted) = self.mutes.pending.remove(&whose) else { continue };
            effects.extend(self.still_standing(muted.into_newest()).map(|act| Effect::Act(Box::new(act))));
            effects.push(saved(&whose, None));
        }
        self.mutes.due = due;
    }

    /// The actions as they are configured now, of a change that still stands.
    fn still_standing(&self, act: Act) -> Option<Act> {
        match act {
            Act::Metric(mut transition) => {
                let alarm = &self.alarms.get(&transition.alarm.arn)?.question().alarm;
                let is_other = transition.contributor.is_some() && alarm.measure != transition.alarm.measure;
                if is_other || !alarm.actions_enabled {
                    return None;
                }
                transition.alarm = alarm.clone();
                transition.acts = true;
                transition.after_mute = true;
                Some(Act::Metric(transition))
            }
            Act::Composite(mut transition) => {
                let watch = self.composites.get(&transition.alarm.arn)?;
                // While actions are suppressed the state may change without anything to remember.
                if watch.runtime().state != transition.change.to || !watch.alarm().actions_enabled {
                    return None;
                }
                transition.alarm = watch.alarm().clone();
                transition.acts = true;
                transition.after_mute = true;
                Some(Act::Composite(transition))
            }
        }
    }

    /// Holds back the actions among `effects`, which came of one step at `now`, of alarms that are muted.
    pub(super) fn hold_muted(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.mutes.rules.is_empty() && self.mutes.pending.is_empty() {
            return;
        }
        let mut known: BTreeMap<String, bool> = BTreeMap::new();
        let mut passed = Vec::with_capacity(effects.len());
        for mut effect in effects.drain(..) {
            let mut is_muted = |mutes: &mut Mutes, arn: &str, region: &str, name: &str| {
                if let Some(known) = known.get(arn) {
                    return *known;
                }
                let until = mutes.until(region, name, now);
                // The earliest window's end may be this one.
                mutes.due = if mutes.pending.is_empty() { until } else { earliest(mutes.due, until) };
                known.insert(arn.to_owned(), until.is_some());
                until.is_some()
            };
            let mut held = None;
            match &mut effect {
                Effect::Transition(transition) => {
                    let alarm = &transition.alarm;
                    if !transition.acts {
                        self.mutes.forget(&whose(transition), &mut passed);
                    } else if is_muted(&mut self.mutes, &alarm.arn, &alarm.region, &alarm.name) {
                        transition.acts = false;
                        held = Some(Act::Metric((**transition).clone()));
                    }
                }
                Effect::CompositeTransition(transition) if transition.acts => {
                    let alarm = &transition.alarm;
                    if is_muted(&mut self.mutes, &alarm.arn, &alarm.region, &alarm.name) {
                        transition.acts = false;
                        held = Some(Act::Composite((**transition).clone()));
                    }
                }
                Effect::Act(act) => {
                    if let Act::Composite(transition) = &**act
                        && !transition.after_mute
                        && is_muted(
                            &mut self.mutes,
                            &transition.alarm.arn,
                            &transition.alarm.region,
                            &transition.alarm.name,
                        )
                    {
                        self.mutes.hold((**act).clone(), &mut passed);
                        continue;
                    }
                }
                Effect::Note(message) => {
                    let alarm = &message.alarm;
                    if is_muted(&mut self.mutes, &alarm.arn, &alarm.region, &alarm.name) {
                        continue; // nothing is said of what goes on meanwhile
                    }
                }
                _ => {}
            }
            passed.push(effect);
            if let Some(act) = held {
                self.mutes.hold(act, &mut passed);
            }
        }
        *effects = passed;
    }
}

/// The earlier of when something is due and when a new window ends; not known stays not known.
fn earliest(due: Option<Timestamp>, until: Option<Timestamp>) -> Option<Timestamp> {
    match (due, until) {
        (Some(due), Some(until)) => Some(due.min(until)),
        (due, None) => due,
        (None, Some(_)) => None,
    }
}
