/*!
HTTP endpoints: one request with a body, once, and what the answer says. Knows no format of body or answer.

The client is [`crate::Web`]'s: it trusts the same certificates, follows no redirect and reaches no address that only this machine should.
What a header or an address holds is in no error and no `Debug`.
*/

use std::time::Duration;

use reqwest::{Client, Url};

use crate::SendError;
use crate::web::{check, told};

/// Bytes of an answer that are read ("HTTP endpoint delivery request and response specifications").
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Asks endpoints; keeps connections open.
#[derive(Clone, Debug)]
pub struct Endpoints {
    client: Client,
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
    pub(crate) fn over(client: Client) -> Self {
        Self { client }
    }

    /// Sends `request` by POST, once.
    ///
    /// # Errors
    ///
    /// [`SendError::Later`] where there is no answer, [`SendError::Never`] for a request that cannot be made.
    pub async fn post(&self, request: Request) -> Result<Answer, SendError> {
        let never = |reason: String| SendError::Never { reason };
        let url = Url::parse(&request.url)
            .map_err(|error| never(format!("the endpoint is no address: {error}")))?;
        check(&url).map_err(|error| never(error.to_string()))?;
        let mut builder = self.client.post(url).timeout(request.timeout).body(request.body);
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
}

fn refused(error: &reqwest::Error) -> SendError {
    if error.is_builder() {
        return SendError::Never { reason: "a header cannot be sent".to_owned() };
    }
    SendError::Later { reason: told(error), not_before: None }
}
