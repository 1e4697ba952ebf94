/*! What selectors reach in a Windows event. */

use super::*;
use crate::sample;

/// `a.b[0].*` as steps; `[*]` as a step of its own.
fn selector(path: &str) -> Selector {
    let mut steps = Vec::new();
    for part in path.replace('[', ".[").split('.').filter(|part| !part.is_empty()) {
        steps.push(match part {
            "*" => Step::Any { brackets: false },
            "[*]" => Step::Any { brackets: true },
            _ => match part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
                Some(index) => Step::Index(index.parse().expect("an index")),
                None => Step::Name(part.to_owned()),
            },
        });
    }
    Selector { steps }
}

fn reached(reader: &dyn FieldReader, message: &str, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let fields = reader.read(message).expect("a known dialect");
    fields.visit(&selector(path), &mut |value| {
        found.push(match value {
            Value::Text(text) => format!("text {text}"),
            Value::Number { number, text } => format!("number {number} {text}"),
            other => format!("{other:?}"),
        });
    });
    found
}

fn message() -> String {
    let data = [
        ("SubjectUserName", "Ann"),
        ("ObjectName", r"\Device\HarddiskVolume16\share\secret\Plan &amp; Budget.doc"),
        ("AccessMask", "0x1"),
        ("LogonType", "3"),
        ("KeyLength", "007"),
        ("Empty", ""),
        ("Nothing", "-"),
        ("New Value", "blank"),
        ("Channel", "hidden"),
    ];
    sample::security(4656, sample::FAILURE, &data)
}

#[test]
fn flat_names_reach_their_values() {
    let rows = [
        ("EventID", "number 4656 4656"),
        ("EventRecordID", "number 694674 694674"),
        ("Keywords", "text 0x8010000000000000"),
        ("Channel", "text Security"),
        ("Computer", "text FS01.Corp.Example"),
        ("TimeCreated", "text 2019-05-05T23:12:37.349476100Z"),
        ("TimeCreated_SystemTime", "text 2019-05-05T23:12:37.349476100Z"),
        ("Provider", "text Microsoft-Windows-Security-Auditing"),
        ("ProviderName", "text Microsoft-Windows-Security-Auditing"),
        ("Provider_Name", "text Microsoft-Windows-Security-Auditing"),
        ("ProcessID", "number 804 804"),
        ("ThreadID", "number 1080 1080"),
        ("ActivityID", "text {00000000-1111-2222-3333-444444444444}"),
        ("SubjectUserName", "text Ann"),
        ("ObjectName", r"text \Device\HarddiskVolume16\share\secret\Plan & Budget.doc"),
        ("AccessMask", "text 0x1"),
        ("LogonType", "number 3 3"),
        ("KeyLength", "text 007"),
        ("Empty", "text "),
        ("Nothing", "text -"),
        ("New Value", "text blank"),
        ("NewValue", "text blank"),
    ];
    for (path, expected) in rows {
        assert_eq!(reached(&WindowsReader, &message(), path), [expected], "{path}");
    }
}

#[test]
fn sections_may_be_named() {
    let rows = [
        ("System.EventID", "number 4656 4656"),
        ("Event.System.EventID", "number 4656 4656"),
        ("System.Execution.ProcessID", "number 804 804"),
        ("EventData.SubjectUserName", "text Ann"),
        ("Event.EventData.SubjectUserName", "text Ann"),
        ("EventData.Channel", "text hidden"),
        ("Event", "Object"),
        ("System", "Object"),
        ("EventData", "Object"),
    ];
    for (path, expected) in rows {
        assert_eq!(reached(&WindowsReader, &message(), path), [expected], "{path}");
    }
    assert_eq!(reached(&WindowsReader, &message(), "EventData.*").len(), 9);
    assert_eq!(reached(&WindowsReader, &message(), "System[*]").len(), 16);
    assert_eq!(reached(&WindowsReader, &message(), "*").len(), 25);
}

#[test]
fn what_is_not_there_is_not_reached() {
    let paths = [
        "NotThere",
        "eventid",
        "UserData",
        "RenderingInfo",
        "System.SubjectUserName",
        "EventData.EventID",
        "EventID.x",
        "EventID[0]",
        "SubjectUserName.x",
        "Data",
        "Data1",
        "Data0",
        "Data[0]",
        "[0]",
        "Event.Audit.User",
        "Audit.File.x",
        "Audit.Nothing",
        "System.Provider",
    ];
    for path in paths {
        assert_eq!(reached(&WindowsReader, &message(), path), [""; 0], "{path}");
    }
}

