use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::alarm::judge::{self, Basis, Point, Rule, Slot};
use crate::alarm::reason;
use crate::alarm::{Comparison, MissingData, SeriesMeasure};
use crate::evidence::Evidence;
use crate::metric::Aggregate;

mod followers;

const ACCOUNT: &str = "123456789012";
/// A full day, so that every cadence has a border here.
const BASE_S: i64 = 1_767_225_600;

fn series() -> Series {
    Series::new("us-east-1", "files", "Denied", Vec::new())
}

fn alarm(period_s: i64, m: u32, n: u32, threshold: f64, missing_data: MissingData) -> MetricAlarm {
    MetricAlarm {
        arn: "arn:aws:cloudwatch:us-east-1:123456789012:alarm:denied".to_owned(),
        region: "us-east-2".to_owned(),
        name: "denied".to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure: Measure::Series(SeriesMeasure { series: series(), unit: None, statistic: "Sum".to_owned() }),
        period_s,
        evaluation_periods: n,
        datapoints_to_alarm: Some(m),
        threshold,
        band: None,
        comparison: Comparison::GreaterThanThreshold,
        missing_data,
        evaluate_low_sample_count_percentile: String::new(),
        updated: at(0),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(BASE_S + second)
}

fn datum(second: i64, value: f64) -> Datum {
    let aggregate = Aggregate::one(value);
    Datum { series: series(), second: BASE_S + second, unit: None, aggregate, evidence: Evidence::default() }
}

fn watching(alarm: MetricAlarm) -> Watch {
    let mut watch = Watch::new(ACCOUNT);
    watch.step(at(0), Input::PutAlarm { alarm, history: Vec::new() });
    watch
}

fn changes(effects: &[Effect]) -> Vec<(State, State)> {
    let transition = |effect: &Effect| match effect {
        Effect::Transition(transition) => Some((transition.from, transition.to)),
        _ => None,
    };
    effects.iter().filter_map(transition).collect()
}

fn transitions(effects: Vec<Effect>) -> Vec<Transition> {
    let transition = |effect| match effect {
        Effect::Transition(transition) => Some(*transition),
        _ => None,
    };
    effects.into_iter().filter_map(transition).collect()
}

#[test]
fn a_tick_that_is_held_back_judges_no_further_than_its_own_time() {
    let mut mean = alarm(60, 1, 1, 5.0, MissingData::Missing);
    mean.single_mut().unwrap().statistic = "Average".to_owned();
    let mut watch = watching(mean);
    watch.step(at(50), Input::Tick);
    // What is matched late is stamped late: its entry is ahead of the ticks, which wait for the rest of the minute.
    assert_eq!(changes(&watch.step(at(75), Input::Data(vec![datum(10, 1.0)]))), []);
    assert_eq!(changes(&watch.step(at(55), Input::Tick)), [], "the minute is not complete yet");
    watch.step(at(76), Input::Data(vec![datum(40, 99.0)]));
    let told = transitions(watch.step(at(66), Input::Tick));
    assert_eq!(
        told.iter().map(|told| (told.from, told.to)).collect::<Vec<_>>(),
        [(State::InsufficientData, State::Alarm)]
    );
    assert_eq!(told[0].at, at(76), "it is stamped with the time it was judged");
}

#[test]
fn new_alarm_is_unchecked_then_judged_at_once() {
    let mut watch = Watch::new(ACCOUNT);
    let put = |missing| Input::PutAlarm { alarm: alarm(60, 1, 1, 5.0, missing), history: Vec::new() };
    let effects = watch.step(at(0), put(MissingData::Missing));
    assert!(matches!(&effects[..], [Effect::Saved { runtime, .. }] if runtime.reason == reason::UNCHECKED));
    let effects = watch.step(at(1), put(MissingData::NotBreaching));
    assert_eq!(changes(&effects), [(State::InsufficientData, State::Ok)]);
    assert!(matches!(effects.last(), Some(Effect::Saved { runtime, .. }) if runtime.state == State::Ok));
}

#[test]
fn new_alarm_sees_history() {
    let mut watch = Watch::new(ACCOUNT);
    let history = (100..106).map(|second| datum(second, 1.0)).collect();
    let alarm = alarm(60, 1, 1, 5.0, MissingData::NotBreaching);
    let effects = watch.step(at(110), Input::PutAlarm { alarm, history });
    assert_eq!(changes(&effects), [(State::InsufficientData, State::Alarm)]);
}

#[test]
fn history_may_come_piece_by_piece_before_the_alarm() {
    let alarm = alarm(60, 1, 1, 5.0, MissingData::NotBreaching);
    let history: Vec<Datum> = (0..6).map(|second| datum(second, 1.0)).collect();
    for replaces in [false, true] {
        let (mut whole, mut pieces) = (Watch::new(ACCOUNT), Watch::new(ACCOUNT));
        if replaces {
            // What the alarm before knew gives way to what is stored.
            for watch in [&mut whole, &mut pieces] {
                watch.step(at(0), Input::PutAlarm { alarm: alarm.clone(), history: Vec::new() });
                watch.step(at(1), Input::Data(vec![datum(1, 1.0)]));
            }
        }
        let put = |history| Input::PutAlarm { alarm: alarm.clone(), history };
        let at_once = whole.step(at(10), put(history.clone()));
        pieces.begin_alarm(at(10), &alarm);
        history.iter().for_each(|datum| pieces.recall(datum, 1));
        assert_eq!(pieces.step(at(10), put(Vec::new())), at_once);
        // What the alarm before has judged is no news; together with one more it is.
        assert_eq!(changes(&at_once).iter().any(|change| change.1 == State::Alarm), !replaces);
        let later = Input::Data(vec![datum(11, 1.0)]);
        let fired = whole.step(at(11), later.clone());
        assert_eq!((changes(&fired).len(), pieces.step(at(11), later)), (usize::from(replaces), fired));
    }
}

/// Events of an alarm that is deleted wait in the stream, and another one of its name is put behind them.
#[test]
fn an_alarm_that_was_deleted_behind_a_backlog_leaves_nothing_to_its_namesake() {
    let alarm = alarm(60, 1, 1, 5.0, MissingData::NotBreaching);
    let mut watch = watching(alarm.clone());
    let backlog: Vec<Datum> = (0..6).map(|second| datum(second, 1.0)).collect();
    let fired = watch.step(at(6), Input::Data(backlog.clone()));
    assert_eq!(changes(&fired), [(State::Ok, State::Alarm)]);
    watch.step(at(6), Input::DeleteAlarm { arn: alarm.arn.clone() });
    assert_eq!((watch.alarms().count(), watch.incidents().count(), watch.open_incidents()), (0, 0, 0));
    // What is matched only now is nobody's.
    assert_eq!(watch.step(at(7), Input::Data(vec![datum(7, 9.0)])), []);
    // The new one sees what is stored and fires by itself, with an incident of its own.
    let stored: Vec<Datum> = backlog.into_iter().chain([datum(7, 9.0)]).collect();
    let again = watch.step(at(8), Input::PutAlarm { alarm, history: stored });
    assert_eq!(changes(&again), [(State::InsufficientData, State::Alarm)]);
    let incident = watch.incidents().next().unwrap();
    assert_eq!((watch.open_incidents(), incident.count, incident.started), (1, 15.0, at(8)));
}

#[test]
fn update_keeps_state_and_data() {
    let mut watch = watching(alarm(60, 1, 1, 5.0, MissingData::NotBreaching));
    let effects = watch.step(at(10), Input::Data((0..6).map(|second| datum(second, 1.0)).collect()));
    assert_eq!(changes(&effects), [(State::Ok, State::Alarm)]);
    let mut again = alarm(60, 1, 1, 5.0, MissingData::NotBreaching);
    again.description = Some("other words".to_owned());
    assert_eq!(changes(&watch.step(at(20), Input::PutAlarm { alarm: again, history: Vec::new() })), []);
    let stricter = alarm(60, 1, 1, 50.0, MissingData::NotBreaching);
    let effects = watch.step(at(30), Input::PutAlarm { alarm: stricter, history: Vec::new() });
    assert_eq!(changes(&effects), [(State::Alarm, State::Ok)]);
    let looser = alarm(60, 1, 1, 3.0, MissingData::NotBreaching);
    let effects = watch.step(at(40), Input::PutAlarm { alarm: looser, history: Vec::new() });
    assert_eq!(changes(&effects), [(State::Ok, State::Alarm)]);
}

#[test]
fn state_set_by_hand_flips_back() {
    let mut watch = watching(alarm(60, 1, 1, 5.0, MissingData::NotBreaching));
    let arn = alarm(60, 1, 1, 5.0, MissingData::NotBreaching).arn;
    let set = |state| Input::SetState {
        arn: arn.clone(),
        state,
        reason: "drill".to_owned(),
        reason_data: Some("{}".to_owned()),
    };
    let effects = watch.step(at(10), set(State::Alarm));
    let told = transitions(effects);
    assert_eq!((told[0].reason.as_str(), told[0].reason_data.as_str()), ("drill", "{}"));
    assert!(told[0].old_reason.starts_with("Threshold Crossed: no datapoints"));
    assert_eq!(changes(&watch.step(at(11), set(State::Alarm))), []);
    assert_eq!(changes(&watch.step(at(120), Input::Tick)), [(State::Alarm, State::Ok)]);
    // Set to OK while the data says ALARM: the next evaluation says so again.
    watch.step(at(190), Input::Data((180..190).map(|second| datum(second, 1.0)).collect()));
    assert_eq!(changes(&watch.step(at(191), set(State::Ok))), [(State::Alarm, State::Ok)]);
    assert_eq!(changes(&watch.step(at(246), Input::Tick)), [(State::Ok, State::Alarm)]);
}

#[test]
fn unknown_alarms_and_series_are_ignored() {
    let mut watch = watching(alarm(60, 1, 1, 0.0, MissingData::NotBreaching));
    assert_eq!(watch.step(at(1), Input::DeleteAlarm { arn: "arn:other".to_owned() }), []);
    let mut other = datum(1, 9.0);
    other.series.name = "Other".to_owned();
    assert_eq!(watch.step(at(1), Input::Data(vec![other])), []);
    let arn = alarm(60, 1, 1, 0.0, MissingData::NotBreaching).arn;
    watch.step(at(2), Input::DeleteAlarm { arn: arn.clone() });
    assert_eq!(watch.step(at(3), Input::Data(vec![datum(3, 9.0)])), []);
    assert!(watch.alarm(&arn).is_none() && !watch.is_watched(&series()));
}

#[test]
fn only_data_of_the_unit_counts() {
    let mut wanted = alarm(60, 1, 1, 0.0, MissingData::NotBreaching);
    wanted.single_mut().unwrap().unit = Some("Count".to_owned());
    let mut watch = watching(wanted);
    assert_eq!(watch.step(at(1), Input::Data(vec![datum(1, 9.0)])), []);
    let mut counted = datum(1, 9.0);
    counted.unit = Some("Count".to_owned());
    assert_eq!(changes(&watch.step(at(1), Input::Data(vec![counted]))), [(State::Ok, State::Alarm)]);
}

#[test]
fn time_running_backwards_stands_still() {
    let mut watch = watching(alarm(60, 1, 1, 0.0, MissingData::NotBreaching));
    watch.step(at(600), Input::Tick);
    let told = transitions(watch.step(at(-5_000), Input::Data(vec![datum(599, 1.0)])));
    assert_eq!(told[0].at, at(600));
}

#[test]
fn late_event_is_marked() {
    let mut watch = watching(alarm(60, 1, 1, 1.0, MissingData::NotBreaching));
    watch.step(at(100), Input::Data(vec![datum(100, 1.0)]));
    let told = transitions(watch.step(at(400), Input::Data(vec![datum(110, 1.0)])));
    assert_eq!(told[0].late_by_ms, Some(290_000));
    assert_eq!(told[0].window, Some((at(60), at(120))));
    assert_eq!(told[0].value, Some(2.0));

    let mut watch = watching(alarm(60, 1, 1, 1.0, MissingData::NotBreaching));
    let told = transitions(watch.step(at(101), Input::Data(vec![datum(100, 1.0), datum(101, 1.0)])));
    assert_eq!(told[0].late_by_ms, None);
}

#[test]
fn two_alarms_on_one_series_both_see_the_data() {
    let mut watch = watching(alarm(60, 1, 1, 0.0, MissingData::NotBreaching));
    let mut second = alarm(60, 1, 1, 0.0, MissingData::NotBreaching);
    second.arn.push_str("-too");
    watch.step(at(0), Input::PutAlarm { alarm: second, history: Vec::new() });
    assert_eq!(changes(&watch.step(at(1), Input::Data(vec![datum(1, 1.0)]))).len(), 2);
    assert_eq!(watch.alarms().filter(|(_, runtime)| runtime.state == State::Alarm).count(), 2);
}

#[test]
fn hostile_times_do_no_harm() {
    let mut watch = watching(alarm(60, 1, 1, 0.0, MissingData::NotBreaching));
    for second in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
        let mut wild = datum(0, 1.0);
        wild.second = second;
        assert_eq!(watch.step(at(1), Input::Data(vec![wild.clone()])), []);
        let mut fresh = Watch::new(ACCOUNT);
        fresh.restore_alarm(alarm(60, 2, 3, 0.0, MissingData::Missing), Runtime::created(at(0)));
        fresh.restore_data(&[wild]);
        fresh.step(at(0), Input::Tick);
        fresh.step(at(1), Input::Data(vec![datum(1, 1.0)]));
    }
    for ms in [i64::MAX, i64::MIN] {
        let mut watch = Watch::new(ACCOUNT);
        let alarm = alarm(60, 2, 3, 0.0, MissingData::NotBreaching);
        watch.step(Timestamp::from_millis(ms), Input::PutAlarm { alarm, history: Vec::new() });
        watch.step(Timestamp::from_millis(ms), Input::Tick);
    }
}

