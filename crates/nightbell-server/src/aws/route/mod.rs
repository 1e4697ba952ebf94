/*!
From a call to the function that serves it: decoding, counting and encoding are the same for all, and each service has a file
with one line for each of its operations.
*/

use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use http::StatusCode;
use nightbell_wire::{Call, Encoded, ErrorParts, Frame, Protocol, decode, encode, encode_error, eventstream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::error;

use super::error::{ApiError, Told};
use super::lambda::invoke::Invoked;
use super::service::Service;
use super::{Cx, access, known, reads};

mod cloudformation;
mod cloudwatch;
mod firehose;
mod iam;
pub(super) mod lambda;
mod logs;
pub(super) mod s3;
pub(super) mod ses;
mod sns;
mod ssm;
mod sts;

/// Serves a call whose signature was checked.
pub(crate) async fn route(cx: Cx, service: Service, call: &Call, body: &[u8], frame: &Frame<'_>) -> Response {
    match dispatch(Asked { cx, service, call, body, frame }).await {
        Ok(Answer::Whole(encoded)) => encoded.into_response::<Body>(),
        Ok(Answer::GoingOn(body)) => {
            let headers =
                [("content-type", eventstream::CONTENT_TYPE), ("x-amzn-requestid", frame.request_id)];
            (headers, body).into_response()
        }
        Err(told) => refuse_with(frame, Some(service), &told),
    }
}

/// Asks for an operation from inside the server, for the caller in `cx`: the same rules, the same answers, the same counting. Input and
/// output are as JSON has them; `Null` stands for an operation without output.
///
/// # Errors
/// Those of the operation. One whose answer goes on is refused.
pub(crate) fn call<'a>(
    cx: Cx,
    service: Service,
    operation: &'a str,
    input: &'a Value,
) -> BoxFuture<'a, Result<Value, Told>> {
    Box::pin(ask(cx, service, operation, input))
}

async fn ask(cx: Cx, service: Service, operation: &str, input: &Value) -> Result<Value, Told> {
    let call = Call::inside(operation);
    let frame =
        Frame { protocol: call.protocol, operation, xmlns: service.traits().xmlns, request_id: "inside" };
    let failed = |error: serde_json::Error| {
        error!(%error, operation, "an operation could not be asked for inside");
        Told::from(ApiError::inside())
    };
    let body = serde_json::to_vec(input).map_err(failed)?;
    match dispatch(Asked { cx, service, call: &call, body: &body, frame: &frame }).await? {
        Answer::Whole(encoded) if encoded.body.is_empty() => Ok(Value::Null),
        Answer::Whole(encoded) => serde_json::from_slice(&encoded.body).map_err(failed),
        Answer::GoingOn(_) => {
            let text = format!("The answer of {operation} goes on; ask for it over the network");
            Err(ApiError::sender(service.traits().codes.invalid, text).into())
        }
    }
}

