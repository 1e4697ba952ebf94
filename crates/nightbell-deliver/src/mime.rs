/*!
A [`Mail`] as MIME: the one place that knows headers and encodings.

Headers are typed, so no value can start a header of its own. The result depends on the mail alone: date and boundary
are set, never drawn.
*/

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{self, Body, Mailbox, MultiPart, SinglePart};

use crate::SendError;
use crate::message::{Attachment, FROM_BYTES_MAX, Mail};

/// Bytes of a mail address (RFC 5321, 4.5.3.1.3: a path is at most 256 octets with its brackets).
pub(crate) const ADDRESS_BYTES_MAX: usize = 254;
/// The last second that a Date header can hold: the end of the year 9999.
const DATE_SECONDS_MAX: u64 = 253_402_300_799;

/// The mail as a MIME message with its envelope.
///
/// # Errors
///
/// [`SendError::Never`] when an address is none.
pub(crate) fn message(mail: &Mail) -> Result<Message, SendError> {
    let to = Mailbox::new(None, recipient(&mail.to)?);
    let from = sender(&mail.from).ok_or_else(|| never("the sender is no mail address"))?;
    let seconds = u64::try_from(mail.date.second()).unwrap_or_default().min(DATE_SECONDS_MAX);
    let mut builder = Message::builder()
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        .from(from)
        .to(to)
        .message_id(Some(mail.message_id.clone()))
        .subject(mail.subject.clone());
    for (name, value) in &mail.headers {
        builder = builder.raw_header(header(name, value)?);
    }
    let built = match body(mail) {
        Parts::One(part) => builder.singlepart(part),
        Parts::Many(parts) => builder.multipart(parts),
    };
    built.map_err(|error| never(&format!("the mail cannot be written: {error}")))
}

/// What stands below the headers.
enum Parts {
    One(SinglePart),
    Many(MultiPart),
}

/// Text and HTML as alternatives, related to the pictures shown in them, mixed with the files; each level only where
/// there is something for it.
fn body(mail: &Mail) -> Parts {
    let text = part(ContentType::TEXT_PLAIN, &mail.text);
    let mut parts = match &mail.html {
        None => Parts::One(text),
        Some(html) => {
            let parts = MultiPart::alternative().boundary(boundary("nightbell", mail));
            Parts::Many(parts.singlepart(text).singlepart(part(ContentType::TEXT_HTML, html)))
        }
    };
    for (kind, name, files) in
        [(MultiPart::related(), "related", &mail.inline), (MultiPart::mixed(), "mixed", &mail.attachments)]
    {
        if files.is_empty() {
            continue;
        }
        let outer = kind.boundary(boundary(name, mail));
        let outer = match parts {
            Parts::One(part) => outer.singlepart(part),
            Parts::Many(parts) => outer.multipart(parts),
        };
        parts = Parts::Many(files.iter().fold(outer, |outer, file| outer.singlepart(enclosed(file))));
    }
    parts
}

/// "=_" can't occur in quoted-printable or base64 text, so no content can end a part (RFC 2045, 6.7). No boundary is
/// the start of another.
fn boundary(level: &str, mail: &Mail) -> String {
    format!("=_{level}_{}", mail.id)
}

fn enclosed(file: &Attachment) -> SinglePart {
    let media_type = file.media_type.parse().expect("media types are our own");
    let body = Body::new_with_encoding(file.content.clone(), ContentTransferEncoding::Base64)
        .expect("any bytes can be written as base64");
    let disposition = if file.content_id.is_empty() {
        message::Attachment::new(file.name.to_owned())
    } else {
        message::Attachment::new_inline_with_name(file.content_id.clone(), file.name.to_owned())
    };
    disposition.body(body, media_type)
}

/// The sender: `name@example.org` or `Any Name <name@example.org>`, the address in ASCII.
pub(crate) fn sender(text: &str) -> Option<Mailbox> {
    if text.len() > FROM_BYTES_MAX || text.chars().any(char::is_control) {
        return None;
    }
    let (name, address) = match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"'), address),
        None => ("", text.trim()),
    };
    let address = recipient(address).ok().filter(|_| address.is_ascii())?;
    Some(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address))
}

/// A bare address: no display name, no quoting tricks, no control characters.
pub(crate) fn recipient(address: &str) -> Result<lettre::Address, SendError> {
    let hostile = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '"' | '<' | '>' | ',' | ';');
    if address.len() > ADDRESS_BYTES_MAX || address.chars().any(hostile) {
        return Err(never("the recipient is no mail address"));
    }
    address.parse().map_err(|_| never("the recipient is no mail address"))
}

/// A header whose value stands as it is. Long links must not be folded or encoded, so the value is checked instead.
fn header(name: &str, value: &str) -> Result<HeaderValue, SendError> {
    let name =
        HeaderName::new_from_ascii(name.to_owned()).map_err(|_| never("a header has no valid name"))?;
    if !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        return Err(never("a header's value is not printable ASCII"));
    }
    Ok(HeaderValue::dangerous_new_pre_encoded(name, value.to_owned(), value.to_owned()))
}

fn part(content_type: ContentType, text: &str) -> SinglePart {
    let body = Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::QuotedPrintable)
        .expect("any text can be written as quoted-printable");
    SinglePart::builder().header(content_type).body(body)
}

fn never(reason: &str) -> SendError {
    SendError::Never { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
