/*!
The incidents of a [`Watch`]: opened and closed by transitions, fed by the data of what is in ALARM, told of by ticks.

An incident belongs to one contributor, or to an alarm that does not count per contributor. Once it is over it is held
as long as data that came late can still reach it: such data is counted into it and makes no other one. Where incidents
are kept, and who is told, is for the caller of [`Watch::step`].
*/

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::{Act, Came, Effect, Input, Watch, Watched};
use crate::alarm::contributors::Group;
use crate::alarm::standing::{self, Arrived, Fed, Question, Standing};
use crate::alarm::{Comparison, CurvePoint, Measure, MetricAlarm, State, Transition};
use crate::delivery::IncidentMessage;
use crate::evidence::Evidence;
use crate::incident::{EvidenceMemory, Extreme, Incident, Note, Opening};
use crate::time::Timestamp;

pub use counted::IncidentCount;
use judged::open_judged;

mod counted;
mod judged;

/// Incidents held at once; past it, alarms change and are told of without one.
pub const INCIDENTS_HELD_MAX: usize = 100_000;
/// Changed incidents that one tick hands out to be saved; the others follow at the next ticks.
pub const INCIDENTS_SAVED_PER_TICK_MAX: usize = 1_000;
/// Windows measured for the peak per incident and step, the newest.
const PEAK_WINDOWS_MAX: usize = 32;

/// The latest incident of each contributor of an alarm; an alarm as a whole is the group without values.
pub(crate) type Followed = BTreeMap<Group, String>;

/// The incidents that are not over, or that late data can still reach.
#[derive(Clone, Debug, Default)]
pub(super) struct Incidents {
    held: BTreeMap<String, Held>,
    /// By the alarm's ARN.
    followed: HashMap<String, Followed>,
    memory: EvidenceMemory,
    /// Ids of those that changed since they were handed out, in turn.
    changed: VecDeque<String>,
    /// Ids of those that counted something since their counts were told.
    counted: BTreeSet<String>,
    open: usize,
}

#[derive(Clone, Debug)]
struct Held {
    incident: Incident,
    group: Group,
    /// Whether it waits in `changed`.
    changed: bool,
}

/// What an input means for incidents, beside its transitions.
pub(super) enum Concerns {
    /// Messages may be due.
    Time,
    /// What was watched may not be any more.
    Alarm(String),
    /// Nothing else.
    Nothing,
}

impl Concerns {
    pub(super) fn of(input: &Input) -> Self {
        match input {
            Input::Tick => Self::Time,
            Input::PutAlarm { alarm, .. } => Self::Alarm(alarm.arn.clone()),
            Input::DeleteAlarm { arn } => Self::Alarm(arn.clone()),
            _ => Self::Nothing,
        }
    }
}

impl Watch {
    /// Puts an incident back as it was saved, after its alarm; one of an unknown alarm is ignored. What it counted since is
    /// for [`Watch::restore_incident_count`].
    pub fn restore_incident(&mut self, incident: Incident) {
        if self.alarms.contains_key(&incident.alarm_arn) && !self.incidents.held.contains_key(&incident.id) {
            self.incidents.hold(incident);
        }
    }

    /// Puts back what an incident counted after it was saved; of an unknown one it is ignored.
    pub fn restore_incident_count(&mut self, count: &IncidentCount) {
        if let Some(held) = self.incidents.held.get_mut(&count.id) {
            count.restore(&mut held.incident);
            if !held.changed {
                held.changed = true;
                self.incidents.changed.push_back(count.id.clone());
            }
        }
    }

