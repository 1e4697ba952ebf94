/*!
Composite alarms and mute rules in a whole [`Watch`], driven by states that are set by hand.
*/

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{ACCOUNT, alarm, at, datum};
use crate::alarm::composite::{CompositeAlarm, CompositeRuntime, Suppressor};
use crate::alarm::runtime::Runtime;
use crate::alarm::{Measure, MetricAlarm, MissingData, QueryMeasure, State};
use crate::metric::{Datum, Series};
use crate::mute::{MuteRule, Muted};
use crate::time::Timestamp;
use crate::watch::{Act, Effect, Input, Watch};

const REGION: &str = "us-east-2";

fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}")
}

/// An alarm without data, which keeps every state that is set by hand.
fn metric(name: &str) -> MetricAlarm {
    let mut alarm = alarm(60, 1, 1, 5.0, MissingData::Ignore);
    alarm.region = REGION.to_owned();
    alarm.name = name.to_owned();
    alarm.arn = arn(name);
    alarm
}

fn composite(name: &str, rule: &str) -> CompositeAlarm {
    CompositeAlarm {
        arn: arn(name),
        region: REGION.to_owned(),
        name: name.to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        rule: rule.to_owned(),
        suppressor: None,
        updated: at(0),
    }
}

fn suppressed(name: &str, rule: &str, by: &str, wait_s: i64, extension_s: i64) -> CompositeAlarm {
    let suppressor = Some(Suppressor { alarm_arn: arn(by), wait_s, extension_s });
    CompositeAlarm { suppressor, ..composite(name, rule) }
}

/// Mutes the alarms from one second of the test's day, a full minute, for some minutes.
fn mute(name: &str, alarms: &[&str], from_minute: u32, minutes: u32) -> MuteRule {
    MuteRule {
        region: REGION.to_owned(),
        name: name.to_owned(),
        arn: format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm-mute-rule:{name}"),
        description: None,
        // The test's day is 1 January 2026.
        expression: format!("at(2026-01-01T{:02}:{:02})", from_minute / 60, from_minute % 60),
        duration: format!("PT{minutes}M"),
        timezone: "UTC".to_owned(),
        alarm_names: alarms.iter().map(|&name| name.to_owned()).collect(),
        start: None,
        expire: None,
        updated: at(0),
    }
}

fn set(name: &str, state: State) -> Input {
    Input::SetState { arn: arn(name), state, reason: "by hand".to_owned(), reason_data: None }
}

/// The metric alarms in OK, then the composites.
fn watching(metrics: &[&str], composites: Vec<CompositeAlarm>) -> Watch {
    let mut watch = Watch::new(ACCOUNT);
    for name in metrics {
        watch.step(at(0), Input::PutAlarm { alarm: metric(name), history: Vec::new() });
        watch.step(at(0), set(name, State::Ok));
    }
    for alarm in composites {
        watch.step(at(0), Input::PutComposite { alarm });
    }
    watch
}

/// What is told and done: `m OK>ALARM`, with `!` where actions run with it; `run m ALARM` and `run m ALARM later` for
/// actions that run on their own, the latter after a mute window.
fn told(effects: &[Effect]) -> Vec<String> {
    let line = |name: &str, from: State, to: State, acts: bool| {
        format!("{name} {}>{}{}", from.name(), to.name(), if acts { "!" } else { "" })
    };
    let run = |name: &str, to: State, after_mute: bool| {
        format!("run {name} {}{}", to.name(), if after_mute { " later" } else { "" })
    };
    let one = |effect: &Effect| match effect {
        Effect::Transition(t) => Some(line(&t.alarm.name, t.from, t.to, t.acts)),
        Effect::CompositeTransition(t) => Some(line(&t.alarm.name, t.change.from, t.change.to, t.acts)),
        Effect::Act(act) => Some(match &**act {
            Act::Metric(t) => run(&t.alarm.name, t.to, t.after_mute),
            Act::Composite(t) => run(&t.alarm.name, t.change.to, t.after_mute),
        }),
        _ => None,
    };
    effects.iter().filter_map(one).collect()
}

