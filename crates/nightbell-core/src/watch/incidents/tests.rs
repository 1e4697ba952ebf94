use proptest::prelude::*;

use super::*;
use crate::alarm::{ExpressionMeasure, MissingData, QueryMeasure, SeriesMeasure};
use crate::incident::NoteKind;
use crate::math::{MetricQuery, MetricStat, Queried};
use crate::metric::{Aggregate, Datum, Series};
use crate::mute::MuteRule;
use crate::time::{HOUR_MS, MINUTE_MS};
use crate::watch::Runtime;

const ACCOUNT: &str = "123456789012";
const BASE_S: i64 = 1_767_225_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(BASE_S + second)
}

/// More than five in a minute, by user or in all.
fn alarm(by_user: bool) -> MetricAlarm {
    let text = "SELECT SUM(Denied) FROM files GROUP BY User".to_owned();
    let measure = if by_user {
        Measure::Query(QueryMeasure { id: "q".to_owned(), label: None, text })
    } else {
        let series = Series::new("site", "files", "Denied", Vec::new());
        Measure::Series(SeriesMeasure { series, unit: None, statistic: "Sum".to_owned() })
    };
    MetricAlarm {
        arn: "arn:aws:cloudwatch:site:123456789012:alarm:denied".to_owned(),
        region: "site".to_owned(),
        name: "denied".to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure,
        period_s: 60,
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold: 5.0,
        comparison: Comparison::GreaterThanThreshold,
        missing_data: MissingData::NotBreaching,
        evaluate_low_sample_count_percentile: String::new(),
        band: None,
        updated: at(0),
    }
}

fn put(alarm: MetricAlarm) -> Input {
    Input::PutAlarm { alarm, history: Vec::new() }
}

fn watching(alarm: MetricAlarm) -> Watch {
    let mut watch = Watch::new(ACCOUNT);
    watch.step(at(0), put(alarm));
    watch
}

/// One event of `user` at a second; of nobody where the alarm counts all.
fn event(user: &str, second: i64) -> Datum {
    let dimensions = match user {
        "" => Vec::new(),
        user => vec![("User".to_owned(), user.to_owned())],
    };
    let time = at(second);
    let mut evidence = Evidence { events: 1, first: Some(time), last: Some(time), ..Evidence::default() };
    evidence.last_arrival = Some(time);
    evidence.users.add(user);
    Datum {
        series: Series::new("site", "files", "Denied", dimensions),
        second: BASE_S + second,
        unit: None,
        aggregate: Aggregate::one(1.0),
        evidence,
    }
}

fn events(user: &str, seconds: impl IntoIterator<Item = i64>) -> Input {
    Input::Data(seconds.into_iter().map(|second| event(user, second)).collect())
}

/// Mutes the alarm from the start of these tests for twenty minutes.
fn mute_rule() -> MuteRule {
    MuteRule {
        region: "site".to_owned(),
        name: "upkeep".to_owned(),
        arn: "arn:aws:cloudwatch:site:123456789012:alarm-mute-rule:upkeep".to_owned(),
        description: None,
        expression: "cron(0 0 * * *)".to_owned(), // midnight is where the tests begin
        duration: "PT20M".to_owned(),
        timezone: "UTC".to_owned(),
        alarm_names: vec!["denied".to_owned()],
        start: None,
        expire: None,
        updated: at(0),
    }
}

/// Ticks every second up to and with `to`; all that came of it.
fn tick(watch: &mut Watch, seconds: impl IntoIterator<Item = i64>) -> Vec<Effect> {
    seconds.into_iter().flat_map(|second| watch.step(at(second), Input::Tick)).collect()
}

fn incidents(effects: &[Effect]) -> Vec<&Incident> {
    fn of(effect: &Effect) -> Option<&Incident> {
        match effect {
            Effect::Incident(incident) => Some(incident),
            _ => None,
        }
    }
    effects.iter().filter_map(of).collect()
}

fn notes(effects: &[Effect]) -> Vec<&Note> {
    fn of(effect: &Effect) -> Option<&Note> {
        match effect {
            Effect::Note(message) => Some(&message.note),
            _ => None,
        }
    }
    effects.iter().filter_map(of).collect()
}

fn named(effects: &[Effect]) -> Vec<(State, Option<String>)> {
    fn of(effect: &Effect) -> Option<(State, Option<String>)> {
        match effect {
            Effect::Transition(told) => Some((told.to, told.incident.clone())),
            _ => None,
        }
    }
    effects.iter().filter_map(of).collect()
}

