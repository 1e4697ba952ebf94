/*!
The record numbers that a batch holds, as runs without holes: small, and mergeable in any order.

[`RecordReader`] reads machine, channel and number through the field door, under the names that the dialects of Windows
events have for them. Merging [`RecordSpans`] is associative, commutative and idempotent: of each run only the times of its
first and last record are kept.
*/

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{CLEARS_MAX, NAME_BYTES_MAX};
use crate::event::Group;
use crate::fields::{Selector, Subject};
use crate::time::Timestamp;

/// An event log of one machine, as it is sent to one log group. Names of machine and channel are lower-case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventLog {
    /// The region of the log group.
    pub region: String,
    /// The log group.
    pub group: String,
    /// The machine that wrote the records; the stream's name where an event names none.
    pub machine: String,
    /// `security`, `system` …
    pub channel: String,
}

/// Records with consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The lowest number.
    pub first: u64,
    /// The highest number.
    pub last: u64,
    /// Time of the record with the lowest number.
    pub began: Timestamp,
    /// Time of the record with the highest number.
    pub ended: Timestamp,
}

impl Run {
    /// Whether no number is missing between the two.
    pub(super) fn touches(&self, other: &Self) -> bool {
        self.first <= other.last.saturating_add(1) && other.first <= self.last.saturating_add(1)
    }

    /// Both runs as one, where they touch.
    pub(super) fn joined(&self, other: &Self) -> Self {
        let began = match self.first.cmp(&other.first) {
            std::cmp::Ordering::Less => self.began,
            std::cmp::Ordering::Equal => self.began.min(other.began),
            std::cmp::Ordering::Greater => other.began,
        };
        let ended = match self.last.cmp(&other.last) {
            std::cmp::Ordering::Less => other.ended,
            std::cmp::Ordering::Equal => self.ended.max(other.ended),
            std::cmp::Ordering::Greater => self.ended,
        };
        Self { first: self.first.min(other.first), last: self.last.max(other.last), began, ended }
    }
}

/// The record that says that its own log was cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub time: Timestamp,
    /// Its number.
    pub id: u64,
}

/// What one event says about the record it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMark {
    /// The machine, lower-case.
    pub machine: String,
    /// The channel, lower-case.
    pub channel: String,
    /// EventRecordID.
    pub id: u64,
    /// Whether it says that this very log was cleared.
    pub cleared: bool,
}

/// Reads [`RecordMark`]s from events of every dialect.
#[derive(Clone, Debug)]
pub struct RecordReader {
    /// Number, machine and channel, by dialect.
    names: Vec<[Selector; 3]>,
    event_id: Selector,
}

/// The names of record number, machine and channel: event XML and Fluent Bit's `winevtlog`; Winlogbeat; NXLog;
/// OpenTelemetry's `windowseventlog`.
const NAMES: [[&str; 3]; 4] = [
    ["$.EventRecordID", "$.Computer", "$.Channel"],
    ["$.winlog.record_id", "$.winlog.computer_name", "$.winlog.channel"],
    ["$.RecordNumber", "$.Hostname", "$.Channel"],
    ["$.record_id", "$.computer", "$.channel"],
];
/// Numbers of the events that say that a log was cleared.
const CLEARED_IDS: [&str; 2] = ["104", "1102"];

impl Default for RecordReader {
    fn default() -> Self {
        let selector = |name| Selector::parse(name).expect("the names above are selectors");
        Self { names: NAMES.map(|names| names.map(selector)).into(), event_id: selector("$.EventID") }
    }
}

impl RecordReader {
    /// The mark of one event; `None` where it tells no record number or no channel, or names beyond
    /// [`NAME_BYTES_MAX`] or with control characters.
    pub fn read(&self, subject: &Subject<'_>) -> Option<RecordMark> {
        let named = |selector: &Selector| {
            let text = subject.text(selector)?.trim().to_lowercase();
            (!text.is_empty()).then_some(text)
        };
        let number = |selector: &Selector| named(selector)?.parse().ok();
        let (id, [_, machine, channel]) =
            self.names.iter().find_map(|names| Some((number(&names[0])?, names)))?;
        let channel = named(channel)?;
        let machine = named(machine).unwrap_or_else(|| subject.stream.to_lowercase());
        if ![&machine, &channel].into_iter().all(|name| is_sound(name)) {
            return None;
        }
        let cleared = named(&self.event_id).is_some_and(|event| CLEARED_IDS.contains(&event.as_str()))
            && subject.fields().and_then(|fields| fields.audit()).is_some_and(|audit| {
                audit.action == Some("log-cleared") && audit.channel.as_deref() == Some(&channel)
            });
        Some(RecordMark { machine, channel, id, cleared })
    }
}

fn is_sound(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control)
}

/// The record numbers of one batch or of several, by event log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSpans {
    logs: BTreeMap<EventLog, Spans>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Spans {
    /// By rising numbers; no two touch.
    runs: Vec<Run>,
    /// The newest [`CLEARS_MAX`].
    clears: BTreeSet<Mark>,
}

impl RecordSpans {
    /// Notes one event of `group` with time `time`. A batch adds at most one run for each of its events.
    pub fn note(&mut self, group: &Group, record: RecordMark, time: Timestamp) {
        let RecordMark { machine, channel, id, cleared } = record;
        let log = EventLog { region: group.region.clone(), group: group.name.clone(), machine, channel };
        let spans = self.logs.entry(log).or_default();
        spans.add(Run { first: id, last: id, began: time, ended: time });
        if cleared {
            spans.clear(Mark { time, id });
        }
    }

    /// Takes in what another batch held.
    pub fn merge(&mut self, other: &Self) {
        for (log, theirs) in &other.logs {
            match self.logs.get_mut(log) {
                Some(ours) => {
                    theirs.runs.iter().for_each(|&run| ours.add(run));
                    theirs.clears.iter().for_each(|&mark| ours.clear(mark));
                }
                None => {
                    self.logs.insert(log.clone(), theirs.clone());
                }
            }
        }
    }

    /// How many runs there are.
    pub fn runs(&self) -> usize {
        self.logs.values().map(|spans| spans.runs.len()).sum()
    }

    /// Whether no event bore a record number.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// Runs and clear marks by event log.
    pub(super) fn logs(&self) -> impl Iterator<Item = (&EventLog, (&[Run], &BTreeSet<Mark>))> {
        self.logs.iter().map(|(log, spans)| (log, (spans.runs.as_slice(), &spans.clears)))
    }
}

impl Spans {
    fn add(&mut self, run: Run) {
        let from = self.runs.partition_point(|held| held.last.saturating_add(1) < run.first);
        let to = self.runs.partition_point(|held| held.first <= run.last.saturating_add(1));
        let run = self.runs[from..to].iter().fold(run, |run, held| run.joined(held));
        self.runs.splice(from..to, [run]);
    }

    fn clear(&mut self, mark: Mark) {
        self.clears.insert(mark);
        while self.clears.len() > CLEARS_MAX {
            self.clears.pop_first();
        }
    }
}
