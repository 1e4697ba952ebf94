use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::MessageKind::{End, First, Update};
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_789_364_521 + second)
}

fn line(kind: MessageKind, n: usize, at: Timestamp) -> DigestLine {
    DigestLine {
        kind,
        alarm: "denied".to_owned(),
        attributes: vec![("Folder".to_owned(), format!("\\{n}"))],
        value: 6.0,
        threshold: Some(5.0),
        incident: format!("{n:016x}"),
        at,
    }
}

fn budget() -> Budget {
    Budget::new(at(0), Allowance::default())
}

/// How many of `count` messages at `now` go out by themselves.
fn sent(budget: &mut Budget, now: Timestamp, kind: MessageKind, count: usize) -> usize {
    (0..count).filter(|n| budget.take(now, line(kind, *n, now)) == Decision::Send).count()
}

fn reread<T: Serialize + DeserializeOwned>(value: &T) -> T {
    postcard::from_bytes(&postcard::to_stdvec(value).unwrap()).unwrap()
}

#[test]
fn a_small_burst_goes_out_by_itself() {
    let mut budget = budget();
    assert_eq!(sent(&mut budget, at(0), First, 10), 10);
    assert_eq!((budget.next_digest(), budget.due(at(9_999))), (None, None));
}

#[test]
fn first_messages_past_the_moment_are_named_at_once_in_one_digest() {
    let mut budget = budget();
    assert_eq!(sent(&mut budget, at(0), First, 10), 10);
    let eleventh = line(First, 10, at(0));
    assert_eq!(budget.take(at(0), eleventh.clone()), Decision::Gather { until: at(0) });
    let digest = budget.due(at(0)).unwrap();
    assert_eq!(digest.lines, [eleventh]);
    assert_eq!((digest.number, digest.at, digest.since, digest.more), (1, at(0), at(0), 0));
    assert_eq!(budget.due(at(0)), None);
}

#[test]
fn a_flood_is_ten_messages_and_one_digest_that_counts_what_it_cannot_name() {
    let mut budget = budget();
    assert_eq!(sent(&mut budget, at(0), First, 4_722), 10);
    let digest = budget.due(at(0)).unwrap();
    assert_eq!((digest.lines.len(), digest.more), (DIGEST_LINES_MAX, 4_212));
    assert_eq!(digest.tallied, Tallied { firsts: 4_712, updates: 0, ends: 0 });
}

#[test]
fn the_bucket_holds_twenty_and_gives_one_back_each_half_minute() {
    let mut budget = budget();
    for (second, asked, expected) in [(0, 10, 10), (1, 10, 10), (2, 3, 0), (30, 1, 1), (59, 1, 0), (60, 1, 1)]
    {
        assert_eq!(sent(&mut budget, at(second), First, asked), expected, "at second {second}");
    }
    assert!(budget.due(at(60)).is_some());
    assert_eq!(sent(&mut budget, at(90), Update, 2), 1);
    assert_eq!(sent(&mut budget, at(9_000), End, 99), 0, "an update waits, and ends stay behind it");
    assert!(budget.due(at(9_000)).is_some());
    assert_eq!(sent(&mut budget, at(9_001), End, 99), 10, "full again, and ten at one moment");
}

#[test]
fn a_digest_takes_a_message_from_the_budget() {
    let mut budget = budget();
    assert_eq!(sent(&mut budget, at(0), First, 11), 10);
    assert!(budget.due(at(0)).is_some());
    assert_eq!(sent(&mut budget, at(1), First, 10), 9);
}

#[test]
fn updates_and_ends_past_the_budget_wait_for_minutes_at_most_and_in_order() {
    let mut budget = budget();
    assert_eq!(sent(&mut budget, at(0), Update, 10), 10);
    let until = at(300);
    assert_eq!(budget.take(at(0), line(Update, 10, at(0))), Decision::Gather { until });
    assert_eq!(budget.due(at(0)), None);
    assert_eq!(budget.take(at(200), line(End, 10, at(200))), Decision::Gather { until }, "behind its update");
    assert_eq!((budget.next_digest(), budget.due(at(299))), (Some(until), None));
    let digest = budget.due(until).unwrap();
    assert_eq!(digest.lines, [line(Update, 10, at(0)), line(End, 10, at(200))]);
    assert_eq!((digest.since, digest.tallied), (at(0), Tallied { firsts: 0, updates: 1, ends: 1 }));
    assert_eq!(budget.take(until, line(End, 11, until)), Decision::Send);
}

