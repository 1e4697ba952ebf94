/*!
Alarms: what is watched for, what state they are in, and why.

Here stand the types. `check` holds an alarm against the API's limits, `judge` decides a state from points, `crossing`
finds the window that crosses a line at once, `metric` moves one alarm's state, `reason` puts it into words.
*/

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::metric::Series;
use crate::time::Timestamp;

pub use check::{AlarmError, AlarmErrorKind};

pub mod check;
pub mod composite;
mod crossing;
pub mod judge;
pub mod metric;
pub mod reason;
pub mod runtime;

/// The state of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// The threshold is not crossed.
    #[serde(rename = "OK")]
    Ok,
    /// The threshold is crossed.
    #[serde(rename = "ALARM")]
    Alarm,
    /// Too little is known.
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

impl State {
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// How a value is held against the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `>=`
    GreaterThanOrEqualToThreshold,
    /// `>`
    GreaterThanThreshold,
    /// `<`
    LessThanThreshold,
    /// `<=`
    LessThanOrEqualToThreshold,
}

/// What stands in for a period without data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MissingData {
    /// As if the threshold were crossed.
    #[serde(rename = "breaching")]
    Breaching,
    /// As if it were not.
    #[serde(rename = "notBreaching")]
    NotBreaching,
    /// Keep the state.
    #[serde(rename = "ignore")]
    Ignore,
    /// Nothing stands in: without any data the state is INSUFFICIENT_DATA.
    #[default]
    #[serde(rename = "missing")]
    Missing,
}

/// A metric alarm on one series, as it was configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricAlarm {
    /// `arn:aws:cloudwatch:<region>:<account>:alarm:<name>`; identifies the alarm.
    pub arn: String,
    /// Its name, 1 to 255 characters.
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
    /// The series it watches.
    pub series: Series,
    /// Only data stored with this unit is seen; `None` sees all.
    pub unit: Option<String>,
    /// `Sum`, `SampleCount`, `Average`, `Minimum`, `Maximum`, or an extended statistic such as `p99.9`, `tm90`,
    /// `TM(10%:90%)`, exactly as it was given.
    pub statistic: String,
    /// Length of a period in seconds: 10, 20, 30 or a multiple of 60.
    pub period_s: i64,
    /// N: how many periods are looked at.
    pub evaluation_periods: u32,
    /// M: how many of them must breach; `None` means all.
    pub datapoints_to_alarm: Option<u32>,
    /// What the value is compared with.
    pub threshold: f64,
    /// How it is compared.
    pub comparison: Comparison,
    /// What stands in for missing data.
    pub missing_data: MissingData,
    /// `evaluate` or `ignore`; empty when it was not given.
    pub evaluate_low_sample_count_percentile: String,
    /// When the configuration was last written.
    pub updated: Timestamp,
}

/// One change of one alarm's state: everything a message needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The alarm as it was configured at that moment.
    pub alarm: MetricAlarm,
    /// 12 digits.
    pub account: String,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// When it changed, by the server's clock.
    pub at: Timestamp,
    /// `StateReason` of the state before.
    pub old_reason: String,
    /// `StateReason`.
    pub reason: String,
    /// `StateReasonData`, a JSON document.
    pub reason_data: String,
    /// The value that decided, where one did: the window's statistic.
    pub value: Option<f64>,
    /// The window that decided: from (inclusive) and to (exclusive).
    pub window: Option<(Timestamp, Timestamp)>,
    /// How long after its event time the deciding event arrived, when that was more than a period.
    pub late_by_ms: Option<i64>,
    /// What the events in the window have to say.
    pub evidence: Evidence,
}
