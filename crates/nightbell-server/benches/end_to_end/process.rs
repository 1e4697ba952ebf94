/*!
The processes a measurement needs: the server under test and a mail server. Both end with their handle.
*/

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::client::{Connection, KEY_ID, REGION, SECRET};

/// Ticks a second in `/proc/PID/stat`: the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running `nightbell serve`.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
}

impl Server {
    /// Starts the server on the data folder and waits until it listens.
    #[allow(dead_code, reason = "each benchmark takes what it needs")]
    pub(crate) fn start(data: &Path, smtp_port: u16) -> Self {
        Self::start_with(data, smtp_port, &[])
    }

    /// The same with more arguments; `NIGHTBELL_BENCH_PROGRAM` may name another program than the one just built.
    pub(crate) fn start_with(data: &Path, smtp_port: u16, more: &[&str]) -> Self {
        let named = std::env::var_os("NIGHTBELL_BENCH_PROGRAM");
        let program = named.unwrap_or_else(|| env!("CARGO_BIN_EXE_nightbell").into());
        let log = std::fs::File::create(data.join("server.log")).expect("the folder can be written");
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--region", REGION, "--log", "warn"])
            .arg("--data")
            .arg(data)
            .args(["--smtp", &format!("smtp://127.0.0.1:{smtp_port}")])
            .args(more)
            .env("NIGHTBELL_ROOT_ACCESS_KEY_ID", KEY_ID)
            .env("NIGHTBELL_ROOT_SECRET_ACCESS_KEY", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let mut lines = lines(&mut child);
        let address = loop {
            let line = lines.next().expect("the server says where it listens").expect("text");
            if let Some(address) = line.strip_prefix("listening on ") {
                break address.to_owned();
            }
        };
        Self { child, address }
    }

    /// Seconds of CPU the server has used, user and system, all threads.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = self.proc_file("stat");
        // The name in brackets may hold blanks; user and system time are the 12th and 13th field after it.
        let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
        let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
        ticks as f64 / TICKS_PER_SECOND
    }

    /// The most memory the server has held, in MiB.
    pub(crate) fn memory_mib_max(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The memory the server holds now, in MiB.
    #[allow(dead_code, reason = "each benchmark takes what it needs")]
    pub(crate) fn memory_mib(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = self.proc_file("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
    }

    fn proc_file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id()))
            .expect("the server runs, on Linux")
    }

    /// Waits until `events` events have been run through the filters since the start.
    pub(crate) fn wait_matched(&self, events: u64) {
        let mut connection = Connection::open(&self.address);
        let begin = Instant::now();
        while self.counter(&mut connection, "nightbell_events_matched_total") < events {
            assert!(begin.elapsed() < Duration::from_secs(60), "matching does not come to an end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A number of the page `/metrics`.
    pub(crate) fn counter(&self, connection: &mut Connection, name: &str) -> u64 {
        let page = connection.get(&self.address, "/metrics");
        let found = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no counter {name} in {page}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// What the mail server tells of the mails it has accepted.
#[derive(Default)]
struct Accepted {
    /// When the mail of an alarm was accepted, in nanoseconds since 1970.
    alarms: HashMap<String, u64>,
    /// The last link that confirms a subscription.
    confirm: Option<String>,
}

/// A running mail server.
pub(crate) struct MailServer {
    child: Child,
    accepted: Arc<Mutex<Accepted>>,
    /// Its port on loopback.
    pub(crate) port: u16,
}

impl MailServer {
    /// Starts the mail server with the Python of `make setup`, or the one `NIGHTBELL_BENCH_PYTHON` names.
    pub(crate) fn start() -> Self {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let named = std::env::var_os("NIGHTBELL_BENCH_PYTHON").map(PathBuf::from);
        let python = named.unwrap_or_else(|| here.join("../../.venv/bin/python"));
        let mut child = Command::new(&python)
            .arg(here.join("benches/end_to_end/mail_server.py"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start ({error}); run make setup", python.display()));
        let mut lines = lines(&mut child);
        let port = lines.next().expect("the mail server says its port").expect("text");
        let accepted = Arc::new(Mutex::new(Accepted::default()));
        let into = Arc::clone(&accepted);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                note(&mut into.lock().expect("nobody panics with it"), &line);
            }
        });
        Self { child, accepted, port: port.parse().expect("a port") }
    }

    /// When the mail of `alarm` was accepted, in nanoseconds since 1970.
    pub(crate) fn accepted_ns(&self, alarm: &str) -> Option<u64> {
        self.accepted.lock().expect("nobody panics with it").alarms.get(alarm).copied()
    }

    /// The path of the link that confirms a subscription, once its mail is there.
    pub(crate) fn confirm_path(&self) -> String {
        let begin = Instant::now();
        loop {
            let link = self.accepted.lock().expect("nobody panics with it").confirm.take();
            if let Some(link) = link {
                let (_, rest) = link.split_once("://").expect("an address");
                return rest[rest.find('/').expect("a path")..].to_owned();
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "no mail confirms the subscription");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// One line of the mail server: time, kind, and what it is about.
fn note(accepted: &mut Accepted, line: &str) {
    let mut words = line.split(' ');
    let (Some(at), Some(kind), Some(what)) = (words.next(), words.next(), words.next()) else { return };
    match (kind, at.parse()) {
        ("alarm", Ok(at_ns)) => {
            accepted.alarms.entry(what.to_owned()).or_insert(at_ns);
        }
        ("confirm", _) => accepted.confirm = Some(what.to_owned()),
        _ => {}
    }
}

fn lines(child: &mut Child) -> std::io::Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().expect("it is piped")).lines()
}

fn end(child: &mut Child) {
    // It may have ended by itself; then there is nothing to do.
    let _ = child.kill();
    let _ = child.wait();
}
