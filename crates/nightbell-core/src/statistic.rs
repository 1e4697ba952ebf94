/*!
Statistics: which number is read off an [`Aggregate`].

Definitions follow "CloudWatch statistics definitions" (Amazon CloudWatch User Guide). Percentiles are by nearest rank;
a trimmed range in percent keeps the samples from rank ⌊a·n⌋ + 1 to rank ⌈b·n⌉, so a sample is never cut in two.
Knows no alarm and no time.
*/

use std::borrow::Cow;

use crate::alarm::Comparison;
use crate::metric::Aggregate;

/// A statistic, read from its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// `SampleCount`.
    SampleCount,
    /// `Average`.
    Average,
    /// `Sum`.
    Sum,
    /// `Minimum`.
    Minimum,
    /// `Maximum`.
    Maximum,
    /// `p99.9`: the value below which that share of the samples lies.
    Percentile(f64),
    /// `tm90`, `TM(10%:90%)`, `IQM`: mean of the samples in the range.
    TrimmedMean(Range),
    /// `wm90`, `WM(10%:90%)`: mean with the samples outside the range moved to its ends.
    WinsorizedMean(Range),
    /// `tc90`, `TC(10%:90%)`: count of the samples in the range.
    TrimmedCount(Range),
    /// `ts90`, `TS(10%:90%)`: sum of the samples in the range.
    TrimmedSum(Range),
    /// `Distinct`: how many different keys there were; Nightbell's own, for filters whose value is `DISTINCT(…)`.
    Distinct,
    /// `PR(0:300)`: share of the samples in the range, in percent.
    PercentileRank(Range),
}

/// Which samples a trimmed statistic keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// By rank, in percent of the samples.
    Percent {
        /// Samples below are left out, 0 to 100.
        from: f64,
        /// Samples above are left out, 0 to 100.
        to: f64,
    },
    /// By value.
    Value {
        /// Samples up to and including this value are left out; `None` keeps all below.
        above: Option<f64>,
        /// Samples above this value are left out; `None` keeps all above.
        up_to: Option<f64>,
    },
}

/// Bytes of a statistic's name; the API's longest forms are far shorter.
pub const STATISTIC_BYTES_MAX: usize = 64;

/// The range of the interquartile mean.
const MIDDLE_HALF: Range = Range::Percent { from: 25.0, to: 75.0 };

/// What rounding may have done to a rank computed from a percentage.
const RANK_TOLERANCE: f64 = 1e-9;

impl Statistic {
    /// Reads a statistic's name as the API writes it; `None` when it is none.
    pub fn parse(name: &str) -> Option<Self> {
        if name.len() > STATISTIC_BYTES_MAX {
            return None;
        }
        match name {
            "SampleCount" => return Some(Self::SampleCount),
            "Average" => return Some(Self::Average),
            "Sum" => return Some(Self::Sum),
            "Minimum" => return Some(Self::Minimum),
            "Maximum" => return Some(Self::Maximum),
            "Distinct" => return Some(Self::Distinct),
            "IQM" => return Some(Self::TrimmedMean(MIDDLE_HALF)),
            _ => {}
        }
        if let Some(digits) = name.strip_prefix('p') {
            return percent(digits).map(Self::Percentile);
        }
        let letters = name.get(..2)?;
        let rest = &name[2..];
        let short = || percent(rest).filter(|to| *to > 0.0).map(|to| Range::Percent { from: 0.0, to });
        let long = || rest.strip_prefix('(')?.strip_suffix(')').and_then(range);
        match letters {
            "tm" => short().map(Self::TrimmedMean),
            "wm" => short().map(Self::WinsorizedMean),
            "tc" => short().map(Self::TrimmedCount),
            "ts" => short().map(Self::TrimmedSum),
            "TM" => long().map(Self::TrimmedMean),
            "WM" => long().map(Self::WinsorizedMean),
            "TC" => long().map(Self::TrimmedCount),
            "TS" => long().map(Self::TrimmedSum),
            "PR" => long().filter(|range| matches!(range, Range::Value { .. })).map(Self::PercentileRank),
            _ => None,
        }
    }

