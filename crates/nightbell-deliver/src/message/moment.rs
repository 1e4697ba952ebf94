/*!
What an alarm and its transition hold, read in one place: the measure, the line, whom it counts for, the curve.

The rest of the message asks here, so that it need not know how an alarm is configured.
*/

use nightbell_core::alarm::{
    Comparison, Contributor, ExpressionMeasure, Measure, MetricAlarm, MissingData, State, Transition,
};
use nightbell_core::insights::Query;
use nightbell_core::math::{MetricQuery, MetricStat, Queried};
use nightbell_core::records;
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
        Measure::Expression(_) => match watched_stat(alarm) {
            Some(stat) => text::line(&stat.statistic, NAME_CHARS_MAX),
            None => "Value".to_owned(),
        },
    }
}

/// The metric that is watched beside a band or by an expression's list, where the watched entry names one.
fn watched_stat(alarm: &MetricAlarm) -> Option<&MetricStat> {
    match &alarm.measure {
        Measure::Expression(list) => list.watched(alarm.band.as_deref()).and_then(MetricQuery::stat),
        Measure::Series(_) | Measure::Query(_) => None,
    }
}

/// The metric's name.
pub(super) fn metric(alarm: &MetricAlarm) -> String {
    let name = match &alarm.measure {
        Measure::Series(single) => single.series.name.clone(),
        Measure::Query(query) => {
            Query::parse(&query.text).map_or_else(|_| query.text.clone(), |query| query.metric)
        }
        Measure::Expression(list) => of_expression(list, alarm.band.as_deref()),
    };
    text::line_of_ends(&name, 2 * NAME_CHARS_MAX)
}

/// What the watched entry is called, or the metric or expression that it is.
fn of_expression(list: &ExpressionMeasure, band: Option<&str>) -> String {
    let Some(entry) = list.watched(band) else { return String::new() };
    match (&entry.label, &entry.what) {
        (Some(label), _) => label.clone(),
        (None, Queried::Stat(stat)) => stat.series.name.clone(),
        (None, Queried::Expression(expression)) => expression.clone(),
    }
}

/// Whether it counts the record numbers that are missing from event logs.
pub(super) fn counts_missing(alarm: &MetricAlarm) -> bool {
    match &alarm.measure {
        Measure::Series(single) => {
            (single.series.namespace.as_str(), single.series.name.as_str())
                == (records::NAMESPACE, records::MISSING_METRIC)
        }
        Measure::Query(query) => Query::parse(&query.text).is_ok_and(|query| {
            query.namespace == records::NAMESPACE && query.metric == records::MISSING_METRIC
        }),
        Measure::Expression(_) => false,
    }
}

/// Whom or what the alarm counted for: name and value.
pub(super) fn counted_for(transition: &Transition) -> &[(String, String)] {
    match (&transition.contributor, transition.alarm.single()) {
        (Some(contributor), _) => &contributor.attributes,
        (None, Some(single)) => &single.series.dimensions,
        (None, None) => watched_stat(&transition.alarm).map_or(&[], |stat| stat.series.dimensions.as_slice()),
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

/// Whether it speaks of all that are no longer counted one by one.
pub(super) fn is_of_others(transition: &Transition) -> bool {
    transition.contributor.as_ref().is_some_and(Contributor::stands_for_others)
}

/// Whether it stands for those that are no longer counted one by one.
pub(super) fn stands_for_others(contributor: &Contributor) -> bool {
    contributor.stands_for_others()
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
        Comparison::LessThanLowerOrGreaterThanUpperThreshold => "outside",
        Comparison::LessThanLowerThreshold => "below",
        Comparison::GreaterThanUpperThreshold => "above",
    }
}

/// What the value is held against: `> 5`, `above the usual`.
pub(super) fn limit(alarm: &MetricAlarm) -> String {
    let sign = sign(alarm);
    match alarm.comparison.of_band() {
        Some(_) => format!("{sign} the usual"),
        None => format!("{sign} {}", text::number(alarm.threshold)),
    }
}

/// What holds where [`limit`] does not: `<= 5`, `within the usual`.
pub(super) fn opposite_limit(alarm: &MetricAlarm) -> String {
    let sign = match alarm.comparison {
        Comparison::GreaterThanOrEqualToThreshold => "<",
        Comparison::GreaterThanThreshold => "<=",
        Comparison::LessThanThreshold => ">=",
        Comparison::LessThanOrEqualToThreshold => ">",
        Comparison::LessThanLowerOrGreaterThanUpperThreshold
        | Comparison::LessThanLowerThreshold
        | Comparison::GreaterThanUpperThreshold => return "within the usual".to_owned(),
    };
    format!("{sign} {}", text::number(alarm.threshold))
}

/// What was usual at the last point of the curve, as lower and upper bound.
pub(super) fn last_band(transition: &Transition) -> Option<(f64, f64)> {
    transition.band.as_ref()?.last().copied().filter(|(lower, upper)| lower.is_finite() && upper.is_finite())
}

/// What was usual, in numbers and when: `0–3` and `Sunday nights (00–06)`.
pub(super) fn usual(transition: &Transition) -> Option<(String, String)> {
    let told = transition.usual.as_deref()?.strip_prefix("usually ")?;
    let (range, times) = told.rsplit_once(", now ")?.0.split_once(" on ")?;
    Some((text::line(range, NAME_CHARS_MAX), text::line(times, NAME_CHARS_MAX)))
}

/// Which values of the curve breach.
pub(super) fn breach(alarm: &MetricAlarm) -> Breach {
    match alarm.comparison {
        Comparison::GreaterThanOrEqualToThreshold => Breach::AtLeast,
        Comparison::GreaterThanThreshold | Comparison::GreaterThanUpperThreshold => Breach::Over,
        Comparison::LessThanThreshold | Comparison::LessThanLowerThreshold => Breach::Under,
        Comparison::LessThanOrEqualToThreshold => Breach::AtMost,
        Comparison::LessThanLowerOrGreaterThanUpperThreshold => Breach::Outside,
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
