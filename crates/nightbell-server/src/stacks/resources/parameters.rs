/*!
`AWS::SSM::…`: parameters.
*/

use async_trait::async_trait;
use serde_json::{Value, json};

use super::shape::{Property, Shape, text};
use super::{Handler, Made, Naming, Old, Site, Type, Wanted, listed, members, said};
use crate::aws::error::Told;
use crate::aws::service::Service::Ssm;

/// What is answered where a parameter is not there.
const MISSING: &[&str] = &["ParameterNotFound"];

pub(super) static TYPES: [Type; 1] = [Type {
    name: "AWS::SSM::Parameter",
    properties: &[
        text("Name").replacing(),
        text("Type").required(),
        text("Value").required(),
        text("Description"),
        text("AllowedPattern"),
        text("Tier"),
        text("DataType"),
        Property::new("Tags", Shape::TextMap),
    ],
    attributes: &["Type", "Value"],
    naming: Naming::Property("Name", 1_011),
    gives_rights: false,
    handler: &Parameter,
}];

struct Parameter;

impl Parameter {
    async fn put(&self, site: &Site, name: &str, wanted: &Wanted<'_>, is_new: bool) -> Result<Made, Told> {
        let names = ["Type", "Value", "Description", "AllowedPattern", "Tier", "DataType"];
        let mut input = members(wanted.properties, &names);
        input.insert("Name".into(), name.into());
        // The service takes tags with new parameters only.
        if is_new {
            input.insert("Tags".into(), listed(wanted.tags));
        } else {
            input.insert("Overwrite".into(), true.into());
        }
        let codes: &[&str] = if wanted.resumed { &["ParameterAlreadyExists"] } else { &[] };
        site.ask_unless(codes, Ssm, "PutParameter", input.into()).await?;
        let of = |member| said(wanted.properties, member);
        Ok(Made::of(name).with("Type", of("Type")).with("Value", of("Value")))
    }
}

#[async_trait]
impl Handler for Parameter {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        Ok(site.ask_unless(MISSING, Ssm, "GetParameter", json!({"Name": wanted.name})).await?.is_some())
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        self.put(site, wanted.name, wanted, true).await
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        let made = self.put(site, physical, wanted, false).await?;
        let (set, unset) = old.tag_changes(wanted);
        let tagged = json!({"ResourceType": "Parameter", "ResourceId": physical});
        if !unset.is_empty() {
            let mut input = tagged.clone();
            input["TagKeys"] = json!(unset);
            site.ask(Ssm, "RemoveTagsFromResource", input).await?;
        }
        if !set.is_empty() {
            let mut input = tagged;
            input["Tags"] = listed(&set);
            site.ask(Ssm, "AddTagsToResource", input).await?;
        }
        Ok(made)
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        site.ask_unless(MISSING, Ssm, "DeleteParameter", json!({"Name": physical})).await.map(|_| ())
    }
}
