/*!
A crash between any two writes: one run of the [`workload`](crate::workload) is recorded, then the disk is made as it
stood before each of its calls, opened, and looked through.

Three crashes at each point: a kill, a kill in the middle of the write, and a loss of power. `NIGHTBELL_SOAK_SECONDS` has
it go on with other seeds for so long; `NIGHTBELL_SEED` begins with another one.
*/

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods)] // the clock ends a soak; nothing else depends on it

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nightbell_store::LocalStore;

use crate::sample::{number_of, scratch};
use crate::trace::{self, Call, Chance, Disk};
use crate::workload::{Loss, Notes, Work, check, options};

/// Points of a run that are looked at, evenly over all of it; a soak looks at each.
const POINTS: usize = 450;

/// Threads for each core: opening and closing a store is mostly waiting.
const THREADS_PER_CORE: usize = 3;

/// How much is told of what is wrong.
const WRONG_MAX: usize = 10;

/// Points of a run that fills a log, other ones with each seed.
const LARGE_POINTS: usize = 60;

/// Bytes of noise in an event of which seven in a batch fill a log soon.
const LARGE_EVENT_BYTES: usize = 800_000;

const CRASHES: [Crash; 3] = [Crash::Kill, Crash::Torn, Crash::Power];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    /// The process is killed before a call.
    Kill,
    /// Some of the bytes of the write have arrived.
    Torn,
    Power,
}

#[test]
fn a_crash_between_any_two_writes_loses_and_doubles_nothing() {
    if let Some(why) = trace::missing() {
        println!("skipped: {why}");
        return;
    }
    let begin = Instant::now();
    let seconds = number_of("NIGHTBELL_SOAK_SECONDS");
    let first = number_of("NIGHTBELL_SEED").unwrap_or(1);
    for seed in first.. {
        let work = |writers, batches, event_bytes| Work { writers, batches, seed, event_bytes };
        let points = if seconds.is_some() { usize::MAX } else { POINTS };
        let mut works = vec![(work(1, 80, 200), points), (work(8, 15, 200), points)];
        if seconds.is_some() {
            works.push((work(2, 10, LARGE_EVENT_BYTES), LARGE_POINTS)); // a log is full and a new one begun
        }
        for (work, points) in works {
            let run = Run::record(work);
            let (checked, wrong) = run.check(points);
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            println!("{work:?}: {} calls change the disk, {checked} crashes checked", run.points);
        }
        if seconds.is_none_or(|seconds| begin.elapsed() > Duration::from_secs(seconds)) {
            return;
        }
    }
}

/// Whether a call is left out of a run.
type IsLeftOut<'a> = &'a dyn Fn(&Call) -> bool;

/// What the checks above are worth: they see it when a call that they rely on is left out.
#[test]
fn a_write_or_sync_left_out_is_seen() {
    if let Some(why) = trace::missing() {
        println!("skipped: {why}");
        return;
    }
    let run = Run::record(Work { writers: 2, batches: 20, seed: 1, event_bytes: 200 });
    assert_eq!(run.check(20).1, [""; 0]);
    let is_log = |path: &str| path.ends_with(".jnl");
    let leave_out: [(&str, IsLeftOut); 3] = [
        (
            "syncs of the log",
            &|call| matches!(call, Call::Sync { path, data_only: true, .. } if is_log(path)),
        ),
        ("syncs of files and folders", &|call| matches!(call, Call::Sync { path, .. } if !is_log(path))),
        ("renames", &|call| matches!(call, Call::Rename { .. })),
    ];
    for (what, is_left_out) in leave_out {
        let calls: Vec<_> = run.calls.iter().filter(|call| !is_left_out(call)).cloned().collect();
        assert!(calls.len() < run.calls.len(), "{what}");
        let (_, wrong) = Run { calls, ..run }.check(40);
        assert!(!wrong.is_empty(), "{what}: not missed");
    }
}

struct Run {
    work: Work,
    calls: Vec<Call>,
    /// Calls that change the disk.
    points: usize,
}

