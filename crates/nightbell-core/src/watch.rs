/*!
The watcher's pure state machine: data, ticks and changes to alarms go in, transitions come out.

`step` is all there is: the same inputs in the same order give the same effects on every node. Time is part of the input.
Data of a series without an alarm costs two look-ups and is not kept.

Semantics worth knowing: windows have a resolution of one second. Data ahead of the clock counts in its own window at
once. Data that came late counts in its own window and can fire as long as it is not older than
the allowed lateness of fifteen minutes or the alarm's evaluation range, whichever is longer.
*/

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::alarm::composite::{CompositeAlarm, CompositeRuntime, CompositeTransition};
use crate::alarm::contributors::{CONTRIBUTORS_MAX, Group, Moved};
use crate::alarm::expression::models_of;
pub use crate::alarm::runtime::Runtime;
use crate::alarm::standing::{self, Judging};
use crate::alarm::{Contributor, Measure, MetricAlarm, State, Transition};
use crate::anomaly::models::{Lesson, ModelKey, Models};
use crate::anomaly::{self, AnomalyDetector, Model};
use crate::delivery::IncidentMessage;
use crate::history::serves;
use crate::incident::Incident;
use crate::insights::Query;
use crate::math::MetricQuery;
use crate::metric::{Datum, Series};
use crate::mute::{MuteRule, Muted};
use crate::records::{Channel, EventLog, Finding, RecordSpans};
use crate::time::Timestamp;

pub(crate) use incidents::Followed;
use incidents::{Concerns, Incidents};
pub use incidents::{INCIDENTS_HELD_MAX, INCIDENTS_SAVED_PER_TICK_MAX, IncidentCount};

use composites::{Composites, Forced};
use muted::Mutes;
pub use muted::{Act, MUTED_WHOLE_MAX};
use watched::{Came, Watched};

mod clock;
mod composites;
mod expressions;
mod incidents;
mod muted;
mod puts;
mod records;
mod watched;

/// What the watcher is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// Data points arrived.
    Data(Vec<Datum>),
    /// Batches arrived that held these record numbers.
    Records {
        /// What [`Watch::follows_records`] said when they were read; those of another time are not taken.
        since: Timestamp,
        /// The numbers.
        spans: RecordSpans,
    },
    /// Time passed.
    Tick,
    /// An alarm was made or replaced.
    PutAlarm {
        /// Its configuration; it passes [`MetricAlarm::check`].
        alarm: MetricAlarm,
        /// What [`Needed`] holds from [`Watch::needed_from`] up to this input, unless [`Watch::recall`] was given it. When
        /// there is none and the alarm replaces one that measures the same, the data of that one is kept.
        history: Vec<Datum>,
    },
    /// An alarm was deleted.
    DeleteAlarm {
        /// Its ARN; unknown ones are ignored.
        arn: String,
    },
    /// A state was set by hand; it holds until the next evaluation.
    SetState {
        /// The alarm's ARN; unknown ones are ignored.
        arn: String,
        /// The state.
        state: State,
        /// `StateReason`.
        reason: String,
        /// `StateReasonData`, a JSON document.
        reason_data: Option<String>,
    },
    /// What was stored before is taught to a model, which is made where there is none. Comes before the alarm that needs it;
    /// see [`Watch::untaught`].
    Teach(Lesson),
    /// An anomaly detector was made or replaced.
    PutDetector {
        /// Its configuration; it passes [`AnomalyDetector::check`].
        detector: AnomalyDetector,
        /// What [`Watch::untaught`] names, of the time before this input.
        past: Vec<Lesson>,
    },
    /// An anomaly detector was deleted. The models that alarms need go on without its settings.
    DeleteDetector {
        /// What it watched; an unknown one is ignored.
        watched: anomaly::Watched,
    },
    /// Somebody takes care of an incident: it sends no more updates, only its end.
    AckIncident {
        /// Its id; one that is over or not known is ignored.
        id: String,
        /// Who.
        who: String,
    },
    /// An incident is to send nothing for a while.
    MuteIncident {
        /// Its id; one that is not known is ignored.
        id: String,
        /// Until when; an instant that is past ends the mute.
        until: Timestamp,
    },
    /// A composite alarm was made or replaced.
    PutComposite {
        /// Its configuration; it passes [`CompositeAlarm::check`], its rule can be read and holds no circle.
        alarm: CompositeAlarm,
    },
    /// A mute rule was made or replaced.
    PutMuteRule {
        /// Its configuration; it passes [`MuteRule::check`].
        rule: MuteRule,
    },
    /// A mute rule was deleted: what it mutes now is muted no longer.
    DeleteMuteRule {
        /// The region it lived in.
        region: String,
        /// Its name; unknown ones are ignored.
        name: String,
    },
}

