/*!
IAM: users, roles, policies and keys ("Identity and Access Management API Reference"). The rules are those of
[`crate::manage::iam`]; here stand the service's names, its pages and its errors.
*/

use std::fmt::Write as _;

use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, Told, stored};
use super::page::{Page, page};
use super::service::Service;
use crate::auth::Principal;
use crate::manage::iam::{Iam, IamError, Tags};

pub(super) mod grants;
pub(super) mod policies;
pub(super) mod roles;
pub(super) mod users;

/// Most objects of a page.
const PAGE_MAX: usize = 1_000;
/// Objects of a page where nothing is asked.
const PAGE_DEFAULT: usize = 100;

impl From<IamError> for Told {
    fn from(error: IamError) -> Self {
        let (status, code, message) = match error {
            IamError::Missing(text) => (404, "NoSuchEntity", text),
            IamError::Exists(text) => (409, "EntityAlreadyExists", text),
            IamError::InUse(text) => (409, "DeleteConflict", text),
            IamError::Malformed(error) => (400, "MalformedPolicyDocument", error.to_string()),
            IamError::Limit(text) => (409, "LimitExceeded", text),
            IamError::Invalid(text) => (400, "ValidationError", text),
            IamError::Fixed(text) => (400, "InvalidInput", text),
            IamError::Denied(text) => (403, "AccessDenied", text),
            IamError::Store(failure) => return stored(Service::Iam, &failure).into(),
        };
        ApiError { status, code, message }.into()
    }
}

fn iam(cx: &Cx) -> Iam<'_> {
    Iam::of(&cx.app)
}

fn invalid(text: impl Into<String>) -> IamError {
    IamError::Invalid(text.into())
}

/// A member that must be there.
fn need<T>(value: Option<T>, field: &str) -> Result<T, IamError> {
    value.ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

/// The user that is named, or else the one that asks.
fn user_or_caller(cx: &Cx, name: Option<String>) -> Result<String, IamError> {
    match (name, &cx.caller) {
        (Some(name), _) => Ok(name),
        (None, Principal::User { user, .. }) => Ok(user.name.clone()),
        (None, _) => Err(invalid("Must specify userName when calling with non-User credentials")),
    }
}

/// A tag.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

fn tags(tags: Vec<Tag>) -> Tags {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn shown_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// A page of tags.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagsResponse {
    tags: Vec<Tag>,
    is_truncated: bool,
}

fn all_tags(tags: &Tags) -> TagsResponse {
    TagsResponse { tags: shown_tags(tags), is_truncated: false }
}

/// A permissions boundary, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Boundary {
    permissions_boundary_type: &'static str,
    permissions_boundary_arn: String,
}

impl Boundary {
    fn of(arn: Option<&String>) -> Option<Self> {
        arn.map(|arn| Self { permissions_boundary_type: "Policy", permissions_boundary_arn: arn.clone() })
    }
}

fn time(at: nightbell_core::time::Timestamp) -> Time {
    Time(at.as_millis())
}

/// The page of `all` that was asked for, in the order of `name`, and the marker of the next.
fn paged<T>(
    all: Vec<T>,
    marker: Option<String>,
    max_items: Option<i64>,
    name: impl Fn(&T) -> &String,
) -> Result<(Vec<T>, Option<String>), IamError> {
    let bounds =
        Page { limit: max_items, token: marker, default: PAGE_DEFAULT, max: PAGE_MAX, descending: false };
    page(all, &bounds, name)
        .map_err(|text| invalid(text.replace("'limit'", "'maxItems'").replace("nextToken", "marker")))
}

/// A document as answers carry it: percent-encoded ("GetRolePolicy", IAM API Reference).
fn encoded(document: &str) -> String {
    let mut text = String::with_capacity(document.len() * 2);
    for byte in document.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
