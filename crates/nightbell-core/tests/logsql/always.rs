//! What holds for any text, any events, and any split of a scan.

use nightbell_core::fields::json::JsonReader;
use nightbell_core::fields::{Selector, Subject, Value};
use nightbell_core::logsql::{Feed, Limits, Query, Run, RunError};
use nightbell_core::pattern::facts::Facts;
use nightbell_core::pattern::plain_number;
use proptest::prelude::*;

use super::{Event, ask, feed, now, query, run_of};

/// Queries of every kind of result.
const QUERIES: [&str; 12] = [
    "",
    "fields a, b | sort a desc, b | limit 3",
    "filter a > 2 | dedup b",
    "fields a | sort a | dedup a | limit 2",
    "parse @message \"*:*\" as x, y | display y | limit 5",
    "stats count(*), sum(a), avg(a), stddev(a), pct(a, 90) by b",
    "stats min(a), max(a), sortsFirst(a), sortsLast(a), earliest(a), latest(a), count_distinct(a)",
    "stats sum(a / 3) as s, stddev(a / 7) by bin(2ms) as t | sort s desc",
    "stats count(*) as n by a, b | stats max(n), count(*) by b",
    "stats count(*) as n by a | sort n desc | limit 2",
    "stats latest(b) as l by a | dedup l | limit 3",
    "filter b like /x|y/ and a in [1, 2, 3] | stats count(*) by b",
];

/// Conditions whose needs are held against what really matches.
const CONDITIONS: [&str; 12] = [
    "a = 1",
    "a = '1'",
    "a = true",
    "a = 0 or b = 'x'",
    "a in [1, 'x', 2.5]",
    "b = 'true'",
    "@message like 'x'",
    "@message like /x\"|1e0/",
    "a.b = 1 and ispresent(a.b)",
    "b like 'x' and @message like /b.*x/",
    "@message = 'x'",
    "not a = 1",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..5i32).prop_map(|n| n.to_string()),
        any::<f32>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        prop::sample::select(vec![
            "1.0",
            "1e0",
            "\"1\"",
            "\"1.0\"",
            "2.5",
            "true",
            "false",
            "null",
            "\"x\"",
            "\"y\"",
            "\"true\"",
            "\"\"",
            "[1]",
            "{\"b\":1}",
            "\"é9\"",
            "\"é10\"",
        ])
        .prop_map(str::to_owned),
    ]
}

fn message() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (value(), value()).prop_map(|(a, b)| format!("{{\"a\":{a},\"b\":{b}}}")),
        1 => Just("plain x text".to_owned()),
        1 => Just("x".to_owned()),
    ]
}

fn events() -> impl Strategy<Value = Vec<(i64, String)>> {
    prop::collection::vec((0..10i64, message()), 0..40)
}

/// Facts about one message, as exact as they can be.
struct Exact<'s, 'm>(&'s Subject<'m>);

impl Facts for Exact<'_, '_> {
    fn may_hold_text(&self, text: &str) -> bool {
        self.0.message.contains(text)
    }

