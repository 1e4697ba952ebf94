/*!
What a template asks for beside what there is: the values of a stack put into its template, resource by resource, and what would be
done to each. The engine works resources out in the same way when it comes to them; what is known only then is [`UNKNOWN`] here.
*/

use std::collections::{BTreeMap, BTreeSet};

use nightbell_core::stack::{self as core, Given, Made, Pseudo, Scope, Template, TemplateError, differing};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::records::{Goal, OutputRecord, Resource, Stack};
use super::resources::shape::{UNKNOWN, shaped};
use super::resources::{Naming, Type, find, tags_of};
use super::status::ResourceStatus;
use crate::manage::tags::Tags;

/// A template with the values of a stack.
pub(crate) struct Blueprint {
    /// The template.
    pub(crate) template: Template,
    given: BTreeMap<String, Given>,
    pseudo: Pseudo,
    tags: Tags,
}

/// A resource, worked out.
pub(crate) struct Ready {
    /// Its type.
    pub(crate) of: &'static Type,
    /// Its properties, in form.
    pub(crate) properties: Value,
    /// Its tags: those of the stack, and its own.
    pub(crate) tags: Tags,
}

impl Blueprint {
    /// Reads the goal of a stack.
    ///
    /// # Errors
    /// Where the template or a value for it is wrong, or it has a type of resource that is not served.
    pub(crate) fn of(goal: &Goal, stack: &Stack, account: &str) -> Result<Self, TemplateError> {
        let template = Template::parse(&goal.template)?;
        let given = template.given(&goal.parameters)?;
        let mut unknown: Vec<&str> =
            template.resources.values().map(|resource| resource.type_name.as_str()).collect();
        unknown.retain(|name| find(name).is_none());
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let unknown: String = unknown.join(", ").chars().take(500).collect();
            return Err(TemplateError(format!(
                "Template format error: Unrecognized resource types: [{unknown}]"
            )));
        }
        let pseudo = Pseudo {
            region: stack.region.clone(),
            account: account.to_owned(),
            stack_name: stack.name.clone(),
            stack_id: stack.arn(account),
        };
        Ok(Self { template, given, pseudo, tags: goal.tags.clone() })
    }

    /// The conditions, worked out.
    pub(crate) fn scope(&self) -> Result<Scope<'_>, TemplateError> {
        Scope::new(&self.template, &self.given, &self.pseudo)
    }

    /// A resource, worked out from those that are made.
    ///
    /// # Errors
    /// What is wrong with its properties.
    pub(crate) fn ready(&self, scope: &Scope<'_>, logical: &str, made: &dyn Made) -> Result<Ready, String> {
        let resource = self.template.resources.get(logical).ok_or("the template has no such resource")?;
        let of = find(&resource.type_name).ok_or("the type is not served")?;
        let worked_out = scope.work_out(&resource.properties, made).map_err(|error| error.0)?;
        let worked_out = worked_out.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let mut properties = shaped(&worked_out, of.properties).map_err(|text| {
            format!("Properties validation failed for resource {logical} with message: {text}")
        })?;
        let mut tags = Tags::new();
        if of.properties.iter().any(|property| property.name == "Tags") {
            tags.clone_from(&self.tags);
            tags.extend(tags_of(&properties));
            properties.as_object_mut().map(|members| members.remove("Tags"));
        }
        Ok(Ready { of, properties, tags })
    }

    /// The outputs, worked out.
    pub(crate) fn outputs(
        &self,
        scope: &Scope<'_>,
        made: &dyn Made,
    ) -> Result<Vec<OutputRecord>, TemplateError> {
        let mut outputs = Vec::new();
        for (name, output) in &self.template.outputs {
            if !scope.holds(output.condition.as_deref()) {
                continue;
            }
            let value = match scope.work_out(&output.value, made)? {
                None => continue,
                Some(Value::String(text)) => text,
                Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
                Some(_) => {
                    let text = format!(
                        "Template format error: The Value field of every Outputs member must evaluate to a String; that of {name} does not."
                    );
                    return Err(TemplateError(text));
                }
            };
            outputs.push(OutputRecord { key: name.clone(), value, description: output.description.clone() });
        }
        Ok(outputs)
    }

    /// What must be agreed to before this is made: nothing, `CAPABILITY_IAM` or `CAPABILITY_NAMED_IAM`.
    pub(crate) fn capability(&self) -> Option<&'static str> {
        Self::capability_of(&self.template)
    }

    /// The same for a template that has no values yet.
    pub(crate) fn capability_of(template: &Template) -> Option<&'static str> {
        let named = |of: &Type, properties: &Value| match of.naming {
            Naming::Property(property, _) | Naming::SmallLetters(property, _) => {
                properties.get(property).is_some()
            }
            Naming::Made(_) | Naming::Service => false,
        };
        let rights =
            template.resources.values().filter_map(|resource| Some((resource, find(&resource.type_name)?)));
        let mut needed = None;
        for (resource, of) in rights.filter(|(_, of)| of.gives_rights) {
            // An inline policy is always named; the name gives nothing away.
            if named(of, &resource.properties) && of.name != "AWS::IAM::Policy" {
                return Some("CAPABILITY_NAMED_IAM");
            }
            needed = Some("CAPABILITY_IAM");
        }
        needed
    }
}

