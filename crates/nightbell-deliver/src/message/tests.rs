/*!
Alarms as people read them. The fixtures are also what the tests of neighbours use.
*/

use std::collections::BTreeMap;

use nightbell_core::alarm::{
    Comparison, Measure, MetricAlarm, MissingData, SeriesMeasure, State, Transition,
};
use nightbell_core::evidence::{Evidence, Sample, Tally};
use nightbell_core::metric::Series;
use nightbell_core::topic::Endpoint;
use proptest::prelude::*;

use super::*;

pub(crate) mod bands;
mod contributors;
mod gathered;
mod kinds;
mod lasting;

/// 2021-06-01T18:08:05.000 UTC.
const FIRST: Timestamp = Timestamp::from_seconds(1_622_570_885);

const NO_DATA: &str = "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as \
                       [Breaching].";

pub(crate) fn tally(values: &[(&str, u64)]) -> Tally {
    let mut counts: Vec<(Box<str>, u64)> =
        values.iter().map(|(value, count)| (Box::from(*value), *count)).collect();
    counts.sort();
    Tally { counts, others: 0 }
}

/// A metric alarm `Sum > 5` over one minute without any events behind it.
pub(crate) fn transition() -> Transition {
    Transition {
        alarm: MetricAlarm {
            arn: "arn:aws:cloudwatch:us-east-2:123456789012:alarm:AccessDenied".to_owned(),
            name: "AccessDenied".to_owned(),
            description: Some("Repeated denied access".to_owned()),
            actions_enabled: true,
            ok_actions: Vec::new(),
            alarm_actions: vec!["arn:aws:sns:us-east-2:123456789012:alerts".to_owned()],
            insufficient_data_actions: Vec::new(),
            region: "us-east-2".to_owned(),
            measure: Measure::Series(SeriesMeasure {
                series: Series {
                    region: "us-east-2".to_owned(),
                    namespace: "folder/secret/4656".to_owned(),
                    name: "4656".to_owned(),
                    dimensions: Vec::new(),
                },
                unit: None,
                statistic: "Sum".to_owned(),
            }),
            period_s: 60,
            evaluation_periods: 1,
            datapoints_to_alarm: Some(1),
            threshold: 5.0,
            band: None,
            comparison: Comparison::GreaterThanThreshold,
            missing_data: MissingData::NotBreaching,
            evaluate_low_sample_count_percentile: String::new(),
            updated: Timestamp::from_seconds(1_622_570_400),
        },
        account: "123456789012".to_owned(),
        contributor: None,
        from: State::Ok,
        to: State::Alarm,
        at: Timestamp::from_millis(1_622_570_975_501),
        reason: "Threshold Crossed: 1 out of the last 1 datapoints [6.0 (01/06/21 18:08:00)] was greater than the \
                 threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition)."
            .to_owned(),
        reason_data: "{}".to_owned(),
        old_reason: "Unchecked: Initial alarm creation".to_owned(),
        value: Some(6.0),
        window: None,
        late_by_ms: None,
        evidence: Evidence::default(),
        curve: Vec::new(),
        band: None,
        usual: None,
        acts: true,
        after_mute: false,
        incident: None,
    }
}

