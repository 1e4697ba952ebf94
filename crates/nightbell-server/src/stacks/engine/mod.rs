/*!
The engine: carries out what is under way with a stack, from wherever it stands, until it is over.

All that it knows is in the records, so a run that was cut short goes on where it was. Each step is two commits, the intent with an event
before and the result with an event after; between them stand calls of operations that may be made again. `forward` makes and changes,
`backward` deletes and takes back.
*/

use std::collections::BTreeMap;
use std::sync::Arc;

use nightbell_store::Write;
use tracing::{info, warn};

use super::events::{self, Numbering};
use super::records::{self, Phase, Resource, Run, Stack};
use super::resources::{Site, Type, Wanted, find};
use super::status::{ResourceStatus, Status};
use crate::app::App;
use crate::aws::error::Told;
use crate::catalog::Failure;
use crate::clock;
use crate::run::Stopping;

mod backward;
mod forward;

/// Why a run is not gone on with for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// The store could not; the run is taken up again.
    #[error(transparent)]
    Store(#[from] Failure),
    /// The server stops; the run is taken up when it starts.
    #[error("the server is stopping")]
    Stopping,
    /// The stack is not there any more: everything was emptied.
    #[error("the stack is gone")]
    Gone,
}

/// What came of one resource: nothing to say, or why it failed.
type Outcome = Result<(), String>;

/// Carries out what is under way with a stack.
///
/// # Errors
/// Where that is not over yet.
pub(crate) async fn carry_out(app: &Arc<App>, stack: Stack, stopping: &Stopping) -> Result<(), Halt> {
    let resources = records::resources(&app.records, &stack)?;
    let numbering = Numbering::after(&app.records, &stack)?;
    let mut worker = Worker { app: Arc::clone(app), stack, resources, numbering, stopping: stopping.clone() };
    while let Some(run) = worker.stack.run.clone() {
        match run.phase {
            Phase::Forward => worker.forward(&run).await?,
            Phase::Cleanup => worker.clean_up(&run).await?,
            Phase::Rollback if run.is_new => worker.take_back_all(&run).await?,
            Phase::Rollback => worker.take_back_changes(&run).await?,
            Phase::Delete => worker.delete_all(&run).await?,
        }
    }
    Ok(())
}

/// Begins a run: notes it in the stack, with an event. The caller holds the turn and has the engine told.
///
/// # Errors
/// Where the store cannot.
pub(crate) fn begin(
    app: &App,
    mut stack: Stack,
    status: Status,
    run: Run,
    change: Write,
) -> Result<Stack, Failure> {
    let mut change = change;
    stack.generation += 1;
    stack.status = status;
    stack.run = Some(run);
    stack.halted = None;
    let mut numbering = Numbering::after(&app.records, &stack)?;
    events::trim(&app.records, &stack, &mut change)?;
    numbering.of_stack(&mut change, &stack, &app.account, clock::now());
    records::put_stack(&mut change, &stack);
    app.records.commit(change)?;
    Ok(stack)
}

/// A stack in work.
struct Worker {
    app: Arc<App>,
    stack: Stack,
    resources: BTreeMap<String, Resource>,
    numbering: Numbering,
    stopping: Stopping,
}

impl Worker {
    /// Where this run's resources are made.
    fn site(&self, run: &Run) -> Result<Site, String> {
        run.actor.cx(&self.app, &self.stack.region, &self.stack.name).map(Site::of)
    }

    fn check_stopping(&self) -> Result<(), Halt> {
        if *self.stopping.borrow() { Err(Halt::Stopping) } else { Ok(()) }
    }

    /// Writes, unless the stack is not there any more.
    fn commit(&mut self, mut change: Write, with_stack: bool) -> Result<(), Halt> {
        let _turn = self.app.records.turn();
        let arn = self.stack.arn(&self.app.account);
        let there = records::find(&self.app.records, &self.stack.region, &self.app.account, &arn)?;
        let there = there.filter(|there| there.run.is_some()).ok_or(Halt::Gone)?;
        // The one thing that others may change meanwhile.
        self.stack.termination_protected = there.termination_protected;
        if with_stack {
            records::put_stack(&mut change, &self.stack);
        }
        Ok(self.app.records.commit(change)?)
    }

    /// Notes a resource's state, with an event.
    fn note(&mut self, resource: Resource) -> Result<(), Halt> {
        let mut change = Write::new();
        self.numbering.of_resource(&mut change, &self.stack, &resource, resource.updated);
        records::put_resource(&mut change, &self.stack, &resource);
        self.commit(change, false)?;
        self.resources.insert(resource.logical.clone(), resource);
        Ok(())
    }

    /// Notes that a resource is no more of the stack, with an event of its last state.
    fn forget(&mut self, resource: &Resource) -> Result<(), Halt> {
        let mut change = Write::new();
        self.numbering.of_resource(&mut change, &self.stack, resource, resource.updated);
        records::forget_resource(&mut change, &self.stack, &resource.logical);
        self.commit(change, false)?;
        self.resources.remove(&resource.logical);
        Ok(())
    }

    /// Notes an event of a resource, and nothing else.
    fn tell(&mut self, resource: &Resource) -> Result<(), Halt> {
        let mut change = Write::new();
        self.numbering.of_resource(&mut change, &self.stack, resource, resource.updated);
        self.commit(change, false)
    }

    /// Goes over into another phase.
    fn turn_to(
        &mut self,
        run: &Run,
        phase: Phase,
        status: Status,
        reason: Option<String>,
    ) -> Result<(), Halt> {
        self.stack.run = Some(Run { phase, ..run.clone() });
        self.note_stack(status, reason, Write::new())
    }

    /// Ends the run.
    fn end(&mut self, status: Status, reason: Option<String>, change: Write) -> Result<(), Halt> {
        self.stack.run = None;
        info!(stack = self.stack.name, status = status.name(), "a stack came to rest");
        self.note_stack(status, reason, change)
    }

    fn note_stack(&mut self, status: Status, reason: Option<String>, mut change: Write) -> Result<(), Halt> {
        self.stack.status = status;
        self.stack.reason = reason;
        self.numbering.of_stack(&mut change, &self.stack, &self.app.account, clock::now());
        self.commit(change, true)
    }
}

/// A resource's state from now on.
fn become_(resource: &mut Resource, status: ResourceStatus, reason: Option<String>) {
    resource.status = status;
    resource.reason = reason;
    resource.updated = clock::now();
}

/// The type of a resource; one that is kept was served once, and still is.
fn type_of(resource: &Resource) -> Result<&'static Type, String> {
    find(&resource.kind).ok_or_else(|| {
        warn!(kind = resource.kind, "a resource is of a type that is not served");
        format!("{} is not served by this version", resource.kind)
    })
}

/// A resource as its handler is asked for it.
fn wanted<'a>(resource: &'a Resource, name: &'a str, resumed: bool) -> Wanted<'a> {
    Wanted { name, properties: &resource.properties, tags: &resource.tags, resumed, seen: &resource.seen }
}

/// An error of a service as events tell it.
fn told_text(told: &Told) -> String {
    format!("{} (Status Code: {}, Error Code: {})", told.error.message, told.error.status, told.error.code)
}

/// `[A, B]`.
fn bracketed(names: &[String]) -> String {
    format!("[{}]", names.join(", "))
}
