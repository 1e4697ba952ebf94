/*!
What stacks show: themselves, their resources and their events.
*/

use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::{ApiError, Cx, found, invalid, need, no, time};
use crate::aws::page::{Page, page};
use crate::aws::tags::{self, Tag};
use crate::stacks::events::{self, StackEvent};
use crate::stacks::records::{self, Resource, Stack};
use crate::stacks::status::Status;

/// Stacks, events or resources of one page.
const PAGE_MAX: usize = 100;
/// Resources that DescribeStackResources gives at most; ListStackResources has pages.
const RESOURCES_SHOWN_MAX: usize = 100;

/// One page of a listing.
pub(super) fn paged<T>(
    all: Vec<T>,
    token: Option<String>,
    name: impl Fn(&T) -> &String,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let bounds = Page { limit: None, token, default: PAGE_MAX, max: PAGE_MAX, descending: false };
    page(all, &bounds, name).map_err(invalid)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct NamedRequest {
    pub(super) stack_name: Option<String>,
    pub(super) next_token: Option<String>,
    pub(super) logical_resource_id: Option<String>,
    pub(super) physical_resource_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DescribeStacksResponse {
    stacks: Vec<StackEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StackEntry {
    stack_id: String,
    stack_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    change_set_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    parameters: Vec<ParameterEntry>,
    creation_time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_time: Option<Time>,
    rollback_configuration: RollbackConfiguration,
    stack_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_status_reason: Option<String>,
    disable_rollback: bool,
    #[serde(rename = "NotificationARNs")]
    notification_arns: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_in_minutes: Option<i64>,
    capabilities: Vec<String>,
    outputs: Vec<OutputEntry>,
    #[serde(rename = "RoleARN", skip_serializing_if = "Option::is_none")]
    role_arn: Option<String>,
    tags: Vec<Tag>,
    enable_termination_protection: bool,
    drift_information: Drift,
}

#[derive(Serialize)]
struct RollbackConfiguration {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Drift {
    stack_drift_status: &'static str,
}

/// Drift is not looked for.
const UNCHECKED: Drift = Drift { stack_drift_status: "NOT_CHECKED" };

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ParameterEntry {
    parameter_key: String,
    parameter_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OutputEntry {
    output_key: String,
    output_value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// What stands for the value of a parameter that is not shown.
const HIDDEN: &str = "****";

/// The parameters of a goal, with defaults, as they are shown.
pub(super) fn parameters(goal: &records::Goal) -> Vec<ParameterEntry> {
    // One that cannot be read was never taken.
    let Ok(template) = nightbell_core::stack::Template::parse(&goal.template) else { return Vec::new() };
    let value = |(name, declared): (&String, &nightbell_core::stack::Parameter)| {
        let value = goal.parameters.get(name).or(declared.default.as_ref())?;
        let shown = if declared.no_echo { HIDDEN } else { value };
        Some(ParameterEntry { parameter_key: name.clone(), parameter_value: shown.to_owned() })
    };
    template.parameters.iter().filter_map(value).collect()
}

fn description(goal: &records::Goal) -> Option<String> {
    nightbell_core::stack::Template::parse(&goal.template).ok()?.description
}

fn entry(cx: &Cx, stack: Stack) -> StackEntry {
    let output = |output: records::OutputRecord| OutputEntry {
        output_key: output.key,
        output_value: output.value,
        description: output.description,
    };
    // While a change goes forward, it is what the stack is shown to be.
    let goal = match &stack.run {
        Some(run) if matches!(run.phase, records::Phase::Forward | records::Phase::Cleanup) => &run.to,
        _ => &stack.goal,
    };
    StackEntry {
        stack_id: stack.arn(&cx.app.account),
        description: description(goal),
        parameters: parameters(goal),
        capabilities: goal.capabilities.clone(),
        role_arn: goal.role.clone(),
        tags: tags::shown(goal.tags.clone()),
        creation_time: time(stack.created),
        last_updated_time: stack.updated.map(time),
        deletion_time: stack.deleted.map(time),
        rollback_configuration: RollbackConfiguration {},
        stack_status: stack.status.name(),
        stack_status_reason: stack.reason,
        disable_rollback: stack.disable_rollback,
        notification_arns: [],
        timeout_in_minutes: stack.timeout_minutes,
        outputs: stack.outputs.into_iter().map(output).collect(),
        enable_termination_protection: stack.termination_protected,
        change_set_id: stack.change_set,
        stack_name: stack.name,
        drift_information: UNCHECKED,
    }
}

pub(in crate::aws) async fn describe_stacks(
    cx: Cx,
    request: NamedRequest,
) -> Result<DescribeStacksResponse, ApiError> {
    if let Some(named) = request.stack_name {
        return Ok(DescribeStacksResponse {
            stacks: vec![entry(&cx, found(&cx, &named)?)],
            next_token: None,
        });
    }
    let all = records::list(&cx.app.records, &cx.region).map_err(no)?;
    let (shown, next_token) = paged(all, request.next_token, |stack| &stack.name)?;
    Ok(DescribeStacksResponse {
        stacks: shown.into_iter().map(|stack| entry(&cx, stack)).collect(),
        next_token,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListStacksRequest {
    next_token: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    stack_status_filter: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListStacksResponse {
    stack_summaries: Vec<StackSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StackSummary {
    stack_id: String,
    stack_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_description: Option<String>,
    creation_time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_time: Option<Time>,
    stack_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_status_reason: Option<String>,
    drift_information: Drift,
}

pub(in crate::aws) async fn list_stacks(
    cx: Cx,
    request: ListStacksRequest,
) -> Result<ListStacksResponse, ApiError> {
    let mut all = records::list(&cx.app.records, &cx.region).map_err(no)?;
    all.extend(records::list_deleted(&cx.app.records, &cx.region).map_err(no)?);
    let wanted = &request.stack_status_filter;
    all.retain(|stack| wanted.is_empty() || wanted.iter().any(|status| status == stack.status.name()));
    all.sort_by(|one, other| one.id.cmp(&other.id));
    let (shown, next_token) = paged(all, request.next_token, |stack| &stack.id)?;
    let summary = |stack: Stack| StackSummary {
        stack_id: stack.arn(&cx.app.account),
        template_description: description(&stack.goal),
        creation_time: time(stack.created),
        last_updated_time: stack.updated.map(time),
        deletion_time: stack.deleted.map(time),
        stack_status: stack.status.name(),
        stack_status_reason: stack.reason,
        stack_name: stack.name,
        drift_information: UNCHECKED,
    };
    Ok(ListStacksResponse { stack_summaries: shown.into_iter().map(summary).collect(), next_token })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DescribeStackEventsResponse {
    stack_events: Vec<EventEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EventEntry {
    stack_id: String,
    event_id: String,
    stack_name: String,
    logical_resource_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_resource_id: Option<String>,
    resource_type: String,
    timestamp: Time,
    resource_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_status_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_request_token: Option<String>,
}

pub(in crate::aws) async fn describe_stack_events(
    cx: Cx,
    request: NamedRequest,
) -> Result<DescribeStackEventsResponse, ApiError> {
    let stack = found(&cx, &need(request.stack_name, "stackName")?)?;
    let arn = stack.arn(&cx.app.account);
    let mut all = events::list(&cx.app.records, &stack).map_err(no)?;
    all.reverse();
    let entry = |event: StackEvent| EventEntry {
        stack_id: arn.clone(),
        event_id: format!("{}-{}-{:010}", event.logical, event.status, event.number),
        stack_name: stack.name.clone(),
        logical_resource_id: event.logical,
        physical_resource_id: event.physical,
        resource_type: event.kind,
        timestamp: time(event.at),
        resource_status: event.status,
        resource_status_reason: event.reason,
        client_request_token: event.token,
    };
    let all: Vec<EventEntry> = all.into_iter().map(entry).collect();
    // The newest come first, so an event that is gone meanwhile was behind all others.
    let (stack_events, next_token) = paged(all, request.next_token, |event| &event.event_id)?;
    Ok(DescribeStackEventsResponse { stack_events, next_token })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListStackResourcesResponse {
    stack_resource_summaries: Vec<ResourceEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// A resource; of the members that name the stack, and of the two names of one time, each answer has its own.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_id: Option<String>,
    logical_resource_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_resource_id: Option<String>,
    resource_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_timestamp: Option<Time>,
    resource_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_status_reason: Option<String>,
    drift_information: ResourceDrift,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceDrift {
    stack_resource_drift_status: &'static str,
}

fn resource(one: Resource) -> ResourceEntry {
    ResourceEntry {
        stack_name: None,
        stack_id: None,
        logical_resource_id: one.logical,
        physical_resource_id: one.physical,
        resource_type: one.kind,
        timestamp: None,
        last_updated_timestamp: Some(time(one.updated)),
        resource_status: one.status.name(),
        resource_status_reason: one.reason,
        drift_information: ResourceDrift { stack_resource_drift_status: "NOT_CHECKED" },
    }
}

/// A resource in an answer that names its stack.
fn of_stack(cx: &Cx, stack: &Stack, one: Resource) -> ResourceEntry {
    ResourceEntry {
        stack_name: Some(stack.name.clone()),
        stack_id: Some(stack.arn(&cx.app.account)),
        ..resource(one)
    }
}

pub(in crate::aws) async fn list_stack_resources(
    cx: Cx,
    request: NamedRequest,
) -> Result<ListStackResourcesResponse, ApiError> {
    let stack = found(&cx, &need(request.stack_name, "stackName")?)?;
    let all = records::resources(&cx.app.records, &stack).map_err(no)?;
    let all: Vec<ResourceEntry> = all.into_values().map(resource).collect();
    let (stack_resource_summaries, next_token) =
        paged(all, request.next_token, |one| &one.logical_resource_id)?;
    Ok(ListStackResourcesResponse { stack_resource_summaries, next_token })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DescribeStackResourcesResponse {
    stack_resources: Vec<ResourceEntry>,
}

pub(in crate::aws) async fn describe_stack_resources(
    cx: Cx,
    request: NamedRequest,
) -> Result<DescribeStackResourcesResponse, ApiError> {
    let stack = match (&request.stack_name, &request.physical_resource_id) {
        (Some(named), None) => found(&cx, named)?,
        (None, Some(physical)) => of_resource(&cx, physical)?,
        _ => return Err(invalid("Either StackName or PhysicalResourceId must be specified.")),
    };
    let all = records::resources(&cx.app.records, &stack).map_err(no)?.into_values();
    let logical = request.logical_resource_id;
    let wanted = all.filter(|one| logical.as_ref().is_none_or(|logical| one.logical == *logical));
    let entry = |one: Resource| {
        let entry = of_stack(&cx, &stack, one);
        ResourceEntry { timestamp: entry.last_updated_timestamp, last_updated_timestamp: None, ..entry }
    };
    Ok(DescribeStackResourcesResponse {
        stack_resources: wanted.take(RESOURCES_SHOWN_MAX).map(entry).collect(),
    })
}

/// The stack that a resource is of.
fn of_resource(cx: &Cx, physical: &str) -> Result<Stack, ApiError> {
    for stack in records::list(&cx.app.records, &cx.region).map_err(no)? {
        let resources = records::resources(&cx.app.records, &stack).map_err(no)?;
        if resources.values().any(|one| one.physical.as_deref() == Some(physical)) {
            return Ok(stack);
        }
    }
    let shown: String = physical.chars().take(200).collect();
    Err(invalid(format!("Stack for {shown} does not exist")))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DescribeStackResourceResponse {
    stack_resource_detail: ResourceEntry,
}

pub(in crate::aws) async fn describe_stack_resource(
    cx: Cx,
    request: NamedRequest,
) -> Result<DescribeStackResourceResponse, ApiError> {
    let stack = found(&cx, &need(request.stack_name, "stackName")?)?;
    let logical = need(request.logical_resource_id, "logicalResourceId")?;
    let one = records::resources(&cx.app.records, &stack).map_err(no)?.remove(&logical);
    let one = one.ok_or_else(|| {
        let shown: String = logical.chars().take(255).collect();
        invalid(format!("Resource {shown} does not exist for stack {}", stack.name))
    })?;
    Ok(DescribeStackResourceResponse { stack_resource_detail: of_stack(&cx, &stack, one) })
}

/// A stack that is not under review.
pub(super) fn is_made(stack: &Stack) -> bool {
    stack.status != Status::ReviewInProgress
}
