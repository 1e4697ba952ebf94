/*!
Who, what, where, how often: a bounded, mergeable summary of the events behind a number.

Carried with the data points from the matcher, so that writing the message needs no search. Merging is associative and
commutative over counts; which samples survive depends on event time only, never on arrival order.
*/

use serde::{Deserialize, Serialize};

use crate::fields::{Audit, Subject};
use crate::time::Timestamp;

/// Distinct values kept per [`Tally`]; past it the smallest give way and `others` counts them.
pub const TALLY_VALUES_MAX: usize = 64;
/// Sample events kept, earliest first.
pub const SAMPLES_MAX: usize = 10;
/// Bytes kept of a sample's line.
pub const SAMPLE_LINE_BYTES_MAX: usize = 600;
/// Bytes kept of a counted value (a user, folder, machine or address).
pub const TALLY_VALUE_BYTES_MAX: usize = 256;

/// How often each value was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Values and their counts, sorted by value: a handful in most of very many tallies, hence a plain list.
    pub counts: Vec<(Box<str>, u64)>,
    /// Events whose value was dropped to stay inside [`TALLY_VALUES_MAX`].
    pub others: u64,
}

/// One event, in words, kept as an example.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sample {
    /// When it happened.
    pub time: Timestamp,
    /// One line of plain words, or the start of the message where the dialect is unknown. Hostile text: escape it.
    pub line: String,
    /// Where the event is stored, for whoever wants its message as it came.
    pub place: Option<Place>,
}

/// Where an event is stored: block and number are its name for good, in the journal as in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The block of the journal that it came in.
    pub block: u64,
    /// Its number in the block, counted from zero over all batches.
    pub number: u32,
    /// [`Group::digest`](crate::event::Group::digest) of its log group: the archive keeps groups apart.
    pub group: u32,
}

/// What the events behind a number have to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Events summed up here.
    pub events: u64,
    /// Earliest event time.
    pub first: Option<Timestamp>,
    /// Latest event time.
    pub last: Option<Timestamp>,
    /// Latest arrival here, for "late by" and latency.
    pub last_arrival: Option<Timestamp>,
    /// `$.Audit.Action`: logon, open, delete …
    pub actions: Tally,
    /// `$.Audit.Outcome`: success, failure.
    pub outcomes: Tally,
    /// `$.Audit.User`.
    pub users: Tally,
    /// `$.Audit.Instance`: machines.
    pub instances: Tally,
    /// `$.Audit.Source`: addresses.
    pub sources: Tally,
    /// Share and folder, as `\share\folder`.
    pub folders: Tally,
    /// Files, as `\share\folder\file`.
    pub files: Tally,
    /// `$.Audit.Reason`: decoded status.
    pub reasons: Tally,
    /// Up to [`SAMPLES_MAX`] events, earliest first.
    pub samples: Vec<Sample>,
}

/// Values a merge of many may hold before it is cut back to [`TALLY_VALUES_MAX`], so that a value seen once in each of
/// many seconds is not lost on the way.
const MERGE_VALUES_MAX: usize = 4_096;

impl Tally {
    /// Counts `value` once; cut to [`TALLY_VALUE_BYTES_MAX`]. When the tally is full, the value seen least gives way.
    pub fn add(&mut self, value: &str) {
        let value = cut(value, TALLY_VALUE_BYTES_MAX);
        if let Ok(at) = self.place(value) {
            let count = &mut self.counts[at].1;
            *count = count.saturating_add(1);
            return;
        }
        if self.counts.len() >= TALLY_VALUES_MAX {
            self.keep(TALLY_VALUES_MAX - 1);
        }
        self.insert(value, 1);
    }

    /// How often `value` was counted.
    pub fn count(&self, value: &str) -> u64 {
        self.place(value).map_or(0, |at| self.counts[at].1)
    }

    fn place(&self, value: &str) -> Result<usize, usize> {
        self.counts.binary_search_by(|(held, _)| (**held).cmp(value))
    }

    /// Adds to the count of `value`.
    fn insert(&mut self, value: &str, more: u64) {
        match self.place(value) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(more),
            Err(at) => {
                if self.counts.is_empty() {
                    self.counts.reserve_exact(1);
                }
                self.counts.insert(at, (value.into(), more));
            }
        }
    }

    /// Adds `other`'s counts; when there are too many values, those seen least give way.
    pub fn merge(&mut self, other: &Self) {
        self.merge_within(other, TALLY_VALUES_MAX);
    }

    /// The `n` values seen most, most first; equals in order of their text.
    pub fn top(&self, n: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self.counts.iter().map(|(value, count)| (&**value, *count)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all.truncate(n);
        all
    }

    /// Distinct values seen; a lower bound once `others` is not zero.
    pub fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.others == 0
    }

    fn merge_within(&mut self, other: &Self, values_max: usize) {
        for (value, count) in &other.counts {
            self.insert(value, *count);
        }
        self.others = self.others.saturating_add(other.others);
        self.keep(values_max);
    }

    /// Keeps the `n` values seen most; equals go by their text. What gives way is counted in `others`.
    fn keep(&mut self, n: usize) {
        let excess = self.counts.len().saturating_sub(n);
        if excess == 1 {
            // The common case while counting: one scan, no sort.
            let all = self.counts.iter().enumerate();
            let least = all.min_by(|a, b| a.1.1.cmp(&b.1.1).then_with(|| b.1.0.cmp(&a.1.0)));
            if let Some(at) = least.map(|(at, _)| at) {
                let (_, count) = self.counts.remove(at);
                self.others = self.others.saturating_add(count);
            }
        } else if excess > 1 {
            let mut by_count = std::mem::take(&mut self.counts);
            by_count.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let dropped = by_count.split_off(n);
            self.others = dropped.iter().fold(self.others, |sum, (_, count)| sum.saturating_add(*count));
            by_count.sort();
            self.counts = by_count;
        }
    }
}

