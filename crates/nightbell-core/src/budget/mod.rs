/*!
How many messages a topic sends by themselves before they are gathered into a digest.

A token bucket per topic, deterministic and stored. The first message of an incident is never delayed: past the budget
it goes out in a digest of the same instant, so that each contributor is named at once without a thousand mails. Updates
and ends past the budget wait for a digest that is sent within minutes. Knows the one line that stands for a message in a
digest, not the message.
*/

use serde::{Deserialize, Serialize};

use crate::incident::Incident;
use crate::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};

/// Messages of a topic that go out by themselves in one moment, unless the topic says otherwise.
pub const MESSAGES_PER_MOMENT: u32 = 10;
/// Messages of a topic that go out by themselves in [`BUDGET_WINDOW_MS`], unless the topic says otherwise.
pub const MESSAGES_PER_WINDOW: u32 = 20;
/// The time in which [`MESSAGES_PER_WINDOW`] are allowed again.
pub const BUDGET_WINDOW_MS: i64 = 10 * MINUTE_MS;
/// How long updates and ends wait for a digest at most, unless the topic says otherwise.
pub const DIGEST_EVERY_MS: i64 = 5 * MINUTE_MS;
/// The shortest wait for a digest that a topic may ask for.
pub const DIGEST_EVERY_MIN_MS: i64 = 10 * SECOND_MS;
/// The longest wait for a digest that a topic may ask for.
pub const DIGEST_EVERY_MAX_MS: i64 = HOUR_MS;
/// The largest budget that a topic may ask for, in messages per moment and per window.
pub const MESSAGES_MAX: u32 = 10_000;
/// Lines of a digest; what is past them is counted.
pub const DIGEST_LINES_MAX: usize = 500;
/// Bytes kept in a line of an alarm's name, of a contributor's names and of its values.
pub const DIGEST_NAME_BYTES_MAX: usize = 256;
/// Names and values kept of a contributor.
const DIMENSIONS_MAX: usize = 3;

/// What one message takes from the bucket; each millisecond gives `per_window` back.
const MESSAGE_COST: u64 = BUDGET_WINDOW_MS as u64;

/// What a topic allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Messages that go out by themselves at one instant; 0 to [`MESSAGES_MAX`].
    pub per_moment: u32,
    /// Messages that go out by themselves in [`BUDGET_WINDOW_MS`]; 0 to [`MESSAGES_MAX`].
    pub per_window: u32,
    /// How long an update or an end waits for a digest at most, [`DIGEST_EVERY_MIN_MS`] to [`DIGEST_EVERY_MAX_MS`].
    pub digest_every_ms: i64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            per_moment: MESSAGES_PER_MOMENT,
            per_window: MESSAGES_PER_WINDOW,
            digest_every_ms: DIGEST_EVERY_MS,
        }
    }
}

/// Which message of an incident a line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageKind {
    /// The first one.
    First,
    /// One while it lasts.
    Update,
    /// The last one.
    End,
}

/// One message, in a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DigestLine {
    /// Which message of its incident.
    pub kind: MessageKind,
    /// The alarm's name.
    pub alarm: String,
    /// The contributor by name and value, none where the alarm does not count per contributor; hostile text: escape it.
    pub attributes: Vec<(String, String)>,
    /// The value that fired; of updates and ends, what was counted so far.
    pub value: f64,
    /// The alarm's threshold, where it has one that stays.
    pub threshold: Option<f64>,
    /// The incident's id.
    pub incident: String,
    /// When it was caused.
    pub at: Timestamp,
}

impl DigestLine {
    /// The line of a message about `incident` that was caused at `at`.
    pub fn of(kind: MessageKind, incident: &Incident, at: Timestamp) -> Self {
        let fired = incident.peak.filter(|_| kind == MessageKind::First).map(|peak| peak.value);
        Self {
            kind,
            alarm: incident.alarm_name.clone(),
            attributes: incident.contributor.as_ref().map(|one| one.attributes.clone()).unwrap_or_default(),
            value: fired.unwrap_or(incident.count),
            threshold: None,
            incident: incident.id.clone(),
            at,
        }
    }

