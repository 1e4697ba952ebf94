/*!
What stands beside a function's code and configuration: tags, how many of it may run, what becomes of its events.
*/

use std::collections::BTreeMap;

use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::{FunctionRequest, Named, invalid, need};
use crate::aws::Cx;
use crate::aws::error::ApiError;
use crate::manage::functions::{self, EventRules, Function, check_tags};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct TagRequest {
    resource: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tags: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tag_keys: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ListTagsResponse {
    tags: BTreeMap<String, String>,
}

/// Changes a function in what is no part of code and configuration.
fn annotate<T>(
    cx: &Cx,
    named: &Named,
    change: impl FnOnce(&mut Function) -> Result<T, crate::manage::Refusal>,
) -> Result<T, ApiError> {
    functions::annotate(&cx.app.records, &named.region, &named.name, None, change)
        .map_err(|refusal| named.no(refusal))
}

pub(in crate::aws) async fn tag_resource(cx: Cx, request: TagRequest) -> Result<(), ApiError> {
    let named = Named::read(&cx, Some(need(request.resource, "resource")?), None)?.whole()?;
    annotate(&cx, &named, |function| {
        function.tags.extend(request.tags);
        check_tags(&function.tags)
    })
}

pub(in crate::aws) async fn untag_resource(cx: Cx, request: TagRequest) -> Result<(), ApiError> {
    let named = Named::read(&cx, Some(need(request.resource, "resource")?), None)?.whole()?;
    annotate(&cx, &named, |function| {
        function.tags.retain(|key, _| !request.tag_keys.contains(key));
        Ok(())
    })
}

pub(in crate::aws) async fn list_tags(cx: Cx, request: TagRequest) -> Result<ListTagsResponse, ApiError> {
    let named = Named::read(&cx, Some(need(request.resource, "resource")?), None)?.whole()?;
    Ok(ListTagsResponse { tags: named.find(&cx)?.tags })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct PutFunctionConcurrencyRequest {
    function_name: Option<String>,
    reserved_concurrent_executions: Option<u32>,
}

/// How many of a function may run at one time; empty where it has no limit of its own.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct Concurrency {
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_concurrent_executions: Option<u32>,
}

/// The limit of a function's own, where it has one.
pub(super) fn concurrency(function: &Function) -> Option<Concurrency> {
    function.reserved.map(|reserved| Concurrency { reserved_concurrent_executions: Some(reserved) })
}

pub(in crate::aws) async fn put_function_concurrency(
    cx: Cx,
    request: PutFunctionConcurrencyRequest,
) -> Result<Concurrency, ApiError> {
    let named = Named::read(&cx, request.function_name, None)?.whole()?;
    let reserved = need(request.reserved_concurrent_executions, "reservedConcurrentExecutions")?;
    annotate(&cx, &named, |function| {
        function.reserved = Some(reserved);
        Ok(())
    })?;
    Ok(Concurrency { reserved_concurrent_executions: Some(reserved) })
}

pub(in crate::aws) async fn get_function_concurrency(
    cx: Cx,
    request: FunctionRequest,
) -> Result<Concurrency, ApiError> {
    let function = Named::read(&cx, request.function_name, None)?.whole()?.find(&cx)?;
    Ok(Concurrency { reserved_concurrent_executions: function.reserved })
}

pub(in crate::aws) async fn delete_function_concurrency(
    cx: Cx,
    request: FunctionRequest,
) -> Result<(), ApiError> {
    let named = Named::read(&cx, request.function_name, None)?.whole()?;
    annotate(&cx, &named, |function| {
        function.reserved = None;
        Ok(())
    })
}

/// Least and greatest age of an event that can be set, in seconds.
const EVENT_AGE_S: std::ops::RangeInclusive<u32> = 60..=21_600;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct EventInvokeConfigRequest {
    function_name: Option<String>,
    qualifier: Option<String>,
    maximum_retry_attempts: Option<u32>,
    maximum_event_age_in_seconds: Option<u32>,
    destination_config: Option<serde_json::Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct EventInvokeConfig {
    function_arn: String,
    last_modified: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_retry_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_event_age_in_seconds: Option<u32>,
}

impl EventInvokeConfigRequest {
    fn rules(&self, cx: &Cx) -> Result<EventRules, ApiError> {
        if self.destination_config.as_ref().is_some_and(super::says_something) {
            return Err(invalid("DestinationConfig is not served; leave it out"));
        }
        if self.maximum_retry_attempts.is_some_and(|retries| retries > 2) {
            return Err(invalid("MaximumRetryAttempts: 0 to 2 can be set"));
        }
        if self.maximum_event_age_in_seconds.is_some_and(|age| !EVENT_AGE_S.contains(&age)) {
            return Err(invalid("MaximumEventAgeInSeconds: 60 to 21600 can be set"));
        }
        Ok(EventRules {
            retries: self.maximum_retry_attempts,
            age_s_max: self.maximum_event_age_in_seconds,
            modified: cx.now,
        })
    }
}

fn shown(cx: &Cx, function: &Function, rules: &EventRules) -> EventInvokeConfig {
    EventInvokeConfig {
        function_arn: format!("{}:$LATEST", function.arn(&cx.app.account)),
        last_modified: Time(rules.modified.as_millis()),
        maximum_retry_attempts: rules.retries,
        maximum_event_age_in_seconds: rules.age_s_max,
    }
}

fn no_rules(named: &Named) -> ApiError {
    let message = format!("The function {} doesn't have an EventInvokeConfig", named.arn());
    ApiError { status: 404, code: "ResourceNotFoundException", message }
}

pub(in crate::aws) async fn put_function_event_invoke_config(
    cx: Cx,
    mut request: EventInvokeConfigRequest,
) -> Result<EventInvokeConfig, ApiError> {
    let named = Named::read(&cx, request.function_name.take(), request.qualifier.take())?.whole()?;
    let rules = request.rules(&cx)?;
    annotate(&cx, &named, |function| {
        function.events = Some(rules.clone());
        Ok(shown(&cx, function, &rules))
    })
}

pub(in crate::aws) async fn update_function_event_invoke_config(
    cx: Cx,
    mut request: EventInvokeConfigRequest,
) -> Result<EventInvokeConfig, ApiError> {
    let named = Named::read(&cx, request.function_name.take(), request.qualifier.take())?.whole()?;
    let said = request.rules(&cx)?;
    let changed = annotate(&cx, &named, |function| {
        let Some(mut rules) = function.events.clone() else { return Ok(None) };
        rules.retries = said.retries.or(rules.retries);
        rules.age_s_max = said.age_s_max.or(rules.age_s_max);
        rules.modified = said.modified;
        function.events = Some(rules.clone());
        Ok(Some(shown(&cx, function, &rules)))
    })?;
    changed.ok_or_else(|| no_rules(&named))
}

pub(in crate::aws) async fn get_function_event_invoke_config(
    cx: Cx,
    request: FunctionRequest,
) -> Result<EventInvokeConfig, ApiError> {
    let named = Named::read(&cx, request.function_name, request.qualifier)?.whole()?;
    let function = named.find(&cx)?;
    function.events.as_ref().map(|rules| shown(&cx, &function, rules)).ok_or_else(|| no_rules(&named))
}

pub(in crate::aws) async fn delete_function_event_invoke_config(
    cx: Cx,
    request: FunctionRequest,
) -> Result<(), ApiError> {
    let named = Named::read(&cx, request.function_name, request.qualifier)?.whole()?;
    let was = annotate(&cx, &named, |function| Ok(function.events.take()))?;
    was.map(|_| ()).ok_or_else(|| no_rules(&named))
}
