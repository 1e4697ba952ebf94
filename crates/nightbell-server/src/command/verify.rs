/*!
`nightbell verify`: whether the archive is what its chain says, asked of the running server, or looked at here where none
runs.
*/

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nightbell_core::time::Timestamp;
use nightbell_store::archive::Archive;
use nightbell_store::{Catalog, Kind, LocalStore, MemoryStore, Options};

use super::ServerPlace;
use crate::client::Client;
use crate::config::Settings;
use crate::proof::{self, Verdict, VerifyLine, VerifyRequest};

/// Prove that the archive holds what was written: nothing changed, removed or inserted.
///
/// Exit code 1 when something is wrong, with the first bad block. While the server runs it does the work, and archives
/// nothing meanwhile; otherwise the data folder is opened here.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {
    /// Hash of a block that was noted elsewhere: proves that the chain was not made anew since
    #[arg(long, value_name = "HASH")]
    head: Option<String>,

    /// Read every event, too, which proves what merges did
    #[arg(long)]
    deep: bool,

    /// Only print the head, to be noted elsewhere
    #[arg(long, conflicts_with_all = ["head", "deep", "copy"])]
    print_head: bool,

    /// Look at a copy of an archive by itself: a folder, or s3://BUCKET/PREFIX
    #[arg(long, value_name = "PLACE")]
    copy: Option<String>,

    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,

    /// Configuration file of the server, where none runs: it says where the archive lies
    #[arg(long, env = "NIGHTBELL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    server: ServerPlace,
}

const EXAMPLES: &str = "\
Examples:
  nightbell verify                                    the files, against their hashes
  nightbell verify --print-head >> /mnt/elsewhere/heads
  nightbell verify --head \"$(tail -1 /mnt/elsewhere/heads)\"
  nightbell verify --copy /mnt/backup/archive --deep  a copy, without a server";

