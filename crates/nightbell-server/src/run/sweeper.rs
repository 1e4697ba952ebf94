/*!
The sweeper: folds data points as they age, and removes points, history and incidents that are older than they are kept.
*/

use std::sync::Arc;
use std::time::Duration;

use nightbell_store::{Durability, Scan, Space, Write};
use tracing::{error, info};

use super::{Stopping, tiers, watcher};
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
        let (worker, halt) = (Arc::clone(&app), stopping.clone());
        removed(Space::Points, move || move_points(&worker, &halt)).await;
        let before = clock::now().plus_millis(-alarms::HISTORY_AGE_MAX_MS);
        let (worker, halt) = (Arc::clone(&app), stopping.clone());
        let old = move |key: &[u8]| alarms::history_time(key).is_some_and(|at| at < before);
        removed(Space::History, move || sweep(&worker, &halt, Space::History, old)).await;
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

/// Moves data points from tier to tier as far as the watcher has come, so that it finds them as it saw them; returns how many
/// were forgotten.
fn move_points(app: &App, halt: &Stopping) -> Result<usize, Failure> {
    let Some(ticked) = watcher::ticked(&app.records)? else { return Ok(0) };
    let moved = tiers::pass(&app.records, clock::now().min(ticked), &|| *halt.borrow())?;
    app.telemetry.moved_points.with_label_values(&["folded"]).inc_by(moved.folded as u64);
    app.telemetry.moved_points.with_label_values(&["forgotten"]).inc_by(moved.forgotten as u64);
    if moved.folded > 0 {
        info!(folded = moved.folded, "data points that came of age were folded");
    }
    Ok(moved.forgotten)
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
