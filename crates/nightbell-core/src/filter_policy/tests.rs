use super::*;

type Attributes<'a> = &'a [(&'a str, &'a str, &'a str)];

fn gets(policy: &str, scope: FilterScope, attributes: Attributes<'_>, body: &str) -> bool {
    let attributes = attributes
        .iter()
        .map(|(name, kind, value)| {
            let attribute = MessageAttribute { data_type: (*kind).to_owned(), value: (*value).to_owned() };
            ((*name).to_owned(), attribute)
        })
        .collect();
    FilterPolicy::parse(policy, scope)
        .unwrap_or_else(|error| panic!("{policy}: {error}"))
        .matches(&attributes, body)
}

#[test]
fn gives_subscribers_what_their_policies_say() {
    use FilterScope::{MessageAttributes as Attributes, MessageBody as Body};
    let alarm = r#"{"AlarmName":"AccessDenied","NewStateValue":"ALARM","Trigger":{"Dimensions":[]}}"#;
    let state = |value: &'static str| vec![("state", "String", value)];
    let level = |level: &'static str| vec![("state", "String", "OK"), ("sev", "Number", level)];
    let graded = r#"{"state":["ALARM","OK"],"sev":[{"numeric":[">",3]}]}"#;
    let but = r#"{"state":[{"anything-but":["OK"]}]}"#;
    let one = |row: (&'static str, &'static str, &'static str)| vec![row];
    let rows = [
        ("L01", r#"{"state":["ALARM"]}"#, Attributes, state("ALARM"), "", true),
        ("L02", r#"{"state":["ALARM"]}"#, Attributes, state("alarm"), "", false),
        ("L03", r#"{"state":["ALARM"]}"#, Attributes, vec![], "", false),
        ("L04", graded, Attributes, level("4"), "", true),
        ("L05", graded, Attributes, level("3"), "", false),
        ("L06", but, Attributes, state("ALARM"), "", true),
        ("L07", but, Attributes, vec![], "", false),
        ("L08", r#"{"x":[{"exists":false}]}"#, Attributes, vec![], "", true),
        ("L09", r#"{"tags":["a"]}"#, Attributes, one(("tags", "String.Array", r#"["a","b"]"#)), "", true),
        ("L10", r#"{"NewStateValue":["ALARM"]}"#, Body, vec![], alarm, true),
        ("L11", r#"{"NewStateValue":["ALARM"]}"#, Body, vec![], "ALARM", false),
        ("L12", r#"{"ip":[{"prefix":"10."}]}"#, Attributes, one(("ip", "String", "10.1.1.1")), "", true),
        ("L13", r#"{"n":[{"numeric":["=",301.5]}]}"#, Attributes, one(("n", "Number", "3.015e2")), "", true),
    ];
    for (id, policy, scope, attributes, body, expected) in rows {
        assert_eq!(gets(policy, scope, &attributes, body), expected, "{id}");
    }
}

#[test]
fn knows_the_operators_on_attributes() {
    let text = |value: &'static str| ("k", "String", value);
    let number = |value: &'static str| ("k", "Number", value);
    let list = |value: &'static str| ("k", "String.Array", value);
    let rows = [
        ("{}", None, true),
        (r#"{"k":[{"suffix":".exe"}]}"#, Some(text("a.exe")), true),
        (r#"{"k":[{"suffix":".exe"}]}"#, Some(text("a.EXE")), false),
        (r#"{"k":[{"equals-ignore-case":"Grün"}]}"#, Some(text("GRÜN")), true),
        (r#"{"k":[{"wildcard":"a*b*"}]}"#, Some(text("axxbü")), true),
        (r#"{"k":[{"wildcard":"a\\*b"}]}"#, Some(text("a*b")), true),
        (r#"{"k":[{"wildcard":"a\\*b"}]}"#, Some(text("axb")), false),
        (r#"{"k":[{"cidr":"10.0.0.0/24"}]}"#, Some(text("10.0.0.255")), true),
        (r#"{"k":[{"cidr":"10.0.0.0/24"}]}"#, Some(text("10.0.1.0")), false),
        (r#"{"k":[{"cidr":"10.0.0.0/24"}]}"#, Some(text("host")), false),
        (r#"{"k":[{"exists":true}]}"#, Some(("k", "Binary", "QQ==")), true),
        (r#"{"k":[{"exists":true}]}"#, None, false),
        (r#"{"k":[{"exists":false}]}"#, Some(text("")), false),
        (r#"{"k":[{"exists":false},"a"]}"#, Some(text("a")), true),
        (r#"{"k":["a"]}"#, Some(("k", "String.label", "a")), true),
        (r#"{"k":["a"]}"#, Some(("k", "Binary", "a")), false),
        (r#"{"k":[5]}"#, Some(number("5.000001")), true),
        (r#"{"k":[5]}"#, Some(number("5.00001")), false),
        (r#"{"k":[5]}"#, Some(text("5")), false),
        (r#"{"k":["5"]}"#, Some(number("5")), false),
        (r#"{"k":[5]}"#, Some(list("[1, 5]")), true),
        (r#"{"k":[true, null]}"#, Some(list("[null]")), true),
        (r#"{"k":[true]}"#, Some(list(r#"["true"]"#)), false),
        (r#"{"k":["a"]}"#, Some(list("[a")), false),
        (r#"{"k":[{"numeric":[">=",0,"<",100]}]}"#, Some(number("0")), true),
        (r#"{"k":[{"numeric":[">=",0,"<",100]}]}"#, Some(number("100")), false),
        (r#"{"k":[{"numeric":["<=",-5.5]}]}"#, Some(number("-5.5")), true),
        (r#"{"k":[{"numeric":[">",0]}]}"#, Some(number("2e9")), false),
        (r#"{"k":[{"numeric":[">",0]}]}"#, Some(text("1")), false),
        (r#"{"k":[{"anything-but":"a"}]}"#, Some(text("b")), true),
        (r#"{"k":[{"anything-but":["a",1]}]}"#, Some(number("1.0")), false),
        (r#"{"k":[{"anything-but":["a",1]}]}"#, Some(number("2")), true),
        (r#"{"k":[{"anything-but":["a","b"]}]}"#, Some(list(r#"["a","c"]"#)), true),
        (r#"{"k":[{"anything-but":["a","b"]}]}"#, Some(list(r#"["a"]"#)), false),
        (r#"{"k":[{"anything-but":{"prefix":"a"}}]}"#, Some(text("abc")), false),
        (r#"{"k":[{"anything-but":{"suffix":["a","c"]}}]}"#, Some(text("abc")), false),
        (r#"{"k":[{"anything-but":{"wildcard":"*x*"}}]}"#, Some(text("abc")), true),
        (r#"{"$or":[{"k":["a"]},{"j":["b"]}]}"#, Some(text("a")), true),
        (r#"{"$or":[{"k":["a"]},{"j":["b"]}]}"#, Some(text("b")), false),
        (r#"{"$or":["x"]}"#, Some(("$or", "String", "x")), true),
    ];
    for (policy, attribute, expected) in rows {
        let attributes: Vec<_> = attribute.into_iter().collect();
        assert_eq!(
            gets(policy, FilterScope::MessageAttributes, &attributes, ""),
            expected,
            "{policy}: {attribute:?}"
        );
    }
}

#[test]
fn looks_into_bodies() {
    let rows = [
        (r#"{"a":{"b":{"c":["x"]}}}"#, r#"{"a":{"b":{"c":"x"}}}"#, true),
        (r#"{"a":{"b":{"c":["x"]}}}"#, r#"{"a":{"b":"x"}}"#, false),
        (r#"{"a":["x"]}"#, r#"{"a":["y",["x"]]}"#, true),
        (r#"{"a":[1.5,null]}"#, r#"{"a":1.50}"#, true),
        (r#"{"a":[1.5,null]}"#, r#"{"a":null}"#, true),
        (r#"{"a":["1"]}"#, r#"{"a":1}"#, false),
        // One member of a list must satisfy all that is asked of it.
        (
            r#"{"r":{"n":["put"],"u":["otto"]}}"#,
            r#"{"r":[{"n":"put","u":"nina"},{"n":"get","u":"otto"}]}"#,
            false,
        ),
        (
            r#"{"r":{"n":["put"],"u":["otto"]}}"#,
            r#"{"r":[{"n":"put","u":"nina"},{"n":"put","u":"otto"}]}"#,
            true,
        ),
        (r#"{"a":{"b":[{"exists":false}]}}"#, "{}", true),
        (r#"{"a":[{"exists":false}]}"#, r#"{"a":[]}"#, true),
        (r#"{"a":[{"exists":true}]}"#, r#"{"a":{"b":1}}"#, false),
        (r#"{"a":[{"exists":true}]}"#, r#"{"a":null}"#, true),
        (r#"{"a":{"$or":[{"b":[1]},{"c":[{"numeric":["<",0]}]}]}}"#, r#"{"a":{"c":-1}}"#, true),
        (r#"{"a":["x"]}"#, r#"[{"a":"x"}]"#, false),
        ("{}", "no JSON", true),
    ];
    for (policy, body, expected) in rows {
        assert_eq!(gets(policy, FilterScope::MessageBody, &[], body), expected, "{policy}: {body}");
    }
}

/// A policy, its scope, and how the message starts.
const REFUSED: &[(&str, FilterScope, &str)] = &[
    ("{", FilterScope::MessageAttributes, "FilterPolicy: failed to parse JSON."),
    ("[]", FilterScope::MessageAttributes, "FilterPolicy: must be a JSON object"),
    (r#"{"a":[1],"a":[2]}"#, FilterScope::MessageAttributes, "FilterPolicy: failed to parse JSON."),
    (r#"{"a":"x"}"#, FilterScope::MessageAttributes, "FilterPolicy: \"a\" must be an object or an array"),
    (
        r#"{"a":{"b":["x"]}}"#,
        FilterScope::MessageAttributes,
        "Filter policy scope MessageAttributes does not support nested filter policy",
    ),
    (r#"{"a":[]}"#, FilterScope::MessageAttributes, "FilterPolicy: Empty arrays are not allowed"),
    (r#"{"a":{}}"#, FilterScope::MessageBody, "FilterPolicy: Empty objects are not allowed"),
    (
        r#"{"a":[["x"]]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Match value must be String, number, true, false, or null",
    ),
    (r#"{"a":[{"like":"x"}]}"#, FilterScope::MessageAttributes, "FilterPolicy: Unrecognized match type like"),
    (
        r#"{"a":[{"prefix":"x","suffix":"y"}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Only one key allowed in match expression",
    ),
    (
        r#"{"a":[{"prefix":1}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: prefix match pattern must be a string",
    ),
    (
        r#"{"a":[{"exists":"x"}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: exists match pattern must be either true or false.",
    ),
    (
        r#"{"a":[1000000001]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: the number 1000000001 must be between",
    ),
    (
        r#"{"a":[{"wildcard":"a**"}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Consecutive wildcard characters",
    ),
    (
        r#"{"a":[{"wildcard":"*a*b*c*"}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: wildcard *a*b*c* has more than 3 wildcards",
    ),
    (r#"{"a":[{"cidr":"10.0.0/8"}]}"#, FilterScope::MessageAttributes, "FilterPolicy: Malformed CIDR"),
    (
        r#"{"a":[{"anything-but":[]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Empty arrays are not allowed",
    ),
    (
        r#"{"a":[{"anything-but":{"numeric":["=",1]}}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Unsupported anything-but pattern",
    ),
    (
        r#"{"a":[{"numeric":[]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Invalid member in numeric match: ]",
    ),
    (
        r#"{"a":[{"numeric":[3]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Invalid member in numeric match: 3",
    ),
    (
        r#"{"a":[{"numeric":["<>",3]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Unrecognized numeric range operator: <>",
    ),
    (
        r#"{"a":[{"numeric":["="]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Value of equals must be numeric",
    ),
    (
        r#"{"a":[{"numeric":["<","1"]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Value of < must be numeric",
    ),
    (
        r#"{"a":[{"numeric":["<",1,">",0]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Too many elements in numeric expression",
    ),
    (
        r#"{"a":[{"numeric":[">",1,">",2]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Bad numeric range operator: >",
    ),
    (
        r#"{"a":[{"numeric":[">",1,2]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Bad value in numeric range: 2",
    ),
    (
        r#"{"a":[{"numeric":[">",2,"<",1]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Bottom must be less than top",
    ),
    (
        r#"{"a":[{"numeric":[">",1,"<",2,3]}]}"#,
        FilterScope::MessageAttributes,
        "FilterPolicy: Too many terms in numeric range expression",
    ),
];

#[test]
fn refuses_in_the_words_of_sns() {
    use FilterScope::{MessageAttributes as Attributes, MessageBody as Body};
    let keys = format!("{{{}}}", ["a", "b", "c", "d", "e", "f"].map(|k| format!("\"{k}\":[1]")).join(","));
    let list = |n: usize| vec!["1"; n].join(",");
    let wide = format!("{{\"a\":[{}]}}", list(151));
    let full = format!("{{\"a\":[{}],\"b\":[{}]}}", list(15), list(10));
    let deep = format!("{}[1]{}", "{\"a\":".repeat(60), "}".repeat(60));
    // Four values three levels deep, three values two levels deep: 4 × 3 × 3 × 2 = 72.
    let nested = format!("{{\"a\":{{\"b\":{{\"c\":[{}]}}}},\"d\":{{\"e\":[{}]}}}}", list(4), list(3));
    let nested_more = nested.replacen("[1,1,1,1]", &format!("[{}]", list(9)), 1);
    let or = format!("{{\"k\":[{}],\"$or\":[{{\"a\":[{}]}},{{\"b\":[{}]}}]}}", list(5), list(20), list(10));
    let or_more = or.replacen("\"a\":[", "\"a\":[1,", 1);
    for (policy, scope) in [(&full, Attributes), (&nested, Body), (&or, Attributes)] {
        assert!(FilterPolicy::parse(policy, scope).is_ok(), "{policy}");
    }
    let rows = [
        (keys.as_str(), Attributes, "FilterPolicy: Filter policy can not have more than 5 keys"),
        (wide.as_str(), Attributes, "FilterPolicy: Filter policy is too complex"),
        (nested_more.as_str(), Body, "FilterPolicy: Filter policy is too complex"),
        (or_more.as_str(), Attributes, "FilterPolicy: Filter policy is too complex"),
        (deep.as_str(), Body, "FilterPolicy: \"a\" is nested deeper than 32 levels"),
    ];
    for (policy, scope, message) in rows.iter().chain(REFUSED) {
        let error = FilterPolicy::parse(policy, *scope).expect_err(policy).to_string();
        assert!(error.starts_with(message), "{policy}: {error}");
    }
    let long = format!("{{\"a\":[\"{}\"]}}", "x".repeat(FILTER_POLICY_BYTES_MAX));
    assert!(FilterPolicy::parse(&long, Attributes).unwrap_err().to_string().contains("at most 262144"));
}
