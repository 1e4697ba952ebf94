/*!
The one port: takes requests, caps what they may send, tells services apart, answers.

Order of a request: headers (hyper's limits), body under a cap and a deadline, signature over the bytes as received,
inflating under a cap, decoding, the operation.
*/

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use nightbell_wire::call::CallError;
use nightbell_wire::inflate::{InflateError, gunzip};
use nightbell_wire::sigv4::{SigError, SigErrorKind};
use nightbell_wire::{Call, Frame, Protocol, call, rest};
use tokio::net::TcpListener;
use tracing::{debug, error};
use uuid::Uuid;

use crate::app::App;
use crate::auth::Peer;
use crate::aws::error::ApiError;
use crate::aws::service::Service;
use crate::aws::{Cx, route, s3};
use crate::run::Stopping;
use crate::{admin, auth, clock, pages, receiver};
use write_limit::WriteLimited;

mod write_limit;

/// Largest body as it is received: PutLogEvents' 1 MiB of text, escaped as JSON at worst sixfold, and some room.
pub(crate) const BODY_BYTES_MAX: usize = 8 << 20;
/// Largest body of a request to Lambda: 50 MiB of code in base64, and some room.
pub(crate) const LAMBDA_BODY_BYTES_MAX: usize = 70 << 20;
/// Largest body of a request that names no key of ours: enough for what a link of a mail sends.
const UNSIGNED_BYTES_MAX: usize = 64 << 10;
/// Largest body when inflated.
pub(crate) const INFLATED_BYTES_MAX: usize = 8 << 20;
/// Bytes that are set aside for a body before any of it has come.
const BODY_BYTES_AT_ONCE: usize = 64 << 10;
/// Bytes of a body that is too large which are read and thrown away, so that its sender comes to read the answer.
const DRAINED_BYTES_MAX: usize = 64 << 20;
/// How long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the headers of a request may take to arrive, and a connection may be idle before.
const HEADERS_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a client may take nothing of its answer; then its connection is closed.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);
/// Connections at one time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// How long running requests may take after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until told to stop; then no new requests, and running ones end.
pub(crate) async fn serve(app: Arc<App>, listener: TcpListener, mut stopping: Stopping) {
    let builder = connection_builder();
    let room = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    let graceful = hyper_util::server::graceful::GracefulShutdown::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            _ = stopping.changed() => break,
        };
        let Ok(permit) = permit else { break };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(taken) => taken,
                Err(failure) => {
                    // For example too many open files: connections end and room comes back.
                    error!(error = %failure, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = stopping.changed() => break,
        };
        // An answer is small and must leave at once.
        if let Err(failure) = stream.set_nodelay(true) {
            debug!(error = %failure, "a connection has no TCP_NODELAY");
        }
        let app = Arc::clone(&app);
        let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let app = Arc::clone(&app);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer.ip()));
            async move { Ok::<_, Infallible>(answer(app, request).await) }
        });
        let stream = WriteLimited::new(stream, WRITE_TIME_MAX);
        let connection = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(failure) = watched.await {
                debug!(error = %failure, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        error!("some requests did not end in time");
    }
}

/// Serves a connection that came by another way than the port.
pub(crate) async fn serve_stream<S>(app: Arc<App>, stream: S)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(answer(app, request.map(Body::new)).await) }
    });
    let connection = connection_builder().serve_connection(hyper_util::rt::TokioIo::new(stream), service);
    if let Err(failure) = connection.await {
        debug!(error = %failure, "a connection ended early");
    }
}

fn connection_builder() -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(HEADERS_TIME_MAX)
        .max_buf_size(64 << 10);
    builder
}

async fn answer(app: Arc<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if s3::is_meant(&parts) {
        return s3::answer(app, parts, body).await;
    }
    // Requests of REST are signed in a header; presigned ones have a query.
    if parts.method == Method::GET && parts.uri.query().is_none() && !auth::has_signature_header(&parts) {
        match parts.uri.path() {
            "/healthz" => return healthz(&app),
            "/metrics" => {
                if let Some(installation) = &app.installation {
                    app.telemetry.disk(installation.store.disk_bytes(), installation.config.disk_bytes_max);
                }
                return ([(CONTENT_TYPE, "text/plain; version=0.0.4")], app.telemetry.text()).into_response();
            }
            "/" => return pages::welcome(),
            path if path.starts_with("/SimpleNotificationService-") => return certificate(&app, path),
            _ if s3::is_anonymous(&app, &parts) => return s3::answer(app, parts, body).await,
            _ => return (StatusCode::NOT_FOUND, "there is nothing here\n").into_response(),
        }
    }
    if parts.uri.path().starts_with(receiver::PATH) {
        return receiver::answer(&app, &parts, body).await;
    }
    if s3::is_anonymous(&app, &parts) {
        return s3::answer(app, parts, body).await;
    }
    let request_id = Uuid::new_v4().to_string();
    // A body is worth its memory only where its sender names a key of ours.
    let bytes_max = auth::claimed_service(&app, &parts, clock::now())
        .map_or(UNSIGNED_BYTES_MAX, |service| Service::body_bytes_max(&service));
    // Nobody reads on for strangers.
    let read = match bytes_max {
        UNSIGNED_BYTES_MAX => read_body(&parts.headers, body, bytes_max).await,
        _ => read_known_body(&parts.headers, body, bytes_max).await,
    };
    let body = match read {
        Ok(body) => body,
        Err(error) => {
            let frame = frame(protocol_of(&parts), "Error", None, &request_id);
            return route::refuse(&frame, None, &error);
        }
    };
    if parts.uri.path().starts_with("/_nightbell/") {
        return admin::answer(&app, &parts, body).await;
    }
    serve_call(app, &parts, &body, &request_id).await
}

