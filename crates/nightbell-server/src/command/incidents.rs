/*!
`nightbell incidents`: what is going on, who takes care of it, and peace for a while.
*/

use std::io::IsTerminal;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use nightbell_core::evidence::{Evidence, Tally};
use nightbell_core::incident::{Extreme, Incident};
use nightbell_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ServerPlace;
use crate::admin::incidents::{AckRequest, ListAnswer, ListRequest, MuteRequest, ShowRequest};
use crate::clock;

/// Incidents shown unless told otherwise.
const LIST_DEFAULT: usize = 50;
/// Values of each kind that are shown.
const TOP: usize = 10;
/// Characters of a contributor in the list.
const CONTRIBUTOR_CHARS: usize = 60;

/// See what is going on, take it on, or mute it.
///
/// An incident is one stay of one contributor (a folder, a user, a machine) in ALARM, or of an alarm that counts all
/// together. It is told of when it starts, at doubling intervals while it lasts, and when it is over.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Incidents {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "\
Examples:
  nightbell incidents list --open                 what is going on now
  nightbell incidents show 901b3741132d8ef0       who, what, where and how often
  nightbell incidents ack 901b3741132d8ef0        no more updates; its end is still told
  nightbell incidents mute 901b3741132d8ef0 --for 2h
  nightbell incidents list --json | jq '.incidents[].count'";

#[derive(Subcommand)]
enum What {
    /// List incidents, newest first
    List(List),
    /// Show everything that is known of one
    Show(Show),
    /// Take care of one: it sends no more updates, only its end
    Ack(Ack),
    /// Let one send nothing for a while; its end is told when the mute is over
    Mute(Mute),
}

#[derive(Args)]
struct List {
    /// Only those that are not over
    #[arg(long)]
    open: bool,

    /// Only those of this alarm
    #[arg(long, value_name = "NAME")]
    alarm: Option<String>,

    /// At most so many, up to 1000
    #[arg(long, value_name = "N", default_value_t = LIST_DEFAULT)]
    limit: usize,

    #[command(flatten)]
    asked: Asked,
}

#[derive(Args)]
struct Show {
    /// Id of the incident, as the list and the mails show it
    id: String,

    #[command(flatten)]
    asked: Asked,
}

#[derive(Args)]
struct Ack {
    /// Id of the incident
    id: String,

    /// Who takes care of it (default: the user's name, where the environment tells one)
    #[arg(
        long,
        value_name = "WHO",
        env = "USER",
        hide_env = true,
        default_value = "the command line",
        hide_default_value = true
    )]
    by: String,

    #[command(flatten)]
    asked: Asked,
}

#[derive(Args)]
struct Mute {
    /// Id of the incident
    id: String,

    /// For how long: 30m, 2h, 3d, at most 30d; 0 ends a mute
    #[arg(long = "for", value_name = "TIME", value_parser = length_ms)]
    for_ms: i64,

    #[command(flatten)]
    asked: Asked,
}

/// What every one of these takes.
#[derive(Args)]
struct Asked {
    /// Print JSON for scripts: times are milliseconds since 1970
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerPlace,
}

impl Incidents {
    /// Asks the server and prints its answer.
    #[allow(clippy::print_stdout)] // this is where the terminal is spoken to
    pub(crate) fn run(&self) -> Result<()> {
        match &self.what {
            What::List(list) => {
                let request =
                    ListRequest { open: list.open, alarm: list.alarm.clone(), limit: Some(list.limit) };
                let answer: ListAnswer = list.asked.ask("/_nightbell/incidents", &request)?;
                list.asked.print(&answer, |answer| table(answer, clock::now()))
            }
            What::Show(show) => {
                let request = ShowRequest { id: show.id.clone() };
                let incident: Incident = show.asked.ask("/_nightbell/incidents/show", &request)?;
                show.asked.print(&incident, whole)
            }
            What::Ack(ack) => {
                let request = AckRequest { id: ack.id.clone(), who: ack.by.clone() };
                let incident: Incident = ack.asked.ask("/_nightbell/incidents/ack", &request)?;
                let Some(taken) = &incident.acknowledged else {
                    bail!("the server has not noted it yet; look again with `nightbell incidents show`");
                };
                let who = clean(&taken.who);
                ack.asked.print(&incident, |_| {
                    format!(
                        "{who} takes care of it since {}; no more updates, only its end\n",
                        taken.at.plain()
                    )
                })
            }
            What::Mute(mute) => {
                let request = MuteRequest { id: mute.id.clone(), for_ms: mute.for_ms };
                let incident: Incident = mute.asked.ask("/_nightbell/incidents/mute", &request)?;
                mute.asked.print(&incident, |incident| match incident.muted_until {
                    Some(until) => format!("muted until {}\n", until.plain()),
                    None => "not muted\n".to_owned(),
                })
            }
        }
    }
}

