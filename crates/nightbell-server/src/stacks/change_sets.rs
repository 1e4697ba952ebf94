/*!
Change sets: what would be done to a stack, worked out and kept until somebody has it done.
*/

use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::plan::Change;
use super::records::{Goal, Stack};
use crate::catalog::{Failure, Key, Records, delete, put};

/// A change set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChangeSet {
    /// Its id, the end of its ARN.
    pub(crate) id: String,
    /// Its name, once in a stack.
    pub(crate) name: String,
    /// The region.
    pub(crate) region: String,
    /// The stack's id.
    pub(crate) stack: String,
    /// The stack's name.
    pub(crate) stack_name: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// What it is for, in its maker's words.
    pub(crate) description: Option<String>,
    /// Whether the stack is new.
    pub(crate) is_new: bool,
    /// What the stack is to be.
    pub(crate) goal: Goal,
    /// Why it cannot be carried out; nothing where it can.
    pub(crate) failure: Option<String>,
    /// What would be done.
    pub(crate) changes: Vec<Change>,
    /// `DELETE`, `DO_NOTHING` or `ROLLBACK`, where it says so.
    pub(crate) on_failure: Option<String>,
}

impl ChangeSet {
    /// Its ARN.
    pub(crate) fn arn(&self, account: &str) -> String {
        format!("arn:aws:cloudformation:{}:{account}:changeSet/{}/{}", self.region, self.name, self.id)
    }
}

fn key(region: &str, stack: &str, name: &str) -> Key {
    Key::of(&["change-set", region, stack, name])
}

/// The keys of all change sets of a stack.
pub(crate) fn keys(records: &Records, stack: &Stack) -> Result<Vec<Key>, Failure> {
    records.keys(&Key::prefix(&["change-set", &stack.region, &stack.id], ""))
}

/// The change sets of a stack, by name.
pub(crate) fn list(records: &Records, stack: &Stack) -> Result<Vec<ChangeSet>, Failure> {
    records.list(&Key::prefix(&["change-set", &stack.region, &stack.id], ""))
}

/// The change set of this name.
pub(crate) fn find(records: &Records, stack: &Stack, name: &str) -> Result<Option<ChangeSet>, Failure> {
    records.get(&key(&stack.region, &stack.id, name))
}

/// The change set of this ARN.
pub(crate) fn find_arn(
    records: &Records,
    region: &str,
    account: &str,
    arn: &str,
) -> Result<Option<ChangeSet>, Failure> {
    let all: Vec<ChangeSet> = records.list(&Key::prefix(&["change-set", region], ""))?;
    Ok(all.into_iter().find(|one| one.arn(account) == arn))
}

/// Adds a change set to `change`.
pub(crate) fn put_set(change: &mut Write, set: &ChangeSet) {
    put(change, &key(&set.region, &set.stack, &set.name), set);
}

/// Adds to `change` that a change set is gone.
pub(crate) fn forget(change: &mut Write, set: &ChangeSet) {
    delete(change, &key(&set.region, &set.stack, &set.name));
}