/// Six denied accesses of one user to one folder.
pub(crate) fn denied() -> Transition {
    let mut transition = transition();
    let file = |name: &str| format!(r"\share\secret\{name}");
    let samples = [
        (0, "salaries.xlsx"),
        (7, "salaries.xlsx"),
        (13, "plan.docx"),
        (21, "merger.pdf"),
        (30, "merger.pdf"),
        (42, "a.txt"),
    ];
    transition.at = FIRST.plus_millis(42_390);
    transition.window = Some((FIRST.plus_millis(-17_000), FIRST.plus_millis(43_000)));
    transition.evidence = Evidence {
        events: 6,
        first: Some(FIRST),
        last: Some(FIRST.plus_millis(42_000)),
        last_arrival: Some(FIRST.plus_millis(42_350)),
        actions: tally(&[("open", 6)]),
        outcomes: tally(&[("failure", 6)]),
        users: tally(&[(r"awscorp\fsxclient", 6)]),
        folders: tally(&[(r"\share\secret", 6)]),
        files: tally(&[
            (&file("salaries.xlsx"), 2),
            (&file("merger.pdf"), 2),
            (&file("plan.docx"), 1),
            (&file("a.txt"), 1),
        ]),
        samples: samples
            .iter()
            .map(|(second, name)| Sample {
                time: FIRST.plus_millis(second * 1_000),
                line: format!(r"awscorp\fsxclient was denied ReadData on \share\secret\{name}"),
                place: None,
            })
            .collect(),
        ..Evidence::default()
    };
    transition
}

/// Sixteen failed logons on one machine.
pub(crate) fn logons() -> Transition {
    let mut transition = transition();
    transition.alarm.name = "FailedLogons".to_owned();
    transition.alarm.description = Some("failed logons, counted per machine".to_owned());
    transition.alarm.period_s = 300;
    transition.value = Some(16.0);
    transition.at = FIRST.plus_millis(240_120);
    transition.evidence = Evidence {
        events: 16,
        first: Some(FIRST),
        last: Some(FIRST.plus_millis(240_000)),
        last_arrival: Some(FIRST.plus_millis(240_100)),
        actions: tally(&[("logon", 16)]),
        outcomes: tally(&[("failure", 16)]),
        users: tally(&[("alice", 16)]),
        instances: tally(&[("win", 16)]),
        sources: tally(&[("10.0.0.5", 16)]),
        reasons: tally(&[("wrong password", 13), ("account locked out", 3)]),
        samples: (0..10)
            .map(|n| Sample {
                time: FIRST.plus_millis(n * 15_000),
                line: "alice failed to log on to win from 10.0.0.5 (Network): wrong password".to_owned(),
                place: None,
            })
            .collect(),
        ..Evidence::default()
    };
    transition
}

