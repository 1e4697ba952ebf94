/*!
From a metric filter as written to what it means, or the message that says why not.

Checks are made in the order the service is believed to make them: fields one by one, then the pattern, then the
transformation, then the criteria. Texts marked *assumed* are not recorded anywhere.
*/

use std::sync::Arc;

use super::criteria::Criteria;
use super::{
    CRITERIA_CHARS_MAX, DIMENSION_CHARS_MAX, DIMENSIONS_MAX, DISTINCT_KEYS_MAX, FILTER_NAME_CHARS_MAX,
    FilterError, FilterErrorKind, METRIC_NAME_CHARS_MAX, METRIC_VALUE_CHARS_MAX, MetricFilter,
    STREAM_SELECTOR, SYSTEM_FIELDS,
};
use crate::fields::Selector;
use crate::metric::UNITS;
use crate::pattern::{Caller, Family, Pattern, plain_number};

/// What a metric filter means.
#[derive(Clone, Debug)]
pub struct CheckedFilter {
    pub(super) pattern: Arc<Pattern>,
    pub(super) value: Counted,
    /// Sorted by name.
    pub(super) dimensions: Vec<(String, Source)>,
    pub(super) criteria: Option<Criteria>,
}

impl CheckedFilter {
    /// The parsed pattern; [`Pattern::regexes`] tells whether it counts against a group's limit.
    pub fn pattern(&self) -> &Arc<Pattern> {
        &self.pattern
    }
}

/// What a matching event adds.
#[derive(Clone, Debug)]
pub(super) enum Counted {
    /// A sample of this number.
    Number(Source),
    /// A sample of 1 with a key made of these texts: `DISTINCT($.a, $.b)`, Nightbell's own.
    Keyed(Vec<Source>),
}

/// Where a value or a dimension comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Literal(f64),
    Field(Selector),
    /// A column, as `$name`.
    Column(String),
    Stream,
}

pub(super) fn check(filter: &MetricFilter) -> Result<CheckedFilter, FilterError> {
    check_fields(filter)?;
    let pattern = Pattern::parse(&filter.pattern)
        .map_err(|error| FilterError::new(FilterErrorKind::Pattern, error.message(Caller::MetricFilter)))?;
    let value = counted(&filter.value, pattern.family())?;
    let dimensions = check_dimensions(filter, pattern.family())?;
    let criteria = match &filter.field_selection_criteria {
        Some(text) if !text.trim().is_empty() => Some(Criteria::parse(text).ok_or_else(|| {
            FilterError::new(FilterErrorKind::Criteria, "The provided field selection criteria is invalid")
        })?),
        _ => None,
    };
    Ok(CheckedFilter { pattern: Arc::new(pattern), value, dimensions, criteria })
}

/// Lengths, characters and allowed values, field by field.
fn check_fields(filter: &MetricFilter) -> Result<(), FilterError> {
    let transformation = |field: &str| format!("metricTransformations.1.member.{field}");
    check_text("filterName", &filter.name, FILTER_NAME_CHARS_MAX, ":*")?;
    check_text(&transformation("metricName"), &filter.metric, METRIC_NAME_CHARS_MAX, ":*$")?;
    check_text(&transformation("metricNamespace"), &filter.namespace, METRIC_NAME_CHARS_MAX, ":*$")?;
    check_text(&transformation("metricValue"), &filter.value, METRIC_VALUE_CHARS_MAX, "")?;
    for (name, value) in &filter.dimensions {
        check_text(&transformation("dimensions"), name, DIMENSION_CHARS_MAX, "")?;
        check_text(&transformation("dimensions"), value, DIMENSION_CHARS_MAX, "")?;
    }
    if let Some(unit) = &filter.unit
        && !UNITS.contains(&unit.as_str())
    {
        let constraint = format!("Member must satisfy enum value set: [{}]", UNITS.join(", "));
        return Err(invalid(&transformation("unit"), unit, &constraint));
    }
    if let Some(criteria) = &filter.field_selection_criteria
        && criteria.chars().count() > CRITERIA_CHARS_MAX
    {
        let constraint = format!("Member must have length less than or equal to {CRITERIA_CHARS_MAX}");
        return Err(invalid("fieldSelectionCriteria", criteria, &constraint));
    }
    if filter.default.is_some_and(|number| !number.is_finite()) {
        let message = "Invalid metric transformation: default value must be a valid number"; // assumed
        return Err(FilterError::new(FilterErrorKind::Transformation, message));
    }
    Ok(())
}

