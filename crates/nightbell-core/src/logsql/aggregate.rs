/*!
Functions over many rows: their names, and what each keeps while rows are folded into it.

Every fold and merge is associative and commutative to the last digit, so rows may be split among threads in any way:
sums are kept without rounding error, extremes and edges break ties by content. Counts of different values and
percentiles are exact while values are few, see [`crate::distinct`] and [`crate::metric::Aggregate`]. Meanings are
those of "stats" (CloudWatch Logs Insights language query syntax).
*/

use std::fmt::Display;

use super::expression::Expr;
use super::value::{Place, Val};
use crate::distinct::{Distinct, KEYS_MAX, key_of};
use crate::metric::{Aggregate, SAMPLE_MAGNITUDE_MAX};
use crate::statistic::Statistic;

/// A function over rows, with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Aggregation {
    /// `count(*)`.
    Rows,
    /// Any other, of the values of an expression; `percent` is that of `pct`.
    Of { kind: Kind, argument: Box<Expr>, percent: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Count,
    CountDistinct,
    Sum,
    Average,
    Minimum,
    Maximum,
    Percentile,
    /// Of the whole population, *assumed*.
    Deviation,
    Earliest,
    Latest,
    SortsFirst,
    SortsLast,
}

impl Aggregation {
    /// The function of that lower-case name, `None` when it is none; an error says what it takes.
    pub(super) fn named(name: &str, arguments: &[Expr]) -> Option<Result<Self, &'static str>> {
        let kind = match name {
            "count" if arguments.is_empty() => return Some(Ok(Self::Rows)),
            "count" => Kind::Count,
            "count_distinct" => Kind::CountDistinct,
            "sum" => Kind::Sum,
            "avg" => Kind::Average,
            "min" => Kind::Minimum,
            "max" => Kind::Maximum,
            "pct" => Kind::Percentile,
            "stddev" => Kind::Deviation,
            "earliest" => Kind::Earliest,
            "latest" => Kind::Latest,
            "sortsfirst" => Kind::SortsFirst,
            "sortslast" => Kind::SortsLast,
            _ => return None,
        };
        Some(match (kind, arguments) {
            (Kind::Percentile, [argument, Expr::Number(percent)]) if (0.0..=100.0).contains(percent) => {
                Ok(Self::Of { kind, argument: Box::new(argument.clone()), percent: *percent })
            }
            (Kind::Percentile, _) => Err("a field and a number from 0 to 100"),
            (_, [argument]) => Ok(Self::Of { kind, argument: Box::new(argument.clone()), percent: 0.0 }),
            _ => Err("one argument"),
        })
    }
}

impl Aggregation {
    /// What it is worked out of, for each row.
    pub(super) fn argument(&self) -> Option<&Expr> {
        match self {
            Self::Rows => None,
            Self::Of { argument, .. } => Some(argument),
        }
    }
}

/// When and where a row comes from: what says which of two is the earlier.
#[derive(Clone, Copy)]
pub(super) struct Moment<'r> {
    pub(super) time: i64,
    pub(super) arrival: i64,
    pub(super) ptr: &'r dyn Display,
}

/// What one function keeps for one group.
#[derive(Clone, Debug)]
pub(super) enum State {
    Count(u64),
    Distinct(Distinct),
    Sum { sum: ExactSum, count: u64, average: bool },
    Deviation { sum: ExactSum, squares: ExactSum, count: u64 },
    Percentile { samples: Box<Aggregate>, percent: f64 },
    Best(Best),
    Edge { latest: bool, found: Option<Edge> },
}

impl State {
    pub(super) fn new(aggregation: &Aggregation) -> Self {
        let Aggregation::Of { kind, percent, .. } = aggregation else { return Self::Count(0) };
        let best = |largest, numbers_first| Self::Best(Best { largest, numbers_first, found: None });
        match kind {
            Kind::Count => Self::Count(0),
            Kind::CountDistinct => Self::Distinct(Distinct::default()),
            Kind::Sum => Self::Sum { sum: ExactSum::default(), count: 0, average: false },
            Kind::Average => Self::Sum { sum: ExactSum::default(), count: 0, average: true },
            Kind::Deviation => {
                Self::Deviation { sum: ExactSum::default(), squares: ExactSum::default(), count: 0 }
            }
            Kind::Percentile => {
                Self::Percentile { samples: Box::new(Aggregate::default()), percent: *percent }
            }
            Kind::Minimum => best(false, true),
            Kind::Maximum => best(true, true),
            Kind::SortsFirst => best(false, false),
            Kind::SortsLast => best(true, false),
            Kind::Earliest => Self::Edge { latest: false, found: None },
            Kind::Latest => Self::Edge { latest: true, found: None },
        }
    }

