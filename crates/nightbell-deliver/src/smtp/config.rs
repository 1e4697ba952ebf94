/*!
What the operator says about a mail server, checked.

The only place that holds the password; it comes out as [`Secret`], whose `Debug` says nothing, and leaves only towards
the server. Errors never repeat what was given.
*/

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of an SMTP URL.
pub const SMTP_URL_BYTES_MAX: usize = 1_024;
/// How long connecting, and then sending one mail, may take unless said otherwise.
pub const SMTP_TIMEOUT: Duration = Duration::from_secs(30);

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// `smtp://`: not at all.
    Plain,
    /// `smtp+starttls://`: TLS is asked for after the greeting and must come.
    StartTls,
    /// `smtps://`: TLS from the first byte.
    Tls,
}

/// Text that appears in no log, error or `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Who logs in to the mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// A mail server and how to speak with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpConfig {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Who logs in; `None` sends without.
    pub login: Option<Login>,
    /// PEM certificates to trust instead of the system's.
    pub trusted_pem: Option<Vec<u8>>,
    /// How long connecting, and then sending one mail, may take.
    pub timeout: Duration,
}

/// Why a mail server's configuration was refused. Says what is wrong, never what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSmtp {
    /// Not one of the three schemes.
    #[error("an SMTP URL starts with smtp://, smtp+starttls:// or smtps://")]
    Scheme,
    /// No host, or one that cannot be.
    #[error("the SMTP URL has no valid host")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the SMTP URL's port is not a number from 1 to 65535")]
    Port,
    /// Something after host and port.
    #[error("an SMTP URL ends after host and port")]
    Rest,
    /// A user without a password, or the reverse.
    #[error("SMTP needs both user and password, or neither")]
    Login,
    /// A password would cross the network in the clear.
    #[error("an SMTP password needs smtps:// or smtp+starttls://, except to this machine")]
    PasswordInTheClear,
    /// Not PEM, or no certificate in it.
    #[error("the trusted certificates are not PEM")]
    Trust,
}

impl SmtpConfig {
    /// Reads `smtp://host[:port]` (port 25), `smtp+starttls://host[:port]` (587) or `smtps://host[:port]` (465).
    ///
    /// User and password come beside the URL or inside it (`smtps://user:password@host`, percent-encoded); beside wins.
    ///
    /// # Errors
    ///
    /// The URL is malformed, only half a log-in is given, or the password would travel unprotected.
    pub fn parse(url: &str, user: Option<&str>, password: Option<&str>) -> Result<Self, InvalidSmtp> {
        if url.len() > SMTP_URL_BYTES_MAX {
            return Err(InvalidSmtp::Host);
        }
        let (scheme, rest) = url.split_once("://").ok_or(InvalidSmtp::Scheme)?;
        let (security, default_port) = match scheme {
            "smtp" => (Security::Plain, 25),
            "smtp+starttls" => (Security::StartTls, 587),
            "smtps" => (Security::Tls, 465),
            _ => return Err(InvalidSmtp::Scheme),
        };
        let (inline, place) = match rest.rsplit_once('@') {
            Some((inline, place)) => (Some(inline), place),
            None => (None, rest),
        };
        let (host, port) = host_and_port(place.strip_suffix('/').unwrap_or(place), default_port)?;
        let login = login(inline, user, password)?;
        if login.is_some() && security == Security::Plain && !is_this_machine(&host) {
            return Err(InvalidSmtp::PasswordInTheClear);
        }
        Ok(Self { host, port, security, login, trusted_pem: None, timeout: SMTP_TIMEOUT })
    }

    /// `host:port`, for errors and logs.
    pub(super) fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// `text` without anything that gives the password away: itself or as the AUTH commands encode it. A server may
    /// repeat what it was sent.
    pub(super) fn redacted(&self, text: &str) -> String {
        let Some(Login { user, password }) = &self.login else {
            return text.to_owned();
        };
        let password = password.reveal();
        if password.is_empty() {
            return text.to_owned();
        }
        let plain = STANDARD.encode(format!("\0{user}\0{password}"));
        let plain_as_user = STANDARD.encode(format!("{user}\0{user}\0{password}"));
        let encoded = STANDARD.encode(password);
        [plain.as_str(), &plain_as_user, encoded.as_str(), password]
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
    }
}

fn host_and_port(place: &str, default_port: u16) -> Result<(String, u16), InvalidSmtp> {
    if place.contains(['/', '?', '#']) {
        return Err(InvalidSmtp::Rest);
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(InvalidSmtp::Host)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| InvalidSmtp::Host)?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(InvalidSmtp::Host),
            }
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if host.is_empty() || host.len() > 253 || !host.chars().all(named) {
        return Err(InvalidSmtp::Host);
    }
    let port = match port {
        None => default_port,
        Some(text) => text.parse().ok().filter(|port| *port > 0).ok_or(InvalidSmtp::Port)?,
    };
    Ok((host.to_owned(), port))
}

