/*!
Engines that are slow and obvious: all samples in a list, summed anew for each question.

Written from the rules ("Configuring how CloudWatch alarms treat missing data", Amazon CloudWatch User Guide, and the ones
of the project for windows that slide), not from the engine; it shares no code with it.
*/

use std::collections::{BTreeMap, BTreeSet};

use nightbell_core::alarm::{MissingData, State};

use super::world::{CLOCK_BACK_MAX_S, Counted, Happening, Rule, Sample, Schedule, Stay, Told};

/// How far ahead of the clock data may lie.
const AHEAD_MAX_S: i64 = 24 * 60 * 60;
/// How long after its end a slot is complete.
const COMPLETE_AFTER_S: i64 = 5;

/// Somebody's samples with `from <= second < to`, as values.
fn between(list: &[Sample], name: &str, from: i64, to: i64) -> Vec<i64> {
    let inside = |sample: &&Sample| sample.name == name && (from..to).contains(&sample.second);
    list.iter().filter(inside).map(|sample| sample.value).collect()
}

/// Whether the window of one period that ends at `end` is across the line.
fn window_crosses(rule: &Rule, list: &[Sample], name: &str, end: i64) -> bool {
    rule.value(&between(list, name, end - rule.period_s, end)).is_some_and(|value| rule.crosses(value))
}

/// Whether any window of one period crosses, wherever it lies: every second is tried.
pub(crate) fn ever_crosses(rule: &Rule, list: &[Sample], name: &str) -> bool {
    let mut seconds: Vec<i64> = list.iter().map(|sample| sample.second).collect();
    seconds.sort_unstable();
    let (Some(first), Some(last)) = (seconds.first(), seconds.last()) else { return false };
    (*first..=*last + rule.period_s).any(|end| window_crosses(rule, list, name, end))
}

/// Whether somebody is in ALARM once all data is there and the minute `grid` was judged, for one period that is not longer
/// than the time between judgements: a window that crossed ended less than a period ago, or the newest slot with data
/// crosses.
pub(crate) fn alarm_at(rule: &Rule, list: &[Sample], name: &str, grid: i64) -> bool {
    let ends = list.iter().filter(|sample| sample.name == name).map(|sample| sample.second + 1);
    let recent =
        ends.filter(|end| *end > grid - rule.period_s).any(|end| window_crosses(rule, list, name, end));
    let newest_end = grid.div_euclid(rule.period_s) * rule.period_s;
    let mut slots = (0..3).map(|i| newest_end - i * rule.period_s);
    let newest = slots.find(|end| !between(list, name, end - rule.period_s, *end).is_empty());
    recent || newest.is_some_and(|end| window_crosses(rule, list, name, end))
}

/// The newest second that complete slots may end at: every ten seconds for periods under a minute, else every minute.
pub(crate) fn grid(rule: &Rule, now: i64) -> i64 {
    let cadence_s = if rule.period_s < 60 { 10 } else { 60 };
    (now - COMPLETE_AFTER_S).div_euclid(cadence_s) * cadence_s
}

/// Everything that a schedule has the slow engine tell. For rules of one period, and those judged on slots only.
pub(crate) fn run(rule: &Rule, schedule: &Schedule) -> (Vec<Told>, Vec<Stay>) {
    let mut slow = Slow::new(rule);
    for (now, happening) in schedule {
        match happening {
            Happening::Data(samples) => slow.arrive(*now, samples),
            Happening::Tick => slow.tick(*now),
            Happening::Set(_) => unreachable!("the slow engine takes no orders"),
        }
    }
    for (name, incident) in std::mem::take(&mut slow.incidents) {
        slow.note_stay(&name, &incident);
    }
    slow.stays.sort_by(|a, b| a.partial_cmp(b).expect("counts are numbers"));
    (slow.told, slow.stays)
}

struct Slow<'a> {
    rule: &'a Rule,
    now: i64,
    ticked: Option<i64>,
    evaluated: i64,
    /// All that ever came.
    all: Vec<Sample>,
    /// What judgements can need.
    list: Vec<Sample>,
    states: BTreeMap<String, State>,
    /// Those whose state ever changed.
    moved: BTreeSet<String>,
    /// Everybody's latest.
    incidents: BTreeMap<String, Incident>,
    /// The alarm as a whole, where everybody is counted on their own.
    whole: State,
    told: Vec<Told>,
    /// Incidents that are not looked at any more.
    stays: Vec<Stay>,
}

