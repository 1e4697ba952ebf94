/*!
`AWS::IAM::…`: users, roles, policies and access keys. What a template gives away with them must be agreed to.
*/

use async_trait::async_trait;
use serde_json::{Value, json};

use super::shape::{Property, Shape, TAGS, text};
use super::{Handler, Made, Naming, Old, Site, Type, Wanted, items, listed, members, said};
use crate::aws::error::Told;
use crate::aws::service::Service::Iam;

/// What is answered where something is not there.
const MISSING: &[&str] = &["NoSuchEntity"];
/// What is answered where it is.
const EXISTS: &[&str] = &["EntityAlreadyExists"];
/// Versions of a managed policy; one more needs another to go.
const VERSIONS_MAX: usize = 5;

const POLICIES: Property = Property::new(
    "Policies",
    Shape::List(&[
        text("PolicyName").required(),
        Property::new("PolicyDocument", Shape::Document).required(),
    ]),
);

pub(super) static TYPES: [Type; 5] = [
    Type {
        name: "AWS::IAM::Role",
        properties: &[
            text("RoleName").replacing(),
            text("Path").replacing(),
            Property::new("AssumeRolePolicyDocument", Shape::Document).required(),
            text("Description"),
            Property::new("MaxSessionDuration", Shape::Whole),
            text("PermissionsBoundary"),
            Property::new("ManagedPolicyArns", Shape::Texts),
            POLICIES,
            TAGS,
        ],
        attributes: &["Arn", "RoleId"],
        naming: Naming::Property("RoleName", 64),
        gives_rights: true,
        handler: &Identity { kind: "Role" },
    },
    Type {
        name: "AWS::IAM::User",
        properties: &[
            text("UserName").replacing(),
            text("Path").replacing(),
            text("PermissionsBoundary"),
            Property::new("ManagedPolicyArns", Shape::Texts),
            POLICIES,
            TAGS,
        ],
        attributes: &["Arn"],
        naming: Naming::Property("UserName", 64),
        gives_rights: true,
        handler: &Identity { kind: "User" },
    },
    Type {
        name: "AWS::IAM::Policy",
        properties: &[
            text("PolicyName").required().replacing(),
            Property::new("PolicyDocument", Shape::Document).required(),
            Property::new("Roles", Shape::Texts),
            Property::new("Users", Shape::Texts),
        ],
        attributes: &[],
        naming: Naming::Property("PolicyName", 128),
        gives_rights: true,
        handler: &Policy,
    },
    Type {
        name: "AWS::IAM::ManagedPolicy",
        properties: &[
            text("ManagedPolicyName").replacing(),
            text("Path").replacing(),
            text("Description").replacing(),
            Property::new("PolicyDocument", Shape::Document).required(),
            Property::new("Roles", Shape::Texts),
            Property::new("Users", Shape::Texts),
        ],
        attributes: &["PolicyArn"],
        naming: Naming::Property("ManagedPolicyName", 128),
        gives_rights: true,
        handler: &ManagedPolicy,
    },
    Type {
        name: "AWS::IAM::AccessKey",
        properties: &[
            text("UserName").required().replacing(),
            Property::new("Serial", Shape::Whole).replacing(),
            text("Status"),
        ],
        attributes: &["SecretAccessKey"],
        naming: Naming::Service,
        gives_rights: true,
        handler: &AccessKey,
    },
];

/// Users and roles: their operations differ by one word.
struct Identity {
    kind: &'static str,
}

impl Identity {
    /// `CreateRole`, and its input with the role's name.
    async fn ask(&self, site: &Site, verb: &str, what: &str, name: &str, more: Value) -> Result<Value, Told> {
        let mut input = more;
        input[format!("{}Name", self.kind)] = name.into();
        site.ask(Iam, &format!("{verb}{}{what}", self.kind), input).await
    }

