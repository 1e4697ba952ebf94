/*! What each kind of audit event means, by rows. */

use nightbell_core::fields::{Audit, Fields};

use crate::WindowsEvent;
use crate::sample::{self, ANN, FAILURE, SUCCESS};

fn audit(message: &str) -> Option<Audit> {
    WindowsEvent::read(message).expect("an event").audit().cloned()
}

fn security(id: u32, keywords: &str, data: &[(&str, &str)]) -> Audit {
    audit(&sample::security(id, keywords, data)).expect("an audit event")
}

fn with_ann(data: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    ANN.iter().chain(data).copied().collect()
}

const SECRET: &str = r"\Device\HarddiskVolume16\share\secret\Roadmap_Do_Not_Share.doc";

#[test]
fn a_denied_file_is_told_in_full() {
    let data = with_ann(&[
        ("ObjectServer", "Security"),
        ("ObjectType", "File"),
        ("ObjectName", SECRET),
        ("AccessList", "%%1541%%4423"),
        ("AccessReason", "%%1541: %%1805%%4423: %%1811 D:(A;OICIID;0x1301bf;;;AU)"),
        ("AccessMask", "0x100080"),
        ("ProcessId", "0x4"),
        ("ProcessName", ""),
    ]);
    let expected = Audit {
        outcome: Some("failure"),
        action: Some("open"),
        user: Some(r"corp\ann".to_owned()),
        instance: Some("fs01.corp.example".to_owned()),
        source: None,
        share: Some("share".to_owned()),
        folder: Some(r"\secret".to_owned()),
        file: Some("roadmap_do_not_share.doc".to_owned()),
        path: vec!["share".to_owned(), "secret".to_owned()],
        access: vec!["SYNCHRONIZE", "ReadAttributes"],
        reason: Some("not granted".to_owned()),
        logon_type: None,
        process: None,
        channel: Some("security".to_owned()),
        noise: None,
    };
    assert_eq!(security(4656, FAILURE, &data), expected);
}

#[test]
fn a_failed_logon_is_told_in_full() {
    let data = [
        ("SubjectUserSid", "S-1-0-0"),
        ("SubjectUserName", "-"),
        ("SubjectDomainName", "-"),
        ("TargetUserSid", "S-1-0-0"),
        ("TargetUserName", "ADMINISTRATOR"),
        ("TargetDomainName", ""),
        ("Status", "0xc000006d"),
        ("FailureReason", "%%2313"),
        ("SubStatus", "0xc000006a"),
        ("LogonType", "3"),
        ("WorkstationName", "-"),
        ("ProcessName", "-"),
        ("IpAddress", "146.56.6.166"),
    ];
    let expected = Audit {
        outcome: Some("failure"),
        action: Some("logon"),
        user: Some("administrator".to_owned()),
        instance: Some("fs01.corp.example".to_owned()),
        source: Some("146.56.6.166".to_owned()),
        reason: Some("wrong password".to_owned()),
        logon_type: Some("Network"),
        channel: Some("security".to_owned()),
        ..Audit::default()
    };
    assert_eq!(security(4625, FAILURE, &data), expected);
}

#[test]
fn the_right_used_is_the_action_of_4663() {
    let rows = [
        ("0x10000", "delete"),
        ("0x40", "delete"),
        ("0x10002", "delete"),
        ("0x40000", "permission"),
        ("0x80002", "permission"),
        ("0x6", "write"),
        ("0x100", "write"),
        ("0x1", "read"),
        ("0x20", "read"),
        ("0x80", "read"),
        ("0x20000", "read"),
        ("0x100000", "open"),
        ("0x0", "open"),
        ("-", "open"),
    ];
    for (mask, expected) in rows {
        let data = with_ann(&[("ObjectType", "File"), ("ObjectName", SECRET), ("AccessMask", mask)]);
        assert_eq!(security(4663, SUCCESS, &data).action, Some(expected), "{mask}");
    }
    let data =
        with_ann(&[("ObjectType", "File"), ("ObjectName", SECRET), ("AccessList", "%%1537\n\t\t\t\t")]);
    let audit = security(4663, SUCCESS, &data);
    assert_eq!((audit.action, audit.access), (Some("delete"), vec!["DELETE"]));
}

#[test]
fn handles_that_are_no_files_are_kept_apart() {
    let objects = [
        ("Process", r"\Device\HarddiskVolume4\Windows\System32\lsass.exe"),
        ("Key", r"\REGISTRY\MACHINE\SAM"),
        ("Token", "-"),
        ("File", r"\Device\NamedPipe\lsass"),
    ];
    for (kind, name) in objects {
        for id in [4656, 4659, 4663, 4670] {
            let data = with_ann(&[("ObjectType", kind), ("ObjectName", name), ("AccessMask", "0x10")]);
            let audit = security(id, FAILURE, &data);
            assert_eq!(audit.action, Some("handle"), "{id} {kind}");
            assert_eq!((audit.share, audit.folder, audit.file), (None, None, None), "{id} {kind}");
            assert!(audit.path.is_empty(), "{id} {kind}");
        }
    }
}

