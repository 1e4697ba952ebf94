/*!
One alarm of each kind, with its curve: told apart at a glance, whole without pictures, small enough for every reader.
*/

use std::collections::BTreeSet;

use nightbell_core::alarm::{Contributor, CurvePoint, QueryMeasure};
use nightbell_core::budget::{Digest, DigestLine, MessageKind, Tallied};
use nightbell_core::delivery::IncidentMessage;
use nightbell_core::incident::{Acknowledgement, Extreme, Incident, News, Note, NoteKind, Opening};

use super::bands::{missing, unusual, unusual_number};
use super::*;

/// Half an hour of a sliding window that is calm, and then rises to `peak` within `rise_s`.
fn curve(at: Timestamp, peak: f64, rise_s: i64) -> Vec<CurvePoint> {
    let calm = |n: i64| if n % 230 < 40 { (peak / 8.0).floor() } else { 0.0 };
    (0..=300)
        .map(|n| {
            let left_s = (300 - n) * 6;
            let risen =
                if left_s < rise_s { (peak * (1.0 - left_s as f64 / rise_s as f64)).ceil() } else { 0.0 };
            CurvePoint { at: at.plus_millis(-left_s * 1_000), value: calm(n).max(risen) }
        })
        .collect()
}

fn with_curve(transition: Transition, rise_s: i64) -> Transition {
    changed(transition, |t| t.curve = curve(t.at, t.value.unwrap_or(6.0), rise_s))
}

pub(super) fn per(transition: Transition, metric: &str, name: &str, value: &str) -> Transition {
    changed(transition, |t| {
        t.alarm.measure = Measure::Query(QueryMeasure {
            id: "q".to_owned(),
            label: None,
            text: format!("SELECT SUM({metric}) FROM \"files\" GROUP BY {name}"),
        });
        t.contributor = Some(Contributor {
            id: "00f1a2b3c4d5e6f7".to_owned(),
            attributes: vec![(name.to_owned(), value.to_owned())],
        });
    })
}

fn sampled(evidence: &mut Evidence, lines: &[String]) {
    let time = |n: usize| FIRST.plus_millis(n as i64 * 3_100);
    evidence.samples = lines
        .iter()
        .enumerate()
        .map(|(n, line)| Sample { time: time(n), line: line.clone(), place: None })
        .collect();
}

fn spray() -> Transition {
    let mut t = logons();
    t.alarm.name = "password-spray".to_owned();
    t.alarm.description = Some("many accounts tried from one address".to_owned());
    t.value = Some(23.0);
    t.alarm.threshold = 10.0;
    let accounts: Vec<String> = (0..23).map(|n| format!(r"corp\user{n:02}")).collect();
    let evidence = &mut t.evidence;
    evidence.events = 40;
    evidence.actions = tally(&[("logon", 40)]);
    evidence.outcomes = tally(&[("failure", 40)]);
    evidence.users = tally(
        &accounts
            .iter()
            .enumerate()
            .map(|(n, name)| (name.as_str(), 1 + u64::from(n < 17)))
            .collect::<Vec<_>>(),
    );
    evidence.instances = tally(&[("dc01", 31), ("dc02", 9)]);
    evidence.sources = tally(&[("203.0.113.77", 40)]);
    evidence.reasons = tally(&[("wrong password", 36), ("no such user", 4)]);
    let lines: Vec<String> = accounts[..10]
        .iter()
        .map(|name| format!("{name} failed to log on to dc01 from 203.0.113.77: wrong password (Network)"))
        .collect();
    sampled(evidence, &lines);
    per(with_curve(t, 240), "Accounts", "Source", "203.0.113.77")
}

