/*! Gaps by hand, against a slow oracle, and in every order. */

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::event::Group;
use crate::fields::Subject;
use crate::fields::json::JsonReader;
use crate::time::SECOND_MS;

const MINUTES: [i64; 3] = [0, 20, 40];

fn log() -> EventLog {
    EventLog {
        region: "here".into(),
        group: "windows".into(),
        machine: "srv1".into(),
        channel: "security".into(),
    }
}

fn group() -> Group {
    Group { region: "here".into(), name: "windows".into() }
}

fn minute(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute * MINUTE_MS)
}

/// The records `ids`, number `n` written at `start` plus `n` seconds.
fn held(ids: impl IntoIterator<Item = u64>, start: Timestamp) -> RecordSpans {
    let mut spans = RecordSpans::default();
    for id in ids {
        spans.note(&group(), mark(id, false), time_of(id, start));
    }
    spans
}

fn mark(id: u64, cleared: bool) -> RecordMark {
    RecordMark { machine: "srv1".into(), channel: "security".into(), id, cleared }
}

fn time_of(id: u64, start: Timestamp) -> Timestamp {
    start.plus_millis((id % 1_000_000).cast_signed() * SECOND_MS)
}

/// First and last missing numbers of the gaps.
fn gaps(findings: &[Finding]) -> Vec<(u64, u64)> {
    let gap = |finding: &Finding| match finding {
        Finding::Gap(gap) => Some((gap.from, gap.to)),
        _ => None,
    };
    findings.iter().filter_map(gap).collect()
}

/// As after a stop of the server.
fn restored(records: &Records) -> Records {
    let bytes = postcard::to_stdvec(records).expect("can be stored");
    postcard::from_bytes(&bytes).expect("can be read")
}

#[test]
fn a_gap_is_told_once_when_it_is_late() {
    let mut records = Records::default();
    records.observe(&held(1..=10, minute(0)), minute(0));
    records.observe(&held(14..=20, minute(0)), minute(1));
    assert_eq!(records.judge(minute(15)), [], "the record after the gap came a minute later");
    let expected = Gap {
        log: log(),
        from: 11,
        to: 13,
        missing: 3,
        between: (time_of(10, minute(0)), time_of(14, minute(0))),
        cleared: false,
    };
    assert_eq!(
        expected.to_string(),
        "3 records of security on srv1 are missing: 11 to 13, between 1970-01-01 00:00:10 UTC and \
         1970-01-01 00:00:14 UTC"
    );
    assert_eq!(records.judge(minute(16)), [Finding::Gap(expected)]);
    assert_eq!(records.judge(minute(17)), []);
    records.observe(&held((1..=10).chain(14..=20), minute(0)), minute(18));
    assert_eq!(records.judge(minute(60)), [], "what comes twice changes nothing");
}

#[test]
fn late_records_fill_told_gaps() {
    let mut records = Records::default();
    records.observe(&held((1..=10).chain(16..=20), minute(0)), minute(0));
    assert_eq!(gaps(&records.judge(minute(20))), [(11, 15)]);
    let left = |findings: &[Finding]| match findings {
        [Finding::Filled { gap, left }] if (gap.from, gap.to) == (11, 15) => Some(*left),
        _ => None,
    };
    records.observe(&held(12..=13, minute(0)), minute(30));
    records.observe(&held(12..=13, minute(0)), minute(30));
    assert_eq!(left(&records.judge(minute(30))), Some(3));
    records.observe(&held(9..=18, minute(0)), minute(31));
    assert_eq!(left(&records.judge(minute(31))), Some(0));
    records.observe(&held(12..=13, minute(0)), minute(32));
    assert_eq!(records.judge(minute(99)), []);
}

#[test]
fn one_missing_record_and_a_cleared_log_are_told_as_such() {
    let mut records = Records::default();
    let mut spans = held(1..=10, minute(0));
    spans.note(&group(), mark(12, true), time_of(12, minute(0)));
    spans.merge(&held(13..=20, minute(0)));
    records.observe(&spans, minute(0));
    let findings = records.judge(minute(20));
    let [Finding::Gap(gap)] = findings.as_slice() else { panic!("one gap: {findings:?}") };
    assert!(gap.cleared);
    assert!(gap.to_string().starts_with("1 record of security on srv1 is missing: 11, between "), "{gap}");
    assert!(gap.to_string().ends_with(", before the log was cleared"), "{gap}");
}

