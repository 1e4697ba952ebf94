/*!
What the properties are about: rules, samples of three people, schedules of what happens when, and an engine that is kept
as the server keeps it: runtimes and incidents in bytes, data points by second, the last tick.

Seconds count from the start, which is a full day, so that the borders of all periods fall on multiples of them.
*/

use std::collections::BTreeMap;

use nightbell_core::alarm::contributors::Group;
use nightbell_core::alarm::{Comparison, MetricAlarm, MissingData, State, Transition};
use nightbell_core::evidence::{Evidence, Sample as Line};
use nightbell_core::incident::Incident;
use nightbell_core::metric::{Aggregate, Datum, Series};
use nightbell_core::time::{MINUTE_MS, Timestamp};
use nightbell_core::watch::{Effect, IncidentCount, Input, Runtime, Watch};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

pub(crate) const ACCOUNT: &str = "123456789012";
/// A full day.
const BASE_S: i64 = 1_767_225_600;
/// Those who are counted.
pub(crate) const PEOPLE: [&str; 3] = ["ann", "bob", "cyd"];
/// A clock that is put back by more is believed, as by the server.
pub(crate) const CLOCK_BACK_MAX_S: i64 = MINUTE_MS / 1_000;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(BASE_S + second)
}

/// What is read off the samples of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Sum,
    SampleCount,
    Maximum,
    Minimum,
    Average,
    Distinct,
}

/// An alarm.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) counted: Counted,
    pub(crate) comparison: Comparison,
    pub(crate) threshold: i64,
    pub(crate) period_s: i64,
    pub(crate) m: u32,
    pub(crate) n: u32,
    pub(crate) missing: MissingData,
    /// Whether everybody is counted on their own; else all are one series.
    pub(crate) by_name: bool,
    /// Only what follows so many samples of the condition counts.
    pub(crate) after: Option<u32>,
}

/// One sample, of somebody's, at some second.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) second: i64,
    /// The value; for [`Counted::Distinct`] what is told apart.
    pub(crate) value: i64,
    /// Whether it is the condition's.
    pub(crate) condition: bool,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Data(Vec<Sample>),
    Tick,
    Set(State),
}

/// What happens at which times of the server's clock.
pub(crate) type Schedule = Vec<(i64, Happening)>;

/// A transition, without numbers and words. `who` is `None` for the alarm as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    pub(crate) at: i64,
    pub(crate) who: Option<String>,
    pub(crate) from: State,
    pub(crate) to: State,
}

/// A stay in ALARM, by the seconds and samples that belong to it.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(crate) struct Stay {
    pub(crate) who: Option<String>,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) count: f64,
}

impl Rule {
    /// Whether a crossing is told at once.
    pub(crate) fn fires_early(&self) -> bool {
        let grows = !matches!(self.counted, Counted::Minimum | Counted::Average);
        grows
            && matches!(
                self.comparison,
                Comparison::GreaterThanThreshold | Comparison::GreaterThanOrEqualToThreshold
            )
    }

    /// Seconds from the start of the evaluation range to its end: N periods and two more.
    pub(crate) fn range_s(&self) -> i64 {
        self.period_s * (i64::from(self.n) + 2)
    }

    /// The oldest second that can fire at `now`.
    pub(crate) fn accepted_from(&self, now: i64) -> i64 {
        now - self.range_s().max(15 * 60)
    }

    pub(crate) fn crosses(&self, value: f64) -> bool {
        let threshold = self.threshold as f64;
        match self.comparison {
            Comparison::GreaterThanThreshold => value > threshold,
            Comparison::GreaterThanOrEqualToThreshold => value >= threshold,
            Comparison::LessThanThreshold => value < threshold,
            Comparison::LessThanOrEqualToThreshold => value <= threshold,
            _ => unreachable!("rules are held against a number"),
        }
    }

    /// The statistic over these values; `None` of nothing.
    pub(crate) fn value(&self, values: &[i64]) -> Option<f64> {
        let sum = values.iter().sum::<i64>() as f64;
        let count = values.len() as f64;
        let value = match self.counted {
            Counted::Sum => sum,
            Counted::SampleCount => count,
            Counted::Maximum => *values.iter().max()? as f64,
            Counted::Minimum => *values.iter().min()? as f64,
            Counted::Average => sum / count,
            Counted::Distinct => {
                let mut different = values.to_vec();
                different.sort_unstable();
                different.dedup();
                different.len() as f64
            }
        };
        (!values.is_empty()).then_some(value)
    }

