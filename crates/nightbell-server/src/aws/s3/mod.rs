/*!
S3 over HTTP: requests by path, answers in XML or as they are ("Amazon S3 API Reference"), path style.

[`answer`] takes whatever is signed for S3. The signature is checked by the headers before anything of the body is read, the body is held
to it as it comes (`body`), and what the caller may do is judged as for all services. Buckets and objects are kept by `manage::buckets`.
*/

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::aws::service::Service;
use crate::aws::{Cx, access, route};
use crate::manage::buckets::check_name;
use crate::{auth, clock};
pub(crate) use address::Address;
pub(crate) use body::Incoming;
pub(crate) use error::S3Error;
use nightbell_wire::Call;
use xml::Xml;

mod address;
mod body;
pub(crate) mod buckets;
mod checksum;
mod content;
mod described;
mod error;
pub(crate) mod inside;
pub(crate) mod listing;
pub(crate) mod multipart;
pub(crate) mod objects;
mod precondition;
pub(crate) mod settings;
pub(crate) mod tagging;
mod xml;

/// What names the answer in logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
/// Where the bucket was made; clients that guess the region read it off any answer.
const REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// A request whose signature is right.
pub(crate) struct Ask {
    /// What it is about.
    pub(super) address: Address,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Its body.
    pub(super) body: Incoming,
}

impl Ask {
    pub(in crate::aws) fn bucket(&self) -> &str {
        &self.address.bucket
    }

    pub(in crate::aws) fn key(&self) -> &str {
        &self.address.key
    }

    pub(in crate::aws) fn parameter(&self, name: &str) -> Option<&str> {
        self.address.parameter(name)
    }

    /// A parameter where it is not empty.
    pub(super) fn some_parameter(&self, name: &str) -> Option<&str> {
        self.parameter(name).filter(|value| !value.is_empty())
    }

    /// A parameter that is a number.
    pub(super) fn number(&self, name: &str, most: u32) -> Result<Option<u32>, S3Error> {
        let Some(text) = self.some_parameter(name) else { return Ok(None) };
        let number = text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        let wrong = || S3Error::argument(name, text, format!("{name} is no number from 0 to {}", i32::MAX));
        number
            .filter(|number| *number <= i32::MAX as u32)
            .map(|number| Some(number.min(most)))
            .ok_or_else(wrong)
    }

    /// A header that is a text; empty ones are none.
    pub(in crate::aws) fn header(&self, name: &str) -> Result<Option<&str>, S3Error> {
        text_of(&self.headers, name)
    }

    /// Refuses a request that expects another account.
    pub(in crate::aws) fn check_owner(&self, cx: &Cx) -> Result<(), S3Error> {
        match self.header("x-amz-expected-bucket-owner")? {
            Some(owner) if owner != cx.app.account => Err(S3Error::new(403, "AccessDenied", "Access Denied")),
            _ => Ok(()),
        }
    }

    /// Refuses versions other than the one that each object has.
    pub(super) fn only_version(&self) -> Result<(), S3Error> {
        match self.some_parameter("versionId") {
            None | Some("null") => Ok(()),
            Some(version) => {
                let text = "The specified version does not exist.";
                let shown: String = version.chars().take(100).collect();
                Err(S3Error::new(404, "NoSuchVersion", text).with("VersionId", shown))
            }
        }
    }
}

/// A header that is a text; empty ones are none.
fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, S3Error> {
    match headers.get(name).map(HeaderValue::to_str) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(Err(_)) => {
            Err(S3Error::argument(name, "", format!("The header {name} has letters that are not ASCII")))
        }
    }
}

/// Whether a request means S3: it is signed for it, or as S3 was once signed for.
pub(crate) fn is_meant(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default();
    let in_query = query.contains("%2Fs3%2Faws4_request") || query.contains("/s3/aws4_request");
    let header = parts.headers.get(http::header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let in_header = header.is_some_and(|header| {
        let scope = b"/s3/aws4_request";
        header.starts_with(b"AWS ") || header.windows(scope.len()).any(|part| part == scope)
    });
    in_header || in_query && query.contains("X-Amz-")
}

/// Whether an unsigned request asks for a bucket that is there.
pub(crate) fn is_anonymous(app: &App, parts: &Parts) -> bool {
    let Ok(address) = Address::read(parts) else { return false };
    let is_method = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE].contains(&parts.method);
    !auth::is_signed(parts)
        && is_method
        && check_name(&address.bucket).is_ok()
        && crate::manage::buckets::find(&app.records, &address.bucket).is_ok()
}

/// Answers a request that means S3.
pub(crate) async fn answer(app: Arc<App>, parts: Parts, body: Body) -> Response {
    let request_id = Uuid::new_v4().simple().to_string()[..16].to_ascii_uppercase();
    let is_head = parts.method == Method::HEAD;
    let resource = parts.uri.path().to_owned();
    let mut response = match serve(&app, &parts, body).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = refuse(&error, &resource, &request_id, is_head);
            if parts.headers.contains_key(http::header::EXPECT) {
                // The body that waits to be asked for may never come: nothing else can come on this connection.
                response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    let id = HeaderValue::try_from(&request_id).expect("hexadecimal digits");
    response.headers_mut().insert(REQUEST_ID, id);
    if let Ok(address) = Address::read(&parts)
        && let Ok(bucket) = crate::manage::buckets::find(&app.records, &address.bucket)
        && let Ok(region) = HeaderValue::try_from(bucket.region)
    {
        response.headers_mut().insert(REGION, region);
    }
    response
}

fn refuse(error: &S3Error, resource: &str, request_id: &str, is_head: bool) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let no_body = is_head || status == StatusCode::NOT_MODIFIED;
    let body = if no_body { String::new() } else { error.document(resource, request_id) };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

async fn serve(app: &Arc<App>, parts: &Parts, body: Body) -> Result<Response, S3Error> {
    let now = clock::now();
    let presigned = !parts.headers.contains_key(http::header::AUTHORIZATION);
    let (caller, payload) = match auth::check_ahead(app, parts, now) {
        Ok(found) => found,
        Err(error) => {
            drop(body::ReadOver::of(&parts.headers, body));
            return Err(S3Error::of_signature(&error, presigned));
        }
    };
    let address = Address::read(parts)?;
    let operation = address.operation(&parts.method, &parts.headers)?;
    let body = Incoming::new(&parts.headers, body, payload)?;
    let cx = Cx { app: Arc::clone(app), region: caller.scope.region, now, caller: caller.principal };
    let ask = Ask { address, headers: parts.headers.clone(), body };
    route::s3::answer(cx, operation, ask).await
}

/// Judges whether the caller may do something, before it is done.
pub(in crate::aws) fn judge(cx: &Cx, operation: &str, names: &Value) -> Result<(), S3Error> {
    let body = names.to_string();
    Ok(access::judge(cx, Service::S3, &Call::inside(operation), body.as_bytes())?)
}

/// An answer without a body.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// An answer that is a document.
fn document(xml: Xml) -> Response {
    let mut response = Response::new(Body::from(xml.finish()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// Sets a header of an answer; what no header may hold is left out.
fn set(response: &mut Response, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        response.headers_mut().insert(name, value);
    }
}

/// The owner of all that is here, in the way that S3 names accounts.
fn owner(app: &App) -> String {
    use sha2::Digest as _;
    checksum::hex(&sha2::Sha256::digest(app.account.as_bytes()))
}

/// Writes the owner of something.
fn put_owner(xml: &mut Xml, app: &App) {
    xml.open("Owner");
    xml.text("ID", &owner(app));
    xml.text("DisplayName", &app.account);
    xml.close();
}
