/*!
Which bucket, object and operation a request is about: by method, path and the one parameter that names a part of the resource.

Buckets are named in the path. A path is taken as it was sent: `..`, `//` and `%2F` are letters of a key like others.
*/

use http::request::Parts;
use http::{HeaderMap, Method};
use nightbell_wire::percent;

use super::error::S3Error;
use crate::manage::buckets::KEY_BYTES_MAX;

/// Parameters of an address.
const PARAMETERS_MAX: usize = 1_000;

/// What a request is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    /// The bucket; empty for none.
    pub(crate) bucket: String,
    /// The key; empty for none.
    pub(crate) key: String,
    /// The parameters.
    query: Vec<(String, String)>,
}

impl Address {
    /// Reads path and parameters.
    pub(super) fn read(parts: &Parts) -> Result<Self, S3Error> {
        let path = parts.uri.path();
        let path = path.strip_prefix('/').unwrap_or(path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let text = |bytes: Option<std::borrow::Cow<'_, [u8]>>| {
            let text = bytes.and_then(|bytes| String::from_utf8(bytes.into_owned()).ok());
            text.ok_or_else(|| S3Error::new(400, "InvalidURI", "Couldn't parse the specified URI."))
        };
        let address = Self {
            bucket: text(percent::decode_path(bucket))?,
            key: text(percent::decode_path(key))?,
            query: Vec::new(),
        };
        if address.key.len() > KEY_BYTES_MAX {
            let error = S3Error::new(400, "KeyTooLongError", "Your key is too long");
            return Err(error
                .with("Size", address.key.len().to_string())
                .with("MaxSizeAllowed", KEY_BYTES_MAX.to_string()));
        }
        let pieces = parts.uri.query().unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
        let mut query = Vec::new();
        for piece in pieces {
            if query.len() == PARAMETERS_MAX {
                let text = format!("The address has more than {PARAMETERS_MAX} parameters");
                return Err(S3Error::new(400, "InvalidURI", text));
            }
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            query.push((text(percent::decode(name))?, text(percent::decode(value))?));
        }
        Ok(Self { query, ..address })
    }

    /// A parameter; empty where it stands there without a value.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// `/bucket/key`.
    pub(super) fn resource(&self) -> String {
        if self.key.is_empty() {
            format!("/{}", self.bucket)
        } else {
            format!("/{}/{}", self.bucket, self.key)
        }
    }

