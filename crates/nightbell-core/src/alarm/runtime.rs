/*!
[`Runtime`]: what of an alarm must survive a restart beside its configuration and data.
*/

use serde::{Deserialize, Serialize};

use super::{State, reason};
use crate::time::Timestamp;

/// What of an alarm must survive a restart beside its configuration and data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runtime {
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
    /// Whether the state was set by hand and not judged since.
    pub forced: bool,
    /// Data before this second has been told of by an alarm that is over.
    pub told_until: Option<i64>,
    /// Whether contributors had to give way, so that what was counted of them is a lower bound (`PARTIAL_DATA`).
    pub partial: bool,
    /// How often the clock was put back under the alarm: it has shown the same times so many times again.
    pub put_backs: u32,
}

impl Runtime {
    /// The runtime of an alarm made at `now`: INSUFFICIENT_DATA, unchecked.
    pub fn created(now: Timestamp) -> Self {
        Self {
            state: State::InsufficientData,
            reason: reason::UNCHECKED.to_owned(),
            reason_data: None,
            state_updated: now,
            state_transitioned: now,
            forced: false,
            told_until: None,
            partial: false,
            put_backs: 0,
        }
    }

    /// The runtime of a contributor that was just seen: OK, and nothing is to be said about it.
    pub fn contributor(now: Timestamp) -> Self {
        Self { state: State::Ok, reason: String::new(), ..Self::created(now) }
    }

    /// Writes state and reason; gives those before.
    pub fn enter(
        &mut self,
        now: Timestamp,
        state: State,
        reason: String,
        reason_data: Option<String>,
    ) -> (State, String) {
        if self.state != state {
            self.state_transitioned = now;
        }
        self.reason_data = reason_data;
        self.state_updated = now;
        (std::mem::replace(&mut self.state, state), std::mem::replace(&mut self.reason, reason))
    }
}