fn deletion() -> Transition {
    let mut t = denied();
    t.alarm.name = "mass-delete".to_owned();
    t.alarm.description = Some("files deleted, counted per user".to_owned());
    t.alarm.threshold = 100.0;
    t.value = Some(412.0);
    let evidence = &mut t.evidence;
    evidence.events = 412;
    evidence.actions = tally(&[("delete", 412)]);
    evidence.outcomes = tally(&[("success", 412)]);
    evidence.users = tally(&[(r"corp\mallory", 412)]);
    evidence.folders = tally(&[
        (r"\projects\2021\harbour", 201),
        (r"\projects\2021\tunnel", 150),
        (r"\projects\2021\tunnel\drawings and calculations of the northern entrance", 61),
    ]);
    let files: Vec<String> = (0..64).map(|n| format!(r"\projects\2021\harbour\sheet-{n:03}.dwg")).collect();
    evidence.files = tally(&files.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
    evidence.files.others = 348;
    evidence.instances = tally(&[("fs01", 412)]);
    evidence.sources = tally(&[("10.2.0.44", 412)]);
    let lines: Vec<String> =
        files[..10].iter().map(|name| format!(r"corp\mallory deleted {name} at fs01")).collect();
    sampled(evidence, &lines);
    per(with_curve(t, 90), "Deleted", "User", r"corp\mallory")
}

fn cleared() -> Transition {
    let mut t = denied();
    t.alarm.name = "log-cleared".to_owned();
    t.alarm.description = None;
    t.alarm.threshold = 1.0;
    t.alarm.comparison = Comparison::GreaterThanOrEqualToThreshold;
    t.value = Some(1.0);
    t.at = FIRST.plus_millis(180);
    t.evidence = Evidence {
        events: 1,
        first: Some(FIRST),
        last: Some(FIRST),
        last_arrival: Some(FIRST.plus_millis(140)),
        actions: tally(&[("log-cleared", 1)]),
        outcomes: tally(&[("success", 1)]),
        users: tally(&[(r"corp\eve", 1)]),
        instances: tally(&[("dc01", 1)]),
        ..Evidence::default()
    };
    sampled(&mut t.evidence, &[r"corp\eve cleared the log Security at dc01".to_owned()]);
    with_curve(t, 6)
}

fn lockout() -> Transition {
    let mut t = cleared();
    t.alarm.name = "lockout".to_owned();
    t.evidence.actions = tally(&[("lockout", 1)]);
    t.evidence.users = tally(&[("bob", 1)]);
    t.evidence.sources = tally(&[("ws-117", 1)]);
    sampled(&mut t.evidence, &["bob was locked out after attempts from ws-117, told by dc01".to_owned()]);
    t
}

fn silent() -> Transition {
    let mut t = transition();
    t.alarm.name = "silent-machine".to_owned();
    t.alarm.description = Some("machines that stopped sending".to_owned());
    t.alarm.threshold = 1.0;
    t.alarm.comparison = Comparison::LessThanThreshold;
    t.alarm.missing_data = MissingData::Breaching;
    t.alarm.period_s = 600;
    t.value = None;
    t.reason = NO_DATA.to_owned();
    t.window = Some((t.at.plus_millis(-600_000), t.at));
    t.curve = (0..=60)
        .map(|n| {
            let left_s = (60 - n) * 60;
            let value =
                if left_s > 600 { f64::from(400 + (n as i32 * 37) % 90) } else { (left_s * 40 / 60) as f64 };
            CurvePoint { at: t.at.plus_millis(-left_s * 1_000), value }
        })
        .collect();
    per(t, "Events", "Instance", "fs01")
}

fn reading() -> Transition {
    changed(deletion(), |t| {
        t.alarm.name = "mass-read".to_owned();
        t.evidence.actions = tally(&[("read", 412)]);
        t.evidence.samples.clear();
    })
}

fn number() -> Transition {
    with_curve(changed(transition(), |t| t.window = Some((t.at.plus_millis(-60_000), t.at))), 40)
}

fn over() -> Transition {
    changed(with_curve(denied(), 60), |t| {
        (t.from, t.to, t.value) = (State::Alarm, State::Ok, Some(0.0));
        t.evidence = Evidence::default();
    })
}

fn kinds() -> Vec<(&'static str, Transition)> {
    vec![
        ("denied", with_curve(denied(), 60)),
        ("many", changed(with_curve(many(), 200), |t| t.late_by_ms = Some(200_000))),
        ("logons", with_curve(logons(), 240)),
        ("spray", spray()),
        ("deletion", deletion()),
        ("reading", reading()),
        ("cleared", cleared()),
        ("lockout", lockout()),
        ("silent", silent()),
        ("missing", missing()),
        ("unusual", unusual()),
        ("number", number()),
        ("over", over()),
        ("unknown", changed(transition(), |t| t.to = State::InsufficientData)),
    ]
}

#[test]
fn each_kind_has_its_own_colour_label_and_headline() {
    let headlines: Vec<(&str, String)> = kinds()
        .into_iter()
        .map(|(name, t)| (name, mail(t).text.lines().next().unwrap_or_default().to_owned()))
        .collect();
    let starts = [
        ("denied", r"awscorp\fsxclient was denied access 6 times in \share\secret between "),
        ("many", "3 users were denied access 19 times in "),
        ("logons", "16 failed logons on win, account alice, from 10.0.0.5 between "),
        ("spray", "203.0.113.77 tried 23 accounts 40 times on 2 machines between "),
        ("deletion", r"412 deletions by corp\mallory in 3 folders under \projects\2021 on fs01 between "),
        ("reading", r"412 reads by corp\mallory in 3 folders"),
        ("cleared", r"1 cleared log by corp\eve on dc01 at 2021-06-01 18:08:05 UTC."),
        ("lockout", "1 lockout on dc01, account bob, from ws-117 at 2021-06-01 18:08:05 UTC."),
        ("silent", "fs01 has been silent for 10 min from 2021-06-01 17:59:35 to 18:09:35 UTC."),
        (
            "missing",
            "12 records of security on fs01 are missing: 1200 to 1211 between 2021-06-01 18:08:05 and ",
        ),
        ("unusual", r"awscorp\fsxclient was denied access 41 times in \share\secret between "),
        ("number", "Sum of 4656 was 6 from "),
        ("over", "Back to OK: Sum of 4656 was 0 from "),
        ("unknown", "Too little data to judge Sum of 4656 at "),
    ];
    for ((name, headline), (same, start)) in headlines.iter().zip(starts) {
        assert_eq!(*name, same);
        assert!(headline.starts_with(start), "{name}: {headline}");
    }
    let colours: BTreeSet<String> = kinds()
        .into_iter()
        .map(|(_, t)| mail(t).html.unwrap())
        .map(|html| html.split_once("bgcolor=\"").unwrap().1[..7].to_owned())
        .collect();
    assert_eq!(colours.len(), kinds().len() - 1, "but for two mails about denied access: {colours:?}");
}

#[test]
fn subjects_of_contributors_name_them() {
    assert_eq!(mail(silent()).subject, "[ALARM] fs01 has been silent for 10 min");
    assert_eq!(
        mail(spray()).subject,
        "[ALARM] 203.0.113.77 tried 23 accounts 40 times on 2 machines (5 min)"
    );
    let bare = per(transition(), "Denied", "Folder", r"\secret");
    assert_eq!(mail(bare).subject, r"[ALARM] AccessDenied: Sum 6 > 5 (1 min), Folder=\secret");
}

#[test]
fn what_tells_most_stands_first() {
    let position =
        |text: &str, part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in\n{text}"));
    let text = mail(spray()).text;
    assert!(position(&text, "\nAddress ") < position(&text, "\nMachines\n"));
    assert!(position(&text, "\nMachines\n") < position(&text, "\nAccounts\n"));
    let text = mail(deletion()).text;
    assert!(position(&text, "\nUser ") < position(&text, "\nFolders\n"));
    assert!(position(&text, "\nFolders\n") < position(&text, "\nFiles\n"));
}

#[test]
fn mails_are_small_and_whole_without_pictures() {
    for (name, t) in kinds() {
        let chart = !t.curve.is_empty();
        let mail = mail(t);
        let html = mail.html.unwrap();
        assert!(html.len() < 40_000, "{name}: {}", html.len());
        assert_eq!(mail.inline.len(), usize::from(chart), "{name}");
        if let Some(picture) = mail.inline.first() {
            assert!(picture.content.len() < 40_000, "{name}: {}", picture.content.len());
            assert!(html.contains(&format!("src=\"cid:{}\"", picture.content_id)), "{name}");
            assert!(html.contains("highest "), "{name}: words stand in for the picture");
            assert!(mail.text.contains(" UTC\n"), "{name}");
        }
    }
    let text = mail(with_curve(denied(), 60)).text;
    assert!(
        text.contains(
            "█\nDenied accesses: 6 at 18:08:47, line at 5; highest 6, lowest 0 since 17:38:47 UTC\n"
        ),
        "{text}"
    );
}

#[test]
fn a_topic_may_write_its_own_html() {
    let (own, broken) =
        (Template::parse("<b>{{ headline }}</b>{{ body }}"), Template::parse("{{ nothing }}"));
    let html = |template: &Template| {
        let delivery = delivery(Content::Alarm(Box::new(denied())));
        let enclosure = Enclosure { template: Some(template), ..Enclosure::default() };
        render(&delivery, &origin(), enclosure, FIRST).html.unwrap()
    };
    let written = html(&own.unwrap());
    assert!(written.starts_with(r"<b>awscorp\fsxclient was denied access 6 times"), "{written}");
    let fallen_back = html(&broken.unwrap());
    assert!(fallen_back.starts_with("<!doctype html>"));
    assert!(fallen_back.contains("The topic&#x27;s own template could not be used: line 1: undefined value"));
}

#[test]
fn events_travel_as_they_came() {
    let events = [RawEvent { time: FIRST, message: "<Event><System/></Event>".to_owned() }];
    let enclosure = Enclosure { events: &events, ..Enclosure::default() };
    let mail = render(&delivery(Content::Alarm(Box::new(denied()))), &origin(), enclosure, FIRST);
    assert_eq!(mail.attachments.len(), 1);
    assert_eq!(mail.attachments[0].name, "events.xml");
}

/// Twelve minutes of denied access; seven more came since the last message.
pub(super) fn note(kind: NoteKind) -> Note {
    let whole = many().evidence;
    let mut incident = Incident::open(
        FIRST.plus_millis(42_390),
        Opening {
            alarm_arn: "arn:aws:cloudwatch:us-east-2:123456789012:alarm:AccessDenied".to_owned(),
            alarm_name: "AccessDenied".to_owned(),
            contributor: None,
            window: None,
            value: Some(6.0),
            count: 6.0,
            evidence: whole.clone(),
            extreme: Extreme::Highest,
            muted_until: None,
        },
    );
    let at = FIRST.plus_millis(762_390);
    incident.count = 19.0;
    incident.peak = Some(CurvePoint { at: FIRST.plus_millis(90_000), value: 9.0 });
    if kind == NoteKind::End {
        incident.ended = Some(at);
        incident.acknowledged =
            Some(Acknowledgement { at: FIRST.plus_millis(300_000), who: "ann\r\nBcc: x".to_owned() });
    }
    let news = Evidence { events: 7, samples: whole.samples[..3].to_vec(), ..Evidence::default() };
    let news = News { points: 7, count: 7.0, evidence: news };
    Note { kind, number: 2, at, since: FIRST.plus_millis(342_390), news, incident }
}

fn digest() -> Digest {
    let line = |n: u32| DigestLine {
        kind: if n < 20 { MessageKind::First } else { MessageKind::Update },
        alarm: if n.is_multiple_of(3) { "denied-access" } else { "failed-logons" }.to_owned(),
        attributes: vec![("Instance".to_owned(), format!("srv-{n:02}<b>\u{202e}"))],
        value: f64::from(6 + n),
        threshold: Some(5.0),
        incident: format!("{n:016x}"),
        at: FIRST.plus_millis(i64::from(n) * 40),
    };
    Digest {
        number: 3,
        at: FIRST.plus_millis(900),
        since: FIRST,
        lines: (0..23).map(line).collect(),
        more: 412,
        more_differ: false,
        tallied: Tallied { firsts: 432, updates: 3, ends: 1 },
    }
}

fn noted(kind: NoteKind) -> Mail {
    let Transition { alarm, account, .. } = many();
    let message = IncidentMessage { alarm, account, note: note(kind) };
    written(&delivery(Content::Incident(Box::new(message))))
}

fn digested(digest: &Digest) -> Mail {
    written(&delivery(Content::Digest(Box::new(digest.clone()))))
}

#[test]
fn an_incident_goes_on_and_is_over() {
    let update = noted(NoteKind::Update);
    assert_eq!(
        update.subject,
        r"[ALARM] still: 3 users denied 19 times in \secret on srvdefender01 (12 min)"
    );
    for part in [
        "Still going on after 12 min: 3 users were denied access 19 times in ",
        "  and 4 more\n",
        "  Rule        Sum > 5 in 5 min\n",
        "  Message     number 2, the one before at 2021-06-01 18:13:47 UTC\n",
        "    nightbell incidents ack ",
    ] {
        assert!(update.text.contains(part), "{part:?} is not in\n{}", update.text);
    }
    assert!(update.html.unwrap().contains(">since the last message<"));
    let end = noted(NoteKind::End);
    assert!(end.subject.starts_with("[OK] over: 3 users denied 19 times in "), "{}", end.subject);
    assert!(end.text.contains("from 2021-06-01 18:08:47 to 18:20:47 UTC"), "{}", end.text);
    assert!(end.text.contains("  Taken by    ann  Bcc: x (2021-06-01 18:13:05 UTC)\n"), "{}", end.text);
    assert!(!end.text.contains("incidents ack") && end.text.contains("incidents show"));
    let first = mail(changed(denied(), |t| t.incident = Some("26f673c6e2cecb22".to_owned()))).text;
    assert!(first.contains("    nightbell incidents ack 26f673c6e2cecb22\n"));
    let hostile = mail(changed(denied(), |t| t.incident = Some("x; rm -rf /".to_owned()))).text;
    assert!(!hostile.contains("nightbell incidents"));
}

#[test]
fn a_digest_names_each_and_counts_the_rest() {
    let mail = digested(&digest());
    assert_eq!(
        mail.subject,
        "[ALARM] 432 machines over the line in 2 or more alarms, 3 go on, 1 is over: srv-19<b>\u{fffd} (25), \
         srv-18<b>\u{fffd} (24), srv-17<b>\u{fffd} (23) …"
    );
    for part in [
        "Alarms\n      15  failed-logons\n       8  denied-access\n",
        "  18:08:05.000  started: denied-access, Instance=srv-00<b>\u{fffd} (6), incident 0000000000000000\n",
        "  and 412 more\n",
    ] {
        assert!(mail.text.contains(part), "{part:?} is not in\n{}", mail.text);
    }
    assert!(mail.inline[0].content.starts_with(b"\x89PNG"));
    let html = mail.html.unwrap();
    assert!(!html.contains("<b>") && html.contains(&format!("src=\"cid:{}\"", mail.inline[0].content_id)));
    let mut large = digest();
    large.lines = vec![large.lines[0].clone(); 10_000];
    let large = digested(&large);
    let html = large.html.unwrap();
    assert!(html.len() < 100_000 && html.contains("10312 more"), "{} bytes", html.len());
    assert!(large.text.contains("  and 9912 more\n"), "the text names all that have a line");
    let empty = Digest { lines: Vec::new(), tallied: Tallied::default(), ..digest() };
    assert_eq!(digested(&empty).subject, "[OK] nothing new");
}

/// Writes the mails of the fixtures to the folder that `NIGHTBELL_MAIL_SAMPLES` names, to be looked at.
#[test]
fn samples_for_the_eye() {
    use base64::Engine as _;
    let Some(folder) = std::env::var_os("NIGHTBELL_MAIL_SAMPLES") else {
        println!("skipped: NIGHTBELL_MAIL_SAMPLES names no folder");
        return;
    };
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let confirmation = Content::Confirmation {
        confirm_url: "https://bell.example.org/confirm?token=ab12".to_owned(),
        token: String::new(),
    };
    let incident = |message| written(&delivery(Content::Incident(Box::new(message))));
    let trial = Enclosure { trial: true, ..Enclosure::default() };
    let trial = render(&delivery(Content::Alarm(Box::new(denied()))), &origin(), trial, FIRST);
    let mails = kinds().into_iter().map(|(name, t)| (name, mail(t)));
    let others = [
        ("unusual-number", mail(unusual_number())),
        ("composite", written(&delivery(Content::Composite(Box::new(composite::tests::transition()))))),
        ("confirmation", written(&delivery(confirmation))),
        ("goes-on", noted(NoteKind::Update)),
        ("ended", noted(NoteKind::End)),
        ("digest", digested(&digest())),
        ("digest-storm", digested(&gathered::storm())),
        ("goes-on-5-min", incident(lasting::five_minutes())),
        ("over-6-h", incident(lasting::six_hours())),
        ("over-after-silence", incident(lasting::over())),
        ("trial", trial),
    ];
    for (name, mail) in mails.chain(others) {
        std::fs::write(folder.join(format!("{name}.eml")), crate::mime::message(&mail).unwrap().formatted())
            .unwrap();
        let mut html = mail.html.unwrap();
        for picture in &mail.inline {
            let content = base64::engine::general_purpose::STANDARD.encode(&picture.content);
            let source = format!("data:{};base64,{content}", picture.media_type);
            html = html.replace(&format!("cid:{}", picture.content_id), &source);
        }
        std::fs::write(folder.join(format!("{name}.html")), html).unwrap();
        std::fs::write(folder.join(format!("{name}.txt")), format!("{}\n\n{}", mail.subject, mail.text))
            .unwrap();
    }
}
