/*! What no expression is, and what holds for any text. */

use nightbell_core::math::{EXPRESSION_CHARS_MAX, EXPRESSION_DEPTH_MAX, Expression, Fault, Kind, Queries};
use proptest::prelude::*;

use super::*;

#[test]
fn refused_texts_name_the_place_and_what_was_expected() {
    let deep = "(".repeat(EXPRESSION_DEPTH_MAX + 1);
    let long = "1".repeat(EXPRESSION_CHARS_MAX + 1);
    let operand = "a number, an id, a function, '(', '[' or '-'";
    let syntax = |expected: &str, found: &str, at: usize| {
        format!("Invalid syntax: expected {expected}, found {found} (at character {at})")
    };
    let rows = [
        ("", syntax(operand, "the end", 1)),
        ("m1 +", syntax(operand, "the end", 5)),
        ("m1 m2", syntax("an operator or the end", "'m2'", 4)),
        ("m1 = m2", syntax("an operator or the end", "'='", 4)),
        ("m1 & m2", syntax("an operand or an operator", "'&'", 4)),
        ("ü + 1", syntax("an operand or an operator", "'ü'", 1)),
        ("\"ä\" + 1", syntax(operand, "'\"ä\"'", 1)),
        ("(m1", syntax("an operator or ')'", "the end", 4)),
        ("SUM(m1", syntax("',' or ')'", "the end", 7)),
        ("[m1", syntax("',' or ']'", "the end", 4)),
        ("[m1,]", syntax(operand, "']'", 5)),
        ("[]", syntax(operand, "']'", 2)),
        ("MAX + 1", syntax(operand, "'MAX'", 1)),
        ("m1 AND", syntax(operand, "the end", 7)),
        ("1e999", syntax("a finite number", "'1e999'", 1)),
        (".", syntax("a finite number", "'.'", 1)),
        ("METRICS(\"a)", syntax("a closed text", "'\"a)'", 9)),
        ("m1 + SERCH(m1)", "Function 'SERCH' not found (at character 6)".to_owned()),
        ("avg(m1)", "Function 'avg' not found (at character 1)".to_owned()),
        ("SUM()", "Function 'SUM' takes a time series or an array of them (at character 1)".to_owned()),
        (
            "1 + SLICE(METRICS())",
            "Function 'SLICE' takes an array of time series and one or two scalars (at character 5)".to_owned(),
        ),
        (
            "SORT(METRICS(), DESC, SUM)",
            "Function 'SORT' takes an array of time series, AVG, MAX, MIN or SUM, ASC or DESC, and a scalar \
             (at character 17)"
                .to_owned(),
        ),
        ("METRICS(m1)", "Function 'METRICS' takes nothing or a text (at character 9)".to_owned()),
        ("PERIOD(m1 + 1)", "Function 'PERIOD' takes the id of a metric (at character 8)".to_owned()),
        (
            "ANOMALY_DETECTION_BAND(m1, 0)",
            "Function 'ANOMALY_DETECTION_BAND' takes the id of a metric or of an expression with one result, and a positive number (at character 28)"
                .to_owned(),
        ),
        (&deep, format!("Expressions nest at most {EXPRESSION_DEPTH_MAX} deep (at character {})", deep.len() + 1)),
        (&long, format!("Expressions have at most {EXPRESSION_CHARS_MAX} characters")),
    ];
    for (text, expected) in rows {
        assert_eq!(Expression::parse(text).unwrap_err().to_string(), expected, "{text}");
    }
    for text in ["-".repeat(EXPRESSION_CHARS_MAX), "2^".repeat(1_000), "[".repeat(1_000), "ABS(".repeat(500)]
    {
        assert_eq!(Expression::parse(&text).unwrap_err().fault, Fault::Depth, "{text:.10}");
    }
}

/// Texts that are expressions more often than chance makes them.
fn texts() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "m1",
        "m2",
        "1",
        "2.5",
        "1e3",
        "+",
        "-",
        "*",
        "/",
        "^",
        "<",
        ">=",
        "==",
        "AND",
        "||",
        "(",
        ")",
        "[",
        "]",
        ",",
        "ABS(",
        "SUM(",
        "FILL(",
        "REPEAT",
        "LINEAR",
        "IF(",
        "METRICS(",
        "'m'",
        "SORT(",
        "AVG",
        "DESC",
        "SLICE(",
        "TIME_SERIES(",
        "PERIOD(",
        "ANOMALY_DETECTION_BAND(",
        "RATE(",
        "FIRST(",
        "é",
    ]);
    prop_oneof!["\\PC{0,40}", prop::collection::vec(words, 0..20).prop_map(|words| words.join(" ")), sound(),]
}

/// Texts that are expressions.
fn sound() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["m1", "m2", "0", "2.5", "1e300", "METRICS()", "[m1,m2]"]);
    leaf.prop_map(str::to_owned).prop_recursive(6, 48, 3, |inner| {
        let operators = vec!["+", "-", "*", "/", "^", "<", "!=", " AND ", " OR "];
        let calls = vec!["ABS", "SUM", "RATE", "TIME_SERIES", "FIRST", "DAY", "RUNNING_SUM", "STDDEV"];
        prop_oneof![
            (inner.clone(), prop::sample::select(operators), inner.clone())
                .prop_map(|(left, operator, right)| format!("{left}{operator}{right}")),
            (prop::sample::select(calls), inner.clone()).prop_map(|(name, of)| format!("{name}({of})")),
            (inner.clone(), inner.clone()).prop_map(|(of, with)| format!("FILL({of}, {with})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("IF({a}, {b}, {c})")),
            inner.clone().prop_map(|inner| format!("({inner})")),
            inner.prop_map(|inner| format!("-{inner}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the text: no panic; what is read is read the same from its own text; its kind is that of its result.
    #[test]
    fn any_text_is_refused_or_comes_to_what_it_says(text in texts()) {
        let Ok(read) = Expression::parse(&text) else { return Ok(()) };
        let again = Expression::parse(&read.to_string()).expect("a short text of the same expression");
        prop_assert_eq!(again.to_string(), read.to_string());

        let entries = [stat("m1"), stat("m2"), expression("e", &text), expression("f", &read.to_string())];
        let Ok(queries) = Queries::read(&entries) else { return Ok(()) };
        let world = World::new(&[("m1", "1 - 3 -2"), ("m2", "- 5 0 7")]);
        let outcome = queries.evaluate("e", &world).expect("few points on one grid");
        prop_assert_eq!(show(&outcome), show(&queries.evaluate("f", &world).expect("the same expression")));
        match (queries.kind("e"), &outcome) {
            (Some(Kind::Scalar), Outcome::Scalar(_))
            | (Some(Kind::Band), Outcome::Band(_))
            | (Some(Kind::Array), Outcome::Series(_)) => {}
            (Some(Kind::Series), Outcome::Series(lines)) => prop_assert_eq!(lines.len(), 1),
            (kind, outcome) => prop_assert!(false, "{:?} for {:?}", kind, outcome),
        }
        if let Outcome::Series(lines) = &outcome {
            let finite = |point: &Option<f64>| point.is_none_or(f64::is_finite);
            prop_assert!(lines.iter().all(|line| line.timeline.values.len() == 4));
            prop_assert!(lines.iter().all(|line| line.timeline.values.iter().all(finite)));
        }
    }
}
