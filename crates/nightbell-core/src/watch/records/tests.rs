/*! Gaps as data of a [`Watch`]: they fire, they survive a stop at any point, and nothing is followed that nobody asks for. */

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::alarm::runtime::Runtime;
use crate::alarm::{Comparison, Measure, MetricAlarm, MissingData, QueryMeasure, State};
use crate::event::Group;
use crate::metric::Datum;
use crate::recipe::{self, Options};
use crate::records::{Channel, EventLog, Finding, LATENESS_MS, RecordMark, RecordSpans};
use crate::time::{SECOND_MS, Timestamp};
use crate::watch::{Effect, Input, Watch};

const LATENESS_S: i64 = LATENESS_MS / SECOND_MS;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_767_225_600 + second)
}

/// The alarm of the recipe as it is.
fn alarm() -> MetricAlarm {
    let recipe = recipe::find("missing-events").unwrap();
    let built = recipe.build(&Options::default()).unwrap();
    MetricAlarm {
        arn: "arn:aws:cloudwatch:here:123456789012:alarm:missing-events".to_owned(),
        region: "here".to_owned(),
        name: built.name,
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure: Measure::Query(QueryMeasure { id: "q".to_owned(), label: None, text: built.query }),
        period_s: built.within_s.cast_signed(),
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold: built.threshold,
        band: None,
        comparison: Comparison::GreaterThanOrEqualToThreshold,
        missing_data: MissingData::NotBreaching,
        evaluate_low_sample_count_percentile: String::new(),
        updated: at(0),
    }
}

/// Records of `machine`, number `n` written `n` seconds after the start.
fn spans(machine: &str, ids: impl IntoIterator<Item = i64>) -> RecordSpans {
    let group = Group { region: "here".to_owned(), name: "windows".to_owned() };
    let mut spans = RecordSpans::default();
    for id in ids {
        let mark = RecordMark {
            machine: machine.to_owned(),
            channel: "security".to_owned(),
            id: id.cast_unsigned(),
            cleared: false,
        };
        spans.note(&group, mark, at(id));
    }
    spans
}

fn watching() -> Watch {
    let mut watch = Watch::new("123456789012");
    watch.step(at(0), Input::PutAlarm { alarm: alarm(), history: Vec::new() });
    watch.step(at(0), Input::Tick);
    watch
}

fn arrive(watch: &mut Watch, second: i64, spans: RecordSpans) -> Vec<Effect> {
    let since = watch.follows_records().expect("somebody asks");
    watch.step(at(second), Input::Records { since, spans })
}

fn found(effects: &[Effect]) -> Vec<Finding> {
    let finding = |effect: &Effect| match effect {
        Effect::Found(finding) => Some((**finding).clone()),
        _ => None,
    };
    effects.iter().filter_map(finding).collect()
}

#[test]
fn a_gap_fires_when_it_is_found_and_names_the_machine_and_the_numbers() {
    let mut watch = watching();
    arrive(&mut watch, 20, spans("srv1", 1..=10));
    arrive(&mut watch, 30, spans("srv1", 14..=20));
    arrive(&mut watch, 40, spans("srv2", 1..=20));
    assert_eq!(found(&watch.step(at(29 + LATENESS_S), Input::Tick)), []);
    let second = 30 + LATENESS_S;
    let effects = watch.step(at(second), Input::Tick);
    assert_eq!(found(&effects).len(), 1);
    let data: Vec<&Datum> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Data(data) => Some(data),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(data.len(), 1, "one point to be stored: {effects:?}");
    assert_eq!((data[0].second, data[0].aggregate.sum), (at(second).second(), 3.0));
    let fired: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Transition(transition) if transition.contributor.is_some() => Some(transition),
            _ => None,
        })
        .collect();
    assert_eq!(fired.len(), 1, "{effects:?}");
    let attributes = &fired[0].contributor.as_ref().unwrap().attributes;
    let expected = [("Instance", "srv1"), ("Channel", "security")];
    assert_eq!(*attributes, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((fired[0].to, fired[0].value, fired[0].late_by_ms), (State::Alarm, Some(3.0), None));
    let evidence = &fired[0].evidence;
    assert!(evidence.samples[0].line.starts_with("3 records of security on srv1 are missing: 11 to 13"));
    assert_eq!((evidence.first, evidence.last), (Some(at(10)), Some(at(14))));
    assert_eq!(found(&watch.step(at(second + 1), Input::Tick)), [], "each gap once");
}

#[test]
fn only_what_is_asked_for_is_followed_and_each_time_anew() {
    let mut watch = Watch::new("123456789012");
    let other = Input::PutAlarm {
        alarm: MetricAlarm {
            arn: "other".to_owned(),
            measure: Measure::Query(QueryMeasure {
                id: "q".to_owned(),
                label: None,
                text: "SELECT SUM(Failed) FROM logons GROUP BY User".to_owned(),
            }),
            ..alarm()
        },
        history: Vec::new(),
    };
    watch.step(at(0), other);
    watch.step(at(0), Input::Tick);
    assert_eq!(watch.follows_records(), None);

    watch.step(at(1), Input::PutAlarm { alarm: alarm(), history: Vec::new() });
    assert_eq!(watch.step(at(2), Input::Tick), [Effect::RecordsSince(Some(at(2)))]);
    arrive(&mut watch, 3, spans("srv1", 1..=10));
    assert_eq!(watch.record_logs(), (1, 0));
    let effects = watch.step(at(4), Input::DeleteAlarm { arn: alarm().arn });
    assert!(effects.contains(&Effect::RecordsSince(None)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::SavedRecords { channel: None, .. })));
    assert_eq!((watch.follows_records(), watch.record_logs()), (None, (0, 0)));

    watch.step(at(5), Input::PutAlarm { alarm: alarm(), history: Vec::new() });
    watch.step(at(6), Input::Tick);
    // What was read for the earlier alarm, some of it unread in between, makes no gap of the later one.
    watch.step(at(7), Input::Records { since: at(2), spans: spans("srv1", 11..=12) });
    assert_eq!(watch.record_logs(), (0, 0));
    arrive(&mut watch, 8, spans("srv1", 50..=60));
    assert_eq!(found(&watch.step(at(8 + LATENESS_S), Input::Tick)), []);
}

