/*!
`[ip, ..., status = 4*, bytes]`: words separated by blanks, named in order.

A word in double quotes or square brackets may hold blanks. `...` stands for any number of words, once. Without it the
last item takes all that is left of the message, as it stands there.
*/

use super::PatternError;
use super::check::Check;
use super::expr::Expr;
use super::lex::{Dialect, Token, Tokens};
use super::need::Need;
use super::number::plain_number;
use crate::fields::Value;

/// A parsed `[ … ]`.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// Items before the `...`, or all items.
    head: Vec<Item>,
    /// Items after the `...`; `None` without one.
    tail: Option<Vec<Item>>,
    /// The condition, if any item has one.
    expr: Option<Expr>,
    tests: Vec<Test>,
}

#[derive(Clone, Debug)]
struct Item {
    /// `None` for an item whose name was left out.
    name: Option<String>,
}

#[derive(Clone, Debug)]
struct Test {
    place: Place,
    check: Check,
}

/// Which item: counted from the start, or after the `...`.
#[derive(Clone, Copy, Debug)]
enum Place {
    Head(usize),
    Tail(usize),
}

/// Where a word stands in its message, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// First byte, delimiters included.
    raw: u32,
    /// First byte of the text.
    start: u32,
    /// Byte after the text.
    end: u32,
}

impl Columns {
    /// The pattern and its number of regular expressions.
    pub(super) fn parse(source: &str) -> Result<(Self, usize), PatternError> {
        let mut tokens = Tokens::read(source, Dialect::Columns)?;
        let mut columns = Self { head: Vec::new(), tail: None, expr: None, tests: Vec::new() };
        let mut parts = Vec::new();
        tokens.expect_mark('[')?;
        if !tokens.take_mark(']') {
            loop {
                parts.extend(columns.parse_item(&mut tokens)?);
                if tokens.take_mark(']') {
                    break;
                }
                tokens.expect_mark(',')?;
            }
        } else {
            columns.tail = Some(Vec::new()); // `[]` is `[...]`: everything matches
        }
        tokens.expect_end()?;
        columns.expr = (!parts.is_empty()).then_some(Expr::All(parts));
        Ok((columns, tokens.regexes))
    }

    /// Reads `...`, a name, a condition on a name, or nothing.
    fn parse_item(&mut self, tokens: &mut Tokens<'_>) -> Result<Option<Expr>, PatternError> {
        if matches!(tokens.peek_mark(), Some(',' | ']')) {
            self.list().push(Item { name: None });
            return Ok(None);
        }
        let name = match tokens.next() {
            Some(Token::Word("...")) if self.tail.is_some() => {
                return Err(PatternError::DuplicateField("...".to_owned()));
            }
            Some(Token::Word("...")) => {
                self.tail = Some(Vec::new());
                return Ok(None);
            }
            Some(Token::Word(word)) if is_name(word) => word,
            _ => return Err(PatternError::Syntax),
        };
        let place = self.place();
        let taken = |item: &Item| item.name.as_deref() == Some(name);
        if self.head.iter().any(taken) || self.tail.as_ref().is_some_and(|tail| tail.iter().any(taken)) {
            return Err(PatternError::DuplicateField(name.to_owned()));
        }
        self.list().push(Item { name: Some(name.to_owned()) });
        if matches!(tokens.peek_mark(), Some(',' | ']')) {
            return Ok(None);
        }
        let mut first = true;
        let tests = &mut self.tests;
        Expr::parse(tokens, false, 0, &mut |tokens| {
            // The item's own name begins its first comparison and is repeated in the others.
            if !std::mem::take(&mut first)
                && !matches!(tokens.next(), Some(Token::Word(word)) if word == name)
            {
                return Err(PatternError::Syntax);
            }
            tests.push(Test { place, check: parse_check(tokens)? });
            Ok(tests.len() - 1)
        })
        .map(Some)
    }

    fn list(&mut self) -> &mut Vec<Item> {
        self.tail.as_mut().unwrap_or(&mut self.head)
    }

    fn place(&self) -> Place {
        self.tail.as_ref().map_or(Place::Head(self.head.len()), |tail| Place::Tail(tail.len()))
    }

    pub(crate) fn matches(&self, message: &str) -> bool {
        self.matches_words(message, &words(message, self.words_wanted()))
    }

    /// As [`Columns::matches`], over words that were cut before.
    pub(crate) fn matches_words(&self, message: &str, words: &[Word]) -> bool {
        if words.len() < self.head.len() + self.tail.as_ref().map_or(0, Vec::len) {
            return false;
        }
        let Some(expr) = &self.expr else { return true };
        expr.holds(&mut |at| {
            let test = &self.tests[at];
            let text = self.text(message, words, test.place);
            let value = match plain_number(text) {
                Some(number) => Value::Number { number, text },
                None => Value::Text(text),
            };
            test.check.holds_for(value)
        })
    }

