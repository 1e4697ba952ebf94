/*! What is played says the same, bit for bit, as a watch that is ticked at every second while the same comes in. */

use super::*;
use crate::alarm::composite::{CompositeAlarm, Suppressor};
use crate::alarm::{
    Comparison, ExpressionMeasure, Measure, MissingData, QueryMeasure, SeriesMeasure, State, Transition,
};
use crate::anomaly::AnomalyDetector;
use crate::anomaly::models::Lecture;
use crate::event::Group;
use crate::evidence::Evidence;
use crate::math::{MetricQuery, MetricStat, Queried};
use crate::metric::{Aggregate, Series};
use crate::mute::MuteRule;
use crate::records::RecordMark;
use crate::time::HOUR_MS;

const ACCOUNT: &str = "123456789012";
/// A full day.
const BASE_S: i64 = 1_767_225_600;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(BASE_S + second)
}

fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch:site:{ACCOUNT}:alarm:{name}")
}

fn alarm(name: &str, measure: Measure) -> MetricAlarm {
    MetricAlarm {
        arn: arn(name),
        region: "site".to_owned(),
        name: name.to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure,
        period_s: 60,
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold: 5.0,
        band: None,
        comparison: Comparison::GreaterThanOrEqualToThreshold,
        missing_data: MissingData::NotBreaching,
        evaluate_low_sample_count_percentile: String::new(),
        updated: at(0),
    }
}

fn query(text: &str) -> Measure {
    Measure::Query(QueryMeasure { id: "q".to_owned(), label: None, text: text.to_owned() })
}

fn series(name: &str) -> Series {
    Series::new("site", "n", name, Vec::new())
}

fn single(statistic: &str) -> Measure {
    Measure::Series(SeriesMeasure { series: series("M"), unit: None, statistic: statistic.to_owned() })
}

fn entry(id: &str, return_data: bool, what: Queried) -> MetricQuery {
    MetricQuery { id: id.to_owned(), label: None, return_data, period_s: None, account_id: None, what }
}

fn stat(id: &str, period_s: i64, return_data: bool) -> MetricQuery {
    let stat = MetricStat { series: series("M"), period_s, statistic: "Sum".to_owned(), unit: None };
    entry(id, return_data, Queried::Stat(stat))
}

fn expression(id: &str, text: &str) -> MetricQuery {
    entry(id, true, Queried::Expression(text.to_owned()))
}

fn composite(name: &str, rule: &str, suppressor: Option<&str>) -> CompositeAlarm {
    CompositeAlarm {
        arn: arn(name),
        region: "site".to_owned(),
        name: name.to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        rule: rule.to_owned(),
        suppressor: suppressor.map(|name| Suppressor { alarm_arn: arn(name), wait_s: 7, extension_s: 33 }),
        updated: at(0),
    }
}

/// One alarm of each kind, composites of two levels over them, and a rule that mutes one of them each half hour.
fn rules() -> Vec<Input> {
    let folders = alarm("users", query("SELECT SUM(M) FROM n GROUP BY User"));
    let silent = MetricAlarm {
        comparison: Comparison::LessThanThreshold,
        missing_data: MissingData::Breaching,
        threshold: 1.0,
        period_s: 300,
        ..alarm("silent", query("SELECT SUM(M) FROM n GROUP BY User"))
    };
    let mean = MetricAlarm {
        evaluation_periods: 3,
        datapoints_to_alarm: Some(2),
        threshold: 2.0,
        missing_data: MissingData::Missing,
        ..alarm("mean", single("Average"))
    };
    let tail = MetricAlarm {
        period_s: 10,
        evaluation_periods: 2,
        missing_data: MissingData::Ignore,
        actions_enabled: false,
        ..alarm("tail", single("p90"))
    };
    let entries = vec![stat("m", 60, false), expression("e", "m * 2 + FILL(m, 0)")];
    let math =
        MetricAlarm { threshold: 12.0, ..alarm("math", Measure::Expression(ExpressionMeasure { entries })) };
    let gaps = MetricAlarm {
        threshold: 1.0,
        period_s: 300,
        ..alarm("gaps", query("SELECT SUM(MissingEvents) FROM \"Nightbell/Records\" GROUP BY Instance"))
    };
    let mute = MuteRule {
        region: "site".to_owned(),
        name: "upkeep".to_owned(),
        arn: String::new(),
        description: None,
        expression: "cron(0,30 * * * *)".to_owned(),
        duration: "PT7M".to_owned(),
        timezone: "UTC".to_owned(),
        alarm_names: vec!["users".to_owned()],
        start: None,
        expire: None,
        updated: at(0),
    };
    let put = |alarm| Input::PutAlarm { alarm, history: Vec::new() };
    let mut rules: Vec<Input> = [folders, silent, mean, tail, math, gaps].map(put).into();
    let composites = [
        composite("both", "ALARM(users) AND NOT ALARM(mean)", None),
        composite("upper", "ALARM(both) OR ALARM(gaps)", Some("math")),
    ];
    rules.extend(composites.map(|alarm| Input::PutComposite { alarm }));
    rules.push(Input::PutMuteRule { rule: mute });
    rules
}

