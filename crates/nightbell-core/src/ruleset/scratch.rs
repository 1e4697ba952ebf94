/*!
What matching one event needs and the next event can use again: marks, and the values read so far.

Marks are stamps of the event's generation, so nothing is cleared between events; each field that several rules ask for
is read once, and the message is cut into words once.
*/

use crate::fields::{Fields, Selector, Value};
use crate::pattern::columns::{Word, words};

/// Bytes of text, and number of values, kept allocated between events; an unusual event's larger space is given back.
const KEPT_BYTES_MAX: usize = 1 << 20;
const KEPT_VALUES_MAX: usize = 1 << 15;

/// Working space of [`super::RuleSet::hits`]; one for each thread, good for any number of rule sets.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) marks: Marks,
    pub(super) view: View,
}

impl Scratch {
    /// Fresh working space.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the last event.
    pub(super) fn begin(&mut self, rules: usize, literals: usize, slots: usize) {
        self.marks.begin(rules, literals);
        self.view.begin(slots, self.marks.generation);
    }
}

/// Which rules and literals the current event has reached.
#[derive(Debug, Default)]
pub(super) struct Marks {
    generation: u32,
    rules: Vec<u32>,
    literals: Vec<u32>,
    /// Rules that could match, each once.
    pub(super) candidates: Vec<u32>,
}

impl Marks {
    pub(super) fn begin(&mut self, rules: usize, literals: usize) {
        if self.generation == u32::MAX {
            self.generation = 0;
            self.rules.fill(0);
            self.literals.fill(0);
        }
        self.generation += 1;
        if self.rules.len() < rules {
            self.rules.resize(rules, 0);
        }
        if self.literals.len() < literals {
            self.literals.resize(literals, 0);
        }
        self.candidates.clear();
    }

    pub(super) fn mark_rules(&mut self, rules: &[u32]) {
        for &rule in rules {
            self.mark_rule(rule);
        }
    }

    pub(super) fn mark_rule(&mut self, rule: u32) {
        let stamp = &mut self.rules[rule as usize];
        if *stamp != self.generation {
            *stamp = self.generation;
            self.candidates.push(rule);
        }
    }

    pub(super) fn has_literal(&self, literal: usize) -> bool {
        self.literals[literal] == self.generation
    }

    /// Whether the literal was not marked before.
    pub(super) fn mark_literal(&mut self, literal: usize) -> bool {
        let stamp = &mut self.literals[literal];
        std::mem::replace(stamp, self.generation) != self.generation
    }
}

/// The current event's values and words, as far as they were asked for.
#[derive(Debug, Default)]
pub(super) struct View {
    generation: u32,
    /// For each selector where its values are, if it was read for this event.
    slots: Vec<Slot>,
    values: Vec<Held>,
    text: String,
    words: Option<Vec<Word>>,
}

/// The values of one selector: a range in [`View::values`], good for one generation.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    generation: u32,
    first: usize,
    end: usize,
}

/// A [`Value`] whose text lies in [`View::text`].
#[derive(Clone, Copy, Debug)]
enum Held {
    Null,
    Bool(bool),
    Number(f64, usize, usize),
    Text(usize, usize),
    Array(bool),
    Object,
}

impl View {
    fn begin(&mut self, slots: usize, generation: u32) {
        if generation < self.generation {
            self.slots.clear(); // generations began anew
        }
        self.generation = generation;
        if self.slots.len() < slots {
            self.slots.resize(slots, Slot::default());
        }
        self.values.clear();
        self.values.shrink_to(KEPT_VALUES_MAX);
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES_MAX);
        self.words = None;
    }

    /// Reads the values of `selector` into place `slot`, unless that was done for this event.
    pub(super) fn read(&mut self, slot: usize, selector: &Selector, fields: &dyn Fields) {
        if self.slots[slot].generation == self.generation {
            return;
        }
        let first = self.values.len();
        let (values, held) = (&mut self.values, &mut self.text);
        fields.visit(selector, &mut |value| {
            let mut hold = |text: &str| {
                let start = held.len();
                held.push_str(text);
                (start, held.len())
            };
            values.push(match value {
                Value::Null => Held::Null,
                Value::Bool(flag) => Held::Bool(flag),
                Value::Number { number, text } => {
                    let (start, end) = hold(text);
                    Held::Number(number, start, end)
                }
                Value::Text(text) => {
                    let (start, end) = hold(text);
                    Held::Text(start, end)
                }
                Value::Array { holds_null } => Held::Array(holds_null),
                Value::Object => Held::Object,
            });
        });
        self.slots[slot] = Slot { generation: self.generation, first, end: self.values.len() };
    }

    /// The values read into place `slot`.
    pub(super) fn values(&self, slot: usize) -> impl Iterator<Item = Value<'_>> {
        let Slot { generation, first, end } = self.slots[slot];
        let range = if generation == self.generation { first..end } else { 0..0 };
        self.values[range].iter().map(|held| match *held {
            Held::Null => Value::Null,
            Held::Bool(flag) => Value::Bool(flag),
            Held::Number(number, start, end) => Value::Number { number, text: &self.text[start..end] },
            Held::Text(start, end) => Value::Text(&self.text[start..end]),
            Held::Array(holds_null) => Value::Array { holds_null },
            Held::Object => Value::Object,
        })
    }

    /// The words of the message, cut at the first call.
    pub(super) fn words(&mut self, message: &str) -> &[Word] {
        self.words.get_or_insert_with(|| words(message, usize::MAX))
    }
}
