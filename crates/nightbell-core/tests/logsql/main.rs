/*!
Logs Insights queries: `vectors` holds queries over a few events and their rows, `functions` every function, `errors`
every refusal, `hints` what rules events out, `always` what holds for any text and any split of a scan.
*/

mod alike;
mod always;
mod errors;
mod functions;
mod hints;
mod vectors;

use nightbell_core::fields::json::JsonReader;
use nightbell_core::fields::{FieldReader, Subject};
use nightbell_core::logsql::{Feed, Limits, Query, Row, Run, RunError};
use nightbell_core::time::Timestamp;

/// Monday 14 September 2026, 05:42:00 UTC.
const START_MS: i64 = 1_789_364_520_000;

/// An event: milliseconds after [`START_MS`] and a message. Its pointer is its place in the list.
type Event<'e> = (i64, &'e str);

fn query(text: &str) -> Query {
    Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn now() -> Timestamp {
    Timestamp::from_millis(START_MS + 3_600_000)
}

fn run_of(query: &Query) -> Run {
    Run::new(query, now(), Limits::default())
}

/// Feeds one event; `place` is its pointer.
fn feed(run: &mut Run, place: usize, event: Event<'_>, reader: &dyn FieldReader) -> Result<Feed, RunError> {
    let time = Timestamp::from_millis(START_MS + event.0);
    let ptr = format!("p{place:06}");
    let subject = Subject::new(event.1, "stream", reader);
    let row = Row {
        time,
        arrival: time.plus_millis(500),
        stream: "stream",
        group: "000000000000:group",
        ptr: &ptr,
        subject: &subject,
    };
    run.feed(&row)
}

/// The result of a query over events.
fn ask(text: &str, events: &[Event<'_>]) -> Vec<Vec<(String, String)>> {
    let query = query(text);
    let mut run = run_of(&query);
    for (place, event) in events.iter().enumerate() {
        feed(&mut run, place, *event, &JsonReader).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    run.rows().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The result as text: a line a row, `name=value` for each column but `@ptr`.
fn shown(rows: &[Vec<(String, String)>]) -> Vec<String> {
    let columns = |row: &Vec<(String, String)>| {
        let columns = row.iter().filter(|(name, _)| name != "@ptr");
        columns.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    rows.iter().map(columns).collect()
}
