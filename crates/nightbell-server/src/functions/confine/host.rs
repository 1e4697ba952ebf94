/*!
Inside the namespaces: `nightbell function-host`. See [`super`] for who starts it and why.

Everything here happens before the function's code runs, or carries bytes between its loopback and the server's sockets.
*/

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, mount, mount_bind, mount_remount};
use rustix::process::{Resource, Rlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use super::{
    ENDPOINT_PORT, ENDPOINT_SOCKET, MODULES, Plan, RUNTIME, RUNTIME_PORT, RUNTIME_SOCKET, TASK, unprivileged,
};
use crate::bounded::read_text;

/// Largest plan, in bytes.
const PLAN_BYTES_MAX: u64 = 1 << 20;
/// Open files, and processes and threads, of a function ("Lambda quotas").
const OPEN_FILES_MAX: u64 = 1_024;
const PROCESSES_MAX: u64 = 1_024;
/// Connections of one function that are carried at one time; more are closed.
const CARRIED_MAX: usize = 256;
/// The exit code where the namespaces are not as they must be.
pub(crate) const NOT_CONFINED: u8 = 113;

/// What a folder of modules holds.
const MODULE_FOLDERS: [&str; 2] = ["python", "nodejs/node_modules"];

/// `AF_NETLINK` of Linux.
const NETLINK: i32 = 16;
/// The loopback's index in every new namespace.
const LOOPBACK_INDEX: i32 = 1;

/// Confines this process and runs what the plan on standard input names, to its end.
pub(crate) fn run() -> ExitCode {
    let done = plan().and_then(|(plan, input)| {
        confine(&plan)?;
        die_with(input);
        start(&plan)
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            // Standard error is the function's log, where whoever looks for it finds it.
            let _ = writeln!(io::stderr(), "the function cannot be confined: {error:#}");
            ExitCode::from(NOT_CONFINED)
        }
    }
}

fn plan() -> Result<(Plan, io::BufReader<io::Stdin>)> {
    let mut input = io::BufReader::new(io::stdin());
    let mut line = String::new();
    input.by_ref().take(PLAN_BYTES_MAX).read_line(&mut line).context("no plan came")?;
    // The error would quote the line, and with it secrets.
    let plan = serde_json::from_str(&line).map_err(|_| anyhow::anyhow!("the plan cannot be read"))?;
    Ok((plan, input))
}

/// Ends this process, and all in its namespace with it, as soon as the server has closed its end of the pipe.
fn die_with(mut input: io::BufReader<io::Stdin>) {
    std::thread::spawn(move || {
        let mut rest = [0; 64];
        while input.read(&mut rest).is_ok_and(|read| read > 0) {}
        std::process::exit(i32::from(NOT_CONFINED));
    });
}

fn confine(plan: &Plan) -> Result<()> {
    loopback_up().context("loopback")?;
    // Opened before anything is hidden, reached by number afterwards.
    let folder = |path: &Path| open_folder(path).with_context(|| format!("cannot open {}", path.display()));
    let (task, runtime) = (folder(&plan.task)?, folder(&plan.runtime)?);
    // Each by itself, so that it may also be a link to what is hidden afterwards.
    let modules: Vec<(&str, File)> = match &plan.modules {
        Some(modules) => MODULE_FOLDERS
            .into_iter()
            .filter_map(|name| Some((name, open_folder(&modules.join(name)).ok()?)))
            .collect(),
        None => Vec::new(),
    };
    let (own, shared) = (folder(&plan.own_sockets)?, folder(&plan.shared_sockets)?);
    read_only()?;
    scratch(plan.ephemeral_mib)?;
    bind(&task, TASK)?;
    bind(&runtime, RUNTIME)?;
    for (name, folder) in &modules {
        bind(folder, &format!("{MODULES}/{name}"))?;
    }
    remount("/var", MountFlags::NOSUID | MountFlags::NODEV)?;
    plan.hidden.iter().try_for_each(|path| hide(path))?;
    let carried = Arc::new(AtomicUsize::new(0));
    carry(RUNTIME_PORT, own, RUNTIME_SOCKET, &carried)?;
    carry(ENDPOINT_PORT, shared, ENDPOINT_SOCKET, &carried)
}

/// Brings the new network's loopback up: one RTM_NEWLINK of rtnetlink(7).
fn loopback_up() -> Result<()> {
    const NEW_LINK: u16 = 16;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    const UP: i32 = 1;
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(&32_u32.to_ne_bytes());
    message.extend_from_slice(&NEW_LINK.to_ne_bytes());
    message.extend_from_slice(&REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    message.extend_from_slice(&[0; 8]); // sequence and port
    message.extend_from_slice(&[0; 4]); // family, padding, type
    for word in [LOOPBACK_INDEX, UP, UP] {
        message.extend_from_slice(&word.to_ne_bytes());
    }
    let mut socket = Socket::new(Domain::from(NETLINK), Type::RAW, None)?;
    socket.send(&message)?;
    let mut answer = [0; 256];
    let read = socket.read(&mut answer)?;
    let Some(code) = answer[..read].get(16..20).and_then(|bytes| bytes.try_into().ok()) else {
        bail!("the answer of the system is too short");
    };
    match i32::from_ne_bytes(code) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(-code).into()),
    }
}

fn open_folder(path: &Path) -> io::Result<File> {
    const O_PATH: i32 = 0o10_000_000;
    OpenOptions::new().read(true).custom_flags(O_PATH).open(path)
}

/// The path of something open, whatever hides the one it was opened by.
fn path_of(open: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()))
}

