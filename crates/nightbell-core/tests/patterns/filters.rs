//! Metric filters: what is accepted, and what a batch of events comes to.

use std::collections::BTreeMap;

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::fields::json::JsonReader;
use nightbell_core::filter::{FilterSet, MetricFilter};
use nightbell_core::metric::Datum;
use nightbell_core::ruleset::Scratch;
use nightbell_core::time::{MINUTE_MS, Timestamp};

fn filter(pattern: &str, value: &str) -> MetricFilter {
    MetricFilter {
        name: "denied".to_owned(),
        pattern: pattern.to_owned(),
        namespace: "folder/secret/4656".to_owned(),
        metric: "Denied".to_owned(),
        value: value.to_owned(),
        default: None,
        dimensions: BTreeMap::new(),
        unit: None,
        created: Timestamp::from_millis(0),
        emit_system_field_dimensions: Vec::new(),
        field_selection_criteria: None,
    }
}

fn dimensions(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn batch(messages: &[(i64, &str)]) -> Batch {
    Batch {
        group: Group { region: "home".to_owned(), name: "audit".to_owned() },
        stream: "fs01".to_owned(),
        arrival: Timestamp::from_millis(1_000_000),
        events: messages
            .iter()
            .map(|(ms, message)| Event { time: Timestamp::from_millis(*ms), message: (*message).to_owned() })
            .collect(),
    }
}

fn fold(filters: Vec<MetricFilter>, batch: &Batch) -> Vec<Datum> {
    let set = FilterSet::new("home", filters);
    assert_eq!(set.refused(), []);
    set.fold(batch, None, &JsonReader, &mut Scratch::new())
}

/// Events of one second: `matching` that hold `hit`, then `others`.
fn mixed(matching: usize, others: usize) -> Batch {
    let messages =
        std::iter::repeat_n((500, "a hit"), matching).chain(std::iter::repeat_n((700, "other"), others));
    batch(&messages.collect::<Vec<_>>())
}

#[test]
fn defaults_are_one_sample_for_each_event_that_does_not_match() {
    /// Sum, count, minimum, maximum.
    type Totals = (f64, f64, f64, f64);
    /// Name, matching events, other events, value, default, outcome.
    type DefaultRow = (&'static str, usize, usize, &'static str, Option<f64>, Option<Totals>);
    let rows: [DefaultRow; 6] = [
        ("M01", 1, 14, "5", Some(3.0), Some((47.0, 15.0, 3.0, 5.0))),
        ("M02", 0, 3, "5", Some(3.0), Some((9.0, 3.0, 3.0, 3.0))),
        ("M03", 0, 0, "5", Some(3.0), None),
        ("M04", 6, 0, "1", Some(0.0), Some((6.0, 6.0, 1.0, 1.0))),
        ("M05", 1, 9, "1", Some(0.0), Some((1.0, 10.0, 0.0, 1.0))),
        ("M06", 0, 4, "1", None, None),
    ];
    for (name, matching, others, value, default, expected) in rows {
        let filter = MetricFilter { default, ..filter("hit", value) };
        let data = fold(vec![filter], &mixed(matching, others));
        let totals = data.iter().map(|datum| &datum.aggregate);
        let totals: Vec<Totals> = totals.map(|all| (all.sum, all.count, all.min, all.max)).collect();
        assert_eq!(totals, expected.into_iter().collect::<Vec<_>>(), "{name}");
        let witnessed: u64 = data.iter().map(|datum| datum.evidence.events).sum();
        assert_eq!(witnessed, matching as u64, "{name}: evidence comes from matching events only");
    }
}

fn sum(filter: MetricFilter, message: &str) -> Option<f64> {
    let data = fold(vec![filter], &batch(&[(0, message)]));
    assert!(data.len() < 2);
    data.first().map(|datum| datum.aggregate.sum)
}

#[test]
fn values_from_the_event() {
    let rows = [
        ("M07", "{ $.ms = * }", "$.ms", r#"{"ms":"11.5"}"#, Some(11.5)),
        ("M08", "{ $.ms = * }", "$.ms", r#"{"ms":"slow"}"#, None),
        ("a number", "{ $.ms = * }", "$.ms", r#"{"ms":-2e1}"#, Some(-20.0)),
        ("no finite number", "{ $.ms = * }", "$.ms", r#"{"ms":1e999}"#, None),
        ("a missing field", "{ $.ms = * }", "$.other", r#"{"ms":1}"#, None),
        ("a column", "[a, ms]", "$ms", "x 12", Some(12.0)),
        ("a quoted last column", "[a, ms]", "$ms", "x \"17.5\"", Some(17.5)),
        ("a quoted column", "[ms, b]", "$ms", "\"17.5\" x", Some(17.5)),
        ("no number", "[a, ms]", "$ms", "x 12 y", None),
        ("a column without a name", "[..., b]", "$1", "7 x", Some(7.0)),
        ("an unknown column", "[a, ms]", "$nothing", "x 12", None),
    ];
    for (name, pattern, value, message, expected) in rows {
        assert_eq!(sum(filter(pattern, value), message), expected, "{name}");
    }
}

#[test]
fn a_missing_dimension_publishes_nothing() {
    // M09
    let with =
        MetricFilter { dimensions: dimensions(&[("bucket", "$.bucket")]), ..filter("{ $.v = * }", "$.v") };
    assert_eq!(sum(with.clone(), r#"{"v":37}"#), None);
    assert_eq!(sum(with.clone(), r#"{"v":37,"bucket":""}"#), None);
    assert_eq!(sum(with.clone(), r#"{"v":37,"bucket":{}}"#), None);
    assert_eq!(sum(with, r#"{"v":37,"bucket":"b"}"#), Some(37.0));
}

#[test]
fn time_is_the_events_second_inside_its_minute() {
    // M10: stored by the second, and so read at 10:00:00 with a period of a minute.
    let ten_o_clock = 10 * 60 * MINUTE_MS;
    let data = fold(vec![filter("hit", "1")], &batch(&[(ten_o_clock + 59_999, "hit")]));
    assert_eq!(data[0].second, ten_o_clock / 1_000 + 59);
    assert_eq!(data[0].second - data[0].second.rem_euclid(60), ten_o_clock / 1_000);
}

#[test]
fn dimensions_make_series_in_a_fixed_order() {
    let by = MetricFilter {
        dimensions: dimensions(&[("User", "$.user"), ("Machine", "@logStream")]),
        emit_system_field_dimensions: vec!["@aws.region".to_owned()],
        unit: Some("Count".to_owned()),
        ..filter("{ $.ok IS FALSE }", "1")
    };
    let messages = [
        (2_000, r#"{"ok":false,"user":"zoe"}"#),
        (1_000, r#"{"ok":false,"user":"ann"}"#),
        (1_900, r#"{"ok":false,"user":"ann"}"#),
        (1_000, r#"{"ok":true,"user":"ann"}"#),
        (0, r#"{"ok":false,"user":7}"#),
    ];
    let data = fold(vec![by], &batch(&messages));
    let flat: Vec<(String, i64, f64)> = data
        .iter()
        .map(|datum| {
            let parts: Vec<String> =
                datum.series.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (parts.join(" "), datum.second, datum.aggregate.count)
        })
        .collect();
    let named = |user: &str| format!("@aws.region=home Machine=fs01 User={user}");
    assert_eq!(flat, [(named("7"), 0, 1.0), (named("ann"), 1, 2.0), (named("zoe"), 2, 1.0)]);
    assert_eq!(data[0].unit.as_deref(), Some("Count"));
    assert_eq!((data[0].series.region.as_str(), data[0].series.name.as_str()), ("home", "Denied"));
}

#[test]
fn dimensions_of_columns_and_long_values() {
    let by = MetricFilter { dimensions: dimensions(&[("Ip", "$ip")]), ..filter("[ip, status = 4*]", "1") };
    let long = "é".repeat(1_000);
    let data = fold(vec![by], &batch(&[(0, &format!("{long} 404")), (0, "10.0.0.1 404")]));
    let values: Vec<&str> = data.iter().map(|datum| datum.series.dimensions[0].1.as_str()).collect();
    assert_eq!(values, ["10.0.0.1", &"é".repeat(512)]);
}

#[test]
fn filters_of_one_series_are_one_data_point() {
    let other = MetricFilter { name: "other".to_owned(), ..filter("a", "2") };
    let unit = MetricFilter { name: "unit".to_owned(), unit: Some("Bytes".to_owned()), ..filter("a", "4") };
    let none = MetricFilter { name: "none".to_owned(), unit: Some("None".to_owned()), ..filter("a", "8") };
    let data = fold(vec![filter("hit", "1"), other, unit, none], &mixed(1, 0));
    let sums: Vec<(Option<&str>, f64)> =
        data.iter().map(|datum| (datum.unit.as_deref(), datum.aggregate.sum)).collect();
    assert_eq!(sums, [(None, 11.0), (Some("Bytes"), 4.0)]);
}

#[test]
fn events_that_arrived_before_the_filter_are_not_counted() {
    let at =
        |ms| MetricFilter { created: Timestamp::from_millis(ms), default: Some(0.0), ..filter("hit", "1") };
    assert_eq!(fold(vec![at(1_000_001)], &mixed(1, 1)), []);
    assert_eq!(fold(vec![at(1_000_000)], &mixed(1, 1)).len(), 1);
}

#[test]
fn criteria_choose_the_origin() {
    let only = |criteria: &str| MetricFilter {
        field_selection_criteria: Some(criteria.to_owned()),
        ..filter("hit", "1")
    };
    assert_eq!(
        fold(vec![only("@aws.region = \"home\" AND @aws.account = \"000000000000\"")], &mixed(1, 0)).len(),
        1
    );
    assert_eq!(fold(vec![only("@aws.region = \"elsewhere\"")], &mixed(1, 0)), []);
    let set =
        FilterSet::new("home", vec![only("@aws.account = \"111122223333\"")]).with_account("111122223333");
    assert_eq!(set.fold(&mixed(1, 0), None, &JsonReader, &mut Scratch::new()).len(), 1);
}

#[test]
fn a_filter_that_cannot_be_takes_no_part_and_is_told() {
    let set = FilterSet::new("home", vec![filter("ERR*", "1"), filter("hit", "1")]);
    assert_eq!((set.len(), set.is_empty()), (1, false));
    assert_eq!(set.refused()[0].1.message, "Invalid character(s) in term '*'");
    assert_eq!(set.fold(&mixed(1, 0), None, &JsonReader, &mut Scratch::new()).len(), 1);
}

#[test]
fn messages_of_refusal() {
    let base = || filter("{ $.v = 1 }", "1");
    let three = [("a", "$.a"), ("b", "$.b"), ("c", "$.c")];
    let selector = "Invalid metric transformation: dimension value must be valid selector";
    let rows = [
        (
            MetricFilter { value: "not-a-number".to_owned(), ..base() },
            "Invalid metric transformation: metric value not-a-number must be a valid number",
        ),
        (
            MetricFilter { value: "$.a[*]".to_owned(), ..base() },
            "Invalid metric transformation: metric value $.a[*] must be a valid number",
        ),
        (MetricFilter { dimensions: dimensions(&[("a", "literal")]), ..base() }, selector),
        (MetricFilter { dimensions: dimensions(&[("a", "$.x.*")]), ..base() }, selector),
        (MetricFilter { dimensions: dimensions(&[("a", "$column")]), ..base() }, selector),
        (MetricFilter { dimensions: dimensions(&[("a", "$.x")]), ..filter("[a, b]", "1") }, selector),
        (
            MetricFilter {
                dimensions: dimensions(&three),
                emit_system_field_dimensions: vec!["@aws.region".to_owned()],
                ..base()
            },
            "Number of dimensions exceeds the maximum number of dimensions supported per metric filter",
        ),
        (
            MetricFilter { dimensions: dimensions(&three), default: Some(0.0), ..base() },
            "Invalid metric transformation: dimensions and default value are mutually exclusive properties",
        ),
        (
            MetricFilter { dimensions: dimensions(&[("a", "$.x")]), ..filter("ERROR", "1") },
            "The specified filter pattern does not support dimensions",
        ),
        (
            MetricFilter { emit_system_field_dimensions: vec!["@aws.stream".to_owned()], ..base() },
            "The provided system fields are invalid. The supported system fields are - [@aws.region, @aws.account, \
             @source.log]",
        ),
        (
            MetricFilter { field_selection_criteria: Some("account = 1".to_owned()), ..base() },
            "The provided field selection criteria is invalid",
        ),
        (filter("{ $.v == 1 }", "1"), "Invalid metric filter pattern"),
        (
            MetricFilter { name: "a:b".to_owned(), ..base() },
            "1 validation error detected: Value 'a:b' at 'filterName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [^:*]*",
        ),
        (
            MetricFilter { metric: "a$".to_owned(), ..base() },
            "1 validation error detected: Value 'a$' at 'metricTransformations.1.member.metricName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [^:*$]*",
        ),
        (
            MetricFilter { name: String::new(), ..base() },
            "1 validation error detected: Value '' at 'filterName' failed to satisfy constraint: Member must have \
             length greater than or equal to 1",
        ),
    ];
    for (filter, expected) in rows {
        assert_eq!(filter.check().map(|_| ()).map_err(|error| error.message), Err(expected.to_owned()));
    }
}

#[test]
fn limits_of_length_and_units() {
    let too_long = [
        MetricFilter { name: "n".repeat(513), ..filter("", "1") },
        MetricFilter { namespace: "n".repeat(256), ..filter("", "1") },
        filter("", &"1".repeat(101)),
        MetricFilter { field_selection_criteria: Some(" ".repeat(2_001)), ..filter("", "1") },
    ];
    for filter in too_long {
        assert!(
            filter.check().unwrap_err().message.contains("Member must have length less than or equal to")
        );
    }
    let unit = MetricFilter { unit: Some("Apples".to_owned()), ..filter("", "1") };
    assert!(unit.check().unwrap_err().message.contains("Member must satisfy enum value set: [Seconds, "));
    assert!(MetricFilter { name: "n".repeat(512), ..filter("", "$nothing") }.check().is_ok());
}

#[test]
fn json_text_of_a_filter_reads_back() {
    let mut whole = filter("{ $.v = 1 }", "$.v");
    whole.dimensions = dimensions(&[("User", "$.Audit.User")]);
    let text = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str::<MetricFilter>(&text).unwrap(), whole);
    assert!(whole.check().is_ok());
}
