/*!
Why a state was reached, in the words of CloudWatch: `StateReason` and `StateReasonData`.

Consumers parse these texts, so they are exact: Java's way of writing doubles, singular and plural, day first. What
decided is handed in as a [`Verdict`]; nothing is judged here.
*/

use serde::Serialize;

use super::judge::{Basis, Rule, Slot, Verdict};
use super::{Comparison, MetricAlarm, MissingData, State};
use crate::time::Timestamp;

/// Reason of an alarm that was never judged.
pub const UNCHECKED: &str = "Unchecked: Initial alarm creation";

/// Points listed in a reason or its data; more would not fit the API's 1,023 characters.
const LISTED_POINTS_MAX: usize = 20;

/// `StateReason`.
pub fn text(alarm: &MetricAlarm, verdict: &Verdict) -> String {
    let rule = Rule::of(alarm);
    let n = rule.evaluation_periods;
    if verdict.basis == Basis::Nothing {
        return format!("Insufficient Data: {} unknown.", counted(n as usize, "datapoint", "was", "were"));
    }
    let fills = verdict.missing.len();
    let filled =
        format!("{} treated as [{}]", counted(fills, "missing datapoint", "was", "were"), treated(alarm));
    if verdict.judged.is_empty() {
        let periods = if n == 1 { "period" } else { "periods" };
        return format!("Threshold Crossed: no datapoints were received for {n} {periods} and {filled}.");
    }
    if alarm.datapoints_to_alarm.is_none() && n == 1 {
        let points = listed(&verdict.decisive);
        return format!("Threshold Crossed: 1 datapoint [{points}] was {}.", compared(alarm, verdict.state));
    }
    let k = verdict.decisive.len();
    let minimum = minimum(rule, verdict.state);
    if k == 0 {
        return format!("Threshold Crossed: {filled} {minimum}.");
    }
    let points = listed(&verdict.decisive);
    let was = if k == 1 { "was" } else { "were" };
    let and_filled = if fills > 0 { format!(" and {filled}") } else { String::new() };
    format!(
        "Threshold Crossed: {k} out of the last {n} datapoints [{points}] {was} {}{and_filled} {minimum}.",
        compared(alarm, verdict.state)
    )
}

/// `StateReasonData`: a JSON document.
pub fn data(alarm: &MetricAlarm, verdict: &Verdict, now: Timestamp) -> String {
    let evaluated =
        verdict.decisive.iter().chain(&verdict.missing).take(LISTED_POINTS_MAX).map(|slot| Evaluated {
            timestamp: Timestamp::from_seconds(slot.start).alarm_text(),
            sample_count: slot.point.map(|point| point.samples),
            value: slot.point.map(|point| point.value),
        });
    let recent = verdict.judged.iter().take(LISTED_POINTS_MAX).rev();
    let document = ReasonData {
        version: "1.0",
        query_date: now.alarm_text(),
        start_date: verdict.judged.last().map(|slot| Timestamp::from_seconds(slot.start).alarm_text()),
        unit: alarm.single().and_then(|single| single.unit.as_deref()),
        statistic: alarm.single().map(|single| single.statistic.as_str()),
        period: alarm.period_s,
        recent_datapoints: recent.filter_map(|slot| slot.point.map(|point| point.value)).collect(),
        threshold: alarm.threshold,
        evaluated_datapoints: evaluated.collect(),
    };
    serde_json::to_string(&document).expect("strings and finite numbers always have a JSON form")
}

/// A double as Java writes it: `6.0`, `0.001`, `1.0E-4`, `1.0E7`, `1.2345678E7`.
pub fn double(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) || !value.is_finite() {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

fn counted(n: usize, noun: &str, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {noun} {one}") } else { format!("{n} {noun}s {many}") }
}

fn treated(alarm: &MetricAlarm) -> &'static str {
    match alarm.missing_data {
        MissingData::Breaching => "Breaching",
        MissingData::NotBreaching => "NonBreaching",
        MissingData::Ignore => "Ignored",
        MissingData::Missing => "Missing",
    }
}

fn listed(slots: &[Slot]) -> String {
    let mut text = String::new();
    for slot in slots.iter().take(LISTED_POINTS_MAX) {
        let Some(point) = slot.point else { continue };
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&double(point.value));
        text.push_str(" (");
        text.push_str(&Timestamp::from_seconds(slot.start).reason_text());
        text.push(')');
    }
    if slots.len() > LISTED_POINTS_MAX {
        text.push_str(", ...");
    }
    text
}

fn compared(alarm: &MetricAlarm, state: State) -> String {
    let not = if state == State::Alarm { "" } else { "not " };
    let comparison = match alarm.comparison {
        Comparison::GreaterThanOrEqualToThreshold => "greater than or equal to",
        Comparison::GreaterThanThreshold => "greater than",
        Comparison::LessThanThreshold => "less than",
        Comparison::LessThanOrEqualToThreshold => "less than or equal to",
    };
    format!("{not}{comparison} the threshold ({})", double(alarm.threshold))
}

fn minimum(rule: Rule, state: State) -> String {
    let (points, change) = match state {
        State::Alarm => (rule.datapoints_to_alarm, "OK -> ALARM"),
        State::Ok | State::InsufficientData => {
            (rule.evaluation_periods - rule.datapoints_to_alarm + 1, "ALARM -> OK")
        }
    };
    let noun = if points == 1 { "datapoint" } else { "datapoints" };
    format!("(minimum {points} {noun} for {change} transition)")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReasonData<'a> {
    version: &'static str,
    query_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<&'a str>,
    period: i64,
    recent_datapoints: Vec<f64>,
    threshold: f64,
    evaluated_datapoints: Vec<Evaluated>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Evaluated {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_count: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
}

#[cfg(test)]
mod tests;
