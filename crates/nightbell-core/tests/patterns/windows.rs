//! Substring recipes over Windows Security events: what they find, and what they find wrongly.

use super::{Row, check_table};

/// A raw Security event; `data` is its EventData.
fn event(id: u32, keywords: &str, record: u64, data: &str, rendering: &str) -> String {
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='Microsoft-Windows-Security-Auditing' Guid='{{54849625-5478-4994-A5BA-3E3B0328C30D}}'/>\
         <EventID>{id}</EventID><Version>1</Version><Level>0</Level><Keywords>{keywords}</Keywords>\
         <EventRecordID>{record}</EventRecordID><Channel>Security</Channel><Computer>FS01</Computer></System>\
         <EventData>{data}</EventData>{rendering}</Event>"
    )
}

fn rendering(keyword: &str, message: &str) -> String {
    format!(
        "<RenderingInfo Culture='en-US'><Message>{message}</Message>\
         <Keywords><Keyword>{keyword}</Keyword></Keywords></RenderingInfo>"
    )
}

const SECRET: &str = r"<Data Name='ObjectName'>\Device\HarddiskVolume16\share\secret\roadmap_do_not_share.doc</Data><Data Name='AccessList'>%%1541%%4423</Data><Data Name='AccessMask'>0x100080</Data>";
const PUBLIC: &str =
    r"<Data Name='ObjectName'>\share\public\a.txt</Data><Data Name='AccessList'>%%4416</Data>";
const LOGON: &str = "<Data Name='TargetUserName'>ann</Data><Data Name='FailureReason'>%%2313</Data>\
     <Data Name='SubStatus'>0xc000006a</Data>";

#[test]
fn recipes() {
    let denied = "0x8010000000000000";
    let granted = "0x8020000000000000";
    let w1 = event(4656, denied, 294_054, SECRET, "");
    let w2 = event(
        4656,
        denied,
        294_054,
        SECRET,
        &rendering("Audit Failure", "A handle to an object was requested."),
    );
    let w3 = "[Security] [INFORMATION] [4656] [Microsoft-Windows-Security-Auditing] [HOST] \
              [A handle to an object was requested. Object Name: \\share\\secret\\x.doc]";
    let w4 = event(4663, granted, 146_560, PUBLIC, "");
    let w5 = event(4719, granted, 300, "", &rendering("Audit Success", "Changes: Failure added"));
    let w6 = event(4625, denied, 301, LOGON, "");
    let rows: [Row; 11] = [
        ("X01, W3 because its text holds the path", "\"4656\" \"secret\"", "1, 2, 3"),
        ("X02, the record id of W4", "\"4656\"", "1, 2, 3, 4"),
        ("X03, contains `Failure`", "Audit Failure", "2, 5, 6"),
        ("X04", "\"Audit Failure\"", "2"),
        ("X05", "\"0x8010000000000000\"", "1, 2, 6"),
        ("X06", "\"<EventID>4656</EventID>\"", "1, 2"),
        ("X07", "\"<EventID>4625</EventID>\" \"0xc000006a\"", "6"),
        ("X07 in capitals", "\"<EventID>4625</EventID>\" \"0xC000006A\"", ""),
        ("X08", "\"%%4423\"", "1, 2"),
        ("X09", "\"HarddiskVolume16\"", "1, 2"),
        ("X10, W3 because its text holds the path", "\"secret\" -\"SYSTEM\"", "1, 2, 3"),
    ];
    check_table(&[&w1, &w2, w3, &w4, &w5, &w6], &rows);
}

#[test]
fn text_events_without_the_path_are_missed() {
    let w3 = "[Security] [INFORMATION] [4656] [Microsoft-Windows-Security-Auditing] [HOST] \
              [A handle to an object was requested.]";
    check_table(&[w3], &[("X01", "\"4656\" \"secret\"", ""), ("X10", "\"secret\" -\"SYSTEM\"", "")]);
}
