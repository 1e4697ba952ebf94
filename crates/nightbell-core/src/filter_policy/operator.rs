/*!
The operators of a filter policy: exact values, and `prefix`, `numeric`, `anything-but` and their kind.

Follows "String value matching", "Numeric value matching" and "Key matching" (Amazon SNS Developer Guide). Text is
compared with case. Of a list in the message any member will do, also for `anything-but`.
*/

use serde_json::Value;

use super::numeric::{Range, Scaled};
use super::{FilterPolicyError, error};
use crate::cidr::Cidr;
use crate::json::Json;
use crate::wildcard::{self, Case, Token};

/// Wildcards of one pattern.
pub const FILTER_WILDCARDS_MAX: usize = 3;

/// One value of a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operator {
    Text(String),
    Number(Scaled),
    Bool(bool),
    Null,
    Prefix(String),
    Suffix(String),
    /// In lower case.
    IgnoreCase(String),
    Wildcard(Box<[Token]>),
    Cidr(Cidr),
    Numeric(Range),
    Exists(bool),
    /// `anything-but`: none of these takes it.
    Not(Vec<Self>),
}

impl Operator {
    /// Names of operators: no names of keys where both could stand.
    pub(super) const KEYWORDS: [&'static str; 8] =
        ["anything-but", "equals-ignore-case", "prefix", "suffix", "wildcard", "cidr", "numeric", "exists"];

    /// Reads one value of a key.
    pub(super) fn parse(value: &Json) -> Result<Self, FilterPolicyError> {
        Ok(match value {
            Json::Text(text) => Self::Text(text.clone()),
            Json::Number(number) => Self::Number(Scaled::parse(number)?),
            Json::Bool(value) => Self::Bool(*value),
            Json::Null => Self::Null,
            Json::Object(members) => match members.as_slice() {
                [(keyword, value)] => Self::keyword(keyword, value)?,
                _ => return Err(error("Only one key allowed in match expression")),
            },
            Json::List(_) => return Err(error("Match value must be String, number, true, false, or null")),
        })
    }

    fn keyword(keyword: &str, value: &Json) -> Result<Self, FilterPolicyError> {
        match (keyword, value) {
            ("exists", Json::Bool(value)) => Ok(Self::Exists(*value)),
            ("exists", _) => Err(error("exists match pattern must be either true or false.")),
            ("numeric", value) => Range::parse(value).map(Self::Numeric),
            ("anything-but", value) => Self::anything_but(value),
            ("prefix" | "suffix" | "equals-ignore-case" | "wildcard" | "cidr", Json::Text(text)) => {
                Self::on_text(keyword, text)
            }
            ("prefix" | "suffix" | "equals-ignore-case" | "wildcard" | "cidr", _) => {
                Err(error(format!("{keyword} match pattern must be a string")))
            }
            _ => Err(error(format!("Unrecognized match type {keyword}"))),
        }
    }

    fn on_text(keyword: &str, text: &str) -> Result<Self, FilterPolicyError> {
        Ok(match keyword {
            "prefix" => Self::Prefix(text.to_owned()),
            "suffix" => Self::Suffix(text.to_owned()),
            "equals-ignore-case" => Self::IgnoreCase(text.to_lowercase()),
            "wildcard" => Self::Wildcard(wildcards(text)?),
            _ => {
                let wrong = || error(format!("Malformed CIDR, one '/' required: {text}"));
                Self::Cidr(Cidr::parse(text).ok_or_else(wrong)?)
            }
        })
    }

    /// A value, a list of values, or one operator on text with a string or a list of strings.
    fn anything_but(value: &Json) -> Result<Self, FilterPolicyError> {
        let none_of = match value {
            Json::Object(members) => match members.as_slice() {
                [(keyword, value)]
                    if ["prefix", "suffix", "equals-ignore-case", "wildcard"].contains(&keyword.as_str()) =>
                {
                    value
                        .one_or_many()
                        .iter()
                        .map(|value| Self::keyword(keyword, value))
                        .collect::<Result<Vec<_>, _>>()?
                }
                [(keyword, _)] => return Err(error(format!("Unsupported anything-but pattern: {keyword}"))),
                _ => return Err(error("Only one key allowed in match expression")),
            },
            values => {
                let plain = |value: &Json| match value {
                    Json::Text(_) | Json::Number(_) => Self::parse(value),
                    _ => {
                        Err(error("anything-but match pattern must be a string, a number or a list of these"))
                    }
                };
                values.one_or_many().iter().map(plain).collect::<Result<Vec<_>, _>>()?
            }
        };
        if none_of.is_empty() { Err(error("Empty arrays are not allowed")) } else { Ok(Self::Not(none_of)) }
    }

    /// Whether it takes one value of a message.
    pub(super) fn takes(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(wanted), Value::String(text)) => wanted == text,
            (Self::Number(wanted), Value::Number(number)) => Scaled::of(number) == Some(*wanted),
            (Self::Bool(wanted), Value::Bool(value)) => wanted == value,
            (Self::Null, Value::Null) => true,
            (Self::Prefix(prefix), Value::String(text)) => text.starts_with(prefix.as_str()),
            (Self::Suffix(suffix), Value::String(text)) => text.ends_with(suffix.as_str()),
            (Self::IgnoreCase(wanted), Value::String(text)) => *wanted == text.to_lowercase(),
            (Self::Wildcard(pattern), Value::String(text)) => wildcard::matches(pattern, text, Case::Exact),
            (Self::Cidr(range), Value::String(text)) => {
                text.parse().is_ok_and(|address| range.contains(address))
            }
            (Self::Numeric(range), Value::Number(number)) => {
                Scaled::of(number).is_some_and(|number| range.holds(number))
            }
            (Self::Exists(wanted), _) => *wanted,
            (Self::Not(none_of), _) => !none_of.iter().any(|operator| operator.takes(value)),
            _ => false,
        }
    }

    /// Whether it takes a key that is there, whatever its value.
    pub(super) fn takes_presence(&self) -> bool {
        *self == Self::Exists(true)
    }

    /// Whether it takes a key that is not there.
    pub(super) fn takes_absent(&self) -> bool {
        *self == Self::Exists(false)
    }

    /// Whether it takes what stands under a key of a body. Only values count as there, neither objects nor empty lists.
    pub(super) fn takes_field(&self, under: Option<&Value>) -> bool {
        match self {
            Self::Exists(wanted) => *wanted == under.is_some_and(|value| any_leaf(value, &|_| true)),
            _ => under.is_some_and(|value| any_leaf(value, &|leaf| self.takes(leaf))),
        }
    }
}

/// Whether any value satisfies the test; lists are looked through.
fn any_leaf(value: &Value, test: &dyn Fn(&Value) -> bool) -> bool {
    match value {
        Value::Array(members) => members.iter().any(|member| any_leaf(member, test)),
        Value::Object(_) => false,
        leaf => test(leaf),
    }
}

/// `*` stands for any characters, `\*` and `\\` for themselves.
fn wildcards(text: &str) -> Result<Box<[Token]>, FilterPolicyError> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        tokens.push(match byte {
            b'*' if tokens.last() == Some(&Token::Run) => {
                return Err(error("Consecutive wildcard characters"));
            }
            b'*' => Token::Run,
            b'\\' => match bytes.next() {
                Some(escaped @ (b'*' | b'\\')) => Token::Byte(escaped),
                _ => return Err(error("Invalid escape character in wildcard")),
            },
            byte => Token::Byte(byte),
        });
    }
    if tokens.iter().filter(|token| **token == Token::Run).count() > FILTER_WILDCARDS_MAX {
        return Err(error(format!("wildcard {text} has more than {FILTER_WILDCARDS_MAX} wildcards")));
    }
    Ok(tokens.into())
}