fn datum(user: &str, second: i64, value: f64) -> Datum {
    let user_series = Series::new("site", "n", "M", vec![("User".to_owned(), user.to_owned())]);
    let series = if user.is_empty() { series("M") } else { user_series };
    let mut evidence =
        Evidence { events: 1, first: Some(at(second)), last: Some(at(second)), ..Evidence::default() };
    evidence.users.add(user);
    Datum { series, second: BASE_S + second, unit: None, aggregate: Aggregate::one(value), evidence }
}

/// A small generator of numbers that look like chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64) % end
    }
}

/// Some hours of events of three people and one machine's records, some late, some ahead; nothing for more than a day; some
/// hours again.
fn arrivals(seed: u64) -> Vec<Arrival> {
    let mut chance = Chance(seed);
    let mut all: Vec<Arrival> = Vec::new();
    let mut record = 100;
    let mut now_ms = 0;
    while now_ms < 40 * HOUR_S * 1_000 {
        let second = now_ms / 1_000;
        let asleep = (2 * HOUR_S..38 * HOUR_S).contains(&second);
        now_ms += if asleep { 36 * HOUR_MS } else { 200 + chance.below(90_000) };
        let second = now_ms / 1_000;
        let mut data = Vec::new();
        for _ in 0..1 + chance.below(4) {
            let late = if chance.below(4) == 0 { chance.below(1_000) } else { -chance.below(3) };
            let user = ["ann", "bob", "cyd", ""][chance.below(4) as usize];
            data.push(datum(user, second - late, 1.0 + chance.below(6) as f64));
        }
        let mut records = RecordSpans::default();
        let group = Group { region: "site".to_owned(), name: "g".to_owned() };
        record += 1 + u64::from(chance.below(12) == 0);
        let mark = RecordMark {
            machine: "ws1".to_owned(),
            channel: "security".to_owned(),
            id: record,
            cleared: false,
        };
        records.note(&group, mark, at(second));
        all.push(Arrival { at: at(0).plus_millis(now_ms), data, records });
    }
    all
}

/// Everything that follows, and an end after so many questions.
#[derive(Default)]
struct All {
    effects: Vec<Effect>,
    patience: Option<usize>,
}

impl Onlooker for All {
    fn see(&mut self, _: Timestamp, effect: Effect) {
        self.effects.push(effect);
    }

    fn goes_on(&mut self, _: Timestamp) -> bool {
        match &mut self.patience {
            None => true,
            Some(left) => {
                *left = left.saturating_sub(1);
                *left > 0
            }
        }
    }
}

/// Transitions of metric and of composite alarms, in order.
fn transitions(effects: Vec<Effect>) -> Vec<Effect> {
    effects
        .into_iter()
        .filter(|effect| matches!(effect, Effect::Transition(_) | Effect::CompositeTransition(_)))
        .collect()
}

fn standing(rules: &[Input], since: Timestamp) -> Watch {
    let mut watch = Watch::new(ACCOUNT);
    for rule in rules {
        watch.step(since, rule.clone());
    }
    watch
}

