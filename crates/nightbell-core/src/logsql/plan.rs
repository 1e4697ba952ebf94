/*!
What a query does, once every name in it is known: what happens to each event, how rows are folded, what is shown.

Commands become [`Step`]s in their order; names become columns by their place. `sort` and `limit` hold for the result
wherever they stand, so rows may come in any order. What `fields`, `display` and `parse` show follows their pages in
the language's documentation; that columns of `parse` are shown without being listed is *assumed*.
*/

use super::aggregate::Aggregation;
use super::expression::{Expr, System};
use super::extract::Extraction;
use super::lex::{Name, Span};
use super::parse::{self, Command, Item, Placed};
use super::{COLUMNS_MAX, QueryError, ROWS_MAX, STATS_MAX};
use crate::fields::selector::SELECTOR_STEPS_MAX;
use crate::fields::{Selector, Step as SelectorStep};

/// What a query does.
#[derive(Debug)]
pub(super) struct Plan {
    /// What happens to each event.
    pub(super) scan: Vec<Step>,
    /// What happens to the events that are left: at most [`STATS_MAX`].
    pub(super) folds: Vec<Fold>,
    /// Keys of the order, each with whether it goes down.
    pub(super) sort: Vec<(Expr, bool)>,
    /// What is different in each row that is left; empty leaves all.
    pub(super) dedup: Vec<Expr>,
    pub(super) limit: usize,
    /// The columns of the result.
    pub(super) shown: Vec<(String, Expr)>,
}

/// What happens to a row.
#[derive(Debug)]
pub(super) enum Step {
    /// A column is added.
    Let(Expr),
    /// The row goes on only if this holds.
    Filter(Expr),
    /// Columns are added: what is taken out of a text.
    Extract { of: Expr, how: Extraction },
}

/// How rows become groups. A group is a row again: its keys, then its aggregations.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) keys: Vec<Expr>,
    pub(super) aggregations: Vec<Aggregation>,
    /// What happens to each group.
    pub(super) then: Vec<Step>,
}

impl Plan {
    /// Reads a query and resolves its names.
    pub(super) fn read(source: &str) -> Result<Self, QueryError> {
        let mut planner = Planner::new(source);
        for placed in parse::commands(source)? {
            planner.command(placed)?;
        }
        Ok(planner.finish())
    }
}

impl Plan {
    /// Every expression of the query that is worked out.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let steps = self.scan.iter().chain(self.folds.iter().flat_map(|fold| &fold.then));
        let steps = steps.map(|step| match step {
            Step::Let(expr) | Step::Filter(expr) | Step::Extract { of: expr, .. } => expr,
        });
        let folds = self.folds.iter().flat_map(|fold| {
            let arguments = fold.aggregations.iter().filter_map(Aggregation::argument);
            fold.keys.iter().chain(arguments)
        });
        let rows = self.sort.iter().map(|(key, _)| key).chain(&self.dedup);
        steps.chain(folds).chain(rows).chain(self.shown.iter().map(|(_, expr)| expr))
    }
}

/// What names stand for at one place of the query.
struct Scope {
    columns: Vec<Column>,
    /// Whether rows are events; groups have nothing but their columns.
    events: bool,
    /// How many values a row has.
    width: usize,
}

struct Column {
    name: String,
    /// As it was computed by `stats`, so that `sort bin(1h)` finds it.
    written: Option<Expr>,
    place: usize,
}

struct Planner<'s> {
    source: &'s str,
    plan: Plan,
    scope: Scope,
    /// What is shown without `fields` and `display`.
    base: Vec<(String, Expr)>,
    /// What `fields` and `parse` show, and whether there was a `fields`.
    listed: Vec<(String, Expr)>,
    has_fields: bool,
    display: Option<Vec<(String, Expr)>>,
    /// The first command that may not stand before `stats`.
    ordered: Option<Span>,
}