#[test]
fn nineteen_events_make_one_incident_however_they_come() {
    for (piece, told_first) in [(1, 6.0), (4, 8.0), (19, 19.0)] {
        let mut watch = watching(alarm(false));
        let mut effects = Vec::new();
        for second in (0..19).step_by(piece) {
            let end = (second + piece as i64).min(19);
            effects.extend(watch.step(at(end), events("", second..end)));
        }
        effects.extend(tick(&mut watch, 20..300));
        let told = named(&effects);
        assert_eq!(told.iter().map(|told| told.0).collect::<Vec<_>>(), [State::Alarm, State::Ok]);
        let last = incidents(&effects).pop().unwrap().clone();
        assert!(told.iter().all(|told| told.1.as_deref() == Some(last.id.as_str())));
        assert_eq!((last.count, last.evidence.events, last.evidence.users.count("")), (19.0, 19, 19));
        assert_eq!(last.peak.map(|peak| peak.value), Some(19.0), "in pieces of {piece}");
        // The first minute that crossed the line ends with the sixth event.
        assert_eq!((last.first_second, last.last_second), (BASE_S + 6 - 60, BASE_S + 18));
        assert!(last.ended.is_some() && watch.open_incidents() == 0);
        let [end] = notes(&effects)[..] else { panic!("one note in pieces of {piece}") };
        assert_eq!((end.kind, end.news.count), (NoteKind::End, 19.0 - told_first));
    }
}

#[test]
fn data_that_comes_late_into_an_incident_that_is_over_is_counted_and_opens_none() {
    let mut watch = watching(alarm(false));
    watch.step(at(20), events("", 0..19));
    tick(&mut watch, 20..300);
    let mut effects = watch.step(at(300), events("", [18, 5, 5]));
    effects.extend(tick(&mut watch, 300..400));
    assert_eq!((named(&effects), notes(&effects).len()), (Vec::new(), 0));
    assert_eq!(incidents(&effects).iter().map(|one| one.count).collect::<Vec<_>>(), [22.0]);

    // Before it, and after its last event, others begin: the silence was not noticed yet.
    let effects = watch.step(at(401), events("", [-200; 6]));
    assert_eq!(incidents(&effects)[0].first_second, BASE_S - 199 - 60);
    tick(&mut watch, 401..600);
    assert_eq!(incidents(&watch.step(at(600), events("", [100; 6]))).len(), 1);
}

#[test]
fn an_incident_that_late_data_cannot_reach_any_more_is_let_go() {
    let mut watch = watching(alarm(false));
    watch.step(at(20), events("", 0..19));
    let effects = tick(&mut watch, 20..1_000);
    let over: Vec<_> =
        effects.iter().filter(|effect| matches!(effect, Effect::IncidentOver { .. })).collect();
    assert_eq!((over.len(), watch.incidents().count()), (1, 0));
    assert_eq!(watch.incidents.memory.bytes(), 0);
    assert!(watch.incidents.followed.is_empty());
}

#[test]
fn each_contributor_has_its_own_and_the_alarm_above_them_none() {
    let mut watch = watching(alarm(true));
    let mut data = Vec::new();
    for user in ["ann", "bob"] {
        data.extend((0..6).map(|second| event(user, second)));
    }
    let effects = watch.step(at(6), Input::Data(data));
    let told = named(&effects);
    assert!(told[0].1.is_some() && told[1].1.is_some() && told[0].1 != told[1].1);
    assert_eq!(told[2], (State::Alarm, None));
    let who: Vec<_> =
        incidents(&effects).iter().map(|one| one.contributor.clone().unwrap().text(99)).collect();
    assert_eq!(who, ["User=ann", "User=bob"]);
    watch.step(at(7), events("bob", [7, 7]));
    let effects = watch.step(at(8), Input::Tick);
    assert_eq!(incidents(&effects).iter().map(|one| one.count).collect::<Vec<_>>(), [8.0], "only bob's");
}

#[test]
fn updates_come_at_doubling_intervals_and_say_what_is_new() {
    let mut watch = watching(alarm(false));
    watch.step(at(6), events("", 0..6));
    let mut told = Vec::new();
    for second in 7..4_000 {
        let mut effects = if second % 5 == 0 { watch.step(at(second), events("", [second])) } else { vec![] };
        effects.extend(watch.step(at(second), Input::Tick));
        told.extend(notes(&effects).iter().map(|note| (second, note.news.count)));
    }
    assert_eq!(told.iter().map(|told| told.0).collect::<Vec<_>>(), [306, 906, 2_106]);
    assert_eq!(told.iter().map(|told| told.1).collect::<Vec<_>>(), [60.0, 120.0, 240.0]);
}

