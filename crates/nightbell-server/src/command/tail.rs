/*!
`nightbell tail`: events as they come in, a line each.

A client of StartLiveTail, and of FilterLogEvents for what is stored already. `lines` writes an event down, `history` reads
the stored ones. A session that ends is begun anew, also after a restart of the server; `gap` finds what came meanwhile.
*/

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nightbell_core::time::MINUTE_MS;
use nightbell_wire::eventstream::Message;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::ServerPlace;
use super::backtest::moment;
use crate::client::{Client, Messages, Refused};
use crate::clock;
use gap::{Gap, LATE_MS, Shown};
use history::{History, Told};
use lines::{Field, Lines};

mod gap;
mod history;
mod lines;

/// Groups of one session ("StartLiveTail", CloudWatch Logs API Reference).
const GROUPS_MAX: usize = 10;
/// Groups that one DescribeLogGroups names.
const GROUPS_A_PAGE: usize = 50;
/// Updates that wait while stored events are shown; more wait at the server.
const UPDATES_WAITING_MAX: usize = 16;
/// Pause before a server that is gone is looked for again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Show events as they come in.
///
/// One line each: when it happened, the log stream it came by, and what it says. Windows events are told in words: who did
/// what, where. It goes on until Ctrl-C, also when the server is started again. Where more than 500 events come in a second,
/// a sample of them is shown.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tail {
    /// Log groups by name, up to 10 (default: all there are)
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,

    /// Only events that match this filter pattern
    #[arg(long, value_name = "PATTERN")]
    filter: Option<String>,

    /// Only this log stream; may be given again
    #[arg(long, value_name = "NAME", conflicts_with = "prefix")]
    stream: Vec<String>,

    /// Only log streams whose name begins so; may be given again
    #[arg(long, value_name = "TEXT")]
    prefix: Vec<String>,

    /// Show stored events first, from this time on: 10m, 12h, 7d, 2026-11-22 or 2026-11-22T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<i64>,

    /// Show this field instead of what the event says, as $.EventID or Audit.User; may be given again
    #[arg(long, value_name = "FIELD")]
    field: Vec<Field>,

    /// Print JSON for scripts, a line for each event with its whole message; times are milliseconds since 1970
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerPlace,
}

const EXAMPLES: &str = "\
Examples:
  nightbell tail                                        everything
  nightbell tail /aws/fsx/windows --since 10m           one group, with its last ten minutes
  nightbell tail --filter '{ $.Audit.Outcome = \"failure\" }'
  nightbell tail --filter '{ $.EventID = 4625 }' --field Audit.User --field Audit.Source
  nightbell tail windows --stream SRV1 --json | jq -r .message";

/// A log group, as DescribeLogGroups tells it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Group {
    #[serde(rename = "logGroupName")]
    name: String,
    #[serde(rename = "logGroupArn")]
    arn: String,
}

/// An event to be shown.
#[derive(Debug, Hash, PartialEq, Eq)]
struct Event {
    group: String,
    stream: String,
    time: i64,
    arrival: i64,
    message: String,
}

/// The payload of a sessionUpdate.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    session_metadata: Metadata,
    session_results: Vec<UpdateEvent>,
}

#[derive(Deserialize)]
struct Metadata {
    sampled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateEvent {
    log_stream_name: String,
    log_group_identifier: String,
    message: String,
    timestamp: i64,
    ingestion_time: i64,
}

/// How a session ended that may be begun anew.
enum Ended {
    /// It lasted as long as a session may.
    Timeout,
    /// The server is gone, or has no room now.
    Lost(String),
}

impl Tail {
    /// Shows events until Ctrl-C, or until nobody reads them any more.
    pub(crate) fn run(&self) -> Result<()> {
        let chooses = !self.stream.is_empty() || !self.prefix.is_empty();
        ensure!(!chooses || self.groups.len() == 1, "--stream and --prefix need one GROUP");
        ensure!(self.groups.len() <= GROUPS_MAX, "{} groups are more than {GROUPS_MAX}", self.groups.len());
        let client = self.server.client()?;
        let done = super::runtime()?.block_on(async {
            tokio::select! {
                done = self.follow(client) => done,
                _ = tokio::signal::ctrl_c() => Ok(()),
            }
        });
        match done {
            // Whoever reads may have read enough: `| head` is no failure.
            Err(error) if is_broken_pipe(&error) => Ok(()),
            done => done,
        }
    }

