/*!
`nightbell watch`: a whole rule in one line.

What it makes are ordinary resources (log group, metric filter, alarm, topic, subscription), to be seen and changed by
every AWS client.
*/

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::ServerPlace;
use crate::client::{Client, Refused};

/// Namespace of the metrics that watches count into.
const NAMESPACE: &str = "Nightbell/Watch";
/// Longest time of `--within`.
const WITHIN_MAX_S: u64 = 86_400;

/// Set up a whole rule in one line.
#[derive(Args)]
pub(crate) struct Watch {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Somebody is denied files again and again: 4656, 5145 and whatever else fails on a file
    ///
    /// Example: nightbell watch denied-access --folder '\secret' --threshold 5 --within 1m --mail security@example.org
    DeniedAccess(DeniedAccess),
    /// Somebody guesses passwords: 4625, 4771, 4776, 4768 with outcome failure
    ///
    /// Example: nightbell watch failed-logons --threshold 5 --within 5m --mail security@example.org
    FailedLogons(FailedLogons),
}

#[derive(Args)]
struct DeniedAccess {
    /// Folder to watch, with everything below it, as \folder or \share\folder; all folders when absent
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,

    /// Log group of the events
    #[arg(long, value_name = "NAME", default_value = "/aws/fsx/windows")]
    group: String,

    /// Fire at this many denied requests
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    threshold: u32,

    /// Within this time, in any position: 30s, 1m, 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = seconds)]
    within: u64,

    #[command(flatten)]
    told: Told,
}

#[derive(Args)]
struct FailedLogons {
    /// Log group of the events
    #[arg(long, value_name = "NAME", default_value = "windows")]
    group: String,

    /// Fire at this many failed logons
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    threshold: u32,

    /// Within this time, in any position: 30s, 1m, 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = seconds)]
    within: u64,

    #[command(flatten)]
    told: Told,
}

#[derive(Args)]
struct Told {
    /// Mail address to tell; it is asked for confirmation first
    #[arg(long, value_name = "ADDRESS")]
    mail: String,

    /// Name of the alarm and the filter (default: the watch's own, with the folder)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    server: ServerPlace,
}

/// A rule, ready to be set up.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Name of filter and alarm.
    pub(crate) name: String,
    /// What it is for, in words.
    pub(crate) description: String,
    /// The log group.
    pub(crate) group: String,
    /// The filter pattern.
    pub(crate) pattern: String,
    /// The metric's name.
    pub(crate) metric: &'static str,
    /// Fire at this many.
    pub(crate) threshold: u32,
    /// In this many seconds.
    pub(crate) within_s: u64,
}

impl Watch {
    /// Sets the rule up and says what was made.
    #[allow(clippy::print_stdout)] // this is where the terminal is spoken to
    pub(crate) fn run(&self) -> Result<()> {
        let (rule, told) = match &self.what {
            What::DeniedAccess(asked) => (asked.rule(), &asked.told),
            What::FailedLogons(asked) => (asked.rule(), &asked.told),
        };
        let client = told.server.client()?;
        let subscription = super::runtime()?.block_on(set_up(&client, &rule, &told.mail))?;
        println!("watching {} in log group {}", rule.description, rule.group);
        println!("  filter and alarm  {}", rule.name);
        println!("  pattern           {}", rule.pattern);
        println!("  fires at          {} within {}", rule.threshold, time_text(rule.within_s));
        match subscription {
            Subscription::Confirmed => println!("  tells             {}", told.mail),
            Subscription::Asked => {
                println!("  tells             {}, once the link in the mail just sent is followed", told.mail)
            }
        }
        Ok(())
    }
}

impl DeniedAccess {
    fn rule(&self) -> Rule {
        denied_access(
            self.told.name.as_deref(),
            self.folder.as_deref(),
            &self.group,
            self.threshold,
            self.within,
        )
    }
}

impl FailedLogons {
    fn rule(&self) -> Rule {
        failed_logons(self.told.name.as_deref(), &self.group, self.threshold, self.within)
    }
}

