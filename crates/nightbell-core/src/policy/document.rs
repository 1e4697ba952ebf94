/*!
Policy documents: from JSON to statements that can be held against a request.

What each kind of policy must and must not have stands here, with the messages IAM gives ("IAM JSON policy elements
reference" and "Grammar of the IAM JSON policy language", IAM User Guide). A document's own limits are the caller's, who
knows what it is attached to; [`counted_chars`] counts as IAM does.
*/

use std::collections::HashSet;

use super::condition::Condition;
use super::evaluate::Request;
use super::principals::{Grant, Principals};
use super::template::{Template, Wildcards};
use super::{POLICY_BYTES_MAX, PolicyError};
use crate::json::Json;
use crate::wildcard::Case;

/// What a policy is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// A user, a role, a group or a session; boundaries too. Names no principal.
    Identity,
    /// A resource. Names principals; without `Resource` it speaks of the resource it is attached to.
    Resource,
    /// A role: who may assume it.
    Trust,
}

/// A policy, compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
    asks_for_tags: bool,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    principals: Option<Principals>,
    actions: OneOf,
    resources: Option<OneOf>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// `Action` and `Resource`, or their opposites.
#[derive(Clone, Debug, PartialEq)]
struct OneOf {
    negated: bool,
    templates: Vec<Template>,
}

/// Versions of the policy language; the second brought policy variables.
const VERSIONS: [&str; 2] = ["2008-10-17", "2012-10-17"];
const DOCUMENT_ELEMENTS: [&str; 3] = ["Version", "Id", "Statement"];
const STATEMENT_ELEMENTS: [&str; 9] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];
/// What a role's trust policy can speak of.
const TRUST_ACTIONS: [&str; 5] = [
    "sts:AssumeRole",
    "sts:AssumeRoleWithSAML",
    "sts:AssumeRoleWithWebIdentity",
    "sts:TagSession",
    "sts:SetSourceIdentity",
];
/// First words of IAM's own resources.
const IAM_PATHS: [&str; 12] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
];
const PARTITIONS: [&str; 6] = ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "*"];

/// Characters of a document as IAM counts them: without white space ("IAM and AWS STS quotas").
pub fn counted_chars(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

impl Policy {
    /// Reads and compiles a document.
    ///
    /// # Errors
    /// The first mistake, in the words of `MalformedPolicyDocument` and with its place.
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            let detail =
                format!("The document has {} bytes; at most {POLICY_BYTES_MAX} are read.", text.len());
            return Err(PolicyError::syntax(detail));
        }
        let json = Json::parse(text)
            .map_err(|error| PolicyError::syntax(format!("The document is no JSON: {error}.")))?;
        check_names(&json, &DOCUMENT_ELEMENTS, "The document")?;
        let variables = version(&json, kind)? == VERSIONS[1];
        if json.get("Id").is_some_and(|id| id.text().is_none()) {
            return Err(PolicyError::syntax("Id must be a string."));
        }
        let list = json.get("Statement").ok_or_else(|| PolicyError::syntax("Statement is required."))?;
        let mut statements = Vec::new();
        for (index, statement) in list.one_or_many().iter().enumerate() {
            statements.push(Statement::parse(statement, kind, variables, &format!("Statement[{index}]"))?);
        }
        if statements.is_empty() {
            return Err(PolicyError::syntax("Statement must have at least one member."));
        }
        let mut sids = HashSet::new();
        let named =
            statements.iter().filter_map(|statement| statement.sid.as_deref()).filter(|sid| !sid.is_empty());
        if let Some(twice) = named.into_iter().find(|sid| !sids.insert(*sid)) {
            let message = "Statement IDs (SID) in a single policy must be unique.";
            return Err(PolicyError::new(message, format!("The Sid {twice:?} stands twice.")));
        }
        // An escape may hide the word, so it counts as one.
        let asks_for_tags = text.to_ascii_lowercase().contains("tag") || text.contains("\\u");
        Ok(Self { statements, asks_for_tags })
    }

    /// Whether a condition or a variable may speak of tags; where none does, nobody has to look them up.
    pub fn asks_for_tags(&self) -> bool {
        self.asks_for_tags
    }

    pub(super) fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

/// The version of the language that the document is written in; the first where it names none.
fn version(json: &Json, kind: PolicyKind) -> Result<&'static str, PolicyError> {
    let wanted = match json.get("Version") {
        None => VERSIONS[0],
        Some(value) => *VERSIONS.iter().find(|known| value.text() == Some(known)).ok_or_else(|| {
            PolicyError::syntax(format!("Version must be {:?} or {:?}.", VERSIONS[1], VERSIONS[0]))
        })?,
    };
    if kind == PolicyKind::Identity && wanted != VERSIONS[1] {
        let message = "Policy document must be version 2012-10-17 or greater.";
        return Err(PolicyError::new(message, "Version must be \"2012-10-17\"."));
    }
    Ok(wanted)
}

