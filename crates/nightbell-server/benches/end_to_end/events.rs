/*!
Made-up Windows audit events of about 1.5 KB, and PutLogEvents bodies of them, ready but for their times.

Deterministic: the same number gives the same event. Users and folders are spread over [`NAMES`] values each, so that a
rule about one of them matches one event in [`NAMES`].
*/

use serde_json::json;

/// Distinct users, and distinct folders.
pub(crate) const NAMES: usize = 100_000;
/// Events come to this stream.
pub(crate) const STREAM: &str = "fs-1";
/// Stands in a body where a time belongs: as many digits as a time of this century has in milliseconds.
const TIME_UNSET: &str = "9999999999999";

/// A PutLogEvents body whose times are set when it is sent.
pub(crate) struct Body {
    bytes: Vec<u8>,
    /// Where the times stand in `bytes`.
    times: Vec<usize>,
}

impl Body {
    /// The body that brings `messages` to `group`.
    pub(crate) fn new(group: &str, messages: &[String]) -> Self {
        let unset: i64 = TIME_UNSET.parse().expect("digits");
        let events: Vec<_> =
            messages.iter().map(|message| json!({"timestamp": unset, "message": message})).collect();
        let body = json!({"logGroupName": group, "logStreamName": STREAM, "logEvents": events});
        let text = body.to_string();
        let key = "\"timestamp\":";
        let times = text.match_indices(key).map(|(at, _)| at + key.len()).collect();
        Self { bytes: text.into_bytes(), times }
    }

    /// Gives all events the time `now_ms`.
    pub(crate) fn at(&mut self, now_ms: i64) -> &[u8] {
        let text = now_ms.to_string();
        assert_eq!(text.len(), TIME_UNSET.len(), "the clock is in this century");
        for &at in &self.times {
            self.bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        &self.bytes
    }
}

/// A number that looks random and is the same in every run.
fn spread(n: usize) -> usize {
    (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 17) % NAMES
}

/// The message of an ordinary event.
pub(crate) fn message(n: usize) -> String {
    let folder = format!("folder-{:05}", spread(n));
    file_event(n, &format!("user-{:05}", spread(n + 7)), &folder, &format!("0x{:x}", 0x100 + n % 0xffff))
}

/// The message of an event that the rule of the probes matches; `token` is what tells one probe from another.
pub(crate) fn marked_message(n: usize, token: &str) -> String {
    file_event(n, "mallory", "secret", token)
}

/// 4656 or 4663, as FSx for Windows File Server and the CloudWatch agent send them.
fn file_event(n: usize, user: &str, folder: &str, handle: &str) -> String {
    let id = if n.is_multiple_of(4) { 4663 } else { 4656 };
    let record = 294_054 + n;
    let sid = 1_000 + spread(n + 7);
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='Microsoft-Windows-Security-Auditing' Guid='{{54849625-5478-4994-A5BA-3E3B0328C30D}}'/>\
         <EventID>{id}</EventID><Version>1</Version><Level>0</Level><Task>12800</Task><Opcode>0</Opcode>\
         <Keywords>0x8010000000000000</Keywords><TimeCreated SystemTime='2026-09-14T05:42:01.{:07}00Z'/>\
         <EventRecordID>{record}</EventRecordID><Correlation/><Execution ProcessID='4' ThreadID='{}'/>\
         <Channel>Security</Channel><Computer>fileserver-{:02}.corp.example.com</Computer><Security/></System>\
         <EventData><Data Name='SubjectUserSid'>S-1-5-21-658495921-4185342820-3824891517-{sid}</Data>\
         <Data Name='SubjectUserName'>{user}</Data><Data Name='SubjectDomainName'>CORP</Data>\
         <Data Name='SubjectLogonId'>0x{:x}</Data><Data Name='ObjectServer'>Security</Data>\
         <Data Name='ObjectType'>File</Data>\
         <Data Name='ObjectName'>\\Device\\HarddiskVolume16\\share\\{folder}\\report_{record}_draft.docx</Data>\
         <Data Name='HandleId'>{handle}</Data>\
         <Data Name='TransactionId'>{{00000000-0000-0000-0000-000000000000}}</Data>\
         <Data Name='AccessList'>%%1541\n\t\t\t\t%%4416\n\t\t\t\t%%4423\n\t\t\t\t</Data>\
         <Data Name='AccessReason'>%%1541:\t%%1801\tD:(A;;FA;;;BA)\n\t\t\t\t%%4416:\t%%1805\n\t\t\t\t\
         %%4423:\t%%1811\tD:(A;OICI;0x1301bf;;;AU)\n\t\t\t\t</Data>\
         <Data Name='AccessMask'>0x120089</Data><Data Name='PrivilegeList'>-</Data>\
         <Data Name='RestrictedSidCount'>0</Data><Data Name='ProcessId'>0x{:x}</Data>\
         <Data Name='ProcessName'>C:\\Windows\\System32\\svchost.exe</Data>\
         <Data Name='ResourceAttributes'>S:AI</Data></EventData></Event>",
        spread(n + 3) * 100,
        500 + n % 9_000,
        n % 40,
        0x3e7_0000 + spread(n + 11),
        4 + n % 0x4000,
    )
}
