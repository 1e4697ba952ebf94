/*!
The mail of a composite alarm that changed its state: which of the alarms it watches decided, and by what rule.

It has no events of its own; those stand in the mails of its children. Its picture shows since when they are in their
states.
*/

use nightbell_core::alarm::State;
use nightbell_core::alarm::composite::{CompositeTransition, Trigger};

use super::alarm::{self, ALARM_NAME_CHARS_MAX, Setting};
use super::page::{self, Command, Fact, Figure, Line};
use super::story::NAME_CHARS_MAX;
use super::{Written, classic, pictures, text};
use crate::chart::{Drawing, LANES_MAX, Lane, Lanes};

/// Children that are named one by one.
const CHILDREN_SHOWN_MAX: usize = 20;
/// Characters of a rule as it is shown.
const RULE_SHOWN_CHARS_MAX: usize = 1_000;
/// Characters of a description or reason.
const ABOUT_CHARS_MAX: usize = 300;

/// What it means.
const MEANING: &str = "These alarms are in these states together, which none of them says alone. What happened stands \
                       in their own messages.";

/// Writes subject, text, HTML and picture.
pub(super) fn write(transition: &CompositeTransition, setting: &Setting<'_>) -> Written {
    let CompositeTransition { alarm, change, .. } = transition;
    let state = change.to.name();
    let (accent, bright) = colours(change.to);
    let title = title(transition);
    let alarm_url = setting.origin.link(&alarm.name, &alarm.region).filter(|_| !setting.trial);
    let (picture, image) = pictures::shown(lanes(transition).map(Drawing::Lanes).as_ref(), setting);
    let page = page::Alarm {
        title: title.clone(),
        state,
        label: "Several alarms together".to_owned(),
        accent,
        bright: bright.to_owned(),
        name: text::line(&alarm.name, ALARM_NAME_CHARS_MAX),
        at: change.at.plain(),
        headline: headline(transition),
        when: format!("at {}", change.at.plain()),
        about: text::line(alarm.description.as_deref().unwrap_or_default(), ABOUT_CHARS_MAX),
        meaning: match change.to {
            State::Alarm => MEANING.to_owned(),
            State::Ok | State::InsufficientData => String::new(),
        },
        figures: figures(&change.triggers),
        facts: Vec::new(),
        picture,
        tables: Vec::new(),
        samples_title: "Alarms that decided, and since when (UTC)",
        samples: children(transition),
        samples_left_out: change.triggers.len().saturating_sub(CHILDREN_SHOWN_MAX) as u64,
        why: why(transition),
        hops: Vec::new(),
        commands: commands(setting, &alarm.name, &alarm.region),
        alarm_url: alarm_url.clone().unwrap_or_default(),
        unsubscribe_url: setting.reader.unsubscribe_url.unwrap_or_default().to_owned(),
        to: setting.reader.to.clone(),
        topic: setting.reader.topic.clone(),
        note: String::new(),
        trial: setting.trial,
    };
    let classic = classic::composite_text(transition, alarm_url.as_deref());
    Written {
        subject: format!("[{state}] {title}"),
        text: if setting.trial { page::plain_text(&page) } else { page::alarm_text(&page, &classic) },
        html: Some(alarm::html(page, setting.template)),
        state: Some(state),
        inline: image.into_iter().collect(),
    }
}

/// Since when the alarms that decided are in their states, in the order of the list; `None` where none is told.
fn lanes(transition: &CompositeTransition) -> Option<Lanes> {
    let lane = |trigger: &Trigger| Lane {
        name: child_name(trigger),
        state: trigger.standing.state.name(),
        since: trigger.standing.since,
        colour: match trigger.standing.state {
            State::Alarm => (0xff, 0x7b, 0x72),
            State::Ok => (0x56, 0xd6, 0x8f),
            State::InsufficientData => (0xaa, 0xb4, 0xc3),
        },
    };
    let triggers = &transition.change.triggers;
    let rows: Vec<Lane> = triggers.iter().take(LANES_MAX).map(lane).collect();
    let unit = match triggers.len() {
        all if all > rows.len() => format!("the first {} of {all}, UTC", rows.len()),
        _ => "UTC".to_owned(),
    };
    let title = "States of the alarms that decided".to_owned();
    (!rows.is_empty()).then_some(Lanes { title, unit, rows, at: transition.change.at })
}

