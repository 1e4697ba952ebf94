use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SITE: Site<'static> = Site { region: "us-east-1", account: "123456789012" };

/// A is in ALARM, B in OK, C in INSUFFICIENT_DATA; others do not exist.
fn state_of(arn: &str) -> Option<State> {
    match arn.rsplit(':').next()? {
        "A" => Some(State::Alarm),
        "B" => Some(State::Ok),
        "C" => Some(State::InsufficientData),
        _ => None,
    }
}

fn parse(text: &str) -> Result<AlarmRule, RuleError> {
    AlarmRule::parse(text, &SITE)
}

fn names<'a>(arns: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    arns.into_iter()
        .map(|arn| arn.strip_prefix("arn:aws:cloudwatch:us-east-1:123456789012:alarm:").unwrap())
        .collect()
}

#[test]
fn weighs_rules() {
    let rows: [(&str, bool, &[&str]); 27] = [
        ("ALARM(A)", true, &["A"]),                               // C01
        ("ALARM(A) AND OK(B)", true, &["A", "B"]),                // C02
        ("ALARM(A) AND ALARM(B)", false, &["B"]),                 // C03
        ("ALARM(B) OR INSUFFICIENT_DATA(C)", true, &["C"]),       // C04
        ("NOT ALARM(A)", false, &["A"]),                          // C05
        ("NOT (ALARM(B) OR ALARM(C))", true, &["B", "C"]),        // C06
        ("TRUE OR FALSE AND FALSE", true, &[]),                   // C07, precedence is assumed
        ("AT_LEAST(2, NOT ALARM, (A, B, C))", true, &["B", "C"]), // C08
        ("AT_LEAST(50%, ALARM, (A, B))", true, &["A"]),           // C09
        ("AT_LEAST(51%, ALARM, (A, B))", false, &["B"]),          // a share is rounded up
        ("AT_LEAST(1%, OK, (A, C))", false, &["A", "C"]),
        ("AT_LEAST(100%, NOT OK, (A, C))", true, &["A", "C"]),
        ("AT_LEAST(2, ALARM, (A, A))", true, &["A"]), // each mention counts: assumed
        ("NOT ALARM(A) AND FALSE OR TRUE", true, &[]),
        ("NOT ALARM(A) OR OK(B)", true, &["B"]), // NOT binds closer than OR
        ("NOT ALARM(B) AND ALARM(A)", true, &["A", "B"]), // and than AND
        ("ALARM(A) OR ALARM(B) AND ALARM(C)", true, &["A"]),
        ("(ALARM(A) OR ALARM(B)) AND ALARM(C)", false, &["C"]),
        ("ALARM(A) OR OK(B) OR ALARM(C)", true, &["A", "B"]), // all that agree, not the first alone
        ("ALARM(B) AND ALARM(C) OR ALARM(A) AND OK(B)", true, &["A", "B"]),
        ("INSUFFICIENT_DATA(gone)", true, &["gone"]), // without a state: assumed
        ("NOT (NOT ALARM(A))", true, &["A"]),
        ("  (  ALARM ( A )  )  ", true, &["A"]), // blanks do no harm
        ("ALARM\t(\"A\")\nOR\u{a0}ALARM(A)", true, &["A"]),
        ("ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:A)", true, &["A"]),
        ("ALARM(\"arn:aws:cloudwatch:us-east-1:123456789012:alarm:A\")", true, &["A"]),
        ("FALSE", false, &[]),
    ];
    for (text, holds, deciding) in rows {
        let rule = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let weighed = rule.weigh(&state_of);
        assert_eq!(weighed.holds, holds, "{text}");
        assert_eq!(names(weighed.deciding), deciding, "{text}");
        assert_eq!(rule.evaluate(&state_of), holds, "{text}");
    }
}

