/*!
Forward: each resource of the template is made or changed, after those it needs. The first that fails turns the run round.
*/

use nightbell_core::stack::TemplateError;
use nightbell_store::Write;

use super::{Halt, Outcome, Worker, become_, bracketed, told_text, type_of, wanted};
use crate::clock;
use crate::stacks::plan::{Blueprint, Difference, Ready, Standing};
use crate::stacks::records::{Phase, Resource, Run};
use crate::stacks::resources::{Made, Naming, Old, Site, made_name};
use crate::stacks::status::{ResourceStatus, Status};

impl Worker {
    /// Makes and changes what is to be made and changed.
    pub(super) async fn forward(&mut self, run: &Run) -> Result<(), Halt> {
        let blueprint = match Blueprint::of(&run.to, &self.stack, &self.app.account) {
            Ok(blueprint) => blueprint,
            Err(error) => return self.turn_round(run, error.0),
        };
        match self.all_forward(run, &blueprint).await? {
            Ok(()) => self.turn_to_cleanup(run, &blueprint),
            Err(reason) => self.turn_round(run, reason),
        }
    }

    async fn all_forward(&mut self, run: &Run, blueprint: &Blueprint) -> Result<Outcome, Halt> {
        let scope = match blueprint.scope() {
            Ok(scope) => scope,
            Err(error) => return Ok(Err(error.0)),
        };
        for logical in scope.order() {
            self.check_stopping()?;
            if run.deadline.is_some_and(|deadline| clock::now() > deadline) {
                return Ok(Err("Stack creation time exceeded the specified timeout.".to_owned()));
            }
            let ready = {
                let standing = Standing(&self.resources);
                blueprint.ready(&scope, &logical, &standing)
            };
            let done = match ready {
                Ok(ready) => self.bring(run, blueprint, &logical, ready).await?,
                Err(reason) => {
                    self.note_misfit(blueprint, &logical, reason.clone())?;
                    Err(reason)
                }
            };
            if done.is_err() {
                let what = if self.was_there(&logical) { "update" } else { "create" };
                return Ok(Err(format!(
                    "The following resource(s) failed to {what}: {}. ",
                    bracketed(&[logical])
                )));
            }
        }
        Ok(Ok(()))
    }

    /// Whether the resource was there before this run.
    fn was_there(&self, logical: &str) -> bool {
        self.resources
            .get(logical)
            .is_some_and(|resource| resource.generation < self.stack.generation || resource.before.is_some())
    }

    /// Notes that a resource could not even be worked out.
    fn note_misfit(&mut self, blueprint: &Blueprint, logical: &str, reason: String) -> Result<(), Halt> {
        if let Some(there) = self.resources.get(logical) {
            let mut event = there.clone();
            become_(&mut event, ResourceStatus::UpdateFailed, Some(reason));
            return self.tell(&event);
        }
        let mut resource = Resource {
            logical: logical.to_owned(),
            kind: blueprint
                .template
                .resources
                .get(logical)
                .map_or_else(String::new, |one| one.type_name.clone()),
            ..blank(self.stack.generation)
        };
        become_(&mut resource, ResourceStatus::CreateFailed, Some(reason));
        self.note(resource)
    }

    /// Brings one resource to what it is to be.
    async fn bring(
        &mut self,
        run: &Run,
        blueprint: &Blueprint,
        logical: &str,
        ready: Ready,
    ) -> Result<Outcome, Halt> {
        use ResourceStatus::{
            CreateComplete, CreateFailed, CreateInProgress, DeleteComplete, DeleteSkipped, UpdateComplete,
            UpdateFailed, UpdateInProgress,
        };
        let declared = blueprint.template.resources.get(logical);
        let mut next = Resource {
            logical: logical.to_owned(),
            kind: ready.of.name.to_owned(),
            properties: ready.properties.clone(),
            tags: ready.tags.clone(),
            on_delete: declared.map(|one| one.on_delete.into()).unwrap_or_default(),
            on_replace: declared.map(|one| one.on_replace.into()).unwrap_or_default(),
            needs: declared.map(|one| one.needs.clone()).unwrap_or_default(),
            ..blank(self.stack.generation)
        };
        let Some(current) = self.resources.get(logical).cloned() else {
            return self.create(run, next).await;
        };
        if current.generation == self.stack.generation {
            return match current.status {
                CreateInProgress => self.go_on_creating(run, current).await,
                UpdateInProgress => self.go_on_updating(run, current).await,
                CreateFailed | UpdateFailed => Ok(Err(current.reason.unwrap_or_default())),
                _ => Ok(Ok(())),
            };
        }
        if matches!(current.status, DeleteComplete | DeleteSkipped) {
            return self.create(run, next).await;
        }
        let current = match self.recovered(run, current).await? {
            Ok(Some(current)) => current,
            Ok(None) => return self.create(run, next).await,
            Err(reason) => {
                self.note_misfit(blueprint, logical, reason.clone())?;
                return Ok(Err(reason));
            }
        };
        let difference = Difference::between(&current, &ready);
        let settled = matches!(current.status, CreateComplete | UpdateComplete);
        if difference.replaces {
            next.replaces = true;
            next.before = Some(Box::new(current));
            return self.create(run, next).await;
        }
        if difference.is_none() && settled {
            return self.keep(&current, next).map(Ok);
        }
        next.physical.clone_from(&current.physical);
        next.reference.clone_from(&current.reference);
        next.attributes.clone_from(&current.attributes);
        next.before = Some(Box::new(current));
        become_(&mut next, UpdateInProgress, None);
        self.note(next.clone())?;
        self.go_on_updating(run, next).await
    }

