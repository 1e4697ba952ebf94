/*!
The event that an alarm's action hands to a function ("Invoke a Lambda function from an alarm", Amazon CloudWatch User Guide).

Keys and their order are the service's; that a contributor stands in `alarmContributor` is *assumed*. Who is handed it is not known here.
*/

use std::collections::BTreeMap;

use nightbell_core::alarm::composite::CompositeTransition;
use nightbell_core::alarm::{Measure, MetricAlarm, State, Transition};
use nightbell_core::math::{MetricQuery, MetricStat, Queried};
use nightbell_core::time::Timestamp;
use serde::Serialize;

use super::metrics::ENTRIES_LISTED_MAX;

/// What an alarm was in before, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// When it entered that state.
    pub since: Option<Timestamp>,
    /// `StateReasonData` of that state, a JSON document.
    pub reason_data: Option<String>,
}

/// The event of a metric alarm, as JSON.
pub fn alarm_event(transition: &Transition, before: &Before) -> String {
    let alarm = &transition.alarm;
    let contributor = transition.contributor.as_ref().map(|one| Contributor {
        id: &one.id,
        attributes: one.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
    });
    let event = Event {
        source: SOURCE,
        alarm_arn: &alarm.arn,
        account_id: &transition.account,
        time: transition.at.alarm_text(),
        region: &alarm.region,
        alarm_data: AlarmData {
            alarm_name: &alarm.name,
            alarm_contributor: contributor,
            state: Standing {
                value: transition.to.name(),
                reason: &transition.reason,
                reason_data: Some(&transition.reason_data)
                    .filter(|text| !text.is_empty())
                    .map(String::as_str),
                timestamp: Some(transition.at.alarm_text()),
                actions_suppressed_by: None,
            },
            previous_state: before.standing(transition.from, &transition.old_reason),
            configuration: Configuration::Metric {
                description: alarm.description.as_deref(),
                metrics: metrics(alarm),
            },
        },
    };
    serde_json::to_string(&event).expect("strings and numbers always become JSON")
}

/// The event of a composite alarm, as JSON.
pub fn composite_event(transition: &CompositeTransition, before: &Before) -> String {
    let CompositeTransition { alarm, change, .. } = transition;
    let suppressor = alarm.suppressor.as_ref();
    let event = Event {
        source: SOURCE,
        alarm_arn: &alarm.arn,
        account_id: &transition.account,
        time: change.at.alarm_text(),
        region: &alarm.region,
        alarm_data: AlarmData {
            alarm_name: &alarm.name,
            alarm_contributor: None,
            state: Standing {
                value: change.to.name(),
                reason: &change.reason,
                reason_data: change.reason_data.as_deref(),
                timestamp: Some(change.at.alarm_text()),
                actions_suppressed_by: transition.suppressed_by.map(|by| by.name()),
            },
            previous_state: before.standing(change.from, &change.old_reason),
            configuration: Configuration::Composite {
                description: alarm.description.as_deref(),
                alarm_rule: &alarm.rule,
                actions_suppressor: suppressor.map(|one| one.alarm_arn.as_str()),
                actions_suppressor_wait_period: suppressor.map(|one| one.wait_s),
                actions_suppressor_extension_period: suppressor.map(|one| one.extension_s),
            },
        },
    };
    serde_json::to_string(&event).expect("strings and numbers always become JSON")
}

const SOURCE: &str = "aws.cloudwatch";

impl Before {
    fn standing<'a>(&'a self, state: State, reason: &'a str) -> Standing<'a> {
        Standing {
            value: state.name(),
            reason,
            reason_data: self.reason_data.as_deref().filter(|text| !text.is_empty()),
            timestamp: self.since.map(Timestamp::alarm_text),
            actions_suppressed_by: None,
        }
    }
}

fn metrics(alarm: &MetricAlarm) -> Vec<Entry<'_>> {
    match &alarm.measure {
        Measure::Series(single) => {
            let dimensions = &single.series.dimensions;
            let stat = Stat {
                metric: Metric {
                    namespace: &single.series.namespace,
                    name: &single.series.name,
                    dimensions: dimensions
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str()))
                        .collect(),
                },
                period: alarm.period_s,
                stat: &single.statistic,
                unit: single.unit.as_deref(),
            };
            // The service names the one entry of such an alarm itself.
            vec![Entry { id: "m1", label: None, metric_stat: Some(stat), ..Entry::default() }]
        }
        Measure::Query(query) => vec![Entry {
            id: &query.id,
            label: query.label.as_deref(),
            expression: Some(&query.text),
            period: Some(alarm.period_s),
            ..Entry::default()
        }],
        Measure::Expression(list) => list.entries.iter().take(ENTRIES_LISTED_MAX).map(entry).collect(),
    }
}

