/*!
What a principal may do: each call is turned into demands, an action on a resource each, and all of them must be allowed.

The service's file says which demands an operation makes, by a second look at the request for the members that name
resources ("Service Authorization Reference" has the actions and ARNs). The policies come from [`crate::keys`], the decision
from `nightbell_core::policy`. The root key is not judged. An operation without demands of its own demands everything (`*`):
what was forgotten stays closed.
*/

use std::sync::Arc;

use nightbell_core::policy::{
    Decision, Fact, Facts, Policies, Policy, PolicyKind, Principal as Asks, Request, evaluate,
};
use nightbell_wire::{Call, DecodeError, Protocol, decode};
use serde::de::DeserializeOwned;

use super::Cx;
use super::error::{ApiError, Told, stored};
use super::service::Service;
use crate::auth::Principal;
use crate::catalog::Failure;
use crate::keys::{Compiled, compile};
use crate::manage::buckets::{self, BucketRefusal};
use crate::manage::iam::{Kind, policies};
use crate::manage::{Refusal, topics};
use tags::RequestTags;

mod cloudwatch;
mod firehose;
mod iam;
mod lambda;
mod logs;
mod s3;
mod ses;
mod sns;
mod ssm;
mod stacks;
mod tags;

/// Ways in which the resources of a call may be written at most; more are refused unless everything is allowed.
const DEMANDS_MAX: usize = 10_000;

/// An action on a resource.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Demand {
    /// `logs:PutLogEvents`.
    action: String,
    /// Names of the one resource, that of messages first: policies may use any of them to allow, and any to deny.
    names: Vec<String>,
    /// Condition keys of the service.
    facts: Vec<(&'static str, String)>,
}

impl Demand {
    fn of(action: impl Into<String>, names: Vec<String>) -> Self {
        Self { action: action.into(), names, facts: Vec::new() }
    }

    /// An action that has no resource.
    fn anywhere(action: impl Into<String>) -> Self {
        Self::of(action, vec!["*".to_owned()])
    }

    fn with(mut self, key: &'static str, value: Option<&str>) -> Self {
        self.facts.extend(value.map(|value| (key, value.to_owned())));
        self
    }

    /// That a service may be given a role.
    fn pass_role(role: &str, service: &str) -> Self {
        Self::of("iam:PassRole", vec![role.to_owned()]).with("iam:PassedToService", Some(service))
    }
}

/// What an operation demands.
type Demands = Vec<Demand>;

/// Judges a call before it is served.
///
/// # Errors
/// Where the caller may not do it, in the words of the service; where the request cannot be read; where policies cannot.
pub(super) fn judge(cx: &Cx, service: Service, call: &Call, body: &[u8]) -> Result<(), Told> {
    let operation = call.operation.as_str();
    match &cx.caller {
        Principal::Root => return Ok(()),
        Principal::Link if service.may_be_unsigned(operation) => return Ok(()),
        Principal::Link => {
            let message = "The request is not signed".to_owned();
            return Err(ApiError { status: 403, code: "AccessDenied", message }.into());
        }
        Principal::User { .. } | Principal::AssumedRole { .. } => {}
    }
    let prefix = service.traits().signing;
    let demands = match demands(cx, prefix, call, body) {
        Ok(Some(demands)) if demands.len() <= DEMANDS_MAX => demands,
        Ok(_) => vec![Demand::anywhere(format!("{}:{operation}", action_prefix(prefix)))],
        Err(error) => return Err(ApiError::sender(error.code(call.protocol).0, error.to_string()).into()),
    };
    let asked = Asking::of(cx).map(|asking| {
        let carried = asking.asks_for_tags().then(|| RequestTags::of(prefix, call, body)).transpose();
        (asking, carried)
    });
    let refusal = match asked {
        Ok((_, Err(error))) => {
            return Err(ApiError::sender(error.code(call.protocol).0, error.to_string()).into());
        }
        Ok((asking, Ok(carried))) => asking.refusal(cx, &demands, carried),
        Err(failure) => Err(failure),
    };
    match refusal {
        Ok(None) => Ok(()),
        Ok(Some(message)) => Err(denied(service, call.protocol, message).into()),
        Err(failure) => Err(stored(service, &failure).into()),
    }
}

/// The prefix of a service's actions, by its signing name.
fn action_prefix(signing: &str) -> &str {
    if signing == "monitoring" { "cloudwatch" } else { signing }
}