    /// The incidents that are not over, or that late data can still reach, by id.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.held.values().map(|held| &held.incident)
    }

    /// The incident with this id, if it is among those.
    pub fn incident(&self, id: &str) -> Option<&Incident> {
        self.incidents.held.get(id).map(|held| &held.incident)
    }

    /// How many incidents are not over.
    pub fn open_incidents(&self) -> usize {
        self.incidents.open
    }

    /// Tells what incidents have counted that are not handed out as a whole.
    pub(super) fn tell_counts(&mut self, effects: &mut Vec<Effect>) {
        for id in std::mem::take(&mut self.incidents.counted) {
            if let Some(held) = self.incidents.held.get(&id) {
                effects.push(Effect::IncidentCounted(IncidentCount::of(&held.incident)));
            }
        }
    }

    /// Opens and closes incidents as the transitions in `effects` say, and adds what comes of it.
    pub(super) fn follow(&mut self, now: Timestamp, concerns: &Concerns, effects: &mut Vec<Effect>) {
        let mut more = Vec::new();
        // Asked once for each alarm: a thousand rules and ten thousand contributors are ten million questions.
        let mut mutes: BTreeMap<String, Option<Timestamp>> = BTreeMap::new();
        for effect in effects.iter_mut() {
            match effect {
                Effect::Transition(transition) => {
                    let alarm = &transition.alarm;
                    let muted = match mutes.get(&alarm.arn) {
                        Some(known) => *known,
                        None => {
                            let until = self.mutes.until(&alarm.region, &alarm.name, now);
                            mutes.insert(alarm.arn.clone(), until);
                            until
                        }
                    };
                    transition.incident = self.follow_one(now, transition, muted, &mut more);
                }
                Effect::Act(act) => {
                    if let Act::Metric(transition) = &**act {
                        self.first_told(now, transition, &mut more);
                    }
                }
                _ => {}
            }
        }
        match concerns {
            Concerns::Time => self.tick_incidents(now, &mut more),
            Concerns::Alarm(arn) => self.reconcile(now, arn, &mut more),
            Concerns::Nothing => {}
        }
        effects.append(&mut more);
    }

    pub(super) fn acknowledge(&mut self, now: Timestamp, id: &str, who: &str, effects: &mut Vec<Effect>) {
        if let Some(held) = self.incidents.held.get_mut(id)
            && held.incident.acknowledge(now, who)
        {
            effects.push(Effect::Incident(Box::new(held.incident.clone())));
        }
    }

    pub(super) fn mute(&mut self, now: Timestamp, id: &str, until: Timestamp, effects: &mut Vec<Effect>) {
        if let Some(held) = self.incidents.held.get_mut(id) {
            held.incident.mute(now, until);
            effects.push(Effect::Incident(Box::new(held.incident.clone())));
        }
    }

    /// The incident that `transition` starts or ends; `muted` is until when mute rules hold its messages back.
    fn follow_one(
        &mut self,
        now: Timestamp,
        transition: &Transition,
        muted: Option<Timestamp>,
        effects: &mut Vec<Effect>,
    ) -> Option<String> {
        let group = group_of(transition)?;
        let arn = &transition.alarm.arn;
        if transition.to != State::Alarm {
            let id = self.incidents.open_on(arn, &group)?.to_owned();
            self.feed_judged(&id);
            let close = |incident: &mut Incident| {
                incident.muted_until = incident.muted_until.max(muted);
                incident.close(now)
            };
            let note = self.incidents.change(&id, close).flatten();
            self.incidents.open -= 1;
            self.report_incident(&id, note, effects);
            return Some(id);
        }
        if self.incidents.held.len() >= INCIDENTS_HELD_MAX || self.incidents.open_on(arn, &group).is_some() {
            return None;
        }
        let watched = self.alarms.get(arn);
        let standing = watched.and_then(|watched| watched.standing(&group));
        let put_backs = watched.map_or(0, |watched| watched.runtime().put_backs);
        let judged = self.judged_in(transition);
        let incident = self.incidents.first_at(now, |at| {
            let incident = match &judged {
                Some(judged) => open_judged(at, transition, judged, muted),
                None => open(at, transition, standing, muted),
            };
            incident.told_apart(transition.alarm.updated, put_backs)
        });
        let id = incident.id.clone();
        self.incidents.hold(incident);
        self.report_incident(&id, None, effects);
        Some(id)
    }

    /// A first message that a mute rule had held back goes out.
    fn first_told(&mut self, now: Timestamp, transition: &Transition, effects: &mut Vec<Effect>) {
        let Some(group) = group_of(transition).filter(|_| transition.to == State::Alarm) else { return };
        let Some(id) = self.incidents.open_on(&transition.alarm.arn, &group).map(str::to_owned) else {
            return;
        };
        self.incidents.change(&id, |incident| incident.first_told(now));
        self.report_incident(&id, None, effects);
    }

    /// Tells what is due, lets go of what is over, and hands out what changed.
    fn tick_incidents(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.feed_all_judged();
        let (mut due, mut over) = (Vec::new(), Vec::new());
        let mut muted: HashMap<&str, bool> = HashMap::new();
        for (id, held) in &self.incidents.held {
            let alarm = self.alarms.get(&held.incident.alarm_arn).map(|watched| &watched.question().alarm);
            let reached = |alarm| standing::accepted_from(alarm, now.second()) <= held.incident.last_second;
            if held.incident.next_message().is_some_and(|next| next <= now) {
                let waits = alarm.is_some_and(|alarm| {
                    *muted.entry(&alarm.arn).or_insert_with(|| self.is_muted(&alarm.region, &alarm.name))
                });
                let speaks = alarm.is_some_and(|alarm| alarm.actions_enabled);
                // An end that is never to be told is not owed, either.
                if !waits && (speaks || held.incident.end_owed) {
                    due.push(id.clone());
                }
            } else if held.incident.ended.is_some()
                && held.incident.started < now // else its id would be free while another can start at its time
                && !held.incident.end_owed
                && !(self.incidents.is_latest(held) && alarm.is_some_and(reached))
            {
                over.push(id.clone());
            }
        }
        for id in due {
            let note = self.incidents.change(&id, |incident| incident.tick(now)).flatten();
            self.report_incident(&id, note, effects);
        }
        for id in over {
            self.incidents.let_go(&id);
            effects.push(Effect::IncidentOver { id });
        }
        effects.extend(self.incidents.take_changed().map(|incident| Effect::Incident(Box::new(incident))));
    }

    /// Ends the incidents of what is not watched any more, without a message.
    fn reconcile(&mut self, now: Timestamp, arn: &str, effects: &mut Vec<Effect>) {
        let watched = self.alarms.get(arn);
        let in_alarm = |group: &Group| {
            let Some(watched) = watched else { return false };
            let runtime = match watched.standing(group) {
                Some((_, standing)) => &standing.runtime,
                None if group.is_empty() && !matches!(watched, Watched::Contributors(_)) => watched.runtime(),
                None => return false,
            };
            runtime.state == State::Alarm
        };
        let of_alarm = self.incidents.held.iter().filter(|(_, held)| held.incident.alarm_arn == arn);
        let ids: Vec<String> = of_alarm
            .filter(|(_, held)| watched.is_none() || held.incident.ended.is_none() && !in_alarm(&held.group))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            let quiet = |incident: &mut Incident| {
                let open = incident.ended.is_none();
                let changed = open || incident.end_owed;
                drop(incident.close(now));
                incident.end_owed = false;
                (open, changed)
            };
            let Some((open, changed)) = self.incidents.change(&id, quiet) else { continue };
            self.incidents.open -= usize::from(open);
            if changed {
                self.report_incident(&id, None, effects);
            }
            self.incidents.let_go(&id);
            effects.push(Effect::IncidentOver { id });
        }
    }

    /// What is to be kept of an incident, and said of it.
    fn report_incident(&mut self, id: &str, note: Option<Note>, effects: &mut Vec<Effect>) {
        let Some(held) = self.incidents.held.get(id) else { return };
        self.incidents.counted.remove(id);
        effects.push(Effect::Incident(Box::new(held.incident.clone())));
        let alarm = self.alarms.get(&held.incident.alarm_arn).map(|watched| &watched.question().alarm);
        if let (Some(note), Some(alarm)) = (note, alarm.filter(|alarm| alarm.actions_enabled)) {
            let (alarm, account) = (alarm.clone(), self.account.clone());
            effects.push(Effect::Note(Box::new(IncidentMessage { alarm, account, note })));
        }
    }
}

