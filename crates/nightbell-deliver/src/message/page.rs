/*!
The embedded templates and what they are filled with.

The HTML templates escape every value; the text template is filled with clean lines only. Values arrive cleaned and
cut: nothing here looks at an alarm.
*/

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters are valid"));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".txt") { AutoEscape::None } else { AutoEscape::Html }
    });
    environment.add_global("style", Value::from_safe_string(include_str!("templates/style.css").to_owned()));
    environment.add_filter("left", |text: String, width: usize| format!("{text:<width$}"));
    environment.add_filter("right", |number: u64, width: usize| format!("{number:>width$}"));
    for (name, source) in [
        ("alarm.html", include_str!("templates/alarm.html")),
        ("alarm.txt", include_str!("templates/alarm.txt")),
        ("confirmation.html", include_str!("templates/confirmation.html")),
    ] {
        environment.add_template(name, source).expect("embedded templates are parsed by the tests");
    }
    environment
});

/// An alarm's message. Every text is one clean line but `classic`.
#[derive(Serialize)]
pub(super) struct Alarm<'a> {
    /// The subject without its state.
    pub(super) title: &'a str,
    /// `ALARM`, `OK`, `INSUFFICIENT_DATA`.
    pub(super) state: &'static str,
    /// The same for people.
    pub(super) state_words: &'static str,
    /// `alarm`, `ok`, `unknown`: names the colours.
    pub(super) tone: &'static str,
    /// The alarm's name.
    pub(super) name: &'a str,
    /// What happened, without when.
    pub(super) headline: &'a str,
    /// When it happened.
    pub(super) when: &'a str,
    /// What the watch is for, or the owner's description.
    pub(super) about: Option<&'a str>,
    /// What all events have in common.
    pub(super) facts: &'a [Fact],
    /// Why the state changed.
    pub(super) why: &'a [Fact],
    /// Counted values.
    pub(super) tables: &'a [Table],
    /// Example events.
    pub(super) samples: &'a [Line],
    /// Events that are not among the samples.
    pub(super) samples_left_out: u64,
    /// A command that shows the alarm's history; absent when the name can't be quoted safely.
    pub(super) history_command: Option<&'a str>,
    /// Link to the console.
    pub(super) alarm_url: Option<&'a str>,
    /// Link that ends the subscription.
    pub(super) unsubscribe_url: Option<&'a str>,
    /// Who receives this.
    pub(super) to: &'a str,
    /// The topic it was published to.
    pub(super) topic: &'a str,
    /// The classic text, several lines.
    pub(super) classic: &'a str,
}

/// A label and its value.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) value: String,
    /// Said quieter beside the value.
    pub(super) note: String,
}

/// Values of one kind with their counts, largest first.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) rows: Vec<Row>,
    /// `and 12 others (40)`; empty when all are shown.
    pub(super) rest: String,
    /// Whether counts differ, so that bars say something.
    pub(super) bars: bool,
}

/// One value of a [`Table`].
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) value: String,
    pub(super) count: u64,
    /// Length of the bar, 1 to 100, against the table's largest.
    pub(super) percent: u64,
}

/// An example event, or several in a row that say the same.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) time: String,
    pub(super) text: String,
    pub(super) times: u64,
    /// When the last of several happened.
    pub(super) until: String,
}

/// The question to a new subscriber.
#[derive(Serialize)]
pub(super) struct Confirmation<'a> {
    pub(super) subject: &'a str,
    pub(super) to: &'a str,
    pub(super) topic: &'a str,
    pub(super) confirm_url: Option<&'a str>,
}

/// The HTML part of an alarm's mail.
pub(super) fn alarm_html(alarm: &Alarm<'_>) -> String {
    fill("alarm.html", alarm)
}

/// The text part of an alarm's mail.
pub(super) fn alarm_text(alarm: &Alarm<'_>) -> String {
    fill("alarm.txt", alarm)
}

/// The HTML part of a confirmation mail.
pub(super) fn confirmation(confirmation: &Confirmation<'_>) -> String {
    fill("confirmation.html", confirmation)
}

fn fill(name: &str, values: &impl Serialize) -> String {
    TEMPLATES
        .get_template(name)
        .and_then(|template| template.render(Serde(values)))
        .expect("templates are embedded and name only fields that are always there")
}
