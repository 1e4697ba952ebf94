/*!
What an audit event means: from the parts an event tells to [`Audit`], which rules read as `$.Audit.*`.

| part | rule |
|---|---|
| Outcome | failure or success bit of Keywords; rendered words only where a sender gives no number |
| Action | by event number, see below |
| User | the Subject of what was done to files, accounts and policies; the Target of logons, lockouts and unlocks |
| Instance | Computer |
| Source | IpAddress or ClientAddress; the workstation's name for 4776, the caller's for 4740, which have no address |
| Share, Folder, File, Path | ObjectName of files, or ShareName and RelativeTargetName; see [`Location`] |
| Access | AccessMask, else AccessList |
| Object | share, folder and file in one, without a stream's name: what one file is counted once by |
| Reason | SubStatus, else Status, else FailureReason; Kerberos results; the first refusal of AccessReason; what AuditPolicyChanges did to which subcategory |
| Channel | the cleared log of `log-cleared`, else the log that holds the event |
| Noise | the first that fits of not-a-file, anonymous, machine-account, system-account, loopback |

| action | events |
|---|---|
| logon | 4624, 4625, 4768, 4769, 4771–4773, 4776, 4777 |
| explicit-logon | 4648 (another account's credentials; the logon itself is another event) |
| logoff, session | 4634, 4647; 4778, 4779 |
| privilege | 4672–4674, 4964 |
| open | 4656 and 5145: rights were asked for, and granted or denied |
| read, write, delete, permission | 4663 by the rights used, in the order delete, permission, write, read; `open` if none of them |
| delete | also 4659 and 4660; 4660 has no name, so `$.Audit.File = "*"` and counting different Objects counts each file once |
| permission | also 4670 |
| handle | 4656, 4659, 4663, 4670 on anything but files and folders (processes, keys, tokens, pipes); 4661, 4662, 4690 |
| close, link | 4658; 4664 |
| share, share-changed | 5140, 5168; 5142–5144 |
| account, group | 4720, 4722–4726, 4738, 4741–4743, 4781; 4727–4735, 4737, 4744–4762, 4764 |
| lockout, unlock | 4740; 4767 |
| policy | 4713, 4715, 4719, 4739, 4817, 4902, 4904–4908, 4912 |
| log-cleared, log-stopped, log-full, log-archived | 1102 and 104; 1100; 1104; 1105 (of the event log service) |

Other events with an audit keyword have no action and tell the rest. No state: what needs two events (the name of what
4660 deleted, shares inside shares) is not known here.
*/

use nightbell_core::fields::Audit;

pub use location::{Location, PARTS_MAX};
pub use told::{Part, Told};

use crate::{access, codes};
use catalogue::{Action, Meaning, Who, Why};

mod account;
mod catalogue;
mod location;
#[cfg(test)]
mod tests;
mod told;

/// The provider of security audit events.
const SECURITY_PROVIDER: &str = "Microsoft-Windows-Security-Auditing";
/// The provider of the event log service's own events.
const EVENT_LOG_PROVIDER: &str = "Microsoft-Windows-Eventlog";

/// What the event means; `None` when it is no audit event.
///
/// It is one when its number is known of its provider, or when it bears an audit keyword. A number without a provider
/// counts as the security provider's.
pub fn audit(told: &Told<'_>) -> Option<Audit> {
    let outcome = outcome(told);
    let meaning = meaning(told);
    if outcome.is_none() && meaning.is_none() {
        return None;
    }
    let meaning = meaning.unwrap_or(Meaning { action: Action::Is(""), who: Who::Subject, why: Why::Nothing });
    let id = told.code(Part::EventId);
    let kind = kind(told);
    let mut audit = Audit {
        outcome,
        user: user(told, meaning.who),
        instance: told.get(Part::Computer).map(str::to_lowercase),
        source: source(told, id),
        access: rights(told, kind),
        reason: reason(told, meaning.why),
        logon_type: told.get(Part::LogonType).and_then(codes::number).and_then(codes::logon_type),
        process: told.get(Part::ProcessName).map(str::to_lowercase),
        channel: channel(told, meaning.action),
        ..Audit::default()
    };
    let place = place(told, kind);
    let is_file = kind == access::Kind::File && (place.is_some() || told.get(Part::ObjectName).is_none());
    audit.action = action(told, meaning.action, is_file);
    if let Some(place) = place {
        audit.share = place.share;
        audit.folder = place.folder;
        audit.file = place.file;
        audit.path = place.path;
    }
    audit.noise = noise(told, meaning.who, &audit);
    Some(audit)
}

