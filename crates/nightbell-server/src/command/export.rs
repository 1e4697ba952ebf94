/*!
`nightbell export`: the stored events of a group as a file for other tools: Parquet, JSON lines or XML.

Events come from the server one by one in order of time, and go into the file as they come.
*/

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use nightbell_core::event::Group;
use nightbell_core::time::Timestamp;
use nightbell_store::Position;
use nightbell_store::archive::{Export as ParquetFile, Placed};
use nightbell_winevt::DialectReader;
use serde::Serialize;

use super::ServerPlace;
use super::backtest::moment;
use crate::client::Client;
use crate::export::{ExportLine, ExportRequest, ExportedEvent, Whole};

mod xml;

/// Events between two lines that tell how far it is, where no terminal is.
const TOLD_EVERY: u64 = 100_000;

/// Write stored events into a file: Parquet, JSON lines or XML.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Export {
    /// Log group
    group: String,

    /// First event time: 2026-11-22, 2026-11-22T08:00:00Z, or an age such as 7d, 12h (default: the oldest event)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<i64>,

    /// Event time to stop before (default: the newest event)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<i64>,

    /// Only events that match this filter pattern
    #[arg(long, value_name = "PATTERN")]
    filter: Option<String>,

    /// parquet with the archive's columns, jsonl with one event a line, or xml with the Windows events as one document
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,

    /// File to write, whole or not at all (default: standard output, not for parquet)
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,

    #[command(flatten)]
    server: ServerPlace,
}

const EXAMPLES: &str = "\
Examples:
  nightbell export /aws/fsx/windows --from 7d --format parquet --out week.parquet
  nightbell export windows --filter '{ $.EventID = 4625 }' | jq -r .message
  nightbell export windows --from 2026-11-01 --to 2026-12-01 --format xml --out november.xml";

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Parquet,
    Jsonl,
    Xml,
}

impl Export {
    /// Asks for the events and writes them.
    pub(crate) fn run(&self) -> Result<()> {
        let server = self.server.find()?;
        let group = Group { region: server.region.clone(), name: self.group.clone() };
        let client = Client::new(&server.endpoint, &server.region, server.key)?;
        let request = ExportRequest {
            group: self.group.clone(),
            from: self.from,
            to: self.to,
            filter: self.filter.clone(),
        };
        let Some(path) = &self.out else {
            ensure!(self.format != Format::Parquet, "out: parquet is not for standard output; name a file");
            let out = Output::open(self.format, group, BufWriter::new(io::stdout()))?;
            let done = super::runtime()?.block_on(receive(&client, &request, out));
            // Whoever reads may have read enough: `| head` is no failure.
            return match done {
                Err(error) if is_closed(&error) => Ok(()),
                done => tell(&done?),
            };
        };
        let unfinished = unfinished(path);
        let written = self.write(&unfinished, group, &client, &request);
        let Ok(told) = &written else {
            let _ = std::fs::remove_file(&unfinished);
            return written.map(|_| ());
        };
        std::fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))?;
        tell(told)
    }

    fn write(&self, path: &Path, group: Group, client: &Client, request: &ExportRequest) -> Result<Told> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let out = Output::open(self.format, group, BufWriter::new(file))?;
        super::runtime()?.block_on(receive(client, request, out))
    }
}

/// Where a file lies until it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

fn is_closed(error: &anyhow::Error) -> bool {
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(closed)
}

/// What is said at the end.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    written: u64,
    skipped: u64,
    damaged: u64,
}

#[allow(clippy::print_stderr)] // this is where the terminal is spoken to
fn tell(told: &Told) -> Result<()> {
    let Told { written, skipped, damaged } = *told;
    eprintln!("events written: {written}");
    if skipped > 0 {
        eprintln!("events that are no XML and were left out: {skipped}");
    }
    ensure!(
        damaged == 0,
        "damaged files of the archive or blocks of the journal were left out: {damaged}; `nightbell verify` names them"
    );
    Ok(())
}

/// Takes the events in as they come; an error where the end is missing.
async fn receive<W: Write + Send>(
    client: &Client,
    request: &ExportRequest,
    mut out: Output<W>,
) -> Result<Told> {
    let mut meter = Meter::default();
    let mut told = Told::default();
    let mut end: Option<Whole> = None;
    let read = |line: &[u8]| {
        match serde_json::from_slice(line).context("the server's answer is not that of an export")? {
            ExportLine::Event(event) => {
                if out.push(&event)? {
                    told.written += 1;
                } else {
                    told.skipped += 1;
                }
                meter.show(told.written + told.skipped, event.time);
            }
            ExportLine::Progress(_) => meter.tick(),
            ExportLine::End(whole) => end = Some(whole),
            ExportLine::Refused(why) => bail!(why),
        }
        Ok(())
    };
    let done = client.own_lines("/_nightbell/export", serde_json::to_vec(request)?, read).await;
    meter.clear();
    done?;
    let end = end.context("the server ended before all events were told")?;
    ensure!(
        end.events == told.written + told.skipped,
        "events are missing: the server told {} and {} came",
        end.events,
        told.written + told.skipped
    );
    out.finish()?;
    Ok(Told { damaged: end.damaged, ..told })
}