/// Several users, folders and machines; more files than are kept.
fn many() -> Transition {
    let mut transition = denied();
    transition.alarm.period_s = 300;
    transition.alarm.evaluation_periods = 1;
    transition.window = None;
    transition.value = Some(19.0);
    transition.evidence.events = 19;
    transition.evidence.users = tally(&[(r"corp\ann", 11), (r"corp\bob", 5), (r"corp\cleo", 3)]);
    transition.evidence.outcomes = tally(&[("failure", 19)]);
    transition.evidence.actions = tally(&[("open", 12), ("delete", 7)]);
    transition.evidence.folders = tally(&[(r"\secret", 19)]);
    transition.evidence.instances = tally(&[("srvdefender01", 19)]);
    transition.evidence.sources = tally(&[("10.0.0.5", 15)]);
    let names: Vec<String> = (0..64).map(|n| format!(r"\secret\{n:02}.txt")).collect();
    transition.evidence.files = tally(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
    transition.evidence.files.others = 4;
    transition
}

pub(crate) fn origin() -> Origin {
    Origin::new("Nightbell <nightbell@example.org>", Some("https://bell.example.org/")).unwrap()
}

pub(crate) fn delivery(content: Content) -> Delivery {
    Delivery {
        id: "5f0c2a".to_owned(),
        created: Timestamp::from_millis(1_622_570_927_400),
        topic: "arn:aws:sns:us-east-2:123456789012:alerts".to_owned(),
        endpoint: Endpoint::Email("security@example.org".to_owned()),
        unsubscribe_url: Some("https://bell.example.org/unsubscribe?arn=a&t=1".to_owned()),
        content,
    }
}

/// The mail as it is written 12 ms after it was caused.
pub(crate) fn written(delivery: &Delivery) -> Mail {
    render(delivery, &origin(), Enclosure::default(), delivery.created.plus_millis(12))
}

fn mail(transition: Transition) -> Mail {
    let created = transition.at.plus_millis(10);
    written(&Delivery { created, ..delivery(Content::Alarm(Box::new(transition))) })
}

pub(crate) fn changed(transition: Transition, change: impl FnOnce(&mut Transition)) -> Transition {
    let mut transition = transition;
    change(&mut transition);
    transition
}

#[test]
fn subjects_say_who_what_where_and_how_often() {
    let rows = [
        (denied(), r"[ALARM] awscorp\fsxclient denied 6 times in \share\secret (1 min)"),
        (many(), r"[ALARM] 3 users denied 19 times in \secret on srvdefender01 (5 min)"),
        (logons(), "[ALARM] 16 failed logons on win, account alice, from 10.0.0.5 (5 min)"),
        (transition(), "[ALARM] AccessDenied: Sum 6 > 5 (1 min)"),
        (
            changed(denied(), |t| t.evidence.events = 1),
            r"[ALARM] awscorp\fsxclient denied once in \share\secret (1 min)",
        ),
        (
            changed(denied(), |t| t.evidence.events = 9),
            r"[ALARM] 9 events by awscorp\fsxclient and others in \share\secret (1 min)",
        ),
        (
            changed(denied(), |t| {
                t.evidence.users = Tally::default();
                t.evidence.folders = tally(&[(r"\share\a\x", 3), (r"\share\a\y", 2), (r"\share\a", 1)]);
            }),
            r"[ALARM] access denied 6 times in 3 folders under \share\a (1 min)",
        ),
        (
            changed(denied(), |t| t.evidence.folders = tally(&[(r"\a\x", 3), (r"\b\x", 3)])),
            r"[ALARM] awscorp\fsxclient denied 6 times in 2 folders (1 min)",
        ),
        (
            changed(denied(), |t| t.evidence.users.counts = tally(&[("a", 2)]).counts),
            r"[ALARM] a and others denied 6 times in \share\secret (1 min)",
        ),
    ];
    for (transition, subject) in rows {
        assert_eq!(mail(transition).subject, subject);
    }
}

#[test]
fn subjects_name_other_deeds() {
    let rows = [
        (
            changed(denied(), |t| {
                t.evidence.outcomes = tally(&[("success", 6)]);
                t.evidence.actions = tally(&[("delete", 6)]);
            }),
            r"[ALARM] 6 deletions by awscorp\fsxclient in \share\secret (1 min)",
        ),
        (
            changed(denied(), |t| {
                t.evidence.outcomes = tally(&[("success", 6)]);
                t.evidence.actions = tally(&[("delete", 5), ("write", 1)]);
            }),
            r"[ALARM] 6 file accesses by awscorp\fsxclient in \share\secret (1 min)",
        ),
        (
            changed(logons(), |t| {
                t.evidence.users = Tally { others: 7, ..tally(&[("a", 5), ("b", 4)]) };
                t.evidence.instances = tally(&[("x", 9), ("y", 7)]);
                t.evidence.sources = Tally::default();
            }),
            "[ALARM] 16 failed logons on 2 machines, 2 or more accounts (5 min)",
        ),
        (
            changed(logons(), |t| {
                t.evidence.events = 1;
                t.evidence.actions = tally(&[("log-cleared", 1)]);
                t.evidence.outcomes = tally(&[("success", 1)]);
                t.evidence.users = tally(&[(r"corp\eve", 1)]);
            }),
            r"[ALARM] 1 cleared log by corp\eve on win (5 min)",
        ),
        (
            changed(logons(), |t| {
                t.evidence.events = 2;
                t.evidence.actions = tally(&[("lockout", 2)]);
            }),
            "[ALARM] 2 lockouts on win, account alice, from 10.0.0.5 (5 min)",
        ),
        (
            changed(denied(), |t| t.evidence.actions = tally(&[("open", 3), ("logon", 3)])),
            r"[ALARM] 6 events by awscorp\fsxclient in \share\secret (1 min)",
        ),
    ];
    for (transition, subject) in rows {
        assert_eq!(mail(transition).subject, subject);
    }
}

#[test]
fn subjects_without_events_say_what_was_measured() {
    let rows = [
        (
            changed(transition(), |t| {
                t.to = State::Ok;
                t.value = Some(0.0);
            }),
            "[OK] AccessDenied: Sum 0 <= 5 (1 min)",
        ),
        (
            changed(denied(), |t| {
                t.to = State::Ok;
                t.value = None;
                t.reason = NO_DATA.to_owned();
            }),
            "[OK] AccessDenied: back to OK (1 min)",
        ),
        (
            changed(transition(), |t| {
                t.to = State::InsufficientData;
                t.value = None;
                t.reason = "Insufficient Data: 1 datapoint was unknown.".to_owned();
            }),
            "[INSUFFICIENT_DATA] AccessDenied: too little data (1 min)",
        ),
        (
            changed(transition(), |t| {
                t.value = None;
                t.reason = NO_DATA.to_owned();
            }),
            "[ALARM] AccessDenied: no data (1 min)",
        ),
        (
            changed(transition(), |t| {
                t.value = None;
                t.reason = "a fire drill".to_owned();
            }),
            "[ALARM] AccessDenied: set to ALARM (1 min)",
        ),
        (
            changed(transition(), |t| {
                t.alarm.evaluation_periods = 3;
                t.alarm.datapoints_to_alarm = Some(2);
                t.alarm.comparison = Comparison::LessThanOrEqualToThreshold;
                t.alarm.single_mut().unwrap().statistic = "p99.9".to_owned();
                t.alarm.threshold = 0.25;
                t.value = Some(0.125);
            }),
            "[ALARM] AccessDenied: p99.9 0.125 <= 0.25 (2 of 3 x 1 min)",
        ),
        (
            changed(transition(), |t| {
                t.alarm.evaluation_periods = 3;
                t.alarm.datapoints_to_alarm = None;
                t.alarm.single_mut().unwrap().series.dimensions =
                    vec![("Folder".to_owned(), r"\secret".to_owned())];
            }),
            r"[ALARM] AccessDenied: Sum 6 > 5 (3 x 1 min), Folder=\secret",
        ),
    ];
    for (transition, subject) in rows {
        assert_eq!(mail(transition).subject, subject);
    }
}

#[test]
fn the_text_of_denied_access() {
    let mail = mail(denied());
    let expected = r"awscorp\fsxclient was denied access 6 times in \share\secret between 2021-06-01 18:08:05 and 18:08:47 UTC.

Windows refused every one of these: nothing was opened. Ask whether this user has business in this folder; many files in a short time point to a script or a search.

Repeated denied access

User          awscorp\fsxclient
Folder        \share\secret
First event   2021-06-01 18:08:05 UTC
Last event    2021-06-01 18:08:47 UTC (42 s later)

Files
       2  \share\secret\merger.pdf
       2  \share\secret\salaries.xlsx
       1  \share\secret\a.txt
       1  \share\secret\plan.docx

Events, UTC
  18:08:05.000  awscorp\fsxclient was denied ReadData on \share\secret\salaries.xlsx (2 times until 18:08:12.000)
  18:08:18.000  awscorp\fsxclient was denied ReadData on \share\secret\plan.docx
  18:08:26.000  awscorp\fsxclient was denied ReadData on \share\secret\merger.pdf (2 times until 18:08:35.000)
  18:08:47.000  awscorp\fsxclient was denied ReadData on \share\secret\a.txt

Why
  Alarm       AccessDenied
  Rule        Sum > 5 in 1 min (was 6)
  Window      2021-06-01 18:07:48 to 18:08:48 UTC
  State       OK to ALARM (2021-06-01 18:08:47 UTC)

How fast
  Last event  18:08:47.000
  Arrived     18:08:47.350  +350 ms
  Alarm       18:08:47.390  +40 ms
  Mailed      18:08:47.412  +22 ms

Look closer
  https://bell.example.org/console/alarms/AccessDenied?region=us-east-2
  What the alarm did before:
    aws cloudwatch describe-alarm-history --region us-east-2 --alarm-name AccessDenied
  No more mail from the alarm:
    aws cloudwatch disable-alarm-actions --region us-east-2 --alarm-names AccessDenied
  Mail from the alarm again:
    aws cloudwatch enable-alarm-actions --region us-east-2 --alarm-names AccessDenied

You receive this because security@example.org is subscribed to arn:aws:sns:us-east-2:123456789012:alerts.
Unsubscribe: https://bell.example.org/unsubscribe?arn=a&t=1

----------------------------------------

You are receiving this email because your Nightbell alarm ";
    let start: String = mail.text.chars().take(expected.chars().count()).collect();
    assert_eq!(start, expected);
    assert!(mail.text.contains("\nState Change Actions:\n- OK: \n"));
}

#[test]
fn many_values_become_tables_with_what_is_left_out() {
    let text = mail(many()).text;
    for part in [
        "Users\n      11  corp\\ann\n       5  corp\\bob\n       3  corp\\cleo\n",
        "Files\n       1  \\secret\\00.txt\n",
        "          and 59 or more others (63)\n",
        "Actions\n      12  open\n       7  delete\n",
        "Machine       srvdefender01\n",
        "Address       10.0.0.5 (15 of 19)\n",
        "  and 13 more\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn logons_and_files_are_told_differently() {
    let (logons, files) = (mail(logons()), mail(denied()));
    assert!(logons.text.starts_with(
        "16 failed logons on win, account alice, from 10.0.0.5 between 2021-06-01 18:08:05 and 18:12:05 UTC.\n\n\
         None of these got in."
    ));
    assert!(logons.text.contains(
        "\n\nfailed logons, counted per machine\n\nMachine       win\nAccount       alice\nAddress       10.0.0.5\n"
    ));
    assert!(logons.text.contains("Reasons\n      13  wrong password\n       3  account locked out\n"));
    assert!(logons.text.contains("  and 6 more\n"));
    assert!(!logons.text.contains("Files") && !files.text.contains("Reasons"));
}

#[test]
fn late_events_are_called_late() {
    let late = mail(changed(denied(), |t| t.late_by_ms = Some(200_000))).text;
    assert!(
        late.contains("  Late by     3 min 20 s (the deciding event arrived that long after it happened)\n")
    );
    assert!(!late.contains("Arrived"), "the arrival of the latest event says nothing then");
    assert!(!mail(denied()).text.contains("Late by"));
}

#[test]
fn a_state_that_ends_says_so() {
    let ok = mail(changed(transition(), |t| {
        t.to = State::Ok;
        t.from = State::Alarm;
        t.value = Some(2.5);
        t.window = Some((FIRST, FIRST.plus_millis(60_000)));
    }));
    assert!(
        ok.text.starts_with("Back to OK: Sum of 4656 was 2.5 from 2021-06-01 18:08:05 to 18:09:05 UTC.\n")
    );
    assert!(ok.html.unwrap().contains("Back to OK"));
    let drill = mail(changed(transition(), |t| {
        t.value = None;
        t.reason = "a fire drill".to_owned();
    }));
    assert!(
        drill.text.starts_with("AccessDenied was set to ALARM at 2021-06-01 18:09:35 UTC.\n"),
        "{}",
        drill.text
    );
    assert!(drill.text.contains("  Reason      a fire drill\n"));
    let unknown = mail(changed(transition(), |t| t.to = State::InsufficientData));
    assert!(unknown.text.starts_with("Too little data to judge Sum of 4656 at 2021-06-01 18:09:35 UTC.\n"));
}

#[test]
fn the_html_is_whole_and_stands_alone() {
    let html = mail(many()).html.unwrap();
    for part in [
        "<!doctype html>",
        "<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">",
        "name=\"color-scheme\" content=\"light dark\"",
        "prefers-color-scheme: dark",
        "max-width:640px",
        ">corp\\ann</th>",
        ">Users</th>",
        "width:100%;background-color:#b42318",
        "width:45%;background-color:#b42318",
        "bgcolor=\"#b42318\"",
        "</html>",
    ] {
        assert!(html.contains(part), "{part:?} is not in\n{html}");
    }
    for outside in ["<img", "<link", "<script", "url(", "@import", "src=", "flex", "grid"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert_eq!(html.matches("<style>").count(), 1);
}

#[test]
fn event_text_is_shown_and_never_obeyed() {
    let attack = "<script>alert('x')</script>\"'&\r\nBcc: eve@example.org\u{202e}fdp.\u{1b}[2J{{ 7*7 }}";
    let hostile = mail(changed(denied(), |t| {
        t.alarm.name = attack.to_owned();
        t.alarm.description = Some(attack.to_owned());
        t.alarm.region = attack.to_owned();
        t.alarm.single_mut().unwrap().series.dimensions = vec![(attack.to_owned(), attack.to_owned())];
        t.alarm.single_mut().unwrap().statistic = attack.to_owned();
        t.reason = attack.to_owned();
        let one = tally(&[(attack, 6)]);
        let evidence = &mut t.evidence;
        evidence.users = one.clone();
        evidence.folders = one.clone();
        evidence.instances = one.clone();
        evidence.sources = tally(&[(attack, 3), ("b", 3)]);
        evidence.reasons = one;
        evidence.samples[0].line = attack.to_owned();
    }));
    let html = hostile.html.unwrap();
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("&lt;script&gt;"));
    for text in [&hostile.subject, &hostile.text, &html] {
        assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}') && !text.contains('\r'));
        assert!(!text.lines().any(|line| line.starts_with("Bcc:")));
        assert!(text.contains("{{ 7*7 }}"), "no template is made of event text");
    }
    assert!(!hostile.subject.contains('\n'));
    assert!(!hostile.text.contains("aws cloudwatch"), "no command is offered for such a name");
}

#[test]
fn commands_are_quoted() {
    let command = |name: &str| {
        let text = mail(changed(transition(), |t| t.alarm.name = name.to_owned())).text;
        text.lines()
            .find(|line| line.contains("--alarm-name "))
            .map(|line| line.rsplit_once("--alarm-name ").unwrap().1.to_owned())
    };
    assert_eq!(command("plain-name_1").as_deref(), Some("plain-name_1"));
    assert_eq!(command("Denied access ä").as_deref(), Some("'Denied access ä'"));
    assert_eq!(command("a'; rm -rf $HOME #").as_deref(), Some(r"'a'\''; rm -rf $HOME #'"));
    assert_eq!(command("-x").as_deref(), Some("'-x'"));
    assert_eq!(command("a\nb"), None);
}

#[test]
fn huge_values_stay_bounded() {
    let huge = "x\u{301}".repeat(100_000);
    let mail = mail(changed(denied(), |t| {
        t.alarm.name = huge.clone();
        t.alarm.description = Some(huge.clone());
        t.alarm.threshold = f64::MAX;
        t.alarm.period_s = i64::MAX;
        t.alarm.evaluation_periods = u32::MAX;
        t.value = Some(f64::NAN);
        t.window = Some((Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX)));
        t.late_by_ms = Some(i64::MIN);
        t.reason = huge.clone();
        t.evidence.events = u64::MAX;
        t.evidence.first = Some(Timestamp::from_millis(i64::MIN));
        t.evidence.last = Some(Timestamp::from_millis(i64::MAX));
        t.evidence.users = Tally { others: u64::MAX, ..tally(&[(&huge, u64::MAX), ("b", 0)]) };
        t.evidence.samples = vec![Sample { time: FIRST, line: huge.clone(), place: None }; 1_000];
    }));
    assert!(mail.subject.chars().count() <= SUBJECT_CHARS_MAX);
    assert!(mail.text.len() < 40_000, "{}", mail.text.len());
    assert!(mail.html.unwrap().len() < 100_000);
}

