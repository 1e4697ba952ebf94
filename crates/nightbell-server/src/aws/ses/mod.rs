/*!
SES: mail that clients send in the name of identities ("Amazon SES API Reference", "Amazon SES API v2 Reference").

Both versions say the same in other words: `sending` and `identities` hold those of the first, `v2` those of the second, `message` what
is the same in both. Mail leaves through the outbox and the one mail server; there is no sandbox.
*/

use serde::Serialize;

use super::Cx;
use super::error::{ApiError, refused};
use super::service::Service;
use crate::manage::Refusal;
use crate::manage::identities::{Identities, normal};

pub(super) mod identities;
pub(super) mod message;
pub(super) mod sending;
pub(super) mod v2;

/// An answer that says no more than that it was done.
#[derive(Serialize)]
pub(super) struct Done {}

fn invalid(service: Service, text: impl Into<String>) -> ApiError {
    ApiError::sender(service.traits().codes.invalid, text)
}

fn no(service: Service, refusal: Refusal) -> ApiError {
    refused(service, refusal)
}

/// The value of a member that must be there.
fn need<T>(service: Service, value: Option<T>, member: &str) -> Result<T, ApiError> {
    let code = if service == Service::Ses { "ValidationError" } else { "BadRequestException" };
    let text = format!(
        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
    );
    value.ok_or_else(|| ApiError::sender(code, text))
}

/// The identities of the request's region.
fn here(cx: &Cx) -> Identities<'_> {
    let vouched = cx.app.installation.as_ref().map_or(&[][..], |here| &here.config.ses_verified);
    Identities { records: &cx.app.records, region: &cx.region, vouched }
}

/// An identity's name as it is kept.
fn named(service: Service, given: Option<String>, member: &str) -> Result<String, ApiError> {
    let given = need(service, given, member)?;
    normal(&given).ok_or_else(|| {
        let shown: String = given.chars().take(100).collect();
        invalid(service, format!("'{shown}' at '{member}' is neither a mail address in ASCII nor a domain"))
    })
}
