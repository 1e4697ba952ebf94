/*!
Stacks as they are kept: one record for a stack, one for each of its resources, one for each event and each change set.

A live stack is found by its name, a deleted one by its id alone. What is under way ([`Run`]) stands in the stack's own record, and how
far it came in those of the resources, so that it can be gone on with after a crash.
*/

use std::collections::{BTreeMap, BTreeSet};

use nightbell_core::stack::Keep;
use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::actor::Actor;
use super::status::{ResourceStatus, Status};
use crate::catalog::{Failure, Key, Records, delete, put};
use crate::manage::tags::Tags;

/// Stacks of one region ("CloudFormation quotas").
pub(crate) const STACKS_MAX: usize = 2_000;
/// Deleted stacks of one region that can still be described; AWS shows them for 90 days.
pub(crate) const DELETED_STACKS_MAX: usize = 100;
/// Events of one stack; the oldest go when a run begins.
pub(crate) const STACK_EVENTS_MAX: usize = 5_000;
/// Change sets of one stack.
pub(crate) const CHANGE_SETS_MAX: usize = 100;

/// What a stack is to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Goal {
    /// The template, as it was written.
    pub(crate) template: String,
    /// The values that were given; defaults are not among them.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Tags of the stack and of all its resources.
    pub(crate) tags: Tags,
    /// What was agreed to.
    pub(crate) capabilities: Vec<String>,
    /// The role that it is made in, in place of the caller.
    pub(crate) role: Option<String>,
}

/// A stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stack {
    /// Its id, the end of its ARN.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its region.
    pub(crate) region: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it was last changed.
    pub(crate) updated: Option<Timestamp>,
    /// When it was deleted.
    pub(crate) deleted: Option<Timestamp>,
    /// How it is.
    pub(crate) status: Status,
    /// Why.
    pub(crate) reason: Option<String>,
    /// What it is, or where it is new is to be.
    pub(crate) goal: Goal,
    /// What it gives out.
    pub(crate) outputs: Vec<OutputRecord>,
    /// Whether what fails stays as it is.
    pub(crate) disable_rollback: bool,
    /// After how many minutes its making has failed.
    pub(crate) timeout_minutes: Option<i64>,
    /// Whether it cannot be deleted.
    pub(crate) termination_protected: bool,
    /// The number of the last run.
    pub(crate) generation: u64,
    /// The token of the request that the last run was asked with.
    pub(crate) token: Option<String>,
    /// What is under way.
    pub(crate) run: Option<Run>,
    /// What came to a halt on the way back, and may be gone on with.
    pub(crate) halted: Option<Run>,
    /// The change set that was carried out last.
    pub(crate) change_set: Option<String>,
}

/// An output of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OutputRecord {
    /// Its name.
    pub(crate) key: String,
    /// Its value.
    pub(crate) value: String,
    /// What it is.
    pub(crate) description: Option<String>,
}

/// What is under way with a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// What it is to come to.
    pub(crate) to: Goal,
    /// What is being done.
    pub(crate) phase: Phase,
    /// Whether the stack is new.
    pub(crate) is_new: bool,
    /// For whom.
    pub(crate) actor: Actor,
    /// Whether a stack that could not be made is deleted as a whole.
    pub(crate) delete_on_failure: bool,
    /// When making it has taken too long.
    pub(crate) deadline: Option<Timestamp>,
    /// Resources that are left standing, by logical name.
    pub(crate) retain: BTreeSet<String>,
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Resources are made and changed.
    Forward,
    /// What is not wanted any more is deleted.
    Cleanup,
    /// What was made and changed is taken back.
    Rollback,
    /// All is deleted.
    Delete,
}

/// A resource of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Resource {
    /// Its name in the template.
    pub(crate) logical: String,
    /// Its type.
    pub(crate) kind: String,
    /// What it is known by to its service; nothing while there is nothing to be deleted.
    pub(crate) physical: Option<String>,
    /// How it is.
    pub(crate) status: ResourceStatus,
    /// Why.
    pub(crate) reason: Option<String>,
    /// When that began.
    pub(crate) updated: Timestamp,
    /// Its properties, worked out and in form.
    pub(crate) properties: Value,
    /// Its tags: those of the stack, and its own.
    pub(crate) tags: Tags,
    /// What `Ref` comes to.
    pub(crate) reference: Option<String>,
    /// What `Fn::GetAtt` comes to.
    pub(crate) attributes: BTreeMap<String, Value>,
    /// What becomes of it when it leaves the stack.
    pub(crate) on_delete: KeepRecord,
    /// What becomes of it when another takes its place.
    pub(crate) on_replace: KeepRecord,
    /// The resources it needs, by logical name.
    pub(crate) needs: BTreeSet<String>,
    /// The run that made or changed it last.
    pub(crate) generation: u64,
    /// Where it is being made: what was there before, as its handler said.
    pub(crate) seen: Vec<String>,
    /// Whether it was made in that run to take the place of another.
    pub(crate) replaces: bool,
    /// As it was before that run, until the run is over; nothing where it was not there.
    pub(crate) before: Option<Box<Resource>>,
}