impl Incidents {
    /// The latest incidents of an alarm, where there are any.
    pub(super) fn of(&self, arn: &str) -> Option<&Followed> {
        self.followed.get(arn)
    }

    /// Whether an incident is the latest of its contributor: late data is counted into no other.
    fn is_latest(&self, held: &Held) -> bool {
        let latest = self.of(&held.incident.alarm_arn).and_then(|followed| followed.get(&held.group));
        latest == Some(&held.incident.id)
    }

    /// The open incident of a contributor.
    fn open_on(&self, arn: &str, group: &Group) -> Option<&str> {
        let id = self.followed.get(arn)?.get(group)?;
        self.held.get(id).filter(|held| held.incident.ended.is_none()).map(|_| id.as_str())
    }

    /// An incident whose id is not taken: the second start within a millisecond counts as one a millisecond later.
    fn first_at(&self, now: Timestamp, open: impl Fn(Timestamp) -> Incident) -> Incident {
        let mut at = now;
        loop {
            let incident = open(at);
            if !self.held.contains_key(&incident.id) {
                return incident;
            }
            at = at.plus_millis(1);
        }
    }

    fn hold(&mut self, mut incident: Incident) {
        let group: Group = incident.contributor.as_ref().map(|one| one.group()).unwrap_or_default();
        let followed = self.followed.entry(incident.alarm_arn.clone()).or_default();
        let before = followed.get(&group).and_then(|id| self.held.get(id));
        // One that is open is the latest, whatever the clock said when another started.
        let later = |before: &Held| incident.ended.is_none() || before.incident.started <= incident.started;
        if before.is_none_or(|before| before.incident.ended.is_some() && later(before)) {
            followed.insert(group.clone(), incident.id.clone());
        }
        self.memory.admit(&mut incident);
        self.open += usize::from(incident.ended.is_none());
        self.held.insert(incident.id.clone(), Held { incident, group, changed: false });
    }

