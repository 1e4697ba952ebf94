/*!
The mail of an alarm that changed its state: subject, text and HTML.

Takes everything from the [`Transition`]: the evidence travelled with it, so nothing is looked up. Words for what
happened come from `story`; this file says why the alarm fired and arranges the rest.
*/

use std::collections::BTreeSet;

use nightbell_core::alarm::{Comparison, MetricAlarm, State, Transition};
use nightbell_core::evidence::{Evidence, SAMPLE_LINE_BYTES_MAX, SAMPLES_MAX, Tally};
use nightbell_core::time::{SECOND_MS, Timestamp};

use super::page::{self, Fact, Line, Row, Table};
use super::story::{self, Deed, NAME_CHARS_MAX, Wording};
use super::{Origin, Reader, Written, classic, text};

/// Rows of a table of counts.
const TABLE_ROWS_MAX: usize = 5;
/// Characters of a value in a table.
const TABLE_VALUE_CHARS_MAX: usize = 120;
/// Characters of an alarm's name as it is shown.
const ALARM_NAME_CHARS_MAX: usize = 255;
/// Characters of a description above the facts.
const ABOUT_CHARS_MAX: usize = 300;
/// Seconds in a day.
const DAY_S: i64 = 86_400;
/// Dimensions named in a sentence.
const DIMENSIONS_SAID_MAX: usize = 3;

/// Writes subject, text and HTML.
pub(super) fn write(transition: &Transition, origin: &Origin, reader: &Reader<'_>) -> Written {
    let alarm = &transition.alarm;
    let title = title(transition);
    let name = text::line(&alarm.name, ALARM_NAME_CHARS_MAX);
    let about = alarm
        .description
        .as_deref()
        .map(|text| text::line(text, ABOUT_CHARS_MAX))
        .filter(|text| !text.is_empty());
    let samples = samples(&transition.evidence);
    let alarm_url = origin.alarm_url(transition);
    let history_command = history_command(alarm);
    let page = page::Alarm {
        title: &title,
        state: transition.to.name(),
        state_words: match transition.to {
            State::Alarm => "Alarm",
            State::Ok => "OK",
            State::InsufficientData => "Too little data",
        },
        tone: match transition.to {
            State::Alarm => "alarm",
            State::Ok => "ok",
            State::InsufficientData => "unknown",
        },
        name: &name,
        headline: &headline(transition),
        when: &when(transition),
        about: about.as_deref(),
        facts: &facts(&transition.evidence),
        why: &why(transition),
        tables: &tables(&transition.evidence),
        samples_left_out: transition
            .evidence
            .events
            .saturating_sub(samples.iter().map(|line| line.times).sum()),
        samples: &samples,
        history_command: history_command.as_deref(),
        alarm_url: alarm_url.as_deref(),
        unsubscribe_url: reader.unsubscribe_url,
        to: &reader.to,
        topic: &reader.topic,
        classic: &classic::alarm_text(transition, alarm_url.as_deref()),
    };
    Written {
        subject: format!("[{}] {title}", transition.to.name()),
        text: page::alarm_text(&page),
        html: Some(page::alarm_html(&page)),
        state: Some(transition.to.name()),
    }
}

/// The subject without its state: `ann denied 6 times in \secret (1 min)`, or `name: Sum 6 > 5 (1 min)` where no
/// events stand behind the number or the alarm is not in ALARM.
fn title(transition: &Transition) -> String {
    let told = (transition.to == State::Alarm).then(|| story::headline(&transition.evidence, Wording::Short));
    if let Some(told) = told.flatten() {
        return format!("{told} ({})", text::window(window_ms(transition)));
    }
    let alarm = &transition.alarm;
    let about = text::line_of_ends(&alarm.name, 2 * NAME_CHARS_MAX);
    let judged = match (transition.value, transition.to) {
        (Some(value), State::Alarm) => measured(alarm, value, sign(alarm.comparison)),
        (Some(value), State::Ok) => measured(alarm, value, opposite_sign(alarm.comparison)),
        _ if set_by_hand(transition) => format!("set to {}", transition.to.name()),
        (None, State::Ok) => "back to OK".to_owned(),
        (None, State::Alarm) => "no data".to_owned(),
        (_, State::InsufficientData) => "too little data".to_owned(),
    };
    format!("{about}: {judged} ({}){}", periods_short(alarm), dimensions_tail(alarm))
}

