/*!
Events for unit tests, written the way Windows writes them.
*/

/// A security audit event with these EventData values, recorded at `FS01.Corp.Example`.
pub(crate) fn security(id: u32, keywords: &str, data: &[(&str, &str)]) -> String {
    event("Microsoft-Windows-Security-Auditing", id, keywords, data)
}

/// As [`security`], of any provider.
pub(crate) fn event(provider: &str, id: u32, keywords: &str, data: &[(&str, &str)]) -> String {
    let data: String =
        data.iter().map(|(name, value)| format!("<Data Name='{name}'>{value}</Data>")).collect();
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='{provider}' Guid='{{54849625-5478-4994-A5BA-3E3B0328C30D}}'/><EventID>{id}</EventID>\
         <Version>0</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>{keywords}</Keywords>\
         <TimeCreated SystemTime='2019-05-05T23:12:37.349476100Z'/><EventRecordID>694674</EventRecordID>\
         <Correlation ActivityID='{{00000000-1111-2222-3333-444444444444}}'/><Execution ProcessID='804' ThreadID='1080'/>\
         <Channel>Security</Channel><Computer>FS01.Corp.Example</Computer><Security/></System>\
         <EventData>{data}</EventData></Event>"
    )
}

/// Keywords of an audit success.
pub(crate) const SUCCESS: &str = "0x8020000000000000";
/// Keywords of an audit failure.
pub(crate) const FAILURE: &str = "0x8010000000000000";

/// The subject most tests use.
pub(crate) const ANN: [(&str, &str); 3] =
    [("SubjectUserSid", "S-1-5-21-1-2-3-1104"), ("SubjectUserName", "Ann"), ("SubjectDomainName", "CORP")];
