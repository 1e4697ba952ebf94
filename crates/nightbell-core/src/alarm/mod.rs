/*!
Alarms: what is watched for, what state they are in, and why.

Here stand the types. `check` holds an alarm against the API's limits, `judge` decides a state from points, `crossing`
finds the window that crosses a line at once, `standing` moves the state of one series or one contributor, `metric` and
`contributors` are the alarms made of them, `expression` the alarms on math and on bands, `reason` puts it into words.
*/

use serde::{Deserialize, Serialize};

use contributors::{Group, OTHERS};

use crate::anomaly::BandComparison;
use crate::distinct::key_of;
use crate::evidence::Evidence;
use crate::insights::Query;
use crate::math::MetricQuery;
use crate::metric::Series;
use crate::time::Timestamp;

pub use check::{AlarmError, AlarmErrorKind};

pub mod check;
pub mod composite;
pub mod contributors;
mod crossing;
pub(crate) mod expression;
pub mod judge;
pub(crate) mod metric;
pub mod reason;
pub mod runtime;
pub mod standing;

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
    /// Outside a band, on either side.
    LessThanLowerOrGreaterThanUpperThreshold,
    /// Below a band.
    LessThanLowerThreshold,
    /// Above a band.
    GreaterThanUpperThreshold,
}

impl Comparison {
    /// How a value is held against a band; `None` where it is held against a number.
    pub const fn of_band(self) -> Option<BandComparison> {
        match self {
            Self::LessThanLowerOrGreaterThanUpperThreshold => {
                Some(BandComparison::LessThanLowerOrGreaterThanUpperThreshold)
            }
            Self::LessThanLowerThreshold => Some(BandComparison::LessThanLowerThreshold),
            Self::GreaterThanUpperThreshold => Some(BandComparison::GreaterThanUpperThreshold),
            Self::GreaterThanOrEqualToThreshold
            | Self::GreaterThanThreshold
            | Self::LessThanThreshold
            | Self::LessThanOrEqualToThreshold => None,
        }
    }
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

/// What a metric alarm measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Measure {
    /// One series.
    Series(SeriesMeasure),
    /// A number for each contributor: a Metrics Insights query with GROUP BY.
    Query(QueryMeasure),
    /// What an expression over metrics comes to, or a metric beside the band of what is usual for it.
    Expression(ExpressionMeasure),
}

/// A statistic of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesMeasure {
    /// The series.
    pub series: Series,
    /// Only data stored with this unit is seen; `None` sees all.
    pub unit: Option<String>,
    /// `Sum`, `SampleCount`, `Average`, `Minimum`, `Maximum`, or an extended statistic such as `p99.9`, `tm90`,
    /// `TM(10%:90%)`, exactly as it was given.
    pub statistic: String,
}

/// The one `Metrics` entry of an alarm that counts per contributor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryMeasure {
    /// The entry's id.
    pub id: String,
    /// The entry's label.
    pub label: Option<String>,
    /// `SELECT SUM(Denied) FROM "files" GROUP BY Folder`, as it was given; see [`crate::insights::Query`].
    pub text: String,
}

/// The `Metrics` of an alarm on an expression or on a band.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpressionMeasure {
    /// The entries, in the order given.
    pub entries: Vec<MetricQuery>,
}

impl ExpressionMeasure {
    /// The entry whose result is watched: the one that returns data and is not the band.
    pub fn watched(&self, band: Option<&str>) -> Option<&MetricQuery> {
        self.entries.iter().find(|entry| entry.return_data && band != Some(entry.id.as_str()))
    }
}

/// A metric alarm, as it was configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricAlarm {
    /// `arn:aws:cloudwatch:<region>:<account>:alarm:<name>`; identifies the alarm.
    pub arn: String,
    /// The site it belongs to.
    pub region: String,
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
    /// What it measures.
    pub measure: Measure,
    /// Length of a period in seconds: 10, 20, 30 or a multiple of 60.
    pub period_s: i64,
    /// N: how many periods are looked at.
    pub evaluation_periods: u32,
    /// M: how many of them must breach; `None` means all.
    pub datapoints_to_alarm: Option<u32>,
    /// What the value is compared with; 0 where that is a band.
    pub threshold: f64,
    /// `ThresholdMetricId`: the entry of [`ExpressionMeasure`] that is the band; `None` for an alarm with a threshold.
    pub band: Option<String>,
    /// How it is compared.
    pub comparison: Comparison,
    /// What stands in for missing data.
    pub missing_data: MissingData,
    /// `evaluate` or `ignore`; empty when it was not given.
    pub evaluate_low_sample_count_percentile: String,
    /// When the configuration was last written.
    pub updated: Timestamp,
}

