/*!
Backward: what is not wanted is deleted, what was changed becomes what it was; each resource before those it needs.
*/

use std::collections::BTreeSet;

use nightbell_core::stack::TemplateError;
use nightbell_store::Write;

use super::{Halt, Outcome, Worker, become_, bracketed, told_text, type_of};
use crate::catalog::delete;
use crate::clock;
use crate::stacks::change_sets;
use crate::stacks::plan::{Blueprint, from_the_end};
use crate::stacks::records::{self, KeepRecord, Phase, Resource, Run};
use crate::stacks::status::{ResourceStatus, Status};

impl Worker {
    /// Deletes what a changed stack does not want any more. What cannot be deleted stays, and belongs to nobody.
    pub(super) async fn clean_up(&mut self, run: &Run) -> Result<(), Halt> {
        let wanted = || -> Result<BTreeSet<String>, TemplateError> {
            let blueprint = Blueprint::of(&run.to, &self.stack, &self.app.account)?;
            Ok(blueprint.scope()?.order().into_iter().collect())
        };
        let wanted = match wanted() {
            Ok(wanted) => wanted,
            Err(error) => return self.end(Status::UpdateFailed, Some(error.0), Write::new()),
        };
        let mut left = Vec::new();
        for logical in from_the_end(&self.resources) {
            self.check_stopping()?;
            let Some(resource) = self.resources.get(&logical).cloned() else { continue };
            if !wanted.contains(&logical) {
                if self.dismiss(run, resource).await?.is_err() {
                    left.push(logical);
                }
            } else if let Some(before) = resource.before.clone() {
                if resource.replaces
                    && self.dismiss_replaced(run, &before, resource.on_replace).await?.is_err()
                {
                    left.push(logical.clone());
                }
                let settled = Resource { before: None, replaces: false, ..resource };
                let mut change = Write::new();
                records::put_resource(&mut change, &self.stack, &settled);
                self.commit(change, false)?;
                self.resources.insert(logical, settled);
            }
        }
        let reason = (!left.is_empty()).then(|| {
            format!("The following resource(s) could not be deleted and stay: {}. ", bracketed(&left))
        });
        self.end(Status::UpdateComplete, reason, Write::new())
    }

    /// Deletes a resource that is no more of the stack.
    async fn dismiss(&mut self, run: &Run, mut resource: Resource) -> Result<Outcome, Halt> {
        if resource.on_delete != KeepRecord::Delete {
            become_(&mut resource, ResourceStatus::DeleteSkipped, None);
            return self.forget(&resource).map(Ok);
        }
        let done = self.delete_with_events(run, &mut resource).await?;
        self.forget(&resource)?;
        Ok(done)
    }

    /// Deletes a resource whose place another one has taken.
    pub(super) async fn dismiss_replaced(
        &mut self,
        run: &Run,
        old: &Resource,
        keep: KeepRecord,
    ) -> Result<Outcome, Halt> {
        let mut old = old.clone();
        if keep != KeepRecord::Delete {
            become_(&mut old, ResourceStatus::DeleteSkipped, None);
            return self.tell(&old).map(Ok);
        }
        let done = self.delete_with_events(run, &mut old).await?;
        self.tell(&old)?;
        Ok(done)
    }

    /// Tells that a resource is being deleted, deletes it, and leaves it in the state that is to be told next.
    async fn delete_with_events(&mut self, run: &Run, resource: &mut Resource) -> Result<Outcome, Halt> {
        become_(resource, ResourceStatus::DeleteInProgress, None);
        self.tell(resource)?;
        let done = self.delete_physical(run, resource).await;
        match &done {
            Ok(()) => become_(resource, ResourceStatus::DeleteComplete, None),
            Err(reason) => become_(resource, ResourceStatus::DeleteFailed, Some(reason.clone())),
        }
        Ok(done)
    }

    /// Deletes what stands for a resource, if anything does.
    pub(super) async fn delete_physical(&self, run: &Run, resource: &Resource) -> Outcome {
        let Some(physical) = &resource.physical else { return Ok(()) };
        let (site, of) = (self.site(run)?, type_of(resource)?);
        of.handler.delete(&site, physical, &resource.properties).await.map_err(|told| told_text(&told))
    }

    /// Takes back a stack that could not be made.
    pub(super) async fn take_back_all(&mut self, run: &Run) -> Result<(), Halt> {
        let failed = self.delete_each(run, |resource| resource.on_delete == KeepRecord::Retain).await?;
        if !failed.is_empty() {
            let reason = format!("The following resource(s) failed to delete: {}. ", bracketed(&failed));
            return self.end(Status::RollbackFailed, Some(reason), Write::new());
        }
        if run.delete_on_failure {
            let reason = self.stack.reason.clone();
            return self.turn_to(run, Phase::Delete, Status::DeleteInProgress, reason);
        }
        let reason = self.stack.reason.clone();
        self.end(Status::RollbackComplete, reason, Write::new())
    }

