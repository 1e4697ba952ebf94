use serde_json::Value;

use super::*;
use crate::alarm::{AlarmErrorKind, Comparison, MissingData};
use crate::anomaly::models::{Lecture, Lesson, MODELS_MAX, SAVE_EVERY_S};
use crate::anomaly::{AnomalyDetector, Model, Training, Watched};
use crate::math::Queried;
use crate::metric::Aggregate;
use crate::time::SECOND_MS;
use crate::watch::{Effect, Input, Watch};

/// A Monday, 00:00 UTC.
const BASE_S: i64 = 1_767_571_200;
const PERIOD_S: i64 = 300;
const DAY_S: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(BASE_S + second)
}

fn series(name: &str) -> Series {
    Series::new("us-east-1", "files", name, Vec::new())
}

fn datum(name: &str, second: i64, value: f64) -> Datum {
    let mut evidence = Evidence { events: 1, ..Evidence::default() };
    evidence.users.add(name);
    Datum {
        series: series(name),
        second: BASE_S + second,
        unit: None,
        aggregate: Aggregate::one(value),
        evidence,
    }
}

fn stat(id: &str, name: &str, return_data: bool) -> MetricQuery {
    let stat =
        MetricStat { series: series(name), period_s: PERIOD_S, statistic: "Sum".to_owned(), unit: None };
    entry(id, return_data, Queried::Stat(stat))
}

fn expression(id: &str, return_data: bool, text: &str) -> MetricQuery {
    entry(id, return_data, Queried::Expression(text.to_owned()))
}

fn entry(id: &str, return_data: bool, what: Queried) -> MetricQuery {
    MetricQuery { id: id.to_owned(), label: None, return_data, period_s: None, account_id: None, what }
}

fn alarm(entries: Vec<MetricQuery>) -> MetricAlarm {
    MetricAlarm {
        arn: "arn:aws:cloudwatch:us-east-1:123456789012:alarm:math".to_owned(),
        region: "us-east-1".to_owned(),
        name: "math".to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure: Measure::Expression(ExpressionMeasure { entries }),
        period_s: PERIOD_S,
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold: 5.0,
        band: None,
        comparison: Comparison::GreaterThanThreshold,
        missing_data: MissingData::Missing,
        evaluate_low_sample_count_percentile: String::new(),
        updated: at(0),
    }
}

fn banded(comparison: Comparison) -> MetricAlarm {
    let entries = vec![stat("m1", "Denied", true), expression("ad1", true, "ANOMALY_DETECTION_BAND(m1, 3)")];
    MetricAlarm { band: Some("ad1".to_owned()), threshold: 0.0, comparison, ..alarm(entries) }
}

fn key() -> ModelKey {
    models_of(&banded(Comparison::GreaterThanUpperThreshold)).expect("it is on a band")
}

/// Two weeks before the base: 10 and a little more, in each period.
fn lesson() -> Lesson {
    let value = |i: i64| 10.0 + (i % 3) as f64;
    let periods = 14 * DAY_S / PERIOD_S;
    let values = (0..periods).map(|i| (BASE_S - (periods - i) * PERIOD_S, value(i))).collect();
    Lesson { key: key(), values }
}

fn watching(alarm: &MetricAlarm, lessons: Vec<Lesson>) -> (Watch, Vec<Effect>) {
    let mut watch = Watch::new("123456789012");
    let mut effects = Vec::new();
    for lesson in lessons {
        effects.extend(watch.step(at(0), Input::Teach(lesson)));
    }
    effects.extend(watch.step(at(0), Input::PutAlarm { alarm: alarm.clone(), history: Vec::new() }));
    (watch, effects)
}

fn transitions(effects: Vec<Effect>) -> Vec<Transition> {
    let transition = |effect| match effect {
        Effect::Transition(transition) => Some(*transition),
        _ => None,
    };
    effects.into_iter().filter_map(transition).collect()
}

fn saved(effects: &[Effect]) -> Vec<(ModelKey, Option<Model>)> {
    let model = |effect: &Effect| match effect {
        Effect::SavedModel { key, model } => Some((*key.clone(), model.as_deref().cloned())),
        _ => None,
    };
    effects.iter().filter_map(model).collect()
}

