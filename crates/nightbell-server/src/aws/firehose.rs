/*!
Data Firehose: delivery streams, and records for them ("Amazon Data Firehose API Reference").

A destination is shown as it was given, with the service's defaults and without its secrets, so that whoever manages it finds no change.
*/

use std::collections::BTreeMap;

use nightbell_wire::value::{Blob, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Cx;
use super::error::{ApiError, refused};
use super::service::Service;
use crate::manage::Refusal;
use crate::manage::buckets;
use crate::manage::streams::{
    self, BATCH_RECORDS_MAX, DeliveryStream, Outcome, RECORD_BYTES_MAX, RECORDS_BYTES_MAX,
};
use crate::streams::plan::Kind;

/// The id of a stream's one destination.
const DESTINATION: &str = "destinationId-000000000001";
/// Streams of one page, unless said otherwise; the most that may be asked.
const PAGE: usize = 10;
const PAGE_MAX: usize = 10_000;

fn no(refusal: Refusal) -> ApiError {
    refused(Service::Firehose, refusal)
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::sender("InvalidArgumentException", text)
}

fn need<T>(value: Option<T>, member: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| invalid(format!("{member} is missing")))
}

fn missing(cx: &Cx, name: &str) -> ApiError {
    let shown: String = name.chars().take(100).collect();
    let text = format!("Firehose {shown} under account {} not found.", cx.app.account);
    ApiError::sender("ResourceNotFoundException", text)
}

fn found(cx: &Cx, name: &str) -> Result<DeliveryStream, ApiError> {
    streams::find(&cx.app.records, &cx.region, name)
        .map_err(|failure| no(failure.into()))?
        .ok_or_else(|| missing(cx, name))
}

/// What an outcome is told as.
fn told(cx: &Cx, name: &str, outcome: Outcome) -> Result<(), ApiError> {
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Missing => Err(missing(cx, name)),
        Outcome::Exists => {
            let text = format!("Firehose {name} under accountId {} already exists", cx.app.account);
            Err(ApiError::sender("ResourceInUseException", text))
        }
        Outcome::Changed => {
            let text = format!("Firehose {name} was changed meanwhile; describe it and use its VersionId");
            Err(ApiError::sender("ConcurrentModificationException", text))
        }
    }
}

#[derive(Serialize)]
pub(super) struct Done {}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: Option<String>,
}

