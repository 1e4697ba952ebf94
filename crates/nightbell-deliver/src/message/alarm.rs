/*!
The mail of an alarm that changed its state: subject, text, HTML and picture.

Takes everything from the [`Transition`]: the evidence travelled with it, so nothing is looked up. Words come from
`words` and `story`, rows from `tables`, colours and advice from `kind`; this file says why the alarm fired and arranges
the rest.
*/

use nightbell_core::alarm::{MetricAlarm, State, Transition};
use nightbell_core::time::Timestamp;

use super::kind::{Kind, Look};
use super::page::{self, Command, Fact, Figure};
use super::story::{self, Deed, NAME_CHARS_MAX};
use super::template::Template;
use super::{Origin, Pictures, Reader, Written, classic, hops, moment, pictures, tables, text, words};
use crate::chart::{Breach, Chart, Drawing};

/// Characters of an alarm's name as it is shown.
pub(super) const ALARM_NAME_CHARS_MAX: usize = 255;
/// Characters of a description above the facts.
pub(super) const ABOUT_CHARS_MAX: usize = 300;
/// The colour of what breached, in a mail whose own colour is another.
pub(super) const BREACHED: (u8, u8, u8) = (0xff, 0x7b, 0x72);

/// What surrounds an alarm's mail.
pub(super) struct Setting<'a> {
    pub(super) origin: &'a Origin,
    pub(super) reader: &'a Reader<'a>,
    /// The topic's own template, where it has one.
    pub(super) template: Option<&'a Template>,
    /// Pictures drawn lately.
    pub(super) pictures: Option<&'a Pictures>,
    /// When the mail is written.
    pub(super) now: Timestamp,
    /// The delivery's id and domain: they name the picture.
    pub(super) content_id: &'a str,
    /// Whether it is only shown what would have been sent.
    pub(super) trial: bool,
}

impl Setting<'_> {
    /// When the mail is sent, if it is.
    fn mailed(&self) -> Option<Timestamp> {
        (!self.trial).then_some(self.now)
    }
}

/// Writes subject, text, HTML and picture.
pub(super) fn write(transition: &Transition, setting: &Setting<'_>) -> Written {
    let alarm = &transition.alarm;
    let look = Kind::look_of(transition);
    let curve = moment::curve(transition);
    let chart = (!curve.is_empty()).then(|| Drawing::Chart(drawn(transition, curve, &look)));
    let (picture, image) = pictures::shown(chart.as_ref(), setting);
    let title = words::title(transition);
    let samples = tables::samples(&transition.evidence);
    let alarm_url = setting.origin.alarm_url(transition).filter(|_| !setting.trial);
    let page = page::Alarm {
        title: title.clone(),
        state: transition.to.name(),
        label: look.label.to_owned(),
        accent: look.accent,
        bright: format!("#{:02x}{:02x}{:02x}", look.bright.0, look.bright.1, look.bright.2),
        name: text::line(&alarm.name, ALARM_NAME_CHARS_MAX),
        at: transition.at.plain(),
        headline: words::headline(transition),
        when: words::when(transition),
        about: text::line(alarm.description.as_deref().unwrap_or_default(), ABOUT_CHARS_MAX),
        meaning: meaning(transition, &look),
        figures: figures(transition, &look, setting),
        facts: tables::facts(&transition.evidence, look.parts, transition.contributor.as_ref()),
        picture,
        tables: tables::tables(&transition.evidence, look.parts),
        samples_title: "Events, UTC",
        samples_left_out: transition
            .evidence
            .events
            .saturating_sub(samples.iter().map(|line| line.times).sum()),
        samples,
        why: why(transition),
        hops: hops::hops(transition, setting.mailed()),
        commands: commands(setting, alarm, transition.incident.as_deref(), transition.to == State::Alarm),
        alarm_url: alarm_url.clone().unwrap_or_default(),
        unsubscribe_url: setting.reader.unsubscribe_url.unwrap_or_default().to_owned(),
        to: setting.reader.to.clone(),
        topic: setting.reader.topic.clone(),
        note: String::new(),
        trial: setting.trial,
    };
    let classic = classic::alarm_text(transition, alarm_url.as_deref());
    Written {
        subject: format!("[{}] {title}", transition.to.name()),
        text: if setting.trial { page::plain_text(&page) } else { page::alarm_text(&page, &classic) },
        html: Some(html(page, setting.template)),
        state: Some(transition.to.name()),
        inline: image.into_iter().collect(),
    }
}