/// Puts data in and ticks once, so long after that its period is complete.
fn judged(watch: &mut Watch, data: Vec<Datum>) -> Vec<Effect> {
    let newest = data.iter().map(|datum| datum.second).max().unwrap_or(BASE_S) - BASE_S;
    let end = newest.div_euclid(PERIOD_S) * PERIOD_S + PERIOD_S;
    let mut effects = watch.step(at(newest), Input::Data(data));
    effects.extend(watch.step(at(end + 10), Input::Tick));
    effects
}

#[test]
fn a_sum_of_metrics_crosses_a_line() {
    let alarm =
        alarm(vec![stat("m1", "A", false), stat("m2", "B", false), expression("e1", true, "m1 + m2")]);
    assert_eq!(alarm.check(), Ok(()));
    let (mut watch, _) = watching(&alarm, Vec::new());
    let arrived = watch.step(at(20), Input::Data(vec![datum("A", 10, 4.0), datum("B", 10, 4.0)]));
    assert_eq!(arrived, [], "an expression is judged by ticks only");
    let told = transitions(judged(&mut watch, vec![datum("A", 20, 1.0)]));
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!((told.from, told.to, told.value), (State::InsufficientData, State::Alarm, Some(9.0)));
    assert_eq!(
        told.reason,
        "Threshold Crossed: 1 datapoint [9.0 (05/01/26 00:00:00)] was greater than the threshold (5.0)."
    );
    let data: Value = serde_json::from_str(&told.reason_data).unwrap();
    assert_eq!((data.get("statistic"), data.get("unit")), (None, None));
    assert_eq!(data["recentDatapoints"], serde_json::json!([9.0]));
    assert_eq!(data["threshold"], 5.0);
    assert_eq!(data["evaluatedDatapoints"][0].get("sampleCount"), None);
    assert_eq!((told.evidence.events, told.evidence.users.count("A")), (3, 2));
    assert_eq!(told.curve.last().map(|point| point.value), Some(9.0));
    assert_eq!((&told.band, &told.usual), (&None, &None));
}

#[test]
fn a_series_that_two_entries_read_is_told_once() {
    let twice = MetricQuery {
        what: Queried::Stat(MetricStat {
            series: series("A"),
            period_s: PERIOD_S,
            statistic: "SampleCount".to_owned(),
            unit: None,
        }),
        ..stat("m2", "A", false)
    };
    let (mut watch, _) =
        watching(&alarm(vec![stat("m1", "A", false), twice, expression("e1", true, "m1 * m2")]), Vec::new());
    let told = transitions(judged(&mut watch, vec![datum("A", 10, 4.0), datum("A", 20, 4.0)]));
    assert_eq!((told[0].value, told[0].evidence.events), (Some(16.0), 2));
}

#[test]
fn a_value_outside_the_band_is_told_with_what_is_usual() {
    let alarm = banded(Comparison::LessThanLowerOrGreaterThanUpperThreshold);
    assert_eq!(alarm.check(), Ok(()));
    let (mut watch, effects) = watching(&alarm, vec![lesson()]);
    assert_eq!(saved(&effects).len(), 1, "a model that learned is saved at once");
    let usual = transitions(judged(&mut watch, vec![datum("Denied", 10, 11.0)]));
    assert_eq!((usual[0].to, usual[0].value), (State::Ok, Some(11.0)));
    assert!(usual[0].reason.contains("was not less than the lower thresholds ["), "{}", usual[0].reason);
    let told = transitions(judged(&mut watch, vec![datum("Denied", PERIOD_S + 10, 41.0)]));
    let [told] = &told[..] else { panic!("{told:?}") };
    let band = watch.model(&key()).unwrap().band(BASE_S + PERIOD_S, 3.0).unwrap();
    let (lower, upper) = (reason::double(band.lower), reason::double(band.upper));
    assert_eq!(
        told.reason,
        format!(
            "Thresholds Crossed: 1 out of the last 1 datapoints [41.0 (05/01/26 00:05:00)] was less than the lower \
             thresholds [{lower}] or greater than the upper thresholds [{upper}] (minimum 1 datapoint for OK -> ALARM \
             transition)."
        )
    );
    let data: Value = serde_json::from_str(&told.reason_data).unwrap();
    assert_eq!(data.get("threshold"), None);
    assert_eq!(data["recentUpperThresholds"], serde_json::json!([band.upper]));
    assert_eq!(data["recentLowerThresholds"], serde_json::json!([band.lower]));
    let usual = told.usual.as_deref().unwrap_or_default();
    assert!(usual.starts_with("usually 10–12 on ") && usual.ends_with(", now 41"), "{usual}");
    let bands = told.band.as_ref().unwrap();
    assert_eq!((bands.len(), told.curve.len()), (2, 2));
    assert_eq!(told.curve.iter().map(|point| point.value).collect::<Vec<_>>(), [11.0, 41.0]);
    assert_eq!(bands[1], (band.lower, band.upper));
}