impl<'s> Planner<'s> {
    fn new(source: &'s str) -> Self {
        let base = [("@timestamp", System::Timestamp), ("@message", System::Message)];
        Self {
            source,
            plan: Plan {
                scan: Vec::new(),
                folds: Vec::new(),
                sort: Vec::new(),
                dedup: Vec::new(),
                limit: ROWS_MAX,
                shown: Vec::new(),
            },
            scope: Scope { columns: Vec::new(), events: true, width: 0 },
            base: base.map(|(name, system)| (name.to_owned(), Expr::System(system))).to_vec(),
            listed: Vec::new(),
            has_fields: false,
            display: None,
            ordered: None,
        }
    }

    fn finish(mut self) -> Plan {
        self.plan.shown = match self.display {
            Some(display) => display,
            None if self.has_fields => self.listed,
            None => {
                self.listed.into_iter().for_each(|(name, expr)| show(&mut self.base, name, expr));
                self.base
            }
        };
        self.plan
    }

    fn command(&mut self, Placed { span, command }: Placed) -> Result<(), QueryError> {
        if !self.plan.dedup.is_empty() && !matches!(command, Command::Limit(_)) {
            return Err(self.error(span, "only `limit` may follow `dedup`"));
        }
        match command {
            Command::Fields(items) => {
                let shown = self.items(items)?;
                self.has_fields = true;
                shown.into_iter().for_each(|(name, expr)| show(&mut self.listed, name, expr));
            }
            Command::Display(items) => self.display = Some(self.items(items)?),
            Command::Filter(mut expr) => {
                self.resolve(&mut expr)?;
                self.steps().push(Step::Filter(expr));
            }
            Command::Parse { mut of, how, names } => {
                self.resolve(&mut of)?;
                for (at, name) in names.into_iter().enumerate() {
                    self.scope.define(name.clone(), None, self.scope.width + at);
                    show(&mut self.listed, name, Expr::Column(self.scope.width + at));
                }
                self.widen(how.len(), span)?;
                self.steps().push(Step::Extract { of, how });
            }
            Command::Stats { items, by } => {
                if let Some(span) = self.ordered {
                    return Err(self.error(span, "`sort` and `limit` stand behind the last `stats`"));
                }
                if self.plan.folds.len() == STATS_MAX {
                    return Err(self.error(span, format!("a query has at most {STATS_MAX} `stats`")));
                }
                self.stats(items, by, span)?;
            }
            Command::Sort(mut keys) => {
                self.ordered.get_or_insert(span);
                keys.iter_mut().try_for_each(|(key, _)| self.resolve(key))?;
                // The last `sort` decides, those before it order what it leaves equal.
                self.plan.sort.splice(0..0, keys);
            }
            Command::Dedup(mut fields) => {
                self.ordered.get_or_insert(span);
                fields.iter_mut().try_for_each(|field| self.resolve(field))?;
                self.plan.dedup = fields;
            }
            Command::Limit(rows) => {
                self.ordered.get_or_insert(span);
                self.plan.limit = self.plan.limit.min(rows);
            }
        }
        Ok(())
    }

    /// The columns that items make; those that are computed become steps.
    fn items(&mut self, items: Vec<Item>) -> Result<Vec<(String, Expr)>, QueryError> {
        let mut shown = Vec::new();
        for mut item in items {
            let name = item.name();
            let is_plain = item.alias.is_none() && matches!(item.expr, Expr::Name(_));
            self.resolve(&mut item.expr)?;
            if is_plain {
                show(&mut shown, name, item.expr);
            } else {
                let column = self.compute(name.clone(), None, item.expr, item.span)?;
                show(&mut shown, name, column);
            }
        }
        Ok(shown)
    }

