/*!
A template's sections, checked for all that can be said without carrying it out.
*/

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::parameters::{Given, Parameter, all_given};
use super::references::{self, Reference};
use super::{
    DESCRIPTION_BYTES_MAX, LOGICAL_NAME_CHARS_MAX, MAPPINGS_MAX, OUTPUTS_MAX, PARAMETERS_MAX, RESOURCES_MAX,
    TemplateError, document, malformed, order, shown, wrong,
};

/// A template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// What it says of itself.
    pub description: Option<String>,
    /// What it may be asked with, by name.
    pub parameters: BTreeMap<String, Parameter>,
    /// Its resources, by logical name.
    pub resources: BTreeMap<String, Resource>,
    /// Its outputs, by name.
    pub outputs: BTreeMap<String, Output>,
    pub(super) mappings: Map<String, Value>,
    pub(super) conditions: BTreeMap<String, Value>,
}

/// A resource of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// `AWS::Logs::LogGroup`.
    pub type_name: String,
    /// Its properties, functions still in them; an object.
    pub properties: Value,
    /// The condition under which it is there at all.
    pub condition: Option<String>,
    /// What becomes of it when it leaves the stack.
    pub on_delete: Keep,
    /// What becomes of the old one when a new one takes its place.
    pub on_replace: Keep,
    /// The resources that must be there before it.
    pub needs: BTreeSet<String>,
}

/// What becomes of a resource that is not wanted any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays, and belongs to nobody.
    Retain,
    /// It stays, unless it is taken back because its stack could not be made.
    RetainExceptOnCreate,
}

/// An output of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its value, functions still in it.
    pub value: Value,
    /// What it is.
    pub description: Option<String>,
    /// The condition under which it is there at all.
    pub condition: Option<String>,
}