impl Run {
    fn record(work: Work) -> Self {
        let scratch = scratch();
        let folder = scratch.path().join("store");
        let (command, notes) = work.command(&folder);
        let calls = trace::record(&command, &folder, &notes);
        let points = calls.iter().filter(|call| call.changes_disk()).count();
        let syncs = calls.iter().filter(|call| matches!(call, Call::Sync { .. })).count() as u64;
        assert!(syncs > work.batches, "{work:?}: {syncs} syncs");
        Self { work, calls, points }
    }

    /// Looks at up to `points_max` points on all cores; how many crashes that were, and what was wrong with some.
    fn check(&self, points_max: usize) -> (usize, Vec<String>) {
        let step = self.points.div_ceil(points_max).max(1);
        let threads = THREADS_PER_CORE * std::thread::available_parallelism().map_or(1, usize::from);
        let checked = AtomicUsize::new(0);
        let wrong = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (checked, wrong) = (&checked, &wrong);
                let offset = self.work.seed as usize;
                let is_mine = move |point: usize| {
                    (point + offset).is_multiple_of(step) && point / step % threads == thread
                };
                scope.spawn(move || {
                    self.each_point(is_mine, |point| {
                        for crash in CRASHES {
                            match point.crash(crash) {
                                Ok(crashes) => _ = checked.fetch_add(crashes, Ordering::Relaxed),
                                Err(told) => wrong.lock().unwrap().push(told),
                            }
                        }
                        wrong.lock().unwrap().len() < WRONG_MAX
                    });
                });
            }
        });
        (checked.into_inner(), wrong.into_inner().unwrap())
    }

    /// Does the calls over again and stops before those that are asked for, until `look` has seen enough.
    fn each_point(&self, is_asked_for: impl Fn(usize) -> bool, mut look: impl FnMut(&Point) -> bool) {
        let scratch = scratch();
        let (mut disk, mut notes, mut number) = (Disk::default(), Notes::default(), 0);
        for call in &self.calls {
            if let Call::Note(line) = call {
                notes.take(line);
            }
            if call.changes_disk() {
                let folder = scratch.path().join(number.to_string());
                let point = Point { work: self.work, number, disk: &disk, notes: &notes, call, folder };
                if is_asked_for(number) && !look(&point) {
                    return;
                }
                number += 1;
            }
            disk.apply(call);
        }
    }
}

/// A moment of a run, before one of its calls.
struct Point<'a> {
    work: Work,
    number: usize,
    disk: &'a Disk,
    notes: &'a Notes,
    call: &'a Call,
    folder: PathBuf,
}

impl Point<'_> {
    /// Makes the folder that a crash leaves and checks it; 0 when there is no such crash here.
    fn crash(&self, crash: Crash) -> Result<usize, String> {
        let mut chance = Chance::of(self.work.seed ^ (self.number as u64) << 20);
        match crash {
            Crash::Kill => self.disk.write_out(&self.folder),
            Crash::Power => self.disk.write_out_synced(&self.folder, &mut chance),
            Crash::Torn => {
                let Call::Write { bytes, .. } = self.call else { return Ok(0) };
                self.disk.write_out(&self.folder);
                tear(self.disk, self.call, &bytes[..chance.below(bytes.len())], &self.folder);
            }
        }
        let loss = if crash == Crash::Power { Loss::Power } else { Loss::Process };
        let checked = catch_unwind(AssertUnwindSafe(|| self.check(loss)));
        std::fs::remove_dir_all(&self.folder).unwrap();
        let Self { work, number, call, .. } = self;
        checked
            .unwrap_or_else(|_| Err("panicked".to_owned()))
            .map(|()| 1)
            .map_err(|told| format!("{work:?}, {crash:?} before call {number}, {}: {told}", call.told()))
    }

    fn check(&self, loss: Loss) -> Result<(), String> {
        let open = || LocalStore::open(&self.folder, options()).map_err(|error| error.to_string());
        check(&open()?, self.notes, loss)?;
        LocalStore::verify(&self.folder).map_err(|error| error.to_string())?;
        open().map(drop)
    }
}

/// Adds the beginning of a write to a folder.
fn tear(disk: &Disk, call: &Call, beginning: &[u8], folder: &Path) {
    let Some((path, at)) = disk.target(call) else { return };
    let path: PathBuf = folder.join(path);
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at)).unwrap();
    std::io::Write::write_all(&mut file, beginning).unwrap();
}
