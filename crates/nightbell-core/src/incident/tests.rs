use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::*;
use crate::time::SECOND_MS;

/// 2026-09-14T05:42:01Z.
const START_MS: i64 = 1_789_364_521_000;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + minutes * MINUTE_MS)
}

fn sample(time: Timestamp, line: &str) -> Sample {
    serde_json::from_value(serde_json::json!({ "time": time.as_millis(), "line": line })).unwrap()
}

/// One event of `user` at `time`.
fn event(time: Timestamp, user: &str) -> Evidence {
    let mut evidence = Evidence { events: 1, first: Some(time), last: Some(time), ..Evidence::default() };
    evidence.last_arrival = Some(time);
    evidence.users.add(user);
    evidence.samples.push(sample(time, &format!("{user} was denied")));
    evidence
}

fn opening() -> Opening {
    Opening {
        alarm_arn: "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:denied".to_owned(),
        alarm_name: "denied".to_owned(),
        contributor: Some(Contributor {
            id: "00112233445566ff".to_owned(),
            attributes: vec![("Folder".to_owned(), "\\secret".to_owned())],
        }),
        window: Some((
            Timestamp::from_millis(START_MS - 59_000),
            Timestamp::from_millis(START_MS + SECOND_MS),
        )),
        value: Some(6.0),
        count: 6.0,
        evidence: event(at(0), "ann"),
        extreme: Extreme::Highest,
        muted_until: None,
    }
}

fn observe(incident: &mut Incident, now: Timestamp) {
    incident.observe(now.second(), 1.0, &event(now, "bob"), None);
}

fn reread<T: Serialize + DeserializeOwned>(value: &T) -> T {
    postcard::from_bytes(&postcard::to_stdvec(value).unwrap()).unwrap()
}

#[test]
fn with_news_every_minute_updates_come_at_doubling_intervals_up_to_a_day() {
    let mut incident = Incident::open(at(0), opening());
    let mut told = Vec::new();
    for minute in 1..=4_000 {
        observe(&mut incident, at(minute));
        if let Some(note) = incident.tick(at(minute)) {
            assert_eq!((note.kind, note.number as usize), (NoteKind::Update, told.len() + 2));
            told.push(minute);
        }
    }
    assert_eq!(told, [5, 15, 35, 75, 155, 315, 635, 1_275, 2_555, 3_995]);
}

#[test]
fn without_news_there_is_no_update_and_late_news_is_told_at_once() {
    let mut incident = Incident::open(at(0), opening());
    assert_eq!(incident.next_message(), None);
    assert_eq!(incident.tick(at(600)), None);
    incident.observe(at(600).second(), 0.0, &Evidence::default(), None);
    assert_eq!(incident.tick(at(601)), None, "nothing happened in that second");
    observe(&mut incident, at(602));
    let note = incident.tick(at(602)).unwrap();
    assert_eq!((note.since, note.news.count, note.news.evidence.events), (at(0), 1.0, 1));
    observe(&mut incident, at(603));
    assert_eq!(incident.next_message(), Some(at(612)), "ten minutes after the first update");
}

#[test]
fn a_note_says_what_is_new_and_what_it_comes_to() {
    let mut incident = Incident::open(at(0), opening());
    observe(&mut incident, at(1));
    observe(&mut incident, at(2));
    let update = incident.tick(at(5)).unwrap();
    assert_eq!((update.news.count, update.incident.count), (2.0, 8.0));
    assert_eq!(update.news.evidence.users.top(9), [("bob", 2)]);
    assert_eq!(update.incident.evidence.users.top(9), [("bob", 2), ("ann", 1)]);
    assert_eq!(update.incident.earliest_update(), at(15));
    observe(&mut incident, at(6));
    let end = incident.close(at(7)).unwrap();
    assert_eq!((end.kind, end.number, end.since), (NoteKind::End, 3, at(5)));
    assert_eq!((end.news.count, end.incident.count, end.incident.ended), (1.0, 9.0, Some(at(7))));
    assert_eq!(end.incident.evidence.samples[0].time, at(0));
    assert_eq!(end.incident.last_sample, Some(sample(at(6), "bob was denied")));
    assert_eq!(end.incident.news, News::default());
    assert_eq!(incident.close(at(8)), None, "it ends once");
    assert_eq!(incident.tick(at(9_000)), None);
}

