/*!
`MetricDataQuery` ("Amazon CloudWatch API Reference"): an entry of an alarm's `Metrics`, and of GetMetricData.
*/

use nightbell_core::alarm::{ExpressionMeasure, Measure, QueryMeasure};
use nightbell_core::math::{self as core, MathError, MetricQuery, Purpose, Queried, Queries};
use serde::{Deserialize, Serialize};

use super::Cx;
use super::cloudwatch::{Dimension, dimensions, missing, series, validation};
use super::error::ApiError;

/// Most entries of an alarm.
pub(super) const ALARM_ENTRIES_MAX: usize = 20;

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

/// What an alarm's `Metrics` measure, and the period they name. `band`: the `ThresholdMetricId`.
pub(super) fn read_measure(
    cx: &Cx,
    entries: &[MetricDataQuery],
    band: Option<&str>,
) -> Result<(Measure, Option<i64>), ApiError> {
    if entries.len() > ALARM_ENTRIES_MAX {
        let count = entries.len();
        return Err(validation(format!(
            "Metrics: {count} entries are more than the limit of {ALARM_ENTRIES_MAX}"
        )));
    }
    let read = read_entries(cx, "Metrics", entries)?;
    let purpose = match band {
        Some(threshold_metric_id) => Purpose::BandAlarm { threshold_metric_id },
        None => Purpose::Alarm,
    };
    if let ([entry], [MetricQuery { what: Queried::Expression(text), .. }]) = (entries, &read[..])
        && read[0].select().is_some()
    {
        Queries::read(&read).map_err(|error| refused(&error))?;
        let query = QueryMeasure { id: entry.id.clone(), label: entry.label.clone(), text: text.clone() };
        return Ok((Measure::Query(query), entry.period));
    }
    let queries = Queries::check(&read, purpose).map_err(|error| refused(&error))?;
    let period_s = queries.period_s();
    Ok((Measure::Expression(ExpressionMeasure { entries: read }), period_s))
}

/// What a list of entries is refused with.
pub(super) fn refused(error: &MathError) -> ApiError {
    validation(error.to_string())
}

/// The entries as the core has them; `field` is the parameter they stand in.
pub(super) fn read_entries(
    cx: &Cx,
    field: &str,
    entries: &[MetricDataQuery],
) -> Result<Vec<MetricQuery>, ApiError> {
    entries.iter().map(|entry| read_entry(cx, field, entry)).collect()
}

fn read_entry(cx: &Cx, field: &str, entry: &MetricDataQuery) -> Result<MetricQuery, ApiError> {
    if entry.id.is_empty() {
        return Err(missing(&format!("{field}.member.Id")));
    }
    if let Some(other) = entry.account_id.as_ref().filter(|id| **id != cx.app.account) {
        return Err(validation(format!(
            "{field}: the entry {:?} names the account {other:?}; metrics of other accounts are not served",
            entry.id
        )));
    }
    let what = match (&entry.metric_stat, &entry.expression) {
        (Some(stat), None) => Queried::Stat(read_stat(cx, field, stat)?),
        (None, Some(text)) => Queried::Expression(text.clone()),
        _ => {
            let text = format!("{field}: the entry {:?} must have either MetricStat or Expression", entry.id);
            return Err(validation(text));
        }
    };
    Ok(MetricQuery {
        id: entry.id.clone(),
        label: entry.label.clone(),
        return_data: entry.return_data.unwrap_or(true),
        period_s: entry.period,
        account_id: entry.account_id.clone(),
        what,
    })
}

fn read_stat(cx: &Cx, field: &str, stat: &MetricStat) -> Result<core::MetricStat, ApiError> {
    let inside = |name: &str| missing(&format!("{field}.member.MetricStat.Metric.{name}"));
    let metric = &stat.metric;
    let namespace = metric.namespace.as_deref().ok_or_else(|| inside("Namespace"))?;
    let name = metric.metric_name.as_deref().ok_or_else(|| inside("MetricName"))?;
    Ok(core::MetricStat {
        series: series(cx, namespace, name, metric.dimensions.clone()),
        period_s: stat.period,
        statistic: stat.stat.clone(),
        unit: stat.unit.clone(),
    })
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
        Measure::Expression(measure) => measure.entries.iter().map(write_entry).collect(),
    }
}

/// An entry as it was given.
pub(super) fn write_entry(entry: &MetricQuery) -> MetricDataQuery {
    let metric_stat = entry.stat().map(|stat| MetricStat {
        metric: NamedMetric {
            namespace: Some(stat.series.namespace.clone()),
            metric_name: Some(stat.series.name.clone()),
            dimensions: dimensions(&stat.series),
        },
        period: stat.period_s,
        stat: stat.statistic.clone(),
        unit: stat.unit.clone(),
    });
    let expression = match &entry.what {
        Queried::Stat(_) => None,
        Queried::Expression(text) => Some(text.clone()),
    };
    MetricDataQuery {
        id: entry.id.clone(),
        metric_stat,
        expression,
        label: entry.label.clone(),
        return_data: Some(entry.return_data),
        period: entry.period_s,
        account_id: entry.account_id.clone(),
    }
}