    fn stats(&mut self, mut items: Vec<Item>, by: Vec<Item>, span: Span) -> Result<(), QueryError> {
        let mut scope = Scope { columns: Vec::new(), events: false, width: by.len() };
        let mut fold = Fold { keys: Vec::new(), aggregations: Vec::new(), then: Vec::new() };
        let mut shown = Vec::new();
        for mut item in by {
            let (name, place) = (item.name(), fold.keys.len());
            scope.define(name.clone(), Some(item.expr.clone()), place);
            self.resolve(&mut item.expr)?;
            fold.keys.push(item.expr);
            show(&mut shown, name, Expr::Column(place));
        }
        let written: Vec<Expr> = items.iter().map(|item| item.expr.clone()).collect();
        for item in &mut items {
            self.take_aggregates(&mut item.expr, &scope, &mut fold)?;
        }
        scope.width += fold.aggregations.len();
        self.plan.folds.push(fold);
        self.scope = scope;
        self.widen(0, span)?;
        for (item, written) in items.into_iter().zip(written) {
            let (name, mut expr) = (item.name(), item.expr);
            self.known_only(&mut expr)?;
            let column = match expr {
                Expr::Column(place) => {
                    self.scope.define(name.clone(), Some(written), place);
                    Expr::Column(place)
                }
                expr => self.compute(name.clone(), Some(written), expr, item.span)?,
            };
            show(&mut shown, name, column);
        }
        (self.base, self.listed, self.has_fields, self.display) = (shown, Vec::new(), false, None);
        Ok(())
    }

    /// Replaces keys and aggregations in an item of `stats` by their columns; arguments see the rows before it.
    fn take_aggregates(&self, expr: &mut Expr, scope: &Scope, fold: &mut Fold) -> Result<(), QueryError> {
        if let Some(place) = scope.written(expr) {
            *expr = Expr::Column(place);
            return Ok(());
        }
        if let Expr::Aggregate { aggregation, .. } = expr {
            if let Aggregation::Of { argument, .. } = aggregation {
                self.resolve(argument)?;
            }
            let found = fold.aggregations.iter().position(|known| known == aggregation);
            let at = found.unwrap_or_else(|| {
                fold.aggregations.push(aggregation.clone());
                fold.aggregations.len() - 1
            });
            *expr = Expr::Column(fold.keys.len() + at);
            return Ok(());
        }
        expr.inside().into_iter().try_for_each(|part| self.take_aggregates(part, scope, fold))
    }

    /// Resolves what is left in an item of `stats`: names of groups and of items before it.
    fn known_only(&self, expr: &mut Expr) -> Result<(), QueryError> {
        if let Expr::Name(name) = expr {
            let span = name.span;
            let found = self.scope.named(name);
            if found == Expr::Nothing {
                let message =
                    format!("`{}` stands neither in an aggregate function nor behind `by`", name.text);
                return Err(self.error(span, message));
            }
            *expr = found;
            return Ok(());
        }
        expr.inside().into_iter().try_for_each(|part| self.known_only(part))
    }

    /// Adds a step that computes a column, and gives the column.
    fn compute(
        &mut self,
        name: String,
        written: Option<Expr>,
        expr: Expr,
        span: Span,
    ) -> Result<Expr, QueryError> {
        let place = self.scope.width;
        self.scope.define(name, written, place);
        self.widen(1, span)?;
        self.steps().push(Step::Let(expr));
        Ok(Expr::Column(place))
    }

    fn widen(&mut self, by: usize, span: Span) -> Result<(), QueryError> {
        self.scope.width += by;
        if self.scope.width > COLUMNS_MAX {
            return Err(self.error(span, format!("a query computes at most {COLUMNS_MAX} columns")));
        }
        Ok(())
    }

    fn steps(&mut self) -> &mut Vec<Step> {
        match self.plan.folds.last_mut() {
            Some(fold) => &mut fold.then,
            None => &mut self.plan.scan,
        }
    }

