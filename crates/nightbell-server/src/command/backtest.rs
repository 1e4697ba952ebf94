/*!
`nightbell backtest`: a rule tried on the stored events before it is armed.
*/

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context, Result, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use nightbell_core::time::Timestamp;
use serde_json::Value;

use super::ServerPlace;
use super::watch::{self, Asked};
use crate::backtest::{BACKTEST_RUNS_MAX, BACKTEST_SHOWN_MAX, BacktestAnswer, BacktestRequest, BacktestRun};
use crate::client::Client;
use crate::clock;

/// Characters of the longest bar of the table.
const BAR_CHARS: usize = 40;

/// Try a rule on the stored events: when would it have fired, with which messages.
#[derive(Args)]
pub(crate) struct Backtest {
    #[command(subcommand)]
    tried: Tried,
}

/// What is tried, and how.
#[derive(Clone, Debug)]
struct Tried {
    rule: Rule,
    options: TrialOptions,
}

#[derive(Clone, Debug)]
enum Rule {
    /// An alarm that stands.
    Alarm { name: String, threshold: Option<String> },
    /// A watch, set up or not.
    Watch(Box<Asked>),
}

#[derive(Args, Clone, Debug)]
struct AlarmRule {
    /// Name of the alarm
    #[arg(value_name = "NAME")]
    name: String,

    /// Thresholds to try: 5, or 3..20 for a table; the alarm's own when absent
    #[arg(long, value_name = "N|A..B")]
    threshold: Option<String>,
}

#[derive(Args, Clone, Debug)]
struct TrialOptions {
    /// First event time: 2026-11-22, 2026-11-22T08:00:00Z, or an age such as 7d, 12h (default: the oldest event)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<i64>,

    /// Event time to stop at (default: now)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<i64>,

    /// Play events when they arrived, late ones late, instead of when they happened
    #[arg(long)]
    as_arrived: bool,

    /// Print the messages, too
    #[arg(long)]
    messages: bool,

    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerPlace,
}