/// A05 in time.
#[test]
fn a_value_without_a_band_is_missing_data() {
    let (mut watch, _) = watching(&banded(Comparison::GreaterThanUpperThreshold), Vec::new());
    let told = transitions(judged(&mut watch, vec![datum("Denied", 10, 1_000.0)]));
    assert_eq!(told, []);
    let (_, runtime) = watch.alarms().next().unwrap();
    assert_eq!(runtime.state, State::InsufficientData);
}

#[test]
fn a_model_stays_as_long_as_an_alarm_or_a_detector_needs_it() {
    let alarm = banded(Comparison::GreaterThanUpperThreshold);
    let put = Input::PutAlarm { alarm: alarm.clone(), history: Vec::new() };
    assert_eq!(Watch::new("123456789012").untaught(&put), [key()]);
    let (mut watch, _) = watching(&alarm, vec![lesson()]);
    assert_eq!(watch.untaught(&put), []);
    let known = watch.model(&key()).cloned();
    watch.step(at(1), put);
    assert_eq!(watch.model(&key()).cloned(), known, "an alarm that is put again keeps what was learned");
    let watched = key().watched();
    let detector = |timezone: Option<&str>| AnomalyDetector {
        watched: watched.clone(),
        excluded: Vec::new(),
        timezone: timezone.map(str::to_owned),
        periodic_spikes: false,
    };
    let put = |timezone| Input::PutDetector { detector: detector(timezone), past: Vec::new() };
    let own = ModelKey::of_detector(&watched);
    assert_eq!(watch.untaught(&put(None)), std::slice::from_ref(&own));
    assert_eq!(watch.untaught(&put(Some("Asia/Tokyo"))), [key(), own.clone()], "another zone begins anew");
    watch.step(at(2), put(None));
    assert!(watch.model(&own).is_some());
    assert_eq!(watch.model(&key()).cloned(), known);
    let gone = saved(&watch.step(at(3), Input::DeleteDetector { watched: watched.clone() }));
    assert!(gone.contains(&(own, None)), "{gone:?}");
    assert_eq!(watch.model(&key()).cloned(), known, "an alarm needs it");
    let gone = saved(&watch.step(at(4), Input::DeleteAlarm { arn: alarm.arn }));
    assert_eq!(gone, [(key(), None)]);
    assert_eq!(watch.model(&key()), None);
    assert!(!watch.is_watched(&series("Denied")));
}

#[test]
fn completed_periods_are_learned_and_late_data_again() {
    let (mut watch, _) = watching(&banded(Comparison::GreaterThanUpperThreshold), vec![lesson()]);
    let before = watch.model(&key()).cloned().unwrap();
    judged(&mut watch, vec![datum("Denied", PERIOD_S + 10, 10.0)]);
    let after = watch.model(&key()).cloned().unwrap();
    assert_eq!(after.newest(), Some(BASE_S + PERIOD_S));
    let mut expected = before;
    expected.learn(BASE_S + PERIOD_S, 10.0);
    assert_eq!(after, expected);
    // Two more come late: the period's value is now 12.
    watch.step(at(3 * PERIOD_S), Input::Data(vec![datum("Denied", PERIOD_S + 20, 2.0)]));
    watch.step(at(3 * PERIOD_S + 70), Input::Tick);
    expected.learn(BASE_S + PERIOD_S, 12.0);
    assert_eq!(watch.model(&key()), Some(&expected));
    assert_eq!(expected.state(at(PERIOD_S)), Training::Trained);
}

