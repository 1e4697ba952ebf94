/*!
A mail that is whole: read as far as its head, and given what every mail of this server has.

Date and Message-ID are ours, copies that nobody shall see (`Bcc`) and what is said to the service (`X-SES-…`, `Return-Path`) are taken
out, every line ends with CR LF. The body is not read.
*/

use super::address::list;
use super::{Correspondent, InvalidPost, Stamp, stamped};

/// Bytes of a mail's head.
pub const HEAD_BYTES_MAX: usize = 262_144;

/// What the head of a mail says about who sends it to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Who wrote it.
    pub from: Vec<Correspondent>,
    /// Who sends it for them.
    pub sender: Vec<Correspondent>,
    /// Who is told of failures.
    pub return_path: Vec<Correspondent>,
    /// Who it goes to: `To`, `Cc` and `Bcc`.
    pub recipients: Vec<Correspondent>,
}

/// Reads the head of `raw` and writes the mail that goes out.
///
/// # Errors
///
/// The head is none, is too large, lacks `From` or has it twice, or holds an address that is none.
pub fn rewrite(raw: &[u8], stamp: &Stamp) -> Result<(Head, Vec<u8>), InvalidPost> {
    // First of all, so that what ends a line here ends it for every reader.
    let raw = with_whole_lines(raw);
    let mut head = Head::default();
    let mut out = Vec::with_capacity(raw.len() + 256);
    out.extend_from_slice(stamped(stamp).as_bytes());
    let mut rest = raw.as_slice();
    let mut authors = 0;
    while let Some((field, after)) = field(rest)? {
        if raw.len() - after.len() > HEAD_BYTES_MAX {
            return Err(InvalidPost(format!("The headers are more than {HEAD_BYTES_MAX} bytes long")));
        }
        rest = after;
        let (name, value) = named(field)?;
        let addresses = || list(&unfolded(value));
        match name.as_str() {
            "from" => {
                authors += 1;
                head.from = addresses()?;
            }
            "sender" => head.sender = addresses()?,
            "to" | "cc" => head.recipients.extend(addresses()?),
            "bcc" | "resent-bcc" => {
                head.recipients.extend(addresses()?);
                continue;
            }
            "return-path" => {
                head.return_path = addresses()?;
                continue;
            }
            "date" | "message-id" => continue,
            other if other.starts_with("x-ses-") => continue,
            _ => {}
        }
        out.extend_from_slice(field);
    }
    match authors {
        0 => return Err(InvalidPost("Missing required header 'From'.".to_owned())),
        1 if head.from.is_empty() => return Err(InvalidPost("The header 'From' names nobody.".to_owned())),
        1 => {}
        _ => return Err(InvalidPost("Duplicate header 'From'.".to_owned())),
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(rest.strip_prefix(b"\r\n").unwrap_or(rest));
    Ok((head, out))
}

/// A field of the head, and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The next field of the head with its folded lines, and what follows; nothing at the line that ends the head.
fn field(rest: &[u8]) -> Result<Option<Split<'_>>, InvalidPost> {
    if rest.is_empty() || rest.starts_with(b"\r\n") {
        return Ok(None);
    }
    let mut end = 0;
    loop {
        match rest[end..].iter().take(HEAD_BYTES_MAX).position(|byte| *byte == b'\n') {
            Some(line) => end += line + 1,
            None if rest.len() - end > HEAD_BYTES_MAX => {
                return Err(InvalidPost(format!("The headers are more than {HEAD_BYTES_MAX} bytes long")));
            }
            None => return Ok(Some((rest, &[]))),
        }
        if !matches!(rest.get(end), Some(b' ' | b'\t')) {
            return Ok(Some(rest.split_at(end)));
        }
    }
}

/// A field's name, in small letters, and its value.
fn named(field: &[u8]) -> Result<(String, &[u8]), InvalidPost> {
    let colon = field.iter().position(|byte| *byte == b':');
    let (name, value) = match colon {
        Some(colon) => (field[..colon].trim_ascii_end(), &field[colon + 1..]),
        None => (&[][..], field),
    };
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        let line = String::from_utf8_lossy(&field[..field.len().min(80)]).escape_debug().to_string();
        return Err(InvalidPost(format!(
            "Not a header line: '{line}'. A message starts with headers as 'From: a@b'"
        )));
    }
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value))
}

/// A value on one line.
fn unfolded(value: &[u8]) -> String {
    String::from_utf8_lossy(value).replace(['\r', '\n'], " ").trim().to_owned()
}

/// `raw` with every line, however it ends, ended by CR LF.
fn with_whole_lines(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 32 + 2);
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            other => out.push(other),
        }
    }
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}
