/*!
What the lines of a digest share, and the largest of them: the alarm, what is counted, the side of the line.

Says nothing about messages without a line that may differ. Picture and title are made of the same lines as the list.
*/

use std::cmp::Ordering;

use nightbell_core::budget::{Digest, DigestLine, MessageKind};

use super::super::page::Fact;
use super::super::story::NAME_CHARS_MAX;
use super::super::{text, words};
use crate::chart::{BARS_MAX, Bar, Bars};

/// Contributors named in the title.
const NAMED_MAX: usize = 3;
/// Characters of a contributor's name in the title.
const TITLE_NAME_CHARS_MAX: usize = 36;

/// On which side of their line values are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Over,
    AtOrOver,
    Under,
    AtOrUnder,
    Unknown,
}

/// The alarm that all are of.
pub(super) fn alarm(digest: &Digest) -> Option<&str> {
    let first = digest.lines.first()?;
    let same = digest.lines.iter().all(|line| line.alarm == first.alarm);
    (same && !digest.more_differ).then_some(&first.alarm)
}

/// `187 folders over the line in failed-opens`
pub(super) fn started(digest: &Digest) -> String {
    let n = digest.tallied.firsts;
    let told = told(digest);
    let counted = told.iter().all(|line| !line.attributes.is_empty()) && !told.is_empty();
    let place = alarm(digest).map(|alarm| format!(" in {}", text::line_of_ends(alarm, NAME_CHARS_MAX)));
    let place = place.unwrap_or_else(|| {
        let mut alarms: Vec<&str> = digest.lines.iter().map(|line| line.alarm.as_str()).collect();
        alarms.sort_unstable();
        alarms.dedup();
        match alarms.len() {
            0 | 1 => String::new(),
            n => format!(" in {n}{} alarms", if digest.more > 0 { " or more" } else { "" }),
        }
    });
    if !counted {
        return format!("{n} {} started{place}", if n == 1 { "incident" } else { "incidents" });
    }
    let (one, many) = dimension(digest).map_or(("contributor", "contributors"), words::contributors);
    let side = match side(&told) {
        Side::Over => "over the line",
        Side::AtOrOver => "at or over the line",
        Side::Under => "under the line",
        Side::AtOrUnder => "at or under the line",
        Side::Unknown => "in ALARM",
    };
    format!("{n} {} {side}{place}", if n == 1 { one } else { many })
}

/// `\\share\\a (9), \\share\\b (7) …`; empty where none has a name.
pub(super) fn names(digest: &Digest) -> String {
    let ranked = ranked(digest);
    let named: Vec<String> = ranked
        .iter()
        .filter(|line| !line.attributes.is_empty())
        .take(NAMED_MAX)
        .map(|line| format!("{} ({})", who(line, TITLE_NAME_CHARS_MAX), text::number(line.value)))
        .collect();
    let rest = if !named.is_empty() && (ranked.len() > named.len() || digest.more > 0) { " …" } else { "" };
    named.join(", ") + rest
}

/// What they share, where there is more than one.
pub(super) fn facts(digest: &Digest) -> Vec<Fact> {
    let fact = |label, value| Fact { label, value, note: String::new() };
    let mut facts = Vec::new();
    if let Some(names) = dimension(digest).filter(|names| !names.is_empty()) {
        let names: Vec<String> = names.iter().map(|(name, _)| text::line(name, NAME_CHARS_MAX)).collect();
        facts.push(fact("Counted by", names.join(", ")));
    }
    if let Some(line) =
        threshold(&digest.lines.iter().collect::<Vec<_>>()).filter(|_| alarm(digest).is_some())
    {
        facts.push(fact("Line", text::number(line)));
    }
    facts
}

