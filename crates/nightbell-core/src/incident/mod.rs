/*!
Incidents: one stay of one contributor in ALARM, from start to end, and when it is told of again.

Owns what was counted since the start, who and what stood behind it, and the schedule of its messages: one at the start
(the alarm's transition itself), then at doubling intervals as long as there is news, and one at the end. A message is
written from the [`Note`] alone, without a search. Knows no topic, no endpoint and no wording; whether a message goes
out by itself or in a digest is `crate::budget`'s business. [`EvidenceMemory`] holds the evidence of all open incidents
within one limit, [`Curve`] is what a message's picture is drawn from.
*/

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::alarm::{Contributor, CurvePoint};
use crate::evidence::{Evidence, Sample};
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};

pub use curve::{Bucket, CURVE_BUCKETS_MAX, Curve};
pub use memory::{EvidenceMemory, OPEN_EVIDENCE_BYTES_MAX};

mod curve;
mod memory;

/// From the first message of an incident to its first update; each further interval is twice as long.
pub const FIRST_UPDATE_AFTER_MS: i64 = 5 * MINUTE_MS;
/// The longest interval between two updates.
pub const UPDATE_INTERVAL_MAX_MS: i64 = 24 * HOUR_MS;
/// How long an incident is kept after its end.
pub const INCIDENT_AGE_MAX_MS: i64 = 90 * DAY_MS;
/// How long an incident may be muted at a time.
pub const INCIDENT_MUTE_MAX_MS: i64 = 30 * DAY_MS;
/// Bytes kept of the name of who acknowledged.
pub const ACKNOWLEDGED_BY_BYTES_MAX: usize = 256;

// An end that is told once a mute is over must find its incident still kept.
const _: () = assert!(INCIDENT_MUTE_MAX_MS < INCIDENT_AGE_MAX_MS);

/// Which window value is the worst of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extreme {
    /// The largest: the alarm fires above its threshold.
    Highest,
    /// The smallest: the alarm fires below its threshold.
    Lowest,
}

/// What is known when a contributor goes into ALARM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The alarm's ARN.
    pub alarm_arn: String,
    /// The alarm's name.
    pub alarm_name: String,
    /// The contributor; `None` where the alarm does not count per contributor.
    pub contributor: Option<Contributor>,
    /// The window that fired: from (inclusive) and to (exclusive), in event time.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The statistic of that window.
    pub value: Option<f64>,
    /// What the samples of that window add up to.
    pub count: f64,
    /// What the events of that window have to say.
    pub evidence: Evidence,
    /// Which window value counts as the peak.
    pub extreme: Extreme,
    /// The end of a mute that held the first message back; `None` when it was sent.
    pub muted_until: Option<Timestamp>,
}

/// Somebody has taken an incident on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// When.
    pub at: Timestamp,
    /// Who, as they were signed in; hostile text: escape it.
    pub who: String,
}

/// What came since the last message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct News {
    /// Data points that said something: a value other than zero, or events.
    pub points: u64,
    /// What their samples add up to.
    pub count: f64,
    /// What their events have to say.
    pub evidence: Evidence,
}

/// One stay of one contributor in ALARM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// 16 hexadecimal digits, see [`Incident::id_of`] and [`Incident::told_apart`].
    pub id: String,
    /// The alarm's ARN.
    pub alarm_arn: String,
    /// The alarm's name at the start.
    pub alarm_name: String,
    /// The contributor; `None` where the alarm does not count per contributor.
    pub contributor: Option<Contributor>,
    /// When it went into ALARM, by the server's clock.
    pub started: Timestamp,
    /// When it left ALARM, by the server's clock; `None` while it lasts.
    pub ended: Option<Timestamp>,
    /// The first second of event time that belongs to it: the start of the window that fired.
    pub first_second: i64,
    /// The latest second of event time that was counted into it; before the first where nothing was yet.
    pub last_second: i64,
    /// What all samples since the start of the window that fired add up to: their sum where the alarm is on `Sum`, else
    /// their number.
    pub count: f64,
    /// The worst window, where a value is known.
    pub peak: Option<CurvePoint>,
    /// Which window value counts as the peak.
    pub extreme: Extreme,
    /// How it went over time.
    pub curve: Curve,
    /// What all events have to say; its samples are the earliest.
    pub evidence: Evidence,
    /// The latest event seen as a sample.
    pub last_sample: Option<Sample>,
    /// Whether parts of the evidence were given up to stay inside [`OPEN_EVIDENCE_BYTES_MAX`].
    pub condensed: bool,
    /// Messages sent so far, the first included.
    pub told: u32,
    /// When the last of them was sent.
    pub told_at: Option<Timestamp>,
    /// What came since then.
    pub news: News,
    /// Whether its end is still to be told.
    pub end_owed: bool,
    /// Who takes care of it: it sends no more updates, only its end.
    pub acknowledged: Option<Acknowledgement>,
    /// It sends nothing before this instant.
    pub muted_until: Option<Timestamp>,
}

/// What a [`Note`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoteKind {
    /// The incident lasts. Number 1 stands in for a first message that a mute held back.
    Update,
    /// The incident is over.
    End,
}

