use super::*;
use crate::message::tests::transition;

#[test]
fn the_notification_key_for_key() {
    let expected = r#"{"AlarmName":"AccessDenied","AlarmDescription":"Repeated denied access","AWSAccountId":"123456789012","AlarmConfigurationUpdatedTimestamp":"2021-06-01T18:00:00.000+0000","NewStateValue":"ALARM","NewStateReason":"Threshold Crossed: 1 out of the last 1 datapoints [6.0 (01/06/21 18:08:00)] was greater than the threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition).","StateChangeTime":"2021-06-01T18:09:35.501+0000","Region":"US East (Ohio)","AlarmArn":"arn:aws:cloudwatch:us-east-2:123456789012:alarm:AccessDenied","OldStateValue":"OK","ActionExecutedAfterMuteWindow":false,"OKActions":[],"AlarmActions":["arn:aws:sns:us-east-2:123456789012:alerts"],"InsufficientDataActions":[],"Trigger":{"MetricName":"4656","Namespace":"folder/secret/4656","StatisticType":"Statistic","Statistic":"SUM","Unit":null,"Dimensions":[],"Period":60,"EvaluationPeriods":1,"DatapointsToAlarm":1,"ComparisonOperator":"GreaterThanThreshold","Threshold":5.0,"TreatMissingData":"notBreaching","EvaluateLowSampleCountPercentile":""}}"#;
    assert_eq!(alarm_json(&transition()), expected);
}

