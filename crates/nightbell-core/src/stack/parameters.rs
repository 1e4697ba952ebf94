/*!
Parameters of a template: what each may be, and whether a value is that ("Parameters", AWS CloudFormation User Guide).
*/

use std::collections::BTreeMap;

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use serde_json::{Map, Value};

use super::{ALLOWED_PATTERN_BYTES_MAX, PARAMETER_BYTES_MAX, TemplateError, malformed, shown};

/// What a parameter's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// `String`, and the types that name a resource of AWS.
    Text,
    /// `Number`.
    Number,
    /// `List<Number>`.
    Numbers,
    /// `CommaDelimitedList`.
    Texts,
}

/// A parameter as a template declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The type as it was written.
    pub type_name: String,
    /// What its value is.
    pub kind: ParameterKind,
    /// The value where none is given.
    pub default: Option<String>,
    /// Whether its value is never shown.
    pub no_echo: bool,
    /// What it is for.
    pub description: Option<String>,
    /// What is told where a value breaks a rule, in place of the rule.
    pub constraint_description: Option<String>,
    /// The values that it may have; any where empty.
    pub allowed_values: Vec<String>,
    /// A regular expression that the whole value must match.
    pub allowed_pattern: Option<String>,
    length: (Option<usize>, Option<usize>),
    value: (Option<f64>, Option<f64>),
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// One text or number.
    Text(String),
    /// A list.
    Texts(Vec<String>),
}

impl Given {
    /// The value as data.
    pub fn value(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Texts(texts) => texts.iter().cloned().map(Value::String).collect(),
        }
    }
}

impl Parameter {
    /// Reads the declaration of the parameter `name`.
    pub(super) fn read(name: &str, members: &Map<String, Value>) -> Result<Self, TemplateError> {
        let text = |member: &str| members.get(member).map(|value| scalar(name, member, value)).transpose();
        for member in members.keys() {
            if !MEMBERS.contains(&member.as_str()) {
                let member = shown(member);
                return Err(malformed(format_args!("Invalid template parameter property '{member}'")));
            }
        }
        let type_name = text("Type")?.ok_or_else(|| {
            malformed(format_args!("Every Parameters object must contain a Type member; {name} has none."))
        })?;
        let kind = kind(name, &type_name)?;
        let allowed_values = match members.get("AllowedValues") {
            None => Vec::new(),
            Some(Value::Array(values)) => {
                values.iter().map(|value| scalar(name, "AllowedValues", value)).collect::<Result<_, _>>()?
            }
            Some(_) => {
                return Err(malformed(format_args!("the AllowedValues of the parameter {name} are no list")));
            }
        };
        let number = |member: &str| -> Result<Option<f64>, TemplateError> {
            let told = || malformed(format_args!("{member} of the parameter {name} is no number"));
            text(member)?.map(|text| text.parse().map_err(|_| told())).transpose()
        };
        let length = |member: &str| -> Result<Option<usize>, TemplateError> {
            let told =
                || malformed(format_args!("{member} of the parameter {name} is no whole number from 0"));
            text(member)?.map(|text| text.parse().map_err(|_| told())).transpose()
        };
        let parameter = Self {
            kind,
            type_name,
            default: text("Default")?,
            no_echo: text("NoEcho")?.is_some_and(|text| text.eq_ignore_ascii_case("true")),
            description: text("Description")?,
            constraint_description: text("ConstraintDescription")?,
            allowed_values,
            allowed_pattern: text("AllowedPattern")?,
            length: (length("MinLength")?, length("MaxLength")?),
            value: (number("MinValue")?, number("MaxValue")?),
        };
        if let Some(pattern) = &parameter.allowed_pattern {
            compile(name, pattern)?;
        }
        Ok(parameter)
    }

    /// Checks a value and takes it apart, where it is a list.
    fn check(&self, name: &str, text: &str) -> Result<Given, TemplateError> {
        let broken = |rule: String| match &self.constraint_description {
            Some(described) => {
                TemplateError(format!("Parameter '{name}' failed to satisfy constraint: {described}"))
            }
            None => TemplateError(format!("Parameter '{name}' {rule}")),
        };
        if text.len() > PARAMETER_BYTES_MAX {
            return Err(TemplateError(format!(
                "Parameter '{name}' has {} bytes; the limit is {PARAMETER_BYTES_MAX}",
                text.len()
            )));
        }
        let given = match self.kind {
            ParameterKind::Text | ParameterKind::Number => Given::Text(text.to_owned()),
            ParameterKind::Numbers | ParameterKind::Texts => {
                Given::Texts(text.split(',').map(|item| item.trim().to_owned()).collect())
            }
        };
        let items: &[String] = match &given {
            Given::Text(text) => std::slice::from_ref(text),
            Given::Texts(texts) => texts,
        };
        let chars = text.chars().count();
        if let (Some(least), _) = self.length
            && chars < least
        {
            return Err(broken(format!("must contain at least {least} characters")));
        }
        if let (_, Some(most)) = self.length
            && chars > most
        {
            return Err(broken(format!("must contain at most {most} characters")));
        }
        for item in items {
            self.check_item(name, item, &broken)?;
        }
        Ok(given)
    }

