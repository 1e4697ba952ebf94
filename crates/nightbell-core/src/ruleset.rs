/*!
Many patterns at once: which of them match one event, at about the cost of a few.

Each pattern is indexed under what every match of it must hold and fewest other patterns ask for: a text of the message,
a value or part of a value of one field. One pass over the message and one look at each indexed field then give the
candidates, and only those are verified by running the whole pattern. Patterns that need nothing are always verified.

Holds no state between events; what one event needs is kept in the caller's [`Scratch`].
*/

use std::cmp::Reverse;
use std::sync::Arc;

use fieldindex::FieldIndex;
use literals::{Literals, LiteralsBuilder};
pub use scratch::Scratch;

use crate::fields::{Selector, Subject};
use crate::pattern::need::{FieldKey, Key, Need};
use crate::pattern::{Form, Map, Pattern};

mod fieldindex;
mod literals;
mod scratch;

/// Patterns compiled together; each has a number by which its hits are told.
#[derive(Debug)]
pub struct RuleSet {
    /// Sorted by number.
    rules: Vec<Rule>,
    /// Rules that every event matches.
    all: Vec<u32>,
    /// Rules that are verified on every event.
    rest: Vec<u32>,
    texts: Literals,
    fields: Vec<FieldIndex>,
    /// Every selector that a rule uses, each once.
    selectors: Vec<Selector>,
    /// How many literals the set looks for, over all indexes.
    literal_count: usize,
}

#[derive(Debug)]
struct Rule {
    id: u32,
    pattern: Arc<Pattern>,
    /// Where each test's selector stands in [`RuleSet::selectors`]; empty for patterns without fields.
    slots: Box<[u32]>,
}

impl RuleSet {
    /// The set of `rules`, each a number that names it and its pattern. Numbers should be distinct.
    pub fn new<P: Into<Arc<Pattern>>>(rules: impl IntoIterator<Item = (u32, P)>) -> Self {
        let mut patterns: Vec<(u32, Arc<Pattern>)> =
            rules.into_iter().map(|(id, pattern)| (id, pattern.into())).collect();
        patterns.sort_by_key(|(id, _)| *id);
        let mut build = Build::default();
        let needs: Vec<Need<'_>> = patterns.iter().map(|(_, pattern)| pattern.need()).collect();
        let shares = shares(&needs);
        for (at, ((_, pattern), need)) in patterns.iter().zip(&needs).enumerate() {
            if matches!(pattern.form(), Form::All) {
                build.all.push(at as u32);
            } else {
                build.add(at as u32, choose(need, &shares));
            }
        }
        build.finish(&patterns)
    }

    /// How many patterns there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Calls `hit` with the number of each pattern that matches, in ascending order, each once.
    pub fn hits(&self, subject: &Subject<'_>, scratch: &mut Scratch, hit: &mut dyn FnMut(u32)) {
        scratch.begin(self.rules.len(), self.literal_count, self.selectors.len());
        self.mark(subject, scratch);
        let mut candidates = std::mem::take(&mut scratch.marks.candidates);
        candidates.retain(|&at| self.verify(&self.rules[at as usize], subject, scratch));
        candidates.extend_from_slice(&self.all);
        candidates.sort_unstable();
        for &at in &candidates {
            hit(self.rules[at as usize].id);
        }
        candidates.clear();
        scratch.marks.candidates = candidates;
    }

    /// Collects every rule that could match.
    fn mark(&self, subject: &Subject<'_>, scratch: &mut Scratch) {
        self.texts.search(subject.message.as_bytes(), &mut scratch.marks);
        scratch.marks.candidates.extend_from_slice(&self.rest);
        if self.fields.is_empty() {
            return;
        }
        let Some(fields) = subject.fields() else { return };
        for index in &self.fields {
            let slot = index.slot();
            scratch.view.read(slot, &self.selectors[slot], fields);
            for value in scratch.view.values(slot) {
                index.mark(value, &mut scratch.marks);
            }
        }
    }

    fn verify(&self, rule: &Rule, subject: &Subject<'_>, scratch: &mut Scratch) -> bool {
        match rule.pattern.form() {
            Form::Json(json) => {
                let Some(fields) = subject.fields() else { return false };
                json.matches_by(|at, test| {
                    let slot = rule.slots[at] as usize;
                    scratch.view.read(slot, &test.selector, fields);
                    test.check.holds(scratch.view.values(slot))
                })
            }
            Form::Columns(columns) => {
                columns.matches_words(subject.message, scratch.view.words(subject.message))
            }
            Form::All | Form::Text(_) => rule.pattern.matches(subject),
        }
    }
}