#[test]
fn published_messages_and_confirmations() {
    let published = |subject: Option<&str>| {
        written(&delivery(Content::Published {
            subject: subject.map(str::to_owned),
            message: "a\r\nb".to_owned(),
            attributes: BTreeMap::new(),
        }))
    };
    assert_eq!(published(Some("Hallo")).subject, "Hallo");
    assert_eq!(published(None).subject, "Nightbell Notification Message");
    let text = published(None).text;
    assert!(text.starts_with("a\nb\n\n----------------------------------------\n"), "{text}");
    assert!(text.contains("\nhttps://bell.example.org/unsubscribe?arn=a&t=1\n"));
    assert_eq!(published(None).html, None);

    let confirmation = |url: &str| {
        let content = Content::Confirmation { confirm_url: url.to_owned(), token: String::new() };
        written(&Delivery { unsubscribe_url: None, ..delivery(content) })
    };
    let asked = confirmation("https://bell.example.org/confirm?token=ab12");
    assert_eq!(asked.subject, "Nightbell - Subscription Confirmation");
    assert!(asked.text.contains("\nhttps://bell.example.org/confirm?token=ab12\n"));
    assert!(
        asked.html.unwrap().contains("href=\"https:&#x2f;&#x2f;bell.example.org&#x2f;confirm?token=ab12\"")
    );
    assert!(!asked.headers.iter().any(|(name, _)| name.starts_with("List-Unsubscribe")));
    let broken = confirmation("javascript:alert(1)");
    assert!(!broken.html.unwrap().contains("javascript") && !broken.text.contains("javascript"));
}

