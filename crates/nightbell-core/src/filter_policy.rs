/*!
Filter policies of SNS subscriptions: which messages of a topic a subscriber gets.

[`FilterPolicy::parse`] compiles a policy once, [`FilterPolicy::matches`] holds it against a message. Rules follow
"Amazon SNS subscription filter policies" and "Filter policy constraints" (Amazon SNS Developer Guide). A policy looks at
the message's attributes or, where its scope says so, at its JSON body. `operator` are the tests on one value, `numeric`
are numbers as policies compare them. Knows no topic and no subscription; the errors are texts that follow
`Invalid parameter: `.
*/

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::json::Json;
use operator::Operator;

pub use numeric::FILTER_NUMBER_MAX;
pub use operator::FILTER_WILDCARDS_MAX;

mod numeric;
mod operator;
#[cfg(test)]
mod tests;

/// Bytes of a policy.
pub const FILTER_POLICY_BYTES_MAX: usize = 262_144;
/// Keys of a policy; of nested ones the outermost are counted.
pub const FILTER_POLICY_KEYS_MAX: usize = 5;
/// Values of all keys multiplied; values of a nested key count as often as it is deep.
pub const FILTER_POLICY_COMBINATIONS_MAX: usize = 150;
/// How deep keys may be nested.
pub const FILTER_POLICY_DEPTH_MAX: usize = 32;
/// Policies of one topic.
pub const FILTER_POLICIES_MAX: usize = 200;

/// What a policy looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FilterScope {
    /// The message's attributes.
    #[default]
    MessageAttributes,
    /// The message itself, which must be a JSON object.
    MessageBody,
}

impl FilterScope {
    /// The scope of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "MessageAttributes" => Some(Self::MessageAttributes),
            "MessageBody" => Some(Self::MessageBody),
            _ => None,
        }
    }

    /// `MessageAttributes` or `MessageBody`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MessageAttributes => "MessageAttributes",
            Self::MessageBody => "MessageBody",
        }
    }
}

/// An attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAttribute {
    /// `String`, `String.Array`, `Number` or `Binary`, perhaps with a label of its owner's behind a dot.
    pub data_type: String,
    /// Its value as text; of `Binary` in base64.
    pub value: String,
}

/// Why a policy is refused, in AWS's words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct FilterPolicyError(String);

/// A policy, compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterPolicy {
    scope: FilterScope,
    all: Vec<Clause>,
}

/// What must hold; all clauses of a group must.
#[derive(Clone, Debug, PartialEq)]
enum Clause {
    /// Any of the operators takes the key's value.
    Field { key: String, any: Vec<Operator> },
    /// All inner clauses hold for what stands under the key.
    Inner { key: String, all: Vec<Self> },
    /// `$or`: all clauses of any of the groups hold.
    Or(Vec<Vec<Self>>),
}

fn error(message: impl std::fmt::Display) -> FilterPolicyError {
    FilterPolicyError(format!("FilterPolicy: {message}"))
}

impl FilterPolicy {
    /// Reads and compiles a policy; `{}` takes every message.
    ///
    /// # Errors
    /// The first rule that is broken, in AWS's words.
    pub fn parse(text: &str, scope: FilterScope) -> Result<Self, FilterPolicyError> {
        if text.len() > FILTER_POLICY_BYTES_MAX {
            let bytes = text.len();
            return Err(error(format!("has {bytes} bytes; at most {FILTER_POLICY_BYTES_MAX} are allowed")));
        }
        let json = Json::parse(text).map_err(|why| error(format!("failed to parse JSON. {why}")))?;
        let Json::Object(members) = &json else { return Err(error("must be a JSON object")) };
        if members.len() > FILTER_POLICY_KEYS_MAX {
            return Err(error(format!("Filter policy can not have more than {FILTER_POLICY_KEYS_MAX} keys")));
        }
        let mut reader = Reader { scope };
        let (all, combinations) = reader.group(members, 1, 1)?;
        if combinations > FILTER_POLICY_COMBINATIONS_MAX {
            return Err(error("Filter policy is too complex"));
        }
        Ok(Self { scope, all })
    }

    /// What it looks at.
    pub fn scope(&self) -> FilterScope {
        self.scope
    }

    /// Whether the subscriber gets the message.
    pub fn matches(&self, attributes: &BTreeMap<String, MessageAttribute>, body: &str) -> bool {
        if self.all.is_empty() {
            return true;
        }
        match self.scope {
            FilterScope::MessageAttributes => hold_for_attributes(&self.all, attributes),
            FilterScope::MessageBody => match serde_json::from_str::<Value>(body) {
                Ok(object @ Value::Object(_)) => hold_for_value(&self.all, Some(&object)),
                _ => false,
            },
        }
    }
}

/// Reads groups of clauses and counts their combinations as it goes.
struct Reader {
    scope: FilterScope,
}