#[test]
fn a_model_is_saved_at_most_once_a_minute() {
    let (mut watch, _) = watching(&banded(Comparison::GreaterThanUpperThreshold), vec![lesson()]);
    let mut saves: Vec<i64> = Vec::new();
    for second in 1..=1_500 {
        let mut effects = watch.step(at(second), Input::Data(vec![datum("Denied", second - 1, 1.0)]));
        effects.extend(watch.step(at(second), Input::Tick));
        saves.extend(saved(&effects).iter().map(|_| second));
    }
    assert_eq!(saves.len(), 3, "once for each period that was wholly seen: {saves:?}");
    assert!(saves.windows(2).all(|pair| pair[1] - pair[0] >= SAVE_EVERY_S), "{saves:?}");
}

#[test]
fn a_restart_goes_on_from_saved_models_and_stored_data() {
    let alarm = banded(Comparison::GreaterThanUpperThreshold);
    let (mut running, mut effects) = watching(&alarm, vec![lesson()]);
    let mut stored = Vec::new();
    let mut stopped = None;
    for period in 1..=6 {
        let data = vec![datum("Denied", period * PERIOD_S + 10, 10.0 + period as f64)];
        stored.extend(data.clone());
        effects.extend(judged(&mut running, data));
        if period == 3 {
            stopped = saved(&effects).pop();
        }
    }
    let (saved_key, model) = stopped.unwrap();
    let now = at(7 * PERIOD_S + 10);
    let mut again = Watch::new("123456789012");
    again.restore_clock(now);
    let runtime = running.alarm(&alarm.arn).unwrap().1.clone();
    again.restore_alarm(alarm, runtime);
    again.restore_model(&saved_key, model.unwrap());
    let needs: Vec<(&Series, i64)> = again.models_need().collect();
    assert_eq!(needs, [(&series("Denied"), BASE_S + 3 * PERIOD_S)]);
    again.restore_data(&stored);
    for watch in [&mut running, &mut again] {
        watch.step(now.plus_millis(60 * SECOND_MS), Input::Tick);
    }
    assert_eq!(again.model(&key()), running.model(&key()));
}

/// An alarm on the band of the share of failures, in percent.
fn banded_share() -> MetricAlarm {
    let entries = vec![
        stat("m1", "Failed", false),
        stat("m2", "All", false),
        expression("e1", true, "100 * m1 / m2"),
        expression("ad1", true, "ANOMALY_DETECTION_BAND(e1, 3)"),
    ];
    let comparison = Comparison::GreaterThanUpperThreshold;
    MetricAlarm { band: Some("ad1".to_owned()), threshold: 0.0, comparison, ..alarm(entries) }
}

fn share(period: i64, failed: f64) -> Vec<Datum> {
    vec![datum("Failed", period * PERIOD_S + 10, failed), datum("All", period * PERIOD_S + 20, 200.0)]
}

