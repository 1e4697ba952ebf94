use nightbell_core::backtest::Arrival;
use nightbell_core::event::Group;
use nightbell_core::evidence::Evidence;
use nightbell_core::metric::{Aggregate, Datum, Series};
use nightbell_core::records::{RecordMark, RecordSpans};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_767_225_600 + second)
}

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
    let left = std::sync::Arc::new(AtomicBool::new(false));
    let (sender, progress) = watch::channel(Progress::default());
    let course = Course::new(sender, std::sync::Arc::clone(&left), stopping.clone());
    assert!(course.reach(Phase::Reading, 3, 9).is_ok());
    assert_eq!(*progress.borrow(), Progress { phase: Phase::Reading, done: 3, total: 9 });
    left.store(true, Ordering::Relaxed);
    assert!(matches!(course.reach(Phase::Reading, 4, 9), Err(Ended::Halted)));

    let (sender, _progress) = watch::channel(Progress::default());
    let course = Course::new(sender, std::sync::Arc::default(), stopping);
    assert!(course.goes_on());
    stop.send_replace(true);
    assert!(!course.goes_on());
}
