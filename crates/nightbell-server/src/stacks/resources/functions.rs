/*!
`AWS::Lambda::…`: functions, with code in the template, and who may invoke them.
*/

use std::io::Write as _;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;

use super::shape::{Property, Shape, TAGS, text};
use super::{Handler, Made, Naming, Old, Site, Type, Wanted, members, said};
use crate::aws::error::{ApiError, Told};
use crate::aws::service::Service::Lambda;

/// What is answered where something is not there.
const MISSING: &[&str] = &["ResourceNotFoundException"];
/// What is answered where it is.
const EXISTS: &[&str] = &["ResourceConflictException"];

pub(super) static TYPES: [Type; 2] = [
    Type {
        name: "AWS::Lambda::Function",
        properties: &[
            text("FunctionName").replacing(),
            Property::new("Code", Shape::Object(&[text("ZipFile").required()])).required(),
            text("Role").required(),
            text("Runtime").required(),
            text("Handler").required(),
            text("Description"),
            Property::new("Timeout", Shape::Whole),
            Property::new("MemorySize", Shape::Whole),
            Property::new("Environment", Shape::Object(&[Property::new("Variables", Shape::TextMap)])),
            Property::new("TracingConfig", Shape::Object(&[text("Mode")])),
            Property::new("Architectures", Shape::Texts),
            Property::new("EphemeralStorage", Shape::Object(&[Property::new("Size", Shape::Whole)])),
            Property::new("LoggingConfig", Shape::Object(&[text("LogFormat"), text("LogGroup")])),
            text("PackageType").replacing(),
            Property::new("ReservedConcurrentExecutions", Shape::Whole),
            TAGS,
        ],
        attributes: &["Arn"],
        naming: Naming::Property("FunctionName", 64),
        gives_rights: false,
        handler: &Function,
    },
    Type {
        name: "AWS::Lambda::Permission",
        properties: &[
            text("FunctionName").required().replacing(),
            text("Action").required().replacing(),
            text("Principal").required().replacing(),
            text("SourceArn").replacing(),
            text("SourceAccount").replacing(),
            text("PrincipalOrgID").replacing(),
        ],
        attributes: &["Id"],
        naming: Naming::Made(100),
        gives_rights: false,
        handler: &Permission,
    },
];

struct Function;

/// The properties that are members of the configuration.
const CONFIGURATION: [&str; 10] = [
    "Role",
    "Runtime",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment",
    "TracingConfig",
    "EphemeralStorage",
    "LoggingConfig",
];

impl Function {
    fn made(&self, site: &Site, name: &str) -> Made {
        Made::of(name).with("Arn", site.arn("lambda", &format!("function:{name}")))
    }

    async fn reserve(&self, site: &Site, name: &str, properties: &Value) -> Result<(), Told> {
        let mut input = members(properties, &["ReservedConcurrentExecutions"]);
        let operation = if input.is_empty() { "DeleteFunctionConcurrency" } else { "PutFunctionConcurrency" };
        input.insert("FunctionName".into(), name.into());
        site.ask(Lambda, operation, input.into()).await.map(|_| ())
    }
}

/// Code that stands in a template, as a zip with one file that is named as AWS names it, in base64.
fn zipped(properties: &Value) -> Result<String, Told> {
    let file = match said(properties, "Runtime") {
        runtime if runtime.starts_with("nodejs") => "index.js",
        runtime if runtime.starts_with("python") => "index.py",
        other => {
            let shown: String = other.chars().take(100).collect();
            let text = format!("Code.ZipFile goes with nodejs and python runtimes; Runtime is {shown}");
            return Err(ApiError::sender("InvalidParameterValueException", text).into());
        }
    };
    let code = said(&properties["Code"], "ZipFile");
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let written = zip
        .start_file(file, SimpleFileOptions::default())
        .and_then(|()| zip.write_all(code.as_bytes()).map_err(Into::into))
        .and_then(|()| zip.finish());
    match written {
        Ok(bytes) => Ok(STANDARD.encode(bytes.into_inner())),
        Err(error) => {
            let text = format!("Code.ZipFile could not be packed: {error}");
            Err(ApiError::sender("InvalidParameterValueException", text).into())
        }
    }
}

