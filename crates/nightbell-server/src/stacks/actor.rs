/*!
For whom a stack is made: the caller by name, kept with the run and judged anew at each step. A caller whose rights are taken away while
a stack is made can do no more from then on; one that is deleted can do nothing.
*/

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::auth::{Origin, Principal, Session};
use crate::aws::Cx;
use crate::clock;
use crate::keys;
use crate::manage::iam::{Iam, IamError, Kind};

/// What roles must trust to be given to a stack.
pub(crate) const SERVICE: &str = "cloudformation.amazonaws.com";

/// Somebody who asked for something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Actor {
    /// The account itself.
    Root,
    /// A user.
    User {
        /// Its name.
        name: String,
        /// Its id: another user of the same name is somebody else.
        id: String,
        /// Where it asked from.
        from: Option<Origin>,
    },
    /// A session of a role.
    Session {
        /// The role's ARN.
        role_arn: String,
        /// The role's id.
        role_id: String,
        /// The session's name.
        name: String,
        /// The policy that the session was made with.
        policy: Option<String>,
        /// The managed policies that it was made with.
        policy_arns: Vec<String>,
        /// Where it asked from.
        from: Option<Origin>,
    },
    /// The role that the stack was given.
    Role {
        /// Its ARN.
        arn: String,
    },
}

impl Actor {
    /// The caller, or the role that is to be acted in for it.
    pub(crate) fn of(caller: &Principal, role: Option<&str>) -> Self {
        if let Some(arn) = role {
            return Self::Role { arn: arn.to_owned() };
        }
        match caller {
            // A link asks for nothing that makes stacks: it is refused before.
            Principal::Root | Principal::Link => Self::Root,
            Principal::User { user, from } => {
                Self::User { name: user.name.clone(), id: user.id.clone(), from: *from }
            }
            Principal::AssumedRole { session, from } => Self::Session {
                role_arn: session.role_arn.clone(),
                role_id: session.role_id.clone(),
                name: session.name.clone(),
                policy: session.policy.clone(),
                policy_arns: session.policy_arns.clone(),
                from: *from,
            },
        }
    }

    /// The same as a caller, now.
    ///
    /// # Errors
    /// Where it is not there any more, or may not be acted for; the text says which.
    pub(crate) fn cx(&self, app: &Arc<App>, region: &str, stack: &str) -> Result<Cx, String> {
        let caller = self.principal(app, stack).map_err(|error| match error {
            IamError::Missing(text) | IamError::Denied(text) | IamError::Invalid(text) => text,
            other => {
                tracing::warn!(error = ?other, "who a stack is made for could not be looked up");
                "Who the stack is made for could not be looked up; try again".to_owned()
            }
        })?;
        Ok(Cx { app: Arc::clone(app), region: region.to_owned(), now: clock::now(), caller })
    }

    fn principal(&self, app: &App, stack: &str) -> Result<Principal, IamError> {
        let gone = |kind: &str, name: &str| {
            IamError::Missing(format!("The {kind} {name} that asked for this is not there any more"))
        };
        match self {
            Self::Root => Ok(Principal::Root),
            Self::User { name, id, from } => {
                let user = Iam::of(app).identity(Kind::User, name)?;
                if user.id != *id {
                    return Err(gone("user", name));
                }
                Ok(Principal::User { user: Arc::new(user.as_user(&app.account)), from: *from })
            }
            Self::Session { role_arn, role_id, name, policy, policy_arns, from } => {
                let role = Iam::of(app).role(role_arn)?;
                if role.id != *role_id {
                    return Err(gone("role", role_arn));
                }
                let session = role.session(&app.account, name, policy.clone(), policy_arns.clone());
                Ok(Principal::AssumedRole { session: Arc::new(session), from: *from })
            }
            Self::Role { arn } => {
                let session: Session = keys::role_session(app, SERVICE, arn, stack, clock::now())?;
                Ok(Principal::AssumedRole { session: Arc::new(session), from: None })
            }
        }
    }
}