/// One message about an incident after its start: everything needed to write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// What it is for.
    pub kind: NoteKind,
    /// Which message of the incident it is; the first one is number 1.
    pub number: u32,
    /// When it was caused.
    pub at: Timestamp,
    /// When the message before was sent, or the incident's start.
    pub since: Timestamp,
    /// What came since then.
    pub news: News,
    /// The incident as it stands, this message counted.
    pub incident: Incident,
}

impl Incident {
    /// An incident that starts at `now`. Its first message is the transition that caused it, and counts as sent unless
    /// `opening` says that a mute holds it back; then [`Incident::tick`] makes up for it once the mute is over.
    pub fn open(now: Timestamp, opening: Opening) -> Self {
        let Opening { alarm_arn, alarm_name, contributor, window, value, count, evidence, extreme, .. } =
            opening;
        let muted_until = opening.muted_until.filter(|until| *until > now).map(|until| mute_end(now, until));
        let (from, to) = window.unwrap_or((now, now));
        let id = Self::id_of(&alarm_arn, contributor.as_ref().map(|name| name.id.as_str()), now);
        let first_second = from.second();
        let last_second = match (evidence.last, window) {
            (None, None) => first_second.saturating_sub(1),
            (last, _) => last.unwrap_or(to.plus_millis(-1)).second().max(first_second),
        };
        let held_back = muted_until.is_some();
        let count = finite_sum(0.0, count);
        let mut incident = Self {
            id,
            alarm_arn,
            alarm_name,
            contributor,
            started: now,
            ended: None,
            first_second,
            last_second,
            count,
            peak: None,
            extreme,
            curve: Curve::new(extreme),
            last_sample: evidence.samples.last().cloned(),
            news: News::default(),
            evidence,
            condensed: false,
            told: u32::from(!held_back),
            told_at: (!held_back).then_some(now),
            end_owed: false,
            acknowledged: None,
            muted_until,
        };
        incident.draw_opening();
        incident.see_window(value.map(|value| CurvePoint { at: to, value }));
        if held_back {
            incident.news = News { points: 1, count, evidence: incident.evidence.clone() };
        }
        incident
    }

