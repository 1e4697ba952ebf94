/*!
The operations of S3: one line for each. They are asked for by path and answered in documents of their own or as they are, so that nothing
is decoded or encoded here.
*/

use std::future::Future;
use std::sync::Arc;

use axum::response::Response;
use serde_json::json;

use crate::aws::error::Told;
use crate::aws::s3::{Ask, S3Error, buckets, inside, judge, listing, multipart, objects, settings, tagging};
use crate::aws::{Cx, known};

/// A call of S3.
struct Asked {
    cx: Cx,
    operation: &'static str,
    ask: Ask,
}

/// Serves a request whose signature was checked; what comes of its body is looked at by the operation.
pub(in crate::aws) async fn answer(cx: Cx, operation: &'static str, ask: Ask) -> Result<Response, S3Error> {
    let app = Arc::clone(&cx.app);
    let answer = dispatch(Asked { cx, operation, ask }).await;
    let told = answer.as_ref().map_or_else(S3Error::code, |_| "ok");
    app.telemetry.requests.with_label_values(&[operation, told]).inc();
    answer
}

async fn dispatch(asked: Asked) -> Result<Response, S3Error> {
    match asked.operation {
        "ListBuckets" => asked.by(buckets::list_buckets).await,
        "CreateBucket" => asked.by(buckets::create_bucket).await,
        "HeadBucket" => asked.by(buckets::head_bucket).await,
        "DeleteBucket" => asked.by(buckets::delete_bucket).await,
        "GetBucketLocation" => asked.by(buckets::get_bucket_location).await,
        "GetBucketAccelerateConfiguration" => asked.by(settings::get_bucket_accelerate_configuration).await,
        "GetBucketAcl" => asked.by(settings::get_bucket_acl).await,
        "PutBucketAcl" => asked.by(settings::put_bucket_acl).await,
        "GetBucketCors" => asked.by(settings::get_bucket_cors).await,
        "GetBucketEncryption" => asked.by(settings::get_bucket_encryption).await,
        "GetBucketLifecycleConfiguration" => asked.by(settings::get_bucket_lifecycle_configuration).await,
        "GetBucketLogging" => asked.by(settings::get_bucket_logging).await,
        "GetBucketNotificationConfiguration" => asked.by(settings::get_bucket_notification).await,
        "GetBucketOwnershipControls" => asked.by(settings::get_bucket_ownership_controls).await,
        "PutBucketOwnershipControls" => asked.by(settings::put_bucket_ownership_controls).await,
        "GetBucketPolicy" => asked.by(settings::get_bucket_policy).await,
        "PutBucketPolicy" => asked.by(settings::put_bucket_policy).await,
        "DeleteBucketPolicy" => asked.by(settings::delete_bucket_policy).await,
        "GetBucketPolicyStatus" => asked.by(settings::get_bucket_policy_status).await,
        "GetBucketReplication" => asked.by(settings::get_bucket_replication).await,
        "GetBucketRequestPayment" => asked.by(settings::get_bucket_request_payment).await,
        "GetBucketVersioning" => asked.by(settings::get_bucket_versioning).await,
        "GetBucketWebsite" => asked.by(settings::get_bucket_website).await,
        "GetObjectLockConfiguration" => asked.by(settings::get_object_lock_configuration).await,
        "GetPublicAccessBlock" => asked.by(settings::get_public_access_block).await,
        "PutPublicAccessBlock" => asked.by(settings::put_public_access_block).await,
        "DeletePublicAccessBlock" => asked.by(settings::delete_public_access_block).await,
        "GetBucketTagging" => asked.by(tagging::get_bucket_tagging).await,
        "PutBucketTagging" => asked.by(tagging::put_bucket_tagging).await,
        "DeleteBucketTagging" => asked.by(tagging::delete_bucket_tagging).await,
        "GetObjectTagging" => asked.by(tagging::get_object_tagging).await,
        "PutObjectTagging" => asked.by(tagging::put_object_tagging).await,
        "DeleteObjectTagging" => asked.by(tagging::delete_object_tagging).await,
        "ListObjects" => asked.by(listing::list_objects).await,
        "ListObjectsV2" => asked.by(listing::list_objects_v2).await,
        "ListObjectVersions" => asked.by(listing::list_object_versions).await,
        "PutObject" => asked.by(objects::put_object).await,
        "GetObject" => asked.by(objects::get_object).await,
        "HeadObject" => asked.by(objects::head_object).await,
        "CopyObject" => asked.by(objects::copy_object).await,
        "DeleteObject" => asked.by(objects::delete_object).await,
        "DeleteObjects" => asked.by(objects::delete_objects).await,
        "GetObjectAcl" => asked.by(objects::get_object_acl).await,
        "PutObjectAcl" => asked.by(objects::put_object_acl).await,
        "CreateMultipartUpload" => asked.by(multipart::create_multipart_upload).await,
        "UploadPart" => asked.by(multipart::upload_part).await,
        "UploadPartCopy" => asked.by(multipart::upload_part_copy).await,
        "CompleteMultipartUpload" => asked.by(multipart::complete_multipart_upload).await,
        "AbortMultipartUpload" => asked.by(multipart::abort_multipart_upload).await,
        "ListParts" => asked.by(multipart::list_parts).await,
        "ListMultipartUploads" => asked.by(multipart::list_multipart_uploads).await,
        _ => Err(asked.unknown()),
    }
}

/// Serves a call from inside the server, with JSON in and out: what whoever manages buckets needs.
pub(super) async fn inside(asked: super::Asked<'_>) -> Result<super::Answer, Told> {
    match asked.call.operation.as_str() {
        "CreateBucket" => asked.by(inside::create_bucket).await,
        "HeadBucket" => asked.by(inside::head_bucket).await,
        "DeleteBucket" => asked.by(inside::delete_bucket).await,
        "PutBucketTagging" => asked.by(inside::put_bucket_tagging).await,
        _ => asked.unknown(),
    }
}

impl Asked {
    /// Judges whether the caller may ask for it, and calls `serve`.
    async fn by<W>(self, serve: impl FnOnce(Cx, Ask) -> W) -> Result<Response, S3Error>
    where
        W: Future<Output = Result<Response, S3Error>>,
    {
        let Self { cx, operation, ask } = self;
        permitted(&cx, operation, &ask)?;
        serve(cx, ask).await
    }

    fn unknown(&self) -> S3Error {
        // What browsers post as a form is no operation by name.
        let what = if known::is_known("s3", self.operation) { "The operation" } else { "The request" };
        S3Error::not_implemented(format_args!("{what} {} of S3", self.operation))
    }
}

fn permitted(cx: &Cx, operation: &str, ask: &Ask) -> Result<(), S3Error> {
    ask.check_owner(cx)?;
    let names = json!({
        "Bucket": ask.bucket(),
        "Key": ask.key(),
        "Prefix": ask.parameter("prefix"),
        "Delimiter": ask.parameter("delimiter"),
        "MaxKeys": ask.parameter("max-keys"),
        "Tagging": ask.header("x-amz-tagging")?,
    });
    judge(cx, operation, &names)
}
