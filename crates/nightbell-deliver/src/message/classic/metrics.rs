/*!
The `Metrics` of an alarm on a query, an expression or a band, as the classic notification and text list them.

The form of a band's entry is *assumed*: that of an expression, with `ThresholdMetricId` beside the list.
*/

use serde::Serialize;

use nightbell_core::alarm::{ExpressionMeasure, QueryMeasure};
use nightbell_core::math::{MetricQuery, MetricStat, Queried};

use super::{DIMENSIONS_MAX, Dimension, value};

/// Entries listed; the service allows twenty.
pub(crate) const ENTRIES_LISTED_MAX: usize = 20;

/// An entry of `Metrics`.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Entry<'a> {
    Stat(StatEntry<'a>),
    Expression(ExpressionEntry<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StatEntry<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    metric_stat: Stat<'a>,
    return_data: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stat<'a> {
    metric: Metric<'a>,
    period: i64,
    stat: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric<'a> {
    dimensions: Vec<Dimension<'a>>,
    metric_name: &'a str,
    namespace: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExpressionEntry<'a> {
    expression: &'a str,
    id: &'a str,
    label: &'a str,
    return_data: bool,
    period: i64,
}

/// The entry of an alarm on a query.
pub(super) fn of_query(query: &QueryMeasure, period_s: i64) -> Entry<'_> {
    let label = query.label.as_deref().unwrap_or(&query.id);
    Entry::Expression(ExpressionEntry {
        expression: &query.text,
        id: &query.id,
        label,
        return_data: true,
        period: period_s,
    })
}

/// The entries of an alarm on an expression or a band.
pub(super) fn of_list(list: &ExpressionMeasure, period_s: i64) -> Vec<Entry<'_>> {
    list.entries.iter().take(ENTRIES_LISTED_MAX).map(|entry| of_entry(entry, period_s)).collect()
}

fn of_entry(entry: &MetricQuery, period_s: i64) -> Entry<'_> {
    match &entry.what {
        Queried::Stat(stat) => Entry::Stat(StatEntry {
            id: &entry.id,
            label: entry.label.as_deref(),
            metric_stat: of_stat(stat),
            return_data: entry.return_data,
            account_id: entry.account_id.as_deref(),
        }),
        Queried::Expression(expression) => Entry::Expression(ExpressionEntry {
            expression,
            id: &entry.id,
            label: entry.label.as_deref().unwrap_or(&entry.id),
            return_data: entry.return_data,
            period: entry.period_s.unwrap_or(period_s),
        }),
    }
}

fn of_stat(stat: &MetricStat) -> Stat<'_> {
    let dimensions = stat.series.dimensions.iter();
    Stat {
        metric: Metric {
            dimensions: dimensions.map(|(name, value)| Dimension { value, name }).collect(),
            metric_name: &stat.series.name,
            namespace: &stat.series.namespace,
        },
        period: stat.period_s,
        stat: &stat.statistic,
        unit: stat.unit.as_deref(),
    }
}

/// The paragraph of the text: a line or two for each entry.
pub(super) fn text(list: &ExpressionMeasure) -> String {
    let mut out = "\nMonitored Metrics:\n".to_owned();
    let mut detail = |label: &str, text: &str| out += &format!("- {label:<28}{text}\n");
    for entry in list.entries.iter().take(ENTRIES_LISTED_MAX) {
        match &entry.what {
            Queried::Expression(expression) => detail("MetricExpression:", &value(expression)),
            Queried::Stat(stat) => {
                detail("MetricNamespace:", &value(&stat.series.namespace));
                detail("MetricName:", &value(&stat.series.name));
                let dimensions = stat.series.dimensions.iter().take(DIMENSIONS_MAX);
                let dimensions: Vec<String> =
                    dimensions.map(|(name, text)| format!("[{} = {}]", value(name), value(text))).collect();
                detail("Dimensions:", &dimensions.join(", "));
                detail("Period:", &format!("{} seconds", stat.period_s));
                detail("Statistic:", &value(&stat.statistic));
            }
        }
        detail("MetricLabel:", &value(entry.label.as_deref().unwrap_or(&entry.id)));
    }
    out
}
