/*!
Composite alarms: rules over the states of other alarms.

Here stand the types that are stored. `rule` reads and weighs a rule, `check` holds an alarm against the API's limits,
`cycle` finds rules that lead back to themselves, `watch` moves one composite's state and decides whether its actions
run. What other alarms are in is asked through a function: nothing here holds other alarms.
*/

use serde::{Deserialize, Serialize};

use super::State;
use crate::time::Timestamp;

pub use cycle::find_cycle;
pub use rule::{AlarmRule, RuleError, Site};
pub use watch::{Actions, CompositeWatch, Decision};

mod check;
mod cycle;
pub mod rule;
mod watch;

pub use check::{SUPPRESSOR_CHARS_MAX, SUPPRESSOR_PERIOD_MAX_S};

/// A composite alarm, as it was configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompositeAlarm {
    /// `arn:aws:cloudwatch:<region>:<account>:alarm:<name>`; identifies the alarm.
    pub arn: String,
    /// The region it lives in; its children do, too.
    pub region: String,
    /// Its name, 1 to 255 characters, unique among all alarms of the region.
    pub name: String,
    /// What it is for, in its owner's words.
    pub description: Option<String>,
    /// Whether transitions run actions.
    pub actions_enabled: bool,
    /// ARNs told of a transition to OK.
    pub ok_actions: Vec<String>,
    /// ARNs told of a transition to ALARM.
    pub alarm_actions: Vec<String>,
    /// ARNs told of a transition to INSUFFICIENT_DATA.
    pub insufficient_data_actions: Vec<String>,
    /// The rule, exactly as it was given.
    pub rule: String,
    /// The alarm that keeps this one's actions from running.
    pub suppressor: Option<Suppressor>,
    /// When the configuration was last written.
    pub updated: Timestamp,
}

/// The alarm that keeps a composite's actions from running, and how long to wait for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppressor {
    /// Its ARN.
    pub alarm_arn: String,
    /// Seconds that actions are held when the composite enters ALARM, for the suppressor to follow.
    pub wait_s: i64,
    /// Seconds that actions stay held after the suppressor left ALARM.
    pub extension_s: i64,
}

/// The state that another alarm is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// When it entered that state.
    pub since: Timestamp,
}

/// One of the children that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its ARN.
    pub arn: String,
    /// The state it was in, and since when.
    pub standing: Standing,
}

/// One change of a composite's state: everything a message needs beside the alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// When it changed.
    pub at: Timestamp,
    /// `StateReason` of the state before.
    pub old_reason: String,
    /// `StateReason`.
    pub reason: String,
    /// `StateReasonData`, a JSON document; a state set by hand may come without.
    pub reason_data: Option<String>,
    /// The children whose states decided, the one that changed first, the others by ARN.
    pub triggers: Vec<Trigger>,
}

/// One change of a composite alarm's state, as it is told: everything a message needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompositeTransition {
    /// The alarm as it was configured at that moment.
    pub alarm: CompositeAlarm,
    /// 12 digits.
    pub account: String,
    /// From what, to what, and why.
    pub change: Change,
    /// The `StateReason` of each of the change's triggers, as it stood when this was told; empty of an unknown one.
    pub reasons: Vec<String>,
    /// Whether the alarm's actions are run with it: they are enabled, and nothing suppresses or mutes them.
    pub acts: bool,
    /// What keeps its actions waiting, where a suppressor does.
    pub suppressed_by: Option<SuppressedBy>,
    /// Whether its actions were held back by a mute rule that is over.
    pub after_mute: bool,
}

/// What keeps actions from running: `ActionsSuppressedBy` of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuppressedBy {
    /// The suppressor is in ALARM.
    Alarm,
    /// The composite entered ALARM and the suppressor may follow.
    WaitPeriod,
    /// The suppressor left ALARM and the composite may follow.
    ExtensionPeriod,
}

impl SuppressedBy {
    /// `Alarm`, `WaitPeriod` or `ExtensionPeriod`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alarm => "Alarm",
            Self::WaitPeriod => "WaitPeriod",
            Self::ExtensionPeriod => "ExtensionPeriod",
        }
    }
}

/// A change whose actions did not run yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The change.
    pub change: Change,
    /// What keeps its actions from running.
    pub by: SuppressedBy,
    /// `ActionsSuppressedReason`.
    pub reason: String,
    /// When the actions run unless something changes; `None` while the suppressor is in ALARM.
    pub until: Option<Timestamp>,
}

/// What of a composite alarm must survive a restart beside its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompositeRuntime {
    /// The state.
    pub state: State,
    /// `StateReason`.
    pub reason: String,
    /// `StateReasonData`, a JSON document.
    pub reason_data: Option<String>,
    /// When state or reason were last written.
    pub state_updated: Timestamp,
    /// When the state last changed.
    pub state_transitioned: Timestamp,
    /// Whether the state was set by hand and no child changed since.
    pub forced: bool,
    /// The state that actions told of last; the state itself unless actions are held.
    pub told: State,
    /// The change whose actions wait.
    pub held: Option<Held>,
}

impl CompositeRuntime {
    /// The runtime of an alarm made at `now`: INSUFFICIENT_DATA until its rule is weighed for the first time.
    pub fn created(now: Timestamp) -> Self {
        Self {
            state: State::InsufficientData,
            reason: super::reason::UNCHECKED.to_owned(),
            reason_data: None,
            state_updated: now,
            state_transitioned: now,
            forced: false,
            told: State::InsufficientData,
            held: None,
        }
    }
}

impl CompositeAlarm {
    /// The ARNs told of a transition to `state`.
    pub fn actions(&self, state: State) -> &[String] {
        match state {
            State::Ok => &self.ok_actions,
            State::Alarm => &self.alarm_actions,
            State::InsufficientData => &self.insufficient_data_actions,
        }
    }

    /// Where the alarm and all its children live.
    pub fn site(&self) -> Site<'_> {
        Site { region: &self.region, account: self.arn.split(':').nth(4).unwrap_or_default() }
    }
}
