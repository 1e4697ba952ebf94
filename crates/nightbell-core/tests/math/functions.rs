/*! What expressions come to, as tables. */

use nightbell_core::math::{FORMULA_ENTRIES_MAX, Fault, Kind, Queries};

use super::*;

#[test]
fn f01_to_f05_points_come_where_both_sides_have_one() {
    holds(&[("m1", "1 2 -"), ("m2", "10 - 30")], &[("m1 + m2", "11 - -")]);
    holds(&[("m1", "1 2 -"), ("m2", "10 - 30")], &[("FILL(m1,0) + FILL(m2,0)", "11 2 30")]);
    holds(&[("m1", "5"), ("m2", "0")], &[("100 * m1 / m2", "-")]);
    holds(&[("m1", "2 4")], &[("IF(m1 > 3, 1, 0)", "0 1")]);
    holds(&[("m1", "6")], &[("m1 + 0", "6")]);
}

#[test]
fn operators_keep_their_order() {
    holds(
        &[("m1", "8 2")],
        &[
            ("1 + 2 * 3", "= 7"),
            ("(1 + 2) * 3", "= 9"),
            ("10 - 4 - 3", "= 3"),
            ("10 - (4 - 3)", "= 9"),
            ("24 / 4 / 3", "= 2"),
            ("2 ^ 3 ^ 2", "= 512"), // assumed: groups to the right
            ("-2 ^ 2", "= -4"),     // assumed: the sign is outside
            ("2 ^ -1", "= 0.5"),
            ("2 - -3", "= 5"),
            ("1e3 + .5 + 2.", "= 1002.5"),
            ("-5 * m1", "-40 -10"),
            ("1 < 2 == 1", "= 1"),
            ("1 + 1 > 1 AND 0 OR 1", "= 1"),
            ("0 && 1 || 1", "= 1"),
            ("0 AND (1 OR 1)", "= 0"),
            ("m1 > 5 AND m1 != 9", "1 0"),
            ("m1 >= 8 OR m1 <= 1", "1 0"),
            ("m1 == 2", "0 1"),
            ("1 / 0", "= -"),
            ("m1 ^ 2", "64 4"),
            ("(0 - m1) ^ 0.5", "- -"),
            ("1e308 * m1 * m1", "- -"),
        ],
    );
}

#[test]
fn comparisons_need_both_sides_too() {
    let series = [("m1", "30 20 0 0"), ("m2", "20 - 20 -")];
    holds(
        &series,
        &[
            ("m1 < m2", "0 - 1 -"),
            ("m1 >= 30", "1 0 0 0"),
            ("m1 > 15 AND m2 > 15", "1 - 0 -"),
            ("FILL(m1, 0) < FILL(m2, 0)", "0 0 1 0"),
        ],
    );
}

#[test]
fn functions_of_points() {
    holds(
        &[("m1", "-1.5 - 2.5 100")],
        &[
            ("ABS(m1)", "1.5 - 2.5 100"),
            ("CEIL(m1)", "-1 - 3 100"),
            ("FLOOR(m1)", "-2 - 2 100"),
            ("LOG10(CEIL(m1 / 100) * 10)", "- - 1 1"),
            ("LOG(m1 * 0 + 1)", "0 - 0 0"),
            ("-m1", "1.5 - -2.5 -100"),
            ("ABS(-3)", "= 3"),
        ],
    );
}

#[test]
fn functions_along_a_series_go_from_one_known_point_to_the_next() {
    holds(
        &[("m1", "5 - 11 10 -")],
        &[
            ("DIFF(m1)", "- - 6 -1 -"),
            ("DIFF_TIME(m1)", "- - 120 60 -"),
            ("RATE(m1) * 60", "- - 3 -1 -"),
            ("RUNNING_SUM(m1)", "5 - 16 26 -"),
        ],
    );
}

#[test]
fn aggregates_of_a_series_are_numbers() {
    let series = [("m1", "2 - 6 4"), ("m2", "- - - -")];
    holds(
        &series,
        &[
            ("SUM(m1)", "= 12"),
            ("MAX(m1)", "= 6"),
            ("MIN(m1)", "= 2"),
            ("AVG(m1)", "= 3"), // the guide: a missing value counts as 0
            ("SUM(m1) / DATAPOINT_COUNT(m1)", "= 4"),
            ("STDDEV(m1 * 0 + 5)", "= 0"),
            ("STDDEV(FILL(m1 > 3, 0))", "= 0.5"),
            ("m1 - MIN(m1)", "0 - 4 2"),
            ("SUM(m2)", "= -"),
            ("DATAPOINT_COUNT(m2)", "= 0"),
            ("m1 + MAX(m2)", "- - - -"),
        ],
    );
}