/// By the topic's template; by the built-in one with a note where that fails.
pub(super) fn html(mut page: page::Alarm, template: Option<&Template>) -> String {
    let Some(template) = template else { return page::alarm_html(&page) };
    match template.render(&page) {
        Ok(html) => html,
        Err(error) => {
            let reason = text::line(&error.to_string(), ABOUT_CHARS_MAX);
            page.note = format!("The topic's own template could not be used: {reason}");
            page::alarm_html(&page)
        }
    }
}

fn drawn(transition: &Transition, points: Vec<(Timestamp, f64)>, look: &Look) -> Chart {
    let alarm = &transition.alarm;
    let title = match look.counted {
        "" => text::line_of_ends(&moment::metric(alarm), NAME_CHARS_MAX),
        counted => capitalised(counted),
    };
    Chart {
        title,
        unit: format!("{} in {}", moment::statistic(alarm), text::window(moment::period_ms(alarm))),
        points,
        threshold: alarm.band.is_none().then_some(alarm.threshold),
        band: transition.band.clone(),
        breach: moment::breach(alarm),
        fired_at: (transition.to == State::Alarm).then_some(transition.at),
        marks: Vec::new(),
        period_s: alarm.period_s,
        // In a mail that all is well, what went before still stands out as what it was.
        accent: if transition.to == State::Ok { BREACHED } else { look.bright },
    }
}

/// The numbers that stand large: the value, the line, how fast it was told.
fn figures(transition: &Transition, look: &Look, setting: &Setting<'_>) -> Vec<Figure> {
    let alarm = &transition.alarm;
    let window = text::window(moment::window_ms(transition));
    let mut figures = Vec::new();
    let kind = Kind::of(transition);
    if kind == Kind::LogonAfterFailures
        && let Deed::LogonAfterFailures { failures, successes } = story::deed(&transition.evidence)
    {
        figures.push(Figure { value: failures.to_string(), label: format!("failed logons in {window}") });
        figures.push(Figure { value: successes.to_string(), label: "that succeeded".to_owned() });
    } else if kind == Kind::Others {
        // Its number is of nobody.
    } else if let Some(value) = transition.value {
        let what = match look.counted {
            "" => moment::statistic(alarm),
            counted if value == 1.0 => singular(counted),
            counted => counted.to_owned(),
        };
        figures.push(Figure { value: text::number(value), label: format!("{what} in {window}") });
    } else if moment::is_silence(transition) {
        figures.push(Figure { value: window, label: "without an event".to_owned() });
    }
    figures.extend(line(transition));
    if let Some((range, times)) = moment::usual(transition) {
        figures.push(Figure { value: range, label: format!("is usual on {times}") });
    }
    if let Some(late_ms) = transition.late_by_ms {
        figures.push(Figure { value: text::span(late_ms.max(0)), label: "late by".to_owned() });
    }
    if let Some(span) = setting.mailed().and_then(|at| hops::whole(transition, at)) {
        figures.push(Figure { value: span, label: "last event to mail".to_owned() });
    }
    figures
}

/// The line that the value is held against; of a band, the bound that counts.
fn line(transition: &Transition) -> Option<Figure> {
    let alarm = &transition.alarm;
    let figure = |value: String, label: &str| Some(Figure { value, label: label.to_owned() });
    if alarm.comparison.of_band().is_none() {
        return figure(moment::limit(alarm), "is the line");
    }
    let (lower, upper) = moment::last_band(transition)?;
    let (lower, upper) = (rounded(lower), rounded(upper));
    match moment::breach(alarm) {
        Breach::Under => figure(format!("< {lower}"), "is the line"),
        Breach::Outside => figure(format!("{lower} to {upper}"), "is the band"),
        _ => figure(format!("> {upper}"), "is the line"),
    }
}

/// A bound that was computed; its further digits say nothing.
fn rounded(value: f64) -> String {
    text::number((value * 10.0).round() / 10.0)
}

