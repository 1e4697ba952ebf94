/*!
`AWS::S3::…`: buckets.
*/

use async_trait::async_trait;
use serde_json::{Value, json};

use super::shape::{TAGS, text};
use super::{Handler, Made, Naming, Old, Site, Type, Wanted, listed};
use crate::aws::error::Told;
use crate::aws::service::Service::S3;

/// What is answered where a bucket is not there.
const MISSING: &[&str] = &["NoSuchBucket"];

pub(super) static TYPES: [Type; 1] = [Type {
    name: "AWS::S3::Bucket",
    properties: &[text("BucketName").replacing(), TAGS],
    attributes: &["Arn"],
    naming: Naming::SmallLetters("BucketName", 63),
    gives_rights: false,
    handler: &Bucket,
}];

struct Bucket;

/// A bucket's ARN says neither region nor account.
fn made(name: &str) -> Made {
    Made::of(name).with("Arn", format!("arn:aws:s3:::{name}"))
}

#[async_trait]
impl Handler for Bucket {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        Ok(site.ask_unless(MISSING, S3, "HeadBucket", json!({"Bucket": wanted.name})).await?.is_some())
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let codes: &[&str] = if wanted.resumed { &["BucketAlreadyOwnedByYou"] } else { &[] };
        let configuration = json!({"Tags": listed(wanted.tags)});
        let input = json!({"Bucket": wanted.name, "CreateBucketConfiguration": configuration});
        site.ask_unless(codes, S3, "CreateBucket", input).await?;
        Ok(made(wanted.name))
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        if old.tags != wanted.tags {
            let input = json!({"Bucket": physical, "Tagging": {"TagSet": listed(wanted.tags)}});
            site.ask(S3, "PutBucketTagging", input).await?;
        }
        Ok(made(physical))
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        site.ask_unless(MISSING, S3, "DeleteBucket", json!({"Bucket": physical})).await.map(|_| ())
    }
}
