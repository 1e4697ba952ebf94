/*!
Text of a value: entities resolved, CDATA taken literally, comments and processing instructions taken off.

Values come from people who attack machines: what is no known entity stays as written, and nothing fails.
*/

use std::borrow::Cow;

/// Bytes of the longest entity looked at, from `&` to `;`: `&#x10FFFF;`.
const ENTITY_BYTES_MAX: usize = 10;

/// `raw` with its entities resolved.
pub(super) fn unescaped(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'&', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    push_unescaped(&mut text, raw);
    Cow::Owned(text)
}

/// `raw` with its entities resolved and its markup taken off.
pub(super) fn without_markup(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('<') {
        push_unescaped(&mut text, &rest[..at]);
        rest = &rest[at..];
        if let Some(literal) = rest.strip_prefix("<![CDATA[") {
            let end = literal.find("]]>").unwrap_or(literal.len());
            text.push_str(&literal[..end]);
            rest = literal.get(end + "]]>".len()..).unwrap_or("");
        } else {
            let end = if rest.starts_with("<!--") { "-->" } else { ">" };
            rest = rest.find(end).map_or("", |at| &rest[at + end.len()..]);
        }
    }
    push_unescaped(&mut text, rest);
    text
}

fn push_unescaped(text: &mut String, raw: &str) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match entity(rest) {
            Some((character, length)) => {
                text.push(character);
                length
            }
            None => {
                text.push('&');
                1
            }
        };
        rest = &rest[length..];
    }
    text.push_str(rest);
}

/// The character that the entity at the start of `text` stands for, and the entity's length in bytes.
fn entity(text: &str) -> Option<(char, usize)> {
    let window = &text.as_bytes()[..text.len().min(ENTITY_BYTES_MAX)];
    let end = memchr::memchr(b';', window)?;
    let name = &text[1..end];
    let character = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|&character| character != '\0')?
        }
    };
    Some((character, end + 1))
}
