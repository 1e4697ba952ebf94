/*!
The services, one row of a table each: by what names a request asks for them, and how they speak of the errors that all have.

A new service is a variant of [`Service`], a row of [`TABLE`], a file in `route/` and the line there that leads to it. Its own errors stand
beside its operations; `error` turns what the table says into answers.
*/

use nightbell_wire::rest::Route;
use nightbell_wire::{Call, Protocol};

use super::route::{lambda, ses};

/// A service of AWS that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// CloudWatch Logs.
    Logs,
    /// CloudWatch metrics and alarms.
    CloudWatch,
    /// SNS.
    Sns,
    /// STS.
    Sts,
    /// Lambda.
    Lambda,
    /// SSM.
    Ssm,
    /// SES as it was first: a form for each operation.
    Ses,
    /// SES asked by method and path, the API's version 2.
    SesV2,
    /// IAM.
    Iam,
    /// Data Firehose.
    Firehose,
    /// S3, which has its own way in (`aws::s3`).
    S3,
    /// CloudFormation.
    CloudFormation,
}

/// What tells one service from the others.
pub(crate) struct Traits {
    /// Whose row it is.
    service: Service,
    /// The name as people write it.
    pub(crate) name: &'static str,
    /// The name in the scope of a signature.
    pub(crate) signing: &'static str,
    /// What calls name it by ([`Call::target`]): the prefix of `X-Amz-Target`, the service of an RPC path, the version of a form.
    targets: &'static [&'static str],
    /// Where its operations are asked for by method and path; empty where it speaks no REST.
    paths: &'static [Route],
    /// The XML namespace of its answers.
    pub(crate) xmlns: &'static str,
    /// Its errors have other names on JSON and CBOR than on query, and a header tells the latter (awsQueryCompatible).
    pub(crate) query_compatible: bool,
    /// Its codes for errors that every service has.
    pub(crate) codes: Codes,
}

