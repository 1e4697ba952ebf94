/*!
What follows from a past that is played, written down: which states changed, how often the rule fired, and which messages
would have been sent.

The rules of who is told are the watcher's: actions of the state that was entered, an incident's further messages to those
told of ALARM, its end only where no action tells it. A topic's own settings (budget, first message only, template) are
not looked at. Everything is counted, and the first of it shown.
*/

use std::collections::HashSet;

use nightbell_core::alarm::composite::CompositeTransition;
use nightbell_core::alarm::{Contributor, State, Transition};
use nightbell_core::delivery::{Content, Delivery, IncidentMessage};
use nightbell_core::incident::NoteKind;
use nightbell_core::time::Timestamp;
use nightbell_core::topic::Endpoint;
use nightbell_core::watch::{Act, Effect};
use nightbell_deliver::message::{self, Enclosure};

use super::rules::Variant;
use super::{BacktestMessage, BacktestRun, BacktestTransition};
use crate::app::App;

/// Whom the shown mails would go to.
const ADDRESS: &str = "backtest@localhost";

/// A run, being written.
pub(super) struct Story<'a> {
    app: &'a App,
    variant: &'a Variant,
    has_contributors: bool,
    start: Timestamp,
    shown_max: usize,
    /// Whether the texts of messages are wanted.
    texts: bool,
    run: BacktestRun,
    /// Ids of contributors that fired.
    who: HashSet<String>,
    /// Ids of incidents whose end an action has told.
    told_over: HashSet<String>,
}

impl<'a> Story<'a> {
    /// A story of what `variant` does from `start` on; with the `texts` of messages, if they are wanted.
    pub(super) fn new(
        app: &'a App,
        variant: &'a Variant,
        start: Timestamp,
        shown_max: usize,
        texts: bool,
    ) -> Self {
        Self {
            app,
            variant,
            has_contributors: variant.has_contributors(),
            start,
            shown_max,
            texts,
            run: BacktestRun { threshold: variant.threshold, ..BacktestRun::default() },
            who: HashSet::new(),
            told_over: HashSet::new(),
        }
    }

    /// The whole story.
    pub(super) fn told(mut self) -> BacktestRun {
        self.run.contributors = self.who.len();
        self.run
    }

    /// Writes down what follows at `now`, if it is worth it.
    pub(super) fn hear(&mut self, now: Timestamp, effect: Effect) {
        match effect {
            Effect::Transition(transition) => self.hear_transition(*transition),
            Effect::CompositeTransition(transition) => self.hear_composite(*transition),
            Effect::Note(message) => self.hear_note(*message),
            Effect::Act(act) => self.hear_act(now, *act),
            _ => {}
        }
    }

    fn is_child(&self, arn: &str) -> bool {
        arn != self.variant.tried
    }

    fn hear_transition(&mut self, mut told: Transition) {
        let child = self.is_child(&told.alarm.arn);
        // Of a child the composite sees the alarm as a whole; of what counts per contributor each speaks for itself.
        let speaks = told.contributor.is_some() == (self.has_contributors && !child);
        let acts = told.acts && !told.alarm.actions(told.to).is_empty();
        if acts && told.to != State::Alarm {
            self.told_over.extend(told.incident.clone());
        }
        if told.at < self.start {
            return;
        }
        self.run.mails += usize::from(acts);
        if !speaks {
            return;
        }
        if told.to == State::Alarm && !child {
            self.run.fired += 1;
            self.who.extend(told.contributor.as_ref().map(|one| one.id.clone()));
        }
        if self.run.transitions.len() >= self.shown_max {
            return;
        }
        let shown = BacktestTransition {
            at: told.at.as_millis(),
            alarm: told.alarm.name.clone(),
            child,
            contributor: attributes(told.contributor.as_ref()),
            from: told.from.name().to_owned(),
            to: told.to.name().to_owned(),
            reason: told.reason.clone(),
            value: told.value,
            window: told.window.map(|(from, to)| (from.as_millis(), to.as_millis())),
            late_by_ms: told.late_by_ms,
            silent: silent(&told),
            ..BacktestTransition::default()
        };
        if !self.texts {
            told.curve.clear(); // nobody will see the picture, which takes longest
        }
        let (subject, text) = self.mail(told.at, Content::Alarm(Box::new(told)));
        self.run.transitions.push(BacktestTransition { subject, text, ..shown });
    }

