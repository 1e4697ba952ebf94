/*!
The words of an alarm rule, with the place of each in characters.

Knows no keyword: parentheses and commas stand for themselves, a name in double quotes is one word, and what is left
ends at a blank, a parenthesis or a comma.
*/

use super::RuleError;

/// How messages write the end of the rule.
const END: &str = "<EOF>";

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    /// As it stands in the rule, quotes included; [`END`] after the last word.
    pub(super) text: &'a str,
    /// Characters before it.
    at: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Mark,
    Word,
    Quoted,
    End,
}

impl Token<'_> {
    pub(super) fn is_end(&self) -> bool {
        self.kind == Kind::End
    }

    /// The name that it stands for, where it is one: without quotes, `\"` read as a quote and `\\` as a backslash, any
    /// other backslash as itself.
    pub(super) fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_owned()),
            Kind::Quoted => {
                let inner = self.text.strip_prefix('"')?.strip_suffix('"')?;
                let mut name = String::with_capacity(inner.len());
                let mut chars = inner.chars().peekable();
                while let Some(c) = chars.next() {
                    let escaped =
                        if c == '\\' { chars.next_if(|&next| next == '"' || next == '\\') } else { None };
                    name.push(escaped.unwrap_or(c));
                }
                Some(name)
            }
            Kind::Mark | Kind::End => None,
        }
    }

    pub(super) fn unsupported(&self, expected: &str) -> RuleError {
        RuleError::Token { token: self.text.to_owned(), at: self.at, expected: expected.to_owned() }
    }
}

pub(super) struct Lexer<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, at: 0 }
    }

    /// The next word; [`END`] again and again after the last. A quote that is never closed gives a word that is no name.
    pub(super) fn next_token(&mut self) -> Token<'a> {
        let blank = self.rest.len() - self.rest.trim_start().len();
        self.take(blank);
        let (bytes, kind) = match self.rest.chars().next() {
            None => return Token { text: END, at: self.at, kind: Kind::End },
            Some('(' | ')' | ',') => (1, Kind::Mark),
            Some('"') => match quoted_bytes(self.rest) {
                Some(bytes) => (bytes, Kind::Quoted),
                None => (self.rest.len(), Kind::Mark),
            },
            Some(_) => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',');
                (self.rest.find(ends).unwrap_or(self.rest.len()), Kind::Word)
            }
        };
        let at = self.at;
        Token { text: self.take(bytes), at, kind }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.at += taken.chars().count();
        taken
    }
}

/// Bytes of the quoted name that `text` starts with, both quotes included.
fn quoted_bytes(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return Some(i + 1),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}
