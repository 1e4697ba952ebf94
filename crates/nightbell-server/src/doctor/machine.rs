/*!
What of the machine a server rests on: the data folder and who may read it, the disk, the files it may open, the port.
*/

use std::fs::Metadata;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Result, bail};
use nightbell_core::time::Timestamp;
use rustix::process::{Resource, geteuid, getrlimit};

use super::Check;
use crate::config::Config;
use crate::credentials::key_file;
use crate::installation::{archive_folder, refuse_half_restored, store_folder};
use crate::size;

/// Free bytes below which a disk is nearly full: some logs and a merge.
const FREE_BYTES_WARN: u64 = 5 << 30;
const FREE_BYTES_FAIL: u64 = 512 << 20;
/// Free share of files below which a file system is nearly full, in percent.
const FREE_FILES_PERCENT: u64 = 5;
/// Open files: as many connections as are taken at once, and the store's.
const OPEN_FILES_MIN: u64 = 8_192;
/// Bits of a mode that let others in.
const OTHERS: u32 = 0o077;
/// Folders below the store's that are looked through.
const DEPTH_MAX: usize = 4;

/// All checks of the machine.
pub(super) fn checks(config: &Config) -> Vec<Check> {
    let mut checks = folder(&config.data);
    if config.data.is_dir() {
        checks.extend(space(&config.data));
    }
    checks.push(open_files());
    checks
}

/// Refuses work on a data folder by anybody but its owner: what would be written could not be read by the server.
pub(crate) fn refuse_other_owner(data: &Path) -> Result<()> {
    let (owner, we) = (data.metadata()?.uid(), geteuid().as_raw());
    if owner != we {
        bail!("{} belongs to user {owner} and this is user {we}; run this as its owner", data.display());
    }
    Ok(())
}

fn folder(data: &Path) -> Vec<Check> {
    const NAME: &str = "data folder";
    let metadata = match data.metadata() {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            return vec![Check::fail(
                NAME,
                format!("{} is no folder", data.display()),
                "name one with --data",
            )];
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let seen = format!("{} is not there yet", data.display());
            return vec![Check::warn(
                NAME,
                seen,
                "the server makes it when it starts; is this the folder you mean? (--data)",
            )];
        }
        Err(error) => {
            let seen = format!("{}: {error}", data.display());
            return vec![Check::fail(NAME, seen, "let the server's user into the folders above it")];
        }
    };
    if let Err(error) = refuse_half_restored(data) {
        return vec![Check::fail(NAME, error.to_string(), "run `nightbell restore` again")];
    }
    if let Err(error) = refuse_other_owner(data) {
        return vec![Check::fail(
            NAME,
            error.to_string(),
            format!("or give it away: chown -R USER '{}'", data.display()),
        )];
    }
    let mut checks = vec![private(NAME, data, &metadata, "700")];
    checks.push(writable(data));
    let key = key_file(data);
    if let Ok(metadata) = key.metadata() {
        checks.push(private("root key", &key, &metadata, "600"));
    }
    for inner in [store_folder(data), archive_folder(data)] {
        if let Ok(metadata) = inner.metadata()
            && metadata.uid() != geteuid().as_raw()
        {
            let seen = format!("{} belongs to user {}", inner.display(), metadata.uid());
            let advice = format!("chown -R {} '{}'", geteuid().as_raw(), inner.display());
            checks.push(Check::fail(NAME, seen, advice));
        }
    }
    checks
}

/// What holds events or the key is its owner's alone.
fn private(name: &str, path: &Path, metadata: &Metadata, mode_right: &str) -> Check {
    let mode = metadata.mode() & 0o777;
    let seen = format!("{} has mode {mode:03o}", path.display());
    if mode & OTHERS == 0 {
        return Check::ok(name, seen);
    }
    let advice = format!("chmod {mode_right} '{}'", path.display());
    Check::fail(name, format!("{seen}: others may read what is in it"), advice)
}

fn writable(data: &Path) -> Check {
    match tempfile::tempfile_in(data) {
        Ok(_) => Check::ok("writing", "the data folder takes files"),
        Err(error) => {
            let seen = format!("the data folder takes no files: {error}");
            Check::fail(
                "writing",
                seen,
                "is the disk full, mounted read-only, or ProtectSystem= of systemd in the way?",
            )
        }
    }
}

fn space(data: &Path) -> Vec<Check> {
    let disk = match rustix::fs::statvfs(data) {
        Ok(disk) => disk,
        Err(error) => {
            return vec![Check::warn("free space", format!("cannot be seen: {error}"), "look with df")];
        }
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let seen = format!("{} are free", size::text(free));
    let advice = "make room, keep events for fewer days (PutRetentionPolicy), or set disk_bytes_max below what there is";
    let room = match free {
        ..FREE_BYTES_FAIL => Check::fail("free space", seen, advice),
        FREE_BYTES_FAIL..FREE_BYTES_WARN => Check::warn("free space", seen, advice),
        _ => Check::ok("free space", seen),
    };
    let mut checks = vec![room];
    // Some file systems have no fixed number of files and tell 0.
    if disk.f_files > 0 {
        let seen = format!("{} of {} files are free", disk.f_favail, disk.f_files);
        checks.push(if disk.f_favail.saturating_mul(100) / disk.f_files < FREE_FILES_PERCENT {
            Check::fail(
                "free files",
                seen,
                "remove files from this file system, or make it anew with more inodes",
            )
        } else {
            Check::ok("free files", seen)
        });
    }
    checks
}

fn open_files() -> Check {
    let Some(allowed) = getrlimit(Resource::Nofile).current else {
        return Check::ok("open files", "no limit");
    };
    let seen = format!("{allowed} may be open at once");
    if allowed >= OPEN_FILES_MIN {
        return Check::ok("open files", seen);
    }
    let advice =
        format!("LimitNOFILE=65536 in the systemd unit, or ulimit -n 65536: at least {OPEN_FILES_MIN}");
    Check::warn("open files", seen, advice)
}

/// Whether the port is free for a server that is not started yet.
pub(super) fn port(config: &Config) -> Check {
    match TcpListener::bind(config.listen) {
        Ok(_) => Check::ok("port", format!("{} is free", config.listen)),
        Err(error) => {
            let seen = format!("{}: {error}", config.listen);
            Check::fail("port", seen, "stop the program that has it, or choose another one with --listen")
        }
    }
}

/// When something below a folder was last changed.
pub(super) fn newest_change(folder: &Path) -> Option<Timestamp> {
    newest(folder, DEPTH_MAX)
}

fn newest(folder: &Path, depth_max: usize) -> Option<Timestamp> {
    let changed = |entry: std::fs::DirEntry| {
        let metadata = entry.metadata().ok()?;
        let inner = (metadata.is_dir() && depth_max > 0).then(|| newest(&entry.path(), depth_max - 1));
        let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let own = Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?);
        Some(inner.flatten().map_or(own, |inner| inner.max(own)))
    };
    std::fs::read_dir(folder).ok()?.flatten().filter_map(changed).max()
}
