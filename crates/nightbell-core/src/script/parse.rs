/*!
Reads the lines of a script. Knows the words, not what they do: running is the parent's.
*/

use std::collections::BTreeMap;

use super::{
    AT_SPAN_S, Arrival, Expectation, Expected, NAMESPACE, REGION, SCRIPT_ALARMS_MAX, SCRIPT_BYTES_MAX,
    SCRIPT_SPAN_MAX_S, Script, ScriptError, blank_alarm, series,
};
use crate::alarm::{Comparison, ExpressionMeasure, Measure, MetricAlarm, MissingData, QueryMeasure, State};
use crate::math::{MetricQuery, MetricStat, Queried};
use crate::metric::{Aggregate, Series};
use crate::time::Timestamp;

/// When scripts without a `start` line begin: 2026-01-01T00:00:00Z.
const DEFAULT_START: Timestamp = Timestamp::from_seconds(1_767_225_600);
/// Time a script runs on after its last line.
const TAIL_S: i64 = 60;

/// Reads a whole script.
pub(super) fn script(text: &str) -> Result<Script, ScriptError> {
    if text.len() > SCRIPT_BYTES_MAX {
        let message = format!("a script has at most {SCRIPT_BYTES_MAX} bytes");
        return Err(ScriptError { line: 1, message });
    }
    let mut script = Script {
        start: DEFAULT_START,
        alarms: Vec::new(),
        inputs: BTreeMap::new(),
        expectations: Vec::new(),
        end_s: 0,
    };
    for (i, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        let Some((verb, rest)) = words.split_first() else { continue };
        let line = i + 1;
        read_line(&mut script, line, verb, rest).map_err(|message| ScriptError { line, message })?;
    }
    Ok(script)
}

type Read<T> = Result<T, String>;

fn read_line(script: &mut Script, line: usize, verb: &str, words: &[&str]) -> Read<()> {
    match verb {
        "start" => {
            let [text] = words else { return Err("start TIME".to_owned()) };
            let instant: jiff::Timestamp = text.parse().map_err(|_| format!("no instant: {text}"))?;
            script.start = Timestamp::from_seconds(instant.as_second());
            Ok(())
        }
        "alarm" => read_alarm(script, words),
        "load" => read_load(script, words),
        "event" => read_event(script, words),
        "set" => {
            let [at, alarm, state] = words else { return Err("set TIME ALARM STATE".to_owned()) };
            let arrival = Arrival::Set { alarm: known(script, alarm)?, state: state_named(state)? };
            arrive(script, duration(at)?, arrival)
        }
        "at" => read_at(script, line, words),
        "reason" => {
            let Some(Expected::Transition { reason, .. }) =
                script.expectations.last_mut().map(|last| &mut last.what)
            else {
                return Err("reason follows the at line of a transition".to_owned());
            };
            *reason = Some(words.join(" "));
            Ok(())
        }
        "until" => {
            let [end] = words else { return Err("until TIME".to_owned()) };
            lasts(script, duration(end)?)
        }
        other => Err(format!("unknown word: {other}")),
    }
}

fn read_alarm(script: &mut Script, words: &[&str]) -> Read<()> {
    let (mut alarm, rest) = match (words, words.iter().position(|word| *word == "metrics")) {
        ([name, expression @ ..], Some(at)) => expression_alarm(name, expression, at - 1)?,
        ([name, measured, comparison, "band", width, rest @ ..], None) => {
            (band_alarm(name, measured, comparison, width)?, rest)
        }
        ([name, measured, comparison, threshold, rest @ ..], None) => {
            let (statistic, metric) = statistic_of(measured)?;
            let mut alarm = blank_alarm(name, metric, statistic);
            alarm.threshold = number(threshold)?;
            alarm.comparison = comparison_named(comparison)?;
            (alarm, rest)
        }
        _ => return Err("alarm NAME STATISTIC(METRIC) > NUMBER period TIME …".to_owned()),
    };
    let name = alarm.name.clone();
    alarm_options(&mut alarm, rest)?;
    if let Measure::Expression(measure) = &mut alarm.measure {
        for entry in &mut measure.entries {
            if let Queried::Stat(stat) = &mut entry.what {
                stat.period_s = alarm.period_s;
            }
        }
    }
    alarm.check().map_err(|error| error.to_string())?;
    if script.alarms.len() >= SCRIPT_ALARMS_MAX {
        return Err(format!("a script has at most {SCRIPT_ALARMS_MAX} alarms"));
    }
    if script.alarms.iter().any(|other| other.name == alarm.name) {
        return Err(format!("a second alarm {name}"));
    }
    script.alarms.push(alarm);
    Ok(())
}