    fn change<R>(&mut self, id: &str, change: impl FnOnce(&mut Incident) -> R) -> Option<R> {
        let held = self.held.get_mut(id)?;
        Some(self.memory.change(&mut held.incident, change))
    }

    fn let_go(&mut self, id: &str) {
        let Some(Held { incident, group, .. }) = self.held.remove(id) else { return };
        self.memory.release(&incident);
        let Some(followed) = self.followed.get_mut(&incident.alarm_arn) else { return };
        if followed.get(&group).is_some_and(|followed| followed == id) {
            followed.remove(&group);
        }
        if followed.is_empty() {
            self.followed.remove(&incident.alarm_arn);
        }
    }

    /// Notes that an incident has counted something.
    fn note_change(&mut self, id: &str) {
        let Some(held) = self.held.get_mut(id) else { return };
        self.counted.insert(id.to_owned());
        if !held.changed {
            held.changed = true;
            self.changed.push_back(id.to_owned());
        }
    }

    /// Those that changed, in turn, up to [`INCIDENTS_SAVED_PER_TICK_MAX`].
    fn take_changed(&mut self) -> impl Iterator<Item = Incident> {
        let ids = self.changed.drain(..self.changed.len().min(INCIDENTS_SAVED_PER_TICK_MAX));
        ids.filter_map(|id| {
            let held = self.held.get_mut(&id)?;
            held.changed = false;
            self.counted.remove(&id);
            Some(held.incident.clone())
        })
    }

    /// Counts what arrived into the incidents it belongs to, and takes out of `touched` what must not start another.
    pub(super) fn feed_all(
        &mut self,
        alarms: &BTreeMap<String, Watched>,
        touched: &mut BTreeMap<&str, Came>,
    ) {
        for (arn, came) in touched {
            let Some(watched) = alarms.get(*arn) else { continue };
            match came {
                Came::Series(arrived) => self.feed(arn, &Group::new(), watched, arrived),
                Came::Contributors(came) => {
                    for (group, arrived) in came.groups_mut() {
                        self.feed(arn, group, watched, arrived);
                    }
                }
            }
        }
    }

    /// Counts what arrived for one contributor into its incident. What belongs to one that is over does not count as
    /// arrived.
    fn feed(&mut self, arn: &str, group: &Group, watched: &Watched, arrived: &mut Arrived) {
        let fed = arrived.take_fed();
        let id = self.followed.get(arn).and_then(|followed| followed.get(group));
        let Some(held) = id.filter(|_| !fed.is_empty()).and_then(|id| self.held.get_mut(id)) else { return };
        let over = held.incident.ended.is_some();
        let standing = watched.standing(group).filter(|_| !over);
        let mut fresh = BTreeSet::new();
        let counted = self.memory.change(&mut held.incident, |incident| {
            let begun = standing.and_then(|standing| begin_earlier(incident, standing, arrived));
            count_fed(incident, standing, &fed, begun, &mut fresh)
        });
        if over {
            arrived.keep(&fresh);
        }
        if counted {
            let id = held.incident.id.clone();
            self.note_change(&id);
        }
    }
}

/// Lets an incident begin with earlier windows that cross the line by now, and counts what they hold. The end of what is
/// counted by that.
fn begin_earlier(
    incident: &mut Incident,
    (question, standing): (&Question, &Standing),
    arrived: &Arrived,
) -> Option<i64> {
    let from = standing.crossed_before(question, arrived, incident.first_second)?;
    let bucket_s = standing.window.bucket_s();
    let to = incident.first_second.div_euclid(bucket_s).saturating_mul(bucket_s);
    incident.first_second = from;
    let nothing = Evidence::default();
    for (bucket, held) in standing.window.range(from..to) {
        let evidence = held.evidence.as_deref().unwrap_or(&nothing);
        let window = peak(question, standing, bucket);
        incident.observe(bucket, question.counted(&held.aggregate), evidence, window);
    }
    Some(to)
}

