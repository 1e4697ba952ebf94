/*!
`nightbell backtest`: a rule tried on the stored events before it is armed.
*/

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use anyhow::{Context, Result, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use nightbell_core::time::Timestamp;

use super::ServerPlace;
use super::watch::{self, Asked};
use crate::backtest::{
    BACKTEST_RUNS_MAX, BACKTEST_SHOWN_MAX, BacktestAnswer, BacktestMessage, BacktestRequest, BacktestRun,
    BacktestTransition, Line, Phase, Progress,
};
use crate::client::Client;
use crate::clock;

/// Characters of the longest bar of the table.
const BAR_CHARS: usize = 40;

/// The topic that a tried watch would tell.
const NOBODY: &str = "arn:aws:sns:backtest:000000000000:nobody";

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
    let mut text =
        format!("{}, {}\n", number(answer.events, "event"), number(answer.data as u64, "data point"));
    for note in &answer.notes {
        let _ = writeln!(text, "note: {}", super::printable(note));
    }
    text
}

/// `1 event`, `2 events`.
fn number(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Asks for the backtest, and shows on stderr how far it is where it takes long.
async fn ask(client: &Client, request: &BacktestRequest) -> Result<BacktestAnswer> {
    let mut meter = Meter::default();
    let mut answer = None;
    let read = |line: &[u8]| {
        match serde_json::from_slice(line).context("the server's answer is not that of a backtest")? {
            Line::Progress(progress) => meter.show(progress),
            Line::Answer(whole) => answer = Some(*whole),
            Line::Refused(why) => bail!(why),
        }
        Ok(())
    };
    let done = client.own_lines("/_nightbell/backtest", serde_json::to_vec(request)?, read).await;
    meter.clear();
    done?;
    answer.context("the server ended before it had an answer")
}

/// How far a backtest is: a bar on a terminal, elsewhere a line for each tenth.
#[derive(Default)]
struct Meter {
    bar: Option<ProgressBar>,
    phase: Phase,
    tenth: Option<u64>,
}

impl Meter {
    fn show(&mut self, progress: Progress) {
        let Progress { phase, done, total } = progress;
        if phase != self.phase {
            self.clear();
            (self.phase, self.tenth) = (phase, None);
        }
        if std::io::stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| bar(phase, total));
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let tenth = done.saturating_mul(10).checked_div(total).unwrap_or(0);
        if self.tenth.is_none_or(|told| told < tenth) {
            self.tenth = Some(tenth);
            progress_line(&progress);
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(phase: Phase, total: u64) -> ProgressBar {
    let style = match phase {
        Phase::Waiting => "waiting for other searches {elapsed}",
        Phase::Reading => "reading events {wide_bar} {human_pos} of {human_len} {eta}",
        Phase::Playing => "playing them {wide_bar} {percent} % {eta}",
    };
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}

#[allow(clippy::print_stderr)] // this is where the terminal is spoken to
fn progress_line(progress: &Progress) {
    let Progress { phase, done, total } = *progress;
    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0);
    match phase {
        Phase::Waiting => eprintln!("waiting for other searches"),
        Phase::Reading => eprintln!("reading events: {done} of {total} ({percent} %)"),
        Phase::Playing => eprintln!("playing them: {percent} %"),
    }
}

impl Tried {
    fn request(&self) -> Result<BacktestRequest> {
        let options = &self.options;
        let mut request = BacktestRequest {
            from: options.from,
            to: options.to,
            as_arrived: options.as_arrived,
            messages: options.messages || options.json,
            progress: true,
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
                    request.alarms.push(watch::alarm(&watch, NOBODY));
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
    let who = match run.contributors as u64 {
        0 => String::new(),
        count => format!(" for {}", number(count, "contributor")),
    };
    let at = run.threshold.map_or_else(String::new, |threshold| format!(" at threshold {threshold}"));
    let fired = number(run.fired as u64, "time");
    let mails = number(run.mails as u64, "message");
    let mut text = format!("would have fired {fired}{who}{at}, and sent {mails}\n");
    let mut between = run.messages.iter().filter(|_| messages).peekable();
    for told in &run.transitions {
        while let Some(message) = between.next_if(|message| message.at < told.at) {
            text += &between_text(message);
        }
        text += &transition_text(told, messages);
    }
    text.extend(between.map(between_text));
    if run.transitions.len().max(run.messages.len()) >= BACKTEST_SHOWN_MAX {
        let _ = writeln!(
            text,
            "\n… only the first {BACKTEST_SHOWN_MAX} are shown; narrow the time with --from and --to"
        );
    }
    text
}

fn transition_text(told: &BacktestTransition, messages: bool) -> String {
    let child =
        if told.child { format!("  (child {})", super::printable(&told.alarm)) } else { String::new() };
    let whose = values(&told.contributor);
    let at = Timestamp::from_millis(told.at).iso();
    let mut text = format!("\n{at}  {} -> {}  {whose}", told.from, told.to).trim_end().to_owned();
    let _ = writeln!(text, "{child}");
    let _ = writeln!(text, "  {}", super::printable(&told.subject));
    match &told.silent {
        Some(why) => drop(writeln!(text, "  no message: {}", super::printable(why))),
        None if messages => text += &quoted(&told.text),
        None => {}
    }
    text
}

fn between_text(message: &BacktestMessage) -> String {
    let at = Timestamp::from_millis(message.at).iso();
    let subject = super::printable(&message.subject);
    let mut text = format!("\n{at}  message ({})  {}", message.kind, values(&message.contributor));
    text.truncate(text.trim_end().len());
    let _ = writeln!(text, "\n  {subject}");
    text + &quoted(&message.text)
}

fn values(contributor: &[(String, String)]) -> String {
    let values: Vec<&str> = contributor.iter().map(|(_, value)| value.as_str()).collect();
    super::printable(&values.join(", "))
}

fn quoted(text: &str) -> String {
    let line = |line: &str| format!("  | {}\n", super::printable(line));
    text.trim_end().lines().map(line).collect()
}

/// How often for each threshold, with a bar each.
fn table(runs: &[BacktestRun]) -> String {
    let most = runs.iter().map(|run| run.fired).max().unwrap_or(0).max(1);
    let mut text = format!("{:>9}  {:>6}  {:>12}  {:>8}\n", "threshold", "fired", "contributors", "messages");
    for run in runs {
        let threshold = run.threshold.map_or_else(String::new, |threshold| threshold.to_string());
        let row = format!("{threshold:>9}  {:>6}  {:>12}  {:>8}", run.fired, run.contributors, run.mails);
        let _ = writeln!(text, "{}", format!("{row}  {}", plot(run.fired, most)).trim_end());
    }
    text
}

/// A bar of `count`, where `most` is the longest; what is not nothing is seen.
fn plot(count: usize, most: usize) -> String {
    const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (count * BAR_CHARS * 8).div_ceil(most.max(1));
    let mut bar = "█".repeat(eighths / 8);
    bar.extend((eighths % 8).checked_sub(1).map(|rest| EIGHTHS[rest]));
    bar
}

/// A date, an instant, or an age (`7d`, `12h`) as milliseconds since 1970.
pub(super) fn moment(text: &str) -> Result<i64, String> {
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
    fn bars_are_in_proportion_and_no_count_is_invisible() {
        assert_eq!(plot(0, 5), "");
        assert_eq!(plot(5, 5).chars().count(), BAR_CHARS);
        assert_eq!(plot(1, 1_000_000), "▏");
        assert_eq!(plot(1, 2), "█".repeat(BAR_CHARS / 2));
        assert_eq!(plot(1, 64), "▋", "five eighths of a character");
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