    /// Replaces every name by what it stands for.
    fn resolve(&self, expr: &mut Expr) -> Result<(), QueryError> {
        if let Some(place) = self.scope.written(expr) {
            *expr = Expr::Column(place);
            return Ok(());
        }
        match expr {
            Expr::Name(name) if name.parts.len() > SELECTOR_STEPS_MAX => {
                Err(self.error(name.span, format!("a name has at most {SELECTOR_STEPS_MAX} parts")))
            }
            Expr::Name(name) => {
                *expr = self.scope.named(name);
                Ok(())
            }
            Expr::Aggregate { span, .. } => {
                Err(self.error(*span, "an aggregate function may stand in `stats` only, and not in another"))
            }
            _ => expr.inside().into_iter().try_for_each(|part| self.resolve(part)),
        }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> QueryError {
        QueryError::at(self.source, span, message)
    }
}

impl Item {
    /// The name of its column.
    fn name(&self) -> String {
        match (&self.alias, &self.expr) {
            (Some(alias), _) => alias.clone(),
            (None, Expr::Name(name)) => name.text.clone(),
            (None, _) => self.source.clone(),
        }
    }
}

impl Scope {
    /// A name for the value at `place`; it hides an earlier one.
    fn define(&mut self, name: String, written: Option<Expr>, place: usize) {
        self.columns.push(Column { name, written, place });
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().rev().find(|column| column.name == name).map(|column| column.place)
    }

    /// The column that `stats` computed by this expression.
    fn written(&self, expr: &Expr) -> Option<usize> {
        let same = |column: &&Column| column.written.as_ref() == Some(expr);
        self.columns.iter().rev().find(same).map(|column| column.place)
    }

    /// A column, a part of the JSON in one, a field every event has, or a field of the message.
    fn named(&self, name: &Name) -> Expr {
        if let Some(place) = self.column(&name.text) {
            return Expr::Column(place);
        }
        for length in (1..name.parts.len().min(SELECTOR_STEPS_MAX)).rev() {
            if let Some(column) = self.column(&name.parts[..length].join(".")) {
                let selector = path(name.parts[length..].iter().map(String::as_str), true);
                return Expr::Member { column, selector };
            }
        }
        match System::named(&name.text) {
            _ if !self.events => Expr::Nothing,
            Some(system) => Expr::System(system),
            None => Expr::Field(ways(name)),
        }
    }
}

/// The ways to a field of a message: part by part, with numbers as places of arrays and as names; at last the whole
/// name as one key. `@@name` is the service's spelling of a field `@name`.
fn ways(name: &Name) -> Vec<Selector> {
    let parts: Vec<&str> = name.parts.iter().map(String::as_str).collect();
    let split: Vec<&str> =
        parts.iter().flat_map(|part| part.split('.')).filter(|part| !part.is_empty()).collect();
    let whole = [name.text.as_str()];
    let mut ways: Vec<Selector> = Vec::new();
    for (parts, numbers) in [
        (&parts[..], true),
        (&parts[..], false),
        (&split[..], true),
        (&split[..], false),
        (&whole[..], false),
    ] {
        let mut parts = parts.to_vec();
        if let Some(first) = parts.first_mut() {
            *first = if first.starts_with("@@") { &first[1..] } else { first };
        }
        if (1..=SELECTOR_STEPS_MAX).contains(&parts.len()) {
            let mut way = path(parts.iter().copied(), numbers);
            if let (Some(SelectorStep::Index(_)), Some(part)) = (way.steps.first(), parts.first()) {
                way.steps[0] = SelectorStep::Name((*part).to_owned());
            }
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
    }
    ways
}

fn path<'p>(parts: impl Iterator<Item = &'p str>, numbers: bool) -> Selector {
    let step = |part: &'p str| match part.parse() {
        Ok(index) if numbers && part.bytes().all(|byte| byte.is_ascii_digit()) => SelectorStep::Index(index),
        _ => SelectorStep::Name(part.to_owned()),
    };
    Selector { steps: parts.map(step).collect() }
}

/// Adds a column to what is shown; one of the same name gives way.
fn show(shown: &mut Vec<(String, Expr)>, name: String, expr: Expr) {
    match shown.iter_mut().find(|(known, _)| *known == name) {
        Some(known) => known.1 = expr,
        None => shown.push((name, expr)),
    }
}
