/*!
Numbers as filter policies compare them: up to a billion either way, with five digits after the decimal point.
*/

use serde_json::Number;

use super::{FilterPolicyError, error};
use crate::json::Json;

/// The largest number, and its negative the smallest.
pub const FILTER_NUMBER_MAX: f64 = 1e9;
/// A number is kept as that many parts of one.
const SCALE: f64 = 1e5;

/// A number in hundred-thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scaled(i64);

impl Scaled {
    /// `None` for what is outside the range.
    pub(super) fn of(number: &Number) -> Option<Self> {
        let number = number.as_f64()?;
        (number.abs() <= FILTER_NUMBER_MAX).then(|| Self((number * SCALE).round() as i64))
    }

    /// Reads a number of a policy.
    pub(super) fn parse(number: &Number) -> Result<Self, FilterPolicyError> {
        Self::of(number)
            .ok_or_else(|| error(format!("the number {number} must be between -1000000000 and 1000000000")))
    }
}

/// `{"numeric": [...]}`: what a number must be, ends included or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    from: Option<(Scaled, bool)>,
    to: Option<(Scaled, bool)>,
}

impl Range {
    pub(super) fn holds(&self, number: Scaled) -> bool {
        let above = self.from.is_none_or(|(end, included)| number > end || (included && number == end));
        let below = self.to.is_none_or(|(end, included)| number < end || (included && number == end));
        above && below
    }

    /// Reads one comparison, or a lower bound followed by an upper one.
    pub(super) fn parse(value: &Json) -> Result<Self, FilterPolicyError> {
        let Json::List(members) = value else { return Err(error("Value of numeric must be an array.")) };
        let (operator, rest) =
            members.split_first().ok_or_else(|| error("Invalid member in numeric match: ]"))?;
        let operator = match operator {
            Json::Text(operator) => operator.as_str(),
            other => return Err(error(format!("Invalid member in numeric match: {}", shown(other)))),
        };
        if !["<", "<=", "=", ">", ">="].contains(&operator) {
            return Err(error(format!("Unrecognized numeric range operator: {operator}")));
        }
        let first = operand(operator, rest.first())?;
        let range = match operator {
            "=" => Self { from: Some((first, true)), to: Some((first, true)) },
            "<" | "<=" => Self { from: None, to: Some((first, operator == "<=")) },
            _ => Self { from: Some((first, operator == ">=")), to: None },
        };
        match &rest[1..] {
            [] => Ok(range),
            _ if range.to.is_some() => Err(error("Too many elements in numeric expression")),
            [second, rest @ ..] => {
                let to = upper(second, rest, first)?;
                Ok(Self { to: Some(to), ..range })
            }
        }
    }
}

/// The upper bound after a lower one.
fn upper(operator: &Json, rest: &[Json], bottom: Scaled) -> Result<(Scaled, bool), FilterPolicyError> {
    let operator = match operator {
        Json::Text(operator) => operator.as_str(),
        other => return Err(error(format!("Bad value in numeric range: {}", shown(other)))),
    };
    if !["<", "<="].contains(&operator) {
        return Err(error(format!("Bad numeric range operator: {operator}")));
    }
    let top = operand(operator, rest.first())?;
    if top <= bottom {
        return Err(error("Bottom must be less than top"));
    }
    if rest.len() > 1 {
        return Err(error("Too many terms in numeric range expression"));
    }
    Ok((top, operator == "<="))
}

fn operand(operator: &str, value: Option<&Json>) -> Result<Scaled, FilterPolicyError> {
    match value {
        Some(Json::Number(number)) => Scaled::parse(number),
        _ => {
            let name = if operator == "=" { "equals" } else { operator };
            Err(error(format!("Value of {name} must be numeric")))
        }
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::Text(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(value) => value.to_string(),
        Json::Null => "null".to_owned(),
        Json::List(_) => "[".to_owned(),
        Json::Object(_) => "{".to_owned(),
    }
}