    /// The same, held against `threshold`.
    #[must_use]
    pub fn against(mut self, threshold: Option<f64>) -> Self {
        self.threshold = threshold.filter(|line| line.is_finite());
        self
    }

    /// Whether it is of another alarm, or counted by other dimensions.
    fn differs(&self, other: &Self) -> bool {
        let by = |line: &Self| line.attributes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        self.alarm != other.alarm || by(self) != by(other)
    }

    /// Cuts names and values to their limits.
    fn cut(&mut self) {
        cut(&mut self.alarm, DIGEST_NAME_BYTES_MAX);
        self.attributes.truncate(DIMENSIONS_MAX);
        let each = DIGEST_NAME_BYTES_MAX / self.attributes.len().max(1);
        for (name, value) in &mut self.attributes {
            cut(name, each);
            cut(value, each);
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes out by itself, now.
    Send,
    /// It is a line of a digest that is due at `until`; of a first message, that is now.
    Gather {
        /// When the digest is due at the latest.
        until: Timestamp,
    },
}

/// Many messages in one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    /// Which digest of its topic, counted from 1.
    pub number: u64,
    /// When it was closed.
    pub at: Timestamp,
    /// When the first of its messages was caused.
    pub since: Timestamp,
    /// First messages of incidents, then updates and ends, each as they came; up to [`DIGEST_LINES_MAX`].
    pub lines: Vec<DigestLine>,
    /// Messages without a line.
    pub more: u64,
    /// Whether some of those are of another alarm than the first line, or counted by other dimensions.
    pub more_differ: bool,
    /// How many messages of each kind, those without a line included.
    pub tallied: Tallied,
}

/// Messages by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallied {
    /// First messages: incidents that started.
    pub firsts: u64,
    /// Updates.
    pub updates: u64,
    /// Ends: incidents that are over.
    pub ends: u64,
}

/// What a topic has sent, may send, and holds back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    allowance: Allowance,
    /// The latest instant it was told; it never goes back.
    now: Timestamp,
    /// Messages sent by themselves at that instant.
    sent_now: u32,
    /// What is left in the bucket, in [`MESSAGE_COST`]s.
    level: u64,
    /// First messages that wait, up to [`DIGEST_LINES_MAX`].
    firsts: Vec<DigestLine>,
    /// Updates and ends that wait, up to [`DIGEST_LINES_MAX`].
    others: Vec<DigestLine>,
    /// All that wait.
    tallied: Tallied,
    /// Whether some without a line are of another alarm, or counted by other dimensions, than the first.
    more_differ: bool,
    /// When the first of them came.
    since: Timestamp,
    /// When they are due; `None` when none wait.
    until: Option<Timestamp>,
    /// Digests so far.
    digests: u64,
}

impl Budget {
    /// A budget that nothing was taken from.
    pub fn new(now: Timestamp, allowance: Allowance) -> Self {
        let allowance = allowance.clamped();
        Self {
            allowance,
            now,
            sent_now: 0,
            level: allowance.level_max(),
            firsts: Vec::new(),
            others: Vec::new(),
            tallied: Tallied::default(),
            more_differ: false,
            since: now,
            until: None,
            digests: 0,
        }
    }

    /// Changes what the topic allows, from `now` on: what it allows more may go out at once. Values outside their limits
    /// are held at them.
    pub fn allow(&mut self, now: Timestamp, allowance: Allowance) {
        let now = self.advance(now);
        let level_max = self.allowance.level_max();
        self.allowance = allowance.clamped();
        let more = self.allowance.level_max().saturating_sub(level_max);
        self.level = self.level.saturating_add(more).min(self.allowance.level_max());
        if self.tallied.firsts == 0 {
            let latest = now.plus_millis(self.allowance.digest_every_ms);
            self.until = self.until.map(|until| until.min(latest));
        }
    }

    /// Decides about the message that `line` stands for. An update or an end also waits while others do, so that an
    /// incident's messages stay in order. After the last message of an instant, ask [`Budget::due`].
    pub fn take(&mut self, now: Timestamp, line: DigestLine) -> Decision {
        let now = self.advance(now);
        let in_order = line.kind == MessageKind::First || self.tallied.updates + self.tallied.ends == 0;
        if in_order && self.spend() {
            return Decision::Send;
        }
        let until = match line.kind {
            MessageKind::First => now,
            MessageKind::Update | MessageKind::End => now.plus_millis(self.allowance.digest_every_ms),
        };
        let until = self.until.map_or(until, |held| held.min(until));
        self.until = Some(until);
        self.gather(line);
        Decision::Gather { until }
    }

