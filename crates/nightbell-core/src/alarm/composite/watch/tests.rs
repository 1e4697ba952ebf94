use std::collections::BTreeMap;

use super::*;
use crate::alarm::composite::{Site, Suppressor};

const SITE: Site<'static> = Site { region: "us-east-1", account: "123456789012" };
/// Monday 14 September, 2026 11:18:52 UTC
const START_S: i64 = 1_789_384_732;
const WAIT_S: i64 = 60;
const EXTENSION_S: i64 = 120;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(START_S + second)
}

/// A composite among other alarms, driven second by second.
struct World {
    watch: CompositeWatch,
    states: BTreeMap<String, Standing>,
}

impl World {
    /// A composite of this rule, made at second 0 while all other alarms are OK.
    fn new(rule: &str, suppressor: Option<(i64, i64)>) -> Self {
        let suppressor = suppressor.map(|(wait_s, extension_s)| Suppressor {
            alarm_arn: SITE.alarm_arn("upkeep"),
            wait_s,
            extension_s,
        });
        let alarm = CompositeAlarm {
            arn: SITE.alarm_arn("site"),
            region: "us-east-1".to_owned(),
            name: "site".to_owned(),
            description: None,
            actions_enabled: true,
            ok_actions: Vec::new(),
            alarm_actions: Vec::new(),
            insufficient_data_actions: Vec::new(),
            rule: rule.to_owned(),
            suppressor,
            updated: at(0),
        };
        let watch = CompositeWatch::new(alarm, CompositeRuntime::created(at(0))).unwrap();
        let ok = Standing { state: State::Ok, since: at(-1_000) };
        let states = ["a", "b", "c", "upkeep"].map(|name| (SITE.alarm_arn(name), ok));
        Self { watch, states: states.into() }
    }

    /// As [`World::new`], its first weighing done.
    fn settled(rule: &str, suppressor: Option<(i64, i64)>) -> Self {
        let mut world = Self::new(rule, suppressor);
        world.configured(0, true);
        assert_eq!((world.watch.runtime.state, world.watch.runtime.told), (State::Ok, State::Ok));
        world
    }

    fn configured(&mut self, second: i64, created: bool) -> Vec<Decision> {
        let states = self.states.clone();
        self.watch.on_configured(at(second), created, &|arn| states.get(arn).copied())
    }

    fn child(&mut self, second: i64, name: &str, state: State) -> Vec<Decision> {
        let arn = SITE.alarm_arn(name);
        let standing = Standing { state, since: at(second) };
        let before = self.states.clone(); // the change itself counts, whatever the caller's states say
        self.states.insert(arn.clone(), standing);
        self.watch.on_change(at(second), &arn, standing, &|arn| before.get(arn).copied())
    }

    fn tick(&mut self, second: i64) -> Vec<Decision> {
        let states = self.states.clone();
        self.watch.on_tick(at(second), &|arn| states.get(arn).copied())
    }

    fn force(&mut self, second: i64, state: State) -> Vec<Decision> {
        let states = self.states.clone();
        self.watch.force(at(second), state, "by hand".to_owned(), None, &|arn| states.get(arn).copied())
    }
}

/// Decisions in short: `OK->ALARM run`, `OK->ALARM held WaitPeriod`, `on Alarm`, `released ALARM`.
fn short(decisions: &[Decision]) -> Vec<String> {
    let one = |decision: &Decision| match decision {
        Decision::Changed { change, actions } => {
            let fate = match actions {
                Actions::Run => "run".to_owned(),
                Actions::Held(by) => format!("held {}", by.name()),
                Actions::Dropped => "dropped".to_owned(),
            };
            format!("{}->{} {fate}", change.from.name(), change.to.name())
        }
        Decision::HeldOn(by) => format!("on {}", by.name()),
        Decision::Released(change) => format!("released {}", change.to.name()),
    };
    decisions.iter().map(one).collect()
}

/// What happens in a row of the suppression table.
enum Step {
    Child(State),
    Upkeep(State),
    Tick,
    Force(State),
}
use State::{Alarm as Breach, InsufficientData as Unknown, Ok as Fine};
use Step::{Child, Force, Tick, Upkeep};

type Row = (i64, Step, &'static [&'static str]);

fn play(title: &str, suppressor: Option<(i64, i64)>, rows: Vec<Row>) {
    let mut world = World::settled("ALARM(a)", suppressor);
    for (second, step, expected) in rows {
        let decisions = match step {
            Child(state) => world.child(second, "a", state),
            Upkeep(state) => world.child(second, "upkeep", state),
            Tick => world.tick(second),
            Force(state) => world.force(second, state),
        };
        assert_eq!(short(&decisions), expected, "{title} at {second}");
        let runtime = &world.watch.runtime;
        assert!(runtime.held.is_some() || runtime.told == runtime.state, "{title} at {second}");
    }
}