#[test]
fn reads_names() {
    let rows = [
        (r#"ALARM("My alarm (1)")"#, "My alarm (1)"), // C11
        (r#"ALARM("a \"b\", c")"#, r#"a "b", c"#),
        (r#"ALARM("C:\share\\")"#, r"C:\share\"), // a backslash before anything else stands for itself: assumed
        ("ALARM('a')", "'a'"),                    // single quotes are letters
        (r#"ALARM(a"b)"#, r#"a"b"#),
        ("ALARM(OK)", "OK"),
        ("ALARM(<EOF>)", "<EOF>"),
        ("ALARM(ä|/;:%)", "ä|/;:%"),
        ("ALARM(arn:aws:sns:us-east-1:123456789012:t)", "arn:aws:sns:us-east-1:123456789012:t"), // no alarm's ARN
    ];
    for (text, name) in rows {
        let rule = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(names(rule.children().iter().map(String::as_str)), [name], "{text}");
    }
}

#[test]
fn says_what_is_wrong() {
    const OR: &str = "must be: '(', 'NOT', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA]";
    let rows: [(&str, String); 24] = [
        ("true", format!("Error in AlarmRule [Unsupported token 'true' at char 0, {OR}")), // C12
        (
            "TRUE and FALSE", // C13
            "Error in AlarmRule [Unsupported token 'and' at char 5, must be: <EOF>, 'AND', 'OR']".to_owned(),
        ),
        ("", "AlarmRule must have 1 to 10240 characters".to_owned()), // C14
        (
            "ALARM(arn:aws:cloudwatch:us-east-1:210987654321:alarm:A)",
            "A composite alarm cannot have a child relation with alarms from another AWS account".to_owned(),
        ),
        (
            "ALARM(arn:aws:cloudwatch:us-west-2:123456789012:alarm:A)",
            "Wrong ARN region, it was us-west-2 but us-east-1 was expected instead".to_owned(),
        ),
        // C10 and all that follows: the wording of what is expected is assumed.
        ("AT_LEAST(3, ALARM, (A, B))", unsupported("3", 9, "1 to 2 or a percentage from 1% to 100%")),
        ("AT_LEAST(0, ALARM, (A))", unsupported("0", 9, QUORUM)),
        ("AT_LEAST(101%, ALARM, (A))", unsupported("101%", 9, QUORUM)),
        ("AT_LEAST(0%, ALARM, (A))", unsupported("0%", 9, QUORUM)),
        ("AT_LEAST(1.5, ALARM, (A))", unsupported("1.5", 9, QUORUM)),
        ("AT_LEAST(+1, ALARM, (A))", unsupported("+1", 9, QUORUM)),
        ("AT_LEAST(99999999999999999999, ALARM, (A))", unsupported("99999999999999999999", 9, QUORUM)),
        ("AT_LEAST(1, NOT alarm, (A))", unsupported("alarm", 16, NEGATED_CONDITION)),
        ("AT_LEAST(1, ALARM, ())", unsupported(")", 20, REFERENCE)),
        ("   ", unsupported("<EOF>", 3, OPERAND)),
        ("NOT NOT TRUE", unsupported("NOT", 4, NEGATED)),
        ("ALARM(A", unsupported("<EOF>", 7, "')'")),
        ("(TRUE FALSE)", unsupported("FALSE", 6, AFTER_GROUP)),
        ("ALARM(\"ä b) OR TRUE", unsupported("\"ä b) OR TRUE", 6, REFERENCE)),
        ("ALARM(\"\")", unsupported("\"\"", 6, REFERENCE)),
        ("ALARM(ä) ODER OK(B)", unsupported("ODER", 9, AFTER_RULE)), // characters, not bytes
        ("\"ALARM\"(A)", unsupported("\"ALARM\"", 0, OPERAND)),
        ("TRUE <EOF> AND", unsupported("<EOF>", 5, AFTER_RULE)),
        ("TRUE AND", unsupported("<EOF>", 8, OPERAND)),
    ];
    for (text, message) in rows {
        assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
    }
}

fn unsupported(token: &str, at: usize, expected: &str) -> String {
    format!("Error in AlarmRule [Unsupported token '{token}' at char {at}, must be: {expected}]")
}

#[test]
fn names_children_that_do_not_exist() {
    let rule = parse("ALARM(A) OR ALARM(x) OR OK(y)").unwrap();
    assert_eq!(rule.check_children(&|_| true), Ok(()));
    let error = rule.check_children(&|arn| state_of(arn).is_some()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Could not save the composite alarm as alarms [arn:aws:cloudwatch:us-east-1:123456789012:alarm:x, \
         arn:aws:cloudwatch:us-east-1:123456789012:alarm:y] in the alarm rule do not exist"
    );
}

#[test]
fn holds_the_limits() {
    let repeated = |operand: &str, n: usize| vec![operand; n].join(" OR ");
    let distinct = |n: usize| (0..n).map(|i| format!("OK({i})")).collect::<Vec<_>>().join(" OR ");
    let nested = |n: usize| format!("{}TRUE{}", "(".repeat(n), ")".repeat(n));
    let named = |chars: usize| format!("ALARM({})", "ä".repeat(chars));
    let padded = |chars: usize| format!("TRUE{}", " ".repeat(chars - 4));
    let rows: [(String, Option<RuleError>); 12] = [
        (repeated("TRUE", 500), None),
        (repeated("TRUE", 501), Some(RuleError::Elements)),
        (repeated("OK(A)", 500), None),
        (repeated("OK(A)", 501), Some(RuleError::Elements)),
        (distinct(100), None),
        (distinct(101), Some(RuleError::Children)),
        (nested(249), None),
        (nested(250), Some(RuleError::Elements)), // 500 parentheses and TRUE
        ("(".repeat(10_240), Some(RuleError::Elements)),
        (named(255), None),
        (padded(10_240), None),
        (padded(10_241), Some(RuleError::Length)),
    ];
    for (text, error) in rows {
        assert_eq!(parse(&text).err(), error, "{} characters", text.len());
    }
    assert!(matches!(parse(&named(256)), Err(RuleError::Token { .. })));
}

/// A rule as a tree, written out in full and weighed the obvious way.
#[derive(Clone, Debug)]
enum Tree {
    Constant(bool),
    Is(State, u8),
    AtLeast { number: usize, percent: bool, negated: bool, state: State, alarms: Vec<u8> },
    Not(Box<Tree>),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
}

impl Tree {
    /// With as few parentheses as the precedence allows: `level` is how close what stands around binds.
    fn text(&self, level: u8) -> String {
        let (own, text) = match self {
            Self::Constant(true) => (3, "TRUE".to_owned()),
            Self::Constant(false) => (3, "FALSE".to_owned()),
            Self::Is(state, alarm) => (3, format!("{}(a{alarm})", state.name())),
            Self::AtLeast { number, percent, negated, state, alarms } => {
                let sign = if *percent { "%" } else { "" };
                let not = if *negated { "NOT " } else { "" };
                let alarms: Vec<String> = alarms.iter().map(|alarm| format!("a{alarm}")).collect();
                (3, format!("AT_LEAST({number}{sign}, {not}{}, ({}))", state.name(), alarms.join(", ")))
            }
            Self::Not(inner) => (2, format!("NOT {}", inner.text(3))),
            Self::And(left, right) => (1, format!("{} AND {}", left.text(1), right.text(2))),
            Self::Or(left, right) => (0, format!("{} OR {}", left.text(0), right.text(1))),
        };
        if own < level { format!("({text})") } else { text }
    }

    fn holds(&self, states: &BTreeMap<u8, State>) -> bool {
        let in_state = |alarm: u8, state: State| match states.get(&alarm) {
            Some(found) => *found == state,
            None => state == State::InsufficientData,
        };
        match self {
            Self::Constant(holds) => *holds,
            Self::Is(state, alarm) => in_state(*alarm, *state),
            Self::AtLeast { number, percent, negated, state, alarms } => {
                let matching = alarms.iter().filter(|&&alarm| in_state(alarm, *state) != *negated).count();
                if *percent { matching * 100 >= number * alarms.len() } else { matching >= *number }
            }
            Self::Not(inner) => !inner.holds(states),
            Self::And(left, right) => left.holds(states) && right.holds(states),
            Self::Or(left, right) => left.holds(states) || right.holds(states),
        }
    }
}

fn any_state() -> impl Strategy<Value = State> {
    prop_oneof![Just(State::Ok), Just(State::Alarm), Just(State::InsufficientData)]
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let quorum =
        (prop::collection::vec(0_u8..6, 1..5), any::<bool>(), any::<bool>(), any_state(), 0_usize..1_000);
    let leaf = prop_oneof![
        any::<bool>().prop_map(Tree::Constant),
        (any_state(), 0_u8..6).prop_map(|(state, alarm)| Tree::Is(state, alarm)),
        quorum.prop_map(|(alarms, percent, negated, state, pick)| {
            let number = 1 + pick % if percent { 100 } else { alarms.len() };
            Tree::AtLeast { number, percent, negated, state, alarms }
        }),
    ];
    leaf.prop_recursive(5, 40, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|tree| Tree::Not(Box::new(tree))),
            (inner.clone(), inner.clone())
                .prop_map(|(left, right)| Tree::And(Box::new(left), Box::new(right))),
            (inner.clone(), inner).prop_map(|(left, right)| Tree::Or(Box::new(left), Box::new(right))),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_the_obvious_reading(
        tree in any_tree(),
        states in prop::collection::btree_map(0_u8..6, any_state(), 0..6),
    ) {
        let text = tree.text(0);
        let rule = parse(&text).unwrap();
        let state_of = |arn: &str| arn.rsplit(":a").next().and_then(|n| n.parse().ok()).and_then(|n: u8| states.get(&n).copied());
        prop_assert_eq!(rule.evaluate(&state_of), tree.holds(&states), "{}", text);
    }

    /// What did not decide may be in any state without changing the outcome.
    #[test]
    fn the_deciding_children_are_enough(
        tree in any_tree(),
        states in prop::collection::btree_map(0_u8..6, any_state(), 0..6),
        others in any_state(),
    ) {
        let rule = parse(&tree.text(0)).unwrap();
        let state_of = |arn: &str| arn.rsplit(":a").next().and_then(|n| n.parse().ok()).and_then(|n: u8| states.get(&n).copied());
        let weighed = rule.weigh(&state_of);
        let changed = |arn: &str| if weighed.deciding.contains(arn) { state_of(arn) } else { Some(others) };
        prop_assert_eq!(rule.evaluate(&changed), weighed.holds);
    }

    #[test]
    fn never_panics(text in "(ALARM|OK|NOT|AND|OR|AT_LEAST|TRUE|[()\",\\\\ a1%ä]|.){0,40}") {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