#[test]
fn a_first_message_is_not_held_up_by_waiting_updates_and_takes_them_along_in_its_digest() {
    let mut budget = budget();
    sent(&mut budget, at(0), Update, 11);
    assert_eq!(budget.take(at(1), line(First, 50, at(1))), Decision::Send);
    sent(&mut budget, at(2), First, 20);
    assert_eq!(budget.next_digest(), Some(at(2)));
    let digest = budget.due(at(2)).unwrap();
    assert_eq!(digest.tallied, Tallied { firsts: 11, updates: 1, ends: 0 });
    assert_eq!(digest.lines.iter().position(|line| line.kind == Update), Some(11), "first messages first");
}

#[test]
fn lines_of_updates_never_take_the_place_of_first_messages() {
    let mut budget = budget();
    sent(&mut budget, at(0), Update, 700);
    sent(&mut budget, at(1), First, 400);
    let digest = budget.due(at(1)).unwrap();
    let firsts = digest.lines.iter().filter(|line| line.kind == First).count();
    assert_eq!((firsts as u64, digest.lines.len()), (digest.tallied.firsts, DIGEST_LINES_MAX));
    assert_eq!(digest.more + 500, digest.tallied.all());
}

#[test]
fn a_topic_may_allow_something_else_within_limits() {
    let mut none = Budget::new(at(0), Allowance { per_moment: 0, ..Allowance::default() });
    assert_eq!(none.take(at(0), line(First, 0, at(0))), Decision::Gather { until: at(0) });
    none.due(at(0)).unwrap();
    none.allow(at(1), Allowance { per_moment: 2, per_window: 3, digest_every_ms: 60_000 });
    assert_eq!([sent(&mut none, at(1), First, 5), sent(&mut none, at(2), First, 5)], [2, 1]);
    let nothing = Allowance { per_moment: 9, per_window: 0, ..Allowance::default() };
    let mut opened = Budget::new(at(0), nothing);
    assert_eq!(sent(&mut opened, at(0), First, 5), 0);
    opened.due(at(0)).unwrap();
    opened.allow(at(1), Allowance { per_window: 4, ..nothing });
    assert_eq!(sent(&mut opened, at(1), First, 9), 4, "what it allows more may go out at once");
    let wild = Allowance { per_moment: u32::MAX, per_window: u32::MAX, digest_every_ms: i64::MAX };
    let held = Budget::new(at(0), wild).allowance();
    assert_eq!((held.per_moment, held.per_window), (MESSAGES_MAX, MESSAGES_MAX));
    assert_eq!(held.digest_every_ms, DIGEST_EVERY_MAX_MS);
    let hasty = Allowance { digest_every_ms: i64::MIN, ..wild };
    assert_eq!(Budget::new(at(0), hasty).allowance().digest_every_ms, DIGEST_EVERY_MIN_MS);
}

#[test]
fn a_shorter_wait_holds_for_what_waits_already() {
    let mut budget = budget();
    sent(&mut budget, at(0), Update, 11);
    budget.allow(at(10), Allowance { digest_every_ms: 20_000, ..Allowance::default() });
    assert_eq!(budget.next_digest(), Some(at(30)));
}

#[test]
fn a_clock_put_back_counts_as_standing_still() {
    let mut budget = budget();
    assert_eq!(sent(&mut budget, at(0), First, 10), 10);
    assert_eq!(budget.take(at(-3_600), line(First, 10, at(-3_600))), Decision::Gather { until: at(0) });
    let digest = budget.due(at(-3_600)).unwrap();
    assert_eq!((digest.at, digest.since), (at(0), at(-3_600)));
}

#[test]
fn it_is_known_whether_what_has_no_line_is_of_the_same() {
    let digest = |last: DigestLine| {
        let mut budget = Budget::new(at(0), Allowance { per_moment: 0, ..Allowance::default() });
        for n in 0..DIGEST_LINES_MAX {
            budget.take(at(0), line(First, n, at(0)));
        }
        budget.take(at(0), last);
        let digest = budget.due(at(0)).unwrap();
        assert_eq!((digest.lines.len(), digest.more), (DIGEST_LINES_MAX, 1));
        budget.take(at(1), line(First, 1, at(1)));
        assert!(!budget.due(at(1)).unwrap().more_differ, "the next is another one");
        digest.more_differ
    };
    let same = || line(First, 7, at(0));
    assert!(!digest(same()));
    assert!(digest(DigestLine { alarm: "other".to_owned(), ..same() }));
    assert!(digest(DigestLine { attributes: Vec::new(), ..same() }));
    assert!(digest(DigestLine { alarm: "other".to_owned(), ..line(Update, 7, at(0)) }));
    assert!(!digest(line(End, 7, at(0))));
}

