/*!
A topic's own template for the HTML part of its alarms' mails.

Written by whoever may set the topic's attributes, so its work is bounded: a small part of the minijinja language that
can neither name files nor build ever longer values, an amount of fuel, and an end to what it writes. Event text is
escaped and nothing can switch that off. What it is filled with is documented in
docs/book/reference/message-templates.md.
*/

use std::io;

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, context};

use super::page::{self, Alarm, Command, Fact, Figure, Hop, Line, Picture, Row, Table};

/// Bytes of a template.
pub const TEMPLATE_BYTES_MAX: usize = 32_768;
/// Steps of one rendering.
pub const TEMPLATE_FUEL_MAX: u64 = 20_000;
/// Nesting of one rendering.
pub const TEMPLATE_DEPTH_MAX: usize = 32;
/// Bytes that a template may write: mail programs cut mails of more than 102 kB.
pub const TEMPLATE_OUTPUT_BYTES_MAX: usize = 100_000;

/// The statements of the language that may be used. Those left out set names, call themselves or read files.
const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];
/// Operators that make longer values of shorter ones.
const GROWING: [char; 3] = ['+', '*', '~'];
/// The name under which a template is known inside.
const NAME: &str = "template";

/// A template that was found good.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
}

/// Why a template was refused, or could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct TemplateError {
    /// The line, counted from one, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong, for whoever wrote it.
    pub reason: String,
}

impl Template {
    /// Whether `text` is a template that can be used: it parses, keeps the limits, and names only what is there, tried
    /// with an alarm that tells everything and one that tells almost nothing.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn check(text: &str) -> Result<(), TemplateError> {
        let template = Self::parse(text)?;
        template.render(&telling())?;
        template.render(&bare())?;
        Ok(())
    }

    /// The template that `text` is; it is not tried.
    ///
    /// # Errors
    ///
    /// It is too long, does not parse, or uses what is not offered.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let refused = |reason: String| TemplateError { line: None, reason };
        if text.trim().is_empty() {
            return Err(refused("the template is empty".to_owned()));
        }
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(refused(format!("the template has more than {TEMPLATE_BYTES_MAX} bytes")));
        }
        only_what_is_offered(text)?;
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_fuel(Some(TEMPLATE_FUEL_MAX));
        environment.set_recursion_limit(TEMPLATE_DEPTH_MAX);
        environment.add_filter("upper", |text: String| text.to_uppercase());
        environment.add_filter("lower", |text: String| text.to_lowercase());
        environment.add_filter("length", |value: Value| value.len());
        environment.add_filter("first", |value: Value| value.get_item_by_index(0).unwrap_or_default());
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| told(&error))?;
        Ok(Self { environment })
    }

    /// The HTML part of the mail about `alarm`.
    pub(super) fn render(&self, alarm: &Alarm) -> Result<String, TemplateError> {
        let body = Value::from_safe_string(page::alarm_body(alarm));
        let style = Value::from_safe_string(page::STYLE.to_owned());
        let values = context! { body, style, ..Value::from(Serde(alarm)) };
        let mut written = Capped::default();
        let template = self.environment.get_template(NAME).map_err(|error| told(&error))?;
        let rendered = template.render_captured_to(values, &mut written);
        if written.full {
            let reason = format!("the template writes more than {TEMPLATE_OUTPUT_BYTES_MAX} bytes");
            return Err(TemplateError { line: None, reason });
        }
        rendered.map_err(|error| told(&error))?;
        String::from_utf8(written.bytes)
            .map_err(|_| TemplateError { line: None, reason: "the template writes no text".to_owned() })
    }
}

fn told(error: &minijinja::Error) -> TemplateError {
    let reason = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("the template takes more than {TEMPLATE_FUEL_MAX} steps"),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    TemplateError { line: error.line(), reason }
}