fn check_names(json: &Json, known: &[&str], place: &str) -> Result<(), PolicyError> {
    let Json::Object(members) = json else {
        return Err(PolicyError::syntax(format!("{place} must be an object.")));
    };
    match members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => Err(PolicyError::syntax(format!(
            "{place} has no element {name:?}; known are {}.",
            known.join(", ")
        ))),
        None => Ok(()),
    }
}

impl Statement {
    fn parse(json: &Json, kind: PolicyKind, variables: bool, place: &str) -> Result<Self, PolicyError> {
        check_names(json, &STATEMENT_ELEMENTS, place)?;
        let effect = match json.get("Effect").and_then(Json::text) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err(PolicyError::syntax(format!("{place}.Effect must be \"Allow\" or \"Deny\"."))),
        };
        let actions = actions(json, kind, place)?;
        let conditions = match json.get("Condition") {
            Some(value) => Condition::parse_all(value, variables, &format!("{place}.Condition"))?,
            None => Vec::new(),
        };
        Ok(Self {
            sid: sid(json, kind, place)?,
            effect,
            principals: principals(json, kind, effect, place)?,
            actions,
            resources: resources(json, kind, variables, place)?,
            conditions,
        })
    }

    /// Whether it speaks of the request, and how far its Allow would carry; cheapest questions first.
    pub(super) fn applies(&self, request: &Request<'_>) -> Option<Grant> {
        if !self.actions.holds(request.action, request, Case::Folded) {
            return None;
        }
        if let Some(resources) = &self.resources
            && !resources.holds(request.resource, request, Case::Exact)
        {
            return None;
        }
        let grant = match &self.principals {
            Some(principals) => principals.grant(request.principal)?,
            None => Grant::Caller,
        };
        self.conditions.iter().all(|condition| condition.holds(request.facts)).then_some(grant)
    }
}

impl OneOf {
    /// A variable without value makes its own template match nothing, and a negated element not hold.
    fn holds(&self, text: &str, request: &Request<'_>, case: Case) -> bool {
        let mut open = false;
        for template in &self.templates {
            match template.matches(text, request.facts, case) {
                Some(true) => return !self.negated,
                Some(false) => {}
                None => open = true,
            }
        }
        self.negated && !open
    }
}

fn sid(json: &Json, kind: PolicyKind, place: &str) -> Result<Option<String>, PolicyError> {
    let Some(value) = json.get("Sid") else { return Ok(None) };
    let sid = value.text().ok_or_else(|| PolicyError::syntax(format!("{place}.Sid must be a string.")))?;
    if kind != PolicyKind::Resource && !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
        let message = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression \
                       [0-9A-Za-z]*";
        return Err(PolicyError::new(message, format!("{place}.Sid is {sid:?}.")));
    }
    Ok(Some(sid.to_owned()))
}

fn principals(
    json: &Json,
    kind: PolicyKind,
    effect: Effect,
    place: &str,
) -> Result<Option<Principals>, PolicyError> {
    let found = either(json, "Principal", "NotPrincipal", place)?;
    match (found, kind) {
        (None, PolicyKind::Identity) => Ok(None),
        (Some(_), PolicyKind::Identity) => {
            let message = "Policy document should not specify a principal.";
            Err(PolicyError::new(message, format!("{place}: remove Principal or NotPrincipal.")))
        }
        (None, _) => {
            let detail = format!("{place} must say in Principal whom it speaks of.");
            Err(PolicyError::new("Missing required field Principal", detail))
        }
        (Some((_, true)), _) if effect == Effect::Allow => {
            let detail = format!("{place}.NotPrincipal goes with the Effect \"Deny\" only; use Principal.");
            Err(PolicyError::new("Allow with NotPrincipal is not allowed.", detail))
        }
        (Some((value, negated)), _) => {
            let name = if negated { "NotPrincipal" } else { "Principal" };
            Principals::parse(value, negated, &format!("{place}.{name}")).map(Some)
        }
    }
}

fn actions(json: &Json, kind: PolicyKind, place: &str) -> Result<OneOf, PolicyError> {
    let found = either(json, "Action", "NotAction", place)?;
    let absent =
        || PolicyError::new("Policy statement must contain actions.", format!("{place} needs Action."));
    let (value, negated) = found.ok_or_else(absent)?;
    let mut templates = Vec::new();
    for action in strings(value, &format!("{place}.Action"))? {
        let wrong = |message: String| PolicyError::new(message, format!("{place}.Action is {action:?}."));
        match action.split_once(':') {
            None if action == "*" => {}
            None => {
                let message = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
                return Err(wrong(message.to_owned()));
            }
            Some((_, name)) if name.contains(':') => {
                return Err(wrong("Actions/Condition can contain only one colon.".to_owned()));
            }
            Some((vendor, _))
                if vendor != "*"
                    && !vendor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') =>
            {
                return Err(wrong(format!("Vendor {vendor} is not valid")));
            }
            Some(_) => {}
        }
        if kind == PolicyKind::Trust && !TRUST_ACTIONS.iter().any(|known| known.eq_ignore_ascii_case(action))
        {
            let message = "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and \
                           sts:AssumeRoleWithWebIdentity";
            return Err(wrong(message.to_owned()));
        }
        let template = Template::parse(&action.to_ascii_lowercase(), Wildcards::Free, false);
        templates.push(template.map_err(|why| PolicyError::syntax(format!("{place}.Action {why}.")))?);
    }
    if templates.is_empty() { Err(absent()) } else { Ok(OneOf { negated, templates }) }
}