#[test]
fn acknowledged_it_sends_only_its_end_and_muted_nothing() {
    for (input, ends) in [
        (Input::AckIncident { id: String::new(), who: "carol".to_owned() }, [1, 0]),
        (Input::MuteIncident { id: String::new(), until: at(0).plus_millis(HOUR_MS) }, [0, 1]),
    ] {
        let mut watch = watching(alarm(false));
        watch.step(at(6), events("", 0..6));
        let found = watch.incidents().next().unwrap().id.clone();
        let input = match input {
            Input::AckIncident { who, .. } => Input::AckIncident { id: found, who },
            Input::MuteIncident { until, .. } => Input::MuteIncident { id: found, until },
            other => other,
        };
        assert_eq!(incidents(&watch.step(at(7), input)).len(), 1);
        let mut effects = Vec::new();
        for second in 8..900 {
            effects.extend(watch.step(at(second), events("", [second])));
            effects.extend(watch.step(at(second), Input::Tick));
        }
        assert_eq!(notes(&effects).len(), 0);
        let at_end = tick(&mut watch, 900..1_100);
        let later = tick(&mut watch, 1_100..3_700);
        assert_eq!([notes(&at_end).len(), notes(&later).len()], ends);
        assert!(named(&at_end).iter().any(|told| told.0 == State::Ok));
        assert_eq!(watch.incidents().count(), 0);
    }
}

#[test]
fn a_mute_rule_holds_the_first_message_back_and_the_updates_after_it() {
    let mut watch = watching(alarm(false));
    watch.step(at(1), Input::PutMuteRule { rule: mute_rule() });
    let mut effects = watch.step(at(6), events("", 0..6));
    for second in 7..1_300 {
        effects.extend(watch.step(at(second), events("", [second])));
        effects.extend(watch.step(at(second), Input::Tick));
    }
    let acts = effects.iter().filter(|effect| matches!(effect, Effect::Act(_))).count();
    assert_eq!((acts, notes(&effects).len()), (1, 0), "the first message, once the rule is over");
    let incident = watch.incidents().next().unwrap();
    assert_eq!((incident.told, incident.told_at), (1, Some(at(1_200))));
    let effects = tick(&mut watch, 1_300..1_501);
    assert_eq!(notes(&effects).len(), 1, "an update five minutes after the first");

    // What begins and ends while it is muted is not told of at all.
    let mut watch = watching(alarm(false));
    watch.step(at(1), Input::PutMuteRule { rule: mute_rule() });
    watch.step(at(6), events("", 0..6));
    let effects = tick(&mut watch, 7..2_000);
    assert_eq!((named(&effects).len(), notes(&effects).len()), (1, 0));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Act(_))));

    // What began before it and ends meanwhile is told of after it.
    let mut watch = watching(alarm(false));
    watch.step(at(6), events("", 0..6));
    watch.step(at(7), Input::PutMuteRule { rule: mute_rule() });
    assert_eq!(notes(&tick(&mut watch, 7..1_200)).len(), 0);
    assert_eq!(notes(&tick(&mut watch, 1_200..1_202))[0].kind, NoteKind::End);
}

#[test]
fn unknown_ids_are_ignored() {
    let mut watch = watching(alarm(false));
    let (id, who) = ("no such".to_owned(), "carol".to_owned());
    assert_eq!(watch.step(at(1), Input::AckIncident { id: id.clone(), who }), []);
    assert_eq!(watch.step(at(1), Input::MuteIncident { id, until: at(9) }), []);
}

#[test]
fn a_state_set_by_hand_opens_and_closes_one_and_hides_nothing() {
    let mut watch = watching(alarm(false));
    let set = |state| Input::SetState {
        arn: alarm(false).arn,
        state,
        reason: "drill".to_owned(),
        reason_data: None,
    };
    assert_eq!(incidents(&watch.step(at(1), set(State::Alarm)))[0].count, 0.0);
    let effects = watch.step(at(1), set(State::Ok));
    assert_eq!((notes(&effects).len(), watch.open_incidents()), (1, 0));
    // Within the same millisecond another one begins: it has an id of its own.
    let again = watch.step(at(1), set(State::Alarm));
    assert_ne!(incidents(&again)[0].id, incidents(&effects)[0].id);
    watch.step(at(1), set(State::Ok));
    assert_eq!(named(&watch.step(at(2), events("", [1; 6]))).len(), 1, "what really happens is told");
}

