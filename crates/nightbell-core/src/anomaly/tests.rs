/*! What a model learns and says, on small series whose outcome can be worked out by hand. */

use proptest::prelude::*;

use super::model::{BAND_HOURS_MIN, OPEN_HOURS_MAX, TRAINED_HOURS_MIN, WEEKS_MAX};
use super::scale::{self, Scale};
use super::*;
use crate::math::{MetricQuery, MetricStat, Queried};
use crate::metric::Series;
use crate::time::Timestamp;

/// Monday 2026-03-02, 00:00 UTC.
const MONDAY_S: i64 = 1_772_409_600;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
const WEEK_S: i64 = 7 * DAY_S;
const PERIOD_S: i64 = 300;
const HOURS_OF_WEEK: usize = 168;

fn detector() -> AnomalyDetector {
    AnomalyDetector {
        watched: Watched::Metric {
            series: Series::new("eu-central-1", "Audit", "FailedLogons", Vec::new()),
            statistic: "Sum".to_owned(),
        },
        excluded: Vec::new(),
        timezone: None,
        periodic_spikes: false,
    }
}

/// A model that learned `rate(second)` from `from` to `to`.
fn taught(detector: &AnomalyDetector, from: i64, to: i64, rate: impl Fn(i64) -> f64) -> Model {
    let mut model = Model::new(detector, PERIOD_S);
    teach(&mut model, from, to, rate);
    model
}

fn teach(model: &mut Model, from: i64, to: i64, rate: impl Fn(i64) -> f64) {
    for second in (from..to).step_by(PERIOD_S as usize) {
        assert!(model.learn(second, rate(second)), "not learned: {second}");
    }
}

/// A little up and down that is the same every day: 0, 1 or 2.
fn ripple(second: i64) -> f64 {
    (second / PERIOD_S * 7 % 11 % 3) as f64
}

fn band(model: &Model, second: i64, width: f64) -> Band {
    model.band(second, width).expect("taught enough")
}

#[test]
fn crosses_a_band_strictly() {
    use BandComparison::{
        GreaterThanUpperThreshold as Above, LessThanLowerOrGreaterThanUpperThreshold as Outside,
        LessThanLowerThreshold as Below,
    };
    let band = Some(Band { lower: 1.0, upper: 4.0 });
    // (case of the table of anomaly vectors, value, band, operator, breach; `None` is missing data)
    let table = [
        ("A01", 5.0, band, Above, Some(true)),
        ("A02", 5.0, band, Below, Some(false)),
        ("A03", 0.0, band, Outside, Some(true)),
        ("A04", 4.0, band, Outside, Some(false)),
        ("A05", 5.0, None, Above, None),
        ("A05", 5.0, None, Below, None),
        ("A05", 5.0, None, Outside, None),
        ("lower end", 1.0, band, Below, Some(false)),
        ("below", 0.9, band, Below, Some(true)),
        ("below, looking up", 0.9, band, Above, Some(false)),
        ("above", 4.1, band, Outside, Some(true)),
        ("no number", f64::NAN, band, Outside, Some(false)),
    ];
    for (case, value, band, comparison, expected) in table {
        assert_eq!(crosses_band(value, band, comparison), expected, "{case}");
    }
}

#[test]
fn reads_the_names_of_operators_and_states() {
    for comparison in BAND_COMPARISONS {
        assert_eq!(BandComparison::parse(comparison.name()), Some(comparison));
    }
    assert_eq!(BandComparison::parse("GreaterThanThreshold"), None);
    assert_eq!(Training::Insufficient.name(), "TRAINED_INSUFFICIENT_DATA");
}

/// One change that a check is held against.
type Change = fn(&mut AnomalyDetector);

