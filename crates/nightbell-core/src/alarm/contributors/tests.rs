use std::collections::BTreeSet;

use super::*;
use crate::alarm::{Comparison, Measure, QueryMeasure};
use crate::metric::{Aggregate, Series};

const BASE_S: i64 = 1_767_225_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(BASE_S + second)
}

fn alarm(text: &str, threshold: f64) -> MetricAlarm {
    MetricAlarm {
        arn: "arn:aws:cloudwatch:site:123456789012:alarm:a".to_owned(),
        region: "site".to_owned(),
        name: "a".to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure: Measure::Query(QueryMeasure { id: "q".to_owned(), label: None, text: text.to_owned() }),
        period_s: 300,
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold,
        band: None,
        comparison: Comparison::GreaterThanOrEqualToThreshold,
        missing_data: MissingData::NotBreaching,
        evaluate_low_sample_count_percentile: String::new(),
        updated: at(0),
    }
}

fn watch(text: &str, threshold: f64, contributors_max: usize) -> ContributorsWatch {
    let alarm = alarm(text, threshold);
    alarm.check().unwrap();
    ContributorsWatch::new(alarm, Query::parse(text).unwrap(), Runtime::created(at(0)), contributors_max)
}

fn sample(metric: &str, user: &str, second: i64, key: Option<u64>) -> Datum {
    Datum {
        series: Series::new("site", "logons", metric, vec![("User".to_owned(), user.to_owned())]),
        second: BASE_S + second,
        unit: None,
        aggregate: key.map_or(Aggregate::one(1.0), Aggregate::keyed),
        evidence: Evidence::default(),
    }
}

/// The values of those that moved, with the state they moved to, in one step.
fn step(watch: &mut ContributorsWatch, second: i64, data: Vec<Datum>) -> Vec<(String, State)> {
    let mut came = Came::default();
    for datum in data {
        watch.take(at(second), datum, None, &mut came);
    }
    told(&watch.arrive(Judging { now: at(second), account: "123456789012" }, &came))
}

fn tick(watch: &mut ContributorsWatch, second: i64) -> Vec<(String, State)> {
    told(&watch.tick(at(second), Judging { now: at(second), account: "123456789012" }))
}

fn told(moved: &Moved) -> Vec<(String, State)> {
    let one = |told: &Transition| told.contributor.as_ref().map(|one| (one.attributes[0].1.clone(), told.to));
    moved.transitions.iter().filter_map(one).collect()
}

const FAILED: &str = "SELECT SUM(Failed) FROM logons GROUP BY User";

#[test]
fn past_the_cap_one_over_the_threshold_is_found_in_the_noise() {
    let mut watch = watch(FAILED, 5.0, 100);
    let mut found = BTreeSet::new();
    for n in 0..3_000_i64 {
        let mut data = vec![sample("Failed", &format!("noise{n}"), n / 30, None)];
        if n % 60 == 0 {
            data.push(sample("Failed", "mallory", n / 30, None)); // once in two seconds
        }
        found.extend(step(&mut watch, n / 30, data).into_iter().map(|(user, _)| user));
    }
    assert!(watch.counts().0 <= 100);
    assert_eq!(watch.counts().1 as usize + watch.counts().0, 3_001 + readmitted(&watch));
    assert!(found.contains("mallory") || found.contains(OTHERS), "{found:?}");
    assert!(found.iter().all(|user| !user.starts_with("noise")), "no false alarm: {found:?}");
    assert!(watch.runtime().partial, "being at the cap is reported");
}

/// Contributors that gave way and came again count twice among those that gave way.
fn readmitted(watch: &ContributorsWatch) -> usize {
    (watch.counts().1 as usize + watch.counts().0).saturating_sub(3_001)
}

#[test]
fn others_are_over_when_all_that_gave_way_has_left_the_window() {
    let mut watch = watch(FAILED, 2.0, 10);
    let flood = |from: i64| (from..from + 40).map(|n| sample("Failed", &format!("u{n}"), 1, None)).collect();
    assert_eq!(step(&mut watch, 1, flood(0)), [], "all were judged before they gave way");
    let again = step(&mut watch, 2, flood(100));
    assert_eq!(again, [(OTHERS.to_owned(), State::Alarm)], "any of them may have failed before");
    assert_eq!(tick(&mut watch, 120), []);
    assert_eq!(tick(&mut watch, 600), [(OTHERS.to_owned(), State::Ok)]);
    assert_eq!(watch.runtime().state, State::Ok);
    assert!(watch.runtime().partial, "what comes late may still be one too few");
    tick(&mut watch, 1_300);
    assert!(!watch.runtime().partial);
}