#[test]
fn aggregates_of_an_array_are_series() {
    let series = [("m1", "2 - 6 -"), ("m2", "4 8 - -")];
    holds(
        &series,
        &[
            ("SUM([m1, m2])", "6 8 6 -"),
            ("MAX([m1, m2])", "4 8 6 -"),
            ("MIN(METRICS())", "2 8 6 -"),
            ("AVG([m1, m2])", "3 4 3 -"), // the guide: a missing value counts as 0
            ("DATAPOINT_COUNT([m1, m2])", "2 1 1 0"),
            ("STDDEV([m1, m2])", "1 0 0 -"),
            ("SUM(METRICS()) / SUM(m1)", "0.75 1 0.75 -"),
            ("m1 / METRIC_COUNT(METRICS())", "1 - 3 -"),
            ("SUM(100 / [m1, m2])", "75 12.5 16.666666666666668 -"),
            ("SUM(-[m1, m2])", "-6 -8 -6 -"),
        ],
    );
}

#[test]
fn arrays_go_through_operators_one_by_one() {
    let series = [("errors4xx", "1 2"), ("errors5xx", "3 -"), ("requests", "10 20")];
    holds(
        &series,
        &[
            ("METRICS() * 100", "100 200 | 300 - | 1000 2000"),
            ("METRICS(\"errors\") / requests", "0.1 0.1 | 0.3 -"),
            ("requests - METRICS('errors')", "9 18 | 7 -"),
            ("SUM([METRICS(\"4xx\"), METRICS(\"5xx\")])", "4 2"),
            ("METRICS(\"none\")", ""),
            ("SUM(METRICS(\"none\"))", "- -"),
            ("ABS(METRICS(\"4xx\") - 2)", "1 0"),
            ("FILL(METRICS(\"errors\"), requests)", "1 2 | 3 20"),
            ("METRICS(\"errors\") > 1 AND 1", "0 1 | 1 -"),
            ("RUNNING_SUM([errors4xx, requests])", "1 3 | 10 30"),
        ],
    );
}

#[test]
fn fill_puts_points_into_gaps() {
    let series = [("m1", "- 1 - - 4 -"), ("m2", "9 9 - 9 9 9"), ("none", "- - - - - -")];
    holds(
        &series,
        &[
            ("FILL(m1, 0)", "0 1 0 0 4 0"),
            ("FILL(m1, m2)", "9 1 - 9 4 9"),
            ("FILL(m1, MIN(m1))", "1 1 1 1 4 1"),
            ("FILL(m1, REPEAT)", "- 1 1 1 4 4"),
            ("FILL(m1, LINEAR)", "1 1 2 3 4 4"), // assumed: the nearest value at the ends
            ("FILL(none, LINEAR)", "- - - - - -"),
            ("FILL(none, REPEAT)", "- - - - - -"),
            ("FILL(none, 7)", "7 7 7 7 7 7"),
            ("FILL(m1, MAX(none))", "- 1 - - 4 -"),
        ],
    );
}

#[test]
fn if_follows_the_tables_of_the_guide() {
    let series = [("m1", "1 1 0 0 -"), ("m2", "30 - 0 0 30"), ("m3", "0 0 20 - 20")];
    holds(
        &series,
        &[
            ("IF(m1, m2, m3)", "30 0 20 - -"),
            ("IF(m1, 5, m3)", "5 5 20 - -"),
            ("IF(m1, m2, 5)", "30 0 5 5 -"),
            ("IF(m1, m2)", "30 0 - - -"),
            ("IF(-m1, 1, 2)", "1 1 2 2 -"),
            ("IF(1, m2, m3)", "30 - 0 0 30"),
            ("IF(0, m2, m3)", "0 0 20 - 20"),
            ("IF(0, m2)", "- - - - -"),
            ("IF(1, 7, m3)", "7 7 7 7 7"),
            ("IF(2 > 1, 3, 4)", "= 3"),
            ("IF(m2 > 10, m2)", "30 - - - 30"),
        ],
    );
}

#[test]
fn numbers_become_series_only_by_time_series() {
    holds(
        &[("m1", "1 - 5")],
        &[
            ("TIME_SERIES(10)", "10 10 10"),
            ("TIME_SERIES(MAX(m1))", "5 5 5"),
            ("TIME_SERIES(1 / 0)", "- - -"),
            ("PERIOD(m1)", "= 60"),
            ("m1 * 60 / PERIOD(m1)", "1 - 5"),
        ],
    );
}

#[test]
fn series_are_taken_out_of_arrays() {
    let series = [("m1", "1 2"), ("m2", "9 -"), ("m3", "- -"), ("m4", "4 4")];
    holds(
        &series,
        &[
            ("SORT(METRICS(), SUM, DESC)", "9 - | 4 4 | 1 2 | - -"),
            ("SORT(METRICS(), SUM, ASC)", "1 2 | 4 4 | 9 - | - -"),
            ("SORT(METRICS(), AVG, DESC, 2)", "9 - | 4 4"),
            ("SORT(METRICS(), MIN, ASC, 1)", "1 2"),
            ("SORT(METRICS(), MAX, DESC, 0)", ""),
            ("SLICE(METRICS(), 1, 3)", "9 - | - -"),
            ("SLICE(METRICS(), 3)", "4 4"),
            ("SLICE(METRICS(), -1, 1e30)", "1 2 | 9 - | - - | 4 4"),
            ("SLICE(METRICS(), 9)", ""),
            ("FIRST(METRICS())", "1 2"),
            ("LAST(METRICS())", "4 4"),
            ("LAST(REMOVE_EMPTY([m1, m3]))", "1 2"),
            ("FIRST(REMOVE_EMPTY([m3]))", "- -"),
            ("METRIC_COUNT(REMOVE_EMPTY(METRICS()))", "= 3"),
        ],
    );
}

