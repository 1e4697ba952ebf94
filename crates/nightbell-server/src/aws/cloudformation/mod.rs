/*!
CloudFormation ("AWS CloudFormation API Reference"): stacks made, changed and deleted. What they show is in `describe`, change sets in
`change_sets`, templates by themselves in `templates`; what is done lies in [`crate::stacks`].
*/

use std::collections::BTreeMap;
use std::time::Duration;

use nightbell_core::stack::{TEMPLATE_BYTES_MAX, TemplateError};
use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Cx;
use super::error::{ApiError, refused};
use super::service::Service;
use super::tags::{self, Tag};
use crate::catalog::Failure;
use crate::stacks::actor::Actor;
use crate::stacks::engine;
use crate::stacks::plan::{Blueprint, Plan};
use crate::stacks::records::{self, Goal, Phase, Run, STACKS_MAX, Stack};
use crate::stacks::status::Status;

pub(super) mod change_sets;
pub(super) mod describe;
pub(super) mod templates;

/// Characters of a stack's or change set's name ("CreateStack").
const STACK_NAME_CHARS_MAX: usize = 128;
/// Characters of a client's token.
const TOKEN_CHARS_MAX: usize = 128;
/// What a template may agree to.
const CAPABILITIES: [&str; 3] = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];
/// Why a stack does what it was asked to.
const USER_INITIATED: &str = "User Initiated";

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("ValidationError", text)
}

fn no(failure: Failure) -> ApiError {
    refused(Service::CloudFormation, failure.into())
}

fn bad_template(error: TemplateError) -> ApiError {
    invalid(error.0)
}

fn need<T>(value: Option<T>, field: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

fn time(at: Timestamp) -> Time {
    Time(at.as_millis())
}

/// What the stack of a name or ARN is not.
fn missing(named: &str) -> ApiError {
    let shown: String = named.chars().take(200).collect();
    invalid(format!("Stack with id {shown} does not exist"))
}

/// The stack of a name or ARN, also one that is deleted.
fn found(cx: &Cx, named: &str) -> Result<Stack, ApiError> {
    let stack = records::find(&cx.app.records, &cx.region, &cx.app.account, named).map_err(no)?;
    stack.ok_or_else(|| missing(named))
}

/// The same, if it is not deleted.
fn live(cx: &Cx, named: Option<String>) -> Result<Stack, ApiError> {
    let named = need(named, "stackName")?;
    let stack = found(cx, &named)?;
    if stack.status == Status::DeleteComplete { Err(missing(&named)) } else { Ok(stack) }
}

fn check_name(name: &str, field: &str) -> Result<(), ApiError> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let allowed = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if starts && allowed && name.len() <= STACK_NAME_CHARS_MAX {
        return Ok(());
    }
    let shown: String = name.chars().take(STACK_NAME_CHARS_MAX).collect();
    Err(invalid(format!(
        "1 validation error detected: Value '{shown}' at '{field}' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]* and have at most {STACK_NAME_CHARS_MAX} characters"
    )))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parameter {
    parameter_key: Option<String>,
    parameter_value: Option<String>,
    use_previous_value: Option<bool>,
}

/// What CreateStack, UpdateStack and CreateChangeSet say of a stack.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct StackRequest {
    stack_name: Option<String>,
    template_body: Option<String>,
    #[serde(rename = "TemplateURL")]
    template_url: Option<String>,
    use_previous_template: Option<bool>,
    #[serde(deserialize_with = "crate::aws::nullable")]
    parameters: Vec<Parameter>,
    #[serde(deserialize_with = "crate::aws::nullable")]
    capabilities: Vec<String>,
    tags: Option<Vec<Tag>>,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    disable_rollback: Option<bool>,
    on_failure: Option<String>,
    timeout_in_minutes: Option<i64>,
    enable_termination_protection: Option<bool>,
    client_request_token: Option<String>,
    change_set_name: Option<String>,
    change_set_type: Option<String>,
    client_token: Option<String>,
    description: Option<String>,
    // What is not served is read in order to be refused.
    #[serde(rename = "NotificationARNs", deserialize_with = "crate::aws::nullable")]
    notification_arns: Vec<String>,
    #[serde(deserialize_with = "crate::aws::nullable")]
    resource_types: Vec<String>,
    stack_policy_body: Option<String>,
    #[serde(rename = "StackPolicyURL")]
    stack_policy_url: Option<String>,
    #[serde(deserialize_with = "crate::aws::nullable")]
    resources_to_import: Vec<serde::de::IgnoredAny>,
    include_nested_stacks: Option<bool>,
    import_existing_resources: Option<bool>,
}

