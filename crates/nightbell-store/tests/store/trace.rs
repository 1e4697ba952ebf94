/*!
What a process did to its files, as `strace` saw it, and a model of a disk that does it again up to any point.

[`record`] runs a child under `strace`; [`Call`]s are what it did, in the order in which the system was done with them.
[`Disk`] applies them one by one, and writes out as a real folder what a kill or a loss of power would leave: after a
kill all that was written; after a loss of power what was synced and any part of the rest. Names of files change in
order, and a sync of any file or folder brings all changes of names before it to disk, as ext4 and XFS have it.
*/

#![allow(clippy::disallowed_methods)] // reads whole files that tests wrote

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// The calls that are followed.
const CALLS: &str = "openat,open,creat,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,ftruncate,fallocate,lseek,\
                     rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,copy_file_range,sendfile";

/// Larger than any single write.
const STRING_BYTES_MAX: &str = "134217728";

const PAGE_BYTES: u64 = 4_096;

/// Something a process did to a file.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// Opens for writing: creates it when it is not there.
    Open {
        fd: u32,
        path: String,
        truncate: bool,
        append: bool,
    },
    Seek {
        fd: u32,
        position: u64,
    },
    Write {
        fd: u32,
        bytes: Vec<u8>,
        at: Option<u64>,
    },
    SetLen {
        fd: u32,
        bytes: u64,
    },
    /// `data_only` is `fdatasync`.
    Sync {
        fd: u32,
        path: String,
        data_only: bool,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    MakeFolder {
        path: String,
    },
    /// A line of the file that is named when recording.
    Note(String),
}

impl Call {
    /// Its shape, for messages.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Write { fd, bytes, at } => format!("write of {} bytes to {fd}, at {at:?}", bytes.len()),
            call => format!("{call:?}"),
        }
    }

    /// Whether a crash before it and one after it differ.
    pub(crate) fn changes_disk(&self) -> bool {
        !matches!(self, Self::Seek { .. } | Self::Note(_))
    }
}

/// Why there can be no trace, when there cannot.
pub(crate) fn missing() -> Option<String> {
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    match traced {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("strace may not trace here: {status}")),
        Err(error) => Some(format!("no strace: {error}")),
    }
}

/// Runs a command to its end and returns what it did below `folder`, with its `notes` among them.
pub(crate) fn record(command: &Command, folder: &Path, notes: &Path) -> Vec<Call> {
    let output = folder.with_extension("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qqq", "-y", "-xx", "-s", STRING_BYTES_MAX, "-e", "signal=none"]);
    strace.args(["-e", &format!("trace={CALLS}"), "-o"]).arg(&output);
    strace.arg(command.get_program()).args(command.get_args()).stdout(Stdio::null());
    strace.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let status = strace.status().unwrap();
    assert!(status.success(), "{status}");
    let (folder, notes) = (folder.display().to_string(), notes.display().to_string());
    let mut reader = Reader { folder, notes, begun: HashMap::new() };
    let mut calls = Vec::new();
    for line in BufReader::new(File::open(&output).unwrap()).lines() {
        calls.extend(reader.line(&line.unwrap()));
    }
    std::fs::remove_file(output).unwrap();
    calls
}

/// Reads lines of `strace`.
struct Reader {
    folder: String,
    notes: String,
    /// Calls that have begun, by thread.
    begun: HashMap<String, String>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<Call> {
        let (thread, rest) = line.split_once(' ')?;
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            self.begun.insert(thread.to_owned(), begun.trim_end().to_owned());
            return None;
        }
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let end = resumed.split_once("resumed>")?.1;
            let whole = self.begun.remove(thread)? + end;
            return self.call(&whole);
        }
        self.call(rest)
    }

    fn call(&self, text: &str) -> Option<Call> {
        let (name, rest) = text.split_once('(')?;
        let (args, result) = rest.rsplit_once(" = ")?;
        let args = Args { text: args.trim_end().strip_suffix(')').unwrap_or(args), folder: &self.folder };
        let result_number: i64 = result.split(['<', ' ']).next()?.parse().ok()?;
        if result_number < 0 {
            return None;
        }
        let fd = || args.fd();
        let done = result_number as u64;
        Some(match name {
            "openat" | "open" | "creat" => {
                let written = args.text.contains("O_WRONLY") || args.text.contains("O_RDWR");
                let path = args.path(0).filter(|_| written)?;
                let truncate = args.text.contains("O_TRUNC");
                Call::Open { fd: done as u32, path, truncate, append: args.text.contains("O_APPEND") }
            }
            "write" | "writev"
                if args.text.contains(&hex(&self.notes)) || args.text.contains(&self.notes) =>
            {
                let line = String::from_utf8(args.bytes().concat()).unwrap();
                Call::Note(line.trim_end().to_owned())
            }
            "write" | "writev" => {
                let mut bytes = args.bytes().concat();
                bytes.truncate(done as usize);
                Call::Write { fd: fd()?, bytes, at: None }
            }
            "pwrite64" => {
                let at = args.text.rsplit_once(", ")?.1.parse().ok()?;
                Call::Write { fd: fd()?, bytes: args.bytes().concat(), at: Some(at) }
            }
            "lseek" => Call::Seek { fd: fd()?, position: done },
            "ftruncate" => Call::SetLen { fd: fd()?, bytes: args.text.rsplit_once(", ")?.1.parse().ok()? },
            "fsync" | "fdatasync" => {
                Call::Sync { fd: fd()?, path: args.fd_path()?, data_only: name == "fdatasync" }
            }
            "rename" | "renameat" | "renameat2" => Call::Rename { from: args.path(0)?, to: args.path(1)? },
            "unlink" | "unlinkat" | "rmdir" => Call::Remove { path: args.path(0)? },
            "mkdir" | "mkdirat" => Call::MakeFolder { path: args.path(0)? },
            other => panic!("a call that the model of the disk does not know: {other}({}", args.text),
        })
    }
}

