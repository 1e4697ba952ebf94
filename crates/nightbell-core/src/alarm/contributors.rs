/*!
An alarm that counts per contributor: one question, a standing for each group of its query.

A contributor is made by its first data and forgotten when it is OK and its data is out of reach. The alarm as a whole is
ALARM while any contributor is. Nothing here knows where data comes from or who is told.

Memory is bounded: past the cap those that counted least give way, together, once they are judged, and what they could
have reached at most is kept in `floors` that newcomers are credited with (`room`; Space-Saving: Metwally, Agrawal, El
Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams"). A contributor whose own count crosses the line fires as always. One that
crosses only together with its credit may or may not have: then the contributor [`OTHERS`] fires, which says so, instead
of a thousand false alarms or a missed one.
*/

use std::collections::{BTreeMap, HashMap};

use floors::{Floors, Mark};

use super::runtime::Runtime;
use super::standing::{Arrived, Fed, Judging, Late, Question, Standing, transition};
use super::{Contributor, MetricAlarm, MissingData, State, Transition};
use crate::evidence::Evidence;
use crate::insights::{After, Function, Query};
use crate::metric::{Aggregate, Datum};
use crate::statistic::Statistic;
use crate::time::{DAY_MS, SECOND_MS, Timestamp};
use crate::watch::Followed;
use crate::window::Window;

mod floors;
mod room;

/// Contributors of one alarm held at once, where nothing else is configured.
pub const CONTRIBUTORS_MAX: usize = 100_000;
/// Dimensions that an alarm may group by.
pub const GROUP_DIMENSIONS_MAX: usize = 3;
/// Share of the contributors that give way together, as one in so many.
const GIVE_WAY_SHARE: usize = 10;
/// The attribute value that the contributor is shown with which stands for those that gave way; see
/// [`Contributor::stands_for_others`].
pub const OTHERS: &str = "(others)";
/// How long a contributor is remembered after its last data, where missing data is breaching.
pub const REMEMBERED_S: i64 = 7 * DAY_MS / SECOND_MS;

/// The values of GROUP BY, in its order; none of those that gave way together.
pub type Group = Vec<String>;

/// The group of those that gave way together: every other has as many values as the query has dimensions.
const OTHERS_GROUP: Group = Group::new();

/// An alarm and its contributors.
#[derive(Clone, Debug)]
pub(crate) struct ContributorsWatch {
    question: Question,
    query: Query,
    contributors_max: usize,
    contributors: HashMap<Group, Held>,
    /// How many of them, [`OTHERS`] included, are in ALARM.
    alarming: usize,
    /// What else each contributor's samples depend on, where the query says AFTER.
    before: HashMap<Group, Before>,
    /// The alarm as a whole.
    runtime: Runtime,
    evaluated: Option<i64>,
    floors: Floors,
    /// Stands for those that gave way, while one of them may have crossed the line.
    others: Option<Standing>,
    gave_way: u64,
}

/// A contributor.
#[derive(Clone, Debug)]
struct Held {
    standing: Standing,
    /// What gave way before it was made: it may have been among them.
    mark: Mark,
    /// Its place among those that counted the same.
    rank: u64,
}

/// The condition's own counts, and the samples that wait for it to hold.
#[derive(Clone, Debug)]
struct Before {
    counts: Window,
    waiting: Window,
}

/// What came for the contributors in one step.
#[derive(Debug, Default)]
pub(crate) struct Came {
    groups: BTreeMap<Group, Arrived>,
}

/// What became of a datum.
struct Folded {
    group: Group,
    /// The buckets that took something.
    buckets: Vec<i64>,
    /// What an incident may count of it.
    fed: Vec<Fed>,
}

impl Came {
    /// What came for each contributor.
    pub(crate) fn groups_mut(&mut self) -> impl Iterator<Item = (&Group, &mut Arrived)> {
        self.groups.iter_mut()
    }
}

/// What a step of a contributors' alarm did.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// Transitions, by contributor; the alarm's own comes last.
    pub(crate) transitions: Vec<Transition>,
    /// Contributors whose runtime is to be kept (`Some`) or forgotten.
    pub(crate) saved: Vec<(Group, Option<Runtime>)>,
    /// Whether the alarm's own runtime is to be kept.
    pub(crate) parent: bool,
}

