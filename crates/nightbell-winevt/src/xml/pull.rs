/*!
The slow reading: any well-formed XML, with quick-xml, and of a damaged message whatever stands before the damage.

Used for what `scan` does not know, and by tests as the oracle. Names and values are slices of the message here too.
*/

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::flatten::{Flat, Stop};
use super::{ATTRIBUTES_MAX, Field, Form};

/// The fields of a message and whether it was read to its end.
pub(super) struct Pulled<'m> {
    pub(super) fields: Vec<Field<'m>>,
    pub(super) damaged: bool,
}

/// Reads `text`; `None` when the root element is not `Event`.
pub(super) fn event(text: &str) -> Option<Pulled<'_>> {
    let mut reader = Reader::from_str(text);
    // Senders insert raw values into finished XML, so a lone `&` is an ordinary sight.
    reader.config_mut().allow_dangling_amp = true;
    let empty = find_root(&mut reader)?;
    let mut fields = Vec::new();
    let damaged = !empty && read_children(text, &mut reader, &mut Flat::new(&mut fields)).is_err();
    Some(Pulled { fields, damaged })
}

/// Moves behind the start tag of `Event`; says whether it was an empty element.
fn find_root(reader: &mut Reader<&[u8]>) -> Option<bool> {
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => return is_event(&start).then_some(false),
            Event::Empty(start) => return is_event(&start).then_some(true),
            Event::Text(text) if text.trim().is_empty() => {}
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {}
            _ => return None,
        }
    }
}

fn is_event(start: &BytesStart<'_>) -> bool {
    start.local_name().as_ref() == "Event"
}

/// A message that ends or goes wrong before `</Event>`.
struct Damaged;

fn read_children<'m>(
    text: &'m str,
    reader: &mut Reader<&'m [u8]>,
    flat: &mut Flat<'m, '_>,
) -> Result<(), Damaged> {
    let mut content = 0;
    let mut form = Form::Plain;
    loop {
        let before = place(reader);
        let done = match reader.read_event().map_err(|_| Damaged)? {
            Event::Start(start) => {
                let opened = open(text, &start, flat);
                content = place(reader);
                form = Form::Plain;
                opened
            }
            Event::Empty(start) => open(text, &start, flat).and_then(|()| flat.close("", Form::Plain)),
            Event::End(_) if flat.depth() == 0 => return Ok(()),
            Event::End(_) => flat.close(text.get(content..before).ok_or(Damaged)?, form),
            Event::GeneralRef(_) => {
                form = if form == Form::Plain { Form::Escaped } else { form };
                Ok(())
            }
            Event::Text(part) => {
                if form == Form::Plain && part.contains('&') {
                    form = Form::Escaped;
                }
                Ok(())
            }
            Event::Eof => return Err(Damaged),
            _ => {
                form = Form::Markup;
                Ok(())
            }
        };
        match done {
            Ok(()) => {}
            Err(Stop::Full) => return Ok(()),
            Err(Stop::Unusual) => return Err(Damaged),
        }
    }
}

fn place(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn open<'m>(text: &'m str, start: &BytesStart<'_>, flat: &mut Flat<'m, '_>) -> Result<(), Stop> {
    flat.open(slice_of(text, start.local_name().as_ref()).ok_or(Stop::Unusual)?)?;
    for (index, attribute) in start.attributes().with_checks(false).enumerate() {
        let attribute = attribute.map_err(|_| Stop::Unusual)?;
        if index >= ATTRIBUTES_MAX {
            return Err(Stop::Unusual);
        }
        let key = attribute.key;
        // `xmlns:e` must not pass for an attribute `e`; the flat form drops it by its full name.
        let name = if key.0.starts_with("xmlns") { key.0 } else { key.local_name().into_inner() };
        let name = slice_of(text, name).ok_or(Stop::Unusual)?;
        flat.attribute(name, slice_of(text, &attribute.value).ok_or(Stop::Unusual)?)?;
    }
    Ok(())
}

/// `part` as a slice of `text`, which it was borrowed from: quick-xml ties its slices to the event instead.
fn slice_of<'m>(text: &'m str, part: &str) -> Option<&'m str> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    text.get(start..start.checked_add(part.len())?)
}
