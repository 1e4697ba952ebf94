/*!
Logs Insights queries: an error lies inside the text; a query runs over a few messages in one part or two with the same
result, shows no more rows than its limit, and what it matches was never ruled out.
*/
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightbell_core::fields::json::JsonReader;
use nightbell_core::fields::{Selector, Subject, Value};
use nightbell_core::logsql::{Feed, Limits, Query, Row, Run};
use nightbell_core::pattern::facts::Facts;
use nightbell_core::pattern::plain_number;
use nightbell_core::time::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(1_789_364_520);
const MESSAGES: [&str; 4] = [
    r#"{"EventID":4625,"user":"ann","a":{"b":[1,"x",true]},"ip":"10.0.0.5"}"#,
    r#"{"EventID":"4625.0","user":"bob","a":null,"ip":"2001:db8::1"}"#,
    "plain 4656 secret",
    "{\"a\":1e0,\"user\":\"é10\"}",
];

/// Exact facts about one message.
struct Exact<'s, 'm>(&'s Subject<'m>);

impl Facts for Exact<'_, '_> {
    fn may_hold_text(&self, text: &str) -> bool {
        self.0.message.contains(text)
    }

    fn may_hold_value(&self, selector: &Selector, text: &str) -> bool {
        let (mut found, number) = (false, plain_number(text));
        if let Some(fields) = self.0.fields() {
            fields.visit(selector, &mut |value| {
                let held = match value {
                    Value::Text(held) | Value::Number { text: held, .. } => held.to_owned(),
                    Value::Bool(flag) => flag.to_string(),
                    _ => return,
                };
                found |= held == text || (number.is_some() && plain_number(&held) == number);
            });
        }
        found
    }
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let query = match Query::parse(text) {
        Ok(query) => query,
        Err(error) => {
            assert!(error.start <= error.end && error.end <= text.chars().count());
            return;
        }
    };
    let run = || Run::new(&query, NOW, Limits::default());
    let (mut whole, mut parts) = (run(), [run(), run()]);
    for (place, message) in MESSAGES.into_iter().enumerate() {
        let subject = Subject::new(message, "stream", &JsonReader);
        let time = NOW.plus_millis(place as i64 / 2);
        let row =
            Row { time, arrival: NOW, stream: "stream", group: "group", ptr: &place, subject: &subject };
        let fed = whole.feed(&row);
        assert!(fed != Ok(Feed::Matched) || query.may_match(&Exact(&subject)));
        assert_eq!(parts[place % 2].feed(&row), fed);
    }
    let [mut first, second] = parts;
    first.merge(second).expect("few rows meet no limit");
    let rows = whole.rows();
    assert_eq!(first.rows(), rows);
    assert!(rows.is_ok_and(|rows| rows.len() <= query.limit()));
    let times = query.times(NOW);
    assert!(times.from.is_none() || times.from >= Some(Timestamp::from_millis(i64::MIN)));
});
