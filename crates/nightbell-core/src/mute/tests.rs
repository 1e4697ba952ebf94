use super::*;
use crate::time::MINUTE_MS;

pub(super) fn rule(expression: &str, duration: &str, timezone: &str) -> MuteRule {
    MuteRule {
        region: "us-east-1".to_owned(),
        name: "upkeep".to_owned(),
        arn: "arn:aws:cloudwatch:us-east-1:123456789012:alarm-mute-rule:upkeep".to_owned(),
        description: None,
        expression: expression.to_owned(),
        duration: duration.to_owned(),
        timezone: timezone.to_owned(),
        alarm_names: vec!["AccessDenied".to_owned()],
        start: None,
        expire: None,
        updated: Timestamp::from_millis(0),
    }
}

fn daily() -> MuteRule {
    rule("cron(0 10 * * *)", "PT1H", TIMEZONE_DEFAULT)
}

type Change = fn(&mut MuteRule);

#[test]
fn knows_the_limits() {
    use AlarmErrorKind::{Absent, Combination, Form, Value};
    let rows: [(Change, Option<(&str, AlarmErrorKind)>); 20] = [
        (|_| {}, None),
        (|rule| rule.alarm_names.clear(), None),
        (|rule| rule.timezone = "America/Argentina/Buenos_Aires".to_owned(), None),
        (|rule| rule.expression = format!("cron(0{} 10 * * *)", ",0".repeat(119)), None),
        (|rule| rule.expire = Some(Timestamp::from_seconds(1)), None),
        (|rule| rule.name = String::new(), Some(("Name", Absent))),
        (|rule| rule.name = "n".repeat(256), Some(("Name", Form))),
        (|rule| rule.description = Some("d".repeat(1_025)), Some(("Description", Form))),
        (|rule| rule.alarm_names = vec!["a".to_owned(); 101], Some(("AlarmNames", Form))),
        (|rule| rule.alarm_names = vec![String::new()], Some(("AlarmNames", Form))),
        (|rule| rule.alarm_names = vec!["a".repeat(256)], Some(("AlarmNames", Form))),
        (|rule| rule.expression = String::new(), Some(("Expression", Form))),
        (
            |rule| rule.expression = format!("cron(0{} 10 * * *)", ",0".repeat(200)),
            Some(("Expression", Form)),
        ),
        (|rule| rule.expression = "cron(0 10 * *)".to_owned(), Some(("Expression", Value))),
        (|rule| rule.duration = "P".repeat(51), Some(("Duration", Form))),
        (|rule| rule.duration = "PT59S".to_owned(), Some(("Duration", Value))),
        (|rule| rule.timezone = String::new(), Some(("Timezone", Form))),
        (|rule| rule.timezone = "Mars/Olympus_Mons".to_owned(), Some(("Timezone", Value))),
        (|rule| rule.timezone = "../../etc/passwd".to_owned(), Some(("Timezone", Value))),
        (
            |rule| {
                (rule.start, rule.expire) =
                    (Some(Timestamp::from_seconds(2)), Some(Timestamp::from_seconds(2)))
            },
            Some(("ExpireDate", Combination)),
        ),
    ];
    for (i, (change, broken)) in rows.into_iter().enumerate() {
        let mut rule = daily();
        change(&mut rule);
        let found = rule.check().err().map(|error| (error.field, error.kind));
        assert_eq!(found, broken, "row {i}");
    }
}

#[test]
fn says_what_it_is() {
    assert_eq!(daily().schedule().unwrap().mute_type().name(), "RECURRING");
    let once = rule("at(2026-09-05T02:00)", "PT1H", "UTC").schedule().unwrap();
    assert_eq!(once.mute_type().name(), "ONE_TIME");
    assert!(daily().names("AccessDenied") && !daily().names("accessdenied"));
}

/// Minutes after 00:00 UTC of the first day.
fn minute(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute * MINUTE_MS)
}

