use super::*;
use crate::alarm::judge::{Point, judge};
use crate::alarm::{Measure, SeriesMeasure};
use crate::metric::Series;

/// 2021-06-01T18:00:00Z.
const START_S: i64 = 1_622_570_400;

fn alarm(n: u32, m: Option<u32>, missing_data: MissingData) -> MetricAlarm {
    MetricAlarm {
        arn: "arn:aws:cloudwatch:us-east-2:123456789012:alarm:AccessDenied".to_owned(),
        region: "us-east-2".to_owned(),
        name: "AccessDenied".to_owned(),
        description: None,
        actions_enabled: true,
        ok_actions: Vec::new(),
        alarm_actions: Vec::new(),
        insufficient_data_actions: Vec::new(),
        measure: Measure::Series(SeriesMeasure {
            series: Series::new("us-east-2", "folder/secret/4656", "4656", Vec::new()),
            unit: None,
            statistic: "Sum".to_owned(),
        }),
        period_s: 60,
        evaluation_periods: n,
        datapoints_to_alarm: m,
        threshold: 5.0,
        band: None,
        comparison: Comparison::GreaterThanThreshold,
        missing_data,
        evaluate_low_sample_count_percentile: String::new(),
        updated: Timestamp::from_millis(0),
    }
}

/// Slots newest first, the newest of them at 18:08; NaN is missing data.
fn slots(newest_first: &[f64]) -> Vec<Slot> {
    let slot = |(i, value): (usize, &f64)| {
        let point = Point { value: *value, samples: *value, breaching: *value > 5.0 };
        Slot { start: START_S + 8 * 60 - i as i64 * 60, point: (!value.is_nan()).then_some(point) }
    };
    newest_first.iter().enumerate().map(slot).collect()
}

const GAP: f64 = f64::NAN;