#[test]
fn the_band_of_an_expression_is_learned_and_held_against() {
    let alarm = banded_share();
    assert_eq!(alarm.check(), Ok(()));
    let key = models_of(&alarm).unwrap();
    assert_eq!(key.watched().series().count(), 2);
    // The past as it is stored: 10 to 12 percent for two weeks.
    let mut lecture = Lecture::new(key.clone());
    assert_eq!(lecture.series(), [series("All"), series("Failed")].into());
    let past = -14 * DAY_S / PERIOD_S..0;
    for name in ["All", "Failed"] {
        let data = past.clone().flat_map(|i| share(i, 20.0 + (i.rem_euclid(3) * 2) as f64));
        data.filter(|datum| datum.series.name == name).for_each(|datum| lecture.take(&datum, 1));
    }
    let lesson = lecture.finish();
    assert_eq!(lesson.values.len(), past.clone().count());
    assert_eq!(lesson.values[0].1, 10.0 + past.start.rem_euclid(3) as f64);

    let (mut watch, effects) = watching(&alarm, vec![lesson]);
    assert_eq!(saved(&effects).len(), 1);
    // Many failures of many attempts are usual, half as many of a tenth are not.
    let told = transitions(judged(&mut watch, share(0, 22.0)));
    assert_eq!((told[0].to, told[0].value), (State::Ok, Some(11.0)));
    let few = vec![datum("Failed", PERIOD_S + 10, 11.0), datum("All", PERIOD_S + 20, 20.0)];
    let told = transitions(judged(&mut watch, few));
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!((told.to, told.value), (State::Alarm, Some(55.0)));
    assert!(
        told.reason.starts_with("Thresholds Crossed: 1 out of the last 1 datapoints [55.0 ("),
        "{}",
        told.reason
    );
    let usual = told.usual.as_deref().unwrap_or_default();
    assert!(usual.starts_with("usually 10–12 on ") && usual.ends_with(", now 55"), "{usual}");
    assert_eq!(told.band.as_ref().map(Vec::len), Some(2));

    let deleted = saved(&watch.step(at(3 * PERIOD_S), Input::DeleteAlarm { arn: alarm.arn }));
    assert_eq!(deleted, [(key, None)]);
    assert!(!watch.is_watched(&series("Failed")) && !watch.is_watched(&series("All")));
}

#[test]
fn what_an_expression_comes_to_is_learned_again_when_data_is_late_and_the_same_after_a_restart() {
    let alarm = banded_share();
    let key = models_of(&alarm).unwrap();
    let (mut running, mut effects) = watching(&alarm, Vec::new());
    let mut stored = Vec::new();
    let mut expected = Model::new(&models_detector(&key), PERIOD_S);
    let mut stopped = None;
    for period in 1..=6 {
        let data = share(period, 20.0 + 2.0 * period as f64);
        stored.extend(data.clone());
        effects.extend(judged(&mut running, data));
        expected.learn(BASE_S + period * PERIOD_S, 10.0 + period as f64);
        if period == 3 {
            stopped = saved(&effects).pop();
        }
    }
    assert_eq!(running.model(&key), Some(&expected));
    // Eight failures of the fifth period come late: 38 of 200.
    let late = vec![datum("Failed", 5 * PERIOD_S + 30, 8.0)];
    stored.extend(late.clone());
    running.step(at(7 * PERIOD_S + 20), Input::Data(late));
    let now = at(7 * PERIOD_S + 20);

    let (saved_key, model) = stopped.unwrap();
    assert_eq!(saved_key, key);
    let mut again = Watch::new("123456789012");
    again.restore_clock(now);
    let runtime = running.alarm(&alarm.arn).unwrap().1.clone();
    again.restore_alarm(alarm, runtime);
    again.restore_model(&saved_key, model.unwrap());
    let from = BASE_S + 2 * PERIOD_S;
    assert_eq!(
        again.models_need().collect::<Vec<_>>(),
        [(&series("Failed"), from), (&series("All"), from)],
        "one period more, for an expression may look back"
    );
    again.restore_data(&stored);
    for watch in [&mut running, &mut again] {
        watch.step(now.plus_millis(60 * SECOND_MS), Input::Tick);
    }
    expected.learn(BASE_S + 5 * PERIOD_S, 19.0);
    assert_eq!(running.model(&key), Some(&expected));
    assert_eq!(again.model(&key), Some(&expected));
}

#[test]
fn an_expression_that_looks_back_or_fills_gaps_is_learned_as_it_is_judged() {
    let entries = |text: &str| {
        let mut entries = banded_share().measure;
        let Measure::Expression(measure) = &mut entries else { unreachable!() };
        measure.entries[2] = expression("e1", true, text);
        MetricAlarm { measure: entries, ..banded_share() }
    };
    for (text, values) in [
        ("DIFF(m1)", &[(2, 5.0), (3, -2.0)][..]),
        ("FILL(m1, 0) + FILL(m2, 0)", &[(1, 1.0), (2, 6.0), (3, 4.0), (4, 0.0), (5, 0.0)]),
    ] {
        let alarm = entries(text);
        assert_eq!(alarm.check(), Ok(()));
        let key = models_of(&alarm).unwrap();
        let (mut watch, _) = watching(&alarm, Vec::new());
        for (period, value) in [(1, 1.0), (2, 6.0), (3, 4.0)] {
            judged(&mut watch, vec![datum("Failed", period * PERIOD_S + 10, value)]);
        }
        watch.step(at(6 * PERIOD_S + 10), Input::Tick);
        let mut expected = Model::new(&models_detector(&key), PERIOD_S);
        for (period, value) in values {
            expected.learn(BASE_S + period * PERIOD_S, *value);
        }
        assert_eq!(watch.model(&key), Some(&expected), "{text}");
    }
}

