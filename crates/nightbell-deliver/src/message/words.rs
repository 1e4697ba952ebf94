/*!
What an alarm's mail says in one line: its title, its headline, and when.

Where events stand behind the number, `story` tells them; else the number speaks.
*/

use nightbell_core::alarm::{Contributor, State, Transition};

use super::kind::Kind;
use super::story::{self, NAME_CHARS_MAX, Wording};
use super::{moment, text};

/// Dimensions named in a sentence.
const DIMENSIONS_SAID_MAX: usize = 3;
/// Characters of what is said to be usual.
const USUAL_CHARS_MAX: usize = 120;
/// Characters of a headline that was put into words elsewhere.
const HEADLINE_CHARS_MAX: usize = 200;

/// The subject without its state: `ann denied 6 times in \secret (1 min)`, or `name: Sum 6 > 5 (1 min)` where no
/// events stand behind the number or the alarm is not in ALARM.
pub(super) fn title(transition: &Transition) -> String {
    if moment::is_silence(transition) {
        return silence(transition);
    }
    if let Some(others) = others(transition) {
        return others;
    }
    let window = text::window(moment::window_ms(transition));
    match told(transition, Wording::Short) {
        Some(told) if is_unusual(transition) => return format!("unusual: {told} ({window})"),
        Some(told) => return format!("{told} ({window})"),
        None => {}
    }
    let alarm = &transition.alarm;
    let about = text::line_of_ends(&alarm.name, 2 * NAME_CHARS_MAX);
    let judged = match (transition.value, transition.to) {
        _ if is_unusual(transition) && transition.usual.is_some() => {
            text::line(transition.usual.as_deref().unwrap_or_default(), USUAL_CHARS_MAX)
        }
        (Some(value), State::Alarm) => measured(transition, value, &moment::limit(alarm)),
        (Some(value), State::Ok) => measured(transition, value, &moment::opposite_limit(alarm)),
        _ if moment::is_set_by_hand(transition) => format!("set to {}", transition.to.name()),
        (None, State::Ok) => "back to OK".to_owned(),
        (None, State::Alarm) => "no data".to_owned(),
        (_, State::InsufficientData) => "too little data".to_owned(),
    };
    format!("{about}: {judged} ({}){}", moment::periods_short(alarm), counted_for_tail(transition))
}

/// Whether it fired because the number is not as usual.
pub(super) fn is_unusual(transition: &Transition) -> bool {
    Kind::of(transition) == Kind::Unusual
}

/// What the events of an alarm say; `None` where there are none.
fn told(transition: &Transition, wording: Wording) -> Option<String> {
    match Kind::of(transition) {
        Kind::Missing => missing(transition, wording),
        _ if transition.contributor.is_some() && !story::names_anything(&transition.evidence) => None,
        _ if transition.to == State::Alarm => story::headline(&transition.evidence, wording),
        _ => None,
    }
}

/// `12 events of security on fs-1 are missing`, with their numbers where it is one gap.
fn missing(transition: &Transition, wording: Wording) -> Option<String> {
    let samples = &transition.evidence.samples;
    if let ([gap], Wording::Full) = (samples.as_slice(), wording) {
        // When is said beside the headline.
        let told = gap.line.split(", between ").next().unwrap_or_default();
        return Some(text::line(told, HEADLINE_CHARS_MAX));
    }
    let value = transition.value?;
    let counted_for = moment::counted_for(transition);
    let named = |wanted: &str| {
        let found = counted_for.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| text::line_of_ends(value, NAME_CHARS_MAX))
    };
    let of = named("Channel").map(|channel| format!(" of {channel}")).unwrap_or_default();
    let on = named("Instance").map(|machine| format!(" on {machine}")).unwrap_or_default();
    let (events, are) = if value == 1.0 { ("event", "is") } else { ("events", "are") };
    Some(format!("{} {events}{of}{on} {are} missing", text::number(value)))
}

/// `Sum 6 > 5`
fn measured(transition: &Transition, value: f64, limit: &str) -> String {
    format!("{} {} {limit}", moment::statistic(&transition.alarm), text::number(value))
}

/// `fs01 has been silent for 10 min`
fn silence(transition: &Transition) -> String {
    let values = moment::counted_for(transition).iter().take(DIMENSIONS_SAID_MAX);
    let values: Vec<String> = values.map(|(_, value)| text::line_of_ends(value, NAME_CHARS_MAX)).collect();
    let who = match values.is_empty() {
        true => text::line_of_ends(&transition.alarm.name, 2 * NAME_CHARS_MAX),
        false => values.join(", "),
    };
    format!("{who} has been silent for {}", text::window(moment::window_ms(transition)))
}

/// `failed-logons: too many users at once, …`, and that it is over; `None` where it speaks of somebody.
fn others(transition: &Transition) -> Option<String> {
    let contributor = transition.contributor.as_ref().filter(|_| moment::is_of_others(transition))?;
    let name = text::line_of_ends(&transition.alarm.name, 2 * NAME_CHARS_MAX);
    Some(match transition.to {
        State::Alarm => format!("{name}: {}", too_many(contributor)),
        _ => format!("{name}: all {} are counted one by one again", counted_one_by_one(contributor)),
    })
}