/// A stay in ALARM: data inside it makes no other one, however late it comes.
struct Incident {
    first: i64,
    last: i64,
    /// What was counted into it.
    samples: Vec<Sample>,
    over: bool,
}

impl Incident {
    fn covers(&self, second: i64) -> bool {
        second >= self.first && (!self.over || second <= self.last)
    }
}

impl<'a> Slow<'a> {
    fn new(rule: &'a Rule) -> Self {
        let mut slow = Self {
            rule,
            now: 0,
            ticked: None,
            evaluated: grid(rule, 0),
            all: Vec::new(),
            list: Vec::new(),
            states: BTreeMap::new(),
            moved: BTreeSet::new(),
            incidents: BTreeMap::new(),
            whole: State::InsufficientData,
            told: Vec::new(),
            stays: Vec::new(),
        };
        if !rule.by_name {
            slow.states.insert(String::new(), State::InsufficientData);
            slow.assess("", slow.evaluated);
        }
        slow.settle();
        slow
    }

    /// Whether judging can need data of `second` at `now`: what is too old for the latest evaluation is out of reach.
    fn reaches(&self, second: i64) -> bool {
        let evaluated = self.evaluated.min(grid(self.rule, self.now));
        let oldest = self.rule.accepted_from(evaluated) - self.rule.range_s();
        (oldest..=self.now + AHEAD_MAX_S).contains(&second)
    }

    fn arrive(&mut self, now: i64, samples: &[Sample]) {
        self.now = self.now.max(now);
        let mut new: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for sample in samples {
            let mut sample = sample.clone();
            if !self.rule.by_name {
                sample.name.clear();
            }
            self.all.push(sample.clone());
            if !self.reaches(sample.second) {
                continue;
            }
            if sample.second >= self.rule.accepted_from(self.now) {
                new.entry(sample.name.clone()).or_default().push(sample.clone());
            }
            self.states.entry(sample.name.clone()).or_insert(State::Ok);
            self.list.push(sample);
        }
        for (name, samples) in new {
            let seconds = self.count(&name, &samples);
            let holds_new =
                |end: i64| seconds.iter().any(|second| (end - self.rule.period_s..end).contains(second));
            if self.rule.fires_early()
                && self.states[&name] != State::Alarm
                && let Some(end) = self.crossing(&name, holds_new)
            {
                self.enter(&name, State::Alarm, Some(self.shown(&name, end)));
                self.begin_at(&name, end - self.rule.period_s);
            }
        }
        self.settle();
    }

    /// Counts new samples into somebody's incident, and gives the seconds that may make another one.
    fn count(&mut self, name: &str, samples: &[Sample]) -> BTreeSet<i64> {
        let mut seconds: BTreeSet<i64> = samples.iter().map(|sample| sample.second).collect();
        let Some(before) = self.incidents.get(name).map(|incident| (incident.first, incident.over)) else {
            return seconds;
        };
        let (first, over) = before;
        if !over && self.rule.fires_early() {
            let holds_new =
                |end: i64| seconds.iter().any(|second| (end - self.rule.period_s..end).contains(second));
            if let Some(end) = self.crossing(name, holds_new) {
                self.begin_at(name, end - self.rule.period_s);
            }
        }
        let incident = self.incidents.get_mut(name).expect("it was there");
        let inside: Vec<&Sample> = samples.iter().filter(|sample| incident.covers(sample.second)).collect();
        for sample in inside {
            // What lies before the old beginning was counted with the new one.
            if sample.second >= first {
                incident.samples.push(sample.clone());
            }
            incident.last = incident.last.max(sample.second);
        }
        seconds.retain(|second| !over || !incident.covers(*second));
        seconds
    }

    /// Has somebody's incident begin at `from`, if that is earlier.
    fn begin_at(&mut self, name: &str, from: i64) {
        let incident = self.incidents.get_mut(name).expect("an incident that is not over");
        let inside =
            |sample: &&Sample| sample.name == name && (from..incident.first).contains(&sample.second);
        incident.samples.extend(self.list.iter().filter(inside).cloned());
        incident.first = incident.first.min(from);
    }

