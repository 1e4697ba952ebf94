/*!
The mail about an incident after its first: that it goes on, with what is new, or that it is over.

The incident carries all of its evidence, so picture and tables are those of the whole, and the events those since the
last message.
*/

use nightbell_core::alarm::Contributor;
use nightbell_core::delivery::IncidentMessage;
use nightbell_core::incident::{Extreme, Note, NoteKind};

use super::alarm::{self, ABOUT_CHARS_MAX, ALARM_NAME_CHARS_MAX, Setting};
use super::kind::Kind;
use super::page::{self, Fact, Figure};
use super::story::{self, Deed, NAME_CHARS_MAX, Wording};
use super::{Written, course, moment, pictures, tables, text, words};
use crate::chart::Drawing;

/// Colour of a mail that says that something is over, and the same for dark grounds.
const OVER: (&str, &str) = ("#067647", "#56d68f");

/// Writes subject, text, HTML and picture.
pub(super) fn write(message: &IncidentMessage, setting: &Setting<'_>) -> Written {
    let IncidentMessage { alarm: watched, note, .. } = message;
    let incident = &note.incident;
    let over = note.kind == NoteKind::End;
    let kind = match others(note) {
        Some(_) => Kind::Others,
        None => Kind::of_events(&incident.evidence),
    };
    let look = kind.look();
    let bright = format!("#{:02x}{:02x}{:02x}", look.bright.0, look.bright.1, look.bright.2);
    let title = title(note);
    let samples = tables::samples(&note.news.evidence);
    let chart = others(note).is_none().then(|| course::chart(message, &look)).flatten();
    let (picture, image) = pictures::shown(chart.map(Drawing::Chart).as_ref(), setting);
    let started = incident.started.plain();
    let page = page::Alarm {
        title: title.clone(),
        state: if over { "OK" } else { "ALARM" },
        label: format!("{}: {}", look.label, if over { "over" } else { "goes on" }),
        accent: if over { OVER.0 } else { look.accent },
        bright: if over { OVER.1.to_owned() } else { bright },
        name: text::line(&incident.alarm_name, ALARM_NAME_CHARS_MAX),
        at: note.at.plain(),
        headline: headline(note),
        when: match incident.ended.filter(|_| over).map(|ended| ended.plain()) {
            Some(ended) => {
                let to = words::without_same_day(&started, &ended);
                format!("from {} to {to}", started.trim_end_matches(" UTC"))
            }
            None => format!("since {started}"),
        },
        about: text::line(watched.description.as_deref().unwrap_or_default(), ABOUT_CHARS_MAX),
        meaning: if over { String::new() } else { look.meaning.to_owned() },
        figures: figures(note, look.counted),
        facts: tables::facts(&incident.evidence, look.parts, incident.contributor.as_ref()),
        picture,
        tables: tables::tables(&incident.evidence, look.parts),
        samples_title: "New events, UTC",
        samples_left_out: note
            .news
            .evidence
            .events
            .saturating_sub(samples.iter().map(|line| line.times).sum()),
        samples,
        why: why(message),
        hops: Vec::new(),
        commands: alarm::commands(setting, watched, Some(&incident.id), !over),
        alarm_url: setting.origin.url_of(watched).unwrap_or_default(),
        unsubscribe_url: setting.reader.unsubscribe_url.unwrap_or_default().to_owned(),
        to: setting.reader.to.clone(),
        topic: setting.reader.topic.clone(),
        note: String::new(),
        trial: setting.trial,
    };
    let state = page.state;
    Written {
        subject: format!("[{state}] {title}"),
        text: page::plain_text(&page),
        html: Some(alarm::html(page, setting.template)),
        state: Some(state),
        inline: image.into_iter().collect(),
    }
}

/// `still: ann denied 42 times in \secret (12 min)`, `over: …`
fn title(note: &Note) -> String {
    let word = if note.kind == NoteKind::End { "over" } else { "still" };
    format!("{word}: {} ({})", told(note, Wording::Short), lasted(note))
}

fn headline(note: &Note) -> String {
    let told = told(note, Wording::Full);
    match note.kind {
        NoteKind::Update => format!("Still going on after {}: {told}", lasted(note)),
        NoteKind::End => format!("Over after {}: {told}", lasted(note)),
    }
}

/// What happened in all, or whom the alarm is about where no events tell.
fn told(note: &Note, wording: Wording) -> String {
    let incident = &note.incident;
    let name = text::line_of_ends(&incident.alarm_name, 2 * NAME_CHARS_MAX);
    if let Some(others) = others(note) {
        return format!("{name}: {}", words::too_many(others));
    }
    let attributes = incident.contributor.as_ref().map_or(&[][..], |contributor| &contributor.attributes);
    let telling = attributes.is_empty() || story::names_anything(&incident.evidence);
    let told = story::headline(&incident.evidence, wording).filter(|_| telling);
    told.unwrap_or_else(|| name + &words::attributes_tail(attributes))
}

/// Who stands for those that are no longer counted one by one, where it is about them.
fn others(note: &Note) -> Option<&Contributor> {
    note.incident.contributor.as_ref().filter(|contributor| moment::stands_for_others(contributor))
}

fn lasted(note: &Note) -> String {
    let until = note.incident.ended.unwrap_or(note.at);
    text::span(until.since(note.incident.started).max(0))
}

fn figures(note: &Note, counted: &str) -> Vec<Figure> {
    let incident = &note.incident;
    if others(note).is_some() {
        return Vec::new(); // its number is of nobody
    }
    let what = if counted.is_empty() { "counted" } else { counted };
    let mut figures = Vec::new();
    if let Deed::LogonAfterFailures { failures, .. } = story::deed(&incident.evidence) {
        let label = "failed logons in all".to_owned();
        figures.push(Figure { value: failures.to_string(), label });
    }
    figures.extend([
        Figure { value: text::number(incident.count), label: format!("{what} in all") },
        Figure { value: text::number(note.news.count), label: "since the last message".to_owned() },
    ]);
    if let Some(peak) = incident.peak {
        let worst = match incident.extreme {
            Extreme::Highest => "highest",
            Extreme::Lowest => "lowest",
        };
        let at = peak.at.iso();
        let at = at.split_once('T').map_or("", |(_, time)| time.get(..8).unwrap_or_default());
        figures.push(Figure { value: text::number(peak.value), label: format!("{worst} window, at {at}") });
    }
    figures
}

fn why(message: &IncidentMessage) -> Vec<Fact> {
    let IncidentMessage { alarm: watched, note, .. } = message;
    let incident = &note.incident;
    let fact = |label, value: String| Fact { label, value, note: String::new() };
    let mut why = vec![
        fact("Rule", alarm::rule(watched)),
        fact("Incident", text::line(&incident.id, NAME_CHARS_MAX)),
        fact("Message", format!("number {}, the one before at {}", note.number, note.since.plain())),
    ];
    if let Some(taken) = &incident.acknowledged {
        let who = text::line(&taken.who, NAME_CHARS_MAX);
        why.push(Fact { label: "Taken by", value: who, note: taken.at.plain() });
    }
    if incident.condensed {
        let value = "some details were given up to stay within memory".to_owned();
        why.push(fact("Evidence", value));
    }
    why
}