#[test]
fn holds_a_detector_against_the_limits() {
    fn range(start: i64, end: i64) -> ExcludedRange {
        ExcludedRange { start: Timestamp::from_seconds(start), end: Timestamp::from_seconds(end) }
    }
    fn set_statistic(detector: &mut AnomalyDetector, name: &str) {
        let Watched::Metric { statistic, .. } = &mut detector.watched else { unreachable!() };
        *statistic = name.to_owned();
    }
    fn series(detector: &mut AnomalyDetector) -> &mut Series {
        let Watched::Metric { series, .. } = &mut detector.watched else { unreachable!() };
        series
    }
    let table: [(Change, Option<&str>); 12] = [
        (|_| {}, None),
        (|d| set_statistic(d, "p99"), None),
        (|d| set_statistic(d, "Median"), Some("Stat")),
        (|d| series(d).name.clear(), Some("MetricName")),
        (|d| series(d).namespace = "n".repeat(256), Some("Namespace")),
        (|d| d.excluded = vec![range(0, 60); 10], None),
        (|d| d.excluded = vec![range(0, 60); 11], Some("ExcludedTimeRanges")),
        (|d| d.excluded = vec![range(60, 60)], Some("ExcludedTimeRanges")),
        (|d| d.timezone = Some("Europe/Berlin".to_owned()), None),
        (|d| d.timezone = Some("Europe/Atlantis".to_owned()), Some("MetricTimezone")),
        (|d| d.timezone = Some(String::new()), Some("MetricTimezone")),
        (|d| d.timezone = Some("z".repeat(51)), Some("MetricTimezone")),
    ];
    for (row, (change, field)) in table.into_iter().enumerate() {
        let mut changed = detector();
        change(&mut changed);
        assert_eq!(changed.check().err().map(|error| error.field), field, "row {row}");
    }
}

#[test]
fn holds_an_expression_against_the_rules_of_alarms_and_of_models() {
    let entry = |id: &str, what| {
        let (id, return_data) = (id.to_owned(), id.starts_with('e'));
        MetricQuery { id, label: None, return_data, period_s: None, account_id: None, what }
    };
    let metric = |id: &str, period_s| {
        let series = Series::new("us-east-1", "files", id, Vec::new());
        entry(id, Queried::Stat(MetricStat { series, period_s, statistic: "Sum".to_owned(), unit: None }))
    };
    let of = |text: &str| entry("e1", Queried::Expression(text.to_owned()));
    let many: Vec<_> = (0..11).map(|i| metric(&format!("m{i}"), 60)).chain([of("SUM(METRICS())")]).collect();
    let rows = [
        (vec![metric("m1", 60), metric("m2", 60), of("100 * m1 / m2")], true),
        (many[1..].to_vec(), true),
        (many, false),
        (vec![metric("m1", 60), metric("m2", 300), of("m1 + m2")], false),
        (vec![metric("m1", 30), of("m1 * 2")], false),
        (vec![metric("m1", 60), of("AVG(m1)")], false),
        (vec![metric("m1", 60), of("[m1, m1]")], false),
        (vec![metric("m1", 60), of("ANOMALY_DETECTION_BAND(m1)")], false),
        (vec![metric("m1", 60), of("FIRST(ANOMALY_DETECTION_BAND(m1)) - m1")], false),
        (vec![metric("e1", 60)], false),
        (vec![MetricQuery { period_s: Some(60), ..of("SELECT SUM(A) FROM files") }], false),
        (vec![MetricQuery { period_s: Some(60), ..of("TIME_SERIES(1)") }], false),
        (Vec::new(), false),
    ];
    for (entries, fits) in rows {
        let detector = AnomalyDetector { watched: Watched::Expression(entries.clone()), ..detector() };
        let error = detector.check().err();
        assert_eq!(error.as_ref().map(|it| it.field), (!fits).then_some("MetricDataQueries"), "{entries:?}");
    }
}

