use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::fields::{FieldReader, Fields, Selector, Value};

thread_local! {
    /// How often an event was put into words.
    static DESCRIBED: Cell<u32> = const { Cell::new(0) };
}

/// Reads `user|share|folder|file`; an empty part is absent.
struct Reader;

struct Parts(Audit);

impl FieldReader for Reader {
    fn read<'m>(&self, message: &'m str) -> Option<Box<dyn Fields + 'm>> {
        let parts: Vec<Option<String>> =
            message.split('|').map(|part| (!part.is_empty()).then(|| part.to_owned())).collect();
        let [user, share, folder, file] = <[_; 4]>::try_from(parts).ok()?;
        let (action, outcome) = (Some("open"), Some("failure"));
        Some(Box::new(Parts(Audit { action, outcome, user, share, folder, file, ..Audit::default() })))
    }
}

impl Fields for Parts {
    fn visit(&self, selector: &Selector, visit: &mut dyn FnMut(Value<'_>)) {
        self.0.visit(selector, visit);
    }

    fn audit(&self) -> Option<&Audit> {
        Some(&self.0)
    }

    fn describe(&self) -> Option<String> {
        DESCRIBED.set(DESCRIBED.get() + 1);
        Some(format!("{} was here", self.0.user.as_deref().unwrap_or("somebody")))
    }
}

fn observed<'a>(messages: impl IntoIterator<Item = (i64, &'a str)>) -> Evidence {
    let mut evidence = Evidence::default();
    for (ms, message) in messages {
        let subject = Subject::new(message, "stream", &Reader);
        evidence.observe(&subject, Timestamp::from_millis(ms), Timestamp::from_millis(ms + 40), None);
    }
    evidence
}

#[test]
fn says_who_what_and_where() {
    let evidence = observed([
        (2_000, "awscorp\\ann|share|\\secret|x.doc"),
        (1_000, "awscorp\\ann|share|\\secret|y.doc"),
        (3_000, "awscorp\\bob|share|\\|z.doc"),
    ]);
    assert_eq!(evidence.events, 3);
    assert_eq!(evidence.first, Some(Timestamp::from_millis(1_000)));
    assert_eq!(evidence.last, Some(Timestamp::from_millis(3_000)));
    assert_eq!(evidence.last_arrival, Some(Timestamp::from_millis(3_040)));
    assert_eq!(evidence.users.top(5), [("awscorp\\ann", 2), ("awscorp\\bob", 1)]);
    assert_eq!(evidence.users.top(1).len(), 1);
    assert_eq!(evidence.actions.top(5), [("open", 3)]);
    assert_eq!(evidence.folders.top(5), [("\\share\\secret", 2), ("\\share", 1)]);
    assert_eq!(
        evidence.files.top(5),
        [("\\share\\secret\\x.doc", 1), ("\\share\\secret\\y.doc", 1), ("\\share\\z.doc", 1)]
    );
    let lines: Vec<&str> = evidence.samples.iter().map(|sample| sample.line.as_str()).collect();
    assert_eq!(lines, ["awscorp\\ann was here", "awscorp\\ann was here", "awscorp\\bob was here"]);
}

#[test]
fn folders_of_shares_drives_and_neither() {
    let rows = [
        ("|share|\\secret|", Some("\\share\\secret"), None),
        ("|c:|\\data|f", Some("c:\\data"), Some("c:\\data\\f")),
        ("|c:|\\|f", Some("c:\\"), Some("c:\\f")),
        ("|c:||f", Some("c:\\"), Some("c:\\f")),
        ("|share||f", Some("\\share"), Some("\\share\\f")),
        ("||\\loose|f", Some("\\loose"), Some("\\loose\\f")),
        ("|||f", None, Some("f")),
        ("ann|||", None, None),
    ];
    for (message, folder, file) in rows {
        let evidence = observed([(0, message)]);
        assert_eq!(evidence.folders.top(1).first().map(|(value, _)| *value), folder, "{message}");
        assert_eq!(evidence.files.top(1).first().map(|(value, _)| *value), file, "{message}");
    }
}