impl ContributorsWatch {
    /// An alarm in the state of `runtime`, without contributors.
    pub(crate) fn new(alarm: MetricAlarm, query: Query, runtime: Runtime, contributors_max: usize) -> Self {
        let statistic = Statistic::parse(query.function.statistic()).unwrap_or(Statistic::SampleCount);
        let span_s = alarm.period_s.saturating_mul(i64::from(alarm.evaluation_periods));
        Self {
            question: Question::new(alarm, statistic, None),
            query,
            contributors_max: contributors_max.max(GIVE_WAY_SHARE),
            contributors: HashMap::new(),
            alarming: 0,
            before: HashMap::new(),
            runtime,
            evaluated: None,
            floors: Floors::new(span_s),
            others: None,
            gave_way: 0,
        }
    }

    pub(crate) fn question(&self) -> &Question {
        &self.question
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Contributors held, and how many gave way since the alarm was put or restored.
    pub(crate) fn counts(&self) -> (usize, u64) {
        (self.contributors.len(), self.gave_way)
    }

    /// All contributors with their states, in no order.
    pub(crate) fn contributors(&self) -> impl Iterator<Item = (Contributor, &Runtime)> {
        let others = self.others.iter().map(|others| (self.named(&OTHERS_GROUP), &others.runtime));
        let all = self.contributors.iter();
        all.map(|(group, held)| (self.named(group), &held.standing.runtime)).chain(others)
    }

    /// Takes the evaluations up to `now` as done.
    pub(crate) fn skip_to(&mut self, now: Timestamp) {
        self.evaluated = Some(self.question.grid(now.second()));
    }

    /// Puts a contributor back as it was saved.
    pub(crate) fn restore_contributor(&mut self, now: Option<Timestamp>, group: Group, runtime: Runtime) {
        self.alarming += usize::from(runtime.state == State::Alarm);
        if group == OTHERS_GROUP {
            // What had given way is not known any more; the next tick ends it unless it happens again.
            self.others = Some(Standing::new(&self.question, runtime));
            return;
        }
        let mut standing = Standing::new(&self.question, runtime);
        if let Some(now) = now {
            standing.skip_to(&self.question, now);
        }
        let rank = room::rank(&group);
        self.contributors.insert(group, Held { standing, mark: Mark::default(), rank });
    }

    /// Folds a datum in without judging it.
    pub(crate) fn restore(&mut self, now: Option<Timestamp>, datum: Datum) {
        self.fold(now, datum, None); // the next step makes room
    }

    /// The standing of the contributor with these values, if it is held.
    pub(crate) fn standing_of(&self, group: &Group) -> Option<&Standing> {
        match self.contributors.get(group) {
            Some(held) => Some(&held.standing),
            None => self.others.as_ref().filter(|_| *group == OTHERS_GROUP),
        }
    }

    /// Folds a datum that just arrived in and notes it in `came`. What belongs to a contributor in `followed` may be
    /// counted by an incident.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        datum: Datum,
        followed: Option<&Followed>,
        came: &mut Came,
    ) {
        let too_late = self.question.is_too_late(now, datum.second);
        let late = Late::of(now, &datum, &self.question);
        let Some(folded) = self.fold(Some(now), datum, followed).filter(|_| !too_late) else { return };
        let arrived = came.groups.entry(folded.group).or_default();
        for bucket in folded.buckets {
            arrived.note(bucket, late);
        }
        arrived.feed(folded.fed);
    }

    /// Folds a datum in; `None` when it is not for this alarm.
    fn fold(&mut self, now: Option<Timestamp>, datum: Datum, followed: Option<&Followed>) -> Option<Folded> {
        if !self.question.admits(now, self.evaluated, &datum) {
            return None;
        }
        if self.query.admits_after(&datum.series) {
            return self.fold_condition(now, datum, followed);
        }
        let reached = self.question.reached(now, self.evaluated);
        let judged = reached.is_none_or(|grid| datum.second >= self.question.judged_from(grid));
        if !judged || !self.query.admits(&datum.series) {
            return None;
        }
        let group: Group = self.query.group_of(&datum.series)?.into_iter().map(str::to_owned).collect();
        if let Some(after) = &self.query.after {
            let period_s = self.question.alarm.period_s;
            let before = self.before.entry(group.clone()).or_insert_with(|| Before::new(&self.question));
            if !holds(after, &before.counts, period_s, datum.second) {
                before.waiting.take(datum.second, datum.aggregate, datum.evidence);
                return Some(Folded { group, buckets: Vec::new(), fed: Vec::new() });
            }
        }
        let second = datum.second;
        let mut fed = self.fed(followed, &group, second, &datum.aggregate, &datum.evidence);
        let standing = self.standing(now, &group, second);
        let bucket = standing.window.take(second, datum.aggregate, datum.evidence);
        fed.iter_mut().for_each(|fed| fed.bucket = bucket);
        Some(Folded { group, buckets: vec![bucket], fed: fed.into_iter().collect() })
    }

