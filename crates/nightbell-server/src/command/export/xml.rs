/*!
Messages as elements of one XML document: only what any XML parser takes goes in, so that one odd message does not spoil
the file. Knows no Windows event: an element is an element.
*/

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// What stands before the first element.
pub(super) const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Events>\n";
/// What stands after the last.
pub(super) const FOOT: &str = "</Events>\n";

/// The one element that a message is, without a declaration before it; `None` where it is anything else.
pub(super) fn element(message: &str) -> Option<&str> {
    let text = message.trim_start_matches('\u{feff}').trim();
    if !text.chars().all(is_character) {
        return None;
    }
    let text = match text.strip_prefix("<?xml") {
        Some(declared) => declared.split_once("?>")?.1.trim_start(),
        None => text,
    };
    (text.starts_with('<') && is_element(text)).then_some(text)
}

/// Whether XML may hold the character at all ("Extensible Markup Language 1.0", 2.2).
fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Whether the text is one well-formed element and nothing else.
fn is_element(text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    let (mut depth, mut elements) = (0_usize, 0_usize);
    loop {
        let sound = match reader.read_event() {
            Ok(Event::Start(start)) => {
                elements += usize::from(depth == 0);
                depth += 1;
                are_attributes(&start)
            }
            Ok(Event::Empty(start)) => {
                elements += usize::from(depth == 0);
                are_attributes(&start)
            }
            Ok(Event::End(_)) => {
                depth -= 1; // names are checked against those that are open
                true
            }
            Ok(Event::Text(part)) => !part.contains("]]>") && (depth > 0 || part.trim().is_empty()),
            Ok(Event::GeneralRef(name)) => depth > 0 && is_reference(&name),
            Ok(Event::CData(_)) => depth > 0,
            Ok(Event::Comment(_) | Event::PI(_)) => true,
            Ok(Event::Eof) => return depth == 0 && elements == 1,
            Ok(Event::Decl(_) | Event::DocType(_)) | Err(_) => false,
        };
        if !sound || elements > 1 {
            return false;
        }
    }
}

fn are_attributes(start: &BytesStart<'_>) -> bool {
    start.attributes().all(|attribute| {
        attribute.is_ok_and(|attribute| {
            let value: &str = &attribute.value;
            let references = value.split('&').skip(1);
            !value.contains('<')
                && references
                    .into_iter()
                    .all(|rest| rest.split_once(';').is_some_and(|(name, _)| is_reference(name)))
        })
    })
}

/// Whether a reference needs no declaration.
fn is_reference(name: &str) -> bool {
    let code = match name.strip_prefix('#') {
        None => return matches!(name, "amp" | "lt" | "gt" | "quot" | "apos"),
        Some(hex) if hex.starts_with('x') => u32::from_str_radix(&hex[1..], 16),
        Some(decimal) => decimal.parse(),
    };
    code.ok().and_then(char::from_u32).is_some_and(is_character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_elements_are_taken_and_nothing_else() {
        for (message, taken) in [
            ("<Event a='1'>x &amp; y<!-- c --><![CDATA[&]]></Event>", true),
            ("<Event/>", true),
            ("<Event>&#x41;&#65;</Event>\r\n", true),
            ("plain", false),
            ("", false),
            ("<Event>", false),
            ("<Event></Other>", false),
            ("<Event/><Event/>", false),
            ("<Event/>tail", false),
            ("</Events><Event/>", false),
            ("<Event>a & b</Event>", false),
            ("<Event>&nbsp;</Event>", false),
            ("<Event>&#0;</Event>", false),
            ("<Event a='&x;'/>", false),
            ("<Event a='<'/>", false),
            ("<Event a='1' a='2'/>", false),
            ("<Event>\u{1}</Event>", false),
            ("<Event>\u{ffff}</Event>", false),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", false),
            ("<Event>]]></Event>", false),
        ] {
            assert_eq!(element(message).is_some(), taken, "{message:?}");
        }
        let declared = "\u{feff}<?xml version='1.0' encoding='utf-16'?>\n<Event/>";
        assert_eq!(element(declared), Some("<Event/>"));
    }
}