#[test]
fn registry_keys_have_rights_of_their_own() {
    let data = with_ann(&[
        ("ObjectType", "Key"),
        ("ObjectName", r"\REGISTRY\MACHINE\SAM"),
        ("AccessMask", "0x20019"),
    ]);
    let access = security(4656, SUCCESS, &data).access;
    assert_eq!(access, ["READ_CONTROL", "QueryValue", "EnumerateSubKeys", "Notify"]);
}

#[test]
fn event_numbers_have_actions() {
    let rows: [(&[u32], &str); 21] = [
        (&[4624, 4625, 4768, 4769, 4771, 4776], "logon"),
        (&[4648], "explicit-logon"),
        (&[4634, 4647], "logoff"),
        (&[4778, 4779], "session"),
        (&[4672, 4673, 4674, 4964], "privilege"),
        (&[4656, 5145], "open"),
        (&[4659, 4660], "delete"),
        (&[4670], "permission"),
        (&[4658], "close"),
        (&[4664], "link"),
        (&[4661, 4662, 4690], "handle"),
        (&[5140, 5168], "share"),
        (&[5142, 5143, 5144], "share-changed"),
        (&[4740], "lockout"),
        (&[4767], "unlock"),
        (&[4719, 4907, 4739, 4817], "policy"),
        (&[4720, 4722, 4723, 4724, 4725, 4726, 4738, 4741, 4781], "account"),
        (&[4728, 4729, 4732, 4733, 4735, 4756, 4757, 4764], "group"),
        (&[1102], "log-cleared"),
        (&[1100], "log-stopped"),
        (&[1104], "log-full"),
    ];
    for (ids, action) in rows {
        for id in ids {
            let provider =
                if *id < 2000 { "Microsoft-Windows-Eventlog" } else { "Microsoft-Windows-Security-Auditing" };
            let audit = audit(&sample::event(provider, *id, SUCCESS, &ANN)).expect("an audit event");
            assert_eq!(audit.action, Some(action), "{id}");
        }
    }
}

#[test]
fn a_number_means_something_with_its_provider_only() {
    for (provider, id) in
        [("MsiInstaller", 1102), ("MsiInstaller", 4625), ("Microsoft-Windows-Eventlog", 4625)]
    {
        assert_eq!(audit(&sample::event(provider, id, "0x80000000000000", &ANN)), None, "{provider} {id}");
    }
    let other = audit(&sample::event("AD FS Auditing", 411, FAILURE, &ANN)).expect("bears an audit keyword");
    assert_eq!((other.outcome, other.action), (Some("failure"), None));
    assert_eq!(other.user.as_deref(), Some(r"corp\ann"));
    let bare =
        audit("<Event xmlns=''><System><EventID>4656</EventID></System></Event>").expect("known number");
    assert_eq!((bare.outcome, bare.action), (None, Some("open")));
}

#[test]
fn a_cleared_log_comes_from_user_data() {
    let message = "<Event><System><Provider Name='Microsoft-Windows-Eventlog'/><EventID>1102</EventID><Keywords>0x4020000000000000</Keywords><Computer>DC1</Computer></System><UserData><LogFileCleared xmlns='http://manifests.microsoft.com/win/2004/08/windows/eventlog'><SubjectUserName>Ann</SubjectUserName><SubjectDomainName>CORP</SubjectDomainName></LogFileCleared></UserData></Event>";
    let audit = audit(message).expect("an audit event");
    assert_eq!((audit.outcome, audit.action), (Some("success"), Some("log-cleared")));
    assert_eq!(audit.user.as_deref(), Some(r"corp\ann"));
}

#[test]
fn rendered_words_count_only_without_a_number() {
    let rendered = |keywords: &str, word: &str| {
        let message = sample::security(4719, keywords, &ANN).replace(
            "</Event>",
            &format!("<RenderingInfo Culture='en-US'><Message>Failure added</Message><Keywords><Keyword>{word}</Keyword></Keywords></RenderingInfo></Event>"),
        );
        audit(&message).expect("an audit event").outcome
    };
    assert_eq!(rendered(SUCCESS, "Audit Failure"), Some("success"));
    assert_eq!(rendered(FAILURE, "Überwachung gescheitert"), Some("failure"));
    assert_eq!(rendered("0x0", "Audit Failure"), None);
    assert_eq!(rendered("", "Audit Failure"), Some("failure"));
    assert_eq!(rendered("Audit Failure", "Audit Success"), Some("failure"));
}

