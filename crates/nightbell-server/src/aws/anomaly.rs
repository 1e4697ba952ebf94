/*!
PutAnomalyDetector and what goes with it ("Amazon CloudWatch API Reference"): which metrics and expressions are learned.
*/

use nightbell_core::anomaly::models::ModelKey;
use nightbell_core::anomaly::{AnomalyDetector, ExcludedRange, Model, Training, Watched};
use nightbell_core::math::{Purpose, Queries};
use nightbell_core::metric::Series;
use nightbell_core::time::Timestamp;
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::cloudwatch::{Dimension, dimensions, invalid_token, missing, no, series, time, validation};
use super::error::{ApiError, stored};
use super::page::{Page, page};
use super::queries::{self, ALARM_ENTRIES_MAX, MetricDataQuery};
use super::service::Service;
use crate::manage::detectors;

/// Detectors of one page.
const PAGE_MAX: usize = 100;
/// The types of AnomalyDetectorTypes; without any, the first is asked for.
const DETECTOR_TYPES: [&str; 2] = [SINGLE_METRIC, METRIC_MATH];
const SINGLE_METRIC: &str = "SINGLE_METRIC";
const METRIC_MATH: &str = "METRIC_MATH";

/// What a detector watches, in either way that the API writes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NamedDetectorRequest {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    dimensions: Vec<Dimension>,
    stat: Option<String>,
    single_metric_anomaly_detector: Option<SingleMetric>,
    metric_math_anomaly_detector: Option<MetricMath>,
    configuration: Option<Configuration>,
    metric_characteristics: Option<Characteristics>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SingleMetric {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    dimensions: Vec<Dimension>,
    stat: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetricMath {
    #[serde(default, deserialize_with = "super::nullable")]
    metric_data_queries: Vec<MetricDataQuery>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    #[serde(default, deserialize_with = "super::nullable")]
    excluded_time_ranges: Vec<Range>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metric_timezone: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Range {
    start_time: Time,
    end_time: Time,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Characteristics {
    periodic_spikes: Option<bool>,
}

/// PutAnomalyDetector and DeleteAnomalyDetector answer with nothing.
#[derive(Serialize)]
pub(super) struct Nothing {}

pub(super) async fn put_anomaly_detector(cx: Cx, request: NamedDetectorRequest) -> Result<Nothing, ApiError> {
    let watched = read_watched(&cx, &request)?;
    let configuration = request.configuration.unwrap_or_default();
    let range = |range: Range| ExcludedRange {
        start: Timestamp::from_millis(range.start_time.0),
        end: Timestamp::from_millis(range.end_time.0),
    };
    let detector = AnomalyDetector {
        watched,
        excluded: configuration.excluded_time_ranges.into_iter().map(range).collect(),
        timezone: configuration.metric_timezone.filter(|zone| !zone.is_empty()),
        periodic_spikes: request.metric_characteristics.and_then(|it| it.periodic_spikes).unwrap_or(false),
    };
    let position = detectors::put(&cx.app.records, detector, cx.now).map_err(no)?;
    cx.judged(position).await;
    Ok(Nothing {})
}

pub(super) async fn delete_anomaly_detector(
    cx: Cx,
    request: NamedDetectorRequest,
) -> Result<Nothing, ApiError> {
    let watched = read_watched(&cx, &request)?;
    let position = detectors::remove(&cx.app.records, watched, cx.now).map_err(no)?;
    cx.judged(position).await;
    Ok(Nothing {})
}

fn read_watched(cx: &Cx, request: &NamedDetectorRequest) -> Result<Watched, ApiError> {
    let named = request.metric_name.is_some() || request.namespace.is_some() || request.stat.is_some();
    let alone = |field: &str| {
        let text = format!("{field} goes without other members that name what is watched.");
        Err(ApiError::sender("InvalidParameterCombination", text))
    };
    match (&request.single_metric_anomaly_detector, &request.metric_math_anomaly_detector) {
        (None, Some(_)) if named => alone("MetricMathAnomalyDetector"),
        (Some(_), Some(_)) => alone("MetricMathAnomalyDetector"),
        (Some(_), None) if named => alone("SingleMetricAnomalyDetector"),
        (None, Some(math)) => read_expression(cx, &math.metric_data_queries),
        (Some(single), None) => read_metric(cx, single.clone()),
        (None, None) => read_metric(
            cx,
            SingleMetric {
                account_id: None,
                namespace: request.namespace.clone(),
                metric_name: request.metric_name.clone(),
                dimensions: request.dimensions.clone(),
                stat: request.stat.clone(),
            },
        ),
    }
}

fn read_metric(cx: &Cx, single: SingleMetric) -> Result<Watched, ApiError> {
    if let Some(other) = single.account_id.as_ref().filter(|id| **id != cx.app.account) {
        return Err(validation(format!("AccountId: metrics of the account {other:?} are not served")));
    }
    let namespace = single.namespace.ok_or_else(|| missing("Namespace"))?;
    let name = single.metric_name.ok_or_else(|| missing("MetricName"))?;
    let statistic = single.stat.ok_or_else(|| missing("Stat"))?;
    Ok(Watched::Metric { series: series(cx, &namespace, &name, single.dimensions), statistic })
}

/// The entry that returns data, and what it needs: the same expression is the same detector, whatever stands beside it.
fn read_expression(cx: &Cx, entries: &[MetricDataQuery]) -> Result<Watched, ApiError> {
    let field = "MetricDataQueries";
    if entries.len() > ALARM_ENTRIES_MAX {
        let count = entries.len();
        return Err(validation(format!(
            "{field}: {count} entries are more than the limit of {ALARM_ENTRIES_MAX}"
        )));
    }
    let read = queries::read_entries(cx, field, entries)?;
    let checked = Queries::check(&read, Purpose::Alarm).map_err(|error| queries::refused(&error))?;
    let returned = read.iter().find(|entry| entry.return_data);
    let formula = returned.and_then(|entry| checked.formula(&entry.id));
    Ok(Watched::Expression(formula.unwrap_or_default()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAnomalyDetectorsRequest {
    namespace: Option<String>,
    metric_name: Option<String>,
    dimensions: Option<Vec<Dimension>>,
    anomaly_detector_types: Option<Vec<String>>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAnomalyDetectorsResponse {
    anomaly_detectors: Vec<Detector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Detector {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<Vec<Dimension>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stat: Option<String>,
    configuration: Configuration,
    state_value: &'static str,
    metric_characteristics: Characteristics,
    #[serde(skip_serializing_if = "Option::is_none")]
    single_metric_anomaly_detector: Option<SingleMetric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_math_anomaly_detector: Option<MetricMath>,
}

pub(super) async fn describe_anomaly_detectors(
    cx: Cx,
    request: DescribeAnomalyDetectorsRequest,
) -> Result<DescribeAnomalyDetectorsResponse, ApiError> {
    let kinds = request.anomaly_detector_types.unwrap_or_default();
    if let Some(other) = kinds.iter().find(|kind| !DETECTOR_TYPES.contains(&kind.as_str())) {
        return Err(validation(format!(
            "1 validation error detected: Value '{other}' at 'anomalyDetectorTypes' failed to satisfy constraint: Member must satisfy enum value set: {DETECTOR_TYPES:?}"
        )));
    }
    let mut found = detectors::list(&cx.app.records, &cx.region).map_err(|failure| lost(&failure))?;
    let wanted = request.dimensions.map(|dimensions| series(&cx, "", "", dimensions).dimensions);
    // An expression is found by each of its metrics.
    let fits = |series: &Series| {
        request.namespace.as_ref().is_none_or(|namespace| *namespace == series.namespace)
            && request.metric_name.as_ref().is_none_or(|name| *name == series.name)
            && wanted.as_ref().is_none_or(|dimensions| *dimensions == series.dimensions)
    };
    found.retain(|(_, detector)| {
        let kind = match &detector.watched {
            Watched::Metric { .. } => SINGLE_METRIC,
            Watched::Expression(_) => METRIC_MATH,
        };
        let asked = if kinds.is_empty() { kind == SINGLE_METRIC } else { kinds.iter().any(|it| it == kind) };
        asked && detector.watched.series().any(fits)
    });
    let bounds = Page {
        limit: request.max_results,
        token: request.next_token,
        default: PAGE_MAX,
        max: PAGE_MAX,
        descending: false,
    };
    let (shown, next_token) = page(found, &bounds, |(key, _)| key).map_err(invalid_token)?;
    let mut anomaly_detectors = Vec::with_capacity(shown.len());
    for (_, detector) in shown {
        let key = ModelKey::of_detector(&detector.watched);
        let model = detectors::saved_model(&**cx.app.records.store(), &key).map_err(|it| lost(&it))?;
        anomaly_detectors.push(describe(detector, model.as_ref(), cx.now));
    }
    Ok(DescribeAnomalyDetectorsResponse { anomaly_detectors, next_token })
}

fn lost(failure: &crate::catalog::Failure) -> ApiError {
    stored(Service::CloudWatch, failure)
}

fn describe(detector: AnomalyDetector, model: Option<&Model>, now: Timestamp) -> Detector {
    let state = model.map_or(Training::Pending, |model| model.state(now));
    let range = |range: ExcludedRange| Range { start_time: time(range.start), end_time: time(range.end) };
    let (single, math) = match detector.watched {
        Watched::Metric { series, statistic } => {
            let single = SingleMetric {
                account_id: None,
                namespace: Some(series.namespace.clone()),
                metric_name: Some(series.name.clone()),
                dimensions: dimensions(&series),
                stat: Some(statistic),
            };
            (Some(single), None)
        }
        Watched::Expression(entries) => {
            let metric_data_queries = entries.iter().map(queries::write_entry).collect();
            (None, Some(MetricMath { metric_data_queries }))
        }
    };
    Detector {
        namespace: single.as_ref().and_then(|single| single.namespace.clone()),
        metric_name: single.as_ref().and_then(|single| single.metric_name.clone()),
        dimensions: single.as_ref().map(|single| single.dimensions.clone()),
        stat: single.as_ref().and_then(|single| single.stat.clone()),
        configuration: Configuration {
            excluded_time_ranges: detector.excluded.into_iter().map(range).collect(),
            metric_timezone: detector.timezone,
        },
        state_value: state.name(),
        metric_characteristics: Characteristics { periodic_spikes: Some(detector.periodic_spikes) },
        single_metric_anomaly_detector: single,
        metric_math_anomaly_detector: math,
    }
}
