/*!
The fields of one `<Event …>` message, as borrowed slices.

`scan` reads the fixed grammar that Windows writes; whatever it does not know (comments, CDATA, prefixes, a document
type, damage) goes to `pull`, which reads with quick-xml and is also the oracle of the differential tests. Values stay
as written until somebody asks for them: `escape` turns them into text. What the fields mean is not known here.
*/

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

pub use split::split;

mod escape;
mod flatten;
mod pull;
mod scan;
mod split;
#[cfg(test)]
mod tests;

/// Fields kept of one message; the largest audit event has fewer than 60. Fields past it are not there.
pub const FIELDS_MAX: usize = 512;
/// Nested elements followed in one message; a deeper message counts as damaged at that point.
pub const DEPTH_MAX: usize = 16;
/// Attributes read of one element.
pub const ATTRIBUTES_MAX: usize = 32;

/// The part of an event that a field stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `<System>`: what the event log service wrote; the provider cannot change it.
    System,
    /// `<EventData>`: named or positional values of the provider.
    EventData,
    /// `<UserData>`: elements of the provider's own schema.
    UserData,
    /// `<RenderingInfo>`: text in the language of the recording machine.
    RenderingInfo,
    /// Any other child of `<Event>`.
    Other,
}

impl Section {
    /// The section of this element name.
    pub fn of(element: &str) -> Self {
        match element {
            "System" => Self::System,
            "EventData" => Self::EventData,
            "UserData" => Self::UserData,
            "RenderingInfo" => Self::RenderingInfo,
            _ => Self::Other,
        }
    }

    /// The section that a selector step names, if it names one.
    pub fn named(step: &str) -> Option<Self> {
        match Self::of(step) {
            Self::Other => None,
            section => Some(section),
        }
    }
}

/// How a field's value is written in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The text itself.
    Plain,
    /// Text with entities: `&lt;`, `&#10;`.
    Escaped,
    /// Text with entities, CDATA sections, comments or processing instructions.
    Markup,
}

/// One value of an event, as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'m> {
    /// Where it stands.
    pub section: Section,
    /// The `Name` of a `<Data>` element, or else the element's name; empty for a `<Data>` without a name.
    pub name: &'m str,
    /// The attribute's name for the value of an attribute (System only), else empty.
    pub attribute: &'m str,
    pub(crate) raw: &'m str,
    pub(crate) form: Form,
}

impl<'m> Field<'m> {
    /// The value as text: entities resolved, markup taken off; an entity nobody knows stays as written.
    pub fn text(&self) -> Cow<'m, str> {
        match self.form {
            Form::Plain => Cow::Borrowed(self.raw),
            Form::Escaped => escape::unescaped(self.raw),
            Form::Markup => Cow::Owned(escape::without_markup(self.raw)),
        }
    }

    /// Whether `name` is this field's flat name: `SubjectUserName`, `EventID`, or `Execution_ProcessID` for an attribute.
    pub fn is_named(&self, name: &str) -> bool {
        if self.attribute.is_empty() {
            return self.name == name;
        }
        name.len() == self.name.len() + 1 + self.attribute.len()
            && name.starts_with(self.name)
            && name.ends_with(self.attribute)
            && name.as_bytes()[self.name.len()] == b'_'
    }

    /// Whether this is the value of `attribute` of the System element `element`.
    pub fn is_attribute(&self, element: &str, attribute: &str) -> bool {
        self.section == Section::System && self.name == element && self.attribute == attribute
    }

    /// Whether this is a `<Data>` element without a name.
    pub fn is_unnamed(&self) -> bool {
        self.section == Section::EventData && self.name.is_empty()
    }
}

/// One `<Event>` message, read as far as was asked for.
///
/// Most rules are decided by System fields alone, so EventData is scanned only when a name is not found there. The
/// order of fields is that of the message, hence System first; of two fields with one name the first is meant, so a
/// value smuggled in later cannot hide an earlier one.
#[derive(Debug)]
pub struct Document<'m> {
    message: &'m str,
    fields: RefCell<Vec<Field<'m>>>,
    /// Where the scan goes on after `</System>`; `None` once everything was read.
    rest: Cell<Option<usize>>,
    damaged: Cell<bool>,
}

