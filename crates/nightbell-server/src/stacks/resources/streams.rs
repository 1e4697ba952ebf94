/*!
`AWS::KinesisFirehose::…`: delivery streams.
*/

use async_trait::async_trait;
use serde_json::{Value, json};

use super::shape::{Property, Shape, TAGS, text};
use super::{Handler, Made, Naming, Old, Site, Type, Wanted, items, listed, members, said};
use crate::aws::error::Told;
use crate::aws::service::Service::Firehose;

/// What is answered where a stream is not there.
const MISSING: &[&str] = &["ResourceNotFoundException"];
/// What is answered where it is.
const EXISTS: &[&str] = &["ResourceInUseException"];

pub(super) static TYPES: [Type; 1] = [Type {
    name: "AWS::KinesisFirehose::DeliveryStream",
    properties: &[
        text("DeliveryStreamName").replacing(),
        text("DeliveryStreamType").replacing(),
        Property::new("ExtendedS3DestinationConfiguration", Shape::Object(EXTENDED_S3)),
        Property::new("S3DestinationConfiguration", Shape::Object(S3)),
        Property::new("HttpEndpointDestinationConfiguration", Shape::Object(HTTP)),
        TAGS,
    ],
    attributes: &["Arn"],
    naming: Naming::Property("DeliveryStreamName", 64),
    gives_rights: false,
    handler: &DeliveryStream,
}];

const BUFFERING: Property = Property::new(
    "BufferingHints",
    Shape::Object(&[
        Property::new("IntervalInSeconds", Shape::Whole),
        Property::new("SizeInMBs", Shape::Whole),
    ]),
);

const LOGGING: Property = Property::new(
    "CloudWatchLoggingOptions",
    Shape::Object(&[Property::new("Enabled", Shape::Bool), text("LogGroupName"), text("LogStreamName")]),
);

const ENCRYPTION: Property =
    Property::new("EncryptionConfiguration", Shape::Object(&[text("NoEncryptionConfig")]));

const RETRYING: Property =
    Property::new("RetryOptions", Shape::Object(&[Property::new("DurationInSeconds", Shape::Whole)]));

const PROCESSING: Property = Property::new(
    "ProcessingConfiguration",
    Shape::Object(&[
        Property::new("Enabled", Shape::Bool),
        Property::new(
            "Processors",
            Shape::List(&[
                text("Type").required(),
                Property::new(
                    "Parameters",
                    Shape::List(&[text("ParameterName").required(), text("ParameterValue").required()]),
                ),
            ]),
        ),
    ]),
);

const S3: &[Property] = &[
    text("BucketARN").required(),
    text("RoleARN").required(),
    text("Prefix"),
    text("ErrorOutputPrefix"),
    text("CompressionFormat"),
    BUFFERING,
    LOGGING,
    ENCRYPTION,
];

const EXTENDED_S3: &[Property] = &[
    text("BucketARN").required(),
    text("RoleARN").required(),
    text("Prefix"),
    text("ErrorOutputPrefix"),
    text("CompressionFormat"),
    text("CustomTimeZone"),
    text("FileExtension"),
    text("S3BackupMode"),
    BUFFERING,
    LOGGING,
    ENCRYPTION,
    PROCESSING,
    Property::new("S3BackupConfiguration", Shape::Object(S3)),
];

const HTTP: &[Property] = &[
    Property::new(
        "EndpointConfiguration",
        Shape::Object(&[text("Url").required(), text("Name"), text("AccessKey")]),
    )
    .required(),
    Property::new("S3Configuration", Shape::Object(S3)).required(),
    text("RoleARN"),
    text("S3BackupMode"),
    Property::new(
        "RequestConfiguration",
        Shape::Object(&[
            text("ContentEncoding"),
            Property::new(
                "CommonAttributes",
                Shape::List(&[text("AttributeName").required(), text("AttributeValue").required()]),
            ),
        ]),
    ),
    BUFFERING,
    LOGGING,
    PROCESSING,
    RETRYING,
];

/// The properties that say where a stream leads; one of them does.
const DESTINATIONS: [&str; 3] = [
    "ExtendedS3DestinationConfiguration",
    "S3DestinationConfiguration",
    "HttpEndpointDestinationConfiguration",
];

struct DeliveryStream;

impl DeliveryStream {
    fn made(&self, site: &Site, name: &str) -> Made {
        Made::of(name).with("Arn", site.arn("firehose", &format!("deliverystream/{name}")))
    }
}

#[async_trait]
impl Handler for DeliveryStream {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let input = json!({"DeliveryStreamName": wanted.name});
        Ok(site.ask_unless(MISSING, Firehose, "DescribeDeliveryStream", input).await?.is_some())
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let mut input = members(wanted.properties, &["DeliveryStreamType"]);
        input.extend(members(wanted.properties, &DESTINATIONS));
        input.insert("DeliveryStreamName".into(), wanted.name.into());
        input.insert("Tags".into(), listed(wanted.tags));
        let codes = if wanted.resumed { EXISTS } else { &[] };
        site.ask_unless(codes, Firehose, "CreateDeliveryStream", input.into()).await?;
        Ok(self.made(site, wanted.name))
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        for name in DESTINATIONS.iter().filter(|name| old.differs(wanted, name)) {
            let Some(destination) = wanted.properties.get(*name) else { continue };
            let named = json!({"DeliveryStreamName": physical});
            let there = site.ask(Firehose, "DescribeDeliveryStream", named).await?;
            let there = &there["DeliveryStreamDescription"];
            let id = items(there, "Destinations").first().map_or("", |one| said(one, "DestinationId"));
            let mut input = json!({
                "DeliveryStreamName": physical, "DestinationId": id,
                "CurrentDeliveryStreamVersionId": there["VersionId"],
            });
            let member = name.replace("Configuration", "Update");
            input[member] = as_update(destination);
            site.ask(Firehose, "UpdateDestination", input).await?;
        }
        let (set, unset) = old.tag_changes(wanted);
        if !unset.is_empty() {
            let input = json!({"DeliveryStreamName": physical, "TagKeys": unset});
            site.ask(Firehose, "UntagDeliveryStream", input).await?;
        }
        if !set.is_empty() {
            let input = json!({"DeliveryStreamName": physical, "Tags": listed(&set)});
            site.ask(Firehose, "TagDeliveryStream", input).await?;
        }
        Ok(self.made(site, physical))
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        let input = json!({"DeliveryStreamName": physical});
        site.ask_unless(MISSING, Firehose, "DeleteDeliveryStream", input).await.map(|_| ())
    }
}

/// A destination as an update writes it: the buckets within have other names.
fn as_update(destination: &Value) -> Value {
    let mut update = destination.clone();
    if let Some(members) = update.as_object_mut() {
        for (name, renamed) in [("S3Configuration", "S3Update"), ("S3BackupConfiguration", "S3BackupUpdate")]
        {
            if let Some(value) = members.remove(name) {
                members.insert(renamed.into(), value);
            }
        }
    }
    update
}