#[test]
fn a_composite_is_weighed_when_it_is_made() {
    let mut watch = watching(&["m"], Vec::new());
    let effects = watch.step(at(1), Input::PutComposite { alarm: composite("c", "ALARM(m)") });
    assert_eq!(told(&effects), ["c INSUFFICIENT_DATA>OK!"]);
    let Effect::CompositeTransition(transition) = &effects[0] else { panic!("{effects:?}") };
    assert_eq!(
        transition.change.reason,
        format!("{} was created and its alarm rule evaluates to OK", arn("c"))
    );
    assert_eq!(transition.account, ACCOUNT);
    assert!(matches!(&effects[1..], [Effect::SavedComposite { runtime, .. }] if runtime.state == State::Ok));
    // Replaced, it keeps its state and is weighed by the new rule.
    let effects = watch.step(at(2), Input::PutComposite { alarm: composite("c", "OK(m)") });
    assert_eq!(told(&effects), ["c OK>ALARM!"]);
}

#[test]
fn changes_go_up_in_the_same_step() {
    // By name, "a" and "b" come before what they depend on.
    let rules = vec![composite("z", "ALARM(m)"), composite("b", "ALARM(z)"), composite("a", "NOT OK(b)")];
    let mut watch = watching(&["m"], rules);
    let effects = watch.step(at(9), set("m", State::Alarm));
    assert_eq!(told(&effects), ["m OK>ALARM!", "z OK>ALARM!", "b OK>ALARM!", "a OK>ALARM!"]);
    let Effect::CompositeTransition(transition) =
        effects.iter().find(|effect| matches!(effect, Effect::CompositeTransition(_))).unwrap()
    else {
        unreachable!()
    };
    let expected = format!("{} transitioned to ALARM at {}", arn("m"), at(9).long_text());
    assert_eq!(transition.change.reason, expected);
    assert_eq!(told(&watch.step(at(10), set("m", State::Ok))).len(), 4);
}

#[test]
fn no_state_is_passed_through_that_only_the_order_makes() {
    let rules = vec![composite("b", "ALARM(m)"), composite("a", "ALARM(m) AND NOT ALARM(b)")];
    let mut watch = watching(&["m"], rules);
    assert_eq!(told(&watch.step(at(9), set("m", State::Alarm))), ["m OK>ALARM!", "b OK>ALARM!"]);
    assert_eq!(told(&watch.step(at(10), set("m", State::Ok))), ["m ALARM>OK!", "b ALARM>OK!"]);
}

#[test]
fn a_state_set_by_hand_stands_until_a_child_changes() {
    let mut watch =
        watching(&["m", "n"], vec![composite("c", "ALARM(m) OR ALARM(n)"), composite("d", "ALARM(c)")]);
    assert_eq!(told(&watch.step(at(9), set("c", State::Alarm))), ["c OK>ALARM!", "d OK>ALARM!"]);
    assert_eq!(told(&watch.step(at(70), Input::Tick)), [""; 0]);
    let changes = told(&watch.step(at(80), set("n", State::InsufficientData)));
    assert_eq!(changes, ["n OK>INSUFFICIENT_DATA!", "c ALARM>OK!", "d ALARM>OK!"]);
}

#[test]
fn a_suppressor_holds_actions_and_time_lets_them_go() {
    let mut watch = watching(&["m", "s"], vec![suppressed("c", "ALARM(m)", "s", 60, 30)]);
    assert_eq!(told(&watch.step(at(10), set("m", State::Alarm))), ["m OK>ALARM!", "c OK>ALARM"]);
    assert_eq!(told(&watch.step(at(69), Input::Tick)), [""; 0]);
    assert_eq!(told(&watch.step(at(70), Input::Tick)), ["run c ALARM"]);
    // Next time the suppressor follows, and its end lets go what still stands.
    assert_eq!(told(&watch.step(at(80), set("m", State::Ok))), ["m ALARM>OK!", "c ALARM>OK!"]);
    watch.step(at(90), set("m", State::Alarm));
    let effects = watch.step(at(100), set("s", State::Alarm));
    assert_eq!(told(&effects), ["s OK>ALARM!"]);
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::SavedComposite { .. })),
        "why it waits is saved"
    );
    assert_eq!(told(&watch.step(at(500), Input::Tick)), [""; 0]);
    watch.step(at(510), set("s", State::Ok));
    assert_eq!(told(&watch.step(at(540), Input::Tick)), ["run c ALARM"]);
}