/// The arguments of a call.
struct Args<'a> {
    text: &'a str,
    folder: &'a str,
}

impl Args<'_> {
    fn fd(&self) -> Option<u32> {
        self.text.split(['<', ',']).next()?.parse().ok()
    }

    /// The path of the first descriptor, when it lies in the folder.
    fn fd_path(&self) -> Option<String> {
        let path = self.text.split_once('<')?.1.split_once('>')?.0;
        self.inside(&String::from_utf8(unhex(path)).unwrap())
    }

    /// A path among the strings, when it lies in the folder; relative ones lie in the first descriptor's.
    fn path(&self, index: usize) -> Option<String> {
        let path = String::from_utf8(self.bytes().into_iter().nth(index)?).unwrap();
        if path.starts_with('/') { self.inside(&path) } else { Some(format!("{}/{path}", self.fd_path()?)) }
    }

    fn inside(&self, path: &str) -> Option<String> {
        let inner = path.strip_prefix(self.folder)?;
        (inner.is_empty() || inner.starts_with('/')).then(|| inner.trim_start_matches('/').to_owned())
    }

    /// The strings.
    fn bytes(&self) -> Vec<Vec<u8>> {
        self.text.split('"').skip(1).step_by(2).map(unhex).collect()
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len() / 4), 0);
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"\\x") {
            plain.push(digit(bytes[at + 2]) << 4 | digit(bytes[at + 3]));
            at += 4;
        } else {
            plain.push(bytes[at]);
            at += 1;
        }
    }
    plain
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// A model of the disk below one folder.
#[derive(Default)]
pub(crate) struct Disk {
    files: Vec<Contents>,
    /// Every change of names.
    changes: Vec<Change>,
    /// How many of them are on disk for certain.
    changes_synced: usize,
    names: Names,
    open: HashMap<u32, Opened>,
}

struct Opened {
    file: usize,
    position: u64,
    append: bool,
}

#[derive(Clone)]
enum Change {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
    MakeFolder(String),
}

#[derive(Clone, Default)]
struct Names {
    files: BTreeMap<String, usize>,
    folders: BTreeSet<String>,
}

impl Names {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Create(path, file) => _ = self.files.insert(path.clone(), *file),
            Change::Rename(from, to) => {
                let file = self.files.remove(from).expect("files are renamed, not folders");
                self.files.insert(to.clone(), file);
            }
            Change::Remove(path) => {
                let file = self.files.remove(path).is_some();
                assert!(file || self.folders.remove(path), "{path} was never there");
            }
            Change::MakeFolder(path) => _ = self.folders.insert(path.clone()),
        }
    }
}

/// A file as it is and as it is on disk.
#[derive(Default)]
struct Contents {
    now: Bytes,
    synced: Bytes,
    /// What was done since the sync.
    since: Vec<Edit>,
}

/// Bytes and a length behind them that may reach into zeros.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bytes {
    written: Vec<u8>,
    length: u64,
}

enum Edit {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Bytes {
    fn write(&mut self, at: u64, bytes: &[u8]) {
        let (at, end) = (at as usize, at as usize + bytes.len());
        if self.written.len() < end {
            self.written.resize(end, 0);
        }
        self.written[at..end].copy_from_slice(bytes);
        self.length = self.length.max(end as u64);
    }

    fn set_len(&mut self, length: u64) {
        self.written.truncate(length as usize);
        self.length = length;
    }

    fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Write(at, bytes) => self.write(*at, bytes),
            Edit::SetLen(length) => self.set_len(*length),
        }
    }

    /// The bytes of a file, without zeros at its end.
    pub(crate) fn of(path: &Path) -> Self {
        let mut written = std::fs::read(path).unwrap();
        let length = written.len() as u64;
        written.truncate(written.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
        Self { written, length }
    }

    pub(crate) fn written(&self) -> &[u8] {
        &self.written
    }

    pub(crate) fn flip(&mut self, at: usize, bit: u32) {
        self.written[at] ^= 1 << bit;
    }

    pub(crate) fn write_out(&self, path: &Path) {
        let mut file = File::create(path).unwrap();
        file.set_len(self.length).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&self.written).unwrap();
    }
}

