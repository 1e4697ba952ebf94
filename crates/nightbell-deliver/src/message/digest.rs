/*!
The mail that stands for many: one line for each incident that started, goes on or is over.

Sent where a topic's budget of messages is spent, so that each is named at once without a mail for each. What they share
is for `shares` to say.
*/

use std::collections::BTreeMap;

use nightbell_core::budget::{DIGEST_LINES_MAX, Digest, DigestLine, MessageKind};

use super::alarm::{self, ALARM_NAME_CHARS_MAX, Setting};
use super::page::{self, Command, Fact, Figure, Line, Row, Table};
use super::story::NAME_CHARS_MAX;
use super::{Written, pictures, text, words};
use crate::chart::Drawing;

mod shares;

/// Lines of a digest in its HTML part, which mail programs cut when it is long; the text part names all.
const HTML_LINES_MAX: usize = 100;
/// Alarms in the table of alarms.
const ALARMS_MAX: usize = 8;
/// What many at once mean.
const MEANING: &str = "More came at once than this topic sends one by one. Many machines or users together point to \
                       one cause: look at what they share first.";
/// Colour of a digest, and the same for dark grounds.
const COLOURS: (&str, &str) = ("#0f766e", "#5eead4");
/// The latter again: red, green, blue.
const BRIGHT: (u8, u8, u8) = (0x5e, 0xea, 0xd4);

/// Writes subject, text, HTML and picture.
pub(super) fn write(digest: &Digest, setting: &Setting<'_>) -> Written {
    let title = title(digest);
    let (since, at) = (digest.since.plain(), digest.at.plain());
    let to = words::without_same_day(&since, &at);
    let samples: Vec<Line> = digest.lines.iter().take(DIGEST_LINES_MAX).map(line).collect();
    let left_out = (digest.lines.len() - samples.len()) as u64;
    let tallied = &digest.tallied;
    let figure = |n: u64, label: &str| Figure { value: n.to_string(), label: label.to_owned() };
    let bars = shares::bars(digest, BRIGHT).map(Drawing::Bars);
    let (picture, image) = pictures::shown(bars.as_ref(), setting);
    let mut page = page::Alarm {
        title: title.clone(),
        state: if tallied.firsts + tallied.updates == 0 { "OK" } else { "ALARM" },
        label: "Many at once".to_owned(),
        accent: COLOURS.0,
        bright: COLOURS.1.to_owned(),
        name: match shares::alarm(digest) {
            Some(alarm) => text::line_of_ends(alarm, NAME_CHARS_MAX),
            None => format!("{} alarms", names(digest).len()),
        },
        at: at.clone(),
        headline: title.clone(),
        when: match since == at {
            true => format!("at {at}"),
            false => format!("between {} and {to}", since.trim_end_matches(" UTC")),
        },
        about: String::new(),
        meaning: MEANING.to_owned(),
        figures: vec![
            figure(tallied.firsts, "started"),
            figure(tallied.updates, "go on"),
            figure(tallied.ends, "are over"),
        ],
        facts: shares::facts(digest),
        picture,
        tables: table(digest).into_iter().collect(),
        samples_title: "Incidents, UTC",
        samples_left_out: digest.more.saturating_add(left_out),
        samples,
        why: vec![Fact { label: "Digest", value: format!("number {}", digest.number), note: at.clone() }],
        hops: Vec::new(),
        commands: commands(digest, setting),
        alarm_url: String::new(),
        unsubscribe_url: setting.reader.unsubscribe_url.unwrap_or_default().to_owned(),
        to: setting.reader.to.clone(),
        topic: setting.reader.topic.clone(),
        note: String::new(),
        trial: setting.trial,
    };
    let state = page.state;
    let text = page::plain_text(&page);
    let named_in_text = page.samples.len();
    page.samples.truncate(HTML_LINES_MAX);
    page.samples_left_out += (named_in_text - page.samples.len()) as u64;
    Written {
        subject: format!("[{state}] {title}"),
        text,
        html: Some(alarm::html(page, setting.template)),
        state: Some(state),
        inline: image.into_iter().collect(),
    }
}

