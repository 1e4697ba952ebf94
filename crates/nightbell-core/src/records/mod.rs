/*!
Gaps in the record numbers that each event log of a Windows machine counts without holes.

The matcher notes what each batch holds as [`RecordSpans`]; [`Records`] puts them together in any order, waits
[`LATENESS_MS`] for what is late, and tells each gap once, as [`Finding`]s. Knows no alarm and no clock: arrival times and
"now" are arguments.

Clearing a log does not begin its numbers anew (recorded: a 1102 bears the next number), so a cleared log is no gap by
itself, and numbers missing before it are records that nobody has seen. Where numbers do begin anew (a new log file, a
machine set up again) they drop while time goes on; that is told as what it is. A source that sends a selection of
its records has gaps everywhere; that is told once, and its gaps are not.
*/

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{DAY_MS, MINUTE_MS, Timestamp};

pub use channel::Channel;
pub use spans::{EventLog, Mark, RecordMark, RecordReader, RecordSpans, Run};

mod channel;
mod spans;
#[cfg(test)]
mod tests;

/// How long a missing record may still come, counted from the arrival of the first one after it.
pub const LATENESS_MS: i64 = 15 * MINUTE_MS;
/// How far the time of records may go back while their numbers go on: writers race for their place in a log.
pub const SKEW_MS: i64 = MINUTE_MS;
/// How much older than the newest record one with a higher number may be where numbers are missing between; older ones
/// are of another numbering, such as a log recorded before the machine was set up again.
pub const BACKWARDS_MS_MAX: i64 = DAY_MS;
/// Event logs that are followed; records of more are counted by [`Records::unfollowed`] and not followed.
pub const LOGS_MAX: usize = 20_000;
/// Time without records after which an event log is forgotten.
pub const LOG_IDLE_MS_MAX: i64 = 30 * DAY_MS;
/// Runs of one event log that wait for the records between them; past it the oldest gap is told without waiting.
pub const RUNS_MAX: usize = 256;
/// Findings of one event log between two judgements; past it gaps are told as one.
pub const FINDINGS_MAX: usize = 64;
/// Told gaps of one event log that late records may still fill.
pub const TOLD_MAX: usize = 64;
/// Pieces that one told gap is kept in while late records fill it.
pub const PIECES_MAX: usize = 32;
/// Marks of cleared logs kept of one event log.
pub const CLEARS_MAX: usize = 8;
/// This many gaps within [`SELECTIVE_NUMBERS`] record numbers mean that the source sends a selection.
pub const SELECTIVE_GAPS: usize = 20;
/// See [`SELECTIVE_GAPS`].
pub const SELECTIVE_NUMBERS: u64 = 2_000;

/// Longest name of a machine or channel; records that bear a longer one are not followed.
pub const NAME_BYTES_MAX: usize = 256;
/// Runs that one [`RecordSpans`] should hold at most: adding one costs time in proportion. More go into another.
pub const SPANS_RUNS_MAX: usize = 4_096;

/// Namespace of the metric that gaps are counted in.
pub const NAMESPACE: &str = "Nightbell/Records";
/// The metric: record numbers that are missing, at the second in which that was found, with dimensions `LogGroup`,
/// `Instance` and `Channel`. The times of the records around them are older than alarms look back to.
pub const MISSING_METRIC: &str = "MissingEvents";

/// Numbers that are missing between two records of one event log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Where.
    pub log: EventLog,
    /// The first missing number.
    pub from: u64,
    /// The last missing number.
    pub to: u64,
    /// How many are missing; fewer than the range where several gaps are told as one (see [`FINDINGS_MAX`]).
    pub missing: u64,
    /// Times of the record before and of the record after.
    pub between: (Timestamp, Timestamp),
    /// Whether the record after is that of the log being cleared: whoever cleared it did so before these were sent.
    pub cleared: bool,
}

impl fmt::Display for Gap {
    /// `50 records of security on srv1 are missing: 101 to 150, between … and …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = self.between;
        let (records, are) = if self.missing == 1 { ("record", "is") } else { ("records", "are") };
        write!(
            f,
            "{} {records} of {} on {} {are} missing: ",
            self.missing, self.log.channel, self.log.machine
        )?;
        match (self.from == self.to, self.missing > self.to - self.from) {
            (true, _) => write!(f, "{}", self.from)?,
            (false, true) => write!(f, "{} to {}", self.from, self.to)?,
            (false, false) => write!(f, "in several gaps from {} to {}", self.from, self.to)?,
        }
        write!(f, ", between {} and {}", before.plain(), after.plain())?;
        if self.cleared { f.write_str(", before the log was cleared") } else { Ok(()) }
    }
}

