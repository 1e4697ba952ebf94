/*!
[`Curve`]: how an incident went over time, in a bounded number of buckets.

A fold: the same data in any order gives the same curve. Buckets stand at whole multiples of their width and become wider
as the incident grows longer, each width a multiple of the one before. Knows seconds and numbers; what they mean, and how
they are drawn, is for whoever writes the message.
*/

use serde::{Deserialize, Serialize};

use super::{Extreme, finite_sum};

/// Buckets of a curve.
pub const CURVE_BUCKETS_MAX: usize = 120;
/// Buckets that are left when memory is short.
const SHORT_BUCKETS_MAX: usize = 24;
/// Widths of a bucket in seconds; past the last, each is twice the one before. Each is a multiple of the one before.
const WIDTHS_S: [i64; 13] = [1, 5, 15, 30, 60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, DAY_S];
const DAY_S: i64 = 86_400;
/// Seconds of event time beyond are held at it: 31 December 9999.
const SECOND_MAX: i64 = 253_402_300_799;

/// What fell into one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// What the samples add up to, see [`Incident::count`](super::Incident::count).
    pub count: f64,
    /// The worst of the windows that ended in it, where one was measured.
    pub worst: Option<f64>,
}

/// What happened over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    width_s: i64,
    /// The number of the first bucket: its start divided by the width.
    first: i64,
    buckets: Vec<Bucket>,
    extreme: Extreme,
    lumped: bool,
    given_up: bool,
}

impl Curve {
    /// A curve without data; `extreme` says which of several windows is the worst.
    pub fn new(extreme: Extreme) -> Self {
        Self { width_s: WIDTHS_S[0], first: 0, buckets: Vec::new(), extreme, lumped: false, given_up: false }
    }

    /// Whether there is nothing to be shown.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Whether what came first is one number at the end of its window, because its seconds were not known.
    pub fn is_lumped(&self) -> bool {
        self.lumped
    }

    /// Seconds that a bucket covers.
    pub fn width_s(&self) -> i64 {
        self.width_s
    }

    /// The first second of event time of the first bucket.
    pub fn start_second(&self) -> i64 {
        self.first.saturating_mul(self.width_s)
    }

    /// The buckets without a gap, oldest first; at most [`CURVE_BUCKETS_MAX`].
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// The same in buckets of the next width.
    #[must_use]
    pub fn coarser(mut self) -> Self {
        self.widen();
        self
    }

    /// Counts `value` in at `second`.
    pub(super) fn count(&mut self, second: i64, value: f64) {
        self.fold(second, |bucket, _| bucket.count = finite_sum(bucket.count, value));
    }

    /// Counts `value` in at `second`, which stands for a stretch that ends there.
    pub(super) fn lump(&mut self, second: i64, value: f64) {
        self.count(second, value);
        self.lumped = true;
    }

    /// Sees a window whose last second is `second`.
    pub(super) fn see(&mut self, second: i64, value: f64) {
        self.fold(second, |bucket, extreme| {
            bucket.worst = Some(bucket.worst.map_or(value, |held| worse(extreme, held, value)));
        });
    }

    /// Bytes that its buckets take.
    pub(super) fn bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }

    /// Takes less memory: few wide buckets.
    pub(super) fn shorten(&mut self) {
        while self.buckets.len() > SHORT_BUCKETS_MAX {
            self.widen();
        }
        self.buckets.shrink_to_fit();
    }

    /// Takes no memory any more, for good: half a curve would be a wrong one.
    pub(super) fn give_up(&mut self) {
        self.buckets = Vec::new();
        self.given_up = true;
    }

    fn fold(&mut self, second: i64, change: impl FnOnce(&mut Bucket, Extreme)) {
        if self.given_up {
            return;
        }
        let second = second.clamp(-SECOND_MAX, SECOND_MAX);
        if self.buckets.is_empty() {
            self.first = second.div_euclid(self.width_s);
            self.buckets.push(Bucket::default());
        }
        while self.spanned(second) > CURVE_BUCKETS_MAX as i64 {
            self.widen();
        }
        let place = second.div_euclid(self.width_s);
        if place < self.first {
            let before = (self.first - place) as usize;
            self.buckets.splice(0..0, std::iter::repeat_n(Bucket::default(), before));
            self.first = place;
        }
        let index = (place - self.first) as usize;
        if index >= self.buckets.len() {
            self.buckets.resize(index + 1, Bucket::default());
        }
        change(&mut self.buckets[index], self.extreme);
    }

    /// How many buckets there would be with one for `second`.
    fn spanned(&self, second: i64) -> i64 {
        let place = second.div_euclid(self.width_s);
        let last = self.first + self.buckets.len() as i64 - 1;
        last.max(place) - self.first.min(place) + 1
    }

    fn widen(&mut self) {
        let next = WIDTHS_S.into_iter().find(|width| *width > self.width_s);
        let width_s = next.unwrap_or_else(|| self.width_s.saturating_mul(2));
        let factor = (width_s / self.width_s).max(1);
        let first = self.first.div_euclid(factor);
        let mut wide: Vec<Bucket> = Vec::with_capacity(self.buckets.len() / factor as usize + 2);
        for (place, bucket) in (self.first..).zip(&self.buckets) {
            match wide.get_mut((place.div_euclid(factor) - first) as usize) {
                Some(held) => held.merge(bucket, self.extreme),
                None => wide.push(*bucket),
            }
        }
        (self.width_s, self.first, self.buckets) = (width_s, first, wide);
    }
}

