/*!
The Lambda Runtime API, which a function's process asks for events and tells what came of them ("Using the Lambda runtime API",
AWS Lambda developer guide). One process has one [`Desk`], at a socket or port of its own.

Knows events and answers, and nothing of processes or functions.
*/

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use nightbell_core::time::Timestamp;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, mpsc};
use tracing::debug;

use crate::listen::read_body;

/// Largest answer of a function ("Lambda quotas"), in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 6_291_556;
/// Largest description of an error.
pub(crate) const ERROR_BYTES_MAX: usize = 256 << 10;
/// Connections of one process at one time.
const CONNECTIONS_MAX: usize = 64;
/// Words of a process that wait to be heard; past it the process waits.
const WORDS_MAX: usize = 16;

/// An event as a process gets it.
pub(super) struct Event {
    /// The invocation's id.
    pub(super) id: String,
    /// What the function is given.
    pub(super) payload: Bytes,
    /// When it must have answered.
    pub(super) deadline: Timestamp,
    /// The ARN that was invoked.
    pub(super) arn: String,
    /// What a client told beside the payload, as JSON.
    pub(super) client_context: Option<String>,
}

/// What a process says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It waits for an event: it has started, or is done with the last one.
    Next,
    /// What the function gave.
    Answer(Bytes),
    /// What went wrong in it, as JSON.
    Error(Bytes),
    /// It gave more than [`ANSWER_BYTES_MAX`].
    TooLarge,
    /// It could not start, and why, as JSON.
    InitError(Bytes),
}

/// Where a process asks.
pub(super) enum Door {
    /// A socket in the file system.
    Socket(UnixListener),
    /// A port of loopback.
    Port(TcpListener),
}

/// The server's end of one process.
pub(super) struct Desk {
    events: mpsc::Sender<Event>,
    words: mpsc::Receiver<Word>,
    current: Arc<Mutex<Option<String>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Desk {
    /// Serves at `door` until it is dropped.
    pub(super) fn open(door: Door) -> Self {
        let (events, waiting) = mpsc::channel(1);
        let (says, words) = mpsc::channel(WORDS_MAX);
        let current: Arc<Mutex<Option<String>>> = Arc::default();
        let counter =
            Counter { events: tokio::sync::Mutex::new(waiting), says, current: Arc::clone(&current) };
        let serving = tokio::spawn(serve(door, Arc::new(counter)));
        Self { events, words, current, serving }
    }

    /// Hands out an event; what was said before it is forgotten.
    pub(super) async fn hand_out(&mut self, event: Event) {
        while self.words.try_recv().is_ok() {}
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(event.id.clone());
        // The receiver lives as long as the serving task, and that as long as this.
        let _ = self.events.send(event).await;
    }

    /// What the process says next; nothing more once the desk is closed.
    pub(super) async fn word(&mut self) -> Option<Word> {
        self.words.recv().await
    }
}

/// The process's side of a desk.
struct Counter {
    events: tokio::sync::Mutex<mpsc::Receiver<Event>>,
    says: mpsc::Sender<Word>,
    current: Arc<Mutex<Option<String>>>,
}

async fn serve(door: Door, counter: Arc<Counter>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let counter = Arc::clone(&counter);
        let accepted = match &door {
            Door::Socket(listener) => listener.accept().await.map(|(stream, _)| {
                connections.spawn(async move {
                    serve_stream(stream, counter).await;
                    drop(permit);
                });
            }),
            Door::Port(listener) => listener.accept().await.map(|(stream, _)| {
                connections.spawn(async move {
                    serve_stream(stream, counter).await;
                    drop(permit);
                });
            }),
        };
        if let Err(error) = accepted {
            debug!(%error, "a connection of a function could not be taken");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

async fn serve_stream(stream: impl AsyncRead + AsyncWrite + Unpin, counter: Arc<Counter>) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let counter = Arc::clone(&counter);
        async move { Ok::<_, Infallible>(counter.answer(request.map(Body::new)).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a connection of a function ended early");
    }
}

impl Counter {
    async fn answer(&self, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let Some(path) = parts.uri.path().strip_prefix("/2018-06-01/runtime/") else {
            return refuse(StatusCode::NOT_FOUND, "NotFound", "this is the Lambda Runtime API 2018-06-01");
        };
        let segments: Vec<&str> = path.split('/').collect();
        match (&parts.method, segments.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => {
                self.take(id, &parts.headers, body, ANSWER_BYTES_MAX, Word::Answer).await
            }
            (&Method::POST, ["invocation", id, "error"]) => {
                self.take(id, &parts.headers, body, ERROR_BYTES_MAX, Word::Error).await
            }
            (&Method::POST, ["init", "error"]) => {
                match read_body(&parts.headers, body, ERROR_BYTES_MAX).await {
                    Ok(body) => self.say(Word::InitError(body)).await,
                    Err(error) => {
                        refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &error.message)
                    }
                }
            }
            _ => refuse(StatusCode::NOT_FOUND, "NotFound", "no such path of the Lambda Runtime API"),
        }
    }

    async fn next(&self) -> Response {
        if self.says.send(Word::Next).await.is_err() {
            return refuse(StatusCode::GONE, "Gone", "the process is not wanted any more");
        }
        let Some(event) = self.events.lock().await.recv().await else {
            return refuse(StatusCode::GONE, "Gone", "the process is not wanted any more");
        };
        let mut answer = Response::builder()
            .header("Content-Type", "application/json")
            .header("Lambda-Runtime-Aws-Request-Id", &event.id)
            .header("Lambda-Runtime-Deadline-Ms", event.deadline.as_millis())
            .header("Lambda-Runtime-Invoked-Function-Arn", &event.arn)
            .header("Lambda-Runtime-Trace-Id", trace_id(&event));
        if let Some(context) = &event.client_context {
            answer = answer.header("Lambda-Runtime-Client-Context", context);
        }
        answer.body(Body::from(event.payload)).unwrap_or_else(|_| {
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "Internal", "the event cannot be written")
        })
    }

    /// Takes what came of the event under way; of any other it is refused.
    async fn take(
        &self,
        id: &str,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
        word: fn(Bytes) -> Word,
    ) -> Response {
        let is_current =
            || self.current.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(id);
        let unknown = || refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
        if !is_current() {
            return unknown();
        }
        let body = read_body(headers, body, bytes_max).await;
        if self.current.lock().unwrap_or_else(PoisonError::into_inner).take_if(|now| now == id).is_none() {
            return unknown();
        }
        match body {
            Ok(body) => self.say(word(body)).await,
            Err(error) if error.status == 413 => {
                self.say(Word::TooLarge).await;
                refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &error.message)
            }
            Err(error) => {
                self.say(Word::Error(description("Runtime.BadAnswer", &error.message))).await;
                refuse(StatusCode::BAD_REQUEST, "BadRequest", &error.message)
            }
        }
    }

