/*!
What an alarm and its transition hold, read in one place: the measure, the line, whom it counts for, the curve.

The rest of the message asks here, so that it need not know how an alarm is configured.
*/

use nightbell_core::alarm::{Comparison, Measure, MetricAlarm, MissingData, State, Transition};
use nightbell_core::insights::Query;
use nightbell_core::time::{SECOND_MS, Timestamp};

use super::story::NAME_CHARS_MAX;
use super::text;
use crate::chart::Breach;

/// The site the alarm belongs to.
pub(super) fn region(alarm: &MetricAlarm) -> &str {
    &alarm.region
}

/// `Sum`, `p99.9` …: as it was given, or what the query asks for.
pub(super) fn statistic(alarm: &MetricAlarm) -> String {
    match &alarm.measure {
        Measure::Series(single) => text::line(&single.statistic, NAME_CHARS_MAX),
        Measure::Query(query) => match Query::parse(&query.text) {
            Ok(query) => query.function.statistic().to_owned(),
            Err(_) => "Value".to_owned(),
        },
    }
}

/// The metric's name.
pub(super) fn metric(alarm: &MetricAlarm) -> String {
    let name = match &alarm.measure {
        Measure::Series(single) => single.series.name.clone(),
        Measure::Query(query) => {
            Query::parse(&query.text).map_or_else(|_| query.text.clone(), |query| query.metric)
        }
    };
    text::line_of_ends(&name, 2 * NAME_CHARS_MAX)
}

/// Whom or what the alarm counted for: name and value.
pub(super) fn counted_for(transition: &Transition) -> &[(String, String)] {
    match (&transition.contributor, transition.alarm.single()) {
        (Some(contributor), _) => &contributor.attributes,
        (None, Some(single)) => &single.series.dimensions,
        (None, None) => &[],
    }
}

/// The alarm's value over the time before, oldest first: the end of each window and the value in it.
pub(super) fn curve(transition: &Transition) -> Vec<(Timestamp, f64)> {
    transition.curve.iter().map(|point| (point.at, point.value)).collect()
}

/// Whether it fired because something that is always there was not.
pub(super) fn is_silence(transition: &Transition) -> bool {
    let alarm = &transition.alarm;
    let below =
        matches!(alarm.comparison, Comparison::LessThanThreshold | Comparison::LessThanOrEqualToThreshold);
    let nothing = transition.value.is_none_or(|value| value == 0.0);
    transition.to == State::Alarm
        && transition.evidence.is_empty()
        && below
        && nothing
        && alarm.missing_data == MissingData::Breaching
        && !is_set_by_hand(transition)
}

/// Whether somebody set the state rather than data: the reason is then none of those that an evaluation writes.
pub(super) fn is_set_by_hand(transition: &Transition) -> bool {
    let judged = |start| transition.reason.starts_with(start);
    transition.value.is_none()
        && !judged("Threshold Crossed: no datapoints")
        && !judged("Insufficient Data: ")
}

/// `>` …
pub(super) fn sign(alarm: &MetricAlarm) -> &'static str {
    match alarm.comparison {
        Comparison::GreaterThanOrEqualToThreshold => ">=",
        Comparison::GreaterThanThreshold => ">",
        Comparison::LessThanThreshold => "<",
        Comparison::LessThanOrEqualToThreshold => "<=",
    }
}

/// The sign that holds where the alarm's does not.
pub(super) fn opposite_sign(alarm: &MetricAlarm) -> &'static str {
    match alarm.comparison {
        Comparison::GreaterThanOrEqualToThreshold => "<",
        Comparison::GreaterThanThreshold => "<=",
        Comparison::LessThanThreshold => ">=",
        Comparison::LessThanOrEqualToThreshold => ">",
    }
}

/// Which values of the curve breach.
pub(super) fn breach(alarm: &MetricAlarm) -> Breach {
    match alarm.comparison {
        Comparison::GreaterThanOrEqualToThreshold => Breach::AtLeast,
        Comparison::GreaterThanThreshold => Breach::Over,
        Comparison::LessThanThreshold => Breach::Under,
        Comparison::LessThanOrEqualToThreshold => Breach::AtMost,
    }
}

/// The length of a period.
pub(super) fn period_ms(alarm: &MetricAlarm) -> i64 {
    alarm.period_s.saturating_mul(SECOND_MS)
}

/// The length of the window that was counted.
pub(super) fn window_ms(transition: &Transition) -> i64 {
    let alarm = &transition.alarm;
    match transition.window {
        Some((from, to)) if to > from => to.since(from),
        _ => period_ms(alarm).saturating_mul(i64::from(alarm.evaluation_periods.max(1))),
    }
}

/// `1 min`, `2 of 3 x 1 min`.
pub(super) fn periods_short(alarm: &MetricAlarm) -> String {
    let period = text::window(period_ms(alarm));
    match (alarm.evaluation_periods, alarm.datapoints_to_alarm) {
        (0 | 1, _) => period,
        (n, Some(m)) if m != n => format!("{m} of {n} x {period}"),
        (n, _) => format!("{n} x {period}"),
    }
}
