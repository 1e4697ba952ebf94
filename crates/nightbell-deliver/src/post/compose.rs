/*!
A mail of its parts: subject, text and HTML of a client, encoded as MIME.

Headers are typed or checked, so no value can start a header of its own: control characters of a subject become blanks.
*/

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, MultiPart, SinglePart};

use super::address::one_line;
use super::{Correspondent, InvalidPost, Stamp, time};

/// Further headers of a mail ("Message", SES v2 API).
const HEADERS_MAX: usize = 15;
/// Bytes of a further header's name, and of its value ("MessageHeader", SES v2 API: 126 and 870 characters).
const HEADER_NAME_BYTES_MAX: usize = 126;
const HEADER_VALUE_BYTES_MAX: usize = 870;
/// Headers that say what this server says itself, or what the envelope holds.
const RESERVED: [&str; 13] = [
    "bcc",
    "cc",
    "content-disposition",
    "content-transfer-encoding",
    "content-type",
    "date",
    "from",
    "message-id",
    "mime-version",
    "reply-to",
    "return-path",
    "subject",
    "to",
];

/// A mail as a client says it. All text goes out as UTF-8, which holds every character set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Who writes.
    pub from: Correspondent,
    /// Who is written to.
    pub to: Vec<Correspondent>,
    /// Who gets a copy.
    pub cc: Vec<Correspondent>,
    /// Who gets answers.
    pub reply_to: Vec<Correspondent>,
    /// One line.
    pub subject: String,
    /// The plain text.
    pub text: Option<String>,
    /// The HTML.
    pub html: Option<String>,
    /// Further headers, name and value.
    pub headers: Vec<(String, String)>,
}

/// Writes the mail.
///
/// # Errors
///
/// An address is none, a further header is reserved or cannot stand in a mail, or there is neither text nor HTML.
pub fn compose(letter: &Letter, stamp: &Stamp) -> Result<Vec<u8>, InvalidPost> {
    let from = letter.from.mailbox()?;
    // The envelope goes beside the mail; here it only keeps the writer from asking for a recipient in the headers.
    let envelope =
        Envelope::new(None, vec![from.email.clone()]).map_err(|error| InvalidPost(error.to_string()))?;
    let mut builder = Message::builder()
        .date(time(stamp.date))
        .from(from)
        .message_id(Some(stamp.message_id.clone()))
        .subject(one_line(&letter.subject))
        .envelope(envelope);
    for to in &letter.to {
        builder = builder.to(to.mailbox()?);
    }
    for cc in &letter.cc {
        builder = builder.cc(cc.mailbox()?);
    }
    for reply_to in &letter.reply_to {
        builder = builder.reply_to(reply_to.mailbox()?);
    }
    if letter.headers.len() > HEADERS_MAX {
        return Err(InvalidPost(format!("A message has at most {HEADERS_MAX} headers of its own")));
    }
    for (name, value) in &letter.headers {
        builder = builder.raw_header(header(name, value)?);
    }
    let built = match (&letter.text, &letter.html) {
        (Some(text), Some(html)) => {
            // "=_" can't occur in quoted-printable text, so no content can end a part (RFC 2045, 6.7).
            let boundary: String =
                stamp.message_id.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
            let parts = MultiPart::alternative().boundary(format!("=_nightbell_{boundary}"));
            builder.multipart(
                parts
                    .singlepart(part(ContentType::TEXT_PLAIN, text))
                    .singlepart(part(ContentType::TEXT_HTML, html)),
            )
        }
        (Some(text), None) => builder.singlepart(part(ContentType::TEXT_PLAIN, text)),
        (None, Some(html)) => builder.singlepart(part(ContentType::TEXT_HTML, html)),
        (None, None) => return Err(InvalidPost("The message has neither text nor HTML".to_owned())),
    };
    let built = built.map_err(|error| InvalidPost(format!("The message cannot be written: {error}")))?;
    Ok(built.formatted())
}

fn header(name: &str, value: &str) -> Result<HeaderValue, InvalidPost> {
    let plain = |b: u8| b.is_ascii_graphic() && b != b':';
    let sound = (1..=HEADER_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain);
    if !sound || RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(InvalidPost(format!("The header '{}' cannot be given", one_line(name))));
    }
    if value.len() > HEADER_VALUE_BYTES_MAX || !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        let text = format!(
            "The value of the header '{name}' is not at most {HEADER_VALUE_BYTES_MAX} printable ASCII letters"
        );
        return Err(InvalidPost(text));
    }
    let name = HeaderName::new_from_ascii(name.to_owned())
        .map_err(|_| InvalidPost(format!("The header '{name}' cannot be given")))?;
    Ok(HeaderValue::dangerous_new_pre_encoded(name, value.to_owned(), value.to_owned()))
}

fn part(content_type: ContentType, text: &str) -> SinglePart {
    let body = Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::QuotedPrintable)
        .expect("any text can be written as quoted-printable");
    SinglePart::builder().header(content_type).body(body)
}
