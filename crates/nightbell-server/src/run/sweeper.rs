/*!
The sweeper: removes data points, history and incidents that are older than they are kept.
*/

use std::sync::Arc;
use std::time::Duration;

use nightbell_core::time::Timestamp;
use nightbell_store::{Durability, Scan, Space, Write};
use tracing::{error, info};

use super::{Stopping, points};
use crate::app::App;
use crate::catalog::Failure;
use crate::clock;
use crate::manage::{alarms, incidents};

/// How often it sweeps.
const SWEEP: Duration = Duration::from_secs(3_600);
/// Entries looked at in one step.
const STEP_ENTRIES: usize = 10_000;

/// Sweeps every hour until the server stops.
pub(super) async fn run(app: Arc<App>, mut stopping: Stopping) {
    let mut interval = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            _ = stopping.changed() => return,
        }
        for (space, bound, time_of) in [
            (Space::Points, points::POINT_AGE_MAX_MS, points::time_of as fn(&[u8]) -> Option<Timestamp>),
            (Space::History, alarms::HISTORY_AGE_MAX_MS, alarms::history_time),
        ] {
            let before = clock::now().plus_millis(-bound);
            let (worker, halt) = (Arc::clone(&app), stopping.clone());
            let work = move || sweep(&worker, &halt, space, |key| time_of(key).is_some_and(|at| at < before));
            removed(space, work).await;
        }
        let (worker, halt) = (Arc::clone(&app), stopping.clone());
        let work = move || incidents::sweep(&**worker.records.store(), clock::now(), || *halt.borrow());
        removed(Space::Incidents, work).await;
    }
}

/// Does the work of removing where it may block, and tells what came of it.
async fn removed(space: Space, work: impl FnOnce() -> Result<usize, Failure> + Send + 'static) {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(0)) => {}
        Ok(Ok(removed)) => info!(space = space.name(), removed, "old entries were removed"),
        Ok(Err(failure)) => error!(error = %failure, "old entries could not be removed"),
        Err(failure) => error!(error = %failure, "the sweeper ended badly"),
    }
}

/// Removes the entries of `space` that are `old`, a step at a time; returns how many.
fn sweep(app: &App, halt: &Stopping, space: Space, old: impl Fn(&[u8]) -> bool) -> Result<usize, Failure> {
    let store = app.records.store();
    let mut scan = Scan::all().limit(STEP_ENTRIES);
    let mut removed = 0;
    while !*halt.borrow() {
        let found = store.scan(space, &scan)?;
        let Some((last, _)) = found.last() else { break };
        scan = Scan::all().limit(STEP_ENTRIES).after(last.clone());
        let mut change = Write::new();
        for (key, _) in found.into_iter().filter(|(key, _)| old(key)) {
            change.delete(space, key);
            removed += 1;
        }
        if !change.is_empty() {
            store.commit(change, Durability::Process)?;
        }
    }
    Ok(removed)
}