#[test]
fn what_is_not_watched_any_more_ends_without_a_message() {
    let mut changed = alarm(true);
    changed.measure = Measure::Query(QueryMeasure {
        id: "q".to_owned(),
        label: None,
        text: "SELECT SUM(Denied) FROM files GROUP BY Folder".to_owned(),
    });
    for input in [Input::DeleteAlarm { arn: alarm(true).arn }, put(changed), put(alarm(false))] {
        let mut watch = watching(alarm(true));
        watch.step(at(6), events("ann", 0..6));
        let effects = watch.step(at(7), input);
        assert_eq!((notes(&effects).len(), watch.incidents().count()), (0, 0));
        assert_eq!(incidents(&effects)[0].ended, Some(at(7)));
        assert!(matches!(effects.last(), Some(Effect::IncidentOver { .. })));
        assert_eq!(watch.open_incidents(), 0);
    }
    let mut watch = watching(alarm(true));
    watch.step(at(6), events("ann", 0..6));
    watch.step(at(7), put(MetricAlarm { description: Some("other words".to_owned()), ..alarm(true) }));
    assert_eq!(watch.open_incidents(), 1);
}

#[test]
fn without_actions_nothing_is_said() {
    let mut watch = watching(MetricAlarm { actions_enabled: false, ..alarm(false) });
    watch.step(at(6), events("", 0..6));
    let mut effects = Vec::new();
    for second in 7..400 {
        effects.extend(watch.step(at(second), events("", [second])));
        effects.extend(watch.step(at(second), Input::Tick));
    }
    effects.extend(tick(&mut watch, 400..2_000));
    assert_eq!((notes(&effects).len(), watch.incidents().count()), (0, 0));
}

/// Whatever comes between two ticks is told as a count, small enough for every step: ten thousand of them are less than a
/// megabyte.
#[test]
fn what_is_counted_between_ticks_is_told_at_once_and_is_small() {
    let mut watch = watching(alarm(true));
    let users: Vec<String> = (0..10_000).map(|n| format!("corp\\a-rather-long-user-name-{n}")).collect();
    let of_all =
        |second, times| Input::Data(users.iter().flat_map(|user| vec![event(user, second); times]).collect());
    watch.step(at(1), of_all(1, 6));
    let mut counts = Vec::new();
    for effect in watch.step(at(2), of_all(2, 1)) {
        match effect {
            Effect::IncidentCounted(count) => counts.push(count),
            other => panic!("nothing else is handed out: {other:?}"),
        }
    }
    assert_eq!(counts.len(), users.len());
    assert!(
        counts
            .iter()
            .all(|count| (count.count, count.news_points, count.last_second) == (7.0, 1, BASE_S + 2))
    );
    let bytes: usize = counts.iter().map(|count| postcard::to_stdvec(count).unwrap().len()).sum();
    assert!(bytes < 1_000_000, "{bytes} bytes");
    // What has been handed out as a whole is not told again.
    let effects = watch.step(at(3), events(&users[0], [3]));
    assert!(matches!(&effects[..], [Effect::IncidentCounted(_)]));
    for second in 4..16 {
        watch.step(at(second), Input::Tick);
    }
    assert_eq!(watch.step(at(16), Input::Tick), []);
}

#[test]
fn an_incident_begins_with_the_earliest_window_that_crossed_in_whatever_order_events_come() {
    // Twelve events around a full minute; the line is crossed by the sixth.
    let inorder: Vec<i64> = (55..67).collect();
    let reversed: Vec<i64> = inorder.iter().rev().copied().collect();
    let mixed: Vec<i64> = inorder.iter().map(|second| 55 + (second * 5 % 12)).collect();
    for order in [inorder, reversed, mixed] {
        let mut watch = watching(alarm(false));
        for second in &order {
            watch.step(at(67), events("", [*second]));
        }
        let incident = watch.incidents().next().unwrap();
        let first = incident.evidence.first.map(Timestamp::second);
        assert_eq!((incident.first_second, first), (BASE_S + 1, Some(BASE_S + 55)), "{order:?}");
        assert_eq!((incident.count, incident.evidence.events), (12.0, 12), "{order:?}");
        // Before it, and not across the line together with it: somebody's typing error an hour ago is none of it.
        watch.step(at(67), events("", [-100]));
        assert_eq!(watch.incidents().next().unwrap().count, 12.0);
    }
}