impl Template {
    /// Reads a template, YAML or JSON.
    ///
    /// # Errors
    /// What is not well-formed, passes a limit, or cannot be right whatever the parameters say.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let Value::Object(sections) = document::read(text)? else {
            return Err(malformed("unsupported structure."));
        };
        check_sections(&sections)?;
        let mut parameters = BTreeMap::new();
        for (name, members) in section(&sections, "Parameters", PARAMETERS_MAX)? {
            check_name("Parameters", name)?;
            parameters.insert(name.clone(), Parameter::read(name, object("Parameters", name, members)?)?);
        }
        let mut resources = BTreeMap::new();
        for (name, members) in section(&sections, "Resources", RESOURCES_MAX)? {
            check_name("Resources", name)?;
            resources.insert(name.clone(), Resource::read(name, object("Resources", name, members)?)?);
        }
        if resources.is_empty() {
            return Err(malformed("At least one Resources member must be defined."));
        }
        let mut outputs = BTreeMap::new();
        for (name, members) in section(&sections, "Outputs", OUTPUTS_MAX)? {
            check_name("Outputs", name)?;
            outputs.insert(name.clone(), Output::read(name, object("Outputs", name, members)?)?);
        }
        let conditions = section(&sections, "Conditions", usize::MAX)?;
        let mut template = Self {
            description: description(&sections)?,
            parameters,
            resources,
            outputs,
            mappings: section(&sections, "Mappings", MAPPINGS_MAX)?
                .map(|(name, map)| (name.clone(), map.clone()))
                .collect(),
            conditions: conditions.map(|(name, condition)| (name.clone(), condition.clone())).collect(),
        };
        template.check_conditions()?;
        template.check_resources()?;
        template.check_outputs()?;
        template.order(|_| true)?;
        Ok(template)
    }

    /// The values of all parameters: those given, and the defaults of the others.
    ///
    /// # Errors
    /// Values for parameters that are not there, none for those that have no default, and values that break a rule.
    pub fn given(
        &self,
        supplied: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Given>, TemplateError> {
        all_given(&self.parameters, supplied)
    }

    /// The logical names of the resources that are `wanted`, each after those it needs.
    ///
    /// # Errors
    /// Where resources need each other in a circle.
    pub fn order(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, TemplateError> {
        let needs = self.resources.iter().filter(|(name, _)| wanted(name));
        order(&needs.map(|(name, resource)| (name.as_str(), &resource.needs)).collect())
    }

    fn check_conditions(&self) -> Result<(), TemplateError> {
        let mut needs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (name, condition) in &self.conditions {
            let mut needed = BTreeSet::new();
            references::each(condition, true, &mut |reference| match reference {
                Reference::Condition(other) if self.conditions.contains_key(other) => {
                    needed.insert(other.to_owned());
                    Ok(())
                }
                Reference::Name(other) if self.is_parameter(other) => Ok(()),
                Reference::Condition(other) | Reference::Name(other) | Reference::Attribute(other, _) => {
                    Err(malformed(format_args!(
                        "Unresolved dependencies [{}]. Cannot reference resources in the Conditions block of the template",
                        shown(other)
                    )))
                }
            })?;
            needs.insert(name, needed);
        }
        let circle = order(&needs.iter().map(|(name, needed)| (*name, needed)).collect());
        circle.map(|_| ()).map_err(|error| malformed(error.0.replace("resources", "conditions")))
    }

    fn check_resources(&mut self) -> Result<(), TemplateError> {
        let mut needs: Vec<(String, BTreeSet<String>)> = Vec::new();
        for (name, resource) in &self.resources {
            let mut needed = self.needs("Resources", &resource.properties)?;
            self.check_condition("Resources", resource.condition.as_deref())?;
            if let Some(absent) = resource.needs.iter().find(|other| !self.resources.contains_key(*other)) {
                return Err(unresolved("Resources", absent));
            }
            needed.extend(resource.needs.iter().cloned());
            if needed.contains(name) {
                return Err(TemplateError(format!("Circular dependency between resources: [{name}]")));
            }
            needs.push((name.clone(), needed));
        }
        for (name, needed) in needs {
            if let Some(resource) = self.resources.get_mut(&name) {
                resource.needs = needed;
            }
        }
        Ok(())
    }

    fn check_outputs(&self) -> Result<(), TemplateError> {
        for output in self.outputs.values() {
            self.needs("Outputs", &output.value)?;
            self.check_condition("Outputs", output.condition.as_deref())?;
        }
        Ok(())
    }

    /// The resources that a value refers to.
    fn needs(&self, block: &str, value: &Value) -> Result<BTreeSet<String>, TemplateError> {
        let mut needed = BTreeSet::new();
        references::each(value, false, &mut |reference| {
            match reference {
                Reference::Condition(name) => self.check_condition(block, Some(name))?,
                Reference::Name(name) if self.is_parameter(name) => {}
                Reference::Name(name) | Reference::Attribute(name, _)
                    if self.resources.contains_key(name) =>
                {
                    needed.insert(name.to_owned());
                }
                Reference::Name(name) | Reference::Attribute(name, _) => return Err(unresolved(block, name)),
            }
            Ok(())
        })?;
        Ok(needed)
    }

    fn check_condition(&self, block: &str, name: Option<&str>) -> Result<(), TemplateError> {
        match name {
            Some(name) if !self.conditions.contains_key(name) => Err(malformed(format_args!(
                "Unresolved condition dependency {} in the {block} block of the template",
                shown(name)
            ))),
            _ => Ok(()),
        }
    }

    fn is_parameter(&self, name: &str) -> bool {
        self.parameters.contains_key(name) || super::functions::is_pseudo(name)
    }
}

fn unresolved(block: &str, name: &str) -> TemplateError {
    malformed(format_args!(
        "Unresolved resource dependencies [{}] in the {block} block of the template",
        shown(name)
    ))
}

fn check_sections(sections: &Map<String, Value>) -> Result<(), TemplateError> {
    const KNOWN: [&str; 8] = [
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Mappings",
        "Conditions",
        "Resources",
        "Outputs",
    ];
    for name in sections.keys() {
        match name.as_str() {
            known if KNOWN.contains(&known) => {}
            refused @ ("Transform" | "Rules" | "Hooks") => {
                return Err(malformed(format_args!(
                    "the section {refused} is not served by this version; leave it out"
                )));
            }
            other => {
                let other = shown(other);
                return Err(malformed(format_args!("Invalid template property or properties [{other}]")));
            }
        }
    }
    match sections.get("AWSTemplateFormatVersion") {
        None => Ok(()),
        Some(Value::String(version)) if version == "2010-09-09" => Ok(()),
        Some(_) => Err(malformed("AWSTemplateFormatVersion must be \"2010-09-09\"")),
    }
}

fn description(sections: &Map<String, Value>) -> Result<Option<String>, TemplateError> {
    match sections.get("Description") {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= DESCRIPTION_BYTES_MAX => Ok(Some(text.clone())),
        Some(Value::String(text)) => Err(malformed(format_args!(
            "the Description has {} bytes; the limit is {DESCRIPTION_BYTES_MAX}",
            text.len()
        ))),
        Some(_) => Err(malformed("the Description is no text")),
    }
}

/// The members of a section; none where it is not there.
fn section<'t>(
    sections: &'t Map<String, Value>,
    name: &str,
    most: usize,
) -> Result<impl Iterator<Item = (&'t String, &'t Value)> + use<'t>, TemplateError> {
    let members = match sections.get(name) {
        None => None,
        Some(Value::Object(members)) => Some(members),
        Some(_) => return Err(malformed(format_args!("the section {name} is no map"))),
    };
    let count = members.map_or(0, Map::len);
    if count > most {
        return Err(malformed(format_args!(
            "Number of {}, {count}, is greater than maximum allowed, {most}",
            name.to_lowercase()
        )));
    }
    Ok(members.into_iter().flatten())
}

fn object<'t>(section: &str, name: &str, value: &'t Value) -> Result<&'t Map<String, Value>, TemplateError> {
    let told = || malformed(format_args!("[/{section}/{name}] Every {section} member must be an object."));
    value.as_object().ok_or_else(told)
}

