/*!
Who asks, and the `Principal` element of resource and trust policies that names who may.

Follows "AWS JSON policy elements: Principal" and "NotPrincipal" (IAM User Guide). How much a match gives matters: a
policy that names the account leaves the choice to the account's own policies, one that names a role stays under the
limits of its sessions, and one that names the caller itself is enough (see [`Grant`]).
*/

use super::PolicyError;
use super::facts::{Fact, Facts};
use crate::json::Json;

/// Who makes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal<'a> {
    /// The account itself.
    Root {
        /// Twelve digits.
        account: &'a str,
    },
    /// An IAM user.
    User {
        /// `arn:aws:iam::<account>:user/<path><name>`.
        arn: &'a str,
        /// Its unique id, `AIDA…`.
        id: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// A session of a role.
    Session {
        /// `arn:aws:sts::<account>:assumed-role/<role>/<session>`.
        arn: &'a str,
        /// `arn:aws:iam::<account>:role/<path><role>`.
        role_arn: &'a str,
        /// The role's unique id, `AROA…`.
        role_id: &'a str,
        /// The session's name.
        name: &'a str,
    },
    /// A service that acts by itself.
    Service {
        /// Its names, as `logs.amazonaws.com` and `logs.eu-central-1.amazonaws.com`, the plain one first.
        names: &'a [&'a str],
    },
    /// Nobody known.
    Anonymous,
}

impl<'a> Principal<'a> {
    /// The account it belongs to; services and strangers have none.
    pub fn account(&self) -> Option<&'a str> {
        match self {
            Self::Root { account } => Some(account),
            Self::User { arn, .. } | Self::Session { arn, .. } => arn.split(':').nth(4),
            Self::Service { .. } | Self::Anonymous => None,
        }
    }

    /// How messages name it: its ARN, or the name of the service.
    pub fn name(&self) -> String {
        match self {
            Self::Root { account } => format!("arn:aws:iam::{account}:root"),
            Self::User { arn, .. } | Self::Session { arn, .. } => (*arn).to_owned(),
            Self::Service { names } => names.first().copied().unwrap_or_default().to_owned(),
            Self::Anonymous => "anonymous".to_owned(),
        }
    }

    /// Puts what condition keys say of it into `facts`.
    pub(super) fn tell(&self, facts: &mut Facts<'a>) {
        let text = |text: &'a str| Fact::Text(text.into());
        facts.put("aws:PrincipalIsAWSService", Fact::Bool(matches!(self, Self::Service { .. })));
        if let Some(account) = self.account() {
            facts.put("aws:PrincipalAccount", text(account));
        }
        let kind = match self {
            Self::Root { account } => {
                facts.put("aws:userid", text(account));
                facts.put("aws:PrincipalArn", Fact::Text(self.name().into()));
                "Account"
            }
            Self::User { arn, id, name } => {
                facts.put("aws:userid", text(id));
                facts.put("aws:username", text(name));
                facts.put("aws:PrincipalArn", text(arn));
                "User"
            }
            Self::Session { role_arn, role_id, name, .. } => {
                facts.put("aws:userid", Fact::Text(format!("{role_id}:{name}").into()));
                facts.put("aws:PrincipalArn", text(role_arn));
                "AssumedRole"
            }
            Self::Service { names } => {
                if let Some(name) = names.first() {
                    facts.put("aws:PrincipalServiceName", text(name));
                }
                let all = names.iter().map(|name| (*name).into()).collect();
                facts.put("aws:PrincipalServiceNamesList", Fact::Texts(all));
                return;
            }
            Self::Anonymous => {
                facts.put("aws:userid", text("anonymous"));
                "Anonymous"
            }
        };
        facts.put("aws:PrincipalType", text(kind));
    }
}

/// How far the Allow of a resource policy carries, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grant {
    /// To the account: its identity policies decide further.
    Account,
    /// To the role: boundaries and session policies still limit its sessions.
    Role,
    /// To the caller itself: it is enough.
    Caller,
}

/// The element, compiled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Principals {
    /// `NotPrincipal`.
    negated: bool,
    named: Vec<Named>,
}

#[derive(Clone, Debug, PartialEq)]
enum Named {
    Anyone,
    Account(String),
    Arn(String),
    Id(String),
    Service(String),
    /// Kinds of callers that do not exist here: federated users and canonical ids.
    Elsewhere,
}

