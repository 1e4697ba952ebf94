/*!
The classic notification, subject and text of a composite alarm: its rule and the children that decided stand where
others have a metric.
*/

use serde::Serialize;

use nightbell_core::alarm::composite::CompositeTransition;

use super::{actions_text, region_name, subject, value};

/// Children listed in the text.
pub(crate) const CHILDREN_LISTED_MAX: usize = 10;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Notification<'a> {
    alarm_name: &'a str,
    alarm_description: Option<&'a str>,
    #[serde(rename = "AWSAccountId")]
    account: &'a str,
    new_state_value: &'a str,
    new_state_reason: &'a str,
    state_change_time: String,
    region: &'a str,
    alarm_arn: &'a str,
    #[serde(rename = "OKActions")]
    ok_actions: &'a [String],
    alarm_actions: &'a [String],
    insufficient_data_actions: &'a [String],
    action_executed_after_mute_window: bool,
    old_state_value: &'a str,
    alarm_rule: &'a str,
    triggering_children: Vec<Child<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Child<'a> {
    arn: &'a str,
    state: ChildState,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChildState {
    value: &'static str,
    timestamp: String,
}

/// The notification as JSON, keys in the service's order.
pub fn composite_json(transition: &CompositeTransition) -> String {
    let CompositeTransition { alarm, change, .. } = transition;
    let children = change.triggers.iter().map(|trigger| {
        let standing = trigger.standing;
        let state = ChildState { value: standing.state.name(), timestamp: standing.since.alarm_text() };
        Child { arn: &trigger.arn, state }
    });
    let notification = Notification {
        alarm_name: &alarm.name,
        alarm_description: alarm.description.as_deref(),
        account: &transition.account,
        new_state_value: change.to.name(),
        new_state_reason: &change.reason,
        state_change_time: change.at.alarm_text(),
        region: region_name(&alarm.region),
        alarm_arn: &alarm.arn,
        ok_actions: &alarm.ok_actions,
        alarm_actions: &alarm.alarm_actions,
        insufficient_data_actions: &alarm.insufficient_data_actions,
        action_executed_after_mute_window: transition.after_mute,
        old_state_value: change.from.name(),
        alarm_rule: &alarm.rule,
        triggering_children: children.collect(),
    };
    serde_json::to_string(&notification).expect("strings always become JSON")
}

/// The notification's subject, as [`super::alarm_subject`].
pub fn composite_subject(transition: &CompositeTransition) -> String {
    subject(transition.change.to, &transition.alarm.name, &transition.alarm.region)
}

/// The classic mail text. `alarm_url` is where the alarm can be looked at; without one that paragraph is left out.
pub(crate) fn composite_text(transition: &CompositeTransition, alarm_url: Option<&str>) -> String {
    let CompositeTransition { alarm, change, .. } = transition;
    let (name, reason) = (value(&alarm.name), value(&change.reason));
    let region = value(region_name(&alarm.region));
    let (to, at) = (change.to.name(), change.at.long_text());
    let mut out = format!(
        "You are receiving this email because your Nightbell alarm \"{name}\" in the {region} region has transitioned \
         to {to} state on {at}, because \"{reason}\".\n\n"
    );
    if let Some(url) = alarm_url {
        out += &format!("View this alarm in the Nightbell console:\n{url}\n\n");
    }
    out += "Alarm Details:\n";
    let mut detail = |label: &str, text: &str| out += &format!("- {label:<28}{text}\n");
    detail("Name:", &name);
    detail("Description:", &value(alarm.description.as_deref().unwrap_or_default()));
    detail("State Change:", &format!("{} -> {to}", change.from.name()));
    detail("Reason for State Change:", &reason);
    detail("Timestamp:", &at);
    detail("AWS Account:", &value(&transition.account));
    detail("Alarm Arn:", &value(&alarm.arn));
    detail("Alarm Rule:", &value(&alarm.rule));
    if !change.triggers.is_empty() {
        out += &format!("\nTriggering children (max. {CHILDREN_LISTED_MAX}):\n");
        for trigger in change.triggers.iter().take(CHILDREN_LISTED_MAX) {
            let (state, since) = (trigger.standing.state.name(), trigger.standing.since.long_text());
            out += &format!("- {}   {state:<20}{since}\n", value(&trigger.arn));
        }
    }
    out += &actions_text(&alarm.ok_actions, &alarm.alarm_actions, &alarm.insufficient_data_actions);
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::composite::tests::transition;
    use super::*;

    #[test]
    fn keys_stand_in_the_order_that_programs_know() {
        assert_eq!(
            composite_json(&transition()),
            r#"{"AlarmName":"files and logons","AlarmDescription":null,"AWSAccountId":"123456789012","NewStateValue":"ALARM","NewStateReason":"arn:aws:cloudwatch:us-east-2:123456789012:alarm:denied transitioned to ALARM at Monday 14 September, 2026 05:42:01 UTC","StateChangeTime":"2026-09-14T05:42:01.123+0000","Region":"US East (Ohio)","AlarmArn":"arn:aws:cloudwatch:us-east-2:123456789012:alarm:files and logons","OKActions":[],"AlarmActions":["arn:aws:sns:us-east-2:123456789012:alerts"],"InsufficientDataActions":[],"ActionExecutedAfterMuteWindow":false,"OldStateValue":"OK","AlarmRule":"ALARM(denied) AND ALARM(logons)","TriggeringChildren":[{"Arn":"arn:aws:cloudwatch:us-east-2:123456789012:alarm:denied","State":{"Value":"ALARM","Timestamp":"2026-09-14T05:42:01.123+0000"}},{"Arn":"arn:aws:cloudwatch:us-east-2:123456789012:alarm:logons","State":{"Value":"ALARM","Timestamp":"2026-09-14T05:40:01.123+0000"}}]}"#
        );
        assert_eq!(composite_subject(&transition()), r#"ALARM: "files and logons" in US East (Ohio)"#);
    }

    #[test]
    fn the_text_names_rule_and_children_and_no_metric() {
        let text = composite_text(&transition(), None);
        assert!(text.starts_with(
            "You are receiving this email because your Nightbell alarm \"files and logons\" in the US East (Ohio) region \
             has transitioned to ALARM state on Monday 14 September, 2026 05:42:01 UTC, because \"arn:"
        ));
        for line in [
            "- State Change:               OK -> ALARM\n",
            "- Alarm Rule:                 ALARM(denied) AND ALARM(logons)\n",
            "\nTriggering children (max. 10):\n- arn:aws:cloudwatch:us-east-2:123456789012:alarm:denied   ALARM               \
             Monday 14 September, 2026 05:42:01 UTC\n",
            "- ALARM: [arn:aws:sns:us-east-2:123456789012:alerts]\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        assert!(!text.contains("Threshold:") && !text.contains("Monitored Metric"), "{text}");
    }
}
