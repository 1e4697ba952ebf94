//! What a query answers from columns alone is what it answers from messages.

use std::sync::Arc;

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::logsql::{Limits, Query, Row, Run, Statistics};
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{Archive, Field, Wanted};
use nightbell_store::{Catalog, Durability, MemoryStore, Write};
use nightbell_winevt::DialectReader;
use nightbell_winevt::evtx::Reader as Evtx;
use proptest::prelude::*;

use super::super::tally::{Looks, Tally};
use super::*;

const AT: Timestamp = Timestamp::from_millis(1_789_364_520_000);

/// The rows of an answer.
type Shown = Vec<Vec<(String, String)>>;

const STREAMS: [&str; 2] = ["odd", "even"];

struct World {
    _folder: tempfile::TempDir,
    archive: Archive,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn of(events: Vec<Event>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(MemoryStore::new());
        let archive = Archive::open_folder(folder.path(), Arc::clone(&catalog) as Arc<dyn Catalog>).unwrap();
        let group = Group { region: "site".into(), name: "g".into() };
        let batch = |(stream, events): (&str, Vec<Event>)| Batch {
            group: group.clone(),
            stream: stream.into(),
            arrival: AT,
            events,
        };
        let mut streams = STREAMS.map(|name| (name, Vec::new()));
        for (number, event) in events.into_iter().enumerate() {
            streams[number % STREAMS.len()].1.push(event);
        }
        let batches = streams.into_iter().filter(|(_, events)| !events.is_empty()).map(batch).collect();
        let block = Arc::new(Block { position: Position::new(0), batches });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let change = runtime.block_on(archive.write(&[block], &DialectReader, AT)).unwrap().unwrap();
        let mut write = Write::new();
        change.commit(&mut write);
        catalog.commit(write, Durability::Disk).unwrap();
        Self { _folder: folder, archive, runtime }
    }

    /// The rows of a query, and how many row groups were answered by columns; `None` when it needs messages.
    fn ask(&self, query: &Query, by_columns: bool) -> (Shown, usize) {
        let columns: Option<Vec<Field>> =
            query.fields().and_then(|fields| fields.into_iter().map(Field::asked_for).collect());
        let columns = columns.filter(|_| by_columns);
        let (mut run, mut answered) = (Run::new(query, AT, Limits::default()), 0);
        self.runtime.block_on(async {
            for entry in self.archive.all_files().unwrap() {
                let reader = self.archive.open_file(&entry).await.unwrap();
                for at in 0..reader.row_groups() {
                    let summary = reader.summary(at).unwrap();
                    let exact = |columns: &&Vec<Field>| columns.iter().all(|field| summary.is_exact(*field));
                    let columns = columns.as_ref().filter(exact);
                    answered += usize::from(columns.is_some());
                    let fields = columns.cloned().unwrap_or_default();
                    let wanted = Wanted { messages: columns.is_none(), fields, ..Wanted::default() };
                    let mut rows = reader.read(at, &wanted).await.unwrap();
                    while let Some(batch) = rows.next(&|_| true).await.unwrap() {
                        batch.rows().for_each(|row| feed(&mut run, row, columns.is_some()));
                    }
                }
            }
        });
        (run.rows().unwrap(), answered)
    }
}

/// What events are counted by.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// The columns of each row group.
    Columns,
    /// What summaries know, where that is enough.
    Summaries,
}

/// Which events are counted.
#[derive(Clone, Copy)]
struct Of {
    from: Timestamp,
    to: Timestamp,
    stream: Option<&'static str>,
}

const ALL: Of = Of { from: Timestamp::from_millis(0), to: Timestamp::from_millis(i64::MAX), stream: None };

impl World {
    /// The rows of a query that is counted by codes, how many events it read and of how many row groups no column was;
    /// `None` when it cannot be.
    fn count(&self, query: &Query, of: Of, by: By) -> Option<(Shown, Statistics, usize)> {
        let fields = query.fields()?.into_iter().map(Field::asked_for).collect::<Option<Vec<_>>>()?;
        let looks = Looks::of(query, &fields)?;
        let (mut run, mut tally) = (Run::new(query, AT, Limits::default()), Tally::default());
        let is_wanted = |stream: &str| of.stream == Some(stream);
        let streams = of.stream.is_some().then_some(&is_wanted as &dyn Fn(&str) -> bool);
        let is_one_time = |first, last| query.alike().is_some_and(|alike| alike.is_same_time(first, last));
        let asked = WantedCodes { times: looks.timed, streams: looks.stream, fields: fields.clone() };
        let is_whole = of.stream.is_none() && of.to == ALL.to;
        let mut unread = 0;
        self.runtime.block_on(async {
            for entry in self.archive.all_files().unwrap() {
                let reader = self.archive.open_file(&entry).await.unwrap();
                for at in 0..reader.row_groups() {
                    if is_whole
                        && by == By::Summaries
                        && let Some(columns) = kinds(&reader, at, &asked, &is_one_time).await.unwrap()
                    {
                        unread += 1;
                        let rows = 0..columns.rows;
                        tally.count(query, &looks, &Counted { columns: &columns, rows, streams });
                        continue;
                    }
                    let wanted = WantedCodes { times: true, streams: true, fields: fields.clone() };
                    let columns = reader.codes(at, &wanted).await.unwrap();
                    let rows = columns.between(of.from, of.to);
                    tally.count(query, &looks, &Counted { columns: &columns, rows, streams });
                }
            }
        });
        tally.pour(&looks, "0:g", &mut run).unwrap();
        Some((run.rows().unwrap(), run.statistics(), unread))
    }