#[test]
fn runs_actions_at_once_without_a_suppressor() {
    let rows: Vec<Row> = vec![
        (1, Child(Breach), &["OK->ALARM run"]),
        (2, Child(Breach), &[]),
        (3, Child(Unknown), &["ALARM->OK run"]),
        (4, Tick, &[]),
    ];
    play("no suppressor", None, rows);
    let rows: Vec<Row> = vec![(1, Child(Breach), &["OK->ALARM run"]), (2, Child(Fine), &["ALARM->OK run"])];
    play("no wait", Some((0, 0)), rows);
}

#[test]
fn a_suppressor_in_alarm_suppresses() {
    let rows: Vec<Row> = vec![
        (1, Upkeep(Breach), &[]),
        (10, Child(Breach), &["OK->ALARM held Alarm"]),
        (5_000, Tick, &[]),
        (5_001, Child(Fine), &["ALARM->OK dropped"]), // neither runs
        (5_002, Upkeep(Fine), &[]),
        (9_000, Tick, &[]),
    ];
    play("back to OK while suppressed", Some((WAIT_S, EXTENSION_S)), rows);
    let rows: Vec<Row> = vec![
        (1, Child(Breach), &["OK->ALARM held WaitPeriod"]),
        (61, Tick, &["released ALARM"]),
        (62, Upkeep(Breach), &[]),
        (63, Child(Fine), &["ALARM->OK held Alarm"]), // the OK actions are held as well
        (64, Child(Breach), &["OK->ALARM dropped"]),  // outside knows of ALARM already
        (65, Child(Fine), &["ALARM->OK held Alarm"]),
        (70, Upkeep(Fine), &["on ExtensionPeriod"]),
        (189, Tick, &[]),
        (190, Tick, &["released OK"]),
    ];
    play("an OK that is held", Some((WAIT_S, EXTENSION_S)), rows);
}

#[test]
fn entering_alarm_waits_for_the_suppressor() {
    let rows: Vec<Row> = vec![
        (10, Child(Breach), &["OK->ALARM held WaitPeriod"]),
        (69, Tick, &[]),
        (70, Tick, &["released ALARM"]),
        (71, Tick, &[]),
        (80, Upkeep(Breach), &[]), // too late
        (90, Child(Fine), &["ALARM->OK held Alarm"]),
    ];
    play("the suppressor stays away", Some((WAIT_S, EXTENSION_S)), rows);
    let rows: Vec<Row> = vec![
        (10, Child(Breach), &["OK->ALARM held WaitPeriod"]),
        (30, Upkeep(Breach), &["on Alarm"]),
        (70, Tick, &[]),
        (90, Child(Fine), &["ALARM->OK dropped"]),
    ];
    play("the suppressor follows", Some((WAIT_S, EXTENSION_S)), rows);
    let rows: Vec<Row> = vec![
        (10, Child(Breach), &["OK->ALARM held WaitPeriod"]),
        (70, Upkeep(Breach), &["on Alarm"]), // with the last moment: assumed
    ];
    play("the suppressor follows at the end", Some((WAIT_S, EXTENSION_S)), rows);
    let rows: Vec<Row> = vec![
        (10, Child(Breach), &["OK->ALARM held WaitPeriod"]),
        (73, Upkeep(Breach), &["released ALARM"]), // no tick came between, the wait was over all the same
    ];
    play("the suppressor is late and so is the tick", Some((WAIT_S, EXTENSION_S)), rows);
    let rows: Vec<Row> = vec![
        (10, Child(Breach), &["OK->ALARM held WaitPeriod"]),
        (20, Child(Fine), &["ALARM->OK dropped"]),
        (30, Child(Breach), &["OK->ALARM held WaitPeriod"]), // a new wait from here
        (70, Tick, &[]),
        (90, Child(Fine), &["released ALARM", "ALARM->OK run"]),
    ];
    play("back to OK while waiting", Some((WAIT_S, EXTENSION_S)), rows);
}

