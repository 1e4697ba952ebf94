/*!
What operations of Firehose demand; a stream that is given roles demands that they may be passed.
*/

use serde::Deserialize;

use super::{Cx, Demand, Demands};

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Names {
    delivery_stream_name: Option<String>,
    #[serde(rename = "S3DestinationConfiguration", alias = "S3DestinationUpdate")]
    s3: Option<Destination>,
    #[serde(rename = "ExtendedS3DestinationConfiguration", alias = "ExtendedS3DestinationUpdate")]
    extended_s3: Option<Destination>,
    #[serde(rename = "HttpEndpointDestinationConfiguration", alias = "HttpEndpointDestinationUpdate")]
    http: Option<Destination>,
    #[serde(rename = "SplunkDestinationConfiguration", alias = "SplunkDestinationUpdate")]
    splunk: Option<Destination>,
}

/// Where a stream leads to, and by which roles.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Destination {
    #[serde(rename = "RoleARN")]
    role: Option<String>,
    #[serde(rename = "S3Configuration", alias = "S3Update")]
    s3: Option<Bucket>,
    #[serde(rename = "S3BackupConfiguration", alias = "S3BackupUpdate")]
    backup: Option<Bucket>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bucket {
    #[serde(rename = "RoleARN")]
    role: Option<String>,
}

pub(super) fn demands(cx: &Cx, operation: &str, names: &Names) -> Option<Demands> {
    let action = format!("firehose:{operation}");
    let stream = match &names.delivery_stream_name {
        Some(name) => {
            let place = (&cx.region, &cx.app.account);
            let arn = format!("arn:aws:firehose:{}:{}:deliverystream/{name}", place.0, place.1);
            Demand::of(action.clone(), vec![arn])
        }
        None => Demand::anywhere(action.clone()),
    };
    Some(match operation {
        "CreateDeliveryStream" | "UpdateDestination" => {
            let roles = names.roles().map(|role| Demand::pass_role(role, "firehose.amazonaws.com"));
            std::iter::once(stream).chain(roles).collect()
        }
        "DescribeDeliveryStream"
        | "DeleteDeliveryStream"
        | "PutRecord"
        | "PutRecordBatch"
        | "TagDeliveryStream"
        | "UntagDeliveryStream"
        | "ListTagsForDeliveryStream"
        | "StartDeliveryStreamEncryption"
        | "StopDeliveryStreamEncryption" => vec![stream],
        "ListDeliveryStreams" => vec![Demand::anywhere(action)],
        _ => return None,
    })
}

impl Names {
    fn roles(&self) -> impl Iterator<Item = &str> {
        let destinations = [&self.s3, &self.extended_s3, &self.http, &self.splunk].into_iter().flatten();
        destinations.flat_map(|destination| {
            let buckets = [&destination.s3, &destination.backup].into_iter().flatten();
            destination.role.as_deref().into_iter().chain(buckets.filter_map(|bucket| bucket.role.as_deref()))
        })
    }
}
