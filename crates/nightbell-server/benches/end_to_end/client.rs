/*!
A signed HTTP/1.1 client that costs little: one connection kept open, requests as bytes, answers read and mostly dropped.

Signing and sending are apart, so that a measurement may sign before it starts; a signature holds for 15 minutes.
*/

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use nightbell_wire::sigv4::{self, Key};

/// Region that requests are signed for.
pub(crate) const REGION: &str = "us-east-1";
/// The root key of the server under test; nothing but this benchmark knows it.
pub(crate) const KEY_ID: &str = "AKIANIGHTBELLBENCH00";
pub(crate) const SECRET: &str = "bench-only-0123456789abcdefghijklmnopqrst";

/// One of the services the server speaks, with the headers of its protocol.
#[derive(Clone, Copy)]
pub(crate) enum Service {
    Logs,
    CloudWatch,
    Sns,
}

impl Service {
    fn signing_name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::CloudWatch => "monitoring",
            Self::Sns => "sns",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Logs => "application/x-amz-json-1.1",
            Self::CloudWatch => "application/x-amz-json-1.0",
            Self::Sns => "application/x-www-form-urlencoded",
        }
    }

    fn target(self) -> Option<&'static str> {
        match self {
            Self::Logs => Some("Logs_20140328"),
            Self::CloudWatch => Some("GraniteServiceVersion20100801"),
            Self::Sns => None,
        }
    }
}

/// A signed request as bytes on the wire.
pub(crate) fn signed(address: &str, service: Service, operation: &str, body: &[u8], now_ms: i64) -> Vec<u8> {
    let mut request = http::Request::post("/")
        .header("host", address)
        .header("content-type", service.content_type())
        .header("content-length", body.len());
    if let Some(target) = service.target() {
        request = request.header("x-amz-target", format!("{target}.{operation}"));
    }
    let (mut parts, ()) = request.body(()).expect("the headers are sound").into_parts();
    let key = Key { access_key: KEY_ID, secret: SECRET, session_token: None };
    sigv4::sign(&mut parts, body, &key, REGION, service.signing_name(), now_ms).expect("host is set");
    let mut bytes = b"POST / HTTP/1.1\r\n".to_vec();
    for (name, value) in &parts.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// An open connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// A connection to the server at `address`.
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a socket takes its options");
        Self { stream: BufReader::new(stream) }
    }

    /// Sends a request and reads the answer: its status and body.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        self.stream.get_mut().write_all(request).expect("the server reads");
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server answers");
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("the server answers");
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(told) = header.strip_prefix("content-length:") {
                length = told.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("the server answers");
        (status, body)
    }

    /// Sends a request that must succeed.
    pub(crate) fn succeed(&mut self, request: &[u8]) -> Vec<u8> {
        let (status, body) = self.exchange(request);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        body
    }

    /// Gets a page that needs no signature.
    pub(crate) fn get(&mut self, address: &str, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        String::from_utf8(self.succeed(request.as_bytes())).expect("pages are text")
    }
}