#[test]
fn the_notification_without_and_with_options() {
    let mut t = transition();
    t.alarm.description = None;
    t.alarm.datapoints_to_alarm = None;
    t.alarm.single_mut().unwrap().unit = Some("Count".to_owned());
    t.alarm.single_mut().unwrap().statistic = "p99.9".to_owned();
    t.alarm.evaluate_low_sample_count_percentile = "ignore".to_owned();
    t.alarm.region = "werk-süd".to_owned();
    t.alarm.single_mut().unwrap().series.dimensions = vec![("Folder".to_owned(), r"\secret".to_owned())];
    t.alarm.missing_data = MissingData::Missing;
    let json = alarm_json(&t);
    for part in [
        r#""AlarmDescription":null"#,
        r#""Region":"werk-süd""#,
        r#""StatisticType":"ExtendedStatistic","ExtendedStatistic":"p99.9","Unit":"Count","#,
        r#""Dimensions":[{"value":"\\secret","name":"Folder"}],"Period":60,"EvaluationPeriods":1,"ComparisonOperator""#,
        r#""TreatMissingData":"missing","EvaluateLowSampleCountPercentile":"ignore"}}"#,
    ] {
        assert!(json.contains(part), "{part} is not in {json}");
    }
    for (statistic, spelling) in [
        ("SampleCount", "SAMPLE_COUNT"),
        ("Average", "AVERAGE"),
        ("Minimum", "MINIMUM"),
        ("Maximum", "MAXIMUM"),
    ] {
        t.alarm.single_mut().unwrap().statistic = statistic.to_owned();
        assert!(
            alarm_json(&t).contains(&format!(r#""StatisticType":"Statistic","Statistic":"{spelling}","#))
        );
    }
}

#[test]
fn subjects() {
    let subject = |name: &str, region: &str, to| {
        let mut t = transition();
        t.alarm.name = name.to_owned();
        t.alarm.region = region.to_owned();
        t.to = to;
        alarm_subject(&t)
    };
    let rows = [
        ("AccessDenied", "us-east-1", State::Alarm, r#"ALARM: "AccessDenied" in US East (N. Virginia)"#),
        ("AccessDenied", "us-east-2", State::Ok, r#"OK: "AccessDenied" in US East (Ohio)"#),
        ("AccessDenied", "site-7", State::InsufficientData, r#"INSUFFICIENT_DATA: "AccessDenied" in site-7"#),
        (
            "Zugriff verweigert ä",
            "eu-central-1",
            State::Alarm,
            r#"ALARM: "Zugriff verweigert _" in EU (Frankfurt)"#, // Z14
        ),
        ("a\r\n\u{7}ö b", "us-east-2", State::Alarm, r#"ALARM: "a_ b" in US East (Ohio)"#),
    ];
    for (name, region, to, expected) in rows {
        assert_eq!(subject(name, region, to), expected);
    }
    let cut = subject(&"n".repeat(200), "us-east-2", State::Alarm); // Z13
    assert_eq!(cut.len(), 100);
    assert_eq!(cut, format!(r#"ALARM: "{}..." in US East (Ohio)"#, "n".repeat(70)));
    assert_eq!(subject("n", &"r".repeat(500), State::InsufficientData).len(), 100);
}

#[test]
fn the_classic_text_column_for_column() {
    let mut t = transition();
    t.reason = "<reason>".to_owned();
    let expected = r#"You are receiving this email because your Nightbell alarm "AccessDenied" in the US East (Ohio) region has entered the ALARM state, because "<reason>" at "Tuesday 01 June, 2021 18:09:35 UTC".

View this alarm in the Nightbell console:
https://bell.example.org/x

Alarm Details:
- Name:                       AccessDenied
- Description:                Repeated denied access
- State Change:               OK -> ALARM
- Reason for State Change:    <reason>
- Timestamp:                  Tuesday 01 June, 2021 18:09:35 UTC
- AWS Account:                123456789012
- Alarm Arn:                  arn:aws:cloudwatch:us-east-2:123456789012:alarm:AccessDenied

Threshold:
- The alarm is in the ALARM state when the metric is GreaterThanThreshold 5.0 for at least 1 of the last 1 period(s) of 60 seconds.·

Monitored Metric:
- MetricNamespace:                     folder/secret/4656
- MetricName:                          4656
- Dimensions:·
- Period:                              60 seconds
- Statistic:                           Sum
- Unit:                                not specified
- TreatMissingData:                    notBreaching


State Change Actions:
- OK:·
- ALARM: [arn:aws:sns:us-east-2:123456789012:alerts]
- INSUFFICIENT_DATA:·
"#;
    // A middle dot stands for a blank at a line's end.
    assert_eq!(alarm_text(&t, Some("https://bell.example.org/x")), expected.replace('·', " "));
    t.alarm.single_mut().unwrap().series.dimensions =
        vec![("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())];
    t.alarm.single_mut().unwrap().unit = Some("Count".to_owned());
    let text = alarm_text(&t, None);
    assert!(!text.contains("View this alarm"));
    assert!(text.contains("- Dimensions:                          [a = 1], [b = 2]\n"), "{text}");
    assert!(text.contains("- Unit:                                Count\n"));
}

#[test]
fn an_alarm_on_a_band_lists_its_entries() {
    let t = crate::message::tests::bands::unusual();
    let json = alarm_json(&t);
    let trigger = json.split_once("\"Trigger\":").unwrap().1;
    assert_eq!(
        trigger,
        r#"{"Period":300,"EvaluationPeriods":1,"DatapointsToAlarm":1,"ComparisonOperator":"GreaterThanUpperThreshold","ThresholdMetricId":"ad1","TreatMissingData":"notBreaching","EvaluateLowSampleCountPercentile":"","Metrics":[{"Id":"m1","MetricStat":{"Metric":{"Dimensions":[],"MetricName":"4656","Namespace":"folder/secret/4656"},"Period":300,"Stat":"Sum"},"ReturnData":true},{"Expression":"ANOMALY_DETECTION_BAND(m1, 2)","Id":"ad1","Label":"ad1","ReturnData":true,"Period":300}]}}"#
    );
    let text = alarm_text(&t, None);
    for part in [
        "when the metric is GreaterThanUpperThreshold ad1 for at least 1 of the last 1 period(s) of 300 seconds.",
        "\nMonitored Metrics:\n- MetricNamespace:            folder/secret/4656\n",
        "- MetricExpression:           ANOMALY_DETECTION_BAND(m1, 2)\n- MetricLabel:                ad1\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}