impl Contents {
    fn edit(&mut self, edit: Edit) {
        self.now.apply(&edit);
        self.since.push(edit);
    }

    fn sync(&mut self) {
        self.since.drain(..).for_each(|edit| self.synced.apply(&edit));
    }
}

impl Disk {
    /// Does what the process did.
    pub(crate) fn apply(&mut self, call: &Call) {
        match call {
            Call::Open { fd, path, truncate, append } => {
                let file = self.names.files.get(path).copied().unwrap_or_else(|| {
                    self.files.push(Contents::default());
                    self.change(Change::Create(path.clone(), self.files.len() - 1));
                    self.files.len() - 1
                });
                if *truncate && self.files[file].now.length > 0 {
                    self.files[file].edit(Edit::SetLen(0));
                }
                self.open.insert(*fd, Opened { file, position: 0, append: *append });
            }
            Call::Seek { fd, position } => {
                if let Some(opened) = self.open.get_mut(fd) {
                    opened.position = *position;
                }
            }
            Call::Write { fd, bytes, at } => self.write(*fd, bytes, *at),
            Call::SetLen { fd, bytes } => {
                if let Some(opened) = self.open.get(fd) {
                    self.files[opened.file].edit(Edit::SetLen(*bytes));
                }
            }
            Call::Sync { fd, path, data_only } => self.sync(*fd, path, *data_only),
            Call::Rename { from, to } => self.change(Change::Rename(from.clone(), to.clone())),
            Call::Remove { path } => self.change(Change::Remove(path.clone())),
            Call::MakeFolder { path } => self.change(Change::MakeFolder(path.clone())),
            Call::Note(_) => {}
        }
    }

    fn change(&mut self, change: Change) {
        self.names.apply(&change);
        self.changes.push(change);
    }

    fn write(&mut self, fd: u32, bytes: &[u8], at: Option<u64>) {
        let Some(opened) = self.open.get_mut(&fd) else { return };
        let file = &mut self.files[opened.file];
        let at = at.unwrap_or_else(|| {
            let at = if opened.append { file.now.length } else { opened.position };
            opened.position = at + bytes.len() as u64;
            at
        });
        file.edit(Edit::Write(at, bytes.to_owned()));
    }

    /// A descriptor may have been opened for reading, so the path says which file it is.
    fn sync(&mut self, fd: u32, path: &str, data_only: bool) {
        let opened = self.open.get(&fd).map(|opened| opened.file);
        let named = self.names.files.get(path).copied();
        if let Some(file) =
            named.or(opened.filter(|_| !self.names.folders.contains(path) && !path.is_empty()))
        {
            self.files[file].sync();
        }
        if !data_only {
            self.changes_synced = self.changes.len();
        }
    }

    /// The path and offset that a write goes to; none for a file without a name.
    pub(crate) fn target(&self, call: &Call) -> Option<(&str, u64)> {
        let Call::Write { fd, at, .. } = call else { return None };
        let opened = self.open.get(fd)?;
        let end = self.files[opened.file].now.length;
        let at = at.unwrap_or(if opened.append { end } else { opened.position });
        let (path, _) = self.names.files.iter().find(|(_, file)| **file == opened.file)?;
        Some((path, at))
    }

    /// Writes out what a kill leaves.
    pub(crate) fn write_out(&self, folder: &Path) {
        write_out(&self.names, folder, |file| self.files[file].now.clone());
    }

    /// Writes out what a loss of power may leave, one of many by chance.
    pub(crate) fn write_out_synced(&self, folder: &Path, chance: &mut Chance) {
        let kept_changes = self.changes_synced + chance.below(self.changes.len() - self.changes_synced + 1);
        let mut names = Names::default();
        self.changes[..kept_changes].iter().for_each(|change| names.apply(change));
        let keep = [0, 50, 90, 100][chance.below(4)];
        write_out(&names, folder, |file| self.files[file].after_power_loss(keep, chance));
    }
}

impl Contents {
    /// What was synced, and of the rest each page with a probability of `keep` percent.
    fn after_power_loss(&self, keep: usize, chance: &mut Chance) -> Bytes {
        let mut bytes = self.synced.clone();
        for edit in &self.since {
            let Edit::Write(at, data) = edit else {
                if chance.below(100) < keep {
                    bytes.apply(edit);
                }
                continue;
            };
            let (mut at, mut data) = (*at, &data[..]);
            while !data.is_empty() {
                let page = ((PAGE_BYTES - at % PAGE_BYTES) as usize).min(data.len());
                if chance.below(100) < keep {
                    bytes.write(at, &data[..page]);
                }
                (at, data) = (at + page as u64, &data[page..]);
            }
        }
        bytes
    }
}

fn write_out(names: &Names, folder: &Path, mut contents: impl FnMut(usize) -> Bytes) {
    std::fs::create_dir_all(folder).unwrap();
    for path in &names.folders {
        std::fs::create_dir_all(folder.join(path)).unwrap();
    }
    for (path, &file) in &names.files {
        contents(file).write_out(&folder.join(path));
    }
}

/// Numbers by chance that a seed repeats.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number from 0 up to but without `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}
