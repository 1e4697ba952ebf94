/*!
The mail of an alarm that changed its state: subject, text, HTML and picture.

Takes everything from the [`Transition`]: the evidence travelled with it, so nothing is looked up. Words come from
`words` and `story`, rows from `tables`, colours and advice from `kind`; this file says why the alarm fired and arranges
the rest.
*/

use nightbell_core::alarm::{MetricAlarm, State, Transition};
use nightbell_core::time::Timestamp;

use super::kind::{Kind, Look};
use super::page::{self, Command, Fact, Figure, Picture};
use super::story::NAME_CHARS_MAX;
use super::template::Template;
use super::{Attachment, Origin, Reader, Written, classic, hops, moment, tables, text, words};
use crate::chart::{self, Chart};

/// Characters of an alarm's name as it is shown.
const ALARM_NAME_CHARS_MAX: usize = 255;
/// Characters of a description above the facts.
const ABOUT_CHARS_MAX: usize = 300;
/// Pixels of a picture for each CSS pixel: sharp on telephones and on most screens.
const PICTURE_SCALE: f32 = 2.0;
/// Blocks of the curve in the text part.
const SPARKLINE_CHARS_MAX: usize = 48;

/// What surrounds an alarm's mail.
pub(super) struct Setting<'a> {
    pub(super) origin: &'a Origin,
    pub(super) reader: &'a Reader<'a>,
    /// The topic's own template, where it has one.
    pub(super) template: Option<&'a Template>,
    /// When the mail is written.
    pub(super) now: Timestamp,
    /// The delivery's id and domain: they name the picture.
    pub(super) content_id: &'a str,
}

/// Writes subject, text, HTML and picture.
pub(super) fn write(transition: &Transition, setting: &Setting<'_>) -> Written {
    let alarm = &transition.alarm;
    let look = Kind::of(transition).look();
    let curve = moment::curve(transition);
    let chart = (!curve.is_empty()).then(|| drawn(transition, curve, &look));
    let image = chart.as_ref().and_then(|chart| chart::png(chart, PICTURE_SCALE).ok());
    let picture = chart.as_ref().map(|chart| Picture {
        cid: if image.is_some() { setting.content_id.to_owned() } else { String::new() },
        alt: chart::alt(chart),
        sparkline: chart::sparkline(chart, SPARKLINE_CHARS_MAX),
    });
    let title = words::title(transition);
    let samples = tables::samples(&transition.evidence);
    let alarm_url = setting.origin.alarm_url(transition);
    let page = page::Alarm {
        title: title.clone(),
        state: transition.to.name(),
        label: look.label,
        accent: look.accent,
        bright: format!("#{:02x}{:02x}{:02x}", look.bright.0, look.bright.1, look.bright.2),
        name: text::line(&alarm.name, ALARM_NAME_CHARS_MAX),
        at: transition.at.plain(),
        headline: words::headline(transition),
        when: words::when(transition),
        about: text::line(alarm.description.as_deref().unwrap_or_default(), ABOUT_CHARS_MAX),
        meaning: look.meaning,
        figures: figures(transition, &look, setting.now),
        facts: tables::facts(&transition.evidence, look.parts),
        picture,
        tables: tables::tables(&transition.evidence, look.parts),
        samples_left_out: transition
            .evidence
            .events
            .saturating_sub(samples.iter().map(|line| line.times).sum()),
        samples,
        why: why(transition),
        hops: hops::hops(transition, setting.now),
        commands: commands(alarm),
        alarm_url: alarm_url.clone().unwrap_or_default(),
        unsubscribe_url: setting.reader.unsubscribe_url.unwrap_or_default().to_owned(),
        to: setting.reader.to.clone(),
        topic: setting.reader.topic.clone(),
        note: String::new(),
    };
    let classic = classic::alarm_text(transition, alarm_url.as_deref());
    Written {
        subject: format!("[{}] {title}", transition.to.name()),
        text: page::alarm_text(&page, &classic),
        html: Some(html(page, setting.template)),
        state: Some(transition.to.name()),
        inline: image.map(|png| Attachment::picture(setting.content_id, png)).into_iter().collect(),
    }
}

/// By the topic's template; by the built-in one with a note where that fails.
fn html(mut page: page::Alarm, template: Option<&Template>) -> String {
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
        threshold: Some(alarm.threshold),
        band: None,
        breach: moment::breach(alarm),
        fired_at: (transition.to == State::Alarm).then_some(transition.at),
        period_s: alarm.period_s,
        accent: look.bright,
    }
}

/// The numbers that stand large: the value, the line, how fast it was told.
fn figures(transition: &Transition, look: &Look, now: Timestamp) -> Vec<Figure> {
    let alarm = &transition.alarm;
    let window = text::window(moment::window_ms(transition));
    let mut figures = Vec::new();
    if let Some(value) = transition.value {
        let what = match look.counted {
            "" => moment::statistic(alarm),
            counted => counted.to_owned(),
        };
        figures.push(Figure { value: text::number(value), label: format!("{what} in {window}") });
    }
    let value = format!("{} {}", moment::sign(alarm), text::number(alarm.threshold));
    figures.push(Figure { value, label: "is the line".to_owned() });
    if let Some(span) = hops::whole(transition, now) {
        figures.push(Figure { value: span, label: "last event to mail".to_owned() });
    }
    figures
}

/// Why the state changed.
fn why(transition: &Transition) -> Vec<Fact> {
    let alarm = &transition.alarm;
    let mut why = vec![Fact { label: "Rule", value: rule(alarm), note: measured_note(transition) }];
    if let Some((from, to)) = transition.window {
        let value = format!("{} to {}", from.plain().trim_end_matches(" UTC"), to.plain());
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
fn rule(alarm: &MetricAlarm) -> String {
    let statistic = moment::statistic(alarm);
    let (sign, threshold) = (moment::sign(alarm), text::number(alarm.threshold));
    let period = text::window(moment::period_ms(alarm));
    let n = alarm.evaluation_periods;
    match alarm.datapoints_to_alarm.unwrap_or(n) {
        _ if n <= 1 => format!("{statistic} {sign} {threshold} in {period}"),
        m if m == n => format!("{statistic} {sign} {threshold} in each of the last {n} periods of {period}"),
        m => format!("{statistic} {sign} {threshold} in {m} of the last {n} periods of {period}"),
    }
}

fn measured_note(transition: &Transition) -> String {
    transition.value.map_or_else(|| "no value".to_owned(), |value| format!("was {}", text::number(value)))
}

/// Commands that can be copied; none for a name that can't be shown as it is.
fn commands(alarm: &MetricAlarm) -> Vec<Command> {
    if text::line(&alarm.name, ALARM_NAME_CHARS_MAX) != alarm.name {
        return Vec::new();
    }
    let region = text::line(moment::region(alarm), NAME_CHARS_MAX);
    let (name, region) = (quoted(&alarm.name), quoted(&region));
    [
        ("What it did before", "describe-alarm-history", "--alarm-name"),
        ("No more mail from it", "disable-alarm-actions", "--alarm-names"),
        ("Mail from it again", "enable-alarm-actions", "--alarm-names"),
    ]
    .into_iter()
    .map(|(label, operation, option)| Command {
        label,
        line: format!("aws cloudwatch {operation} --region {region} {option} {name}"),
    })
    .collect()
}

/// `value` as one word of a shell.
fn quoted(value: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '+' | ',');
    match !value.is_empty() && !value.starts_with('-') && value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(rest).collect()
}
