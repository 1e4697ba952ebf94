/*!
The threads that searches share: one for each core, of low priority, serving jobs in turn.
*/

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tracing::error;

/// How much a search gives way to everything else (`nice(2)`).
const NICENESS: i32 = 10;
/// Threads at most: more only wait for the same disk.
const THREADS_MAX: usize = 16;

/// Lowers the priority of this thread below that of what comes in. Where the system does not let it, it works as before.
pub(crate) fn give_way() {
    let _ = rustix::process::nice(NICENESS);
}

/// Work that can be cut into pieces.
pub(super) trait Job: Send + Sync {
    /// Claims a piece; `None` when no more are left.
    fn claim(&self) -> Option<usize>;
    /// Does the claimed piece.
    fn work(&self, claimed: usize);
}

/// The threads.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    bell: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Arc<dyn Job>>,
    closed: bool,
}

impl Pool {
    /// As many threads as there are cores; they may wait for object storage through `runtime`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(runtime: &tokio::runtime::Handle) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let threads = (0..threads).map(|number| {
            let (shared, runtime) = (Arc::clone(&shared), runtime.clone());
            std::thread::Builder::new().name(format!("search-{number}")).spawn(move || {
                let _runtime = runtime.enter();
                give_way();
                shared.serve();
            })
        });
        let threads = threads.collect::<std::io::Result<Vec<_>>>()?;
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// A pool that serves nobody, for tests of loops that search nothing.
    #[cfg(test)]
    pub(crate) fn without_threads() -> Self {
        Self { shared: Arc::default(), threads: Mutex::default() }
    }

    /// Adds a job behind the others.
    pub(super) fn add(&self, job: Arc<dyn Job>) {
        self.shared.queue().jobs.push_back(job);
        self.shared.bell.notify_all();
    }

    /// Lets go of all jobs, and waits for the pieces under way.
    pub(crate) fn close(&self) {
        {
            let mut queue = self.shared.queue();
            queue.closed = true;
            queue.jobs.clear();
        }
        self.shared.bell.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                error!("a search thread has panicked");
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// A panic elsewhere leaves whole jobs in the queue.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        while let Some(job) = self.next() {
            let Some(claimed) = job.claim() else { continue };
            // Behind the others, so that all come on; before the work, so that other threads help.
            self.queue().jobs.push_back(Arc::clone(&job));
            self.bell.notify_one();
            if std::panic::catch_unwind(AssertUnwindSafe(|| job.work(claimed))).is_err() {
                error!("a piece of a search panicked; the search ends");
            }
        }
    }

    fn next(&self) -> Option<Arc<dyn Job>> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    struct Counted {
        pieces: usize,
        next: AtomicUsize,
        name: char,
        done: Mutex<mpsc::Sender<char>>,
    }

    impl Job for Counted {
        fn claim(&self) -> Option<usize> {
            let next = self.next.fetch_add(1, Ordering::AcqRel);
            (next < self.pieces).then_some(next)
        }

        fn work(&self, claimed: usize) {
            assert!(self.name != 'p' || claimed != 1, "this piece panics");
            self.done.lock().unwrap().send(self.name).unwrap();
        }
    }

    #[tokio::test]
    async fn every_piece_is_done_once_and_jobs_take_turns() {
        let pool = Pool::start(&tokio::runtime::Handle::current()).unwrap();
        let (done, seen) = mpsc::channel();
        for (name, pieces) in [('a', 400), ('p', 3), ('b', 2)] {
            let done = Mutex::new(done.clone());
            pool.add(Arc::new(Counted { pieces, next: AtomicUsize::new(0), name, done }));
        }
        drop(done);
        let seen: Vec<char> = seen.iter().take(404).collect();
        let count = |name| seen.iter().filter(|&&one| one == name).count();
        assert_eq!((count('a'), count('b'), count('p')), (400, 2, 2), "a panic costs its piece alone");
        pool.close();
    }
}
