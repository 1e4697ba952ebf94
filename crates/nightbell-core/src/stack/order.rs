/*!
The order in which resources are made: each after what it needs. What needs itself over others is named.
*/

use std::collections::{BTreeMap, BTreeSet};

use super::TemplateError;

/// The names of `needs`, each after those it needs; names that are not in it are passed over. The same for the same input.
///
/// # Errors
/// Where some need each other in a circle; the text names them.
pub fn order(needs: &BTreeMap<&str, &BTreeSet<String>>) -> Result<Vec<String>, TemplateError> {
    let mut waits: BTreeMap<&str, usize> = BTreeMap::new();
    let mut needed_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, needed) in needs {
        let there = needed.iter().map(String::as_str).filter(|needed| needs.contains_key(needed));
        let mut count = 0;
        for needed in there {
            needed_by.entry(needed).or_default().push(name);
            count += 1;
        }
        waits.insert(name, count);
    }
    let mut ready: BTreeSet<&str> =
        waits.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    let mut ordered = Vec::with_capacity(needs.len());
    while let Some(name) = ready.pop_first() {
        ordered.push(name.to_owned());
        waits.remove(name);
        for waiting in needed_by.remove(name).unwrap_or_default() {
            let Some(count) = waits.get_mut(waiting) else { continue };
            *count -= 1;
            if *count == 0 {
                ready.insert(waiting);
            }
        }
    }
    if waits.is_empty() {
        return Ok(ordered);
    }
    let names: Vec<&str> = waits.into_keys().collect();
    Err(TemplateError(format!("Circular dependency between resources: [{}]", names.join(", "))))
}
