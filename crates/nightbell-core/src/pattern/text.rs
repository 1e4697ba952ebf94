/*!
Terms over the message text: `ERROR -"BAD REQUEST"`, `?ERROR ?WARN`, `%^ERROR\s%`.

A term is a run of characters found anywhere, not a word. `?` terms count only where no other term stands, as the
service has it.
*/

use memchr::memmem::Finder;

use super::PatternError;
use super::lex::{is_blank, quoted};
use super::need::Need;
use super::regex::{self, Regex};

/// Parsed terms.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    required: Vec<Term>,
    excluded: Vec<Term>,
    /// At least one must be there; empty when any other term is given.
    either: Vec<Term>,
}

#[derive(Clone, Debug)]
enum Term {
    /// The text, and the search for it prepared.
    Text {
        text: String,
        finder: Box<Finder<'static>>,
    },
    Regex(Regex),
}

impl Text {
    /// The pattern and its number of regular expressions.
    pub(super) fn parse(source: &str) -> Result<(Self, usize), PatternError> {
        let mut text = Self { required: Vec::new(), excluded: Vec::new(), either: Vec::new() };
        let mut regexes = 0;
        let mut rest = source.trim_start_matches(is_blank);
        while !rest.is_empty() {
            let (list, body) = match rest.as_bytes()[0] {
                b'-' => (&mut text.excluded, &rest[1..]),
                b'?' => (&mut text.either, &rest[1..]),
                _ => (&mut text.required, rest),
            };
            let (term, length) = parse_term(body, rest)?;
            regexes += usize::from(matches!(term, Term::Regex(_)));
            list.push(term);
            rest = end_of_term(&body[length..])?;
        }
        if !text.required.is_empty() || !text.excluded.is_empty() {
            text.either.clear();
        }
        // The longest text is the rarest, so a message is given up soonest.
        text.required.sort_by_key(|term| std::cmp::Reverse(term.length()));
        Ok((text, regexes))
    }

    pub(crate) fn matches(&self, message: &str) -> bool {
        self.required.iter().all(|term| term.is_in(message))
            && !self.excluded.iter().any(|term| term.is_in(message))
            && (self.either.is_empty() || self.either.iter().any(|term| term.is_in(message)))
    }

    pub(crate) fn need(&self) -> Need<'_> {
        if self.either.is_empty() {
            Need::All(self.required.iter().map(Term::need).collect())
        } else {
            Need::Any(self.either.iter().map(Term::need).collect())
        }
    }
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Text { finder, .. } => finder.find(message.as_bytes()).is_some(),
            Self::Regex(regex) => regex.matches(message),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Regex(_) => 0,
        }
    }

    fn need(&self) -> Need<'_> {
        match self {
            Self::Text { text, .. } => Need::texts([text.as_str()]),
            Self::Regex(regex) => {
                regex.required().map_or(Need::Nothing, |texts| Need::texts(texts.iter().map(String::as_str)))
            }
        }
    }
}

/// The term that `body` begins with; `term` is the same with its prefix, for the error.
fn parse_term(body: &str, term: &str) -> Result<(Term, usize), PatternError> {
    let (text, length) = match body.chars().next() {
        Some('"') => quoted(body)?,
        Some('%') => {
            let length = regex::length(body)?;
            return Ok((Term::Regex(Regex::compile(&body[1..length - 1])?), length));
        }
        _ => {
            let length = body.find(|c| !is_bare(c)).unwrap_or(body.len());
            (body[..length].to_owned(), length)
        }
    };
    if length == 0 {
        // A prefix without a term, or a character that needs quotes.
        let wrong = body.chars().next().filter(|&c| !is_blank(c)).or_else(|| term.chars().next());
        return Err(PatternError::Term(wrong.map_or_else(String::new, String::from)));
    }
    let finder = Box::new(Finder::new(text.as_bytes()).into_owned());
    Ok((Term::Text { text, finder }, length))
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What follows the blanks after a term; a term must be followed by a blank or the end.
fn end_of_term(rest: &str) -> Result<&str, PatternError> {
    match rest.chars().next() {
        Some(c) if !is_blank(c) => Err(PatternError::Term(c.to_string())),
        _ => Ok(rest.trim_start_matches(is_blank)),
    }
}