    /// Whether the name belongs in the API's `Statistic` (otherwise in `ExtendedStatistic`).
    pub const fn is_simple(self) -> bool {
        matches!(self, Self::SampleCount | Self::Average | Self::Sum | Self::Minimum | Self::Maximum)
    }

    /// Whether totals (count, sum, smallest, largest) are all it reads.
    pub const fn reads_totals(self) -> bool {
        self.is_simple()
    }

    /// The statistic of `aggregate`; `None` when there is no sample, when none lies in the range of a mean, or when it
    /// needs single values and only statistic sets are known.
    pub fn value(self, aggregate: &Aggregate) -> Option<f64> {
        if aggregate.is_empty() {
            return None;
        }
        match self {
            Self::SampleCount => Some(aggregate.count),
            Self::Average => Some(aggregate.sum / aggregate.count),
            Self::Sum => Some(aggregate.sum),
            Self::Distinct => (!aggregate.distinct.is_empty()).then(|| aggregate.distinct.count()),
            Self::Minimum => Some(aggregate.min),
            Self::Maximum => Some(aggregate.max),
            Self::Percentile(p) => {
                let values = known_values(aggregate)?;
                let rank = rank_up(p, aggregate.count);
                // The ends are known exactly even where the values between are not.
                if p <= 0.0 {
                    return Some(aggregate.min);
                }
                if rank >= aggregate.count {
                    return Some(aggregate.max);
                }
                Some(at_rank(&values, rank).clamp(aggregate.min, aggregate.max))
            }
            Self::TrimmedMean(range) => {
                let kept = Kept::of(aggregate, range)?;
                (kept.count > 0.0).then(|| kept.sum / kept.count)
            }
            Self::WinsorizedMean(range) => winsorized_sum(aggregate, range).map(|sum| sum / aggregate.count),
            Self::TrimmedCount(range) => Kept::of(aggregate, range).map(|kept| kept.count),
            Self::TrimmedSum(range) => Kept::of(aggregate, range).map(|kept| kept.sum),
            Self::PercentileRank(range) => {
                Kept::of(aggregate, range).map(|kept| 100.0 * kept.count / aggregate.count)
            }
        }
    }

    /// How many samples a percentile needs to be told apart from chance (`EvaluateLowSampleCountPercentile`):
    /// 10/(1−p) from the median up, 10/p below; 0 for every other statistic.
    pub fn samples_needed(self) -> f64 {
        match self {
            Self::Percentile(p) if p >= 50.0 => 10.0 / (1.0 - p / 100.0),
            Self::Percentile(p) => 10.0 / (p / 100.0),
            _ => 0.0,
        }
    }
}

/// Whether a window can be judged before it closes: what has crossed the line stays across it.
///
/// That is so for `SampleCount`, `Distinct` and `Maximum`, and for `Sum` as long as no sample is negative. A negative sample may
/// take a sum back below the line; then an alarm that fired said what its window held at that moment.
pub const fn can_fire_early(statistic: Statistic, comparison: Comparison) -> bool {
    use Statistic::{Distinct, Maximum, SampleCount, Sum};
    matches!(statistic, Sum | SampleCount | Maximum | Distinct)
        && matches!(comparison, Comparison::GreaterThanThreshold | Comparison::GreaterThanOrEqualToThreshold)
}

/// A percentage from 0 to 100, written in plain digits.
fn percent(digits: &str) -> Option<f64> {
    number(digits).filter(|percent| (0.0..=100.0).contains(percent))
}