/// Resources as references see them: those that are made.
pub(crate) struct Standing<'a>(pub(crate) &'a BTreeMap<String, Resource>);

impl Standing<'_> {
    fn made(&self, logical: &str) -> Option<&Resource> {
        use ResourceStatus::{CreateComplete, UpdateComplete};
        self.0.get(logical).filter(|resource| matches!(resource.status, CreateComplete | UpdateComplete))
    }
}

impl Made for Standing<'_> {
    fn reference(&self, logical: &str) -> Option<Value> {
        let resource = self.made(logical)?;
        resource.reference.clone().or_else(|| resource.physical.clone()).map(Value::String)
    }

    fn attribute(&self, logical: &str, name: &str) -> Option<Value> {
        self.made(logical)?.attributes.get(name).cloned()
    }
}

/// Resources as references see them while some are only planned.
struct Planned<'a> {
    standing: Standing<'a>,
    template: &'a Template,
    /// Those that will be new.
    new: BTreeSet<String>,
}

impl Made for Planned<'_> {
    fn reference(&self, logical: &str) -> Option<Value> {
        if self.new.contains(logical) { Some(UNKNOWN.into()) } else { self.standing.reference(logical) }
    }

    fn attribute(&self, logical: &str, name: &str) -> Option<Value> {
        if !self.new.contains(logical) {
            return self.standing.attribute(logical, name);
        }
        let of = find(&self.template.resources.get(logical)?.type_name)?;
        of.attributes.contains(&name).then(|| UNKNOWN.into())
    }
}

/// How a resource differs from what it is to be.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Difference {
    /// The properties that do.
    pub(crate) properties: Vec<String>,
    /// Whether the tags do.
    pub(crate) tags: bool,
    /// Whether another resource must take its place.
    pub(crate) replaces: bool,
    /// Whether that is known only once others are made.
    pub(crate) perhaps: bool,
}

impl Difference {
    /// Between a resource and what it is to be.
    pub(crate) fn between(old: &Resource, ready: &Ready) -> Self {
        let properties = differing(&old.properties, &ready.properties);
        let replacing =
            |name: &&String| ready.of.properties.iter().any(|known| known.name == **name && known.replaces);
        let is_known = |name: &&String| !ready.properties.get(*name).is_some_and(holds_unknown);
        let (sure, perhaps): (Vec<&String>, Vec<&String>) =
            properties.iter().filter(replacing).partition(is_known);
        Self {
            replaces: !sure.is_empty() || !perhaps.is_empty(),
            perhaps: sure.is_empty() && !perhaps.is_empty(),
            tags: old.tags != ready.tags,
            properties,
        }
    }

    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        self.properties.is_empty() && !self.tags
    }
}

fn holds_unknown(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(UNKNOWN),
        Value::Array(items) => items.iter().any(holds_unknown),
        Value::Object(members) => members.values().any(holds_unknown),
        _ => false,
    }
}

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Action {
    /// It is made.
    Add,
    /// It is changed, or another takes its place.
    Modify,
    /// It is deleted.
    Remove,
}

