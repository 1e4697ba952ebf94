/*!
`nightbell apply`: makes or changes a stack of resources as a template says.

A client of the operations that `aws cloudformation deploy` uses: a change set says what will be done, it is carried out, and the events
are followed to the end.
*/

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{ServerPlace, printable};
use crate::bounded::read_text;
use crate::client::{Client, Refused};
use crate::credentials::random;

/// Make or change a stack of resources as a CloudFormation template says.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Apply {
    /// The template, YAML or JSON
    #[arg(value_name = "TEMPLATE")]
    template: PathBuf,

    /// Name of the stack (default: that of the file, without its ending)
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,

    /// A parameter of the template; may be given again. What is not given keeps the value it has, or its default
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    parameter: Vec<(String, String)>,

    /// A tag of the stack and of all its resources; may be given again. Without any, the stack keeps those it has
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    tag: Vec<(String, String)>,

    /// What the template may do, as CAPABILITY_NAMED_IAM for users and roles with names; may be given again
    #[arg(long, value_name = "CAPABILITY")]
    capability: Vec<String>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    server: ServerPlace,
}

const EXAMPLES: &str = "\
Examples:
  nightbell apply files.yaml --parameter Mail=you@example.org --capability CAPABILITY_NAMED_IAM
  nightbell apply files.yaml --parameter DeniedMax=9 --dry-run";

/// How long to wait between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Letters of the name of a change set that is made.
const NAME_LETTERS: usize = 16;

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("give KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Apply {
    /// Applies the template, and says what was done.
    pub(crate) fn run(&self) -> Result<()> {
        let shown = self.template.display();
        let body = read_text(&self.template).with_context(|| format!("cannot read {shown}"))?;
        let stem = self.template.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let stack = self.stack.clone().or(stem).context("name the stack with --stack")?;
        let client = self.server.client()?;
        super::runtime()?.block_on(self.apply(&Remote { client, stack }, &body))
    }

    #[allow(clippy::print_stdout)] // this is where the terminal is spoken to
    async fn apply(&self, remote: &Remote, body: &str) -> Result<()> {
        let there = remote.describe().await?;
        let is_new = there.as_ref().is_none_or(|stack| said(stack, "StackStatus") == "REVIEW_IN_PROGRESS");
        let change_set = format!("apply-{}", random(NAME_LETTERS, b"abcdefghijklmnopqrstuvwxyz0123456789"));
        let request = self.request(remote, body, there.as_ref(), is_new, &change_set).await?;
        remote.ask("CreateChangeSet", &request).await?;
        let (status, reason, changes) = remote.changes(&change_set).await?;
        if status == "FAILED" {
            remote.drop_change_set(&change_set).await?;
            if !reason.contains("didn't contain changes") {
                bail!("{}", printable(&reason));
            }
            println!("nothing to change in {}", remote.stack);
            print_outputs(there.as_ref());
            return Ok(());
        }
        println!("{} {}", if is_new { "new stack" } else { "stack" }, remote.stack);
        changes.iter().for_each(print_change);
        if self.dry_run {
            remote.drop_change_set(&change_set).await?;
            if there.is_none() {
                remote.forget().await?;
            }
            return Ok(());
        }
        let seen = remote.events().await?.iter().map(|event| said(event, "EventId").to_owned()).collect();
        remote
            .ask("ExecuteChangeSet", &json!({"StackName": remote.stack, "ChangeSetName": change_set}))
            .await?;
        remote.follow(seen).await?;
        let stack = remote.describe().await?.context("the stack is gone")?;
        let status = said(&stack, "StackStatus");
        if !matches!(status, "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
            let reason = printable(said(&stack, "StackStatusReason"));
            bail!("the stack {} is {status}: {reason}", remote.stack);
        }
        print_outputs(Some(&stack));
        Ok(())
    }

    async fn request(
        &self,
        remote: &Remote,
        body: &str,
        there: Option<&Value>,
        is_new: bool,
        change_set: &str,
    ) -> Result<Value> {
        let given = |(key, value): &(String, String)| json!({"ParameterKey": key, "ParameterValue": value});
        let mut parameters: Vec<Value> = self.parameter.iter().map(given).collect();
        if let Some(stack) = there.filter(|_| !is_new) {
            let summary = remote.ask("GetTemplateSummary", &json!({"TemplateBody": body})).await?;
            let held: BTreeSet<&str> =
                list(stack, "Parameters").iter().map(|one| said(one, "ParameterKey")).collect();
            let kept = list(&summary, "Parameters").iter().map(|one| said(one, "ParameterKey"));
            let kept = kept
                .filter(|key| held.contains(key) && !self.parameter.iter().any(|(given, _)| given == key));
            parameters.extend(kept.map(|key| json!({"ParameterKey": key, "UsePreviousValue": true})));
        }
        let mut request = json!({
            "StackName": remote.stack, "ChangeSetName": change_set, "TemplateBody": body, "Parameters": parameters,
            "ChangeSetType": if is_new { "CREATE" } else { "UPDATE" }, "Capabilities": self.capability,
        });
        if !self.tag.is_empty() {
            request["Tags"] =
                self.tag.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        }
        Ok(request)
    }
}

