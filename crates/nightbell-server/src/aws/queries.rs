/*!
`MetricDataQuery` ("Amazon CloudWatch API Reference"): an entry of an alarm's `Metrics`, and of GetMetricData.
*/

use nightbell_core::alarm::{Measure, QueryMeasure};
use serde::{Deserialize, Serialize};

use super::cloudwatch::{Dimension, missing, validation};
use super::error::ApiError;

/// Most entries of an alarm.
pub(super) const ALARM_ENTRIES_MAX: usize = 20;
/// Characters of an expression.
const EXPRESSION_CHARS_MAX: usize = 2_048;
/// Characters of an entry's id.
const ID_CHARS_MAX: usize = 255;

/// One entry.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricDataQuery {
    pub(super) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metric_stat: Option<MetricStat>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expression: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) return_data: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) period: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account_id: Option<String>,
}

/// A statistic of one series.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricStat {
    pub(super) metric: NamedMetric,
    pub(super) period: i64,
    pub(super) stat: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<String>,
}

/// A series as the API names it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NamedMetric {
    #[serde(default)]
    pub(super) namespace: Option<String>,
    #[serde(default)]
    pub(super) metric_name: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    pub(super) dimensions: Vec<Dimension>,
}

/// What an alarm's `Metrics` measure, and the period they name.
pub(super) fn read_measure(entries: &[MetricDataQuery]) -> Result<(Measure, Option<i64>), ApiError> {
    if entries.len() > ALARM_ENTRIES_MAX {
        let count = entries.len();
        return Err(validation(format!(
            "Metrics: {count} entries are more than the limit of {ALARM_ENTRIES_MAX}"
        )));
    }
    for entry in entries {
        check_entry(entry)?;
    }
    if let [entry] = entries
        && let Some(text) = entry.expression.as_ref().filter(|text| is_select(text))
    {
        let query = QueryMeasure { id: entry.id.clone(), label: entry.label.clone(), text: text.clone() };
        return Ok((Measure::Query(query), entry.period));
    }
    Err(validation("Metrics: name one entry whose Expression is a SELECT with GROUP BY"))
}

fn check_entry(entry: &MetricDataQuery) -> Result<(), ApiError> {
    if entry.id.is_empty() {
        return Err(missing("Metrics.member.Id"));
    }
    let starts = entry.id.starts_with(|c: char| c.is_ascii_lowercase());
    let sound = entry.id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !starts || !sound || entry.id.len() > ID_CHARS_MAX {
        return Err(validation(format!(
            "Metrics: the Id {:?} must have 1 to {ID_CHARS_MAX} letters, digits and underscores and begin with a lower-case letter",
            entry.id
        )));
    }
    if entry.expression.as_ref().is_some_and(|text| text.chars().count() > EXPRESSION_CHARS_MAX) {
        return Err(validation(format!(
            "Metrics: the Expression of {:?} is longer than the limit of {EXPRESSION_CHARS_MAX} characters",
            entry.id
        )));
    }
    match (&entry.metric_stat, &entry.expression) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        _ => Err(validation(format!(
            "Metrics: the entry {:?} must have either MetricStat or Expression",
            entry.id
        ))),
    }
}

/// Whether an expression is a Metrics Insights query.
pub(super) fn is_select(expression: &str) -> bool {
    let start = expression.trim_start().get(..7).unwrap_or_default();
    start[..start.len().min(6)].eq_ignore_ascii_case("SELECT") && start.ends_with(char::is_whitespace)
}

/// The entries of an alarm that is not on one series, as they were given.
pub(super) fn written(measure: &Measure, period_s: i64) -> Vec<MetricDataQuery> {
    match measure {
        Measure::Series(_) => Vec::new(),
        Measure::Query(query) => vec![MetricDataQuery {
            id: query.id.clone(),
            expression: Some(query.text.clone()),
            label: query.label.clone(),
            return_data: Some(true),
            period: Some(period_s),
            ..MetricDataQuery::default()
        }],
    }
}