#[test]
fn a_band_comes_after_three_hours_and_training_after_three_days() {
    let mut model = Model::new(&detector(), PERIOD_S);
    assert_eq!(model.state(Timestamp::from_seconds(MONDAY_S)), Training::Pending);
    let hour = |n: usize| MONDAY_S + n as i64 * HOUR_S;
    for n in 0..TRAINED_HOURS_MIN {
        // The hour judged does not judge itself.
        assert_eq!(model.band(hour(n), 2.0).is_some(), n >= BAND_HOURS_MIN, "hour {n}");
        teach(&mut model, hour(n), hour(n + 1), ripple);
        assert_eq!(model.band(hour(n), 2.0).is_some(), n >= BAND_HOURS_MIN, "hour {n}");
        let expected = match n + 1 {
            TRAINED_HOURS_MIN.. => Training::Trained,
            BAND_HOURS_MIN.. => Training::Insufficient,
            _ => Training::Pending,
        };
        assert_eq!(model.state(Timestamp::from_seconds(hour(n + 1))), expected, "hour {n}");
    }
    let late = Timestamp::from_seconds(hour(TRAINED_HOURS_MIN) + 14 * DAY_S);
    assert_eq!(model.state(late), Training::Insufficient);
}

#[test]
fn nothing_but_zeros_leaves_room_for_a_stray_event() {
    let model = taught(&detector(), MONDAY_S, MONDAY_S + 2 * WEEK_S, |_| 0.0);
    let now = MONDAY_S + 2 * WEEK_S;
    let Band { lower, upper } = band(&model, now, 2.0);
    assert_eq!(lower, 0.0);
    assert!((2.0..3.0).contains(&upper), "{upper}");
    assert_eq!(model.usual(now).unwrap().sentence(41.0), "usually 0 on weekday nights (00–06), now 41");
}

#[test]
fn a_constant_leaves_room_of_a_share_of_its_level() {
    for (level, least, most) in [(100.0, 4.0, 30.0), (0.004, 0.000_05, 0.000_3), (-50.0, 0.5, 3.0)] {
        let model = taught(&detector(), MONDAY_S, MONDAY_S + 2 * WEEK_S, |_| level);
        let Band { lower, upper } = band(&model, MONDAY_S + 2 * WEEK_S, 2.0);
        assert!(lower < level && level < upper, "{lower} {level} {upper}");
        assert!((least..most).contains(&(upper - level)), "{level}: {lower} to {upper}");
    }
}

/// Nights 1, working hours 50, and 200 on Sundays from four to five.
fn weekly(second: i64) -> f64 {
    let hour = (second - MONDAY_S).rem_euclid(WEEK_S) / HOUR_S;
    let level = match hour {
        148 => 200.0,
        _ if hour < 120 && (9..17).contains(&(hour % 24)) => 50.0,
        _ => 1.0,
    };
    level + ripple(second)
}

#[test]
fn knows_the_hour_of_the_day_after_days_and_of_the_week_after_two_weeks() {
    let inside = |model: &Model, second: i64, value: f64| {
        crosses_band(value, model.band(second, 3.0), BAND_COMPARISONS[0]) == Some(false)
    };
    let three_days = taught(&detector(), MONDAY_S, MONDAY_S + 3 * DAY_S, weekly);
    assert!(inside(&three_days, MONDAY_S + 3 * DAY_S + 10 * HOUR_S, 51.0));
    assert!(!inside(&three_days, MONDAY_S + 3 * DAY_S + 4 * HOUR_S, 200.0));
    let (sunday, monday) = (MONDAY_S + 148 * HOUR_S, MONDAY_S + 4 * HOUR_S);
    let one_week = taught(&detector(), MONDAY_S, MONDAY_S + WEEK_S, weekly);
    assert!(!inside(&one_week, sunday + WEEK_S, 201.0), "one Sunday may have been an attack");
    let two_weeks = taught(&detector(), MONDAY_S, MONDAY_S + 2 * WEEK_S, weekly);
    assert!(inside(&two_weeks, sunday + 2 * WEEK_S, 201.0));
    assert!(!inside(&two_weeks, monday + 2 * WEEK_S, 201.0));
    assert!(!inside(&two_weeks, sunday + 2 * WEEK_S, 2.0), "the batch did not run");
}