/// The same as a server would do it: a tick at every second.
fn live(watch: &mut Watch, arrivals: &[Arrival], from: Timestamp, end: Timestamp) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut arrivals = arrivals.iter().peekable();
    for second in from.second()..=end.second() {
        let tick = Timestamp::from_seconds(second);
        while let Some(arrival) = arrivals.next_if(|arrival| arrival.at < tick) {
            effects.extend(watch.step(arrival.at, Input::Data(arrival.data.clone())));
            if let Some(since) = watch.follows_records() {
                let spans = arrival.records.clone();
                effects.extend(watch.step(arrival.at, Input::Records { since, spans }));
            }
        }
        effects.extend(watch.step(tick, Input::Tick));
    }
    effects
}

#[test]
fn every_kind_of_alarm_says_what_it_said_live() {
    let mut kinds = [0; 5];
    for seed in 1..=3 {
        let arrivals = arrivals(seed);
        let end = arrivals.last().unwrap().at.plus_millis(2 * HOUR_MS);
        let from = at(-HOUR_S);
        let happened = transitions(live(&mut standing(&rules(), from), &arrivals, from, end));
        let happened: Vec<Effect> = happened.into_iter().filter(|effect| told_at(effect) >= at(0)).collect();
        let played = |since| {
            let mut all = All::default();
            assert!(replay(&mut standing(&rules(), since), arrivals.iter().cloned(), end, &mut all));
            transitions(all.effects)
        };
        let would = played(from);
        let shown = |effects: &[Effect]| effects.iter().map(line).collect::<Vec<_>>();
        let (told, known) = (shown(&would), shown(&happened));
        let differs = (0..told.len().max(known.len())).find(|at| told.get(*at) != known.get(*at));
        assert_eq!(differs.map(|at| (told.get(at), known.get(at))), None, "seed {seed}");
        for (would, happened) in would.iter().zip(&happened) {
            assert_eq!(would, happened, "seed {seed}");
        }
        // Since when the rules stand is told by composites only.
        assert_eq!(shown(&played(at(-30 * DAY_S))), known, "seed {seed}");
        for effect in &would {
            kinds[match effect {
                Effect::Transition(told) if told.alarm.name == "gaps" => 0,
                Effect::Transition(told) if told.alarm.name == "users" && !told.acts => 1,
                Effect::Transition(told) if told.alarm.name == "math" => 2,
                Effect::Transition(_) => 3,
                _ => 4,
            }] += 1;
        }
    }
    assert!(kinds.iter().all(|count| *count > 3), "{kinds:?}");
}

fn told_at(effect: &Effect) -> Timestamp {
    match effect {
        Effect::Transition(told) => told.at,
        Effect::CompositeTransition(told) => told.change.at,
        _ => unreachable!("only transitions were kept"),
    }
}

fn line(effect: &Effect) -> String {
    let (name, from, to) = match effect {
        Effect::Transition(told) => {
            let whose = told.contributor.as_ref().map_or_else(String::new, |one| one.text(99));
            (format!("{} {whose}", told.alarm.name), told.from, told.to)
        }
        Effect::CompositeTransition(told) => (told.alarm.name.clone(), told.change.from, told.change.to),
        _ => unreachable!("only transitions were kept"),
    };
    format!("{} {name} {} -> {}", told_at(effect).iso(), from.name(), to.name())
}

/// Twenty days of a metric with a rhythm, one sum for each five minutes, and a burst on the last afternoon.
fn weeks() -> Vec<Arrival> {
    let mut chance = Chance(7);
    let periods = 20 * DAY_S / 300;
    let value = |period: i64, chance: &mut Chance| {
        let hour = period / 12 % 24;
        let burst = if (period / 12) == 19 * 24 + 15 { 60 } else { 0 };
        (if (8..18).contains(&hour) { 20 } else { 2 } + chance.below(4) + burst) as f64
    };
    (0..periods)
        .map(|period| {
            let second = period * 300 + 7;
            let data = vec![datum("", second, value(period, &mut chance))];
            Arrival { at: at(second), data, records: RecordSpans::default() }
        })
        .collect()
}

fn banded() -> MetricAlarm {
    let entries = vec![stat("m", 300, true), expression("b", "ANOMALY_DETECTION_BAND(m, 4)")];
    MetricAlarm {
        band: Some("b".to_owned()),
        threshold: 0.0,
        period_s: 300,
        comparison: Comparison::GreaterThanUpperThreshold,
        missing_data: MissingData::Missing,
        ..alarm("band", Measure::Expression(ExpressionMeasure { entries }))
    }
}

