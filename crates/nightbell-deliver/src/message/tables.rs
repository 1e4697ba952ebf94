/*!
The evidence as rows: what all events share, what they differ in, and some of them in plain words.

Which part comes first is the kind's business; cleaning and cutting happen here.
*/

use std::collections::BTreeSet;

use nightbell_core::alarm::Contributor;
use nightbell_core::evidence::{Evidence, SAMPLE_LINE_BYTES_MAX, SAMPLES_MAX, Tally};
use nightbell_core::time::Timestamp;

use super::kind::Part;
use super::page::{Fact, Line, Row, Table};
use super::{story, text, words};

/// Rows of a table of counts.
const TABLE_ROWS_MAX: usize = 5;
/// Characters of a value in a table.
const TABLE_VALUE_CHARS_MAX: usize = 120;
/// Seconds in a day.
const DAY_S: i64 = 86_400;

/// A part with its name, its title as a table, and its values.
type Named<'a> = (&'static str, &'static str, &'a Tally);

/// Whom they were counted for where the events name nobody, what all have in common, and when they happened.
pub(super) fn facts(evidence: &Evidence, parts: &[Part], contributor: Option<&Contributor>) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(contributor) = contributor
        && !evidence.is_empty()
        && !story::names_anything(evidence)
    {
        let value = words::attributes_tail(&contributor.attributes).trim_start_matches(", ").to_owned();
        facts.push(Fact { label: "Counted for", value, note: String::new() });
    }
    for (label, _, tally) in named(evidence, parts) {
        if let Some((value, count)) = tally.top(1).first()
            && tally.distinct() == 1
            && tally.others == 0
        {
            let note = if *count < evidence.events {
                format!("{count} of {}", evidence.events)
            } else {
                String::new()
            };
            facts.push(Fact { label, value: text::line_of_ends(value, TABLE_VALUE_CHARS_MAX), note });
        }
    }
    if let (Some(first), Some(last)) = (evidence.first, evidence.last)
        && evidence.events > 1
    {
        facts.push(Fact { label: "First event", value: first.plain(), note: String::new() });
        let note = format!("{} later", text::span(last.since(first).max(0)));
        facts.push(Fact { label: "Last event", value: last.plain(), note });
    }
    facts
}

/// Tables of everything there is more than one of.
pub(super) fn tables(evidence: &Evidence, parts: &[Part]) -> Vec<Table> {
    let several = |(_, title, tally): Named<'_>| {
        (tally.distinct() > 1 || tally.others > 0).then(|| table(title, tally))
    };
    named(evidence, parts).into_iter().filter_map(several).collect()
}

fn named<'a>(evidence: &'a Evidence, parts: &[Part]) -> Vec<Named<'a>> {
    let part = |part: &Part| match part {
        Part::User => ("User", "Users", &evidence.users),
        Part::Account => ("Account", "Accounts", &evidence.users),
        Part::Folder => ("Folder", "Folders", &evidence.folders),
        Part::File => ("File", "Files", &evidence.files),
        Part::Machine => ("Machine", "Machines", &evidence.instances),
        Part::Address => ("Address", "Addresses", &evidence.sources),
        Part::Reason => ("Reason", "Reasons", &evidence.reasons),
    };
    let mut parts: Vec<Named<'_>> = parts.iter().map(part).collect();
    // One action and one outcome are in the headline already.
    let several = |tally: &Tally| tally.distinct() > 1;
    parts.extend(several(&evidence.actions).then_some(("Action", "Actions", &evidence.actions)));
    parts.extend(several(&evidence.outcomes).then_some(("Outcome", "Outcomes", &evidence.outcomes)));
    parts
}

fn table(title: &'static str, tally: &Tally) -> Table {
    let shown = tally.top(TABLE_ROWS_MAX);
    let largest = shown.first().map_or(1, |(_, count)| (*count).max(1));
    let percent = |count: u64| ((count as f64 / largest as f64 * 100.0) as u64).clamp(1, 100);
    let rows: Vec<Row> = shown
        .into_iter()
        .map(|(value, count)| Row {
            value: text::line_of_ends(value, TABLE_VALUE_CHARS_MAX),
            count,
            percent: percent(count),
        })
        .collect();
    let hidden = tally.distinct() - rows.len();
    let counted = rows.iter().fold(0_u64, |sum, row| sum.saturating_add(row.count));
    let events = story::told(tally).saturating_sub(counted);
    let rest = match (hidden, tally.others) {
        (0, 0) => String::new(),
        (_, 0) => format!("and {hidden} more ({events})"),
        (_, _) => format!("and {hidden} or more others ({events})"),
    };
    let bars = rows.iter().any(|row| row.count < largest);
    Table { title, rows, rest, bars }
}

/// Example events, with the time of day, or the date too where they span days. What is said again and again is said
/// once.
pub(super) fn samples(evidence: &Evidence) -> Vec<Line> {
    let samples = || evidence.samples.iter().take(SAMPLES_MAX);
    let days: BTreeSet<i64> = samples().map(|sample| sample.time.second().div_euclid(DAY_S)).collect();
    let time = |time: Timestamp| {
        let iso = time.iso().trim_end_matches('Z').replace('T', " ");
        match iso.split_once(' ') {
            Some((_, of_day)) if days.len() <= 1 => of_day.to_owned(),
            _ => iso,
        }
    };
    let mut lines: Vec<Line> = Vec::new();
    for sample in samples() {
        let text = text::line(&sample.line, SAMPLE_LINE_BYTES_MAX);
        match lines.last_mut().filter(|line| line.text == text) {
            Some(line) => {
                line.times += 1;
                line.until = time(sample.time);
            }
            None => lines.push(Line { time: time(sample.time), text, times: 1, until: String::new() }),
        }
    }
    lines
}