/// What the events mean, after what is usual where that was asked.
fn meaning(transition: &Transition, look: &Look) -> String {
    if Kind::of(transition) == Kind::Others {
        return text::line(&transition.reason, ABOUT_CHARS_MAX);
    }
    let usual = if words::is_unusual(transition) { words::usual(transition) } else { String::new() };
    [usual.as_str(), look.meaning].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Why the state changed.
fn why(transition: &Transition) -> Vec<Fact> {
    let alarm = &transition.alarm;
    let mut why = vec![Fact { label: "Rule", value: rule(alarm), note: measured_note(transition) }];
    if let Some((from, to)) = transition.window {
        let (from, to) = (from.plain(), to.plain());
        let to = words::without_same_day(&from, &to);
        let value = format!("{} to {to}", from.trim_end_matches(" UTC"));
        why.push(Fact { label: "Window", value, note: String::new() });
    }
    if let Some(late_ms) = transition.late_by_ms {
        let note = "the deciding event arrived that long after it happened".to_owned();
        why.push(Fact { label: "Late by", value: text::span(late_ms.max(0)), note });
    }
    if transition.value.is_none() {
        let value = text::line(&transition.reason, ABOUT_CHARS_MAX);
        why.push(Fact { label: "Reason", value, note: String::new() });
    }
    why.push(Fact {
        label: "State",
        value: format!("{} to {}", transition.from.name(), transition.to.name()),
        note: transition.at.plain(),
    });
    why
}

/// `Sum > 5 in 1 min`, `Average >= 90 in 2 of the last 3 periods of 1 min`.
pub(super) fn rule(alarm: &MetricAlarm) -> String {
    let statistic = moment::statistic(alarm);
    let limit = match alarm.comparison.of_band() {
        Some(_) => format!("{} the band of what is usual", moment::sign(alarm)),
        None => moment::limit(alarm),
    };
    let period = text::window(moment::period_ms(alarm));
    let n = alarm.evaluation_periods;
    match alarm.datapoints_to_alarm.unwrap_or(n) {
        _ if n <= 1 => format!("{statistic} {limit} in {period}"),
        m if m == n => format!("{statistic} {limit} in each of the last {n} periods of {period}"),
        m => format!("{statistic} {limit} in {m} of the last {n} periods of {period}"),
    }
}

fn measured_note(transition: &Transition) -> String {
    if moment::is_of_others(transition) {
        return String::new();
    }
    let Some(value) = transition.value else { return "no value".to_owned() };
    let band = moment::last_band(transition);
    let band = band.map(|(lower, upper)| format!(", band {} to {}", rounded(lower), rounded(upper)));
    format!("was {}{}", text::number(value), band.unwrap_or_default())
}

/// Commands that can be copied: about the incident, if it is one, and about the alarm. None that names what can't be
/// shown as it is, and none in a trial: what it is about was never there.
pub(super) fn commands(
    setting: &Setting<'_>,
    alarm: &MetricAlarm,
    incident: Option<&str>,
    lasts: bool,
) -> Vec<Command> {
    let mut commands = Vec::new();
    if setting.trial {
        return commands;
    }
    let hexadecimal = |id: &&str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(id) = incident.filter(|id| id.len() <= NAME_CHARS_MAX).filter(hexadecimal) {
        if lasts {
            let line = format!("nightbell incidents ack {id}");
            commands.push(Command { label: "Take it on: no more updates, only its end", line });
            let line = format!("nightbell incidents mute {id} --for 2h");
            commands.push(Command { label: "Nothing from it for two hours", line });
        }
        commands.push(Command { label: "All of it", line: format!("nightbell incidents show {id}") });
    }
    if text::line(&alarm.name, ALARM_NAME_CHARS_MAX) != alarm.name {
        return commands;
    }
    let region = text::line(moment::region(alarm), NAME_CHARS_MAX);
    let (name, region) = (quoted(&alarm.name), quoted(&region));
    let endpoint = endpoint_option(setting.origin);
    for (label, operation, option) in [
        ("What the alarm did before", "describe-alarm-history", "--alarm-name"),
        ("No more mail from the alarm", "disable-alarm-actions", "--alarm-names"),
        ("Mail from the alarm again", "enable-alarm-actions", "--alarm-names"),
    ] {
        let line = format!("aws cloudwatch {operation}{endpoint} --region {region} {option} {name}");
        commands.push(Command { label, line });
    }
    commands
}

/// What a command says so that it reaches the server that the mail came from; empty where that is not known.
pub(super) fn endpoint_option(origin: &Origin) -> String {
    origin.endpoint.as_deref().map(|url| format!(" --endpoint-url {}", quoted(url))).unwrap_or_default()
}

/// `value` as one word of a shell.
pub(super) fn quoted(value: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '+' | ',');
    match !value.is_empty() && !value.starts_with('-') && value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

/// `denied access` of `denied accesses`.
fn singular(plural: &str) -> String {
    let one = plural.strip_suffix("sses").map(|stem| format!("{stem}ss"));
    one.unwrap_or_else(|| plural.strip_suffix('s').unwrap_or(plural).to_owned())
}

pub(super) fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(rest).collect()
}