    async fn say(&self, word: Word) -> Response {
        match self.says.send(word).await {
            Ok(()) => (StatusCode::ACCEPTED, axum_json(&json!({ "status": "OK" }))).into_response(),
            Err(_) => refuse(StatusCode::GONE, "Gone", "the process is not wanted any more"),
        }
    }
}

/// The form of an X-Ray trace id, sampled by nobody.
fn trace_id(event: &Event) -> String {
    let id: String = event.id.chars().filter(char::is_ascii_hexdigit).take(24).collect();
    format!("Root=1-{:08x}-{id:0>24};Sampled=0", event.deadline.as_millis() / 1_000)
}

/// An error of a function, as AWS writes it.
pub(super) fn description(kind: &str, message: &str) -> Bytes {
    json!({ "errorType": kind, "errorMessage": message }).to_string().into()
}

fn refuse(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, axum_json(&json!({ "errorType": kind, "errorMessage": message }))).into_response()
}

fn axum_json(value: &serde_json::Value) -> impl IntoResponse {
    ([("content-type", "application/json")], value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> Event {
        Event {
            id: id.to_owned(),
            payload: Bytes::from_static(b"{\"n\":1}"),
            deadline: Timestamp::from_millis(1_790_000_000_000),
            arn: "arn:aws:lambda:site:123456789012:function:f".to_owned(),
            client_context: None,
        }
    }

    struct Asking(std::net::SocketAddr);

    impl Asking {
        async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
            self.announce(method, path, body.len(), body).await
        }

        /// Says that the body has `length` bytes and sends `body`.
        async fn announce(&self, method: &str, path: &str, length: usize, body: &str) -> (u16, String) {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut stream = tokio::net::TcpStream::connect(self.0).await.unwrap();
            let request = format!(
                "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let mut chunk = [0; 4096];
            loop {
                match stream.read(&mut chunk).await.unwrap() {
                    0 => break,
                    read => answer.extend_from_slice(&chunk[..read]),
                }
            }
            let answer = String::from_utf8(answer).unwrap();
            (answer[9..12].parse().unwrap(), answer)
        }
    }

    async fn desk() -> (Desk, Asking) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let asking = Asking(listener.local_addr().unwrap());
        (Desk::open(Door::Port(listener)), asking)
    }

    #[tokio::test]
    async fn a01_an_answer_ends_the_invocation_and_the_next_event_follows() {
        let (mut desk, asking) = desk().await;
        for id in ["r1", "r2"] {
            desk.hand_out(event(id)).await;
            let (status, text) = asking.ask("GET", "invocation/next", "").await;
            assert_eq!(status, 200);
            let text = text.to_ascii_lowercase();
            assert!(text.contains(&format!("lambda-runtime-aws-request-id: {id}")), "{text}");
            assert!(
                text.contains("lambda-runtime-deadline-ms: 1790000000000") && text.ends_with("{\"n\":1}")
            );
            assert_eq!(desk.word().await, Some(Word::Next));
            assert_eq!(asking.ask("POST", &format!("invocation/{id}/response"), "7").await.0, 202);
            assert_eq!(desk.word().await, Some(Word::Answer(Bytes::from_static(b"7"))));
        }
    }

    #[tokio::test]
    async fn a04_what_nobody_asked_for_is_refused() {
        let (mut desk, asking) = desk().await;
        assert_eq!(asking.ask("POST", "invocation/r1/response", "7").await.0, 400);
        desk.hand_out(event("r1")).await;
        let (status, text) = asking.ask("POST", "invocation/other/response", "7").await;
        assert!(status == 400 && text.contains("InvalidRequestID"), "{text}");
        assert_eq!(asking.ask("POST", "invocation/r1/error", "{}").await.0, 202);
        assert_eq!(asking.ask("POST", "invocation/r1/response", "7").await.0, 400, "it is answered already");
        assert_eq!(desk.word().await, Some(Word::Error(Bytes::from_static(b"{}"))));
        for (method, path) in [("GET", "invocation/r1/response"), ("POST", "invocation/next"), ("GET", "x")] {
            assert_eq!(asking.ask(method, path, "").await.0, 404, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_no_answer() {
        let (mut desk, asking) = desk().await;
        desk.hand_out(event("r1")).await;
        // It is refused by its length; nobody reads what follows, so nothing does.
        let path = "invocation/r1/response";
        assert_eq!(asking.announce("POST", path, ANSWER_BYTES_MAX + 1, "").await.0, 413);
        assert_eq!(desk.word().await, Some(Word::TooLarge));
    }
}
