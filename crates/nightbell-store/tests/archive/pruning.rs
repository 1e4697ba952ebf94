/*!
No summary and no column rules out what a pattern matches, and most of the rest is ruled out.
*/

use nightbell_core::fields::Subject;
use nightbell_core::pattern::Pattern;
use nightbell_core::pattern::facts::Facts;
use nightbell_store::archive::Field;
use proptest::prelude::*;

use crate::sample::{READER, World, block, everything, expected, read_if, recorded, wait};

/// The messages that a pattern matches among those of a file, and whether anything known of the file rules one out.
fn check(world: &World, pattern: &Pattern) -> (usize, usize, usize) {
    let (mut matching, mut groups, mut open) = (0, 0, 0);
    for entry in world.archive.all_files().unwrap() {
        let (all, left, summaries) = wait(async {
            let may = |facts: &dyn Facts| pattern.may_match(facts);
            let all = read_if(&world.archive, &entry, &everything(), &|_| true).await;
            let left = read_if(&world.archive, &entry, &everything(), &may).await;
            let reader = world.archive.open_file(&entry).await.unwrap();
            let summaries: Vec<bool> =
                (0..reader.row_groups()).map(|at| pattern.may_match(reader.summary(at).unwrap())).collect();
            (all, left, summaries)
        });
        let matches = |message: &str| pattern.matches(&Subject::new(message, "s", &READER));
        let hits: Vec<_> = all.iter().filter(|event| matches(&event.message)).collect();
        assert_eq!(
            hits,
            left.iter().filter(|event| matches(&event.message)).collect::<Vec<_>>(),
            "{pattern}"
        );
        assert!(hits.is_empty() || summaries.contains(&true), "{pattern} is ruled out");
        matching += hits.len();
        groups += summaries.len();
        open += summaries.iter().filter(|may| **may).count();
    }
    (matching, groups, open)
}

