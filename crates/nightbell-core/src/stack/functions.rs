/*!
The values of one stack, and what the functions of a template come to with them ("Intrinsic function reference").
*/

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::parameters::Given;
use super::references::{self, Part, attribute, parts, text_and_own};
use super::{Template, TemplateError, WORKED_OUT_BYTES_MAX, shown, wrong};

/// What `AWS::…` stands for in one stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pseudo {
    /// The region.
    pub region: String,
    /// The account.
    pub account: String,
    /// The stack's name.
    pub stack_name: String,
    /// The stack's ARN.
    pub stack_id: String,
}

/// The resources that are made, as references see them.
pub trait Made {
    /// What `Ref` comes to; nothing where the resource is not made.
    fn reference(&self, logical: &str) -> Option<Value>;
    /// What `Fn::GetAtt` comes to; nothing where the resource is not made, or has no such attribute.
    fn attribute(&self, logical: &str, name: &str) -> Option<Value>;
}

/// A template with the values of one stack.
#[derive(Debug)]
pub struct Scope<'t> {
    template: &'t Template,
    parameters: &'t BTreeMap<String, Given>,
    pseudo: &'t Pseudo,
    conditions: BTreeMap<&'t str, bool>,
}

const PSEUDO: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NotificationARNs",
    "AWS::NoValue",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// Whether `name` is a parameter that every template has.
pub(super) fn is_pseudo(name: &str) -> bool {
    PSEUDO.contains(&name)
}

impl Pseudo {
    fn value(&self, name: &str) -> Option<Value> {
        let text = match name {
            "AWS::AccountId" => &self.account,
            "AWS::Region" => &self.region,
            "AWS::StackId" => &self.stack_id,
            "AWS::StackName" => &self.stack_name,
            "AWS::Partition" => "aws",
            "AWS::URLSuffix" => "amazonaws.com",
            "AWS::NotificationARNs" => return Some(Value::Array(Vec::new())),
            _ => return None,
        };
        Some(Value::String(text.to_owned()))
    }
}

impl<'t> Scope<'t> {
    /// Works out the conditions.
    ///
    /// # Errors
    /// Where one cannot be worked out.
    pub fn new(
        template: &'t Template,
        parameters: &'t BTreeMap<String, Given>,
        pseudo: &'t Pseudo,
    ) -> Result<Self, TemplateError> {
        let mut scope = Self { template, parameters, pseudo, conditions: BTreeMap::new() };
        for name in template.conditions.keys() {
            let mut found = std::mem::take(&mut scope.conditions);
            scope.settle(name, &mut found)?;
            scope.conditions = found;
        }
        Ok(scope)
    }

    /// Whether a resource or output with this condition is there.
    pub fn holds(&self, condition: Option<&str>) -> bool {
        condition.is_none_or(|name| self.conditions.get(name).copied().unwrap_or(false))
    }

    /// Whether the resource is there, by its condition.
    pub fn wants(&self, logical: &str) -> bool {
        self.template.resources.get(logical).is_some_and(|resource| self.holds(resource.condition.as_deref()))
    }

    /// The logical names of the resources that are there, each after those it needs.
    pub fn order(&self) -> Vec<String> {
        self.template.order(|name| self.wants(name)).expect("a template is parsed only if its order is found")
    }

    /// What a value comes to; nothing where that is `AWS::NoValue`.
    ///
    /// # Errors
    /// Where a function has wrong arguments, or refers to what is not there.
    pub fn work_out(&self, value: &Value, made: &dyn Made) -> Result<Option<Value>, TemplateError> {
        Working { scope: self, made, room: Cell::new(WORKED_OUT_BYTES_MAX) }.value(value)
    }

    /// Settles a condition after those it is made of. They are in no circle, so this ends.
    fn settle(&self, name: &'t str, found: &mut BTreeMap<&'t str, bool>) -> Result<bool, TemplateError> {
        if let Some(held) = found.get(name) {
            return Ok(*held);
        }
        let condition = self.template.conditions.get(name);
        let holds = match condition {
            Some(condition) => self.judge(condition, found)?,
            None => return Err(wrong(format_args!("the condition {} is not there", shown(name)))),
        };
        found.insert(name, holds);
        Ok(holds)
    }