    /// The same, row by row.
    fn feed_each(&self, query: &Query, of: Of) -> (Shown, Statistics) {
        let mut run = Run::new(query, AT, Limits::default());
        let wanted = Wanted { from: Some(of.from), to: Some(of.to), messages: true, fields: Vec::new() };
        self.runtime.block_on(async {
            for entry in self.archive.all_files().unwrap() {
                let reader = self.archive.open_file(&entry).await.unwrap();
                for at in 0..reader.row_groups() {
                    let mut rows = reader.read(at, &wanted).await.unwrap();
                    while let Some(batch) = rows.next(&|_| true).await.unwrap() {
                        let rows = batch.rows();
                        let rows = rows.filter(|row| of.stream.is_none_or(|stream| stream == row.stream()));
                        rows.for_each(|row| feed(&mut run, row, false));
                    }
                }
            }
        });
        (run.rows().unwrap(), run.statistics())
    }
}

fn feed(run: &mut Run, row: nightbell_store::archive::Row<'_>, by_columns: bool) {
    let stored = Stored {
        area: 0,
        place: (row.time().as_millis(), row.block().number(), row.number()),
        arrival: row.arrival(),
        stream: row.stream(),
        message: row.message(),
        columns: by_columns.then_some(row),
    };
    let ptr = row.number();
    run.feed(&Row {
        time: row.time(),
        arrival: row.arrival(),
        stream: row.stream(),
        group: "0:g",
        ptr: &ptr,
        subject: &stored.subject(),
    })
    .unwrap();
}

fn recorded() -> Vec<Event> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/evtx");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "evtx"));
    paths.sort();
    let events = |path: &std::path::PathBuf| -> Vec<Event> {
        let records = Evtx::open(path).unwrap();
        records.map(|record| Event { time: record.time, message: record.xml }).collect()
    };
    paths.iter().flat_map(events).collect()
}

/// Queries that look at fields with columns and nothing else, each field among them.
const QUERIES: [&str; 12] = [
    "stats count(*) as n by Audit.User | sort n desc",
    "stats count(*), count(Audit.File), count_distinct(Audit.Folder) by Audit.Outcome, Audit.Action",
    "filter EventID = 4625 | stats count(*) by Audit.Source, Audit.Reason",
    "filter EventID in [4656, '4663'] and ispresent(Audit.File) | fields @timestamp, Audit.File, Audit.Share",
    "fields EventID, EventRecordID, @logStream | sort EventRecordID desc",
    "filter not ispresent(Audit.Share) | stats count(*) by bin(1h)",
    "fields strlen(Audit.User) as n, Audit.Instance | dedup Audit.Instance",
    "parse Audit.User '*\\*' as domain, name | stats count(*) by domain",
    "filter Audit.User like /(?i)a/ | stats max(EventRecordID), min(EventID) by Audit.User",
    "stats latest(Audit.Action), earliest(Audit.Outcome), sortsLast(EventID) by Audit.Folder",
    "filter Audit.Reason != 'x' or Audit.Share = '' | stats count(*)",
    "filter EventID > 4700 | stats pct(EventRecordID, 50), sum(EventID), avg(EventID)",
];

#[test]
fn recorded_events_are_answered_by_columns_alone() {
    let world = World::of(recorded());
    for text in QUERIES {
        let query = Query::parse(text).unwrap();
        let (expected, none) = world.ask(&query, false);
        let (rows, answered) = world.ask(&query, true);
        assert!(!expected.is_empty(), "{text}");
        assert_eq!(rows, expected, "{text}");
        assert!(none == 0 && answered > 0, "{text}: no row group was answered by columns");
    }
}