    /// The alarm, read as it is stored: a member that is not named here is absent.
    pub(crate) fn alarm(&self) -> MetricAlarm {
        let statistic = format!("{:?}", self.counted);
        let measure = if self.by_name {
            let function = match self.counted {
                Counted::Sum => "SUM",
                Counted::SampleCount => "COUNT",
                Counted::Maximum => "MAX",
                Counted::Minimum => "MIN",
                Counted::Average => "AVG",
                Counted::Distinct => "COUNT_DISTINCT",
            };
            let after = self.after.map_or(String::new(), |times| format!(" AFTER COUNT(Before) >= {times}"));
            let text = format!("SELECT {function}(Counted) FROM logons GROUP BY Name{after}");
            json!({"Query": {"id": "q", "label": null, "text": text}})
        } else {
            json!({"Series": {"series": self.series("", false), "unit": null, "statistic": statistic}})
        };
        let alarm = json!({
            "arn": "arn:aws:cloudwatch:site:123456789012:alarm:rule",
            "region": "site",
            "name": "rule",
            "actions_enabled": true,
            "ok_actions": [],
            "alarm_actions": [],
            "insufficient_data_actions": [],
            "measure": measure,
            "period_s": self.period_s,
            "evaluation_periods": self.n,
            "datapoints_to_alarm": self.m,
            "threshold": self.threshold as f64,
            "comparison": self.comparison,
            "missing_data": self.missing,
            "evaluate_low_sample_count_percentile": "",
            "updated": at(0),
        });
        let alarm: MetricAlarm = serde_json::from_value(alarm).expect("a stored alarm");
        alarm.check().expect("an alarm that is inside the limits");
        alarm
    }

    fn series(&self, name: &str, condition: bool) -> Series {
        let metric = if condition { "Before" } else { "Counted" };
        let names = vec![("Name".to_owned(), name.to_owned())];
        Series::new("site", "logons", metric, if self.by_name { names } else { Vec::new() })
    }

