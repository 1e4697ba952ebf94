/*!
What properties may hold, and properties brought into that form: templates write numbers and bools as texts as often as not, and a
policy as data or as text. What a type does not have is refused by name.
*/

use serde_json::{Map, Number, Value};

/// Stands in a plan for what is known only once resources are made.
pub(crate) const UNKNOWN: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// What a property holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A text; numbers and bools are written as one.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A JSON document, as data or as text; kept as text.
    Document,
    /// Texts by name.
    TextMap,
    /// A list of texts.
    Texts,
    /// A list of objects.
    List(&'static [Property]),
    /// An object.
    Object(&'static [Property]),
}

/// A property of a type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Property {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) shape: Shape,
    /// Whether it must be there.
    pub(crate) required: bool,
    /// Whether another value needs another resource.
    pub(crate) replaces: bool,
}

impl Property {
    /// One that may be left out, and changed in place.
    pub(crate) const fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, required: false, replaces: false }
    }

    /// One that must be there.
    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// One that cannot be changed in place.
    pub(crate) const fn replacing(self) -> Self {
        Self { replaces: true, ..self }
    }
}

/// Tags, as most types have them.
pub(crate) const TAGS: Property =
    Property::new("Tags", Shape::List(&[text("Key").required(), text("Value")]));

/// A text.
pub(crate) const fn text(name: &'static str) -> Property {
    Property::new(name, Shape::Text)
}

/// Brings properties into the form of `known`.
///
/// # Errors
/// What is not known, missing or of another form, with the place it stands at.
pub(crate) fn shaped(given: &Value, known: &[Property]) -> Result<Value, String> {
    object(given, known, "#")
}

fn object(given: &Value, known: &[Property], at: &str) -> Result<Value, String> {
    if is_unknown(given) {
        return Ok(given.clone());
    }
    let Value::Object(members) = given else {
        return Err(format!("{at}: expected type: JSONObject, found: {}", kind(given)));
    };
    for name in members.keys() {
        if !known.iter().any(|property| property.name == name) {
            let shown: String = name.chars().take(100).collect();
            let names: Vec<&str> = known.iter().map(|property| property.name).collect();
            return Err(format!(
                "{at}: extraneous key [{shown}] is not permitted; there are {}",
                names.join(", ")
            ));
        }
    }
    let mut shaped = Map::new();
    for property in known {
        match members.get(property.name) {
            Some(value) => {
                let value = one(value, property.shape, &format!("{at}/{}", property.name))?;
                shaped.insert(property.name.to_owned(), value);
            }
            None if property.required => {
                return Err(format!("{at}: required key [{}] not found", property.name));
            }
            None => {}
        }
    }
    Ok(Value::Object(shaped))
}

fn one(given: &Value, shape: Shape, at: &str) -> Result<Value, String> {
    if is_unknown(given) {
        return Ok(given.clone());
    }
    let expected = |what: &str| format!("{at}: expected type: {what}, found: {}", kind(given));
    match shape {
        Shape::Text => scalar(given).map(Value::String).ok_or_else(|| expected("String")),
        Shape::Whole => {
            let number = scalar(given).and_then(|text| text.parse::<i64>().ok());
            number.map(|number| Value::Number(number.into())).ok_or_else(|| expected("Integer"))
        }
        Shape::Number => {
            let number = scalar(given).and_then(|text| text.parse::<f64>().ok()).and_then(Number::from_f64);
            number.map(Value::Number).ok_or_else(|| expected("Number"))
        }
        Shape::Bool => match scalar(given).as_deref() {
            Some("true") => Ok(Value::Bool(true)),
            Some("false") => Ok(Value::Bool(false)),
            _ => Err(expected("Boolean")),
        },
        Shape::Document => match given {
            Value::String(text) => Ok(Value::String(text.clone())),
            Value::Object(_) | Value::Array(_) => Ok(Value::String(given.to_string())),
            _ => Err(expected("JSONObject")),
        },
        Shape::TextMap => {
            let members = given.as_object().ok_or_else(|| expected("JSONObject"))?;
            let text = |(name, value): (&String, &Value)| {
                Ok((name.clone(), one(value, Shape::Text, &format!("{at}/{name}"))?))
            };
            members.iter().map(text).collect::<Result<Map<_, _>, String>>().map(Value::Object)
        }
        Shape::Texts => {
            let items = given.as_array().ok_or_else(|| expected("JSONArray"))?;
            let items = items
                .iter()
                .enumerate()
                .map(|(index, item)| one(item, Shape::Text, &format!("{at}/{index}")));
            items.collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Shape::List(known) => {
            let items = given.as_array().ok_or_else(|| expected("JSONArray"))?;
            let items =
                items.iter().enumerate().map(|(index, item)| object(item, known, &format!("{at}/{index}")));
            items.collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Shape::Object(known) => object(given, known, at),
    }
}

/// Whether a value is known only later.
fn is_unknown(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains(UNKNOWN))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "Number",
        Value::String(_) => "String",
        Value::Array(_) => "JSONArray",
        Value::Object(_) => "JSONObject",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static KNOWN: [Property; 7] = [
        text("Name").required(),
        Property::new("Days", Shape::Whole),
        Property::new("Share", Shape::Number),
        Property::new("On", Shape::Bool),
        Property::new("Policy", Shape::Document),
        Property::new("Names", Shape::Texts),
        TAGS,
    ];

    #[test]
    fn values_are_brought_into_form() {
        let given = json!({"Name": 7, "Days": "30", "Share": "5", "On": "true", "Policy": {"a": [1]}, "Names": [1, "b"],
            "Tags": [{"Key": "k", "Value": true}]});
        let shaped = shaped(&given, &KNOWN).unwrap();
        assert_eq!(
            shaped,
            json!({"Name": "7", "Days": 30, "Share": 5.0, "On": true, "Policy": "{\"a\":[1]}", "Names": ["1", "b"],
                "Tags": [{"Key": "k", "Value": "true"}]})
        );
    }

    #[test]
    fn what_has_another_form_is_told_with_its_place() {
        for (given, expected) in [
            (json!({}), "#: required key [Name] not found"),
            (json!({"Name": []}), "#/Name: expected type: String, found: JSONArray"),
            (
                json!({"Name": "n", "Nmae": 1}),
                "#: extraneous key [Nmae] is not permitted; there are Name, Days",
            ),
            (json!({"Name": "n", "Days": 1.5}), "#/Days: expected type: Integer, found: Number"),
            (json!({"Name": "n", "Days": "many"}), "#/Days: expected type: Integer, found: String"),
            (json!({"Name": "n", "Share": "NaN"}), "#/Share: expected type: Number"),
            (json!({"Name": "n", "On": "yes"}), "#/On: expected type: Boolean"),
            (json!({"Name": "n", "Names": "a"}), "#/Names: expected type: JSONArray, found: String"),
            (json!({"Name": "n", "Tags": [{"Value": "v"}]}), "#/Tags/0: required key [Key] not found"),
        ] {
            let told = shaped(&given, &KNOWN).unwrap_err();
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn what_is_known_later_fits_everywhere() {
        let given =
            json!({"Name": UNKNOWN, "Days": UNKNOWN, "Names": [format!("arn:{UNKNOWN}")], "Tags": UNKNOWN});
        assert_eq!(shaped(&given, &KNOWN).unwrap(), given);
    }
}
