/*!
Patterns: what a message must look like to be counted, in the four forms of CloudWatch Logs.

A pattern is text, parsed once and matched often. The first character that is not blank says the form: nothing, `{`
(fields), `[` (columns of words), anything else (terms, among them `%regular expressions%`). Matching sees the message
and its fields through [`Subject`] and knows no dialect. Case always counts.

The rules are those of "Filter pattern syntax" (CloudWatch Logs User Guide); where the live service differs, the service
is followed. Marks *assumed* in comments name choices neither of them decides.
*/

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, DefaultHasher};

use columns::Columns;
use facts::Facts;
use json::Json;
use need::Need;
use text::Text;
use thiserror::Error;

use crate::fields::Subject;
use crate::fields::selector::SelectorError;

mod check;
pub(crate) mod columns;
mod expr;
pub mod facts;
mod glob;
pub(crate) mod json;
mod lex;
pub(crate) mod need;
mod number;
pub(crate) mod regex;
mod text;

pub use number::plain_number;

/// Characters of a pattern ("PutMetricFilter", CloudWatch Logs API Reference).
pub const PATTERN_CHARS_MAX: usize = 1_024;
/// Regular expressions in one pattern ("Supported regular expressions (regex) syntax").
pub const PATTERN_REGEXES_MAX: usize = 2;
/// Selectors with a wildcard in one pattern.
pub const PATTERN_WILDCARD_SELECTORS_MAX: usize = 3;

/// A hash map whose order and cost do not depend on a random seed.
pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// A parsed pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    form: Form,
    regexes: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Form {
    All,
    Text(Text),
    Json(Json),
    Columns(Columns),
}

/// The form of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The empty pattern: every event matches.
    All,
    /// Terms and regular expressions over the message text.
    Text,
    /// `{ … }`: conditions on fields.
    Json,
    /// `[ … ]`: words separated by blanks, named in order.
    Columns,
}

impl Pattern {
    /// The pattern that `source` spells.
    ///
    /// # Errors
    /// A [`PatternError`] when it spells none; never panics, whatever the text.
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        if source.chars().count() > PATTERN_CHARS_MAX {
            return Err(PatternError::TooLong);
        }
        let (form, regexes) = match source.chars().find(|&c| !lex::is_blank(c)) {
            None => (Form::All, 0),
            Some('{') => Json::parse(source).map(|json| (Form::Json(json.0), json.1))?,
            Some('[') => Columns::parse(source).map(|columns| (Form::Columns(columns.0), columns.1))?,
            Some(_) => Text::parse(source).map(|text| (Form::Text(text.0), text.1))?,
        };
        if regexes > PATTERN_REGEXES_MAX {
            return Err(PatternError::RegexCount);
        }
        Ok(Self { source: source.to_owned(), form, regexes })
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its form.
    pub fn family(&self) -> Family {
        match self.form {
            Form::All => Family::All,
            Form::Text(_) => Family::Text,
            Form::Json(_) => Family::Json,
            Form::Columns(_) => Family::Columns,
        }
    }

    /// How many regular expressions it holds; a log group may have only a few filters that hold any.
    pub fn regexes(&self) -> usize {
        self.regexes
    }

    /// Whether the subject is what the pattern asks for. Linear in the message for each term.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        match &self.form {
            Form::All => true,
            Form::Text(text) => text.matches(subject.message),
            Form::Json(json) => subject.fields().is_some_and(|fields| json.matches(fields)),
            Form::Columns(columns) => columns.matches(subject.message),
        }
    }

    /// Whether an event of which no more is known than `facts` may match; `false` only where none can.
    pub fn may_match(&self, facts: &dyn Facts) -> bool {
        facts::may_meet(&self.need(), facts)
    }

    /// What a matching message holds under each name: `$name` for a named column, `$3` for an unnamed one. Empty for
    /// patterns of another form and for messages that do not match.
    pub fn extract(&self, subject: &Subject<'_>) -> Vec<(String, String)> {
        match &self.form {
            Form::Columns(columns) => columns.extract(subject.message),
            Form::All | Form::Text(_) | Form::Json(_) => Vec::new(),
        }
    }

    pub(crate) fn form(&self) -> &Form {
        &self.form
    }

    /// What every matching event must hold: the ground for leaving patterns out without running them.
    pub(crate) fn need(&self) -> Need<'_> {
        match &self.form {
            Form::All => Need::Nothing,
            Form::Text(text) => text.need(),
            Form::Json(json) => json.need(),
            Form::Columns(columns) => columns.need(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// Who asks: a few messages differ between the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// `PutMetricFilter` and `TestMetricFilter`.
    MetricFilter,
    /// `FilterLogEvents`, `StartLiveTail` and, *assumed*, `PutSubscriptionFilter`.
    LogEvents,
}

/// Why a text is no pattern. [`PatternError::message`] is what the client reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", self.message(Caller::MetricFilter))]
pub enum PatternError {
    /// Words that are right one by one and wrong together.
    Syntax,
    /// A term that cannot be read; holds its text up to and including the first wrong character.
    Term(String),
    /// A word after `IS` that is none of NULL, TRUE and FALSE.
    AfterIs(String),
    /// A regular expression of allowed characters that does not compile, or is too large.
    Regex,
    /// More than one wildcard in one selector.
    SelectorWildcards,
    /// More than [`PATTERN_WILDCARD_SELECTORS_MAX`] selectors with a wildcard.
    WildcardSelectors,
    /// More than [`PATTERN_REGEXES_MAX`] regular expressions.
    RegexCount,
    /// Two columns of one name.
    DuplicateField(String),
    /// More than [`PATTERN_CHARS_MAX`] characters.
    TooLong,
}

impl PatternError {
    /// The message of the service, which differs by operation in the first words only.
    pub fn message(&self, caller: Caller) -> String {
        match (self, caller) {
            (Self::Syntax, Caller::MetricFilter) => "Invalid metric filter pattern".to_owned(),
            (Self::Syntax | Self::AfterIs(_), Caller::LogEvents) => "Invalid filter pattern".to_owned(),
            (Self::Term(term), _) | (Self::AfterIs(term), Caller::MetricFilter) => {
                format!("Invalid character(s) in term '{term}'")
            }
            (Self::Regex, _) => "Failed to compile regular expression.".to_owned(),
            (Self::SelectorWildcards, _) => {
                "Your filter pattern has a JSON path selector that exceeds the maximum \
                 of 1 wildcard allowed per json selector."
                    .to_owned()
            }
            (Self::WildcardSelectors, _) => format!(
                "Your input has exceeded the maximum of {PATTERN_WILDCARD_SELECTORS_MAX} JSON wildcard selectors \
                 allowed per filter pattern."
            ),
            (Self::RegexCount, _) => format!(
                "Your input has exceeded the maximum of {PATTERN_REGEXES_MAX} regular expressions per filter pattern."
            ),
            (Self::DuplicateField(name), _) => format!("Duplicate field '{name}'"),
            (Self::TooLong, _) => format!(
                "1 validation error detected: Value at 'filterPattern' failed to satisfy constraint: Member must have \
                 length less than or equal to {PATTERN_CHARS_MAX}"
            ),
        }
    }
}

impl From<SelectorError> for PatternError {
    fn from(error: SelectorError) -> Self {
        match error {
            SelectorError::Character(term) | SelectorError::Trailing(term) => Self::Term(term),
            SelectorError::Wildcards => Self::SelectorWildcards,
            SelectorError::TooDeep => Self::Syntax,
        }
    }
}
