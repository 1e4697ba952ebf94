/*!
`nightbell watch`: a whole rule in one line.

What a watch means is the core's table of recipes; here it becomes a command line and ordinary resources (log group, metric
filters, alarm, topic, subscription), to be seen and changed by every AWS client.
*/

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use nightbell_core::recipe::{self, Built, BuiltFilter, NAMESPACE, Options, RECIPES, Recipe};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ServerPlace;
use crate::client::{Client, Refused};

/// Set up a whole rule in one line.
#[derive(Args)]
pub(crate) struct Watch {
    #[command(subcommand)]
    watched: Watched,
}

/// One recipe with what was asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    recipe: &'static Recipe,
    choices: Choices,
}

#[derive(Clone, Debug)]
struct Watched {
    asked: Asked,
    told: Told,
}

/// What may be chosen of every recipe.
#[derive(Args, Clone, Debug, Default)]
struct Choices {
    /// What is counted apart: each has its own count, state and message
    #[arg(long, value_name = "WHAT")]
    by: Option<String>,

    /// Fire at this many; a backtest also takes 3..20, for a table
    #[arg(long, value_name = "N")]
    threshold: Option<String>,

    /// Within this time, in any position: 30s, 1m, 5m, 1h
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    within: Option<u64>,

    /// Folder to watch, with everything below it, as \folder or \share\folder; all folders when absent
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,

    /// Log group of the events
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// Name of the watch: its alarm and its filters (default: the recipe's, with the folder)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Leave out what this exclusion names; may be given again
    #[arg(long, value_name = "EXCLUSION")]
    exclude: Vec<String>,

    /// Count what this exclusion would leave out; may be given again
    #[arg(long, value_name = "EXCLUSION")]
    include: Vec<String>,
}

#[derive(Args, Clone, Debug)]
struct Told {
    /// Mail address to tell; it is asked for confirmation first
    #[arg(long, value_name = "ADDRESS")]
    mail: String,

    #[command(flatten)]
    server: ServerPlace,
}

impl Watch {
    /// Sets the rule up and says what was made.
    #[allow(clippy::print_stdout)] // this is where the terminal is spoken to
    pub(crate) fn run(&self) -> Result<()> {
        let watch = self.watched.asked.build()?;
        let mail = &self.watched.told.mail;
        let client = self.watched.told.server.client()?;
        let subscription = super::runtime()?.block_on(set_up(&client, &watch, mail))?;
        println!("watching {}, in log group {}", watch.description, watch.group);
        println!("  alarm             {}", watch.name);
        for filter in counting(&watch) {
            println!("  pattern           {}", filter.pattern);
        }
        println!("  fires at          {}", fires_at(&watch));
        if !watch.excluded.is_empty() {
            println!(
                "  leaves out        {} (counted apart; --include NAME counts them in)",
                watch.excluded.join(", ")
            );
        }
        match subscription {
            Subscription::Confirmed => println!("  tells             {mail}"),
            Subscription::Asked => {
                println!("  tells             {mail}, once the link in the mail just sent is followed")
            }
        }
        Ok(())
    }
}

/// The filters that count what the watch is for.
fn counting(watch: &Built) -> impl Iterator<Item = &BuiltFilter> {
    watch.filters.iter().filter(|filter| filter.excluded.is_none())
}

fn fires_at(watch: &Built) -> String {
    let sign = if watch.comparison.starts_with("LessThan") { "fewer than" } else { "at least" };
    format!("{sign} {} within {}", watch.threshold, time_text(watch.within_s))
}

impl Asked {
    /// The recipe of this name, as it is.
    pub(crate) fn plain(name: &str) -> Result<Self> {
        Ok(Self { recipe: recipe::find(name)?, choices: Choices::default() })
    }

    /// The same in another log group.
    pub(crate) fn in_group(mut self, group: &str) -> Self {
        self.choices.group = Some(group.to_owned());
        self
    }

    /// `--threshold` as it was given.
    pub(crate) fn threshold_text(&self) -> Option<&str> {
        self.choices.threshold.as_deref()
    }

