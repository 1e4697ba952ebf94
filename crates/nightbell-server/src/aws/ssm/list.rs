/*!
Lists of parameters: by path, by filters, and the versions of one ("AWS Systems Manager API Reference").
*/

use nightbell_wire::value::Time;
use serde::{Deserialize, Serialize};

use super::{ParameterEntry, entry, named, need, no, shown_value};
use crate::aws::Cx;
use crate::aws::error::ApiError;
use crate::aws::page::{Page, page};
use crate::manage::parameters::{self, Kind, Parameter, ParameterRefusal, Tier, Version};
use crate::manage::tags;

/// Parameters of one page of GetParametersByPath.
pub(in crate::aws) const BY_PATH_PAGE_MAX: usize = 10;
/// Parameters or versions of one page of other lists.
pub(in crate::aws) const PARAMETERS_PAGE_MAX: usize = 50;
/// Values of one filter.
pub(in crate::aws) const FILTER_VALUES_MAX: usize = 50;
/// Filters of one request.
pub(in crate::aws) const PARAMETER_FILTERS_MAX: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    key: Option<String>,
    option: Option<String>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    values: Vec<String>,
}

/// A filter, checked.
enum Wanted {
    /// With one of these names.
    Named(Vec<String>),
    /// By a text of the parameter.
    Text(fn(&Version) -> &str, How, Vec<String>),
    /// Below one of the paths; only directly below it, or anywhere.
    Path { paths: Vec<String>, deep: bool },
    /// With a tag; with any value where none is named.
    Tag(String, Vec<String>),
    /// With a version that has one of the labels.
    Label(Vec<String>),
}

/// How a text is held against a filter's values.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Equals,
    BeginsWith,
    Contains,
}

fn bad(code: &'static str, text: impl Into<String>) -> ApiError {
    ApiError::sender(code, text)
}

/// The filters of a request. `keys` are those that the operation takes beside `tag:`.
fn read_filters(filters: Vec<Filter>, keys: &[&str]) -> Result<Vec<Wanted>, ApiError> {
    if filters.len() > PARAMETER_FILTERS_MAX {
        let text =
            format!("ParameterFilters: {} are more than the limit of {PARAMETER_FILTERS_MAX}", filters.len());
        return Err(bad("InvalidFilterValue", text));
    }
    filters.into_iter().map(|filter| read_filter(filter, keys)).collect()
}

fn read_filter(filter: Filter, keys: &[&str]) -> Result<Wanted, ApiError> {
    let key = need(filter.key, "parameterFilters.key")?;
    let shown: String = key.chars().take(132).collect();
    let tag = key.strip_prefix("tag:").filter(|_| keys.contains(&"tag:"));
    if tag.is_none() && !keys.contains(&key.as_str()) {
        let text = format!("The filter key {shown} is not served here; use one of {keys:?}");
        return Err(bad("InvalidFilterKey", text));
    }
    if filter.values.len() > FILTER_VALUES_MAX || (filter.values.is_empty() && tag.is_none()) {
        let text = format!("The filter {shown} takes 1 to {FILTER_VALUES_MAX} values");
        return Err(bad("InvalidFilterValue", text));
    }
    let option = filter.option.as_deref();
    let unknown = || {
        let option = filter.option.as_deref().unwrap_or_default();
        let text = format!("The following filter option is not valid: {option}. It is not one of {shown}'s.");
        bad("InvalidFilterOption", text)
    };
    if let Some(tag) = tag {
        return match option {
            None | Some("Equals") => Ok(Wanted::Tag(tag.to_owned(), filter.values)),
            Some(_) => Err(unknown()),
        };
    }
    if key == "Path" {
        return match option {
            None | Some("OneLevel") => Ok(Wanted::Path { paths: filter.values, deep: false }),
            Some("Recursive") => Ok(Wanted::Path { paths: filter.values, deep: true }),
            Some(_) => Err(unknown()),
        };
    }
    let how = match option {
        None | Some("Equals") => How::Equals,
        Some("BeginsWith") if key != "Label" => How::BeginsWith,
        Some("Contains") if key == "Name" => How::Contains,
        Some(_) => return Err(unknown()),
    };
    Ok(match key.as_str() {
        "Label" => Wanted::Label(filter.values),
        "Name" if how == How::Equals => Wanted::Named(filter.values),
        "Name" => Wanted::Text(|version| &version.name, how, filter.values),
        "Type" => Wanted::Text(kind_name, how, filter.values),
        "KeyId" => Wanted::Text(|version| version.key_id.as_deref().unwrap_or_default(), how, filter.values),
        "Tier" => Wanted::Text(tier_name, how, filter.values),
        _ => Wanted::Text(|version| &version.data_type, how, filter.values),
    })
}