/// What a call demands; nothing where the operation has no line.
fn demands(cx: &Cx, signing: &str, call: &Call, body: &[u8]) -> Result<Option<Demands>, DecodeError> {
    fn named<N: DeserializeOwned>(
        call: &Call,
        body: &[u8],
        demands: impl FnOnce(&N) -> Option<Demands>,
    ) -> Result<Option<Demands>, DecodeError> {
        decode::<N>(call, body).map(|names| demands(&names))
    }
    let operation = call.operation.as_str();
    match signing {
        "logs" => named(call, body, |names| logs::demands(cx, operation, names)),
        "monitoring" => named(call, body, |names| cloudwatch::demands(cx, operation, names)),
        "sns" => named(call, body, |names| sns::demands(cx, operation, names)),
        "lambda" => named(call, body, |names| lambda::demands(cx, operation, names)),
        "ssm" => named(call, body, |names| ssm::demands(cx, operation, names)),
        "ses" => named(call, body, |names| ses::demands(cx, operation, names)),
        "firehose" => named(call, body, |names| firehose::demands(cx, operation, names)),
        "s3" => named(call, body, |names| s3::demands(operation, names)),
        "iam" => named(call, body, |names| iam::demands(cx, operation, names)),
        "cloudformation" => named(call, body, |names| stacks::demands(cx, operation, names)),
        "sts" => Ok(match operation {
            // Everybody may know who they are; who may assume a role is asked where its trust policy is known.
            "GetCallerIdentity" | "AssumeRole" => Some(Vec::new()),
            _ => None,
        }),
        _ => Ok(None),
    }
}

/// A principal as policies see it, with its policies.
pub(super) struct Asking<'a> {
    principal: Asks<'a>,
    identity: Arc<Compiled>,
    session: Option<Vec<Arc<Policy>>>,
    facts: Facts<'a>,
}

impl<'a> Asking<'a> {
    /// The caller of a request.
    ///
    /// # Errors
    /// Where its policies cannot be read.
    pub(super) fn of(cx: &'a Cx) -> Result<Self, Failure> {
        let (app, account) = (&cx.app, cx.app.account.as_str());
        let policies = |kind, name, id| app.keys.policies(&app.records, account, kind, name, id);
        let mut passed = None;
        let (principal, identity) = match &cx.caller {
            Principal::Root => (Asks::Root { account }, Arc::default()),
            Principal::Link => (Asks::Anonymous, Arc::default()),
            Principal::User { user, .. } => {
                let asks = Asks::User { arn: &user.arn, id: &user.id, name: &user.name };
                (asks, policies(Kind::User, &user.name, &user.id)?)
            }
            Principal::AssumedRole { session, .. } => {
                passed = session_policies(cx, session)?;
                let asks = Asks::Session {
                    arn: &session.arn,
                    role_arn: &session.role_arn,
                    role_id: &session.role_id,
                    name: &session.name,
                };
                (asks, policies(Kind::Role, &session.role, &session.role_id)?)
            }
        };
        let mut facts = Facts::of(&principal, cx.now);
        facts.put("aws:RequestedRegion", Fact::Text(cx.region.as_str().into()));
        facts.put("aws:ResourceAccount", Fact::Text(account.into()));
        if let Some(from) = cx.caller.from() {
            facts.put("aws:SourceIp", Fact::Address(from.address));
            facts.put("aws:SecureTransport", Fact::Bool(from.is_secure));
        }
        Ok(Self { principal, identity, session: passed, facts })
    }

    /// Whether a policy of the caller may ask for tags.
    fn asks_for_tags(&self) -> bool {
        let session = self.session.iter().flatten();
        let mut all = self.identity.identity.iter().chain(&self.identity.boundary).chain(session);
        all.any(|policy| policy.asks_for_tags())
    }

    /// Why the first of the demands that is not allowed is not; nothing where all are. `carried` are the tags of the request, where
    /// tags are asked for.
    fn refusal(
        mut self,
        cx: &Cx,
        demands: &[Demand],
        carried: Option<RequestTags>,
    ) -> Result<Option<String>, Failure> {
        let asks_for_tags = carried.is_some();
        if let Some(carried) = carried {
            carried.tell(&mut self.facts);
        }
        let common = self.facts.clone();
        for demand in demands {
            self.facts.clone_from(&common);
            for (key, value) in &demand.facts {
                self.facts.put(*key, Fact::Text(value.clone().into()));
            }
            if let Some(name) = demand.names.first().filter(|_| asks_for_tags) {
                tags::tell_resource(cx, name, &mut self.facts)?;
            }
            let refusal = self.refusal_of(cx, demand)?;
            if refusal.is_some() {
                return Ok(refusal);
            }
        }
        Ok(None)
    }

    fn refusal_of(&self, cx: &Cx, demand: &Demand) -> Result<Option<String>, Failure> {
        let mut allowed = false;
        let mut refusal = None;
        for name in &demand.names {
            let request = self.request(&demand.action, name);
            let resource = resource_policies(cx, name)?;
            let policies = self.policies(&resource, owner(cx, name));
            match evaluate(&policies, &request) {
                Decision::Allowed => allowed = true,
                denied @ Decision::ExplicitDeny(..) => return Ok(denied.message(&request)),
                // Of the implicit ones the first is told.
                denied @ Decision::ImplicitDeny(_) => {
                    refusal = refusal.or_else(|| denied.message(&request));
                }
            }
        }
        Ok(refusal.filter(|_| !allowed))
    }

