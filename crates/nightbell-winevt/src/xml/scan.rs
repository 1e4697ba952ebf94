/*!
The quick reading: a forward scan over the narrow XML that Windows, the event log API and EVTX readers write.

It accepts a strict subset of XML, gives the same fields as `pull` on it, and says so when a message is outside: every
`None` or `false` here means "ask `pull`". It never guesses.
*/

use memchr::{memchr, memchr2};

use super::flatten::{Flat, Stop};
use super::{ATTRIBUTES_MAX, Field, Form};

/// Reads `text` up to `</System>` and gives the place behind it; `None` when this is not the grammar known here.
pub(super) fn system<'m>(text: &'m str, fields: &mut Vec<Field<'m>>) -> Option<usize> {
    let mut scan = Scan { text, at: 0 };
    if text.starts_with("<?xml ") {
        scan.at = text.find("?>")? + 2;
        scan.skip_blanks();
    }
    scan.section_tag("Event")?;
    scan.skip_blanks();
    let mut flat = Flat::new(fields);
    flat.open("System").ok()?;
    scan.section_tag("System")?;
    while flat.depth() > 0 {
        scan.step(&mut flat).ok()?;
    }
    Some(scan.at)
}

/// Reads `text` from `at`, behind `</System>`, to its end; false when this is not the grammar known here.
pub(super) fn after_system<'m>(text: &'m str, at: usize, fields: &mut Vec<Field<'m>>) -> bool {
    let mut scan = Scan { text, at };
    let mut flat = Flat::new(fields);
    loop {
        if flat.depth() == 0 {
            scan.skip_blanks();
            let rest = &text[scan.at..];
            if let Some(tail) = rest.strip_prefix("</Event>") {
                return tail.trim().is_empty();
            }
            // Text between the sections is nothing Windows writes.
            if !rest.starts_with('<') {
                return false;
            }
        }
        match scan.step(&mut flat) {
            Ok(()) => {}
            Err(Stop::Full) => return true,
            Err(Stop::Unusual) => return false,
        }
    }
}

/// How a start tag ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// `>`
    Content,
    /// `/>`
    Empty,
}

struct Scan<'m> {
    text: &'m str,
    /// Always at a character's first byte: every byte stepped over is ASCII or found by searching for an ASCII one.
    at: usize,
}

impl<'m> Scan<'m> {
    fn bytes(&self) -> &'m [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        self.at += self.bytes().iter().take_while(|byte| is_blank(**byte)).count();
    }

    /// Steps over `byte` if it comes next.
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.byte()? == byte).then(|| self.at += 1)
    }

    /// Steps over a name: only those that Windows uses.
    fn name(&mut self) -> Option<&'m str> {
        let length = self.bytes().iter().take_while(|byte| is_name(**byte)).count();
        let first = self.byte()?;
        let name = &self.text[self.at..self.at + length];
        self.at += length;
        (length > 0 && (first.is_ascii_alphabetic() || first == b'_')).then_some(name)
    }

    /// Steps over the start tag of `Event` or `System`, whose attributes say nothing; `None` when it is another or empty.
    fn section_tag(&mut self, section: &str) -> Option<()> {
        self.take(b'<')?;
        (self.name()? == section).then_some(())?;
        let end = self.attributes(|_, _| Ok(())).ok()?;
        (end == End::Content).then_some(())
    }

    /// Reads one start tag, with its text and end tag where no element stands between, or one end tag.
    fn step(&mut self, flat: &mut Flat<'m, '_>) -> Result<(), Stop> {
        // The text of an element that holds elements is dropped.
        if self.byte() != Some(b'<') {
            self.at += memchr(b'<', self.bytes()).ok_or(Stop::Unusual)?;
        }
        self.at += 1;
        if self.byte() == Some(b'/') {
            let name = flat.innermost().ok_or(Stop::Unusual)?;
            self.end_tag(name)?;
            return flat.close("", Form::Plain);
        }
        let name = self.name().ok_or(Stop::Unusual)?;
        flat.open(name)?;
        match self.attributes(|attribute, raw| flat.attribute(attribute, raw))? {
            End::Empty => flat.close("", Form::Plain),
            End::Content => self.leaf(name, flat),
        }
    }

    /// Steps over the rest of an end tag, from its slash on.
    fn end_tag(&mut self, name: &str) -> Result<(), Stop> {
        let length = "/".len() + name.len();
        let tag = self.bytes().get(..=length).ok_or(Stop::Unusual)?;
        if &tag[1..length] != name.as_bytes() || tag[length] != b'>' {
            return Err(Stop::Unusual);
        }
        self.at += length + ">".len();
        Ok(())
    }

    /// Reads text and end tag of the element just opened; stops before another start tag if one comes first.
    fn leaf(&mut self, name: &str, flat: &mut Flat<'m, '_>) -> Result<(), Stop> {
        let bytes = self.bytes();
        let mut length = memchr2(b'<', b'&', bytes).ok_or(Stop::Unusual)?;
        let mut form = Form::Plain;
        if bytes[length] == b'&' {
            form = Form::Escaped;
            length += memchr(b'<', &bytes[length..]).ok_or(Stop::Unusual)?;
        }
        if bytes.get(length + 1) != Some(&b'/') {
            self.at += length;
            return Ok(());
        }
        let raw = &self.text[self.at..self.at + length];
        self.at += length + "<".len();
        self.end_tag(name)?;
        flat.close(raw, form)
    }

    /// Steps over attributes and the end of a start tag, and hands over each attribute's name and raw value.
    fn attributes(
        &mut self,
        mut visit: impl FnMut(&'m str, &'m str) -> Result<(), Stop>,
    ) -> Result<End, Stop> {
        for _ in 0..=ATTRIBUTES_MAX {
            let before = self.at;
            self.skip_blanks();
            match self.byte() {
                Some(b'>') => {
                    self.at += ">".len();
                    return Ok(End::Content);
                }
                Some(b'/') => {
                    self.at += "/".len();
                    return self.take(b'>').map(|()| End::Empty).ok_or(Stop::Unusual);
                }
                _ if self.at == before => return Err(Stop::Unusual),
                _ => {
                    let (name, raw) = self.attribute().ok_or(Stop::Unusual)?;
                    visit(name, raw)?;
                }
            }
        }
        Err(Stop::Unusual)
    }

    /// Steps over `name='value'`.
    fn attribute(&mut self) -> Option<(&'m str, &'m str)> {
        let start = self.at;
        // `xmlns:…` is written by old providers; other prefixes are left to the slow reading.
        if self.name()? == "xmlns" && self.byte() == Some(b':') {
            self.at += ":".len();
            self.name()?;
        }
        let name = &self.text[start..self.at];
        self.take(b'=')?;
        let quote = self.byte().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        self.at += 1;
        let length = self.bytes().iter().position(|byte| *byte == quote || *byte == b'<')?;
        let raw = &self.text[self.at..self.at + length];
        self.at += length;
        self.take(quote)?;
        Some((name, raw))
    }
}

/// White space of XML, which is less than that of ASCII.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}
