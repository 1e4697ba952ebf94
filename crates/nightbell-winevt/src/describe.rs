/*!
One line of plain words for an event: `awscorp\ann was denied ReadData on \share\secret\x.doc at fs01`.

The words are ours, the names are the event's and hence hostile: control characters and those that turn the direction of
text never get through, and long names are cut. Escaping for HTML or mail headers is the reader's.
*/

use std::fmt::Write;

use nightbell_core::fields::Audit;

use crate::access;
use crate::audit::{Part, Told};

#[cfg(test)]
mod tests;

/// Bytes of one name that are shown.
pub const NAME_BYTES_MAX: usize = 256;
/// Rights of one list that are named; of more, the number is told.
pub const RIGHTS_SHOWN: usize = 4;

/// The line for an event.
pub fn line(told: &Told<'_>, audit: Option<&Audit>) -> String {
    let Some(audit) = audit else { return other(told, &Audit::default()) };
    let failed = audit.outcome == Some("failure");
    match audit.action {
        Some("open" | "read" | "write" | "delete" | "permission") if failed => denied(told, audit),
        Some("open") => opened(audit),
        Some(verb @ ("read" | "write" | "delete" | "permission")) => used(verb, audit),
        Some("handle") => handle(told, audit, failed),
        Some("share") => share(audit, failed),
        Some("logon") => logon(audit, failed),
        Some("logoff") => format!("{} logged off{}", user(audit), at(" from ", &audit.instance)),
        Some("lockout") => lockout(audit),
        Some("unlock") => unlock(told, audit),
        Some("log-cleared") => log_cleared(told, audit),
        Some("policy") if audit.reason.is_some() => policy(audit),
        Some("account" | "group") => account(told, audit, failed),
        _ => other(told, audit),
    }
}

fn denied(told: &Told<'_>, audit: &Audit) -> String {
    let mut line = format!("{} was denied {} on {}", user(audit), rights(audit), place(audit));
    let refused: Vec<_> = access::reasons(told.get(Part::AccessReason).unwrap_or_default())
        .iter()
        .filter(|verdict| verdict.denied)
        .map(|verdict| verdict.right)
        .collect();
    if !refused.is_empty() && refused.len() < audit.access.len() {
        let _ = write!(line, " (refused: {})", short(&refused));
    }
    line + &tail(audit)
}

fn opened(audit: &Audit) -> String {
    format!("{} opened {} for {}{}", user(audit), place(audit), rights(audit), tail(audit))
}

fn used(verb: &str, audit: &Audit) -> String {
    let done = match verb {
        "read" => "read",
        "write" => "wrote",
        "delete" => "deleted",
        _ => "changed the permissions of",
    };
    format!("{} {done} {}{}", user(audit), place(audit), tail(audit))
}

fn handle(told: &Told<'_>, audit: &Audit, failed: bool) -> String {
    let was = if failed { "was denied" } else { "was given" };
    let kind = told.get(Part::ObjectType).map(|kind| clean(&kind.to_lowercase()));
    let object = kind.unwrap_or_else(|| "object".to_owned());
    let name = told.get(Part::ObjectName).map(|name| format!(" {}", clean(name))).unwrap_or_default();
    format!("{} {was} {} on the {object}{name}{}", user(audit), rights(audit), tail(audit))
}

fn share(audit: &Audit, failed: bool) -> String {
    let did = if failed { "was refused" } else { "connected to" };
    format!("{} {did} the share {}{}", user(audit), place(audit), tail(audit))
}

fn logon(audit: &Audit, failed: bool) -> String {
    let did = if failed { "failed to log on" } else { "logged on" };
    let mut line =
        format!("{} {did}{}{}", user(audit), at(" to ", &audit.instance), at(" from ", &audit.source));
    if let Some(reason) = &audit.reason {
        let _ = write!(line, ": {}", clean(reason));
    }
    if let Some(kind) = audit.logon_type {
        let _ = write!(line, " ({kind})");
    }
    line
}

fn lockout(audit: &Audit) -> String {
    let told_at = at(", told by ", &audit.instance);
    format!(
        "{} was locked out after attempts from {}{told_at}",
        user(audit),
        shown(&audit.source, "an unknown computer")
    )
}

fn unlock(told: &Told<'_>, audit: &Audit) -> String {
    let by = told.get(Part::SubjectUserName).map(|name| format!(" by {}", clean(&name.to_lowercase())));
    format!("{} was unlocked{}{}", user(audit), by.unwrap_or_default(), tail(audit))
}

