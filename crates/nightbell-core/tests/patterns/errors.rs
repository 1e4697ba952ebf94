//! What is no pattern, and the very words the service answers with.

use nightbell_core::fields::Subject;
use nightbell_core::fields::json::JsonReader;
use nightbell_core::pattern::{Caller, PATTERN_CHARS_MAX, Pattern};
use proptest::prelude::*;

fn message(source: &str, caller: Caller) -> String {
    match Pattern::parse(source) {
        Ok(_) => panic!("accepted: {source}"),
        Err(error) => error.message(caller),
    }
}

#[test]
fn messages_that_all_operations_share() {
    let rows = [
        ("U15", "ERR*", "Invalid character(s) in term '*'"),
        ("U16", "\"ERROR", "Invalid character(s) in term '\"ERROR'"),
        ("U17", "hello!", "Invalid character(s) in term '!'"),
        ("hyphen inside a bare term", "hello-world", "Invalid character(s) in term '-'"),
        ("path", "a/b", "Invalid character(s) in term '/'"),
        ("prefix alone", "ERROR - x", "Invalid character(s) in term '-'"),
        ("letter outside ASCII, unquoted", "café", "Invalid character(s) in term 'é'"),
        ("G09", "%^(ERROR|WARN)%", "Invalid character(s) in term '%^('"),
        ("G10", "%hello!%", "Invalid character(s) in term '%hello!'"),
        ("G11", "%café%", "Invalid character(s) in term '%café'"),
        ("G12", "%ERROR(?= 500)%", "Invalid character(s) in term '%ERROR('"),
        ("G13", "%[abc%", "Failed to compile regular expression."),
        ("back-reference", r"%(a)\1%", "Invalid character(s) in term '%('"),
        ("escaped letter that is no class", r"%\q%", r"Invalid character(s) in term '%\q'"),
        ("unclosed regular expression", "%abc", "Invalid character(s) in term '%abc'"),
        ("oversized regular expression", "%a{1000}{1000}%", "Failed to compile regular expression."),
        ("E05", "{ !($.v = 1) }", "Invalid character(s) in term '!('"),
        ("E06", "{ \"v\": [1] }", "Invalid character(s) in term ':'"),
        ("E07", "{ $.v > \"Alpha\" }", "Invalid character(s) in term '\"Alpha\"'"),
        ("E08", "{ $.v = %(Alpha|Beta)% }", "Invalid character(s) in term '%('"),
        (
            "E09",
            "{ $.items[*].* = 1 }",
            "Your filter pattern has a JSON path selector that exceeds the maximum of 1 wildcard allowed per json \
             selector.",
        ),
        ("E10", "{ $..value = 1 }", "Invalid character(s) in term '$..'"),
        ("E11", "{ $.arr[-1] = 1 }", "Invalid character(s) in term '[-'"),
        ("E12", "{ $.arr[0:2] = 1 }", "Invalid character(s) in term '[0:'"),
        (
            "E13",
            "{ $.a[*] = 1 && $.b[*] = 1 && $.c.* = 1 && $.* = 1 }",
            "Your input has exceeded the maximum of 3 JSON wildcard selectors allowed per filter pattern.",
        ),
        (
            "E14",
            "{ $.a = %a% || $.b = %b% || $.c = %c% }",
            "Your input has exceeded the maximum of 2 regular expressions per filter pattern.",
        ),
        (
            "E14 in columns",
            "[a = %a%, b = %b%, c = %c%]",
            "Your input has exceeded the maximum of 2 regular expressions per filter pattern.",
        ),
        ("order of a bare word", "{ $.v >= abc }", "Invalid character(s) in term 'abc'"),
        ("order of a text in columns", "[a > \"1\"]", "Invalid character(s) in term '\"1\"'"),
        ("single ampersand", "{ $.v = 1 & $.w = 2 }", "Invalid character(s) in term '& '"),
        ("unclosed quote", "{ $.v = \"x }", "Invalid character(s) in term '\"x }'"),
        ("S13", "[..., status, ...]", "Duplicate field '...'"),
        ("S14", "[word, word]", "Duplicate field 'word'"),
    ];
    for (name, source, expected) in rows {
        assert_eq!(message(source, Caller::MetricFilter), expected, "{name}");
        assert_eq!(message(source, Caller::LogEvents), expected, "{name}");
    }
}

