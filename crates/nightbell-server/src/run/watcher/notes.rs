/*!
What the watcher tells beside transitions: how incidents go on and end, and digests of what is past a topic's budget.

The first message about an incident is the action of its transition. Alarms that do not count per contributor send theirs
as AWS does, one by one; what many contributors cause at once goes through the topic's budget.
*/

use std::collections::BTreeSet;

use nightbell_core::alarm::{MetricAlarm, State, Transition};
use nightbell_core::budget::{Decision, Digest, DigestLine, MessageKind};
use nightbell_core::delivery::{Content, IncidentMessage};
use nightbell_core::incident::{Incident, NoteKind};
use nightbell_core::time::Timestamp;
use nightbell_core::topic::Topic;
use tracing::info;

use super::{Gathered, Watcher};
use crate::catalog::Failure;
use crate::manage::{Refusal, incidents, topics};

impl Watcher {
    /// Keeps an incident as it stands, unless it ended because everything was emptied.
    pub(super) fn keep_incident(
        &self,
        incident: &Incident,
        alarm_deleted: bool,
        gathered: &mut Gathered,
    ) -> Result<(), Failure> {
        let known = gathered.incidents.contains(&incident.id);
        if !alarm_deleted || known || incidents::is_kept(&**self.app.records.store(), &incident.id)? {
            incidents::save(&mut gathered.change, incident);
            gathered.incidents.insert(incident.id.clone());
        }
        Ok(())
    }

    /// Whether the message of a contributor's transition is past the budget of `topic` and goes into a digest.
    pub(super) fn gathers(
        &mut self,
        topic: &str,
        transition: &Transition,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        if transition.contributor.is_none() {
            return Ok(false);
        }
        let line = self.line(transition);
        self.decide(now, topic, line)
    }

    /// Tells the topics of an alarm how its incident goes on, or that it is over; that, only where no action of the
    /// transition that ended it does.
    pub(super) fn tell_note(
        &mut self,
        message: &IncidentMessage,
        gathered: &mut Gathered,
    ) -> Result<(), Failure> {
        let (alarm, note) = (&message.alarm, &message.note);
        // An end that a mute rule held back comes without its transition.
        let held_back = note.incident.ended.is_some_and(|ended| note.at > ended);
        let told_over =
            gathered.told_over.contains(&note.incident.id) || (held_back && !alarm.ok_actions.is_empty());
        let kind = match note.kind {
            NoteKind::End if told_over => return Ok(()),
            NoteKind::End => MessageKind::End,
            NoteKind::Update if note.number == 1 => MessageKind::First,
            NoteKind::Update => MessageKind::Update,
        };
        let number = note.number.to_string();
        info!(alarm = alarm.name, incident = note.incident.id, number, "incident told of again");
        let told: BTreeSet<&String> = alarm.alarm_actions.iter().collect();
        for action in told {
            let Some(topic) = self.topic(action)? else { continue };
            if topics::wants_first_only(&topic) {
                continue;
            }
            let line = DigestLine::of(kind, &note.incident, note.at).against(threshold(alarm));
            if !self.decide(note.at, action, line)? {
                let content = Content::Incident(Box::new(message.clone()));
                let cause = ["incident", note.incident.id.as_str(), number.as_str()];
                self.send_to_all(action, &content, &cause, note.at, gathered)?;
            }
        }
        Ok(())
    }

    /// Sends the digests that are due at `now`.
    pub(super) fn send_digests(&mut self, now: Timestamp, gathered: &mut Gathered) -> Result<(), Failure> {
        for (topic, digest) in self.budgets.due(&self.app.records, now)? {
            if self.topic(&topic)?.is_none() {
                self.budgets.forget(&mut gathered.change, &topic);
                continue;
            }
            self.send_digest(&topic, digest, gathered)?;
        }
        Ok(())
    }

    fn send_digest(&self, topic: &str, digest: Digest, gathered: &mut Gathered) -> Result<(), Failure> {
        let (number, at) = (digest.number.to_string(), digest.at.as_millis().to_string());
        info!(topic, number, messages = digest.tallied.all(), "messages go out in a digest");
        let cause = ["digest", topic, number.as_str(), at.as_str()];
        let at = digest.at;
        self.send_to_all(topic, &Content::Digest(Box::new(digest)), &cause, at, gathered)
    }

    /// Puts a delivery for each subscriber of `topic` into the outbox.
    pub(super) fn send_to_all(
        &self,
        topic: &str,
        content: &Content,
        cause: &[&str],
        at: Timestamp,
        gathered: &mut Gathered,
    ) -> Result<(), Failure> {
        for subscription in topics::subscriptions(&self.app.records, topic)? {
            let waiting = topics::addressed(&subscription, content.clone(), cause, &self.app.links(), at);
            if let Some(waiting) = waiting {
                self.app.lanes.enqueue(&mut gathered.change, at, &waiting);
                gathered.tells = true;
            }
        }
        Ok(())
    }

    /// Whether a message goes into a digest rather than out by itself.
    fn decide(&mut self, at: Timestamp, topic: &str, line: DigestLine) -> Result<bool, Failure> {
        let decision = self.budgets.take(&self.app.records, at, topic, line)?;
        let gathers = matches!(decision, Decision::Gather { .. });
        if gathers {
            self.app.telemetry.gathered.inc();
        }
        Ok(gathers)
    }

    /// The line that stands for a transition's message in a digest.
    fn line(&self, transition: &Transition) -> DigestLine {
        let kind = if transition.to == State::Alarm { MessageKind::First } else { MessageKind::End };
        let incident = transition.incident.as_deref().and_then(|id| self.watch.incident(id));
        if let Some(incident) = incident {
            return DigestLine::of(kind, incident, transition.at).against(threshold(&transition.alarm));
        }
        let contributor = transition.contributor.as_ref();
        DigestLine {
            kind,
            alarm: transition.alarm.name.clone(),
            attributes: contributor.map(|one| one.attributes.clone()).unwrap_or_default(),
            value: transition.value.filter(|value| value.is_finite()).unwrap_or(0.0),
            threshold: threshold(&transition.alarm),
            incident: transition.incident.clone().unwrap_or_default(),
            at: transition.at,
        }
    }

    /// The topic with this ARN; `None` for another kind of action and where it is gone.
    fn topic(&self, action: &str) -> Result<Option<Topic>, Failure> {
        match topics::find(&self.app.records, action) {
            Ok(topic) => Ok(Some(topic)),
            Err(Refusal::Store(failure)) => Err(failure),
            Err(_) => Ok(None),
        }
    }
}

/// The line that an alarm's values are held against; of a band it is another at each time.
fn threshold(alarm: &MetricAlarm) -> Option<f64> {
    alarm.band.is_none().then_some(alarm.threshold)
}