/// What is to happen outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// An alarm changed its state.
    Transition(Box<Transition>),
    /// An alarm's runtime changed: keep it, so that a restart goes on from it.
    Saved {
        /// The alarm's ARN.
        arn: String,
        /// Its runtime from now on.
        runtime: Runtime,
    },
    /// A contributor's runtime changed: keep it likewise, or forget it.
    SavedContributor {
        /// The alarm's ARN.
        arn: String,
        /// The values of GROUP BY.
        group: Group,
        /// Its runtime from now on; `None` when it is over.
        runtime: Option<Runtime>,
    },
    /// A model learned something: keep it likewise, or forget it.
    SavedModel {
        /// What it is of.
        key: Box<ModelKey>,
        /// The model from now on; `None` when it is no more.
        model: Option<Box<Model>>,
    },
    /// An incident started, changed or ended: keep it, so that a restart goes on from it. It takes the place of all
    /// counts of it that came before.
    Incident(Box<Incident>),
    /// What an incident has counted since it was handed out last: keep it beside the incident.
    IncidentCounted(IncidentCount),
    /// Nothing more comes of an incident: it is kept to be read, and need not be restored.
    IncidentOver {
        /// Its id.
        id: String,
    },
    /// There is something to say about an incident after its first message, which is its transition's.
    Note(Box<IncidentMessage>),
    /// A composite alarm changed its state.
    CompositeTransition(Box<CompositeTransition>),
    /// The actions of a transition that was told of before run now: a suppressor or a mute rule had held them back.
    Act(Box<Act>),
    /// A composite alarm's runtime changed: keep it, so that a restart goes on from it.
    SavedComposite {
        /// The alarm's ARN.
        arn: String,
        /// Its runtime from now on.
        runtime: Box<CompositeRuntime>,
    },
    /// What mute rules hold back changed: keep it likewise.
    SavedMuted {
        /// The alarm's ARN.
        arn: String,
        /// The contributor's id; empty where it is about the alarm as a whole.
        contributor: String,
        /// What is held back from now on; `None` when there is nothing any more.
        muted: Option<Box<Muted<Act>>>,
    },
    /// Something was found in record numbers; what alarms count of it follows as data.
    Found(Box<Finding>),
    /// The watch made data of its own and has judged it: keep it with what came.
    Data(Vec<Datum>),
    /// Since when record numbers are followed: keep it, so that a restart goes on from it.
    RecordsSince(Option<Timestamp>),
    /// What is known of the record numbers of an event log changed: keep it likewise, or forget it.
    SavedRecords {
        /// Which log.
        log: Box<EventLog>,
        /// What is known from now on; `None` when that is nothing.
        channel: Option<Box<Channel>>,
    },
}

/// Data that an alarm looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needed {
    /// One series.
    Series(Series),
    /// Every series of a metric.
    Metric {
        /// Its site.
        region: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// How many contributors an alarm holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Contributors held now.
    pub contributors: usize,
    /// Contributors that gave way to others since the alarm was put or restored.
    pub gave_way: u64,
}

/// ARNs of alarms by region, namespace and name of a metric.
type ByMetric = HashMap<String, HashMap<String, HashMap<String, Vec<String>>>>;

/// All alarms of one installation.
#[derive(Clone, Debug)]
pub struct Watch {
    account: String,
    /// The latest time seen; `None` before the first.
    now: Option<Timestamp>,
    /// The latest tick: what is complete. It may be behind `now` while events wait to be matched.
    ticked: Option<Timestamp>,
    contributors_max: usize,
    alarms: BTreeMap<String, Watched>,
    /// ARNs of the alarms on each series.
    by_series: HashMap<Series, Vec<String>>,
    /// ARNs of the alarms on all series of a metric: region, namespace and name.
    by_metric: ByMetric,
    models: Models,
    incidents: Incidents,
    composites: Composites,
    mutes: Mutes,
    record_watch: records::RecordWatch,
    /// The alarm that is put next, with what was recalled for it.
    coming: Option<Box<puts::Coming>>,
}

