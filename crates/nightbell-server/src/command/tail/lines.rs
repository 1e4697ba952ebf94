/*!
One line for an event: for people in words, or JSON for scripts. What events say is hostile: nothing of it may speak to the
terminal.
*/

use std::fmt::Write as _;
use std::str::FromStr;

use nightbell_core::fields::{Selector, Subject};
use nightbell_core::time::Timestamp;
use nightbell_winevt::DialectReader;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Event;
use crate::command::incidents::clean;

/// Characters of a message that are shown on a line; JSON has all of it.
const SHOWN_CHARS_MAX: usize = 2_000;

/// A field to be shown.
#[derive(Clone, Debug)]
pub(super) struct Field {
    name: String,
    selector: Selector,
}

impl FromStr for Field {
    type Err = String;

    /// Reads `$.Audit.User`, or `Audit.User` for shells in which `$` means something.
    fn from_str(text: &str) -> Result<Self, String> {
        let whole = if text.starts_with('$') { text.to_owned() } else { format!("$.{text}") };
        let selector = Selector::parse(&whole).map_err(|error| error.to_string())?;
        Ok(Self { name: whole.trim_start_matches("$.").to_owned(), selector })
    }
}

/// How lines are written.
pub(super) struct Lines {
    groups: bool,
    json: bool,
    fields: Vec<Field>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonLine<'a> {
    timestamp: i64,
    ingestion_time: i64,
    log_group_name: &'a str,
    log_stream_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Map<String, Value>>,
    message: &'a str,
}

impl Lines {
    /// Lines with the group's name where there are several, as JSON, with these fields.
    pub(super) fn new(groups: bool, json: bool, fields: &[Field]) -> Self {
        Self { groups, json, fields: fields.to_vec() }
    }

    /// The line of an event, with its end.
    pub(super) fn line(&self, event: &Event) -> String {
        let reader = DialectReader;
        let subject = Subject::new(&event.message, &event.stream, &reader);
        if self.json {
            return self.json(event, &subject);
        }
        let mut line = Timestamp::from_millis(event.time).iso();
        if self.groups {
            let _ = write!(line, "  {}", clean(&event.group));
        }
        let _ = writeln!(line, "  {}  {}", clean(&event.stream), self.says(&subject));
        line
    }

    /// The fields asked for; else the event in words, where its dialect is known; else the start of its message.
    fn says(&self, subject: &Subject<'_>) -> String {
        if !self.fields.is_empty() {
            let value = |field: &Field| {
                let value = subject.text(&field.selector);
                format!("{}={}", field.name, value.map_or_else(|| "-".to_owned(), |value| one_line(&value)))
            };
            return self.fields.iter().map(value).collect::<Vec<_>>().join("  ");
        }
        let described = subject.fields().and_then(|fields| fields.describe());
        described.map_or_else(|| one_line(subject.message), |words| clean(&words))
    }

    fn json(&self, event: &Event, subject: &Subject<'_>) -> String {
        let value = |field: &Field| {
            let value = subject.text(&field.selector).map_or(Value::Null, Value::String);
            (field.name.clone(), value)
        };
        let line = JsonLine {
            timestamp: event.time,
            ingestion_time: event.arrival,
            log_group_name: &event.group,
            log_stream_name: &event.stream,
            fields: (!self.fields.is_empty()).then(|| self.fields.iter().map(value).collect()),
            message: &event.message,
        };
        let line = serde_json::to_string(&line).expect("a line is plain data");
        escaped(&line) + "\n"
    }
}

/// The start of `text` on one line.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for (count, word) in text.split_whitespace().enumerate() {
        if count > 0 {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > SHOWN_CHARS_MAX {
            break;
        }
    }
    if let Some((end, _)) = line.char_indices().nth(SHOWN_CHARS_MAX) {
        line.truncate(end);
        line.push('…');
    }
    clean(&line)
}

/// JSON in which what could speak to a terminal is written as JSON's own escapes; it can stand only inside of texts.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for (shown, character) in clean(json).chars().zip(json.chars()) {
        if shown == character {
            out.push(character);
        } else {
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: &str = r"<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>
        <Provider Name='Microsoft-Windows-Security-Auditing'/><EventID>4656</EventID>
        <Keywords>0x8010000000000000</Keywords><Computer>FS01</Computer></System><EventData>
        <Data Name='SubjectUserName'>Alice</Data><Data Name='SubjectDomainName'>CORP</Data>
        <Data Name='ObjectType'>File</Data>
        <Data Name='ObjectName'>\Device\HarddiskVolume16\share\secret\plans.docx</Data>
        <Data Name='AccessMask'>0x1</Data></EventData></Event>";

    fn event(message: &str) -> Event {
        Event {
            group: "g\u{1b}".to_owned(),
            stream: "s".to_owned(),
            time: 1_790_000_000_123,
            arrival: 1_790_000_000_500,
            message: message.to_owned(),
        }
    }

    fn fields(names: &[&str]) -> Vec<Field> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_windows_event_is_told_in_words_and_others_as_they_are() {
        let lines = Lines::new(false, false, &[]);
        assert_eq!(
            lines.line(&event(DENIED)),
            "2026-09-21T14:13:20.123Z  s  corp\\alice was denied ReadData on \\share\\secret\\plans.docx at fs01\n"
        );
        assert_eq!(lines.line(&event("a\n\tb")), "2026-09-21T14:13:20.123Z  s  a b\n");
        let several = Lines::new(true, false, &[]);
        assert_eq!(several.line(&event("a")), "2026-09-21T14:13:20.123Z  g\u{fffd}  s  a\n");
    }

    #[test]
    fn fields_are_shown_when_asked_for() {
        let lines = Lines::new(false, false, &fields(&["$.a.b", "c", "none"]));
        let line = lines.line(&event(r#"{"a":{"b":"x\ny"},"c":1.0}"#));
        assert!(line.ends_with("  a.b=x y  c=1.0  none=-\n"), "{line}");
        assert!("a..b".parse::<Field>().is_err());
    }

    #[test]
    fn nothing_of_an_event_speaks_to_the_terminal() {
        let hostile = "\u{1b}[2J\u{9b}31m\u{202e}\u{7}gone";
        for json in [false, true] {
            let line = Lines::new(true, json, &[]).line(&event(hostile));
            let text = line.strip_suffix('\n').unwrap();
            assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        }
        let line = Lines::new(false, true, &[]).line(&event(hostile));
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["message"], hostile, "JSON loses nothing");
    }

    #[test]
    fn json_has_the_whole_event() {
        let line = Lines::new(false, true, &fields(&["c"])).line(&event(r#"{"c":"v"}"#));
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["timestamp"], 1_790_000_000_123_i64);
        assert_eq!(read["logStreamName"], "s");
        assert_eq!(read["fields"]["c"], "v");
        assert_eq!(read["message"], r#"{"c":"v"}"#);
    }

    #[test]
    fn a_long_message_is_cut_on_a_line() {
        let line = Lines::new(false, false, &[]).line(&event(&"é".repeat(5_000)));
        assert!(line.ends_with("é…\n"));
        assert_eq!(line.matches('é').count(), SHOWN_CHARS_MAX);
    }
}