#[test]
fn long_ranges_count_by_the_minute_and_still_fire_at_once() {
    let mut watch = watching(alarm(86_400, 1, 1, 5.0, MissingData::NotBreaching));
    let spread = (0..6).map(|i| datum(i * 3_000, 1.0)).collect();
    assert_eq!(changes(&watch.step(at(16_000), Input::Data(spread))), [(State::Ok, State::Alarm)]);
}

#[test]
fn averages_wait_for_the_slot_to_be_complete() {
    let mut mean = alarm(60, 1, 1, 5.0, MissingData::NotBreaching);
    mean.single_mut().unwrap().statistic = "Average".to_owned();
    let mut watch = watching(mean);
    assert_eq!(watch.step(at(65), Input::Tick), []);
    assert_eq!(watch.step(at(70), Input::Data(vec![datum(70, 9.0)])), []);
    assert_eq!(watch.step(at(124), Input::Tick), []);
    assert_eq!(changes(&watch.step(at(125), Input::Tick)), [(State::Ok, State::Alarm)]);
}

#[test]
fn few_samples_of_a_percentile_keep_the_state_when_asked_to() {
    for (choice, expected) in [("ignore", 0), ("evaluate", 1)] {
        let mut tail = alarm(60, 1, 1, 5.0, MissingData::Missing);
        tail.single_mut().unwrap().statistic = "p90".to_owned();
        tail.evaluate_low_sample_count_percentile = choice.to_owned();
        let mut watch = watching(tail);
        watch.step(at(10), Input::Data((0..99).map(|i| datum(i % 9, 9.0)).collect()));
        assert_eq!(changes(&watch.step(at(66), Input::Tick)).len(), expected, "{choice}");
    }
}