/// Makes every mount read-only, keeping what else is said of it.
fn read_only() -> Result<()> {
    let text = read_text("/proc/self/mountinfo".as_ref()).context("cannot read the mounts")?;
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (Some(place), Some(options)) = (fields.get(4), fields.get(5)) else { continue };
        let place = unescape(place);
        if place == "/proc" || place.starts_with("/proc/") {
            continue;
        }
        let kept = options.split(',').fold(MountFlags::empty(), |kept, option| kept | flag(option));
        match remount(&place, kept) {
            Ok(()) => {}
            // Covered by a later mount, or not ours to reach.
            Err(_) if options.split(',').any(|option| option == "ro") || !Path::new(&place).exists() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn flag(option: &str) -> MountFlags {
    match option {
        "nosuid" => MountFlags::NOSUID,
        "nodev" => MountFlags::NODEV,
        "noexec" => MountFlags::NOEXEC,
        "noatime" => MountFlags::NOATIME,
        "nodiratime" => MountFlags::NODIRATIME,
        "relatime" => MountFlags::RELATIME,
        _ => MountFlags::empty(),
    }
}

/// A path of mountinfo, where blanks and the like stand as octal numbers.
fn unescape(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut out = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        match piece.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                out.extend_from_slice(&piece.as_bytes()[3..]);
            }
            None => out.extend_from_slice(piece.as_bytes()),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn remount(place: &str, kept: MountFlags) -> Result<()> {
    mount_remount(place, MountFlags::BIND | MountFlags::RDONLY | kept, c"")
        .with_context(|| format!("cannot make {place} read-only"))
}

/// Fresh folders where functions may write, and where sockets of others would be found.
fn scratch(ephemeral_mib: u32) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let tmpfs = |place: &str, data: &str| {
        let data = std::ffi::CString::new(data).context("options are plain")?;
        mount("tmpfs", place, "tmpfs", flags, data.as_c_str())
            .with_context(|| format!("cannot mount {place}"))
    };
    tmpfs("/tmp", &format!("mode=1777,size={ephemeral_mib}m"))?;
    for place in ["/dev/shm", "/dev/mqueue"] {
        if Path::new(place).is_dir() {
            tmpfs(place, "mode=1777,size=64m")?;
        }
    }
    if Path::new("/run").is_dir() {
        tmpfs("/run", "mode=755,size=64k")?;
        remount("/run", flags)?;
    }
    tmpfs("/var", "mode=755,size=1m")?;
    let modules = MODULE_FOLDERS.map(|name| format!("{MODULES}/{name}"));
    for place in [TASK, RUNTIME].into_iter().chain(modules.iter().map(String::as_str)) {
        fs::create_dir_all(place).with_context(|| format!("cannot make {place}"))?;
    }
    std::os::unix::fs::symlink("/tmp", "/var/tmp").context("cannot make /var/tmp")
}

fn bind(source: &File, place: &str) -> Result<()> {
    mount_bind(path_of(source), place).with_context(|| format!("cannot bind {place}"))?;
    remount(place, MountFlags::NOSUID | MountFlags::NODEV)
}

/// Covers a folder by an empty one and a file by nothing; what an outer cover hides already is gone.
fn hide(path: &Path) -> Result<()> {
    let failed = || format!("cannot hide {}", path.display());
    if path.is_dir() {
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        return mount("tmpfs", path, "tmpfs", flags, c"mode=000,size=4k").with_context(failed);
    }
    if path.is_file() {
        return mount_bind("/dev/null", path).with_context(failed);
    }
    Ok(())
}

/// Listens at a port of the loopback and carries each connection to the socket `name` in `folder`.
fn carry(port: u16, folder: File, name: &'static str, carried: &Arc<AtomicUsize>) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("cannot listen on loopback")?;
    let carried = Arc::clone(carried);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let socket = UnixStream::connect(path_of(&folder).join(name));
            let (Ok(socket), true) = (socket, carried.load(Ordering::Relaxed) < CARRIED_MAX) else {
                continue;
            };
            carried.fetch_add(1, Ordering::Relaxed);
            let carried = Arc::clone(&carried);
            std::thread::spawn(move || {
                between(&stream, &socket);
                carried.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    Ok(())
}

/// Carries bytes both ways until both ends are done.
fn between(stream: &TcpStream, socket: &UnixStream) {
    let _ = stream.set_nodelay(true);
    std::thread::scope(|both| {
        both.spawn(|| {
            let _ = io::copy(&mut &*stream, &mut &*socket);
            let _ = socket.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut &*socket, &mut &*stream);
        let _ = stream.shutdown(Shutdown::Write);
    });
}

/// Starts the interpreter and waits for it; its exit code is ours.
fn start(plan: &Plan) -> Result<ExitCode> {
    for (resource, most) in [
        (Resource::Nofile, OPEN_FILES_MAX),
        (Resource::Nproc, PROCESSES_MAX),
        (Resource::Data, plan.data_bytes_max),
        (Resource::Core, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .with_context(|| format!("cannot limit {resource:?}"))?;
    }
    let mut words = unprivileged(plan.user);
    words.extend(["--bounding-set=-all", "--inh-caps=-all", "--"].map(str::to_owned));
    words.extend(plan.command.iter().cloned());
    let status = Command::new(&words[0])
        .args(&words[1..])
        .env_clear()
        .envs(&plan.environment)
        .current_dir(TASK)
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", words[0]))?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_mounts_are_read_as_they_are() {
        for (written, path) in [("/a", "/a"), ("/a\\040b", "/a b"), ("/\\134x", "/\\x"), ("/x\\9", "/x9")] {
            assert_eq!(unescape(written), path);
        }
        assert_eq!(flag("nosuid"), MountFlags::NOSUID);
        assert_eq!(flag("rw"), MountFlags::empty());
    }
}