    fn may_hold_value(&self, selector: &Selector, text: &str) -> bool {
        let mut found = false;
        let number = plain_number(text);
        if let Some(fields) = self.0.fields() {
            fields.visit(selector, &mut |value| {
                let held = match value {
                    Value::Text(held) | Value::Number { text: held, .. } => held.to_owned(),
                    Value::Bool(flag) => flag.to_string(),
                    _ => return,
                };
                found |= held == text || number.is_some() && plain_number(&held) == number;
            });
        }
        found
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_query_or_an_error_inside_it(text in "\\PC{0,60}") {
        check_text(&text);
    }

    #[test]
    fn any_words_are_a_query_or_an_error_inside_them(words in prop::collection::vec(prop::sample::select(vec![
        "fields", "filter", "stats", "sort", "parse", "display", "dedup", "limit", "|", "|", "|", "a", "b.0", "@message",
        "`x y`", "count(*)", "sum(a)", "bin(1h)", "concat(a,", "abs(", ")", "(", "[", "]", ",", "=", "!=", "<", "like",
        "/a(?<g>b)?/", "\"a*b*\"", "'", "as", "by", "in", "not", "and", "or", "-", "+", "*", "/", "^", "%", "5", "2m",
        "desc", "#", "\n", "é",
    ]), 0..24)) {
        check_text(&words.join(" "));
    }

    #[test]
    fn any_split_in_any_order_gives_the_result_of_one_run(
        events in events(), places in prop::collection::vec((0..3usize, any::<u16>()), 40), at in 0..QUERIES.len()
    ) {
        let query = query(QUERIES[at]);
        let mut whole = run_of(&query);
        let mut parts = [run_of(&query), run_of(&query), run_of(&query)];
        for (place, (ms, message)) in events.iter().enumerate() {
            feed(&mut whole, place, (*ms, message), &JsonReader).unwrap();
        }
        let mut shuffled: Vec<usize> = (0..events.len()).collect();
        shuffled.sort_by_key(|place| places[*place].1);
        for place in shuffled {
            let (ms, message) = &events[place];
            feed(&mut parts[places[place].0], place, (*ms, message), &JsonReader).unwrap();
        }
        let [first, second, mut merged] = parts;
        merged.merge(second).unwrap();
        merged.merge(first).unwrap();
        prop_assert_eq!(merged.rows().unwrap(), whole.rows().unwrap(), "{}", QUERIES[at]);
        prop_assert_eq!(merged.statistics(), whole.statistics());
    }

    #[test]
    fn the_first_rows_are_those_of_a_full_sort(events in events(), limit in 1..6usize) {
        let events: Vec<Event<'_>> = events.iter().map(|(ms, message)| (*ms, message.as_str())).collect();
        for text in ["fields @ptr | sort a desc", "fields @ptr | sort b | dedup a"] {
            let all = ask(text, &events);
            let some = ask(&format!("{text} | limit {limit}"), &events);
            prop_assert_eq!(&some[..], &all[..limit.min(all.len())], "{}", text);
        }
    }

    #[test]
    fn what_matches_is_never_ruled_out(message in message(), at in 0..CONDITIONS.len()) {
        let query = query(&format!("filter {}", CONDITIONS[at]));
        let matched = feed(&mut run_of(&query), 0, (0, &message), &JsonReader) == Ok(Feed::Matched);
        let subject = Subject::new(&message, "stream", &JsonReader);
        prop_assert!(!matched || query.may_match(&Exact(&subject)), "{} on {}", CONDITIONS[at], message);
    }
}

fn check_text(text: &str) {
    match Query::parse(text) {
        Ok(query) => {
            let mut run = run_of(&query);
            for (place, message) in [r#"{"a":1,"b":["x"]}"#, "a b"].into_iter().enumerate() {
                feed(&mut run, place, (0, message), &JsonReader).expect("two rows meet no limit");
            }
            let rows = run.rows().expect("two rows meet no limit");
            assert!(rows.len() <= query.limit());
        }
        Err(error) => {
            assert!(error.start <= error.end && error.end <= text.chars().count(), "{text}: {error:?}");
        }
    }
}

#[test]
fn groups_and_bytes_are_bounded() {
    let limits = Limits { groups_max: 10, held_bytes_max: 20_000, ..Limits::default() };
    let feed_many = |text: &str, message: &dyn Fn(usize) -> String| {
        let query = query(text);
        let mut run = Run::new(&query, now(), limits);
        let met = (0..1_000)
            .find_map(|place| feed(&mut run, place, (place as i64, &message(place)), &JsonReader).err());
        (met, run)
    };
    let (met, run) = feed_many("stats count(*) by a", &|n| format!("{{\"a\":{n}}}"));
    assert_eq!((met, run.rows().unwrap().len()), (Some(RunError::Groups(10)), 10));
    let (met, _) = feed_many("stats count(*) by a", &|n| format!("{{\"a\":\"{}{n}\"}}", "x".repeat(5_000)));
    assert_eq!(met, Some(RunError::Bytes(20_000)));
    for text in ["stats count_distinct(a)", "stats pct(a, 50)"] {
        let limits = Limits { held_bytes_max: 4_000, ..limits };
        let query = query(text);
        let mut run = Run::new(&query, now(), limits);
        let met =
            (0..1_000).find_map(|n| feed(&mut run, n, (0, &format!("{{\"a\":{n}}}")), &JsonReader).err());
        assert_eq!(met, Some(RunError::Bytes(4_000)), "{text}");
    }
    let (met, _) = feed_many("fields @message", &|_| "x".repeat(1_000));
    assert_eq!(met, Some(RunError::Bytes(20_000)));
    let (met, run) = feed_many("fields @message | limit 5", &|_| "x".repeat(1_000));
    assert_eq!((met, run.rows().unwrap().len()), (None, 5));
    assert!(run.held_bytes() <= 20_000);
    let (met, run) = feed_many("sort a | dedup a | limit 5", &|n| format!("{{\"a\":{}}}", n % 100));
    assert_eq!((met, run.rows().unwrap().len()), (None, 5));
}

#[test]
fn results_have_no_more_rows_than_query_and_caller_allow() {
    for (text, expected) in
        [("limit 5", 3), ("limit 2", 2), ("stats count(*) by @message", 3), ("dedup @message", 3)]
    {
        let query = query(text);
        let mut run = Run::new(&query, now(), Limits { rows_max: 3, ..Limits::default() });
        for n in 0..20 {
            feed(&mut run, n, (0, &format!("m{n}")), &JsonReader).unwrap();
        }
        assert_eq!(run.rows().unwrap().len(), expected, "{text}");
    }
}

#[test]
fn what_is_computed_of_groups_is_bounded() {
    let limits = Limits { held_bytes_max: 1_000_000, ..Limits::default() };
    for text in [
        "stats max(l) as m by a | fields concat(m, m, m, a) as c",
        "stats max(l) as m by a | stats count(*) by concat(m, m, m, a)",
    ] {
        let query = query(text);
        let mut run = Run::new(&query, now(), limits);
        for n in 0..60 {
            let message = format!("{{\"a\":{n},\"l\":\"{}\"}}", "x".repeat(15_000));
            // The largest value stands twice in a state: as a value and by its place in the order.
            if feed(&mut run, n, (0, &message), &JsonReader).is_err() {
                break;
            }
        }
        assert!(run.held_bytes() > 500_000, "{text}");
        assert_eq!(run.rows().err(), Some(RunError::Bytes(1_000_000)), "{text}");
    }
}

#[test]
fn merging_meets_limits_and_knows_its_query() {
    let limits = Limits { groups_max: 10, ..Limits::default() };
    let query = query("stats count(*) by a");
    let part = |from: usize| {
        let mut run = Run::new(&query, now(), limits);
        for n in from..from + 8 {
            feed(&mut run, n, (0, &format!("{{\"a\":{n}}}")), &JsonReader).unwrap();
        }
        run
    };
    let mut run = part(0);
    assert_eq!(run.merge(part(2)), Ok(()));
    assert_eq!(run.merge(part(4)), Err(RunError::Groups(10)));
    let other = Run::new(&super::query("stats count(*) by a"), now(), limits);
    assert_eq!(run.merge(other), Err(RunError::Different));
}