// ---- properties ----

/// Whether the data asks for an alarm, found the slow way: every window that ends after a second of data, and every
/// set of slots on the clock.
fn oracle(alarm: &MetricAlarm, data: &BTreeMap<i64, f64>) -> bool {
    let rule = Rule::of(alarm);
    let slot = |end: i64| {
        let start = end - alarm.period_s;
        let inside: Vec<f64> =
            data.iter().filter(|(s, _)| (start..end).contains(*s)).map(|(_, v)| *v).collect();
        let value: f64 = inside.iter().sum();
        let point = Point { value, samples: inside.len() as f64, breaching: value > alarm.threshold };
        Slot { start, point: (!inside.is_empty()).then_some(point) }
    };
    let breaches = |slot: &Slot| slot.point.is_some_and(|point| point.breaching);
    let slots = |end: i64, count: i64| (0..count).map(|i| slot(end - i * alarm.period_s)).collect::<Vec<_>>();
    let sliding = data.keys().any(|second| {
        let slots = slots(second + 1, i64::from(rule.evaluation_periods));
        breaches(&slots[0])
            && slots.iter().filter(|slot| breaches(slot)).count() >= rule.datapoints_to_alarm as usize
    });
    let step = if alarm.period_s < 60 { alarm.period_s } else { 60 };
    let last = data.keys().max().copied().unwrap_or(0) + alarm.period_s;
    let on_the_clock = (0..=last.div_euclid(step)).any(|i| {
        let slots = slots(i * step, rule.slots());
        breaches(&slots[0])
            && judge::judge(&slots, rule)
                .is_some_and(|verdict| verdict.state == State::Alarm && verdict.basis == Basis::Points)
    });
    sliding || on_the_clock
}

