/*!
What a user or role is given: policies of its own, managed policies attached to it, and the boundary of both.
*/

use nightbell_core::policy::{PolicyKind, ROLE_POLICIES_CHARS_MAX, USER_POLICIES_CHARS_MAX, counted_chars};

use super::{ATTACHED_POLICIES_MAX, Iam, IamError, Kind, POLICY_NAME_CHARS_MAX, check_name, check_policy};

impl Iam<'_> {
    /// Writes a policy of the identity's own, in place of one of the same name.
    pub(crate) fn put_inline(
        &self,
        kind: Kind,
        name: &str,
        policy: &str,
        document: String,
    ) -> Result<(), IamError> {
        check_name(policy, "policyName", POLICY_NAME_CHARS_MAX)?;
        check_policy(&document, PolicyKind::Identity)?;
        let limit = match kind {
            Kind::User => USER_POLICIES_CHARS_MAX,
            Kind::Role => ROLE_POLICIES_CHARS_MAX,
        };
        self.change(kind, name, |identity| {
            identity.inline.insert(policy.to_owned(), document);
            if identity.inline.values().map(|document| counted_chars(document)).sum::<usize>() > limit {
                let text =
                    format!("Maximum policy size of {limit} bytes exceeded for {} {name}", kind.word());
                return Err(IamError::Limit(text));
            }
            Ok(())
        })
    }

    /// A policy of the identity's own.
    pub(crate) fn inline(&self, kind: Kind, name: &str, policy: &str) -> Result<String, IamError> {
        self.identity(kind, name)?.inline.remove(policy).ok_or_else(|| no_inline(kind, policy))
    }

    /// Takes a policy of the identity's own away.
    pub(crate) fn delete_inline(&self, kind: Kind, name: &str, policy: &str) -> Result<(), IamError> {
        self.change(kind, name, |identity| {
            identity.inline.remove(policy).map(|_| ()).ok_or_else(|| no_inline(kind, policy))
        })
    }

    /// Attaches a managed policy; one that is attached stays so.
    pub(crate) fn attach(&self, kind: Kind, name: &str, arn: &str) -> Result<(), IamError> {
        self.change(kind, name, |identity| {
            self.attachable(arn)?;
            if identity.attached.iter().any(|attached| attached == arn) {
                return Ok(());
            }
            if identity.attached.len() >= ATTACHED_POLICIES_MAX {
                let text =
                    format!("Cannot exceed quota for PoliciesPer{}: {ATTACHED_POLICIES_MAX}", kind.title());
                return Err(IamError::Limit(text));
            }
            identity.attached.push(arn.to_owned());
            Ok(())
        })
    }

    /// Detaches a managed policy.
    pub(crate) fn detach(&self, kind: Kind, name: &str, arn: &str) -> Result<(), IamError> {
        self.change(kind, name, |identity| {
            let at = identity.attached.iter().position(|attached| attached == arn);
            let at = at.ok_or_else(|| IamError::Missing(format!("Policy {arn} was not found.")))?;
            identity.attached.remove(at);
            Ok(())
        })
    }

    /// Limits the identity by a managed policy, or takes the limit away.
    pub(crate) fn bound(&self, kind: Kind, name: &str, boundary: Option<String>) -> Result<(), IamError> {
        self.change(kind, name, |identity| {
            if let Some(arn) = &boundary {
                self.attachable(arn)?;
            } else if identity.boundary.is_none() {
                let text = format!("{} {name} has no permissions boundary.", kind.title());
                return Err(IamError::Missing(text));
            }
            identity.boundary = boundary;
            Ok(())
        })
    }
}

fn no_inline(kind: Kind, policy: &str) -> IamError {
    IamError::Missing(format!("The {} policy with name {policy} cannot be found.", kind.word()))
}