/// The certificate by which receivers of notifications check their signatures.
fn certificate(app: &App, path: &str) -> Response {
    match app.signing.certificate(path) {
        Ok(Some(pem)) => ([(CONTENT_TYPE, "application/x-pem-file")], pem).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, "there is nothing here\n").into_response(),
        Err(failure) => {
            error!(error = %format!("{failure:#}"), "the certificate of notifications cannot be read");
            (StatusCode::INTERNAL_SERVER_ERROR, "the certificate cannot be read now\n").into_response()
        }
    }
}

fn healthz(app: &App) -> Response {
    match app.trouble(clock::now()) {
        None => "ok\n".into_response(),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")).into_response(),
    }
}

async fn serve_call(app: Arc<App>, parts: &Parts, received: &Bytes, request_id: &str) -> Response {
    let now = clock::now();
    let before = frame(protocol_of(parts), "Error", None, request_id);
    // The signature is over the bytes as received, and is checked before they are worth any work.
    let caller = match auth::is_signed(parts).then(|| auth::check(&app, parts, received, now)).transpose() {
        Ok(caller) => caller,
        Err(error) => return refuse_caller(&before, parts, received, &error),
    };
    let inflated = match inflate(&parts.headers, received) {
        Ok(inflated) => inflated,
        Err(error) => return route::refuse(&before, None, &error),
    };
    let body = match inflated.as_deref().unwrap_or(received) {
        // RFC 8058: a mail program's own button sends this to the link; what is asked stands in the address.
        b"List-Unsubscribe=One-Click" => b"",
        body => body,
    };
    let call = match read_call(parts, caller.as_ref(), body) {
        Ok(call) => call,
        Err(error) => {
            let (code, status) = error.code();
            let frame = frame(error.protocol, "Error", None, request_id);
            let error = ApiError { status: status.as_u16(), code, message: error.message.into() };
            return route::refuse(&frame, None, &error);
        }
    };
    let (service, region, caller) = match service_and_region(caller, &call) {
        Ok(found) => found,
        Err(error) => {
            let service = Service::unsigned(&call);
            return route::refuse(
                &frame(call.protocol, &call.operation, service, request_id),
                service,
                &error,
            );
        }
    };
    let unsigned = !auth::is_signed(parts);
    let person = unsigned && pages::wanted(&parts.headers);
    if unsigned
        && parts.method == Method::GET
        && (person || matches!(call.operation.as_str(), "Unsubscribe" | "ConfirmVerification"))
    {
        // Mail scanners follow links; only a person presses a button.
        return pages::ask(&call.operation);
    }
    let frame = frame(call.protocol, &call.operation, Some(service), request_id);
    let response = route::route(Cx { app, region, now, caller }, service, &call, body, &frame).await;
    if person {
        return pages::after_link(&call.operation, response.status());
    }
    response
}

/// Which operation is asked for: by the paths of the service that was signed for, where it has some.
fn read_call(parts: &Parts, caller: Option<&auth::Caller>, body: &[u8]) -> Result<Call, CallError> {
    let paths = caller.and_then(|caller| Service::paths(&caller.scope.service, parts.uri.path()));
    match paths {
        Some(paths) => rest::read(paths, &parts.method, &parts.uri, &parts.headers),
        None => call::read(&parts.method, &parts.uri, &parts.headers, body),
    }
}

/// Refuses a signature, in the shape of the service that was meant where the call can be read.
fn refuse_caller(before: &Frame<'_>, parts: &Parts, received: &[u8], error: &SigError) -> Response {
    let (code, status) = error.code(before.protocol);
    let refused = ApiError { status: status.as_u16(), code, message: error.message.clone() };
    match call::read(&parts.method, &parts.uri, &parts.headers, received) {
        _ if before.protocol == Protocol::RestJson => route::refuse(before, None, &refused),
        Ok(call) => {
            let service = Service::unsigned(&call);
            route::refuse(
                &frame(call.protocol, &call.operation, service, before.request_id),
                service,
                &refused,
            )
        }
        Err(_) => route::refuse(before, None, &refused),
    }
}