    fn fed(
        &self,
        followed: Option<&Followed>,
        group: &Group,
        second: i64,
        samples: &Aggregate,
        evidence: &Evidence,
    ) -> Option<Fed> {
        let counts = followed.is_some_and(|followed| followed.contains_key(group));
        counts.then(|| self.question.fed(second, samples, evidence))
    }

    /// The standing of a contributor, made if there is none yet.
    fn standing(&mut self, now: Option<Timestamp>, group: &Group, second: i64) -> &mut Standing {
        let (question, mark) = (&self.question, self.floors.mark());
        let made = || {
            let runtime = Runtime::contributor(now.unwrap_or(Timestamp::from_seconds(second)));
            Held { standing: Standing::new(question, runtime), mark, rank: room::rank(group) }
        };
        &mut self.contributors.entry(group.clone()).or_insert_with(made).standing
    }

    /// Counts towards the condition, and lets the samples through that waited for it.
    fn fold_condition(
        &mut self,
        now: Option<Timestamp>,
        datum: Datum,
        followed: Option<&Followed>,
    ) -> Option<Folded> {
        let after = self.query.after.clone()?;
        let group: Group = self.query.group_of(&datum.series)?.into_iter().map(str::to_owned).collect();
        let period_s = self.question.alarm.period_s;
        let second = datum.second;
        let before = self.before.entry(group.clone()).or_insert_with(|| Before::new(&self.question));
        before.counts.take(second, datum.aggregate, datum.evidence);
        let waiting: Vec<i64> =
            before.waiting.range(second..second.saturating_add(period_s + 1)).map(|(at, _)| at).collect();
        let passing: Vec<i64> =
            waiting.into_iter().filter(|at| holds(&after, &before.counts, period_s, *at)).collect();
        let (mut buckets, mut all_fed) = (Vec::new(), Vec::new());
        for at in passing {
            for (second, bucket) in self.before.get_mut(&group)?.waiting.take_out(at..at + 1) {
                let evidence = bucket.evidence.map(|evidence| *evidence).unwrap_or_default();
                let fed = self.fed(followed, &group, second, &bucket.aggregate, &evidence);
                let standing = self.standing(now, &group, second);
                let bucket = standing.window.take(second, bucket.aggregate, evidence);
                all_fed.extend(fed.map(|fed| Fed { bucket, ..fed }));
                buckets.push(bucket);
            }
        }
        Some(Folded { group, buckets, fed: all_fed })
    }

    /// Judges what just arrived.
    pub(crate) fn arrive(&mut self, judging: Judging<'_>, came: &Came) -> Moved {
        let mut moved = Moved::default();
        for (group, arrived) in &came.groups {
            let Some(held) = self.contributors.get_mut(group) else { continue };
            let transition = held.standing.arrive(&self.question, judging, arrived);
            match transition {
                Some(transition) => self.note(group, transition, &mut moved),
                None => self.suspect(judging, group, arrived, &mut moved),
            }
        }
        self.hold_to_caps(judging, &mut moved);
        self.settle(judging, &mut moved);
        moved
    }

    /// Judges the complete slots of every contributor, once for each point of the grid, and forgets those that are over.
    pub(crate) fn tick(&mut self, complete: Timestamp, judging: Judging<'_>) -> Moved {
        let grid = self.question.grid(complete.second());
        if self.evaluated.is_some_and(|evaluated| grid <= evaluated) {
            return Moved::default();
        }
        self.evaluated = Some(grid);
        let mut moved = Moved::default();
        let judged_from = self.question.judged_from(grid);
        for group in self.due(judged_from) {
            self.tick_one(&group, complete, judging, &mut moved);
        }
        let needed_from = self.question.needed_from(grid);
        self.before.retain(|_, before| before.expire(needed_from, judged_from));
        self.lift_floors(complete, judging, &mut moved);
        self.settle(judging, &mut moved);
        moved
    }

