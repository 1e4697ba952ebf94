/*!
Series, and numbers folded per series and second.

A fold is associative and commutative, so arrival order does not matter. Which statistic is read off an [`Aggregate`]
is `crate::statistic`'s business, which seconds are folded together `crate::window`'s.
*/

use serde::{Deserialize, Serialize};

use crate::distinct::Distinct;
use crate::evidence::Evidence;

/// Units that data may be stored with ("MetricDatum", CloudWatch API Reference).
pub const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// What a data point belongs to. Two series differ when any part differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Series {
    /// The site it was counted in.
    pub region: String,
    /// Namespace, 1 to 255 characters.
    pub namespace: String,
    /// Metric name, 1 to 255 characters.
    pub name: String,
    /// Dimensions as (name, value), sorted by name, each name once.
    pub dimensions: Vec<(String, String)>,
}

/// Characters in a namespace, a metric name, or a dimension's name (PutMetricData).
pub const NAME_CHARS_MAX: usize = 255;
/// Characters in a dimension's value (PutMetricData).
pub const DIMENSION_VALUE_CHARS_MAX: usize = 1_024;
/// Dimensions of one series (PutMetricData).
pub const DIMENSIONS_MAX: usize = 30;
/// Largest magnitude of a sample: 2^360 (PutMetricData).
pub const SAMPLE_MAGNITUDE_MAX: f64 = f64::from_bits((1_023 + 360) << 52);

/// Which limit a [`Series`] breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct SeriesError {
    /// The API's name of the part: `Namespace`, `MetricName` or `Dimensions`.
    pub field: &'static str,
    /// What it must be, ready to follow the name.
    pub rule: String,
}

impl Series {
    /// A series with its dimensions put into order.
    pub fn new(region: &str, namespace: &str, name: &str, mut dimensions: Vec<(String, String)>) -> Self {
        dimensions.sort();
        Self { region: region.to_owned(), namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
    }

    /// Whether names and dimensions are inside the limits of the API.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub fn check(&self) -> Result<(), SeriesError> {
        let named = |field, text: &str, chars_max: usize| {
            let chars = text.chars().take(chars_max + 1).count();
            let rule = format!("must have 1 to {chars_max} characters");
            if (1..=chars_max).contains(&chars) { Ok(()) } else { Err(SeriesError { field, rule }) }
        };
        named("Namespace", &self.namespace, NAME_CHARS_MAX)?;
        named("MetricName", &self.name, NAME_CHARS_MAX)?;
        let dimensions = |rule: String| SeriesError { field: "Dimensions", rule };
        if self.dimensions.len() > DIMENSIONS_MAX {
            return Err(dimensions(format!("must be at most {DIMENSIONS_MAX}")));
        }
        for (name, value) in &self.dimensions {
            named("Dimensions", name, NAME_CHARS_MAX)?;
            named("Dimensions", value, DIMENSION_VALUE_CHARS_MAX)?;
        }
        if self.dimensions.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(dimensions("must be sorted by name, each name once".to_owned()));
        }
        Ok(())
    }
}

/// Samples folded together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// `SampleCount`; fractional counts come from pre-aggregated data.
    pub count: f64,
    /// Sum of the samples.
    pub sum: f64,
    /// Smallest sample.
    pub min: f64,
    /// Largest sample.
    pub max: f64,
    /// Samples as (value, count), sorted by value, for percentiles; empty when only a statistic set is known.
    pub values: Vec<(f64, f64)>,
    /// How coarsely `values` are told apart: 0 exactly; from 1 on, values share buckets of a relative width that
    /// starts at 2 % (an error of at most 1 %) and doubles with each step. Raised only when more than
    /// [`DISTINCT_VALUES_MAX`] values would have to be kept.
    pub coarseness: u8,
    /// The keys of samples that were counted by key; empty for all others.
    pub distinct: Distinct,
}

/// Distinct values kept per [`Aggregate`]; past it values that are close share a bucket.
pub const DISTINCT_VALUES_MAX: usize = 1_024;

/// Widest bucket step; at it a bucket spans the whole range of a double, so any set of values fits.
const COARSENESS_MAX: u8 = 24;

impl Default for Aggregate {
    fn default() -> Self {
        Self {
            count: 0.0,
            sum: 0.0,
            min: 0.0,
            max: 0.0,
            values: Vec::new(),
            coarseness: 0,
            distinct: Distinct::default(),
        }
    }
}

