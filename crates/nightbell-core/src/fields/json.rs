/*!
The fields of a JSON message: `$.a.b` of one JSON object.

Reading validates the whole message once and splits its top level; deeper levels are split when a selector first enters
them. Numbers keep the text they were written as. Of a repeated key the last one counts, as in AWS. Whatever is not one
JSON object (an array, a scalar, a broken text) has no fields.
*/

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{FieldReader, Fields, Selector, Step, Value};

/// Members of one object up to which a name is looked for in turn; larger objects are searched by a sorted index.
const MEMBERS_SCANNED_MAX: usize = 16;

/// Reads messages that are one JSON object.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonReader;

impl FieldReader for JsonReader {
    fn read<'m>(&self, message: &'m str) -> Option<Box<dyn Fields + 'm>> {
        let fields = JsonFields::read(message)?;
        Some(Box::new(fields))
    }
}

/// The fields of one JSON object.
pub struct JsonFields<'m> {
    root: Object<'m>,
}

impl<'m> JsonFields<'m> {
    /// The fields of `message`, or `None` when it is not one JSON object.
    pub fn read(message: &'m str) -> Option<Self> {
        if !message.trim_ascii_start().starts_with('{') {
            return None;
        }
        Some(Self { root: Object::read(message)? })
    }
}

impl Fields for JsonFields<'_> {
    fn visit(&self, selector: &Selector, visit: &mut dyn FnMut(Value<'_>)) {
        self.root.visit(&selector.steps, visit);
    }
}

struct Object<'m> {
    /// Each key once, with its last value, in the order of first appearance.
    members: Vec<(Cow<'m, str>, Node<'m>)>,
    /// Positions in `members` sorted by key; empty for small objects.
    sorted: Vec<u32>,
}

impl<'m> Object<'m> {
    fn read(text: &'m str) -> Option<Self> {
        let Members(raw) = serde_json::from_str(text).ok()?;
        let members = raw.into_iter().map(|(key, value)| (key, Node::new(value))).collect();
        let mut object = Self { members, sorted: Vec::new() };
        object.keep_last();
        Some(object)
    }

    /// Drops all but the last value of a repeated key and builds the index of large objects.
    fn keep_last(&mut self) {
        let count = self.members.len();
        let mut order: Vec<u32> = (0..count as u32).collect();
        order.sort_by(|&a, &b| self.members[a as usize].0.cmp(&self.members[b as usize].0));
        let repeated: Vec<(u32, u32)> = order
            .chunk_by(|&a, &b| self.members[a as usize].0 == self.members[b as usize].0)
            .filter(|equal| equal.len() > 1)
            .flat_map(|equal| equal[1..].iter().map(|&later| (equal[0], later)))
            .collect();
        if !repeated.is_empty() {
            let mut keep = vec![true; count];
            for (first, later) in repeated {
                self.members[first as usize].1 = Node::new(self.members[later as usize].1.raw);
                keep[later as usize] = false;
            }
            let mut kept = keep.into_iter();
            self.members.retain(|_| kept.next().unwrap_or(true));
            return self.keep_last();
        }
        if count > MEMBERS_SCANNED_MAX {
            self.sorted = order;
        }
    }

    fn get(&self, name: &str) -> Option<&Node<'m>> {
        if self.sorted.is_empty() {
            return self.members.iter().find(|(key, _)| key == name).map(|(_, node)| node);
        }
        let found =
            self.sorted.binary_search_by(|&at| self.members[at as usize].0.as_ref().cmp(name)).ok()?;
        Some(&self.members[self.sorted[found] as usize].1)
    }

    fn visit(&self, steps: &[Step], visit: &mut dyn FnMut(Value<'_>)) {
        match steps {
            [] => visit(Value::Object),
            [Step::Name(name), rest @ ..] => {
                if let Some(node) = self.get(name) {
                    node.visit(rest, visit);
                }
            }
            [Step::Any { .. }, rest @ ..] => {
                for (_, node) in &self.members {
                    node.visit(rest, visit);
                }
            }
            [Step::Index(_), ..] => {}
        }
    }
}

/// A value that is opened when a selector first reaches it.
struct Node<'m> {
    raw: &'m str,
    opened: OnceCell<Opened<'m>>,
}

