/*!
The `Condition` element: operators, their values, and whether the facts of a request satisfy them.

Follows "IAM JSON policy elements: Condition operators" and "Multivalued context keys" (IAM User Guide). All conditions
of a statement must hold; of the values of one key any will do, and none where the operator is negated.
*/

use super::PolicyError;
use super::facts::{self, Facts, Value};
use super::template::{Template, Wildcards};
use crate::cidr::Cidr;
use crate::json::Json;
use crate::wildcard::Case;

/// One key of one operator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    key: String,
    operator: Operator,
    operands: Vec<Operand>,
}

/// An operator's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Operator {
    test: Test,
    negated: bool,
    /// `…IfExists`: holds where the key is absent.
    if_exists: bool,
    set: Set,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Set {
    /// For keys with one value.
    One,
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Test {
    Text { fold: bool, like: bool },
    Arn,
    Number(Order),
    Date(Order),
    Bool,
    Address,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value of the policy, read as its operator reads it.
#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Text(Template),
    Number(f64),
    Millis(i64),
    Bool(bool),
    Range(Cidr),
}

impl Condition {
    /// Reads the whole element.
    pub(super) fn parse_all(value: &Json, variables: bool, place: &str) -> Result<Vec<Self>, PolicyError> {
        let Json::Object(operators) = value else {
            return Err(PolicyError::syntax(format!("{place} must be an object of operators.")));
        };
        let mut conditions = Vec::new();
        for (name, keys) in operators {
            let place = format!("{place}.{name}");
            let operator = Operator::parse(name, &place)?;
            let Json::Object(keys) = keys else {
                return Err(PolicyError::syntax(format!("{place} must be an object of condition keys.")));
            };
            for (key, values) in keys {
                conditions.push(Self::parse(operator, key, values, variables, &format!("{place}.{key}"))?);
            }
        }
        Ok(conditions)
    }

    fn parse(
        operator: Operator,
        key: &str,
        values: &Json,
        variables: bool,
        place: &str,
    ) -> Result<Self, PolicyError> {
        if !key.contains(':') {
            let message = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
            return Err(PolicyError::new(message, format!("{place} names a key without its vendor.")));
        }
        let mut operands = Vec::new();
        for value in values.one_or_many() {
            let text = match value {
                Json::Text(text) => text.clone(),
                Json::Bool(value) => value.to_string(),
                Json::Number(number) => number.to_string(),
                _ => {
                    return Err(PolicyError::syntax(format!(
                        "{place} must be a string, a number, true or false, or a list of these."
                    )));
                }
            };
            let operand = operator.test.operand(&text, variables);
            operands.push(
                operand.map_err(|why| PolicyError::syntax(format!("{place}: the value {text:?} {why}.")))?,
            );
        }
        Ok(Self { key: key.to_owned(), operator, operands })
    }

    /// Whether the facts satisfy it.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        let fact = facts.get(&self.key);
        let Operator { test, negated, if_exists, set } = self.operator;
        if test == Test::Null {
            return self.operands.iter().any(|operand| *operand == Operand::Bool(fact.is_none()));
        }
        let Some(fact) = fact else {
            return match set {
                Set::One => negated || if_exists,
                Set::All => true,
                Set::Any => if_exists,
            };
        };
        let one = |value: Value<'_>| self.matches(value, facts);
        match (set, negated) {
            (Set::One, false) => fact.values().any(|value| one(value) == Some(true)),
            (Set::One, true) | (Set::All, true) => fact.values().all(|value| one(value) == Some(false)),
            (Set::All, false) => fact.values().all(|value| one(value) == Some(true)),
            (Set::Any, false) => fact.values().any(|value| one(value) == Some(true)),
            (Set::Any, true) => fact.values().any(|value| one(value) == Some(false)),
        }
    }

    /// Whether any operand takes the value; `None` when a variable that nothing is known of leaves it open.
    fn matches(&self, value: Value<'_>, facts: &Facts<'_>) -> Option<bool> {
        let mut open = false;
        for operand in &self.operands {
            match self.operator.test.takes(operand, value, facts) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => open = true,
            }
        }
        (!open).then_some(false)
    }
}

impl Operator {
    fn parse(name: &str, place: &str) -> Result<Self, PolicyError> {
        let (set, rest) = match name.split_once(':') {
            Some(("ForAllValues", rest)) => (Set::All, rest),
            Some(("ForAnyValue", rest)) => (Set::Any, rest),
            _ => (Set::One, name),
        };
        let (rest, if_exists) = match rest.strip_suffix("IfExists") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let unknown = |why: &str| PolicyError::syntax(format!("{place} {why}."));
        if rest == "BinaryEquals" {
            return Err(unknown("compares binary values, which no condition key of this server has"));
        }
        if rest == "Null" && (if_exists || set != Set::One) {
            return Err(unknown("must be \"Null\" alone: it asks itself whether a key exists"));
        }
        let (test, negated) = Test::named(rest).ok_or_else(|| unknown("is no condition operator"))?;
        Ok(Self { test, negated, if_exists, set })
    }
}