    /// A resource of an earlier run that stayed as it was when it failed, brought back to something that can be changed; nothing where it
    /// is to be made anew.
    async fn recovered(
        &mut self,
        run: &Run,
        mut current: Resource,
    ) -> Result<Result<Option<Resource>, String>, Halt> {
        if current.status == ResourceStatus::CreateFailed {
            return Ok(self.delete_physical(run, &current).await.map(|()| None));
        }
        let Some(before) = current.before.take() else { return Ok(Ok(Some(current))) };
        if current.status != ResourceStatus::UpdateFailed {
            if current.replaces {
                let _ = self.dismiss_replaced(run, &before, current.on_replace).await?;
            }
            return Ok(Ok(Some(Resource { replaces: false, ..current })));
        }
        let taken_back = if current.replaces {
            self.delete_physical(run, &current).await
        } else {
            self.change(run, &before, &current).await.map(|_| ())
        };
        Ok(taken_back.map(|()| Some(*before)))
    }

    /// A resource that stays as it is; what the template says of its end and its order may be new.
    fn keep(&mut self, current: &Resource, next: Resource) -> Result<(), Halt> {
        let kept = Resource {
            on_delete: next.on_delete,
            on_replace: next.on_replace,
            needs: next.needs,
            ..current.clone()
        };
        if kept == *current {
            return Ok(());
        }
        let mut change = Write::new();
        crate::stacks::records::put_resource(&mut change, &self.stack, &kept);
        self.commit(change, false)?;
        self.resources.insert(kept.logical.clone(), kept);
        Ok(())
    }

    /// Makes a resource: looks whether its name is free, notes what is about to be done, and does it.
    async fn create(&mut self, run: &Run, mut resource: Resource) -> Result<Outcome, Halt> {
        let begun = if resource.replaces {
            ResourceStatus::UpdateInProgress
        } else {
            ResourceStatus::CreateInProgress
        };
        let reason = resource.replaces.then(|| {
            "Requested update requires the creation of a new physical resource; hence creating one."
                .to_owned()
        });
        become_(&mut resource, begun, reason);
        let site = match self.site(run) {
            Ok(site) => site,
            Err(reason) => return self.failed(resource, reason),
        };
        if let Err(reason) = self.prepare(&site, &mut resource).await {
            self.tell(&resource)?;
            return self.failed(resource, reason);
        }
        self.note(resource.clone())?;
        self.make(&site, resource, false).await
    }

    /// Finds a free name.
    async fn prepare(&self, site: &Site, resource: &mut Resource) -> Outcome {
        let of = type_of(resource)?;
        let name = self.name(resource)?;
        let asked = wanted(resource, &name, false);
        let told = |told| told_text(&told);
        if of.handler.is_there(site, &asked).await.map_err(told)? {
            let same = resource.before.as_ref().and_then(|before| before.physical.clone());
            if resource.replaces && same == of.handler.physical(site, &asked) {
                return Err(format!(
                    "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {name} and update the stack again."
                ));
            }
            return Err(format!("{name} already exists, and belongs to no resource of this stack"));
        }
        let physical = of.handler.physical(site, &asked);
        let seen = of.handler.look_around(site, &asked).await.map_err(told)?;
        resource.physical = physical;
        resource.seen = seen;
        Ok(())
    }