#[test]
fn an_acknowledged_incident_sends_only_its_end() {
    let mut incident = Incident::open(at(0), opening());
    observe(&mut incident, at(1));
    assert!(incident.acknowledge(at(2), "carol"));
    assert!(!incident.acknowledge(at(3), "dave"), "the first to acknowledge stays");
    assert_eq!(incident.acknowledged, Some(Acknowledgement { at: at(2), who: "carol".to_owned() }));
    assert_eq!(incident.tick(at(5_000)), None);
    let end = incident.close(at(5_001)).unwrap();
    assert_eq!((end.kind, end.news.count), (NoteKind::End, 1.0));
    assert!(!incident.acknowledge(at(5_002), "dave"));
}

#[test]
fn a_long_name_is_cut_between_characters() {
    let mut incident = Incident::open(at(0), opening());
    incident.acknowledge(at(1), &"ü".repeat(ACKNOWLEDGED_BY_BYTES_MAX));
    assert_eq!(incident.acknowledged.unwrap().who.len(), ACKNOWLEDGED_BY_BYTES_MAX);
    let name = Contributor { id: String::new(), attributes: vec![("F".to_owned(), "ü".repeat(99))] };
    assert_eq!(name.text(5), "F=ü");
}

#[test]
fn a_muted_incident_sends_nothing_until_the_mute_is_over() {
    let mut incident = Incident::open(at(0), opening());
    observe(&mut incident, at(1));
    assert_eq!(incident.mute(at(2), at(60)), Some(at(60)));
    assert_eq!(incident.tick(at(59)), None);
    assert_eq!(incident.tick(at(60)).unwrap().kind, NoteKind::Update);
}

#[test]
fn an_end_during_a_mute_is_told_when_the_mute_is_over() {
    let mut incident = Incident::open(at(0), opening());
    incident.mute(at(2), at(60));
    assert_eq!(incident.close(at(30)), None);
    assert_eq!(incident.tick(at(59)), None);
    let end = incident.tick(at(60)).unwrap();
    assert_eq!((end.kind, end.at, end.incident.ended), (NoteKind::End, at(60), Some(at(30))));
    assert_eq!(incident.tick(at(61)), None);
}

#[test]
fn a_mute_is_lifted_by_an_instant_that_is_past_and_has_a_longest_length() {
    let mut incident = Incident::open(at(0), opening());
    observe(&mut incident, at(1));
    assert_eq!(
        incident.mute(at(2), Timestamp::from_millis(i64::MAX)),
        Some(at(2).plus_millis(INCIDENT_MUTE_MAX_MS))
    );
    assert_eq!(incident.mute(at(6), at(6)), None);
    assert!(incident.tick(at(6)).is_some());
}

#[test]
fn an_incident_that_opens_muted_is_told_once_the_mute_is_over_if_it_still_lasts() {
    let muted = || Incident::open(at(0), Opening { muted_until: Some(at(60)), ..opening() });
    let mut lasting = muted();
    assert_eq!((lasting.told, lasting.tick(at(59))), (0, None));
    let note = lasting.tick(at(60)).unwrap();
    assert_eq!((note.kind, note.number, note.since, note.news.count), (NoteKind::Update, 1, at(0), 6.0));
    assert!(lasting.close(at(61)).is_some());

    let mut short = muted();
    assert_eq!(short.close(at(10)), None);
    assert_eq!(short.tick(at(60)), None, "nothing was told of it, so its end is not, either");

    let over = Incident::open(at(0), Opening { muted_until: Some(at(0)), ..opening() });
    assert_eq!((over.told, over.muted_until), (1, None));
}

