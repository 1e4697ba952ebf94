/*!
`nightbell query`: a Logs Insights query, its progress, and its rows as a table, a plot, JSON or CSV.
*/

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use nightbell_core::logsql::{Query as Insights, QueryError};
use nightbell_core::time::{HOUR_MS, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::ServerPlace;
use super::backtest::moment;
use crate::aws::insights::QUERY_GROUPS_MAX;
use crate::client::Client;
use crate::clock;

mod table;

/// How long after the start the query is first looked at, and how long two looks lie apart at most.
const LOOK_MS: (u64, u64) = (20, 500);
/// Columns of a table that is not on a terminal: nothing is cut.
const ANY_WIDTH: usize = usize::MAX;

/// Ask the stored events with Logs Insights QL.
///
/// The last argument is the query, those before it are log groups; without any, all groups of the region are asked. On a
/// terminal rows are cut to its width, and counts by bin() get bars. Ctrl-C stops the query on the server and shows what
/// was found so far.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Query {
    /// Log groups, then the query
    #[arg(required = true, value_names = ["GROUP", "QUERY"], num_args = 1..)]
    words: Vec<String>,

    /// Events since: 2026-11-22, 2026-11-22T08:00:00Z, or an age such as 30m, 12h, 7d (default: 1h)
    #[arg(long, visible_alias = "from", value_name = "TIME", value_parser = moment)]
    since: Option<i64>,

    /// Events up to (default: now)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<i64>,

    /// Rows at most, up to 10000; a `limit` in the query goes before it
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Print JSON: status, statistics, and rows as objects
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Print CSV with a line of names
    #[arg(long)]
    csv: bool,

    #[command(flatten)]
    server: ServerPlace,
}

const EXAMPLES: &str = "\
Examples:
  Who was denied what today, and how often:
    nightbell query --since 24h 'filter Audit.Outcome = \"failure\" | stats count(*) as n by Audit.User, Audit.Folder | sort n desc | limit 20'
  Failed logons over the day, as a plot:
    nightbell query windows --since 24h 'filter EventID in [4625, 4771] | stats count(*) by bin(30m)'
  Everything that one person did to one file:
    nightbell query --since 7d 'filter Audit.User = \"corp\\\\alice\" and Audit.File like \"roadmap\" | fields @timestamp, Audit.Action, Audit.Outcome, Audit.Source'
  Addresses from which many accounts were tried, for a spreadsheet:
    nightbell query --since 24h --csv 'stats count_distinct(Audit.Account) as accounts, count(*) as n by Audit.Source | filter accounts > 5 | sort accounts desc'";

/// What the server answers about a query.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Results {
    results: Vec<Vec<ResultField>>,
    statistics: Statistics,
    status: String,
    status_reason: Option<String>,
    #[serde(default)]
    progress: f64,
}

#[derive(Debug, Deserialize)]
struct ResultField {
    field: String,
    value: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    records_matched: f64,
    records_scanned: f64,
    bytes_scanned: f64,
}

