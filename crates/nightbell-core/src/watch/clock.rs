/*!
A clock that was ahead and is put back, as far as a [`Watch`] is concerned.

Whatever is marked with a time that has not come yet would wait for it. It is moved to the new time, and what was to
happen later is as far away as it was. Event times are data, not clocks: they stay.
*/

use super::{Effect, Watch};
use crate::alarm::composite::CompositeRuntime;
use crate::incident::Incident;
use crate::time::Timestamp;
use crate::watch::Runtime;

impl Watch {
    /// What is to be kept differently because the clock was put back to `now`: the runtimes of all alarms, and contributors,
    /// incidents and event logs that were marked by the old clock. Make the watch anew from what is kept then, with [`Watch::restore_clock`] at `now`.
    pub fn put_clock_back(&mut self, now: Timestamp) -> Vec<Effect> {
        let Some(was) = self.now.filter(|was| *was > now) else { return Vec::new() };
        let mut effects = Vec::new();
        for (arn, watched) in &self.alarms {
            let runtime = watched.runtime();
            let back = runtime_back(runtime, now).unwrap_or_else(|| runtime.clone());
            let runtime = Runtime { put_backs: runtime.put_backs.saturating_add(1), ..back };
            effects.push(Effect::Saved { arn: arn.clone(), runtime });
            for group in watched.saved() {
                let standing = watched.standing(&group).map(|(_, standing)| &standing.runtime);
                if let Some(runtime) = standing.and_then(|runtime| runtime_back(runtime, now)) {
                    let arn = arn.clone();
                    effects.push(Effect::SavedContributor { arn, group, runtime: Some(runtime) });
                }
            }
        }
        for incident in self.incidents() {
            let mut back = incident.clone();
            incident_back(&mut back, was, now);
            effects.push(Effect::Incident(Box::new(back)));
        }
        for watch in self.composites.iter() {
            let mut runtime = watch.runtime().clone();
            composite_back(&mut runtime, was, now);
            if runtime != *watch.runtime() {
                let arn = watch.alarm().arn.clone();
                effects.push(Effect::SavedComposite { arn, runtime: Box::new(runtime) });
            }
        }
        self.put_records_back(now, &mut effects);
        effects
    }
}

/// The runtime by the new clock; `None` where it is the same.
fn runtime_back(runtime: &Runtime, now: Timestamp) -> Option<Runtime> {
    let latest = runtime.state_updated.max(runtime.state_transitioned);
    (latest > now).then(|| Runtime {
        state_updated: runtime.state_updated.min(now),
        state_transitioned: runtime.state_transitioned.min(now),
        ..runtime.clone()
    })
}

fn incident_back(incident: &mut Incident, was: Timestamp, now: Timestamp) {
    incident.started = incident.started.min(now);
    incident.ended = incident.ended.map(|ended| ended.min(now));
    incident.told_at = incident.told_at.map(|told| told.min(now));
    if let Some(acknowledged) = &mut incident.acknowledged {
        acknowledged.at = acknowledged.at.min(now);
    }
    // A mute that was over stays over.
    incident.muted_until =
        incident.muted_until.filter(|until| *until > was).map(|until| later(until, was, now));
}

fn composite_back(runtime: &mut CompositeRuntime, was: Timestamp, now: Timestamp) {
    runtime.state_updated = runtime.state_updated.min(now);
    runtime.state_transitioned = runtime.state_transitioned.min(now);
    if let Some(held) = &mut runtime.held {
        held.until = held.until.map(|until| later(until, was, now));
    }
}

/// An instant that was to come after `was`, as far from `now`.
fn later(instant: Timestamp, was: Timestamp, now: Timestamp) -> Timestamp {
    now.plus_millis(instant.since(was).max(0))
}
