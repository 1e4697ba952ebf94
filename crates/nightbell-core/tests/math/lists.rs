/*! Entries that belong together: what they come to, what they are called, and which lists are refused. */

use nightbell_core::math::{
    ALARM_EXPRESSIONS_MAX, ALARM_METRICS_MAX, ENTRIES_MAX, EXPRESSION_CHARS_MAX, Fault, Purpose, Queries,
};

use super::*;

#[test]
fn entries_build_on_each_other_and_are_asked_for_once() {
    let mut entries = vec![
        expression("e3", "e2 + e1 + m1"),
        expression("e2", "e1 * e1"),
        expression("e1", "m1 + m1"),
        stat("m1"),
        stat("unused"),
    ];
    let world = World::new(&[("m1", "1 -"), ("unused", "1 1")]);
    assert_eq!(show(&evaluate(&entries, "e3", &world).unwrap()), "7 -");
    assert_eq!(world.asked.get(), 1);

    entries[0].return_data = true;
    entries[1].return_data = true;
    let queries = Queries::check(&entries, Purpose::Data).unwrap();
    let all = queries.evaluate_returned(&world).unwrap();
    let shown: Vec<_> = all.iter().map(|(entry, outcome)| (entry.id.as_str(), show(outcome))).collect();
    assert_eq!(shown, [("e3", "7 -".to_owned()), ("e2", "4 -".to_owned())]);
    assert_eq!(world.asked.get(), 2);
}