/// A stack on a server.
struct Remote {
    client: Client,
    stack: String,
}

impl Remote {
    async fn ask(&self, operation: &str, input: &Value) -> Result<Value> {
        self.client.cloudformation(operation, input).await
    }

    /// The stack; nothing where it is not there.
    async fn describe(&self) -> Result<Option<Value>> {
        match self.ask("DescribeStacks", &json!({"StackName": self.stack})).await {
            Ok(answer) => Ok(list(&answer, "Stacks").first().cloned()),
            Err(error) if says_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A change set's state, the reason for it, and what it would do.
    async fn changes(&self, change_set: &str) -> Result<(String, String, Vec<Value>)> {
        let (mut changes, mut token) = (Vec::new(), Value::Null);
        loop {
            let named = json!({"StackName": self.stack, "ChangeSetName": change_set, "NextToken": token});
            let answer = self.ask("DescribeChangeSet", &named).await?;
            changes.extend(list(&answer, "Changes").iter().map(|change| change["ResourceChange"].clone()));
            token = answer["NextToken"].clone();
            if token.is_null() {
                let text = |name| said(&answer, name).to_owned();
                return Ok((text("Status"), text("StatusReason"), changes));
            }
        }
    }

    async fn drop_change_set(&self, change_set: &str) -> Result<()> {
        self.ask("DeleteChangeSet", &json!({"StackName": self.stack, "ChangeSetName": change_set})).await?;
        Ok(())
    }

    /// Deletes a stack that was made for a change set only, and waits until it is gone.
    async fn forget(&self) -> Result<()> {
        self.ask("DeleteStack", &json!({"StackName": self.stack})).await?;
        while self.describe().await?.is_some() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// What happened to the stack, the oldest first.
    async fn events(&self) -> Result<Vec<Value>> {
        let (mut events, mut token) = (Vec::new(), Value::Null);
        loop {
            let answer = self
                .ask("DescribeStackEvents", &json!({"StackName": self.stack, "NextToken": token}))
                .await?;
            events.extend(list(&answer, "StackEvents").iter().cloned());
            token = answer["NextToken"].clone();
            if token.is_null() {
                events.reverse();
                return Ok(events);
            }
        }
    }

    /// Tells what happens until the stack is at rest.
    async fn follow(&self, mut seen: BTreeSet<String>) -> Result<()> {
        loop {
            // Looked at before the events: what it says is in them.
            let stack = self.describe().await?.context("the stack is gone")?;
            for event in self.events().await? {
                if seen.insert(said(&event, "EventId").to_owned()) {
                    print_event(&event);
                }
            }
            if !said(&stack, "StackStatus").ends_with("_IN_PROGRESS") {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn says_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.message.contains("does not exist"))
}

fn said<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[allow(clippy::print_stdout)] // this is where the terminal is spoken to
fn print_change(change: &Value) {
    let action = said(change, "Action").to_lowercase();
    let (logical, kind) = (said(change, "LogicalResourceId"), said(change, "ResourceType"));
    let target = |detail: &Value| {
        let target = &detail["Target"];
        let name =
            if said(target, "Name").is_empty() { said(target, "Attribute") } else { said(target, "Name") };
        name.to_owned()
    };
    let mut what: Vec<String> = list(change, "Details").iter().map(target).collect();
    match said(change, "Replacement") {
        "True" => what.push("(another takes its place)".to_owned()),
        "Conditional" => what.push("(another may take its place)".to_owned()),
        _ => {}
    }
    println!("{}", printable(format!("  {action:7} {logical:24} {kind:36} {}", what.join(" ")).trim_end()));
}

#[allow(clippy::print_stdout)] // this is where the terminal is spoken to
fn print_event(event: &Value) {
    let (status, logical) = (said(event, "ResourceStatus"), said(event, "LogicalResourceId"));
    let (kind, reason) = (said(event, "ResourceType"), said(event, "ResourceStatusReason"));
    println!("{}", printable(format!("{status:36} {logical:24} {kind:36} {reason}").trim_end()));
}

#[allow(clippy::print_stdout)] // this is where the terminal is spoken to
fn print_outputs(stack: Option<&Value>) {
    for output in stack.map(|stack| list(stack, "Outputs")).unwrap_or_default() {
        let (key, value) = (said(output, "OutputKey"), said(output, "OutputValue"));
        println!("{}", printable(&format!("{key:24} {value}")));
    }
}