    fn judge(&self, value: &'t Value, found: &mut BTreeMap<&'t str, bool>) -> Result<bool, TemplateError> {
        let told = || wrong("a condition is one of Fn::And, Fn::Equals, Fn::Not, Fn::Or and Condition");
        let members = value.as_object().filter(|members| members.len() == 1).ok_or_else(told)?;
        let (name, argument) = members.iter().next().ok_or_else(told)?;
        let list = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (name.as_str(), list) {
            ("Condition", _) => self.settle(argument.as_str().ok_or_else(told)?, found),
            ("Fn::Not", [one]) => Ok(!self.judge(one, found)?),
            ("Fn::And", [_, _, ..]) if list.len() <= CONDITIONS_MAX => {
                list.iter().try_fold(true, |all, one| Ok(self.judge(one, found)? && all))
            }
            ("Fn::Or", [_, _, ..]) if list.len() <= CONDITIONS_MAX => {
                list.iter().try_fold(false, |any, one| Ok(self.judge(one, found)? || any))
            }
            ("Fn::Equals", [one, other]) => {
                let value = |value| self.work_out(value, &Nothing);
                Ok(comparable(value(one)?) == comparable(value(other)?))
            }
            ("Fn::Not" | "Fn::And" | "Fn::Or" | "Fn::Equals", _) => Err(wrong(format_args!(
                "{name} takes {}",
                match name.as_str() {
                    "Fn::Not" => "a list of one condition",
                    "Fn::Equals" => "a list of two values",
                    _ => "a list of 2 to 10 conditions",
                }
            ))),
            _ => Err(told()),
        }
    }
}

/// Conditions that `Fn::And` and `Fn::Or` take at most.
const CONDITIONS_MAX: usize = 10;

/// `1` and `"1"` are the same to a template.
fn comparable(value: Option<Value>) -> Option<Value> {
    value.map(|value| as_text(&value).map_or(value, Value::String))
}

/// Nothing is made.
struct Nothing;

impl Made for Nothing {
    fn reference(&self, _logical: &str) -> Option<Value> {
        None
    }

    fn attribute(&self, _logical: &str, _name: &str) -> Option<Value> {
        None
    }
}

/// A scalar as text.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// One value that is worked out, with the room that is left for what functions make.
struct Working<'s> {
    scope: &'s Scope<'s>,
    made: &'s dyn Made,
    room: Cell<usize>,
}