impl Bucket {
    fn merge(&mut self, other: &Self, extreme: Extreme) {
        self.count = finite_sum(self.count, other.count);
        self.worst = match (self.worst, other.worst) {
            (Some(one), Some(another)) => Some(worse(extreme, one, another)),
            (one, another) => one.or(another),
        };
    }
}

fn worse(extreme: Extreme, one: f64, another: f64) -> f64 {
    match extreme {
        Extreme::Highest => one.max(another),
        Extreme::Lowest => one.min(another),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn curve(counted: &[(i64, u32)]) -> Curve {
        let mut curve = Curve::new(Extreme::Highest);
        for &(second, value) in counted {
            curve.count(second, f64::from(value));
            curve.see(second, f64::from(value));
        }
        curve
    }

    #[test]
    fn buckets_become_wider_as_it_grows_longer() {
        let rows = [(0, 1, 1), (119, 1, 120), (120, 5, 25), (599, 5, 120), (600, 15, 41), (3_600, 60, 61)];
        for (last, width_s, buckets) in rows {
            let curve = curve(&[(0, 1), (last, 2)]);
            assert_eq!((curve.width_s(), curve.buckets().len()), (width_s, buckets), "{last}");
        }
        let curve = curve(&[(59, 1), (60, 2), (-1, 4), (200, 8)]);
        assert_eq!((curve.width_s(), curve.start_second()), (5, -5));
        let told: Vec<(usize, f64)> = curve.buckets().iter().map(|bucket| bucket.count).enumerate().collect();
        let told: Vec<_> = told.into_iter().filter(|(_, count)| *count > 0.0).collect();
        assert_eq!(told, [(0, 4.0), (12, 1.0), (13, 2.0), (41, 8.0)]);
        assert_eq!(curve.coarser().width_s(), 15);
    }

    #[test]
    fn each_width_is_a_multiple_of_the_one_before() {
        assert!(WIDTHS_S.windows(2).all(|pair| pair[1] > pair[0] && pair[1] % pair[0] == 0));
    }

    #[test]
    fn instants_at_the_end_of_time_end_no_program() {
        let curve = curve(&[(i64::MIN, 1), (0, 2), (i64::MAX, 4)]);
        assert!(curve.buckets().len() <= CURVE_BUCKETS_MAX);
        assert_eq!(curve.buckets().iter().map(|bucket| bucket.count).sum::<f64>(), 7.0);
    }

    #[test]
    fn what_was_given_up_stays_so_and_what_is_short_keeps_its_sum() {
        let mut short = curve(&[(0, 1), (100, 2), (7, 4)]);
        short.shorten();
        assert!(short.buckets().len() <= SHORT_BUCKETS_MAX);
        assert_eq!(short.buckets().iter().map(|bucket| bucket.count).sum::<f64>(), 7.0);
        short.give_up();
        short.count(0, 1.0);
        assert!(short.is_empty() && short.bytes() == 0);
    }

    proptest! {
        #[test]
        fn the_order_of_data_changes_nothing(
            counted in prop::collection::vec((-400_000_i64..400_000, 0_u32..9), 0..60),
            mix in any::<prop::sample::Index>(),
            lowest in any::<bool>(),
        ) {
            let extreme = if lowest { Extreme::Lowest } else { Extreme::Highest };
            let fold = |counted: &[(i64, u32)]| {
                let mut curve = Curve::new(extreme);
                for &(second, value) in counted {
                    curve.count(second, f64::from(value));
                    curve.see(second, f64::from(value));
                }
                curve
            };
            let mut other = counted.clone();
            other.reverse();
            if !other.is_empty() {
                let len = other.len();
                other.rotate_left(mix.index(len));
            }
            let curve = fold(&counted);
            prop_assert_eq!(&curve, &fold(&other));
            prop_assert!(curve.buckets().len() <= CURVE_BUCKETS_MAX);
            // As a list and a sum say it.
            for (place, bucket) in curve.buckets().iter().enumerate() {
                let from = curve.start_second() + place as i64 * curve.width_s();
                let here = || {
                    let to = from + curve.width_s();
                    counted.iter().filter(move |(second, _)| (from..to).contains(second)).map(|(_, value)| *value)
                };
                prop_assert_eq!(bucket.count, f64::from(here().sum::<u32>()));
                let worst = if lowest { here().min() } else { here().max() };
                prop_assert_eq!(bucket.worst, worst.map(f64::from));
            }
        }
    }
}
