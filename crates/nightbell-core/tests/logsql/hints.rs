//! What a query says about events that need not be read: sound for every event, and worth asking.

use std::cell::RefCell;

use nightbell_core::fields::Selector;
use nightbell_core::logsql::TimeRange;
use nightbell_core::pattern::facts::Facts;
use nightbell_core::time::Timestamp;

use super::{START_MS, now, query};

/// Holds what it is told to hold, and writes down what it is asked.
struct Known<'k> {
    there: &'k [&'k str],
    asked: RefCell<Vec<String>>,
}

impl Known<'_> {
    fn holds(&self, what: String) -> bool {
        let there = self.there.contains(&what.as_str());
        self.asked.borrow_mut().push(what);
        there
    }
}

impl Facts for Known<'_> {
    fn may_hold_text(&self, text: &str) -> bool {
        self.holds(text.to_owned())
    }

    fn may_hold_value(&self, selector: &Selector, text: &str) -> bool {
        self.holds(format!("{selector}={text}"))
    }
}

#[test]
fn filters_rule_events_out() {
    // A query, what is there, whether that may match; and the same with nothing there.
    let rows: [(&str, &[&str], bool, bool); 28] = [
        ("fields a", &[], true, true),
        ("filter EventID = 4625", &["$.EventID=4625"], true, false),
        ("filter 'x' = a.b", &["$.a.b=x"], true, false),
        ("filter a.b = 'x'", &["$.['a.b']=x"], true, false),
        ("filter a = 1 and b = 2", &["$.a=1"], false, false),
        ("filter a = 1 or b = 2", &["$.a=1"], true, false),
        ("filter a = 1 or b > 2", &[], true, true),
        ("filter a = 1 | fields b | filter c = 2", &["$.a=1"], false, false),
        ("filter a = 1 | stats count(*) as c by b | filter b = 2 and c = 3", &["$.a=1"], true, false),
        ("filter a in [1, 'x']", &["$.a=x"], true, false),
        ("filter a in [1, b]", &[], true, true),
        ("filter a not in [1]", &[], true, true),
        ("filter a != 1", &[], true, true),
        ("filter not a = 1", &[], true, true),
        ("filter @message like 'secret'", &["secret"], true, false),
        ("filter @message like ''", &[], true, true),
        ("filter @message not like 'secret'", &[], true, true),
        ("filter @message like /4656.*(secret|hidden)/", &["secret"], true, false),
        ("filter @message like /(?i)secret/", &[], true, true),
        ("filter a like 'x'", &[], true, true),
        ("filter a = true", &["$.a=true"], true, false),
        // A boolean equals its number and its word.
        ("filter a = true", &["$.a=1"], true, false),
        ("filter a = 1", &["$.a=true"], true, false),
        ("filter a = '0'", &["$.a=false"], true, false),
        ("filter a in [2, 0]", &["$.a=false"], true, false),
        ("fields b as a | filter a = 1", &[], true, true),
        ("filter a = tolower('X')", &[], true, true),
        ("filter @logStream = 'x'", &[], true, true),
    ];
    for (text, there, with, without) in rows {
        let query = query(text);
        let may = |there| query.may_match(&Known { there, asked: RefCell::default() });
        assert_eq!((may(there), may(&[])), (with, without), "{text}");
    }
}

#[test]
fn times_are_read_from_filters() {
    let at = |ms: i64| Some(Timestamp::from_millis(START_MS + ms));
    let rows = [
        ("fields a", None, None),
        ("filter @timestamp >= 1789364520000", at(0), None),
        (
            "filter @timestamp > 1789364520000 and a = 1 | filter @timestamp <= 1789364521000",
            at(0),
            at(1_000),
        ),
        ("filter 1789364521000.5 > @timestamp", None, at(1_001)),
        ("filter toMillis(@timestamp) >= now() * 1000 - 7200000", at(-3_600_000), None),
        ("filter @timestamp = '2026-09-14T05:42:00Z'", at(0), at(0)),
        ("filter @timestamp > 1 or a = 1", None, None),
        ("filter @timestamp > a", None, None),
        ("filter not @timestamp > 5", None, None),
        ("fields a as @timestamp | filter @timestamp > 5", None, None),
    ];
    for (text, from, to) in rows {
        assert_eq!(query(text).times(now()), TimeRange { from, to }, "{text}");
    }
}