impl Watch {
    /// A watch without alarms for the account of this id (12 digits).
    pub fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            now: None,
            ticked: None,
            contributors_max: CONTRIBUTORS_MAX,
            alarms: BTreeMap::new(),
            by_series: HashMap::new(),
            by_metric: HashMap::new(),
            models: Models::default(),
            incidents: Incidents::default(),
            composites: Composites::default(),
            mutes: Mutes::default(),
            record_watch: records::RecordWatch::default(),
            coming: None,
        }
    }

    /// Holds at most so many contributors per alarm.
    #[must_use]
    pub fn with_contributors_max(mut self, contributors_max: usize) -> Self {
        self.contributors_max = contributors_max;
        self
    }

    /// Applies one input at `now`. Pure: same state, same `now`, same input, same effects. A `now` before the last one
    /// counts as the last one; of a tick, `now` says how far data is complete, whatever later data was stamped with.
    pub fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        let complete = self.ticked.map_or(now, |last| last.max(now));
        let now = self.now.map_or(now, |last| last.max(now));
        self.now = Some(now);
        let mut effects = Vec::new();
        self.release_muted(now, &mut effects);
        let concerns = Concerns::of(&input);
        let ticks = matches!(input, Input::Tick);
        match input {
            Input::Data(data) => self.take(now, data, &mut effects),
            Input::Records { since, spans } => self.take_records(now, since, &spans, &mut effects),
            Input::Tick => {
                self.ticked = Some(complete);
                self.judge_records(now, complete, &mut effects);
                let judging = Judging { now, account: &self.account };
                for (arn, watched) in &mut self.alarms {
                    watched.tick(arn, complete, judging, &self.models, &mut effects);
                }
                self.models.tick(complete);
                self.save_models(&mut effects);
            }
            Input::PutAlarm { alarm, history } => self.put(now, alarm, history, &mut effects),
            Input::DeleteAlarm { arn } => self.delete(&arn, &mut effects),
            Input::SetState { arn, state, reason, reason_data } => {
                self.force(now, &arn, Forced { state, reason, reason_data }, &mut effects);
            }
            Input::Teach(lesson) => self.models.teach(now, &lesson),
            Input::PutDetector { detector, past } => {
                self.models.put_detector(now, detector, past);
                self.save_models(&mut effects);
            }
            Input::DeleteDetector { watched } => {
                self.delete_detector(&watched);
                self.save_models(&mut effects);
            }
            Input::AckIncident { id, who } => self.acknowledge(now, &id, &who, &mut effects),
            Input::MuteIncident { id, until } => self.mute(now, &id, until, &mut effects),
            Input::PutComposite { alarm } => self.put_composite(now, alarm, &mut effects),
            Input::PutMuteRule { rule } => self.restore_mute_rule(rule),
            Input::DeleteMuteRule { region, name } => {
                self.delete_mute_rule(region, name);
                self.release_muted(now, &mut effects);
            }
        }
        if let Concerns::Alarm(arn) = &concerns {
            self.note_asking(arn);
            self.stop_records(&mut effects);
        }
        self.follow(now, &concerns, &mut effects);
        self.tell_counts(&mut effects);
        self.weigh_composites(now, ticks, &mut effects);
        self.hold_muted(now, &mut effects);
        effects
    }

    /// Sets the state of an alarm by hand.
    fn force(&mut self, now: Timestamp, arn: &str, forced: Forced, effects: &mut Vec<Effect>) {
        if self.composites.get(arn).is_some() {
            self.force_composite(now, arn, forced, effects);
            return;
        }
        let Forced { state, reason, reason_data } = forced;
        let judging = Judging { now, account: &self.account };
        if let Some(watched) = self.alarms.get_mut(arn) {
            let transition = match watched {
                Watched::Series(one) => one.force(judging, state, reason, reason_data),
                Watched::Contributors(many) => many.force(judging, state, reason, reason_data),
                Watched::Expression(one) => one.force(judging, state, reason, reason_data),
            };
            report(arn, watched.runtime(), transition, true, effects);
        }
    }

    /// Puts an alarm back as it was saved, without effects. Call [`Watch::restore_clock`] before,
    /// [`Watch::restore_contributor`] and then [`Watch::restore_data`] after.
    pub fn restore_alarm(&mut self, alarm: MetricAlarm, runtime: Runtime) {
        let arn = alarm.arn.clone();
        let written = alarm.updated;
        let mut watched = Watched::new(alarm, runtime, self.contributors_max);
        watched.skip_to(self.now.map_or(written, |now| now.max(written))); // writing an alarm evaluates it, too
        if let Some(key) = models_of(&watched.question().alarm) {
            self.models.require(self.ticked.unwrap_or(written), &key);
        }
        self.list(&arn, watched);
        self.note_asking(&arn);
    }

    /// Puts a contributor of a restored alarm back as it was saved; one of an unknown alarm is ignored.
    pub fn restore_contributor(&mut self, arn: &str, group: Group, runtime: Runtime) {
        if let Some(Watched::Contributors(many)) = self.alarms.get_mut(arn) {
            many.restore_contributor(self.now, group, runtime);
        }
    }

    /// Puts data back that was stepped before, without judging it. Data that was not stepped yet belongs into
    /// [`Input::Data`].
    pub fn restore_data(&mut self, data: &[Datum]) {
        data.iter().for_each(|datum| self.restore_folded(datum, 1));
    }

    /// [`Watch::restore_data`] for what was folded since and stands for `resolution_s` seconds from `datum.second` on. It
    /// goes to those whose periods are made of such stretches.
    pub fn restore_folded(&mut self, datum: &Datum, resolution_s: i64) {
        self.models.put_back(self.now, datum, resolution_s);
        for arn in alarms_on(&self.by_series, &self.by_metric, &datum.series) {
            let Some(watched) = self.alarms.get_mut(arn) else { continue };
            if serves(resolution_s, watched.question().alarm.period_s) {
                watched.restore(self.now, datum.clone());
            }
        }
    }

    /// Sets the time of the last tick that was stepped before a restart, so that what was evaluated then is not
    /// evaluated again with data that came after. Without it, alarms are evaluated at the first tick.
    pub fn restore_clock(&mut self, last_tick: Timestamp) {
        self.now = Some(self.now.map_or(last_tick, |now| now.max(last_tick)));
        self.ticked = Some(self.ticked.map_or(last_tick, |ticked| ticked.max(last_tick)));
    }

    /// The oldest second of event time that judging `alarm` from `now` on can need.
    pub fn needed_from(alarm: &MetricAlarm, now: Timestamp) -> i64 {
        standing::needed_from(alarm, now.second())
    }

    /// Seconds that one stored point may stand for so that judging `alarm` after a restart loses nothing: 1 or 60.
    pub fn needed_resolution_s(alarm: &MetricAlarm) -> i64 {
        standing::resolution_s(alarm)
    }

    /// The data that `alarm` looks at.
    pub fn needs(alarm: &MetricAlarm) -> Vec<Needed> {
        match &alarm.measure {
            Measure::Series(single) => vec![Needed::Series(single.series.clone())],
            Measure::Expression(measure) => {
                let mut needed: Vec<Needed> = Vec::new();
                for stat in measure.entries.iter().filter_map(MetricQuery::stat) {
                    let series = Needed::Series(stat.series.clone());
                    if !needed.contains(&series) {
                        needed.push(series);
                    }
                }
                needed
            }
            Measure::Query(query) => {
                let Ok(query) = Query::parse(&query.text) else { return Vec::new() };
                let names =
                    std::iter::once(&query.metric).chain(query.after.iter().map(|after| &after.metric));
                let mut needed: Vec<Needed> = names
                    .map(|name| Needed::Metric {
                        region: alarm.region.clone(),
                        namespace: query.namespace.clone(),
                        name: name.clone(),
                    })
                    .collect();
                needed.dedup();
                needed
            }
        }
    }

    /// All alarms, by ARN.
    pub fn alarms(&self) -> impl Iterator<Item = (&MetricAlarm, &Runtime)> {
        self.alarms.values().map(|watched| (&watched.question().alarm, watched.runtime()))
    }

    /// The alarm with this ARN.
    pub fn alarm(&self, arn: &str) -> Option<(&MetricAlarm, &Runtime)> {
        self.alarms.get(arn).map(|watched| (&watched.question().alarm, watched.runtime()))
    }

    /// The contributors of the alarm with this ARN, in no order; none where it does not count per contributor.
    pub fn contributors(&self, arn: &str) -> impl Iterator<Item = (Contributor, &Runtime)> {
        let many = match self.alarms.get(arn) {
            Some(Watched::Contributors(many)) => Some(many),
            _ => None,
        };
        many.into_iter().flat_map(|many| many.contributors())
    }

    /// How many contributors each alarm holds that counts per contributor, by ARN.
    pub fn held(&self) -> impl Iterator<Item = (&str, Held)> {
        self.alarms.iter().filter_map(|(arn, watched)| match watched {
            Watched::Series(_) | Watched::Expression(_) => None,
            Watched::Contributors(many) => {
                let (contributors, gave_way) = many.counts();
                Some((arn.as_str(), Held { contributors, gave_way }))
            }
        })
    }

    /// Whether some alarm or model watches `series`.
    pub fn is_watched(&self, series: &Series) -> bool {
        self.by_series.contains_key(series)
            || self.models.is_watched(series)
            || on_metric(&self.by_metric, series).next().is_some()
    }

    /// Folds all data in first, then judges each alarm once: a batch is one step, however many seconds it spans.
    fn take(&mut self, now: Timestamp, data: Vec<Datum>, effects: &mut Vec<Effect>) {
        let mut touched: BTreeMap<&str, Came> = BTreeMap::new();
        for datum in data {
            self.models.take(now, &datum);
            let mut arns = alarms_on(&self.by_series, &self.by_metric, &datum.series).peekable();
            let mut datum = Some(datum);
            while let Some(arn) = arns.next() {
                let taken = if arns.peek().is_some() { datum.clone() } else { datum.take() };
                let Some((taken, watched)) = taken.zip(self.alarms.get_mut(arn)) else { continue };
                take_one(now, (arn, watched), self.incidents.of(arn), taken, &mut touched);
            }
        }
        self.incidents.feed_all(&self.alarms, &mut touched);
        let judging = Judging { now, account: &self.account };
        for (arn, came) in &touched {
            match (self.alarms.get_mut(*arn), came) {
                (Some(Watched::Series(one)), Came::Series(arrived)) => {
                    let transition = one.arrive(judging, arrived);
                    let saved = transition.is_some();
                    report(arn, one.runtime(), transition, saved, effects);
                }
                (Some(Watched::Contributors(many)), Came::Contributors(came)) => {
                    let moved = many.arrive(judging, came);
                    report_moved(arn, many.runtime(), moved, effects);
                }
                _ => {}
            }
        }
    }
}