/// Plays changes of an alarm (hour, minute, state) through the windows of `rules`; gives the actions that run: when, for
/// which state, and whether after a window.
fn play(rules: &[MuteRule], before: State, changes: &[(i64, i64, State)]) -> Vec<(i64, i64, State, bool)> {
    let schedules: Vec<MuteSchedule> = rules.iter().map(|rule| rule.schedule().unwrap()).collect();
    let mut state = before;
    let mut held: Option<Muted<State>> = None;
    let mut actions = Vec::new();
    for now in 0..24 * 60 {
        let muted = muted_until(&schedules, minute(now)).is_some();
        let time = (now / 60, now % 60);
        if !muted && let Some(held) = held.take() {
            assert_ne!(held.before(), state);
            actions.push((time.0, time.1, held.into_newest(), true));
        }
        for &(_, _, to) in changes.iter().filter(|change| (change.0, change.1) == time) {
            if muted {
                held = Muted::after(held, state, to, to);
            } else {
                actions.push((time.0, time.1, to, false));
            }
            state = to;
        }
    }
    actions
}

#[test]
fn runs_after_the_window_what_still_holds() {
    use State::{Alarm, InsufficientData, Ok};
    let overlapping = || vec![daily(), rule("cron(30 10 * * *)", "PT1H", "UTC")];
    let adjoining = || vec![daily(), rule("cron(0 11 * * *)", "PT1H", "UTC")];
    type Row = (
        &'static str,
        Vec<MuteRule>,
        State,
        &'static [(i64, i64, State)],
        &'static [(i64, i64, State, bool)],
    );
    let rows: [Row; 11] = [
        ("U01", vec![daily()], Ok, &[(10, 10, Alarm)], &[(11, 0, Alarm, true)]),
        ("U02, as before the window: assumed", vec![daily()], Ok, &[(10, 10, Alarm), (10, 20, Ok)], &[]),
        ("U03", vec![daily()], Ok, &[(9, 50, Alarm)], &[(9, 50, Alarm, false)]),
        ("an OK is muted as well", vec![daily()], Alarm, &[(10, 10, Ok)], &[(11, 0, Ok, true)]),
        ("to and fro: assumed", vec![daily()], Alarm, &[(10, 10, Ok), (10, 20, Alarm)], &[]),
        (
            "the newest counts",
            vec![daily()],
            Ok,
            &[(10, 10, InsufficientData), (10, 20, Alarm)],
            &[(11, 0, Alarm, true)],
        ),
        (
            "back and away again",
            vec![daily()],
            Ok,
            &[(10, 10, Alarm), (10, 20, Ok), (10, 30, InsufficientData)],
            &[(11, 0, InsufficientData, true)],
        ),
        ("the end is outside", vec![daily()], Ok, &[(11, 0, Alarm)], &[(11, 0, Alarm, false)]),
        ("the beginning is inside", vec![daily()], Ok, &[(10, 0, Alarm)], &[(11, 0, Alarm, true)]),
        ("overlap is one window", overlapping(), Ok, &[(10, 10, Alarm)], &[(11, 30, Alarm, true)]),
        ("so is what adjoins", adjoining(), Ok, &[(10, 10, Alarm)], &[(12, 0, Alarm, true)]),
    ];
    for (title, rules, before, changes, expected) in rows {
        assert_eq!(play(&rules, before, changes), expected, "{title}");
    }
}

#[test]
fn gives_the_latest_end_of_the_windows_that_hold() {
    let long = rule("cron(30 10 * * *)", "PT2H", "UTC");
    let schedules = [daily().schedule().unwrap(), long.schedule().unwrap()];
    let rows = [(599, None), (600, Some(660)), (630, Some(750)), (700, Some(750)), (750, None)];
    for (now, until) in rows {
        assert_eq!(muted_until(&schedules, minute(now)), until.map(minute), "{now}");
    }
}

#[test]
fn survives_a_restart() {
    let mut stored = daily();
    stored.description = Some("patch night".to_owned());
    stored.expire = Some(minute(7));
    let held = Muted::after(None, State::Ok, State::Alarm, 7_u8);
    let bytes = postcard::to_stdvec(&(&stored, &held)).unwrap();
    let read: (MuteRule, Option<Muted<u8>>) = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(read, (stored, held));
}