#[test]
fn recorded_events_are_found_and_others_are_ruled_out() {
    let world = World::new();
    wait(world.write(&recorded(), 1));
    // Pattern, how many events match, and whether some row group is passed over.
    let rows = [
        ("", 988, false),
        ("admmig", 204, true),
        ("AdmMig", 0, true),
        ("qzxv", 0, true),
        ("{ $.EventID = 4656 }", 20, true),
        ("{ $.EventID = 4656.0 }", 20, true),
        ("{ $.EventID = 31337 }", 0, true),
        (r#"{ $.Audit.User = "offsec\\admmig" }"#, 197, true),
        (r#"{ $.Audit.User = "*admmig" }"#, 203, true),
        (r#"{ $.Audit.User = "*nobody-of-this-name" }"#, 0, true),
        (r#"{ $.Audit.Folder = "\\windows\\system32" }"#, 34, true),
        (r#"{ $.Audit.Path[2] = "system32" && $.Audit.Outcome = "failure" }"#, 19, true),
        (r#"{ $.Audit.Action = "logon" && $.Audit.Outcome = "failure" }"#, 137, true),
        (r#"{ $.SubjectUserName = "admmig" }"#, 196, true),
        (r#"{ $.ObjectServer = "Security" }"#, 215, false),
        (r#"{ $.ObjectServer = "Insecurity" }"#, 0, true),
    ];
    let mut seen = Vec::new();
    for (pattern, ..) in rows {
        let (hits, groups, open) = check(&world, &Pattern::parse(pattern).unwrap());
        println!("{pattern}: {hits} match, {open} of {groups} row groups are read");
        seen.push((pattern, hits, open < groups));
    }
    assert_eq!(seen, rows);
}

#[test]
fn columns_rule_rows_out_before_their_messages_are_read() {
    let world = World::new();
    wait(world.write(&recorded(), 1));
    let pattern = Pattern::parse(r#"{ $.Audit.User = "offsec\\admmig" && $.EventID = 4656 }"#).unwrap();
    assert_eq!(Field::asked_by(|facts| pattern.may_match(facts)), [Field::EventId, Field::User]);
    let (matching, ..) = check(&world, &pattern);
    let mut left = 0;
    for entry in world.archive.all_files().unwrap() {
        let may = |facts: &dyn Facts| pattern.may_match(facts);
        left += wait(read_if(&world.archive, &entry, &everything(), &may)).len();
    }
    assert_eq!((left, matching), (20, 20));
}

/// Values with whatever XML and JSON must or may escape.
fn value() -> impl Strategy<Value = String> {
    proptest::string::string_regex(r#"[a-cA-C0-3 ä&<>"'\\/\n\t.-]{0,12}"#).unwrap()
}

#[derive(Clone, Debug)]
struct Made {
    name: &'static str,
    value: String,
    message: String,
}

fn escaped_xml(text: &str, how: u8) -> String {
    let numeric = |c: char| format!("&#{};", c as u32);
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (one, other) = text.split_at(middle);
    match how % 4 {
        0 => quick_escape(text),
        1 => text.chars().map(|c| if c.is_alphanumeric() { c.to_string() } else { numeric(c) }).collect(),
        2 => format!("{}<!-- between -->{}", quick_escape(one), quick_escape(other)),
        _ if text.contains("]]>") => quick_escape(text),
        _ => format!("<![CDATA[{one}]]>{}", quick_escape(other)),
    }
}

/// A number in one of several writings.
fn number(how: u8) -> String {
    let number = 40_960.0 + f64::from(how % 4) / 2.0;
    match how % 3 {
        0 => format!("{number:.2}"),
        1 => format!("{number:e}"),
        _ => number.to_string(),
    }
}

fn quick_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn escaped_json(text: &str, how: u8) -> String {
    if how.is_multiple_of(2) {
        return serde_json::to_string(text).unwrap();
    }
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    format!("\"{units}\"")
}

fn made() -> impl Strategy<Value = Made> {
    let name = prop_oneof![Just("SubjectUserName"), Just("ObjectName"), Just("Custom"), Just("EventID")];
    (name, value(), any::<u8>(), any::<bool>(), any::<bool>()).prop_map(|(name, value, how, is_xml, is_number)| {
        let value = if is_number { number(how) } else { value };
        let message = if !is_xml {
            let escaped = escaped_json(&value, how);
            let written = if is_number { &value } else { &escaped };
            format!("{{\"Audit\":{{\"User\":{written}}},\"{name}\":{written}}}")
        } else if name == "EventID" {
            format!("<Event><System><EventID>{}</EventID></System></Event>", escaped_xml(&value, how))
        } else {
            let written = escaped_xml(&value, how);
            format!(
                "<Event><System><EventID>4663</EventID></System><EventData><Data Name='{name}'>{written}</Data></EventData></Event>"
            )
        };
        Made { name, value, message }
    })
}

/// Patterns that look for the value or a part of it, or for a part of the message.
fn patterns(made: &Made, cut: (usize, usize)) -> Vec<String> {
    let part = |text: &str| -> String {
        let characters: Vec<char> = text.chars().collect();
        let start = cut.0 % (characters.len() + 1);
        let length = cut.1 % (characters.len() - start + 1);
        characters[start..start + length].iter().collect()
    };
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut patterns = vec![quoted(&part(&made.message))];
    for selector in
        [format!("$.{}", made.name), "$.Audit.User".to_owned(), format!("$.EventData.{}", made.name)]
    {
        patterns.push(format!("{{ {selector} = {} }}", quoted(&made.value)));
        patterns.push(format!("{{ {selector} = {} }}", quoted(&format!("*{}*", part(&made.value)))));
        patterns.push(format!("{{ {selector} = {} }}", made.value));
        if let Ok(number) = made.value.parse::<f64>() {
            patterns.push(format!("{{ {selector} = {number} }}"));
            patterns.push(format!("{{ {selector} = {number:.3} }}"));
            patterns.push(format!("{{ {selector} = {number:e} }}"));
        }
        patterns.push(format!("{{ {selector} != {} }}", quoted(&made.value)));
    }
    patterns
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_matches_is_never_ruled_out(
        events in proptest::collection::vec(made(), 1..5),
        cut in (any::<usize>(), any::<usize>()),
    ) {
        let messages: Vec<&str> = events.iter().map(|made| made.message.as_str()).collect();
        let blocks = [block(0, "a", "s", 0, &messages)];
        let world = World::new();
        wait(world.write(&blocks, 1));
        prop_assert_eq!(expected(&blocks).len(), messages.len());
        let mut hits = 0;
        for text in events.iter().flat_map(|made| patterns(made, cut)) {
            if let Ok(pattern) = Pattern::parse(&text) {
                hits += check(&world, &pattern).0;
            }
        }
        prop_assume!(hits > 0);
    }
}
