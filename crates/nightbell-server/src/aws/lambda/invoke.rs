/*!
Invoke: a function run once, now or later ("Invoke", AWS Lambda API Reference). Its answer is the function's, as it stands.
*/

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use nightbell_store::Write;
use nightbell_wire::value::Blob;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Named, invalid};
use crate::aws::Cx;
use crate::aws::error::{ApiError, Told, stored};
use crate::aws::service::Service;
use crate::functions::backlog::FULL;
use crate::functions::{self, Busy, Invocation, NotInvoked, OFF, Outcome, queue};
use crate::manage::functions::Function;

/// Largest payload of a request whose answer is waited for ("Lambda quotas"), in bytes.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 6_291_456;
/// Largest client context, in bytes.
const CLIENT_CONTEXT_BYTES_MAX: usize = 3_583;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct InvokeRequest {
    function_name: Option<String>,
    qualifier: Option<String>,
    invocation_type: Option<String>,
    log_type: Option<String>,
    client_context: Option<String>,
    payload: Option<Blob>,
}

/// An answer that is no encoded structure: status, headers, and the function's own bytes.
pub(in crate::aws) struct Invoked {
    /// The status.
    pub(in crate::aws) status: StatusCode,
    /// Headers beside those that every answer has.
    pub(in crate::aws) headers: HeaderMap,
    /// The body.
    pub(in crate::aws) body: Bytes,
}

impl Invoked {
    fn new(status: StatusCode, version: &str) -> Self {
        let mut invoked = Self { status, headers: HeaderMap::new(), body: Bytes::new() };
        invoked.put("x-amz-executed-version", version);
        invoked
    }

    fn put(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }
}

pub(in crate::aws) async fn invoke(cx: Cx, request: InvokeRequest) -> Result<Invoked, Told> {
    let named = Named::read(&cx, request.function_name, request.qualifier)?;
    let function = named.find(&cx)?;
    let with_tail = match request.log_type.as_deref() {
        None | Some("None") => false,
        Some("Tail") => true,
        Some(_) => return Err(invalid("LogType: None or Tail can be asked").into()),
    };
    let later = request.invocation_type.as_deref() == Some("Event");
    match request.invocation_type.as_deref() {
        None | Some("RequestResponse" | "Event") => {}
        Some("DryRun") => return Ok(Invoked::new(StatusCode::NO_CONTENT, &function.version)),
        Some(_) => {
            return Err(invalid("InvocationType: RequestResponse, Event or DryRun can be asked").into());
        }
    }
    if !cx.app.functions.are_on() {
        return Err(ApiError { status: 502, code: "InvalidRuntimeException", message: OFF.into() }.into());
    }
    let bytes_max = if later { queue::EVENT_BYTES_MAX } else { PAYLOAD_BYTES_MAX };
    let payload = payload(request.payload, bytes_max)?;
    if later {
        return put(&cx, &function, &named.arn(), payload).map_err(Into::into);
    }
    let invocation = Invocation {
        id: Uuid::new_v4().to_string(),
        payload,
        client_context: client_context(request.client_context)?,
    };
    let (tail, version) = (with_tail, function.version.clone());
    match functions::invoke(&cx.app, function, invocation).await {
        Ok(outcome) => Ok(answered(outcome, &version, tail)),
        Err(refused) => Err(not_invoked(refused)),
    }
}

fn answered(outcome: Outcome, version: &str, with_tail: bool) -> Invoked {
    let mut invoked = Invoked::new(StatusCode::OK, version);
    invoked.put("content-type", "application/json");
    if outcome.failed {
        invoked.put("x-amz-function-error", "Unhandled");
    }
    if with_tail {
        invoked.put("x-amz-log-result", &STANDARD.encode(&outcome.log_tail));
    }
    invoked.body = outcome.payload;
    invoked
}

