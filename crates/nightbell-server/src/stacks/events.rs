/*!
What happened to a stack and its resources, in the order in which it did. Events are only added; the oldest go when there are too many.
*/

use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};

use super::records::{Resource, STACK_EVENTS_MAX, Stack};
use crate::catalog::{Failure, Key, Records, delete, put};

/// The type of the stack itself in events.
pub(crate) const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StackEvent {
    /// Its number; the later, the higher.
    pub(crate) number: u64,
    /// When it was.
    pub(crate) at: Timestamp,
    /// The resource's name in the template; the stack's name for the stack itself.
    pub(crate) logical: String,
    /// What the resource is known by to its service.
    pub(crate) physical: Option<String>,
    /// The resource's type.
    pub(crate) kind: String,
    /// How it was then.
    pub(crate) status: String,
    /// Why.
    pub(crate) reason: Option<String>,
    /// The token of the request that began it.
    pub(crate) token: Option<String>,
}

fn prefix(stack: &Stack) -> Key {
    Key::prefix(&["stack-event", &stack.region, &stack.id], "")
}

/// Numbers the events of one stack from the last one on.
pub(crate) struct Numbering {
    next: u64,
}

impl Numbering {
    /// Goes on after those that are kept.
    pub(crate) fn after(records: &Records, stack: &Stack) -> Result<Self, Failure> {
        Ok(Self { next: list(records, stack)?.last().map_or(0, |event| event.number + 1) })
    }

    /// Adds the stack's own state to `change`.
    pub(crate) fn of_stack(&mut self, change: &mut Write, stack: &Stack, account: &str, at: Timestamp) {
        let event = StackEvent {
            number: self.next,
            at,
            logical: stack.name.clone(),
            physical: Some(stack.arn(account)),
            kind: STACK_TYPE.to_owned(),
            status: stack.status.name().to_owned(),
            reason: stack.reason.clone(),
            token: stack.token.clone(),
        };
        self.add(change, stack, &event);
    }

    /// Adds a resource's state to `change`.
    pub(crate) fn of_resource(
        &mut self,
        change: &mut Write,
        stack: &Stack,
        resource: &Resource,
        at: Timestamp,
    ) {
        let event = StackEvent {
            number: self.next,
            at,
            logical: resource.logical.clone(),
            physical: resource.physical.clone(),
            kind: resource.kind.clone(),
            status: resource.status.name().to_owned(),
            reason: resource.reason.clone(),
            token: stack.token.clone(),
        };
        self.add(change, stack, &event);
    }

    fn add(&mut self, change: &mut Write, stack: &Stack, event: &StackEvent) {
        put(
            change,
            &Key::of(&["stack-event", &stack.region, &stack.id, &format!("{:010}", event.number)]),
            event,
        );
        self.next += 1;
    }
}

/// The events of a stack, the oldest first.
pub(crate) fn list(records: &Records, stack: &Stack) -> Result<Vec<StackEvent>, Failure> {
    records.list(&prefix(stack))
}

/// Adds to `change` that the oldest events are forgotten where there are too many.
pub(crate) fn trim(records: &Records, stack: &Stack, change: &mut Write) -> Result<(), Failure> {
    let keys = records.keys(&prefix(stack))?;
    for key in keys.iter().take(keys.len().saturating_sub(STACK_EVENTS_MAX)) {
        delete(change, key);
    }
    Ok(())
}
