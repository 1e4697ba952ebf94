/*!
The words of `{ … }` and `[ … ]` patterns, and the quoted texts of all patterns.

A wrong character is reported before a wrong order of words, as the service does; so the whole pattern is cut into words
first. After `<`-like operators only a number may follow, after `IS` only NULL, TRUE or FALSE.
*/

use super::PatternError;
use super::check::{Operand, Operator};
use super::glob::Glob;
use super::number::plain_number;
use super::regex::{self, Regex};
use crate::fields::Selector;

/// A word of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Token<'p> {
    /// One of `{ } ( ) [ ] ,`.
    Mark(char),
    And,
    Or,
    Op(Operator),
    /// Letters, digits and `_ . * + -`.
    Word(&'p str),
    /// The text inside double quotes, unescaped.
    Quoted(String),
    /// What stands between percent signs.
    Regex(&'p str),
    Selector(Selector),
}

/// Which marks a form of pattern knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Json,
    Columns,
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.*+-".contains(c)
}

/// All words of `source`.
pub(super) fn tokens(source: &str, dialect: Dialect) -> Result<Vec<Token<'_>>, PatternError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        if is_blank(c) {
            at += 1;
            continue;
        }
        let rest = &source[at..];
        let (token, length) = token(rest, c, dialect)?;
        expect_after(tokens.last(), &token, &rest[..length], dialect)?;
        tokens.push(token);
        at += length;
    }
    Ok(tokens)
}

fn token(rest: &str, c: char, dialect: Dialect) -> Result<(Token<'_>, usize), PatternError> {
    let json = dialect == Dialect::Json;
    match c {
        '{' | '}' | '(' | ')' if json => Ok((Token::Mark(c), 1)),
        '[' | ']' | ',' if !json => Ok((Token::Mark(c), 1)),
        '&' => pair(rest, '&', Token::And),
        '|' => pair(rest, '|', Token::Or),
        '!' => pair(rest, '=', Token::Op(Operator::NotEqual)),
        '=' => Ok((Token::Op(Operator::Equal), 1)),
        '<' if rest[1..].starts_with('=') => Ok((Token::Op(Operator::LessOrEqual), 2)),
        '<' => Ok((Token::Op(Operator::Less), 1)),
        '>' if rest[1..].starts_with('=') => Ok((Token::Op(Operator::GreaterOrEqual), 2)),
        '>' => Ok((Token::Op(Operator::Greater), 1)),
        '$' if json => {
            Ok(Selector::read(rest).map(|(selector, length)| (Token::Selector(selector), length))?)
        }
        '"' => quoted(rest).map(|(text, length)| (Token::Quoted(text), length)),
        '%' => regex::length(rest).map(|length| (Token::Regex(&rest[1..length - 1]), length)),
        _ if is_word_char(c) => {
            let length = rest.find(|c| !is_word_char(c)).unwrap_or(rest.len());
            Ok((Token::Word(&rest[..length]), length))
        }
        _ => Err(PatternError::Term(c.to_string())),
    }
}

/// A mark of two characters, of which `rest` begins with the first.
fn pair<'p>(rest: &str, second: char, token: Token<'p>) -> Result<(Token<'p>, usize), PatternError> {
    match rest[1..].chars().next() {
        Some(c) if c == second => Ok((token, 2)),
        next => Err(PatternError::Term(rest[..1 + next.map_or(0, char::len_utf8)].to_owned())),
    }
}

/// The text of the double quotes that `rest` begins with, and the length with both quotes. `\"` is a quote and `\\` a
/// backslash; a backslash before anything else stands for itself (*assumed*), so that Windows paths may be pasted.
pub(super) fn quoted(rest: &str) -> Result<(String, usize), PatternError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match (c, chars.peek()) {
            ('"', _) => return Ok((text, at + 1)),
            ('\\', Some(&(_, escaped @ ('"' | '\\')))) => {
                text.push(escaped);
                chars.next();
            }
            _ => text.push(c),
        }
    }
    Err(PatternError::Term(rest.to_owned()))
}

fn expect_after(
    before: Option<&Token<'_>>,
    token: &Token<'_>,
    text: &str,
    dialect: Dialect,
) -> Result<(), PatternError> {
    match (before, token) {
        (Some(Token::Op(op)), Token::Word(word)) if op.is_order() && plain_number(word).is_none() => {
            Err(PatternError::Term(text.to_owned()))
        }
        (Some(Token::Op(op)), Token::Quoted(_) | Token::Regex(_)) if op.is_order() => {
            Err(PatternError::Term(text.to_owned()))
        }
        (Some(Token::Word("IS")), Token::Word("NULL" | "TRUE" | "FALSE")) => Ok(()),
        (Some(Token::Word("IS")), Token::Word(_) | Token::Quoted(_)) if dialect == Dialect::Json => {
            Err(PatternError::AfterIs(text.to_owned()))
        }
        _ => Ok(()),
    }
}

/// The words of one pattern, taken one by one.
pub(super) struct Tokens<'p> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token<'p>>>,
    /// Regular expressions met so far.
    pub(super) regexes: usize,
}

impl<'p> Tokens<'p> {
    pub(super) fn read(source: &'p str, dialect: Dialect) -> Result<Self, PatternError> {
        Ok(Self { tokens: tokens(source, dialect)?.into_iter().peekable(), regexes: 0 })
    }

    pub(super) fn next(&mut self) -> Option<Token<'p>> {
        self.tokens.next()
    }

    /// Whether `mark` comes next; takes it if so.
    pub(super) fn take_mark(&mut self, mark: char) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Mark(c) if *c == mark)).is_some()
    }

    pub(super) fn take_and(&mut self) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::And)).is_some()
    }

    pub(super) fn take_or(&mut self) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Or)).is_some()
    }

    /// Whether a mark comes next, and which.
    pub(super) fn peek_mark(&mut self) -> Option<char> {
        match self.tokens.peek() {
            Some(Token::Mark(mark)) => Some(*mark),
            _ => None,
        }
    }

    pub(super) fn expect_mark(&mut self, mark: char) -> Result<(), PatternError> {
        if self.take_mark(mark) { Ok(()) } else { Err(PatternError::Syntax) }
    }

    pub(super) fn expect_end(&mut self) -> Result<(), PatternError> {
        if self.tokens.next().is_none() { Ok(()) } else { Err(PatternError::Syntax) }
    }

    /// The value side of a comparison. Unquoted words in `refused` are no values.
    pub(super) fn operand(&mut self, refused: fn(&str) -> bool) -> Result<Operand, PatternError> {
        match self.next() {
            Some(Token::Word(word)) if refused(word) => Err(PatternError::Syntax),
            Some(Token::Word(word)) => Ok(match plain_number(word) {
                Some(number) => Operand::Number { number, text: word.into() },
                None => Operand::Text(Glob::new(word)),
            }),
            Some(Token::Quoted(text)) => Ok(Operand::Text(Glob::new(&text))),
            Some(Token::Regex(body)) => {
                self.regexes += 1;
                Regex::compile(body).map(Operand::Regex)
            }
            _ => Err(PatternError::Syntax),
        }
    }
}