    /// Whether a role may be assumed: its trust policy must allow it in any case.
    pub(super) fn may_assume(
        &mut self,
        role_arn: &str,
        trust: Arc<Policy>,
        facts: &[(&'static str, String)],
    ) -> bool {
        for (key, value) in facts {
            self.facts.put(*key, Fact::Text(value.clone().into()));
        }
        let account = role_arn.split(':').nth(4).unwrap_or_default();
        let trust = [trust];
        let policies = Policies { resource_must_allow: true, ..self.policies(&trust, account) };
        evaluate(&policies, &self.request("sts:AssumeRole", role_arn)).is_allowed()
    }

    fn request<'r>(&'r self, action: &'r str, resource: &'r str) -> Request<'r> {
        Request { principal: &self.principal, action, resource, facts: &self.facts }
    }

    fn policies<'p>(&'p self, resource: &'p [Arc<Policy>], resource_account: &'p str) -> Policies<'p> {
        Policies {
            identity: &self.identity.identity,
            boundary: self.identity.boundary.as_deref(),
            session: self.session.as_deref(),
            resource,
            resource_account,
            resource_must_allow: false,
        }
    }
}

/// The policies that were passed when the session was made.
fn session_policies(cx: &Cx, session: &crate::auth::Session) -> Result<Option<Vec<Arc<Policy>>>, Failure> {
    if session.policy.is_none() && session.policy_arns.is_empty() {
        return Ok(None);
    }
    let mut passed = Vec::new();
    if let Some(document) = &session.policy {
        passed.push(compile(document, PolicyKind::Identity)?);
    }
    for arn in &session.policy_arns {
        // One that is deleted meanwhile gives nothing.
        if let Some(document) = policies::document(&cx.app.records, &cx.app.account, arn)? {
            passed.push(compile(&document, PolicyKind::Identity)?);
        }
    }
    Ok(Some(passed))
}

/// The account that a resource belongs to: ours, unless its ARN names another.
fn owner<'a>(cx: &'a Cx, name: &'a str) -> &'a str {
    let named = name.split(':').nth(4).filter(|_| name.starts_with("arn:"));
    let is_account = |text: &&str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    named.filter(is_account).unwrap_or(&cx.app.account)
}

/// The policies of a resource itself: of a topic or a bucket, where it has one that was set.
fn resource_policies(cx: &Cx, name: &str) -> Result<Vec<Arc<Policy>>, Failure> {
    let document = if name.starts_with("arn:aws:sns:") {
        match topics::find(&cx.app.records, name) {
            Ok(mut topic) => topic.attributes.remove("Policy"),
            Err(Refusal::Store(failure)) => return Err(failure),
            Err(_) => None,
        }
    } else if let Some(path) = name.strip_prefix(s3::ARN) {
        match buckets::find(&cx.app.records, path.split('/').next().unwrap_or_default()) {
            Ok(bucket) => bucket.policy,
            Err(BucketRefusal::Store(failure)) => return Err(failure),
            Err(_) => None,
        }
    } else {
        None
    };
    let Some(document) = document.filter(|document| !document.is_empty()) else {
        return Ok(Vec::new());
    };
    Ok(vec![match Policy::parse(&document, PolicyKind::Resource) {
        Ok(policy) => Arc::new(policy),
        // One that cannot be read may forbid what is asked.
        Err(_) => compile(DENY_ALL, PolicyKind::Resource)?,
    }])
}

/// Stands for a policy that cannot be read.
const DENY_ALL: &str = r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}"#;

/// The error of a service for what may not be done.
fn denied(service: Service, protocol: Protocol, message: String) -> ApiError {
    let (status, code) = match (service.traits().signing, protocol) {
        ("sns", _) => (403, "AuthorizationError"),
        ("s3", _) => (403, "AccessDenied"),
        ("monitoring", _) | (_, Protocol::Query) => (403, "AccessDenied"),
        (_, Protocol::RestJson) => (403, "AccessDeniedException"),
        (_, Protocol::Json10 | Protocol::Json11 | Protocol::Cbor) => (400, "AccessDeniedException"),
    };
    ApiError { status, code, message }
}

/// What messages say of a role that may not be assumed, or is not there.
pub(super) fn may_not_assume(cx: &Cx, role_arn: &str) -> ApiError {
    let name = cx.caller.arn(&cx.app.account).unwrap_or_default();
    let message =
        format!("User: {name} is not authorized to perform: sts:AssumeRole on resource: {role_arn}");
    ApiError { status: 403, code: "AccessDenied", message }
}

/// A list of which a null member is no member.
fn texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts: Option<Vec<Option<String>>> = serde::Deserialize::deserialize(deserializer)?;
    Ok(texts.unwrap_or_default().into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
