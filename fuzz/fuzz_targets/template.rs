/*!
Templates of stacks, YAML and JSON.

What is read has an order of its resources, and what its functions come to stays below the limit; the same text reads the same twice.
*/
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use nightbell_core::stack::{Pseudo, Scope, Template, WORKED_OUT_BYTES_MAX};

struct Nothing;

impl nightbell_core::stack::Made for Nothing {
    fn reference(&self, logical: &str) -> Option<serde_json::Value> {
        Some(logical.into())
    }

    fn attribute(&self, logical: &str, name: &str) -> Option<serde_json::Value> {
        Some(format!("{logical}.{name}").into())
    }
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(Template::parse(text).as_ref(), Ok(&template));
    assert_eq!(template.order(|_| true).expect("it was found a moment ago").len(), template.resources.len());
    let Ok(given) = template.given(&BTreeMap::new()) else { return };
    let pseudo = Pseudo::default();
    let Ok(scope) = Scope::new(&template, &given, &pseudo) else { return };
    for name in scope.order() {
        if let Ok(Some(value)) = scope.work_out(&template.resources[&name].properties, &Nothing) {
            assert!(value.to_string().len() <= 8 * WORKED_OUT_BYTES_MAX);
        }
    }
});