    /// Judges at once, as after the configuration changed.
    pub(crate) fn evaluate(&mut self, judging: Judging<'_>, anew: bool) -> Moved {
        self.evaluated = Some(self.question.grid(judging.now.second()));
        let mut moved = Moved::default();
        let mut groups: Vec<Group> = self.contributors.keys().cloned().collect();
        groups.sort();
        for group in groups {
            let Some(held) = self.contributors.get_mut(&group) else { continue };
            if is_new(&held.standing, &self.question, judging.now) {
                continue;
            }
            let was_ok = held.standing.runtime.clone();
            let transition = held.standing.evaluate(&self.question, judging, anew);
            self.note_unless_idle(&group, was_ok, transition, &mut moved);
        }
        self.hold_to_caps(judging, &mut moved);
        self.settle(judging, &mut moved);
        moved
    }

    /// The contributors that a tick can move, sorted. Most can be moved by arrivals only and are just kept short.
    fn due(&mut self, judged_from: i64) -> Vec<Group> {
        let arrivals_decide = self.question.only_arrivals_alarm();
        let sums = self.question.statistic == Statistic::Sum;
        let mut due = Vec::new();
        for (group, held) in &mut self.contributors {
            let standing = &mut held.standing;
            standing.window.expire_before(judged_from);
            let quiet = standing.runtime.state == State::Ok
                && arrivals_decide
                && !(sums && standing.holds_negative());
            if !quiet || standing.window.is_empty() {
                due.push(group.clone());
            }
        }
        due.sort();
        due
    }

    fn tick_one(&mut self, group: &Group, complete: Timestamp, judging: Judging<'_>, moved: &mut Moved) {
        let breaching = self.question.alarm.missing_data == MissingData::Breaching;
        let Some(held) = self.contributors.get_mut(group) else { return };
        let standing = &mut held.standing;
        let silent = standing.window.is_empty();
        let alarm = standing.runtime.state == State::Alarm;
        if silent
            && alarm
            && judging.now.since(standing.runtime.state_transitioned) > REMEMBERED_S * SECOND_MS
        {
            let reason = format!("Forgotten after {} days without data.", REMEMBERED_S * SECOND_MS / DAY_MS);
            let transition = standing.force(&self.question, judging, State::Ok, reason, None);
            transition.into_iter().for_each(|transition| self.note(group, transition, moved));
            // Where missing data is breaching, one that stayed would be in ALARM again at the next tick.
            self.forget(group, moved);
        } else if silent && !alarm && !breaching {
            self.forget(group, moved);
        } else if !is_new(standing, &self.question, complete) {
            let before = standing.runtime.clone();
            let transition = standing.tick(&self.question, complete, judging);
            self.note_unless_idle(group, before, transition, moved);
        }
    }

    fn forget(&mut self, group: &Group, moved: &mut Moved) {
        if let Some(held) = self.contributors.remove(group)
            && !held.standing.runtime.reason.is_empty()
        {
            moved.saved.push((group.clone(), None)); // one that never moved was never saved
        }
    }

    /// Notes a transition, unless a contributor that was OK has only run out of data: that is no news.
    fn note_unless_idle(
        &mut self,
        group: &Group,
        before: Runtime,
        transition: Option<Transition>,
        moved: &mut Moved,
    ) {
        match transition {
            Some(told) if (told.from, told.to) == (State::Ok, State::InsufficientData) => {
                if let Some(held) = self.contributors.get_mut(group) {
                    held.standing.runtime = before;
                }
            }
            Some(transition) => self.note(group, transition, moved),
            None => {}
        }
    }