/// Which service is meant, in which region, and by whom.
fn service_and_region(
    caller: Option<auth::Caller>,
    call: &Call,
) -> Result<(Service, String, auth::Principal), ApiError> {
    match caller {
        Some(caller) => {
            let name = &caller.scope.service;
            let service = Service::signed(name, call).ok_or_else(|| {
                let text =
                    format!("The operation {} of the service {name} is not served here", call.operation);
                let query = call.protocol == Protocol::Query;
                ApiError::sender(if query { "InvalidAction" } else { "UnknownOperationException" }, text)
            })?;
            Ok((service, caller.scope.region, caller.principal))
        }
        None => match Service::unsigned(call) {
            // A link's ARN names the region.
            Some(service) if service.may_be_unsigned(&call.operation) => {
                Ok((service, String::new(), auth::Principal::Link))
            }
            _ => {
                let error =
                    SigError::new(SigErrorKind::Missing, "The request must be signed with an access key.");
                let (code, status) = error.code(call.protocol);
                Err(ApiError { status: status.as_u16(), code, message: error.message })
            }
        },
    }
}

/// Reads a body, at most `bytes_max` of it and for at most [`BODY_TIME_MAX`].
pub(crate) async fn read_body(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    read_stream(headers, &mut body.into_data_stream(), bytes_max).await
}

/// As [`read_body`], from a sender that names a key of ours: where it sends too much, that is read and thrown away within bounds. A
/// connection that is closed while bytes are on their way takes the answer with it.
pub(crate) async fn read_known_body(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let read = read_stream(headers, &mut stream, bytes_max).await;
    // Who asks before sending is told before sending.
    if read.as_ref().is_err_and(|error| error.status == 413) && !headers.contains_key(http::header::EXPECT) {
        let drain = async {
            let mut bytes = 0;
            while let Some(Ok(chunk)) = stream.next().await {
                bytes += chunk.len();
                if bytes > DRAINED_BYTES_MAX {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIME_MAX, drain).await;
    }
    read
}

async fn read_stream(
    headers: &HeaderMap,
    stream: &mut axum::body::BodyDataStream,
    bytes_max: usize,
) -> Result<Bytes, ApiError> {
    let too_large = || ApiError {
        status: 413,
        code: "RequestEntityTooLarge",
        message: format!("The body is larger than the limit of {bytes_max} bytes"),
    };
    let told = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let read = async {
        let mut all = BytesMut::with_capacity((told.unwrap_or(0) as usize).min(BODY_BYTES_AT_ONCE));
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| ApiError::sender("IncompleteBody", "The body ended early"))?;
            if all.len() + chunk.len() > bytes_max {
                return Err(too_large());
            }
            if all.len() >= BODY_BYTES_AT_ONCE {
                // It really comes: room for the rest at once, rather than doubled and copied.
                all.reserve((told.unwrap_or(0) as usize).min(bytes_max).saturating_sub(all.len()));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    };
    match tokio::time::timeout(BODY_TIME_MAX, read).await {
        Ok(done) => done,
        Err(_) => Err(ApiError {
            status: 408,
            code: "RequestTimeout",
            message: format!("The body did not arrive within {} seconds", BODY_TIME_MAX.as_secs()),
        }),
    }
}

/// The inflated body; `None` where it is not compressed.
pub(crate) fn inflate(headers: &HeaderMap, body: &[u8]) -> Result<Option<Vec<u8>>, ApiError> {
    let Some(encoding) = headers.get(CONTENT_ENCODING).and_then(|encoding| encoding.to_str().ok()) else {
        return Ok(None);
    };
    // `aws-chunked` and `identity` say nothing about compression here.
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => match gunzip(body, INFLATED_BYTES_MAX) {
            Ok(inflated) => Ok(Some(inflated)),
            Err(InflateError::TooLarge { limit }) => Err(ApiError {
                status: 413,
                code: "RequestEntityTooLarge",
                message: format!("The inflated body is larger than the limit of {limit} bytes"),
            }),
            Err(error) => Err(ApiError::sender("InvalidContentEncoding", error.to_string())),
        },
        other => Err(ApiError {
            status: 415,
            code: "UnsupportedMediaType",
            message: format!("Content-Encoding {other} is not served; send gzip or none"),
        }),
    }
}

fn frame<'a>(
    protocol: Protocol,
    operation: &'a str,
    service: Option<Service>,
    request_id: &'a str,
) -> Frame<'a> {
    Frame { protocol, operation, xmlns: service.unwrap_or(Service::Logs).traits().xmlns, request_id }
}

/// The protocol a request seems to speak, for errors before it is read.
fn protocol_of(parts: &Parts) -> Protocol {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content = text("content-type");
    if content.starts_with("application/cbor") || parts.headers.contains_key("smithy-protocol") {
        Protocol::Cbor
    } else if content.starts_with("application/x-amz-json-1.0") {
        Protocol::Json10
    } else if content.starts_with("application/x-amz-json") || parts.headers.contains_key("x-amz-target") {
        Protocol::Json11
    } else if auth::claims_rest(parts) {
        Protocol::RestJson
    } else {
        Protocol::Query
    }
}