    /// The watch that is meant.
    pub(crate) fn build(&self) -> Result<Built> {
        let number = |text: &str| {
            let number = text.parse::<u32>().ok().filter(|number| *number > 0);
            number.with_context(|| format!("--threshold: {text:?} is no number of 1 or more"))
        };
        self.built_with(self.threshold_text().map(number).transpose()?)
    }

    /// The watch that is meant, with this threshold; without one, the recipe's.
    pub(crate) fn built_with(&self, threshold: Option<u32>) -> Result<Built> {
        let Choices { by, within, folder, group, name, exclude, include, .. } = &self.choices;
        let exclude: Vec<&str> = exclude.iter().map(String::as_str).collect();
        let include: Vec<&str> = include.iter().map(String::as_str).collect();
        Ok(self.recipe.build(&Options {
            name: name.as_deref(),
            group: group.as_deref(),
            folder: folder.as_deref(),
            by: by.as_deref(),
            threshold,
            within_s: *within,
            exclude: &exclude,
            include: &include,
        })?)
    }
}

/// A command for each recipe, with `more` arguments.
pub(crate) fn recipe_commands(parent: Command, verb: &str, more: fn(Command) -> Command) -> Command {
    RECIPES.iter().fold(parent, |parent, recipe| {
        let command = more(Choices::augment_args(Command::new(recipe.name)));
        // They can still be given, and are then refused in words that say why.
        let hide = |command: Command, argument| command.mut_arg(argument, |argument| argument.hide(true));
        let command = not_taken(recipe).iter().copied().fold(command, hide);
        // Flattened arguments bring words of their own about the command: it is told what it is after them.
        let command = command.about(capitalised(recipe.summary)).long_about(None);
        parent.subcommand(command.after_help(after_help(recipe, verb)))
    })
}

/// The options that the recipe refuses.
fn not_taken(recipe: &Recipe) -> Vec<&'static str> {
    let of_folders: &[&str] = if recipe.in_folder { &[] } else { &["folder"] };
    let of_exclusions: &[&str] = if recipe.exclusions.is_empty() { &["exclude", "include"] } else { &[] };
    [of_folders, of_exclusions].concat()
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// What the help of a recipe says below its options.
fn after_help(recipe: &Recipe, verb: &str) -> String {
    let by: Vec<&str> = recipe.by.iter().map(|by| by.name).collect();
    let mut text = format!(
        "Without options: {} {} within {}, in log group {}, counted by {}.\n\n--by may be: {}",
        if recipe.comparison.starts_with("LessThan") { "fires at fewer than" } else { "fires at" },
        recipe.threshold,
        time_text(recipe.within_s),
        recipe.group,
        by[0],
        by.join(", ")
    );
    if !recipe.exclusions.is_empty() {
        text.push_str("\n\nExclusions (* in force unless --include names them; what they leave out is counted apart):\n");
        for exclusion in recipe.exclusions {
            let mark = if exclusion.on { '*' } else { ' ' };
            let _ = writeln!(text, "  {mark} {:<18} {}", exclusion.name, exclusion.summary);
        }
    }
    let folder = if recipe.in_folder { r" --folder '\secret'" } else { "" };
    let last = if verb == "watch" { "--mail security@example.org" } else { "--from 7d" };
    let _ = write!(text, "\nExample: nightbell {verb} {}{folder} --by {} {last}", recipe.name, by[0]);
    text
}

pub(crate) fn asked(matches: &ArgMatches) -> Result<(Asked, &ArgMatches), clap::Error> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(clap::Error::raw(clap::error::ErrorKind::MissingSubcommand, "name what to watch\n"));
    };
    let recipe = recipe::find(name)
        .map_err(|error| clap::Error::raw(clap::error::ErrorKind::InvalidSubcommand, format!("{error}\n")))?;
    Ok((Asked { recipe, choices: Choices::from_arg_matches(matches)? }, matches))
}

