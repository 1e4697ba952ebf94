/*!
Dashboards: pages of widgets, kept as they were written ("PutDashboard", "Dashboard body structure and syntax", Amazon CloudWatch).

They belong to the account and to no region. What a list says of a dashboard is a record of its own, so that lists read no bodies. What is
wrong with a body is told with its place; only a body that could not be shown at all is refused.
*/

use nightbell_core::time::Timestamp;
use nightbell_store::Write;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tags::{self, Tags};
use super::{Refusal, Resource};
use crate::catalog::{Key, Records, delete, put as put_record};

/// Dashboards of the account.
pub(crate) const DASHBOARDS_MAX: usize = 5_000;
/// Characters of a name.
pub(crate) const DASHBOARD_NAME_CHARS_MAX: usize = 255;
/// Bytes of a body.
pub(crate) const DASHBOARD_BYTES_MAX: usize = 1 << 20;
/// Widgets of a dashboard.
pub(crate) const WIDGETS_MAX: usize = 500;
/// What is told of a body at most.
const REMARKS_MAX: usize = 50;
/// Columns of the grid that widgets stand in.
const COLUMNS: i64 = 24;
/// Rows that a widget may take.
const ROWS_MAX: i64 = 1_000;
/// What widgets are of.
const WIDGET_TYPES: [&str; 6] = ["metric", "text", "log", "alarm", "explorer", "custom"];

/// What a list says of a dashboard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dashboard {
    /// Its name.
    pub(crate) name: String,
    /// When it was last written.
    pub(crate) modified: Timestamp,
    /// Bytes of its body.
    pub(crate) size: usize,
}

/// Something about a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Remark {
    /// The place in the body: `/widgets/0/type`.
    pub(crate) data_path: String,
    /// What is to be said of it.
    pub(crate) message: String,
}

/// The ARN of a dashboard.
pub(crate) fn arn(account: &str, name: &str) -> String {
    format!("arn:aws:cloudwatch::{account}:dashboard/{name}")
}

fn key(name: &str) -> Key {
    Key::of(&["dashboard", name])
}

fn body_key(name: &str) -> Key {
    Key::of(&["dashboard-body", name])
}

/// Whether a dashboard may have the name.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=DASHBOARD_NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// What is wrong with a body: first what it is refused for, then what is only told.
pub(crate) fn examine(body: &str) -> (Vec<Remark>, Vec<Remark>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let mut wrong = |path: &str, message: &str| errors.push(remark(path, message));
    let parsed = serde_json::from_str(body);
    let Ok(Value::Object(all)) = &parsed else {
        wrong("", "The field DashboardBody must be a valid JSON object");
        return (errors, warnings);
    };
    let widgets = match all.get("widgets") {
        Some(Value::Array(widgets)) if widgets.len() <= WIDGETS_MAX => widgets,
        Some(Value::Array(_)) => {
            wrong("/widgets", &format!("Should NOT have more than {WIDGETS_MAX} items"));
            return (errors, warnings);
        }
        Some(_) => {
            wrong("/widgets", "Should be array");
            return (errors, warnings);
        }
        None => {
            wrong("", "Should have required property 'widgets'");
            return (errors, warnings);
        }
    };
    for (at, widget) in widgets.iter().enumerate() {
        check_widget(&format!("/widgets/{at}"), widget, &mut errors, &mut warnings);
    }
    errors.truncate(REMARKS_MAX);
    warnings.truncate(REMARKS_MAX);
    (errors, warnings)
}

fn remark(path: &str, message: &str) -> Remark {
    Remark { data_path: path.to_owned(), message: message.to_owned() }
}

fn check_widget(path: &str, widget: &Value, errors: &mut Vec<Remark>, warnings: &mut Vec<Remark>) {
    let Value::Object(members) = widget else {
        errors.push(remark(path, "Should be object"));
        return;
    };
    let kind = members.get("type").and_then(Value::as_str);
    match kind {
        Some(kind) if WIDGET_TYPES.contains(&kind) => {}
        Some(_) => errors.push(remark(
            &format!("{path}/type"),
            &format!("Should be equal to one of the allowed values: {WIDGET_TYPES:?}"),
        )),
        None => errors.push(remark(path, "Should have required property 'type'")),
    }
    let bounds = [("x", 0, COLUMNS - 1), ("y", 0, i64::MAX), ("width", 1, COLUMNS), ("height", 1, ROWS_MAX)];
    for (name, low, high) in bounds {
        if let Some(value) = members.get(name)
            && !value.as_i64().is_some_and(|n| (low..=high).contains(&n))
        {
            let text = if high == i64::MAX {
                format!("Should be an integer from {low}")
            } else {
                format!("Should be an integer from {low} to {high}")
            };
            errors.push(remark(&format!("{path}/{name}"), &text));
        }
    }
    match members.get("properties") {
        Some(Value::Object(properties)) if kind == Some("metric") => {
            let drawn = properties.contains_key("metrics") || properties.contains_key("annotations");
            if !drawn {
                let text = "Should have property 'metrics', or 'annotations' with an alarm: nothing is drawn";
                warnings.push(remark(&format!("{path}/properties"), text));
            }
        }
        Some(Value::Object(_)) => {}
        Some(_) => errors.push(remark(&format!("{path}/properties"), "Should be object")),
        None => errors.push(remark(path, "Should have required property 'properties'")),
    }
}

