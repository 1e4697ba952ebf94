/*!
Which error code a refusal is: what all services have by the codes of the service's row, the rest by what is refused.

The caller reads `message`; what went wrong inside goes to the log and not to the caller.
*/

use nightbell_core::alarm::check::AlarmErrorKind;
use nightbell_store::Kind;
use tracing::error;

use super::service::Service;
use crate::catalog::Failure;
use crate::manage::{Refusal, Resource};

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// HTTP status.
    pub(crate) status: u16,
    /// The code, as the service's own protocol spells it.
    pub(crate) code: &'static str,
    /// What is wrong.
    pub(crate) message: String,
}

impl ApiError {
    /// An error that the request's sender can mend.
    pub(crate) fn sender(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, code, message: message.into() }
    }

    /// An error of the server's own, told in its log.
    pub(crate) fn inside() -> Self {
        let message = "The answer could not be written".into();
        Self { status: 500, code: "InternalFailure", message }
    }

    /// The name of the error's shape in the model: what `__type` carries on JSON and CBOR.
    pub(crate) fn shape(&self, service: Service) -> &'static str {
        if !service.traits().query_compatible {
            return self.code;
        }
        match self.code {
            "InvalidParameterValue" => "InvalidParameterValueException",
            "InvalidParameterCombination" => "InvalidParameterCombinationException",
            "MissingParameter" => "MissingRequiredParameterException",
            "LimitExceeded" => "LimitExceededFault",
            "InvalidFormat" => "InvalidFormatFault",
            "InternalServiceError" => "InternalServiceFault",
            other => other,
        }
    }
}

/// An error with what the service tells beside code and message.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The error.
    pub(crate) error: ApiError,
    /// Its further members; null where there are none.
    pub(crate) members: serde_json::Value,
}

impl From<ApiError> for Told {
    fn from(error: ApiError) -> Self {
        Self { error, members: serde_json::Value::Null }
    }
}

/// The error that `refusal` is at `service`.
pub(crate) fn refused(service: Service, refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Missing(resource) => missing(service, resource),
        Refusal::Exists(resource) => exists(resource),
        Refusal::Invalid(text) => ApiError::sender(service.traits().codes.invalid, text),
        Refusal::Alarm(error) => {
            let code = match error.kind {
                AlarmErrorKind::Form => "ValidationError",
                AlarmErrorKind::Value => "InvalidParameterValue",
                AlarmErrorKind::Combination => "InvalidParameterCombination",
                AlarmErrorKind::Absent => "MissingParameter",
            };
            ApiError::sender(code, error.to_string())
        }
        Refusal::Conflict(text) => ApiError::sender("ValidationError", text),
        Refusal::Limit(text) => {
            let (status, code) = service.traits().codes.limit;
            ApiError { status, code, message: text }
        }
        Refusal::FilterPolicies(text) => {
            ApiError { status: 403, code: "FilterPolicyLimitExceeded", message: text }
        }
        Refusal::Busy(text) => ApiError::sender(service.traits().codes.throttled, text),
        Refusal::Store(failure) => stored(service, &failure),
    }
}

fn missing(service: Service, resource: Resource) -> ApiError {
    let (code, text) = match resource {
        Resource::Group => ("ResourceNotFoundException", "The specified log group does not exist."),
        Resource::Stream => ("ResourceNotFoundException", "The specified log stream does not exist."),
        Resource::Filter => ("ResourceNotFoundException", "The specified metric filter does not exist."),
        Resource::Query => ("ResourceNotFoundException", "The specified query does not exist."),
        Resource::Definition => {
            ("ResourceNotFoundException", "The specified query definition does not exist.")
        }
        Resource::Record => ("ResourceNotFoundException", "The specified log record does not exist."),
        Resource::Alarm => ("ResourceNotFound", "Alarm does not exist"),
        Resource::Detector => ("ResourceNotFoundException", "Anomaly detector does not exist"),
        Resource::MuteRule => ("ResourceNotFoundException", "Alarm mute rule does not exist"),
        Resource::Topic => ("NotFound", "Topic does not exist"),
        Resource::Subscription => ("NotFound", "Subscription does not exist"),
    };
    ApiError { status: service.traits().codes.missing_status, code, message: text.into() }
}

fn exists(resource: Resource) -> ApiError {
    let text = match resource {
        Resource::Group => "The specified log group already exists",
        Resource::Stream => "The specified log stream already exists",
        Resource::Filter
        | Resource::Query
        | Resource::Definition
        | Resource::Record
        | Resource::MuteRule
        | Resource::Alarm
        | Resource::Detector
        | Resource::Topic
        | Resource::Subscription => "It already exists",
    };
    ApiError::sender("ResourceAlreadyExistsException", text)
}

/// A failure of the store. Never InvalidParameter: an agent would drop its batch for good.
pub(crate) fn stored(service: Service, failure: &Failure) -> ApiError {
    match failure.kind() {
        Kind::Throttled => {
            let code = service.traits().codes.throttled;
            if let Some((bytes, bytes_max)) = failure.disk_limit() {
                return ApiError::sender(code, disk_limit_text(bytes, bytes_max));
            }
            ApiError::sender(
                code,
                "Rate exceeded: too much is waiting to be written; try again after a pause",
            )
        }
        Kind::Invalid | Kind::Conflict | Kind::Unavailable | Kind::Broken => {
            error!(error = %failure, "the store could not answer");
            let (status, code) = service.traits().codes.unavailable;
            ApiError {
                status,
                code,
                message: "The service is not able to store or read now; try again".into(),
            }
        }
    }
}

/// What is to be done at the limit of the disk.
pub(crate) fn disk_limit_text(bytes: u64, bytes_max: u64) -> String {
    format!(
        "The disk limit is reached: {bytes} bytes are used and disk_bytes_max is {bytes_max}. Nothing is lost: keep the \
         events and try again; they are taken once retention has removed old ones or the limit is raised"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_codes() {
        let code = |service, refusal| refused(service, refusal).code;
        let invalid = || Refusal::Invalid("x".into());
        assert_eq!(code(Service::Logs, invalid()), "InvalidParameterException");
        assert_eq!(code(Service::CloudWatch, invalid()), "InvalidParameterValue");
        assert_eq!(code(Service::Sns, invalid()), "InvalidParameter");
        let alarm = refused(Service::CloudWatch, Refusal::Missing(Resource::Alarm));
        assert_eq!((alarm.status, alarm.code), (404, "ResourceNotFound"));
        let group = refused(Service::Logs, Refusal::Missing(Resource::Group));
        assert_eq!((group.status, group.code), (400, "ResourceNotFoundException"));
    }

    #[test]
    fn a_failing_store_never_looks_like_a_bad_request() {
        let failure = Failure::damaged(b"secret-key", &"x");
        for service in [Service::Logs, Service::CloudWatch, Service::Sns] {
            let error = stored(service, &failure);
            assert!(error.status >= 500, "{error:?}");
            assert!(!error.message.contains("secret-key"), "what failed inside is for the log: {error:?}");
        }
    }
}
