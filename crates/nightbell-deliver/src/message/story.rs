/*!
Who did what, where, how often: evidence put into words.

Reads [`Evidence`] and nothing else; knows no alarm, no mail and no markup. Event text is cleaned and cut here.
*/

use nightbell_core::evidence::{Evidence, Tally};

use super::text;

/// Characters of one name (a user, folder, machine, address) inside a headline.
pub(crate) const NAME_CHARS_MAX: usize = 60;

/// What the events have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Access to files was denied.
    Denied,
    /// Somebody failed to log on.
    FailedLogon,
    /// Many accounts were tried a few times each.
    Spray,
    /// Somebody logged on, and failed to before.
    LogonAfterFailures {
        /// Logons that failed.
        failures: u64,
        /// Logons that did not.
        successes: u64,
    },
    /// Something that is told as a count of a noun: `120 deletions`.
    Counted {
        /// `deletion`
        one: &'static str,
        /// `deletions`
        many: &'static str,
        /// Whether it is something done to an account on a machine rather than by a user to a file.
        on_account: bool,
    },
}

/// Accounts that must have been tried for it to be a spray.
const SPRAY_ACCOUNTS_MIN: u64 = 5;
/// Attempts on each account, on average, up to which it is one; lockouts begin above.
const SPRAY_TRIES_MAX: u64 = 4;

/// How a headline is worded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wording {
    /// For a subject line: `ann denied 6 times in \secret`.
    Short,
    /// For a sentence: `ann was denied access 6 times in \secret`.
    Full,
}

/// What the events are about, by their actions and outcomes.
pub(crate) fn deed(evidence: &Evidence) -> Deed {
    const fn counted(one: &'static str, many: &'static str, on_account: bool) -> Deed {
        Deed::Counted { one, many, on_account }
    }
    let events = counted("event", "events", false);
    let failed = only(&evidence.outcomes, evidence.events) == Some("failure");
    let all_on_files = evidence.actions.others == 0
        && told(&evidence.actions) >= evidence.events
        && all(&evidence.actions).iter().all(|(action, _)| on_files(action));
    if all_on_files && failed {
        return Deed::Denied;
    }
    match only(&evidence.actions, evidence.events) {
        Some("logon") if failed && is_spray(evidence) => Deed::Spray,
        Some("logon") if failed => Deed::FailedLogon,
        Some("logon") if let Some((failures, successes)) = after_failures(evidence) => {
            Deed::LogonAfterFailures { failures, successes }
        }
        Some("logon") => counted("logon", "logons", true),
        Some("logoff") => counted("logoff", "logoffs", true),
        Some("lockout") => counted("lockout", "lockouts", true),
        Some("unlock") => counted("unlock", "unlocks", true),
        Some("account") => counted("account change", "account changes", false),
        Some("open") => counted("file open", "file opens", false),
        Some("read") => counted("read", "reads", false),
        Some("write") => counted("write", "writes", false),
        Some("delete") => counted("deletion", "deletions", false),
        Some("rename") => counted("rename", "renames", false),
        Some("permission") => counted("permission change", "permission changes", false),
        Some("share") => counted("share access", "share accesses", false),
        Some("policy") => counted("audit policy change", "audit policy changes", false),
        Some("record-gap") => counted("gap in record numbers", "gaps in record numbers", false),
        Some("log-cleared") => counted("cleared log", "cleared logs", false),
        _ if all_on_files => counted("file access", "file accesses", false),
        _ => events,
    }
}

fn is_spray(evidence: &Evidence) -> bool {
    let accounts = evidence.users.distinct() as u64;
    accounts >= SPRAY_ACCOUNTS_MIN && evidence.events <= accounts.saturating_mul(SPRAY_TRIES_MAX)
}

/// How many logons failed and how many did not, where both are told. Where most succeed, a few that failed are nothing.
fn after_failures(evidence: &Evidence) -> Option<(u64, u64)> {
    let outcomes = &evidence.outcomes;
    let (failures, successes) = (outcomes.count("failure"), outcomes.count("success"));
    let all = failures.saturating_add(successes) >= evidence.events;
    (all && successes > 0 && failures >= successes).then_some((failures, successes))
}

/// Whether the events say who, where or on what.
pub(crate) fn names_anything(evidence: &Evidence) -> bool {
    let Evidence { users, instances, sources, folders, files, .. } = evidence;
    [users, instances, sources, folders, files].into_iter().any(|tally| !tally.is_empty())
}

fn on_files(action: &str) -> bool {
    matches!(action, "open" | "read" | "write" | "delete" | "rename" | "permission" | "share")
}

/// The headline without its window: `ann denied 6 times in \secret on srv`; `None` without evidence.
pub(crate) fn headline(evidence: &Evidence, wording: Wording) -> Option<String> {
    if evidence.events == 0 {
        return None;
    }
    let n = evidence.events;
    Some(match deed(evidence) {
        Deed::Denied => denied(evidence, wording),
        Deed::Spray => spray(evidence),
        Deed::FailedLogon => {
            format!("{n} failed {}{}", noun(n, "logon", "logons"), on_account_tail(evidence))
        }
        Deed::LogonAfterFailures { failures, successes } => {
            after_failed_logons(evidence, failures, successes)
        }
        Deed::Counted { one, many, on_account: true } => {
            format!("{n} {}{}", noun(n, one, many), on_account_tail(evidence))
        }
        Deed::Counted { one, many, on_account: false } => {
            let by = who(evidence).map(|(who, _)| format!(" by {who}")).unwrap_or_default();
            format!("{n} {}{by}{}{}", noun(n, one, many), in_folders(evidence), on_machines(evidence))
        }
    })
}

