/*!
A query at work: rows come in, in any order; results, also partial ones, come out at any time.

Memory is bounded by [`Limits`] and the query's limit, whatever comes in. Parts of one scan may run apart and be merged:
the result is the same to the last character, as long as no limit is met on the way.
*/

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::evaluate::Environment;
use super::groups::Groups;
use super::plan::{Fold, Plan};
use super::rows::{Directed, Rows, dedup_key};
use super::value::Val;
use super::{GROUPS_MAX, HELD_BYTES_MAX, Query, ROWS_MAX};
use crate::fields::Subject;
use crate::time::Timestamp;

/// An event as a query sees it.
pub struct Row<'r, 'm> {
    /// `@timestamp`: when it happened.
    pub time: Timestamp,
    /// `@ingestionTime`: when it arrived.
    pub arrival: Timestamp,
    /// `@logStream`.
    pub stream: &'r str,
    /// `@log`: `account:group`.
    pub group: &'r str,
    /// `@ptr`: what finds it again; two rows with equal pointers and times are one. Written out only when it is needed.
    pub ptr: &'r dyn fmt::Display,
    /// The message and its fields.
    pub subject: &'r Subject<'m>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// It got through the filters.
    Matched,
    /// A filter held it back.
    Filtered,
}

/// What a run may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups of `stats`.
    pub groups_max: usize,
    /// Bytes of rows or groups, counted generously.
    pub held_bytes_max: usize,
    /// Rows of the result, beside the query's own `limit`.
    pub rows_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { groups_max: GROUPS_MAX, held_bytes_max: HELD_BYTES_MAX, rows_max: ROWS_MAX }
    }
}

impl Limits {
    /// Rows that a run of the plan shows.
    fn rows(self, plan: &Plan) -> usize {
        self.rows_max.min(plan.limit)
    }

    fn check_bytes(self, bytes: usize) -> Result<(), RunError> {
        if bytes > self.held_bytes_max { Err(RunError::Bytes(self.held_bytes_max)) } else { Ok(()) }
    }
}

/// Which limit a run met. What it held before can still be shown, but it is not the whole result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// More groups than this.
    #[error("the query has more than {0} groups; filter more or group by less")]
    Groups(usize),
    /// More bytes than this.
    #[error(
        "the query's rows and groups take more than {0} bytes; show less, filter more or lower the limit"
    )]
    Bytes(usize),
    /// Runs of two queries cannot be merged.
    #[error("the two runs are of different queries")]
    Different,
}

/// What was read so far ("QueryStatistics", CloudWatch Logs API Reference).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Rows that got through the filters before the first `stats`.
    pub records_matched: u64,
    /// Rows that were fed.
    pub records_scanned: u64,
    /// Bytes of their messages.
    pub bytes_scanned: u64,
}

/// A query at work.
#[derive(Clone, Debug)]
pub struct Run {
    plan: Arc<Plan>,
    now_s: i64,
    limits: Limits,
    statistics: Statistics,
    held: Held,
}

#[derive(Clone, Debug)]
enum Held {
    Rows(Rows),
    Groups(Groups),
}