/// How a service speaks of the errors that every service has: codes, and the status where services differ in it.
pub(crate) struct Codes {
    /// A parameter is wrong.
    pub(crate) invalid: &'static str,
    /// The status of what is not there; its code is the resource's.
    pub(crate) missing_status: u16,
    /// A limit on the number of something.
    pub(crate) limit: (u16, &'static str),
    /// Too much at once; worth another try.
    pub(crate) throttled: &'static str,
    /// The store cannot answer; worth another try.
    pub(crate) unavailable: (u16, &'static str),
}

static TABLE: [Traits; 12] = [
    Traits {
        service: Service::Logs,
        name: "CloudWatch Logs",
        signing: "logs",
        targets: &["Logs_20140328"],
        paths: &[],
        xmlns: "http://logs.amazonaws.com/doc/2014-03-28/",
        query_compatible: false,
        codes: Codes {
            invalid: "InvalidParameterException",
            missing_status: 400,
            limit: (400, "LimitExceededException"),
            throttled: "ThrottlingException",
            unavailable: (503, "ServiceUnavailableException"),
        },
    },
    Traits {
        service: Service::CloudWatch,
        name: "CloudWatch",
        signing: "monitoring",
        targets: &["GraniteServiceVersion20100801", "2010-08-01"],
        paths: &[],
        xmlns: "http://monitoring.amazonaws.com/doc/2010-08-01/",
        query_compatible: true,
        codes: Codes {
            invalid: "InvalidParameterValue",
            missing_status: 404,
            limit: (400, "LimitExceeded"),
            throttled: "Throttling",
            unavailable: (500, "InternalServiceError"),
        },
    },
    Traits {
        service: Service::Sns,
        name: "SNS",
        signing: "sns",
        targets: &["2010-03-31"],
        paths: &[],
        xmlns: "http://sns.amazonaws.com/doc/2010-03-31/",
        query_compatible: false,
        codes: Codes {
            invalid: "InvalidParameter",
            missing_status: 404,
            limit: (403, "SubscriptionLimitExceeded"),
            throttled: "Throttling",
            unavailable: (500, "InternalError"),
        },
    },
    Traits {
        service: Service::Sts,
        name: "STS",
        signing: "sts",
        targets: &["2011-06-15"],
        paths: &[],
        xmlns: "https://sts.amazonaws.com/doc/2011-06-15/",
        query_compatible: false,
        codes: Codes {
            invalid: "ValidationError",
            missing_status: 404,
            limit: (400, "LimitExceededException"),
            throttled: "Throttling",
            unavailable: (500, "InternalError"),
        },
    },
    Traits {
        service: Service::Lambda,
        name: "Lambda",
        signing: "lambda",
        targets: &[],
        paths: &lambda::PATHS,
        xmlns: "",
        query_compatible: false,
        codes: Codes {
            invalid: "InvalidParameterValueException",
            missing_status: 404,
            limit: (400, "CodeStorageExceededException"),
            throttled: "TooManyRequestsException",
            unavailable: (500, "ServiceException"),
        },
    },
    Traits {
        service: Service::Ssm,
        name: "SSM",
        signing: "ssm",
        targets: &["AmazonSSM"],
        paths: &[],
        xmlns: "",
        query_compatible: false,
        codes: Codes {
            invalid: "ValidationException",
            missing_status: 400,
            limit: (400, "ParameterLimitExceeded"),
            throttled: "ThrottlingException",
            unavailable: (500, "InternalServerError"),
        },
    },
    Traits {
        service: Service::Ses,
        name: "SES",
        signing: "ses",
        targets: &["2010-12-01"],
        paths: &[],
        xmlns: "http://ses.amazonaws.com/doc/2010-12-01/",
        query_compatible: false,
        codes: Codes {
            invalid: "InvalidParameterValue",
            missing_status: 400,
            limit: (400, "LimitExceeded"),
            throttled: "Throttling",
            unavailable: (503, "ServiceUnavailable"),
        },
    },
    Traits {
        service: Service::SesV2,
        name: "SES v2",
        signing: "ses",
        targets: &[],
        paths: &ses::PATHS,
        xmlns: "",
        query_compatible: false,
        codes: Codes {
            invalid: "BadRequestException",
            missing_status: 404,
            limit: (400, "LimitExceededException"),
            throttled: "TooManyRequestsException",
            unavailable: (500, "InternalFailure"),
        },
    },
    Traits {
        service: Service::Iam,
        name: "IAM",
        signing: "iam",
        targets: &["2010-05-08"],
        paths: &[],
        xmlns: "https://iam.amazonaws.com/doc/2010-05-08/",
        query_compatible: false,
        codes: Codes {
            invalid: "ValidationError",
            missing_status: 404,
            limit: (409, "LimitExceeded"),
            throttled: "Throttling",
            unavailable: (500, "ServiceFailure"),
        },
    },
    Traits {
        service: Service::Firehose,
        name: "Data Firehose",
        signing: "firehose",
        targets: &["Firehose_20150804"],
        paths: &[],
        xmlns: "",
        query_compatible: false,
        codes: Codes {
            invalid: "InvalidArgumentException",
            missing_status: 400,
            limit: (400, "LimitExceededException"),
            throttled: "ServiceUnavailableException",
            unavailable: (503, "ServiceUnavailableException"),
        },
    },
    Traits {
        service: Service::S3,
        name: "S3",
        signing: "s3",
        targets: &[],
        paths: &[],
        xmlns: "http://s3.amazonaws.com/doc/2006-03-01/",
        query_compatible: false,
        codes: Codes {
            invalid: "InvalidArgument",
            missing_status: 404,
            limit: (400, "TooManyBuckets"),
            throttled: "SlowDown",
            unavailable: (500, "InternalError"),
        },
    },
    Traits {
        service: Service::CloudFormation,
        name: "CloudFormation",
        signing: "cloudformation",
        // The second is what our own command says, which speaks JSON.
        targets: &["2010-05-15", "CloudFormation_20100515"],
        paths: &[],
        xmlns: "http://cloudformation.amazonaws.com/doc/2010-05-15/",
        query_compatible: false,
        codes: Codes {
            invalid: "ValidationError",
            missing_status: 400,
            limit: (400, "LimitExceededException"),
            throttled: "Throttling",
            unavailable: (500, "InternalFailure"),
        },
    },
];

// A row stands at its variant's place: `traits` finds it there.
const _: () = {
    let mut at = 0;
    while at < TABLE.len() {
        assert!(TABLE[at].service as usize == at);
        at += 1;
    }
};

impl Service {
    /// The service's row.
    pub(crate) fn traits(self) -> &'static Traits {
        &TABLE[self as usize]
    }

    /// The service of a signature's scope. Nothing where the call names another one, or the scope none that is served.
    pub(crate) fn signed(scope: &str, call: &Call) -> Option<Service> {
        // SES signs alike for two: one is asked by path, one by form.
        let by_path = call.protocol == Protocol::RestJson;
        let service = find(|row| row.signing == scope && row.paths.is_empty() != by_path)
            .or_else(|| find(|row| row.signing == scope))?;
        named(call).is_none_or(|other| other == service).then_some(service)
    }

    /// The paths of the service of a signature's scope, where the request is one of REST. All other protocols ask at `/` or name
    /// themselves in the scope of a service that has no paths.
    pub(crate) fn paths(scope: &str, path: &str) -> Option<&'static [Route]> {
        let row = TABLE.iter().find(|row| row.signing == scope && !row.paths.is_empty())?;
        (path != "/").then_some(row.paths)
    }

