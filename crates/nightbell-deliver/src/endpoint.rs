/*!
HTTP endpoints: one request with a body, once, and what the answer says. Knows no format of body or answer.

Redirects are not followed. What a header holds is in no error and no `Debug`.
*/

use std::sync::OnceLock;
use std::time::Duration;

use crate::message::clean_line;
use crate::{REASON_CHARS_MAX, SendError};

/// How long it may take to reach an endpoint.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read ("HTTP endpoint delivery request and response specifications").
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Asks endpoints; keeps connections open.
#[derive(Debug, Default)]
pub struct Endpoints {
    client: OnceLock<Result<reqwest::Client, String>>,
}

/// A request to an endpoint.
pub struct Request {
    /// `http://…` or `https://…`.
    pub url: String,
    /// Name and value; a value that cannot stand in a header refuses the request.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// What an endpoint said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Content-Type, or nothing.
    pub content_type: String,
    /// The body, cut at [`ANSWER_BYTES_MAX`].
    pub body: Vec<u8>,
}

impl Endpoints {
    /// Sends `request` by POST, once.
    ///
    /// # Errors
    ///
    /// [`SendError::Later`] where there is no answer, [`SendError::Never`] for a request that cannot be made.
    pub async fn post(&self, request: Request) -> Result<Answer, SendError> {
        let mut builder = self.client()?.post(&request.url).timeout(request.timeout).body(request.body);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let mut answer = builder.send().await.map_err(|error| refused(&error))?;
        let status = answer.status().as_u16();
        let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| refused(&error))? {
            let room = ANSWER_BYTES_MAX - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok(Answer { status, content_type, body })
    }

    /// Made when it is first needed: a machine whose certificates cannot be read lacks nothing until then.
    fn client(&self) -> Result<&reqwest::Client, SendError> {
        let made = self.client.get_or_init(|| {
            // TLS takes the provider that the process has; one that is there already is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            reqwest::Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .map_err(|error| error.to_string())
        });
        made.as_ref().map_err(|reason| SendError::Later { reason: reason.clone(), not_before: None })
    }
}

fn refused(error: &reqwest::Error) -> SendError {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        told += &format!(": {next}");
        cause = next.source();
    }
    let reason = clean_line(&told, REASON_CHARS_MAX);
    if error.is_builder() {
        SendError::Never { reason }
    } else {
        SendError::Later { reason, not_before: None }
    }
}
