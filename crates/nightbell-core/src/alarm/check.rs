/*!
The limits of PutMetricAlarm (Amazon CloudWatch API Reference): what an alarm must be before it is watched.

Says which rule is broken and of which kind; the error code and the protocol's form are the server's.
*/

use super::contributors::GROUP_DIMENSIONS_MAX;
use super::judge::Rule;
use super::{ExpressionMeasure, Measure, MetricAlarm, QueryMeasure, SeriesMeasure};
use crate::anomaly::model::PERIOD_MIN_S;
use crate::insights::Query;
use crate::math::{Purpose, Queries};
use crate::metric::{NAME_CHARS_MAX, UNITS};
use crate::statistic::Statistic;

/// Characters of an alarm's description.
pub const DESCRIPTION_CHARS_MAX: usize = 1_024;
/// Actions for each of the three states.
pub const ACTIONS_MAX: usize = 5;
/// Characters of an action's ARN.
pub const ACTION_CHARS_MAX: usize = 1_024;
/// Seconds that period × evaluation periods may span at most: seven days.
pub const RANGE_MAX_S: i64 = 604_800;
/// Seconds they may span when the period is under an hour: one day.
pub const SHORT_PERIOD_RANGE_MAX_S: i64 = 86_400;
/// Periods from this on may span [`RANGE_MAX_S`].
pub const LONG_PERIOD_MIN_S: i64 = 3_600;
/// Periods under a minute.
pub const HIGH_RESOLUTION_PERIODS_S: [i64; 3] = [10, 20, 30];

/// What kind of mistake it is; the API has a code for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmErrorKind {
    /// The request's own form is wrong: lengths, sizes, names out of a fixed list.
    Form,
    /// A value is not allowed.
    Value,
    /// Values do not go together.
    Combination,
    /// Something is not there.
    Absent,
}

/// A rule that an alarm breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {message}")]
pub struct AlarmError {
    /// What kind of mistake it is.
    pub kind: AlarmErrorKind,
    /// The API's name of the parameter.
    pub field: &'static str,
    /// What it must be, ready to follow the field's name.
    pub message: String,
}