    fn check_item(
        &self,
        name: &str,
        item: &str,
        broken: &impl Fn(String) -> TemplateError,
    ) -> Result<(), TemplateError> {
        if matches!(self.kind, ParameterKind::Number | ParameterKind::Numbers) {
            let number = item.parse::<f64>().ok().filter(|number| number.is_finite());
            let number =
                number.ok_or_else(|| TemplateError(format!("Parameter '{name}' must be a number")))?;
            if let (Some(least), _) = self.value
                && number < least
            {
                return Err(broken(format!("must be a number not less than {least}")));
            }
            if let (_, Some(most)) = self.value
                && number > most
            {
                return Err(broken(format!("must be a number not greater than {most}")));
            }
        }
        if !self.allowed_values.is_empty() && !self.allowed_values.iter().any(|allowed| allowed == item) {
            return Err(broken(format!("must be one of AllowedValues [{}]", self.allowed_values.join(", "))));
        }
        if let Some(pattern) = &self.allowed_pattern
            && !compile(name, pattern)?.is_match(item)
        {
            return Err(broken(format!("must match pattern {pattern}")));
        }
        Ok(())
    }
}

/// The values of all parameters: those that are given, and the defaults of the others.
///
/// # Errors
/// Values for parameters that are not there, none for those that have no default, and values that break a rule.
pub(super) fn all_given(
    declared: &BTreeMap<String, Parameter>,
    supplied: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Given>, TemplateError> {
    let unknown: Vec<String> =
        supplied.keys().filter(|name| !declared.contains_key(*name)).map(|name| shown(name)).collect();
    if !unknown.is_empty() {
        return Err(TemplateError(format!(
            "Parameters: [{}] do not exist in the template",
            unknown.join(", ")
        )));
    }
    let without = |(name, parameter): &(&String, &Parameter)| {
        !supplied.contains_key(*name) && parameter.default.is_none()
    };
    let missing: Vec<&str> = declared.iter().filter(without).map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        return Err(TemplateError(format!("Parameters: [{}] must have values", missing.join(", "))));
    }
    let mut given = BTreeMap::new();
    for (name, parameter) in declared {
        if let Some(text) = supplied.get(name).or(parameter.default.as_ref()) {
            given.insert(name.clone(), parameter.check(name, text)?);
        }
    }
    Ok(given)
}

/// The members of a parameter's declaration.
const MEMBERS: [&str; 11] = [
    "Type",
    "Default",
    "NoEcho",
    "Description",
    "ConstraintDescription",
    "AllowedValues",
    "AllowedPattern",
    "MinLength",
    "MaxLength",
    "MinValue",
    "MaxValue",
];

fn kind(name: &str, type_name: &str) -> Result<ParameterKind, TemplateError> {
    match type_name {
        "String" | "AWS::SSM::Parameter::Name" => Ok(ParameterKind::Text),
        "Number" => Ok(ParameterKind::Number),
        "List<Number>" => Ok(ParameterKind::Numbers),
        "CommaDelimitedList" | "List<String>" => Ok(ParameterKind::Texts),
        other => Err(malformed(format_args!(
            "the type {} of the parameter {name} is not served by this version; use String, Number, List<Number> or CommaDelimitedList",
            shown(other)
        ))),
    }
}

/// A text, or a number or bool as it would be written.
fn scalar(name: &str, member: &str, value: &Value) -> Result<String, TemplateError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(malformed(format_args!(
            "Every {member} member must be a string; that of the parameter {name} is none."
        ))),
    }
}

fn compile(name: &str, pattern: &str) -> Result<meta::Regex, TemplateError> {
    let config = meta::Config::new()
        .nfa_size_limit(Some(ALLOWED_PATTERN_BYTES_MAX))
        .hybrid_cache_capacity(ALLOWED_PATTERN_BYTES_MAX)
        .which_captures(WhichCaptures::None);
    meta::Builder::new().configure(config).build(&format!("^(?:{pattern})$")).map_err(|_| {
        malformed(format_args!(
            "the AllowedPattern of the parameter {name} cannot be read; looking around and back-references are not supported"
        ))
    })
}
