/*!
How a function's process is kept apart: namespaces of its own for network, mounts, processes and, where the server is not
root, users.

The server starts `unshare`, which starts this program again as `nightbell function-host` ([`host`]): it makes everything
read-only, hides what is the server's, opens a loopback on which nothing listens but the Runtime API and the endpoint, and
starts the interpreter without privileges. What the server tells it comes as one line on standard input; when that ends, it
ends, and with it everything in its namespaces.
*/

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::bounded::read_text;

pub(crate) mod host;

/// Where a confined function finds its code, the server's bootstrap and the shared modules.
pub(super) const TASK: &str = "/var/task";
pub(super) const RUNTIME: &str = "/var/runtime";
pub(super) const MODULES: &str = "/var/modules";
/// Ports of a confined function's loopback: the Runtime API, and the endpoint of all services.
pub(super) const RUNTIME_PORT: u16 = 9_001;
pub(super) const ENDPOINT_PORT: u16 = 8_600;
/// Sockets, in their folder, that these ports lead to.
pub(super) const RUNTIME_SOCKET: &str = "runtime.sock";
pub(super) const ENDPOINT_SOCKET: &str = "endpoint.sock";

/// Everything the host is told.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The unpacked code.
    pub(crate) task: PathBuf,
    /// The folder of the bootstrap.
    pub(crate) runtime: PathBuf,
    /// Modules for all functions.
    pub(crate) modules: Option<PathBuf>,
    /// The folder with the process's own socket.
    pub(crate) own_sockets: PathBuf,
    /// The folder with the socket of the endpoint.
    pub(crate) shared_sockets: PathBuf,
    /// Folders and files that are not to be seen.
    pub(crate) hidden: Vec<PathBuf>,
    /// Room in `/tmp`, in MiB.
    pub(crate) ephemeral_mib: u32,
    /// Most memory that the process may ask the system for, in bytes: a stop behind the limit that is watched.
    pub(crate) data_bytes_max: u64,
    /// The user to become; `None` stays who it is.
    pub(crate) user: Option<User>,
    /// The interpreter and its arguments.
    pub(crate) command: Vec<String>,
    /// Its environment.
    pub(crate) environment: BTreeMap<String, String>,
}

/// A user of the system, by numbers.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct User {
    /// The user.
    pub(crate) uid: u32,
    /// The user's own group.
    pub(crate) gid: u32,
}

impl User {
    /// The user of this name, by `/etc/passwd`.
    pub(super) fn named(name: &str) -> Result<Self> {
        let text = read_text("/etc/passwd".as_ref()).context("cannot read /etc/passwd")?;
        let lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let mut fitting = lines.filter(|fields| fields.first() == Some(&name));
        let Some(fields) = fitting.next() else {
            bail!("functions_user: there is no user {name:?}");
        };
        let number = |at: usize| fields.get(at).and_then(|text| text.parse().ok());
        let (Some(uid), Some(gid)) = (number(2), number(3)) else {
            bail!("functions_user: the line of {name:?} in /etc/passwd has no numbers");
        };
        if uid == 0 {
            bail!("functions_user: {name:?} is root; functions never run as root");
        }
        Ok(Self { uid, gid })
    }
}

/// What starts a host: `unshare` with the namespaces to be made. As root they are made as root and privileges are dropped
/// inside; else a namespace of users is what allows the others.
pub(super) fn launcher(is_root: bool) -> Vec<String> {
    let mut words = vec![
        "unshare",
        "--net",
        "--mount",
        "--ipc",
        "--uts",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    if !is_root {
        words.extend(["--user", "--map-root-user"]);
    }
    words.into_iter().map(str::to_owned).collect()
}

/// The words that start a command as `user` without any privileges.
pub(super) fn unprivileged(user: Option<User>) -> Vec<String> {
    let mut words = vec!["setpriv".to_owned(), "--no-new-privs".to_owned()];
    if let Some(User { uid, gid }) = user {
        words.extend([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_runs_as_root() {
        assert!(User::named("root").unwrap_err().to_string().contains("never run as root"));
        assert!(User::named("no such user").unwrap_err().to_string().contains("there is no user"));
        assert_ne!(User::named("nobody").unwrap().uid, 0);
    }
}
