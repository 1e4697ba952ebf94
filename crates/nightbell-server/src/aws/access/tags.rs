/*!
Tags as condition keys: those that a request carries, and those of the resource it is about ("Controlling access to AWS resources using
tags", IAM User Guide).

They are looked up only where a policy may ask for them.
*/

use std::collections::BTreeMap;

use nightbell_core::event::Group;
use nightbell_core::policy::{Fact, Facts};
use nightbell_wire::{Call, DecodeError, decode};
use serde::Deserialize;
use serde_json::Value;

use super::Cx;
use crate::catalog::Failure;
use crate::manage::iam::{Iam, IamError, Identity, Kind};
use crate::manage::tags::{self, Tags};
use crate::manage::{Refusal, functions, groups, streams};

/// What a request says of tags.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RequestTags {
    given: Tags,
    keys: Vec<String>,
}

/// Services that write tags as objects, or as lists in another place.
#[derive(Deserialize)]
struct Loose {
    #[serde(default, rename = "Tags", alias = "tags")]
    tags: Value,
    #[serde(default, rename = "TagKeys", alias = "tagKeys")]
    keys: Value,
}

/// Services that write tags as lists.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tags: Vec<Tag>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    tag_keys: Vec<String>,
}

/// Members are missing where something else is called so.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: Option<String>,
    value: Option<String>,
}

impl RequestTags {
    /// Those of a call.
    pub(super) fn of(signing: &str, call: &Call, body: &[u8]) -> Result<Self, DecodeError> {
        if !matches!(signing, "logs" | "lambda") {
            let Listed { tags, tag_keys } = decode(call, body)?;
            let given = tags.into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())));
            return Ok(Self { given: given.collect(), keys: tag_keys });
        }
        let Loose { tags, keys } = decode(call, body)?;
        let mut read = Self { given: Tags::new(), keys: texts(&keys) };
        match &tags {
            Value::Object(tags) => {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                read.given = tags.iter().map(|(key, value)| (key.clone(), text(value))).collect();
            }
            // UntagLogGroup calls the keys so.
            list => read.keys.extend(texts(list)),
        }
        Ok(read)
    }

    /// Puts them into the facts: `aws:RequestTag/KEY`, `aws:TagKeys`.
    pub(super) fn tell(self, facts: &mut Facts<'_>) {
        let keys: Vec<_> = self.given.keys().cloned().chain(self.keys).map(Into::into).collect();
        facts.put("aws:TagKeys", Fact::Texts(keys));
        for (key, value) in self.given {
            facts.put(format!("aws:RequestTag/{key}"), Fact::Text(value.into()));
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// Puts the tags of a resource into the facts: `aws:ResourceTag/KEY`, and `iam:ResourceTag/KEY` of users and roles.
pub(super) fn tell_resource(cx: &Cx, arn: &str, facts: &mut Facts<'_>) -> Result<(), Failure> {
    for (key, value) in of_resource(cx, arn)? {
        if arn.starts_with("arn:aws:iam:") {
            facts.put(format!("iam:ResourceTag/{key}"), Fact::Text(value.clone().into()));
        }
        facts.put(format!("aws:ResourceTag/{key}"), Fact::Text(value.into()));
    }
    Ok(())
}

/// The tags of a resource; none where there is no such thing.
fn of_resource(cx: &Cx, arn: &str) -> Result<BTreeMap<String, String>, Failure> {
    let records = &cx.app.records;
    let mut parts = arn.splitn(6, ':').skip(2);
    let (Some(service), Some(region), Some(_), Some(rest)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(Tags::new());
    };
    let none = |refusal| match refusal {
        Refusal::Store(failure) => Err(failure),
        _ => Ok(Tags::new()),
    };
    match service {
        "logs" => {
            let name = rest.strip_prefix("log-group:").unwrap_or_default();
            let name = name.split(':').next().unwrap_or_default();
            let group = Group { region: region.to_owned(), name: name.to_owned() };
            groups::find(records, &group).map_or_else(none, |group| Ok(group.tags))
        }
        "lambda" => match functions::of_arn(arn) {
            Some((region, name, _)) => {
                functions::find(records, region, name, None).map_or_else(none, |function| Ok(function.tags))
            }
            None => Ok(Tags::new()),
        },
        "firehose" => {
            let name = rest.strip_prefix("deliverystream/").unwrap_or_default();
            Ok(streams::find(records, region, name)?.map(|stream| stream.tags).unwrap_or_default())
        }
        "iam" => of_identity(cx, arn, rest),
        _ => tags::of(records, arn),
    }
}

/// The tags of a user, a role or a policy.
fn of_identity(cx: &Cx, arn: &str, rest: &str) -> Result<Tags, Failure> {
    let name = rest.rsplit('/').next().unwrap_or_default();
    let kind = match rest.split('/').next() {
        Some("user") => Kind::User,
        Some("role") => Kind::Role,
        _ => {
            return match Iam::of(&cx.app).policy(arn) {
                Ok(policy) => Ok(policy.tags),
                Err(IamError::Store(failure)) => Err(failure),
                Err(_) => Ok(Tags::new()),
            };
        }
    };
    Ok(Identity::find(&cx.app.records, kind, name)?.map(|identity| identity.tags).unwrap_or_default())
}
