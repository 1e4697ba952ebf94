/*!
Properties that hold for every single transition.
*/

use nightbell_core::alarm::{Comparison, MissingData, State};
use nightbell_core::incident::{Curve, Incident};
use nightbell_core::watch::Effect;
use proptest::prelude::*;

use super::oracle;
use super::world::{
    Counted, Event, Happening, Kept, Rule, Sample, Schedule, Stay, Told, all_rules, early_rules, events, run,
    schedule, slot_rules, stays, told,
};

const END_S: i64 = 2_600;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Mostly in time, now and then late, too late, or ahead of the clock.
fn any_delay() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![4 => 0..3_i64, 3 => 0..900_i64, 2 => 800..2_000_i64, 1 => -200..0_i64, 1 => Just(-90_000_i64)]
}

/// When the clock jumps, by how much, and how long that lasts.
type Jump = Option<(i64, i64, i64)>;

fn jumps() -> impl Strategy<Value = Jump> {
    let by = prop_oneof![-2_000..2_000_i64, Just(6 * 3_600_i64), Just(-40_i64), Just(61_i64)];
    prop::option::of((0..1_500_i64, by, 1..900_i64))
}

/// What a clock that jumps shows.
fn shown(jump: Jump) -> impl Fn(i64) -> i64 {
    move |second| match jump {
        Some((from, by, for_s)) if (from..from + for_s).contains(&second) => (second + by).max(0),
        _ => second,
    }
}

fn ticks() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![1, 1, 7, 61])
}

/// A rule with events for it.
fn with_events(
    rules: impl Strategy<Value = Rule>,
    values: std::ops::Range<i64>,
) -> impl Strategy<Value = (Rule, Vec<Event>)> {
    with_delayed_events(rules, values, any_delay())
}

/// A rule with events for it, and how late they are.
fn with_delayed_events(
    rules: impl Strategy<Value = Rule>,
    values: std::ops::Range<i64>,
    delays: impl Strategy<Value = i64> + Clone,
) -> impl Strategy<Value = (Rule, Vec<Event>)> {
    rules.prop_flat_map(move |rule| {
        let events = events(rule.period_s, delays.clone(), values.clone(), 50);
        (Just(rule), events).prop_map(|(rule, mut events)| {
            // Only a rule with AFTER has a condition.
            events.iter_mut().for_each(|(sample, _)| sample.condition &= rule.after.is_some());
            (rule, events)
        })
    })
}

/// Every effect of a schedule, restarting before the moments named.
fn all_effects(rule: &Rule, schedule: &Schedule, restarts: &[usize]) -> Vec<Vec<Effect>> {
    all_effects_and_stays(rule, schedule, restarts).0
}

/// The same, and every incident with what it has counted at the end.
fn all_effects_and_stays(
    rule: &Rule,
    schedule: &Schedule,
    restarts: &[usize],
) -> (Vec<Vec<Effect>>, Vec<Stay>) {
    let (mut kept, effects) = Kept::new(rule);
    let mut all = vec![effects];
    for (moment, (now, happening)) in schedule.iter().enumerate() {
        if restarts.contains(&moment) {
            kept.restart();
        }
        all.push(kept.happen(rule, *now, happening));
    }
    (all, kept.stays())
}

/// Few steps with much data each: what happens in so many seconds arrives together at their end.
fn gathered(events: &[Event], seconds: i64) -> Vec<Event> {
    let due = |sample: &Sample| (sample.second / seconds + 1) * seconds;
    events.iter().map(|(sample, _)| (sample.clone(), due(sample) - sample.second)).collect()
}

/// Which of several equal windows was the worst of an incident is the first that was seen.
fn without_peaks(effects: &[Effect]) -> Vec<Effect> {
    let mut effects = effects.to_vec();
    for effect in &mut effects {
        match effect {
            Effect::Incident(incident) => without_peak(incident),
            Effect::Note(message) => without_peak(&mut message.note.incident),
            Effect::IncidentCounted(count) => count.peak = None,
            _ => {}
        }
    }
    effects
}

fn without_peak(incident: &mut Incident) {
    incident.peak = None;
    incident.curve = Curve::new(incident.extreme);
}

/// Transitions, and what is kept of states.
fn of_states(effects: &[Effect]) -> Vec<&Effect> {
    let wanted = |effect: &&Effect| {
        matches!(effect, Effect::Transition(_) | Effect::Saved { .. } | Effect::SavedContributor { .. })
    };
    effects.iter().filter(wanted).collect()
}

/// A state that is set by hand, and when.
type Set = Option<(usize, State)>;

fn sets() -> impl Strategy<Value = Set> {
    let states = prop::sample::select(vec![State::Ok, State::Alarm, State::InsufficientData]);
    prop::option::of((0..2_000_usize, states))
}

fn with_set(mut schedule: Schedule, set: Set) -> Schedule {
    if let Some((moment, state)) = set {
        let moment = moment % schedule.len();
        let now = schedule[moment].0;
        schedule.insert(moment, (now, Happening::Set(state)));
    }
    schedule
}

