/*!
Buckets for other parts of the server, which ask with JSON rather than by path.
*/

use serde::{Deserialize, Serialize};

use super::{S3Error, buckets};
use crate::aws::error::{ApiError, Told};
use crate::aws::{Cx, tags};
use crate::manage;

#[derive(Serialize)]
pub(in crate::aws) struct Done {}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct BucketRequest {
    bucket: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct CreateBucketRequest {
    bucket: String,
    #[serde(default)]
    create_bucket_configuration: Option<Configuration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    location_constraint: Option<String>,
    #[serde(default)]
    tags: Vec<tags::Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct PutBucketTaggingRequest {
    bucket: String,
    tagging: Tagging,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tagging {
    tag_set: Vec<tags::Tag>,
}

impl From<S3Error> for Told {
    fn from(error: S3Error) -> Self {
        ApiError { status: error.status, code: error.code, message: error.message }.into()
    }
}

pub(in crate::aws) async fn create_bucket(cx: Cx, request: CreateBucketRequest) -> Result<Done, S3Error> {
    let (region, given) = match request.create_bucket_configuration {
        Some(given) => (given.location_constraint, given.tags),
        None => (None, Vec::new()),
    };
    let given = tags::read(given)?;
    manage::tags::check(&given)?;
    buckets::create(&cx, &request.bucket, region.as_deref(), given)?;
    Ok(Done {})
}

pub(in crate::aws) async fn head_bucket(cx: Cx, request: BucketRequest) -> Result<Done, S3Error> {
    manage::buckets::find(&cx.app.records, &request.bucket)?;
    Ok(Done {})
}

pub(in crate::aws) async fn delete_bucket(cx: Cx, request: BucketRequest) -> Result<Done, S3Error> {
    buckets::delete(&cx, &request.bucket)?;
    Ok(Done {})
}

pub(in crate::aws) async fn put_bucket_tagging(
    cx: Cx,
    request: PutBucketTaggingRequest,
) -> Result<Done, S3Error> {
    let given = tags::read(request.tagging.tag_set)?;
    manage::tags::check(&given)?;
    let set = |bucket: &mut manage::buckets::BucketRecord| bucket.tags = given;
    manage::buckets::set(&cx.app.buckets, &cx.app.records, &request.bucket, set)?;
    Ok(Done {})
}