/// What would be done to one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// What.
    pub(crate) action: Action,
    /// The resource's name in the template.
    pub(crate) logical: String,
    /// What it is known by to its service.
    pub(crate) physical: Option<String>,
    /// Its type.
    pub(crate) kind: String,
    /// Whether another takes its place: `True`, `False`, `Conditional`; nothing where it is made or deleted.
    pub(crate) replacement: Option<String>,
    /// The properties that change, and whether each needs another resource.
    pub(crate) properties: Vec<(String, bool)>,
    /// Whether tags change.
    pub(crate) tags: bool,
}

/// What would be done to a stack.
pub(crate) struct Plan {
    /// To its resources.
    pub(crate) changes: Vec<Change>,
    /// Whether its outputs change.
    pub(crate) outputs: bool,
}

impl Plan {
    /// Compares a stack with a goal.
    ///
    /// # Errors
    /// Where the goal cannot be reached; the text says why.
    pub(crate) fn of(
        stack: &Stack,
        there: &BTreeMap<String, Resource>,
        blueprint: &Blueprint,
    ) -> Result<Self, TemplateError> {
        let scope = blueprint.scope()?;
        let mut made =
            Planned { standing: Standing(there), template: &blueprint.template, new: BTreeSet::new() };
        let mut changes = Vec::new();
        let order = scope.order();
        for logical in &order {
            let ready = blueprint.ready(&scope, logical, &made).map_err(TemplateError)?;
            let old = there.get(logical).filter(|old| is_there(old));
            if let Some(old) = old.filter(|old| old.kind != ready.of.name) {
                return Err(TemplateError(format!(
                    "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{}]",
                    old.logical
                )));
            }
            let change = match old {
                None => Some(added(logical, &ready)),
                Some(old) => modified(old, &ready),
            };
            if let Some(change) = change {
                if change.action == Action::Add || change.replacement.as_deref() != Some("False") {
                    made.new.insert(logical.clone());
                }
                changes.push(change);
            }
        }
        let wanted: BTreeSet<&String> = order.iter().collect();
        let gone = there.values().filter(|old| is_there(old) && !wanted.contains(&old.logical));
        changes.extend(gone.map(removed));
        let outputs = blueprint.outputs(&scope, &made)? != stack.outputs;
        Ok(Self { changes, outputs })
    }
}

/// Whether a resource stands, or may.
fn is_there(resource: &Resource) -> bool {
    use ResourceStatus::{CreateFailed, DeleteComplete, DeleteSkipped};
    !matches!(resource.status, CreateFailed | DeleteComplete | DeleteSkipped)
}

fn added(logical: &str, ready: &Ready) -> Change {
    Change {
        action: Action::Add,
        logical: logical.to_owned(),
        physical: None,
        kind: ready.of.name.to_owned(),
        replacement: None,
        properties: Vec::new(),
        tags: false,
    }
}

fn modified(old: &Resource, ready: &Ready) -> Option<Change> {
    let difference = Difference::between(old, ready);
    let unsettled = old.status == ResourceStatus::UpdateFailed;
    if difference.is_none() && !unsettled {
        return None;
    }
    let replacing = |name: &str| ready.of.properties.iter().any(|known| known.name == name && known.replaces);
    let replacement = match (difference.replaces, difference.perhaps) {
        (false, _) => "False",
        (true, true) => "Conditional",
        (true, false) => "True",
    };
    Some(Change {
        action: Action::Modify,
        logical: old.logical.clone(),
        physical: old.physical.clone(),
        kind: old.kind.clone(),
        replacement: Some(replacement.to_owned()),
        properties: difference.properties.into_iter().map(|name| (name.clone(), replacing(&name))).collect(),
        tags: difference.tags,
    })
}

fn removed(old: &Resource) -> Change {
    Change {
        action: Action::Remove,
        logical: old.logical.clone(),
        physical: old.physical.clone(),
        kind: old.kind.clone(),
        replacement: None,
        properties: Vec::new(),
        tags: false,
    }
}

/// The logical names of resources, each after those that need it: the order in which they are deleted.
pub(crate) fn from_the_end(resources: &BTreeMap<String, Resource>) -> Vec<String> {
    let needs = resources.iter().map(|(name, resource)| (name.as_str(), &resource.needs)).collect();
    // Resources of different runs may need each other in a circle; then no order is better than another.
    let mut names = core::order(&needs).unwrap_or_else(|_| resources.keys().cloned().collect());
    names.reverse();
    names
}
