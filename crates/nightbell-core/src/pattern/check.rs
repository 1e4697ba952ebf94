/*!
One comparison of a value with what a pattern wrote.

The value is a field's or a column's; the rules are the same. Text and numbers meet by their texts: an unquoted number
equals an equal number or the very same text, a quoted text equals the same text or a number written that way.
*/

use super::glob::Glob;
use super::need::{FieldKey, Need};
use super::regex::Regex;
use crate::fields::{Selector, Value};

/// How two sides are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
}

impl Operator {
    /// Whether it asks for an order, which only numbers have.
    pub(crate) fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// The value side of a comparison.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// An unquoted number and how it was written.
    Number {
        number: f64,
        text: Box<str>,
    },
    /// Quoted or bare text, perhaps with wildcards.
    Text(Glob),
    Regex(Regex),
}

/// What is asked of the values that a selector reaches.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    Null,
    True,
    False,
    NotExists,
    Compare(Operator, Operand),
}

impl Check {
    /// Whether it holds over all values a selector reached: any of them will do, except for `NOT EXISTS`.
    pub(crate) fn holds<'v>(&self, values: impl Iterator<Item = Value<'v>>) -> bool {
        let mut values = values;
        match self {
            Self::NotExists => values.next().is_none(),
            _ => values.any(|value| self.holds_for(value)),
        }
    }

    /// Whether one value satisfies it.
    pub(crate) fn holds_for(&self, value: Value<'_>) -> bool {
        match self {
            Self::Null => matches!(value, Value::Null | Value::Array { holds_null: true }),
            Self::True => value == Value::Bool(true),
            Self::False => value == Value::Bool(false),
            Self::NotExists => false,
            Self::Compare(Operator::Equal, operand) => operand.equals(value) == Some(true),
            Self::Compare(Operator::NotEqual, operand) => operand.equals(value) == Some(false),
            Self::Compare(order, operand) => operand.is_ordered(*order, value),
        }
    }

    /// What an event must hold under `selector` for this to be true.
    pub(crate) fn field_need<'p>(&'p self, selector: &'p Selector) -> Need<'p> {
        let keys = match self {
            Self::NotExists => return Need::Nothing,
            Self::Null => vec![FieldKey::Null],
            Self::True => vec![FieldKey::True],
            Self::False => vec![FieldKey::False],
            Self::Compare(Operator::Equal, operand) => operand.field_keys(),
            Self::Compare(..) => vec![FieldKey::Present],
        };
        Need::fields(selector, keys)
    }

    /// What a message must hold for one of its words to satisfy this. Words stand in the message as they are, except
    /// that an unquoted number may be written in many ways.
    pub(crate) fn word_need(&self) -> Need<'_> {
        match self {
            Self::Compare(Operator::Equal, Operand::Text(glob)) => {
                glob.longest_part().map_or(Need::Nothing, |part| Need::texts([part]))
            }
            Self::Compare(Operator::Equal, Operand::Regex(regex)) => {
                regex.required().map_or(Need::Nothing, |texts| Need::texts(texts.iter().map(String::as_str)))
            }
            _ => Need::Nothing,
        }
    }
}

impl Operand {
    /// Whether `value` equals it; `None` for values that are neither text nor number, which neither `=` nor `!=` holds of.
    fn equals(&self, value: Value<'_>) -> Option<bool> {
        let (number, text) = match value {
            Value::Number { number, text } => (Some(number), text),
            Value::Text(text) => (None, text),
            Value::Null | Value::Bool(_) | Value::Array { .. } | Value::Object => return None,
        };
        Some(match (self, number) {
            (Self::Number { number: wanted, .. }, Some(number)) => *wanted == number,
            (Self::Number { text: wanted, .. }, None) => **wanted == *text,
            (Self::Text(glob), _) => glob.matches(text),
            (Self::Regex(regex), _) => regex.matches(text),
        })
    }

    fn is_ordered(&self, order: Operator, value: Value<'_>) -> bool {
        let (Self::Number { number: wanted, .. }, Value::Number { number, .. }) = (self, value) else {
            return false;
        };
        match order {
            Operator::Less => number < *wanted,
            Operator::Greater => number > *wanted,
            Operator::LessOrEqual => number <= *wanted,
            Operator::GreaterOrEqual => number >= *wanted,
            Operator::Equal | Operator::NotEqual => false,
        }
    }

    /// Keys of which a value that equals this has at least one.
    fn field_keys(&self) -> Vec<FieldKey<'_>> {
        match self {
            Self::Number { number, text } => vec![FieldKey::number(*number), FieldKey::Text(text)],
            Self::Text(glob) => match (glob.exact(), glob.longest_part()) {
                (Some(text), _) => vec![FieldKey::Text(text)],
                (None, Some(part)) => vec![FieldKey::Part(part)],
                (None, None) => vec![FieldKey::Present],
            },
            Self::Regex(regex) => match regex.required() {
                Some(texts) if texts.iter().all(|text| !text.is_empty()) => {
                    texts.iter().map(|text| FieldKey::Part(text)).collect()
                }
                _ => vec![FieldKey::Present],
            },
        }
    }
}