#[test]
fn a_suppressor_that_leaves_is_followed_by_the_extension() {
    let begin =
        || -> Vec<Row> { vec![(1, Upkeep(Breach), &[]), (10, Child(Breach), &["OK->ALARM held Alarm"])] };
    let title_and_rows: [(&str, Vec<Row>); 4] = [
        (
            "the composite stays",
            vec![
                (100, Upkeep(Fine), &["on ExtensionPeriod"]),
                (219, Tick, &[]),
                (220, Tick, &["released ALARM"]),
                (230, Child(Fine), &["ALARM->OK run"]),
            ],
        ),
        (
            "the composite follows",
            vec![
                (100, Upkeep(Unknown), &["on ExtensionPeriod"]), // any state but ALARM leaves it
                (150, Child(Fine), &["ALARM->OK dropped"]),
                (220, Tick, &[]),
            ],
        ),
        (
            "the suppressor comes back",
            vec![
                (100, Upkeep(Fine), &["on ExtensionPeriod"]),
                (150, Upkeep(Breach), &["on Alarm"]),
                (400, Tick, &[]),
                (500, Upkeep(Fine), &["on ExtensionPeriod"]), // a whole new extension
                (619, Tick, &[]),
                (620, Tick, &["released ALARM"]),
            ],
        ),
        (
            "the composite comes again in the extension",
            vec![
                (100, Upkeep(Fine), &["on ExtensionPeriod"]),
                (110, Child(Fine), &["ALARM->OK dropped"]),
                (120, Child(Breach), &["OK->ALARM held WaitPeriod"]),
                (180, Tick, &["released ALARM"]),
            ],
        ),
    ];
    for (title, rows) in title_and_rows {
        play(title, Some((WAIT_S, EXTENSION_S)), begin().into_iter().chain(rows).collect());
    }
    let rows: Vec<Row> = vec![(100, Upkeep(Fine), &["released ALARM"])];
    play("no extension", Some((WAIT_S, 0)), begin().into_iter().chain(rows).collect());
}

#[test]
fn a_forced_state_stands_until_a_child_changes() {
    let rows: Vec<Row> = vec![
        (1, Force(Breach), &["OK->ALARM run"]), // Z08
        (2, Force(Breach), &[]),                // Z09
        (500, Tick, &[]),
        (501, Upkeep(Breach), &[]), // no child
        (502, Child(Unknown), &["ALARM->OK run"]),
        (503, Force(Unknown), &["OK->INSUFFICIENT_DATA run"]),
        (504, Child(Breach), &["INSUFFICIENT_DATA->ALARM run"]),
    ];
    play("forced", None, rows);

    let mut world = World::settled("ALARM(a)", None);
    world.force(1, State::Alarm);
    assert!(world.watch.runtime().forced);
    assert_eq!(world.watch.runtime().reason, "by hand");
    world.child(2, "b", State::Alarm); // not in the rule
    assert!(world.watch.runtime().forced);
    assert_eq!(world.child(3, "a", State::Alarm), []); // agrees with what was forced
    assert!(!world.watch.runtime().forced);
}

#[test]
fn gives_reasons_as_recorded() {
    let mut world = World::new("AT_LEAST(2, ALARM, (c, a, b))", None);
    let created = world.configured(0, true);
    let [Decision::Changed { change, actions: Actions::Run }] = &created[..] else { panic!("{created:?}") };
    assert_eq!((change.from, change.to), (State::InsufficientData, State::Ok));
    assert_eq!(change.old_reason, "Unchecked: Initial alarm creation");
    assert_eq!(
        change.reason,
        "arn:aws:cloudwatch:us-east-1:123456789012:alarm:site was created and its alarm rule evaluates to OK"
    );
    assert_eq!(change.triggers.len(), 3);

    assert_eq!(world.child(-5, "a", State::Alarm), []);
    let changed = world.child(0, "c", State::Alarm);
    let [Decision::Changed { change, .. }] = &changed[..] else { panic!("{changed:?}") };
    let c = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:c";
    assert_eq!(change.reason, format!("{c} transitioned to ALARM at Monday 14 September, 2026 11:18:52 UTC"));
    assert_eq!(
        change.reason_data.as_deref(),
        Some(
            r#"{"triggeringAlarms":[{"arn":"arn:aws:cloudwatch:us-east-1:123456789012:alarm:c","state":{"value":"ALARM","timestamp":"2026-09-14T11:18:52.000+0000"}},{"arn":"arn:aws:cloudwatch:us-east-1:123456789012:alarm:a","state":{"value":"ALARM","timestamp":"2026-09-14T11:18:47.000+0000"}}]}"#
        )
    );
    let told: Vec<&str> =
        change.triggers.iter().filter_map(|trigger| trigger.arn.rsplit(':').next()).collect();
    assert_eq!(told, ["c", "a"], "the cause first");
    let runtime = world.watch.runtime();
    assert_eq!((&runtime.reason, &runtime.reason_data), (&change.reason, &change.reason_data));
    assert_eq!((runtime.state_updated, runtime.state_transitioned), (at(0), at(0)));
}

