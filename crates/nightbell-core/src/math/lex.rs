/*!
The words of an expression: numbers, names, texts and marks, each with its place.

Knows no grammar and no function.
*/

use super::error::{Fault, MathError};

/// Characters of the text that an error shows.
const FOUND_CHARS_MAX: usize = 32;

/// What may begin an operand, for errors.
pub(super) const OPERAND: &str = "a number, an id, a function, '(', '[' or '-'";

/// Marks, longest first where one begins another.
const MARKS: [&str; 19] =
    ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "(", ")", "[", "]", ",", "+", "-", "*", "/", "^", "="];

/// A word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'s> {
    Number(f64),
    /// A letter, then letters, digits and `_`.
    Name(&'s str),
    /// What stands between two quotes of a kind.
    Text(&'s str),
    Mark(&'static str),
    End,
}

/// The words of one text, looked at one ahead.
pub(super) struct Words<'s> {
    source: &'s str,
    /// Byte at which the word in `next` begins, and at which the one after it is looked for.
    next_start: usize,
    next_end: usize,
    next: Token<'s>,
}

impl<'s> Words<'s> {
    pub(super) fn new(source: &'s str) -> Result<Self, MathError> {
        let mut words = Self { source, next_start: 0, next_end: 0, next: Token::End };
        words.advance()?;
        Ok(words)
    }

    pub(super) fn peek(&self) -> Token<'s> {
        self.next
    }

    /// Character at which the next word begins, counted from 1.
    pub(super) fn at(&self) -> usize {
        self.source[..self.next_start].chars().count() + 1
    }

    pub(super) fn next(&mut self) -> Result<Token<'s>, MathError> {
        let token = self.next;
        self.advance()?;
        Ok(token)
    }

    /// Whether `mark` comes next; takes it if so.
    pub(super) fn take(&mut self, mark: &str) -> Result<bool, MathError> {
        let there = matches!(self.next, Token::Mark(next) if next == mark);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    /// Whether a parenthesis opens right after the next word.
    pub(super) fn calls(&self) -> bool {
        self.source[self.next_end..].trim_start_matches(is_blank).starts_with('(')
    }

    /// That the next word is not what was expected.
    pub(super) fn wrong(&self, expected: &'static str) -> MathError {
        let rest = &self.source[self.next_start..self.next_end];
        self.wrong_text(expected, rest)
    }

    fn wrong_text(&self, expected: &'static str, text: &str) -> MathError {
        let found = match text.chars().count() {
            0 => "the end".to_owned(),
            length => {
                let shown: String = text.chars().take(FOUND_CHARS_MAX).collect();
                format!("'{shown}{}'", if length > FOUND_CHARS_MAX { "…" } else { "" })
            }
        };
        MathError::new(Fault::Syntax { expected, found }).at(self.at())
    }

    fn advance(&mut self) -> Result<(), MathError> {
        let rest = self.source[self.next_end..].trim_start_matches(is_blank);
        self.next_start = self.source.len() - rest.len();
        let (token, length) = self.token(rest)?;
        (self.next, self.next_end) = (token, self.next_start + length);
        Ok(())
    }

    fn token(&self, rest: &'s str) -> Result<(Token<'s>, usize), MathError> {
        let Some(first) = rest.chars().next() else { return Ok((Token::End, 0)) };
        if first.is_ascii_alphabetic() {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            return Ok((Token::Name(&rest[..length]), length));
        }
        if first.is_ascii_digit() || first == '.' {
            let length = number_length(rest);
            let number = rest[..length].parse().ok().filter(|number: &f64| number.is_finite());
            let wrong = || self.wrong_text("a finite number", &rest[..length.max(1)]);
            return number.map(|number| (Token::Number(number), length)).ok_or_else(wrong);
        }
        if first == '"' || first == '\'' {
            let closing = rest[1..].find(first).ok_or_else(|| self.wrong_text("a closed text", rest))?;
            return Ok((Token::Text(&rest[1..=closing]), closing + 2));
        }
        let mark = MARKS.into_iter().find(|mark| rest.starts_with(mark));
        let wrong = || self.wrong_text("an operand or an operator", &rest[..first.len_utf8()]);
        mark.map(|mark| (Token::Mark(mark), mark.len())).ok_or_else(wrong)
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Bytes of the number that `rest` begins with: digits, a fraction, an exponent.
fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        match digits(length + 1 + sign) {
            0 => {}
            exponent => length += 1 + sign + exponent,
        }
    }
    length
}