#[async_trait]
impl Handler for Function {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let input = json!({"FunctionName": wanted.name});
        Ok(site.ask_unless(MISSING, Lambda, "GetFunctionConfiguration", input).await?.is_some())
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let mut input = members(wanted.properties, &CONFIGURATION);
        input.extend(members(wanted.properties, &["Architectures", "PackageType"]));
        input.insert("FunctionName".into(), wanted.name.into());
        input.insert("Code".into(), json!({"ZipFile": zipped(wanted.properties)?}));
        input.insert("Tags".into(), json!(wanted.tags));
        let codes = if wanted.resumed { EXISTS } else { &[] };
        site.ask_unless(codes, Lambda, "CreateFunction", input.into()).await?;
        if wanted.properties.get("ReservedConcurrentExecutions").is_some() {
            self.reserve(site, wanted.name, wanted.properties).await?;
        }
        Ok(self.made(site, wanted.name))
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        if old.differs(wanted, "Code") || old.differs(wanted, "Runtime") {
            let input = json!({"FunctionName": physical, "ZipFile": zipped(wanted.properties)?});
            site.ask(Lambda, "UpdateFunctionCode", input).await?;
        }
        if CONFIGURATION.iter().any(|name| old.differs(wanted, name)) {
            let mut input = configuration(wanted.properties);
            input.insert("FunctionName".into(), physical.into());
            site.ask(Lambda, "UpdateFunctionConfiguration", input.into()).await?;
        }
        if old.differs(wanted, "ReservedConcurrentExecutions") {
            self.reserve(site, physical, wanted.properties).await?;
        }
        let (made, (set, unset)) = (self.made(site, physical), old.tag_changes(wanted));
        let arn = site.arn("lambda", &format!("function:{physical}"));
        if !unset.is_empty() {
            site.ask(Lambda, "UntagResource", json!({"Resource": arn, "TagKeys": unset})).await?;
        }
        if !set.is_empty() {
            site.ask(Lambda, "TagResource", json!({"Resource": arn, "Tags": set})).await?;
        }
        Ok(made)
    }

    async fn delete(&self, site: &Site, physical: &str, _properties: &Value) -> Result<(), Told> {
        let input = json!({"FunctionName": physical});
        site.ask_unless(MISSING, Lambda, "DeleteFunction", input).await.map(|_| ())
    }
}

/// The whole configuration: what the properties do not say becomes what it is in a new function.
fn configuration(properties: &Value) -> Map<String, Value> {
    let mut input = members(properties, &CONFIGURATION);
    for (name, default) in [
        ("Description", json!("")),
        ("Timeout", json!(3)),
        ("MemorySize", json!(128)),
        ("Environment", json!({"Variables": {}})),
        ("TracingConfig", json!({"Mode": "PassThrough"})),
        ("EphemeralStorage", json!({"Size": 512})),
        ("LoggingConfig", json!({"LogFormat": "Text"})),
    ] {
        input.entry(name).or_insert(default);
    }
    input
}

struct Permission;

#[async_trait]
impl Handler for Permission {
    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let names = ["FunctionName", "Action", "Principal", "SourceArn", "SourceAccount", "PrincipalOrgID"];
        let mut input = members(wanted.properties, &names);
        input.insert("StatementId".into(), wanted.name.into());
        let codes = if wanted.resumed { EXISTS } else { &[] };
        site.ask_unless(codes, Lambda, "AddPermission", input.into()).await?;
        Ok(Made::of(wanted.name).with("Id", wanted.name))
    }

    async fn update(
        &self,
        _site: &Site,
        physical: &str,
        _old: &Old<'_>,
        _wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        Ok(Made::of(physical).with("Id", physical))
    }

    async fn delete(&self, site: &Site, physical: &str, properties: &Value) -> Result<(), Told> {
        let input = json!({"FunctionName": said(properties, "FunctionName"), "StatementId": physical});
        site.ask_unless(MISSING, Lambda, "RemovePermission", input).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use super::*;

    #[test]
    fn code_in_a_template_becomes_one_file() {
        for (runtime, file) in [("nodejs20.x", "index.js"), ("python3.12", "index.py")] {
            let packed = zipped(&json!({"Runtime": runtime, "Code": {"ZipFile": "code"}})).unwrap();
            let mut zip = zip::ZipArchive::new(Cursor::new(STANDARD.decode(packed).unwrap())).unwrap();
            assert_eq!(zip.len(), 1);
            let mut code = [0; 4];
            zip.by_name(file).unwrap().read_exact(&mut code).unwrap();
            assert_eq!(&code, b"code");
        }
        assert!(zipped(&json!({"Runtime": "java21", "Code": {"ZipFile": "code"}})).is_err());
    }
}
