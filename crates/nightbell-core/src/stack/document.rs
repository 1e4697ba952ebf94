/*!
A template's text, YAML or JSON, as one JSON value. Short forms (`!Ref x`) become long ones (`{"Ref": "x"}`), so that nothing after this
file knows which was written.

YAML comes as a stream of events and is put together here, so that depth is limited while it is read. Aliases are refused, as
CloudFormation refuses them: nothing can grow beyond the text.
*/

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Number, Value};

use super::{TEMPLATE_BYTES_MAX, TEMPLATE_DEPTH_MAX, TemplateError, malformed, shown};

/// Functions that have a short form and are written `Fn::…` in the long one.
const SHORT: [&str; 18] = [
    "Base64",
    "Sub",
    "Join",
    "GetAtt",
    "Select",
    "Split",
    "FindInMap",
    "If",
    "Equals",
    "And",
    "Or",
    "Not",
    "GetAZs",
    "ImportValue",
    "Cidr",
    "Transform",
    "ToJsonString",
    "Length",
];

/// Reads a template's text.
pub(super) fn read(text: &str) -> Result<Value, TemplateError> {
    if text.len() > TEMPLATE_BYTES_MAX {
        return Err(malformed(format_args!(
            "the template has {} bytes; the limit is {TEMPLATE_BYTES_MAX}",
            text.len()
        )));
    }
    let value = if text.trim_start().starts_with('{') { read_json(text)? } else { read_yaml(text)? };
    check(&value, &mut String::new(), 0)?;
    Ok(value)
}

fn read_json(text: &str) -> Result<Value, TemplateError> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        malformed(format_args!("JSON not well-formed. (line {line}, column {column})"))
    })
}

/// Refuses nulls and depth, wherever they stand.
fn check(value: &Value, path: &mut String, depth: usize) -> Result<(), TemplateError> {
    if depth > TEMPLATE_DEPTH_MAX {
        return Err(too_deep());
    }
    let length = path.len();
    match value {
        Value::Null => {
            let path = if path.is_empty() { "/" } else { path.as_str() };
            return Err(malformed(format_args!("[{path}] 'null' values are not allowed in templates")));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("/{index}"));
                check(item, path, depth + 1)?;
                path.truncate(length);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                path.push('/');
                path.push_str(&shown(name));
                check(member, path, depth + 1)?;
                path.truncate(length);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

fn too_deep() -> TemplateError {
    malformed(format_args!("lists and maps stand more than {TEMPLATE_DEPTH_MAX} deep in each other"))
}

/// A list or map whose end was not seen yet.
enum Open {
    List { items: Vec<Value>, function: Option<String> },
    Map { members: Map<String, Value>, key: Option<String>, function: Option<String> },
}

fn read_yaml(text: &str) -> Result<Value, TemplateError> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut whole: Option<Value> = None;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error: ScanError| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
            malformed(format_args!("YAML not well-formed. (line {line}, column {column})"))
        })?;
        let at = span.start.line();
        let done = match event {
            Event::Scalar(text, style, _, tag) => Some(scalar(&text, style, tag.as_deref(), at)?),
            Event::SequenceStart(_, tag) => {
                open.push(Open::List { items: Vec::new(), function: function(tag.as_deref(), at)? });
                None
            }
            Event::MappingStart(_, tag) => {
                let function = function(tag.as_deref(), at)?;
                open.push(Open::Map { members: Map::new(), key: None, function });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(closed),
            Event::Alias(_) => {
                return Err(malformed(format_args!(
                    "YAML aliases are not allowed in CloudFormation templates (line {at})"
                )));
            }
            Event::DocumentStart(_) if whole.is_some() => {
                return Err(malformed("a template is one YAML document; there are more"));
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => None,
        };
        if open.len() > TEMPLATE_DEPTH_MAX {
            return Err(too_deep());
        }
        if let Some(value) = done {
            match open.last_mut() {
                Some(parent) => add(parent, value, at)?,
                None => whole = Some(value),
            }
        }
    }
    whole.ok_or_else(|| malformed("the template is empty"))
}

fn closed(open: Open) -> Value {
    let (value, function) = match open {
        Open::List { items, function } => (Value::Array(items), function),
        Open::Map { members, function, .. } => (Value::Object(members), function),
    };
    match function {
        Some(name) => long(&name, value),
        None => value,
    }
}

/// Adds an item, or what is in its turn a key or its value.
fn add(parent: &mut Open, value: Value, line: usize) -> Result<(), TemplateError> {
    match parent {
        Open::List { items, .. } => items.push(value),
        Open::Map { members, key, .. } => match key.take() {
            None => *key = Some(as_key(value, line)?),
            Some(name) => {
                if members.contains_key(&name) {
                    let name = shown(&name);
                    return Err(malformed(format_args!(
                        "the key {name} stands twice in one map (line {line})"
                    )));
                }
                members.insert(name, value);
            }
        },
    }
    Ok(())
}

fn as_key(value: Value, line: usize) -> Result<String, TemplateError> {
    match value {
        Value::String(text) if text == "<<" => Err(malformed(format_args!(
            "hash merges (<<) are not allowed in CloudFormation templates (line {line})"
        ))),
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(malformed(format_args!("a key must be a text (line {line})")))
        }
    }
}

/// The function that a tag names; nothing for what needs no tag.
fn function(tag: Option<&Tag>, line: usize) -> Result<Option<String>, TemplateError> {
    let Some(tag) = tag else { return Ok(None) };
    if tag.is_yaml_core_schema()
        && matches!(tag.suffix.as_str(), "str" | "int" | "float" | "bool" | "null" | "seq" | "map")
        || tag.handle.is_empty() && tag.suffix == "!"
    {
        return Ok(None);
    }
    let known = tag.handle == "!"
        && (matches!(tag.suffix.as_str(), "Ref" | "Condition") || SHORT.contains(&tag.suffix.as_str()));
    if known {
        return Ok(Some(tag.suffix.clone()));
    }
    let name = shown(&tag.suffix);
    Err(malformed(format_args!("the tag !{name} is no function of CloudFormation (line {line})")))
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Result<Value, TemplateError> {
    match function(tag, line)? {
        Some(name) => Ok(long(&name, Value::String(text.to_owned()))),
        None if style == ScalarStyle::Plain
            && tag.is_none_or(|tag| tag.is_yaml_core_schema() && tag.suffix != "str") =>
        {
            Ok(plain(text))
        }
        None => Ok(Value::String(text.to_owned())),
    }
}

/// The long form of a function.
fn long(name: &str, argument: Value) -> Value {
    let (name, argument) = match (name, argument) {
        ("Ref" | "Condition", argument) => (name.to_owned(), argument),
        ("GetAtt", Value::String(text)) => {
            let argument = match text.split_once('.') {
                Some((resource, attribute)) => vec![resource.into(), attribute.into()],
                None => vec![text.into()],
            };
            ("Fn::GetAtt".to_owned(), Value::Array(argument))
        }
        (name, argument) => (format!("Fn::{name}"), argument),
    };
    Value::Object(Map::from_iter([(name, argument)]))
}

/// What a text without quotes is. Numbers that would be written otherwise again (`007`, `1.10`) stay the text they are: an account's
/// number must not lose its zeros.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Some(number) = text.parse::<i64>().ok().filter(|number| number.to_string() == text) {
        return Value::Number(number.into());
    }
    let number =
        text.parse::<f64>().ok().and_then(Number::from_f64).filter(|number| number.to_string() == text);
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}