impl StackRequest {
    /// Refuses what would be asked for and not happen.
    fn check_served(&self) -> Result<(), ApiError> {
        let said = [
            ("NotificationARNs", !self.notification_arns.is_empty()),
            ("ResourceTypes", !self.resource_types.is_empty()),
            ("StackPolicyBody", self.stack_policy_body.is_some()),
            ("StackPolicyURL", self.stack_policy_url.is_some()),
            ("ResourcesToImport", !self.resources_to_import.is_empty()),
            ("IncludeNestedStacks", self.include_nested_stacks == Some(true)),
            ("ImportExistingResources", self.import_existing_resources == Some(true)),
        ];
        if let Some((member, _)) = said.iter().find(|(_, said)| *said) {
            return Err(invalid(format!("{member} is not served by this version; leave it out")));
        }
        if let Some(other) = self.capabilities.iter().find(|one| !CAPABILITIES.contains(&one.as_str())) {
            let shown: String = other.chars().take(100).collect();
            return Err(invalid(format!(
                "1 validation error detected: Value '{shown}' at 'capabilities' failed to satisfy constraint: Member must satisfy enum value set: {CAPABILITIES:?}"
            )));
        }
        for token in [&self.client_request_token, &self.client_token].into_iter().flatten() {
            if !(1..=TOKEN_CHARS_MAX).contains(&token.chars().count()) {
                return Err(invalid(format!("a client's token has 1 to {TOKEN_CHARS_MAX} characters")));
            }
        }
        Ok(())
    }

    /// What the stack is to be, beside what it is.
    fn goal(&mut self, old: Option<&Goal>) -> Result<Goal, ApiError> {
        let previous = self.use_previous_template == Some(true);
        let template = match (self.template_body.take(), previous, old) {
            (_, _, _) if self.template_url.is_some() => return Err(by_url()),
            (Some(body), false, _) => checked_body(body)?,
            (None, true, Some(old)) => old.template.clone(),
            (None, true, None) => return Err(invalid("There is no previous template; give a TemplateBody")),
            (None, false, _) => {
                return Err(invalid("Either Template URL or Template Body must be specified."));
            }
            (Some(_), true, _) => {
                return Err(invalid("Only one of TemplateBody and UsePreviousTemplate can be given"));
            }
        };
        let mut parameters = BTreeMap::new();
        for parameter in std::mem::take(&mut self.parameters) {
            let key = need(parameter.parameter_key, "parameters.member.parameterKey")?;
            let value = match (parameter.parameter_value, parameter.use_previous_value == Some(true)) {
                (Some(_), true) => {
                    let text = format!(
                        "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true and non empty value for a parameter"
                    );
                    return Err(invalid(text));
                }
                (Some(value), false) => Some(value),
                // Without a value of before, the template's default stands.
                (None, true) => old.and_then(|old| old.parameters.get(&key).cloned()),
                (None, false) => Some(String::new()),
            };
            if let Some(value) = value {
                parameters.insert(key, value);
            }
        }
        let tags = match self.tags.take() {
            Some(tags) => {
                let tags = tags::read(tags).map_err(|refusal| refused(Service::CloudFormation, refusal))?;
                crate::manage::tags::merge(BTreeMap::new(), tags)
                    .map_err(|refusal| refused(Service::CloudFormation, refusal))?
            }
            None => old.map(|old| old.tags.clone()).unwrap_or_default(),
        };
        let role = self.role_arn.take().or_else(|| old.and_then(|old| old.role.clone()));
        Ok(Goal { template, parameters, tags, capabilities: std::mem::take(&mut self.capabilities), role })
    }
}

fn by_url() -> ApiError {
    invalid("TemplateURL is not served by this version; send the template as TemplateBody")
}

fn checked_body(body: String) -> Result<String, ApiError> {
    if (1..=TEMPLATE_BYTES_MAX).contains(&body.len()) {
        return Ok(body);
    }
    Err(invalid(format!(
        "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length between 1 and {TEMPLATE_BYTES_MAX}; it has {}",
        body.len()
    )))
}