impl FromArgMatches for Watched {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (asked, matches) = asked(matches)?;
        Ok(Self { asked, told: Told::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Watched {
    fn augment_subcommands(command: Command) -> Command {
        recipe_commands(command, "watch", Told::augment_args)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        recipe::find(name).is_ok()
    }
}

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscription {
    /// Messages go out.
    Confirmed,
    /// The address was asked.
    Asked,
}

/// Makes everything a watch needs; what is there already is replaced or kept.
pub(crate) async fn set_up(client: &Client, watch: &Built, mail: &str) -> Result<Subscription> {
    match client.logs("CreateLogGroup", &json!({"logGroupName": watch.group})).await {
        Err(error) if has_code(&error, "ResourceAlreadyExistsException") => {}
        other => {
            other.with_context(|| format!("the log group {:?} cannot be made", watch.group))?;
        }
    }
    let topic = topic_name(mail);
    let answer = client.sns("CreateTopic", &[("Name", &topic)]).await.context("the topic cannot be made")?;
    let Some(topic) = text_of(&answer, "TopicArn") else { bail!("the server gave no topic") };
    let subscribe = [("TopicArn", topic.as_str()), ("Protocol", "email"), ("Endpoint", mail)];
    let answer = client.sns("Subscribe", &subscribe).await.context("the address cannot be subscribed")?;
    refuse_anothers(client, watch, &topic).await?;
    client.cloudwatch("PutMetricAlarm", &alarm(watch, &topic)).await.context("the alarm cannot be made")?;
    for filter in &watch.filters {
        let filter = filter_request(watch, filter);
        client.logs("PutMetricFilter", &filter).await.context("the filter cannot be made")?;
    }
    let asked = answer.contains("pending confirmation");
    Ok(if asked { Subscription::Asked } else { Subscription::Confirmed })
}

/// Refuses to take over the alarm of a watch that tells somebody else or watches another group: whoever set that one up
/// would never be told again.
async fn refuse_anothers(client: &Client, watch: &Built, topic: &str) -> Result<()> {
    let named = json!({"AlarmNames": [watch.name]});
    let found = client.cloudwatch("DescribeAlarms", &named).await.context("the alarms cannot be listed")?;
    let there = &found["MetricAlarms"][0];
    if there.is_null() {
        return Ok(());
    }
    let tells = there["AlarmActions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !tells.is_empty() && !tells.iter().any(|action| action == topic) {
        bail!(
            "an alarm {:?} is there already and tells somebody else; give this watch another --name",
            watch.name
        );
    }
    let Some(first) = watch.filters.first() else { return Ok(()) };
    let of_metric = json!({"metricName": first.metric, "metricNamespace": NAMESPACE});
    let found =
        client.logs("DescribeMetricFilters", &of_metric).await.context("the filters cannot be listed")?;
    let filters = found["metricFilters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(other) = filters.iter().find(|filter| filter["logGroupName"] != watch.group.as_str()) {
        bail!(
            "a watch {:?} is there already, on the log group {}; give this one another --name",
            watch.name,
            other["logGroupName"]
        );
    }
    Ok(())
}

/// PutMetricAlarm of a watch.
pub(crate) fn alarm(watch: &Built, topic: &str) -> Value {
    json!({
        "AlarmName": watch.name,
        "AlarmDescription": watch.description,
        "Metrics": [{"Id": "q", "Expression": watch.query, "Period": watch.within_s, "ReturnData": true}],
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": watch.threshold,
        "ComparisonOperator": watch.comparison,
        "TreatMissingData": watch.missing_data,
        "AlarmActions": [topic],
    })
}

/// PutMetricFilter of one of its filters.
pub(crate) fn filter_request(watch: &Built, filter: &BuiltFilter) -> Value {
    let dimensions: serde_json::Map<String, Value> =
        filter.dimensions.iter().map(|(name, from)| (name.clone(), from.as_str().into())).collect();
    let mut transformation = json!({
        "metricNamespace": NAMESPACE,
        "metricName": filter.metric,
        "metricValue": filter.value,
    });
    if !dimensions.is_empty() {
        transformation["dimensions"] = dimensions.into();
    }
    json!({
        "logGroupName": watch.group,
        "filterName": filter.name,
        "filterPattern": filter.pattern,
        "metricTransformations": [transformation],
    })
}

fn has_code(error: &anyhow::Error, code: &str) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.code == code)
}

/// The text of the first element of this name.
fn text_of(xml: &str, element: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{element}>"))?;
    rest.split_once("</").map(|(text, _)| text.to_owned())
}

/// One topic for each mail address: a readable part, and a hash that tells `a.b@x` and `a_b@x` apart.
fn topic_name(mail: &str) -> String {
    let readable: String =
        mail.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(200).collect();
    let hash = Sha256::digest(mail.as_bytes());
    format!("nightbell-{readable}-{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2])
}

/// `30s`, `1m`, `5m`, `1h` or plain seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (
            number,
            match text.as_bytes()[text.len() - 1] {
                b's' => 1,
                b'm' => 60,
                b'h' => 3_600,
                _ => 86_400,
            },
        ),
        None => (text, 1),
    };
    let number: u64 = number.parse().map_err(|_| "write a time such as 30s, 1m, 5m or 1h".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "the time is too long".to_owned())
}

