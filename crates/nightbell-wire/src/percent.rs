/*!
Percent-encoding as AWS uses it: every octet but the unreserved ones of RFC 3986 becomes `%XX` in capitals.

Shared by the form reader (`query`), where `+` is a space, by paths (`rest`), where it is not, and by the canonical request of `sigv4`.
*/

use std::borrow::Cow;
use std::fmt::Write as _;

/// Undoes percent-encoding; `+` becomes a space. Returns nothing where a `%` is not followed by two hexadecimal digits.
pub fn decode(text: &str) -> Option<Cow<'_, [u8]>> {
    decode_with(text, b' ')
}

/// The same for a segment of a path, in which `+` is itself.
pub fn decode_path(segment: &str) -> Option<Cow<'_, [u8]>> {
    decode_with(segment, b'+')
}

fn decode_with(text: &str, plus: u8) -> Option<Cow<'_, [u8]>> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|b| matches!(b, b'%' | b'+')) {
        return Some(Cow::Borrowed(bytes));
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => out.push(plus),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                out.push(nibble(digits[0])? << 4 | nibble(digits[1])?);
                rest = after;
            }
            other => out.push(other),
        }
    }
    Some(Cow::Owned(out))
}

/// Appends `bytes` percent-encoded. With `keep_slash`, `/` stays as it is.
pub fn encode_into(out: &mut String, bytes: &[u8], keep_slash: bool) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || keep_slash && byte == b'/'
        {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a String does not fail");
        }
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_it_encodes() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        encode_into(&mut text, &all, false);
        assert_eq!(decode(&text).as_deref(), Some(&all[..]));
    }

    #[test]
    fn plus_is_a_space_and_broken_escapes_are_refused() {
        assert_eq!(decode("a+b%20c%2b").as_deref(), Some(&b"a b c+"[..]));
        assert_eq!(decode_path("a+b%20c%2b").as_deref(), Some(&b"a+b c+"[..]));
        for broken in ["%", "%a", "%zz", "abc%4", "%+1", "%é0"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }
}
