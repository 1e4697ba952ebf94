/*!
Alarm behaviour over time as plain text: what arrives, and what the alarms are to do.

The same engine that watches runs the script, so whoever writes alarms can test them. A script is lines; `#` starts a
comment:

```text
start 2026-09-14T05:40:00Z
alarm brute-force  Sum(FailedLogons) > 5  period 1m  datapoints 2 of 3  missing notBreaching
load 1m  FailedLogons  2 7 _ 8 _ _ _
event 7m58s FailedLogons x3 arrives 8m20s
set 9m   brute-force   ALARM
at 3m    brute-force   OK -> ALARM
reason   Threshold Crossed: …
alarm by-machine   Sum(FailedLogons) >= 5  period 5m  by Instance
event 9m FailedLogons{Instance=ws1} x5
alarm too-many     m1 / (m1 + m2) > 0.5  metrics m1=Sum(Failed) m2=Sum(Good)  period 1m
alarm unusual      Sum(FailedLogons) > band 3  period 1m
at 9m    by-machine{ws1} OK -> ALARM
at 5m    brute-force   is ALARM
until 20m
```

Times count from the start. `load` puts one sample of each value at the start of each step, `6x1` is six samples of 1,
`_` none. Alarms are made just before the start; what their first evaluation says is not listed. An `at` line speaks of
the ten seconds from its time on, because slots are judged a few seconds after they are complete; `is` speaks of their
end. An alarm over `metrics` has an expression in front of its comparison; `> band 3`, `< band 3` and `<> band 3` hold a
statistic against what is usual, three deviations wide. An alarm with one `->` line must have a line for each of its transitions; one with such a line for a contributor,
for those of all its contributors.
*/

use std::collections::{BTreeMap, BTreeSet};

use crate::alarm::{
    Comparison, Contributor, Measure, MetricAlarm, MissingData, SeriesMeasure, State, Transition,
};
use crate::evidence::Evidence;
use crate::metric::{Aggregate, Datum, Series};
use crate::time::{DAY_MS, SECOND_MS, Timestamp};
use crate::watch::{Effect, Input, Watch};

mod parse;

/// Bytes of a script.
pub const SCRIPT_BYTES_MAX: usize = 1 << 20;
/// Time a script may span.
pub const SCRIPT_SPAN_MAX_S: i64 = 8 * DAY_MS / SECOND_MS;
/// Alarms in one script.
pub const SCRIPT_ALARMS_MAX: usize = 100;
/// Seconds from the time of an `at` line that it speaks of.
pub const AT_SPAN_S: i64 = 10;

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// An expectation that was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The line that expected something else; `None` for a transition that no line expects.
    pub line: Option<usize>,
    /// What happened instead.
    pub message: String,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// All transitions after the start, in order.
    pub transitions: Vec<Transition>,
    /// What was expected and did not happen, or happened and was not expected.
    pub failures: Vec<Failure>,
}

/// A script, read and checked.
#[derive(Clone, Debug)]
pub struct Script {
    start: Timestamp,
    alarms: Vec<MetricAlarm>,
    /// Inputs by the second they arrive at, counted from the start.
    inputs: BTreeMap<i64, Vec<Arrival>>,
    expectations: Vec<Expectation>,
    end_s: i64,
}

#[derive(Clone, Debug)]
enum Arrival {
    Samples { series: Series, second: i64, aggregate: Aggregate },
    Set { alarm: String, state: State },
}

#[derive(Clone, Debug)]
struct Expectation {
    line: usize,
    at_s: i64,
    alarm: String,
    /// The alarm's name, or `name{value,…}` for one of its contributors.
    subject: String,
    what: Expected,
}

#[derive(Clone, Debug)]
enum Expected {
    State(State),
    Transition { from: State, to: State, reason: Option<String> },
}