    /// Samples as they come in at `now`, with what their events say.
    pub(crate) fn data(&self, now: i64, samples: &[Sample]) -> Vec<Datum> {
        let datum = |sample: &Sample| {
            let value = if self.counted == Counted::Distinct {
                Aggregate::keyed((sample.value as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            } else {
                Aggregate::one(sample.value as f64)
            };
            let time = at(sample.second);
            let mut evidence = Evidence {
                events: 1,
                first: Some(time),
                last: Some(time),
                last_arrival: Some(at(now)),
                samples: vec![Line { time, line: format!("{} {}", sample.name, sample.value), place: None }],
                ..Evidence::default()
            };
            evidence.users.add(&sample.name);
            let series = self.series(&sample.name, sample.condition);
            Datum { series, second: BASE_S + sample.second, unit: None, aggregate: value, evidence }
        };
        samples.iter().map(datum).collect()
    }
}

/// An engine, and what of it is kept outside.
pub(crate) struct Kept {
    alarm: MetricAlarm,
    watch: Watch,
    runtime: Vec<u8>,
    contributors: BTreeMap<Group, Vec<u8>>,
    incidents: BTreeMap<String, Vec<u8>>,
    /// What incidents have counted since.
    counts: BTreeMap<String, Vec<u8>>,
    /// Every incident there was, by id, with its latest count.
    stays: BTreeMap<String, Stay>,
    points: BTreeMap<(Series, i64), Datum>,
    ticked: Option<i64>,
}

impl Kept {
    /// An engine with one alarm, put at the start, and what that did.
    pub(crate) fn new(rule: &Rule) -> (Self, Vec<Effect>) {
        let alarm = rule.alarm();
        let mut kept = Self {
            alarm: alarm.clone(),
            watch: Watch::new(ACCOUNT),
            runtime: Vec::new(),
            contributors: BTreeMap::new(),
            incidents: BTreeMap::new(),
            counts: BTreeMap::new(),
            stays: BTreeMap::new(),
            points: BTreeMap::new(),
            ticked: None,
        };
        let effects = kept.step(0, Input::PutAlarm { alarm, history: Vec::new() });
        (kept, effects)
    }

    /// What `happening` does at `now`. A tick that finds the clock put back begins again at its time.
    pub(crate) fn happen(&mut self, rule: &Rule, now: i64, happening: &Happening) -> Vec<Effect> {
        match happening {
            Happening::Data(samples) => {
                let data = rule.data(now, samples);
                for datum in &data {
                    self.keep(datum);
                }
                self.step(now, Input::Data(data))
            }
            Happening::Set(state) => {
                let (arn, reason) = (self.alarm.arn.clone(), "drill".to_owned());
                self.step(now, Input::SetState { arn, state: *state, reason, reason_data: None })
            }
            Happening::Tick if self.ticked.is_some_and(|ticked| ticked - now > CLOCK_BACK_MAX_S) => {
                let effects = self.watch.put_clock_back(at(now));
                self.save(&effects);
                self.ticked = Some(now);
                self.restart();
                Vec::new()
            }
            Happening::Tick => {
                self.ticked = self.ticked.max(Some(now));
                self.step(now, Input::Tick)
            }
        }
    }

    fn step(&mut self, now: i64, input: Input) -> Vec<Effect> {
        let effects = self.watch.step(at(now), input);
        self.save(&effects);
        effects
    }

    fn save(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Saved { runtime, .. } => self.runtime = written(runtime),
                Effect::SavedContributor { group, runtime: Some(runtime), .. } => {
                    self.contributors.insert(group.clone(), written(runtime));
                }
                Effect::SavedContributor { group, runtime: None, .. } => {
                    self.contributors.remove(group);
                }
                Effect::Incident(incident) => {
                    self.incidents.insert(incident.id.clone(), written(&**incident));
                    self.counts.remove(&incident.id);
                    let who = incident.contributor.as_ref().map(|one| one.attributes[0].1.clone());
                    self.stays.insert(incident.id.clone(), stay(who, &IncidentCount::of(incident)));
                }
                Effect::IncidentCounted(count) => {
                    self.counts.insert(count.id.clone(), written(count));
                    let before = self.stays.get_mut(&count.id).expect("an incident that was told of");
                    *before = stay(before.who.clone(), count);
                }
                Effect::IncidentOver { id } => {
                    self.incidents.remove(id);
                    self.counts.remove(id);
                }
                _ => {}
            }
        }
    }

    fn keep(&mut self, datum: &Datum) {
        let key = (datum.series.clone(), datum.second);
        self.points
            .entry(key)
            .and_modify(|kept| {
                kept.aggregate.merge(&datum.aggregate);
                kept.evidence.merge(&datum.evidence);
            })
            .or_insert_with(|| datum.clone());
    }

    /// Forgets the engine and makes one from what was kept.
    pub(crate) fn restart(&mut self) {
        let mut fresh = Watch::new(ACCOUNT);
        if let Some(ticked) = self.ticked {
            fresh.restore_clock(at(ticked));
        }
        fresh.restore_alarm(self.alarm.clone(), read::<Runtime>(&self.runtime));
        for (group, runtime) in &self.contributors {
            fresh.restore_contributor(&self.alarm.arn, group.clone(), read::<Runtime>(runtime));
        }
        let from = Watch::needed_from(&self.alarm, self.ticked.map_or(Timestamp::default(), at));
        let data: Vec<Datum> = self.points.values().filter(|datum| datum.second >= from).cloned().collect();
        fresh.restore_data(&data);
        for incident in self.incidents.values() {
            fresh.restore_incident(read::<Incident>(incident));
        }
        for count in self.counts.values() {
            fresh.restore_incident_count(&read::<IncidentCount>(count));
        }
        self.watch = fresh;
    }

    /// The state of the alarm, or of the one with this name.
    pub(crate) fn state(&self, who: Option<&str>) -> State {
        match who {
            None => self.watch.alarm(&self.alarm.arn).expect("the alarm").1.state,
            Some(name) => self
                .watch
                .contributors(&self.alarm.arn)
                .find(|(one, _)| one.attributes[0].1 == name)
                .map_or(State::Ok, |(_, runtime)| runtime.state),
        }
    }

    /// How many contributors are held.
    pub(crate) fn held(&self) -> usize {
        self.watch.held().map(|(_, held)| held.contributors).sum()
    }

