/*!
The loops: each reads a stream, calls a pure function, appends to the next, and notes how far it came.

Matcher, watcher, subscriber and archiver have a thread each, because they compute; sender and courier wait on other servers and are tasks.
*/

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tracing::error;

use crate::app::App;

mod archiver;
mod budgets;
mod builder;
mod care;
mod clockwork;
mod courier;
mod heads;
mod marks;
mod matcher;
pub(crate) mod points;
mod postman;
mod sender;
pub(crate) mod subscriber;
mod sweeper;
mod tiers;
mod watcher;
mod writing;

#[cfg(test)]
pub(crate) use watcher::tests::app_in;

/// Told `true` when the server stops.
pub(crate) type Stopping = watch::Receiver<bool>;

/// How the process ends when a loop panics (`EX_SOFTWARE` of sysexits).
const PANIC_EXIT_CODE: i32 = 70;

/// The running loops.
pub(crate) struct Loops {
    threads: Vec<JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    runtime: tokio::runtime::Handle,
}

impl Loops {
    /// Starts all loops; they end when `stopping` turns true.
    pub(crate) fn start(app: &Arc<App>, stopping: &Stopping) -> Result<Self> {
        let matcher = matcher::Matcher::open(Arc::clone(app)).context("the matcher cannot resume")?;
        let watcher = watcher::Watcher::open(Arc::clone(app)).context("the watcher cannot resume")?;
        let subscriber =
            subscriber::Subscriber::open(Arc::clone(app)).context("the subscriber cannot resume")?;
        crate::functions::queue::load(app).context("the events of functions cannot be counted")?;
        let runtime = tokio::runtime::Handle::current();
        let threads = vec![
            thread("matcher", &runtime, matcher.run(stopping.clone()))?,
            thread("watcher", &runtime, watcher.run(stopping.clone()))?,
            thread("subscriber", &runtime, subscriber.run(stopping.clone()))?,
            thread("archiver", &runtime, archiver::run(Arc::clone(app), stopping.clone()))?,
        ];
        let tasks = vec![
            tokio::spawn(sender::run(Arc::clone(app), stopping.clone())),
            tokio::spawn(courier::run(Arc::clone(app), stopping.clone())),
            tokio::spawn(clockwork::run(Arc::clone(app), stopping.clone())),
            tokio::spawn(heads::run(Arc::clone(app), stopping.clone())),
            tokio::spawn(sweeper::run(Arc::clone(app), stopping.clone())),
            tokio::spawn(builder::run(Arc::clone(app), stopping.clone())),
            tokio::spawn(crate::functions::run(Arc::clone(app), stopping.clone())),
        ];
        Ok(Self { threads, tasks, runtime })
    }

    /// Waits until all have ended. Blocks.
    pub(crate) fn join(self) -> Result<()> {
        for task in self.tasks {
            self.runtime.block_on(task).context("a task ended badly")?;
        }
        for thread in self.threads {
            thread.join().map_err(|_| anyhow::anyhow!("a loop panicked; see the log"))?;
        }
        Ok(())
    }
}

/// Runs `work` on a thread of its own, where it may compute and block.
fn thread(
    name: &str,
    runtime: &tokio::runtime::Handle,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<JoinHandle<()>> {
    let runtime = runtime.clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let done = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
            if done.is_err() {
                // A server that accepts and no longer judges is worse than one that is started again.
                error!("a loop panicked; the server ends, so that it is started again");
                std::process::exit(PANIC_EXIT_CODE);
            }
        })
        .with_context(|| format!("cannot start the {name} thread"))
}

/// Waits for a change of `signal`; `false` when the server stops instead.
async fn woken<T>(signal: &mut watch::Receiver<T>, stopping: &mut Stopping) -> bool {
    if *stopping.borrow() {
        return false;
    }
    tokio::select! {
        changed = signal.changed() => changed.is_ok(),
        _ = stopping.changed() => false,
    }
}

/// Waits a moment after a failure, so that a broken disk does not make a busy loop; `false` when the server stops.
async fn pause(stopping: &mut Stopping) -> bool {
    tokio::select! {
        () = tokio::time::sleep(std::time::Duration::from_millis(500)) => !*stopping.borrow(),
        _ = stopping.changed() => false,
    }
}
