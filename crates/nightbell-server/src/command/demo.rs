/*!
`nightbell demo`: two recorded attacks, played as if they happened now, and what a person would get.

A real server in a temporary folder, spoken to over its own port like any other; nothing is left behind.
*/

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use mailparse::{MailHeaderMap, ParsedMail};
use nightbell_core::recipe::Built;
use nightbell_winevt::evtx::Reader;
use serde_json::json;

use super::watch::{Asked, set_up, time_text};
use crate::client::Client;
use crate::clock::{self, Stopwatch};
use crate::config::Settings;
use crate::wiring::{self, Running};

/// Recorded on real machines; see testdata/evtx/README.md for where they come from and their licences.
const DENIED_OPENS: &[u8] = include_bytes!("../../../../testdata/evtx/denied-file-opens-4656.evtx");
const BRUTEFORCE: &[u8] = include_bytes!("../../../../testdata/evtx/local-bruteforce-4625-4776.evtx");

/// Who is told.
const ADDRESS: &str = "security@example.org";
/// Longest wait for a mail.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How often the mailbox is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// Largest mail that is read.
const MAIL_BYTES_MAX: u64 = 16 << 20;

/// See it work: a server in a temporary folder, two recorded attacks, the mails they cause.
#[derive(Args)]
pub(crate) struct Demo {
    /// Keep the mails in this folder, to be looked at with a mail program
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// One recorded attack.
struct Scene {
    title: &'static str,
    rule: Built,
    stream: &'static str,
    recording: &'static [u8],
    /// What an event that the rule counts has in it.
    counted: &'static str,
}

impl Demo {
    /// Plays both scenes.
    pub(crate) fn run(&self) -> Result<()> {
        let folder =
            tempfile::Builder::new().prefix("nightbell-demo-").tempdir().context("no temporary folder")?;
        let runtime = super::runtime()?;
        let done = runtime.block_on(play_all(folder.path()));
        if let Some(keep) = &self.keep {
            copy_mails(&folder.path().join("mailbox"), keep)?;
        }
        folder.close().context("the temporary folder could not be removed")?;
        done
    }
}

#[allow(clippy::print_stdout)] // this is where the terminal is spoken to
async fn play_all(data: &Path) -> Result<()> {
    let settings = Settings {
        data: Some(data.to_path_buf()),
        listen: Some("127.0.0.1:0".into()),
        ..Settings::default()
    };
    let running = wiring::start(&settings.check()?).await?;
    println!("A server is listening on {}, with nothing but a temporary folder.", running.address);
    let scenes = [
        Scene {
            title: "Files: somebody opens files they are denied",
            rule: Asked::plain("denied-access")?.build()?,
            stream: "srvdefender01",
            recording: DENIED_OPENS,
            counted: ">4656</EventID>",
        },
        Scene {
            title: "Logons: somebody guesses passwords",
            rule: Asked::plain("failed-logons")?.in_group("windows-security").build()?,
            stream: "win",
            recording: BRUTEFORCE,
            counted: ">4625</EventID>",
        },
    ];
    let mut done = Ok(());
    for scene in &scenes {
        done = play(&running, data, scene).await.with_context(|| scene.title);
        if done.is_err() {
            break;
        }
    }
    running.stop().await?;
    done?;
    println!(
        "\nThe server has stopped and its folder is gone. Next: `nightbell serve`, and the README's two jobs."
    );
    Ok(())
}

#[allow(clippy::print_stdout)] // this is where the terminal is spoken to
async fn play(running: &Running, data: &Path, scene: &Scene) -> Result<()> {
    println!("\n=== {} ===", scene.title);
    let endpoint = format!("http://{}", running.address);
    let client = Client::new(&endpoint, "us-east-1", running.app.key.clone())?;
    let mailbox = data.join("mailbox");
    let mut seen = mails(&mailbox)?;
    set_up(&client, &scene.rule, ADDRESS).await?;
    confirm(&client, &mailbox, &mut seen).await?;
    client
        .logs("CreateLogStream", &json!({"logGroupName": scene.rule.group, "logStreamName": scene.stream}))
        .await?;
    let rule = &scene.rule;
    println!("rule: {} or more within {}, {}", rule.threshold, time_text(rule.within_s), rule.description);
    let events = read(scene.recording)?;
    let counted = events.iter().filter(|(_, xml)| xml.contains(scene.counted)).count();
    println!("playing {} recorded events, {counted} of which count, as if they happened now", events.len());
    let sender = send_paced(&client, scene, events);
    let watcher = alarm_mail(&mailbox, &seen);
    let (crossing, mail) = tokio::try_join!(sender, watcher)?;
    let (path, seen_at) = mail;
    let latency = crossing.elapsed().saturating_sub(seen_at.elapsed());
    show(&path, latency)
}

/// The events of a recording as (time in milliseconds, XML).
fn read(recording: &'static [u8]) -> Result<Vec<(i64, String)>> {
    let reader = Reader::new(Cursor::new(recording)).context("the recording cannot be read")?;
    let mut events: Vec<_> = reader.map(|record| (record.time.as_millis(), record.xml)).collect();
    events.sort_by_key(|(time, _)| *time);
    Ok(events)
}

/// Sends the events at the pace they were recorded with; tells when the one that crosses the threshold was sent.
async fn send_paced(client: &Client, scene: &Scene, events: Vec<(i64, String)>) -> Result<Stopwatch> {
    let Some((first, _)) = events.first().cloned() else { bail!("the recording is empty") };
    let begun = Stopwatch::start();
    let start = clock::now();
    let mut counted = 0;
    let mut crossing = None;
    for (time, xml) in events {
        let due = Duration::from_millis(u64::try_from(time - first).unwrap_or(0));
        if let Some(wait) = due.checked_sub(begun.elapsed()) {
            tokio::time::sleep(wait).await;
        }
        counted += u32::from(xml.contains(scene.counted));
        if f64::from(counted) == scene.rule.threshold && crossing.is_none() {
            crossing = Some(Stopwatch::start());
        }
        let event = json!({"timestamp": start.as_millis() + time - first, "message": xml});
        let request = json!({
            "logGroupName": scene.rule.group,
            "logStreamName": scene.stream,
            "logEvents": [event],
        });
        client.logs("PutLogEvents", &request).await?;
    }
    crossing.context("the recording does not cross the threshold")
}

/// Waits for the first new mail that is an alarm.
async fn alarm_mail(mailbox: &Path, seen: &BTreeSet<PathBuf>) -> Result<(PathBuf, Stopwatch)> {
    let begun = Stopwatch::start();
    while begun.elapsed() < WAIT_MAX + Duration::from_secs(10) {
        for path in mails(mailbox)?.difference(seen) {
            let found = Stopwatch::start();
            if with_mail(path, |mail| subject(mail).starts_with("[ALARM]"))? {
                return Ok((path.clone(), found));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("no alarm came by mail")
}

/// Follows the link of the confirmation mail, as a person would.
async fn confirm(client: &Client, mailbox: &Path, seen: &mut BTreeSet<PathBuf>) -> Result<()> {
    let begun = Stopwatch::start();
    // The second scene's address has said yes in the first.
    let wait = if seen.is_empty() { WAIT_MAX } else { Duration::ZERO };
    loop {
        let now = mails(mailbox)?;
        for path in now.difference(seen).cloned().collect::<Vec<_>>() {
            let link = with_mail(&path, |mail| confirmation_link(&text_part(mail)))?;
            seen.insert(path);
            if let Some(link) = link {
                client.follow(&link).await.context("the confirmation link does not work")?;
                return Ok(());
            }
        }
        if begun.elapsed() >= wait {
            return if seen.is_empty() { bail!("no confirmation came by mail") } else { Ok(()) };
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Path and query of the confirmation link in a mail's text.
fn confirmation_link(text: &str) -> Option<String> {
    let start = text.find("/?Action=ConfirmSubscription")?;
    text[start..].split_whitespace().next().map(str::to_owned)
}

#[allow(clippy::print_stdout)] // this is where the terminal is spoken to
fn show(path: &Path, latency: Duration) -> Result<()> {
    println!(
        "alarm! {:.1} ms from sending the event that crosses the line to the mail:\n",
        latency.as_secs_f64() * 1e3
    );
    let (head, text) = with_mail(path, |mail| {
        let header = |name: &str| mail.headers.get_first_value(name).unwrap_or_default();
        let head = format!("To:      {}\nSubject: {}", header("To"), header("Subject"));
        (head, text_part(mail))
    })?;
    for line in head.lines().chain([""]).chain(text.trim_end().lines()) {
        println!("  | {line}");
    }
    Ok(())
}

/// The mails in the mailbox.
fn mails(mailbox: &Path) -> Result<BTreeSet<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(mailbox) else { return Ok(BTreeSet::new()) };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: Result<BTreeSet<PathBuf>, _> = paths.collect();
    let paths = paths.context("the mailbox cannot be read")?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "eml")).collect())
}

/// Reads a mail and gives what `take` makes of it.
#[allow(clippy::disallowed_methods)] // capped by `take`
fn with_mail<T>(path: &Path, take: impl FnOnce(&ParsedMail<'_>) -> T) -> Result<T> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAIL_BYTES_MAX).read_to_end(&mut bytes)?;
    let mail = mailparse::parse_mail(&bytes).context("a mail cannot be read")?;
    Ok(take(&mail))
}

fn subject(mail: &ParsedMail<'_>) -> String {
    mail.headers.get_first_value("Subject").unwrap_or_default()
}

fn text_part(mail: &ParsedMail<'_>) -> String {
    let plain = mail.parts().find(|part| part.ctype.mimetype == "text/plain");
    plain.and_then(|part| part.get_body().ok()).unwrap_or_default()
}

fn copy_mails(mailbox: &Path, keep: &Path) -> Result<()> {
    std::fs::create_dir_all(keep).with_context(|| format!("cannot make {}", keep.display()))?;
    for mail in mails(mailbox)? {
        let to = keep.join(mail.file_name().unwrap_or_default());
        std::fs::copy(&mail, &to).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}