/// The account, region and namespace that scripts play in.
const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";
const NAMESPACE: &str = "Script";

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The first line that cannot be read, or whose alarm breaks a limit.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        parse::script(text)
    }

    /// Runs the script and holds it against its expectations.
    pub fn run(&self) -> Outcome {
        let mut watch = Watch::new(ACCOUNT);
        for alarm in &self.alarms {
            watch.step(self.start, Input::PutAlarm { alarm: alarm.clone(), history: Vec::new() });
        }
        let mut transitions = Vec::new();
        let mut failures = Vec::new();
        for second in 0..=self.end_s {
            let now = self.start.plus_millis(second * SECOND_MS);
            for input in self.inputs_at(second) {
                transitions.extend(watch.step(now, input).into_iter().filter_map(into_transition));
            }
            transitions.extend(watch.step(now, Input::Tick).into_iter().filter_map(into_transition));
            self.check_states(second, &watch, &mut failures);
        }
        self.check_transitions(&transitions, &mut failures);
        failures.sort_by_key(|failure| failure.line.unwrap_or(usize::MAX));
        Outcome { transitions, failures }
    }

    fn inputs_at(&self, second: i64) -> Vec<Input> {
        let mut data = Vec::new();
        let mut inputs = Vec::new();
        for arrival in self.inputs.get(&second).into_iter().flatten() {
            match arrival {
                Arrival::Samples { series, second, aggregate } => data.push(Datum {
                    series: series.clone(),
                    second: self.start.second() + second,
                    unit: None,
                    aggregate: aggregate.clone(),
                    evidence: Evidence::default(),
                }),
                Arrival::Set { alarm, state } => inputs.push(Input::SetState {
                    arn: arn(alarm),
                    state: *state,
                    reason: "Set by the script".to_owned(),
                    reason_data: None,
                }),
            }
        }
        if !data.is_empty() {
            inputs.insert(0, Input::Data(data));
        }
        inputs
    }

    fn check_states(&self, second: i64, watch: &Watch, failures: &mut Vec<Failure>) {
        for expectation in self.expectations.iter().filter(|expected| expected.at_s + AT_SPAN_S - 1 == second)
        {
            let Expected::State(state) = expectation.what else { continue };
            let is = state_of(watch, expectation);
            if is != state.name() {
                let message = format!("{} is {is}, not {}", expectation.subject, state.name());
                failures.push(Failure { line: Some(expectation.line), message });
            }
        }
    }

    fn check_transitions(&self, transitions: &[Transition], failures: &mut Vec<Failure>) {
        for alarm in &self.alarms {
            let of_alarm = || self.expectations.iter().filter(|expected| expected.alarm == alarm.name);
            let moves = || of_alarm().filter(|expected| matches!(expected.what, Expected::Transition { .. }));
            let happened = transitions.iter().filter(|transition| transition.alarm.name == alarm.name);
            let expected_subjects = moves().map(|expected| expected.subject.clone());
            let subjects: BTreeSet<String> = happened.map(subject).chain(expected_subjects).collect();
            let any_contributor = moves().any(|expected| expected.subject != alarm.name);
            for subject in subjects {
                let listed = moves().any(|expected| expected.subject == subject)
                    || (subject != alarm.name && any_contributor);
                if listed {
                    self.check_subject(&subject, transitions, failures);
                }
            }
        }
    }

    /// Holds the transitions of one alarm or contributor against the lines that speak of it.
    fn check_subject(&self, of: &str, transitions: &[Transition], failures: &mut Vec<Failure>) {
        let mut happened = transitions.iter().filter(|transition| subject(transition) == of);
        let expected = self.expectations.iter().filter(|expected| expected.subject == of);
        let mut expected = expected.filter(|expected| matches!(expected.what, Expected::Transition { .. }));
        loop {
            let failure = match (expected.next(), happened.next()) {
                (None, None) => break,
                (Some(expectation), happened) => self.compare(expectation, happened),
                (None, Some(transition)) => {
                    Some(Failure { line: None, message: format!("unexpected: {}", self.told(transition)) })
                }
            };
            failures.extend(failure);
        }
    }

    fn compare(&self, expectation: &Expectation, happened: Option<&Transition>) -> Option<Failure> {
        let failure = |message| Some(Failure { line: Some(expectation.line), message });
        let Some(happened) = happened else {
            return failure(format!("{} has no further transition", expectation.subject));
        };
        let Expected::Transition { from, to, reason } = &expectation.what else { return None };
        let at_s = happened.at.since(self.start) / SECOND_MS;
        let in_time = (expectation.at_s..expectation.at_s + AT_SPAN_S).contains(&at_s);
        if (happened.from, happened.to) != (*from, *to) || !in_time {
            return failure(format!("instead: {}", self.told(happened)));
        }
        match reason {
            Some(reason) if *reason != happened.reason => {
                failure(format!("the reason is: {}", happened.reason))
            }
            _ => None,
        }
    }

    fn told(&self, transition: &Transition) -> String {
        let at_s = transition.at.since(self.start) / SECOND_MS;
        let (from, to) = (transition.from.name(), transition.to.name());
        format!("{} {from} -> {to} at {}m{}s", subject(transition), at_s / 60, at_s % 60)
    }
}

