/*!
Recorded logs of real machines: what they hold, what it means, and that both readings of the XML agree on every event.

`testdata/evtx/README.md` says what each file is.
*/
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;

use nightbell_core::fields::audit::NOISE;
use nightbell_core::fields::{Audit, Fields};
use nightbell_winevt::evtx::{Counts, Position, Reader, Record};
use nightbell_winevt::xml::Document;
use nightbell_winevt::{WindowsEvent, evtx};
use proptest::prelude::*;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/evtx").join(name)
}

fn records(name: &str) -> Vec<Record> {
    let mut reader = Reader::open(&path(name)).expect("the file is there");
    let records: Vec<_> = reader.by_ref().collect();
    let counts = reader.counts();
    assert_eq!(counts, Counts { records: records.len() as u64, ..Counts::default() }, "{name}");
    assert_eq!(reader.bytes_read(), reader.bytes_total(), "{name}");
    records
}

fn audits(name: &str) -> Vec<(u32, Audit)> {
    let audit = |record: &Record| {
        let event = WindowsEvent::read(&record.xml)?;
        Some((event.event_id()?, event.audit()?.clone()))
    };
    records(name).iter().filter_map(audit).collect()
}

/// How many events have each number.
fn numbers(name: &str) -> BTreeMap<u32, usize> {
    let mut numbers = BTreeMap::new();
    for record in records(name) {
        let id = WindowsEvent::read(&record.xml).and_then(|event| event.event_id()).expect("has a number");
        *numbers.entry(id).or_default() += 1;
    }
    numbers
}

const FILES: [(&str, usize); 10] = [
    ("denied-file-opens-4656.evtx", 20),
    ("kerberos-bruteforce-4771.evtx", 54),
    ("kerberos-user-enumeration-4768-4771.evtx", 42),
    ("local-bruteforce-4625-4776.evtx", 16),
    ("log-cleared-104-1102.evtx", 91),
    ("mixed-server-security.evtx", 636),
    ("process-handles-4656-4663-4658-not-files.evtx", 7),
    ("share-enumeration-5140-5145.evtx", 91),
    ("ssh-unknown-users-4625-4776.evtx", 20),
    ("ssh-valid-users-4625-4624.evtx", 11),
];

#[test]
fn every_event_is_read_and_both_readings_agree() {
    for (name, events) in FILES {
        let records = records(name);
        assert_eq!(records.len(), events, "{name}");
        for record in records {
            assert!(record.xml.starts_with("<Event") && record.xml.ends_with("</Event>"), "{}", record.xml);
            let quick = Document::read(&record.xml).expect("an event");
            let slow = Document::read_slowly(&record.xml).expect("an event");
            assert!(!quick.is_damaged() && !slow.is_damaged(), "{}", record.xml);
            assert_eq!(quick.fields(), slow.fields(), "{}", record.xml);
        }
    }
}

#[test]
fn record_numbers_and_times_are_those_of_the_event() {
    let first = &records("denied-file-opens-4656.evtx")[0];
    assert_eq!(first.record_id, 465_458);
    assert_eq!(first.time.iso(), "2021-04-26T10:04:23.189Z");
}

#[test]
fn nineteen_file_opens_are_denied_to_one_user() {
    let audits = audits("denied-file-opens-4656.evtx");
    assert_eq!(audits[0].1.action, Some("log-cleared"));
    let denied: Vec<_> = audits.iter().filter(|(id, _)| *id == 4656).map(|(_, audit)| audit).collect();
    assert_eq!(denied.len(), 19);
    for audit in denied {
        assert_eq!((audit.outcome, audit.action), (Some("failure"), Some("open")));
        assert_eq!(audit.user.as_deref(), Some(r"offsec\admmig"));
        assert_eq!(audit.instance.as_deref(), Some("srvdefender01.offsec.lan"));
        assert_eq!(audit.folder.as_deref(), Some(r"\windows\system32"));
        assert_eq!(audit.reason.as_deref(), Some("not granted"));
    }
}

#[test]
fn a_local_attack_has_two_users_and_no_address() {
    let audits = audits("local-bruteforce-4625-4776.evtx");
    let mut users = BTreeMap::new();
    for (id, audit) in &audits {
        assert_eq!((*id, audit.outcome, audit.action), (4625, Some("failure"), Some("logon")));
        assert_eq!((audit.source.as_deref(), audit.instance.as_deref()), (None, Some("win")));
        assert_eq!(audit.reason.as_deref(), Some("wrong password"));
        *users.entry(audit.user.clone()).or_insert(0) += 1;
    }
    assert_eq!((audits.len(), users.len()), (16, 2));
}

#[test]
fn kerberos_addresses_are_plain() {
    let audits = audits("kerberos-bruteforce-4771.evtx");
    assert_eq!(audits.len(), 54);
    for (id, audit) in audits {
        assert_eq!((id, audit.outcome, audit.action), (4771, Some("failure"), Some("logon")));
        assert_eq!(audit.source.as_deref(), Some("10.23.123.11"));
        assert_eq!(audit.user.as_deref(), Some(r"offsec.lan\admin-hacker"));
        assert_eq!(audit.reason.as_deref(), Some("wrong password"));
    }
}