#[test]
fn a_cleared_log_that_counts_on_is_no_gap() {
    let mut records = Records::default();
    records.observe(&held(465_400..=465_457, minute(0)), minute(0));
    assert_eq!(records.judge(minute(20)), []);
    let mut spans = RecordSpans::default();
    spans.note(&group(), mark(465_458, true), time_of(465_458, minute(0)));
    records.observe(&spans, minute(21));
    records.observe(&held(465_459..=465_480, minute(0)), minute(21));
    records.observe(&spans, minute(22));
    assert_eq!(records.judge(minute(60)), []);
}

/// All orders of a few batches.
fn orders<T: Clone>(of: &[T]) -> Vec<Vec<T>> {
    if of.len() < 2 {
        return vec![of.to_vec()];
    }
    let mut all = Vec::new();
    for (at, first) in of.iter().enumerate() {
        let mut rest = of.to_vec();
        rest.remove(at);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

#[test]
fn numbers_that_begin_anew_are_no_gap_in_any_order() {
    let old = minute(0);
    let new = time_of(5_100, minute(10));
    let batches = [
        held(5_000..=5_020, old),
        held(5_021..=5_040, old),
        held(5_043..=5_050, old),
        held(1..=30, new),
        held(33..=40, new),
        held(3..=3, new),
    ];
    for order in orders(&batches) {
        let mut records = Records::default();
        for batch in &order {
            records.observe(batch, minute(0));
            records = restored(&records);
        }
        let findings = records.judge(minute(15));
        assert_eq!(gaps(&findings), [(5_041, 5_042), (31, 32)]);
        let restart = Finding::Restarted { log: log(), at: time_of(1, new), first: 1 };
        assert_eq!(findings[1], restart);
        assert_eq!(findings.len(), 3);
        records.observe(&held(5_051..=5_060, old), minute(16));
        records.observe(&held(41..=50, new), minute(16));
        assert_eq!(records.judge(minute(60)), [], "records of the old numbers that are late reveal nothing");
    }
}

#[test]
fn a_clear_that_begins_the_numbers_anew_is_seen_at_once() {
    let mut records = Records::default();
    records.observe(&held(5_000..=5_020, minute(0)), minute(0));
    assert_eq!(records.judge(minute(20)), []);
    // The next record comes a second later, too soon to tell new numbers from old ones by their time.
    let at = |second: u64| time_of(5_020 + second, minute(0));
    let mut spans = RecordSpans::default();
    spans.note(&group(), mark(1, true), at(1));
    spans.note(&group(), mark(2, false), at(2));
    spans.note(&group(), mark(5, false), at(3));
    records.observe(&spans, minute(21));
    let findings = records.judge(minute(36));
    assert_eq!(findings[0], Finding::Restarted { log: log(), at: at(1), first: 1 });
    assert_eq!(gaps(&findings), [(3, 4)]);
}

#[test]
fn a_record_sent_again_with_a_later_time_is_no_beginning() {
    let mut records = Records::default();
    records.observe(&held(100..=200, minute(0)), minute(0));
    records.judge(minute(20));
    records.observe(&held(150..=151, time_of(80, minute(0))), minute(21));
    assert_eq!(records.judge(minute(60)), []);
    records.observe(&held(201..=210, minute(0)), minute(61));
    records.observe(&held(212..=220, minute(0)), minute(61));
    assert_eq!(gaps(&records.judge(minute(90))), [(211, 211)]);
}

#[test]
fn a_clock_set_back_is_no_gap() {
    let mut records = Records::default();
    let day = minute(24 * 60);
    records.observe(&held(1..=100, day), minute(0));
    records.judge(minute(20));
    records.observe(&held(101..=150, minute(0)), minute(21));
    records.observe(&held(153..=160, minute(0)), minute(22));
    assert_eq!(gaps(&records.judge(minute(60))), [(151, 152)]);
}

#[test]
fn an_old_log_read_in_beside_a_new_one_changes_nothing() {
    let mut records = Records::default();
    let now = minute(100 * 24 * 60);
    records.observe(&held(1..=100, now), now);
    records.judge(now.plus_millis(20 * MINUTE_MS));
    records.observe(&held(465_458..=465_500, minute(0)), now);
    records.observe(&held(20..=30, minute(0)), now);
    records.observe(&held(101..=110, now), now);
    assert_eq!(records.judge(now.plus_millis(90 * MINUTE_MS)), []);
}

#[test]
fn a_source_that_sends_a_selection_is_told_once() {
    let mut records = Records::default();
    records.observe(&held((1..=400).step_by(7), minute(0)), minute(0));
    let findings = records.judge(minute(20));
    assert_eq!(gaps(&findings).len(), SELECTIVE_GAPS - 1);
    assert_eq!(findings.last(), Some(&Finding::Selective { log: log() }));
    records.observe(&held((401..=900).step_by(7), minute(0)), minute(21));
    assert_eq!(records.judge(minute(60)), []);
    // Whole again for long enough, a gap is one.
    records.observe(&held((900..=9_000).chain(9_002..=9_010), minute(0)), minute(61));
    assert_eq!(gaps(&records.judge(minute(99))), [(9_001, 9_001)]);
}

#[test]
fn hostile_numbers_neither_panic_nor_grow() {
    let mut records = Records::default();
    let ends = [0, u64::MAX, 1, u64::MAX - 1, u64::MAX / 2];
    for (at, id) in ends.into_iter().cycle().take(50).enumerate() {
        let time = [Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX), minute(5)][at % 3];
        let mut spans = RecordSpans::default();
        spans.note(&group(), mark(id, at % 2 == 0), time);
        records.observe(&spans, minute(at as i64));
        records.judge(minute(20 * at as i64));
    }
    let mut records = Records::default();
    records.observe(&held((0..1_000_000).step_by(100), minute(0)), minute(0));
    let findings = records.judge(minute(0));
    assert!(findings.len() <= FINDINGS_MAX + 1, "{}", findings.len());
    assert!(!findings.is_empty(), "past {RUNS_MAX} runs nothing waits");
    assert!(postcard::to_stdvec(&records).expect("can be stored").len() < 64 * 1_024);
}

#[test]
fn many_wide_gaps_are_told_as_one_with_their_number() {
    let mut records = Records::default();
    let ids = || (1..=300_000).step_by(3_000);
    records.observe(&held(ids(), minute(0)), minute(0));
    let findings = records.judge(minute(20));
    let missing = |finding: &Finding| match finding {
        Finding::Gap(gap) => gap.missing,
        _ => 0,
    };
    assert_eq!(findings.len(), FINDINGS_MAX);
    assert_eq!(findings.iter().map(missing).sum::<u64>(), 99 * 2_999);
    let Some(Finding::Gap(last)) = findings.last() else { panic!("gaps alone") };
    assert!(last.to_string().contains("missing: in several gaps from "), "{last}");
}

#[test]
fn logs_are_bounded_and_forgotten() {
    let mut records = Records::default();
    for number in 0..LOGS_MAX as u64 + 5 {
        let mut spans = RecordSpans::default();
        let machine = format!("srv{number}");
        spans.note(
            &group(),
            RecordMark { machine, channel: "security".into(), id: 1, cleared: false },
            minute(0),
        );
        records.observe(&spans, minute(0));
    }
    assert_eq!((records.len(), records.unfollowed()), (LOGS_MAX, 5));
    records.judge(Timestamp::from_millis(LOG_IDLE_MS_MAX));
    assert!(records.is_empty());
}

#[test]
fn marks_are_read_under_the_names_of_each_dialect() {
    let rows = [
        (
            r#"{"EventRecordID": 12, "Computer": "SRV1.Corp", "Channel": "Security"}"#,
            Some(("srv1.corp", "security", 12)),
        ),
        (
            r#"{"winlog": {"record_id": "18446744073709551615", "computer_name": "SRV1", "channel": "System"}}"#,
            Some(("srv1", "system", u64::MAX)),
        ),
        (r#"{"RecordNumber": 7, "Hostname": "srv1", "Channel": "Security"}"#, Some(("srv1", "security", 7))),
        (r#"{"record_id": 7, "computer": "srv1", "channel": "Security"}"#, Some(("srv1", "security", 7))),
        (
            r#"{"EventRecordID": 12, "Computer": "", "Channel": "Security"}"#,
            Some(("stream-1", "security", 12)),
        ),
        (r#"{"EventRecordID": 12, "Computer": "srv1"}"#, None),
        (r#"{"EventRecordID": -1, "Computer": "srv1", "Channel": "Security"}"#, None),
        (r#"{"EventRecordID": 1.5, "Computer": "srv1", "Channel": "Security"}"#, None),
        (r#"{"Computer": "srv1", "Channel": "Security"}"#, None),
        ("no fields", None),
    ];
    let reader = RecordReader::default();
    for (message, expected) in rows {
        let found = reader.read(&Subject::new(message, "Stream-1", &JsonReader));
        let found = found.as_ref().map(|mark| (mark.machine.as_str(), mark.channel.as_str(), mark.id));
        assert_eq!(found, expected, "{message}");
    }
}

/// One record of a generated history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    id: u64,
    /// Minute of its arrival.
    arrival: i64,
}

/// The slow oracle: missing numbers by the minute of the judgement that tells them, found one by one.
fn oracle(sent: &[Sent], judged: &[i64]) -> BTreeMap<i64, BTreeSet<u64>> {
    let lateness = LATENESS_MS / MINUTE_MS;
    let mut told: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
    let mut start = None;
    let mut done = BTreeSet::new();
    for &now in judged {
        let known: Vec<_> = sent.iter().filter(|record| record.arrival <= now).collect();
        if start.is_none() && known.iter().any(|record| record.arrival + lateness <= now) {
            start = known.iter().map(|record| record.id).min();
        }
        let (Some(start), Some(top)) = (start, known.iter().map(|record| record.id).max()) else { continue };
        for id in start..top {
            let is_there = known.iter().any(|record| record.id == id);
            let is_due = known.iter().any(|record| record.id > id && record.arrival + lateness <= now);
            if !is_there && is_due && done.insert(id) {
                told.entry(now).or_default().insert(id);
            }
        }
    }
    told
}

fn history() -> impl Strategy<Value = Vec<Sent>> {
    let record = (prop::bool::weighted(0.8), 0..3_i64, prop::bool::weighted(0.1), 0..40_i64);
    prop::collection::vec(record, 1..80).prop_map(|records| {
        let mut sent = Vec::new();
        for (id, (is_sent, delay, is_late, lateness)) in (1_000_u64..).zip(records) {
            // Thirty records a minute, most of them within three minutes.
            let written = (id - 1_000).cast_signed() * 2 / 60;
            if is_sent {
                sent.push(Sent { id, arrival: written + if is_late { lateness } else { delay } });
            }
        }
        sent
    })
}

/// Observes what arrives between judgements in the order and the batches that `order` says, everything perhaps twice.
fn run(sent: &[Sent], judged: &[i64], order: &[u16], stops: bool) -> BTreeMap<i64, BTreeSet<u64>> {
    let mut records = Records::default();
    let mut told: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
    let mut before = i64::MIN;
    for &now in judged {
        let mut arriving: Vec<_> =
            sent.iter().filter(|record| before < record.arrival && record.arrival <= now).copied().collect();
        arriving.extend_from_within(..arriving.len() / 3);
        let dice = |at: usize| order[at % order.len()];
        let mut shuffled: Vec<_> = arriving.iter().enumerate().map(|(at, sent)| (dice(at), *sent)).collect();
        shuffled.sort();
        for batch in shuffled.chunk_by(|a, b| a.1.arrival == b.1.arrival && a.0 % 5 != 0) {
            let mut spans = RecordSpans::default();
            for (_, record) in batch {
                let mut one = held([record.id], minute(0));
                one.merge(&spans);
                spans = one;
            }
            records.observe(&spans, minute(batch[0].1.arrival));
            if stops {
                records = restored(&records);
            }
        }
        for finding in records.judge(minute(now)) {
            if let Finding::Gap(gap) = finding {
                told.entry(now).or_default().extend(gap.from..=gap.to);
            }
        }
        before = now;
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_order_and_any_batches_give_the_gaps_of_the_oracle(
        sent in history(),
        order in prop::collection::vec(any::<u16>(), 1..50),
        step in 1..25_i64,
        stops in any::<bool>(),
    ) {
        let judged: Vec<_> = (0..120).step_by(step as usize).collect();
        prop_assume!(oracle(&sent, &judged).values().map(BTreeSet::len).sum::<usize>() < SELECTIVE_GAPS);
        prop_assert_eq!(run(&sent, &judged, &order, stops), oracle(&sent, &judged));
    }

    #[test]
    fn spans_merge_in_any_order(
        runs in prop::collection::vec((0..40_u64, 0..3_usize, any::<bool>()), 1..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let single = |&(id, at, cleared): &(u64, usize, bool)| {
            let mut spans = RecordSpans::default();
            spans.note(&group(), mark(id, cleared), time_of(id, minute(MINUTES[at])));
            spans
        };
        let join = |parts: &[RecordSpans]| {
            parts.iter().fold(RecordSpans::default(), |mut joined, part| {
                joined.merge(part);
                joined
            })
        };
        let parts: Vec<_> = runs.iter().map(single).collect();
        let all = join(&parts);
        let backwards: Vec<_> = parts.iter().rev().cloned().collect();
        prop_assert_eq!(&join(&backwards), &all);
        let (left, right) = parts.split_at(cut.index(parts.len()));
        prop_assert_eq!(&join(&[join(right), join(left), join(right)]), &all);
        let bytes = postcard::to_stdvec(&all).expect("can be stored");
        prop_assert_eq!(postcard::from_bytes::<RecordSpans>(&bytes).expect("can be read"), all);
    }
}
