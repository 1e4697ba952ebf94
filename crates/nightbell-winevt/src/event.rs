/*!
Windows events behind the field door: `$.EventID`, `$.SubjectUserName`, `$.Audit.*` and the plain-words line.

System comes first and EventData follows; of two fields with one flat name the first is meant, and the other is reached
by its section: `$.EventData.Channel`. An empty value is there and equals the empty text, `-` is text like any other;
only `$.Audit` knows which values mean nothing.
*/

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;

use nightbell_core::fields::json::JsonReader;
use nightbell_core::fields::{Audit, FieldReader, Fields, Selector, Step, Value};
use nightbell_core::time::Timestamp;

use crate::audit::{self, Told};
use crate::describe;
use crate::xml::{Document, Field, Section};

#[cfg(test)]
mod tests;

/// Digits of the longest text that counts as a number; record numbers and keywords have up to 20.
const NUMBER_DIGITS_MAX: usize = 20;

/// Reads Windows event XML.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowsReader;

impl FieldReader for WindowsReader {
    fn read<'m>(&self, message: &'m str) -> Option<Box<dyn Fields + 'm>> {
        Some(Box::new(WindowsEvent::read(message)?))
    }
}

/// Reads every dialect known here: Windows event XML, then JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct DialectReader;

impl FieldReader for DialectReader {
    fn read<'m>(&self, message: &'m str) -> Option<Box<dyn Fields + 'm>> {
        match message.trim_start_matches('\u{feff}').trim_start().as_bytes().first()? {
            b'<' => WindowsReader.read(message),
            b'{' => JsonReader.read(message),
            _ => None,
        }
    }
}

/// One Windows event; fields are scanned and meaning is worked out when first asked for.
#[derive(Debug)]
pub struct WindowsEvent<'m> {
    document: Document<'m>,
    audit: OnceCell<Option<Audit>>,
}

impl<'m> WindowsEvent<'m> {
    /// The event in `message`; `None` when it is no `<Event>` XML.
    pub fn read(message: &'m str) -> Option<Self> {
        Some(Self { document: Document::read(message)?, audit: OnceCell::new() })
    }