/// The number of an expression, by what its events are counted: the sum of one metric's samples, or its minutes.
#[test]
fn incidents_of_expressions_are_counted_by_what_was_judged() {
    let stat = |id: &str, return_data| MetricQuery {
        id: id.to_owned(),
        label: None,
        return_data,
        period_s: None,
        account_id: None,
        what: Queried::Stat(MetricStat {
            series: Series::new("site", "files", "Denied", Vec::new()),
            period_s: 60,
            statistic: "Sum".to_owned(),
            unit: None,
        }),
    };
    let expression = |text: &str| MetricQuery {
        id: "e1".to_owned(),
        return_data: true,
        what: Queried::Expression(text.to_owned()),
        ..stat("", true)
    };
    // Ten, seven, two and nine in four minutes, more than five is across the line, two of three minutes are asked for.
    let minutes = [10, 7, 2, 9];
    for (text, first, update, peak) in [("m1", 17.0, 28.0, 10.0), ("m1 * 2", 2.0, 3.0, 20.0)] {
        let entries = vec![stat("m1", false), expression(text)];
        let threshold = if text == "m1" { 5.0 } else { 10.0 };
        let measure = Measure::Expression(ExpressionMeasure { entries });
        let mut watch = watching(MetricAlarm {
            measure,
            threshold,
            evaluation_periods: 3,
            datapoints_to_alarm: Some(2),
            ..alarm(false)
        });
        let mut effects = Vec::new();
        for second in 0..660 {
            if let Some(times) = minutes.get((second / 60) as usize)
                && second % 60 < *times
            {
                effects.extend(watch.step(at(second), events("", [second])));
            }
            effects.extend(watch.step(at(second), Input::Tick));
        }
        let told: Vec<f64> = incidents(&effects).iter().map(|one| one.count).collect();
        assert_eq!((told.first(), told.last()), (Some(&first), Some(&update)), "{text}: {told:?}");
        let last = incidents(&effects).pop().unwrap().clone();
        assert_eq!(last.peak.map(|peak| peak.value), Some(peak), "{text}");
        assert_eq!(last.first_second, BASE_S, "{text}");
        // The events of the quiet minute belong to the sum; they are not what made a minute count.
        let events = if text == "m1" { 28 } else { 26 };
        assert_eq!(last.evidence.events, events, "{text}");
        assert!(last.ended.is_some(), "{text}");
        let [end] = notes(&effects)[..] else { panic!("{text}: one end") };
        assert_eq!(end.news.count, update - first, "{text}");
    }
}

/// A clock that was put back by less than is believed stands still for a while.
#[test]
fn while_the_clock_stands_still_no_incident_takes_the_record_of_another() {
    let alarm = || alarm(false);
    let mut watch = watching(alarm());
    let set = |state| {
        let (arn, reason) = (alarm().arn, "drill".to_owned());
        Input::SetState { arn, state, reason, reason_data: None }
    };
    let mut ids = BTreeSet::new();
    let mut over = BTreeSet::new();
    let mut flips = 0;
    let mut written = 0;
    for input in [
        vec![set(State::Alarm), set(State::Ok), set(State::Alarm), set(State::Ok), Input::Tick],
        vec![set(State::Alarm), set(State::Ok), Input::Tick, set(State::Alarm)],
        vec![Input::DeleteAlarm { arn: alarm().arn }],
    ]
    .iter()
    .cycle()
    .take(6)
    {
        written += 1;
        watch.step(at(600), put(MetricAlarm { updated: at(written), ..alarm() }));
        for input in input {
            for effect in watch.step(at(600), input.clone()) {
                match effect {
                    Effect::Transition(told) if told.to == State::Alarm => flips += 1,
                    Effect::Incident(one) => drop(ids.insert(one.id)),
                    Effect::IncidentOver { id } => assert!(over.insert(id), "over once"),
                    _ => {}
                }
            }
        }
    }
    assert_eq!((ids.len(), flips), (8, 8), "one incident for each stay in ALARM");
    assert_eq!(watch.incidents().count(), 0);
}