    fn note_stay(&mut self, name: &str, incident: &Incident) {
        let values: Vec<i64> = incident.samples.iter().map(|sample| sample.value).collect();
        let sum = self.rule.counted == Counted::Sum;
        let count = if sum { values.iter().sum::<i64>() as f64 } else { values.len() as f64 };
        let who = self.rule.by_name.then(|| name.to_owned());
        self.stays.push(Stay { who, first: incident.first, last: incident.last, count });
    }

    /// The earliest end of a window that crosses, of those that end right after data and that `looked_at` lets through.
    fn crossing(&self, name: &str, looked_at: impl Fn(i64) -> bool) -> Option<i64> {
        let ends = self.list.iter().filter(|sample| sample.name == name).map(|sample| sample.second + 1);
        let looked_at = ends.filter(|end| looked_at(*end));
        looked_at.filter(|end| window_crosses(self.rule, &self.list, name, *end)).min()
    }

    /// The window that is told: the slot of the clock, where that crosses by the same data.
    fn shown(&self, name: &str, end: i64) -> (i64, i64) {
        let step_s = self.slot_step_s();
        let slot_end = (end + step_s - 1).div_euclid(step_s) * step_s;
        let slot_start = slot_end - self.rule.period_s;
        let crosses = |to: i64| {
            let value = self.rule.value(&between(&self.list, name, slot_start, to));
            value.is_some_and(|value| self.rule.crosses(value))
        };
        if crosses(end) && crosses(slot_end) {
            (slot_start, slot_end)
        } else {
            (end - self.rule.period_s, end)
        }
    }

    fn slot_step_s(&self) -> i64 {
        if self.rule.period_s < 60 { self.rule.period_s } else { 60 }
    }

    fn tick(&mut self, now: i64) {
        if self.ticked.is_some_and(|ticked| ticked - now > CLOCK_BACK_MAX_S) {
            return self.begin_again(now);
        }
        let complete = self.ticked.map_or(now, |ticked| ticked.max(now));
        self.ticked = Some(complete);
        self.now = self.now.max(now);
        let grid = grid(self.rule, complete);
        if grid <= self.evaluated {
            return self.let_incidents_go();
        }
        self.evaluated = grid;
        let oldest = self.rule.accepted_from(grid) - self.rule.range_s();
        self.list.retain(|sample| sample.second >= oldest);
        for name in self.states.keys().cloned().collect::<Vec<_>>() {
            self.assess(&name, grid);
        }
        self.settle();
        self.let_incidents_go();
    }

    /// Lets incidents go that data can reach no more.
    fn let_incidents_go(&mut self) {
        let accepted_from = self.rule.accepted_from(self.now);
        for (name, incident) in std::mem::take(&mut self.incidents) {
            if incident.over && incident.last < accepted_from {
                self.note_stay(&name, &incident);
            } else {
                self.incidents.insert(name, incident);
            }
        }
    }

    /// The clock was ahead: time is what it is now, states and data are those that there were.
    fn begin_again(&mut self, now: i64) {
        (self.now, self.ticked, self.evaluated) = (now, Some(now), grid(self.rule, now));
        self.list = self.all.iter().filter(|sample| self.reaches(sample.second)).cloned().collect();
        if self.rule.by_name {
            self.states.retain(|name, _| self.moved.contains(name));
        }
        for sample in &self.list {
            self.states.entry(sample.name.clone()).or_insert(State::Ok);
        }
    }