/// How many needs ask for each key.
fn shares<'p>(needs: &[Need<'p>]) -> Map<Key<'p>, u32> {
    let mut shares = Map::default();
    for need in needs {
        need.keys(&mut |key| *shares.entry(key).or_insert(0) += 1);
    }
    shares
}

/// How much a choice of keys leaves to be verified; smaller is better.
///
/// First whether it rests on a field being there at all, which says little; then how many rules ask for the same; then
/// how dear the look is; then the length of the shortest text.
type Cost = (bool, u32, u32, Reverse<usize>);

/// The keys under which a rule is found with the least verifying; `None` when nothing can be looked for.
fn choose<'p>(need: &Need<'p>, shares: &Map<Key<'p>, u32>) -> Option<Vec<Key<'p>>> {
    match need {
        Need::Nothing => None,
        Need::OneOf(keys) => Some(keys.clone()),
        Need::All(needs) => {
            let choices = needs.iter().filter_map(|need| choose(need, shares));
            choices.min_by_key(|keys| cost(keys, shares))
        }
        Need::Any(needs) => {
            let mut all = Vec::new();
            for need in needs {
                all.extend(choose(need, shares)?);
            }
            (!all.is_empty()).then_some(all)
        }
    }
}

fn cost(keys: &[Key<'_>], shares: &Map<Key<'_>, u32>) -> Cost {
    let present = keys.iter().any(|key| matches!(key, Key::Field(_, FieldKey::Present)));
    let shared = keys.iter().map(|key| shares.get(key).copied().unwrap_or(0)).fold(0, u32::saturating_add);
    let dear =
        keys.iter().filter(|key| matches!(key, Key::Text(_) | Key::Field(_, FieldKey::Part(_)))).count();
    let shortest = keys.iter().map(|key| key_bytes(key)).min().unwrap_or(0);
    (present, shared, dear as u32, Reverse(shortest))
}

fn key_bytes(key: &Key<'_>) -> usize {
    match key {
        Key::Text(text) | Key::Field(_, FieldKey::Text(text) | FieldKey::Part(text)) => text.len(),
        Key::Field(..) => size_of::<u64>(),
    }
}

/// A rule set being put together; rules are told by their position.
#[derive(Default)]
struct Build<'p> {
    all: Vec<u32>,
    rest: Vec<u32>,
    texts: LiteralsBuilder<'p>,
    fields: Vec<(&'p Selector, Vec<(FieldKey<'p>, u32)>)>,
    /// Positions in `fields`.
    by_selector: Map<&'p Selector, usize>,
}

impl<'p> Build<'p> {
    fn add(&mut self, rule: u32, keys: Option<Vec<Key<'p>>>) {
        let Some(keys) = keys else {
            self.rest.push(rule);
            return;
        };
        for key in keys {
            match key {
                Key::Text(text) => self.texts.add(text, rule),
                Key::Field(selector, key) => {
                    let next = self.fields.len();
                    let at = *self.by_selector.entry(selector).or_insert(next);
                    if at == next {
                        self.fields.push((selector, Vec::new()));
                    }
                    self.fields[at].1.push((key, rule));
                }
            }
        }
    }

    fn finish(self, patterns: &[(u32, Arc<Pattern>)]) -> RuleSet {
        let mut literal_count = 0;
        let texts = self.texts.finish(&mut literal_count);
        let mut slots = Slots::default();
        let mut fields = Vec::with_capacity(self.fields.len());
        for (selector, keys) in &self.fields {
            fields.push(FieldIndex::new(slots.slot(selector) as usize, keys, &mut literal_count));
        }
        let mut rules = Vec::with_capacity(patterns.len());
        for (id, pattern) in patterns {
            let slots = match pattern.form() {
                Form::Json(json) => json.tests().iter().map(|test| slots.slot(&test.selector)).collect(),
                Form::All | Form::Text(_) | Form::Columns(_) => Box::default(),
            };
            rules.push(Rule { id: *id, pattern: Arc::clone(pattern), slots });
        }
        let selectors = slots.selectors.into_iter().cloned().collect();
        RuleSet { rules, all: self.all, rest: self.rest, texts, fields, selectors, literal_count }
    }
}

/// Selectors numbered in the order they are met.
#[derive(Default)]
struct Slots<'p> {
    selectors: Vec<&'p Selector>,
    numbers: Map<&'p Selector, u32>,
}

impl<'p> Slots<'p> {
    fn slot(&mut self, selector: &'p Selector) -> u32 {
        let next = self.selectors.len() as u32;
        let slot = *self.numbers.entry(selector).or_insert(next);
        if slot == next {
            self.selectors.push(selector);
        }
        slot
    }
}