impl<'m> Document<'m> {
    /// The event in `message`, or `None` when its root element is not `Event` (with or without a namespace or prefix).
    pub fn read(message: &'m str) -> Option<Self> {
        let text = message.trim_start_matches('\u{feff}').trim_start();
        if !text.starts_with('<') {
            return None;
        }
        let mut fields = Vec::with_capacity(48);
        if let Some(end) = scan::system(text, &mut fields) {
            return Some(Self::of(text, fields, Some(end), false));
        }
        Self::pulled(text)
    }

    /// The event in `message` read with quick-xml alone: the slow, obvious reading that tests and benchmarks compare with.
    pub fn read_slowly(message: &'m str) -> Option<Self> {
        Self::pulled(message.trim_start_matches('\u{feff}').trim_start())
    }

    fn pulled(text: &'m str) -> Option<Self> {
        let pulled = pull::event(text)?;
        Some(Self::of(text, pulled.fields, None, pulled.damaged))
    }

    fn of(message: &'m str, fields: Vec<Field<'m>>, rest: Option<usize>, damaged: bool) -> Self {
        Self { message, fields: RefCell::new(fields), rest: Cell::new(rest), damaged: Cell::new(damaged) }
    }

    /// The first field that `wanted` is true of.
    pub fn find(&self, wanted: impl Fn(&Field<'m>) -> bool) -> Option<Field<'m>> {
        if let Some(field) = self.fields.borrow().iter().find(|field| wanted(field)) {
            return Some(*field);
        }
        let known = self.fields.borrow().len();
        if !self.read_rest() {
            return None;
        }
        // A repaired reading may differ before `known` only if the quick reading was wrong, which tests exclude.
        self.fields.borrow().iter().skip(known).find(|field| wanted(field)).copied()
    }

    /// The first field of System with this flat name.
    pub fn system(&self, name: &str) -> Option<Field<'m>> {
        self.find_in_system(|field| field.attribute.is_empty() && field.name == name)
    }

    /// The value of an attribute of a System element.
    pub fn attribute(&self, element: &str, attribute: &str) -> Option<Field<'m>> {
        self.find_in_system(|field| field.is_attribute(element, attribute))
    }

    /// The first field of EventData or UserData with this name.
    pub fn data(&self, name: &str) -> Option<Field<'m>> {
        self.find(|field| {
            matches!(field.section, Section::EventData | Section::UserData) && field.name == name
        })
    }

    /// All fields, in the message's order.
    pub fn fields(&self) -> Vec<Field<'m>> {
        self.read_rest();
        self.fields.borrow().clone()
    }

    /// Whether the message breaks off or is no XML from some place on; the fields before that place are there.
    pub fn is_damaged(&self) -> bool {
        self.read_rest();
        self.damaged.get()
    }

    /// System stands first, so a miss there needs the rest only where System was not complete.
    fn find_in_system(&self, wanted: impl Fn(&Field<'m>) -> bool) -> Option<Field<'m>> {
        self.fields.borrow().iter().find(|field| field.section == Section::System && wanted(field)).copied()
    }

    /// Reads what follows System; true if that was still to do.
    fn read_rest(&self) -> bool {
        let Some(at) = self.rest.take() else { return false };
        let mut fields = self.fields.borrow_mut();
        let known = fields.len();
        if scan::after_system(self.message, at, &mut fields) {
            return true;
        }
        fields.truncate(known);
        let pulled = pull::event(self.message);
        self.damaged.set(pulled.as_ref().is_none_or(|pulled| pulled.damaged));
        if let Some(pulled) = pulled {
            fields.extend(pulled.fields.into_iter().skip(known));
        }
        true
    }
}
