/*!
From a call to the function that serves it: decoding, counting and encoding are the same for all, and each service has a file
with one line for each of its operations.
*/

use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use nightbell_wire::{Call, ErrorParts, Frame, Protocol, decode, encode, encode_error, eventstream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::error;

use super::error::{ApiError, Told};
use super::service::Service;
use super::{Cx, reads};

mod cloudwatch;
mod logs;
mod sns;
mod sts;

/// Serves a call whose signature was checked.
pub(crate) async fn route(cx: Cx, service: Service, call: &Call, body: &[u8], frame: &Frame<'_>) -> Response {
    let asked = Asked { cx, service, call, body, frame };
    match service {
        Service::Logs => logs::route(asked).await,
        Service::CloudWatch => cloudwatch::route(asked).await,
        Service::Sns => sns::route(asked).await,
        Service::Sts => sts::route(asked).await,
    }
}

/// How many damaged files and blocks an answer has left out.
const LEFT_OUT_HEADER: &str = "x-nightbell-left-out";

/// An answer as the protocol writes it.
fn encoded(service: Service, frame: &Frame<'_>, answer: &impl Serialize) -> Response {
    match encode(frame, answer) {
        Ok(encoded) => encoded.into_response::<Body>(),
        Err(error) => {
            error!(%error, operation = frame.operation, "an answer could not be written");
            let inside = ApiError {
                status: 500,
                code: "InternalFailure",
                message: "The answer could not be written".into(),
            };
            refuse(frame, Some(service), &inside)
        }
    }
}

struct Asked<'a> {
    cx: Cx,
    service: Service,
    call: &'a Call,
    body: &'a [u8],
    frame: &'a Frame<'a>,
}

impl Asked<'_> {
    /// Decodes the request, calls `serve`, encodes what it gives.
    async fn by<Q, A, E, W>(self, serve: impl FnOnce(Cx, Q) -> W) -> Response
    where
        Q: DeserializeOwned,
        A: Serialize,
        E: Into<Told>,
        W: Future<Output = Result<A, E>>,
    {
        let (service, frame) = (self.service, self.frame);
        match self.answer(serve).await {
            Ok(answer) => encoded(service, frame, &answer),
            Err(told) => refuse_with(frame, Some(service), &told),
        }
    }

    /// The same for an answer of stored events; a header says what damage has left out of it, for clients that see no
    /// members but AWS's.
    async fn reading<Q, A, W>(self, serve: impl FnOnce(Cx, Q) -> W) -> Response
    where
        Q: DeserializeOwned,
        A: Serialize + reads::MayLeaveOut,
        W: Future<Output = Result<A, ApiError>>,
    {
        let (service, frame) = (self.service, self.frame);
        match self.answer(serve).await {
            Ok(answer) if answer.left_out() == 0 => encoded(service, frame, &answer),
            Ok(answer) => {
                let left_out = answer.left_out().to_string();
                ([(LEFT_OUT_HEADER, left_out)], encoded(service, frame, &answer)).into_response()
            }
            Err(told) => refuse_with(frame, Some(service), &told),
        }
    }

    /// The same for an operation whose answer goes on: `serve` gives the messages of its event stream.
    async fn going_on<Q, W>(self, serve: impl FnOnce(Cx, Q, String) -> W) -> Response
    where
        Q: DeserializeOwned,
        W: Future<Output = Result<Body, ApiError>>,
    {
        if !matches!(self.call.protocol, Protocol::Json10 | Protocol::Json11) {
            return self.unknown();
        }
        let (service, frame) = (self.service, self.frame);
        let request_id = frame.request_id.to_owned();
        match self.answer(|cx, request| serve(cx, request, request_id)).await {
            Ok(body) => {
                let headers =
                    [("content-type", eventstream::CONTENT_TYPE), ("x-amzn-requestid", frame.request_id)];
                (headers, body).into_response()
            }
            Err(told) => refuse_with(frame, Some(service), &told),
        }
    }

    /// Decodes the request and calls `serve`; counts what it comes to.
    async fn answer<Q, A, E, W>(self, serve: impl FnOnce(Cx, Q) -> W) -> Result<A, Told>
    where
        Q: DeserializeOwned,
        E: Into<Told>,
        W: Future<Output = Result<A, E>>,
    {
        let app = Arc::clone(&self.cx.app);
        let answer = match decode(self.call, self.body) {
            Ok(request) => serve(self.cx, request).await.map_err(Into::into),
            Err(error) => Err(ApiError::sender(error.code(self.call.protocol).0, error.to_string()).into()),
        };
        let told = answer.as_ref().map_or_else(|told: &Told| told.error.code, |_| "ok");
        app.telemetry.requests.with_label_values(&[self.call.operation.as_str(), told]).inc();
        answer
    }

    fn unknown(self) -> Response {
        let (service, operation) = (self.service, &self.call.operation);
        let name = service.traits().name;
        let code = match self.call.protocol {
            Protocol::Query => "InvalidAction",
            Protocol::Json10 | Protocol::Json11 | Protocol::Cbor => "UnknownOperationException",
        };
        self.cx.app.telemetry.requests.with_label_values(&["unknown", code]).inc();
        let text = format!("The operation {operation} of {name} is not served by this version");
        refuse(self.frame, Some(service), &ApiError::sender(code, text))
    }
}

/// An error in the shape of the call's protocol.
pub(crate) fn refuse(frame: &Frame<'_>, service: Option<Service>, error: &ApiError) -> Response {
    refuse_with(frame, service, &error.clone().into())
}

fn refuse_with(frame: &Frame<'_>, service: Option<Service>, told: &Told) -> Response {
    let error = &told.error;
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let shape = service.map_or(error.code, |service| error.shape(service));
    let mut parts = ErrorParts::new(status, error.code, &error.message);
    parts.shape = shape;
    parts.members = &told.members;
    parts.query_compatible = service.is_some_and(|service| service.traits().query_compatible);
    encode_error(frame, &parts).into_response()
}