impl Query {
    /// Asks the server and prints its answer.
    pub(crate) fn run(&self) -> Result<()> {
        let (text, groups) = self.words.split_last().context("a query is needed")?;
        let query =
            Insights::parse(text).map_err(|error| match groups.iter().find(|word| is_query(word)) {
                Some(query) => anyhow::anyhow!(
                    "log groups come first, the query last: {} is read as a log group and {} as the query",
                    super::printable(query),
                    super::printable(text)
                ),
                None => misread(text, &error),
            })?;
        let client = self.server.client()?;
        let runtime = super::runtime()?;
        let (id, results, stopped) = runtime.block_on(self.ask(&client, groups, text))?;
        let printed = match (self.json, self.csv) {
            (true, _) => self.as_json(&id, &results)?,
            (_, true) => table::csv(&names(&query), &rows(&query, &results)),
            _ => as_table(&query, &results),
        };
        // Whoever reads may have read enough: `| head` is no failure.
        match std::io::stdout().write_all(printed.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
        match results.status.as_str() {
            "Complete" => Ok(()),
            _ if stopped => bail!("stopped; what is shown is what was found until then"),
            status => {
                let reason = results.status_reason.map_or_else(String::new, |reason| format!(": {reason}"));
                bail!("the query ended as {status}{}; what is shown is not all", super::printable(&reason))
            }
        }
    }

    /// Starts the query, follows it to its end, and gives its id, what it came to, and whether it was stopped here.
    async fn ask(&self, client: &Client, groups: &[String], text: &str) -> Result<(String, Results, bool)> {
        let groups = if groups.is_empty() { all_groups(client).await? } else { groups.to_vec() };
        let now = clock::now().as_millis();
        let mut request = json!({
            "logGroupIdentifiers": groups,
            "startTime": self.since.unwrap_or(now - HOUR_MS),
            "endTime": self.to.unwrap_or(now),
            "queryString": text,
        });
        if let Some(limit) = self.limit {
            request["limit"] = json!(limit);
        }
        // Listened for before there is something to stop.
        let mut interrupted = signal(SignalKind::interrupt()).context("signals cannot be listened for")?;
        let started = client.logs("StartQuery", &request).await?;
        let id = started["queryId"].as_str().context("the server gave the query no id")?.to_owned();
        let stopped = tokio::select! {
            ended = follow(client, &id) => {
                ended?;
                false
            }
            _ = interrupted.recv() => {
                // It may have ended by itself at this moment.
                let _ = client.logs("StopQuery", &json!({ "queryId": id })).await;
                true
            }
        };
        let results = client.logs("GetQueryResults", &json!({ "queryId": id })).await?;
        Ok((id, serde_json::from_value(results).context("the server's answer is not right")?, stopped))
    }

    fn as_json(&self, id: &str, results: &Results) -> Result<String> {
        let row = |row: &Vec<ResultField>| {
            let pairs = row.iter().map(|one| (one.field.clone(), Value::from(one.value.as_str())));
            Value::Object(pairs.collect())
        };
        let answer = json!({
            "queryId": id,
            "status": results.status,
            "statusReason": results.status_reason,
            "statistics": results.statistics,
            "results": results.results.iter().map(row).collect::<Vec<_>>(),
        });
        Ok(format!("{}\n", serde_json::to_string_pretty(&answer)?))
    }
}

/// Whether a word that stands for a log group reads as a query, and not as the name of one.
fn is_query(word: &str) -> bool {
    word.contains([' ', '|']) && Insights::parse(word).is_ok()
}

/// The error with the place it is about under the query.
fn misread(text: &str, error: &QueryError) -> anyhow::Error {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = text.chars().map(line).collect();
    let before: String = shown.chars().take(error.start).collect();
    let marked: String =
        shown.chars().skip(error.start).take(error.end.saturating_sub(error.start)).collect();
    let indent = console::measure_text_width(&before);
    let marks = console::measure_text_width(&marked).max(1);
    anyhow::anyhow!(
        "{}\n  {shown}\n  {}{}",
        super::printable(&error.message),
        " ".repeat(indent),
        "^".repeat(marks)
    )
}

/// The names of all groups of the region.
async fn all_groups(client: &Client) -> Result<Vec<String>> {
    let mut groups = Vec::new();
    let mut token = Value::Null;
    loop {
        let mut request = json!({});
        if !token.is_null() {
            request["nextToken"] = token;
        }
        let answer = client.logs("DescribeLogGroups", &request).await?;
        let page = answer["logGroups"].as_array().map_or(&[][..], Vec::as_slice);
        groups.extend(page.iter().filter_map(|group| Some(group["logGroupName"].as_str()?.to_owned())));
        ensure!(
            groups.len() <= QUERY_GROUPS_MAX,
            "there are more than {QUERY_GROUPS_MAX} log groups, which is the most that one query reads; name those to ask before the query"
        );
        token = answer["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    ensure!(!groups.is_empty(), "there is no log group in the region yet");
    Ok(groups)
}

/// Follows a query to its end, and shows on a terminal how far it is.
async fn follow(client: &Client, id: &str) -> Result<()> {
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    // Drawn on stderr, and on a terminal only.
    let meter = ProgressBar::new_spinner().with_style(style);
    let (mut pause_ms, longest_ms) = LOOK_MS;
    let done = loop {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(longest_ms);
        // Without rows: those of a query that runs may be many, and nobody looks at them.
        let request = json!({ "queryId": id, "progressOnly": true });
        let seen = match client.logs("GetQueryResults", &request).await {
            Ok(seen) => seen,
            Err(error) => break Err(error),
        };
        let seen: Results = match serde_json::from_value(seen) {
            Ok(seen) => seen,
            Err(error) => break Err(anyhow::Error::new(error).context("the server's answer is not right")),
        };
        if seen.status != "Running" && seen.status != "Scheduled" {
            break Ok(());
        }
        let percent = (seen.progress * 100.0) as u64;
        meter.set_message(format!("{percent} %, {}", counted(&seen.statistics)));
        meter.tick();
    };
    meter.finish_and_clear();
    done
}

fn counted(statistics: &Statistics) -> String {
    let Statistics { records_matched, records_scanned, bytes_scanned } = *statistics;
    format!(
        "{} of {} records matched, {}",
        HumanCount(records_matched as u64),
        HumanCount(records_scanned as u64),
        HumanBytes(bytes_scanned as u64)
    )
}

/// Names of the columns; `@ptr` is for programs.
fn names(query: &Insights) -> Vec<String> {
    query.columns().map(str::to_owned).collect()
}

/// The rows, a value for each column.
fn rows(query: &Insights, results: &Results) -> Vec<Vec<String>> {
    let names = names(query);
    let value = |row: &Vec<ResultField>, name: &String| {
        row.iter().find(|one| one.field == *name).map_or_else(String::new, |one| one.value.clone())
    };
    results.results.iter().map(|row| names.iter().map(|name| value(row, name)).collect()).collect()
}

fn as_table(query: &Insights, results: &Results) -> String {
    let (names, rows) = (names(query), rows(query, results));
    let on_terminal = std::io::stdout().is_terminal();
    let width = if on_terminal { usize::from(console::Term::stdout().size().1) } else { ANY_WIDTH };
    let plot = if on_terminal && query.is_grouped() { table::plot(&names, &rows, width) } else { None };
    let body = plot.unwrap_or_else(|| table::table(&names, &rows, width));
    let count = rows.len();
    let rows = if count == 1 { "row" } else { "rows" };
    format!("{body}{count} {rows}; {}\n", counted(&results.statistics))
}

/// As results show times.
fn time(text: &str) -> Option<Timestamp> {
    // Nothing shorter or longer is of the form in which results show times.
    const TIME_BYTES: usize = 23;
    if text.len() != TIME_BYTES || text.as_bytes()[10] != b' ' {
        return None;
    }
    Timestamp::parse_iso(&format!("{}Z", text.replacen(' ', "T", 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misread_query_is_shown_with_its_place() {
        let text = "fields user | filtre x = 1";
        let error = misread(text, &Insights::parse(text).unwrap_err()).to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines[1].trim_start(), text);
        let marks = lines[2].find('^').unwrap();
        assert!(lines[1][marks..].starts_with("filtre"), "{error}");
    }

    #[test]
    fn a_query_among_the_groups_is_seen() {
        assert!(is_query("stats count(*) by user") && is_query("fields @message|limit 1"));
        assert!(!is_query("/aws/fsx/windows") && !is_query("stats") && !is_query("two words"));
    }

    #[test]
    fn times_are_those_of_results() {
        assert_eq!(time("2026-09-14 05:42:00.000").map(Timestamp::as_millis), Some(1_789_364_520_000));
        for no in ["", "2026-09-14T05:42:00.000", "12", "aaaaaaaaaa bbbbbbbbbbbb", "ü026-09-14 05:42:00.00"]
        {
            assert_eq!(time(no), None, "{no}");
        }
    }

    #[test]
    fn the_examples_are_queries() {
        let queries = EXAMPLES.lines().filter(|line| line.contains("nightbell query"));
        let texts: Vec<&str> = queries.filter_map(|line| line.split('\'').nth(1)).collect();
        assert_eq!(texts.len(), 4);
        for text in texts {
            assert!(Insights::parse(text).is_ok(), "{text}: {:?}", Insights::parse(text).err());
        }
    }
}