    /// The operation that is asked for.
    pub(super) fn operation(&self, method: &Method, headers: &HeaderMap) -> Result<&'static str, S3Error> {
        let level = match (self.bucket.is_empty(), self.key.is_empty()) {
            (true, true) => Level::Service,
            (false, true) => Level::Bucket,
            (_, false) => Level::Object,
        };
        let mut lines = OPERATIONS.iter().filter(|line| line.0 == level && line.1 == method.as_str());
        let found = lines.find(|line| line.2.is_empty() || self.parameter(line.2).is_some());
        let copies = headers.contains_key("x-amz-copy-source");
        match found.map(|line| line.3) {
            Some("PutObject") if copies => Ok("CopyObject"),
            Some("UploadPart") if copies => Ok("UploadPartCopy"),
            Some("ListObjects") if self.parameter("list-type") == Some("2") => Ok("ListObjectsV2"),
            Some(operation) => Ok(operation),
            None => {
                let text = "The specified method is not allowed against this resource.";
                Err(S3Error::new(405, "MethodNotAllowed", text).with("Method", method.as_str()))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Service,
    Bucket,
    Object,
}

/// Level, method, parameter and operation; the first line that fits counts.
#[rustfmt::skip]
const OPERATIONS: &[(Level, &str, &str, &str)] = &[
    (Level::Service, "GET", "", "ListBuckets"),
    (Level::Bucket, "HEAD", "", "HeadBucket"),
    (Level::Bucket, "POST", "delete", "DeleteObjects"),
    (Level::Bucket, "POST", "", "PostObject"),
    (Level::Bucket, "GET", "accelerate", "GetBucketAccelerateConfiguration"),
    (Level::Bucket, "GET", "acl", "GetBucketAcl"),
    (Level::Bucket, "GET", "analytics", "GetBucketAnalyticsConfiguration"),
    (Level::Bucket, "GET", "cors", "GetBucketCors"),
    (Level::Bucket, "GET", "encryption", "GetBucketEncryption"),
    (Level::Bucket, "GET", "intelligent-tiering", "GetBucketIntelligentTieringConfiguration"),
    (Level::Bucket, "GET", "inventory", "GetBucketInventoryConfiguration"),
    (Level::Bucket, "GET", "lifecycle", "GetBucketLifecycleConfiguration"),
    (Level::Bucket, "GET", "location", "GetBucketLocation"),
    (Level::Bucket, "GET", "logging", "GetBucketLogging"),
    (Level::Bucket, "GET", "metrics", "GetBucketMetricsConfiguration"),
    (Level::Bucket, "GET", "notification", "GetBucketNotificationConfiguration"),
    (Level::Bucket, "GET", "object-lock", "GetObjectLockConfiguration"),
    (Level::Bucket, "GET", "ownershipControls", "GetBucketOwnershipControls"),
    (Level::Bucket, "GET", "policy", "GetBucketPolicy"),
    (Level::Bucket, "GET", "policyStatus", "GetBucketPolicyStatus"),
    (Level::Bucket, "GET", "publicAccessBlock", "GetPublicAccessBlock"),
    (Level::Bucket, "GET", "replication", "GetBucketReplication"),
    (Level::Bucket, "GET", "requestPayment", "GetBucketRequestPayment"),
    (Level::Bucket, "GET", "tagging", "GetBucketTagging"),
    (Level::Bucket, "GET", "uploads", "ListMultipartUploads"),
    (Level::Bucket, "GET", "versioning", "GetBucketVersioning"),
    (Level::Bucket, "GET", "versions", "ListObjectVersions"),
    (Level::Bucket, "GET", "website", "GetBucketWebsite"),
    (Level::Bucket, "GET", "", "ListObjects"),
    (Level::Bucket, "PUT", "accelerate", "PutBucketAccelerateConfiguration"),
    (Level::Bucket, "PUT", "acl", "PutBucketAcl"),
    (Level::Bucket, "PUT", "analytics", "PutBucketAnalyticsConfiguration"),
    (Level::Bucket, "PUT", "cors", "PutBucketCors"),
    (Level::Bucket, "PUT", "encryption", "PutBucketEncryption"),
    (Level::Bucket, "PUT", "intelligent-tiering", "PutBucketIntelligentTieringConfiguration"),
    (Level::Bucket, "PUT", "inventory", "PutBucketInventoryConfiguration"),
    (Level::Bucket, "PUT", "lifecycle", "PutBucketLifecycleConfiguration"),
    (Level::Bucket, "PUT", "logging", "PutBucketLogging"),
    (Level::Bucket, "PUT", "metrics", "PutBucketMetricsConfiguration"),
    (Level::Bucket, "PUT", "notification", "PutBucketNotificationConfiguration"),
    (Level::Bucket, "PUT", "object-lock", "PutObjectLockConfiguration"),
    (Level::Bucket, "PUT", "ownershipControls", "PutBucketOwnershipControls"),
    (Level::Bucket, "PUT", "policy", "PutBucketPolicy"),
    (Level::Bucket, "PUT", "publicAccessBlock", "PutPublicAccessBlock"),
    (Level::Bucket, "PUT", "replication", "PutBucketReplication"),
    (Level::Bucket, "PUT", "requestPayment", "PutBucketRequestPayment"),
    (Level::Bucket, "PUT", "tagging", "PutBucketTagging"),
    (Level::Bucket, "PUT", "versioning", "PutBucketVersioning"),
    (Level::Bucket, "PUT", "website", "PutBucketWebsite"),
    (Level::Bucket, "PUT", "", "CreateBucket"),
    (Level::Bucket, "DELETE", "analytics", "DeleteBucketAnalyticsConfiguration"),
    (Level::Bucket, "DELETE", "cors", "DeleteBucketCors"),
    (Level::Bucket, "DELETE", "encryption", "DeleteBucketEncryption"),
    (Level::Bucket, "DELETE", "intelligent-tiering", "DeleteBucketIntelligentTieringConfiguration"),
    (Level::Bucket, "DELETE", "inventory", "DeleteBucketInventoryConfiguration"),
    (Level::Bucket, "DELETE", "lifecycle", "DeleteBucketLifecycle"),
    (Level::Bucket, "DELETE", "metrics", "DeleteBucketMetricsConfiguration"),
    (Level::Bucket, "DELETE", "ownershipControls", "DeleteBucketOwnershipControls"),
    (Level::Bucket, "DELETE", "policy", "DeleteBucketPolicy"),
    (Level::Bucket, "DELETE", "publicAccessBlock", "DeletePublicAccessBlock"),
    (Level::Bucket, "DELETE", "replication", "DeleteBucketReplication"),
    (Level::Bucket, "DELETE", "tagging", "DeleteBucketTagging"),
    (Level::Bucket, "DELETE", "website", "DeleteBucketWebsite"),
    (Level::Bucket, "DELETE", "", "DeleteBucket"),
    (Level::Object, "HEAD", "", "HeadObject"),
    (Level::Object, "GET", "acl", "GetObjectAcl"),
    (Level::Object, "GET", "attributes", "GetObjectAttributes"),
    (Level::Object, "GET", "legal-hold", "GetObjectLegalHold"),
    (Level::Object, "GET", "retention", "GetObjectRetention"),
    (Level::Object, "GET", "tagging", "GetObjectTagging"),
    (Level::Object, "GET", "torrent", "GetObjectTorrent"),
    (Level::Object, "GET", "uploadId", "ListParts"),
    (Level::Object, "GET", "", "GetObject"),
    (Level::Object, "PUT", "acl", "PutObjectAcl"),
    (Level::Object, "PUT", "legal-hold", "PutObjectLegalHold"),
    (Level::Object, "PUT", "renameObject", "RenameObject"),
    (Level::Object, "PUT", "retention", "PutObjectRetention"),
    (Level::Object, "PUT", "tagging", "PutObjectTagging"),
    (Level::Object, "PUT", "uploadId", "UploadPart"),
    (Level::Object, "PUT", "", "PutObject"),
    (Level::Object, "DELETE", "tagging", "DeleteObjectTagging"),
    (Level::Object, "DELETE", "uploadId", "AbortMultipartUpload"),
    (Level::Object, "DELETE", "", "DeleteObject"),
    (Level::Object, "POST", "restore", "RestoreObject"),
    (Level::Object, "POST", "select", "SelectObjectContent"),
    (Level::Object, "POST", "uploads", "CreateMultipartUpload"),
    (Level::Object, "POST", "uploadId", "CompleteMultipartUpload"),
];

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn read(method: &str, uri: &str) -> (Result<Address, S3Error>, HeaderMap) {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let parts = request.into_parts().0;
        (Address::read(&parts), parts.headers)
    }

    #[test]
    fn keys_are_what_was_sent() {
        for (uri, bucket, key) in [
            ("/", "", ""),
            ("/b", "b", ""),
            ("/b/", "b", ""),
            ("/b/k", "b", "k"),
            ("/b//k", "b", "/k"),
            ("/b/../../etc/passwd", "b", "../../etc/passwd"),
            ("/b/a%2Fb%20c+d%2B", "b", "a/b c+d+"),
            ("/b/%C3%BC%00", "b", "ü\0"),
            ("/b/k/?versionId=null", "b", "k/"),
        ] {
            let address = read("GET", uri).0.unwrap();
            assert_eq!((&*address.bucket, &*address.key), (bucket, key), "{uri}");
        }
        for uri in ["/b/%ff", "/b/%", "/b?a=%zz", "/%c3/x"] {
            assert_eq!(read("GET", uri).0.unwrap_err().code, "InvalidURI", "{uri}");
        }
        let long = format!("/b/{}", "k".repeat(KEY_BYTES_MAX + 1));
        assert_eq!(read("GET", &long).0.unwrap_err().code, "KeyTooLongError");
    }

    #[test]
    fn operations_are_told_apart() {
        for (method, uri, operation) in [
            ("GET", "/", "ListBuckets"),
            ("PUT", "/b", "CreateBucket"),
            ("GET", "/b?list-type=2&prefix=acl", "ListObjectsV2"),
            ("GET", "/b?prefix=x", "ListObjects"),
            ("GET", "/b?acl", "GetBucketAcl"),
            ("GET", "/b/k?acl=", "GetObjectAcl"),
            ("POST", "/b?delete", "DeleteObjects"),
            ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
            ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"),
            ("POST", "/b/k?uploads", "CreateMultipartUpload"),
        ] {
            let (address, headers) = read(method, uri);
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(address.unwrap().operation(&method, &headers), Ok(operation), "{uri}");
        }
        let (address, headers) = read("PATCH", "/b/k");
        assert_eq!(address.unwrap().operation(&Method::PATCH, &headers).unwrap_err().status, 405);
    }
}