impl MetricAlarm {
    /// Whether the alarm is inside the limits of the API.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), AlarmError> {
        check_texts(&self.name, self.description.as_deref())?;
        check_actions([&self.ok_actions, &self.alarm_actions, &self.insufficient_data_actions])?;
        self.check_measure()?;
        self.check_periods()
    }

    fn check_measure(&self) -> Result<(), AlarmError> {
        match &self.measure {
            Measure::Series(single) => check_series(single)?,
            Measure::Query(query) => check_query(query)?,
            Measure::Expression(measure) => self.check_expression(measure)?,
        }
        self.check_band()?;
        if !self.threshold.is_finite() {
            return Err(error(AlarmErrorKind::Value, "Threshold", "must be a finite number"));
        }
        let low_samples = self.evaluate_low_sample_count_percentile.as_str();
        if !["", "evaluate", "ignore"].contains(&low_samples) {
            let message = "must be evaluate or ignore";
            return Err(error(AlarmErrorKind::Value, "EvaluateLowSampleCountPercentile", message));
        }
        Ok(())
    }

    fn check_expression(&self, measure: &ExpressionMeasure) -> Result<(), AlarmError> {
        let purpose = match &self.band {
            Some(id) => Purpose::BandAlarm { threshold_metric_id: id },
            None => Purpose::Alarm,
        };
        let queries = Queries::check(&measure.entries, purpose).map_err(|broken| {
            error(AlarmErrorKind::Form, "Metrics", format!("must be in order: {broken}"))
        })?;
        if measure.entries.iter().any(|entry| entry.select().is_some()) {
            let message = "must have a query alone, without expressions beside it";
            return Err(error(AlarmErrorKind::Value, "Metrics", message));
        }
        if queries.period_s() != Some(self.period_s) {
            let message = format!("must have the period of the alarm. period={}", self.period_s);
            return Err(error(AlarmErrorKind::Value, "Metrics", message));
        }
        let Some(id) = &self.band else { return Ok(()) };
        let of = queries.band(id).map(|(entry, _)| &entry.id);
        let watched = measure.watched(self.band.as_deref()).map(|entry| &entry.id);
        if watched.is_none() || of != watched {
            let message = "must return a metric or an expression, and the ANOMALY_DETECTION_BAND of it";
            return Err(error(AlarmErrorKind::Value, "Metrics", message));
        }
        if self.period_s < PERIOD_MIN_S {
            let message = format!("must be at least {PERIOD_MIN_S} with a band. period={}", self.period_s);
            return Err(error(AlarmErrorKind::Value, "Period", message));
        }
        Ok(())
    }

    /// A band goes with an operator that looks at one, and with no threshold.
    fn check_band(&self) -> Result<(), AlarmError> {
        let of_band = self.comparison.of_band().is_some();
        if of_band != self.band.is_some() {
            let message = if of_band {
                "is for alarms with a ThresholdMetricId"
            } else {
                "must be one for bands where there is a ThresholdMetricId"
            };
            return Err(error(AlarmErrorKind::Combination, "ComparisonOperator", message));
        }
        if self.band.is_some() && !matches!(self.measure, Measure::Expression(_)) {
            let message = "is for alarms with Metrics";
            return Err(error(AlarmErrorKind::Combination, "ThresholdMetricId", message));
        }
        if self.band.is_some() && self.threshold != 0.0 {
            let message = "and ThresholdMetricId are mutually exclusive";
            return Err(error(AlarmErrorKind::Combination, "Threshold", message));
        }
        Ok(())
    }

    fn check_periods(&self) -> Result<(), AlarmError> {
        let period_s = self.period_s;
        let high_resolution = HIGH_RESOLUTION_PERIODS_S.contains(&period_s);
        if !high_resolution && (period_s < 60 || period_s % 60 != 0) {
            let message = format!("must be 10, 20, 30 or a multiple of 60. period={period_s}");
            return Err(error(AlarmErrorKind::Value, "Period", message));
        }
        if self.evaluation_periods == 0 {
            return Err(error(AlarmErrorKind::Form, "EvaluationPeriods", "must be at least 1"));
        }
        if self.datapoints_to_alarm == Some(0) {
            return Err(error(AlarmErrorKind::Form, "DatapointsToAlarm", "must be at least 1"));
        }
        let rule = Rule::of(self);
        if rule.datapoints_to_alarm > rule.evaluation_periods {
            let message = format!("must be at most EvaluationPeriods, {}", rule.evaluation_periods);
            return Err(error(AlarmErrorKind::Value, "DatapointsToAlarm", message));
        }
        let range_max_s = if period_s < LONG_PERIOD_MIN_S { SHORT_PERIOD_RANGE_MAX_S } else { RANGE_MAX_S };
        if period_s.saturating_mul(i64::from(self.evaluation_periods)) > range_max_s {
            let message = format!("times Period must be at most {range_max_s} seconds. period={period_s}");
            return Err(error(AlarmErrorKind::Combination, "EvaluationPeriods", message));
        }
        Ok(())
    }
}

/// The limits of an alarm's name and description, whatever it watches.
pub(super) fn check_texts(name: &str, description: Option<&str>) -> Result<(), AlarmError> {
    if name.is_empty() {
        return Err(error(AlarmErrorKind::Absent, "AlarmName", "is required"));
    }
    if longer_than(name, NAME_CHARS_MAX) {
        let message = format!("must have 1 to {NAME_CHARS_MAX} characters");
        return Err(error(AlarmErrorKind::Form, "AlarmName", message));
    }
    if description.is_some_and(|text| longer_than(text, DESCRIPTION_CHARS_MAX)) {
        let message = format!("must have at most {DESCRIPTION_CHARS_MAX} characters");
        return Err(error(AlarmErrorKind::Form, "AlarmDescription", message));
    }
    Ok(())
}