impl Backtest {
    /// Tries the rule and prints what it would have done.
    pub(crate) fn run(&self) -> Result<()> {
        let options = &self.tried.options;
        let request = self.tried.request()?;
        let client = options.server.client()?;
        let answer = super::runtime()?.block_on(ask(&client, &request))?;
        let text = match &answer.runs[..] {
            _ if options.json => format!("{}\n", serde_json::to_string_pretty(&answer)?),
            [run] => counted(&answer) + &one(run, options.messages),
            runs => counted(&answer) + &table(runs),
        };
        // Whoever reads may have read enough: `| head` is no failure.
        match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn counted(answer: &BacktestAnswer) -> String {
    format!("{} events, {} data points\n", answer.events, answer.data)
}

async fn ask(client: &Client, request: &BacktestRequest) -> Result<BacktestAnswer> {
    let answer = client.own("/_nightbell/backtest", serde_json::to_vec(request)?).await?;
    serde_json::from_slice(&answer).context("the server's answer is not that of a backtest")
}

impl Tried {
    fn request(&self) -> Result<BacktestRequest> {
        let options = &self.options;
        let mut request = BacktestRequest {
            from: options.from,
            to: options.to,
            as_arrived: options.as_arrived,
            ..BacktestRequest::default()
        };
        match &self.rule {
            Rule::Alarm { name, threshold } => {
                request.alarm = Some(name.clone());
                let thresholds = threshold.as_deref().map(thresholds).transpose()?.unwrap_or_default();
                request.thresholds = thresholds.into_iter().map(f64::from).collect();
            }
            Rule::Watch(asked) => {
                for threshold in asked.thresholds()? {
                    let watch = asked.built_with(threshold)?;
                    let filters = watch.filters.iter().filter(|filter| filter.excluded.is_none());
                    // Filters that differ by the threshold do not exist: it stands in the alarm.
                    request.filters = filters.map(|filter| watch::filter_request(&watch, filter)).collect();
                    let mut alarm = watch::alarm(&watch, "");
                    if let Value::Object(alarm) = &mut alarm {
                        alarm.remove("AlarmActions");
                    }
                    request.alarms.push(alarm);
                }
            }
        }
        Ok(request)
    }
}

impl Asked {
    fn thresholds(&self) -> Result<Vec<Option<u32>>> {
        match self.threshold_text() {
            None => Ok(vec![None]),
            Some(text) => Ok(thresholds(text)?.into_iter().map(Some).collect()),
        }
    }
}

/// `5`, or `3..20` with both ends.
fn thresholds(text: &str) -> Result<Vec<u32>> {
    let number = |text: &str| {
        text.trim().parse::<u32>().ok().filter(|number| *number > 0).with_context(|| {
            format!("--threshold: {text:?} is no number of 1 or more; write 5, or 3..20 for a table")
        })
    };
    let Some((from, to)) = text.split_once("..") else { return Ok(vec![number(text)?]) };
    let (from, to) = (number(from)?, number(to.trim_start_matches('='))?);
    if from > to || (to - from) as usize >= BACKTEST_RUNS_MAX {
        bail!("--threshold: {text} is not 1 to {BACKTEST_RUNS_MAX} numbers in rising order");
    }
    Ok((from..=to).collect())
}

fn one(run: &BacktestRun, messages: bool) -> String {
    let who =
        if run.contributors > 0 { format!(" for {} contributors", run.contributors) } else { String::new() };
    let mut text = format!("would have fired {} times{who} at threshold {}\n", run.fired, run.threshold);
    for told in &run.transitions {
        let whose: Vec<&str> = told.contributor.iter().map(|(_, value)| value.as_str()).collect();
        let at = Timestamp::from_millis(told.at).iso();
        let whose = super::printable(&whose.join(", "));
        let _ = writeln!(text, "\n{at}  {} -> {}  {whose}", told.from, told.to);
        let _ = writeln!(text, "  {}", super::printable(&told.subject));
        if messages {
            for line in told.text.trim_end().lines() {
                let _ = writeln!(text, "  | {}", super::printable(line));
            }
        }
    }
    if run.transitions.len() == BACKTEST_SHOWN_MAX {
        let _ = writeln!(
            text,
            "\n… only the first {BACKTEST_SHOWN_MAX} are shown; narrow the time with --from and --to"
        );
    }
    text
}

fn table(runs: &[BacktestRun]) -> String {
    let most = runs.iter().map(|run| run.fired).max().unwrap_or(0).max(1);
    let mut text = format!("{:>9}  {:>6}  {:>12}\n", "threshold", "fired", "contributors");
    for run in runs {
        let bar = "█".repeat((run.fired * BAR_CHARS).div_ceil(most));
        let _ = writeln!(text, "{:>9}  {:>6}  {:>12}  {bar}", run.threshold, run.fired, run.contributors);
    }
    text
}

/// A date, an instant, or an age (`7d`, `12h`) as milliseconds since 1970.
fn moment(text: &str) -> Result<i64, String> {
    if let Ok(age_s) = watch::seconds(text)
        && text.ends_with(['s', 'm', 'h', 'd'])
    {
        let age_ms = i64::try_from(age_s).unwrap_or(i64::MAX).saturating_mul(1_000);
        return Ok(clock::now().as_millis().saturating_sub(age_ms).max(0));
    }
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse_iso(&whole)
        .map(Timestamp::as_millis)
        .ok_or_else(|| "write a time such as 2026-11-22, 2026-11-22T08:00:00Z, 7d or 12h".to_owned())
}

impl FromArgMatches for Tried {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        if let Some(("alarm", matches)) = matches.subcommand() {
            let AlarmRule { name, threshold } = AlarmRule::from_arg_matches(matches)?;
            let options = TrialOptions::from_arg_matches(matches)?;
            return Ok(Self { rule: Rule::Alarm { name, threshold }, options });
        }
        let (asked, matches) = watch::asked(matches)?;
        Ok(Self { rule: Rule::Watch(Box::new(asked)), options: TrialOptions::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Tried {
    fn augment_subcommands(command: Command) -> Command {
        let alarm = TrialOptions::augment_args(AlarmRule::augment_args(Command::new("alarm")));
        let alarm =
            alarm.about("Try an alarm that stands, with the filters that count for it").long_about(None);
        watch::recipe_commands(command.subcommand(alarm), "backtest", TrialOptions::augment_args)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name == "alarm" || nightbell_core::recipe::find(name).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_one_or_a_range() {
        assert_eq!(thresholds("5").unwrap(), [5]);
        assert_eq!(thresholds("3..6").unwrap(), [3, 4, 5, 6]);
        for bad in ["", "0", "-1", "6..3", "1..500", "a..b", "3.."] {
            assert!(thresholds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_dates_instants_and_ages() {
        assert_eq!(moment("2026-11-22"), Ok(1_795_305_600_000));
        assert_eq!(moment("2026-11-22T00:00:01Z"), Ok(1_795_305_601_000));
        assert!(moment("1d").unwrap() < clock::now().as_millis() - 86_399_000);
        for bad in ["", "yesterday", "2026-13-01", "7"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