/// Whether somebody set the state rather than data: the reason is then none of those that an evaluation writes.
fn set_by_hand(transition: &Transition) -> bool {
    let judged = |start| transition.reason.starts_with(start);
    transition.value.is_none()
        && !judged("Threshold Crossed: no datapoints")
        && !judged("Insufficient Data: ")
}

/// `Sum 6 > 5`
fn measured(alarm: &MetricAlarm, value: f64, sign: &str) -> String {
    let statistic = text::line(&alarm.statistic, NAME_CHARS_MAX);
    format!("{statistic} {} {sign} {}", text::number(value), text::number(alarm.threshold))
}

/// `1 min`, `2 of 3 x 1 min`.
fn periods_short(alarm: &MetricAlarm) -> String {
    let period = text::window(period_ms(alarm));
    match (alarm.evaluation_periods, alarm.datapoints_to_alarm) {
        (0 | 1, _) => period,
        (n, Some(m)) if m != n => format!("{m} of {n} x {period}"),
        (n, _) => format!("{n} x {period}"),
    }
}

/// `, Folder=\secret`: what the series was counted for.
fn dimensions_tail(alarm: &MetricAlarm) -> String {
    let dimensions = alarm.series.dimensions.iter().take(DIMENSIONS_SAID_MAX);
    dimensions
        .map(|(name, value)| {
            format!(", {}={}", text::line(name, NAME_CHARS_MAX), text::line_of_ends(value, NAME_CHARS_MAX))
        })
        .collect()
}