impl Aggregate {
    /// One sample of value 1 with a key: of samples with equal keys [`Statistic::Distinct`](crate::statistic::Statistic)
    /// counts one.
    pub fn keyed(key: u64) -> Self {
        let mut aggregate = Self::one(1.0);
        aggregate.distinct.insert(key);
        aggregate
    }

    /// One sample. A value that is not finite gives no sample at all.
    pub fn one(value: f64) -> Self {
        let mut aggregate = Self::default();
        aggregate.add(value, 1.0);
        aggregate
    }

    /// A statistic set as it came by PutMetricData: percentiles are known only where there can be no doubt about them
    /// (one sample, or all alike). `None` when the numbers are not finite or contradict each other.
    pub fn statistic_set(count: f64, sum: f64, min: f64, max: f64) -> Option<Self> {
        let plausible =
            [count, sum, min, max].iter().all(|number| number.is_finite()) && count > 0.0 && min <= max;
        let values = if count == 1.0 || min == max { vec![(min, count)] } else { Vec::new() };
        plausible.then(|| Self { count, sum, min, max, values, ..Self::default() })
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.count <= 0.0
    }

    /// Adds `count` samples of `value`; ignored unless both are finite and `count` is positive.
    pub fn add(&mut self, value: f64, count: f64) {
        if !value.is_finite() || !count.is_finite() || count <= 0.0 {
            return;
        }
        let value = value + 0.0; // -0.0 and 0.0 are one value
        let known = self.is_empty() || !self.values.is_empty();
        self.add_totals(count, value * count, value, value);
        if known {
            self.insert(bucket_value(value, self.coarseness), count);
            self.coarsen_to_fit();
        }
    }

    /// Folds `other` in. Samples whose values are unknown (statistic sets) leave the whole without percentiles.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.distinct.merge(&other.distinct);
        let known = (self.is_empty() || !self.values.is_empty()) && !other.values.is_empty();
        self.add_totals(other.count, other.sum, other.min, other.max);
        if !known {
            self.values.clear();
            self.coarseness = 0;
            return;
        }
        if other.coarseness > self.coarseness {
            self.coarsen_to(other.coarseness);
        }
        for (value, count) in &other.values {
            self.insert(bucket_value(*value, self.coarseness), *count);
            self.coarsen_to_fit();
        }
    }

    /// Folds in `other`'s count, sum, smallest and largest only; the result has no percentiles.
    pub fn merge_totals(&mut self, other: &Self) {
        if !other.is_empty() {
            self.add_totals(other.count, other.sum, other.min, other.max);
            self.values.clear();
            self.coarseness = 0;
        }
    }

    fn add_totals(&mut self, count: f64, sum: f64, min: f64, max: f64) {
        if self.is_empty() {
            (self.min, self.max) = (min, max);
        }
        self.count += count;
        self.sum += sum;
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }

    fn insert(&mut self, value: f64, count: f64) {
        match self.values.binary_search_by(|(held, _)| held.total_cmp(&value)) {
            Ok(at) => self.values[at].1 += count,
            Err(at) => self.values.insert(at, (value, count)),
        }
    }

    /// Raises the coarseness until the values fit. The level reached depends on the set of values alone: a level that
    /// is too fine for a part of them is too fine for all, and buckets nest. So order and batching do not matter.
    fn coarsen_to_fit(&mut self) {
        while self.values.len() > DISTINCT_VALUES_MAX && self.coarseness < COARSENESS_MAX {
            self.coarsen_to(self.coarseness + 1);
        }
    }

    fn coarsen_to(&mut self, coarseness: u8) {
        self.coarseness = coarseness;
        for (value, count) in std::mem::take(&mut self.values) {
            self.insert(bucket_value(value, coarseness), count);
        }
    }
}

/// The value that stands for `value` at `coarseness`: the middle of its bucket.
///
/// Buckets lie between powers of [`BUCKET_RATIO`]; each step joins two neighbours. Zero is a bucket of its own.
fn bucket_value(value: f64, coarseness: u8) -> f64 {
    if coarseness == 0 {
        return value;
    }
    if value.abs() < f64::MIN_POSITIVE {
        return 0.0;
    }
    let width = 1_i64 << (coarseness - 1);
    let finest = (value.abs().ln() / BUCKET_RATIO.ln()).floor() as i64;
    let start = finest.div_euclid(width) * width;
    // The middle by ratio, taken in the exponent; held inside the range of a double for the widest buckets.
    let exponent = (start as f64 + width as f64 / 2.0) * BUCKET_RATIO.ln();
    exponent.clamp(f64::MIN_POSITIVE.ln(), f64::MAX.ln()).exp().copysign(value)
}