    /// Gives a transition its contributor and keeps count.
    fn note(&mut self, group: &Group, mut transition: Transition, moved: &mut Moved) {
        self.alarming += usize::from(transition.to == State::Alarm);
        self.alarming -= usize::from(transition.from == State::Alarm).min(self.alarming);
        transition.contributor = Some(self.named(group));
        // The events that the condition counted belong to the explanation.
        if let (Some(before), Some((from, to))) = (self.before.get(group), transition.window) {
            let from = from.second().saturating_sub(self.question.alarm.period_s);
            transition.evidence.merge(&before.counts.evidence(from..to.second()));
        }
        let runtime = self.contributors.get(group).map(|held| held.standing.runtime.clone());
        moved.saved.push((group.clone(), runtime));
        moved.transitions.push(transition);
    }

    /// Sets the state of the alarm as a whole by hand; contributors keep theirs.
    pub(crate) fn force(
        &mut self,
        judging: Judging<'_>,
        state: State,
        reason: String,
        reason_data: Option<String>,
    ) -> Option<Transition> {
        self.runtime.forced = true;
        let before = self.runtime.enter(judging.now, state, reason, reason_data);
        (before.0 != state).then(|| transition(&self.question, judging, &self.runtime, before))
    }

    /// Contributors whose runtimes were ever saved, sorted.
    pub(crate) fn saved(&self) -> Vec<Group> {
        let moved = |(group, held): (&Group, &Held)| {
            (!held.standing.runtime.reason.is_empty()).then(|| group.clone())
        };
        let mut saved: Vec<Group> = self.contributors.iter().filter_map(moved).collect();
        saved.extend(self.others.as_ref().map(|_| OTHERS_GROUP));
        saved.sort();
        saved
    }

    /// Takes over what is known about the alarm that this one replaces.
    pub(crate) fn succeed(&mut self, old: Self, keep_data: bool) {
        if self.query == old.query {
            for (group, Held { standing: before, mark, rank }) in old.contributors {
                let mut standing = Standing::new(&self.question, before.runtime);
                if keep_data {
                    standing.take_over(before.window);
                }
                self.contributors.insert(group, Held { standing, mark, rank });
            }
            self.alarming = old.alarming;
            if keep_data {
                self.before = old.before;
            }
            self.others = old.others;
            self.floors.succeed(old.floors);
        }
        self.gave_way = old.gave_way;
        self.runtime = old.runtime;
    }

    /// The alarm's own state follows its contributors'.
    fn settle(&mut self, judging: Judging<'_>, moved: &mut Moved) {
        let state = if self.alarming > 0 { State::Alarm } else { State::Ok };
        let partial = !self.floors.is_empty();
        if self.runtime.partial != partial {
            self.runtime.partial = partial;
            moved.parent = true;
        }
        moved.parent |= std::mem::take(&mut self.runtime.forced);
        if self.runtime.state == state {
            return;
        }
        let alarming = self.alarming;
        let all = self.contributors.len() + usize::from(self.others.is_some());
        let reason = format!("{alarming} out of {all} time series evaluated to ALARM");
        let before = self.runtime.enter(judging.now, state, reason, None);
        let mut told = transition(&self.question, judging, &self.runtime, before);
        told.acts = false; // actions run per contributor
        moved.transitions.push(told);
        moved.parent = true;
    }

    fn named(&self, group: &Group) -> Contributor {
        Contributor::of(&self.query.group_by, group)
    }
}

/// Whether a sample at second `at` counts: the condition has reached its number in the period up to it.
fn holds(after: &After, counts: &Window, period_s: i64, at: i64) -> bool {
    let before = counts.fold(at.saturating_sub(period_s)..at.saturating_add(1), false);
    let reached = if after.function == Function::Count { before.count } else { before.sum };
    reached >= after.at_least
}

/// Whether a contributor came to be after the slots that `now` judges: what is missing in them is not missing of it.
fn is_new(standing: &Standing, question: &Question, now: Timestamp) -> bool {
    standing.runtime.state == State::Ok && standing.begins_after(question, now)
}

impl Before {
    fn new(question: &Question) -> Self {
        let window = Window::new(0, question.alarm.period_s);
        Self { counts: window.clone(), waiting: window }
    }

    /// Drops what no judgement can need: counts before the one second, samples before the other. `false` when nothing is
    /// left.
    fn expire(&mut self, needed_from: i64, judged_from: i64) -> bool {
        self.counts.expire_before(needed_from);
        self.waiting.expire_before(judged_from);
        !(self.counts.is_empty() && self.waiting.is_empty())
    }
}

#[cfg(test)]
mod tests;