/// The goal as a blueprint, if all that it needs was agreed to.
fn agreed(cx: &Cx, goal: &Goal, stack: &Stack) -> Result<Blueprint, ApiError> {
    let blueprint = Blueprint::of(goal, stack, &cx.app.account).map_err(bad_template)?;
    let said = |capability: &str| goal.capabilities.iter().any(|one| one == capability);
    let needed = blueprint.capability();
    if let Some(needed) = needed.filter(|needed| !said(needed) && !said("CAPABILITY_NAMED_IAM")) {
        let text = format!("Requires capabilities : [{needed}]");
        return Err(ApiError::sender("InsufficientCapabilitiesException", text));
    }
    Ok(blueprint)
}

/// A stack that is not made yet.
fn fresh(cx: &Cx, name: &str, goal: Goal) -> Stack {
    Stack {
        id: Uuid::new_v4().to_string(),
        name: name.to_owned(),
        region: cx.region.clone(),
        created: cx.now,
        updated: None,
        deleted: None,
        status: Status::ReviewInProgress,
        reason: Some(USER_INITIATED.to_owned()),
        goal,
        outputs: Vec::new(),
        disable_rollback: false,
        timeout_minutes: None,
        termination_protected: false,
        generation: 0,
        token: None,
        run: None,
        halted: None,
        change_set: None,
    }
}

/// Refuses a name that is taken, and one stack too many.
fn check_room(cx: &Cx, name: &str) -> Result<(), ApiError> {
    check_name(name, "stackName")?;
    if records::find(&cx.app.records, &cx.region, &cx.app.account, name).map_err(no)?.is_some() {
        return Err(ApiError::sender("AlreadyExistsException", format!("Stack [{name}] already exists")));
    }
    if records::list(&cx.app.records, &cx.region).map_err(no)?.len() >= STACKS_MAX {
        let text = format!("There are {STACKS_MAX} stacks in the region; that is the limit");
        return Err(ApiError::sender("LimitExceededException", text));
    }
    Ok(())
}