/// What is known of an event log that was not known before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// Numbers are missing and did not come in time.
    Gap(Gap),
    /// Records of a told gap came after all; how many are still missing.
    Filled {
        /// The gap as it was told.
        gap: Gap,
        /// Numbers still missing.
        left: u64,
    },
    /// Numbers began anew; what was missing before is told, and nothing is missing between.
    Restarted {
        /// Where.
        log: EventLog,
        /// Time of the first record of the new numbers.
        at: Timestamp,
        /// The lowest number seen of them.
        first: u64,
    },
    /// The source sends a selection of its records; its gaps are not told while that is so.
    Selective {
        /// Where.
        log: EventLog,
    },
}

impl Finding {
    /// `gap`, `filled`, `restarted` or `selective`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Gap(_) => "gap",
            Self::Filled { .. } => "filled",
            Self::Restarted { .. } => "restarted",
            Self::Selective { .. } => "selective",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap(gap) => gap.fmt(f),
            Self::Filled { gap, left } => {
                let EventLog { machine, channel, .. } = &gap.log;
                let came = gap.missing.saturating_sub(*left);
                write!(
                    f,
                    "{came} of {} missing records of {channel} on {machine} came after all",
                    gap.missing
                )
            }
            Self::Restarted { log, at, first } => {
                let EventLog { machine, channel, .. } = log;
                write!(
                    f,
                    "the record numbers of {channel} on {machine} began anew with {first} at {}",
                    at.plain()
                )
            }
            Self::Selective { log } => {
                let EventLog { machine, channel, .. } = log;
                write!(f, "of {channel} on {machine} only some records are sent; its gaps are not told")
            }
        }
    }
}

/// What was seen of the record numbers of all event logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Records {
    logs: BTreeMap<EventLog, Channel>,
    unfollowed: u64,
    /// Logs that are not as they were when [`Records::take_changed`] was called.
    #[serde(skip)]
    changed: BTreeSet<EventLog>,
}

impl Records {
    /// Takes what a batch held that arrived at `arrival`.
    ///
    /// Between two calls of [`Records::judge`] the order does not matter, and what comes twice changes nothing.
    pub fn observe(&mut self, spans: &RecordSpans, arrival: Timestamp) {
        for (log, (runs, clears)) in spans.logs() {
            if self.logs.len() >= LOGS_MAX && !self.logs.contains_key(log) {
                self.unfollowed += 1;
                continue;
            }
            self.logs.entry(log.clone()).or_default().take(runs, clears, arrival);
            self.changed.insert(log.clone());
        }
    }

    /// What is found by `now`, each finding once, by event log and rising numbers.
    pub fn judge(&mut self, now: Timestamp) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.logs.retain(|log, channel| {
            let stays = now.since(channel.heard()) < LOG_IDLE_MS_MAX;
            if channel.judge(now, log, &mut findings) || !stays {
                self.changed.insert(log.clone());
            }
            stays
        });
        findings
    }

    /// What is to be kept of each event log that changed since the last call; `None` where nothing is.
    pub fn take_changed(&mut self) -> Vec<(EventLog, Option<Channel>)> {
        let kept = |log: EventLog| {
            let channel = self.logs.get(&log).cloned();
            (log, channel)
        };
        std::mem::take(&mut self.changed).into_iter().map(kept).collect()
    }

    /// Puts an event log back as it was kept.
    pub fn restore(&mut self, log: EventLog, channel: Channel) {
        self.logs.insert(log, channel);
    }

    /// Marks as of `now` what arrived when the clock was ahead of it: it would be told when that time comes.
    pub fn put_clock_back(&mut self, now: Timestamp) {
        for (log, channel) in &mut self.logs {
            if channel.put_clock_back(now) {
                self.changed.insert(log.clone());
            }
        }
    }

    /// Forgets all event logs.
    pub fn clear(&mut self) {
        self.changed.extend(std::mem::take(&mut self.logs).into_keys());
    }

    /// How many event logs are followed.
    pub fn len(&self) -> usize {
        self.logs.len()
    }

    /// Whether none is followed.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// Batches of event logs that were not followed because [`LOGS_MAX`] others were.
    pub fn unfollowed(&self) -> u64 {
        self.unfollowed
    }
}
