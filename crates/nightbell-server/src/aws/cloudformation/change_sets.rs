/*!
Change sets: what would be done to a stack is worked out at once and kept; carrying it out is a run like any other.
*/

use nightbell_store::Write;
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::describe::{ParameterEntry, paged, parameters};
use super::{
    ApiError, Cx, Done, StackRequest, USER_INITIATED, agreed, changes_nothing, check_at_rest, check_name,
    check_room, forward, fresh, invalid, live, need, no, plan, read_on_failure, settled, time,
};
use crate::aws::tags::{self, Tag};
use crate::stacks::change_sets::{self, ChangeSet};
use crate::stacks::engine;
use crate::stacks::events::Numbering;
use crate::stacks::plan::{Action, Change};
use crate::stacks::records::{self, CHANGE_SETS_MAX, Goal, Stack};
use crate::stacks::status::Status;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct CreateChangeSetResponse {
    id: String,
    stack_id: String,
}

/// What a change set that changes nothing says; clients look for these words.
const NOTHING: &str =
    "The submitted information didn't contain changes. Submit different information to create a change set.";

pub(in crate::aws) async fn create_change_set(
    cx: Cx,
    mut request: StackRequest,
) -> Result<CreateChangeSetResponse, ApiError> {
    request.check_served()?;
    let name = need(request.change_set_name.take(), "changeSetName")?;
    check_name(&name, "changeSetName")?;
    let named = need(request.stack_name.take(), "stackName")?;
    if let Some(on_failure) = &request.on_failure {
        read_on_failure(on_failure)?;
    }
    let _turn = cx.app.records.turn();
    let there = records::find(&cx.app.records, &cx.region, &cx.app.account, &named).map_err(no)?;
    let there = there.filter(|stack| stack.status != Status::DeleteComplete);
    let is_there = there.is_some();
    let (stack, is_new) = match (request.change_set_type.as_deref(), there) {
        (Some("CREATE"), None) => {
            check_room(&cx, &named)?;
            (fresh(&cx, &named, Goal::default()), true)
        }
        (None | Some("CREATE" | "UPDATE"), Some(stack)) => of_there(&cx, &request, stack, &name)?,
        (None | Some("UPDATE"), None) => {
            let shown: String = named.chars().take(200).collect();
            return Err(invalid(format!("Stack [{shown}] does not exist")));
        }
        (Some(other), _) => {
            let shown: String = other.chars().take(100).collect();
            return Err(invalid(format!("ChangeSetType {shown} is not served; it may be CREATE or UPDATE")));
        }
    };
    let set = worked_out(&cx, request, &stack, name, is_new)?;
    let mut change = Write::new();
    if !is_there {
        let stack = Stack { goal: set.goal.clone(), ..stack.clone() };
        let mut numbering = Numbering::after(&cx.app.records, &stack).map_err(no)?;
        numbering.of_stack(&mut change, &stack, &cx.app.account, cx.now);
        records::put_stack(&mut change, &stack);
    }
    change_sets::put_set(&mut change, &set);
    cx.app.records.commit(change).map_err(no)?;
    Ok(CreateChangeSetResponse { id: set.arn(&cx.app.account), stack_id: stack.arn(&cx.app.account) })
}

/// A stack that is there, and whether it is still to be made; refused where that is not what was asked for.
fn of_there(cx: &Cx, request: &StackRequest, stack: Stack, name: &str) -> Result<(Stack, bool), ApiError> {
    let under_review = stack.status == Status::ReviewInProgress;
    match (request.change_set_type.as_deref(), under_review) {
        (Some("CREATE"), true) => Ok((stack, true)),
        (Some("CREATE"), false) => Err(invalid(format!(
            "Stack [{}] already exists and cannot be created again with the changeSet [{name}].",
            stack.name
        ))),
        (_, true) => Err(invalid(format!(
            "Stack [{}] has only change sets so far; give the ChangeSetType CREATE",
            stack.name
        ))),
        (_, false) => {
            check_at_rest(cx, &stack)?;
            Ok((stack, false))
        }
    }
}

