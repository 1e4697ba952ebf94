/*!
The control plane: plain functions on the catalog in the core's own types.

The AWS operations and the commands both call these, so neither holds a rule of its own. A [`Refusal`] says what the
caller can do; which AWS error code that is, is chosen in `aws::error`.
*/

use nightbell_core::alarm::check::AlarmError;
use nightbell_store::StoreError;

use crate::catalog::Failure;

pub(crate) mod alarms;
pub(crate) mod buckets;
pub(crate) mod composites;
pub(crate) mod dashboards;
pub(crate) mod definitions;
pub(crate) mod detectors;
pub(crate) mod filters;
pub(crate) mod functions;
pub(crate) mod groups;
pub(crate) mod iam;
pub(crate) mod identities;
pub(crate) mod incidents;
pub(crate) mod mutes;
pub(crate) mod parameters;
pub(crate) mod posts;
pub(crate) mod record_logs;
pub(crate) mod resource_policies;
pub(crate) mod streams;
pub(crate) mod subscriptions;
pub(crate) mod tags;
pub(crate) mod taken;
pub(crate) mod topics;

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// A log group.
    Group,
    /// A log stream.
    Stream,
    /// A metric filter.
    Filter,
    /// A query that runs or has run.
    Query,
    /// A query that is kept by name.
    Definition,
    /// A stored event.
    Record,
    /// An alarm.
    Alarm,
    /// An anomaly detector.
    Detector,
    /// An alarm mute rule.
    MuteRule,
    /// A topic.
    Topic,
    /// A subscription.
    Subscription,
    /// A dashboard.
    Dashboard,
    /// A parameter.
    Parameter,
    /// A resource policy of CloudWatch Logs.
    LogsPolicy,
    /// A function, or a version of one.
    Function,
}

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is not there.
    Missing(Resource),
    /// It is there already.
    Exists(Resource),
    /// A parameter is wrong; the text names it, its value and the limit.
    Invalid(String),
    /// An alarm breaks a rule.
    Alarm(AlarmError),
    /// It does not go with what is configured; the whole text.
    Conflict(String),
    /// A quota is used up; the text names it.
    Limit(String),
    /// A resource has no room for more tags; the text names the limit.
    TooManyTags(String),
    /// A topic has as many filter policies as it may; the text names the limit.
    FilterPolicies(String),
    /// Too much waits already; worth another try.
    Busy(String),
    /// The store could not; the operator's text.
    Store(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Store(failure)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

/// The text of a model validation error, as the services write it.
pub(crate) fn violates(value: &str, field: &str, constraint: &str) -> Refusal {
    let shown: String = value.chars().take(100).collect();
    Refusal::Invalid(format!(
        "1 validation error detected: Value '{shown}' at '{field}' failed to satisfy constraint: {constraint}"
    ))
}