fn entry(query: &MetricQuery) -> Entry<'_> {
    let (metric_stat, expression) = match &query.what {
        Queried::Stat(stat) => (Some(of_stat(stat)), None),
        Queried::Expression(expression) => (None, Some(expression.as_str())),
    };
    Entry {
        id: &query.id,
        label: query.label.as_deref(),
        metric_stat,
        expression,
        period: query.period_s,
        return_data: query.return_data,
    }
}

fn of_stat(stat: &MetricStat) -> Stat<'_> {
    let dimensions = stat.series.dimensions.iter();
    Stat {
        metric: Metric {
            namespace: &stat.series.namespace,
            name: &stat.series.name,
            dimensions: dimensions.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        },
        period: stat.period_s,
        stat: &stat.statistic,
        unit: stat.unit.as_deref(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    source: &'static str,
    alarm_arn: &'a str,
    account_id: &'a str,
    time: String,
    region: &'a str,
    alarm_data: AlarmData<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlarmData<'a> {
    alarm_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_contributor: Option<Contributor<'a>>,
    state: Standing<'a>,
    previous_state: Standing<'a>,
    configuration: Configuration<'a>,
}

#[derive(Serialize)]
struct Contributor<'a> {
    id: &'a str,
    attributes: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing<'a> {
    value: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressed_by: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Configuration<'a> {
    Metric {
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        metrics: Vec<Entry<'a>>,
    },
    Composite {
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        alarm_rule: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        actions_suppressor: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        actions_suppressor_wait_period: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        actions_suppressor_extension_period: Option<i64>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_stat: Option<Stat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<i64>,
    return_data: bool,
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Self { id: "", label: None, metric_stat: None, expression: None, period: None, return_data: true }
    }
}

#[derive(Serialize)]
struct Stat<'a> {
    metric: Metric<'a>,
    period: i64,
    stat: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
}

#[derive(Serialize)]
struct Metric<'a> {
    namespace: &'a str,
    name: &'a str,
    dimensions: BTreeMap<&'a str, &'a str>,
}

#[cfg(test)]
mod tests {
    use super::super::super::composite::tests::transition as composite;
    use super::*;
    use crate::message::tests::transition;

    #[test]
    fn the_event_of_a_metric_alarm_key_for_key() {
        let mut told = transition();
        told.alarm.description = Some("Denied \"twice\"".to_owned());
        told.reason_data = r#"{"version":"1.0"}"#.to_owned();
        told.reason = "Threshold Crossed".to_owned();
        told.old_reason = "Unchecked".to_owned();
        let before = Before { since: Some(Timestamp::from_seconds(0)), reason_data: None };
        assert_eq!(
            alarm_event(&told, &before),
            r#"{"source":"aws.cloudwatch","alarmArn":"arn:aws:cloudwatch:us-east-2:123456789012:alarm:AccessDenied","accountId":"123456789012","time":"2021-06-01T18:09:35.501+0000","region":"us-east-2","alarmData":{"alarmName":"AccessDenied","state":{"value":"ALARM","reason":"Threshold Crossed","reasonData":"{\"version\":\"1.0\"}","timestamp":"2021-06-01T18:09:35.501+0000"},"previousState":{"value":"OK","reason":"Unchecked","timestamp":"1970-01-01T00:00:00.000+0000"},"configuration":{"description":"Denied \"twice\"","metrics":[{"id":"m1","metricStat":{"metric":{"namespace":"folder/secret/4656","name":"4656","dimensions":{}},"period":60,"stat":"Sum"},"returnData":true}]}}}"#
        );
    }

    #[test]
    fn the_event_of_a_composite_alarm_has_its_rule() {
        let event: serde_json::Value =
            serde_json::from_str(&composite_event(&composite(), &Before::default())).unwrap();
        assert_eq!(event["alarmData"]["configuration"]["alarmRule"], "ALARM(denied) AND ALARM(logons)");
        assert_eq!(event["alarmData"]["previousState"]["value"], "OK");
        assert_eq!(event["alarmData"]["state"]["timestamp"], "2026-09-14T05:42:01.123+0000");
        assert!(event["alarmData"]["previousState"].get("timestamp").is_none());
    }
}
