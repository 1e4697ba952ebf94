/*!
Patterns, rule set and metric filters against tables of patterns, messages and outcomes.

Each table row carries its own name; each pattern of a table is also run through a [`RuleSet`] of all patterns of the
table, so that the index is held to the same answers.
*/

mod columns;
mod errors;
mod filters;
mod json;
mod ruleset;
mod text;
mod windows;

use std::collections::BTreeSet;

use nightbell_core::fields::Subject;
use nightbell_core::fields::json::JsonReader;
use nightbell_core::pattern::Pattern;
use nightbell_core::ruleset::{RuleSet, Scratch};

/// One row: a name, a pattern, and the numbers of the messages it matches, as `"1-3, 7"`.
type Row = (&'static str, &'static str, &'static str);

/// Holds every row against every message, alone and through a rule set of all rows. Messages count from 1.
fn check_table(messages: &[&str], rows: &[Row]) {
    let patterns: Vec<Pattern> = rows.iter().map(|(name, pattern, _)| parse(name, pattern)).collect();
    let rules = RuleSet::new(patterns.iter().cloned().enumerate().map(|(at, pattern)| (at as u32, pattern)));
    let mut scratch = Scratch::new();
    let mut by_set = vec![BTreeSet::new(); rows.len()];
    for (number, message) in (1..).zip(messages) {
        let subject = Subject::new(message, "stream", &JsonReader);
        rules.hits(&subject, &mut scratch, &mut |at| assert!(by_set[at as usize].insert(number)));
    }
    for ((name, source, expected), (pattern, by_set)) in rows.iter().zip(patterns.iter().zip(by_set)) {
        let matched = (1..).zip(messages).filter(|(_, message)| matches(pattern, message));
        let matched: BTreeSet<usize> = matched.map(|(number, _)| number).collect();
        assert_eq!(matched, numbers(expected), "{name} {source}");
        assert_eq!(by_set, matched, "{name} {source} through the rule set");
    }
}

fn parse(name: &str, source: &str) -> Pattern {
    Pattern::parse(source).unwrap_or_else(|error| panic!("{name} {source}: {error}"))
}

fn matches(pattern: &Pattern, message: &str) -> bool {
    pattern.matches(&Subject::new(message, "stream", &JsonReader))
}

fn numbers(text: &str) -> BTreeSet<usize> {
    let mut numbers = BTreeSet::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse::<usize>().expect("a number")..=last.parse().expect("a number"));
    }
    numbers
}
