/*!
What a model learns: the value of a metric or of an expression in one period.

A column is one metric that is read, in a statistic. Whoever asks for a value says what the columns hold, be it windows
of what came lately or points that were stored. Expressions are worked out by `crate::math`. Knows no models.
*/

use super::detector::Watched;
use super::models::ModelKey;
use crate::math::{self, Grid, Inputs, Labelled, MetricQuery, MetricStat, Outcome, Queries, Timeline};
use crate::metric::Datum;
use crate::statistic::Statistic;

/// Periods before the one asked for that an expression sees: RATE and DIFF look back.
pub(super) const PERIODS_BEFORE: i64 = 1;

/// How the value of a period is made.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    /// What is read; one of a metric.
    pub(super) columns: Vec<Column>,
    /// The expression over the columns; `None` where the only one is what is learned.
    expression: Option<Box<Queries>>,
}

/// One metric that is read.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// The metric.
    pub(super) stat: MetricStat,
    /// Its statistic, read.
    pub(super) statistic: Option<Statistic>,
}

impl Formula {
    /// The formula of a model. Entries that cannot be read come to nothing; they do not pass the checks of a detector.
    pub(super) fn of(key: &ModelKey) -> Self {
        match &key.watched {
            Watched::Metric { series, statistic } => {
                let stat = MetricStat {
                    series: series.clone(),
                    period_s: key.period_s,
                    statistic: statistic.clone(),
                    unit: key.unit.clone(),
                };
                Self { columns: vec![Column::of(&stat)], expression: None }
            }
            Watched::Expression(entries) => match Queries::read(entries) {
                Ok(queries) => {
                    let columns = entries.iter().filter_map(MetricQuery::stat).map(Column::of).collect();
                    Self { columns, expression: Some(Box::new(queries)) }
                }
                Err(_) => Self { columns: Vec::new(), expression: None },
            },
        }
    }

    /// Whether it is an expression: these have values in periods without data, too, and see the period before.
    pub(super) const fn is_expression(&self) -> bool {
        self.expression.is_some()
    }

    /// Seconds before a period that its value depends on.
    pub(super) const fn before_s(&self, period_s: i64) -> i64 {
        if self.is_expression() { period_s.saturating_mul(PERIODS_BEFORE) } else { 0 }
    }

    /// The value of the period of `period_s` seconds from `start` on. `read` gives the value of a column, by its place,
    /// in the period from a second on.
    pub(super) fn value(
        &self,
        start: i64,
        period_s: i64,
        read: &dyn Fn(usize, i64) -> Option<f64>,
    ) -> Option<f64> {
        let Some(queries) = &self.expression else {
            return if self.columns.is_empty() { None } else { read(0, start) };
        };
        let grid = Grid {
            start: start.saturating_sub(period_s.saturating_mul(PERIODS_BEFORE)),
            period_s,
            points: usize::try_from(PERIODS_BEFORE).unwrap_or(0) + 1,
        };
        // What cannot be worked out is no value, as missing data is.
        let returned = queries.evaluate_returned(&Periods { columns: &self.columns, grid, read }).ok()?;
        returned.into_iter().find_map(|(_, outcome)| match outcome {
            Outcome::Series(lines) => lines.into_iter().next()?.timeline.values.last().copied()?,
            Outcome::Scalar(_) | Outcome::Band(_) => None,
        })
    }
}

impl Column {
    fn of(stat: &MetricStat) -> Self {
        Self { stat: stat.clone(), statistic: Statistic::parse(&stat.statistic) }
    }

    /// Whether a datum is of the metric.
    pub(super) fn sees(&self, datum: &Datum) -> bool {
        let wanted = self.stat.unit.as_deref();
        self.stat.series == datum.series
            && wanted.is_none_or(|wanted| wanted == datum.unit.as_deref().unwrap_or("None"))
    }
}

/// Some periods of the columns as what entries read.
struct Periods<'a> {
    columns: &'a [Column],
    grid: Grid,
    read: &'a dyn Fn(usize, i64) -> Option<f64>,
}

impl Inputs for Periods<'_> {
    fn grid(&self) -> Grid {
        self.grid
    }

    fn timelines(&self, id: &str, entry: &MetricQuery) -> Vec<Labelled> {
        let Some(stat) = entry.stat() else { return Vec::new() };
        let Some(place) = self.columns.iter().position(|column| column.stat == *stat) else {
            return Vec::new();
        };
        let Grid { start, period_s, points } = self.grid;
        let starts = (0..).map(|i: i64| start.saturating_add(period_s.saturating_mul(i)));
        let values = starts.take(points).map(|start| (self.read)(place, start)).collect();
        vec![Labelled { label: id.to_owned(), timeline: Timeline { start, period_s, values } }]
    }

    fn band(&self, _: &[MetricQuery], _: f64, _: &Timeline) -> Option<math::Band> {
        None // a formula holds no bands
    }
}
