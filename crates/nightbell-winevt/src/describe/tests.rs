/*! Events in plain words. */

use nightbell_core::fields::Fields;

use super::*;
use crate::WindowsEvent;
use crate::sample::{self, ANN, FAILURE, SUCCESS};

fn words(id: u32, keywords: &str, data: &[(&str, &str)]) -> String {
    line_of(&sample::security(id, keywords, data))
}

fn line_of(message: &str) -> String {
    WindowsEvent::read(message).expect("an event").describe().expect("a Windows event has a line")
}

const FILE: [(&str, &str); 2] =
    [("ObjectType", "File"), ("ObjectName", r"\Device\HarddiskVolume16\share\secret\x.doc")];
const BOB: [(&str, &str); 2] = [("TargetUserName", "Bob"), ("TargetDomainName", "CORP")];

fn joined(parts: &[&[(&'static str, &'static str)]]) -> Vec<(&'static str, &'static str)> {
    parts.concat()
}

#[test]
fn files_say_who_did_what_where() {
    let rows = [
        (
            4656,
            FAILURE,
            "0x100080",
            r"corp\ann was denied SYNCHRONIZE, ReadAttributes on \share\secret\x.doc at fs01.corp.example",
        ),
        (4656, SUCCESS, "0x1", r"corp\ann opened \share\secret\x.doc for ReadData at fs01.corp.example"),
        (4663, SUCCESS, "0x1", r"corp\ann read \share\secret\x.doc at fs01.corp.example"),
        (4663, SUCCESS, "0x2", r"corp\ann wrote \share\secret\x.doc at fs01.corp.example"),
        (4663, SUCCESS, "0x10000", r"corp\ann deleted \share\secret\x.doc at fs01.corp.example"),
        (4670, SUCCESS, "-", r"corp\ann changed the permissions of \share\secret\x.doc at fs01.corp.example"),
    ];
    for (id, keywords, mask, expected) in rows {
        let data = joined(&[&ANN, &FILE, &[("AccessMask", mask)]]);
        assert_eq!(words(id, keywords, &data), expected);
    }
    let unnamed = r"corp\ann deleted an object that the event does not name at fs01.corp.example";
    assert_eq!(words(4660, SUCCESS, &ANN), unnamed);
}

#[test]
fn a_reason_says_which_rights_were_refused() {
    let reason = "%%1541: %%1805%%4423: %%1811 D:(A;OICIID;0x1301bf;;;AU)";
    let data = joined(&[&ANN, &FILE, &[("AccessMask", "0x100080"), ("AccessReason", reason)]]);
    let expected = r"corp\ann was denied SYNCHRONIZE, ReadAttributes on \share\secret\x.doc (refused: SYNCHRONIZE) at fs01.corp.example";
    assert_eq!(words(4656, FAILURE, &data), expected);
}

#[test]
fn logons_say_who_where_from_where_and_why() {
    let data = joined(&[&BOB, &[("SubStatus", "0xc000006a"), ("LogonType", "3"), ("IpAddress", "10.0.0.5")]]);
    assert_eq!(
        words(4625, FAILURE, &data),
        r"corp\bob failed to log on to fs01.corp.example from 10.0.0.5: wrong password (Network)"
    );
    let data = joined(&[&BOB, &[("LogonType", "10"), ("IpAddress", "10.0.0.5")]]);
    assert_eq!(
        words(4624, SUCCESS, &data),
        r"corp\bob logged on to fs01.corp.example from 10.0.0.5 (RemoteInteractive)"
    );
    assert_eq!(words(4634, SUCCESS, &BOB), r"corp\bob logged off from fs01.corp.example");
}

#[test]
fn accounts_and_groups_say_what_was_done_to_whom() {
    type Row<'a> = (u32, &'a [(&'static str, &'static str)], &'a str);
    let rows: [Row<'_>; 7] = [
        (4720, &BOB, r"corp\ann created the account bob at fs01.corp.example"),
        (4726, &BOB, r"corp\ann deleted the account bob at fs01.corp.example"),
        (4724, &BOB, r"corp\ann reset the password of bob at fs01.corp.example"),
        (
            4732,
            &[("MemberSid", "S-1-5-21-9"), ("TargetUserName", "Administrators")],
            r"corp\ann added S-1-5-21-9 to the group administrators at fs01.corp.example",
        ),
        (
            4733,
            &[("MemberName", "CN=Bob"), ("TargetUserName", "Users")],
            r"corp\ann removed CN=Bob from the group users at fs01.corp.example",
        ),
        (
            4719,
            &[("AuditPolicyChanges", "%%8448")],
            r"corp\ann changed the audit policy of fs01.corp.example: success auditing removed",
        ),
        (4767, &BOB, r"corp\bob was unlocked by ann at fs01.corp.example"),
    ];
    for (id, data, expected) in rows {
        assert_eq!(words(id, SUCCESS, &joined(&[&ANN, data])), expected);
    }
}

#[test]
fn lockouts_cleared_logs_shares_and_handles() {
    let data = [("TargetUserName", "Bob"), ("TargetDomainName", "WKS7")];
    assert_eq!(
        words(4740, SUCCESS, &data),
        "bob was locked out after attempts from wks7, told by fs01.corp.example"
    );
    let cleared = sample::event("Microsoft-Windows-Eventlog", 1102, "0x4020000000000000", &ANN);
    assert_eq!(line_of(&cleared), r"corp\ann cleared the log Security at fs01.corp.example");
    let data = joined(&[&ANN, &[("ShareName", r"\\*\Share"), ("IpAddress", "::ffff:10.0.0.9")]]);
    assert_eq!(
        words(5140, SUCCESS, &data),
        r"corp\ann connected to the share \share from 10.0.0.9 at fs01.corp.example"
    );
    assert_eq!(
        words(5140, FAILURE, &data),
        r"corp\ann was refused the share \share from 10.0.0.9 at fs01.corp.example"
    );
    let data = joined(&[
        &ANN,
        &[("ObjectType", "Process"), ("ObjectName", r"C:\lsass.exe"), ("AccessMask", "0x10")],
    ]);
    assert_eq!(
        words(4656, FAILURE, &data),
        r"corp\ann was denied access on the process C:\lsass.exe at fs01.corp.example"
    );
}

#[test]
fn other_events_have_their_number() {
    assert_eq!(words(4907, SUCCESS, &ANN), r"event 4907 by corp\ann on fs01.corp.example");
    let other = sample::event("Service Control Manager", 7036, "0x80", &[]);
    assert_eq!(line_of(&other), "event 7036 of Service Control Manager on fs01.corp.example");
    assert_eq!(line_of("<Event/>"), "event without number");
    assert_eq!(
        words(4656, FAILURE, &[]),
        "somebody was denied access on an object that the event does not name at fs01.corp.example"
    );
}

#[test]
fn hostile_names_cannot_leave_the_line() {
    let name = "a\u{1b}[31m&#10;b\r\n\u{202e}gnp.exe\u{2028}&#x7;c";
    let long = "x".repeat(10_000);
    let data = [("TargetUserName", name), ("IpAddress", &long), ("SubStatus", "0xc000006a")];
    let line = words(4625, FAILURE, &data);
    assert!(!line.chars().any(is_harmful), "{line:?}");
    assert!(line.starts_with("a\u{fffd}[31m\u{fffd}b"), "{line:?}");
    assert!(line.len() < 4 * NAME_BYTES_MAX, "{}", line.len());
    assert!(line.ends_with("…: wrong password"), "{line:?}");
}