/// Refuses statements and operators that are not offered. Looks at every place where code may begin, also in comments
/// and strings: what is refused there too is no loss.
fn only_what_is_offered(text: &str) -> Result<(), TemplateError> {
    let refused = |at: usize, what: String| {
        let line = text[..at].matches('\n').count() + 1;
        Err(TemplateError { line: Some(line), reason: format!("{what} is not offered to templates") })
    };
    for (at, _) in text.match_indices("{%") {
        let code = text[at + 2..].trim_start_matches(['-', '+']).trim_start();
        let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
        if !STATEMENTS.contains(&&code[..end]) {
            return refused(at, format!("the statement {:?}", crate::message::clean_line(&code[..end], 40)));
        }
        check_code(text, at, "%}").or_else(|c| refused(at, format!("the operator {c}")))?;
    }
    for (at, _) in text.match_indices("{{") {
        check_code(text, at, "}}").or_else(|c| refused(at, format!("the operator {c}")))?;
    }
    Ok(())
}

/// The first growing operator between the opening at `at` and the `closing`, outside of strings.
fn check_code(text: &str, at: usize, closing: &str) -> Result<(), char> {
    let code = text[at + 2..].strip_prefix(['-', '+']).unwrap_or(&text[at + 2..]);
    let mut quote: Option<char> = None;
    let mut rest = code.char_indices();
    while let Some((i, c)) = rest.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                rest.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '+') if code[i + 1..].starts_with(closing) => {}
            (None, c) if GROWING.contains(&c) => return Err(c),
            (None, _) if code[i..].starts_with(closing) => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

/// Takes what a template writes, up to the limit.
#[derive(Default)]
struct Capped {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > TEMPLATE_OUTPUT_BYTES_MAX {
            self.full = true;
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An alarm that tells everything, for trying a template.
fn telling() -> Alarm {
    let some = || "example".to_owned();
    Alarm {
        figures: vec![Figure { value: "6".to_owned(), label: some() }],
        about: some(),
        meaning: some(),
        facts: vec![Fact { label: "User", value: some(), note: some() }],
        picture: Some(Picture {
            cid: "chart@example.org".to_owned(),
            alt: some(),
            sparkline: "▁█".to_owned(),
        }),
        tables: vec![Table {
            title: "Files",
            rows: vec![
                Row { value: some(), count: 2, percent: 100 },
                Row { value: some(), count: 1, percent: 50 },
            ],
            rest: "and 4 more (4)".to_owned(),
            bars: true,
        }],
        samples: vec![Line { time: some(), text: some(), times: 2, until: some() }],
        samples_left_out: 4,
        hops: vec![Hop { label: "Alarm", time: some(), after: "+40 ms".to_owned() }],
        commands: vec![Command { label: "What the alarm did before", line: some() }],
        alarm_url: "https://bell.example.org/".to_owned(),
        unsubscribe_url: "https://bell.example.org/".to_owned(),
        note: some(),
        ..bare()
    }
}

/// An alarm that tells almost nothing.
fn bare() -> Alarm {
    let some = || "example".to_owned();
    Alarm {
        title: some(),
        state: "ALARM",
        label: some(),
        accent: "#1d4ed8",
        bright: "#84adff".to_owned(),
        name: some(),
        at: "2026-09-14 05:42:01 UTC".to_owned(),
        headline: some(),
        when: some(),
        about: String::new(),
        meaning: String::new(),
        figures: Vec::new(),
        facts: Vec::new(),
        picture: None,
        tables: Vec::new(),
        samples_title: "Events, UTC",
        samples: Vec::new(),
        samples_left_out: 0,
        why: vec![Fact { label: "Rule", value: some(), note: String::new() }],
        hops: Vec::new(),
        commands: Vec::new(),
        alarm_url: String::new(),
        unsubscribe_url: String::new(),
        to: "security@example.org".to_owned(),
        topic: "arn:aws:sns:eu-central-1:123456789012:security".to_owned(),
        note: String::new(),
        trial: false,
    }
}

#[cfg(test)]
mod tests;
