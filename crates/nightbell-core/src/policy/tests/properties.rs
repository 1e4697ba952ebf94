use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::wildcard::{Case, Token, matches};

/// What a pattern means, without cleverness: every way to go on is tried.
fn naive(pattern: &[Token], text: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    match first {
        Token::Run => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
        Token::RunInSegment => {
            let reach = text.iter().position(|c| *c == ':').unwrap_or(text.len());
            (0..=reach).any(|taken| naive(rest, &text[taken..]))
        }
        Token::One => !text.is_empty() && naive(rest, &text[1..]),
        Token::OneInSegment => text.first().is_some_and(|c| *c != ':') && naive(rest, &text[1..]),
        Token::Byte(byte) => text.first() == Some(&char::from(*byte)) && naive(rest, &text[1..]),
    }
}

fn token() -> impl Strategy<Value = Token> {
    let bytes = [Token::Byte(b'a'), Token::Byte(b'b'), Token::Byte(b':')];
    let wild = [Token::One, Token::OneInSegment, Token::Run, Token::RunInSegment];
    prop_oneof![3 => select(bytes.to_vec()), 2 => select(wild.to_vec())]
}

/// Inside a resource, a run that may pass a colon always ends its segment.
fn is_regular(pattern: &[Token]) -> bool {
    let segments = pattern.iter().any(|token| matches!(token, Token::OneInSegment | Token::RunInSegment));
    let unbound = pattern.contains(&Token::One);
    let ends = pattern.iter().enumerate().all(|(i, token)| {
        *token != Token::Run || matches!(pattern.get(i + 1), None | Some(Token::Byte(b':')))
    });
    !segments || (ends && !unbound)
}

fn statement() -> impl Strategy<Value = String> {
    let effect = select(vec!["Allow", "Allow", "Allow", "Deny"]);
    let action = select(vec!["*", "s3:*", "s3:Get*", "s3:PutObject", "logs:*", "*:*Object"]);
    let resource = select(vec!["*", "arn:aws:s3:::a/*", "arn:aws:s3:::b", "arn:aws:s3:::${aws:username}*"]);
    let negated = (any::<bool>(), any::<bool>());
    let condition = select(vec![
        "",
        ", 'Condition': {'StringEquals': {'aws:username': 'nina'}}",
        ", 'Condition': {'Bool': {'aws:SecureTransport': true}}",
        ", 'Condition': {'DateLessThan': {'aws:CurrentTime': '2020-01-01'}}",
    ]);
    (effect, action, resource, negated, condition).prop_map(|(effect, action, resource, negated, condition)| {
        let (not_action, not_resource) = (if negated.0 { "Not" } else { "" }, if negated.1 { "Not" } else { "" });
        format!(
            "{{'Effect': '{effect}', '{not_action}Action': '{action}', '{not_resource}Resource': '{resource}'{condition}}}"
        )
    })
}

fn request() -> impl Strategy<Value = (&'static str, &'static str)> {
    let action = select(vec!["s3:GetObject", "s3:PutObject", "logs:PutLogEvents", "iam:GetUser"]);
    (action, select(vec!["*", "arn:aws:s3:::a/1", "arn:aws:s3:::b", "arn:aws:s3:::nina-1"]))
}

proptest! {
    #[test]
    fn wildcards_match_what_a_naive_matcher_matches(
        pattern in vec(token(), 0..8).prop_filter("as templates are", |pattern| is_regular(pattern)),
        text in "[ab:é]{0,9}",
    ) {
        let characters: Vec<char> = text.chars().collect();
        prop_assert_eq!(matches(&pattern, &text, Case::Exact), naive(&pattern, &characters));
    }

    #[test]
    fn the_order_of_statements_never_matters(
        statements in vec(statement(), 1..6).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        (action, resource) in request(),
    ) {
        let (one, other) = statements;
        let allowed = lets_nina(&identity(&one.join(", ")), action, resource);
        prop_assert_eq!(allowed, lets_nina(&identity(&other.join(", ")), action, resource));
    }

    #[test]
    fn a_deny_always_wins_and_an_allow_never_takes_away(
        statements in vec(statement(), 0..5),
        added in statement(),
        at in any::<prop::sample::Index>(),
        (action, resource) in request(),
    ) {
        let mut more = statements.clone();
        more.insert(at.index(statements.len() + 1), added.clone());
        let before = !statements.is_empty() && lets_nina(&identity(&statements.join(", ")), action, resource);
        let after = lets_nina(&identity(&more.join(", ")), action, resource);
        let applies = lets_nina(&identity(&added.replace("'Deny'", "'Allow'")), action, resource);
        match (added.contains("'Deny'"), applies) {
            (true, true) => prop_assert!(!after),
            (false, true) => prop_assert!(after || !before),
            (_, false) => prop_assert_eq!(before, after),
        }
    }
}