    /// Folds the value of `rows` rows in, to the same result as one by one; a value that is missing, or no number where
    /// one is asked for, changes nothing.
    pub(super) fn fold(&mut self, value: &Val<'_>, moment: Option<Moment<'_>>, rows: u64) {
        if value.is_null() {
            return;
        }
        // Sums stay finite and squares are still numbers.
        let sample = || value.number().filter(|number| number.abs() <= SAMPLE_MAGNITUDE_MAX);
        match self {
            Self::Count(count) => *count += rows,
            Self::Distinct(keys) => keys.insert(key_of(&[&value.shown().unwrap_or_default()])),
            Self::Sum { sum, count, .. } => {
                if let Some(number) = sample() {
                    sum.add_product(number, rows as f64);
                    *count += rows;
                }
            }
            Self::Deviation { sum, squares, count } => {
                if let Some(number) = sample() {
                    sum.add_product(number, rows as f64);
                    let square = number * number;
                    squares.add_product(square, rows as f64);
                    squares.add_product(number.mul_add(number, -square), rows as f64);
                    *count += rows;
                }
            }
            Self::Percentile { samples, .. } => {
                if let Some(number) = sample() {
                    samples.add(number, rows as f64);
                }
            }
            Self::Best(best) => best.offer(value),
            Self::Edge { latest, found } => {
                if let Some(moment) = moment {
                    Edge::offer(found, *latest, moment, value);
                }
            }
        }
    }

    /// Folds in what another thread has for the same function and group.
    pub(super) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Count(count), Self::Count(more)) => *count += more,
            (Self::Distinct(keys), Self::Distinct(more)) => keys.merge(&more),
            (Self::Sum { sum, count, .. }, Self::Sum { sum: other, count: more, .. }) => {
                sum.merge(&other);
                *count += more;
            }
            (
                Self::Deviation { sum, squares, count },
                Self::Deviation { sum: other, squares: others, count: more },
            ) => {
                sum.merge(&other);
                squares.merge(&others);
                *count += more;
            }
            (Self::Percentile { samples, .. }, Self::Percentile { samples: more, .. }) => {
                samples.merge(&more);
            }
            (Self::Best(best), Self::Best(Best { found: Some((_, value)), .. })) => best.offer(&value),
            (Self::Edge { latest, found }, Self::Edge { found: Some(edge), .. }) => {
                let (time, arrival, ptr) = &edge.at;
                let moment = Moment { time: *time, arrival: *arrival, ptr };
                Edge::offer(found, *latest, moment, &edge.value);
            }
            // Nothing was found there. States of one plan are of one kind.
            _ => {}
        }
    }

    /// What it comes to.
    pub(super) fn result(&self) -> Val<'static> {
        match self {
            Self::Count(count) => Val::Number(*count as f64),
            Self::Distinct(keys) => Val::Number(keys.count().round()),
            Self::Sum { count: 0, .. } | Self::Deviation { count: 0, .. } => Val::Null,
            Self::Sum { sum, count, average } => {
                Val::finite(if *average { sum.value() / *count as f64 } else { sum.value() })
            }
            Self::Deviation { sum, squares, count } => Val::finite(deviation(sum, squares, *count as f64)),
            Self::Percentile { samples, percent } => {
                Statistic::Percentile(*percent).value(samples).map_or(Val::Null, Val::finite)
            }
            Self::Best(best) => best.found.as_ref().map_or(Val::Null, |(_, value)| value.clone()),
            Self::Edge { found, .. } => found.as_ref().map_or(Val::Null, |edge| edge.value.clone()),
        }
    }

    /// Bytes that it owns beyond its own size.
    pub(super) fn bytes(&self) -> usize {
        let of = |value: &Val<'_>| if let Val::Text(text) = value { text.len() } else { 0 };
        match self {
            Self::Count(_) => 0,
            Self::Distinct(keys) => keys.count().min(KEYS_MAX as f64) as usize * size_of::<u64>(),
            Self::Sum { sum, .. } => sum.bytes(),
            Self::Deviation { sum, squares, .. } => sum.bytes() + squares.bytes(),
            Self::Percentile { samples, .. } => {
                size_of::<Aggregate>() + samples.values.len() * size_of::<(f64, f64)>()
            }
            Self::Best(best) => best.found.as_ref().map_or(0, |(place, value)| place.bytes() + of(value)),
            Self::Edge { found, .. } => found.as_ref().map_or(0, |edge| edge.at.2.len() + of(&edge.value)),
        }
    }
}

