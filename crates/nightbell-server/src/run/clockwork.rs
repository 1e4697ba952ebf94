/*!
Time as data: puts a tick into the `metrics` stream every second, so that a replay sees time pass as it did.
*/

use std::sync::Arc;
use std::time::Duration;

use nightbell_core::time::{SECOND_MS, Timestamp};
use nightbell_core::watch::Input;
use nightbell_store::{Durability, Write};
use tokio::time::MissedTickBehavior;
use tracing::error;

use super::Stopping;
use crate::app::App;
use crate::clock;
use crate::manage::alarms;

/// How far time is held back for a matcher that is behind; then alarms are judged on what there is.
const HELD_BACK_MAX_MS: i64 = 30 * SECOND_MS;
/// How often time is noted.
const TICK: Duration = Duration::from_secs(1);

/// The time that data is complete up to: now, or when what waits for the matcher arrived. A minute must not be judged
/// before the events that were accepted in it are counted.
fn told_time(app: &App) -> Timestamp {
    let now = clock::now();
    let (matched, end) = (*app.matched.borrow(), *app.journal.end().borrow());
    if matched >= end {
        return now;
    }
    let waiting =
        app.journal.summaries(matched, end, 1).ok().and_then(|found| found.first().map(|one| one.arrival));
    waiting.map_or(now, |arrival| now.min(arrival).max(now.plus_millis(-HELD_BACK_MAX_MS)))
}

/// Ticks until the server stops.
pub(crate) async fn run(app: Arc<App>, mut stopping: Stopping) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            _ = stopping.changed() => return,
        }
        let mut change = Write::new();
        alarms::push(&mut change, told_time(&app), Input::Tick);
        if let Err(error) = app.records.store().commit(change, Durability::Process) {
            error!(%error, "time could not be noted");
        }
    }
}
