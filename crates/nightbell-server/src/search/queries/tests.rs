use nightbell_core::event::Group;
use nightbell_store::Position;

use super::super::Streams;
use super::*;

const AT: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn asked(text: &str) -> Asked {
    let area = Area {
        group: Group { region: "us-east-2".into(), name: "g".into() },
        streams: Streams::All(Position::default()),
        kept_from: 0,
    };
    Asked {
        region: "us-east-2".into(),
        queries: vec![Query::parse(text).unwrap()],
        pattern: None,
        areas: vec![(area, "000000000000:g".into())],
        times: (0, i64::MAX),
        at: AT,
        limits: Limits::default(),
        is_console: false,
    }
}

fn stored(number: u32, message: &str) -> Stored<'_> {
    Stored { area: 0, place: (AT.as_millis(), 1, number), arrival: AT, stream: "s", message, columns: None }
}

fn take(asking: &Arc<Asking>, messages: &[&str]) -> Result<(), Option<String>> {
    let reading = Reading { asking: Arc::clone(asking) };
    let mut part = reading.part();
    for (number, message) in (0..).zip(messages) {
        reading.take(&mut part, &stored(number, message)).map_err(|over| over.0)?;
    }
    reading.join(part).map_err(|over| over.0)
}

#[test]
fn a_pointer_finds_its_place_again() {
    let place = (1_790_000_000_123, 42, 7);
    let pointer = Pointer { group: "000000000000:/aws/fsx/a", place }.to_string();
    let (label, found) = read_pointer(&pointer).unwrap();
    assert_eq!((label.as_str(), found), ("000000000000:/aws/fsx/a", place));
    for bad in ["", "%%", "MS8y", "YQ", &"9".repeat(49), &"é".repeat(60), &format!("{pointer}%")] {
        assert_eq!(read_pointer(bad), None, "{bad}");
    }
}

#[test]
fn the_31st_query_is_refused_until_one_ends() {
    let queries = Queries::default();
    let mut running: Vec<_> =
        (0..QUERIES_RUNNING_MAX).map(|_| queries.add(asked("stats count(*)")).unwrap()).collect();
    assert!(matches!(queries.add(asked("stats count(*)")), Err(Busy)));
    let (id, first) = running.remove(0);
    assert!(first.stop());
    assert!(!first.stop(), "it has ended");
    assert_eq!(queries.find(&id).unwrap().status(), Status::Cancelled);
    assert!(queries.add(asked("stats count(*)")).is_ok());
}

#[test]
fn old_results_are_forgotten_and_running_queries_are_not() {
    let queries = Queries::default();
    let (runs, _) = queries.add(asked("stats count(*)")).unwrap();
    let mut last = String::new();
    for _ in 0..QUERIES_KEPT_MAX + 5 {
        let (id, asking) = queries.add(asked("stats count(*)")).unwrap();
        asking.end(Status::Complete);
        last = id;
    }
    assert_eq!(queries.list("us-east-2").len(), QUERIES_KEPT_MAX);
    assert_eq!(queries.list("eu-west-1").len(), 0);
    assert!(queries.find(&runs).is_some() && queries.find(&last).is_some());
    assert_eq!(queries.list("us-east-2")[0].0, last, "the newest stands first");
}

#[test]
fn results_past_their_bytes_are_forgotten() {
    let queries = Queries::default();
    let message = "x".repeat(1 << 20);
    let mut ids = Vec::new();
    for _ in 0..4 {
        let (id, asking) = queries.add(asked("fields @message")).unwrap();
        take(&asking, &[message.as_str(); 30]).unwrap();
        asking.end(Status::Complete);
        assert_eq!(asking.shown(true).results[0].rows.len(), 30);
        ids.push(id);
    }
    let kept: Vec<bool> = ids.iter().map(|id| queries.find(id).is_some()).collect();
    assert_eq!(kept, [false, true, true, true], "two fit beside the newest, whose bytes were not known yet");
}