/// A run of the caller's, forward.
fn forward(cx: &Cx, stack: &Stack, to: Goal, is_new: bool) -> Run {
    let deadline =
        stack.timeout_minutes.filter(|_| is_new).map(|minutes| cx.now.plus_millis(minutes * 60_000));
    Run {
        actor: Actor::of(&cx.caller, to.role.as_deref()),
        to,
        phase: Phase::Forward,
        is_new,
        delete_on_failure: false,
        deadline,
        retain: Default::default(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StackId {
    stack_id: String,
}

/// Longest time that making a stack may be given, in minutes.
const TIMEOUT_MINUTES_MAX: i64 = 43_200;

pub(super) async fn create_stack(cx: Cx, mut request: StackRequest) -> Result<StackId, ApiError> {
    request.check_served()?;
    let name = need(request.stack_name.take(), "stackName")?;
    let goal = request.goal(None)?;
    let mut stack = fresh(&cx, &name, goal.clone());
    if let Some(minutes) = request.timeout_in_minutes
        && !(1..=TIMEOUT_MINUTES_MAX).contains(&minutes)
    {
        return Err(invalid(format!(
            "TimeoutInMinutes {minutes} is not between 1 and {TIMEOUT_MINUTES_MAX}"
        )));
    }
    stack.timeout_minutes = request.timeout_in_minutes;
    stack.termination_protected = request.enable_termination_protection.unwrap_or(false);
    stack.token = request.client_request_token.take();
    let mut run = forward(&cx, &stack, goal, true);
    match (request.disable_rollback, request.on_failure.as_deref()) {
        (Some(_), Some(_)) => {
            return Err(invalid("You can specify either DisableRollback or OnFailure, but not both."));
        }
        (disable, None) => stack.disable_rollback = disable.unwrap_or(false),
        (None, Some(on_failure)) => {
            (stack.disable_rollback, run.delete_on_failure) = read_on_failure(on_failure)?
        }
    }
    agreed(&cx, &run.to, &stack)?;
    plan(&cx, &stack, &run.to)?;
    let begun = {
        let _turn = cx.app.records.turn();
        if let Some(there) = same_request(&cx, &name, stack.token.as_deref())? {
            return Ok(there);
        }
        check_room(&cx, &name)?;
        engine::begin(&cx.app, stack, Status::CreateInProgress, run, Write::new()).map_err(no)?
    };
    cx.app.stacks_bell.notify_one();
    Ok(StackId { stack_id: begun.arn(&cx.app.account) })
}

/// Whether what fails stays, and whether a stack that fails is deleted as a whole.
fn read_on_failure(text: &str) -> Result<(bool, bool), ApiError> {
    match text {
        "ROLLBACK" => Ok((false, false)),
        "DO_NOTHING" => Ok((true, false)),
        "DELETE" => Ok((false, true)),
        other => {
            let shown: String = other.chars().take(100).collect();
            Err(invalid(format!(
                "1 validation error detected: Value '{shown}' at 'onFailure' failed to satisfy constraint: Member must satisfy enum value set: [ROLLBACK, DELETE, DO_NOTHING]"
            )))
        }
    }
}

/// The stack that an earlier request of the same token began: a client that asks again gets the same answer.
fn same_request(cx: &Cx, name: &str, token: Option<&str>) -> Result<Option<StackId>, ApiError> {
    let there = records::find(&cx.app.records, &cx.region, &cx.app.account, name).map_err(no)?;
    let same = there.filter(|stack| token.is_some() && stack.token.as_deref() == token);
    Ok(same.map(|stack| StackId { stack_id: stack.arn(&cx.app.account) }))
}

/// What would be done to a stack.
fn plan(cx: &Cx, stack: &Stack, goal: &Goal) -> Result<Plan, ApiError> {
    let blueprint = Blueprint::of(goal, stack, &cx.app.account).map_err(bad_template)?;
    let there = records::resources(&cx.app.records, stack).map_err(no)?;
    Plan::of(stack, &there, &blueprint).map_err(bad_template)
}

/// Whether a plan and a goal would change nothing.
fn changes_nothing(stack: &Stack, plan: &Plan, goal: &Goal) -> bool {
    plan.changes.is_empty()
        && !plan.outputs
        && goal.tags == stack.goal.tags
        && stack.status != Status::UpdateFailed
}

/// Refuses to change a stack that is not at rest.
fn check_at_rest(cx: &Cx, stack: &Stack) -> Result<(), ApiError> {
    if stack.run.is_none() && stack.status.may_be_updated() {
        return Ok(());
    }
    let (arn, status) = (stack.arn(&cx.app.account), stack.status.name());
    Err(invalid(format!("Stack:{arn} is in {status} state and can not be updated.")))
}

pub(super) async fn update_stack(cx: Cx, mut request: StackRequest) -> Result<StackId, ApiError> {
    request.check_served()?;
    let begun = {
        let _turn = cx.app.records.turn();
        let mut stack = live(&cx, request.stack_name.take())?;
        let token = request.client_request_token.take();
        if token.is_some() && stack.token == token {
            return Ok(StackId { stack_id: stack.arn(&cx.app.account) });
        }
        check_at_rest(&cx, &stack)?;
        let goal = request.goal(Some(&stack.goal))?;
        agreed(&cx, &goal, &stack)?;
        let plan = plan(&cx, &stack, &goal)?;
        if changes_nothing(&stack, &plan, &goal) {
            return Err(invalid("No updates are to be performed."));
        }
        stack.token = token;
        stack.updated = Some(cx.now);
        stack.reason = Some(USER_INITIATED.to_owned());
        stack.disable_rollback = request.disable_rollback.unwrap_or(false);
        let run = forward(&cx, &stack, goal, false);
        engine::begin(&cx.app, stack, Status::UpdateInProgress, run, Write::new()).map_err(no)?
    };
    cx.app.stacks_bell.notify_one();
    Ok(StackId { stack_id: begun.arn(&cx.app.account) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteStackRequest {
    stack_name: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    retain_resources: Vec<String>,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    client_request_token: Option<String>,
}

pub(super) async fn delete_stack(cx: Cx, request: DeleteStackRequest) -> Result<(), ApiError> {
    let named = need(request.stack_name, "stackName")?;
    let begun;
    {
        let _turn = cx.app.records.turn();
        let there = records::find(&cx.app.records, &cx.region, &cx.app.account, &named).map_err(no)?;
        // What is not there is deleted.
        let Some(mut stack) = there.filter(|stack| stack.status != Status::DeleteComplete) else {
            return Ok(());
        };
        if stack.termination_protected {
            return Err(invalid(format!(
                "Stack [{}] cannot be deleted while TerminationProtection is enabled",
                stack.name
            )));
        }
        if stack.run.as_ref().is_some_and(|run| run.phase == Phase::Delete) {
            return Ok(());
        }
        if stack.run.is_some() {
            let (arn, status) = (stack.arn(&cx.app.account), stack.status.name());
            return Err(invalid(format!(
                "Stack:{arn} is in {status} state; it can be deleted once that is over."
            )));
        }
        if !request.retain_resources.is_empty() && stack.status != Status::DeleteFailed {
            return Err(invalid(format!(
                "Invalid operation on stack [{}]. Specify which resources to retain only when the stack is in the DELETE_FAILED state",
                stack.name
            )));
        }
        let role = request.role_arn.or_else(|| stack.goal.role.clone());
        let run = Run {
            to: stack.goal.clone(),
            phase: Phase::Delete,
            is_new: false,
            actor: Actor::of(&cx.caller, role.as_deref()),
            delete_on_failure: false,
            deadline: None,
            retain: request.retain_resources.into_iter().collect(),
        };
        stack.token = request.client_request_token;
        stack.reason = Some(USER_INITIATED.to_owned());
        begun = engine::begin(&cx.app, stack, Status::DeleteInProgress, run, Write::new()).map_err(no)?;
    }
    cx.app.stacks_bell.notify_one();
    settled(&cx, &begun).await;
    Ok(())
}

/// Longest wait for a run to be over before its request is answered, and how often is looked.
const SETTLE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(20));

/// Waits a little until a run is over: the AWS CLI looks at once, and then not before half a minute has gone.
async fn settled(cx: &Cx, begun: &Stack) {
    let arn = begun.arn(&cx.app.account);
    let over = async {
        while records::find(&cx.app.records, &cx.region, &cx.app.account, &arn)
            .is_ok_and(|stack| stack.is_some_and(|stack| stack.run.is_some()))
        {
            tokio::time::sleep(SETTLE.1).await;
        }
    };
    // Running out of time is no failure: the run goes on.
    let _ = tokio::time::timeout(SETTLE.0, over).await;
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ContinueUpdateRollbackRequest {
    stack_name: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    resources_to_skip: Vec<String>,
    client_request_token: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Done {}

pub(super) async fn continue_update_rollback(
    cx: Cx,
    request: ContinueUpdateRollbackRequest,
) -> Result<Done, ApiError> {
    if !request.resources_to_skip.is_empty() {
        return Err(invalid("ResourcesToSkip is not served by this version; leave it out"));
    }
    {
        let _turn = cx.app.records.turn();
        let mut stack = live(&cx, request.stack_name)?;
        let Some(run) = stack.halted.take().filter(|_| stack.run.is_none()) else {
            let (arn, status) = (stack.arn(&cx.app.account), stack.status.name());
            return Err(invalid(format!("Stack:{arn} is in {status} state and can not continue rollback.")));
        };
        let run = Run { actor: Actor::of(&cx.caller, stack.goal.role.as_deref()), ..run };
        stack.token = request.client_request_token;
        // The resources are still those of the run that came to a halt.
        stack.generation -= 1;
        engine::begin(&cx.app, stack, Status::UpdateRollbackInProgress, run, Write::new()).map_err(no)?;
    }
    cx.app.stacks_bell.notify_one();
    Ok(Done {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateTerminationProtectionRequest {
    stack_name: Option<String>,
    enable_termination_protection: Option<bool>,
}

pub(super) async fn update_termination_protection(
    cx: Cx,
    request: UpdateTerminationProtectionRequest,
) -> Result<StackId, ApiError> {
    let protected = need(request.enable_termination_protection, "enableTerminationProtection")?;
    let _turn = cx.app.records.turn();
    let mut stack = live(&cx, request.stack_name)?;
    stack.termination_protected = protected;
    let mut change = Write::new();
    records::put_stack(&mut change, &stack);
    cx.app.records.commit(change).map_err(no)?;
    Ok(StackId { stack_id: stack.arn(&cx.app.account) })
}
