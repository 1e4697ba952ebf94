/*!
CloudFormation templates: read, checked, put in order, worked out ("Template reference", AWS CloudFormation User Guide).

A [`Template`] is the text as data, with all that can be checked without carrying it out. A [`Scope`] adds the values of one stack and
works out properties and outputs from what was made so far ([`Made`]). Knows no type of resource and no service: which properties
a type has, and what is called to make one, the server says.
*/

use thiserror::Error;

mod document;
mod functions;
mod order;
mod parameters;
mod references;
mod template;

pub use functions::{Made, Pseudo, Scope};
pub use order::order;
pub use parameters::{Given, Parameter, ParameterKind};
pub use template::{Keep, Output, Resource, Template};

/// Bytes of a template in a request ("CloudFormation quotas").
pub const TEMPLATE_BYTES_MAX: usize = 51_200;
/// Lists and maps within each other; ours.
pub const TEMPLATE_DEPTH_MAX: usize = 64;
/// Resources of a template ("CloudFormation quotas").
pub const RESOURCES_MAX: usize = 500;
/// Parameters of a template ("CloudFormation quotas").
pub const PARAMETERS_MAX: usize = 200;
/// Outputs of a template ("CloudFormation quotas").
pub const OUTPUTS_MAX: usize = 200;
/// Mappings of a template ("CloudFormation quotas").
pub const MAPPINGS_MAX: usize = 200;
/// Bytes of a parameter's value ("CloudFormation quotas").
pub const PARAMETER_BYTES_MAX: usize = 4_096;
/// Bytes of a template's description ("CloudFormation quotas").
pub const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Characters of the name of a parameter, resource or output ("CloudFormation quotas").
pub const LOGICAL_NAME_CHARS_MAX: usize = 255;
/// Bytes that the functions of one resource may make together: references can repeat long values; ours.
pub const WORKED_OUT_BYTES_MAX: usize = 1 << 20;
/// Bytes of a compiled `AllowedPattern`; ours.
pub const ALLOWED_PATTERN_BYTES_MAX: usize = 1 << 20;

/// A template, or a value for it, that is wrong; the text says where and why, as CloudFormation does.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct TemplateError(pub String);

/// An error of the template's form.
fn malformed(text: impl std::fmt::Display) -> TemplateError {
    TemplateError(format!("Template format error: {text}"))
}

/// An error of the template's meaning.
fn wrong(text: impl std::fmt::Display) -> TemplateError {
    TemplateError(format!("Template error: {text}"))
}

/// Text from outside as errors repeat it: not all of it.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The names of the top-level properties that two sets of properties differ in, in order.
pub fn differing(old: &serde_json::Value, new: &serde_json::Value) -> Vec<String> {
    let empty = serde_json::Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests;