fn banded_rules() -> Vec<Input> {
    let alarm = Input::PutAlarm { alarm: banded(), history: Vec::new() };
    let [key] = &Watch::new(ACCOUNT).untaught(&alarm)[..] else { panic!("it needs one model") };
    let timezone = Some("Europe/Berlin".to_owned());
    let detector =
        AnomalyDetector { watched: key.watched(), excluded: Vec::new(), timezone, periodic_spikes: false };
    vec![Input::PutDetector { detector, past: Vec::new() }, alarm]
}

fn plain(effects: Vec<Effect>) -> Vec<Transition> {
    let transition = |effect| match effect {
        Effect::Transition(told) => Some(*told),
        _ => None,
    };
    effects.into_iter().filter_map(transition).collect()
}

#[test]
fn a_band_is_learned_as_it_was_live() {
    let arrivals = weeks();
    let start = at(18 * DAY_S);
    let end = at(20 * DAY_S);
    let mut all = All::default();
    let mut watch = standing(&banded_rules(), at(-DAY_S));
    assert!(replay(&mut watch, arrivals.iter().cloned(), end, &mut all));
    let would: Vec<Transition> = plain(all.effects).into_iter().filter(|told| told.at >= start).collect();
    let burst = at(19 * DAY_S + 15 * HOUR_S);
    let soon = burst..=burst.plus_millis(305 * SECOND_MS);
    let is_burst = |told: &&Transition| told.to == State::Alarm && soon.contains(&told.at);
    let fired = would.iter().find(is_burst);
    let shown =
        || would.iter().map(|told| line(&Effect::Transition(Box::new(told.clone())))).collect::<Vec<_>>();
    let fired = fired.unwrap_or_else(|| panic!("not before its first period is complete: {:?}", shown()));
    assert!(fired.band.is_some() && fired.usual.is_some(), "{fired:?}");

    // An alarm that has stood all the time.
    let from = at(-HOUR_S);
    let mut standing_long = standing(&banded_rules(), from);
    let mut happened = Vec::new();
    for arrival in &arrivals {
        let second = arrival.at.second();
        let before = happened.last().map_or(from.second(), |(at, _): &(i64, Vec<Effect>)| *at);
        let mut effects = Vec::new();
        for tick in (before..second).filter(|tick| tick % 10 == 5) {
            effects.extend(standing_long.step(Timestamp::from_seconds(tick), Input::Tick));
        }
        effects.extend(standing_long.step(arrival.at, Input::Data(arrival.data.clone())));
        happened.push((second, effects));
    }
    let happened = happened.into_iter().flat_map(|(_, effects)| plain(effects));
    let happened: Vec<Transition> = happened.filter(|told| told.at >= start).collect();
    assert_eq!(would[..happened.len()], happened[..]);
    assert!(happened.len() >= 2, "it fires and is over");
}

