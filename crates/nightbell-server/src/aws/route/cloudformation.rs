/*!
The operations of CloudFormation: one line for each.
*/

use super::{Answer, Asked};
use crate::aws::cloudformation::{self, change_sets, describe, templates};
use crate::aws::error::Told;

/// Serves a call of CloudFormation.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "CreateStack" => asked.by(cloudformation::create_stack).await,
        "UpdateStack" => asked.by(cloudformation::update_stack).await,
        "DeleteStack" => asked.by(cloudformation::delete_stack).await,
        "ContinueUpdateRollback" => asked.by(cloudformation::continue_update_rollback).await,
        "UpdateTerminationProtection" => asked.by(cloudformation::update_termination_protection).await,
        "DescribeStacks" => asked.by(describe::describe_stacks).await,
        "ListStacks" => asked.by(describe::list_stacks).await,
        "DescribeStackEvents" => asked.by(describe::describe_stack_events).await,
        "DescribeStackResource" => asked.by(describe::describe_stack_resource).await,
        "DescribeStackResources" => asked.by(describe::describe_stack_resources).await,
        "ListStackResources" => asked.by(describe::list_stack_resources).await,
        "CreateChangeSet" => asked.by(change_sets::create_change_set).await,
        "DescribeChangeSet" => asked.by(change_sets::describe_change_set).await,
        "ListChangeSets" => asked.by(change_sets::list_change_sets).await,
        "ExecuteChangeSet" => asked.by(change_sets::execute_change_set).await,
        "DeleteChangeSet" => asked.by(change_sets::delete_change_set).await,
        "GetTemplate" => asked.by(templates::get_template).await,
        "GetTemplateSummary" => asked.by(templates::get_template_summary).await,
        "ValidateTemplate" => asked.by(templates::validate_template).await,
        _ => asked.unknown(),
    }
}