#[test]
fn a_selection_is_told_beside_its_first_gaps() {
    let mut watch = watching();
    arrive(&mut watch, 1, spans("srv1", (1..=400).step_by(7)));
    let effects = watch.step(at(1 + LATENESS_S), Input::Tick);
    assert!(matches!(found(&effects).last(), Some(Finding::Selective { .. })));
    let Some(Effect::Data(data)) = effects.iter().find(|effect| matches!(effect, Effect::Data(_))) else {
        panic!("no data: {effects:?}");
    };
    let last = data.last().expect("a point");
    assert_eq!(last.aggregate.sum, 0.0);
    assert!(last.evidence.samples[0].line.contains("only some records are sent"));
}

/// What a server keeps.
#[derive(Default)]
struct Kept {
    runtime: Option<Runtime>,
    contributors: BTreeMap<Vec<String>, Runtime>,
    since: Option<Timestamp>,
    logs: BTreeMap<EventLog, Channel>,
    data: Vec<Datum>,
    ticked: Option<Timestamp>,
}

impl Kept {
    fn keep(&mut self, effects: &[Effect]) {
        for effect in effects.iter().cloned() {
            match effect {
                Effect::Saved { runtime, .. } => self.runtime = Some(runtime),
                Effect::SavedContributor { group, runtime: Some(runtime), .. } => {
                    self.contributors.insert(group, runtime);
                }
                Effect::SavedContributor { group, runtime: None, .. } => {
                    self.contributors.remove(&group);
                }
                Effect::RecordsSince(since) => self.since = since,
                Effect::SavedRecords { log, channel: Some(channel) } => {
                    self.logs.insert(*log, *channel);
                }
                Effect::SavedRecords { log, channel: None } => {
                    self.logs.remove(&*log);
                }
                Effect::Data(data) => self.data.extend(data),
                _ => {}
            }
        }
    }

    fn restored(&self) -> Watch {
        let mut watch = Watch::new("123456789012");
        if let Some(ticked) = self.ticked {
            watch.restore_clock(ticked);
        }
        watch.restore_records_since(self.since);
        for (log, channel) in &self.logs {
            let bytes = postcard::to_stdvec(&(log, channel)).unwrap();
            let (log, channel) = postcard::from_bytes(&bytes).unwrap();
            watch.restore_record_log(log, channel);
        }
        let alarm = alarm();
        let arn = alarm.arn.clone();
        watch.restore_alarm(alarm, self.runtime.clone().unwrap_or_else(|| Runtime::created(at(0))));
        for (group, runtime) in &self.contributors {
            watch.restore_contributor(&arn, group.clone(), runtime.clone());
        }
        watch.restore_data(&self.data);
        watch
    }
}

/// What is found and told, with its time.
fn told(effects: Vec<Effect>, second: i64, told: &mut Vec<(i64, String)>) {
    for effect in effects {
        match effect {
            Effect::Found(finding) => told.push((second, finding.to_string())),
            Effect::Transition(transition) => {
                let who = transition.contributor.map_or_else(String::new, |one| one.id);
                told.push((second, format!("{who} {:?} {:?}", transition.to, transition.value)));
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_stop_at_any_point_changes_nothing(
        records in prop::collection::vec((0..4_i64, any::<bool>(), 0..3_usize), 1..60),
        stops in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        tick_s in 60..400_i64,
    ) {
        let mut inputs: Vec<(i64, Option<RecordSpans>)> = Vec::new();
        for (id, (delay, lost, machine)) in (1_i64..).zip(&records) {
            if !lost {
                let spans = spans(["srv1", "srv2", "srv3"][*machine], [id]);
                inputs.push((id + delay * LATENESS_S / 3, Some(spans)));
            }
        }
        inputs.extend((0..3 * LATENESS_S).step_by(tick_s.cast_unsigned() as usize).map(|second| (second, None)));
        inputs.sort_by_key(|(second, _)| *second);
        let stops: Vec<usize> = stops.iter().map(|stop| stop.index(inputs.len())).collect();

        let mut straight = watching();
        let mut stopped = Watch::new("123456789012");
        let mut kept = Kept { ticked: Some(at(0)), ..Kept::default() };
        kept.keep(&stopped.step(at(0), Input::PutAlarm { alarm: alarm(), history: Vec::new() }));
        kept.keep(&stopped.step(at(0), Input::Tick));
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        for (index, (second, spans)) in inputs.into_iter().enumerate() {
            if stops.contains(&index) {
                stopped = kept.restored();
            }
            let since = straight.follows_records().expect("somebody asks");
            let input = match spans {
                Some(spans) => Input::Records { since, spans },
                None => Input::Tick,
            };
            if matches!(input, Input::Tick) {
                kept.ticked = Some(at(second));
            }
            told(straight.step(at(second), input.clone()), second, &mut expected);
            let effects = stopped.step(at(second), input);
            kept.keep(&effects);
            told(effects, second, &mut got);
        }
        prop_assert_eq!(got, expected);
    }
}