#[test]
fn the_meaning_is_reached_as_audit() {
    let rows = [
        ("Audit", "Object"),
        ("Audit.Outcome", "text failure"),
        ("Audit.Action", "text open"),
        ("Audit.User", "text ann"),
        ("Audit.Share", "text share"),
        ("Audit.Folder", r"text \secret"),
        ("Audit.File", "text plan & budget.doc"),
        ("Audit.Path[1]", "text secret"),
        ("Audit.Access[0]", "text ReadData"),
        ("Audit.Access[*]", "text ReadData"),
    ];
    for (path, expected) in rows {
        assert_eq!(reached(&WindowsReader, &message(), path), [expected], "{path}");
    }
}

#[test]
fn values_without_a_name_are_an_array() {
    let message = "<Event><System/><EventData><Data>one</Data><Data>2</Data></EventData></Event>";
    let read = |path| reached(&WindowsReader, message, path);
    assert_eq!(read("Data"), ["Array { holds_null: false }"]);
    assert_eq!(read("Data[1]"), ["number 2 2"]);
    assert_eq!(read("Data[*]"), ["text one", "number 2 2"]);
    assert_eq!(read("EventData.Data[0]"), ["text one"]);
    assert_eq!(read("Data1"), ["text one"]);
    assert_eq!(read("Data2"), ["number 2 2"]);
    assert_eq!(read("Data3"), [""; 0]);
}

#[test]
fn user_data_is_flat_and_nested() {
    let message = "<Event><System><EventID>1102</EventID></System><UserData><LogFileCleared xmlns='u'><SubjectUserName>Ann</SubjectUserName></LogFileCleared></UserData></Event>";
    for path in ["SubjectUserName", "UserData.SubjectUserName", "UserData.LogFileCleared.SubjectUserName"] {
        assert_eq!(reached(&WindowsReader, message, path), ["text Ann"], "{path}");
    }
}

#[test]
fn numbers_are_plain_decimals() {
    for (text, number) in [
        ("0", 0.0),
        ("7", 7.0),
        ("-7", -7.0),
        ("4625", 4625.0),
        ("-9218868437227405312", -9.218868437227405e18),
    ] {
        assert_eq!(plain_number(text), Some(number), "{text}");
    }
    for text in [
        "",
        "-",
        "00",
        "007",
        "-0x1",
        "+7",
        "1.0",
        "1e3",
        " 7",
        "7 ",
        "0x10",
        "inf",
        "NaN",
        "-0",
        "123456789012345678901",
    ] {
        assert_eq!(plain_number(text), None, "{text}");
    }
}

#[test]
fn each_dialect_is_known_by_its_first_character() {
    let xml = format!("\u{feff}\r\n{}", message());
    assert_eq!(reached(&DialectReader, &xml, "EventID"), ["number 4656 4656"]);
    assert_eq!(reached(&DialectReader, r#" {"EventID":4656}"#, "EventID"), ["number 4656 4656"]);
    for other in ["", "  ", "ERROR plain text", "<html></html>", "[1]", "{broken"] {
        assert!(DialectReader.read(other).is_none(), "{other}");
    }
}

#[test]
fn the_parts_that_others_ask_for() {
    let message = message();
    let event = WindowsEvent::read(&message).expect("an event");
    assert_eq!((event.event_id(), event.record_id()), (Some(4656), Some(694_674)));
    assert_eq!(event.computer().as_deref(), Some("FS01.Corp.Example"));
    assert_eq!(event.channel().as_deref(), Some("Security"));
    assert_eq!(event.time(), Some(Timestamp::from_millis(1_557_097_957_349)));
    let bare =
        WindowsEvent::read("<Event><System><Computer> </Computer></System></Event>").expect("an event");
    assert_eq!((bare.event_id(), bare.record_id(), bare.computer(), bare.time()), (None, None, None, None));
}

#[test]
fn times_have_seven_or_nine_digits_or_none() {
    for fraction in ["", ".349", ".3494761", ".349476100"] {
        let message = format!(
            "<Event><System><TimeCreated SystemTime='2019-05-05T23:12:37{fraction}Z'/></System></Event>"
        );
        let time = WindowsEvent::read(&message).expect("an event").time().expect("has a time");
        assert_eq!(time.second(), 1_557_097_957, "{fraction}");
    }
}