/// The same data in another order inside each step.
fn shuffled(schedule: &Schedule, seed: u64) -> Schedule {
    let mut again = schedule.clone();
    for (moment, (_, happening)) in again.iter_mut().enumerate() {
        if let Happening::Data(samples) = happening {
            let key = |sample: &Sample| {
                let text = format!("{seed} {moment} {sample:?}");
                text.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
            };
            samples.sort_by_key(key);
        }
    }
    again
}

/// The same data in steps of its own for each sample.
fn one_by_one(schedule: &Schedule) -> Schedule {
    let cut = |(now, happening): &(i64, Happening)| match happening {
        Happening::Data(samples) => {
            samples.iter().map(|sample| (*now, Happening::Data(vec![sample.clone()]))).collect()
        }
        other => vec![(*now, other.clone())],
    };
    schedule.iter().flat_map(cut).collect()
}

/// A sample that is out of every judgement's reach may still say whether another one counts; whether it counts itself
/// cannot be known any more, so it counts for nothing: not before a restart, either.
#[test]
fn what_a_condition_let_through_is_out_of_reach_as_early_as_without_it() {
    let rule = Rule {
        counted: Counted::Sum,
        comparison: Comparison::GreaterThanThreshold,
        threshold: 0,
        period_s: 20,
        m: 1,
        n: 1,
        missing: MissingData::NotBreaching,
        by_name: true,
        after: Some(1),
    };
    let sample = |second, condition| Sample { name: "cyd".to_owned(), second, value: 1, condition };
    let events = [(sample(700, true), 0), (sample(715, false), 0)];
    let schedule = schedule(&events, END_S, 1, |second| second);
    let through = all_effects(&rule, &schedule, &[]);
    let forgets = |effects: &Vec<Effect>| {
        effects.iter().any(|effect| matches!(effect, Effect::SavedContributor { runtime: None, .. }))
    };
    let forgotten: Vec<usize> = through
        .iter()
        .enumerate()
        .filter(|(_, effects)| forgets(effects))
        .map(|(moment, _)| moment)
        .collect();
    assert_eq!(forgotten.len(), 1);
    for moment in (0..40).map(|before| forgotten[0] - before) {
        assert_eq!(all_effects(&rule, &schedule, &[moment]), through, "a restart before moment {moment}");
    }
}

/// Whose only data is about to go out of reach is missed from the next judgement on, and counted until then: also after a
/// restart in between, which brings back what was held.
#[test]
fn who_is_known_by_data_about_to_go_out_of_reach_is_known_after_a_restart() {
    let rule = Rule {
        counted: Counted::Distinct,
        comparison: Comparison::GreaterThanOrEqualToThreshold,
        threshold: 7,
        period_s: 120,
        m: 1,
        n: 1,
        missing: MissingData::Breaching,
        by_name: true,
        after: Some(1),
    };
    let at_once = Rule { after: None, ..rule };
    let by_number = Rule { threshold: 1, missing: MissingData::NotBreaching, ..at_once };
    let sample =
        |name: &str, second, condition| Sample { name: name.to_owned(), second, value: 0, condition };
    let late = || (sample("bob", 310, false), 1_256);
    let cases = [
        // Let through by a condition that comes late, and late by itself.
        (rule, vec![(sample("bob", 310, false), 0), (sample("bob", 267, true), 1_299)]),
        (at_once, vec![late()]),
        // Somebody else fires: one out of two.
        (by_number, vec![late(), (sample("cyd", 1_600, false), 0)]),
    ];
    for (rule, events) in cases {
        let schedule = with_set(schedule(&events, 1_700, 1, |second| second), Some((1_160, State::Ok)));
        let through = all_effects(&rule, &schedule, &[]);
        let late: Vec<Told> = through[1_560..].iter().flat_map(|effects| told(effects)).collect();
        assert_eq!(late.iter().filter(|told| told.to == State::Alarm).count(), 2, "{late:?}");
        for moment in 1_560..1_640 {
            let anew = all_effects(&rule, &schedule, &[moment]);
            assert_eq!(anew, through, "{rule:?}: a restart before moment {moment}");
        }
    }
}

/// The worst of an incident may be any number; what else is built along with the engine does not matter.
#[test]
fn a_number_is_kept_to_the_last_bit() {
    let worst = 12.0_f64 / 13.0;
    let kept = serde_json::to_vec(&worst).expect("a number");
    assert_eq!(serde_json::from_slice::<f64>(&kept).expect("what was written"), worst);
}