#[test]
fn unknown_dialects_show_the_start_of_the_message_on_one_line() {
    let long = format!("first\r\n\tsecond\u{1b}[31m  {}", "ü".repeat(1_000));
    let evidence = observed([(0, long.as_str())]);
    let line = &evidence.samples[0].line;
    assert!(line.starts_with("first second [31m ü"), "{line}");
    assert!(line.len() <= SAMPLE_LINE_BYTES_MAX && !line.chars().any(char::is_control));
    assert!(evidence.users.is_empty());
}

#[test]
fn events_that_are_not_kept_are_not_put_into_words() {
    DESCRIBED.set(0);
    let evidence = observed((0..1_000).map(|ms| (ms, "ann|share|\\secret|x.doc")));
    assert_eq!((evidence.events, evidence.samples.len()), (1_000, SAMPLES_MAX));
    assert_eq!(DESCRIBED.get() as usize, SAMPLES_MAX);
}

#[test]
fn full_tally_lets_the_smallest_go_and_counts_it() {
    let mut tally = Tally::default();
    for _ in 0..3 {
        tally.add("loud");
    }
    for i in 0..1_000 {
        tally.add(&format!("quiet{i}"));
    }
    assert_eq!(tally.distinct(), TALLY_VALUES_MAX);
    assert_eq!(tally.top(1), [("loud", 3)]);
    assert_eq!(tally.counts.iter().map(|(_, count)| count).sum::<u64>() + tally.others, 1_003);
}

#[test]
fn long_values_are_cut_between_characters() {
    let mut tally = Tally::default();
    tally.add(&"ü".repeat(200));
    tally.add(&format!("x{}", "ü".repeat(200)));
    assert!(tally.counts.iter().all(|(value, _)| value.len() <= TALLY_VALUE_BYTES_MAX && value.len() > 250));
}

#[test]
fn a_value_seen_once_in_each_of_many_parts_is_found() {
    let parts: Vec<Evidence> = (0..30)
        .map(|second| {
            let once = (0..60).map(|i| format!("a{second}-{i}|s|\\f|x"));
            let messages: Vec<String> = once.chain(["zoe|s|\\f|x".to_owned()]).collect();
            observed(messages.iter().map(|message| (second * 1_000, message.as_str())))
        })
        .collect();
    let whole = Evidence::merged(&parts);
    assert_eq!(whole.users.top(1), [("zoe", 30)]);
    assert_eq!(whole.users.distinct(), TALLY_VALUES_MAX);
    assert_eq!(whole.events, 30 * 61);
}

#[test]
fn nothing_merged_is_nothing() {
    let mut evidence = observed([(5, "ann|s|\\f|x")]);
    let before = evidence.clone();
    evidence.merge(&Evidence::default());
    assert_eq!(evidence, before);
    assert!(Evidence::default().is_empty() && !before.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Below the cap, evidence does not depend on order or batching.
    #[test]
    fn merges_alike_in_any_order(
        events in prop::collection::vec((0..50_i64, 0..20_u8, 0..3_u8), 0..60),
        cut in 0..60_usize,
    ) {
        let messages: Vec<(i64, String)> =
            events.iter().map(|(ms, user, folder)| (*ms, format!("u{user}|s|\\f{folder}|x"))).collect();
        let of = |part: &[(i64, String)]| observed(part.iter().map(|(ms, message)| (*ms, message.as_str())));
        let (head, tail) = messages.split_at(cut.min(messages.len()));
        let mut joined = of(tail);
        joined.merge(&of(head));
        prop_assert_eq!(&joined, &of(&messages));
        prop_assert_eq!(joined, Evidence::merged([&of(head), &of(tail)]));
    }
}