/// A number in plain decimal notation: no sign but a leading minus, no exponent, no `inf`.
fn number(digits: &str) -> Option<f64> {
    let plain = digits.strip_prefix('-').unwrap_or(digits);
    let well_formed = plain.starts_with(|c: char| c.is_ascii_digit())
        && plain.ends_with(|c: char| c.is_ascii_digit())
        && plain.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if well_formed { digits.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// `a:b`, `a:` or `:b`, both in percent or both plain values.
fn range(text: &str) -> Option<Range> {
    let (from, to) = text.split_once(':')?;
    if from.is_empty() && to.is_empty() {
        return None;
    }
    if from.ends_with('%') || to.ends_with('%') {
        let end =
            |text: &str, open| if text.is_empty() { Some(open) } else { percent(text.strip_suffix('%')?) };
        let (from, to) = (end(from, 0.0)?, end(to, 100.0)?);
        return (from < to).then_some(Range::Percent { from, to });
    }
    let end = |text: &str| if text.is_empty() { Some(None) } else { number(text).map(Some) };
    let (above, up_to) = (end(from)?, end(to)?);
    let ordered = above.zip(up_to).is_none_or(|(above, up_to)| above < up_to);
    ordered.then_some(Range::Value { above, up_to })
}

/// The values with their counts; `None` when only statistic sets are known and they leave a doubt.
fn known_values(aggregate: &Aggregate) -> Option<Cow<'_, [(f64, f64)]>> {
    if !aggregate.values.is_empty() {
        return Some(Cow::Borrowed(&aggregate.values));
    }
    (aggregate.min == aggregate.max).then(|| Cow::Owned(vec![(aggregate.min, aggregate.count)]))
}

fn rank_up(percent: f64, count: f64) -> f64 {
    (percent * count / 100.0 - RANK_TOLERANCE).ceil().max(0.0)
}

fn rank_down(percent: f64, count: f64) -> f64 {
    (percent * count / 100.0 + RANK_TOLERANCE).floor()
}

/// The value of the sample with this rank, counted from one.
fn at_rank(values: &[(f64, f64)], rank: f64) -> f64 {
    let mut seen = 0.0;
    for (value, count) in values {
        seen += count;
        if seen + RANK_TOLERANCE >= rank {
            return *value;
        }
    }
    values.last().map_or(0.0, |(value, _)| *value)
}

/// What is left of an aggregate inside a range.
struct Kept {
    count: f64,
    sum: f64,
}

impl Kept {
    fn of(aggregate: &Aggregate, range: Range) -> Option<Self> {
        let values = known_values(aggregate)?;
        let mut kept = Self { count: 0.0, sum: 0.0 };
        let mut below: f64 = 0.0;
        for (value, count) in values.iter() {
            let inside = match range {
                Range::Percent { from, to } => {
                    let first = below.max(rank_down(from, aggregate.count));
                    let last = (below + count).min(rank_up(to, aggregate.count));
                    (last - first).max(0.0)
                }
                Range::Value { above, up_to } => {
                    let kept =
                        above.is_none_or(|above| *value > above) && up_to.is_none_or(|up_to| *value <= up_to);
                    if kept { *count } else { 0.0 }
                }
            };
            below += count;
            kept.count += inside;
            kept.sum += inside * value;
        }
        Some(kept)
    }
}

fn winsorized_sum(aggregate: &Aggregate, range: Range) -> Option<f64> {
    let values = known_values(aggregate)?;
    let (low, high) = match range {
        Range::Percent { from, to } => (
            at_rank(&values, rank_down(from, aggregate.count) + 1.0),
            at_rank(&values, rank_up(to, aggregate.count)),
        ),
        Range::Value { above, up_to } => (above.unwrap_or(f64::NEG_INFINITY), up_to.unwrap_or(f64::INFINITY)),
    };
    Some(values.iter().map(|(value, count)| value.max(low).min(high) * count).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: impl IntoIterator<Item = f64>) -> Aggregate {
        let mut aggregate = Aggregate::default();
        values.into_iter().for_each(|value| aggregate.add(value, 1.0));
        aggregate
    }

    #[test]
    fn values_of_one_to_ten() {
        let ten = samples((1..=10).map(f64::from));
        let rows = [
            ("SampleCount", 10.0),
            ("Average", 5.5),
            ("Sum", 55.0),
            ("Minimum", 1.0),
            ("Maximum", 10.0),
            ("p0", 1.0),
            ("p50", 5.0),
            ("p90", 9.0),
            ("p90.1", 10.0),
            ("p100", 10.0),
            ("tm90", 5.0),
            ("tc90", 9.0),
            ("ts90", 45.0),
            ("wm90", 5.4),
            ("TM(10%:90%)", 5.5),
            ("TM(:90%)", 5.0),
            ("TM(80%:)", 9.5),
            ("WM(20%:80%)", (3.0 * 3.0 + 4.0 + 5.0 + 6.0 + 7.0 + 8.0 * 3.0) / 10.0),
            ("IQM", (3.0 + 4.0 + 5.0 + 6.0 + 7.0 + 8.0) / 6.0),
            // The lower bound is left out, the upper kept.
            ("TM(3:6)", 5.0),
            ("TC(3:6)", 3.0),
            ("TS(3:6)", 15.0),
            ("WM(3:6)", (3.0 * 3.0 + 4.0 + 5.0 + 6.0 * 5.0) / 10.0),
            ("PR(3:6)", 30.0),
            ("PR(:6)", 60.0),
            ("PR(6:)", 40.0),
            ("TC(20:30)", 0.0),
        ];
        for (name, expected) in rows {
            let value = Statistic::parse(name).unwrap().value(&ten).unwrap();
            assert!((value - expected).abs() < 1e-9, "{name}: {value} instead of {expected}");
        }
        assert_eq!(Statistic::parse("TM(20:30)").unwrap().value(&ten), None);
    }

    #[test]
    fn alike_samples_are_never_trimmed_away() {
        let alike = samples([5.0; 10]);
        for name in ["tm50", "TM(10%:90%)", "IQM", "wm99", "p37.5"] {
            assert_eq!(Statistic::parse(name).unwrap().value(&alike), Some(5.0), "{name}");
        }
    }

    #[test]
    fn refuses_what_is_no_statistic() {
        for name in [
            "",
            "sum",
            "p",
            "p101",
            "p-1",
            "p1e1",
            "pinf",
            "p1.",
            "tm",
            "tm0",
            "tm101",
            "TM",
            "TM()",
            "TM(:)",
            "TM(10%:5%)",
            "TM(10%:90)",
            "TM(5:5)",
            "TM(10%:90%",
            "PR(10%:90%)",
            "é9",
            "tmé",
        ] {
            assert_eq!(Statistic::parse(name), None, "{name}");
        }
    }

    #[test]
    fn statistic_sets_have_percentiles_only_without_doubt() {
        let p = Statistic::parse("p50").unwrap();
        let doubtful = Aggregate::statistic_set(3.0, 6.0, 1.0, 3.0).unwrap();
        assert_eq!(p.value(&doubtful), None);
        assert_eq!(Statistic::Average.value(&doubtful), Some(2.0));
        assert_eq!(p.value(&Aggregate::statistic_set(1.0, 4.0, 4.0, 4.0).unwrap()), Some(4.0));
        assert_eq!(p.value(&Aggregate::statistic_set(8.0, 16.0, 2.0, 2.0).unwrap()), Some(2.0));
        let mut mixed = samples([1.0, 2.0]);
        mixed.merge(&doubtful);
        assert_eq!(p.value(&mixed), None);
        assert_eq!(Statistic::Sum.value(&mixed), Some(9.0));
    }

    #[test]
    fn nothing_has_no_statistic() {
        for name in ["SampleCount", "Sum", "Average", "p50", "tc90", "PR(1:2)"] {
            assert_eq!(Statistic::parse(name).unwrap().value(&Aggregate::default()), None, "{name}");
        }
    }

    #[test]
    fn fires_early_only_where_a_crossing_stays() {
        use Comparison::{GreaterThanOrEqualToThreshold, GreaterThanThreshold, LessThanThreshold};
        assert!(can_fire_early(Statistic::Sum, GreaterThanThreshold));
        assert!(can_fire_early(Statistic::Maximum, GreaterThanOrEqualToThreshold));
        assert!(!can_fire_early(Statistic::Sum, LessThanThreshold));
        assert!(!can_fire_early(Statistic::Average, GreaterThanThreshold));
        assert!(!can_fire_early(Statistic::Minimum, GreaterThanThreshold));
    }
}
