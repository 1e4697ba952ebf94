/*!
`nightbell import`: recorded Windows logs (EVTX) into a log group.

An import that was interrupted goes on where it stopped, and one that is complete adds nothing: the server remembers how
far each file has come, by the file's content.
*/

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nightbell_winevt::evtx::{Position, Reader, Record};
use sha2::{Digest, Sha256};

use super::ServerPlace;
use crate::admin::{ImportProgress, ImportRequest, Place};
use crate::client::Client;
use crate::clock;

/// Events of one request.
const PIECE_EVENTS: usize = 1_000;
/// Bytes of events of one request.
const PIECE_BYTES: usize = 1 << 20;

/// Read recorded Windows logs (EVTX) into a log group.
///
/// Events keep their own times, so alarms stay quiet about what is long past; with --as-if-now the last event of each file
/// happens now and the rules judge them.
#[derive(Args)]
pub(crate) struct Import {
    /// Files to read
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Log group; made where it is missing
    #[arg(long, value_name = "NAME")]
    group: String,

    /// Log stream (default: each file's name)
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,

    /// Move the times so that the last event of each file happens now
    #[arg(long)]
    as_if_now: bool,

    #[command(flatten)]
    server: ServerPlace,
}

/// What became of one file.
#[derive(Default)]
struct Tally {
    imported: u64,
    known: u64,
    damaged_records: u64,
    damaged_chunks: u64,
}

impl Import {
    /// Imports all files; a file that cannot be read is told and the others are imported.
    #[allow(clippy::print_stdout)] // this is where the terminal is spoken to
    pub(crate) fn run(&self) -> Result<()> {
        let client = self.server.client()?;
        let runtime = super::runtime()?;
        let mut failed = 0;
        for file in &self.files {
            match runtime.block_on(self.import(&client, file)) {
                Ok(tally) => println!("{}: {}", file.display(), tally.text()),
                Err(error) => {
                    failed += 1;
                    super::complain(&error.context(format!("{} was not imported", file.display())));
                }
            }
        }
        anyhow::ensure!(failed == 0, "{failed} of {} files were not imported", self.files.len());
        Ok(())
    }

    async fn import(&self, client: &Client, file: &Path) -> Result<Tally> {
        let stream = self.stream.clone().unwrap_or_else(|| stream_name(file));
        let shift_ms = if self.as_if_now { clock::now().as_millis() - last_time(file)? } else { 0 };
        let source = if self.as_if_now { format!("{} +{shift_ms}", hash(file)?) } else { hash(file)? };
        let mut reader = Reader::open(file).with_context(|| format!("{} is no EVTX file", file.display()))?;
        let bar = bar(reader.bytes_total(), file);
        let mut piece = Piece {
            client,
            group: &self.group,
            stream: &stream,
            source: &source,
            events: Vec::new(),
            bytes: 0,
        };
        let before = piece.send(None).await?;
        reader.skip_to(Position { chunk: before.next.0, record: before.next.1 });
        let mut tally = Tally { known: before.events, ..Tally::default() };
        let mut next: Option<Place> = None;
        while let Some(record) = reader.next() {
            let Record { time, xml, next: after, .. } = record;
            piece.add(time.as_millis() + shift_ms, xml);
            next = Some((after.chunk, after.record));
            tally.imported += 1;
            if piece.is_full() {
                piece.send(next).await?;
                bar.set_position(reader.bytes_read());
            }
        }
        if !piece.events.is_empty() {
            piece.send(next).await?;
        }
        bar.finish_and_clear();
        let counts = reader.counts();
        tally.damaged_records = counts.records_damaged;
        tally.damaged_chunks = counts.chunks_damaged;
        Ok(tally)
    }
}

impl Tally {
    fn text(&self) -> String {
        let mut text = format!("{} events imported", self.imported);
        if self.known > 0 {
            text.push_str(&format!(", {} were there already", self.known));
        }
        if self.damaged_chunks > 0 || self.damaged_records > 0 {
            text.push_str(&format!(
                "; skipped as damaged: {} records, {} chunks",
                self.damaged_records, self.damaged_chunks
            ));
        }
        text
    }
}

/// Events on their way to the server.
struct Piece<'a> {
    client: &'a Client,
    group: &'a str,
    stream: &'a str,
    source: &'a str,
    events: Vec<(i64, String)>,
    bytes: usize,
}

impl Piece<'_> {
    fn add(&mut self, time_ms: i64, message: String) {
        self.bytes += message.len();
        self.events.push((time_ms, message));
    }

    fn is_full(&self) -> bool {
        self.events.len() >= PIECE_EVENTS || self.bytes >= PIECE_BYTES
    }

    async fn send(&mut self, next: Option<Place>) -> Result<ImportProgress> {
        let request = ImportRequest {
            group: self.group.to_owned(),
            stream: self.stream.to_owned(),
            source: self.source.to_owned(),
            events: std::mem::take(&mut self.events),
            next,
        };
        self.bytes = 0;
        let answer = self.client.own("/_nightbell/import", serde_json::to_vec(&request)?).await?;
        serde_json::from_slice(&answer).context("the server's answer is not right")
    }
}

/// A file's name as a stream's: without what a stream may not be called.
fn stream_name(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let name: String =
        name.chars().map(|c| if c == ':' || c == '*' || c.is_control() { '_' } else { c }).collect();
    if name.is_empty() { "import".to_owned() } else { name }
}

/// The time of the latest event, in milliseconds.
fn last_time(file: &Path) -> Result<i64> {
    let reader = Reader::open(file).with_context(|| format!("{} is no EVTX file", file.display()))?;
    Ok(reader.map(|record| record.time.as_millis()).max().unwrap_or(0))
}

/// What a file holds, told by its content.
fn hash(file: &Path) -> Result<String> {
    let mut source = std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let read = source.read(&mut chunk).with_context(|| format!("cannot read {}", file.display()))?;
        if read == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&chunk[..read]);
    }
}

fn bar(bytes: u64, file: &Path) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ProgressBar::new(bytes).with_style(style).with_message(name)
}
