/*!
Passes over a store in memory, at times of the test's choosing, against a list that is never folded.
*/

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nightbell_core::alarm::{Comparison, Measure, MetricAlarm, MissingData, QueryMeasure, SeriesMeasure};
use nightbell_core::evidence::{SAMPLES_MAX, Sample, Tally};
use nightbell_core::history::answers;
use nightbell_core::metric::{Datum, Series};
use nightbell_store::{MemoryStore, Position};
use proptest::prelude::*;

use super::*;
use crate::run::points::{Known, Point, Step as Written};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// A full day, and room for the oldest point before it.
const BASE_S: i64 = 1_767_225_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(BASE_S + second)
}

fn records() -> Records {
    Records::new(Arc::new(MemoryStore::default()))
}

fn series(user: &str) -> Series {
    Series::new("site", "files", "Denied", vec![("User".to_owned(), user.to_owned())])
}

fn datum(user: &str, second: i64, unit: Option<&str>, value: f64) -> Datum {
    let time = Some(at(second));
    let tally = |value: &str| Tally { counts: vec![(value.into(), 1)], others: 0 };
    Datum {
        series: series(user),
        second: BASE_S + second,
        unit: unit.map(str::to_owned),
        aggregate: Aggregate::one(value),
        evidence: Evidence {
            events: 1,
            first: time,
            last: time,
            last_arrival: time,
            users: tally(user),
            files: tally(&format!("{second}.txt")),
            samples: vec![Sample { time: at(second), line: second.to_string(), place: None }],
            ..Evidence::default()
        },
    }
}

/// Writes data as one step of the watcher does.
fn write(records: &Records, position: u64, data: &[Datum]) {
    let (mut step, mut change) = (Written::default(), Write::new());
    step.add(data, |_| true);
    let store = &**records.store();
    let position = Position::new(position);
    step.drain_into(store, &mut change, position, &mut Known::default(), |_| true, at(0)).unwrap();
    store.commit(change, Durability::Process).unwrap();
}

fn moved(records: &Records, now: Timestamp) -> Moved {
    pass(records, now, &|| false).unwrap()
}

/// All that is stored of a series.
fn stored(records: &Records, user: &str) -> Vec<Point> {
    points::read(records, &series(user), 0, i64::MAX).unwrap()
}

/// Where points lie, for how long they stand, and what they add up to.
fn shape(records: &Records, user: &str) -> Vec<(i64, i64, f64)> {
    let shape = |point: Point| (point.datum.second - BASE_S, point.resolution_s, point.datum.aggregate.sum);
    stored(records, user).into_iter().map(shape).collect()
}

fn keys(records: &Records) -> usize {
    records.store().scan(Space::Points, &Scan::all()).unwrap().len()
}

#[test]
fn points_are_folded_as_they_age_and_forgotten_in_the_end() {
    let records = records();
    write(
        &records,
        1,
        &[datum("ann", 0, None, 1.0), datum("ann", 59, None, 2.0), datum("ann", 60, None, 4.0)],
    );
    write(&records, 2, &[datum("ann", 59, Some("Count"), 8.0), datum("bob", 3_599, None, 16.0)]);
    for (age_s, ann, bob) in [
        (
            3 * HOUR_S + 60,
            vec![(0, 1, 1.0), (59, 1, 2.0), (59, 1, 8.0), (60, 1, 4.0)],
            vec![(3_599, 1, 16.0)],
        ),
        (3 * HOUR_S + 61, vec![(0, 60, 1.0 + 2.0), (0, 60, 8.0), (60, 1, 4.0)], vec![(3_599, 1, 16.0)]),
        (8 * HOUR_S, vec![(0, 60, 3.0), (0, 60, 8.0), (60, 60, 4.0)], vec![(3_540, 60, 16.0)]),
        (15 * DAY_S + 301, vec![(0, 300, 7.0), (0, 300, 8.0)], vec![(3_540, 60, 16.0)]),
        (63 * DAY_S, vec![(0, 300, 7.0), (0, 300, 8.0)], vec![(3_300, 300, 16.0)]),
        (63 * DAY_S + 3_601, vec![(0, 3_600, 7.0), (0, 3_600, 8.0)], vec![(0, 3_600, 16.0)]),
        (455 * DAY_S + 3_600, vec![(0, 3_600, 7.0), (0, 3_600, 8.0)], vec![(0, 3_600, 16.0)]),
        (455 * DAY_S + 3_601, vec![], vec![]),
    ] {
        moved(&records, at(age_s));
        assert_eq!((shape(&records, "ann"), shape(&records, "bob")), (ann, bob), "age of {age_s} s");
        assert_eq!(moved(&records, at(age_s)), Moved::default(), "all is where it belongs");
    }
    assert_eq!(keys(&records), 0);
}

