/*!
Tags as the services write them; a file for each service's operations on them. The rules are in `manage::tags`.
*/

use serde::{Deserialize, Serialize};

use super::service::Service;
use crate::manage::Refusal;
use crate::manage::tags::Tags;

pub(super) mod cloudwatch;
pub(super) mod logs;
pub(super) mod sns;

/// A tag, where a service writes them as a list.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: String,
    #[serde(default, deserialize_with = "super::nullable")]
    value: String,
}

/// The tags of a list; refused where a key stands in it twice.
pub(super) fn read(given: Vec<Tag>) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for Tag { key, value } in given {
        if let Some(_twice) = tags.insert(key.clone(), value) {
            let shown: String = key.chars().take(crate::manage::tags::TAG_KEY_CHARS_MAX).collect();
            return Err(Refusal::Invalid(format!("tags: the key '{shown}' stands there twice")));
        }
    }
    Ok(tags)
}

/// Tags as a list.
pub(super) fn shown(tags: Tags) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag { key, value }).collect()
}

/// The code of a service for more tags than a resource may have.
pub(super) fn too_many(service: Service) -> &'static str {
    match service {
        Service::Logs => "TooManyTagsException",
        Service::Sns => "TagLimitExceeded",
        Service::Ssm => "TooManyTagsError",
        other => other.traits().codes.invalid,
    }
}

/// The six parts of an ARN, of which the last may hold colons itself.
pub(super) fn parts(arn: &str) -> Option<[&str; 6]> {
    arn.splitn(6, ':').collect::<Vec<_>>().try_into().ok()
}
