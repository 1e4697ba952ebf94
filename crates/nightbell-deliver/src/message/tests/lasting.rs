/*!
The chart of an incident that goes on or is over.
*/

use nightbell_core::alarm::CurvePoint;
use nightbell_core::delivery::IncidentMessage;
use nightbell_core::incident::{Extreme, Incident, Opening};

use super::super::course;
use super::super::kind::Kind;
use super::*;
use crate::chart::{self, Chart};

/// The incident of six denied accesses, and what came after: second since the first event, and how often.
fn message(later: &[(i64, u32)], ends_after_s: Option<i64>) -> IncidentMessage {
    let Transition { alarm, account, evidence, window, value, at, .. } = denied();
    let mut incident = Incident::open(
        at,
        Opening {
            alarm_arn: alarm.arn.clone(),
            alarm_name: alarm.name.clone(),
            contributor: None,
            window,
            value,
            count: 6.0,
            evidence,
            extreme: Extreme::Highest,
            muted_until: None,
        },
    );
    for &(second, times) in later {
        let at = FIRST.plus_millis(second * 1_000);
        let times64 = u64::from(times);
        let evidence = Evidence {
            events: times64,
            first: Some(at),
            last: Some(at),
            actions: tally(&[("open", times64)]),
            outcomes: tally(&[("failure", times64)]),
            users: tally(&[(r"awscorp\fsxclient", times64)]),
            folders: tally(&[(r"\share\secret", times64)]),
            ..Evidence::default()
        };
        let worst = CurvePoint { at: at.plus_millis(1_000), value: f64::from(times) };
        incident.observe(at.second(), f64::from(times), &evidence, Some(worst));
    }
    let note = match ends_after_s {
        Some(second) => incident.close(FIRST.plus_millis(second * 1_000)).unwrap(),
        None => incident.tick(at.plus_millis(300_000)).unwrap(),
    };
    IncidentMessage { alarm, account, note }
}

/// Five minutes: twice it was calm, and once it was worse than at the start.
pub(super) fn five_minutes() -> IncidentMessage {
    message(&[(70, 1), (130, 3), (131, 4), (140, 2), (200, 2), (280, 1)], None)
}

/// Six hours.
pub(super) fn six_hours() -> IncidentMessage {
    let later: Vec<(i64, u32)> = (0..700).map(|n| (60 + n * 30, 1 + (n * n % 7) as u32)).collect();
    message(&later, Some(21_700))
}

/// Over, long after the last event.
pub(super) fn over() -> IncidentMessage {
    message(&[(70, 1), (130, 3)], Some(4_000))
}

fn drawn(message: &IncidentMessage) -> Chart {
    course::chart(message, &Kind::Denied.look()).unwrap()
}

fn value_at(chart: &Chart, second: i64) -> Option<f64> {
    let at = FIRST.plus_millis(second * 1_000);
    chart.points.iter().find(|(end, _)| *end == at).map(|(_, value)| *value)
}

#[test]
fn a_short_one_shows_the_window_as_it_slid() {
    let chart = drawn(&five_minutes());
    assert_eq!((chart.period_s, chart.threshold, chart.unit.as_str()), (60, Some(5.0), "Sum in 1 min"));
    // A list and a sum: 0, 7, 13, 21, 30, 42 and what came later.
    let mut counted = vec![(0, 1), (7, 1), (13, 1), (21, 1), (30, 1), (42, 1)];
    counted.extend([(70, 1), (130, 3), (131, 4), (140, 2), (200, 2), (280, 1)]);
    let width_s = 5;
    assert!(chart.points.len() > 60);
    for (end, value) in &chart.points {
        let end = end.second() - FIRST.second();
        let in_window = counted.iter().filter(|(second, _)| (end - 60..end).contains(second));
        assert_eq!(*value, f64::from(in_window.map(|(_, n)| n).sum::<i32>()), "window to {end}");
        assert_eq!(end % width_s, 0);
    }
    assert_eq!((value_at(&chart, 45), value_at(&chart, 145)), (Some(6.0), Some(9.0)));
    let names: Vec<&str> = chart.marks.iter().map(|mark| mark.name.as_str()).collect();
    assert_eq!(names, ["start 18:08:47", "now 18:13:47"]);
    let alt = chart::alt(&chart);
    assert!(alt.starts_with("Denied accesses: 9 at 18:"), "{alt}");
    assert!(
        alt.contains(", line at 5; highest 9, lowest ") && alt.ends_with("; start 18:08:47; now 18:13:47")
    );
}

#[test]
fn one_that_is_over_falls_below_the_line() {
    let chart = drawn(&over());
    assert_eq!(chart.points.last().unwrap().1, 0.0, "the last event has left the window");
    let last = chart.points.last().unwrap().0.second() - FIRST.second();
    assert!((131 + 60..131 + 60 + 5).contains(&last), "{last}: the hour of silence squeezes nothing");
    assert_eq!(chart.marks[1].name, "over 19:14:45");
    let drawing = chart::svg(&chart);
    assert!(drawing.contains("over 19:14:45") && drawing.contains("<polygon"), "an arrow points there");
    let near = drawn(&message(&[(70, 1), (130, 3)], Some(220)));
    assert!(!chart::svg(&near).contains("<polygon"));
}

#[test]
fn a_long_one_shows_the_worst_windows() {
    let chart = drawn(&six_hours());
    assert_eq!((chart.threshold, chart.unit.as_str()), (Some(5.0), "Sum in 1 min, highest per 15 min"));
    assert!((20..=60).contains(&chart.points.len()), "{}", chart.points.len());
    assert!(chart.points.iter().all(|(_, value)| (1.0..=7.0).contains(value)), "windows, not sums");
}

#[test]
fn without_windows_it_shows_what_was_counted_and_no_line() {
    let mut message = five_minutes();
    let observed = [(70, 1), (130, 3), (300, 2)];
    let mut incident = message.note.incident.clone();
    incident = Incident::open(
        incident.started,
        Opening {
            alarm_arn: incident.alarm_arn,
            alarm_name: incident.alarm_name,
            contributor: None,
            window: denied().window,
            value: None,
            count: 600.0,
            evidence: denied().evidence,
            extreme: Extreme::Highest,
            muted_until: None,
        },
    );
    for (second, n) in observed {
        incident.observe(FIRST.second() + second, f64::from(n), &Evidence::default(), None);
    }
    message.note.incident = incident;
    let chart = drawn(&message);
    assert_eq!((chart.threshold, chart.unit.as_str(), chart.period_s), (None, "per 5 s", 5));
    assert_eq!(chart.points.iter().map(|(_, value)| value).sum::<f64>(), 606.0);
    message.note.incident.curve = nightbell_core::incident::Curve::new(Extreme::Highest);
    assert_eq!(course::chart(&message, &Kind::Denied.look()), None);
}

#[test]
fn the_mail_shows_it() {
    for (message, moment) in
        [(five_minutes(), "now 18:13:47"), (six_hours(), "over 00:09:45"), (over(), "over ")]
    {
        let mail = written(&delivery(Content::Incident(Box::new(message))));
        let [picture] = mail.inline.as_slice() else { panic!("one picture") };
        let html = mail.html.unwrap();
        assert!(html.contains(&format!("src=\"cid:{}\"", picture.content_id)));
        assert!(html.contains(moment) && mail.text.contains(moment), "{}", mail.text);
    }
}