enum Opened<'m> {
    Plain(Value<'m>),
    Text(Cow<'m, str>),
    Array {
        elements: Vec<Node<'m>>,
        holds_null: bool,
    },
    Object(Object<'m>),
    /// Valid JSON that holds no valid text, such as half a surrogate pair: treated as absent.
    Unreadable,
}

impl<'m> Node<'m> {
    fn new(raw: &'m str) -> Self {
        Self { raw, opened: OnceCell::new() }
    }

    fn visit(&self, steps: &[Step], visit: &mut dyn FnMut(Value<'_>)) {
        match (self.opened.get_or_init(|| open(self.raw)), steps) {
            (Opened::Object(object), steps) => object.visit(steps, visit),
            (Opened::Plain(value), []) => visit(*value),
            (Opened::Text(text), []) => visit(Value::Text(text)),
            (Opened::Array { holds_null, .. }, []) => visit(Value::Array { holds_null: *holds_null }),
            (Opened::Array { elements, .. }, [Step::Index(index), rest @ ..]) => {
                if let Some(node) = elements.get(*index) {
                    node.visit(rest, visit);
                }
            }
            (Opened::Array { elements, .. }, [Step::Any { brackets: true }, rest @ ..]) => {
                for node in elements {
                    node.visit(rest, visit);
                }
            }
            _ => {}
        }
    }
}

fn open(raw: &str) -> Opened<'_> {
    match raw.as_bytes().first() {
        Some(b'{') => Object::read(raw).map_or(Opened::Unreadable, Opened::Object),
        Some(b'[') => open_array(raw),
        Some(b'"') => serde_json::from_str(raw).map_or(Opened::Unreadable, |Text(text)| Opened::Text(text)),
        Some(b't') => Opened::Plain(Value::Bool(true)),
        Some(b'f') => Opened::Plain(Value::Bool(false)),
        Some(b'n') => Opened::Plain(Value::Null),
        _ => raw
            .parse()
            .map_or(Opened::Unreadable, |number| Opened::Plain(Value::Number { number, text: raw })),
    }
}

fn open_array(raw: &str) -> Opened<'_> {
    let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(raw) else {
        return Opened::Unreadable;
    };
    let holds_null = elements.iter().any(|element| element.get() == "null");
    Opened::Array {
        elements: elements.into_iter().map(|element| Node::new(element.get())).collect(),
        holds_null,
    }
}

#[derive(Deserialize)]
struct Text<'m>(#[serde(borrow)] Cow<'m, str>);

/// Keys and values of an object as they stand in the text, repeated keys included.
struct Members<'m>(Vec<(Cow<'m, str>, &'m str)>);

impl<'de: 'm, 'm> Deserialize<'de> for Members<'m> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            members.push((key, value.get()));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(message: &str, selector: &str) -> Option<Vec<String>> {
        let selector = Selector::parse(selector).unwrap();
        let fields = JsonReader.read(message)?;
        let mut values = Vec::new();
        fields.visit(&selector, &mut |value| values.push(format!("{value:?}")));
        Some(values)
    }

    #[test]
    fn only_one_whole_valid_object_has_fields() {
        for message in
            ["", " ", "1", "[]", "[{\"v\":1}]", "{broken", "{\"v\":1} x", "{\"v\":01}", "{\"v\":1,}", "{}{}"]
        {
            assert_eq!(values(message, "$.v"), None, "{message}");
        }
        assert_eq!(values(" {} ", "$.v"), Some(vec![]));
    }

    #[test]
    fn keeps_number_text_unescapes_strings_and_takes_the_last_key() {
        let message = r#"{"n":1.0e0,"s":"a\u0041\n","v":1,"\u0076":2,"z":null}"#;
        assert_eq!(values(message, "$.n").unwrap(), [r#"Number { number: 1.0, text: "1.0e0" }"#]);
        assert_eq!(values(message, "$.s").unwrap(), [r#"Text("aA\n")"#]);
        assert_eq!(values(message, "$.v").unwrap(), [r#"Number { number: 2.0, text: "2" }"#]);
        assert_eq!(values(message, "$.*").unwrap().len(), 4);
    }

    #[test]
    fn large_objects_are_found_by_index_and_keep_the_last_key() {
        let mut members: Vec<String> = (0..200).map(|n| format!("\"k{n}\":{n}")).collect();
        members.push("\"k7\":true".to_owned());
        members.push("\"k7\":false".to_owned());
        let message = format!("{{{}}}", members.join(","));
        assert_eq!(values(&message, "$.k7").unwrap(), ["Bool(false)"]);
        assert_eq!(values(&message, "$.k199").unwrap(), [r#"Number { number: 199.0, text: "199" }"#]);
        assert_eq!(values(&message, "$.k200").unwrap(), Vec::<String>::new());
        assert_eq!(values(&message, "$.*").unwrap().len(), 200);
    }

    #[test]
    fn hostile_depth_and_half_surrogates_do_no_harm() {
        let deep = format!("{{\"v\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(values(&deep, "$.v[0][0]").unwrap(), ["Array { holds_null: false }"]);
        assert_eq!(values(r#"{"v":"\ud800"}"#, "$.v"), Some(vec![]));
    }
}