    /// The service that a call without a signature means.
    pub(crate) fn unsigned(call: &Call) -> Option<Service> {
        // Links in mails name the operation only.
        named(call).or_else(|| of_link(&call.operation))
    }

    /// Whether a link in a mail may ask for the operation without a signature: the secret is in the link.
    pub(crate) fn may_be_unsigned(self, operation: &str) -> bool {
        of_link(operation) == Some(self)
    }

    /// Largest body of a request that is signed for the service `scope`, as it is received.
    pub(crate) fn body_bytes_max(scope: &str) -> usize {
        match scope {
            "ses" => ses::BODY_BYTES_MAX,
            "lambda" => crate::listen::LAMBDA_BODY_BYTES_MAX,
            _ => crate::listen::BODY_BYTES_MAX,
        }
    }
}

/// The service that a call itself names.
fn named(call: &Call) -> Option<Service> {
    find(|row| row.targets.contains(&call.target.as_str()))
}

/// The service of an operation that links in mails ask for.
fn of_link(operation: &str) -> Option<Service> {
    match operation {
        "ConfirmSubscription" | "Unsubscribe" => Some(Service::Sns),
        "ConfirmVerification" => Some(Service::Ses),
        _ => None,
    }
}

fn find(wanted: impl Fn(&Traits) -> bool) -> Option<Service> {
    TABLE.iter().find(|row| wanted(row)).map(|row| row.service)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};
    use nightbell_wire::{call, rest};

    use super::*;

    fn form(text: &str) -> Call {
        call::read(&Method::POST, &Uri::from_static("/"), &HeaderMap::new(), text.as_bytes()).unwrap()
    }

    #[test]
    fn scope_and_call_must_mean_the_same_service() {
        let topics = form("Action=ListTopics&Version=2010-03-31");
        assert_eq!(Service::signed("sns", &topics), Some(Service::Sns));
        assert_eq!(Service::signed("sts", &topics), None);
        assert_eq!(Service::signed("sqs", &topics), None);
        assert_eq!(Service::signed("sts", &form("Action=GetCallerIdentity")), Some(Service::Sts));
        assert_eq!(Service::unsigned(&topics), Some(Service::Sns));
        assert_eq!(Service::unsigned(&form("Action=Unsubscribe")), Some(Service::Sns));
        assert_eq!(Service::unsigned(&form("Action=GetCallerIdentity")), None);
        assert_eq!(Service::signed("ses", &form("Action=SendEmail&Version=2010-12-01")), Some(Service::Ses));
        let path = Uri::from_static("/v2/email/account");
        let by_path = rest::read(&ses::PATHS, &Method::GET, &path, &HeaderMap::new()).unwrap();
        assert_eq!(Service::signed("ses", &by_path), Some(Service::SesV2));
    }

    #[test]
    fn every_path_leads_to_its_own_operation() {
        for row in &TABLE {
            for route in row.paths {
                let path = route.path.replace(['{', '}'], "");
                let method = Method::from_bytes(route.method.as_bytes()).unwrap();
                let found =
                    rest::read(row.paths, &method, &path.parse().unwrap(), &HeaderMap::new()).unwrap();
                assert_eq!(found.operation, route.operation, "an earlier line takes {path}");
            }
        }
        assert!(Service::paths("lambda", "/2015-03-31/functions/").is_some());
        assert!(Service::paths("lambda", "/").is_none());
        assert!(Service::paths("logs", "/2015-03-31/functions/").is_none());
    }

    #[test]
    fn only_the_links_of_mails_need_no_signature() {
        assert!(Service::Sns.may_be_unsigned("Unsubscribe"));
        assert!(Service::Ses.may_be_unsigned("ConfirmVerification"));
        assert!(!Service::Sns.may_be_unsigned("Publish") && !Service::Ses.may_be_unsigned("Unsubscribe"));
        assert!(!Service::Sts.may_be_unsigned("Unsubscribe"));
    }
}