#[test]
fn a_suppressor_that_changes_in_the_same_step_suppresses() {
    // Both hang on one alarm; without a wait the order in the step decides, and the suppressor comes first.
    let rules = vec![composite("s", "ALARM(m)"), suppressed("a", "ALARM(m)", "s", 0, 0)];
    let mut watch = watching(&["m"], rules);
    assert_eq!(
        told(&watch.step(at(10), set("m", State::Alarm))),
        ["m OK>ALARM!", "s OK>ALARM!", "a OK>ALARM"]
    );
}

#[test]
fn suppressors_in_a_circle_end() {
    let rules = vec![suppressed("a", "ALARM(m)", "b", 5, 5), suppressed("b", "ALARM(a)", "a", 5, 5)];
    let mut watch = watching(&["m"], rules);
    assert_eq!(
        told(&watch.step(at(10), set("m", State::Alarm))),
        ["m OK>ALARM!", "a OK>ALARM", "b OK>ALARM"]
    );
    assert_eq!(told(&watch.step(at(20), Input::Tick)), [""; 0], "each is suppressed by the other");
}

#[test]
fn actions_that_are_off_do_not_run() {
    let off = |alarm| CompositeAlarm { actions_enabled: false, ..alarm };
    let rules = vec![off(composite("c", "ALARM(m)")), off(suppressed("d", "ALARM(m)", "s", 10, 0))];
    let mut watch = watching(&["m", "s"], rules);
    assert_eq!(
        told(&watch.step(at(10), set("m", State::Alarm))),
        ["m OK>ALARM!", "c OK>ALARM", "d OK>ALARM"]
    );
    assert_eq!(told(&watch.step(at(20), Input::Tick)), [""; 0]);
}

#[test]
fn a_deleted_composite_is_gone() {
    let mut watch = watching(&["m"], vec![composite("c", "ALARM(m)")]);
    watch.step(at(1), Input::DeleteAlarm { arn: arn("c") });
    assert_eq!(told(&watch.step(at(9), set("m", State::Alarm))), ["m OK>ALARM!"]);
    assert!(watch.composite(&arn("c")).is_none());
}

/// The vectors of mute windows, each with a metric alarm and a composite on it.
#[test]
fn mute_windows() {
    type Row = (&'static str, &'static [(i64, State)], &'static [&'static str]);
    let minute = |m: i64| m * 60;
    let rows: [Row; 5] = [
        ("U01: still ALARM at the end", &[(610, State::Alarm)], &["run c ALARM later", "run m ALARM later"]),
        ("U02: came and went", &[(610, State::Alarm), (620, State::Ok)], &[]),
        ("U03: was ALARM before", &[(590, State::Alarm)], &[]),
        (
            "was ALARM before, is OK",
            &[(590, State::Alarm), (620, State::Ok)],
            &["run c OK later", "run m OK later"],
        ),
        (
            "came, went and came",
            &[(610, State::Alarm), (620, State::Ok), (630, State::Alarm)],
            &["run c ALARM later", "run m ALARM later"],
        ),
    ];
    for (row, changes, expected) in rows {
        let mut watch = watching(&["m"], vec![composite("c", "ALARM(m)")]);
        watch.step(at(0), Input::PutMuteRule { rule: mute("r", &["m", "c"], 600, 60) });
        for (at_minute, state) in changes {
            let effects = watch.step(at(minute(*at_minute)), set("m", *state));
            let lines = told(&effects);
            assert_eq!(lines.len(), 2, "{row}: states change and are told of");
            let acts = *at_minute < 600;
            assert!(lines.iter().all(|line| line.ends_with('!') == acts), "{row}: {lines:?}");
        }
        assert_eq!(told(&watch.step(at(minute(660) - 1), Input::Tick)), [""; 0], "{row}");
        assert_eq!(told(&watch.step(at(minute(660)), Input::Tick)), expected, "{row}");
        assert_eq!(told(&watch.step(at(minute(661)), Input::Tick)), [""; 0], "{row}");
    }
}

