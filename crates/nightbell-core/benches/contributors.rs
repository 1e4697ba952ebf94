/*!
What alarms per contributor cost: data points per CPU-second and memory, at rest, under load and under attack.

- `steady`: 1,000,000 data points over 50,000 contributors of one alarm, 20,000 in a second of event time.
- `attack`: 1,000,000 contributors, each with one data point, past the cap of 100,000.
- `alarms`: 10,000 alarms with 100 contributors each; what their state takes in memory.

Every data point has the evidence of one event, as from a metric filter. Memory is what the process has gained.
*/
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used)] // a bench reads clocks and prints

use std::time::Instant;

use nightbell_core::alarm::{Comparison, Measure, MetricAlarm, MissingData, QueryMeasure};
use nightbell_core::evidence::{Evidence, Sample, Tally};
use nightbell_core::metric::{Aggregate, Datum, Series};
use nightbell_core::time::Timestamp;
use nightbell_core::watch::{Effect, Input, Watch};

/// Data points of the load.
const DATA: usize = 1_000_000;
/// Contributors they are spread over.
const CONTRIBUTORS: usize = 50_000;
/// Data points of a step, as the matcher hands them over under load.
const STEP: usize = 500;
/// Data points in a second of event time.
const RATE: usize = 20_000;
/// When event time starts.
const START: i64 = 1_767_225_600;

/// Says which case a process of its own measures, so that no case finds memory that another has left.
const CASE: &str = "NIGHTBELL_BENCH_CASE";

fn main() {
    match std::env::var(CASE).as_deref() {
        Ok("steady") => load("steady: 50,000 contributors", CONTRIBUTORS),
        Ok("attack") => load("attack: 1,000,000 distinct contributors", DATA),
        Ok("alarms") => state(10_000, 100),
        _ => {
            println!("{:<40} {:>14} {:>12} {:>12}", "case", "data/CPU-s", "held", "memory");
            for case in ["steady", "attack", "alarms"] {
                let program = std::env::current_exe().unwrap();
                let status = std::process::Command::new(program).env(CASE, case).status().unwrap();
                assert!(status.success(), "{case}: {status}");
            }
        }
    }
}

fn load(name: &str, contributors: usize) {
    let before = resident_bytes();
    let mut watch = Watch::new("123456789012");
    put(&mut watch, "denied", "Denied", 1e9);
    let mut busy = std::time::Duration::ZERO;
    let mut transitions = 0;
    for step in 0..DATA / STEP {
        let second = START + (step * STEP / RATE) as i64;
        let data: Vec<Datum> = (0..STEP)
            .map(|i| {
                datum("Denied", &format!("corp\\user{:07}", mixed(step * STEP + i) % contributors), second)
            })
            .collect();
        let now = Timestamp::from_seconds(second);
        let started = Instant::now();
        let effects = watch.step(now, Input::Data(data));
        if (step * STEP).is_multiple_of(RATE) {
            watch.step(now, Input::Tick);
        }
        busy += started.elapsed();
        transitions += effects.iter().filter(|effect| matches!(effect, Effect::Transition(_))).count();
    }
    let held = watch.held().map(|(_, held)| held.contributors).sum::<usize>();
    let rate = DATA as f64 / busy.as_secs_f64();
    let memory = resident_bytes().saturating_sub(before) / 1_048_576;
    println!("{name:<40} {rate:>14.0} {held:>12} {memory:>8} MiB   ({transitions} transitions)");
}

fn state(alarms: usize, contributors: usize) {
    let before = resident_bytes();
    let mut watch = Watch::new("123456789012");
    for alarm in 0..alarms {
        put(&mut watch, &format!("alarm{alarm}"), &format!("Metric{alarm}"), 1e9);
    }
    let empty = resident_bytes();
    let started = Instant::now();
    for alarm in 0..alarms {
        let metric = format!("Metric{alarm}");
        let data = (0..contributors).map(|n| datum(&metric, &format!("corp\\user{n:07}"), START)).collect();
        watch.step(Timestamp::from_seconds(START), Input::Data(data));
    }
    let rate = (alarms * contributors) as f64 / started.elapsed().as_secs_f64();
    let held = watch.held().map(|(_, held)| held.contributors).sum::<usize>();
    let memory = resident_bytes().saturating_sub(before) / 1_048_576;
    println!("{:<40} {rate:>14.0} {held:>12} {memory:>8} MiB", format!("alarms: {alarms} x {contributors}"));
    println!("  of it alarms without contributors {} MiB", empty.saturating_sub(before) / 1_048_576);
    let started = Instant::now();
    watch.step(Timestamp::from_seconds(START + 66), Input::Tick);
    println!("  one evaluation of all {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
}

fn put(watch: &mut Watch, name: &str, metric: &str, threshold: f64) {
    let text = format!("SELECT SUM({metric}) FROM files GROUP BY User");
    let alarm = MetricAlarm {
        arn: format!("arn:aws:cloudwatch:site:123456789012:alarm:{name}"),
        region: "site".to_owned(),
        name: name.to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure: Measure::Query(QueryMeasure { id: "q".to_owned(), label: None, text }),
        period_s: 60,
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold,
        band: None,
        comparison: Comparison::GreaterThanOrEqualToThreshold,
        missing_data: MissingData::NotBreaching,
        evaluate_low_sample_count_percentile: String::new(),
        updated: Timestamp::from_seconds(START),
    };
    alarm.check().unwrap();
    watch.step(Timestamp::from_seconds(START), Input::PutAlarm { alarm, history: Vec::new() });
}

fn datum(metric: &str, user: &str, second: i64) -> Datum {
    let time = Timestamp::from_seconds(second);
    let tally = |value: &str| {
        let mut tally = Tally::default();
        tally.add(value);
        tally
    };
    let line = format!("{user} was denied ReadData on \\share\\secret\\roadmap.doc at fs-1.corp.example.com");
    let evidence = Evidence {
        events: 1,
        first: Some(time),
        last: Some(time),
        last_arrival: Some(time),
        actions: tally("open"),
        outcomes: tally("failure"),
        users: tally(user),
        instances: tally("fs-1.corp.example.com"),
        folders: tally("\\share\\secret"),
        files: tally("\\share\\secret\\roadmap.doc"),
        samples: vec![Sample { time, line, place: None }],
        ..Evidence::default()
    };
    Datum {
        series: Series::new("site", "files", metric, vec![("User".to_owned(), user.to_owned())]),
        second,
        unit: None,
        aggregate: Aggregate::one(1.0),
        evidence,
    }
}

/// Numbers that come in no order, the same in every run: a permutation of 64 bits (the finalizer of SplitMix64).
fn mixed(n: usize) -> usize {
    let mut z = n as u64;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as usize
}

/// Memory of this process that is in RAM; 0 where `/proc` does not tell.
fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4_096
}
