/*!
The types of resources: what properties each has, and which operations make, change and delete one.

A type is a row of [`TYPES`] and a [`Handler`]. Handlers ask for operations of the services, as any client would, for the stack's caller
([`Site::ask`]): the same rules, the same judging, the same errors. None reaches into `manage`.
*/

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use self::shape::Property;
use crate::aws::Cx;
use crate::aws::error::Told;
use crate::aws::route;
use crate::aws::service::Service;

mod alarms;
mod buckets;
mod functions;
mod iam;
mod identities;
mod logs;
mod parameters;
pub(crate) mod shape;
mod streams;
mod topics;

/// A type of resource.
pub(crate) struct Type {
    /// `AWS::Logs::LogGroup`.
    pub(crate) name: &'static str,
    /// Its properties.
    pub(crate) properties: &'static [Property],
    /// What `Fn::GetAtt` knows of it.
    pub(crate) attributes: &'static [&'static str],
    /// How it gets its name.
    pub(crate) naming: Naming,
    /// Whether whoever makes one must have said that a template may give rights away.
    pub(crate) gives_rights: bool,
    /// What makes it.
    pub(crate) handler: &'static dyn Handler,
}

/// How a resource gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By a property, or else it is made of stack and logical name, with so many characters at most.
    Property(&'static str, usize),
    /// As by [`Naming::Property`]; what is made has small letters only.
    SmallLetters(&'static str, usize),
    /// Always made of stack and logical name, with so many characters at most.
    Made(usize),
    /// By the service, once it is made.
    Service,
}

static TYPES: &[&[Type]] = &[
    &logs::TYPES,
    &alarms::TYPES,
    &topics::TYPES,
    &parameters::TYPES,
    &iam::TYPES,
    &functions::TYPES,
    &streams::TYPES,
    &identities::TYPES,
    &buckets::TYPES,
];

/// The type of this name.
pub(crate) fn find(name: &str) -> Option<&'static Type> {
    TYPES.iter().flat_map(|types| types.iter()).find(|one| one.name == name)
}

/// A resource as it is to be.
pub(crate) struct Wanted<'a> {
    /// Its name, where the service does not give it; empty otherwise.
    pub(crate) name: &'a str,
    /// Its properties, in form.
    pub(crate) properties: &'a Value,
    /// Tags of the stack and of the resource.
    pub(crate) tags: &'a BTreeMap<String, String>,
    /// Whether an attempt to make it was cut short, so that it may be there.
    pub(crate) resumed: bool,
    /// What was there before that attempt, as [`Handler::look_around`] said.
    pub(crate) seen: &'a [String],
}

/// A resource as it was made or changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Made {
    /// What it is known by to its service.
    pub(crate) physical: String,
    /// What `Ref` comes to; the physical id where it says nothing.
    pub(crate) reference: Option<String>,
    /// What `Fn::GetAtt` comes to.
    pub(crate) attributes: BTreeMap<String, Value>,
    /// Whether those of before still hold, which the service does not tell again.
    pub(crate) keeps_attributes: bool,
}

impl Made {
    /// One that `Ref` knows by its physical id.
    pub(crate) fn of(physical: impl Into<String>) -> Self {
        Self { physical: physical.into(), ..Self::default() }
    }

    /// With an attribute.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }
}

/// Makes, changes and deletes resources of a type. Each may be asked again after a crash in the middle, and then ends as if it had not been.
#[async_trait]
pub(crate) trait Handler: Sync {
    /// Whether a resource of this name is there; nobody's stack may take it over.
    async fn is_there(&self, _site: &Site, _wanted: &Wanted<'_>) -> Result<bool, Told> {
        Ok(false)
    }

    /// What is there already, where the service gives names and a crash could leave one that nobody knows.
    async fn look_around(&self, _site: &Site, _wanted: &Wanted<'_>) -> Result<Vec<String>, Told> {
        Ok(Vec::new())
    }

    /// The physical id of the resource that will have this name; nothing where the service gives it.
    fn physical(&self, _site: &Site, wanted: &Wanted<'_>) -> Option<String> {
        (!wanted.name.is_empty()).then(|| wanted.name.to_owned())
    }

    /// Makes it.
    async fn create(&self, site: &Site, wanted: &Wanted<'_>) -> Result<Made, Told>;

    /// Changes it in place; `old` are its properties so far, with their tags.
    async fn update(
        &self,
        site: &Site,
        physical: &str,
        old: &Old<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Told>;

    /// Deletes it; what is not there is deleted.
    async fn delete(&self, site: &Site, physical: &str, properties: &Value) -> Result<(), Told>;
}

/// A resource as it was before a change.
pub(crate) struct Old<'a> {
    /// Its properties.
    pub(crate) properties: &'a Value,
    /// Tags of the stack and of the resource.
    pub(crate) tags: &'a BTreeMap<String, String>,
}

impl Old<'_> {
    /// Tags that are new or have another value, and the keys of those that are gone.
    pub(crate) fn tag_changes(&self, wanted: &Wanted<'_>) -> (BTreeMap<String, String>, Vec<String>) {
        let is_new = |(key, value): &(&String, &String)| self.tags.get(*key) != Some(*value);
        let set = wanted.tags.iter().filter(is_new).map(|(key, value)| (key.clone(), value.clone()));
        let unset = self.tags.keys().filter(|key| !wanted.tags.contains_key(*key)).cloned();
        (set.collect(), unset.collect())
    }

    /// Whether a property has another value.
    pub(crate) fn differs(&self, wanted: &Wanted<'_>, property: &str) -> bool {
        self.properties.get(property) != wanted.properties.get(property)
    }
}

