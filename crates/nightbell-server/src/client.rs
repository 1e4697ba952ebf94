/*!
A small client for the server's own port, as the commands use it: signed requests over HTTP/1.1, one connection each.
*/

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use nightbell_wire::eventstream::{Decoder, Message};
use nightbell_wire::sigv4::{self, Key};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::clock;
use crate::credentials::AccessKey;

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Where the server is and how to sign.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    authority: String,
    region: String,
    key: AccessKey,
}

/// An answer that is no success.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Refused {
    /// The error's code, or the HTTP status.
    pub(crate) code: String,
    /// What the server says.
    pub(crate) message: String,
}

impl Client {
    /// A client of the server at `endpoint` (`http://HOST:PORT`).
    pub(crate) fn new(endpoint: &str, region: &str, key: AccessKey) -> Result<Self> {
        let Some(rest) = endpoint.strip_prefix("http://") else {
            bail!("endpoint: {endpoint:?} does not start with http://");
        };
        let authority = rest.trim_end_matches('/').to_owned();
        Ok(Self { authority, region: region.to_owned(), key })
    }

    /// Calls an operation of CloudWatch Logs.
    pub(crate) async fn logs(&self, operation: &str, body: &Value) -> Result<Value> {
        self.json("logs", "Logs_20140328", "1.1", operation, body).await
    }

    /// Calls an operation of CloudWatch Logs whose answer goes on, and gives its messages to be read as they come.
    pub(crate) async fn logs_messages(&self, operation: &str, body: &Value) -> Result<Messages> {
        let headers = json_headers("Logs_20140328", "1.1", operation);
        let request = self.signed("logs", "/", &headers, body.to_string().into_bytes())?;
        let (body, open) = self.ask(request).await?;
        Ok(Messages { body, decoder: Decoder::default(), _open: open })
    }

    /// Calls an operation of CloudWatch.
    pub(crate) async fn cloudwatch(&self, operation: &str, body: &Value) -> Result<Value> {
        self.json("monitoring", "GraniteServiceVersion20100801", "1.0", operation, body).await
    }

    /// Calls an operation of CloudFormation.
    pub(crate) async fn cloudformation(&self, operation: &str, body: &Value) -> Result<Value> {
        self.json("cloudformation", "CloudFormation_20100515", "1.1", operation, body).await
    }

    async fn json(
        &self,
        service: &str,
        target: &str,
        version: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value> {
        let headers = json_headers(target, version, operation);
        let answer = self.send(service, "/", &headers, body.to_string().into_bytes()).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).context("the server's answer is not JSON")
    }

    /// Calls an operation of SNS; the answer is XML.
    pub(crate) async fn sns(&self, operation: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let mut form = format!("Action={operation}&Version=2010-03-31");
        for (name, value) in parameters {
            form.push_str(&format!("&{name}={}", percent(value)));
        }
        let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        let answer = self.send("sns", "/", &headers, form.into_bytes()).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Sends a JSON body to one of Nightbell's own paths.
    pub(crate) async fn own(&self, path: &str, body: Vec<u8>) -> Result<Bytes> {
        self.send(crate::admin::SERVICE, path, &[("content-type", "application/json".to_owned())], body).await
    }

    /// The same, and hands over each line of the answer as it comes.
    pub(crate) async fn own_lines(
        &self,
        path: &str,
        body: Vec<u8>,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let json = [("content-type", "application/json".to_owned())];
        let (mut answer, _open) = self.ask(self.signed(crate::admin::SERVICE, path, &json, body)?).await?;
        let mut held: Vec<u8> = Vec::new();
        while let Some(frame) = answer.frame().await {
            let frame = frame.map_err(|error| anyhow::anyhow!("the answer ended early: {error}"))?;
            let Some(data) = frame.data_ref() else { continue };
            for piece in data.split_inclusive(|byte| *byte == b'\n') {
                held.extend_from_slice(piece);
                if let Some(line) = held.strip_suffix(b"\n") {
                    each(line)?;
                    held.clear();
                }
            }
            anyhow::ensure!(held.len() <= ANSWER_BYTES_MAX, "a line of the answer is too long");
        }
        if held.is_empty() { Ok(()) } else { each(&held) }
    }

    /// Follows a link of a mail, unsigned.
    pub(crate) async fn follow(&self, path_and_query: &str) -> Result<Bytes> {
        let request = Request::get(path_and_query).header("host", &self.authority).body(Full::default())?;
        self.exchange(request).await
    }

    async fn send(
        &self,
        service: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Bytes> {
        self.exchange(self.signed(service, path, headers, body)?).await
    }

    fn signed(
        &self,
        service: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::post(path).header("host", &self.authority);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let (mut parts, ()) = request.body(())?.into_parts();
        let key = Key {
            access_key: &self.key.access_key_id,
            secret: &self.key.secret_access_key,
            session_token: None,
        };
        sigv4::sign(&mut parts, &body, &key, &self.region, service, clock::now().as_millis())
            .context("the request cannot be signed")?;
        Ok(Request::from_parts(parts, Full::from(body)))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Bytes> {
        let (answer, _open) = self.ask(request).await?;
        read(answer).await
    }

    /// Asks, and gives the answer's body if it is a success, to be read while the connection is held open.
    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<(Incoming, Open)> {
        let stream = TcpStream::connect(&self.authority).await.with_context(|| {
            format!("no server answers at {}; start one with `nightbell serve`", self.authority)
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .context("the connection failed")?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await.context("the server closed the connection")?;
        let open = Open { connection, _sender: sender };
        let status = response.status();
        if status.is_success() {
            return Ok((response.into_body(), open));
        }
        Err(refused(status, &read(response.into_body()).await?).into())
    }
}

fn json_headers(target: &str, version: &str, operation: &str) -> [(&'static str, String); 2] {
    [
        ("content-type", format!("application/x-amz-json-{version}")),
        ("x-amz-target", format!("{target}.{operation}")),
    ]
}

/// The messages of an answer that goes on.
pub(crate) struct Messages {
    body: Incoming,
    decoder: Decoder,
    _open: Open,
}

impl Messages {
    /// The next message, once it is there; nothing at the answer's end.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>> {
        loop {
            if let Some(message) = self.decoder.message().context("the answer is no event stream")? {
                return Ok(Some(message));
            }
            let Some(frame) = self.body.frame().await else {
                anyhow::ensure!(self.decoder.is_empty(), "the answer ended early");
                return Ok(None);
            };
            if let Some(piece) = frame.context("the answer ended early")?.data_ref() {
                self.decoder.push(piece);
            }
        }
    }
}

/// A connection, for as long as this is held.
struct Open {
    connection: tokio::task::JoinHandle<Result<(), hyper::Error>>,
    _sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// All of an answer.
async fn read(answer: Incoming) -> Result<Bytes> {
    let body = Limited::new(answer, ANSWER_BYTES_MAX).collect().await;
    Ok(body.map_err(|error| anyhow::anyhow!("the answer could not be read: {error}"))?.to_bytes())
}

fn refused(status: http::StatusCode, body: &[u8]) -> Refused {
    let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = String::from_utf8_lossy(body);
    let between = |start: &str, end: &str| {
        text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(found, _)| found.to_owned())
    };
    let part = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    Refused {
        code: part("__type").or_else(|| between("<Code>", "</Code>")).unwrap_or_else(|| status.to_string()),
        message: part("message")
            .or_else(|| between("<Message>", "</Message>"))
            .unwrap_or_else(|| text.trim().chars().take(300).collect()),
    }
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