/// What becomes of a resource that is not wanted any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeepRecord {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays.
    Retain,
    /// It stays, unless its stack could not be made.
    RetainExceptOnCreate,
}

impl From<Keep> for KeepRecord {
    fn from(keep: Keep) -> Self {
        match keep {
            Keep::Delete => Self::Delete,
            Keep::Retain => Self::Retain,
            Keep::RetainExceptOnCreate => Self::RetainExceptOnCreate,
        }
    }
}

impl Stack {
    /// Its ARN.
    pub(crate) fn arn(&self, account: &str) -> String {
        format!("arn:aws:cloudformation:{}:{account}:stack/{}/{}", self.region, self.name, self.id)
    }

    fn key(&self) -> Key {
        match self.status {
            Status::DeleteComplete => Key::of(&["stack-deleted", &self.region, &self.id]),
            _ => live(&self.region, &self.name),
        }
    }
}

fn live(region: &str, name: &str) -> Key {
    Key::of(&["stack", region, name])
}

fn resource_key(stack: &Stack, logical: &str) -> Key {
    Key::of(&["stack-resource", &stack.region, &stack.id, logical])
}

/// Name and id in the ARN of a stack of this region and account.
fn of_arn<'a>(arn: &'a str, region: &str, account: &str) -> Option<(&'a str, &'a str)> {
    arn.strip_prefix(&format!("arn:aws:cloudformation:{region}:{account}:stack/"))?.split_once('/')
}

/// The stack of a name or an ARN; a deleted one by its ARN only.
pub(crate) fn find(
    records: &Records,
    region: &str,
    account: &str,
    named: &str,
) -> Result<Option<Stack>, Failure> {
    let Some((name, id)) = of_arn(named, region, account) else {
        return records.get(&live(region, named));
    };
    let there = records.get::<Stack>(&live(region, name))?.filter(|stack| stack.id == id);
    match there {
        Some(stack) => Ok(Some(stack)),
        None => records.get(&Key::of(&["stack-deleted", region, id])),
    }
}

/// The live stacks of a region, by name.
pub(crate) fn list(records: &Records, region: &str) -> Result<Vec<Stack>, Failure> {
    records.list(&Key::prefix(&["stack", region], ""))
}

/// The deleted stacks of a region that are still known.
pub(crate) fn list_deleted(records: &Records, region: &str) -> Result<Vec<Stack>, Failure> {
    records.list(&Key::prefix(&["stack-deleted", region], ""))
}

/// The stacks of all regions with which something is under way.
pub(crate) fn unfinished(records: &Records) -> Result<Vec<Stack>, Failure> {
    let mut stacks: Vec<Stack> = records.list(&Key::prefix(&["stack"], ""))?;
    stacks.retain(|stack| stack.run.is_some());
    Ok(stacks)
}

/// Adds the stack to `change`. One that is deleted now loses its name.
pub(crate) fn put_stack(change: &mut Write, stack: &Stack) {
    if stack.status == Status::DeleteComplete {
        delete(change, &live(&stack.region, &stack.name));
    }
    put(change, &stack.key(), stack);
}

/// The resources of a stack, by logical name.
pub(crate) fn resources(records: &Records, stack: &Stack) -> Result<BTreeMap<String, Resource>, Failure> {
    let found: Vec<Resource> =
        records.list(&Key::prefix(&["stack-resource", &stack.region, &stack.id], ""))?;
    Ok(found.into_iter().map(|resource| (resource.logical.clone(), resource)).collect())
}

/// Adds a resource to `change`.
pub(crate) fn put_resource(change: &mut Write, stack: &Stack, resource: &Resource) {
    put(change, &resource_key(stack, &resource.logical), resource);
}

/// Adds to `change` that the resource is no more of the stack.
pub(crate) fn forget_resource(change: &mut Write, stack: &Stack, logical: &str) {
    delete(change, &resource_key(stack, logical));
}

/// Adds to `change` that nothing is known of the oldest deleted stacks of a region, so that there is room for one more.
pub(crate) fn make_room(records: &Records, region: &str, change: &mut Write) -> Result<(), Failure> {
    let mut deleted = list_deleted(records, region)?;
    deleted.sort_by_key(|stack| stack.deleted);
    let over = (deleted.len() + 1).saturating_sub(DELETED_STACKS_MAX);
    for stack in deleted.into_iter().take(over) {
        for kind in ["stack-resource", "stack-event", "change-set"] {
            for key in records.keys(&Key::prefix(&[kind, region, &stack.id], ""))? {
                delete(change, &key);
            }
        }
        delete(change, &stack.key());
    }
    Ok(())
}
