/*!
What functions stand on: the settings, where code is unpacked, whether processes can be confined, and how one is started.

Looks at the machine once, at start.
*/

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};

use super::confine::{
    ENDPOINT_PORT, ENDPOINT_SOCKET, MODULES, Plan, RUNTIME, RUNTIME_PORT, RUNTIME_SOCKET, TASK, User,
    launcher, unprivileged,
};
use super::process::Process;
use super::runtime_api::Door;
use super::unpack::{UnpackError, unpack};
use crate::config::{ArchivePlace, Config, FunctionConfig};
use crate::manage::functions::Function;

/// Programs are looked up here.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
/// The JavaScript of the bootstrap.
const BOOTSTRAP: &str = include_str!("bootstrap.mjs");
const BOOTSTRAP_NAME: &str = "bootstrap.mjs";
/// Memory that a process may ask the system for beyond twice the function's: room for the interpreter's own reservations.
const DATA_BYTES_BESIDE: u64 = 2 << 30;

/// What functions stand on.
pub(crate) struct Ground {
    /// The settings.
    pub(super) config: FunctionConfig,
    /// Why processes are not confined; `None` where they are.
    pub(super) unconfined: Option<String>,
    folder: PathBuf,
    user: Option<User>,
    is_root: bool,
    hidden: Vec<PathBuf>,
    /// Where unconfined functions reach the server.
    endpoint: String,
    _elsewhere: Option<TempDir>,
}

/// A process that is starting, and where it will ask.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) door: Door,
    /// Holds its socket; gone with it.
    pub(super) sockets: TempDir,
}