#[test]
fn says_why_actions_are_suppressed() {
    let mut world = World::settled("ALARM(a)", Some((WAIT_S, EXTENSION_S)));
    let reason = |world: &World| {
        let held = world.watch.runtime().held.as_ref();
        held.map(|held| (held.by.name(), held.reason.clone(), world.watch.due()))
    };
    world.child(-10, "a", State::Alarm);
    let wait = "Actions suppressed by WaitPeriod".to_owned();
    assert_eq!(reason(&world), Some(("WaitPeriod", wait, Some(at(50)))));
    world.child(0, "upkeep", State::Alarm);
    let alarm = "Actions suppressed by arn:aws:cloudwatch:us-east-1:123456789012:alarm:upkeep that transitioned to \
                 ALARM at Monday 14 September, 2026 11:18:52 UTC";
    assert_eq!(reason(&world), Some(("Alarm", alarm.to_owned(), None)));
    world.child(5, "upkeep", State::Ok);
    let extension = "Actions suppressed by ExtensionPeriod".to_owned();
    assert_eq!(reason(&world), Some(("ExtensionPeriod", extension, Some(at(125)))));
    world.tick(125);
    assert_eq!(reason(&world), None);
}

#[test]
fn a_child_that_is_the_suppressor_suppresses_what_it_causes() {
    let mut world = World::settled("ALARM(a) OR ALARM(upkeep)", Some((WAIT_S, EXTENSION_S)));
    assert_eq!(short(&world.child(1, "upkeep", State::Alarm)), ["OK->ALARM held Alarm"]);
    assert_eq!(short(&world.child(2, "upkeep", State::Ok)), ["on ExtensionPeriod", "ALARM->OK dropped"]);
    assert!(
        world.watch.depends_on(&SITE.alarm_arn("a")) && world.watch.depends_on(&SITE.alarm_arn("upkeep"))
    );
    assert!(!world.watch.depends_on(&SITE.alarm_arn("b")));
}

#[test]
fn a_new_configuration_is_weighed_at_once() {
    let mut world = World::settled("ALARM(a)", Some((WAIT_S, EXTENSION_S)));
    world.child(1, "a", State::Alarm);
    let mut alarm = world.watch.alarm().clone();
    alarm.rule = "NOT ALARM(a)".to_owned();
    alarm.suppressor = None;
    world.watch = CompositeWatch::new(alarm, world.watch.runtime().clone()).unwrap();
    let decisions = world.configured(5, false);
    // What held the actions is gone, so they run; then the new rule speaks.
    assert_eq!(short(&decisions), ["released ALARM", "ALARM->OK run"]);
    assert_eq!(
        world.watch.runtime().reason,
        "arn:aws:cloudwatch:us-east-1:123456789012:alarm:site was updated and its alarm rule evaluates to OK"
    );
    assert_eq!(world.configured(6, false), []);
}

#[test]
fn created_into_alarm_under_a_suppressor_and_out_again_is_not_told() {
    let mut world = World::new("ALARM(a)", Some((WAIT_S, EXTENSION_S)));
    let breach = Standing { state: State::Alarm, since: at(-9) };
    world.states.insert(SITE.alarm_arn("a"), breach);
    assert_eq!(short(&world.configured(0, true)), ["INSUFFICIENT_DATA->ALARM held WaitPeriod"]);
    assert_eq!(short(&world.child(5, "a", State::Ok)), ["ALARM->OK dropped"]);
    assert_eq!(world.tick(100), []);
}

#[test]
fn reason_data_stays_inside_the_limit_of_the_api() {
    let trigger = |i: usize| Trigger {
        arn: SITE.alarm_arn(&format!("{}{i}", "\u{1}\"".repeat(120))),
        standing: Standing { state: State::Alarm, since: at(0) },
    };
    let text = reason_data(&(0..100).map(trigger).collect::<Vec<_>>());
    assert!(text.len() <= REASON_DATA_BYTES_MAX && text.len() > REASON_DATA_BYTES_MAX / 2, "{}", text.len());
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(!read["triggeringAlarms"].as_array().unwrap().is_empty());
    assert_eq!(reason_data(&[]), r#"{"triggeringAlarms":[]}"#);
}

#[test]
fn survives_a_restart() {
    let mut world = World::settled("ALARM(a)", Some((WAIT_S, EXTENSION_S)));
    world.child(1, "a", State::Alarm);
    let bytes = postcard::to_stdvec(&(world.watch.alarm(), world.watch.runtime())).unwrap();
    let (alarm, runtime): (CompositeAlarm, CompositeRuntime) = postcard::from_bytes(&bytes).unwrap();
    assert_eq!((&alarm, &runtime), (world.watch.alarm(), world.watch.runtime()));
    world.watch = CompositeWatch::new(alarm, runtime).unwrap();
    assert_eq!(short(&world.tick(61)), ["released ALARM"]);
}