#[test]
fn overlapping_windows_are_one() {
    let mut watch = watching(&["m"], Vec::new());
    watch.step(at(0), Input::PutMuteRule { rule: mute("r", &["m"], 10, 10) });
    watch.step(at(0), Input::PutMuteRule { rule: mute("s", &["m", "n"], 15, 10) });
    watch.step(at(12 * 60), set("m", State::Alarm));
    assert!(watch.is_muted(REGION, "m") && !watch.is_muted(REGION, "n") && !watch.is_muted("us-east-1", "m"));
    assert_eq!(told(&watch.step(at(20 * 60), Input::Tick)), [""; 0]);
    assert_eq!(told(&watch.step(at(25 * 60), Input::Tick)), ["run m ALARM later"]);
}

#[test]
fn a_deleted_rule_mutes_no_longer() {
    let mut watch = watching(&["m"], Vec::new());
    watch.step(at(0), Input::PutMuteRule { rule: mute("r", &["m"], 1, 60) });
    assert_eq!(told(&watch.step(at(60), set("m", State::Alarm))), ["m OK>ALARM"]);
    let delete = Input::DeleteMuteRule { region: REGION.to_owned(), name: "r".to_owned() };
    let effects = watch.step(at(61), delete);
    assert_eq!(told(&effects), ["run m ALARM later"]);
    let forgets = |effect: &Effect| matches!(effect, Effect::SavedMuted { muted: None, .. });
    assert!(effects.iter().any(forgets), "{effects:?}");
}

#[test]
fn the_end_of_a_window_comes_before_what_happens_after_it() {
    let mut watch = watching(&["m"], Vec::new());
    watch.step(at(0), Input::PutMuteRule { rule: mute("r", &["m"], 1, 1) });
    watch.step(at(60), set("m", State::Alarm));
    let effects = watch.step(at(120), set("m", State::Ok)); // before the tick of that second
    assert_eq!(told(&effects), ["run m ALARM later", "m ALARM>OK!"]);
}

#[test]
fn what_runs_after_a_window_is_as_configured_then() {
    let mut watch = watching(&["m", "n", "o"], Vec::new());
    watch.step(at(0), Input::PutMuteRule { rule: mute("r", &["m", "n", "o"], 1, 1) });
    for name in ["m", "n", "o"] {
        watch.step(at(60), set(name, State::Alarm));
    }
    let mut changed = metric("m");
    changed.alarm_actions = vec!["arn:aws:sns:us-east-2:123456789012:new".to_owned()];
    watch.step(at(61), Input::PutAlarm { alarm: changed.clone(), history: Vec::new() });
    // Writing an alarm judges it anew; without data it keeps its state.
    let off = MetricAlarm { actions_enabled: false, ..metric("n") };
    watch.step(at(61), Input::PutAlarm { alarm: off, history: Vec::new() });
    watch.step(at(61), Input::DeleteAlarm { arn: arn("o") });
    let effects = watch.step(at(120), Input::Tick);
    assert_eq!(told(&effects), ["run m ALARM later"]);
    let acts = effects.iter().find_map(|effect| match effect {
        Effect::Act(act) => Some(&**act),
        _ => None,
    });
    assert!(
        matches!(acts, Some(Act::Metric(transition)) if transition.alarm.alarm_actions == changed.alarm_actions)
    );
}