#[test]
fn a_trial_says_so_and_offers_nothing_that_was_never_there() {
    let alarm = changed(denied(), |t| t.incident = Some("26f673c6e2cecb22".to_owned()));
    let sent = delivery(Content::Alarm(Box::new(alarm)));
    let shown = |trial| {
        let enclosure = Enclosure { trial, ..Enclosure::default() };
        render(&Delivery { unsubscribe_url: None, ..sent.clone() }, &origin(), enclosure, sent.created)
    };
    let (mail, trial) = (shown(false), shown(true));
    assert_eq!(mail.subject, trial.subject);
    assert!(trial.text.starts_with(
        "BACKTEST: would have been sent. Nobody got this mail.\n\nawscorp\\fsxclient was denied access 6 times in "
    ));
    assert!(trial.text.ends_with("  Alarm       18:08:47.390  +40 ms\n"), "{}", trial.text);
    for gone in
        ["nightbell incidents", "aws cloudwatch", "You receive this", "You are receiving this", "Mailed"]
    {
        assert!(mail.text.contains(gone) && !trial.text.contains(gone), "{gone}");
    }
    let html = trial.html.unwrap();
    assert!(html.contains("BACKTEST: would have been sent.") && !html.contains("last event to mail"));
    assert!(!mail.html.unwrap().contains("BACKTEST"));
}