/// `Sum(Metric)`.
fn statistic_of(measured: &str) -> Read<(&str, &str)> {
    let inside = measured.strip_suffix(')').and_then(|inside| inside.rsplit_once('('));
    inside.ok_or_else(|| format!("no STATISTIC(METRIC): {measured}"))
}

fn comparison_named(sign: &str) -> Read<Comparison> {
    match sign {
        ">" => Ok(Comparison::GreaterThanThreshold),
        ">=" => Ok(Comparison::GreaterThanOrEqualToThreshold),
        "<" => Ok(Comparison::LessThanThreshold),
        "<=" => Ok(Comparison::LessThanOrEqualToThreshold),
        other => Err(format!("no comparison: {other}")),
    }
}

/// `m1 + m2 > 5 metrics m1=Sum(A) m2=Sum(B) …`, where `at` is the place of `metrics`; with what comes after the metrics.
fn expression_alarm<'w>(name: &str, words: &'w [&'w str], at: usize) -> Read<(MetricAlarm, &'w [&'w str])> {
    let [expression @ .., comparison, threshold] = &words[..at] else {
        return Err("alarm NAME EXPRESSION > NUMBER metrics ID=STATISTIC(METRIC) …".to_owned());
    };
    let rest = &words[at + 1..];
    let metrics = rest.iter().take_while(|word| word.contains('=')).count();
    let mut entries = Vec::with_capacity(metrics + 1);
    for metric in &rest[..metrics] {
        let (id, measured) = metric.split_once('=').unwrap_or((metric, ""));
        entries.push(stat_entry(id, measured, false)?);
    }
    entries.push(expression_entry("e", expression.join(" ")));
    let mut alarm = blank_alarm(name, "", "Sum");
    alarm.measure = Measure::Expression(ExpressionMeasure { entries });
    alarm.comparison = comparison_named(comparison)?;
    alarm.threshold = number(threshold)?;
    Ok((alarm, &rest[metrics..]))
}

/// `Sum(Metric) > band 3`.
fn band_alarm(name: &str, measured: &str, comparison: &str, width: &str) -> Read<MetricAlarm> {
    let band = expression_entry("band", format!("ANOMALY_DETECTION_BAND(m1, {})", number(width)?));
    let entries = vec![stat_entry("m1", measured, true)?, band];
    let mut alarm = blank_alarm(name, "", "Sum");
    alarm.measure = Measure::Expression(ExpressionMeasure { entries });
    alarm.band = Some("band".to_owned());
    alarm.comparison = match comparison {
        ">" => Comparison::GreaterThanUpperThreshold,
        "<" => Comparison::LessThanLowerThreshold,
        "<>" => Comparison::LessThanLowerOrGreaterThanUpperThreshold,
        other => return Err(format!("no comparison with a band: {other}")),
    };
    Ok(alarm)
}

/// An entry that is a metric. Its period is the alarm's, which is read later.
fn stat_entry(id: &str, measured: &str, return_data: bool) -> Read<MetricQuery> {
    let (statistic, metric) = statistic_of(measured)?;
    let stat = MetricStat {
        series: series_named(metric)?,
        period_s: 60,
        statistic: statistic.to_owned(),
        unit: None,
    };
    Ok(entry(id, return_data, Queried::Stat(stat)))
}

fn expression_entry(id: &str, text: String) -> MetricQuery {
    entry(id, true, Queried::Expression(text))
}

fn entry(id: &str, return_data: bool, what: Queried) -> MetricQuery {
    MetricQuery { id: id.to_owned(), label: None, return_data, period_s: None, account_id: None, what }
}

fn alarm_options(alarm: &mut MetricAlarm, mut words: &[&str]) -> Read<()> {
    loop {
        words = match words {
            [] => return Ok(()),
            ["period", length, rest @ ..] => {
                alarm.period_s = duration(length)?;
                rest
            }
            ["periods", n, rest @ ..] => {
                alarm.evaluation_periods = count(n)?;
                rest
            }
            ["datapoints", m, "of", n, rest @ ..] => {
                alarm.datapoints_to_alarm = Some(count(m)?);
                alarm.evaluation_periods = count(n)?;
                rest
            }
            ["missing", treatment, rest @ ..] => {
                alarm.missing_data = match *treatment {
                    "breaching" => MissingData::Breaching,
                    "notBreaching" => MissingData::NotBreaching,
                    "ignore" => MissingData::Ignore,
                    "missing" => MissingData::Missing,
                    other => return Err(format!("no treatment of missing data: {other}")),
                };
                rest
            }
            ["unit", unit, rest @ ..] => {
                let Measure::Series(single) = &mut alarm.measure else {
                    return Err("unit before by".to_owned());
                };
                single.unit = Some((*unit).to_owned());
                rest
            }
            ["by", dimensions, rest @ ..] => {
                let text = query(alarm, dimensions)?;
                alarm.measure = Measure::Query(QueryMeasure { id: "q".to_owned(), label: None, text });
                rest
            }
            [other, ..] => return Err(format!("unknown word: {other}")),
        };
    }
}

/// The query that counts per value of `dimensions` what the alarm counts in all.
fn query(alarm: &MetricAlarm, dimensions: &str) -> Read<String> {
    let Some(single) = alarm.single() else { return Err("a second by".to_owned()) };
    let function = match single.statistic.as_str() {
        "Sum" => "SUM",
        "SampleCount" => "COUNT",
        "Average" => "AVG",
        "Minimum" => "MIN",
        "Maximum" => "MAX",
        "Distinct" => "COUNT_DISTINCT",
        other => return Err(format!("no statistic of a query: {other}")),
    };
    let groups = dimensions.replace(',', ", ");
    Ok(format!("SELECT {function}({}) FROM {NAMESPACE} GROUP BY {groups}", single.series.name))
}

/// `Metric`, or `Metric{Dimension=value,…}`.
fn series_named(text: &str) -> Read<Series> {
    let Some((name, rest)) = text.split_once('{') else { return Ok(series(text)) };
    let inside = rest.strip_suffix('}').ok_or_else(|| format!("no }} at the end: {text}"))?;
    let pair = |part: &str| part.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let dimensions: Option<Vec<(String, String)>> = inside.split(',').map(pair).collect();
    let dimensions = dimensions.ok_or_else(|| format!("no Dimension=value: {text}"))?;
    Ok(Series::new(REGION, NAMESPACE, name, dimensions))
}

fn read_load(script: &mut Script, words: &[&str]) -> Read<()> {
    let [step, metric, values @ ..] = words else { return Err("load STEP METRIC VALUES".to_owned()) };
    let step_s = duration(step)?;
    for (i, value) in values.iter().enumerate() {
        let at_s = step_s.saturating_mul(i as i64);
        lasts(script, at_s.saturating_add(step_s))?;
        if *value == "_" {
            continue;
        }
        let (times, value) = match value.split_once('x') {
            Some((times, value)) => (count(times)?, value),
            None => (1, *value),
        };
        samples(script, at_s, at_s, metric, times, number(value)?)?;
    }
    Ok(())
}

fn read_event(script: &mut Script, words: &[&str]) -> Read<()> {
    let [at, metric, rest @ ..] = words else { return Err("event TIME METRIC …".to_owned()) };
    let at_s = duration(at)?;
    let (mut arrives_s, mut times, mut value) = (at_s, 1, 1.0);
    let mut rest = rest;
    loop {
        rest = match rest {
            [] => break,
            ["arrives", arrives, rest @ ..] => {
                arrives_s = duration(arrives)?;
                rest
            }
            ["value", number_text, rest @ ..] => {
                value = number(number_text)?;
                rest
            }
            [word, rest @ ..] => {
                times = count(word.strip_prefix('x').ok_or_else(|| format!("unknown word: {word}"))?)?;
                rest
            }
        };
    }
    samples(script, at_s, arrives_s, metric, times, value)
}

fn read_at(script: &mut Script, line: usize, words: &[&str]) -> Read<()> {
    let (at, alarm, what) = match words {
        [at, alarm, "is", state] => (at, alarm, Expected::State(state_named(state)?)),
        [at, alarm, from, "->", to] => {
            let (from, to) = (state_named(from)?, state_named(to)?);
            (at, alarm, Expected::Transition { from, to, reason: None })
        }
        _ => return Err("at TIME ALARM STATE -> STATE, or at TIME ALARM is STATE".to_owned()),
    };
    let at_s = duration(at)?;
    lasts(script, at_s.saturating_add(AT_SPAN_S))?;
    let name = alarm.split_once('{').map_or(*alarm, |(name, _)| name);
    known(script, name)?;
    let (alarm, subject) = (name.to_owned(), (*alarm).to_owned());
    script.expectations.push(Expectation { line, at_s, alarm, subject, what });
    Ok(())
}

fn samples(
    script: &mut Script,
    second: i64,
    arrives_s: i64,
    metric: &str,
    times: u32,
    value: f64,
) -> Read<()> {
    let mut aggregate = Aggregate::default();
    aggregate.add(value, f64::from(times));
    arrive(script, arrives_s, Arrival::Samples { series: series_named(metric)?, second, aggregate })
}

fn arrive(script: &mut Script, second: i64, arrival: Arrival) -> Read<()> {
    lasts(script, second.saturating_add(TAIL_S))?;
    script.inputs.entry(second).or_default().push(arrival);
    Ok(())
}

/// Makes the script last at least until `end_s`.
fn lasts(script: &mut Script, end_s: i64) -> Read<()> {
    if end_s > SCRIPT_SPAN_MAX_S {
        return Err(format!("a script spans at most {SCRIPT_SPAN_MAX_S} seconds"));
    }
    script.end_s = script.end_s.max(end_s);
    Ok(())
}

fn known(script: &Script, alarm: &str) -> Read<String> {
    let found = script.alarms.iter().any(|known| known.name == alarm);
    if found { Ok(alarm.to_owned()) } else { Err(format!("no alarm of this name above: {alarm}")) }
}

fn state_named(name: &str) -> Read<State> {
    [State::Ok, State::Alarm, State::InsufficientData]
        .into_iter()
        .find(|state| state.name() == name)
        .ok_or_else(|| format!("no state: {name}"))
}

fn number(text: &str) -> Read<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| format!("no number: {text}"))
}

fn count(text: &str) -> Read<u32> {
    text.parse().map_err(|_| format!("no count: {text}"))
}

/// `58s`, `1m30s`, `2h`, `1d`; a leading `+` is allowed.
fn duration(text: &str) -> Read<i64> {
    let wrong = || format!("no time: {text}");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total_s: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let amount: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        let mut letters = rest[digits..].chars();
        let unit_s = match letters.next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        total_s =
            amount.checked_mul(unit_s).and_then(|part_s| total_s.checked_add(part_s)).ok_or_else(wrong)?;
        rest = letters.as_str();
    }
    if text.trim_start_matches('+').is_empty() { Err(wrong()) } else { Ok(total_s) }
}
