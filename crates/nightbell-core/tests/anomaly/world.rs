/*!
Made-up series with planted events, for judging detectors: weeks of five-minute periods, from a seed.

Each kind is a story an audit log tells. What is planted is known to the judge alone.
*/

/// Seconds of a period.
pub(crate) const PERIOD_S: i64 = 300;
/// Periods of an hour, a day and a week.
pub(crate) const HOUR: usize = 12;
pub(crate) const DAY: usize = 24 * HOUR;
pub(crate) const WEEK: usize = 7 * DAY;
/// Weeks of a series, and how many of them are for learning only.
pub(crate) const WEEKS: usize = 8;
pub(crate) const WEEKS_LEARNING: usize = 2;
/// Monday 2026-03-02, 00:00 UTC.
pub(crate) const START_S: i64 = 1_772_409_600;
/// Planted bursts a week, one of each size twice over, and how many periods they last.
const BURSTS_A_WEEK: usize = 6;
const BURST_PERIODS: usize = 3;
/// Periods of a drop to nothing.
const DROP_PERIODS: usize = HOUR;
/// Periods between two planted events at least.
const APART: usize = 3 * HOUR;

/// The stories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// Failed logons: mostly none.
    Quiet,
    /// Work from eight to six, little at night and at weekends, more bursty than a Poisson count.
    Office,
    /// The same with a batch from two to three each night, and another on Sundays from four to five.
    Batch,
    /// The same as `Office`, growing by 5 % a week, with a holiday, an outage and missing periods.
    Growth,
    /// The same as `Office`, with a spike of one period at 01:00 and at 13:00; the detector is told of spikes.
    Spikes,
    /// A mean of durations: not whole, skewed, higher by day.
    Durations,
}

pub(crate) const STORIES: [Story; 6] =
    [Story::Quiet, Story::Office, Story::Batch, Story::Growth, Story::Spikes, Story::Durations];

/// What was planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// More than usual: 0 small, 1 middling, 2 large.
    Burst(usize),
    /// Nothing at all in working hours.
    Drop,
}

/// One planted event: its periods.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planted {
    pub(crate) kind: Kind,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// A series.
pub(crate) struct World {
    pub(crate) story: Story,
    /// By period; `None` is no data.
    pub(crate) values: Vec<Option<f64>>,
    pub(crate) planted: Vec<Planted>,
}

impl World {
    /// The story as `seed` tells it.
    pub(crate) fn new(story: Story, seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (story as u64 + 1));
        let planted = plant(story, &mut chance);
        let mut values: Vec<Option<f64>> =
            (0..WEEKS * WEEK).map(|at| Some(story.draw(at, &mut chance))).collect();
        for event in &planted {
            for value in &mut values[event.from..event.to] {
                *value = Some(match event.kind {
                    Kind::Drop => 0.0,
                    Kind::Burst(size) => value.unwrap_or(0.0) + story.extra(size, &mut chance),
                });
            }
        }
        if story == Story::Growth {
            lose(&mut values, &planted, &mut chance);
        }
        Self { story, values, planted }
    }

    /// The first second of period `at`.
    pub(crate) fn second(at: usize) -> i64 {
        START_S + at as i64 * PERIOD_S
    }
}

impl Story {
    /// The expected value of period `at`.
    fn rate(self, at: usize) -> f64 {
        let (day, hour) = (at / DAY, (at % DAY) as f64 / HOUR as f64);
        let weekend = day % 7 >= 5;
        let holiday = self == Self::Growth && day == 4 * 7 + 2;
        let work = (-((hour - 13.0) / 4.0).powi(4)).exp();
        let office = 3.0 + if weekend || holiday { 4.0 } else { 60.0 } * work;
        match self {
            Self::Quiet => 0.05 + 0.25 * work,
            Self::Office => office,
            Self::Batch if (2.0..3.0).contains(&hour) => office + 250.0,
            Self::Batch if day % 7 == 6 && (4.0..5.0).contains(&hour) => office + 400.0,
            Self::Batch => office,
            Self::Growth => office * 1.05_f64.powf(at as f64 / WEEK as f64),
            Self::Spikes if at % DAY == HOUR || at % DAY == 13 * HOUR => office + 150.0,
            Self::Spikes => office,
            Self::Durations => 0.05 + 0.1 * work,
        }
    }

    fn draw(self, at: usize, chance: &mut Chance) -> f64 {
        let rate = self.rate(at);
        match self {
            Self::Quiet => chance.poisson(rate),
            Self::Durations => rate * (0.25 * chance.normal()).exp(),
            _ => chance.bursty(rate),
        }
    }

    /// What a burst adds to a period.
    fn extra(self, size: usize, chance: &mut Chance) -> f64 {
        match self {
            Self::Quiet => chance.poisson([3.0, 10.0, 40.0][size]),
            Self::Durations => [0.05, 0.15, 0.5][size],
            _ => chance.poisson([10.0, 30.0, 100.0][size]),
        }
    }
}

/// Bursts at any time, drops in working hours, never close to each other.
fn plant(story: Story, chance: &mut Chance) -> Vec<Planted> {
    let mut planted: Vec<Planted> = Vec::new();
    for week in WEEKS_LEARNING..WEEKS {
        for n in 0..=BURSTS_A_WEEK {
            let drop = n == BURSTS_A_WEEK;
            if drop && matches!(story, Story::Quiet) {
                continue;
            }
            let event = loop {
                let at = week * WEEK + (chance.uniform() * (WEEK - DROP_PERIODS) as f64) as usize;
                let (from, kind) = if drop {
                    // Monday to Friday, but not Wednesday, which may be a holiday; ten to fifteen.
                    let day = [0, 1, 3, 4][at % 4];
                    (week * WEEK + day * DAY + 10 * HOUR + at % (5 * HOUR), Kind::Drop)
                } else {
                    (at, Kind::Burst(n % 3))
                };
                let to = from + if drop { DROP_PERIODS } else { BURST_PERIODS };
                let apart = |other: &Planted| to + APART <= other.from || other.to + APART <= from;
                if planted.iter().all(apart) {
                    break Planted { kind, from, to };
                }
            };
            planted.push(event);
        }
    }
    planted
}

/// One period in a hundred is missing, and so is a whole half day.
fn lose(values: &mut [Option<f64>], planted: &[Planted], chance: &mut Chance) {
    let outage = 3 * WEEK + 3 * DAY..3 * WEEK + 3 * DAY + DAY / 2;
    for (at, value) in values.iter_mut().enumerate() {
        let spared = planted.iter().any(|event| (event.from..event.to).contains(&at));
        if !spared && (outage.contains(&at) || chance.uniform() < 0.01) {
            *value = None;
        }
    }
}

/// Chance from a seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, neither included.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A Poisson count, in parts small enough for the product of uniforms.
    fn poisson(&mut self, rate: f64) -> f64 {
        let (mut left, mut count) = (rate, 0.0);
        while left > 0.0 {
            let part = left.min(30.0);
            left -= part;
            let (end, mut product) = ((-part).exp(), self.uniform());
            while product > end {
                count += 1.0;
                product *= self.uniform();
            }
        }
        count
    }

    /// A count more scattered than Poisson: negative binomial, variance rate + rate² / 20.
    fn bursty(&mut self, rate: f64) -> f64 {
        const SHAPE: f64 = 20.0;
        let gamma = self.gamma(SHAPE);
        self.poisson(rate * gamma / SHAPE)
    }

    /// Marsaglia and Tsang's method, for a shape over 1.
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }
}