/// The rule for denied access.
pub(crate) fn denied_access(
    name: Option<&str>,
    folder: Option<&str>,
    group: &str,
    threshold: u32,
    within_s: u64,
) -> Rule {
    let folder =
        folder.map(|folder| folder.trim_end_matches('\\').to_lowercase()).filter(|folder| !folder.is_empty());
    // A folder is told on files only, so handles of processes and registry keys stay out.
    let pattern = match &folder {
        None => r#"{ $.Audit.Outcome = "failure" && $.Audit.Folder = "*" }"#.to_owned(),
        Some(folder) => format!(r#"{{ $.Audit.Outcome = "failure" && ({}) }}"#, inside(folder)),
    };
    let place = folder.as_deref().unwrap_or_default();
    let own_name =
        if place.is_empty() { "denied-access".to_owned() } else { format!("denied-access {place}") };
    Rule {
        name: name.map_or(own_name, str::to_owned),
        description: format!("denied access{}{place}", if place.is_empty() { "" } else { " in " }),
        group: group.to_owned(),
        pattern,
        metric: "DeniedAccess",
        threshold,
        within_s,
    }
}

/// The condition "in this folder or below it"; the folder may begin with its share.
fn inside(folder: &str) -> String {
    let folder = format!("\\{}", folder.trim_start_matches('\\'));
    let below = |folder: &str| {
        let text = quoted(folder);
        format!(r#"$.Audit.Folder = "{text}" || $.Audit.Folder = "{text}\\*""#)
    };
    let in_any_share = below(&folder);
    match folder[1..].split_once('\\') {
        Some((share, rest)) => {
            format!(
                r#"{in_any_share} || ($.Audit.Share = "{}" && ({}))"#,
                quoted(share),
                below(&format!("\\{rest}"))
            )
        }
        None => format!(r#"{in_any_share} || $.Audit.Share = "{}""#, quoted(&folder[1..])),
    }
}

/// Text inside the quotes of a pattern.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The rule for failed logons.
pub(crate) fn failed_logons(name: Option<&str>, group: &str, threshold: u32, within_s: u64) -> Rule {
    Rule {
        name: name.unwrap_or("failed-logons").to_owned(),
        description: "failed logons".to_owned(),
        group: group.to_owned(),
        pattern: r#"{ $.Audit.Action = "logon" && $.Audit.Outcome = "failure" }"#.to_owned(),
        metric: "FailedLogons",
        threshold,
        within_s,
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

/// Makes everything a rule needs; what is there already is replaced or kept.
pub(crate) async fn set_up(client: &Client, rule: &Rule, mail: &str) -> Result<Subscription> {
    match client.logs("CreateLogGroup", &json!({"logGroupName": rule.group})).await {
        Err(error) if has_code(&error, "ResourceAlreadyExistsException") => {}
        other => {
            other.with_context(|| format!("the log group {:?} cannot be made", rule.group))?;
        }
    }
    let topic = topic_name(mail);
    let answer = client.sns("CreateTopic", &[("Name", &topic)]).await.context("the topic cannot be made")?;
    let Some(topic) = text_of(&answer, "TopicArn") else { bail!("the server gave no topic") };
    let subscribe = [("TopicArn", topic.as_str()), ("Protocol", "email"), ("Endpoint", mail)];
    let answer = client.sns("Subscribe", &subscribe).await.context("the address cannot be subscribed")?;
    let alarm = json!({
        "AlarmName": rule.name,
        "AlarmDescription": rule.description,
        "Namespace": NAMESPACE,
        "MetricName": format!("{} {}", rule.metric, rule.name),
        "Statistic": "Sum",
        "Period": rule.within_s,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": rule.threshold,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [topic],
    });
    client.cloudwatch("PutMetricAlarm", &alarm).await.context("the alarm cannot be made")?;
    let filter = json!({
        "logGroupName": rule.group,
        "filterName": rule.name,
        "filterPattern": rule.pattern,
        "metricTransformations": [{
            "metricNamespace": NAMESPACE,
            "metricName": format!("{} {}", rule.metric, rule.name),
            "metricValue": "1",
        }],
    });
    client.logs("PutMetricFilter", &filter).await.context("the filter cannot be made")?;
    let asked = answer.contains("pending confirmation");
    Ok(if asked { Subscription::Asked } else { Subscription::Confirmed })
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

/// `30s`, `1m`, `5m`, `1h` or plain seconds as a period that alarms can have.
fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (
            number,
            match text.as_bytes()[text.len() - 1] {
                b's' => 1,
                b'm' => 60,
                _ => 3_600,
            },
        ),
        None => (text, 1),
    };
    let number: u64 = number.parse().map_err(|_| "write a time such as 30s, 1m, 5m or 1h".to_owned())?;
    let all = number.checked_mul(unit).ok_or_else(|| "the time is too long".to_owned())?;
    let fits = matches!(all, 10 | 20 | 30) || (all >= 60 && all % 60 == 0 && all <= WITHIN_MAX_S);
    if fits { Ok(all) } else { Err("use 10s, 20s, 30s or whole minutes up to 24h".to_owned()) }
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
    use nightbell_core::fields::Subject;
    use nightbell_core::pattern::Pattern;
    use nightbell_winevt::DialectReader;

    use super::*;

    fn denied(object: &str, keywords: &str) -> String {
        format!(
            "<Event xmlns=''><System><Provider Name='Microsoft-Windows-Security-Auditing'/><EventID>4656</EventID>\
             <Keywords>{keywords}</Keywords><Computer>fs1</Computer></System><EventData>\
             <Data Name='SubjectUserName'>ann</Data><Data Name='ObjectType'>File</Data>\
             <Data Name='ObjectName'>{object}</Data><Data Name='AccessMask'>0x1</Data></EventData></Event>"
        )
    }

    fn hits(folder: Option<&str>, object: &str, keywords: &str) -> bool {
        let rule = denied_access(None, folder, "g", 5, 60);
        let pattern = Pattern::parse(&rule.pattern).expect(&rule.pattern);
        let message = denied(object, keywords);
        pattern.matches(&Subject::new(&message, "s", &DialectReader))
    }

    #[test]
    fn a_folder_holds_what_is_below_it_and_nothing_else() {
        let failure = "0x8010000000000000";
        let file = r"\Device\HarddiskVolume16\share\secret\a.doc";
        let below = r"\Device\HarddiskVolume16\share\Secret\plans\a.doc";
        let beside = r"\Device\HarddiskVolume16\share\secretary\a.doc";
        for folder in [r"\secret", r"\Secret\", r"secret", r"\share\secret", r"\share"] {
            assert!(hits(Some(folder), file, failure), "{folder}");
            assert!(hits(Some(folder), below, failure), "{folder}");
        }
        assert!(!hits(Some(r"\secret"), beside, failure));
        assert!(!hits(Some(r"\share\other"), file, failure));
        assert!(!hits(Some(r"\other\secret"), file, failure));
        assert!(hits(None, beside, failure));
        assert!(!hits(None, file, "0x8020000000000000"), "a success is not denied");
    }

    #[test]
    fn times_that_alarms_can_have() {
        assert_eq!(seconds("1m"), Ok(60));
        assert_eq!(seconds("30s"), Ok(30));
        assert_eq!(seconds("300"), Ok(300));
        assert_eq!(seconds("24h"), Ok(86_400));
        for bad in ["", "m", "45s", "25h", "-1m", "1d", "é", "99999999999999999999h"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