fn tags(given: Vec<Tag>) -> BTreeMap<String, String> {
    given.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default())).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateDeliveryStreamRequest {
    delivery_stream_name: Option<String>,
    delivery_stream_type: Option<String>,
    delivery_stream_encryption_configuration_input: Option<Value>,
    #[serde(default, deserialize_with = "super::nullable")]
    tags: Vec<Tag>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateDeliveryStreamResponse {
    #[serde(rename = "DeliveryStreamARN")]
    delivery_stream_arn: String,
}

pub(super) async fn create_delivery_stream(
    cx: Cx,
    request: CreateDeliveryStreamRequest,
) -> Result<CreateDeliveryStreamResponse, ApiError> {
    let name = need(request.delivery_stream_name, "DeliveryStreamName")?;
    if !matches!(request.delivery_stream_type.as_deref(), None | Some("DirectPut")) {
        return Err(invalid("DeliveryStreamType: only DirectPut is served by this version"));
    }
    if request.delivery_stream_encryption_configuration_input.is_some_and(|asked| !asked.is_null()) {
        return Err(invalid("DeliveryStreamEncryptionConfigurationInput is not served by this version"));
    }
    let (kind, mut destination) = destination(request.rest, "Configuration")?;
    let secret = take_secret(&mut destination)?;
    let stream = DeliveryStream {
        name: name.clone(),
        created: cx.now,
        updated: None,
        version: 1,
        kind,
        destination,
        secret,
        tags: tags(request.tags),
    };
    check_bucket(&cx, &stream)?;
    let outcome = streams::create(&cx.app.records, &cx.region, &stream).map_err(no)?;
    told(&cx, &name, outcome)?;
    Ok(CreateDeliveryStreamResponse { delivery_stream_arn: streams::arn(&cx.region, &cx.app.account, &name) })
}

/// Refuses a bucket that is not here where no other server has some. What else is wrong with a destination is told later.
fn check_bucket(cx: &Cx, stream: &DeliveryStream) -> Result<(), ApiError> {
    let is_here = |bucket: &str| buckets::find(&cx.app.records, bucket).is_ok();
    match stream.plan() {
        Ok(plan) if !cx.app.ways.has_buckets() && !is_here(plan.bucket()) => {
            let text = format!(
                "There is no bucket {}: make it first, or name the server that has it (streams_key_file, streams_endpoint)",
                plan.bucket()
            );
            Err(invalid(text))
        }
        _ => Ok(()),
    }
}

/// The one destination among the members of a request, whose names end with `ending`.
fn destination(members: Map<String, Value>, ending: &str) -> Result<(Kind, Map<String, Value>), ApiError> {
    let mut found = None;
    for (member, value) in members {
        let Some(name) = member.strip_suffix(ending).filter(|name| name.ends_with("Destination")) else {
            continue;
        };
        let Value::Object(given) = value else { continue };
        let kind = match name {
            "ExtendedS3Destination" | "S3Destination" => Kind::S3,
            "HttpEndpointDestination" => Kind::Http,
            "SplunkDestination" => Kind::Splunk,
            _ => {
                return Err(invalid(format!(
                    "{member} is not served by this version; use ExtendedS3, HttpEndpoint or Splunk"
                )));
            }
        };
        if found.replace((kind, given)).is_some() {
            return Err(invalid("Only one destination may be given"));
        }
    }
    found.ok_or_else(|| {
        invalid(format!(
            "A destination is missing: give ExtendedS3Destination{ending}, HttpEndpointDestination{ending} or \
             SplunkDestination{ending}"
        ))
    })
}

/// Takes the access key of an endpoint out of what is shown.
fn take_secret(destination: &mut Map<String, Value>) -> Result<Option<String>, ApiError> {
    let endpoint = destination.get_mut("EndpointConfiguration").and_then(Value::as_object_mut);
    match endpoint.and_then(|endpoint| endpoint.remove("AccessKey")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(key)) => Ok(Some(key)),
        Some(_) => Err(invalid("EndpointConfiguration.AccessKey is no text")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StreamRequest {
    delivery_stream_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeDeliveryStreamResponse {
    delivery_stream_description: Description,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    delivery_stream_name: String,
    #[serde(rename = "DeliveryStreamARN")]
    delivery_stream_arn: String,
    delivery_stream_status: &'static str,
    delivery_stream_encryption_configuration: Value,
    delivery_stream_type: &'static str,
    version_id: String,
    create_timestamp: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_timestamp: Option<Time>,
    destinations: [Value; 1],
    has_more_destinations: bool,
}

pub(super) async fn describe_delivery_stream(
    cx: Cx,
    request: StreamRequest,
) -> Result<DescribeDeliveryStreamResponse, ApiError> {
    let stream = found(&cx, &need(request.delivery_stream_name, "DeliveryStreamName")?)?;
    let description = Description {
        delivery_stream_arn: streams::arn(&cx.region, &cx.app.account, &stream.name),
        delivery_stream_name: stream.name,
        delivery_stream_status: "ACTIVE",
        delivery_stream_encryption_configuration: json!({"Status": "DISABLED"}),
        delivery_stream_type: "DirectPut",
        version_id: stream.version.to_string(),
        create_timestamp: Time(stream.created.as_millis()),
        last_update_timestamp: stream.updated.map(|updated| Time(updated.as_millis())),
        destinations: [shown(stream.kind, stream.destination)],
        has_more_destinations: false,
    };
    Ok(DescribeDeliveryStreamResponse { delivery_stream_description: description })
}

/// A destination as it is described.
fn shown(kind: Kind, destination: Map<String, Value>) -> Value {
    match kind {
        Kind::S3 => {
            let mut simple = destination.clone();
            simple.retain(|member, _| {
                matches!(
                    member.as_str(),
                    "RoleARN"
                        | "BucketARN"
                        | "Prefix"
                        | "ErrorOutputPrefix"
                        | "BufferingHints"
                        | "CompressionFormat"
                        | "EncryptionConfiguration"
                        | "CloudWatchLoggingOptions"
                )
            });
            let mut extended = with_defaults(destination);
            extended.entry("S3BackupMode").or_insert_with(|| "Disabled".into());
            json!({
                "DestinationId": DESTINATION,
                "S3DestinationDescription": with_defaults(simple),
                "ExtendedS3DestinationDescription": extended,
            })
        }
        Kind::Http => {
            let described = with_backup(
                destination,
                [
                    ("BufferingHints", json!({"SizeInMBs": 5, "IntervalInSeconds": 300})),
                    ("CloudWatchLoggingOptions", json!({"Enabled": false})),
                    ("RequestConfiguration", json!({"ContentEncoding": "NONE"})),
                    ("RetryOptions", json!({"DurationInSeconds": 300})),
                    ("S3BackupMode", json!("FailedDataOnly")),
                ],
            );
            json!({ "DestinationId": DESTINATION, "HttpEndpointDestinationDescription": described })
        }
        // The token is part of the description, as the service has it: whoever manages a stream compares it.
        Kind::Splunk => {
            let described = with_backup(
                destination,
                [
                    ("BufferingHints", json!({"SizeInMBs": 5, "IntervalInSeconds": 60})),
                    ("CloudWatchLoggingOptions", json!({"Enabled": false})),
                    ("HECAcknowledgmentTimeoutInSeconds", json!(180)),
                    ("RetryOptions", json!({"DurationInSeconds": 3_600})),
                    ("S3BackupMode", json!("FailedEventsOnly")),
                ],
            );
            json!({ "DestinationId": DESTINATION, "SplunkDestinationDescription": described })
        }
    }
}

/// The configuration of an endpoint as it is described: its bucket, and what it is where it says nothing.
fn with_backup(mut given: Map<String, Value>, defaults: [(&str, Value); 5]) -> Map<String, Value> {
    let backup = given.remove("S3Configuration").and_then(|given| given.as_object().cloned());
    given.insert("S3DestinationDescription".into(), with_defaults(backup.unwrap_or_default()).into());
    for (member, default) in defaults {
        given.entry(member).or_insert(default);
    }
    given
}

/// What a bucket's configuration is where it says nothing.
fn with_defaults(mut given: Map<String, Value>) -> Map<String, Value> {
    for (member, default) in [
        ("BufferingHints", json!({"SizeInMBs": 5, "IntervalInSeconds": 300})),
        ("CompressionFormat", json!("UNCOMPRESSED")),
        ("EncryptionConfiguration", json!({"NoEncryptionConfig": "NoEncryption"})),
        ("CloudWatchLoggingOptions", json!({"Enabled": false})),
    ] {
        given.entry(member).or_insert(default);
    }
    given
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListDeliveryStreamsRequest {
    limit: Option<i64>,
    delivery_stream_type: Option<String>,
    exclusive_start_delivery_stream_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListDeliveryStreamsResponse {
    delivery_stream_names: Vec<String>,
    has_more_delivery_streams: bool,
}

pub(super) async fn list_delivery_streams(
    cx: Cx,
    request: ListDeliveryStreamsRequest,
) -> Result<ListDeliveryStreamsResponse, ApiError> {
    let limit = match request.limit {
        None => PAGE,
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=PAGE_MAX).contains(limit))
            .ok_or_else(|| invalid(format!("Limit {limit} is not between 1 and {PAGE_MAX}")))?,
    };
    if !matches!(request.delivery_stream_type.as_deref(), None | Some("DirectPut")) {
        return Ok(ListDeliveryStreamsResponse {
            delivery_stream_names: Vec::new(),
            has_more_delivery_streams: false,
        });
    }
    let after = request.exclusive_start_delivery_stream_name.unwrap_or_default();
    let all = streams::list(&cx.app.records, &cx.region).map_err(|failure| no(failure.into()))?;
    let mut names: Vec<String> =
        all.into_iter().map(|stream| stream.name).filter(|name| *name > after).collect();
    let has_more_delivery_streams = names.len() > limit;
    names.truncate(limit);
    Ok(ListDeliveryStreamsResponse { delivery_stream_names: names, has_more_delivery_streams })
}

pub(super) async fn delete_delivery_stream(cx: Cx, request: StreamRequest) -> Result<Done, ApiError> {
    let name = need(request.delivery_stream_name, "DeliveryStreamName")?;
    let outcome = streams::remove(&cx.app, &cx.region, &name).map_err(no)?;
    told(&cx, &name, outcome)?;
    Ok(Done {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateDestinationRequest {
    delivery_stream_name: Option<String>,
    current_delivery_stream_version_id: Option<String>,
    destination_id: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

pub(super) async fn update_destination(cx: Cx, request: UpdateDestinationRequest) -> Result<Done, ApiError> {
    let name = need(request.delivery_stream_name, "DeliveryStreamName")?;
    let version = need(request.current_delivery_stream_version_id, "CurrentDeliveryStreamVersionId")?;
    if need(request.destination_id, "DestinationId")? != DESTINATION {
        return Err(invalid(format!("DestinationId is not that of the stream, {DESTINATION}")));
    }
    let (kind, mut update) = destination(request.rest, "Update")?;
    if let Some(backup) = update.remove("S3Update") {
        update.insert("S3Configuration".into(), backup);
    }
    let secret = take_secret(&mut update)?;
    let now = cx.now;
    let outcome = streams::change(&cx.app.records, &cx.region, &name, Some(&version), |stream| {
        if stream.kind == kind {
            merge(&mut stream.destination, update);
        } else {
            (stream.kind, stream.destination) = (kind, update);
            stream.secret = None;
        }
        stream.secret = secret.or(stream.secret.take());
        stream.version += 1;
        stream.updated = Some(now);
        Ok(())
    });
    told(&cx, &name, outcome.map_err(no)?)?;
    Ok(Done {})
}

/// What an update does not name stays ("UpdateDestination"); the backup's configuration likewise.
fn merge(kept: &mut Map<String, Value>, update: Map<String, Value>) {
    for (member, value) in update {
        match (kept.get_mut(&member), value) {
            (Some(Value::Object(kept)), Value::Object(update)) if member == "S3Configuration" => {
                merge(kept, update)
            }
            (_, value) => {
                kept.insert(member, value);
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    data: Option<Blob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecordRequest {
    delivery_stream_name: Option<String>,
    record: Option<Record>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecordResponse {
    record_id: String,
    encrypted: bool,
}

fn record_bytes(record: Record) -> Result<Vec<u8>, ApiError> {
    let data = need(record.data, "Record.Data")?.0;
    if data.len() > RECORD_BYTES_MAX {
        let text = format!("A record of {} bytes is larger than the limit of {RECORD_BYTES_MAX}", data.len());
        return Err(invalid(text));
    }
    Ok(data)
}

/// Stores records; nobody is answered before they are on disk.
fn store(cx: &Cx, name: &str, records: &[Vec<u8>]) -> Result<(), ApiError> {
    found(cx, name)?;
    if streams::accept(&cx.app, &cx.region, name, records, cx.now).map_err(no)? {
        return Ok(());
    }
    let message = "Slow down: too much waits for this stream; its destination may be away".to_owned();
    Err(ApiError { status: 503, code: "ServiceUnavailableException", message })
}

pub(super) async fn put_record(cx: Cx, request: PutRecordRequest) -> Result<PutRecordResponse, ApiError> {
    let name = need(request.delivery_stream_name, "DeliveryStreamName")?;
    let data = record_bytes(need(request.record, "Record")?)?;
    store(&cx, &name, &[data])?;
    Ok(PutRecordResponse { record_id: Uuid::new_v4().to_string(), encrypted: false })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecordBatchRequest {
    delivery_stream_name: Option<String>,
    records: Option<Vec<Record>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecordBatchResponse {
    failed_put_count: usize,
    encrypted: bool,
    request_responses: Vec<RecordAnswer>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RecordAnswer {
    record_id: String,
}

pub(super) async fn put_record_batch(
    cx: Cx,
    request: PutRecordBatchRequest,
) -> Result<PutRecordBatchResponse, ApiError> {
    let name = need(request.delivery_stream_name, "DeliveryStreamName")?;
    let records = need(request.records, "Records")?;
    if !(1..=BATCH_RECORDS_MAX).contains(&records.len()) {
        return Err(invalid(format!("Records: {} are not between 1 and {BATCH_RECORDS_MAX}", records.len())));
    }
    let records = records.into_iter().map(record_bytes).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = records.iter().map(Vec::len).sum();
    if bytes > RECORDS_BYTES_MAX {
        return Err(invalid(format!(
            "Records of {bytes} bytes are more than the limit of {RECORDS_BYTES_MAX}"
        )));
    }
    store(&cx, &name, &records)?;
    let answers = records.iter().map(|_| RecordAnswer { record_id: Uuid::new_v4().to_string() });
    Ok(PutRecordBatchResponse { failed_put_count: 0, encrypted: false, request_responses: answers.collect() })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagDeliveryStreamRequest {
    delivery_stream_name: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    tags: Vec<Tag>,
}

pub(super) async fn tag_delivery_stream(cx: Cx, request: TagDeliveryStreamRequest) -> Result<Done, ApiError> {
    let name = need(request.delivery_stream_name, "DeliveryStreamName")?;
    retag(&cx, &name, |kept| kept.extend(tags(request.tags)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagDeliveryStreamRequest {
    delivery_stream_name: Option<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    tag_keys: Vec<String>,
}

pub(super) async fn untag_delivery_stream(
    cx: Cx,
    request: UntagDeliveryStreamRequest,
) -> Result<Done, ApiError> {
    let name = need(request.delivery_stream_name, "DeliveryStreamName")?;
    retag(&cx, &name, |kept| kept.retain(|key, _| !request.tag_keys.contains(key)))
}

fn retag(cx: &Cx, name: &str, edit: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<Done, ApiError> {
    let outcome = streams::change(&cx.app.records, &cx.region, name, None, |stream| {
        edit(&mut stream.tags);
        Ok(())
    });
    told(cx, name, outcome.map_err(no)?)?;
    Ok(Done {})
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTagsResponse {
    tags: Vec<Tag>,
    has_more_tags: bool,
}

pub(super) async fn list_tags_for_delivery_stream(
    cx: Cx,
    request: StreamRequest,
) -> Result<ListTagsResponse, ApiError> {
    let stream = found(&cx, &need(request.delivery_stream_name, "DeliveryStreamName")?)?;
    let tags = stream.tags.into_iter().map(|(key, value)| Tag { key, value: Some(value) }).collect();
    Ok(ListTagsResponse { tags, has_more_tags: false })
}
