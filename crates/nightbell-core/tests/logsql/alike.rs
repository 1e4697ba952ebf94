//! Events that a query cannot tell apart, fed as one.

use std::collections::BTreeMap;

use nightbell_core::fields::Subject;
use nightbell_core::fields::json::JsonReader;
use nightbell_core::logsql::Row;
use nightbell_core::time::Timestamp;
use proptest::prelude::*;

use super::{START_MS, query, run_of};

const STREAMS: [&str; 2] = ["one", "two"];

/// Queries that look at fields, streams and rounded times alone.
const QUERIES: [&str; 9] = [
    "stats count(*) as n by a",
    "filter a = 1 | stats count(*), count(b), count_distinct(b)",
    "stats sum(a), avg(a), stddev(a), min(a), max(a), pct(a, 75) by b",
    "stats sum(a / 3), stddev(a * 0.1) by bin(4ms), b",
    "stats sortsFirst(a), sortsLast(a) by @logStream, @log",
    "stats count(*) by bin(3ms), datefloor(@timestamp, 7ms)",
    "fields dateceil(@timestamp, 5ms) as t | filter b != 'x' | stats count(*) as n by t | stats max(n)",
    "parse a '1*' as c | fields concat(c, b) as d | stats count(*) by d",
    "stats count(*) as n by a, b | filter n > 1 | stats sum(n) by a | sort a desc | limit 2",
];

fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["1", "0.1", "1e-300", "-7.5", "\"x\"", "\"17\"", "true", "null", "\"\""])
}

fn row<'r, 'm>(subject: &'r Subject<'m>, ms: i64, stream: usize, ptr: &'r String) -> Row<'r, 'm> {
    let time = Timestamp::from_millis(START_MS + ms);
    Row { time, arrival: time, stream: STREAMS[stream], group: "000000000000:group", ptr, subject }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_alike_count_as_one_many_times(
        events in prop::collection::vec((0..20i64, 0..2usize, value(), value()), 0..80), at in 0..QUERIES.len()
    ) {
        let query = query(QUERIES[at]);
        let alike = query.alike().expect("is of fields, streams and rounded times");
        let looks_at = |name: &str| alike.fields.iter().any(|ways| ways.iter().any(|way| way.to_string() == name));
        let (mut one_by_one, mut together) = (run_of(&query), run_of(&query));
        let mut kinds: BTreeMap<(Option<i64>, Option<usize>, String), u64> = BTreeMap::new();
        for (place, (ms, stream, a, b)) in events.iter().enumerate() {
            let message = format!("{{\"a\":{a},\"b\":{b}}}");
            let subject = Subject::new(&message, STREAMS[*stream], &JsonReader);
            one_by_one.feed(&row(&subject, *ms, *stream, &place.to_string())).unwrap();
            // The first time that is one with this to the query stands for it.
            let same = (0..=*ms).find(|first| {
                let [one, other] = [*first, *ms].map(|ms| Timestamp::from_millis(START_MS + ms));
                alike.is_same_time(one, other)
            });
            let named: Vec<String> = [("a", a), ("b", b)]
                .iter()
                .filter(|(name, _)| looks_at(&format!("$.{name}")))
                .map(|(name, value)| format!("\"{name}\":{value}"))
                .collect();
            let kind = (same.filter(|_| alike.is_timed()), alike.stream.then_some(*stream), format!("{{{}}}", named.join(",")));
            *kinds.entry(kind).or_default() += 1;
        }
        for ((ms, stream, message), count) in &kinds {
            let stream = stream.unwrap_or(0);
            let subject = Subject::new(message, STREAMS[stream], &JsonReader);
            together.feed_many(&row(&subject, ms.unwrap_or(0), stream, &String::new()), *count).unwrap();
        }
        prop_assert_eq!(together.rows().unwrap(), one_by_one.rows().unwrap(), "{}", QUERIES[at]);
        let (some, all) = (together.statistics(), one_by_one.statistics());
        prop_assert_eq!((some.records_matched, some.records_scanned), (all.records_matched, all.records_scanned));
    }
}

#[test]
fn queries_that_look_at_the_event_itself_tell_all_apart() {
    let rows = [
        ("fields a", false),
        ("filter a = 1 | limit 5", false),
        ("stats count(*)", true),
        ("stats count(*) by a", true),
        ("stats count(*) by bin(5m)", true),
        ("stats count(*) by @timestamp", false),
        ("stats min(@timestamp)", false),
        ("filter @timestamp > 5 | stats count(*)", false),
        ("stats count(*) by datefloor(@ingestionTime, 5m)", false),
        ("stats latest(a) by b", false),
        ("stats earliest(a)", false),
        ("filter @message like 'x' | stats count(*)", false),
        ("stats count_distinct(@ptr)", false),
        ("stats count(*) as n by a | stats latest(n)", false),
        ("stats count(*) by toMillis(bin(1m))", true),
    ];
    for (text, expected) in rows {
        assert_eq!(query(text).alike().is_some(), expected, "{text}");
    }
}

/// A field and the texts of which it must be one.
type Asked<'a> = (&'a str, &'a [&'a str]);

#[test]
fn filters_tell_which_texts_a_field_must_be() {
    let rows: [(&str, &[Asked<'_>]); 8] = [
        ("filter a = 'x' | stats count(*)", &[("$.a", &["x"])]),
        ("filter 'x' = a and b in ['y', 'z'] | fields a", &[("$.b", &["y", "z"]), ("$.a", &["x"])]),
        ("fields a | filter a = 'x' | filter b = 'y'", &[("$.b", &["y"]), ("$.a", &["x"])]),
        ("filter a = 1", &[]),
        ("filter a = 'x' or b = 'y'", &[]),
        ("filter not a = 'x' or a in ['x', 1]", &[]),
        ("filter a != 'x' and a like 'x' and @message = 'x'", &[]),
        ("stats count(*) as n by a | filter a = 'x'", &[]),
    ];
    for (text, expected) in rows {
        let query = query(text);
        let found = query.must_be();
        let found: Vec<(String, &[&str])> =
            found.iter().map(|must| (must.ways[0].to_string(), must.texts.as_slice())).collect();
        let expected: Vec<(String, &[&str])> =
            expected.iter().map(|(name, texts)| ((*name).to_owned(), *texts)).collect();
        assert_eq!(found, expected, "{text}");
    }
}
