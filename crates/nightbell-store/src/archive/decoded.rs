/*!
A message with the escapes of its form undone, wherever they stand: a value that the message holds in escaped form stands
in the decoded text as it is read.

Knows no fields. An escape that a reader might understand otherwise makes the answer [`Decoded::Unclear`].
*/

/// What a message reads like without escapes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// As it stands.
    Same,
    /// Like this, besides as it stands.
    Other(String),
    /// It cannot be said: markup inside values, or an escape of an unusual form.
    Unclear,
}

/// Bytes of the longest entity, from `&` to `;`.
const ENTITY_BYTES_MAX: usize = 10;

/// Reads a message that has fields: XML by its first character, JSON else.
pub(super) fn read(message: &str) -> Decoded {
    let text = message.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with('<') {
        return if text.contains('\\') { json(text) } else { Decoded::Same };
    }
    let body = text.strip_prefix("<?xml").unwrap_or(text);
    if body.contains("<!") || body.contains("<?") {
        return Decoded::Unclear;
    }
    if body.contains('&') { xml(body) } else { Decoded::Same }
}

fn xml(text: &str) -> Decoded {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let window = &rest.as_bytes()[..rest.len().min(ENTITY_BYTES_MAX)];
        let entity =
            window.iter().position(|byte| *byte == b';').and_then(|end| Some((end, entity(&rest[1..end])?)));
        let Some((end, character)) = entity else { return Decoded::Unclear };
        decoded.push(character);
        rest = &rest[end + 1..];
    }
    decoded.push_str(rest);
    Decoded::Other(decoded)
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
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
            char::from_u32(code)?
        }
    })
}

fn json(text: &str) -> Decoded {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        decoded.push_str(&rest[..at]);
        let Some((character, length)) = escape(&rest[at + 1..]) else { return Decoded::Unclear };
        decoded.push(character);
        rest = &rest[at + 1 + length..];
    }
    decoded.push_str(rest);
    Decoded::Other(decoded)
}

/// The character of an escape without its backslash, and the escape's length.
fn escape(text: &str) -> Option<(char, usize)> {
    Some(match text.as_bytes().first()? {
        byte @ (b'"' | b'\\' | b'/') => (char::from(*byte), 1),
        b'b' => ('\u{8}', 1),
        b'f' => ('\u{c}', 1),
        b'n' => ('\n', 1),
        b'r' => ('\r', 1),
        b't' => ('\t', 1),
        b'u' => {
            let unit = |from: usize| u32::from_str_radix(text.get(from..from + 4)?, 16).ok();
            let first = unit(1)?;
            if !(0xD800..0xE000).contains(&first) {
                return Some((char::from_u32(first)?, 5));
            }
            let second = text.get(5..7).filter(|next| *next == "\\u").and_then(|_| unit(7))?;
            let character = char::decode_utf16([first as u16, second as u16]).next()?.ok()?;
            (character, 11)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_doubts_are_told() {
        let other = |text: &str| Decoded::Other(text.to_owned());
        let rows = [
            ("plain", Decoded::Same),
            ("<a>b</a>", Decoded::Same),
            ("<?xml version='1.0'?><a>b</a>", Decoded::Same),
            ("<a>b&amp;c&#65;&#x42;</a>", other("<a>b&cAB</a>")),
            ("<a>b&nbsp;c</a>", Decoded::Unclear),
            ("<a>b&c</a>", Decoded::Unclear),
            ("<a>b<!-- -->c</a>", Decoded::Unclear),
            ("<a><![CDATA[b]]></a>", Decoded::Unclear),
            ("<a>b<?x?>c</a>", Decoded::Unclear),
            (r#"{"a":"b"}"#, Decoded::Same),
            (r#"{"a":"C:\\users\n"}"#, other("{\"a\":\"C:\\users\n\"}")),
            (r#"{"a":"\u0041\ud83d\ude00\/"}"#, other("{\"a\":\"A😀/\"}")),
            (r#"{"a":"\ud83d"}"#, Decoded::Unclear),
            (r#"{"a":"\u00"#, Decoded::Unclear),
            (r#"{"a":"\x"}"#, Decoded::Unclear),
            ("{\\", Decoded::Unclear),
            ("<a>&", Decoded::Unclear),
            ("<a>&ääääää;", Decoded::Unclear),
        ];
        for (message, expected) in rows {
            assert_eq!(read(message), expected, "{message}");
        }
    }
}
