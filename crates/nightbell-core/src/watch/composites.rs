/*!
The composite alarms of a [`Watch`]: what follows from the transitions of one step.

Composites see changes of metric alarms and of each other in the same step. Each is weighed after all it depends on, so
that none passes through a state which only the order of evaluation would have made. Knows neither mute rules nor how
alarms are stored.
*/

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Act, Effect, Watch};
use crate::alarm::State;
use crate::alarm::composite::{
    Actions, Change, CompositeAlarm, CompositeRuntime, CompositeTransition, CompositeWatch, Decision,
    Standing, SuppressedBy,
};
use crate::time::Timestamp;

/// All composite alarms of one installation.
#[derive(Clone, Debug, Default)]
pub(super) struct Composites {
    all: BTreeMap<String, CompositeWatch>,
    /// ARNs in the order they are weighed in.
    order: Vec<String>,
    /// For each alarm that composites depend on, their places in `order`.
    dependents: HashMap<String, Vec<usize>>,
    /// Whether `order` and `dependents` are those of `all`.
    ordered: bool,
}

/// A state that is set by hand.
pub(super) struct Forced {
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) reason_data: Option<String>,
}

impl Composites {
    pub(super) fn get(&self, arn: &str) -> Option<&CompositeWatch> {
        self.all.get(arn)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &CompositeWatch> {
        self.all.values()
    }

    /// Forgets an alarm; says whether it was there.
    pub(super) fn remove(&mut self, arn: &str) -> bool {
        let removed = self.all.remove(arn).is_some();
        self.ordered &= !removed;
        removed
    }

    fn insert(&mut self, watch: CompositeWatch) {
        let arn = watch.alarm().arn.clone();
        let stays = self.all.get(&arn).is_some_and(|old| {
            old.rule() == watch.rule() && old.alarm().suppressor == watch.alarm().suppressor
        });
        self.ordered &= stays;
        self.all.insert(arn, watch);
    }

    fn put_in_order(&mut self) {
        if self.ordered {
            return;
        }
        self.order = self.sorted(true);
        // Suppressors may suppress each other in a circle; rules may not.
        let placed: HashSet<&String> = self.order.iter().collect();
        let rest = self.sorted(false).into_iter().filter(|arn| !placed.contains(arn)).collect::<Vec<_>>();
        let placed: HashSet<String> = placed.into_iter().cloned().chain(rest.iter().cloned()).collect();
        self.order.extend(rest);
        self.order.extend(self.all.keys().filter(|arn| !placed.contains(*arn)).cloned());
        self.dependents.clear();
        for (place, arn) in self.order.iter().enumerate() {
            for needed in needed(&self.all[arn], true) {
                self.dependents.entry(needed.to_owned()).or_default().push(place);
            }
        }
        self.ordered = true;
    }

    /// The composites, each after those it depends on; those that depend on themselves are left out.
    fn sorted(&self, suppressors: bool) -> Vec<String> {
        let mut open: HashMap<&str, usize> = HashMap::new();
        let mut waiting: HashMap<&str, Vec<&str>> = HashMap::new();
        for (arn, watch) in &self.all {
            let needed = needed(watch, suppressors);
            let composites = needed.into_iter().filter(|needed| self.all.contains_key(*needed));
            let mut count = 0;
            for other in composites {
                waiting.entry(other).or_default().push(arn);
                count += 1;
            }
            open.insert(arn, count);
        }
        let mut ready: BTreeSet<&str> =
            open.iter().filter(|(_, count)| **count == 0).map(|(arn, _)| *arn).collect();
        let mut sorted = Vec::with_capacity(self.all.len());
        while let Some(arn) = ready.pop_first() {
            sorted.push(arn.to_owned());
            for dependent in waiting.get(arn).into_iter().flatten() {
                if let Some(count) = open.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(dependent);
                    }
                }
            }
        }
        sorted
    }
}

/// ARNs that `watch` depends on, each once.
fn needed(watch: &CompositeWatch, suppressors: bool) -> BTreeSet<&str> {
    let suppressor = watch.alarm().suppressor.as_ref().filter(|_| suppressors);
    let suppressor = suppressor.map(|suppressor| suppressor.alarm_arn.as_str());
    watch.rule().children().iter().map(String::as_str).chain(suppressor).collect()
}

impl Watch {
    /// Puts a composite alarm back as it was saved, without effects. A rule that cannot be read is ignored.
    pub fn restore_composite(&mut self, alarm: CompositeAlarm, runtime: CompositeRuntime) {
        if let Ok(watch) = CompositeWatch::new(alarm, runtime) {
            self.composites.insert(watch);
        }
    }

    /// All composite alarms, by ARN.
    pub fn composites(&self) -> impl Iterator<Item = (&CompositeAlarm, &CompositeRuntime)> {
        self.composites.iter().map(|watch| (watch.alarm(), watch.runtime()))
    }

    /// The composite alarm with this ARN.
    pub fn composite(&self, arn: &str) -> Option<(&CompositeAlarm, &CompositeRuntime)> {
        self.composites.get(arn).map(|watch| (watch.alarm(), watch.runtime()))
    }

    /// The state of the alarm with this ARN, metric or composite.
    pub(super) fn standing(&self, arn: &str) -> Option<Standing> {
        if let Some(watched) = self.alarms.get(arn) {
            let runtime = watched.runtime();
            return Some(Standing { state: runtime.state, since: runtime.state_transitioned });
        }
        let runtime = self.composites.get(arn)?.runtime();
        Some(Standing { state: runtime.state, since: runtime.state_transitioned })
    }