impl Run {
    /// A run that has seen nothing; `now` is when the query started, also for every part of it that is merged.
    pub fn new(query: &Query, now: Timestamp, limits: Limits) -> Self {
        let held =
            if query.is_grouped() { Held::Groups(Groups::default()) } else { Held::Rows(Rows::default()) };
        let plan = Arc::clone(&query.plan);
        Self { plan, now_s: now.second(), limits, statistics: Statistics::default(), held }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// The limit that it goes past.
    pub fn feed(&mut self, row: &Row<'_, '_>) -> Result<Feed, RunError> {
        self.feed_many(row, 1)
    }

    /// Takes a row that stands for `count` rows which the query cannot tell apart ([`Query::alike`]).
    ///
    /// # Errors
    /// The limit that it goes past.
    pub fn feed_many(&mut self, row: &Row<'_, '_>, count: u64) -> Result<Feed, RunError> {
        self.statistics.records_scanned += count;
        self.statistics.bytes_scanned += row.subject.message.len() as u64 * count;
        let plan = Arc::clone(&self.plan);
        let environment = Environment { row: Some(row), now_s: self.now_s };
        let mut columns = Vec::new();
        if !environment.pass(&plan.scan, &mut columns) {
            return Ok(Feed::Filtered);
        }
        self.statistics.records_matched += count;
        match (&mut self.held, plan.folds.first()) {
            (Held::Groups(groups), Some(fold)) => {
                groups.take(fold, &environment, &columns, count, self.limits)?;
            }
            (Held::Rows(rows), _) => rows.take(&plan, &environment, &columns, self.limits.rows(&plan)),
            (Held::Groups(_), None) => {}
        }
        self.check_bytes()?;
        Ok(Feed::Matched)
    }

    /// Counts rows that were read and that no filter lets through.
    pub fn pass_over(&mut self, count: u64) {
        self.statistics.records_scanned += count;
    }

    /// Takes over what another part of the same query's scan has seen.
    ///
    /// # Errors
    /// The limit that the two together go past, or that they are of two queries.
    pub fn merge(&mut self, other: Self) -> Result<(), RunError> {
        if !Arc::ptr_eq(&self.plan, &other.plan) {
            return Err(RunError::Different);
        }
        self.statistics.records_matched += other.statistics.records_matched;
        self.statistics.records_scanned += other.statistics.records_scanned;
        self.statistics.bytes_scanned += other.statistics.bytes_scanned;
        match (&mut self.held, other.held) {
            (Held::Rows(rows), Held::Rows(more)) => rows.merge(more, self.limits.rows(&self.plan)),
            (Held::Groups(groups), Held::Groups(more)) => groups.merge(more, self.limits)?,
            _ => return Err(RunError::Different),
        }
        self.check_bytes()
    }

    /// The result of what was seen so far: rows of (column, value), without columns that hold nothing.
    ///
    /// # Errors
    /// When what is computed behind a `stats` takes more bytes than the limit.
    pub fn rows(&self) -> Result<Vec<Vec<(String, String)>>, RunError> {
        match &self.held {
            Held::Rows(rows) => Ok(rows.shown(&self.plan)),
            Held::Groups(groups) => self.grouped(groups),
        }
    }

    /// What was read so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Bytes that are held, as the limit counts them.
    pub fn held_bytes(&self) -> usize {
        match &self.held {
            Held::Rows(rows) => rows.bytes,
            Held::Groups(groups) => groups.bytes,
        }
    }

    fn check_bytes(&self) -> Result<(), RunError> {
        self.limits.check_bytes(self.held_bytes())
    }

    fn grouped(&self, groups: &Groups) -> Result<Vec<Vec<(String, String)>>, RunError> {
        let environment = Environment { row: None, now_s: self.now_s };
        let (mut rows, mut keys) = (Vec::new(), 0);
        for (at, fold) in self.plan.folds.iter().enumerate() {
            rows = if at == 0 {
                self.after(fold, &environment, groups.rows())?
            } else {
                let mut again = Groups::default();
                for row in &rows {
                    again.take(fold, &environment, row, 1, self.limits)?;
                    self.limits.check_bytes(again.bytes)?;
                }
                self.after(fold, &environment, again.rows())?
            };
            keys = fold.keys.len();
        }
        Ok(self.ordered(&environment, rows, keys))
    }

    /// What the steps behind a `stats` leave of its groups.
    fn after<'a>(
        &self,
        fold: &'a Fold,
        environment: &Environment<'a, '_>,
        groups: impl Iterator<Item = Vec<Val<'static>>>,
    ) -> Result<Vec<Vec<Val<'a>>>, RunError> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for group in groups {
            let mut row: Vec<Val<'a>> = group;
            if environment.pass(&fold.then, &mut row) {
                bytes += row.iter().map(Val::bytes).sum::<usize>();
                self.limits.check_bytes(bytes)?;
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// Puts groups into order, keeps what `dedup` and `limit` keep, and shows it. Without `sort`, and where it leaves
    /// groups equal, they stand by their keys (*assumed*).
    fn ordered<'a>(
        &'a self,
        environment: &Environment<'a, '_>,
        rows: Vec<Vec<Val<'a>>>,
        keys: usize,
    ) -> Vec<Vec<(String, String)>> {
        let mut placed: Vec<(Vec<Directed>, Vec<Val<'a>>)> = rows
            .into_iter()
            .map(|row| {
                let sort = self
                    .plan
                    .sort
                    .iter()
                    .map(|(key, down)| Directed::new(&environment.value(key, &row), *down));
                let by_keys = row.iter().take(keys).map(|value| Directed::new(value, false));
                (sort.chain(by_keys).collect(), row)
            })
            .collect();
        placed.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut seen = BTreeSet::new();
        let mut is_new = |row: &[Val<'a>]| {
            let fields = self.plan.dedup.iter();
            let key = dedup_key(fields.map(|field| environment.value(field, row)));
            self.plan.dedup.is_empty() || key.is_none_or(|key| seen.insert(key))
        };
        let kept = placed.into_iter().filter(|(_, row)| is_new(row)).take(self.limits.rows(&self.plan));
        let shown = |row: Vec<Val<'a>>| {
            let columns = self.plan.shown.iter();
            let shown = columns.filter_map(|(name, expr)| {
                Some((name.clone(), environment.value(expr, &row).shown()?.into_owned()))
            });
            shown.collect()
        };
        kept.map(|(_, row)| shown(row)).collect()
    }
}
