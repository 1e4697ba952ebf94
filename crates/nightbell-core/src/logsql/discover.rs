/*!
The fields that a message shows by itself, for one record looked at closely.

Queries reach every field by its name; this lists them. A JSON message is flattened to dotted names, `a.b` and `a.0`; an
audit event, whatever its dialect, shows what it says. Lists are cut at
[`DISCOVERED_FIELDS_MAX`](super::DISCOVERED_FIELDS_MAX).
*/

use std::collections::BTreeMap;

use serde_json::Value;

use super::DISCOVERED_FIELDS_MAX;
use crate::fields::Subject;

/// Name and value of the fields in the message, without the `@` fields; at most [`DISCOVERED_FIELDS_MAX`], audit fields
/// first, members of an object by name.
pub fn discover(subject: &Subject<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let audit = subject.fields().and_then(|fields| fields.audit());
    if let Some(audit) = audit {
        let parts = [
            ("Outcome", audit.outcome),
            ("Action", audit.action),
            ("User", audit.user.as_deref()),
            ("Instance", audit.instance.as_deref()),
            ("Source", audit.source.as_deref()),
            ("Share", audit.share.as_deref()),
            ("Folder", audit.folder.as_deref()),
            ("File", audit.file.as_deref()),
            ("Reason", audit.reason.as_deref()),
            ("LogonType", audit.logon_type),
            ("Process", audit.process.as_deref()),
            ("Channel", audit.channel.as_deref()),
            ("Noise", audit.noise),
        ];
        let parts =
            parts.into_iter().filter_map(|(name, text)| Some((format!("Audit.{name}"), text?.to_owned())));
        found.extend(parts);
    }
    if subject.message.trim_ascii_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(subject.message)
    {
        flatten(String::new(), &value, &mut found);
    }
    found.truncate(DISCOVERED_FIELDS_MAX);
    found
}

/// Recursion is bounded by the depth to which JSON is read.
fn flatten(name: String, value: &Value, found: &mut Vec<(String, String)>) {
    let within = |part: &str| match name.is_empty() {
        // A field's own `@` is doubled, so that it is none of the service's fields.
        true if part.starts_with('@') => format!("@{part}"),
        true => part.to_owned(),
        false => format!("{name}.{part}"),
    };
    if found.len() >= DISCOVERED_FIELDS_MAX {
        return;
    }
    match value {
        Value::Null => {}
        Value::Bool(flag) => found.push((name, if *flag { "1" } else { "0" }.to_owned())),
        Value::Number(number) => found.push((name, number.to_string())),
        Value::String(text) => found.push((name, text.clone())),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate().take(DISCOVERED_FIELDS_MAX) {
                flatten(within(&at.to_string()), item, found);
            }
        }
        Value::Object(members) => {
            // By name: the order in which the parser holds them is its own affair.
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            for (part, member) in members {
                flatten(within(part), member, found);
            }
        }
    }
}