#[test]
fn reasons_are_decoded() {
    type Row<'a> = (u32, &'a [(&'a str, &'a str)], Option<&'a str>);
    let rows: [Row<'_>; 13] = [
        (4625, &[("Status", "0xc000006d"), ("SubStatus", "0xC000006A")], Some("wrong password")),
        (4625, &[("Status", "0xc0000234"), ("SubStatus", "0x0")], Some("account locked out")),
        (4625, &[("Status", "0xc000006d"), ("SubStatus", "0xc0000064")], Some("user name does not exist")),
        (4625, &[("Status", "-"), ("FailureReason", "%%2310")], Some("account disabled")),
        (4625, &[("Status", "0xc0009999"), ("SubStatus", "0x0")], Some("0xc0009999")),
        (4771, &[("Status", "0x18")], Some("wrong password")),
        (4771, &[("Status", "0x12")], Some("account disabled, expired or locked out")),
        (4768, &[("Status", "0x0")], None),
        (4768, &[("Status", "0x6")], Some("user name does not exist")),
        (4776, &[("Status", "0xc0000064")], Some("user name does not exist")),
        (4776, &[("Status", "0x0")], None),
        (
            4719,
            &[("AuditPolicyChanges", "%%8448, %%8450")],
            Some("success auditing removed, failure auditing removed"),
        ),
        (4656, &[("AccessReason", "-")], None),
    ];
    for (id, data, expected) in rows {
        assert_eq!(security(id, FAILURE, data).reason.as_deref(), expected, "{id} {data:?}");
    }
}

#[test]
fn users_and_sources_are_those_concerned() {
    type Row<'a> = (u32, &'a [(&'a str, &'a str)], Option<&'a str>, Option<&'a str>);
    let rows: [Row<'_>; 8] = [
        (
            4771,
            &[
                ("TargetUserName", "Bob"),
                ("ServiceName", "krbtgt/CORP.EXAMPLE"),
                ("IpAddress", "::ffff:10.0.0.9"),
            ],
            Some(r"corp.example\bob"),
            Some("10.0.0.9"),
        ),
        (
            4769,
            &[
                ("TargetUserName", "Bob@CORP.EXAMPLE"),
                ("TargetDomainName", "CORP.EXAMPLE"),
                ("ServiceName", "FS01$"),
                ("IpAddress", "::1"),
            ],
            Some(r"corp.example\bob"),
            Some("::1"),
        ),
        (4776, &[("TargetUserName", "Bob"), ("Workstation", r"\\WKS7")], Some("bob"), Some("wks7")),
        (
            4740,
            &[
                ("TargetUserName", "Bob"),
                ("TargetDomainName", "WKS7"),
                ("SubjectUserName", "DC1$"),
                ("SubjectDomainName", "CORP"),
            ],
            Some("bob"),
            Some("wks7"),
        ),
        (
            4767,
            &[("TargetUserName", "Bob"), ("TargetDomainName", "CORP"), ("SubjectUserName", "Ann")],
            Some(r"corp\bob"),
            None,
        ),
        (
            4720,
            &[("TargetUserName", "Bob"), ("SubjectUserName", "Ann"), ("SubjectDomainName", "CORP")],
            Some(r"corp\ann"),
            None,
        ),
        (
            4779,
            &[("AccountName", "Bob"), ("AccountDomain", "CORP"), ("ClientAddress", "10.0.0.9")],
            Some(r"corp\bob"),
            Some("10.0.0.9"),
        ),
        (
            4625,
            &[("TargetUserName", "Bob"), ("WorkstationName", "WKS7"), ("IpAddress", "-")],
            Some("bob"),
            None,
        ),
    ];
    for (id, data, user, source) in rows {
        let audit = security(id, SUCCESS, data);
        assert_eq!(audit.user.as_deref(), user, "{id}");
        assert_eq!(audit.source.as_deref(), source, "{id}");
    }
}

#[test]
fn share_events_name_share_and_file() {
    let data = with_ann(&[
        ("ObjectType", "File"),
        ("IpAddress", "10.0.0.9"),
        ("ShareName", r"\\*\demoshare01"),
        ("ShareLocalPath", r"\??\D:\demoshare01"),
        ("RelativeTargetName", r"Plans\Desktop.ini"),
        ("AccessMask", "0x100081"),
    ]);
    let audit = security(5145, FAILURE, &data);
    assert_eq!((audit.outcome, audit.action), (Some("failure"), Some("open")));
    assert_eq!(audit.share.as_deref(), Some("demoshare01"));
    assert_eq!(audit.folder.as_deref(), Some(r"\plans"));
    assert_eq!(audit.file.as_deref(), Some("desktop.ini"));
    assert_eq!(audit.source.as_deref(), Some("10.0.0.9"));
}

#[test]
fn d16_a_4663_marked_as_failure_is_read_as_it_says() {
    let data = with_ann(&[("ObjectType", "File"), ("ObjectName", SECRET), ("AccessMask", "0x1")]);
    let audit = security(4663, FAILURE, &data);
    assert_eq!((audit.outcome, audit.action), (Some("failure"), Some("read")));
}

#[test]
fn an_empty_computer_is_no_instance() {
    let message = sample::security(4656, FAILURE, &ANN).replace("FS01.Corp.Example", "");
    assert_eq!(audit(&message).expect("an audit event").instance, None);
}