    /// Its fields as they stand in the message.
    pub fn document(&self) -> &Document<'m> {
        &self.document
    }

    /// EventID.
    pub fn event_id(&self) -> Option<u32> {
        self.document.system("EventID")?.text().trim().parse().ok()
    }

    /// EventRecordID: dense for each machine and channel.
    pub fn record_id(&self) -> Option<u64> {
        self.document.system("EventRecordID")?.text().trim().parse().ok()
    }

    /// Computer as written, if it is not empty.
    pub fn computer(&self) -> Option<Cow<'m, str>> {
        self.document.system("Computer").map(|field| field.text()).filter(|text| !text.trim().is_empty())
    }

    /// Channel as written, if it is not empty.
    pub fn channel(&self) -> Option<Cow<'m, str>> {
        self.document.system("Channel").map(|field| field.text()).filter(|text| !text.trim().is_empty())
    }

    /// TimeCreated, rounded down to milliseconds.
    pub fn time(&self) -> Option<Timestamp> {
        let text = self.document.attribute("TimeCreated", "SystemTime")?.text();
        let time: jiff::Timestamp = text.trim().parse().ok()?;
        let ms = time.as_nanosecond().div_euclid(1_000_000);
        Some(Timestamp::from_millis(i64::try_from(ms).ok()?))
    }

    /// Its fields by flat name with their values as text, in the message's order: of two with one name the first, as
    /// selectors have it. `Data` without names are `Data1`, `Data2` and so on.
    pub fn listed(&self) -> Vec<(String, String)> {
        let (mut listed, mut known) = (Vec::new(), BTreeSet::new());
        let mut unnamed = 0_usize;
        for field in self.document.fields() {
            let name = if field.is_unnamed() {
                unnamed += 1;
                format!("Data{unnamed}")
            } else if field.attribute.is_empty() {
                field.name.to_owned()
            } else {
                format!("{}_{}", field.name, field.attribute)
            };
            if known.insert(name.clone()) {
                listed.push((name, field.text().into_owned()));
            }
        }
        listed
    }

    /// The fields that its meaning is made of.
    pub(crate) fn told(&self) -> Told<'m> {
        let mut told = Told::default();
        for field in self.document.fields() {
            match field.section {
                Section::System if field.attribute.is_empty() => told.system(field.name, || field.text()),
                Section::System if field.is_attribute("Provider", "Name") => {
                    told.system("Provider", || field.text());
                }
                Section::EventData | Section::UserData => told.data(field.name, || field.text()),
                Section::RenderingInfo if field.name == "Keyword" => told.rendered_keyword(field.text()),
                _ => {}
            }
        }
        told
    }

    fn visit_name(&self, name: &str, visit: &mut dyn FnMut(Value<'_>)) {
        if let Some(field) = self.flat(name) {
            return visit_field(&field, visit);
        }
        if name == "Event" || Section::named(name).is_some_and(|section| self.holds(section)) {
            visit(Value::Object);
        } else if name == "Data" && self.unnamed(0).is_some() {
            visit(Value::Array { holds_null: false });
        }
    }

    /// By flat name, then by the other names that senders have for System values, then as `Data1`, `Data2` …
    fn flat(&self, name: &str) -> Option<Field<'m>> {
        let alias = alias(name);
        let wanted = |field: &Field<'m>| {
            (!name.is_empty() && field.is_named(name))
                || alias.is_some_and(|(element, attribute)| field.is_attribute(element, attribute))
        };
        self.document
            .find(wanted)
            .or_else(|| {
                let position: usize = name.strip_prefix("Data")?.parse().ok()?;
                self.unnamed(position.checked_sub(1)?)
            })
            .or_else(|| self.document.find(|field| is_named_without_blanks(field, name)))
    }

    fn unnamed(&self, index: usize) -> Option<Field<'m>> {
        self.document.fields().into_iter().filter(Field::is_unnamed).nth(index)
    }

    fn holds(&self, section: Section) -> bool {
        self.document.find(|field| field.section == section).is_some()
    }

    fn visit_section(&self, section: Section, steps: &[Step], visit: &mut dyn FnMut(Value<'_>)) {
        match steps {
            [] if self.holds(section) => visit(Value::Object),
            [Step::Name(name)] => {
                let named = |field: &Field<'m>| field.section == section && field.is_named(name);
                if let Some(field) = self.document.find(named) {
                    visit_field(&field, visit);
                }
            }
            [Step::Name(element), Step::Name(attribute)] if section == Section::System => {
                if let Some(field) = self.document.attribute(element, attribute) {
                    visit_field(&field, visit);
                }
            }
            // The provider's own element between UserData and its values is not kept; any name passes for it.
            [Step::Name(_), name @ Step::Name(_)] if section == Section::UserData => {
                self.visit_section(section, std::slice::from_ref(name), visit);
            }
            [Step::Name(data), place @ ..] if section == Section::EventData && data == "Data" => {
                self.visit_unnamed(place, visit);
            }
            [Step::Any { .. }] => self.visit_all(|field| field.section == section, visit),
            _ => {}
        }
    }

    fn visit_unnamed(&self, place: &[Step], visit: &mut dyn FnMut(Value<'_>)) {
        match place {
            [Step::Index(index)] => {
                if let Some(field) = self.unnamed(*index) {
                    visit_field(&field, visit);
                }
            }
            [Step::Any { brackets: true }] => self.visit_all(Field::is_unnamed, visit),
            _ => {}
        }
    }

    fn visit_all(&self, wanted: impl Fn(&Field<'m>) -> bool, visit: &mut dyn FnMut(Value<'_>)) {
        for field in self.document.fields().iter().filter(|field| wanted(field)) {
            visit_field(field, visit);
        }
    }
}

impl Fields for WindowsEvent<'_> {
    fn visit(&self, selector: &Selector, visit: &mut dyn FnMut(Value<'_>)) {
        let steps = match selector.steps.as_slice() {
            [Step::Name(event), rest @ ..] if event == "Event" && !rest.is_empty() => rest,
            steps => steps,
        };
        match steps {
            [Step::Name(audit), ..] if audit == "Audit" && steps.len() == selector.steps.len() => {
                if let Some(audit) = self.audit() {
                    audit.visit(selector, visit);
                }
            }
            [Step::Name(name)] => self.visit_name(name, visit),
            [Step::Any { .. }] => self.visit_all(|_| true, visit),
            [Step::Name(name), rest @ ..] => match Section::named(name) {
                Some(section) => self.visit_section(section, rest, visit),
                None if name == "Data" => self.visit_unnamed(rest, visit),
                None => {}
            },
            _ => {}
        }
    }

    fn audit(&self) -> Option<&Audit> {
        self.audit.get_or_init(|| audit::audit(&self.told())).as_ref()
    }

    fn describe(&self) -> Option<String> {
        Some(describe::line(&self.told(), self.audit()))
    }
}

fn visit_field(field: &Field<'_>, visit: &mut dyn FnMut(Value<'_>)) {
    let text = field.text();
    match plain_number(&text) {
        Some(number) => visit(Value::Number { number, text: &text }),
        None => visit(Value::Text(&text)),
    }
}

/// The number that `text` is in plain decimal: no sign but a minus, no leading zeros, no fraction.
fn plain_number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.len() <= NUMBER_DIGITS_MAX
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (!digits.starts_with('0') || text == "0");
    if plain { text.parse().ok() } else { None }
}

/// Names of System values in Fluent Bit, NXLog and plain speech.
fn alias(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "Provider" | "ProviderName" | "SourceName" => ("Provider", "Name"),
        "ProviderGuid" => ("Provider", "Guid"),
        "Qualifiers" => ("EventID", "Qualifiers"),
        "TimeCreated" | "SystemTime" => ("TimeCreated", "SystemTime"),
        "ProcessID" | "ExecutionProcessID" => ("Execution", "ProcessID"),
        "ThreadID" | "ExecutionThreadID" => ("Execution", "ThreadID"),
        "ActivityID" => ("Correlation", "ActivityID"),
        "RelatedActivityID" => ("Correlation", "RelatedActivityID"),
        "UserID" => ("Security", "UserID"),
        _ => return None,
    })
}

/// `New Value` is also `NewValue`, as Sigma rules write it.
fn is_named_without_blanks(field: &Field<'_>, name: &str) -> bool {
    field.attribute.is_empty()
        && field.name.len() > name.len()
        && field.name.contains(' ')
        && field.name.bytes().filter(|byte| *byte != b' ').eq(name.bytes())
}
