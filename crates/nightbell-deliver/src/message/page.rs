/*!
The embedded templates and what they are filled with.

The HTML templates escape every value; the text template is filled with clean lines only. Values arrive cleaned and
cut: nothing here looks at an alarm. [`Alarm`] is also what a topic's own template is filled with, so its names are
documented (docs/book/reference/message-templates.md) and stay.
*/

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;

/// Looks by name, as they are written into `style` attributes: mail programs drop style sheets more often than not.
pub(super) static LOOKS: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    let looks = include_str!("templates/looks.txt").lines();
    looks.filter_map(|line| line.split_once(": ")).map(|(name, look)| (name.trim(), look.trim())).collect()
});

/// What only a style sheet can say: dark grounds and narrow screens.
pub(super) const STYLE: &str = include_str!("templates/style.css");

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters are valid"));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".txt") { AutoEscape::None } else { AutoEscape::Html }
    });
    environment.add_global("style", Value::from_safe_string(STYLE.to_owned()));
    let looks: BTreeMap<&str, Value> =
        LOOKS.iter().map(|(name, look)| (*name, Value::from_safe_string((*look).to_owned()))).collect();
    environment.add_global("look", Value::from(looks));
    environment.add_filter("left", |text: String, width: usize| format!("{text:<width$}"));
    environment.add_filter("right", |number: u64, width: usize| format!("{number:>width$}"));
    for (name, source) in [
        ("alarm.html", include_str!("templates/alarm.html")),
        ("body.html", include_str!("templates/body.html")),
        ("alarm.txt", include_str!("templates/alarm.txt")),
        ("confirmation.html", include_str!("templates/confirmation.html")),
        ("verification.html", include_str!("templates/verification.html")),
    ] {
        environment.add_template(name, source).expect("embedded templates are parsed by the tests");
    }
    environment
});

/// An alarm's message. Every text is one clean line; what is not told is empty.
#[derive(Serialize)]
pub(super) struct Alarm {
    /// The subject without its state.
    pub(super) title: String,
    /// `ALARM`, `OK`, `INSUFFICIENT_DATA`.
    pub(super) state: &'static str,
    /// The kind of mail in a few words: `Access denied`.
    pub(super) label: String,
    /// The kind's colour, `#rrggbb`, on which white is read.
    pub(super) accent: &'static str,
    /// The same for dark grounds.
    pub(super) bright: String,
    /// The alarm's name.
    pub(super) name: String,
    /// When the state changed.
    pub(super) at: String,
    /// What happened, without when.
    pub(super) headline: String,
    /// When it happened.
    pub(super) when: String,
    /// What the watch is for, or the owner's description.
    pub(super) about: String,
    /// What this kind of event means, and where to look first.
    pub(super) meaning: String,
    /// The numbers that stand large.
    pub(super) figures: Vec<Figure>,
    /// What all events have in common.
    pub(super) facts: Vec<Fact>,
    /// The value over time; of a digest the largest numbers, of a composite alarm the states of its children.
    pub(super) picture: Option<Picture>,
    /// Counted values.
    pub(super) tables: Vec<Table>,
    /// What the samples are: `Events, UTC`.
    pub(super) samples_title: &'static str,
    /// Example events; in a digest incidents, in a composite alarm's mail the alarms that decided.
    pub(super) samples: Vec<Line>,
    /// Events that are not among the samples.
    pub(super) samples_left_out: u64,
    /// Why the state changed.
    pub(super) why: Vec<Fact>,
    /// How long each step took; of an alarm's change only.
    pub(super) hops: Vec<Hop>,
    /// Commands that can be copied.
    pub(super) commands: Vec<Command>,
    /// Link to the console.
    pub(super) alarm_url: String,
    /// Link that ends the subscription.
    pub(super) unsubscribe_url: String,
    /// Who receives this.
    pub(super) to: String,
    /// The topic it was published to.
    pub(super) topic: String,
    /// What the operator should know about this mail itself.
    pub(super) note: String,
    /// Whether it is only shown what would have been sent.
    pub(super) trial: bool,
}

/// A number that stands large, and what it is.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Figure {
    pub(super) value: String,
    pub(super) label: String,
}

/// The picture.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Picture {
    /// What an `img` names as `cid:`; empty where the picture could not be drawn.
    pub(super) cid: String,
    /// The picture in words.
    pub(super) alt: String,
    /// The picture in blocks.
    pub(super) sparkline: String,
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

/// One step on the way from the event to the mail.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Hop {
    pub(super) label: &'static str,
    /// Time of day, UTC.
    pub(super) time: String,
    /// `+350 ms` since the step before; empty for the first.
    pub(super) after: String,
}

/// A command that can be copied.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Command {
    pub(super) label: &'static str,
    pub(super) line: String,
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
pub(super) fn alarm_html(alarm: &Alarm) -> String {
    let body = Value::from_safe_string(alarm_body(alarm));
    let title = &alarm.title;
    TEMPLATES
        .get_template("alarm.html")
        .and_then(|template| template.render(context! { title, body }))
        .expect("templates are embedded and name only fields that are always there")
}

/// What stands inside `body` of [`alarm_html`].
pub(super) fn alarm_body(alarm: &Alarm) -> String {
    fill("body.html", alarm)
}

/// The text part of an alarm's mail; `classic` is what programs read, several lines.
pub(super) fn alarm_text(alarm: &Alarm, classic: &str) -> String {
    let mut text = plain_text(alarm);
    text += "\n----------------------------------------\n\n";
    text + classic
}

/// The text part of a mail that programs need not read.
pub(super) fn plain_text(alarm: &Alarm) -> String {
    fill("alarm.txt", alarm)
}

/// The HTML part of a confirmation mail.
pub(super) fn confirmation(confirmation: &Confirmation<'_>) -> String {
    fill("confirmation.html", confirmation)
}

/// The question to the owner of an address.
#[derive(Serialize)]
pub(super) struct Verification<'a> {
    pub(super) subject: &'a str,
    pub(super) to: &'a str,
    pub(super) confirm_url: Option<&'a str>,
}

/// The HTML part of a mail that asks the owner of an address.
pub(super) fn verification(verification: &Verification<'_>) -> String {
    fill("verification.html", verification)
}

fn fill(name: &str, values: &impl Serialize) -> String {
    TEMPLATES
        .get_template(name)
        .and_then(|template| template.render(Serde(values)))
        .expect("templates are embedded and name only fields that are always there")
}
