use std::sync::Arc;

use nightbell_core::backtest::Arrival;
use nightbell_core::event::Group;
use nightbell_core::evidence::Evidence;
use nightbell_core::metric::{Aggregate, Datum, Series};
use nightbell_core::records::{RecordMark, RecordSpans};

use super::*;
use crate::search::sample::{World, at};

fn datum(user: &str, second: i64) -> Datum {
    let mut aggregate = Aggregate::default();
    aggregate.add(0.1 + second as f64, 1.0);
    let mut evidence = Evidence { events: 1, first: Some(at(second)), ..Evidence::default() };
    evidence.users.add(user);
    let series = Series::new("here", "n", "M", vec![("User".to_owned(), user.to_owned())]);
    Datum { series, second: at(second).second(), unit: Some("Count".to_owned()), aggregate, evidence }
}

#[test]
fn what_is_kept_small_is_played_as_it_came_and_as_often_as_asked() {
    let group = Group { region: "here".to_owned(), name: "g".to_owned() };
    let mark =
        |id| RecordMark { machine: "ws1".to_owned(), channel: "security".to_owned(), id, cleared: id == 7 };
    let mut past = Past::default();
    past.arrive(at(5), datum("bob", 5));
    past.arrive(at(1), datum("ann", 0));
    past.arrive(at(5), datum("ann", 4));
    past.note(at(5), &group, mark(6), at(4));
    past.note(at(5), &group, mark(7), at(5));

    let mut records = RecordSpans::default();
    records.note(&group, mark(6), at(4));
    records.note(&group, mark(7), at(5));
    let expected = [
        Arrival { at: at(1), data: vec![datum("ann", 0)], records: RecordSpans::default() },
        Arrival { at: at(5), data: vec![datum("bob", 5), datum("ann", 4)], records },
    ];
    for _ in 0..2 {
        assert!(past.arrivals().eq(expected.clone()));
    }
    assert_eq!((past.data(), past.first()), (3, Some(at(1))));
}

#[test]
fn a_settled_past_is_the_same_in_whatever_order_it_came() {
    let unlike = |unit: Option<&str>, second| Datum { unit: unit.map(str::to_owned), ..datum("ann", second) };
    let mut came = vec![datum("bob", 5), datum("ann", 5), datum("ann", 4), unlike(None, 4), datum("ann", 4)];
    came.extend((0..100).map(|_| unlike(Some("Bytes"), 3)));
    let group = Group { region: "here".to_owned(), name: "g".to_owned() };
    let mark =
        |id| RecordMark { machine: "ws1".to_owned(), channel: "security".to_owned(), id, cleared: false };
    let settled = |came: &[Datum], ids: [u64; 3]| {
        let mut past = Past::default();
        came.iter().for_each(|datum| past.arrive(at(9), datum.clone()));
        ids.into_iter().for_each(|id| past.note(at(9), &group, mark(id), at(id as i64)));
        let before = past.bytes();
        past.settle();
        assert!(past.bytes() < before, "{} of {before}", past.bytes());
        (past.arrivals().collect::<Vec<_>>(), past.data(), past.bytes())
    };
    let (arrivals, data, bytes) = settled(&came, [3, 1, 2]);
    let seen: Vec<_> = arrivals[0]
        .data
        .iter()
        .map(|datum| (datum.second - at(0).second(), datum.unit.as_deref(), datum.aggregate.count as u64))
        .collect();
    assert_eq!(
        seen,
        [
            (3, Some("Bytes"), 100),
            (4, None, 1),
            (4, Some("Count"), 2),
            (5, Some("Count"), 1),
            (5, Some("Count"), 1)
        ]
    );
    assert_eq!((data, arrivals[0].data[0].evidence.events), (5, 100));
    came.reverse();
    assert_eq!(settled(&came, [2, 3, 1]), (arrivals, data, bytes));
}

#[test]
fn memory_grows_with_what_comes_and_names_are_held_once() {
    let mut past = Past::default();
    past.arrive(at(0), datum(&"u".repeat(1_000), 0));
    let one = past.bytes();
    assert!(one > 1_000, "{one}");
    for second in 1..=100 {
        past.arrive(at(second), datum(&"u".repeat(1_000), second));
    }
    let each = (past.bytes() - one) / 100;
    // The name stands in the evidence of each, but not with the series once more.
    assert!((300..1_500).contains(&each), "{each}");
}

