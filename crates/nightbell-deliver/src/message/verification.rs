/*!
The mail that asks whether an address is its reader's, before mail is sent in its name.
*/

use super::{Origin, URL_BYTES_MAX, page, text};
use crate::post::{Correspondent, InvalidPost, Letter, Stamp, compose, correspondent};

const SUBJECT: &str = "Nightbell - Email Address Verification";

/// Writes the mail to `address` whose link is `confirm_url`.
///
/// # Errors
///
/// The address is none.
pub fn verification(
    address: &str,
    confirm_url: &str,
    origin: &Origin,
    stamp: &Stamp,
) -> Result<Vec<u8>, InvalidPost> {
    let url = text::is_web_url(confirm_url, URL_BYTES_MAX).then_some(confirm_url);
    let link = url.unwrap_or("(the link could not be written: ask whoever runs this server)");
    let plain = format!(
        "A program asked to send mail in the name of\n{address}\n\nIf this address is yours and you want that, verify it within a day:\n\
         {link}\n\nIf you did not ask for this, do nothing: without your answer nothing is sent in its name.\n"
    );
    let html = page::verification(&page::Verification { subject: SUBJECT, to: address, confirm_url: url });
    let letter = Letter {
        from: correspondent(origin.from())?,
        to: vec![Correspondent { name: None, address: address.to_owned() }],
        cc: Vec::new(),
        reply_to: Vec::new(),
        subject: SUBJECT.to_owned(),
        text: Some(plain),
        html: Some(html),
        headers: vec![("Auto-Submitted".to_owned(), "auto-generated".to_owned())],
    };
    compose(&letter, stamp)
}
