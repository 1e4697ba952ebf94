/*!
Fields of a message as a view, read only when a rule asks.

[`Fields`] is the door: JSON is read in `json`; Windows events are read by `nightbell-winevt`, which also gives
`$.Audit.*`. Patterns, metric values and dimensions all look through this door and know no dialect.
*/

use std::cell::OnceCell;

pub use audit::Audit;

pub mod audit;
pub mod json;
pub mod selector;

/// A value that a [`Selector`] reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// JSON `null`.
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// A number with the text it was written as: `1.0` and `1` are equal numbers and different texts.
    Number {
        /// The number.
        number: f64,
        /// Its source text.
        text: &'a str,
    },
    /// A string, unescaped.
    Text(&'a str),
    /// An array.
    Array {
        /// Whether one of its elements is `null`.
        holds_null: bool,
    },
    /// An object.
    Object,
}

/// One step of a [`Selector`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// `.name` or `.['any text']`: the member of an object.
    Name(String),
    /// `[3]`: the element of an array.
    Index(usize),
    /// `.*`: every value one level down, of an object; `[*]`: of an array or an object.
    Any {
        /// Whether it was written `[*]`.
        brackets: bool,
    },
}

/// A way to values inside a message: `$.a.b[0]`, `$.['a.b']`, `$.items[*].id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    /// The steps after `$`; at least one.
    pub steps: Vec<Step>,
}

/// The fields of one message.
pub trait Fields {
    /// Calls `visit` with each value that `selector` reaches, in the message's order; not at all where none is there.
    ///
    /// Without a wildcard step that is at most one value.
    fn visit(&self, selector: &Selector, visit: &mut dyn FnMut(Value<'_>));

    /// What the event says as an audit event; `None` where it is none. Decoded at the first call.
    fn audit(&self) -> Option<&Audit> {
        None
    }

    /// The event in one line of plain words, where the dialect is known: `awscorp\ann was denied ReadData on \secret\x`.
    fn describe(&self) -> Option<String> {
        None
    }
}

/// Turns messages into their fields; one for each dialect, tried in order by the caller.
pub trait FieldReader: Send + Sync {
    /// The message's fields, or `None` when the message is of no dialect this reader knows.
    fn read<'m>(&self, message: &'m str) -> Option<Box<dyn Fields + 'm>>;
}

/// Reads nothing: the fields are there already.
struct Unread;

impl FieldReader for Unread {
    fn read<'m>(&self, _: &'m str) -> Option<Box<dyn Fields + 'm>> {
        None
    }
}

/// One event as a rule sees it: text at once, fields on demand and read at most once.
pub struct Subject<'m> {
    /// The message.
    pub message: &'m str,
    /// The stream it came by (`@logStream`).
    pub stream: &'m str,
    reader: &'m dyn FieldReader,
    fields: OnceCell<Option<Box<dyn Fields + 'm>>>,
}

impl<'m> Subject<'m> {
    /// A subject over `message`; nothing is parsed yet.
    pub fn new(message: &'m str, stream: &'m str, reader: &'m dyn FieldReader) -> Self {
        Self { message, stream, reader, fields: OnceCell::new() }
    }

    /// A subject whose fields are known without its message, which counts as empty.
    pub fn of_fields(fields: Box<dyn Fields + 'm>, stream: &'m str) -> Self {
        Self { message: "", stream, reader: &Unread, fields: OnceCell::from(Some(fields)) }
    }

    /// The fields, read at the first call; `None` when the message has none.
    pub fn fields(&self) -> Option<&(dyn Fields + 'm)> {
        self.fields.get_or_init(|| self.reader.read(self.message)).as_deref()
    }

    /// The first scalar that `selector` reaches, as text (number: its source text; bool: `true`, `false`).
    pub fn text(&self, selector: &Selector) -> Option<String> {
        let mut found = None;
        self.fields()?.visit(selector, &mut |value| {
            if found.is_none() {
                found = match value {
                    Value::Text(text) | Value::Number { text, .. } => Some(text.to_owned()),
                    Value::Bool(flag) => Some(flag.to_string()),
                    Value::Null | Value::Array { .. } | Value::Object => None,
                };
            }
        });
        found
    }
}