fn denied(evidence: &Evidence, wording: Wording) -> String {
    let times = match evidence.events {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    let place = format!("{}{}", in_folders(evidence), on_machines(evidence));
    match (who(evidence), wording) {
        (None, Wording::Short) => format!("access denied {times}{place}"),
        (None, Wording::Full) => format!("access was denied {times}{place}"),
        (Some((who, _)), Wording::Short) => format!("{who} denied {times}{place}"),
        (Some((who, one)), Wording::Full) => {
            format!("{who} {} denied access {times}{place}", if one { "was" } else { "were" })
        }
    }
}

/// `10.0.0.5 tried 23 accounts 40 times on dc01`
fn spray(evidence: &Evidence) -> String {
    let accounts = match named(&evidence.users, "accounts") {
        Some(Named::One(accounts) | Named::Many(accounts)) => accounts,
        None => "accounts".to_owned(),
    };
    let (n, place) = (evidence.events, on_machines(evidence));
    match named(&evidence.sources, "addresses") {
        Some(Named::One(source)) => format!("{source} tried {accounts} {n} times{place}"),
        Some(Named::Many(sources)) => format!("{sources} tried {accounts} {n} times{place}"),
        None => format!("{accounts} were tried {n} times{place}"),
    }
}

/// `corp\victim logged on after 6 failed logons, on srv2, from 10.0.0.5`; of several it is not known who got in.
fn after_failed_logons(evidence: &Evidence, failures: u64, successes: u64) -> String {
    let failed = format!("after {failures} failed {}", noun(failures, "logon", "logons"));
    match who(evidence) {
        Some((who, true)) => {
            let place = on_machines(evidence);
            let place = if place.is_empty() { place } else { format!(",{place}") };
            format!("{who} logged on {failed}{place}{}", from_addresses(evidence))
        }
        _ => {
            let logons = noun(successes, "logon", "logons");
            format!("{successes} {logons} {failed}{}", on_account_tail(evidence))
        }
    }
}

/// ` on win, account alice, from 10.0.0.5`.
fn on_account_tail(evidence: &Evidence) -> String {
    let account = match named(&evidence.users, "accounts") {
        Some(Named::One(name)) => format!(", account {name}"),
        Some(Named::Many(count)) => format!(", {count}"),
        None => String::new(),
    };
    format!("{}{account}{}", on_machines(evidence), from_addresses(evidence))
}

/// `, from 10.0.0.5`, `, from 3 addresses`.
fn from_addresses(evidence: &Evidence) -> String {
    match named(&evidence.sources, "addresses") {
        Some(Named::One(name) | Named::Many(name)) => format!(", from {name}"),
        None => String::new(),
    }
}

/// The users, and whether it is exactly one. Events that name no user are not laid at anybody's door.
fn who(evidence: &Evidence) -> Option<(String, bool)> {
    let complete = told(&evidence.users) >= evidence.events;
    match named(&evidence.users, "users")? {
        Named::One(name) if complete => Some((name, true)),
        Named::One(name) => Some((format!("{name} and others"), false)),
        Named::Many(count) => Some((count, false)),
    }
}

/// ` in \share\secret`, ` in 4 folders under \share`.
fn in_folders(evidence: &Evidence) -> String {
    match named(&evidence.folders, "folders") {
        Some(Named::One(folder)) => format!(" in {folder}"),
        Some(Named::Many(count)) => match common_folder(&evidence.folders) {
            Some(folder) => format!(" in {count} under {}", text::line_of_ends(&folder, NAME_CHARS_MAX)),
            None => format!(" in {count}"),
        },
        None => String::new(),
    }
}

/// ` on srv`, ` on 3 machines`.
fn on_machines(evidence: &Evidence) -> String {
    match named(&evidence.instances, "machines") {
        Some(Named::One(name) | Named::Many(name)) => format!(" on {name}"),
        None => String::new(),
    }
}

enum Named {
    One(String),
    Many(String),
}

/// The one value, or how many there are: `3 users`, `64 or more users`.
fn named(tally: &Tally, plural: &str) -> Option<Named> {
    let (first, _) = *tally.top(1).first()?;
    let known = tally.distinct();
    Some(match (known, tally.others) {
        (1, 0) => Named::One(text::line_of_ends(first, NAME_CHARS_MAX)),
        (_, 0) => Named::Many(format!("{known} {plural}")),
        (_, _) => Named::Many(format!("{known} or more {plural}")),
    })
}

/// The deepest folder that holds all of them; `None` when they share none or some are unknown.
fn common_folder(folders: &Tally) -> Option<String> {
    if folders.others > 0 {
        return None;
    }
    let all = all(folders);
    let (first, rest) = all.split_first()?;
    let mut common: Vec<&str> = first.0.split('\\').collect();
    for (name, _) in rest {
        let same = common.iter().zip(name.split('\\')).take_while(|(a, b)| **a == *b).count();
        common.truncate(same);
    }
    let common = common.join("\\");
    (!common.is_empty()).then_some(common)
}

/// The one value that every event has; `None` when values differ or some events have none.
pub(crate) fn only(tally: &Tally, events: u64) -> Option<&str> {
    match *tally.top(1).first()? {
        (value, count) if tally.distinct() == 1 && tally.others == 0 && count >= events => Some(value),
        _ => None,
    }
}

/// How many events have a value at all.
pub(crate) fn told(tally: &Tally) -> u64 {
    all(tally).iter().fold(tally.others, |sum, (_, count)| sum.saturating_add(*count))
}

/// Every value that is known, most first.
pub(crate) fn all(tally: &Tally) -> Vec<(&str, u64)> {
    tally.top(usize::MAX)
}

fn noun(n: u64, one: &'static str, many: &'static str) -> &'static str {
    if n == 1 { one } else { many }
}