    /// The name that a resource is made with; empty where the service gives it.
    fn name(&self, resource: &Resource) -> Result<String, String> {
        let made = |chars_max| {
            made_name(&self.stack.name, &self.stack.id, &resource.logical, resource.generation, chars_max)
        };
        let given = |property: &str| {
            resource.properties.get(property).and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        Ok(match type_of(resource)?.naming {
            Naming::Property(property, chars_max) => given(property).unwrap_or_else(|| made(chars_max)),
            Naming::SmallLetters(property, chars_max) => {
                given(property).unwrap_or_else(|| made(chars_max).to_ascii_lowercase())
            }
            Naming::Made(chars_max) => made(chars_max),
            Naming::Service => String::new(),
        })
    }

    async fn go_on_creating(&mut self, run: &Run, resource: Resource) -> Result<Outcome, Halt> {
        match self.site(run) {
            Ok(site) => self.make(&site, resource, true).await,
            Err(reason) => self.failed(resource, reason),
        }
    }

    async fn make(&mut self, site: &Site, mut resource: Resource, resumed: bool) -> Result<Outcome, Halt> {
        let name = match self.name(&resource) {
            Ok(name) => name,
            Err(reason) => return self.failed(resource, reason),
        };
        let done = match type_of(&resource) {
            Ok(of) => of.handler.create(site, &wanted(&resource, &name, resumed)).await,
            Err(reason) => return self.failed(resource, reason),
        };
        match done {
            Ok(made) => self.succeeded(resource, made),
            Err(told) => {
                if !resumed && says_taken(told.error.code) {
                    // Somebody else was quicker: it is not ours to delete.
                    resource.physical = None;
                }
                self.failed(resource, told_text(&told))
            }
        }
    }

    async fn go_on_updating(&mut self, run: &Run, resource: Resource) -> Result<Outcome, Halt> {
        if resource.replaces {
            return self.go_on_creating(run, resource).await;
        }
        let Some(before) = resource.before.clone() else { return self.go_on_creating(run, resource).await };
        match self.change(run, &resource, &before).await {
            Ok(made) => self.succeeded(resource, made),
            Err(reason) => self.failed(resource, reason),
        }
    }

    /// Changes a resource in place, from `before` to what it is to be.
    pub(super) async fn change(
        &self,
        run: &Run,
        resource: &Resource,
        before: &Resource,
    ) -> Result<Made, String> {
        let (site, of) = (self.site(run)?, type_of(resource)?);
        let physical = resource.physical.clone().unwrap_or_default();
        let old = Old { properties: &before.properties, tags: &before.tags };
        let asked = wanted(resource, &physical, false);
        of.handler.update(&site, &physical, &old, &asked).await.map_err(|told| told_text(&told))
    }

    fn succeeded(&mut self, mut resource: Resource, made: Made) -> Result<Outcome, Halt> {
        resource.physical = Some(made.physical);
        resource.reference = made.reference;
        if !made.keeps_attributes {
            resource.attributes = made.attributes;
        }
        resource.seen = Vec::new();
        let is_change = resource.before.is_some();
        let status = if is_change { ResourceStatus::UpdateComplete } else { ResourceStatus::CreateComplete };
        become_(&mut resource, status, None);
        self.note(resource).map(Ok)
    }

    fn failed(&mut self, mut resource: Resource, reason: String) -> Result<Outcome, Halt> {
        let is_change = resource.before.is_some();
        let status = if is_change { ResourceStatus::UpdateFailed } else { ResourceStatus::CreateFailed };
        become_(&mut resource, status, Some(reason.clone()));
        self.note(resource)?;
        Ok(Err(reason))
    }

    /// All is made: the outputs are worked out, and what is not wanted any more goes.
    fn turn_to_cleanup(&mut self, run: &Run, blueprint: &Blueprint) -> Result<(), Halt> {
        let outputs = || -> Result<_, TemplateError> {
            let scope = blueprint.scope()?;
            blueprint.outputs(&scope, &Standing(&self.resources))
        };
        match outputs() {
            Ok(outputs) => self.stack.outputs = outputs,
            Err(error) => return self.turn_round(run, error.0),
        }
        self.stack.goal = run.to.clone();
        if run.is_new {
            return self.end(Status::CreateComplete, None, Write::new());
        }
        self.turn_to(run, Phase::Cleanup, Status::UpdateCompleteCleanupInProgress, None)
    }

    /// Something failed: what was done is taken back, unless it is to stay.
    fn turn_round(&mut self, run: &Run, reason: String) -> Result<(), Halt> {
        if self.stack.disable_rollback {
            self.stack.goal = run.to.clone();
            let status = if run.is_new { Status::CreateFailed } else { Status::UpdateFailed };
            return self.end(status, Some(reason), Write::new());
        }
        let status = if run.is_new { Status::RollbackInProgress } else { Status::UpdateRollbackInProgress };
        self.turn_to(run, Phase::Rollback, status, Some(reason))
    }
}

/// Whether an error says that somebody else has the name.
fn says_taken(code: &str) -> bool {
    ["Exist", "InUse", "Conflict"].iter().any(|word| code.contains(word))
}

/// A resource of which nothing is known yet.
fn blank(generation: u64) -> Resource {
    Resource {
        logical: String::new(),
        kind: String::new(),
        physical: None,
        status: ResourceStatus::CreateInProgress,
        reason: None,
        updated: clock::now(),
        properties: serde_json::Value::Object(serde_json::Map::new()),
        tags: Default::default(),
        reference: None,
        attributes: Default::default(),
        on_delete: Default::default(),
        on_replace: Default::default(),
        needs: Default::default(),
        generation,
        seen: Vec::new(),
        replaces: false,
        before: None,
    }
}