#[test]
fn recorded_events_are_counted_by_codes() {
    let world = World::of(recorded());
    let user = {
        let query = Query::parse("stats count(*) as n by Audit.User | sort n desc").unwrap();
        world.feed_each(&query, ALL).0[0][0].1.replace('\\', "\\\\")
    };
    let more = [
        format!("filter Audit.User = '{user}' | stats count(*) by Audit.Action, bin(1h)"),
        format!("filter Audit.User in ['{user}', 'nobody'] and EventID > 0 | stats count(*), max(EventID)"),
        format!(
            "filter Audit.User = '{user}' and Audit.Outcome = 'failure' | stats count(*) by Audit.Folder"
        ),
        "filter Audit.User = 'nobody' | stats count(*)".to_owned(),
        "stats count(*) by @logStream, @log".to_owned(),
        "filter @logStream = 'odd' | stats count(*), sum(EventRecordID) by bin(10m), Audit.User".to_owned(),
        "stats count(*) by Audit.User, Audit.Folder, Audit.File, EventID, EventRecordID".to_owned(),
        "stats count(*) by datefloor(@timestamp, 1d), dateceil(@timestamp, 1mo)".to_owned(),
    ];
    let times = {
        let query = Query::parse("fields @timestamp | sort @timestamp").unwrap();
        let rows = world.feed_each(&query, ALL).0;
        [rows.len() / 3, rows.len() / 2]
            .map(|at| Timestamp::parse_iso(&format!("{}Z", rows[at][0].1.replacen(' ', "T", 1))).unwrap())
    };
    let (mut counted, mut unread) = (0, Vec::new());
    for text in QUERIES.iter().map(|text| (*text).to_owned()).chain(more) {
        let query = Query::parse(&text).unwrap();
        for of in [ALL, Of { from: times[0], to: times[1], ..ALL }, Of { stream: Some("odd"), ..ALL }] {
            for by in [By::Columns, By::Summaries] {
                let Some((rows, statistics, whole)) = world.count(&query, of, by) else { continue };
                counted += usize::from(by == By::Columns);
                if whole > 0 {
                    unread.push(text.clone());
                }
                let (expected, read) = world.feed_each(&query, of);
                assert_eq!(rows, expected, "{text}");
                let (matched, scanned) = (statistics.records_matched, statistics.records_scanned);
                assert_eq!(matched, read.records_matched, "{text}");
                // Who counts by stream leaves the other streams' events out unread.
                assert!(scanned == read.records_scanned, "{text}: {scanned} of {}", read.records_scanned);
            }
        }
    }
    // Those that hang on one field or none; by the hour, where all of a row group is of one.
    assert_eq!(
        unread,
        [
            "stats count(*) as n by Audit.User | sort n desc",
            "filter not ispresent(Audit.Share) | stats count(*) by bin(1h)",
            "parse Audit.User '*\\*' as domain, name | stats count(*) by domain",
            "filter Audit.User = 'nobody' | stats count(*)",
            "stats count(*) by datefloor(@timestamp, 1d), dateceil(@timestamp, 1mo)",
        ]
    );
    assert_eq!(counted, 3 * (8 + 8), "queries that are counted by codes");
}

#[test]
fn what_columns_cannot_say_is_read_in_messages() {
    // A value that is written in another way than its column would, or that hides behind another name.
    for (message, field) in [
        (r#"{"EventID":"04625"}"#, "EventID"),
        (r#"{"EventID":4625.0}"#, "EventID"),
        (r#"{"EventID":true}"#, "EventID"),
        (r#"{"EventID":"4625 "}"#, "EventID"),
        (r#"{"EventRecordID":18446744073709551615}"#, "EventRecordID"),
        (r#"{"Audit":{"User":true}}"#, "Audit.User"),
        (r#"{"Audit.User":"ann"}"#, "Audit.User"),
        (r#"{"Audit":{"User":null},"Audit.User":"ann"}"#, "Audit.User"),
        ("<Event><EventData><Data Name='Audit.Folder'>x</Data></EventData></Event>", "Audit.Folder"),
        ("<Event><EventData><Data Name='Audit. Folder'>x</Data></EventData></Event>", "Audit.Folder"),
    ] {
        let world = World::of(vec![Event { time: AT, message: message.into() }]);
        let query = Query::parse(&format!("filter ispresent({field}) | stats count(*) by {field}")).unwrap();
        let (expected, _) = world.ask(&query, false);
        assert_eq!(world.ask(&query, true).0, expected, "{message}");
        if !expected.is_empty() {
            assert_eq!(world.ask(&query, true).1, 0, "{message} is not said by a column");
        }
    }
}

fn value() -> impl Strategy<Value = String> {
    let texts =
        ["null", "true", "\"\"", "\"x\"", "4625", "4625.0", "\"4625\"", "\" 4625\"", "-1", "[1]", "{}"];
    proptest::sample::select(texts.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_messages_hold_the_answer_is_the_same(
        events in proptest::collection::vec((value(), value(), value(), 0_i64..3), 1..6),
    ) {
        let event = |(id, user, whole, at): (String, String, String, i64)| Event {
            time: AT.plus_millis(at),
            message: format!(r#"{{"EventID":{id},"Audit":{{"User":{user}}},"Audit.User":{whole}}}"#),
        };
        let world = World::of(events.into_iter().map(event).collect());
        for text in [
            "stats count(*) by EventID",
            "stats count(*) by Audit.User",
            "filter Audit.User = 4625 or EventID = '4625' | fields EventID, Audit.User",
            "filter Audit.User = 'true' or EventID = 1 | stats count(*)",
        ] {
            let query = Query::parse(text).unwrap();
            prop_assert_eq!(world.ask(&query, true).0, world.ask(&query, false).0, "{}", text);
        }
    }
}
