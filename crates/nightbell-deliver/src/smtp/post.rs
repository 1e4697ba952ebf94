/*!
One mail to several recipients: each is offered, and one who is refused keeps no other from getting it.
*/

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use nightbell_core::time::Timestamp;
use tokio::time::{Duration, timeout};

use super::{Smtp, told};
use crate::{Post, Posted, Receipt, SendError, mime};

/// Bytes a second that a mail server must take at least of a large mail.
const POST_BYTES_PER_SECOND_MIN: u64 = 32_768;

impl Smtp {
    /// Sends `post` once to all its recipients. `now` is only used for [`SendError::Later`]'s `not_before`.
    ///
    /// # Errors
    ///
    /// [`SendError::Never`] for a 5yz to sender or text, [`SendError::Later`] for everything else that concerns all recipients.
    pub async fn post(&self, post: &Post, now: Timestamp) -> Result<Posted, SendError> {
        let sender = mime::recipient(&post.sender)?;
        let mut connection = self.connection(now).await?;
        let mut posted = Posted::default();
        self.begin(&mut connection, sender, post).await?;
        let mut accepted = 0;
        for address in &post.recipients {
            match self.offer(&mut connection, address).await? {
                Offered::Accepted => accepted += 1,
                Offered::Refused(reason) => posted.refused.push((address.clone(), reason)),
                Offered::Later(reason) => posted.later.push((address.clone(), reason)),
            }
        }
        if accepted == 0 {
            if timeout(self.config.timeout, connection.command(Rset)).await.is_ok_and(|reset| reset.is_ok()) {
                self.park(connection);
            }
            return Ok(posted);
        }
        let wait =
            self.config.timeout + Duration::from_secs(post.content.len() as u64 / POST_BYTES_PER_SECOND_MIN);
        let sent = timeout(wait, async {
            connection.command(Data).await?;
            connection.message(&post.content).await
        });
        let response = match sent.await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.refused(&error, "")),
            Err(_) => return Err(self.later("the mail server did not answer in time", None)),
        };
        self.park(connection);
        let text = format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" "));
        posted.receipt = Some(Receipt { detail: self.shown(&text) });
        Ok(posted)
    }

    /// Names the sender, and says that there are letters beyond ASCII where there are some.
    async fn begin(
        &self,
        connection: &mut AsyncSmtpConnection,
        sender: Address,
        post: &Post,
    ) -> Result<(), SendError> {
        let mut parameters = Vec::new();
        if !post.content.is_ascii() {
            if !connection.server_info().supports_feature(Extension::EightBitMime) {
                let reason =
                    "the mail server takes ASCII only, and the mail holds other letters that are not encoded";
                return Err(SendError::Never { reason: self.with_server(reason) });
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        match self.ask(connection, Mail::new(Some(sender), parameters)).await? {
            Ok(()) => Ok(()),
            Err(error) => Err(self.refused(&error, "")),
        }
    }

    async fn offer(&self, connection: &mut AsyncSmtpConnection, address: &str) -> Result<Offered, SendError> {
        let recipient = match mime::recipient(address) {
            Ok(recipient) => recipient,
            Err(error) => return Ok(Offered::Refused(error.to_string())),
        };
        match self.ask(connection, Rcpt::new(recipient, Vec::new())).await? {
            Ok(()) => Ok(Offered::Accepted),
            // A log-in is what the operator has to give, for all recipients.
            Err(error) if matches!(error.status().map(u16::from), Some(530 | 534 | 535 | 538)) => {
                Err(self.refused(&error, ""))
            }
            Err(error) if error.is_permanent() => Ok(Offered::Refused(self.shown(&told(&error)))),
            Err(error) if error.is_transient() => Ok(Offered::Later(self.shown(&told(&error)))),
            Err(error) => Err(self.refused(&error, "")),
        }
    }

    /// Sends one command; what the server says to it.
    async fn ask(
        &self,
        connection: &mut AsyncSmtpConnection,
        command: impl std::fmt::Display,
    ) -> Result<Result<(), Error>, SendError> {
        match timeout(self.config.timeout, connection.command(command)).await {
            Ok(answer) => Ok(answer.map(drop)),
            Err(_) => Err(self.later("the mail server did not answer in time", None)),
        }
    }
}

/// What the server says to one recipient.
enum Offered {
    Accepted,
    Refused(String),
    Later(String),
}
