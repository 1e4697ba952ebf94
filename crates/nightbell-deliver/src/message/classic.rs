/*!
The texts that programs and filters written for the Amazon services already read: the notification's JSON, its subject
and the mail's plain text, key for key and column for column.

Written after the observed behaviour of CloudWatch alarms; the opening sentence names our product. Knows nothing of
mail: the text is one string.
*/

use std::collections::BTreeMap;

use serde::Serialize;

use nightbell_core::alarm::{
    Comparison, Measure, MetricAlarm, MissingData, SeriesMeasure, State, Transition, reason,
};

use super::text;

pub use composite::{composite_json, composite_subject};
pub use event::{Before, alarm_event, composite_event};

pub(crate) use composite::composite_text;

mod composite;
mod event;
mod metrics;

/// Characters of a classic subject.
pub const CLASSIC_SUBJECT_CHARS_MAX: usize = 100;
/// Characters of a reason, description or name in the classic text.
pub(crate) const CLASSIC_VALUE_CHARS_MAX: usize = 1_024;
/// Action ARNs listed per state; the service allows five.
pub(crate) const ACTIONS_MAX: usize = 10;
/// Dimensions listed; the service allows thirty.
pub(crate) const DIMENSIONS_MAX: usize = 30;

/// The notification as JSON, keys in the service's order: what a channel for programs carries and what alarm history
/// keeps as `publishedMessage`.
pub fn alarm_json(transition: &Transition) -> String {
    let alarm = &transition.alarm;
    let notification = Notification {
        alarm_name: &alarm.name,
        alarm_description: alarm.description.as_deref(),
        account: &transition.account,
        configuration_updated: alarm.updated.alarm_text(),
        new_state_value: transition.to.name(),
        new_state_reason: &transition.reason,
        state_change_time: transition.at.alarm_text(),
        region: region_name(&alarm.region),
        alarm_arn: &alarm.arn,
        old_state_value: transition.from.name(),
        after_mute_window: transition.after_mute,
        ok_actions: &alarm.ok_actions,
        alarm_actions: &alarm.alarm_actions,
        insufficient_data_actions: &alarm.insufficient_data_actions,
        contributor_id: transition.contributor.as_ref().map(|one| one.id.as_str()),
        contributor_attributes: transition
            .contributor
            .as_ref()
            .map(|one| one.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()),
        trigger: trigger(alarm),
    };
    serde_json::to_string(&notification).expect("strings and numbers always become JSON")
}

fn trigger(alarm: &MetricAlarm) -> Trigger<'_> {
    let (measured, metrics) = match &alarm.measure {
        Measure::Series(single) => (Some(measured(single)), None),
        Measure::Query(query) => (None, Some(vec![metrics::of_query(query, alarm.period_s)])),
        Measure::Expression(list) => (None, Some(metrics::of_list(list, alarm.period_s))),
    };
    Trigger {
        measured,
        period: alarm.period_s,
        evaluation_periods: alarm.evaluation_periods,
        datapoints_to_alarm: alarm.datapoints_to_alarm,
        comparison: alarm.comparison,
        threshold: alarm.band.is_none().then_some(alarm.threshold),
        band: alarm.band.as_deref(),
        missing_data: alarm.missing_data,
        low_sample_percentile: &alarm.evaluate_low_sample_count_percentile,
        metrics,
    }
}

fn measured(single: &SeriesMeasure) -> Measured<'_> {
    let statistic = single.statistic.as_str();
    let extended = !matches!(statistic, "Sum" | "SampleCount" | "Average" | "Minimum" | "Maximum");
    let dimensions = single.series.dimensions.iter();
    Measured {
        metric_name: &single.series.name,
        namespace: &single.series.namespace,
        statistic_type: if extended { "ExtendedStatistic" } else { "Statistic" },
        statistic: (!extended).then(|| statistic_name(statistic)),
        extended_statistic: extended.then_some(statistic),
        unit: single.unit.as_deref(),
        dimensions: dimensions.map(|(name, value)| Dimension { value, name }).collect(),
    }
}

#[derive(Serialize)]
struct Notification<'a> {
    #[serde(rename = "AlarmName")]
    alarm_name: &'a str,
    #[serde(rename = "AlarmDescription")]
    alarm_description: Option<&'a str>,
    #[serde(rename = "AWSAccountId")]
    account: &'a str,
    #[serde(rename = "AlarmConfigurationUpdatedTimestamp")]
    configuration_updated: String,
    #[serde(rename = "NewStateValue")]
    new_state_value: &'a str,
    #[serde(rename = "NewStateReason")]
    new_state_reason: &'a str,
    #[serde(rename = "StateChangeTime")]
    state_change_time: String,
    #[serde(rename = "Region")]
    region: &'a str,
    #[serde(rename = "AlarmArn")]
    alarm_arn: &'a str,
    #[serde(rename = "OldStateValue")]
    old_state_value: &'a str,
    #[serde(rename = "ActionExecutedAfterMuteWindow")]
    after_mute_window: bool,
    #[serde(rename = "OKActions")]
    ok_actions: &'a [String],
    #[serde(rename = "AlarmActions")]
    alarm_actions: &'a [String],
    #[serde(rename = "InsufficientDataActions")]
    insufficient_data_actions: &'a [String],
    #[serde(rename = "AlarmContributorId", skip_serializing_if = "Option::is_none")]
    contributor_id: Option<&'a str>,
    #[serde(rename = "AlarmContributorAttributes", skip_serializing_if = "Option::is_none")]
    contributor_attributes: Option<BTreeMap<&'a str, &'a str>>,
    #[serde(rename = "Trigger")]
    trigger: Trigger<'a>,
}