impl Verify {
    /// Looks, and prints what was found; an error where something is wrong.
    pub(crate) fn run(&self) -> Result<()> {
        let request = VerifyRequest { head: self.head.clone(), deep: self.deep, only_head: self.print_head };
        proof::noted(&request).map_err(anyhow::Error::msg)?;
        let verdict = super::runtime()?.block_on(self.judge(&request))?;
        let text = match () {
            () if self.json => format!("{}\n", serde_json::to_string_pretty(&verdict)?),
            () if self.print_head => format!("{}\n", verdict.head),
            () => told(&verdict),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        ensure!(verdict.sound, "the archive is not what was written");
        Ok(())
    }

    async fn judge(&self, request: &VerifyRequest) -> Result<Verdict> {
        let mut meter = Meter::default();
        let settings = self.settings()?;
        if let Some(copy) = &self.copy {
            ensure!(copy.contains("://") || Path::new(copy).is_dir(), "copy: {copy} is no folder");
            let place = Settings { archive: Some(copy.clone()), ..settings }.archive_place()?;
            let archive = place.open(Arc::new(MemoryStore::new()))?;
            return here(&archive, request, &mut meter).await;
        }
        if self.server.endpoint.is_some() {
            return ask(&self.server.client()?, request, &mut meter).await;
        }
        let data = settings.data_folder()?;
        let folder = data.join("store");
        ensure!(
            folder.is_dir(),
            "there is no store in {}; name the server's folder with --data",
            data.display()
        );
        match LocalStore::open(&folder, Options::default()) {
            Ok(store) => {
                let store = Arc::new(store);
                let archive = settings.archive_place()?.open(Arc::clone(&store) as Arc<dyn Catalog>)?;
                let verdict = here(&archive, request, &mut meter).await;
                store.close();
                verdict
            }
            Err(error) if error.kind() == Kind::Conflict => {
                ask(&self.server.client()?, request, &mut meter).await
            }
            Err(error) => Err(error).with_context(|| format!("cannot open the store in {}", data.display())),
        }
    }

    /// The server's settings, as far as this command's environment and the file tell them.
    fn settings(&self) -> Result<Settings> {
        let told = Settings::from_environment();
        Settings { data: self.server.data.clone().or_else(|| told.data.clone()), ..told }
            .with_file(self.config.as_deref())
    }
}

/// Looks here.
async fn here(archive: &Archive, request: &VerifyRequest, meter: &mut Meter) -> Result<Verdict> {
    let verdict = Box::pin(proof::judge(archive, request, &mut |progress| {
        meter.show(progress.done, progress.total);
    }))
    .await;
    meter.clear();
    verdict.context("the archive cannot be read")
}

/// Has the server look.
async fn ask(client: &Client, request: &VerifyRequest, meter: &mut Meter) -> Result<Verdict> {
    let mut verdict = None;
    let read = |line: &[u8]| {
        match serde_json::from_slice(line).context("the server's answer is not that of a verification")? {
            VerifyLine::Progress(done, total) => meter.show(done, total),
            VerifyLine::Answer(whole) => verdict = Some(*whole),
            VerifyLine::Refused(why) => bail!(why),
        }
        Ok(())
    };
    let done = client.own_lines("/_nightbell/verify", serde_json::to_vec(request)?, read).await;
    meter.clear();
    done?;
    verdict.context("the server ended before it had an answer")
}

/// How far it is: a bar on a terminal, elsewhere a line for each tenth.
#[derive(Default)]
struct Meter {
    bar: Option<ProgressBar>,
    tenth: u64,
}

impl Meter {
    fn show(&mut self, done: u64, total: u64) {
        if std::io::stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| ProgressBar::new(total).with_style(style()));
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let tenth = done.saturating_mul(10).checked_div(total).unwrap_or(0);
        if tenth > self.tenth {
            self.tenth = tenth;
            progress_line(done, total);
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    let style = "blocks and files {wide_bar} {human_pos} of {human_len} {eta}";
    ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[allow(clippy::print_stderr)] // this is where the terminal is spoken to
fn progress_line(done: u64, total: u64) {
    eprintln!("blocks and files: {done} of {total}");
}

/// What was found, in words.
fn told(verdict: &Verdict) -> String {
    let Verdict { blocks, files, events, left_out, .. } = verdict;
    let mut text = match (verdict.sound, verdict.first_bad_block) {
        (true, _) => "sound".to_owned(),
        (false, Some(block)) => format!("NOT SOUND, first bad block {block}"),
        (false, None) => "NOT SOUND".to_owned(),
    };
    let _ = writeln!(text, ": blocks {blocks}, files {files}, events {events}");
    if *blocks > 0 {
        let time = Timestamp::from_millis(verdict.time).iso();
        let _ = writeln!(text, "head {} of {time}", verdict.head);
    }
    if *left_out > 0 {
        let _ = writeln!(
            text,
            "blocks of the journal that could not be read and are not in the archive: {left_out}"
        );
    }
    for wrong in &verdict.findings {
        let block = wrong.block.map_or_else(|| "no block".to_owned(), |block| format!("block {block}"));
        let (path, detail) = (super::printable(&wrong.path), super::printable(&wrong.detail));
        let _ = writeln!(text, "  {block}, {}: {path}: {detail}", wrong.trouble);
    }
    if verdict.untold > 0 {
        let _ = writeln!(text, "  and {} more", verdict.untold);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Wrong;

    #[test]
    fn what_is_wrong_is_told_with_the_first_bad_block() {
        let wrong = Wrong {
            block: Some(3),
            path: "chain/\u{1b}[2J.json".into(),
            trouble: "changed".into(),
            detail: "hash is not that of the content".into(),
        };
        let verdict = Verdict {
            blocks: 5,
            head: "ab".into(),
            files: 2,
            events: 7,
            left_out: 1,
            first_bad_block: Some(3),
            findings: vec![wrong],
            untold: 2,
            ..Verdict::default()
        };
        let text = told(&verdict);
        assert_eq!(
            text,
            "NOT SOUND, first bad block 3: blocks 5, files 2, events 7\n\
             head ab of 1970-01-01T00:00:00.000Z\n\
             blocks of the journal that could not be read and are not in the archive: 1\n  \
             block 3, changed: chain/ [2J.json: hash is not that of the content\n  \
             and 2 more\n"
        );
        let sound = Verdict { sound: true, ..Verdict::default() };
        assert_eq!(told(&sound), "sound: blocks 0, files 0, events 0\n");
    }
}