#[test]
fn what_changed_is_saved_in_turn() {
    let mut watch = watching(alarm(true));
    let users: Vec<String> = (0..INCIDENTS_SAVED_PER_TICK_MAX + 10).map(|n| format!("user{n}")).collect();
    let of_all =
        |second, times| Input::Data(users.iter().flat_map(|user| vec![event(user, second); times]).collect());
    watch.step(at(1), of_all(1, 6));
    watch.step(at(2), of_all(2, 1));
    let saved = |effects: &[Effect]| incidents(effects).iter().filter(|one| one.count == 7.0).count();
    assert_eq!(saved(&watch.step(at(3), Input::Tick)), INCIDENTS_SAVED_PER_TICK_MAX);
    assert_eq!(saved(&watch.step(at(4), Input::Tick)), 10);
    assert_eq!(saved(&watch.step(at(5), Input::Tick)), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// A restart after any tick goes on as if there had been none, and each incident counts exactly what happened in it.
    #[test]
    fn restart_changes_nothing_and_counts_are_exact(
        events in prop::collection::vec((0..1_500_i64, 0..3_usize, 1..9_usize), 1..80),
        late_s in prop::sample::select(vec![0, 0, 200]),
        cut in 1..2_400_i64,
        act in prop::option::of((0..2_000_i64, -MINUTE_MS..HOUR_MS)),
    ) {
        let users = ["ann", "bob", "eve"];
        let mut watch = watching(alarm(true));
        let mut restarted: Option<Watch> = None;
        let (mut kept, mut saved) = (Vec::new(), BTreeMap::<String, Incident>::new());
        let mut groups = BTreeMap::<Group, Runtime>::new();
        let (mut over, mut alarms) = (BTreeSet::new(), 0);
        for now in 0..2_700 {
            if now == cut {
                let mut fresh = Watch::new(ACCOUNT);
                fresh.restore_clock(at(now - 1));
                fresh.restore_alarm(alarm(true), watch.alarm(&alarm(true).arn).unwrap().1.clone());
                for (group, runtime) in &groups {
                    fresh.restore_contributor(&alarm(true).arn, group.clone(), runtime.clone());
                }
                for (_, incident) in saved.iter().filter(|(id, _)| !over.contains(*id)) {
                    fresh.restore_incident(postcard::from_bytes(&postcard::to_stdvec(incident).unwrap()).unwrap());
                }
                fresh.restore_data(&kept);
                restarted = Some(fresh);
            }
            let mut data = Vec::new();
            for (second, user, times) in &events {
                let late = if user % 2 == 1 { late_s } else { 0 };
                if second + late == now {
                    data.extend(vec![event(users[*user], *second); *times]);
                }
            }
            kept.extend(data.clone());
            let mut inputs = vec![Input::Data(data), Input::Tick];
            if let Some((when, ms)) = act && when == now {
                let ids = watch.incidents().map(|one| one.id.clone()).collect::<Vec<_>>();
                inputs.extend(ids.into_iter().enumerate().map(|(index, id)| match index % 2 {
                    0 => Input::MuteIncident { id, until: at(now).plus_millis(ms) },
                    _ => Input::AckIncident { id, who: "carol".to_owned() },
                }));
            }
            for input in inputs {
                let effects = watch.step(at(now), input.clone());
                if let Some(restarted) = &mut restarted {
                    prop_assert_eq!(&effects, &restarted.step(at(now), input), "at {}", now);
                }
                for effect in effects {
                    match effect {
                        Effect::Incident(one) => drop(saved.insert(one.id.clone(), *one)),
                        Effect::IncidentOver { id } => prop_assert!(over.insert(id)),
                        Effect::SavedContributor { group, runtime: Some(runtime), .. } => {
                            groups.insert(group, runtime);
                        }
                        Effect::SavedContributor { group, .. } => drop(groups.remove(&group)),
                        Effect::Transition(told) if told.to == State::Alarm => {
                            alarms += usize::from(told.contributor.is_some());
                        }
                        _ => {}
                    }
                }
            }
        }
        prop_assert_eq!(saved.len(), alarms, "one incident for each stay in ALARM");
        for incident in saved.values() {
            prop_assert!(incident.ended.is_some() || incident.evidence.last.is_some());
            let user = incident.contributor.clone().unwrap().attributes[0].1.clone();
            let inside = kept.iter().filter(|datum| {
                (incident.first_second..=incident.last_second).contains(&datum.second)
                    && datum.series.dimensions[0].1 == user
            });
            let inside = inside.count() as f64;
            prop_assert!(incident.count <= inside);
            if late_s == 0 {
                prop_assert_eq!(incident.count, inside);
            }
            prop_assert_eq!(incident.count, incident.evidence.events as f64);
        }
    }
}
