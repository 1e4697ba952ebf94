use std::net::IpAddr;

use super::*;

/// Whether a condition holds for a request with these facts.
fn holds(condition: &str, facts: &[(&str, Fact<'static>)]) -> bool {
    let statement =
        format!("{{'Effect': 'Allow', 'Action': '*', 'Resource': '*', 'Condition': {{{condition}}}}}");
    let policy = [identity(&statement)];
    let mut all = Facts::of(&NINA, NOW);
    for (key, fact) in facts {
        all.put(key.to_string(), fact.clone());
    }
    let request = Request { principal: &NINA, action: "s3:GetObject", resource: "*", facts: &all };
    evaluate(&Policies { identity: &policy, resource_account: ACCOUNT, ..Policies::default() }, &request)
        .is_allowed()
}

fn text(value: &'static str) -> Fact<'static> {
    Fact::Text(value.into())
}

fn check(rows: &[(&str, Option<Fact<'static>>, bool)]) {
    for (condition, fact, expected) in rows {
        let facts: Vec<_> = fact.iter().map(|fact| ("k:key", fact.clone())).collect();
        assert_eq!(holds(condition, &facts), *expected, "{condition} with {fact:?}");
    }
}

#[test]
fn compares_text_numbers_dates_and_addresses() {
    let address = |text: &str| Some(Fact::Address(text.parse::<IpAddr>().unwrap()));
    let at = |seconds: i64| Some(Fact::Time(Timestamp::from_seconds(seconds)));
    check(&[
        ("'StringEquals': {'k:key': 'Blue'}", Some(text("Blue")), true),
        ("'StringEquals': {'k:key': 'Blue'}", Some(text("blue")), false),
        ("'StringEquals': {'K:KEY': ['red', 'Blue']}", Some(text("Blue")), true),
        ("'StringEquals': {'k:key': 'Bl*'}", Some(text("Blue")), false),
        ("'StringEqualsIgnoreCase': {'k:key': 'GRÜN'}", Some(text("grün")), true),
        ("'StringNotEqualsIgnoreCase': {'k:key': 'BLUE'}", Some(text("blue")), false),
        ("'StringNotEquals': {'k:key': ['red', 'Blue']}", Some(text("Blue")), false),
        ("'StringNotEquals': {'k:key': ['red', 'Blue']}", Some(text("green")), true),
        ("'StringLike': {'k:key': 'home/*/a?'}", Some(text("home/nina/x/aü")), true),
        ("'StringLike': {'k:key': 'home/?'}", Some(text("home/")), false),
        ("'StringNotLike': {'k:key': 'home/*'}", Some(text("home/x")), false),
        ("'StringEquals': {'k:key': 5}", Some(Fact::Number(5.0)), true),
        ("'NumericEquals': {'k:key': '10'}", Some(text("1e1")), true),
        ("'NumericLessThanEquals': {'k:key': 10}", Some(Fact::Number(10.0)), true),
        ("'NumericLessThan': {'k:key': 10}", Some(Fact::Number(10.0)), false),
        ("'NumericGreaterThan': {'k:key': ['5', '20']}", Some(text("7")), true),
        ("'NumericGreaterThanEquals': {'k:key': 8}", Some(text("7")), false),
        ("'NumericNotEquals': {'k:key': 8}", Some(text("8.0")), false),
        ("'NumericEquals': {'k:key': 8}", Some(text("eight")), false),
        ("'DateGreaterThan': {'k:key': '2020-04-01T00:00:00Z'}", at(1_585_699_201), true),
        ("'DateGreaterThan': {'k:key': '2020-04-01T00:00:00Z'}", at(1_585_699_200), false),
        ("'DateGreaterThanEquals': {'k:key': '2020-04-01'}", at(1_585_699_200), true),
        ("'DateLessThan': {'k:key': '2020-04'}", at(1_585_699_199), true),
        ("'DateLessThanEquals': {'k:key': '2020-04-01T02:00:00+02:00'}", at(1_585_699_200), true),
        ("'DateEquals': {'k:key': '1585699200'}", Some(text("2020-04-01T00:00:00")), true),
        ("'DateNotEquals': {'k:key': '1585699200'}", Some(Fact::Number(1_585_699_200.0)), false),
        ("'Bool': {'k:key': 'TRUE'}", Some(Fact::Bool(true)), true),
        ("'Bool': {'k:key': false}", Some(text("true")), false),
        ("'Bool': {'k:key': false}", None, false),
        ("'IpAddress': {'k:key': '203.0.113.0/24'}", address("203.0.113.200"), true),
        ("'IpAddress': {'k:key': '203.0.113.0/24'}", address("203.0.114.1"), false),
        ("'IpAddress': {'k:key': '203.0.113.7'}", address("::ffff:203.0.113.7"), true),
        ("'IpAddress': {'k:key': '0.0.0.0/0'}", address("8.8.8.8"), true),
        ("'IpAddress': {'k:key': '0.0.0.0/0'}", address("2001:db8::1"), false),
        ("'IpAddress': {'k:key': '2001:DB8:1234:5678::/64'}", address("2001:db8:1234:5678::9"), true),
        ("'NotIpAddress': {'k:key': ['10.0.0.0/8', '192.168.0.0/16']}", address("192.168.3.4"), false),
        ("'NotIpAddress': {'k:key': '10.0.0.0/8'}", address("11.0.0.1"), true),
        ("'IpAddress': {'k:key': '10.0.0.0/8'}", Some(text("no address")), false),
    ]);
}

#[test]
fn compares_arns_part_by_part() {
    let topic = || Some(text("arn:aws:sns:eu-central-1:123456789012:topic:sub:id"));
    check(&[
        ("'ArnLike': {'k:key': 'arn:aws:sns:*:123456789012:topic:*'}", topic(), true),
        ("'ArnEquals': {'k:key': 'arn:aws:sns:eu-*-1:*:*'}", topic(), true),
        ("'ArnLike': {'k:key': 'arn:aws:*:topic:sub:id'}", topic(), false),
        ("'ArnLike': {'k:key': 'arn:aws:sns:*:*:topi?:*'}", topic(), true),
        ("'ArnLike': {'k:key': '*'}", topic(), true),
        ("'ArnLike': {'k:key': '*'}", Some(text("no arn")), false),
        ("'ArnNotLike': {'k:key': 'arn:aws:sns:*:*:topic*'}", topic(), false),
        ("'ArnNotEquals': {'k:key': 'arn:aws:sns:*:*:other'}", topic(), true),
    ]);
}

#[test]
fn treats_absent_keys_and_many_values_as_the_guide_does() {
    let texts = |values: &[&'static str]| Some(Fact::Texts(values.iter().map(|v| (*v).into()).collect()));
    check(&[
        ("'StringEquals': {'k:key': 'a'}", None, false),
        ("'StringNotEquals': {'k:key': 'a'}", None, true),
        ("'ArnNotLike': {'k:key': 'arn:aws:s3:::b'}", None, true),
        ("'NotIpAddress': {'k:key': '10.0.0.0/8'}", None, true),
        ("'StringEqualsIfExists': {'k:key': 'a'}", None, true),
        ("'StringEqualsIfExists': {'k:key': 'a'}", Some(text("b")), false),
        ("'Null': {'k:key': 'true'}", None, true),
        ("'Null': {'k:key': true}", Some(text("")), false),
        ("'Null': {'k:key': false}", Some(text("a")), true),
        ("'Null': {'k:key': true}", texts(&[]), true),
        ("'ForAllValues:StringEquals': {'k:key': ['a', 'b']}", texts(&["a", "b", "a"]), true),
        ("'ForAllValues:StringEquals': {'k:key': ['a', 'b']}", texts(&["a", "c"]), false),
        ("'ForAllValues:StringEquals': {'k:key': 'a'}", None, true),
        ("'ForAllValues:StringNotEquals': {'k:key': 'a'}", texts(&["b", "a"]), false),
        ("'ForAllValues:StringNotLike': {'k:key': 'a*'}", texts(&["b", "c"]), true),
        ("'ForAnyValue:StringEquals': {'k:key': ['a', 'b']}", texts(&["z", "b"]), true),
        ("'ForAnyValue:StringEquals': {'k:key': 'a'}", texts(&["z"]), false),
        ("'ForAnyValue:StringEquals': {'k:key': 'a'}", None, false),
        ("'ForAnyValue:StringNotEquals': {'k:key': ['a', 'b']}", texts(&["a", "b"]), false),
        ("'ForAnyValue:StringNotEquals': {'k:key': ['a', 'b']}", texts(&["a", "z"]), true),
        ("'ForAnyValue:StringNotEquals': {'k:key': 'a'}", None, false),
        ("'StringEquals': {'k:key': 'a'}, 'Bool': {'k:key': true}", Some(text("a")), false),
        ("'StringLike': {'k:key': 'a*', 'k:other': 'b'}", Some(text("ab")), false),
        ("", None, true),
    ]);
}

#[test]
fn puts_facts_for_variables() {
    let team = || vec![("aws:PrincipalTag/team", text("red*"))];
    let rows = [
        (r#""StringEquals": {"k:key": "${aws:username}"}"#, "nina", vec![], true),
        (r#""StringLike": {"k:key": "home/${AWS:UserName}/*"}"#, "home/nina/x", vec![], true),
        (r#""StringLike": {"k:key": "${*}a${?}b${$}*"}"#, "*a?b$c", vec![], true),
        (r#""StringLike": {"k:key": "${*}"}"#, "abc", vec![], false),
        // What stands in for a variable has no wildcards.
        (r#""StringLike": {"k:key": "${aws:PrincipalTag/team}"}"#, "red*", team(), true),
        (r#""StringLike": {"k:key": "${aws:PrincipalTag/team}"}"#, "reddish", team(), false),
        (r#""StringEquals": {"k:key": "${aws:PrincipalTag/team, 'all'}"}"#, "all", vec![], true),
        (r#""StringEquals": {"k:key": "${aws:PrincipalTag/team, 'all'}"}"#, "all", team(), false),
        // Without value and default nothing matches, and a negated operator does not hold either.
        (r#""StringEquals": {"k:key": "${aws:PrincipalTag/team}"}"#, "red*", vec![], false),
        (r#""StringEquals": {"k:key": ["${aws:PrincipalTag/team}", "x"]}"#, "x", vec![], true),
        (r#""StringNotEquals": {"k:key": "${aws:PrincipalTag/team}"}"#, "x", vec![], false),
        (r#""StringEqualsIgnoreCase": {"k:key": "${aws:username}"}"#, "NINA", vec![], true),
        (r#""DateLessThan": {"aws:CurrentTime": "2026-09-14T05:42:02Z"}"#, "", vec![], true),
        (r#""NumericGreaterThan": {"aws:EpochTime": "1789364520"}"#, "", vec![], true),
        (r#""StringEquals": {"aws:CurrentTime": "2026-09-14T05:42:01.000Z"}"#, "", vec![], true),
    ];
    for (condition, value, mut facts, expected) in rows {
        facts.push(("k:key", text(value)));
        let document = format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "*", "Resource": "*",
                "Condition": {{{condition}}}}}}}"#
        );
        let policy = [Arc::new(Policy::parse(&document, PolicyKind::Identity).unwrap())];
        let mut all = Facts::of(&NINA, NOW);
        facts.iter().for_each(|(key, fact)| all.put(*key, fact.clone()));
        let request = Request { principal: &NINA, action: "a:b", resource: "*", facts: &all };
        let policies = Policies { identity: &policy, resource_account: ACCOUNT, ..Policies::default() };
        assert_eq!(evaluate(&policies, &request).is_allowed(), expected, "{document} with {facts:?}");
    }
}

#[test]
fn an_older_document_has_no_variables() {
    let text = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::b/${aws:username}"}}"#;
    let policy = [Arc::new(Policy::parse(text, PolicyKind::Resource).unwrap())];
    let facts = Facts::of(&NINA, NOW);
    for (resource, expected) in [("arn:aws:s3:::b/${aws:username}", true), ("arn:aws:s3:::b/nina", false)] {
        let request = Request { principal: &NINA, action: "s3:GetObject", resource, facts: &facts };
        let policies = Policies { resource: &policy, resource_account: ACCOUNT, ..Policies::default() };
        assert_eq!(evaluate(&policies, &request).is_allowed(), expected, "{resource}");
    }
}
