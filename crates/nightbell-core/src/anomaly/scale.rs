/*!
The scale on which values are averaged and told apart.

On the scale of square roots a count varies about alike, by a half, whatever its level (the transform of Anscombe),
and the long upper tail of bursty counts is shortened. Numbers of either sign are taken as they are. Here stand also the
robust centre and spread of a handful of numbers, and the least spread that is believed.
*/

/// What kind of numbers a series has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Whole numbers from 0 on.
    Counts,
    /// Numbers from 0 on.
    Amounts,
    /// Any numbers.
    Signed,
}

/// Added to a count before its root is drawn, so that small counts vary alike as well.
const ANSCOMBE: f64 = 0.375;
/// Standard deviation of a Poisson count on the scale of roots.
const POISSON_SPREAD: f64 = 0.5;
/// Least spread of a series that never moves, as a share of its level.
const SHARE_OF_LEVEL_MIN: f64 = 0.01;
/// Least spread of an hour that never moves, as a share of the spread of all hours.
const SHARE_OF_SPREAD_MIN: f64 = 0.01;
/// From the median absolute deviation to the standard deviation of normal numbers.
const MAD_TO_SPREAD: f64 = 1.482_6;
/// Spreads from the centre within which a number counts in full (Huber's estimate of a centre).
pub(super) const HUBER_SPREADS: f64 = 1.5;
/// Spreads at which a deviation is cut off before it is squared.
pub(super) const CUT_SPREADS: f64 = 3.0;
/// Steps of Huber's estimate; it is as good as settled after a few.
const HUBER_STEPS: usize = 8;

impl Scale {
    /// A value as a place on this scale.
    pub(super) fn place(self, value: f64) -> f64 {
        match self {
            Self::Counts => (value.max(0.0) + ANSCOMBE).sqrt(),
            Self::Amounts => value.max(0.0).sqrt(),
            Self::Signed => value,
        }
    }

    /// The value at a place. Places below all values stand for the smallest value.
    pub(super) fn value(self, place: f64) -> f64 {
        match self {
            Self::Counts => (place.max(0.0).powi(2) - ANSCOMBE).max(0.0),
            Self::Amounts => place.max(0.0).powi(2),
            Self::Signed => place,
        }
    }

    /// The least spread that is believed around `place`, where all that is known spreads by `overall`.
    pub(super) fn least_spread(self, place: f64, overall: f64) -> f64 {
        let quiet = overall * SHARE_OF_SPREAD_MIN;
        match self {
            Self::Counts => POISSON_SPREAD.max(place * SHARE_OF_LEVEL_MIN / 2.0),
            // A share of a value is half that share of its root.
            Self::Amounts => quiet.max(place * SHARE_OF_LEVEL_MIN / 2.0),
            Self::Signed => quiet.max(place.abs() * SHARE_OF_LEVEL_MIN),
        }
    }
}

/// The middle of `numbers`, which it sorts; 0 of none.
pub(super) fn median(numbers: &mut [f64]) -> f64 {
    if numbers.is_empty() {
        return 0.0;
    }
    let middle = numbers.len() / 2;
    let odd = numbers.len() % 2 == 1;
    let (below, upper, _) = numbers.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    lower + (upper - lower) / 2.0
}

/// Spread around `centre` by the median absolute deviation: half of the numbers may be anything.
pub(super) fn median_spread(numbers: &[f64], centre: f64) -> f64 {
    let mut away: Vec<f64> = numbers.iter().map(|number| (number - centre).abs()).collect();
    MAD_TO_SPREAD * median(&mut away)
}

/// Huber's estimate of the centre, from `start` on: numbers that are further off than [`HUBER_SPREADS`] × `spread`
/// pull no more than one that is just as far.
pub(super) fn centre(numbers: &[f64], start: f64, spread: f64) -> f64 {
    if numbers.is_empty() || spread <= 0.0 {
        return start;
    }
    let reach = HUBER_SPREADS * spread;
    let mut centre = start;
    for _ in 0..HUBER_STEPS {
        let pulls: f64 = numbers.iter().map(|number| (number - centre).clamp(-reach, reach)).sum();
        centre += pulls / numbers.len() as f64;
    }
    centre
}

/// Sum of the squared deviations from `centre`, each cut off at [`CUT_SPREADS`] × `spread`.
pub(super) fn cut_squares(numbers: &[f64], centre: f64, spread: f64) -> f64 {
    let reach = CUT_SPREADS * spread;
    numbers.iter().map(|number| (number - centre).abs().min(reach).powi(2)).sum()
}