/// Keeps the event for later; it is durable when this returns.
fn put(cx: &Cx, function: &Function, arn: &str, payload: Bytes) -> Result<Invoked, ApiError> {
    let no = |failure| stored(Service::Lambda, &failure);
    if !queue::has_room(&cx.app, arn, payload.len()) {
        let message = format!("Rate Exceeded. {FULL}; try again later");
        return Err(ApiError { status: 429, code: "TooManyRequestsException", message });
    }
    let mut change = Write::new();
    let queued = queue::put(&cx.app.functions.backlog, &mut change, arn, payload, cx.now);
    cx.app.records.commit(change).map_err(no)?;
    queued.stays();
    cx.app.functions.ring();
    Ok(Invoked::new(StatusCode::ACCEPTED, &function.version))
}

/// The event: JSON, and no more of it than is taken. None is an empty object.
fn payload(sent: Option<Blob>, bytes_max: usize) -> Result<Bytes, ApiError> {
    let bytes = sent.map(|blob| blob.0).filter(|bytes| !bytes.is_empty()).unwrap_or_else(|| b"{}".to_vec());
    if bytes.len() > bytes_max {
        let message = format!(
            "{} byte payload is too large for the Invoke operation (limit {bytes_max} bytes)",
            bytes.len()
        );
        return Err(ApiError { status: 413, code: "RequestTooLargeException", message });
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(&bytes) {
        Ok(_) => Ok(bytes.into()),
        Err(error) => {
            let text = format!("Could not parse request body into json: {error}");
            Err(ApiError::sender("InvalidRequestContentException", text))
        }
    }
}

/// What a client tells beside the event: base64 of JSON, handed on as JSON.
fn client_context(sent: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(text) = sent else { return Ok(None) };
    let wrong = || {
        ApiError::sender(
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
        )
    };
    if text.len() > CLIENT_CONTEXT_BYTES_MAX {
        return Err(wrong());
    }
    let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    // A header holds no other letters.
    let text = value.to_string();
    let plain: String = text
        .chars()
        .flat_map(|c| if c.is_ascii() { c.to_string().encode_utf16().collect() } else { escaped(c) })
        .map(|unit| char::from(u8::try_from(unit).unwrap_or(b'?')))
        .collect();
    if value.is_object() { Ok(Some(plain)) } else { Err(wrong()) }
}

/// A letter as JSON can write it in ASCII.
fn escaped(letter: char) -> Vec<u16> {
    let mut units = [0; 2];
    letter
        .encode_utf16(&mut units)
        .iter()
        .flat_map(|unit| format!("\\u{unit:04x}").encode_utf16().collect::<Vec<_>>())
        .collect()
}

fn not_invoked(refused: NotInvoked) -> Told {
    let (code, status, reason, message) = match refused {
        NotInvoked::Off => ("InvalidRuntimeException", 502, "", OFF),
        NotInvoked::Stopping => ("ServiceException", 500, "", "The server is stopping; try again"),
        NotInvoked::Busy(Busy::Function) => (
            "TooManyRequestsException",
            429,
            "ReservedFunctionConcurrentInvocationLimitExceeded",
            "Rate Exceeded.",
        ),
        NotInvoked::Busy(Busy::All) => (
            "TooManyRequestsException",
            429,
            "ConcurrentInvocationLimitExceeded",
            "Rate Exceeded. As many functions are at work as functions_concurrency allows",
        ),
    };
    let error = ApiError { status, code, message: message.to_owned() };
    let members = if reason.is_empty() { serde_json::Value::Null } else { json!({ "Reason": reason }) };
    Told { error, members }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_context_fits_a_header() {
        let sent = |text: &str| client_context(Some(STANDARD.encode(text)));
        assert_eq!(sent("{\"a\":\"ä😀\"}").unwrap().unwrap(), "{\"a\":\"\\u00e4\\ud83d\\ude00\"}");
        assert!(sent("[1]").is_err() && sent("{").is_err());
        assert!(client_context(Some("%".into())).is_err());
    }

    #[test]
    fn an_event_is_json_and_not_too_much() {
        assert_eq!(payload(None, 9).unwrap(), "{}");
        assert_eq!(payload(Some(Blob(b"7".to_vec())), 9).unwrap(), "7");
        assert_eq!(payload(Some(Blob(b"{".to_vec())), 9).unwrap_err().code, "InvalidRequestContentException");
        assert_eq!(payload(Some(Blob(vec![b'1'; 10])), 9).unwrap_err().status, 413);
    }
}