#[test]
fn times_are_those_of_the_periods_in_utc() {
    holds(
        &[("m1", "1 -")],
        &[
            ("EPOCH(m1)", "1789364520 1789364580"),
            ("MINUTE(m1)", "42 43"),
            ("HOUR(m1)", "5 5"),
            ("DAY(m1)", "1 1"), // Monday
            ("DATE(m1)", "14 14"),
            ("MONTH(m1)", "9 9"),
            ("YEAR(m1)", "2026 2026"),
            ("IF(DAY(m1) < 6 AND HOUR(m1) < 9, m1)", "1 0"),
        ],
    );
}

#[test]
fn bands_are_asked_for_by_metric_and_width() {
    let series = [("m1", "1 - 3")];
    holds(
        &series,
        &[
            ("ANOMALY_DETECTION_BAND(m1)", "8 8 8 .. 12 12 12"),
            ("ANOMALY_DETECTION_BAND(m1, 4)", "6 6 6 .. 14 14 14"),
            ("LAST(ANOMALY_DETECTION_BAND(m1))", "8 8 8"),
            ("FIRST(ANOMALY_DETECTION_BAND(m1)) - m1", "11 - 9"),
            ("ANOMALY_DETECTION_BAND(m1) * 2", "24 24 24 | 16 16 16"),
        ],
    );
    let world = World { trained: false, ..World::new(&series) };
    assert_eq!(show(&work_out("ANOMALY_DETECTION_BAND(m1)", &world).unwrap()), "- - - .. - - -");

    let entries = [stat("m1"), expression("b", "ANOMALY_DETECTION_BAND(m1, 3)"), expression("c", "-m1")];
    let queries = Queries::read(&entries).unwrap();
    assert_eq!(queries.band("b"), Some((&entries[0], 3.0)));
    assert_eq!((queries.band("c"), queries.band("m1"), queries.band("x")), (None, None, None));
    assert_eq!((queries.kind("b"), queries.kind("c")), (Some(Kind::Band), Some(Kind::Series)));
}

#[test]
fn bands_of_expressions_are_asked_for_by_all_that_the_expression_needs() {
    let labelled = |label: &str, entry| MetricQuery { label: Some(label.to_owned()), ..entry };
    let entries = [
        labelled("no matter", stat("m1")),
        stat("m2"),
        returned(expression("b", "ANOMALY_DETECTION_BAND(e2, 3)")),
        expression("e2", "e1 + 1"),
        expression("e1", "m1 * 2"),
        expression("all", "SUM(METRICS())"),
    ];
    let queries = Queries::read(&entries).unwrap();
    assert_eq!((queries.kind("b"), queries.band("b")), (Some(Kind::Band), Some((&entries[3], 3.0))));
    let expected = [stat("m1"), returned(entries[3].clone()), entries[4].clone()];
    assert_eq!(queries.formula("e2").as_deref(), Some(&expected[..]));
    assert_eq!(queries.formula("all").map(|it| it.len()), Some(3));
    assert_eq!(queries.formula("m2"), Some(vec![returned(stat("m2"))]));
    assert_eq!(queries.formula("x"), None);

    let long = |count: usize| {
        let mut entries: Vec<_> = (0..count).map(|i| stat(&format!("m{i}"))).collect();
        entries.extend([expression("e", "SUM(METRICS())"), expression("b", "ANOMALY_DETECTION_BAND(e)")]);
        Queries::read(&entries).is_ok()
    };
    assert_eq!((long(FORMULA_ENTRIES_MAX - 1), long(FORMULA_ENTRIES_MAX)), (true, false));

    // Neither several series, nor a band, nor what needs a query has a band.
    for text in
        ["[m1, m2]", "FIRST(ANOMALY_DETECTION_BAND(m1))", "FIRST([q, m1])", "SELECT SUM(A) FROM files"]
    {
        let mut entries = vec![stat("m1"), stat("m2"), expression("q", "SELECT SUM(A) FROM files")];
        entries.extend([expression("e", text), expression("b", "ANOMALY_DETECTION_BAND(e)")]);
        assert!(matches!(Queries::read(&entries).unwrap_err().fault, Fault::Arguments { .. }), "{text}");
    }
}

#[test]
fn points_off_the_grid_are_refused_and_infinite_ones_are_none() {
    let world = World { points: 3, ..World::new(&[("m1", "1 2")]) };
    let error = work_out("m1 + 1", &world).unwrap_err();
    assert_eq!(error.fault, Fault::Grid);
    holds(&[("m1", "inf 1 NaN")], &[("m1 + 0", "- 1 -")]);
}