/// Counts what arrived, but for buckets before `begun`, which are; notes those in `fresh` that are none of the
/// incident's. Whether anything was counted.
fn count_fed(
    incident: &mut Incident,
    standing: Option<(&Question, &Standing)>,
    fed: &[Fed],
    begun: Option<i64>,
    fresh: &mut BTreeSet<i64>,
) -> bool {
    let measured = fed.len().saturating_sub(PEAK_WINDOWS_MAX);
    let mut counted = begun.is_some();
    for (index, fed) in fed.iter().enumerate() {
        if !incident.covers(fed.second) {
            fresh.insert(fed.bucket);
            continue;
        }
        if begun.is_some_and(|begun| fed.bucket < begun) {
            continue;
        }
        counted = true;
        let standing = standing.filter(|_| index >= measured);
        let window = standing.and_then(|(question, standing)| peak(question, standing, fed.bucket));
        incident.observe(fed.second, fed.count, &fed.evidence, window);
    }
    counted
}

impl Watched {
    /// What an incident looks at: of a contributor by its values, or of the alarm as a whole by none.
    pub(super) fn standing(&self, group: &Group) -> Option<(&Question, &Standing)> {
        match self {
            Self::Series(one) => group.is_empty().then(|| (one.question(), one.standing())),
            Self::Contributors(many) => many.standing_of(group).map(|standing| (many.question(), standing)),
            Self::Expression(_) => None,
        }
    }
}

/// Whose incident a transition is about; `None` where that is nobody's: the alarm above its contributors has none.
fn group_of(transition: &Transition) -> Option<Group> {
    match (&transition.contributor, &transition.alarm.measure) {
        (Some(one), _) => Some(one.group()),
        (None, Measure::Query(_)) => None,
        (None, _) => Some(Group::new()),
    }
}

/// The incident that `transition` starts at `now`, whose actions a mute rule holds back until `muted`. What has come
/// since the window that fired is counted in, too: it is the first of its news.
fn open(
    now: Timestamp,
    transition: &Transition,
    standing: Option<(&Question, &Standing)>,
    muted: Option<Timestamp>,
) -> Incident {
    let window = transition.window;
    let seconds = window.map(|(from, to)| from.second()..to.second());
    let count = match (standing, &seconds) {
        (Some((question, standing)), Some(seconds)) => {
            question.counted(&standing.window.fold(seconds.clone(), false))
        }
        _ => transition.evidence.events as f64,
    };
    let mut incident = Incident::open(now, opening(transition, count, muted));
    let (Some((question, standing)), Some(seconds)) = (standing, seconds) else { return incident };
    let inside = standing.window.range(seconds.clone());
    incident.draw_opening_from(inside.map(|(bucket, held)| (bucket, question.counted(&held.aggregate))));
    let nothing = Evidence::default();
    if let Some(from) = standing.fired_from().filter(|from| *from < incident.first_second) {
        incident.first_second = from;
    }
    let before = standing.window.range(incident.first_second..seconds.start);
    let others = || standing.window.range(seconds.end..i64::MAX);
    let measured = others().count().saturating_sub(PEAK_WINDOWS_MAX);
    for (bucket, held) in before {
        let evidence = held.evidence.as_deref().unwrap_or(&nothing);
        incident.observe(bucket, question.counted(&held.aggregate), evidence, None);
    }
    for (index, (bucket, held)) in others().enumerate() {
        let window = (index >= measured).then(|| peak(question, standing, bucket)).flatten();
        let evidence = held.evidence.as_deref().unwrap_or(&nothing);
        incident.observe(bucket, question.counted(&held.aggregate), evidence, window);
    }
    incident
}

fn opening(transition: &Transition, count: f64, muted: Option<Timestamp>) -> Opening {
    Opening {
        alarm_arn: transition.alarm.arn.clone(),
        alarm_name: transition.alarm.name.clone(),
        contributor: transition.contributor.clone(),
        window: transition.window,
        value: transition.value,
        count,
        evidence: transition.evidence.clone(),
        extreme: extreme(&transition.alarm),
        muted_until: muted,
    }
}

/// The window that ends with `bucket`, where it can be the worst: what is not complete yet is always low.
fn peak(question: &Question, standing: &Standing, bucket: i64) -> Option<CurvePoint> {
    let highest = extreme(&question.alarm) == Extreme::Highest;
    let end = bucket.saturating_add(standing.window.bucket_s());
    highest.then(|| standing.measure(question, end)).flatten()
}

fn extreme(alarm: &MetricAlarm) -> Extreme {
    match alarm.comparison {
        Comparison::LessThanThreshold
        | Comparison::LessThanOrEqualToThreshold
        | Comparison::LessThanLowerThreshold => Extreme::Lowest,
        _ => Extreme::Highest,
    }
}

#[cfg(test)]
mod tests;
