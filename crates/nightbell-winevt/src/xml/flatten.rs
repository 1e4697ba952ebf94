/*!
From elements to flat fields: which element of an event gives which name.

Both readers call [`Flat`] with what they see, so they can differ only in what they take for an element. An element that
holds elements has no value of its own; a System element gives a field for each of its attributes as well.
*/

use super::{DEPTH_MAX, FIELDS_MAX, Field, Form, Section};

/// An element that was opened and not yet closed.
#[derive(Clone, Copy, Debug)]
struct Open<'m> {
    element: &'m str,
    /// The `Name` attribute of a child of EventData.
    name: Option<&'m str>,
    /// Whether its value stands in attributes, so that an empty text is no value.
    has_attributes: bool,
    /// No child element was seen.
    leaf: bool,
}

/// What can end a reading early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// More than [`DEPTH_MAX`] nested elements, or a closing tag that closes nothing.
    Unusual,
    /// [`FIELDS_MAX`] fields were read; the rest does not count.
    Full,
}

/// Takes elements as they come and keeps fields.
#[derive(Debug)]
pub(super) struct Flat<'m, 'f> {
    fields: &'f mut Vec<Field<'m>>,
    /// The open elements below `<Event>`.
    open: Vec<Open<'m>>,
    section: Section,
}

impl<'m, 'f> Flat<'m, 'f> {
    pub(super) fn new(fields: &'f mut Vec<Field<'m>>) -> Self {
        Self { fields, open: Vec::with_capacity(4), section: Section::Other }
    }

    /// How many elements below `<Event>` are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The innermost open element's name.
    pub(super) fn innermost(&self) -> Option<&'m str> {
        self.open.last().map(|open| open.element)
    }

    /// A start tag. Its attributes follow by [`Flat::attribute`].
    pub(super) fn open(&mut self, element: &'m str) -> Result<(), Stop> {
        match self.open.last_mut() {
            Some(parent) => parent.leaf = false,
            None => self.section = Section::of(element),
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Stop::Unusual);
        }
        self.open.push(Open { element, name: None, has_attributes: false, leaf: true });
        Ok(())
    }

    /// An attribute of the element opened last; `raw` is its value as written.
    pub(super) fn attribute(&mut self, attribute: &'m str, raw: &'m str) -> Result<(), Stop> {
        if self.open.len() != 2 || attribute == "xmlns" || attribute.starts_with("xmlns:") {
            return Ok(());
        }
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        match self.section {
            Section::System => {
                open.has_attributes = true;
                let name = open.element;
                let form =
                    if memchr::memchr(b'&', raw.as_bytes()).is_some() { Form::Escaped } else { Form::Plain };
                self.keep(Field { section: Section::System, name, attribute, raw, form })
            }
            Section::EventData if attribute == "Name" => {
                open.name.get_or_insert(raw);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The end of the element opened last; `raw` is everything between its tags.
    pub(super) fn close(&mut self, raw: &'m str, form: Form) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Err(Stop::Unusual) };
        // A section without elements (`<EventData/>`) is no field; an unknown child of Event with text is one.
        let is_section = self.open.is_empty() && self.section != Section::Other;
        if !open.leaf || is_section || (open.has_attributes && raw.is_empty()) {
            return Ok(());
        }
        let name = match (open.name, self.section) {
            (Some(name), _) => name,
            (None, Section::EventData) if open.element == "Data" => "",
            _ => open.element,
        };
        self.keep(Field { section: self.section, name, attribute: "", raw, form })
    }

    fn keep(&mut self, field: Field<'m>) -> Result<(), Stop> {
        if self.fields.len() >= FIELDS_MAX {
            return Err(Stop::Full);
        }
        self.fields.push(field);
        Ok(())
    }
}