/// What one series' statistic is said to be.
#[derive(Serialize)]
struct Measured<'a> {
    #[serde(rename = "MetricName")]
    metric_name: &'a str,
    #[serde(rename = "Namespace")]
    namespace: &'a str,
    #[serde(rename = "StatisticType")]
    statistic_type: &'a str,
    #[serde(rename = "Statistic", skip_serializing_if = "Option::is_none")]
    statistic: Option<&'a str>,
    #[serde(rename = "ExtendedStatistic", skip_serializing_if = "Option::is_none")]
    extended_statistic: Option<&'a str>,
    #[serde(rename = "Unit")]
    unit: Option<&'a str>,
    #[serde(rename = "Dimensions")]
    dimensions: Vec<Dimension<'a>>,
}

#[derive(Serialize)]
struct Trigger<'a> {
    #[serde(flatten)]
    measured: Option<Measured<'a>>,
    #[serde(rename = "Period")]
    period: i64,
    #[serde(rename = "EvaluationPeriods")]
    evaluation_periods: u32,
    #[serde(rename = "DatapointsToAlarm", skip_serializing_if = "Option::is_none")]
    datapoints_to_alarm: Option<u32>,
    #[serde(rename = "ComparisonOperator")]
    comparison: Comparison,
    #[serde(rename = "Threshold", skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(rename = "ThresholdMetricId", skip_serializing_if = "Option::is_none")]
    band: Option<&'a str>,
    #[serde(rename = "TreatMissingData")]
    missing_data: MissingData,
    #[serde(rename = "EvaluateLowSampleCountPercentile")]
    low_sample_percentile: &'a str,
    #[serde(rename = "Metrics", skip_serializing_if = "Option::is_none")]
    metrics: Option<Vec<metrics::Entry<'a>>>,
}

#[derive(Serialize)]
struct Dimension<'a> {
    value: &'a str,
    name: &'a str,
}

/// The trigger's spelling of a plain statistic.
fn statistic_name(statistic: &str) -> &'static str {
    match statistic {
        "SampleCount" => "SAMPLE_COUNT",
        "Average" => "AVERAGE",
        "Minimum" => "MINIMUM",
        "Maximum" => "MAXIMUM",
        _ => "SUM",
    }
}

/// The notification's subject: `ALARM: "name" in US East (Ohio)`, printable ASCII, at most
/// [`CLASSIC_SUBJECT_CHARS_MAX`] characters. A long name is cut and ends in `...`.
pub fn alarm_subject(transition: &Transition) -> String {
    subject(transition.to, &transition.alarm.name, &transition.alarm.region)
}

fn subject(to: State, name: &str, region: &str) -> String {
    let name = ascii(name);
    let head = format!("{}: \"", to.name());
    let tail = format!("\" in {}", ascii(region_name(region)));
    let room = CLASSIC_SUBJECT_CHARS_MAX.saturating_sub(head.len() + tail.len());
    let mut subject = if name.len() <= room {
        format!("{head}{name}{tail}")
    } else {
        format!("{head}{}...{tail}", &name[..room.saturating_sub(3)])
    };
    subject.truncate(CLASSIC_SUBJECT_CHARS_MAX);
    subject
}

/// Each run of characters other than printable ASCII becomes one `_`.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(CLASSIC_VALUE_CHARS_MAX));
    let mut in_run = false;
    for c in text.chars().take(CLASSIC_VALUE_CHARS_MAX) {
        let printable = c == ' ' || c.is_ascii_graphic();
        if printable {
            out.push(c);
        } else if !in_run {
            out.push('_');
        }
        in_run = !printable;
    }
    out
}

/// How people call a region: `US East (Ohio)` for `us-east-2`. A name that is not in the list is its own.
pub fn region_name(code: &str) -> &str {
    match code {
        "us-east-1" => "US East (N. Virginia)",
        "us-east-2" => "US East (Ohio)",
        "us-west-1" => "US West (N. California)",
        "us-west-2" => "US West (Oregon)",
        "eu-west-1" => "EU (Ireland)",
        "eu-west-2" => "EU (London)",
        "eu-central-1" => "EU (Frankfurt)",
        "ap-southeast-1" => "Asia Pacific (Singapore)",
        "ap-southeast-2" => "Asia Pacific (Sydney)",
        "ap-northeast-1" => "Asia Pacific (Tokyo)",
        "ap-south-1" => "Asia Pacific (Mumbai)",
        "sa-east-1" => "South America (Sao Paulo)",
        "ca-central-1" => "Canada (Central)",
        _ => code,
    }
}

