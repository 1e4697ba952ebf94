/*!
Addresses as clients and headers write them: `a@b`, `Name <a@b>`, names as encoded words (RFC 2047), lists and groups (RFC 5322, 3.4).
*/

use lettre::message::Mailbox;
use mailparse::{MailAddr, SingleInfo, addrparse, parse_header};

use super::InvalidPost;
use crate::mime;

/// Characters of an address with its name; a name longer than that is no name.
const CORRESPONDENT_CHARS_MAX: usize = 1_000;

/// Somebody who writes or is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correspondent {
    /// The name, decoded and on one line.
    pub name: Option<String>,
    /// The bare address, in ASCII.
    pub address: String,
}

impl Correspondent {
    pub(super) fn mailbox(&self) -> Result<Mailbox, InvalidPost> {
        Ok(Mailbox::new(self.name.clone(), parsed(&self.address)?))
    }
}

/// Reads one address with or without a name.
///
/// # Errors
///
/// It is not exactly one, or not in ASCII.
pub fn correspondent(text: &str) -> Result<Correspondent, InvalidPost> {
    let mut all = list(text)?;
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(InvalidPost("Illegal address: it is empty".to_owned())),
        (Some(_), false) => {
            Err(InvalidPost(format!("Illegal address '{}': give one address in each member", shown(text))))
        }
    }
}

/// Reads the addresses of a header's value, those of groups with them.
pub(super) fn list(text: &str) -> Result<Vec<Correspondent>, InvalidPost> {
    let illegal = || match text.contains('@') {
        true => InvalidPost(format!("Illegal address '{}'", shown(text))),
        false => InvalidPost("Missing final '@domain'".to_owned()),
    };
    if text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\r' | '\n')) {
        return Err(InvalidPost(format!("Illegal address '{}': it has control characters", shown(text))));
    }
    let mut found = Vec::new();
    let mut take = |single: SingleInfo| -> Result<(), InvalidPost> {
        parsed(&single.addr)?;
        found.push(Correspondent {
            name: single.display_name.as_deref().and_then(name),
            address: single.addr,
        });
        Ok(())
    };
    for address in addrparse(text).map_err(|_| illegal())?.into_inner() {
        match address {
            MailAddr::Single(single) => take(single)?,
            MailAddr::Group(group) => group.addrs.into_iter().try_for_each(&mut take)?,
        }
    }
    Ok(found)
}

fn parsed(address: &str) -> Result<lettre::Address, InvalidPost> {
    if !address.contains('@') {
        return Err(InvalidPost("Missing final '@domain'".to_owned()));
    }
    if !address.is_ascii() {
        let text = format!("Illegal address '{}': write it in ASCII, the domain as Punycode", shown(address));
        return Err(InvalidPost(text));
    }
    mime::recipient(address).map_err(|_| InvalidPost(format!("Illegal address '{}'", shown(address))))
}

/// A name with its encoded words decoded, on one line.
fn name(raw: &str) -> Option<String> {
    if raw.chars().count() > CORRESPONDENT_CHARS_MAX {
        return None;
    }
    let header = format!("Name: {raw}");
    let decoded =
        parse_header(header.as_bytes()).map_or_else(|_| raw.to_owned(), |(header, _)| header.get_value());
    let clean = one_line(&decoded);
    (!clean.is_empty()).then_some(clean)
}

/// The text without control characters, a blank for each run of them.
pub(super) fn one_line(text: &str) -> String {
    text.split(char::is_control)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

fn shown(text: &str) -> String {
    one_line(text).chars().take(100).collect()
}
