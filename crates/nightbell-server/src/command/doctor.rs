/*!
`nightbell doctor`: asks the running server how it is, or looks itself where none runs, and says what to do.
*/

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::ServerPlace;
use crate::config::Settings;
use crate::doctor::{self, Check, DoctorRequest, State};

/// Look whether everything is in order, and say what to do: folder, disk, clock, mail server, certificates, store.
#[derive(Args)]
pub(crate) struct Doctor {
    /// Send a mail to this address, to see whether it arrives
    #[arg(long, value_name = "ADDRESS")]
    send_test: Option<String>,

    /// Print what was found as JSON
    #[arg(long)]
    json: bool,

    /// Configuration file (TOML) of the server, for when it does not run
    #[arg(long, env = "NIGHTBELL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

impl Doctor {
    /// Prints a line for each check; an error when one failed.
    pub(crate) fn run(self) -> Result<()> {
        let config = self.settings.with_file(self.config.as_deref())?.check()?;
        let runtime = super::runtime()?;
        let _entered = runtime.enter();
        let checks = match server(&config.data)? {
            Some(place) => match runtime.block_on(ask(&place, self.send_test.clone())) {
                Ok(checks) => checks,
                Err(error) => unreachable_server(&error),
            },
            None => doctor::stopped(&config, self.send_test.as_deref()),
        };
        let text =
            if self.json { format!("{}\n", serde_json::to_string_pretty(&checks)?) } else { lines(&checks) };
        match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
        match checks.iter().filter(|check| check.state == State::Fail).count() {
            0 => Ok(()),
            1 => bail!("1 check failed"),
            failed => bail!("{failed} checks failed"),
        }
    }
}

/// The server that has a data folder, if one has.
fn server(data: &std::path::Path) -> Result<Option<ServerPlace>> {
    let lock = data.join("store").join("lock");
    let is_taken = match std::fs::File::open(&lock) {
        // Shared, and given back at once: nobody is kept out.
        Ok(lock) => matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)),
        Err(_) => false,
    };
    Ok(is_taken.then(|| ServerPlace { data: Some(data.to_owned()), ..ServerPlace::default() }))
}

async fn ask(place: &ServerPlace, send_test: Option<String>) -> Result<Vec<Check>> {
    let client = tokio::task::block_in_place(|| place.client())?;
    let answer = client.own("/_nightbell/doctor", serde_json::to_vec(&DoctorRequest { send_test })?).await?;
    serde_json::from_slice(&answer).context("the server's answer is not that of a doctor")
}

/// The folder is taken, and nobody answers, or not to us.
fn unreachable_server(error: &anyhow::Error) -> Vec<Check> {
    vec![Check {
        name: "server".to_owned(),
        state: State::Fail,
        seen: format!("runs and cannot be asked: {error:#}"),
        advice: Some(
            "has it another key (NIGHTBELL_ROOT_ACCESS_KEY_ID)? else see its log, and start it again"
                .to_owned(),
        ),
    }]
}

fn lines(checks: &[Check]) -> String {
    let mut text = String::new();
    for Check { name, state, seen, advice } in checks {
        let advice = advice.as_ref().map(|advice| format!(" -> {advice}")).unwrap_or_default();
        let line = format!("{:<4}  {name}: {seen}{advice}", state.name());
        text += &super::printable(&line);
        text.push('\n');
    }
    text
}
