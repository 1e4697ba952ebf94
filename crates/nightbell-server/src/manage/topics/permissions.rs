/*!
AddPermission and RemovePermission: statements of a topic's policy by their label ("AddPermission", Amazon SNS API reference).
*/

use nightbell_core::topic::Topic;
use nightbell_store::Write;
use serde_json::{Value, json};

use super::{Refusal, attributes, find};
use crate::catalog::{Key, Records, put};

/// Characters of a label.
pub(crate) const LABEL_CHARS_MAX: usize = 80;
/// Accounts and actions of one permission.
pub(crate) const PERMITTED_MAX: usize = 100;

/// What a topic's owner may permit others.
const ACTIONS: [&str; 8] = [
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
];

/// A permission as AddPermission takes it.
pub(crate) struct Permission {
    /// Names the statement.
    pub(crate) label: String,
    /// Accounts of 12 digits.
    pub(crate) accounts: Vec<String>,
    /// Names of operations, or `*`.
    pub(crate) actions: Vec<String>,
}

/// Adds a statement to the topic's policy.
pub(crate) fn add_permission(
    records: &Records,
    arn: &str,
    account: &str,
    permission: &Permission,
) -> Result<(), Refusal> {
    check(permission)?;
    change_policy(records, arn, account, |statements| {
        if statements.iter().any(|statement| is_labelled(statement, &permission.label)) {
            return Err(Refusal::Invalid("Invalid parameter: Statement already exists".into()));
        }
        let principals = permission.accounts.iter().map(|id| format!("arn:aws:iam::{id}:root")).collect();
        let actions = permission.actions.iter().map(|action| format!("SNS:{action}")).collect();
        statements.push(json!({
            "Sid": permission.label,
            "Effect": "Allow",
            "Principal": { "AWS": one_or_many(principals) },
            "Action": one_or_many(actions),
            "Resource": arn,
        }));
        Ok(())
    })
}

/// Removes the statement of this label.
pub(crate) fn remove_permission(
    records: &Records,
    arn: &str,
    account: &str,
    label: &str,
) -> Result<(), Refusal> {
    change_policy(records, arn, account, |statements| {
        let before = statements.len();
        statements.retain(|statement| !is_labelled(statement, label));
        if statements.len() == before {
            let shown: String = label.chars().take(LABEL_CHARS_MAX).collect();
            let text = format!("Invalid parameter: Label Reason: the policy has no statement {shown}");
            return Err(Refusal::Invalid(text));
        }
        Ok(())
    })
}

fn check(permission: &Permission) -> Result<(), Refusal> {
    let invalid = |text: &str| Err(Refusal::Invalid(format!("Invalid parameter: {text}")));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let label = &permission.label;
    if label.is_empty() || label.len() > LABEL_CHARS_MAX || !label.chars().all(plain) {
        return invalid("Label Reason: say 1 to 80 letters, digits, '-' or '_'");
    }
    let counted = |list: &[String]| (1..=PERMITTED_MAX).contains(&list.len());
    if !counted(&permission.accounts)
        || !permission.accounts.iter().all(|id| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()))
    {
        return invalid("AWSAccountId Reason: say 1 to 100 accounts of 12 digits");
    }
    let known = |action: &String| action == "*" || ACTIONS.contains(&action.as_str());
    if !counted(&permission.actions) || !permission.actions.iter().all(known) {
        return invalid("ActionName Reason: policy statement action out of service scope!");
    }
    Ok(())
}

/// Changes the statements of the topic's policy, be it its own or the default.
fn change_policy(
    records: &Records,
    arn: &str,
    account: &str,
    change: impl FnOnce(&mut Vec<Value>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let _turn = records.turn();
    let mut topic: Topic = find(records, arn)?;
    let mut policy = attributes::policy(&topic, account);
    let statement = policy.get_mut("Statement").map(Value::take);
    let mut statements = match statement {
        Some(Value::Array(statements)) => statements,
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    };
    change(&mut statements)?;
    policy["Statement"] = Value::Array(statements);
    attributes::set(&mut topic, attributes::POLICY, &policy.to_string())?;
    let mut write = Write::new();
    put(&mut write, &Key::arn("topic", arn), &topic);
    Ok(records.commit(write)?)
}

fn is_labelled(statement: &Value, label: &str) -> bool {
    statement.get("Sid").and_then(Value::as_str) == Some(label)
}

fn one_or_many(mut list: Vec<String>) -> Value {
    if list.len() == 1 { Value::String(list.remove(0)) } else { Value::from(list) }
}