#[test]
fn covers_its_seconds_and_late_data_in_them_is_no_news() {
    let mut incident = Incident::open(at(0), opening());
    let (first, start) = (at(0).second() - 59, at(0).second());
    for (second, covered) in [(first - 1, false), (first, true), (start, true), (start + 9_999, true)] {
        assert_eq!(incident.covers(second), covered, "while it lasts, second {}", second - start);
    }
    observe(&mut incident, at(6));
    incident.close(at(10));
    let last = at(6).second();
    for (second, covered) in [(first - 1, false), (first, true), (last, true), (last + 1, false)] {
        assert_eq!(incident.covers(second), covered, "once it is over, second {}", second - start);
    }
    observe(&mut incident, at(5));
    assert_eq!((incident.count, incident.news.points, incident.next_message()), (8.0, 0, None));
}

#[test]
fn one_without_a_window_covers_nothing_before_its_first_data() {
    let opened =
        Opening { window: None, value: None, count: 0.0, evidence: Evidence::default(), ..opening() };
    let mut incident = Incident::open(at(0), opened);
    incident.close(at(1));
    assert!(!incident.covers(at(0).second()), "an alarm set by hand hides nothing");
}

#[test]
fn data_ahead_of_the_clock_stays_covered() {
    let mut incident = Incident::open(at(0), opening());
    observe(&mut incident, at(30));
    incident.close(at(10));
    assert!(incident.covers(at(30).second()));
    assert!(!incident.covers(at(30).second() + 1));
}

#[test]
fn the_peak_is_the_worst_window() {
    for (extreme, peak) in [(Extreme::Highest, (8.0, 2)), (Extreme::Lowest, (4.0, 3))] {
        let mut incident = Incident::open(at(0), Opening { extreme, ..opening() });
        for (minute, value) in [(1, 6.0), (2, 8.0), (3, 4.0), (4, 8.0), (5, f64::NAN), (6, f64::INFINITY)] {
            let window = CurvePoint { at: at(minute), value };
            incident.observe(at(minute).second(), 1.0, &Evidence::default(), Some(window));
        }
        assert_eq!(incident.peak.map(|peak| (peak.value, peak.at)), Some((peak.0, at(peak.1))));
    }
}

/// Seconds since the start and what was counted in them.
fn drawn(incident: &Incident) -> Vec<(i64, f64)> {
    let curve = &incident.curve;
    let buckets = curve.buckets().iter().enumerate().filter(|(_, bucket)| bucket.count != 0.0);
    let second = |place: usize| curve.start_second() + place as i64 * curve.width_s() - at(0).second();
    buckets.map(|(place, bucket)| (second(place), bucket.count)).collect()
}

#[test]
fn the_curve_begins_with_the_window_that_fired_and_goes_on_with_what_comes() {
    let lumped = Incident::open(at(0), opening());
    assert!(lumped.curve.is_lumped(), "one sample of six is no course");
    assert_eq!(drawn(&lumped), [(0, 6.0)], "at its last event");

    let mut evidence = Evidence::default();
    for second in [-40, -30, -30, 0] {
        evidence.merge(&event(Timestamp::from_millis(START_MS + second * SECOND_MS), "ann"));
    }
    let mut incident = Incident::open(at(0), Opening { count: 4.0, evidence, ..opening() });
    assert!(!incident.curve.is_lumped());
    assert_eq!(drawn(&incident), [(-40, 1.0), (-30, 2.0), (0, 1.0)]);
    observe(&mut incident, at(1));
    let note = incident.close(at(3)).unwrap();
    assert_eq!(drawn(&note.incident), [(-40, 1.0), (-30, 2.0), (0, 1.0), (60, 1.0)]);

    let mut told = Incident::open(at(0), opening());
    told.draw_opening_from([(at(0).second() - 7, 4.0), (at(0).second(), 2.0)]);
    assert!(!told.curve.is_lumped());
    assert_eq!(drawn(&told), [(-7, 4.0), (0, 2.0)]);
    let worst = |incident: &Incident| incident.curve.buckets().iter().find_map(|bucket| bucket.worst);
    assert_eq!((worst(&told), worst(&lumped)), (Some(6.0), Some(6.0)));
}

