/*!
Time as data: puts a tick into the `metrics` stream every second, so that a replay sees time pass as it did.
*/

use std::sync::Arc;
use std::time::Duration;

use nightbell_core::watch::Input;
use nightbell_store::{Durability, Write};
use tokio::time::MissedTickBehavior;
use tracing::error;

use super::Stopping;
use crate::app::App;
use crate::clock;
use crate::manage::alarms;

/// How often time is noted.
const TICK: Duration = Duration::from_secs(1);

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
        alarms::push(&mut change, clock::now(), Input::Tick);
        if let Err(error) = app.records.store().commit(change, Durability::Process) {
            error!(%error, "time could not be noted");
        }
    }
}
