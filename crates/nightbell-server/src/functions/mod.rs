/*!
Functions, run for real: a process for each that is at work, asked over the Lambda Runtime API, confined where the system
allows it.

`manage::functions` says what a function is; here stands what runs it. `ground` is what the machine offers, `pool` which
processes there are, `instance` one of them, `queue` the events that nobody waits for. Off unless the settings say otherwise.
*/

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::app::App;
use crate::auth::Session;
use crate::clock;
use crate::config::Config;
use crate::listen;
use crate::manage::functions::{self, Function};
use crate::run::Stopping;

pub(crate) mod backlog;
pub(crate) mod confine;
mod ground;
mod instance;
pub(crate) mod keys;
pub(crate) mod logs;
mod memory;
mod pool;
mod process;
pub(crate) mod queue;
mod runtime_api;
pub(crate) mod unpack;

pub(crate) use instance::{Invocation, Outcome};
pub(crate) use pool::Busy;

use backlog::Backlog;
use ground::Ground;
use instance::Instance;
use keys::{Lent, SessionKeys};
use pool::Pool;

/// What functions are to the trust policies of roles.
pub(crate) const SERVICE: &str = "lambda.amazonaws.com";

/// How often idle processes and unused code are looked at.
const SWEEP: Duration = Duration::from_secs(60);

/// What an operation is told where functions are off.
pub(crate) const OFF: &str = "Functions do not run on this server: set functions = \"on\" (or \"confined\") in its configuration and start it again";

/// Everything that runs functions.
pub(crate) struct Functions {
    ground: Option<Ground>,
    /// The keys of the processes that run.
    pub(crate) keys: SessionKeys,
    /// How much waits for them.
    pub(crate) backlog: Arc<Backlog>,
    pool: Pool,
    bell: Notify,
}

/// Why an invocation did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotInvoked {
    /// Functions are off.
    Off,
    /// Too many are at work.
    Busy(Busy),
    /// The server stops.
    Stopping,
}

impl Functions {
    /// Functions that do not run.
    pub(crate) fn off() -> Self {
        let (keys, backlog, pool) = Default::default();
        Self { ground: None, keys, backlog, pool, bell: Notify::new() }
    }

    /// Functions as the settings have them; says in the log how they run. `port` is where the server listens. Blocks.
    pub(crate) fn start(config: &Config, port: u16) -> Result<Self> {
        let Some(functions) = &config.functions else { return Ok(Self::off()) };
        let ground = Ground::survey(config, functions, port)?;
        match &ground.unconfined {
            None => info!("functions run confined: no network but this server, nothing to write but /tmp"),
            Some(why) => warn!(
                why,
                "functions run UNCONFINED: they may reach the network and whatever their user may read and write; set \
                 functions = \"confined\" to refuse that"
            ),
        }
        Ok(Self { ground: Some(ground), ..Self::off() })
    }

    /// How functions run, in words, and whether that is as it should be; `None` where they are off.
    pub(crate) fn told(&self) -> Option<Result<String, String>> {
        let ground = self.ground.as_ref()?;
        let most = ground.config.concurrency;
        Some(match &ground.unconfined {
            None => Ok(format!("run confined, {most} at one time")),
            Some(why) => Err(format!("run unconfined: {why}")),
        })
    }

    /// Whether functions run at all.
    pub(crate) fn are_on(&self) -> bool {
        self.ground.is_some()
    }

    /// Says that something was put into the queue.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }
}

/// A key for a process of `function`: it is its role's, and good as long as the process. Where the role is gone or trusts Lambda
/// no more, nothing may be done with it.
fn credentials(app: &App, function: &Function) -> Lent {
    let session = crate::keys::role_session(app, SERVICE, &function.role, &function.name, clock::now());
    app.functions.keys.lend(session.unwrap_or_else(|error| {
        warn!(function = function.name, ?error, "a function has no role and may do nothing");
        Session::of_nobody(&app.account, &function.role, &function.name)
    }))
}

/// Runs a function once; what it gives is the outcome even where it fails. Goes on though the caller does not wait.
pub(crate) async fn invoke(
    app: &Arc<App>,
    function: Function,
    invocation: Invocation,
) -> Result<Outcome, NotInvoked> {
    let worker = Arc::clone(app);
    let done = tokio::spawn(async move { run_once(&worker, &function, invocation).await }).await;
    let done = done.unwrap_or(Err(NotInvoked::Stopping));
    let told = match &done {
        Ok(outcome) if outcome.failed => "failed",
        Ok(_) => "ok",
        Err(NotInvoked::Busy(_)) => "throttled",
        Err(NotInvoked::Off | NotInvoked::Stopping) => "refused",
    };
    app.telemetry.invocations.with_label_values(&[told]).inc();
    done
}

async fn run_once(
    app: &Arc<App>,
    function: &Function,
    invocation: Invocation,
) -> Result<Outcome, NotInvoked> {
    let Some(ground) = &app.functions.ground else { return Err(NotInvoked::Off) };
    let pool = &app.functions.pool;
    let (_room, found) = pool.take(function, ground.config.concurrency).map_err(NotInvoked::Busy)?;
    let started = match found {
        Some(instance) => Ok(instance),
        None => Instance::start(app, ground, function).await,
    };
    match started {
        Ok(mut instance) => {
            let outcome = instance.serve(invocation).await;
            pool.keep(function, instance);
            Ok(outcome)
        }
        Err(failure) => {
            let id = &invocation.id;
            error!(function = function.name, error = %format!("{failure:#}"), "a function cannot be started");
            let text = format!("RequestId: {id} Error: the function cannot be started: {failure:#}");
            let payload = runtime_api::description("Runtime.InvalidEntrypoint", &text);
            Ok(Outcome { payload, failed: true, log_tail: Vec::new() })
        }
    }
}

/// Serves what functions need besides their invocations, until the server stops: the endpoint of confined ones, the queue
/// of events, and the end of what is idle.
pub(crate) async fn run(app: Arc<App>, mut stopping: Stopping) {
    let endpoint = tokio::spawn(serve_endpoint(Arc::clone(&app)));
    let queue = tokio::spawn(queue::run(Arc::clone(&app), stopping.clone()));
    let mut sweep = tokio::time::interval(SWEEP);
    while !*stopping.borrow() {
        tokio::select! {
            _ = sweep.tick() => tokio::task::block_in_place(|| sweep_all(&app)),
            _ = stopping.changed() => {}
        }
    }
    endpoint.abort();
    if queue.await.is_err() {
        error!("the queue of functions ended badly");
    }
    app.functions.pool.sweep(|_| false);
}

fn sweep_all(app: &App) {
    let Some(ground) = &app.functions.ground else { return };
    let known = match functions::all(&app.records) {
        Ok(known) => known,
        Err(refusal) => {
            error!(?refusal, "functions cannot be listed");
            return;
        }
    };
    app.functions.pool.sweep(|revision| known.iter().any(|function| function.revision == revision));
    let names: Vec<String> = known.iter().map(Function::code_name).collect();
    ground.forget_code(&|name| names.iter().any(|known| known == name));
}

/// Serves the socket by which confined functions reach this server.
async fn serve_endpoint(app: Arc<App>) {
    let Some(ground) = &app.functions.ground else { return };
    let listener = match ground.endpoint_listener() {
        Ok(Some(listener)) => listener,
        Ok(None) => return,
        Err(failure) => {
            error!(error = %format!("{failure:#}"), "functions cannot reach this server");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(listen::serve_stream(Arc::clone(&app), stream));
            }
            Err(failure) => {
                error!(error = %failure, "a connection of a function could not be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