#[test]
fn what_comes_late_joins_its_bucket() {
    let records = records();
    write(&records, 1, &[datum("ann", 5, None, 1.0)]);
    moved(&records, at(4 * HOUR_S));
    moved(&records, at(6 * HOUR_S));
    write(&records, 2, &[datum("ann", 7, None, 2.0)]);
    assert_eq!(shape(&records, "ann"), [(0, 60, 1.0), (7, 1, 2.0)]);
    moved(&records, at(4 * HOUR_S + DAY_S));
    assert_eq!(shape(&records, "ann"), [(0, 60, 3.0)]);
}

#[test]
fn the_evidence_of_minutes_is_whole_and_that_of_longer_times_short() {
    let records = records();
    let data: Vec<Datum> = (0..40).map(|second| datum("ann", second, None, 1.0)).collect();
    write(&records, 1, &data);
    moved(&records, at(4 * HOUR_S));
    let [minute] = &stored(&records, "ann")[..] else { panic!("one minute") };
    let evidence = &minute.datum.evidence;
    assert_eq!((evidence.events, evidence.files.counts.len(), evidence.samples.len()), (40, 40, SAMPLES_MAX));
    moved(&records, at(16 * DAY_S));
    let [five] = &stored(&records, "ann")[..] else { panic!("five minutes") };
    let evidence = &five.datum.evidence;
    assert_eq!((evidence.events, evidence.users.count("ann"), evidence.samples.len()), (40, 40, 0));
    assert_eq!((evidence.files.counts.len(), evidence.files.others), (CONDENSED_VALUES_MAX, 32));
    assert_eq!((evidence.first, evidence.last), (Some(at(0)), Some(at(39))));
}

fn alarm(name: &str, period_s: i64, evaluation_periods: u32, measure: Measure) -> MetricAlarm {
    MetricAlarm {
        arn: format!("arn:aws:cloudwatch:site:123456789012:alarm:{name}"),
        region: "site".to_owned(),
        name: name.to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure,
        period_s,
        evaluation_periods,
        datapoints_to_alarm: None,
        threshold: 5.0,
        band: None,
        comparison: Comparison::GreaterThanThreshold,
        missing_data: MissingData::NotBreaching,
        evaluate_low_sample_count_percentile: String::new(),
        updated: at(0),
    }
}

fn sum() -> Measure {
    Measure::Series(SeriesMeasure { series: series("ann"), unit: None, statistic: "Sum".to_owned() })
}

fn by_user(after: &str) -> Measure {
    let text = format!("SELECT SUM(Denied) FROM files GROUP BY User{after}");
    Measure::Query(QueryMeasure { id: "q".to_owned(), label: None, text })
}

fn take(records: &Records, alarm: &MetricAlarm) {
    let mut change = Write::new();
    taken::save_alarm(&mut change, alarm);
    records.store().commit(change, Durability::Process).unwrap();
}

/// What an alarm looks at stays by the second or by the minute for as long as its windows reach back.
#[test]
fn what_alarms_look_at_stays_as_fine_as_their_windows() {
    for (period_s, periods, measure, age_s, resolution_s) in [
        (60, 1, sum(), 4 * HOUR_S, 60),
        (HOUR_S, 1, sum(), 5 * HOUR_S, 1), // three slots, and as much for what comes late
        (HOUR_S, 1, sum(), 8 * HOUR_S, 60),
        (HOUR_S, 1, by_user(""), 5 * HOUR_S, 1),
        (DAY_S, 1, sum(), 4 * HOUR_S, 60), // its window is of minutes
        (10, 8_640, sum(), 40 * HOUR_S, 1),
        (10, 8_640, sum(), 50 * HOUR_S, 60),
        (DAY_S, 1, by_user(" AFTER SUM(Opened) >= 3"), 4 * DAY_S, 1), // what came before what
        (7 * DAY_S, 1, sum(), 40 * DAY_S, 60),
        (7 * DAY_S, 1, sum(), 43 * DAY_S, 300),
        (7 * DAY_S, 1, by_user(""), 40 * DAY_S, 60),
        (7 * DAY_S, 1, by_user(" AFTER SUM(Opened) >= 3"), 14 * DAY_S, 1),
        (7 * DAY_S, 1, by_user(" AFTER SUM(Opened) >= 3"), 16 * DAY_S, 60),
    ] {
        let records = records();
        let told = format!("{periods} of {period_s} s, age of {age_s} s");
        take(&records, &alarm("denied", period_s, periods, measure));
        write(&records, 1, &[datum("ann", 30, None, 1.0)]);
        moved(&records, at(age_s));
        let [point] = &stored(&records, "ann")[..] else { panic!("{told}") };
        assert_eq!(point.resolution_s, resolution_s, "{told}");
    }
}