/// Where resources are made, and for whom.
pub(crate) struct Site {
    cx: Cx,
}

/// How often an operation is asked that may do better later.
const ATTEMPTS_MAX: usize = 4;
/// How long to wait before that.
const AGAIN_AFTER: std::time::Duration = std::time::Duration::from_millis(500);

impl Site {
    /// For the caller in `cx`.
    pub(crate) fn of(cx: Cx) -> Self {
        Self { cx }
    }

    /// The region.
    pub(crate) fn region(&self) -> &str {
        &self.cx.region
    }

    /// The account.
    pub(crate) fn account(&self) -> &str {
        &self.cx.app.account
    }

    /// The ARN of something in this region.
    pub(crate) fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region(), self.account())
    }

    /// The ARN of something that has no region.
    pub(crate) fn global_arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}::{}:{rest}", self.account())
    }

    /// Asks for an operation; once more where the server is only busy.
    pub(crate) async fn ask(&self, service: Service, operation: &str, input: Value) -> Result<Value, Told> {
        let mut attempt = 1;
        loop {
            match route::call(self.cx.clone(), service, operation, &input).await {
                Err(told) if attempt < ATTEMPTS_MAX && is_passing(service, &told) => {
                    attempt += 1;
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                other => return other,
            }
        }
    }

    /// The same; nothing where it is answered with one of these errors.
    pub(crate) async fn ask_unless(
        &self,
        codes: &[&str],
        service: Service,
        operation: &str,
        input: Value,
    ) -> Result<Option<Value>, Told> {
        match self.ask(service, operation, input).await {
            Ok(answer) => Ok(Some(answer)),
            Err(told) if codes.contains(&told.error.code) => Ok(None),
            Err(told) => Err(told),
        }
    }
}

/// Whether the same request may be answered otherwise a moment later.
fn is_passing(service: Service, told: &Told) -> bool {
    let codes = &service.traits().codes;
    told.error.status >= 500 || told.error.code == codes.throttled
}

/// The properties of this name, as an input takes them; those that are not there are left out.
pub(crate) fn members(properties: &Value, names: &[&str]) -> Map<String, Value> {
    let member = |name: &&str| Some(((*name).to_owned(), properties.get(*name)?.clone()));
    names.iter().filter_map(member).collect()
}

/// The same with names that begin with a small letter.
pub(crate) fn small_members(properties: &Value, names: &[&str]) -> Map<String, Value> {
    members(properties, names).into_iter().map(|(name, value)| (small(&name), value)).collect()
}

/// A name that begins with a small letter.
pub(crate) fn small(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A property that is a text.
pub(crate) fn said<'p>(properties: &'p Value, name: &str) -> &'p str {
    properties.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list.
pub(crate) fn items<'p>(properties: &'p Value, name: &str) -> &'p [Value] {
    properties.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Tags as a list.
pub(crate) fn listed(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// The tags among properties: a list, or texts by name.
pub(crate) fn tags_of(properties: &Value) -> BTreeMap<String, String> {
    match properties.get("Tags") {
        Some(Value::Array(tags)) => {
            tags.iter().map(|tag| (said(tag, "Key").to_owned(), said(tag, "Value").to_owned())).collect()
        }
        Some(Value::Object(tags)) => tags
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        _ => BTreeMap::new(),
    }
}

/// Letters and digits at the end of a name that is made.
const SUFFIX_CHARS: usize = 12;

/// The name of a resource that is given none: `STACK-LOGICAL-SUFFIX`, always the same for one stack, logical name and run.
pub(crate) fn made_name(
    stack: &str,
    stack_id: &str,
    logical: &str,
    generation: u64,
    chars_max: usize,
) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let digest = Sha256::digest(format!("{stack_id}\0{logical}\0{generation}"));
    let suffix: String = digest
        .iter()
        .take(SUFFIX_CHARS)
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect();
    let room = chars_max.saturating_sub(SUFFIX_CHARS + 2);
    let of_stack: String =
        stack.chars().take(room.div_ceil(2).max(room.saturating_sub(logical.len()))).collect();
    let of_logical: String = logical.chars().take(room.saturating_sub(of_stack.len())).collect();
    format!("{of_stack}-{of_logical}-{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_name_once_and_its_naming_is_a_property() {
        let mut names = Vec::new();
        for one in TYPES.iter().flat_map(|types| types.iter()) {
            names.push(one.name);
            if let Naming::Property(property, _) | Naming::SmallLetters(property, _) = one.naming {
                let found = one.properties.iter().find(|known| known.name == property);
                assert!(found.is_some_and(|found| found.replaces), "{}: {property}", one.name);
            }
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(find("AWS::Logs::LogGroup").is_some() && find("AWS::Logs::Loggroup").is_none());
    }

    #[test]
    fn names_that_are_made_fit_and_stay_the_same() {
        let name = made_name("stack", "id", "Group", 1, 512);
        assert!(name.starts_with("stack-Group-") && name.len() == "stack-Group-".len() + 12, "{name}");
        assert_eq!(name, made_name("stack", "id", "Group", 1, 512));
        assert_ne!(name, made_name("stack", "id", "Group", 2, 512));
        assert_ne!(name, made_name("stack", "other", "Group", 1, 512));
        for (stack, logical) in
            [("s".repeat(128), "L".repeat(255)), ("s".into(), "L".repeat(255)), ("s".repeat(128), "L".into())]
        {
            let name = made_name(&stack, "id", &logical, 1, 64);
            assert_eq!(name.len(), 64, "{name}");
            assert!(name.starts_with('s') && name.contains("-L"), "{name}");
        }
    }
}