#[test]
fn kerberos_enumeration_has_37_failures() {
    assert_eq!(numbers("kerberos-user-enumeration-4768-4771.evtx"), BTreeMap::from([(4768, 20), (4771, 22)]));
    let audits = audits("kerberos-user-enumeration-4768-4771.evtx");
    assert_eq!(audits.iter().filter(|(_, audit)| audit.outcome == Some("failure")).count(), 37);
    assert!(audits.iter().all(|(_, audit)| audit.outcome == Some("failure") || audit.reason.is_none()));
}

#[test]
fn unknown_users_are_told_twice() {
    let audits = audits("ssh-unknown-users-4625-4776.evtx");
    for id in [4625, 4776] {
        let failed: Vec<_> = audits.iter().filter(|(number, _)| *number == id).collect();
        assert_eq!(failed.len(), 5, "{id}");
        for (_, audit) in failed {
            assert_eq!((audit.outcome, audit.action), (Some("failure"), Some("logon")), "{id}");
            assert_eq!(audit.reason.as_deref(), Some("user name does not exist"), "{id}");
            assert_eq!(audit.instance.as_deref(), Some("fs01.offsec.lan"), "{id}");
        }
    }
}

#[test]
fn failures_and_successes_of_logons_are_told_apart() {
    let audits = audits("ssh-valid-users-4625-4624.evtx");
    let count = |outcome| {
        let wanted = |audit: &Audit| audit.action == Some("logon") && audit.outcome == Some(outcome);
        audits.iter().filter(|(_, audit)| wanted(audit)).count()
    };
    assert_eq!((count("failure"), count("success")), (5, 2));
}

#[test]
fn ninety_one_logs_are_cleared_by_one_user() {
    assert_eq!(numbers("log-cleared-104-1102.evtx"), BTreeMap::from([(104, 90), (1102, 1)]));
    for (_, audit) in audits("log-cleared-104-1102.evtx") {
        assert_eq!(audit.action, Some("log-cleared"));
        assert_eq!(audit.user.as_deref(), Some(r"offsec\admmig"));
    }
}

#[test]
fn share_events_name_shares_and_what_was_opened() {
    assert_eq!(
        numbers("share-enumeration-5140-5145.evtx"),
        BTreeMap::from([(111, 1), (5140, 30), (5145, 60)])
    );
    let audits = audits("share-enumeration-5140-5145.evtx");
    assert_eq!(audits.len(), 90, "111 is no audit event");
    for (id, audit) in audits {
        assert_eq!(audit.action, Some(if id == 5140 { "share" } else { "open" }));
        assert!(audit.share.is_some() && audit.folder.is_some() && audit.source.is_some(), "{audit:?}");
    }
}

#[test]
fn process_handles_are_no_files() {
    let audits = audits("process-handles-4656-4663-4658-not-files.evtx");
    for (id, audit) in &audits {
        assert_eq!((&audit.file, &audit.folder, &audit.share), (&None, &None, &None), "{id}");
        assert!(!matches!(audit.action, Some("open" | "read" | "write" | "delete" | "permission")), "{id}");
        if [4656, 4663].contains(id) {
            assert_eq!(audit.action, Some("handle"));
        }
    }
    assert_eq!(audits.iter().filter(|(_, audit)| audit.action == Some("handle")).count(), 3, "4690 too");
}

#[test]
fn an_ordinary_server_has_fifteen_failed_logons() {
    let numbers = numbers("mixed-server-security.evtx");
    assert_eq!(numbers[&4625], 15);
    let audits = audits("mixed-server-security.evtx");
    assert_eq!(audits.len(), 636);
    let failed = |audit: &Audit| audit.action == Some("logon") && audit.outcome == Some("failure");
    assert_eq!(audits.iter().filter(|(id, audit)| *id == 4625 && failed(audit)).count(), 15);
}

#[test]
fn noise_is_named() {
    let rows: [(&str, &[(&str, usize)]); 5] = [
        ("denied-file-opens-4656.evtx", &[]),
        ("share-enumeration-5140-5145.evtx", &[("not-a-file", 78)]),
        ("process-handles-4656-4663-4658-not-files.evtx", &[("machine-account", 1), ("not-a-file", 3)]),
        ("ssh-valid-users-4625-4624.evtx", &[("machine-account", 4), ("system-account", 1)]),
        (
            "mixed-server-security.evtx",
            &[("anonymous", 12), ("loopback", 23), ("machine-account", 292), ("system-account", 184)],
        ),
    ];
    for (name, expected) in rows {
        let mut noise = BTreeMap::new();
        for (_, audit) in audits(name) {
            if let Some(kind) = audit.noise {
                assert!(NOISE.contains(&kind), "{kind}");
                *noise.entry(kind).or_insert(0) += 1;
            }
        }
        assert_eq!(noise, expected.iter().copied().collect(), "{name}");
    }
}

