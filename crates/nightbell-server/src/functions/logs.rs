/*!
What a function prints, line by line into its log group, and the last of it for whoever asks.

A pipe holds what the process prints; [`Output`] reads it on a thread of its own. So that START and END stand around what
was printed between them, a mark is written into the same pipe and waited for.
*/

use std::collections::VecDeque;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightbell_core::event::{Batch, Event, Group};
use nightbell_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use crate::admission::{BATCH_BYTES_MAX, EVENT_OVERHEAD_BYTES};
use crate::app::App;
use crate::credentials::random;
use crate::manage::Refusal;
use crate::manage::groups::{self, GroupOptions};
use crate::{clock, intake};

/// Longest line that is kept whole, in bytes; a longer one is cut into several.
pub(crate) const LOG_LINE_BYTES_MAX: usize = 256 << 10;
/// Lines that wait to be stored; past it the function waits.
const LINES_WAITING_MAX: usize = 10_000;
/// Lines stored at once.
const LINES_AT_ONCE: usize = 1_000;
/// The last of an invocation's log that Invoke gives back ("Invoke", LogType), in bytes.
pub(crate) const LOG_TAIL_BYTES_MAX: usize = 4 << 10;
/// How long lines may gather before they are stored.
const GATHERING: Duration = Duration::from_millis(50);
/// How long a mark may take through the pipe.
const MARK_TIME_MAX: Duration = Duration::from_secs(2);
/// Letters of the secret that tells a mark from what a function prints.
const MARK_LETTERS: usize = 32;

// A batch of the longest lines, cut where it must be, is one that the log takes.
const _: () = assert!(LOG_LINE_BYTES_MAX + EVENT_OVERHEAD_BYTES < BATCH_BYTES_MAX);

/// The log of one process.
#[derive(Clone)]
pub(super) struct Log {
    lines: mpsc::Sender<Event>,
    tail: Arc<Mutex<VecDeque<u8>>>,
}

impl Log {
    /// A log into `stream` of `group`, both made with the first line.
    pub(super) fn new(app: &Arc<App>, group: Group, stream: String) -> Self {
        let (lines, waiting) = mpsc::channel(LINES_WAITING_MAX);
        tokio::spawn(store(Arc::clone(app), group, stream, waiting));
        Self { lines, tail: Arc::default() }
    }

    /// Adds a line of the server's own.
    pub(super) async fn line(&self, text: String) {
        if let Some(event) = self.note(&text) {
            // Nobody reads only when the server stops.
            let _ = self.lines.send(event).await;
        }
    }

    /// Forgets the last lines: another invocation begins.
    pub(super) fn begin(&self) {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The last of what was written since [`Log::begin`].
    pub(super) fn tail(&self) -> Vec<u8> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn note(&self, text: &str) -> Option<Event> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(text.bytes().chain([b'\n']));
        let over = tail.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        tail.drain(..over);
        (!text.is_empty()).then(|| Event { time: clock::now(), message: text.to_owned() })
    }

    /// Adds a line that was printed; waits while too many are. Blocks.
    fn printed(&self, line: &[u8]) {
        if let Some(event) = self.note(&String::from_utf8_lossy(line)) {
            let _ = self.lines.blocking_send(event);
        }
    }
}

/// Stores lines until the last [`Log`] is gone.
async fn store(app: Arc<App>, group: Group, stream: String, mut waiting: mpsc::Receiver<Event>) {
    let mut lines = Vec::new();
    let mut last = Timestamp::from_millis(0);
    while waiting.recv_many(&mut lines, LINES_AT_ONCE).await > 0 {
        tokio::time::sleep(GATHERING).await;
        while lines.len() < LINES_AT_ONCE
            && let Ok(line) = waiting.try_recv()
        {
            lines.push(line);
        }
        for line in &mut lines {
            // In the order they came, even where two threads looked at the clock at once.
            last = last.max(line.time);
            line.time = last;
        }
        if let Err(refusal) = make_stream(&app, &group, &stream) {
            warn!(
                group = group.name,
                ?refusal,
                "the log of a function cannot be made; its lines are dropped"
            );
            lines.clear();
            continue;
        }
        for events in batches(&mut lines) {
            let batch = Batch { group: group.clone(), stream: stream.clone(), arrival: clock::now(), events };
            if let Err(error) = intake::accept(&app, batch).await {
                warn!(group = group.name, %error, "lines of a function could not be stored and are dropped");
            }
        }
    }
}