/// The classic mail text. `alarm_url` is where the alarm can be looked at; without one that paragraph is left out.
pub(crate) fn alarm_text(transition: &Transition, alarm_url: Option<&str>) -> String {
    let alarm = &transition.alarm;
    let name = value(&alarm.name);
    let reason = value(&transition.reason);
    let region = value(region_name(&alarm.region));
    let (to, at) = (transition.to.name(), transition.at.long_text());
    let mut out = format!(
        "You are receiving this email because your Nightbell alarm \"{name}\" in the {region} region has entered the \
         {to} state, because \"{reason}\" at \"{at}\".\n\n"
    );
    if let Some(url) = alarm_url {
        out += &format!("View this alarm in the Nightbell console:\n{url}\n\n");
    }
    out += "Alarm Details:\n";
    let mut detail = |label: &str, text: &str| out += &format!("- {label:<28}{text}\n");
    detail("Name:", &name);
    detail("Description:", &value(alarm.description.as_deref().unwrap_or_default()));
    detail("State Change:", &format!("{} -> {to}", transition.from.name()));
    detail("Reason for State Change:", &reason);
    detail("Timestamp:", &at);
    detail("AWS Account:", &value(&transition.account));
    detail("Alarm Arn:", &value(&alarm.arn));
    out += &threshold_text(alarm);
    out += &metric_text(alarm);
    out += &actions_text(&alarm.ok_actions, &alarm.alarm_actions, &alarm.insufficient_data_actions);
    out
}

fn actions_text(ok: &[String], alarm: &[String], insufficient_data: &[String]) -> String {
    let mut out = "\n\nState Change Actions:\n".to_owned();
    for (state, actions) in
        [(State::Ok, ok), (State::Alarm, alarm), (State::InsufficientData, insufficient_data)]
    {
        let listed: Vec<String> =
            actions.iter().take(ACTIONS_MAX).map(|arn| format!("[{}]", value(arn))).collect();
        out += &format!("- {}: {}\n", state.name(), listed.join(" "));
    }
    out
}

fn threshold_text(alarm: &MetricAlarm) -> String {
    let threshold = alarm.band.as_deref().map_or_else(|| reason::double(alarm.threshold), value);
    format!(
        "\nThreshold:\n- The alarm is in the ALARM state when the metric is {:?} {threshold} for at least {} of the \
         last {} period(s) of {} seconds. \n",
        alarm.comparison,
        alarm.datapoints_to_alarm.unwrap_or(alarm.evaluation_periods),
        alarm.evaluation_periods,
        alarm.period_s,
    )
}

fn metric_text(alarm: &MetricAlarm) -> String {
    match &alarm.measure {
        Measure::Series(single) => series_text(alarm, single),
        Measure::Query(query) => {
            let label = value(query.label.as_deref().unwrap_or(&query.id));
            let mut out = "\nMonitored Metrics:\n".to_owned();
            out += &format!("- {:<28}{}\n", "MetricExpression:", value(&query.text));
            out += &format!("- {:<28}{label}\n", "MetricLabel:");
            out
        }
        Measure::Expression(list) => metrics::text(list),
    }
}

fn series_text(alarm: &MetricAlarm, single: &SeriesMeasure) -> String {
    let dimensions: Vec<String> = single
        .series
        .dimensions
        .iter()
        .take(DIMENSIONS_MAX)
        .map(|(name, text)| format!("[{} = {}]", value(name), value(text)))
        .collect();
    let missing_data = serde_json::to_value(alarm.missing_data).expect("a unit variant becomes a string");
    let mut out = "\nMonitored Metric:\n".to_owned();
    let mut metric = |label: &str, text: &str| out += &format!("- {label:<37}{text}\n");
    metric("MetricNamespace:", &value(&single.series.namespace));
    metric("MetricName:", &value(&single.series.name));
    if dimensions.is_empty() {
        out += "- Dimensions: \n";
    }
    let mut metric = |label: &str, text: &str| out += &format!("- {label:<37}{text}\n");
    if !dimensions.is_empty() {
        metric("Dimensions:", &dimensions.join(", "));
    }
    metric("Period:", &format!("{} seconds", alarm.period_s));
    metric("Statistic:", &value(&single.statistic));
    metric("Unit:", &value(single.unit.as_deref().unwrap_or("not specified")));
    metric("TreatMissingData:", missing_data.as_str().unwrap_or_default());
    out
}

fn value(text: &str) -> String {
    text::line(text, CLASSIC_VALUE_CHARS_MAX)
}

#[cfg(test)]
mod tests;
