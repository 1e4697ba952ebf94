/*!
Web endpoints: one POST of a document to a subscriber's address, and the documents themselves.

Says whether another try makes sense, never tries by itself. Follows no redirect, looks at no proxy of the environment, reads little of
an answer, and reaches no address that only this machine should: neither by number nor behind a name (`addresses`). Rules: "Fanout to
HTTP/S endpoints" (Amazon SNS Developer Guide). `document` writes what is sent, `signing` signs it.
*/

use std::time::Duration;

use nightbell_core::delivery_policy::CONTENT_TYPE_CHARS_MAX;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

pub use document::{Bearer, Document, Spoken, function_event};
pub use signing::{SignatureVersion, SigningError, SigningKey};

use crate::endpoint::Endpoints;
use crate::message::clean_line;
use crate::{REASON_CHARS_MAX, Receipt, SendError};

mod addresses;
mod document;
mod signing;

/// How long an endpoint may take to answer, in all.
pub const WEB_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it may take to reach an endpoint.
pub const WEB_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read, so that its connection can be used again; a longer one costs the connection.
pub const WEB_ANSWER_BYTES_MAX: usize = 16 << 10;
/// Bytes of an endpoint's address.
pub const WEB_URL_BYTES_MAX: usize = 2_048;
/// How long a connection may be idle.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Idle connections to one endpoint.
const IDLE_MAX: usize = 2;
/// Who asks.
const AGENT: &str = "Amazon Simple Notification Service Agent";

const _: () = assert!(CONTENT_TYPE_CHARS_MAX < 8_192, "it goes into a header");

/// What sends to web endpoints.
#[derive(Clone, Debug)]
pub struct Web {
    client: Client,
}

/// Why [`Web`] cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InvalidWeb {
    /// The certificates to trust cannot be read.
    #[error("the certificates to trust are no PEM: {0}")]
    Trust(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// One delivery to a web endpoint.
#[derive(Debug)]
pub struct Post<'a> {
    /// The endpoint's address; a log-in in it goes into a header.
    pub url: &'a str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// What the body is called.
    pub content_type: &'a str,
    /// The body.
    pub body: String,
}

impl Web {
    /// Prepares sending; connects only when there is something to send. `trusted_pem` are certificates to trust beside the system's.
    ///
    /// # Errors
    ///
    /// The certificates cannot be read, or TLS cannot be set up.
    pub fn new(trusted_pem: Option<&[u8]>) -> Result<Self, InvalidWeb> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(trusted_pem)?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(WEB_CONNECT_TIMEOUT)
            .timeout(WEB_TIMEOUT)
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_max_idle_per_host(IDLE_MAX)
            .dns_resolver(std::sync::Arc::new(addresses::Guarded))
            .build()
            .map_err(|error| InvalidWeb::Tls(told(&error)))?;
        Ok(Self { client })
    }

    /// What asks endpoints that give an answer to read: by the same rules, over the same connections.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::over(self.client.clone())
    }

    /// Sends once. No error names the address, which may hold a password.
    ///
    /// # Errors
    ///
    /// [`SendError::Never`] for an answer of 4xx other than 408 and 429, for a redirect, and for an address that may not be asked;
    /// [`SendError::Later`] for everything else that is not 2xx.
    pub async fn post(&self, post: Post<'_>) -> Result<Receipt, SendError> {
        let never = |reason: String| SendError::Never { reason };
        let url =
            Url::parse(post.url).map_err(|error| never(format!("the endpoint is no address: {error}")))?;
        check(&url).map_err(|error| never(error.to_string()))?;
        let headers = headers(&post).ok_or_else(|| never("a header cannot be sent".to_owned()))?;
        let sent = self.client.post(url).headers(headers).body(post.body).send().await;
        let mut answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Err(later(told(&error))),
        };
        let status = answer.status();
        read_away(&mut answer).await;
        outcome(status)
    }
}

/// What an answer's status says about the delivery.
fn outcome(status: StatusCode) -> Result<Receipt, SendError> {
    let code = status.as_u16();
    match code {
        200..=299 => Ok(Receipt { detail: format!("HTTP {code}") }),
        300..=399 => Err(SendError::Never {
            reason: format!("the endpoint answered {code}: redirects are not followed"),
        }),
        400..=499 if code != 408 && code != 429 => {
            Err(SendError::Never { reason: format!("the endpoint answered {code}") })
        }
        _ => Err(later(format!("the endpoint answered {code}"))),
    }
}

fn later(reason: String) -> SendError {
    SendError::Later { reason, not_before: None }
}

/// What went wrong, without the address.
pub(crate) fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the endpoint did not answer in time".to_owned();
    }
    // The innermost cause says most; the outermost names the address.
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    let cause = cause.map_or_else(|| "the request failed".to_owned(), ToString::to_string);
    format!("the endpoint could not be asked: {}", clean_line(&cause, REASON_CHARS_MAX))
}