    /// Deletes a stack with all that it has.
    pub(super) async fn delete_all(&mut self, run: &Run) -> Result<(), Halt> {
        let stays = |resource: &Resource| {
            resource.on_delete != KeepRecord::Delete || run.retain.contains(&resource.logical)
        };
        let failed = self.delete_each(run, stays).await?;
        if !failed.is_empty() {
            let reason = format!("The following resource(s) failed to delete: {}. ", bracketed(&failed));
            return self.end(Status::DeleteFailed, Some(reason), Write::new());
        }
        let mut change = Write::new();
        records::make_room(&self.app.records, &self.stack.region, &mut change)?;
        for key in change_sets::keys(&self.app.records, &self.stack)? {
            delete(&mut change, &key);
        }
        self.stack.deleted = Some(clock::now());
        self.end(Status::DeleteComplete, None, change)
    }

    /// Deletes each resource but those that stay; gives the names of those that could not be.
    async fn delete_each(
        &mut self,
        run: &Run,
        stays: impl Fn(&Resource) -> bool,
    ) -> Result<Vec<String>, Halt> {
        let mut failed = Vec::new();
        for logical in from_the_end(&self.resources) {
            self.check_stopping()?;
            let Some(mut resource) = self.resources.get(&logical).cloned() else { continue };
            if matches!(resource.status, ResourceStatus::DeleteComplete | ResourceStatus::DeleteSkipped) {
                continue;
            }
            // Of a change that stayed half done, what it was to take the place of may still stand.
            if let Some(before) = resource.before.take().filter(|_| resource.replaces) {
                let _ = self.dismiss_replaced(run, &before, resource.on_replace).await?;
            }
            if stays(&resource) {
                become_(&mut resource, ResourceStatus::DeleteSkipped, None);
            } else if self.delete_with_events(run, &mut resource).await?.is_err() {
                failed.push(logical);
            }
            self.note(resource)?;
        }
        Ok(failed)
    }

    /// Makes a stack what it was before a change that failed.
    pub(super) async fn take_back_changes(&mut self, run: &Run) -> Result<(), Halt> {
        let mut failed = Vec::new();
        for logical in from_the_end(&self.resources) {
            self.check_stopping()?;
            let Some(resource) = self.resources.get(&logical).cloned() else { continue };
            if resource.generation == self.stack.generation && self.take_back(run, resource).await?.is_err() {
                failed.push(logical);
            }
        }
        let reason = self.stack.reason.clone();
        if failed.is_empty() {
            return self.end(Status::UpdateRollbackComplete, reason, Write::new());
        }
        self.stack.halted = Some(run.clone());
        let reason = format!("The following resource(s) failed to update: {}. ", bracketed(&failed));
        self.end(Status::UpdateRollbackFailed, Some(reason), Write::new())
    }

    async fn take_back(&mut self, run: &Run, mut resource: Resource) -> Result<Outcome, Halt> {
        let Some(before) = resource.before.clone() else {
            // It is new.
            if resource.on_delete == KeepRecord::Retain {
                become_(&mut resource, ResourceStatus::DeleteSkipped, None);
                return self.forget(&resource).map(Ok);
            }
            let done = self.delete_with_events(run, &mut resource).await?;
            match done {
                Ok(()) => self.forget(&resource)?,
                Err(_) => self.note(resource)?,
            }
            return Ok(done);
        };
        let mut restored = *before.clone();
        if resource.replaces {
            let mut new = Resource { before: None, ..resource.clone() };
            let done = self.delete_with_events(run, &mut new).await?;
            self.tell(&new)?;
            if let Err(reason) = done {
                return Ok(Err(reason));
            }
        } else {
            become_(&mut resource, ResourceStatus::UpdateInProgress, None);
            self.tell(&resource)?;
            let asked = Resource { physical: resource.physical.clone(), ..restored.clone() };
            match self.change(run, &asked, &resource).await {
                Ok(made) => {
                    restored.reference = made.reference;
                    if !made.keeps_attributes {
                        restored.attributes = made.attributes;
                    }
                }
                Err(reason) => {
                    become_(&mut resource, ResourceStatus::UpdateFailed, Some(reason.clone()));
                    self.note(resource)?;
                    return Ok(Err(reason));
                }
            }
        }
        become_(&mut restored, ResourceStatus::UpdateComplete, None);
        self.note(restored)?;
        Ok(Ok(()))
    }
}