    /// Every incident there was.
    pub(crate) fn stays(&self) -> Vec<Stay> {
        let mut stays: Vec<Stay> = self.stays.values().cloned().collect();
        stays.sort_by(|a, b| a.partial_cmp(b).expect("counts are numbers"));
        stays
    }

    /// Since when an incident that is not over has been told of, and until when it is muted.
    pub(crate) fn told(&self) -> Option<(i64, Option<i64>)> {
        let incident = self.watch.incidents().find(|incident| incident.ended.is_none())?;
        let muted = incident.muted_until.map(|until| until.second() - BASE_S);
        Some((incident.told_at?.second() - BASE_S, muted))
    }

    /// Says nothing more of the incident that is not over for so many seconds.
    pub(crate) fn mute(&mut self, now: i64, for_s: i64) {
        let incident = self.watch.incidents().find(|incident| incident.ended.is_none());
        let id = incident.expect("an incident that is not over").id.clone();
        self.step(now, Input::MuteIncident { id, until: at(now + for_s) });
    }

    /// How many incidents are not over.
    pub(crate) fn open_incidents(&self) -> usize {
        self.watch.open_incidents()
    }

    /// How many contributors are held that are not in ALARM.
    pub(crate) fn calm(&self) -> usize {
        let all = self.watch.contributors(&self.alarm.arn);
        all.filter(|(_, runtime)| runtime.state != State::Alarm).count()
    }

    /// Whether `second` lies inside an incident of somebody's that is over: what comes late of it makes no other one.
    pub(crate) fn was_told(&self, name: &str, second: i64) -> bool {
        self.watch.incidents().any(|incident| {
            let theirs = incident.contributor.as_ref().is_some_and(|one| one.attributes[0].1 == name);
            theirs && incident.ended.is_some() && incident.covers(BASE_S + second)
        })
    }

    /// Holds at most so many contributors from here on.
    pub(crate) fn with_contributors_max(mut self, rule: &Rule, contributors_max: usize) -> Self {
        self.watch = Watch::new(ACCOUNT).with_contributors_max(contributors_max);
        self.step(0, Input::PutAlarm { alarm: rule.alarm(), history: Vec::new() });
        self
    }
}

fn stay(who: Option<String>, count: &IncidentCount) -> Stay {
    Stay { who, first: count.first_second - BASE_S, last: count.last_second - BASE_S, count: count.count }
}

/// Through the form of the store and that of the stream.
fn written<T: Serialize + DeserializeOwned>(value: &T) -> Vec<u8> {
    let bytes = postcard::to_allocvec(value).expect("plain data");
    let again: T = postcard::from_bytes(&bytes).expect("what was written");
    serde_json::to_vec(&again).expect("plain data")
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> T {
    serde_json::from_slice(bytes).expect("what was written")
}

/// The transitions among the effects, in order.
pub(crate) fn transitions(effects: &[Effect]) -> impl Iterator<Item = &Transition> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Transition(transition) => Some(&**transition),
        _ => None,
    })
}

/// The same without numbers and words.
pub(crate) fn told(effects: &[Effect]) -> Vec<Told> {
    let one = |transition: &Transition| Told {
        at: transition.at.second() - BASE_S,
        who: transition.contributor.as_ref().map(|one| one.attributes[0].1.clone()),
        from: transition.from,
        to: transition.to,
    };
    transitions(effects).map(one).collect()
}

/// Everything that a schedule makes an engine tell.
pub(crate) fn run(rule: &Rule, schedule: &Schedule) -> Vec<Told> {
    let (mut kept, effects) = Kept::new(rule);
    let mut all = told(&effects);
    for (now, happening) in schedule {
        all.extend(told(&kept.happen(rule, *now, happening)));
    }
    all
}

/// Every incident that a schedule makes.
pub(crate) fn stays(rule: &Rule, schedule: &Schedule) -> Vec<Stay> {
    let (mut kept, _) = Kept::new(rule);
    for (now, happening) in schedule {
        kept.happen(rule, *now, happening);
    }
    kept.stays()
}

// ---- what may happen ----

const PERIODS_S: [i64; 6] = [10, 20, 30, 60, 120, 300];
const TREATMENTS: [MissingData; 4] =
    [MissingData::NotBreaching, MissingData::Missing, MissingData::Ignore, MissingData::Breaching];
