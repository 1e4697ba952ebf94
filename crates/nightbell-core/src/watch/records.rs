/*!
The part of a [`Watch`] that follows record numbers: what batches held goes in, gaps come out as data that alarms count.

They are followed while some alarm asks for metrics of [`NAMESPACE`], and each time anew: of the records that came
while nobody asked nothing is known. [`Watch::follows_records`] names the time, and whoever reads the marks gives that name
back with them, so that those of an earlier time are told apart.
*/

use std::collections::BTreeSet;

use super::{Effect, Needed, Watch};
use crate::evidence::{Evidence, Sample, Tally};
use crate::metric::{Aggregate, Datum, Series};
use crate::records::{Channel, EventLog, Finding, Gap, MISSING_METRIC, NAMESPACE, RecordSpans, Records};
use crate::time::Timestamp;

/// The action of what the evidence of gaps counts.
const ACTION: &str = "record-gap";

/// Record numbers, and who asks for them.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordWatch {
    /// ARNs of the alarms on metrics of [`NAMESPACE`].
    asking: BTreeSet<String>,
    since: Option<Timestamp>,
    records: Records,
}

impl Watch {
    /// Since when record numbers are followed: the name of [`Input::Records`](super::Input::Records) that are taken.
    /// `None` while they need not be read.
    pub fn follows_records(&self) -> Option<Timestamp> {
        self.record_watch.since
    }

    /// How many event logs are followed, and how many batches of other logs were not because those are too many.
    pub fn record_logs(&self) -> (usize, u64) {
        (self.record_watch.records.len(), self.record_watch.records.unfollowed())
    }

    /// Puts back since when record numbers are followed, as it was saved.
    pub fn restore_records_since(&mut self, since: Option<Timestamp>) {
        self.record_watch.since = since;
    }

    /// Puts an event log back as it was saved.
    pub fn restore_record_log(&mut self, log: EventLog, channel: Channel) {
        self.record_watch.records.restore(log, channel);
    }

    /// Notes whether the alarm of this ARN asks for gaps now.
    pub(super) fn note_asking(&mut self, arn: &str) {
        let asks = |needed: &Needed| match needed {
            Needed::Series(series) => series.namespace == NAMESPACE,
            Needed::Metric { namespace, .. } => namespace == NAMESPACE,
        };
        let alarm = self.alarms.get(arn).map(|watched| &watched.question().alarm);
        if alarm.is_some_and(|alarm| Self::needs(alarm).iter().any(asks)) {
            self.record_watch.asking.insert(arn.to_owned());
        } else {
            self.record_watch.asking.remove(arn);
        }
    }

    /// Forgets all event logs when nobody asks any more.
    pub(super) fn stop_records(&mut self, effects: &mut Vec<Effect>) {
        if self.record_watch.asking.is_empty() && self.record_watch.since.take().is_some() {
            self.record_watch.records.clear();
            effects.push(Effect::RecordsSince(None));
            self.save_records(effects);
        }
    }

    pub(super) fn take_records(
        &mut self,
        now: Timestamp,
        since: Timestamp,
        spans: &RecordSpans,
        effects: &mut Vec<Effect>,
    ) {
        if self.record_watch.since == Some(since) {
            self.record_watch.records.observe(spans, now);
            self.save_records(effects);
        }
    }

    /// Tells what is found by `complete`, which begins with the first tick after somebody asked.
    pub(super) fn judge_records(&mut self, now: Timestamp, complete: Timestamp, effects: &mut Vec<Effect>) {
        if self.record_watch.asking.is_empty() {
            return;
        }
        if self.record_watch.since.is_none() {
            self.record_watch.since = Some(complete);
            self.record_watch.records.clear();
            effects.push(Effect::RecordsSince(Some(complete)));
        }
        let findings = self.record_watch.records.judge(complete);
        self.save_records(effects);
        let data: Vec<Datum> = findings.iter().filter_map(|finding| datum(finding, complete)).collect();
        effects.extend(findings.into_iter().map(|finding| Effect::Found(Box::new(finding))));
        if !data.is_empty() {
            effects.push(Effect::Data(data.clone()));
            self.take(now, data, effects);
        }
    }

    /// What is known of event logs, where the clock that marked it was ahead.
    pub(super) fn put_records_back(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.record_watch.records.put_clock_back(now);
        self.save_records(effects);
    }

    fn save_records(&mut self, effects: &mut Vec<Effect>) {
        let changed = self.record_watch.records.take_changed().into_iter();
        effects.extend(changed.map(|(log, channel)| Effect::SavedRecords {
            log: Box::new(log),
            channel: channel.map(Box::new),
        }));
    }
}

/// What alarms count of a finding: the missing numbers of a gap; nothing, and a line to be read beside them, of a source
/// that sends a selection. It counts in the second it was found: a gap is found `LATENESS_MS` after it came
/// to be at the earliest, when its own time is too late for any alarm.
fn datum(finding: &Finding, found: Timestamp) -> Option<Datum> {
    let (log, missing, time) = match finding {
        Finding::Gap(Gap { log, missing, between, .. }) => (log, *missing, *between),
        Finding::Selective { log } => (log, 0, (found, found)),
        Finding::Filled { .. } | Finding::Restarted { .. } => return None,
    };
    let dimensions = [("LogGroup", &log.group), ("Instance", &log.machine), ("Channel", &log.channel)];
    let dimensions = dimensions.map(|(name, value)| (name.to_owned(), value.clone())).to_vec();
    let tally = |value: &str| Tally { counts: vec![(value.into(), 1)], others: 0 };
    let evidence = Evidence {
        events: 1,
        first: Some(time.0.min(time.1)),
        last: Some(time.0.max(time.1)),
        last_arrival: Some(found),
        actions: tally(ACTION),
        instances: tally(&log.machine),
        samples: vec![Sample { time: time.1, line: finding.to_string(), place: None }],
        ..Evidence::default()
    };
    Some(Datum {
        series: Series::new(&log.region, NAMESPACE, MISSING_METRIC, dimensions),
        second: found.second(),
        unit: None,
        aggregate: Aggregate::one(missing as f64),
        evidence,
    })
}

#[cfg(test)]
mod tests;
