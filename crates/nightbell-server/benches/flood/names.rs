/*!
Failed logons (4625) of accounts with made-up names, as PutLogEvents bodies whose times and names are set when they are sent.
*/

use serde_json::json;

/// The group all events come to.
pub(crate) const GROUP: &str = "/bench/logons";
/// Events come to this stream.
pub(crate) const STREAM: &str = "dc-1";
/// Stands in a body where a time belongs: as many digits as a time of this century has in milliseconds.
const TIME_UNSET: &str = "9999999999999";
/// Stands where a name belongs.
const NAME_UNSET: &str = "ACCOUNTUNSET";

/// An account's name.
pub(crate) type Name = [u8; NAME_UNSET.len()];

/// A PutLogEvents body of failed logons.
pub(crate) struct Body {
    bytes: Vec<u8>,
    /// Where the times stand in `bytes`.
    times: Vec<usize>,
    /// Where the names stand.
    names: Vec<usize>,
}

impl Body {
    /// A body of `events` failed logons.
    pub(crate) fn new(events: usize) -> Self {
        let unset: i64 = TIME_UNSET.parse().expect("digits");
        let events: Vec<_> =
            (0..events).map(|n| json!({"timestamp": unset, "message": failed_logon(n)})).collect();
        let body = json!({"logGroupName": GROUP, "logStreamName": STREAM, "logEvents": events}).to_string();
        let places = |text: &str| body.match_indices(text).map(|(at, _)| at).collect();
        let (times, names) = (places(TIME_UNSET), places(NAME_UNSET));
        Self { bytes: body.into_bytes(), times, names }
    }

    /// Gives all events the time `now_ms`, and each a name.
    pub(crate) fn set(&mut self, now_ms: i64, mut name: impl FnMut(usize) -> Name) {
        let text = now_ms.to_string();
        assert_eq!(text.len(), TIME_UNSET.len(), "the clock is in this century");
        for &at in &self.times {
            self.bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        for (n, &at) in self.names.iter().enumerate() {
            self.bytes[at..at + NAME_UNSET.len()].copy_from_slice(&name(n));
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The name of account number `n`: all differ and come in no order (the finalizer of SplitMix64).
pub(crate) fn account(n: u64) -> Name {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let mut name = Name::default();
    for byte in &mut name {
        *byte = b'a' + (z % 26) as u8;
        z /= 26;
    }
    name
}

/// A name that is told by `token`.
pub(crate) fn padded(token: &str) -> Name {
    let mut name = [b'x'; NAME_UNSET.len()];
    name[..token.len()].copy_from_slice(token.as_bytes());
    name
}

/// 4625: a logon with a wrong password.
fn failed_logon(n: usize) -> String {
    let record = 294_054 + n;
    let port = 50_000 + n;
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='Microsoft-Windows-Security-Auditing' Guid='{{54849625-5478-4994-A5BA-3E3B0328C30D}}'/>\
         <EventID>4625</EventID><Version>0</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode>\
         <Keywords>0x8010000000000000</Keywords><TimeCreated SystemTime='2026-09-14T05:42:01.000000000Z'/>\
         <EventRecordID>{record}</EventRecordID><Correlation/><Execution ProcessID='4' ThreadID='528'/>\
         <Channel>Security</Channel><Computer>dc-1.corp.example.com</Computer><Security/></System>\
         <EventData><Data Name='SubjectUserSid'>S-1-0-0</Data><Data Name='SubjectUserName'>-</Data>\
         <Data Name='SubjectDomainName'>-</Data><Data Name='SubjectLogonId'>0x0</Data>\
         <Data Name='TargetUserSid'>S-1-0-0</Data><Data Name='TargetUserName'>{NAME_UNSET}</Data>\
         <Data Name='TargetDomainName'>CORP</Data><Data Name='Status'>0xc000006d</Data>\
         <Data Name='FailureReason'>%%2313</Data><Data Name='SubStatus'>0xc000006a</Data>\
         <Data Name='LogonType'>3</Data><Data Name='LogonProcessName'>NtLmSsp </Data>\
         <Data Name='AuthenticationPackageName'>NTLM</Data><Data Name='WorkstationName'>KALI</Data>\
         <Data Name='TransmittedServices'>-</Data><Data Name='LmPackageName'>-</Data>\
         <Data Name='KeyLength'>0</Data><Data Name='ProcessId'>0x0</Data><Data Name='ProcessName'>-</Data>\
         <Data Name='IpAddress'>198.51.100.7</Data><Data Name='IpPort'>{port}</Data></EventData></Event>"
    )
}