    pub(super) fn extract(&self, message: &str) -> Vec<(String, String)> {
        let words = words(message, self.words_wanted());
        if !self.matches_words(message, &words) {
            return Vec::new();
        }
        let tail = self.tail.as_deref().unwrap_or_default();
        let total = if self.tail.is_some() { words.len() } else { self.head.len() };
        let between = total - self.head.len() - tail.len();
        let unnamed = (0..between).map(|_| None);
        let names = self.head.iter().map(Some).chain(unnamed).chain(tail.iter().map(Some));
        let mut values = Vec::with_capacity(total);
        for (at, item) in names.enumerate() {
            let name = match item.and_then(|item| item.name.as_ref()) {
                Some(name) => format!("${name}"),
                None => format!("${}", at + 1),
            };
            let text = if self.tail.is_some() {
                words[at].text(message)
            } else {
                self.head_text(message, &words, at)
            };
            values.push((name, text.to_owned()));
        }
        values
    }

    pub(crate) fn need(&self) -> Need<'_> {
        self.expr.as_ref().map_or(Need::Nothing, |expr| expr.need(&|at| self.tests[at].check.word_need()))
    }

    /// How many words must be cut: all of them where a `...` counts from the end.
    fn words_wanted(&self) -> usize {
        if self.tail.is_some() { usize::MAX } else { self.head.len() }
    }

    fn text<'m>(&self, message: &'m str, words: &[Word], place: Place) -> &'m str {
        match (place, &self.tail) {
            (Place::Head(at), None) => self.head_text(message, words, at),
            (Place::Head(at), Some(_)) => words[at].text(message),
            (Place::Tail(at), tail) => {
                words[words.len() - tail.as_ref().map_or(0, Vec::len) + at].text(message)
            }
        }
    }

    /// The text of an item where no `...` stands: the last one takes the rest, quotes and brackets kept.
    fn head_text<'m>(&self, message: &'m str, words: &[Word], at: usize) -> &'m str {
        if at + 1 < self.head.len() {
            return words[at].text(message);
        }
        message[words[at].raw as usize..].trim_end_matches([' ', '\t'])
    }
}

impl Word {
    fn text(self, message: &str) -> &str {
        &message[self.start as usize..self.end as usize]
    }
}

/// The first `wanted` words of `message`.
///
/// A word that begins with `"` or `[` ends at the next `"` or `]`; if there is none, the mark is part of a plain word.
pub(crate) fn words(message: &str, wanted: usize) -> Vec<Word> {
    let mut words = Vec::new();
    if u32::try_from(message.len()).is_err() {
        return words;
    }
    let bytes = message.as_bytes();
    let mut at = 0;
    // Where no closing mark was found once, none comes later: each kind is searched for in vain only once.
    let (mut quotes, mut brackets) = (true, true);
    while words.len() < wanted {
        while at < bytes.len() && is_gap(bytes[at]) {
            at += 1;
        }
        let Some(&first) = bytes.get(at) else { break };
        let close = match first {
            b'"' if quotes => find(b'"', bytes, at + 1, &mut quotes),
            b'[' if brackets => find(b']', bytes, at + 1, &mut brackets),
            _ => None,
        };
        let word = |start: usize, end: usize| Word { raw: at as u32, start: start as u32, end: end as u32 };
        if let Some(close) = close {
            words.push(word(at + 1, close));
            at = close + 1;
            continue;
        }
        let end = bytes[at..].iter().position(|&byte| is_gap(byte)).map_or(bytes.len(), |length| at + length);
        words.push(word(at, end));
        at = end;
    }
    words
}

fn find(mark: u8, bytes: &[u8], from: usize, any: &mut bool) -> Option<usize> {
    let found = memchr::memchr(mark, &bytes[from..]).map(|length| from + length);
    *any = found.is_some();
    found
}

fn is_gap(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn is_name(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn parse_check(tokens: &mut Tokens<'_>) -> Result<Check, PatternError> {
    match tokens.next() {
        Some(Token::Op(op)) => Ok(Check::Compare(op, tokens.operand(|word| word == "SPACE")?)),
        _ => Err(PatternError::Syntax),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_quotes_and_brackets() {
        let cut = |message: &'static str| {
            words(message, usize::MAX).into_iter().map(|word| word.text(message)).collect::<Vec<_>>()
        };
        assert_eq!(cut("a  b\tc"), ["a", "b", "c"]);
        assert_eq!(cut(r#"[x y] "a b" "c"#), ["x y", "a b", "\"c"]);
        assert_eq!(cut("\"\" [] \"x\"y"), ["", "", "x", "y"]);
        assert_eq!(cut("  "), Vec::<&str>::new());
        assert_eq!(cut("[[a] \"é\" ["), ["[a", "é", "["]);
    }

    #[test]
    fn many_unclosed_marks_cost_one_look_each() {
        let message = "[ \"x ".repeat(50_000);
        assert!(words(&message, usize::MAX).len() >= 50_000);
    }
}
