/*!
Mail over SMTP, one message at a time over connections that stay open.

Says whether another try makes sense, never tries by itself. A connection that was interrupted in any way is dropped,
so a reply can't be taken for the answer to something else. Trouble before the server has seen the mail (no connection,
TLS, log-in) is the operator's and always worth another try; only a 5yz to this mail is final.
*/

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use nightbell_core::time::{MINUTE_MS, Timestamp};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use config::{InvalidSmtp, Login, SMTP_TIMEOUT, SMTP_URL_BYTES_MAX, Secret, Security, SmtpConfig};
pub use examine::Examined;

use crate::message::{Mail, clean_line};
use crate::{REASON_CHARS_MAX, Receipt, SendError, mime};

mod certificate;
mod config;
mod examine;
mod post;

/// Connections kept open while nothing is sent.
pub const IDLE_CONNECTIONS_MAX: usize = 4;
/// How long an idle connection may take to show that it still stands.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long to wait after a refused log-in: mail servers lock accounts out that try too often.
const LOGIN_REFUSED_WAIT_MS: i64 = 5 * MINUTE_MS;

/// A mail server.
pub struct Smtp {
    config: SmtpConfig,
    tls: Option<TlsParameters>,
    hello: ClientId,
    idle: Mutex<Vec<AsyncSmtpConnection>>,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Smtp {
    /// Prepares sending; connects only when a mail is there.
    ///
    /// # Errors
    ///
    /// [`InvalidSmtp::Trust`] when the trusted certificates can't be read, [`InvalidSmtp::Host`] when TLS can't be set
    /// up for the host's name.
    pub fn new(config: SmtpConfig) -> Result<Self, InvalidSmtp> {
        let tls = match config.security {
            Security::Plain => None,
            Security::StartTls | Security::Tls => Some(tls_parameters(&config)?),
        };
        Ok(Self { config, tls, hello: ClientId::default(), idle: Mutex::new(Vec::new()) })
    }

    /// Sends `mail` once. `now` is only used for [`SendError::Later`]'s `not_before`.
    ///
    /// # Errors
    ///
    /// [`SendError::Never`] for a bad address or a 5yz to this mail, [`SendError::Later`] for everything else.
    pub async fn send(&self, mail: &Mail, now: Timestamp) -> Result<Receipt, SendError> {
        let message = mime::message(mail)?;
        let (envelope, bytes) = (message.envelope(), message.formatted());
        let mut connection = self.connection(now).await?;
        let sent = timeout(self.config.timeout, connection.send(envelope, &bytes)).await;
        match sent {
            Ok(Ok(response)) => {
                self.park(connection);
                let text =
                    format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" "));
                Ok(Receipt { detail: self.shown(&text) })
            }
            Ok(Err(error)) => Err(self.refused(&error, &mail.to)),
            Err(_) => Err(self.later("the mail server did not answer in time", None)),
        }
    }

    /// A connection that is ready for a mail: a parked one that still stands, or a new one.
    async fn connection(&self, now: Timestamp) -> Result<AsyncSmtpConnection, SendError> {
        while let Some(mut connection) = self.unpark() {
            if timeout(CHECK_TIMEOUT, connection.test_connected()).await == Ok(true) {
                return Ok(connection);
            }
        }
        self.connect(now).await
    }

    /// A new connection, logged in where there is a log-in.
    async fn connect(&self, now: Timestamp) -> Result<AsyncSmtpConnection, SendError> {
        let opened = timeout(self.config.timeout, self.open()).await;
        let mut connection = match opened {
            Ok(Ok(connection)) => connection,
            Ok(Err(reason)) => return Err(self.later(&format!("no connection: {reason}"), None)),
            Err(_) => return Err(self.later("no connection in time", None)),
        };
        if let Some(login) = &self.config.login {
            let credentials = Credentials::new(login.user.clone(), login.password.reveal().to_owned());
            match timeout(self.config.timeout, connection.auth(DEFAULT_MECHANISMS, &credentials)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    let wait = error.is_permanent().then(|| now.plus_millis(LOGIN_REFUSED_WAIT_MS));
                    return Err(
                        self.later(&format!("the mail server refused the log-in: {}", told(&error)), wait)
                    );
                }
                Err(_) => return Err(self.later("the mail server did not answer the log-in in time", None)),
            }
        }
        Ok(connection)
    }

    /// Connects, greets and turns TLS on.
    ///
    /// Nagle's algorithm is switched off, because the end of a mail is a short write that would else wait some 40 ms
    /// for a delayed acknowledgement. Only with TLS from the first byte does the mail library own the socket.
    async fn open(&self) -> Result<AsyncSmtpConnection, String> {
        let address = (self.config.host.as_str(), self.config.port);
        let said = |error: Error| told(&error);
        if self.config.security == Security::Tls {
            let (limit, tls) = (Some(self.config.timeout), self.tls.clone());
            return AsyncSmtpConnection::connect_tokio1(address, limit, &self.hello, tls, None)
                .await
                .map_err(said);
        }
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut connection =
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await.map_err(said)?;
        if let Some(tls) = self.tls.clone() {
            connection.starttls(tls, &self.hello).await.map_err(said)?;
        }
        Ok(connection)
    }

    fn unpark(&self) -> Option<AsyncSmtpConnection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn park(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !connection.has_broken() && idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(connection);
        }
    }

    /// What a failure while sending means for this mail.
    fn refused(&self, error: &Error, to: &str) -> SendError {
        let reason = told(error);
        let code = error.status().map(u16::from);
        if matches!(code, Some(530 | 534 | 535 | 538)) {
            return self.later(&format!("the mail server demands a log-in: {reason}"), None);
        }
        if error.is_permanent() {
            return SendError::Never {
                reason: self.with_server(&format!("the mail server refused: {reason}")),
            };
        }
        if error.is_client() && !to.is_ascii() {
            return SendError::Never {
                reason: self.with_server("the mail server takes ASCII addresses only"),
            };
        }
        match error.is_transient() {
            true => self.later(&format!("the mail server asks to wait: {reason}"), None),
            false => self.later(&format!("the connection failed: {reason}"), None),
        }
    }

    fn later(&self, reason: &str, not_before: Option<Timestamp>) -> SendError {
        SendError::Later { reason: self.with_server(reason), not_before }
    }

    fn with_server(&self, reason: &str) -> String {
        format!("{}. server={}", self.shown(reason), self.config.place())
    }

    /// Text fit for an operator's log: without the password, one clean line.
    fn shown(&self, text: &str) -> String {
        clean_line(&self.config.redacted(text), REASON_CHARS_MAX)
    }
}

fn tls_parameters(config: &SmtpConfig) -> Result<TlsParameters, InvalidSmtp> {
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(pem) = &config.trusted_pem {
        let text = String::from_utf8_lossy(pem);
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            return Err(InvalidSmtp::Trust);
        }
        let certificates = Certificate::from_pem(pem).map_err(|_| InvalidSmtp::Trust)?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificates);
    }
    builder
        .build_rustls()
        .map_err(|_| if config.trusted_pem.is_some() { InvalidSmtp::Trust } else { InvalidSmtp::Host })
}

/// An error with what caused it; what the server said is in it.
fn told(error: &Error) -> String {
    match error.status() {
        Some(code) => {
            let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("{code} {said}")
        }
        None => error.to_string(),
    }
}
