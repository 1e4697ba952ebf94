/*!
What operators and functions do to points: numbers in, numbers out, no names and no arrays.

A result that is not a finite number is no point. An operator yields a point only where both sides have one; the guide
says that a missing side counts as 0, which would let half a sum or half a ratio raise an alarm, so who wants a 0 says
FILL. Aggregates over an array take the series that have a point, as the guide has it.
*/

use super::expression::Operator;
use super::function::{Along, Clock, Each, Fold};
use super::{Grid, Point};

/// Seconds of a day, an hour and a minute.
const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;
const MINUTE_S: i64 = 60;

fn finite(number: f64) -> Point {
    number.is_finite().then_some(number + 0.0) // -0.0 and 0.0 are one value
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// The operator between two points.
pub(super) fn operate(operator: Operator, left: Point, right: Point) -> Point {
    let (a, b) = left.zip(right)?;
    finite(match operator {
        Operator::Or => truth(a != 0.0 || b != 0.0),
        Operator::And => truth(a != 0.0 && b != 0.0),
        Operator::Equal => truth(a == b),
        Operator::NotEqual => truth(a != b),
        Operator::LessOrEqual => truth(a <= b),
        Operator::GreaterOrEqual => truth(a >= b),
        Operator::Less => truth(a < b),
        Operator::Greater => truth(a > b),
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Power => a.powf(b),
    })
}

/// IF at one point; `fill` stands in where the condition holds and the value has no point.
///
/// The guide's tables: a series without a point counts as 0 where the condition holds, and gives none where it does not.
pub(super) fn choose(condition: Point, then: Point, fill: Point, otherwise: Point) -> Point {
    if condition? != 0.0 { then.or(fill) } else { otherwise }
}

/// A function of one point.
pub(super) fn each(each: Each, point: Point) -> Point {
    let number = point?;
    finite(match each {
        Each::Abs => number.abs(),
        Each::Ceil => number.ceil(),
        Each::Floor => number.floor(),
        Each::Log => number.ln(),
        Each::Log10 => number.log10(),
        Each::Negate => -number,
    })
}

/// A function of each point and those before it. "The preceding value" of a series is its last known one.
pub(super) fn along(along: Along, points: &[Point], grid: Grid) -> Vec<Point> {
    let mut before: Option<(usize, f64)> = None;
    let mut sum = 0.0;
    let one = |(i, point): (usize, &Point)| {
        let number = (*point)?;
        sum += number;
        let (then, old) = before.replace((i, number)).unzip();
        let seconds = || then.map(|then| (i - then) as f64 * grid.period_s as f64);
        match along {
            Along::Diff => finite(number - old?),
            Along::DiffTime => finite(seconds()?),
            Along::Rate => finite((number - old?) / seconds()?),
            Along::RunningSum => finite(sum),
        }
    };
    points.iter().enumerate().map(one).collect()
}

/// All points of one series, to a number; `None` when there are none, but a count of 0.
///
/// An average takes a period without a point for 0, as the guide has it; `SUM(m) / DATAPOINT_COUNT(m)` does not.
pub(super) fn fold(fold: Fold, points: &[Point]) -> Point {
    fold_over(fold, points.iter().copied(), points.len())
}

/// The points of one period in the series of an array. A count is never missing.
pub(super) fn fold_across(fold: Fold, lines: &[&[Point]], i: usize) -> Point {
    fold_over(fold, lines.iter().map(|points| points[i]), lines.len())
}

fn fold_over(fold: Fold, points: impl Iterator<Item = Point> + Clone, all: usize) -> Point {
    let known = points.flatten();
    let count = known.clone().count();
    if fold == Fold::Count {
        return Some(count as f64);
    }
    if count == 0 {
        return None;
    }
    let sum: f64 = known.clone().sum();
    finite(match fold {
        Fold::Average => sum / all as f64,
        Fold::Count => count as f64,
        Fold::Deviation => {
            // Of all points there are, not of a sample of them (*assumed*).
            let mean = sum / count as f64;
            (known.map(|number| (number - mean).powi(2)).sum::<f64>() / count as f64).sqrt()
        }
        Fold::Maximum => known.fold(f64::NEG_INFINITY, f64::max),
        Fold::Minimum => known.fold(f64::INFINITY, f64::min),
        Fold::Sum => sum,
    })
}

/// The time of each period, by its start, in UTC. There is a value for each period.
pub(super) fn clock(clock: Clock, grid: Grid) -> Vec<Point> {
    let one = |i: usize| {
        let step = grid.period_s.saturating_mul(i64::try_from(i).unwrap_or(i64::MAX));
        Some(clock_at(clock, grid.start.saturating_add(step)) as f64)
    };
    (0..grid.points).map(one).collect()
}

fn clock_at(clock: Clock, second: i64) -> i64 {
    let day = second.div_euclid(DAY_S);
    match clock {
        Clock::Epoch => second,
        Clock::Minute => second.rem_euclid(HOUR_S) / MINUTE_S,
        Clock::Hour => second.rem_euclid(DAY_S) / HOUR_S,
        Clock::Day => (day + 3).rem_euclid(7) + 1, // Monday is 1; 1970 began with a Thursday
        Clock::Date => calendar(day).2,
        Clock::Month => calendar(day).1,
        Clock::Year => calendar(day).0,
    }
}

/// Year, month and day of the month of a day counted from 1970-01-01.
fn calendar(day: i64) -> (i64, i64, i64) {
    // Years that begin with March end with the leap day; 400 of them always have as many days.
    let days = day + 719_468; // from 0000-03-01
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let date = of_year - (153 * from_march + 2) / 5 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, date)
}

/// FILL with REPEAT: the last known point goes on. Before the first there is none to repeat.
pub(super) fn repeat(points: &[Point]) -> Vec<Point> {
    let mut last = None;
    let one = |point: &Point| {
        last = point.or(last);
        last
    };
    points.iter().map(one).collect()
}

/// FILL with LINEAR: a straight line over each gap. Before the first and after the last known point, where a gap has
/// one end only, that point's value (*assumed*: the guide speaks of gaps with two ends).
pub(super) fn linear(points: &[Point]) -> Vec<Point> {
    let mut filled = points.to_vec();
    let known: Vec<(usize, f64)> =
        points.iter().enumerate().filter_map(|(i, point)| point.map(|number| (i, number))).collect();
    let (Some(&(first, start)), Some(&(last, end))) = (known.first(), known.last()) else { return filled };
    filled[..first].fill(Some(start));
    filled[last..].fill(Some(end));
    for pair in known.windows(2) {
        let ((from, a), (to, b)) = (pair[0], pair[1]);
        for (i, point) in filled[from + 1..to].iter_mut().enumerate() {
            *point = finite(a + (b - a) * ((i + 1) as f64 / (to - from) as f64));
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_calendar() {
        let rows = [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_454, (2026, 1, 1)),
            (-719_468, (0, 3, 1)),
            (-719_528, (0, 1, 1)),
        ];
        for (day, date) in rows {
            assert_eq!(calendar(day), date, "day {day}");
        }
        for clock in
            [Clock::Date, Clock::Day, Clock::Epoch, Clock::Hour, Clock::Minute, Clock::Month, Clock::Year]
        {
            clock_at(clock, i64::MIN);
            clock_at(clock, i64::MAX);
        }
    }
}