#[test]
fn nobody_gives_way_unjudged() {
    let mut watch = watch(FAILED, 2.0, 10);
    let twice = |n: i64| [(); 2].map(|()| sample("Failed", &format!("u{n}"), n % 7, None));
    let told = step(&mut watch, 10, (0..40).flat_map(twice).collect());
    assert_eq!(told.len(), 40, "forty crossed the line in one step: {told:?}");
    assert_eq!(watch.counts(), (40, 0), "those in ALARM stay");
}

#[test]
fn below_the_cap_nothing_gives_way() {
    let mut watch = watch(FAILED, 5.0, 1_000);
    for n in 0..1_000 {
        step(&mut watch, 1, vec![sample("Failed", &format!("u{n}"), 1, None)]);
    }
    assert_eq!(watch.counts(), (1_000, 0));
    assert!(!watch.runtime().partial);
    tick(&mut watch, 7_200);
    assert_eq!(watch.counts(), (0, 0), "what is over is forgotten");
}

#[test]
fn distinct_counts_keys_once_in_any_order() {
    let text = "SELECT COUNT_DISTINCT(Accounts) FROM logons GROUP BY User";
    let mut watch = watch(text, 3.0, 100);
    let keyed = |key| vec![sample("Accounts", "10.0.0.1", 1, Some(key))];
    for key in [1, 1, 2, 2, 1] {
        assert_eq!(step(&mut watch, 2, keyed(key)), []);
    }
    assert_eq!(step(&mut watch, 2, keyed(3)), [("10.0.0.1".to_owned(), State::Alarm)]);
}

#[test]
fn after_counts_only_what_follows() {
    let text = "SELECT SUM(Succeeded) FROM logons GROUP BY User AFTER SUM(Failed) >= 3";
    let failed = |user: &str, second| sample("Failed", user, second, None);
    let succeeded = |user: &str, second| sample("Succeeded", user, second, None);

    let mut in_order = watch(text, 1.0, 100);
    assert_eq!(step(&mut in_order, 5, (1..=3).map(|s| failed("ann", s)).collect()), []);
    assert_eq!(step(&mut in_order, 10, vec![succeeded("ann", 9)]), [("ann".to_owned(), State::Alarm)]);

    let mut before = watch(text, 1.0, 100);
    assert_eq!(step(&mut before, 1, vec![succeeded("ann", 1)]), [], "a logon before");
    assert_eq!(step(&mut before, 10, (5..=9).map(|s| failed("ann", s)).collect()), []);
    assert_eq!(step(&mut before, 400, vec![succeeded("ann", 399)]), [], "longer ago than a period");

    let mut late = watch(text, 1.0, 100);
    assert_eq!(step(&mut late, 10, vec![succeeded("ann", 9)]), []);
    assert_eq!(step(&mut late, 20, vec![failed("ann", 1), failed("ann", 2)]), []);
    assert_eq!(step(&mut late, 30, vec![failed("bob", 3)]), [], "somebody else's");
    assert_eq!(step(&mut late, 40, vec![failed("ann", 3)]), [("ann".to_owned(), State::Alarm)]);
}

#[test]
fn identities_are_stable_and_depend_on_every_attribute() {
    let watch = watch("SELECT SUM(M) FROM n GROUP BY A, B", 1.0, 10);
    let named = |a: &str, b: &str| watch.named(&vec![a.to_owned(), b.to_owned()]).id;
    assert_eq!(named("x", "y"), named("x", "y"));
    assert_eq!(named("x", "y").len(), 16);
    assert_ne!(named("x", "y"), named("xy", ""));
    assert_ne!(named("x", "y"), named("y", "x"));
}

#[test]
fn silence_before_the_first_data_is_nobodys() {
    let text = "SELECT SUM(Events) FROM logons GROUP BY User";
    let mut alarm = alarm(text, 1.0);
    alarm.comparison = Comparison::LessThanThreshold;
    alarm.missing_data = MissingData::Breaching;
    alarm.period_s = 10;
    let mut watch = ContributorsWatch::new(alarm, Query::parse(text).unwrap(), Runtime::created(at(0)), 10);
    for second in 21..=40 {
        if second <= 24 {
            assert_eq!(step(&mut watch, second, vec![sample("Events", "fs1", second, None)]), []);
        }
        assert_eq!(tick(&mut watch, second), [], "at {second}");
    }
    let told: Vec<_> = (41..120).filter(|second| !tick(&mut watch, *second).is_empty()).collect();
    assert_eq!(told, [65], "three periods after the one with the last data, and complete");
}