#[test]
fn what_a_suppressor_lets_go_inside_a_window_waits_for_its_end() {
    let mut watch = watching(&["m", "s"], vec![suppressed("c", "ALARM(m)", "s", 30, 0)]);
    watch.step(at(0), Input::PutMuteRule { rule: mute("r", &["c"], 1, 1) });
    watch.step(at(50), set("m", State::Alarm));
    assert_eq!(told(&watch.step(at(80), Input::Tick)), [""; 0]);
    assert_eq!(told(&watch.step(at(120), Input::Tick)), ["run c ALARM later"]);
}

#[test]
fn each_contributor_waits_for_itself() {
    let mut many = metric("many");
    many.measure = Measure::Query(QueryMeasure {
        id: "q".to_owned(),
        label: None,
        text: r#"SELECT SUM(Denied) FROM "files" GROUP BY Folder"#.to_owned(),
    });
    many.missing_data = MissingData::NotBreaching;
    let mut watch = Watch::new(ACCOUNT);
    watch.step(at(0), Input::PutAlarm { alarm: many, history: Vec::new() });
    watch.step(at(0), Input::PutMuteRule { rule: mute("r", &["many"], 1, 1) });
    let denied = |folder: &str, second: i64| {
        let dimensions = vec![("Folder".to_owned(), folder.to_owned())];
        Datum { series: Series::new(REGION, "files", "Denied", dimensions), ..datum(second, 9.0) }
    };
    let effects = watch.step(at(70), Input::Data(vec![denied("a", 70), denied("b", 70)]));
    let lines = told(&effects);
    assert!(lines.len() >= 2 && lines.iter().all(|line| !line.ends_with('!')), "{lines:?}");
    let effects = watch.step(at(120), Input::Tick);
    let whose = |effect: &Effect| match effect {
        Effect::Act(act) => match &**act {
            Act::Metric(t) => Some(t.contributor.clone().unwrap().attributes[0].1.clone()),
            Act::Composite(_) => None,
        },
        _ => None,
    };
    let mut folders: Vec<String> = effects.iter().filter_map(whose).collect();
    folders.sort();
    assert_eq!(folders, ["a", "b"]);
}

/// What a caller keeps, and a watch as it comes back from it.
#[derive(Clone, Default)]
struct Kept {
    alarms: BTreeMap<String, (MetricAlarm, Option<Runtime>)>,
    composites: BTreeMap<String, (CompositeAlarm, Option<CompositeRuntime>)>,
    rules: BTreeMap<String, MuteRule>,
    muted: BTreeMap<(String, String), Muted<Act>>,
    ticked: Option<Timestamp>,
}

impl Kept {
    fn note(&mut self, now: Timestamp, input: &Input, effects: &[Effect]) {
        match input {
            Input::PutAlarm { alarm, .. } => {
                self.alarms.entry(alarm.arn.clone()).or_insert((alarm.clone(), None)).0 = alarm.clone()
            }
            Input::PutComposite { alarm } => {
                self.composites.entry(alarm.arn.clone()).or_insert((alarm.clone(), None)).0 = alarm.clone()
            }
            Input::PutMuteRule { rule } => drop(self.rules.insert(rule.name.clone(), rule.clone())),
            Input::DeleteMuteRule { name, .. } => drop(self.rules.remove(name)),
            Input::Tick => self.ticked = Some(now),
            _ => {}
        }
        for effect in effects {
            match effect {
                Effect::Saved { arn, runtime } => self.alarms.get_mut(arn).unwrap().1 = Some(runtime.clone()),
                Effect::SavedComposite { arn, runtime } => {
                    self.composites.get_mut(arn).unwrap().1 = Some((**runtime).clone());
                }
                Effect::SavedMuted { arn, contributor, muted } => {
                    let whose = (arn.clone(), contributor.clone());
                    match muted {
                        Some(muted) => drop(self.muted.insert(whose, (**muted).clone())),
                        None => drop(self.muted.remove(&whose)),
                    }
                }
                _ => {}
            }
        }
    }

