use proptest::prelude::*;

use super::*;

fn query(text: &str) -> Query {
    Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn series(name: &str, dimensions: &[(&str, &str)]) -> Series {
    let dimensions =
        dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Series::new("eu-central-1", "files", name, dimensions)
}

#[test]
fn reads_every_clause() {
    let text = r#"select Count_Distinct("My.Metric") from schema("files/eu", User, Folder)
        where (User = 'alice' or User != 'bob') and Folder in ('\a', '\b')
        group by User, Folder after sum(Failed) >= 2.5 order by max() desc limit 5"#;
    let equals = Condition::Equals("User".into(), "alice".into());
    let differs = Condition::Differs("User".into(), "bob".into());
    let one_of = Condition::OneOf("Folder".into(), vec!["\\a".into(), "\\b".into()]);
    let expected = Query {
        function: Function::CountDistinct,
        metric: "My.Metric".into(),
        namespace: "files/eu".into(),
        schema: Some(vec!["Folder".into(), "User".into()]),
        conditions: Some(Condition::All(vec![Condition::Any(vec![equals, differs]), one_of])),
        group_by: vec!["User".into(), "Folder".into()],
        after: Some(After { function: Function::Sum, metric: "Failed".into(), at_least: 2.5 }),
        order_by: Some((Function::Max, Direction::Descending)),
        limit: Some(5),
    };
    assert_eq!(query(text), expected);
}

#[test]
fn writes_canonical_text() {
    let cases = [
        ("select sum(Denied)from files", r#"SELECT SUM(Denied) FROM "files""#),
        (r#"SELECT AVG("Bytes\"In\"") FROM "a" "#, r#"SELECT AVG("Bytes\"In\"") FROM "a""#),
        (r#"SELECT AVG("LIMIT") FROM SCHEMA(a)"#, r#"SELECT AVG("LIMIT") FROM SCHEMA("a")"#),
        ("SELECT MIN(4xx) FROM SCHEMA(a, c, b)", r#"SELECT MIN(4xx) FROM SCHEMA("a", b, c)"#),
        ("SELECT COUNT(m) FROM a ORDER BY AVG()", r#"SELECT COUNT(m) FROM "a" ORDER BY AVG() ASC"#),
        (
            r"SELECT MAX(m) FROM a WHERE ((x='\share\it\'s' AND (y!='1' AND z='')))OR x IN('C:\\')",
            r#"SELECT MAX(m) FROM "a" WHERE x = '\\share\\it\'s' AND y != '1' AND z = '' OR x IN ('C:\\')"#,
        ),
        (
            "SELECT SUM(m) FROM a WHERE (x = '1' OR (y = '2' OR y = '3')) AND z = '4'",
            r#"SELECT SUM(m) FROM "a" WHERE (x = '1' OR y = '2' OR y = '3') AND z = '4'"#,
        ),
        (
            "SELECT SUM(m) FROM a AFTER COUNT(\"n ü\") >= 010.50 LIMIT 500",
            r#"SELECT SUM(m) FROM "a" AFTER COUNT("n ü") >= 10.5 LIMIT 500"#,
        ),
    ];
    for (text, canonical) in cases {
        assert_eq!(query(text).to_string(), canonical);
        assert_eq!(query(canonical), query(text));
    }
}

fn check_errors(cases: &[(&str, usize, &str)]) {
    for (text, at, message) in cases {
        let expected = QueryError { at: *at, message: (*message).into() };
        assert_eq!(Query::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn says_where_and_what_was_expected() {
    let cases = [
        ("", 1, "expected SELECT, found the end"),
        (
            "SELECT P99(m) FROM a",
            8,
            "expected one of the functions AVG, COUNT, COUNT_DISTINCT, MAX, MIN, SUM, found `P99`",
        ),
        ("SELECT SUM m FROM a", 12, "expected `(`, found `m`"),
        ("SELECT SUM() FROM a", 12, "expected a metric name, found `)`"),
        ("SELECT SUM('m') FROM a", 12, "expected a metric name, found the value 'm'"),
        ("SELECT SUM(m)", 14, "expected FROM, found the end"),
        ("SELECT SUM(m) FROM AWS/EC2", 23, "`/` has no meaning here"),
        ("SELECT SUM(m) FROM \"ü\" é", 24, "`é` has no meaning here"),
        (
            "SELECT SUM(limit) FROM a",
            12,
            "expected a metric name, found the keyword `limit`; as a name it stands in double quotes",
        ),
        (
            "SELECT SUM(My.Metric) FROM a",
            12,
            "`My.Metric` has more than letters, digits and `_`; such a name stands in double quotes",
        ),
        ("SELECT SUM(\"\") FROM a", 12, "a name has 1 to 255 characters"),
        ("SELECT SUM(m) FROM SCHEMA(a b)", 29, "expected a comma or `)`, found `b`"),
        ("SELECT SUM(m) FROM SCHEMA(a, b, b)", 33, "the dimension \"b\" is named twice"),
    ];
    check_errors(&cases);
}

#[test]
fn says_where_and_what_was_expected_of_later_clauses() {
    let cases = [
        ("SELECT SUM(m) FROM a WHERE x = y", 32, "expected a value in single quotes, found `y`"),
        ("SELECT SUM(m) FROM a WHERE x > 'y'", 30, "`>` has no meaning here"),
        ("SELECT SUM(m) FROM a WHERE x >= 'y'", 30, "expected `=`, `!=` or IN, found `>=`"),
        ("SELECT SUM(m) FROM a WHERE x = 'it''s'", 35, "inside quotes a quotation mark is written \\'"),
        ("SELECT SUM(m) FROM a WHERE x = 'y", 32, "the ' that opens here is never closed"),
        ("SELECT SUM(m) FROM a WHERE (x = 'y'", 36, "expected AND, OR or `)`, found the end"),
        (
            "SELECT SUM(m) FROM a WHERE tag.env = 'y'",
            28,
            "tags cannot be asked for: a query sees dimensions only",
        ),
        (
            "SELECT SUM(m) FROM a GROUP BY tag.\"my env\"",
            31,
            "tags cannot be asked for: a query sees dimensions only",
        ),
        (
            "SELECT SUM(m) FROM a GROUP BY AWS.AccountId",
            31,
            "`AWS.AccountId` cannot be asked for: all series belong to one account",
        ),
        ("SELECT SUM(m) FROM a GROUP Folder", 28, "expected BY, found `Folder`"),
        ("SELECT SUM(m) FROM a LIMIT 5 GROUP BY x", 30, "expected the end, found `GROUP`"),
        (
            "SELECT SUM(m) FROM a AFTER MAX(n) >= 1",
            28,
            "expected one of the functions COUNT, SUM, found `MAX`",
        ),
        ("SELECT SUM(m) FROM a AFTER SUM(n) = 1", 35, "expected `>=`, found `=`"),
        ("SELECT SUM(m) FROM a AFTER SUM(n) >= 0", 38, "expected a number above 0, found `0`"),
        ("SELECT SUM(m) FROM a AFTER SUM(n) >= inf", 38, "expected a number above 0, found `inf`"),
        (
            "SELECT SUM(m) FROM a ORDER BY MAX(m)",
            35,
            "expected `)`; ORDER BY takes its function without a name, found `m`",
        ),
        (
            "SELECT SUM(m) FROM a ORDER BY COUNT_DISTINCT()",
            31,
            "expected one of the functions AVG, COUNT, MAX, MIN, SUM, found `COUNT_DISTINCT`",
        ),
        ("SELECT SUM(m) FROM a LIMIT 501", 28, "expected a whole number from 1 to 500, found `501`"),
        ("SELECT SUM(m) FROM a LIMIT 0", 28, "expected a whole number from 1 to 500, found `0`"),
    ];
    check_errors(&cases);
}

#[test]
fn limits_hold_at_their_edges() {
    let nested =
        |depth| format!("SELECT SUM(m) FROM a WHERE {}x = 'y'{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Query::parse(&nested(CONDITION_DEPTH_MAX)).is_ok());
    assert!(Query::parse(&nested(CONDITION_DEPTH_MAX + 1)).unwrap_err().message.contains("brackets"));
    assert!(Query::parse(&nested(QUERY_CHARS_MAX)).is_err());

    let listed = |values| format!("SELECT SUM(m) FROM a WHERE x IN ({}'y')", "'y',".repeat(values - 1));
    assert!(Query::parse(&listed(IN_VALUES_MAX)).is_ok());
    assert!(Query::parse(&listed(IN_VALUES_MAX + 1)).unwrap_err().message.contains("values"));

    let named = |chars| format!("SELECT SUM(m) FROM a GROUP BY \"{}\"", "ü".repeat(chars));
    assert!(Query::parse(&named(255)).is_ok());
    assert!(Query::parse(&named(256)).is_err());

    let grouped = |names: usize| {
        let names: Vec<String> = (0..names).map(|name| format!("d{name}")).collect();
        format!("SELECT SUM(m) FROM a GROUP BY {}", names.join(","))
    };
    assert!(Query::parse(&grouped(30)).is_ok());
    assert!(Query::parse(&grouped(31)).unwrap_err().message.contains("30 dimensions"));

    let valued = |chars| format!("SELECT SUM(m) FROM a WHERE x = '{}'", "ü".repeat(chars));
    assert!(Query::parse(&valued(1_024)).is_ok());
    assert!(Query::parse(&valued(1_025)).is_err());

    let text = "SELECT SUM(m) FROM \"a\"";
    let padded = |chars: usize| format!("{text}{}", " ".repeat(chars - text.len()));
    assert!(Query::parse(&padded(QUERY_CHARS_MAX)).is_ok());
    assert_eq!(Query::parse(&padded(QUERY_CHARS_MAX + 1)).unwrap_err().at, QUERY_CHARS_MAX + 1);
    let dense = format!("SELECT SUM(m) FROM a WHERE x=''{}", "OR x=''".repeat(500));
    assert!(Query::parse(&dense).unwrap_err().message.contains("written out"));
}

/// The vectors of "Query components and syntax", said with file events.
#[test]
fn schema_asks_for_the_exact_dimensions() {
    let none = series("Denied", &[]);
    let user = series("Denied", &[("User", "alice")]);
    let both = series("Denied", &[("User", "alice"), ("Folder", "\\hr")]);
    let cases = [
        ("SELECT SUM(Denied) FROM files", [true, true, true]),
        ("SELECT SUM(Denied) FROM SCHEMA(files)", [true, false, false]),
        ("SELECT SUM(Denied) FROM SCHEMA(files, User)", [false, true, false]),
        ("SELECT SUM(Denied) FROM SCHEMA(files, User, Folder)", [false, false, true]),
        ("SELECT SUM(Denied) FROM SCHEMA(files, Folder)", [false, false, false]),
        ("SELECT SUM(denied) FROM files", [false, false, false]),
        ("SELECT SUM(Denied) FROM Files", [false, false, false]),
    ];
    for (text, admitted) in cases {
        assert_eq!([&none, &user, &both].map(|series| query(text).admits(series)), admitted, "{text}");
    }
}

#[test]
fn where_asks_for_values() {
    let none = series("Denied", &[]);
    let alice = series("Denied", &[("User", "alice"), ("Folder", "\\hr")]);
    let bob = series("Denied", &[("User", "bob"), ("Folder", "\\it")]);
    let cases = [
        ("User = 'alice'", [false, true, false]),
        ("User = 'Alice'", [false, false, false]),
        // Assumed: what is not there differs from every value.
        ("User != 'alice'", [true, false, true]),
        ("User IN ('bob', 'carol')", [false, false, true]),
        ("User IN ('alice', 'bob') AND Folder != '\\hr'", [false, false, true]),
        // AND binds more tightly than OR.
        ("User = 'alice' OR User = 'bob' AND Folder = '\\hr'", [false, true, false]),
        ("(User = 'alice' OR User = 'bob') AND Folder = '\\it'", [false, false, true]),
    ];
    for (condition, admitted) in cases {
        let query = query(&format!("SELECT SUM(Denied) FROM files WHERE {condition}"));
        assert_eq!([&none, &alice, &bob].map(|series| query.admits(series)), admitted, "{condition}");
    }
}

#[test]
fn groups_are_named_in_the_order_written() {
    let query = query("SELECT SUM(Denied) FROM files GROUP BY User, Folder");
    let group = |name, dimensions| query.group_of(&series(name, dimensions)).map(|group| group.join(" "));
    assert_eq!(group("Denied", &[("Folder", "\\hr"), ("User", "alice")]).as_deref(), Some("alice \\hr"));
    assert_eq!(group("Denied", &[("Folder", "\\hr")]).as_deref(), Some("Other \\hr"));
    assert_eq!(group("Denied", &[]).as_deref(), Some("Other Other"));
    assert_eq!(group("Read", &[("Folder", "\\hr"), ("User", "alice")]), None);
    let whole = Query::parse("SELECT SUM(Denied) FROM files").unwrap();
    assert_eq!(whole.group_of(&series("Denied", &[("User", "alice")])), Some(vec![]));
}

#[test]
fn after_reads_the_other_metric_by_the_same_clauses() {
    let query =
        query("SELECT SUM(Entered) FROM files WHERE User != 'svc' GROUP BY User AFTER SUM(Failed) >= 10");
    let user = |name, user| series(name, &[("User", user)]);
    let seen = |series: &Series| {
        (query.admits(series), query.admits_after(series), query.group_of(series).is_some())
    };
    assert_eq!(seen(&user("Entered", "alice")), (true, false, true));
    assert_eq!(seen(&user("Failed", "alice")), (false, true, true));
    assert_eq!(seen(&user("Failed", "svc")), (false, false, false));
    assert_eq!(query.group_of(&user("Failed", "alice")), Some(vec!["alice"]));
    assert!(!Query { after: None, ..query.clone() }.admits_after(&user("Failed", "alice")));
}

#[test]
fn functions_name_statistics() {
    let names =
        Function::ALL.map(|function| format!("{} {}", function.name(), function.statistic())).join(", ");
    assert_eq!(
        names,
        "AVG Average, COUNT SampleCount, COUNT_DISTINCT Distinct, MAX Maximum, MIN Minimum, SUM Sum"
    );
}

#[test]
fn is_stored_as_its_text() {
    let query = query("SELECT SUM(Denied) FROM files WHERE User='alice' GROUP BY Folder");
    let stored = serde_json::to_string(&query).unwrap();
    assert_eq!(stored, r#""SELECT SUM(Denied) FROM \"files\" WHERE User = 'alice' GROUP BY Folder""#);
    assert_eq!(serde_json::from_str::<Query>(&stored).unwrap(), query);
    assert_eq!(postcard::from_bytes::<Query>(&postcard::to_stdvec(&query).unwrap()).unwrap(), query);
    assert!(serde_json::from_str::<Query>(r#""SELECT""#).is_err());
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9_]{1,8}", "limit|Order|IN|sum|tag.env", r#"[ a'"\\/.é]{1,6}"#]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,6}", r#"[\\'"a ]{0,6}"#, ".{0,6}"]
}

/// Conditions as reading leaves them: no AND in an AND, no OR in an OR, none with one part.
fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        (name(), value()).prop_map(|(name, value)| Condition::Equals(name, value)),
        (name(), value()).prop_map(|(name, value)| Condition::Differs(name, value)),
        (name(), prop::collection::vec(value(), 1..4))
            .prop_map(|(name, values)| Condition::OneOf(name, values)),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        (any::<bool>(), prop::collection::vec(inner, 2..4)).prop_map(|(all, parts)| {
            let flat = parts.into_iter().flat_map(|part| match part {
                Condition::All(inner) if all => inner,
                Condition::Any(inner) if !all => inner,
                part => vec![part],
            });
            let flat = flat.collect();
            if all { Condition::All(flat) } else { Condition::Any(flat) }
        })
    })
}

fn any_query() -> impl Strategy<Value = Query> {
    let names = |least| prop::collection::btree_set(name(), least..4);
    let function = || prop::sample::select(Function::ALL.to_vec());
    let direction = prop::sample::select(vec![Direction::Ascending, Direction::Descending]);
    let after = (any::<bool>(), name(), 1e-9..1e12_f64).prop_map(|(sum, metric, at_least)| After {
        function: if sum { Function::Sum } else { Function::Count },
        metric,
        at_least,
    });
    let ordered = function().prop_filter("ORDER BY knows it not", |it| *it != Function::CountDistinct);
    let clauses = (
        prop::option::of(names(0)),
        prop::option::of(condition()),
        names(0),
        prop::option::of(after),
        prop::option::of((ordered, direction)),
        prop::option::of(1..=GROUPS_MAX),
    );
    (function(), name(), name(), clauses).prop_map(|(function, metric, namespace, clauses)| {
        let (schema, conditions, group_by, after, order_by, limit) = clauses;
        let schema = schema.map(|names| names.into_iter().collect());
        let group_by = group_by.into_iter().rev().collect();
        Query { function, metric, namespace, schema, conditions, group_by, after, order_by, limit }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_as_the_same_query(query in any_query()) {
        prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
    }

    /// Any order of the words of the language; what is read can be written and read again.
    #[test]
    fn no_text_is_fatal(
        any in ".{0,80}",
        words in prop::collection::vec(
            prop::sample::select(vec![
                "SELECT", "SUM", "(", "m", ")", "FROM", "a", "SCHEMA", ",", "WHERE", "x", "=", "!=", "IN", "'v'", "\"n\"",
                "AND", "OR", "NOT", "GROUP", "BY", "AFTER", ">=", "3", "ORDER", "DESC", "LIMIT", "'", "\"", "\\", "tag.",
            ]),
            0..40,
        ),
    ) {
        for text in [any.clone(), words.join(" "), format!("SELECT SUM(m) FROM a {} {any}", words.join(""))] {
            match Query::parse(&text) {
                Ok(query) => prop_assert_eq!(Query::parse(&query.to_string()), Ok(query)),
                Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.at)),
            }
        }
    }
}