#[test]
fn headers_tell_programs_what_it_is() {
    let rows = [
        ("Auto-Submitted", "auto-generated"),
        ("X-Nightbell-Topic", "arn:aws:sns:us-east-2:123456789012:alerts"),
        ("X-Nightbell-State", "ALARM"),
        ("List-Unsubscribe", "<https://bell.example.org/unsubscribe?arn=a&t=1>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ];
    assert_eq!(mail(denied()).headers, rows.map(|(name, value)| (name, value.to_owned())));
    let hostile = Delivery {
        unsubscribe_url: Some("https://x/\r\nBcc: eve@example.org".to_owned()),
        topic: "a\r\nBcc: eve@example.org".to_owned(),
        id: "../../x\r\n<a>".to_owned(),
        ..delivery(Content::Published { subject: None, message: "m".to_owned(), attributes: BTreeMap::new() })
    };
    let mail = written(&hostile);
    assert_eq!(mail.id, "______x___a_");
    assert_eq!(mail.message_id, "<______x___a_@nightbell.example.org>");
    assert!(mail.headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
    assert!(!mail.text.contains("\nBcc"));
}

#[test]
fn the_same_delivery_is_the_same_mail() {
    assert_eq!(mail(many()), mail(many()));
    assert_eq!(mail(many()).message_id, "<5f0c2a@nightbell.example.org>");
}

#[test]
fn origins_are_checked() {
    assert!(Origin::new("Glöckchen <nightbell@example.org>", None).is_ok());
    let literal = Origin::new("nightbell@[127.0.0.1]", None).unwrap();
    let mail = render(
        &delivery(Content::Published { subject: None, message: "m".to_owned(), attributes: BTreeMap::new() }),
        &literal,
        Enclosure::default(),
        FIRST,
    );
    assert_eq!(mail.message_id, "<5f0c2a@nightbell.localhost>");
    for from in ["", "nightbell", "a@b\r\nBcc: c@d", "Nightbell <nightbell@>", "a@köln.example"] {
        assert_eq!(Origin::new(from, None), Err(InvalidOrigin::From), "{from:?}");
    }
    for url in ["bell.example.org", "ftp://x", "https://a b"] {
        assert_eq!(Origin::new("a@example.org", Some(url)), Err(InvalidOrigin::PublicUrl), "{url:?}");
    }
    let link = origin().alarm_url(&changed(transition(), |t| t.alarm.name = "a/b ä".to_owned()));
    assert_eq!(
        link.as_deref(),
        Some("https://bell.example.org/console/alarms/a%2Fb%20%C3%A4?region=us-east-2")
    );
}

fn any_tally() -> impl Strategy<Value = Tally> {
    let counts = proptest::collection::btree_map(any::<String>(), any::<u64>(), 0..4);
    (counts, any::<u64>()).prop_map(|(counts, others)| Tally {
        counts: counts.into_iter().map(|(value, count)| (value.into(), count)).collect(),
        others,
    })
}

proptest! {
    /// Whatever arrives, a mail comes out that can't break a header or a terminal.
    #[test]
    fn anything_becomes_a_clean_mail(
        events in any::<u64>(),
        tallies in proptest::collection::vec(any_tally(), 8),
        times in proptest::collection::vec(any::<i64>(), 4),
        name in any::<String>(),
        value in proptest::option::of(any::<f64>()),
    ) {
        let mail = mail(changed(denied(), |t| {
            t.alarm.name = name;
            t.value = value;
            t.at = Timestamp::from_millis(times[0]);
            let evidence = &mut t.evidence;
            evidence.events = events;
            evidence.first = Some(Timestamp::from_millis(times[1]));
            evidence.last = Some(Timestamp::from_millis(times[2]));
            evidence.last_arrival = Some(Timestamp::from_millis(times[3]));
            let [actions, outcomes, users, instances, sources, folders, files, reasons] =
                tallies.try_into().expect("eight were made");
            (evidence.actions, evidence.outcomes, evidence.users) = (actions, outcomes, users);
            (evidence.instances, evidence.sources, evidence.folders) = (instances, sources, folders);
            (evidence.files, evidence.reasons) = (files, reasons);
        }));
        prop_assert!(!mail.subject.chars().any(char::is_control));
        prop_assert!(mail.subject.chars().count() <= SUBJECT_CHARS_MAX);
        prop_assert!(!mail.text.chars().any(|c| c.is_control() && c != '\n'));
        crate::mime::message(&mail).expect("every mail can be sent");
    }
}
