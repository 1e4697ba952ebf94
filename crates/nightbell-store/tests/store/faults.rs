/*!
A disk that fails for a while: the [`workload`](crate::workload) runs under `strace`, which lets a few calls of a kind
fail. It must be refused, be taken again without help, and end with every acknowledgement kept.

`strace` counts the calls of each thread by itself, so a store that opens its engine anew meets the fault again in its new
threads, and might for ever: the disk is mended after [`FAILING`] at the latest.
*/

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods)] // reads a file that it wrote

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nightbell_store::LocalStore;

use crate::sample::{number_of, scratch};
use crate::trace;
use crate::workload::{Loss, Notes, Work, check, options};

/// The calls that fail, and from the how manieth of a thread on: behind those of the test harness and the loader.
const CALLS: [(&str, &[u32]); 7] = [
    ("write,pwrite64", &[12, 13, 14, 16, 19, 33, 65, 129]),
    ("fdatasync", &[1, 2, 3, 7, 19]),
    ("fsync", &[1, 2, 3, 4, 5, 7, 11, 19]),
    ("ftruncate", &[1, 2]),
    ("rename", &[1, 2, 5, 14, 17]),
    ("unlink", &[1, 2, 4]),
    ("openat", &[24, 40, 90]),
];

const ERRORS: [&str; 2] = ["ENOSPC", "EIO"];

/// How many calls of a thread fail one after another.
const LENGTHS: [u32; 2] = [1, 3];

/// Runs at a time: most of theirs is waiting.
const RUNS: usize = 6;

/// How long the disk fails at most; far less than the patience of the workload.
const FAILING: Duration = Duration::from_secs(5);
/// Between two looks whether a run has ended.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug)]
struct Fault {
    calls: &'static str,
    error: &'static str,
    first: u32,
    length: u32,
}

#[test]
fn a_disk_that_fails_for_a_while_loses_and_doubles_nothing() {
    if let Some(why) = trace::missing() {
        println!("skipped: {why}");
        return;
    }
    // Both errors and both lengths come with each call, each pair at every second number; a soak has all of them.
    let all = number_of("NIGHTBELL_SOAK_SECONDS").is_some();
    let mut faults = Vec::new();
    for (calls, firsts) in CALLS {
        for (i, &first) in firsts.iter().enumerate() {
            for (j, (error, length)) in ERRORS.into_iter().zip(LENGTHS).enumerate() {
                if all || i % 2 == j {
                    faults.push(Fault { calls, error, first, length });
                }
            }
        }
    }
    let (left, refused) = (Mutex::new(faults.into_iter()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..RUNS {
            scope.spawn(|| {
                loop {
                    let Some(fault) = left.lock().unwrap().next() else { return };
                    refused.fetch_add(survive(fault), Ordering::Relaxed);
                }
            });
        }
    });
    assert!(refused.into_inner() > 10, "faults reach the callers");
}

/// Runs the workload with a fault; how many appends were refused.
fn survive(fault: Fault) -> usize {
    let scratch = scratch();
    let folder = scratch.path().join("store");
    let work = Work { writers: 2, batches: 20, seed: u64::from(fault.first), event_bytes: 200 };
    let (command, notes) = work.command(&folder);
    let Fault { calls, error, first, length } = fault;
    let last = first + length - 1;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qqq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:error={error}:when={first}..{last}")]);
    strace.arg(command.get_program()).args(command.get_args()).stdout(Stdio::null()).stderr(Stdio::piped());
    strace.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let told = end(strace.spawn().unwrap());
    let notes = Notes::read(&std::fs::read_to_string(notes).unwrap());
    assert_eq!(notes.appends() as u64, work.writers * work.batches, "{fault:?}: {told}");
    assert_eq!(notes.commits(), 2 * work.batches, "{fault:?}: {told}");
    let store = LocalStore::open(&folder, options()).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    check(&store, &notes, Loss::Process).unwrap_or_else(|told| panic!("{fault:?}: {told}"));
    notes.refused()
}

/// Waits until a run has ended, and mends its disk on the way; what it said on standard error. A workload that lost its
/// patience has not noted down all its work.
fn end(mut strace: Child) -> String {
    let mut left = FAILING.as_millis() / LOOK.as_millis();
    while strace.try_wait().unwrap().is_none() {
        if left == 0 {
            // What it traced goes on by itself.
            strace.kill().unwrap();
            strace.wait().unwrap();
            break;
        }
        left -= 1;
        std::thread::sleep(LOOK);
    }
    // The end of the pipe is the end of the workload.
    let mut told = String::new();
    strace.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    told
}