    /// The digest that is due at `now`. It takes one message from the budget, or what is left.
    pub fn due(&mut self, now: Timestamp) -> Option<Digest> {
        let now = self.advance(now);
        if self.until? > now {
            return None;
        }
        self.until = None;
        self.level = self.level.saturating_sub(MESSAGE_COST);
        self.digests = self.digests.saturating_add(1);
        let tallied = std::mem::take(&mut self.tallied);
        let mut lines = std::mem::take(&mut self.firsts);
        lines.append(&mut self.others);
        for line in lines.iter().skip(DIGEST_LINES_MAX) {
            self.more_differ |= line.differs(&lines[0]);
        }
        lines.truncate(DIGEST_LINES_MAX);
        let more = tallied.all().saturating_sub(lines.len() as u64);
        let more_differ = std::mem::take(&mut self.more_differ);
        Some(Digest { number: self.digests, at: now, since: self.since, lines, more, more_differ, tallied })
    }

    /// When the next digest is due; `None` when nothing waits.
    pub fn next_digest(&self) -> Option<Timestamp> {
        self.until
    }

    /// Goes on from `now`, if that lies before the latest instant told: what waits for a digest is due as long after it.
    /// Whether anything changed.
    pub fn put_clock_back(&mut self, now: Timestamp) -> bool {
        let was = self.now;
        if was <= now {
            return false;
        }
        self.now = now;
        self.sent_now = 0;
        self.since = self.since.min(now);
        self.until = self.until.map(|until| now.plus_millis(until.since(was).max(0)));
        true
    }

    /// What it allows.
    pub fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// Refills the bucket up to `now`, and gives the latest instant known.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        let passed_ms = now.since(self.now).clamp(0, BUDGET_WINDOW_MS) as u64;
        if passed_ms > 0 {
            self.sent_now = 0;
            self.level += passed_ms * u64::from(self.allowance.per_window);
            self.level = self.level.min(self.allowance.level_max());
            self.now = now;
        }
        self.now
    }

    /// Takes one message from the bucket, if it may go out by itself.
    fn spend(&mut self) -> bool {
        let may = self.sent_now < self.allowance.per_moment && self.level >= MESSAGE_COST;
        if may {
            self.sent_now += 1;
            self.level -= MESSAGE_COST;
        }
        may
    }

    fn gather(&mut self, mut line: DigestLine) {
        if self.tallied.all() == 0 {
            self.since = line.at;
        }
        self.since = self.since.min(line.at);
        let (count, held) = match line.kind {
            MessageKind::First => (&mut self.tallied.firsts, &mut self.firsts),
            MessageKind::Update => (&mut self.tallied.updates, &mut self.others),
            MessageKind::End => (&mut self.tallied.ends, &mut self.others),
        };
        *count = count.saturating_add(1);
        line.cut();
        if held.len() < DIGEST_LINES_MAX {
            held.push(line);
        } else if let Some(first) = held.first() {
            self.more_differ |= line.differs(first);
        }
    }
}

impl Allowance {
    /// Each value held inside its limits.
    fn clamped(self) -> Self {
        Self {
            per_moment: self.per_moment.min(MESSAGES_MAX),
            per_window: self.per_window.min(MESSAGES_MAX),
            digest_every_ms: self.digest_every_ms.clamp(DIGEST_EVERY_MIN_MS, DIGEST_EVERY_MAX_MS),
        }
    }

    /// A full bucket.
    fn level_max(self) -> u64 {
        u64::from(self.per_window) * MESSAGE_COST
    }
}

impl Tallied {
    /// Messages of all kinds.
    pub fn all(self) -> u64 {
        self.firsts.saturating_add(self.updates).saturating_add(self.ends)
    }
}

fn cut(name: &mut String, bytes_max: usize) {
    name.truncate(name.floor_char_boundary(bytes_max));
}

#[cfg(test)]
mod tests;