/// The service's answer. The type of each future ends here: operations ask for operations, and whoever awaits one would be compiled
/// as if it held them all.
fn dispatch(asked: Asked<'_>) -> BoxFuture<'_, Result<Answer, Told>> {
    match asked.service {
        Service::Logs => Box::pin(logs::route(asked)),
        Service::CloudWatch => Box::pin(cloudwatch::route(asked)),
        Service::Sns => Box::pin(sns::route(asked)),
        Service::Sts => Box::pin(sts::route(asked)),
        Service::Iam => Box::pin(iam::route(asked)),
        Service::Lambda => Box::pin(lambda::route(asked)),
        Service::Ssm => Box::pin(ssm::route(asked)),
        Service::Ses => Box::pin(ses::route(asked)),
        Service::Firehose => Box::pin(firehose::route(asked)),
        Service::SesV2 => Box::pin(ses::route_v2(asked)),
        Service::S3 => Box::pin(s3::inside(asked)),
        Service::CloudFormation => Box::pin(cloudformation::route(asked)),
    }
}

/// Characters of an unknown operation that its error repeats.
const OPERATION_CHARS_SHOWN: usize = 100;
/// How many damaged files and blocks an answer has left out.
const LEFT_OUT_HEADER: &str = "x-nightbell-left-out";

/// An answer as the protocol writes it.
fn encoded(call: &Call, frame: &Frame<'_>, answer: &impl Serialize) -> Result<Encoded, Told> {
    match encode(frame, answer) {
        Ok(encoded) => Ok(Encoded { status: call.status, ..encoded }),
        Err(error) => {
            error!(%error, operation = frame.operation, "an answer could not be written");
            Err(ApiError::inside().into())
        }
    }
}

/// What an operation answers.
enum Answer {
    /// All of it.
    Whole(Encoded),
    /// An event stream, which begins now.
    GoingOn(Body),
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
    async fn by<Q, A, E, W>(self, serve: impl FnOnce(Cx, Q) -> W) -> Result<Answer, Told>
    where
        Q: DeserializeOwned,
        A: Serialize,
        E: Into<Told>,
        W: Future<Output = Result<A, E>>,
    {
        let (call, frame) = (self.call, self.frame);
        let answer = self.answer(serve).await?;
        encoded(call, frame, &answer).map(Answer::Whole)
    }

    /// The same for an answer of stored events; a header says what damage has left out of it, for clients that see no
    /// members but AWS's.
    async fn reading<Q, A, W>(self, serve: impl FnOnce(Cx, Q) -> W) -> Result<Answer, Told>
    where
        Q: DeserializeOwned,
        A: Serialize + reads::MayLeaveOut,
        W: Future<Output = Result<A, ApiError>>,
    {
        let (call, frame) = (self.call, self.frame);
        let answer = self.answer(serve).await?;
        let mut encoded = encoded(call, frame, &answer)?;
        let left_out = answer.left_out();
        if left_out > 0 {
            encoded.headers.insert(LEFT_OUT_HEADER, left_out.into());
        }
        Ok(Answer::Whole(encoded))
    }

    /// The same for an answer that is no encoded structure but bytes of somebody else's.
    async fn invoking<Q, W>(self, serve: impl FnOnce(Cx, Q) -> W) -> Result<Answer, Told>
    where
        Q: DeserializeOwned,
        W: Future<Output = Result<Invoked, Told>>,
    {
        let (call, frame) = (self.call, self.frame);
        let answer = self.answer(serve).await?;
        let mut encoded = encoded(call, frame, &())?;
        encoded.status = answer.status;
        encoded.headers.extend(answer.headers);
        encoded.body = answer.body;
        Ok(Answer::Whole(encoded))
    }

    /// The same for an operation whose answer goes on: `serve` gives the messages of its event stream.
    async fn going_on<Q, W>(self, serve: impl FnOnce(Cx, Q, String) -> W) -> Result<Answer, Told>
    where
        Q: DeserializeOwned,
        W: Future<Output = Result<Body, ApiError>>,
    {
        if !matches!(self.call.protocol, Protocol::Json10 | Protocol::Json11) {
            return self.unknown();
        }
        let request_id = self.frame.request_id.to_owned();
        self.answer(|cx, request| serve(cx, request, request_id)).await.map(Answer::GoingOn)
    }

    /// Decodes the request, judges whether the caller may ask for it, and calls `serve`; counts what it comes to.
    async fn answer<Q, A, E, W>(self, serve: impl FnOnce(Cx, Q) -> W) -> Result<A, Told>
    where
        Q: DeserializeOwned,
        E: Into<Told>,
        W: Future<Output = Result<A, E>>,
    {
        let app = Arc::clone(&self.cx.app);
        let answer = match decode(self.call, self.body) {
            Ok(request) => match access::judge(&self.cx, self.service, self.call, self.body) {
                Ok(()) => serve(self.cx, request).await.map_err(Into::into),
                Err(told) => Err(told),
            },
            Err(error) => Err(ApiError::sender(error.code(self.call.protocol).0, error.to_string()).into()),
        };
        let told = answer.as_ref().map_or_else(|told: &Told| told.error.code, |_| "ok");
        app.telemetry.requests.with_label_values(&[self.call.operation.as_str(), told]).inc();
        answer
    }

    fn unknown(self) -> Result<Answer, Told> {
        let traits = self.service.traits();
        let (name, operation) = (traits.name, &self.call.operation);
        let (code, status) = match self.call.protocol {
            Protocol::Query => ("InvalidAction", 400),
            Protocol::Json10 | Protocol::Json11 | Protocol::Cbor => ("UnknownOperationException", 400),
            Protocol::RestJson => ("UnknownOperationException", 404),
        };
        self.cx.app.telemetry.requests.with_label_values(&["unknown", code]).inc();
        let message = if known::is_known(traits.signing, operation) {
            format!("The operation {operation} of {name} is not served by this version")
        } else {
            let shown: String = operation.chars().take(OPERATION_CHARS_SHOWN).collect();
            format!("unknown operation {shown} of {name}")
        };
        Err(ApiError { status, code, message }.into())
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
    let mut parts = ErrorParts::new(status, error.query_code(), &error.message);
    parts.shape = shape;
    parts.members = &told.members;
    parts.query_compatible = service.is_some_and(|service| service.traits().query_compatible);
    encode_error(frame, &parts).into_response()
}

#[cfg(test)]
mod tests;
