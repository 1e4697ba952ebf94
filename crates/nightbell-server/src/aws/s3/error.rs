/*!
Errors as S3 tells them: a code, a text and what they are about, in XML ("Error responses", Amazon S3 API Reference).
*/

use nightbell_store::{Kind, StoreError};
use nightbell_wire::sigv4::{SigError, SigErrorKind};
use tracing::error;

use super::xml::Xml;
use crate::aws::error::{Told, disk_limit_text};
use crate::catalog::Failure;
use crate::manage::Refusal;
use crate::manage::buckets::BucketRefusal;

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct S3Error {
    /// HTTP status.
    pub(super) status: u16,
    /// The code.
    pub(super) code: &'static str,
    /// What is wrong.
    pub(super) message: String,
    /// What more is told.
    pub(super) members: Vec<(&'static str, String)>,
}

impl S3Error {
    /// Its code.
    pub(in crate::aws) fn code(&self) -> &'static str {
        self.code
    }

    /// An error with its text.
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), members: Vec::new() }
    }

    /// The same with one more thing told.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// A parameter or header is wrong.
    pub(super) fn argument(name: &str, value: &str, message: impl Into<String>) -> Self {
        let shown: String = value.chars().take(100).collect();
        Self::new(400, "InvalidArgument", message).with("ArgumentName", name).with("ArgumentValue", shown)
    }

    /// What is known at AWS and not here.
    pub(in crate::aws) fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::new(501, "NotImplemented", format!("{what} is not served by this version"))
    }

    /// The caller has not said who it is.
    pub(super) fn anonymous() -> Self {
        Self::new(403, "AccessDenied", "Access Denied: the request must be signed with an access key")
    }

    /// The body is no XML of the kind that is asked for.
    pub(super) fn malformed(why: &str) -> Self {
        let text =
            "The XML you provided was not well-formed or did not validate against our published schema";
        Self::new(400, "MalformedXML", format!("{text}: {why}"))
    }

    /// The error of a signature that is refused. `presigned` says where it stood.
    pub(super) fn of_signature(error: &SigError, presigned: bool) -> Self {
        let (status, code) = match error.kind {
            SigErrorKind::Missing => return Self::anonymous(),
            SigErrorKind::Incomplete | SigErrorKind::WrongScope if presigned => {
                (400, "AuthorizationQueryParametersError")
            }
            SigErrorKind::Incomplete | SigErrorKind::WrongScope => (400, "AuthorizationHeaderMalformed"),
            SigErrorKind::Mismatch => (403, "SignatureDoesNotMatch"),
            SigErrorKind::Expired | SigErrorKind::NotYetValid if presigned => {
                return Self::new(403, "AccessDenied", format!("Request has expired: {}", error.message));
            }
            SigErrorKind::Expired | SigErrorKind::NotYetValid => (403, "RequestTimeTooSkewed"),
            SigErrorKind::PayloadDiffers => (400, "XAmzContentSHA256Mismatch"),
            SigErrorKind::UnknownKey => {
                let text = "The AWS Access Key Id you provided does not exist in our records.";
                return Self::new(403, "InvalidAccessKeyId", text);
            }
            SigErrorKind::ExpiredToken => (400, "ExpiredToken"),
        };
        Self::new(status, code, error.message.clone())
    }

    /// The document of it.
    pub(super) fn document(&self, resource: &str, request_id: &str) -> String {
        let mut xml = Xml::begin("Error", "");
        xml.text("Code", self.code);
        xml.text("Message", &self.message);
        for (name, value) in &self.members {
            xml.text(name, value);
        }
        xml.text("Resource", resource);
        xml.text("RequestId", request_id);
        xml.text("HostId", "nightbell");
        xml.finish()
    }
}

impl std::fmt::Display for S3Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl From<BucketRefusal> for S3Error {
    fn from(refusal: BucketRefusal) -> Self {
        let (status, code, text) = match refusal {
            BucketRefusal::NoBucket => (404, "NoSuchBucket", "The specified bucket does not exist"),
            BucketRefusal::NoKey => (404, "NoSuchKey", "The specified key does not exist."),
            BucketRefusal::NoUpload => (
                404,
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
            ),
            BucketRefusal::Exists => (
                409,
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
            ),
            BucketRefusal::NotEmpty => (409, "BucketNotEmpty", "The bucket you tried to delete is not empty"),
            BucketRefusal::Precondition => {
                (412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
            }
            BucketRefusal::InvalidPart => (
                400,
                "InvalidPart",
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
            ),
            BucketRefusal::PartOrder => (
                400,
                "InvalidPartOrder",
                "The list of parts was not in ascending order. Parts must be ordered by part number.",
            ),
            BucketRefusal::SmallPart => (
                400,
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size: all parts but the last have at least 5 MiB",
            ),
            BucketRefusal::Large => {
                (400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size of 5 TiB")
            }
            BucketRefusal::Checksum => {
                (400, "BadDigest", "The checksum of the whole object does not match what its parts come to.")
            }
            BucketRefusal::Limit(text) => return Self::new(400, "TooManyBuckets", text),
            BucketRefusal::Store(failure) => return failure.into(),
        };
        Self::new(status, code, text)
    }
}

impl From<Failure> for S3Error {
    fn from(failure: Failure) -> Self {
        match failure.kind() {
            Kind::Throttled => {
                let text = failure.disk_limit().map_or_else(
                    || "Please reduce your request rate.".to_owned(),
                    |(bytes, bytes_max)| disk_limit_text(bytes, bytes_max),
                );
                Self::new(503, "SlowDown", text)
            }
            Kind::Invalid | Kind::Conflict | Kind::Unavailable | Kind::Broken => {
                error!(error = %failure, "the store could not answer");
                let text = "We encountered an internal error: the server is not able to store or read now. Please try again.";
                Self::new(500, "InternalError", text)
            }
        }
    }
}

impl From<StoreError> for S3Error {
    fn from(failure: StoreError) -> Self {
        Failure::from(failure).into()
    }
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Store(failure) => failure.into(),
            Refusal::TooManyTags(text) => Self::new(400, "BadRequest", text),
            Refusal::Invalid(text) => Self::new(400, "InvalidTag", text),
            other => {
                error!(?other, "a refusal that buckets do not know");
                Self::new(500, "InternalError", "We encountered an internal error. Please try again.")
            }
        }
    }
}

impl From<Told> for S3Error {
    fn from(told: Told) -> Self {
        Self::new(told.error.status, told.error.code, told.error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_escaped() {
        let error = S3Error::argument("max-keys", "<&\u{1}", "no number");
        let document = error.document("/bucket/a<b", "id");
        assert!(document.contains("<ArgumentValue>&lt;&amp;\u{fffd}</ArgumentValue>"), "{document}");
        assert!(document.contains("<Resource>/bucket/a&lt;b</Resource>"), "{document}");
        assert!(
            document.starts_with(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidArgument</Code>"
            )
        );
    }

    #[test]
    fn a_full_disk_is_no_fault_of_the_request() {
        let failure = Failure::damaged(b"secret-key", &"x");
        let error = S3Error::from(failure);
        assert_eq!((error.status, error.code), (500, "InternalError"));
        assert!(!error.message.contains("secret-key"));
    }
}
