/*!
Mail that others wrote: taken apart and put together again by rules, never understood.

[`compose`] writes a mail of subject, text and HTML; [`rewrite`] takes one that is whole and gives it what every mail of this server
has. Both end in bytes that go out as they are, with an envelope of their own. Who may send in whose name is the caller's to judge.
*/

use std::time::{Duration, SystemTime};

use lettre::message::header::{self, Headers};
use nightbell_core::time::Timestamp;

use crate::Receipt;

pub use address::{Correspondent, correspondent};
pub use compose::{Letter, compose};
pub use rewrite::{HEAD_BYTES_MAX, Head, rewrite};

mod address;
mod compose;
mod rewrite;
#[cfg(test)]
mod tests;

/// The last second that a Date header can hold: the end of the year 9999.
const DATE_SECONDS_MAX: u64 = 253_402_300_799;

/// A mail with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Letters, digits and `-`: names files.
    pub id: String,
    /// When it was taken.
    pub date: Timestamp,
    /// Who is told of failures: the envelope's sender.
    pub sender: String,
    /// Everybody it goes to, whatever its headers say.
    pub recipients: Vec<String>,
    /// The mail, lines ended by CR LF.
    pub content: Vec<u8>,
}

/// What became of a mail to several recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// Proof that it was taken for those who are in neither list; `None` where it was taken for nobody.
    pub receipt: Option<Receipt>,
    /// Recipients whom the server refused for good, each with what it said.
    pub refused: Vec<(String, String)>,
    /// Recipients who are worth another try, each with what the server said.
    pub later: Vec<(String, String)>,
}

/// What the server gives a mail, whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// `<id@domain>`.
    pub message_id: String,
    /// The Date header.
    pub date: Timestamp,
}

/// Why a mail was refused. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPost(pub(crate) String);

fn time(date: Timestamp) -> SystemTime {
    let seconds = u64::try_from(date.second()).unwrap_or_default().min(DATE_SECONDS_MAX);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// `Date` and `Message-ID` as header lines.
fn stamped(stamp: &Stamp) -> String {
    let mut headers = Headers::new();
    headers.set(header::Date::new(time(stamp.date)));
    format!("{headers}Message-ID: {}\r\n", stamp.message_id)
}
