/*!
Filter policies of subscriptions: a line with the policy, a line with an attribute's value, and the message's body.

Each scope reads the policy; what is taken decides the same twice, and a policy without keys takes everything.
*/
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use nightbell_core::filter_policy::{FilterPolicy, FilterScope, MessageAttribute};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.splitn(3, '\n');
    let policy = lines.next().unwrap_or_default();
    let (value, body) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let attributes: BTreeMap<_, _> = ["String", "String.Array", "Number", "Binary"]
        .map(|data_type| {
            let attribute = MessageAttribute { data_type: data_type.to_owned(), value: value.to_owned() };
            (data_type[data_type.len() - 1..].to_owned(), attribute)
        })
        .into();
    for scope in [FilterScope::MessageAttributes, FilterScope::MessageBody] {
        match FilterPolicy::parse(policy, scope) {
            Ok(compiled) => {
                let gets = compiled.matches(&attributes, body);
                let again = FilterPolicy::parse(policy, scope).expect("it was read a moment ago");
                assert_eq!(gets, again.matches(&attributes, body));
                assert!(gets || policy.trim() != "{}");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