/// The value at one end of an order.
#[derive(Clone, Debug)]
pub(super) struct Best {
    largest: bool,
    /// Numbers are preferred to texts at either end: `min` and `max` of a field that is mostly a number.
    numbers_first: bool,
    found: Option<(Place, Val<'static>)>,
}

impl Best {
    fn offer(&mut self, value: &Val<'_>) {
        let place = Place::of(value);
        let better = self.found.as_ref().is_none_or(|(best, held)| {
            let is_number = |place: &Place| matches!(place, Place::Number(_));
            if self.numbers_first && is_number(&place) != is_number(best) {
                return is_number(&place);
            }
            let order = if self.largest { best.cmp(&place) } else { place.cmp(best) };
            // Of equal values in several spellings the first by its text.
            order.then_with(|| value.shown().cmp(&held.shown())).is_lt()
        });
        if better {
            self.found = Some((place, value.clone().into_owned()));
        }
    }
}

/// The value of the first or last row.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    at: (i64, i64, String),
    value: Val<'static>,
}

impl Edge {
    fn offer(found: &mut Option<Self>, latest: bool, moment: Moment<'_>, value: &Val<'_>) {
        let wins = |order: std::cmp::Ordering| if latest { order.is_gt() } else { order.is_lt() };
        if let Some(held) = found {
            let order = (moment.time, moment.arrival).cmp(&(held.at.0, held.at.1));
            if order.is_ne() && !wins(order) {
                return;
            }
            if order.is_eq() && !wins(moment.ptr.to_string().cmp(&held.at.2)) {
                return;
            }
        }
        let at = (moment.time, moment.arrival, moment.ptr.to_string());
        *found = Some(Self { at, value: value.clone().into_owned() });
    }
}

/// A sum without rounding error: parts that do not overlap, whose sum is exact ("Adaptive Precision Floating-Point
/// Arithmetic and Fast Robust Geometric Predicates", Shewchuk). Terms of any order give the same [`Self::value`].
#[derive(Clone, Debug, Default)]
pub(super) struct ExactSum {
    /// By growing magnitude.
    parts: Vec<f64>,
}

impl ExactSum {
    fn add(&mut self, mut term: f64) {
        let mut kept = 0;
        for at in 0..self.parts.len() {
            let mut part = self.parts[at];
            if term.abs() < part.abs() {
                std::mem::swap(&mut term, &mut part);
            }
            let high = term + part;
            let low = part - (high - term);
            if low != 0.0 {
                self.parts[kept] = low;
                kept += 1;
            }
            term = high;
        }
        self.parts.truncate(kept);
        self.parts.push(term);
    }

    fn add_product(&mut self, left: f64, right: f64) {
        let product = left * right;
        self.add(product);
        let rest = left.mul_add(right, -product);
        if rest != 0.0 {
            self.add(rest);
        }
    }

    fn merge(&mut self, other: &Self) {
        other.parts.iter().for_each(|part| self.add(*part));
    }

    /// The double nearest to the sum.
    fn value(&self) -> f64 {
        let mut parts = self.parts.iter().rev().copied();
        let Some(mut high) = parts.next() else { return 0.0 };
        let mut low = 0.0;
        for part in parts.by_ref() {
            let before = high;
            high = before + part;
            low = part - (high - before);
            if low != 0.0 {
                break;
            }
        }
        // Half-way cases: what is below decides in which direction is rounded.
        if let Some(below) = parts.next()
            && low * below > 0.0
        {
            let twice = low * 2.0;
            let rounded = high + twice;
            if twice == rounded - high {
                high = rounded;
            }
        }
        high
    }

    fn bytes(&self) -> usize {
        self.parts.capacity() * size_of::<f64>()
    }
}

/// The standard deviation: the root of the mean squared distance from the mean, in sums without cancellation.
fn deviation(sum: &ExactSum, squares: &ExactSum, count: f64) -> f64 {
    let mean = sum.value() / count;
    let mut distances = squares.clone();
    for part in &sum.parts {
        distances.add_product(-2.0 * mean, *part);
    }
    let square = mean * mean;
    distances.add_product(count, square);
    distances.add_product(count, mean.mul_add(mean, -square));
    (distances.value().max(0.0) / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(terms: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        terms.iter().for_each(|term| sum.add(*term));
        sum.value()
    }

    #[test]
    fn sums_are_rounded_once() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(&[1.0, 1e-16, 1e-16]), 1.0000000000000002);
        let one_up = 1.0 + f64::EPSILON;
        assert_eq!(sum(&[1.0, f64::EPSILON / 2.0, 1e-40]), one_up);
        assert_eq!(sum(&[1e-40, f64::EPSILON / 2.0, 1.0]), one_up);
    }

    #[test]
    fn deviations_do_not_cancel() {
        for offset in [0.0, 1e9, -1e15] {
            let (mut sum, mut squares) = (ExactSum::default(), ExactSum::default());
            for value in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
                sum.add(value + offset);
                squares.add_product(value + offset, value + offset);
            }
            assert_eq!(deviation(&sum, &squares, 8.0), 2.0, "around {offset}");
        }
    }
}