fn check_name(section: &str, name: &str) -> Result<(), TemplateError> {
    let chars = name.chars().count();
    if (1..=LOGICAL_NAME_CHARS_MAX).contains(&chars) && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(malformed(format_args!(
        "{section} name {} is invalid: 1 to {LOGICAL_NAME_CHARS_MAX} letters and digits",
        shown(name)
    )))
}

impl Resource {
    fn read(name: &str, members: &Map<String, Value>) -> Result<Self, TemplateError> {
        for member in members.keys() {
            match member.as_str() {
                "Type"
                | "Properties"
                | "DependsOn"
                | "Condition"
                | "DeletionPolicy"
                | "UpdateReplacePolicy"
                | "Metadata" => {}
                refused @ ("CreationPolicy" | "UpdatePolicy") => {
                    return Err(malformed(format_args!(
                        "[/Resources/{name}] {refused} is not served by this version; leave it out"
                    )));
                }
                other => {
                    let other = shown(other);
                    return Err(malformed(format_args!(
                        "Invalid template resource property '{other}' of {name}"
                    )));
                }
            }
        }
        let Some(Value::String(type_name)) = members.get("Type") else {
            return Err(malformed(format_args!(
                "[/Resources/{name}] Every Resources object must contain a Type member."
            )));
        };
        let properties = match members.get("Properties") {
            None => Value::Object(Map::new()),
            Some(properties @ Value::Object(_)) => properties.clone(),
            Some(_) => {
                return Err(malformed(format_args!(
                    "[/Resources/{name}/Properties] 'Properties' must be an object."
                )));
            }
        };
        refuse_dynamic(name, &properties)?;
        let needs = match members.get("DependsOn") {
            None => BTreeSet::new(),
            Some(Value::String(one)) => BTreeSet::from([one.clone()]),
            Some(Value::Array(several)) if several.iter().all(Value::is_string) => {
                several.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(_) => {
                return Err(malformed(format_args!(
                    "[/Resources/{name}] DependsOn must be a string or list of strings."
                )));
            }
        };
        Ok(Self {
            type_name: type_name.clone(),
            properties,
            condition: condition(name, members)?,
            on_delete: keep(name, members, "DeletionPolicy")?,
            on_replace: keep(name, members, "UpdateReplacePolicy")?,
            needs,
        })
    }
}

/// Values out of other stores by `{{resolve:…}}` are refused, rather than taken for text.
fn refuse_dynamic(name: &str, value: &Value) -> Result<(), TemplateError> {
    match value {
        Value::String(text) if text.contains("{{resolve:") => Err(wrong(format_args!(
            "[/Resources/{name}] dynamic references ({{{{resolve:…}}}}) are not served by this version; use a parameter with NoEcho"
        ))),
        Value::Array(items) => items.iter().try_for_each(|item| refuse_dynamic(name, item)),
        Value::Object(members) => members.values().try_for_each(|member| refuse_dynamic(name, member)),
        _ => Ok(()),
    }
}

fn condition(name: &str, members: &Map<String, Value>) -> Result<Option<String>, TemplateError> {
    match members.get("Condition") {
        None => Ok(None),
        Some(Value::String(condition)) => Ok(Some(condition.clone())),
        Some(_) => {
            Err(malformed(format_args!("Every Condition member must be a string; that of {name} is none.")))
        }
    }
}

fn keep(name: &str, members: &Map<String, Value>, member: &str) -> Result<Keep, TemplateError> {
    match members.get(member).map(Value::as_str) {
        None => Ok(Keep::Delete),
        Some(Some("Delete")) => Ok(Keep::Delete),
        Some(Some("Retain")) => Ok(Keep::Retain),
        Some(Some("RetainExceptOnCreate")) if member == "DeletionPolicy" => Ok(Keep::RetainExceptOnCreate),
        Some(Some("Snapshot")) => Err(malformed(format_args!(
            "[/Resources/{name}] no type that is served has snapshots; {member} may be Delete or Retain"
        ))),
        Some(_) => Err(malformed(format_args!(
            "Unrecognized {member} for resource {name}; it may be Delete or Retain"
        ))),
    }
}

impl Output {
    fn read(name: &str, members: &Map<String, Value>) -> Result<Self, TemplateError> {
        for member in members.keys() {
            match member.as_str() {
                "Value" | "Description" | "Condition" => {}
                "Export" => {
                    return Err(malformed(format_args!(
                        "[/Outputs/{name}] exports are not served by this version; give the value as a parameter of the other stack"
                    )));
                }
                other => {
                    let other = shown(other);
                    return Err(malformed(format_args!(
                        "Invalid template output property '{other}' of {name}"
                    )));
                }
            }
        }
        let Some(value) = members.get("Value") else {
            return Err(malformed(format_args!(
                "Every Outputs member must contain a Value object; {name} has none"
            )));
        };
        let description = members.get("Description").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { value: value.clone(), description, condition: condition(name, members)? })
    }
}
