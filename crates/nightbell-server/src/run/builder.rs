/*!
The builder: carries out what is under way with stacks, a few at a time, also what a stop or a crash cut short.
*/

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::{error, warn};

use super::Stopping;
use crate::app::App;
use crate::stacks::engine::{Halt, carry_out};
use crate::stacks::records;

/// Stacks in work at one time; more wait.
pub(crate) const STACKS_IN_WORK_MAX: usize = 8;
/// How long to wait after the store could not.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Works until the server stops.
pub(super) async fn run(app: Arc<App>, mut stopping: Stopping) {
    let mut at_work: JoinSet<String> = JoinSet::new();
    let mut ids: HashSet<String> = HashSet::new();
    loop {
        take_up(&app, &stopping, &mut at_work, &mut ids);
        tokio::select! {
            () = app.stacks_bell.notified() => {}
            Some(done) = at_work.join_next(), if !at_work.is_empty() => match done {
                Ok(id) => {
                    ids.remove(&id);
                }
                // Its id stays: what cannot be worked on is not worked on again and again.
                Err(failure) => error!(%failure, "work on a stack ended badly; it is taken up at the next start"),
            },
            _ = stopping.changed() => break,
        }
    }
    // Each looks between two steps whether the server stops.
    while at_work.join_next().await.is_some() {}
}

fn take_up(app: &Arc<App>, stopping: &Stopping, at_work: &mut JoinSet<String>, ids: &mut HashSet<String>) {
    let unfinished = match records::unfinished(&app.records) {
        Ok(unfinished) => unfinished,
        Err(failure) => {
            error!(%failure, "the stacks that are under way could not be read");
            return;
        }
    };
    for stack in unfinished {
        if at_work.len() >= STACKS_IN_WORK_MAX || ids.contains(&stack.id) {
            continue;
        }
        ids.insert(stack.id.clone());
        let (app, stopping) = (Arc::clone(app), stopping.clone());
        at_work.spawn(async move {
            let (id, name) = (stack.id.clone(), stack.name.clone());
            match Box::pin(carry_out(&app, stack, &stopping)).await {
                Ok(()) | Err(Halt::Stopping | Halt::Gone) => {}
                Err(Halt::Store(failure)) => {
                    warn!(%failure, stack = name, "work on a stack could not go on; it is tried again");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
            id
        });
    }
}