    fn assess(&mut self, name: &str, grid: i64) {
        let (rule, state) = (self.rule, self.states[name]);
        let silent = !self.list.iter().any(|sample| sample.name == name);
        if rule.by_name && silent && state != State::Alarm && rule.missing != MissingData::Breaching {
            self.states.remove(name);
            self.moved.remove(name);
            return;
        }
        let recent = |end| end > grid - rule.period_s;
        if rule.fires_early() && state == State::Alarm && self.crossing(name, recent).is_some() {
            return;
        }
        let newest_end = grid.div_euclid(self.slot_step_s()) * self.slot_step_s();
        // Who came to be after the slots is not missing in them.
        let mut mine = self.list.iter().filter(|sample| sample.name == name).peekable();
        let new = mine.peek().is_some() && mine.all(|sample| sample.second >= newest_end);
        if rule.by_name && state == State::Ok && new {
            return;
        }
        let ends = (0..i64::from(rule.n) + 2).map(|i| newest_end - i * rule.period_s);
        let slots: Vec<(i64, Option<bool>)> = ends
            .map(|end| {
                let value = rule.value(&between(&self.list, name, end - rule.period_s, end));
                (end, value.map(|value| rule.crosses(value)))
            })
            .collect();
        let Some((verdict, by_points)) =
            judge(&slots.iter().map(|(_, slot)| *slot).collect::<Vec<_>>(), rule)
        else {
            return;
        };
        // What crossed was told when it came, unless it crosses because a negative sample has left the window.
        let negative = self.list.iter().any(|sample| sample.name == name && sample.value < 0);
        let told = rule.fires_early() && by_points && !(rule.counted == Counted::Sum && negative);
        let no_news = rule.by_name && (state, verdict) == (State::Ok, State::InsufficientData);
        if verdict == state || no_news || (verdict == State::Alarm && told) {
            return;
        }
        let real = slots.iter().filter(|(_, slot)| slot.is_some()).take(rule.n as usize);
        let breaching: Vec<i64> = real.filter(|(_, slot)| *slot == Some(true)).map(|(end, _)| *end).collect();
        let window = breaching.first().zip(breaching.last()).map(|(to, from)| (from - rule.period_s, *to));
        self.enter(name, verdict, window);
    }

    /// Changes a state. ALARM begins an incident with the window that was told, or now where none was.
    fn enter(&mut self, name: &str, state: State, window: Option<(i64, i64)>) {
        let from = self.states.insert(name.to_owned(), state).expect("somebody known");
        self.moved.insert(name.to_owned());
        let who = self.rule.by_name.then(|| name.to_owned());
        self.told.push(Told { at: self.now, who, from, to: state });
        if state == State::Alarm {
            let mine = self.list.iter().filter(|sample| sample.name == name);
            let incident = match window {
                Some((first, _)) => {
                    let samples: Vec<Sample> =
                        mine.filter(|sample| sample.second >= first).cloned().collect();
                    let last = samples.iter().map(|sample| sample.second).max().unwrap_or(first);
                    Incident { first, last, samples, over: false }
                }
                None => Incident { first: self.now, last: self.now - 1, samples: Vec::new(), over: false },
            };
            if let Some(before) = self.incidents.insert(name.to_owned(), incident) {
                self.note_stay(name, &before);
            }
        } else if let Some(incident) = self.incidents.get_mut(name) {
            incident.over = true;
        }
    }

    /// The whole is ALARM while anybody is.
    fn settle(&mut self) {
        let alarming = self.states.values().any(|state| *state == State::Alarm);
        let state = if alarming { State::Alarm } else { State::Ok };
        if self.rule.by_name && self.whole != state {
            self.told.push(Told { at: self.now, who: None, from: self.whole, to: state });
            self.whole = state;
        }
    }
}

/// The state that slots, newest first, ask for, and whether points alone do; `None` keeps the state.
fn judge(slots: &[Option<bool>], rule: &Rule) -> Option<(State, bool)> {
    let (m, n) = (rule.m as usize, rule.n as usize);
    let real: Vec<bool> = slots.iter().flatten().take(n).copied().collect();
    let breaching = real.iter().filter(|breaches| **breaches).count();
    let fills = n - real.len();
    let of_points = |enough: bool| Some((if enough { State::Alarm } else { State::Ok }, true));
    if fills == 0 || breaching >= m {
        return of_points(breaching >= m);
    }
    match rule.missing {
        MissingData::Breaching if breaching + fills >= m => Some((State::Alarm, false)),
        MissingData::Breaching | MissingData::NotBreaching => of_points(false),
        MissingData::Ignore if real.is_empty() => None,
        MissingData::Missing if real.is_empty() => Some((State::InsufficientData, false)),
        MissingData::Missing | MissingData::Ignore if real.len() > breaching => of_points(false),
        MissingData::Ignore => None,
        MissingData::Missing => {
            let oldest = slots.iter().rposition(|slot| *slot == Some(true))?;
            (oldest + 1 >= m).then_some((State::Alarm, false))
        }
    }
}
