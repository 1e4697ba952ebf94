/*!
What the watcher tells of composite alarms, and actions that run on their own after they were held back.
*/

use nightbell_core::alarm::composite::CompositeTransition;
use nightbell_core::delivery::Content;
use nightbell_core::mute::MuteRule;
use nightbell_core::time::Timestamp;
use nightbell_core::watch::{Act, Input, Watch};
use nightbell_deliver::message::composite_json;
use nightbell_store::Position;
use serde_json::{Value, json};
use tracing::info;

use super::{Done, Gathered, Watcher, action_data, functions};
use crate::app::App;
use crate::catalog::Failure;
use crate::manage::alarms::{self, HistoryItem};
use crate::manage::{composites, mutes, taken};

/// Puts composite alarms and mute rules back as they were saved, and what those hold back.
pub(super) fn restore(watch: &mut Watch, app: &App) -> Result<(), Failure> {
    let store = &**app.records.store();
    for (alarm, runtime) in taken::composites(store)? {
        watch.restore_composite(alarm, runtime);
    }
    for rule in mutes::taken(store)? {
        watch.restore_mute_rule(rule);
    }
    for muted in mutes::held(store)? {
        watch.restore_muted(muted);
    }
    Ok(())
}

/// Keeps what an input says of mute rules and deleted composite alarms.
pub(super) fn keep(input: &Input, gathered: &mut Gathered) {
    let change = &mut gathered.change;
    match input {
        Input::PutMuteRule { rule } => {
            let MuteRule { region, name, .. } = rule;
            mutes::save_taken(change, region, name, Some(rule));
        }
        Input::DeleteMuteRule { region, name } => mutes::save_taken(change, region, name, None),
        Input::DeleteAlarm { arn } => composites::forget(change, arn),
        _ => {}
    }
}

impl Watcher {
    /// Writes a transition of a composite alarm into the history, and a delivery for each subscriber of its actions into
    /// the outbox.
    pub(super) fn tell_composite(
        &self,
        transition: &CompositeTransition,
        position: Position,
        gathered: &mut Gathered,
    ) -> Result<(), Failure> {
        let CompositeTransition { alarm, change, .. } = transition;
        let (from, to) = (change.from.name(), change.to.name());
        info!(alarm = alarm.name, from, to, reason = change.reason, "composite alarm changed");
        self.app.telemetry.transitions.with_label_values(&[to]).inc();
        let item = HistoryItem {
            alarm: alarm.name.clone(),
            at: change.at,
            kind: "StateUpdate".into(),
            contributor: None,
            composite: true,
            summary: format!("Alarm updated from {from} to {to}"),
            data: state_update(transition).to_string(),
        };
        self.note(gathered, &alarm.region, &item, position);
        if transition.acts { self.run_composite(transition, change.at, position, gathered) } else { Ok(()) }
    }

    /// Runs at `now` the actions of a transition that was told of before.
    pub(super) fn act_again(
        &mut self,
        act: &Act,
        now: Timestamp,
        position: Position,
        gathered: &mut Gathered,
    ) -> Result<(), Failure> {
        match act {
            Act::Metric(transition) => self.run_actions(transition, now, position, gathered),
            Act::Composite(transition) => self.run_composite(transition, now, position, gathered),
        }
    }

    fn run_composite(
        &self,
        transition: &CompositeTransition,
        now: Timestamp,
        position: Position,
        gathered: &mut Gathered,
    ) -> Result<(), Failure> {
        let CompositeTransition { alarm, change, .. } = transition;
        let place = position.to_string();
        let cause = ["composite", alarm.arn.as_str(), change.to.name(), &place];
        for action in alarm.actions(change.to) {
            let (done, published) = if functions::is_for_function(action) {
                self.hand_composite(action, transition, now, gathered)?
            } else if let Some(error) = self.why_not(action)? {
                (Done::Failed(error), String::new())
            } else {
                let content = Content::Composite(Box::new(transition.clone()));
                self.send_to_all(action, &content, &cause, now, gathered)?;
                (Done::Sent, composite_json(transition))
            };
            let published = matches!(done, Done::Sent).then_some(published);
            let ended = transition.after_mute.then_some(now);
            let (summary, data) = action_data(action, change.at, published.as_deref(), &done, ended);
            let item = HistoryItem {
                alarm: alarm.name.clone(),
                at: now,
                kind: "Action".into(),
                contributor: None,
                composite: true,
                summary,
                data,
            };
            self.note(gathered, &alarm.region, &item, position);
        }
        Ok(())
    }

    /// Adds an item to the history of an alarm of `region`.
    pub(super) fn note(&self, gathered: &mut Gathered, region: &str, item: &HistoryItem, position: Position) {
        // A step takes far fewer than 16,777,216 items from one entry.
        let order = (position.number() << 24) | (gathered.order & 0xff_ffff);
        gathered.order += 1;
        alarms::record_history(&mut gathered.change, region, item, order);
    }
}

fn state_update(transition: &CompositeTransition) -> Value {
    let change = &transition.change;
    let read = |text: &String| serde_json::from_str::<Value>(text).ok();
    let mut all = json!({
        "version": "1.0",
        "oldState": {"stateValue": change.from.name(), "stateReason": change.old_reason},
        "newState": {
            "stateValue": change.to.name(),
            "stateReason": change.reason,
            "stateReasonData": change.reason_data.as_ref().and_then(read),
        },
    });
    if let (Some(by), Value::Object(all)) = (transition.suppressed_by, &mut all) {
        all.insert("actionsSuppressedBy".into(), by.name().into());
    }
    all
}
