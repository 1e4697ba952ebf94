/*!
The operations of CloudWatch Logs: one line for each.
*/

use super::{Answer, Asked};
use crate::aws::error::Told;
use crate::aws::tags::logs as tags;
use crate::aws::{
    definitions, filters, group_fields, insights, livetail, logs, reads, resource_policies, subscriptions,
};

/// Serves a call of CloudWatch Logs.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "CreateLogGroup" => asked.by(logs::create_log_group).await,
        "DeleteLogGroup" => asked.by(logs::delete_log_group).await,
        "DescribeLogGroups" => asked.by(logs::describe_log_groups).await,
        "PutRetentionPolicy" => asked.by(logs::put_retention_policy).await,
        "DeleteRetentionPolicy" => asked.by(logs::delete_retention_policy).await,
        "CreateLogStream" => asked.by(logs::create_log_stream).await,
        "DeleteLogStream" => asked.by(logs::delete_log_stream).await,
        "DescribeLogStreams" => asked.by(logs::describe_log_streams).await,
        "TagResource" => asked.by(tags::tag_resource).await,
        "UntagResource" => asked.by(tags::untag_resource).await,
        "ListTagsForResource" => asked.by(tags::list_tags_for_resource).await,
        "TagLogGroup" => asked.by(tags::tag_log_group).await,
        "UntagLogGroup" => asked.by(tags::untag_log_group).await,
        "ListTagsLogGroup" => asked.by(tags::list_tags_log_group).await,
        "PutLogEvents" => asked.by(logs::put_log_events).await,
        "GetLogEvents" => asked.reading(reads::get_log_events).await,
        "FilterLogEvents" => asked.reading(reads::filter_log_events).await,
        "StartLiveTail" => asked.going_on(livetail::start_live_tail).await,
        "StartQuery" => asked.by(insights::start_query).await,
        "StopQuery" => asked.by(insights::stop_query).await,
        "GetQueryResults" => asked.by(insights::get_query_results).await,
        "DescribeQueries" => asked.by(insights::describe_queries).await,
        "GetLogRecord" => asked.by(insights::get_log_record).await,
        "GetLogGroupFields" => asked.by(group_fields::get_log_group_fields).await,
        "PutResourcePolicy" => asked.by(resource_policies::put_resource_policy).await,
        "DescribeResourcePolicies" => asked.by(resource_policies::describe_resource_policies).await,
        "DeleteResourcePolicy" => asked.by(resource_policies::delete_resource_policy).await,
        "PutQueryDefinition" => asked.by(definitions::put_query_definition).await,
        "DescribeQueryDefinitions" => asked.by(definitions::describe_query_definitions).await,
        "DeleteQueryDefinition" => asked.by(definitions::delete_query_definition).await,
        "PutMetricFilter" => asked.by(filters::put_metric_filter).await,
        "DescribeMetricFilters" => asked.by(filters::describe_metric_filters).await,
        "DeleteMetricFilter" => asked.by(filters::delete_metric_filter).await,
        "TestMetricFilter" => asked.by(filters::test_metric_filter).await,
        "PutLogGroupDeletionProtection" => asked.by(logs::put_log_group_deletion_protection).await,
        "PutSubscriptionFilter" => asked.by(subscriptions::put_subscription_filter).await,
        "DescribeSubscriptionFilters" => asked.by(subscriptions::describe_subscription_filters).await,
        "DeleteSubscriptionFilter" => asked.by(subscriptions::delete_subscription_filter).await,
        _ => asked.unknown(),
    }
}