impl Working<'_> {
    fn value(&self, value: &Value) -> Result<Option<Value>, TemplateError> {
        match value {
            Value::Array(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.extend(self.value(item)?);
                }
                Ok(Some(Value::Array(list)))
            }
            Value::Object(members) => match references::function(members) {
                Some((name, argument)) => self.function(name, argument),
                None => {
                    let mut map = Map::new();
                    for (name, member) in members {
                        if let Some(value) = self.value(member)? {
                            map.insert(name.clone(), value);
                        }
                    }
                    Ok(Some(Value::Object(map)))
                }
            },
            other => Ok(Some(other.clone())),
        }
    }

    fn function(&self, name: &str, argument: &Value) -> Result<Option<Value>, TemplateError> {
        let value = match name {
            "Ref" => {
                let told = || wrong("the argument of Ref is a name");
                let name = argument.as_str().ok_or_else(told)?;
                if name == "AWS::NoValue" {
                    return Ok(None);
                }
                self.reference(name)?
            }
            "Fn::If" => return self.choose(argument),
            "Fn::GetAtt" => {
                let (resource, attribute) = attribute(argument)?;
                self.attribute(resource, attribute)?
            }
            "Fn::Sub" => self.substitute(argument)?,
            "Fn::Join" => self.join(argument)?,
            "Fn::Select" => self.select(argument)?,
            "Fn::Split" => self.split(argument)?,
            "Fn::FindInMap" => self.find_in_map(argument)?,
            "Fn::Base64" => Value::String(base64(self.text(argument, "Fn::Base64")?.as_bytes())),
            other => return Err(references::unserved(other)),
        };
        self.count(&value)?;
        Ok(Some(value))
    }

    /// Counts what a function made.
    fn count(&self, value: &Value) -> Result<(), TemplateError> {
        let left = self.room.get().checked_sub(size(value)).ok_or_else(|| {
            wrong(format_args!(
                "the functions of one resource make more than {WORKED_OUT_BYTES_MAX} bytes together"
            ))
        })?;
        self.room.set(left);
        Ok(())
    }

    fn reference(&self, name: &str) -> Result<Value, TemplateError> {
        let given = self.scope.parameters.get(name).map(Given::value);
        let found = given.or_else(|| self.scope.pseudo.value(name)).or_else(|| self.made.reference(name));
        found.ok_or_else(|| absent(name))
    }

    fn attribute(&self, resource: &str, name: &str) -> Result<Value, TemplateError> {
        self.made.attribute(resource, name).ok_or_else(|| match self.made.reference(resource) {
            Some(_) => wrong(format_args!(
                "resource {resource} does not support attribute type {} in Fn::GetAtt",
                shown(name)
            )),
            None => absent(resource),
        })
    }

    fn choose(&self, argument: &Value) -> Result<Option<Value>, TemplateError> {
        let told = || wrong("Fn::If requires a list argument with the first element being a condition");
        let [Value::String(condition), then, otherwise] = list(argument) else { return Err(told()) };
        if !self.scope.conditions.contains_key(condition.as_str()) {
            return Err(wrong(format_args!("the condition {} is not there", shown(condition))));
        }
        self.value(if self.scope.holds(Some(condition)) { then } else { otherwise })
    }

    /// A text that an argument comes to.
    fn text(&self, argument: &Value, function: &str) -> Result<String, TemplateError> {
        let told = || wrong(format_args!("an argument of {function} is no text"));
        self.value(argument)?.as_ref().and_then(as_text).ok_or_else(told)
    }

    /// A list of texts that an argument comes to.
    fn texts(&self, argument: &Value, function: &str) -> Result<Vec<String>, TemplateError> {
        let told = || wrong(format_args!("an argument of {function} is no list of texts"));
        let Some(Value::Array(items)) = self.value(argument)? else { return Err(told()) };
        items.iter().map(|item| as_text(item).ok_or_else(told)).collect()
    }

    fn substitute(&self, argument: &Value) -> Result<Value, TemplateError> {
        let (text, own) = text_and_own(argument)?;
        let mut out = String::new();
        for part in parts(text)? {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Literal(text) => {
                    out.push_str("${");
                    out.push_str(text);
                    out.push('}');
                }
                Part::Name(name) => {
                    let value = match (own.and_then(|own| own.get(name)), name.split_once('.')) {
                        (Some(value), _) => self.value(value)?,
                        (None, Some((resource, attribute))) => Some(self.attribute(resource, attribute)?),
                        (None, None) => Some(self.reference(name)?),
                    };
                    let told = || wrong(format_args!("${{{}}} of a Fn::Sub is no text", shown(name)));
                    out.push_str(&value.as_ref().and_then(as_text).ok_or_else(told)?);
                }
            }
            if out.len() > self.room.get() {
                self.count(&Value::String(std::mem::take(&mut out)))?;
            }
        }
        Ok(Value::String(out))
    }

    fn join(&self, argument: &Value) -> Result<Value, TemplateError> {
        let [Value::String(between), items] = list(argument) else {
            return Err(wrong(
                "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined",
            ));
        };
        let items = self.texts(items, "Fn::Join")?;
        let bytes: usize = items.iter().map(|item| item.len() + between.len()).sum();
        if bytes > self.room.get() {
            self.room.set(0);
            self.count(&Value::String(" ".into()))?;
        }
        Ok(Value::String(items.join(between)))
    }

    fn select(&self, argument: &Value) -> Result<Value, TemplateError> {
        let [index, items] = list(argument) else {
            return Err(wrong(
                "Fn::Select requires a list argument with two elements: an integer index and a list",
            ));
        };
        let index = self.text(index, "Fn::Select")?;
        let Some(Value::Array(mut items)) = self.value(items)? else {
            return Err(wrong("Fn::Select requires a list as its second argument"));
        };
        match index.parse::<usize>() {
            Ok(index) if index < items.len() => Ok(items.swap_remove(index)),
            _ => Err(wrong(format_args!(
                "Fn::Select cannot select nonexistent value at index {}; the list has {}",
                shown(&index),
                items.len()
            ))),
        }
    }

    fn split(&self, argument: &Value) -> Result<Value, TemplateError> {
        let told = || {
            wrong(
                "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split",
            )
        };
        let [Value::String(at), text] = list(argument) else { return Err(told()) };
        if at.is_empty() {
            return Err(told());
        }
        Ok(self
            .text(text, "Fn::Split")?
            .split(at.as_str())
            .map(|piece| Value::String(piece.to_owned()))
            .collect())
    }

    fn find_in_map(&self, argument: &Value) -> Result<Value, TemplateError> {
        let [map, first, second] = list(argument) else {
            return Err(wrong("Fn::FindInMap requires a list of a map's name and two keys"));
        };
        let text = |argument| self.text(argument, "Fn::FindInMap");
        let (map, first, second) = (text(map)?, text(first)?, text(second)?);
        let found = self
            .scope
            .template
            .mappings
            .get(&map)
            .and_then(|map| map.get(&first))
            .and_then(|map| map.get(&second));
        let found = found.filter(|value| !value.is_object()).cloned();
        found.ok_or_else(|| {
            wrong(format_args!(
                "Unable to get mapping for {}::{}::{}",
                shown(&map),
                shown(&first),
                shown(&second)
            ))
        })
    }
}

fn list(argument: &Value) -> &[Value] {
    argument.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn absent(name: &str) -> TemplateError {
    wrong(format_args!("Unresolved resource dependencies [{}] in the template", shown(name)))
}

/// Roughly the bytes that a value takes.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum::<usize>() + items.len(),
        Value::Object(members) => members.iter().map(|(name, member)| name.len() + size(member)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let padded = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}