#[test]
fn follows_the_clocks_of_its_zone() {
    let mut berlin = detector();
    berlin.timezone = Some("Europe/Berlin".to_owned());
    // Work starts at nine on the clocks of Berlin: 08:00 UTC in winter, 07:00 UTC from 2026-03-29 on.
    let summer_s = MONDAY_S + 27 * DAY_S + HOUR_S;
    let work = |second: i64| {
        let local = second - MONDAY_S + if second < summer_s { HOUR_S } else { 2 * HOUR_S };
        if (9..17).contains(&(local % DAY_S / HOUR_S)) { 100.0 } else { 1.0 + ripple(second) }
    };
    let monday = MONDAY_S + 28 * DAY_S;
    let (first_hour, after_last) = (monday + 7 * HOUR_S, monday + 15 * HOUR_S);
    let aware = taught(&berlin, MONDAY_S, summer_s - HOUR_S, work);
    assert!(band(&aware, first_hour, 3.0).lower > 50.0);
    assert!(band(&aware, after_last, 3.0).upper < 50.0);
    let unaware = taught(&detector(), MONDAY_S, summer_s - HOUR_S, work);
    assert!(band(&unaware, first_hour, 3.0).upper < 50.0);
}

#[test]
fn a_burst_teaches_nothing_quickly() {
    let to = MONDAY_S + 3 * WEEK_S;
    let night = to + 3 * HOUR_S;
    let calm = taught(&detector(), MONDAY_S, to, weekly);
    // A whole night of attacks, three weeks running but on different nights.
    let mut attacked = Model::new(&detector(), PERIOD_S);
    teach(&mut attacked, MONDAY_S, to, |second| {
        let (week, hour) = ((second - MONDAY_S) / WEEK_S, (second - MONDAY_S) % WEEK_S / HOUR_S);
        weekly(second) + if hour / 24 == 2 * week && hour % 24 < 6 { 500.0 } else { 0.0 }
    });
    let (before, after) = (band(&calm, night, 3.0), band(&attacked, night, 3.0));
    assert!(after.upper < 4.0 * before.upper, "{before:?} {after:?}");
    assert!(after.upper < 50.0);
}

#[test]
fn a_new_level_is_usual_within_weeks_and_not_within_days() {
    let doubled = |second: i64| 2.0 * (100.0 + 3.0 * ripple(second));
    let mut model = taught(&detector(), MONDAY_S, MONDAY_S + 4 * WEEK_S, |s| 100.0 + 3.0 * ripple(s));
    let mut days = 0;
    while band(&model, MONDAY_S + 4 * WEEK_S + days * DAY_S, 3.0).upper < 200.0 {
        let from = MONDAY_S + 4 * WEEK_S + days * DAY_S;
        teach(&mut model, from, from + DAY_S, doubled);
        days += 1;
        assert!(days < 28, "never");
    }
    assert!((4..=12).contains(&days), "{days} days");
    assert!(band(&model, MONDAY_S + 4 * WEEK_S + 30 * DAY_S, 3.0).lower > 0.0);
}

#[test]
fn a_spike_at_its_hour_is_usual_only_where_the_detector_says_so() {
    let rate = |second: i64| if second % DAY_S == HOUR_S { 300.0 } else { 10.0 + ripple(second) };
    let (spike, other) = (MONDAY_S + 2 * WEEK_S + HOUR_S, MONDAY_S + 2 * WEEK_S + 3 * HOUR_S);
    let told = AnomalyDetector { periodic_spikes: true, ..detector() };
    let told = taught(&told, MONDAY_S, MONDAY_S + 2 * WEEK_S, rate);
    let untold = taught(&detector(), MONDAY_S, MONDAY_S + 2 * WEEK_S, rate);
    assert!(band(&told, spike, 2.0).upper > 300.0);
    assert!(band(&untold, spike, 2.0).upper < 300.0);
    assert_eq!(band(&told, other, 2.0), band(&untold, other, 2.0));
}

