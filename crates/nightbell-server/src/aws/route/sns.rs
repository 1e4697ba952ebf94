/*!
The operations of SNS: one line for each.
*/

use super::{Answer, Asked};
use crate::aws::error::Told;
use crate::aws::sns;

/// Serves a call of SNS.
pub(super) async fn route(asked: Asked<'_>) -> Result<Answer, Told> {
    match asked.call.operation.as_str() {
        "CreateTopic" => asked.by(sns::create_topic).await,
        "DeleteTopic" => asked.by(sns::delete_topic).await,
        "ListTopics" => asked.by(sns::list_topics).await,
        "GetTopicAttributes" => asked.by(sns::get_topic_attributes).await,
        "SetTopicAttributes" => asked.by(sns::set_topic_attributes).await,
        "Subscribe" => asked.by(sns::subscribe).await,
        "ConfirmSubscription" => asked.by(sns::confirm_subscription).await,
        "Unsubscribe" => asked.by(sns::unsubscribe).await,
        "ListSubscriptions" => asked.by(sns::list_subscriptions).await,
        "ListSubscriptionsByTopic" => asked.by(sns::list_subscriptions_by_topic).await,
        "GetSubscriptionAttributes" => asked.by(sns::get_subscription_attributes).await,
        "SetSubscriptionAttributes" => asked.by(sns::set_subscription_attributes).await,
        "AddPermission" => asked.by(sns::add_permission).await,
        "RemovePermission" => asked.by(sns::remove_permission).await,
        "PublishBatch" => asked.by(sns::publish_batch).await,
        "Publish" => asked.by(sns::publish).await,
        _ => asked.unknown(),
    }
}
