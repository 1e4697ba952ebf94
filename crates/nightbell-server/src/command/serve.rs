/*!
`nightbell serve`: the server until SIGTERM or Ctrl-C.
*/

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Settings};
use crate::wiring::{self, Running};

/// Start the server: one folder, one port, no other services.
#[derive(Args)]
pub(crate) struct Serve {
    /// Configuration file (TOML); its keys are the long names below with _ for -
    #[arg(long, env = "NIGHTBELL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    /// Runs the server until it is told to stop.
    pub(crate) fn run(self) -> Result<()> {
        let config = self.settings.with_file(self.config.as_deref())?.check()?;
        log_to_stderr(&config)?;
        let runtime = super::runtime()?;
        runtime.block_on(serve(&config))
    }
}

async fn serve(config: &Config) -> Result<()> {
    // Before anything is opened, so that a signal during the start is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be listened to")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be listened to")?;
    let running = wiring::start(config).await?;
    announce(config, &running)?;
    tokio::select! {
        _ = terminate.recv() => info!("told to stop"),
        _ = interrupt.recv() => info!("told to stop"),
    }
    // The file may be gone with the whole folder.
    let _ = std::fs::remove_file(super::endpoint_file(&config.data));
    running.stop().await
}

#[allow(clippy::print_stdout)] // this is where the terminal is spoken to
fn announce(config: &Config, running: &Running) -> Result<()> {
    let endpoint = super::endpoint_file(&config.data);
    std::fs::write(&endpoint, format!("http://{}\n{}\n", running.address, config.region))
        .with_context(|| format!("cannot write {}", endpoint.display()))?;
    if running.key_made {
        println!("made a root key in {}", crate::credentials::key_file(&config.data).display());
        println!("to use it:  eval \"$(nightbell env --data '{}')\"", config.data.display());
    }
    println!("listening on {}", running.address);
    Ok(())
}

fn log_to_stderr(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .with_context(|| format!("log: {:?} is no level or filter, for example info", config.log))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = if config.log_json { lines.json().try_init() } else { lines.with_ansi(false).try_init() };
    done.map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
}