#[test]
fn a_band_is_learned_as_a_new_alarm_is_taught_it_from_what_is_stored() {
    let start = at(18 * DAY_S);
    // The period in which the alarm is made is not wholly seen live, so here it has no data.
    let is_seen = |arrival: &Arrival| !(start..start.plus_millis(300_000)).contains(&arrival.at);
    let (before, after): (Vec<Arrival>, Vec<Arrival>) =
        weeks().into_iter().filter(is_seen).partition(|arrival| arrival.at < start);
    let taught_from = start.second() - crate::anomaly::models::TAUGHT_MAX_S;
    let stored: Vec<Arrival> =
        before.into_iter().filter(|arrival| arrival.at.second() >= taught_from).collect();
    let end = at(20 * DAY_S);

    let mut new = Watch::new(ACCOUNT);
    for rule in banded_rules() {
        let lessons: Vec<_> = new
            .untaught(&rule)
            .into_iter()
            .map(|key| {
                let mut lecture = Lecture::new(key);
                stored.iter().flat_map(|arrival| &arrival.data).for_each(|datum| lecture.take(datum, 1));
                lecture.finish()
            })
            .collect();
        if let Input::PutDetector { detector, .. } = rule {
            new.step(start, Input::PutDetector { detector, past: lessons });
            continue;
        }
        for lesson in lessons {
            new.step(start, Input::Teach(lesson));
        }
        new.step(start, rule);
    }
    let happened = plain(live(&mut new, &after, start, end));

    let mut all = All::default();
    let mut watch = standing(&banded_rules(), Timestamp::from_seconds(taught_from - DAY_S));
    assert!(replay(&mut watch, stored.into_iter().chain(after), end, &mut all));
    let would: Vec<Transition> = plain(all.effects).into_iter().filter(|told| told.at >= start).collect();
    let is_fired = |told: &&Transition| told.to == State::Alarm;
    let fired = |all: &[Transition]| all.iter().filter(is_fired).cloned().collect::<Vec<_>>();
    assert!(!fired(&would).is_empty());
    // What it was in before differs: a new alarm knows nothing yet.
    let without_past = |mut told: Transition| {
        (told.old_reason, told.from) = (String::new(), State::Ok);
        told
    };
    let compared = |all: Vec<Transition>| all.into_iter().map(without_past).collect::<Vec<_>>();
    assert_eq!(compared(fired(&would)), compared(fired(&happened)));
}

#[test]
fn years_without_data_are_passed_over_and_change_nothing() {
    let later = 3_653 * DAY_S;
    let rules = [Input::PutAlarm {
        alarm: alarm("a", query("SELECT SUM(M) FROM n GROUP BY User")),
        history: Vec::new(),
    }];
    let burst = |second| Arrival {
        at: at(second),
        data: vec![datum("ann", second, 6.0)],
        records: RecordSpans::default(),
    };
    let mut all = All::default();
    let mut watch = standing(&rules, at(0));
    assert!(replay(&mut watch, [burst(0), burst(later)].into_iter(), at(later + DAY_S), &mut all));
    let moves: Vec<(State, i64)> = plain(all.effects)
        .iter()
        .filter(|told| told.contributor.is_some())
        .map(|told| (told.to, told.at.since(at(0)) / SECOND_MS % DAY_S))
        .collect();
    let over_s = moves[1].1;
    let one = [(State::Alarm, 0), (State::Ok, over_s)];
    assert_eq!(moves, [one, one].concat());
    assert!((60..600).contains(&over_s), "{over_s}");
}

#[test]
fn whoever_stays_silent_is_forgotten_when_it_was_live() {
    let silent = rules().into_iter().skip(1).take(1).collect::<Vec<_>>();
    let arrivals =
        [Arrival { at: at(17), data: vec![datum("ann", 12, 1.0)], records: RecordSpans::default() }];
    let end = at(9 * DAY_S);
    let happened = transitions(live(&mut standing(&silent, at(0)), &arrivals, at(0), end));
    let mut all = All::default();
    assert!(replay(&mut standing(&silent, at(0)), arrivals.into_iter(), end, &mut all));
    let would = transitions(all.effects);
    let lines = |effects: &[Effect]| effects.iter().map(line).collect::<Vec<_>>();
    assert_eq!(lines(&would), lines(&happened));
    assert_eq!(would, happened);
    let last = happened.last().map(line).unwrap_or_default();
    assert!(last.ends_with("ALARM -> OK") && happened.len() >= 4, "{last}");
}

#[test]
fn an_onlooker_may_end_it_between_arrivals_and_between_ticks() {
    let arrivals = arrivals(1);
    let end = arrivals.last().unwrap().at;
    let mut all = All { patience: Some(5), ..All::default() };
    assert!(!replay(&mut standing(&rules(), at(-1)), arrivals.iter().cloned(), end, &mut all));
    assert!(all.effects.iter().all(|effect| match effect {
        Effect::Transition(told) => told.at <= arrivals[5].at,
        _ => true,
    }));
    // One arrival and then only ticks.
    let mut all = All { patience: Some(3), ..All::default() };
    let long = at(0).plus_millis(300 * DAY_MS);
    let busy = rules().into_iter().take(1).collect::<Vec<_>>();
    assert!(!replay(&mut standing(&busy, at(-1)), arrivals.into_iter().take(1), long, &mut all));
}