#[test]
fn texts() {
    use MissingData::{Breaching, Missing, NotBreaching};
    let rows: [(MetricAlarm, &[f64], &str); 12] = [
        (
            alarm(1, Some(1), NotBreaching),
            &[6.0, GAP, GAP],
            "Threshold Crossed: 1 out of the last 1 datapoints [6.0 (01/06/21 18:08:00)] was greater than the threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition).",
        ),
        (
            alarm(1, None, NotBreaching),
            &[6.0, GAP, GAP],
            "Threshold Crossed: 1 datapoint [6.0 (01/06/21 18:08:00)] was greater than the threshold (5.0).",
        ),
        (
            alarm(1, None, NotBreaching),
            &[4.0, GAP, GAP],
            "Threshold Crossed: 1 datapoint [4.0 (01/06/21 18:08:00)] was not greater than the threshold (5.0).",
        ),
        (
            alarm(3, Some(2), Missing),
            &[100.0, 0.0, 100.0, GAP, GAP],
            "Threshold Crossed: 2 out of the last 3 datapoints [100.0 (01/06/21 18:08:00), 100.0 (01/06/21 18:06:00)] were greater than the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition).",
        ),
        (
            alarm(3, Some(3), Missing),
            &[100.0, 0.0, 100.0, GAP, GAP],
            "Threshold Crossed: 1 out of the last 3 datapoints [0.0 (01/06/21 18:07:00)] was not greater than the threshold (5.0) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
        (
            alarm(3, Some(2), Missing),
            &[GAP, GAP, GAP, GAP, 100.0],
            "Threshold Crossed: 1 out of the last 3 datapoints [100.0 (01/06/21 18:04:00)] was greater than the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition).",
        ),
        (alarm(3, Some(2), Missing), &[GAP; 5], "Insufficient Data: 3 datapoints were unknown."),
        (alarm(1, None, Missing), &[GAP; 3], "Insufficient Data: 1 datapoint was unknown."),
        (
            alarm(3, Some(2), Breaching),
            &[GAP; 5],
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as [Breaching].",
        ),
        (
            alarm(1, None, NotBreaching),
            &[GAP; 3],
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [NonBreaching].",
        ),
        (
            alarm(3, Some(2), Breaching),
            &[GAP, 100.0, 0.0, GAP, GAP],
            "Threshold Crossed: 1 out of the last 3 datapoints [100.0 (01/06/21 18:07:00)] was greater than the threshold (5.0) and 1 missing datapoint was treated as [Breaching] (minimum 2 datapoints for OK -> ALARM transition).",
        ),
        (
            alarm(3, Some(2), Breaching),
            &[GAP, 100.0, GAP, GAP, GAP],
            "Threshold Crossed: 1 out of the last 3 datapoints [100.0 (01/06/21 18:07:00)] was greater than the threshold (5.0) and 2 missing datapoints were treated as [Breaching] (minimum 2 datapoints for OK -> ALARM transition).",
        ),
    ];
    for (alarm, newest_first, expected) in rows {
        let verdict = judge(&slots(newest_first), Rule::of(&alarm)).unwrap();
        assert_eq!(text(&alarm, &verdict), expected);
    }
}

#[test]
fn comparisons_in_words() {
    let rows = [
        (Comparison::GreaterThanOrEqualToThreshold, "was greater than or equal to the threshold"),
        (Comparison::GreaterThanThreshold, "was greater than the threshold"),
        (Comparison::LessThanThreshold, "was less than the threshold"),
        (Comparison::LessThanOrEqualToThreshold, "was less than or equal to the threshold"),
    ];
    for (comparison, expected) in rows {
        let mut alarm = alarm(1, None, MissingData::Missing);
        alarm.comparison = comparison;
        let verdict = judge(&slots(&[6.0]), Rule::of(&alarm)).unwrap();
        assert!(text(&alarm, &verdict).contains(expected), "{expected}");
    }
}

#[test]
fn data_of_one_point() {
    let alarm = alarm(1, Some(1), MissingData::NotBreaching);
    let verdict = judge(&slots(&[6.0, GAP, GAP]), Rule::of(&alarm)).unwrap();
    let now = Timestamp::from_millis(START_S * 1_000 + 575_501);
    assert_eq!(
        data(&alarm, &verdict, now),
        r#"{"version":"1.0","queryDate":"2021-06-01T18:09:35.501+0000","startDate":"2021-06-01T18:08:00.000+0000","statistic":"Sum","period":60,"recentDatapoints":[6.0],"threshold":5.0,"evaluatedDatapoints":[{"timestamp":"2021-06-01T18:08:00.000+0000","sampleCount":6.0,"value":6.0}]}"#
    );
}

#[test]
fn data_without_points_and_with_a_unit() {
    let mut alarm = alarm(1, None, MissingData::Missing);
    alarm.single_mut().unwrap().unit = Some("Count".to_owned());
    let verdict = judge(&slots(&[GAP, GAP, GAP]), Rule::of(&alarm)).unwrap();
    let now = Timestamp::from_millis(START_S * 1_000);
    assert_eq!(
        data(&alarm, &verdict, now),
        r#"{"version":"1.0","queryDate":"2021-06-01T18:00:00.000+0000","unit":"Count","statistic":"Sum","period":60,"recentDatapoints":[],"threshold":5.0,"evaluatedDatapoints":[{"timestamp":"2021-06-01T18:08:00.000+0000"}]}"#
    );
}

#[test]
fn recent_points_are_oldest_first() {
    let alarm = alarm(3, Some(2), MissingData::Missing);
    let verdict = judge(&slots(&[7.0, GAP, 0.0, 8.0, 9.0]), Rule::of(&alarm)).unwrap();
    let document: serde_json::Value =
        serde_json::from_str(&data(&alarm, &verdict, Timestamp::from_millis(0))).unwrap();
    assert_eq!(document["recentDatapoints"], serde_json::json!([8.0, 0.0, 7.0]));
    assert_eq!(document["startDate"], "2021-06-01T18:05:00.000+0000");
    assert_eq!(document["evaluatedDatapoints"][0]["value"], 7.0);
    assert_eq!(document["evaluatedDatapoints"][1]["value"], 8.0);
}

#[test]
fn long_reasons_stay_short() {
    let alarm = alarm(500, Some(400), MissingData::Missing);
    let verdict = judge(&slots(&[1e300; 502]), Rule::of(&alarm)).unwrap();
    assert!(text(&alarm, &verdict).len() < 1_023);
    assert!(data(&alarm, &verdict, Timestamp::from_millis(0)).len() < 4_000);
}

#[test]
fn doubles_as_java_writes_them() {
    let rows = [
        (6.0, "6.0"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (-12.5, "-12.5"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (0.00012345, "1.2345E-4"),
        (9_999_999.0, "9999999.0"),
        (9_999_999.5, "9999999.5"),
        (1e7, "1.0E7"),
        (12_345_678.0, "1.2345678E7"),
        (-1e7, "-1.0E7"),
        (1e21, "1.0E21"),
        (1.5e300, "1.5E300"),
        (100.0 / 3.0, "33.333333333333336"),
    ];
    for (value, expected) in rows {
        assert_eq!(double(value), expected);
    }
}