#[test]
fn excluded_times_teach_nothing_even_afterwards() {
    let (from, to) = (MONDAY_S + 9 * DAY_S, MONDAY_S + 10 * DAY_S);
    let holiday = ExcludedRange { start: Timestamp::from_seconds(from), end: Timestamp::from_seconds(to) };
    let excluding = AnomalyDetector { excluded: vec![holiday], ..detector() };
    let mut model = Model::new(&excluding, PERIOD_S);
    assert!(model.learn(from - PERIOD_S, 1.0));
    assert!(!model.learn(from, 1.0));
    assert!(!model.learn(to - 1, 1.0));
    assert!(model.learn(to, 1.0));
    // Told before or after makes no difference to what is remembered, only to how far the level has moved.
    let mut before = Model::new(&excluding, PERIOD_S);
    for second in (MONDAY_S..to + DAY_S).step_by(PERIOD_S as usize) {
        before.learn(second, weekly(second));
    }
    let mut after = taught(&detector(), MONDAY_S, to + DAY_S, weekly);
    let remembered = postcard::to_allocvec(&after).unwrap().len();
    after.configure(&excluding);
    assert!(postcard::to_allocvec(&after).unwrap().len() < remembered);
    let at = to + DAY_S + 10 * HOUR_S;
    let (before, after) = (band(&before, at, 2.0), band(&after, at, 2.0));
    assert!((before.upper - after.upper).abs() < 0.05 * before.upper, "{before:?} {after:?}");
}

#[test]
fn another_zone_starts_anew_and_the_same_keeps_all() {
    let mut model = taught(&detector(), MONDAY_S, MONDAY_S + WEEK_S, weekly);
    let known = model.clone();
    model.configure(&detector());
    assert_eq!(model, known);
    let tokyo = AnomalyDetector { timezone: Some("Asia/Tokyo".to_owned()), ..detector() };
    model.configure(&tokyo);
    assert_eq!(model, Model::new(&tokyo, PERIOD_S));
}

#[test]
fn what_is_no_value_or_too_late_teaches_nothing() {
    let mut model = taught(&detector(), MONDAY_S, MONDAY_S + DAY_S, ripple);
    let known = model.clone();
    let newest = model.newest().unwrap();
    assert_eq!(newest, MONDAY_S + DAY_S - PERIOD_S);
    for (second, value) in [
        (newest, f64::NAN),
        (newest, f64::INFINITY),
        (newest - OPEN_HOURS_MAX as i64 * HOUR_S, 1.0),
        (i64::MIN, 1.0),
        (i64::MAX, 1.0),
    ] {
        assert!(!model.learn(second, value), "{second} {value}");
    }
    assert_eq!(model, known);
    assert_eq!(model.band(i64::MAX, 2.0), None);
    assert_eq!(model.band(newest, f64::NAN), None);
    assert!(model.band(newest, f64::INFINITY).unwrap().upper.is_finite());
}

#[test]
fn a_corrected_value_replaces_the_first() {
    let mut corrected = taught(&detector(), MONDAY_S, MONDAY_S + DAY_S, ripple);
    corrected.learn(MONDAY_S + DAY_S - HOUR_S, 900.0);
    corrected.learn(MONDAY_S + DAY_S - HOUR_S, ripple(MONDAY_S + DAY_S - HOUR_S));
    assert_eq!(corrected, taught(&detector(), MONDAY_S, MONDAY_S + DAY_S, ripple));
}

#[test]
fn remembers_four_weeks_of_each_hour_however_long_it_learns() {
    let mut model = Model::new(&detector(), 60);
    for second in (MONDAY_S..MONDAY_S + 10 * WEEK_S).step_by(60) {
        model.learn(second, weekly(second));
    }
    let bytes = postcard::to_allocvec(&model).unwrap();
    // 3 + 1 + 1 + 4 × 4 bytes for each hour, and the three hours that are open.
    assert!(
        bytes.len() <= WEEKS_MAX * HOURS_OF_WEEK * 21 + OPEN_HOURS_MAX * 60 * 14 + 100,
        "{}",
        bytes.len()
    );
    assert_eq!(postcard::from_bytes::<Model>(&bytes).unwrap(), model);
    // Silence of months is no reason to forget.
    assert!(model.band(MONDAY_S + 30 * WEEK_S, 2.0).is_some());
}