/// Makes or replaces a dashboard whose name and body were checked; one that is there keeps its tags.
pub(crate) fn put(
    records: &Records,
    account: &str,
    name: &str,
    body: &str,
    tags: &Tags,
    now: Timestamp,
) -> Result<(), Refusal> {
    tags::check(tags)?;
    let _turn = records.turn();
    let mut change = Write::new();
    if records.get::<Dashboard>(&key(name))?.is_none() {
        if records.keys(&Key::prefix(&["dashboard"], ""))?.len() >= DASHBOARDS_MAX {
            return Err(Refusal::Limit(format!("There are {DASHBOARDS_MAX} dashboards; that is the limit")));
        }
        tags::put(&mut change, &arn(account, name), tags);
    }
    let dashboard = Dashboard { name: name.to_owned(), modified: now, size: body.len() };
    put_record(&mut change, &key(name), &dashboard);
    put_record(&mut change, &body_key(name), &body);
    Ok(records.commit(change)?)
}

/// The dashboard, or a refusal that it is missing.
pub(crate) fn find(records: &Records, name: &str) -> Result<Dashboard, Refusal> {
    records.get(&key(name))?.ok_or(Refusal::Missing(Resource::Dashboard))
}

/// The body of a dashboard, or a refusal that it is missing.
pub(crate) fn body(records: &Records, name: &str) -> Result<String, Refusal> {
    records.get(&body_key(name))?.ok_or(Refusal::Missing(Resource::Dashboard))
}

/// The dashboards whose names start with `prefix`, by name.
pub(crate) fn list(records: &Records, prefix: &str) -> Result<Vec<Dashboard>, Refusal> {
    Ok(records.list(&Key::prefix(&["dashboard"], prefix))?)
}

/// Deletes dashboards: all of them, or none where one is missing.
pub(crate) fn remove(records: &Records, account: &str, names: &[String]) -> Result<(), Refusal> {
    let _turn = records.turn();
    let mut change = Write::new();
    for name in names {
        find(records, name)?;
        delete(&mut change, &key(name));
        delete(&mut change, &body_key(name));
        tags::forget(&mut change, &arn(account, name));
    }
    Ok(records.commit(change)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let rows = [
            (r#"{"widgets": []}"#, None, None),
            (
                r#"{"widgets": [{"type": "text", "x": 23, "width": 24, "properties": {"markdown": ""}}]}"#,
                None,
                None,
            ),
            (r#"{"widgets": [{"type": "metric", "properties": {}}]}"#, None, Some("/widgets/0/properties")),
            ("x", Some(""), None),
            ("[]", Some(""), None),
            ("{}", Some(""), None),
            (r#"{"widgets": {}}"#, Some("/widgets"), None),
            (r#"{"widgets": [1]}"#, Some("/widgets/0"), None),
            (r#"{"widgets": [{"properties": {}}]}"#, Some("/widgets/0"), None),
            (r#"{"widgets": [{"type": "x", "properties": {}}]}"#, Some("/widgets/0/type"), None),
            (r#"{"widgets": [{"type": "text", "x": 24, "properties": {}}]}"#, Some("/widgets/0/x"), None),
            (r#"{"widgets": [{"type": "text", "y": -1, "properties": {}}]}"#, Some("/widgets/0/y"), None),
            (
                r#"{"widgets": [{"type": "text", "width": "1", "properties": {}}]}"#,
                Some("/widgets/0/width"),
                None,
            ),
            (r#"{"widgets": [{"type": "text"}]}"#, Some("/widgets/0"), None),
            (r#"{"widgets": [{"type": "text", "properties": []}]}"#, Some("/widgets/0/properties"), None),
        ];
        for (body, error, warning) in rows {
            let (errors, warnings) = examine(body);
            let first = |remarks: &[Remark]| remarks.first().map(|remark| remark.data_path.clone());
            assert_eq!((first(&errors).as_deref(), first(&warnings).as_deref()), (error, warning), "{body}");
        }
        let many = format!(r#"{{"widgets": [{}]}}"#, vec!["1"; 100].join(","));
        assert_eq!(examine(&many).0.len(), REMARKS_MAX);
    }

    #[test]
    fn names_are_plain() {
        for (name, good) in
            [("a-B_9", true), ("", false), ("a b", false), ("ä", false), (&"a".repeat(256), false)]
        {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}