#[test]
fn a_cleared_log_is_told_by_its_name() {
    let audits = audits("log-cleared-104-1102.evtx");
    let channels: Vec<_> = audits.iter().filter_map(|(_, audit)| audit.channel.as_deref()).collect();
    assert_eq!(channels.len(), 91);
    assert!(channels.contains(&"security") && channels.contains(&"forwardedevents"), "{channels:?}");
}

#[test]
fn every_event_has_one_line_of_plain_words() {
    for (name, _) in FILES {
        for record in records(name) {
            let line =
                WindowsEvent::read(&record.xml).and_then(|event| event.describe()).expect("has a line");
            assert!(!line.is_empty() && !line.chars().any(char::is_control), "{line:?}");
            assert!(!line.contains("%%"), "{line}");
        }
    }
}

#[test]
fn reading_resumes_behind_any_record() {
    let name = "mixed-server-security.evtx";
    let all = records(name);
    for at in [0, 1, 99, 100, 300, all.len() - 1] {
        let mut reader = Reader::open(&path(name)).expect("the file is there");
        reader.skip_to(all[at].next);
        assert_eq!(reader.collect::<Vec<_>>(), all[at + 1..], "behind record {at}");
    }
    let mut reader = Reader::open(&path(name)).expect("the file is there");
    reader.skip_to(Position { chunk: u64::MAX, record: 0 });
    assert_eq!(reader.next(), None);
}

/// The bytes of a recorded file.
#[expect(clippy::disallowed_methods, reason = "a fixture of known size")]
fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("the file is there")
}

fn read(bytes: Vec<u8>) -> (Vec<Record>, Counts) {
    let mut reader = Reader::new(Cursor::new(bytes)).expect("begins as a log");
    let records: Vec<_> = reader.by_ref().collect();
    (records, reader.counts())
}

const CHUNK: usize = 65_536;
const HEADER: usize = 4_096;

#[test]
fn a_destroyed_chunk_is_counted_and_stepped_over() {
    let name = "mixed-server-security.evtx";
    let all = records(name);
    let mut broken = bytes(name);
    broken[HEADER + CHUNK..HEADER + CHUNK + 8].copy_from_slice(b"Destroy!");
    let (rest, counts) = read(broken);
    assert_eq!((counts.chunks_damaged, counts.records), (1, rest.len() as u64));
    assert!(rest.len() < all.len() && rest.len() > all.len() / 2);
    assert!(rest.iter().all(|record| all.contains(record)));
}

#[test]
fn a_file_that_was_cut_gives_its_whole_chunks() {
    let name = "mixed-server-security.evtx";
    let mut cut = bytes(name);
    cut.truncate(HEADER + 2 * CHUNK + 100);
    let (rest, counts) = read(cut);
    assert_eq!(counts.chunks_damaged, 1);
    assert!(!rest.is_empty());
}

#[test]
fn an_overwritten_record_is_counted_and_the_others_are_given() {
    let name = "kerberos-bruteforce-4771.evtx";
    let mut broken = bytes(name);
    let second = broken[HEADER + 512 + 4..].windows(4).position(|window| window == b"**\0\0");
    let at = HEADER + 512 + 4 + second.expect("has a second record");
    broken[at..at + 24].fill(0xff);
    let (rest, counts) = read(broken);
    assert_eq!((rest.len(), counts.records_damaged), (53, 1));
    assert_eq!(counts.chunks_unsealed, 1);
}

#[test]
fn a_log_that_went_round_begins_with_its_oldest_record() {
    let name = "mixed-server-security.evtx";
    let all = records(name);
    let mut turned = bytes(name);
    let used = 1 + usize::try_from(all.last().expect("has records").next.chunk).expect("few chunks");
    turned.truncate(HEADER + used * CHUNK);
    turned[HEADER..].rotate_left(CHUNK);
    let (rest, _) = read(turned);
    assert_eq!(rest, all);
}

#[test]
fn what_is_no_log_is_refused() {
    for bytes in [Vec::new(), b"ElfFile\0".to_vec(), vec![0; 10_000]] {
        assert!(matches!(Reader::new(Cursor::new(bytes)), Err(evtx::OpenError::NotEvtx)));
    }
    assert!(matches!(Reader::open(&path("missing.evtx")), Err(evtx::OpenError::Io(_))));
    let mut empty = vec![0; HEADER];
    empty[..8].copy_from_slice(b"ElfFile\0");
    assert_eq!(read(empty), (Vec::new(), Counts::default()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_broken_anywhere_is_read_without_panic(
        breaks in prop::collection::vec((HEADER..HEADER + CHUNK, any::<u8>()), 1..40),
        length in HEADER..HEADER + CHUNK + 1,
    ) {
        let mut broken = bytes("denied-file-opens-4656.evtx");
        for (at, byte) in breaks {
            broken[at] = byte;
        }
        let (records, counts) = read(broken.clone());
        prop_assert_eq!(counts.records, records.len() as u64);
        broken.truncate(length);
        read(broken);
    }
}