/// `187 folders over the line in failed-opens, 4 go on: \share\a (9), \share\b (7) …`
fn title(digest: &Digest) -> String {
    let tallied = &digest.tallied;
    let mut parts = Vec::new();
    if tallied.firsts > 0 {
        parts.push(shares::started(digest));
    }
    for (n, one, many) in [(tallied.updates, "goes on", "go on"), (tallied.ends, "is over", "are over")] {
        if n > 0 {
            let noun = match (parts.is_empty(), n) {
                (false, _) => "",
                (true, 1) => "incident ",
                (true, _) => "incidents ",
            };
            parts.push(format!("{n} {noun}{}", if n == 1 { one } else { many }));
        }
    }
    if parts.is_empty() {
        return "nothing new".to_owned();
    }
    if tallied.firsts == 0
        && let Some(alarm) = shares::alarm(digest)
    {
        parts[0] += &format!(" in {}", text::line_of_ends(alarm, NAME_CHARS_MAX));
    }
    let names = shares::names(digest);
    parts.join(", ") + &if names.is_empty() { names } else { format!(": {names}") }
}

/// How to see all of them; none in a trial: they were never there.
fn commands(digest: &Digest, setting: &Setting<'_>) -> Vec<Command> {
    if setting.trial {
        return Vec::new();
    }
    let shown = |alarm: &&str| text::line(alarm, ALARM_NAME_CHARS_MAX) == **alarm;
    let of = shares::alarm(digest).filter(shown).map(|alarm| format!(" --alarm {}", alarm::quoted(alarm)));
    let line = format!("nightbell incidents list --open{}", of.unwrap_or_default());
    vec![
        Command { label: "All that last", line },
        Command {
            label: "Take one on: no more updates, only its end",
            line: "nightbell incidents ack ID".to_owned(),
        },
    ]
}

/// `started: denied-access, \share\secret (6), incident 901b3741132d8ef0`
fn line(line: &DigestLine) -> Line {
    let word = match line.kind {
        MessageKind::First => "started",
        MessageKind::Update => "goes on",
        MessageKind::End => "over",
    };
    let mut text = format!("{word}: {}", text::line_of_ends(&line.alarm, NAME_CHARS_MAX));
    text += &words::attributes_tail(&line.attributes);
    text += &format!(" ({})", text::number(line.value));
    if !line.incident.is_empty() {
        text += &format!(", incident {}", text::line(&line.incident, NAME_CHARS_MAX));
    }
    let at = line.at.iso();
    let time = at.trim_end_matches('Z').split_once('T').map_or("", |(_, time)| time).to_owned();
    Line { time, text, times: 1, until: String::new() }
}

fn names(digest: &Digest) -> BTreeMap<&str, u64> {
    let mut names: BTreeMap<&str, u64> = BTreeMap::new();
    for line in &digest.lines {
        *names.entry(&line.alarm).or_default() += 1;
    }
    names
}

/// Which alarms the lines are of, where there are several.
fn table(digest: &Digest) -> Option<Table> {
    let mut alarms: Vec<(&str, u64)> = names(digest).into_iter().collect();
    alarms.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let largest = alarms.first()?.1.max(1);
    let row = |&(name, count): &(&str, u64)| Row {
        value: text::line_of_ends(name, NAME_CHARS_MAX),
        count,
        percent: (count * 100 / largest).clamp(1, 100),
    };
    let rows: Vec<Row> = alarms.iter().take(ALARMS_MAX).map(row).collect();
    let hidden = alarms.len() - rows.len();
    let rest = if hidden > 0 { format!("and {hidden} more") } else { String::new() };
    let bars = rows.iter().any(|row| row.count < largest);
    (alarms.len() > 1).then_some(Table { title: "Alarms", rows, rest, bars })
}
