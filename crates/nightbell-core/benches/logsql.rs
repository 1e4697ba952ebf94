/*!
Events per second through queries of several kinds, over JSON of the size and fields of a Windows event.
*/
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used)] // a bench reads clocks and prints

use std::time::Instant;

use nightbell_core::fields::Subject;
use nightbell_core::fields::json::JsonReader;
use nightbell_core::logsql::{Limits, Query, Row, Run};
use nightbell_core::time::Timestamp;

/// Messages made before measuring.
const MESSAGES: usize = 2_000;
/// Rows fed to each query.
const ROWS: usize = 200_000;
/// Users that events are spread over.
const USERS: usize = 500;

const QUERIES: [&str; 9] = [
    "filter @message like \"nowhere\"",
    "filter @message like /4656.*nowhere/",
    "filter EventID = 4625",
    "fields @timestamp, @message | sort @timestamp desc | limit 20",
    "stats count(*)",
    "stats count(*) as n by bin(5m)",
    "filter EventID = 4656 | stats count(*) as n by SubjectUserName | sort n desc | limit 10",
    "stats count_distinct(ObjectName), pct(ProcessId, 90), avg(ProcessId) by SubjectUserName",
    "parse ObjectName /secret-(?<n>[0-9]+)/ | stats max(n) by SubjectUserName",
];

fn main() {
    let messages: Vec<String> = (0..MESSAGES).map(message).collect();
    println!("mean message: {} bytes", messages.iter().map(String::len).sum::<usize>() / MESSAGES);
    println!("{:>12} {:>10} {:>8}  query", "events/s", "held, KiB", "rows");
    for text in QUERIES {
        let query = Query::parse(text).unwrap();
        let mut run = Run::new(&query, Timestamp::from_seconds(1_789_364_520), Limits::default());
        let started = Instant::now();
        for at in 0..ROWS {
            let time = Timestamp::from_millis(1_789_364_520_000 + (at as i64 * 7_919) % 86_400_000);
            let subject = Subject::new(&messages[at % MESSAGES], "stream", &JsonReader);
            let row =
                Row { time, arrival: time, stream: "stream", group: "group", ptr: &at, subject: &subject };
            run.feed(&row).unwrap();
        }
        let rate = ROWS as f64 / started.elapsed().as_secs_f64();
        let rows = run.rows().unwrap().len();
        println!("{rate:>12.0} {:>10} {rows:>8}  {text}", run.held_bytes() / 1024);
    }
}

fn message(at: usize) -> String {
    let (user, id) = (at % USERS, if at.is_multiple_of(3) { 4656 } else { 4663 });
    let padding = "x".repeat(700);
    format!(
        r#"{{"EventID":{id},"Channel":"Security","Computer":"FS01","SubjectUserName":"user-{user:04}","ObjectName":"\\Device\\HarddiskVolume16\\share\\secret-{at:05}\\plan.doc","AccessMask":"0x1","ProcessId":{at},"Detail":"{padding}"}}"#
    )
}