#[test]
fn sums_stay_numbers() {
    let mut incident = Incident::open(at(0), Opening { count: f64::NAN, ..opening() });
    for value in [f64::INFINITY, f64::NAN, 2.0, f64::MAX, f64::MAX] {
        incident.observe(at(1).second(), value, &Evidence::default(), None);
    }
    assert_eq!((incident.count, incident.news.count), (f64::MAX, f64::MAX));
}

#[test]
fn ids_are_stable_and_differ_in_each_part() {
    let id = Incident::id_of("arn:a", Some("b"), at(0));
    assert_eq!(id, "901b3741132d8ef0");
    assert_eq!(Incident::open(at(0), opening()).id.len(), 16);
    for other in [
        Incident::id_of("arn:ab", Some(""), at(0)),
        Incident::id_of("arn:a", Some("c"), at(0)),
        Incident::id_of("arn:a", None, at(0)),
        Incident::id_of("arn:a", Some("b"), at(1)),
    ] {
        assert_ne!(id, other);
    }
}

#[test]
fn starts_at_one_time_are_told_apart() {
    let id = |updated, put_backs| Incident::open(at(0), opening()).told_apart(at(updated), put_backs).id;
    let ids = [id(0, 0), id(1, 0), id(0, 1), id(1, 1), id(0, 2)];
    assert_eq!(ids, [id(0, 0), id(1, 0), id(0, 1), id(1, 1), id(0, 2)]);
    let different: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!((different.len(), ids[0].len()), (ids.len(), 16));
}

#[test]
fn an_incident_is_kept_for_its_time_after_its_end() {
    let mut incident = Incident::open(at(0), opening());
    let late = at(10).plus_millis(INCIDENT_AGE_MAX_MS);
    assert!(!incident.is_outlived(late.plus_millis(DAY_MS)));
    incident.close(at(10));
    assert!(!incident.is_outlived(late));
    assert!(incident.is_outlived(late.plus_millis(1)));
}

#[test]
fn evidence_of_all_open_incidents_stays_within_its_memory() {
    const BYTES_MAX: usize = 40_000;
    let mut memory = EvidenceMemory::within(BYTES_MAX);
    let mut open: Vec<Incident> = Vec::new();
    for n in 0..100_i64 {
        let mut incident = Incident::open(at(n), opening());
        memory.admit(&mut incident);
        for user in 0..50 {
            let evidence = event(at(n), &format!("user-{user}"));
            memory.change(&mut incident, |it| it.observe(at(n).second(), 1.0, &evidence, None));
            assert!(memory.bytes() <= BYTES_MAX);
        }
        assert_eq!((incident.count, incident.evidence.events), (56.0, 51), "counts are never given up");
        let users = &incident.evidence.users;
        assert_eq!(users.top(99).iter().map(|(_, count)| count).sum::<u64>() + users.others, 51);
        open.push(incident);
    }
    let held: usize = open.iter().map(Incident::evidence_bytes).sum();
    assert_eq!(held, memory.bytes());
    assert!(!open[0].condensed && open[0].evidence.users.distinct() == 51, "what does not grow keeps all");
    assert!(open[99].condensed);
    for incident in &open {
        memory.release(incident);
    }
    assert_eq!(memory.bytes(), 0);
}

