/*!
What a value refers to: resources, parameters and conditions, by the functions in it. Also the parts of a `Fn::Sub` text.
*/

use serde_json::{Map, Value};

use super::{TemplateError, shown, wrong};

/// Something that a value refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference<'t> {
    /// `Ref`, or `${Name}`: a parameter, a pseudo parameter or a resource.
    Name(&'t str),
    /// `Fn::GetAtt`, or `${Name.Attribute}`.
    Attribute(&'t str, &'t str),
    /// `Condition`, or the first argument of `Fn::If`.
    Condition(&'t str),
}

/// A part of the text of a `Fn::Sub`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// Text as it is.
    Text(&'t str),
    /// `${Name}`.
    Name(&'t str),
    /// `${!Text}`, which stands for `${Text}`.
    Literal(&'t str),
}

/// The name and argument of the function that a value is; nothing where it is none.
pub(super) fn function(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = members.iter().next().filter(|_| members.len() == 1)?;
    let is_function = name == "Ref" || name.starts_with("Fn::");
    is_function.then_some((name.as_str(), argument))
}

/// The functions that are served; those of conditions stand in these only.
const FUNCTIONS: [&str; 13] = [
    "Ref",
    "Fn::And",
    "Fn::Base64",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::GetAtt",
    "Fn::If",
    "Fn::Join",
    "Fn::Not",
    "Fn::Or",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
];

/// The error for a function that is not served.
pub(super) fn unserved(name: &str) -> TemplateError {
    let (name, served) = (shown(name), FUNCTIONS.join(", "));
    wrong(format_args!("the function {name} is not served here; those that are: {served}"))
}

/// Hands each reference in `value` to `seen`. In conditions, `{"Condition": name}` is one.
pub(super) fn each<'t>(
    value: &'t Value,
    in_conditions: bool,
    seen: &mut impl FnMut(Reference<'t>) -> Result<(), TemplateError>,
) -> Result<(), TemplateError> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| each(item, in_conditions, seen)),
        Value::Object(members) => match function(members) {
            Some(("Ref", Value::String(name))) => seen(Reference::Name(name)),
            Some(("Fn::GetAtt", argument)) => {
                let (resource, attribute) = attribute(argument)?;
                seen(Reference::Attribute(resource, attribute))
            }
            Some(("Fn::Sub", argument)) => in_text(argument, in_conditions, seen),
            Some(("Fn::If", Value::Array(arguments))) => {
                if let Some(Value::String(condition)) = arguments.first() {
                    seen(Reference::Condition(condition))?;
                }
                arguments.iter().skip(1).try_for_each(|item| each(item, in_conditions, seen))
            }
            Some((name, _)) if !FUNCTIONS.contains(&name) => Err(unserved(name)),
            _ => {
                if let (true, 1, Some(Value::String(name))) =
                    (in_conditions, members.len(), members.get("Condition"))
                {
                    return seen(Reference::Condition(name));
                }
                members.values().try_for_each(|member| each(member, in_conditions, seen))
            }
        },
        _ => Ok(()),
    }
}

/// The resource and the attribute of a `Fn::GetAtt`.
pub(super) fn attribute(argument: &Value) -> Result<(&str, &str), TemplateError> {
    let read = match argument {
        Value::String(text) => text.split_once('.'),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(resource), Value::String(attribute)] => {
                Some((resource.as_str(), attribute.as_str()))
            }
            _ => None,
        },
        _ => None,
    };
    let read = read.filter(|(resource, attribute)| !resource.is_empty() && !attribute.is_empty());
    read.ok_or_else(|| {
        wrong("every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")
    })
}

fn in_text<'t>(
    argument: &'t Value,
    in_conditions: bool,
    seen: &mut impl FnMut(Reference<'t>) -> Result<(), TemplateError>,
) -> Result<(), TemplateError> {
    let (text, own) = text_and_own(argument)?;
    for part in parts(text)? {
        match part {
            Part::Name(name) if own.is_some_and(|own| own.contains_key(name)) => {}
            Part::Name(name) => match name.split_once('.') {
                Some((resource, attribute)) => seen(Reference::Attribute(resource, attribute))?,
                None => seen(Reference::Name(name))?,
            },
            Part::Text(_) | Part::Literal(_) => {}
        }
    }
    let own = own.into_iter().flat_map(Map::values);
    own.into_iter().try_for_each(|value| each(value, in_conditions, seen))
}

/// A text, and names with their values.
type TextAndOwn<'t> = (&'t str, Option<&'t Map<String, Value>>);

/// The text of a `Fn::Sub` and the names that it brings along.
pub(super) fn text_and_own(argument: &Value) -> Result<TextAndOwn<'_>, TemplateError> {
    match argument {
        Value::String(text) => Ok((text, None)),
        Value::Array(arguments) => match arguments.as_slice() {
            [Value::String(text), Value::Object(own)] => Ok((text, Some(own))),
            _ => Err(sub_arguments()),
        },
        _ => Err(sub_arguments()),
    }
}

fn sub_arguments() -> TemplateError {
    wrong(
        "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string",
    )
}

/// The parts of a `Fn::Sub` text, in order.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, TemplateError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if start > 0 {
            found.push(Part::Text(&rest[..start]));
        }
        let inside = &rest[start + 2..];
        let Some(end) = inside.find('}') else {
            // What is not closed is text.
            found.push(Part::Text(&rest[start..]));
            return Ok(found);
        };
        let name = &inside[..end];
        found.push(match name.strip_prefix('!') {
            Some(literal) => Part::Literal(literal),
            None => Part::Name(checked(name.trim())?),
        });
        rest = &inside[end + 1..];
    }
    if !rest.is_empty() {
        found.push(Part::Text(rest));
    }
    Ok(found)
}

fn checked(name: &str) -> Result<&str, TemplateError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
    if !name.is_empty() && name.chars().all(allowed) {
        return Ok(name);
    }
    Err(wrong(format_args!(
        "variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons; found ${{{}}}",
        shown(name)
    )))
}