fn headers(post: &Post<'_>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(post.content_type).ok()?);
    for (name, value) in &post.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).ok()?);
    }
    Some(headers)
}

/// Reads what little there should be of an answer. What the endpoint says is nobody's matter.
async fn read_away(answer: &mut Response) {
    let mut bytes = 0;
    while bytes < WEB_ANSWER_BYTES_MAX {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

/// Why an address cannot be an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It is none, or none that could be asked.
    #[error("it is no web address of at most 2048 bytes with a host")]
    Address,
    /// It is one of another protocol.
    #[error("Endpoint must match the specified protocol")]
    Protocol,
    /// It leads to where nobody from outside may lead us.
    #[error("it is a link-local, metadata, multicast or unspecified address, which is not asked")]
    Host,
}

/// Checks the address of an endpoint of `protocol`, `http` or `https`. What its host's name leads to is looked at when it is asked.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_url(text: &str, protocol: &str) -> Result<(), InvalidUrl> {
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    if text.len() > WEB_URL_BYTES_MAX || !plain {
        return Err(InvalidUrl::Address);
    }
    if text.split_once("://").is_none_or(|(scheme, _)| !scheme.eq_ignore_ascii_case(protocol)) {
        return Err(InvalidUrl::Protocol);
    }
    check(&Url::parse(text).map_err(|_| InvalidUrl::Address)?)
}

pub(crate) fn check(url: &Url) -> Result<(), InvalidUrl> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(InvalidUrl::Protocol);
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidUrl::Address)?;
    let number = host.trim_start_matches('[').trim_end_matches(']').parse();
    if number.is_ok_and(addresses::is_refused) { Err(InvalidUrl::Host) } else { Ok(()) }
}

/// TLS by the same provider as everywhere else.
fn tls(trusted_pem: Option<&[u8]>) -> Result<ClientConfig, InvalidWeb> {
    let mut roots = RootCertStore::empty();
    // A system without certificates can still send to those that are named, and over http.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in trusted_pem.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        let certificate = certificate.map_err(|error| InvalidWeb::Trust(error.to_string()))?;
        roots.add(certificate).map_err(|error| InvalidWeb::Trust(error.to_string()))?;
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| InvalidWeb::Tls(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_they_are_kept() {
        let rows = [
            ("https://example.org/hook?a=b", "https", Ok(())),
            ("http://127.0.0.1:8080/", "http", Ok(())),
            ("http://[::1]/", "http", Ok(())),
            ("https://user:secret@example.org", "https", Ok(())),
            ("http://example.org", "https", Err(InvalidUrl::Protocol)),
            ("ftp://example.org", "http", Err(InvalidUrl::Protocol)),
            ("example.org", "http", Err(InvalidUrl::Protocol)),
            ("http://", "http", Err(InvalidUrl::Address)),
            ("http://a b/", "http", Err(InvalidUrl::Address)),
            ("http://a\r\nx: y/", "http", Err(InvalidUrl::Address)),
            ("http://169.254.169.254/latest/meta-data", "http", Err(InvalidUrl::Host)),
            ("http://2852039166/", "http", Err(InvalidUrl::Host)),
            ("http://0xa9.0xfe.0xa9.0xfe/", "http", Err(InvalidUrl::Host)),
            ("http://[fe80::1]/", "http", Err(InvalidUrl::Host)),
            ("http://[::ffff:169.254.169.254]/", "http", Err(InvalidUrl::Host)),
            ("http://[fd00:ec2::254]/", "http", Err(InvalidUrl::Host)),
            ("http://0.0.0.0/", "http", Err(InvalidUrl::Host)),
            ("http://224.0.0.1/", "http", Err(InvalidUrl::Host)),
        ];
        for (text, protocol, expected) in rows {
            assert_eq!(check_url(text, protocol), expected, "{text}");
        }
        let long = format!("http://example.org/{}", "a".repeat(WEB_URL_BYTES_MAX));
        assert_eq!(check_url(&long, "http"), Err(InvalidUrl::Address));
    }

    #[test]
    fn answers_are_told_apart() {
        let told = |code: u16| match outcome(StatusCode::from_u16(code).unwrap()) {
            Ok(_) => "taken",
            Err(SendError::Later { .. }) => "later",
            Err(SendError::Never { .. }) => "never",
        };
        let rows = [
            (200, "taken"),
            (204, "taken"),
            (302, "never"),
            (400, "never"),
            (404, "never"), // H05
            (408, "later"),
            (429, "later"),
            (500, "later"),
            (503, "later"), // H06
        ];
        for (code, expected) in rows {
            assert_eq!(told(code), expected, "{code}");
        }
    }

    #[tokio::test]
    async fn no_error_holds_the_password() {
        let web = Web::new(None).unwrap();
        for url in [
            "http://user:hunter2@127.0.0.1:1/hunter2",
            "http://user:hunter2@169.254.0.1/",
            "nonsense hunter2",
        ] {
            let post = Post { url, headers: Vec::new(), content_type: "text/plain", body: String::new() };
            let error = web.post(post).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