#[test]
fn a_jump_in_time_neither_panics_nor_lasts() {
    let mut model = taught(&detector(), MONDAY_S, MONDAY_S + WEEK_S, weekly);
    assert!(model.learn(MONDAY_S + 3_000 * WEEK_S, 1.0));
    assert!(!model.learn(MONDAY_S + WEEK_S, 1.0));
    assert!(model.band(MONDAY_S + WEEK_S, 2.0).is_some());
}

#[test]
fn says_what_is_usual_in_numbers_that_were_seen() {
    let model = taught(&detector(), MONDAY_S, MONDAY_S + 4 * WEEK_S, weekly);
    let at = |hour: i64| model.usual(MONDAY_S + 4 * WEEK_S + hour * HOUR_S).unwrap();
    let table = [
        (3, 41.0, "usually 1–3 on Monday nights (00–06), now 41"),
        (10, 7.0, "usually 50–52 on Mondays (10–11), now 7"),
        (148, 2.0, "usually 200–202 on Sundays (04–05), now 2"),
        (147, 1_234.5, "usually 1–3 on Sunday nights (00–06), now 1234"),
        (167, 0.25, "usually 1–3 on Sunday evenings (18–24), now 0.25"),
    ];
    for (hour, now, sentence) in table {
        assert_eq!(at(hour).sentence(now), sentence, "hour {hour}");
    }
    // The median is what the band is built around.
    let usual = at(148);
    let Band { lower, upper } = band(&model, MONDAY_S + 4 * WEEK_S + 148 * HOUR_S, 0.0);
    assert!(lower <= usual.median && usual.median <= upper);
}

#[test]
fn says_what_it_can_when_little_was_seen() {
    let hours = |n: i64| taught(&detector(), MONDAY_S, MONDAY_S + n * HOUR_S, weekly);
    let label = |model: &Model, second: i64| model.usual(second).unwrap().label;
    assert_eq!(label(&hours(4), MONDAY_S + 4 * HOUR_S), "all days so far");
    assert_eq!(label(&hours(3 * 24), MONDAY_S + 3 * DAY_S + 2 * HOUR_S), "weekday nights (00–06)");
    assert_eq!(label(&hours(3 * 24), MONDAY_S + 3 * DAY_S + 10 * HOUR_S), "weekdays (10–11)");
    assert_eq!(label(&hours(5 * 24), MONDAY_S + 5 * DAY_S + 12 * HOUR_S), "all days (12–13)");
    let mut daily = Model::new(&detector(), DAY_S);
    for day in 0..28 {
        daily.learn(MONDAY_S + day * DAY_S, 100.0 + day as f64 % 7.0);
    }
    let sentence = daily.usual(MONDAY_S + 28 * DAY_S).unwrap().sentence(3.0);
    assert_eq!(sentence, "usually 100 on Mondays, now 3");
}

#[test]
fn the_scale_follows_nearly_all_hours() {
    let mut model = taught(&detector(), MONDAY_S, MONDAY_S + WEEK_S, weekly);
    let at = MONDAY_S + WEEK_S + 5 * HOUR_S;
    let whole = band(&model, at, 2.0);
    teach(&mut model, MONDAY_S + WEEK_S, MONDAY_S + WEEK_S + HOUR_S, |_| -0.5);
    let strayed = band(&model, at, 2.0);
    assert!((whole.upper - strayed.upper).abs() < 0.5, "{whole:?} {strayed:?}");
    let signed = taught(&detector(), MONDAY_S, MONDAY_S + WEEK_S, |second| ripple(second) - 1.0);
    assert!(band(&signed, at, 2.0).lower < -1.0);
}