impl Reader {
    /// The clauses of one object, and `combinations` multiplied by those of its values.
    fn group(
        &mut self,
        members: &[(String, Json)],
        depth: usize,
        mut combinations: usize,
    ) -> Result<(Vec<Clause>, usize), FilterPolicyError> {
        let mut all = Vec::with_capacity(members.len());
        for (key, value) in members {
            let clause;
            (clause, combinations) = match value {
                Json::List(groups) if key == "$or" && are_groups(groups) => {
                    self.or(groups, depth, combinations)?
                }
                Json::List(values) => self.field(key, values, depth, combinations)?,
                Json::Object(inner) => self.inner(key, inner, depth, combinations)?,
                _ => return Err(error(format!("\"{key}\" must be an object or an array"))),
            };
            all.push(clause);
        }
        Ok((all, combinations))
    }

    fn field(
        &self,
        key: &str,
        values: &[Json],
        depth: usize,
        combinations: usize,
    ) -> Result<(Clause, usize), FilterPolicyError> {
        if values.is_empty() {
            return Err(error("Empty arrays are not allowed"));
        }
        let any = values.iter().map(Operator::parse).collect::<Result<_, _>>()?;
        let combinations = combinations.saturating_mul(values.len()).saturating_mul(depth);
        Ok((Clause::Field { key: key.to_owned(), any }, combinations))
    }

    fn inner(
        &mut self,
        key: &str,
        members: &[(String, Json)],
        depth: usize,
        combinations: usize,
    ) -> Result<(Clause, usize), FilterPolicyError> {
        if self.scope == FilterScope::MessageAttributes {
            let message = "Filter policy scope MessageAttributes does not support nested filter policy";
            return Err(FilterPolicyError(message.to_owned()));
        }
        if depth >= FILTER_POLICY_DEPTH_MAX {
            return Err(error(format!("\"{key}\" is nested deeper than {FILTER_POLICY_DEPTH_MAX} levels")));
        }
        if members.is_empty() {
            return Err(error("Empty objects are not allowed"));
        }
        let (all, combinations) = self.group(members, depth + 1, combinations)?;
        Ok((Clause::Inner { key: key.to_owned(), all }, combinations))
    }

    /// Alternatives add up where keys multiply.
    fn or(
        &mut self,
        groups: &[Json],
        depth: usize,
        combinations: usize,
    ) -> Result<(Clause, usize), FilterPolicyError> {
        let (mut any, mut sum) = (Vec::with_capacity(groups.len()), 0_usize);
        for group in groups {
            let Json::Object(members) = group else { continue };
            let (all, each) = self.group(members, depth, combinations)?;
            sum = sum.saturating_add(each);
            any.push(all);
        }
        Ok((Clause::Or(any), sum))
    }
}

/// Whether the values of `$or` are alternatives: two or more objects of keys. Anything else makes it a key like others.
fn are_groups(values: &[Json]) -> bool {
    let is_group = |value: &Json| match value {
        Json::Object(members) => {
            !members.is_empty()
                && members.iter().all(|(key, value)| {
                    !Operator::KEYWORDS.contains(&key.as_str())
                        && matches!(value, Json::List(_) | Json::Object(_))
                })
        }
        _ => false,
    };
    values.len() > 1 && values.iter().all(is_group)
}

fn hold_for_attributes(all: &[Clause], attributes: &BTreeMap<String, MessageAttribute>) -> bool {
    all.iter().all(|clause| match clause {
        Clause::Field { key, any } => match attributes.get(key) {
            None => any.iter().any(Operator::takes_absent),
            Some(attribute) => {
                let values = attribute.values();
                any.iter().any(|operator| {
                    operator.takes_presence() || values.iter().any(|value| operator.takes(value))
                })
            }
        },
        Clause::Or(groups) => groups.iter().any(|all| hold_for_attributes(all, attributes)),
        Clause::Inner { .. } => false,
    })
}

impl MessageAttribute {
    /// The values that tests are held against; a `String.Array` has one for each member, `Binary` has none.
    fn values(&self) -> Vec<Value> {
        match self.data_type.split('.').next() {
            Some("String") if self.data_type == "String.Array" => match serde_json::from_str(&self.value) {
                Ok(Value::Array(members)) => members,
                Ok(one @ (Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null)) => vec![one],
                _ => Vec::new(),
            },
            Some("String") => vec![Value::String(self.value.clone())],
            Some("Number") => match serde_json::from_str(&self.value) {
                Ok(number @ Value::Number(_)) => vec![number],
                _ => self
                    .value
                    .trim()
                    .parse()
                    .ok()
                    .and_then(serde_json::Number::from_f64)
                    .map(Value::Number)
                    .into_iter()
                    .collect(),
            },
            _ => Vec::new(),
        }
    }
}

/// Whether all clauses hold for the value of a body; of a list one member must satisfy all of them.
fn hold_for_value(all: &[Clause], value: Option<&Value>) -> bool {
    match value {
        Some(Value::Array(members)) if !members.is_empty() => {
            members.iter().any(|member| hold_for_value(all, Some(member)))
        }
        _ => all.iter().all(|clause| match clause {
            Clause::Field { key, any } => {
                let under = value.and_then(|value| value.get(key));
                any.iter().any(|operator| operator.takes_field(under))
            }
            Clause::Inner { key, all } => hold_for_value(all, value.and_then(|value| value.get(key))),
            Clause::Or(groups) => groups.iter().any(|all| hold_for_value(all, value)),
        }),
    }
}
