/*!
The decision: all policies that bear on a request, weighed by "Policy evaluation logic" (IAM User Guide).

A Deny that applies anywhere decides. Otherwise something must allow: inside one account an identity policy or a resource
policy, across accounts both; and boundaries and session policies narrow what was given, except where a resource policy
names the caller itself. Neither the order of policies nor that of statements matters.
*/

use std::sync::Arc;

use super::POLICY_SUBJECT_BYTES_MAX;
use super::document::{Effect, Policy};
use super::facts::Facts;
use super::principals::{Grant, Principal};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: &'a Principal<'a>,
    /// `logs:PutLogEvents`: the service's prefix and the operation's name; case does not matter.
    pub action: &'a str,
    /// The resource's ARN, or `*` for operations that have none.
    pub resource: &'a str,
    /// Values of condition keys.
    pub facts: &'a Facts<'a>,
}

/// All policies that bear on a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policies<'a> {
    /// Of the user or the role that asks, inline and attached.
    pub identity: &'a [Arc<Policy>],
    /// The permissions boundary of the user or the role.
    pub boundary: Option<&'a Policy>,
    /// Those passed when the session was made; `None` where none were.
    pub session: Option<&'a [Arc<Policy>]>,
    /// Those of the resource.
    pub resource: &'a [Arc<Policy>],
    /// The account that the resource belongs to.
    pub resource_account: &'a str,
    /// Whether the resource's policy must allow in any case, as a role's trust policy must.
    pub resource_must_allow: bool,
}

/// What a policy is attached to, as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyType {
    /// A user or role.
    Identity,
    /// A resource.
    Resource,
    /// A user or role, as the limit of what it can be given.
    Boundary,
    /// A session.
    Session,
}

/// A statement among the policies of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementPlace<'a> {
    /// Which policy, counted from 0 in the order given.
    pub policy: usize,
    /// Which statement in it, counted from 0.
    pub statement: usize,
    /// Its `Sid`.
    pub sid: Option<&'a str>,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It may be done.
    Allowed,
    /// A statement forbids it.
    ExplicitDeny(PolicyType, StatementPlace<'a>),
    /// Nothing allows it where something of this type would have to.
    ImplicitDeny(PolicyType),
}

impl Request<'_> {
    /// Whether everything that patterns are held against is inside the limit.
    fn is_bounded(&self) -> bool {
        let longest = self.action.len().max(self.resource.len()).max(self.facts.text_bytes_max());
        longest <= POLICY_SUBJECT_BYTES_MAX
    }
}

impl PolicyType {
    /// `identity-based policy` and its like, with the article messages put before it.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Identity => ("an", "identity-based policy"),
            Self::Resource => ("a", "resource-based policy"),
            Self::Boundary => ("a", "permissions boundary"),
            Self::Session => ("a", "session policy"),
        }
    }
}

impl Decision<'_> {
    /// Whether it may be done.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed)
    }

    /// What the client reads when it may not ("Troubleshooting access denied error messages", IAM User Guide).
    pub fn message(&self, request: &Request<'_>) -> Option<String> {
        let Request { principal, action, resource, .. } = request;
        let why = match self {
            Self::Allowed => return None,
            Self::ExplicitDeny(kind, _) => {
                let (article, name) = kind.words();
                format!("with an explicit deny in {article} {name}")
            }
            Self::ImplicitDeny(kind) => format!("because no {} allows the {action} action", kind.words().1),
        };
        let name = principal.name();
        Some(format!("User: {name} is not authorized to perform: {action} on resource: {resource} {why}"))
    }
}

/// What the policies say to the request.
pub fn evaluate<'a>(policies: &Policies<'a>, request: &Request<'_>) -> Decision<'a> {
    if !request.is_bounded() {
        return Decision::ImplicitDeny(PolicyType::Identity);
    }
    let boundary = policies.boundary.map(std::slice::from_ref).unwrap_or_default();
    let identity = match weigh(policies.identity.iter().map(Arc::as_ref), request) {
        Ok(grant) => grant,
        Err(place) => return Decision::ExplicitDeny(PolicyType::Identity, place),
    };
    let limited = match weigh(boundary, request) {
        Ok(grant) => policies.boundary.is_some() && grant.is_none(),
        Err(place) => return Decision::ExplicitDeny(PolicyType::Boundary, place),
    };
    let session = policies.session.unwrap_or_default();
    let narrowed = match weigh(session.iter().map(Arc::as_ref), request) {
        Ok(grant) => policies.session.is_some() && grant.is_none(),
        Err(place) => return Decision::ExplicitDeny(PolicyType::Session, place),
    };
    let resource = match weigh(policies.resource.iter().map(Arc::as_ref), request) {
        Ok(grant) => grant,
        Err(place) => return Decision::ExplicitDeny(PolicyType::Resource, place),
    };
    let at_home = request.principal.account() == Some(policies.resource_account);
    let is_root = matches!(request.principal, Principal::Root { .. });
    let by_identity = identity.is_some() || is_root;
    match (request.principal, at_home) {
        _ if policies.resource_must_allow && resource.is_none() => {
            Decision::ImplicitDeny(PolicyType::Resource)
        }
        (Principal::Service { .. } | Principal::Anonymous, _) => match resource {
            Some(_) => Decision::Allowed,
            None => Decision::ImplicitDeny(PolicyType::Resource),
        },
        (_, true) if resource == Some(Grant::Caller) => Decision::Allowed,
        (_, true) if !by_identity && resource != Some(Grant::Role) => {
            Decision::ImplicitDeny(PolicyType::Identity)
        }
        (_, false) if resource.is_none() => Decision::ImplicitDeny(PolicyType::Resource),
        (_, false) if !by_identity => Decision::ImplicitDeny(PolicyType::Identity),
        _ if limited => Decision::ImplicitDeny(PolicyType::Boundary),
        _ if narrowed => Decision::ImplicitDeny(PolicyType::Session),
        _ => Decision::Allowed,
    }
}

/// The farthest Allow that applies, or the first Deny.
fn weigh<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    request: &Request<'_>,
) -> Result<Option<Grant>, StatementPlace<'a>> {
    let mut best = None;
    for (policy, statements) in policies.into_iter().map(Policy::statements).enumerate() {
        for (index, statement) in statements.iter().enumerate() {
            let Some(grant) = statement.applies(request) else { continue };
            match statement.effect {
                Effect::Allow => best = best.max(Some(grant)),
                Effect::Deny => {
                    return Err(StatementPlace { policy, statement: index, sid: statement.sid.as_deref() });
                }
            }
        }
    }
    Ok(best)
}