    /// The `StateReason` of the alarm with this ARN; empty of an unknown one.
    fn reason_of(&self, arn: &str) -> String {
        if let Some(watched) = self.alarms.get(arn) {
            return watched.runtime().reason.clone();
        }
        self.composites.get(arn).map(|watch| watch.runtime().reason.clone()).unwrap_or_default()
    }

    pub(super) fn put_composite(&mut self, now: Timestamp, alarm: CompositeAlarm, effects: &mut Vec<Effect>) {
        let old = self.composites.get(&alarm.arn).map(|old| old.runtime().clone());
        let created = old.is_none();
        let runtime = old.unwrap_or_else(|| CompositeRuntime::created(now));
        let Ok(mut watch) = CompositeWatch::new(alarm, runtime) else { return };
        let decisions = watch.on_configured(now, created, &|arn| self.standing(arn));
        self.conclude(watch, decisions, effects);
    }

    pub(super) fn force_composite(
        &mut self,
        now: Timestamp,
        arn: &str,
        forced: Forced,
        effects: &mut Vec<Effect>,
    ) {
        let Some(mut watch) = self.composites.get(arn).cloned() else { return };
        let Forced { state, reason, reason_data } = forced;
        let decisions = watch.force(now, state, reason, reason_data, &|arn| self.standing(arn));
        self.conclude(watch, decisions, effects);
    }

    /// Tells composites of the transitions among `effects`, and of time where `ticked`, until nothing follows from it.
    pub(super) fn weigh_composites(&mut self, now: Timestamp, ticked: bool, effects: &mut Vec<Effect>) {
        if self.composites.all.is_empty() {
            return;
        }
        self.composites.put_in_order();
        let mut queue: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        if ticked {
            let held = |arn: &String| self.composites.all[arn].runtime().held.is_some();
            let places = self.composites.order.iter().enumerate().filter(|(_, arn)| held(arn));
            queue.extend(places.map(|(place, _)| (place, BTreeSet::new())));
        }
        for arn in effects.iter().filter_map(changed) {
            self.enqueue(arn, &mut queue);
        }
        let mut moved: HashSet<usize> = HashSet::new();
        while let Some((place, causes)) = queue.pop_first() {
            // Rules hold no circles, so what changed already is not weighed again but by its suppressor.
            let again = moved.contains(&place);
            let arn = &self.composites.order[place];
            let Some(mut watch) = self.composites.all.get(arn).cloned() else { continue };
            let before = watch.runtime().clone();
            let states = |other: &str| self.standing(other);
            let mut decisions = if ticked { watch.on_tick(now, &states) } else { Vec::new() };
            for cause in &causes {
                if again && watch.rule().children().contains(cause) {
                    continue;
                }
                if let Some(standing) = self.standing(cause) {
                    decisions.extend(watch.on_change(now, cause, standing, &states));
                }
            }
            if decisions.is_empty() && *watch.runtime() == before {
                continue;
            }
            let start = effects.len();
            self.conclude(watch, decisions, effects);
            for arn in effects[start..].iter().filter_map(changed) {
                moved.insert(place);
                self.enqueue(arn, &mut queue);
            }
        }
    }

    fn enqueue(&self, arn: &str, queue: &mut BTreeMap<usize, BTreeSet<String>>) {
        for place in self.composites.dependents.get(arn).into_iter().flatten() {
            queue.entry(*place).or_default().insert(arn.to_owned());
        }
    }

    /// Keeps a composite after a step and says what came of it.
    fn conclude(&mut self, watch: CompositeWatch, decisions: Vec<Decision>, effects: &mut Vec<Effect>) {
        for decision in decisions {
            let alarm = watch.alarm();
            let transition = |change: Change, acts, held: Option<SuppressedBy>| CompositeTransition {
                alarm: alarm.clone(),
                account: self.account.clone(),
                reasons: change.triggers.iter().map(|child| self.reason_of(&child.arn)).collect(),
                change,
                acts,
                suppressed_by: held,
                after_mute: false,
            };
            match decision {
                Decision::Changed { change, actions } => {
                    let suppressed_by = match actions {
                        Actions::Held(by) => Some(by),
                        Actions::Run | Actions::Dropped => None,
                    };
                    let acts = actions == Actions::Run && alarm.actions_enabled;
                    effects.push(Effect::CompositeTransition(Box::new(transition(
                        change,
                        acts,
                        suppressed_by,
                    ))));
                }
                Decision::Released(change) if alarm.actions_enabled => {
                    effects.push(Effect::Act(Box::new(Act::Composite(transition(change, true, None)))));
                }
                Decision::Released(_) | Decision::HeldOn(_) => {}
            }
        }
        let arn = watch.alarm().arn.clone();
        effects.push(Effect::SavedComposite { arn, runtime: Box::new(watch.runtime().clone()) });
        self.composites.insert(watch);
    }
}

/// The alarm whose state an effect says has changed.
fn changed(effect: &Effect) -> Option<&str> {
    match effect {
        Effect::Transition(transition) if transition.contributor.is_none() => Some(&transition.alarm.arn),
        Effect::CompositeTransition(transition) => Some(&transition.alarm.arn),
        _ => None,
    }
}