impl Asked {
    fn ask<T: DeserializeOwned>(&self, path: &str, request: &impl Serialize) -> Result<T> {
        let client = self.server.client()?;
        let answer = super::runtime()?.block_on(client.own(path, serde_json::to_vec(request)?))?;
        serde_json::from_slice(&answer).context("the server's answer is not right")
    }

    #[allow(clippy::print_stdout)] // this is where the terminal is spoken to
    fn print<T: Serialize>(&self, answer: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        if self.json {
            let pretty = std::io::stdout().is_terminal();
            let json =
                if pretty { serde_json::to_string_pretty(answer) } else { serde_json::to_string(answer) };
            println!("{}", json.context("the answer cannot be written as JSON")?);
        } else {
            print!("{}", text(answer));
        }
        Ok(())
    }
}

/// A line for each incident.
fn table(answer: &ListAnswer, now: Timestamp) -> String {
    if answer.incidents.is_empty() {
        return "no incidents\n".to_owned();
    }
    let mut rows = vec![["ID", "STATE", "STARTED (UTC)", "LASTED", "COUNT", "ALARM"].map(str::to_owned)];
    for incident in &answer.incidents {
        let alarm = match &incident.contributor {
            Some(one) => {
                format!("{} ({})", clean(&incident.alarm_name), clean(&one.text(CONTRIBUTOR_CHARS)))
            }
            None => clean(&incident.alarm_name),
        };
        let until = incident.ended.unwrap_or(now);
        rows.push([
            incident.id.clone(),
            state(incident, now).to_owned(),
            incident.started.plain().trim_end_matches(" UTC").to_owned(),
            span(until.since(incident.started)),
            incident.count.to_string(),
            alarm,
        ]);
    }
    let mut text = columns(&rows);
    if answer.more {
        text += "there are more: see them with --limit, or narrow the list with --open or --alarm\n";
    }
    text
}

fn state(incident: &Incident, now: Timestamp) -> &'static str {
    match incident {
        Incident { ended: Some(_), .. } => "over",
        Incident { acknowledged: Some(_), .. } => "taken",
        Incident { muted_until: Some(until), .. } if *until > now => "muted",
        _ => "open",
    }
}

/// Everything that is known of one incident.
fn whole(incident: &Incident) -> String {
    let mut facts = vec![
        ("Incident", incident.id.clone()),
        ("Alarm", clean(&incident.alarm_name)),
        ("Started", incident.started.plain()),
    ];
    for (name, value) in incident.contributor.iter().flat_map(|one| &one.attributes) {
        facts.insert(2, ("For", format!("{}={}", clean(name), clean(value))));
    }
    match incident.ended {
        Some(ended) => {
            let lasted = span(ended.since(incident.started));
            facts.push(("Ended", format!("{}, after {lasted}", ended.plain())));
        }
        None => facts.push(("Ended", "not yet".to_owned())),
    }
    facts.push(("Count", incident.count.to_string()));
    if let Some(peak) = incident.peak {
        let worst = if incident.extreme == Extreme::Highest { "highest" } else { "lowest" };
        facts.push(("Peak", format!("{} ({worst} window, to {})", peak.value, peak.at.plain())));
    }
    if let (Some(first), Some(last)) = (incident.evidence.first, incident.evidence.last) {
        facts
            .push(("Events", format!("{}, {} to {}", incident.evidence.events, first.plain(), last.plain())));
    }
    facts.push(("Messages", messages(incident)));
    if let Some(taken) = &incident.acknowledged {
        facts.push(("Taken by", format!("{}, {}", clean(&taken.who), taken.at.plain())));
    }
    if let Some(until) = incident.muted_until {
        facts.push(("Muted until", until.plain()));
    }
    if incident.condensed {
        facts.push(("Note", "some details were given up to stay within memory".to_owned()));
    }
    let rows: Vec<[String; 2]> = facts.into_iter().map(|(name, value)| [name.to_owned(), value]).collect();
    let mut text = columns(&rows);
    text += &tables(&incident.evidence);
    text += &samples(incident);
    text
}

