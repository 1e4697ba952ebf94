/*!
Why a state was reached, in the words of CloudWatch: `StateReason` and `StateReasonData`.

Consumers parse these texts, so they are exact: Java's way of writing doubles, singular and plural, day first. What
decided is handed in as a [`Verdict`]; nothing is judged here.
*/

use std::collections::BTreeMap;

use serde::Serialize;

use super::judge::{Basis, Rule, Slot, Verdict};
use super::{Comparison, Measure, MetricAlarm, MissingData, State};
use crate::anomaly::Band;
use crate::time::Timestamp;

/// Reason of an alarm that was never judged.
pub const UNCHECKED: &str = "Unchecked: Initial alarm creation";

/// Points listed in a reason or its data; more would not fit the API's 1,023 characters.
const LISTED_POINTS_MAX: usize = 20;

/// What was usual in the slots that were judged, by their first second.
pub type Bands = BTreeMap<i64, Band>;

/// `StateReason`.
pub fn text(alarm: &MetricAlarm, verdict: &Verdict) -> String {
    text_of(alarm, verdict, &Bands::new())
}

/// `StateReason` of an alarm whose values may be held against `bands`.
pub fn text_of(alarm: &MetricAlarm, verdict: &Verdict, bands: &Bands) -> String {
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
    let band = alarm.comparison.of_band().is_some();
    if alarm.datapoints_to_alarm.is_none() && n == 1 && !band {
        let points = listed(&verdict.decisive);
        let compared = compared(alarm, verdict, bands);
        return format!("Threshold Crossed: 1 datapoint [{points}] was {compared}.");
    }
    let k = verdict.decisive.len();
    let minimum = minimum(rule, verdict.state);
    if k == 0 {
        return format!("Threshold Crossed: {filled} {minimum}.");
    }
    let points = listed(&verdict.decisive);
    let was = if k == 1 { "was" } else { "were" };
    let and_filled = if fills > 0 { format!(" and {filled}") } else { String::new() };
    let compared = compared(alarm, verdict, bands);
    let crossed = if band { "Thresholds Crossed" } else { "Threshold Crossed" };
    format!(
        "{crossed}: {k} out of the last {n} datapoints [{points}] {was} {compared}{and_filled} {minimum}."
    )
}

/// `StateReasonData`: a JSON document.
pub fn data(alarm: &MetricAlarm, verdict: &Verdict, now: Timestamp) -> String {
    data_of(alarm, verdict, &Bands::new(), now)
}

/// `StateReasonData` of an alarm whose values may be held against `bands`. What an expression comes to has no samples.
pub fn data_of(alarm: &MetricAlarm, verdict: &Verdict, bands: &Bands, now: Timestamp) -> String {
    let counted = !matches!(alarm.measure, Measure::Expression(_));
    let evaluated =
        verdict.decisive.iter().chain(&verdict.missing).take(LISTED_POINTS_MAX).map(|slot| Evaluated {
            timestamp: Timestamp::from_seconds(slot.start).alarm_text(),
            sample_count: slot.point.filter(|_| counted).map(|point| point.samples),
            value: slot.point.map(|point| point.value),
        });
    let recent = verdict.judged.iter().take(LISTED_POINTS_MAX).rev();
    let band = alarm.comparison.of_band().is_some();
    let bounds = |bound: fn(&Band) -> f64| -> Option<Vec<f64>> {
        let of = |slot: &Slot| bands.get(&slot.start).map(bound);
        band.then(|| recent.clone().filter_map(of).collect())
    };
    let document = ReasonData {
        version: "1.0",
        query_date: now.alarm_text(),
        start_date: verdict.judged.last().map(|slot| Timestamp::from_seconds(slot.start).alarm_text()),
        unit: alarm.single().and_then(|single| single.unit.as_deref()),
        statistic: alarm.single().map(|single| single.statistic.as_str()),
        period: alarm.period_s,
        recent_datapoints: recent.clone().filter_map(|slot| slot.point.map(|point| point.value)).collect(),
        recent_lower_thresholds: bounds(|band| band.lower),
        recent_upper_thresholds: bounds(|band| band.upper),
        threshold: (!band).then_some(alarm.threshold),
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

fn compared(alarm: &MetricAlarm, verdict: &Verdict, bands: &Bands) -> String {
    let not = if verdict.state == State::Alarm { "" } else { "not " };
    let comparison = match alarm.comparison {
        Comparison::GreaterThanOrEqualToThreshold => "greater than or equal to",
        Comparison::GreaterThanThreshold => "greater than",
        Comparison::LessThanThreshold => "less than",
        Comparison::LessThanOrEqualToThreshold => "less than or equal to",
        Comparison::LessThanLowerOrGreaterThanUpperThreshold
        | Comparison::LessThanLowerThreshold
        | Comparison::GreaterThanUpperThreshold => return compared_with_band(alarm, verdict, bands),
    };
    format!("{not}{comparison} the threshold ({})", double(alarm.threshold))
}

/// That of an OK says `not` on both sides (*assumed*).
fn compared_with_band(alarm: &MetricAlarm, verdict: &Verdict, bands: &Bands) -> String {
    let not = if verdict.state == State::Alarm { "" } else { "not " };
    let listed = |bound: fn(&Band) -> f64| -> String {
        let of = |slot: &Slot| bands.get(&slot.start).map(|band| double(bound(band)));
        let bounds: Vec<String> = verdict.decisive.iter().take(LISTED_POINTS_MAX).filter_map(of).collect();
        bounds.join(", ")
    };
    let lower = || format!("{not}less than the lower thresholds [{}]", listed(|band| band.lower));
    let upper = || format!("{not}greater than the upper thresholds [{}]", listed(|band| band.upper));
    match alarm.comparison {
        Comparison::LessThanLowerThreshold => lower(),
        Comparison::GreaterThanUpperThreshold => upper(),
        _ => format!("{} or {}", lower(), upper()),
    }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_lower_thresholds: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_upper_thresholds: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
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