    fn hear_composite(&mut self, told: CompositeTransition) {
        let change = &told.change;
        if change.at < self.start {
            return;
        }
        let child = self.is_child(&told.alarm.arn);
        self.run.fired += usize::from(change.to == State::Alarm && !child);
        self.run.mails += usize::from(told.acts && !told.alarm.actions(change.to).is_empty());
        if self.run.transitions.len() >= self.shown_max {
            return;
        }
        let shown = BacktestTransition {
            at: change.at.as_millis(),
            alarm: told.alarm.name.clone(),
            child,
            from: change.from.name().to_owned(),
            to: change.to.name().to_owned(),
            reason: change.reason.clone(),
            silent: silent_composite(&told),
            ..BacktestTransition::default()
        };
        let (subject, text) = self.mail(change.at, Content::Composite(Box::new(told)));
        self.run.transitions.push(BacktestTransition { subject, text, ..shown });
    }

    fn hear_note(&mut self, message: IncidentMessage) {
        let IncidentMessage { alarm, note, .. } = &message;
        let held_back = note.incident.ended.is_some_and(|ended| note.at > ended);
        let told_over = self.told_over.contains(&note.incident.id);
        let is_told = match note.kind {
            NoteKind::End => !(told_over || held_back && !alarm.ok_actions.is_empty()),
            NoteKind::Update => true,
        };
        if !is_told || alarm.alarm_actions.is_empty() || note.at < self.start {
            return;
        }
        let kind = if note.kind == NoteKind::End { "end" } else { "update" };
        let contributor = note.incident.contributor.clone();
        let (at, alarm) = (note.at, alarm.name.clone());
        self.push(at, alarm, contributor.as_ref(), kind, Content::Incident(Box::new(message)));
    }

    /// Actions that were held back run now.
    fn hear_act(&mut self, now: Timestamp, act: Act) {
        let (alarm, contributor, content) = match act {
            Act::Metric(told) if told.alarm.actions(told.to).is_empty() => return,
            Act::Composite(told) if told.alarm.actions(told.change.to).is_empty() => return,
            Act::Metric(told) => {
                let contributor = told.contributor.clone();
                (told.alarm.name.clone(), contributor, Content::Alarm(Box::new(told)))
            }
            Act::Composite(told) => (told.alarm.name.clone(), None, Content::Composite(Box::new(told))),
        };
        if now >= self.start {
            self.push(now, alarm, contributor.as_ref(), "held back", content);
        }
    }

    fn push(
        &mut self,
        at: Timestamp,
        alarm: String,
        contributor: Option<&Contributor>,
        kind: &str,
        content: Content,
    ) {
        self.run.mails += 1;
        if !self.texts || self.run.messages.len() >= self.shown_max {
            return;
        }
        let (subject, text) = self.mail(at, content);
        let contributor = attributes(contributor);
        let kind = kind.to_owned();
        let at = at.as_millis();
        self.run.messages.push(BacktestMessage { at, alarm, contributor, kind, subject, text });
    }

    /// The mail that would have been sent: subject and text.
    fn mail(&self, at: Timestamp, content: Content) -> (String, String) {
        let delivery = Delivery {
            id: "backtest".to_owned(),
            created: at,
            topic: String::new(),
            endpoint: Endpoint::Email(ADDRESS.to_owned()),
            unsubscribe_url: None,
            content,
        };
        let trial = Enclosure { trial: true, ..Enclosure::default() };
        let mail = message::render(&delivery, &self.app.origin, trial, at);
        (mail.subject, if self.texts { mail.text } else { String::new() })
    }
}

fn attributes(contributor: Option<&Contributor>) -> Vec<(String, String)> {
    contributor.map(|one| one.attributes.clone()).unwrap_or_default()
}

/// Why nobody is told of a transition; `None` where somebody is.
fn silent(told: &Transition) -> Option<String> {
    silence(told.alarm.actions_enabled, told.acts, told.alarm.actions(told.to), "a mute rule holds them back")
}

fn silent_composite(told: &CompositeTransition) -> Option<String> {
    let held = match told.suppressed_by {
        Some(by) => format!("its suppressor holds them back ({})", by.name()),
        None => "a suppressor or a mute rule holds them back".to_owned(),
    };
    silence(told.alarm.actions_enabled, told.acts, told.alarm.actions(told.change.to), &held)
}

fn silence(enabled: bool, acts: bool, actions: &[String], held: &str) -> Option<String> {
    if actions.is_empty() {
        Some("the alarm has no actions for this state".to_owned())
    } else if !enabled {
        Some("its actions are disabled".to_owned())
    } else if !acts {
        Some(held.to_owned())
    } else {
        None
    }
}