impl Principals {
    /// Reads the value of `Principal` or `NotPrincipal`.
    pub(super) fn parse(value: &Json, negated: bool, place: &str) -> Result<Self, PolicyError> {
        let mut named = Vec::new();
        match value {
            Json::Text(text) if text == "*" => named.push(Named::Anyone),
            Json::Object(members) if !members.is_empty() => {
                for (kind, names) in members {
                    for name in names.one_or_many() {
                        let name = name.text().ok_or_else(|| {
                            PolicyError::syntax(format!(
                                "{place}.{kind} must be a string or a list of strings."
                            ))
                        })?;
                        named.push(one(kind, name, place)?);
                    }
                }
            }
            _ => {
                return Err(PolicyError::syntax(format!(
                    "{place} must be \"*\" or an object that names someone."
                )));
            }
        }
        Ok(Self { negated, named })
    }

    /// What the element gives the caller; `None` where it does not speak of it.
    ///
    /// `NotPrincipal` leaves out whom it names; to name an account leaves out its root user alone.
    pub(super) fn grant(&self, principal: &Principal<'_>) -> Option<Grant> {
        let best = self.named.iter().filter_map(|named| named.grant(principal)).max();
        match self.negated {
            true => best.is_none_or(|grant| grant == Grant::Account).then_some(Grant::Caller),
            false => best,
        }
    }
}

impl Named {
    fn grant(&self, principal: &Principal<'_>) -> Option<Grant> {
        match (self, principal) {
            (Self::Anyone, Principal::Session { .. }) => Some(Grant::Role),
            (Self::Anyone, _) => Some(Grant::Caller),
            (Self::Account(wanted), Principal::Root { account }) if wanted == account => Some(Grant::Caller),
            (Self::Account(wanted), _) if principal.account() == Some(wanted) => Some(Grant::Account),
            (Self::Arn(wanted), Principal::User { arn, .. } | Principal::Session { arn, .. })
                if wanted == arn =>
            {
                Some(Grant::Caller)
            }
            (Self::Arn(wanted), Principal::Session { role_arn, .. }) if wanted == role_arn => {
                Some(Grant::Role)
            }
            (Self::Id(wanted), Principal::User { id, .. }) if wanted == id => Some(Grant::Caller),
            (Self::Id(wanted), Principal::Session { role_id, .. }) if wanted == role_id => Some(Grant::Role),
            (Self::Service(wanted), Principal::Service { names }) if names.contains(&wanted.as_str()) => {
                Some(Grant::Caller)
            }
            _ => None,
        }
    }
}

/// One name of one kind. Parts of names cannot be wildcards.
fn one(kind: &str, name: &str, place: &str) -> Result<Named, PolicyError> {
    let invalid = |why: &str| {
        let message = format!("Invalid principal in policy: \"{kind}\":\"{name}\"");
        Err(PolicyError::new(message, format!("{place}.{kind} {why}.")))
    };
    if kind == "AWS" && name == "*" {
        return Ok(Named::Anyone);
    }
    if name.is_empty() || name.contains(['*', '?']) {
        return invalid("must be a whole name; only \"*\" alone stands for everyone");
    }
    match kind {
        "AWS" if is_account(name) => Ok(Named::Account(name.to_owned())),
        "AWS" if name.starts_with("arn:") => match name.splitn(6, ':').collect::<Vec<_>>()[..] {
            [_, _, "iam", "", account, "root"] if is_account(account) => {
                Ok(Named::Account(account.to_owned()))
            }
            [_, _, "iam" | "sts", "", account, rest] if is_account(account) && rest.contains('/') => {
                Ok(Named::Arn(name.to_owned()))
            }
            _ => invalid("must be the ARN of an account, a user, a role or a session of a role"),
        },
        "AWS" if name.len() >= 16 && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) => {
            Ok(Named::Id(name.to_owned()))
        }
        "AWS" => invalid("must be an account of 12 digits, an ARN or a unique id"),
        "Service" if name.contains('.') => Ok(Named::Service(name.to_owned())),
        "Service" => invalid("must be the name of a service, as \"logs.amazonaws.com\""),
        "Federated" | "CanonicalUser" => Ok(Named::Elsewhere),
        _ => Err(PolicyError::syntax(format!(
            "{place}.{kind} is no kind of principal; known are AWS, Service, Federated and CanonicalUser."
        ))),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