#[test]
fn more_alarms_than_the_cap_end_the_oldest() {
    let mut watch = watch(FAILED, 1.0, 10);
    let flood = |from: i64, second: i64| {
        (from..from + 10).map(|n| sample("Failed", &format!("u{n:03}"), second, None)).collect::<Vec<_>>()
    };
    for step_no in 0..30 {
        let told = step(&mut watch, step_no, flood(step_no * 10, step_no));
        let fired = told.iter().filter(|(who, state)| who != OTHERS && *state == State::Alarm).count();
        assert_eq!(fired, 10, "everybody over the line is told at once");
        assert!(watch.counts().0 <= 30, "{} are held", watch.counts().0);
    }
    assert_eq!(watch.runtime().state, State::Alarm);
}

#[test]
fn conditions_alone_are_held_to_the_cap() {
    let text = "SELECT SUM(Succeeded) FROM logons GROUP BY User AFTER SUM(Failed) >= 3";
    let mut watch = watch(text, 1.0, 10);
    let failed = |user: &str, second| sample("Failed", user, second, None);
    step(&mut watch, 1, (0..3).map(|s| failed("mallory", s)).collect());
    for n in 0..200 {
        step(&mut watch, 2, vec![failed(&format!("noise{n}"), 2)]);
        assert!(watch.before.len() <= 21);
    }
    let told = step(&mut watch, 10, vec![sample("Succeeded", "mallory", 9, None)]);
    assert_eq!(told, [("mallory".to_owned(), State::Alarm)], "who counted most stays");
}

#[test]
fn somebody_who_is_called_like_those_that_gave_way_is_somebody() {
    let mut watch = watch(FAILED, 2.0, 10);
    let called = |second| vec![sample("Failed", OTHERS, second, None); 2];
    assert_eq!(step(&mut watch, 1, called(1)), [(OTHERS.to_owned(), State::Alarm)]);
    for from in [0, 100] {
        step(&mut watch, 2, (from..from + 40).map(|n| sample("Failed", &format!("u{n}"), 2, None)).collect());
    }
    let alarming: Vec<Contributor> = watch
        .contributors()
        .filter(|(_, runtime)| runtime.state == State::Alarm)
        .map(|(contributor, _)| contributor)
        .collect();
    assert_eq!(alarming.len(), 2, "one of that name, and the one that stands for others: {alarming:?}");
    assert_ne!(alarming[0].id, alarming[1].id);
    let mut stand: Vec<bool> = alarming.iter().map(Contributor::stands_for_others).collect();
    stand.sort_unstable();
    assert_eq!(stand, [false, true]);
    let mut groups: Vec<Group> = alarming.iter().map(Contributor::group).collect();
    groups.sort();
    assert_eq!(groups, [Group::new(), vec![OTHERS.to_owned()]]);

    let saved: BTreeSet<Group> = watch.saved().into_iter().collect();
    let mut again = self::watch(FAILED, 2.0, 10);
    for group in saved {
        let runtime = watch.standing_of(&group).unwrap().runtime.clone();
        again.restore_contributor(Some(at(2)), group, runtime);
    }
    assert_eq!(again.counts().0, 1, "a restart tells them apart, too");
    assert!(again.standing_of(&Group::new()).is_some_and(|others| others.runtime.state == State::Alarm));
}

/// A machine that is silent for good.
#[test]
fn where_silence_is_breaching_one_that_is_forgotten_fires_again_only_by_new_data() {
    let mut watch = watch(FAILED, 2.0, 10);
    watch.question.alarm.missing_data = MissingData::Breaching;
    assert_eq!(step(&mut watch, 100, vec![sample("Failed", "ann", 100, None)]), []);
    assert_eq!(tick(&mut watch, 665), [], "the slot that holds it says OK");
    let fired = (720..2_400).step_by(60).find(|second| !tick(&mut watch, second + 5).is_empty());
    let fired = fired.expect("a silence that is told of") + 5;
    assert_eq!(watch.runtime().state, State::Alarm);
    let remembered = fired + REMEMBERED_S;
    assert_eq!(tick(&mut watch, remembered), []);
    let over = watch.tick(at(remembered + 60), Judging { now: at(remembered + 60), account: "123456789012" });
    assert_eq!(told(&over), [("ann".to_owned(), State::Ok)]);
    assert_eq!(over.transitions[0].reason, "Forgotten after 7 days without data.");
    assert!(matches!(over.saved.last(), Some((group, None)) if *group == ["ann"]), "{:?}", over.saved);
    assert_eq!((watch.counts().0, watch.runtime().state), (0, State::Ok));
    for minute in 2..60 {
        assert_eq!(tick(&mut watch, remembered + 60 * minute), []);
    }
    let again = remembered + 3_600;
    assert_eq!(step(&mut watch, again, vec![sample("Failed", "ann", again, None)]), []);
    let fired = (0..2_400).step_by(60).any(|after| !tick(&mut watch, again + after).is_empty());
    assert!(fired, "who came back and is silent again");
}