/// 1 to `chars_max` characters, none of `banned`, no line breaks or other controls.
fn check_text(path: &str, value: &str, chars_max: usize, banned: &str) -> Result<(), FilterError> {
    if value.is_empty() {
        return Err(invalid(path, value, "Member must have length greater than or equal to 1"));
    }
    if value.chars().count() > chars_max {
        return Err(invalid(
            path,
            value,
            &format!("Member must have length less than or equal to {chars_max}"),
        ));
    }
    if value.contains(|c: char| banned.contains(c)) {
        return Err(invalid(
            path,
            value,
            &format!("Member must satisfy regular expression pattern: [^{banned}]*"),
        ));
    }
    if value.contains(|c: char| c.is_control()) {
        return Err(invalid(path, value, "Member must not contain control characters")); // assumed
    }
    Ok(())
}

fn invalid(path: &str, value: &str, constraint: &str) -> FilterError {
    FilterError::new(
        FilterErrorKind::Field,
        format!(
            "1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"
        ),
    )
}

fn counted(text: &str, family: Family) -> Result<Counted, FilterError> {
    let Some(keys) = text.strip_prefix("DISTINCT(").and_then(|rest| rest.strip_suffix(')')) else {
        return value_source(text).map(Counted::Number);
    };
    let keys: Option<Vec<Source>> =
        keys.split(',').map(|key| text_source(key.trim(), family)).take(DISTINCT_KEYS_MAX + 1).collect();
    keys.filter(|keys| keys.len() <= DISTINCT_KEYS_MAX).map(Counted::Keyed).ok_or_else(|| {
        transformation(format!(
            "Invalid metric transformation: metric value {text} must name 1 to {DISTINCT_KEYS_MAX} valid selectors"
        ))
    })
}

/// A source of text that fits the pattern's family.
fn text_source(text: &str, family: Family) -> Option<Source> {
    let source = if text == STREAM_SELECTOR { Some(Source::Stream) } else { selector_source(text) };
    source.filter(|source| match source {
        Source::Stream => true,
        Source::Field(_) => family == Family::Json,
        Source::Column(_) => family == Family::Columns,
        Source::Literal(_) => false,
    })
}

fn value_source(text: &str) -> Result<Source, FilterError> {
    if let Some(number) = plain_number(text) {
        return Ok(Source::Literal(number));
    }
    selector_source(text).ok_or_else(|| {
        transformation(format!("Invalid metric transformation: metric value {text} must be a valid number"))
    })
}

/// A selector without wildcard, or a column's `$name`.
fn selector_source(text: &str) -> Option<Source> {
    if let Ok(selector) = Selector::parse(text) {
        return (!selector.has_wildcard()).then_some(Source::Field(selector));
    }
    let name = text.strip_prefix('$')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    is_name.then(|| Source::Column(text.to_owned()))
}

fn check_dimensions(filter: &MetricFilter, family: Family) -> Result<Vec<(String, Source)>, FilterError> {
    if filter.emit_system_field_dimensions.iter().any(|field| !SYSTEM_FIELDS.contains(&field.as_str())) {
        return Err(transformation(format!(
            "The provided system fields are invalid. The supported system fields are - [{}]",
            SYSTEM_FIELDS.join(", ")
        )));
    }
    if filter.dimensions.len() + filter.emit_system_field_dimensions.len() > DIMENSIONS_MAX {
        return Err(transformation(
            "Number of dimensions exceeds the maximum number of dimensions supported per metric filter",
        ));
    }
    if filter.dimensions.is_empty() {
        return Ok(Vec::new());
    }
    if filter.default.is_some() {
        return Err(transformation(
            "Invalid metric transformation: dimensions and default value are mutually exclusive properties",
        ));
    }
    let from_stream = filter.dimensions.values().all(|value| value == STREAM_SELECTOR);
    if matches!(family, Family::All | Family::Text) && !from_stream {
        return Err(transformation("The specified filter pattern does not support dimensions"));
    }
    let mut dimensions = Vec::with_capacity(filter.dimensions.len());
    for (name, value) in &filter.dimensions {
        let Some(source) = text_source(value, family) else {
            return Err(transformation(
                "Invalid metric transformation: dimension value must be valid selector",
            ));
        };
        dimensions.push((name.clone(), source));
    }
    Ok(dimensions)
}

fn transformation(message: impl Into<String>) -> FilterError {
    FilterError::new(FilterErrorKind::Transformation, message)
}