/// The colour on which white is read, and the one for dark grounds.
const fn colours(state: State) -> (&'static str, &'static str) {
    match state {
        State::Alarm => ("#7c2d12", "#fdba74"),
        State::Ok => ("#067647", "#56d68f"),
        State::InsufficientData => ("#667085", "#aab4c3"),
    }
}

/// `files and logons: denied is in ALARM, and 1 more`
fn title(transition: &CompositeTransition) -> String {
    let name = text::line_of_ends(&transition.alarm.name, NAME_CHARS_MAX);
    match transition.change.triggers.split_first() {
        None => format!("{name} is {}", transition.change.to.name()),
        Some((first, [])) => format!("{name}: {}", is_in(first)),
        Some((first, others)) => format!("{name}: {}, and {} more", is_in(first), others.len()),
    }
}

fn headline(transition: &CompositeTransition) -> String {
    let name = text::line_of_ends(&transition.alarm.name, NAME_CHARS_MAX);
    let rule = match transition.change.to {
        State::Alarm => "its rule holds",
        State::Ok => "its rule does not hold any more",
        State::InsufficientData => "it was set so by hand",
    };
    match transition.change.triggers.first() {
        None => format!("{name} went to {}", transition.change.to.name()),
        Some(first) => {
            format!("{name} went to {}: {rule}, since {}", transition.change.to.name(), is_in(first))
        }
    }
}

fn is_in(trigger: &Trigger) -> String {
    format!("{} is in {}", child_name(trigger), trigger.standing.state.name())
}

/// The child's name out of its ARN.
fn child_name(trigger: &Trigger) -> String {
    let name = trigger.arn.splitn(7, ':').nth(6).unwrap_or(&trigger.arn);
    text::line_of_ends(name, NAME_CHARS_MAX)
}

/// `14 Sep 05:42:01  denied is in ALARM: Threshold Crossed: …`, the one that changed first at the top.
fn children(transition: &CompositeTransition) -> Vec<Line> {
    let triggers = transition.change.triggers.iter().take(CHILDREN_SHOWN_MAX);
    let line = |(place, trigger): (usize, &Trigger)| {
        let reason = transition.reasons.get(place).map(|reason| text::line(reason, ABOUT_CHARS_MAX));
        let text = match reason.filter(|reason| !reason.is_empty()) {
            Some(reason) => format!("{}: {reason}", is_in(trigger)),
            None => is_in(trigger),
        };
        let time = trigger.standing.since.plain().trim_end_matches(" UTC").to_owned();
        Line { time, text, times: 1, until: String::new() }
    };
    triggers.enumerate().map(line).collect()
}

fn figures(triggers: &[Trigger]) -> Vec<Figure> {
    let states = [State::Alarm, State::Ok, State::InsufficientData];
    let counted =
        states.map(|state| (state, triggers.iter().filter(|one| one.standing.state == state).count()));
    let figure = |(state, count): (State, usize)| Figure {
        value: count.to_string(),
        label: format!("{} in {}", if count == 1 { "alarm" } else { "alarms" }, state.name()),
    };
    counted.into_iter().filter(|(_, count)| *count > 0).map(figure).collect()
}

fn why(transition: &CompositeTransition) -> Vec<Fact> {
    let CompositeTransition { alarm, change, .. } = transition;
    let mut why = vec![
        Fact { label: "Rule", value: text::line(&alarm.rule, RULE_SHOWN_CHARS_MAX), note: String::new() },
        Fact { label: "Reason", value: text::line(&change.reason, ABOUT_CHARS_MAX), note: String::new() },
    ];
    let value = format!("{} to {}", change.from.name(), change.to.name());
    why.push(Fact { label: "State", value, note: change.at.plain() });
    if transition.after_mute {
        let value = "the actions waited for the end of a mute rule's window".to_owned();
        why.push(Fact { label: "Muted", value, note: String::new() });
    }
    why
}

