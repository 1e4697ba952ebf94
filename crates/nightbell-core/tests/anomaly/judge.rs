/*!
Detectors and what they are worth: false alarms a week, planted events found, and how soon.

A detector says for each period whether it would alarm, from nothing but earlier values.
*/

use std::collections::VecDeque;

use nightbell_core::anomaly::{AnomalyDetector, BandComparison, Expectation, Model, Watched, crosses_band};
use nightbell_core::metric::Series;

use super::world::{DAY, HOUR, Kind, PERIOD_S, Story, WEEK, WEEKS, WEEKS_LEARNING, World};

/// What a detector is worth on some series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worth {
    /// Weeks judged.
    pub(crate) weeks: f64,
    /// Alarms outside of what was planted; periods in a row are one alarm.
    pub(crate) false_alarms: usize,
    /// Found and planted: small, middling and large bursts, drops.
    pub(crate) found: [(usize, usize); 4],
    /// Periods from the first of an event to the one that alarmed, summed over events found.
    pub(crate) delay: usize,
}

impl Worth {
    /// What the alarms `breaching` are worth in `world`.
    pub(crate) fn of(world: &World, breaching: &[bool]) -> Self {
        let mut worth = Self { weeks: (WEEKS - WEEKS_LEARNING) as f64, ..Self::default() };
        let mut planted = vec![false; breaching.len()];
        for event in &world.planted {
            planted[event.from..event.to].fill(true);
            let slot = match event.kind {
                Kind::Burst(size) => size,
                Kind::Drop => 3,
            };
            worth.found[slot].1 += 1;
            if let Some(delay) = breaching[event.from..event.to].iter().position(|breach| *breach) {
                worth.found[slot].0 += 1;
                worth.delay += delay;
            }
        }
        let mut alarming = false;
        for at in WEEKS_LEARNING * WEEK..breaching.len() {
            let alarm = breaching[at];
            // What a planted event started goes on: no alarm of its own.
            worth.false_alarms += usize::from(alarm && !alarming && !planted[at]);
            alarming = alarm;
        }
        worth
    }

    /// Adds another series' worth.
    pub(crate) fn add(&mut self, other: &Self) {
        self.weeks += other.weeks;
        self.false_alarms += other.false_alarms;
        self.delay += other.delay;
        for (sum, part) in self.found.iter_mut().zip(other.found) {
            sum.0 += part.0;
            sum.1 += part.1;
        }
    }

    /// False alarms in a week of one series.
    pub(crate) fn false_a_week(&self) -> f64 {
        self.false_alarms as f64 / self.weeks
    }

    /// The share found of one slot of `found`.
    pub(crate) fn share(&self, slot: usize) -> f64 {
        self.found[slot].0 as f64 / self.found[slot].1.max(1) as f64
    }

    /// Mean minutes from the begin of an event to the end of the period that alarmed.
    pub(crate) fn delay_minutes(&self) -> f64 {
        let found: usize = self.found.iter().map(|(found, _)| found).sum();
        (self.delay as f64 / found.max(1) as f64 + 1.0) * PERIOD_S as f64 / 60.0
    }
}

/// The detector for a story.
pub(crate) fn detector(story: Story) -> AnomalyDetector {
    let statistic = if story == Story::Durations { "Average" } else { "Sum" };
    AnomalyDetector {
        watched: Watched::Metric {
            series: Series::new("eu-central-1", "Audit", "Events", Vec::new()),
            statistic: statistic.to_owned(),
        },
        excluded: Vec::new(),
        timezone: None,
        periodic_spikes: story == Story::Spikes,
    }
}

/// Our band, for several widths at once.
pub(crate) fn ours(world: &World, widths: &[f64]) -> Vec<Vec<bool>> {
    let mut model = Model::new(&detector(world.story), PERIOD_S);
    let mut breaching = vec![vec![false; world.values.len()]; widths.len()];
    let mut expected: Option<Expectation> = None;
    for (at, value) in world.values.iter().enumerate() {
        if at % HOUR == 0 {
            expected = model.expect(World::second(at));
        }
        let Some(value) = *value else { continue };
        for (breaching, width) in breaching.iter_mut().zip(widths) {
            let band = expected.and_then(|expected| expected.band(*width));
            let beyond = crosses_band(value, band, BandComparison::LessThanLowerOrGreaterThanUpperThreshold);
            breaching[at] = beyond == Some(true);
        }
        model.learn(World::second(at), value);
    }
    breaching
}

/// Mean and standard deviation of the last `periods` periods, and `sigmas` times that.
pub(crate) fn sigmas_recent(world: &World, periods: usize, sigmas: f64) -> Vec<bool> {
    let mut recent: VecDeque<Option<f64>> = VecDeque::with_capacity(periods + 1);
    let mut sums = Sums::default();
    let mut breaching = Vec::with_capacity(world.values.len());
    for value in &world.values {
        breaching.push(value.is_some_and(|value| sums.crossed(value, sigmas)));
        recent.push_back(*value);
        value.iter().for_each(|value| sums.add(*value, 1.0));
        if recent.len() > periods {
            recent.pop_front().flatten().iter().for_each(|value| sums.add(*value, -1.0));
        }
    }
    breaching
}

/// Mean and standard deviation of the same hour of the week in the four weeks before.
pub(crate) fn sigmas_seasonal(world: &World, sigmas: f64) -> Vec<bool> {
    let mut breaching = vec![false; world.values.len()];
    for from in (0..world.values.len()).step_by(HOUR) {
        let mut sums = Sums::default();
        for week in 1..=4 {
            let Some(past) = from.checked_sub(week * WEEK) else { break };
            world.values[past..past + HOUR].iter().flatten().for_each(|value| sums.add(*value, 1.0));
        }
        let hour = from..from + HOUR;
        for (breaching, value) in breaching[hour.clone()].iter_mut().zip(&world.values[hour]) {
            *breaching = value.is_some_and(|value| sums.crossed(value, sigmas));
        }
    }
    breaching
}

/// Periods of the rolling and of the global window.
pub(crate) const ROLLING: usize = DAY;
pub(crate) const GLOBAL: usize = 2 * WEEK;

#[derive(Default)]
struct Sums {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, value: f64, sign: f64) {
        self.count += sign;
        self.sum += sign * value;
        self.squares += sign * value * value;
    }

    fn crossed(&self, value: f64, sigmas: f64) -> bool {
        let mean = self.sum / self.count;
        let deviation = (self.squares / self.count - mean * mean).max(0.0).sqrt();
        self.count >= HOUR as f64 && (value - mean).abs() > sigmas * deviation
    }
}