/// Works out what would be done.
fn worked_out(
    cx: &Cx,
    mut request: StackRequest,
    stack: &Stack,
    name: String,
    is_new: bool,
) -> Result<ChangeSet, ApiError> {
    let there = change_sets::list(&cx.app.records, stack).map_err(no)?;
    if there.iter().any(|one| one.name == name) {
        let text = format!("ChangeSet {name} already exists");
        return Err(ApiError::sender("AlreadyExistsException", text));
    }
    if there.len() >= CHANGE_SETS_MAX {
        let text = format!("The stack has {CHANGE_SETS_MAX} change sets; that is the limit");
        return Err(ApiError::sender("LimitExceededException", text));
    }
    let goal = request.goal(Some(&stack.goal).filter(|goal| !goal.template.is_empty()))?;
    agreed(cx, &goal, stack)?;
    let plan = plan(cx, stack, &goal)?;
    let failure = (!is_new && changes_nothing(stack, &plan, &goal)).then(|| NOTHING.to_owned());
    Ok(ChangeSet {
        id: Uuid::new_v4().to_string(),
        name,
        region: cx.region.clone(),
        stack: stack.id.clone(),
        stack_name: stack.name.clone(),
        created: cx.now,
        description: request.description.take(),
        is_new,
        goal,
        failure,
        changes: plan.changes,
        on_failure: request.on_failure.take(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ChangeSetRequest {
    change_set_name: Option<String>,
    stack_name: Option<String>,
    next_token: Option<String>,
    disable_rollback: Option<bool>,
    client_request_token: Option<String>,
}

/// The change set that a request names, by ARN, or by name and stack; and its stack.
fn found(cx: &Cx, name: Option<String>, stack: Option<String>) -> Result<(ChangeSet, Stack), ApiError> {
    let name = need(name, "changeSetName")?;
    let missing = || {
        let shown: String = name.chars().take(200).collect();
        let message = format!("ChangeSet [{shown}] does not exist");
        ApiError { status: 404, code: "ChangeSetNotFound", message }
    };
    let (records, account) = (&cx.app.records, &cx.app.account);
    if name.starts_with("arn:") {
        let set =
            change_sets::find_arn(records, &cx.region, account, &name).map_err(no)?.ok_or_else(missing)?;
        let stack = live(cx, Some(set.stack_name.clone()))?;
        return if stack.id == set.stack { Ok((set, stack)) } else { Err(missing()) };
    }
    let Some(stack) = stack else {
        return Err(invalid("StackName must be specified if ChangeSetName is not specified as an ARN."));
    };
    let stack = live(cx, Some(stack))?;
    let set = change_sets::find(records, &stack, &name).map_err(no)?.ok_or_else(missing)?;
    Ok((set, stack))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DescribeChangeSetResponse {
    change_set_name: String,
    change_set_id: String,
    stack_id: String,
    stack_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    parameters: Vec<ParameterEntry>,
    creation_time: Time,
    execution_status: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    capabilities: Vec<String>,
    tags: Vec<Tag>,
    changes: Vec<ChangeEntry>,
    include_nested_stacks: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_stack_failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeEntry {
    #[serde(rename = "Type")]
    kind: &'static str,
    resource_change: ResourceChange,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceChange {
    action: &'static str,
    logical_resource_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_resource_id: Option<String>,
    resource_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<String>,
    scope: Vec<&'static str>,
    details: Vec<Detail>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Detail {
    target: Target,
    evaluation: &'static str,
    change_source: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    attribute: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    requires_recreation: &'static str,
}

fn change(one: Change) -> ChangeEntry {
    let mut scope = Vec::new();
    let mut details = Vec::new();
    let detail = |attribute, name, replaces| Detail {
        target: Target { attribute, name, requires_recreation: if replaces { "Always" } else { "Never" } },
        evaluation: "Static",
        change_source: "DirectModification",
    };
    if !one.properties.is_empty() {
        scope.push("Properties");
        details.extend(
            one.properties.into_iter().map(|(name, replaces)| detail("Properties", Some(name), replaces)),
        );
    }
    if one.tags {
        scope.push("Tags");
        details.push(detail("Tags", None, false));
    }
    let action = match one.action {
        Action::Add => "Add",
        Action::Modify => "Modify",
        Action::Remove => "Remove",
    };
    ChangeEntry {
        kind: "Resource",
        resource_change: ResourceChange {
            action,
            logical_resource_id: one.logical,
            physical_resource_id: one.physical,
            resource_type: one.kind,
            replacement: one.replacement,
            scope,
            details,
        },
    }
}

/// Whether a change set could be made, and whether it can be carried out.
fn states(set: &ChangeSet) -> (&'static str, &'static str) {
    if set.failure.is_some() { ("FAILED", "UNAVAILABLE") } else { ("CREATE_COMPLETE", "AVAILABLE") }
}

pub(in crate::aws) async fn describe_change_set(
    cx: Cx,
    request: ChangeSetRequest,
) -> Result<DescribeChangeSetResponse, ApiError> {
    let (set, stack) = found(&cx, request.change_set_name, request.stack_name)?;
    let (status, execution_status) = states(&set);
    let changes: Vec<ChangeEntry> = set.changes.iter().cloned().map(change).collect();
    let (changes, next_token) =
        paged(changes, request.next_token, |entry| &entry.resource_change.logical_resource_id)?;
    Ok(DescribeChangeSetResponse {
        change_set_id: set.arn(&cx.app.account),
        stack_id: stack.arn(&cx.app.account),
        parameters: parameters(&set.goal),
        creation_time: time(set.created),
        execution_status,
        status,
        status_reason: set.failure,
        capabilities: set.goal.capabilities,
        tags: tags::shown(set.goal.tags),
        changes,
        include_nested_stacks: false,
        on_stack_failure: set.on_failure,
        description: set.description,
        change_set_name: set.name,
        stack_name: stack.name,
        next_token,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListChangeSetsRequest {
    stack_name: Option<String>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListChangeSetsResponse {
    summaries: Vec<ChangeSetSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeSetSummary {
    stack_id: String,
    stack_name: String,
    change_set_id: String,
    change_set_name: String,
    execution_status: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    creation_time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    include_nested_stacks: bool,
}

pub(in crate::aws) async fn list_change_sets(
    cx: Cx,
    request: ListChangeSetsRequest,
) -> Result<ListChangeSetsResponse, ApiError> {
    let stack = live(&cx, request.stack_name)?;
    let all = change_sets::list(&cx.app.records, &stack).map_err(no)?;
    let (shown, next_token) = paged(all, request.next_token, |set| &set.name)?;
    let summary = |set: ChangeSet| {
        let (status, execution_status) = states(&set);
        ChangeSetSummary {
            stack_id: stack.arn(&cx.app.account),
            stack_name: stack.name.clone(),
            change_set_id: set.arn(&cx.app.account),
            change_set_name: set.name,
            execution_status,
            status,
            status_reason: set.failure,
            creation_time: time(set.created),
            description: set.description,
            include_nested_stacks: false,
        }
    };
    Ok(ListChangeSetsResponse { summaries: shown.into_iter().map(summary).collect(), next_token })
}

pub(in crate::aws) async fn execute_change_set(cx: Cx, request: ChangeSetRequest) -> Result<Done, ApiError> {
    let begun;
    {
        let _turn = cx.app.records.turn();
        let (set, mut stack) = found(&cx, request.change_set_name, request.stack_name)?;
        let arn = set.arn(&cx.app.account);
        if set.failure.is_some() {
            let (status, _) = states(&set);
            let text = format!("ChangeSet [{arn}] cannot be executed in its current status of [{status}]");
            return Err(ApiError::sender("InvalidChangeSetStatus", text));
        }
        let status = if set.is_new { Status::CreateInProgress } else { Status::UpdateInProgress };
        if !set.is_new {
            check_at_rest(&cx, &stack)?;
            stack.updated = Some(cx.now);
        } else {
            stack.goal = set.goal.clone();
        }
        let mut run = forward(&cx, &stack, set.goal.clone(), set.is_new);
        stack.disable_rollback = request.disable_rollback.unwrap_or(false);
        if let Some(on_failure) = &set.on_failure {
            (stack.disable_rollback, run.delete_on_failure) = read_on_failure(on_failure)?;
        }
        stack.token = request.client_request_token;
        stack.reason = Some(USER_INITIATED.to_owned());
        stack.change_set = Some(arn);
        let mut change = Write::new();
        // What the others would do was worked out from a stack that is no more.
        for other in change_sets::list(&cx.app.records, &stack).map_err(no)? {
            change_sets::forget(&mut change, &other);
        }
        begun = engine::begin(&cx.app, stack, status, run, change).map_err(no)?;
    }
    cx.app.stacks_bell.notify_one();
    settled(&cx, &begun).await;
    Ok(Done {})
}

pub(in crate::aws) async fn delete_change_set(cx: Cx, request: ChangeSetRequest) -> Result<Done, ApiError> {
    let _turn = cx.app.records.turn();
    let (set, _) = match found(&cx, request.change_set_name, request.stack_name) {
        Ok(found) => found,
        // What is not there is deleted.
        Err(error) if error.code == "ChangeSetNotFound" => return Ok(Done {}),
        Err(error) => return Err(error),
    };
    let mut change = Write::new();
    change_sets::forget(&mut change, &set);
    cx.app.records.commit(change).map_err(no)?;
    Ok(Done {})
}
