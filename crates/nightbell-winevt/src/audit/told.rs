/*!
What one event tells, by part: the few fields that the meaning of an audit event is made of, found in one pass.

A dialect reader calls [`Told::system`], [`Told::data`] and [`Told::rendered_keyword`] with what it finds, in order; the
first value of a part counts. "Nothing" has several spellings in Windows events, and this file knows them.
*/

use std::borrow::Cow;

/// A part of an event that matters to its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of this name in Microsoft's audit event reference")]
pub enum Part {
    EventId,
    Provider,
    Computer,
    Channel,
    Keywords,
    RenderedKeyword,
    SubjectUserSid,
    SubjectUserName,
    SubjectDomainName,
    TargetSid,
    TargetUserName,
    TargetDomainName,
    AccountName,
    AccountDomain,
    ServiceName,
    MemberName,
    MemberSid,
    Status,
    SubStatus,
    FailureReason,
    LogonType,
    IpAddress,
    ClientAddress,
    Workstation,
    ObjectType,
    ObjectName,
    ShareName,
    RelativeTargetName,
    AccessMask,
    AccessList,
    AccessReason,
    ProcessName,
    AuditPolicyChanges,
    SubcategoryGuid,
    ClearedChannel,
}

/// How many parts there are.
const PARTS: usize = Part::ClearedChannel as usize + 1;

/// The parts of one event; a part that was not told is empty.
#[derive(Debug)]
pub struct Told<'a> {
    parts: [Cow<'a, str>; PARTS],
}

impl Default for Told<'_> {
    fn default() -> Self {
        Self { parts: [const { Cow::Borrowed("") }; PARTS] }
    }
}

impl<'a> Told<'a> {
    /// A System element or, for `Provider`, its `Name`; other names are passed over.
    pub fn system(&mut self, name: &str, value: impl FnOnce() -> Cow<'a, str>) {
        let part = match name {
            "EventID" => Part::EventId,
            "Provider" => Part::Provider,
            "Computer" => Part::Computer,
            "Channel" => Part::Channel,
            "Keywords" => Part::Keywords,
            _ => return,
        };
        self.put(part, value());
    }

    /// A value of EventData or UserData; names that do not matter are passed over.
    pub fn data(&mut self, name: &str, value: impl FnOnce() -> Cow<'a, str>) {
        if let Some(part) = part_of_data(name) {
            self.put(part, value());
        }
    }

    /// A keyword of a rendered event; those that are no audit keywords are passed over.
    pub fn rendered_keyword(&mut self, value: Cow<'a, str>) {
        if crate::codes::outcome(&value).is_some() {
            self.put(Part::RenderedKeyword, value);
        }
    }

    fn put(&mut self, part: Part, value: Cow<'a, str>) {
        let slot = &mut self.parts[part as usize];
        if slot.is_empty() {
            *slot = value;
        }
    }

    /// The part without surrounding blanks; `None` when it is absent, empty or `-`.
    pub fn get(&self, part: Part) -> Option<&str> {
        let text = self.parts[part as usize].trim();
        (!text.is_empty() && text != "-").then_some(text)
    }

    /// The part as a number that is not zero.
    pub fn code(&self, part: Part) -> Option<u32> {
        self.get(part).and_then(crate::codes::number).filter(|&code| code != 0)
    }
}

fn part_of_data(name: &str) -> Option<Part> {
    Some(match name {
        "SubjectUserSid" => Part::SubjectUserSid,
        "SubjectUserName" => Part::SubjectUserName,
        "SubjectDomainName" => Part::SubjectDomainName,
        "TargetSid" | "TargetUserSid" => Part::TargetSid,
        "TargetUserName" => Part::TargetUserName,
        "TargetDomainName" => Part::TargetDomainName,
        "AccountName" => Part::AccountName,
        "AccountDomain" => Part::AccountDomain,
        "ServiceName" => Part::ServiceName,
        "MemberName" => Part::MemberName,
        "MemberSid" => Part::MemberSid,
        "Status" => Part::Status,
        "SubStatus" => Part::SubStatus,
        "FailureReason" => Part::FailureReason,
        "LogonType" => Part::LogonType,
        "IpAddress" => Part::IpAddress,
        "ClientAddress" => Part::ClientAddress,
        "Workstation" => Part::Workstation,
        "ObjectType" => Part::ObjectType,
        "ObjectName" => Part::ObjectName,
        "ShareName" => Part::ShareName,
        "RelativeTargetName" => Part::RelativeTargetName,
        "AccessMask" => Part::AccessMask,
        "AccessList" => Part::AccessList,
        "AccessReason" => Part::AccessReason,
        "ProcessName" => Part::ProcessName,
        "AuditPolicyChanges" => Part::AuditPolicyChanges,
        "SubcategoryGuid" => Part::SubcategoryGuid,
        "Channel" => Part::ClearedChannel,
        _ => return None,
    })
}
