/*!
The detectors of augurs, put to the same task: is this period strange, judged from earlier ones.

None of them does this as it stands. Outlier detection compares series of a group, so the hours of earlier days are made
the group; MSTL forecasts hours, a day ahead; change points need the whole series and are told afterwards.
*/

use augurs_changepoint::{Detector, NormalGammaDetector};
use augurs_core::{Fit, Predict};
use augurs_ets::AutoETS;
use augurs_ets::trend::AutoETSTrendModel;
use augurs_mstl::MSTLModel;
use augurs_outlier::{DbscanDetector, MADDetector, OutlierDetector, OutlierOutput};

use super::world::{DAY, HOUR, WEEK, World};

/// Days, and weeks of hours, that a period is compared with.
const DAYS: usize = 14;
const HOURS: usize = 4 * WEEK / HOUR;
const DAY_H: usize = DAY / HOUR;
const WEEK_H: usize = WEEK / HOUR;

/// The median absolute deviation of augurs among the same hours of two weeks.
pub fn mad(world: &World, threshold: f64) -> Vec<bool> {
    by_hours(world, |group| {
        let detector = MADDetector::with_threshold(threshold);
        detector.detect(&detector.preprocess(group).ok()?).ok()
    })
}

/// DBSCAN among the same hours of two weeks.
pub fn dbscan(world: &World, sensitivity: f64) -> Vec<bool> {
    let detector = DbscanDetector::with_sensitivity(sensitivity).expect("between 0 and 1");
    by_hours(world, |group| detector.detect(&detector.preprocess(group).ok()?).ok())
}

/// Each hour as the last of a group: the same hour of the days before.
fn by_hours(world: &World, detect: impl Fn(&[&[f64]]) -> Option<OutlierOutput>) -> Vec<bool> {
    let values = filled(world);
    let mut breaching = vec![false; values.len()];
    for from in (DAYS * DAY..values.len()).step_by(HOUR) {
        let group: Vec<&[f64]> =
            (0..=DAYS).rev().map(|days| &values[from - days * DAY..from - days * DAY + HOUR]).collect();
        let Some(output) = detect(&group) else { continue };
        for interval in &output.series_results[DAYS].outlier_intervals.intervals {
            breaching[from + interval.start..from + interval.end.unwrap_or(HOUR)].fill(true);
        }
    }
    breaching
}

/// Each day's hours forecast from four weeks by MSTL with an ETS trend; a deviation is that of the periods in those
/// weeks from what was fitted.
pub fn mstl(world: &World, sigmas: f64) -> Vec<bool> {
    let values = filled(world);
    let hourly: Vec<f64> = values.chunks(HOUR).map(|hour| hour.iter().sum::<f64>() / HOUR as f64).collect();
    let mut breaching = vec![false; values.len()];
    for day in (2 * WEEK_H..hourly.len()).step_by(DAY_H) {
        let past = &hourly[day.saturating_sub(HOURS)..day];
        let trend = AutoETSTrendModel::from(AutoETS::non_seasonal());
        // The weekly season needs more than two weeks.
        let seasons = if past.len() > 2 * WEEK_H { vec![DAY_H, WEEK_H] } else { vec![DAY_H] };
        let Ok(fitted) = MSTLModel::new(seasons, trend).fit(past) else { continue };
        let Ok(forecast) = fitted.predict(DAY_H, None) else { continue };
        let remainder = fitted.fit().remainder();
        let begin = (day - past.len()) * HOUR;
        let squares: f64 = values[begin..day * HOUR]
            .iter()
            .enumerate()
            .map(|(at, value)| (value - (past[at / HOUR] - f64::from(remainder[at / HOUR]))).powi(2))
            .sum();
        let deviation = (squares / (past.len() * HOUR) as f64).sqrt();
        for at in 0..DAY {
            let off = (values[day * HOUR + at] - forecast.point[at / HOUR]).abs();
            breaching[day * HOUR + at] = off > sigmas * deviation;
        }
    }
    breaching
}

/// Bayesian change points of the hours, scaled by the first two weeks; the hour of a change alarms.
pub fn change_points(world: &World) -> Vec<bool> {
    let values = filled(world);
    let hourly: Vec<f64> = values.chunks(HOUR).map(|hour| hour.iter().sum::<f64>() / HOUR as f64).collect();
    let first = &hourly[..2 * WEEK_H];
    let mean = first.iter().sum::<f64>() / first.len() as f64;
    let deviation = (first.iter().map(|hour| (hour - mean).powi(2)).sum::<f64>() / first.len() as f64).sqrt();
    let scaled: Vec<f64> = hourly.iter().map(|hour| (hour - mean) / deviation).collect();
    let mut breaching = vec![false; values.len()];
    for hour in NormalGammaDetector::default().detect_changepoints(&scaled) {
        let from = hour * HOUR;
        breaching[from..(from + HOUR).min(values.len())].fill(true);
    }
    breaching
}

/// The values without gaps: what was there a day before, or nothing.
fn filled(world: &World) -> Vec<f64> {
    let mut values: Vec<f64> = Vec::with_capacity(world.values.len());
    for (at, value) in world.values.iter().enumerate() {
        let before = at.checked_sub(DAY).map_or(0.0, |before| values[before]);
        values.push(value.unwrap_or(before));
    }
    values
}