fn kind_name(version: &Version) -> &str {
    match version.kind {
        Kind::String => "String",
        Kind::StringList => "StringList",
        Kind::SecureString => "SecureString",
    }
}

fn tier_name(version: &Version) -> &str {
    match version.tier {
        Tier::Standard => "Standard",
        Tier::Advanced => "Advanced",
    }
}

/// Whether the parameter passes all filters.
fn passes(cx: &Cx, parameter: &Parameter, filters: &[Wanted]) -> Result<bool, ParameterRefusal> {
    let version = &parameter.latest;
    for filter in filters {
        let passes = match filter {
            Wanted::Text(text, how, values) => values.iter().any(|value| match how {
                How::Equals => text(version) == value,
                How::BeginsWith => text(version).starts_with(value.as_str()),
                How::Contains => text(version).contains(value.as_str()),
            }),
            Wanted::Named(names) => names.contains(&version.name),
            Wanted::Path { paths, deep } => paths.iter().any(|path| is_below(&version.name, path, *deep)),
            Wanted::Label(labels) => labels.iter().any(|label| parameter.labels.contains_key(label)),
            Wanted::Tag(key, values) => {
                let arn = parameters::arn(&cx.region, &cx.app.account, &version.name);
                let tags = tags::of(&cx.app.records, &arn)?;
                tags.get(key).is_some_and(|value| values.is_empty() || values.contains(value))
            }
        };
        if !passes {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a parameter stands below a path, directly or, where `deep`, anywhere. Names without a slash stand at the top.
fn is_below(name: &str, path: &str, deep: bool) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let below = match name.strip_prefix(path).and_then(|rest| rest.strip_prefix('/')) {
        Some(below) => below,
        None if path.is_empty() => name,
        None => return false,
    };
    !below.is_empty() && (deep || !below.contains('/'))
}

/// The page of `found` that is asked for.
fn one_page<T>(
    found: Vec<T>,
    limit: Option<i64>,
    token: Option<String>,
    max: usize,
    name: impl Fn(&T) -> &String,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let bounds = Page { limit, token, default: max, max, descending: false };
    page(found, &bounds, name).map_err(|text| {
        let code = if text.contains("nextToken") { "InvalidNextToken" } else { "ValidationException" };
        bad(code, text)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GetParametersByPathRequest {
    path: Option<String>,
    recursive: Option<bool>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    parameter_filters: Vec<Filter>,
    with_decryption: Option<bool>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GetParametersByPathResponse {
    parameters: Vec<ParameterEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(in crate::aws) async fn get_parameters_by_path(
    cx: Cx,
    request: GetParametersByPathRequest,
) -> Result<GetParametersByPathResponse, ApiError> {
    let path = need(request.path, "path")?;
    parameters::check_path(&path).map_err(no)?;
    let filters = read_filters(request.parameter_filters, &["Type", "KeyId", "Label"])?;
    let prefix = if path == "/" { "" } else { path.as_str() };
    let mut found = Vec::new();
    for parameter in parameters::list(&cx.app.records, &cx.region, prefix).map_err(no)? {
        let below = is_below(&parameter.latest.name, &path, request.recursive.unwrap_or(false));
        if below && passes(&cx, &parameter, &filters).map_err(no)? {
            found.push(parameter);
        }
    }
    let (shown, next_token) =
        one_page(found, request.max_results, request.next_token, BY_PATH_PAGE_MAX, |one| &one.latest.name)?;
    let decrypt = request.with_decryption.unwrap_or(false);
    let parameters = shown.into_iter().map(|one| entry(&cx, one.latest, None, decrypt)).collect();
    Ok(GetParametersByPathResponse { parameters, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DescribeParametersRequest {
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    filters: Vec<Filter>,
    #[serde(default, deserialize_with = "crate::aws::nullable")]
    parameter_filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
    shared: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct DescribeParametersResponse {
    parameters: Vec<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// What is said of a version beside its value.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    name: String,
    #[serde(rename = "ARN")]
    arn: String,
    #[serde(rename = "Type")]
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    last_modified_date: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_pattern: Option<String>,
    version: u64,
    tier: Tier,
    policies: [(); 0],
    data_type: String,
}

fn metadata(cx: &Cx, version: Version) -> Metadata {
    Metadata {
        arn: parameters::arn(&cx.region, &cx.app.account, &version.name),
        kind: version.kind,
        key_id: version.key_id,
        last_modified_date: Time(version.modified.as_millis()),
        last_modified_user: version.modified_by,
        description: version.description,
        allowed_pattern: version.allowed_pattern,
        version: version.number,
        tier: version.tier,
        policies: [],
        data_type: version.data_type,
        name: version.name,
    }
}

pub(in crate::aws) async fn describe_parameters(
    cx: Cx,
    request: DescribeParametersRequest,
) -> Result<DescribeParametersResponse, ApiError> {
    if !request.filters.is_empty() && !request.parameter_filters.is_empty() {
        let text = "You can use either Filters or ParameterFilters in a single request.";
        return Err(bad("ValidationException", text));
    }
    // The older kind of filter is by the beginning of a name, and by the whole of anything else.
    let older = request.filters.into_iter().map(|filter| {
        let begins = (filter.key.as_deref() == Some("Name")).then(|| "BeginsWith".to_owned());
        Filter { option: begins, ..filter }
    });
    let given = older.chain(request.parameter_filters).collect();
    let keys = ["Name", "Type", "KeyId", "Path", "Tier", "DataType", "Label", "tag:"];
    let filters = read_filters(given, &keys)?;
    let mut found = Vec::new();
    if !request.shared.unwrap_or(false) {
        for parameter in candidates(&cx, &filters).map_err(no)? {
            if passes(&cx, &parameter, &filters).map_err(no)? {
                found.push(parameter.latest);
            }
        }
    }
    let (shown, next_token) =
        one_page(found, request.max_results, request.next_token, PARAMETERS_PAGE_MAX, |one| &one.name)?;
    let parameters = shown.into_iter().map(|version| metadata(&cx, version)).collect();
    Ok(DescribeParametersResponse { parameters, next_token })
}

/// The parameters that may pass: those of the names that are asked for, or all. By name.
fn candidates(cx: &Cx, filters: &[Wanted]) -> Result<Vec<Parameter>, ParameterRefusal> {
    let names = filters.iter().find_map(|filter| match filter {
        Wanted::Named(values) => Some(values),
        _ => None,
    });
    let Some(names) = names else { return parameters::list(&cx.app.records, &cx.region, "") };
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    names.dedup();
    let mut found = Vec::new();
    for name in names {
        match parameters::find(&cx.app.records, &cx.region, name) {
            Ok(parameter) => found.push(parameter),
            Err(ParameterRefusal::Missing(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GetParameterHistoryRequest {
    name: Option<String>,
    with_decryption: Option<bool>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GetParameterHistoryResponse {
    parameters: Vec<HistoryEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HistoryEntry {
    #[serde(flatten)]
    metadata: Metadata,
    value: String,
    labels: Vec<String>,
    /// Orders the listing; not part of the answer.
    #[serde(skip)]
    order: String,
}

pub(in crate::aws) async fn get_parameter_history(
    cx: Cx,
    request: GetParameterHistoryRequest,
) -> Result<GetParameterHistoryResponse, ApiError> {
    let (name, _) = named(&cx, &need(request.name, "name")?).map_err(no)?;
    let decrypt = request.with_decryption.unwrap_or(false);
    let arn = parameters::arn(&cx.region, &cx.app.account, &name);
    let shown = |(version, labels): (Version, Vec<String>)| HistoryEntry {
        order: format!("{:020}", version.number),
        value: shown_value(&version, &arn, decrypt),
        metadata: metadata(&cx, version),
        labels,
    };
    let versions = parameters::history(&cx.app.records, &cx.region, &name).map_err(no)?;
    let found = versions.into_iter().map(shown).collect();
    let (parameters, next_token) = one_page(
        found,
        request.max_results,
        request.next_token,
        PARAMETERS_PAGE_MAX,
        |one: &HistoryEntry| &one.order,
    )?;
    Ok(GetParameterHistoryResponse { parameters, next_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_a_path() {
        let rows = [
            ("/a/b", "/a", false, true),
            ("/a/b", "/a/", false, true),
            ("/a/b/c", "/a", false, false),
            ("/a/b/c", "/a", true, true),
            ("/ab", "/a", true, false),
            ("/a", "/a", true, false),
            ("/a", "/", false, true),
            ("a", "/", false, true),
            ("/a/b", "/", false, false),
            ("/a/b", "/", true, true),
        ];
        for (name, path, deep, expected) in rows {
            assert_eq!(is_below(name, path, deep), expected, "{name} {path} {deep}");
        }
    }
}