#[test]
fn times_that_cannot_be_are_refused() {
    let request =
        |from: Option<i64>, to: Option<i64>| BacktestRequest { from, to, ..BacktestRequest::default() };
    let now = at(0);
    let ms = |second: i64| Some(at(second).as_millis());
    let refused = |from, to| match Span::of(&request(from, to), now) {
        Err(Refusal::Invalid(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(ms(-5), ms(-6)).contains("is after"));
    assert!(refused(ms(5), None).contains("future"));
    let span = Span::of(&request(ms(-5), ms(100)), now).unwrap();
    assert_eq!((span.start, span.end), (at(-5), now), "what is to come is not there yet");
}

#[test]
fn a_course_ends_when_its_client_leaves_or_the_server_stops() {
    let (stop, stopping) = watch::channel(false);
    let left = Arc::new(AtomicBool::new(false));
    let (sender, progress) = watch::channel(Progress::default());
    let course = Course::new(sender, Arc::clone(&left), stopping.clone());
    assert!(course.reach(Phase::Reading, 3, 9).is_ok());
    assert_eq!(*progress.borrow(), Progress { phase: Phase::Reading, done: 3, total: 9 });
    left.store(true, Ordering::Relaxed);
    assert!(matches!(course.reach(Phase::Reading, 4, 9), Err(Ended::Halted)));

    let (sender, _progress) = watch::channel(Progress::default());
    let course = Course::new(sender, Arc::default(), stopping);
    assert!(course.goes_on());
    stop.send_replace(true);
    assert!(!course.goes_on());
}

/// An event of a machine's log.
fn record(machine: &str, id: i64) -> String {
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><EventID>4624</EventID><EventRecordID>{id}</EventRecordID><Channel>Security</Channel><Computer>{machine}</Computer></System></Event>"
    )
}

/// Three streams out of order and late, two hours, gaps in the numbers of one machine, and a group that nobody asks about.
async fn stored() -> World {
    let world = World::with_groups(&["files", "logons", "other"]);
    let denied = |user: &str, n: i64| format!(r#"{{"op":"denied","user":"{user}","n":{n}}}"#);
    for n in 0..40_i64 {
        let ms = n * 500 + 3_590_000;
        let arrival = 3_600 + n / 4;
        let user = ["ann", "bob", "cy"][n as usize % 3];
        let mut events = vec![(ms, denied(user, n % 7)), (ms + 3, r#"{"op":"open"}"#.to_owned())];
        if n % 5 == 0 {
            events.insert(0, (ms - 900_000, denied(user, 1))); // late
        }
        world.append("files", ["s", "t"][n as usize % 2], arrival, events).await;
        if !(20..24).contains(&n) {
            world
                .append("logons", "w", arrival, vec![(ms, record("ws1", 100 + n)), (ms, record("ws2", n))])
                .await;
        }
        world.append("other", "o", arrival, vec![(ms, denied(user, 9))]).await;
    }
    world
}

fn asked(as_arrived: bool, from: Option<i64>, alarm: &serde_json::Value) -> BacktestRequest {
    let filter = serde_json::json!({
        "logGroupName": "files",
        "filterName": "f",
        "filterPattern": r#"{ $.op = "denied" }"#,
        "metricTransformations": [{
            "metricName": "Denied", "metricNamespace": "files", "metricValue": "$.n",
            "dimensions": {"User": "$.user"},
        }],
    });
    let defaulting = serde_json::json!({
        "logGroupName": "files",
        "filterName": "g",
        "filterPattern": r#"{ $.n = 6 }"#,
        "metricTransformations": [
            {"metricName": "Six", "metricNamespace": "files", "metricValue": "10", "defaultValue": 1.0},
        ],
    });
    let mut whole = serde_json::json!({
        "AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching", "AlarmActions": ["arn:aws:sns:site:123456789012:t"],
        "OKActions": ["arn:aws:sns:site:123456789012:t"],
    });
    whole.as_object_mut().unwrap().extend(alarm.as_object().unwrap().clone());
    BacktestRequest {
        filters: vec![filter, defaulting],
        alarms: vec![whole],
        from,
        as_arrived,
        messages: true,
        ..BacktestRequest::default()
    }
}

fn query(text: &str) -> serde_json::Value {
    serde_json::json!([{"Id": "q", "Expression": text, "Period": 60, "ReturnData": true}])
}

/// What the backtests say of all that is stored, each as JSON.
async fn answers(world: &World) -> Vec<serde_json::Value> {
    let by_user = r#"SELECT SUM(Denied) FROM "files" GROUP BY User"#;
    let gaps = r#"SELECT SUM(MissingEvents) FROM "Nightbell/Records" GROUP BY Instance, Channel"#;
    let alarms = [
        serde_json::json!({"Metrics": query(by_user), "Threshold": 12}),
        serde_json::json!({"Metrics": query(gaps), "Threshold": 0}),
        serde_json::json!({
            "Namespace": "files", "MetricName": "Six", "Statistic": "Sum", "Period": 10, "Threshold": 20,
        }),
    ];
    let from = at(3_600).as_millis();
    let mut answers = Vec::new();
    for alarm in alarms {
        for (as_arrived, from) in [(false, None), (true, None), (false, Some(from)), (true, Some(from))] {
            let request = asked(as_arrived, from, &alarm);
            let cx = Cx {
                app: Arc::clone(&world.app),
                region: "site".to_owned(),
                now: at(7_200),
                caller: crate::auth::Principal::Root,
            };
            let (progress, told) = watch::channel(Progress::default());
            let course = Course::new(progress, Arc::default(), cx.app.stopping.clone());
            let answer = tokio::task::spawn_blocking(move || run(&cx, &request, &course)).await.unwrap();
            drop(told);
            answers.push(serde_json::to_value(answer.unwrap()).unwrap());
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_is_the_same_from_the_journal_from_the_archive_and_from_both() {
    let world = stored().await;
    let end = *world.app.journal.end().borrow();
    let journal = answers(&world).await;
    for answer in journal.iter().step_by(4) {
        assert!(answer["runs"][0]["fired"].as_u64().unwrap() > 0, "{answer:#}");
        assert!(!answer["runs"][0]["transitions"].as_array().unwrap().is_empty());
    }
    assert_eq!(journal[0]["events"], 88, "of the files alone");
    assert_eq!(journal[4]["events"], 88 + 72 + 40, "of all groups, where records are followed");
    for archived in [1, end.number() / 2, end.number() - 1, end.number()] {
        world.archive_to(nightbell_store::Position::new(archived)).await;
        assert!(answers(&world).await == journal, "{archived} of {end} blocks archived");
    }
    assert_eq!(world.app.journal.start(), end, "nothing is left in the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_found_is_told_of_the_archive_too() {
    let world = stored().await;
    let end = *world.app.journal.end().borrow();
    for archived in [None, Some(end)] {
        if let Some(to) = archived {
            world.archive_to(to).await;
        }
        let alarm = serde_json::json!({
            "Namespace": "files", "MetricName": "Six", "Statistic": "Sum", "Period": 10, "Threshold": 20,
        });
        let request = asked(false, Some(at(7_100).as_millis()), &alarm);
        let cx = Cx {
            app: Arc::clone(&world.app),
            region: "site".to_owned(),
            now: at(7_200),
            caller: crate::auth::Principal::Root,
        };
        let (progress, _told) = watch::channel(Progress::default());
        let course = Course::new(progress, Arc::default(), cx.app.stopping.clone());
        let answer = tokio::task::spawn_blocking(move || run(&cx, &request, &course)).await.unwrap().unwrap();
        assert_eq!(answer.events, 0);
        let [note] = &answer.notes[..] else { panic!("{:?}", answer.notes) };
        let range = format!("{} to {}", at(2_690).iso(), at(3_609).plus_millis(503).iso());
        assert!(note.contains("no event of the log group files") && note.ends_with(&range), "{note}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_that_nobody_waits_for_reads_no_further() {
    let world = stored().await;
    let left = Arc::new(AtomicBool::new(true));
    let cx = Cx {
        app: Arc::clone(&world.app),
        region: "site".to_owned(),
        now: at(7_200),
        caller: crate::auth::Principal::Root,
    };
    let (progress, _told) = watch::channel(Progress::default());
    let course = Course::new(progress, left, cx.app.stopping.clone());
    let alarm = serde_json::json!({
        "Namespace": "files", "MetricName": "Six", "Statistic": "Sum", "Period": 10, "Threshold": 20,
    });
    let request = asked(false, None, &alarm);
    let ended = tokio::task::spawn_blocking(move || run(&cx, &request, &course)).await.unwrap();
    assert!(matches!(ended, Err(Ended::Halted)));
}