/// The largest of them, as bars; `None` without lines.
pub(super) fn bars(digest: &Digest, accent: (u8, u8, u8)) -> Option<Bars> {
    let ranked = ranked(digest);
    let shown = &ranked[..ranked.len().min(BARS_MAX)];
    let fired = digest.tallied.firsts > 0;
    let one_alarm = shown.windows(2).all(|pair| pair[0].alarm == pair[1].alarm);
    let name = |line: &DigestLine| {
        let alarm = text::line_of_ends(&line.alarm, NAME_CHARS_MAX);
        match (line.attributes.is_empty(), one_alarm) {
            (true, _) => alarm,
            (false, true) => who(line, NAME_CHARS_MAX),
            (false, false) => format!("{alarm}: {}", who(line, NAME_CHARS_MAX)),
        }
    };
    let rows: Vec<Bar> = shown.iter().map(|line| Bar { name: name(line), value: line.value }).collect();
    let low = matches!(side(&ranked), Side::Under | Side::AtOrUnder);
    let unit = match (ranked.len() - rows.len(), digest.more) {
        (0, 0) => String::new(),
        (_, 0) => {
            format!("the {} {} of {}", rows.len(), if low { "lowest" } else { "highest" }, ranked.len())
        }
        _ => {
            format!("the {} {} of {} named", rows.len(), if low { "lowest" } else { "highest" }, ranked.len())
        }
    };
    (!rows.is_empty()).then_some(Bars {
        title: if fired { "What fired" } else { "Counted so far" }.to_owned(),
        unit,
        rows,
        // What was counted so far is of no window, so no line holds for it.
        threshold: threshold(shown).filter(|_| fired),
        accent,
    })
}

/// The lines that the title is about: those of incidents that started, else all.
fn told(digest: &Digest) -> Vec<&DigestLine> {
    let wanted = |line: &&DigestLine| digest.tallied.firsts == 0 || line.kind == MessageKind::First;
    digest.lines.iter().filter(wanted).collect()
}

/// The same, the worst first.
fn ranked(digest: &Digest) -> Vec<&DigestLine> {
    let mut lines = told(digest);
    let low = matches!(side(&lines), Side::Under | Side::AtOrUnder);
    lines.sort_by(|a, b| {
        let order = a.value.partial_cmp(&b.value).unwrap_or(Ordering::Equal);
        if low { order } else { order.reverse() }
    });
    lines
}

fn side(lines: &[&DigestLine]) -> Side {
    let compared = || lines.iter().map(|line| line.threshold.and_then(|at| line.value.partial_cmp(&at)));
    let all =
        |wanted: &[Ordering]| compared().all(|order| order.is_some_and(|order| wanted.contains(&order)));
    match () {
        () if lines.is_empty() => Side::Unknown,
        () if all(&[Ordering::Greater]) => Side::Over,
        () if all(&[Ordering::Less]) => Side::Under,
        () if all(&[Ordering::Greater, Ordering::Equal]) => Side::AtOrOver,
        () if all(&[Ordering::Less, Ordering::Equal]) => Side::AtOrUnder,
        () => Side::Unknown,
    }
}

/// The line that all are held against.
fn threshold(lines: &[&DigestLine]) -> Option<f64> {
    let first = lines.first()?.threshold?;
    lines.iter().all(|line| line.threshold == Some(first)).then_some(first)
}

/// By what all are counted, as names with the values of one of them.
fn dimension(digest: &Digest) -> Option<&[(String, String)]> {
    let first = digest.lines.first()?;
    let same = |line: &DigestLine| {
        let names = line.attributes.iter().map(|(name, _)| name);
        names.eq(first.attributes.iter().map(|(name, _)| name))
    };
    (!digest.more_differ && digest.lines.iter().all(same)).then_some(&first.attributes)
}

/// `\\share\\a`, `10.0.0.5, corp\\ann`
fn who(line: &DigestLine, chars_max: usize) -> String {
    let values: Vec<&str> = line.attributes.iter().map(|(_, value)| value.as_str()).collect();
    text::line_of_ends(&values.join(", "), chars_max)
}
