/*!
Works expressions and steps out for one row: an event, or a group with nothing but columns.
*/

use std::borrow::Cow;
use std::cmp::Ordering;

use memchr::memmem;

use super::expression::{Arithmetic, Comparison, Expr, Likeness, System};
use super::plan::Step;
use super::run::Row;
use super::value::Val;
use crate::fields::json::JsonFields;
use crate::fields::{Fields, Selector, Step as SelectorStep, Value};

/// What a row is worked out in.
pub(super) struct Environment<'a, 'm> {
    /// The event; none for groups.
    pub(super) row: Option<&'a Row<'a, 'm>>,
    /// The query's start, seconds since 1970 UTC.
    pub(super) now_s: i64,
}

impl<'a> Environment<'a, '_> {
    /// Does the steps, adding to the columns; says whether every filter held.
    pub(super) fn pass(&self, steps: &'a [Step], columns: &mut Vec<Val<'a>>) -> bool {
        for step in steps {
            match step {
                Step::Let(expr) => {
                    let value = self.value(expr, columns);
                    columns.push(value);
                }
                Step::Filter(expr) => {
                    if !self.value(expr, columns).holds() {
                        return false;
                    }
                }
                Step::Extract { of, how } => {
                    let part = |part: Option<&str>| part.map_or(Val::Null, |part| Val::text(part.to_owned()));
                    let parts = match self.value(of, columns) {
                        Val::Text(Cow::Borrowed(text)) => how.parts(text).map(|parts| {
                            parts.into_iter().map(|part| part.map_or(Val::Null, Val::text)).collect()
                        }),
                        value => value.shown().and_then(|text| {
                            how.parts(&text).map(|parts| parts.into_iter().map(part).collect::<Vec<_>>())
                        }),
                    };
                    match parts {
                        Some(parts) => columns.extend(parts),
                        None => columns.extend(std::iter::repeat_n(Val::Null, how.len())),
                    }
                }
            }
        }
        true
    }

    /// What the expression comes to.
    pub(super) fn value(&self, expr: &'a Expr, columns: &[Val<'a>]) -> Val<'a> {
        match expr {
            // Names and aggregations are resolved before anything is worked out.
            Expr::Nothing | Expr::Name(_) | Expr::Aggregate { .. } => Val::Null,
            Expr::Text(text) => Val::text(text.as_str()),
            Expr::Number(number) => Val::Number(*number),
            Expr::Bool(flag) => Val::Bool(*flag),
            Expr::System(system) => self.row.map_or(Val::Null, |row| system_value(*system, row)),
            Expr::Field(ways) => self.row.map_or(Val::Null, |row| field_value(ways, row)),
            Expr::Column(place) => columns.get(*place).cloned().unwrap_or(Val::Null),
            Expr::Member { column, selector } => {
                columns.get(*column).map_or(Val::Null, |value| member_value(value, selector))
            }
            Expr::Call { function, arguments } => {
                let arguments = arguments.iter().map(|argument| self.value(argument, columns)).collect();
                function.apply(arguments, self.now_s)
            }
            Expr::Round { up, of, period } => {
                let round = |at| if *up { period.ceil(at) } else { period.floor(at) };
                self.value(of, columns).millis().map_or(Val::Null, |at| Val::Time(round(at)))
            }
            Expr::Negate(of) => self.value(of, columns).number().map_or(Val::Null, |of| Val::finite(-of)),
            Expr::Chain { first, steps } => {
                let first = self.value(first, columns).number();
                let whole = steps.iter().try_fold(first, |left, (operator, right)| {
                    let right = self.value(right, columns).number();
                    Some(left.zip(right).map(|(left, right)| operator.of(left, right)))
                });
                whole.flatten().map_or(Val::Null, Val::finite)
            }
            _ => Val::Bool(self.condition(expr, columns)),
        }
    }

    fn condition(&self, expr: &'a Expr, columns: &[Val<'a>]) -> bool {
        match expr {
            Expr::Compare { comparison, left, right } => {
                comparison.holds(&self.value(left, columns), &self.value(right, columns))
            }
            Expr::In { of, list, negated } => {
                let of = self.value(of, columns);
                let found = || list.iter().any(|value| of.equals(&self.value(value, columns)));
                !of.is_null() && found() != *negated
            }
            Expr::Like { of, what, negated } => {
                let of = self.value(of, columns);
                of.shown().is_some_and(|text| what.is_in(&text) != *negated)
            }
            Expr::Not(of) => !self.value(of, columns).holds(),
            Expr::All(parts) => parts.iter().all(|part| self.value(part, columns).holds()),
            Expr::Any(parts) => parts.iter().any(|part| self.value(part, columns).holds()),
            other => self.value(other, columns).holds(),
        }
    }
}

impl Arithmetic {
    fn of(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
            Self::Power => left.powf(right),
        }
    }
}

impl Comparison {
    /// What is missing compares with nothing, *assumed*: not even `!=` holds.
    fn holds(self, left: &Val<'_>, right: &Val<'_>) -> bool {
        match self {
            Self::Equal => left.equals(right),
            Self::Different => !left.is_null() && !right.is_null() && !left.equals(right),
            Self::Less => left.compare(right).is_some_and(Ordering::is_lt),
            Self::LessOrEqual => left.compare(right).is_some_and(Ordering::is_le),
            Self::Greater => left.compare(right).is_some_and(Ordering::is_gt),
            Self::GreaterOrEqual => left.compare(right).is_some_and(Ordering::is_ge),
        }
    }
}

impl Likeness {
    fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Part(part) => memmem::find(text.as_bytes(), part.as_bytes()).is_some(),
            Self::Regex(regex) => regex.matches(text),
        }
    }
}

fn system_value<'a>(system: System, row: &'a Row<'a, '_>) -> Val<'a> {
    match system {
        System::Timestamp => Val::Time(row.time.as_millis()),
        System::Ingestion => Val::Time(row.arrival.as_millis()),
        System::Message => Val::text(row.subject.message),
        System::Stream => Val::text(row.stream),
        System::Log => Val::text(row.group),
        System::Pointer => Val::text(row.ptr.to_string()),
    }
}

fn field_value(ways: &[Selector], row: &Row<'_, '_>) -> Val<'static> {
    let Some(fields) = row.subject.fields() else { return Val::Null };
    ways.iter().map(|way| scalar(fields, way)).find(|value| !value.is_null()).unwrap_or(Val::Null)
}

fn scalar(fields: &dyn Fields, selector: &Selector) -> Val<'static> {
    let mut found = Val::Null;
    fields.visit(selector, &mut |value| {
        if found.is_null() {
            found = match value {
                Value::Text(text) | Value::Number { text, .. } => Val::text(text.to_owned()),
                Value::Bool(flag) => Val::Bool(flag),
                Value::Null | Value::Array { .. } | Value::Object => Val::Null,
            };
        }
    });
    found
}

/// A part of the JSON object or array that a column holds as text.
fn member_value(value: &Val<'_>, selector: &Selector) -> Val<'static> {
    let Val::Text(text) = value else { return Val::Null };
    if let Some(fields) = JsonFields::read(text) {
        return scalar(&fields, selector);
    }
    // A list, read as the only member of an object.
    let whole = format!("{{\"list\":{text}}}");
    let mut steps = vec![SelectorStep::Name("list".to_owned())];
    steps.extend(selector.steps.iter().cloned());
    JsonFields::read(&whole).map_or(Val::Null, |fields| scalar(&fields, &Selector { steps }))
}
