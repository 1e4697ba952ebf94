/*!
What a person types. Only these files speak to the terminal.
*/

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::bounded::read_text;
use crate::client::Client;
use crate::config::Settings;
use crate::credentials;

pub(crate) mod apply;
pub(crate) mod backtest;
pub(crate) mod backup;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod export;
pub(crate) mod function_host;
pub(crate) mod import;
pub(crate) mod incidents;
mod meter;
pub(crate) mod query;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod tail;
pub(crate) mod verify;
pub(crate) mod watch;

/// Says why a command failed, cause by cause.
#[allow(clippy::print_stderr)] // this is where the terminal is spoken to
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("nightbell: {error:#}");
}

/// Text from outside, safe to show: control characters, also those of a terminal, become a blank.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The runtime of a command or server.
fn runtime() -> Result<tokio::runtime::Runtime> {
    // A catalog change waits for the disk on its worker, so there are more of them than cores.
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.max(2) * 2)
        .enable_all()
        .build()
        .context("the runtime cannot start")
}

/// Where a command finds the server.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ServerPlace {
    /// Data folder of the server on this machine: its key and address are read there (default: the user's data folder)
    #[arg(long, env = "NIGHTBELL_DATA", value_name = "DIR")]
    data: Option<PathBuf>,

    /// Address of the server (default: the one it listens on, once it does)
    #[arg(long, env = "NIGHTBELL_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,

    /// Region that resources are made in (default: the server's)
    #[arg(long, env = "NIGHTBELL_REGION", value_name = "NAME")]
    region: Option<String>,
}

/// A server as a command found it.
pub(crate) struct Server {
    /// Its address.
    pub(crate) endpoint: String,
    /// The region of the command.
    pub(crate) region: String,
    /// Its root key.
    pub(crate) key: credentials::AccessKey,
}

impl ServerPlace {
    /// Looks the server up, and waits a little for one that is starting; an error says what to do.
    pub(crate) fn find(&self) -> Result<Server> {
        let settings =
            Settings { data: self.data.clone(), region: self.region.clone(), ..Settings::default() };
        let data = settings.data_folder()?;
        let told = if self.endpoint.is_some() { told_by_server(&data)? } else { wait_for_server(&data)? };
        let Some(key) = credentials::find(&data)? else {
            bail!(
                "there is no key in {}; start the server with `nightbell serve` first, or name its folder with --data",
                data.display()
            );
        };
        let (of_server, region) = match told {
            Some((endpoint, region)) => (Some(endpoint), region),
            None => (None, settings.region_name()?),
        };
        let Some(endpoint) = self.endpoint.clone().or(of_server) else {
            bail!(
                "no server runs on {}; start it with `nightbell serve`, name its folder with --data, or its address with --endpoint",
                data.display()
            );
        };
        let region = if self.region.is_some() { settings.region_name()? } else { region };
        Ok(Server { endpoint, region, key })
    }

    /// A client of the server.
    pub(crate) fn client(&self) -> Result<Client> {
        let server = self.find()?;
        Client::new(&server.endpoint, &server.region, server.key)
    }
}

/// The file in which a running server tells its address and region.
pub(crate) fn endpoint_file(data: &Path) -> PathBuf {
    data.join("endpoint")
}

/// What a running server tells, once it does; nothing when none has told it in [`STARTING_MS_MAX`].
fn wait_for_server(data: &Path) -> Result<Option<(String, String)>> {
    for _ in 0..STARTING_MS_MAX / STARTING_LOOK_MS {
        let told = told_by_server(data)?;
        if told.is_some() {
            return Ok(told);
        }
        std::thread::sleep(std::time::Duration::from_millis(STARTING_LOOK_MS));
    }
    told_by_server(data)
}

/// How long a command waits for a server that has not told its address yet.
const STARTING_MS_MAX: u64 = 5_000;
/// How long it waits between two looks.
const STARTING_LOOK_MS: u64 = 50;

/// What the server has told; nothing while its file is not there or not written to its end.
fn told_by_server(data: &Path) -> Result<Option<(String, String)>> {
    let path = endpoint_file(data);
    if !path.exists() {
        return Ok(None);
    }
    let text = read_text(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let Some(text) = text.strip_suffix('\n') else { return Ok(None) };
    let mut lines = text.lines().map(str::to_owned);
    Ok(lines.next().zip(lines.next()))
}