/// Commands that can be copied; none for a name that can't be shown as it is, and none in a trial.
fn commands(setting: &Setting<'_>, name: &str, region: &str) -> Vec<Command> {
    if setting.trial || text::line(name, ALARM_NAME_CHARS_MAX) != name {
        return Vec::new();
    }
    let (name, region) = (alarm::quoted(name), alarm::quoted(&text::line(region, NAME_CHARS_MAX)));
    let endpoint = alarm::endpoint_option(setting.origin);
    let line = |label, operation: &str, rest: &str| Command {
        label,
        line: format!("aws cloudwatch {operation}{endpoint} --region {region} {rest}"),
    };
    vec![
        line("The alarms it watches", "describe-alarms", &format!("--children-of-alarm-name {name}")),
        line(
            "What it did before",
            "describe-alarm-history",
            &format!("--alarm-types CompositeAlarm --alarm-name {name}"),
        ),
        line("No more mail from it", "disable-alarm-actions", &format!("--alarm-names {name}")),
        line("Mail from it again", "enable-alarm-actions", &format!("--alarm-names {name}")),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use nightbell_core::alarm::composite::{Change, CompositeAlarm, Standing};
    use nightbell_core::delivery::{Content, Delivery};
    use nightbell_core::time::Timestamp;
    use nightbell_core::topic::Endpoint;

    use super::super::{Enclosure, Origin, render};
    use super::*;

    /// Both children of a rule are in ALARM.
    pub(in crate::message) fn transition() -> CompositeTransition {
        let at = Timestamp::from_millis(1_789_364_521_123);
        let arn = |name: &str| format!("arn:aws:cloudwatch:us-east-2:123456789012:alarm:{name}");
        let trigger =
            |name: &str, since| Trigger { arn: arn(name), standing: Standing { state: State::Alarm, since } };
        CompositeTransition {
            alarm: CompositeAlarm {
                arn: arn("files and logons"),
                region: "us-east-2".to_owned(),
                name: "files and logons".to_owned(),
                description: None,
                actions_enabled: true,
                ok_actions: Vec::new(),
                alarm_actions: vec!["arn:aws:sns:us-east-2:123456789012:alerts".to_owned()],
                insufficient_data_actions: Vec::new(),
                rule: "ALARM(denied) AND ALARM(logons)".to_owned(),
                suppressor: None,
                updated: at,
            },
            account: "123456789012".to_owned(),
            change: Change {
                from: State::Ok,
                to: State::Alarm,
                at,
                old_reason: String::new(),
                reason: format!("{} transitioned to ALARM at {}", arn("denied"), at.long_text()),
                reason_data: None,
                triggers: vec![trigger("denied", at), trigger("logons", at.plus_millis(-120_000))],
            },
            reasons: vec!["Threshold Crossed: 1 datapoint <b>".to_owned(), String::new()],
            acts: true,
            suppressed_by: None,
            after_mute: false,
        }
    }

    #[test]
    fn the_mail_names_the_alarms_that_decided() {
        let mut transition = transition();
        transition.alarm.description = Some("<b>both</b>".to_owned());
        let delivery = Delivery {
            id: "c0".to_owned(),
            created: transition.change.at,
            topic: "arn:aws:sns:us-east-2:123456789012:alerts".to_owned(),
            endpoint: Endpoint::Email("ops@example.org".to_owned()),
            unsubscribe_url: None,
            content: Content::Composite(Box::new(transition)),
        };
        let origin = Origin::new("nightbell@example.org", Some("https://bell.example.org")).unwrap();
        let mail = render(&delivery, &origin, Enclosure::default(), delivery.created);
        assert_eq!(mail.subject, "[ALARM] files and logons: denied is in ALARM, and 1 more");
        for part in [
            "ALARM(denied) AND ALARM(logons)",
            "  denied is in ALARM: Threshold Crossed: 1 datapoint <b>\n",
            "Triggering children (max. 10):",
        ] {
            assert!(mail.text.contains(part), "{part} in {}", mail.text);
        }
        let states =
            "States of the alarms that decided: denied ALARM since 05:42:01, logons ALARM since 05:40:01";
        assert!(mail.text.contains(states), "{}", mail.text);
        assert!(mail.inline[0].content.starts_with(b"\x89PNG"));
        let html = mail.html.unwrap();
        assert!(html.contains(&format!("src=\"cid:{}\"", mail.inline[0].content_id)));
        assert!(html.contains(">logons is in ALARM<") && !html.contains("<b>"), "{html}");
        assert!(
            mail.text
                .contains("https://bell.example.org/console/alarms/files%20and%20logons?region=us-east-2")
        );
    }
}
