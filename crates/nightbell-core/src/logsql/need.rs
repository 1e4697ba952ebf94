/*!
What every event that gets through a query's filters must hold: the ground for leaving events out unread.

Filters before the first `stats` all see the same events, wherever they stand; only conditions on fields of the event
count, not those on computed columns. A need is sound, never complete.
*/

use super::Query;
use super::evaluate::Environment;
use super::expression::{Comparison, Expr, Likeness, System};
use super::function::Function;
use super::plan::{Plan, Step};
use crate::fields::Selector;
use crate::pattern::need::{FieldKey, Key, Need};
use crate::pattern::plain_number;
use crate::time::Timestamp;

/// Event times, both ends included; a missing end is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The earliest time.
    pub from: Option<Timestamp>,
    /// The latest time.
    pub to: Option<Timestamp>,
}

impl Query {
    /// What an event must hold to get through the filters.
    pub(crate) fn hints(&self) -> Need<'_> {
        Need::All(filters(&self.plan).map(need).collect())
    }
}

fn filters(plan: &Plan) -> impl Iterator<Item = &Expr> {
    plan.scan.iter().filter_map(|step| match step {
        Step::Filter(expr) => Some(expr),
        Step::Let(_) | Step::Extract { .. } => None,
    })
}

fn need(expr: &Expr) -> Need<'_> {
    match expr {
        Expr::All(parts) => Need::All(parts.iter().map(need).collect()),
        Expr::Any(parts) => Need::Any(parts.iter().map(need).collect()),
        Expr::Compare { comparison: Comparison::Equal, left, right } => match (left.as_ref(), right.as_ref())
        {
            (Expr::Field(ways), value) | (value, Expr::Field(ways)) => {
                equal(ways, std::slice::from_ref(value))
            }
            (Expr::System(System::Message), Expr::Text(text))
            | (Expr::Text(text), Expr::System(System::Message))
                if plain_number(text).is_none() =>
            {
                Need::texts([text.as_str()])
            }
            _ => Need::Nothing,
        },
        Expr::In { of, list, negated: false } => match of.as_ref() {
            Expr::Field(ways) => equal(ways, list),
            _ => Need::Nothing,
        },
        Expr::Like { of, what, negated: false } => match (of.as_ref(), what) {
            (Expr::System(System::Message), Likeness::Part(part)) => Need::texts([part.as_str()]),
            (Expr::System(System::Message), Likeness::Regex(regex)) => {
                regex.required().map_or(Need::Nothing, |texts| Need::texts(texts.iter().map(String::as_str)))
            }
            (Expr::Field(ways), Likeness::Part(part)) if !part.is_empty() => {
                Need::OneOf(ways.iter().map(|way| Key::Field(way, FieldKey::Part(part))).collect())
            }
            _ => Need::Nothing,
        },
        Expr::Call { function: Function::IsPresent, arguments } => match arguments.as_slice() {
            [Expr::Field(ways)] => {
                Need::OneOf(ways.iter().map(|way| Key::Field(way, FieldKey::Present)).collect())
            }
            _ => Need::Nothing,
        },
        _ => Need::Nothing,
    }
}

/// That a field equals one of the values, by the equality of [`super::value::Val`].
fn equal<'p>(ways: &'p [Selector], values: &'p [Expr]) -> Need<'p> {
    let mut keys = Vec::new();
    for value in values {
        let (key, number, word) = match value {
            Expr::Text(text) => (FieldKey::Text(text), plain_number(text), Some(text.as_str())),
            Expr::Number(number) => (FieldKey::number(*number), Some(*number), None),
            Expr::Bool(flag) => {
                let (word, number) = if *flag { ("true", 1.0) } else { ("false", 0.0) };
                keys.extend([FieldKey::Text(word), FieldKey::number(number)]);
                (FieldKey::Text(word), Some(number), Some(word))
            }
            _ => return Need::Nothing,
        };
        keys.push(key);
        // A boolean equals its word and its number.
        match (number, word) {
            (Some(1.0), _) | (_, Some("true")) => keys.push(FieldKey::True),
            (Some(0.0), _) | (_, Some("false")) => keys.push(FieldKey::False),
            _ => {}
        }
    }
    Need::OneOf(ways.iter().flat_map(|way| keys.iter().map(move |key| Key::Field(way, *key))).collect())
}

/// The range of times that all filters leave.
pub(super) fn times(plan: &Plan, now: Timestamp) -> TimeRange {
    let mut range = TimeRange::default();
    for filter in filters(plan) {
        match filter {
            Expr::All(parts) => parts.iter().for_each(|part| narrow(&mut range, part, now)),
            part => narrow(&mut range, part, now),
        }
    }
    range
}

fn narrow(range: &mut TimeRange, condition: &Expr, now: Timestamp) {
    use Comparison::{Different, Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let Expr::Compare { comparison, left, right } = condition else { return };
    let (comparison, bound) = match (is_time(left), is_time(right)) {
        (true, false) => (*comparison, right),
        (false, true) => match comparison {
            Less => (Greater, left),
            LessOrEqual => (GreaterOrEqual, left),
            Greater => (Less, left),
            GreaterOrEqual => (LessOrEqual, left),
            Equal | Different => (*comparison, left),
        },
        _ => return,
    };
    if !is_constant(bound) {
        return;
    }
    let environment = Environment { row: None, now_s: now.second() };
    let value = environment.value(bound, &[]);
    // Ends are rounded outwards, so fractions and strict comparisons need no care.
    let (floor, ceil) = match value.number() {
        Some(number) => (number.floor() as i64, number.ceil() as i64),
        None => match value.millis() {
            Some(ms) => (ms, ms),
            None => return,
        },
    };
    if matches!(comparison, Equal | Greater | GreaterOrEqual) {
        let from = Timestamp::from_millis(floor);
        range.from = Some(range.from.map_or(from, |known| known.max(from)));
    }
    if matches!(comparison, Equal | Less | LessOrEqual) {
        let to = Timestamp::from_millis(ceil);
        range.to = Some(range.to.map_or(to, |known| known.min(to)));
    }
}

fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::System(System::Timestamp) => true,
        Expr::Call { function: Function::ToMillis, arguments } => {
            matches!(arguments.as_slice(), [Expr::System(System::Timestamp)])
        }
        _ => false,
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Text(_) | Expr::Number(_) => true,
        Expr::Negate(of) => is_constant(of),
        Expr::Chain { first, steps } => is_constant(first) && steps.iter().all(|(_, step)| is_constant(step)),
        Expr::Call { function: Function::Now | Function::ToMillis | Function::FromMillis, arguments } => {
            arguments.iter().all(is_constant)
        }
        _ => false,
    }
}