#[test]
fn results_are_called_by_label_or_id() {
    let named = |label: Option<&str>, text| {
        let entries = [
            stat("m1"),
            stat("m2"),
            MetricQuery { label: label.map(str::to_owned), ..expression("e", text) },
        ];
        let world = World::new(&[("m1", "1"), ("m2", "2")]);
        match evaluate(&entries, "e", &world).unwrap() {
            Outcome::Series(lines) => lines.into_iter().map(|line| line.label).collect::<Vec<_>>().join(";"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(named(None, "m1 + m2"), "e");
    assert_eq!(named(Some("Denied"), "m1 + m2"), "Denied");
    assert_eq!(named(Some("Filled"), "FILL(METRICS(), 0)"), "Filled m1;Filled m2");
    assert_eq!(named(Some(""), "FILL(METRICS(), 0)"), "m1;m2");
    assert_eq!(named(None, "SORT(METRICS(), SUM, DESC)"), "e m2;e m1");
}

#[test]
fn a_query_is_an_input_of_one_or_several_series() {
    let grouped = "select SUM(Denied) FROM \"GROUP BY\" GROUP BY Folder";
    for (text, asks, expected) in [
        (grouped, "q", "1 2 | 3 -"),
        (grouped, "SUM(q)", "4 2"),
        ("SELECT SUM(\"GROUP BY\") FROM files", "q", "1 2"),
        ("SELECT SUM(Denied) FROM files", "SUM(q)", "= 3"),
    ] {
        let entries = [expression("q", text), expression("e", asks)];
        let world = World::new(&[("q", "1 2 | 3 -")]);
        assert_eq!(show(&evaluate(&entries, "e", &world).unwrap()), expected, "{text} {asks}");
    }
    assert_eq!(expression("q", "SELECTED").select(), None);
    assert_eq!(expression("q", " sELECT x ").select(), Some("sELECT x"));
    assert_eq!(stat("m1").select(), None);
}

#[test]
fn work_is_bounded_whatever_the_entries_say() {
    let mut entries: Vec<MetricQuery> = (0..250).map(|i| stat(&format!("m{i}"))).collect();
    entries.push(expression("e0", "METRICS()"));
    let many = "e0,".repeat(600);
    entries.push(expression("e1", &format!("[{many}e0]")));
    entries.extend((2..ENTRIES_MAX - 250).map(|i| expression(&format!("e{i}"), &format!("-e{}", i - 1))));
    let last = entries.last().unwrap().id.clone();
    let world = World { points: 1_440, ..World::new(&[]) };
    assert_eq!(evaluate(&entries, &last, &world).unwrap_err().fault, Fault::Points);
}

#[test]
fn operands_of_the_wrong_kind_are_refused() {
    let rows = [
        ("METRICS() + METRICS()", "+: '[Array of TimeSeries, Array of TimeSeries]'"),
        ("m1 < METRICS() ^ [m1]", "^: '[Array of TimeSeries, Array of TimeSeries]'"),
        ("[m1, 5]", "[]: '[Scalar]'"),
        ("SUM(5)", "SUM: '[Scalar]'"),
        ("RATE(SUM(m1))", "RATE: '[Scalar]'"),
        ("DAY(METRICS())", "DAY: '[Array of TimeSeries]'"),
        ("FILL(m1, METRICS())", "FILL: '[TimeSeries, Array of TimeSeries]'"),
        ("FILL(5, m1)", "FILL: '[Scalar, TimeSeries]'"),
        ("IF(METRICS() > 1, 1, 0)", "IF: '[Array of TimeSeries, Scalar, Scalar]'"),
        ("TIME_SERIES(m1)", "TIME_SERIES: '[TimeSeries]'"),
        ("FIRST(m1)", "FIRST: '[TimeSeries]'"),
        ("SLICE(METRICS(), m1)", "SLICE: '[Array of TimeSeries, TimeSeries]'"),
        ("REMOVE_EMPTY(m1)", "REMOVE_EMPTY: '[TimeSeries]'"),
        ("METRIC_COUNT(m1)", "METRIC_COUNT: '[TimeSeries]'"),
    ];
    for (text, expected) in rows {
        let error = Queries::read(&[stat("m1"), expression("e1", text)]).unwrap_err().to_string();
        let start =
            format!("Error in expression 'e1': Unsupported operand type(s) for {expected}; it takes ");
        assert!(error.starts_with(&start), "{text}: {error}");
    }
}

#[test]
fn lists_out_of_order_are_refused() {
    let rows: [(Vec<MetricQuery>, &str); 12] = [
        (vec![], "Invalid metrics list: it is empty"),
        (vec![stat("m1"); ENTRIES_MAX + 1], "Invalid metrics list: it has more than 500 elements"),
        (vec![stat("M1")], "Invalid metrics list: the id 'M1' must be a lower-case letter"),
        (vec![stat("m.1")], "Invalid metrics list: the id 'm.1' must be"),
        (vec![stat("")], "Invalid metrics list: the id '' must be"),
        (vec![stat("m1"), stat("m1")], "Invalid metrics list: the id 'm1' is used more than once"),
        (
            vec![expression("e1", "1 + m1")],
            "Error in expression 'e1': Unrecognized metric 'm1' (at character 5)",
        ),
        (vec![expression("e1", "e1 + 1")], "Error in expression 'e1': Circular dependency"),
        (
            vec![expression("e1", "e2"), expression("e2", "-e3"), expression("e3", "ABS(e2)")],
            "Error in expression 'e2': Circular dependency in the metrics list",
        ),
        (
            vec![expression("q", &format!("SELECT {}", "x".repeat(EXPRESSION_CHARS_MAX)))],
            "Error in expression 'q': Expressions have at most 2048 characters",
        ),
        (
            vec![stat("m1"), expression("e1", "-m1"), expression("e2", "PERIOD(e1)")],
            "Error in expression 'e2': Function 'PERIOD' takes the id of a metric (at character 1)",
        ),
        (
            vec![expression("q", "SELECT x"), expression("e2", "ANOMALY_DETECTION_BAND(q)")],
            "Error in expression 'e2': Function 'ANOMALY_DETECTION_BAND' takes the id of a metric",
        ),
    ];
    for (entries, expected) in rows {
        let error = Queries::read(&entries).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error} is not {expected}");
    }
}

fn with_period(period_s: i64, entry: MetricQuery) -> MetricQuery {
    MetricQuery { period_s: Some(period_s), ..entry }
}

fn changed(change: impl FnOnce(&mut MetricStat)) -> MetricQuery {
    let mut entry = returned(stat("m1"));
    let Queried::Stat(stat) = &mut entry.what else { unreachable!("it is a metric") };
    change(stat);
    entry
}

#[test]
fn alarms_watch_one_series_of_few_metrics_in_one_period() {
    let metrics = |count: usize| (0..count).map(|i| stat(&format!("m{i}"))).collect::<Vec<_>>();
    let joined = |mut entries: Vec<MetricQuery>, text: &str| {
        entries.push(returned(expression("e", text)));
        entries
    };
    let query = "SELECT SUM(Denied) FROM files GROUP BY Folder";
    let rows: [(Vec<MetricQuery>, Option<&str>); 16] = [
        (vec![returned(stat("m1"))], None),
        (joined(metrics(ALARM_METRICS_MAX), "SUM(METRICS())"), None),
        (vec![with_period(60, returned(expression("q", query)))], None),
        (vec![with_period(60, expression("q", query)), returned(expression("e", "MAX(q)"))], None),
        (
            joined(metrics(ALARM_METRICS_MAX + 1), "SUM(METRICS())"),
            Some("Invalid metrics list: it has more than 10 elements with MetricStat"),
        ),
        (
            (0..=ALARM_EXPRESSIONS_MAX).map(|i| expression(&format!("e{i}"), "TIME_SERIES(1)")).collect(),
            Some("Invalid metrics list: it has more than 10 elements with Expression"),
        ),
        (
            joined(vec![stat("m1")], "SUM(m1)"),
            Some("Error in expression 'e': The result must be a time series"),
        ),
        (
            joined(vec![stat("m1")], "METRICS()"),
            Some(
                "Metrics expression that return multi time series are only allowed for MetricsInsights expression",
            ),
        ),
        (
            joined(vec![stat("m1")], "ANOMALY_DETECTION_BAND(m1)"),
            Some("Metrics expression that return multi time series"),
        ),
        (vec![stat("m1")], Some("Exactly one element of the metrics list should return data.")),
        (
            joined(vec![returned(stat("m1"))], "-m1"),
            Some("Exactly one element of the metrics list should return data."),
        ),
        (
            vec![with_period(60, expression("q", query)), with_period(60, expression("r", query))],
            Some("Invalid metrics list: it has more than one Metrics Insights query"),
        ),
        (vec![returned(expression("e", "TIME_SERIES(1)"))], Some("Period must be stated")),
        (
            joined(vec![stat("m0"), changed(|stat| stat.period_s = 300)], "m0 + m1"),
            Some("Period of 'm1' must be the same for all elements"),
        ),
        (
            vec![changed(|stat| stat.period_s = 5)],
            Some("Period of 'm1' must be 10, 20, 30 or a multiple of 60. period=5"),
        ),
        (
            vec![changed(|stat| stat.statistic = "Median".to_owned())],
            Some("Stat of 'm1' must be a statistic"),
        ),
    ];
    for (entries, expected) in rows {
        match (Queries::check(&entries, Purpose::Alarm), expected) {
            (Ok(queries), None) => assert_eq!(queries.period_s(), Some(60)),
            (Err(error), Some(expected)) => {
                assert!(error.to_string().starts_with(expected), "{error} is not {expected}");
            }
            (result, expected) => panic!("{entries:?}: {:?} is not {expected:?}", result.map(|_| ())),
        }
    }
}

#[test]
fn band_alarms_return_the_metric_and_the_band() {
    let band = |text: &str| returned(expression("band", text));
    let usual = "ANOMALY_DETECTION_BAND(m1, 2)";
    let purpose = Purpose::BandAlarm { threshold_metric_id: "band" };
    let rows = [
        (vec![returned(stat("m1")), band(usual)], None),
        (
            vec![stat("m1"), band(usual)],
            Some(("ReturnData", "Exactly two elements of the metrics list should return data.")),
        ),
        (
            vec![returned(stat("m1")), returned(expression("other", usual))],
            Some((
                "ThresholdMetricId",
                "Metrics list must contain exactly one metric matching the ThresholdMetricId",
            )),
        ),
        (
            vec![returned(stat("m1")), band("m1 + 1")],
            Some(("ThresholdMetricId", "Metrics list must contain exactly one metric matching")),
        ),
        (vec![stat("m1"), returned(expression("e", "m1 * 2")), band("ANOMALY_DETECTION_BAND(e, 2)")], None),
        (
            vec![stat("m1"), returned(expression("e", "SUM(m1)")), band(usual)],
            Some(("Expression", "Error in expression 'e': The result must be a time series")),
        ),
    ];
    for (entries, expected) in rows {
        let error = Queries::check(&entries, purpose).err();
        assert_eq!(error.as_ref().map(MathError::field), expected.map(|(field, _)| field), "{error:?}");
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.starts_with(expected.map_or("", |(_, text)| text)), "{text}");
    }
}

#[test]
fn data_may_have_any_number_of_results_but_no_numbers() {
    let ok = [
        vec![returned(stat("m1")), returned(expression("e", "METRICS()"))],
        vec![returned(stat("m1")), expression("e", "SUM(m1)")],
        vec![changed(|stat| stat.period_s = 1), returned(expression("e", "ANOMALY_DETECTION_BAND(m1)"))],
    ];
    for entries in ok {
        assert!(Queries::check(&entries, Purpose::Data).is_ok(), "{entries:?}");
    }
    let refused = [
        (vec![stat("m1"), returned(expression("e", "SUM(m1)"))], "Expression"),
        (vec![with_period(61, returned(expression("e", "TIME_SERIES(1)")))], "Period"),
        (vec![changed(|stat| stat.period_s = 0)], "Period"),
        (vec![changed(|stat| stat.unit = Some("Events".to_owned()))], "Unit"),
        (vec![changed(|stat| stat.series.namespace.clear())], "Namespace"),
        (vec![changed(|stat| stat.series.name = "n".repeat(256))], "MetricName"),
    ];
    for (entries, field) in refused {
        assert_eq!(Queries::check(&entries, Purpose::Data).unwrap_err().field(), field, "{entries:?}");
    }
}

#[test]
fn unknown_results_are_refused() {
    let error = evaluate(&[stat("m1")], "m2", &World::new(&[("m1", "1")])).unwrap_err();
    assert_eq!(error.fault, Fault::UnknownId("m2".to_owned()));
}

#[test]
fn entries_survive_being_stored() {
    let labelled =
        MetricQuery { label: Some("Denied".to_owned()), ..with_period(60, expression("e", "-m1")) };
    let entries = vec![changed(|stat| stat.unit = Some("Count".to_owned())), labelled];
    let bytes = postcard::to_stdvec(&entries).unwrap();
    assert_eq!(postcard::from_bytes::<Vec<MetricQuery>>(&bytes).unwrap(), entries);
}
