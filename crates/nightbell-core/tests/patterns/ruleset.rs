//! The rule set against a plain loop over all patterns, on random patterns and messages that often meet.

use nightbell_core::fields::Subject;
use nightbell_core::fields::json::JsonReader;
use nightbell_core::pattern::Pattern;
use nightbell_core::ruleset::{RuleSet, Scratch};
use proptest::prelude::*;
use proptest::sample::select;

/// Few letters, so that texts are often found and often overlap.
fn word() -> impl Strategy<Value = String> {
    "[ab1]{1,4}"
}

fn text_pattern() -> impl Strategy<Value = String> {
    let regex = select(vec!["%ab+%", "%^a|b1%", "%[ab]1%", "%a.b%", "%b{2}a?%", "%1$%", "%(%", "%ab|b*%"]);
    let term = prop_oneof![6 => word(), 2 => word().prop_map(|word| format!("\"{word} \"")), 1 => Just("\"\"".to_owned()),
        1 => regex.prop_map(str::to_owned)];
    let prefixed =
        (select(vec!["", "", "-", "?"]), term).prop_map(|(prefix, term)| format!("{prefix}{term}"));
    let alternatives = proptest::collection::vec(word().prop_map(|word| format!("?{word}")), 1..4);
    prop_oneof![
        3 => proptest::collection::vec(prefixed, 1..4).prop_map(|terms| terms.join(" ")),
        1 => alternatives.prop_map(|terms| terms.join(" ")),
    ]
}

fn operand() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["1", "1.0", "-1", "11", "1e0", "0", "-0"]).prop_map(str::to_owned),
        word(),
        word().prop_map(|word| format!("\"{word}\"")),
        (word(), word()).prop_map(|(a, b)| format!("\"{a}*{b}\"")),
        word().prop_map(|word| format!("*{word}*")),
        select(vec!["*", "\"\"", "\"1.0\"", "%a+b%", "%^1|a%", "%[ab]%", "true"]).prop_map(str::to_owned),
    ]
}

fn json_test() -> impl Strategy<Value = String> {
    let selector = || select(vec!["$.a", "$.b", "$.a.b", "$.b[0]", "$.b[*]", "$.*", "$.a.a"]);
    prop_oneof![
        4 => (selector(), select(vec!["=", "=", "!="]), operand()).prop_map(|(s, op, v)| format!("{s} {op} {v}")),
        1 => (selector(), select(vec!["<", ">", "<=", ">="]), select(vec!["1", "0", "-1"]))
            .prop_map(|(s, op, v)| format!("{s} {op} {v}")),
        1 => (selector(), select(vec!["IS NULL", "IS TRUE", "IS FALSE", "NOT EXISTS"]))
            .prop_map(|(s, check)| format!("{s} {check}")),
    ]
}

fn json_pattern() -> impl Strategy<Value = String> {
    let expr = json_test().prop_recursive(2, 6, 3, |inner| {
        proptest::collection::vec(inner, 2..4).prop_flat_map(|parts| {
            select(vec![" && ", " || "]).prop_map(move |join| format!("({})", parts.join(join)))
        })
    });
    expr.prop_map(|expr| format!("{{ {expr} }}"))
}

fn column_pattern() -> impl Strategy<Value = String> {
    let tests = (select(vec!["=", "!=", "="]), operand(), select(vec!["", "&&", "||"]), operand());
    let item = (any::<bool>(), tests);
    (proptest::collection::vec(item, 0..4), proptest::option::of(0..4_usize)).prop_map(|(items, dots)| {
        let mut texts: Vec<String> = (0..)
            .zip(items)
            .map(|(at, (plain, (op, value, join, other)))| match (plain, join) {
                (true, _) => format!("w{at}"),
                (false, "") => format!("w{at} {op} {value}"),
                (false, join) => format!("w{at} {op} {value} {join} w{at} = {other}"),
            })
            .collect();
        if let Some(dots) = dots {
            texts.insert(dots.min(texts.len()), "...".to_owned());
        }
        format!("[{}]", texts.join(", "))
    })
}

fn any_pattern() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just(String::new()), 6 => text_pattern(), 6 => json_pattern(), 4 => column_pattern()]
}

fn json_value() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        4 => word().prop_map(|word| format!("\"{word}\"")),
        4 => select(vec!["1", "1.0", "1e0", "-1", "11", "0", "-0.0", "null", "true", "false", "\"true\"", "\"\"",
            "\"\\u0061b\""]).prop_map(str::to_owned),
    ];
    plain.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|parts| format!("[{}]", parts.join(","))),
            members(inner),
        ]
    })
}

fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (select(vec!["a", "b", "c"]), value).prop_map(|(key, value)| format!("\"{key}\":{value}"));
    proptest::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(",")))
}

fn message() -> impl Strategy<Value = String> {
    prop_oneof![2 => "[ab1 ]{0,24}", 1 => "[ab1 \"\\[\\]\t]{0,24}", 3 => members(json_value())]
}

fn check(sources: &[String], messages: &[String]) -> Result<usize, TestCaseError> {
    let patterns: Vec<Pattern> = sources.iter().filter_map(|source| Pattern::parse(source).ok()).collect();
    let rules =
        RuleSet::new(patterns.iter().cloned().enumerate().map(|(at, pattern)| (at as u32 * 3, pattern)));
    let mut scratch = Scratch::new();
    let mut hits = 0;
    for message in messages {
        let subject = Subject::new(message, "stream", &JsonReader);
        let mut found = Vec::new();
        rules.hits(&subject, &mut scratch, &mut |id| found.push(id));
        let numbered = (0..).step_by(3).zip(&patterns);
        let expected: Vec<u32> =
            numbered.filter(|(_, pattern)| pattern.matches(&subject)).map(|(id, _): (u32, _)| id).collect();
        let names: Vec<&str> = patterns.iter().map(Pattern::source).collect();
        prop_assert_eq!(&found, &expected, "message {:?} patterns {:?}", message, names);
        hits += found.len();
    }
    Ok(hits)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_a_plain_loop_finds(
        sources in proptest::collection::vec(any_pattern(), 1..40),
        messages in proptest::collection::vec(message(), 1..12),
    ) {
        check(&sources, &messages)?;
    }

    /// More texts than are searched singly, in one automaton.
    #[test]
    fn finds_what_a_plain_loop_finds_among_many_texts(
        sources in proptest::collection::vec(text_pattern(), 40..80),
        messages in proptest::collection::vec("[ab1 ]{0,40}", 1..12),
    ) {
        check(&sources, &messages)?;
    }

    /// Many values of one field.
    #[test]
    fn finds_what_a_plain_loop_finds_among_many_values(
        values in proptest::collection::vec(operand(), 40..80),
        messages in proptest::collection::vec(json_value().prop_map(|value| format!("{{\"a\":{value}}}")), 1..12),
    ) {
        let sources: Vec<String> = values.into_iter().map(|value| format!("{{ $.a = {value} }}")).collect();
        check(&sources, &messages)?;
    }
}

/// The strategies above must make patterns that parse and messages that match, or they would prove nothing.
#[test]
fn random_patterns_often_parse_and_match() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut draw = |sources: &mut Vec<String>, messages: &mut Vec<String>| {
        sources.push(any_pattern().new_tree(&mut runner).unwrap().current());
        messages.push(message().new_tree(&mut runner).unwrap().current());
    };
    let (mut sources, mut messages) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        draw(&mut sources, &mut messages);
    }
    let parsed = sources.iter().filter(|source| Pattern::parse(source).is_ok()).count();
    let hits = check(&sources, &messages).unwrap();
    assert!(parsed > 240, "{parsed} of 300 parse");
    assert!(hits > 300 * 300 / 20, "{hits} hits of 300 x 300");
}

#[test]
fn one_scratch_serves_sets_of_any_size() {
    let set = |count: u32| RuleSet::new((0..count).map(|n| (n, Pattern::parse(&format!("k{n}x")).unwrap())));
    let (small, large) = (set(3), set(500));
    let mut scratch = Scratch::new();
    let subject = Subject::new("k1x k2x k400x", "stream", &JsonReader);
    for _ in 0..3 {
        for (rules, expected) in [(&small, vec![1, 2]), (&large, vec![1, 2, 400])] {
            let mut found = Vec::new();
            rules.hits(&subject, &mut scratch, &mut |id| found.push(id));
            assert_eq!(found, expected);
        }
    }
    assert_eq!((small.len(), small.is_empty()), (3, false));
    assert!(RuleSet::new(Vec::<(u32, Pattern)>::new()).is_empty());
}

#[test]
fn a_text_that_fills_a_long_message_is_one_hit() {
    let sources = ["a", "aa", "aaa", "aaaa", "b", "c", "d", "e", "f", "g", "h", "i"];
    let rules = RuleSet::new((0..).zip(sources.map(|source| Pattern::parse(source).unwrap())));
    let message = "a".repeat(1 << 20);
    let mut found = Vec::new();
    rules.hits(&Subject::new(&message, "stream", &JsonReader), &mut Scratch::new(), &mut |id| found.push(id));
    assert_eq!(found, [0, 1, 2, 3]);
}