#[test]
fn what_no_alarm_looks_at_any_more_is_folded_a_day_later() {
    let records = records();
    let alarm = alarm("denied", HOUR_S, 1, sum());
    take(&records, &alarm);
    write(&records, 1, &[datum("ann", 30, None, 1.0), datum("bob", 30, None, 2.0)]);
    moved(&records, at(5 * HOUR_S));
    assert_eq!((shape(&records, "ann"), shape(&records, "bob")), (vec![(30, 1, 1.0)], vec![(0, 60, 2.0)]));
    let mut change = Write::new();
    let gone = nightbell_core::watch::Input::DeleteAlarm { arn: alarm.arn };
    taken::keep(&mut change, &gone);
    records.store().commit(change, Durability::Process).unwrap();
    moved(&records, at(5 * HOUR_S + DAY_S));
    assert_eq!(shape(&records, "ann"), [(0, 60, 1.0)]);
}

#[test]
fn a_pass_looks_at_what_came_of_age_and_passes_over_the_rest() {
    let last = at(400 * DAY_S);
    let ranges = came_of_age(last, last.plus_millis(3_600_000));
    assert!(ranges.iter().all(|(first, end)| first < end && end - first <= 3 * HOUR_S || *first == 0));
    assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "oldest first: {ranges:?}");
    let short = [7; SERIES_BYTES];
    let key = |second: i64| [points::key_at(short, second), vec![0; 8]].concat();
    let next = |second: i64| next_key(&key(second), &ranges);
    assert_eq!(next(5), [key(5), vec![0]].concat(), "in a range");
    assert_eq!(next(ranges[0].1), points::key_at(short, ranges[1].0));
    assert_eq!(next(ranges[1].0 + 1), [key(ranges[1].0 + 1), vec![0]].concat());
    assert_eq!(next(ranges[3].1)[..15], [7; 15]);
    assert_eq!(next(ranges[3].1).len(), SERIES_BYTES, "the next series");
    assert_eq!(next(ranges[3].1)[15], 8);
    let last = [points::key_at([u8::MAX; SERIES_BYTES], i64::MAX), vec![0; 8]].concat();
    assert_eq!(
        next_key(&last, &ranges),
        [last.clone(), vec![0]].concat(),
        "behind the last series is nothing"
    );
}

/// What is not looked at each hour is found by way of the hours that are.
#[test]
fn hourly_passes_miss_nothing_that_came_in_time() {
    let records = records();
    moved(&records, at(0));
    let hours = 80 * 24;
    let mut first = 0;
    for hour in 0..hours {
        let data: Vec<Datum> = (0..3).map(|i| datum("ann", hour * HOUR_S + i * 1_111, None, 1.0)).collect();
        write(&records, hour as u64 + 1, &data);
        if hour > 0 && hour % 24 == 0 {
            // The pass over everything has nothing left to do.
            let whole = Passes { last: Some(at(hour * HOUR_S - 1)), whole: None };
            first += usize::from(hour == 24);
            save_passes(&records, whole).unwrap();
            assert_eq!(moved(&records, at(hour * HOUR_S - 1)), Moved::default(), "hour {hour}");
        }
        moved(&records, at((hour + 1) * HOUR_S - 1));
    }
    assert_eq!(first, 1);
    let total: f64 = shape(&records, "ann").iter().map(|(_, _, sum)| sum).sum();
    assert_eq!(total, 3.0 * hours as f64);
    assert!(keys(&records) < 15 * 24 * 3 + 70 * 24 * 3);
}

#[test]
fn a_reset_in_the_middle_of_a_pass_leaves_nothing() {
    let records = records();
    write(&records, 1, &[datum("ann", 0, None, 1.0)]);
    let mut step = Step::default();
    let found = records.store().scan(Space::Points, &Scan::all()).unwrap();
    let held = Held { series: HashMap::new(), all: NOTHING_HELD };
    step.take(&found[0].0, &found[0].1, &held, at(DAY_S));
    let mut change = Write::new();
    change.delete(Space::Points, found[0].0.clone());
    records.store().commit(change, Durability::Process).unwrap();
    let mut moved = Moved::default();
    assert!(!step.save(&records, &mut moved).unwrap());
    assert_eq!((keys(&records), moved), (0, Moved::default()));
}