const ABOVE: [Comparison; 2] = [Comparison::GreaterThanThreshold, Comparison::GreaterThanOrEqualToThreshold];
const BELOW: [Comparison; 2] = [Comparison::LessThanThreshold, Comparison::LessThanOrEqualToThreshold];
const GROWING: [Counted; 4] = [Counted::Sum, Counted::SampleCount, Counted::Maximum, Counted::Distinct];

fn above() -> impl Strategy<Value = (Counted, Comparison)> {
    (prop::sample::select(GROWING.to_vec()), prop::sample::select(ABOVE.to_vec()))
}

/// What is judged on the slots of the clock only.
fn on_slots() -> impl Strategy<Value = (Counted, Comparison)> {
    let all = [&GROWING[..], &[Counted::Minimum, Counted::Average]].concat();
    let shrinking = vec![Counted::Minimum, Counted::Average];
    prop_oneof![
        (prop::sample::select(all), prop::sample::select(BELOW.to_vec())),
        (prop::sample::select(shrinking), prop::sample::select(ABOVE.to_vec())),
    ]
}

fn rule_of(
    counted: impl Strategy<Value = (Counted, Comparison)>,
    periods: Vec<(u32, u32)>,
) -> impl Strategy<Value = Rule> {
    let period_s = prop::sample::select(PERIODS_S.to_vec());
    let missing = prop::sample::select(TREATMENTS.to_vec());
    let parts = (counted, 0..9_i64, period_s, prop::sample::select(periods), missing, any::<bool>());
    parts.prop_map(|((counted, comparison), threshold, period_s, (m, n), missing, by_name)| Rule {
        counted,
        comparison,
        threshold,
        period_s,
        m,
        n,
        missing,
        by_name,
        after: None,
    })
}

/// Rules of one period that fire at once.
pub(crate) fn early_rules() -> impl Strategy<Value = Rule> {
    rule_of(above(), vec![(1, 1)])
}

/// Rules that are judged on the slots of the clock, of any number of periods.
pub(crate) fn slot_rules() -> impl Strategy<Value = Rule> {
    rule_of(on_slots(), vec![(1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (1, 3)])
}

/// All rules there are, also those of several periods that fire at once, and of what follows something else.
pub(crate) fn all_rules() -> impl Strategy<Value = Rule> {
    let several = rule_of(above(), vec![(1, 2), (2, 2), (2, 3), (3, 3), (1, 3)]);
    let after = (early_rules(), 1..4_u32).prop_map(|(rule, times)| Rule {
        by_name: true,
        after: Some(times),
        ..rule
    });
    prop_oneof![early_rules(), slot_rules(), several, after]
}

/// A sample and how long after its time it arrives.
pub(crate) type Event = (Sample, i64);

/// Events of the first quarter of an hour with the given delays; half of the times all lie next to borders of periods.
pub(crate) fn events(
    period_s: i64,
    delays: impl Strategy<Value = i64>,
    values: std::ops::Range<i64>,
    most: usize,
) -> impl Strategy<Value = Vec<Event>> {
    let one = (0..PEOPLE.len(), 0..900_i64, -1..2_i64, values, any::<bool>(), delays);
    (prop::collection::vec(one, 1..most), any::<bool>()).prop_map(move |(all, edges)| {
        let placed = |second: i64, beside: i64| {
            if edges { (second % 4 * period_s + beside).max(0) } else { second }
        };
        all.into_iter()
            .map(|(person, second, beside, value, condition, delay)| {
                let name = PEOPLE[person].to_owned();
                (Sample { name, second: placed(second, beside), value, condition }, delay)
            })
            .collect()
    })
}

/// Each event arrives when it is due, all of one second together; in between there are ticks, as the clock shows `shown`.
pub(crate) fn schedule(events: &[Event], end_s: i64, tick_s: i64, shown: impl Fn(i64) -> i64) -> Schedule {
    let mut arrivals: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
    for (sample, delay) in events {
        arrivals.entry((sample.second + delay).max(0)).or_default().push(sample.clone());
    }
    let mut schedule = Vec::new();
    for second in 0..end_s {
        if let Some(samples) = arrivals.remove(&second) {
            schedule.push((shown(second), Happening::Data(samples)));
        }
        if second % tick_s == 0 {
            schedule.push((shown(second), Happening::Tick));
        }
    }
    schedule
}
