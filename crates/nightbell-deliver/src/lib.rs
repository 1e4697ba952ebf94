/*!
Channels, one file each, and the messages they carry.

[`render`] writes the [`Mail`] that a delivery stands for; a [`Channel`] sends it once and says [`SendError::Later`] or
[`SendError::Never`] where that fails; retry, order and record are the caller's. Nothing here can reach store or alarms,
and time is an argument. No error, log or `Debug` text holds a secret.
*/

use nightbell_core::time::Timestamp;

pub use mailbox::Mailbox;
pub use message::{Enclosure, Mail, Origin, Pictures, RawEvent, Template, TemplateError, render};
pub use smtp::{Smtp, SmtpConfig};
pub use web::Web;

pub mod chart;
pub mod mailbox;
pub mod message;
mod mime;
pub mod smtp;
pub mod web;

/// Where mail goes out. A new channel is a new variant.
#[derive(Debug)]
pub enum Channel {
    /// To a mail server.
    Smtp(Smtp),
    /// Into a folder, for an installation without a mail server.
    Mailbox(Mailbox),
}

impl Channel {
    /// Sends one mail, once, at `now`. Writing it is [`render`]'s, which may draw: that belongs where blocking is
    /// allowed.
    ///
    /// # Errors
    ///
    /// [`SendError::Later`] when another try may work, [`SendError::Never`] when none will.
    pub async fn send(&self, mail: &Mail, now: Timestamp) -> Result<Receipt, SendError> {
        match self {
            Self::Smtp(smtp) => smtp.send(mail, now).await,
            Self::Mailbox(mailbox) => mailbox.send(mail).await,
        }
    }
}

/// Proof that a message was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The mail server's last answer, or the file's path; clean text on one line.
    pub detail: String,
}

/// Why a message was not taken. Reasons are clean text on one line: at most [`REASON_CHARS_MAX`] characters, then
/// which server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Worth another try: timeout, no connection, log-in refused, SMTP 4yz, disk full.
    #[error("not sent yet: {reason}")]
    Later {
        /// What went wrong, for the operator.
        reason: String,
        /// No earlier than this, where that is known.
        not_before: Option<Timestamp>,
    },
    /// Will never work: SMTP 5yz, bad address.
    #[error("cannot be sent: {reason}")]
    Never {
        /// What is wrong, for the operator.
        reason: String,
    },
}

/// Characters of a reason or receipt, not counting the server's name.
pub const REASON_CHARS_MAX: usize = 300;