impl Ground {
    /// Looks at the machine; an error where functions are wanted and cannot run at all. Blocks.
    pub(crate) fn survey(config: &Config, functions: &FunctionConfig, port: u16) -> Result<Self> {
        let is_root = geteuid().is_root();
        let user = if is_root { Some(User::named(&functions.user)?) } else { None };
        let mut hidden = vec![absolute(&config.data)?];
        if let ArchivePlace::Folder(folder) = &config.archive {
            hidden.push(absolute(folder)?);
        }
        hidden.extend(functions.hidden.iter().map(|path| absolute(path)).collect::<Result<Vec<_>>>()?);
        let mut ground = Self {
            config: functions.clone(),
            unconfined: None,
            folder: absolute(&config.data)?.join("functions"),
            user,
            is_root,
            hidden,
            endpoint: format!("http://127.0.0.1:{port}"),
            _elsewhere: None,
        };
        ground.prepare()?;
        if let Err(error) = ground.try_confined() {
            if functions.confined_only {
                bail!("functions = \"confined\", and the system does not allow it: {error:#}");
            }
            ground.unconfined = Some(format!("{error:#}"));
            if is_root {
                // Another user cannot look into the data folder, and must not.
                let elsewhere = tempfile::Builder::new().prefix("nightbell-functions-").tempdir()?;
                fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o711))?;
                ground.folder = elsewhere.path().to_path_buf();
                ground._elsewhere = Some(elsewhere);
                ground.prepare()?;
            }
        }
        Ok(ground)
    }

    /// Makes the folders anew: what was unpacked before is made again when it is needed.
    fn prepare(&self) -> Result<()> {
        for name in ["code", "runtime", "sockets", "run"] {
            let path = self.folder.join(name);
            let failed = || format!("cannot make the folder {}", path.display());
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(failed);
                }
                _ => fs::DirBuilder::new().recursive(true).mode(0o755).create(&path).with_context(failed)?,
            }
        }
        let bootstrap = self.folder.join("runtime").join(BOOTSTRAP_NAME);
        fs::write(&bootstrap, BOOTSTRAP).with_context(|| format!("cannot write {}", bootstrap.display()))?;
        fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o644))?;
        Ok(())
    }

    /// Confines a program that does nothing, to see whether it can be done.
    fn try_confined(&self) -> Result<()> {
        let empty = self.folder.join("run");
        let plan = self.plan(&empty, &empty, vec!["true".to_owned()], BTreeMap::new(), 512, 128);
        let mut command = self.host_command()?;
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start unshare (Debian package util-linux)")?;
        let mut input = child.stdin.take().context("standard input is a pipe")?;
        io::Write::write_all(&mut input, plan_line(&plan).as_bytes()).context("unshare takes no input")?;
        // The pipe stays open until the end: its end would end the host.
        let mut said = String::new();
        if let Some(errors) = child.stderr.take() {
            read_some(errors, &mut said);
        }
        let status = child.wait()?;
        drop(input);
        if status.success() {
            return Ok(());
        }
        bail!("{}", if said.trim().is_empty() { status.to_string() } else { said.trim().to_owned() })
    }

    /// The command of a host, waiting for its plan.
    fn host_command(&self) -> Result<Command> {
        let program = std::env::current_exe().context("this program does not know where it lies")?;
        let mut words = launcher(self.is_root);
        let mut command = Command::new(words.remove(0));
        command.args(words).arg(program).arg("function-host");
        command.env_clear().env("PATH", PATH).current_dir("/").stdin(Stdio::piped());
        Ok(command)
    }

    fn plan(
        &self,
        task: &Path,
        own_sockets: &Path,
        command: Vec<String>,
        environment: BTreeMap<String, String>,
        ephemeral_mib: u32,
        memory_mib: u32,
    ) -> Plan {
        Plan {
            task: task.to_path_buf(),
            runtime: self.folder.join("runtime"),
            modules: self.config.modules.clone(),
            own_sockets: own_sockets.to_path_buf(),
            shared_sockets: self.folder.join("sockets"),
            hidden: self.hidden.clone(),
            ephemeral_mib,
            data_bytes_max: (u64::from(memory_mib) << 21) + DATA_BYTES_BESIDE,
            user: self.user,
            command,
            environment,
        }
    }

    /// Levels of processes that are the server's own, above the interpreter.
    pub(super) fn own_levels(&self) -> usize {
        if self.unconfined.is_none() { 2 } else { 0 }
    }

    /// The socket at which confined functions reach the server.
    pub(super) fn endpoint_listener(&self) -> Result<Option<UnixListener>> {
        if self.unconfined.is_some() {
            return Ok(None);
        }
        let listener = listen_in(&self.folder.join("sockets"), ENDPOINT_SOCKET);
        listener.map(Some).context("cannot listen for functions")
    }

    /// Where code of this name is unpacked.
    pub(super) fn code_folder(&self, name: &str) -> PathBuf {
        self.folder.join("code").join(name)
    }

    /// Folders of code that none of `used` names are removed. Blocks.
    pub(super) fn forget_code(&self, used: &dyn Fn(&str) -> bool) {
        let Ok(folders) = fs::read_dir(self.folder.join("code")) else { return };
        for folder in folders.flatten() {
            let name = folder.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with("unpacking-") && !used(&name) {
                let _ = fs::remove_dir_all(folder.path());
            }
        }
    }

    /// Unpacks `zip` under its name, unless it is there. Blocks.
    pub(super) fn unpack(&self, name: &str, zip: &dyn Fn() -> Option<Vec<u8>>) -> Result<(), UnpackError> {
        let folder = self.code_folder(name);
        if folder.is_dir() {
            return Ok(());
        }
        let bytes = zip().ok_or_else(|| io::Error::other("the code is gone from the store"))?;
        unpack(&bytes, &folder)
    }

    /// Starts the interpreter of `function`, whose code is unpacked; it prints into `print`.
    pub(super) async fn start(
        &self,
        function: &Function,
        mut environment: BTreeMap<String, String>,
        print: (io::PipeWriter, io::PipeWriter),
    ) -> Result<Started> {
        let task = self.code_folder(&function.code_name());
        let sockets = tempfile::Builder::new().prefix("process-").tempdir_in(self.folder.join("run"))?;
        let (door, api, line, mut command);
        if self.unconfined.is_none() {
            door = Door::Socket(listen_in(sockets.path(), RUNTIME_SOCKET)?);
            api = format!("127.0.0.1:{RUNTIME_PORT}");
            let places = [
                (TASK.into(), RUNTIME.into()),
                (MODULES.into(), format!("http://127.0.0.1:{ENDPOINT_PORT}").into()),
            ];
            let words = self.interpreter(function, &places, &api, &mut environment);
            let (disk, memory) = (function.ephemeral_mib, function.memory_mib);
            line = Some(plan_line(&self.plan(&task, sockets.path(), words, environment, disk, memory)));
            command = self.host_command()?;
        } else {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            api = listener.local_addr()?.to_string();
            door = Door::Port(listener);
            let modules = self.config.modules.clone().unwrap_or_else(|| MODULES.into());
            let places =
                [(task.clone(), self.folder.join("runtime")), (modules, PathBuf::from(&self.endpoint))];
            let mut words = unprivileged(self.user);
            words.extend(["--pdeathsig=KILL", "--"].map(str::to_owned));
            words.extend(self.interpreter(function, &places, &api, &mut environment));
            command = Command::new(&words[0]);
            command.args(&words[1..]).env_clear().envs(&environment).current_dir(&task).stdin(Stdio::null());
            line = None;
        }
        command.stdout(print.0).stderr(print.1);
        let process = Process::start(command, line).await.context("the process cannot be started")?;
        Ok(Started { process, door, sockets })
    }

    /// The interpreter's command line; adds to the environment what depends on where things lie.
    fn interpreter(
        &self,
        function: &Function,
        [(task, runtime), (modules, endpoint)]: &[(PathBuf, PathBuf); 2],
        api: &str,
        environment: &mut BTreeMap<String, String>,
    ) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut default = |name: &str, value: String| {
            environment.entry(name.to_owned()).or_insert(value);
        };
        default("PATH", PATH.to_owned());
        default("AWS_ENDPOINT_URL", text(endpoint));
        default("PYTHONPATH", text(&modules.join("python")));
        default("NODE_PATH", text(&modules.join("nodejs/node_modules")));
        for (name, value) in [
            ("AWS_LAMBDA_RUNTIME_API", api.to_owned()),
            ("LAMBDA_TASK_ROOT", text(task)),
            ("LAMBDA_RUNTIME_DIR", text(runtime)),
        ] {
            environment.insert(name.to_owned(), value);
        }
        if function.runtime.starts_with("python") {
            let python = text(&self.config.python);
            return vec![python, "-m".to_owned(), "awslambdaric".to_owned(), function.handler.clone()];
        }
        let heap = format!("--max-old-space-size={}", u64::from(function.memory_mib) * 9 / 10);
        vec![text(&self.config.node), heap, text(&runtime.join(BOOTSTRAP_NAME))]
    }
}

fn plan_line(plan: &Plan) -> String {
    let mut line = serde_json::to_string(plan).expect("a plan is plain texts and numbers");
    line.push('\n');
    line
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}

/// Reads what a command that fails has to say, which is short.
#[allow(clippy::disallowed_methods)] // capped by `take`
fn read_some(from: impl io::Read, into: &mut String) {
    let _ = io::Read::read_to_string(&mut from.take(4_096), into);
}

/// Listens at `name` in `folder`, however long the folder's path is: an address of a socket takes 108 bytes at most.
fn listen_in(folder: &Path, name: &str) -> io::Result<UnixListener> {
    use std::os::fd::AsRawFd as _;
    let open = fs::File::open(folder)?;
    let path = format!("/proc/self/fd/{}/{name}", open.as_raw_fd());
    let _ = fs::remove_file(folder.join(name));
    UnixListener::bind(path)
}