fn periods() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![10, 20, 30, 60, 120, 300])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever order and batches the data comes in, the alarm fires at the very step that brings a crossing.
    #[test]
    fn fires_exactly_when_some_window_crosses(
        period_s in periods(),
        (m, n) in prop::sample::select(vec![(1, 1), (1, 2), (2, 2), (2, 3), (3, 3)]),
        threshold in 0..8_i32,
        batches in prop::collection::vec(prop::collection::vec((0..600_i64, -1..2_i64, 0..4_i32), 1..4), 1..12),
        edges in any::<bool>(),
    ) {
        // Half of the runs put all data next to the borders of periods, where an error by one second shows.
        let place = |second: i64, beside: i64| {
            if edges { (second % 4 * period_s + beside).max(0) } else { second }
        };
        let batches = batches.into_iter().map(|batch: Vec<(i64, i64, i32)>| {
            batch.into_iter().map(|(second, beside, value)| (place(second, beside), value)).collect::<Vec<_>>()
        });
        let alarm = alarm(period_s, m, n, f64::from(threshold), MissingData::NotBreaching);
        let mut watch = watching(alarm.clone());
        let mut seen: BTreeMap<i64, f64> = BTreeMap::new();
        let mut fired = false;
        for batch in batches {
            for (second, value) in &batch {
                *seen.entry(*second).or_default() += f64::from(*value);
            }
            let data = batch.iter().map(|(second, value)| datum(*second, f64::from(*value))).collect();
            fired |= !changes(&watch.step(at(600), Input::Data(data))).is_empty();
            let expected = oracle(&alarm, &seen);
            prop_assert!(fired || !expected, "a crossing was missed");
            prop_assert!(!fired || expected || n > 1, "fired without a crossing");
            if fired {
                break;
            }
        }
    }

    /// One burst: one ALARM, later one OK, nothing else, wherever it lies on the clock and however ticks fall.
    #[test]
    fn a_burst_is_one_alarm_and_one_ok(
        period_s in prop::sample::select(vec![10, 20, 30, 60, 120, 300, 3_600]),
        start in 0..4_000_i64,
        offsets in prop::collection::vec(0.0..1.0_f64, 6),
        lag_s in 0..3_i64,
        tick_s in prop::sample::select(vec![1, 1, 7, 61]),
        at_once in any::<bool>(),
    ) {
        let alarm = alarm(period_s, 1, 1, 5.0, MissingData::NotBreaching);
        let mut watch = watching(alarm);
        let mut seconds: Vec<i64> =
            offsets.iter().map(|offset| start + (offset * (period_s - 1) as f64) as i64).collect();
        seconds.sort_unstable();
        let last = *seconds.last().unwrap();
        let mut told = Vec::new();
        for now in 0..last + lag_s + 5 * period_s + 300 {
            let data: Vec<Datum> = seconds
                .iter()
                .filter(|second| if at_once { last } else { **second } + lag_s == now)
                .map(|second| datum(*second, 1.0))
                .collect();
            told.extend(changes(&watch.step(at(now), Input::Data(data))));
            if now % tick_s == 0 {
                told.extend(changes(&watch.step(at(now), Input::Tick)));
            }
        }
        prop_assert_eq!(told, [(State::Ok, State::Alarm), (State::Alarm, State::Ok)]);
    }

    /// A tick never brings an alarm out of data that was held against the line when it came.
    #[test]
    fn ticks_bring_no_alarm_from_old_data(
        period_s in periods(),
        (m, n) in prop::sample::select(vec![(1, 1), (1, 2), (2, 3), (3, 3)]),
        events in prop::collection::vec((0..1_500_i64, 0..400_i64, 1..4_i32), 1..60),
    ) {
        let mut watch = watching(alarm(period_s, m, n, 5.0, MissingData::NotBreaching));
        for now in 0..4_000 {
            let data: Vec<Datum> = events
                .iter()
                .filter(|(second, late_s, _)| second + late_s == now)
                .map(|(second, _, value)| datum(*second, f64::from(*value)))
                .collect();
            watch.step(at(now), Input::Data(data));
            let ticked = changes(&watch.step(at(now), Input::Tick));
            prop_assert!(ticked.iter().all(|(_, to)| *to != State::Alarm), "alarm on a tick at {}", now);
        }
        prop_assert!(watch.alarms().all(|(_, runtime)| runtime.state == State::Ok));
    }

    /// A restart at any point goes on as if there had been none.
    #[test]
    fn restart_changes_nothing(
        period_s in periods(),
        (m, n) in prop::sample::select(vec![(1, 1), (2, 3), (3, 3)]),
        missing in prop::sample::select(vec![MissingData::NotBreaching, MissingData::Missing, MissingData::Breaching]),
        statistic in prop::sample::select(vec!["Sum", "Maximum", "Average", "p50"]),
        events in prop::collection::vec((0..900_i64, 0..1_200_i64, 1..9_i32), 1..60),
        cut in 1..2_000_i64,
        set in prop::option::of((0..2_000_i64, prop::sample::select(vec![State::Ok, State::Alarm]))),
    ) {
        let mut alarm = alarm(period_s, m, n, 5.0, missing);
        alarm.single_mut().unwrap().statistic = statistic.to_owned();
        let mut watch = watching(alarm.clone());
        let mut restarted: Option<Watch> = None;
        let mut kept = Vec::new();
        for now in 0..2_500 {
            if now == cut {
                let runtime = watch.alarm(&alarm.arn).unwrap().1.clone();
                let mut fresh = Watch::new(ACCOUNT);
                fresh.restore_clock(at(now - 1));
                fresh.restore_alarm(alarm.clone(), runtime);
                fresh.restore_data(&kept);
                watch.incidents().for_each(|incident| fresh.restore_incident(incident.clone()));
                restarted = Some(fresh);
            }
            let mut inputs = Vec::new();
            if let Some((when, state)) = set && when == now {
                let (arn, reason) = (alarm.arn.clone(), "drill".to_owned());
                inputs.push(Input::SetState { arn, state, reason, reason_data: None });
            }
            let data = events
                .iter()
                .filter(|(second, late_s, _)| second + late_s == now)
                .map(|(second, _, value)| datum(*second, f64::from(*value)))
                .collect::<Vec<_>>();
            kept.extend(data.clone());
            inputs.extend([Input::Data(data), Input::Tick]);
            for input in inputs {
                let effects = watch.step(at(now), input.clone());
                if let Some(restarted) = &mut restarted {
                    prop_assert_eq!(effects, restarted.step(at(now), input), "at {}", now);
                }
            }
        }
    }
}
