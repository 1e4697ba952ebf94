/*!
The budgets of all topics, kept in the catalog in the same step as the deliveries they decide about.

Knows which digest is due to which topic; who is subscribed there, and what a message says, is the watcher's to find. What
a topic allows stands in its attributes, which are read again each second, so that a change holds from then on.
*/

use std::collections::{BTreeMap, BTreeSet};

use nightbell_core::budget::{Allowance, Budget, Decision, Digest, DigestLine};
use nightbell_core::time::{SECOND_MS, Timestamp};
use nightbell_store::Write;

use crate::catalog::{Failure, Key, Records, delete, put};
use crate::manage::{Refusal, topics};

/// How long what a topic allows is not asked for again.
const ALLOWANCE_AGE_MAX_MS: i64 = SECOND_MS;

/// Budgets by their topic's ARN.
pub(super) struct Budgets {
    by_topic: BTreeMap<String, Budget>,
    /// Topics whose budget changed since it was saved.
    changed: BTreeSet<String>,
    /// When it was asked what a topic allows.
    asked: BTreeMap<String, Timestamp>,
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
        Ok(Self { by_topic: saved.into_iter().collect(), ..Self::none(epoch) })
    }

    /// Forgets everything when the store was emptied since.
    pub(super) fn renew(&mut self, epoch: u64) {
        if epoch != self.epoch {
            *self = Self::none(epoch);
        }
    }

    fn none(epoch: u64) -> Self {
        Self { by_topic: BTreeMap::new(), changed: BTreeSet::new(), asked: BTreeMap::new(), epoch }
    }

    /// Decides about a message to `topic`.
    pub(super) fn take(
        &mut self,
        records: &Records,
        now: Timestamp,
        topic: &str,
        line: DigestLine,
    ) -> Result<Decision, Failure> {
        self.changed.insert(topic.to_owned());
        Ok(self.budget(records, now, topic)?.take(now, line))
    }

    /// The digests that are due, by topic.
    pub(super) fn due(
        &mut self,
        records: &Records,
        now: Timestamp,
    ) -> Result<Vec<(String, Digest)>, Failure> {
        let waits = |(topic, budget): (&String, &Budget)| budget.next_digest().map(|_| topic.clone());
        let waiting: Vec<String> = self.by_topic.iter().filter_map(waits).collect();
        let mut due = Vec::new();
        for topic in waiting {
            if let Some(digest) = self.budget(records, now, &topic)?.due(now) {
                self.changed.insert(topic.clone());
                due.push((topic, digest));
            }
        }
        Ok(due)
    }

    /// The budget of `topic`, which allows what the topic says now.
    fn budget(&mut self, records: &Records, now: Timestamp, topic: &str) -> Result<&mut Budget, Failure> {
        let fresh = |asked: &Timestamp| (0..ALLOWANCE_AGE_MAX_MS).contains(&now.since(*asked));
        if !self.by_topic.contains_key(topic) || !self.asked.get(topic).is_some_and(fresh) {
            let allowance = allowance(records, topic)?;
            self.asked.insert(topic.to_owned(), now);
            let budget = self.by_topic.entry(topic.to_owned());
            let budget = budget.or_insert_with(|| Budget::new(now, allowance));
            if budget.allowance() != allowance {
                budget.allow(now, allowance);
                self.changed.insert(topic.to_owned());
            }
        }
        Ok(self.by_topic.entry(topic.to_owned()).or_insert_with(|| Budget::new(now, Allowance::default())))
    }

    /// Has everything go on from `now`, which lies before the latest time told.
    pub(super) fn put_clock_back(&mut self, now: Timestamp) {
        self.asked.clear();
        for (topic, budget) in &mut self.by_topic {
            if budget.put_clock_back(now) {
                self.changed.insert(topic.clone());
            }
        }
    }

    /// Forgets the budget of a topic that is gone.
    pub(super) fn forget(&mut self, change: &mut Write, topic: &str) {
        self.by_topic.remove(topic);
        self.changed.remove(topic);
        self.asked.remove(topic);
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

/// What a topic allows; one that is gone allows what all do, until its budget is forgotten.
fn allowance(records: &Records, topic: &str) -> Result<Allowance, Failure> {
    match topics::find(records, topic) {
        Ok(topic) => Ok(topics::allowance(&topic)),
        Err(Refusal::Store(failure)) => Err(failure),
        Err(_) => Ok(Allowance::default()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nightbell_core::budget::MessageKind;
    use nightbell_store::{Durability, MemoryStore};

    use super::*;

    const TOPIC: &str = "arn:aws:sns:us-east-2:123456789012:t";

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_789_364_521_000 + ms)
    }

    fn line(kind: MessageKind) -> DigestLine {
        DigestLine {
            kind,
            alarm: "denied".to_owned(),
            attributes: Vec::new(),
            value: 6.0,
            threshold: None,
            incident: String::new(),
            at: at(0),
        }
    }

    fn records() -> Records {
        let records = Records::new(Arc::new(MemoryStore::default()));
        topics::create(&records, TOPIC, "t", BTreeMap::new(), &BTreeMap::new(), at(0)).unwrap();
        records
    }

    fn sends(budgets: &mut Budgets, records: &Records, ms: i64) -> bool {
        budgets.take(records, at(ms), TOPIC, line(MessageKind::First)).unwrap() == Decision::Send
    }

    #[test]
    fn what_a_topic_says_holds_within_a_second_and_after_a_restart() {
        let records = records();
        let mut budgets = Budgets::none(0);
        assert!(sends(&mut budgets, &records, 0));
        topics::set_attribute(&records, TOPIC, "MessageBudget", "0").unwrap();
        assert!(sends(&mut budgets, &records, 999), "not asked again yet");
        assert!(!sends(&mut budgets, &records, 1_000));
        let mut change = Write::new();
        budgets.save(&mut change);
        records.store().commit(change, Durability::Process).unwrap();
        let mut again = Budgets::open(&records, 0).unwrap();
        assert_eq!(again.by_topic, budgets.by_topic);
        topics::set_attribute(&records, TOPIC, "MessageBudget", "").unwrap();
        assert!(sends(&mut again, &records, 1_001), "asked at once after a restart");
    }

    #[test]
    fn a_shorter_wait_holds_for_what_waits() {
        let records = records();
        topics::set_attribute(&records, TOPIC, "MessageBudget", "0").unwrap();
        let mut budgets = Budgets::none(0);
        budgets.take(&records, at(0), TOPIC, line(MessageKind::Update)).unwrap();
        topics::set_attribute(&records, TOPIC, "DigestEvery", "10").unwrap();
        assert_eq!(budgets.due(&records, at(2_000)).unwrap(), []);
        assert_eq!(budgets.due(&records, at(11_999)).unwrap(), []);
        let due = budgets.due(&records, at(12_000)).unwrap();
        assert_eq!(
            due.iter().map(|(topic, digest)| (topic.as_str(), digest.lines.len())).collect::<Vec<_>>(),
            [(TOPIC, 1)]
        );
    }

    #[test]
    fn a_topic_that_is_gone_allows_what_all_do() {
        let records = records();
        topics::remove(&records, TOPIC).unwrap();
        assert!(sends(&mut Budgets::none(0), &records, 0));
    }
}