impl Test {
    /// The test of an operator, and whether it is negated.
    fn named(name: &str) -> Option<(Self, bool)> {
        use Order::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let exact = Self::Text { fold: false, like: false };
        let folded = Self::Text { fold: true, like: false };
        let like = Self::Text { fold: false, like: true };
        Some(match name {
            "StringEquals" => (exact, false),
            "StringNotEquals" => (exact, true),
            "StringEqualsIgnoreCase" => (folded, false),
            "StringNotEqualsIgnoreCase" => (folded, true),
            "StringLike" => (like, false),
            "StringNotLike" => (like, true),
            "ArnEquals" | "ArnLike" => (Self::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Self::Arn, true),
            "NumericEquals" => (Self::Number(Equal), false),
            "NumericNotEquals" => (Self::Number(Equal), true),
            "NumericLessThan" => (Self::Number(Less), false),
            "NumericLessThanEquals" => (Self::Number(LessOrEqual), false),
            "NumericGreaterThan" => (Self::Number(Greater), false),
            "NumericGreaterThanEquals" => (Self::Number(GreaterOrEqual), false),
            "DateEquals" => (Self::Date(Equal), false),
            "DateNotEquals" => (Self::Date(Equal), true),
            "DateLessThan" => (Self::Date(Less), false),
            "DateLessThanEquals" => (Self::Date(LessOrEqual), false),
            "DateGreaterThan" => (Self::Date(Greater), false),
            "DateGreaterThanEquals" => (Self::Date(GreaterOrEqual), false),
            "Bool" => (Self::Bool, false),
            "IpAddress" => (Self::Address, false),
            "NotIpAddress" => (Self::Address, true),
            "Null" => (Self::Null, false),
            _ => return None,
        })
    }

    /// Reads a value of the policy.
    fn operand(self, text: &str, variables: bool) -> Result<Operand, String> {
        match self {
            Self::Text { fold: true, .. } => {
                Template::parse(&text.to_lowercase(), Wildcards::None, variables).map(Operand::Text)
            }
            Self::Text { like, .. } => {
                let wildcards = if like { Wildcards::Free } else { Wildcards::None };
                Template::parse(text, wildcards, variables).map(Operand::Text)
            }
            Self::Arn if text == "*" => {
                Template::parse("*:*:*:*:*:*", Wildcards::Arn, false).map(Operand::Text)
            }
            Self::Arn if text.matches(':').count() < 5 && !(variables && text.contains("${")) => {
                Err("is no ARN, which has six parts between colons".to_owned())
            }
            Self::Arn => Template::parse(text, Wildcards::Arn, variables).map(Operand::Text),
            Self::Number(_) => {
                facts::number(text).map(Operand::Number).ok_or_else(|| "is no number".to_owned())
            }
            Self::Date(_) => facts::time(text)
                .map(Operand::Millis)
                .ok_or_else(|| "is no date in ISO 8601 and no number of seconds since 1970".to_owned()),
            Self::Bool | Self::Null => {
                facts::truth(text).map(Operand::Bool).ok_or_else(|| "is neither true nor false".to_owned())
            }
            Self::Address => Cidr::parse(text)
                .map(Operand::Range)
                .ok_or_else(|| "is no IP address and no range, as 203.0.113.0/24".to_owned()),
        }
    }

    /// Whether the operand takes the value.
    fn takes(self, operand: &Operand, value: Value<'_>, facts: &Facts<'_>) -> Option<bool> {
        match (self, operand) {
            (Self::Text { fold: true, .. }, Operand::Text(template)) => {
                template.matches(&value.text().to_lowercase(), facts, Case::Folded)
            }
            (Self::Text { .. } | Self::Arn, Operand::Text(template)) => {
                template.matches(&value.text(), facts, Case::Exact)
            }
            (Self::Number(order), Operand::Number(wanted)) => {
                Some(value.number().is_some_and(|number| order.holds(&number, wanted)))
            }
            (Self::Date(order), Operand::Millis(wanted)) => {
                Some(value.time().is_some_and(|millis| order.holds(&millis, wanted)))
            }
            (Self::Bool, Operand::Bool(wanted)) => Some(value.bool() == Some(*wanted)),
            (Self::Address, Operand::Range(range)) => {
                Some(value.address().is_some_and(|address| range.contains(address)))
            }
            _ => Some(false),
        }
    }
}

impl Order {
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}