#[test]
fn there_is_a_limit_to_models() {
    let mut models = Models::default();
    for i in 0..=MODELS_MAX {
        let watched = Watched::Metric { series: series(&i.to_string()), statistic: "Sum".to_owned() };
        models.require(at(0), &ModelKey { watched, ..key() });
    }
    assert!(models.has(&key()), "nobody reads the past for a model that there is no room for");
    models.teach(at(0), &lesson());
    assert!(models.model(&key()).is_none());
    assert_eq!(models.changes(at(0)).len(), MODELS_MAX);
}

#[test]
fn a_model_is_of_a_unit_where_its_metric_names_one() {
    let key = ModelKey { unit: Some("Bytes".to_owned()), ..key() };
    let mut models = Models::default();
    models.require(at(-PERIOD_S), &key);
    models.take(at(1), &Datum { unit: Some("Bytes".to_owned()), ..datum("Denied", 1, 7.0) });
    models.take(at(1), &datum("Denied", 1, 100.0));
    models.tick(at(PERIOD_S + 10));
    let mut expected = Model::new(&models_detector(&key), PERIOD_S);
    expected.learn(BASE_S, 7.0);
    assert_eq!(models.model(&key), Some(&expected));
}

fn models_detector(key: &ModelKey) -> AnomalyDetector {
    AnomalyDetector { watched: key.watched(), excluded: Vec::new(), timezone: None, periodic_spikes: false }
}

#[test]
fn refuses_what_cannot_be_judged() {
    use AlarmErrorKind::{Combination, Form, Value};
    let up = Comparison::GreaterThanUpperThreshold;
    let band =
        |entries| MetricAlarm { measure: Measure::Expression(ExpressionMeasure { entries }), ..banded(up) };
    let ad = |text: &str| expression("ad1", true, text);
    let select = expression("q1", false, "SELECT SUM(A) FROM files GROUP BY Folder");
    let rows = [
        (alarm(Vec::new()), "Metrics", Form),
        (alarm(vec![stat("m1", "A", true), stat("m2", "B", true)]), "Metrics", Form),
        (alarm(vec![stat("m1", "A", false), expression("e1", true, "AVG(m1)")]), "Metrics", Form),
        (alarm(vec![stat("m1", "A", false), expression("e1", true, "m1 + m9")]), "Metrics", Form),
        (alarm(vec![stat("m1", "A", true), select]), "Metrics", Value),
        (MetricAlarm { period_s: 60, ..alarm(vec![stat("m1", "A", true)]) }, "Metrics", Value),
        (
            MetricAlarm { comparison: up, ..alarm(vec![stat("m1", "A", true)]) },
            "ComparisonOperator",
            Combination,
        ),
        (banded(Comparison::GreaterThanThreshold), "ComparisonOperator", Combination),
        (MetricAlarm { threshold: 5.0, ..banded(up) }, "Threshold", Combination),
        (MetricAlarm { band: Some("m1".to_owned()), ..banded(up) }, "Metrics", Form),
        (band(vec![stat("m1", "A", false), ad("ANOMALY_DETECTION_BAND(m1)")]), "Metrics", Form),
        (
            band(vec![stat("m1", "A", false), stat("m2", "B", true), ad("ANOMALY_DETECTION_BAND(m1)")]),
            "Metrics",
            Value,
        ),
    ];
    for (alarm, field, kind) in rows {
        let error = alarm.check().unwrap_err();
        assert_eq!((error.field, error.kind), (field, kind), "{error}");
    }
}
