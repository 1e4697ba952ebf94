/*!
IAM policies: documents that say who may do what to which resource and when, compiled once and asked for each request.

[`Policy::parse`] reads a document (`document`, `principals`, `condition`, `template`), [`evaluate`] weighs all policies
that bear on a [`Request`]. Rules follow "IAM JSON policy elements reference" and "Policy evaluation logic" (IAM User
Guide). Knows no user, no role and no operation: whoever asks brings the policies, the principal and the [`Facts`] of the
request, the time among them.
*/

use thiserror::Error;

pub use document::{Policy, PolicyKind, counted_chars};
pub use evaluate::{Decision, Policies, PolicyType, Request, StatementPlace, evaluate};
pub use facts::{Fact, Facts};
pub use principals::Principal;

mod condition;
mod document;
mod evaluate;
mod facts;
mod principals;
mod template;
#[cfg(test)]
mod tests;

/// Bytes of a document as it was sent, white space and all; each kind of policy has a smaller limit of its own.
pub const POLICY_BYTES_MAX: usize = 65_536;
/// Characters of a managed policy, white space left out ("IAM and AWS STS quotas", IAM User Guide).
pub const MANAGED_POLICY_CHARS_MAX: usize = 6_144;
/// Characters of all inline policies of a user together, white space left out.
pub const USER_POLICIES_CHARS_MAX: usize = 2_048;
/// Characters of all inline policies of a role together, white space left out.
pub const ROLE_POLICIES_CHARS_MAX: usize = 10_240;
/// Characters of a role's trust policy, white space left out.
pub const TRUST_POLICY_CHARS_MAX: usize = 2_048;
/// Characters of a session policy.
pub const SESSION_POLICY_CHARS_MAX: usize = 2_048;
/// Bytes of one pattern of an action, a resource or a condition.
pub const POLICY_PATTERN_BYTES_MAX: usize = 2_048;
/// Bytes of an action, of a resource and of each value of a fact. A request with more is refused, whatever policies say:
/// nobody escapes a Deny by length.
pub const POLICY_SUBJECT_BYTES_MAX: usize = 4_096;

/// Why a document is refused: what a client reads, and where the mistake stands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message} {detail}")]
pub struct PolicyError {
    /// AWS's words for it, the message of `MalformedPolicyDocument`.
    pub message: String,
    /// Which element is wrong, its value, and what it may be.
    pub detail: String,
}

impl PolicyError {
    fn new(message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { message: message.into(), detail: detail.into() }
    }

    fn syntax(detail: impl Into<String>) -> Self {
        Self::new("Syntax errors in policy.", detail)
    }
}