#[test]
fn names_in_a_line_are_cut() {
    let mut budget = Budget::new(at(0), Allowance { per_moment: 0, ..Allowance::default() });
    let long = "ü".repeat(DIGEST_NAME_BYTES_MAX);
    let attributes = vec![("Folder".to_owned(), long.clone()), (long.clone(), "v".to_owned())];
    budget.take(at(0), DigestLine { alarm: long, attributes, ..line(First, 0, at(0)) });
    let digest = budget.due(at(0)).unwrap();
    assert_eq!(digest.lines[0].alarm.len(), DIGEST_NAME_BYTES_MAX);
    let bytes: Vec<[usize; 2]> =
        digest.lines[0].attributes.iter().map(|(name, value)| [name.len(), value.len()]).collect();
    assert_eq!(bytes, [[6, DIGEST_NAME_BYTES_MAX / 2], [DIGEST_NAME_BYTES_MAX / 2, 1]]);
}

/// Messages of one instant, after a wait.
type Instant = (i64, Vec<MessageKind>);

fn instants() -> impl Strategy<Value = Vec<Instant>> {
    let kind = || prop_oneof![Just(First), Just(Update), Just(End)];
    let few = prop::collection::vec(kind(), 0..5);
    let many = prop::collection::vec(kind(), 0..60);
    let flood = prop::collection::vec(Just(First), 500..600);
    let wait_ms = prop_oneof![Just(0), 1..2_000_i64, 1..900_000_i64];
    prop::collection::vec((wait_ms, prop_oneof![16 => few, 8 => many, 1 => flood]), 0..40)
}

proptest! {
    #[test]
    fn every_message_goes_out_once_and_a_first_one_at_its_instant(
        instants in instants(),
        per_moment in 0..12_u32,
        per_window in 0..30_u32,
    ) {
        let allowance = Allowance { per_moment, per_window, ..Allowance::default() };
        let (mut budget, mut twin) = (Budget::new(at(0), allowance), Budget::new(at(0), allowance));
        let mut now = at(0);
        let mut alone: Vec<Timestamp> = Vec::new();
        // When each message that waits was caused, by incident: one of each kind is enough to tell them apart.
        let mut waiting: BTreeMap<String, (MessageKind, Timestamp)> = BTreeMap::new();
        let mut n = 0;
        for (wait_ms, kinds) in instants {
            // The clock ticks in between, as the server's does.
            let then = now.plus_millis(wait_ms);
            let mut steps: Vec<(Timestamp, Vec<MessageKind>)> = Vec::new();
            while let Some(due) = budget.next_digest().filter(|due| steps.is_empty() && *due < then) {
                steps.push((due, Vec::new()));
            }
            steps.push((then, kinds));
            for (instant, kinds) in steps {
                now = instant;
                for kind in kinds {
                    let line = line(kind, n, now);
                    n += 1;
                    let decision = budget.take(now, line.clone());
                    prop_assert_eq!(decision, twin.take(now, line.clone()));
                    if n % 16 == 0 {
                        twin = reread(&twin);
                    }
                    match decision {
                        Decision::Send => alone.push(now),
                        Decision::Gather { until } => {
                            prop_assert!(until <= now.plus_millis(DIGEST_EVERY_MS));
                            prop_assert!(kind != First || until == now);
                            waiting.insert(line.incident.clone(), (kind, now));
                        }
                    }
                }
                let digest = budget.due(now);
                prop_assert_eq!(&digest, &twin.due(now));
                twin = reread(&twin);
                prop_assert_eq!(&budget, &twin);
                if let Some(digest) = digest {
                    prop_assert!(digest.lines.len() <= DIGEST_LINES_MAX);
                    prop_assert_eq!(digest.tallied.all(), waiting.len() as u64, "all that waits goes out");
                    prop_assert_eq!(digest.lines.len() as u64 + digest.more, waiting.len() as u64);
                    for line in &digest.lines {
                        let taken = waiting.remove(&line.incident);
                        prop_assert_eq!(taken, Some((line.kind, line.at)), "named twice, or never taken");
                        prop_assert!(now.since(line.at) <= DIGEST_EVERY_MS);
                    }
                    let unnamed = |kind| waiting.values().any(|(held, _)| *held == kind);
                    let others = digest.lines.iter().any(|line| line.kind != First);
                    prop_assert!(!(unnamed(First) && others), "a first message gives way to no other");
                    waiting.clear();
                }
                prop_assert!(waiting.values().all(|(kind, _)| *kind != First), "a first message was delayed");
            }
        }
        for (i, from) in alone.iter().enumerate() {
            let moment = alone[i..].iter().take_while(|sent| *sent == from).count();
            prop_assert!(moment <= per_moment as usize);
            let window = alone[i..].iter().take_while(|sent| sent.since(*from) <= BUDGET_WINDOW_MS).count();
            prop_assert!(window <= 2 * per_window as usize, "a full bucket and what flows in");
        }
    }
}
