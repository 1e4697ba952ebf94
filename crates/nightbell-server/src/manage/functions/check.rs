/*!
The rules that a function's configuration keeps to; pure.

Texts and bounds: AWS Lambda API reference, "CreateFunction"; AWS Lambda developer guide, "Working with Lambda environment variables".
*/

use std::collections::BTreeMap;

use super::super::{Refusal, violates};
use super::Function;
use crate::manage::groups::check_group_name;

/// Longest name of a function, in characters.
pub(crate) const FUNCTION_NAME_MAX: usize = 64;
/// Longest handler, in characters.
pub(crate) const HANDLER_CHARS_MAX: usize = 128;
/// Longest description, in characters.
pub(crate) const DESCRIPTION_CHARS_MAX: usize = 256;
/// Longest invocation, in seconds.
pub(crate) const TIMEOUT_S_MAX: u32 = 900;
/// Memory of a process, in MiB.
pub(crate) const MEMORY_MIB: std::ops::RangeInclusive<u32> = 128..=10_240;
/// Room in `/tmp`, in MiB.
pub(crate) const EPHEMERAL_MIB: std::ops::RangeInclusive<u32> = 512..=10_240;
/// Names and values of all environment variables, in bytes.
pub(crate) const ENVIRONMENT_BYTES_MAX: usize = 4_096;
/// Tags of a function.
pub(crate) const FUNCTION_TAGS_MAX: usize = 50;

/// Variables that are set for every function and cannot be set by one.
const RESERVED: [&str; 18] = [
    "_HANDLER",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// Refuses a configuration that no function may have.
pub(crate) fn check(function: &Function) -> Result<(), Refusal> {
    if !is_name(&function.name) {
        let allowed = "Member must satisfy regular expression pattern: [a-zA-Z0-9-_]{1,64}";
        return Err(violates(&function.name, "functionName", allowed));
    }
    check_runtime(&function.runtime)?;
    check_role(&function.role)?;
    let handler = function.handler.chars().count();
    if !(1..=HANDLER_CHARS_MAX).contains(&handler) || function.handler.contains(|c: char| c.is_whitespace()) {
        let allowed = "Member must satisfy regular expression pattern: [^\\s]{1,128}";
        return Err(violates(&function.handler, "handler", allowed));
    }
    if function.description.chars().count() > DESCRIPTION_CHARS_MAX {
        let allowed = format!("Member must have length less than or equal to {DESCRIPTION_CHARS_MAX}");
        return Err(violates(&function.description, "description", &allowed));
    }
    within(function.timeout_s, &(1..=TIMEOUT_S_MAX), "timeout")?;
    within(function.memory_mib, &MEMORY_MIB, "memorySize")?;
    within(function.ephemeral_mib, &EPHEMERAL_MIB, "ephemeralStorage.size")?;
    if !["x86_64", "arm64"].contains(&function.architecture.as_str()) {
        let allowed = "Member must satisfy enum value set: [x86_64, arm64]";
        return Err(violates(&function.architecture, "architectures", allowed));
    }
    if !["PassThrough", "Active"].contains(&function.tracing.as_str()) {
        let allowed = "Member must satisfy enum value set: [Active, PassThrough]";
        return Err(violates(&function.tracing, "tracingConfig.mode", allowed));
    }
    check_group_name(&function.log_group())?;
    check_environment(&function.environment)?;
    check_tags(&function.tags)
}

/// Whether `text` can be the name of a function.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=FUNCTION_NAME_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

fn check_runtime(runtime: &str) -> Result<(), Refusal> {
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let node = runtime.strip_prefix("nodejs").and_then(|rest| rest.strip_suffix(".x")).is_some_and(digits);
    let python = runtime.strip_prefix("python3.").is_some_and(digits);
    if node || python {
        return Ok(());
    }
    let shown: String = runtime.chars().take(64).collect();
    Err(Refusal::Invalid(format!(
        "Value {shown} at 'runtime' failed to satisfy constraint: this server runs nodejsN.x (such as nodejs20.x) and \
         python3.N (such as python3.12)"
    )))
}

fn check_role(role: &str) -> Result<(), Refusal> {
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let right = matches!(parts[..], ["arn", _, "iam", "", account, name]
        if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && name.len() > "role/".len() && name.starts_with("role/"));
    if right && role.len() <= 2_048 {
        return Ok(());
    }
    let allowed = "Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+";
    Err(violates(role, "role", allowed))
}

fn within(value: u32, bounds: &std::ops::RangeInclusive<u32>, field: &str) -> Result<(), Refusal> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let allowed = format!("Member must have value between {} and {}", bounds.start(), bounds.end());
    Err(violates(&value.to_string(), field, &allowed))
}

fn check_environment(variables: &BTreeMap<String, String>) -> Result<(), Refusal> {
    // Values may be secrets: no text repeats them.
    for (name, value) in variables {
        let mut letters = name.bytes();
        let starts = letters.next().is_some_and(|b| b.is_ascii_alphabetic());
        if !starts || !letters.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            let allowed = "Map keys must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+";
            return Err(violates(name, "environment.variables", allowed));
        }
        if value.contains('\0') {
            let text =
                format!("environment.variables: the value of {name} has a NUL, which no variable can hold");
            return Err(Refusal::Invalid(text));
        }
    }
    let reserved: Vec<&str> = RESERVED.into_iter().filter(|name| variables.contains_key(*name)).collect();
    if !reserved.is_empty() {
        return Err(Refusal::Invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided \
             contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
            reserved.join(", ")
        )));
    }
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENVIRONMENT_BYTES_MAX {
        return Err(Refusal::Invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided \
             exceeded the {ENVIRONMENT_BYTES_MAX} bytes limit: they take {bytes}"
        )));
    }
    Ok(())
}

/// Refuses tags that no function may have.
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if tags.len() > FUNCTION_TAGS_MAX {
        let text = format!("tags: {} are more than the limit of {FUNCTION_TAGS_MAX}", tags.len());
        return Err(Refusal::Invalid(text));
    }
    for (key, value) in tags {
        if !(1..=128).contains(&key.chars().count()) {
            return Err(violates(key, "tags", "Map keys must have length between 1 and 128"));
        }
        if value.chars().count() > 256 {
            return Err(violates(value, "tags", "Map values must have length less than or equal to 256"));
        }
    }
    Ok(())
}