#[test]
fn running_queries_share_their_memory() {
    let queries = Queries::default();
    let message = "x".repeat(1 << 20);
    let mut last = Ok(());
    for number in 0..6 {
        let (_, asking) = queries.add(asked("fields @message")).unwrap();
        last = take(&asking, &[message.as_str(); 60]);
        assert_eq!(last.is_ok(), number < 4, "{number}: {last:?}");
        if last.is_err() {
            asking.end(Status::Failed(last.clone().unwrap_err().unwrap()));
            break;
        }
    }
    assert!(last.unwrap_err().unwrap().contains(&RUNNING_BYTES_MAX.to_string()));
    queries.clear();
    assert_eq!(queries.bytes.load(Ordering::Acquire), 0, "what has ended is not counted");
}

#[test]
fn a_query_past_its_own_memory_says_so() {
    let queries = Queries::default();
    let (_, asking) = queries.add(asked("stats count(*) by @message")).unwrap();
    let texts: Vec<String> = (0..70).map(|number| format!("{number}{}", "x".repeat(1 << 20))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let limit = take(&asking, &texts).unwrap_err().unwrap();
    assert!(limit.contains("67108864 bytes"), "{limit}");
}

#[test]
fn results_are_shown_while_events_come_in_and_stay_when_it_ends() {
    let queries = Queries::default();
    let (_, asking) = queries.add(asked("filter EventID = 1 | stats count(*) as n by user")).unwrap();
    take(&asking, &[r#"{"EventID":1,"user":"ann"}"#, r#"{"EventID":2,"user":"bob"}"#]).unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let rows = vec![vec![pair("user", "ann"), pair("n", "1")]];
    let shown = asking.shown(true);
    assert_eq!((shown.status.name(), &shown.results[0].rows), ("Running", &rows));
    asking.end(Status::Complete);
    let shown = asking.shown(true);
    assert_eq!((shown.status.name(), &shown.results[0].rows), ("Complete", &rows));
    assert_eq!((shown.statistics.records_scanned, shown.statistics.records_matched), (2, 1));
    assert!(take(&asking, &["late"]).is_err(), "nothing comes to what has ended");
}

#[test]
fn a_console_loses_one_answer_and_keeps_the_others() {
    let queries = Queries::default();
    let texts = ["stats count(*) as n by EventID", "stats count(*) as n by user"];
    let console = Asked {
        queries: texts.map(|text| Query::parse(text).unwrap()).to_vec(),
        limits: Limits { groups_max: 2, ..Limits::default() },
        is_console: true,
        ..asked("")
    };
    let (_, asking) = queries.add(console).unwrap();
    let events: Vec<String> =
        (0..5).map(|number| format!(r#"{{"EventID":{},"user":"u{number}"}}"#, number % 2)).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    take(&asking, &events).unwrap();
    asking.end(Status::Complete);
    let shown = asking.shown(true);
    assert_eq!((shown.results[0].rows.len(), shown.results[0].cut.is_none()), (2, true));
    assert_eq!(shown.results[1].rows.len(), 2, "what there was stays");
    assert!(shown.results[1].cut.as_ref().unwrap().contains("2 groups"));
    assert!(queries.list("us-east-2").is_empty(), "a console's questions are not listed");
}

#[test]
fn columns_do_where_nothing_else_is_looked_at() {
    let columns = |text: &str| asked(text).columns();
    assert_eq!(columns("stats count(*) by Audit.User"), Some(vec![Field::User]));
    assert_eq!(columns("filter EventID = 4625 | stats count(*) by bin(1h), Audit.Source").unwrap().len(), 2);
    assert_eq!(columns("stats count(*) by bin(1h)"), Some(Vec::new()));
    assert_eq!(
        columns("fields @timestamp, @logStream, Audit.User | sort Audit.File | dedup Audit.Folder")
            .unwrap()
            .len(),
        3
    );
    for text in [
        "",
        "fields user",
        "filter @message like 'x' | stats count(*)",
        "stats count(*) by Audit.Path.0",
        "stats max(strlen(@message)) by Audit.User",
        "stats count(*) by `Audit.User`",
        "parse @message 'a*' as b | stats count(*) by b",
    ] {
        assert_eq!(columns(text), None, "{text}");
    }
}
