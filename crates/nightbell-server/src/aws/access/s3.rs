/*!
What operations of S3 demand. A bucket is `arn:aws:s3:::<bucket>`, an object `arn:aws:s3:::<bucket>/<key>`; several operations share an
action ("Actions, resources, and condition keys for Amazon S3", Service Authorization Reference).
*/

use serde::Deserialize;

use super::{Demand, Demands};

/// What the ARNs of buckets and objects begin with.
pub(super) const ARN: &str = "arn:aws:s3:::";

/// The members that name resources.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Names {
    bucket: Option<String>,
    key: Option<String>,
    prefix: Option<String>,
    delimiter: Option<String>,
    max_keys: Option<String>,
    tagging: Option<String>,
}

pub(super) fn demands(operation: &str, names: &Names) -> Option<Demands> {
    let bucket = names.bucket.as_deref().unwrap_or_default();
    let on_bucket = |action: &str| Demand::of(format!("s3:{action}"), vec![format!("{ARN}{bucket}")]);
    let on_object = |action: &str| {
        let key = names.key.as_deref().unwrap_or_default();
        Demand::of(format!("s3:{action}"), vec![format!("{ARN}{bucket}/{key}")])
    };
    let listing = |action: &str| {
        on_bucket(action)
            .with("s3:prefix", names.prefix.as_deref())
            .with("s3:delimiter", names.delimiter.as_deref())
            .with("s3:max-keys", names.max_keys.as_deref())
    };
    Some(match operation {
        "ListBuckets" => vec![Demand::anywhere("s3:ListAllMyBuckets")],
        "HeadBucket" => vec![on_bucket("ListBucket")],
        "ListObjects" | "ListObjectsV2" => vec![listing("ListBucket")],
        "ListObjectVersions" => vec![listing("ListBucketVersions")],
        "ListMultipartUploads" => vec![on_bucket("ListBucketMultipartUploads")],
        "GetBucketAccelerateConfiguration" => vec![on_bucket("GetAccelerateConfiguration")],
        "GetBucketCors" => vec![on_bucket("GetBucketCORS")],
        "GetBucketEncryption" => vec![on_bucket("GetEncryptionConfiguration")],
        "GetBucketLifecycleConfiguration" => vec![on_bucket("GetLifecycleConfiguration")],
        "GetBucketNotificationConfiguration" => vec![on_bucket("GetBucketNotification")],
        "GetBucketReplication" => vec![on_bucket("GetReplicationConfiguration")],
        "GetObjectLockConfiguration" => vec![on_bucket("GetBucketObjectLockConfiguration")],
        "GetPublicAccessBlock" => vec![on_bucket("GetBucketPublicAccessBlock")],
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => vec![on_bucket("PutBucketPublicAccessBlock")],
        "DeleteBucketTagging" => vec![on_bucket("PutBucketTagging")],
        "CreateBucket"
        | "DeleteBucket"
        | "GetBucketLocation"
        | "GetBucketAcl"
        | "PutBucketAcl"
        | "GetBucketLogging"
        | "GetBucketOwnershipControls"
        | "PutBucketOwnershipControls"
        | "GetBucketPolicy"
        | "PutBucketPolicy"
        | "DeleteBucketPolicy"
        | "GetBucketPolicyStatus"
        | "GetBucketRequestPayment"
        | "GetBucketTagging"
        | "PutBucketTagging"
        | "GetBucketVersioning"
        | "GetBucketWebsite" => vec![on_bucket(operation)],
        "GetObject" | "HeadObject" => vec![on_object("GetObject")],
        "PutObject" | "CopyObject" | "CreateMultipartUpload" => {
            let tags = names.tagging.is_some().then(|| on_object("PutObjectTagging"));
            std::iter::once(on_object("PutObject")).chain(tags).collect()
        }
        "UploadPart" | "UploadPartCopy" | "CompleteMultipartUpload" => vec![on_object("PutObject")],
        "ListParts" => vec![on_object("ListMultipartUploadParts")],
        // Each key is judged as it is come to.
        "DeleteObjects" => Vec::new(),
        "DeleteObject"
        | "AbortMultipartUpload"
        | "GetObjectAcl"
        | "PutObjectAcl"
        | "GetObjectTagging"
        | "PutObjectTagging"
        | "DeleteObjectTagging" => vec![on_object(operation)],
        _ => return None,
    })
}
