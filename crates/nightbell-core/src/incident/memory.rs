/*!
[`EvidenceMemory`]: the evidence of all open incidents together, held within one limit.

Whoever keeps the open incidents changes them through it. What is over the limit is given up by the incident that grew,
in two steps: first all but the most frequent values and most of its curve, then all of them; counts, first and last event
stay. Incidents that do not grow keep what they have, and the messages already sent carry their own evidence.
*/

use super::Incident;
use crate::evidence::{Evidence, Sample, Tally};

/// Bytes that the evidence of all open incidents may take.
pub const OPEN_EVIDENCE_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// Values of each kind that a condensed incident keeps.
const CONDENSED_VALUES: usize = 4;
/// Samples that a condensed incident keeps.
const CONDENSED_SAMPLES: usize = 1;
/// What a counted value or a sample takes beside its text, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 64;

/// How many bytes the evidence of the open incidents takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceMemory {
    bytes: usize,
    bytes_max: usize,
}

impl Default for EvidenceMemory {
    fn default() -> Self {
        Self::within(OPEN_EVIDENCE_BYTES_MAX)
    }
}

impl EvidenceMemory {
    /// A memory of `bytes_max` bytes.
    pub fn within(bytes_max: usize) -> Self {
        Self { bytes: 0, bytes_max }
    }

    /// Bytes taken.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes an incident in that was opened or read back.
    pub fn admit(&mut self, incident: &mut Incident) {
        self.settle(0, incident);
    }

    /// Applies `change` to an incident that was admitted before, and makes it fit.
    pub fn change<R>(&mut self, incident: &mut Incident, change: impl FnOnce(&mut Incident) -> R) -> R {
        let before = incident.evidence_bytes();
        let result = change(incident);
        self.settle(before, incident);
        result
    }

    /// Lets an incident go that was admitted before: it is over, or its alarm was deleted.
    pub fn release(&mut self, incident: &Incident) {
        self.bytes = self.bytes.saturating_sub(incident.evidence_bytes());
    }

    fn settle(&mut self, before: usize, incident: &mut Incident) {
        let others = self.bytes.saturating_sub(before);
        for (values, samples) in [(CONDENSED_VALUES, CONDENSED_SAMPLES), (0, 0)] {
            if others.saturating_add(incident.evidence_bytes()) <= self.bytes_max {
                break;
            }
            incident.condense(values, samples);
        }
        self.bytes = others.saturating_add(incident.evidence_bytes());
    }
}

impl Incident {
    /// Bytes that its evidence and its curve take, roughly.
    pub fn evidence_bytes(&self) -> usize {
        let last = self.last_sample.iter().map(sample_bytes).sum::<usize>();
        last + bytes_of(&self.evidence) + bytes_of(&self.news.evidence) + self.curve.bytes()
    }

    /// Keeps the `values` most frequent values of each kind, and the `samples` earliest samples.
    fn condense(&mut self, values: usize, samples: usize) {
        for evidence in [&mut self.evidence, &mut self.news.evidence] {
            for tally in tallies(evidence) {
                keep_top(tally, values);
            }
            evidence.samples.truncate(samples);
            evidence.samples.shrink_to_fit();
        }
        if samples == 0 {
            self.last_sample = None;
            self.curve.give_up();
        } else {
            self.curve.shorten();
        }
        self.condensed = true;
    }
}

fn bytes_of(evidence: &Evidence) -> usize {
    let each = [
        &evidence.actions,
        &evidence.outcomes,
        &evidence.users,
        &evidence.instances,
        &evidence.sources,
        &evidence.folders,
        &evidence.files,
        &evidence.reasons,
    ];
    let values: usize = each.into_iter().map(tally_bytes).sum();
    values + evidence.samples.iter().map(sample_bytes).sum::<usize>()
}

fn tally_bytes(tally: &Tally) -> usize {
    tally.counts.iter().map(|entry| entry.0.len() + ENTRY_OVERHEAD_BYTES).sum()
}

fn sample_bytes(sample: &Sample) -> usize {
    sample.line.len() + ENTRY_OVERHEAD_BYTES
}

fn tallies(evidence: &mut Evidence) -> [&mut Tally; 8] {
    [
        &mut evidence.actions,
        &mut evidence.outcomes,
        &mut evidence.users,
        &mut evidence.instances,
        &mut evidence.sources,
        &mut evidence.folders,
        &mut evidence.files,
        &mut evidence.reasons,
    ]
}

/// Keeps the `n` values seen most; what gives way is counted in `others`.
fn keep_top(tally: &mut Tally, n: usize) {
    if tally.distinct() <= n {
        return;
    }
    let mut kept = tally.top(usize::MAX);
    let gone = kept.split_off(n).iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    kept.sort_unstable();
    let counts = kept.into_iter().map(|(value, count)| (value.into(), count)).collect();
    *tally = Tally { counts, others: tally.others.saturating_add(gone) };
}
