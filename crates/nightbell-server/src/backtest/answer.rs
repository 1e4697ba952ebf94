/*!
What is asked of a backtest and what it answers, as it goes over the wire. Times are in milliseconds since 1970.
*/

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is to be tried.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BacktestRequest {
    /// The filters, as PutMetricFilter takes them; none where `alarm` is named.
    #[serde(default)]
    pub(crate) filters: Vec<Value>,
    /// The variants of the alarm, as PutMetricAlarm takes them.
    #[serde(default)]
    pub(crate) alarms: Vec<Value>,
    /// An alarm that stands, with the filters that count for it; of a composite alarm, all that it is made of.
    #[serde(default)]
    pub(crate) alarm: Option<String>,
    /// Thresholds to try with `alarm`; its own where there is none.
    #[serde(default)]
    pub(crate) thresholds: Vec<f64>,
    /// The first event time.
    #[serde(default)]
    pub(crate) from: Option<i64>,
    /// The event time to stop at.
    #[serde(default)]
    pub(crate) to: Option<i64>,
    /// Whether events come when they came, late ones late, instead of when they happened.
    #[serde(default)]
    pub(crate) as_arrived: bool,
    /// Whether the texts of messages are wanted, too: writing them takes longer than all the rest.
    #[serde(default)]
    pub(crate) messages: bool,
    /// Whether the answer comes as lines, those before the last telling how far it is.
    #[serde(default)]
    pub(crate) progress: bool,
}

/// A line of an answer that tells its progress.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// It goes on.
    Progress(Progress),
    /// The last line.
    Answer(Box<BacktestAnswer>),
    /// The last line, where there is no answer: why.
    Refused(String),
}

/// How far a backtest is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Progress {
    /// What is done.
    pub(crate) phase: Phase,
    /// How much of it is behind: events read, or seconds played.
    pub(crate) done: u64,
    /// How much of it there is.
    pub(crate) total: u64,
}

/// What a backtest does.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Others search; it waits for them.
    #[default]
    Waiting,
    /// Stored events are read.
    Reading,
    /// What they came to is played to the alarms.
    Playing,
}

/// What would have happened.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct BacktestAnswer {
    /// The first moment asked about.
    pub(crate) from: Option<i64>,
    /// The last one.
    pub(crate) to: i64,
    /// Events looked at.
    pub(crate) events: u64,
    /// Data points they came to.
    pub(crate) data: usize,
    /// What else is worth knowing, such as that nothing is stored of these times, in sentences.
    pub(crate) notes: Vec<String>,
    /// One for each variant, in their order.
    pub(crate) runs: Vec<BacktestRun>,
}

/// What one variant would have done.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct BacktestRun {
    /// Its threshold; a composite alarm or one on a band has none.
    pub(crate) threshold: Option<f64>,
    /// How often it would have fired.
    pub(crate) fired: usize,
    /// For how many different contributors.
    pub(crate) contributors: usize,
    /// How many messages it would have sent, before a topic's budget makes digests of many.
    pub(crate) mails: usize,
    /// The first of its transitions, oldest first. Those of the alarm as a whole are left out where it has contributors;
    /// those of the children of a composite alarm are there, marked.
    pub(crate) transitions: Vec<BacktestTransition>,
    /// The first of its messages beside those of its transitions, where texts are wanted: how incidents go on and end, and
    /// what a mute rule or a suppressor held back.
    pub(crate) messages: Vec<BacktestMessage>,
}

/// One transition and its message.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct BacktestTransition {
    /// When.
    pub(crate) at: i64,
    /// The alarm's name.
    pub(crate) alarm: String,
    /// Whether it is a child of the one that is tried.
    pub(crate) child: bool,
    /// The contributor's attributes, where there is one.
    pub(crate) contributor: Vec<(String, String)>,
    /// The state before.
    pub(crate) from: String,
    /// The state after.
    pub(crate) to: String,
    /// `StateReason`.
    pub(crate) reason: String,
    /// The value that decided.
    pub(crate) value: Option<f64>,
    /// The window that decided.
    pub(crate) window: Option<(i64, i64)>,
    /// How late the deciding event came.
    pub(crate) late_by_ms: Option<i64>,
    /// Why no message would have been sent with it; `None` where one would.
    pub(crate) silent: Option<String>,
    /// The subject of the mail.
    pub(crate) subject: String,
    /// The text of the mail; empty where texts are not wanted.
    pub(crate) text: String,
}

/// A message that comes without a transition.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct BacktestMessage {
    /// When.
    pub(crate) at: i64,
    /// The alarm's name.
    pub(crate) alarm: String,
    /// The contributor's attributes, where there is one.
    pub(crate) contributor: Vec<(String, String)>,
    /// `update` or `end` of an incident, or `held back` where it is that of an earlier transition.
    pub(crate) kind: String,
    /// The subject of the mail.
    pub(crate) subject: String,
    /// The text of the mail.
    pub(crate) text: String,
}