/// The alarm's name, or `name{value,…}` for one of its contributors.
fn subject(transition: &Transition) -> String {
    let name = &transition.alarm.name;
    transition.contributor.as_ref().map_or_else(|| name.clone(), |one| contributor_named(name, one))
}

fn contributor_named(alarm: &str, contributor: &Contributor) -> String {
    let values: Vec<&str> = contributor.attributes.iter().map(|(_, value)| value.as_str()).collect();
    format!("{alarm}{{{}}}", values.join(","))
}

/// A contributor that is not held is OK.
fn state_of(watch: &Watch, expectation: &Expectation) -> &'static str {
    let arn = arn(&expectation.alarm);
    if expectation.subject == expectation.alarm {
        return watch.alarm(&arn).map_or("gone", |(_, runtime)| runtime.state.name());
    }
    let named = |one: &Contributor| contributor_named(&expectation.alarm, one) == expectation.subject;
    let mut found = watch.contributors(&arn).filter(|(one, _)| named(one));
    found.next().map_or(State::Ok.name(), |(_, runtime)| runtime.state.name())
}

fn into_transition(effect: Effect) -> Option<Transition> {
    match effect {
        Effect::Transition(transition) => Some(*transition),
        _ => None,
    }
}

fn arn(alarm: &str) -> String {
    format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{alarm}")
}

fn series(metric: &str) -> Series {
    Series::new(REGION, NAMESPACE, metric, Vec::new())
}

/// An alarm with nothing but a name and a statistic of a metric.
fn blank_alarm(name: &str, metric: &str, statistic: &str) -> MetricAlarm {
    MetricAlarm {
        arn: arn(name),
        region: REGION.to_owned(),
        name: name.to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure: Measure::Series(SeriesMeasure {
            series: series(metric),
            unit: None,
            statistic: statistic.to_owned(),
        }),
        period_s: 60,
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold: 0.0,
        band: None,
        comparison: Comparison::GreaterThanThreshold,
        missing_data: MissingData::Missing,
        evaluate_low_sample_count_percentile: String::new(),
        updated: Timestamp::from_millis(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALARM: &str = "alarm a  Sum(M) > 5  period 1m  missing notBreaching\n";

    fn failures(lines: &str) -> Vec<Option<usize>> {
        let script = Script::parse(&format!("{ALARM}{lines}")).unwrap();
        script.run().failures.into_iter().map(|failure| failure.line).collect()
    }

    #[test]
    fn a_script_can_fail() {
        assert_eq!(
            failures("event 10s M x6\nat 10s a OK -> ALARM\nat 3m a ALARM -> OK\nat 20s a is ALARM"),
            [Some(4)]
        );
        assert_eq!(failures("event 10s M x6\nat 10s a OK -> ALARM\nat 4m a ALARM -> OK"), []);
        assert_eq!(failures("event 10s M x5\nat 10s a OK -> ALARM"), [Some(3)]);
        assert_eq!(failures("event 10s M x6\nat 10s a OK -> ALARM\nuntil 5m"), [None]);
        assert_eq!(failures("event 10s M x6\nat 10s a OK -> ALARM\nreason other"), [Some(3)]);
        assert_eq!(failures("event 10s M x6\nat 1m a is OK"), [Some(3)]);
        assert_eq!(failures("event 10s M x6\nat 1m a is ALARM"), []);
    }

    #[test]
    fn says_which_line_cannot_be_read() {
        let rows = [
            "hello",
            "start soon",
            "alarm b",
            "alarm b Sum > 5",
            "alarm b Sum(M) > many",
            "alarm b Sum(M) != 5",
            "alarm b Median(M) > 5",
            "alarm b Sum(M) > 5 period 15s",
            "alarm b Sum(M) > 5 datapoints 4 of 3",
            "alarm b Sum(M) > 5 missing sometimes",
            "alarm a Sum(M) > 5",
            "load 1m",
            "load 1m M x",
            "load 1m M 1x",
            "event 1y M",
            "event s M",
            "event + M",
            "event 99999999999999999999s M",
            "event 9d M",
            "event 1s M twice",
            "set 1m b OK",
            "set 1m a FINE",
            "at 1m a OK ALARM",
            "at 1m b is OK",
            "reason nothing to explain",
            "until",
        ];
        for line in rows {
            let error = Script::parse(&format!("{ALARM}# a comment\n\n{line}\n")).unwrap_err();
            assert_eq!(error.line, 4, "{line}: {error}");
        }
        assert!(Script::parse(&"#".repeat(SCRIPT_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn statistics_with_brackets_are_read() {
        assert!(Script::parse("alarm a TM(10%:90%)(Latency) > 5").is_ok());
    }
}