impl Evidence {
    /// Takes one event in: `subject` happened at `time` and arrived here at `arrival`.
    /// Where it is stored is told by `place`.
    pub fn observe(
        &mut self,
        subject: &Subject<'_>,
        time: Timestamp,
        arrival: Timestamp,
        place: Option<Place>,
    ) {
        self.events = self.events.saturating_add(1);
        self.span(time, time, arrival);
        if let Some(audit) = subject.fields().and_then(|fields| fields.audit()) {
            self.count(audit);
        }
        self.keep_sample(subject, time, place);
    }

    /// Folds `other` in.
    pub fn merge(&mut self, other: &Self) {
        self.merge_within(other, TALLY_VALUES_MAX);
    }

    /// The evidence of all `parts` together. Values are cut back to [`TALLY_VALUES_MAX`] once, at the end.
    pub fn merged<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut whole = Self::default();
        for part in parts {
            whole.merge_within(part, MERGE_VALUES_MAX);
        }
        for tally in whole.tallies_mut() {
            tally.keep(TALLY_VALUES_MAX);
        }
        whole
    }

    /// Keeps the `values_max` values of each kind that were seen most, and no samples: what a long time can afford.
    pub fn condense(&mut self, values_max: usize) {
        for tally in self.tallies_mut() {
            tally.keep(values_max);
        }
        self.samples.clear();
    }

    /// Whether no event stands behind it: the number came as a number.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    fn merge_within(&mut self, other: &Self, values_max: usize) {
        if other.is_empty() {
            return;
        }
        self.events = self.events.saturating_add(other.events);
        if let (Some(first), Some(last), Some(arrival)) = (other.first, other.last, other.last_arrival) {
            self.span(first, last, arrival);
        }
        for (tally, more) in self.tallies_mut().into_iter().zip(other.tallies()) {
            tally.merge_within(more, values_max);
        }
        for sample in &other.samples {
            if self.samples.len() < SAMPLES_MAX || self.samples.last().is_some_and(|last| sample < last) {
                self.insert_sample(sample.clone());
            }
        }
    }

    fn span(&mut self, first: Timestamp, last: Timestamp, arrival: Timestamp) {
        self.first = Some(self.first.map_or(first, |held| held.min(first)));
        self.last = Some(self.last.map_or(last, |held| held.max(last)));
        self.last_arrival = Some(self.last_arrival.map_or(arrival, |held| held.max(arrival)));
    }

    fn count(&mut self, audit: &Audit) {
        let parts = [
            (&mut self.actions, audit.action),
            (&mut self.outcomes, audit.outcome),
            (&mut self.users, audit.user.as_deref()),
            (&mut self.instances, audit.instance.as_deref()),
            (&mut self.sources, audit.source.as_deref()),
            (&mut self.reasons, audit.reason.as_deref()),
        ];
        for (tally, value) in parts {
            if let Some(value) = value {
                tally.add(value);
            }
        }
        if let Some(folder) = folder_text(audit) {
            if let Some(file) = &audit.file {
                self.files.add(&format!("{}\\{file}", folder.trim_end_matches('\\')));
            }
            self.folders.add(&folder);
        } else if let Some(file) = &audit.file {
            self.files.add(file);
        }
    }

    /// Keeps the event as a sample if it is among the earliest; an event that is not is never put into words.
    fn keep_sample(&mut self, subject: &Subject<'_>, time: Timestamp, place: Option<Place>) {
        let full = self.samples.len() >= SAMPLES_MAX;
        if full && self.samples.last().is_some_and(|last| time > last.time) {
            return;
        }
        let described = subject.fields().and_then(|fields| fields.describe());
        let line = one_line(described.as_deref().unwrap_or(subject.message));
        self.insert_sample(Sample { time, line, place });
    }

    fn insert_sample(&mut self, sample: Sample) {
        let at = self.samples.partition_point(|held| *held <= sample);
        self.samples.insert(at, sample);
        self.samples.truncate(SAMPLES_MAX);
    }

    fn tallies(&self) -> [&Tally; 8] {
        [
            &self.actions,
            &self.outcomes,
            &self.users,
            &self.instances,
            &self.sources,
            &self.folders,
            &self.files,
            &self.reasons,
        ]
    }

    fn tallies_mut(&mut self) -> [&mut Tally; 8] {
        [
            &mut self.actions,
            &mut self.outcomes,
            &mut self.users,
            &mut self.instances,
            &mut self.sources,
            &mut self.folders,
            &mut self.files,
            &mut self.reasons,
        ]
    }
}

/// `\share\folder`, `c:\folder` for a drive; `None` when neither share nor folder is told.
fn folder_text(audit: &Audit) -> Option<String> {
    let folder = audit.folder.as_deref().unwrap_or_default();
    match audit.share.as_deref() {
        None if folder.is_empty() => None,
        None => Some(folder.to_owned()),
        Some(drive) if drive.ends_with(':') => {
            Some(format!("{drive}{}", if folder.is_empty() { "\\" } else { folder }))
        }
        Some(share) => Some(format!("\\{share}{}", if folder == "\\" { "" } else { folder })),
    }
}

/// The start of `text` as one line: control characters and runs of blanks become one blank.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if line.len() + c.len_utf8() > SAMPLE_LINE_BYTES_MAX {
            break;
        }
        let blank = c.is_whitespace() || c.is_control();
        if !blank {
            line.push(c);
        } else if !line.is_empty() && !line.ends_with(' ') {
            line.push(' ');
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// The first `bytes_max` bytes of `text`, cut between characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests;