proptest! {
    #![proptest_config(config(256))]

    /// Each transition of an alarm that fires at once is the slow engine's, to the second, and each incident has its seconds
    /// and its count.
    #[test]
    fn what_fires_at_once_agrees_with_a_list(
        (rule, events) in with_events(early_rules(), -1..6),
        jump in jumps(),
        tick_s in ticks(),
    ) {
        let schedule = schedule(&events, END_S, tick_s, shown(jump));
        prop_assert_eq!((run(&rule, &schedule), stays(&rule, &schedule)), oracle::run(&rule, &schedule));
    }

    /// Each transition of an alarm that is judged on the slots of the clock is the slow engine's, and each incident.
    #[test]
    fn what_waits_for_slots_agrees_with_a_list(
        (rule, events) in with_events(slot_rules(), -1..6),
        jump in jumps(),
        tick_s in ticks(),
    ) {
        let schedule = schedule(&events, END_S, tick_s, shown(jump));
        prop_assert_eq!((run(&rule, &schedule), stays(&rule, &schedule)), oracle::run(&rule, &schedule));
    }

    /// In whatever order events come, one by one, each while the others are in reach: an incident begins in the same second
    /// and counts the same.
    #[test]
    fn incidents_do_not_depend_on_the_order_of_arrival(
        (rule, events) in with_delayed_events(early_rules(), 0..6, Just(0_i64)),
        seeds in (any::<u64>(), any::<u64>()),
    ) {
        // Nothing is judged in between, so that none is over before the last has come.
        let gathered = vec![(900, Happening::Data(events.into_iter().map(|(sample, _)| sample).collect()))];
        let orders = [shuffled(&gathered, seeds.0), shuffled(&gathered, seeds.1)];
        let [one, other] = orders.map(|order| stays(&rule, &one_by_one(&order)));
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(one, stays(&rule, &gathered));
    }

    /// The order of data inside a step changes nothing: not a number, not a word. Where samples wait for a condition, the one
    /// that comes last of both is told as the late one, so only who is told of and when is the same.
    #[test]
    fn order_inside_a_step_does_not_matter(
        (rule, events) in with_events(all_rules(), 0..6),
        tick_s in ticks(),
        seed in any::<u64>(),
    ) {
        let schedule = schedule(&gathered(&events, 200), END_S, tick_s, |second| second);
        let again = shuffled(&schedule, seed);
        let (through, anew) = (all_effects(&rule, &schedule, &[]), all_effects(&rule, &again, &[]));
        for (moment, (through, anew)) in through.iter().zip(&anew).enumerate() {
            if rule.after.is_none() {
                prop_assert_eq!(without_peaks(through), without_peaks(anew), "moment {}", moment);
            }
        }
    }

    /// However the data of a moment is cut into steps, the same is told of the same people at the same time. Numbers may
    /// differ: cut, it fires at the first sample that crosses. In time only: where an incident begins depends on what was
    /// there when it began, and what comes late into one that is over makes no other.
    #[test]
    fn batches_do_not_matter(
        (rule, events) in with_events(prop_oneof![early_rules(), slot_rules()], 0..6),
        tick_s in ticks(),
    ) {
        let schedule = schedule(&gathered(&events, 5), END_S, tick_s, |second| second);
        let (mut once, mut cut) = (run(&rule, &schedule), run(&rule, &one_by_one(&schedule)));
        once.sort();
        cut.sort();
        prop_assert_eq!(once, cut);
    }

    /// A restart at any point, or at several, changes no transition: not a number, not a word; and nothing that is kept of
    /// states or counted into incidents, however late data comes.
    #[test]
    fn restarts_do_not_matter(
        (rule, events) in with_events(all_rules(), -1..6),
        tick_s in ticks(),
        restarts in prop::collection::vec(0.0..1.0_f64, 1..4),
    ) {
        let schedule = schedule(&events, END_S, tick_s, |second| second);
        let moments = schedule.len() as f64;
        let restarts: Vec<usize> = restarts.into_iter().map(|share| (share * moments) as usize).collect();
        let (through, stays) = all_effects_and_stays(&rule, &schedule, &[]);
        let (anew, stays_anew) = all_effects_and_stays(&rule, &schedule, &restarts);
        for (moment, (through, anew)) in through.iter().zip(&anew).enumerate() {
            prop_assert_eq!(told(through), told(anew), "moment {}", moment);
            prop_assert_eq!(of_states(through), of_states(anew), "moment {}", moment);
        }
        prop_assert_eq!(stays, stays_anew);
    }

    /// A restart right after a tick changes nothing at all, however late or early data comes.
    #[test]
    fn restarts_after_ticks_change_nothing(
        (rule, events) in with_events(all_rules(), -1..6),
        set in sets(),
        restarts in prop::collection::vec(0.0..1.0_f64, 1..4),
    ) {
        let schedule = with_set(schedule(&events, END_S, 1, |second| second), set);
        let ticks: Vec<usize> = (1..schedule.len())
            .filter(|moment| matches!(schedule[moment - 1].1, Happening::Tick))
            .collect();
        let restarts: Vec<usize> =
            restarts.into_iter().map(|share| ticks[(share * ticks.len() as f64) as usize]).collect();
        let (through, anew) = (all_effects(&rule, &schedule, &[]), all_effects(&rule, &schedule, &restarts));
        for (moment, (through, anew)) in through.iter().zip(&anew).enumerate() {
            prop_assert_eq!(told(through), told(anew), "moment {}", moment);
            prop_assert_eq!(through, anew, "moment {}", moment);
        }
    }
}
