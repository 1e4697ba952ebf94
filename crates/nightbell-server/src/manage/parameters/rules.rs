/*!
What a parameter may be: its name, its value, and what a new version takes over from the one before. Texts as the service writes them
where they are known ("AWS Systems Manager API Reference", "PutParameter").
*/

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;

use super::{Asked, Kind, Parameter, ParameterRefusal, Tier, Version};
use crate::manage::Refusal;

/// Characters of a name.
pub(crate) const PARAMETER_NAME_CHARS_MAX: usize = 1_011;
/// Levels of a name, the last one included.
pub(crate) const PATH_LEVELS_MAX: usize = 15;
/// Bytes of a value of the standard tier.
pub(crate) const STANDARD_VALUE_BYTES_MAX: usize = 4_096;
/// Bytes of a value of the advanced tier.
pub(crate) const ADVANCED_VALUE_BYTES_MAX: usize = 8_192;
/// Characters of a description.
pub(crate) const DESCRIPTION_CHARS_MAX: usize = 1_024;
/// Characters of an allowed pattern.
pub(crate) const ALLOWED_PATTERN_CHARS_MAX: usize = 1_024;
/// Bytes of a compiled allowed pattern, and of what is kept while it is searched for.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// The key that encrypts where none is named.
const KEY_DEFAULT: &str = "alias/aws/ssm";

fn invalid(text: impl Into<String>) -> ParameterRefusal {
    ParameterRefusal::Other(Refusal::Invalid(text.into()))
}