fn log_cleared(told: &Told<'_>, audit: &Audit) -> String {
    let log = told.get(Part::ClearedChannel).unwrap_or("Security");
    format!("{} cleared the log {}{}", user(audit), clean(log), tail(audit))
}

fn policy(audit: &Audit) -> String {
    let change = shown(&audit.reason, "changed");
    format!("{} changed the audit policy{}: {change}", user(audit), at(" of ", &audit.instance))
}

fn account(told: &Told<'_>, audit: &Audit, failed: bool) -> String {
    let did = match told.code(Part::EventId) {
        Some(4720 | 4741) => "created the account",
        Some(4722) => "enabled the account",
        Some(4723) => "changed the password of",
        Some(4724) => "reset the password of",
        Some(4725) => "disabled the account",
        Some(4726 | 4743) => "deleted the account",
        Some(4738 | 4742) => "changed the account",
        Some(4727 | 4731 | 4754) => "created the group",
        Some(4730 | 4734 | 4758) => "deleted the group",
        Some(4728 | 4732 | 4756) => return member(told, audit, "added", "to"),
        Some(4729 | 4733 | 4757) => return member(told, audit, "removed", "from"),
        _ => return other(told, audit),
    };
    let tried = if failed { "tried in vain: " } else { "" };
    let target = told.get(Part::TargetUserName).unwrap_or("?").to_lowercase();
    format!("{} {tried}{did} {}{}", user(audit), clean(&target), tail(audit))
}

fn member(told: &Told<'_>, audit: &Audit, did: &str, towards: &str) -> String {
    let member = told.get(Part::MemberName).or_else(|| told.get(Part::MemberSid)).unwrap_or("somebody");
    let group = told.get(Part::TargetUserName).unwrap_or("?").to_lowercase();
    format!("{} {did} {} {towards} the group {}{}", user(audit), clean(member), clean(&group), tail(audit))
}

/// An event without words of its own.
fn other(told: &Told<'_>, audit: &Audit) -> String {
    let mut line = format!("event {}", clean(told.get(Part::EventId).unwrap_or("without number")));
    if audit.action.is_none()
        && let Some(provider) = told.get(Part::Provider)
    {
        let _ = write!(line, " of {}", clean(provider));
    }
    if audit.user.is_some() {
        let _ = write!(line, " by {}", user(audit));
    }
    let computer = told.get(Part::Computer).map(str::to_lowercase);
    line + &at(" on ", &computer)
}

fn user(audit: &Audit) -> String {
    shown(&audit.user, "somebody")
}

fn rights(audit: &Audit) -> String {
    if audit.access.is_empty() { "access".to_owned() } else { short(&audit.access) }
}

/// The first few names of a list and how many more there are: a line is read at a glance.
fn short(names: &[&str]) -> String {
    let shown = &names[..names.len().min(RIGHTS_SHOWN)];
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `\share\folder\file`, or `c:\folder\file`.
fn place(audit: &Audit) -> String {
    let mut place = String::new();
    if let Some(share) = &audit.share {
        place.push_str(if share.ends_with(':') { "" } else { r"\" });
        place.push_str(share);
    }
    if let Some(folder) = audit.folder.as_deref().filter(|folder| *folder != r"\") {
        place.push_str(folder);
    }
    if let Some(file) = &audit.file {
        place.push_str(if audit.folder.is_some() { r"\" } else { "" });
        place.push_str(file);
    }
    if place.is_empty() { "an object that the event does not name".to_owned() } else { clean(&place) }
}

fn tail(audit: &Audit) -> String {
    at(" from ", &audit.source) + &at(" at ", &audit.instance)
}

fn at(word: &str, name: &Option<String>) -> String {
    name.as_ref().map(|name| format!("{word}{}", clean(name))).unwrap_or_default()
}

fn shown(name: &Option<String>, otherwise: &str) -> String {
    name.as_ref().map_or_else(|| otherwise.to_owned(), |name| clean(name))
}

/// `text` for one line on a terminal: cut to [`NAME_BYTES_MAX`], and a mark for each character that could do harm.
fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(NAME_BYTES_MAX));
    for character in text.chars() {
        let character = if is_harmful(character) { '\u{fffd}' } else { character };
        if shown.len() + character.len_utf8() > NAME_BYTES_MAX {
            shown.push('…');
            break;
        }
        shown.push(character);
    }
    shown
}

/// Control characters, line and paragraph ends, and the marks that hide text or turn its direction.
fn is_harmful(character: char) -> bool {
    let hides =
        matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    hides || matches!(character, '\u{2028}'..='\u{202e}') || character.is_control()
}