/// `too many users at once, those that counted least are no longer counted one by one`
pub(super) fn too_many(contributor: &Contributor) -> String {
    let what = counted_one_by_one(contributor);
    format!("too many {what} at once, those that counted least are no longer counted one by one")
}

fn counted_one_by_one(contributor: &Contributor) -> &'static str {
    contributors(&contributor.attributes).1
}

/// What contributors with these attributes are called, one and several of them.
pub(super) fn contributors(attributes: &[(String, String)]) -> (&'static str, &'static str) {
    match attributes {
        [(name, _)] => match name.as_str() {
            "Account" | "User" => ("user", "users"),
            "Source" => ("address", "addresses"),
            "Instance" => ("machine", "machines"),
            "Folder" => ("folder", "folders"),
            "Share" => ("share", "shares"),
            _ => ("contributor", "contributors"),
        },
        _ => ("contributor", "contributors"),
    }
}

/// `, Folder=\secret`: what it was counted for.
fn counted_for_tail(transition: &Transition) -> String {
    attributes_tail(moment::counted_for(transition))
}

/// `, Folder=\secret`
pub(super) fn attributes_tail(attributes: &[(String, String)]) -> String {
    let dimensions = attributes.iter().take(DIMENSIONS_SAID_MAX);
    dimensions
        .map(|(name, value)| {
            format!(", {}={}", text::line(name, NAME_CHARS_MAX), text::line_of_ends(value, NAME_CHARS_MAX))
        })
        .collect()
}

/// What happened, as a sentence without its end and without when.
pub(super) fn headline(transition: &Transition) -> String {
    let alarm = &transition.alarm;
    if moment::is_silence(transition) {
        return silence(transition);
    }
    if let Some(others) = others(transition) {
        return others;
    }
    if let Some(told) = told(transition, Wording::Full) {
        return told;
    }
    let metric = moment::metric(alarm);
    let statistic = moment::statistic(alarm);
    let for_what = counted_for_tail(transition);
    match (transition.value, transition.to) {
        _ if moment::is_set_by_hand(transition) => {
            let name = text::line_of_ends(&alarm.name, 2 * NAME_CHARS_MAX);
            format!("{name} was set to {}", transition.to.name())
        }
        (_, State::InsufficientData) => {
            format!("Too little data to judge {statistic} of {metric}{for_what}")
        }
        (Some(value), State::Alarm) if !transition.evidence.is_empty() => {
            let name = text::line_of_ends(&alarm.name, 2 * NAME_CHARS_MAX);
            format!("{name}: {statistic} of {metric} was {}{for_what}", text::number(value))
        }
        (Some(value), State::Alarm) => {
            format!("{statistic} of {metric} was {}{for_what}", text::number(value))
        }
        (Some(value), State::Ok) => {
            format!("Back to OK: {statistic} of {metric} was {}{for_what}", text::number(value))
        }
        (None, State::Ok) => format!("Back to OK: {statistic} of {metric}{for_what}"),
        (None, State::Alarm) => format!("No data for {statistic} of {metric}{for_what}"),
    }
}

/// `between 2026-09-14 05:42:01 and 05:42:43 UTC`, or when the state changed where no event tells.
pub(super) fn when(transition: &Transition) -> String {
    let evidence = &transition.evidence;
    if moment::is_of_others(transition) {
        return format!("since {}", transition.at.plain());
    }
    match (evidence.first, evidence.last) {
        (Some(first), Some(last)) if evidence.events > 0 && first.second() != last.second() => {
            let (first, last) = (first.plain(), last.plain());
            format!("between {} and {}", first.trim_end_matches(" UTC"), without_same_day(&first, &last))
        }
        (Some(first), Some(_)) if evidence.events > 0 => format!("at {}", first.plain()),
        _ => match transition.window {
            Some((from, to)) => {
                let (from, to) = (from.plain(), to.plain());
                format!("from {} to {}", from.trim_end_matches(" UTC"), without_same_day(&from, &to))
            }
            None => format!("at {}", transition.at.plain()),
        },
    }
}

/// `Usually 0–3 on Sunday nights (00–06), now 41.`; empty where that is not known.
pub(super) fn usual(transition: &Transition) -> String {
    let told = text::line(transition.usual.as_deref().unwrap_or_default(), USUAL_CHARS_MAX);
    let mut rest = told.chars();
    match rest.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), rest.as_str()),
        None => String::new(),
    }
}

/// `last` without its date where `first` has the same.
pub(super) fn without_same_day<'a>(first: &str, last: &'a str) -> &'a str {
    match (first.split_once(' '), last.split_once(' ')) {
        (Some((day, _)), Some((same, time))) if day == same => time,
        _ => last,
    }
}