/// Refuses what no version may be, whatever is there.
pub(super) fn check(version: &Version) -> Result<(), ParameterRefusal> {
    check_name(&version.name)?;
    let long = |text: &Option<String>, chars_max: usize| {
        text.as_ref().is_some_and(|text| text.chars().count() > chars_max)
    };
    if long(&version.description, DESCRIPTION_CHARS_MAX) {
        return Err(invalid(format!(
            "Description: it is longer than the limit of {DESCRIPTION_CHARS_MAX} characters"
        )));
    }
    if long(&version.allowed_pattern, ALLOWED_PATTERN_CHARS_MAX) {
        return Err(invalid(format!(
            "AllowedPattern: it is longer than the limit of {ALLOWED_PATTERN_CHARS_MAX} characters"
        )));
    }
    if version.value.is_empty() {
        return Err(invalid(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1.",
        ));
    }
    if !["text", "aws:ssm:integration"].contains(&version.data_type.as_str()) {
        let shown: String = version.data_type.chars().take(100).collect();
        return Err(invalid(format!(
            "The following data type is not supported: {shown} (use text or aws:ssm:integration)"
        )));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), ParameterRefusal> {
    check_length(name)?;
    let own = name.trim_start_matches('/').to_ascii_lowercase();
    if own.starts_with("aws") || own.starts_with("ssm") || !name.chars().all(is_allowed) {
        return Err(invalid(
            "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_",
        ));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(invalid("Parameter name must be a fully qualified name."));
    }
    if name.ends_with('/') || name.contains("//") {
        return Err(invalid("Parameter name: no part of a path may be empty"));
    }
    if name.split('/').filter(|level| !level.is_empty()).count() > PATH_LEVELS_MAX {
        return Err(ParameterRefusal::TooDeep(name.to_owned()));
    }
    Ok(())
}

/// Refuses what is no path of parameters.
pub(crate) fn check_path(path: &str) -> Result<(), ParameterRefusal> {
    check_length(path)?;
    if !path.starts_with('/') || path.contains("//") || !path.chars().all(is_allowed) {
        return Err(invalid(
            "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore).",
        ));
    }
    Ok(())
}

fn check_length(name: &str) -> Result<(), ParameterRefusal> {
    if !(1..=PARAMETER_NAME_CHARS_MAX).contains(&name.chars().count()) {
        return Err(invalid(format!("Name: it must have 1 to {PARAMETER_NAME_CHARS_MAX} characters")));
    }
    Ok(())
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.-/".contains(c)
}

/// The version with its number, type, tier and key, and its value held against the pattern. What is not said anew is taken over.
pub(super) fn complete(
    mut version: Version,
    kind: Option<Kind>,
    tier: Asked,
    known: Option<&Parameter>,
) -> Result<Version, ParameterRefusal> {
    let before = known.map(|known| &known.latest);
    version.number = before.map_or(1, |before| before.number + 1);
    version.kind = match (kind, before) {
        (Some(kind), _) => kind,
        (None, Some(before)) => before.kind,
        (None, None) => return Err(invalid("A parameter type is required when you create a parameter.")),
    };
    version.key_id = match (version.kind, version.key_id) {
        (Kind::SecureString, None) => {
            Some(before.and_then(|before| before.key_id.clone()).unwrap_or_else(|| KEY_DEFAULT.to_owned()))
        }
        (Kind::SecureString, named) => named,
        (Kind::String | Kind::StringList, None) => None,
        (Kind::String | Kind::StringList, Some(_)) => {
            return Err(invalid("KeyId is required for SecureString type parameter only."));
        }
    };
    version.description = version.description.or_else(|| before?.description.clone());
    version.allowed_pattern = version.allowed_pattern.or_else(|| before?.allowed_pattern.clone());
    version.tier = tier_of(&version.value, tier, before.map(|before| before.tier))?;
    check_pattern(&version)?;
    Ok(version)
}

fn tier_of(value: &str, asked: Asked, before: Option<Tier>) -> Result<Tier, ParameterRefusal> {
    let fits = value.len() <= STANDARD_VALUE_BYTES_MAX;
    let tier = match (asked, before) {
        (Asked::Tier(Tier::Standard), Some(Tier::Advanced)) => {
            return Err(invalid(
                "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter.",
            ));
        }
        (Asked::Tier(tier), _) => tier,
        (Asked::Nothing, before) => before.unwrap_or(Tier::Standard),
        (Asked::Fitting, Some(Tier::Advanced)) => Tier::Advanced,
        (Asked::Fitting, _) => {
            if fits {
                Tier::Standard
            } else {
                Tier::Advanced
            }
        }
    };
    match tier {
        Tier::Standard if !fits => Err(invalid(format!(
            "Standard tier parameters support a maximum parameter value of {STANDARD_VALUE_BYTES_MAX} characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
        ))),
        Tier::Advanced if value.len() > ADVANCED_VALUE_BYTES_MAX => Err(invalid(format!(
            "Advanced tier parameters support a maximum parameter value of {ADVANCED_VALUE_BYTES_MAX} characters."
        ))),
        tier => Ok(tier),
    }
}

fn check_pattern(version: &Version) -> Result<(), ParameterRefusal> {
    let Some(pattern) = version.allowed_pattern.as_ref().filter(|pattern| !pattern.is_empty()) else {
        return Ok(());
    };
    let config = meta::Config::new()
        .nfa_size_limit(Some(PATTERN_BYTES_MAX))
        .hybrid_cache_capacity(PATTERN_BYTES_MAX)
        .which_captures(WhichCaptures::None);
    let compiled = meta::Builder::new()
        .configure(config)
        .build(pattern)
        .map_err(|_| ParameterRefusal::Pattern(pattern.clone()))?;
    if compiled.is_match(&version.value) { Ok(()) } else { Err(ParameterRefusal::Mismatch(pattern.clone())) }
}

#[cfg(test)]
mod tests {
    use nightbell_core::time::Timestamp;

    use super::*;

    fn version(name: &str, value: &str) -> Version {
        Version {
            name: name.to_owned(),
            number: 0,
            kind: Kind::String,
            value: value.to_owned(),
            description: None,
            key_id: None,
            allowed_pattern: None,
            data_type: "text".to_owned(),
            tier: Tier::Standard,
            modified: Timestamp::from_millis(0),
            modified_by: None,
        }
    }

    #[test]
    fn names_are_paths_of_at_most_fifteen_levels() {
        let deep = "/a".repeat(PATH_LEVELS_MAX);
        for name in ["a", "/a", "/agent/config.json", "A-b_c.d", &deep] {
            assert!(check(&version(name, "x")).is_ok(), "{name}");
        }
        assert!(matches!(check(&version(&format!("{deep}/a"), "x")), Err(ParameterRefusal::TooDeep(_))));
        let long = "a".repeat(PARAMETER_NAME_CHARS_MAX + 1);
        for name in ["", "a/b", "/a/", "/a//b", "/", "awsome", "/AWS/x", "ssm-x", "a b", "a:3", "a\0", &long]
        {
            let refused = check(&version(name, "x"));
            assert!(matches!(refused, Err(ParameterRefusal::Other(Refusal::Invalid(_)))), "{name}");
        }
    }

    #[test]
    fn tiers_hold_values_and_are_not_lowered() {
        let (small, large, huge) = ("x".repeat(4_096), "x".repeat(4_097), "x".repeat(8_193));
        let rows = [
            (&small, Asked::Nothing, None, Some(Tier::Standard)),
            (&large, Asked::Nothing, None, None),
            (&large, Asked::Tier(Tier::Advanced), None, Some(Tier::Advanced)),
            (&huge, Asked::Tier(Tier::Advanced), None, None),
            (&small, Asked::Fitting, None, Some(Tier::Standard)),
            (&large, Asked::Fitting, Some(Tier::Standard), Some(Tier::Advanced)),
            (&small, Asked::Fitting, Some(Tier::Advanced), Some(Tier::Advanced)),
            (&small, Asked::Nothing, Some(Tier::Advanced), Some(Tier::Advanced)),
            (&small, Asked::Tier(Tier::Standard), Some(Tier::Advanced), None),
        ];
        for (value, asked, before, expected) in rows {
            assert_eq!(tier_of(value, asked, before).ok(), expected, "{} {asked:?} {before:?}", value.len());
        }
    }

    #[test]
    fn a_value_is_held_against_its_pattern() {
        let with =
            |pattern: &str| Version { allowed_pattern: Some(pattern.to_owned()), ..version("a", "12x") };
        assert!(check_pattern(&with(r"^\d+x$")).is_ok());
        assert!(matches!(check_pattern(&with(r"^\d+$")), Err(ParameterRefusal::Mismatch(_))));
        for wrong in ["(", r"(a{1000}){1000}"] {
            assert!(matches!(check_pattern(&with(wrong)), Err(ParameterRefusal::Pattern(_))), "{wrong}");
        }
    }
}
