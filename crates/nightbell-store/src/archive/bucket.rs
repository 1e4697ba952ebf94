/*!
[`Bucket`]: an S3 bucket, or one of another server that speaks S3, as the place of an archive.

Knows how to reach it and no more: what is put there, and that documents of the chain are only put where none is
(`If-None-Match`, Amazon S3 user guide, "Conditional writes"), is the archive's.
*/

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use super::Archive;
use super::objects::Objects;
use crate::error::Cause;
use crate::{Catalog, StoreError};

/// How long it may take to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request may take, with all of its body.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Tries after the first of a request that was not answered or with a failure of the server.
const RETRIES_MAX: usize = 3;

/// How long a request is tried; the loops and the clients try again later.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// The first wait between two tries; it doubles.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// The longest wait between two tries.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);

/// Where a bucket is and who asks.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The folder in it that is the archive; empty for all of it.
    pub prefix: String,
    /// The server, `http://…` or `https://…`; `None` for Amazon's.
    ///
    /// Amazon's is asked at `BUCKET.s3.REGION.amazonaws.com`, others at `SERVER/BUCKET`.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// Who asks.
    pub key: BucketKey,
    /// Certificates (PEM) to trust instead of the system's.
    pub trusted_pem: Option<Vec<u8>>,
}

/// The key that signs requests to a bucket. The secret is not shown.
#[derive(Clone)]
pub struct BucketKey {
    /// Names the key.
    pub id: String,
    /// Signs.
    pub secret: String,
    /// Belongs to keys that are good for some hours.
    pub session_token: Option<String>,
}

impl fmt::Debug for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl Archive {
    /// An archive in a bucket. Asks nothing of the server yet: it may come up later.
    ///
    /// # Errors
    ///
    /// `Unavailable` for an endpoint that is no address, a prefix that is no path, or certificates that cannot be read.
    pub fn open_bucket(bucket: &Bucket, catalog: Arc<dyn Catalog>) -> Result<Self, StoreError> {
        let opened = bucket.open().map_err(|error| Cause::Bucket { bucket: bucket.to_string(), error })?;
        Ok(Self::over(opened, catalog))
    }
}

/// Writes objects into a bucket, and no more: for what is not the archive's.
#[derive(Clone)]
pub struct BucketWriter(Objects);

impl BucketWriter {
    /// The bucket, with its prefix before every key. Asks nothing of the server yet.
    ///
    /// # Errors
    ///
    /// As [`Archive::open_bucket`].
    pub fn open(bucket: &Bucket) -> Result<Self, StoreError> {
        bucket.open().map(Self).map_err(|error| Cause::Bucket { bucket: bucket.to_string(), error }.into())
    }

    /// Writes an object; one of the same key is replaced.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the server does not take it, or the key is no path.
    pub async fn put(&self, key: &str, bytes: bytes::Bytes) -> Result<(), StoreError> {
        self.0.put(key, bytes).await
    }
}

impl Bucket {
    fn open(&self) -> Result<Objects, String> {
        // TLS of the requests takes the provider that the process has; one that is there already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_region(&self.region)
            .with_access_key_id(&self.key.id)
            .with_secret_access_key(&self.key.secret)
            .with_virtual_hosted_style_request(self.endpoint.is_none())
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_client_options(self.client()?)
            .with_retry(retries());
        if let Some(token) = &self.key.session_token {
            builder = builder.with_token(token);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        let store = builder.build().map_err(|error| error.to_string())?;
        let prefix = Path::parse(&self.prefix).map_err(|error| error.to_string())?;
        Ok(Objects::new(Arc::new(PrefixStore::new(store, prefix))))
    }

    fn client(&self) -> Result<ClientOptions, String> {
        let is_plain = match self.endpoint.as_deref().and_then(|endpoint| endpoint.split_once("://")) {
            Some(("http", _)) => true,
            Some(("https", _)) => false,
            _ if self.endpoint.is_none() => false,
            _ => return Err("endpoint does not start with http:// or https://".to_owned()),
        };
        let mut client = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT)
            .with_allow_http(is_plain);
        if let Some(pem) = &self.trusted_pem {
            let certificates = Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
            client = client.with_no_system_certificates(true);
            for certificate in certificates {
                client = client.with_root_certificate(certificate);
            }
        }
        Ok(client)
    }
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: RETRY_WAIT, max_backoff: RETRY_WAIT_MAX, base: 2.0 };
    RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: RETRY_TIMEOUT }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, MemoryStore};

    fn bucket() -> Bucket {
        Bucket {
            name: "events".into(),
            prefix: "site/one".into(),
            endpoint: Some("http://127.0.0.1:9".into()),
            region: "eu-1".into(),
            key: BucketKey { id: "AKID".into(), secret: "hush".into(), session_token: Some("hush".into()) },
            trusted_pem: None,
        }
    }

    #[test]
    fn a_bucket_tells_its_place_and_no_secret() {
        let bucket = bucket();
        assert_eq!(bucket.to_string(), "s3://events/site/one");
        let told = format!("{bucket:?}");
        assert!(told.contains("AKID") && !told.contains("hush"), "{told}");
    }

    #[tokio::test]
    async fn what_cannot_be_opened_is_refused_and_what_does_not_answer_is_unavailable() {
        let catalog = || Arc::new(MemoryStore::new()) as Arc<dyn Catalog>;
        for wrong in [
            Bucket { endpoint: Some("nowhere at all".into()), ..bucket() },
            Bucket { prefix: "a//b".into(), ..bucket() },
            Bucket {
                trusted_pem: Some(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n".to_vec()),
                ..bucket()
            },
        ] {
            let error = Archive::open_bucket(&wrong, catalog()).err().expect("refused");
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            assert!(error.to_string().contains("s3://events"), "{error}");
        }
        let archive = Archive::open_bucket(&bucket(), catalog()).unwrap();
        let error = archive.chain_block(0).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}
