/*!
Texts looked for in one pass, each with the rules it makes candidates.

Few texts are searched one by one, many through one automaton. Each text is answered once for an event, however often it
occurs and however many other texts end in it.
*/

use std::fmt;

use daachorse::DoubleArrayAhoCorasick;
use memchr::memmem::Finder;

use super::scratch::Marks;
use crate::pattern::Map;

/// Texts up to which one search for each is faster than an automaton for all.
const SEARCHED_SINGLY_MAX: usize = 10;
/// No text of the set is a proper ending of this one.
const NO_ENDING: u32 = u32::MAX;

/// Texts and the rules they stand for.
#[derive(Debug)]
pub(super) struct Literals {
    /// Where this set's marks begin among all literals of the rule set.
    first_mark: usize,
    engine: Engine,
    /// Rules of each text.
    rules: Vec<Box<[u32]>>,
    /// The longest other text that each text ends in: finding one finds the other.
    endings: Vec<u32>,
}

enum Engine {
    Singly(Vec<Finder<'static>>),
    Together(Box<DoubleArrayAhoCorasick<u32>>),
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Singly(_) => "Singly",
            Self::Together(_) => "Together",
        })
    }
}

/// Texts and rules being collected.
#[derive(Debug, Default)]
pub(super) struct LiteralsBuilder<'p> {
    texts: Vec<(&'p str, Vec<u32>)>,
    numbers: Map<&'p str, usize>,
}

impl<'p> LiteralsBuilder<'p> {
    /// Makes `rule` a candidate wherever `text`, which is not empty, occurs.
    pub(super) fn add(&mut self, text: &'p str, rule: u32) {
        let next = self.texts.len();
        let at = *self.numbers.entry(text).or_insert(next);
        if at == next {
            self.texts.push((text, Vec::new()));
        }
        if self.texts[at].1.last() != Some(&rule) {
            self.texts[at].1.push(rule);
        }
    }

    /// The finished set; `literal_count` counts the literals of all sets and gives this one its marks.
    pub(super) fn finish(self, literal_count: &mut usize) -> Literals {
        let first_mark = *literal_count;
        *literal_count += self.texts.len();
        let automaton = if self.texts.len() > SEARCHED_SINGLY_MAX {
            let numbered = self.texts.iter().enumerate().map(|(at, (text, _))| (text.as_bytes(), at as u32));
            // Refused only past its size limits; the texts are then searched one by one.
            DoubleArrayAhoCorasick::with_values(numbered).ok()
        } else {
            None
        };
        let endings = match &automaton {
            Some(automaton) => self.texts.iter().map(|(text, _)| longest_ending(automaton, text)).collect(),
            None => vec![NO_ENDING; self.texts.len()],
        };
        let engine = match automaton {
            Some(automaton) => Engine::Together(Box::new(automaton)),
            None => Engine::Singly(
                self.texts.iter().map(|(text, _)| Finder::new(text.as_bytes()).into_owned()).collect(),
            ),
        };
        let rules = self.texts.into_iter().map(|(_, rules)| rules.into_boxed_slice()).collect();
        Literals { first_mark, engine, rules, endings }
    }
}

/// The longest text of the set that `text` ends in, itself excepted.
fn longest_ending(automaton: &DoubleArrayAhoCorasick<u32>, text: &str) -> u32 {
    let tail = &text.as_bytes()[1..];
    let last = automaton.find_overlapping_no_suffix_iter(tail).last();
    last.filter(|found| found.end() == tail.len()).map_or(NO_ENDING, |found| found.value())
}

impl Literals {
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Makes candidates of the rules of each text that occurs in `haystack`.
    pub(super) fn search(&self, haystack: &[u8], marks: &mut Marks) {
        match &self.engine {
            Engine::Singly(finders) => {
                for (at, finder) in finders.iter().enumerate() {
                    if !marks.has_literal(self.first_mark + at) && finder.find(haystack).is_some() {
                        self.found(at as u32, marks);
                    }
                }
            }
            Engine::Together(automaton) => {
                for found in automaton.find_overlapping_no_suffix_iter(haystack) {
                    self.found(found.value(), marks);
                }
            }
        }
    }

    /// Marks a text and all it ends in. Whoever is marked has had its endings marked too.
    fn found(&self, text: u32, marks: &mut Marks) {
        let mut text = text;
        while text != NO_ENDING && marks.mark_literal(self.first_mark + text as usize) {
            for &rule in &self.rules[text as usize] {
                marks.mark_rule(rule);
            }
            text = self.endings[text as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(texts: &[&str], haystack: &str) -> Vec<u32> {
        let mut builder = LiteralsBuilder::default();
        for (rule, text) in texts.iter().enumerate() {
            builder.add(text, rule as u32);
        }
        let mut count = 0;
        let literals = builder.finish(&mut count);
        let mut marks = Marks::default();
        marks.begin(texts.len(), count);
        literals.search(haystack.as_bytes(), &mut marks);
        marks.candidates.sort_unstable();
        marks.candidates
    }

    #[test]
    fn texts_inside_and_across_each_other_are_all_found() {
        let texts = ["abcd", "bcd", "cd", "d", "bc", "b", "da", "x", "y", "z", "w", "v", "abcde"];
        assert_eq!(candidates(&texts, "abcda"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(candidates(&texts[..9], "abcda"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(candidates(&texts, "xcdx"), [2, 3, 7]);
        assert_eq!(candidates(&texts, ""), Vec::<u32>::new());
    }

    #[test]
    fn nested_endings_over_a_long_message_are_answered_once() {
        let texts: Vec<String> = (1..=1_000).map(|length| "a".repeat(length)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).chain(["never"]).collect();
        assert_eq!(candidates(&texts, &"a".repeat(200_000)).len(), 1_000);
    }
}