fn resources(
    json: &Json,
    kind: PolicyKind,
    variables: bool,
    place: &str,
) -> Result<Option<OneOf>, PolicyError> {
    let found = either(json, "Resource", "NotResource", place)?;
    let absent = || {
        let detail = format!("{place} needs Resource.");
        Err(PolicyError::new("Policy statement must contain resources.", detail))
    };
    let (value, negated) = match (found, kind) {
        (Some(_), PolicyKind::Trust) => {
            let detail = format!("{place}: a trust policy speaks of its role alone.");
            return Err(PolicyError::new("Has prohibited field Resource.", detail));
        }
        (Some(found), _) => found,
        (None, PolicyKind::Identity) => return absent(),
        (None, _) => return Ok(None),
    };
    let mut templates = Vec::new();
    for resource in strings(value, &format!("{place}.Resource"))? {
        check_resource(resource)
            .map_err(|message| PolicyError::new(message, format!("{place}.Resource is {resource:?}.")))?;
        let template = Template::parse(resource, Wildcards::Resource, variables);
        templates.push(template.map_err(|why| PolicyError::syntax(format!("{place}.Resource {why}.")))?);
    }
    if templates.is_empty() { absent() } else { Ok(Some(OneOf { negated, templates })) }
}

/// Whether it has the form of a resource: `*` or an ARN.
fn check_resource(resource: &str) -> Result<(), String> {
    if resource == "*" {
        return Ok(());
    }
    let not_arn = || format!("Resource {resource} must be in ARN format or \"*\".");
    let rest = resource.strip_prefix("arn:").ok_or_else(not_arn)?;
    let mut parts = rest.splitn(5, ':');
    let partition = parts.next().unwrap_or_default();
    let [service, region, account, id] = std::array::from_fn(|_| parts.next());
    if !PARTITIONS.contains(&partition) {
        let shown = [service, region, account, id].map(|part| part.unwrap_or("*")).join(":");
        return Err(format!(
            "Partition \"{partition}\" is not valid for resource \"arn:{partition}:{shown}\"."
        ));
    }
    let Some(service) = service.filter(|service| !service.is_empty() && !service.contains(['*', '?', '$']))
    else {
        return Err("Resource vendor must be fully qualified and cannot contain regexes.".to_owned());
    };
    let (Some(region), Some(_), Some(id)) = (region, account, id) else {
        // Fewer parts are taken when the last one is open: "arn:aws:logs:*".
        return if resource.ends_with('*') { Ok(()) } else { Err(not_arn()) };
    };
    match service {
        "iam" if !region.is_empty() => {
            Err(format!("IAM resource {resource} cannot contain region information."))
        }
        "iam" if !id.starts_with('*') && !IAM_PATHS.iter().any(|path| id.starts_with(path)) => {
            Err(format!("IAM resource path must either be \"*\" or start with {}.", IAM_PATHS.join(", ")))
        }
        "s3" if !region.is_empty() && region != "*" && !id.starts_with("accesspoint/") => {
            Err(format!("Resource {resource} can not contain region information."))
        }
        _ => Ok(()),
    }
}

/// The value of `name` or of its opposite, and whether it is the opposite; both together are refused.
fn either<'a>(
    json: &'a Json,
    name: &str,
    opposite: &str,
    place: &str,
) -> Result<Option<(&'a Json, bool)>, PolicyError> {
    match (json.get(name), json.get(opposite)) {
        (Some(_), Some(_)) => {
            Err(PolicyError::syntax(format!("{place} has both {name} and {opposite}; keep one of them.")))
        }
        (Some(value), None) => Ok(Some((value, false))),
        (None, Some(value)) => Ok(Some((value, true))),
        (None, None) => Ok(None),
    }
}

/// A string, or a list of strings.
fn strings<'a>(value: &'a Json, place: &str) -> Result<Vec<&'a str>, PolicyError> {
    let texts: Option<Vec<&str>> = value.one_or_many().iter().map(Json::text).collect();
    texts.ok_or_else(|| PolicyError::syntax(format!("{place} must be a string or a list of strings.")))
}
