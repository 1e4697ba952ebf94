/*!
What operations of SNS demand: all speak of topics by their ARN, and a topic's own policy counts too.
*/

use serde::Deserialize;

use super::{Cx, Demand, Demands};
use crate::manage::topics;

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Names {
    name: Option<String>,
    topic_arn: Option<String>,
    target_arn: Option<String>,
    subscription_arn: Option<String>,
    resource_arn: Option<String>,
    protocol: Option<String>,
    endpoint: Option<String>,
}

pub(super) fn demands(cx: &Cx, operation: &str, names: &Names) -> Option<Demands> {
    let action = format!("sns:{operation}");
    Some(match operation {
        "CreateTopic" => {
            let arn = names.name.as_deref().map(|name| topics::arn(&cx.region, &cx.app.account, name));
            of(&action, [arn])
        }
        // A batch needs the same permission as a single message.
        "Publish" | "PublishBatch" => of("sns:Publish", [names.topic_arn.clone(), names.target_arn.clone()]),
        "Subscribe" => of(&action, [names.topic_arn.clone()])
            .into_iter()
            .map(|demand| {
                let demand = demand.with("sns:Protocol", names.protocol.as_deref());
                demand.with("sns:Endpoint", names.endpoint.as_deref())
            })
            .collect(),
        "DeleteTopic"
        | "GetTopicAttributes"
        | "SetTopicAttributes"
        | "ConfirmSubscription"
        | "ListSubscriptionsByTopic"
        | "AddPermission"
        | "RemovePermission" => of(&action, [names.topic_arn.clone()]),
        "TagResource" | "UntagResource" | "ListTagsForResource" => of(&action, [names.resource_arn.clone()]),
        "Unsubscribe" | "GetSubscriptionAttributes" | "SetSubscriptionAttributes" => {
            match names.subscription_arn.as_deref() {
                Some(arn) => vec![Demand::of(action, of_subscription(arn))],
                None => vec![Demand::anywhere(action)],
            }
        }
        "ListTopics" | "ListSubscriptions" => vec![Demand::anywhere(action)],
        _ => return None,
    })
}

fn of<const N: usize>(action: &str, arns: [Option<String>; N]) -> Demands {
    let demands: Demands = arns.into_iter().flatten().map(|arn| Demand::of(action, vec![arn])).collect();
    if demands.is_empty() { vec![Demand::anywhere(action)] } else { demands }
}

/// The topic of a subscription, and the subscription itself: policies name either.
fn of_subscription(arn: &str) -> Vec<String> {
    let topic: Vec<&str> = arn.split(':').take(6).collect();
    vec![topic.join(":"), arn.to_owned()]
}
