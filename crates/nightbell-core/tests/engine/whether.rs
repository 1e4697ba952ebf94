/*!
Properties of the end: who fired, and who is in ALARM, wherever the data came from and in whatever order.
*/

use std::collections::BTreeSet;

use nightbell_core::alarm::{MissingData, State};
use proptest::prelude::*;

use super::oracle::{alarm_at, ever_crosses, grid};
use super::world::{Event, Kept, PEOPLE, Rule, Sample, early_rules, events, schedule, told};

/// With the rule counted by name, so that there is somebody to tell apart.
fn rules() -> impl Strategy<Value = Rule> {
    early_rules().prop_map(|rule| Rule { by_name: true, missing: MissingData::NotBreaching, ..rule })
}

/// Delays of data that comes in time: before the slots it belongs to are complete.
const IN_TIME_S: std::ops::Range<i64> = 0..4;

/// A rule with events that are so late.
fn with_events(delays: impl Strategy<Value = i64> + Clone) -> impl Strategy<Value = (Rule, Vec<Event>)> {
    rules().prop_flat_map(move |rule| {
        let events = events(rule.period_s, delays.clone(), 0..6, 50);
        let plain = events.prop_map(|mut events| {
            events.iter_mut().for_each(|(sample, _)| sample.condition = false);
            events
        });
        (Just(rule), plain)
    })
}

/// Mostly in time, some up to the lateness that is allowed.
fn late() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![IN_TIME_S, 0..=900_i64]
}

/// Ends some seconds after the last data has come, so that it was judged once more.
fn end_s(events: &[Event], after_s: i64) -> i64 {
    events.iter().map(|(sample, delay)| sample.second + delay).max().unwrap_or(0) + after_s
}

/// The same with periods that are not longer than the time between judgements. Longer ones slide over the clock, so that
/// what was told as over is not told again: who is in ALARM then can depend on how data came.
fn short(mut rule: Rule) -> Rule {
    rule.period_s = rule.period_s.min(60);
    rule
}

/// Who ever fired, and the engine as it is after the last second.
fn outcome(rule: &Rule, events: &[Event], end_s: i64, tick_s: i64) -> (BTreeSet<String>, Kept) {
    let (mut kept, _) = Kept::new(rule);
    let mut fired = BTreeSet::new();
    for (now, happening) in schedule(events, end_s, tick_s, |second| second) {
        let told = told(&kept.happen(rule, now, &happening));
        fired.extend(told.into_iter().filter(|told| told.to == State::Alarm).filter_map(|told| told.who));
    }
    (fired, kept)
}

fn samples(events: &[Event]) -> Vec<Sample> {
    events.iter().map(|(sample, _)| sample.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever has a window across the line fires, and nobody else, in whatever order and however late data arrives.
    #[test]
    fn who_fires_is_in_the_data_alone(
        (rule, events) in with_events(late()),
        tick_s in prop::sample::select(vec![1, 7, 61]),
    ) {
        let samples = samples(&events);
        let expected: BTreeSet<String> = PEOPLE
            .iter()
            .filter(|name| ever_crosses(&rule, &samples, name))
            .map(|name| (*name).to_owned())
            .collect();
        let (fired, kept) = outcome(&rule, &events, 5_000, tick_s);
        prop_assert_eq!(fired, expected);
        prop_assert!(PEOPLE.iter().all(|name| kept.state(Some(name)) == State::Ok), "all is over in the end");
        prop_assert_eq!((kept.state(None), kept.held()), (State::Ok, 0));
    }

    /// Once all data is there and a further minute was judged, who is in ALARM is in the data, too, whatever its order.
    #[test]
    fn who_is_in_alarm_is_in_the_data_alone(
        (rule, events) in with_events(IN_TIME_S),
        after_s in 66..400_i64,
    ) {
        let (rule, end_s) = (short(rule), end_s(&events, after_s));
        let (_, kept) = outcome(&rule, &events, end_s, 1);
        let (samples, judged) = (samples(&events), grid(&rule, end_s - 1));
        for name in PEOPLE {
            let expected = alarm_at(&rule, &samples, name, judged);
            prop_assert_eq!(kept.state(Some(name)) == State::Alarm, expected, "{} at {}", name, end_s);
        }
        let any = PEOPLE.iter().any(|name| kept.state(Some(name)) == State::Alarm);
        prop_assert_eq!(kept.state(None) == State::Alarm, any);
    }

    /// With data that comes late, whoever is in ALARM is so by the data; who is not, though the data would say so, has been
    /// told of: what comes late into an incident that is over makes no other one.
    #[test]
    fn late_nobody_is_in_alarm_without_reason_or_forgotten(
        (rule, events) in with_events(late()),
        after_s in 66..400_i64,
    ) {
        let (rule, end_s) = (short(rule), end_s(&events, after_s));
        let (fired, kept) = outcome(&rule, &events, end_s, 1);
        let (samples, judged) = (samples(&events), grid(&rule, end_s - 1));
        for name in PEOPLE {
            let by_data = alarm_at(&rule, &samples, name, judged);
            let alarm = kept.state(Some(name)) == State::Alarm;
            prop_assert!(by_data || !alarm, "{} is in ALARM at {}", name, end_s);
            prop_assert!(!by_data || fired.contains(name), "{} was not told of by {}", name, end_s);
        }
    }
}
