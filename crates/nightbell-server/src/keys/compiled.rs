/*!
The policies of users and roles, compiled once and kept until anything about users, roles or policies changes.
*/

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nightbell_core::policy::{Policy, PolicyKind};

use super::compile;
use crate::catalog::{Failure, Records};
use crate::manage::iam::{Identity, Kind, policies};

/// Users and roles whose compiled policies are kept; more are compiled anew.
pub(crate) const POLICIES_KEPT_MAX: usize = 4_096;

/// What a user or role is given, and what limits it.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// Inline and attached.
    pub(crate) identity: Vec<Arc<Policy>>,
    /// The permissions boundary.
    pub(crate) boundary: Option<Arc<Policy>>,
}

/// What was compiled, by the unique id of the user or role.
#[derive(Default)]
pub(super) struct Policies {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// How often all was forgotten: what was read before that is not kept after.
    changes: u64,
    by_id: HashMap<String, Arc<Compiled>>,
}

impl Policies {
    /// Forgets all.
    pub(super) fn forget(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.changes += 1;
        kept.by_id.clear();
    }

    /// Those of a user or role; none where it is not there any more.
    pub(super) fn of(
        &self,
        records: &Records,
        account: &str,
        kind: Kind,
        name: &str,
        id: &str,
    ) -> Result<Arc<Compiled>, Failure> {
        let changes = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(compiled) = kept.by_id.get(id) {
                return Ok(Arc::clone(compiled));
            }
            kept.changes
        };
        let found = Identity::find(records, kind, name)?.filter(|identity| identity.id == id);
        let compiled = Arc::new(match found {
            Some(identity) => compile_all(records, account, &identity)?,
            None => Compiled::default(),
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.changes == changes {
            if kept.by_id.len() >= POLICIES_KEPT_MAX {
                kept.by_id.clear();
            }
            kept.by_id.insert(id.to_owned(), Arc::clone(&compiled));
        }
        Ok(compiled)
    }
}

fn compile_all(records: &Records, account: &str, identity: &Identity) -> Result<Compiled, Failure> {
    let mut compiled = Compiled::default();
    for document in identity.inline.values() {
        compiled.identity.push(compile(document, PolicyKind::Identity)?);
    }
    for arn in &identity.attached {
        if let Some(document) = policies::document(records, account, arn)? {
            compiled.identity.push(compile(&document, PolicyKind::Identity)?);
        }
    }
    if let Some(arn) = &identity.boundary {
        // A limit that cannot be found allows nothing.
        let document = policies::document(records, account, arn)?;
        let missing = || Failure::damaged(arn.as_bytes(), &"the permissions boundary is not there");
        compiled.boundary = Some(compile(&document.ok_or_else(missing)?, PolicyKind::Identity)?);
    }
    Ok(compiled)
}