/// The lines in batches that the log takes.
fn batches(lines: &mut Vec<Event>) -> Vec<Vec<Event>> {
    let mut all = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for line in lines.drain(..) {
        let size = line.message.len() + EVENT_OVERHEAD_BYTES;
        if bytes + size > BATCH_BYTES_MAX {
            all.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += size;
        batch.push(line);
    }
    all.push(batch);
    all.retain(|batch| !batch.is_empty());
    all
}

fn make_stream(app: &App, group: &Group, stream: &str) -> Result<(), Refusal> {
    let (records, now) = (&app.records, clock::now());
    if groups::find_stream(records, group, stream).is_ok() {
        return Ok(());
    }
    let since = *app.journal.end().borrow();
    let made = |done| match done {
        Ok(()) | Err(Refusal::Exists(_)) => Ok(()),
        Err(refusal) => Err(refusal),
    };
    made(groups::create(records, group, GroupOptions::default(), now, since))?;
    made(groups::create_stream(records, group, stream, now, since))
}

/// The pipe of one process.
pub(super) struct Output {
    pipe: PipeWriter,
    secret: Vec<u8>,
    marks: Arc<Mutex<VecDeque<oneshot::Sender<()>>>>,
}

impl Output {
    /// A pipe whose other end is read into `log` until this end is closed.
    pub(super) fn new(log: Log) -> std::io::Result<Self> {
        let (read, pipe) = std::io::pipe()?;
        let mut secret = vec![0];
        secret.extend_from_slice(random(MARK_LETTERS, b"abcdefghijklmnopqrstuvwxyz").as_bytes());
        let marks: Arc<Mutex<VecDeque<oneshot::Sender<()>>>> = Arc::default();
        let reading = Reading { log, secret: secret.clone(), marks: Arc::clone(&marks) };
        std::thread::Builder::new().name("function-log".to_owned()).spawn(move || reading.run(read))?;
        Ok(Self { pipe, secret, marks })
    }

    /// An end of the pipe for the process to print into.
    pub(super) fn end(&self) -> std::io::Result<PipeWriter> {
        self.pipe.try_clone()
    }

    /// Waits until all that was printed before has been read.
    pub(super) async fn drained(&self) {
        let Ok(mut pipe) = self.pipe.try_clone() else { return };
        let (done, drained) = oneshot::channel();
        let mut mark = self.secret.clone();
        mark.push(b'\n');
        let marks = Arc::clone(&self.marks);
        // A full pipe makes this wait, so it is done where waiting is allowed.
        tokio::task::spawn_blocking(move || {
            marks.lock().unwrap_or_else(PoisonError::into_inner).push_back(done);
            // Shorter than PIPE_BUF, so nothing gets in between; a broken pipe leaves nobody to wait for.
            let _ = pipe.write_all(&mark);
        });
        if tokio::time::timeout(MARK_TIME_MAX, drained).await.is_err() {
            debug!("the output of a function is still being read");
        }
    }
}

struct Reading {
    log: Log,
    secret: Vec<u8>,
    marks: Arc<Mutex<VecDeque<oneshot::Sender<()>>>>,
}

impl Reading {
    /// Reads to the end of the pipe, which comes when the process and [`Output`] are gone.
    fn run(self, mut pipe: PipeReader) {
        let mut line = Vec::new();
        let mut chunk = [0; 16 << 10];
        loop {
            let read = match pipe.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            for piece in chunk[..read].split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(piece);
                if line.ends_with(b"\n") {
                    line.pop();
                    self.ended(&mut line);
                } else if line.len() >= LOG_LINE_BYTES_MAX {
                    self.cut(&mut line);
                }
            }
        }
        if !line.is_empty() {
            self.ended(&mut line);
        }
    }

    fn ended(&self, line: &mut Vec<u8>) {
        let marked = line.ends_with(&self.secret);
        if marked {
            line.truncate(line.len() - self.secret.len());
        }
        if line.ends_with(b"\r") {
            line.pop();
        }
        if line.is_empty() && !marked {
            self.log.printed(line);
        }
        for piece in line.chunks(LOG_LINE_BYTES_MAX) {
            self.log.printed(piece);
        }
        line.clear();
        if marked && let Some(waiting) = self.marks.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
        {
            let _ = waiting.send(());
        }
    }

    /// Passes on the first part of a line without end, at the border of a character.
    fn cut(&self, line: &mut Vec<u8>) {
        let at =
            (line.len() - 3..=line.len()).rev().find(|at| line.get(*at).is_none_or(|b| b & 0xC0 != 0x80));
        let rest = line.split_off(at.unwrap_or(line.len()));
        self.log.printed(line);
        *line = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (Log, mpsc::Receiver<Event>) {
        let (lines, waiting) = mpsc::channel(LINES_WAITING_MAX);
        (Log { lines, tail: Arc::default() }, waiting)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_mark_waits_for_what_was_printed_before() {
        let (log, mut waiting) = log();
        let output = Output::new(log.clone()).unwrap();
        let mut end = output.end().unwrap();
        end.write_all(b"one\r\ntwo\n\nno end").unwrap();
        output.drained().await;
        let mut seen = Vec::new();
        while let Ok(event) = waiting.try_recv() {
            seen.push(event.message);
        }
        assert_eq!(seen, ["one", "two", "no end"]);
        assert_eq!(log.tail(), b"one\ntwo\n\nno end\n");
        end.write_all(&[b'x'; 5_000]).unwrap();
        end.write_all(b"\n").unwrap();
        output.drained().await;
        assert_eq!(log.tail().len(), LOG_TAIL_BYTES_MAX);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_line_without_end_is_cut_between_characters() {
        let (log, mut waiting) = log();
        let output = Output::new(log).unwrap();
        let mut end = output.end().unwrap();
        let text = "ä".repeat(LOG_LINE_BYTES_MAX);
        let sent = text.clone();
        std::thread::spawn(move || end.write_all(sent.as_bytes()).unwrap()).join().unwrap();
        output.drained().await;
        let mut seen = String::new();
        while let Ok(event) = waiting.try_recv() {
            assert!(event.message.len() <= LOG_LINE_BYTES_MAX + (16 << 10));
            seen.push_str(&event.message);
        }
        assert_eq!(seen, text);
    }

    #[test]
    fn batches_stay_below_what_the_log_takes() {
        let line = || Event { time: Timestamp::from_millis(1), message: "x".repeat(LOG_LINE_BYTES_MAX) };
        let mut lines: Vec<Event> = (0..9).map(|_| line()).collect();
        let found = batches(&mut lines);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3]);
        assert!(batches(&mut Vec::new()).is_empty());
    }
}