    /// The id of the incident of this alarm and contributor that started at `started`: 16 hexadecimal digits of
    /// SHA-256, because an id that somebody could aim at would let one incident hide behind another. Two starts in the
    /// same millisecond have one id; the caller starts the second a millisecond later, or uses [`Incident::told_apart`].
    pub fn id_of(alarm_arn: &str, contributor: Option<&str>, started: Timestamp) -> String {
        let mut hash = Sha256::new();
        for part in [alarm_arn, contributor.unwrap_or_default()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(started.as_millis().to_be_bytes());
        id_from(hash)
    }

    /// Gives it an id of its own among incidents of this name that started at the same time by the clock: under an alarm
    /// that was written at another time (`alarm_updated`), or before the clock was put back once more (`put_backs`). Right
    /// after [`Incident::open`].
    #[must_use]
    pub fn told_apart(mut self, alarm_updated: Timestamp, put_backs: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(&self.id);
        hash.update(alarm_updated.as_millis().to_be_bytes());
        hash.update(put_backs.to_be_bytes());
        self.id = id_from(hash);
        self
    }

    /// Draws the window that fired anew from what was counted in it, as second of event time and value: else its curve
    /// begins with the samples, or with one number where they are not all. Right after [`Incident::open`].
    pub fn draw_opening_from(&mut self, counted: impl IntoIterator<Item = (i64, f64)>) {
        self.curve = Curve::new(self.extreme);
        for (second, value) in counted {
            self.curve.count(second, value);
        }
        if let Some(peak) = self.peak {
            self.curve.see(peak.at.plus_millis(-1).second(), peak.value);
        }
    }

    fn draw_opening(&mut self) {
        let samples = &self.evidence.samples;
        if self.count == 0.0 {
            return;
        }
        if self.evidence.events == samples.len() as u64 && self.count == samples.len() as f64 {
            for sample in samples {
                self.curve.count(sample.time.second(), 1.0);
            }
        } else {
            self.curve.lump(self.last_second, self.count);
        }
    }

    /// Counts a data point of the event-time second `second` in: `value` is what its samples add up to (see
    /// [`Incident::count`]), `window` the alarm's statistic with it. Late data may be counted into an incident that is
    /// over; it is no news then.
    pub fn observe(&mut self, second: i64, value: f64, evidence: &Evidence, window: Option<CurvePoint>) {
        self.last_second = self.last_second.max(second);
        self.see_window(window);
        if value == 0.0 && evidence.is_empty() {
            return;
        }
        self.count = finite_sum(self.count, value);
        self.curve.count(second, value);
        self.evidence.merge(evidence);
        if let Some(sample) = evidence.samples.last()
            && self.last_sample.as_ref().is_none_or(|held| held < sample)
        {
            self.last_sample = Some(sample.clone());
        }
        if self.ended.is_none() || self.end_owed {
            self.news.points = self.news.points.saturating_add(1);
            self.news.count = finite_sum(self.news.count, value);
            self.news.evidence.merge(evidence);
        }
    }

    /// The update that is due at `now`, or the end that a mute held back; `None` before [`Incident::next_message`].
    pub fn tick(&mut self, now: Timestamp) -> Option<Note> {
        (self.next_message()? <= now).then(|| self.tell(now))
    }

    /// Ends the incident at `now` and gives the message that says so. `None` while a mute holds it back, when nothing
    /// was ever told of the incident, and when it was over before.
    pub fn close(&mut self, now: Timestamp) -> Option<Note> {
        if self.ended.is_some() {
            return None;
        }
        self.ended = Some(now.max(self.started));
        self.end_owed = self.told > 0;
        self.tick(now)
    }

    /// The earliest instant of the next message, as things stand; in the past when it is overdue. `None` when none is
    /// owed: there is no news, or somebody takes care of it, or everything was told.
    pub fn next_message(&self) -> Option<Timestamp> {
        let due = match self.ended {
            Some(ended) => self.end_owed.then_some(ended)?,
            None if self.acknowledged.is_some() || self.news.points == 0 => return None,
            None => self.earliest_update(),
        };
        Some(self.muted_until.map_or(due, |until| until.max(due)))
    }

    /// When the next update may go out at the earliest, should there be news; mutes set aside.
    pub fn earliest_update(&self) -> Timestamp {
        self.told_at.map_or(self.started, |at| at.plus_millis(update_interval_ms(self.told)))
    }

    /// The first message, which a mute had held back, goes out at `now` as the transition it is.
    pub fn first_told(&mut self, now: Timestamp) {
        if self.told == 0 {
            self.told = 1;
            self.told_at = Some(now);
            self.news = News::default();
            self.muted_until = None;
        }
    }

    /// `who` takes care of it: no more updates, only the end. Whether that changed anything: the first to acknowledge
    /// stays, and what is over is not acknowledged.
    pub fn acknowledge(&mut self, now: Timestamp, who: &str) -> bool {
        let takes = self.ended.is_none() && self.acknowledged.is_none();
        if takes {
            let who = who[..who.floor_char_boundary(ACKNOWLEDGED_BY_BYTES_MAX)].to_owned();
            self.acknowledged = Some(Acknowledgement { at: now, who });
        }
        takes
    }

    /// Sends nothing before `until`, at most [`INCIDENT_MUTE_MAX_MS`] from `now`; an instant that is past ends the mute.
    /// Until when it is muted now. The end of an incident that ends while it is muted is told when the mute is over.
    pub fn mute(&mut self, now: Timestamp, until: Timestamp) -> Option<Timestamp> {
        self.muted_until = (until > now).then(|| mute_end(now, until));
        self.muted_until
    }

    /// Whether data of this second of event time belongs to the incident: from the window that fired on and, once it is
    /// over, up to its last data. Late data that an incident covers must not start another one; what happened after its
    /// last data may, even if that was before the silence was noticed.
    pub fn covers(&self, second: i64) -> bool {
        second >= self.first_second && (self.ended.is_none() || second <= self.last_second)
    }

    /// Whether it is over for longer than [`INCIDENT_AGE_MAX_MS`] and owes no message.
    pub fn is_outlived(&self, now: Timestamp) -> bool {
        !self.end_owed && self.ended.is_some_and(|ended| now.since(ended) > INCIDENT_AGE_MAX_MS)
    }

    fn see_window(&mut self, window: Option<CurvePoint>) {
        let Some(window) = window.filter(|window| window.value.is_finite()) else { return };
        self.curve.see(window.at.plus_millis(-1).second(), window.value);
        let worse = self.peak.is_none_or(|peak| match self.extreme {
            Extreme::Highest => window.value > peak.value,
            Extreme::Lowest => window.value < peak.value,
        });
        if worse {
            self.peak = Some(window);
        }
    }

    fn tell(&mut self, now: Timestamp) -> Note {
        let kind = if self.ended.is_some() { NoteKind::End } else { NoteKind::Update };
        let since = self.told_at.unwrap_or(self.started);
        let news = std::mem::take(&mut self.news);
        self.told = self.told.saturating_add(1);
        self.told_at = Some(now);
        self.end_owed = false;
        Note { kind, number: self.told, at: now, since, news, incident: self.clone() }
    }
}

/// How long after message number `told` the next update waits.
fn update_interval_ms(told: u32) -> i64 {
    let doublings = told.saturating_sub(1).min(16);
    (FIRST_UPDATE_AFTER_MS << doublings).min(UPDATE_INTERVAL_MAX_MS)
}

fn id_from(hash: Sha256) -> String {
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn mute_end(now: Timestamp, until: Timestamp) -> Timestamp {
    until.min(now.plus_millis(INCIDENT_MUTE_MAX_MS))
}

/// `sum + value`, without what would leave a sum that is no number.
fn finite_sum(sum: f64, value: f64) -> f64 {
    let more = sum + value;
    if more.is_finite() { more } else { sum }
}

#[cfg(test)]
mod tests;