/// The alarms that watch `series`, by itself or as one of a metric.
fn alarms_on<'a>(
    by_series: &'a HashMap<Series, Vec<String>>,
    by_metric: &'a ByMetric,
    series: &Series,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let arns = by_series.get(series).into_iter().flatten().chain(on_metric(by_metric, series));
    arns.map(String::as_str)
}

fn on_metric<'a>(by_metric: &'a ByMetric, series: &Series) -> impl Iterator<Item = &'a String> + use<'a> {
    let names = by_metric.get(&series.region).and_then(|sites| sites.get(&series.namespace));
    names.and_then(|names| names.get(&series.name)).into_iter().flatten()
}

/// Folds a datum into one alarm and notes it under its ARN.
fn take_one<'a>(
    now: Timestamp,
    (arn, watched): (&'a str, &mut Watched),
    followed: Option<&Followed>,
    datum: Datum,
    touched: &mut BTreeMap<&'a str, Came>,
) {
    if let Watched::Expression(one) = watched {
        return one.take(Some(now), &datum); // judged by ticks only
    }
    let came = touched.entry(arn).or_insert_with(|| watched.nothing_yet());
    match (watched, came) {
        (Watched::Series(one), Came::Series(arrived)) => one.take(now, datum, followed.is_some(), arrived),
        (Watched::Contributors(many), Came::Contributors(came)) => many.take(now, datum, followed, came),
        _ => {}
    }
}

/// A transition first, then what is to be kept.
fn report(
    arn: &str,
    runtime: &Runtime,
    transition: Option<Transition>,
    saved: bool,
    effects: &mut Vec<Effect>,
) {
    effects.extend(transition.map(|transition| Effect::Transition(Box::new(transition))));
    if saved {
        effects.push(Effect::Saved { arn: arn.to_owned(), runtime: runtime.clone() });
    }
}

fn report_moved(arn: &str, runtime: &Runtime, moved: Moved, effects: &mut Vec<Effect>) {
    let Moved { transitions, saved, parent } = moved;
    effects.extend(transitions.into_iter().map(|transition| Effect::Transition(Box::new(transition))));
    let contributor = |(group, runtime)| Effect::SavedContributor { arn: arn.to_owned(), group, runtime };
    effects.extend(saved.into_iter().map(contributor));
    if parent {
        effects.push(Effect::Saved { arn: arn.to_owned(), runtime: runtime.clone() });
    }
}

#[cfg(test)]
mod tests;