fn outcome(told: &Told<'_>) -> Option<&'static str> {
    match told.get(Part::Keywords) {
        Some(keywords) => codes::outcome(keywords),
        None => told.get(Part::RenderedKeyword).and_then(codes::outcome),
    }
}

fn meaning(told: &Told<'_>) -> Option<Meaning> {
    let id = told.code(Part::EventId)?;
    match told.get(Part::Provider) {
        None => catalogue::security(id).or_else(|| catalogue::event_log(id).filter(|_| id != 104)),
        Some(provider) if provider.eq_ignore_ascii_case(SECURITY_PROVIDER) => catalogue::security(id),
        Some(provider) if provider.eq_ignore_ascii_case(EVENT_LOG_PROVIDER) => catalogue::event_log(id),
        Some(_) => None,
    }
}

/// An event that names no type of object is about files, or about no object at all.
fn kind(told: &Told<'_>) -> access::Kind {
    match told.get(Part::ObjectType) {
        None => access::Kind::File,
        Some(kind) if kind.eq_ignore_ascii_case("File") => access::Kind::File,
        Some(kind) if kind.eq_ignore_ascii_case("Key") => access::Kind::Key,
        Some(_) => access::Kind::Other,
    }
}

fn user(told: &Told<'_>, who: Who) -> Option<String> {
    let account = |name, domain: Option<Part>, sid: Option<Part>| {
        account::account(
            told.get(name),
            domain.and_then(|part| told.get(part)),
            sid.and_then(|part| told.get(part)),
        )
    };
    match who {
        Who::Subject => {
            account(Part::SubjectUserName, Some(Part::SubjectDomainName), Some(Part::SubjectUserSid))
        }
        // 4771 tells the realm in the service's name only.
        Who::Target if told.get(Part::TargetDomainName).is_none() => {
            let realm = told.get(Part::ServiceName).and_then(|service| service.strip_prefix("krbtgt/"));
            account::account(told.get(Part::TargetUserName), realm, told.get(Part::TargetSid))
        }
        Who::Target => account(Part::TargetUserName, Some(Part::TargetDomainName), Some(Part::TargetSid)),
        Who::TargetName => account(Part::TargetUserName, None, Some(Part::TargetSid)),
        Who::Account => account(Part::AccountName, Some(Part::AccountDomain), None),
    }
}

fn source(told: &Told<'_>, id: Option<u32>) -> Option<String> {
    let address = told.get(Part::IpAddress).or_else(|| told.get(Part::ClientAddress));
    let name = match id {
        Some(4776 | 4777) => told.get(Part::Workstation),
        Some(4740) => told.get(Part::TargetDomainName),
        _ => None,
    };
    address.or(name).and_then(account::source)
}

fn channel(told: &Told<'_>, action: Action) -> Option<String> {
    let cleared = told.get(Part::ClearedChannel).filter(|_| action == Action::Is("log-cleared"));
    cleared.or_else(|| told.get(Part::Channel)).map(str::to_lowercase)
}

/// In the order of [`nightbell_core::fields::audit::NOISE`].
fn noise(told: &Told<'_>, who: Who, audit: &Audit) -> Option<&'static str> {
    if audit.action == Some("handle") || audit.share.as_deref() == Some("ipc$") {
        return Some("not-a-file");
    }
    let sid = match who {
        Who::Subject => told.get(Part::SubjectUserSid),
        Who::Target | Who::TargetName => told.get(Part::TargetSid),
        Who::Account => None,
    };
    let from_itself = || audit.source.as_deref().is_some_and(account::is_loopback).then_some("loopback");
    account::noise(audit.user.as_deref(), sid).or_else(from_itself)
}

fn place(told: &Told<'_>, kind: access::Kind) -> Option<Location> {
    if kind != access::Kind::File {
        return None;
    }
    if let Some(share) = told.get(Part::ShareName) {
        return Location::in_share(share, told.get(Part::RelativeTargetName).unwrap_or_default());
    }
    Location::of_object(told.get(Part::ObjectName)?)
}

fn rights(told: &Told<'_>, kind: access::Kind) -> Vec<&'static str> {
    match told.code(Part::AccessMask) {
        Some(mask) => access::names(mask, kind),
        None => told.get(Part::AccessList).map(access::list).unwrap_or_default(),
    }
}

fn action(told: &Told<'_>, action: Action, is_file: bool) -> Option<&'static str> {
    match action {
        Action::Is("") => None,
        Action::Is(action) => Some(action),
        Action::OnFile(_) | Action::ByRights if !is_file => Some("handle"),
        Action::OnFile(action) => Some(action),
        Action::ByRights => Some(use_of(
            told.code(Part::AccessMask)
                .or_else(|| told.get(Part::AccessList).map(access::mask_of_list))
                .unwrap_or_default(),
        )),
    }
}

/// What somebody does who uses these rights: the gravest of them counts.
fn use_of(mask: u32) -> &'static str {
    match mask {
        _ if mask & (access::DELETE | access::DELETE_CHILD) != 0 => "delete",
        _ if mask & access::PERMISSION != 0 => "permission",
        _ if mask & access::WRITE != 0 => "write",
        _ if mask & access::READ != 0 => "read",
        _ => "open",
    }
}

fn reason(told: &Told<'_>, why: Why) -> Option<String> {
    match why {
        Why::Nothing => None,
        Why::Logon => match told.code(Part::SubStatus).or_else(|| told.code(Part::Status)) {
            Some(code) => Some(words(code, codes::status(code))),
            None => codes::references(told.get(Part::FailureReason)?)
                .find_map(codes::failure_reason)
                .map(str::to_owned),
        },
        Why::Kerberos => told.code(Part::Status).map(|code| words(code, codes::kerberos(code))),
        Why::Access => {
            let verdicts = access::reasons(told.get(Part::AccessReason)?);
            verdicts.iter().find(|verdict| verdict.denied).map(|verdict| verdict.reason.to_owned())
        }
        Why::Policy => {
            let changes: Vec<_> = codes::references(told.get(Part::AuditPolicyChanges)?)
                .take(access::REASONS_MAX)
                .filter_map(codes::policy_change)
                .collect();
            let of = told.get(Part::SubcategoryGuid).and_then(codes::subcategory);
            let of = of.map(|name| format!("{name}: ")).unwrap_or_default();
            (!changes.is_empty()).then(|| of + &changes.join(", "))
        }
    }
}

/// A code nobody has words for is shown as a number.
fn words(code: u32, known: Option<&str>) -> String {
    known.map_or_else(|| format!("{code:#x}"), str::to_owned)
}
