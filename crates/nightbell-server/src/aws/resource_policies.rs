/*!
Resource policies of CloudWatch Logs ("CloudWatch Logs API Reference").
*/

use serde::{Deserialize, Serialize};

use super::Cx;
use super::error::{ApiError, refused};
use super::logs::need;
use super::page::{Page, page};
use super::service::Service;
use crate::manage::resource_policies::{self, ResourcePolicy};
use crate::manage::{Refusal, violates};

/// Policies of one page of a listing.
const PAGE_MAX: usize = 50;

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Logs, refusal)
}

/// Policies of single log groups are not kept.
fn check_scope(resource_arn: Option<&String>) -> Result<(), ApiError> {
    match resource_arn {
        None => Ok(()),
        Some(_) => Err(no(Refusal::Invalid(
            "resourceArn: policies of single log groups are not served by this version; leave it out and name the group in the document".into(),
        ))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutResourcePolicyRequest {
    policy_name: Option<String>,
    policy_document: Option<String>,
    resource_arn: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutResourcePolicyResponse {
    resource_policy: PolicyEntry,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyEntry {
    policy_name: String,
    policy_document: String,
    last_updated_time: i64,
    policy_scope: &'static str,
}

fn entry(policy: ResourcePolicy) -> PolicyEntry {
    PolicyEntry {
        policy_name: policy.name,
        policy_document: policy.document,
        last_updated_time: policy.updated.as_millis(),
        policy_scope: "ACCOUNT",
    }
}

pub(super) async fn put_resource_policy(
    cx: Cx,
    request: PutResourcePolicyRequest,
) -> Result<PutResourcePolicyResponse, ApiError> {
    check_scope(request.resource_arn.as_ref())?;
    let policy = ResourcePolicy {
        name: need(request.policy_name, "policyName")?,
        document: need(request.policy_document, "policyDocument")?,
        updated: cx.now,
    };
    resource_policies::put(&cx.app.records, &cx.region, &policy).map_err(no)?;
    Ok(PutResourcePolicyResponse { resource_policy: entry(policy) })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeResourcePoliciesRequest {
    limit: Option<i64>,
    next_token: Option<String>,
    resource_arn: Option<String>,
    policy_scope: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeResourcePoliciesResponse {
    resource_policies: Vec<PolicyEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) async fn describe_resource_policies(
    cx: Cx,
    request: DescribeResourcePoliciesRequest,
) -> Result<DescribeResourcePoliciesResponse, ApiError> {
    let of_account = match request.policy_scope.as_deref() {
        None => request.resource_arn.is_none(),
        Some("ACCOUNT") => true,
        Some("RESOURCE") => false,
        Some(other) => {
            let allowed = "Member must satisfy enum value set: [ACCOUNT, RESOURCE]";
            return Err(no(violates(other, "policyScope", allowed)));
        }
    };
    let found = match of_account {
        true => resource_policies::list(&cx.app.records, &cx.region).map_err(no)?,
        false => Vec::new(),
    };
    let bounds = Page {
        limit: request.limit,
        token: request.next_token,
        default: PAGE_MAX,
        max: PAGE_MAX,
        descending: false,
    };
    let (shown, next_token) =
        page(found, &bounds, |policy| &policy.name).map_err(|text| no(Refusal::Invalid(text)))?;
    let resource_policies = shown.into_iter().map(entry).collect();
    Ok(DescribeResourcePoliciesResponse { resource_policies, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteResourcePolicyRequest {
    policy_name: Option<String>,
    resource_arn: Option<String>,
}

pub(super) async fn delete_resource_policy(
    cx: Cx,
    request: DeleteResourcePolicyRequest,
) -> Result<(), ApiError> {
    check_scope(request.resource_arn.as_ref())?;
    let name = need(request.policy_name, "policyName")?;
    resource_policies::remove(&cx.app.records, &cx.region, &name).map_err(no)
}