/// A file while it is written.
enum Output<W: Write + Send> {
    Parquet(Box<ParquetFile<'static, W>>),
    Jsonl { out: W, group: Group },
    Xml(W),
}

/// A line of JSON.
#[derive(Serialize)]
struct EventLine<'a> {
    time: String,
    arrival: String,
    group: &'a str,
    stream: &'a str,
    message: &'a str,
}

impl<W: Write + Send> Output<W> {
    fn open(format: Format, group: Group, mut out: W) -> Result<Self> {
        Ok(match format {
            Format::Parquet => Self::Parquet(Box::new(ParquetFile::new(out, &group, &DialectReader)?)),
            Format::Jsonl => Self::Jsonl { out, group },
            Format::Xml => {
                out.write_all(xml::HEAD.as_bytes())?;
                Self::Xml(out)
            }
        })
    }

    /// Writes an event; `false` where the format cannot hold it.
    fn push(&mut self, event: &ExportedEvent<'_>) -> Result<bool> {
        let (time, arrival) = (Timestamp::from_millis(event.time), Timestamp::from_millis(event.arrival));
        match self {
            Self::Parquet(file) => file.push(&Placed {
                time,
                arrival,
                stream: &event.stream,
                block: Position::new(event.block),
                number: event.number,
                message: &event.message,
            })?,
            Self::Jsonl { out, group } => {
                let line = EventLine {
                    time: time.iso(),
                    arrival: arrival.iso(),
                    group: &group.name,
                    stream: &event.stream,
                    message: &event.message,
                };
                serde_json::to_writer(&mut *out, &line).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            }
            Self::Xml(out) => {
                let Some(element) = xml::element(&event.message) else { return Ok(false) };
                out.write_all(element.as_bytes())?;
                out.write_all(b"\n")?;
            }
        }
        Ok(true)
    }

    fn finish(self) -> Result<()> {
        let mut out = match self {
            Self::Parquet(file) => file.finish()?,
            Self::Jsonl { out, .. } => out,
            Self::Xml(mut out) => {
                out.write_all(xml::FOOT.as_bytes())?;
                out
            }
        };
        Ok(out.flush()?)
    }
}

/// How far it is: a line that changes on a terminal, elsewhere a line now and then.
#[derive(Default)]
struct Meter {
    spinner: Option<ProgressBar>,
}

impl Meter {
    fn show(&mut self, events: u64, time: i64) {
        if !events.is_multiple_of(1_000) {
            return;
        }
        let time = Timestamp::from_millis(time).iso();
        if io::stderr().is_terminal() {
            let spinner = self.spinner.get_or_insert_with(ProgressBar::new_spinner);
            spinner.set_message(format!("events {events}, at {time}"));
            spinner.tick();
        } else if events.is_multiple_of(TOLD_EVERY) {
            progress_line(events, &time);
        }
    }

    fn tick(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.tick();
        }
    }

    fn clear(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }
}

#[allow(clippy::print_stderr)] // this is where the terminal is spoken to
fn progress_line(events: u64, time: &str) {
    eprintln!("events: {events}, at {time}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> ExportedEvent<'_> {
        ExportedEvent {
            time: 1_789_364_521_123,
            arrival: 1_789_364_522_000,
            block: 7,
            number: 3,
            stream: "s".into(),
            message: message.into(),
        }
    }

    fn written(format: Format, messages: &[&str]) -> (String, usize) {
        let group = Group { region: "r".into(), name: "g".into() };
        let mut bytes = Vec::new();
        let mut out = Output::open(format, group, &mut bytes).unwrap();
        let kept = messages.iter().filter(|message| out.push(&event(message)).unwrap()).count();
        out.finish().unwrap();
        (String::from_utf8(bytes).unwrap(), kept)
    }

    #[test]
    fn lines_are_json_and_documents_are_xml() {
        let (lines, kept) = written(Format::Jsonl, &["a \"quoted\"\nline", "b"]);
        assert_eq!(kept, 2);
        assert_eq!(
            lines.lines().next().unwrap(),
            r#"{"time":"2026-09-14T05:42:01.123Z","arrival":"2026-09-14T05:42:02.000Z","group":"g","stream":"s","message":"a \"quoted\"\nline"}"#
        );
        let (document, kept) = written(Format::Xml, &["<Event><A>1</A></Event>", "plain", "<Event/>"]);
        assert_eq!(kept, 2);
        assert!(document.ends_with("<Events>\n<Event><A>1</A></Event>\n<Event/>\n</Events>\n"), "{document}");
    }

    #[test]
    fn a_file_is_not_there_before_it_is_whole() {
        assert_eq!(unfinished(Path::new("/a/week.parquet")), Path::new("/a/week.parquet.part"));
    }

    #[test]
    fn a_closed_pipe_is_seen_through_its_wrappers() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed(&anyhow::Error::from(closed()).context("writing")));
        assert!(!is_closed(&anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull))));
    }
}