/// The limits of an alarm's actions: those of OK, of ALARM and of INSUFFICIENT_DATA.
pub(super) fn check_actions([ok, alarm, insufficient_data]: [&[String]; 3]) -> Result<(), AlarmError> {
    let lists = [("OKActions", ok), ("AlarmActions", alarm), ("InsufficientDataActions", insufficient_data)];
    for (field, actions) in lists {
        if actions.len() > ACTIONS_MAX {
            let message = format!("must have at most {ACTIONS_MAX} members");
            return Err(error(AlarmErrorKind::Form, field, message));
        }
        if actions.iter().any(|action| action.is_empty() || longer_than(action, ACTION_CHARS_MAX)) {
            let message = format!("must have members of 1 to {ACTION_CHARS_MAX} characters");
            return Err(error(AlarmErrorKind::Form, field, message));
        }
        if let Some(action) = actions.iter().find(|action| !action.starts_with("arn:")) {
            return Err(error(AlarmErrorKind::Value, field, format!("must be ARNs. action={action}")));
        }
    }
    Ok(())
}

fn check_series(measure: &SeriesMeasure) -> Result<(), AlarmError> {
    if let Err(broken) = measure.series.check() {
        return Err(error(AlarmErrorKind::Form, broken.field, broken.rule));
    }
    if let Some(unit) = measure.unit.as_deref().filter(|unit| !UNITS.contains(unit)) {
        let message = format!("must be a unit of the API. unit={unit}");
        return Err(error(AlarmErrorKind::Form, "Unit", message));
    }
    if Statistic::parse(&measure.statistic).is_none() {
        let message = format!("must be a statistic of the API. statistic={}", measure.statistic);
        return Err(error(AlarmErrorKind::Value, "Statistic", message));
    }
    Ok(())
}

fn check_query(measure: &QueryMeasure) -> Result<(), AlarmError> {
    let query = Query::parse(&measure.text).map_err(|broken| {
        error(AlarmErrorKind::Form, "Metrics", format!("must hold a valid query: {broken}"))
    })?;
    if query.after.as_ref().is_some_and(|after| after.metric == query.metric) {
        let message = format!("must have a query whose AFTER names another metric. metric={}", query.metric);
        return Err(error(AlarmErrorKind::Value, "Metrics", message));
    }
    if (1..=GROUP_DIMENSIONS_MAX).contains(&query.group_by.len()) {
        return Ok(());
    }
    let groups = query.group_by.len();
    let message = format!(
        "must have a query with GROUP BY over 1 to {GROUP_DIMENSIONS_MAX} dimensions. dimensions={groups}"
    );
    Err(error(AlarmErrorKind::Value, "Metrics", message))
}

pub(super) fn error(kind: AlarmErrorKind, field: &'static str, message: impl Into<String>) -> AlarmError {
    AlarmError { kind, field, message: message.into() }
}