fn messages(incident: &Incident) -> String {
    let mut text = incident.told.to_string();
    if let Some(at) = incident.told_at {
        text += &format!(", the last at {}", at.plain());
    }
    if incident.news.points > 0 {
        text += &format!("; {} since then", incident.news.count);
    }
    if let Some(next) = incident.next_message() {
        text += &format!("; the next at {}", next.plain());
    }
    text
}

fn tables(evidence: &Evidence) -> String {
    let all: [(&str, &Tally); 8] = [
        ("Users", &evidence.users),
        ("Folders", &evidence.folders),
        ("Files", &evidence.files),
        ("Machines", &evidence.instances),
        ("Addresses", &evidence.sources),
        ("Actions", &evidence.actions),
        ("Outcomes", &evidence.outcomes),
        ("Reasons", &evidence.reasons),
    ];
    let mut text = String::new();
    for (name, tally) in all.into_iter().filter(|(_, tally)| !tally.is_empty()) {
        text += &format!("\n{name}\n");
        let top = tally.top(TOP);
        let shown: u64 = top.iter().map(|(_, count)| count).sum();
        for (value, count) in &top {
            text += &format!("{count:>8}  {}\n", clean(value));
        }
        let all = tally.counts.iter().fold(tally.others, |sum, (_, count)| sum.saturating_add(*count));
        if all > shown {
            text += &format!("{:>8}  others\n", all - shown);
        }
    }
    text
}

fn samples(incident: &Incident) -> String {
    let first = &incident.evidence.samples;
    let last = incident.last_sample.iter().filter(|last| !first.contains(last));
    let mut text = String::new();
    for sample in first.iter().chain(last) {
        if text.is_empty() {
            text += "\nEvents, the first and the last\n";
        }
        text += &format!("  {}  {}\n", sample.time.plain(), clean(&sample.line));
    }
    text
}

/// Rows with columns as wide as their widest cell; the last column ends where it ends.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &format!("{cell:<width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// `42s`, `12m`, `3h 20m`, `2d 4h`
fn span(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        ..MINUTE_MS => format!("{}s", ms / SECOND_MS),
        MINUTE_MS..HOUR_MS => format!("{}m", ms / MINUTE_MS),
        HOUR_MS..DAY_MS => format!("{}h {}m", ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS),
        _ => format!("{}d {}h", ms / DAY_MS, ms % DAY_MS / HOUR_MS),
    }
}

/// `30m`, `2h`, `3d`; `0`.
fn length_ms(text: &str) -> Result<i64, String> {
    let wrong = || "write a time such as 30m, 2h or 3d; 0 ends a mute".to_owned();
    if text == "0" {
        return Ok(0);
    }
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let unit_ms = match unit {
        's' => SECOND_MS,
        'm' => MINUTE_MS,
        'h' => HOUR_MS,
        'd' => DAY_MS,
        _ => return Err(wrong()),
    };
    let number = text[..text.len() - 1].parse::<u32>().map_err(|_| wrong())?;
    i64::from(number).checked_mul(unit_ms).ok_or_else(wrong)
}

/// Text of an event, so that it cannot speak to the terminal or turn its direction.
pub(super) fn clean(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_written() {
        for (text, ms) in
            [("0", 0), ("45s", 45_000), ("30m", 1_800_000), ("2h", 7_200_000), ("3d", 259_200_000)]
        {
            assert_eq!(length_ms(text), Ok(ms), "{text}");
        }
        for wrong in ["", "h", "2", "-1h", "2 h", "2w", "99999999999h", "1ü"] {
            assert!(length_ms(wrong).is_err(), "{wrong}");
        }
        let spans = [42_000, 720_000, 12_000_000, 187_200_000, -5].map(span);
        assert_eq!(spans, ["42s", "12m", "3h 20m", "2d 4h", "0s"]);
    }

    #[test]
    fn hostile_text_cannot_speak_to_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}c\nd"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d");
    }
}