/// What happened, as a sentence without its end and without when.
fn headline(transition: &Transition) -> String {
    let alarm = &transition.alarm;
    if transition.to == State::Alarm
        && let Some(told) = story::headline(&transition.evidence, Wording::Full)
    {
        return told;
    }
    let metric = text::line_of_ends(&alarm.series.name, 2 * NAME_CHARS_MAX);
    let statistic = text::line(&alarm.statistic, NAME_CHARS_MAX);
    let for_what = dimensions_tail(alarm);
    match (transition.value, transition.to) {
        _ if set_by_hand(transition) => {
            let name = text::line_of_ends(&alarm.name, 2 * NAME_CHARS_MAX);
            format!("{name} was set to {}", transition.to.name())
        }
        (_, State::InsufficientData) => {
            format!("Too little data to judge {statistic} of {metric}{for_what}")
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
fn when(transition: &Transition) -> String {
    let evidence = &transition.evidence;
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

/// `last` without its date where `first` has the same.
fn without_same_day<'a>(first: &str, last: &'a str) -> &'a str {
    match (first.split_once(' '), last.split_once(' ')) {
        (Some((day, _)), Some((same, time))) if day == same => time,
        _ => last,
    }
}

/// What all events have in common, and when they happened.
fn facts(evidence: &Evidence) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (label, _, tally) in parts(evidence) {
        if let Some((value, count)) = tally.counts.iter().next()
            && tally.counts.len() == 1
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

/// Why the state changed, and how fast that was seen.
fn why(transition: &Transition) -> Vec<Fact> {
    let mut why =
        vec![Fact { label: "Rule", value: rule(&transition.alarm), note: measured_note(transition) }];
    if let Some(late_ms) = transition.late_by_ms {
        let note = "the deciding event arrived that long after it happened".to_owned();
        why.push(Fact { label: "Late by", value: text::span(late_ms.max(0)), note });
    }
    why.extend(latency(transition));
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
    let statistic = text::line(&alarm.statistic, NAME_CHARS_MAX);
    let (sign, threshold) = (sign(alarm.comparison), text::number(alarm.threshold));
    let period = text::window(period_ms(alarm));
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

/// How long it took from the last event to the alarm; silent where clocks disagree or an event came late.
fn latency(transition: &Transition) -> Option<Fact> {
    let (last, arrival) = (transition.evidence.last?, transition.evidence.last_arrival?);
    let (arrival_ms, alarm_ms) = (arrival.since(last), transition.at.since(arrival));
    if transition.to != State::Alarm || transition.late_by_ms.is_some() || arrival_ms < 0 || alarm_ms < 0 {
        return None;
    }
    let note = format!("{} to arrive, {} to decide", text::span(arrival_ms), text::span(alarm_ms));
    Some(Fact { label: "Delay", value: text::span(arrival_ms.saturating_add(alarm_ms)), note })
}

/// The evidence's parts as label, table title and tally, in the order that suits what happened.
fn parts(evidence: &Evidence) -> Vec<(&'static str, &'static str, &Tally)> {
    let machine = ("Machine", "Machines", &evidence.instances);
    let address = ("Address", "Addresses", &evidence.sources);
    let reason = ("Reason", "Reasons", &evidence.reasons);
    let folder = ("Folder", "Folders", &evidence.folders);
    let file = ("File", "Files", &evidence.files);
    let on_account =
        matches!(story::deed(evidence), Deed::FailedLogon | Deed::Counted { on_account: true, .. });
    let mut parts = if on_account {
        vec![machine, ("Account", "Accounts", &evidence.users), address, reason, folder, file]
    } else {
        vec![("User", "Users", &evidence.users), folder, file, machine, address, reason]
    };
    // One action and one outcome are in the headline already.
    let several = |tally: &Tally| tally.counts.len() > 1;
    parts.extend(several(&evidence.actions).then_some(("Action", "Actions", &evidence.actions)));
    parts.extend(several(&evidence.outcomes).then_some(("Outcome", "Outcomes", &evidence.outcomes)));
    parts
}

/// Tables of everything there is more than one of.
fn tables(evidence: &Evidence) -> Vec<Table> {
    let several = |(_, title, tally): (&'static str, &'static str, &Tally)| {
        (tally.counts.len() > 1 || tally.others > 0).then(|| table(title, tally))
    };
    parts(evidence).into_iter().filter_map(several).collect()
}

fn table(title: &'static str, tally: &Tally) -> Table {
    let mut values: Vec<(&String, u64)> = tally.counts.iter().map(|(value, count)| (value, *count)).collect();
    values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let largest = values.first().map_or(1, |(_, count)| (*count).max(1));
    let percent = |count: u64| ((count as f64 / largest as f64 * 100.0) as u64).clamp(1, 100);
    let rows: Vec<Row> = values
        .iter()
        .take(TABLE_ROWS_MAX)
        .map(|&(value, count)| Row {
            value: text::line_of_ends(value, TABLE_VALUE_CHARS_MAX),
            count,
            percent: percent(count),
        })
        .collect();
    let hidden = values.len() - rows.len();
    let shown = rows.iter().fold(0_u64, |sum, row| sum.saturating_add(row.count));
    let events = story::told(tally).saturating_sub(shown);
    let rest = match (hidden, tally.others) {
        (0, 0) => String::new(),
        (_, 0) => format!("and {hidden} more ({events})"),
        (_, _) => format!("and more than {hidden} others ({events})"),
    };
    let bars = rows.iter().any(|row| row.count < largest);
    Table { title, rows, rest, bars }
}

/// Example events, with the time of day, or the date too where they span days. What is said again and again is said
/// once.
fn samples(evidence: &Evidence) -> Vec<Line> {
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

/// `aws cloudwatch describe-alarm-history --alarm-name 'a b'`; `None` for a name that can't be shown as it is.
fn history_command(alarm: &MetricAlarm) -> Option<String> {
    if text::line(&alarm.name, ALARM_NAME_CHARS_MAX) != alarm.name {
        return None;
    }
    let quoted = |value: &str| {
        let plain =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '+' | ',');
        match !value.is_empty() && !value.starts_with('-') && value.chars().all(plain) {
            true => value.to_owned(),
            false => format!("'{}'", value.replace('\'', r"'\''")),
        }
    };
    let region = text::line(&alarm.series.region, NAME_CHARS_MAX);
    let (name, region) = (quoted(&alarm.name), quoted(&region));
    Some(format!("aws cloudwatch describe-alarm-history --region {region} --alarm-name {name}"))
}

fn period_ms(alarm: &MetricAlarm) -> i64 {
    alarm.period_s.saturating_mul(SECOND_MS)
}

/// The length of the window that was counted.
fn window_ms(transition: &Transition) -> i64 {
    let alarm = &transition.alarm;
    match transition.window {
        Some((from, to)) if to > from => to.since(from),
        _ => period_ms(alarm).saturating_mul(i64::from(alarm.evaluation_periods.max(1))),
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::GreaterThanOrEqualToThreshold => ">=",
        Comparison::GreaterThanThreshold => ">",
        Comparison::LessThanThreshold => "<",
        Comparison::LessThanOrEqualToThreshold => "<=",
    }
}

fn opposite_sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::GreaterThanOrEqualToThreshold => "<",
        Comparison::GreaterThanThreshold => "<=",
        Comparison::LessThanThreshold => ">=",
        Comparison::LessThanOrEqualToThreshold => ">",
    }
}
