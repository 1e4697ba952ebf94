/*!
`AWS::SES::…`: addresses and domains that mails are sent from.
*/

use async_trait::async_trait;
use serde_json::{Value, json};

use super::shape::{TAGS, text};
use super::{Handler, Made, Naming, Old, Site, Type, Wanted, listed};
use crate::aws::error::Told;
use crate::aws::service::Service::SesV2;

/// What is answered where an identity is not there.
const MISSING: &[&str] = &["NotFoundException"];
/// What is answered where it is.
const EXISTS: &[&str] = &["AlreadyExistsException"];

pub(super) static TYPES: [Type; 1] = [Type {
    name: "AWS::SES::EmailIdentity",
    properties: &[text("EmailIdentity").required().replacing(), TAGS],
    attributes: &[],
    naming: Naming::Property("EmailIdentity", 320),
    gives_rights: false,
    handler: &EmailIdentity,
}];

struct EmailIdentity;

#[async_trait]
impl Handler for EmailIdentity {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let input = json!({"EmailIdentity": wanted.name});
        Ok(site.ask_unless(MISSING, SesV2, "GetEmailIdentity", input).await?.is_some())
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let input = json!({"EmailIdentity": wanted.name, "Tags": listed(wanted.tags)});
        let codes = if wanted.resumed { EXISTS } else { &[] };
        site.ask_unless(codes, SesV2, "CreateEmailIdentity", input).await?;
        Ok(Made::of(wanted.name))
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        let arn = site.arn("ses", &format!("identity/{physical}"));
        let (set, unset) = old.tag_changes(wanted);
        if !unset.is_empty() {
            site.ask(SesV2, "UntagResource", json!({"ResourceArn": arn, "TagKeys": unset})).await?;
        }
        if !set.is_empty() {
            site.ask(SesV2, "TagResource", json!({"ResourceArn": arn, "Tags": listed(&set)})).await?;
        }
        Ok(Made::of(physical))
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        let input = json!({"EmailIdentity": physical});
        site.ask_unless(MISSING, SesV2, "DeleteEmailIdentity", input).await.map(|_| ())
    }
}