fn login(
    inline: Option<&str>,
    user: Option<&str>,
    password: Option<&str>,
) -> Result<Option<Login>, InvalidSmtp> {
    let (inline_user, inline_password) =
        match inline.map(|inline| inline.split_once(':').unwrap_or((inline, ""))) {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None => (None, None),
        };
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let user = user.and_then(given).or(inline_user);
    let password = password.and_then(given).or(inline_password);
    match (user, password) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) if !user.contains('\0') && !password.contains('\0') => {
            Ok(Some(Login { user, password: Secret(password) }))
        }
        _ => Err(InvalidSmtp::Login),
    }
}

/// Percent-decoded; `None` when empty.
fn decoded(text: &str) -> Result<Option<String>, InvalidSmtp> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).ok_or(InvalidSmtp::Login);
            let high = digit(rest.next())?;
            (high * 16 + digit(rest.next())?) as u8
        } else {
            byte
        };
        bytes.push(byte);
    }
    let text = String::from_utf8(bytes).map_err(|_| InvalidSmtp::Login)?;
    Ok((!text.is_empty()).then_some(text))
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        let rows = [
            ("smtp://mail.example.org", Security::Plain, "mail.example.org", 25),
            ("smtp+starttls://mail.example.org/", Security::StartTls, "mail.example.org", 587),
            ("smtps://mail.example.org", Security::Tls, "mail.example.org", 465),
            ("smtp://127.0.0.1:2525", Security::Plain, "127.0.0.1", 2525),
            ("smtp://[::1]:2525", Security::Plain, "::1", 2525),
            ("smtp://[::1]", Security::Plain, "::1", 25),
        ];
        for (url, security, host, port) in rows {
            let config = SmtpConfig::parse(url, None, None).unwrap();
            assert_eq!((config.security, config.host.as_str(), config.port), (security, host, port), "{url}");
            assert_eq!(config.login, None);
        }
    }

    #[test]
    fn refuses_what_is_no_url() {
        let rows = [
            ("mail.example.org", InvalidSmtp::Scheme),
            ("http://mail.example.org", InvalidSmtp::Scheme),
            ("smtp://", InvalidSmtp::Host),
            ("smtp://a b", InvalidSmtp::Host),
            ("smtp://a\r\nb", InvalidSmtp::Host),
            ("smtp://[::1", InvalidSmtp::Host),
            ("smtp://[::1]x", InvalidSmtp::Host),
            ("smtp://host:", InvalidSmtp::Port),
            ("smtp://host:0", InvalidSmtp::Port),
            ("smtp://host:65536", InvalidSmtp::Port),
            ("smtp://host/path", InvalidSmtp::Rest),
            ("smtps://user@host", InvalidSmtp::Login),
            ("smtps://us%zz:pw@host", InvalidSmtp::Login),
            ("smtps://user:p%00w@host", InvalidSmtp::Login),
        ];
        for (url, expected) in rows {
            assert_eq!(SmtpConfig::parse(url, None, None), Err(expected), "{url}");
        }
        assert_eq!(SmtpConfig::parse(&"smtp://".repeat(1000), None, None), Err(InvalidSmtp::Host));
    }

    #[test]
    fn log_ins_beside_and_inside_the_url() {
        let login = |url, user, password| SmtpConfig::parse(url, user, password).unwrap().login.unwrap();
        let expected = Login { user: "ann@example.org".to_owned(), password: Secret::new("p@ss:w/rd") };
        assert_eq!(login("smtps://ann%40example.org:p%40ss%3Aw%2frd@host", None, None), expected);
        assert_eq!(login("smtps://host", Some("ann@example.org"), Some("p@ss:w/rd")), expected);
        assert_eq!(login("smtps://x:y@host", Some("ann@example.org"), Some("p@ss:w/rd")), expected);
        assert_eq!(SmtpConfig::parse("smtps://host", Some(""), Some("")).unwrap().login, None);
    }

    #[test]
    fn passwords_do_not_travel_in_the_clear() {
        let parse = |url| SmtpConfig::parse(url, Some("u"), Some("p"));
        assert_eq!(parse("smtp://mail.example.org"), Err(InvalidSmtp::PasswordInTheClear));
        for url in ["smtp://localhost", "smtp://127.0.0.1", "smtp://[::1]", "smtps://mail.example.org"] {
            assert!(parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn no_text_shows_the_password() {
        let config = SmtpConfig::parse("smtps://ann:hunter2hunter2@host", None, None).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let echo = "535 AGFubgBodW50ZXIyaHVudGVyMg== aHVudGVyMmh1bnRlcjI= hunter2hunter2";
        assert_eq!(config.redacted(echo), "535 [redacted] [redacted] [redacted]");
        for url in [
            "smtps://ann:hunter2@ho st",
            "smtp://ann:hunter2@far",
            "x://ann:hunter2@h",
            "smtps://a:hunter2%@h",
        ] {
            let error = SmtpConfig::parse(url, None, None).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}");
        }
    }
}