pub(super) fn longer_than(text: &str, chars_max: usize) -> bool {
    text.chars().nth(chars_max).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{Comparison, MissingData};
    use crate::metric::Series;
    use crate::time::Timestamp;

    fn sound() -> MetricAlarm {
        MetricAlarm {
            arn: "arn:aws:cloudwatch:us-east-2:123456789012:alarm:AccessDenied".to_owned(),
            region: "us-east-2".to_owned(),
            name: "AccessDenied".to_owned(),
            description: None,
            actions_enabled: true,
            ok_actions: Vec::new(),
            alarm_actions: vec!["arn:aws:sns:us-east-2:123456789012:alerts".to_owned()],
            insufficient_data_actions: Vec::new(),
            measure: Measure::Series(SeriesMeasure {
                series: Series::new("us-east-2", "folder/secret/4656", "4656", Vec::new()),
                unit: None,
                statistic: "Sum".to_owned(),
            }),
            period_s: 60,
            evaluation_periods: 1,
            datapoints_to_alarm: Some(1),
            threshold: 5.0,
            band: None,
            comparison: Comparison::GreaterThanThreshold,
            missing_data: MissingData::NotBreaching,
            evaluate_low_sample_count_percentile: String::new(),
            updated: Timestamp::from_millis(0),
        }
    }

    type Change = fn(&mut MetricAlarm);

    #[test]
    fn accepts_what_is_inside_the_limits() {
        let rows: [Change; 9] = [
            |_| {},
            |alarm| alarm.name = "ä".repeat(255),
            |alarm| alarm.description = Some(String::new()),
            |alarm| alarm.period_s = 10,
            |alarm| (alarm.period_s, alarm.evaluation_periods) = (60, 1_440),
            |alarm| (alarm.period_s, alarm.evaluation_periods) = (3_600, 168), // Z03: seven days
            |alarm| alarm.single_mut().unwrap().statistic = "TM(10%:90%)".to_owned(),
            |alarm| alarm.evaluate_low_sample_count_percentile = "ignore".to_owned(),
            |alarm| alarm.single_mut().unwrap().unit = Some("Count/Second".to_owned()),
        ];
        for (i, change) in rows.into_iter().enumerate() {
            let mut alarm = sound();
            change(&mut alarm);
            assert_eq!(alarm.check(), Ok(()), "row {i}");
        }
    }

    #[test]
    fn refuses_what_is_outside() {
        use AlarmErrorKind::{Absent, Combination, Form, Value};
        let rows: [(Change, &str, AlarmErrorKind); 24] = [
            (|alarm| alarm.name = String::new(), "AlarmName", Absent),
            (|alarm| alarm.name = "n".repeat(256), "AlarmName", Form),
            (|alarm| alarm.description = Some("d".repeat(1_025)), "AlarmDescription", Form),
            (|alarm| alarm.period_s = 15, "Period", Value), // Z01
            (|alarm| alarm.period_s = 0, "Period", Value),
            (|alarm| alarm.period_s = -60, "Period", Value),
            (|alarm| alarm.period_s = 90, "Period", Value),
            (|alarm| alarm.evaluation_periods = 1_441, "EvaluationPeriods", Combination), // Z02
            (
                |alarm| (alarm.period_s, alarm.evaluation_periods) = (3_600, 169),
                "EvaluationPeriods",
                Combination,
            ),
            (|alarm| alarm.period_s = i64::MAX / 60 * 60, "EvaluationPeriods", Combination),
            (|alarm| alarm.evaluation_periods = 0, "EvaluationPeriods", Form),
            (|alarm| alarm.datapoints_to_alarm = Some(0), "DatapointsToAlarm", Form),
            (
                |alarm| (alarm.datapoints_to_alarm, alarm.evaluation_periods) = (Some(4), 3),
                "DatapointsToAlarm",
                Value,
            ), // Z04
            (|alarm| alarm.alarm_actions = vec!["arn:a".to_owned(); 6], "AlarmActions", Form), // Z06
            (|alarm| alarm.ok_actions = vec![String::new()], "OKActions", Form),
            (
                |alarm| alarm.insufficient_data_actions = vec!["x".to_owned()],
                "InsufficientDataActions",
                Value,
            ),
            (|alarm| alarm.threshold = f64::NAN, "Threshold", Value),
            (|alarm| alarm.single_mut().unwrap().statistic = "Median".to_owned(), "Statistic", Value),
            (|alarm| alarm.single_mut().unwrap().unit = Some("Events".to_owned()), "Unit", Form),
            (
                |alarm| alarm.evaluate_low_sample_count_percentile = "no".to_owned(),
                "EvaluateLowSampleCountPercentile",
                Value,
            ),
            (|alarm| alarm.single_mut().unwrap().series.namespace = String::new(), "Namespace", Form),
            (|alarm| alarm.single_mut().unwrap().series.name = "m".repeat(256), "MetricName", Form),
            (
                |alarm| {
                    alarm.single_mut().unwrap().series.dimensions =
                        (10..41).map(|i| (format!("d{i}"), "v".to_owned())).collect()
                },
                "Dimensions",
                Form,
            ),
            (
                |alarm| {
                    alarm.single_mut().unwrap().series.dimensions =
                        vec![("d".to_owned(), "v".to_owned()), ("d".to_owned(), "w".to_owned())]
                },
                "Dimensions",
                Form,
            ),
        ];
        for (change, field, kind) in rows {
            let mut alarm = sound();
            change(&mut alarm);
            let error = alarm.check().unwrap_err();
            assert_eq!((error.field, error.kind), (field, kind), "{error}");
        }
    }
}