/// More points than are read at once, by a reader that goes on while they are folded.
#[test]
fn a_reader_meets_each_sample_once_while_points_are_folded() {
    let records = records();
    let total = 25_000;
    for position in 0..5 {
        let data: Vec<Datum> = (0..total / 5)
            .map(|i| Datum {
                evidence: Evidence::default(),
                ..datum("ann", (i * 5 + position) / 4, None, 1.0)
            })
            .collect();
        write(&records, position as u64 + 1, &data);
    }
    let (folding, read_meanwhile) = (AtomicBool::new(true), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !read_meanwhile.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            moved(&records, at(DAY_S));
            moved(&records, at(20 * DAY_S));
            folding.store(false, Ordering::Release);
        });
        let mut last = false;
        while !last {
            last = !folding.load(Ordering::Acquire);
            let mut sum = 0.0;
            points::read_each(&records, &series("ann"), BASE_S, BASE_S + 2 * DAY_S, |point| {
                sum += point.datum.aggregate.sum;
            })
            .unwrap();
            assert_eq!(sum, f64::from(total as i32));
            read_meanwhile.store(true, Ordering::Release);
        }
    });
    assert!(stored(&records, "ann").iter().all(|point| point.resolution_s == 300));
}

/// What happens between two looks: time passes, data comes, and a pass is made that may be killed.
#[derive(Clone, Debug)]
struct Turn {
    advance_s: i64,
    /// Age in seconds, unit, half the value.
    data: Vec<(i64, bool, i32)>,
    /// After how many commits the pass ends.
    killed_after: usize,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let advance = prop_oneof![0..2 * HOUR_S, 0..3 * DAY_S, 0..60 * DAY_S];
    let age = prop_oneof![4 => 0..5 * HOUR_S, 2 => 0..20 * DAY_S, 1 => 0..470 * DAY_S];
    let data = prop::collection::vec((age, any::<bool>(), -9..9), 0..40);
    let killed_after = prop_oneof![Just(usize::MAX), 0..4_usize];
    let turn = (advance, data, killed_after).prop_map(|(advance_s, data, killed_after)| Turn {
        advance_s,
        data,
        killed_after,
    });
    prop::collection::vec(turn, 1..12)
}

/// The samples of each period that is answered, by unit; `all` must come in order of time.
fn periods<'a>(
    all: impl Iterator<Item = (&'a Datum, i64)>,
    period_s: i64,
    now: Timestamp,
) -> BTreeMap<(i64, Option<String>), (Aggregate, u64)> {
    let mut periods: BTreeMap<(i64, Option<String>), (Aggregate, u64)> = BTreeMap::new();
    for (datum, resolution_s) in all {
        let start = bucket_start(datum.second, period_s);
        if answers(start, period_s, now) {
            assert!(datum.second + resolution_s <= start + period_s, "a point of {resolution_s} s is cut");
            let period = periods.entry((start, datum.unit.clone())).or_default();
            period.0.merge(&datum.aggregate);
            period.1 += datum.evidence.events;
        }
    }
    periods
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever passes there were, and wherever they were killed: each period that is answered reads as if nothing had
    /// ever been folded.
    #[test]
    fn folding_changes_no_period_that_is_answered(turns in turns()) {
        let records = records();
        let mut all: Vec<Datum> = Vec::new();
        let mut now_s = 0;
        for (position, turn) in turns.iter().enumerate() {
            now_s += turn.advance_s;
            let data = turn.data.iter().map(|(age_s, unit, half)| {
                datum("ann", now_s - age_s, unit.then_some("Count"), f64::from(*half) * 0.5)
            });
            let data: Vec<Datum> = data.collect();
            write(&records, position as u64 + 1, &data);
            all.extend(data);
            let commits = Cell::new(0);
            let halted = || commits.replace(commits.get() + 1) >= turn.killed_after;
            pass(&records, at(now_s), &halted).unwrap();
            for period_s in [1, 10, 60, 120, 300, 900, 3_600, 86_400] {
                let read = stored(&records, "ann");
                let found = periods(read.iter().map(|point| (&point.datum, point.resolution_s)), period_s, at(now_s));
                let never = periods(all.iter().map(|datum| (datum, 1)), period_s, at(now_s));
                prop_assert_eq!(found, never, "periods of {} s", period_s);
            }
        }
    }
}