    /// The same; nothing is said where it is not there.
    async fn ask_if_there(
        &self,
        site: &Site,
        verb: &str,
        what: &str,
        name: &str,
        more: Value,
    ) -> Result<Option<Value>, Told> {
        match self.ask(site, verb, what, name, more).await {
            Err(told) if MISSING.contains(&told.error.code) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Gives it the policies that are new, and takes away those that are gone.
    async fn grant(&self, site: &Site, name: &str, old: Option<&Value>, new: &Value) -> Result<(), Told> {
        let nothing = Value::Null;
        let old = old.unwrap_or(&nothing);
        for policy in items(new, "Policies") {
            let input = members(policy, &["PolicyName", "PolicyDocument"]);
            self.ask(site, "Put", "Policy", name, input.into()).await?;
        }
        let named = |policy: &&Value| {
            items(new, "Policies").iter().any(|one| one["PolicyName"] == policy["PolicyName"])
        };
        for policy in items(old, "Policies").iter().filter(|policy| !named(policy)) {
            let input = json!({"PolicyName": policy["PolicyName"]});
            self.ask_if_there(site, "Delete", "Policy", name, input).await?;
        }
        let (there, asked) = (items(old, "ManagedPolicyArns"), items(new, "ManagedPolicyArns"));
        for arn in asked {
            self.ask(site, "Attach", "Policy", name, json!({"PolicyArn": arn})).await?;
        }
        for arn in there.iter().filter(|arn| !asked.contains(arn)) {
            self.ask_if_there(site, "Detach", "Policy", name, json!({"PolicyArn": arn})).await?;
        }
        Ok(())
    }

    async fn made(&self, site: &Site, name: &str) -> Result<Made, Told> {
        let there = self.ask(site, "Get", "", name, json!({})).await?;
        let there = &there[self.kind];
        let made = Made::of(name).with("Arn", said(there, "Arn"));
        Ok(if self.kind == "Role" { made.with("RoleId", said(there, "RoleId")) } else { made })
    }
}

#[async_trait]
impl Handler for Identity {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        Ok(self.ask_if_there(site, "Get", "", wanted.name, json!({})).await?.is_some())
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let names =
            ["Path", "AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "PermissionsBoundary"];
        let mut input = members(wanted.properties, &names);
        input.insert("Tags".into(), listed(wanted.tags));
        match self.ask(site, "Create", "", wanted.name, input.into()).await {
            Err(told) if wanted.resumed && EXISTS.contains(&told.error.code) => {}
            other => drop(other?),
        }
        self.grant(site, wanted.name, None, wanted.properties).await?;
        self.made(site, wanted.name).await
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        if old.differs(wanted, "AssumeRolePolicyDocument") {
            let document = said(wanted.properties, "AssumeRolePolicyDocument");
            let input = json!({"RoleName": physical, "PolicyDocument": document});
            site.ask(Iam, "UpdateAssumeRolePolicy", input).await?;
        }
        if old.differs(wanted, "Description") || old.differs(wanted, "MaxSessionDuration") {
            let mut input = members(wanted.properties, &["MaxSessionDuration"]);
            input.insert("Description".into(), said(wanted.properties, "Description").into());
            self.ask(site, "Update", "", physical, input.into()).await?;
        }
        if old.differs(wanted, "PermissionsBoundary") {
            match wanted.properties.get("PermissionsBoundary") {
                Some(arn) => {
                    let input = json!({"PermissionsBoundary": arn});
                    self.ask(site, "Put", "PermissionsBoundary", physical, input).await?;
                }
                None => {
                    self.ask_if_there(site, "Delete", "PermissionsBoundary", physical, json!({})).await?;
                }
            }
        }
        self.grant(site, physical, Some(old.properties), wanted.properties).await?;
        let (set, unset) = old.tag_changes(wanted);
        if !unset.is_empty() {
            let input = json!({format!("{}Name", self.kind): physical, "TagKeys": unset});
            site.ask(Iam, &format!("Untag{}", self.kind), input).await?;
        }
        if !set.is_empty() {
            self.ask(site, "Tag", "", physical, json!({"Tags": listed(&set)})).await?;
        }
        self.made(site, physical).await
    }

    async fn delete(&self, site: &Site, physical: &str, properties: &Value) -> Result<(), Told> {
        for policy in items(properties, "Policies") {
            let input = json!({"PolicyName": policy["PolicyName"]});
            self.ask_if_there(site, "Delete", "Policy", physical, input).await?;
        }
        for arn in items(properties, "ManagedPolicyArns") {
            self.ask_if_there(site, "Detach", "Policy", physical, json!({"PolicyArn": arn})).await?;
        }
        self.ask_if_there(site, "Delete", "", physical, json!({})).await.map(|_| ())
    }
}

/// Whom a policy is given to: the property, and the word for it in operations.
const HOLDERS: [(&str, &str); 2] = [("Roles", "Role"), ("Users", "User")];

/// A policy inside users and roles.
struct Policy;

impl Policy {
    async fn put(&self, site: &Site, name: &str, properties: &Value) -> Result<Made, Told> {
        for (list, kind) in HOLDERS {
            for holder in items(properties, list) {
                let document = said(properties, "PolicyDocument");
                let input =
                    json!({format!("{kind}Name"): holder, "PolicyName": name, "PolicyDocument": document});
                site.ask(Iam, &format!("Put{kind}Policy"), input).await?;
            }
        }
        Ok(Made::of(name))
    }

    /// Takes it from all holders of `from` that are not among those of `but`.
    async fn take(&self, site: &Site, name: &str, from: &Value, but: &Value) -> Result<(), Told> {
        for (list, kind) in HOLDERS {
            for holder in items(from, list).iter().filter(|holder| !items(but, list).contains(holder)) {
                let input = json!({format!("{kind}Name"): holder, "PolicyName": name});
                site.ask_unless(MISSING, Iam, &format!("Delete{kind}Policy"), input).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Handler for Policy {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        for (list, kind) in HOLDERS {
            for holder in items(wanted.properties, list) {
                let input = json!({format!("{kind}Name"): holder, "PolicyName": wanted.name});
                if site.ask_unless(MISSING, Iam, &format!("Get{kind}Policy"), input).await?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        self.put(site, wanted.name, wanted.properties).await
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        let made = self.put(site, physical, wanted.properties).await?;
        self.take(site, physical, old.properties, wanted.properties).await?;
        Ok(made)
    }

    async fn delete(&self, site: &Site, physical: &str, properties: &Value) -> Result<(), Told> {
        self.take(site, physical, properties, &Value::Null).await
    }
}

/// A policy of its own.
struct ManagedPolicy;

impl ManagedPolicy {
    async fn attach(&self, site: &Site, arn: &str, properties: &Value) -> Result<(), Told> {
        for (list, kind) in HOLDERS {
            for holder in items(properties, list) {
                let input = json!({format!("{kind}Name"): holder, "PolicyArn": arn});
                site.ask(Iam, &format!("Attach{kind}Policy"), input).await?;
            }
        }
        Ok(())
    }

    async fn detach(&self, site: &Site, arn: &str, from: &Value, but: &Value) -> Result<(), Told> {
        for (list, kind) in HOLDERS {
            for holder in items(from, list).iter().filter(|holder| !items(but, list).contains(holder)) {
                let input = json!({format!("{kind}Name"): holder, "PolicyArn": arn});
                site.ask_unless(MISSING, Iam, &format!("Detach{kind}Policy"), input).await?;
            }
        }
        Ok(())
    }

    /// The versions that are not in force, the oldest first.
    async fn old_versions(&self, site: &Site, arn: &str) -> Result<Vec<String>, Told> {
        let input = json!({"PolicyArn": arn});
        let found = site.ask_unless(MISSING, Iam, "ListPolicyVersions", input).await?.unwrap_or_default();
        let old =
            items(&found, "Versions").iter().rev().filter(|version| version["IsDefaultVersion"] != true);
        Ok(old.map(|version| said(version, "VersionId").to_owned()).collect())
    }

    async fn delete_version(&self, site: &Site, arn: &str, version: &str) -> Result<(), Told> {
        let input = json!({"PolicyArn": arn, "VersionId": version});
        site.ask_unless(MISSING, Iam, "DeletePolicyVersion", input).await.map(|_| ())
    }

    fn made(&self, arn: &str) -> Made {
        Made::of(arn).with("PolicyArn", arn)
    }
}

#[async_trait]
impl Handler for ManagedPolicy {
    async fn is_there(&self, site: &Site, wanted: &Wanted<'_>) -> Result<bool, Told> {
        let input = json!({"PolicyArn": self.physical(site, wanted)});
        Ok(site.ask_unless(MISSING, Iam, "GetPolicy", input).await?.is_some())
    }

    fn physical(&self, site: &Site, wanted: &Wanted<'_>) -> Option<String> {
        let path = wanted.properties.get("Path").and_then(Value::as_str).unwrap_or("/");
        Some(site.global_arn("iam", &format!("policy{path}{}", wanted.name)))
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let mut input = members(wanted.properties, &["Path", "Description", "PolicyDocument"]);
        input.insert("PolicyName".into(), wanted.name.into());
        let codes = if wanted.resumed { EXISTS } else { &[] };
        site.ask_unless(codes, Iam, "CreatePolicy", input.into()).await?;
        let arn = self.physical(site, wanted).unwrap_or_default();
        self.attach(site, &arn, wanted.properties).await?;
        Ok(self.made(&arn))
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        if old.differs(wanted, "PolicyDocument") {
            let versions = self.old_versions(site, physical).await?;
            if versions.len() + 1 >= VERSIONS_MAX
                && let Some(oldest) = versions.first()
            {
                self.delete_version(site, physical, oldest).await?;
            }
            let document = said(wanted.properties, "PolicyDocument");
            let input = json!({"PolicyArn": physical, "PolicyDocument": document, "SetAsDefault": true});
            site.ask(Iam, "CreatePolicyVersion", input).await?;
        }
        self.attach(site, physical, wanted.properties).await?;
        self.detach(site, physical, old.properties, wanted.properties).await?;
        Ok(self.made(physical))
    }

    async fn delete(&self, site: &Site, physical: &str, properties: &Value) -> Result<(), Told> {
        self.detach(site, physical, properties, &Value::Null).await?;
        for version in self.old_versions(site, physical).await? {
            self.delete_version(site, physical, &version).await?;
        }
        site.ask_unless(MISSING, Iam, "DeletePolicy", json!({"PolicyArn": physical})).await.map(|_| ())
    }
}

/// A key of a user; its secret is known to the stack alone, as `Fn::GetAtt` asks for it.
struct AccessKey;

impl AccessKey {
    async fn ids(&self, site: &Site, user: &str) -> Result<Vec<String>, Told> {
        let found = site.ask(Iam, "ListAccessKeys", json!({"UserName": user})).await?;
        let keys = items(&found, "AccessKeyMetadata").iter();
        Ok(keys.map(|key| said(key, "AccessKeyId").to_owned()).collect())
    }

    async fn set_status(&self, site: &Site, id: &str, properties: &Value) -> Result<(), Told> {
        let status = properties.get("Status").and_then(Value::as_str).unwrap_or("Active");
        let user = said(properties, "UserName");
        let input = json!({"UserName": user, "AccessKeyId": id, "Status": status});
        site.ask(Iam, "UpdateAccessKey", input).await.map(|_| ())
    }
}

#[async_trait]
impl Handler for AccessKey {
    async fn look_around(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Vec<String>, Told> {
        self.ids(site, said(wanted.properties, "UserName")).await
    }

    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told> {
        let user = said(wanted.properties, "UserName");
        if wanted.resumed {
            // The secret of a key that was made before a crash is known to nobody.
            for id in self.ids(site, user).await?.iter().filter(|id| !wanted.seen.contains(id)) {
                self.delete(site, id, wanted.properties).await?;
            }
        }
        let made = site.ask(Iam, "CreateAccessKey", json!({"UserName": user})).await?;
        let key = &made["AccessKey"];
        let id = said(key, "AccessKeyId");
        if wanted.properties.get("Status").is_some() {
            self.set_status(site, id, wanted.properties).await?;
        }
        Ok(Made::of(id).with("SecretAccessKey", said(key, "SecretAccessKey")))
    }

    async fn update(
        &self,
        site: &Site,
        physical: &str,
        _old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told> {
        self.set_status(site, physical, wanted.properties).await?;
        Ok(Made { keeps_attributes: true, ..Made::of(physical) })
    }

    async fn delete(&self, site: &Site, physical: &str, properties: &Value) -> Result<(), Told> {
        let input = json!({"UserName": said(properties, "UserName"), "AccessKeyId": physical});
        site.ask_unless(MISSING, Iam, "DeleteAccessKey", input).await.map(|_| ())
    }
}
