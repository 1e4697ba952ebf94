/*!
How a [`Selector`] is written: `$.a.b[0]`, `$.['a.b']`, `$.items[*].id`.

Knows the text form alone; what a selector reaches is the business of each [`super::Fields`]. Patterns, metric values
and dimensions all read their selectors here.
*/

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{Selector, Step};

/// Steps of one selector: bounds the depth to which a message is opened.
pub const SELECTOR_STEPS_MAX: usize = 64;
/// Digits of an array index; more cannot be an index of a message that fits in memory.
const INDEX_DIGITS_MAX: usize = 9;

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectorError {
    /// A character that may not stand there; holds the text up to and including it.
    #[error("invalid character in selector at '{0}'")]
    Character(String),
    /// More than one wildcard step.
    #[error("more than one wildcard in a selector")]
    Wildcards,
    /// More than [`SELECTOR_STEPS_MAX`] steps.
    #[error("more than {SELECTOR_STEPS_MAX} steps in a selector")]
    TooDeep,
    /// Something follows the selector.
    #[error("text after the selector: '{0}'")]
    Trailing(String),
}

impl Selector {
    /// The selector that `text` is, from its first to its last character.
    ///
    /// # Errors
    /// When `text` is not one selector; see [`SelectorError`].
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let (selector, length) = Self::read(text)?;
        if length < text.len() {
            return Err(SelectorError::Trailing(text[length..].to_owned()));
        }
        Ok(selector)
    }

    /// The selector that `text` begins with, and its length in bytes.
    ///
    /// # Errors
    /// When `text` does not begin with a selector; see [`SelectorError`].
    pub fn read(text: &str) -> Result<(Self, usize), SelectorError> {
        let mut reading = Reading { text, at: 0 };
        if reading.peek() != Some('$') {
            return Err(reading.stop(0));
        }
        reading.bump();
        let mut steps = Vec::new();
        while let Some(step) = reading.step(steps.is_empty())? {
            if steps.len() == SELECTOR_STEPS_MAX {
                return Err(SelectorError::TooDeep);
            }
            steps.push(step);
        }
        let selector = Self { steps };
        if selector.steps.iter().filter(|step| matches!(step, Step::Any { .. })).count() > 1 {
            return Err(SelectorError::Wildcards);
        }
        Ok((selector, reading.at))
    }

    /// Whether it may reach more than one value.
    pub fn has_wildcard(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Any { .. }))
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::parse(text)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.steps {
            match step {
                Step::Name(name) if !name.is_empty() && name.chars().all(is_name_char) => {
                    write!(f, ".{name}")?
                }
                Step::Name(name) => write!(f, ".['{name}']")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Any { brackets: false } => f.write_str(".*")?,
                Step::Any { brackets: true } => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

/// What may stand in an unquoted name; anything else is written `.['…']`.
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

struct Reading<'t> {
    text: &'t str,
    at: usize,
}

impl Reading<'_> {
    fn step(&mut self, first: bool) -> Result<Option<Step>, SelectorError> {
        match self.peek() {
            Some('.') => {
                self.bump();
                self.member().map(Some)
            }
            Some('[') if !first => self.bracket().map(Some),
            _ if first => Err(self.stop(0)),
            _ => Ok(None),
        }
    }

    fn member(&mut self) -> Result<Step, SelectorError> {
        match self.peek() {
            Some('*') => {
                self.bump();
                Ok(Step::Any { brackets: false })
            }
            Some('[') => self.quoted_name(),
            Some(c) if is_name_char(c) => Ok(Step::Name(self.take(is_name_char).to_owned())),
            _ => Err(self.stop(0)),
        }
    }

    fn quoted_name(&mut self) -> Result<Step, SelectorError> {
        let start = self.at;
        self.bump();
        if self.peek() != Some('\'') {
            return Err(self.stop(start));
        }
        self.bump();
        let rest = &self.text[self.at..];
        let Some(length) = rest.find("']") else {
            self.at = self.text.len();
            return Err(self.stop(start));
        };
        self.at += length + 2;
        Ok(Step::Name(rest[..length].to_owned()))
    }

    fn bracket(&mut self) -> Result<Step, SelectorError> {
        let start = self.at;
        self.bump();
        let step = if self.peek() == Some('*') {
            self.bump();
            Step::Any { brackets: true }
        } else {
            let digits = self.take(|c| c.is_ascii_digit());
            if digits.is_empty() || digits.len() > INDEX_DIGITS_MAX {
                return Err(self.stop(start));
            }
            Step::Index(digits.parse().expect("at most nine digits"))
        };
        if self.peek() != Some(']') {
            return Err(self.stop(start));
        }
        self.bump();
        Ok(step)
    }

    fn take(&mut self, keep: impl Fn(char) -> bool) -> &str {
        let rest = &self.text[self.at..];
        let length = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    /// The error at the character that comes next: the text from `start` up to and including it.
    fn stop(&mut self, start: usize) -> SelectorError {
        self.bump();
        SelectorError::Character(self.text[start..self.at].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_every_form() {
        for text in ["$.a", "$.a.b[0]", "$.['a.b'].c", "$.items[*].id", "$.*", "$.a-b_c[12][3]", "$.['']"] {
            assert_eq!(Selector::parse(text).map(|selector| selector.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Selector::parse("$.['plain']").unwrap().to_string(), "$.plain");
    }

    #[test]
    fn says_where_it_stops() {
        let stop = |text| match Selector::parse(text) {
            Err(SelectorError::Character(at)) => at,
            other => panic!("{other:?}"),
        };
        assert_eq!(stop("$..value"), "$..");
        assert_eq!(stop("$.arr[-1]"), "[-");
        assert_eq!(stop("$.arr[0:2]"), "[0:");
        assert_eq!(stop("$"), "$");
        assert_eq!(stop("x"), "x");
        assert_eq!(stop("$.a."), "$.a.");
        assert_eq!(stop("$.['a"), "['a");
        assert_eq!(stop("$.a[99999999999]"), "[99999999999]");
        assert_eq!(Selector::parse("$.a[*].*"), Err(SelectorError::Wildcards));
        assert_eq!(Selector::parse("$.a b"), Err(SelectorError::Trailing(" b".to_owned())));
        assert_eq!(Selector::parse(&format!("${}", ".a".repeat(65))), Err(SelectorError::TooDeep));
    }
}