#[test]
fn messages_that_name_the_operation() {
    let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(400), ")".repeat(400));
    let rows = [
        ("E01", "{ $.v EXISTS }"),
        ("E02", "{ $.v == 1 }"),
        ("E03", "{ $.v = 1 AND $.w = 2 }"),
        ("V23", "{ $.v = null }"),
        ("S11", "[w1 = SPACE, w2]"),
        ("nothing inside", "{ }"),
        ("text after", "{ $.v = 1 } x"),
        ("unclosed", "{ $.v = 1"),
        ("half a condition", "{ $.v = }"),
        ("dangling &&", "{ $.v = 1 && }"),
        ("NOT without EXISTS", "{ $.v NOT NULL }"),
        ("unclosed columns", "[a, b"),
        ("condition without operator", "[a b]"),
        ("another item's name in a condition", "[a = 1 && b = 2, b]"),
        ("nested too deep", &deep),
    ];
    for (name, source) in rows {
        assert_eq!(message(source, Caller::MetricFilter), "Invalid metric filter pattern", "{name}");
        assert_eq!(message(source, Caller::LogEvents), "Invalid filter pattern", "{name}");
    }
    let e04 = "{ $.v IS NOT NULL }";
    assert_eq!(message(e04, Caller::MetricFilter), "Invalid character(s) in term 'NOT'");
    assert_eq!(message(e04, Caller::LogEvents), "Invalid filter pattern");
}

#[test]
fn length_counts_characters() {
    assert!(Pattern::parse(&format!("\"{}\"", "é".repeat(PATTERN_CHARS_MAX - 2))).is_ok());
    assert!(
        message(&"a".repeat(PATTERN_CHARS_MAX + 1), Caller::MetricFilter)
            .contains("less than or equal to 1024")
    );
}

#[test]
fn source_and_count_of_regular_expressions_are_kept() {
    for (source, regexes) in [("", 0), ("a %b%", 1), ("{ $.a = %x% && $.b != %y% }", 2), ("[a = %x%, b]", 1)]
    {
        let pattern = Pattern::parse(source).unwrap();
        assert_eq!((pattern.source(), pattern.regexes()), (source, regexes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(source in any::<String>(), message in any::<String>()) {
        try_pattern(&source, &message);
    }

    #[test]
    fn no_text_of_pattern_characters_makes_the_parser_panic(
        source in r#"[\{\[%"?$(-][ -~é\n]{0,40}"#,
        joined in proptest::collection::vec(prop_oneof![
            Just("$.a"), Just("[*]"), Just("['x']"), Just(" = "), Just("!="), Just(">"), Just("1"), Just("\"x*\""),
            Just("%a{,2}%"), Just("&&"), Just("||"), Just("("), Just(")"), Just("{"), Just("}"), Just("["), Just("]"),
            Just(","), Just("..."), Just("w"), Just("IS"), Just("NULL"), Just("NOT"), Just("EXISTS"), Just(" "),
        ], 0..16),
    ) {
        try_pattern(&source, r#"{"a":[1,"x"]} w "x y" [z"#);
        try_pattern(&joined.concat(), r#"{"a":[1,"x"]} w "x y" [z"#);
    }
}

fn try_pattern(source: &str, message: &str) {
    let subject = Subject::new(message, "stream", &JsonReader);
    match Pattern::parse(source) {
        Ok(pattern) => {
            let matched = pattern.matches(&subject);
            assert!(matched || pattern.extract(&subject).is_empty());
        }
        Err(error) => assert!(!error.message(Caller::LogEvents).is_empty()),
    }
}
