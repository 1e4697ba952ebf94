/*!
GetMetricData ("Amazon CloudWatch API Reference"): metrics, expressions, queries and bands over a time range.

Entries are worked out by `nightbell_core::math`, those of one period together; points are read from the store series by
series. What was worked out is cut into pages of `MaxDatapoints`; a page's token counts the points before it.
*/

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use nightbell_core::anomaly::models::{self, ModelKey};
use nightbell_core::anomaly::{AnomalyDetector, Model};
use nightbell_core::history;
use nightbell_core::insights::{Direction, GROUPS_MAX, Query};
use nightbell_core::math::{
    Band, EVALUATION_POINTS_MAX, Grid, Inputs, Labelled, MetricQuery, MetricStat, Outcome, Purpose, Queries,
    Timeline,
};
use nightbell_core::metric::{Aggregate, Series};
use nightbell_core::statistic::Statistic;
use nightbell_core::time::{DAY_MS, SECOND_MS, Timestamp};
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::cloudwatch::{missing, validation};
use super::error::{ApiError, stored};
use super::metrics::{first_period, is_answered};
use super::queries::{self, MetricDataQuery};
use super::service::Service;
use crate::catalog::Failure;
use crate::manage::detectors;
use crate::run::points::{self, Point};

/// Data points of one answer, and how many when nothing is asked.
pub(super) const DATAPOINTS_MAX: usize = 100_800;
/// Different periods in one request.
pub(super) const PERIODS_MAX: usize = 10;
/// Series that one SELECT looks at.
pub(super) const SELECT_SERIES_MAX: usize = 10_000;
/// Bands in one request that have no saved model, and for which one is learned from stored points.
pub(super) const BANDS_LEARNED_MAX: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricDataRequest {
    #[serde(default, deserialize_with = "super::nullable")]
    metric_data_queries: Vec<MetricDataQuery>,
    start_time: Option<Time>,
    end_time: Option<Time>,
    next_token: Option<String>,
    scan_by: Option<String>,
    max_datapoints: Option<i64>,
    label_options: Option<serde::de::IgnoredAny>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricDataResponse {
    metric_data_results: Vec<MetricDataResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    messages: Vec<Message>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetricDataResult {
    id: String,
    label: String,
    timestamps: Vec<Time>,
    values: Vec<f64>,
    status_code: &'static str,
    messages: Vec<Message>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    code: &'static str,
    value: String,
}

/// What one entry, or one series of it, comes to.
pub(super) struct Worked {
    /// The entry's id.
    pub(super) id: String,
    /// What the line is called.
    pub(super) label: String,
    /// When periods begin, in seconds, and their values; oldest first.
    pub(super) points: Vec<(i64, f64)>,
}

/// What was asked for, checked.
struct Asked {
    queries: Queries,
    /// Milliseconds.
    start: i64,
    end: i64,
    descending: bool,
    limit: usize,
    /// Points given on the pages before.
    skip: usize,
    messages: Vec<Message>,
}

pub(super) async fn get_metric_data(
    cx: Cx,
    request: GetMetricDataRequest,
) -> Result<GetMetricDataResponse, ApiError> {
    let asked = read(&cx, request)?;
    let Ok(_turn) = cx.app.studies.acquire().await else {
        return Err(stopping());
    };
    let worker = cx.clone();
    let work = tokio::task::spawn_blocking(move || {
        let worked = work_out(&worker, &asked)?;
        Ok(answer(worked, asked))
    });
    work.await.map_err(|_| stopping())?
}

pub(super) fn stopping() -> ApiError {
    ApiError {
        status: 500,
        code: "InternalServiceError",
        message: "The service is not able to read now; try again".into(),
    }
}

impl GetMetricDataRequest {
    /// A request for entries between two instants.
    pub(super) fn between(metric_data_queries: Vec<MetricDataQuery>, start: Time, end: Time) -> Self {
        Self {
            metric_data_queries,
            start_time: Some(start),
            end_time: Some(end),
            next_token: None,
            scan_by: None,
            max_datapoints: None,
            label_options: None,
        }
    }
}

/// All that a request comes to, for whoever has a place among [`App::studies`](crate::app::App::studies) and waits.
pub(super) fn worked(cx: &Cx, request: GetMetricDataRequest) -> Result<Vec<Worked>, ApiError> {
    let asked = read(cx, request)?;
    work_out(cx, &asked)
}

fn read(cx: &Cx, request: GetMetricDataRequest) -> Result<Asked, ApiError> {
    if request.metric_data_queries.is_empty() {
        return Err(missing("MetricDataQueries"));
    }
    let start = request.start_time.ok_or_else(|| missing("StartTime"))?.0;
    let end = request.end_time.ok_or_else(|| missing("EndTime"))?.0;
    if start >= end {
        return Err(validation("The parameter StartTime must be less than the parameter EndTime."));
    }
    let descending = match request.scan_by.as_deref() {
        None | Some("TimestampDescending") => true,
        Some("TimestampAscending") => false,
        Some(other) => {
            return Err(validation(format!(
                "1 validation error detected: Value '{other}' at 'scanBy' failed to satisfy constraint: Member must satisfy enum value set: [TimestampDescending, TimestampAscending]"
            )));
        }
    };
    let limit = request.max_datapoints.map_or(Ok(DATAPOINTS_MAX), |asked| {
        usize::try_from(asked).ok().filter(|n| (1..=DATAPOINTS_MAX).contains(n)).ok_or_else(|| {
            validation(format!("The parameter MaxDatapoints must be between 1 and {DATAPOINTS_MAX}."))
        })
    })?;
    let invalid = || ApiError::sender("InvalidNextToken", "The specified nextToken is invalid.");
    let skip = request.next_token.map_or(Some(0), |token| token.parse().ok()).ok_or_else(invalid)?;
    let entries = queries::read_entries(cx, "MetricDataQueries", &request.metric_data_queries)?;
    let queries = Queries::check(&entries, Purpose::Data).map_err(|error| queries::refused(&error))?;
    let mut messages = Vec::new();
    if request.label_options.is_some() {
        let value = "LabelOptions is not used: labels hold no time that a time zone would change".to_owned();
        messages.push(Message { code: "Ignored", value });
    }
    Ok(Asked { queries, start, end, descending, limit, skip, messages })
}

/// The results of all entries that return data, in the order of the entries.
fn work_out(cx: &Cx, asked: &Asked) -> Result<Vec<Worked>, ApiError> {
    let returned = asked.queries.entries().iter().filter(|entry| entry.return_data);
    let mut by_period: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for entry in returned.clone() {
        let period_s = asked.queries.period_of(&entry.id).ok_or_else(|| {
            validation(format!("MetricDataQueries: the entry {:?} has no Period", entry.id))
        })?;
        by_period.entry(period_s).or_default().insert(entry.id.clone());
    }
    if by_period.len() > PERIODS_MAX {
        return Err(validation(format!(
            "MetricDataQueries: {} different periods are more than the limit of {PERIODS_MAX}",
            by_period.len()
        )));
    }
    let mut found: HashMap<String, Vec<Worked>> = HashMap::new();
    for (period_s, ids) in by_period {
        let mut entries = asked.queries.entries().to_vec();
        entries.iter_mut().for_each(|entry| entry.return_data = ids.contains(&entry.id));
        let queries = Queries::read(&entries).map_err(|error| queries::refused(&error))?;
        let inputs = Stored::new(cx, grid(asked, period_s, cx.now));
        let outcomes = queries.evaluate_returned(&inputs);
        if let Some(refused) = inputs.refused.take() {
            return Err(refused);
        }
        for (entry, outcome) in outcomes.map_err(|error| queries::refused(&error))? {
            found.insert(entry.id.clone(), results(entry, outcome));
        }
    }
    Ok(returned.flat_map(|entry| found.remove(&entry.id).unwrap_or_default()).collect())
}

/// The periods of the range asked for, as GetMetricStatistics counts them; none of those that are older than answers are.
fn grid(asked: &Asked, period_s: i64, now: Timestamp) -> Grid {
    let first = first_period(asked.start, period_s, now);
    let skipped = history::answered_from(period_s, now).saturating_sub(first).div_euclid(period_s).max(0);
    let start = first.saturating_add(skipped.saturating_mul(period_s));
    let end_ms = asked.end.min(now.as_millis().saturating_add(DAY_MS));
    let end = end_ms.div_euclid(SECOND_MS).saturating_add(i64::from(end_ms.rem_euclid(SECOND_MS) > 0));
    let span = end.saturating_sub(start).max(0);
    let points = span.div_euclid(period_s).saturating_add(i64::from(span.rem_euclid(period_s) > 0));
    Grid { start, period_s, points: usize::try_from(points).unwrap_or(0) }
}

fn results(entry: &MetricQuery, outcome: Outcome) -> Vec<Worked> {
    let worked = |label: String, timeline: Timeline| {
        let seconds = (0..).map(|i: i64| timeline.start.saturating_add(timeline.period_s.saturating_mul(i)));
        let points = seconds.zip(&timeline.values).filter_map(|(at, value)| Some((at, (*value)?))).collect();
        Worked { id: entry.id.clone(), label, points }
    };
    match outcome {
        Outcome::Scalar(_) => Vec::new(), // refused when the entries were checked
        Outcome::Series(lines) => lines.into_iter().map(|line| worked(line.label, line.timeline)).collect(),
        Outcome::Band(band) => {
            // How the service tells the two apart is not known; upper before lower is the order of an array.
            let label = entry.label.as_deref().unwrap_or(&entry.id);
            vec![worked(format!("{label} upper"), band.upper), worked(format!("{label} lower"), band.lower)]
        }
    }
}

/// The page of `worked` that was asked for.
fn answer(worked: Vec<Worked>, asked: Asked) -> GetMetricDataResponse {
    let Asked { skip, limit, descending, messages, .. } = asked;
    let total: usize = worked.iter().map(|one| one.points.len()).sum();
    let end = skip.saturating_add(limit).min(total);
    let mut metric_data_results = Vec::new();
    let mut before = 0;
    for Worked { id, label, mut points } in worked {
        let (first, last) = (before, before + points.len());
        before = last;
        let empty_here = points.is_empty() && skip <= first && (first < end || end == total);
        if !empty_here && (last <= skip || first >= end) {
            continue;
        }
        if descending {
            points.reverse();
        }
        let shown = points.get(skip.max(first) - first..end.min(last).max(first) - first).unwrap_or_default();
        metric_data_results.push(MetricDataResult {
            id,
            label,
            timestamps: shown.iter().map(|(at, _)| Time(at.saturating_mul(SECOND_MS))).collect(),
            values: shown.iter().map(|(_, value)| *value).collect(),
            status_code: if last > end { "PartialData" } else { "Complete" },
            messages: Vec::new(),
        });
    }
    let next_token = (end < total).then(|| end.to_string());
    GetMetricDataResponse { metric_data_results, next_token, messages }
}

/// The store as what entries read. The first thing that cannot be done is kept, for an input gives no errors.
struct Stored<'a> {
    cx: &'a Cx,
    grid: Grid,
    refused: Cell<Option<ApiError>>,
    learned: Cell<usize>,
    models: RefCell<HashMap<ModelKey, Option<Model>>>,
}

impl<'a> Stored<'a> {
    fn new(cx: &'a Cx, grid: Grid) -> Self {
        Self { cx, grid, refused: Cell::default(), learned: Cell::new(0), models: RefCell::default() }
    }

    fn refuse(&self, error: ApiError) {
        let first = self.refused.take().unwrap_or(error);
        self.refused.set(Some(first));
    }

    fn or_refuse<T: Default>(&self, done: Result<T, Failure>) -> T {
        done.unwrap_or_else(|failure| {
            self.refuse(stored(Service::CloudWatch, &failure));
            T::default()
        })
    }

    /// The end of the last period.
    fn end(&self) -> i64 {
        let Grid { start, period_s, points } = self.grid;
        start.saturating_add(period_s.saturating_mul(i64::try_from(points).unwrap_or(i64::MAX)))
    }

    fn timeline(&self, values: Vec<Option<f64>>) -> Timeline {
        Timeline { start: self.grid.start, period_s: self.grid.period_s, values }
    }

    /// The statistic of one series, a period at a time: points come in order.
    fn stat(&self, stat: &MetricStat) -> Result<Timeline, Failure> {
        let Some(statistic) = Statistic::parse(&stat.statistic) else {
            return Ok(self.timeline(vec![None; self.grid.points]));
        };
        let mut values = vec![None; self.grid.points];
        let mut open: Option<(usize, Aggregate)> = None;
        let mut close = |open: &mut Option<(usize, Aggregate)>| {
            if let Some((slot, aggregate)) = open.take()
                && let Some(value) = values.get_mut(slot)
            {
                *value = statistic.value(&aggregate);
            }
        };
        let each = |point: &Point| {
            let datum = &point.datum;
            let unit = datum.unit.as_deref().unwrap_or("None");
            let Some(slot) = self.slot(point) else { return };
            if stat.unit.as_deref().is_some_and(|wanted| wanted != unit) {
                return;
            }
            if open.as_ref().is_some_and(|(held, _)| *held != slot) {
                close(&mut open);
            }
            open.get_or_insert_with(|| (slot, Aggregate::default())).1.merge(&datum.aggregate);
        };
        points::read_each(&self.cx.app.records, &stat.series, self.grid.start, self.end(), each)?;
        close(&mut open);
        Ok(self.timeline(values))
    }

    /// The period that a point counts in; `None` where it counts in none.
    fn slot(&self, point: &Point) -> Option<usize> {
        let Grid { start, period_s, points } = self.grid;
        let slot = point.datum.second.saturating_sub(start).div_euclid(period_s);
        let begins = start.saturating_add(slot.saturating_mul(period_s));
        let slot = usize::try_from(slot).ok().filter(|slot| *slot < points)?;
        is_answered(point, begins, period_s, self.cx.now).then_some(slot)
    }

    fn select(&self, entry: &MetricQuery, text: &str) -> Result<Vec<Labelled>, Failure> {
        let query = match Query::parse(text) {
            Ok(query) if query.after.is_none() => query,
            Ok(_) => {
                self.refuse(validation("AFTER is for alarms; GetMetricData takes a query without it"));
                return Ok(Vec::new());
            }
            Err(error) => {
                self.refuse(validation(format!("Error in expression '{}': {error}", entry.id)));
                return Ok(Vec::new());
            }
        };
        let groups = self.groups(&query)?;
        let needed = groups.len().saturating_mul(self.grid.points);
        if needed > EVALUATION_POINTS_MAX {
            self.refuse(validation(format!(
                "The query of '{}' needs {needed} data points, more than the limit of {EVALUATION_POINTS_MAX}",
                entry.id
            )));
            return Ok(Vec::new());
        }
        let mut lines = Vec::with_capacity(groups.len());
        for (group, series) in groups {
            let (values, whole) = self.group(&query, &series)?;
            let named = if group.is_empty() { query.metric.clone() } else { group.join(" ") };
            let label = entry.label.as_ref().map_or_else(|| named.clone(), |own| format!("{own} {named}"));
            lines.push((whole, Labelled { label, timeline: self.timeline(values) }));
        }
        if let Some((_, direction)) = query.order_by {
            lines.sort_by(|(a, _), (b, _)| match (a, b) {
                (Some(a), Some(b)) if direction == Direction::Descending => b.total_cmp(a),
                (Some(a), Some(b)) => a.total_cmp(b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            });
        }
        let limit = query.limit.unwrap_or(GROUPS_MAX) as usize;
        Ok(lines.into_iter().take(limit).map(|(_, line)| line).collect())
    }

    fn groups(&self, query: &Query) -> Result<BTreeMap<Vec<String>, Vec<Series>>, Failure> {
        let store = &**self.cx.app.records.store();
        let found = points::list_metric(store, &self.cx.region, &query.namespace, &query.metric)?;
        let mut groups: BTreeMap<Vec<String>, Vec<Series>> = BTreeMap::new();
        let mut seen = 0;
        for series in found.into_iter().filter(|series| query.admits(series)) {
            seen += 1;
            if seen > SELECT_SERIES_MAX {
                let text = format!("A query looks at {SELECT_SERIES_MAX} metrics at most; narrow its WHERE");
                self.refuse(validation(text));
                return Ok(BTreeMap::new());
            }
            let group = query.group_of(&series).unwrap_or_default();
            let group = group.into_iter().map(str::to_owned).collect();
            groups.entry(group).or_default().push(series);
        }
        Ok(groups)
    }

    /// The values of one group, and what it is put into order by: that of its samples in the whole range.
    fn group(&self, query: &Query, series: &[Series]) -> Result<(Vec<Option<f64>>, Option<f64>), Failure> {
        let read = |name: &str| Statistic::parse(name).unwrap_or(Statistic::SampleCount);
        let statistic = read(query.function.statistic());
        let mut slots = vec![Aggregate::default(); self.grid.points];
        let mut whole = Aggregate::default();
        for series in series {
            let each = |point: &Point| {
                if let Some(slot) = self.slot(point).and_then(|slot| slots.get_mut(slot)) {
                    slot.merge(&point.datum.aggregate);
                    whole.merge(&point.datum.aggregate);
                }
            };
            points::read_each(&self.cx.app.records, series, self.grid.start, self.end(), each)?;
        }
        let order = query.order_by.and_then(|(function, _)| read(function.statistic()).value(&whole));
        Ok((slots.iter().map(|slot| statistic.value(slot)).collect(), order))
    }

    /// The saved model of a metric or an expression, or one learned now from what is stored.
    fn model(&self, key: &ModelKey) -> Result<Option<Model>, Failure> {
        let store = &**self.cx.app.records.store();
        if let Some(model) = detectors::saved_model(store, key)? {
            return Ok(Some(model));
        }
        self.learned.set(self.learned.get() + 1);
        if self.learned.get() > BANDS_LEARNED_MAX {
            let text = format!(
                "MetricDataQueries: more than {BANDS_LEARNED_MAX} bands without an anomaly detector; make detectors"
            );
            self.refuse(validation(text));
            return Ok(None);
        }
        let watched = key.watched();
        let detector = detectors::find(&self.cx.app.records, &watched)?.unwrap_or(AnomalyDetector {
            watched,
            excluded: Vec::new(),
            timezone: None,
            periodic_spikes: false,
        });
        let mut model = Model::new(&detector, key.period_s);
        for (second, value) in points::lesson(&self.cx.app.records, key.clone(), self.cx.now)?.values {
            model.learn(second, value);
        }
        Ok(Some(model))
    }
}

impl Inputs for Stored<'_> {
    fn grid(&self) -> Grid {
        self.grid
    }

    fn timelines(&self, _: &str, entry: &MetricQuery) -> Vec<Labelled> {
        match (entry.stat(), entry.select()) {
            (Some(stat), _) => {
                let label = entry.label.clone().unwrap_or_else(|| stat.series.name.clone());
                let timeline = self.stat(stat).map(|timeline| vec![Labelled { label, timeline }]);
                self.or_refuse(timeline)
            }
            (None, Some(text)) => self.or_refuse(self.select(entry, text)),
            (None, None) => Vec::new(),
        }
    }

    fn band(&self, of: &[MetricQuery], width: f64, grid: &Timeline) -> Option<Band> {
        let period_s = grid.period_s.max(nightbell_core::anomaly::model::PERIOD_MIN_S);
        let key = ModelKey { period_s, ..ModelKey::of_formula(of)? };
        let mut models = self.models.borrow_mut();
        let model = models.entry(key.clone()).or_insert_with(|| self.or_refuse(self.model(&key))).as_ref()?;
        models::band(model, width, grid.grid())
    }
}