/// A time as people write it.
pub(crate) fn time_text(seconds: u64) -> String {
    match seconds {
        s if s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        watch: Watch,
    }

    fn built(words: &[&str]) -> Result<Built> {
        let line = [&["watch"], words, &["--mail", "a@example.org"]].concat();
        Line::try_parse_from(line)?.watch.watched.asked.build()
    }

    #[test]
    fn every_recipe_is_a_command_and_can_be_built_as_it_is() {
        for recipe in RECIPES {
            let watch = built(&[recipe.name]).unwrap();
            assert_eq!((watch.name.as_str(), watch.group.as_str()), (recipe.name, recipe.group));
        }
    }

    #[test]
    fn options_reach_the_recipe() {
        let watch = built(&[
            "denied-access",
            "--folder",
            r"\secret",
            "--by",
            "folder",
            "--threshold",
            "7",
            "--within",
            "5m",
            "--group",
            "g",
            "--name",
            "n",
            "--include",
            "not-a-file",
            "--exclude",
            "anonymous",
        ])
        .unwrap();
        assert_eq!((watch.name.as_str(), watch.group.as_str(), watch.within_s), ("n", "g", 300));
        assert_eq!(watch.threshold, 7.0);
        assert!(watch.query.contains("GROUP BY Share, Folder"), "{}", watch.query);
        assert!(watch.excluded.contains(&"anonymous") && !watch.excluded.contains(&"not-a-file"));
    }

    #[test]
    fn the_help_of_a_recipe_shows_what_it_takes() {
        use clap::CommandFactory;

        let mut taken = [0; 2];
        for recipe in RECIPES {
            let mut line = Line::command();
            let help = line.find_subcommand_mut(recipe.name).unwrap().render_long_help().to_string();
            let shows = |flag: &str| help.lines().any(|line| line.trim_start().starts_with(flag));
            assert_eq!(shows("--folder"), recipe.in_folder, "{help}");
            for flag in ["--exclude", "--include"] {
                assert_eq!(shows(flag), !recipe.exclusions.is_empty(), "{help}");
            }
            assert!(shows("--by") && shows("--threshold") && shows("--mail"), "{help}");
            taken[0] += usize::from(recipe.in_folder);
            taken[1] += usize::from(!recipe.exclusions.is_empty());
            if !recipe.in_folder {
                let refused = built(&[recipe.name, "--folder", r"\secret"]).unwrap_err().to_string();
                assert_eq!(refused, format!("{} watches no folder", recipe.name));
            }
        }
        assert!(taken.iter().all(|&count| 0 < count && count < RECIPES.len()), "{taken:?}");
    }

    #[test]
    fn what_is_not_there_is_told() {
        for words in [
            &["denied-access", "--by", "colour"][..],
            &["failed-logons", "--folder", "x"],
            &["denied-access", "--within", "45s"],
            &["denied-access", "--exclude", "nobody"],
            &["denied-everything"],
            &["denied-access", "--threshold", "0"],
        ] {
            assert!(built(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(seconds("1m"), Ok(60));
        assert_eq!(seconds("300"), Ok(300));
        assert_eq!(seconds("24h"), Ok(86_400));
        for bad in ["", "m", "-1m", "é", "99999999999999999999h"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