#[test]
fn centre_and_spread_withstand_strays() {
    let mut numbers = [3.0, 1.0, 2.0, 1e9];
    assert_eq!(scale::median(&mut numbers), 2.5);
    assert_eq!(scale::median(&mut []), 0.0);
    let numbers: Vec<f64> = (0..20).map(|n| f64::from(n % 5)).chain([1e12; 3]).collect();
    let centre = scale::centre(&numbers, 2.0, 1.5);
    assert!((2.0..3.0).contains(&centre), "{centre}");
    assert!(scale::cut_squares(&numbers, centre, 1.5) < 200.0);
    for scale in [Scale::Counts, Scale::Amounts, Scale::Signed] {
        for value in [0.0, 1.0, 7.25, 1e30] {
            assert!((scale.value(scale.place(value)) - value).abs() <= 1e-9 * value, "{scale:?} {value}");
        }
    }
}

/// A series as (hours after the one before, value).
fn series() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![
        4 => (0..50_u32).prop_map(f64::from),
        2 => 0.0..1e6_f64,
        1 => -1e3..1e3_f64,
        1 => prop_oneof![Just(1e300), Just(-1e300), Just(f64::MIN_POSITIVE), Just(f64::NAN), Just(0.0)],
    ];
    prop::collection::vec((prop_oneof![9 => 1..20_i64, 1 => 0..2_000_i64], value), 1..300)
}

fn taught_steps(steps: &[(i64, f64)]) -> (Model, i64) {
    let mut model = Model::new(&detector(), PERIOD_S);
    let mut second = MONDAY_S;
    for (step, value) in steps {
        second += step * PERIOD_S;
        model.learn(second, *value);
    }
    (model, second)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The expected value is inside every band, and a wider band holds a narrower one.
    #[test]
    fn bands_nest_around_the_expected(steps in series(), hours in 0..400_i64, widths in (0.0..20.0_f64, 0.0..20.0_f64)) {
        let (model, last) = taught_steps(&steps);
        let second = last + hours * HOUR_S;
        if let Some(expected) = model.expect(second) {
            let (narrow, wide) = (widths.0.min(widths.1), widths.0.max(widths.1));
            let (narrow, wide) = (band(&model, second, narrow), band(&model, second, wide));
            prop_assert!(wide.lower <= narrow.lower && narrow.lower <= expected.value());
            prop_assert!(expected.value() <= narrow.upper && narrow.upper <= wide.upper);
            prop_assert!(wide.lower.is_finite() && wide.upper.is_finite());
            let usual = model.usual(second).expect("there is a band");
            prop_assert!(usual.low <= usual.high && !usual.label.is_empty());
        }
    }

    /// A stored model is the same model and bounded, whatever it learned.
    #[test]
    fn a_stored_model_is_the_same(steps in series()) {
        let (model, _) = taught_steps(&steps);
        let bytes = postcard::to_allocvec(&model).unwrap();
        prop_assert!(bytes.len() < 20_000);
        prop_assert_eq!(postcard::from_bytes::<Model>(&bytes).unwrap(), model);
    }

    /// Within the hours that are open, order does not matter.
    #[test]
    fn order_within_the_open_hours_does_not_matter(
        values in prop::collection::vec(0..100_u32, 1..36),
        keys in prop::collection::vec(any::<u32>(), 36),
    ) {
        let known = taught(&detector(), MONDAY_S, MONDAY_S + DAY_S, weekly);
        let mut news: Vec<(i64, f64)> = values
            .iter()
            .enumerate()
            .map(|(n, value)| (MONDAY_S + DAY_S + n as i64 * PERIOD_S, f64::from(*value)))
            .collect();
        let mut forward = known.clone();
        news.iter().for_each(|(second, value)| { forward.learn(*second, *value); });
        let mut shuffled = known;
        let mut order: Vec<usize> = (0..news.len()).collect();
        order.sort_by_key(|at| keys[*at]);
        news = order.into_iter().map(|at| news[at]).collect();
        for (second, value) in &news {
            prop_assert!(shuffled.learn(*second, *value));
        }
        prop_assert_eq!(forward, shuffled);
    }
}