/// What may happen to an incident.
#[derive(Clone, Debug)]
enum Act {
    Pass { ms: i64 },
    Observe { points: u8 },
    Acknowledge,
    Mute { ms: i64 },
    Close,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        12 => (1..6 * HOUR_MS).prop_map(|ms| Act::Pass { ms }),
        12 => (1..2 * MINUTE_MS).prop_map(|ms| Act::Pass { ms }),
        24 => (0..4_u8).prop_map(|points| Act::Observe { points }),
        1 => Just(Act::Acknowledge),
        2 => (-HOUR_MS..40 * HOUR_MS).prop_map(|ms| Act::Mute { ms }),
        1 => Just(Act::Close),
    ];
    prop::collection::vec(act, 0..200)
}

/// Applies `act` and then ticks; the messages that come of it.
fn apply(incident: &mut Incident, now: Timestamp, act: &Act) -> Vec<Note> {
    let mut notes = Vec::new();
    match act {
        Act::Pass { .. } => {}
        Act::Observe { points } => (0..*points).for_each(|_| observe(incident, now)),
        Act::Acknowledge => drop(incident.acknowledge(now, "carol")),
        Act::Mute { ms } => drop(incident.mute(now, now.plus_millis(*ms))),
        Act::Close => notes.extend(incident.close(now)),
    }
    notes.extend(incident.tick(now));
    notes
}

proptest! {
    #[test]
    fn messages_keep_their_distance_and_tell_everything_once(
        acts in acts(),
        opens_muted in any::<bool>(),
    ) {
        let mut now = at(0);
        let muted_until = opens_muted.then(|| at(90));
        let mut incident = Incident::open(now, Opening { muted_until, ..opening() });
        let mut twin = reread(&incident);
        let first_told = (!opens_muted).then_some(now);
        let (mut notes, mut news, mut total) = (Vec::<Note>::new(), 0.0, 6.0);
        if opens_muted {
            news = 6.0;
        }
        for act in &acts {
            if let Act::Pass { ms } = act {
                now = now.plus_millis(*ms);
            }
            let (open, muted) = (incident.ended.is_none() || incident.end_owed, incident.muted_until);
            let fresh = apply(&mut incident, now, act);
            // Stored and read back at any point, it goes on the same way.
            prop_assert_eq!(&fresh, &apply(&mut twin, now, act));
            twin = reread(&twin);
            prop_assert_eq!(&incident, &twin);
            if let Act::Observe { points } = act {
                total += f64::from(*points);
                news += if open { f64::from(*points) } else { 0.0 };
            }
            prop_assert!(fresh.len() <= 1);
            for note in fresh {
                // Nothing is lost, nothing is told twice.
                prop_assert_eq!((note.news.count, note.incident.count), (news, total));
                news = 0.0;
                if !matches!(act, Act::Mute { .. }) {
                    prop_assert!(muted.is_none_or(|until| until <= now), "told while muted");
                }
                if note.kind == NoteKind::Update {
                    prop_assert!(incident.acknowledged.is_none() && note.news.points > 0);
                    let before = notes.last().map(|note| note.at).or(first_told);
                    let told = notes.len() as u32 + u32::from(first_told.is_some());
                    if let Some(before) = before {
                        let wait_ms = (0..told - 1).fold(5 * MINUTE_MS, |ms, _| (2 * ms).min(24 * HOUR_MS));
                        prop_assert!(now.since(before) >= wait_ms, "{told} told, {}", now.since(before));
                    }
                }
                notes.push(note);
            }
        }
        let numbers: Vec<u32> = notes.iter().map(|note| note.number).collect();
        let from = 1 + u32::from(first_told.is_some());
        prop_assert_eq!(numbers, (from..from + notes.len() as u32).collect::<Vec<_>>());
        let ends = notes.iter().filter(|note| note.kind == NoteKind::End).count();
        let owed = incident.ended.is_some() && incident.told > 0 && !incident.end_owed;
        prop_assert_eq!(ends, usize::from(owed));
        prop_assert!(notes.iter().rev().skip(1).all(|note| note.kind == NoteKind::Update), "the end is last");
        // First message, end, nine updates while the interval doubles, then one a day.
        let days = now.since(at(0)) / DAY_MS;
        prop_assert!((incident.told as i64) <= 11 + days);
    }
}
