/*!
Alarms on what is usual and on records that never came, and the commands that a mail shows.
*/

use nightbell_core::alarm::{CurvePoint, ExpressionMeasure};
use nightbell_core::math::{MetricQuery, MetricStat, Queried};
use nightbell_core::records;

use super::kinds::per;
use super::*;

const USUAL: &str = "usually 0–3 on Sunday nights (00–06), now 41";

/// An hour in periods of five minutes against a band, 41 in the last.
pub(crate) fn unusual() -> Transition {
    changed(denied(), |t| {
        let Measure::Series(single) = t.alarm.measure.clone() else { panic!("one series") };
        let entry = |id: &str, what| MetricQuery {
            id: id.to_owned(),
            label: None,
            return_data: true,
            period_s: None,
            account_id: None,
            what,
        };
        let stat =
            MetricStat { series: single.series, period_s: 300, statistic: single.statistic, unit: None };
        let band = Queried::Expression("ANOMALY_DETECTION_BAND(m1, 2)".to_owned());
        let entries = vec![entry("m1", Queried::Stat(stat)), entry("ad1", band)];
        t.alarm.measure = Measure::Expression(ExpressionMeasure { entries });
        t.alarm.name = "unusual-denials".to_owned();
        t.alarm.description = None;
        (t.alarm.period_s, t.alarm.threshold) = (300, 0.0);
        t.alarm.band = Some("ad1".to_owned());
        t.alarm.comparison = Comparison::GreaterThanUpperThreshold;
        t.value = Some(41.0);
        t.evidence.events = 41;
        for tally in [
            &mut t.evidence.actions,
            &mut t.evidence.outcomes,
            &mut t.evidence.users,
            &mut t.evidence.folders,
        ] {
            tally.counts.iter_mut().for_each(|(_, count)| *count = 41);
        }
        t.window = Some((t.at.plus_millis(-300_000), t.at));
        t.curve = (0..=24)
            .map(|n| CurvePoint {
                at: t.at.plus_millis((n - 24) * 300_000),
                value: if n == 24 { 41.0 } else { ((n * 7) % 5) as f64 * 0.75 },
            })
            .collect();
        t.band = Some((0..=24).map(|n| (0.0, 6.0 + (f64::from(n) / 4.0).sin() * 1.234)).collect());
        t.usual = Some(USUAL.to_owned());
    })
}

/// The same without events.
pub(super) fn unusual_number() -> Transition {
    changed(unusual(), |t| t.evidence = Evidence::default())
}

/// Twelve records of one event log.
pub(super) fn missing() -> Transition {
    let t = changed(transition(), |t| {
        t.alarm.name = "missing-events".to_owned();
        t.alarm.description = None;
        t.alarm.threshold = 1.0;
        t.alarm.comparison = Comparison::GreaterThanOrEqualToThreshold;
        t.value = Some(12.0);
        t.window = Some((t.at.plus_millis(-60_000), t.at));
        let last = FIRST.plus_millis(75_000);
        t.evidence = Evidence {
            events: 1,
            first: Some(FIRST),
            last: Some(last),
            instances: tally(&[("fs01", 1)]),
            ..Evidence::default()
        };
        let line = format!(
            "12 records of security on fs01 are missing: 1200 to 1211, between {} and {}",
            FIRST.plain(),
            last.plain()
        );
        t.evidence.samples = vec![Sample { time: last, line, place: None }];
    });
    let t = per(t, records::MISSING_METRIC, "Instance", "fs01");
    changed(t, |t| {
        let Measure::Query(query) = &mut t.alarm.measure else { panic!("a query") };
        query.text = query.text.replace("files", records::NAMESPACE);
    })
}

#[test]
fn what_is_unusual_is_told_beside_what_is_usual() {
    let mail = mail(unusual());
    assert_eq!(mail.subject, r"[ALARM] unusual: awscorp\fsxclient denied 41 times in \share\secret (5 min)");
    for part in [
        "\nDenied accesses: 41 at 18:08:47, band 0 to ",
        "Usually 0–3 on Sunday nights (00–06), now 41. This need not be wrong;",
        "  Rule        Sum above the band of what is usual in 5 min (was 41, band 0 to 5.7)\n",
    ] {
        assert!(mail.text.contains(part), "{part:?} is not in\n{}", mail.text);
    }
    let html = mail.html.unwrap();
    for part in [">&gt; 5.7</div>", ">0–3</div>", ">is usual on Sunday nights (00–06)</div>"] {
        assert!(html.contains(part), "{part:?} is not in\n{html}");
    }
    assert_eq!(
        super::mail(unusual_number()).subject,
        "[ALARM] unusual-denials: usually 0–3 on Sunday nights (00–06), now 41 (5 min)"
    );
    let untold = changed(unusual_number(), |t| (t.usual, t.band) = (None, None));
    assert_eq!(super::mail(untold).subject, "[ALARM] unusual-denials: Sum 41 above the usual (5 min)");
    let over = changed(unusual_number(), |t| (t.from, t.to, t.value) = (State::Alarm, State::Ok, Some(1.0)));
    assert_eq!(super::mail(over).subject, "[OK] unusual-denials: Sum 1 within the usual (5 min)");
}

#[test]
fn a_band_is_held_against_its_own_bound() {
    let line = |comparison, band| {
        let t = changed(unusual(), |t| {
            t.alarm.comparison = comparison;
            t.band = Some(vec![band; t.curve.len()]);
        });
        mail(t).html.unwrap()
    };
    let rows = [
        (Comparison::GreaterThanUpperThreshold, "&gt; 9.2</div>"),
        (Comparison::LessThanLowerThreshold, "&lt; 0.5</div>"),
        (Comparison::LessThanLowerOrGreaterThanUpperThreshold, "0.5 to 9.2</div>"),
    ];
    for (comparison, part) in rows {
        assert!(line(comparison, (0.51, 9.17)).contains(part), "{part}");
    }
    assert!(!line(Comparison::GreaterThanUpperThreshold, (0.0, f64::NAN)).contains("NaN"));
}

#[test]
fn missing_records_are_told_with_their_numbers() {
    let mail = mail(missing());
    assert_eq!(mail.subject, "[ALARM] 12 events on fs01 are missing (1 min)");
    assert!(mail.text.contains("these never came here"), "{}", mail.text);
    let several = changed(missing(), |t| {
        let gap = t.evidence.samples[0].clone();
        t.evidence.samples.push(gap);
        t.value = Some(24.0);
    });
    assert!(super::mail(several).text.starts_with("24 events on fs01 are missing between "));
}

#[test]
fn commands_reach_the_server_that_the_mail_came_from() {
    let text = |origin: &Origin| {
        let t = changed(denied(), |t| t.incident = Some("26f673c6e2cecb22".to_owned()));
        let delivery = delivery(Content::Alarm(Box::new(t)));
        render(&delivery, origin, Enclosure::default(), FIRST).text
    };
    let known = text(&origin().with_endpoint("http://[::1]:4510/").unwrap());
    for line in [
        "    nightbell incidents ack 26f673c6e2cecb22\n",
        "    nightbell incidents mute 26f673c6e2cecb22 --for 2h\n",
        "    aws cloudwatch disable-alarm-actions --endpoint-url 'http://[::1]:4510' --region us-east-2 --alarm-names \
         AccessDenied\n",
    ] {
        assert!(known.contains(line), "{line:?} is not in\n{known}");
    }
    assert!(!text(&origin()).contains("--endpoint-url"));
    assert_eq!(origin().with_endpoint("bell.example.org"), Err(InvalidOrigin::Endpoint));
}