    fn restored(&self) -> Watch {
        let mut watch = Watch::new(ACCOUNT);
        if let Some(ticked) = self.ticked {
            watch.restore_clock(ticked);
        }
        for (alarm, runtime) in self.alarms.values() {
            watch.restore_alarm(alarm.clone(), runtime.clone().unwrap());
        }
        for (alarm, runtime) in self.composites.values() {
            watch.restore_composite(alarm.clone(), runtime.clone().unwrap());
        }
        self.rules.values().for_each(|rule| watch.restore_mute_rule(rule.clone()));
        self.muted.values().for_each(|muted| watch.restore_muted(muted.clone()));
        watch
    }
}

/// Every effect that is about composites, mutes and states.
fn comparable(effects: &[Effect]) -> Vec<String> {
    let kept = |effect: &&Effect| {
        matches!(effect, Effect::SavedComposite { .. } | Effect::SavedMuted { muted: None, .. })
    };
    let saved = effects.iter().filter(kept).map(|effect| format!("{effect:?}"));
    told(effects).into_iter().chain(saved).collect()
}

fn inputs() -> impl Strategy<Value = Vec<(i64, Input)>> {
    let state = prop_oneof![Just(State::Ok), Just(State::Alarm), Just(State::InsufficientData)];
    let name = prop_oneof![Just("m"), Just("n"), Just("s"), Just("a"), Just("c")];
    let rule = (prop_oneof![Just("r"), Just("q")], 0u32..12, 1u32..6)
        .prop_map(|(name, from, minutes)| mute(name, &["m", "a", "c"], from, minutes));
    let input = prop_oneof![
        6 => (name, state).prop_map(|(name, state)| set(name, state)),
        6 => Just(Input::Tick),
        1 => rule.prop_map(|rule| Input::PutMuteRule { rule }),
        1 => Just(Input::DeleteMuteRule { region: REGION.to_owned(), name: "r".to_owned() }),
    ];
    prop::collection::vec((0i64..40, input), 1..60)
}

proptest! {
    #[test]
    fn restarts_at_any_point_change_nothing(inputs in inputs(), restarts in prop::collection::vec(any::<bool>(), 60)) {
        let mut setting: Vec<Input> = Vec::new();
        for name in ["m", "n", "s"] {
            setting.push(Input::PutAlarm { alarm: metric(name), history: Vec::new() });
        }
        let composites = [
            suppressed("c", "ALARM(m) OR NOT OK(n)", "s", 20, 30),
            composite("a", "ALARM(c) AND NOT ALARM(n)"),
        ];
        setting.extend(composites.map(|alarm| Input::PutComposite { alarm }));
        let (mut steady, mut restarted) = (Watch::new(ACCOUNT), Watch::new(ACCOUNT));
        let mut kept = Kept::default();
        for input in setting {
            steady.step(at(0), input.clone());
            let effects = restarted.step(at(0), input.clone());
            kept.note(at(0), &input, &effects);
        }
        let mut second = 0;
        for ((later, input), restart) in inputs.into_iter().zip(restarts) {
            second += later;
            if restart {
                restarted = kept.restored();
            }
            let expected = steady.step(at(second), input.clone());
            let effects = restarted.step(at(second), input.clone());
            prop_assert_eq!(comparable(&effects), comparable(&expected));
            kept.note(at(second), &input, &effects);
        }
        for watched in [&steady, &restarted] {
            // In the end composites are what their rules say, unless a hand had the last word.
            for (alarm, runtime) in watched.composites() {
                let rule = crate::alarm::composite::AlarmRule::parse(&alarm.rule, &alarm.site()).unwrap();
                let state = |arn: &str| {
                    watched.alarm(arn).map(|(_, runtime)| runtime.state)
                        .or_else(|| watched.composite(arn).map(|(_, runtime)| runtime.state))
                };
                let says = if rule.evaluate(&state) { State::Alarm } else { State::Ok };
                prop_assert!(runtime.forced || runtime.state == says);
            }
        }
    }
}
