/*!
Rules found by the value of one field.

Equality is a look-up by the value's text and, for numbers, by the number; wildcards and regular expressions are found
by a text the value must contain. Sound for the comparison rules of patterns: whatever would verify is found here.
*/

use super::literals::{Literals, LiteralsBuilder};
use super::scratch::Marks;
use crate::fields::Value;
use crate::pattern::Map;
use crate::pattern::need::{FieldKey, number_key};

/// The rules that look at one selector, by what they look for.
#[derive(Debug)]
pub(super) struct FieldIndex {
    slot: usize,
    texts: Map<Box<str>, Vec<u32>>,
    numbers: Map<u64, Vec<u32>>,
    trues: Vec<u32>,
    falses: Vec<u32>,
    nulls: Vec<u32>,
    present: Vec<u32>,
    parts: Literals,
}

impl FieldIndex {
    /// The index of the selector numbered `slot` over `keys` and the rules they stand for.
    pub(super) fn new(slot: usize, keys: &[(FieldKey<'_>, u32)], literal_count: &mut usize) -> Self {
        let mut texts: Map<Box<str>, Vec<u32>> = Map::default();
        let mut numbers: Map<u64, Vec<u32>> = Map::default();
        let (mut trues, mut falses, mut nulls, mut present) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut parts = LiteralsBuilder::default();
        for &(key, rule) in keys {
            match key {
                FieldKey::Text(text) => texts.entry(text.into()).or_default().push(rule),
                FieldKey::Number(bits) => numbers.entry(bits).or_default().push(rule),
                FieldKey::True => trues.push(rule),
                FieldKey::False => falses.push(rule),
                FieldKey::Null => nulls.push(rule),
                FieldKey::Present => present.push(rule),
                FieldKey::Part(text) => parts.add(text, rule),
            }
        }
        let parts = parts.finish(literal_count);
        Self { slot, texts, numbers, trues, falses, nulls, present, parts }
    }

    pub(super) fn slot(&self) -> usize {
        self.slot
    }

    /// Makes candidates of the rules that `value` could satisfy.
    pub(super) fn mark(&self, value: Value<'_>, marks: &mut Marks) {
        marks.mark_rules(&self.present);
        match value {
            Value::Null | Value::Array { holds_null: true } => marks.mark_rules(&self.nulls),
            Value::Bool(true) => marks.mark_rules(&self.trues),
            Value::Bool(false) => marks.mark_rules(&self.falses),
            Value::Number { number, text } => {
                if let Some(rules) = self.numbers.get(&number_key(number)) {
                    marks.mark_rules(rules);
                }
                self.mark_text(text, marks);
            }
            Value::Text(text) => self.mark_text(text, marks),
            Value::Array { holds_null: false } | Value::Object => {}
        }
    }

    fn mark_text(&self, text: &str, marks: &mut Marks) {
        if let Some(rules) = self.texts.get(text) {
            marks.mark_rules(rules);
        }
        if !self.parts.is_empty() {
            self.parts.search(text.as_bytes(), marks);
        }
    }
}
