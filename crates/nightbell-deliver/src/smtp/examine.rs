/*!
Whether the mail server can be reached and would take mails, without sending one.
*/

use lettre::transport::smtp::authentication::Mechanism;
use nightbell_core::time::Timestamp;
use tokio::time::timeout;

use super::{CHECK_TIMEOUT, Smtp, certificate};
use crate::SendError;

/// What a mail server that was reached is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// `host:port`.
    pub server: String,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// The ways to log in that it offers, of those that are known here.
    pub log_ins: Vec<&'static str>,
    /// Whether it took the log-in; `false` also where none is configured.
    pub logged_in: bool,
    /// When its certificate ends, where it has one that can be read.
    pub certificate_until: Option<Timestamp>,
    /// When the first of the trusted certificates ends, where some are configured.
    pub trusted_until: Option<Timestamp>,
}

impl Smtp {
    /// Connects, turns TLS on and logs in, as for a mail, and looks at what is there.
    ///
    /// # Errors
    ///
    /// [`SendError::Later`] when one of these does not work, with what the server said.
    pub async fn examine(&self, now: Timestamp) -> Result<Examined, SendError> {
        let mut connection = self.connect(now).await?;
        let offered = connection.server_info();
        let ways =
            [(Mechanism::Plain, "PLAIN"), (Mechanism::Login, "LOGIN"), (Mechanism::Xoauth2, "XOAUTH2")];
        let log_ins = ways.into_iter().filter(|(way, _)| offered.supports_auth_mechanism(*way));
        let certificate = connection.peer_certificate().ok();
        let examined = Examined {
            server: self.config.place(),
            encrypted: connection.is_encrypted(),
            log_ins: log_ins.map(|(_, name)| name).collect(),
            logged_in: self.config.login.is_some(),
            certificate_until: certificate.and_then(|der| certificate::not_after(&der)),
            trusted_until: self.config.trusted_pem.as_deref().and_then(certificate::first_end),
        };
        // It has seen enough; whether it says good-bye is no matter.
        let _ = timeout(CHECK_TIMEOUT, connection.quit()).await;
        Ok(examined)
    }
}
