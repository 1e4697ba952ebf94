/*!
The settings of functions: whether they run, confined or not, as whom, and with which interpreters.

Nothing is looked for on the disk here; `functions` does that at start and says what it found.
*/

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::Settings;

/// Processes of functions at one time, where nothing is set.
const CONCURRENCY_DEFAULT: usize = 10;
/// Most that may be set.
const CONCURRENCY_MAX: usize = 1_000;
/// The user that functions run as where the server is root, where nothing is set.
const USER_DEFAULT: &str = "nobody";

/// What functions run on; `None` in [`super::Config`] where they are off.
#[derive(Clone, Debug)]
pub(crate) struct FunctionConfig {
    /// Whether a function that cannot be confined does not run at all.
    pub(crate) confined_only: bool,
    /// Interpreter of `python3*`: a path, or a name looked up in PATH.
    pub(crate) python: PathBuf,
    /// Interpreter of `nodejs*`.
    pub(crate) node: PathBuf,
    /// Folder of modules for all functions, laid out as a layer: `python/`, `nodejs/node_modules/`.
    pub(crate) modules: Option<PathBuf>,
    /// The user they run as where the server is root.
    pub(crate) user: String,
    /// Processes at one time.
    pub(crate) concurrency: usize,
    /// Files that hold secrets of the server's.
    pub(crate) hidden: Vec<PathBuf>,
}

/// Reads the settings of functions.
pub(super) fn read(settings: &Settings) -> Result<Option<FunctionConfig>> {
    let confined_only = match settings.functions.as_deref().unwrap_or("off") {
        "off" => return Ok(None),
        "on" => false,
        "confined" => true,
        other => bail!("functions: {other:?} is neither off, on nor confined"),
    };
    let concurrency = settings.functions_concurrency.unwrap_or(CONCURRENCY_DEFAULT);
    if !(1..=CONCURRENCY_MAX).contains(&concurrency) {
        bail!("functions_concurrency: {concurrency} is outside 1 to {CONCURRENCY_MAX}");
    }
    let user = settings.functions_user.clone().unwrap_or_else(|| USER_DEFAULT.to_owned());
    if user.is_empty() || user == "root" || user == "0" {
        bail!("functions_user: functions never run as root; name another user");
    }
    Ok(Some(FunctionConfig {
        confined_only,
        python: settings.functions_python.clone().unwrap_or_else(|| "python3".into()),
        node: settings.functions_node.clone().unwrap_or_else(|| "node".into()),
        modules: settings.functions_modules.clone(),
        user,
        concurrency,
        hidden: [&settings.smtp_password_file, &settings.archive_key_file]
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
    }))
}
