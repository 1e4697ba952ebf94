/*!
The budgets of all topics, kept in the catalog in the same step as the deliveries they decide about.

Knows which digest is due to which topic; who is subscribed there, and what a message says, is the watcher's to find.
*/

use std::collections::{BTreeMap, BTreeSet};

use nightbell_core::budget::{Allowance, Budget, Decision, Digest, DigestLine};
use nightbell_core::time::Timestamp;
use nightbell_store::Write;

use crate::catalog::{Failure, Key, Records, delete, put};

/// Budgets by their topic's ARN.
pub(super) struct Budgets {
    by_topic: BTreeMap<String, Budget>,
    /// Topics whose budget changed since it was saved.
    changed: BTreeSet<String>,
    /// Which emptying of the store they are newer than.
    epoch: u64,
}

fn key(topic: &str) -> Key {
    Key::of(&["budget", topic])
}

impl Budgets {
    /// The budgets as they were saved; `epoch` is how often the store was emptied so far.
    pub(super) fn open(records: &Records, epoch: u64) -> Result<Self, Failure> {
        let saved: Vec<(String, Budget)> = records.list(&Key::prefix(&["budget"], ""))?;
        Ok(Self { by_topic: saved.into_iter().collect(), changed: BTreeSet::new(), epoch })
    }

    /// Forgets everything when the store was emptied since.
    pub(super) fn renew(&mut self, epoch: u64) {
        if epoch != self.epoch {
            *self = Self { by_topic: BTreeMap::new(), changed: BTreeSet::new(), epoch };
        }
    }

    /// Decides about a message to `topic`.
    pub(super) fn take(&mut self, now: Timestamp, topic: &str, line: DigestLine) -> Decision {
        self.changed.insert(topic.to_owned());
        let budget = self.by_topic.entry(topic.to_owned());
        budget.or_insert_with(|| Budget::new(now, Allowance::default())).take(now, line)
    }

    /// The digests that are due, by topic.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<(String, Digest)> {
        let mut due = Vec::new();
        for (topic, budget) in &mut self.by_topic {
            if budget.next_digest().is_some()
                && let Some(digest) = budget.due(now)
            {
                self.changed.insert(topic.clone());
                due.push((topic.clone(), digest));
            }
        }
        due
    }

    /// Forgets the budget of a topic that is gone.
    pub(super) fn forget(&mut self, change: &mut Write, topic: &str) {
        self.by_topic.remove(topic);
        self.changed.remove(topic);
        delete(change, &key(topic));
    }

    /// Adds what changed.
    pub(super) fn save(&mut self, change: &mut Write) {
        for topic in std::mem::take(&mut self.changed) {
            if let Some(budget) = self.by_topic.get(&topic) {
                put(change, &key(&topic), &(&topic, budget));
            }
        }
    }
}
