/*!
The operations of Data Firehose: one line for each.
*/

use super::{Answer, Asked};
use crate::aws::error::Told;
use crate::aws::firehose;

/// Serves a call of Data Firehose.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "CreateDeliveryStream" => asked.by(firehose::create_delivery_stream).await,
        "DescribeDeliveryStream" => asked.by(firehose::describe_delivery_stream).await,
        "ListDeliveryStreams" => asked.by(firehose::list_delivery_streams).await,
        "DeleteDeliveryStream" => asked.by(firehose::delete_delivery_stream).await,
        "UpdateDestination" => asked.by(firehose::update_destination).await,
        "PutRecord" => asked.by(firehose::put_record).await,
        "PutRecordBatch" => asked.by(firehose::put_record_batch).await,
        "TagDeliveryStream" => asked.by(firehose::tag_delivery_stream).await,
        "UntagDeliveryStream" => asked.by(firehose::untag_delivery_stream).await,
        "ListTagsForDeliveryStream" => asked.by(firehose::list_tags_for_delivery_stream).await,
        _ => asked.unknown(),
    }
}