impl MetricAlarm {
    /// The one series it watches, if it watches one.
    pub fn single(&self) -> Option<&SeriesMeasure> {
        match &self.measure {
            Measure::Series(single) => Some(single),
            Measure::Query(_) | Measure::Expression(_) => None,
        }
    }

    /// The same, to be changed.
    pub fn single_mut(&mut self) -> Option<&mut SeriesMeasure> {
        match &mut self.measure {
            Measure::Series(single) => Some(single),
            Measure::Query(_) | Measure::Expression(_) => None,
        }
    }

    /// The contributor of this alarm with these values of GROUP BY; `None` where it does not count per contributor.
    pub fn contributor(&self, group: &[String]) -> Option<Contributor> {
        let Measure::Query(measure) = &self.measure else { return None };
        let query = Query::parse(&measure.text).ok()?;
        Some(Contributor::of(&query.group_by, group))
    }

    /// The ARNs told of a transition to `state`.
    pub fn actions(&self, state: State) -> &[String] {
        match state {
            State::Ok => &self.ok_actions,
            State::Alarm => &self.alarm_actions,
            State::InsufficientData => &self.insufficient_data_actions,
        }
    }
}

/// One group of an alarm's query: a folder, a user, a machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contributor {
    /// `ContributorId`: 16 hexadecimal digits, made from the attributes.
    pub id: String,
    /// Name and value of each dimension of GROUP BY, in its order.
    pub attributes: Vec<(String, String)>,
}

impl Contributor {
    /// The contributor with these dimensions and values. Without values it is the one that stands for those that are no
    /// longer counted one by one: nobody can be called so.
    pub fn of(names: &[String], values: &[String]) -> Self {
        if values.is_empty() {
            return Self::others(names.iter().cloned());
        }
        let mut parts: Vec<&str> = Vec::with_capacity(2 * names.len());
        for (name, value) in names.iter().zip(values) {
            parts.extend([name.as_str(), value.as_str()]);
        }
        let attributes = names.iter().cloned().zip(values.iter().cloned()).collect();
        Self { id: format!("{:016x}", key_of(&parts)), attributes }
    }

    fn others(names: impl Iterator<Item = String>) -> Self {
        let attributes: Vec<(String, String)> = names.map(|name| (name, OTHERS.to_owned())).collect();
        // No dimension has an empty name, so no group has this id.
        let parts: Vec<&str> =
            std::iter::once("").chain(attributes.iter().map(|(name, _)| name.as_str())).collect();
        Self { id: format!("{:016x}", key_of(&parts)), attributes }
    }

    /// Whether it stands for those that are no longer counted one by one; somebody who is really called
    /// [`OTHERS`] does not.
    pub fn stands_for_others(&self) -> bool {
        let named = !self.attributes.is_empty() && self.attributes.iter().all(|(_, value)| value == OTHERS);
        named && *self == Self::others(self.attributes.iter().map(|(name, _)| name.clone()))
    }

    /// The values it is grouped by; none where it [stands for others](Self::stands_for_others).
    pub fn group(&self) -> Group {
        if self.stands_for_others() {
            return Group::new();
        }
        self.attributes.iter().map(|(_, value)| value.clone()).collect()
    }

    /// `Folder=\secret, User=awscorp\ann`: hostile text, escape it. At most `bytes_max` bytes.
    pub fn text(&self, bytes_max: usize) -> String {
        let mut text = String::new();
        for (name, value) in &self.attributes {
            if text.len() >= bytes_max {
                break;
            }
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        text.truncate(text.floor_char_boundary(bytes_max));
        text
    }
}

/// One point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The end of the window that was measured.
    pub at: Timestamp,
    /// The alarm's statistic over it.
    pub value: f64,
}

/// One change of one alarm's state: everything a message needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The alarm as it was configured at that moment.
    pub alarm: MetricAlarm,
    /// 12 digits.
    pub account: String,
    /// Whose state it is, where the alarm counts per contributor; `None` speaks of the alarm as a whole.
    pub contributor: Option<Contributor>,
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
    /// The alarm's statistic over the time before, oldest first; empty where the data tells none.
    pub curve: Vec<CurvePoint>,
    /// What was usual at each point of `curve`, lower and upper bound, where the alarm is on a band that has a model.
    pub band: Option<Vec<(f64, f64)>>,
    /// `usually 0–3 on Sunday nights (00–06), now 41`, where the alarm is on a band and its model can say so.
    pub usual: Option<String>,
    /// Whether the alarm's actions are run with it: they are enabled, and nothing mutes or replaces them.
    pub acts: bool,
    /// Whether its actions were held back by a mute rule that is over.
    pub after_mute: bool,
    /// The id of the incident that starts or ends with it; `None` where it is none of an incident.
    pub incident: Option<String>,
}