/// Ratio of the ends of the finest bucket; its middle by ratio is within 1 % of both.
const BUCKET_RATIO: f64 = 1.02;

/// Samples of one series in one second of event time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Datum {
    /// The series.
    pub series: Series,
    /// The second of event time, since 1970 UTC.
    pub second: i64,
    /// The unit it was stored with (`Count`, …); `None` is CloudWatch's `None`.
    pub unit: Option<String>,
    /// The samples.
    pub aggregate: Aggregate,
    /// What the events behind it have to say; empty for numbers that came as numbers.
    pub evidence: Evidence,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statistic::Statistic;

    fn folded(values: &[f64]) -> Aggregate {
        let mut aggregate = Aggregate::default();
        values.iter().for_each(|value| aggregate.add(*value, 1.0));
        aggregate
    }

    #[test]
    fn keeps_values_exactly_up_to_the_cap() {
        let exact: Vec<f64> = (0..DISTINCT_VALUES_MAX).map(|i| i as f64 * 1.7).collect();
        let aggregate = folded(&exact);
        assert_eq!((aggregate.coarseness, aggregate.values.len()), (0, DISTINCT_VALUES_MAX));
        assert!(aggregate.values.iter().map(|(value, _)| *value).eq(exact));
    }

    #[test]
    fn past_the_cap_values_are_within_one_percent() {
        let many: Vec<f64> = (1..=50_000).map(|i| f64::from(i) * 0.37).collect();
        let aggregate = folded(&many);
        assert_eq!(aggregate.coarseness, 1);
        assert!(aggregate.values.len() <= DISTINCT_VALUES_MAX);
        for p in ["p1", "p10", "p50", "p99", "p99.9"] {
            let value = Statistic::parse(p).unwrap().value(&aggregate).unwrap();
            let exact = p[1..].parse::<f64>().unwrap() * 500.0 * 0.37;
            assert!((value / exact - 1.0).abs() < 0.01, "{p}: {value} for {exact}");
        }
    }

    #[test]
    fn any_range_of_values_fits() {
        let wild: Vec<f64> = (-1_000..1_000).map(|i| f64::powi(2.0, i % 360) * f64::from(i)).collect();
        let mut aggregate = folded(&wild);
        assert!(aggregate.values.len() <= DISTINCT_VALUES_MAX);
        aggregate.coarsen_to(COARSENESS_MAX);
        assert!(aggregate.values.len() <= 5);
        assert_eq!(aggregate.count, 2_000.0);
    }

    #[test]
    fn what_is_no_sample_changes_nothing() {
        let mut aggregate = Aggregate::one(1.0);
        for (value, count) in
            [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (1.0, 0.0), (1.0, -1.0), (1.0, f64::NAN)]
        {
            aggregate.add(value, count);
        }
        aggregate.merge(&Aggregate::default());
        assert_eq!(aggregate, Aggregate::one(1.0));
        assert!(Aggregate::one(f64::NAN).is_empty());
        assert_eq!(Aggregate::statistic_set(1.0, 1.0, 2.0, 1.0), None);
        assert_eq!(Aggregate::statistic_set(0.0, 1.0, 1.0, 1.0), None);
    }

    #[test]
    fn minus_zero_is_zero() {
        let mut aggregate = Aggregate::one(0.0);
        aggregate.add(-0.0, 1.0);
        assert_eq!(aggregate.values, [(0.0, 2.0)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// A fold does not depend on order or batching, also past the cap.
        #[test]
        fn folds_alike_in_any_order(
            values in prop::collection::vec(-30_000..30_000_i32, 0..3_000),
            cut in 0..3_000_usize,
        ) {
            let values: Vec<f64> = values.into_iter().map(|value| f64::from(value) * 0.5).collect();
            let forward = folded(&values);
            let (head, tail) = values.split_at(cut.min(values.len()));
            let mut joined = folded(tail);
            joined.merge(&folded(head));
            prop_assert_eq!(&forward, &joined);
            let backward: Vec<f64> = values.iter().rev().copied().collect();
            prop_assert_eq!(forward, folded(&backward));
        }
    }
}
