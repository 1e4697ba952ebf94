/*!
CloudWatch metrics: PutMetricData, GetMetricStatistics, ListMetrics ("Amazon CloudWatch API Reference").
*/

use std::collections::{BTreeMap, BTreeSet};

use nightbell_core::evidence::Evidence;
use nightbell_core::history;
use nightbell_core::metric::{Aggregate, Datum, Series, UNITS};
use nightbell_core::statistic::Statistic;
use nightbell_core::time::{HOUR_MS, Timestamp};
use nightbell_store::{Durability, Write};
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::cloudwatch::{Dimension, dimensions, invalid_token, missing, series, time, validation};
use super::error::{ApiError, stored};
use super::page::{Page, page};
use super::service::Service;
use crate::manage::alarms;
use crate::run::points::{self, Point};

/// Most metrics of one PutMetricData.
const DATA_MAX: usize = 1_000;
/// Most values of one metric.
const VALUES_MAX: usize = 150;
/// Largest magnitude of a value.
const VALUE_MAX: f64 = 2.348_542_582_773_833_3e108; // 2^360
/// Oldest time stamp of PutMetricData.
const AGE_MAX_MS: i64 = 14 * 24 * HOUR_MS;
/// How far ahead a time stamp may be.
const AHEAD_MAX_MS: i64 = 2 * HOUR_MS;
/// Most data points GetMetricStatistics gives.
const DATAPOINTS_MAX: i64 = 1_440;
/// Most metrics of one page of ListMetrics.
const PAGE_MAX: usize = 500;
/// Most series ListMetrics looks at.
const SERIES_MAX: usize = 100_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutMetricDataRequest {
    namespace: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    metric_data: Vec<MetricDatum>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricDatum {
    metric_name: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    dimensions: Vec<Dimension>,
    timestamp: Option<Time>,
    value: Option<f64>,
    statistic_values: Option<StatisticSet>,
    #[serde(default, deserialize_with = "super::nullable")]
    values: Vec<f64>,
    #[serde(default, deserialize_with = "super::nullable")]
    counts: Vec<f64>,
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

pub(super) async fn put_metric_data(cx: Cx, request: PutMetricDataRequest) -> Result<(), ApiError> {
    let namespace = request.namespace.ok_or_else(|| missing("Namespace"))?;
    if request.metric_data.is_empty() {
        return Err(missing("MetricData"));
    }
    if request.metric_data.len() > DATA_MAX {
        let count = request.metric_data.len();
        return Err(validation(format!("MetricData: {count} metrics are more than the limit of {DATA_MAX}")));
    }
    let data = request
        .metric_data
        .into_iter()
        .enumerate()
        .map(|(index, datum)| read_datum(&cx, &namespace, &datum, index + 1))
        .collect::<Result<Vec<_>, _>>()?;
    let mut change = Write::new();
    alarms::push_data(&mut change, cx.now, data);
    let pushed = tokio::task::block_in_place(|| cx.app.records.store().commit(change, Durability::Disk));
    let pushed = pushed.map_err(|error| stored(Service::CloudWatch, &error.into()))?;
    if let Some(position) = pushed.last() {
        cx.judged(*position).await;
    }
    Ok(())
}

fn read_datum(cx: &Cx, namespace: &str, datum: &MetricDatum, number: usize) -> Result<Datum, ApiError> {
    let field = |name: &str| format!("MetricData.member.{number}.{name}");
    let name = datum.metric_name.clone().ok_or_else(|| missing(&field("MetricName")))?;
    let series = series(cx, namespace, &name, datum.dimensions.clone());
    series.check().map_err(|error| invalid_value(error.to_string()))?;
    let at = datum.timestamp.as_ref().map_or(cx.now, |at| Timestamp::from_millis(at.0));
    let age = cx.now.since(at);
    if !(-AHEAD_MAX_MS..=AGE_MAX_MS).contains(&age) {
        let text = format!(
            "The value {at} for parameter {} is outside two weeks past to two hours ahead.",
            field("Timestamp")
        );
        return Err(invalid_value(text));
    }
    if let Some(unit) = &datum.unit
        && !UNITS.contains(&unit.as_str())
    {
        return Err(invalid_value(format!(
            "The value {unit} for parameter {} is not a unit.",
            field("Unit")
        )));
    }
    Ok(Datum {
        series,
        second: at.second(),
        unit: datum.unit.clone().filter(|unit| unit != "None"),
        aggregate: read_values(datum, &field)?,
        evidence: Evidence::default(),
    })
}

fn read_values(datum: &MetricDatum, field: &dyn Fn(&str) -> String) -> Result<Aggregate, ApiError> {
    let sound = |value: f64| value.is_finite() && value.abs() <= VALUE_MAX;
    let wrong = |name: &str| {
        invalid_value(format!("The value for parameter {} is not a number within ±2^360.", field(name)))
    };
    match (datum.value, &datum.statistic_values, datum.values.is_empty()) {
        (Some(value), None, true) if sound(value) => Ok(Aggregate::one(value)),
        (Some(_), None, true) => Err(wrong("Value")),
        (None, Some(set), true) => {
            let all = [set.sample_count, set.sum, set.minimum, set.maximum];
            let sums = Aggregate::statistic_set(set.sample_count, set.sum, set.minimum, set.maximum);
            sums.filter(|_| all.into_iter().all(sound)).ok_or_else(|| wrong("StatisticValues"))
        }
        (None, None, false) => {
            if datum.values.len() > VALUES_MAX
                || !datum.counts.is_empty() && datum.counts.len() != datum.values.len()
            {
                let text =
                    format!("{} takes at most {VALUES_MAX} values and as many Counts.", field("Values"));
                return Err(validation(text));
            }
            let mut counts = datum.counts.iter().copied().chain(std::iter::repeat(1.0));
            let mut all = Aggregate::default();
            for value in &datum.values {
                let count = counts.next().unwrap_or(1.0);
                if !sound(*value) || !sound(count) || count < 0.0 {
                    return Err(wrong("Values"));
                }
                all.add(*value, count);
            }
            Ok(all)
        }
        (None, None, true) => Err(missing(&field("Value"))),
        _ => {
            let text = format!("{} take one of Value, Values and StatisticValues.", field(""));
            Err(ApiError::sender("InvalidParameterCombination", text))
        }
    }
}

fn invalid_value(text: String) -> ApiError {
    ApiError::sender("InvalidParameterValue", text)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricStatisticsRequest {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    dimensions: Vec<Dimension>,
    start_time: Option<Time>,
    end_time: Option<Time>,
    period: Option<i64>,
    #[serde(default, deserialize_with = "super::nullable")]
    statistics: Vec<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    extended_statistics: Vec<String>,
    unit: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricStatisticsResponse {
    label: String,
    datapoints: Vec<Datapoint>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Datapoint {
    timestamp: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_count: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<f64>,
    unit: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extended_statistics: BTreeMap<String, f64>,
}

pub(super) async fn get_metric_statistics(
    cx: Cx,
    request: GetMetricStatisticsRequest,
) -> Result<GetMetricStatisticsResponse, ApiError> {
    let name = request.metric_name.ok_or_else(|| missing("MetricName"))?;
    let namespace = request.namespace.ok_or_else(|| missing("Namespace"))?;
    let start = request.start_time.ok_or_else(|| missing("StartTime"))?.0;
    let end = request.end_time.ok_or_else(|| missing("EndTime"))?.0;
    let period = request.period.ok_or_else(|| missing("Period"))?;
    check_range(start, end, period)?;
    let statistics = read_statistics(&request.statistics, &request.extended_statistics)?;
    let unit = request.unit.filter(|unit| unit != "None");
    let wanted = series(&cx, &namespace, &name, request.dimensions);
    let from = first_period(start, period, cx.now);
    let end = end.div_euclid(1_000) + i64::from(end % 1_000 > 0);
    let mut periods: BTreeMap<(i64, Option<String>), Aggregate> = BTreeMap::new();
    let each = |point: &Point| {
        let Datum { second, unit: own, aggregate, .. } = &point.datum;
        let slot = from + (second - from).div_euclid(period) * period;
        if (unit.is_none() || *own == unit) && is_answered(point, slot, period, cx.now) {
            periods.entry((slot, own.clone())).or_default().merge(aggregate);
        }
    };
    let kept_from = from.max(history::answered_from(period, cx.now));
    points::read_each(&cx.app.records, &wanted, kept_from, end, each)
        .map_err(|failure| stored(Service::CloudWatch, &failure))?;
    let datapoints = periods
        .into_iter()
        .map(|((slot, unit), aggregate)| datapoint(slot, unit, &aggregate, &statistics))
        .collect();
    Ok(GetMetricStatisticsResponse { label: name, datapoints })
}

/// Where the first period begins: periods are counted from the start, rounded down by its age (or to a whole period where
/// that is shorter than a minute), so that a day may begin at any hour.
pub(super) fn first_period(start_ms: i64, period: i64, now: Timestamp) -> i64 {
    let start = Timestamp::from_millis(start_ms);
    let grain = if period < 60 { period } else { history::start_grain_s(start, now) };
    history::bucket_start(start.second(), grain)
}

/// Whether a point counts in the period of `period` seconds from `slot` on: the period is not finer than what is kept of
/// its time, and the point lies in it wholly.
pub(super) fn is_answered(point: &Point, slot: i64, period: i64, now: Timestamp) -> bool {
    history::answers(slot, period, now) && point.lies_in(slot, period)
}

fn check_range(start: i64, end: i64, period: i64) -> Result<(), ApiError> {
    if start >= end {
        let text = "The parameter StartTime must be less than the parameter EndTime.";
        return Err(ApiError::sender("InvalidParameterCombination", text));
    }
    if !matches!(period, 1 | 5 | 10 | 20 | 30) && (period < 60 || period % 60 != 0) {
        let text =
            format!("The parameter Period is {period}; it must be 1, 5, 10, 20, 30 or a multiple of 60.");
        return Err(invalid_value(text));
    }
    let asked = (end - start) / 1_000 / period;
    if asked > DATAPOINTS_MAX {
        let text = format!(
            "You have requested up to {asked} datapoints, which exceeds the limit of {DATAPOINTS_MAX}. You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        );
        return Err(ApiError::sender("InvalidParameterCombination", text));
    }
    Ok(())
}

fn read_statistics(simple: &[String], extended: &[String]) -> Result<Vec<(String, Statistic)>, ApiError> {
    if simple.is_empty() && extended.is_empty() {
        let text = "At least one of the parameters Statistics and ExtendedStatistics must be specified.";
        return Err(ApiError::sender("InvalidParameterCombination", text));
    }
    let read = |name: &String| {
        let statistic = Statistic::parse(name);
        let wrong =
            || invalid_value(format!("The value {name} for parameter Statistics is not a statistic."));
        statistic.map(|statistic| (name.clone(), statistic)).ok_or_else(wrong)
    };
    simple.iter().chain(extended).map(read).collect()
}

fn datapoint(
    slot: i64,
    unit: Option<String>,
    aggregate: &Aggregate,
    statistics: &[(String, Statistic)],
) -> Datapoint {
    let mut point = Datapoint {
        timestamp: time(Timestamp::from_seconds(slot)),
        sample_count: None,
        average: None,
        sum: None,
        minimum: None,
        maximum: None,
        unit: unit.unwrap_or_else(|| "None".to_owned()),
        extended_statistics: BTreeMap::new(),
    };
    for (name, statistic) in statistics {
        let value = statistic.value(aggregate);
        match name.as_str() {
            "SampleCount" => point.sample_count = value,
            "Average" => point.average = value,
            "Sum" => point.sum = value,
            "Minimum" => point.minimum = value,
            "Maximum" => point.maximum = value,
            _ => point.extended_statistics.extend(value.map(|value| (name.clone(), value))),
        }
    }
    point
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMetricsRequest {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    dimensions: Vec<Dimension>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMetricsResponse {
    metrics: Vec<Metric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    namespace: String,
    metric_name: String,
    dimensions: Vec<Dimension>,
}

pub(super) async fn list_metrics(
    cx: Cx,
    request: ListMetricsRequest,
) -> Result<ListMetricsResponse, ApiError> {
    let found = points::list_series(&**cx.app.records.store(), &cx.region, SERIES_MAX);
    let found: BTreeSet<Series> =
        found.map_err(|failure| stored(Service::CloudWatch, &failure))?.into_iter().collect();
    let has = |series: &Series, wanted: &Dimension| {
        let fits = |(name, value): &(String, String)| {
            *name == wanted.name && wanted.value.as_ref().is_none_or(|wanted| wanted == value)
        };
        series.dimensions.iter().any(fits)
    };
    let fits = |series: &Series| {
        request.namespace.as_ref().is_none_or(|namespace| *namespace == series.namespace)
            && request.metric_name.as_ref().is_none_or(|name| *name == series.name)
            && request.dimensions.iter().all(|wanted| has(series, wanted))
    };
    let numbered =
        found.into_iter().filter(fits).enumerate().map(|(n, series)| (format!("{n:09}"), series)).collect();
    let bounds =
        Page { limit: None, token: request.next_token, default: PAGE_MAX, max: PAGE_MAX, descending: false };
    let (shown, next_token) = page(numbered, &bounds, |(number, _)| number).map_err(invalid_token)?;
    let metric = |(_, series): (String, Series)| Metric {
        dimensions: dimensions(&series),
        namespace: series.namespace,
        metric_name: series.name,
    };
    Ok(ListMetricsResponse { metrics: shown.into_iter().map(metric).collect(), next_token })
}