    async fn follow(&self, mut client: Client) -> Result<()> {
        let groups = self.wanted_groups(&client).await?;
        let lines = Lines::new(groups.len() > 1, self.json, &self.field);
        let mut screen = Screen::new(lines, clock::now().as_millis());
        let mut messages = client.logs_messages("StartLiveTail", &self.request(&groups)).await?;
        note(&format!("following {}", names(&groups)));
        let mut stored = self
            .since
            .map(|since| Stored { history: History::new(client.clone(), &groups, self, since), gap: None });
        loop {
            if let Ended::Lost(why) = session(messages, stored, &groups, &mut screen).await? {
                note(&format!("{why}; waiting for the server"));
            }
            (client, messages) = self.again(&groups).await?;
            let minutes = LATE_MS / MINUTE_MS;
            note(&format!(
                "following {} again; what came meanwhile is shown, but for events that are more than {minutes} minutes older",
                names(&groups)
            ));
            let gap = screen.shown.gap();
            let history = History::new(client.clone(), &groups, self, gap.since());
            stored = Some(Stored { history, gap: Some(gap) });
        }
    }

    /// A new session, as soon as there can be one.
    async fn again(&self, groups: &[Group]) -> Result<(Client, Messages)> {
        loop {
            let place = self.server.clone();
            let found = tokio::task::spawn_blocking(move || place.client()).await?;
            // Without an answer there is no server yet; it may also have another address by now.
            if let Ok(client) = found {
                match client.logs_messages("StartLiveTail", &self.request(groups)).await {
                    Ok(messages) => return Ok((client, messages)),
                    Err(error) if is_lasting(&error) => return Err(error),
                    Err(_) => {}
                }
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    fn request(&self, groups: &[Group]) -> Value {
        let arns: Vec<&str> = groups.iter().map(|group| group.arn.as_str()).collect();
        let mut request = json!({ "logGroupIdentifiers": arns });
        if !self.stream.is_empty() {
            request["logStreamNames"] = json!(self.stream);
        }
        if !self.prefix.is_empty() {
            request["logStreamNamePrefixes"] = json!(self.prefix);
        }
        if let Some(pattern) = &self.filter {
            request["logEventFilterPattern"] = json!(pattern);
        }
        request
    }

    async fn wanted_groups(&self, client: &Client) -> Result<Vec<Group>> {
        if self.groups.is_empty() {
            let all = list_groups(client, "").await?;
            ensure!(!all.is_empty(), "there is no log group yet; the first sender makes one");
            ensure!(
                all.len() <= GROUPS_MAX,
                "there are more than {GROUPS_MAX} log groups; name those to follow: nightbell tail GROUP..."
            );
            return Ok(all);
        }
        let mut wanted: Vec<Group> = Vec::with_capacity(self.groups.len());
        for name in &self.groups {
            // Its own name is the first of all that begin with it.
            let found = list_groups(client, name).await?.into_iter().find(|group| group.name == *name);
            let Some(group) = found else {
                bail!("there is no log group {name:?}; `aws logs describe-log-groups` lists them");
            };
            if !wanted.contains(&group) {
                wanted.push(group);
            }
        }
        Ok(wanted)
    }
}

/// The first groups whose name begins with `prefix`, by name.
async fn list_groups(client: &Client, prefix: &str) -> Result<Vec<Group>> {
    let mut request = json!({ "limit": GROUPS_A_PAGE });
    if !prefix.is_empty() {
        request["logGroupNamePrefix"] = json!(prefix);
    }
    let mut answer = client.logs("DescribeLogGroups", &request).await?;
    serde_json::from_value(answer["logGroups"].take()).context("the server's answer names no log groups")
}

/// Shows a session to its end, after the stored events that were asked for.
async fn session(
    messages: Messages,
    stored: Option<Stored>,
    groups: &[Group],
    screen: &mut Screen,
) -> Result<Ended> {
    let (sender, mut waiting) = mpsc::channel(UPDATES_WAITING_MAX);
    // Read from the start: what comes while stored events are shown has to wait somewhere.
    tokio::spawn(read(messages, sender));
    let mut told = Told::default();
    if let Some(stored) = stored
        && let Some(lost) = show_stored(stored, screen, &mut told).await?
    {
        return Ok(lost);
    }
    while let Some(message) = waiting.recv().await {
        let message = match message {
            Ok(message) => message,
            Err(error) => return Ok(Ended::Lost(format!("{error:#}"))),
        };
        if let Some(ended) = ended(&message) {
            return Ok(ended);
        }
        if message.header(":event-type") == Some("sessionUpdate") {
            let update: Update =
                serde_json::from_slice(&message.payload).context("the server's update is not right")?;
            screen.sampled(update.session_metadata.sampled);
            let events = update.session_results.into_iter().map(|event| event.named(groups));
            let new: Vec<Event> = events.filter(|event| !told.knows(event)).collect();
            screen.show(&new)?;
        }
    }
    Ok(Ended::Lost("the server has ended the session".to_owned()))
}

/// Stored events that are shown before live ones.
struct Stored {
    history: History,
    /// Of these only the ones that came between two sessions.
    gap: Option<Gap>,
}

/// Shows stored events; how the session ended where the server was lost again while a gap was read.
async fn show_stored(stored: Stored, screen: &mut Screen, told: &mut Told) -> Result<Option<Ended>> {
    let Stored { mut history, mut gap } = stored;
    loop {
        let mut events = match history.next().await {
            Ok(Some(events)) => events,
            Ok(None) => break,
            Err(error) if gap.is_some() && !is_lasting(&error) => {
                return Ok(Some(Ended::Lost(format!("{error:#}"))));
            }
            Err(error) => return Err(error),
        };
        // Those shown before the gap may come as live ones no more.
        events.retain(|event| gap.as_mut().is_none_or(|gap| gap.holds(event)));
        screen.show(&events)?;
        events.iter().for_each(|event| told.note(event, history.begun()));
    }
    screen.shown.closed();
    Ok(None)
}

/// Hands messages over as they come, until the session ends or nobody wants them.
async fn read(mut messages: Messages, sender: mpsc::Sender<Result<Message>>) {
    while let Some(message) = messages.next().await.transpose() {
        let failed = message.is_err();
        if sender.send(message).await.is_err() || failed {
            return;
        }
    }
}

fn ended(message: &Message) -> Option<Ended> {
    let kind = message.header(":exception-type")?;
    if kind == "SessionTimeoutException" {
        return Some(Ended::Timeout);
    }
    let body: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
    Some(Ended::Lost(body["message"].as_str().unwrap_or(kind).to_owned()))
}

impl UpdateEvent {
    /// The event under its group's name.
    fn named(self, groups: &[Group]) -> Event {
        let group = groups.iter().find(|group| group.arn == self.log_group_identifier);
        Event {
            group: group.map_or(self.log_group_identifier, |group| group.name.clone()),
            stream: self.log_stream_name,
            time: self.timestamp,
            arrival: self.ingestion_time,
            message: self.message,
        }
    }
}

/// Where events are shown.
struct Screen {
    lines: Lines,
    sampled: bool,
    shown: Shown,
}

impl Screen {
    /// Nothing was shown yet; what came before `begun` (in milliseconds since 1970) need not be.
    fn new(lines: Lines, begun: i64) -> Self {
        Self { lines, sampled: false, shown: Shown::since(begun) }
    }

    fn show(&mut self, events: &[Event]) -> Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        for event in events {
            out.write_all(self.lines.line(event).as_bytes())?;
            self.shown.note(event);
        }
        Ok(out.flush()?)
    }

    /// Says so when a sample begins, and when it is over.
    fn sampled(&mut self, sampled: bool) {
        if sampled != self.sampled {
            let all = "all events are shown again";
            note(if sampled { "too many events for one screen: a sample is shown" } else { all });
            self.sampled = sampled;
        }
    }
}

/// Something beside the events, for a person.
#[allow(clippy::print_stderr)] // this is where the terminal is spoken to
fn note(text: &str) {
    eprintln!("nightbell: {}", super::printable(text));
}

fn names(groups: &[Group]) -> String {
    groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether a refusal will stay, however often it is asked.
fn is_lasting(error: &anyhow::Error) -> bool {
    const PASSING: [&str; 4] =
        ["LimitExceededException", "ServiceUnavailableException", "ThrottlingException", "InternalFailure"];
    error.downcast_ref::<Refused>().is_some_and(|refused| !PASSING.contains(&refused.code.as_str()))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_ends_is_begun_anew_unless_it_can_never_be() {
        let exception = |kind, text: &str| {
            Message::exception(kind, "application/json", format!("{{\"message\":\"{text}\"}}"))
        };
        assert!(matches!(ended(&exception("SessionTimeoutException", "3 h")), Some(Ended::Timeout)));
        let lost = ended(&exception("SessionStreamingException", "stopping"));
        assert!(matches!(lost, Some(Ended::Lost(why)) if why == "stopping"));
        assert!(ended(&Message::event("sessionUpdate", "application/json", "{}")).is_none());

        let refused = |code: &str| Refused { code: code.into(), message: String::new() }.into();
        assert!(is_lasting(&refused("ResourceNotFoundException")));
        assert!(is_lasting(&refused("InvalidParameterException")));
        assert!(!is_lasting(&refused("LimitExceededException")));
        assert!(!is_lasting(&refused("ServiceUnavailableException")));
        assert!(!is_lasting(&anyhow::anyhow!("no server answers")));
    }
}
